# SPDX-License-Identifier: Apache-2.0
"""The tutorial of the first city does what it shows; its Vietnamese page runs the same commands."""

import re
import shutil

from tests.doors import EXAMPLES
from tests.test_docs import DOCS, Reader, blocks_of

ENGLISH, VIETNAMESE = (DOCS / "tutorials" / name for name in ("first-city.md", "thanh-pho-dau-tien.md"))


def test_the_tutorial_of_the_city_does_what_it_shows(tmp_path):
    reader = Reader(tmp_path)
    shutil.copytree(EXAMPLES / "city", reader.folder / "city", ignore=shutil.ignore_patterns(".mangrove"))
    reader.follows(ENGLISH)
    before = (reader.folder / "before.txt").read_text(encoding="utf-8")
    assert "transport" in before


def test_both_tutorials_of_the_city_run_the_same_commands():
    english, vietnamese = (
        [re.sub(r"\b(en|vi)\b", "LANG", block.code) for block in blocks_of(page) if block.run]
        for page in (ENGLISH, VIETNAMESE)
    )
    assert len(english) > 7
    assert english == vietnamese
