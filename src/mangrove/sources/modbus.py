# SPDX-License-Identifier: Apache-2.0
"""Modbus TCP: registers of meters and inverters, read in as few requests as possible.

Comes in: a device (`tcp://10.0.0.7:502`, parameter `unit=1`) and its points, each a register (`holding:40071:int32`, `input:12:float32:swap`)
or a SunSpec point (`103.W`, see `sunspec`). Goes out: numbers as the device means them. Addresses are those of the protocol, from 0;
what a manual prints as register 40001 of a four-digit table is `holding:0`. A register that the device does not give is a problem of
that register and of no other; a device that does not answer is an error.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mangrove.errors import MangroveError, MissingExtraError, Problem, SourceError, Where, did_you_mean
from mangrove.sources.poll import Answer, Sample
from mangrove.territory.model import Device, Point
from mangrove.units import Quantity, Unit

PORT = 502
"""The port of Modbus/TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b)."""
MOST_WORDS = 125
"""Registers in one answer at most (Modbus Application Protocol V1.1b3, 6.3)."""
GAP = 16
"""Registers between two points that are read along: 32 bytes cost less than another request."""
TIMEOUT = 3.0
"""Seconds until a device that says nothing counts as silent, unless its parameter `timeout` says otherwise."""
TYPES = {
    "int16": ("h", 0x8000), "uint16": ("H", 0xFFFF), "int32": ("i", 0x80000000), "uint32": ("I", 0xFFFFFFFF),
    "int64": ("q", 0x8000000000000000), "uint64": ("Q", 0xFFFFFFFFFFFFFFFF), "float32": ("f", None), "float64": ("d", None),
}  # fmt: skip
"""Letter of `struct` and the bits that SunSpec reads as "not available" (Device Information Model Specification 1.1)."""
EXCEPTIONS = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "server device failure", 5: "acknowledge",
    6: "server device busy", 8: "memory parity error", 10: "gateway path unavailable", 11: "gateway target failed to respond",
}  # fmt: skip
"""Exception codes (Modbus Application Protocol V1.1b3, 7)."""
NOT_THERE = frozenset({2, 3})
"""Exceptions that concern the asked registers; the others concern the device."""
_REGISTER = re.compile(r"(holding|input):(\d{1,5})(?::([a-z]+\d*)(:swap)?)?", re.ASCII)
_EXAMPLE = "holding:40071:int32"
_WORD = 0x10000


class RefusedError(SourceError):
    """The device answers a request with an exception; `number` is its code."""

    def __init__(self, address: str, number: int) -> None:
        self.number = number
        name = EXCEPTIONS.get(number, "unknown")
        super().__init__("devices.modbus_exception", address=address, number=number, name=name)


@dataclass(frozen=True, slots=True)
class Register:
    """Where a number lies: table (`holding` or `input`), first address, type; `swap`: its last word comes first."""

    table: str
    address: int
    type: str = "uint16"
    swap: bool = False

    @property
    def words(self) -> int:
        """How many registers it takes."""
        return struct.calcsize(">" + TYPES[self.type][0]) // 2

    @classmethod
    def parse(cls, text: str, where: Where | None = None) -> Register:
        """Reads `holding:40071:int32`, `input:12:float32:swap`; the type is uint16 when none is written.

        Raises:
            SourceError: `devices.bad_register`, `devices.register_type`.

        Example:
            >>> Register.parse("holding:40071:int32").words
            2
        """
        match = _REGISTER.fullmatch(text.strip())
        if match is None or int(match[2]) >= _WORD:
            raise SourceError("devices.bad_register", where=where, address=text, example=_EXAMPLE)
        kind = match[3] or "uint16"
        if kind not in TYPES:
            hint = did_you_mean(kind, TYPES)
            raise SourceError(
                "devices.register_type", where=where, type=kind, hint=hint, options=", ".join(TYPES)
            )
        return cls(match[1], int(match[2]), kind, bool(match[4]))


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that are asked for in one request."""

    table: str
    address: int
    words: int


def blocks(wanted: Sequence[Register], gap: int = GAP) -> list[Block]:
    """The fewest requests that read all registers, at most `MOST_WORDS` each and over gaps of at most `gap`.

    Example:
        >>> blocks([Register("holding", 10), Register("holding", 12, "int32"), Register("input", 12)])
        [Block(table='holding', address=10, words=4), Block(table='input', address=12, words=1)]
    """
    found: list[Block] = []
    for one in sorted(set(wanted), key=lambda register: (register.table, register.address, -register.words)):
        end = one.address + one.words
        if found and found[-1].table == one.table:
            last = found[-1]
            reach = last.address + last.words
            if one.address - reach <= gap and max(end, reach) - last.address <= MOST_WORDS:
                found[-1] = Block(last.table, last.address, max(end, reach) - last.address)
                continue
        found.append(Block(one.table, one.address, one.words))
    return found


