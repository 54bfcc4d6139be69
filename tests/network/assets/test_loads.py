"""Loads: what is fixed stays, what may move keeps its energy, what may be left out has its price."""

import numpy as np
import pytest

from mangrove.errors import DeclarationError, RequestError
from mangrove.network.assets.batch import power

PRICE = np.array([5.0, 1.0, 2.0, 9.0, 9.0, 2.0, 1.0, 5.0])
DEMAND = np.array([10.0, 10.0, 10.0, 40.0, 40.0, 10.0, 10.0, 10.0])


def served(site, kind, text, demand=DEMAND, **series):
    world = site()
    load = world.add(kind, text, series={"demand": demand, **series})
    grid = world.buy("electricity", PRICE)
    return world.net.solve(), load, grid


def test_a_load_is_met_step_by_step(site):
    plan, _, grid = served(site, "load", "flow=x")
    assert plan[grid] == pytest.approx(DEMAND)


@pytest.mark.parametrize(("demand", "code"), [
    (np.ones(7), "assets.series_length"), (np.array([1, 1, np.nan, 1, 1, 1, 1, 1]), "assets.series_value"),
    (-np.ones(8), "assets.series_value"),
])  # fmt: skip
def test_a_bad_series_is_refused_with_the_step(site, demand, code):
    with pytest.raises(RequestError) as raised:
        served(site, "load", "flow=x", demand)
    assert raised.value.code == code
    if "nan" in str(demand):
        assert "2" in raised.value.text()


def test_a_curtailable_load_leaves_out_what_costs_more_than_it_is_worth(site):
    plan, load, grid = served(site, "curtailable_load", "value=7 VND/kWh; share=25 %")
    left = plan[load.streams["curtailed"]]
    assert left == pytest.approx([0, 0, 0, 10, 10, 0, 0, 0])
    assert plan[grid] == pytest.approx(DEMAND - left)
    assert plan.cost == pytest.approx(PRICE @ (DEMAND - left) + 7 * 20)


def test_a_shiftable_load_keeps_its_energy_in_every_window(site):
    plan, _, grid = served(site, "shiftable_load", "window=4 h; share=50 %; power=30 kW")
    used = plan[grid].reshape(2, 4)
    assert used.sum(axis=1) == pytest.approx(DEMAND.reshape(2, 4).sum(axis=1))
    moved = plan[grid] - 0.5 * DEMAND
    assert moved.max() <= 30.0 + 1e-9
    assert moved == pytest.approx([0, 30, 5, 0, 0, 5, 30, 0])
    assert plan.cost < PRICE @ DEMAND
    same, _, _ = served(site, "shiftable_load", "window=1 h")
    assert same.cost == pytest.approx(PRICE @ DEMAND)


def test_windows_may_be_given_step_by_step(site):
    plan, _, grid = served(
        site, "shiftable_load", "share=100 %; power=200 kW", window=np.array([0, 0, 0, 0, 0, 0, 1, 1.0])
    )
    assert plan[grid] == pytest.approx([0, 120, 0, 0, 0, 0, 20, 0])


def test_a_shiftable_load_that_does_not_fit_is_a_named_relaxation(site):
    plan, _, _ = served(site, "shiftable_load", "window=4 h; power=15 kW")
    assert {one.name for one in plan.relaxed} == {"a window"}
    assert sum(one.amount for one in plan.relaxed) == pytest.approx(2 * 10.0)


def batches(site, text, **now):
    world = site()
    batch = world.add("batch", text, now=now)
    grid = world.buy("electricity", PRICE)
    return world.net.solve(), batch, grid


def test_a_batch_starts_where_its_course_is_cheapest(site):
    plan, batch, grid = batches(site, "power=100 kW; duration=2 h; whole=yes")
    starts = plan[batch.streams["starts"]]
    assert plan[grid] == pytest.approx(power(starts, batch.extra["course"], np.ones(8)))
    assert starts == pytest.approx([0, 1, 0, 0, 0, 0, 0, 0], abs=1e-6) or starts[5] == pytest.approx(1.0)
    assert plan.cost == pytest.approx(300.0)


def test_one_line_runs_one_batch_at_a_time_inside_its_window(site):
    plan, batch, grid = batches(
        site, "power=100 kW; duration=2 h; runs=2; earliest=1 h; latest=7 h; whole=yes"
    )
    used = plan[grid]
    assert used.max() <= 100.0 + 1e-6
    assert used.sum() == pytest.approx(400.0)
    assert used[0] == used[7] == 0.0
    assert plan[batch.streams["starts"]] == pytest.approx([0, 1, 0, 0, 0, 1, 0, 0], abs=1e-6)


def test_a_course_of_several_powers_is_followed(site):
    plan, _, grid = batches(site, "power=1 kW; duration=3 h; whole=yes", course=[10.0, 0.0, 50.0])
    assert plan[grid].sum() == pytest.approx(60.0)
    assert plan.cost == pytest.approx(min(10 * PRICE[s] + 50 * PRICE[s + 2] for s in range(6)))


def test_runs_that_do_not_fit_are_named(site):
    plan, _, _ = batches(site, "power=100 kW; duration=4 h; runs=3")
    assert plan.relaxed[0].name == "a runs"
    assert plan.relaxed[0].amount == pytest.approx(1.0)


def test_a_window_too_short_for_a_run_is_refused(values):
    with pytest.raises(DeclarationError) as raised:
        values("batch", "power=1 kW; duration=5 h; earliest=2 h; latest=6 h")
    assert raised.value.problems[0].code == "assets.band"
