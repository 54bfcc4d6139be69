# SPDX-License-Identifier: Apache-2.0
"""The heat pump that is proposed must save what it promises when it is built, and no other may save more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.heat_cases import PUBLISHED, random_streams

from mangrove.network.assets.heat_pump import cop
from mangrove.network.heat import Streams, pinch
from mangrove.network.heat_lift import HOTTEST, lift


def with_pump(streams, found):
    """The same streams, and the pump as two streams at constant temperature: it takes at its source, gives at its sink."""
    return Streams.of(
        [*streams.supply, found.source, found.sink], [*streams.target, found.source, found.sink],
        heat=[*streams.heat, found.cooling, found.heat], gives=[*streams.gives, False, True],
        contribution=[*streams.contribution, 0.0, 0.0],
    )  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(random_streams(), st.sampled_from([1.5, 2.0, 4.0]))
def test_the_pump_saves_what_it_promises(streams, ratio):
    before = pinch(streams)
    found = lift(before, ratio=ratio)
    if found is None:
        return
    after = pinch(with_pump(streams, found))
    small = 1e-6 * max(float(streams.heat.sum()), 1.0)
    assert before.hot_utility - after.hot_utility == pytest.approx(found.heat, abs=small)
    assert before.cold_utility - after.cold_utility == pytest.approx(found.cooling, abs=small)
    assert found.heat == pytest.approx(found.cooling + found.power)
    assert found.cop > ratio  # else it would cost more than it saves
    assert found.cop == pytest.approx(float(cop(found.condensing, found.evaporating)))
    assert found.condensing <= HOTTEST


def test_no_pump_between_levels_of_the_problem_saves_more():
    targets = pinch(PUBLISHED[0].streams, 10)
    found = lift(targets, ratio=2.0)
    best = 0.0
    for sink in targets.levels[targets.levels > 85]:
        for source in targets.levels[targets.levels < 85]:
            gain = float(cop(sink + 5, source - 5))
            need = targets.cascade[targets.levels >= sink].min()
            spare = targets.cascade[targets.levels <= source].min()
            heat = min(need, spare * gain / (gain - 1))
            best = max(best, heat * (1 - 2 / gain))
    assert found.heat - 2 * found.power >= best - 1e-9


def test_dearer_electricity_means_a_smaller_lift_and_at_last_none():
    targets = pinch(PUBLISHED[0].streams, 10)
    found = [lift(targets, ratio=ratio) for ratio in (1.0, 2.0, 3.0)]
    gains = [one.cop for one in found if one is not None]
    assert gains == sorted(gains)
    assert lift(targets, ratio=50.0) is None


def test_a_threshold_problem_has_no_pinch_to_pump_across():
    assert lift(pinch(Streams.of([200, 20], [100, 60], cp=[4, 2])), ratio=1.0) is None


def test_ten_thousand_levels_are_thinned_not_refused():
    generator = np.random.default_rng(5)
    ends = generator.uniform(20, 180, (2, 3000))
    streams = Streams.of(*ends, cp=np.ones(3000))
    found = lift(pinch(streams), ratio=2.0)
    assert found is None or found.heat > 0
