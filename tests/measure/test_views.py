"""The same measurement in every view: parts add up to the total, whatever the columns and the time step."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mangrove as mg
from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.measure.question import FLOW_COLUMNS
from mangrove.testing import assert_same_rows, steady, three_ward_city, two_factory_park, values

# Việt Nam is 7 hours ahead of UTC: the local year 2023 starts at 17:00 UTC on 31 December 2022.
NEW_YEAR_2023 = datetime(2022, 12, 31, 17, tzinfo=UTC)
GRID_2022, GRID_2023 = 0.6766, 0.6592  # t CO2/MWh, 327/BDKH-PTCBT and 1726/BDKH-PTCBT
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def fill(folder, rows, seq="1"):
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(values(rows), Origin("test", seq))
        ledger.seal()


@pytest.fixture
def park(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    rows = [
        *steady("mill.power", NEW_YEAR_2023 - 2 * DAY, HOUR, 24 * 4, 1000.0),
        *steady("shop.power", NEW_YEAR_2023, HOUR, 24 * 31, 10.0),
        *steady("mill.coal", NEW_YEAR_2023, DAY, 10, 2.0),
        ("shop.diesel", NEW_YEAR_2023, 310.0),
    ]
    fill(folder, rows)
    return mg.open(folder)


def rows_of(result):
    return result.to_arrow().to_pylist()


def test_electricity_takes_the_factor_of_each_local_year(park):
    rows = rows_of(mg.measure(park, "2022-12-30", "2023-01-03", by=["flow", "gas"], every="1d", gwp="AR5"))
    power = [row["kg"] for row in rows if row["flow"] == "mill.power" and row["gas"] == "CO2"]
    assert power == pytest.approx(
        [24_000 * GRID_2022, 24_000 * GRID_2022, 24_000 * GRID_2023, 24_000 * GRID_2023]
    )


def test_a_monthly_value_spreads_evenly_over_its_month(park):
    month = mg.measure(park, "2023-01", by=["flow", "gas"])
    day = mg.measure(park, "2023-01-10", by=["flow", "gas"])
    whole = {(r["flow"], r["gas"]): r["kg"] for r in rows_of(month)}
    part = {(r["flow"], r["gas"]): r["kg"] for r in rows_of(day)}
    assert part["shop.diesel", "CO2"] == pytest.approx(whole["shop.diesel", "CO2"] / 31)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    by=st.lists(st.sampled_from([*FLOW_COLUMNS, "gas", "account", "facility"]), unique=True, max_size=4),
    every=st.sampled_from([None, "15min", "1h", "3h", "1d", "1w", "1mo", "1y"]),
)
def test_parts_add_up_to_the_total_under_every_view(park, by, every):
    result = mg.measure(park, "2022-12-30", "2023-02-01", by=by, every=every, store=False)
    total = mg.measure(park, "2022-12-30", "2023-02-01", store=False).total()["co2e_kg"]
    assert sum(row["co2e_kg"] for row in rows_of(result)) == pytest.approx(total, rel=1e-12)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.sampled_from(["rollup", "raw", "naive"]), every=st.sampled_from(["1h", "1d"]))
def test_all_reading_plans_agree(park, plan, every):
    result = mg.measure(park, "2022-12-30", "2023-02-01", by=["flow"], every=every, store=False)
    expected = result.table(by=["flow"], every=every)
    result._reading_plan = plan
    again = result.table(by=["flow"], every=every)
    assert again.column("flow").to_pylist() == expected.column("flow").to_pylist()
    assert again.column("co2e_kg").to_pylist() == pytest.approx(
        expected.column("co2e_kg").to_pylist(), rel=1e-12
    )


def test_two_meters_on_one_grid_factor_are_correlated(park):
    """Independent intervals would be narrower than the one that shares the grid factor's error."""
    by_flow = rows_of(mg.measure(park, "2023-01-01", "2023-01-03", by=["flow"]))
    power = [r for r in by_flow if r["flow"].endswith(".power")]
    total = rows_of(mg.measure(park, "2023-01-01", "2023-01-03", by=["scope"]))
    scope2 = next(r for r in total if r["scope"] == "2")
    width = scope2["co2e_high"] - scope2["co2e_kg"]
    independent = sum((r["co2e_high"] - r["co2e_kg"]) ** 2 for r in power) ** 0.5
    together = sum(r["co2e_high"] - r["co2e_kg"] for r in power)
    assert independent <= width <= together + 1e-9


