# SPDX-License-Identifier: Apache-2.0
"""What an accident leaves behind: locks, leftovers, missing and damaged files. A server starts clean, or says by name what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.brokers import until
from tests.faults.whole import COUNTER, END, FIRST, START, kept, land, launch, post, server, stored
from tests.servers import key

from mangrove import api
from mangrove.ledger import Ledger, Origin
from mangrove.sources import intake as intakes
from mangrove.sources.intake import Intake
from mangrove.testing import values

pytestmark = pytest.mark.crash


@pytest.fixture
def park(tmp_path):
    return land(tmp_path / "park")


def fill(park, numbers, secret=None):
    """Stores requests of a gateway over a server."""
    secret = secret or key(park)
    with server(park) as running, kept(running.port) as connection:
        for number in numbers:
            assert post(connection, secret, "a0", number)[0] == 200
    return secret


def refusal(park):
    """What a server that does not start says, without a traceback."""
    process, log = launch(park)
    assert process.wait(60) == 1
    said = log.read_text()
    assert "Traceback" not in said, said
    return said


def test_locks_and_leftovers_of_a_dead_server_keep_no_new_one_out(park):
    secret = fill(park, range(3))
    store = park / ".mangrove"
    (store / "lock").write_text("4711")
    leftovers = [
        store / "segments" / "2024-01-01.abc.parquet.tmp",
        store / "rollups" / "2024-01-01.abc.parquet.tmp",
    ]
    for path in leftovers:
        path.write_bytes(b"half")
    fill(park, range(3, 6), secret)
    assert not any(path.exists() for path in leftovers)
    assert set(stored(park)["a0"]) == set(range(6))


@pytest.mark.parametrize(
    ("how", "code"), [("missing", "ledger.unreadable"), ("truncated", "ledger.unreadable")]
)
def test_a_damaged_segment_is_named_and_stops_neither_values_nor_the_writer(park, how, code):
    secret = fill(park, range(3))
    with Ledger.open(park / ".mangrove") as ledger:
        ledger.seal()
        segment = next((ledger.root / "segments").iterdir())
    if how == "missing":
        segment.unlink()
    else:
        segment.write_bytes(segment.read_bytes()[:100])
    with server(park) as running, kept(running.port) as connection:
        assert post(connection, secret, "a0", 10)[0] == 200
        # A value for a minute that stands in the damaged file cannot be compared with what is there: it is refused by name.
        status, answer = post(connection, secret, "a0", 1, again="x")
        assert (status, answer["problems"][0]["code"]) == (500, code), answer
        assert post(connection, secret, "a0", 11)[0] == 200
        connection.request("GET", "/health.json", headers={"authorization": f"Bearer {secret}"})
        health = connection.getresponse()
        text = health.read().decode()
    assert segment.name in text or health.status >= 500, (health.status, text[:500])
    assert "Traceback" not in running.said()
    with Ledger.open(park / ".mangrove") as ledger:
        assert {one.code for one in ledger.verify()} <= {"ledger.file_missing", "ledger.file_changed"}


def test_what_goes_wrong_beside_it_ends_neither_the_writer_nor_the_sealer(park, monkeypatch):
    territory = api.open(park).territory
    monkeypatch.setattr(intakes, "DERIVE_EVERY", 0.0)
    monkeypatch.setattr(intakes, "SEAL_EVERY", 0.0)
    with Ledger.open(park / ".mangrove") as ledger, Intake(ledger, territory) as intake:

        def broken(*_):
            raise RuntimeError

        with monkeypatch.context() as once:
            once.setattr(intake._registers, "derive", broken)
            once.setattr(ledger, "seal", broken)
            for number in range(5):
                assert intake.put(counter([number]), Origin("t", str(number)), timeout=20).rows == 1
            until(lambda: intake.counters.failed >= 2, "both went wrong")
        assert intake.put(counter([5]), Origin("t", "5"), timeout=20).rows == 1
        until(
            lambda: sum(one.suffix == ".parquet" for one in (ledger.root / "segments").iterdir()), "it seals"
        )
    with Ledger.open(park / ".mangrove", read_only=True) as ledger, ledger.snapshot() as snapshot:
        assert snapshot.values([COUNTER], START, END).column("value").to_numpy().sum() == 5


def test_a_running_server_joins_its_files_now_and_then(park, monkeypatch):
    monkeypatch.setattr(intakes, "SEAL_EVERY", 0.0)
    monkeypatch.setattr(intakes, "COMPACT_SEALS", 3)
    territory = api.open(park).territory
    with Ledger.open(park / ".mangrove") as ledger, Intake(ledger, territory) as intake:
        compacted, real = [], ledger.compact
        monkeypatch.setattr(ledger, "compact", lambda: compacted.append(real()))
        for number in range(2000):
            intake.put(counter([number]), Origin("t", str(number)))
            if compacted:
                break
        assert compacted[0] > 1
        assert ledger.verify() == []


def counter(numbers):
    return values([(COUNTER, datetime.fromtimestamp(FIRST + 60 * n, UTC), float(n)) for n in numbers])


def test_a_park_that_reports_nothing_yet_has_its_pages(park):
    flows = park / "flows.csv"
    flows.write_text(flows.read_text().replace(",2\n", ",\n").replace(",2,", ",,"))
    secret = key(park)
    with server(park) as running, kept(running.port) as connection:
        for page in ("now", "inventory", "health", "map"):
            connection.request("GET", f"/{page}.json", headers={"authorization": f"Bearer {secret}"})
            answer = connection.getresponse()
            assert answer.status == 200, (page, answer.read())
            answer.read()
    assert "Traceback" not in running.said(), running.said()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("access.db", ("access.db", "cannot be read")),
        ("things.db", ("things.db", "cannot be read")),
        ("catalog.db", ("damaged",)),
    ],
)
def test_a_damaged_database_is_named_at_the_start(park, file, words):
    fill(park, range(2))
    for rest in ("-wal", "-shm"):
        (park / ".mangrove" / f"{file}{rest}").unlink(missing_ok=True)
    (park / ".mangrove" / file).write_bytes(b"this is no database" * 1000)
    said = refusal(park)
    assert all(word in said for word in words), said


def test_a_broken_declaration_is_named_at_the_start_and_changes_no_running_server(park):
    secret = key(park)
    flows = park / "flows.csv"
    good = flows.read_text()
    with server(park) as running, kept(running.port) as connection:
        assert post(connection, secret, "a0", 0)[0] == 200
        flows.write_text(good.replace("kWh", "furlong"))
        assert post(connection, secret, "a0", 1)[0] == 200
        connection.request("GET", "/now.json", headers={"authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    said = refusal(park)
    assert "flows.csv:2" in said
    assert "furlong" in said
    flows.write_text(good)
    with server(park):
        pass
    assert set(stored(park)["a0"]) == {0, 1}
