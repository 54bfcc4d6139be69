"""Factor curves of vehicles: published values, forms of the guidebook, what the sources disagree about."""

import csv
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from mangrove.errors import RuleError
from mangrove.rules import vehicles
from mangrove.rules.types import STATUSES
from mangrove.rules.vehicles import curve, curves, motorcycle_units, vehicle_class, vehicle_classes

ALL = vehicles._curves()


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.id)
def test_every_curve_is_positive_and_finite_at_every_speed_of_a_city(one):
    found = one.at(np.linspace(0, 90, 400))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.max() > 0
    assert one.status in STATUSES
    assert one.document
    assert one.item
    assert 0 <= one.link_scatter < 0.5
    assert 0 < one.scatter < 0.5


def test_ids_are_unique_and_every_curve_belongs_to_a_class():
    assert len({one.id for one in ALL}) == len(ALL)
    assert {one.vehicle for one in ALL} <= {one.key for one in vehicle_classes()}
    assert {one.unit for one in ALL if one.pollutant == "electricity"} == {"kWh/km"}


def test_motorcycles_at_20_km_h_have_the_values_that_each_source_states():
    at_20 = {one: float(curve("motorbike", "CO2", source=one).at(20)) for one in vehicles.SOURCES}
    assert at_20["copert"] == pytest.approx(25.6 * 3.17, rel=0.01)
    assert at_20["measured"] == 90.8
    assert 46 <= at_20["hbefa"] <= 57
    assert 46 <= at_20["consumption"] <= 51


def test_copert_of_motorcycles_has_the_published_carbon_monoxide():
    values = [
        float(curve("motorbike", "CO", source="copert", technology=t).at(20))
        for t in ("preEuro", "Euro-2", "Euro-3")
    ]
    assert values == pytest.approx([20.7, 4.9, 2.7], rel=0.02)
    values = [
        float(curve("motorbike", "HC", source="copert", technology=t).at(20))
        for t in ("preEuro", "Euro-2", "Euro-3")
    ]
    assert values == pytest.approx([2.3, 0.64, 0.40], rel=0.02)


def test_curves_have_the_size_that_was_measured_apart_on_simulated_traffic():
    """Fits of another simulation of the same streets, without the crossings, where a vehicle emits a third more a kilometer."""
    measured = {"motorbike": [171.5, 84.2, 57.9, 46.1, 34.9, 27.0], "car": [1109, 556, 379, 294, 212, 168]}
    for vehicle, values in measured.items():
        ratio = curve(vehicle, "CO2", source="hbefa").at([5, 10, 15, 20, 30, 40], 40) / values
        assert (ratio > 0.98).all()
        assert (ratio < 1.35).all()


def test_the_driving_cycle_of_sumo_on_made_up_stop_and_go_gives_the_same_size():
    """Measured apart on a synthetic cycle."""
    published = {
        ("car", "petrol Euro-4", "CO2"): {10: 565, 15: 393, 20: 316, 30: 241},
        ("bus", "diesel Euro-III", "CO2"): {10: 1989, 15: 1658, 20: 1517, 30: 1386},
        ("electric_motorbike", "", "electricity"): {10: 0.090, 15: 0.067, 20: 0.058, 30: 0.053},
    }
    for (vehicle, technology, pollutant), values in published.items():
        made = curve(vehicle, pollutant, source="hbefa", technology=technology)
        assert made.at(list(values)) == pytest.approx(list(values.values()), rel=0.2)


def test_carbon_monoxide_and_hydrocarbons_of_motorcycles_come_from_copert():
    assert curve("motorbike", "CO").source == "copert"
    assert curve("motorbike", "HC").source == "copert"
    assert curve("motorbike", "NOx").source == "hbefa"
    wrong = curve("motorbike", "CO", source="hbefa").at([20, 50])
    assert wrong[1] > wrong[0]


def test_the_spread_of_a_factor_holds_what_every_source_says():
    made = curve("motorbike", "CO2")
    own = float(made.at(20))
    assert own * made.low == pytest.approx(46, rel=0.06)
    assert own * made.high == pytest.approx(90.8, rel=1e-9)
    drawn = made.draw(20_000, 3)
    assert np.quantile(drawn, [0.05, 0.95]) == pytest.approx([made.low, made.high], rel=0.02)
    assert curve("motorbike", "CO").high > 1.5, "the standard of the fleet is only assumed"


