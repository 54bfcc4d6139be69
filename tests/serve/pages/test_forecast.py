"""The page Forecast: the newest forecast with its band, beside what was measured until now, and the record against the naive."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import mangrove as mg
from mangrove import outlook
from mangrove.errors import RequestError
from mangrove.forecast import record
from mangrove.ledger.types import Origin
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import forecast
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import two_factory_park, values

NOW = datetime(2023, 3, 10, 5, tzinfo=UTC)
FIRST = datetime(2023, 1, 1, tzinfo=UTC) - timedelta(hours=7)
TENANT = Principal("1", "An", "user", "tenant", "shop")


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    park = mg.open(two_factory_park(tmp_path_factory.mktemp("park")))
    rng = np.random.default_rng(5)
    level = [100 + 20 * np.sin(2 * np.pi * hour / 24) + rng.normal(0, 3) for hour in range(24 * 75)]
    rows = [("mill.power", FIRST + timedelta(hours=hour), one) for hour, one in enumerate(level)]
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("file:a.csv", "1"))
    for day in ("2023-03-06", "2023-03-10"):
        mg.forecast(park, ["mill.power"], day, as_of="2100", models=("naive", "profile"))
    made = mg.forecast(park, ["mill.power"], "2023-03-10", as_of="2100", models=("naive", "profile"))
    with park.writer() as ledger:
        outlook.keep(ledger, outlook.emissions(park, made))
        record.score_stored(ledger, ledger, park.territory, NOW)
    return park


def page(park, principal=None, **params):
    live = Live(park, Clock(NOW, 0))
    view = views.read(park.territory, params, now=NOW, principal=principal or guest("operator"))
    return forecast.build(live, view)


def test_the_band_holds_the_median_and_nothing_measured_stands_after_now(park):
    curve = page(park).curve
    known = ~np.isnan(curve.middle)
    assert known.sum() >= 48
    assert (curve.low[known] <= curve.middle[known]).all()
    assert (curve.middle[known] <= curve.high[known]).all()
    later = curve.starts >= np.datetime64(NOW.replace(tzinfo=None))
    assert np.isnan(curve.actual[later]).all()
    assert not np.isnan(curve.actual[~later]).any()


def test_measured_values_are_those_of_the_ledger(park):
    table = page(park).tables()["forecast"].to_pylist()
    stored = {row["start"]: row["value"] for row in mg.readings(park, "mill.power", "2023-03").to_pylist()}
    for row in table:
        if row["actual"] is not None:
            assert row["actual"] == stored[row["start"]]


def test_the_record_is_that_of_the_scored_forecasts(park):
    rows = page(park).rows
    assert rows
    assert {row["flow"] for row in rows} == {"mill.power"}
    assert all(row["forecasts"] == 1 for row in rows)  # the second forecast is not over yet
    assert page(park).figures("vi")["forecast"].startswith("<svg")


def test_emissions_ahead_continue_those_that_were_measured(park):
    ahead = page(park).ahead
    low, middle, high = ahead.bands
    known = ~np.isnan(middle)
    assert (low[known] <= middle[known]).all()
    assert (middle[known] <= high[known]).all()
    hours = mg.measure(park, "2023-03-09", every="1h", store=False).to_arrow().to_pylist()
    measured = dict(zip(ahead.starts.tolist(), ahead.actual.tolist(), strict=True))
    for row in hours:
        assert measured[row["start"].replace(tzinfo=None)] == pytest.approx(row["co2e_kg"] / 1000, rel=1e-9)
    assert page(park).figures("en")["emissions"].startswith("<svg")
    assert page(park, TENANT).ahead is None


def test_a_tenant_sees_no_forecast_of_others(park):
    found = page(park, TENANT)
    assert found.flows == ()
    assert found.scores.num_rows == 0
    with pytest.raises(RequestError):
        page(park, TENANT, flow="mill.power")


def test_a_flow_without_a_forecast_is_refused_and_an_empty_ledger_says_so(park, tmp_path):
    with pytest.raises(RequestError) as caught:
        page(park, flow="mill.cole")
    assert caught.value.code == "page_forecast.no_flow"
    empty = page(mg.open(two_factory_park(tmp_path / "empty")))
    assert empty.curve is None
    assert empty.json()["curve"] == []
