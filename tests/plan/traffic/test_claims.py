# SPDX-License-Identifier: Apache-2.0
"""Claims: the swap pilot that needs each motorbike to drive around the world does not add up."""

import pytest

from mangrove.errors import MangroveError
from mangrove.plan.traffic.claims import Claim, judge


def test_two_tonnes_a_motorbike_need_more_kilometers_than_anybody_rides():
    # en.sggp.org.vn post104897: 30,000 bikes, 60,000 t CO2 a year
    found = judge(Claim("swap", "motorbike", 30_000, 60_000, source="en.sggp.org.vn post104897"))
    assert found.each == pytest.approx(2.0)
    assert not found.holds
    assert found.high < 1.3  # 9,936 km at the highest factor that any source gives
    assert found.needed > 15_000
    assert len(found.sources) > 1


def test_what_kilometers_and_factors_give_can_be():
    assert judge(Claim("swap", "motorbike", 30_000, 30_000 * 0.45)).holds
    assert judge(Claim("riders", "motorbike", 100, 200, kilometers=40_000)).holds


@pytest.mark.parametrize(
    "claim",
    [Claim("a", "motorbike", 0, 5), Claim("b", "motorbike", 5, float("nan")), Claim("c", "boat", 5, 5)],
)
def test_claims_that_cannot_be_read_are_refused(claim):
    with pytest.raises(MangroveError):
        judge(claim)
