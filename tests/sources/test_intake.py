"""The intake: receipts only after the commit, a bounded queue, one bad batch that stops nobody else."""

import threading
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import mangrove as mg
from mangrove.errors import LedgerError, SourceError
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin
from mangrove.sources.intake import Intake
from mangrove.testing import park_of, two_factory_park, values

START = datetime(2024, 1, 1, tzinfo=UTC)


def hours(flow, count, first=0, value=1.0):
    return values([(flow, START + timedelta(hours=first + i), value) for i in range(count)])


@pytest.fixture
def park(tmp_path):
    return mg.open(two_factory_park(tmp_path / "park"))


def test_a_receipt_means_that_another_process_can_read_the_rows(park):
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        receipt = intake.offer(hours("mill.power", 24), Origin("http:a", "1")).result(10)
        with park.reader() as reader:
            assert reader.cut() == receipt.batch
            with reader.snapshot() as snapshot:
                assert snapshot.values(["mill.power"], START, START + timedelta(days=2)).num_rows == 24


def test_a_batch_that_comes_twice_is_stored_once(park):
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        futures = [intake.offer(hours("mill.power", 3), Origin("http:a", "same")) for _ in range(5)]
        receipts = [future.result(10) for future in futures]
    assert len({receipt.batch for receipt in receipts}) == 1
    assert sum(not receipt.duplicate for receipt in receipts) == 1


def test_many_senders_at_once_lose_nothing(park):
    done = []
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:

        def send(number):
            for i in range(20):
                rows = hours("mill.power", 5, first=(number * 20 + i) * 5)
                done.append(intake.put(rows, Origin(f"http:{number}", str(i))))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert intake.counters.rows == 8 * 20 * 5
        assert intake.counters.commits <= intake.counters.batches
    with park.reader() as ledger:
        assert ledger.batches().num_rows == len(done) == 160
        assert not ledger.verify()


def test_a_full_queue_refuses_and_keeps_what_it_has(park):
    hold, held = threading.Event(), threading.Event()
    with park.writer() as ledger, Intake(ledger, park.territory, most_rows=100) as intake:
        intake.call(lambda _: (held.set(), hold.wait(10)))
        held.wait(10)
        first = intake.offer(hours("mill.power", 90), Origin("http:a", "1"))
        with pytest.raises(SourceError) as refused:
            intake.offer(hours("mill.power", 20, first=100), Origin("http:a", "2"))
        assert refused.value.code == "sources.busy"
        with pytest.raises(SourceError):
            intake.put(hours("mill.power", 20, first=100), Origin("http:a", "2"), timeout=0.05)
        assert intake.depth.rows == 90
        hold.set()
        assert first.result(10).rows == 90
        assert intake.offer(hours("mill.power", 20, first=100), Origin("http:a", "2")).result(10).rows == 20
        assert intake.counters.refused == 2


def test_one_wrong_table_does_not_stop_the_others_of_its_group(park):
    hold, held = threading.Event(), threading.Event()
    wrong = pa.table({"flow": ["mill.power"], "start": ["yesterday"], "value": [1.0]})
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        intake.call(lambda _: (held.set(), hold.wait(10)))
        held.wait(10)
        good = [intake.offer(hours("mill.power", 2, first=2 * i), Origin("http:a", str(i))) for i in range(3)]
        bad = intake.offer(wrong, Origin("http:b", "1"))
        hold.set()
        assert [future.result(10).rows for future in good] == [2, 2, 2]
        with pytest.raises((LedgerError, ValueError)):
            bad.result(10)


def test_a_store_that_refuses_fails_the_batch_and_the_next_one_goes_in(park, monkeypatch):
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        real = ledger.append_group

        def full(_batches):
            raise LedgerError("ledger.disk", reason="no space")

        monkeypatch.setattr(ledger, "append_group", full)
        with pytest.raises(LedgerError):
            intake.offer(hours("mill.power", 2), Origin("http:a", "1")).result(10)
        monkeypatch.setattr(ledger, "append_group", real)
        assert intake.offer(hours("mill.power", 2), Origin("http:a", "1")).result(10).rows == 2
        assert intake.counters.failed == 1


def test_work_runs_between_commits_and_its_errors_go_to_who_asked(park):
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        assert intake.call(lambda book: book.put_record("note", b"{}")).result(10)
        with pytest.raises(ZeroDivisionError):
            intake.call(lambda _: 1 / 0).result(10)
        assert intake.offer(hours("mill.power", 1), Origin("http:a", "1")).result(10).rows == 1


def test_listeners_hear_what_came_and_a_bad_listener_stops_nobody(park):
    heard = []
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        intake.subscribe(lambda _: 1 / 0)
        end = intake.subscribe(heard.append)
        intake.offer(hours("mill.power", 3), Origin("http:a", "1")).result(10)
        end()
        intake.offer(hours("mill.power", 3, first=3), Origin("http:a", "2")).result(10)
    assert [arrival.flows for arrival in heard] == [{"mill.power"}]
    assert heard[0].last == {"mill.power": int((START + timedelta(hours=2)).timestamp() * 1e6)}


def test_readings_of_a_counter_become_amounts(tmp_path):
    flows = [
        {
            "id": "meter",
            "place": "park",
            "carrier": "electricity",
            "unit": "kWh",
            "step": "1h",
            "semantics": "counter",
        }
    ]
    park = mg.open(park_of(tmp_path / "park", flows))
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        rows = values([("meter", START + timedelta(hours=i), 100.0 + 5 * i) for i in range(5)])
        wait([intake.offer(rows, Origin("modbus:meter", "1"))], 10)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        amounts = snapshot.values(["meter"], START, START + timedelta(days=1)).column("value").to_pylist()
    assert amounts == [5.0] * 4


def test_a_plan_for_a_counter_is_no_register(tmp_path):
    flows = [
        {
            "id": "meter",
            "place": "park",
            "carrier": "electricity",
            "unit": "kWh",
            "step": "1h",
            "semantics": "counter",
        }
    ]
    park = mg.open(park_of(tmp_path / "park", flows))
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        intake.offer(values([("meter", START, 7.0)]), Origin("model:x", "1", "schedule")).result(10)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        assert snapshot.values(["schedule:meter"], START, START + timedelta(hours=1)).column(
            "value"
        ).to_pylist() == [7.0]


def test_after_the_end_nothing_is_taken(park):
    with park.writer() as ledger:
        with Intake(ledger, park.territory) as intake:
            pass
        with pytest.raises(SourceError) as refused:
            intake.offer(hours("mill.power", 1), Origin("http:a", "1"))
        assert refused.value.code == "sources.closed"
        assert isinstance(ledger, Ledger)
