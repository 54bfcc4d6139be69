# SPDX-License-Identifier: Apache-2.0
"""What a plan carries over from the past: levels, sessions, the peak that is billed already, the allowance that is left.

Comes in: a moment, then what was measured step by step. Goes out: a frozen `State` from which the next plan starts. The window of
the demand meter (30 minutes in Viet Nam) may be half over when a plan is made, so the state keeps what it has read so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Moment = np.datetime64
SECOND = np.timedelta64(1, "s")
HOUR_SECONDS = 3600


def moment(value: object) -> np.datetime64:
    """`value` (a datetime with a zone, or a datetime64 in UTC) as datetime64[s] in UTC."""
    if isinstance(value, np.datetime64):
        stamp64: np.datetime64 = value.astype("datetime64[s]")
        return stamp64
    stamp = getattr(value, "timestamp", None)
    if stamp is None or getattr(value, "tzinfo", None) is None:
        raise RequestError("operate.no_zone", value=str(value))
    return np.datetime64(round(stamp()), "s")


@dataclass(frozen=True, slots=True)
class Session:
    """A vehicle at a charger, or announced.

    Attributes:
        id: unique; charger: id of the asset; arrive, depart: UTC.
        energy: kWh that its battery must have got by departure; power: kW at the socket, None: as the charger.
        delivered: kWh that it has got so far, less what it gave back.
        level: kWh in its battery at arrival (two-way); None: nobody knows.
    """

    id: str
    charger: str
    arrive: np.datetime64
    depart: np.datetime64
    energy: float
    power: float | None = None
    delivered: float = 0.0
    level: float | None = None

    def __post_init__(self) -> None:
        if not self.depart > self.arrive:
            raise RequestError("operate.session_reversed", id=self.id, arrive=self.arrive, depart=self.depart)
        for name, least in (("energy", 0.0), ("delivered", -np.inf), ("level", 0.0)):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= least):
                raise RequestError(
                    "operate.bad_number", id=self.id, name=name, value=str(value), least=least, most="inf"
                )

    @property
    def missing(self) -> float:
        """KWh still to be delivered."""
        return max(self.energy - self.delivered, 0.0)


@dataclass(frozen=True, slots=True)
class State:
    """What is known at the beginning of a step.

    Attributes:
        at: the moment (UTC, datetime64[s]).
        levels: kWh in each battery and store of heat (kg in a store of hydrogen), by id.
        sessions: vehicles that are there or announced.
        month: number of the billing month of `peak`; peak: kW billed so far in it.
        window: mean kW drawn in each past step of the demand meter's running window.
        allowance: kWh that may still be sold under the export cap, beyond the share of what is generated from now on;
            None without a cap.
        packs: swap stations: packs by class of charge, by id; a station that is not there is planned as if the day repeated itself.
        owed: kWh that each shiftable load still has to move in its running window beside its demand from now on, by id.
        done: kWh that the runs of each batch have drawn since midnight, by id.

    Invariants:
        Levels and the peak are finite and not negative.
    """

    at: np.datetime64
    levels: Mapping[str, float] = field(default_factory=dict)
    sessions: tuple[Session, ...] = ()
    month: int = -1
    peak: float = 0.0
    window: tuple[float, ...] = ()
    allowance: float | None = None
    packs: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    owed: Mapping[str, float] = field(default_factory=dict)
    done: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in (*self.levels.items(), ("peak", self.peak)):
            if not (np.isfinite(value) and value >= 0.0):
                raise RequestError("operate.bad_state", name=name, value=str(value))
        object.__setattr__(self, "levels", MappingProxyType(dict(self.levels)))

    def after(
        self,
        until: np.datetime64,
        imported: float,
        month: int,
        *,
        window: int,
        levels: Mapping[str, float],
        delivered: Mapping[str, float] | None = None,
        allowance: float = 0.0,
    ) -> State:
        """The state at the end of a step.

        Args:
            until: its end.
            imported: mean kW drawn from the grid in it.
            month: the billing month that the step lies in.
            window: steps of the demand meter's window.
            levels: kWh in each battery now.
            delivered: kWh that each session got in the step, by id.
            allowance: kWh by which the export allowance grew (share of what was generated, less what was sold).
        """
        peak = self.peak if month == self.month else 0.0
        running = (*self.window, max(imported, 0.0))
        length = round(float((until - self.at) / SECOND))
        if int(until.astype(np.int64)) % (window * length) == 0 or len(running) >= window:
            peak, running = max(peak, sum(running) / len(running)), ()
        given = delivered or {}
        sessions = tuple(
            replace(one, delivered=one.delivered + given[one.id]) if given.get(one.id) else one
            for one in self.sessions
            if one.depart > until
        )
        left = None if self.allowance is None else self.allowance + allowance
        return replace(
            self, at=until, levels=dict(levels), sessions=sessions, month=month, peak=peak, window=running,
            allowance=left,
        )  # fmt: skip


def metered_peak(imported: npt.NDArray[np.float64], window: int) -> tuple[float, tuple[float, ...]]:
    """The highest mean over the whole windows of `imported` (kW a step), and the steps of the window that is not over.

    Steps without a reading (NaN) count in no mean: a window with one of them is the mean of the others.

    Example:
        >>> metered_peak(np.array([10.0, 30.0, 50.0]), 2)
        (20.0, (50.0,))
    """
    whole = len(imported) // window * window
    blocks = imported[:whole].reshape(-1, window)
    known = ~np.isnan(blocks)
    counts = known.sum(axis=1)
    means = np.where(known, blocks, 0.0).sum(axis=1)[counts > 0] / counts[counts > 0]
    rest: Sequence[float] = [float(x) for x in np.nan_to_num(imported[whole:])]
    return float(max(means.max(initial=0.0), 0.0)), tuple(rest)
