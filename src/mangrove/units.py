# SPDX-License-Identifier: Apache-2.0
"""A small strict unit parser: quantity strings at the boundary, floats in a known unit inside.

Comes in: a unit as people and laws print it ("kWh", "kg CO2/TJ", "mg/Nm3", "t clinker", "tấn"). Goes out: a `Unit`
with a scale, a dimension and the substances it names. Dimensions are the ones that accounting needs: mass, length,
time, energy, temperature difference, money, count and normal volume (a normal cubic meter is an amount of gas and
does not convert to a cubic meter). Energy is a dimension of its own here, so pressure is energy per volume.
A unit that is not in the table is an error with a suggestion, never a guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mangrove.errors import RuleError, did_you_mean

# Exponents of (mass kg, length m, time s, energy J, temperature K, money VND, count 1, normal volume Nm3).
Dimension = tuple[int, int, int, int, int, int, int, int]
_NONE: Dimension = (0, 0, 0, 0, 0, 0, 0, 0)


def _axis(index: int, power: int = 1) -> Dimension:
    return tuple(power if i == index else 0 for i in range(8))  # type: ignore[return-value]


_MASS, _LENGTH, _TIME, _ENERGY, _TEMPERATURE, _MONEY, _COUNT, _NORMAL = (_axis(i) for i in range(8))
_AREA, _VOLUME = _axis(1, 2), _axis(1, 3)
_POWER: Dimension = (0, 0, -1, 1, 0, 0, 0, 0)
_PRESSURE: Dimension = (0, -3, 0, 1, 0, 0, 0, 0)
_VEHICLE_DISTANCE: Dimension = (0, 1, 0, 0, 0, 0, 1, 0)

# Exact by definition (SI brochure, 9th edition; UN/CEFACT Rec. 20), except toe (IEA: 41.868 GJ), Btu (IT),
# refrigeration ton (12,000 Btu/h), barrel (42 US gallons).
_TABLE: dict[str, tuple[float, Dimension]] = {
    "kg": (1.0, _MASS), "g": (1e-3, _MASS), "mg": (1e-6, _MASS), "ug": (1e-9, _MASS), "t": (1e3, _MASS),
    "kt": (1e6, _MASS), "Mt": (1e9, _MASS), "Mg": (1e3, _MASS), "Gg": (1e6, _MASS), "Tg": (1e9, _MASS), "lb": (0.45359237, _MASS),
    "m": (1.0, _LENGTH), "km": (1e3, _LENGTH), "cm": (1e-2, _LENGTH), "mm": (1e-3, _LENGTH), "mile": (1609.344, _LENGTH),
    "m2": (1.0, _AREA), "ha": (1e4, _AREA), "km2": (1e6, _AREA),
    "m3": (1.0, _VOLUME), "L": (1e-3, _VOLUME), "mL": (1e-6, _VOLUME), "kL": (1.0, _VOLUME), "bbl": (0.158987294928, _VOLUME),
    "Nm3": (1.0, _NORMAL), "kNm3": (1e3, _NORMAL),
    "s": (1.0, _TIME), "min": (60.0, _TIME), "h": (3600.0, _TIME), "day": (86400.0, _TIME), "week": (604800.0, _TIME),
    "month": (2629800.0, _TIME), "yr": (31557600.0, _TIME),
    "J": (1.0, _ENERGY), "kJ": (1e3, _ENERGY), "MJ": (1e6, _ENERGY), "GJ": (1e9, _ENERGY), "TJ": (1e12, _ENERGY), "PJ": (1e15, _ENERGY),
    "Wh": (3.6e3, _ENERGY), "kWh": (3.6e6, _ENERGY), "MWh": (3.6e9, _ENERGY), "GWh": (3.6e12, _ENERGY), "TWh": (3.6e15, _ENERGY),
    "mkWh": (3.6e12, _ENERGY),  # million kWh, as the dispatch center prints it
    "toe": (41.868e9, _ENERGY), "ktoe": (41.868e12, _ENERGY), "Btu": (1055.05585262, _ENERGY), "MMBtu": (1055.05585262e6, _ENERGY),
    "kcal": (4186.8, _ENERGY), "Gcal": (4186.8e6, _ENERGY), "therm": (105505585.262, _ENERGY),
    "W": (1.0, _POWER), "kW": (1e3, _POWER), "MW": (1e6, _POWER), "GW": (1e9, _POWER), "kWp": (1e3, _POWER), "MWp": (1e6, _POWER),
    "RT": (3516.8528420667, _POWER),
    "Pa": (1.0, _PRESSURE), "hPa": (1e2, _PRESSURE), "kPa": (1e3, _PRESSURE), "MPa": (1e6, _PRESSURE), "bar": (1e5, _PRESSURE),
    "K": (1.0, _TEMPERATURE), "degC": (1.0, _TEMPERATURE),
    "VND": (1.0, _MONEY), "kVND": (1e3, _MONEY), "MVND": (1e6, _MONEY),
    "deg": (math.pi / 180, _NONE), "1": (1.0, _NONE), "%": (0.01, _NONE), "ppm": (1e-6, _NONE), "ppb": (1e-9, _NONE),
    "head": (1.0, _COUNT), "person": (1.0, _COUNT), "vehicle": (1.0, _COUNT), "item": (1.0, _COUNT), "session": (1.0, _COUNT),
    "vehicle_km": (1e3, _VEHICLE_DISTANCE), "pkm": (1e3, _VEHICLE_DISTANCE),
}  # fmt: skip
_ALIASES = {
    "-": "1", "l": "L", "lít": "L", "liter": "L", "litre": "L", "m³": "m3", "m²": "m2", "km²": "km2", "Nm³": "Nm3", "µg": "ug", "μg": "ug",
    "tấn": "t", "tonne": "t", "tonnes": "t", "ton": "t", "kwh": "kWh", "KWh": "kWh", "KWH": "kWh", "Kwh": "kWh", "mwh": "MWh",
    "hour": "h", "hours": "h", "giờ": "h", "d": "day", "days": "day", "ngày": "day", "y": "yr", "year": "yr", "a": "yr", "năm": "yr",
    "tháng": "month", "°C": "degC", "oC": "degC", "đồng": "VND", "đ": "VND", "VNĐ": "VND", "con": "head", "người": "person",
    "cap": "person", "capita": "person", "xe": "vehicle", "veh": "vehicle", "vkm": "vehicle_km", "veh-km": "vehicle_km",
    "TOE": "toe", "kwp": "kWp", "sessions": "session", "km/vehicle": "km",
}  # fmt: skip
_NUMBER = re.compile(r"10\^(\d{1,2})|(\d+(?:\.\d+)?)", re.ASCII)
_GLUED = re.compile(r"(t|kg|g|kt|Mt|Gg)((?:CO2|CH4|N2O)\S*)")  # "tCO2e" as officials write it


@dataclass(frozen=True, slots=True)
class Unit:
    """A parsed unit.

    Attributes:
        text: the unit as it was written.
        scale: the size of one such unit in base units (kg, m, s, J, K, VND, 1, Nm3).
        dimension: exponents over those base units.
        of: the substance measured, as printed ("CO2" in `kg CO2/TJ`); empty when none is named.
        per: the substance divided by, as printed ("clinker" in `t CO2/t clinker`); empty when none is named.
    """

    text: str
    scale: float
    dimension: Dimension
    of: str = ""
    per: str = ""

    def to(self, target: Unit | str) -> float:
        """The factor that turns a number in this unit into a number in `target`.

        Raises:
            RuleError: `base.unit_mismatch` when the dimensions differ.

        Example:
            >>> unit("MWh").to("GJ")
            3.6
        """
        other = unit(target) if isinstance(target, str) else target
        if other.dimension != self.dimension:
            raise RuleError("base.unit_mismatch", text=self.text, target=other.text)
        return self.scale / other.scale

    def converts_to(self, target: Unit | str) -> bool:
        """Whether numbers in this unit can be turned into numbers in `target`."""
        other = unit(target) if isinstance(target, str) else target
        return other.dimension == self.dimension

    def __mul__(self, other: Unit) -> Unit:
        dimension = tuple(a + b for a, b in zip(self.dimension, other.dimension, strict=True))
        return Unit(f"{self.text}*{other.text}", self.scale * other.scale, dimension)  # type: ignore[arg-type]

    def __truediv__(self, other: Unit) -> Unit:
        dimension = tuple(a - b for a, b in zip(self.dimension, other.dimension, strict=True))
        return Unit(f"{self.text}/({other.text})", self.scale / other.scale, dimension)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit.

    Example:
        >>> Quantity.parse("200 kW").to("MW")
        0.2
    """

    value: float
    unit: Unit

    @classmethod
    def parse(cls, written: str, expected: str | None = None) -> Quantity:
        """Reads "200 kW" or "85 %"; a bare number is allowed only when the expected unit is "1".

        Raises:
            RuleError: `base.not_a_quantity`, `base.unknown_unit` or, with `expected`, `base.unit_mismatch`.
        """
        match = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\s,.].*?)?\s*", written)
        if not match or math.isinf(float(match[1])) or (match[2] is None and expected not in (None, "1")):
            raise RuleError("base.not_a_quantity", text=written)
        quantity = cls(float(match[1]), unit(match[2] or "1"))
        if expected is not None and not quantity.unit.converts_to(expected):
            raise RuleError("base.unit_mismatch", text=written, target=expected)
        return quantity

    def to(self, target: Unit | str) -> float:
        """The number in `target`."""
        return self.value * self.unit.to(target)

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit.text}"


