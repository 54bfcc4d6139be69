# SPDX-License-Identifier: Apache-2.0
"""A table of streams: what it may say, what is refused and where, and what the study tells people and programs."""

import json
from pathlib import Path

import pytest

from mangrove import heat
from mangrove.errors import DeclarationError, RequestError

FOUR = "name,supply,target,cp\nH1,170,60,3\nH2,150,30,1.5\nC1,20,135,2\nC2,80,140,4\n"
"""Linnhoff & Hindmarsh 1983: 20 kW hot, 60 kW cold, pinch 90 / 80 degC at 10 K."""
TWO = "name,plant,supply,target,heat,utility\ngas,Mill,200,100,500,500\nbath,Town,30,80,300,300\n"


@pytest.fixture
def written(tmp_path):
    """Writes a table and gives its path."""

    def write(text: str, name: str = "streams.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def findings(path, dt=10.0):
    """Code, line and column of all that is wrong."""
    with pytest.raises(DeclarationError) as raised:
        heat.study(path, dt)
    assert "{" not in raised.value.text("vi")
    return [(one.code, one.where.line, one.where.column) for one in raised.value.problems]


def test_a_table_of_the_literature_gives_its_published_targets(written):
    found = heat.study(written(FOUR), "10K")
    assert (found.joined.hot_utility, found.joined.cold_utility) == (20.0, 60.0)
    assert found.joined.sides == ((90.0, 80.0),)
    assert found.problems == ()


def test_units_in_cells_mean_the_same_as_bare_numbers(written):
    same = (
        "name,supply,target,cp,heat\nH1,338 degF,140 °F,3 kW/K,\nH2,423.15 K,30 degC,,0.18 MW\n"
        "C1,20,135,2000 W/degC,\nC2,80 oC,140,,864 MJ/h\n"
    )
    assert heat.study(written(same), "18 degF").joined.hot_utility == pytest.approx(20.0)


def test_excel_files_with_semicolons_and_decimal_commas_are_read(written):
    found = heat.study(written(FOUR.replace(",", ";").replace("1.5", "1,5")))
    assert found.joined.cold_utility == pytest.approx(60.0)
    assert [one.severity for one in found.problems] == ["note"]


def test_joining_plants_saves_what_one_can_give_the_other(written):
    found = heat.study(written(TWO))
    assert found.alone == (300.0, 500.0)
    assert (found.joined.hot_utility, found.joined.cold_utility) == (0.0, 200.0)
    words = heat.as_text(found, "en")
    assert "saves 300 kW of hot utility" in words
    assert "In use today: 300 kW hot, 500 kW cold; the target saves 300 kW" in words


def test_latent_heat_stands_at_the_hotter_end(written):
    table = "name,supply,target,cp,latent,role\nboiling,20,100,1,200,\ncondensing,120,60,0.5,300,\nflash,90,90,,50,hot\n"
    found = heat.study(written(table))
    rows = [
        (one.supply[0], one.target[0], one.heat[0], bool(one.gives[0]))
        for one in (found.streams[[i]] for i in range(len(found.streams)))
    ]
    assert rows == [
        (20, 100, 80, False), (100, 100, 200, False), (120, 60, 30, True), (120, 120, 300, True), (90, 90, 50, True),
    ]  # fmt: skip


def test_heat_across_the_pinch_is_told_with_the_rows_that_cause_it(written):
    lines = FOUR.splitlines()
    today = "\n".join(
        [lines[0] + ",utility", lines[1] + ",", lines[2] + ",", lines[3] + ",", lines[4] + ",50",
         "C3,20,60,1,40", "H3,160,150,1,10"]
    )  # fmt: skip
    found = heat.study(written(today))
    codes = {one.code: one for one in found.problems}
    assert set(codes) == {"heat.cross_pinch", "heat.heated_below", "heat.cooled_above"}
    assert codes["heat.heated_below"].where.line == 6
    assert codes["heat.cooled_above"].where.line == 7
    assert codes["heat.cross_pinch"].data["now"] == 90.0
    assert codes["heat.cross_pinch"].data["heat"] == pytest.approx(90.0 - found.joined.hot_utility)


def test_a_role_against_the_temperatures_is_a_warning_and_the_temperatures_count(written):
    found = heat.study(written("name,supply,target,cp,role\nx,20,80,1,hot\n"))
    assert [(one.code, one.severity) for one in found.problems] == [("heat.reversed", "warning")]
    assert found.joined.hot_utility == 60.0


def test_everything_that_is_wrong_is_said_at_once_with_its_place(written):
    table = (
        "name,supply,target,cp,heat,latent,dt\na,50,50,3,,,\nb,90,nan,2,,,\nc,20,80,-3,,,\nd,20,80,3 kg,,,5 kg\n"
        "e,90,40,,,,\nf,90,40,1,2,,\ng,-300,40,1,,,\nh,90,90,,,5,\n,20,30,1,,,\n"
    )
    assert findings(written(table)) == [
        ("heat.no_latent", 2, 6), ("heat.not_a_temperature", 3, 6), ("heat.negative_amount", 4, 9), ("base.unit_mismatch", 5, 9),
        ("heat.bad_difference", 5, 16), ("heat.no_heat", 6, 0), ("heat.two_amounts", 7, 11), ("heat.too_cold", 8, 3),
        ("heat.no_direction", 9, 0), ("territory.blank", 10, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "territory.empty_file"),
        ("name,supply,target\n", "heat.no_rows"),
        ("name,supply\nx,1\n", "territory.missing_column"),
        ("name,supply,target,cpp\nx,1,2,3\n", "territory.unknown_column"),
        ("name,supply,target,cp\nx,1 degX,2,3\n", "heat.not_a_temperature"),
        ("name,supply,target,cp\nx,1,2,3 kW/degQ\n", "base.unknown_unit"),
        ("name,supply,target,heat\nx,1,2,inf\n", "heat.not_an_amount"),
        ("name,supply,target,heat,role\nx,1,2,3,warm\n", "territory.not_an_option"),
    ],
)
def test_a_table_without_sense_is_refused(written, text, code):
    assert findings(written(text))[0][0] == code


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(DeclarationError, match="is missing"):
        heat.study(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("text", ["-1", "ten", "5 kg", "nan", "1e999"])
def test_a_least_difference_without_sense_is_refused(written, text):
    with pytest.raises(RequestError) as raised:
        heat.study(written(FOUR), text)
    assert raised.value.code == "heat.bad_difference"


@pytest.mark.parametrize(
    ("text", "celsius"),
    [("0 K", -273.15), ("32 degF", 0.0), ("-40 °F", -40.0), ("98.6degF", 37.0), ("1e2", 100.0)],
)
def test_temperatures_convert_by_their_definitions(text, celsius):
    assert heat.temperature(text) == pytest.approx(celsius)


def test_json_holds_the_study_and_only_numbers_that_are_numbers(written):
    data = json.loads(heat.as_json(heat.study(written(FOUR))), parse_constant=pytest.fail)
    assert data["joined"]["pinch_degC"] == [{"hot": 90.0, "cold": 80.0}]
    assert [one["price_ratio"] for one in data["heat_pumps"]] == [2.0, 3.0, 4.0]
    pump = data["heat_pumps"][0]["pump"]
    assert pump["heat"] == pytest.approx(pump["cooling"] + pump["power"])


def test_a_threshold_problem_has_no_pinch_and_no_pump(written):
    found = heat.study(written(TWO))
    assert "none (threshold)" in heat.as_text(found, "en")
    assert "No heat pump across the pinch" in heat.as_text(found, "en")
    assert json.loads(heat.as_json(found))["joined"]["pinch_degC"] == []


def test_own_contributions_show_the_shifted_pinch(written):
    table = FOUR.replace("cp\n", "cp,dt\n").replace(",3\n", ",3,8\n").replace(",1.5\n", ",1.5,\n").replace(",2\n", ",2,\n").replace(",4\n", ",4,\n")  # fmt: skip
    assert "(shifted)" in heat.as_text(heat.study(written(table)), "en")


def test_the_study_is_told_in_vietnamese_and_drawn(written):
    found = heat.study(written(FOUR))
    assert "nguồn nóng" in heat.as_text(found, "vi")
    drawn = heat.figure(found, "vi")
    assert "Đường cong tổ hợp của 4 dòng" in drawn
    assert "điểm pinch 90 / 80 °C" in drawn
