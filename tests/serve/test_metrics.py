# SPDX-License-Identifier: Apache-2.0
"""The page for Prometheus: its format, that it tells the truth, and that it stays short."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.ledger import Origin
from mangrove.serve import metrics
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal
from mangrove.serve.state import Live
from mangrove.sources.intake import Intake
from mangrove.testing import park_of, two_factory_park, values

NOON = datetime(2024, 6, 5, 12, tzinfo=UTC)
LINE = re.compile(
    r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z_]+="(\\.|[^"\\\n])*"(,[a-z_]+="(\\.|[^"\\\n])*")*\})? -?[0-9.e+-]+'
)


@pytest.fixture
def park(tmp_path):
    return mg.open(two_factory_park(tmp_path))


def samples(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_every_line_follows_the_exposition_format_and_every_metric_is_described_once(park):
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        live = Live(park, Clock(NOON, speed=0), intake)
        live.health.append(lambda: [SimpleNamespace(device='ga"te\\way\n1', status="late")])
        text = metrics.Metrics(live).text()
    assert text.endswith("\n")
    described = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            described.append(line.split()[2])
        elif not line.startswith("# TYPE "):
            assert LINE.fullmatch(line), line
            assert re.split(r"[{ ]", line)[0] == described[-1]
    assert len(described) == len(set(described))
    assert 'mangrove_device{device="ga\\"te\\\\way\\n1",status="late"} 1' in text


def test_counts_are_those_of_the_ledger(park):
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        live = Live(park, Clock(NOON, speed=0), intake)
        page = metrics.Metrics(live)
        rows = [("mill.power", NOON - timedelta(hours=i), float(i)) for i in range(5)]
        for turn in range(3):
            intake.put(values(rows[: 3 + turn]), Origin("t", str(turn % 2)))
        found = samples(page.text())
        assert (found["mangrove_rows_total"], found["mangrove_unchanged_total"]) == ("4", "3")
        assert (found["mangrove_batches_total"], found["mangrove_duplicates_total"]) == ("3", "1")
        assert (found["mangrove_hot_rows"], found["mangrove_sealed_rows"]) == ("4", "0")
        ledger.seal()
        found = samples(page.text())
        assert (found["mangrove_hot_rows"], found["mangrove_sealed_rows"]) == ("0", "4")
        assert int(found["process_resident_memory_bytes"]) > 10_000_000


def test_the_lag_of_a_flow_counts_the_steps_that_are_overdue(park):
    with park.writer() as ledger:
        early = values([("mill.power", NOON - timedelta(hours=1), 1.0)])
        ledger.append(early, Origin("t", "1"))
        ledger.seal()
        ledger.append(values([("shop.power", NOON - timedelta(hours=12), 1.0)]), Origin("t", "2"))
        with Intake(ledger, park.territory) as intake:
            live = Live(park, Clock(NOON, speed=0), intake)
            page = metrics.Metrics(live)
            found = samples(page.text())
            assert found['mangrove_flow_lag_steps{flow="mill.power"}'] == "0"
            assert found['mangrove_flow_lag_steps{flow="shop.power"}'] == "10"
            assert found['mangrove_flows{state="late"}'] == "1"
            assert found['mangrove_flows{state="silent"}'] == "1"
            intake.put(values([("shop.power", NOON - timedelta(hours=2), 1.0)]), Origin("t", "3"))
            found = samples(page.text())
            assert found['mangrove_flow_lag_steps{flow="shop.power"}'] == "0"
            assert found['mangrove_flows{state="on_time"}'] == "2"


def test_a_thousand_flows_do_not_make_a_thousand_lines(tmp_path):
    flows = [{"id": f"m{i}", "carrier": "electricity", "unit": "kWh", "step": "1h"} for i in range(1000)]
    park = mg.open(park_of(tmp_path, flows))
    with park.writer() as ledger:
        ledger.append(
            values([(f"m{i}", NOON - timedelta(hours=i), 1.0) for i in range(1000)]), Origin("t", "1")
        )
    text = metrics.Metrics(Live(park, Clock(NOON, speed=0))).text()
    lags = [line for line in text.splitlines() if line.startswith("mangrove_flow_lag_steps{")]
    assert len(lags) == metrics.MOST_FLOWS
    assert lags[0] == 'mangrove_flow_lag_steps{flow="m999"} 997'


def test_the_page_is_for_administrators_and_operators(park):
    asked = []

    class Access:
        @staticmethod
        def need(*roles, guests=True):
            asked.append((roles, guests))
            return lambda: Principal("1", "", "key", "operator")

    app = FastAPI()
    app.include_router(metrics.router(Live(park, Clock(NOON, speed=0)), Access()))
    with TestClient(app) as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"] == metrics.CONTENT_TYPE
    assert asked == [(("admin", "operator"), False)]
