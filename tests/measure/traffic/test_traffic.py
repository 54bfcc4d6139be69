"""Counts and speeds in a ledger become flows, emissions and rows of an inventory."""

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.measure.traffic.counted_city import (
    CELLS,
    COUNTED,
    FLOWS,
    RESULTS,
    START,
    USUAL,
    city,
    fill,
    half_counted,
    silent_speeds,
    write_net,
)

from mangrove import api, printing_traffic, traffic_state
from mangrove.errors import DataQualityError, DeclarationError, MangroveError, RequestError, SourceError
from mangrove.ledger import Ledger, Origin
from mangrove.measure.traffic.store import detail
from mangrove.rules.vehicles import curve
from mangrove.testing import values

HOUR = ("2026-06-03T07:00", "2026-06-03T08:00")


def grams(moto: float, car: float, speed: float, km: float) -> float:
    """CO2 of one cell, by hand."""
    return km * (
        moto * float(curve("motorbike", "CO2").at(speed)) + car * float(curve("car", "CO2").at(speed))
    )


@pytest.fixture
def park(tmp_path):
    made = city(tmp_path / "city")
    fill(made, USUAL)
    return made


def by_hand() -> dict[str, float]:
    """Kilograms of CO2 of the three streets in the hour."""
    moto, car = 120 * 0.4 + 60 * 0.25, 10 * 0.4 + 4 * 0.25
    share = moto / (moto + car)
    return {
        "main": CELLS * grams(120, 10, 18, 0.4) / 1000,
        "side": CELLS * grams(60, 4, 30, 0.25) / 1000,
        "third": CELLS * grams(50 * share, 50 * (1 - share), 24, 0.3) / 1000,
    }


def test_streets_emit_what_the_formula_says_and_totals_are_split_by_the_shares_of_counted_streets(park):
    made = traffic_state.traffic(park, *HOUR)
    assert {row.id: row.amount for row in made.rows} == pytest.approx(by_hand())
    assert made.total.amount == pytest.approx(sum(by_hand().values()))
    assert made.read == 1
    assert made.total.low < made.total.amount < made.total.high


def test_wards_and_classes_add_up_to_the_city(park):
    wards = {row.id: row.amount for row in traffic_state.traffic(park, *HOUR, by="ward").rows}
    hand = by_hand()
    assert wards == pytest.approx({"west": hand["main"], "east": hand["side"] + hand["third"]})
    city_row = traffic_state.traffic(park, *HOUR, by="city").rows[0]
    assert city_row.amount == pytest.approx(sum(hand.values()))
    classes = traffic_state.traffic(park, *HOUR, by="class")
    assert sum(row.amount for row in classes.rows) == pytest.approx(sum(hand.values()))
    assert sum(row.vehicle_km for row in classes.rows) == pytest.approx(
        CELLS * (130 * 0.4 + 64 * 0.25 + 50 * 0.3)
    )


def test_the_one_formula_makes_inventory_rows_of_the_stored_values(park):
    traffic_state.traffic(park, *HOUR)
    found = api.measure(park, *HOUR, run="estimate/traffic", by=("flow", "gpc", "gas"))
    rows = found.to_arrow().to_pylist()
    assert {row["gpc"] for row in rows} == {"II.1.1"}
    kg = {(row["flow"], row["gas"]): row["kg"] for row in rows}
    hand = by_hand()
    assert kg["west_co2", "CO2"] == pytest.approx(hand["main"])
    assert kg["east_co2", "CO2"] == pytest.approx(hand["side"] + hand["third"])
    assert kg["east_nox", "NOx"] > 0


def test_the_record_keeps_every_street_and_five_minutes(park):
    made = traffic_state.traffic(park, *HOUR)
    with Ledger.open(park.store, read_only=True) as ledger:
        kind, document, payload = ledger.record(made.record)
    table = detail(payload)
    assert kind == "traffic"
    assert json.loads(document)["links"] == 3
    assert table.num_rows == 3 * CELLS * 2
    assert pa.compute.sum(table["CO2"]).as_py() / 1000 == pytest.approx(made.total.amount, rel=1e-5)


def test_asking_again_stores_nothing_new_and_a_dry_run_nothing_at_all(park):
    assert traffic_state.traffic(park, *HOUR, store=False).record == ""
    assert traffic_state.traffic(park, *HOUR).stored == 4
    assert traffic_state.traffic(park, *HOUR).stored in (0, 4)
    with Ledger.open(park.store, read_only=True) as ledger, ledger.snapshot() as now:
        rows = now.values(["estimate/traffic:west_co2"], START, START.replace(hour=1))
    assert rows.num_rows == 1


