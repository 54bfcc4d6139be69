"""Tables and figures of a sizing: they say what the result says, in both languages."""

from xml.etree import ElementTree as ET

import pytest
from tests.plan.worlds import factory, with_hydrogen

from mangrove.plan.problem import Limits
from mangrove.plan.report_model import (
    Unit,
    balance_figure,
    cash_figure,
    frontier_figure,
    frontier_table,
    sensitivity_figure,
    sensitivity_table,
    sizes,
    tables,
)
from mangrove.plan.size import size
from mangrove.plan.study import frontier, priced, sensitivity

BILLION = Unit("tỷ đồng", 1e9)


@pytest.fixture(scope="module")
def found():
    return size(factory(days=28, limits=Limits(area=12000.0)), days=4)


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_every_table_is_rectangular_and_named(found, lang):
    shown = tables(found, lang, BILLION)
    assert len(shown) >= 5
    for table in shown:
        assert table.title
        assert "plan." not in table.title
        assert all("plan." not in head for head in table.columns)
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_the_table_of_sizes_shows_the_preview_the_plan_and_the_difference(found):
    table = sizes(found, "en")
    roof = next(row for row in table.rows if row[0] == "roof")
    assert roof[2] == found.preview.sizes["roof"]
    assert roof[3] == found.sizes["roof"]
    assert roof[4] == pytest.approx((roof[2] / roof[3] - 1) * 100)
    assert "typical days" in table.notes[0]


def test_the_cash_flow_table_adds_up_to_the_value(found):
    table = tables(found, "en", BILLION)[-1]
    assert table.columns[0] == "year"
    assert table.rows[-1][-1] == pytest.approx(found.npv / 1e9, rel=1e-6)


def test_figures_are_sound_in_both_languages(found):
    points = frontier(found.case, 3, days=4)
    outcomes = sensitivity(found.case, [priced(found.case, "grid", 1.2)], days=4)
    for lang in ("en", "vi"):
        drawn = [
            frontier_figure(points, found, lang=lang, unit=BILLION),
            sensitivity_figure(outcomes, lang=lang, unit=BILLION),
            cash_figure(found, lang=lang, unit=BILLION),
            balance_figure(found, lang=lang),
            balance_figure(found, lang=lang, which="before"),
        ]
        for text in drawn:
            assert ET.fromstring(text).get("role") == "img"
            assert "plan." not in text
    assert frontier_figure(points, found, lang="en", unit=BILLION).count("<circle") == 5


def test_tables_of_studies_have_a_row_each(found):
    points = frontier(found.case, 3, days=4)
    outcomes = sensitivity(found.case, [priced(found.case, "grid", 1.2)], days=4)
    assert [row[0] for row in frontier_table(points, "en").rows] == [point.emissions for point in points]
    rows = sensitivity_table(outcomes, "en").rows
    assert rows[1][0] == "price of grid +20 %"
    assert rows[1][1] == 1.2


def test_a_case_with_hydrogen_shows_only_electricity_in_the_electric_balance():
    shown = balance_figure(size(with_hydrogen(days=14), days=None), lang="en")
    assert "truck" not in shown
