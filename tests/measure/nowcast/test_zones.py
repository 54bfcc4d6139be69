# SPDX-License-Identifier: Apache-2.0
"""Errors of maps: shares of every sample add up to one, their mean is the declared share, sensors move them."""

from dataclasses import replace

import numpy as np
import pytest
from tests.measure.nowcast.twins import flow

from mangrove.measure.nowcast.zones import Zones
from mangrove.territory.model import Flow

SHARES = np.array([0.05, 0.15, 0.3, 0.5])
MEMBERS = [("road", (f"w{i}",), share) for i, share in enumerate(SHARES)]


def spread(name: str, sector: str = "transport") -> Flow:
    return replace(flow(name), spread="population", sector=sector)


ROAD = (spread("road"),)


def drawn(zones: Zones, flows=ROAD, members=MEMBERS) -> np.ndarray:
    found = zones.multipliers("ward", members, ("ward",), flows)
    return np.column_stack([found[name, group] for name, group, _ in members])


def test_shares_add_up_in_every_sample_and_are_the_declared_ones_on_average():
    made = drawn(Zones(0.47, 256, 0, {}))
    np.testing.assert_allclose(made.sum(axis=1), 1.0, rtol=1e-9)
    np.testing.assert_allclose(made.mean(axis=0), SHARES, rtol=1e-9)
    assert (made > 0).all()


def test_a_small_place_is_as_unsure_as_the_proxy_says():
    made = drawn(Zones(0.47, 4096, 0, {}))
    assert np.log(made[:, 0]).std() == pytest.approx(
        0.47 * np.sqrt(1 + (SHARES**2).sum() - 2 * SHARES[0]), rel=0.1
    )


def test_flows_of_one_sector_and_proxy_share_the_error_and_others_do_not():
    flows = (spread("road"), spread("rail"), spread("homes", "residential"))
    members = [(one.id, (f"w{i}",), share) for one in flows for i, share in enumerate(SHARES)]
    made = drawn(Zones(0.47, 1024, 0, {}), flows, members)
    np.testing.assert_allclose(made[:, :4], made[:, 4:8])
    assert abs(np.corrcoef(made[:, 0], made[:, 8])[0, 1]) < 0.15


def test_what_sensors_said_of_a_place_moves_its_share_and_the_others_make_room():
    half = 0.47 * np.random.default_rng(0).standard_normal(128)
    prior = np.concatenate([half, -half])
    after = 0.5 + 0.05 * prior / 0.47
    made = drawn(Zones(0.47, 256, 0, {("II.1.1", "w0"): (prior, after)}))
    np.testing.assert_allclose(made.sum(axis=1), 1.0, rtol=1e-9)
    assert made[:, 0].mean() == pytest.approx(0.05 * np.exp(0.5), rel=0.2)
    assert made[:, 3].mean() < 0.5


def test_a_flow_that_lies_in_one_place_needs_no_map():
    assert (
        Zones(0.47, 8, 0, {}).multipliers("ward", [("road", ("w0",), 1.0)], ("ward",), (spread("road"),))
        == {}
    )
