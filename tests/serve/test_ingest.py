# SPDX-License-Identifier: Apache-2.0
"""Values in and out over HTTP: stored before answered, once, only one's own, and never more than there is room for."""

import asyncio
import base64
import gzip
import hashlib
import json
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pyarrow as pa
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.errors import LedgerError, SourceError
from mangrove.ledger import sessions
from mangrove.ledger.types import Quality
from mangrove.serve import ingest, requests, values_out
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal
from mangrove.serve.state import Live
from mangrove.sources.intake import Intake
from mangrove.testing import two_factory_park

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
PEOPLE = {
    "admin": Principal("1", "Lan", "user", "admin"),
    "operator": Principal("2", "Minh", "user", "operator"),
    "tenant": Principal("3", "An", "user", "tenant", "mill"),
    "city": Principal("4", "City", "key", "city"),
    "device": Principal("5", "gw", "key", "device", "", "gw"),
    "worker": Principal("6", "work", "key", "worker"),
}
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}


class Access:
    """Takes the caller's word for who it is."""

    @staticmethod
    def need(*roles, guests=True):
        def allowed(request: Request):
            principal = PEOPLE.get(request.headers.get("x-who", ""))
            if principal is None:
                raise HTTPException(401)
            if principal.role not in roles:
                raise HTTPException(403)
            return principal

        return allowed


@pytest.fixture
def park(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    (folder / "devices.csv").write_text("id,protocol,place\ngw,http,mill\n")
    (folder / "points.csv").write_text("device,address,flow,unit\ngw,oven#kwh,mill.power,kWh\n")
    return mg.open(folder)


@contextmanager
def served(park, **options):
    """A client of the routes with a running intake, and what the audit heard."""
    heard = []
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        live = Live(park, Clock(NOW, speed=0), intake)
        app = FastAPI()
        app.include_router(ingest.router(live, Access(), audit=lambda *said: heard.append(said), **options))
        app.include_router(values_out.router(live, Access()))
        with TestClient(app) as client:
            yield SimpleNamespace(client=client, live=live, ledger=ledger, heard=heard)


def who(name, **more):
    return {"x-who": name, **more}


def reading(hour=0, value=1.5, flow="mill.power"):
    return {"flow": flow, "ts": f"2024-06-05T{hour:02}:00:00Z", "value": value}


def test_a_receipt_comes_only_after_the_batch_is_in_the_ledger(park):
    with served(park) as here:
        answer = here.client.post("/api/v1/values", json=[reading()], headers=who("operator"))
        assert answer.status_code == 200
        said = answer.json()
        assert {k: said[k] for k in ("rows", "unchanged", "rejected", "duplicate", "problems")} == {
            "rows": 1, "unchanged": 0, "rejected": 0, "duplicate": False, "problems": [],
        }  # fmt: skip
        (batch,) = here.ledger.batches().to_pylist()
        assert (batch["batch"], batch["hash"], batch["source"]) == (said["batch"], said["hash"], "http:2")


def test_the_answer_waits_for_the_commit(park):
    done = Future()
    intake = SimpleNamespace(offer=lambda *_: done, subscribe=lambda _: None)
    live = Live(park, Clock(NOW, speed=0), intake)
    app = FastAPI()
    app.include_router(ingest.router(live, Access()))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            asked = asyncio.create_task(
                client.post("/api/v1/values", json=[reading()], headers=who("operator"))
            )
            await asyncio.sleep(0.2)
            assert not asked.done()
            done.set_exception(LedgerError("ledger.disk", reason="full"))
            return await asked

    answer = asyncio.run(ask())
    assert answer.status_code == 507
    assert answer.json()["problems"][0]["code"] == "ledger.disk"


def test_the_same_request_twice_is_stored_once_by_its_key_or_by_its_bytes(park):
    with served(park) as here:
        keyed = who("operator", **{"idempotency-key": "abc"})
        first = here.client.post("/api/v1/values", json=[reading()], headers=keyed).json()
        again = here.client.post("/api/v1/values", json=[reading(value=9)], headers=keyed).json()
        assert (again["batch"], again["duplicate"]) == (first["batch"], True)
        plain = [
            here.client.post("/api/v1/values", json=[reading(2)], headers=who("operator")).json()
            for _ in "12"
        ]
        assert [one["duplicate"] for one in plain] == [False, True]
        other = here.client.post(
            "/api/v1/values", json=[reading(value=9)], headers=who("admin", **{"idempotency-key": "abc"})
        )
        assert not other.json()["duplicate"]
        body = json.dumps([reading(2)], separators=(",", ":"), ensure_ascii=False).encode()
        assert here.ledger.batches().column("seq").to_pylist()[1] == hashlib.sha256(body).hexdigest()
        bad = here.client.post(
            "/api/v1/values", json=[reading()], headers=who("operator", **{"idempotency-key": "a b"})
        )
        assert bad.json()["problems"][0]["code"] == "ingest.bad_key"


def test_one_bad_row_is_quarantined_and_named_and_the_others_are_stored(park):
    with served(park) as here:
        body = [reading(i % 24, float(i)) for i in range(24)] + [reading(flow="mil.power")]
        headers = who("operator", **{"accept-language": "vi"})
        said = here.client.post("/api/v1/values", json=body, headers=headers).json()
        assert (said["rows"], said["rejected"]) == (24, 1)
        (problem,) = said["problems"]
        assert (problem["line"], problem["code"]) == (25, "sources.unknown_flow")
        assert "mill.power" in problem["text"]
        (row,) = here.ledger.quarantine().to_pylist()
        assert (row["line"], row["code"], json.loads(row["raw"])["flow"]) == (
            25,
            "sources.unknown_flow",
            "mil.power",
        )


def test_a_device_writes_its_own_flows_and_nothing_else(park):
    with served(park) as here:
        mine = here.client.post("/api/v1/values", json=[reading()], headers=who("device"))
        assert mine.status_code == 200
        texts = set()
        for flow in ("shop.power", "mill.coal", "no.such.flow"):
            both = here.client.post(
                "/api/v1/values", json=[reading(1), reading(1, flow=flow)], headers=who("device")
            )
            assert both.status_code == 403
            texts.add(both.text)
        assert len(texts) == 1
        assert "shop" not in texts.pop()
        assert here.ledger.cut() == mine.json()["batch"]
        tenant = here.client.post("/api/v1/values", json=[reading(flow="shop.power")], headers=who("tenant"))
        assert tenant.status_code == 403


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/v1/values", "POST"), ("/api/v2/write", "POST"), ("/write", "POST"), ("/api/v1/corrections", "POST"),
     ("/api/v1/records", "POST"), ("/api/v1/sessions", "POST"), ("/api/v1/values", "GET"), ("/api/v1/flows", "GET"),
     ("/api/v1/values.csv", "GET"), ("/api/v1/flows.arrow", "GET")],
)  # fmt: skip
def test_a_stranger_gets_nothing_and_the_city_writes_nothing(park, path, method):
    with served(park) as here:
        assert here.client.request(method, path).status_code == 401
        if method == "POST":
            assert here.client.request(method, path, headers=who("city")).status_code == 403