def decode(words: Sequence[int], kind: str, *, swap: bool = False, sentinel: bool = False) -> float | None:
    """The number in registers; None for not-a-number, and with `sentinel` for the bits that mean "not available".

    Example:
        >>> decode([0x0001, 0x86A0], "uint32"), decode([0x8000], "int16", sentinel=True)
        (100000.0, None)
    """
    letter, missing = TYPES[kind]
    ordered = list(reversed(words)) if swap else list(words)
    body = struct.pack(f">{len(ordered)}H", *ordered)
    if sentinel and missing is not None and int.from_bytes(body, "big") == missing:
        return None
    value = float(struct.unpack(f">{letter}", body)[0])
    return value if math.isfinite(value) else None


class Link:
    """A connection to one unit of a Modbus device; it connects when it is used and ends itself after an error.

    Args:
        host: of the device.
        port: likewise.
        unit: the unit behind a gateway, 1 to 247.
        timeout: seconds.

    Raises:
        MissingExtraError: pymodbus is not installed.
    """

    def __init__(self, host: str, port: int = PORT, unit: int = 1, timeout: float = TIMEOUT) -> None:
        try:
            from pymodbus.client import ModbusTcpClient
        except ImportError:
            raise MissingExtraError("devices") from None
        self.address = f"tcp://{host}:{port}"
        self.unit = unit
        self.requests = 0
        self._client: Any = ModbusTcpClient(host, port=port, timeout=timeout, retries=0)

    def read(self, block: Block) -> list[int]:
        """The registers of a block.

        Raises:
            RefusedError: the device answers with an exception.
            SourceError: `devices.no_answer`, `devices.not_modbus`.
        """
        ask = (
            self._client.read_holding_registers
            if block.table == "holding"
            else self._client.read_input_registers
        )
        answer = self._ask(
            ask, f"{block.table}:{block.address}", block.address, count=block.words, device_id=self.unit
        )
        words = list(answer.registers)
        if len(words) != block.words:
            self.close()
            reason = f"{len(words)} != {block.words}"
            raise SourceError("devices.not_modbus", address=self.address, reason=reason)
        return words

    def write(self, address: int, words: Sequence[int]) -> None:
        """Writes holding registers in one request; raises as `read`."""
        self._ask(
            self._client.write_registers, f"holding:{address}", address, list(words), device_id=self.unit
        )

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def _ask(self, ask: Any, register: str, *args: Any, **named: Any) -> Any:
        from pymodbus.exceptions import ModbusException

        self.requests += 1
        try:
            if not self._client.connected and not self._client.connect():
                raise SourceError("devices.no_answer", address=self.address, reason="no connection")
            answer = ask(*args, **named)
        except (ModbusException, OSError, struct.error) as error:
            self.close()  # what still arrives belongs to this question and not to the next one
            raise SourceError("devices.no_answer", address=self.address, reason=str(error)[:200]) from error
        if answer.isError():
            raise RefusedError(register, int(getattr(answer, "exception_code", 0)))
        return answer


@dataclass(frozen=True, slots=True)
class Spot:
    """One point of the table: its register, the register of its scale factor, and the number that means nothing."""

    point: Point
    register: Register
    scale: Register | None = None
    missing: float | None = None
    sentinel: bool = False


def spot(point: Point) -> Spot:
    """Reads the address and the parameters `sf` (register of a power of ten) and `na` (a number, or `sunspec`) of a point.

    Raises:
        SourceError: `devices.bad_register`, `devices.register_type`, `devices.bad_parameter`.
    """
    register = Register.parse(point.address, point.where)
    scale = point.parameters.get("sf")
    na = point.parameters.get("na")
    missing: float | None = None
    if isinstance(na, Quantity):
        missing = na.value
    elif na is not None and na != "sunspec":
        raise SourceError(
            "devices.bad_parameter", where=point.where, name="na", text=na, example="na=65535, na=sunspec"
        )
    if scale is not None and not isinstance(scale, str):
        raise SourceError(
            "devices.bad_parameter",
            where=point.where,
            name="sf",
            text=f"{scale.value:g}",
            example="sf=holding:40075",
        )
    factor = None if scale is None else Register.parse(f"{scale}:int16", point.where)
    return Spot(point, register, factor, missing, na == "sunspec")


