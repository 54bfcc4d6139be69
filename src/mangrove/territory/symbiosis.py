# SPDX-License-Identifier: Apache-2.0
"""Offers, needs, running exchanges, what they save, and answers to indicators: from parsed tables to frozen nouns.

Comes in: `offers.csv`, `needs.csv`, `exchanges.csv`, `effects.csv`, `answers.csv` and the flows. Goes out: the nouns, and problems:
a quantity that is missing or that cannot count the carrier, a limit where a property belongs, a code that no classification has, a meter
that is not declared, an effect whose unit does not follow from the exchange.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from mangrove.errors import Problem, did_you_mean
from mangrove.rules import classifications
from mangrove.territory.model import Answer, Effect, Exchange, Flow, Listing, Place
from mangrove.territory.places import duplicates
from mangrove.territory.tables import Parsed
from mangrove.units import Unit, unit

_LISTING = (
    "place", "carrier", "name", "text", "codes", "quantity", "quality", "price", "otherwise", "otherwise_cost", "hazardous",
    "permits", "radius", "valid_from", "valid_to", "parameters", "basis", "note",
)  # fmt: skip
_EXCHANGE = (
    "id", "place", "to_place", "carrier", "name", "kind", "codes", "sent", "received", "price", "valid_from", "valid_to",
    "parameters", "basis", "note",
)  # fmt: skip
_EFFECT = ("exchange", "effect", "amount", "side", "factor", "price", "uncertainty", "basis", "note")
_ANSWER = ("indicator", "year", "value", "place", "evidence", "note")
SERVICE = "service"
_AMOUNTS = ("t", "m3", "kWh", "Nm3", "item", "vehicle_km")
_WASTE = "waste"
_MOST = 1e15
"""A choice: the best plan is still found with numbers as large, and no longer with 1e20."""
_SUBCHAPTER = 4
"""Digits of a sub-chapter of the list of wastes: no permit is for a whole chapter."""
Found: TypeAlias = tuple[
    dict[str, Listing], dict[str, Listing], dict[str, Exchange], list[Effect], list[Answer]
]


def build(parsed: Mapping[str, Parsed], flows: Mapping[str, Flow]) -> tuple[Found, list[Problem]]:
    """The nouns of all five tables and what is wrong with them."""
    offers, needs, exchanges, effects, answers = (
        parsed[f"{name}.csv"] for name in ("offers", "needs", "exchanges", "effects", "answers")
    )
    problems = [problem for table in (offers, needs, exchanges) for problem in duplicates(table, "id")]
    problems += _given_twice(offers, needs)
    running = {one.id: one for one in map(Exchange, *exchanges.fields(_EXCHANGE)) if one.id}
    problems += [*_listing_problems(offers, ("=",)), *_listing_problems(needs, ("<=", ">="))]
    problems += [*_exchange_problems(exchanges, flows), *_effect_problems(effects, running, flows)]
    problems += _answer_problems(answers)
    problems += [problem for table in (offers, needs, exchanges) for problem in _code_problems(table)]
    problems += _permit_problems(needs)
    found = (
        _listings(offers, "offer"), _listings(needs, "need"), running,
        list(map(Effect, *effects.fields(_EFFECT))), list(map(Answer, *answers.fields(_ANSWER))),
    )  # fmt: skip
    return found, problems


def _listings(parsed: Parsed, side: str) -> dict[str, Listing]:
    columns = parsed.fields(_LISTING)
    rows = zip(parsed.values["id"], zip(*columns, strict=True), strict=True)
    return {id_: Listing(id_, side, *row) for id_, row in rows if id_}


def _given_twice(offers: Parsed, needs: Parsed) -> Iterator[Problem]:
    """A need with the id of an offer: the words of a match could mean either."""
    first = {id_: row for row, id_ in enumerate(offers.values["id"]) if id_}
    for row, id_ in enumerate(needs.values["id"]):
        if id_ in first:
            data = {"id": id_, "first": str(offers.where(first[id_], "id"))}
            yield Problem("territory.duplicate_id", data, needs.where(row, "id"))


def _listing_problems(parsed: Parsed, senses: tuple[str, ...]) -> Iterator[Problem]:
    values, written = parsed.values, parsed.table.column("quantity")
    for row, (carrier, quantity) in enumerate(zip(values["carrier"], values["quantity"], strict=True)):
        if carrier is None:
            continue
        if quantity is None and carrier.kind != SERVICE and not (written and written[row]):
            yield Problem("territory.no_quantity", {"carrier": str(carrier)}, parsed.where(row, "quantity"))
        yield from _beyond(parsed, row)
        for one in values["quality"][row] or ():
            if one.sense not in senses:
                data = {"name": one.name, "sense": one.sense, "senses": " ".join(senses)}
                yield Problem("territory.quality_sense", data, parsed.where(row, "quality"))
        for column in ("price", "otherwise_cost"):
            price = values[column][row]
            if price is not None and quantity is not None and not _pays_for(price.unit, quantity.unit):
                data = {"price": price.unit.text, "quantity": quantity.unit.text}
                yield Problem("territory.price_unit", data, parsed.where(row, column))


def _beyond(parsed: Parsed, row: int) -> Iterator[Problem]:
    """Numbers beyond all measure: a single one would take the plan of a whole park away, for no solver bears it."""
    values = parsed.values
    quantity, price, otherwise = (values[name][row] for name in ("quantity", "price", "otherwise_cost"))
    said = {
        "quantity": quantity.values if quantity is not None else (),
        "quality": tuple(one.value.value for one in values["quality"][row] or ()),
        "price": (price.value,) if price is not None else (),
        "otherwise_cost": (otherwise.value,) if otherwise is not None else (),
    }
    for column, numbers in said.items():
        for number in numbers:
            if abs(number) > _MOST:
                data = {"text": f"{number:g}", "most": f"{_MOST:g}"}
                yield Problem("territory.beyond", data, parsed.where(row, column))


def _code_problems(parsed: Parsed) -> Iterator[Problem]:
    """Codes that no classification has, in the column of codes and in carriers such as `waste:100202`; words (`waste:paper`) stay free."""
    for row, (listed, carrier) in enumerate(
        zip(parsed.values["codes"], parsed.values["carrier"], strict=True)
    ):
        for scheme, found in (listed or {}).items():
            yield from (
                _unknown(parsed, row, "codes", scheme, code) for code in found if _missing(scheme, code)
            )
        coded = carrier is not None and carrier.kind == _WASTE and carrier.code[:1].isdigit()
        if coded and _missing(classifications.EWC, carrier.code):
            yield _unknown(parsed, row, "carrier", classifications.EWC, carrier.code)


def _permit_problems(needs: Parsed) -> Iterator[Problem]:
    """Permitted wastes with which no code of the list begins, and fragments: `10 02 02` would permit three whole chapters."""
    for row, permits in enumerate(needs.values["permits"]):
        for text in permits or ():
            if len(text) < _SUBCHAPTER:
                yield Problem("territory.short_permit", {"text": text}, needs.where(row, "permits"))
            elif not classifications.beginning(classifications.EWC, text):
                yield _unknown(needs, row, "permits", classifications.EWC, text)


def _missing(scheme: str, code: str) -> bool:
    return not classifications.exists(scheme, code)


def _unknown(parsed: Parsed, row: int, column: str, scheme: str, code: str) -> Problem:
    data = {"scheme": scheme, "text": code, "hint": classifications.near(scheme, code)}
    return Problem("territory.unknown_code", data, parsed.where(row, column))


def _pays_for(price: Unit, rate: Unit) -> bool:
    """Whether price x rate is money per time."""
    return (price * rate).converts_to("VND/yr")


def _exchange_problems(parsed: Parsed, flows: Mapping[str, Flow]) -> Iterator[Problem]:
    values = parsed.values
    for row in range(parsed.table.rows):
        ends = {column: values[column][row] for column in ("sent", "received")}
        for column, flow in ends.items():
            if flow and flow not in flows:
                data = {"text": flow, "hint": did_you_mean(flow, flows)}
                yield Problem("territory.no_flow", data, parsed.where(row, column))
        if not any(ends.values()):
            yield Problem("territory.no_meter", {"id": values["id"][row] or ""}, parsed.where(row, "sent"))
        metered = [flows[flow] for flow in ends.values() if flow in flows]
        counted = [amount_unit(flow) for flow in metered]
        if len(counted) > 1 and not counted[0].converts_to(counted[1]):
            data = {"text": counted[1].text, "target": counted[0].text}
            yield Problem("territory.point_unit", data, parsed.where(row, "received"))
        if values["place"][row] and values["place"][row] == values["to_place"][row]:
            data = {"text": values["place"][row]}
            yield Problem("territory.same_place", data, parsed.where(row, "to_place"))


def metered_unit(exchange: Exchange, flows: Mapping[str, Flow]) -> Unit | None:
    """The unit of the amounts of an exchange: of the sent flow, else of the received one; None when neither is declared."""
    for id_ in (exchange.sent, exchange.received):
        flow = flows.get(id_ or "")
        if flow is not None and flow.unit is not None:
            return amount_unit(flow)
    return None


def amount_unit(flow: Flow) -> Unit:
    """The unit of what a flow amounts to: `kWh` of `kW`, `m3` of `m3/h`; the flow's own for sums and counters.

    Example:
        >>> from mangrove.territory.model import Carrier
        >>> amount_unit(Flow("f", "p", Carrier("water"), unit("m3/h"), semantics="mean")).text
        'm3'
    """
    if flow.semantics not in ("mean", "state"):
        return flow.unit
    made = flow.unit * unit("h")
    return next((unit(name) for name in _AMOUNTS if made.converts_to(name)), made)


def _effect_problems(
    parsed: Parsed, exchanges: Mapping[str, Exchange], flows: Mapping[str, Flow]
) -> Iterator[Problem]:
    values = parsed.values
    for row, (exchange, amount, price) in enumerate(
        zip(values["exchange"], values["amount"], values["price"], strict=True)
    ):
        if exchange and exchange not in exchanges:
            data = {"text": exchange, "hint": did_you_mean(exchange, exchanges)}
            yield Problem("territory.no_exchange", data, parsed.where(row, "exchange"))
        counted = metered_unit(exchanges[exchange], flows) if exchange in exchanges else None
        if price is None or counted is None or amount is None:
            continue
        if not (price.unit * amount.unit * counted).converts_to("VND"):
            data = {"price": price.unit.text, "quantity": f"{amount.unit.text} x {counted.text}"}
            yield Problem("territory.price_unit", data, parsed.where(row, "price"))


def outlived(parsed: Mapping[str, Parsed], places: Mapping[str, Place]) -> Iterator[Problem]:
    """Offers, needs and exchanges that would go on after one of their places has ended."""
    for file, columns in (
        ("offers.csv", ("place",)), ("needs.csv", ("place",)), ("exchanges.csv", ("place", "to_place")),
    ):  # fmt: skip
        table = parsed[file]
        for column in columns:
            for row, (id_, last) in enumerate(
                zip(table.values[column], table.values["valid_to"], strict=True)
            ):
                ends = places[id_].valid_to if id_ in places else None
                if ends is not None and (last is None or last > ends):
                    yield Problem(
                        "territory.place_ended", {"place": id_, "end": ends}, table.where(row, column)
                    )


def _answer_problems(parsed: Parsed) -> Iterator[Problem]:
    """The same question answered twice for one place and year."""
    seen: dict[tuple[Any, ...], int] = {}
    keys = zip(*(parsed.values[name] for name in ("indicator", "place", "year")), strict=True)
    for row, key in enumerate(keys):
        if key[0] and key in seen:
            data = {"id": str(key[0]), "first": str(parsed.where(seen[key], "indicator"))}
            yield Problem("territory.duplicate_id", data, parsed.where(row, "indicator"))
        seen.setdefault(key, row)
