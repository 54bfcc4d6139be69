# SPDX-License-Identifier: Apache-2.0
"""Verdicts: what cannot be otherwise, what common draws are worth, and that parts add up to their whole."""

import numpy as np
import pytest
from tests.plan.traffic.streets import city

from mangrove.errors import RequestError
from mangrove.plan.traffic.edits import Edit
from mangrove.plan.traffic.observe import access, areas, by_transit, levels, observe
from mangrove.plan.traffic.verdict import TODAY, compare, evaluate
from mangrove.traffic.emissions import by_class
from mangrove.traffic.trips import Spread

HOURS = np.array(
    [0.05] * 5
    + [0.3, 0.8, 1.0, 0.9, 0.6, 0.5, 0.5, 0.6, 0.5, 0.5, 0.6, 0.9, 1.0, 0.8, 0.5, 0.3, 0.2, 0.1, 0.05]
)
SWAP = Edit(
    "swap", "electrify", {"class": "motorbike", "into": "electric_motorbike", "share": 0.3}, error=0.2
)


def metro(case, share=0.2, error=0.05):
    values = {"stations": case.map.centers[[0, 3]], "share": share, "radius": 5.0}
    return Edit("metro", "transit_line", values, error=error)


@pytest.fixture
def case(tmp_path):
    return city(tmp_path)


def test_electric_motorbikes_never_emit_more_at_the_tailpipe_and_need_power(case):
    found = evaluate(case, [SWAP], draws=3)
    for pollutant in ("CO2", "CO", "NOx", "HC"):
        change = found.difference(pollutant, "plan")
        assert change.high < 0
        assert change.confidence == 1.0
    assert found.difference("electricity", "plan").low > 0
    assert found.difference("minutes", "plan").mean == pytest.approx(0.0, abs=1e-6)
    # 30 % of the motorbikes' part, and no more
    assert found.difference("CO2", "plan").relative > -0.3


def test_a_plan_without_edits_changes_nothing_and_neither_wins(case):
    found = evaluate(case, [], draws=2)
    for measure in found.measures:
        change = found.difference(measure.key, "plan")
        assert (change.mean, change.low, change.high) == (0.0, 0.0, 0.0)
        assert change.confidence is None


def test_a_line_that_takes_every_trip_leaves_streets_that_emit_nothing(case):
    found = evaluate(case, [metro(case, share=1.0, error=0.0)], draws=1)
    assert found.difference("km", "plan").relative == pytest.approx(-1.0)
    assert found.difference("CO2", "plan").relative == pytest.approx(-1.0)


def test_plans_in_another_order_mirror_each_other(case):
    one = compare(case, {"swap": [SWAP], "metro": [metro(case)]}, draws=3)
    other = compare(case, {"metro": [metro(case)], "swap": [SWAP]}, draws=3)
    for measure in one.measures:
        a, b = one.difference(measure.key, "swap", "metro"), other.difference(measure.key, "metro", "swap")
        assert (a.mean, a.low, a.high) == pytest.approx((-b.mean, -b.high, -b.low), rel=1e-12)
        assert (a.confidence is None) == (b.confidence is None)
        assert a.confidence is None or a.confidence == pytest.approx(1 - b.confidence)


def test_draws_beside_each_other_are_those_one_after_another(case):
    one, two = (compare(case, {"metro": [metro(case)]}, draws=4, workers=n) for n in (1, 3))
    for key, rows in one.samples.items():
        np.testing.assert_array_equal(rows, two.samples[key])


def test_vehicles_that_only_change_their_engine_leave_every_minute_as_it_was(case):
    found = evaluate(case, [SWAP], draws=2)
    assert found.difference("minutes", "plan").mean == 0.0
    assert found.difference("hours", "plan").mean == pytest.approx(0.0, abs=1e-9)


def test_differences_are_resolved_by_the_gap(tmp_path):
    crowded = city(tmp_path, trips=9_000)
    plan = {"metro": [metro(crowded)]}
    usual, exact = compare(crowded, plan, draws=2), compare(crowded, plan, draws=2, gap=1e-9)
    for key in ("CO2", "hours", "exposure"):
        a, b = usual.difference(key, "metro"), exact.difference(key, "metro")
        assert a.mean == pytest.approx(b.mean, rel=0.01)


def test_a_zone_by_the_clock_is_today_outside_its_hours(tmp_path):
    at_peak = tuple(hour in (7, 17) for hour in range(24))
    case = city(tmp_path, hours=HOURS)
    values = {"class": "motorbike", "into": "electric_motorbike"}
    zone = Edit(
        "lez", "low_emission_zone",
        {"zones": [case.map.zones[0]], "classes": ["motorbike"], "into": values["into"], "switch": 1.0}, hours=at_peak,
    )  # fmt: skip
    found = evaluate(case, [zone], draws=1)
    by_hour = found.kwh[1].sum(axis=1)
    assert set(np.flatnonzero(by_hour > 0)) == {7, 17}
    alone = evaluate(case, [Edit("lez", zone.type, zone.values)], draws=1)
    np.testing.assert_allclose(by_hour[[7, 17]], alone.kwh[1].sum(axis=1)[[7, 17]], rtol=0.02)


def test_common_random_numbers_make_the_interval_of_a_difference_smaller(case):
    plans = {"metro": [metro(case)]}
    shared = compare(case, plans, draws=12)
    apart = compare(case, plans, draws=12, common=False)
    for key in ("CO2", "hours", "minutes"):
        one, other = shared.difference(key, "metro"), apart.difference(key, "metro")
        assert one.high - one.low < 0.5 * (other.high - other.low)
    assert shared.difference("CO2", "metro").confidence == 1.0
    assert apart.difference("CO2", "metro").confidence < 1.0


