# SPDX-License-Identifier: Apache-2.0
"""Synthetic stations whose air, traffic and instruments are known: what changed must be found, and nothing else.

The twins are made by another law than the model's: a box of air (emission / (wind^0.7 mixing^0.5), mixing not told to the model), a hidden
air mass, errors that remember.
"""

from __future__ import annotations

import numpy as np
import pytest

from mangrove.errors import DataQualityError, RequestError
from mangrove.inference.station_change import CAUSES, Hours, change

SPECIES = ("co", "no2", "pm25")
ROAD = np.array(
    [0.2, 0.1, 0.1, 0.1, 0.2, 0.4, 1.0, 1.8, 1.8, 1.4, 1.2, 1.2, 1.3, 1.4, 1.4, 1.6, 2.0, 2.0, 1.5, 1.1, 0.8, 0.6, 0.5, 0.3]
)  # fmt: skip
ROAD /= ROAD.mean()


def walk(rng, days, memory, size):
    made = np.zeros(days)
    for day in range(1, days):
        made[day] = memory * made[day - 1] + rng.normal(0, size)
    return made


def remembered(rng, count):
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -0.6], rng.normal(0, 0.15, count))


def twin(cause, size, seed, *, days=(100, 50), air=0.12):
    """Readings (3, T), weather (T, 5), hours and neighbors (3, T) of a station where `cause` changed things by `size`."""
    rng = np.random.default_rng(seed)
    total = sum(days)
    hour, day = np.arange(24 * total) % 24, np.arange(24 * total) // 24
    slow, hidden = walk(rng, total, 0.8, 0.35), walk(rng, total, 0.7, air)
    speed = np.exp(
        0.6
        + 0.3 * slow[day]
        + 0.25 * np.sin(2 * np.pi * (hour - 9) / 24)
        + 0.2 * rng.standard_normal(len(day))
    )
    angle = np.cumsum(rng.normal(0, 0.3, len(day)))
    warm = 28 + 3 * np.sin(2 * np.pi * (hour - 9) / 24) + 1.5 * slow[day] + rng.normal(0, 0.5, len(day))
    damp = 70 - 2 * (warm - 28) + rng.normal(0, 4, len(day))
    mixing = 300 + 900 * np.clip(np.sin(2 * np.pi * (hour - 6) / 24), 0, 1)
    after = day >= days[0]

    def station(local, activity):
        made = []
        for s in range(3):
            emitted = local * (1 + 0.2 * (s - 1)) * ROAD[hour] * (1 + activity * after) + (1.2 - local) * 0.8
            level = emitted / (speed**0.7 * (mixing / 600) ** 0.5)
            made.append(10 * level * np.exp(hidden[day] + remembered(rng, len(day))))
        return np.array(made)

    active = size if cause == "activity" else 0.0
    values, near = station(0.6, active), station(0.4, 0.7 * active)
    if cause == "instrument":
        ramp = np.clip((day - days[0]) / days[1] * 2, 0, 2)
        values[seed % 3] *= 1 + size * (after if seed % 2 else ramp)
    if cause == "air":
        values, near = (one * (1 + size * after) for one in (values, near))
    weather = np.column_stack([np.log(speed), speed * np.cos(angle), speed * np.sin(angle), warm, damp])
    return values, weather, Hours(hour, day % 7 >= 5, day, ~after, after), near


def verdicts(cause, size, count=10, *, alone=False, **options):
    """How often each cause is the most probable one, and how often the right one has more than half."""
    found = []
    for seed in range(count):
        values, weather, hours, near = twin(cause, size, seed, **options)
        found.append(change(SPECIES, values, weather, hours, ROAD, neighbors=None if alone else near))
    return found


@pytest.mark.parametrize(
    ("cause", "size"), [("activity", -0.35), ("activity", 0.35), ("instrument", 0.25), ("instrument", -0.25)]
)
def test_the_cause_of_a_change_is_told(cause, size):
    found = verdicts(cause, size)
    assert sum(one.likely == cause for one in found) >= 9
    if cause == "instrument":
        assert sum(int(one.suspect.argmax()) == seed % 3 for seed, one in enumerate(found)) >= 9


