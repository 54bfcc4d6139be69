# SPDX-License-Identifier: Apache-2.0
"""What is kept of observed traffic: hourly values of the run `estimate/traffic`, and a record with every street and five minutes.

Comes in: a `LinkState` with its amounts. Goes out: a batch with the flows that name a class of vehicles (parameter `vehicles`), so that
the one formula makes inventory rows of them, and a record of kind `traffic` whose payload is an Arrow table of links and cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import DeclarationError, Problem, RuleError
from mangrove.ledger import COUNTED, Ledger, Origin, Quality, catalog
from mangrove.measure.plan import TRAFFIC
from mangrove.measure.traffic.cells import SECONDS
from mangrove.measure.traffic.doubts import MODEL, PARAMETER, RECORD, of_targets
from mangrove.measure.traffic.state import Basis, LinkState
from mangrove.measure.traffic.streets import Floats
from mangrove.rules import vehicles
from mangrove.territory.model import Flow, Territory
from mangrove.traffic.emissions import Amounts, Factors

RUN = TRAFFIC
OWN = "estimate"
"""The run whose values are those of the flow itself."""
KIND = "traffic"
VERSION = "2"
ALL = "all"
_BESIDE = "beside"
_HOURLY = 3600
_HOUR = 3600 * 1_000_000
_PER_HOUR = 3600 // SECONDS
_FORMAT = 9
_KILOMETERS, _MASS, _POWER = "vehicle_km", "reported", "electricity"


@dataclass(frozen=True, slots=True)
class Target:
    """A flow that takes what traffic does at its place.

    Attributes:
        flow: declared with the parameter `vehicles`, a class or `all`; classes: numbers of the classes that it adds up.
        pollutant: number of what it takes, -1: vehicle-kilometers; unit: how many grams (kWh, km) one of its units is.
    """

    flow: Flow
    classes: tuple[int, ...]
    pollutant: int
    unit: float


def wanted(territory: Territory) -> tuple[str, ...]:
    """The pollutants that declared flows take from traffic."""
    found = (_taken(flow) for flow in territory.flows.values() if PARAMETER in flow.parameters)
    return tuple(dict.fromkeys(one for one in found if one in vehicles.POLLUTANTS))


def targets(territory: Territory, factors: Factors) -> tuple[Target, ...]:
    """The flows that take results.

    Raises:
        DeclarationError: `vehicles.unknown_class`, `vehicles.takes_nothing` (a carrier that traffic says nothing of),
            `vehicles.takes_sums` (no amount of that), `vehicles.twice` (the same vehicles twice in the inventory).
    """
    problems: list[Problem] = []
    found = []
    for flow in territory.flows.values():
        if PARAMETER not in flow.parameters:
            continue
        word = str(flow.parameters[PARAMETER])
        try:
            keys = list(factors.classes) if word == ALL else [vehicles.vehicle_class(word).key]
        except RuleError as error:
            problems.append(Problem(error.code, error.problem.data, flow.where))
            continue
        taken = _taken(flow)
        if taken not in (_KILOMETERS, *factors.pollutants):
            problems.append(
                Problem("vehicles.takes_nothing", {"flow": flow.id, "carrier": str(flow.carrier)}, flow.where)
            )
            continue
        base = {_KILOMETERS: "vehicle_km", "electricity": "kWh"}.get(taken, "g")
        if flow.semantics != "sum" or not flow.unit.converts_to(base):
            data = {"flow": flow.id, "unit": flow.unit.text, "semantics": flow.semantics, "wanted": base}
            problems.append(Problem("vehicles.takes_sums", data, flow.where))
            continue
        classes = tuple(number for number, name in enumerate(factors.classes) if name in keys)
        pollutant = -1 if taken == _KILOMETERS else factors.pollutants.index(taken)
        found.append(Target(flow, classes, pollutant, flow.unit.to(base)))
    problems += _twice(territory, found)
    if problems:
        raise DeclarationError(problems)
    return tuple(found)


def _taken(flow: Flow) -> str:
    """What a flow takes: a pollutant or `vehicle_km`; empty when traffic says nothing of its carrier."""
    kind, code = flow.carrier.kind, flow.carrier.code
    if kind == _KILOMETERS:
        return _KILOMETERS
    if kind == _POWER:
        return "electricity"
    return code if kind == _MASS else ""


def _twice(territory: Territory, found: list[Target]) -> Iterator[Problem]:
    """Flows of the inventory that would count the same vehicles again.

    Kilometers get a factor of their own, so they stand for all that the vehicles emit; the same pollutant of the same class counts twice
    where one place lies in the other.
    """
    inventory = [one for one in found if one.flow.account == "inventory" and one.flow.scope is not None]
    for one, other in permutations(inventory, 2):
        km = one.pollutant == -1 and other.pollutant >= 0
        same = one.pollutant == other.pollutant and one.flow.id < other.flow.id
        if (
            (km or same)
            and set(one.classes) & set(other.classes)
            and _nested(territory, one.flow, other.flow)
        ):
            yield Problem("vehicles.twice", {"flow": one.flow.id, "other": other.flow.id}, one.flow.where)


def _nested(territory: Territory, one: Flow, other: Flow) -> bool:
    """Whether the place of one flow lies in that of the other."""
    return territory.lies_in(one.place, other.place) or territory.lies_in(other.place, one.place)


def beside(territory: Territory) -> tuple[Problem, ...]:
    """Other flows of the inventory under the same reference, at the same place or around it: fuel sales beside what streets emit.

    A flow that takes results may name those that stand beside it rightly: `beside=bus_fuel`. The others may be the same vehicles, so
    its values stay in the run of traffic and out of the inventory.
    """
    found = []
    inventory = [
        flow
        for flow in territory.flows.values()
        if flow.account == "inventory" and flow.gpc and flow.semantics != "state"
    ]
    for flow in inventory:
        if PARAMETER not in flow.parameters:
            continue
        said = str(flow.parameters.get(_BESIDE, "")).split()
        for other in inventory:
            apart = PARAMETER in other.parameters or other.id in said or flow.gpc != other.gpc
            if not apart and _nested(territory, flow, other):
                data = {"flow": flow.id, "other": other.id, "gpc": flow.gpc}
                found.append(Problem("vehicles.beside", data, flow.where, "warning"))
    return tuple(found)


def write(
    ledger: Ledger, territory: Territory, state: LinkState, amounts: Amounts, factors: Factors, *, seed: int = 0, keeper: Ledger | None = None
) -> tuple[str, int]:  # fmt: skip
    """Stores the record, then the hourly values; gives the id of the record and how many values are new.

    The values stand in the run of traffic, and once more among what happened at their flow, where the inventory, its map and every page
    read them: that is, for flows with a step of one hour, in hours that nobody else measured, and unless `beside` speaks against it.
    The record goes to `keeper`, a ledger that may be open for reading only: that of a large city, uncounted streets and all, is larger than
    a server takes in one piece.
    """
    taking = targets(territory, factors)
    weights = state.streets.weights(territory, tuple(one.flow.place for one in taking))
    document = {
        "model": MODEL, "version": VERSION, "territory": territory.content_hash, "rules": vehicles.digest(), "seed": seed,
        "start": int(state.starts[0]), "cells": len(state.starts), "seconds": SECONDS, "links": len(state.streets.ids),
        "curves": [one.id for row in factors.curves for one in row if one],
        "doubts": of_targets(amounts, factors, taking, weights),
        "problems": [one.code for one in state.problems],
    }  # fmt: skip
    record = (keeper or ledger).put_record(
        KIND, json.dumps(document, sort_keys=True).encode(), _detail(state, amounts, factors)
    )
    rows = _values(state, amounts, taking, weights)
    new = _append(ledger, territory, rows, record, RUN)
    held = {one.data["flow"] for one in beside(territory)}
    own = [
        one.flow.id
        for one in taking
        if one.flow.id not in held and one.flow.step is not None and one.flow.step.seconds == _HOURLY
    ]
    _append(ledger, territory, _unmeasured(ledger, rows, own), record, OWN)
    return record, new


def _append(ledger: Ledger, territory: Territory, rows: pa.Table, record: str, run: str) -> int:
    """Stores values of a run unless its last batch rests on the same record; gives how many are new."""
    if not rows.num_rows:
        return 0
    inputs = (f"{RECORD}{record}", f"territory:{territory.content_hash}")
    with catalog.reader(ledger.root) as db:
        query = "select id, inputs from batch where run = ? and model = ? order by id desc limit 1"
        last, rests = db.execute(query, (run, MODEL)).fetchone() or (0, "")
    if inputs[0] in rests:
        return 0
    # The same question asked again after another one makes values that count again: its batch is a new one.
    origin = Origin(f"model:{MODEL}", f"{run}:{record}:{last}", run, MODEL, VERSION, inputs)
    return ledger.append(rows, origin).rows


def _unmeasured(ledger: Ledger, rows: pa.Table, flows: list[str]) -> pa.Table:
    """The rows of some flows, without the hours that somebody measured."""
    rows = rows.filter(pc.is_in(rows["flow"], pa.array(flows, pa.string())))
    if not rows.num_rows:
        return rows
    first, last = (made(rows["start"]).as_py() for made in (pc.min, pc.max))
    with ledger.snapshot() as snapshot:
        there = snapshot.values(flows, first, last + timedelta(hours=1))
    with catalog.reader(ledger.root) as db:
        estimates = [id_ for (id_,) in db.execute("select id from batch where run = ?", (OWN,))]
    measured = pc.invert(pc.is_in(there["batch"], pa.array(estimates, pa.int64())))
    counted = pc.is_in(there["quality"], pa.array([int(one) for one in COUNTED], there["quality"].type))
    others = there.filter(pc.and_(measured, counted))
    taken = set(zip(others["flow"].to_pylist(), others["start"].cast("int64").to_pylist(), strict=True))
    names, starts = rows["flow"].to_pylist(), rows["start"].cast("int64").to_pylist()
    return rows.filter(pa.array([key not in taken for key in zip(names, starts, strict=True)], pa.bool_()))


def _values(state: LinkState, amounts: Amounts, taking: Sequence[Target], weights: Floats) -> pa.Table:
    """Hourly values of the flows that take them; an hour in which a street inside the place misses a cell has none."""
    hour = state.starts // _HOUR
    hours, at, cells = np.unique(hour, return_inverse=True, return_counts=True)
    names: list[str] = []
    starts: list[npt.NDArray[np.int64]] = []
    found: list[Floats] = []
    quality: list[npt.NDArray[np.uint8]] = []
    for one, weight in zip(taking, weights, strict=True):
        part = state.vehicle_km if one.pollutant < 0 else amounts.mass[..., one.pollutant]
        amount = np.bincount(at, part[:, :, list(one.classes)].sum(axis=2) @ weight, len(hours)) / one.unit
        inside = state.basis[:, weight > 0]
        missing = np.bincount(at, (inside == Basis.MISSING).any(axis=1), len(hours)) > 0
        filled = (
            np.bincount(at, ((inside == Basis.FILLED) | (inside == Basis.ESTIMATED)).any(axis=1), len(hours))
            > 0
        )
        kept = ~missing & (cells == _PER_HOUR) & bool((weight > 0).any())
        names += [one.flow.id] * int(kept.sum())
        starts.append(hours[kept] * _HOUR)
        found.append(amount[kept])
        quality.append(np.where(filled[kept], int(Quality.FILLED), int(Quality.GOOD)).astype(np.uint8))
    digits = [float(f"{value:.{_FORMAT}g}") for value in np.concatenate([np.zeros(0), *found])]
    return pa.table(
        {
            "flow": pa.array(names, pa.string()),
            "start": pa.array(np.concatenate([np.zeros(0, np.int64), *starts]), pa.int64()).cast(
                pa.timestamp("us", tz="UTC")
            ),
            "value": pa.array(digits, pa.float64()),
            "quality": pa.array(np.concatenate([np.zeros(0, np.uint8), *quality]), pa.uint8()),
        }
    )


def _detail(state: LinkState, amounts: Amounts, factors: Factors) -> bytes:
    """Arrow table: link, start, class, vehicles, speed, basis, and grams (kWh) of each pollutant; cells without traffic are left out."""
    cell, link, kind = np.nonzero(state.flow > 0)
    columns = {
        "link": pa.DictionaryArray.from_arrays(pa.array(link.astype(np.int32)), pa.array(state.streets.ids)),
        "start": pa.array(state.starts[cell]).cast(pa.timestamp("us", tz="UTC")),
        "class": pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int8)), pa.array(state.classes)),
        "vehicles": pa.array(state.flow[cell, link, kind].astype(np.float32)),
        "speed": pa.array(state.speed[cell, link, kind].astype(np.float32)),
        "basis": pa.array(state.basis[cell, link]),
    }
    for number, name in enumerate(factors.pollutants):
        columns[name] = pa.array(amounts.mass[cell, link, kind, number].astype(np.float32))
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def detail(payload: bytes) -> pa.Table:
    """The table of a record."""
    return pa.ipc.open_file(pa.BufferReader(payload)).read_all()
