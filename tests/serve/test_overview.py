# SPDX-License-Identifier: Apache-2.0
"""The overview says what the measurement says: its parts add up to its total, whatever the territory holds or lacks."""

import csv
import math
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from tests.doors import EXAMPLES, GRID, HOURS, MILL, SHOP, Page, mangrove, measured_park

from mangrove import api, testing
from mangrove.ledger import Origin, Quality
from mangrove.measure.result import Emissions
from mangrove.serve import ReportModel, overview
from mangrove.serve.overview import Overview
from mangrove.territory import write_boundaries

START = datetime(2022, 12, 31, 17, tzinfo=UTC)
"""The first instant of 2023 in Viet Nam."""
_numbers = count()


def fill(folder: Path, *rows: tuple[str, datetime, float], quality: int = 0) -> Path:
    """Puts values into the ledger of a territory; without values the ledger is made and stays empty."""
    with api.open(folder).writer() as ledger:
        if rows:
            ledger.append(testing.values(rows, quality), Origin("test", str(next(_numbers))))
    return folder


def model_of(folder: Path, period: str = "2023", **options: object) -> tuple[ReportModel, Emissions]:
    result = api.measure(api.open(folder), period, **options)
    return Overview(result, "en").model(), result


def printed(result, tmp_path: Path) -> dict[str, Page]:
    """The pages in both languages; each stands alone."""
    pages = {
        lang: Page(overview.write(result, tmp_path / f"{lang}.html", lang=lang)) for lang in ("en", "vi")
    }
    assert all(page.stands_alone() for page in pages.values())
    assert not any(
        " nan" in page.text.casefold() or " inf " in page.text.casefold() for page in pages.values()
    )
    return pages


def adds_up(model: ReportModel) -> None:
    """Every split of the total has the total as its sum."""
    total = model.total.value or 0.0
    near = pytest.approx(total, rel=1e-9, abs=1e-9)
    splits = (
        [model.scopes, model.sectors, model.places]
        if model.place_count == len(model.places)
        else [model.scopes, model.sectors]
    )
    for rows in splits:
        assert math.fsum(row.amount.value for row in rows) == near
    assert math.fsum(row.co2e.value for row in model.gases) == near
    assert [row.amount.value for row in model.places] == sorted(
        (row.amount.value for row in model.places), reverse=True
    )
    if model.gases:
        assert math.fsum(row.mass * row.gwp for row in model.gases) == near
    shares = [one.share for one in model.conditions if one.share is not None]
    assert not shares or math.fsum(shares) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares)


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return measured_park(tmp_path_factory.mktemp("overview"))


@pytest.fixture(scope="module")
def year(park):
    return model_of(park)


def test_the_parts_of_the_park_are_its_total(year):
    model, result = year
    adds_up(model)
    assert model.total.value == pytest.approx(result.total()["co2e_kg"] / 1000)
    assert (model.total.low, model.total.high) == tuple(
        pytest.approx(result.total()[f"co2e_{end}"] / 1000) for end in ("low", "high")
    )
    assert (model.start, model.end, model.gwp, model.kind) == (
        date(2023, 1, 1),
        date(2024, 1, 1),
        "AR5",
        "park",
    )


def test_electricity_is_scope_two_by_hand(year):
    model, _ = year
    scopes = {row.label: row.amount.value for row in model.scopes}
    assert scopes["report.scope_2"] == pytest.approx(HOURS * (MILL + SHOP) * GRID / 1000)
    assert scopes["report.scope_1"] == pytest.approx(model.total.value - scopes["report.scope_2"])


def test_figures_carry_the_numbers_of_the_tables(year):
    model, _ = year
    sectors = {row.label: row.amount.value for row in model.sectors}
    assert {bar.label: bar.value for bar in model.uncertainty} == pytest.approx(sectors)
    assert all(bar.low < bar.value < bar.high for bar in model.uncertainty)
    links = model.sankey.links
    into, out = (
        {name: math.fsum(link.value for link in links if getattr(link, end) == name) for name in sectors}
        for end in ("target", "source")
    )
    assert into == pytest.approx(sectors)
    assert out == pytest.approx(sectors)
    months = {name: math.fsum(values) for name, values in model.months.series.items()}
    assert months == pytest.approx(sectors)
    assert model.months.periods == [f"{month:02}/2023" for month in range(1, 13)]
    matrix = np.asarray(model.carpet.matrix)
    assert matrix.shape == (24, 365)
    assert np.nansum(matrix) == pytest.approx(model.total.value)
    assert not np.isnan(matrix).any()


def test_a_complete_year_has_no_gap(year):
    model, _ = year
    assert [row for row in model.gaps if row.problem.code == "measure.incomplete"] == []
    assert all(row.coverage == 1 for row in model.places)
    assert all(set(row.shares) == {1.0} for row in model.coverage.rows)
    assert model.excluded == []


