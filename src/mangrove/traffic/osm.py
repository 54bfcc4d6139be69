# SPDX-License-Identifier: Apache-2.0
"""Road networks from OpenStreetMap: a box of an extract becomes a network of SUMO.

Comes in: an extract (`.osm.pbf`, `.osm.xml`) and a box. Goes out: a `.net.xml.gz` as `sumo_net.read_net` takes it. pyosmium keeps the
ways that motor vehicles use, netconvert makes edges, junctions and signals of them; its options stand in `OPTIONS`.
Maps are (c) OpenStreetMap contributors, ODbL 1.0: whoever publishes what is made of them says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from mangrove.errors import MissingExtraError, RequestError, SourceError, Where
from mangrove.traffic import sumo

ROADS = frozenset({
    "motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link", "secondary", "secondary_link",
    "tertiary", "tertiary_link", "unclassified", "residential", "living_street", "service",
})  # fmt: skip
"""Values of `highway` that are kept unless the caller names others."""

OPTIONS: Mapping[str, str] = MappingProxyType({
    "proj.utm": "true",  # meters in the zone of the box, so that longitude and latitude can be had again
    "geometry.remove": "true",  # nodes that only bend a street are no junctions
    "tls.guess-signals": "true",  # signals mapped before a junction control the junction
    "tls.discard-simple": "true",  # a signal where nothing crosses is left out
    "tls.join": "true",  # signals of one junction run together
    "tls.default-type": "static",
    "junctions.join": "true",  # junctions of dual carriageways are one
    "ramps.guess": "true",
    "no-turnarounds.except-deadend": "true",
    "remove-edges.isolated": "true",
    "keep-edges.components": "1",  # only the largest connected part: trips between all zones exist
    "output.street-names": "true",
})  # fmt: skip
"""Options of netconvert; `extract(options=...)` adds to them or replaces them."""


_DEGREES = 180


class Box(NamedTuple):
    """West, south, east, north in WGS84 degrees."""

    west: float
    south: float
    east: float
    north: float


def extract(
    source: Path, box: Box | tuple[float, float, float, float], out: Path, *, kinds: frozenset[str] = ROADS,
    options: Mapping[str, str] = MappingProxyType({}),
) -> Path:  # fmt: skip
    """Makes a network of the streets of a box.

    Args:
        source: the extract.
        box: what is cut out; edges that cross its border are kept whole.
        out: the network, `.net.xml` or `.net.xml.gz`.
        kinds: values of `highway` that are kept.
        options: of netconvert, besides `OPTIONS`.

    Returns:
        `out`.

    Raises:
        MissingExtraError: pyosmium or netconvert is not installed.
        RequestError: `roads.bad_box`.
        SourceError: `roads.no_file`, `roads.not_osm`, `roads.empty_box` (no street in it), `traffic.sumo_failed` (netconvert gave up).
    """
    area = Box(*box)
    if not (area.west < area.east and area.south < area.north and max(map(abs, area)) <= _DEGREES):
        raise RequestError("roads.bad_box", box=", ".join(f"{edge:g}" for edge in area))
    if not Path(source).is_file():
        raise SourceError("roads.no_file", path=source)
    program = sumo.binary("netconvert")
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / "box.osm"
        if not _cut(Path(source), area, cut, kinds):
            raise SourceError(
                "roads.empty_box",
                where=Where(Path(source).name),
                box=", ".join(f"{edge:g}" for edge in area),
            )
        border = ",".join(f"{edge:.6f}" for edge in area)
        chosen = {**OPTIONS, "keep-edges.in-geo-boundary": border, **options}
        command = [program, "--osm-files", str(cut), "--output-file", str(out)]
        for name, value in chosen.items():
            command += [f"--{name}", value]
        sumo.run(command, Path(folder))
    return Path(out)


def _cut(source: Path, area: Box, out: Path, kinds: frozenset[str]) -> int:
    """Writes the ways of a box with their nodes; returns how many ways there are."""
    try:
        import osmium
    except ImportError:
        raise MissingExtraError("traffic") from None

    kept: set[int] = set()
    nodes: set[int] = set()
    try:
        ways = osmium.FileProcessor(str(source), osmium.osm.NODE | osmium.osm.WAY).with_locations()
        ways = ways.with_filter(osmium.filter.EntityFilter(osmium.osm.WAY))
        for way in ways.with_filter(osmium.filter.KeyFilter("highway")):
            if way.tags.get("highway") in kinds and _touches(way, area):
                kept.add(way.id)
                nodes.update(node.ref for node in way.nodes)
        with osmium.SimpleWriter(str(out), overwrite=True) as writer:
            for thing in osmium.FileProcessor(str(source), osmium.osm.NODE | osmium.osm.WAY):
                if thing.id in (kept if thing.is_way() else nodes):
                    writer.add(thing)
    except (RuntimeError, OSError) as error:
        raise SourceError("roads.not_osm", where=Where(source.name), text=str(error)) from None
    return len(kept)


def _touches(way: object, area: Box) -> bool:
    """Whether a node of the way lies in the box."""
    return any(
        node.location.valid()
        and area.west <= node.location.lon <= area.east
        and area.south <= node.location.lat <= area.north
        for node in way.nodes  # type: ignore[attr-defined]
    )