def test_the_same_seed_gives_the_same_verdict_whatever_other_plans_there_are(case):
    alone = compare(case, {"swap": [SWAP]}, draws=2, seed=4)
    among = compare(case, {"metro": [metro(case)], "swap": [SWAP]}, draws=2, seed=4)
    assert among.mean("CO2", "swap") == alone.mean("CO2", "swap")
    assert compare(case, {"swap": [SWAP]}, draws=2, seed=5).mean("CO2", "swap") != alone.mean("CO2", "swap")


def test_zones_and_hours_add_up_to_the_whole(tmp_path):
    case = city(tmp_path, hours=HOURS)
    found = observe(case)
    assert found.kwh.shape == (24, 5)
    half = evaluate(case, [SWAP], draws=2)
    assert half.daily
    assert half.kwh[1].sum() == pytest.approx(half.zone["electricity"][1].sum())
    # the busiest hours need the most power
    by_hour = half.kwh[1].sum(axis=1)
    assert set(np.argsort(by_hour)[-2:]) == {7, 17}
    assert by_hour[7] / by_hour[0] == pytest.approx(20.0, rel=0.1)


def test_emissions_are_flow_times_length_times_factor_at_the_speed(case):
    found = observe(case)
    flows = found.flows
    used = flows.vehicles.sum(axis=1) > 0
    road = case.map
    whole = by_class(
        flows.vehicles[used], flows.speed[used], road.length[used], case.factors, limit=road.speed[used]
    )
    np.testing.assert_allclose(found.zone.sum(axis=0), whole.sum(axis=0), rtol=1e-9)
    assert found.km == pytest.approx((flows.vehicles * case.map.length[:, None]).sum())


def test_levels_keep_the_traffic_of_the_day():
    steps = levels(HOURS)
    assert sorted(np.concatenate([at for _, at in steps]).tolist()) == list(range(24))
    assert sum(level * len(at) for level, at in steps) == pytest.approx(HOURS.sum())
    assert [level for level, _ in steps] == sorted(level for level, _ in steps)


def test_areas_are_those_of_squares(case):
    from shapely.geometry import Polygon

    flat = [Polygon(case.map.net.to_xy(np.array(p.exterior.coords))).area / 1e6 for p in case.map.polygons]
    # UTM is 0.04 % too small near its middle meridian
    assert areas(case) == pytest.approx(flat, rel=2e-3)


def test_jobs_within_half_an_hour_are_those_that_can_be_reached(case):
    count = len(case.map.zones)
    far = np.full((count, count), 60.0)
    np.fill_diagonal(far, 0.0)
    assert access(case, far) == pytest.approx(case.population @ case.jobs / case.population.sum())
    assert access(case, np.zeros((count, count))) == pytest.approx(case.jobs.sum())


def test_a_line_takes_a_walk_half_a_headway_a_ride_and_a_walk(tmp_path):
    from tests.plan.traffic.streets import city as made

    from mangrove.plan.traffic.case import Transit

    case = made(tmp_path)
    line = Transit("m", case.map.centers[[0, 3]], speed=30.0, headway=6.0, radius=0.5)
    minutes = by_transit(case, line)
    from mangrove.traffic.road_map import distance

    far = distance(case.map.centers[[0]], case.map.centers[[3]])[0]
    assert minutes[0, 3] == pytest.approx(3.0 + 60 * far / 30.0)
    assert np.isinf(minutes[1, 2])


def test_with_an_elasticity_a_slower_street_loses_trips(tmp_path):
    still, elastic = city(tmp_path, trips=12_000), city(tmp_path, trips=12_000, elasticity=-0.5)
    narrow = [
        Edit("n", "change_lanes", {"edges": ["j1_1-j1_2", "j1_2-j1_1", "j2_1-j2_2", "j2_2-j2_1"], "lanes": 1})
    ]
    assert (
        evaluate(elastic, narrow, draws=1).first[1].flows.driven
        < evaluate(still, narrow, draws=1).first[1].flows.driven
    )


def test_more_trips_are_never_faster(tmp_path):
    spread = Spread(0.0, 0.0, 0.0)
    times = [observe(city(tmp_path, trips=t, spread=spread)).minutes for t in (500, 5_000, 10_000, 20_000)]
    assert times == sorted(times)


def test_trips_without_a_way_are_told(case):
    around = [
        f"j{r}_{c}-j{r + a}_{c + b}"
        for r, c, a, b in ((0, 1, 0, -1), (1, 0, -1, 0), (0, 0, 0, 1), (0, 0, 1, 0))
    ]
    around += [
        "j1_1-j0_1",
        "j1_1-j1_0",
        "j0_1-j1_1",
        "j1_0-j1_1",
        "j0_2-j0_1",
        "j1_2-j1_1",
        "j2_0-j1_0",
        "j2_1-j1_1",
    ]
    found = evaluate(case, [Edit("close", "change_lanes", {"edges": around, "lanes": 0})], draws=1)
    assert [problem.code for problem in found.problems] == ["roads.unserved"]


def test_plans_need_names_of_their_own(case):
    for plans in ({}, {TODAY: []}):
        with pytest.raises(RequestError) as caught:
            compare(case, plans)
        assert caught.value.code == "roads.plan_name"
    with pytest.raises(RequestError) as caught:
        evaluate(case, [], draws=1).mean("CO2", "other")
    assert caught.value.code == "roads.unknown_plan"
