# SPDX-License-Identifier: Apache-2.0
"""What running exchanges really do: metered at both ends, reconciled, with what they save, each period and with its proof.

Comes in: a ledger and a territory with `exchanges.csv` and `effects.csv`. Goes out: a `Verified`: amounts that add up, which meter is
suspect, which periods are gaps, savings by effect, money and avoided CO2e in an account of their own, which is never the inventory's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property

import numpy as np

from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.ledger import BatchInfo, Ledger, Snapshot
from mangrove.measure import question
from mangrove.measure.symbiosis import effects, nodes, once, reconciled
from mangrove.measure.symbiosis.meters import Meters, Window, read
from mangrove.measure.symbiosis.nodes import GIVEN, TAKEN
from mangrove.measure.symbiosis.reconciled import Solved
from mangrove.measure.symbiosis.types import (
    DERIVED,
    GAP,
    IDLE,
    ONE_METER,
    RECONCILED,
    EffectSum,
    Figure,
    Property,
    Reading,
    Row,
    Saving,
    total,
)
from mangrove.rules import Rules, load
from mangrove.territory.model import Exchange, Territory
from mangrove.territory.symbiosis import amount_unit
from mangrove.times import Span, Step
from mangrove.units import Quantity, unit

_DAY = Step(seconds=86400)


@dataclass(eq=False)
class Verified:
    """Verified exchanges of a span.

    Attributes:
        territory, span, every: what was asked; gwp: name of the set; cut: last batch of the ledger that counts.
        rows: one for each exchange and period, in the order of declaration; savings: one for each effect, exchange and period.
        uncounted: ids of exchanges that stand in `rows` but in no sum, because another one claims their meter.
        batches: of the values of each exchange; problems: what people should know; record: id of the stored record, or empty.
    """

    territory: Territory
    span: Span
    every: Step
    gwp: str
    cut: int
    rows: tuple[Row, ...]
    savings: tuple[Saving, ...]
    uncounted: frozenset[str]
    batches: dict[str, tuple[BatchInfo, ...]]
    problems: tuple[Problem, ...]
    rules_hash: str = ""
    record: str = ""

    @property
    def exchanges(self) -> tuple[str, ...]:
        """The ids of all exchanges looked at."""
        return tuple(dict.fromkeys(row.exchange for row in self.rows))

    def of(self, exchange: str) -> tuple[Row, ...]:
        """The rows of one exchange."""
        return self._by_exchange.get(exchange, ())

    def amount(self, exchange: str, end: str = TAKEN) -> Figure | None:
        """What was taken (or `given`) in all periods that are no gaps; None when all of them are."""
        return total([one for row in self.of(exchange) if (one := getattr(row, end)) is not None])

    def paid(self, exchange: str) -> Figure | None:
        """What the taker paid the giver by the declared price."""
        return total([row.paid for row in self.of(exchange) if row.paid is not None])

    def gaps(self, exchange: str) -> tuple[datetime, ...]:
        """The starts of the periods in which nothing is known."""
        return tuple(row.start for row in self.of(exchange) if row.status == GAP)

    def avoided(self, exchange: str | None = None) -> Figure | None:
        """Avoided emissions in kg CO2e, of one exchange or of all that count; None when no factor is declared."""
        return total([one.co2e for one in self._counted(exchange) if one.co2e is not None])

    def saved(self, exchange: str | None = None) -> Figure | None:
        """Money saved, of one exchange or of all that count; what the partners pay each other is not in it."""
        return total([one.money for one in self._counted(exchange) if one.money is not None])

    def by_effect(self, year: int, place: str | None = None) -> list[EffectSum]:
        """What was saved in a calendar year by kind, at each place, for the annual forms.

        Args:
            year: on the territory's clock; what lies outside the verified span is not in it.
            place: only there and inside; None for all places.

        Raises:
            RequestError: `measure.unknown_place`.
        """
        if place is not None and place not in self.territory.places:
            hint = did_you_mean(place, self.territory.places)
            raise RequestError("measure.unknown_place", place=place, hint=hint)
        groups: dict[tuple[str, ...], list[Saving]] = {}
        for one in self._counted(None):
            inside = place is None or self.territory.lies_in(one.place, place)
            if inside and one.start.astimezone(self.territory.tz).year == year:
                key = (one.effect, one.code, one.side, one.place, one.unit)
                groups.setdefault(key, []).append(one)
        return [self._sum(key, found, year) for key, found in groups.items()]

    def _sum(self, key: tuple[str, ...], found: Sequence[Saving], year: int) -> EffectSum:
        effect, code, side, place, counted = key
        amount = total([one.amount for one in found]) or Figure(0.0)
        money = total([one.money for one in found if one.money is not None])
        co2e = total([one.co2e for one in found if one.co2e is not None])
        exchanges = tuple(dict.fromkeys(one.exchange for one in found))
        local = self.territory.tz
        missing = tuple(
            f"{name} {start.astimezone(local):%Y-%m-%d}"
            for name in exchanges
            for start in self.gaps(name)
            if start.astimezone(local).year == year
        )
        return EffectSum(
            effect, code, side, place, amount.value, counted,
            money.value if money else None, co2e.value if co2e else None,
            amount.sd, money.sd if money else None, co2e.sd if co2e else None, exchanges,
            tuple(sorted({batch.batch for name in exchanges for batch in self.batches.get(name, ())})),
            tuple(dict.fromkeys(name for one in found for part in one.products for name in part.factors)),
            len({(one.exchange, one.start) for one in found}), missing,
            tuple(f"{one.exchange} {one.start.astimezone(local):%Y-%m-%d}" for one in found if one.lacks),
        )  # fmt: skip

    def _counted(self, exchange: str | None) -> list[Saving]:
        return [
            one
            for one in self.savings
            if (exchange is None and one.exchange not in self.uncounted) or one.exchange == exchange
        ]

    @cached_property
    def _by_exchange(self) -> dict[str, tuple[Row, ...]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.exchange, []).append(row)
        return {name: tuple(rows) for name, rows in found.items()}


def verify(
    ledger: Ledger,
    territory: Territory,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    every: str | Step = "1mo",
    exchanges: Iterable[str] = (),
    gwp: str | None = None,
    allow: Sequence[str] = (),
    as_of: str | date | datetime | None = None,
    rules: Rules | None = None,
    stored: bool = False,
) -> Verified:
    """Verifies the declared running exchanges of a territory.

    Args:
        ledger: open for writing when `stored`.
        territory: declares exchanges, their meters and effects.
        start: a whole period ("2024"), or with `end` the first instant.
        end: first instant that no longer counts.
        every: length of the periods.
        exchanges: ids; all when empty. The others of one whole take part in its balance all the same.
        gwp: GWP set; the territory's own when None.
        allow: statuses or ids of factors besides official ones.
        as_of: use only what was recorded until then.
        rules: the rule book; the shipped one when None.
        stored: keep a record of kind `exchanges` and the reconciled amounts as the run `estimate/exchanges`.

    Raises:
        RequestError: `symbiosis.no_exchanges`, `symbiosis.unknown_exchange`, or what `measure.question.resolve` refuses.
        DeclarationError: parameters of exchanges that make no sense, all of them at once.
    """
    asked = question.resolve(
        territory, start, end, every=every, gwp=gwp, allow=allow, as_of=as_of, accounts=("avoided",)
    )
    chosen = _chosen(territory, exchanges)
    book = rules or load()
    claims = once.claims(territory, chosen)
    groups, notes = nodes.groups(territory, chosen)
    with ledger.snapshot(as_of=asked.as_of) as snapshot:
        solved, weighted, batches = _read(territory, snapshot, chosen, groups, asked)
        cut = snapshot.cut
    form = "%Y-%m" if asked.every and asked.every.months else "%Y-%m-%dT%H:%M"
    local = [f"{start.astimezone(territory.tz):{form}}" for start in weighted.meters.starts]
    notes += [one for group in solved for one in reconciled.problems(group, local)]
    of = {name: group for group in solved for name in group.group.exchanges}
    rows = tuple(row for one in chosen for row in _rows(one, of[one.id], weighted))
    notes += _breaches(rows, territory, dict(zip(weighted.meters.starts, local, strict=True)))
    account = effects.Account(
        territory, book, book.gwp(asked.gwp or ""), asked.span, asked.allow,
        frozenset(claims.uncounted), frozenset(claims.dropped),
    )  # fmt: skip
    counted = {one.id: nodes.unit_of(one, territory) for one in chosen}
    saved, wrong = effects.savings(account, rows, counted)
    wanted = frozenset(exchanges) or frozenset(counted)
    made = Verified(
        territory, asked.span, asked.every or Step(months=1), account.gwp.name, cut,
        tuple(row for row in rows if row.exchange in wanted), tuple(one for one in saved if one.exchange in wanted),
        frozenset(claims.exchanges), batches, tuple(_about([*claims.problems, *notes, *wrong], wanted)), book.content_hash,
    )  # fmt: skip
    if stored:
        from mangrove.measure.symbiosis import store

        made.record = store.write(ledger, made)
    return made


def _chosen(territory: Territory, ids: Iterable[str]) -> list[Exchange]:
    """The exchanges asked for, and all others that are parts of the same wholes."""
    known = territory.exchanges
    if not known:
        raise RequestError("symbiosis.no_exchanges", territory=territory.name)
    for name in ids:
        if name not in known:
            raise RequestError("symbiosis.unknown_exchange", text=name, hint=did_you_mean(name, known))
    wanted = set(ids) or set(known)
    wholes = {nodes.word(known[name], "whole") for name in wanted} - {""}
    return [one for one in known.values() if one.id in wanted or nodes.word(one, "whole") in wholes]


@dataclass(frozen=True, eq=False)
class _Weighted:
    """Amounts by period, and by day for what is weighted with them."""

    meters: Meters
    daily: Meters | None


def _read(
    territory: Territory,
    snapshot: Snapshot,
    chosen: Sequence[Exchange],
    groups: Sequence[nodes.Group],
    asked: question.Question,
) -> tuple[list[Solved], _Weighted, dict[str, tuple[BatchInfo, ...]]]:
    metered = [node.flow for group in groups for node in group.nodes if node.flow]
    windows = [node.window for group in groups for node in group.nodes]
    meters = read(territory, snapshot, metered, span=asked.span, every=asked.every, windows=windows)
    states = {flow for one in chosen for flow in nodes.qualities(one).values()}
    daily = None
    if states:
        ends = [flow for one in chosen if nodes.qualities(one) for flow in (one.sent, one.received) if flow]
        daily = read(territory, snapshot, [*states, *ends], span=asked.span, every=_DAY, windows=windows)
    batches = lineage(snapshot, {one.id: _flows_of(one) for one in chosen}, asked.span)
    return [reconciled.solve(group, meters) for group in groups], _Weighted(meters, daily), batches


def lineage(
    snapshot: Snapshot, groups: Mapping[str, Sequence[str]], span: Span
) -> dict[str, tuple[BatchInfo, ...]]:
    """The batches that the values of each group of flows come from in a span, read at once for all."""
    flows = sorted({flow for group in groups.values() for flow in group})
    infos = {one.batch: one for one in snapshot.lineage(flows, span.start, span.end)}
    ids = snapshot.flow_ids()
    names = {ids[flow]: flow for flow in flows if flow in ids}
    used: dict[str, dict[int, int]] = {}
    if names:
        rows = snapshot.connection.execute(
            "select flow, batch, count(*) from reading where start >= ? and start < ? and flow in "
            f"({', '.join(map(str, names))}) group by flow, batch order by batch",
            [moment.replace(tzinfo=None) for moment in (span.start, span.end)],
        ).fetchall()
        for flow, batch, count in rows:
            used.setdefault(names[flow], {})[batch] = count
    found = {}
    for name, group in groups.items():
        counts: dict[int, int] = {}
        for flow in group:
            for batch, count in used.get(flow, {}).items():
                counts[batch] = counts.get(batch, 0) + count
        found[name] = tuple(replace(infos[batch], used=counts[batch]) for batch in sorted(counts))
    return found


def _flows_of(exchange: Exchange) -> list[str]:
    """Every flow that an exchange rests on."""
    summed = [nodes.word(exchange, name) for name in ("whole", "rest")]
    ends = [exchange.sent, exchange.received, *summed, *nodes.qualities(exchange).values()]
    return [flow for flow in dict.fromkeys(ends) if flow]


def _rows(exchange: Exchange, group: Solved, weighted: _Weighted) -> list[Row]:
    given, taken = (group.group.index(role, exchange.id) for role in (GIVEN, TAKEN))
    counted = group.group.nodes[given].unit
    properties = _properties(exchange, weighted)
    found = []
    for t, (start, end) in enumerate(zip(weighted.meters.starts, weighted.meters.ends, strict=True)):
        status = _status(group, t, given, taken)
        idle = status == IDLE
        arrives = None if idle else group.figure(t, taken)
        tested = bool(group.freedom[t]) and bool(group.tested[t, [given, taken]].any())
        found.append(
            Row(
                exchange.id, start, end, counted.text, status,
                _reading(group, t, given), _reading(group, t, taken),
                None if idle else group.figure(t, given), arrives, _paid(exchange, arrives, counted.text),
                float(group.chi2[t]) if tested else None, int(group.freedom[t]) if tested else 0,
                float(group.p[t]) if tested else None,
                tuple(
                    group.group.nodes[i].flow or group.group.nodes[i].role
                    for i in np.flatnonzero(group.suspects[t])
                    if group.group.nodes[i].exchange in ("", exchange.id)
                ) if tested else (),
                () if idle else properties[t],
            )
        )  # fmt: skip
    return found


def _status(group: Solved, t: int, given: int, taken: int) -> str:
    if not group.running[t, given]:
        return IDLE
    if np.isnan(group.estimate[t, [given, taken]]).any():
        return GAP
    read = ~np.isnan(group.read[t, [given, taken]])
    if read.all() or group.tested[t, [given, taken]].any():
        return RECONCILED
    return ONE_METER if read.any() else DERIVED


def _reading(group: Solved, t: int, i: int) -> Reading | None:
    node = group.group.nodes[i]
    if node.flow is None:
        return None
    value, coverage = float(group.read[t, i]), float(group.coverage[t, i])
    if not group.running[t, i]:
        return Reading(node.flow, None, None)
    return Reading(node.flow, None if np.isnan(value) else value, None if np.isnan(coverage) else coverage)


def _paid(exchange: Exchange, taken: Figure | None, counted: str) -> Figure | None:
    """The declared price times what arrived; None when the price does not fit the unit."""
    price = exchange.price
    if price is None or taken is None or not (price.unit * unit(counted)).converts_to("VND"):
        return None
    return taken.times(price.value * (price.unit * unit(counted)).to("VND"))


def _properties(exchange: Exchange, weighted: _Weighted) -> list[tuple[Property, ...]]:
    """The declared properties by period: daily means, weighted with the amounts of the day."""
    names = nodes.qualities(exchange)
    periods = len(weighted.meters.starts)
    if not names or weighted.daily is None:
        return [()] * periods
    daily = weighted.daily
    which = np.searchsorted(np.array(weighted.meters.starts), np.array(daily.starts), side="right") - 1
    end = exchange.received or exchange.sent or ""
    amount, _ = daily.amount(end, amount_unit(daily.flows[end]), Window())
    found: list[list[Property]] = [[] for _ in range(periods)]
    for name, flow in names.items():
        mean = daily.mean(flow)
        weight = np.where(np.isnan(mean) | ~(amount > 0), 0.0, amount)
        sums = np.bincount(which, weights=weight * np.nan_to_num(mean), minlength=periods)
        weights = np.bincount(which, weights=weight, minlength=periods)
        counted = daily.flows[flow].unit
        low, high = (_limit(exchange, f"{kind}_{name}", counted.text) for kind in ("min", "max"))
        for t in range(periods):
            value = float(sums[t] / weights[t]) if weights[t] > 0 else None
            found[t].append(Property(name, flow, value, counted.text, low, high))
    return [tuple(one) for one in found]


def _limit(exchange: Exchange, name: str, counted: str) -> float | None:
    value = exchange.parameters.get(name)
    return value.to(counted) if isinstance(value, Quantity) else None


def _breaches(rows: Sequence[Row], territory: Territory, local: Mapping[datetime, str]) -> list[Problem]:
    """Properties outside their limits, one problem for each exchange and property."""
    when: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for one in row.properties:
            if one.breached:
                when.setdefault((row.exchange, one.name), []).append(local[row.start])
    return [
        Problem(
            "symbiosis.quality", {"exchange": name, "name": what, "periods": ", ".join(periods)},
            territory.exchanges[name].where, "warning",
        )
        for (name, what), periods in when.items()
    ]  # fmt: skip


def _about(problems: Iterable[Problem], exchanges: frozenset[str]) -> Iterable[Problem]:
    """Problems of the exchanges asked for."""
    for one in problems:
        named = str(one.data.get("exchange") or str(one.data.get("flow", "")).partition(":")[0]).split(", ")
        if not exchanges.isdisjoint(named):
            yield one
