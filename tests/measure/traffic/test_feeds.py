"""Every feed of counts ends in the same place: what streets emit, in the inventory and on the map."""

import json
import urllib.parse
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from tests.brokers import Mosquitto, client, publish, until
from tests.measure.traffic.counted_city import FLOWS, RESULTS, START, USUAL, city, fill
from tests.servers import key, running

from mangrove import api, traffic_state, worker
from mangrove.client import Client, RemoteHandle
from mangrove.ledger import Ledger
from mangrove.measure.traffic.state import Basis
from mangrove.serve import app as web
from mangrove.serve.clock import Clock
from mangrove.serve.scope import guest
from mangrove.serve.state import Live
from mangrove.sources.broker import broker_files
from mangrove.sources.intake import Intake
from mangrove.sources.mqtt import MqttConnector

HOUR = ("2026-06-03T07:00", "2026-06-03T08:00")
CELLS = [START + timedelta(minutes=5 * n) for n in range(12)]
DEVICES = "id,protocol,place,name\ncam1,mqtt,west,Camera\n"
POINTS = """device,address,flow,unit,form,scale
cam1,mg/cam1/counts#moto,main_moto,,json,
cam1,mg/cam1/counts#car,main_car,,json,
cam1,mg/cam1/counts#speed,main_speed,m/s,json,
"""


class Stopped:
    """A clock that stands."""

    def now(self):
        return START + timedelta(hours=1)


@contextmanager
def listening(made, folder):
    """A broker and a connector that listens to it; gives the port and the connector."""
    with (
        Mosquitto(lambda port: broker_files(folder, port=port)) as broker,
        Ledger.open(made.store) as ledger,
        Intake(ledger, made.territory) as intake,
    ):
        connector = MqttConnector(intake, made.territory, Stopped(), port=broker.port, wait=0.05)
        connector.start()
        try:
            until(lambda: connector.connected, "the broker did not let us in")
            probe = client(broker.port, "probe")  # the subscription is not visible from outside
            probe.disconnect()
            yield broker.port, connector
        finally:
            connector.stop()


def message(at, **said):
    """One message of a camera."""
    return "mg/cam1/counts", json.dumps({"ts": at.isoformat(), **said}).encode()


