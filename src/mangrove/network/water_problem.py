# SPDX-License-Identifier: Apache-2.0
"""Who needs, gives and cleans water, as rows, and the same as the arrays of a pooling problem.

Comes in: operations, sources, sinks, fresh waters, treatments, pipes. Goes out: a `WaterModel`, a `Pooling` with the names of its arcs. Flows
are in t/h (= m3/h of water), concentrations in ppm (= mg/L = g/t), loads in kg/h; one value or one for each contaminant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import MangroveError, RequestError
from mangrove.network.pooling import Pooling
from mangrove.units import Quantity

Floats = npt.NDArray[np.float64]
Ppm = float | Sequence[float]
GRAM_PER_KG = 1000.0
"""1 kg/h in 1 t/h is 1,000 ppm."""
WASTE = "wastewater"
_NUMBERS = ("load", "inlet", "outlet", "ppm", "removal", "flow", "price", "recovery", "electricity", "most")


@dataclass(frozen=True, slots=True)
class Operation:
    """Fixed load: water takes up `load` (kg/h a contaminant) and may come at most with `inlet`, leave at most with `outlet` (ppm)."""

    name: str
    load: Ppm
    inlet: Ppm
    outlet: Ppm
    plant: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Fixed flow out: `flow` t/h of used water with `ppm`."""

    name: str
    flow: float
    ppm: Ppm
    plant: str = ""


