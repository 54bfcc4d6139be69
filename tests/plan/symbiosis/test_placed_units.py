"""Treatment units that may be built: where, how large, and not at all when they do not pay."""

from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from tests.plan.symbiosis.parks import asset, best, case, link, need, offer, park

from mangrove.errors import DeclarationError
from mangrove.plan import symbiosis

HOURS = 730.5
DRAIN = {"carrier": "wastewater", "has": "COD=300 mg/L"}
CLEAN = {"carrier": "water@reuse", "bears": "COD<=40 mg/L"}


def candidate(id_, place, *, cost="0 VND*h/m3", fixed="0 VND", most="10 m3/h", life="10 yr", **more):
    words = {"outlets": "COD=30 mg/L", "consumption": "0 kWh/m3", **more}
    return asset(
        id_, place, "water_treatment", max_capacity=most, cost=cost, cost_fixed=fixed, life=life, **words
    )


def water(*assets, drain="1000 m3/month", use="600 m3/month"):
    listings = [
        offer("drain", "mill", drain, "5 VND/m3", **DRAIN),
        need("cooling", "tower", use, "95 VND/m3", **CLEAN),
    ]
    return park(*listings, assets=assets)


BUT = {("drain", "cooling")}


def test_of_two_places_the_cheaper_one_is_built_and_pays_its_annuity():
    # 600 m3 a month at 100 VND are 720,000 VND a year; 3,000,000 VND over ten years without interest are 300,000, 4,000,000 are 400,000
    dear, cheap = (
        candidate("dear", "mill", fixed="4000000 VND"),
        candidate("cheap", "tower", fixed="3000000 VND"),
    )
    made = best(water(dear, cheap), but=BUT)
    assert made.worth == pytest.approx(12 * 600 * 100 - 300_000)
    assert [(one.id, one.place, one.built) for one in made.units] == [
        ("cheap", "tower", True),
        ("dear", "mill", False),
    ]
    assert made.units[0].cost == pytest.approx(300_000)
    assert made.units[0].leaves == pytest.approx(7200.0)
    assert made.bound >= made.worth - 1e-6
    (one,) = made.exchanges
    assert (one.unit, one.worth["unit"]) == ("cheap", pytest.approx(-300_000))
    assert sum(made.parts().values()) == pytest.approx(made.worth)
    assert sum(made.by_price.values()) == pytest.approx(made.worth)


def test_pipes_decide_between_places_that_cost_the_same():
    both = [candidate(name, name, fixed="3000000 VND", recovery="50 %") for name in ("here", "there")]
    pipes = [
        link("mill", "here", "wastewater", cost="3 VND/m3"), link("here", "tower", "water", cost="10 VND/m3"),
        link("mill", "there", "wastewater", cost="5 VND/m3"), link("there", "tower", "water", cost="4 VND/m3"),
    ]  # fmt: skip
    made = best(replace(water(*both), links={one.id: one for one in pipes}), but=BUT)
    assert [(one.id, one.built) for one in made.units] == [("there", True), ("here", False)]
    (one,) = made.exchanges  # half of what is taken arrives: 5 + 4 / 2 VND for each cubic meter that is taken
    assert one.worth["link"] == pytest.approx(-12 * 1000 * 7.0)
    assert made.worth == pytest.approx(12 * (1000 * 5 + 500 * 95 - 1000 * 7) - 300_000)


def test_a_yearly_cost_or_a_limit_of_a_pipe_to_a_unit_is_said_to_be_left_out():
    pipe = link("mill", "tower", "wastewater", cost="100 VND/yr", capacity="5 m3/month")
    made = case(replace(water(candidate("ro", "tower")), links={pipe.id: pipe}), but=BUT)
    assert [(one.code, one.data["name"]) for one in made.notes] == [
        ("exchange.link_leg", "cost"),
        ("exchange.link_leg", "capacity"),
    ]


def test_the_size_is_that_of_the_fullest_month_and_is_paid_at_the_discount_rate():
    made = symbiosis.units({"ro": candidate("ro", "mill", cost="7305 VND*h/m3", om="100 VND*h/m3/yr")}, 0.1)[
        0
    ]
    annuity = 7305 * 0.1 / (1 - 1.1**-10) + 100  # a year for each m3/h
    assert made.price == pytest.approx(annuity / HOURS)
    plant = candidate(
        "ro", "mill", cost="730500 VND*h/m3"
    )  # 73,050 VND a year for each m3/h: 100 for each m3 a month
    found = best(water(plant, use="500 500 500 500 500 500 600 500 500 500 500 500 m3/month"), but=BUT)
    # a month that needs 100 m3 more brings 10,000 VND and the size for it costs 10,000: both plans are worth the same
    assert found.worth == pytest.approx(12 * 500 * 100 - 500 * 100)
    more = best(water(plant, use="500 500 500 500 500 600 600 500 500 500 500 500 m3/month"), but=BUT)
    assert more.units[0].size == pytest.approx(600 / HOURS)
    assert more.units[0].rate == "m3/h"
    assert more.worth == pytest.approx((10 * 500 + 2 * 600) * 100 - 600 * 100)


