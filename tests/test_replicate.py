# SPDX-License-Identifier: Apache-2.0
"""Replicas: readable at every moment, never backwards, never of another history."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove import replicate as module
from mangrove.backup import backup, restore
from mangrove.errors import DataQualityError, LedgerError, RequestError, SourceError
from mangrove.ledger import Ledger, Origin, files
from mangrove.replicate import Manifest, replicate
from mangrove.serve import replica
from mangrove.serve.scope import Principal
from mangrove.serve.state import Live
from mangrove.testing import steady, two_factory_park, values

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def append(park, turns, seal=True):
    with park.writer() as ledger:
        for turn in turns:
            rows = steady("mill.power", START + turn * 50 * HOUR, HOUR, 50, float(turn))
            ledger.append(values(rows), Origin("t", str(turn)))
        if seal:
            ledger.seal()


@pytest.fixture
def park(tmp_path):
    park = mg.open(two_factory_park(tmp_path / "park"))
    append(park, range(3))
    append(park, range(3, 5), seal=False)
    return park


@pytest.fixture
def city(tmp_path):
    return tmp_path / "city"


def held(folder):
    with Ledger.open(folder / ".mangrove", read_only=True) as ledger:
        assert ledger.verify() == []
        with ledger.snapshot() as snapshot:
            rows = snapshot.values(["mill.power"], START, START + timedelta(days=3650))
        return ledger.cut(), rows.num_rows, ledger.batches().column("hash").to_pylist()


def total(folder):
    return mg.measure(mg.open(folder), "2024", store=False).total


def test_a_replica_measures_as_its_source_with_what_is_not_sealed_yet(park, city):
    done = replicate(park.territory.path, city)
    assert (done.before, done.batch, done.kept) == (0, 5, 0)
    assert held(city) == held(park.territory.path)
    assert str(total(city)) == str(total(park.territory.path))
    assert mg.open(city).territory.content_hash == park.territory.content_hash


def test_only_missing_files_are_copied(park, city):
    first = replicate(park.territory.path, city)
    again = replicate(park.territory.path, city)
    assert (again.copied, again.kept) == (0, first.copied)
    append(park, range(5, 8))
    third = replicate(park.territory.path, city)
    assert third.kept == first.copied
    assert third.copied > 0
    assert held(city) == held(park.territory.path)


def test_files_that_were_compacted_away_stay_for_readers_and_then_go(park, city, monkeypatch):
    append(park, range(5, 8))
    replicate(park.territory.path, city)
    old = set((city / ".mangrove" / files.SEGMENTS).iterdir())
    with Ledger.open(city / ".mangrove", read_only=True) as reader, reader.snapshot() as snapshot:
        with park.writer() as ledger:
            assert ledger.compact()
        replicate(park.territory.path, city)
        assert old <= set((city / ".mangrove" / files.SEGMENTS).iterdir())
        assert snapshot.values(["mill.power"], START, START + timedelta(days=99)).num_rows == 400
    monkeypatch.setattr(module, "catalog_grace", lambda: -1.0)
    replicate(park.territory.path, city)
    assert not old & set((city / ".mangrove" / files.SEGMENTS).iterdir())
    assert held(city) == held(park.territory.path)


def test_the_declaration_follows_its_source(park, city):
    extra = park.territory.path / "factors.csv"
    extra.write_text("activity,gas,value,unit,source\nx/y,CO2,1,kg/kWh,test\n")
    replicate(park.territory.path, city)
    assert (city / "factors.csv").read_bytes() == extra.read_bytes()
    extra.unlink()
    replicate(park.territory.path, city)
    assert not (city / "factors.csv").exists()


def test_what_was_recorded_at_the_replica_is_kept(park, city):
    replicate(park.territory.path, city)
    with Ledger.open(city / ".mangrove", read_only=True) as ledger:
        id_ = ledger.put_record("note", b"here")
    append(park, [5])
    replicate(park.territory.path, city)
    with Ledger.open(city / ".mangrove", read_only=True) as ledger:
        assert ledger.record(id_)[1] == b"here"
    assert held(city)[0] == 6


def test_a_replica_never_goes_back(park, city, tmp_path):
    backup(park.territory.path, tmp_path / "b.tar")
    append(park, [5])
    replicate(park.territory.path, city)
    before = held(city)
    restore(tmp_path / "b.tar", tmp_path / "older")
    with pytest.raises(DataQualityError, match="never goes back") as error:
        replicate(tmp_path / "older", city)
    assert error.value.code == "keeping.backwards"
    assert held(city) == before


def test_a_source_with_another_history_is_refused(park, city, tmp_path):
    replicate(park.territory.path, city)
    before = held(city)
    other = mg.open(two_factory_park(tmp_path / "other"))
    append(other, range(9))
    with pytest.raises(DataQualityError) as error:
        replicate(other.territory.path, city)
    assert error.value.code == "keeping.forked"
    append(park, [5])
    with closing(sqlite3.connect(park.store / "catalog.db")) as db:
        db.execute("update batch set note = 'nothing happened' where id = 2")
        db.commit()
    with pytest.raises(DataQualityError, match="batch 2") as error:
        replicate(park.territory.path, city)
    assert error.value.code == "keeping.broken_chain"
    assert held(city) == before


def test_a_damaged_file_is_refused_and_the_replica_stays(park, city):
    replicate(park.territory.path, city)
    before = held(city)
    append(park, [5])
    known = {path.name for path in (city / ".mangrove" / files.SEGMENTS).iterdir()}
    fresh = next(path for path in (park.store / files.SEGMENTS).iterdir() if path.name not in known)
    body = bytearray(fresh.read_bytes())
    body[100] ^= 1
    fresh.write_bytes(body)
    with pytest.raises(SourceError) as error:
        replicate(park.territory.path, city)
    assert error.value.code == "keeping.bad_file"
    assert held(city) == before


def test_a_territory_of_its_own_is_never_overwritten(park, tmp_path):
    other = mg.open(two_factory_park(tmp_path / "other"))
    for _ in range(2):
        with pytest.raises(RequestError) as error:
            replicate(park.territory.path, other.territory.path)
        assert error.value.code == "keeping.target_foreign"
        append(other, [0])
    with pytest.raises(RequestError):
        replicate(tmp_path / "nothing", tmp_path / "city")


def test_two_replications_at_once_and_a_writer_at_the_replica_are_named(park, city):
    replicate(park.territory.path, city)
    with module._only_one(city), pytest.raises(LedgerError) as error:
        replicate(park.territory.path, city)
    assert error.value.code == "keeping.target_busy"
    with Ledger.open(city / ".mangrove"), pytest.raises(LedgerError) as error:
        replicate(park.territory.path, city)
    assert error.value.code == "keeping.target_busy"


CHILD = """
import sys, time
from pathlib import Path
from mangrove import replicate as module
copy, write, switch = module._copy, module._write_durably, module._switch
def slow(work):
    def run(*given):
        time.sleep(0.01)
        print("step", flush=True)
        return work(*given)
    return run
