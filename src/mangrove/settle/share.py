# SPDX-License-Identifier: Apache-2.0
"""The verb: what the sites of a park owe each other for a period, from what their meters said.

Comes in: a territory, a snapshot of its ledger, a period, rules. Goes out: a `Sharing`: shares under every rule, the coalition that
objects most to each, who delivered to whom, a statement for each member, and a record in the ledger from which all of it
can be computed again.

Settling looks back: what a battery did stands in its site's meter, so what is left to decide is who gave to whom. That has
a formula (see `pool.py`), and a month of a park is held against all coalitions without a solver. Planning ahead, with
batteries still to be scheduled, is `mangrove.settle.community` and `settlement.settle`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from mangrove import messages
from mangrove.errors import DataQualityError, RequestError, did_you_mean
from mangrove.ledger import Ledger, Snapshot
from mangrove.settle import meters
from mangrove.settle.community import Community
from mangrove.settle.game import Floats
from mangrove.settle.meters import ContractOf, Measured
from mangrove.settle.pool import ratio
from mangrove.settle.programs import demand_shares
from mangrove.settle.rounding import minor_unit
from mangrove.settle.settlement import RULES, Settlement, settle
from mangrove.settle.statement import Statement, statements
from mangrove.territory.model import Territory
from mangrove.times import Span

KIND = "sharing"
"""Kind of the records in the ledger."""
_TOLERANCE = 1e-9


@dataclass(eq=False)
class Sharing:
    """The settlement of a period.

    Attributes:
        territory: name; territory_hash: of its declaration; currency; span: the period; timezone.
        rule: by which members pay; names: of the members, by id.
        settlement: shares and objections under every rule, without each member's own demand charges.
        own: (n,) money, demand charges of each member's own meter (nothing with one meter for the park).
        matrix: (n, n) kWh from the row's member to the column's, each step's pool divided in proportion.
        statements: one a member, in whole đồng.
        unmetered: assets behind sites without a meter of their own whose doings are not known and count as nothing.
        netted: kWh that went in and out of the same site within one step and were settled as the difference.
        step: by which all meters are settled; slowest: a flow that is read no more often, where others are; else empty.
        sources: of the prices, with their status; cut: the last batch of the ledger that counted; record: id, once stored.
    """

    territory: str
    territory_hash: str
    currency: str
    timezone: str
    span: Span
    rule: str
    names: dict[str, str]
    settlement: Settlement
    own: Floats
    matrix: Floats
    statements: tuple[Statement, ...]
    netted: float
    sources: tuple[tuple[str, str], ...]
    cut: int
    asked: dict[str, Any] = field(default_factory=dict)
    unmetered: tuple[str, ...] = ()
    step: str = ""
    slowest: str = ""
    record: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        """Ids of the members."""
        return self.settlement.community.members

    @property
    def cost(self) -> float:
        """What all members pay, their own demand charges included."""
        return self.settlement.cost + float(self.own.sum())

    def text(self, lang: str = "en") -> str:
        """What each member pays, and every rule with the group that would gain most by leaving, as lines for a terminal."""
        first = self.statements[0]
        rows = []
        for one in self.statements:
            amounts = (one.alone, one.total, one.saving)
            rows.append((one.name, *(one.money(amount, lang) for amount in amounts)))
        sums = (sum(getattr(one, name) for one in self.statements) for name in ("alone", "total", "saving"))
        rows.append((_say("page_all", lang), *(first.money(amount, lang) for amount in sums)))
        head = (
            _say("page_member", lang),
            *(_say(f"col_{name}", lang) for name in ("alone", "total", "saving")),
        )
        lines = [f"{row[0]:<40}" + "".join(f"{cell:>22}" for cell in row[1:]) for row in (head, *rows)]
        for rule, found in self.settlement.objections.items():
            who = (
                ", ".join(self.names[name] for name in found.coalition)
                if found.objects
                else _say("page_none", lang)
            )
            gain = f" ({first.money(round(found.excess / first.unit), lang)})" if found.objects else ""
            lines.append(f"{_say(f'rule_{rule}', lang):<40}  {_say('page_worst', lang)}: {who}{gain}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The sharing as plain JSON data; money exact under `shares`, whole under `statements`."""
        found = self.settlement
        return {
            "mangrove": version("mangrove"),
            "territory": {"name": self.territory, "hash": self.territory_hash},
            "start": self.span.start.isoformat(),
            "end": self.span.end.isoformat(),
            "currency": self.currency,
            "asked": self.asked,
            "cut": self.cut,
            "members": list(self.members),
            "cost": self.cost,
            "alone": (found.alone + self.own).tolist(),
            "marginal": (found.marginal + self.own).tolist(),
            "shares": {rule: (made.shares + self.own).tolist() for rule, made in found.allocations.items()},
            "found": {rule: made.found.text() for rule, made in found.allocations.items()},
            "objections": {
                rule: {"coalition": list(one.coalition), "excess": one.excess, "objects": one.objects,
                       "found": one.found.text()}
                for rule, one in found.objections.items()
            },
            "netted": self.netted,
            "unmetered": list(self.unmetered),
            "step": self.step,
            "slowest": self.slowest,
            "matrix": self.matrix.tolist(),
            "statements": [one.to_dict() for one in self.statements],
            "sources": [list(source) for source in self.sources],
        }  # fmt: skip


