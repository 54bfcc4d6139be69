# SPDX-License-Identifier: Apache-2.0
"""Every error is data: a code, placeholders, a place, an exit code; the sentence is in the reader's language."""

import ast
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove import errors, messages
from mangrove.errors import (
    DataQualityError,
    DeclarationError,
    Hint,
    InfeasibleError,
    LedgerError,
    MangroveError,
    MissingExtraError,
    Problem,
    RequestError,
    RuleError,
    SourceError,
    Where,
    did_you_mean,
)

SOURCE = Path(errors.__file__).parent
VIETNAMESE = re.compile(
    "[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]", re.IGNORECASE
)
CODES = [(code, row) for room in messages.rooms() for code, row in messages.codes(room).items()]
names = st.text("abcdefgh/._-", min_size=1, max_size=12)


def test_the_tree_is_the_one_that_is_drawn():
    kinds = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MangroveError)
    }
    drawn = set(re.findall(r"[├└]── (\w+)", str(errors.__doc__)))
    assert drawn == {kind.__name__ for kind in kinds - {MangroveError}}
    assert all(kind.__bases__ == (MangroveError,) for kind in kinds - {MangroveError})


def test_exit_codes_are_those_that_are_promised():
    one = (MangroveError, DeclarationError, SourceError, RuleError, LedgerError, RequestError, MissingExtraError)  # fmt: skip
    assert {kind.exit_code for kind in one} == {1}
    assert (InfeasibleError.exit_code, DataQualityError.exit_code) == (3, 4)


def test_an_error_carries_its_code_its_data_and_its_place():
    error = SourceError("base.not_a_date", where=Where("meters.csv", 3, 7), text="31/02/2024")
    assert error.code == "base.not_a_date"
    assert error.problems == (Problem("base.not_a_date", {"text": "31/02/2024"}, Where("meters.csv", 3, 7)),)
    assert str(error) == error.text("en") == "meters.csv:3:7: '31/02/2024' is not a date; write 2024-12-31"
    assert error.text("vi") == "meters.csv:3:7: «31/02/2024» không phải là ngày; hãy viết 2024-12-31"


def test_an_optional_library_is_named_with_the_command_that_installs_it():
    assert "pip install 'mangrove[polars]'" in str(MissingExtraError("polars"))
    assert "pip install 'mangrove[polars]'" in MissingExtraError("polars").text("vi")


def test_a_rejected_declaration_carries_all_problems_and_counts_the_errors():
    problems = [
        Problem("base.not_a_date", {"text": "x"}, Where("a.csv", 2)),
        Problem("base.not_a_step", {"text": "y"}, Where("b.csv", 3, 1), "warning"),
        Problem("base.unknown_zone", {"text": "z"}),
    ]
    error = DeclarationError(problems)
    assert error.problem.data == {"count": 2}
    assert list(error.problems) == problems
    assert error.text("vi").splitlines() == [problem.line("vi") for problem in problems]


@given(st.lists(st.builds(Where, names, st.integers(0, 99), st.integers(0, 99)), max_size=20))
def test_places_sort_by_file_then_line_then_column(places):
    assert sorted(places) == sorted(places, key=lambda place: (place.file, place.line, place.column))


@given(names, st.integers(0, 999), st.integers(0, 999))
def test_a_place_prints_as_editors_read_it(file, line, column):
    parts = [file, *(str(number) for number in (line, column) if number)]
    assert str(Where(file, line, column)) == ":".join(parts)


def test_a_hint_is_said_in_the_language_of_its_sentence():
    problem = Problem("base.unknown_unit", {"text": "kw", "hint": did_you_mean("kw", ["kW", "MW"])})
    assert problem.text("en") == "'kw' is not a unit that Mangrove knows (did you mean 'kW'?)"
    assert problem.text("vi") == "«kw» không phải là đơn vị mà Mangrove biết (có phải ý bạn là «kW»?)"
    assert str(Hint("kW")) == Hint("kW").text("en")
    assert not did_you_mean("zzz", ["kW"])


def test_an_unknown_code_shows_itself_with_its_data():
    assert messages.render("nowhere.nothing") == "nowhere.nothing"
    assert messages.render("nowhere.nothing", "vi", x=1) == "nowhere.nothing {'x': 1}"
    assert messages.render("base.not_a_date") == "'{text}' is not a date; write 2024-12-31"
    assert messages.render("base.not_a_date", "fr", text="x") == messages.render("base.not_a_date", "en", text="x")  # fmt: skip


@given(st.text(max_size=30))
def test_what_a_person_wrote_is_shown_as_written(text):
    assert text in messages.render("base.not_a_date", text=text)
    assert text in messages.render("base.not_a_date", "vi", text=text)


@pytest.mark.parametrize(("code", "row"), CODES, ids=[code for code, _ in CODES])
def test_every_sentence_can_be_filled_in_both_languages(code, row):
    fields = {lang: sorted(f for _, f, _, _ in string.Formatter().parse(row[lang]) if f is not None) for lang in messages.LANGUAGES}  # fmt: skip
    assert all(field.isidentifier() for field in fields["en"])
    assert sorted(set(fields["en"])) == sorted(set(fields["vi"]))
    data = {field: f"<{field}>" for field in fields["en"]}
    for lang in messages.LANGUAGES:
        said = messages.render(code, lang, **data)
        assert all(value in said for value in data.values())
        assert not re.search(r"{\w+}", said)


def test_the_vietnamese_sentences_are_vietnamese():
    same = {code for code, row in CODES if row["vi"] == row["en"] and re.search(r"[a-z]{4,} [a-z]{3,}", row["en"])}  # fmt: skip
    assert same == set()
    sentences = [
        row["vi"]
        for _, row in CODES
        if len(re.findall(r"[^\W\d_]{2,}", re.sub(r"{[^}]*}", "", row["vi"]))) >= 4
    ]
    assert len(sentences) > 100
    assert [sentence for sentence in sentences if not VIETNAMESE.search(sentence)] == []


def raised_codes():
    """Every code that the sources hand to an error or a problem as a plain string, with its place."""
    kinds = {"Problem", "Gap", "render", *(name for name in vars(errors) if name.endswith("Error"))}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in kinds and re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", str(node.args[0].value)):
                yield node.args[0].value, {keyword.arg for keyword in node.keywords}, name, f"{path.name}:{node.lineno}"  # fmt: skip


def test_every_code_that_is_raised_has_its_sentence_and_gets_its_placeholders():
    known = dict(CODES)
    found = list(raised_codes())
    assert len(found) > 80
    for code, given_words, kind, place in found:
        assert code in known, f"{place}: no sentence for {code}"
        if kind.endswith("Error") and None not in given_words:
            needed = {f for _, f, _, _ in string.Formatter().parse(known[code]["en"]) if f}
            assert needed <= given_words, f"{place}: {code} needs {sorted(needed - given_words)}"


def test_errors_carry_no_sentence_of_their_own():
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                first = node.exc.args[0]
                name = getattr(node.exc.func, "id", "")
                if name in vars(errors) and isinstance(first, ast.Constant):
                    assert " " not in str(first.value), f"{path.name}:{node.lineno}"
