"""A plan that promises to survive an outage does, and the probability for other hours is counted, not guessed."""

from dataclasses import replace

import numpy as np
import pytest
from tests.plan.worlds import factory, tiny, with_hydrogen

from mangrove.errors import RequestError
from mangrove.plan.build import every_step, model, over_typical_days
from mangrove.plan.outages import hours_of, survival
from mangrove.plan.problem import Limits, Outage, Size, battery, converter, generator, pv, tank
from mangrove.plan.size import size

BANK = battery("b", power=Size(cost=10.0), energy=Size(cost=1.0), efficiency=(0.9, 0.8))


def test_a_battery_alone_is_sized_for_the_energy_and_the_power_of_the_outage():
    load = np.full(24, 2.0)
    load[20] = 6.0
    case = tiny(load, np.full(24, 1.0), (BANK,), outages=(Outage(19, 3, {"electricity": 0.5}),))
    found = size(case, days=None)
    assert found.sizes["b"] == pytest.approx(3.0)
    assert found.sizes["b/energy"] == pytest.approx((1 + 3 + 1) / 0.8)
    assert found.after.levels["b"][18] >= 5 / 0.8 - 1e-6


def test_sun_in_the_outage_takes_the_place_of_stored_energy_and_fills_the_store():
    sun = np.zeros(24)
    sun[20] = 1.0
    roof = pv("roof", sun, cost=0.0, existing=10.0, most=10.0)
    dear = BANK.resized("b/energy", cost=1e6)
    case = tiny(np.full(24, 2.0), np.full(24, 1.0), (dear, roof), outages=(Outage(19, 3),))
    found = size(case, days=None)
    assert found.sizes["b/energy"] == pytest.approx(
        2 / 0.8
    )  # for hour 19; the sun of hour 20 fills it for hour 21


def test_without_an_outage_nothing_is_bought_for_one():
    assert size(tiny(np.full(24, 2.0), np.full(24, 1.0), (BANK,)), days=None).sizes["b"] == 0.0


def test_a_generator_and_a_second_supply_help_through():
    diesel = generator("diesel", running=9.0, emissions=0.7, cost=5.0, most=1.5)
    case = tiny(np.full(24, 2.0), np.full(24, 1.0), (BANK, diesel), outages=(Outage(3, 4),))
    found = size(case, days=None)
    assert found.sizes["diesel"] == pytest.approx(1.5)
    assert found.sizes["b/energy"] == pytest.approx(4 * 0.5 / 0.8)


def test_a_fuel_cell_lives_from_its_tank():
    cell = converter("cell", {"hydrogen": -2.0, "electricity": 1.0}, cost=3.0, most=10.0)
    hold = tank("hold", "hydrogen", cost=1.0)
    maker = converter("maker", {"electricity": -1.0, "hydrogen": 0.7}, cost=1.0)
    case = tiny(np.full(24, 2.0), np.full(24, 1.0), (cell, hold, maker), outages=(Outage(10, 5),))
    found = size(case, days=None)
    assert found.sizes["cell"] == pytest.approx(2.0)
    assert found.sizes["hold/energy"] == pytest.approx(20.0)
    assert found.survival(1.0, 5.0).hours[10] == 5.0


def test_what_cannot_be_survived_is_named_and_the_rest_is_planned():
    weak = replace(BANK, size=replace(BANK.size, most=1.0))
    case = tiny(np.full(24, 2.0), np.full(24, 1.0), (weak,), outages=(Outage(5, 2),))
    found = size(case, days=None)
    assert [one.tier for one in found.relaxed] == ["promised"]
    assert found.relaxed[0].amount == pytest.approx(2.0)
    assert found.sizes["b"] == pytest.approx(1.0)


