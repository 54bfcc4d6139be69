"""Running exchanges against their meters: closed forms, gaps, suspects, effects, what counts once."""

import json
from datetime import timedelta
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.measure.symbiosis.exchange_world import (
    EXCHANGES,
    FLOWS,
    daily,
    folder,
    month,
    monthly,
    store,
    world,
)

from mangrove.errors import DeclarationError, RequestError
from mangrove.measure.symbiosis import verify
from mangrove.measure.uncertainty import Z95
from mangrove.territory import load

HEAD = EXCHANGES.splitlines()[0] + "\n"
EFFECT_HEAD = "exchange,effect,amount,side,factor,price,uncertainty\n"


def codes(made):
    return [one.code for one in made.problems]


def test_two_scales_in_kilograms_and_tonnes_give_the_inverse_variance_mean(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [103_000.0]))
        made = verify(ledger, territory, "2024-01")
    sd = 100 * 0.02 / Z95, 103 * 0.04 / Z95
    weight = [1 / one**2 for one in sd]
    (row,) = made.rows
    assert row.status == "reconciled"
    assert row.taken.value == pytest.approx((100 * weight[0] + 103 * weight[1]) / sum(weight))
    assert row.taken.sd == pytest.approx(sqrt(1 / sum(weight)))
    assert row.chi2 == pytest.approx(9 / (sd[0] ** 2 + sd[1] ** 2))
    assert row.given == row.taken or row.given.value == pytest.approx(row.taken.value)


def test_a_declared_loss_stands_between_what_leaves_and_what_arrives(tmp_path):
    territory, ledger = world(
        tmp_path, exchanges=HEAD + "slag,mill,bricks,waste:100202,sent,received,,,,loss=10 %\n"
    )
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [90_000.0]))
        (row,) = verify(ledger, territory, "2024-01").rows
    assert (row.given.value, row.taken.value) == (pytest.approx(100), pytest.approx(90))
    assert row.chi2 == pytest.approx(0, abs=1e-12)


def test_a_loss_that_is_not_sure_lets_the_meters_differ(tmp_path):
    parameters = "loss=10 %; loss_uncertainty=50 %"
    exact = HEAD + "slag,mill,bricks,waste:100202,sent,received,,,,loss=10 %\n"
    unsure = HEAD + f"slag,mill,bricks,waste:100202,sent,received,,,,{parameters}\n"
    rows = []
    for name, exchanges in (("exact", exact), ("unsure", unsure)):
        territory, ledger = world(tmp_path / name, exchanges=exchanges)
        with ledger:
            store(ledger, monthly("sent", [100.0]) + monthly("received", [85_000.0]))
            rows += verify(ledger, territory, "2024-01").rows
    given, taken, lost = 100 * 0.02 / Z95, 85 * 0.04 / Z95, 100 * 0.1 * 0.5 / Z95
    assert rows[0].chi2 == pytest.approx(25 / ((0.9 * given) ** 2 + taken**2))
    assert rows[1].chi2 == pytest.approx(25 / ((0.9 * given) ** 2 + taken**2 + lost**2))


def test_a_missing_month_is_a_gap_and_never_zero(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [100.0, None, 50.0]) + monthly("received", [100_000.0, None, None]))
        made = verify(ledger, territory, "2024-01", "2024-04")
    assert [row.status for row in made.rows] == ["reconciled", "gap", "one_meter"]
    assert made.rows[1].taken is None
    assert made.gaps("slag") == (month(2),)
    assert made.amount("slag").value == pytest.approx(150)
    assert "symbiosis.incomplete" in codes(made)
    assert made.by_effect(2024)[0].missing == ("slag 2024-02-01",)
    assert made.by_effect(2024)[0].periods == 2


def test_a_month_of_zero_is_zero_and_no_gap(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [0.0]) + monthly("received", [0.0]))
        (row,) = verify(ledger, territory, "2024-01").rows
    assert (row.status, row.taken.value, row.taken.sd) == ("reconciled", 0, 0)


def test_a_reading_below_zero_does_not_count(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [-5.0]) + monthly("received", [90_000.0]))
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].taken.value == pytest.approx(90)
    assert "symbiosis.negative" in codes(made)