def test_the_proof_names_every_factor_and_commands_that_work(park, year):
    model, result = year
    assert {use.factor.id for use in model.factors} >= {"DCC:grid:2023"}
    assert {use.factor.id: use.co2e for use in model.factors}["DCC:grid:2023"] == pytest.approx(
        HOURS * (MILL + SHOP) * GRID / 1000
    )
    assert result.record in {one.value for one in model.identities}
    for command in model.commands:
        assert mangrove(*command.line.split()[1:]).code == 0


def test_the_page_is_written_in_both_languages(park, year, tmp_path):
    _, result = year
    pages = printed(result, tmp_path)
    assert "Nhà máy thép" in pages["en"].text
    assert pages["en"].text != pages["vi"].text


def test_a_territory_without_any_value_says_so_and_shows_no_number(tmp_path):
    for name, make in (("park", testing.two_factory_park), ("city", testing.three_ward_city)):
        model, result = model_of(fill(make(tmp_path / name)))
        adds_up(model)
        assert (model.total.value, model.total.low, model.total.high) == (None, None, None), (
            "a gap and not zero"
        )
        assert (model.map is None or not model.map.values, model.sankey, model.months) == (True, None, None)
        assert (model.scopes, model.sectors, model.places, model.gases) == ([], [], [], [])
        assert {row.problem.code for row in model.gaps} >= {"measure.no_values"}
        assert len([row for row in model.gaps if row.problem.code == "measure.no_values"]) == len(
            result.plan.flows
        )
        pages = printed(result, tmp_path)
        assert "không có giá trị" in pages["vi"].text
        assert not re.search(r"Total emissions of the inventory\W+0", pages["en"].text)


