# SPDX-License-Identifier: Apache-2.0
"""What vehicles emit at a speed: classes of vehicles, and factor curves of several sources side by side.

Comes in: a class of vehicles, a pollutant, a source, a day. Goes out: a `Curve` with grams (or kWh) per kilometer at any speed, how far
single streets lie from it, and the spread of what the sources say: for motorcycles that spread is the largest doubt of all, larger than
anything that counting cannot see. The rows stand in `rules/data/vehicle_speed_curves.csv` and `vehicle_classes.csv`.
Cold starts, evaporation and dust from roads are in none of them.

Two dates belong to a row. `published` is the day of its edition: of several editions of one source that hold on a day the newest counts, for
days before it was published, too, as an inventory is reckoned anew with what is known now. `valid_from` and `valid_to` are for an edition that
itself says for which days of traffic it holds; then the earlier edition goes on before them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from mangrove import text
from mangrove.errors import RuleError, did_you_mean
from mangrove.rules import tables

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

POLLUTANTS = ("CO2", "CO", "NOx", "PM", "HC", "fuel", "electricity")
"""What curves exist of: g/km, electricity in kWh/km. PM of HBEFA holds exhaust and wear, that of COPERT exhaust alone."""
SOURCES = ("hbefa", "copert", "measured", "consumption")
USUAL_SPEED = 20.0
"""Speed at which the sources are compared, km/h: the reference speed of the factors of motorcycles in Viet Nam that were found."""
FLEET = "fleet"
"""The technology of rows that hold for a whole fleet."""
_TRUSTED_OF = {"CO": "copert", "HC": "copert"}
"""The source that is taken first where another fails a check: carbon monoxide and hydrocarbons of HBEFA as fitted in SUMO (errors of fit
up to 93 %; of motorcycles a quarter to a tenth of COPERT, and rising with speed)."""
_STANDARDS = {
    "preEuro": 0, "Euro-1": 1, "Euro-2": 2, "Euro-3": 3, "Euro-4": 4, "Euro-5": 5, "Euro-6": 6,
    "Euro-I": 1, "Euro-II": 2, "Euro-III": 3, "Euro-IV": 4, "Euro-V": 5, "Euro-VI": 6,
}  # fmt: skip
_Z90 = 1.6448536269514722
"""Half-width of a normal distribution's 90 % interval, in standard deviations."""
USUAL_LIMIT = 40.0
"""Speed limit where nobody states one, km/h: that of every street of the District 1/3 network."""
_SLOWEST, _FASTEST, _LEAST_LIMIT = 0.5, 55.0, 20.0
"""Speeds that curves of a mean speed are asked at, and the least limit, km/h: outside, hardly any street of the fit was."""


@dataclass(frozen=True, slots=True)
class VehicleClass:
    """A class of vehicles as they are counted.

    Attributes:
        key: `motorbike`, `car`, ...; aliases: other words for it.
        motorcycle_units: how many motorcycles it takes the room of in traffic; None where no source says.
        technology: the emission standard that is assumed when nobody states one; energy: `petrol`, `diesel`, `electricity` or empty.
        factor: activity key of its factor without speed; gpc: reference of the GPC.
        sumo_class, sumo_emission_class: in SUMO.
    """

    key: str
    name_en: str
    name_vi: str
    motorcycle_units: float | None
    technology: str
    energy: str
    factor: str
    sumo_class: str
    sumo_emission_class: str
    aliases: tuple[str, ...]
    gpc: str
    status: str
    source: str
    note: str

    def name(self, lang: str) -> str:
        """What it is called."""
        return self.name_vi if lang == "vi" else self.name_en