def test_a_unit_that_does_not_pay_is_not_built_and_the_plan_says_why():
    made = best(water(candidate("ro", "mill", fixed="8000000 VND")), but=BUT)
    assert made.worth == 0.0
    assert not made.exchanges
    assert not made.units[0].built
    for lang, word in (("en", "building"), ("vi", "xây")):
        assert word in made.offers[0].why[lang]


def test_what_stands_is_free_and_only_what_is_added_costs():
    plant = candidate("ro", "mill", cost="73050 VND*h/m3", capacity="0.5 m3/h")
    made = best(water(plant), but=BUT)
    assert made.units[0].stands == pytest.approx(0.5)
    assert made.units[0].size == pytest.approx(600 / HOURS - 0.5)
    assert made.worth == pytest.approx(72_000 * 10 - (600 / HOURS - 0.5) * 7305)


def test_a_candidate_without_cost_or_life_is_refused_at_its_row():
    bare = asset(
        "ro", "mill", "water_treatment", max_capacity="5 m3/h", consumption="1 kWh/m3", outlets="COD=30 mg/L"
    )
    with pytest.raises(DeclarationError) as raised:
        symbiosis.units({"ro": bare})
    assert {one.code for one in raised.value.problems} == {"assets.sizing_needs"}


def test_a_heat_pump_is_built_where_its_heat_is_worth_its_price():
    pump = asset(
        "hp", "mill", "heat_pump", max_capacity="100 kW", cost="7305 VND/kW", life="10 yr", cop="5 1", hot="90 degC", source="heat@45degC",
    )  # fmt: skip
    listings = [
        offer("warm", "mill", "1000 kWh/month", "0 VND/kWh", carrier="heat@45degC"),
        need("dry", "tower", "800 kWh/month", "1 VND/kWh", carrier="heat@80degC"),
    ]
    made = best(park(*listings, assets=[pump]), but={("warm", "dry")})
    kw = 800 / HOURS
    assert made.units[0].size == pytest.approx(kw)
    assert made.units[0].rate == "kW"
    assert made.worth == pytest.approx(12 * 800 - kw * 730.5)


def drawn(seed):
    """Two drains, two uses and three candidates with fixed and sized costs."""
    rng = np.random.default_rng(seed)
    listings = [
        offer(
            f"d{i}",
            f"p{i}",
            f"{rng.uniform(200, 900):.3f} m3/month",
            f"{rng.uniform(0, 40):.3f} VND/m3",
            **DRAIN,
        )
        for i in range(2)
    ]
    listings += [
        need(
            f"n{j}",
            f"q{j}",
            f"{rng.uniform(200, 900):.3f} m3/month",
            f"{rng.uniform(10, 90):.3f} VND/m3",
            **CLEAN,
        )
        for j in range(2)
    ]
    plants = [
        candidate(
            f"u{u}", f"p{u % 2}", cost=f"{rng.uniform(0, 3e5):.2f} VND*h/m3", fixed=f"{rng.uniform(0, 4e6):.2f} VND",
            most=f"{rng.uniform(0.3, 1.5):.4f} m3/h", recovery=f"{rng.uniform(70, 100):.2f} %", variable_cost=f"{rng.uniform(0, 20):.3f} VND/m3",
        )
        for u in range(3)
    ]  # fmt: skip
    return listings, plants


@pytest.mark.parametrize("fixed", [0.0, 20_000.0])
@pytest.mark.parametrize("seed", range(6))
def test_the_plan_is_the_best_of_all_subsets_of_candidates(seed, fixed):
    listings, plants = drawn(seed)
    without = {(f"d{i}", f"n{j}") for i in range(2) for j in range(2)}
    made = best(park(*listings, assets=plants), but=without, fixed_cost=fixed)
    worths = []
    for chosen in chain.from_iterable(combinations(plants, size) for size in range(4)):
        free = [asset(**_without_fixed(one)) for one in chosen]
        alone = best(park(*listings, assets=free), but=without, fixed_cost=fixed)
        once = sum(one.parameters["cost_fixed"].value / 10 for one in chosen)
        worths.append(alone.worth - once)
    assert made.worth == pytest.approx(max(worths), rel=1e-6, abs=1e-6)
    assert made.bound >= max(worths) * (1 - 1e-6)
    assert sum(one.total for one in made.exchanges) == pytest.approx(made.worth, rel=1e-6, abs=1e-6)


def _without_fixed(one):
    words = {name: str(value) for name, value in one.parameters.items() if name != "cost_fixed"}
    return {"id_": one.id, "place": one.place, "kind": one.type, **words}


def test_who_gives_the_unit_its_place_is_a_member_and_without_it_the_other_place_is_built():
    territory = water(
        candidate("near", "works", fixed="3000000 VND"), candidate("far", "yard", fixed="4000000 VND")
    )
    made = case(territory, but=BUT)
    values = symbiosis.Values(made)
    assert values.members == ("mill", "tower", "works", "yard")
    assert values.all == pytest.approx(420_000)
    assert dict(zip(values.members, values.losses(), strict=True)) == pytest.approx(
        {"mill": 420_000, "tower": 420_000, "works": 100_000, "yard": 0.0}
    )