@pytest.mark.mosquitto
def test_messages_of_a_camera_become_emissions_whatever_their_order(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    (folder / "devices.csv").write_text(DEVICES)
    (folder / "points.csv").write_text(POINTS)
    made = city(folder)
    fill(made, {name: value for name, value in USUAL.items() if not name.startswith("main")})
    sent = [message(at, moto=120, car=10, speed=5.0) for at in CELLS]
    odd = [
        message(CELLS[4], moto=-7, car=10, speed=5.0),
        message(CELLS[5], moto=None, car=10, speed=5.0),
        message(CELLS[6], moto="viele", car=10, speed=5.0),
    ]
    late = message(CELLS[4], moto=120, car=10, speed=5.0)  # corrected
    with listening(made, tmp_path / "broker") as (port, connector):
        publish(port, [*sent[7:], *sent[:4], *sent[:2], *odd, late])
        until(lambda: connector.report.messages >= 15, str(connector.report))
    state = traffic_state.state(made, *HOUR)
    link = state.streets.ids.index("main")
    assert state.flow[[0, 1, 2, 3, 4, 7, 11], link].tolist() == [[120.0, 10.0]] * 7
    assert state.speed[0, link] == pytest.approx([18.0, 18.0]), "5 m/s"
    assert (state.basis[[5, 6], link] == Basis.MISSING).all(), (
        "null and text are no counts, and nothing stands for them"
    )


def retold(folder, old, new):
    """Another word in the declaration."""
    file = folder / "territory.yaml"
    file.write_text(file.read_text().replace(old, new))


def tenths(made, name):
    """Vietnamese export of a reader of loops: local times, decimal commas."""
    rows = [
        f"{at.astimezone(made.territory.tz):%d/%m/%Y %H:%M};{value:.1f}".replace(".", ",")
        for at, value in zip(CELLS, [120.0] * 11 + [121.0], strict=True)
    ]
    return "\n".join([f"thời gian;{name}", *rows, rows[-1]]) + "\n"


def test_a_vietnamese_export_of_counts_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "city"
    city(folder, FLOWS.replace("vehicles:motorbike", "vehicles:xe_máy") + RESULTS)
    retold(folder, "lang: en", "lang: vi")
    made = api.open(folder)
    fill(made, {name: value for name, value in USUAL.items() if name != "main_moto"})
    export = tmp_path / "vòng từ.csv"
    export.write_text(tenths(made, "main_moto"), encoding="utf-8")
    report = api.ingest(made, export)
    assert "main_moto" in report.text()
    state = traffic_state.state(made, *HOUR)
    assert state.classes[0] == "motorbike"
    assert state.flow[:, state.streets.ids.index("main"), 0].tolist() == [120.0] * 11 + [121.0]


def ask(url, secret, path, body=None, form="application/json"):
    """A request with a key; the answer as plain data."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    head = {"authorization": f"Bearer {secret}", "content-type": form}
    with urllib.request.urlopen(urllib.request.Request(url + path, data, head), timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def test_counts_over_http_and_sensorthings_stand_on_the_map_after_the_worker_ran(tmp_path):
    folder = tmp_path / "city"
    made = city(folder)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    first = now - timedelta(hours=2)
    cells = [(first + timedelta(minutes=5 * n)).isoformat() for n in range(24)]
    operator, job = key(folder), key(folder, "worker")
    http = {name: value for name, value in USUAL.items() if not name.startswith("side")}
    with running(folder) as (url, _, _):
        rows = [{"flow": name, "ts": at, "value": value} for name, value in http.items() for at in cells]
        assert ask(url, operator, "/api/v1/values", rows)["rows"] == len(rows)
        for name in ("side_moto", "side_car", "side_speed"):
            asked = urllib.parse.quote(f"properties/flow eq '{name}'")
            stream = ask(url, operator, f"/sta/v1.1/Datastreams?$filter={asked}")["value"][0]["@iot.id"]
            array = {
                "Datastream": {"@iot.id": stream},
                "components": ["phenomenonTime", "result"],
                "dataArray": [[at, USUAL[name]] for at in cells],
            }
            assert len(ask(url, operator, "/sta/v1.1/CreateObservations", [array])) == len(cells)
        park = RemoteHandle(made.territory, made.store, Client(url, job))
        assert worker._traffic(park, now) == str(2 * 4)
        assert worker._traffic(park, now) == "0"
        month = f"{first.astimezone(made.territory.tz):%Y-%m}"
        wards = ask(url, operator, f"/map.json?period={month}&lang=en")
        west = wards["places"]["west"]
        assert west["value"] > 0
        assert west["low"] < west["value"] < west["high"]
    span = (first, now)
    by_hand = traffic_state.traffic(made, *span, by="ward", store=False)
    kept = {
        row["ward"]: row["co2e_kg"] for row in api.measure(made, *span, by=("ward",)).to_arrow().to_pylist()
    }
    assert kept == pytest.approx({row.id: row.amount for row in by_hand.rows})


def test_pages_show_what_streets_emit_without_a_switch(tmp_path):
    made = city(tmp_path / "city")
    fill(made, USUAL)
    found = traffic_state.traffic(made, *HOUR, by="ward")
    live = Live(made, Clock(START + timedelta(hours=2), 0))
    with TestClient(web.create(live, access=web.Fixed(guest("operator")))) as http:
        shown = http.get("/map.json", params={"period": "2026-06-03"}).json()
        assert {id_: place["value"] for id_, place in shown["places"].items()} == pytest.approx(
            {row.id: row.amount / 1000 for row in found.rows}
        )
        again = http.get("/map.json", params={"period": "2026-06-03", "scenario": "estimate/traffic"}).json()
        west = again["places"]["west"]
        assert west["value"] == pytest.approx(shown["places"]["west"]["value"])
        assert west["low"] < west["value"] < west["high"]
        assert west["high"] / west["value"] > 1.4, "the factor of motorcycles"
        for page in ("/inventory", "/now", "/map"):
            assert http.get(page, params={"period": "2026-06-03"}).status_code == 200, page
        answer = http.get("/now.json", params={"period": "2026-06-03"}).json()
        measured = api.measure(made, "2026-06-03").total()
        assert [answer["answer"][end] for end in ("low", "high")] == pytest.approx(
            [measured["co2e_low"], measured["co2e_high"]], rel=0.06
        ), "normal here, lognormal there, around one middle"
        inventory = http.get("/inventory.json", params={"period": "2026-06-03"}).text
        assert "II.1.1" in inventory


def test_a_camera_that_repeats_one_number_is_stuck_and_its_cells_are_filled(tmp_path):
    from mangrove.inference.runs import screen_flows
    from mangrove.times import Span

    made = city(tmp_path / "city")
    days = [60 + (n // 12 * 7 + n * 5 + n // 288 * 3) % 41 for n in range(10 * 288)]  # counts change
    fill(made, {"main_moto": [*days, *[77.0] * 288]}, START - timedelta(days=10))
    fill(made, {name: [value] * 288 for name, value in USUAL.items() if name != "main_moto"})
    with Ledger.open(made.store) as ledger:
        screen_flows(ledger, made.territory, ["main_moto"], Span(START, START + timedelta(hours=24)))
    state = traffic_state.state(made, "2026-06-03T20:00", "2026-06-03T21:00")
    link = state.streets.ids.index("main")
    assert (state.basis[:, link] == Basis.FILLED).all()
    assert (state.flow[:, link, 0] != 77.0).any()


def test_the_hour_that_a_clock_shows_twice_counts_once_each(tmp_path):
    folder = tmp_path / "city"
    city(folder)
    retold(folder, "Asia/Ho_Chi_Minh", "Europe/Berlin")
    made = api.open(folder)
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)  # 25 October, local midnight; at 03:00 it is 02:00 again
    fill(made, {name: [value] * 25 * 12 for name, value in USUAL.items()}, start)
    day = traffic_state.traffic(made, "2026-10-25")
    one = traffic_state.traffic(made, start, start + timedelta(hours=1), store=False)
    assert day.cells == 25 * 12 * 3
    assert day.total.amount == pytest.approx(25 * one.total.amount)
    assert api.measure(made, "2026-10-25").total()["co2e_kg"] == pytest.approx(day.total.amount)


def test_clock_times_of_earlier_days_are_those_of_their_own_day(tmp_path):
    folder = tmp_path / "city"
    city(folder)
    retold(folder, "Asia/Ho_Chi_Minh", "Europe/Berlin")
    made = api.open(folder)
    peak = datetime(
        2026, 10, 26, 7, tzinfo=UTC
    )  # 08:00 in winter time, a Monday; on the Fridays before it was 06:00 UTC
    for day in (3, 4, 5):
        for hour, factor in ((6, 2.0), (7, 1.0)):
            at = peak - timedelta(days=day) + timedelta(hours=hour - 7)
            fill(made, {name: v * factor if "speed" not in name else v for name, v in USUAL.items()}, at)
    fill(made, USUAL | {"main_moto": [240.0] * 11 + [None]}, peak)
    state = traffic_state.state(made, peak, peak + timedelta(hours=1))
    link = state.streets.ids.index("main")
    assert state.flow[-1, link, 0] == pytest.approx(240.0), "08:00 on days when 08:00 was 06:00 UTC"
