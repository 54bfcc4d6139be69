"""The annual forms hold the numbers that a reader adds up by hand, say where each comes from, and execute nothing."""

import csv
import io
import re
import shutil

import docx
import openpyxl
import pytest
from tests.measure.eip import eip_world
from tests.measure.eip.eip_world import EXCHANGES, PLACES, month, park

from mangrove.errors import MangroveError
from mangrove.ledger import Origin
from mangrove.measure.eip import form
from mangrove.testing import values
from mangrove.units import unit

SLAG, REUSE, MUD = 1_200.0, 18_000.0, 120.0
KWH = 10 * SLAG - 0.4 * REUSE
COSTS = {
    "3.5": KWH * 2_000, "3.10": REUSE * 12_000, "3.12": REUSE * 3_000, "3.14": MUD * 15_000, "3.16": SLAG * 20_000,
    "3.18": 0.9 * SLAG * 180_000, "3.20": 0.95 * SLAG * 30_000, "3.24": 0.5 * REUSE * 4_000,
}  # fmt: skip
BY_HAND = {
    "2.1.1": 4.0, "2.1.2": 2.0, "2.1.3": 1.0, "2.1.4": 0.0, "2.1.5": 1.0, "2.1.6": 0.0, "2.1.13": 3.0,
    "2.5.1": 100.0, "2.5.2": 14.0, "2.5.3": 14.0, "2.5.4": 6.0, "2.5.5": 6.0, "2.5.6": 5.0, "2.5.7": 5.0, "2.5.8": 3.0, "2.5.9": 3.0,
    "3.2": KWH, "3.3": 100 * KWH / (1_320_000 + KWH), "3.4": KWH * 0.65 / 1000, "3.8": KWH * 0.65 / 1000 - 0.2 * SLAG * 2.5 / 1000,
    "3.9": REUSE, "3.11": REUSE, "3.13": MUD, "3.15": SLAG, "3.17": 0.9 * SLAG, "3.19": 0.95 * SLAG, "3.21": SLAG + MUD,
    "3.22": (SLAG * 50_000 + MUD * 200_000) / 1e6, "3.23": 0.5 * REUSE / 1000, "3.27": 0.001 * REUSE,
    "3.25": sum(COSTS.values()) / 1e6, **{field: money / 1e6 for field, money in COSTS.items()},
}  # fmt: skip
OF_THE_MILL = {
    "P4.1": 4.0, "P4.6": 0.0, "P4.11": -0.2 * SLAG * 2.5 / 1000, "P4.12": -0.2 * SLAG * 20_000 / 1e6, "P4.15": REUSE,
    "P4.16": REUSE * 12_000 / 1e6, "P4.19": SLAG, "P4.20": MUD, "P4.22": SLAG, "P4.28": SLAG + MUD,
    "P4.29": (SLAG * 50_000 + MUD * 200_000) / 1e6, "P4.33": 0.001 * REUSE,
}  # fmt: skip


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return park(tmp_path_factory.mktemp("forms"))


@pytest.fixture(scope="module")
def a4(handle):
    return form(handle, "A.4", 2024)


@pytest.fixture(scope="module")
def b4(handle):
    return form(handle, "B.4", 2024, place="mill")


