# SPDX-License-Identifier: Apache-2.0
"""EV chargers: vehicles that are there, with what they need and when they leave, and vehicles that may yet come.

Known visits become sessions, one block for all of them: z_t = 0 outside [arrival, departure); the energy at departure is at
least the need, which gives way in tier `promised`, so that a target out of reach has a named shortfall. Two-way vehicles may
also give energy back. Visits that are only expected, in S scenarios, become one fleet per scenario by its envelope:
    0 <= z_t <= P_t,   least_t <= y_t <= most_t,   y_t = y_{t-1} + h (eta z_t + unmet_t)
where y is the energy delivered, least what has left by then needed, most what has come by then can take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Floats, Kind, Parameter, Setting, Values
from mangrove.network.handles import Wish
from mangrove.network.weather import Times

Ints = npt.NDArray[np.int64]
_WORKDAYS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """Vehicles at plugs: starts and ends (n,) datetime64[s] in one zone, energy (n,) kWh at the plug."""

    starts: Times
    ends: Times
    energy: Floats

    def __post_init__(self) -> None:
        for bad, code in (
            (self.ends < self.starts, "assets.visit_reversed"),
            (~np.isfinite(self.energy) | (self.energy < 0), "assets.visit_energy"),
        ):
            if np.any(bad):
                raise RequestError(code, item=int(np.argmax(bad)) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Stays:
    """Visits on the steps of a horizon: arrive and depart (n,) step numbers, energy (n,) kWh due inside, level (n,) kWh at arrival.

    `level` is None when it is not known.
    """

    arrive: Ints
    depart: Ints
    energy: Floats
    level: Floats | None = None


def stays(
    visits: Visits, starts: Times, hours: npt.ArrayLike, power: float, efficiency: float = 1.0
) -> Stays:
    """Visits cut to the steps: a vehicle charges in whole steps between its arrival and its departure.

    A vehicle that leaves after the horizon owes inside only what the time afterwards cannot deliver. Visits outside the
    horizon are left out; a visit shorter than a step keeps its need, which then cannot be met and is reported.

    Args:
        visits: of the plugs, in the zone of `starts`.
        starts: (T,) beginning of each step.
        hours: length of the steps.
        power: of a plug, kW.
        efficiency: share that reaches the battery.

    Example:
        >>> hour = np.arange("2026-01-05T08", "2026-01-05T12", dtype="datetime64[h]").astype("datetime64[s]")
        >>> one = Visits(hour[:1] + np.timedelta64(600, "s"), hour[3:], np.array([10.0]))
        >>> found = stays(one, hour, 1.0, 7.0)
        >>> found.arrive.tolist(), found.depart.tolist(), found.energy.tolist()
        ([1], [3], [10.0])
    """
    length = np.broadcast_to(np.asarray(hours, dtype=np.float64), starts.shape)
    edges = np.append(starts, starts[-1] + np.timedelta64(round(length[-1] * 3600), "s"))
    inside = (visits.ends > edges[0]) & (visits.starts < edges[-1])
    begin, end, energy = visits.starts[inside], visits.ends[inside], visits.energy[inside]
    arrive = np.clip(np.searchsorted(edges, begin, side="left"), 0, len(starts))
    depart = np.clip(np.searchsorted(edges, end, side="right") - 1, 0, len(starts))
    after = np.maximum((end - edges[-1]).astype("timedelta64[s]").astype(np.float64), 0.0) / 3600.0
    due = np.maximum(energy - power * efficiency * after, 0.0)
    return Stays(arrive, np.maximum(depart, arrive), due)


def sample(
    history: Visits,
    first_day: str,
    days: int,
    *,
    scenarios: int,
    seed: int,
    after: np.datetime64 | None = None,
) -> list[Visits]:
    """Scenarios of coming visits: each day repeats a day drawn from the history, of the same kind (workday, Saturday, Sunday).

    Args:
        history: past visits in local time; days without any visit between the first and the last count.
        first_day: the first day to make ("2026-11-22").
        days: how many.
        scenarios: how many.
        seed: the same seed gives the same scenarios.
        after: leave out visits that begin earlier (vehicles that are there are known, not drawn).

    Raises:
        RequestError: `assets.no_history` when the history has no day of a kind that is needed.
    """
    if not len(history.starts):
        raise RequestError("assets.no_history", kind="-")
    day = history.starts.astype("datetime64[D]")
    past = np.arange(day.min(), day.max() + 1)
    made = np.arange(np.datetime64(first_day), np.datetime64(first_day) + days)
    generator = np.random.default_rng(seed)
    drawn = np.empty((scenarios, days), dtype="datetime64[D]")
    for at, kind in enumerate(_kind(made)):
        options = past[_kind(past) == kind]
        if not len(options):
            raise RequestError("assets.no_history", kind=("workday", "Saturday", "Sunday")[kind])
        drawn[:, at] = options[(generator.random(scenarios) * len(options)).astype(np.int64)]
    return [_moved(history, day, row, made, after) for row in drawn]


def _moved(history: Visits, day: Times, drawn: Times, made: Times, after: np.datetime64 | None) -> Visits:
    """The visits of the drawn days, moved to the days that are made."""
    picked = [np.flatnonzero(day == one) for one in drawn]
    at = np.concatenate(picked)
    shift = np.repeat((made - drawn).astype("timedelta64[s]"), [len(one) for one in picked])
    starts, ends, energy = history.starts[at] + shift, history.ends[at] + shift, history.energy[at]
    keep = np.ones(len(at), dtype=bool) if after is None else starts >= after
    return Visits(starts[keep], ends[keep], energy[keep])


def _kind(days: Times) -> Ints:
    """0 workday, 1 Saturday, 2 Sunday; 1 January 1970 was a Thursday."""
    weekday = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return np.maximum(weekday - _WORKDAYS + 1, 0)


def envelope(
    fleet: Stays, steps: int, hours: Floats, power: float, efficiency: float
) -> tuple[Floats, Floats, Floats]:
    """What a fleet can do as a whole: largest power, and least and most energy delivered by the end of each step, each (T,).

    A vehicle adds to `most` from its arrival at full power until its need is met, and to `least` only as late as it can
    and still be ready; a need beyond what the stay allows is cut to that in `most` and kept in `least`.
    """
    step = np.arange(steps)
    inside = (step >= fleet.arrive[:, None]) & (step < fleet.depart[:, None])
    flow = np.where(inside, power * efficiency * hours, 0.0)
    early = np.minimum(np.cumsum(flow, axis=1), fleet.energy[:, None])
    reach = np.cumsum(flow[:, ::-1], axis=1)[:, ::-1]
    late = np.maximum(fleet.energy[:, None] - (reach - flow), 0.0)
    late = np.where(step >= fleet.arrive[:, None], late, 0.0)
    most = np.where(step >= fleet.depart[:, None] - 1, fleet.energy[:, None], early)
    return power * inside.sum(axis=0).astype(np.float64), late.sum(axis=0), np.maximum(most, late).sum(axis=0)


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """Sessions for the vehicles of `setting.now["stays"]`, a fleet for each of `setting.now["scenarios"]` (S `Stays`)."""
    known = setting.now.get("stays")
    expected: Sequence[Stays] = setting.now.get("scenarios", ())
    streams: dict[str, Any] = {}
    stores: dict[str, Any] = {}
    if known is not None and len(known.arrive):
        handle = _sessions(setting, asset_id, values, known)
        streams["charge"], stores["sessions"] = handle.charging, handle
        if handle.discharging is not None:
            streams["discharge"] = handle.discharging
    if len(expected):
        streams["expected"], streams["unmet"] = _fleet(setting, asset_id, values, expected)
    limit = min(values.get("limit", np.inf), values["power"] * values.get("count", np.inf))
    if np.isfinite(limit) and streams:
        _site_limit(
            setting, asset_id, limit, [streams[key] for key in ("charge", "expected") if key in streams]
        )
    return Built(streams, stores, flows=values.flows(charge="flow"))


def _sessions(setting: Setting, asset_id: str, values: Values, known: Stays) -> Any:
    """The block of known vehicles; two-way when the charger can discharge."""
    two_way: dict[str, Any] = {}
    if values.get("discharge", 0.0) > 0.0:
        vehicle = np.maximum(values["vehicle"], known.energy)
        level = np.maximum(vehicle - known.energy, 0.0) if known.level is None else known.level
        two_way = {"discharge": values["discharge"], "usable": np.maximum(vehicle, level + known.energy), "level": level,
                   "wear": values["wear"]}  # fmt: skip
    return setting.network.sessions(
        asset_id, setting.at("electricity"), arrive=known.arrive, depart=known.depart, energy=known.energy,
        power=values["power"], efficiency=values["efficiency"], tier=values.word("tier"), **two_way,
    )  # fmt: skip


def _fleet(setting: Setting, asset_id: str, values: Values, expected: Sequence[Stays]) -> tuple[Any, Any]:
    """One fleet per scenario by its envelope; what cannot be delivered is `unmet`, in the tier of the charger."""
    net, hours, efficiency = setting.network, setting.hours, values["efficiency"]
    if len(expected) != net.scenarios:
        raise RequestError("assets.scenario_count", asset=asset_id, have=len(expected), want=net.scenarios)
    node, name = setting.at("electricity"), f"{asset_id} expected"
    power, least, most = (
        np.stack(part)
        for part in zip(
            *(envelope(one, setting.steps, hours, values["power"], efficiency) for one in expected),
            strict=True,
        )
    )
    charge = net.converter(name, [(node, -1.0)], upper=power[None], decided=False)
    net.earlier.append(charge.columns)
    unmet = net.converter(f"{name} unmet", [(node, 0.0)], upper=0.0, decided=False)
    lp = net.program
    done = lp.columns(
        f"{name} energy",
        charge.columns.shape,
        lower=least[None],
        upper=np.maximum(most, least)[None],
        owners=node.owners,
    )
    rows = lp.rows(f"{name} energy", done.shape, lower=0.0, upper=0.0, owners=node.owners)
    lp.terms(rows, done, 1.0)
    lp.terms(rows[:, :, 1:], done[:, :, :-1], -1.0)
    lp.terms(rows, charge.columns, -hours * efficiency)
    lp.terms(rows, unmet.columns, -hours)
    if values.word("tier") != "safety":
        weight = np.broadcast_to(net.horizon.amount, unmet.columns.shape)
        net.wishes.append(Wish(name, values.word("tier"), (asset_id,), "ceiling", unmet.columns, weight))
    return charge, unmet


def _site_limit(setting: Setting, asset_id: str, limit: float, streams: Sequence[Any]) -> None:
    """Sum of all charging <= the limit of the group, in every step."""
    lp = setting.network.program
    rows = lp.rows(f"{asset_id} limit", (1, *streams[0].columns.shape[1:]), upper=limit)
    for stream in streams:
        lp.terms(rows, stream.columns, 1.0)


def check(values: Values) -> Iterator[Finding]:
    """Two-way chargers need the size of a vehicle's battery."""
    if values.get("discharge", 0.0) > 0.0 and "vehicle" not in values:
        yield "assets.goes_with", {"name": "discharge", "other": "vehicle"}