def test_a_gap_is_filled_from_the_same_clock_time_and_marked(tmp_path):
    made = city(tmp_path / "city")
    for days, factor in ((1, 0.9), (2, 1.0), (5, 1.1)):  # Tuesday, Monday, Friday
        fill(
            made,
            {name: value * factor if "speed" not in name else value for name, value in USUAL.items()},
            START - days * (START - START.replace(day=2)),
        )
    fill(made, USUAL | {"main_moto": [120.0] * 11 + [None]})
    found = traffic_state.state(made, *HOUR)
    link = found.streets.ids.index("main")
    assert found.flow[-1, link, 0] == pytest.approx(120)
    assert found.flow_error[-1, link, 0] >= 0.2 > found.flow_error[0, link, 0]
    assert found.basis[:, link].tolist() == [0] * 11 + [2]
    assert any(one.code == "vehicles.filled" for one in found.problems)


def test_a_count_that_repair_estimated_is_filled_not_read(tmp_path):
    made = city(tmp_path / "city")
    fill(made, USUAL | {"main_moto": [120.0] * 5 + [None] + [120.0] * 6})
    api.repair(made, *HOUR)
    found = traffic_state.state(made, *HOUR)
    link = found.streets.ids.index("main")
    assert found.basis[:, link].tolist() == [0] * 5 + [2] + [0] * 6
    assert found.flow[5, link, 0] == pytest.approx(120)
    assert found.flow_error[5, link, 0] >= 0.2 > found.flow_error[4, link, 0]


def test_a_gap_that_nothing_closes_stays_one_and_its_hour_is_not_stored(tmp_path):
    made = city(tmp_path / "city")
    fill(made, USUAL | {"main_moto": [120.0] * 11 + [None]})
    found = traffic_state.traffic(made, *HOUR)
    assert "vehicles.missing" in {one.code for one in found.problems}
    assert found.stored == 2, "east has CO2 and NOx; the city and the west miss a cell"
    assert found.read == pytest.approx(1 - 1 / 36)


def test_values_that_cannot_be_are_left_out_and_said(tmp_path):
    made = city(tmp_path / "city")
    fill(
        made,
        USUAL
        | {
            "main_moto": [-3.0] + [120.0] * 11,
            "side_speed": [0.0] + [30.0] * 11,
            "third_speed": [900.0] + [24.0] * 11,
        },
    )
    said = {one.code: one for one in traffic_state.traffic(made, *HOUR).problems}
    assert said["vehicles.values_below_zero"].data["value"] == "-3"
    assert said["vehicles.no_speeds"].severity == "warning"
    assert "main_moto" in said["vehicles.values_below_zero"].line("vi")


def test_intervals_longer_and_shorter_than_five_minutes_are_spread_and_added_up(tmp_path):
    flows = FLOWS.replace(
        "main_moto,west,vehicles:motorbike,vehicle,5min", "main_moto,west,vehicles:motorbike,vehicle,15min"
    ).replace("main_car,west,vehicles:car,vehicle,5min", "main_car,west,vehicles:car,vehicle,1min")
    made = city(tmp_path / "city", flows)
    fill(made, {name: value for name, value in USUAL.items() if name not in ("main_moto", "main_car")})
    fill(made, {"main_moto": 360.0}, step=900)
    fill(made, {"main_car": 2.0}, step=60)
    found = traffic_state.state(made, *HOUR)
    link = found.streets.ids.index("main")
    assert found.flow[:, link] == pytest.approx(np.tile([120.0, 10.0], (CELLS, 1)))


