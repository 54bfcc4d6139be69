"""A country with the flows that the dispatch center fills, and files of its forms with made-up figures."""

from datetime import date, timedelta

import mangrove as mg

PLACES = "id,name,kind,parent\nvn,Việt Nam,country,\npark,Khu Thử Nghiệm,park,vn\n"
SETTINGS = """\
name: Lưới điện Thử Nghiệm
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: park
"""
SOURCES = ("hydro", "coal", "gas", "oil", "wind", "solar", "import", "other")


def declare(folder, levels=("low", "high"), load=True):
    """Writes the territory and gives its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["id,place,carrier,unit,step,semantics,account"]
    for source in SOURCES:
        lines.append(f"vn-{source},vn,electricity:{source},GWh,1d,sum,memo")
        lines += [f"vn-{source}-{level},vn,electricity:{source}@{level},MW,1d,state,memo" for level in levels]
    if load:
        lines.append("vn-load,vn,electricity:load,MW,30min,mean,memo")
    (folder / "flows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    (folder / "territory.yaml").write_text(SETTINGS, encoding="utf-8")
    return folder


def world(folder, **asked):
    return mg.open(declare(folder, **asked))


def mix_file(folder, first=date(2023, 6, 5), days=3, name="mix.csv"):
    """A file of the form `mix`; coal grows by one GWh a day."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["date,tot,hydro,coal,gas,oil,wind,solar,imp,oth,ci"]
    lines += [f"{first + timedelta(days=k)},800,200,{400 + k},80,1,20,80,15,4,0" for k in range(days)]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


OPERATION = (
    "05/06/2023|9:00|40.358,4 MW|804,4 triệu kWh|200,5|triệu kWh|400,2|triệu kWh|80,3|triệu kWh|1|triệu kWh"
    "|20,1|triệu kWh|82,5|triệu kWh|15,6|triệu kWh|4,2|triệu kWh|\n"
)
TWO_HOURS = (
    "05/06/2023|30000,0|38000,0|4000,0|13000,0|14000,0|19000,0|2000,0|4000,0|0|0|500,0|600,0|5400,0|0|3600,0|0|400,0|1200,0"
    "|100,0|200,0|\n"
)
