"""Emissions are forecast by the formula: equal to what measuring the forecast gives, with the errors of factors, kept for pages."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import mangrove as mg
from mangrove import outlook, testing
from mangrove.errors import DataQualityError
from mangrove.ledger import Origin

FIRST = datetime(2023, 3, 5, 17, tzinfo=UTC)
DAYS = 35
END = FIRST + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    """Two factories with electricity every hour and coal every day, five weeks of both."""
    handle = mg.open(testing.two_factory_park(tmp_path_factory.mktemp("park")))
    rng = np.random.default_rng(1)
    rows = []
    for i in range(DAYS * 24):
        busy = 1.0 if 8 <= (i % 24) < 18 else 0.3
        for name, size in (("mill.power", 4000), ("shop.power", 800)):
            rows.append((name, FIRST + timedelta(hours=i), size * busy * float(rng.lognormal(0, 0.2))))
    rows += [("mill.coal", FIRST + timedelta(days=d), 20 + float(rng.normal(0, 2))) for d in range(DAYS)]
    with handle.writer() as ledger:
        ledger.append(testing.values(rows), Origin("file:a.csv", "1"))
    return handle


@pytest.fixture(scope="module")
def report(park):
    return mg.forecast(
        park,
        ["mill.power", "shop.power", "mill.coal"],
        END.isoformat(),
        as_of="2100",
        models=("naive", "ridge"),
    )


def test_the_middle_is_about_what_measuring_the_forecast_gives(park, report):
    found = outlook.emissions(park, report, count=800)
    begin, end = (at.isoformat() for at in (END, END + timedelta(hours=48)))
    for place in ("mill", "shop"):
        measured = (
            mg.measure(park, begin, end, run="forecast", place=place, store=False).total()["co2e_kg"] / 1000
        )
        assert found.totals[place, "", ""][1] == pytest.approx(measured, rel=0.05)
    assert found.starts[0] == np.datetime64(END.replace(tzinfo=None), "s")
    assert len(found.starts) == 48
    assert found.missing == ("shop.diesel",)


def test_places_and_scopes_add_up_in_every_sample_and_bands_are_ordered(park, report):
    found = outlook.emissions(park, report)
    for band in found.bands.values():
        assert (np.diff(band, axis=0) >= 0).all()
    whole, _ = found.band()[1], found.band("park")[1]
    np.testing.assert_array_equal(whole, found.band("park")[1])
    width = found.totals["", "", ""][2] - found.totals["", "", ""][0]
    parts = sum(found.totals[place, "", ""][2] - found.totals[place, "", ""][0] for place in ("mill", "shop"))
    assert width < parts
    assert found.band("nowhere") is None
    assert found.band(scope="1")[1].shape == (3, 48)


def test_the_error_of_a_factor_widens_the_band_by_its_size(park, report, monkeypatch):
    """Coal carries the stated errors of its factor, its heat and its scale: with the driver's own they make the spread of the total."""
    with_factor = outlook.emissions(park, report, count=4000)
    monkeypatch.setattr(outlook, "multipliers", lambda plan, count, _: np.ones((len(plan.lines), count)))
    without = outlook.emissions(park, report, count=4000)

    def spread(found):
        low, middle, high = found.totals["", "", "1"]
        return (
            (high - low) / middle / 2.563
        )  # standard deviations of a normal between its tenth and ninetieth percentile

    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import question

    asked = question.resolve(
        park.territory, END.isoformat(), (END + timedelta(days=2)).isoformat(), run="forecast"
    )
    plan = plans.build(park.territory, rules.load(), asked)
    [carbon] = [line for line in plan.lines if line.flow == "mill.coal" and line.gas == "CO2"]
    factor = sum(sd**2 for line, _, sd in plan.errors() if line == carbon.index)
    assert spread(with_factor) ** 2 == pytest.approx(spread(without) ** 2 + factor, rel=0.15)


