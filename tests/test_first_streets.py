# SPDX-License-Identifier: Apache-2.0
"""The tutorial of streets does what it shows in both languages, and ends with a territory whose page has streets, signals and plans."""

import json
import re

import pytest
from tests.test_docs import DOCS, Reader, blocks_of

from mangrove import api, signals

ENGLISH, VIETNAMESE = (DOCS / "tutorials" / name for name in ("first-streets.md", "duong-pho-dau-tien.md"))


@pytest.mark.parametrize("page", [ENGLISH, VIETNAMESE], ids=["en", "vi"])
def test_the_tutorial_of_streets_does_what_it_shows(page, tmp_path):
    pytest.importorskip("sumo")
    pytest.importorskip("sumo_rl")
    reader = Reader(tmp_path)
    reader.follows(page)
    park = api.open(reader.folder / "town")
    with park.reader() as ledger:
        assert [one["names"] for one in signals.stored(ledger).values()] == [
            ["installed", "actuated", "adaptive"]
        ]
        kept = [json.loads(ledger.record(id_)[1]) for id_, _ in ledger.records("traffic")]
    assert [one["links"] for one in kept] == [4]


def test_both_tutorials_of_streets_run_the_same_commands():
    english, vietnamese = (
        [re.sub(r"\b(en|vi)\b", "LANG", block.code) for block in blocks_of(page) if block.language != "text"]
        for page in (ENGLISH, VIETNAMESE)
    )
    assert len(english) > 10
    assert english == vietnamese
