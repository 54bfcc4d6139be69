# SPDX-License-Identifier: Apache-2.0
"""A network and what a simulation said of it as layers of a GeoPackage, for QGIS and whatever reads GeoPackages.

Comes in: a `Network` and, if there was a run, its results. Goes out: a .gpkg file with the layers `nodes`, `links` and (for drainage)
`areas`: WGS84 degrees where the reference system is known, else the file's own coordinates without one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from errno import EISDIR
from os import strerror
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from mangrove.errors import MissingExtraError, RequestError
from mangrove.hydraulics.drainage import Drainage
from mangrove.hydraulics.network import Network
from mangrove.hydraulics.supply import Supply

Column = npt.NDArray[np.float64] | npt.NDArray[np.str_]


def write(path: str | Path, network: Network, result: Supply | Drainage | None = None) -> tuple[str, ...]:
    """Writes a GeoPackage; a file that is there is replaced.

    Args:
        path: of the file, ending in .gpkg.
        network: what is drawn.
        result: of a simulation; its figures become columns.

    Returns:
        The names of the layers.

    Raises:
        RequestError: `hydraulics.no_positions`.
        MissingExtraError: the extra `water` is not installed.
    """
    import shapely

    xy = network.xy if network.lonlat is None else network.lonlat
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(xy).all(axis=1))
    if not known.any():
        raise RequestError("hydraulics.no_positions")
    nodes, links = _columns(network, result)
    drawn = np.asarray(known[network.ends].all(axis=1)) if len(network.links) else np.zeros(0, np.bool_)
    lines = shapely.linestrings(xy[network.ends[drawn]]) if drawn.any() else np.empty(0, object)
    layers = [
        ("nodes", "Point", shapely.points(xy[known]), _picked(nodes, known)),
        ("links", "LineString", lines, _picked(links, drawn)),
    ]
    rings = np.array([len(ring) > 0 for ring in network.rings], bool)
    if rings.any():
        shapes = [shapely.Polygon(_degrees(network, ring)) for ring in network.rings if len(ring)]
        areas: dict[str, Column] = {"id": np.array(network.areas), "area_m2": network.area}
        layers.append(("areas", "Polygon", np.array(shapes, object), _picked(areas, rings)))
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(EISDIR, strerror(EISDIR), str(target))
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as beside:
        made = Path(beside) / "made.gpkg"
        for at, (layer, kind, shapes_of, fields) in enumerate(layers):
            _write(made, layer, kind, shapely.to_wkb(shapes_of), fields, degrees=network.lonlat is not None, append=at > 0)  # fmt: skip
        made.replace(target)  # what stood there before stays until all layers are written
    return tuple(layer for layer, *_ in layers)


def _write(
    path: Path, layer: str, kind: str, wkb: npt.NDArray[np.object_], fields: Mapping[str, Column], *, degrees: bool, append: bool
) -> None:  # fmt: skip
    try:
        from pyogrio import raw
    except ImportError:
        raise MissingExtraError("water") from None
    with (
        warnings.catch_warnings()
    ):  # a file without a reference system is said to be one in the documentation
        warnings.filterwarnings("ignore", message=".*crs.*was not provided", category=UserWarning)
        raw.write(
            str(path), wkb, list(fields.values()), list(fields), layer=layer, driver="GPKG", geometry_type=kind,
            crs="EPSG:4326" if degrees else None, append=append,
        )  # fmt: skip


def _degrees(network: Network, ring: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if network.lonlat is None:
        return ring
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(network.crs, "EPSG:4326", always_xy=True).transform(
        ring[:, 0], ring[:, 1]
    )
    return np.column_stack([lon, lat])


def _columns(
    network: Network, result: Supply | Drainage | None
) -> tuple[dict[str, Column], dict[str, Column]]:
    """The columns of nodes and of links."""
    nodes: dict[str, Column] = {
        "id": np.array(network.nodes), "kind": np.array(network.node_kinds), "elevation_m": network.elevation,
    }  # fmt: skip
    links: dict[str, Column] = {
        "id": np.array(network.links), "kind": np.array(network.link_kinds), "length_m": network.length,
        "from_node": np.array([network.nodes[a] for a in network.ends[:, 0]], str),
        "to_node": np.array([network.nodes[b] for b in network.ends[:, 1]], str),
    }  # fmt: skip
    if isinstance(result, Supply):
        nodes["pressure_min_m"] = result.pressure.min(axis=0)
        nodes["pressure_mean_m"] = result.pressure.mean(axis=0)
        nodes["demand_mean_m3h"] = result.demand.mean(axis=0) * 3600
        links["flow_mean_m3h"] = result.flow.mean(axis=0) * 3600
        links["velocity_max_ms"] = result.velocity.max(axis=0)
        energy = np.full(len(network.links), np.nan)
        energy[result.pumps] = result.energy.sum(axis=0)
        links["energy_kwh"] = energy
    if isinstance(result, Drainage):
        nodes["flooded_m3"] = result.flooded
        nodes["flooded_hours"] = result.flooded_hours
        nodes["depth_max_m"] = result.depth
        links["full_hours"] = result.full_hours
        links["limited_hours"] = result.limited_hours
    return nodes, links


def _picked(columns: Mapping[str, Column], where: npt.NDArray[np.bool_]) -> dict[str, Column]:
    """The rows that are drawn; text as objects, as the writer wants it."""
    return {
        name: column[where].astype(object) if column.dtype.kind == "U" else column[where]
        for name, column in columns.items()
    }