async def chunked(app, part, headers):
    """The status of a request that never ends, and how many parts of it were read."""
    read, sent = [], []

    async def receive():
        read.append(part)
        assert len(read) < 10, "the body is read on and on"
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/values", "raw_path": b"/api/v1/values", "query_string": b"",
             "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "http_version": "1.1",
             "scheme": "http", "root_path": "", "client": None, "server": None, "asgi": {"version": "3.0"}}  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], len(read)


def test_a_body_over_the_limit_is_refused_before_it_is_read(park):
    with served(park, most_bytes=1000, most_unpacked=5000) as here:
        long = json.dumps([reading()] * 20).encode()
        said = here.client.post("/api/v1/values", content=long, headers=who("operator"))
        assert (said.status_code, said.headers["connection"]) == (413, "close")

        asked = asyncio.run(chunked(here.client.app, b"[" * 500, who("operator")))
        assert asked == (413, 3)
        bomb = gzip.compress(b" " * 100_000)
        packed = here.client.post(
            "/api/v1/values", content=bomb, headers=who("operator", **{"content-encoding": "gzip"})
        )
        assert packed.json()["problems"][0]["code"] == "ingest.unpacked_too_large"
        assert here.ledger.cut() == 0


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_packed_bodies_are_unpacked(park, form):
    body = json.dumps([reading()]).encode()
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, form) as stream:
        stream.write(body)
    packed = sink.getvalue().to_pybytes()
    with served(park) as here:
        said = here.client.post(
            "/api/v1/values", content=packed, headers=who("operator", **{"content-encoding": form})
        )
        assert said.json()["rows"] == 1
        broken = here.client.post(
            "/api/v1/values", content=packed[:-9], headers=who("operator", **{"content-encoding": form})
        )
        assert broken.status_code == 400


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [({"content-encoding": "br"}, b"", 415), ({"content-type": "image/png"}, b"", 415), ({}, b"", 400), ({}, b"[]", 400),
     ({}, b"{", 400), ({"content-type": "text/csv"}, b"flow,ts,value\n", 400), (ARROW, b"x", 400),
     ({"mangrove-run": "weather"}, b"[]", 400)],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_status_and_code(park, headers, content, status):
    with served(park) as here:
        answer = here.client.post("/api/v1/values", content=content, headers=who("operator", **headers))
        assert answer.status_code == status
        assert answer.json()["problems"][0]["text"]


