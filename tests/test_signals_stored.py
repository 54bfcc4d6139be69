# SPDX-License-Identifier: Apache-2.0
"""Comparisons of signal control that a territory keeps: streets against trips, signals against the network file, refusals, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.traffic.crossroads import NETS, SINGLE, flows
from typer.testing import CliRunner

from mangrove import api, signals
from mangrove.cli_signals import signals_app
from mangrove.errors import MangroveError, RequestError
from mangrove.traffic import demand_draws

COLOGNE = NETS / "RESCO" / "cologne1" / "cologne1.net.xml"
TERRITORY = "name: Cologne\nkind: city\ntimezone: Europe/Berlin\ncurrency: EUR\nlang: en\ngwp: AR5\ntraffic: {network: city.net.xml}\n"
PLACES = '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"id": "city", "name": "Cologne", "kind": "city"}, "geometry": null}]}'
WAYS = (
    ("28198821#3 32038051#0", 600),
    ("23429231#1 32038051#0", 700),
    ("27115123#2 27115123#3 32038051#0", 300),
)


def territory(folder, net=COLOGNE):
    folder.mkdir()
    (folder / "city.net.xml").symlink_to(net)
    (folder / "territory.yaml").write_text(TERRITORY)
    (folder / "places.geojson").write_text(PLACES)
    (folder / "flows.csv").write_text("id,place,carrier,unit,step,semantics\n")
    return folder


def asked(*words):
    done = CliRunner().invoke(signals_app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Five minutes of Cologne under two ways of control, stored, and as JSON."""
    folder = tmp_path_factory.mktemp("kept")
    routes = flows(folder / "a.rou.xml", *WAYS, end=300)
    city = territory(folder / "city")
    done = asked(
        *(
            "run",
            COLOGNE,
            "--routes",
            routes,
            "--control",
            "installed,actuated",
            "--draws",
            2,
            "--workers",
            2,
        ),
        *("--end", "15min", "--store", city, "--name", "Rush hour", "--json", "--lang", "vi"),
    )
    with api.open(city).reader() as ledger:
        return signals.stored(ledger), json.loads(done.stdout), done.stderr, city


def test_what_is_stored_is_what_is_said_and_is_found_by_its_name(kept):
    stored, said, stderr, _ = kept
    document = stored["Rush hour"]
    assert document["names"] == ["installed", "actuated"]
    assert document["net"] == COLOGNE.name
    assert {key: said[key] for key in document} == document
    assert said["ways"]["actuated"]["delay"]["values"] == [
        row[document["measures"].index("delay")] for row in document["values"][1]
    ]
    assert "Đã lưu kết quả so sánh với tên «Rush hour»" in stderr
    assert "đã mô phỏng 100" in stderr


def test_streets_add_up_to_the_trips_of_all_draws(kept):
    document = kept[0]["Rush hour"]
    hours = 0.25
    at = {name: number for number, name in enumerate(document["measures"])}
    for number, way in enumerate(document["names"]):
        rows = document["values"][number]
        entered = [
            n - row[at["never_departed"]] for n, row in zip(document["vehicles"][number], rows, strict=True)
        ]
        trips = sum(row[at["co2"]] * n for row, n in zip(rows, entered, strict=True)) / len(rows) / 1000
        assert all(row[at["teleports"]] == 0 for row in rows)
        # a trip of a minute emits up to two percent in its first second, which streets do not count
        streets = sum(document["links"][way]["co2_kg_h"]) * hours
        assert 0.97 * trips < streets < trips
        lost = sum(document["links"][way]["delay_h_h"]) * hours * 3600
        late = (
            sum(row[at["delay"]] * n for row, n in zip(rows, document["vehicles"][number], strict=True)) / 2
        )
        assert 0.5 * late < lost <= late, "waiting to enter is on no street"
        assert all(0 < speed < 110 for speed in document["links"][way]["speed_km_h"])
    assert "364075" not in document["links"]["ids"]
    assert set(document["links"]["ids"]) == {edge for edges, _ in WAYS for edge in edges.split()}


def test_a_signal_has_its_place_and_the_sum_of_the_streets_that_lead_to_it(kept):
    document = kept[0]["Rush hour"]
    root = ET.parse(COLOGNE).getroot()
    (found,) = document["signals"]
    (logic,) = {one.get("id") for one in root.findall("tlLogic")}
    into = {one.get("from") for one in root.findall("connection") if one.get("tl") == logic}
    links = document["links"]
    for way in document["names"]:
        for key in ("co2_kg_h", "delay_h_h"):
            expected = sum(
                value for edge, value in zip(links["ids"], links[way][key], strict=True) if edge in into
            )
            assert found[way][key] == pytest.approx(expected, rel=1e-4)
    assert found["id"] == logic
    assert (found["lon"], found["lat"]) == pytest.approx((6.94, 50.93), abs=0.04), "in Cologne"
    assert found["actuated"]["delay_h_h"] != found["installed"]["delay_h_h"]


