# SPDX-License-Identifier: Apache-2.0
"""The report is one accessible page in two languages that asks no other computer for anything and hides no gap."""

import dataclasses
import math
import re
from datetime import date
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mangrove import messages, serve
from mangrove.errors import RequestError
from mangrove.figures.palette import contrast
from mangrove.serve import Amount, ReportModel, Row, render_report, write_report

VOID = {"meta", "br", "link", "input", "img", "hr"}


class Outline(HTMLParser):
    """Reads a page strictly: every element closed in order; keeps headings, tables, ids, links and words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.headings: list[int] = []
        self.headers: list[dict[str, str | None]] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in VOID:
            return
        self.stack.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "th":
            self.headers.append(dict(attrs))

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in {"style", "desc"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def values(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.found if (value := attrs.get(attribute)) is not None]


def read(html: str) -> Outline:
    outline = Outline()
    outline.feed(html)
    outline.close()
    assert outline.stack == []
    return outline


@pytest.fixture(scope="module", params=["vi", "en"])
def page(request, small_city):
    html = render_report(small_city, request.param)
    return request.param, html, read(html)


def test_the_page_names_its_language_and_its_headings_do_not_skip_a_level(page):
    lang, html, outline = page
    assert f'<html lang="{lang}">' in html
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(
        after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False)
    )


def test_every_table_header_has_a_scope_and_every_table_a_caption(page):
    _, html, outline = page
    assert {header.get("scope") for header in outline.headers} == {"col", "row"}
    assert html.count("<table") == html.count("<caption>") > 8


def test_ids_are_unique_and_every_link_stays_in_the_page(page):
    _, html, outline = page
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    targets = [value for tag, attrs in outline.found if tag == "a" and (value := attrs.get("href"))]
    assert targets
    assert all(target.removeprefix("#") in ids for target in targets)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


def test_nothing_is_asked_from_another_computer_and_no_script_runs(page):
    _, html, outline = page
    without_images = re.sub(r'href="data:[^"]*"', "", html)
    assert not re.search(r"https?:|//[a-z]|@import|src=", without_images)
    assert {"script", "link", "iframe", "img"}.isdisjoint(tag for tag, _ in outline.found)
    assert [value[:22] for value in outline.values("href") if not value.startswith("#")] == [
        "data:image/png;base64,"
    ]
    assert "default-src 'none'" in html


def test_every_figure_is_well_formed_and_has_a_name(page):
    _, html, _ = page
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) >= 7
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.get("role") == "img"
        assert root.get("aria-label")


def test_all_sentences_are_in_the_language_of_the_page(page):
    lang, _, outline = page
    other = "en" if lang == "vi" else "vi"
    assert "report." not in outline.text
    assert "figures." not in outline.text
    assert "base." not in outline.text
    for code in (
        "report.summary",
        "report.section_factors",
        "report.quality_spike",
        "base.status_recalled",
    ):
        assert messages.render(code, lang) in outline.text
        assert messages.render(code, other) not in outline.text


def test_numbers_are_written_in_the_language_of_the_page(small_city):
    vietnamese, english = (read(render_report(small_city, lang)).text for lang in ("vi", "en"))
    assert "42,9" in vietnamese
    assert "triệu tấn CO₂tđ" in vietnamese
    assert "42.9" in english
    assert "Mt CO₂e" in english
    assert "01/03/2025 09:30" in vietnamese


def test_a_missing_number_is_red_words_and_never_a_zero(small_city):
    html = render_report(small_city, "en")
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    sf6 = next(row for row in rows if "SF₆" in row)
    assert sf6.count('class="missing">no data') == 2
    assert ">0<" not in sf6
    steam = next(card for card in re.findall(r"<li>(.*?)</li>", html) if "Hơi nước" in card)
    assert "no data" in steam


def test_conflicts_between_sources_are_shown_with_their_status(small_city):
    html = render_report(small_city, "en")
    conflicts = re.findall(r'<p class="conflict">(.*?)</p>', html)
    assert len(conflicts) == 2
    assert "0.4321" in conflicts[0]
    assert "unofficial" in conflicts[0]
    assert "recalled" in conflicts[1]


def test_gaps_are_ordered_by_what_hangs_on_them(small_city):
    text = read(render_report(small_city, "vi")).text
    assert text.index("«5x» không phải là bước thời gian") < text.index("«31/02/2024» không phải là ngày")


def test_made_up_numbers_are_announced_on_the_first_page(small_city):
    notice = messages.render("report.generated_notice", "vi")
    assert notice in render_report(small_city, "vi")
    real = dataclasses.replace(small_city, total=Amount(1.0, basis="measured"), conditions=())
    assert notice not in render_report(real, "vi")


def test_rows_that_do_not_add_up_to_the_total_say_so(small_city):
    assert "differ from the total" not in render_report(small_city, "en")
    short = dataclasses.replace(small_city, sectors=small_city.sectors[:3])
    assert "The rows differ from the total by 7.5 Mt CO₂e" in render_report(short, "en")


def test_what_is_left_out_of_the_model_is_left_out_of_the_report():
    model = ReportModel(
        territory="Khu A",
        kind="park",
        start=date(2024, 1, 1),
        end=date(2024, 4, 1),
        gwp="AR5",
        total=Amount(1234.0),
    )
    outline = read(render_report(model, "vi"))
    assert "01/01/2024 – 31/03/2024" in outline.text
    assert "1,23 nghìn tấn CO₂tđ" in re.sub(r"\s+", " ", outline.text)
    assert outline.headings == [1, 2, 2]
    assert not any(tag in {"table", "figure"} for tag, _ in outline.found)


def test_a_total_that_is_not_known_is_not_a_zero():
    model = ReportModel(
        territory="A",
        kind="city",
        start=date(2024, 1, 1),
        end=date(2025, 1, 1),
        gwp="AR5",
        total=Amount(math.nan),
    )
    html = render_report(model, "en")
    assert '<p class="total"><span class="missing">no data</span></p>' in html
    assert "Year 2024" in html


def test_the_same_model_gives_the_same_bytes_and_the_file_is_utf_8(small_city, tmp_path):
    first = write_report(small_city, tmp_path / "deep" / "a.html", "vi")
    second = write_report(small_city, tmp_path / "b.html", "vi")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text("utf-8").startswith("<!doctype html>")


def test_another_language_is_refused(small_city):
    with pytest.raises(RequestError) as caught:
        render_report(small_city, "fr")
    assert caught.value.code == "report.unknown_language"


def test_colors_of_text_reach_the_contrast_of_wcag_aa(small_city):
    html = render_report(small_city)
    names = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", html))
    grounds = ["#ffffff", names["tint"], names["brand-tint"]]
    for name in ("ink", "muted", "brand", "alarm"):
        assert all(contrast(names[name], ground) >= 4.5 for ground in grounds), name
    assert contrast(names["alarm"], names["alarm-tint"]) >= 4.5
    assert contrast("#6b4200", "#fff6e5") >= 4.5


def test_every_quality_and_status_has_its_words():
    for quality in serve.report_model.Quality:
        assert f"report.quality_{quality.name.lower()}" in messages.codes("report")
    for status in ("official", "unofficial", "alternate", "recalled"):
        assert f"base.status_{status}" in messages.codes("base")


words = st.text(max_size=80)
number = st.one_of(st.none(), st.just(math.nan), st.floats(-1e12, 1e12, allow_subnormal=False))
amount = st.builds(
    Amount, number, number, number, st.sampled_from(["", "measured", "modelled", "generated", "x"])
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words,
    amount,
    st.lists(st.builds(Row, words, amount, number, note=words), max_size=4),
    st.sampled_from(["vi", "en"]),
)
def test_no_name_and_no_number_breaks_the_page(name, total, rows, lang):
    model = ReportModel(
        territory=name,
        kind="city",
        start=date(2024, 1, 1),
        end=date(2024, 2, 1),
        gwp="AR6",
        boundary=name,
        total=total,
        cards=[serve.Card(row.label, row.amount, note=row.note) for row in rows],
        scopes=rows,
        places=rows,
        sectors=rows,
        accounts=rows,
        identities=[serve.Identity(row.label, row.note) for row in rows],
        commands=[serve.Command(row.label, row.note) for row in rows],
    )
    read(render_report(model, lang))


@pytest.mark.data
def test_a_city_with_the_true_boundaries_of_its_wards_fits_in_a_mail(real_city, schematic_city):
    for model, schematic in ((real_city, False), (schematic_city, True)):
        html = render_report(model, "vi")
        outline = read(html)
        assert len(html.encode()) < 600_000
        assert "Đặc khu Côn Đảo" in outline.text
        assert (messages.render("figures.schematic", "vi") in outline.text) == schematic
