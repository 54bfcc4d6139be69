# SPDX-License-Identifier: Apache-2.0
"""Every kind of report is the same measurement in another form: text, workbook, document or page."""

import re
import shutil
from pathlib import Path

import docx
import openpyxl
import pytest
from tests.doors import EXAMPLES, GRID, HOURS, MILL, SHOP, Page, mangrove, measured_park

from mangrove import api, official
from mangrove.errors import RequestError

PURCHASED = HOURS * (MILL + SHOP) * GRID / 1000


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return api.open(measured_park(tmp_path_factory.mktemp("official")))


@pytest.fixture(scope="module")
def total(park):
    return api.measure(park, "2023").total()["co2e_kg"] / 1000


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = Path(shutil.copytree(EXAMPLES / "city", tmp_path_factory.mktemp("official") / "city"))
    assert mangrove("ingest", folder, folder / "values" / "inventory_2016.csv", "--no-screen").code == 0
    return api.open(folder)


def write(park, kind, out=None, start="2023", end=None, *, gwp=None, lang="en"):
    return official.write(park, start, end, kind=kind, out=out, gwp=gwp, lang=lang)


def numbers(text: str, lang: str = "en") -> list[float]:
    """Every number with one decimal in a text, in the writing of the language."""
    thousands, mark = (",", r"\.") if lang == "en" else (r"\.", ",")
    found = re.findall(rf"(?<![\d.,])-?\d{{1,3}}(?:{thousands}\d{{3}})*{mark}\d(?!\d)", text)
    strip, point = (",", ".") if lang == "en" else (".", ",")
    return [float(n.replace(strip, "").replace(point, ".")) for n in found]


def cells(path: Path) -> list[float]:
    book = openpyxl.load_workbook(path)
    return [
        c.value
        for sheet in book
        for row in sheet.iter_rows()
        for c in row
        if isinstance(c.value, int | float)
    ]


@pytest.mark.parametrize("lang", ["en", "vi"])
@pytest.mark.parametrize("kind", ["scopes", "iso14064", "circular38"])
def test_the_text_of_a_report_shows_purchased_electricity_and_the_total(park, total, kind, lang):
    shown = numbers(write(park, kind, lang=lang), lang)
    assert any(value == pytest.approx(PURCHASED, abs=0.06) for value in shown)
    assert any(value == pytest.approx(total, abs=0.06) for value in shown)


@pytest.mark.parametrize("kind", ["gpc", "scopes", "iso14064", "circular38"])
def test_a_workbook_holds_the_numbers_of_the_measurement(park, total, tmp_path, kind):
    path = tmp_path / f"{kind}.xlsx"
    assert write(park, kind, path) == f"written: {path}"
    held = cells(path)
    if kind != "gpc":  # the park declares no references of the GPC
        assert any(value == pytest.approx(PURCHASED) for value in held)
        assert any(value == pytest.approx(total) for value in held)


def test_the_facility_report_is_a_document_too(park, total, tmp_path):
    path = tmp_path / "form06.docx"
    write(park, "circular38", path, lang="vi")
    document = docx.Document(str(path))
    text = "\n".join(
        [p.text for p in document.paragraphs]
        + [cell.text for t in document.tables for row in t.rows for cell in row.cells]
    )
    assert "Khu công nghiệp Thử Nghiệm" in text
    assert any(value == pytest.approx(total, abs=0.06) for value in numbers(text, "vi"))


def test_the_inventory_of_the_city_has_its_published_totals(city, tmp_path):
    text = write(city, "gpc", start="2016")
    shown = numbers(text)
    for published in (
        46_886_183.4,
        52_185_643.9,
    ):  # C40 GHG Interactive Dashboard Data, version 30.05.2023: BASIC, BASIC+
        assert any(value == pytest.approx(published, abs=0.06) for value in shown)
    write(city, "gpc", tmp_path / "gpc.xlsx", start="2016")
    assert any(value == pytest.approx(52_185_643.90058307) for value in cells(tmp_path / "gpc.xlsx"))


def test_the_page_is_written_where_it_is_asked_for_and_into_new_folders(park, tmp_path, monkeypatch):
    target = tmp_path / "new" / "folder" / "report.html"
    assert write(park, "html", target) == f"written: {target}"
    assert Page(target).stands_alone()
    monkeypatch.chdir(tmp_path)
    assert write(park, "html", lang="vi") == "đã ghi: park-2023.html"
    assert Page(tmp_path / "park-2023.html").stands_alone()


def test_another_gwp_set_gives_other_numbers_and_is_named(park):
    ar5, ar4 = write(park, "scopes"), write(park, "scopes", gwp="AR4")
    assert "AR5" in ar5
    assert "AR4" in ar4
    assert numbers(ar5) != numbers(ar4)


@pytest.mark.parametrize(
    ("start", "end", "title"),
    [("2023", None, " 2023 "), ("2023-01", None, "2023-01-01 – 2023-01-31"), ("2023-02-01", None, "2023-02-01 "),
     ("2023-01", "2023-04", "2023-01-01 – 2023-03-31"), ("2022", "2024", "2022-01-01 – 2023-12-31")],
)  # fmt: skip
def test_a_report_is_titled_with_its_true_period(park, start, end, title):
    assert title in write(park, "scopes", start=start, end=end).splitlines()[0]


@pytest.mark.parametrize(
    ("start", "end"), [("2023-01", None), ("2023-02-01", "2024-02-01"), ("2023", "2023-12-31")]
)
def test_a_facility_report_covers_whole_years(park, start, end):
    with pytest.raises(RequestError) as refused:
        write(park, "circular38", start=start, end=end)
    assert refused.value.code == "cli.whole_years"
    assert start in refused.value.text("vi")


def test_a_facility_report_of_two_years_has_both(park):
    text = write(park, "circular38", start="2022", end="2024")
    assert "2022" in text
    assert "2023" in text
    assert any(value == pytest.approx(PURCHASED, abs=0.06) for value in numbers(text))


@pytest.mark.parametrize(
    ("kind", "file", "code"),
    [("pretty", None, "cli.unknown_report"), ("html", "x.pdf", "cli.unknown_file"), ("gpc", "x.docx", "cli.unknown_file"),
     ("scopes", "x.csv", "cli.unknown_file"), ("iso14064", "x", "cli.unknown_file"), ("circular38", "x.html", "cli.unknown_file")],
)  # fmt: skip
def test_a_form_that_does_not_exist_is_refused(park, tmp_path, kind, file, code):
    with pytest.raises(RequestError) as refused:
        write(park, kind, tmp_path / file if file else None)
    assert refused.value.code == code
    assert list(tmp_path.iterdir()) == []