@dataclass(frozen=True, slots=True)
class Sink:
    """Fixed flow in: `flow` t/h of water with at most `ppm`."""

    name: str
    flow: float
    ppm: Ppm
    plant: str = ""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Fresh water of a quality: `price` money per t, at most `most` t/h."""

    name: str = "fresh"
    ppm: Ppm = 0.0
    price: float = 0.0
    most: float = np.inf


@dataclass(frozen=True, slots=True)
class Treatment:
    """Treatment, of fixed outlet or of fixed removal ratio.

    Attributes:
        outlet: ppm behind it, whatever comes in; None: it removes the share `removal` of each load.
        removal: removal ratio by contaminant, 0 to 1, of the load.
        recovery: treated water per water taken; what is rejected leaves the system.
        inlet: highest ppm that it takes; most: t/h that it takes.
        price: money per t taken; electricity: kWh per t taken.
        once: water passes such treatment at most once in all (regeneration reuse); else it may come around again (recycling).
            Needs one contaminant and a fixed outlet.
        plant: where it stands.
    """

    name: str
    outlet: Ppm | None = None
    removal: Ppm = 0.0
    recovery: float = 1.0
    inlet: Ppm = np.inf
    most: float = np.inf
    price: float = 0.0
    electricity: float = 0.0
    once: bool = False
    plant: str = ""


@dataclass(frozen=True, slots=True)
class Pipe:
    """What a connection costs: money per t, money an hour when it is used at all, and its largest flow (t/h)."""

    cost: float = 0.0
    fixed: float = 0.0
    most: float = np.inf


@dataclass(frozen=True, slots=True)
class Discharge:
    """Wastewater: money per t, highest ppm of all of it together (None or infinite: no limit), largest flow."""

    price: float = 0.0
    ppm: Ppm | None = None
    most: float = np.inf


@dataclass(frozen=True)
class WaterProblem:
    """Who needs and gives water.

    Attributes:
        operations, sinks, sources, treatments: see there; names are unique.
        fresh: one or several qualities; discharge: of what is not used again.
        inside: reuse within a plant; between: from plant to plant (None: not possible); pipes: exceptions by (from, to) name.
        contaminants: names, one a value of `Ppm`.
        electricity_price: money per kWh.
    """

    operations: Sequence[Operation] = ()
    sinks: Sequence[Sink] = ()
    sources: Sequence[Source] = ()
    fresh: Sequence[Fresh] = (Fresh(),)
    treatments: Sequence[Treatment] = ()
    discharge: Discharge = Discharge()
    inside: Pipe = Pipe()
    between: Pipe | None = Pipe()
    pipes: Mapping[tuple[str, str], Pipe | None] = field(default_factory=dict)
    contaminants: Sequence[str] = ("",)
    electricity_price: float = 0.0

    def __post_init__(self) -> None:
        named: list[Any] = [*self.operations, *self.treatments, *self.fresh]
        names = [one.name for one in named] + [WASTE]
        for several in (names + [s.name for s in self.sinks], names + [s.name for s in self.sources]):
            twice = next((n for n in several if several.count(n) > 1), None)
            if twice is not None:
                raise RequestError("network.name_twice", name=twice)
        for one in (
            *self.operations,
            *self.sinks,
            *self.sources,
            *self.fresh,
            *self.treatments,
            self.discharge,
        ):
            _check(one, len(self.contaminants))
        exact = len(self.contaminants) == 1 and all(t.outlet is not None for t in self.treatments)
        if self.once and not (exact and self.discharge.ppm is None and all(t.once for t in self.treatments)):
            raise RequestError("reuse.once", name=next(t.name for t in self.treatments if t.once))

    @property
    def plants(self) -> tuple[str, ...]:
        """The plants, in order of appearance."""
        everyone: list[Any] = [*self.operations, *self.sinks, *self.sources, *self.treatments]
        return tuple(dict.fromkeys(one.plant for one in everyone))

    @property
    def once(self) -> bool:
        """Whether water may pass treatment at most once."""
        return any(t.once for t in self.treatments)

    def of(self, plants: Collection[str]) -> WaterProblem:
        """The problem of some of the plants alone; treatment without a plant is open to all."""

        def kept(rows: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(one for one in rows if one.plant in plants)

        common = tuple(t for t in self.treatments if t.plant in plants or not t.plant)
        return replace(
            self,
            operations=kept(self.operations),
            sinks=kept(self.sinks),
            sources=kept(self.sources),
            treatments=common,
        )


class _Behind(Operation):
    """The part of an operation that runs on water that was treated, where water is treated at most once."""


@dataclass(frozen=True, eq=False)
class WaterModel:
    """The problem as arrays, and which arcs are fresh water, treatment, crossing, waste: (A,) booleans."""

    pooling: Pooling
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    fresh: npt.NDArray[np.bool_]
    treated: npt.NDArray[np.bool_]
    crossing: npt.NDArray[np.bool_]
    waste: npt.NDArray[np.bool_]


def water_model(problem: WaterProblem) -> WaterModel:
    """Arcs from every fresh water, source and unit to every unit and sink, and from all but fresh water to the discharge."""
    twins = tuple(_Behind(f"{o.name} *", o.load, o.inlet, o.outlet, o.plant) for o in problem.operations)
    supplies: list[Any] = [*problem.fresh, *problem.sources]
    units: list[Any] = [*problem.operations, *problem.treatments, *(twins if problem.once else ())]
    starts, ends = [*supplies, *units], [*units, *problem.sinks, None]
    count, fresh = len(problem.contaminants), len(problem.fresh)
    start, end, pipes = _arcs(problem, starts, ends)
    price = np.array([getattr(one, "price", 0.0) if isinstance(one, Fresh) else 0.0 for one in starts])
    taking = np.zeros(len(ends))
    for k, one in enumerate(units):
        if isinstance(one, Treatment):
            taking[k] = one.price + one.electricity * problem.electricity_price
    taking[-1] = problem.discharge.price
    spare = [np.inf if problem.discharge.ppm is None else problem.discharge.ppm]
    pooling = Pooling(
        supplies=tuple(s.name for s in supplies),
        units=tuple(u.name for u in units),
        demands=(*(s.name for s in problem.sinks), WASTE),
        content=_ppm([s.ppm for s in supplies], count),
        supply_least=[0.0] * fresh + [s.flow for s in problem.sources],
        supply_most=[f.most for f in problem.fresh] + [s.flow for s in problem.sources],
        demand_least=[s.flow for s in problem.sinks] + [0.0],
        demand_most=[s.flow for s in problem.sinks] + [problem.discharge.most],
        limit=_ppm([*(s.ppm for s in problem.sinks), *spare], count),
        **_units(problem, count),
        start=start,
        end=end,
        cost=price[start] + taking[end] + np.array([p.cost for p in pipes]),
        fixed=np.array([p.fixed for p in pipes]),
        most=np.array([p.most for p in pipes]),
    )
    plant = [getattr(one, "plant", "") for one in starts], [getattr(one, "plant", "") for one in ends]
    crossing = np.array(
        [_crosses(plant[0][s], plant[1][e]) for s, e in zip(start, end, strict=True)], dtype=bool
    )
    treated = np.array([isinstance(ends[e], Treatment) for e in end], dtype=bool)
    names = tuple(s.name for s in starts), (*(e.name for e in ends if e is not None), WASTE)
    return WaterModel(pooling, *names, start < fresh, treated, crossing, end == len(ends) - 1)


def _units(problem: WaterProblem, count: int) -> dict[str, Any]:
    """The arrays of operations and treatments.

    An operation needs no more water than max_q load / (outlet - inlet): with more, the surplus could pass beside it and mix again
    behind it. Treatment takes no more than all the others give, once for each time that water comes around.
    """
    ops, treatments = problem.operations, problem.treatments
    load = _ppm([o.load for o in ops], count) * GRAM_PER_KG
    inlet, outlet = _ppm([o.inlet for o in ops], count), _ppm([o.outlet for o in ops], count)
    needs = (load / (outlet - inlet)).max(axis=1, initial=0.0)
    free = problem.inside == Pipe() and not problem.pipes and problem.discharge.ppm is None
    limited = free and not problem.once and not any(o.plant for o in ops)
    all_water = needs.sum() + sum(s.flow for s in problem.sources) + sum(s.flow for s in problem.sinks)
    every = float(all_water) * (1 + len(treatments))
    fixed_outlet = [t.outlet is not None for t in treatments]
    removal = _ppm([1.0 if t.outlet is not None else t.removal for t in treatments], count)
    widest = needs if limited else np.full(len(needs), every)
    made = {
        "load": np.concatenate([load, np.zeros_like(removal)]),
        "keep": np.concatenate([np.ones_like(load), 1.0 - removal]),
        "recovery": [1.0] * len(ops) + [t.recovery for t in treatments],
        "unit_most": np.concatenate([widest, [min(t.most, every) for t in treatments]]),
        "inlet": np.concatenate([inlet, _ppm([t.inlet for t in treatments], count)]),
        "outlet": np.concatenate(
            [outlet, _ppm([np.inf if t.outlet is None else t.outlet for t in treatments], count)]
        ),
        "known": [count == 1 and all(fixed_outlet) and problem.discharge.ppm is None] * len(ops)
        + fixed_outlet,
        "shared": [-1] * len(fixed_outlet),
    }
    if not problem.once:
        return {**made, "shared": -1}
    own = {name: np.asarray(column)[: len(ops)] for name, column in made.items()}
    own |= {"load": np.zeros_like(load), "shared": np.arange(len(ops))}
    made["shared"] = np.concatenate([np.arange(len(ops)), np.full(len(treatments), -1)])
    return {name: np.concatenate([np.asarray(column), own[name]]) for name, column in made.items()}


def _arcs(
    problem: WaterProblem, starts: Sequence[Any], ends: Sequence[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[Pipe]]:
    """Every connection that may be, with its pipe. Fresh water does not go to the discharge; nothing feeds itself."""
    found = []
    for s, one in enumerate(starts):
        for e, other in enumerate(ends):
            if one is other or (isinstance(one, Fresh) and other is None):
                continue
            again = isinstance(other, Treatment) or (
                isinstance(other, Operation) and not isinstance(other, _Behind)
            )
            if problem.once and isinstance(one, Treatment | _Behind) and again:
                continue
            pipe: Pipe | None = Pipe()
            if other is not None and not isinstance(one, Fresh):
                pipe = problem.between if _crosses(one.plant, other.plant) else problem.inside
            pipe = problem.pipes.get((one.name, WASTE if other is None else other.name), pipe)
            if pipe is not None and pipe.most > 0:
                found.append((s, e, pipe))
    start, end = (np.array([row[k] for row in found], dtype=np.int64) for k in (0, 1))
    return start, end, [row[2] for row in found]


def ppm_of(text: str) -> float:
    """A concentration in ppm (= mg/L = g/m3): a share of mass, or mass per volume of water.

    Raises:
        RuleError: the unit does not exist. MangroveError: `reuse.not_ppm`.

    Example:
        >>> ppm_of("50 mg/L"), ppm_of("20 ppm"), round(ppm_of("0.1 kg/m3"), 6)
        (50.0, 20.0, 100.0)
    """
    written = Quantity.parse(text, "1" if not any(c.isalpha() or c == "%" for c in text) else None)
    per_volume = written.unit.converts_to("mg/L")
    if not (per_volume or written.unit.converts_to("ppm")) or written.value < 0 or written.unit.text == "1":
        raise MangroveError("reuse.not_ppm", text=text)
    return round(written.to("mg/L" if per_volume else "ppm"), 9)


def flow_of(text: str) -> float:
    """A flow of water in t/h (= m3/h), written as mass or volume per time.

    Raises:
        RuleError: the unit does not exist. MangroveError: `reuse.not_flow`.

    Example:
        >>> flow_of("40 m3/h"), flow_of("24 t/day"), round(flow_of("10 L/s"), 6)
        (40.0, 1.0, 36.0)
    """
    written = Quantity.parse(text)
    target = next((unit for unit in ("t/h", "m3/h") if written.unit.converts_to(unit)), None)
    if target is None or written.value < 0:
        raise MangroveError("reuse.not_flow", text=text)
    return round(written.to(target), 9)


def _crosses(one: str, other: str) -> bool:
    """Whether water goes from one plant to another; what has no plant belongs to all."""
    return bool(one and other and one != other)


def _ppm(rows: Sequence[Ppm], count: int) -> Floats:
    """(n, Q) numbers; one number stands for every contaminant."""
    return np.array([np.broadcast_to(np.asarray(row, dtype=np.float64), (count,)) for row in rows]).reshape(
        -1, count
    )


def _check(one: Any, count: int) -> None:
    """Refuses numbers that mean nothing: negative, not finite, an inlet that is not below its outlet, a wrong number of them.

    Raises:
        RequestError: `reuse.range`, `reuse.shape`.
    """
    known, open_ = getattr(one, "name", WASTE), {"inlet", "most"}
    if isinstance(one, Operation | Discharge):
        open_ = set() if isinstance(one, Operation) else {"ppm", "most"}
    for name in _NUMBERS:
        value = getattr(one, name, None)
        if value is None:
            continue
        array = np.asarray(value, dtype=np.float64)
        if array.ndim and array.shape != (count,):
            raise RequestError("reuse.shape", name=known, what=name, got=str(array.shape), count=count)
        bad = np.isnan(array) | ((array < 0) & (name != "price"))
        bad |= np.isinf(array) & (name not in open_)
        bad |= (array > 1) & (name in {"removal", "recovery"}) | (array == 0) & (name == "recovery")
        if bad.any():
            raise RequestError("reuse.range", name=known, what=name, value=float(array[bad].ravel()[0]))
    if isinstance(one, Operation):
        inlet, outlet = (
            np.broadcast_to(np.asarray(v, dtype=np.float64), (count,)) for v in (one.inlet, one.outlet)
        )
        if (inlet >= outlet).any():
            at = int(np.argmax(inlet >= outlet))
            raise RequestError("reuse.inlet", name=one.name, inlet=float(inlet[at]), outlet=float(outlet[at]))
