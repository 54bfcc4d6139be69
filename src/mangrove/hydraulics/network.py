# SPDX-License-Identifier: Apache-2.0
"""What an .inp file declares: nodes, links, areas and where they are, as arrays.

Comes in: an .inp file of EPANET or SWMM and, when it is known, the reference system of its coordinates (EPSG:9210, UTM, ...). Goes
out: a `Network` with coordinates of the file and, with a reference system, WGS84 degrees. Links that name a node which does not exist
are errors with their line: the solvers' own messages come later and say less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, SourceError, did_you_mean
from mangrove.hydraulics.inp import InpFile, Row, read

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Key = Callable[[str], str]
"""How ids are compared: EPANET tells cases apart, SWMM does not."""

_SUPPLY_NODES = {"JUNCTIONS": "junction", "RESERVOIRS": "reservoir", "TANKS": "tank"}
_SUPPLY_LINKS = {"PIPES": "pipe", "PUMPS": "pump", "VALVES": "valve"}
_DRAIN_NODES = {"JUNCTIONS": "junction", "OUTFALLS": "outfall", "STORAGE": "storage", "DIVIDERS": "divider"}
_DRAIN_LINKS = {
    "CONDUITS": "conduit", "PUMPS": "pump", "ORIFICES": "orifice", "WEIRS": "weir", "OUTLETS": "outlet",
}  # fmt: skip
_DRAINAGE = ("CONDUITS", "SUBCATCHMENTS", "OUTFALLS")
"""Sections that only SWMM has."""
_US_FLOWS = ("CFS", "GPM", "MGD", "IMGD", "AFD")
FOOT, ACRE = 0.3048, 4046.8564224
"""m; m2: exact (international foot)."""
_CORNERS = 3


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes, links and areas of one file.

    Attributes:
        kind: `supply` (EPANET) or `drainage` (SWMM).
        nodes: ids; node_kinds: `junction`, `tank`, ...; elevation: m, shape (N,).
        xy: coordinates of the file, shape (N, 2), NaN where the file has none; lonlat: WGS84 degrees, or None without a system.
        links: ids; link_kinds; ends: (L, 2) numbers of nodes; length: m, shape (L,), NaN where a link has none.
        areas: ids of subcatchments; drains_to: number of the node that each drains to, -1 for none; area: m2;
            rings: their outlines in coordinates of the file.
        us: whether the file is written in feet.
    """

    file: InpFile
    kind: str
    nodes: tuple[str, ...]
    node_kinds: tuple[str, ...]
    elevation: Floats
    xy: Floats
    lonlat: Floats | None
    links: tuple[str, ...]
    link_kinds: tuple[str, ...]
    ends: Ints
    length: Floats
    areas: tuple[str, ...]
    drains_to: Ints
    area: Floats
    rings: tuple[Floats, ...]
    us: bool
    crs: str = ""

    def count(self, kind: str) -> int:
        """How many nodes or links of a kind there are."""
        return (self.node_kinds + self.link_kinds).count(kind)