@pytest.mark.parametrize("absurd", [1e16, 1e300])
def test_a_reading_beyond_all_measure_is_named_and_takes_no_other_away(tmp_path, absurd):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [absurd]) + monthly("received", [90_000.0]))
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].taken.value == pytest.approx(90)
    (said,) = [one for one in made.problems if one.code == "symbiosis.beyond"]
    assert (said.data["flow"], said.data["periods"]) == ("sent", "2024-01")


def test_more_arriving_than_leaving_is_named_and_the_interval_grows(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [100.0, 100.0]) + monthly("received", [100_000.0, 130_000.0]))
        made = verify(ledger, territory, "2024-01", "2024-03")
    fine, wrong = made.rows
    assert not fine.suspects
    assert wrong.suspects == ("sent", "received")
    assert wrong.taken.sd / wrong.taken.value > 3 * fine.taken.sd / fine.taken.value
    assert {"symbiosis.suspects", "symbiosis.more_arrives"} <= set(codes(made))


def test_one_meter_is_said_to_be_one(tmp_path):
    territory, ledger = world(tmp_path, exchanges=HEAD + "slag,mill,bricks,waste:100202,sent,,,,,loss=2 %\n")
    with ledger:
        store(ledger, monthly("sent", [100.0]))
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].status == "one_meter"
    assert made.rows[0].taken.value == pytest.approx(98)
    assert made.rows[0].p is None
    assert "symbiosis.one_meter" in codes(made)


def test_two_flows_of_one_meter_do_not_verify_each_other(tmp_path):
    twin = "twin,bricks,,waste:100202,t,1mo,sum,2 %,scale-a,,,,\n"
    territory, ledger = world(
        tmp_path, flows=twin, exchanges=HEAD + "slag,mill,bricks,waste:100202,sent,twin,,,,\n"
    )
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("twin", [90.0]))
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].status == "one_meter"
    assert made.rows[0].taken.value == pytest.approx(100)
    assert "symbiosis.same_meter" in codes(made)


def test_a_meter_without_a_declared_uncertainty_gives_amounts_without_intervals(tmp_path):
    territory, ledger = world(tmp_path, exchanges=HEAD + "slag,mill,bricks,waste:100202,bare,,,,,\n")
    with ledger:
        store(ledger, monthly("bare", [100.0]))
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].taken.value == 100
    assert made.rows[0].taken.sd is None
    assert made.avoided().sd is None
    assert "symbiosis.no_uncertainty" in codes(made)


def test_an_exchange_that_begins_within_a_month_counts_from_its_day(tmp_path):
    water = HEAD + "reuse,works,mill,water,water_out,water_in,,2024-01-16,2024-03-01,\n"
    territory, ledger = world(tmp_path, exchanges=water, effects=EFFECT_HEAD)
    with ledger:
        store(ledger, daily("water_out", month(1), 91, 10.0) + daily("water_in", month(1), 91, 240.0))
        made = verify(ledger, territory, "2024-01", "2024-04")
    assert [row.status for row in made.rows] == ["reconciled", "reconciled", "idle"]
    # A mean of 10 m3/h is 240 m3 a day: 16 days of January, 29 of February.
    assert [row.taken.value for row in made.rows[:2]] == [pytest.approx(16 * 240), pytest.approx(29 * 240)]
    assert made.rows[0].chi2 == pytest.approx(0, abs=1e-9)


def test_a_counter_counts_by_its_increments(tmp_path):
    flows = FLOWS.replace("water_in,mill,,water,m3,1d,sum", "water_in,mill,,water,m3,1d,counter")
    path = folder(tmp_path, exchanges=HEAD + "reuse,works,mill,water,,water_in,,,,\n", effects=EFFECT_HEAD)
    (path / "flows.csv").write_text(flows, encoding="utf-8")
    territory = load(path)
    from mangrove.ledger import Ledger

    with Ledger.open(path / ".mangrove") as ledger:
        store(ledger, daily("water_in", month(1), 31, 7.0))  # what the door derives from the register
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].taken.value == pytest.approx(31 * 7)


