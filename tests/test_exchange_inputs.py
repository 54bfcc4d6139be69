# SPDX-License-Identifier: Apache-2.0
"""What running exchanges use of offers and needs in a year, of which only some months are metered, against sums by hand."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.trading import RUNNING, folder

import mangrove as mg
from mangrove import exchange_inputs, testing
from mangrove.ledger import Ledger, Origin

FLOWS = """\
id,place,to_place,carrier,unit,step,semantics,uncertainty
sent,mill,bricks,waste:100202,kg,1mo,sum,2 %
arrived,bricks,,waste:100202,t,1mo,sum,2 %
"""
BOTH = RUNNING.replace("sent,,-20000", "sent,arrived,-20000")
DAY = date(2026, 11, 1)


def month(year, number):
    """The first instant of a month at the mill."""
    return datetime(year, number, 1, tzinfo=UTC) - timedelta(hours=7)


def used(path, told, *, flows=FLOWS, exchanges=BOTH):
    """What runs, and the notes about it, where the meters said `told`: (flow, start, value)."""
    folder(path, flows=flows, exchanges=exchanges)
    with Ledger.open(path / ".mangrove") as ledger:
        ledger.append(
            testing.values([(flow, at, float(amount)) for flow, at, amount in told]), Origin("test", "1")
        )
    park = mg.open(path)
    return exchange_inputs.running(park, park.territory, DAY)


def test_months_that_nobody_metered_yet_count_as_the_mean_of_those_that_are(tmp_path):
    left = dict(enumerate((40, 44, 36, 50, 30), start=1))  # t; 200 t in five months: 40 t a month
    came = dict(enumerate((39, 43, 35, 49, 24), start=1))  # 190 t: 38 t a month
    told = [("sent", month(2024, m), 1000 * t) for m, t in left.items()]
    told += [("arrived", month(2024, m), t) for m, t in came.items()]
    amounts, (note,) = used(tmp_path, told)
    assert amounts["slag"] == pytest.approx([40, 44, 36, 50, 30, *[40] * 7])
    assert amounts["stone"] == pytest.approx([39, 43, 35, 49, 24, *[38] * 7])
    assert (note.code, note.data["amount"]) == ("exchange.running_partly", 480)  # 200 t and seven times 40 t
    assert (note.data["months"], note.data["count"]) == ("2024-01–2024-05", 7)
    assert "2024-01–2024-05; the other 7 months" in note.text("en")
    assert "2024-01–2024-05; 7 tháng còn lại" in note.text("vi")


def test_the_same_month_of_the_year_before_stands_for_one_that_is_not_metered_yet(tmp_path):
    told = [("sent", month(2023, m), 1000 * (100 + m)) for m in range(8, 13)]
    told += [("sent", month(2024, m), 1000 * m) for m in range(1, 6)]
    amounts, notes = used(tmp_path, told)
    mean = (sum(range(108, 113)) + sum(range(1, 6))) / 10  # June and July were never metered
    assert amounts["slag"] == pytest.approx([1, 2, 3, 4, 5, mean, mean, 108, 109, 110, 111, 112])
    assert amounts["stone"] == pytest.approx(amounts["slag"]), "the only meter stands for both ends"
    assert notes[0].data["months"] == "2023-08–2024-05"


def test_of_more_than_a_year_each_month_is_the_newest_one(tmp_path):
    told = [("sent", month(2023, m), 1000.0) for m in range(1, 13)]
    told += [("sent", month(2024, m), 7000.0) for m in range(1, 4)]
    amounts, (note,) = used(tmp_path, told)
    assert amounts["slag"] == pytest.approx([7, 7, 7, *[1] * 9])
    assert (note.code, note.data["months"]) == ("exchange.running_used", "2023-04–2024-03")


def test_a_month_that_still_runs_is_left_out_whether_the_meter_states_its_step_or_not(tmp_path):
    first, days = month(2024, 1), (31 + 29 + 31 + 30 + 31) + 5  # to 5 June
    told = [("sent", first + timedelta(days=d), 1000.0) for d in range(days)]
    lengths = [31, 29, 31, 30, 31]
    year = [*lengths, *[sum(lengths) / 5] * 7]
    for name, step in (("stated", "1d"), ("silent", "")):
        flows = FLOWS.replace("kg,1mo", f"kg,{step}")
        amounts, notes = used(tmp_path / name, told, flows=flows)
        assert amounts["slag"] == pytest.approx(year), name
        assert notes[0].data["months"] == "2024-01–2024-05"


def test_a_month_with_a_gap_and_one_before_the_exchange_began_are_not_known(tmp_path):
    gap = {(3, 10), (3, 11), (3, 12)}
    days = [date(2024, 1, 1) + timedelta(days=d) for d in range(31 + 29 + 31 + 30)]
    told = [
        ("sent", month(2024, 1) + timedelta(days=n), 1000.0)
        for n, day in enumerate(days)
        if (day.month, day.day) not in gap
    ]
    begins = BOTH.replace("price,parameters", "price,valid_from,parameters").replace(
        "VND/t,", "VND/t,2024-01-15,"
    )
    amounts, notes = used(tmp_path, told, flows=FLOWS.replace("kg,1mo", "kg,1d"), exchanges=begins)
    assert amounts["slag"] == pytest.approx([29.5, 29, 29.5, 30, *[29.5] * 8])
    assert notes[0].data["months"] == "2024-02, 2024-04"


def test_a_mean_rate_counts_its_hours(tmp_path):
    flows = FLOWS.replace(
        "sent,mill,bricks,waste:100202,kg,1mo,sum", "sent,mill,bricks,waste:100202,t/h,1h,mean"
    )
    hours = (31 + 29) * 24
    told = [("sent", month(2024, 1) + timedelta(hours=h), 0.5) for h in range(hours)]
    amounts, _ = used(tmp_path, told, flows=flows)
    assert amounts["slag"][:2] == pytest.approx([0.5 * 31 * 24, 0.5 * 29 * 24])
    assert np.allclose(amounts["slag"][2:], 0.5 * hours / 2)


def test_meters_without_a_whole_month_are_named_and_use_nothing(tmp_path):
    told = [("sent", month(2024, 1) + timedelta(days=d), 1000.0) for d in range(9)]
    amounts, (note,) = used(tmp_path, told, flows=FLOWS.replace("kg,1mo", "kg,1d"))
    assert amounts == {}
    assert note.code == "exchange.running_unread"