@pytest.mark.parametrize("field", BY_HAND)
def test_a_quantity_of_the_park_is_what_hand_arithmetic_says(a4, field):
    assert a4.line(field).value == pytest.approx(BY_HAND[field], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("field", [field for field in OF_THE_MILL if field != "P4.6"])
def test_a_quantity_of_an_enterprise_is_that_of_its_place(b4, field):
    assert b4.line(field).value == pytest.approx(OF_THE_MILL[field], rel=1e-9)


def test_what_no_effect_declares_is_a_blank_and_no_zero(b4):
    assert b4.line("P4.6").value is None, "the mill saves no electricity: the brick works and the works do"
    assert b4.line("P4.30").value is None
    assert "B.4/P4.30" in b4.line("P4.30").how


def test_more_than_27_quantities_come_from_the_ledger_with_provenance(a4, handle):
    forms = [a4, *(form(handle, "B.4", 2024, place=place) for place in ("mill", "bricks", "works"))]
    found = {line.name_en for one in forms for line in one.from_ledger}
    assert len(found) >= 27
    assert len(a4.from_ledger) >= 27
    for one in forms:
        for line in one.from_ledger:
            empty_count = line.unit == "count" and line.value == 0
            assert line.exchanges or empty_count, line.field
            assert line.batches or line.unit in ("count", "text"), line.field


def test_other_fuel_has_one_line_for_each_fuel_with_its_unit(a4):
    ((code, amount, of),) = a4.line("3.7").parts
    assert code == "diesel"
    assert amount * unit(of).to("L") == pytest.approx(-0.2 * SLAG)


def test_the_total_of_co2_is_electricity_and_fuel_and_an_answer_that_differs_is_flagged(tmp_path):
    told = form(park(tmp_path, answers="A.4/3.8,2024,9 t,,\nA.4/3.9,2024,18000 m3,,\n"), "A.4", 2024)
    assert told.line("3.8").value == pytest.approx(BY_HAND["3.8"])
    flagged = [problem for problem in told.problems if problem.code == "eip.answer_differs"]
    assert [problem.data["indicator"] for problem in flagged] == ["A.4/3.8"]
    assert flagged[0].where.line == 2


def test_income_and_shared_services_are_not_in_the_total_cost(a4):
    parts = sum(a4.line(field).value for field in COSTS)
    assert a4.line("3.25").value == pytest.approx(parts)
    assert a4.line("3.22").value > 0
    assert a4.line("3.27").value > 0


def test_what_a_partner_outside_the_park_saves_is_not_the_parks(a4):
    assert a4.line("3.17").exchanges == ("slag",), "the farm saves material too, and lies outside"


def test_what_only_people_know_comes_from_answers(tmp_path):
    answers = "A.4/2.1.8,2024,3,,Plan\nA.4/3.26,2024,Nước nóng dùng chung,,\n"
    told = form(park(tmp_path, answers=answers), "A.4", 2024)
    assert (told.line("2.1.8").value, told.line("2.1.8").origin) == (3.0, "answered")
    assert told.line("3.26").value == "Nước nóng dùng chung"


def test_a5_and_b5_hold_the_indicators(tmp_path):
    handle = park(tmp_path, answers="A.5/PM.2,2024,yes,,\nB.5/SOC.2,2024,no,mill,\n")
    a5 = form(handle, "A.5", 2024)
    assert len(a5.lines) == 18
    assert (a5.line("ENV.1").value, a5.line("PM.2").value, a5.line("ECO.1").value) == (3.0, True, None)
    assert a5.line("ENV.3").value == pytest.approx(15.0)
    mine = form(handle, "B.5", 2024, place="mill")
    assert (len(mine.lines), mine.line("SOC.2").value, mine.line("SOC.1").value) == (5, False, None)
    assert form(handle, "B.5", 2024).line("SOC.2").value == 0.0


def test_a_form_younger_than_the_year_can_be_filled_for_it(tmp_path):
    told = form(park(tmp_path, answers="A.5/PM.2,2022,yes,,\n"), "A.5", 2022)
    assert told.line("PM.2").value is True
    assert told.line("ENV.3").value is None


def test_counts_are_blank_when_nothing_was_metered(tmp_path):
    handle = park(tmp_path, answers="A.4/2.1.8,2024,3,,\n")
    shutil.rmtree(handle.store)
    told = form(handle, "A.4", 2024)
    assert told.line("2.1.3").value is None
    assert told.line("2.1.4").value == 0.0, "none of this kind is declared"
    assert told.line("3.2").value is None
    assert told.line("2.5.2").value == pytest.approx(14.0)


@pytest.mark.parametrize(
    ("name", "place", "code"),
    [
        ("A.6", None, "eip.unknown_form"), ("B.4", None, "eip.form_needs_place"), ("A.4", "mill", "eip.form_of_park"),
        ("B.4", "mil", "eip.unknown_place"),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_filled_says_why(handle, name, place, code):
    with pytest.raises(MangroveError) as error:
        form(handle, name, 2024, place=place)
    assert error.value.code == code


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_every_export_says_that_the_text_is_second_hand(a4, tmp_path, lang):
    word = "second-hand" if lang == "en" else "gián tiếp"
    for ending in ("xlsx", "docx", "html"):
        a4.write(tmp_path / f"a.{ending}", lang)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    cells = [str(cell.value) for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert any(word in text for text in cells)
    paper = docx.Document(str(tmp_path / "a.docx"))
    assert any(word in line.text for line in paper.paragraphs)
    assert word in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_numbers_of_a_workbook_are_numbers(a4, tmp_path):
    a4.write(tmp_path / "a.xlsx", "vi")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets[0]
    by_field = {row[0].value: row[3].value for row in sheet.iter_rows() if len(row) > 3}
    assert by_field["3.9"] == pytest.approx(REUSE)


HOSTILE = '=HYPERLINK("http://x")<script>alert(1)</script>'


def test_strangers_text_executes_nowhere(tmp_path):
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    places = PLACES.replace("mill,Mill,", f"mill,{quoted},")
    hostile = form(
        park(tmp_path, places=places, answers=f"B.4/P4.32,2024,{quoted},works,\n"), "B.4", 2024, place="works"
    )
    assert any(line.value == HOSTILE for line in hostile.lines)
    rows = list(csv.reader(io.StringIO(hostile.csv("en"))))
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@")]
    assert "<script>" not in hostile.html("vi")
    hostile.write(tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    kinds = {cell.data_type for sheet in book.worksheets for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds


def test_a_page_is_whole_and_for_a4(a4):
    text = a4.html("vi")
    assert text.startswith("<!doctype html>")
    assert "size: A4" in text
    assert text.count("<tr>") == len(a4.lines) + 1
    assert "http" not in text


def test_an_ending_that_nobody_reads_is_refused(a4, tmp_path):
    with pytest.raises(MangroveError) as error:
        a4.write(tmp_path / "a.pdf")
    assert error.value.code == "eip.unknown_ending"


def test_the_form_of_an_enterprise_holds_no_word_of_the_exchanges_of_others(tmp_path):
    more = (
        "quiet,works,farm,waste:190805,exchange,ewc=190805,quiet_out,,2023-01-01,\n"
        "double,mill,bricks,waste:100202,exchange,ewc=100202,quiet_out,,2023-01-01,\n"
    )
    flows = "quiet_out,works,farm,material:sludge,t,1mo,sum,,,,X-9,\n"
    handle = park(tmp_path, exchanges=EXCHANGES.rstrip() + "\n" + more, flows=flows)
    parts = {
        "mill": {"slag", "reuse", "mud", "idle", "past", "double"}, "bricks": {"slag", "idle", "past", "double"},
        "works": {"reuse", "quiet"}, "farm": {"mud", "quiet"},
    }  # fmt: skip
    every = set().union(*parts.values())
    told = {str(one.data.get("exchange")) for one in form(handle, "A.4", 2024).problems}
    assert told >= {"slag", "reuse", "mud", "double", "quiet"}
    for place, own in parts.items():
        made = form(handle, "B.4", 2024, place=place)
        assert {one.data["exchange"] for one in made.problems} == told & own
        assert {name for line in made.lines for name in line.exchanges} <= own
        for lang in ("en", "vi"):
            said = {
                name for name in every if re.search(rf"\b{name}( \d{{4}}-|:)", " ".join(made.notes(lang)))
            }
            assert said <= own, (place, lang)


def test_a_meter_that_counts_for_others_is_told_without_their_name(tmp_path):
    more = "double,mill,bricks,waste:100202,exchange,ewc=100202,quiet_out,,2023-01-01,\n"
    first = "quiet,works,farm,waste:190805,exchange,ewc=190805,quiet_out,,2023-01-01,\n"
    flows = "quiet_out,works,farm,material:sludge,t,1mo,sum,,,,X-9,\n"
    handle = park(tmp_path, exchanges=EXCHANGES.rstrip() + "\n" + first + more, flows=flows)
    (twice,) = [one for one in form(handle, "B.4", 2024, place="mill").problems if "meter_twice" in one.code]
    assert (twice.code, twice.data["exchange"]) == ("eip.meter_twice", "double")
    assert "another exchange" in twice.text("en")
    assert "trao đổi khác" in twice.text("vi")
    assert not re.search(r"\bquiet\b", twice.text("en"))


def test_a_problem_of_one_whole_names_only_the_parts_of_who_reports(tmp_path, monkeypatch):
    head = "id,place,to_place,carrier,unit,step,semantics,meter,uncertainty\n"
    meters = (("slag_out", "mill"), ("bricks_in", "bricks"), ("farm_in", "farm"), ("diesel", "mill"))
    rows = [f"{name},{place},,material:slag,t,1mo,sum,{name},1 %\n" for name, place in meters]
    monkeypatch.setattr(eip_world, "FLOWS", head + "".join(rows))
    exchanges = (
        "id,place,to_place,carrier,kind,received,parameters\n"
        "to_bricks,mill,bricks,waste:100202,exchange,bricks_in,whole=slag_out\n"
        "to_farm,mill,farm,waste:100202,exchange,farm_in,whole=slag_out\n"
    )
    handle = park(tmp_path, exchanges=exchanges, effects="exchange,effect,amount\n")
    with handle.writer() as ledger:
        told = [(name, month(n), 80.0) for name in ("bricks_in", "farm_in") for n in range(1, 13)]
        ledger.append(values(told), Origin("test", "2"))
    joint = [one.data["exchange"] for one in form(handle, "A.4", 2024).problems]
    assert "to_bricks, to_farm" in joint, "160 t arrive of the 100 t that leave"
    said = " ".join(form(handle, "B.4", 2024, place="bricks").notes("en"))
    assert "to_bricks" in said
    assert "farm" not in said
    assert "to_bricks, to_farm" in " ".join(form(handle, "B.4", 2024, place="mill").notes("en"))


def test_where_answers_of_the_park_differ_no_enterprise_reads(tmp_path):
    handle = park(tmp_path, answers="B.5/ENV.2,2024,yes,mill,\nB.5/ENV.2,2024,90 %,,\n")
    assert [one.code for one in form(handle, "B.5", 2024).problems] == ["eip.answer_differs"]
    assert form(handle, "B.5", 2024, place="bricks").problems == ()
