"""A three-ward city, small enough to read: the world of the tests of this room."""

from pathlib import Path

from mangrove.errors import Problem
from mangrove.territory import Territory, check

YAML = """\
name: Thành phố Ba Phường
kind: city
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
"""
PLACES = """\
id,name,kind,parent,valid_from,valid_to,area_km2,population,lon,lat
city,Thành phố Ba Phường,city,,,,,,,
north,Phường Hoà Bình,ward,city,2025-07-01,,10,3000,106.60,10.80
south,Phường Thuỷ Nguyên,ward,city,2025-07-01,,30,1000,106.61,10.70
old1,Phường 1,ward,city,,2025-07-01,12,,106.60,10.82
old2,Phường 2,ward,city,,2025-07-01,8,,106.60,10.78
old3,Phường 3,ward,city,,2025-07-01,20,,106.61,10.70
"""
FLOWS = """\
id,place,carrier,unit,step,scope,parameters,uncertainty
power,north,electricity,kWh,15min,2,,1 %
boiler,south,fuel:anthracite,t,1mo,1,boiler_efficiency=85 %; grade='4a',5 %
"""
CROSSWALK = "old,new,share\nold1,north,1\nold2,north,0.75\nold2,south,0.25\nold3,south,\n"
GOOD = {"territory.yaml": YAML, "places.csv": PLACES, "flows.csv": FLOWS, "crosswalk.csv": CROSSWALK}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """The good world in `folder`, with some of its files replaced or added."""
    for name, content in {**GOOD, **files}.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    return folder


def problems(folder: Path, files: dict[str, str | bytes], **lookups) -> list[tuple[str, str]]:
    """What `check` finds, as (place, code) pairs."""
    found = check(write(folder, files), **lookups)[1]
    return [(str(problem.where), problem.code) for problem in found]


def only(folder: Path, files: dict[str, str | bytes]) -> Problem:
    """The one problem of a folder."""
    found = check(write(folder, files))[1]
    assert len(found) == 1, [problem.line() for problem in found]
    return found[0]


def good(folder: Path, files: dict[str, str | bytes] | None = None) -> Territory:
    """A territory that must load."""
    territory, found = check(write(folder, files or {}))
    assert territory is not None, [problem.line() for problem in found]
    return territory
