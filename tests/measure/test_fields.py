# SPDX-License-Identifier: Apache-2.0
"""The field of a measurement: the kilograms of `measure` in every place and step, the values of meters by the hour, shapes for the rest."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
from tests.measure.drawn_city import HOURS, MILL, POPULATION, ROAD, WARDS, drawn_city, power

import mangrove as mg
from mangrove import testing
from mangrove.errors import RequestError
from mangrove.gridding import Grid, project
from mangrove.ledger import Origin
from mangrove.measure.fields import field_of
from mangrove.measure.profiles import shape

VN = ZoneInfo("Asia/Ho_Chi_Minh")
GRID = Grid(670_000, 1_180_000, 500, 500, 60, 40, 32648)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return drawn_city(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def emissions(city):
    return mg.measure(city, "2023", by=("gas",), store=False)


@pytest.fixture(scope="module")
def wards(emissions):
    return field_of(emissions, "ward")


@pytest.fixture(scope="module")
def cells(emissions):
    return field_of(emissions, GRID)


def kilograms(table, **where):
    return sum(
        row["kg"] for row in table.to_pylist() if all(row[key] == value for key, value in where.items())
    )


def test_totals_are_those_of_the_measurement(emissions, wards, cells):
    table = emissions.table(by=("gas",), with_uncertainty=False)
    for made in (wards, cells):
        for gas in ("CO2", "CH4", "N2O"):
            assert made.total(gas=gas) + made.outside[gas] == pytest.approx(
                kilograms(table, gas=gas), rel=1e-9
            )
            assert made.outside[gas] == pytest.approx(0, abs=1e-9 * kilograms(table, gas=gas))
        assert made.total() == pytest.approx(emissions.total()["co2e_kg"], rel=1e-9)


def test_every_step_of_every_flow_keeps_its_total(emissions, wards):
    table = emissions.table(by=("flow", "gas"), every="1mo", with_uncertainty=False).to_pylist()
    edges = wards.edges("1mo", VN)
    starts = [datetime(2023, month, 1, tzinfo=VN).astimezone(UTC) for month in range(1, 13)]
    for flow in ("mill.power", "shop.coal", "road.fuel"):
        found = np.asarray(wards.field.only(wards.classes(flow=flow, gas="CO2")).series())
        for month, start in enumerate(starts):
            wanted = [
                row["kg"]
                for row in table
                if row["flow"] == flow and row["gas"] == "CO2" and row["start"] == start
            ]
            assert found[edges[month] : edges[month + 1]].sum() == pytest.approx(sum(wanted), rel=1e-9)


def test_wards_have_what_measure_says_of_them(emissions, wards):
    table = emissions.table(by=("ward", "sector", "gas"), with_uncertainty=False)
    for ward in WARDS:
        for sector in ("industry", "residential"):
            found = wards.series(ward, gas="CO2", sector=sector).sum()
            assert found == pytest.approx(kilograms(table, ward=ward, sector=sector, gas="CO2"), rel=1e-9)


def test_a_metered_flow_has_the_profile_of_its_meter(wards):
    found = wards.series("west", gas="CO2", sector="industry")
    meter = np.array([power(hour) for hour in range(HOURS)])
    assert np.allclose(found / found.sum(), meter / meter.sum(), rtol=1e-9)
    assert [wards.bases[k] for k in wards.classes(flow="mill.power")] == ["metered"]


def test_an_annual_flow_has_the_shape_of_its_reference(wards):
    found = wards.series("east", gas="CO2", sector="residential")
    assert np.allclose(found / found.mean(), shape("I.1.2", wards.starts, VN), rtol=1e-9)
    assert [wards.bases[k] for k in wards.classes(flow="homes.power")] == ["prior"]


def test_homes_are_shared_out_by_population(wards):
    total = sum(POPULATION.values())
    shares = [wards.series(ward, gas="CO2", sector="residential").sum() for ward in WARDS]
    assert np.allclose(np.array(shares) / sum(shares), [POPULATION[ward] / total for ward in WARDS])


def test_a_road_through_wards_lies_in_them_by_its_length(wards):
    line = project([ROAD], 32648)[0]
    lengths = [
        shapely.length(shapely.intersection(line, zone)) for zone in project(list(WARDS.values()), 32648)
    ]
    found = np.array([wards.series(ward, gas="CO2", sector="transport").sum() for ward in WARDS])
    assert found / found.sum() == pytest.approx(np.array(lengths) / line.length, abs=1e-9)


def test_on_the_grid_each_source_lies_where_it_is(cells):
    def share(flow):
        return np.asarray(cells.field.only(cells.classes(flow=flow, gas="CO2")).over())

    mill = share("mill.power")
    x, y = shapely.get_coordinates(project([shapely.Point(*MILL)], 32648))[0]
    assert mill.nonzero()[0].tolist() == [int((y - GRID.y0) // 500) * GRID.nx + int((x - GRID.x0) // 500)]
    boxes = GRID.boxes()
    road = shapely.length(shapely.intersection(project([ROAD], 32648)[0], boxes))
    assert np.allclose(share("road.fuel") / share("road.fuel").sum(), road / road.sum(), atol=1e-9)
    middle = shapely.area(shapely.intersection(project([WARDS["middle"]], 32648)[0], boxes))
    assert np.allclose(share("shop.coal") / share("shop.coal").sum(), middle / middle.sum(), atol=1e-9)


def test_what_had_to_be_decided_is_said(cells):
    (said,) = [problem for problem in cells.problems if problem.code == "gridding.placed_around"]
    assert said.data["flows"] == "shop.coal"


def test_a_day_of_the_year_has_the_total_of_measure(city):
    emissions = mg.measure(city, "2023-05-09", by=("gas",), store=False)
    made = field_of(emissions, "ward")
    assert len(made.starts) == 24
    assert made.total() == pytest.approx(emissions.total()["co2e_kg"], rel=1e-9)
    road = np.asarray(made.field.only(made.classes(flow="road.fuel", gas="CO2")).series())
    assert road[17] / road[0] == pytest.approx(2.08 / 0.19)


def test_a_nowcast_has_its_own_hours_whatever_the_step_of_the_inventory(city):
    hours = [datetime(2023, 5, 9, tzinfo=VN) + timedelta(hours=i) for i in range(24)]
    with city.writer() as ledger:
        rows = [("homes.power", at.astimezone(UTC), 1.0 + i) for i, at in enumerate(hours)]
        ledger.append(testing.values(rows), Origin("test", "n", run="estimate/nowcast"))
    made = field_of(mg.measure(city, "2023-05-09", run="estimate/nowcast", by=("gas",), store=False), "ward")
    found = np.asarray(made.field.series())
    assert found / found.sum() == pytest.approx(np.arange(1, 25) / np.arange(1, 25).sum())
    assert made.bases == ("estimate/nowcast",)


def test_weights_may_come_from_a_cache(emissions, cells, tmp_path):
    for _ in range(2):
        made = field_of(emissions, GRID, cache=tmp_path)
        assert np.allclose(made.field.at(100), cells.field.at(100), rtol=1e-12)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_grid_beside_the_city_has_nothing_and_says_so(emissions):
    made = field_of(emissions, Grid(0, 0, 1000, 1000, 3, 3, 32648))
    assert made.total(gas="CO2") == 0
    assert made.outside["CO2"] == pytest.approx(emissions.table(by=("gas",)).to_pylist()[0]["kg"])


def test_what_cannot_be_asked_is_refused(city, emissions, wards):
    with pytest.raises(RequestError, match="ward"):
        field_of(emissions, "wards")
    with pytest.raises(RequestError, match="north"):
        wards.series("north")
    with pytest.raises(RequestError) as caught:
        field_of(mg.measure(city, "2021", by=("gas",), store=False), "ward")
    assert caught.value.code == "gridding.nothing_measured"
    with pytest.raises(RequestError) as caught:
        field_of(mg.measure(city, "2023-05-09T00:30", "2023-05-10", by=("gas",), store=False), "ward")
    assert caught.value.code == "gridding.not_whole_hours"
    with pytest.raises(RequestError) as caught:
        wards.edges("15min", VN)
    assert caught.value.code == "measure.step_does_not_fit"