def test_a_meter_that_misses_days_is_a_gap_of_that_month(tmp_path):
    territory, ledger = world(
        tmp_path, exchanges=HEAD + "reuse,works,mill,water,,water_in,,,,\n", effects=EFFECT_HEAD
    )
    with ledger:
        store(ledger, daily("water_in", month(1), 28, 7.0))
        (row,) = verify(ledger, territory, "2024-01").rows
    assert row.status == "gap"
    assert row.received.amount is None
    assert row.received.coverage == pytest.approx(28 / 31)


def test_parts_of_a_whole_tell_which_meter_is_wrong(tmp_path):
    exchanges = HEAD + "reuse,works,mill,water,water_out,water_in,,,,whole=whole; rest=rest\n"
    territory, ledger = world(tmp_path, exchanges=exchanges, effects=EFFECT_HEAD)
    with ledger:
        rows = daily("water_out", month(1), 31, 15.0) + daily("water_in", month(1), 31, 240.0)
        store(ledger, rows + daily("whole", month(1), 31, 1000.0) + daily("rest", month(1), 31, 760.0))
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].suspects == ("water_out",)  # 360 m3 a day against 240 twice over
    assert made.rows[0].freedom == 2
    assert "symbiosis.suspect" in codes(made)


def test_parts_that_exceed_their_whole_are_named(tmp_path):
    exchanges = HEAD + "reuse,works,mill,water,water_out,,,,,whole=whole\n"
    territory, ledger = world(tmp_path, exchanges=exchanges, effects=EFFECT_HEAD)
    with ledger:
        store(ledger, daily("water_out", month(1), 31, 15.0) + daily("whole", month(1), 31, 200.0))
        made = verify(ledger, territory, "2024-01")
    assert "symbiosis.parts_exceed_whole" in codes(made)


def test_what_no_meter_of_its_own_says_follows_from_the_whole(tmp_path):
    exchanges = HEAD + "reuse,works,mill,water,water_out,,,,,whole=whole; rest=rest\n"
    territory, ledger = world(tmp_path, exchanges=exchanges, effects=EFFECT_HEAD)
    with ledger:
        store(ledger, daily("rest", month(1), 31, 760.0) + daily("whole", month(1), 31, 1000.0))
        made = verify(ledger, territory, "2024-01")
    assert made.rows[0].status == "derived"
    assert made.rows[0].taken.value == pytest.approx(31 * 240)


def test_properties_are_weighted_with_the_amounts_of_the_day(tmp_path):
    exchanges = HEAD + "reuse,works,mill,water,,water_in,,,,quality_cod=cod; max_cod=40 mg/L\n"
    territory, ledger = world(tmp_path, exchanges=exchanges, effects=EFFECT_HEAD)
    half = month(1) + timedelta(days=10)
    with ledger:
        rows = daily("water_in", month(1), 10, 300.0) + daily("water_in", half, 21, 100.0)
        store(ledger, rows + daily("cod", month(1), 10, 60.0) + daily("cod", half, 21, 20.0))
        made = verify(ledger, territory, "2024-01")
    (quality,) = made.rows[0].properties
    assert quality.mean == pytest.approx((3000 * 60 + 2100 * 20) / 5100)
    assert quality.breached
    assert "symbiosis.quality" in codes(made)


def test_effects_are_amount_times_declaration_and_factor(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [100_000.0]))
        made = verify(ledger, territory, "2024-01")
    by_name = {one.effect: one for one in made.by_effect(2024)}
    stone, diesel, power = by_name["primary_material"], by_name["fuel"], by_name["electricity"]
    assert (stone.amount, stone.unit, stone.money) == (pytest.approx(90), "t", pytest.approx(90 * 180_000))
    assert stone.co2e_kg is None
    assert (diesel.amount, diesel.unit, diesel.code, diesel.place) == (
        pytest.approx(-20),
        "L",
        "diesel",
        "bricks",
    )
    # 20 L x 0.84 kg/L x 43 MJ/kg x (74.1 + 3.9e-3 x 28 + 3.9e-3 x 265) g CO2e/MJ, Decision 2626 and AR5
    assert diesel.co2e_kg == pytest.approx(-20 * 0.84 * 43 * (74.1 + 3.9e-3 * (28 + 265)) / 1000)
    assert (power.amount, power.co2e_kg) == (pytest.approx(1000), pytest.approx(659.2))
    assert (power.place, power.side) == ("mill", "giver")
    assert power.factors == ("local:grid/vn:CO2:2024-01-01",)
    assert made.avoided().value == pytest.approx(power.co2e_kg + diesel.co2e_kg)
    assert made.paid("slag").value == pytest.approx(-2_000_000)
    assert made.saved().value == pytest.approx(90 * 180_000 - 20 * 21_000 + 1000 * 1900)


