"""The rules of the house that a test can hold: sizes, floors, start-up, languages."""

import ast
import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mangrove
from mangrove import messages

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "mangrove"
FILES = sorted(SOURCE.rglob("*.py"))
FLOOR = {
    "territory": 1, "rules": 1, "ledger": 1,
    "inference": 2, "network": 2, "traffic": 2, "gridding": 2, "hydraulics": 2, "matching": 2,
    "measure": 3, "forecast": 3, "operate": 3, "plan": 3, "settle": 3,
    "sources": 4, "serve": 4,
}  # fmt: skip
VERBS = {"measure", "forecast", "operate", "plan", "settle"}
MODULE_LINES, FUNCTION_LINES, CLASS_METHODS = 600, 80, 20


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_module_is_small_and_opens_with_its_purpose(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= MODULE_LINES, f"{relative(path)} has {text.count(chr(10))} lines"
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert ast.get_docstring(tree), f"{relative(path)} does not say what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{relative(path)}:{node.lineno} {node.name} has {length} lines"
        if isinstance(node, ast.ClassDef):
            public = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
            assert len(public) <= CLASS_METHODS, (
                f"{relative(path)}:{node.lineno} {node.name} has {len(public)} methods"
            )


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_go_down_only(path):
    room = path.relative_to(SOURCE).parts[0]
    if room not in FLOOR:
        return
    for other in _rooms_imported(path):
        assert FLOOR[other] <= FLOOR[room], f"{relative(path)}: {room} imports {other}, which stands above it"
        assert not (room in VERBS and other in VERBS and other != room), (
            f"{relative(path)}: verb {room} imports verb {other}"
        )


def _rooms_imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "mangrove":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mangrove."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mangrove.")}
    return names & FLOOR.keys()


def test_every_sentence_stands_in_both_languages_with_the_same_placeholders():
    for room in messages.rooms():
        for code, row in messages.codes(room).items():
            assert code.startswith(f"{room}."), f"{code} stands in the table of {room}"
            assert all(row[lang] for lang in messages.LANGUAGES), f"{code} lacks a language"
            fields = [sorted(set(re.findall(r"{(\w+)", row[lang]))) for lang in messages.LANGUAGES]
            assert fields[0] == fields[1], f"{code}: placeholders differ: {fields}"


def test_message_tables_have_no_code_twice():
    for path in sorted((SOURCE / "messages").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            codes = [row["code"] for row in csv.DictReader(file)]
        assert len(codes) == len(set(codes)), f"{path.name} names a code twice"


def test_help_needs_no_heavy_library():
    heavy = (
        "numpy",
        "pyarrow",
        "duckdb",
        "pandas",
        "polars",
        "shapely",
        "pydantic",
        "openpyxl",
        "docx",
        "highspy",
        "scipy",
        "sklearn",
        "lightgbm",
        "pvlib",
        "numba",
        "h5netcdf",
        "pyproj",
    )
    script = f"import sys; sys.argv = ['mangrove', '--help']; from mangrove.cli import app\ntry: app()\nexcept SystemExit: pass\nsys.stderr.write(' '.join(m for m in {heavy!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "measure" in done.stdout
    assert done.stderr == "", f"--help imports {done.stderr}"


def test_every_public_name_is_documented():
    reference = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    for name in mangrove.__all__:
        assert f"`{name}`" in reference or f"`mg.{name}" in reference, (
            f"docs/reference/python.md does not mention {name}"
        )
        assert getattr(mangrove, name).__doc__, f"mangrove.{name} has no docstring"


def test_no_leftovers_in_what_users_read():
    words = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "NotImplemented" + "Error"]))
    folders = [SOURCE, ROOT / "docs", ROOT / "examples"]
    for path in [
        p for folder in folders for p in folder.rglob("*") if p.suffix in {".py", ".md", ".sql", ".yaml"}
    ]:
        assert not words.search(path.read_text(encoding="utf-8")), f"{relative(path)} has a leftover"