def read_network(path: str | Path, crs: str = "") -> Network:
    """Reads an .inp file of EPANET or SWMM.

    Args:
        path: the file.
        crs: the reference system of its coordinates, as pyproj reads it ("EPSG:9210"); empty: positions stay those of the file.

    Raises:
        SourceError: the file cannot be read, a link names a node that is not there, a cell is no number: with the line.
        RequestError: `hydraulics.bad_crs`.
    """
    file = read(Path(path))
    drains = any(name in file.sections for name in _DRAINAGE)
    node_sections, link_sections = (_DRAIN_NODES, _DRAIN_LINKS) if drains else (_SUPPLY_NODES, _SUPPLY_LINKS)
    us = _is_us(file, drains=drains)
    scale = FOOT if us else 1.0
    found = file.rows(*node_sections)
    if not found:
        raise SourceError("hydraulics.no_nodes", where=file.where())
    nodes = _unique(file, [row for _, row in found])
    elevation = np.array([file.number(row, 1, 0.0) for _, row in found]) * scale
    key: Key = str.upper if drains else str
    at = {key(id_): number for number, id_ in enumerate(nodes)}
    pipes = file.rows(*link_sections)
    _unique(file, [row for _, row in pipes])
    ends = np.array([[_node(file, row, k, at, key) for k in (1, 2)] for _, row in pipes], np.int64).reshape(
        -1, 2
    )
    length = np.array([_length(file, name, row) * scale for name, row in pipes])
    xy = _coordinates(file, at, key)
    areas = file.rows("SUBCATCHMENTS") if drains else []
    return Network(
        file=file, kind="drainage" if drains else "supply", nodes=nodes,
        node_kinds=tuple(node_sections[name] for name, _ in found), elevation=elevation, xy=xy,
        lonlat=_degrees(xy, crs) if crs else None, links=tuple(row.words[0] for _, row in pipes),
        link_kinds=tuple(link_sections[name] for name, _ in pipes), ends=ends, length=length,
        areas=tuple(row.words[0] for _, row in areas),
        drains_to=np.array([at.get(key(row.words[2]), -1) if len(row.words) > 2 else -1 for _, row in areas], np.int64),  # noqa: PLR2004
        area=np.array([file.number(row, 3) for _, row in areas]) * (ACRE if us else 1e4),
        rings=_rings(file, [row.words[0] for _, row in areas]), us=us, crs=crs,
    )  # fmt: skip


def _is_us(file: InpFile, *, drains: bool) -> bool:
    """Whether lengths are feet: the unit of flow decides, CFS (SWMM) or GPM (EPANET 2.2) when none is named."""
    written = file.option("FLOW_UNITS" if drains else "UNITS", "CFS" if drains else "GPM").upper()
    return written.split()[0] in _US_FLOWS


def _unique(file: InpFile, rows: Sequence[Row]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    for row in rows:
        if row.words[0] in seen:
            raise SourceError(
                "hydraulics.twice", where=file.where(row.line), id=row.words[0], line=seen[row.words[0]]
            )
        seen[row.words[0]] = row.line
    return tuple(seen)


def _node(file: InpFile, row: Row, at: int, nodes: dict[str, int], key: Key) -> int:
    name = row.words[at] if at < len(row.words) else ""
    if key(name) not in nodes:
        hint = did_you_mean(name, nodes)
        raise SourceError(
            "hydraulics.unknown_node", where=file.where(row.line), link=row.words[0], node=name, hint=hint
        )
    return nodes[key(name)]


def _length(file: InpFile, section: str, row: Row) -> float:
    return file.number(row, 3) if section in ("PIPES", "CONDUITS") else float("nan")


def _coordinates(file: InpFile, at: dict[str, int], key: Key) -> Floats:
    xy = np.full((len(at), 2), np.nan)
    for _, row in file.rows("COORDINATES"):
        if key(row.words[0]) in at:
            xy[at[key(row.words[0])]] = file.number(row, 1), file.number(row, 2)
    return xy


def _rings(file: InpFile, areas: Sequence[str]) -> tuple[Floats, ...]:
    corners: dict[str, list[tuple[float, float]]] = {name.upper(): [] for name in areas}
    for _, row in file.rows("POLYGONS"):
        if row.words[0].upper() in corners:
            corners[row.words[0].upper()].append((file.number(row, 1), file.number(row, 2)))
    return tuple(np.array(ring) if len(ring) >= _CORNERS else np.empty((0, 2)) for ring in corners.values())


def _degrees(xy: Floats, crs: str) -> Floats:
    """WGS84 longitude and latitude of coordinates in `crs`; NaN stays NaN."""
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    try:
        lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(xy[:, 0], xy[:, 1])
    except CRSError as error:
        raise RequestError("hydraulics.bad_crs", text=crs, reason=str(error)[:200]) from None
    found = np.column_stack([lon, lat])
    found[~np.isfinite(found).all(axis=1)] = np.nan
    known = np.isfinite(xy).all(axis=1)
    if known.any() and not np.isfinite(found[known]).any():
        raise RequestError("hydraulics.outside_crs", text=crs)
    return found
