# SPDX-License-Identifier: Apache-2.0
"""What a plan of exchanges is made from besides the declaration: proposed pairs, what already runs, and factors of the counterfactual.

Comes in: an opened territory. Goes out: pairs from the matcher, amounts of running exchanges by listing from their meters, kg CO2e per unit
of what happens without an exchange, and notes about what could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mangrove import messages
from mangrove import rules as rule_book
from mangrove.errors import MangroveError, Problem
from mangrove.ledger.types import COUNTED
from mangrove.messages import LANGUAGES
from mangrove.rules import tables
from mangrove.territory.model import Exchange, Flow, Listing, Territory
from mangrove.text import fold
from mangrove.units import Quantity, Unit, unit

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.matching import Candidates
    from mangrove.plan.symbiosis import Pairs
    from mangrove.rules import Rules

Floats = npt.NDArray[np.float64]
Metered = tuple[Flow, Floats, str, str]
"""A flow, its (12,) amounts from January to December, and the first and last month that they are of."""
_MONTHS = 12
_HOUR = 3600.0
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

    The last twelve months that the ledger knows of an exchange count; `parameters` of the exchange name its offer and its need.

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
    for one in territory.exchanges.values():
        if one.valid_to is not None and one.valid_to <= on:
            continue
        metered = _metered(park, one)
        ends = [(name, metered.get(end)) for name, end in _listings(territory, one)]
        if not metered:
            notes.append(Problem("exchange.running_unread", {"id": one.id}, one.where, "warning"))
            continue
        held = [(listing, *_held(listing, own or next(iter(metered.values())))) for listing, own in ends]
        for listing, months, _, _ in held:
            used[listing.id] = used.get(listing.id, np.zeros(_MONTHS)) + months
        if held:
            listing, months, first, last = held[0]
            data = {
                "id": one.id,
                "amount": round(float(months.sum())),
                "unit": _counted(listing),
                "first": first,
                "last": last,
            }
            data |= {"listings": ", ".join(own.id for own, *_ in held)}
            notes.append(Problem("exchange.running_used", data, one.where, "note"))
    return used, notes


def _held(listing: Listing, metered: Metered) -> tuple[Floats, str, str]:
    """(12,) amounts of a meter in the counted unit of a listing (nothing where they do not convert), and their first and last month."""
    flow, months, first, last = metered
    counted, own = _counted(listing), _amount_unit(flow)
    return (months * own.to(counted) if own.converts_to(counted) else np.zeros(_MONTHS)), first, last


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


def _metered(park: Handle, one: Exchange) -> dict[str, Metered]:
    """By end, the flow with its (12,) amounts of the last twelve months that have values, and the first and last of these months."""
    found = {}
    flows = park.territory.flows
    for end, id_ in (("sent", one.sent), ("received", one.received)):
        if id_ and id_ in flows and (read := _last_year(park, flows[id_])) is not None:
            found[end] = (flows[id_], *read)
    return found


def _last_year(park: Handle, flow: Flow) -> tuple[Floats, str, str] | None:
    """(12,) sums of the twelve local months up to the newest value; None without any."""
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        table = snapshot.values([flow.id], datetime(1970, 1, 1, tzinfo=UTC), datetime.now(UTC))
    good = np.isin(table.column("quality").to_numpy(), [int(one) for one in COUNTED])
    values = table.column("value").to_numpy()[good]
    starts = table.column("start").to_numpy()[good].astype("datetime64[us]")
    if not len(values):
        return None
    local = _local(starts, park.territory).astype("datetime64[M]")
    last = local.max()
    inside = (local > last - _MONTHS) & np.isfinite(values)
    month = local[inside].astype(np.int64) % _MONTHS
    sums: Floats = np.bincount(month, values[inside] * _hours(flow), minlength=_MONTHS).astype(float)
    return sums, str(last - _MONTHS + 1), str(last)


def _local(starts: npt.NDArray[np.datetime64], territory: Territory) -> npt.NDArray[np.datetime64]:
    """Local clock times; a month of values may lie across a change of the clock, an hour of which is nothing here."""
    middle = starts[len(starts) // 2].astype(datetime).replace(tzinfo=UTC)
    offset = middle.astimezone(territory.tz).utcoffset()
    return starts + np.timedelta64(round(offset.total_seconds()) if offset else 0, "s")


def _hours(flow: Flow) -> float:
    """What one value is multiplied with to be an amount: 1, or the hours of its step for a mean rate."""
    if flow.semantics != "mean" or flow.step is None or not flow.step.seconds:
        return 1.0
    return flow.step.seconds / _HOUR


def _amount_unit(flow: Flow) -> Unit:
    """The unit of amounts: the flow's own, or that of a mean rate times an hour."""
    return flow.unit * unit("h") if flow.semantics == "mean" else flow.unit


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
