# SPDX-License-Identifier: Apache-2.0
"""The verb: meters to statements, whole đồng that add up, a record that can be computed again, errors that name the place."""

import json
from datetime import timedelta

import numpy as np
import pytest
from tests.settle.worlds import START, declare, ingest, readings

from mangrove.errors import DataQualityError, RequestError
from mangrove.printing_energy import sharing_text
from mangrove.serve.statement import render_statement
from mangrove.settle import meters
from mangrove.settle.rounding import half_up
from mangrove.settle.settlement import RULES
from mangrove.settle.share import replay, share, store
from mangrove.times import Span

WEEK = Span(START, START + timedelta(days=7))
LINKS = "".join(
    f"wire_{site},{site},park,electricity,600 kW,40 VND/kWh\n" for site in ("mill", "shop", "store", "office")
)

TARIFF_FLAT = """\
  - id: flat
    carrier: electricity
    source: test
    kind: flat
    price: 2000 VND/kWh
    demand: 60000 VND/kW/month
    export: 671 VND/kWh
    places: [mill, shop, store, office]
"""


def settled(folder, rule="duals", span=WEEK, **world):
    park = ingest(declare(folder, **world), readings())
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return share(park.territory, snapshot, span, rule=rule)


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    return settled(tmp_path_factory.mktemp("park"), links=LINKS)


def test_statements_sum_to_the_whole_dong_of_the_bill(week):
    assert sum(one.total for one in week.statements) == half_up(week.cost)
    for one in week.statements:
        assert sum(line.amount for line in one.lines) == one.total
        assert abs(one.total - week.settlement.allocations["duals"].of(one.member)) <= 2.0
    for rule in RULES:
        assert sum(one.shares[rule] for one in week.statements) == half_up(week.cost)


@pytest.mark.parametrize("rule", ["shapley", "mmr", "pro_rata"])
def test_what_a_member_pays_alone_is_the_same_whole_dong_under_every_rule(week, rule, tmp_path):
    other = settled(tmp_path, rule=rule, links=LINKS)
    assert [one.alone for one in other.statements] == [one.alone for one in week.statements]
    assert [one.shares for one in other.statements] == [
        {name: one.shares[name] for name in other.settlement.allocations} for one in week.statements
    ]
    exact = week.settlement.alone + week.own
    assert all(abs(one.alone - money) < 1.0 for one, money in zip(week.statements, exact, strict=True))


def test_the_slowest_meter_says_by_which_step_all_are_settled(week):
    assert (week.step, week.slowest) == ("1h", "mill.in")
    assert week.to_dict()["slowest"] == "mill.in"
    for lang, words in (("en", "Settled by steps of 1h"), ("vi", "Quyết toán theo bước 1h")):
        assert words in sharing_text(week, lang)
        assert words in render_statement(week, "mill", lang)


def test_the_bill_is_what_the_meters_and_prices_give(week):
    """Independent: one hour at a time, the cheaper of sharing and the grid, wires of 600 kW, fee 40."""
    found = readings()
    with_prices = week.settlement.community
    total = 0.0
    for t in range(168):
        buy, sell = with_prices.buy[t], 671.0
        needs = [found[f"{site}.in"][t] for site in week.members]
        has = [found[f"{site}.out"][t] for site in week.members]
        shared = min(sum(min(kwh, 600.0) for kwh in needs), sum(min(kwh, 600.0) for kwh in has))
        total += sum(needs) * buy - sum(has) * sell - shared * (buy - sell - 40.0)
    assert week.cost == pytest.approx(total, rel=1e-9)


def test_nobody_objects_to_the_shares_by_duals_and_everybody_saves(week):
    assert not week.settlement.objections["duals"].objects
    assert week.settlement.objections["duals"].found.count == 14
    assert all(one.saving >= 0 for one in week.statements)
    assert sum(one.saving for one in week.statements) > 0


