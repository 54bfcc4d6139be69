"""A grid connection under a contract: energy, the billed peak, exports and their cap."""

from types import SimpleNamespace

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.network.assets.grid import cap_exports


def terms(steps=8, *, buy=2.0, sell=None, demand=None, month=None, window=0.5, cap=None):
    return SimpleNamespace(
        buy=np.broadcast_to(buy, (steps,)).astype(float), sell=None if sell is None else np.full(steps, sell), demand=demand,
        month=np.zeros(steps, int) if month is None else np.asarray(month), window=window, export_cap=cap,
    )  # fmt: skip


def test_a_bill_is_energy_plus_the_peak_of_each_month_averaged_over_the_window(site):
    world = site(8, 0.25)
    load = np.array([10.0, 30.0, 20.0, 20.0, 8.0, 4.0, 0.0, 0.0])
    grid = world.add("grid", "capacity=1 MW", terms=terms(demand=100.0, month=[0, 0, 0, 0, 1, 1, 1, 1]))
    world.need("electricity", load)
    plan = world.net.solve()
    assert plan.peak(grid.extra["peak"]) == pytest.approx([20.0, 6.0])
    assert plan.cost == pytest.approx(0.25 * 2.0 * load.sum() + 100.0 * 26.0)


def test_a_peak_that_is_billed_already_is_not_paid_again_for_less(site):
    world = site(8, 0.5)
    grid = world.add("grid", "capacity=1 MW", terms=terms(demand=100.0), now={"metered": 50.0})
    world.need("electricity", 40.0)
    assert world.net.solve().peak(grid.extra["peak"]) == pytest.approx([50.0])


def test_exports_are_sold_within_their_limit_and_their_share_of_generation(site):
    world = site(4)
    pv = world.add("pv", "capacity=100 kWp", "roof", series={"profile": np.array([0.0, 1.0, 1.0, 0.0])})
    grid = world.add("grid", "capacity=1 MW; export=90 kW", terms=terms(4, sell=0.5))
    world.need("electricity", 10.0)
    free = world.net.solve()
    assert free[grid.streams["export"]] == pytest.approx([0, 90, 90, 0])
    cap_exports(world.net, "cap", [grid.streams["export"]], [pv.streams["output"]], 0.2)
    capped = world.net.solve()
    sold, made = capped[grid.streams["export"]].sum(), capped[pv.streams["output"]].sum()
    assert sold == pytest.approx(0.2 * made)
    assert made == pytest.approx(20.0 / 0.8)  # the rest is curtailed
    with pytest.raises(RequestError):
        cap_exports(world.net, "cap 2", [grid.streams["export"]], [], 1.2)


def test_nothing_is_bought_and_sold_in_the_same_step_even_when_that_would_earn(site):
    world = site(4)
    grid = world.add("grid", "capacity=50 kW; export=50 kW", terms=terms(4, buy=1.0, sell=3.0))
    world.need("electricity", 10.0)
    plan = world.net.solve()
    bought, sold = plan[grid.streams["import"]], plan[grid.streams["export"]]
    assert np.minimum(bought, sold).max() == pytest.approx(0.0, abs=1e-6)


def test_carbon_follows_the_import(site):
    world = site(4)
    factor = np.array([0.7, 0.6, 0.5, 0.4])
    world.add("grid", "capacity=50 kW", terms=terms(4), series={"carbon": factor})
    co2 = world.net.sink("air", world.nodes["CO2"])
    world.need("electricity", 10.0)
    assert world.net.solve()[co2] == pytest.approx(10.0 * factor)


def test_a_connection_without_a_contract_is_refused(site):
    with pytest.raises(RequestError) as raised:
        site().add("grid", "capacity=50 kW")
    assert raised.value.code == "assets.no_terms"


def test_a_connection_that_is_too_small_names_what_it_cannot_serve(site):
    world = site(4)
    world.add("grid", "capacity=50 kW", terms=terms(4))
    need = world.need("electricity", 80.0)
    assert world.net.solve().shortfall(need)[0, 0] == pytest.approx(np.full(4, 30.0))
