# SPDX-License-Identifier: Apache-2.0
"""Development beside lines: closed forms where all zones grow alike, and what changes nothing."""

from datetime import date

import numpy as np
import pytest
from tests.plan.traffic.streets import city

from mangrove.errors import MangroveError
from mangrove.plan.traffic.edits import Edit, apply
from mangrove.plan.traffic.trip_edits import covered

ZONES = ["z00", "z01", "z10", "z11"]


@pytest.fixture
def case(tmp_path):
    return city(tmp_path)


def metro(case, share=0.2, radius=5.0, **others):
    return Edit(
        "metro",
        "transit_line",
        {"stations": case.map.centers[[0, 3]], "share": share, "radius": radius},
        **others,
    )


def tower(growth=0.5, zones=ZONES, **values):
    return Edit("a_tower", "develop", {"zones": zones, "population": growth, "jobs": growth, **values})


def test_where_all_grow_alike_the_road_gets_what_the_line_leaves(case):
    """T (1 - s0) of today's trips and g T (1 - s w w) of the new ones."""
    for within, share in ((1.0, 0.6), (0.5, 0.6), (0.0, 0.6), (1.0, 1.0)):
        after = apply(case, [tower(0.5, near="metro", share=share, within=within), metro(case)])
        wanted = (1 - 0.2) + 0.5 * (1 - share * within**2)
        np.testing.assert_allclose(after.trips, wanted * case.trips, rtol=1e-6)
    alone = apply(case, [tower(0.5), metro(case)])
    np.testing.assert_allclose(alone.trips, 1.5 * 0.8 * case.trips, rtol=1e-6)


def test_the_share_of_today_at_the_same_distance_changes_nothing(case):
    line = metro(case, share=0.3, radius=0.4)
    near = covered(case, case.map.centers[[0, 3]], 0.4)
    assert 0 < near[0] < 1
    plain = apply(case, [line, tower(0.4, ["z00"])])
    same = apply(case, [line, tower(0.4, ["z00"], near="metro", share=0.3, within=float(near[0]))])
    np.testing.assert_allclose(same.trips, plain.trips, rtol=1e-9)
    beside = apply(case, [line, tower(0.4, ["z00"], near="metro", share=0.3)])
    assert beside.trips.sum() < plain.trips.sum()
    np.testing.assert_array_equal(beside.population, plain.population)


def test_only_trips_between_places_near_the_line_use_it(case):
    line = metro(case, share=0.3, radius=0.2)
    near = covered(case, case.map.centers[[0, 3]], 0.2)
    assert near[1] == 0.0
    plain = apply(case, [line, tower(0.4, ["z00"])])
    beside = apply(case, [line, tower(0.4, ["z00"], near="metro", share=0.9)])
    np.testing.assert_allclose(beside.trips[0, 1], plain.trips[0, 1], rtol=1e-9)
    assert beside.trips[0, 3] < plain.trips[0, 3]


def test_as_long_as_the_line_does_not_run_all_new_trips_drive(case):
    line = metro(case, first=date(2030, 1, 1))
    edits = [tower(0.5, near="metro", share=0.6), line]
    early, late = (apply(case, edits, on=date(year, 1, 1)) for year in (2029, 2031))
    np.testing.assert_allclose(early.trips, 1.5 * case.trips, rtol=1e-6)
    np.testing.assert_allclose(late.trips, (0.8 + 0.5 * 0.4) * case.trips, rtol=1e-6)


def test_a_bus_line_is_a_line_too(case):
    values = {"edges": ["j0_0-j0_1", "j0_1-j0_2"], "per_hour": 12, "share": 0.1, "radius": 5.0}
    after = apply(case, [Edit("bus", "bus_line", values), tower(0.5, near="bus", share=0.6)])
    np.testing.assert_allclose(after.trips, (0.9 + 0.5 * 0.4) * case.trips, rtol=1e-6)


def test_zones_grow_as_a_whole_whatever_may_not_enter_them(case):
    """A low-emission zone parts the trips; people who move in do so all the same, with the vehicles of those who live there."""
    zone = {"zones": ["z00"], "classes": ["motorbike"], "into": "electric_motorbike", "switch": 0.4}
    ban = Edit("a_ban", "low_emission_zone", zone)
    apart = apply(case, [ban, tower(0.3, ["z00"])])
    np.testing.assert_allclose(apart.trips, apply(case, [tower(0.3, ["z00"])]).trips, rtol=1e-9)
    banned = apply(case, [ban])
    for before, after in zip(banned.streams, apart.streams, strict=True):
        np.testing.assert_array_equal(before.shares, after.shares)
        np.testing.assert_array_equal(before.trips > 0, after.trips > 0)


def test_a_share_of_new_trips_is_a_share(case):
    with pytest.raises(MangroveError) as caught:
        apply(case, [metro(case), tower(0.5, near="metro", share=1.2)])
    assert caught.value.code == "roads.bad_value"
    with pytest.raises(MangroveError) as caught:
        apply(case, [metro(case), tower(0.5, near="metro")])
    assert caught.value.code == "roads.near_share"
