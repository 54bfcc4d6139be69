"""From a declared park with meters to the plan, the shares, the losses and their words, in both languages and on the command line."""

import json
from dataclasses import replace
from datetime import date
from itertools import permutations

import numpy as np
import pytest
from tests.doors import mangrove
from tests.trading import NEEDS, OFFERS, RUNNING, folder, metered

import mangrove as mg
from mangrove import exchange
from mangrove.errors import InfeasibleError, RequestError


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return mg.open(metered(tmp_path_factory.mktemp("exchange")))


@pytest.fixture(scope="module")
def planned(park):
    return exchange.plan(park, transport=2500.0, on=date(2026, 11, 1))


def by_id(planned):
    return {one.id: one for one in planned.plan.exchanges}


def test_only_what_is_not_exchanged_yet_is_planned(planned):
    slag = by_id(planned)["slag>stone"]
    assert slag.amount == pytest.approx(12 * 60.0)
    assert slag.worth["purchase"] == pytest.approx(720 * 180_000)
    assert slag.worth["disposal"] == pytest.approx(720 * 160_000)
    assert slag.worth["transport"] == pytest.approx(-720 * 2500 * slag.distance)
    assert slag.distance == pytest.approx(2.08, rel=0.01)
    assert any("old" in reason for reason in slag.reasons["en"])
    (note,) = [one for one in planned.problems if one.code == "exchange.running_used"]
    assert (note.data["amount"], note.data["unit"], note.data["months"]) == (480, "t", "2025-01–2025-12")


def test_paper_that_is_too_dirty_alone_goes_along_with_clean_paper(planned):
    found = by_id(planned)
    assert found["mixed>pulp"].amount == pytest.approx(120.0)  # ten at 5 % and ten at 1 % are twenty at 3 %
    assert found["mixed>pulp"].mixed == ("contamination",)
    assert found["carton>pulp"].amount == pytest.approx(120.0)


def test_avoided_emissions_follow_the_factor_of_what_is_no_longer_burnt(planned):
    warm = by_id(planned)["hot>warm"]
    burnt = 600_000 * 4.0 / 1e6  # TJ of LPG
    per = 63_100 + 5 * 28 + 0.1 * 265  # kg CO2e/TJ: IPCC 2006, table 2.4, with the GWPs of AR5
    assert warm.co2 == pytest.approx(burnt * per / 1000, rel=1e-6)
    assert warm.worth["asked"] == pytest.approx(-600 * 90_000)


def test_shares_add_up_and_prices_lie_between_what_both_sides_can_bear(planned):
    made = planned.shared
    for rule, shares in made.gains.shares.items():
        assert shares.sum() == pytest.approx(planned.plan.worth)
        for deal in made.prices[rule].deals:
            assert deal.low - 1e-3 <= deal.price <= deal.high + 1e-3
    assert not made.gains.objections["core"].objects
    assert not made.gains.objections["duals"].objects
    assert (made.gains.losses >= 0).all()


def test_the_shapley_value_is_that_of_enumerated_coalitions(planned):
    members, values = planned.values.members, planned.values
    worth = {}
    for row in range(1 << len(members)):
        mask = [bool(row >> i & 1) for i in range(len(members))]
        worth[frozenset(m for m, inside in zip(members, mask, strict=True) if inside)] = float(
            values.many(np.array([mask]))[0]
        )
    orders = list(permutations(members))
    for member in members:
        mean = sum(
            worth[frozenset(o[: o.index(member) + 1])] - worth[frozenset(o[: o.index(member)])]
            for o in orders
        ) / len(orders)
        assert planned.shared.gains.of("shapley", member) == pytest.approx(mean, rel=1e-6, abs=1.0)


def test_what_breaks_without_a_company_is_the_plan_solved_again(planned):
    found = {one.place: one for one in planned.leaving}
    rows = dict(zip(planned.shared.gains.members, planned.shared.gains.losses, strict=True))
    for place, one in found.items():
        assert one.loss == pytest.approx(rows[place], rel=1e-6)
        assert one.loss >= 0
    clean = found["works"]
    assert {one.id for one in clean.stops} == {"carton>pulp", "hot>warm"}
    assert (
        "pulp",
        pytest.approx(240.0),
        "t",
    ) in clean.shortfall  # without carton the dirty paper cannot go either


def test_the_record_holds_all_that_a_page_shows(park, planned):
    document = exchange.newest(park)
    assert document == json.loads(json.dumps(planned.document()))
    assert exchange.recorded_at(park).year >= 2025
    assert document["worth"] == pytest.approx(sum(one["total"] for one in document["exchanges"]))
    assert set(document["shares"]["rules"]) == {"shapley", "core", "duals"}
    assert {one["place"] for one in document["without"]} == {"mill", "bricks", "works", "paper"}


def test_shares_are_answered_on_the_terms_that_were_stored_last(park, planned):
    again = exchange.shares(park)
    assert again.planned.plan.case.terms == planned.plan.case.terms
    assert again.gains.worth == pytest.approx(planned.plan.worth)
    (one,) = exchange.without(park, "Nhà máy thép")
    assert one.place == "mill"


def test_every_line_is_said_in_both_languages(planned):
    for lang in ("en", "vi"):
        said = [planned.text(lang), planned.shared.text(lang), *(one.text(lang) for one in planned.leaving)]
        said += [problem.line(lang) for problem in planned.problems]
        assert not any("exchange." in text or "{" in text for text in said), said
    assert "triệu đồng" in planned.text("vi")
    assert planned.text("vi") != planned.text("en")


