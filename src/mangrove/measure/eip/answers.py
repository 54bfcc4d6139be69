# SPDX-License-Identifier: Apache-2.0
"""Answers to indicators and form fields: read by the unit of what they answer, with every mistake at its line.

Comes in: the answers of a territory. Goes out: typed values by code, year and place, and the problems of all of them: a code that
nothing asks, `45` where `45 %` is meant, a share above 100 %.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from mangrove.errors import DeclarationError, MangroveError, Problem
from mangrove.measure.eip.types import Value
from mangrove.rules import effluent, eip
from mangrove.territory.model import Answer, Territory
from mangrove.text import canonical
from mangrove.units import Quantity

PERMIT = "QCVN40/"
"""Beginning of the codes that say how an effluent is judged: `QCVN40/column`, `QCVN40/receiving`, `QCVN40/COD`, ..."""
TERMS = ("column", "receiving", "discharge", "version", "existing", "averaging")
AVERAGING = ("1d", "1h")
_YES, _NO = ("yes", "có", "true", "đúng"), ("no", "không", "false", "sai")
_RANGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(\d+(?:\.\d+)?)\s*")
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


def known(code: str) -> bool:
    """Whether something asks for this code.

    Example:
        >>> known("A.5/PM.2"), known("QCVN40/COD"), known("A.5/PM.22")
        (True, True, False)
    """
    return eip.known_answer(code) is not None or code in permit_codes()


def permit_codes() -> tuple[str, ...]:
    """The codes that say how an effluent is judged."""
    return tuple(PERMIT + word for word in (*TERMS, *effluent.parameters()))


def check(territory: Territory) -> list[Problem]:
    """Every answer that nothing asks for or that cannot be read, each at its line."""
    return list(_problems(territory))


def require(territory: Territory) -> None:
    """Raises `DeclarationError` with every problem of the answers."""
    problems = check(territory)
    if problems:
        raise DeclarationError(problems)


def _problems(territory: Territory) -> Iterator[Problem]:
    for answer in territory.answers:
        if not known(answer.indicator):
            hint = eip.nearest_answer(answer.indicator, permit_codes())
            yield Problem("eip.unknown_answer", {"indicator": answer.indicator, "hint": hint}, answer.where)
            continue
        try:
            value_of(answer)
        except MangroveError as error:
            data = dict(error.problem.data)
            if error.code.startswith("base."):
                data = {
                    "indicator": answer.indicator,
                    "text": answer.value,
                    "expected": expected(answer.indicator),
                }
            yield Problem(
                "eip.bad_answer" if error.code.startswith("base.") else error.code, data, answer.where
            )


def value_of(answer: Answer) -> Value:
    """The value of an answer in the unit of what it answers.

    Raises:
        RuleError: the text cannot be read so.
    """
    if answer.indicator.startswith(PERMIT):
        return _term(answer.indicator.removeprefix(PERMIT), answer.value)
    asked = eip.known_answer(answer.indicator)
    unit = "text" if asked is None else asked.unit
    if (
        answer.place is not None
        and isinstance(asked, eip.Indicator)
        and asked.how in (eip.FIRMS, eip.LARGE_FIRMS)
    ):
        unit = "yes/no"  # of one firm; the share is reckoned
    return read(answer.indicator, answer.value, unit)


def read(code: str, written: str, unit: str) -> Value:
    """A text as a value: `yes/no`, `%`, `count`, `text`, or a quantity in `unit`.

    Raises:
        RuleError: `eip.bad_answer`.

    Example:
        >>> read("A.5/ENV.3", "45 %", "%"), read("A.5/PM.1", "có", "yes/no"), read("A.4/2.1.8", "3", "count")
        (45.0, True, 3.0)
    """
    text = canonical(written)
    value: Value = None
    if unit == "text":
        value = text
    elif unit == "yes/no":
        word = text.casefold()
        value = True if word in _YES else False if word in _NO else None
    elif unit == "count":
        value = float(text) if _COUNT.fullmatch(text) else None
    else:
        value = _quantity(text, unit)
    if value is None:
        raise MangroveError("eip.bad_answer", indicator=code, text=written, expected=format_of(unit))
    return value


def _quantity(text: str, unit: str) -> float | str | None:
    """A finite number in `unit`; a share must be written with its percent sign and lie between 0 and 100."""
    try:
        quantity = Quantity.parse(text)
        if not unit:
            return text
        if unit == "%":
            share = quantity.value if quantity.unit.text == "%" else math.nan
            return share if 0 <= share <= 100 else None  # noqa: PLR2004 - per cent
        if unit == "months":
            unit = "month"
        value = quantity.to(unit)
        return value if math.isfinite(value) else None
    except MangroveError:
        return None


def _term(word: str, written: str) -> Value:
    """The value of a code under `QCVN40/`; limits stay text, `limit_of` reads them."""
    options = {
        "column": effluent.COLUMNS,
        "averaging": AVERAGING,
        "version": [v.key for v in effluent.versions()],
    }
    if word in options:
        if written.strip() not in options[word]:
            raise MangroveError(
                "eip.bad_answer", indicator=PERMIT + word, text=written, expected=" | ".join(options[word])
            )
        return written.strip()
    if word == "existing":
        return read(PERMIT + word, written, "yes/no")
    if word == "discharge":
        rate = read(PERMIT + word, written, "m3/day")
        if isinstance(rate, float) and rate > 0:
            return rate
        raise MangroveError("eip.bad_answer", indicator=PERMIT + word, text=written, expected="2400 m3/day")
    if word == "receiving":
        effluent.Receiving.parse(written)
        return written
    limit_of(word, written, "")
    return written


def limit_of(parameter: str, written: str, document: str) -> effluent.Limit:
    """A limit of a permit: `60 mg/L`, `6 - 9` for pH.

    Raises:
        RuleError: `eip.bad_answer`, `eip.unknown_parameter`.
    """
    printed = effluent.unit_of(parameter)
    low, high = None, math.nan
    if ends := _RANGE.fullmatch(written):
        low, high = float(ends[1]), float(ends[2])
    elif same := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(\S.*?)\s*", written):
        high = float(same[1]) if same[2] == printed else _converted(written, printed)
    if not (0 < high < math.inf) or (low is not None and low >= high):
        wanted = "6 - 9" if parameter == "pH" else f"60 {printed}"
        raise MangroveError("eip.bad_answer", indicator=PERMIT + parameter, text=written, expected=wanted)
    return effluent.declared(parameter, high, document, low=low)


def _converted(written: str, printed: str) -> float:
    """The quantity in the printed unit; not a number when it does not convert."""
    try:
        return Quantity.parse(written).to(printed)
    except MangroveError:
        return math.nan


def expected(code: str) -> str:
    """How an answer to this code is written."""
    if code.startswith(PERMIT):
        return "60 mg/L"
    asked = eip.known_answer(code)
    return format_of("text" if asked is None else asked.unit)


def format_of(unit: str) -> str:
    """How a value in this unit is written: `yes` or `no`, `45 %`, `3`, `12 t`.

    Example:
        >>> format_of("%"), format_of("kWh")
        ('45 %', '12 kWh')
    """
    fixed = {"yes/no": "yes | no", "%": "45 %", "count": "3", "text": "…", "months": "6 month", "": "12 t"}
    return fixed.get(unit, f"12 {unit}")


class Answers:
    """The answers of a territory for one year, read.

    Invariants:
        every answer was checked: `require` was called.
    """

    def __init__(self, territory: Territory, year: int) -> None:
        require(territory)
        self.year = year
        self._by: dict[tuple[str, str | None], Answer] = {
            (one.indicator, one.place): one for one in territory.answers if one.year == year
        }
        self._permit = [
            one for one in territory.answers if one.indicator.startswith(PERMIT) and one.year <= year
        ]

    def __len__(self) -> int:
        return len(self._by)

    def of(self, code: str, place: str | None = None) -> Answer | None:
        """The answer of a place (or the whole territory) to a code, for the year."""
        return self._by.get((code, place))

    def value(self, code: str, place: str | None = None) -> Value:
        """Its value; None when nobody answered."""
        answer = self.of(code, place)
        return None if answer is None else value_of(answer)

    def of_firms(self, code: str) -> dict[str, bool]:
        """What each place answered with yes or no to a code."""
        return {
            place: bool(value_of(answer))
            for (one, place), answer in self._by.items()
            if one == code and place is not None
        }

    def permit(self, word: str, place: str) -> Answer | None:
        """The newest answer to `QCVN40/<word>` up to the year: that of the place, else that of the territory."""
        mine = [one for one in self._permit if one.indicator == PERMIT + word and one.place in (place, None)]
        return max(mine, key=lambda one: (one.place == place, one.year), default=None)
