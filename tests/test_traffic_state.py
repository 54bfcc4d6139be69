"""What streets emit as values like any other: in the inventory, on the map, with one doubt for all, hour by hour as counts come in."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.measure.traffic.counted_city import FLOWS, RESULTS, START, USUAL, city, fill, half_counted
from tests.traffic.test_uncounted import write_grid

from mangrove import api, printing_traffic, traffic_state
from mangrove.errors import DeclarationError, RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.measure.traffic.emitted import emitted
from mangrove.testing import values
from mangrove.traffic.emissions import factors

HOUR = ("2026-06-03T07:00", "2026-06-03T08:00")
END = START + timedelta(hours=1)


@pytest.fixture
def park(tmp_path):
    made = city(tmp_path / "city")
    fill(made, USUAL)
    return made


def held(park, flow, start=START, hours=1):
    """Values of a series, by hour after `start`."""
    with Ledger.open(park.store, read_only=True) as ledger, ledger.snapshot() as now:
        rows = now.values([flow], start, start + timedelta(hours=hours)).to_pylist()
    return {(row["start"] - start) // timedelta(hours=1): row["value"] for row in rows}


def drawn_interval(park, pollutant, weights, count=40_000):
    """The 95 % interval by draws: each class has one error for all streets; streets have their own."""
    state = traffic_state.state(park, *HOUR)
    made = factors(state.classes, [pollutant])
    amounts = emitted(state, made)
    by_class = np.einsum("l,tlc->c", weights(state), amounts.mass[..., 0])
    own = np.sqrt(weights(state) ** 2 @ (amounts.own + amounts.link**2)[..., 0].sum(axis=0))
    random = np.random.default_rng(3)
    total = sum(
        kg * row[0].median * np.exp(row[0].sigma * random.standard_normal(count))
        for kg, row in zip(by_class, made.curves, strict=True)
    )
    return np.quantile(total + own * random.standard_normal(count), [0.025, 0.975]) / 1000


def test_the_interval_of_an_inventory_is_that_of_drawn_factors_which_all_streets_share(park):
    traffic_state.traffic(park, *HOUR)
    measured = api.measure(park, *HOUR, run="estimate/traffic")
    found = measured.total()
    wanted = drawn_interval(park, "CO2", lambda state: np.ones(len(state.streets.ids)))
    assert [found["co2e_low"], found["co2e_high"]] == pytest.approx(wanted, rel=0.04)
    assert measured.simulate() == pytest.approx(wanted, rel=0.04)
    east = api.measure(park, *HOUR, run="estimate/traffic", by=("ward",)).to_arrow().to_pylist()[1]
    wanted = drawn_interval(
        park, "CO2", lambda state: np.array([name != "main" for name in state.streets.ids], dtype=float)
    )
    assert east["ward"] == "east"
    assert [east["co2e_low"], east["co2e_high"]] == pytest.approx(wanted, rel=0.05)


def test_wards_do_not_average_the_doubt_of_a_factor_away(park):
    traffic_state.traffic(park, *HOUR)
    wards = api.measure(park, *HOUR, by=("ward",)).to_arrow().to_pylist()
    whole = api.measure(park, *HOUR).total()
    assert whole["co2e_high"] - whole["co2e_low"] == pytest.approx(
        sum(row["co2e_high"] - row["co2e_low"] for row in wards), rel=0.03
    )


def test_a_measurement_of_traffic_is_replayed_with_its_doubts(park):
    traffic_state.traffic(park, *HOUR)
    found = api.measure(park, *HOUR)
    assert api.replay(park, found.record).total() == found.total()
    assert not {"measure.no_uncertainty", "measure.interval_of_estimate"} & {
        one.code for one in found.problems
    }


def test_values_whose_record_was_not_copied_are_measured_and_state_no_error(park):
    origin = Origin("model:traffic", "1", "estimate", "traffic", "2", (f"record:{'ab' * 32}",))
    with Ledger.open(park.store) as ledger:
        ledger.append(values([("west_co2", START, 50.0)]), origin)
    found = api.measure(park, *HOUR)
    assert found.total()["co2e_kg"] == 50.0
    assert np.isnan(found.total()["co2e_low"])


def test_what_streets_emit_stands_in_the_inventory_of_what_happened(park):
    made = traffic_state.traffic(park, *HOUR)
    assert api.measure(park, *HOUR).total()["co2e_kg"] == pytest.approx(made.total.amount)
    rows = api.measure(park, *HOUR, by=("ward", "gpc")).to_arrow().to_pylist()
    assert {(row["ward"], row["gpc"]) for row in rows} == {("west", "II.1.1"), ("east", "II.1.1")}


def test_hours_that_somebody_measured_stay_as_they_are(park):
    with Ledger.open(park.store) as ledger:
        ledger.append(values([("west_co2", START, 50.0)]), Origin("file:analyser.csv", "1"))
    traffic_state.traffic(park, *HOUR)
    assert held(park, "west_co2") == {0: 50.0}
    assert held(park, "estimate/traffic:west_co2")[0] != 50.0
    assert held(park, "east_co2") == held(park, "estimate/traffic:east_co2")


def test_a_repair_of_an_hour_gives_way_to_what_was_counted_there(park):
    with Ledger.open(park.store) as ledger:
        ledger.append(
            values([("west_co2", START, 50.0)]), Origin("model:repair", "1", "estimate", "repair", "1")
        )
    traffic_state.traffic(park, *HOUR)
    assert held(park, "west_co2") == held(park, "estimate/traffic:west_co2")


def test_a_row_of_streets_is_explained_down_to_its_batch(park):
    traffic_state.traffic(park, *HOUR)
    told = api.measure(park, *HOUR, by=("flow",)).explain(0)
    assert told.co2e_kg > 0
    assert [batch.model for batch in told.batches] == ["traffic"]
    assert "traffic" in told.text("vi")


def test_the_last_question_counts_also_when_it_was_asked_before(park):
    first = traffic_state.traffic(park, *HOUR).total.amount
    copert = traffic_state.traffic(park, *HOUR, source="copert").total.amount
    assert api.measure(park, *HOUR).total()["co2e_kg"] == pytest.approx(copert)
    traffic_state.traffic(park, *HOUR)
    assert api.measure(park, *HOUR).total()["co2e_kg"] == pytest.approx(first)
    assert api.measure(park, *HOUR, run="estimate/traffic").total()["co2e_kg"] == pytest.approx(first)


FUEL = "fuel,city,fuel:petrol,m3,1mo,sum,1,II.1.1,,,,inventory\n"


def test_fuel_sales_beside_the_streets_keep_their_estimate_out_of_the_inventory_and_it_is_said(tmp_path):
    made = city(tmp_path / "city", FLOWS + RESULTS + FUEL)
    fill(made, USUAL)
    found = traffic_state.traffic(made, *HOUR)
    said = [one for one in found.problems if one.code == "vehicles.beside"]
    assert {one.data["flow"] for one in said} == {"west_co2", "east_co2", "east_nox"}
    assert "beside=fuel" in said[0].text("en")
    assert held(made, "west_co2") == {}
    assert held(made, "estimate/traffic:west_co2")


def test_a_flow_may_say_that_others_stand_beside_it_rightly(tmp_path):
    results = RESULTS.replace("vehicles=all", "vehicles=all; beside=fuel")
    made = city(tmp_path / "city", FLOWS + results + FUEL)
    fill(made, USUAL)
    assert "vehicles.beside" not in {one.code for one in traffic_state.traffic(made, *HOUR).problems}
    assert held(made, "west_co2")


@pytest.mark.parametrize(
    "more",
    [
        "city_co2,city,reported:CO2,t,1h,sum,1,II.1.1,reported,vehicles=all,,inventory\n",
        "moto_co2,west,reported:CO2,t,1h,sum,1,II.1.1,reported,vehicles=motorbike,,inventory\n",
        "city_km2,city,vehicle_km:car,vehicle_km,1h,sum,1,II.1.1,,vehicles=car,,inventory\n",
    ],
)
def test_the_same_vehicles_stand_once_in_the_inventory(tmp_path, more):
    made = city(tmp_path / "city", FLOWS + RESULTS + more)
    fill(made, USUAL)
    with pytest.raises(DeclarationError) as caught:
        traffic_state.traffic(made, *HOUR)
    assert {one.code for one in caught.value.problems} == {"vehicles.twice"}


def test_a_flow_that_is_no_amount_cannot_take_what_streets_emit(tmp_path):
    more = "rate,west,reported:CO2,kg/h,1h,mean,1,II.1.1,reported,vehicles=all,,memo\n"
    made = city(tmp_path / "city", FLOWS + more)
    fill(made, USUAL)
    with pytest.raises(DeclarationError) as caught:
        traffic_state.traffic(made, *HOUR)
    assert [one.code for one in caught.value.problems] == ["vehicles.takes_sums"]
    assert "kg/h" in caught.value.text("vi")


def test_each_whole_hour_is_kept_up_and_late_counts_change_it(tmp_path):
    made = city(tmp_path / "city")
    fill(made, {name: [value] * 48 for name, value in USUAL.items()})
    now = START + timedelta(hours=4, minutes=20)
    assert traffic_state.keep_up(made, now) == 3 * 4, "three hours, four flows"
    assert traffic_state.keep_up(made, now) == 0, "nothing new"
    assert sorted(held(made, "west_co2", hours=9)) == [1, 2, 3]
    fill(made, {"main_moto": [240.0]}, START + timedelta(hours=2))  # a count is corrected
    before = held(made, "west_co2", hours=9)
    assert traffic_state.keep_up(made, now) >= 2, "west's CO2 and the city's kilometers of one hour at least"
    after = held(made, "west_co2", hours=9)
    assert after[2] > before[2]
    assert (after[1], after[3]) == (before[1], before[3])


def test_counts_of_two_days_ago_are_taken_up_when_they_come(tmp_path):
    made = city(tmp_path / "city")
    for hour in (0, 40):
        fill(made, USUAL, START + timedelta(hours=hour))
    now = START + timedelta(hours=41)
    traffic_state.keep_up(made, now)
    assert sorted(held(made, "west_co2", hours=50)) == [40]
    fill(made, USUAL, START + timedelta(hours=10))
    traffic_state.keep_up(made, now)
    assert sorted(held(made, "west_co2", hours=50)) == [10, 40]


def test_a_city_too_large_for_two_days_at_once_is_kept_up_for_its_last_hours(tmp_path, monkeypatch):
    from mangrove.measure.traffic import state

    made = city(tmp_path / "city")
    fill(made, USUAL, START + timedelta(hours=40))
    now = START + timedelta(hours=41)
    traffic_state.keep_up(made, now)
    monkeypatch.setattr(state, "MOST_NUMBERS", 4 * 12 * 3 * 2)
    fill(made, {"main_moto": 99.0}, START + timedelta(hours=40))
    fill(made, USUAL, START)
    assert traffic_state.keep_up(made, now) > 0
    assert sorted(held(made, "west_co2", hours=50)) == [40]


def test_an_hour_kept_up_equals_the_same_hour_asked_for(park):
    traffic_state.keep_up(park, END)
    kept = held(park, "estimate/traffic:west_co2")
    traffic_state.traffic(park, *HOUR)
    assert held(park, "estimate/traffic:west_co2") == kept


def test_nothing_is_done_without_counted_streets_or_values(tmp_path):
    bare = city(tmp_path / "bare", "homes,city,electricity,kWh,1h,sum,2,I.1.2,,,,inventory\n")
    assert traffic_state.keep_up(bare, END) == 0
    silent = city(tmp_path / "silent")
    with Ledger.open(silent.store) as ledger:
        ledger.append(values([("main_moto", START - timedelta(days=9), 1.0)]), Origin("test", "1"))
    assert traffic_state.keep_up(silent, END) == 0


def told(park, **settings):
    """The same territory with other settings of traffic."""
    territory = park.territory
    traffic = {**dict(territory.settings.get("traffic") or {}), **settings}
    return replace(park, territory=replace(territory, settings={**territory.settings, "traffic": traffic}))


def test_streets_that_nobody_counts_are_kept_up_when_the_territory_says_so(tmp_path):
    made = half_counted(tmp_path / "city")
    assert traffic_state.keep_up(made, END) == 1
    counted = api.measure(made, *HOUR).total()
    assert traffic_state.keep_up(told(made, whole=True), END) == 1
    whole = api.measure(made, *HOUR).total()
    assert whole["co2e_kg"] > 1.5 * counted["co2e_kg"]
    asked = traffic_state.traffic(made, *HOUR, whole=True, store=False).total
    assert whole["co2e_kg"] == pytest.approx(asked.amount)
    wide = [(one["co2e_high"] - one["co2e_low"]) / one["co2e_kg"] for one in (whole, counted)]
    assert wide[0] > wide[1], "what nobody counted is less sure"


def test_where_the_doubt_comes_from_is_said_first(park):
    found = traffic_state.traffic(park, *HOUR)
    assert max(found.doubt, key=found.doubt.__getitem__) == "motorbike"
    assert sum(found.doubt.values()) == pytest.approx(1)
    assert found.ranges["motorbike"][1] == pytest.approx(90.8), "Ha Noi, Nguyen and Than 2023"
    text = printing_traffic.as_text(found, "en")
    assert f"motorbike {100 * found.doubt['motorbike']:.0f} %" in text.splitlines()[-1]
    for row in (*found.rows, found.total):
        assert row.low <= row.amount <= row.high


def test_a_period_that_does_not_fit_in_memory_is_refused(park):
    with pytest.raises(RequestError) as caught:
        traffic_state.state(park, "1900-01-01", "2026-01-01")
    assert caught.value.code == "vehicles.too_long"


def test_a_period_inside_five_minutes_is_answered_for_its_cell_and_said(park):
    found = traffic_state.traffic(park, "2026-06-03T07:02", "2026-06-03T07:12", store=False)
    assert (found.span.start, found.span.end) == (START, START + timedelta(minutes=15))
    assert "07:15" in next(one for one in found.problems if one.code == "vehicles.rounded").text("vi")
    whole = traffic_state.traffic(park, "2026-06-03T07:00", "2026-06-03T07:15", store=False)
    assert whole.total.amount == pytest.approx(found.total.amount)
    assert "vehicles.rounded" not in {one.code for one in whole.problems}


def test_a_check_names_every_line_that_fits_no_edge_and_a_network_that_is_not_there(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    net = write_grid(folder)
    row = "{0},city,vehicles,vehicle,5min,sum,,,,link='{1}',,memo\n"
    city(
        folder,
        row.format("good", "00_10") + row.format("wrong", "00_99"),
        f"traffic:\n  network: {net.name}\n",
    )
    (wrong,) = api.check(folder)
    assert (wrong.code, wrong.where.file, wrong.where.line) == ("vehicles.unknown_link", "flows.csv", 3)
    net.unlink()
    assert [problem.code for problem in api.check(folder)] == ["vehicles.no_network"]
