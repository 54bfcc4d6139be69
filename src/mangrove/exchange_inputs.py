# SPDX-License-Identifier: Apache-2.0
"""What a plan of exchanges is made from besides the declaration: proposed pairs, what already runs, and factors of the counterfactual.

Comes in: an opened territory. Goes out: pairs from the matcher, amounts of running exchanges by listing from their meters, kg CO2e per unit
of what happens without an exchange, and notes about what could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove import messages
from mangrove import rules as rule_book
from mangrove.errors import MangroveError, Problem
from mangrove.messages import LANGUAGES
from mangrove.rules import tables
from mangrove.territory.model import Exchange, Flow, Listing, Territory
from mangrove.territory.symbiosis import amount_unit
from mangrove.text import fold
from mangrove.times import Span, Step
from mangrove.units import Quantity, unit

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Snapshot
    from mangrove.matching import Candidates
    from mangrove.plan.symbiosis import Pairs
    from mangrove.rules import Rules

Floats = npt.NDArray[np.float64]
Months = npt.NDArray[np.datetime64]
Metered = tuple[Flow, Floats, Months]
"""A flow, its (12,) amounts from January to December, and the months that were read."""
_MONTHS = 12
_KNOWN = 24
"""Months up to the newest one that a year is read from: a choice, for older ones say little of today."""
_MONTH = Step(months=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REFUSED = 200
"""Refused pairs that are looked at for those who found nobody."""


def pairs(territory: Territory, radius: float) -> Pairs:
    """Who could give what to whom: the candidates of the matcher, best first.

    Limits on quality are not asked of single offers here: a mix of several may meet them, which the plan decides.
    """
    from mangrove.matching import candidates
    from mangrove.matching.declared import coordinates, trades
    from mangrove.matching.declared import running as memory
    from mangrove.plan.symbiosis import Pairs

    offers = [one for one in territory.offers.values() if one.quantity is not None]
    needs = [one for one in territory.needs.values() if one.quantity is not None]
    industries = trades(territory, (*offers, *needs))
    found = candidates(
        offers, [_mixable(one) for one in needs], where=coordinates(territory), cases=memory(territory, industries),
        radius_km=radius, trades=industries,
    )  # fmt: skip
    ends = [
        (offers[i].id, needs[j].id) for i, j in zip(found.offer.tolist(), found.need.tolist(), strict=True)
    ]
    runs = _extended(territory)
    reasons = tuple(
        {lang: (*_extends(runs.get(end), lang), *found.reasons(a, lang)) for lang in LANGUAGES}
        for a, end in enumerate(ends)
    )
    return Pairs(
        [one.id for one in offers], [one.id for one in needs], np.asarray(found.offer), np.asarray(found.need),
        np.nan_to_num(np.asarray(found.distance_km, dtype=float)), np.asarray(found.score, dtype=float), reasons,
        _refused(found, offers, needs),
    )  # fmt: skip


def _extended(territory: Territory) -> dict[tuple[str, str], str]:
    """Running exchanges by the offer and the need that their parameters name."""
    return {
        (str(one.parameters["offer"]), str(one.parameters["need"])): one.id
        for one in territory.exchanges.values()
        if "offer" in one.parameters and "need" in one.parameters
    }


def _extends(running: str | None, lang: str) -> tuple[str, ...]:
    return () if running is None else (messages.render("exchange.extends", lang, id=running),)


def _refused(
    found: Candidates, offers: Sequence[Listing], needs: Sequence[Listing]
) -> dict[str, Mapping[str, str]]:
    """Of each listing that has no candidate, why its likeliest partner is refused, by language."""
    served = {offers[i].id for i in found.offer.tolist()} | {needs[j].id for j in found.need.tolist()}
    said: dict[str, Mapping[str, str]] = {}
    for english, local in zip(
        found.refused("en", most=_REFUSED), found.refused("vi", most=_REFUSED), strict=True
    ):
        offer, need = offers[english.offer], needs[english.need]
        for own, other in ((offer, need), (need, offer)):
            if own.id in served or own.id in said:
                continue
            texts = (("en", english.reasons), ("vi", local.reasons))
            said[own.id] = {
                lang: f"{other.name or other.id}: {'; '.join(reasons)}" for lang, reasons in texts
            }
    return said


def _mixable(need: Listing) -> Listing:
    """A need without the limits that a mix may meet; those that no mix averages stay."""
    from mangrove.plan.symbiosis import UNMIXED

    return replace(need, quality=tuple(one for one in need.quality if fold(one.name) in UNMIXED))


def running(park: Handle, territory: Territory, on: date) -> tuple[dict[str, Floats], list[Problem]]:
    """(12,) units a month, January first, that running exchanges use of each offer and need, from their meters.

    The last twelve whole months with values count. Where fewer are metered, a month takes the same one of a year before, else the
    mean of those that are: a month that nobody metered yet is no month without use. `parameters` of the exchange name its offer
    and its need.

    Args:
        park: with the ledger.
        territory: with the listings that count, entered ones too.
        on: exchanges that are over by that day use nothing any more.
    """
    used: dict[str, Floats] = {}
    notes: list[Problem] = []
    if not territory.exchanges:
        return used, notes
    if not park.store.is_dir():
        return used, [Problem("exchange.no_ledger", {"count": len(territory.exchanges)}, severity="warning")]
    current = [one for one in territory.exchanges.values() if one.valid_to is None or one.valid_to > on]
    for one, metered in zip(current, _metered(park, current), strict=True):
        if not metered:
            notes.append(Problem("exchange.running_unread", {"id": one.id}, one.where, "warning"))
            continue
        ends = [(listing, metered.get(end)) for listing, end in _listings(territory, one)]
        held = [_held(listing, own or next(iter(metered.values()))) for listing, own in ends]
        for listing, amounts, _ in held:
            used[listing.id] = used.get(listing.id, np.zeros(_MONTHS)) + amounts
        notes += _told(one, held)
    return used, notes


def _told(one: Exchange, held: Sequence[tuple[Listing, Floats, Months]]) -> Iterator[Problem]:
    """What a running exchange uses, and of which months that was read; one note where both ends are metered in the same months."""
    by_months: dict[str, list[tuple[Listing, Floats, Months]]] = {}
    for listing, amounts, months in held:
        by_months.setdefault(_written(months), []).append((listing, amounts, months))
    for written, same in by_months.items():
        listing, amounts, months = same[0]
        data: dict[str, Any] = {
            "id": one.id,
            "amount": round(float(amounts.sum())),
            "unit": _counted(listing),
        }
        data |= {"months": written, "listings": ", ".join(own.id for own, *_ in same)}
        code, lacking = "exchange.running_used", _MONTHS - len(months)
        if lacking:
            code, data = "exchange.running_partly", {**data, "count": lacking}
        yield Problem(code, data, one.where, "note")


def _written(months: Months) -> str:
    """Months in order, those without a gap between them as one.

    Example:
        >>> _written(np.array(["2023-11", "2024-01", "2024-02", "2024-03"], dtype="datetime64[M]"))
        '2023-11, 2024-01–2024-03'
    """
    parts = np.split(months, np.flatnonzero(np.diff(months).astype(int) > 1) + 1)
    return ", ".join(f"{part[0]}–{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def _held(listing: Listing, metered: Metered) -> tuple[Listing, Floats, Months]:
    """A listing with the (12,) amounts of a meter in its counted unit (nothing where they do not convert), and the months read."""
    flow, amounts, months = metered
    counted, own = _counted(listing), amount_unit(flow)
    return listing, (amounts * own.to(counted) if own.converts_to(counted) else np.zeros(_MONTHS)), months


def _counted(listing: Listing) -> str:
    from mangrove.plan.symbiosis.amounts import counted

    assert listing.quantity is not None
    return counted(listing.quantity.unit)


def _listings(territory: Territory, one: Exchange) -> Iterator[tuple[Listing, str]]:
    """The offer and the need of a running exchange with the end that meters each: named by its parameters, else the only ones that fit."""
    for word, listings, place, end in (
        ("offer", territory.offers, one.place, "sent"),
        ("need", territory.needs, one.to_place, "received"),
    ):
        named = one.parameters.get(word)
        fitting = [
            own for own in listings.values()
            if own.place == place and own.quantity is not None and (own.carrier == one.carrier or _shares_code(own, one))
        ]  # fmt: skip
        if isinstance(named, str) and named in listings and listings[named].quantity is not None:
            yield listings[named], end
        elif named is None and len(fitting) == 1:
            yield fitting[0], end


def _shares_code(own: Listing, one: Exchange) -> bool:
    return any(set(own.codes.get(scheme, ())) & set(codes) for scheme, codes in one.codes.items())


def _metered(park: Handle, exchanges: Sequence[Exchange]) -> list[dict[str, Metered]]:
    """Of each exchange, by metered end, the flow with its amounts of a year and the months that they were read of."""
    territory = park.territory
    flows = {
        id_: territory.flows[id_]
        for one in exchanges
        for id_ in (one.sent, one.received)
        if id_ and id_ in territory.flows and _has_amounts(territory.flows[id_])
    }
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        read = _by_month(territory, snapshot, flows)
    found = []
    for one in exchanges:
        ends = ((end, id_ or "") for end, id_ in (("sent", one.sent), ("received", one.received)))
        years = {end: (flows[id_], *_year(*read[id_], one.valid_from)) for end, id_ in ends if id_ in read}
        found.append({end: made for end, made in years.items() if len(made[2])})
    return found


def _has_amounts(flow: Flow) -> bool:
    """Whether values of a flow make amounts: a state makes none, and neither does a mean of nobody knows how long."""
    return flow.semantics != "state" and not (flow.semantics == "mean" and flow.step is None)


def _by_month(
    territory: Territory, snapshot: Snapshot, flows: Mapping[str, Flow]
) -> dict[str, tuple[Floats, Months]]:
    """(M,) amounts of each flow in the whole months that its values stand for, oldest first, and these months, by the local clock.

    A month that values do not fill (the running one, or one with gaps) is not known, and readings below zero do not count.
    """
    from mangrove.measure.symbiosis.meters import Window, read

    low, high = snapshot.span()
    if not flows or low >= high:
        return {}
    latest = min(_EPOCH + timedelta(microseconds=high - 1), datetime.now(UTC))
    first, last = (_MONTH.floor(one, territory.tz) for one in (_EPOCH + timedelta(microseconds=low), latest))
    if first > last:
        return {}
    span = Span(first, _MONTH.after(last, territory.tz))
    meters = read(territory, snapshot, flows, span=span, every=_MONTH)
    months = np.array(
        [f"{one.astimezone(territory.tz):%Y-%m}" for one in meters.starts], dtype="datetime64[M]"
    )
    found = {}
    for id_, flow in flows.items():
        amounts, _ = meters.amount(id_, amount_unit(flow), Window())
        whole = np.isfinite(amounts) & (np.nan_to_num(amounts) >= 0)
        if flow.step is None and whole.any() and _is_frequent(snapshot, id_, span, territory):
            whole[np.flatnonzero(whole)[-1]] = False
        found[id_] = amounts[whole], months[whole]
    return found


def _is_frequent(snapshot: Snapshot, flow: str, span: Span, territory: Territory) -> bool:
    """Whether a flow that states no step has several values in a month, so that its last month may still run."""
    starts = snapshot.values([flow], span.start, span.end).column("start").to_pylist()
    months = [f"{one.astimezone(territory.tz):%Y-%m}" for one in starts]
    return len(set(months)) < len(months)


def _year(amounts: Floats, months: Months, since: date | None) -> tuple[Floats, Months]:
    """(12,) amounts of a year, January first, from those of whole months (oldest first), and the months that were read.

    Args:
        amounts: (M,) of `months`.
        months: (M,) oldest first; none is without values.
        since: months that begin before this day do not count: the exchange did not run in all of them.
    """
    kept = months >= np.datetime64(since, "D") if since else np.ones(len(months), dtype=bool)
    amounts, months = amounts[kept], months[kept]
    if not len(months):
        return np.zeros(_MONTHS), months
    near = months > months[-1] - _KNOWN
    amounts, months = amounts[near], months[near]
    year, read = np.full(_MONTHS, np.nan), np.full(_MONTHS, np.datetime64("NaT"), dtype="datetime64[M]")
    of_year = months.astype(np.int64) % _MONTHS
    year[of_year], read[of_year] = amounts, months  # of the same month twice, the later one stays
    known = np.isfinite(year)
    return np.where(known, year, year[known].mean()), np.sort(read[known])


def factors(territory: Territory, on: date) -> tuple[dict[str, float | None], list[Problem]]:
    """Kg CO2e per counted unit of what happens without an exchange, by listing; None where nothing is stated or no factor fits.

    `otherwise` of a listing names the activity, `otherwise_amount` how much of it stands for one unit (`4.2 MJ/kWh`).
    """
    book = rule_book.load()
    found: dict[str, float | None] = {}
    notes: list[Problem] = []
    stated = [
        one
        for side in (territory.offers, territory.needs)
        for one in side.values()
        if one.otherwise and one.quantity is not None
    ]
    if stated and territory.gwp is None:
        return {}, [Problem("exchange.no_gwp", {}, severity="warning")]
    for one in stated:
        try:
            found[one.id] = _per_unit(book, territory, one, on)
        except MangroveError as error:
            data = {"id": one.id, "activity": one.otherwise, "unit": _counted(one), "why": error.text()}
            notes.append(Problem("exchange.no_factor", data, one.where, "warning"))
    return found, notes


def _per_unit(book: Rules, territory: Territory, one: Listing, on: date) -> float:
    """Kg CO2e of one counted unit.

    Raises:
        RuleError: no factor holds on the day, or its unit does not follow from the listing's.
    """
    amount = one.parameters.get("otherwise_amount")
    per = amount if isinstance(amount, Quantity) else Quantity(1.0, unit("1"))
    counted = unit(_counted(one))
    return activity(book, territory, one.otherwise, on, Quantity(per.value, per.unit * counted))


def activity(book: Rules, territory: Territory, key: str, on: date, amount: Quantity) -> float:
    """Kg CO2e of an amount of an activity; biogenic CO2 counts as nothing."""
    assert territory.gwp is not None
    gwp, total = book.gwp(territory.gwp), 0.0
    fuel = tables.fuels().get(key.rsplit("/", 1)[-1])
    for gas in book.gases(key, local=territory.factors) or ("CO2",):
        chosen = book.select(key, gas, on, local=territory.factors).chosen
        if gas == "CO2" and fuel is not None and fuel.biogenic and key.startswith("combustion/"):
            continue
        mass = unit(chosen.unit) * amount.unit
        total += chosen.value * amount.value * mass.to("kg") * gwp.value(gas).value
    return total
