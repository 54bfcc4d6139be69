"""The plan of exchanges: tiny parks by hand, an independent solver, and laws that hold for any park."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.plan.symbiosis.parks import asset, best, case, drawn, link, need, offer, park

from mangrove.errors import RequestError
from mangrove.plan import symbiosis
from mangrove.plan.symbiosis import optimum

amounts = st.tuples(st.integers(0, 20), st.integers(-50, 100))


@st.composite
def parks(draw):
    offers = draw(st.lists(amounts, min_size=1, max_size=4))
    needs = draw(st.lists(amounts, min_size=1, max_size=4))
    pairs = [(i, j) for i in range(len(offers)) for j in range(len(needs))]
    return offers, needs, draw(st.sets(st.sampled_from(pairs), min_size=1))


def test_one_offer_goes_where_it_is_worth_most_and_the_parts_say_why():
    made = best(
        park(offer("slag", "mill", "10 t/month", "50 VND/t"), need("stone", "works", "6 t/month", "100 VND/t"),
             need("fill", "road", "8 t/month", "30 VND/t")),
        transport=2.0, handling=5.0,
    )  # fmt: skip
    first, second = made.exchanges
    assert (first.need, second.need) == ("stone", "fill")
    assert (first.amount, second.amount) == (pytest.approx(72.0), pytest.approx(48.0))
    assert first.worth == {"purchase": 7200.0, "disposal": 3600.0, "transport": -144.0, "handling": -360.0}
    assert made.worth == pytest.approx(72 * 143 + 48 * 73)
    assert made.bound == pytest.approx(made.worth)
    assert made.gap == 0.0
    assert sum(made.parts().values()) == pytest.approx(made.worth)


def test_what_runs_already_is_not_planned_again():
    territory = park(
        offer("slag", "mill", "10 t/month", "50 VND/t"), need("stone", "works", "12 t/month", "100 VND/t")
    )
    made = best(territory, used={"slag": np.full(12, 4.0), "stone": np.full(12, 7.0)})
    assert made.exchanges[0].amount == pytest.approx(60.0)
    (left,) = made.offers
    assert (left.declared, left.running, left.planned, left.left) == pytest.approx((120.0, 48.0, 60.0, 12.0))


def test_avoided_emissions_are_counted_at_both_ends_and_less_the_trucks():
    territory = park(
        offer("slag", "mill", "10 t/month", "0 VND/t"), need("stone", "works", "10 t/month", "0 VND/t")
    )
    made = best(
        territory, carbon={"slag": 20.0, "stone": 300.0}, transport_carbon=5.0, carbon_price=100_000.0
    )
    assert made.co2 == pytest.approx(120 * (320 - 5) / 1000)
    assert made.worth == pytest.approx(made.co2 * 100_000)
    assert made.exchanges[0].known_co2


def test_dirty_supply_goes_as_far_as_clean_supply_dilutes_it():
    made = best(
        park(offer("dirty", "a", "10 t/month", "50 VND/t", has="chloride=4 %"), offer("clean", "b", "5 t/month", "0 VND/t", has="chloride=1 %"),
             need("stone", "works", "100 t/month", "0 VND/t", bears="chloride<=2 %")),
    )  # fmt: skip
    amounts = {one.offer: one.amount for one in made.exchanges}
    assert amounts == {"dirty": pytest.approx(30.0), "clean": pytest.approx(60.0)}
    assert {one.offer: one.mixed for one in made.exchanges} == {"dirty": ("chloride",), "clean": ()}
    assert made.offers[0].price == pytest.approx(0.0)  # one more dirty tonne finds no clean one
    assert made.offers[1].price == pytest.approx(25.0)  # one more clean tonne takes half a dirty one along


def test_a_least_content_is_met_by_the_mix():
    made = best(
        park(offer("poor", "a", "9 t/month", "10 VND/t", has="iron=50 %"), offer("rich", "b", "3 t/month", "10 VND/t", has="iron=70 %"),
             need("oxide", "works", "50 t/month", "0 VND/t", bears="iron>=60 %")),
    )  # fmt: skip
    assert {one.offer: one.amount for one in made.exchanges} == {
        "poor": pytest.approx(36.0),
        "rich": pytest.approx(36.0),
    }


def test_a_store_carries_the_rainy_months_into_the_dry_ones():
    wet, dry = "12 12 12 12 12 12 0 0 0 0 0 0 t/month", "6 t/month"
    without = best(park(offer("o", "a", wet, "1 VND/t"), need("n", "b", dry, "0 VND/t")))
    with_store = best(park(offer("o", "a", wet, "1 VND/t", storage="20 t"), need("n", "b", dry, "0 VND/t")))
    assert without.worth == pytest.approx(36.0)
    assert with_store.worth == pytest.approx(56.0)
    assert with_store.solution.way == "network"


def test_a_link_says_its_length_its_price_and_its_limit():
    pipe = link("a", "b", "water", distance="3 km", cost="2 VND/m3", capacity="4 m3/month")
    made = best(
        park(offer("o", "a", "10 m3/month", "1 VND/m3", carrier="water@reuse"),
             need("n", "b", "10 m3/month", "9 VND/m3", carrier="water@reuse"), links=[pipe]),
    )  # fmt: skip
    (one,) = made.exchanges
    assert (one.amount, one.distance) == (pytest.approx(48.0), 3.0)
    assert made.worth == pytest.approx(48 * (9 + 1 - 2))
    assert made.by_price["a"] == pytest.approx(made.by_price["b"])  # the link's rent goes to both ends


def test_opening_a_link_must_pay_for_itself():
    territory = park(
        offer("o", "a", "10 t/month", "1 VND/t"),
        need("n", "b", "4 t/month", "9 VND/t"),
        need("m", "c", "6 t/month", "0 VND/t"),
    )
    open_both, open_one = best(territory, fixed_cost=50.0), best(territory, fixed_cost=100.0)
    assert [one.need for one in open_both.exchanges] == ["n", "m"]
    assert open_both.worth == pytest.approx(480 + 72 - 100)
    assert [one.need for one in open_one.exchanges] == ["n"]
    assert open_one.worth == pytest.approx(380.0)
    assert open_one.bound >= open_one.worth
    assert "m" in open_one.offers[0].why["en"]


def test_no_giver_covers_more_of_a_need_than_the_limit_on_dependence():
    territory = park(
        offer("o", "a", "10 t/month", "5 VND/t"), offer("o2", "a", "10 t/month", "4 VND/t"), offer("p", "b", "10 t/month", "1 VND/t"),
        need("n", "c", "10 t/month", "0 VND/t"),
    )  # fmt: skip
    made = best(territory, most_share=0.6)
    by_giver = {"a": 0.0, "b": 0.0}
    for one in made.exchanges:
        by_giver[one.giver] += one.amount
    assert by_giver == {"a": pytest.approx(72.0), "b": pytest.approx(48.0)}


def plant(**more):
    return asset(
        "uf", "works", "water_treatment", capacity="10 m3/h", recovery="80 %", consumption="2 kWh/m3", **more
    )


def treated(plant_of, **rest):
    return best(
        park(offer("drain", "mill", "1000 m3/month", "1000 VND/m3", carrier="wastewater", has="COD=300 mg/L"),
             need("cooling", "tower", "600 m3/month", "10000 VND/m3", carrier="water@reuse", bears="COD<=40 mg/L"), assets=[plant_of]),
        but={("drain", "cooling")}, **rest,
    )  # fmt: skip


def test_treatment_lifts_water_to_its_use_with_its_electricity_and_loss():
    made = treated(
        plant(outlets="COD=30 mg/L", variable_cost="500 VND/m3"), power_price=2000.0, power_carbon=0.5
    )
    (one,) = made.exchanges
    assert (one.unit, one.owner) == ("uf", "works")
    assert one.amount == pytest.approx(12 * 750.0)
    assert one.arrives == pytest.approx(12 * 600.0)
    assert made.worth == pytest.approx(12 * (750 * 1000 + 600 * 10_000 - 600 * 500 - 600 * 2 * 2000))
    assert one.co2 == pytest.approx(-12 * 600 * 2 * 0.5 / 1000)


def test_treatment_that_leaves_too_much_is_not_used():
    assert not treated(plant(outlets="COD=50 mg/L"), power_price=2000.0).exchanges
    assert not treated(plant(removals="COD=80 %"), power_price=2000.0).exchanges
    assert treated(plant(removals="COD=90 %"), power_price=2000.0).exchanges


def test_only_a_known_outlet_dilutes_what_comes_untreated():
    listings = [
        offer("drain", "mill", "100 m3/month", "0 VND/m3", carrier="wastewater", has="COD=300 mg/L"),
        offer("raw", "farm", "100 m3/month", "5 VND/m3", carrier="material:water", has="COD=60 mg/L"),
        need("cooling", "tower", "200 m3/month", "0 VND/m3", carrier="water@reuse", bears="COD<=40 mg/L"),
    ]
    outlet, removal = (
        best(park(*listings, assets=[one]), but={("drain", "cooling")})
        for one in (plant(outlets="COD=30 mg/L"), plant(removals="COD=90 %"))
    )
    assert outlet.worth == pytest.approx(12 * 40 * 5.0)  # eighty treated at 30 mg/L thin forty at 60
    assert removal.worth == 0.0


def test_a_plant_may_treat_and_light_itself():
    own = asset(
        "uf", "mill", "water_treatment", capacity="10 m3/h", consumption="2 kWh/m3", outlets="COD=30 mg/L"
    )
    made = best(
        park(offer("drain", "mill", "100 m3/month", "7 VND/m3", carrier="wastewater", has="COD=300 mg/L"),
             offer("sun", "mill", "1 MWh/month", "0 VND/kWh", carrier="electricity"),
             need("cooling", "tower", "100 m3/month", "9 VND/m3", carrier="water@reuse", bears="COD<=40 mg/L"), assets=[own]),
        but={("drain", "cooling"), ("sun", "cooling")}, power_price=5.0,
    )  # fmt: skip
    assert made.worth == pytest.approx(1200 * 16.0)
    assert {one.id: one.owner for one in made.exchanges} == {"drain>uf>cooling": "mill", "sun>uf": ""}


def test_offered_electricity_runs_the_treatment_before_the_grid_does():
    listings = [
        offer("drain", "mill", "1000 m3/month", "1000 VND/m3", carrier="wastewater", has="COD=300 mg/L"),
        offer("sun", "roof", "900 kWh/month", "-500 VND/kWh", carrier="electricity"),
        need("cooling", "tower", "600 m3/month", "10000 VND/m3", carrier="water@reuse", bears="COD<=40 mg/L"),
    ]
    made = best(
        park(*listings, assets=[plant(outlets="COD=30 mg/L")]),
        but={("drain", "cooling"), ("sun", "cooling")},
        power_price=2000.0,
    )
    sun = next(one for one in made.exchanges if one.offer == "sun")
    assert sun.amount == pytest.approx(12 * 0.9)  # MWh, of the 1.2 that the plant uses in a month
    assert sun.total == pytest.approx(12 * 900 * 1500)
    assert made.worth == pytest.approx(sum(one.total for one in made.exchanges))
    assert made.worth == pytest.approx(12 * (750 * 1000 + 600 * 10_000 - 1200 * 2000 + 900 * 1500))


def test_a_heat_pump_lifts_heat_that_is_too_cold():
    pump = asset(
        "lift",
        "dairy",
        "heat_pump",
        capacity="100 kW",
        cop="4 1",
        source="heat@45degC",
        hot="90 degC",
        cold="40 degC",
    )
    made = best(
        park(offer("cold", "store", "60 MWh/month", "0 VND/kWh", carrier="heat@45degC"),
             need("hot", "plastics", "40 MWh/month", "500 VND/kWh", carrier="heat@90degC"), assets=[pump]),
        power_price=1000.0,
    )  # fmt: skip
    (one,) = made.exchanges
    assert one.arrives == pytest.approx(12 * 40.0)
    assert one.amount == pytest.approx(12 * 30.0)  # three quarters are source heat at COP 4
    assert made.worth == pytest.approx(12 * 40 * (500_000 - 250 * 1000))
    assert any(note.code == "exchange.too_cold" for note in made.problems)


def test_everything_meets_in_one_network():
    made = best(
        park(offer("slag", "mill", "10 t/month", "50 VND/t"), need("stone", "works", "10 t/month", "100 VND/t"),
             offer("drain", "mill", "1000 m3/month", "1000 VND/m3", carrier="wastewater", has="COD=300 mg/L"),
             need("cooling", "tower", "600 m3/month", "10000 VND/m3", carrier="water@reuse", bears="COD<=40 mg/L"),
             offer("hot", "mill", "60 MWh/month", "0 VND/kWh", carrier="heat@110degC"),
             need("drying", "tower", "40 MWh/month", "500 VND/kWh", carrier="heat@90degC"),
             assets=[plant(outlets="COD=30 mg/L")]),
        but={("slag", "cooling"), ("slag", "drying"), ("drain", "stone"), ("drain", "cooling"), ("drain", "drying"),
             ("hot", "stone"), ("hot", "cooling")}, power_price=2000.0,
    )  # fmt: skip
    assert {one.offer for one in made.exchanges} == {"slag", "drain", "hot"}
    assert made.solution.way == "network"
    assert sum(made.by_price.values()) == pytest.approx(made.worth)


@settings(max_examples=40, deadline=None)
@given(parks())
def test_arrays_network_and_an_independent_solver_agree(drawn_park):
    offers, needs, edges = drawn_park
    territory, but = drawn(offers, needs, edges)
    made = case(territory, but=but)
    on_arrays, on_network = (symbiosis.solve(made, way=way) for way in ("arrays", "network"))
    pairs = sorted(edges)
    cost = [-(offers[i][1] + needs[j][1]) for i, j in pairs]
    rows = [[float(i == k) for i, _ in pairs] for k in range(len(offers))] + [
        [float(j == k) for _, j in pairs] for k in range(len(needs))
    ]
    alone = linprog(cost, rows, [a for a, _ in (*offers, *needs)], method="highs")
    assert on_arrays.worth == pytest.approx(-12 * alone.fun, abs=1e-6)
    assert on_network.worth == pytest.approx(on_arrays.worth, abs=1e-6)
    assert sum(on_network.by_price.values()) == pytest.approx(on_arrays.worth, abs=1e-5)
    assert sum(on_arrays.by_price.values()) == pytest.approx(on_arrays.worth, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(parks(), st.integers(0, 2000))
def test_arrays_and_network_open_links_of_the_same_worth_as_all_choices_tried(drawn_park, fixed):
    offers, needs, edges = drawn_park
    pairs = sorted(edges)[:6]
    territory, but = drawn(offers, needs, pairs)
    made = case(territory, but=but, fixed_cost=float(fixed))
    free = case(territory, but=but)
    tried = [
        symbiosis.solve(symbiosis.only(free, np.flatnonzero(mask))).worth - fixed * mask.sum()
        for mask in (np.arange(1 << len(pairs))[:, None] >> np.arange(len(pairs)) & 1).astype(bool)
    ]
    for way in ("arrays", "network"):
        found = symbiosis.solve(made, way=way)
        assert found.worth == pytest.approx(max(tried), rel=1e-3, abs=1e-3)
        assert found.bound >= found.worth - 1e-6


def test_the_fast_way_refuses_what_needs_the_network():
    stored = case(
        park(offer("o", "a", "1 t/month", "1 VND/t", storage="2 t"), need("n", "b", "1 t/month", "0 VND/t"))
    )
    assert not optimum.plain(stored)
    with pytest.raises(RequestError) as raised:
        symbiosis.solve(stored, way="arrays")
    assert raised.value.code == "exchange.unknown_way"


def test_a_park_in_which_nothing_fits_has_a_plan_of_nothing():
    made = best(park(offer("o", "a", "1 t/month"), need("n", "b", "1 t/month")), but={("o", "n")})
    assert (made.exchanges, made.worth, made.gap) == ((), 0.0, 0.0)
    assert made.offers[0].why["vi"] == "không tìm thấy ai cần"
