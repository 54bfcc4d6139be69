# SPDX-License-Identifier: Apache-2.0
"""Shapes of the year, the week and the day: mean one, local clocks, holidays, seasons only where they are known; the published numbers."""

import csv
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.measure.profiles import origin, shape
from mangrove.rules import tables

VN, BERLIN, DELHI = ZoneInfo("Asia/Ho_Chi_Minh"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


def hours(first, last):
    return np.arange(first, last, dtype="datetime64[h]")


@pytest.mark.parametrize("gpc", [row["ref"] for row in tables.rows("gpc")])
def test_every_reference_has_a_shape_whose_mean_over_the_local_year_is_one(gpc):
    year = hours("2023-12-31T17", "2024-12-31T17")
    assert shape(gpc, year, VN).mean() == pytest.approx(1, abs=1e-12)
    assert (shape(gpc, year, VN, seasons=True) >= 0).all()


def test_the_mean_is_one_in_a_zone_that_changes_its_clock_and_in_one_of_half_an_hour():
    berlin = hours("2023-12-31T23", "2024-12-31T23")
    assert shape("I.1.1", berlin, BERLIN).mean() == pytest.approx(1, abs=1e-12)
    delhi = np.arange("2022-12-31T18:30", "2023-12-31T18:30", 60, dtype="datetime64[m]")
    assert shape("II.1.1", delhi, DELHI).mean() == pytest.approx(1, abs=1e-12)


def test_two_years_are_one_each():
    both = shape("I.3.1", hours("2022-12-31T17", "2024-12-31T17"), VN)
    assert [both[:8760].mean(), both[8760:].mean()] == pytest.approx([1, 1], abs=1e-12)


def test_the_hours_of_a_day_are_those_of_the_published_table_on_the_local_clock():
    """Road transport, TNO MACC: 0.19 at midnight, 2.08 at 17 to 18 h; the ratio does not depend on the normalization."""
    day = shape("II.1.1", hours("2024-06-03T17", "2024-06-04T17"), VN)
    assert day[17] / day[0] == pytest.approx(2.08 / 0.19)
    assert day[17] / day[12] == pytest.approx(2.08 / 1.32)


def test_the_day_follows_the_clock_when_it_is_changed():
    """31 March 2024: the hour from 2 to 3 does not exist in Berlin, so the fourth hour of the day shows 3 h."""
    day = shape("II.1.1", hours("2024-03-30T23", "2024-03-31T22"), BERLIN)
    before = shape("II.1.1", hours("2024-03-23T23", "2024-03-24T23"), BERLIN)
    assert len(day) == 23
    assert day[2:] == pytest.approx(before[3:])


def test_weekends_are_quieter_in_industry_by_the_published_ratio():
    monday, sunday = (shape("I.3.1", hours(f"2024-06-0{d}T17", f"2024-06-0{d + 1}T17"), VN) for d in (2, 1))
    assert monday / sunday == pytest.approx(np.full(24, 1.08 / 0.8))


def test_a_public_holiday_is_a_sunday_unless_one_does_not_want_it():
    """30 April 2024, a Tuesday, and Sunday 28 April."""
    tuesday, sunday = hours("2024-04-29T17", "2024-04-30T17"), hours("2024-04-27T17", "2024-04-28T17")
    assert shape("I.3.1", tuesday, VN) == pytest.approx(shape("I.3.1", sunday, VN))
    plain = [shape("I.3.1", day, VN, holidays=False) for day in (tuesday, sunday)]
    assert plain[0] / plain[1] == pytest.approx(np.full(24, 1.08 / 0.8))


def test_months_count_in_europe_and_elsewhere_only_when_asked_for():
    """Fuel of homes: 1.7 in January and 0.2 in July are heating, which a tropical city does not have."""
    january, july = hours("2024-01-08T05", "2024-01-08T06"), hours("2024-07-08T05", "2024-07-08T06")
    assert shape("I.1.1", january, VN) == pytest.approx(shape("I.1.1", july, VN))
    wanted = shape("I.1.1", january, VN, seasons=True) / shape("I.1.1", july, VN, seasons=True)
    assert wanted == pytest.approx([1.7 / 0.2])
    berlin = shape("I.1.1", np.array(["2024-01-08T11"], "datetime64[h]"), BERLIN)
    assert berlin / shape("I.1.1", np.array(["2024-07-08T10"], "datetime64[h]"), BERLIN) == pytest.approx(
        [1.7 / 0.2]
    )


def test_no_reference_and_no_category_are_even_and_an_unknown_one_is_an_error():
    assert (shape("", hours("2024-01-01", "2024-01-03"), VN) == 1).all()
    assert (shape("V.2", hours("2024-01-01", "2024-01-03"), VN) == 1).all()
    with pytest.raises(RequestError) as caught:
        shape("II.1.7", hours("2024-01-01", "2024-01-03"), VN)
    assert caught.value.code == "gridding.unknown_gpc"


def test_every_shape_says_that_it_is_a_prior_and_where_it_comes_from():
    for row in tables.rows("gpc"):
        found = origin(row["ref"])
        assert found.status == "unofficial"
        assert found.source
        assert found.category or found.note


@pytest.mark.data
def test_the_table_holds_the_published_numbers(data_dir):
    folder = data_dir / "inventory" / "temporal_profiles"
    names = {"month": "month_in_year", "weekday": "day_in_week", "hour": "hour_in_day"}
    ours = {
        (row["category"], row["cycle"]): [float(x) for x in row["values"].split()]
        for row in tables.rows("temporal_shapes")
    }
    theirs = {}
    for cycle, name in names.items():
        with (folder / f"copernicus_timeprofiles-{name}.csv").open(encoding="utf-8") as file:
            theirs |= {(row[0], cycle): [float(x) for x in row[2:]] for row in list(csv.reader(file))[1:]}
    assert ours == theirs
