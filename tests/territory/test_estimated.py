# SPDX-License-Identifier: Apache-2.0
"""Declared drivers and virtual meters: what is read, what is refused and where."""

import pytest
from world import good, write

from mangrove.territory import check

FLOWS = (
    "id,place,carrier,unit,step,semantics,sector,gpc\n"
    "inv,north,reported:CO2e,t,1y,sum,roads,II.1.1\n"
    "count,north,index:traffic,1,1h,state,,\n"
    "stack,north,stack:NOx,mg/Nm3,1h,mean,,\n"
    "load,north,electricity,kWh,1h,sum,,\n"
)
DRIVERS = "target,index,elasticity,spread,place,note\n"
VIRTUAL = "flow,inputs,reference,parameters,note\n"


def test_a_driver_holds_everywhere_with_an_elasticity_of_one_unless_said(tmp_path):
    city = good(tmp_path, {"flows.csv": FLOWS, "drivers.csv": DRIVERS + "II.1.1,count,,,,\n"})
    (driver,) = city.drivers
    assert (driver.target, driver.index, driver.elasticity, driver.spread, driver.place) == (
        "II.1.1", "count", 1.0, 0.25, None,
    )  # fmt: skip


def test_a_virtual_meter_names_its_inputs(tmp_path):
    city = good(tmp_path, {"flows.csv": FLOWS, "virtual.csv": VIRTUAL + "stack,load count,,,\n"})
    assert city.virtual[0].inputs == ("load", "count")
    assert city.virtual[0].reference is None


def test_what_is_declared_about_estimates_is_part_of_the_hash(tmp_path):
    hashes = [good(tmp_path, {"flows.csv": FLOWS, name: text}).content_hash for name, text in (
        ("drivers.csv", DRIVERS), ("drivers.csv", DRIVERS + "roads,count,,,,\n"),
    )]  # fmt: skip
    (tmp_path / "drivers.csv").unlink()
    plain = good(tmp_path).content_hash
    assert len({*hashes, plain}) == 3


CASES = [
    ("drivers.csv", DRIVERS + "II.1.2,count,,,,\n", "drivers.csv:2:1", "unknown_target"),
    ("drivers.csv", DRIVERS + "roads,cuont,,,,\n", "drivers.csv:2:7", "no_flow"),
    ("drivers.csv", DRIVERS + "count,count,,,,\n", "drivers.csv:2:7", "reads_itself"),
    ("drivers.csv", DRIVERS + "roads,count,,,,\nroads,count,,,,\n", "drivers.csv:3:1", "duplicate_id"),
    ("drivers.csv", DRIVERS + "roads,count,0,,,\n", "drivers.csv:2:13", "zero"),
    ("virtual.csv", VIRTUAL + "stack,load stack,,,\n", "virtual.csv:2:7", "reads_itself"),
    ("virtual.csv", VIRTUAL + "stack,lood,,,\n", "virtual.csv:2:7", "no_flow"),
    ("virtual.csv", VIRTUAL + "stack,load,,,\nstack,load,,,\n", "virtual.csv:3:1", "duplicate_id"),
]


@pytest.mark.parametrize(("file", "text", "where", "code"), CASES)
def test_what_cannot_be_is_refused_at_its_place(tmp_path, file, text, where, code):
    problems = check(write(tmp_path, {"flows.csv": FLOWS, file: text}))[1]
    assert (where, f"territory.{code}") in [(str(p.where), p.code) for p in problems], [
        p.line() for p in problems
    ]
