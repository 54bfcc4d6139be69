"""Limits of effluents: the arithmetic of QCVN 40:2011, bands that hold their upper end, and a version whose table is not here."""

import csv
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import RuleError
from mangrove.rules import effluent
from mangrove.rules.effluent import Receiving, limit


@pytest.mark.parametrize(
    ("flow", "kf"), [(10, 1.2), (50, 1.2), (50.1, 1.1), (500, 1.1), (501, 1.0), (5000, 1.0), (5001, 0.9)]
)
def test_kf_falls_with_the_discharge(flow, kf):
    assert limit("COD", column="A", flow=flow, receiving=Receiving("river", 100)).kf == kf


@pytest.mark.parametrize(("size", "kq"), [(1, 0.9), (50, 0.9), (51, 1.0), (200, 1.0), (500, 1.1), (501, 1.2)])
def test_kq_rises_with_the_river(size, kq):
    assert limit("TSS", column="B", flow=1000, receiving=Receiving("river", size)).kq == kq


def test_the_limit_is_c_kq_kf():
    found = limit("BOD5", column="B", flow=40, receiving=Receiving("river", 300))
    assert (found.base, found.high) == (50.0, pytest.approx(50 * 1.1 * 1.2))


@pytest.mark.parametrize("parameter", ["pH", "temperature", "color", "coliform", "alpha", "beta"])
def test_what_is_not_scaled_stays_as_printed(parameter):
    found = limit(parameter, column="A", flow=10, receiving=Receiving("river", 1000))
    assert (found.kq, found.kf, found.high) == (1.0, 1.0, found.base)


def test_ph_has_two_ends():
    assert (limit("pH", column="A").low, limit("ph", column="B").low) == (6.0, 5.5)
    assert limit("pH", column="A").text() == "6 - 9"


@given(
    st.sampled_from(effluent.parameters()), st.sampled_from(["river", "lake"]), st.floats(0, 1e6), st.floats(0.1, 1e9)
)  # fmt: skip
def test_not_knowing_how_large_the_water_is_never_makes_a_limit_looser(parameter, kind, flow, size):
    known, unknown = (limit(parameter, flow=flow, receiving=Receiving(kind, one)) for one in (size, None))
    assert unknown.high <= known.high
    assert known.high <= limit(parameter, column="B", flow=flow, receiving=Receiving(kind, size)).high


@pytest.mark.parametrize(
    ("given", "code"),
    [({"flow": 10}, "eip.no_receiving"), ({"receiving": Receiving("coast")}, "eip.no_discharge")],
)
def test_a_coefficient_that_lacks_its_fact_gives_no_limit(given, code):
    with pytest.raises(RuleError) as error:
        limit("COD", **given)
    assert error.value.code == code
    assert limit("pH", **given).high == 9.0


def test_the_version_of_2025_has_no_table_and_says_what_to_do():
    with pytest.raises(RuleError) as error:
        limit("COD", version="2025")
    assert error.value.code == "eip.no_limit_table"
    assert "QCVN40/COD" in error.value.text("vi")


@pytest.mark.parametrize(
    ("day", "existing", "key"),
    [
        (date(2025, 8, 31), True, "2011"), (date(2025, 8, 31), False, "2011"), (date(2025, 9, 1), False, "2025"),
        (date(2025, 9, 1), True, "2011"), (date(2031, 12, 31), True, "2011"), (date(2032, 1, 1), True, "2025"),
    ],
)  # fmt: skip
def test_existing_sites_keep_to_the_older_version_through_2031(day, existing, key):
    assert effluent.version_on(day, existing=existing).key == key


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"parameter": "CDO"}, "eip.unknown_parameter"), ({"parameter": "COD", "column": "C"}, "eip.unknown_column"),
        ({"parameter": "COD", "version": "2012"}, "eip.unknown_version"), ({"parameter": "COD", "flow": -1}, "eip.bad_discharge"),
    ],
)  # fmt: skip
def test_what_the_rule_does_not_know_is_refused_in_both_languages(call, code):
    with pytest.raises(RuleError) as error:
        limit(**call)
    assert error.value.code == code
    assert error.value.text("en") != error.value.text("vi")


@pytest.mark.parametrize("text", ["rivr 3 m3/s", "coast 3 m3/s", "river -3 m3/s", "river 0 m3/s", ""])
def test_a_receiving_water_that_is_none_is_refused(text):
    with pytest.raises(RuleError):
        Receiving.parse(text)


@pytest.mark.data
def test_the_table_is_the_one_that_was_re_keyed(data_dir):
    path = data_dir / "symbiosis" / "vn" / "qcvn40_2011_RECALLED.csv"
    with path.open(encoding="utf-8", newline="") as file:
        printed = list(csv.DictReader(file))
    assert len(printed) == len(effluent.parameters()) == 33
    for row, parameter in zip(printed, effluent.parameters(), strict=True):
        for column in ("A", "B"):
            found = limit(parameter, column=column, flow=1000, receiving=Receiving("river", 100))
            ends = [float(end) for end in row[column].split("-")]
            assert found.high == pytest.approx(ends[-1]), parameter
            assert found.low == (ends[0] if len(ends) > 1 else None)
