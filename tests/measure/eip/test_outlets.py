"""Effluents against their limits: flow-weighted days, the rule's coefficients, a permit above the rule."""

from datetime import date

import pytest
from tests.measure.eip.eip_world import outlet

from mangrove.measure.eip import assessment

RULE = "QCVN40/column,2023,A,works,\nQCVN40/receiving,2023,river 100 m3/s,works,\n"


def checks(handle):
    found, outlets = assessment(handle, 2024)
    (one,) = outlets
    return found, one, {check.parameter: check for check in one.checks}


def test_a_day_is_judged_by_its_flow_weighted_mean_and_ten_hours_are_no_day(tmp_path):
    found, one, by = checks(outlet(tmp_path, RULE))
    cod = by["COD"]
    assert one.discharge == pytest.approx(12 * 10 + 12 * 30)
    assert (cod.limit.high, cod.limit.kf, cod.limit.kq) == (pytest.approx(82.5), 1.1, 1.0)
    assert (cod.days, cod.days_within) == (2, 1), "the first day has 82.5 mg/L: just within"
    assert (cod.worst, cod.worst_day) == (pytest.approx(100.0), date(2024, 1, 2))
    assert (cod.hours, cod.hours_within) == (58, 12 + 10)
    assert (one.volume, one.within) == (pytest.approx(960), pytest.approx(480))
    weighted = 82.5 * 480 + 100 * 480 + 60 * 100
    assert cod.mean == pytest.approx(weighted / 1060)
    assert found.reading("EIP2/wastewater_treated").value == pytest.approx(100 * 480 / 120_000)


def test_ph_is_held_against_both_ends_and_never_scaled(tmp_path):
    _, _, by = checks(outlet(tmp_path, RULE))
    assert (by["pH"].limit.low, by["pH"].limit.high, by["pH"].days_within) == (6.0, 9.0, 2)


def test_the_permit_stands_above_the_rule_and_the_newest_year_counts(tmp_path):
    permit = "QCVN40/COD,2022,120 mg/L,works,Old\nQCVN40/COD,2023,0.101 kg/m3,works,Permit 12\nQCVN40/COD,2025,1 mg/L,works,Later\n"
    _, _, by = checks(outlet(tmp_path, RULE + permit))
    assert (by["COD"].limit.high, by["COD"].limit.document, by["COD"].limit.version) == (
        pytest.approx(101.0), "Permit 12", "permit",
    )  # fmt: skip
    assert by["COD"].days_within == 2


def test_hours_can_be_what_counts(tmp_path):
    _, one, by = checks(outlet(tmp_path, RULE + "QCVN40/averaging,2024,1h,works,\n"))
    assert (one.averaging, one.within) == ("1h", 0.0), "noon of the first day has 90 mg/L"
    assert by["COD"].days_within == 1


def test_without_a_column_nothing_is_judged_and_it_is_said(tmp_path):
    found, one, by = checks(outlet(tmp_path, ""))
    assert by["COD"].limit is None
    assert by["COD"].mean is not None
    assert {problem.code for problem in one.problems} == {"eip.no_column"}
    assert found.reading("EIP2/wastewater_treated").value is None


def test_a_new_site_is_under_the_version_whose_table_is_not_here(tmp_path):
    handle = outlet(tmp_path, RULE + "QCVN40/version,2024,2025,works,\n")
    _, one, by = checks(handle)
    assert by["COD"].limit is None
    assert {problem.code for problem in one.problems} == {"eip.no_limit_table"}
    assert "QCVN 40:2025" in one.problems[0].text("en")


def test_the_permitted_discharge_chooses_the_coefficient_and_a_missing_water_gives_no_limit(tmp_path):
    _, _, by = checks(outlet(tmp_path / "a", RULE + "QCVN40/discharge,2024,6000 m3/day,works,\n"))
    assert (by["COD"].limit.kf, by["COD"].limit.high) == (0.9, pytest.approx(67.5))
    found, one, by = checks(outlet(tmp_path / "b", "QCVN40/column,2024,A,works,\n"))
    assert by["COD"].limit is None
    assert by["pH"].limit.high == 9.0
    assert {problem.code for problem in one.problems} == {"eip.no_receiving"}
    assert found.reading("EIP2/wastewater_treated").value is None, "pH alone makes no standard"
