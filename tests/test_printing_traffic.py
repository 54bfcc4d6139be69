# SPDX-License-Identifier: Apache-2.0
"""What people are told beside the streets: gaps of many streets in one line, findings of one kind not by the hundred."""

import pytest

from mangrove.errors import Problem
from mangrove.printing_traffic import summed


def missing(link, count):
    return Problem("vehicles.missing", {"link": link, "count": count, "cells": 12}, severity="warning")


def test_streets_with_gaps_are_one_line_with_those_that_miss_most():
    gaps = [missing(f"s{number:03d}", 1 + number % 12) for number in range(240)]
    note = Problem("vehicles.filled", {"share": "3.0%"}, severity="note")
    told = summed([gaps[0], note, *gaps[1:]])
    assert [one.code for one in told] == ["vehicles.gaps", "vehicles.filled"]
    # 240 streets with 1 to 12 gaps alike: 6.5 of 12 cells
    assert told[0].data == {
        "count": 240, "cells": 12, "share": "54%", "links": "s011 (12), s023 (12), s035 (12), s047 (12), s059 (12)",
    }  # fmt: skip
    for lang in ("en", "vi"):
        assert "240" in told[0].text(lang)
        assert "--json" in told[0].text(lang)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_few_streets_are_told_one_by_one(count):
    gaps = [missing(f"s{number}", number + 1) for number in range(count)]
    assert summed(gaps) == gaps


def test_of_other_findings_the_first_are_told_and_how_many_more_there_are():
    data = {"at": "2026-06-03 07:00Z", "step": "5min"}
    crowded = [Problem("vehicles.crowded", {"flow": f"f{n}", **data}, severity="warning") for n in range(40)]
    told = summed(crowded)
    assert told[:3] == crowded[:3]
    (rest,) = told[3:]
    assert (rest.code, rest.data["count"], rest.severity) == ("vehicles.more", 37, "note")