def share(
    territory: Territory,
    snapshot: Snapshot,
    span: Span,
    *,
    rule: str = "duals",
    rules: Sequence[str] = RULES,
    contract_of: ContractOf | None = None,
    seed: int = 0,
) -> Sharing:
    """Settles what the sites of `territory` shared over `span`.

    Args:
        territory: with `grid` assets that name their meters, contracts under `tariffs`, and `links.csv` for wires and the fee.
        snapshot: of its ledger.
        span: the period: a month, a week.
        rule: by which members pay; the others are shown beside it.
        rules: some of `settlement.RULES`; `rule` always counts.
        contract_of: the contract of a place; by default the declared one on the first day.
        seed: of sampled rules, beyond 12 (Shapley) and 16 (objections) members.

    Raises:
        RequestError: `settle.unknown_rule`, and what `meters.read` says about the declaration.
        DataQualityError: `settle.gap`: a meter has no value for some step.
    """
    if rule not in RULES:
        raise RequestError(
            "settle.unknown_rule", word=rule, options=", ".join(RULES), hint=did_you_mean(rule, RULES)
        )
    measured = meters.read(territory, snapshot, span, contract_of)
    community = community_of(measured)
    wanted = tuple(dict.fromkeys((rule, *rules)))
    settlement = settle(community, wanted, seed=seed)
    own = _own_demand(measured)
    names = dict(meters.names(territory, community.members))
    allocations = settlement.allocations
    return Sharing(
        territory.name, territory.content_hash, territory.currency, territory.timezone, span, rule, names, settlement, own,
        _matrix(settlement),
        statements(
            community.members, names, _lines(settlement, own, rule), rule=rule,
            shares={name: made.shares + own for name, made in allocations.items()}, alone=settlement.alone + own,
            matrix=_matrix(settlement), currency=territory.currency, unit=minor_unit(territory.currency),
        ),
        float(np.minimum(measured.taken, measured.given).sum()), _sources(measured), snapshot.cut,
        {"rule": rule, "rules": list(rules), "seed": seed}, measured.unmetered, str(measured.step), measured.slowest,
    )  # fmt: skip


def _say(code: str, lang: str) -> str:
    return messages.render(f"settle.{code}", lang)


def store(sharing: Sharing, ledger: Ledger) -> str:
    """Keeps the sharing as an immutable record of the ledger and returns its id."""
    document = json.dumps(sharing.to_dict(), ensure_ascii=False, sort_keys=True).encode()
    sharing.record = ledger.put_record(KIND, document)
    return sharing.record


def replay(
    territory: Territory, ledger: Ledger, record: str, *, contract_of: ContractOf | None = None
) -> Sharing:
    """Computes a stored sharing again from the ledger as it was, and checks every share.

    Raises:
        RequestError: `settle.not_a_record`, `settle.declaration_changed`.
        DataQualityError: `settle.replay_differs`.
    """
    kind, document, _ = ledger.record(record)
    if kind != KIND:
        raise RequestError("settle.not_a_record", id=record)
    then = json.loads(document)
    if then["territory"]["hash"] != territory.content_hash:
        raise RequestError("settle.declaration_changed", id=record[:12])
    span = Span(datetime.fromisoformat(then["start"]), datetime.fromisoformat(then["end"]))
    with ledger.snapshot(cut=then["cut"]) as snapshot:
        now = share(territory, snapshot, span, contract_of=contract_of, **then["asked"])
    again = now.to_dict()
    for rule, shares in then["shares"].items():
        close = np.isclose(shares, again["shares"].get(rule, np.nan), rtol=_TOLERANCE, atol=1e-6)
        if not close.all():
            member = then["members"][int(np.argmin(close))]
            raise DataQualityError("settle.replay_differs", id=record[:12], rule=rule, member=member)
    now.record = record
    return now


