# SPDX-License-Identifier: Apache-2.0
"""Code lists and legal facts: complete, in two languages, and summing to the published totals."""

import csv
from collections import Counter
from datetime import date

import pytest

from mangrove.errors import RuleError
from mangrove.rules import codes


def test_the_gpc_has_53_references_with_scope_and_level():
    references = codes.gpc()
    assert len(references) == len({r.ref for r in references}) == 53
    assert {r.scope for r in references} == {1, 2, 3}
    assert {r.level for r in references} == set(codes.LEVELS)
    assert all(r.subsector_vi and r.emission_vi for r in references)


@pytest.mark.parametrize(
    ("ref", "scope", "level"),
    [("I.1.1", 1, "basic"), ("I.1.2", 2, "basic"), ("I.1.3", 3, "basic+"), ("I.4.4", 1, "territorial"), ("III.1.2", 3, "basic"),
     ("III.1.3", 1, "territorial"), ("IV.1", 1, "basic+"), ("V.3", 1, "basic+"), ("VI.1", 3, "other"), ("II.1.1", 1, "basic")],
)  # fmt: skip
def test_scope_and_level_follow_the_protocol(ref, scope, level):
    reference = codes.gpc_reference(ref)
    assert (reference.scope, reference.level) == (scope, level)


def test_an_unknown_reference_gets_the_nearest():
    with pytest.raises(RuleError) as error:
        codes.gpc_reference("I.1.9")
    assert error.value.code == "rules.unknown_gpc"
    assert "I.1." in error.value.text("vi")


def test_notation_keys_are_those_of_the_gpc():
    assert [key.key for key in codes.notation_keys()] == ["IE", "NE", "NO", "C", "NA"]


def test_categories_of_each_scheme_are_complete():
    counts = Counter(category.scheme for category in codes.categories())
    assert counts == {"GHGP": 3, "ISO14064-1": 6, "GHGP-3": 15, "TT38-direct": 6, "TT38-indirect": 2}
    assert [c.code for c in codes.categories("ISO14064-1")] == list("123456")


def test_the_quotas_add_up_to_the_national_totals_to_the_tonne():
    quotas = codes.allocations()
    assert len(quotas) == 110
    assert sum(q.quota_2025 for q in quotas) == 243_082_392
    assert sum(q.quota_2026 for q in quotas) == 268_391_454
    sectors = {
        s: sum(q.quota_2025 for q in quotas if q.sector == s) for s in ("thermal_power", "steel", "cement")
    }
    assert sectors == {"thermal_power": 138_667_965, "steel": 31_051_193, "cement": 73_363_234}
    assert Counter(q.sector for q in quotas) == {"thermal_power": 34, "steel": 25, "cement": 51}


@pytest.mark.parametrize(
    ("sector", "growth"), [("thermal_power", 1.0955), ("steel", 1.1658), ("cement", 1.0943)]
)
def test_growth_from_2025_to_2026_is_one_ratio_a_sector(sector, growth):
    for quota in codes.allocations():
        if quota.sector == sector:
            assert quota.quota_2026 == pytest.approx(growth * quota.quota_2025, rel=6e-5, abs=2)


def test_the_steel_mill_of_nam_cau_kien_has_its_quota():
    assert (902, 1052) in [(q.quota_2025, q.quota_2026) for q in codes.allocations()]


def test_listed_facilities_add_up_by_ministry_and_by_industry():
    counts = codes.facility_counts()
    for dimension, total in (("ministry", 2441), ("industry", 2441), ("ministry_2024", 2166)):
        assert sum(c.count for c in counts if c.dimension == dimension) == total
    assert next(c.count for c in counts if c.name == "Hải Phòng") == 110


def test_law_is_versioned_with_edges_that_exist():
    laws = {law.id: law for law in codes.laws()}
    assert laws["ND119/2025"].amends == ("ND06/2022",)
    assert laws["QD42/2026"].replaces == ("QD13/2024",)
    assert laws["QD42/2026"].in_force == date(2026, 9, 25)
    for law in laws.values():
        assert set(law.amends) | set(law.replaces) <= set(laws)
    assert {duty.law for duty in codes.obligations()} <= set(laws)


def test_duties_stand_in_both_languages():
    for duty in codes.obligations():
        assert duty.who_en
        assert duty.who_vi
        assert duty.what_en
        assert duty.what_vi
        assert bool(duty.deadline_en) == bool(duty.deadline_vi)


def test_targets_carry_their_gwp_set_where_the_source_names_it():
    targets = {(t.key, t.year): t for t in codes.targets()}
    assert targets["ndc/bau", 2030].value == 927.9
    assert targets["ndc/bau", 2030].gwp == "AR4"
    assert targets["inventory/excl_lulucf", 2016].gwp == "AR5"
    assert targets["ceiling/lulucf", 2050].value == -185
    cut = targets["ndc/cut/unconditional", 2030]
    assert cut.value / 100 * 927.9 == pytest.approx(146.3, abs=0.5)


def test_cbam_totals_are_the_sum_of_their_parts_to_rounding():
    for good in codes.cbam_defaults():
        if good.total is not None and good.direct is not None:
            assert good.total == pytest.approx(good.direct + (good.indirect or 0), abs=0.0151)
    assert next(g for g in codes.cbam_defaults() if g.cn == "2523").total is None


def test_schemes_are_listed():
    assert len(codes.scheme_rules()) == 18


@pytest.mark.data
def test_quotas_and_references_equal_the_published_files(data_dir):
    with (data_dir / "rules" / "vn_allocations_699.csv").open(encoding="utf-8-sig", newline="") as file:
        listed = [
            (r["facility_short"], int(r["quota_2025_tco2e"]), int(r["quota_2026_tco2e"]))
            for r in csv.DictReader(file)
        ]
    assert listed == [(q.facility, q.quota_2025, q.quota_2026) for q in codes.allocations()]
    with (data_dir / "rules" / "gpc_structure.csv").open(encoding="utf-8-sig", newline="") as file:
        references = [(r["ref"], int(r["scope"]), r["reporting_level"]) for r in csv.DictReader(file)]
    assert references == [(r.ref, r.scope, r.level) for r in codes.gpc()]
