# SPDX-License-Identifier: Apache-2.0
"""What is kept of observed traffic: hourly values of the run `estimate/traffic`, and a record with every street and five minutes.

Comes in: a `LinkState` with its amounts. Goes out: a batch with the flows that name a class of vehicles (parameter `vehicles`), so that
the one formula makes inventory rows of them, and a record of kind `traffic` whose payload is an Arrow table of links and cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import DeclarationError, Problem, RuleError
from mangrove.ledger import Ledger, Origin, Quality
from mangrove.measure.plan import TRAFFIC
from mangrove.measure.traffic.cells import SECONDS
from mangrove.measure.traffic.state import Basis, LinkState
from mangrove.measure.traffic.streets import Floats
from mangrove.rules import vehicles
from mangrove.territory.model import Flow, Territory
from mangrove.traffic.emissions import Amounts, Factors

RUN = TRAFFIC
KIND = "traffic"
MODEL, VERSION = "traffic", "1"
ALL = "all"
_CLASS = "vehicles"
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
    found = (_taken(flow) for flow in territory.flows.values() if _CLASS in flow.parameters)
    return tuple(dict.fromkeys(one for one in found if one in vehicles.POLLUTANTS))


def targets(territory: Territory, factors: Factors) -> tuple[Target, ...]:
    """The flows that take results.

    Raises:
        DeclarationError: `vehicles.unknown_class`, `vehicles.takes_nothing` (a carrier that traffic says nothing of),
            `vehicles.twice` (emissions of a class and its kilometers, both in the inventory of one place).
    """
    problems: list[Problem] = []
    found = []
    for flow in territory.flows.values():
        if _CLASS not in flow.parameters:
            continue
        word = str(flow.parameters[_CLASS])
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
        classes = tuple(number for number, name in enumerate(factors.classes) if name in keys)
        pollutant = -1 if taken == _KILOMETERS else factors.pollutants.index(taken)
        base = {_KILOMETERS: "vehicle_km", "electricity": "kWh"}.get(taken, "g")
        found.append(Target(flow, classes, pollutant, flow.unit.to(base)))
    problems += _twice(found)
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


def _twice(found: list[Target]) -> Iterator[Problem]:
    """Kilometers get a factor of their own: beside CO2 of the same vehicles and place they would count twice."""
    inventory = [one for one in found if one.flow.account == "inventory" and one.flow.scope is not None]
    for km in inventory:
        for mass in inventory:
            both = set(km.classes) & set(mass.classes)
            if km.pollutant == -1 and mass.pollutant >= 0 and both and km.flow.place == mass.flow.place:
                yield Problem("vehicles.twice", {"flow": km.flow.id, "other": mass.flow.id}, km.flow.where)


def write(
    ledger: Ledger, territory: Territory, state: LinkState, amounts: Amounts, factors: Factors, *, seed: int = 0, summary: dict[str, object] | None = None
) -> tuple[str, int]:  # fmt: skip
    """Stores the record, then the hourly values; gives the id of the record and how many values are new."""
    document = {
        "model": MODEL, "version": VERSION, "territory": territory.content_hash, "rules": vehicles.digest(), "seed": seed,
        "start": int(state.starts[0]), "cells": len(state.starts), "seconds": SECONDS, "links": len(state.streets.ids),
        "curves": [one.id for row in factors.curves for one in row if one],
        "problems": [one.code for one in state.problems], **(summary or {}),
    }  # fmt: skip
    record = ledger.put_record(
        KIND, json.dumps(document, sort_keys=True).encode(), _detail(state, amounts, factors)
    )
    rows = values(territory, state, amounts, factors)
    if not rows.num_rows:
        return record, 0
    inputs = (f"record:{record}", f"territory:{territory.content_hash}")
    receipt = ledger.append(rows, Origin(f"model:{MODEL}", record, RUN, MODEL, VERSION, inputs))
    return record, receipt.rows


def values(territory: Territory, state: LinkState, amounts: Amounts, factors: Factors) -> pa.Table:
    """Hourly values of the flows that take them; an hour in which a street inside the place misses a cell has none."""
    taking = targets(territory, factors)
    weights = state.streets.weights(territory, tuple(one.flow.place for one in taking))
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
