# SPDX-License-Identifier: Apache-2.0
"""What one member is told: how much energy, from whom, at what money, in whole đồng that add up.

Comes in: a member's lines of money and energy. Goes out: a `Statement`: the same lines in whole units of the currency whose sum
is the member's total, and the totals of all members sum to what the community pays. `text` says it in a terminal,
`to_dict` for programs; `mangrove.serve.statement` prints it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mangrove import messages
from mangrove.settle.game import Floats
from mangrove.settle.rounding import half_up, whole

LINES = ("bought", "sold", "received", "given", "fee", "demand", "balance")
"""In the order of the page: grid, neighbors, wires, highest power, and what the rule adds or takes beyond prices."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `code` of `LINES`, kWh (None where there is no energy), and money in whole smallest units."""

    code: str
    energy: float | None
    amount: int

    def label(self, lang: str = "en") -> str:
        """What the line is, in words."""
        return messages.render(f"settle.line_{self.code}", lang)


@dataclass(frozen=True, slots=True)
class Statement:
    """The bill of one member.

    Attributes:
        member: id; name: for people; rule: by which the total was divided.
        lines: sum to `total`.
        total, alone: what the member pays, and would pay without sharing; whole smallest units of the currency.
        shares: what it would pay under each other rule, the same units.
        received_from, given_to: kWh by member, largest first.
        unit: one smallest unit in the currency (1 for đồng).
    """

    member: str
    name: str
    rule: str
    lines: tuple[Line, ...]
    total: int
    alone: int
    shares: Mapping[str, int]
    received_from: tuple[tuple[str, float], ...]
    given_to: tuple[tuple[str, float], ...]
    currency: str = "VND"
    unit: float = 1.0

    @property
    def saving(self) -> int:
        """What sharing saves the member, in smallest units; negative when it pays more."""
        return self.alone - self.total

    def to_dict(self) -> dict[str, Any]:
        """The statement as plain JSON data."""
        return {
            "member": self.member,
            "name": self.name,
            "rule": self.rule,
            "currency": self.currency,
            "unit": self.unit,
            "lines": [{"code": line.code, "kwh": line.energy, "amount": line.amount} for line in self.lines],
            "total": self.total,
            "alone": self.alone,
            "saving": self.saving,
            "by_rule": dict(self.shares),
            "received_from": dict(self.received_from),
            "given_to": dict(self.given_to),
        }

    def text(self, lang: str = "en") -> str:
        """The statement as lines of text."""
        rows = [self.name]
        for line in self.lines:
            energy = "" if line.energy is None else f"{_number(line.energy, lang)} kWh"
            rows.append(f"  {line.label(lang):<44}{energy:>20}{self.money(line.amount, lang):>22}")
        for code, amount in (("total", self.total), ("alone", self.alone), ("saving", self.saving)):
            rows.append(f"  {messages.render(f'settle.line_{code}', lang):<64}{self.money(amount, lang):>22}")
        return "\n".join(rows)

    def money(self, amount: int, lang: str = "en") -> str:
        """An amount of smallest units as money: `1.234.567 đ` in Vietnamese, `1,234,567 VND` in English."""
        decimals = 0 if self.unit >= 1.0 else round(-np.log10(self.unit))
        sign = "đ" if lang == "vi" and self.currency == "VND" else self.currency
        return f"{_number(amount * self.unit, lang, decimals)}\u00a0{sign}"


def _number(value: float, lang: str, decimals: int = 0) -> str:
    text = f"{value:,.{decimals}f}"
    return text.translate({ord(","): ".", ord("."): ","}) if lang == "vi" else text


def statements(
    members: Sequence[str],
    names: Mapping[str, str],
    lines: Mapping[str, tuple[Floats | None, Floats]],
    *,
    rule: str,
    shares: Mapping[str, Floats],
    alone: Floats,
    matrix: Floats,
    currency: str = "VND",
    unit: float = 1.0,
) -> tuple[Statement, ...]:
    """The statements of all members.

    Args:
        members: n ids.
        names: for people, by id.
        lines: by code of `LINES`: (n,) kWh or None, and (n,) money; for each member they sum to its share under `rule`.
        rule: the one by which members pay.
        shares: (n,) money by rule.
        alone: (n,) money.
        matrix: (n, n) kWh from the row's member to the column's.
        currency: ISO code.
        unit: its smallest unit in use.
    """
    together = half_up(math.fsum(shares[rule]) / unit)
    apart = whole(alone, unit=unit)  # once, so that it is the same under every rule
    totals = {}
    for name, share in shares.items():
        # the saving is what is rounded, so that nobody who loses nothing is shown to lose a đồng
        totals[name] = apart - whole(alone - share, total=int(apart.sum()) - together, unit=unit)
    used = [code for code in LINES if code in lines and _matters(*lines[code], unit)]
    made = []
    for i, member in enumerate(members):
        total = int(totals[rule][i])
        amounts = whole([lines[code][1][i] for code in used], total=total if used else 0, unit=unit)
        found = []
        for code, amount in zip(used, amounts, strict=True):
            energy = lines[code][0]
            kwh = None if energy is None else float(energy[i])
            if amount or kwh:
                found.append(Line(code, kwh, int(amount)))
        made.append(
            Statement(
                member, names[member], rule, tuple(found), total, int(apart[i]),
                {name: int(every[i]) for name, every in totals.items()},
                _largest(members, matrix[:, i]), _largest(members, matrix[i]), currency, unit,
            )
        )  # fmt: skip
    return tuple(made)


def _matters(energy: Floats | None, money: Floats, unit: float) -> bool:
    """Whether a line says anything for some member."""
    return bool((np.abs(money) >= unit / 2).any() or (energy is not None and energy.any()))


def _largest(members: Sequence[str], energy: Floats) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-energy, kind="stable")
    return tuple((members[j], float(energy[j])) for j in order if energy[j] > 0.0)
