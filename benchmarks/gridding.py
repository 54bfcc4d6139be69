# SPDX-License-Identifier: Apache-2.0
"""Gridding: 100,000 sources to 100 m cells beside emiproc, and the hourly year of a zone. `python benchmarks/gridding.py --peers peers/bin/python`.

The case: 60,000 lines of four corners, 20,000 points and 20,000 turned squares over 75 x 90 km (675,000 cells), drawn from a seed. Both
sides get the same shapes and make the weights from nothing, without any file; each runs in a process of its own, CPU seconds after
imports, the least of the rounds. Mangrove's time includes the check of every polygon. emiproc gets lines, points and polygons apart, as
categories of an inventory are, and loops over the sources, as its `remap_inventory` does for shapes; the polygons of its cells are made
beforehand. 200,000 entries of Mangrove's matrix are compared with the lengths and areas that GEOS cuts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import shapely

X0, Y0, WIDTH, HEIGHT = 650_000.0, 1_150_000.0, 75_000.0, 90_000.0
LINES, POINTS, SQUARES = 60_000, 20_000, 20_000
EPSG = 32648


def sources(seed: int = 11) -> Any:
    """The shapes, in meters; all of them inside."""
    rng = np.random.default_rng(seed)
    corner, size = np.array([X0, Y0]), np.array([WIDTH, HEIGHT])

    def somewhere(n: int) -> Any:
        return corner + 3_000 + rng.random((n, 2)) * (size - 6_000)

    steps = rng.normal(scale=150.0, size=(LINES, 4, 2))
    roads = shapely.linestrings(
        somewhere(LINES)[:, None, :] + np.clip(np.cumsum(steps, axis=1), -1_400, 1_400)
    )
    turn = rng.random(SQUARES)[:, None] * np.pi / 2 + np.arange(4) * np.pi / 2
    half = rng.uniform(20, 200, SQUARES)[:, None]
    corners = np.stack([half * np.cos(turn), half * np.sin(turn)], axis=-1)
    return np.concatenate(
        [roads, shapely.points(somewhere(POINTS)), shapely.polygons(somewhere(SQUARES)[:, None, :] + corners)]
    )


def own(cell: float, rounds: int) -> dict[str, Any]:
    """Mangrove: the least CPU seconds, and how far from GEOS."""
    from mangrove.gridding import Grid, weights

    shapes = sources()
    grid = Grid(X0, Y0, cell, cell, int(WIDTH / cell), int(HEIGHT / cell), EPSG)
    weights(shapes[::1000], grid)
    times = []
    for _ in range(rounds):
        start = time.process_time()
        matrix = weights(shapes, grid)
        times.append(time.process_time() - start)
    number, cells = matrix.nonzero()
    chosen = np.random.default_rng(1).choice(number.size, min(number.size, 200_000), replace=False)
    picked = shapes[number[chosen]]
    pieces = shapely.intersection(picked, grid.boxes(cells[chosen]))
    dimension = shapely.get_dimensions(picked)
    exact = np.where(
        dimension == 2,
        shapely.area(pieces) / np.where(dimension == 2, shapely.area(picked), 1),
        np.where(
            dimension == 1, shapely.length(pieces) / np.where(dimension == 1, shapely.length(picked), 1), 1
        ),
    )
    return {
        "cpu": min(times), "entries": int(matrix.nnz), "memory_mb": _memory(),
        "error": float(np.abs(matrix.data[chosen] - exact).max()),
        "rows": float(np.abs(matrix.sum(axis=1) - 1).max()),
    }  # fmt: skip


def emiproc(cell: float) -> dict[str, Any]:
    """The peer: CPU seconds of its weights for the same shapes."""
    import geopandas as gpd
    from emiproc.grids import RegularGrid
    from emiproc.regrid import calculate_weights_mapping

    shapes = sources()
    kinds = np.split(shapes, [LINES, LINES + POINTS])
    grid = RegularGrid(
        X0, Y0, nx=int(WIDTH / cell), ny=int(HEIGHT / cell), dx=cell, dy=cell, crs=f"EPSG:{EPSG}"
    )
    cells = grid.gdf
    spent, entries = 0.0, 0
    for kind in kinds:
        drawn = gpd.GeoDataFrame(geometry=list(kind), crs=EPSG)
        start = time.process_time()
        found = calculate_weights_mapping(drawn, cells, loop_over_inv_objects=True)
        spent += time.process_time() - start
        entries += len(found["weights"])
    return {"cpu": spent, "entries": entries, "memory_mb": _memory()}


def year(rounds: int = 20) -> dict[str, Any]:
    """The hourly year of one zone and some classes: 100 classes, 8,784 hours, 1 km cells and 100 m cells (sparse)."""
    import scipy.sparse

    from mangrove.gridding import Field

    rng = np.random.default_rng(3)
    profiles = rng.random((100, 8784))
    profiles /= profiles.sum(axis=1, keepdims=True)
    found: dict[str, Any] = {}
    for name, maps in (
        ("ward", rng.random((100, 168))),
        ("1 km", rng.random((100, 6_750))),
        ("100 m", scipy.sparse.random_array((100, 675_000), density=0.02, format="csr", rng=rng)),
    ):
        field = Field(profiles, maps, rng.random(100))
        for what, ask in (
            ("all", lambda f=field: f.zone(77)),
            ("sector", lambda f=field: f.zone(77, range(0, 100, 5))),
            ("map", lambda f=field: f.at(4000)),
            ("month", lambda f=field: f.over(0, 744)),
        ):
            times = []
            for _ in range(rounds):
                start = time.process_time()
                ask()
                times.append(time.process_time() - start)
            found[f"{name}: {what}"] = 1000 * float(np.median(times))
    found["memory_mb"] = _memory()
    return found


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_own_process(python: str, *words: str) -> dict[str, Any]:
    done = subprocess.run([python, __file__, *words], check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Prints one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="Python with emiproc: see benchmarks/requirements-peers.in")
    parser.add_argument("--cell", type=float, default=100.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("own", "emiproc", "year"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.only:
        jobs = {
            "own": lambda: own(words.cell, words.rounds),
            "emiproc": lambda: emiproc(words.cell),
            "year": year,
        }
        print(json.dumps(jobs[words.only]()))
        return
    cell = ("--cell", str(words.cell))
    mine = _in_own_process(sys.executable, "--only", "own", *cell, "--rounds", str(words.rounds))
    print(
        f"mangrove, {words.cell:g} m: {mine['cpu']:.3f} CPU s, {mine['entries']} entries, {mine['memory_mb']:.0f} MB"
    )
    print(
        f"  beside GEOS: {mine['error']:.1e} of a shape at most; rows add up to 1 within {mine['rows']:.1e}"
    )
    if words.peers:
        peer = _in_own_process(words.peers, "--only", "emiproc", *cell)
        print(
            f"emiproc, {words.cell:g} m: {peer['cpu']:.1f} CPU s, {peer['entries']} entries, {peer['memory_mb']:.0f} MB"
        )
        print(f"  ratio {peer['cpu'] / mine['cpu']:.0f} (bar 50)")
    for what, value in _in_own_process(sys.executable, "--only", "year").items():
        print(f"  {what}: {value:.2f}" + (" ms" if ":" in what else ""))


if __name__ == "__main__":
    main()
