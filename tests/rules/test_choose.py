# SPDX-License-Identifier: Apache-2.0
"""Priority, dates and statuses decide which row holds; nothing is used silently."""

from dataclasses import replace
from datetime import date

import pytest

from mangrove.errors import RuleError
from mangrove.rules import Factor, Source
from mangrove.rules.choose import Question, choose, conflicts_of, differ, spread

DAY = date(2024, 6, 1)
ROW = Factor("QD2626:X", "process/x", "CO2", 2.0, "t CO2/t", "direct", "official", Source("Decision"))


def row(name: str, value: float, **changes) -> Factor:
    return replace(ROW, id=name, value=value, source=Source(name.partition(":")[0]), **changes)


def ask(rows, allow=()):
    return choose(Question("process/x", "CO2", DAY, allow), rows)


def test_the_territory_then_the_decision_then_the_newest_ipcc_guidelines():
    rows = [row("IPCC2006:x", 1), row("IPCC2019:x", 2), row("QD2626:x", 3), row("local:x", 4)]
    order = []
    while rows:
        order.append(ask(rows).chosen.id)
        rows = [r for r in rows if r.id != order[-1]]
    assert order == ["local:x", "QD2626:x", "IPCC2019:x", "IPCC2006:x"]


def test_recalled_and_alternate_rows_wait_until_nothing_official_exists():
    rows = [row("A:x", 1, status="alternate"), row("B:x", 2, status="recalled")]
    assert ask(rows).chosen.id == "B:x"
    assert ask(rows).caution == "rules.caution_recalled"
    assert ask(rows[:1]).caution == "rules.caution_alternate"
    assert ask([*rows, row("C:x", 3)]).chosen.id == "C:x"
    assert ask([*rows, row("C:x", 3)]).caution == ""


def test_an_official_row_of_another_year_keeps_a_third_party_from_filling_the_gap():
    past = row("DCC:x", 1, valid_from=date(2023, 1, 1), valid_to=date(2024, 1, 1))
    with pytest.raises(RuleError) as error:
        ask([past, row("A:x", 2, status="alternate")])
    assert error.value.code == "rules.no_factor"
    assert "DCC:x 1 t CO2/t (official, 2023-01-01 - 2024-01-01)" in error.value.text()


def test_unofficial_rows_need_their_status_or_their_id_to_be_named():
    rows = [row("HUST:x", 1, status="unofficial")]
    with pytest.raises(RuleError):
        ask(rows)
    assert ask(rows, ["unofficial"]).caution == "rules.caution_unofficial"
    assert ask(rows, ["HUST:x"]).chosen.id == "HUST:x"


def test_a_row_named_by_id_stands_above_all_but_the_territory():
    rows = [row("QD2626:x", 3), row("A:x", 2, status="alternate")]
    assert ask(rows, ["A:x"]).chosen.id == "A:x"
    assert ask([*rows, row("local:x", 5)], ["A:x"]).chosen.id == "local:x"


def test_a_difference_above_half_a_percent_is_a_conflict_and_below_is_not():
    assert ask([row("QD2626:x", 1), row("IPCC2006:x", 1.0051)]).conflict
    assert not ask([row("QD2626:x", 1), row("IPCC2006:x", 1.0049)]).conflict


def test_the_same_value_in_two_units_is_no_conflict():
    assert not differ(row("A:x", 1.46), row("B:x", 1460, unit="kg CO2/t"))
    assert differ(row("A:x", 1.46), row("B:x", 1.46, unit="kg CO2/TJ"))


def test_one_document_with_two_values_must_be_told_apart_by_id():
    rows = [row("QD2626:x", 0.76), row("QD2626:y", 0.57)]
    with pytest.raises(RuleError) as error:
        ask(rows)
    assert error.value.code == "rules.ambiguous"
    assert ask(rows, ["QD2626:y"]).chosen.value == 0.57


def test_a_row_without_a_printed_number_is_a_gap():
    with pytest.raises(RuleError) as error:
        ask([row("QD2626:x", float("nan"))])
    assert error.value.code == "rules.not_printed"


def test_rows_of_different_years_do_not_conflict():
    past = row("DCC:x", 1, valid_to=date(2024, 1, 1))
    now = row("DCC:y", 2, valid_from=date(2024, 1, 1))
    assert conflicts_of([past, now]) == []
    late = row("APP:x", 3, valid_from=date(2024, 6, 1))
    assert [[r.id for r in c.rows] for c in conflicts_of([past, now, late])] == [["DCC:y", "APP:x"]]


def test_the_spread_is_relative_to_the_largest_value():
    assert spread([2.47, 1.46]) == pytest.approx(0.4089, abs=1e-4)
    assert spread([0, 0]) == 0
    assert spread([]) == 0