def test_a_year_of_one_meter_is_as_uncertain_as_its_month(tmp_path):
    territory, ledger = world(tmp_path, exchanges=HEAD + "slag,mill,bricks,waste:100202,sent,,,,,\n")
    with ledger:
        store(ledger, monthly("sent", [100.0] * 12))
        made = verify(ledger, territory, "2024")
    amount, avoided = made.amount("slag"), made.by_effect(2024)[2]
    assert amount.sd / amount.value == pytest.approx(0.02 / Z95)
    assert avoided.co2e_sd / avoided.co2e_kg == pytest.approx(sqrt(0.02**2 + 0.1**2) / Z95)


def test_places_add_up_to_the_whole_park(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [100.0] * 12) + monthly("received", [99_000.0] * 12))
        made = verify(ledger, territory, "2024")
    parts = [one for place in ("mill", "bricks", "works") for one in made.by_effect(2024, place)]
    assert sum(one.money for one in parts) == pytest.approx(made.saved().value)
    assert len(made.by_effect(2024, "park")) == len(parts) == 3
    assert made.by_effect(2023) == []
    with pytest.raises(RequestError, match="mil"):
        made.by_effect(2024, "mil")


def test_a_factor_that_does_not_hold_leaves_the_emissions_unknown(tmp_path):
    effects = EFFECT_HEAD + "slag,waste_treated,1 t/t,giver,landfill/nothing,,0 %\n"
    territory, ledger = world(tmp_path, effects=effects)
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [100_000.0]))
        made = verify(ledger, territory, "2024-01")
    assert made.avoided() is None
    assert made.savings[0].co2e is None
    assert any(code.startswith(("rules.", "methods.")) for code in codes(made))


def test_months_without_a_factor_are_named_and_the_others_count(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, [*monthly("sent", [100.0] * 12), ("sent", month(1, 2025), 100.0)])
        made = verify(ledger, territory, "2024-12", "2025-02")
    before, after = (
        next(one for one in made.by_effect(year) if one.effect == "electricity") for year in (2024, 2025)
    )
    assert (before.co2e_kg, before.lacking) == (pytest.approx(659.2), ())
    assert (after.co2e_kg, after.lacking) == (None, ("slag 2025-01-01",))
    assert "symbiosis.lacking" in codes(made)


def test_an_effect_that_makes_no_quantity_is_refused_by_name(tmp_path):
    territory, ledger = world(tmp_path, effects=EFFECT_HEAD + "slag,electricity,1 kWh/m3,giver,,,0 %\n")
    with ledger:
        store(ledger, monthly("sent", [100.0]))
        made = verify(ledger, territory, "2024-01")
    assert not made.savings
    assert "symbiosis.wrong_effect_unit" in codes(made)


def test_two_exchanges_of_one_meter_count_once(tmp_path):
    exchanges = EXCHANGES + "again,mill,bricks,waste:100202,sent,,,,,\n"
    effects = (
        EFFECT_HEAD + "slag,primary_material,1 t/t,taker,,,0 %\nagain,primary_material,1 t/t,taker,,,0 %\n"
    )
    territory, ledger = world(tmp_path, exchanges=exchanges, effects=effects)
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [100_000.0]))
        made = verify(ledger, territory, "2024-01")
    assert "symbiosis.meter_twice" in codes(made)
    assert made.by_effect(2024)[0].amount == pytest.approx(100)
    assert made.uncounted == {"again"}