def test_a_network_gives_lengths_and_cuts_streets_at_the_border_of_wards(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    write_net(folder)
    made = city(folder, more="traffic:\n  network: small.net.xml\n")
    fill(made, USUAL)
    found = traffic_state.traffic(made, *HOUR, by="ward")
    link = traffic_state.traffic(made, *HOUR, by="link")
    amount = {row.id: row.amount for row in link.rows}
    assert {row.id: row.vehicle_km for row in link.rows}["main"] == pytest.approx(CELLS * 130 * 0.4), (
        "380 m and 20 m of crossing"
    )
    ward = {row.id: row.amount for row in found.rows}
    assert ward["west"] == pytest.approx(amount["main"] / 2, rel=1e-3)
    assert sum(ward.values()) == pytest.approx(link.total.amount, rel=1e-6)


def test_links_of_one_name_are_one_street(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    write_net(folder)
    net = folder / "small.net.xml"
    text = net.read_text()
    for name in ("main", "side"):
        text = text.replace(f'<edge id="{name}"', f'<edge id="{name}" name="Lê Lợi"')
    net.write_text(text, encoding="utf-8")
    made = city(folder, more="traffic:\n  network: small.net.xml\n")
    fill(made, USUAL)
    links = {row.id: row.amount for row in traffic_state.traffic(made, *HOUR).rows}
    found = {row.id: row.amount for row in traffic_state.traffic(made, *HOUR, by="street").rows}
    assert found == pytest.approx({"Lê Lợi": links["main"] + links["side"], "third": links["third"]})


def test_a_missing_speed_is_taken_from_how_slow_other_streets_are(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    write_net(folder)
    flows = FLOWS + "fourth_moto,east,vehicles:motorbike,vehicle,5min,sum,,,,link=fourth,,memo\n"
    made = city(folder, flows, more="traffic:\n  network: small.net.xml\n")
    fill(made, USUAL | {"fourth_moto": 30.0})
    found = traffic_state.state(made, *HOUR)
    link = found.streets.ids.index("fourth")
    assert found.speed[0, link, 0] == pytest.approx((18 + 30 + 24) / 3, rel=0.001), (
        "all streets have one limit"
    )
    assert (found.basis[:, link] == 2).all()


def test_sources_stand_side_by_side_and_another_one_may_be_asked_for(park):
    made = traffic_state.traffic(park, *HOUR)
    assert made.sources["motorbike"].keys() == {"hbefa", "copert", "measured", "consumption"}
    other = traffic_state.traffic(park, *HOUR, source="copert", store=False)
    assert other.used["motorbike"].startswith("copert:")
    assert other.total.amount != pytest.approx(made.total.amount)
    text = printing_traffic.as_text(made, "vi")
    assert "hbefa (2022)" in text
    assert "consumption (không có ngày)" in text
    assert "tổng" in text
    told = json.loads(printing_traffic.as_json(made))
    assert told["total"]["amount"] == made.total.amount
    assert told["editions"]["motorbike"]["copert"] == {
        "edition": "EMEP/EEA guidebook 2013",
        "published": "2013-08-29",
    }
    assert {name: set(each) for name, each in told["editions"].items()} == {
        name: set(each) for name, each in told["sources_at_20_km_h"].items()
    }


def refused(folder, flows=FLOWS + RESULTS, more="", filled=True, **asked):
    """The error of a request."""
    made = city(folder, flows, more)
    if not filled:
        fill(made, {"main_moto": 1.0}, START.replace(day=20))
    else:
        names = {line.split(",")[0] for line in flows.splitlines()}
        fill(made, {name: value for name, value in USUAL.items() if name in names} or {"west_co2": 1.0})
    with pytest.raises(MangroveError) as caught:
        traffic_state.traffic(made, *HOUR, **asked)
    return caught.value


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        (
            {"flows": FLOWS.replace("link=main; length=400 m", "length=400 m", 1)},
            DeclarationError,
            "vehicles.no_link",
        ),
        (
            {"flows": FLOWS.replace("link=main; length=400 m", "link=main")},
            DeclarationError,
            "vehicles.no_length",
        ),
        (
            {"flows": FLOWS.replace("length=400 m", "length=300 m", 1)},
            DeclarationError,
            "vehicles.other_length",
        ),
        (
            {"flows": FLOWS.replace("vehicles:car", "vehicles:tram", 1)},
            DeclarationError,
            "vehicles.unknown_class",
        ),
        ({"flows": FLOWS.replace("5min,sum", "1mo,sum", 1)}, DeclarationError, "vehicles.needs_step"),
        ({"flows": FLOWS.replace("5min,sum", "5min,counter", 1)}, DeclarationError, "vehicles.semantics"),
        ({"flows": RESULTS}, DataQualityError, "vehicles.none_declared"),
        ({"filled": False}, DataQualityError, "vehicles.no_values"),
        (
            {
                "flows": FLOWS.split("main_moto")[0]
                + "third_all,east,vehicles,vehicle,5min,sum,,,,link=third; length=300 m,,memo\n"
            },
            DataQualityError,
            "vehicles.no_shares",
        ),
        (
            {"more": "traffic:\n  shares:\n    motorbike: 60 %\n    car: 20 %\n"},
            DataQualityError,
            "vehicles.shares_sum",
        ),
        ({"more": "traffic:\n  network: gone.net.xml\n"}, SourceError, "vehicles.no_network"),
        (
            {"flows": FLOWS + "co,west,reported:CH4,kg,1h,sum,1,II.1.1,reported,vehicles=all,,inventory\n"},
            DeclarationError,
            "vehicles.takes_nothing",
        ),
        (
            {
                "flows": FLOWS
                + RESULTS
                + "km,west,vehicle_km:car,vehicle_km,1h,sum,1,II.1.1,,vehicles=car,,inventory\n"
            },
            DeclarationError,
            "vehicles.twice",
        ),
        ({"by": "planet"}, RequestError, "vehicles.unknown_by"),
        ({"pollutant": "ozone"}, MangroveError, "vehicles.unknown_pollutant"),
        ({"source": "hanoi"}, MangroveError, "vehicles.unknown_source"),
    ],
)
def test_what_cannot_be_is_refused_by_name_in_both_languages(tmp_path, change, kind, code):
    error = refused(tmp_path / "city", **change)
    assert isinstance(error, kind)
    assert code in [one.code for one in error.problems]
    assert error.text("en") != error.text("vi")


def test_an_unknown_street_of_a_network_is_refused_with_the_nearest_one(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    write_net(folder)
    error = refused(folder, FLOWS.replace("link=third", "link=thrid"), "traffic:\n  network: small.net.xml\n")
    assert "third" in error.text("en")
    assert error.problems[0].code == "vehicles.unknown_link"
    assert error.problems[0].where.file == "flows.csv"


def test_declared_shares_split_totals(tmp_path):
    only = "third_all,east,vehicles,vehicle,5min,sum,,,,link=third; length=300 m,,memo\nthird_speed,east,speed,km/h,5min,state,,,,link=third; length=300 m,,memo\n"
    made = city(tmp_path / "city", only, "traffic:\n  shares:\n    motorbike: 80 %\n    bus: 20 %\n")
    fill(made, {"third_all": 50.0, "third_speed": 24.0})
    found = traffic_state.traffic(made, *HOUR, by="class")
    assert [row.vehicle_km for row in found.rows] == pytest.approx(
        [CELLS * 50 * 0.3 * 0.8, CELLS * 50 * 0.3 * 0.2]
    )


def test_positions_of_probe_vehicles_become_speeds_of_streets(tmp_path):
    pytest.importorskip("fastmm")
    from tests.traffic.test_matching_probes import drive, written

    from mangrove.traffic.sumo_net import read_net

    folder = tmp_path / "city"
    made = silent_speeds(folder)
    rows = drive(read_net(folder / "small.net.xml"), "a")
    report = traffic_state.take_probes(made, written(tmp_path / "probes.csv", rows))
    assert (report.points, report.matched) == (len(rows), len(rows))
    assert report.streets == 3
    found = traffic_state.state(made, *HOUR)
    link = found.streets.ids.index("main")
    assert found.speed[1, link, 0] == pytest.approx(18, rel=0.05)


def test_the_words_for_probe_vehicles_are_kept_nowhere(tmp_path):
    pytest.importorskip("fastmm")
    from tests.traffic.test_matching_probes import drive, written

    from mangrove.traffic.sumo_net import read_net

    folder = tmp_path / "city"
    made = silent_speeds(folder)
    rows = drive(read_net(folder / "small.net.xml"), "59-X1-123.45")
    assert traffic_state.take_probes(made, written(tmp_path / "probes.csv", rows)).values > 0
    traffic_state.traffic(made, *HOUR)
    with Ledger.open(made.store) as ledger:
        ledger.seal()
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"59-X1" not in kept
    assert b"main_speed" in kept


def test_positions_need_a_network(park, tmp_path):
    with pytest.raises(SourceError, match="network"):
        traffic_state.take_probes(park, tmp_path / "probes.csv")


def test_streets_that_nobody_counts_are_estimated_on_request_and_marked(tmp_path):
    made = half_counted(tmp_path / "city")
    counted = traffic_state.traffic(made, *HOUR, store=False)
    whole = traffic_state.traffic(made, *HOUR, whole=True)
    assert (counted.streets, whole.streets > 30) == (12, True)
    assert whole.total.amount > counted.total.amount
    assert whole.total.state_sd / whole.total.amount > 1.4 * counted.total.state_sd / counted.total.amount
    assert whole.read == pytest.approx(12 / whole.streets)
    assert "vehicles.estimated" in {one.code for one in whole.problems}
    rows = {row.id: row.amount for row in whole.rows}
    assert {row.id: row.amount for row in counted.rows} == pytest.approx(
        {name: rows[name] for name in COUNTED}
    )
    with Ledger.open(made.store, read_only=True) as ledger, ledger.snapshot() as now:
        quality = now.values(["estimate/traffic:city_co2"], START, START.replace(hour=1))[
            "quality"
        ].to_pylist()
    assert quality == [7]


def test_a_whole_network_needs_one(park):
    with pytest.raises(DataQualityError, match="network"):
        traffic_state.traffic(park, *HOUR, whole=True)


@pytest.mark.parametrize(
    ("step", "code"),
    [("7min", "vehicles.odd_step"), ("2min", "vehicles.odd_step"), ("1d", "vehicles.odd_step")],
)
def test_a_step_that_does_not_fit_five_minutes_is_refused(tmp_path, step, code):
    error = refused(tmp_path / "city", FLOWS.replace("5min,sum", f"{step},sum", 1))
    assert [one.code for one in error.problems] == [code]


def test_a_unit_that_is_no_speed_is_refused(tmp_path):
    error = refused(tmp_path / "city", FLOWS.replace("speed,km/h", "speed,km", 1))
    assert [one.code for one in error.problems] == ["vehicles.unit"]
    assert "km/h" in error.text("vi")


def test_an_hourly_count_reaches_into_a_period_that_begins_inside_its_hour(tmp_path):
    flows = FLOWS.replace("vehicles:motorbike,vehicle,5min", "vehicles:motorbike,vehicle,1h", 1)
    made = city(tmp_path / "city", flows)
    fill(made, {name: value for name, value in USUAL.items() if name != "main_moto"})
    fill(made, {"main_moto": 1440.0}, step=3600)
    found = traffic_state.state(made, "2026-06-03T07:30", "2026-06-03T08:00")
    assert found.flow[:, found.streets.ids.index("main"), 0] == pytest.approx([120.0] * 6)


def test_counts_per_hour_of_a_mean_and_meters_per_second_are_converted(tmp_path):
    flows = FLOWS.replace(
        "vehicles:motorbike,vehicle,5min,sum", "vehicles:motorbike,vehicle/h,5min,mean", 1
    ).replace("speed,km/h", "speed,m/s", 1)
    made = city(tmp_path / "city", flows + RESULTS)
    fill(made, USUAL | {"main_moto": 1440.0, "main_speed": 5.0})
    assert {row.id: row.amount for row in traffic_state.traffic(made, *HOUR).rows} == pytest.approx(by_hand())


def test_counts_that_no_street_bears_are_left_out_and_do_not_overflow(tmp_path):
    made = city(tmp_path / "city")
    fill(made, USUAL | {"main_moto": [1e300, 20_001.0] + [120.0] * 10})
    found = traffic_state.traffic(made, *HOUR)
    assert np.isfinite(found.total.high)
    said = {one.code: one for one in found.problems}
    assert said["vehicles.values_below_zero"].data["count"] == 2
    assert said["vehicles.missing"].data["count"] == 2


def test_a_clock_that_runs_early_or_late_still_counts_for_its_interval(tmp_path):
    flows = FLOWS.replace("vehicles:motorbike,vehicle,5min", "vehicles:motorbike,vehicle,1min", 1)
    made = city(tmp_path / "city", flows)
    fill(made, {name: value for name, value in USUAL.items() if name != "main_moto"})
    shaken = [
        ("main_moto", START + timedelta(minutes=n, seconds=(-4, 0, 20)[n % 3]), 24.0) for n in range(60)
    ]
    with Ledger.open(made.store) as ledger:
        ledger.append(values(shaken), Origin("test", "shaken"))
    found = traffic_state.state(made, *HOUR)
    assert found.flow[:, found.streets.ids.index("main"), 0] == pytest.approx([120.0] * CELLS)


def test_more_values_than_fit_count_as_their_mean_and_it_is_said(tmp_path):
    made = city(tmp_path / "city")
    fill(made, USUAL)
    twice = [("main_moto", START + timedelta(minutes=5 * n + 2), 130.0) for n in range(CELLS)]
    with Ledger.open(made.store) as ledger:
        ledger.append(values(twice), Origin("test", "twice"))
    found = traffic_state.state(made, *HOUR)
    assert found.flow[:, found.streets.ids.index("main"), 0] == pytest.approx([125.0] * CELLS)
    assert "vehicles.crowded" in {one.code for one in found.problems}


@pytest.mark.parametrize("text", ["", "<net>", "not a network", "<net></net>"])
def test_a_network_file_that_is_none_is_refused_by_name(tmp_path, text):
    folder = tmp_path / "city"
    folder.mkdir()
    (folder / "small.net.xml").write_text(text)
    error = refused(folder, more="traffic:\n  network: small.net.xml\n")
    assert "small.net.xml" in error.text("en") or "main" in error.text("en")
    assert error.text("vi") != error.text("en")
