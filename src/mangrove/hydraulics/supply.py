# SPDX-License-Identifier: Apache-2.0
"""A water-supply network in motion: pressures, flows, leaks, and the electricity of each pump by the hour, from EPANET.

Comes in: a `Network` read from an EPANET file. Goes out: a `Supply` in SI units. The power of a pump is constant between two events of
the hydraulics (a time step, a control, a tank that is full), so its energy by the hour is an exact sum of pieces, not of samples; it
adds up to what EPANET itself reports. The same power in closed form, from the flow and the heads:

    P = rho g Q (H_2 - H_1) / eta

EPANET 2.2 Users Manual, sections 3.1.5 (pumps), 3.2.7 (emitters); power as in `hydraul.c`: 75 % efficiency unless the file says more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.hydraulics import isolate
from mangrove.hydraulics.inp import check_closed
from mangrove.hydraulics.network import FOOT, Network

Floats = npt.NDArray[np.float64]

_CUBIC = {
    0: FOOT**3, 1: 3.785411784e-3 / 60, 2: 3785.411784 / 86400, 3: 4546.09 / 86400, 4: 1233.48183754752 / 86400,
    5: 1e-3, 6: 1e-3 / 60, 7: 1e3 / 86400, 8: 1 / 3600, 9: 1 / 86400,
}  # fmt: skip
"""m3/s of EPANET's units of flow by their code: CFS, GPM, MGD, IMGD, AFD, LPS, LPM, MLD, CMH, CMD."""
_PSI_PER_FOOT = 0.4333
"""As EPANET has it (`PSIperFT` in types.h)."""
LOWEST_PRESSURE = 10.0
"""m of water. The least free head of a one-storey house in Vietnamese practice; recalled, to be checked against QCVN 07-1:2023/BXD."""
DENSITY, GRAVITY, EFFICIENCY = 1000.0, 9.80665, 0.75
"""kg/m3; m/s2; EPANET's default efficiency."""
_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class Supply:
    """What the hydraulics say.

    Attributes:
        times: (T,) s since the start; demand: (T, N) m3/s, what leaves at each node (negative at sources), leaks included.
        head, pressure: (T, N) m; flow: (T, L) m3/s; velocity: (T, L) m/s.
        pumps: numbers of links; energy: (H, P) kWh of each whole hour since the start.
        reported: (P, 6) EPANET's own table: % of time in use, % efficiency, kWh per Mgal or m3, mean kW, peak kW, cost a day.
        leak: (T, N) m3/s through emitters.
    """

    network: Network
    times: Floats
    demand: Floats
    head: Floats
    pressure: Floats
    flow: Floats
    velocity: Floats
    pumps: npt.NDArray[np.int64]
    energy: Floats
    reported: Floats
    leak: Floats
    warnings: tuple[str, ...]
    cpu: float

    @property
    def pump_ids(self) -> tuple[str, ...]:
        """The ids of the pumps, in the order of `energy`."""
        return tuple(self.network.links[number] for number in self.pumps)

    def power(self, efficiency: float = EFFICIENCY) -> Floats:
        """(T, P) kW of each pump in closed form, `rho g Q H / eta`."""
        ends = self.network.ends[self.pumps]
        lift = self.head[:, ends[:, 1]] - self.head[:, ends[:, 0]]
        running = self.flow[:, self.pumps]
        return np.asarray(DENSITY * GRAVITY * running * np.where(running > 0, lift, 0.0) / efficiency / 1000)

    def indicators(self, lowest: float = LOWEST_PRESSURE) -> dict[str, float]:
        """How well the network serves, over the whole run.

        Args:
            lowest: m, the pressure below which a customer counts as badly served.

        Returns:
            `delivered`, `leaked` (m3), `leak_share` (of both), `energy` (kWh), `specific_energy` (kWh/m3 delivered and leaked),
            `least_pressure` (m, at nodes with a demand), `below_lowest` (share of their hours).
        """
        step = np.diff(self.times, append=self.times[-1])[:, None]
        junction = np.array([kind == "junction" for kind in self.network.node_kinds])
        drawn = np.where(junction, self.demand - self.leak, 0.0)
        users = junction & (drawn > 0).any(axis=0)
        delivered = float((np.clip(drawn, 0, None) * step).sum())
        leaked = float((self.leak * step).sum())
        energy = float(self.energy.sum())
        pressed = self.pressure[:, users]
        total = delivered + leaked
        return {
            "delivered": delivered, "leaked": leaked, "leak_share": leaked / total if total else 0.0, "energy": energy,
            "specific_energy": energy / total if total else 0.0,
            "least_pressure": float(pressed.min()) if pressed.size else float("nan"),
            "below_lowest": float((pressed < lowest).mean()) if pressed.size else 0.0,
        }  # fmt: skip


