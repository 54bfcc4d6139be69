# SPDX-License-Identifier: Apache-2.0
"""SunSpec: what inverters, meters and batteries say of themselves over Modbus, by names instead of register numbers.

Comes in: a Modbus connection and points like `103.W` (model 103, point W) or `802.SoC`. Goes out: their values in the model's unit, scale
factors applied, None where the device says "not available". A SunSpec device begins with the letters `SunS` at one of three
registers; a chain of models follows, each with its number and its length, closed by number 0xFFFF.

The tables of points (`sunspec_models.csv`: offset from the model's first register, size in registers, type, name of the scale
factor, unit) are those of the SunSpec Information Model Reference, as published in the JSON and SMDX forms of the SunSpec Alliance's
repository `models` (2026-04-22); both forms agree on every row that both have. Types and the bits of "not available" are those
of the SunSpec Device Information Model Specification 1.1.
"""

from __future__ import annotations

import csv
import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import NamedTuple

from mangrove.errors import Problem, SourceError, Where, did_you_mean
from mangrove.operate.devices import Reading, Setpoint
from mangrove.sources.modbus import MOST_WORDS, Block, Link, RefusedError, Register, blocks, decode, link_of
from mangrove.territory.model import Territory
from mangrove.units import Quantity, Unit, unit

