"""Days off: announced ones from the table, others from the law and the moon."""

from datetime import date

import pytest

from mangrove.rules import holidays, lunar


@pytest.mark.parametrize(
    "written",
    ["1968-01-29", "1985-01-21", "2007-02-17", "2019-02-05", "2020-01-25", "2021-02-12", "2022-02-01", "2023-01-22", "2026-02-17", "2030-02-02"],
)  # fmt: skip
def test_the_lunar_year_begins_on_its_known_day_also_where_it_differs_from_that_of_beijing(written):
    day = date.fromisoformat(written)
    assert lunar.new_year(day.year) == day


@pytest.mark.parametrize("written", ["2018-04-25", "2020-04-02", "2023-04-29", "2024-04-18", "2025-04-07"])
def test_the_day_of_the_hung_kings_counts_leap_months_right(written):
    day = date.fromisoformat(written)
    assert lunar.hung_kings(day.year) == day


@pytest.mark.parametrize("year", holidays.years())
def test_what_the_law_fixes_is_among_what_was_announced(year):
    assert holidays.by_law(year) <= holidays.of(year)


def test_every_lunar_year_begins_between_20_january_and_21_february():
    for year in range(1950, 2100):
        day = lunar.new_year(year)
        assert date(year, 1, 20) <= day <= date(year, 2, 21)
        assert lunar.new_year(year + 1) - day in (
            lunar.timedelta(days=d) for d in (353, 354, 355, 383, 384, 385)
        )


def test_years_that_were_not_announced_have_nine_days():
    assert holidays.of(2026) == frozenset()
    assert len([day for day in holidays.days("Asia/Ho_Chi_Minh") if day.year == 2026]) == 9
