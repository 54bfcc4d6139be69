"""Water reuse from a table: published cases as files, the words of the command, and every error with its place."""

import json

import pytest
from typer.testing import CliRunner

from mangrove.cli import app
from mangrove.errors import DeclarationError, InfeasibleError
from mangrove.reuse import as_json, as_text, read_water, reuse

WANG_SMITH = """kind,name,load,inlet,outlet
operation,rinse,2 kg/h,0 ppm,100 ppm
operation,dye,5 kg/h,50 mg/L,100 mg/L
operation,wash,30 kg/h,0.05 kg/m3,800 ppm
operation,scrub,96 kg/day,400 ppm,800 ppm
"""
MEMBRANE = """kind,name,load,inlet,outlet,flow,price,electricity
operation,rinse,2 kg/h,0 ppm,100 ppm,,,
operation,dye,5 kg/h,50 ppm,100 ppm,,,
operation,wash,30 kg/h,50 ppm,800 ppm,,,
operation,scrub,4 kg/h,400 ppm,800 ppm,,,
fresh,city,,,0 ppm,,12000 VND/m3,
treatment,membrane,,,5 ppm,,3000 VND/m3,1.2 kWh/m3
electricity,grid,,,,,1833 VND/kWh,
discharge,works,,,,,9000 VND/m3,
"""


@pytest.fixture
def table(tmp_path):
    def write(text, name="water.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def run(*words):
    return CliRunner().invoke(app, ["exchange", "water", *map(str, words)])


def test_a_file_gives_the_published_plan(table):
    found = reuse(table(WANG_SMITH))
    assert (found.plan.fresh, found.plan.no_reuse) == (pytest.approx(90.0), pytest.approx(112.5))
    assert found.pinch == 100.0
    assert [p.code for p in found.problems] == ["reuse.clean_assumed"]


def test_prices_electricity_and_treatment_are_counted(table):
    found = reuse(table(MEMBRANE), objective="cost")
    treated = 7000 / 95  # (9,000 - 20 * 100) g/h due below 100 ppm at 95 g/t
    assert found.plan.treated["membrane"] == pytest.approx(treated)
    assert found.plan.electricity == pytest.approx(1.2 * treated)
    assert found.plan.cost == pytest.approx(20 * 12000 + 20 * 9000 + treated * (3000 + 1.2 * 1833))
    assert not found.problems


def test_fixed_flows_of_two_plants_are_shown_beside_what_each_needs_alone(table):
    rows = "kind,name,plant,flow,inlet,outlet\nsink,wash,Nhà máy A,10 t/h,50 ppm,\nsource,rinse,B,240 m3/day,,50 ppm\n"
    found = reuse(table(rows))
    assert found.plan.fresh == pytest.approx(0.0)
    assert found.alone == {"Nhà máy A": pytest.approx(10.0), "B": 0.0}
    assert "Nhà máy A" in as_text(found, "vi")
    assert json.loads(as_json(found))["alone"]["Nhà máy A"] == pytest.approx(10.0)


def test_several_contaminants_have_a_row_each(table):
    rows = ["kind,name,contaminant,load,inlet,outlet"]
    for name, loads, inlets, outlets in (
        ("steam", (0.675, 18, 1.575), (0, 0, 0), (15, 400, 35)),
        ("hds", (3.4, 414.8, 4.59), (20, 300, 45), (120, 12500, 180)),
        ("desalter", (5.6, 1.4, 520.8), (120, 20, 200), (220, 45, 9500)),
    ):
        for k, contaminant in enumerate(("HC", "H2S", "salt")):
            rows.append(f"operation,{name},{contaminant},{loads[k]} kg/h,{inlets[k]} ppm,{outlets[k]} ppm")
    path = table("\n".join(rows))
    found = reuse(path, method="levels")
    assert found.plan.fresh == pytest.approx(105.6, abs=0.1)
    assert found.plan.method == "levels"
    assert found.pinch is None
    assert "ppm H2S" in as_text(found)
    done = run(path, "--method", "levels", "--json")
    assert json.loads(done.stdout)["contaminants"] == ["HC", "H2S", "salt"]


def test_excel_of_viet_nam_writes_semicolons(table):
    problem, notes = read_water(table("kind;name;flow;inlet\nsink;rửa;10 t/h;50 ppm\n"))
    assert problem.sinks[0].name == "rửa"
    assert {n.code for n in notes} == {"territory.delimiter_assumed", "reuse.clean_assumed"}


HEAD = "kind,name,plant,contaminant,flow,load,inlet,outlet,removal,recovery,price,electricity\n"


def place(text, line, column):
    """Where a cell stands, counted by splitting the line; the tables here quote nothing."""
    header, cells = text.splitlines()[0].split(","), text.splitlines()[line - 1].split(",")
    return f"water.csv:{line}:{1 + sum(len(cell) + 1 for cell in cells[: header.index(column)])}"


@pytest.mark.parametrize(
    ("rows", "code", "line", "column"),
    [
        ("operation,a,,,,1 kg/h,-5 ppm,10 ppm,,,,\n", "reuse.not_ppm", 2, "inlet"),
        ("operation,a,,,,1 kg/h,10 ppm,10 ppm,,,,\n", "reuse.inlet", 2, "inlet"),
        ("operation,a,,,,1 kg/hh,0 ppm,10 ppm,,,,\n", "base.unknown_unit", 2, "load"),
        ("operation,a,,,,1 t,0 ppm,10 ppm,,,,\n", "base.unit_mismatch", 2, "load"),
        ("operation,a,,,,-1 kg/h,0 ppm,10 ppm,,,,\n", "territory.negative", 2, "load"),
        ("operation,a,,,,,0 ppm,10 ppm,,,,\n", "reuse.needs", 2, "load"),
        ("operation,a,,,3 t/h,1 kg/h,0 ppm,10 ppm,,,,\n", "reuse.not_for_kind", 2, "flow"),
        ("sink,a,,,40,,5 ppm,,,,,\n", "reuse.not_flow", 2, "flow"),
        ("sink,a,,,40 kWh,,5 ppm,,,,,\n", "reuse.not_flow", 2, "flow"),
        ("sink,a,,,4 t/h,,5,,,,,\n", "reuse.not_ppm", 2, "inlet"),
        ("sink,a,,,-4 t/h,,5 ppm,,,,,\n", "reuse.not_flow", 2, "flow"),
        ("sinc,a,,,4 t/h,,5 ppm,,,,,\n", "territory.not_an_option", 2, "kind"),
        ("sink,a,,,4 t/h,,5 ppm,,,,,\nsink,a,,,4 t/h,,5 ppm,,,,,\n", "reuse.row_twice", 3, "name"),
        ("sink,a,,x,4 t/h,,5 ppm,,,,,\nsink,b,,y,4 t/h,,5 ppm,,,,,\n", "reuse.contaminant_missing", 2, "contaminant"),
        ("sink,a,,x,4 t/h,,5 ppm,,,,,\nsink,a,,y,5 t/h,,5 ppm,,,,,\n", "reuse.differs", 3, "flow"),
        ("treatment,t,,,,,,5 ppm,90 %,,,\n", "reuse.outlet_or_removal", 2, "outlet"),
        ("treatment,t,,,,,,,120 %,,,\n", "territory.out_of_range", 2, "removal"),
        ("fresh,f,,,,,,,,,5 VND/kWh,\n", "base.unit_mismatch", 2, "price"),
        ("discharge,f,,,,,,,,,5 VND/m3,\ndischarge,g,,,,,,,,,5 VND/m3,\n", "reuse.only_one", 3, "kind"),
        ("operation,a,,,,1 kg/h,0 ppm,10 ppm,,,,\nsink,a,,,4 t/h,,5 ppm,,,,,\n", "network.name_twice", 2, "name"),
    ],
)  # fmt: skip
def test_an_error_names_its_place_in_both_languages(table, rows, code, line, column):
    with pytest.raises(DeclarationError) as raised:
        read_water(table(HEAD + rows))
    found = {p.code: p for p in reversed(raised.value.problems)}
    assert code in found
    assert str(found[code].where) == place(HEAD + rows, line, column)
    texts = {found[code].text(lang) for lang in ("en", "vi")}
    assert len(texts) == 2
    assert not any("{" in text or code in text for text in texts)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "territory.empty_file"),
        (HEAD, "reuse.nothing"),
        ("kind,name,flows\nsink,a,1\n", "territory.unknown_column"),
    ],
)
def test_a_file_without_rows_or_with_a_strange_column_is_refused(table, text, code):
    with pytest.raises(DeclarationError) as raised:
        read_water(table(text))
    assert [p.code for p in raised.value.problems][-1] == code
    assert str(raised.value.problems[-1].where).startswith("water.csv:1")