@lru_cache(maxsize=4096)
def unit(written: str) -> Unit:
    """Parses a unit such as `kWh`, `kg CO2/TJ`, `kg CH4/head/yr`, `mg/Nm3`, `kt/10^6 m3 gas`.

    Words that are no unit are substances and must follow one ("t clinker"). Every `/` divides.

    Raises:
        RuleError: `base.unknown_unit`, with the nearest known unit as a hint.
    """
    scale, dimension, of, per = 1.0, list(_NONE), "", ""
    parts = written.replace("(", " ").replace(")", " ").split("/")
    for position, part in enumerate(parts):
        sign = 1 if position == 0 else -1
        factor, exponents, substance = _part(part, written)
        scale *= factor**sign
        dimension = [have + sign * add for have, add in zip(dimension, exponents, strict=True)]
        if position == 0:
            of = substance
        elif substance and not per:
            per = substance
    if not 0 < scale < math.inf:
        raise RuleError("base.unknown_unit", text=written, hint="")
    return Unit(written, scale, tuple(dimension), of, per)  # type: ignore[arg-type]


def _part(part: str, written: str) -> tuple[float, Dimension, str]:
    """Scale, dimension and substance of what stands between two slashes."""
    scale, dimension, known, understood = 1.0, list(_NONE), False, True
    words: list[str] = []
    for token in _tokens(part):
        name = _ALIASES.get(token, token)
        if name in _TABLE and not words:
            factor, exponents = _TABLE[name]
            scale *= factor
            dimension = [have + add for have, add in zip(dimension, exponents, strict=True)]
            known = True
        elif not words and (number := _NUMBER.fullmatch(token)):
            understood = understood and not known  # "10^3 kWh"; a number behind its unit is not guessed at
            scale *= float(number[2] or 10.0 ** int(number[1]))
        else:
            words.append(token)
    if not (known and understood and 0 < scale < math.inf):
        hint = did_you_mean(part.strip(), [*_ALIASES, *_TABLE])
        raise RuleError("base.unknown_unit", text=written, hint=hint)
    return scale, tuple(dimension), " ".join(words)  # type: ignore[return-value]


def _tokens(part: str) -> Iterator[str]:
    """Splits on spaces, `*` and `·`; `kW·h` is two tokens, `N2O-N` one."""
    for token in re.split(r"[\s*·]+", part.strip()):
        glued = _GLUED.fullmatch(token)
        if glued:
            yield from glued.groups()
        elif token:
            yield token