def test_values_that_are_not_counted_are_no_emissions_and_are_listed(tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    hour = timedelta(hours=1)
    fill(folder, *testing.steady("mill.power", START, hour, 48, 9.0), quality=Quality.STUCK)
    fill(folder, *testing.steady("shop.power", START, hour, 24, 9.0), quality=Quality.SPIKE)
    model, result = model_of(folder)
    adds_up(model)
    assert model.total.value is None
    assert {(row.quality, row.values, row.flows) for row in model.excluded} == {
        (Quality.STUCK, 48, 1),
        (Quality.SPIKE, 24, 1),
    }
    printed(result, tmp_path)


def test_a_hole_in_one_flow_is_shown_with_its_days_hours_and_tonnes(tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    hour = timedelta(hours=1)
    rows = testing.steady("mill.power", START, hour, HOURS, 10.0)
    hole = slice(24 * 31 + 6, 24 * 33)  # from 06:00 on 1 February to the end of 2 February
    fill(folder, *(rows[: hole.start] + rows[hole.stop :]))
    model, result = model_of(folder)
    adds_up(model)
    (gap,) = [row for row in model.gaps if row.problem.code == "measure.incomplete"]
    assert (gap.where, gap.start, gap.end) == ("Điện lò hồ quang", date(2023, 2, 1), date(2023, 2, 3))
    assert gap.hours == pytest.approx(42)
    assert gap.touches == pytest.approx(model.total.value)
    assert model.total.value == pytest.approx((HOURS - 42) * 10 * GRID / 1000)
    row = next(row for row in model.coverage.rows if row.label == "Điện lò hồ quang")
    assert list(row.shares)[30:34] == pytest.approx([1, 0.25, 0, 1])
    assert np.isnan(np.asarray(model.carpet.matrix)).sum() == 42
    printed(result, tmp_path)


def test_one_flow_is_enough(tmp_path):
    folder = testing.park_of(
        tmp_path / "park", [{"id": "m", "carrier": "electricity", "unit": "kWh", "scope": "2", "step": "1mo"}]
    )
    fill(folder, ("m", START, 1000.0))
    model, result = model_of(folder)
    adds_up(model)
    assert model.total.value == pytest.approx(GRID)
    assert [row.label for row in model.places] == ["Site"]
    assert model.carpet is None
    printed(result, tmp_path)


@pytest.mark.parametrize("period", ["2023", "2023-01", "2023-01-01", "2023-01-01T07:00"])
def test_a_period_may_be_long_or_short(park, tmp_path, period):
    model, result = model_of(park, period)
    adds_up(model)
    assert model.start == date(2023, 1, 1)
    printed(result, tmp_path)


REPORTED = {
    "carrier": "reported:CO2e",
    "unit": "t",
    "step": "1y",
    "method": "reported",
    "parameters": "gwp=AR5",
}


def test_removals_stand_beside_the_total_and_never_in_it(tmp_path):
    flows = [
        {"id": "boiler", "scope": "1", "sector": "heat", **REPORTED},
        {"id": "forest", "scope": "1", "sector": "land", "account": "removal", **REPORTED},
    ]
    folder = testing.park_of(tmp_path / "park", flows)
    fill(folder, ("boiler", START, 100.0), ("forest", START, -900.0))
    model, result = model_of(folder)
    adds_up(model)
    assert model.total.value == pytest.approx(100)
    assert {row.label: abs(row.amount.value) for row in model.accounts} == {
        "report.account_removal": pytest.approx(900)
    }
    assert all(link.value > 0 for link in model.sankey.links)
    pages = printed(result, tmp_path)
    assert "900" in pages["en"].text


def test_a_sink_in_the_inventory_makes_a_total_below_zero(tmp_path):
    flows = [
        {"id": "boiler", "scope": "1", "sector": "heat", **REPORTED},
        {"id": "forest", "scope": "1", "sector": "land", "basis": "derived", **REPORTED},
    ]
    folder = testing.park_of(tmp_path / "park", flows)
    fill(folder, ("boiler", START, 100.0), ("forest", START, -900.0))
    model, result = model_of(folder)
    adds_up(model)
    assert model.total.value == pytest.approx(-800)
    assert [row.amount.value for row in model.sectors] == [pytest.approx(100), pytest.approx(-900)]
    printed(result, tmp_path)


def test_nothing_is_said_about_accounts_that_were_not_asked_for(park):
    model, result = model_of(park, by=["flow"], accounts=["inventory"])
    assert model.accounts == []
    assert len(result) > 0


def test_a_measurement_that_was_not_kept_offers_no_commands(park, tmp_path):
    model, result = model_of(park, store=False)
    assert model.commands == []
    printed(result, tmp_path)


# --- cities ------------------------------------------------------------------------------------------------------------


def test_a_flow_of_the_whole_city_is_spread_by_people_and_says_so(tmp_path):
    folder = testing.three_ward_city(tmp_path / "city")
    fill(folder, ("homes.power", START, 60_000.0))
    model, result = model_of(folder, borders="2025-12-31")
    adds_up(model)
    assert model.total.value == pytest.approx(60_000 * GRID)
    wards = {row.label: row.amount.value / model.total.value for row in model.places}
    assert wards == pytest.approx(
        {"Phường Hoà Bình": 1 / 6, "Phường Thuỷ Lợi": 2 / 6, "Phường Đống Đa": 3 / 6}
    )
    assert {row.amount.basis for row in model.places} == {"modelled"}
    assert "Phường Đống Đa" in printed(result, tmp_path)["vi"].text


def test_the_same_city_in_its_old_borders_is_split_among_its_old_wards(tmp_path):
    folder = testing.three_ward_city(tmp_path / "city")
    fill(folder, ("homes.power", START, 60_000.0))
    model, _ = model_of(folder)
    adds_up(model)
    wards = {row.label: row.amount.value / model.total.value for row in model.places}
    assert wards == pytest.approx({"Phường 1": 1 / 6, "Phường 2": 5 / 6})


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """The example city with its published inventory."""
    folder = tmp_path_factory.mktemp("city") / "city"
    shutil.copytree(EXAMPLES / "city", folder)
    assert mangrove("ingest", folder, folder / "values" / "inventory_2016.csv", "--no-screen").code == 0
    return folder


def test_the_city_shows_its_published_inventory_by_reference(city, tmp_path):
    model, result = model_of(city, "2016")
    adds_up(model)
    with (city / "values" / "inventory_2016.csv").open(encoding="utf-8") as file:
        published = {
            row["flow"].removeprefix("gpc-"): float(row["value"])
            for row in csv.DictReader(file)
            if row["start"] == "2016-01-01"
        }
    shown = {row.ref: row.co2e for row in model.gpc if row.co2e is not None}
    assert {ref: shown[ref] for ref in published} == pytest.approx(published)
    assert all(row.key or row.reason for row in model.gpc if row.co2e is None)
    assert math.fsum(model.map.values.values()) == pytest.approx(model.total.value)
    assert len(model.map.shapes) == 168
    assert len(model.map.values) == model.place_count, "the wards of the city of 2016 alone have emissions"
    assert 15 < model.place_count < 168
    assert len(model.places) == 15
    assert all(shape.schematic for shape in model.map.shapes)
    assert model.carpet is None
    printed(result, tmp_path)


@pytest.mark.data
def test_the_city_is_drawn_in_its_true_boundaries(city, data_dir, tmp_path):
    schematic, _ = model_of(city, "2016")
    assert (
        write_boundaries(api.open(city).territory, data_dir / "territory/wards_hcmc_post_merger.geojson")
        == []
    )
    model, result = model_of(city, "2016")
    adds_up(model)
    assert not any(shape.schematic for shape in model.map.shapes)
    assert len(model.map.shapes) == 168
    assert dict(model.map.values) == pytest.approx(dict(schematic.map.values))
    printed(result, tmp_path)