PARAMETERS = (
    Parameter("power", "kW", "Power of a plug", "Công suất mỗi trụ", required=True),
    Parameter("count", "item", "Plugs that can charge at the same time; not limited unless declared", "Số trụ sạc được cùng lúc; không giới hạn nếu không khai", minimum=1.0),
    Parameter("efficiency", "1", "Share that reaches the battery, when needs are stated there; 1 when they are metered at the plug",
              "Tỷ lệ điện vào đến pin khi nhu cầu tính tại pin; bằng 1 khi đo tại trụ", 1.0, "needs metered at the plug", minimum=0.05, maximum=1.0),
    Parameter("limit", "kW", "Largest power of all plugs together", "Công suất lớn nhất của tất cả các trụ"),
    Parameter("discharge", "kW", "Power of a plug back to the site; makes vehicles two-way", "Công suất trả ngược của mỗi trụ; khi khai thì xe sạc hai chiều"),
    Parameter("vehicle", "kWh", "Usable energy of a vehicle's battery (two-way)", "Dung lượng pin của xe (hai chiều)"),
    Parameter("wear", "VND/kWh", "Paid to the driver per kWh given back; none unless declared", "Trả cho chủ xe mỗi kWh lấy lại; bằng không nếu không khai", 0.0),
    Parameter("tier", "text", "When a promised charge may give way", "Mức ưu tiên của năng lượng đã hứa khi phải cắt", "promised", "as for a load",
              options=("safety", "promised", "comfort", "contract", "preference")),
    base.flow(about="Flow that meters the charging", about_vi="Dòng đo điện sạc"),
)  # fmt: skip
KIND = Kind("charger", "EV charger", "Trụ sạc xe điện", PARAMETERS, build, check=check,
            example="power=7 kW; count=24 item; flow=ev_charging")  # fmt: skip