def simulate_supply(network: Network, *, hours: float | None = None, limit: float = isolate.LIMIT) -> Supply:
    """Runs EPANET on a supply network.

    Args:
        network: read from an EPANET file.
        hours: length of the run; the file's own when left out.
        limit: seconds after which the run is stopped.

    Raises:
        RequestError: `hydraulics.not_supply`, `hydraulics.too_slow`.
        SourceError: EPANET refuses the file.
        MissingExtraError: the extra `water` is not installed.
    """
    if network.kind != "supply":
        raise RequestError("hydraulics.not_supply")
    check_closed(network.file)
    duration = int(hours * _HOUR) if hours else 0
    got = isolate.run("supply", network.file.text, network.file.path, limit=limit, duration=duration)
    meters, cubic = FOOT if network.us else 1.0, _CUBIC[int(got["units"])]
    nodes, links = _order(got["node_ids"], network.nodes), _order(got["link_ids"], network.links)
    head = got["head"].astype(float)[:, nodes] * meters
    pressure = head - network.elevation
    back = np.argsort(links)
    return Supply(
        network=network, times=got["times"], demand=got["demand"].astype(float)[:, nodes] * cubic, head=head,
        pressure=pressure, flow=got["flow"].astype(float)[:, links] * cubic,
        velocity=got["velocity"].astype(float)[:, links] * meters, pumps=back[got["pumps"]],
        energy=by_hour(got["event"], got["span"], got["power"]), reported=got["energy"],
        leak=_leaks(network, pressure) * cubic, warnings=tuple(got["warnings"]), cpu=float(got["cpu"]),
    )  # fmt: skip


def by_hour(event: Floats, span: Floats, power: Floats) -> Floats:
    """Energy in kWh of each hour from powers that hold between events.

    Args:
        event: (S,) s, when each power begins.
        span: (S,) s, how long it holds.
        power: (S, P) kW.

    Returns:
        (H, P), H the number of hours that the events touch.

    Example:
        >>> by_hour(np.array([0.0, 1800.0]), np.array([1800.0, 3600.0]), np.array([[10.0], [4.0]])).ravel().tolist()
        [7.0, 2.0]
    """
    end = float((event + span).max())
    edges = np.arange(0.0, np.ceil(end / _HOUR) + 1) * _HOUR
    knots = np.append(event, end)
    total = np.vstack([np.zeros((1, power.shape[1])), np.cumsum(power * span[:, None], axis=0)]) / _HOUR
    at = np.column_stack([np.interp(edges, knots, total[:, p]) for p in range(power.shape[1])]) if power.shape[1] else np.zeros((len(edges), 0))  # fmt: skip
    return np.asarray(np.diff(at, axis=0))


def _order(found: npt.NDArray[Any], wanted: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Where each wanted id stands in the solver's order."""
    at = {str(name): number for number, name in enumerate(found)}
    return np.array([at[name] for name in wanted], np.int64)


def _leaks(network: Network, pressure: Floats) -> Floats:
    """(T, N) flow through emitters in the file's unit: `C p^gamma`, p in psi or m as the file has it."""
    file = network.file
    exponent = float(file.option("EMITTER EXPONENT", "0.5"))
    coefficient = np.zeros(len(network.nodes))
    at = {name: number for number, name in enumerate(network.nodes)}
    for _, row in file.rows("EMITTERS"):
        if row.words[0] in at:
            coefficient[at[row.words[0]]] = file.number(row, 1)
    head = np.clip(pressure, 0, None) * (_PSI_PER_FOOT / FOOT if network.us else 1.0)
    return np.asarray(coefficient * head**exponent)