def test_a_full_queue_is_answered_with_429_and_a_time_to_wait(park):
    def busy(*_):
        raise SourceError("sources.busy", rows=500_000)

    live = Live(park, Clock(NOW, speed=0), SimpleNamespace(offer=busy, subscribe=lambda _: None))
    app = FastAPI()
    app.include_router(ingest.router(live, Access()))
    with TestClient(app) as client:
        answer = client.post("/api/v1/values", json=[reading()], headers=who("operator"))
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (429, True)
        influx = client.post("/api/v2/write", content=b"mill.power value=1 1", headers=who("operator"))
        assert (influx.status_code, influx.headers["retry-after"]) == (429, answer.headers["retry-after"])
        assert influx.json()["code"] == "too many requests"


def test_back_pressure_of_a_blocked_writer_reaches_the_sender_and_ends(park):
    release = threading.Event()
    with park.writer() as ledger, Intake(ledger, park.territory, most_rows=10) as intake:
        live = Live(park, Clock(NOW, speed=0), intake)
        app = FastAPI()
        app.include_router(ingest.router(live, Access()))
        blocked = intake.call(lambda _: release.wait(10))

        async def ask():
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://here"
            ) as client:
                bodies = [[reading(h, float(h + 24 * i)) for h in range(8)] for i in range(6)]
                tasks = [
                    asyncio.create_task(client.post("/api/v1/values", json=one, headers=who("operator")))
                    for one in bodies
                ]
                await asyncio.sleep(0.3)
                release.set()
                return [one.status_code for one in await asyncio.gather(*tasks)]

        found = asyncio.run(ask())
        assert blocked.result()
        assert set(found) == {200, 429}
        assert ledger.batches().num_rows == found.count(200)


def test_influx_clients_write_lines_and_get_204(park):
    with served(park) as here:
        line = "oven,site=a kwh=12.5,volt=230 1717545600"
        for path in ("/api/v2/write?org=o&bucket=b&precision=s", "/write?db=d&precision=s"):
            answer = here.client.post(
                path, content=line, headers=who("device", **{"content-type": "text/plain"})
            )
            assert (answer.status_code, answer.content) == (204, b"")
        rows = here.client.get(
            "/api/v1/values", params={"flow": "mill.power", "start": "2024-06-05"}, headers=who("admin")
        )
        assert rows.json() == {
            "flow": ["mill.power"],
            "ts": ["2024-06-05T00:00:00Z"],
            "value": [12.5],
            "quality": [0],
        }
        bad = here.client.post("/api/v2/write", content="nothing known=1", headers=who("operator"))
        assert (bad.status_code, bad.json()["code"]) == (400, "invalid")
        assert here.ledger.quarantine().column("raw").to_pylist() == [b"nothing known=1"]
        wrong = here.client.post("/api/v2/write?precision=d", content=line, headers=who("operator"))
        assert wrong.status_code == 400


def test_lines_without_a_time_are_not_taken_for_a_repetition(park):
    with served(park) as here:
        for minute in range(2):
            here.live.clock.start = NOW.replace(minute=minute)
            here.client.post("/write", content="mill.power value=1", headers=who("operator"))
        assert here.ledger.batches().column("rows").to_pylist() == [1, 1]