@dataclass(frozen=True, slots=True)
class Curve:
    """What one class of vehicles emits per kilometer, by mean speed.

    Attributes:
        id: `hbefa:motorbike/Euro-3/CO2`; unit: `g/km` or `kWh/km`.
        form, coefficients, scale: see `FORMS`; the value is the form times the scale.
        slowest, fastest: km/h; speeds outside, and limits above, are taken as these.
        error: relative standard deviation that the source states of its own fit; None when it states none.
        link_scatter, scatter: of single cells: relative variance = link_scatter^2 (of the street) + scatter^2 / vehicle-km; from HBEFA.
        edition, published: of what, and when it came out: HBEFA as SUMO ships it, by SUMO's change log; None of what was never published.
        valid_from, valid_to: days of traffic for which the edition says that it holds, half-open; None: open.
        low, high: 5 % and 95 % of the factor at `USUAL_SPEED` over the sources of the class, relative to this curve.
    """

    id: str
    vehicle: str
    technology: str
    pollutant: str
    source: str
    form: str
    coefficients: tuple[float, ...]
    scale: float
    unit: str
    slowest: float
    fastest: float
    error: float | None
    link_scatter: float
    scatter: float
    edition: str
    published: date | None
    valid_from: date | None
    valid_to: date | None
    status: str
    document: str
    item: str
    note: str
    low: float = 1.0
    high: float = 1.0

    def at(self, speed: Any, limit: Any = None) -> Floats:
        """Grams (kWh) per kilometer at mean speeds in km/h; never below zero.

        Args:
            speed: mean over the vehicles, those that stand with them.
            limit: of the streets, km/h, to the same shape; `USUAL_LIMIT` where it is NaN or None. Only `street` hangs on it: at the same
                mean speed vehicles of a faster street have stood longer and speeded up to more.

        Example:
            >>> motorbike = curve("motorbike", "CO2")
            >>> [round(float(x)) for x in motorbike.at([10, 20, 30])]
            [91, 50, 36]
            >>> [round(float(x)) for x in motorbike.at([10, 20, 30], 50)]
            [97, 57, 44]
        """
        import numpy as np

        slowest, fastest = max(self.slowest, _SLOWEST), min(self.fastest, _FASTEST)
        clipped = np.clip(np.asarray(speed, dtype=np.float64), slowest, fastest)
        if self.form == STREET:
            stated = np.asarray(USUAL_LIMIT if limit is None else limit, dtype=np.float64)
            known = np.where(np.isnan(stated), USUAL_LIMIT, stated)
            reached = np.maximum(np.clip(known, _LEAST_LIMIT, fastest), clipped)
            value = _street(clipped, reached, *self.coefficients)
        else:
            value = FORMS[self.form](clipped, *self.coefficients)
        found: Floats = np.maximum(self.scale * value, 0.0)
        return found

    def slope(self, speed: Any, limit: Any = None) -> Floats:
        """Change of the factor with speed, per km/h, by a difference of 1 %."""
        import numpy as np

        there = np.asarray(speed, dtype=np.float64)
        step = np.maximum(there, _SLOWEST) * 0.01
        return (self.at(there + step, limit) - self.at(there - step, limit)) / (2 * step)

    @property
    def median(self) -> float:
        """Middle of what the sources say, relative to this curve."""
        return math.sqrt(self.low * self.high)

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm of the factor, over the sources."""
        return math.log(self.high / self.low) / (2 * _Z90)

    @property
    def mean(self) -> float:
        """Mean of what the sources hold possible, relative to this curve."""
        return self.median * math.exp(self.sigma**2 / 2)

    @property
    def spread(self) -> float:
        """Its standard deviation, relative to this curve."""
        return self.mean * math.sqrt(math.expm1(self.sigma**2))

    def draw(self, count: int, seed: int = 0) -> Floats:
        """(count,) multipliers of the curve: lognormal, 90 % of them between `low` and `high`.

        The same seed gives the same error of a class of vehicles for every curve of CO2 and fuel, in every plan: what is compared
        with the same draws shares its errors.
        """
        import numpy as np

        shared = "CO2" if self.pollutant == "fuel" else self.pollutant
        stream = np.random.default_rng([seed, zlib.crc32(f"{self.vehicle}/{shared}".encode())])
        drawn: Floats = self.median * np.exp(self.sigma * stream.standard_normal(count))
        return drawn


def curve(
    vehicle: str, pollutant: str, *, source: str = "", technology: str = "", on: date | None = None
) -> Curve:
    """The curve of a class of vehicles.

    Args:
        vehicle: a class or another word for it.
        pollutant: one of `POLLUTANTS`.
        source: one of `SOURCES`; the most trusted one that has the technology when empty.
        technology: emission standard ("Euro-2", "diesel Euro-4"); the assumed one of the class when empty.
        on: the day of the traffic, of which the newest edition is taken; today when None.

    Raises:
        RuleError: `vehicles.unknown_class`, `vehicles.unknown_pollutant`, `vehicles.unknown_source`, `vehicles.no_curve`.

    Example:
        >>> curve("xe máy", "CO").source, round(float(curve("motorbike", "CO").at(20)), 1)
        ('copert', 2.7)
        >>> curve("motorbike", "CO").edition, f"{curve('motorbike', 'CO').published}"
        ('EMEP/EEA guidebook 2013', '2013-08-29')
    """
    known = vehicle_class(vehicle)
    wanted = technology or known.technology
    if source and source not in SOURCES:
        raise RuleError(
            "vehicles.unknown_source",
            text=source,
            options=", ".join(SOURCES),
            hint=did_you_mean(source, SOURCES),
        )
    found = [one for one in curves(known.key, pollutant, on=on) if one.technology in (wanted, FLEET)]
    chosen = [one for one in found if one.source == (source or one.source)]
    if not chosen:
        raise _absent(known.key, pollutant, source, wanted, on)
    first = _TRUSTED_OF.get(pollutant, "hbefa")
    best = min(chosen, key=lambda one: (one.source != first, SOURCES.index(one.source)))
    return _spanned(best, found, stated=bool(technology), on=on)


def curves(vehicle: str, pollutant: str, *, on: date | None = None) -> tuple[Curve, ...]:
    """Every curve of a class and a pollutant, of all technologies and sources, in file order; of each its newest edition on that day."""
    if pollutant not in POLLUTANTS:
        near = did_you_mean(pollutant, POLLUTANTS)
        raise RuleError(
            "vehicles.unknown_pollutant", text=pollutant, options=", ".join(POLLUTANTS), hint=near
        )
    day, key = on or date.today(), vehicle_class(vehicle).key  # noqa: DTZ011 - a rule holds for local days
    return _newest(
        one
        for one in _curves()
        if (one.vehicle, one.pollutant) == (key, pollutant)
        and (one.valid_from is None or one.valid_from <= day)
        and (one.valid_to is None or day < one.valid_to)
    )


def _newest(held: Iterable[Curve]) -> tuple[Curve, ...]:
    """Of each source and technology the edition that was published last; what has no date is older than anything that has one."""
    found: dict[tuple[str, str], Curve] = {}
    for one in held:
        own = one.source, one.technology
        known = found.get(own)
        if known is None or (one.published or date.min) > (known.published or date.min):
            found[own] = one
    return tuple(found.values())


def vehicle_class(word: str) -> VehicleClass:
    """The class with this key, name or other word.

    Example:
        >>> vehicle_class("moto").key, vehicle_class("Xe buýt").motorcycle_units
        ('motorbike', 10.5)
    """
    found = _words().get(text.fold(word).replace(" ", "_"))
    if found is None:
        options = [one.key for one in vehicle_classes()]
        raise RuleError(
            "vehicles.unknown_class", text=word, options=", ".join(options), hint=did_you_mean(word, options)
        )
    return found


def motorcycle_units(vehicle: str) -> float:
    """How many motorcycles one vehicle counts as (ASCE JTE 138(6) 2012, Ha Noi).

    Raises:
        RuleError: `vehicles.no_units`: no source says.
    """
    known = vehicle_class(vehicle)
    if known.motorcycle_units is None:
        raise RuleError("vehicles.no_units", vehicle=known.key)
    return known.motorcycle_units


@cache
def vehicle_classes() -> tuple[VehicleClass, ...]:
    """Every class, in file order."""
    return tuple(
        VehicleClass(
            **{name: row[name] for name in row if name not in ("motorcycle_units", "aliases")},
            motorcycle_units=tables.number(row["motorcycle_units"]),
            aliases=tuple(row["aliases"].split()),
        )
        for row in tables.rows("vehicle_classes")
    )


def digest() -> str:
    """SHA-256 (hex) over the tables, so that a result can say what it was reckoned with."""
    return tables.digest("vehicle_speed_curves", "vehicle_classes")


@cache
def _words() -> dict[str, VehicleClass]:
    return {
        text.fold(word).replace(" ", "_"): one
        for one in vehicle_classes()
        for word in (one.key, one.name_en, one.name_vi, *one.aliases)
    }


@cache
def _curves() -> tuple[Curve, ...]:
    rows = tables.rows("vehicle_speed_curves")
    scatter = {
        (row["vehicle"], row["technology"], row["pollutant"]): (
            float(row["link_scatter"]),
            float(row["scatter"]),
        )
        for row in rows
        if row["scatter"]
    }
    assumed = {one.key: one.technology for one in vehicle_classes()}
    made = []
    for row in rows:
        vehicle, pollutant = row["vehicle"], row["pollutant"]
        same = scatter.get((vehicle, row["technology"], pollutant))
        of_link, of_cell = same or scatter[vehicle, assumed[vehicle], pollutant]
        made.append(
            Curve(
                id=row["id"],
                vehicle=vehicle,
                technology=row["technology"],
                pollutant=pollutant,
                source=row["source"],
                form=row["form"],
                coefficients=tuple(map(float, row["coefficients"].split())),
                scale=float(row["scale"] or 1),
                unit=row["unit"],
                slowest=float(row["slowest"]),
                fastest=float(row["fastest"]),
                error=tables.number(row["error"]),
                link_scatter=of_link,
                scatter=of_cell,
                edition=row["edition"],
                published=tables.day(row["published"]),
                valid_from=tables.day(row["valid_from"]),
                valid_to=tables.day(row["valid_to"]),
                status=row["status"],
                document=row["document"],
                item=row["item"],
                note=row["note"],
            )
        )
    return tuple(made)


def _spanned(best: Curve, found: list[Curve], *, stated: bool, on: date | None) -> Curve:
    """The curve with the range of the sources at the usual speed, each with its own 90 % interval.

    A technology that is only assumed may be one standard older or newer; so may one of a source that states no error of its own.
    """
    from dataclasses import replace

    first = _TRUSTED_OF.get(best.pollutant)
    kept = [one for one in found if first is None or one.source == first or one is best]
    if not stated or all(one.error is None for one in kept):
        kept += _neighbors(best, on)
    own = float(best.at(USUAL_SPEED))
    low = min(float(one.at(USUAL_SPEED)) * math.exp(-_Z90 * (one.error or 0.0)) for one in kept)
    high = max(float(one.at(USUAL_SPEED)) * math.exp(_Z90 * (one.error or 0.0)) for one in kept)
    return replace(best, low=low / own, high=high / own)


def _neighbors(best: Curve, on: date | None) -> list[Curve]:
    """The curves of the same source one emission standard older and newer."""
    fuel, _, standard = best.technology.rpartition(" ")
    if standard not in _STANDARDS:
        return []
    near = {other for other, order in _STANDARDS.items() if abs(order - _STANDARDS[standard]) == 1}
    return [
        one
        for one in curves(best.vehicle, best.pollutant, on=on)
        if one.source == best.source
        and one.technology.rpartition(" ")[0] == fuel
        and one.technology.rpartition(" ")[2] in near
    ]


def _absent(vehicle: str, pollutant: str, source: str, technology: str, on: date | None) -> RuleError:
    there = [f"{one.source}:{one.technology}" for one in curves(vehicle, pollutant, on=on)]
    return RuleError(
        "vehicles.no_curve",
        vehicle=vehicle,
        pollutant=pollutant,
        technology=technology or "-",
        source=source or "-",
        available=", ".join(there) or "-",
    )


def _street(v: Floats, w: Floats, *coefficients: float) -> Floats:
    a, b, c, d, e, f = coefficients
    return a + b / v + c * v + d * v**2 + w * (e * w + f * (w - v))


def _polynomial(v: Floats, *coefficients: float) -> Floats:
    import numpy as np

    found: Floats = np.asarray(np.polyval(coefficients, v), dtype=np.float64)
    return found


def _ratio(v: Floats, *coefficients: float) -> Floats:
    a, b, c, d, e, f = coefficients
    return (a + c * v + e * v**2 + f / v) / (1 + b * v + d * v**2)


def _sigmoid(v: Floats, *coefficients: float) -> Floats:
    import numpy as np

    a, b, c, d, e = coefficients
    return a + b / (1 + np.exp(-c + d * np.log(v) + e * v))


def _powers(v: Floats, a: float, b: float, c: float, d: float) -> Floats:
    return a * v**b + c * v**d


def _inverse(v: Floats, a: float, b: float, c: float) -> Floats:
    return 1 / (a + b * v + c * v**2)


def _saturating(v: Floats, a: float, b: float, c: float, d: float) -> Floats:
    import numpy as np

    return a - b * np.exp(-c * v**d)


def _constant(v: Floats, a: float) -> Floats:
    return 0 * v + a


FORMS: dict[str, Callable[..., Floats]] = {
    "polynomial": _polynomial, "ratio": _ratio, "sigmoid": _sigmoid, "powers": _powers,
    "inverse": _inverse, "saturating": _saturating, "constant": _constant,
}  # fmt: skip
"""Forms of curves, v in km/h: `polynomial` highest power first; and the numbered forms of the EMEP/EEA guidebook 2013 (annexed tables):
`ratio` 1, `sigmoid` 6, `powers` 9, `inverse` 12, `saturating` 16 (`polynomial` is 17)."""
STREET = "street"
"""The form of mean speed v and speed limit w, a + b/v + c v + d v2 + w (e w + f (w - v)): a, c, d and e are what driving takes, b what standing
takes in an hour, f what it takes to get up to the limit again, the energy of motion (w2) times the share by which the mean falls behind it."""
