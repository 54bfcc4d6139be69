"""The worker: models run beside a server and their results come back as batches of its ledger."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.measure.nowcast import twins
from tests.servers import key, running

import mangrove as mg
from mangrove import worker
from mangrove.client import Client, RemoteHandle
from mangrove.errors import LedgerError, Problem, RequestError
from mangrove.ledger.types import Origin, Quality, Rejected
from mangrove.testing import two_factory_park, values

START = datetime(2023, 6, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    rows = [("mill.power", START + timedelta(hours=i), 100.0 + 10 * ((i % 24) > 6)) for i in range(24 * 30)]
    with mg.open(folder).writer() as ledger:
        ledger.append(values(rows), Origin("file:test", "1"))
    return folder


def remote(folder, url, secret):
    opened = mg.open(folder)
    return RemoteHandle(opened.territory, opened.store, Client(url, secret))


def test_a_forecast_made_beside_a_server_is_a_batch_of_its_ledger(folder):
    secret = key(folder, "worker")
    with running(folder) as (url, _, _):
        park = remote(folder, url, secret)
        made = mg.forecast(
            park, ["mill.power"], START + timedelta(days=30), models=("naive",), as_of=datetime.now(UTC)
        )
        with mg.open(folder).reader() as ledger:
            runs = ledger.batches().column("run").to_pylist()
            kind, _, _ = ledger.record(made.record)
    assert kind == "forecast"
    assert {"forecast", "forecast/q10", "forecast/q90"} <= set(runs)


def test_screening_beside_a_server_marks_values_and_invents_none(folder):
    with mg.open(folder).writer() as ledger:
        ledger.append(
            values([("mill.power", START + timedelta(days=29, hours=3), 1e9)]), Origin("file:test", "2")
        )
    secret = key(folder, "worker")
    now = START + timedelta(days=30)
    with running(folder) as (url, _, _):
        marked = worker._screen(remote(folder, url, secret), now)
    assert int(marked) >= 1
    with mg.open(folder).reader() as ledger, ledger.snapshot() as snapshot:
        rows = snapshot.values(["mill.power"], now - timedelta(days=1), now).to_pylist()
    assert len(rows) == 24
    assert [row["quality"] for row in rows if row["value"] == 1e9] == [Quality.SPIKE]


def test_a_nowcast_beside_a_server_is_a_run_of_its_ledger_and_follows_its_clock(tmp_path):
    folder = tmp_path / "city"
    opened = twins.city(folder)
    with opened.writer() as ledger:
        twins.put(ledger, twins.inventory(), "inventory")
        twins.put(ledger, twins.live(), "live")
    now = datetime(2026, 8, 15, 3, 20, tzinfo=UTC)
    secret = key(folder, "worker")
    with running(folder) as (url, _, _):
        assert int(worker._nowcast(remote(folder, url, secret), now)) > 0
    with opened.reader() as ledger:
        assert ledger.records("nowcast")
    found = mg.measure(opened, "2026-08-15", run="estimate/nowcast", every="1h", store=False).to_arrow()
    assert max(found["start"].to_pylist()) == datetime(2026, 8, 15, 2, tzinfo=UTC)


def test_a_territory_without_drivers_has_nothing_to_nowcast(folder):
    assert worker._nowcast(remote(folder, "http://127.0.0.1:9", "k"), START) == "0"


def test_a_territory_without_counted_streets_has_no_traffic(folder):
    assert worker._traffic(remote(folder, "http://127.0.0.1:9", "k"), START) == "0"


def test_counts_of_streets_are_not_forecast_one_by_one(tmp_path):
    from tests.measure.traffic.counted_city import city

    flows = city(tmp_path / "city").territory.flows
    assert not worker._wanted(flows["main_moto"])
    assert worker._wanted(flows["west_co2"])


def test_a_key_of_another_role_stores_no_forecast(folder):
    secret = key(folder, "operator")
    with running(folder) as (url, _, _):
        park = remote(folder, url, secret)
        with pytest.raises(mg.errors.SourceError) as refused, park.writer() as ledger:
            ledger.append(values([("mill.power", START, 1.0)]), Origin("model:x", "1", "forecast", model="x"))
    assert refused.value.code == "client.refused"


def test_models_have_no_rejected_rows(folder):
    park = remote(folder, "http://127.0.0.1:9", "k")
    with park.writer() as ledger, pytest.raises(LedgerError):
        ledger.append(values([]), Origin("a", "1"), rejected=[Rejected(b"x", Problem("ledger.no_flow"))])


def test_a_worker_without_a_key_says_how_to_get_one(folder, monkeypatch):
    monkeypatch.delenv(worker.KEY, raising=False)
    with pytest.raises(RequestError) as refused:
        worker.work(folder, "http://127.0.0.1:9", once=True, say=lambda _: None, lang="en")
    assert "mangrove key add" in refused.value.text()


def test_one_round_of_a_worker_says_what_it_did(folder, monkeypatch):
    monkeypatch.setenv(worker.KEY, key(folder, "worker"))
    said = []
    with running(folder) as (url, _, _):
        worker.work(folder, url, once=True, say=said.append, lang="vi")
    assert len(said) == len(worker.jobs())
    assert "sàng lọc" in said[0]
