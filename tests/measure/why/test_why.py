# SPDX-License-Identifier: Apache-2.0
"""Causes on a small park whose truth is known: a factory with Sundays, a hot month, a production index, a new cleaner fuel."""

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

import mangrove as mg
from mangrove import city, printing_city
from mangrove.cli import app
from mangrove.errors import RequestError
from mangrove.ledger import Origin
from mangrove.measure.why.causes import CAUSES, Period, split
from mangrove.testing import park_of, values

FLOWS = [
    {"id": "a", "carrier": "electricity", "unit": "kWh", "step": "1d", "scope": "2", "sector": "mill", "uncertainty": "2 %"},
    {"id": "b", "carrier": "electricity", "unit": "kWh", "step": "1d", "scope": "2", "sector": "mill", "uncertainty": "2 %"},
    {"id": "kiln", "carrier": "fuel:diesel", "unit": "L", "step": "1mo", "scope": "1", "sector": "kiln", "uncertainty": "5 %"},
    {"id": "heat", "carrier": "weather:temperature", "unit": "degC", "step": "1d", "semantics": "state"},
    {"id": "output", "carrier": "index:output", "unit": "1", "step": "1d", "semantics": "state"},
]  # fmt: skip
GRID = [{"activity": "grid/vn", "gas": "CO2", "value": "0.6592", "unit": "t CO2/MWh", "uncertainty": "3 %"}]
FIRST = date(2023, 1, 1)
SUNDAY, WARM = 0.5, 0.03


def day(number):
    return datetime(2023, 1, 1, tzinfo=UTC) - timedelta(hours=7) + timedelta(days=number)


def amounts(number, level):
    """What a flow takes on a day: less on Sundays, more when it is warm; no noise."""
    today = FIRST + timedelta(days=number)
    return level * (SUNDAY if today.isoweekday() == 7 else 1.0) * np.exp(WARM * (warmth(number) - 18.3))


def warmth(number):
    return 26 + 3 * np.sin(2 * np.pi * number / 365) + (2.0 if number % 3 == 0 else 0.0)


def output(number):
    return 1.0 if number < 365 else 1.2


def world(folder, *, driven=False):
    park_of(folder, FLOWS, factors=GRID)
    if driven:
        (folder / "drivers.csv").write_text("target,index\nmill,output\n", encoding="utf-8")
    park = mg.open(folder)
    rows = [("heat", day(n), warmth(n)) for n in range(730)] + [
        ("output", day(n), output(n)) for n in range(730)
    ]
    rows += [("a", day(n), amounts(n, 1000.0 * output(n))) for n in range(730)]
    rows += [("b", day(n), amounts(n, 500.0 * output(n) * (1.0 if n < 365 else 0.8))) for n in range(730)]
    months = [datetime(2023 + m // 12, m % 12 + 1, 1, tzinfo=UTC) - timedelta(hours=7) for m in range(24)]
    rows += [("kiln", start, 300.0) for start in months]
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("test", "1"))
    return park


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return world(tmp_path_factory.mktemp("why"))


def test_causes_add_up_to_the_difference_of_the_two_measurements(park):
    found = city.why(park, "2024-03")
    totals = [mg.measure(park, period, store=False).total()["co2e_kg"] for period in ("2023-03", "2024-03")]
    assert found.change == pytest.approx(totals[1] - totals[0], rel=1e-12)
    assert sum(found.causes().values()) == pytest.approx(found.change, rel=1e-9)
    for by in ("sector", "place", "flow"):
        rows = found.table(by).to_pylist()
        for row in rows:
            assert sum(row[cause] for cause in CAUSES) == pytest.approx(row["change"], abs=1e-6)
        assert sum(row["change"] for row in rows) == pytest.approx(found.change, rel=1e-9)


def test_the_calendar_and_the_warmth_have_the_effect_that_the_world_gave_them(park):
    """March 2023 has four Sundays, March 2024 five; warmth and level are known in closed form."""
    found = city.why(park, "2024-03")
    rows = {row["flow"]: row for row in found.table("flow").to_pylist()}

    def mean(first, factor):
        return np.mean([factor(n) for n in range(first, first + 31)])

    def sunday(n):
        return SUNDAY if (FIRST + timedelta(days=n)).isoweekday() == 7 else 1.0

    march = [(date(year, 3, 1) - FIRST).days for year in (2023, 2024)]
    calendar = np.log(mean(march[1], sunday) / mean(march[0], sunday))
    warm = np.log(
        mean(march[1], lambda n: np.exp(WARM * warmth(n)))
        / mean(march[0], lambda n: np.exp(WARM * warmth(n)))
    )
    whole = np.log(rows["a"]["after"] / rows["a"]["before"])
    scale = rows["a"]["change"] / whole
    assert rows["a"]["calendar"] == pytest.approx(scale * calendar, rel=0.02)
    assert rows["a"]["weather"] == pytest.approx(scale * warm, rel=0.05, abs=abs(scale) * 5e-4)
    assert rows["kiln"]["calendar"] == rows["kiln"]["weather"] == 0


def test_without_a_driver_the_sector_is_activity_and_the_shift_inside_it_structure(park):
    rows = {row["flow"]: row for row in city.why(park, "2024-03").table("flow").to_pylist()}
    assert rows["a"]["structure"] > 0 > rows["b"]["structure"]
    assert rows["a"]["activity"] > 0
    assert rows["a"]["intensity"] == rows["b"]["intensity"] == 0


def test_a_driver_takes_activity_and_leaves_the_rest_to_intensity(tmp_path):
    found = city.why(world(tmp_path, driven=True), "2024-03")
    row = found.table("sector").to_pylist()[0]
    scale = row["change"] / np.log(row["after"] / row["before"])
    assert row["sector"] == "mill"
    assert row["activity"] / scale == pytest.approx(np.log(1.2), abs=0.005)
    assert row["intensity"] / scale == pytest.approx(np.log((1000 + 400) / 1500), abs=0.015)


def test_an_error_that_both_periods_share_cancels_in_the_change(park):
    """The meters err by 2 % (95 %): a change of x moves by 2 % of x, not by 2 % of both totals."""
    found = city.why(park, "2024-03")
    assert found.low < found.change < found.high
    assert found.high - found.low < 0.5 * abs(found.change)


def test_a_flow_that_fell_silent_is_named_and_no_reduction(tmp_path):
    park_of(tmp_path, FLOWS[:2])
    park = mg.open(tmp_path)
    rows = [("a", day(n), 100.0) for n in range(59)] + [("b", day(n), 100.0) for n in range(31)]
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("test", "1"))
    found = city.why(park, "2023-02", against="2023-01")
    assert found.flows == ("a",)
    assert found.left_out == ("b",)
    assert "why.left_out" in [note.code for note in found.notes]
    with pytest.raises(RequestError) as caught:
        city.why(park, "2023-03", against="2023-01")
    assert caught.value.code == "why.nothing_common"
    with pytest.raises(RequestError) as caught:
        city.why(park, "2025-03", against="2023-01")
    assert caught.value.code == "why.nothing_common_because"  # no factor of the grid is official in 2025