def test_the_same_effect_twice_counts_once(tmp_path):
    line = "slag,electricity,10 kWh/t,giver,grid/vn,,0 %\n"
    effects = EFFECT_HEAD + line + line + "slag,electricity,10 kWh/t,taker,grid/vn,,0 %\n"
    territory, ledger = world(tmp_path, effects=effects)
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [100_000.0]))
        made = verify(ledger, territory, "2024-01")
    assert {"symbiosis.repeated_effect", "symbiosis.claimed_at_both_ends"} <= set(codes(made))
    assert made.avoided().value == pytest.approx(659.2)


def test_what_the_inventory_already_calls_avoided_does_not_count_again(tmp_path):
    flow = "pv,mill,,electricity,kWh,1mo,sum,2 %,scale-a,avoided,counterfactual=grid,,\n"
    territory, ledger = world(tmp_path, flows=flow)
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [100_000.0]))
        made = verify(ledger, territory, "2024-01")
    assert "symbiosis.avoided_twice" in codes(made)
    assert made.avoided() is None
    assert made.saved().value > 0


def test_avoided_emissions_never_enter_the_inventory(tmp_path):
    from mangrove import api

    territory, ledger = world(tmp_path, flows="power,mill,,electricity,kWh,1mo,sum,2 %,evn,inventory,,2,\n")
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("power", [1000.0]))
    before = api.measure(api.open(tmp_path), "2024-01").to_arrow().to_pylist()
    with api.open(tmp_path).writer() as ledger:
        verify(ledger, territory, "2024-01", stored=True)
    after = api.measure(api.open(tmp_path), "2024-01").to_arrow().to_pylist()
    assert after == before
    assert after[0]["co2e_kg"] == pytest.approx(659.2)