def test_adding_gases_needs_a_named_gwp_set(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    text = (folder / "territory.yaml").read_text(encoding="utf-8").replace("gwp: AR5\n", "")
    (folder / "territory.yaml").write_text(text, encoding="utf-8")
    fill(folder, steady("mill.power", NEW_YEAR_2023, HOUR, 24, 1.0))
    park = mg.open(folder)
    with pytest.raises(RequestError) as caught:
        mg.measure(park, "2023")
    assert caught.value.code == "measure.gwp_not_named"
    assert "co2e_kg" not in mg.measure(park, "2023", by=["gas"]).to_arrow().column_names


def test_a_year_without_an_official_factor_is_a_gap_not_a_number(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    fill(folder, steady("mill.power", datetime(2024, 5, 1, tzinfo=UTC), HOUR, 24, 1.0))
    result = mg.measure(mg.open(folder), "2024-05")
    assert rows_of(result) == []
    assert any(problem.data.get("flow") == "mill.power" for problem in result.problems)
    allowed = mg.measure(mg.open(folder), "2024-05", allow=["unofficial"], by=["flow"])
    assert rows_of(allowed)[0]["co2e_kg"] == pytest.approx(24 * 0.6811)


def test_missing_hours_show_in_the_coverage_and_as_a_problem(park):
    result = mg.measure(park, "2023-01", by=["flow"])
    coverage = {r["flow"]: r["coverage"] for r in rows_of(result)}
    assert coverage["shop.power"] == pytest.approx(1.0)
    assert coverage["mill.power"] == pytest.approx(2 / 31)
    assert coverage["mill.coal"] == pytest.approx(10 / 31)
    assert ("measure.incomplete", "mill.power") in {(p.code, p.data.get("flow")) for p in result.problems}


def test_a_correction_changes_the_present_but_not_what_was_known(park):
    before = mg.measure(park, "2023-01", by=["flow"])
    with Ledger.open(park.store) as ledger:
        moment = ledger.batches().column("recorded_at").to_pylist()[-1]
    fill(park.territory.path, [("shop.power", NEW_YEAR_2023, 110.0)], seq="2")
    now = mg.measure(park, "2023-01", by=["flow"])
    then = mg.measure(park, "2023-01", by=["flow"], as_of=moment)
    amount = {r["flow"]: r["co2e_kg"] for r in rows_of(now)}["shop.power"] - {
        r["flow"]: r["co2e_kg"] for r in rows_of(before)
    }["shop.power"]
    assert amount == pytest.approx(100 * GRID_2023)
    assert_same_rows(then.to_arrow(), before.to_arrow())


def test_a_city_is_reported_in_its_borders_before_and_after_the_merger(tmp_path):
    folder = three_ward_city(tmp_path / "city")
    fill(
        folder,
        [("homes.power", NEW_YEAR_2023, 600.0), *steady("market.power", NEW_YEAR_2023, HOUR, 24, 100.0)],
    )
    city = mg.open(folder)
    new = {
        r["ward"]: r["co2e_kg"] for r in rows_of(mg.measure(city, "2023", by=["ward"], borders="2025-07-01"))
    }
    assert new["hoa"] == pytest.approx(600e3 * GRID_2023 / 6 + 2400 * GRID_2023)
    assert new["thuy"] == pytest.approx(600e3 * GRID_2023 / 3)
    assert new["dong"] == pytest.approx(600e3 * GRID_2023 / 2)
    old = {
        r["ward"]: r["co2e_kg"] for r in rows_of(mg.measure(city, "2023", by=["ward"], borders="2025-06-30"))
    }
    assert old["old1"] >= 2400 * GRID_2023 - 1e-6
    assert sum(old.values()) == pytest.approx(sum(new.values()))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"by": ["plase"]}, "measure.unknown_column"),
        ({"accounts": ["inventori"]}, "measure.unknown_account"),
        ({"accounts": []}, "measure.no_account"),
        ({"view": "marked"}, "measure.unknown_view"),
        ({"every": "7min"}, "measure.step_does_not_fit"),
        ({"every": "1s"}, "measure.too_many_steps"),
        ({"every": "soon"}, "base.not_a_step"),
        ({"borders": "31/12/2025"}, "base.not_a_period"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_a_hint(park, arguments, code):
    with pytest.raises(RequestError) as caught:
        mg.measure(park, "2023", **arguments)
    assert caught.value.code == code
    assert caught.value.text("vi") != caught.value.text("en")
