# SPDX-License-Identifier: Apache-2.0
"""Tables on stdout: CSV and JSON lose nothing, text for people is aligned, rounded and in their language."""

import csv
import io
import json
import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove import messages, printing, printing_energy, rules
from mangrove.measure.record import Change
from mangrove.operate.account import Account, Month
from mangrove.operate.backtest import Backtest
from mangrove.operate.devices import Setpoint
from mangrove.operate.run import Schedule
from mangrove.territory.model import Asset

START = datetime(2022, 12, 31, 17, tzinfo=UTC)
numbers = st.floats(allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


def table(rows: int = 2, **columns) -> pa.Table:
    return pa.table(
        columns or {"place": ["mill"] * rows, "co2e_kg": [1234567.8] * rows, "coverage": [0.5] * rows}
    )


def change(**more) -> Change:
    facts = {
        "flow": "mill",
        "gas": "CO2",
        "before": 1000.0,
        "after": 3000.0,
        "activity": 2000.0,
        "factor": 0.0,
        "gwp": 0.0,
    }
    return Change(**{**facts, "rules_before": (), "rules_after": (), **more})


@settings(deadline=None)
@given(st.lists(st.tuples(texts, numbers), min_size=1, max_size=20))
def test_csv_and_json_give_back_every_text_and_every_digit(rows):
    made = table(
        place=pa.array([text for text, _ in rows], pa.string()),
        co2e_kg=pa.array([n for _, n in rows], pa.float64()),
    )
    read = list(csv.DictReader(io.StringIO(printing.as_csv(made))))
    data = json.loads(printing.as_json(made), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    for (text, value), from_csv, from_json in zip(rows, read, data, strict=True):
        assert from_csv["place"] == from_json["place"] == text
        assert (from_json["co2e_kg"], from_csv["co2e_kg"]) == (
            (None, "") if math.isnan(value) else (value, str(value))
        )


def test_instants_are_iso_8601_in_utc():
    made = table(start=pa.array([START], pa.timestamp("us", "UTC")), co2e_kg=[1.0])
    assert printing.as_csv(made) == "start,co2e_kg\n2022-12-31T17:00:00+00:00,1.0\n"
    assert json.loads(printing.as_json(made)) == [{"start": "2022-12-31T17:00:00+00:00", "co2e_kg": 1.0}]


def test_an_empty_table_is_a_header_an_empty_list_and_a_sentence():
    empty = table(place=pa.array([], pa.string()), co2e_kg=pa.array([], pa.float64()))
    assert printing.as_csv(empty) == "place,co2e_kg\n"
    assert printing.as_json(empty) == "[]\n"
    assert printing.as_text(empty, "en").startswith("no rows")
    assert printing.as_text(empty, "vi").startswith("không có dòng nào")


def test_parquet_keeps_the_table(tmp_path):
    made = table(start=pa.array([START], pa.timestamp("us", "UTC")), co2e_kg=[math.pi])
    printing.write_parquet(made, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(made)


def test_masses_are_tonnes_and_coverage_is_a_percentage():
    assert printing.as_text(table(1), "en").splitlines()[2].split() == ["mill", "1,230", "50.0", "%"]
    assert printing.as_text(table(1), "vi").splitlines()[2].split() == ["mill", "1.230", "50,0", "%"]


def test_what_is_not_known_is_a_dash_and_not_a_number():
    made = table(place=["mill"], co2e_kg=[1.0], co2e_low=[math.nan], coverage=pa.array([None], pa.float64()))
    assert printing.as_text(made, "en").splitlines()[2].split() == ["mill", "0.001", "-", "-"]


def test_times_are_shown_where_the_territory_lies():
    made = table(start=pa.array([START], pa.timestamp("us", "UTC")), co2e_kg=[1.0])
    assert "2023-01-01 00:00" in printing.as_text(made, "en", ZoneInfo("Asia/Ho_Chi_Minh"))
    assert "2022-12-31 17:00" in printing.as_text(made, "en")


def test_a_long_table_is_cut_and_the_rest_counted():
    lines = printing.as_text(table(100), "en").splitlines()
    assert len(lines) == 2 + 40 + 1
    assert lines[-1].endswith("+60")
    assert "+" not in printing.as_text(table(40), "en").splitlines()[-1]


@settings(deadline=None)
@given(st.lists(st.lists(st.text("abc đ", max_size=9), min_size=3, max_size=3), min_size=1, max_size=9))
def test_columns_stand_under_each_other(body):
    header, rule, *lines = printing.grid(["a", "bb", "ccc"], body, left={0})
    edges = [len(part) for part in rule.split("  ")]
    assert len(lines) == len(body)
    for line, row in zip([header, *lines], [["a", "bb", "ccc"], *body], strict=True):
        padded = line.ljust(len(rule))
        assert padded[: edges[0]] == row[0].ljust(edges[0])
        assert padded[edges[0] + 2 :][: edges[1]] == row[1].rjust(edges[1])


def test_a_difference_lists_what_moved_and_its_sum():
    changes = [
        change(),
        change(flow="shop", before=5.0, after=5.0, activity=0.0),
        change(flow="x", gas="CH4", after=500.0, activity=-500.0),
    ]
    text = printing.changes_text(changes, "en")
    assert "shop" not in text
    assert text.splitlines()[-1] == "2 flows changed by 1.5 t CO2e in total"
    assert "1,5 tấn CO2tđ" in printing.changes_text(changes, "vi").splitlines()[-1]
    assert printing.changes_text(changes[1:2], "en") == "no change"
    assert printing.changes_text([], "vi") == "không có thay đổi"


def test_records_are_one_line_each():
    question = {
        "start": "2022-12-31T17:00:00+00:00",
        "end": "2023-12-31T17:00:00+00:00",
        "by": ["flow", "gas"],
        "every": None,
        "gwp": None,
    }
    text = printing.records_text([("abcdef0123456789", START, question)], "en")
    assert text.splitlines()[2].startswith("abcdef012345 ")
    assert "flow,gas" in text
    assert printing.records_text([], "vi") == "không tìm thấy gì"


def test_factors_are_found_with_sources_and_conflicts_in_both_languages():
    book = rules.load()
    found = book.find("than antraxit", limit=3)
    english, vietnamese = (printing.matches_text(found, lang) for lang in ("en", "vi"))
    assert "anthracite" in english.casefold()
    assert "antraxit" in vietnamese.casefold()
    assert all(f"[{row.id}]" in english for match in found for row in match.rows)
    grid = printing.matches_text(book.find("grid/vn", limit=1), "en")
    assert "0.6592" in grid
    assert "sources differ" in grid
    assert printing.matches_text([], "vi") == printing.conflicts_text([], "vi") == "không tìm thấy gì"


def test_every_conflict_shows_at_least_two_values():
    for block in printing.conflicts_text(rules.load().conflicts("grid/vn"), "en").split("\n\n"):
        values = [line.split()[0] for line in block.splitlines() if line.startswith("  ")]
        assert len(set(values)) > 1


def test_implausible_factors_are_named_first():
    lines = printing.volumetric_text(rules.load().volumetric_checks(), "en").splitlines()
    verdicts = [line.startswith("NOT PLAUSIBLE") for line in lines]
    assert verdicts == sorted(verdicts, reverse=True)
    assert (
        printing.volumetric_text(rules.load().volumetric_checks(), "vi")
        .splitlines()[0]
        .startswith("KHÔNG HỢP LÝ")
    )


# --- energy ------------------------------------------------------------------------------------------------------------


class Viet:
    """As much of a territory as the tables of a back-test ask for."""

    currency = "VND"


def account(name: str, bills: float, **more) -> Account:
    facts = {
        "wear": 0.0,
        "owed": 0.0,
        "carbon": 0.0,
        "emissions": 2500.0,
        "lines": {},
        "overload": 0.0,
        "missing": 1e-9,
    }
    month = Month("2023-06", bills, 4000.0, 0.0, 0.0, 50.0, None)
    run = {"steps": 96, "takeovers": {}, "planning": (0.0016, 0.0421), "months": (month,)}
    return Account(**{"name": name, "bills": bills, **facts, **run, **more})


def past(complete: bool = True, **accounts: Account) -> Backtest:
    return Backtest(accounts, {}, complete)


def test_a_back_test_shows_money_in_whole_units_and_energy_in_three_digits():
    done = past(plan=account("plan", 6232186.9), perfect=account("perfect", 6232000.2))
    rows = printing_energy.backtest_text(done, "en", Viet).splitlines()
    assert rows[2].split()[-6:] == ["6,232,187", "187", "0", "4", "2.5", "0"]
    assert rows[3].split()[-6:] == ["6,232,000", "0", "0", "4", "2.5", "0"]
    assert rows[4] == "96 plans; planning took 1.6 ms at the median, 42.1 ms at most"
    assert "6.232.187" in printing_energy.backtest_text(done, "vi", Viet)


def test_a_back_test_says_what_was_not_as_it_should_be():
    plan = account("plan", 10.0, emissions=None, overload=12.34, takeovers={"operate.safe_late": 3})
    text = printing_energy.backtest_text(past(complete=False, plan=plan), "en", Viet)
    assert text.splitlines()[2].split()[-2] == "-", "without a factor there are no emissions, and not zero"
    assert "12.3 kWh above the limit of the connection" in text
    assert "3 steps: operate.safe_late" in text
    assert text.endswith(messages.render("energy_cli.incomplete", "en"))


def test_a_back_test_is_json_with_every_cause_of_cost_and_without_not_a_number():
    month = Month("2023-06", 1.0, 2.0, 0.0, 0.0, math.nan, None)
    done = past(plan=account("plan", 6.0, months=(month,)), perfect=account("perfect", 4.0))
    (site,) = json.loads(printing_energy.backtests_json({"mill": done}))
    assert (site["place"], site["complete"]) == ("mill", True)
    plan = site["policies"]["plan"]
    assert plan["cost"] == sum(plan[part] for part in ("bills", "fuel", "wear", "owed", "carbon")) == 6.0
    assert plan["regret"] == 2.0
    assert plan["months"] == [
        {"month": "2023-06", "cost": 1.0, "imported": 2.0, "exported": 0.0, "generated": 0.0, "peak": None, "emissions": None}
    ]  # fmt: skip


def test_progress_is_told_every_tenth_and_once():
    told: list[str] = []
    tell = printing_energy.progress(told.append, "en")
    for step in range(101):
        tell("plan", step, 100)
    assert told == [f"rolling plan: {share} %" for share in range(0, 101, 10)]
    tell("perfect", 100, 100)
    assert told[-1] == "perfect foresight: 100 %"


class Site:
    """As much of a territory as the table of a schedule asks for."""

    currency, tz = "VND", ZoneInfo("Asia/Ho_Chi_Minh")
    places = {"works": type("Place", (), {"name": "Nhà máy"})}  # noqa: RUF012 - read only
    assets = {  # noqa: RUF012 - read only
        "battery": Asset("battery", "works", "battery"),
        "swaps": Asset("swaps", "works", "swap_station"),
        "steam": Asset("steam", "works", "boiler"),
    }


def schedule(powers: dict[str, float], by: str = "safe") -> Schedule:
    points = tuple(Setpoint(device, power, START, START) for device, power in powers.items())
    return Schedule("works", np.datetime64("2023-06-28T05:00", "s"), by, "", points, (), {}, None, ())


def test_a_schedule_shows_each_device_and_its_direction_at_local_time():
    lines = printing_energy.schedules_text(
        [schedule({"battery": -80.0, "swaps": 4e-8, "steam": 12.0})], "vi", Site
    ).splitlines()
    assert lines[0] == "Nhà máy, 2023-06-28 12:00: quy tắc an toàn đang điều khiển"
    assert [line.split() for line in lines[3:]] == [
        ["battery", "−80", "phát"],
        ["swaps", "0", "nạp"],
        ["steam", "12"],
    ], "a boiler neither charges nor gives"


def test_of_many_devices_those_that_rest_are_counted():
    many = {f"van {i}": 7.0 * (i < 2) for i in range(30)}
    lines = printing_energy.schedules_text([schedule(many)], "en", Site).splitlines()
    assert lines[-1] == "devices that rest: 28"
    assert len(lines) == 1 + 2 + 2 + 1
    idle = printing_energy.schedules_text([schedule(dict.fromkeys(many, 0.0))], "en", Site).splitlines()
    assert idle[1:] == ["devices that rest: 30"]


def test_the_same_schedule_in_json_has_every_device():
    (data,) = json.loads(printing_energy.schedules_json([schedule({"battery": -80.0, "van": 0.0})]))
    assert [point["kw"] for point in data["setpoints"]] == [-80.0, 0.0]
    assert (data["place"], data["by"], data["flows"]) == ("works", "safe", {})
