"""Indicators from the ledger equal what a reader adds up by hand; what nobody knows stays open."""

import shutil
from datetime import date

import pytest
from tests.measure.eip.eip_world import PLACES, park

from mangrove.errors import DeclarationError, MangroveError
from mangrove.measure.eip import gaps, indicators
from mangrove.measure.eip.types import VERDICTS


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    answers = "A.5/ENV.3,2024,40 %,,Table\nA.5/PM.1,2024,có,,Plan\nA.5/PM.3,2024,no,,\nEIP2/renewable_national,2024,9 %,,\n"
    return indicators(park(tmp_path_factory.mktemp("eip"), answers=answers), 2024)


def test_the_ledger_says_what_hand_arithmetic_says(found):
    diesel_kwh = 12_000 * 0.84 * 43 / 3.6
    total = 1_320_000 + diesel_kwh
    by_hand = {
        "A.5/ENV.1": 3.0,
        "EIP2/energy_metered": 100 * 1_320_000 / total,
        "EIP2/renewable_share": 100 * 120_000 / 1_320_000,
        "EIP2/wastewater_reused": 15.0,
        "EIP2/waste_reused": 100 * (1_200 + 120) / (1_320 + 360),
        "EIP2/landfill_diverted": 100 * (1_680 - 240) / 1_680,
        "ND35/37.3.a": 28.0,
        "EIP2/native_open_space": 4.0,
    }
    for code, expected in by_hand.items():
        assert found.reading(code).value == pytest.approx(expected, rel=1e-12), code
        assert found.reading(code).origin == "computed"


def test_every_computed_number_names_what_it_rests_on(found):
    for one in found:
        if one.origin == "computed":
            measure = one.measure
            assert measure.flows or measure.exchanges or measure.places, one.indicator.code
            assert measure.batches or measure.places, one.indicator.code


def test_every_row_in_force_has_one_reading_and_verdicts_add_up(found):
    assert len({one.indicator.code for one in found}) == len(found) == 49 + 10 + 18 + 5
    assert sum(found.count(verdict) for verdict in VERDICTS) == len(found)
    for framework in found.frameworks:
        mine = sum(one.indicator.framework == framework for one in found)
        assert sum(found.count(verdict, framework) for verdict in VERDICTS) == mine


def test_a_share_below_its_bar_is_missed_by_the_difference_in_its_own_unit(found):
    native = found.reading("EIP2/native_open_space")
    assert (native.verdict, native.gap, native.amount) == ("missed", pytest.approx(1.0), pytest.approx(1.0))
    water = found.reading("EIP2/wastewater_reused")
    assert (water.verdict, water.amount) == ("missed", pytest.approx(0.35 * 120_000))
    assert found.reading("ND35/37.3.a").verdict == "met"


def test_a_bar_that_is_another_fact_is_held_against_its_answer(found, tmp_path):
    assert found.reading("EIP2/renewable_share").verdict == "met"
    unknown = indicators(park(tmp_path), 2024).reading("EIP2/renewable_share")
    assert (unknown.verdict, unknown.target) == ("unknown", None)


def test_an_answer_that_differs_from_the_ledger_is_flagged_and_does_not_count(found):
    one = found.reading("A.5/ENV.3")
    assert one.value == pytest.approx(15.0)
    assert [problem.code for problem in one.problems] == ["eip.answer_differs"]
    assert one.problems[0].where.line == 2


def test_yes_in_vietnamese_is_yes_and_no_is_a_gap(found):
    assert found.reading("A.5/PM.1").verdict == "met"
    assert found.reading("A.5/PM.3").verdict == "missed"


def test_an_answer_serves_the_same_question_of_another_framework(tmp_path):
    found = indicators(park(tmp_path, answers="B.5/ENV.2,2024,40 %,,\n"), 2024)
    assert found.reading("ND35/37.2.c").value == found.reading("B.5/ENV.2").value == 40.0


def test_a_share_of_firms_is_reckoned_from_their_answers_and_silence_is_no(tmp_path):
    answers = "B.5/ENV.2,2024,yes,mill,\nB.5/ENV.2,2024,no,bricks,\nB.5/SOC.1,2024,yes,mill,\n"
    found = indicators(park(tmp_path, answers=answers), 2024)
    assert found.reading("B.5/ENV.2").value == pytest.approx(100 / 3)
    assert found.reading("B.5/SOC.1").value == 100.0, "only large firms are asked: of those that answered"
    told = indicators(park(tmp_path / "told", answers=answers + "park/firms,2024,10,,\n"), 2024)
    assert told.reading("B.5/ENV.2").value == pytest.approx(10.0)
    assert told.reading("B.5/ENV.2").verdict == "missed"


