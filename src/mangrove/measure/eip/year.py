# SPDX-License-Identifier: Apache-2.0
"""One calendar year of a park's ledger: how much of every flow, how complete, from which batches.

Comes in: an open snapshot and a territory. Goes out: amounts by flow, read in one query, and the words that indicators share: which
flows lie in the park, which ones meter exchanges, which exchanges ran. A value counts in the year in which it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from mangrove.errors import RequestError, Sentence
from mangrove.ledger import COUNTED, Quality, Snapshot
from mangrove.measure.plan import hours_per_value, is_rate
from mangrove.territory.model import Exchange, Flow, Territory
from mangrove.times import Span, from_us, to_us
from mangrove.units import Unit, unit

_WHOLE = 0.995
"""From this coverage on, a flow counts as complete: calendar months differ from their mean by more than a rounding."""
_KEPT_APART = ("air", "weather", "index", "water_level", "stack")


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a flow in the year.

    Attributes:
        value: in `unit` (rates already multiplied by hours); coverage: share of the year; None when the flow states no step.
        estimated: share of the counted values that are marked as filled in; batches: where the values come from.
    """

    flow: Flow
    value: float
    unit: Unit
    coverage: float | None
    estimated: float
    batches: tuple[int, ...]

    def to(self, target: str) -> float:
        """The amount in another unit."""
        return self.value * self.unit.to(target)


class Year:
    """A year of a territory, for the functions that compute indicators.

    Args:
        territory: as declared; year: calendar year in its time zone; snapshot: of its ledger; None when there is none.
    """

    def __init__(self, territory: Territory, year: int, snapshot: Snapshot | None) -> None:
        self.territory, self.year = territory, year
        self.span = Span.parse(f"{year:04}", territory.tz)
        self._snapshot = snapshot

    @cached_property
    def root(self) -> str | None:
        """The place at the top of reports; None: all places count."""
        boundary = self.territory.settings.get("boundary")
        named = boundary.get("root") if isinstance(boundary, Mapping) else None
        return str(named) if named in self.territory.places else None

    def inside(self, place: str | None) -> bool:
        """Whether a place lies in the park."""
        return place is not None and (self.root is None or self.territory.lies_in(place, self.root))

    @cached_property
    def amounts(self) -> dict[str, Amount]:
        """What was counted of every flow of the year, by id; a flow without counted values is not there."""
        if self._snapshot is None:
            return {}
        keys = [flow.id for flow in self.territory.flows.values() if flow.carrier.kind not in _KEPT_APART]
        return {id_: self._amount(id_, *row) for id_, row in self._totals(keys).items()}

    def _totals(self, keys: Iterable[str]) -> dict[str, tuple[float, int, int, list[int]]]:
        """Sum, count and number of filled values, and batches, by flow."""
        assert self._snapshot is not None
        counted = ", ".join(str(int(code)) for code in COUNTED)
        known = self._snapshot.flow_ids()
        wanted = {known[key]: key for key in keys if key in known}
        if not wanted:
            return {}
        first, last = to_us(self.span.start), to_us(self.span.end)
        numbers = ", ".join(map(str, sorted(wanted)))
        rows = self._snapshot.readings([(first, last)], f"flow in ({numbers})")
        found = self._snapshot.connection.execute(
            f"select flow, sum(value), count(*), count(*) filter (where quality = {int(Quality.FILLED)}), "
            f"list(distinct batch) from ({rows}) where quality in ({counted}) group by flow"
        ).fetchall()
        return {wanted[flow]: (total, n, filled, batches) for flow, total, n, filled, batches in found}

    def _amount(self, id_: str, total: float, n: int, filled: int, batches: list[int]) -> Amount:
        flow = self.territory.flows[id_]
        hours = hours_per_value(flow)
        measured = flow.unit
        if is_rate(flow) and hours is not None:
            total, measured = total * hours, flow.unit * unit("h")
        coverage = None if hours is None else n * hours / self.span.hours
        return Amount(flow, total, measured, coverage, filled / n, tuple(sorted(batches)))

    @cached_property
    def has_values(self) -> bool:
        """Whether anything at all was counted in the year."""
        return bool(self.amounts)

    def of(self, accept: Callable[[Flow], bool]) -> list[Amount]:
        """The amounts of the park's own flows that `accept` takes; meters of exchanges are not among them."""
        return [
            amount
            for id_, amount in self.amounts.items()
            if id_ not in self.exchange_meters and self.inside(amount.flow.place) and accept(amount.flow)
        ]

    @cached_property
    def exchange_meters(self) -> frozenset[str]:
        """The ids of flows that meter exchanges: they say what moves, not what is used."""
        ends = [end for one in self.territory.exchanges.values() for end in (one.sent, one.received)]
        return frozenset(end for end in ends if end)

    @cached_property
    def exchanges(self) -> list[Exchange]:
        """The exchanges that were declared for a day of the year and have values in it."""
        first, last = date(self.year, 1, 1), date(self.year, 12, 31)
        return [one for one in self.declared(first, last) if self.moved(one) is not None]

    def declared(self, first: date, last: date) -> list[Exchange]:
        """The exchanges that touch the park and were declared for a day from `first` to `last`."""
        return [
            one
            for one in self.territory.exchanges.values()
            if (self.inside(one.place) or self.inside(one.to_place))
            and (one.valid_from is None or one.valid_from <= last)
            and (one.valid_to is None or one.valid_to > first)
        ]

    def moved(self, exchange: Exchange) -> Amount | None:
        """What an exchange moved in the year, by the meter where it leaves, else where it arrives; None without values."""
        for end in (exchange.sent, exchange.received):
            if end and end in self.amounts:
                return self.amounts[end]
        return None

    def remarks(self, amounts: Iterable[Amount]) -> tuple[Sentence, ...]:
        """A sentence for every flow that does not cover the year."""
        return tuple(
            Sentence("eip.incomplete", (("flow", one.flow.id), ("percent", f"{100 * one.coverage:.0f}")))
            for one in amounts
            if one.coverage is not None and one.coverage < _WHOLE
        )

    def years_with_values(self) -> list[int]:
        """The first and last year with stored values, for messages."""
        if self._snapshot is None:
            return []
        low, high = self._snapshot.span()
        if not high:
            return []
        return [from_us(us).astimezone(self.territory.tz).year for us in (low, high - 1)]

    def require_data(self, answers: int) -> None:
        """Raises `RequestError` (`eip.no_data_in_year`) when neither values nor answers are there."""
        if self.has_values or answers:
            return
        ends = self.years_with_values()
        years = f"{ends[0]} - {ends[1]}" if ends else "-"
        raise RequestError("eip.no_data_in_year", year=self.year, years=years)
