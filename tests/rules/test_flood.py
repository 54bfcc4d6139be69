# SPDX-License-Identifier: Apache-2.0
"""Alarm levels, hysteresis and the heat index against published values."""

from datetime import date

import numpy as np
import pytest

from mangrove.rules import flood
from mangrove.rules.tables import rows

DAY = date(2026, 11, 1)


@pytest.mark.parametrize(
    ("station", "level", "value", "above"),
    [
        ("Phú An", 3, 1.74, 0.14),  # 25 January 2020
        ("Nhà Bè", 3, 1.71, 0.11),
        ("Phú An", 2, 1.55, 0.05),  # 20 November 2025
        ("Thủ Dầu Một", 3, 1.66, 0.06),
        ("Tân Châu", 3, 4.75, 0.25),  # 28 September 2011
        ("Châu Đốc", 3, 4.11, 0.11),
        ("Kim Long", 3, 5.05, 1.55),  # 28 October 2025
        ("Kim Long", 2, 2.56, 0.56),
        ("Câu Lâu", 3, 5.61, 1.61),
        ("Ái Nghĩa", 3, 10.29, 1.29),
        ("Cẩm Lệ", 3, 3.20, 0.70),
        ("Phú Ốc", 1, 1.85, 0.35),
    ],
)
def test_levels_agree_with_what_bulletins_said_of_real_floods(station, level, value, above):
    found = flood.alarm_levels(station, DAY)
    assert found is not None
    threshold = found.levels[level - 1]
    assert threshold is not None
    assert value - threshold == pytest.approx(above)


def test_every_station_has_rising_levels():
    for row in rows("flood_levels"):
        known = [float(row[f"level{n}"]) for n in (1, 2, 3) if row[f"level{n}"]]
        assert known == sorted(set(known)), row["station"]
        assert row["note"], "each row says how it was read"


def test_a_station_is_found_without_tone_marks_and_an_unknown_one_is_not():
    assert flood.alarm_levels("thu dau mot", DAY).station == "Thủ Dầu Một"  # type: ignore[union-attr]
    assert flood.alarm_levels("Nowhere", DAY) is None
    assert flood.alarm_levels("Phú An", date(2019, 1, 1)) is None, "the decision came into force in 2020"


def test_waves_around_a_level_make_one_crossing():
    values = 1.5 + 0.02 * np.sin(np.arange(200))
    values[:20], values[-20:] = 1.3, 1.3
    state = flood.reached(values, (1.4, 1.5, 1.6))
    assert np.count_nonzero(np.diff((state >= 2).astype(int)) == 1) == 1
    assert np.count_nonzero(np.diff((flood.reached(values, (1.4, 1.5, 1.6), 0.0) >= 2).astype(int)) == 1) > 10


def test_missing_values_keep_the_state_and_a_level_without_a_number_is_skipped():
    values = np.array([1.2, np.nan, 1.7, np.nan, np.nan, 1.2])
    assert flood.reached(values, (None, None, 1.6)).tolist() == [0, 0, 3, 3, 3, 0]


@pytest.mark.parametrize(
    ("fahrenheit", "humidity", "printed"),
    [(80, 40, 80), (90, 60, 100), (100, 55, 124), (96, 50, 108), (110, 40, 136), (86, 90, 105)],
)
def test_the_heat_index_gives_the_chart_of_the_weather_service(fahrenheit, humidity, printed):
    found = flood.heat_index(np.array([(fahrenheit - 32) / 1.8]), np.array([float(humidity)]))
    assert found[0] == pytest.approx(printed, abs=0.9)


def test_classes_of_rain_are_those_of_the_bulletins():
    day = {one.level: one.above for one in flood.classes("rain", DAY) if one.hours == 24}
    assert day == {1: 50, 2: 100, 3: 200, 4: 400}
