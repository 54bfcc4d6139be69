# SPDX-License-Identifier: Apache-2.0
"""Networks for tests: those that wntr carries, and a small town that drains, written here."""

from importlib.util import find_spec
from pathlib import Path


def supply(name: str) -> Path:
    """An example network of EPANET: Net1, Net3, Net6."""
    found = find_spec("wntr")  # its import takes a second, its place does not
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "library" / "networks" / f"{name}.inp"


def town(folder: Path, *, pipe: float = 0.3, units: str = "CMS") -> Path:
    """Four nodes in a row to an outfall, two blocks of 5 ha that are half paved; conduits of `pipe` m."""
    text = f"""[TITLE]
A street that floods
[OPTIONS]
FLOW_UNITS {units}
INFILTRATION HORTON
FLOW_ROUTING DYNWAVE
START_DATE 01/01/2020
START_TIME 00:00:00
REPORT_START_DATE 01/01/2020
REPORT_START_TIME 00:00:00
END_DATE 01/01/2020
END_TIME 06:00:00
REPORT_STEP 00:05:00
WET_STEP 00:01:00
DRY_STEP 00:10:00
ROUTING_STEP 5
ALLOW_PONDING NO
[RAINGAGES]
G1 INTENSITY 1:00 1.0 TIMESERIES T1
[SUBCATCHMENTS]
S1 G1 J1 5 50 100 0.5 0
S2 G1 J3 5 50 100 0.5 0
[SUBAREAS]
S1 0.012 0.1 1.3 2.5 25 OUTLET
S2 0.012 0.1 1.3 2.5 25 OUTLET
[INFILTRATION]
S1 75 12 4 7 0
S2 75 12 4 7 0
[JUNCTIONS]
J1 5.0 1.5 0 0 0
J2 4.6 1.5 0 0 0
J3 4.2 1.5 0 0 0
J4 3.8 1.5 0 0 0
[OUTFALLS]
O1 3.4 FREE NO
[CONDUITS]
C1 J1 J2 100 0.013 0 0 0 0
C2 J2 J3 100 0.013 0 0 0 0
C3 J3 J4 100 0.013 0 0 0 0
C4 J4 O1 100 0.013 0 0 0 0
[XSECTIONS]
C1 CIRCULAR {pipe} 0 0 0 1
C2 CIRCULAR {pipe} 0 0 0 1
C3 CIRCULAR {pipe} 0 0 0 1
C4 CIRCULAR {pipe} 0 0 0 1
[TIMESERIES]
T1 0:00 10
T1 1:00 0
[COORDINATES]
J1 106.70 10.80
J2 106.71 10.80
J3 106.72 10.80
J4 106.73 10.80
O1 106.74 10.80
[POLYGONS]
S1 106.695 10.795
S1 106.715 10.795
S1 106.715 10.805
S1 106.695 10.805
"""
    path = folder / f"town-{pipe:g}-{units}.inp"
    path.write_text(text, encoding="utf-8")
    return path