def test_weather_alone_is_called_weather():
    assert sum(one.likely == "weather" for one in verdicts("none", 0.0)) >= 9


def test_air_from_elsewhere_is_neither_activity_nor_an_instrument():
    found = verdicts("air", 0.25)
    assert sum(one.likely == "weather" for one in found) >= 9


def test_without_neighbors_the_hours_and_species_still_tell():
    assert sum(one.likely == "activity" for one in verdicts("activity", -0.4, 6, alone=True)) >= 5
    assert sum(one.likely == "instrument" for one in verdicts("instrument", 0.3, 6, alone=True)) >= 5
    assert sum(one.likely in {"activity", "instrument"} for one in verdicts("none", 0.0, 6, alone=True)) <= 1


def test_intervals_hold_the_truth_as_often_as_they_say():
    inside80 = inside95 = total = 0
    for seed in range(24):
        values, weather, hours, near = twin("none", 0.0, 100 + seed)
        made = change(SPECIES, values, weather, hours, ROAD, neighbors=near)
        inside80 += int(((made.low80 < 0) & (made.high80 > 0)).sum())
        inside95 += int(((made.low95 < 0) & (made.high95 > 0)).sum())
        total += 3
    # Species share the air, so that 72 intervals are worth about 24: two standard deviations are 0.16 and 0.09.
    assert 0.64 <= inside80 / total <= 0.96
    assert inside95 / total >= 0.86


def test_a_windy_period_is_not_taken_for_a_drop():
    values, weather, hours, near = twin("none", 0.0, 3, air=0.05)
    speed = np.exp(weather[:, 0])
    strong = hours.after
    values[:, strong] *= 1 / 1.5**0.7
    near[:, strong] *= 1 / 1.5**0.7
    weather[strong, 0] = np.log(1.5 * speed[strong])
    weather[strong, 1:3] *= 1.5
    made = change(SPECIES, values, weather, hours, ROAD, neighbors=near)
    assert made.raw.max() < -0.15
    assert np.abs(made.change).max() < 0.12
    assert made.weather.max() < -0.1


def test_the_three_parts_multiply_to_what_was_read():
    values, weather, hours, near = twin("activity", -0.3, 1)
    made = change(SPECIES, values, weather, hours, ROAD, neighbors=near)
    assert (1 + made.change) * (1 + made.weather) == pytest.approx(1 + made.raw)
    assert sum(made.causes.values()) == pytest.approx(1.0)
    assert tuple(made.causes) == CAUSES
    assert made.normalized.shape == (3, 150)


def test_gaps_and_zeros_are_left_out():
    values, weather, hours, near = twin("instrument", 0.3, 1)
    rng = np.random.default_rng(0)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[rng.random(values.shape) < 0.02] = 0.0
    weather[rng.random(len(weather)) < 0.1] = np.nan
    assert change(SPECIES, values, weather, hours, ROAD, neighbors=near).likely == "instrument"


def test_trees_may_explain_instead():
    values, weather, hours, _ = twin("activity", -0.4, 2, days=(60, 30))
    made = change(SPECIES[:2], values[:2], weather, hours, ROAD, models=("ridge", "boosted"))
    assert set(made.model) <= {"ridge", "boosted"}
    assert made.likely == "activity"
    assert (made.skill > 0.2).all()


def test_what_cannot_be_compared_is_named():
    values, weather, hours, _ = twin("none", 0.0, 0, days=(60, 10))
    with pytest.raises(DataQualityError) as short:
        change(SPECIES, values, weather, hours, ROAD)
    assert short.value.code == "locate.few_days_after"
    with pytest.raises(RequestError) as unknown:
        change(SPECIES, values, weather, hours, ROAD, models=("forest",))
    assert unknown.value.code == "locate.no_such_model"
    with pytest.raises(RequestError) as shapes:
        change(SPECIES, values[:, 1:], weather, hours, ROAD)
    assert shapes.value.code == "locate.station_shapes"
