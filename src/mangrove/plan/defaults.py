# SPDX-License-Identifier: Apache-2.0
"""Money and costs that nobody declared, from dated rows of the rules: for a first study, and never without saying so.

Comes in: a day, a technology, a region of Viet Nam. Goes out: `Money` or sizes with their costs, together with the rows that
they come from; whoever uses them puts the rows into `Case.assumed`, and tables and records show them with their status.
"""

from __future__ import annotations

from datetime import date

from mangrove.plan.finance import Money
from mangrove.plan.problem import Size
from mangrove.rules import costs
from mangrove.rules.costs import Amount

_MONEY = {"years": "years", "discount": "discount/offtaker", "tax": "tax/standard", "energy": "escalation/electricity",
          "om": "escalation/om"}  # fmt: skip


def money(on: date, discount: float | None = None) -> tuple[Money, tuple[Amount, ...]]:
    """How an enterprise in Viet Nam counts years, by the defaults of the rules, and their rows.

    Args:
        on: the day on which the rows hold.
        discount: a declared discount rate, in place of the default.

    Example:
        >>> found, rows = money(date(2026, 9, 1), discount=0.09)
        >>> found.years, found.discount, found.tax, [row.row for row in rows]
        (25, 0.09, 0.2, ['years', 'tax/standard', 'escalation/electricity', 'escalation/om'])
    """
    rows = {
        name: costs.finance(key, on) for name, key in _MONEY.items() if name != "discount" or discount is None
    }
    rate = rows["discount"].value if discount is None else discount
    found = Money(
        years=round(rows["years"].value), discount=rate, tax=rows["tax"].value, energy=rows["energy"].value,
        export=rows["energy"].value, om=rows["om"].value,
    )  # fmt: skip
    return found, tuple(rows.values())


def sizes(
    technology: str, region: str, on: date, *, life: float
) -> tuple[dict[str, Size], tuple[Amount, ...]]:
    """The costs of a technology as sizes: `power` (per kW) and, for batteries, `energy` (per kWh); and their rows.

    Args:
        technology: see `rules.costs.cost` (`pv_rooftop`, `wind_onshore`, `battery_li_ion`, ...).
        region: `north`, `central` or `south`.
        on: the day on which the rows hold.
        life: years until a replacement; the year of the row replaces it where there is one.

    Raises:
        RuleError: `rules.no_cost`.

    Example:
        >>> found, rows = sizes("pv_rooftop", "south", date(2026, 9, 1), life=25)
        >>> found["power"].cost, found["power"].om, rows[0].status
        (15840000.0, 211200.0, 'unofficial')
    """
    rows = costs.cost(technology, region, on)
    number = {name: row.value for name, row in rows.items()}
    years = number.get("replacement_year", life)
    found = {
        "power": Size(
            cost=number.get("capital", 0.0),
            om=number.get("om", 0.0),
            life=years,
            again=number.get("replacement"),
        )
    }
    if "capital_energy" in number:
        found["energy"] = Size(
            cost=number["capital_energy"], life=years, again=number.get("replacement_energy")
        )
    return found, tuple(rows.values())
