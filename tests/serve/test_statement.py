# SPDX-License-Identifier: Apache-2.0
"""The printed pages of a sharing: what stands on them adds up, in both languages, without asking any other computer."""

import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from tests.settle.worlds import START, declare, ingest, readings

from mangrove.errors import RequestError
from mangrove.serve.statement import render_statement, render_summary, write_statements
from mangrove.settle.share import Sharing, share
from mangrove.times import Span

LINKS = "wire_1,store,park,electricity,900 kW,40 VND/kWh\nwire_2,mill,park,electricity,2 MW,40 VND/kWh\n"


@pytest.fixture(scope="module")
def sharing(tmp_path_factory) -> Sharing:
    park = ingest(declare(tmp_path_factory.mktemp("park"), links=LINKS), readings())
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return share(park.territory, snapshot, Span(START, START + timedelta(days=7)))


def table(page: str, number: int) -> list[list[str]]:
    """The texts of the cells of one table."""
    found = re.findall(r"<table.*?</table>", page, re.DOTALL)[number]
    rows = ET.fromstring(found.replace("&nbsp;", " ")).findall("./tbody/tr")
    return [["".join(cell.itertext()) for cell in row] for row in rows]


def amount(words: str) -> int:
    return int(words.replace(".", "").replace(",", "").replace("−", "-"))


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_lines_on_the_page_sum_to_the_total_on_the_page(sharing, lang):
    for one in sharing.statements:
        rows = table(render_statement(sharing, one.member, lang), 0)
        *lines, total = [amount(row[2]) for row in rows]
        assert sum(lines) == total == one.total


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_members_of_the_summary_sum_to_its_last_row(sharing, lang):
    *members, together = table(render_summary(sharing, lang), 0)
    for column in (3, 4, 5):
        assert sum(amount(row[column]) for row in members) == amount(together[column])


def test_every_rule_stands_on_the_summary_with_who_would_leave(sharing):
    rows = table(render_summary(sharing, "en"), 1)
    assert len(rows) == len(sharing.settlement.allocations)
    assert rows[0][0] == "Prices of the optimum (core)"
    assert rows[0][2] == "nobody"
    assert any(row[2] != "nobody" for row in rows)


def test_money_is_written_as_the_language_writes_it(sharing):
    total = f"{sharing.statements[0].total:,}"
    assert f"{total.replace(',', '.')}\u00a0đ" in render_statement(sharing, "mill", "vi")
    assert f"{total}\u00a0VND" in render_statement(sharing, "mill", "en")


def test_a_member_that_gets_money_is_told_so(sharing):
    store = next(one for one in sharing.statements if one.member == "store")
    assert store.total < 0
    assert "Được nhận" in render_statement(sharing, "store", "vi")


def test_one_file_a_member_and_one_for_the_park(sharing, tmp_path):
    paths = write_statements(sharing, tmp_path / "pages", "vi")
    assert [path.name for path in paths] == [
        "park.html",
        "mill.html",
        "shop.html",
        "store.html",
        "office.html",
    ]
    for path in paths:
        page = path.read_text(encoding="utf-8")
        assert "<script" not in page
        assert not re.search(r'(?:src|href)="(?!#)', page)
        assert "settle." not in re.sub(
            r"<style>.*?</style>", "", page, flags=re.DOTALL
        )  # no code without its words


def test_the_same_sharing_gives_the_same_bytes(sharing):
    assert render_summary(sharing, "vi") == render_summary(sharing, "vi")


def test_an_unknown_language_or_member_is_refused(sharing):
    with pytest.raises(RequestError) as error:
        render_summary(sharing, "fr")
    assert error.value.code == "report.unknown_language"
    with pytest.raises(RequestError) as error:
        render_statement(sharing, "nobody")
    assert error.value.code == "settle.unknown_member"
