# SPDX-License-Identifier: Apache-2.0
"""A drainage network under rain: which nodes flood, how much, for how long, and which conduits run full, from SWMM 5.2.

Comes in: a `Network` read from a SWMM file and a rain: a design storm or measured amounts. Goes out: a `Drainage` in SI units with the
mass-balance errors that SWMM itself reports. The rain takes the place of that of the file at every gage, and the dates of the run
follow it; everything else stays as the engineer wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, SourceError
from mangrove.hydraulics import isolate
from mangrove.hydraulics.inp import check_closed
from mangrove.hydraulics.network import FOOT, Network

Floats = npt.NDArray[np.float64]

_SERIES = "MANGROVE_RAIN"
_DATES = ("START_DATE", "START_TIME", "REPORT_START_DATE", "REPORT_START_TIME", "END_DATE", "END_TIME")
_INCH = 25.4
_PEAK = 0.4
"""Where in a storm its highest intensity lies; 0.3 to 0.5 in the storms of Yen and Chow (1980), 0.375 in those of Keifer and Chu (1957)."""
TOO_INEXACT = 10.0
"""%: SWMM's manual (Users Manual 5.1, section 8.1) calls a result with a larger continuity error doubtful."""


@dataclass(frozen=True, eq=False)
class Rain:
    """Amounts of rain: `amounts` (n,) mm, one for each `step` seconds from `start` (local time, without a zone) on."""

    start: datetime
    step: int
    amounts: Floats

    def __post_init__(self) -> None:
        if not (np.isfinite(self.amounts).all() and (self.amounts >= 0).all() and len(self.amounts)):
            raise RequestError("hydraulics.bad_rain")

    @property
    def depth(self) -> float:
        """The sum of the amounts, in mm."""
        return float(self.amounts.sum())


@dataclass(frozen=True, eq=False)
class Drainage:
    """What a rain does to a network.

    Attributes:
        flooded: (N,) m3 that left each node to the street; flooded_hours: (N,) for how long; overflow: (N,) m3/s, the highest.
        depth: (N,) m, the highest; full_hours: (L,) hours over full at both ends; limited_hours: (L,) hours at capacity.
        routing: SWMM's totals in m3; runoff: those in mm over the areas; runoff_error, routing_error: its mass-balance errors in %.
        report: SWMM's report as text.
    """

    network: Network
    rain: Rain | None
    flooded: Floats
    flooded_hours: Floats
    overflow: Floats
    depth: Floats
    full_hours: Floats
    limited_hours: Floats
    routing: Mapping[str, float]
    runoff: Mapping[str, float]
    runoff_error: float
    routing_error: float
    warnings: tuple[str, ...]
    report: str
    cpu: float

    @property
    def flooded_nodes(self) -> tuple[str, ...]:
        """The nodes that flood, the largest volume first."""
        order = np.argsort(-self.flooded, kind="stable")
        return tuple(self.network.nodes[n] for n in order if self.flooded[n] > 0)

    @property
    def doubtful(self) -> bool:
        """Whether a mass-balance error is too large for the result to be used."""
        return max(abs(self.runoff_error), abs(self.routing_error)) > TOO_INEXACT


def storm(depth: float, hours: float, start: datetime, *, step: int = 300, peak: float = _PEAK) -> Rain:
    """A design storm: a triangle of intensity whose area is the depth.

    The triangular hyetograph of Yen and Chow (1980) rises to `2 depth / duration` at the share `peak` of the duration.

    Args:
        depth: mm in all.
        hours: duration.
        start: local time, without a zone.
        step: seconds of one amount.
        peak: share of the duration before the highest intensity, 0 to 1.

    Example:
        >>> round(storm(100.0, 3.0, datetime(2026, 9, 1)).depth, 9)
        100.0
    """
    if not (depth >= 0 and hours > 0 and 0 < peak < 1):
        raise RequestError("hydraulics.bad_rain")
    edges = np.arange(0, int(np.ceil(hours * 3600 / step)) + 1) * step / (hours * 3600)
    x = np.clip(edges, 0, 1)
    fallen = np.where(x <= peak, x**2 / peak, 1 - (1 - x) ** 2 / (1 - peak))
    return Rain(start, step, np.diff(fallen) * depth)


