# SPDX-License-Identifier: Apache-2.0
"""The linear model of the logs of daily emissions, and the facts as linear functionals of it.

For target k (a flow of the inventory) and local day d,

    x[k, d] = base[k, d] + sum_c A[k, c, d] theta[c] + sum_p C[p, k, d] a[p, d]

with independent normal theta (the level and its yearly steps, elasticities, effects of the calendar, links, errors of inventories)
and independent stationary AR(1) processes a of unit variance (what stays open from day to day, the errors of indices). Every
multiplier has mean one: its log has mean -sd^2/2, which stands in `base` or in the mean of theta.

Comes in: totals, indices, inversions, priors. Goes out: a `Model` of small sparse arrays for `posterior.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from mangrove.measure.nowcast.drivers import Index, calendar
from mangrove.measure.nowcast.inputs import Floats, Ints, Sensed, Total
from mangrove.measure.nowcast.priors import Priors
from mangrove.measure.timeline import EPOCH
from mangrove.territory.model import Driver, Flow

_LEVEL_SD = 10.0
"""Of the log of a level before its inventory is read: nothing is known."""
_DAYS_A_YEAR = 365.2425
_TURN = 91
"""Days around New Year in which one year's level becomes the next one's, so that no day jumps."""
_TURN_SCALE = 1 / np.sqrt((1 - 2 * _TURN / 8 / 365) ** 2 + 2 * (_TURN / 8 / 365) ** 2)
"""Makes the means of two neighboring years differ by the declared sd although the turn smooths them."""
_EXACT = 1e-4
"""Own error of a total (sd of its log) besides the one it shares with the other totals of its meter."""


@dataclass(frozen=True, slots=True)
class Target:
    """A flow of the inventory that is nowcast.

    Attributes:
        flow: as declared; sign: -1 for a removal; totals: its inventories, oldest first, at least one.
        drivers: the indices that move it; calendar: log of what the calendar alone says of each day, shape (D,), without any driver;
            read: weeks that a meter beside the inventory read.
    """

    flow: Flow
    sign: float
    totals: tuple[Total, ...]
    drivers: tuple[Driver, ...]
    calendar: Floats
    read: tuple[Total, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """A stationary AR(1) of unit variance and how strongly each target feels it.

    Attributes:
        name: stable between runs, seeds its random numbers; phi: share that stays from day to day; scale: by target, shape (D,).
    """

    name: str
    phi: float
    scale: Mapping[int, Floats]


@dataclass(frozen=True, slots=True)
class Fact:
    """An observation: of the log of a sum of emissions, or (`direct`) of a mean log against the model without facts.

    Attributes:
        name, kind: `total`, `meter` or `inversion`; target: id of the flow, or what was sensed.
        terms: `(target, days, weight)`: positions of days in the model and the share of the target that counts.
        value: log of the amount, or of the multiplier; noise: sd of the own error.
        extra: columns of theta that belong to the fact alone: an inventory's error, a zone.
        total: the inventory behind it; noise_with: covariances with other facts of the same inversion, by position in it.
    """

    name: str
    kind: str
    target: str
    terms: tuple[tuple[int, Ints, float], ...]
    value: float
    noise: float
    extra: tuple[tuple[int, float], ...] = ()
    direct: bool = False
    total: Total | None = None
    noise_with: tuple[str, Floats] | None = None


@dataclass
class Model:
    """See the head of this module.

    Attributes:
        days: local day numbers, ascending; gaps: days since the day before in the model.
        targets: K of them; base: shape (K, D).
        names, mean, sd: of theta.
        columns: by target, which columns of theta it has and their values, shape (c, D).
        processes, facts: as above; zones: column of theta by zone and target group, where an inversion speaks of a zone.
    """

    days: Ints
    targets: list[Target]
    base: Floats
    names: list[str] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    sd: list[float] = field(default_factory=list)
    columns: list[list[tuple[int, Floats]]] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    zones: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def gaps(self) -> Floats:
        """Days since the day before, shape (D,); 1 for the first."""
        return np.diff(self.days, prepend=self.days[:1] - 1).astype(float)

    def column(self, name: str, sd: float, mean: float = 0.0) -> int:
        """The number of a column of theta, made at its first use."""
        if name not in self.names:
            self.names.append(name)
            self.mean.append(mean)
            self.sd.append(sd)
        return self.names.index(name)

    def sense(self, inversions: Sequence[Sensed], priors: Priors) -> None:
        """Takes what sensors say as further facts."""
        for one in inversions:
            self.facts += _inversion(self, one, priors)

    def add(self, target: int, name: str, values: Floats, sd: float, mean: float = 0.0) -> None:
        """Gives a target a column."""
        self.columns[target].append((self.column(name, sd, mean), values))


def build(
    days: Ints,
    targets: Sequence[Target],
    indices: Mapping[str, Index],
    priors: Priors,
    zone: str,
) -> Model:
    """The model of targets on days.

    Args:
        days: local day numbers, ascending: those of all totals, inversions and of what is asked.
        targets: with at least one total each.
        indices: by flow; a driver whose index is not here does not move anything.
        priors: see `priors.py`.
        zone: IANA name of the time zone, for the public holidays.
    """
    model = Model(days, list(targets), np.zeros((len(targets), len(days))))
    model.columns = [[] for _ in targets]
    kinds = calendar(days, zone)
    for number, target in enumerate(targets):
        _level(model, number, priors)
        moved = [one for one in target.drivers if one.index in indices]
        for driver in moved:
            _drive(model, number, driver, indices[driver.index], priors)
        if not moved:
            model.base[number] += target.calendar
            _holidays(model, number, kinds, priors)
        _days(model, number, priors)
        model.facts += [_total(model, number, one, priors) for one in (*target.totals, *target.read)]
    _errors(model, indices, priors)
    return model


def _level(model: Model, number: int, priors: Priors) -> None:
    """The level of the newest inventory's year, a drift, and steps of a random walk to the years before and after it."""
    target = model.targets[number]
    last = target.totals[-1]
    anchor = _year((last.first + last.end) // 2)
    model.base[number] += np.log(abs(last.value) / (last.end - last.first))
    model.add(number, f"level {target.flow.id}", np.ones(len(model.days)), _LEVEL_SD)
    annual = priors.annual_of(target.flow)
    years = (model.days + 0.5 - (last.first + last.end) / 2) / _DAYS_A_YEAR
    model.base[number] += priors.drift_of(target.flow) * years
    for year in range(_year(int(model.days[0])) + 1, _year(int(model.days[-1])) + 1):
        start = (date(year, 1, 1) - EPOCH.date()).days
        ramp = np.clip((model.days - start + _TURN / 2) / _TURN, 0.0, 1.0)
        part = ramp if year > anchor else 1.0 - ramp
        if not part.any():
            continue
        for name, sd in ((target.flow.id, annual.own), ("common", annual.common), ("grid", annual.grid)):
            if sd:
                signed = part if year > anchor else -part
                model.add(number, f"step {name} {year}", signed * sd * _TURN_SCALE, 1.0)
                model.base[number] -= part * (sd * _TURN_SCALE) ** 2 / 2


def names_of(flow: Flow) -> tuple[str, str, str]:
    """What a driver or an inversion may call a flow: its id, its GPC reference, its sector."""
    return flow.id, flow.gpc, flow.sector


def sensed_names_of(flow: Flow) -> tuple[str, ...]:
    """What an inversion may call a flow: a sector means its flows that emit at the place, because sensors see no far power plant."""
    names = names_of(flow)
    return names if flow.scope in (1, None) else names[:2]


def _year(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[Y]").astype(int)) + 1970


def _drive(model: Model, number: int, driver: Driver, index: Index, priors: Priors) -> None:
    """Adds `elasticity x log index`; where the index was silent in the inventory's year, the link between both is open."""
    target = model.targets[number]
    name = f"elasticity {driver.target} {driver.index} {driver.place or ''}"
    model.add(number, name, index.log, driver.spread, driver.elasticity)
    model.base[number] -= (driver.spread * index.log) ** 2 / 2
    last = target.totals[-1]
    if index.whole or index.reference == (last.first, last.end):
        return
    years = abs(sum(index.reference) / 2 - (last.first + last.end) / 2) / _DAYS_A_YEAR
    annual = priors.annual_of(target.flow)
    sd = abs(driver.elasticity) * float(np.hypot(annual.own, annual.common)) * float(np.sqrt(max(years, 0.5)))
    outside = ((model.days < last.first) | (model.days >= last.end)).astype(float)
    model.add(number, f"link {target.flow.id} {driver.index}", outside, sd)
    model.base[number] -= outside * sd**2 / 2


def _holidays(model: Model, number: int, kinds: Mapping[str, Floats], priors: Priors) -> None:
    """Days off and Tết for a target that no driver shows them of; one effect a sector, because factories close together."""
    gpc = model.targets[number].flow.gpc
    for kind, shown in kinds.items():
        effect = priors.effect(kind, gpc)
        if shown.any() and effect.sd:
            model.add(number, f"{kind} {gpc.split('.')[0]}", shown, effect.sd, effect.mean)
            model.base[number] -= shown * effect.sd**2 / 2


def _days(model: Model, number: int, priors: Priors) -> None:
    """What neither drivers nor the calendar explain from day to day."""
    name = f"days {model.targets[number].flow.id}"
    scale = np.full(len(model.days), priors.day_sd)
    model.processes.append(Process(name, priors.day_phi, {number: scale}))
    model.base[number] -= priors.day_sd**2 / 2


def _errors(model: Model, indices: Mapping[str, Index], priors: Priors) -> None:
    """The errors of indices, shared by all that they drive: what a bridge leaves open, and the provider's drift."""
    for name, index in indices.items():
        pulls: dict[int, float] = {}
        for number, target in enumerate(model.targets):
            pull = sum(one.elasticity for one in target.drivers if one.index == name)
            if pull:
                pulls[number] = pull
        for kind, phi, sd in (
            ("bridge", min(max(index.phi, 0.0), 0.999), index.spread),
            ("drift", priors.provider_phi, np.full(len(model.days), index.drift)),
        ):
            if pulls and sd.any():
                scale = {number: pull * sd for number, pull in pulls.items()}
                model.processes.append(Process(f"{kind} {name}", phi, scale))
                for number, one in scale.items():
                    model.base[number] -= one**2 / 2


def _total(model: Model, number: int, total: Total, priors: Priors) -> Fact:
    """The inventory: the log of the sum of its days, seen with an error that all totals of one meter share."""
    at = np.searchsorted(model.days, total.days)
    sd = priors.inventory_sd if total.sd is None else total.sd
    shared = f"flow {total.flow}" if total.sd is None else f"meter {total.meter}"
    value = float(np.log(abs(total.value))) - (sd**2 + _EXACT**2) / 2
    extra = ((model.column(f"error {shared}", 1.0), sd),) if sd else ()
    kind = "meter" if total.metered else "total"
    return Fact(total.name, kind, total.flow, ((number, at, 1.0),), value, _EXACT, extra, total=total)


def _inversion(model: Model, sensed: Sensed, priors: Priors) -> list[Fact]:
    """Multipliers from sensors; one of a zone speaks of the target and of the zone's share together."""
    found: list[Fact] = []
    inside = np.flatnonzero((model.days >= sensed.first) & (model.days < sensed.end))
    matched = [
        [number for number, one in enumerate(model.targets) if name in sensed_names_of(one.flow)]
        for name in sensed.targets
    ]
    kept = [row for row, members in enumerate(matched) if members and len(inside)]
    for row in kept:
        name, zone, members = sensed.targets[row], sensed.zones[row], matched[row]
        size = np.array([np.exp(model.base[number][inside]).sum() for number in members])
        terms = tuple((k, inside, float(w)) for k, w in zip(members, size / size.sum(), strict=True))
        extra: tuple[tuple[int, float], ...] = ()
        if zone:
            column = model.column(f"zone {name} {zone}", priors.zone_sd)
            model.zones[name, zone] = column
            extra = ((column, 1.0),)
        found.append(
            Fact(
                f"{sensed.record[:12]} {name} {zone}".strip(),
                "inversion",
                name,
                terms,
                float(sensed.mean[row]),
                float(np.sqrt(sensed.covariance[row, row])),
                extra,
                direct=True,
                noise_with=(sensed.record, sensed.covariance[row, kept]),
            )
        )
    return found