def test_what_is_left_has_a_reason(planned):
    left = {one.id: one.why for one in (*planned.plan.offers, *planned.plan.needs) if one.why}
    assert set(left) == {"hot", "pulp", "stone"}
    assert "Nước nóng" in left["hot"]["vi"]
    assert "Xỉ" in left["stone"]["en"]


def test_without_a_ledger_running_exchanges_count_as_new_and_a_trial_makes_none(tmp_path):
    handle = mg.open(folder(tmp_path))
    made = exchange.plan(handle, store=False)
    assert made.record == ""
    assert not (tmp_path / ".mangrove").exists()
    codes = [one.code for one in made.problems]
    assert "exchange.no_ledger" in codes
    assert "exchange.no_transport" in codes
    assert by_id(made)["slag>stone"].amount == pytest.approx(1200.0)
    assert exchange.newest(handle) is None
    assert exchange.plan(handle).record


def test_what_is_over_neither_runs_nor_is_offered(tmp_path):
    over = RUNNING.replace("price,parameters", "price,valid_to,parameters").replace(
        "VND/t,offer", "VND/t,2026-01-01,offer"
    )
    head, slag, *others = OFFERS.splitlines()
    old = "\n".join([f"{head},valid_to", f"{slag},2026-01-01", *(f"{row}," for row in others)]) + "\n"
    day = date(2026, 11, 1)
    made = exchange.plan(mg.open(metered(tmp_path / "a", exchanges=over)), store=False, on=day)
    assert by_id(made)["slag>stone"].amount == pytest.approx(1200.0)
    made = exchange.plan(mg.open(metered(tmp_path / "b", offers=old, exchanges=None)), store=False, on=day)
    assert "slag>stone" not in by_id(made)


def test_emissions_of_which_nobody_knows_are_not_zero(tmp_path):
    silent = NEEDS.replace("combustion/commercial/lpg", "")
    made = exchange.plan(mg.open(folder(tmp_path, needs=silent)), store=False)
    assert made.document()["co2"] is None
    assert "not known" in made.text("en")


@pytest.mark.parametrize(
    ("table", "code"), [("offers", "exchange.no_offers"), ("needs", "exchange.no_needs")]
)
def test_nothing_declared_is_an_error_with_the_file_to_fill(tmp_path, table, code):
    with pytest.raises(RequestError) as raised:
        exchange.plan(mg.open(folder(tmp_path, **{table: None}, exchanges=None)))
    assert raised.value.code == code
    for lang in ("en", "vi"):
        assert f"{table}.csv" in raised.value.text(lang)


def test_units_that_do_not_convert_are_located(tmp_path):
    volume = OFFERS.replace("100 t/month", "100 m3/month").replace("160000 VND/t", "160000 VND/m3")
    made = exchange.plan(mg.open(folder(tmp_path, offers=volume)))
    (found,) = [one for one in made.problems if one.code == "exchange.units"]
    assert str(found.where).endswith("offers.csv:2")
    assert "density" in found.text("vi")


def test_take_or_pay_above_what_is_there_is_located_and_exits_with_infeasible(tmp_path):
    links = "id,place,to_place,carrier,parameters\nbelt,mill,bricks,material,minimum=150 t/month\n"
    with pytest.raises(InfeasibleError) as raised:
        exchange.plan(mg.open(folder(tmp_path, links=links)))
    assert raised.value.code == "exchange.minimum_above"
    assert "offers.csv:2" in raised.value.text("vi")
    done = mangrove("exchange", "plan", tmp_path)
    assert done.code == 3


def test_a_factor_that_does_not_fit_is_named_and_nothing_is_counted(tmp_path):
    wrong = NEEDS.replace("otherwise_amount=4.0 MJ/kWh", "otherwise_amount=4.0 kg/kWh")
    made = exchange.plan(mg.open(folder(tmp_path, needs=wrong)))
    (found,) = [one for one in made.problems if one.code == "exchange.no_factor"]
    assert str(found.where).endswith("needs.csv:4")
    assert made.plan.co2 == 0.0


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"most_share": 1.5}, "exchange.bad_share"),
        ({"transport": -1.0}, "exchange.bad_term"),
        ({"colour": 1.0}, "exchange.unknown_term"),
    ],
)
def test_terms_that_make_no_sense_are_refused(park, terms, code):
    with pytest.raises(RequestError) as raised:
        exchange.plan(park, store=False, **terms)
    assert raised.value.code == code
    assert raised.value.text("vi") != code


def test_terms_that_the_territory_declares_hold_unless_others_are_asked_for(park):
    said = replace(park.territory, settings={"symbiosis": {"transport": 1000.0, "handling": 7.0}})
    handle = replace(park, territory=said)
    terms = exchange.plan(handle, store=False).plan.case.terms
    assert (terms.transport, terms.handling) == (1000.0, 7.0)
    assert exchange.plan(handle, store=False, transport=2.0, handling=None).plan.case.terms.transport == 2.0


def test_a_company_that_takes_no_part_is_not_found_but_a_near_name_is(park, planned):
    with pytest.raises(RequestError) as raised:
        exchange.without(park, "mil", planned)
    assert "mill" in raised.value.text("en")


def test_the_commands_plan_share_and_leave_out(tmp_path):
    place = metered(tmp_path)
    done = mangrove("exchange", "plan", place, "--transport", "2500", "--most-share", "60%", "--json")
    assert json.loads(done.out)["terms"]["most_share"] == 0.6
    assert "stored" in done.err
    shares = mangrove("exchange", "shares", place, "--rule", "core", "--lang", "vi")
    assert "lõi" in shares.out
    assert "Nhà máy thép" in shares.out
    without = mangrove("exchange", "without", place, "mill", "--json")
    assert json.loads(without.out)["place"] == "mill"
    assert mangrove("exchange", "without", place, "nobody").code == 1
