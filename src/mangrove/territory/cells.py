# SPDX-License-Identifier: Apache-2.0
"""How the text of one cell becomes a value: numbers, dates, units, carriers, quantities, lists of parameters.

Comes in: the stripped text of a cell. Goes out: a value, or a `MangroveError` whose code says what was expected.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from mangrove.errors import MangroveError, RuleError, did_you_mean
from mangrove.territory.model import SCHEMES, Quality, Rates
from mangrove.units import Quantity, Unit, unit

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_ID = re.compile(r"[^\s,;=\"']+")
_GPC = re.compile(r"(?:I{1,3}|IV|V|VI)(?:\.\d{1,2}){1,3}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:T[\d:]+Z?)?")
_NUMERIC = re.compile(r"[-+]?\.?\d")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_GLUED_LETTER = re.compile(r"[-+]?[\d.]+[A-Za-z]")
_QUALITY = re.compile(r"([A-Za-z_][\w-]*)\s*(<=|>=|=)\s*([^<>=]+)")
_TEMPERATURE, _MONEY = unit("K").dimension, unit("VND").dimension
_MONTHS, _TIME = 12, 2
MOST = 10
"""The largest size of an elasticity and of its spread: nothing that drives emissions comes near, and beyond it they follow noise."""


def identifier(text: str) -> str:
    """An id: no spaces, commas, semicolons, equal signs or quotes; Unicode in composed form."""
    if not _ID.fullmatch(text):
        raise MangroveError("territory.bad_id", text=text)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def identifiers(text: str) -> tuple[str, ...]:
    """Several keys with spaces between them; raises as `identifier` does."""
    return tuple(map(identifier, text.split()))


def name(text: str) -> str:
    """Words for people, in composed Unicode."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def number(text: str) -> float:
    """A plain finite number with a decimal point."""
    if not _NUMBER.fullmatch(text) or not math.isfinite(value := float(text)):
        raise MangroveError("territory.not_a_number", text=text)
    return value


def not_negative(text: str) -> float:
    """A plain number, zero or more."""
    value = number(text)
    if value < 0:
        raise MangroveError("territory.negative", text=text)
    return value


def not_zero(text: str) -> float:
    """A plain number other than zero."""
    value = number(text)
    if value == 0:
        raise MangroveError("territory.zero", text=text)
    return value


def elasticity(text: str) -> float:
    """A plain number other than zero, from `-MOST` to `MOST`."""
    not_zero(text)
    return between(-MOST, MOST)(text)


def between(low: float, high: float) -> Callable[[str], float]:
    """A parser of numbers in `[low, high]`."""

    def parse(text: str) -> float:
        value = number(text)
        if not low <= value <= high:
            raise MangroveError("territory.out_of_range", text=text, low=f"{low:g}", high=f"{high:g}")
        return value

    return parse


def choice(options: Sequence[str]) -> Callable[[str], str]:
    """A parser of one word out of `options`."""

    def parse(text: str) -> str:
        if text not in options:
            hint = did_you_mean(text, options)
            raise MangroveError("territory.not_an_option", text=text, options=", ".join(options), hint=hint)
        return text

    return parse


def scope(text: str) -> int:
    """1, 2 or 3."""
    return int(choice(("1", "2", "3"))(text))


def gpc(text: str) -> str:
    """A reference of the GPC such as `I.3.1` or `IV.1`."""
    if not _GPC.fullmatch(text):
        raise MangroveError("territory.not_a_gpc", text=text)
    return text


def percentage(text: str) -> float:
    """`5 %` as 0.05; a bare number is refused, because 5 could be meant as 5 % or as 500 %."""
    if not text.endswith("%"):
        raise MangroveError("territory.percent_missing", text=text)
    return not_negative(text[:-1].strip()) / 100


def quantity(text: str) -> Quantity:
    """A number with its unit, zero or more; only temperatures may be negative."""
    value = Quantity.parse(text)
    if not math.isfinite(value.value):
        raise RuleError("base.not_a_quantity", text=text)
    if value.value < 0 and value.unit.dimension != _TEMPERATURE:
        raise MangroveError("territory.negative", text=text)
    return value


def signed(text: str) -> Quantity:
    """A number with its unit, of either sign: a price below zero is paid by the one who gives."""
    value = Quantity.parse(text)
    if not math.isfinite(value.value):
        raise RuleError("base.not_a_quantity", text=text)
    return value


def price(text: str) -> Quantity:
    """Money per unit of something, of either sign: `150000 VND/t`."""
    value = signed(text)
    head = unit(value.unit.text.split("/", 1)[0])
    if "/" not in value.unit.text or head.dimension != _MONEY:
        raise MangroveError("territory.not_a_price", text=text)
    return value


