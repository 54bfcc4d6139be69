"""From listings to a case: units that need a declared density, limits that nobody states, least amounts that nothing can meet."""

import pytest
from tests.plan.symbiosis.parks import best, case, link, need, offer, park

from mangrove.errors import InfeasibleError, RequestError
from mangrove.plan.symbiosis import amounts
from mangrove.plan.symbiosis.problem import degrees
from mangrove.territory.model import Carrier

ANY = need("n", "b", "10 t/month", "9 VND/t")


def codes(made):
    return [one.code for one in made.notes]


def test_nothing_offered_and_nothing_needed_are_said_as_such():
    for listing, code in (
        (ANY, "exchange.no_offers"),
        (offer("o", "a", "1 t/month", "1 VND/t"), "exchange.no_needs"),
    ):
        with pytest.raises(RequestError) as raised:
            case(park(listing))
        assert raised.value.code == code


def test_a_volume_meets_a_mass_only_by_its_declared_density():
    loose = case(park(offer("o", "a", "10 m3/month", "1 VND/m3"), ANY))
    assert codes(loose) == ["exchange.units"]
    assert loose.refused["o"]["en"] == loose.refused["n"]["en"]
    made = best(park(offer("o", "a", "10 m3/month", "1 VND/m3", density="200 kg/m3"), ANY))
    (one,) = made.exchanges
    assert one.arrives == pytest.approx(24.0)
    assert made.worth == pytest.approx(120 * 1 + 24 * 9)


def test_a_mass_meets_heat_only_by_its_declared_heating_value():
    fuel = need("n", "b", "50 MWh/month", "9 VND/kWh", carrier="heat")
    assert codes(case(park(offer("o", "a", "10 t/month", "1 VND/t"), fuel))) == ["exchange.units"]
    made = best(park(offer("o", "a", "10 t/month", "1 VND/t", heating_value="4.5 MWh/t"), fuel))
    assert made.exchanges[0].arrives == pytest.approx(12 * 45.0)


def test_one_unit_may_replace_less_than_one():
    made = best(
        park(
            offer("o", "a", "10 t/month", "0 VND/t"),
            need("n", "b", "100 t/month", "10 VND/t", replaces="90 %"),
        )
    )
    assert made.worth == pytest.approx(120 * 9.0)


def test_a_limit_that_the_offer_does_not_state_is_asked_for():
    bears = need("n", "b", "10 t/month", "9 VND/t", bears="lead<=50 mg/kg")
    assert codes(case(park(offer("o", "a", "1 t/month", "1 VND/t"), bears))) == ["exchange.not_stated"]
    other = case(park(offer("o", "a", "1 t/month", "1 VND/t", has="lead=5 mg/L"), bears))
    assert codes(other) == ["exchange.quality_units"]
    assert len(case(park(offer("o", "a", "1 t/month", "1 VND/t", has="Lead=5 mg/kg"), bears))) == 1


def test_heat_must_be_warmer_than_the_need_by_what_the_exchanger_takes():
    warm = [
        offer("o", "a", "1 MWh/month", "0 VND/kWh", carrier="heat@95degC"),
        need("n", "b", "1 MWh/month", "9 VND/kWh", carrier="heat@90degC"),
    ]
    assert codes(case(park(*warm))) == ["exchange.too_cold"]
    assert len(case(park(*warm), approach=5.0)) == 1
    assert degrees(Carrier.parse("steam@10bar")) is None


def test_worth_comes_from_the_cost_without_exchange_then_from_the_price():
    offers, notes = amounts.parties(
        (offer("paid", "a", "1 t/month", "5 VND/t", price="7 VND/t"), offer("asked", "a", "1 t/month", price="7 VND/t"),
         offer("gives", "a", "1 t/month", price="-7 VND/t"), offer("silent", "a", "1 t/month")), used={}, carbon={},
    )  # fmt: skip
    assert [(one.worth, one.part) for one in offers] == [
        (5.0, "disposal"),
        (-7.0, "asked"),
        (7.0, "asked"),
        (0.0, "disposal"),
    ]
    assert [(one.code, one.data["id"]) for one in notes] == [("exchange.no_worth_offer", "silent")]


def test_a_least_amount_above_what_is_there_names_link_month_and_amounts():
    pipe = link("a", "b", minimum="8 t/month")
    dry = offer("o", "a", "10 10 10 10 10 7 10 10 10 10 10 10 t/month", "1 VND/t")
    with pytest.raises(InfeasibleError) as raised:
        case(park(dry, ANY, links=[pipe]))
    assert raised.value.code == "exchange.minimum_above"
    data = raised.value.problem.data
    assert (data["month"], data["least"], data["most"]) == (6, pytest.approx(8.0), pytest.approx(7.0))


def test_least_amounts_that_only_together_are_too_much_are_found():
    more = [link("a", "b", minimum="6 t/month"), link("a", "c", minimum="6 t/month")]
    with pytest.raises(InfeasibleError) as raised:
        case(
            park(
                offer("o", "a", "10 t/month", "1 VND/t"),
                ANY,
                need("m", "c", "10 t/month", "9 VND/t"),
                links=more,
            )
        )
    assert raised.value.code == "exchange.minimum_sum"
    for lang in ("en", "vi"):
        assert "12" in raised.value.text(lang)


def test_a_least_amount_is_kept_although_it_loses():
    made = best(
        park(offer("o", "a", "10 t/month", "-20 VND/t"), ANY, links=[link("a", "b", minimum="3 t/month")])
    )
    assert made.exchanges[0].amount == pytest.approx(36.0)
    assert made.worth == pytest.approx(-36 * 11.0)


def test_a_link_cost_in_a_strange_unit_is_said_and_not_reckoned():
    made = case(park(offer("o", "a", "10 t/month", "1 VND/t"), ANY, links=[link("a", "b", cost="5 VND/kWh")]))
    assert codes(made) == ["exchange.link_cost"]


def test_a_yearly_cost_of_a_link_is_paid_once():
    made = best(
        park(offer("o", "a", "10 t/month", "1 VND/t"), ANY, links=[link("a", "b", cost="100 VND/yr")])
    )
    assert made.worth == pytest.approx(1200 - 100)


def test_trucks_for_a_volume_without_density_are_named():
    made = case(
        park(offer("o", "a", "10 m3/month", "1 VND/m3"), need("n", "b", "1 m3/month", "9 VND/m3")),
        transport=5.0,
    )
    assert codes(made) == ["exchange.no_density"]
