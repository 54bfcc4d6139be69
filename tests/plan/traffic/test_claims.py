# SPDX-License-Identifier: Apache-2.0
"""Claims: the swap pilot that needs each motorbike to drive around the world does not add up."""

import pytest

from mangrove.errors import MangroveError
from mangrove.plan.traffic.claims import Claim, judge, judged
from mangrove.rules import vehicles


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


def test_power_is_kilometers_times_kilowatt_hours():
    """400,000 bikes that drive 100 km on each day need 0.05 to 0.09 kWh/km: 730 to 1,314 GWh a year."""
    curve = vehicles.curve("electric_motorbike", "electricity")
    for each, holds in ((0.059, True), (0.02, False), (0.2, False)):
        claim = Claim(
            "ride", "electric_motorbike", 400_000, electricity=400_000 * 36_500 * each, kilometers=36_500
        )
        (found,) = judged(claim)
        assert found.kind == "electricity"
        assert found.each == pytest.approx(36_500 * each)
        assert found.holds == (curve.low <= each / float(curve.at([20.0])[0]) <= curve.high) == holds
    # how little is too little nobody can say who does not know how far they drive
    assert judge(Claim("few", "electric_motorbike", 1_000, electricity=1_000 * 100.0)).holds
    assert not judge(Claim("many", "electric_motorbike", 1_000, electricity=1_000 * 2_000.0)).holds


def test_a_line_avoids_what_its_trips_no_longer_drive():
    """19.7 km, 39,600 trips a day of 8 km on motorbikes with one person: 115.6 million km at 46 to 108 g."""
    values = {"line": 19.7, "trips": 39_600, "trip": 8.0, "occupancy": 1.0}
    (found,) = judged(Claim("metro", "motorbike", tonnes=8_000, **values))
    assert found.kilometers == pytest.approx(39_600 * 8 * 365)
    assert found.low == pytest.approx(115.632e6 * 46.4 / 1e6 / 19.7, rel=0.01)
    assert found.high == pytest.approx(115.632e6 * 107.9 / 1e6 / 19.7, rel=0.01)
    assert found.holds
    (found,) = judged(Claim("metro", "motorbike", tonnes=80_000, **values))
    assert not found.holds
    assert found.needed == pytest.approx(39_600 * 80_000 / (115.632 * 107.9), rel=0.01)
    # two on each motorbike are half as many motorbikes
    (half,) = judged(Claim("metro", "motorbike", tonnes=8_000, **{**values, "occupancy": 2.0}))
    assert half.high == pytest.approx(found.high / 2)


def test_a_share_of_a_fleet_is_so_many_vehicles():
    for count, holds in ((120_000, True), (118_000, True), (150_000, False), (60_000, False)):
        (found,) = judged(Claim("ride", "electric_motorbike", count, fleet=400_000, share=0.3))
        assert found.holds == holds
        assert found.needed == pytest.approx(count / 400_000)


def test_a_claim_is_judged_in_all_that_it_states():
    both = judged(Claim("swap", "motorbike", 30_000, 60_000, fleet=7_000_000, share=0.3))
    assert [(found.kind, found.holds) for found in both] == [("vehicles", False), ("fleet", False)]
    for found in both:
        assert "does not add up" in found.line()
        assert "không hợp lý" in found.line("vi")


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (Claim("a", "motorbike"), "roads.claim_nothing"),
        (Claim("a", "motorbike", 100), "roads.claim_nothing"),
        (Claim("a", "motorbike", tonnes=5, line=2, trips=100), "roads.claim_nothing"),
        (Claim("a", "truck", 5, 5), "roads.claim_distance"),
        (Claim("a", "truck", tonnes=5, line=2, trips=100, trip=5), "roads.claim_occupancy"),
        (Claim("a", "motorbike", 5, 5, kilometers=0), "roads.bad_claim"),
        (Claim("a", "motorbike", 5, 5, kilometers=float("inf")), "roads.bad_claim"),
        (Claim("a", "motorbike", 5, fleet=10, share=-0.1), "roads.bad_claim"),
        (Claim("a", "electric_motorbike", 5, 5), "roads.bad_claim"),
        (Claim("a", "motorbike", 5, 5, pollutant="gold"), "vehicles.unknown_pollutant"),
    ],
)
def test_claims_without_what_it_takes_are_refused_by_name(claim, code):
    with pytest.raises(MangroveError) as caught:
        judged(claim)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "claim",
    [Claim("a", "motorbike", 0, 5), Claim("b", "motorbike", 5, float("nan")), Claim("c", "boat", 5, 5)],
)
def test_claims_that_cannot_be_read_are_refused(claim):
    with pytest.raises(MangroveError):
        judge(claim)
