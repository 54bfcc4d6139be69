"""`mangrove eip`: indicators, gaps, forms, JSON, both languages, and errors that say where."""

import json

import pytest
from tests.measure.eip.eip_world import outlet, park
from typer.testing import CliRunner

from mangrove.cli import app, main
from mangrove.rules.eip import fields_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    handle = outlet(tmp_path_factory.mktemp("command"), "QCVN40/column,2024,A,works,\n")
    return handle.territory.path


def run(*words):
    done = CliRunner().invoke(app, ["eip", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_the_table_holds_indicators_and_effluents(folder, lang):
    code, out, _ = run(folder, "--year", 2024, "--lang", lang)
    assert code == 0
    assert "EIP2/waste_reused" in out
    assert "COD" in out
    assert "{" not in out
    assert "eip." not in out
    assert "base." not in out


def test_gaps_are_listed_by_framework(folder):
    code, out, _ = run(folder, "--year", 2024, "--gaps", "--framework", "international")
    assert code == 0
    assert "42,000 m3" in out
    assert "ND35" not in out


def test_json_carries_provenance(folder):
    _, out, _ = run(folder, "--year", 2024, "--json")
    document = json.loads(out)
    by = {one["code"]: one for one in document["indicators"]}
    assert by["EIP2/wastewater_reused"]["exchanges"] == ["reuse"]
    assert by["EIP2/wastewater_reused"]["batches"]
    assert document["effluents"][0]["checks"][0]["days"] == 2


def test_a_form_is_shown_and_written(folder, tmp_path):
    code, out, _ = run(folder, "--year", 2024, "--form", "A.4", "--lang", "vi")
    assert code == 0
    assert "gián tiếp" in out
    code, out, err = run(
        folder, "--year", 2024, "--form", "B.4", "--place", "mill", "--out", tmp_path / "b.docx"
    )
    assert (code, out) == (0, "")
    assert (tmp_path / "b.docx").stat().st_size > 5_000
    assert "b.docx" in err
    _, out, _ = run(folder, "--year", 2024, "--form", "A.4", "--json")
    assert len(json.loads(out)["lines"]) == len(fields_of("A.4"))


def test_a_wrong_answer_ends_with_its_line(tmp_path, capsys, monkeypatch):
    handle = park(tmp_path, answers="A.5/PM.22,2024,yes,,\n")
    monkeypatch.setattr("sys.argv", ["mangrove", "eip", str(handle.territory.path), "--year", "2024"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert "answers.csv:2: " in capsys.readouterr().err