def test_draws_are_the_same_for_the_same_seed_and_shared_between_fuel_and_carbon_dioxide():
    made = curve("motorbike", "CO2")
    assert (made.draw(5, 1) == made.draw(5, 1)).all()
    assert (made.draw(5, 1) != made.draw(5, 2)).all()
    logs = [np.log(curve("motorbike", name).draw(500, 1)) for name in ("CO2", "fuel")]
    assert np.corrcoef(logs)[0, 1] == pytest.approx(1)
    other = np.log(curve("car", "CO2").draw(500, 1))
    assert abs(np.corrcoef(logs[0], other)[0, 1]) < 0.15


def test_burnt_fuel_and_carbon_dioxide_agree():
    """CO2 = fuel x 44/12 x the carbon in it, 0.82 to 0.88 by mass."""
    for one in ALL:
        if one.pollutant == "CO2" and one.source in ("hbefa", "copert"):
            fuel = curve(one.vehicle, "fuel", source=one.source, technology=one.technology)
            share = one.at([10, 30]) / fuel.at([10, 30])
            assert ((share > 0.82 * 44 / 12) & (share < 0.88 * 44 / 12)).all(), one.id


def test_classes_answer_to_their_words_and_have_motorcycle_units():
    assert vehicle_class("Ô tô con").key == vehicle_class("xe_con").key == "car"
    assert [motorcycle_units(word) for word in ("moto", "car", "bus", "minibus", "bicycle")] == [
        1,
        3.4,
        10.5,
        8.3,
        1.4,
    ]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: vehicle_class("motobike"), "vehicles.unknown_class"),
        (lambda: curve("tram", "CO2"), "vehicles.unknown_class"),
        (lambda: curve("car", "CO3"), "vehicles.unknown_pollutant"),
        (lambda: curve("car", "CO2", source="hanoi"), "vehicles.unknown_source"),
        (lambda: curve("bus", "CO2", source="copert"), "vehicles.no_curve"),
        (lambda: curve("bicycle", "CO2"), "vehicles.no_curve"),
        (lambda: curve("car", "CO2", technology="Euro-9"), "vehicles.no_curve"),
        (lambda: motorcycle_units("truck"), "vehicles.no_units"),
    ],
)
def test_what_is_not_known_is_said_in_both_languages(call, code):
    with pytest.raises(RuleError) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.text("en") != caught.value.text("vi")


def test_the_slope_is_the_derivative_of_the_curve():
    made = curve("car", "CO2")
    _, b, c, d, _, f = made.coefficients
    for limit, v in ((None, 5.0), (40.0, 20.0), (50.0, 45.0)):
        steep = -b / v**2 + c + 2 * d * v - f * (limit or vehicles.USUAL_LIMIT)
        assert float(made.slope(v, limit)) == pytest.approx(steep, rel=1e-3)
    assert float(made.slope(0.2)) == pytest.approx(0, abs=1e-9)


STREETS = [one for one in ALL if one.form == vehicles.STREET]
IDLE = {"motorbike": 824.4, "car": 5475.6, "light_truck": 6483.6}
"""g CO2 an hour of vehicles that stand, of SUMO 1.28 for the assumed emission classes (`emissionsDrivingCycle`, speed 0)."""


@pytest.mark.parametrize("vehicle", list(IDLE))
def test_a_street_that_hardly_moves_emits_by_the_hour_what_standing_vehicles_do(vehicle):
    made = curve(vehicle, "CO2", source="hbefa")
    for speed in (0.5, 1.0):
        assert float(made.at(speed)) * speed == pytest.approx(IDLE[vehicle], rel=0.05)


@pytest.mark.parametrize("vehicle", ["motorbike", "car", "light_truck"])
def test_at_the_same_mean_speed_a_street_with_a_higher_limit_emits_more(vehicle):
    """Cells of SUMO on streets of 50 km/h (Cologne) have 12 to 36 % more at 20 to 40 km/h than on streets of 40 (District 1/3)."""
    made = curve(vehicle, "CO2", source="hbefa")
    more = made.at([20, 25, 30, 35], 50) / made.at([20, 25, 30, 35], 40)
    assert ((more > 1.05) & (more < 1.45)).all()
    assert float(made.at(1, 50)) == pytest.approx(float(made.at(1, 40)), rel=0.02)


@pytest.mark.parametrize("one", STREETS, ids=lambda one: one.id)
def test_every_limit_gives_a_factor_that_is_positive_and_bounded(one):
    for limit in (5, 20, 30, 50, 60, 80, 120):
        found = one.at(np.linspace(0.5, 130, 200), limit)
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert found.max() > 0
    assert one.at(20, 90) == pytest.approx(one.at(20, one.fastest)), (
        "limits above those of the fit are taken as these"
    )


