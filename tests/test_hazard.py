# SPDX-License-Identifier: Apache-2.0
"""Alerts of a territory from values in its ledger: what is said, since when, and what is not said."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mangrove import api, hazard
from mangrove.handle import Handle
from mangrove.ledger.types import Origin

AT = datetime(2026, 11, 6, 5, 30, tzinfo=UTC)
"""12:30 in Hồ Chí Minh City."""
TERRITORY = """\
name: Thành phố Thử Triều
kind: city
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: city
"""
PLACES = "id,name,kind,parent,lat,lon\ncity,Thành phố,city,,10.8,106.7\nquay,Bến Phú An,facility,city,10.78,106.7\nroad,Đường Nguyễn Hữu Cảnh,facility,city,10.79,106.71\n"
FLOWS = """\
id,place,carrier,unit,step,semantics,parameters,name
tide,quay,water_level:tide,m,1h,state,station=Phú An,Mực nước Phú An
street,road,water_level:road,cm,1h,state,alarm1=10 cm; alarm2=30 cm; hysteresis=2 cm,Ngập đường
rain,road,weather:rain,mm,1h,sum,,Mưa
warm,road,weather:temperature,degC,1h,state,,Nhiệt độ
damp,road,weather:humidity,%,1h,state,,Độ ẩm
pm,road,air:pm25,ug/m3,1h,state,,Bụi mịn
co,road,air:co,ppm,1h,state,,CO
"""


@pytest.fixture
def park(tmp_path: Path) -> Handle:
    for name, text in (("territory.yaml", TERRITORY), ("places.csv", PLACES), ("flows.csv", FLOWS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [one for one in api.check(tmp_path) if one.severity == "error"] == []
    opened = api.open(tmp_path)
    with opened.writer():
        pass
    return opened


def put(park: Handle, flow: str, values, *, last: datetime = AT, run: str = "measured") -> None:  # type: ignore[no-untyped-def]
    """Hourly values whose last hour holds `last`."""
    values = np.asarray(values, float)
    end = last.replace(minute=0)
    starts = [end - timedelta(hours=len(values) - 1 - i) for i in range(len(values))]
    table = pa.table({"flow": [flow] * len(values), "start": starts, "value": values})
    with park.writer() as ledger:
        ledger.append(table, Origin("test", f"{flow}{run}", run=run))


def found(park: Handle) -> list[tuple[str, int]]:
    return [(one.kind, one.level) for one in hazard.alerts(park, AT)]


def test_a_tide_above_level_two_is_an_alert_since_it_crossed_with_its_rule(park):
    put(park, "tide", [1.2, 1.3, 1.42, 1.51, 1.49, 1.55])
    (one,) = hazard.alerts(park, AT)
    assert (one.kind, one.level, one.place) == ("flood", 2, "quay")
    assert one.since == AT.replace(minute=0) - timedelta(hours=2), "1.49 m is within the hysteresis"
    assert one.value == pytest.approx(1.55)
    assert "05/2020" in one.source
    assert one.trend == pytest.approx(0.02, abs=1e-9), "least squares through 1.51, 1.49, 1.55"
    assert one.crossing is None


def test_a_stored_forecast_says_when_the_next_level_is_expected(park):
    put(park, "tide", [1.3, 1.42, 1.45])
    ahead = AT + timedelta(hours=6)
    put(park, "tide", [1.47, 1.49, 1.52, 1.58, 1.61, 1.5], last=ahead, run="forecast")
    (one,) = hazard.alerts(park, AT)
    assert (one.kind, one.level) == ("flood", 1)
    assert one.crossing == AT.replace(minute=0) + timedelta(hours=3), (
        "the first forecast hour at 1.50 m or more"
    )


def test_a_level_that_is_only_expected_is_said_as_such(park):
    put(park, "tide", [1.2, 1.25, 1.3])
    put(park, "tide", [1.35, 1.41], last=AT + timedelta(hours=2), run="forecast")
    (one,) = hazard.alerts(park, AT)
    assert (one.kind, one.level, one.since) == ("flood_expected", 1, None)


def test_declared_levels_of_a_road_count_in_its_own_unit(park):
    put(park, "street", [0, 0, 12, 31, 29, 28.5])
    (one,) = hazard.alerts(park, AT)
    assert (one.level, one.status) == (2, "declared")
    assert one.value == pytest.approx(0.285)


def test_old_values_give_no_alert_but_a_problem(park):
    put(park, "tide", [1.7, 1.8], last=AT - timedelta(hours=5))
    told = hazard.now(park, AT)
    assert told.alerts == []
    assert [one.code for one in told.problems if one.severity == "warning"] == ["hazard.stale"]


def test_a_downpour_is_classed_by_what_fell_in_12_and_24_hours(park):
    fell = np.zeros(48)
    fell[-20:-17] = 30.0
    put(park, "rain", fell)
    (one,) = hazard.alerts(park, AT)
    assert (one.kind, one.level) == ("rain", 1), "90 mm in 24 hours, nothing in the last 12"
    assert one.value == pytest.approx(90)
    assert one.since == AT.replace(minute=0) - timedelta(hours=18), "the second hour made 60 mm"


def test_heat_counts_the_highest_of_the_day_and_the_index_what_it_feels_like(park):
    put(park, "warm", [30, 34, 36, 37.5, 33])
    put(park, "damp", [60, 60, 60, 60, 60])
    kinds = dict(found(park))
    assert kinds == {"heat": 2, "heat_index": 2}, "33 degC at 60 % feels like 39.6 degC"


def test_bad_air_is_an_alert_since_the_hour_in_which_the_index_passed_100(park):
    put(park, "pm", [20.0] * 20 + [120.0] * 6)
    told = hazard.now(park, AT)
    (one,) = told.alerts
    (station,) = told.stations
    assert one.kind == "air"
    by_hand = [(120 * sum(0.5**i for i in range(n)) + 20 * sum(0.5**i for i in range(n, 12))) / sum(0.5**i for i in range(12)) for n in range(1, 7)]  # fmt: skip
    first = next(n for n, value in enumerate(by_hand, 1) if value > 50)
    assert one.since == AT.replace(minute=0) - timedelta(hours=6 - first)
    expected = 150 + (by_hand[-1] - 80) / 70 * 50
    assert station.index.value == one.value == round(expected)
    assert {(limit.document, limit.averaging) for limit, _ in station.exceeded} == {("WHO2021", "24h")}


def test_carbon_monoxide_in_ppm_joins_the_index(park):
    put(park, "pm", [10.0] * 40)
    put(park, "co", [30.0] * 40)
    (station,) = hazard.now(park, AT).stations
    milligrams = 30 * 28.010 / 24.465
    assert station.index.pollutant == "co"
    assert station.index.value == round(100 + (milligrams - 30) / 15 * 50)
    assert station.day.value == station.index.value


def test_nothing_measured_is_no_alert(park):
    assert found(park) == []


def test_the_answer_is_the_same_as_text_and_as_json(park):
    put(park, "tide", [1.2, 1.65])
    told = hazard.now(park, AT)
    rows = json.loads(hazard.as_json(told, "vi"))
    assert rows["alerts"][0]["rule"] == "báo động 3 tại Phú An (1,6 m)"
    text = hazard.as_text(told, park.territory, "vi")
    assert "báo động 3 tại Phú An" in text
    assert "2026-11-06 12:00" in text
