# SPDX-License-Identifier: Apache-2.0
"""The sampler is tested against Gaussian closed forms, evidence included."""

import numpy as np
import pytest

from mangrove.inference.tempering import temper


def gaussian(mean, sd):
    return lambda rows: -0.5 * (((rows - np.array(mean)) / sd) ** 2).sum(axis=1)


def test_moments_and_evidence_of_a_gaussian_are_the_closed_forms():
    start = np.random.default_rng(0).normal(0, 2, (1500, 3))
    made = temper(start, gaussian([0, 0, 0], 2.0), gaussian([1.0, -2.0, 0.5], 0.5), seed=1)
    gain = 4 / 4.25
    assert made.rows.mean(axis=0) == pytest.approx(gain * np.array([1.0, -2.0, 0.5]), abs=0.06)
    assert made.rows.std(axis=0) == pytest.approx(np.sqrt(4 * 0.25 / 4.25), rel=0.1)
    # evidence of exp(-|x - m|^2 / (2 s^2)) under N(0, S^2): (s^2 / (s^2 + S^2))^(3/2) exp(-|m|^2 / (2 (s^2 + S^2)))
    expected = 1.5 * np.log(0.25 / 4.25) - 0.5 * (1 + 4 + 0.25) / 4.25
    assert made.log_evidence == pytest.approx(expected, abs=0.25)


def test_two_peaks_are_both_kept_with_their_weights():
    start = np.random.default_rng(1).uniform(-10, 10, (1500, 1))

    def inside(rows):
        return np.where(np.abs(rows[:, 0]) <= 10, 0.0, -np.inf)

    def peaks(rows):
        return np.logaddexp(np.log(0.7) + gaussian([-6], 0.3)(rows), np.log(0.3) + gaussian([5], 0.3)(rows))

    made = temper(start, inside, peaks, seed=2)
    assert (made.rows[:, 0] < 0).mean() == pytest.approx(0.7, abs=0.06)
    assert made.log_evidence == pytest.approx(np.log(np.sqrt(2 * np.pi) * 0.3 / 20), abs=0.2)
