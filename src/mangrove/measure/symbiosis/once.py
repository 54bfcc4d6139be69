# SPDX-License-Identifier: Apache-2.0
"""Nothing counts twice: two exchanges with one meter, an effect declared twice, what the inventory already calls avoided.

Comes in: declared exchanges, effects and flows. Goes out: what must not be counted, each with a problem that says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mangrove.errors import Problem, Sentence
from mangrove.territory.model import Effect, Exchange, Flow, Territory

AVOIDED = "avoided"


@dataclass(slots=True)
class Claims:
    """What is claimed already.

    Attributes:
        exchanges: ids of exchanges that count nothing, because an earlier one claims their meter.
        uncounted: positions of effects whose emissions are counted elsewhere; dropped: of effects that repeat another one.
        problems: why.
    """

    exchanges: set[str] = field(default_factory=set)
    uncounted: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def claims(territory: Territory, exchanges: Sequence[Exchange]) -> Claims:
    """Finds what would be counted twice; the first declared one counts."""
    found = Claims()
    for exchange, other, flow in _meters_twice(exchanges):
        data = {"exchange": other.id, "first": exchange.id, "flow": flow}
        found.problems.append(Problem("symbiosis.meter_twice", data, other.where))
        found.exchanges.add(other.id)
    known = {one.id for one in exchanges}
    listed = [(number, one) for number, one in enumerate(territory.effects) if one.exchange in known]
    _effects_twice(listed, found)
    _avoided_already(territory, exchanges, listed, found)
    return found


def _meters_twice(exchanges: Iterable[Exchange]) -> Iterator[tuple[Exchange, Exchange, str]]:
    """Exchanges that claim one meter for the same end at the same time: the first, the later one, the flow."""
    claimed: dict[tuple[str, str], list[Exchange]] = {}
    for other in exchanges:
        for end, flow in (("sent", other.sent), ("received", other.received)):
            if not flow:
                continue
            earlier = claimed.setdefault((end, flow), [])
            first = next((one for one in earlier if _overlap(one, other)), None)
            if first:
                yield first, other, flow
            earlier.append(other)


def _overlap(one: Exchange, other: Exchange) -> bool:
    starts = [day for day in (one.valid_from, other.valid_from) if day]
    ends = [day for day in (one.valid_to, other.valid_to) if day]
    return not (starts and ends) or max(starts) < min(ends)


def _effects_twice(listed: Sequence[tuple[int, Effect]], found: Claims) -> None:
    """The same row again; or the same emissions saved at both ends."""
    first: dict[object, Effect] = {}
    both: dict[object, Effect] = {}
    for number, one in listed:
        amount = (one.amount.value * one.amount.unit.scale, one.amount.unit.dimension)
        row = (one.exchange, one.effect, one.side, one.factor, amount)
        data = {
            "exchange": one.exchange,
            "effect": Sentence(f"symbiosis.effect_{one.effect}"),
            "factor": one.factor or "-",
        }
        if row in first:
            found.problems.append(Problem("symbiosis.repeated_effect", data, one.where))
            found.dropped.add(number)
            continue
        first[row] = one
        shared = (one.exchange, one.effect, one.factor, amount)
        if one.factor and one.amount.value > 0 and shared in both:
            found.problems.append(Problem("symbiosis.claimed_at_both_ends", data, one.where))
            found.uncounted.add(number)
        both.setdefault(shared, one)


def _avoided_already(
    territory: Territory, exchanges: Sequence[Exchange], listed: Sequence[tuple[int, Effect]], found: Claims
) -> None:
    """Exchanges whose meter also carries an avoided flow of the territory: its emissions count there."""
    avoided = [flow for flow in territory.flows.values() if flow.account == AVOIDED]
    for exchange in exchanges:
        flow = next((one for one in avoided if _is_metered_by(territory, exchange, one)), None)
        numbers = [number for number, one in listed if one.exchange == exchange.id and one.factor]
        if flow is None or not numbers:
            continue
        data = {"exchange": exchange.id, "flow": flow.id}
        found.problems.append(Problem("symbiosis.avoided_twice", data, exchange.where))
        found.uncounted.update(numbers)


def _is_metered_by(territory: Territory, exchange: Exchange, avoided: Flow) -> bool:
    for end in (exchange.sent, exchange.received):
        flow = territory.flows.get(end or "")
        if flow is not None and (flow.id == avoided.id or (flow.meter and flow.meter == avoided.meter)):
            return True
    return False
