# SPDX-License-Identifier: Apache-2.0
"""The tutorial of exchanges does what it shows in both languages; what is typed into the page gives the match that it shows."""

import re
import shutil

import pytest
from tests.doors import EXAMPLES
from tests.test_docs import DOCS, Block, Reader, blocks_of, matches

from mangrove import api, listings

ENGLISH, VIETNAMESE = (DOCS / "tutorials" / name for name in ("first-exchanges.md", "trao-doi-dau-tien.md"))
SHOP = "wood_shop"


def desk(tmp_path):
    """A reader with the example park in front of them, as it stands in the repository."""
    reader = Reader(tmp_path)
    shutil.copytree(
        EXAMPLES / "park", reader.folder / "park", ignore=shutil.ignore_patterns(".mangrove", "values")
    )
    return reader


def typed_into_the_page(page):
    """The fields of the offer that a tutorial puts up, by the columns of offers.csv."""
    cells = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(zip(("id", "carrier", "text", "quantity", "quality"), cells, strict=True))


@pytest.mark.parametrize("page", [ENGLISH, VIETNAMESE], ids=["en", "vi"])
def test_the_tutorial_of_exchanges_does_what_it_shows(page, tmp_path):
    reader = desk(tmp_path)
    reader.follows(page)
    park = api.open(reader.folder / "park")
    assert park.territory.places[SHOP].name in page.read_text(encoding="utf-8")
    listings.enter(park, "offer", {**typed_into_the_page(page), "place": SHOP}, author="Lan")
    blocks = blocks_of(page)
    at = next(i for i, block in enumerate(blocks) if "--offer bark" in block.code)
    asked = Block("bash", True, blocks[at].code.replace("out/live", "park"), blocks[at].line, None)
    assert matches(blocks[at + 1].code, reader.types(asked))


def test_both_tutorials_of_exchanges_run_the_same_commands():
    english, vietnamese = (
        [re.sub(r"\b(en|vi)\b", "LANG", block.code) for block in blocks_of(page) if block.language != "text"]
        for page in (ENGLISH, VIETNAMESE)
    )
    assert len(english) > 15
    assert english == vietnamese
    assert typed_into_the_page(ENGLISH) == typed_into_the_page(VIETNAMESE)