def simulate_drainage(
    network: Network, rain: Rain | None = None, *, after: float = 6.0, limit: float = isolate.LIMIT
) -> Drainage:
    """Runs SWMM on a drainage network.

    Args:
        network: read from a SWMM file.
        rain: falls on every gage in place of the file's; None: the file's own rain and dates.
        after: hours that are simulated after the rain.
        limit: seconds after which the run is stopped.

    Raises:
        RequestError: `hydraulics.not_drainage`, `hydraulics.too_slow`.
        SourceError: `hydraulics.no_rain_gage`, or SWMM refuses the file.
        MissingExtraError: the extra `water` is not installed.
    """
    if network.kind != "drainage":
        raise RequestError("hydraulics.not_drainage")
    check_closed(network.file, rained_on=rain is not None)
    text = network.file.text if rain is None else "\n".join(_rained_on(network, rain, after)) + "\n"
    got = isolate.run("drainage", text, network.file.path, limit=limit)
    cubic, meters = (FOOT**3, FOOT) if network.us else (1.0, 1.0)
    flow = _flow_unit(network)
    nodes, links = _order(got["node_ids"], network.nodes), _order(got["link_ids"], network.links)
    runoff_error, routing_error, _ = got["errors"]
    return Drainage(
        network=network, rain=rain, flooded=got["flooded"][nodes] * cubic, flooded_hours=got["flooded_hours"][nodes],
        overflow=got["overflow"][nodes] * flow, depth=got["depth"][nodes] * meters, full_hours=got["full_hours"][links],
        limited_hours=got["limited_hours"][links],
        routing={name: value * cubic for name, value in got["routing"].items()}, runoff={k: v * (_INCH if network.us else 1.0) for k, v in got["runoff"].items()},
        runoff_error=runoff_error, routing_error=routing_error, warnings=tuple(got["warnings"]), report=got["report"],
        cpu=float(got["cpu"]),
    )  # fmt: skip


def _flow_unit(network: Network) -> float:
    """m3/s of the file's unit of flow."""
    written = network.file.option("FLOW_UNITS", "CFS").upper()
    return {
        "CFS": FOOT**3, "GPM": 3.785411784e-3 / 60, "MGD": 3785.411784 / 86400, "CMS": 1.0, "LPS": 1e-3, "MLD": 1e3 / 86400,
    }.get(written, 1.0)  # fmt: skip


def _rained_on(network: Network, rain: Rain, after: float) -> Iterator[str]:
    """The lines of the file with this rain at every gage and the dates of the run around it; line numbers stay what they were."""
    file = network.file
    gages = {row.line: row for _, row in file.rows("RAINGAGES")}
    if not gages:
        raise SourceError("hydraulics.no_rain_gage", where=file.where())
    replaced = {row.line for _, row in file.rows("OPTIONS") if row.words[0].upper() in _DATES}
    interval = f"{rain.step // 3600}:{rain.step % 3600 // 60:02d}"
    for number, line in enumerate(file.text.splitlines(), start=1):
        if number in gages:
            yield f"{gages[number].words[0]} VOLUME {interval} 1.0 TIMESERIES {_SERIES}"
        else:
            yield "" if number in replaced else line
    yield from _dates(rain, after)
    yield "[TIMESERIES]"
    scale = 1 / _INCH if network.us else 1.0
    for at, amount in enumerate(rain.amounts):
        moment = rain.start + timedelta(seconds=rain.step * at)
        yield f"{_SERIES} {moment:%m/%d/%Y %H:%M} {amount * scale:.6f}"


def _dates(rain: Rain, after: float) -> Iterator[str]:
    end = rain.start + timedelta(seconds=rain.step * len(rain.amounts), hours=after)
    yield "[OPTIONS]"
    for name in ("START", "REPORT_START"):
        yield f"{name}_DATE {rain.start:%m/%d/%Y}"
        yield f"{name}_TIME {rain.start:%H:%M:%S}"
    yield f"END_DATE {end:%m/%d/%Y}"
    yield f"END_TIME {end:%H:%M:%S}"


def _order(found: Sequence[object], wanted: tuple[str, ...]) -> npt.NDArray[np.int64]:
    at = {str(name): number for number, name in enumerate(found)}
    return np.array([at[name] for name in wanted], np.int64)
