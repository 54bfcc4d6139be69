"""A simulated Modbus device for tests: pymodbus's own server on loopback, whose registers a test sets while it runs."""

import asyncio
import struct
import threading

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from mangrove.sources.sunspec import models

PADDED = {1: 66, 120: 26}
"""Lengths of the models that end with an unused register (SunSpec Information Model Reference)."""


class Meter:
    """A device with the given registers (address -> 16-bit word); `with Meter({...}) as meter: meter.port`.

    `refuse` makes it answer with an exception, `silent` makes it say nothing; `asked` lists (address, count) of every read and
    `told` (address, words) of every write.
    """

    def __init__(self, words, unit=1, port=0):
        self.words, self.unit, self.port = dict(words), unit, port
        self.refuse, self.silent = None, False
        self.asked, self.told = [], []

    async def _action(self, _function, start, address, count, current, wanted):
        if self.silent:
            await asyncio.sleep(3600)
        if self.refuse is not None:
            return self.refuse
        if any(address + i not in self.words for i in range(count)):
            return ExcCodes.ILLEGAL_ADDRESS
        if wanted is None:
            self.asked.append((address, count))
        else:
            self.told.append((address, list(wanted)))
            self.words.update({address + i: word for i, word in enumerate(wanted)})
        for i in range(count):
            current[address - start + i] = self.words[address + i]
        return None

    async def _serve(self, ready):
        everything = [SimData(0, count=65535, values=0, datatype=DataType.REGISTERS)]
        device = SimDevice(self.unit, simdata=everything, action=self._action)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        self.port = self._server.transport.sockets[0].getsockname()[1]
        ready.set()
        await self._server.serving
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def __enter__(self):
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()

        def run():
            self._loop.run_until_complete(self._serve(ready))
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(10)
        self._thread.join(10)


def floats(*values):
    """Registers of 32-bit floats."""
    return [word for value in values for word in struct.unpack(">2H", struct.pack(">f", value))]


def sunspec(chain, base=40000):
    """Registers of a SunSpec device: `[(model, {point: raw words or word})]`; what is not given is "not available"."""
    missing = {
        "int16": [0x8000],
        "sunssf": [0x8000],
        "int32": [0x8000, 0],
        "float32": [0x7FC0, 0],
        "acc32": [0, 0],
    }
    words = {base: 0x5375, base + 1: 0x6E53}
    at = base + 2
    for model, given in chain:
        table = models()[model]
        length = PADDED.get(model) or max(point.offset + point.size for point in table.values()) - 2
        words.update({at: model, at + 1: length} | dict.fromkeys(range(at + 2, at + 2 + length), 0xFFFF))
        for name, point in table.items():
            said = given.get(name, missing.get(point.type, [0xFFFF] * point.size))
            for i, word in enumerate([said] if isinstance(said, int) else said):
                words[at + point.offset + i] = word & 0xFFFF
        at += length + 2
    return words | {at: 0xFFFF, at + 1: 0}