def rates(text: str) -> Rates:
    """One rate (`120 t/month`) or twelve of them, January first, before one unit (`9 9 10 ... t/month`)."""
    words = text.split()
    numbers = [word for word in words if _NUMBER.fullmatch(word)]
    written = " ".join(words[len(numbers) :])
    if words[: len(numbers)] != numbers or len(numbers) not in (1, _MONTHS):
        raise MangroveError("territory.not_rates", text=text)
    counted = unit(written)
    if counted.dimension[_TIME] != -1:
        raise MangroveError("territory.not_rates", text=text)
    return Rates(tuple(not_negative(word) for word in numbers), counted)


def rates_text(value: Rates) -> str:
    """Rates in one spelling."""
    return " ".join(map(repr, value.values)) + f" {value.unit.text}"


def quality(text: str) -> tuple[Quality, ...]:
    """`chloride=0.4 %; moisture<=12 %` as properties and limits."""
    found: list[Quality] = []
    for part in filter(None, map(str.strip, text.split(";"))):
        match = _QUALITY.fullmatch(part)
        if not match:
            raise MangroveError("territory.not_a_quality", text=part)
        if match[1] in (one.name for one in found if one.sense == match[2]):
            raise MangroveError("territory.duplicate_parameter", key=match[1])
        found.append(Quality(match[1], match[2], quantity(match[3])))
    return tuple(found)


def quality_text(value: Sequence[Quality]) -> str:
    """Properties in one spelling, sorted by name."""
    return ";".join(sorted(f"{one.name}{one.sense}{quantity_text(one.value)}" for one in value))


def codes(text: str) -> Mapping[str, tuple[str, ...]]:
    """`ewc=100202; hs=2618 2619` as codes by scheme, without dots and spaces inside: `10 02 02` stands as `100202`."""
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        scheme, sign, written = (piece.strip() for piece in part.partition("="))
        choice(SCHEMES)(scheme)
        listed = tuple(word.replace(".", "") for word in written.split())
        if not sign or not listed or not all(word.isascii() and word.isalnum() for word in listed):
            raise MangroveError("territory.not_codes", text=part)
        if scheme in found:
            raise MangroveError("territory.duplicate_parameter", key=scheme)
        found[scheme] = listed
    return found


def codes_text(value: Mapping[str, tuple[str, ...]]) -> str:
    """Codes in one spelling, sorted by scheme."""
    return ";".join(f"{scheme}={' '.join(sorted(value[scheme]))}" for scheme in sorted(value))


def mass_per_activity(text: str) -> Unit:
    """The unit of a factor: a mass of gas per unit of something."""
    parsed = unit(text)
    head = unit(text.split("/", 1)[0])
    if "/" not in text or not head.converts_to("kg"):
        raise RuleError("territory.factor_unit", text=text)
    return parsed


@lru_cache(maxsize=65536)
def parameters(text: str) -> Mapping[str, Quantity | str]:
    """`enthalpy=2776 kJ/kg; boiler_efficiency=85 %; fuel=anthracite` as named quantities and words.

    What starts with a digit (and is no date) must be a quantity; everything else is a word, and so is what stands in
    quotes: `grade='4a'`, because 4a could also be four years.
    """
    values: dict[str, Quantity | str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        key, sign, written = (piece.strip() for piece in part.partition("="))
        if not sign or not key.isidentifier() or not written:
            raise MangroveError("territory.not_a_parameter", text=part.strip())
        if key in values:
            raise MangroveError("territory.duplicate_parameter", key=key)
        values[key] = _parameter(written)
    return values


def _parameter(written: str) -> Quantity | str:
    quoted = _QUOTED.fullmatch(written)
    if quoted:
        return name(quoted[1] or quoted[2] or "")
    if not _NUMERIC.match(written) or _DATE.fullmatch(written):
        return name(written)
    if _GLUED_LETTER.fullmatch(written):
        raise MangroveError(
            "territory.ambiguous_parameter", text=written, number=written[:-1], letter=written[-1]
        )
    return quantity(written)


def parameters_text(values: Mapping[str, Quantity | str]) -> str:
    """Parameters in one spelling, sorted by name, for the content hash."""
    return ";".join(f"{key}={quantity_text(values[key])}" for key in sorted(values))


def quantity_text(value: Quantity | str) -> str:
    """A quantity or a word in one spelling; `200 kW` and `200.0 kW` read the same."""
    return value if isinstance(value, str) else f"{value.value!r} {value.unit.text}"