def test_a_file_that_is_not_there_and_water_that_is_not_clean_enough_end_with_their_codes(table, tmp_path):
    assert run(tmp_path / "none.csv").exit_code == 1
    dirty = table("kind,name,flow,inlet,outlet\nsink,a,4 t/h,5 ppm,\nfresh,river,,,20 ppm\n")
    with pytest.raises(InfeasibleError):
        reuse(dirty)


def test_the_command_speaks_both_languages_and_json(table):
    path = table(WANG_SMITH)
    english, vietnamese, data = run(path), run(path, "--lang", "vi"), run(path, "--json")
    assert "90 t/h" in english.stdout
    assert "112.5 t/h" in english.stdout
    assert "112,5 t/h" in vietnamese.stdout
    assert "tiết kiệm" in vietnamese.stdout
    made = json.loads(data.stdout)
    assert made["fresh_t_h"] == pytest.approx(90.0)
    assert sum(m["flow_t_h"] for m in made["matches"] if m["from"] == "fresh") == pytest.approx(90.0)


def test_a_discharge_limit_holds_for_the_contaminants_that_it_names(table):
    rows = "kind,name,contaminant,flow,inlet,outlet,removal,price\n"
    rows += "source,works,COD,100 t/h,,100 ppm,,\nsource,works,TSS,100 t/h,,80 ppm,,\n"
    rows += "treatment,lagoon,COD,,,,95 %,1000 VND/m3\ntreatment,lagoon,TSS,,,,0 %,1000 VND/m3\ndischarge,river,COD,,10 ppm,,,\n"
    plan = reuse(table(rows), objective="cost", method="levels").plan
    # (100 - x) 100 + 5 x = 100 * 10
    assert plan.treated["lagoon"] == pytest.approx(9000 / 95, rel=2e-3)
    out = [m for m in plan.matches if m.end == "wastewater"]
    assert sum(m.flow * m.ppm[0] for m in out) <= 100 * 10 * (1 + 1e-6)