def test_multipliers_have_mean_one_and_shared_errors_move_together(park):
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import question

    asked = question.resolve(park.territory, "2023-05", run="forecast")
    plan = plans.build(park.territory, rules.load(), asked)
    moved = outlook.multipliers(plan, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(moved.mean(axis=1), 1, atol=0.05)


def test_the_forecast_of_the_grid_replaces_the_official_factor_hour_by_hour(park, report):
    official = outlook.emissions(park, report)
    hours = official.starts[:24]
    flat = outlook.Intensity(hours, (0.1, 0.5, 0.9), np.full((3, 24), 0.4))
    physical = outlook.emissions(park, report, intensity=flat)
    assert physical.physical
    assert not official.physical
    drawn = report.samples(outlook.SAMPLES)["mill.power"] * 0.4 / 1000
    expected = np.quantile(drawn, (0.1, 0.5, 0.9), axis=0)
    np.testing.assert_allclose(physical.band("mill", scope="2")[1][:, :24], expected[:, :24], rtol=1e-9)
    np.testing.assert_allclose(
        physical.band("mill", scope="2")[1][:, 24:], official.band("mill", scope="2")[1][:, 24:], rtol=1e-9
    )


def test_what_is_kept_is_read_back(park, report):
    found = outlook.emissions(park, report)
    with park.writer() as ledger:
        record = outlook.keep(ledger, found)
        assert outlook.keep(ledger, found) == record
        again = outlook.newest(ledger)
        assert outlook.newest(ledger, datetime(2020, 1, 1, tzinfo=UTC)) is None
    assert again.origin == found.origin
    np.testing.assert_array_equal(again.starts, found.starts)
    for key, band in found.bands.items():
        np.testing.assert_allclose(again.bands[key], band, rtol=1e-6)
        np.testing.assert_allclose(again.totals[key], found.totals[key])


def test_without_anything_that_emits_there_is_no_band(park, report):
    from mangrove.forecast.run import ForecastReport

    with pytest.raises(DataQualityError):
        outlook.emissions(park, ForecastReport(END))


def test_the_scores_come_from_the_ledger(park, report):
    assert outlook.scores(park).num_rows == 0
    late = [("mill.power", END + timedelta(hours=i), 3000.0) for i in range(48)]
    with park.writer() as ledger:
        ledger.append(testing.values(late), Origin("file:b.csv", "2"))
    table = outlook.scores(park, ["mill.power"], "2023-04")
    assert set(table.column("flow").to_pylist()) == {"mill.power"}
    assert sum(table.column("steps").to_pylist()) == 48


def test_the_grid_ahead_is_read_as_hours_with_ordered_quantiles(tmp_path, park):
    assert outlook.grid_intensity(park, END) is None  # no generation of the country in this ledger
    flat = outlook.Intensity(
        np.array(["2024-01-01T00", "2024-01-01T01"], dtype="datetime64[s]"),
        (0.1, 0.9),
        np.array([[0.2, 0.4], [0.4, 0.8]]),
    )
    found = flat.samples(
        np.array(["2024-01-01T01", "2024-01-01T02"], dtype="datetime64[s]"), np.array([0.1, 0.5, 0.99])
    )
    np.testing.assert_allclose(found[:, 0], [0.4, 0.6, 0.8])
    assert np.isnan(found[:, 1]).all()


def test_the_hours_of_a_country_are_read_from_its_published_days(tmp_path):
    from tests.sources.grid_worlds import declare
    from tests.test_grid_ahead import DAYS, FIRST, put

    folder = declare(tmp_path / "vn", levels=(), load=False)
    put(folder, tmp_path / "one", 0, DAYS)
    end = datetime.combine(FIRST + timedelta(days=DAYS), datetime.min.time(), UTC)
    found = outlook.grid_intensity(mg.open(folder), end, days=2)
    assert found.quantiles.shape == (5, 48)
    assert (np.diff(found.quantiles, axis=0) >= 0).all()
    assert found.levels[2] == 0.5
