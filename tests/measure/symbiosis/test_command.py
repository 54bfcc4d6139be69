"""`mangrove exchange verify`: the table, one exchange with its arithmetic, JSON, both languages."""

import json

import pytest
from tests.measure.symbiosis.exchange_world import monthly, store, world
from typer.testing import CliRunner

from mangrove.cli import app


@pytest.fixture
def park(tmp_path):
    _, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [100.0] * 3) + monthly("received", [100_000.0, None, 130_000.0]))
    return tmp_path


def run(*words):
    done = CliRunner().invoke(app, ["exchange", "verify", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_the_table_says_amounts_and_savings_and_problems_go_to_stderr(park):
    code, out, err = run(park, "--from", "2024-01", "--to", "2024-04")
    assert code == 0
    assert "slag" in out
    assert "two meters 2, one meter 1" in out
    assert "2024-02" in err
    assert "slag_received" not in out
    assert "kept as record" in err


def test_a_dry_run_keeps_nothing(park):
    from mangrove import api

    run(park, "--year", "2024", "--dry-run")
    with api.open(park).reader() as ledger:
        assert not ledger.records("exchanges")


def test_one_exchange_shows_its_months_and_its_arithmetic_in_vietnamese(park):
    code, out, _ = run(
        park, "--from", "2024-01", "--to", "2024-04", "--exchange", "slag", "--lang", "vi", "--dry-run"
    )
    assert code == 0
    assert "2024-02-01" in out
    assert "0,6592 t CO2/MWh [EF]" in out
    assert "(sent, received?)" in out


def test_json_carries_everything(park):
    _, out, _ = run(park, "--year", "2024", "--json", "--circularity", "--dry-run")
    found = json.loads(out)
    assert found["account"] == "avoided"
    assert [row["status"] for row in found["rows"]] == ["reconciled", "one_meter", "reconciled", *["gap"] * 9]
    assert found["totals"][0]["taken"]["low95"] < found["totals"][0]["taken"]["value"]
    assert {one["name"] for one in found["circularity"]} >= {"circular_inflow", "renewable_energy"}
    assert any(one["code"] == "symbiosis.suspects" for one in found["problems"])


def test_without_a_time_it_asks_for_one(park):
    done = CliRunner().invoke(app, ["exchange", "verify", str(park)])
    assert done.exit_code == 1
    assert "--year" in str(done.exception)


def test_circularity_is_shown_on_request(park):
    _, out, _ = run(park, "--year", "2024", "--circularity", "--dry-run")
    assert "renewable energy" in out
    assert "not known" in out