BASES = (40000, 50000, 0)
"""Where `SunS` may stand (SunSpec Device Information Model Specification 1.1)."""
MARK = (0x5375, 0x6E53)
"""`SunS`."""
END = 0xFFFF
MOST_MODELS = 100
"""Models in a chain at most; a device whose chain is longer gives lengths that make no sense."""
COMMON = 1
STORAGE = 124
NAMEPLATE = 120
CHARGE, DISCHARGE = 1, 2
"""Bits of `StorCtl_Mod` in model 124: which of the two limits hold."""
MOST_SECONDS = 0xFFFE
_TYPES = {
    "int16": "int16", "uint16": "uint16", "acc16": "uint16", "enum16": "uint16", "bitfield16": "uint16", "sunssf": "int16",
    "int32": "int32", "uint32": "uint32", "acc32": "uint32", "enum32": "uint32", "bitfield32": "uint32",
    "int64": "int64", "uint64": "uint64", "acc64": "uint64", "float32": "float32", "float64": "float64",
}  # fmt: skip
_POINT = re.compile(r"(\d{1,5})\.([A-Za-z][A-Za-z0-9_]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """One row of a model's table.

    Attributes:
        model, name: `103`, `W`; offset: registers from the model's number; size: registers; type: as SunSpec names it.
        scale: the point that holds the power of ten, or the power itself, or empty.
        written: the unit as SunSpec prints it; access: `r` or `rw`; note: what it is.
    """

    model: int
    name: str
    offset: int
    size: int
    type: str
    scale: str = ""
    written: str = ""
    access: str = "r"
    note: str = ""

    @property
    def unit(self) -> Unit | None:
        """The unit; `1` for states and counts. Raises `RuleError` for volts, amperes and the like: no flow has them."""
        return unit(self.written or "1")


@cache
def models() -> dict[int, dict[str, ModelPoint]]:
    """The tables of all models that can be read: points by name, by model."""
    text = (resources.files("mangrove.sources") / "sunspec_models.csv").read_text(encoding="utf-8")
    found: dict[int, dict[str, ModelPoint]] = {}
    for row in csv.DictReader(text.splitlines()):
        for model in map(int, row["models"].split()):
            point = ModelPoint(
                model, row["point"], int(row["offset"]), int(row["size"]), row["type"], row["scale"], row["unit"],
                row["access"], row["note"],
            )  # fmt: skip
            found.setdefault(model, {})[point.name] = point
    return found


def is_point(address: str) -> bool:
    """Whether an address is written like `103.W`."""
    return _POINT.fullmatch(address.strip()) is not None


def point_of(address: str, where: Where | None = None) -> ModelPoint:
    """The point of an address.

    Raises:
        SourceError: `devices.bad_register`, `devices.sunspec_unknown`, `devices.sunspec_point`.

    Example:
        >>> point_of("203.TotWhImp").written
        'Wh'
    """
    match = _POINT.fullmatch(address.strip())
    if match is None:
        raise SourceError("devices.bad_register", where=where, address=address, example="103.W")
    model, name = int(match[1]), match[2]
    table = models().get(model)
    if table is None:
        options = ", ".join(map(str, models()))
        raise SourceError("devices.sunspec_unknown", where=where, model=model, options=options)
    if name not in table:
        hint = did_you_mean(name, table)
        raise SourceError("devices.sunspec_point", where=where, model=model, point=name, hint=hint)
    return table[name]


class Found(NamedTuple):
    """Values by point, and what kept some of them away."""

    values: dict[ModelPoint, float | None]
    problem: Problem | None


class Place(NamedTuple):
    """Where a model lies: its first register (that of its number) and its length without number and length."""

    address: int
    length: int


class SunSpec:
    """The models of one device. The chain is walked once for every connection.

    Args:
        link: to the device.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._chain: dict[int, Place] = {}

    def read(self, wanted: Sequence[ModelPoint]) -> Found:
        """The values of points, with the scale factors that they name.

        A model that the device lacks, or a point beyond its model's length, is a problem of that point.

        Raises:
            SourceError: `devices.no_sunspec`, `devices.sunspec_chain`, or the device does not answer.
        """
        chain = self.chain()
        problem: Problem | None = None
        spots: dict[ModelPoint, list[ModelPoint]] = {}
        for point in wanted:
            try:
                spots[point] = self._with_scale(point, chain)
            except SourceError as error:
                problem = error.problem
        try:
            words = self._words({one for group in spots.values() for one in group}, chain)
        except SourceError:
            self._chain = {}  # the device may come back with other models
            raise
        values: dict[ModelPoint, float | None] = dict.fromkeys(wanted)
        values.update({point: _value(point, words) for point in spots})
        return Found(values, problem)

    def chain(self) -> dict[int, Place]:
        """Where each model of the device lies; of a model that comes twice, the first."""
        if not self._chain:
            self._chain = self._walk(self._base())
        return self._chain

    def words_of(self, model: int) -> tuple[Place, list[int]]:
        """All registers of a model, its number first; raises `devices.sunspec_model` when the device lacks it."""
        place = self._place(model, self.chain())
        words: list[int] = []
        while len(words) < place.length + 2:
            count = min(place.length + 2 - len(words), MOST_WORDS)
            words += self._link.read(Block("holding", place.address + len(words), count))
        return place, words

    def _base(self) -> int:
        for base in BASES:
            try:
                if tuple(self._link.read(Block("holding", base, 2))) == MARK:
                    return base + 2
            except RefusedError:
                continue
        bases = ", ".join(map(str, BASES))
        raise SourceError("devices.no_sunspec", address=self._link.address, bases=bases)

    def _walk(self, address: int) -> dict[int, Place]:
        chain: dict[int, Place] = {}
        model, length = 0, 0
        for _ in range(MOST_MODELS):
            if address + 2 > 0x10000:  # noqa: PLR2004 - registers end there
                break
            model, length = self._link.read(Block("holding", address, 2))
            if model == END:
                return chain
            chain.setdefault(model, Place(address, length))
            address += length + 2
        raise SourceError(
            "devices.sunspec_chain", address=self._link.address, model=model, register=address, length=length
        )

    def _place(self, model: int, chain: Mapping[int, Place]) -> Place:
        if model not in chain:
            options = ", ".join(map(str, chain))
            raise SourceError("devices.sunspec_model", model=model, options=options)
        return chain[model]

    def _with_scale(self, point: ModelPoint, chain: Mapping[int, Place]) -> list[ModelPoint]:
        """The point and the one with its power of ten, both inside the model as the device has it."""
        place = self._place(point.model, chain)
        table = models()[point.model]
        group = [point, table[point.scale]] if point.scale in table else [point]
        for one in group:
            if one.offset + one.size > place.length + 2:
                raise SourceError(
                    "devices.sunspec_length", model=point.model, length=place.length, point=one.name
                )
        return group

    def _words(self, wanted: Iterable[ModelPoint], chain: Mapping[int, Place]) -> dict[tuple[int, int], int]:
        """Registers by model and offset, read in as few requests as possible."""
        spots = {one: chain[one.model].address + one.offset for one in wanted}
        read: dict[int, int] = {}
        for model in dict.fromkeys(
            one.model for one in spots
        ):  # some devices refuse to read on into the next model
            mine = [(one, at) for one, at in spots.items() if one.model == model]
            single = [Register("holding", at + i) for one, at in mine for i in range(one.size)]
            for block in blocks(single, gap=MOST_WORDS):
                found = self._link.read(block)
                read.update({block.address + i: word for i, word in enumerate(found)})
        return {
            (one.model, one.offset + i): read[at + i] for one, at in spots.items() for i in range(one.size)
        }


def _value(point: ModelPoint, words: Mapping[tuple[int, int], int]) -> float | None:
    """The number of a point; None for "not available", for text, and when its scale factor is not available."""
    raw = _raw(point, words)
    if raw is None or not point.scale:
        return raw
    named = models()[point.model].get(point.scale)
    power = float(point.scale) if named is None else _raw(named, words)
    return None if power is None else scaled(raw, power)


def scaled(raw: float, power: float) -> float:
    """`raw` times a power of ten; divided for a negative one, which rounds once: 1234 and -1 give 123.4.

    Example:
        >>> scaled(1234.0, -1.0)
        123.4
    """
    return float(raw * 10.0**power) if power >= 0 else float(raw / 10.0**-power)


def _raw(point: ModelPoint, words: Mapping[tuple[int, int], int]) -> float | None:
    kind = _TYPES.get(point.type)
    if kind is None:
        return None
    value = decode([words[point.model, point.offset + i] for i in range(point.size)], kind, sentinel=True)
    return None if value == 0 and point.type.startswith("acc") else value


def text_of(words: Sequence[int]) -> str:
    """A string point: UTF-8, ended by zeros.

    Example:
        >>> text_of([0x4D67, 0x0000])
        'Mg'
    """
    body = b"".join(word.to_bytes(2, "big") for word in words)
    return body.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()


class ModbusBattery:
    """A battery behind SunSpec model 124 (Basic Storage Controls); a `Device` of the device layer.

    Positive power charges. P is told as a window without width: the limits of charge and of discharge meet at P, so `InWRte` = +P of
    `WChaMax` and `OutWRte` = -P of the greatest discharge, both bits of `StorCtl_Mod` set. A negative limit of one direction is
    the least that must flow in the other (Fronius, GEN24 Modbus TCP & RTU, 42,0410,2649,
    model 124, power window). The greatest discharge is `MaxDisChaRte` of model 120, or `WChaMax` when the device does not say. Percents are rounded
    towards zero: the device is never told more than was asked. `InOutWRte_RvrtTms` is what is left of the set-point, so that an
    inverter that hears nothing more returns to its own control. Whether it may charge from the grid (`ChaGriSet`) stays as people
    set it.

    Args:
        id: of the asset.
        link: to the inverter.
        capacity: kWh that 100 % of its state of charge stand for; None: levels are not known.
        now: the clock, from which the time that is left counts; None: it counts from the set-point's start.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the word of the protocol
        link: Link,
        capacity: float | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._id = id
        self._link = link
        self._sunspec = SunSpec(link)
        self._capacity = capacity
        self._now = now
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """The id of the asset."""
        return self._id

    def read(self) -> Reading:
        """The set-point that stands in the device (kW; 0 when it follows its own control), the level, and its own limits."""
        with self._lock:
            found = self._sunspec.read([*_control(), _point(NAMEPLATE, "MaxDisChaRte")]).values
        charge, discharge = self._most(found)
        into = found[_point(STORAGE, "InWRte")]
        out = found[_point(STORAGE, "OutWRte")]
        power = 0.0
        if (
            found[_point(STORAGE, "StorCtl_Mod")] == CHARGE + DISCHARGE
            and into is not None
            and out is not None
        ):
            power = into / 100 * charge if into >= 0 else -out / 100 * discharge
        state = found[_point(STORAGE, "ChaState")]
        level = None if state is None or self._capacity is None else state / 100 * self._capacity
        return Reading(power, level, -discharge, charge)

    def write(self, setpoint: Setpoint) -> None:
        """Tells the device a power until the set-point expires.

        Raises:
            SourceError: `devices.not_writable` (no `WChaMax`, or no scale factor), `devices.out_of_range`, or the device does not
                answer or refuses. What stood there before then holds until its own time is over.
        """
        with self._lock:
            found = self._sunspec.read([*_control(), _point(NAMEPLATE, "MaxDisChaRte")]).values
            charge, discharge = self._most(found)
            place, words = self._sunspec.words_of(STORAGE)
            power = decode([words[_point(STORAGE, "InOutWRte_SF").offset]], "int16", sentinel=True)
            if power is None:
                raise SourceError("devices.not_writable", point="InOutWRte_SF", model=STORAGE)
            rates = [-setpoint.power / discharge * 100, setpoint.power / charge * 100]
            first = _point(STORAGE, "OutWRte").offset
            told = [_percent(rate, power) for rate in rates] + words[first + 2 : first + 4]
            if told[2] != END:  # 0xFFFF: not implemented
                told[2] = 0
            if told[3] != END:
                since = setpoint.start if self._now is None else self._now()
                seconds = (setpoint.expires - since).total_seconds()
                told[3] = min(max(math.ceil(seconds), 1), MOST_SECONDS)
            self._link.write(place.address + first, told)
            self._link.write(place.address + _point(STORAGE, "StorCtl_Mod").offset, [CHARGE + DISCHARGE])

    def _most(self, found: Mapping[ModelPoint, float | None]) -> tuple[float, float]:
        """The greatest charge and discharge that the percents refer to, kW."""
        charge = found[_point(STORAGE, "WChaMax")]
        if not charge:
            raise SourceError("devices.not_writable", point="WChaMax", model=STORAGE)
        return charge / 1000, (found[_point(NAMEPLATE, "MaxDisChaRte")] or charge) / 1000


def batteries(territory: Territory, now: Callable[[], datetime]) -> dict[str, ModbusBattery]:
    """The batteries that can be told what to do: Modbus devices whose parameter `asset` names a battery, by asset.

    Args:
        territory: its devices and assets.
        now: the clock.

    Raises:
        SourceError: `devices.bad_address`, `devices.bad_parameter`, `devices.no_battery`.
    """
    found: dict[str, ModbusBattery] = {}
    for device in territory.devices.values():
        named = device.parameters.get("asset")
        if device.protocol != "modbus" or named is None:
            continue
        asset = territory.assets.get(named) if isinstance(named, str) else None
        if asset is None or asset.type != "battery":
            known = [one.id for one in territory.assets.values() if one.type == "battery"]
            hint, options = did_you_mean(str(named), known), ", ".join(known)
            raise SourceError(
                "devices.no_battery", where=device.where, asset=str(named), hint=hint, options=options
            )
        energy = asset.parameters.get("energy")
        capacity = energy.to("kWh") if isinstance(energy, Quantity) else None
        found[asset.id] = ModbusBattery(asset.id, link_of(device), capacity, now)
    return found


def _point(model: int, name: str) -> ModelPoint:
    return models()[model][name]


def _control() -> list[ModelPoint]:
    return [_point(STORAGE, name) for name in ("WChaMax", "StorCtl_Mod", "ChaState", "OutWRte", "InWRte")]


def _percent(rate: float, power: float) -> int:
    """The register of a rate in percent: scaled, rounded towards zero, in two's complement."""
    raw = math.trunc(round(scaled(rate, -power), 6))
    if not -0x8000 < raw <= 0x7FFF:  # noqa: PLR2004 - the range of int16, without "not available"
        raise SourceError("devices.out_of_range", value=rate, point="InWRte", model=STORAGE)
    return raw & 0xFFFF