def community_of(measured: Measured) -> Community:
    """The community whose loads and suns are what the meters saw go in and out, net in every step.

    With one meter for the park its contract's demand charge is for the common peak; with own meters each pays its own
    (`Sharing.own`), because sharing over the wires does not change what its grid meter saw.

    Raises:
        RequestError: `settle.two_export_prices`, `settle.demand_changes`.
    """
    terms, hours = measured.terms, measured.hours
    net = (measured.taken - measured.given) / hours
    buys = np.array([one.buy for one in terms])
    sells = {i for i, given in enumerate(measured.given) if given.any()}
    chosen = [terms[0]] if len(terms) == 1 else [terms[i] for i in sorted(sells)] or [terms[0]]
    if any((one.sell != chosen[0].sell).any() for one in chosen):
        raise RequestError("settle.two_export_prices")
    park = measured.sites.park is not None
    same = (buys == buys[0]).all()
    month = terms[0].month - terms[0].month.min()
    return Community(
        measured.sites.places,
        np.maximum(net, 0.0),
        np.maximum(-net, 0.0),
        buys[0] if same else buys,
        chosen[0].sell,
        hours,
        wire=None if park else measured.wire,
        fee=measured.fee,
        meter="park" if park else "own",
        demand=_demand_price(terms[0].demand) if park else 0.0,
        group=month,
        window=_window(measured, terms[0].window),
    )


def _demand_price(price: float | Floats) -> float:
    if np.ndim(price) and len(np.unique(price)) > 1:
        raise RequestError("settle.demand_changes")
    return float(np.max(price))


def _window(measured: Measured, hours: float) -> int:
    """Steps that a demand meter averages."""
    return int(min(max(round(hours / measured.hours), 1), measured.taken.shape[1]))


def _own_demand(measured: Measured) -> Floats:
    """(n,) money: the demand charges of own meters, month by month."""
    own = np.zeros(len(measured.sites.places))
    if measured.sites.park is not None:
        return own
    for i, terms in enumerate(measured.terms):
        months = np.unique(terms.month)
        rates = np.broadcast_to(np.asarray(terms.demand, dtype=float), (int(months.max()) + 1,))[months]
        if rates.any():
            one = Community(
                ("one",), measured.taken[i : i + 1] / measured.hours, np.zeros((1, measured.taken.shape[1])),
                terms.buy, np.zeros_like(terms.buy), measured.hours, group=terms.month, window=_window(measured, terms.window),
            )  # fmt: skip
            own[i] = float(one.peaks(one.load[0]) @ rates)
    return own


def _matrix(settlement: Settlement) -> Floats:
    """(n, n) kWh from the row's member to the column's."""
    pool = settlement.pool
    matrix: Floats = (pool.given * ratio(np.ones_like(pool.shared), pool.shared)) @ pool.received.T
    return matrix


def _lines(settlement: Settlement, own: Floats, rule: str) -> dict[str, tuple[Floats | None, Floats]]:
    """Lines whose sums are the shares under `rule`: (n,) kWh or None, and (n,) money.

    What is received is paid at the rule's price; a rule without prices uses the middle of retail and export price, and what it
    adds or takes beyond that stands in the line `balance`.
    """
    community, pool = settlement.community, settlement.pool
    allocation = settlement.allocations[rule]
    received, given, hours = pool.received, pool.given, community.hours
    price = (pool.prices + pool.sell) / 2 if allocation.price is None else allocation.price
    paid = received * price
    bought = _rest(community.load * hours, received)
    sold = _rest(community.generation * hours, given)
    earned = (given * ratio(paid.sum(axis=0), given.sum(axis=0))).sum(axis=1)
    demand = demand_shares(community, pool) if community.demand else np.zeros(len(own))
    lines: dict[str, tuple[Floats | None, Floats]] = {
        "bought": (bought.sum(axis=1), (bought * pool.prices).sum(axis=1)),
        "sold": (sold.sum(axis=1), -(sold @ pool.sell)),
        "received": (received.sum(axis=1), paid.sum(axis=1)),
        "given": (given.sum(axis=1), -earned),
        "fee": (None, pool.fee * received.sum(axis=1)),
        "demand": (None, demand + own),
    }
    rest = allocation.shares + own - sum(money for _, money in lines.values())
    lines["balance"] = (None, rest)
    return lines


def _rest(whole: Floats, part: Floats) -> Floats:
    """What is left of each amount, without the dust of subtraction."""
    left: Floats = whole - part
    left[np.abs(left) <= _TOLERANCE * whole] = 0.0
    return left


def _sources(measured: Measured) -> tuple[tuple[str, str], ...]:
    """Where prices come from: (document, status), each once."""
    found = [(str(basis.document), str(basis.status)) for terms in measured.terms for basis in terms.sources]
    return tuple(dict.fromkeys(found))
