# SPDX-License-Identifier: Apache-2.0
"""Utilities on the grand composite curve and plants that share mains, against the stored targets of another program and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from tests.network.heat_cases import PUBLISHED, random_streams, stored

from mangrove.errors import RequestError
from mangrove.network.heat import Streams
from mangrove.network.total_site import Utility, place, total_site

MAINS = (
    Utility("fire", 900, 890),
    Utility("steam", 180, 180, heats=True, cools=True),
    Utility("hot water", 90, 60, heats=True, cools=True),
    Utility("river", 10, 5, heats=False, cools=True),
    Utility("ice", -20, -20, heats=False, cools=True),
)
TIGHT = 1e-3


def sums(loads, side):
    """Loads of several plants added by utility."""
    total = {}
    for one in loads:
        for name, heat in getattr(one, side).items():
            total[name] = total.get(name, 0.0) + heat
    return total


@pytest.mark.data
def test_all_stored_targets_are_reproduced_plant_by_plant_and_utility_by_utility(data_dir):
    cases, count = set(), 0
    for name, streams, utilities, targets in stored(data_dir / "symbiosis" / "heat_pinch"):
        site = total_site(streams, utilities, 0.0)
        joined = place(streams, utilities, 0.0)
        for target in targets:
            zone = target["name"].replace("/Direct Integration", "")
            if "Total Process" in zone:
                found, loads = site.alone, [*site.loads.values()]
            elif "Total Site" in zone:
                found, loads = site.mains, [site.shared]
            elif zone in site.plants and zone != name:
                found = (site.plants[zone].hot_utility, site.plants[zone].cold_utility)
                loads = [site.loads[zone]]
            else:
                found, loads = (site.joined.hot_utility, site.joined.cold_utility), [joined]
            assert found == pytest.approx((target["Qh"]["value"], target["Qc"]["value"]), abs=TIGHT), (
                name,
                zone,
            )
            for side in ("hot", "cold"):
                wanted = {u["name"]: u["heat_flow"]["value"] for u in target[f"{side}_utilities"]}
                assert sums(loads, side) == pytest.approx(wanted, abs=TIGHT), (name, zone)
            count += 1
        cases.add(name)
    assert (len(cases), count) == (18, 105)


def test_the_coldest_hot_utility_is_used_first_as_far_as_it_reaches():
    streams = Streams.of([20, 20], [100, 200], heat=[80, 180])
    found = place(streams, [Utility("steam", 120, 120), Utility("oil", 300, 290)])
    assert found.hot["steam"] == pytest.approx(80 + 90)  # all up to 110: the least difference is 10 K
    assert found.hot["oil"] == pytest.approx(90)


def test_a_utility_with_a_glide_is_as_large_as_its_slope_allows():
    streams = Streams.of([40], [100], heat=[60])  # 1 kW/K
    found = place(streams, [Utility("water", 90, 50), Utility("oil", 300, 290)])
    assert found.hot["water"] == pytest.approx(40)  # parallel to the stream: 10 K away all along
    steep = place(streams, [Utility("water", 70, 60), Utility("oil", 300, 290)])
    assert steep.hot["water"] == pytest.approx(20)  # up to 60 degC, where its hot end pinches


def test_what_no_utility_reaches_is_told():
    found = place(Streams.of([20, 200], [100, 100], heat=[80, 10]), [Utility("tepid", 40, 40)], 10)
    assert found.unmet[0] > 0
    assert found.hot["tepid"] + found.unmet[0] == pytest.approx(70)
    cold = place(Streams.of([50], [10], heat=[40]), [Utility("pond", 20, 20, heats=False, cools=True)])
    assert cold.unmet == (0.0, pytest.approx(20))


@settings(max_examples=60, deadline=None)
@given(random_streams())
def test_joined_is_best_mains_come_next_and_alone_is_worst(streams):
    site = total_site(streams, MAINS)
    small = 1e-6 * max(float(streams.heat.sum()), 1.0)
    assert site.joined.hot_utility <= site.mains[0] + small
    assert site.mains[0] <= site.alone[0] + small
    assert site.alone[0] - site.mains[0] == pytest.approx(site.alone[1] - site.mains[1], abs=small)
    for name, loads in site.loads.items():
        assert math.fsum(loads.hot.values()) == pytest.approx(site.plants[name].hot_utility, abs=small)
        assert math.fsum(loads.cold.values()) == pytest.approx(site.plants[name].cold_utility, abs=small)


@settings(max_examples=60, deadline=None)
@given(random_streams())
def test_site_profiles_hold_what_plants_lack_and_have_to_spare(streams):
    site = total_site(streams, MAINS)
    for curve, wanted in ((site.sink, site.alone[0]), (site.source, site.alone[1])):
        top = curve.heat[-1] if len(curve.heat) else 0.0
        assert top == pytest.approx(wanted, abs=1e-6)
        assert (np.diff(curve.heat) >= -1e-9).all()


def test_a_profile_bends_where_a_pocket_begins():
    # heat passing down: 0 at 55, 20 at 75, 10 at 85, 50 at 125: the pocket between 65 and 85 helps itself
    site = total_site(Streams.of([50, 90, 80], [70, 80, 120], heat=[20, 10, 40]), MAINS)
    assert site.joined.cascade.tolist() == pytest.approx([0, 20, 10, 50])
    assert site.sink.temperature.tolist() == pytest.approx([55, 65, 85, 125])
    assert site.sink.heat.tolist() == pytest.approx([0, 10, 10, 50])


def test_heat_raised_at_a_main_serves_colder_mains_too():
    streams = Streams.of([250, 30], [240, 60], heat=[100, 60], plants=["mill", "town"])
    site = total_site(streams, MAINS)
    assert site.loads["mill"].cold["steam"] == pytest.approx(100)
    assert site.loads["town"].hot["hot water"] == pytest.approx(60)
    assert site.mains == pytest.approx((0, 40))


@pytest.mark.parametrize(
    ("code", "utilities"),
    [
        ("heat.utility_twice", [Utility("a", 100, 90), Utility("a", 80, 70)]),
        ("heat.bad_utility", [Utility("a", 90, 100)]),
        ("heat.bad_utility", [Utility("a", math.nan, 100)]),
        ("heat.bad_utility", [Utility("a", 100, 90, -1.0)]),
    ],
)
def test_utilities_without_sense_are_refused(code, utilities):
    with pytest.raises(RequestError) as raised:
        place(PUBLISHED[0].streams, utilities)
    assert raised.value.code == code