class ModbusReader:
    """The registers and SunSpec points of one device; a `Reader`.

    Args:
        device: address `tcp://HOST[:PORT]`; parameters `unit` (1 when not given) and `timeout` (s).
        points: of this device.

    Raises:
        RejectedError, SourceError: an address or a parameter makes no sense.
        MissingExtraError: pymodbus is not installed.
    """

    def __init__(self, device: Device, points: Sequence[Point]) -> None:
        from mangrove.sources.sunspec import SunSpec, is_point, point_of

        self.link = link_of(device)
        self._plain = [spot(point) for point in points if not is_point(point.address)]
        self._named = {
            point.address: point_of(point.address, point.where) for point in points if is_point(point.address)
        }
        self._sunspec = SunSpec(self.link)
        self._blocks = blocks([r for one in self._plain for r in (one.register, one.scale) if r is not None])

    def read(self) -> Answer:
        """Asks for all points. A failure of the device is raised; registers that it does not give are a problem."""
        words: dict[tuple[str, int], int] = {}
        problem = self._read_blocks(words)
        samples = {one.point.address: self._sample(one, words) for one in self._plain}
        if self._named:
            found = self._sunspec.read(list(self._named.values()))
            samples.update({address: Sample(found.values[p]) for address, p in self._named.items()})
            problem = problem or found.problem
        return Answer(samples, problem)

    def close(self) -> None:
        """Ends the connection."""
        self.link.close()

    def unit(self, address: str) -> Unit | None:
        """The unit of a SunSpec point; a register has none of its own."""
        return self._named[address].unit if address in self._named else None

    def _read_blocks(self, words: dict[tuple[str, int], int]) -> Problem | None:
        """Fills in the words of all blocks; one that the device refuses is asked for register by register from then on."""
        problem: Problem | None = None
        for block in list(self._blocks):
            try:
                found = self.link.read(block)
            except RefusedError as error:
                if error.number not in NOT_THERE:
                    raise
                problem = error.problem
                self._split(block)
                continue
            words.update({(block.table, block.address + i): word for i, word in enumerate(found)})
        return problem

    def _split(self, block: Block) -> None:
        """Parts a block into its registers, without what lies between them, for the next time."""
        inside = [
            register
            for one in self._plain
            for register in (one.register, one.scale)
            if register is not None
            and register.table == block.table
            and block.address <= register.address < block.address + block.words
        ]
        single = [Block(r.table, r.address, r.words) for r in dict.fromkeys(inside)]
        if len(single) > 1:
            at = self._blocks.index(block)
            self._blocks[at : at + 1] = single

    def _sample(self, one: Spot, words: Mapping[tuple[str, int], int]) -> Sample:
        value = _number(one.register, words, sentinel=one.sentinel)
        if value is None or value == one.missing:
            return Sample(None)
        if one.scale is not None:
            power = _number(one.scale, words, sentinel=True)
            return Sample(None if power is None else value * 10.0**power)
        return Sample(value)


def _number(register: Register, words: Mapping[tuple[str, int], int], *, sentinel: bool) -> float | None:
    found = [words.get((register.table, register.address + i)) for i in range(register.words)]
    known = [word for word in found if word is not None]
    if len(known) < register.words:
        return None
    return decode(known, register.type, swap=register.swap, sentinel=sentinel)


def link_of(device: Device) -> Link:
    """The connection that a declared device describes.

    Raises:
        SourceError: `devices.bad_address`, `devices.bad_parameter`.
    """
    try:
        parts = urlsplit(device.address)
        fine = parts.scheme == "tcp" and bool(parts.hostname) and parts.path in ("", "/")
        port = parts.port or PORT
    except ValueError:
        fine = False
    if not fine:
        raise SourceError(
            "devices.bad_address",
            where=device.where,
            address=device.address,
            protocol="modbus",
            example="tcp://10.0.0.7:502",
        )
    unit = parameter(device, "unit", 1.0, "1", "unit=1")
    if not (unit.is_integer() and 0 <= unit <= 255):  # noqa: PLR2004 - one byte
        raise SourceError(
            "devices.bad_parameter", where=device.where, name="unit", text=f"{unit:g}", example="unit=1"
        )
    timeout = parameter(device, "timeout", TIMEOUT, "s", "timeout=3 s")
    return Link(str(parts.hostname), port, int(unit), timeout)


def parameter(device: Device, name: str, default: float, unit: str, example: str) -> float:
    """A parameter of a device as a number in `unit`; `devices.bad_parameter` when it is none."""
    said = device.parameters.get(name)
    if said is None:
        return default
    try:
        quantity = Quantity.parse(said, unit) if isinstance(said, str) else said
        return quantity.to(unit)
    except MangroveError:
        text = said if isinstance(said, str) else f"{said.value:g} {said.unit}"
        raise SourceError(
            "devices.bad_parameter", where=device.where, name=name, text=text, example=example
        ) from None