def test_where_nobody_states_a_limit_it_is_the_usual_one_and_who_drives_faster_makes_it_higher():
    made = curve("motorbike", "CO2")
    stated = np.array([np.nan, 50.0])
    assert made.at([20.0, 20.0], stated) == pytest.approx([made.at(20), made.at(20, 50)])
    assert made.at(20) == pytest.approx(made.at(20, vehicles.USUAL_LIMIT))
    assert made.at(47, 40) == pytest.approx(made.at(47, 47))


def test_only_curves_of_streets_hang_on_the_limit():
    made = curve("motorbike", "CO2", source="copert")
    assert made.at([10, 30], 60) == pytest.approx(made.at([10, 30]))


@pytest.mark.data
def test_copert_coefficients_are_those_of_the_guidebook(data_dir):
    file = data_dir / "traffic/copert/pollemission_Moto_parameter.csv"
    for row in csv.DictReader(file.read_text().splitlines()):
        if row["Engine type"] != "4-Stroke < 250":
            continue
        pollutant = {"FC": "fuel"}.get(row["Pollutant"], row["Pollutant"])
        technology = {"Conventional": "preEuro"}.get(
            row["Emission standard"], row["Emission standard"].replace(" ", "-")
        )
        made = curve("motorbike", pollutant, source="copert", technology=technology)
        value = math.fsum(float(row[f"a{power}"]) * 25.0**power for power in range(6))
        assert float(made.at(25)) == pytest.approx(value, rel=1e-4)


PUBLISHED = {
    "hbefa": date(2022, 7, 12),  # SUMO 1.14.0, the first with HBEFA 4.2: its change log
    "copert": date(
        2013, 8, 29
    ),  # EEA Technical report 12/2013: list of editions of the European Environment Agency
    "measured": date(2023, 9, 15),  # doi 10.47869/tcsj.74.7.1, first page
    "consumption": None,  # nobody published it
}


def test_every_curve_tells_of_which_edition_it_is_and_when_that_came_out():
    for one in ALL:
        assert one.published == PUBLISHED[one.source]
        assert bool(one.edition) == bool(one.published)


def test_of_each_source_there_is_one_edition_on_a_day():
    held = [(one.source, one.vehicle, one.technology, one.pollutant, one.published) for one in ALL]
    assert len(set(held)) == len(held)


@pytest.fixture
def editions(monkeypatch):
    """Adds made-up later editions of the curve of motorcycles to the table."""

    def add(**changes):
        first = next(one for one in vehicles._curves() if one.id == "hbefa:motorbike/Euro-3/CO2")
        more = replace(first, id=f"hbefa@{changes.get('edition')}", scale=first.scale * 2, **changes)
        every = (more, *vehicles._curves())
        monkeypatch.setattr(vehicles, "_curves", lambda: every)
        return first

    return add


def test_a_later_edition_takes_the_place_of_an_earlier_one_for_every_day(editions):
    first = editions(edition="5", published=date(2025, 11, 1))
    for day in (date(2020, 1, 1), date(2026, 6, 3), None):
        found = curve("motorbike", "CO2", source="hbefa", on=day)
        assert found.edition == "5"
        assert float(found.at(20)) == pytest.approx(2 * float(first.at(20)))
        same = [one for one in curves("motorbike", "CO2", on=day) if one.technology == "Euro-3"]
        assert [one.source for one in same].count("hbefa") == 1
    assert curve("motorbike", "CO2", source="copert").edition == "EMEP/EEA guidebook 2013"


def test_an_edition_that_holds_from_a_day_leaves_the_days_before_to_the_earlier_one(editions):
    first = editions(edition="5", published=date(2025, 11, 1), valid_from=date(2026, 1, 1))
    assert curve("motorbike", "CO2", source="hbefa", on=date(2025, 12, 31)).edition == first.edition
    assert curve("motorbike", "CO2", source="hbefa", on=date(2026, 1, 1)).edition == "5"


def test_an_edition_without_a_date_is_older_than_one_with_a_date(editions):
    first = editions(edition="", published=None)
    assert curve("motorbike", "CO2", source="hbefa").edition == first.edition


def test_the_range_of_the_sources_forgets_editions_that_were_superseded(editions):
    before = curve("motorbike", "CO2")
    editions(edition="5", published=date(2025, 11, 1))
    after = curve("motorbike", "CO2")
    assert float(after.at(20)) * after.low == pytest.approx(46.1, rel=0.01), "the lowest is now consumption"
    assert float(after.at(20)) * after.high > float(before.at(20)) * before.high


def test_the_tables_have_a_digest():
    assert len(vehicles.digest()) == 64
    assert all(one.pollutant in vehicles.POLLUTANTS for one in curves("car", "CO2"))