def test_a_worker_posts_a_run_and_others_may_not(park):
    table = pa.table(
        {"flow": ["mill.power"], "ts": pa.array([datetime(2024, 6, 6, tzinfo=UTC)]), "value": [7.0]}
    )
    sink = pa.BufferOutputStream()
    described = {"run": "forecast", "model": "naive", "version": "1", "inputs": "aa,bb"}
    with pa.ipc.new_stream(sink, table.replace_schema_metadata(described).schema) as stream:
        stream.write_table(table)
    body = sink.getvalue().to_pybytes()
    with served(park) as here:
        refused = here.client.post("/api/v1/values", content=body, headers=who("operator", **ARROW))
        assert refused.status_code == 403
        said = here.client.post("/api/v1/values", content=body, headers=who("worker", **ARROW))
        assert said.json()["rows"] == 1
        (batch,) = here.ledger.batches().to_pylist()
        assert (batch["run"], batch["model"], batch["inputs"]) == ("forecast", "naive", '["aa", "bb"]')
        by_header = who("worker", **{"mangrove-run": "plan/roof", "mangrove-model": "p"})
        here.client.post("/api/v1/values", json=[reading(value=3)], headers=by_header)
        asked = {"flow": "mill.power", "start": "2024-06"}
        runs = {run: here.client.get("/api/v1/values", params={**asked, "run": run}, headers=who("tenant")).json()["value"]
                for run in ("measured", "forecast", "plan/roof")}  # fmt: skip
        assert runs == {"measured": [], "forecast": [7.0], "plan/roof": [3.0]}


def test_what_is_read_can_be_sent_again_in_every_form(park):
    with served(park) as here:
        body = [reading(h, h / 4) for h in range(24)]
        here.client.post("/api/v1/values", json=body, headers=who("operator"))
        asked = {"flow": ["mill.power"], "start": "2024-06-05T00:00:00Z", "end": "2024-06-06T00:00:00Z"}
        for suffix, kind in (
            ("", "application/json"),
            (".csv", "text/csv"),
            (".arrow", ARROW["content-type"]),
        ):
            got = here.client.get(f"/api/v1/values{suffix}", params=asked, headers=who("tenant"))
            assert got.headers["content-type"].startswith(kind)
            sent = here.client.post(
                "/api/v1/values", content=got.content, headers=who("admin", **{"content-type": kind})
            )
            assert (sent.json()["unchanged"], sent.json()["rows"], sent.json()["rejected"]) == (24, 0, 0)


def test_readers_see_only_flows_of_their_scope(park):
    with served(park) as here:
        here.client.post(
            "/api/v1/values", json=[reading(), reading(flow="shop.power")], headers=who("operator")
        )
        for flow in ("shop.power", "no.such.flow"):
            answer = here.client.get(
                "/api/v1/values", params={"flow": flow, "start": "2024"}, headers=who("tenant")
            )
            assert (answer.status_code, answer.json()["problems"][0]["code"]) == (404, "ingest.no_flow")
        assert (
            here.client.get(
                "/api/v1/values", params={"flow": "mill.power", "start": "2024"}, headers=who("city")
            ).status_code
            == 404
        )
        assert (
            here.client.get(
                "/api/v1/values", params={"flow": "mill.power", "start": "2024"}, headers=who("device")
            ).status_code
            == 403
        )
        listed = {name: here.client.get("/api/v1/flows", headers=who(name)).json()["flow"] for name in PEOPLE}
        assert listed["tenant"] == ["mill.power", "mill.coal"]
        assert listed["device"] == ["mill.power"]
        assert listed["city"] == []
        assert len(listed["admin"]) == 4