def test_who_gains_nothing_is_not_shown_to_lose_a_dong(tmp_path):
    """A wire for two of four: the others pay what they would alone, to the dong."""
    found = settled(tmp_path, links="".join(LINKS.splitlines(keepends=True)[1:3]))
    for one in found.statements:
        assert one.saving >= 0
        assert one.alone == one.total + one.saving
        assert abs(one.alone - found.settlement.alone[found.members.index(one.member)]) <= 2.0
    assert [one.saving for one in found.statements if one.member in {"mill", "office"}] == [0, 0]


def test_the_energy_matrix_conserves_what_was_given_and_received(week):
    pool = week.settlement.pool
    assert week.matrix.sum(axis=1) == pytest.approx(pool.given.sum(axis=1))
    assert week.matrix.sum(axis=0) == pytest.approx(pool.received.sum(axis=1))
    office = week.statements[week.members.index("office")]
    assert {name for name, _ in office.received_from} == {"shop", "store"}
    assert not office.given_to


def test_lines_of_energy_sum_to_the_meters(week):
    found = readings()
    for one in week.statements:
        energy = {line.code: line.energy or 0.0 for line in one.lines}
        assert energy.get("bought", 0.0) + energy.get("received", 0.0) == pytest.approx(
            found[f"{one.member}.in"].sum()
        )
        assert energy.get("sold", 0.0) + energy.get("given", 0.0) == pytest.approx(
            found[f"{one.member}.out"].sum()
        )


@pytest.mark.parametrize("rule", RULES)
def test_under_every_rule_the_lines_sum_to_the_dong(tmp_path, rule):
    found = settled(tmp_path, rule, links=LINKS)
    for one in found.statements:
        assert sum(line.amount for line in one.lines) == one.total == one.shares[rule]
    balance = [line for one in found.statements for line in one.lines if line.code == "balance"]
    assert bool(balance) == (rule not in {"duals", "mmr", "sdr"})


def test_each_member_with_its_own_meter_pays_its_own_demand_charge(tmp_path):
    found = settled(tmp_path, tariffs=TARIFF_FLAT)
    highest = {site: readings()[f"{site}.in"].max() for site in found.members}
    for member, own in zip(found.members, found.own, strict=True):
        assert own == pytest.approx(60_000.0 * highest[member])
    assert sum(one.total for one in found.statements) == half_up(found.cost)


def test_one_meter_for_the_park_bills_the_common_peak(tmp_path):
    found = settled(
        tmp_path, park_meter=True, tariffs=TARIFF_FLAT.replace("[mill, shop, store, office]", "[park]")
    )
    assert found.settlement.community.meter == "park"
    taken = sum(readings()[f"{site}.in"] - readings()[f"{site}.out"] for site in found.members)
    assert found.settlement.community.demand == 60_000.0
    energy = np.maximum(taken, 0.0).sum() * 2000.0 - np.maximum(-taken, 0.0).sum() * 671.0
    assert found.cost == pytest.approx(energy + 60_000.0 * taken.max(), rel=1e-9)
    assert not found.settlement.objections["duals"].objects


def test_the_record_is_computed_again_and_a_later_correction_does_not_change_it(tmp_path):
    park = ingest(declare(tmp_path, links=LINKS), readings())
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        found = share(park.territory, snapshot, WEEK, rules=["duals", "mmr"])
        id_ = store(found, ledger)
        assert json.loads(ledger.record(id_)[1])["statements"][0]["member"] == "mill"
    from mangrove.ledger import Origin
    from mangrove.testing import values

    with park.writer() as ledger:
        ledger.append(values([("mill.in", START, 9999.0)]), Origin("file:late.csv", "1"))
        again = replay(park.territory, ledger, id_)
        assert again.cost == pytest.approx(found.cost, rel=1e-12)
        with ledger.snapshot() as snapshot:
            assert share(park.territory, snapshot, WEEK).cost > found.cost


