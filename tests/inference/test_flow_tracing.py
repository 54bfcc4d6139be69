# SPDX-License-Identifier: Apache-2.0
"""Flow tracing: closed forms, conservation of carbon, islands, rings and holes, on two array libraries."""

import array_api_strict
import numpy as np
import pytest

from mangrove.inference.flow_tracing import consumed, netted, origins, trace


def network(zones=6, hours=50, seed=3):
    """Random generation, intensities and exchanges; no zone sends more than it has."""
    rng = np.random.default_rng(seed)
    generation = rng.uniform(10, 100, (hours, zones))
    intensity = rng.uniform(0, 1, (hours, zones))
    exchange = rng.uniform(0, 2, (hours, zones, zones)) * (rng.random((hours, zones, zones)) < 0.5)
    return generation, intensity, exchange


def test_two_zones_mix_by_energy():
    # zone 1 has 30 of its own at 0.9 and gets 20 at 0.1
    exchange = np.array([[0.0, 20.0], [0.0, 0.0]])
    found = trace(np.array([80.0, 30.0]), np.array([0.1, 0.9]), exchange)
    np.testing.assert_allclose(found, [0.1, (30 * 0.9 + 20 * 0.1) / 50], rtol=1e-14)


def test_three_zones_in_a_row_hand_the_mix_on():
    exchange = np.zeros((3, 3))
    exchange[0, 1], exchange[1, 2] = 40.0, 30.0
    found = trace(np.array([100.0, 60.0, 10.0]), np.array([0.0, 1.0, 0.5]), exchange)
    middle = 60 * 1.0 / 100
    np.testing.assert_allclose(found, [0.0, middle, (10 * 0.5 + 30 * middle) / 40], rtol=1e-14)


def test_three_zones_in_a_ring_fulfil_their_balances():
    exchange = np.zeros((3, 3))
    exchange[0, 1], exchange[1, 2], exchange[2, 0] = 10.0, 20.0, 5.0
    g, c = np.array([50.0, 40.0, 30.0]), np.array([0.2, 0.6, 1.0])
    # by hand: x0 (50 + 5) = 10 + 5 x2; x1 (40 + 10) = 24 + 10 x0; x2 (30 + 20) = 30 + 20 x1
    x0 = (10 + 5 * (0.6 + 0.4 * 0.48)) / (55 - 5 * 0.4 * 0.2)
    x1 = 0.48 + 0.2 * x0
    np.testing.assert_allclose(trace(g, c, exchange), [x0, x1, 0.6 + 0.4 * x1], rtol=1e-13)


def test_emissions_consumed_are_emissions_produced():
    generation, intensity, exchange = network()
    used = consumed(generation, exchange)
    assert (used > 0).all()
    x = trace(generation, intensity, exchange)
    np.testing.assert_allclose((used * x).sum(axis=1), (generation * intensity).sum(axis=1), rtol=1e-12)


def test_the_mix_lies_between_the_cleanest_and_the_dirtiest_zone():
    generation, intensity, exchange = network(seed=8)
    x = trace(generation, intensity, exchange)
    assert (x >= intensity.min(axis=1, keepdims=True) - 1e-12).all()
    assert (x <= intensity.max(axis=1, keepdims=True) + 1e-12).all()


def test_origins_sum_to_one_and_give_the_same_intensity():
    generation, intensity, exchange = network(seed=5)
    shares = origins(generation, exchange)
    np.testing.assert_allclose(shares.sum(axis=-2), 1.0, rtol=1e-12)
    again = np.einsum("tij,ti->tj", shares, intensity)
    np.testing.assert_allclose(again, trace(generation, intensity, exchange), rtol=1e-12)
    used = consumed(generation, exchange)
    np.testing.assert_allclose(np.einsum("tij,tj->ti", shares, used), generation, rtol=1e-12)


def test_an_island_keeps_its_own_intensity():
    exchange = np.zeros((3, 3))
    exchange[0, 1] = 5.0
    found = trace(np.array([10.0, 10.0, 7.0]), np.array([0.1, 0.9, 0.4]), exchange)
    assert found[2] == pytest.approx(0.4)


def test_a_zone_that_nothing_reaches_is_unknown_and_not_clean():
    found = trace(np.array([10.0, 0.0]), np.array([0.5, 0.0]), np.zeros((2, 2)))
    assert found[0] == 0.5
    assert np.isnan(found[1])


def test_a_ring_without_a_generator_is_unknown_and_its_neighbor_too():
    exchange = np.zeros((4, 4))
    exchange[0, 1], exchange[1, 2], exchange[2, 0] = 5.0, 5.0, 4.0
    exchange[2, 3] = 1.0
    found = trace(np.array([0.0, 0.0, 0.0, 9.0]), np.array([0.0, 0.0, 0.0, 0.5]), exchange)
    assert np.isnan(found).all()


def test_a_hole_reaches_only_what_lies_downstream():
    exchange = np.zeros((3, 3))
    exchange[0, 1], exchange[1, 2] = 10.0, 10.0
    generation = np.array([[50.0, 50.0, 50.0], [50.0, np.nan, 50.0]])
    found = trace(generation, np.full((2, 3), 0.5), exchange)
    assert np.isnan(found).tolist() == [[False] * 3, [False, True, True]]


def test_an_unknown_exchange_makes_its_receiver_unknown():
    exchange = np.zeros((2, 2))
    exchange[0, 1] = np.nan
    found = trace(np.array([1.0, 1.0]), np.array([0.2, 0.3]), exchange)
    assert np.isnan(found[1])


def test_flows_both_ways_are_netted():
    both = np.array([[0.0, 12.0], [9.0, 0.0]])
    one = np.array([[0.0, 3.0], [0.0, 0.0]])
    assert (netted(both) == one).all()
    g, c = np.array([20.0, 20.0]), np.array([0.1, 0.7])
    np.testing.assert_allclose(trace(g, c, both), trace(g, c, one))


def test_it_runs_on_another_array_library():
    arrays = network(hours=4)
    strict = [array_api_strict.asarray(one) for one in arrays]
    found = trace(*strict)
    assert type(found).__module__.startswith("array_api_strict")
    np.testing.assert_allclose(np.asarray(found), trace(*arrays), rtol=1e-13)
    shares = origins(strict[0], strict[2])
    np.testing.assert_allclose(np.asarray(shares), origins(arrays[0], arrays[2]), rtol=1e-13)
