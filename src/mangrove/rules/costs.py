# SPDX-License-Identifier: Apache-2.0
"""What plants cost, how money is discounted, and what a tonne of CO2 is traded for: dated defaults, each with its row.

Comes in: a technology and a region, a key of finance, a day. Goes out: amounts that carry the row they come from. They are
secondary values for a first study, never used silently: whoever uses one shows its `status`, `document` and `note`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import cache

from mangrove import text as words
from mangrove.errors import RequestError, RuleError, did_you_mean
from mangrove.rules import tables, tariffs

_DOLLAR = "USD"


@dataclass(frozen=True, slots=True)
class Amount:
    """One number with the row behind it.

    Attributes:
        value: in `unit`; money is converted to VND, percentages are fractions.
        unit: `VND/kW`, `VND/kWh`, `VND/kW/yr`, `yr`, `1`.
        row: the key of the row: `pv_rooftop/south/capital`.
        printed: the number and unit as the source prints them: `600 USD/kW`.
        status, document, note: of the row; the rate of exchange is named in the note.
    """

    value: float
    unit: str
    row: str
    printed: str
    status: str
    document: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class CarbonPrice:
    """A price of CO2 in VND/t: the one that is used, and the lowest and highest trade behind it."""

    value: float
    low: float
    high: float
    status: str
    document: str
    note: str = ""


def cost(technology: str, region: str = "", on: date | None = None) -> dict[str, Amount]:
    """What a technology costs in a region: by parameter (`capital`, `capital_energy`, `om`, `replacement`, ...).

    Args:
        technology: `pv_rooftop`, `pv_ground`, `wind_onshore`, `battery_li_ion`, `diesel_generator`.
        region: `north`, `central` or `south`; what has no regions (diesel) is the same everywhere.
        on: the day on which the row holds; None: the newest rows.

    Raises:
        RuleError: `rules.no_cost`, with what there is.

    Example:
        >>> capital = cost("pv_rooftop", "south")["capital"]
        >>> capital.value, capital.unit, capital.status
        (15840000.0, 'VND/kW', 'unofficial')
    """
    rows = tables.rows("technology_costs")
    found = {
        row["parameter"]: row
        for row in rows
        if row["technology"] == technology and row["region"] in (region, "") and _holds(row, on)
    }
    if not found:
        known = list(dict.fromkeys(f"{row['technology']} {row['region']}".strip() for row in rows))
        hint = did_you_mean(f"{technology} {region}".strip(), known)
        raise RuleError(
            "rules.no_cost",
            text=technology,
            region=region or "-",
            on=on or "-",
            hint=hint,
            available="; ".join(known),
        )
    return {
        parameter: _amount(row, "/".join(filter(None, (technology, row["region"], parameter))), on)
        for parameter, row in found.items()
    }


def finance(key: str, on: date | None = None) -> Amount:
    """One default of finance: `discount/offtaker`, `tax/standard`, `escalation/electricity`, `years`, `exchange_rate`, ...

    Raises:
        RuleError: `rules.no_tariff`, with the keys that exist.

    Example:
        >>> finance("discount/offtaker").value
        0.1
    """
    rows = tables.rows("finance_defaults")
    for row in rows:
        if row["key"] == key and _holds(row, on):
            return _amount(row, key, on)
    keys = [row["key"] for row in rows]
    near = words.suggest(key, keys) or "-"
    raise RuleError("rules.no_tariff", text=key, on=on or "-", near=near, available="; ".join(keys))


def carbon_price(on: date, declared: float | None = None) -> CarbonPrice:
    """The price of a tonne of CO2: the declared one, or the middle of the trades on the exchange.

    Args:
        on: the day.
        declared: VND/t, as `energy: carbon_price` of a territory says.

    Raises:
        RuleError: `rules.not_that_day` before the exchange opened (29/6/2026).
        RequestError: `rules.bad_amount`.

    Example:
        >>> price = carbon_price(date(2026, 9, 1))
        >>> price.low, price.value, price.high
        (130000.0, 133000.0, 136000.0)
    """
    if declared is not None:
        if not math.isfinite(declared) or declared < 0:
            raise RequestError("rules.bad_amount", key="carbon_price", text=declared)
        return CarbonPrice(declared, declared, declared, "declared", "")
    low, high = (tariffs.parameter_row(f"carbon_price/{end}", on) for end in ("low", "high"))
    note = f"{low.note}; {high.note}; the middle of both is used"
    return CarbonPrice((low.value + high.value) / 2, low.value, high.value, low.status, low.document, note)


def _amount(row: dict[str, str], name: str, on: date | None) -> Amount:
    """The row as an amount; dollars at the rate of exchange of the same day, percentages as fractions."""
    value, unit, note = float(row["value"]), row["unit"], row["note"]
    if unit == "%":
        value, unit = value / 100, "1"
    elif unit.startswith(_DOLLAR):
        rate = finance("exchange_rate", on)
        value, unit = value * rate.value, unit.replace(_DOLLAR, "VND", 1)
        note = f"{note}; at {rate.printed} ({rate.status}: {rate.document})".removeprefix("; ")
    printed = f"{row['value']} {row['unit']}"
    return Amount(value, unit, name, printed, row["status"], row["document"], note)


@cache
def _dates(valid_from: str, valid_to: str) -> tuple[date | None, date | None]:
    return tables.day(valid_from), tables.day(valid_to)


def _holds(row: dict[str, str], on: date | None) -> bool:
    start, end = _dates(row["valid_from"], row["valid_to"])
    if on is None:
        return end is None
    return (start is None or start <= on) and (end is None or on < end)