def test_a_connection_without_a_meter_is_the_sum_of_what_stands_behind_it(tmp_path):
    """The meter of the store as consumption, its export as sun: the same settlement as through one meter."""
    whole = settled(tmp_path / "one", links=LINKS)
    behind = (
        "capacity=2 MW; export=2 MW\nstore_load,store,load,flow=store.in\nstore_pv,store,pv,capacity=1 MWp; flow=store.out\n"
        "store_battery,store,battery,energy=1 MWh; power=500 kW"
    )
    found = settled(
        tmp_path / "two", links=LINKS, instead=behind,
        drop="capacity=2 MW; export=2 MW; flow=store.in; export_flow=store.out",
    )  # fmt: skip
    assert [one.total for one in found.statements] == [one.total for one in whole.statements]
    assert found.unmetered == ("store_battery",)


def test_a_missing_value_is_named_with_its_flow_and_time(tmp_path):
    park = ingest(declare(tmp_path), readings(), skip=("shop.in", 5))
    with park.reader() as ledger, ledger.snapshot() as snapshot, pytest.raises(DataQualityError) as error:
        share(park.territory, snapshot, WEEK)
    assert error.value.code == "settle.gap"
    assert "shop.in" in str(error.value)
    assert "2026-02-28 22:00" in str(error.value)


@pytest.mark.parametrize(
    ("world", "code"),
    [
        ({"drop": "flow=shop.in; export_flow=shop.out"}, "settle.no_meter"),
        ({"drop": "flow=shop.in; ", "instead": "flow=mill.in; "}, "settle.flow_twice"),
        ({"drop": "flow=shop.in; ", "instead": "flow=shop_in; "}, "settle.unknown_flow"),
        ({"links": "w,mill,park,electricity,1 MW,3 MVND/yr\n"}, "settle.link_cost"),
        (
            {"links": "w,mill,park,electricity,1 MW,3 VND/kWh\nv,shop,park,electricity,1 MW,4 VND/kWh\n"},
            "settle.two_fees",
        ),
    ],
)
def test_a_declaration_that_cannot_be_settled_is_named_with_its_line(tmp_path, world, code):
    with pytest.raises(RequestError) as error:
        settled(tmp_path, **world)
    assert error.value.code == code
    assert error.value.problem.where is not None


def test_a_period_that_no_step_fits_and_an_unknown_rule_are_refused(tmp_path):
    with pytest.raises(RequestError, match="whole number of steps"):
        settled(tmp_path, span=Span(START, START + timedelta(minutes=90)))
    with pytest.raises(RequestError, match="did you mean 'duals'"):
        settled(tmp_path / "again", rule="dual")


def test_a_territory_without_sites_says_what_to_declare(tmp_path):
    import mangrove as mg
    from mangrove.testing import two_factory_park

    with pytest.raises(RequestError) as error:
        meters.sites_of(mg.open(two_factory_park(tmp_path)).territory)
    assert error.value.code == "settle.no_sites"


def test_an_export_price_above_the_retail_price_is_refused_not_cut(tmp_path):
    dear = TARIFF_FLAT.replace("export: 671", "export: 2500")
    with pytest.raises(RequestError) as error:
        settled(tmp_path, tariffs=dear)
    assert error.value.code == "settle.sells_above_buys"


def test_the_summary_for_a_terminal_names_members_rules_and_who_would_leave(week):
    said = week.text("vi")
    assert "Kho lạnh" in said
    assert "không ai" in said
    assert week.text("en").count("\n") + 1 == 1 + 4 + 1 + len(RULES)


def test_statements_read_well_in_both_languages(week):
    mill = week.statements[0]
    assert "Phải trả" in mill.text("vi")
    assert "To pay" in mill.text("en")
    assert mill.money(-1234567, "vi") == "-1.234.567\u00a0đ"
    assert mill.money(1234567, "en") == "1,234,567\u00a0VND"