@pytest.mark.parametrize(
    "asked",
    [{"start": "yesterday"}, {"start": "2024-06-06", "end": "2024-06-05"}, {"start": "2024", "as_of": "never"},
     {"start": "2024", "run": "weather"}, {"start": "0001-01-01", "end": "9999-12-31"}],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(park, asked):
    with served(park) as here:
        answer = here.client.get(
            "/api/v1/values", params={"flow": "mill.power", **asked}, headers=who("admin")
        )
        assert 400 <= answer.status_code < 500


def test_a_correction_is_a_later_row_with_its_reason_and_the_reading_stays(park):
    with served(park) as here:
        here.client.post("/api/v1/values", json=[reading(value=150.0)], headers=who("operator"))
        given = {
            "flow": "mill.power",
            "ts": "2024-06-05T07:00:00",
            "value": 0.15,
            "unit": "MWh",
            "reason": "meter photo of 5 June",
        }
        assert here.client.post("/api/v1/corrections", json=given, headers=who("tenant")).status_code == 403
        same = here.client.post("/api/v1/corrections", json=given, headers=who("operator")).json()
        given["value"] = 0.12
        said = here.client.post("/api/v1/corrections", json=given, headers=who("operator")).json()
        assert (same["rows"], said["rows"]) == (1, 1)
        with here.ledger.snapshot() as snapshot:
            history = snapshot.history(
                "mill.power", datetime(2024, 6, 5, tzinfo=UTC), datetime(2024, 6, 6, tzinfo=UTC)
            )
        assert history.column("value").to_pylist() == [150.0, 150.0, 120.0]
        assert history.column("quality").to_pylist() == [0, Quality.MANUAL, Quality.MANUAL]
        assert here.ledger.batches().to_pylist()[-1]["note"] == given["reason"]
        action, principal, detail = here.heard[-1]
        assert (action, principal.id, detail["batch"], detail["reason"]) == (
            "reading.corrected",
            "2",
            said["batch"],
            given["reason"],
        )


@pytest.mark.parametrize(
    ("change", "code"),
    [({"reason": "  "}, "ingest.no_reason"), ({"flow": "nobody"}, "ingest.no_flow"), ({"ts": "never"}, "sources.bad_time"),
     ({"unit": "m3"}, "sources.bad_unit"), ({"value": 1e308, "unit": "GWh"}, "sources.bad_number")],
)  # fmt: skip
def test_a_correction_that_cannot_be_is_refused_and_not_stored(park, change, code):
    given = {"flow": "mill.power", "ts": "2024-06-05T07:00:00", "value": 1.0, "reason": "r"} | change
    with served(park) as here:
        answer = here.client.post("/api/v1/corrections", json=given, headers=who("admin"))
        assert (answer.status_code // 100, answer.json()["problems"][0]["code"]) == (4, code)
        assert (here.ledger.cut(), here.heard) == (0, [])


def test_records_and_sessions_of_a_worker_are_kept(park):
    with served(park) as here:
        record = {
            "kind": "schedule",
            "document": {"b": 1, "a": 2},
            "payload": base64.b64encode(b"\x00\x01").decode(),
        }
        id_ = here.client.post("/api/v1/records", json=record, headers=who("worker")).json()["id"]
        assert here.ledger.record(id_) == ("schedule", b'{"a": 2, "b": 1}', b"\x00\x01")
        for change in ({"kind": "No!"}, {"payload": "?"}):
            assert (
                here.client.post("/api/v1/records", json=record | change, headers=who("worker")).status_code
                == 400
            )
        stays = {
            "flow": "mill.power",
            "start": ["2024-06-05T08:00:00", 1717545600],
            "end": ["2024-06-05T10:00:00", 1717549200],
            "amount": [7.5, 3],
        }
        said = here.client.post("/api/v1/sessions", json=stays, headers=who("worker")).json()
        assert said["sessions"] == 2
        kept = sessions.read(
            park.store, "mill.power", datetime(2024, 6, 4, tzinfo=UTC), datetime(2024, 6, 6, tzinfo=UTC)
        )
        assert kept.column("amount").to_pylist() == [3.0, 7.5]
        for change in (
            {"amount": [1]},
            {"amount": [1, -1]},
            {"end": ["2024-06-05T07:00:00", 5]},
            {"flow": "x"},
            {"start": ["?", 1]},
        ):
            assert here.client.post(
                "/api/v1/sessions", json=stays | change, headers=who("worker")
            ).status_code in {400, 404}


def test_counters_are_stored_as_registers_and_read_as_such(tmp_path):
    from mangrove.testing import park_of

    flows = [
        {
            "id": "main",
            "carrier": "electricity",
            "unit": "kWh",
            "step": "1h",
            "scope": "2",
            "semantics": "counter",
        }
    ]
    with served(mg.open(park_of(tmp_path, flows))) as here:
        body = [reading(h, 100.0 + h, "main") for h in range(4)]
        assert here.client.post("/api/v1/values", json=body, headers=who("operator")).json()["rows"] == 4
        asked = {"flow": "main#register", "start": "2024-06-05T00:00:00Z", "end": "2024-06-06T00:00:00Z"}
        assert here.client.get("/api/v1/values", params=asked, headers=who("admin")).json()["value"] == [
            100,
            101,
            102,
            103,
        ]


def test_a_body_that_is_decoded_beside_the_loop_gives_the_same_answer(park, monkeypatch):
    monkeypatch.setattr(ingest, "IN_THREAD", 10)
    with served(park) as here:
        assert (
            here.client.post("/api/v1/values", json=[reading()], headers=who("operator")).json()["rows"] == 1
        )


def test_every_status_has_a_sentence_and_every_error_of_this_door_is_no_fault_of_the_server():
    codes = mg.messages.codes("ingest")
    assert all(400 <= requests.status_of(SourceError(code)) < 500 for code in codes)
    assert {code for code in requests._STATUS if code.startswith("ingest.")} <= set(codes)
    assert requests.status_of(LedgerError("ledger.damaged")) == 500
