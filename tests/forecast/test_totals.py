"""Totals of a territory: found where the meters show it, made to add up, stored and sampled so; left alone where parts are missing."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mangrove import territory, testing
from mangrove.forecast.run import forecast
from mangrove.forecast.totals import candidates, misfit
from mangrove.inference.series import Series
from mangrove.ledger import Ledger, Origin
from mangrove.ledger.types import series

FIRST = datetime(2024, 3, 3, 17, tzinfo=UTC)
DAYS = 42
END = FIRST + timedelta(days=DAYS)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
CHEAP = ("naive", "ridge")
PLACES = """id,name,kind,parent
city,City,city,
north,North,ward,city
south,South,ward,city
plant,Plant,facility,north
shop,Shop,facility,north
"""
POWER = {"carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"}
FLOWS = [
    {"id": "city.power", "place": "city", **POWER},
    {"id": "north.power", "place": "north", **POWER},
    {"id": "south.power", "place": "south", **POWER},
    {"id": "plant.power", "place": "plant", **POWER},
    {"id": "shop.power", "place": "shop", **POWER},
    {
        "id": "south.feeder",
        "place": "south",
        "carrier": "electricity",
        "unit": "MWh",
        "step": "1h",
        "scope": "2",
    },
]
TREE = {"city.power": ["north.power", "south.power"], "north.power": ["plant.power", "shop.power"]}


def world(folder, rest=0.0):
    """A city of two wards; `rest` is what nobody meters in the north."""
    path = testing.park_of(folder / "city", FLOWS)
    (path / "places.csv").write_text(PLACES, encoding="utf-8")
    (path / "territory.yaml").write_text(
        (path / "territory.yaml").read_text(encoding="utf-8").replace("root: park", "root: city"),
        encoding="utf-8",
    )
    rng = np.random.default_rng(1)
    hours = np.arange(DAYS * 24)
    busy = 1.0 + (hours % 24 >= 8) * (hours % 24 < 18) * 2.0
    plant, shop, south = (size * busy * rng.lognormal(0, 0.15, len(hours)) for size in (50, 20, 80))
    north = plant + shop + rest * busy
    values = {
        "plant.power": plant, "shop.power": shop, "south.power": south, "north.power": north, "city.power": north + south,
    }  # fmt: skip
    rows = [
        (name, FIRST + timedelta(hours=int(i)), float(v))
        for name, one in values.items()
        for i, v in zip(hours, one, strict=True)
    ]
    ledger = Ledger.open(folder / "store")
    ledger.append(testing.values(rows), Origin("file:a.csv", "1"))
    return territory.load(path), ledger


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    declared, ledger = world(tmp_path_factory.mktemp("city"))
    with ledger:
        yield declared, ledger, forecast(ledger, declared, [*values_of()], models=CHEAP)


def values_of():
    return ["city.power", "north.power", "south.power", "plant.power", "shop.power"]


def test_totals_and_parts_add_up_and_the_report_says_so(made):
    _, ledger, report = made
    for total, parts in TREE.items():
        summed = sum(report.forecasts[name].median for name in parts)
        np.testing.assert_allclose(report.forecasts[total].median, summed, atol=1e-9)
    [note] = [one for one in report.notes if one.code == "forecast.reconciled"]
    assert note.data["flows"] == 5
    [kept] = json.loads(ledger.record(report.record)[1])["totals"]
    assert kept["parts"] == TREE
    with ledger.snapshot() as snapshot:
        stored = snapshot.values([series("city.power", "forecast")], END, END + timedelta(days=3))
    np.testing.assert_array_equal(stored.column("value").to_numpy(), report.forecasts["city.power"].median)


def test_samples_add_up_and_have_the_reconciled_quantiles(made):
    report = made[2]
    drawn = report.samples(400)
    for total, parts in TREE.items():
        assert np.abs(drawn[total] - sum(drawn[name] for name in parts)).max() < 1e-9
    for name, one in report.forecasts.items():
        assert drawn[name].min() >= 0
        low, high = np.quantile(drawn[name], (0.1, 0.9), axis=0)
        np.testing.assert_allclose(low, one.quantiles[0], rtol=0.03)
        np.testing.assert_allclose(high, one.quantiles[2], rtol=0.03)


def test_quantiles_are_ordered_and_the_band_of_a_total_is_narrower_than_the_sum_of_bands(made):
    report = made[2]
    widths = {name: (one.quantiles[2] - one.quantiles[0]).sum() for name, one in report.forecasts.items()}
    assert all((np.diff(one.quantiles, axis=0) >= 0).all() for one in report.forecasts.values())
    assert widths["city.power"] < widths["north.power"] + widths["south.power"]


def test_without_reconciliation_they_do_not_add_up(made):
    declared, ledger, _ = made
    plain = forecast(
        ledger, declared, values_of(), END, as_of=LATER, models=CHEAP, reconcile=False, store=False
    )
    gap = (
        plain.forecasts["city.power"].median
        - plain.forecasts["north.power"].median
        - plain.forecasts["south.power"].median
    )
    assert np.abs(gap).max() > 1e-3
    assert plain.totals == []


def test_a_total_with_customers_that_nobody_meters_is_left_alone_and_named(tmp_path):
    declared, ledger = world(tmp_path, rest=10.0)
    with ledger:
        report = forecast(ledger, declared, values_of(), models=CHEAP, horizon="24h", store=False)
    [note] = [one for one in report.notes if one.code == "forecast.not_a_sum"]
    assert note.data["flow"] == "north.power"
    assert float(note.data["share"]) == pytest.approx(12.3, abs=0.5)  # 10 of 80
    assert dict(report.totals[0].tree.parts) == {"city.power": ("north.power", "south.power")}
    for lang in ("en", "vi"):
        assert "{" not in note.text(lang)


def test_only_flows_of_one_kind_at_places_inside_may_be_parts(made):
    found = candidates(made[0], list(made[0].flows))
    assert {total: list(parts) for total, parts in found.items()} == TREE  # the feeder in MWh is another kind


def test_the_misfit_is_the_mean_gap_over_the_mean_size():
    def one(values, first=0):
        at = (first + np.arange(len(values))).astype(np.int64) * 3_600_000_000
        return Series(at, np.asarray(values, dtype=float), np.zeros(len(values), np.uint8))

    assert misfit(one([10.0] * 60), [one([6.0] * 60), one([3.0] * 60)]) == pytest.approx(0.1)
    assert misfit(one([10.0] * 60), [one([10.0] * 60, first=30)]) is None
    assert misfit(one([0.0] * 60), [one([0.0] * 60)]) == 0.0
