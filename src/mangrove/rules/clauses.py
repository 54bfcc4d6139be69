# SPDX-License-Identifier: Apache-2.0
"""What a contract for electricity must say and may say, by its kind.

Comes in: the words and numbers of one contract, as declared or as given by hand. Goes out: every problem, with the key that has
it. The declaration of a territory and the contracts themselves ask here, so that both refuse the same things.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mangrove.errors import did_you_mean
from mangrove.rules import tariffs

LAW = "law"
"""The word for "what the dated rules say", for hours, the export price and the export cap."""
HOURS = (LAW, "legacy", "963")
NEEDS: Mapping[str, tuple[str, ...]] = {
    "tou": ("customer", "voltage"),
    "two_component": ("voltage",),
    "flat": ("price",),
    "residential": (),
    "ev_charging": ("voltage",),
    "dppa": ("customer", "voltage", "share"),
}
"""The kinds of contract, each with what it cannot do without."""
_MAY: Mapping[str, tuple[str, ...]] = {
    "tou": (),
    "two_component": ("customer",),
    "flat": ("demand",),
    "residential": ("customer", "monthly_use"),
    "ev_charging": ("customer",),
    "dppa": ("strike", "price", "fmp", "cfmp", "kpp"),
}
_OF_ONE_KIND = (
    "customer", "voltage", "price", "demand", "strike", "share", "fmp", "cfmp", "kpp", "monthly_use",
)  # fmt: skip
_AMOUNTS = ("price", "demand", "export", "strike", "fmp", "cfmp", "kpp", "monthly_use", "vat")
_SHARES = ("share", "export_cap")
_DEFAULT_CUSTOMER = {
    "two_component": "production", "residential": "residential", "ev_charging": "ev_charging",
}  # fmt: skip
Finding = tuple[str, str, dict[str, Any]]
"""The key that has the problem, the code of the message, its placeholders."""


def problems(terms: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything that is wrong with the terms of one contract.

    Args:
        terms: by key (`kind`, `customer`, `voltage`, `hours`, `price`, ...); what is absent is None or an empty text.

    Example:
        >>> [code for _, code, _ in problems({"kind": "tou", "customer": "production", "voltage": "6-22 kV"})]
        ['rules.unknown_voltage']
    """
    kind = terms.get("kind") or ""
    if kind not in NEEDS:
        yield _unknown("kind", "rules.unknown_kind", kind, NEEDS)
        return
    hours = terms.get("hours") or LAW
    if hours not in HOURS:
        yield "hours", "rules.unknown_schedule", {"text": hours, "options": ", ".join(HOURS)}
    given = {key for key in _OF_ONE_KIND if terms.get(key) not in (None, "")}
    for key in NEEDS[kind]:
        if key not in given:
            yield key, "rules.contract_needs", {"kind": kind, "key": key}
    for key in sorted(given - {*NEEDS[kind], *_MAY[kind]}):
        yield key, "rules.contract_ignores", {"kind": kind, "key": key}
    if kind == "dppa" and len(given & {"strike", "price"}) != 1:
        yield "strike", "rules.dppa_price", {}
    yield from _customer(terms, kind)
    yield from _amounts(terms)


def customer_of(kind: str, customer: str | None) -> str:
    """The customer group: the one that is written, or the only one that a kind is made for."""
    return customer or _DEFAULT_CUSTOMER.get(kind, "")


def _customer(terms: Mapping[str, Any], kind: str) -> Iterator[Finding]:
    """A customer group or a voltage that no price list has."""
    known = tariffs.customers("tou" if kind == "dppa" else kind)
    customer, voltage = customer_of(kind, terms.get("customer")), terms.get("voltage")
    if kind == "flat" or not customer:
        return
    if customer not in known:
        yield _unknown("customer", "rules.unknown_customer", customer, known)
    elif voltage and known[customer] and voltage not in known[customer]:
        key, code, data = _unknown("voltage", "rules.unknown_voltage", voltage, known[customer])
        yield key, code, {**data, "customer": customer}


def _amounts(terms: Mapping[str, Any]) -> Iterator[Finding]:
    """Prices and shares that no contract can have."""
    for key in (*_AMOUNTS, *_SHARES):
        value = terms.get(key)
        if value is None or value == LAW:
            continue
        if isinstance(value, str) or not math.isfinite(value) or value < 0:
            yield key, "rules.bad_amount", {"key": key, "text": value}
        elif key == "kpp" and value < 1:
            yield key, "rules.bad_loss", {"text": f"{value:g}"}
        elif key in _SHARES and value > 1:
            yield key, "rules.bad_share", {"key": key, "text": f"{value * 100:g} %"}


def _unknown(key: str, code: str, text: Any, options: Any) -> Finding:
    words = ", ".join(options)
    return key, code, {"text": text, "options": words, "hint": did_you_mean(str(text), options)}
