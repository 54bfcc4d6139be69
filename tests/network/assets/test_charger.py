"""Vehicles get what they were promised, or the plan says who did not, by how much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import DeclarationError, RequestError
from mangrove.network.assets.charger import Stays, Visits, envelope, sample, stays

PRICE = np.array([5.0, 5.0, 1.0, 1.0, 5.0, 5.0, 9.0, 9.0])


def times(*text):
    return np.array(text, dtype="datetime64[s]")


def charged(site, text, fleet, price=PRICE, **more):
    world = site(len(price))
    charger = world.add("charger", text, now={"stays": fleet}, **more)
    world.buy("electricity", price)
    return world.net.solve(), charger


def test_a_vehicle_charges_in_its_cheapest_hours_and_leaves_with_its_energy(site):
    plan, charger = charged(site, "power=7 kW", Stays(np.array([1]), np.array([6]), np.array([14.0])))
    assert plan[charger.streams["charge"]] == pytest.approx([0, 0, 7, 7, 0, 0, 0, 0])
    assert plan.cost == pytest.approx(14.0)


def test_a_target_out_of_reach_is_a_named_shortfall_and_not_an_empty_plan(site):
    fleet = Stays(np.array([1, 0]), np.array([3, 8]), np.array([40.0, 10.0]))
    plan, charger = charged(site, "power=7 kW", fleet)
    sessions = charger.stores["sessions"]
    assert plan.shortfall(sessions)[:, 0] == pytest.approx([26.0, 0.0])
    assert [(one.name, one.item, one.tier) for one in plan.relaxed] == [("a", "a 1", "promised")]
    assert plan.rate(charger.streams["charge"]).sum() == pytest.approx(14.0 + 10.0)


def test_all_plugs_together_stay_below_the_limit_of_the_site(site):
    fleet = Stays(np.zeros(5, int), np.full(5, 8), np.full(5, 14.0))
    plan, charger = charged(site, "power=7 kW; limit=20 kW", fleet)
    assert plan.rate(charger.streams["charge"]).sum(axis=0).max() <= 20.0 + 1e-6
    assert not plan.relaxed


def test_a_two_way_vehicle_gives_before_the_cheap_hours_and_still_leaves_full(site):
    fleet = Stays(np.array([0]), np.array([8]), np.array([10.0]))
    one_way, _ = _with_load(site, "power=10 kW", fleet)
    two_way, charger = _with_load(
        site, "power=10 kW; discharge=10 kW; vehicle=50 kWh; efficiency=95 %; wear=1 VND/kWh", fleet
    )
    assert two_way.cost < one_way.cost - 10
    into, out = (two_way[charger.streams[role]] for role in ("charge", "discharge"))
    assert 0.95 * into.sum() - out.sum() / 0.95 == pytest.approx(10.0)
    assert out[:2].sum() > 5


def _with_load(site, text, fleet):
    world = site(8)
    charger = world.add("charger", text, now={"stays": fleet})
    world.buy("electricity", PRICE)
    world.need("electricity", 20.0)
    return world.net.solve(), charger


def test_visits_are_cut_to_whole_steps_inside_the_horizon():
    starts = np.arange("2026-01-05T08", "2026-01-05T12", dtype="datetime64[h]").astype("datetime64[s]")
    visits = Visits(
        times(
            "2026-01-05T07:10", "2026-01-05T08:20", "2026-01-05T11:00", "2026-01-05T06:00", "2026-01-05T09:10"
        ),
        times(
            "2026-01-05T09:30", "2026-01-05T10:59", "2026-01-05T16:00", "2026-01-05T07:00", "2026-01-05T09:40"
        ),
        np.array([5.0, 6.0, 30.0, 9.0, 2.0]),
    )
    found = stays(visits, starts, 1.0, 7.0)
    assert found.arrive.tolist() == [0, 1, 3, 2]
    assert found.depart.tolist() == [1, 2, 4, 2]
    assert found.energy.tolist() == [5.0, 6.0, 2.0, 2.0]  # the third can take 28 kWh after 12:00


@pytest.mark.parametrize(("ends", "energy", "code"), [
    ("2026-01-05T07:00", 5.0, "assets.visit_reversed"), ("2026-01-05T09:00", -1.0, "assets.visit_energy"),
    ("2026-01-05T09:00", np.nan, "assets.visit_energy"),
])  # fmt: skip
def test_an_impossible_visit_is_refused(ends, energy, code):
    with pytest.raises(RequestError) as raised:
        Visits(times("2026-01-05T08:00"), times(ends), np.array([energy]))
    assert raised.value.code == code
    assert raised.value.text("vi") != raised.value.text("en")


def test_a_two_way_charger_needs_the_size_of_the_battery(values):
    with pytest.raises(DeclarationError) as raised:
        values("charger", "power=7 kW; discharge=7 kW")
    assert raised.value.problems[0].code == "assets.goes_with"


HISTORY = Visits(
    np.array([f"2026-01-{day:02d}T08:{day:02d}" for day in range(5, 17)], dtype="datetime64[s]"),
    np.array([f"2026-01-{day:02d}T15:00" for day in range(5, 17)], dtype="datetime64[s]"),
    np.arange(12.0) + 5,
)


def test_scenarios_repeat_days_of_the_same_kind_and_the_same_seed_repeats_them():
    made = sample(HISTORY, "2026-02-06", 2, scenarios=6, seed=4)  # a Friday and a Saturday
    again = sample(HISTORY, "2026-02-06", 2, scenarios=6, seed=4)
    assert len(made) == 6
    for one, other in zip(made, again, strict=True):
        assert (one.starts == other.starts).all()
        assert (
            one.starts.astype("datetime64[D]") == times("2026-02-06", "2026-02-07").astype("datetime64[D]")
        ).all()
        friday, saturday = one.energy
        assert saturday == HISTORY.energy[5]  # 10 January is the only Saturday
        assert friday not in {HISTORY.energy[5], HISTORY.energy[6]}
    assert len({float(one.energy[0]) for one in made}) > 1
    later = sample(HISTORY, "2026-02-06", 2, scenarios=1, seed=4, after=np.datetime64("2026-02-07T00:00"))
    assert len(later[0].starts) == 1
    with pytest.raises(RequestError):
        sample(
            Visits(HISTORY.starts[:2], HISTORY.ends[:2], HISTORY.energy[:2]),
            "2026-02-07",
            1,
            scenarios=1,
            seed=1,
        )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(1, 8), st.floats(0.0, 60.0)), min_size=1, max_size=5),
    st.floats(1.0, 22.0),
)
def test_the_envelope_of_a_fleet_holds_every_way_to_charge_it(fleet, power):
    arrive = np.array([min(a, 7) for a, _, _ in fleet])
    depart = np.minimum(arrive + np.array([d for _, d, _ in fleet]), 8)
    energy = np.array([e for _, _, e in fleet])
    hours = np.ones(8)
    most_power, least, most = envelope(Stays(arrive, depart, energy), 8, hours, power, 1.0)
    assert (np.diff(least) >= -1e-9).all()
    assert (np.diff(most) >= -1e-9).all()
    assert (least <= most + 1e-9).all()
    assert least[-1] == pytest.approx(energy.sum())
    # charging as early as possible, each vehicle by itself, stays inside
    step = np.arange(8)
    inside = (step >= arrive[:, None]) & (step < depart[:, None])
    early = np.minimum(np.cumsum(inside * power, axis=1), energy[:, None])
    rate = np.diff(early, axis=1, prepend=0.0).sum(axis=0)
    assert (rate <= most_power + 1e-9).all()
    assert (early.sum(axis=0) <= most + 1e-9).all()


def test_expected_vehicles_differ_by_scenario_and_what_cannot_be_delivered_is_named(site):
    calm = Stays(np.array([2]), np.array([6]), np.array([14.0]))
    rush = Stays(np.array([1, 4]), np.array([3, 6]), np.array([30.0, 7.0]))
    world = site(8, probabilities=(0.5, 0.5), here_and_now=1)
    charger = world.add("charger", "power=7 kW", now={"scenarios": [calm, rush]})
    world.buy("electricity", PRICE)
    plan = world.net.solve()
    rate = plan.rate(charger.streams["expected"])[0]
    assert rate.sum(axis=1) == pytest.approx([14.0, 21.0])
    unmet = plan.rate(charger.streams["unmet"])[0].sum(axis=1)
    assert unmet == pytest.approx([0.0, 16.0])
    assert plan.relaxed[0].name == "a expected"
    assert plan.relaxed[0].tier == "promised"
    with pytest.raises(RequestError) as raised:
        site(8).add("charger", "power=7 kW", now={"scenarios": [calm, rush]})
    assert raised.value.code == "assets.scenario_count"
