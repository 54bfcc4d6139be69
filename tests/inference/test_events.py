# SPDX-License-Identifier: Apache-2.0
"""The change of an event: found where it is, not found where there is none, as often as promised."""

import numpy as np
import pytest

from mangrove.errors import DataQualityError, RequestError
from mangrove.inference.events import discoveries, effect


def world(seed, change=0.0, days=330, at=300, persistence=0.5):
    """Daily amounts with a week, warmth and persistent noise of 5 %, multiplied by `1 + change` from `at` on."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(days)
    for day in range(1, days):
        noise[day] = persistence * noise[day - 1] + 0.05 * np.sqrt(1 - persistence**2) * rng.standard_normal()
    weekend = (np.arange(days) % 7 >= 5).astype(float)
    warmth = 10 + 4 * np.sin(np.arange(days) / 50) + rng.standard_normal(days)
    log = 5 - 0.3 * weekend + 0.02 * warmth + noise
    log[at:] += np.log1p(change)
    return np.exp(log), np.column_stack([weekend, warmth])


def test_the_change_lies_in_its_interval_as_often_as_promised():
    found = [effect(*world(seed, -0.2), 300, after=28) for seed in range(120)]
    inside = np.mean([one.low <= -0.2 <= one.high for one in found])
    assert 0.88 <= inside <= 0.995
    assert np.mean([one.change for one in found]) == pytest.approx(-0.2, abs=0.01)
    assert np.mean([one.p < 0.05 for one in found]) > 0.95


def test_without_an_event_an_alarm_is_as_rare_as_promised():
    p = np.array([effect(*world(seed), 300, after=28).p for seed in range(200)])
    assert (p < 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert 0.3 < p.mean() < 0.7


def test_false_findings_among_many_series_stay_below_the_rate():
    shares = []
    for trial in range(15):
        p = [effect(*world(1000 * trial + i, -0.3 if i < 10 else 0.0), 300).p for i in range(30)]
        chosen = discoveries(p, 0.1)
        shares.append(chosen[10:].sum() / max(chosen.sum(), 1))
    assert np.mean(shares) <= 0.1 + 2 * np.std(shares) / np.sqrt(len(shares))


def test_missing_days_do_not_count():
    values, controls = world(7, -0.2)
    holes = values.copy()
    holes[[5, 100, 310]] = np.nan
    assert effect(holes, controls, 300).days == 27
    assert effect(holes, controls, 300).change == pytest.approx(
        effect(values, controls, 300).change, abs=0.02
    )


def test_the_step_up_procedure_is_that_of_its_authors():
    """Fifteen p-values of Benjamini and Hochberg (1995), section 4.1: four are rejected at 0.05."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    assert discoveries(p, 0.05).sum() == 4
    assert discoveries(p, 0.05, dependent=True).sum() == 3


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"at": 0}, RequestError),
        ({"at": 30}, DataQualityError),
        ({"at": 70}, DataQualityError),
        ({"values": np.zeros(330)}, DataQualityError),
        ({"controls": np.zeros((3, 1))}, RequestError),
    ],
)
def test_what_cannot_be_told_is_refused(change, error):
    values, controls = world(1)
    with pytest.raises(error):
        effect(change.get("values", values), change.get("controls", controls), change.get("at", 300))