def test_the_newest_comparison_of_a_name_counts(kept, tmp_path):
    document = kept[0]["Rush hour"]
    park = api.open(territory(tmp_path / "other"))
    for name, net in (("a", "1"), ("b", "2"), ("a", "3")):
        signals.keep(park, document | {"name": name, "net": net})
    with park.reader() as ledger:
        found = signals.stored(ledger)
    assert {name: one["net"] for name, one in found.items()} == {"a": "3", "b": "2"}


def test_a_territory_without_these_streets_is_refused_before_anything_runs(tmp_path):
    city = territory(tmp_path / "city")
    routes = flows(tmp_path / "a.rou.xml", ("w_t t_e", 100))
    with pytest.raises(RequestError) as refused:
        asked("run", SINGLE, "--routes", routes, "--control", "installed", "--store", city)
    assert refused.value.code == "signals.other_network"
    assert "4 of the 4 streets" in refused.value.text()
    assert "4 trên 4 đoạn đường" in refused.value.text("vi")
    (city / "territory.yaml").write_text(TERRITORY.partition("traffic")[0])
    with pytest.raises(RequestError) as refused:
        asked("run", SINGLE, "--routes", routes, "--control", "installed", "--store", city)
    assert refused.value.code == "signals.no_network"


def test_a_net_in_a_plane_of_its_own_has_signals_without_a_place_and_files_without_their_folder(tmp_path):
    routes = flows(tmp_path / "a.rou.xml", ("w_t t_e", 600), end=120)
    plan = tmp_path / "plan.add.xml"
    asked("export", SINGLE, "--out", plan)
    done = asked("run", SINGLE, "--routes", routes, "--control", f"fixed:{plan}", "--draws", 1, "--json")
    found = json.loads(done.stdout)
    assert found["names"] == ["fixed:plan.add.xml"]
    assert found["name"] == "single-intersection"
    assert [(one["id"], one["lon"]) for one in found["signals"]] == [("t", None)]


def test_no_workers_can_compare_nothing(tmp_path):
    routes = flows(tmp_path / "a.rou.xml", ("w_t t_e", 100))
    with pytest.raises(MangroveError) as refused:
        asked("run", SINGLE, "--routes", routes, "--control", "installed", "--workers", 0)
    assert refused.value.code == "traffic.workers"


# --- Ctrl-C -------------------------------------------------------------------------------------------------------------


def simulating(mark):
    """Processes whose command line names a folder, the asking one left out."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                line = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line and b"sumo" in line and b"signals_app" not in line:
                found.append(int(path.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("control", ["installed", "adaptive"])
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_comparison_leaves_no_simulation_behind(tmp_path, control, told):
    routes = flows(tmp_path / "a.rou.xml", ("w_t t_e", 300), ("n_t t_s", 300), end=900_000)
    command = [
        *(sys.executable, "-m", "mangrove", "signals", "run", str(SINGLE), "--routes", str(routes)),
        *("--control", f"{control},actuated", "--workers", "2", "--draws", "2"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    try:
        ends = time.monotonic() + 30
        while len(simulating(str(tmp_path / "mangrove-sumo-"))) < 2 and time.monotonic() < ends:
            time.sleep(0.05)
        assert len(simulating(str(tmp_path / "mangrove-sumo-"))) >= 2
        process.send_signal(told)
        assert process.wait(20) == 130
        assert simulating(str(tmp_path / "mangrove-sumo-")) == []
        assert list(tmp_path.glob("mangrove-*")) == []
        assert b"Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


# --- demand that is none ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "name"),
    [
        ('<vehicle id="a" depart="nan"><route edges="w_t t_e"/></vehicle>', "depart"),
        ('<vehicle id="a" depart="inf"><route edges="w_t t_e"/></vehicle>', "depart"),
        ('<vehicle id="a" depart="soon"><route edges="w_t t_e"/></vehicle>', "depart"),
        (
            '<flow id="a" begin="0" end="60" vehsPerHour="many"><route edges="w_t t_e"/></flow>',
            "vehsPerHour",
        ),
    ],
)
def test_a_departure_or_rate_that_is_no_number_is_named_with_its_vehicle(tmp_path, element, name):
    routes = tmp_path / "a.rou.xml"
    routes.write_text(f"<routes>{element}</routes>")
    with pytest.raises(MangroveError) as refused:
        asked("run", SINGLE, "--routes", routes, "--control", "installed", "--draws", 1)
    assert refused.value.code == "signals.bad_number"
    assert name in refused.value.text("vi")
    assert "a" in refused.value.text()


def test_departures_may_be_written_as_a_clock(tmp_path):
    routes = tmp_path / "a.rou.xml"
    routes.write_text(
        '<routes><vehicle id="a" depart="0:01:10"><route edges="w_t t_e"/></vehicle><vehicle id="b" depart="130"><route edges="w_t t_e"/></vehicle></routes>'
    )
    elements = demand_draws.read_routes([routes])
    assert demand_draws.departures(elements) == (70.0, 130.0)
    drawn = tmp_path / "b.rou.xml"
    demand_draws.draw([routes], drawn, 3, jitter=0.0)
    assert {one.get("depart") for one in ET.parse(drawn).getroot()} <= {"70.00", "130.00"}
