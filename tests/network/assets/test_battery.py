"""A battery conserves energy, keeps its limits, and never makes a site dearer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import DeclarationError
from mangrove.network.assets import annuity

PRICE = np.array([1.0, 1.0, 2.0, 5.0, 9.0, 9.0, 2.0, 1.0])
LOAD = np.array([20.0, 10.0, 30.0, 60.0, 80.0, 70.0, 40.0, 20.0])


def operated(site, text, price=PRICE, **more):
    world = site(len(price))
    battery = world.add("battery", text, **more) if text else None
    world.buy("electricity", price)
    world.need("electricity", LOAD[: len(price)])
    return world.net.solve(), battery


def test_what_comes_out_is_what_went_in_times_the_round_trip(site):
    plan, battery = operated(site, "energy=100 kWh; power=50 kW; round_trip=81 %")
    into, out = (plan[battery.streams[role]] for role in ("charge", "discharge"))
    assert out.sum() == pytest.approx(0.81 * into.sum())
    assert out.sum() > 50
    level = plan.level(battery.stores["energy"])[0, 0]
    assert level == pytest.approx(level[-1] + np.cumsum(0.9 * into - out / 0.9), abs=1e-6)


def test_the_flexmeasures_toy_battery_reaches_the_published_optimum(site):
    """FlexMeasures tutorial: 48 quarter hours, 225 kWh at the start, 50 to 450 kWh, 500 kW, round trip 90 %."""
    hourly = np.array([9, 9.5, 9, 8.5, 10, 8, 5, 4, 4, 5.5, 8, 12]) / 1000.0
    world = site(48, 0.25)
    price = np.repeat(hourly, 4)
    text = "energy=450 kWh; power=500 kW; round_trip=90 %; floor=11.1111111111111111 %"
    battery = world.add("battery", text, start=0.5)
    world.net.program.row_lower[battery.stores["energy"].end] = 50.0  # free above the band
    world.buy("electricity", price)
    world.sell("electricity", price)
    assert world.net.solve().cost == pytest.approx(-4.655136238906, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0.0, 200.0),
    st.floats(0.0, 200.0),
    st.floats(1.0, 100.0),
    st.floats(0.5, 1.0),
    st.floats(0.0, 3.0),
)
def test_more_battery_never_costs_more(site, one, other, power, trip, replacement):  # noqa: PLR0917 - drawn
    small, large = sorted((one, other))
    costs = []
    for energy in (small, large):
        text = f"energy={energy} kWh; power={power} kW; round_trip={trip * 100} %; replacement={replacement} VND/kWh; cycles=1"
        costs.append(operated(site, text)[0].cost)
    assert costs[1] <= costs[0] + 1e-6 * abs(costs[0])
    assert costs[0] <= float(PRICE @ LOAD) + 1e-6


def test_near_full_the_battery_takes_only_what_it_can(site):
    price = np.array([1.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0])
    plan, battery = operated(
        site, "energy=100 kWh; power=100 kW; round_trip=100 %; taper_from=60 %; taper_to=10 %", price
    )
    into, level = plan[battery.streams["charge"]], plan.level(battery.stores["energy"])[0, 0]
    assert (into <= 100.0 * (1 - 0.9 * (level / 100 - 0.6) / 0.4) + 1e-6).all()
    free, _ = operated(site, "energy=100 kWh; power=100 kW; round_trip=100 %", price)
    assert plan.cost > free.cost + 1.0


def test_wear_stops_cycles_that_earn_less(site):
    idle, battery = operated(
        site, "energy=100 kWh; power=50 kW; round_trip=100 %; replacement=9000 VND/kWh; cycles=1000"
    )
    assert idle[battery.streams["discharge"]].sum() == pytest.approx(0.0, abs=1e-9)
    used, battery = operated(
        site, "energy=100 kWh; power=50 kW; round_trip=100 %; replacement=1000 VND/kWh; cycles=1000"
    )
    assert used[battery.streams["discharge"]].sum() > 50
    assert used.costs()["a discharge"] == pytest.approx(used[battery.streams["discharge"]].sum() * 1.0)


def test_a_start_below_the_floor_is_a_named_relaxation_not_an_empty_plan(site):
    plan, _battery = operated(site, "energy=100 kWh; power=5 kW; floor=50 %", start=0.2)
    assert plan.status == "optimal"
    assert any("level" in one.name for one in plan.relaxed)


def test_a_chosen_size_pays_its_annuity_age_and_c_rate(site):
    text = "max_energy=500 kWh; c_rate=0.5 1/h; round_trip=100 %; cost=100 VND/kWh; om=1 VND/kWh/yr; calendar=2 VND/kWh/yr; life=10 yr"
    world = site(len(PRICE))
    price = annuity(0.0, years=1.0)
    battery = world.add("battery", text, price=price)
    world.buy("electricity", PRICE * 10)
    world.need("electricity", LOAD)
    plan = world.net.solve()
    energy, power = (plan.size(battery.capacities[key])[0] for key in ("energy", "power"))
    assert energy > 10
    assert power <= 0.5 * energy + 1e-6
    assert plan.rate(battery.streams["charge"]).max() <= power + 1e-6
    assert plan.costs()["a energy"] == pytest.approx(energy * (10.0 + 1.0 + 2.0))


def test_a_chosen_battery_keeps_floor_and_taper(site):
    text = "max_energy=200 kWh; c_rate=1 1/h; round_trip=100 %; floor=20 %; taper_from=50 %; taper_to=20 %; cost=1 VND/kWh; life=10 yr"
    world = site(len(PRICE))
    battery = world.add("battery", text, price=annuity(0.0))
    world.buy("electricity", PRICE * 10)
    world.need("electricity", LOAD)
    plan = world.net.solve()
    size, level = plan.size(battery.capacities["energy"])[0], plan.level(battery.stores["energy"])[0, 0]
    level = level + 0.2 * size  # of a chosen size it counts from the floor up
    assert level.min() >= 0.2 * size - 1e-6
    assert (plan[battery.streams["charge"]] <= size * (1 - 0.8 * (level / size - 0.5) / 0.5) + 1e-5).all()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("power=5 kW", "assets.missing_parameter"),
        ("energy=5 kWh", "assets.missing_parameter"),
        ("energy=5 kWh; power=5 kW; round_trip=110 %", "assets.out_of_range"),
        ("energy=5 kW; power=5 kW", "assets.wrong_unit"),
        ("energy=5 kWh; power=5 kW; replacement=1 VND/kWh", "assets.goes_with"),
        ("energy=5 kWh; power=5 kW; max_energy=2 kWh; cost=1 VND/kWh; life=5 yr", "assets.band"),
        ("energy=5 kWh; power=5 kW; roundtrip=90 %", "assets.unknown_parameter"),
    ],
)
def test_a_bad_declaration_is_refused_with_its_reason(values, text, code):
    with pytest.raises(DeclarationError) as raised:
        values("battery", text)
    assert code in [p.code for p in raised.value.problems]
    if code == "assets.unknown_parameter":
        assert "round_trip" in raised.value.problems[0].text("vi")
