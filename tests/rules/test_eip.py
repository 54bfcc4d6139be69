"""The rows of eco-industrial parks: counts, statuses, dates, both languages, and agreement with the lists they were re-keyed from."""

import csv
from collections import Counter
from datetime import date

import pytest

from mangrove.errors import RuleError
from mangrove.measure.eip.computed import FUNCTIONS
from mangrove.rules import codes, eip
from mangrove.rules.types import STATUSES
from mangrove.territory.model import EFFECTS


def test_each_framework_has_its_rows():
    counts = Counter(one.framework for one in eip.indicators())
    assert counts == {"EIP2": 49, "A.5": 18, "ND35": 10, "ND82": 7, "B.5": 5, "fact": 2}


def test_every_row_is_complete_and_asks_for_something_that_can_be_answered():
    for one in eip.indicators():
        assert all((one.name_en, one.name_vi, one.document)), one.code
        assert one.status in STATUSES
        assert one.unit in ("yes/no", "%", "count", "months")
        assert one.how in (eip.ASKED, eip.FIRMS, eip.LARGE_FIRMS) or one.how in FUNCTIONS, one.code
        assert not one.same or eip.known_answer(one.same)
        assert not one.target or one.sense in (">=", "<=", "=")


def test_nothing_is_called_official_that_was_not_read_as_such():
    assert {one.status for one in eip.indicators() if one.kind != "fact"} <= {"unofficial", "recalled"}
    assert {one.status for one in eip.indicators() if one.framework == "EIP2"} == {"recalled"}


def test_codes_are_unique_and_found_again():
    every = [*eip.indicators(), *eip.fields()]
    assert len({one.code for one in every}) == len(every)
    assert all(eip.known_answer(one.code) is one for one in every)


def test_decree_35_takes_the_place_of_decree_82_without_a_day_between():
    before, after = (eip.in_force("vn", day) for day in (date(2022, 7, 14), date(2022, 7, 15)))
    assert {one.framework for one in before} == {"ND82"}
    assert {one.framework for one in after} == {"ND35"}
    green = [one for one in (*before, *after) if one.how == "shared_land"]
    assert [one.target for one in green] == ["25", "25"]


def test_an_unknown_framework_names_the_known_ones():
    with pytest.raises(RuleError) as error:
        eip.in_force("internatonal", date(2025, 1, 1))
    assert "international" in error.value.text("en")


def test_fields_name_effects_that_exist():
    for one in eip.fields():
        if one.figure in ("amount", "money", "co2", "share"):
            assert set(one.effect) <= set(EFFECTS), one.code


def test_the_laws_behind_the_rows_are_listed():
    laws = {law.id: law for law in codes.laws()}
    assert laws["ND35/2022"].replaces == ("ND82/2018",)
    assert {"TT05/2025", "QCVN40/2011", "QCVN40/2025", "ND346/2025"} <= set(laws)


@pytest.mark.data
def test_the_forms_hold_every_quantity_of_the_transcribed_list(data_dir):
    path = data_dir / "symbiosis" / "vn" / "circular05_2025_indicators_A5_B5.csv"
    with path.open(encoding="utf-8", newline="") as file:
        listed = {f"{row['form']}/{row['code']}" for row in csv.DictReader(file)}
    assert listed == {one.code for one in eip.indicators() if one.framework in ("A.5", "B.5")}
    path = data_dir / "symbiosis" / "vn" / "circular05_2025_forms_A4_B4_quantities.csv"
    known = {one.field for one in eip.fields()}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for part in row["field"].split(" / "):
                first, _, last = part.strip().partition("-")
                first = first if first.startswith("P") or part[0].isdigit() else f"P{first}"
                assert first in known, row
                assert (
                    not last
                    or last.startswith("P")
                    or any(field.endswith(last.split(".")[-1]) for field in known)
                )