module._copy, module._write_durably, module._switch = slow(copy), slow(write), slow(switch)
module.replicate(Path(sys.argv[1]), Path(sys.argv[2]))
print("done", flush=True)
"""


@pytest.mark.crash
def test_a_kill_at_any_moment_leaves_the_old_state_or_the_new_one(park, city):
    replicate(park.territory.path, city)
    states = [held(city)]
    chance = random.Random(3)
    finished = 0
    for turn in range(8):
        append(park, [5 + turn], seal=turn % 2 == 0)
        states.append(held(park.territory.path))
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(park.territory.path), str(city)], stdout=subprocess.PIPE
        ) as child:
            for _ in range(chance.randint(1, 8)):
                finished += child.stdout.readline() == b"done\n"
            time.sleep(chance.random() * 0.02)
            os.kill(child.pid, signal.SIGKILL)
        assert held(city) in states
    assert finished < 8
    replicate(park.territory.path, city)
    assert held(city) == held(park.territory.path)


class Access:
    """Keys by their names."""

    @staticmethod
    def need(*roles, guests=True):
        def allowed(request: Request):
            name = request.headers.get("authorization", "").removeprefix("Bearer ")
            role = "city" if name == "replica" else name
            if role not in roles:
                raise HTTPException(403 if role else 401)
            return Principal("9", name, "key", role, "mill" if request.headers.get("x-part") else "")

        return allowed


def application(park):
    app = FastAPI()
    app.include_router(replica.router(Live(park), Access()))
    return app


@contextmanager
def served(app):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


def test_a_replica_comes_over_http_with_a_key(park, city):
    with served(application(park)) as address:
        for key in ("", "tenant", "city"):
            with pytest.raises(SourceError) as error:
                replicate(address, city, key)
            assert error.value.code == "keeping.refused"
        assert replicate(address, city, "replica").batch == 5
        assert held(city) == held(park.territory.path)
        append(park, [5])
        done = replicate(address + "/", city, "admin")
        assert (done.before, done.batch) == (5, 6)
    assert held(city) == held(park.territory.path)
    assert len(list((park.store / "replica").iterdir())) == 2
    with pytest.raises(SourceError) as error:
        replicate(address, city, "worker")
    assert error.value.code == "keeping.unreachable"


def test_the_routes_give_files_of_a_manifest_and_nothing_else(park):
    with TestClient(application(park)) as client:
        headers = {"authorization": "Bearer worker"}
        document = client.get("/api/v1/replica/manifest", headers=headers).json()
        manifest = Manifest.read(document, "test")
        for entry in (manifest.catalog, *manifest.files, *manifest.declaration):
            answer = client.get(f"/api/v1/replica/files/{entry.sha256}", headers=headers)
            assert len(answer.content) == entry.bytes
        for wrong in ("0" * 64, "..%2Faccess.db", "access.db"):
            assert client.get(f"/api/v1/replica/files/{wrong}", headers=headers).status_code == 404
        part = client.get("/api/v1/replica/manifest", headers={**headers, "x-part": "1"})
        assert part.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "../../x.csv",
        "/etc/x.csv",
        ".mangrove/catalog.db",
        "segments/../../x",
        ".hidden.csv",
        "plans/a.csv",
        "run.sh",
    ],
)
def test_a_manifest_cannot_name_a_file_outside_the_replica(park, city, path, tmp_path):
    made = module.offer(park.territory.path, tmp_path / "copy").document()
    for part in ("files", "declaration"):
        document = json.loads(json.dumps(made))
        document[part][0]["path"] = path
        with pytest.raises(SourceError) as error:
            Manifest.read(document, "test")
        assert error.value.code == "keeping.bad_manifest"


@pytest.mark.parametrize(
    "document", [None, [], {}, {"format": "1"}, {"format": "1", "catalog": 3, "files": [], "declaration": []}]
)
def test_a_manifest_that_is_none_is_refused(document):
    with pytest.raises(SourceError):
        Manifest.read(document, "test")
