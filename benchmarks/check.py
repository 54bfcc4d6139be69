# SPDX-License-Identifier: Apache-2.0
"""How fast `mangrove.territory.check` is: a generated park of 5,000 assets and 20,000 flows.

Run: `python benchmarks/check.py [FLOWS ASSETS]`. Prints the CPU seconds of a fresh process (imports included), of the
check alone, and the ratio to `csv.reader` reading the same files.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CARRIERS = (
    ("electricity", "kWh"),
    ("fuel:diesel", "L"),
    ("fuel:anthracite", "t"),
    ("water", "m3"),
    ("steam", "GJ"),
)
YAML = "name: Bench\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: vi\ngwp: AR5\n"
CHILD = """
import resource, sys
from pathlib import Path
from mangrove.territory import check
territory, problems = check(Path(sys.argv[1]))
assert territory is not None, problems[:3]
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime + usage.ru_stime)
"""


def generate(folder: Path, flows: int, assets: int) -> None:
    """Writes a valid park; texts repeat as they do in real tables."""
    (folder / "territory.yaml").write_text(YAML, encoding="utf-8")
    places = ["id,name,kind,parent,area_km2,population,lon,lat", "park,Khu công nghiệp,park,,,,,"]
    places += [f"lot-{n},Lô {n},lot,park,0.{n % 9 + 1},,106.{n:04d},10.{n:04d}" for n in range(1000)]
    (folder / "places.csv").write_text("\n".join(places) + "\n", encoding="utf-8")
    columns = "id,place,to_place,carrier,unit,step,semantics,name,sector,scope,gpc,category,method,factor,parameters,"
    rows = [columns + "uncertainty,meter,account,spread,basis,note"]
    for n in range(flows):
        carrier, unit = CARRIERS[n % len(CARRIERS)]
        rows.append(
            f"flow-{n},lot-{n % 1000},,{carrier},{unit},15min,sum,Dòng {n},industry,{1 + n % 2},I.3.1,1,,,"
            f'"boiler_efficiency={80 + n % 15} %; pressure={n % 20} bar",{1 + n % 9} %,meter-{n},,,generated,"note, {n % 50}"'
        )
    (folder / "flows.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    rows = ["id,place,type,parameters"]
    rows += [f"asset-{n},lot-{n % 1000},battery,power={n + 1} kW; energy={2 * n} kWh" for n in range(assets)]
    (folder / "assets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def fresh_process(folder: Path) -> float:
    """CPU seconds of a process that imports Mangrove and checks."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def csv_reader_alone(folder: Path) -> float:
    """CPU seconds to split the same files into cells and nothing else."""
    start = time.process_time()
    for name in ("places.csv", "flows.csv", "assets.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            for _ in csv.reader(file):
                pass
    return time.process_time() - start


def check_alone(folder: Path) -> float:
    """CPU seconds of the check in this process, after imports."""
    from mangrove.territory import check

    start = time.process_time()
    check(folder)
    return time.process_time() - start


def main() -> None:
    """Generates, measures and prints."""
    flows, assets = (int(argument) for argument in (sys.argv[1:3] or ("20000", "5000")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, flows, assets)
        bare = min(csv_reader_alone(folder) for _ in range(5))
        alone = min(check_alone(folder) for _ in range(5))
        whole = min(fresh_process(folder) for _ in range(5))
    print(f"check of {flows:,} flows and {assets:,} assets, CPU seconds (best of 5)")
    print(f"  fresh process, imports included  {whole:.3f}")
    print(f"  check alone                      {alone:.3f}  = {alone / bare:.1f} x csv.reader alone")
    print(f"  csv.reader alone, same files     {bare:.3f}")


if __name__ == "__main__":
    main()
