# SPDX-License-Identifier: Apache-2.0
"""Gridded emissions as GeoParquet 1.1 for maps and tables: a row for each zone, step and sector, a column for each gas.

Comes in: layers, a grid or zones, steps. Goes out: a Parquet file whose `geometry` is well-known binary, with the metadata that QGIS, DuckDB
and GeoPandas read. Cells stay squares of their projected system, zones stay in WGS84. Cells in which nothing is emitted have no row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from mangrove.gridding.grid import Grid, Shapes
from mangrove.gridding.layers import Layer, Steps, Zones, check, maps, written

VERSION = "1.1.0"
"""Of the GeoParquet specification."""
_GROUP = 32 << 20
"""Bytes of a row group before compression; outlines repeat from step to step and pack well."""


def write(
    path: Path,
    layers: Sequence[Layer],
    frame: Grid | Zones,
    steps: Steps,
    *,
    attributes: Mapping[str, str] | None = None,
) -> Path:
    """Writes the layers; `path` is replaced only when all was written. Arguments and errors as in `netcdf.write`.

    Columns: `zone` (id), `name`, `start`, `end` (UTC), `sector`, kilograms of each gas (`CO2_kg`, ...), `geometry`.
    """
    check(layers, frame)
    gases = tuple(dict.fromkeys(layer.gas for layer in layers))
    shapes = frame.boxes() if isinstance(frame, Grid) else frame.shapes
    schema = _schema(gases, shapes, frame, attributes or {})
    with written(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as file:
        for group in _groups(_rows(layers, frame, shapes, steps, schema)):
            file.write_table(group, row_group_size=group.num_rows)
    return path


def _rows(
    layers: Sequence[Layer], frame: Grid | Zones, shapes: Shapes, steps: Steps, schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows of each step and sector in which anything is emitted."""
    wkb = np.array(shapely.to_wkb(shapes), dtype=object)
    ids, names = _labels(frame)
    gases = [name.removesuffix("_kg") for name in schema.names if name.endswith("_kg")]
    times = steps.times.astype("datetime64[us]")
    for step, sector, amounts in _tables(layers, steps):
        kept = np.flatnonzero(np.any([amount != 0 for amount in amounts.values()], axis=0))
        if not kept.size:
            continue
        none = [None] * kept.size
        columns: list[Any] = [
            pa.array(ids[kept], pa.string()),
            pa.array(names[kept], pa.string()),
            pa.array(np.full(kept.size, times[step])).cast(schema.field("start").type),
            pa.array(np.full(kept.size, times[step + 1])).cast(schema.field("end").type),
            pa.array([sector] * kept.size, pa.string()),
            *(pa.array(amounts[gas][kept] if gas in amounts else none, pa.float64()) for gas in gases),
            pa.array(wkb[kept], pa.binary()),
        ]
        yield pa.Table.from_arrays(columns, schema=schema)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables after each other, gathered into groups that are worth a row group and fit into memory."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        waiting.append(table)
        size += table.nbytes
        if size >= _GROUP:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _tables(layers: Sequence[Layer], steps: Steps) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """For each step and sector the kilograms of its gases by zone."""
    sectors: dict[str, list[int]] = {}
    for number, layer in enumerate(layers):
        sectors.setdefault(layer.sector, []).append(number)
    running = [maps(layer, steps) for layer in layers]
    for step in range(len(steps)):
        found = [np.asarray(next(following)) for following in running]
        for sector, numbers in sectors.items():
            amounts: dict[str, Any] = {}
            for number in numbers:
                gas = layers[number].gas
                amounts[gas] = amounts.get(gas, 0.0) + found[number]
            yield step, sector, amounts


def _labels(frame: Grid | Zones) -> tuple[Any, Any]:
    """Ids and names of the rows: of cells their row and column from the south-west."""
    if isinstance(frame, Zones):
        return np.array(frame.ids, dtype=object), np.array(frame.names, dtype=object)
    number = np.arange(frame.cells)
    texts = [f"r{row}c{column}" for row, column in zip(number // frame.nx, number % frame.nx, strict=True)]
    return np.array(texts, dtype=object), np.full(frame.cells, "", dtype=object)


def _schema(
    gases: Sequence[str], shapes: Shapes, frame: Grid | Zones, attributes: Mapping[str, str]
) -> pa.Schema:
    """The columns, with the metadata of GeoParquet."""
    instant = pa.timestamp("us", tz="UTC")
    fields = [
        ("zone", pa.string()),
        ("name", pa.string()),
        ("start", instant),
        ("end", instant),
        ("sector", pa.string()),
    ]
    fields += [(f"{gas}_kg", pa.float64()) for gas in gases]
    fields.append(("geometry", pa.binary()))
    drawn = shapes[~shapely.is_missing(shapes)]
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(set(shapely.get_type_id(drawn).tolist())),
        "edges": "planar",
    }
    column["geometry_types"] = [_KINDS[kind] for kind in column["geometry_types"]]
    if drawn.size:
        column["bbox"] = shapely.total_bounds(drawn).tolist()
    if (
        isinstance(frame, Grid) and not frame.in_degrees
    ):  # degrees, longitude first, are the default of the specification
        column["crs"] = _system(frame.epsg)
    geo = {"version": VERSION, "primary_column": "geometry", "columns": {"geometry": column}}
    return pa.schema(fields, metadata={"geo": json.dumps(geo), **attributes})


_KINDS = {0: "Point", 1: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}


def _system(epsg: int) -> Any:
    """The projected system as PROJJSON; null ("unknown") for a grid without one."""
    if not epsg:
        return None
    from pyproj import CRS

    return CRS.from_epsg(epsg).to_json_dict()
