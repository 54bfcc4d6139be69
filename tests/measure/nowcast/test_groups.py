# SPDX-License-Identifier: Apache-2.0
"""Groups of a nowcast: their means are those of its table, their samples add up to the city's, and ranks come from them."""

import numpy as np
import pytest
from tests.measure.nowcast.twins import AT, asked

from mangrove import city as questions
from mangrove.measure.plan import NOWCAST


def test_samples_of_groups_add_up_and_their_means_are_those_of_the_table(made):
    for by in (("sector",), ("ward",), ("ward", "sector")):
        keys, mean, drawn = made.groups(by)
        table = {tuple(row[name] for name in by): row for row in made.table(by).to_pylist()}
        for key, kg in zip(keys, mean, strict=True):
            assert table[key]["co2e_kg"] == pytest.approx(kg, rel=1e-12)
        assert mean.sum() == pytest.approx(made.total().mean, rel=1e-12)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0, method="weibull")
        assert low == pytest.approx([table[key]["co2e_low95"] for key in keys], rel=1e-9)
        assert high == pytest.approx([table[key]["co2e_high95"] for key in keys], rel=1e-9)


def test_hot_spots_of_the_nowcast_carry_its_doubt(park):
    found = questions.hotspots(park, "2026-01-01", AT, by=["sector"], run=NOWCAST, top=1)
    with park.reader() as ledger:
        made = asked(ledger, park, AT, "2026-01-01")
    keys, mean, _ = made.groups(("sector",))
    assert found.keys[0] == keys[int(np.argmax(mean))]
    assert found.kg.sum() == pytest.approx(mean.sum(), rel=1e-12)
    assert found.in_top.sum() == pytest.approx(1.0)
