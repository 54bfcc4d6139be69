"""A day-ahead forecast is corrected by what it missed so far, as much as misses used to last."""

import numpy as np

from mangrove.forecast.intraday import Correction


def misses(persistence, days=56, slots=24):
    rng = np.random.default_rng(4)
    z = np.zeros((days, 2 * slots))
    z[:, 0] = rng.normal(size=days)
    for slot in range(1, 2 * slots):
        z[:, slot] = persistence * z[:, slot - 1] + np.sqrt(1 - persistence**2) * rng.normal(size=days)
    return z


def test_misses_that_last_are_carried_on_and_fade():
    correction = Correction(24)
    correction.fit(misses(0.9))
    shift, narrow = correction.shift(np.array([0.0, 0.5, 1.0, 1.0]))
    assert 0.7 < shift[0] < 1.0
    assert abs(shift[20]) < 0.3
    assert narrow[0] < 0.6
    assert narrow[20] > 0.85


def test_misses_that_do_not_last_change_next_to_nothing():
    correction = Correction(24)
    correction.fit(misses(0.0))
    shift, narrow = correction.shift(np.array([2.0, 2.0, 2.0]))
    assert np.abs(shift).max() < 0.5
    assert narrow.min() > 0.95


def test_nothing_known_of_the_day_changes_nothing():
    correction = Correction(24)
    correction.fit(misses(0.9))
    for today in (np.empty(0), np.full(5, np.nan)):
        shift, narrow = correction.shift(today)
        assert (shift == 0).all()
        assert (narrow == 1).all()