def test_an_exchange_without_values_is_not_counted_and_named(found):
    assert [said.data for said in found.reading("A.5/ENV.1").measure.remarks] == [(("exchange", "idle"),)]


def test_what_nobody_knows_is_a_question_and_never_a_number(tmp_path):
    bare = park(tmp_path, places=PLACES.replace(",native", ",").replace(",green", ","))
    found = indicators(bare, 2024)
    one = found.reading("EIP2/native_open_space")
    assert (one.value, one.verdict, one.origin) == (None, "unknown", "asked")
    assert one in found.questions


def test_targets_and_scopes_make_a_program_only_together(tmp_path):
    without = indicators(park(tmp_path / "a"), 2024).reading("A.5/ENV.4")
    assert without.value is None
    assert [said.code for said in without.measure.lacking] == ["eip.no_targets"]
    yaml = "targets:\n  - {id: half, year: 2035, base_year: 2024, reduction: 50 %, source: board}\n"
    with_target = indicators(park(tmp_path / "b", yaml=yaml), 2024)
    assert with_target.reading("A.5/ENV.4").value is True
    assert with_target.reading("EIP2/carbon_target").value is True


@pytest.mark.parametrize(
    ("day", "codes"), [(date(2021, 1, 1), "ND82"), (date(2022, 7, 15), "ND35"), (date(2022, 7, 14), "ND82")]
)
def test_the_decree_of_the_day_is_chosen(tmp_path, day, codes):
    found = indicators(park(tmp_path), 2024, framework="vn", on=day)
    assert {one.indicator.framework for one in found} == {codes}


def test_gaps_say_how_much_would_close_them(found):
    by_code = {gap.reading.indicator.code: gap for gap in gaps(found)}
    assert "42,000 m3" in by_code["EIP2/wastewater_reused"].text("en")
    assert "1 ha" in by_code["EIP2/native_open_space"].text("en")
    assert by_code["A.5/PM.3"].text("vi").startswith("Thực hiện")
    assert "A.5/PM.2,2024,yes | no" in by_code["A.5/PM.2"].text("en")
    order = [gap.reading.verdict for gap in gaps(found)]
    assert order == sorted(order, key=lambda verdict: verdict != "missed")


def test_a_year_without_anything_is_an_error_that_names_the_years(tmp_path):
    with pytest.raises(MangroveError) as error:
        indicators(park(tmp_path), 2019)
    assert error.value.code == "eip.no_data_in_year"
    assert "2024" in error.value.text("vi")


def test_answers_alone_are_enough_when_nothing_was_ingested(tmp_path):
    handle = park(tmp_path, answers="A.5/PM.1,2024,yes,,\n")
    shutil.rmtree(handle.store)
    found = indicators(handle, 2024)
    assert found.reading("A.5/PM.1").verdict == "met"
    assert found.reading("A.5/ENV.3").value is None
    assert found.reading("A.5/ENV.1").value is None, (
        "declared and not metered: not known to run, nor to stand still"
    )


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("A.5/PM.22,2024,yes,,", "eip.unknown_answer"), ("A.5/PM.2,2024,maybe,,", "eip.bad_answer"),
        ("A.5/ENV.3,2024,45,,", "eip.bad_answer"), ("A.5/ENV.3,2024,145 %,,", "eip.bad_answer"),
        ("A.4/2.1.8,2024,-2,,", "eip.bad_answer"), ("A.4/3.8,2024,5 m3,,", "eip.bad_answer"),
        ("A.4/3.8,2024,1e999 t,,", "eip.bad_answer"), ("QCVN40/COD,2024,75 kg,,", "eip.bad_answer"),
        ("QCVN40/column,2024,C,,", "eip.bad_answer"), ("QCVN40/receiving,2024,rever 3 m3/s,,", "eip.bad_receiving"),
        ("QCVN40/pH,2024,9 - 6,,", "eip.bad_answer"),
        ("QCVN40/discharge,2024,-3 m3/day,,", "eip.bad_answer"), ("B.5/SOC.1,2024,40 %,mill,", "eip.bad_answer"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_an_error_at_its_line_in_both_languages(tmp_path, row, code):
    with pytest.raises(DeclarationError) as error:
        indicators(park(tmp_path, answers=f"A.5/PM.1,2024,yes,,\n{row}\n"), 2024)
    (problem,) = error.value.problems
    assert (problem.code, problem.where.file.endswith("answers.csv"), problem.where.line) == (code, True, 3)
    assert problem.text("en") != problem.text("vi")
    assert "{" not in problem.text("en") + problem.text("vi")
