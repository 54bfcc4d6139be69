# SPDX-License-Identifier: Apache-2.0
"""What an accident leaves behind: locks, leftovers, missing and damaged files. A server starts clean, or says by name what is wrong."""

from __future__ import annotations

import pytest
from tests.faults.whole import COUNTER, FIRST, kept, land, launch, post, server, stored
from tests.servers import key

from mangrove.ledger import Ledger, Origin
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


def test_a_damaged_segment_does_not_end_the_writer_of_counters(park):
    with Ledger.open(park / ".mangrove") as ledger:
        from mangrove import api

        territory = api.open(park).territory
        with Intake(ledger, territory) as intake:
            intake.put(counter(range(10)), Origin("t", "1"))
        ledger.seal()
        for segment in (ledger.root / "segments").iterdir():
            segment.unlink()
        with Intake(ledger, territory) as intake:
            for number in range(10, 14):  # the second comes after a derivation that cannot read
                assert intake.put(counter([number]), Origin("t", str(number)), timeout=20).rows == 1
                intake._registers.touched.setdefault(COUNTER, (0, 1))
                __import__("time").sleep(0.3)


def counter(numbers):
    from datetime import UTC, datetime

    return values([(COUNTER, datetime.fromtimestamp(FIRST + 60 * n, UTC), float(n)) for n in numbers])


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