def test_missing_days_are_a_cause_of_their_own(tmp_path):
    park_of(tmp_path, FLOWS[:1], factors=GRID)
    park = mg.open(tmp_path)
    rows = [("a", day(n), 100.0) for n in range(31)] + [("a", day(n), 100.0) for n in range(31, 45)]
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("test", "1"))
    found = city.why(park, "2023-02", against="2023-01").causes()
    change = sum(found.values())
    assert found["data"] == pytest.approx(change * np.log(14 / 28) / np.log(14 / 31), rel=1e-9)
    assert found["length"] == pytest.approx(change * np.log(28 / 31) / np.log(14 / 31), rel=1e-9)
    assert found["activity"] == pytest.approx(0, abs=1e-6)


def test_a_removal_is_explained_like_an_emission_and_a_turned_sign_is_activity():
    def period(amount, co2e):
        one = np.ones(len(amount))
        return Period(30.0, np.array(amount), np.array(co2e), one, one, one, np.full(len(amount), np.nan))

    before, after = period([10.0, 5.0], [-20.0, 8.0]), period([15.0, -5.0], [-30.0, -8.0])
    found = split(before, after, ["forest", "other"])
    assert found.sum(axis=1) == pytest.approx([-10.0, -16.0])
    assert found[1, CAUSES.index("activity")] == -16.0


def test_text_and_figure_say_the_same_in_both_languages(park):
    found = city.why(park, "2024-03")
    assert "activity" in printing_city.why_text(found, "sector", "en")
    assert "mức hoạt động" in printing_city.why_text(found, "sector", "vi")
    assert printing_city.why_figure(found, "vi").startswith("<svg")


def test_hot_spots_add_up_and_know_their_doubt(park):
    found = city.hotspots(park, "2024-03", by=["flow"], top=1)
    assert found.keys[0] == ("a",)
    assert found.in_top[0] == 1.0
    assert found.kg.sum() == pytest.approx(
        mg.measure(park, "2024-03", store=False).total()["co2e_kg"], rel=1e-12
    )
    assert found.cover.members.tolist() == [0]


def test_an_event_is_found_in_the_flow_that_it_touched(tmp_path):
    park_of(tmp_path, [{**FLOWS[0], "id": name} for name in ("hit", "calm", "far")])
    park = mg.open(tmp_path)
    rng = np.random.default_rng(11)
    rows = []
    for name, change in (("hit", 0.75), ("calm", 1.0), ("far", 1.0)):
        rows += [
            (
                name,
                day(n),
                amounts(n, 100.0) * np.exp(0.03 * rng.standard_normal()) * (change if n >= 300 else 1.0),
            )
            for n in range(330)
        ]
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("test", "1"))
    found = city.event(park, ["hit", "calm"], FIRST + timedelta(days=300), controls=["far"])
    assert found.found == {"hit"}
    assert found.effects["hit"].low < -0.25 < found.effects["hit"].high
    assert found.effects["calm"].low < 0 < found.effects["calm"].high


def test_an_event_of_which_nothing_can_be_told_prints_its_problems_and_no_empty_table(tmp_path):
    park_of(tmp_path, FLOWS)
    with mg.open(tmp_path).writer():
        pass
    asked = ["event", str(tmp_path), "--at", "2024-06-01", "--flows", FLOWS[0]["id"]]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 4
    assert done.stdout == ""
    assert FLOWS[0]["id"] in done.stderr
    assert json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout) == []


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda park: city.event(park, ["nope"], "2023-06-01"), "why.unknown_flow"),
        (lambda park: city.event(park, ["a"], "2023-06-01", controls=["a"]), "why.control_is_flow"),
        (lambda park: city.why(park, "2024-03").table("colour"), "why.unknown_group"),
        (lambda park: city.hotspots(park, "2031", by=["flow"]), "why.nothing"),
        (lambda park: city.hotspots(park, "2024", by=["flow"], share=2), "why.share"),
    ],
)
def test_questions_that_make_no_sense_are_refused(park, ask, code):
    with pytest.raises(RequestError) as caught:
        ask(park)
    assert caught.value.code == code