def test_a_roof_does_not_grow_for_an_outage():
    sun = np.zeros(24)
    sun[5:7] = 1.0
    roof = pv("roof", sun, cost=1.0, area=5.0, most=50.0)
    limits = Limits(area=5.0)
    found = size(
        tiny(np.full(24, 2.0), np.full(24, 1.0), (roof,), outages=(Outage(5, 2),), limits=limits), days=None
    )
    assert found.sizes["roof"] == pytest.approx(1.0)
    assert found.relaxed[0].amount == pytest.approx(2.0)


def test_more_or_longer_outages_never_cost_less():
    base = factory(days=14)
    several = ((), (Outage(50, 2),), (Outage(50, 6),), (Outage(50, 6), Outage(200, 6)))
    costs = [size(replace(base, outages=outages), days=None).cost for outages in several]
    assert costs == sorted(costs)


def test_the_simulation_survives_exactly_what_the_plan_promised():
    start = 14 * 24 - 30
    case = factory(
        days=14, outages=(Outage(start, 5, {"electricity": 0.6}), Outage(100, 3, {"electricity": 0.6}))
    )
    found = size(case, days=None)
    lived = found.survival(0.6, 5.0)
    assert lived.hours[start] == pytest.approx(5.0)
    assert lived.hours[100] >= 3.0
    assert 0 < lived.probability(5.0) <= lived.probability(3.0) <= lived.probability(1.0) <= 1


def test_the_preview_holds_the_outage_with_the_level_of_the_real_day():
    case = factory(days=28, outages=(Outage(300, 4, {"electricity": 0.5}),))
    found = size(case, days=6)
    assert found.preview is not None
    assert not found.relaxed
    need = 0.5 * case.loads["electricity"][300:304].max()
    assert found.preview.sizes["battery"] + found.preview.sizes["roof"] >= need * 0.5
    assert found.preview.sizes["battery"] == pytest.approx(found.sizes["battery"], rel=0.5)
    assert found.preview.cost >= found.cost * (1 - 1e-7)


def test_a_simulation_by_hand_counts_hours_for_every_start():
    load = np.full(24, 1.0)
    case = tiny(load, load, (BANK,))
    levels = {"b": np.full(24, 3.0 / 0.8)}
    lived = survival(case, {"b": 1.0, "b/energy": 10.0}, levels, critical=1.0, longest=6.0)
    assert lived.hours == pytest.approx(np.full(24, 3.0))
    assert lived.probability(3.0) == 1.0
    assert lived.probability(4.0) == 0.0
    weak = survival(case, {"b": 0.5, "b/energy": 10.0}, levels, critical=1.0, longest=6.0)
    assert weak.hours == pytest.approx(np.zeros(24))
    none = survival(case, case.existing(), {}, critical=0.0, longest=6.0)
    assert none.probability(6.0) == 1.0


def test_an_outage_at_the_end_goes_on_at_the_beginning():
    case = tiny(np.full(24, 2.0), np.full(24, 1.0), (BANK,))
    assert hours_of(case, Outage(22, 4)).tolist() == [22, 23, 0, 1]


def test_rows_of_an_outage_are_few():
    case = with_hydrogen(days=14)
    for view in (every_step(case), over_typical_days(case, 4)):
        plain = model(case, view).net.program.height
        more = model(replace(case, outages=(Outage(40, 6),)), view).net.program.height
        assert 0 < more - plain <= 6 * (2 + 3 + 3)


@pytest.mark.parametrize(
    "outage",
    [
        Outage(24, 1),
        Outage(-1, 1),
        Outage(0, 0),
        Outage(0, 25),
        Outage(0, 1, {"steam": 1.0}),
        Outage(0, 1, {"electricity": 2.0}),
    ],
)
def test_an_outage_outside_the_data_is_refused(outage):
    with pytest.raises(RequestError) as caught:
        tiny(np.ones(24), np.ones(24), outages=(outage,))
    assert caught.value.code == "plan.bad_outage"


def test_a_supply_that_does_not_exist_cannot_fail():
    with pytest.raises(RequestError) as caught:
        tiny(np.ones(24), np.ones(24), outages=(Outage(0, 1, fails=("gird",)),))
    assert caught.value.code == "plan.unknown_supply"
