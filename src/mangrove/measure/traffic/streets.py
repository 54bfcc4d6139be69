# SPDX-License-Identifier: Apache-2.0
"""Which streets are observed by which flows, how long they are and in which places they lie.

Comes in: a territory and, when it names one, its network. Goes out: `Streets`: the counted links with lengths, the flows that count them,
and the share of each link that lies in each place. What names an unknown street, or one of unknown length, is refused with its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, DeclarationError, Problem, did_you_mean
from mangrove.measure.places_on_map import outline
from mangrove.rules.vehicles import vehicle_class
from mangrove.territory.model import Flow, Territory
from mangrove.units import Quantity

if TYPE_CHECKING:
    from mangrove.traffic.sumo_net import SumoNet

Floats = npt.NDArray[np.float64]

COUNT, SPEED = "vehicles", "speed"
_LINK, _LENGTH = "link", "length"
CELL, _LONGEST = 300, 3600
"""Seconds of a cell, and of the longest interval that is spread over cells: of a longer one nobody knows when its vehicles drove."""
_UNIT = {
    (COUNT, False): "vehicle",
    (COUNT, True): "vehicle/h",
    (SPEED, False): "km/h",
    (SPEED, True): "km/h",
}
_SEMANTICS = {COUNT: ("sum", "mean"), SPEED: ("state", "mean")}


@dataclass(frozen=True, slots=True)
class Meter:
    """A flow that observes a street: how many vehicles (`vehicles`) or how fast (`speed`), of one class or all (empty)."""

    flow: Flow
    kind: str
    link: int
    vehicle: str


@dataclass(frozen=True)
class Streets:
    """The observed links.

    Attributes:
        ids: (L,) of links; length: (L,) km, with the crossing behind it where a network says; limit: (L,) km/h, NaN where unknown.
        meters: what observes them; classes: (C,) that are counted by themselves anywhere.
        net: the network, when one is declared; edges: (L,) their numbers in it, -1 without.
        places: (L,) where the meters stand; it is the place of a link that has no geometry.
    """

    ids: tuple[str, ...]
    length: Floats
    limit: Floats
    meters: tuple[Meter, ...]
    classes: tuple[str, ...]
    net: SumoNet | None
    edges: npt.NDArray[np.int32]
    places: tuple[str, ...]

    def weights(self, territory: Territory, places: tuple[str, ...]) -> Floats:
        """(Z, L) share of each link in each place: of its line where both are drawn, else whether its meter stands in it."""
        found = np.array(
            [[territory.lies_in(of, place) for of in self.places] for place in places], dtype=float
        )
        found = found.reshape(len(places), len(self.ids))
        if self.net is None:
            return found
        import shapely

        lines = np.array([shapely.LineString(self.net.shapes[edge]) for edge in self.edges])
        for row, name in enumerate(places):
            shape = outline(territory.places[name])
            if shape is not None and shape.area > 0:
                within = shapely.length(shapely.intersection(lines, shape))
                found[row] = within / np.maximum(shapely.length(lines), 1e-12)
        return found


def streets(territory: Territory, net: SumoNet | None = None) -> Streets:
    """The observed streets of a territory.

    Raises:
        DataQualityError: `vehicles.none_declared`.
        DeclarationError: `vehicles.no_link`, `vehicles.unknown_link`, `vehicles.no_length`, `vehicles.other_length`,
            `vehicles.semantics`, `vehicles.needs_step`, `vehicles.odd_step`, `vehicles.unit`, `vehicles.unknown_class`; all of them at once.
    """
    declared = [flow for flow in territory.flows.values() if flow.carrier.kind in (COUNT, SPEED)]
    if not any(flow.carrier.kind == COUNT for flow in declared):
        raise DataQualityError("vehicles.none_declared")
    problems: list[Problem] = []
    for flow in declared:
        problems += _faults(flow, net)
    if problems:
        raise DeclarationError(_other_network(problems, declared, net))
    ids = tuple(dict.fromkeys(str(flow.parameters[_LINK]) for flow in declared))
    at = {name: link for link, name in enumerate(ids)}
    meters = tuple(
        Meter(flow, flow.carrier.kind, at[str(flow.parameters[_LINK])], _class(flow)) for flow in declared
    )
    length, said = _lengths(ids, meters, net)
    if said:
        raise DeclarationError(said)
    edges = np.array([net.number[name] if net else -1 for name in ids], dtype=np.int32)
    limit = net.speed[edges] if net else np.full(len(ids), np.nan)
    stands = {meter.link: meter.flow.place for meter in reversed(meters)}
    counted = (meter.vehicle for meter in meters if meter.vehicle)
    return Streets(
        ids,
        length,
        limit,
        meters,
        tuple(dict.fromkeys(counted)),
        net,
        edges,
        tuple(stands[link] for link in range(len(ids))),
    )


def _other_network(problems: list[Problem], declared: Sequence[Flow], net: SumoNet | None) -> list[Problem]:
    """The problems; a single one when no street of the flows is in the network: it is another one."""
    unknown = [one for one in problems if one.code == "vehicles.unknown_link"]
    if net is None or len(unknown) < max(len(declared), 2):
        return problems
    data = {
        "count": len({one.data["link"] for one in unknown}),
        "net": net.path.name,
        "link": unknown[0].data["link"],
    }
    rest = [one for one in problems if one.code != "vehicles.unknown_link"]
    return [Problem("vehicles.other_network", data, unknown[0].where), *rest]


def _class(flow: Flow) -> str:
    return vehicle_class(flow.carrier.code).key if flow.carrier.code else ""


def _faults(flow: Flow, net: SumoNet | None) -> list[Problem]:
    """What is wrong with one flow."""
    from mangrove.errors import RuleError

    found: list[Problem] = []

    def say(code: str, **data: Any) -> None:
        found.append(Problem(code, {"flow": flow.id, **data}, flow.where))

    link = flow.parameters.get(_LINK)
    if isinstance(link, Quantity):
        say("vehicles.link_number")
    elif not link:
        say("vehicles.no_link")
    elif net and str(link) not in net.number:
        say("vehicles.unknown_link", link=str(link), hint=did_you_mean(str(link), net.ids))
    if flow.semantics not in _SEMANTICS[flow.carrier.kind]:
        options = ", ".join(_SEMANTICS[flow.carrier.kind])
        say("vehicles.semantics", semantics=flow.semantics, options=options)
    if flow.step is None or flow.step.months:
        say("vehicles.needs_step")
    elif not _fits(flow.step.seconds):
        say("vehicles.odd_step", step=str(flow.step))
    if not flow.unit.converts_to(_UNIT[flow.carrier.kind, flow.semantics == "mean"]):
        say("vehicles.unit", unit=flow.unit.text, wanted=_UNIT[flow.carrier.kind, flow.semantics == "mean"])
    try:
        _class(flow)
    except RuleError as error:
        found.append(Problem(error.code, error.problem.data, flow.where))
    return found


def _fits(seconds: int) -> bool:
    """Whether values of this step can be laid on cells: a part of five minutes, or a multiple up to an hour."""
    return seconds > 0 and (CELL % seconds == 0 or (seconds % CELL == 0 and seconds <= _LONGEST))


def _lengths(
    ids: tuple[str, ...], meters: tuple[Meter, ...], net: SumoNet | None
) -> tuple[Floats, list[Problem]]:
    """(L,) km: of the network, or as the flows declare."""
    if net is not None:
        from mangrove.traffic.crossings import link_lengths

        whole = link_lengths(net)
        return np.array([whole[net.number[name]] for name in ids]), []
    stated: dict[int, tuple[float, Meter]] = {}
    problems = []
    for meter in meters:
        value = meter.flow.parameters.get(_LENGTH)
        if not isinstance(value, Quantity):
            continue
        km = value.value * value.unit.to("km") if value.unit.converts_to("km") else 0.0
        if km <= 0 or (meter.link in stated and abs(stated[meter.link][0] - km) > 1e-9 * km):
            problems.append(_problem("vehicles.other_length", meter, ids))
        stated[meter.link] = (km, meter)
    first: Mapping[int, Meter] = {meter.link: meter for meter in reversed(meters)}
    problems += [
        _problem("vehicles.no_length", first[link], ids) for link in range(len(ids)) if link not in stated
    ]
    return np.array([stated[link][0] if link in stated else 0.0 for link in range(len(ids))]), problems


def _problem(code: str, meter: Meter, ids: tuple[str, ...]) -> Problem:
    return Problem(code, {"flow": meter.flow.id, "link": ids[meter.link]}, meter.flow.where)
