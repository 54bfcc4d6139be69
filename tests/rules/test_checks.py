# SPDX-License-Identifier: Apache-2.0
"""Conflicts between sources, and the density hidden in volumetric factors."""

import pytest

from mangrove.rules import load
from mangrove.rules.checks import nearest

RULES = load()
CHECKS = {check.factor.id: check for check in RULES.volumetric_checks()}


@pytest.mark.parametrize(
    ("activity", "values"),
    [
        ("process/steel/bof", [2.47, 1.46]),
        ("process/cement/clinker", [0.525, 0.52]),
        ("process/nitric_acid/medium_pressure", [8.0, 7.0]),
        ("process/steel/eaf", [0.06, 0.08]),
        ("rice/roa/winter_spring/north", [0.76, 0.57]),
        ("process/ammonia/reforming", [1.694, 29.7]),
    ],
)
def test_known_conflicts_are_shown(activity, values):
    (conflict,) = RULES.conflicts(activity)
    assert [row.value for row in conflict.rows] == values
    assert conflict.spread > 0.005


def test_agreeing_sources_are_no_conflict():
    assert RULES.conflicts("combustion/manufacturing/anthracite") == []
    assert RULES.conflicts("process/lime/high_calcium") == []


def test_the_ghg_protocol_diesel_is_flagged_and_typical_diesel_is_not():
    printed, implied = CHECKS["GHGP:density:diesel"], CHECKS["GHGP:volume:diesel"]
    assert printed.density == pytest.approx(0.91328, abs=1e-5)
    assert implied.density == pytest.approx(printed.density, rel=1e-6)
    assert not printed.plausible
    assert not implied.plausible
    assert CHECKS["REF:density:diesel"].plausible
    assert implied.factor.value / 2.676 == pytest.approx(1.087, abs=1e-3)


def test_the_road_diesel_of_the_efdb_export_hides_a_density_of_0_732():
    check = CHECKS["CC:volume:diesel_road"]
    assert check.density == pytest.approx(0.732, abs=1e-3)
    assert not check.plausible


@pytest.mark.parametrize(
    "item", ["GHGP:volume:gasoline", "GHGP:volume:jet_kerosene", "GHGP:volume:fuel_oil", "CC:volume:lpg"]
)
def test_sound_volumetric_factors_pass(item):
    assert CHECKS[item].plausible


def test_every_density_has_a_band():
    densities = [
        f.id for f in RULES.factors if f.activity.endswith("/density") and f.activity.startswith("fuel/")
    ]
    assert set(densities) <= set(CHECKS)


def test_flagged_densities_are_never_official():
    for check in CHECKS.values():
        assert check.plausible or check.factor.status != "official", check.factor.id


def test_the_nearest_keys_are_found_by_whole_key_or_by_last_part():
    known = RULES.activities
    assert nearest("grid/vm", known)[0] == "grid/vn"
    assert "combustion/manufacturing/anthracite" in nearest("combustion/manufacturing/anthracit", known)
    assert nearest("xyzzy", known) == []