def test_the_record_binds_what_it_rests_on_and_the_run_holds_the_amounts(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger:
        store(ledger, monthly("sent", [100.0]) + monthly("received", [98_000.0]))
        made = verify(ledger, territory, "2024-01", stored=True)
        again = verify(ledger, territory, "2024-01", stored=True)
        kind, text, _ = ledger.record(made.record)
        with ledger.snapshot() as snapshot:
            kept = snapshot.values(
                ["estimate/exchanges:sent", "estimate/exchanges:received"], month(1), month(2)
            ).to_pylist()
    document = json.loads(text)
    assert kind == "exchanges"
    assert document["account"] == "avoided"
    assert document["batches"]["slag"][0]["hash"]
    assert document["factors"]["local:grid/vn:CO2:2024-01-01"]["hash"]
    values = {row["flow"]: row["value"] for row in kept}
    row = made.rows[0]
    assert values["estimate/exchanges:sent"] == pytest.approx(row.given.value)
    assert values["estimate/exchanges:received"] == pytest.approx(1000 * row.taken.value)
    assert again.rows == made.rows
    assert again.record == made.record


def test_what_makes_no_sense_is_said_all_at_once(tmp_path):
    bad = "loss=120 %; rest=rest; quality_x=nothing; max_y=3 mg/L; whole=cod"
    territory, ledger = world(
        tmp_path, exchanges=HEAD + f"slag,mill,bricks,waste:100202,sent,received,,,,{bad}\n"
    )
    with ledger, pytest.raises(DeclarationError) as caught:
        verify(ledger, territory, "2024-01")
    found = {one.code for one in caught.value.problems}
    assert found == {
        "symbiosis.bad_share",
        "symbiosis.no_flow",
        "symbiosis.limit_alone",
        "symbiosis.other_unit",
        "symbiosis.no_amount",
    }
    assert all(str(one.where).startswith("exchanges.csv:2") for one in caught.value.problems)


def test_a_park_without_exchanges_says_so(tmp_path):
    territory, ledger = world(tmp_path, exchanges=HEAD, effects=EFFECT_HEAD)
    with ledger, pytest.raises(RequestError, match="no running exchanges"):
        verify(ledger, territory, "2024")


def test_an_unknown_exchange_gets_a_hint(tmp_path):
    territory, ledger = world(tmp_path)
    with ledger, pytest.raises(RequestError, match="slag"):
        verify(ledger, territory, "2024", exchanges=["slog"])


def test_a_whole_at_the_taker_holds_what_is_taken(tmp_path):
    flow = "intake,mill,,water,m3,1d,sum,1 %,dh-5,,,,\n"
    exchanges = HEAD + "reuse,works,mill,water,water_out,,,,,loss=10 %; whole=intake; rest=rest\n"
    territory, ledger = world(tmp_path, flows=flow, exchanges=exchanges, effects=EFFECT_HEAD)
    with ledger:
        rows = daily("water_out", month(1), 31, 10.0) + daily("intake", month(1), 31, 500.0)
        store(ledger, rows + daily("rest", month(1), 31, 284.0))
        (row,) = verify(ledger, territory, "2024-01").rows
    assert row.status == "reconciled"
    assert row.given.value == pytest.approx(31 * 240)
    assert row.taken.value == pytest.approx(31 * 216)
    assert row.chi2 == pytest.approx(0, abs=1e-9)


def test_parts_of_one_whole_are_one_balance_and_each_names_only_its_own_meters(tmp_path):
    more = "other,works,,water,m3,1d,sum,2 %,dh-6,,,,\n"
    exchanges = HEAD + (
        "reuse,works,mill,water,water_out,water_in,,,,whole=whole; rest=rest\n"
        "wash,works,bricks,water,other,,,,,whole=whole\n"
    )
    territory, ledger = world(tmp_path, flows=more, exchanges=exchanges, effects=EFFECT_HEAD)
    with ledger:
        rows = daily("water_out", month(1), 31, 15.0) + daily("water_in", month(1), 31, 240.0)
        rows += daily("other", month(1), 31, 100.0) + daily("rest", month(1), 31, 660.0)
        store(ledger, rows + daily("whole", month(1), 31, 1000.0))
        reuse, wash = verify(ledger, territory, "2024-01").rows
        alone = verify(ledger, territory, "2024-01", exchanges=["wash"])
    assert reuse.suspects == ("water_out",)
    assert wash.suspects == ()
    assert wash.status == "reconciled"
    assert [row.exchange for row in alone.rows] == ["wash"]
    assert alone.rows[0].taken.value == pytest.approx(wash.taken.value)


def test_periods_may_be_days(tmp_path):
    exchanges = HEAD + "reuse,works,mill,water,,water_in,,,,quality_cod=cod; max_cod=40 mg/L\n"
    territory, ledger = world(tmp_path, exchanges=exchanges, effects=EFFECT_HEAD)
    with ledger:
        store(ledger, daily("water_in", month(1), 3, 7.0) + daily("cod", month(1), 3, 60.0))
        made = verify(ledger, territory, "2024-01-01", "2024-01-04", every="1d")
    assert [row.taken.value for row in made.rows] == [pytest.approx(7)] * 3
    assert all(row.properties[0].breached for row in made.rows)
    assert (
        "2024-01-02" in next(one for one in made.problems if one.code == "symbiosis.quality").data["periods"]
    )


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 1e4), st.floats(0.95, 1.05)), min_size=1, max_size=12))
def test_months_add_up_to_the_year_and_parts_to_the_whole(tmp_path_factory, months):
    territory, ledger = world(tmp_path_factory.mktemp("park"))
    with ledger:
        sent = monthly("sent", [amount for amount, _ in months])
        store(ledger, sent + monthly("received", [1000 * amount * ratio for amount, ratio in months]))
        made = verify(ledger, territory, "2024")
    assert made.amount("slag").value == pytest.approx(sum(row.taken.value for row in made.rows if row.taken))
    assert made.avoided().value == pytest.approx(sum(one.co2e_kg or 0 for one in made.by_effect(2024)))
    for row in made.rows[: len(months)]:
        assert row.given.value == pytest.approx(row.taken.value, rel=1e-9)
        low, high = sorted((row.sent.amount, row.received.amount))
        assert low * (1 - 1e-9) <= row.taken.value <= high * (1 + 1e-9)
