# SPDX-License-Identifier: Apache-2.0
"""What an eco-industrial park is judged by: indicators, criteria of the law, and the fields of the annual forms.

Comes in: a framework and a day. Goes out: the rows that hold on that day, each with its target, how it is answered (computed from the
ledger, reckoned from answers of the firms, or asked), its document and its status. The rows stand in
`rules/data/eip_indicators.csv` and `eip_forms.csv`. No official text of the international framework, of Article 37 of Decree 35/2022
or of the annex of Circular 05/2025 was at hand: the status of every row says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from mangrove.errors import Hint, RuleError, did_you_mean
from mangrove.rules import tables

FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "international": ("EIP2",),
    "vn": ("ND82", "ND35", "A.5", "B.5"),
    "all": ("EIP2", "ND82", "ND35", "A.5", "B.5"),
}
"""The words for what a park can be judged by, each with its frameworks."""
FORMS = ("A.4", "A.5", "B.4", "B.5")
"""The annual forms of Circular 05/2025/TT-BKHDT: A for the park, B for an enterprise; 4 quantities, 5 indicators."""
ASKED, FIRMS, LARGE_FIRMS = "asked", "firms", "large_firms"
"""How a row is answered when no function computes it: by whoever knows, or reckoned from a yes or no of every firm, of every large one."""
_FACT = "fact"


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator, prerequisite or criterion.

    Attributes:
        code: as answers name it (`A.5/PM.2`, `EIP2/waste_reused`); framework: `EIP2`, `ND35`, ...
        kind: `indicator`, `prerequisite`, `criterion`, or `fact` for what others need; group: `environment`, `social`, ...
        unit: `yes/no`, `%`, `count` or `months`; sense and target: what certification asks for (`>=` and a number, `=` and `yes`);
            target is the code of a fact where the bar is another number, and empty when there is none.
        how: `asked`, `firms`, `large_firms`, or the name of the function that computes it.
        valid_from, valid_to: half-open; None is open.
        status: of the row: `official`, `unofficial`, `alternate` or `recalled`.
        same: code of the indicator whose answer says this as well.
    """

    code: str
    framework: str
    kind: str
    group: str
    name_en: str
    name_vi: str
    unit: str
    sense: str
    target: str
    how: str
    valid_from: date | None
    valid_to: date | None
    document: str
    article: str
    status: str
    note: str = ""
    same: str = ""

    def name(self, lang: str) -> str:
        """What it is, in words."""
        return self.name_vi if lang == "vi" else self.name_en

    def valid_on(self, day: date) -> bool:
        """Whether it holds on `day`."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )


@dataclass(frozen=True, slots=True)
class Field:
    """One field of form A.4 or B.4.

    Attributes:
        form, field: as printed (`A.4`, `3.2`); quantity: the same word in both forms.
        unit: `kWh`, `t`, `m3`, `MVND` (million VND), `ha`, `%`, `count`, `text`; empty: one line for each unit.
        how: `ledger`, `places` or `asked`; effect: the effects whose sum it is; side: of whom, empty: both.
        figure: which number of the effect: `amount`, `money`, `co2`, `share`, `sum` (of other fields), `text`.
    """

    form: str
    field: str
    quantity: str
    name_en: str
    name_vi: str
    unit: str
    how: str
    effect: tuple[str, ...]
    side: str
    figure: str
    document: str
    status: str
    note: str = ""

    @property
    def code(self) -> str:
        """As answers name it: `A.4/3.8`."""
        return f"{self.form}/{self.field}"

    def name(self, lang: str) -> str:
        """What it is, in words."""
        return self.name_vi if lang == "vi" else self.name_en


@cache
def indicators() -> tuple[Indicator, ...]:
    """Every row of every framework, in the order of the tables.

    Example:
        >>> sum(one.framework == "EIP2" for one in indicators())
        49
    """
    return tuple(map(_indicator, tables.rows("eip_indicators")))


def _indicator(row: dict[str, str]) -> Indicator:
    dates: dict[str, Any] = {name: tables.day(row[name]) for name in ("valid_from", "valid_to")}
    return Indicator(**{**row, **dates})


def in_force(framework: str, day: date) -> tuple[Indicator, ...]:
    """The rows of a framework (`vn`, `international`, `all`, or one of theirs such as `A.5`) that hold on `day`.

    Raises:
        RuleError: `eip.unknown_framework`.

    Example:
        >>> [one.code for one in in_force("vn", date(2020, 1, 1))][:2]
        ['ND82/42.1', 'ND82/42.2']
    """
    names = FRAMEWORKS.get(framework, (framework,))
    known = FRAMEWORKS["all"]
    if not set(names) <= set(known):
        options = (*FRAMEWORKS, *known)
        hint = did_you_mean(framework, options)
        raise RuleError("eip.unknown_framework", text=framework, options=", ".join(options), hint=hint)
    return tuple(one for one in indicators() if one.framework in names and one.valid_on(day))


@cache
def fields() -> tuple[Field, ...]:
    """Every field of forms A.4 and B.4, in their order."""
    return tuple(map(_field, tables.rows("eip_forms")))


def _field(row: dict[str, str]) -> Field:
    effects: dict[str, Any] = {"effect": tuple(row["effect"].split())}
    return Field(**{**row, **effects})


def fields_of(form: str) -> tuple[Field, ...]:
    """The fields of form A.4 or B.4."""
    return tuple(one for one in fields() if one.form == form)


@cache
def _answered() -> dict[str, Indicator | Field]:
    every: list[Indicator | Field] = [*indicators(), *fields()]
    return {one.code: one for one in every}


def known_answer(code: str) -> Indicator | Field | None:
    """The indicator or field that an answer may name; None when there is none.

    Example:
        >>> known_answer("A.5/PM.2").unit, known_answer("A.5/PM.9")
        ('yes/no', None)
    """
    return _answered().get(code)


def nearest_answer(code: str, others: tuple[str, ...] = ()) -> Hint | str:
    """The hint that names the code nearest to `code`."""
    return did_you_mean(code, [*_answered(), *others])


def facts() -> tuple[Indicator, ...]:
    """What indicators need besides: the number of firms, the national share of renewable electricity."""
    return tuple(one for one in indicators() if one.kind == _FACT)
