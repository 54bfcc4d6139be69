# SPDX-License-Identifier: Apache-2.0
"""Codes of wastes, activities and products: published counts and entries, hazard, families, maps, similarity, what is refused."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import RuleError
from mangrove.rules import classifications as c
from mangrove.rules import tables

WASTES = c.codes("ewc", 6)
LETTERS = re.compile("[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỷỹỵàáãèéìíĩòóõùúũý]", re.IGNORECASE)


def test_the_list_of_waste_has_the_chapters_and_entries_of_the_decision():
    assert [len(c.codes("ewc", size)) for size in (2, 4, 6)] == [20, 111, 842]


def test_the_activity_lists_have_the_sizes_that_were_published():
    # ISIC Rev. 4: 21 sections, 88 divisions, 238 groups, 419 classes; NACE Rev. 2: 21, 88, 272, 615
    assert [len(c.codes("isic", size)) for size in (1, 2, 3, 4)] == [21, 88, 238, 419]
    assert [len(c.codes("nace", size)) for size in (1, 2, 3, 4)] == [21, 88, 272, 615]


def test_every_waste_and_every_activity_of_viet_nam_has_a_label_in_vietnamese():
    for scheme in ("ewc", "vsic"):
        plain = [code for code in c.codes(scheme) if not LETTERS.search(c.entry(scheme, code).vi)]
        assert all(c.entry(scheme, code).vi for code in c.codes(scheme))
        assert len(plain) < 12, "names of chemicals have no accents, everything else does"


@pytest.mark.parametrize(
    ("code", "danger"),
    [
        ("050103", True),  # tank bottom sludges: an absolute entry, no word of its text says so
        ("130205", True), ("160601", True), ("080501", True), ("170601", True), ("180103", True), ("100308", True),
        ("100202", False), ("150101", False), ("160103", False), ("190805", False), ("030105", False), ("170504", False),
        ("10", None), ("1002", None), ("1302", True), ("0303", False),
    ],
)  # fmt: skip
def test_hazard_follows_the_asterisk_of_the_entry(code, danger):
    assert c.hazardous(code) is danger


def test_408_entries_bear_the_asterisk():
    assert sum(c.hazardous(code) for code in WASTES) == 408


def test_what_contains_hazardous_substances_is_hazardous_and_its_mirror_is_not():
    # paragraphs 2 and 3 of the annex: an entry that names the substances, and the same waste without them
    texts = {code: c.label("ewc", code) for code in WASTES}
    direct = {
        (code[:4], text.split(" containing hazardous substances")[0])
        for code, text in texts.items()
        if text.endswith(" containing hazardous substances")
    }
    mirrors = [
        code
        for code, text in texts.items()
        if (code[:4], text.split(" other than those mentioned in ")[0]) in direct and " other than " in text
    ]
    assert all(
        c.hazardous(code) for code, text in texts.items() if text.endswith(" containing hazardous substances")
    )
    assert len(mirrors) > 80
    assert not any(c.hazardous(code) for code in mirrors)


def test_codes_are_taken_with_and_without_signs():
    spelled = ("100202", "10 02 02", "10.02.02", " 1002.02 ")
    assert {c.entry("ewc", code) for code in spelled} == {c.entry("ewc", "100202")}
    assert c.entry("ewc", "05 01 03*").code == "050103"


@pytest.mark.parametrize(
    ("scheme", "code", "chain"),
    [
        ("ewc", "100202", ("1002", "10")), ("isic", "2410", ("241", "24", "C")), ("nace", "2410", ("241", "24", "C")),
        ("vsic", "24100", ("2410", "241", "24", "C")), ("cpa", "241011", ("24101", "2410", "241", "24", "C")),
        ("hs", "720441", ("7204", "72")), ("cpc", "3711", ("371", "37", "3")), ("ewc", "10", ()),
    ],
)  # fmt: skip
def test_the_family_of_a_code_is_told_nearest_first(scheme, code, chain):
    assert c.ancestors(scheme, code) == chain


@pytest.mark.parametrize(
    ("scheme", "code", "other", "same"),
    [
        ("nace", "2351", "isic", ("2394",)),  # cement: 23.51 of NACE Rev. 2 is part of 2394
        ("isic", "2394", "nace", ("2351", "2352")),
        ("isic", "2410", "vsic", ("2410",)),
        ("vsic", "0111", "isic", ("0112",)),  # rice: VSIC and ISIC number the crops differently
        ("vsic", "24100", "nace", ("2410", "2431", "2432", "2433", "2434", "2420")),
        ("cpa", "23.51.12", "isic", ("2394",)),
        ("nace", "2410", "cpa", ("2410",)),
        ("cpc", "3711", "hs", ()),
        ("ewc", "100202", "ewc", ("100202",)),
    ],
)
def test_activities_and_their_products_are_carried_from_list_to_list(scheme, code, other, same):
    assert set(c.equivalents(scheme, code, other)) == set(same)


@pytest.mark.parametrize(
    ("code", "isic"),
    [("1391", "1391"), ("3101", "3100"), ("2611", "2610"), ("1105", "1104"), ("2212", "2219")],
)
def test_classes_of_viet_nam_are_known_in_their_older_and_newer_numbers(code, isic):
    assert c.equivalents("vsic", code, "isic") == (isic,)


def test_every_class_of_nace_and_of_viet_nam_leads_to_a_class_or_division_of_isic():
    for scheme in ("nace", "vsic"):
        for code in c.codes(scheme, 4):
            assert all(c.exists("isic", target) for target in c.equivalents(scheme, code, "isic")), code
            assert c.equivalents(scheme, code, "isic"), code


def test_similarity_is_that_of_wu_and_palmer():
    assert c.similarity("ewc", "100202", "ewc", "100202") == 1.0
    assert c.similarity("ewc", "100202", "ewc", "100201") == pytest.approx(4 / 6)
    assert c.similarity("ewc", "100202", "ewc", "100903") == pytest.approx(2 / 6)
    assert c.similarity("ewc", "100202", "ewc", "1002") == pytest.approx(4 / 5)
    assert c.similarity("nace", "2351", "isic", "2394") == 1.0
    assert c.similarity("cpc", "3711", "ewc", "100202") == 0.0


@given(st.sampled_from(WASTES), st.sampled_from(WASTES))
def test_similarity_is_symmetric_and_is_one_only_of_a_code_with_itself(one, two):
    near = c.similarity("ewc", one, "ewc", two)
    assert near == c.similarity("ewc", two, "ewc", one)
    assert (near == 1.0) is (one == two)
    assert 0.0 <= near <= 1.0


@pytest.mark.parametrize(
    ("scheme", "code", "hint"),
    [
        ("ewc", "100204", "100202"), ("ewc", "030103", "030104"), ("nace", "2425", "2420"), ("hs", "7205.99.11.222", None),
        ("ewc", "unprocessed slags", "100202"), ("ewc", "xi chua che bien", "100202"), ("isic", "", None), ("ewc", "99", None),
    ],
)  # fmt: skip
def test_an_unknown_code_is_refused_with_the_nearest_one(scheme, code, hint):
    assert not c.exists(scheme, code)
    with pytest.raises(RuleError) as refused:
        c.entry(scheme, code)
    assert refused.value.code == "rules.unknown_code"
    assert refused.value.problem.data["text"] == code
    told = refused.value.problem.data["hint"]
    assert hint is None or told.word == hint
    assert scheme in refused.value.problem.text("vi")


def test_an_unknown_classification_is_refused_with_the_known_ones():
    with pytest.raises(RuleError) as refused:
        c.entry("eww", "100202")
    assert refused.value.code == "rules.unknown_scheme"
    assert refused.value.problem.data["hint"].word == "ewc"


def test_every_classification_names_its_document():
    listed = {row["scheme"] for row in tables.rows("classification_schemes") if row["document"]}
    assert listed == set(c.SCHEMES)


@pytest.mark.data
def test_codes_and_labels_are_those_of_the_lists_they_were_keyed_from(data_dir):
    folder = data_dir / "symbiosis" / "codes"
    for file, scheme, column in (
        ("ewc_low", "ewc", "code"),
        ("isic4", "isic", "Code"),
        ("hs2007", "hs", "HS 2007"),
        ("cpa21", "cpa", "CPA 2.1"),
    ):
        for row in read(folder / f"{file}.csv"):
            code = row[column] if row[column].isalpha() or scheme == "isic" else row[column].zfill(6)
            assert c.exists(scheme, code), (scheme, code)
    for row in read(folder / "ewc_low.csv"):
        plain = (
            " ".join(row["Description"].replace("(3)", "").split())
            .rstrip(".")
            .replace("others than", "other than")
        )
        assert c.label("ewc", row["code"]).casefold() == plain.casefold()


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
