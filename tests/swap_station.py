"""A simulated battery-swap station that speaks the profile of `mangrove.sources.mqtt_swap` over a real broker."""

import json
import threading
from datetime import datetime, timedelta

from tests.brokers import PATIENCE, client


class SwapStation:
    """Slots with packs; swaps take a full pack out and put an empty one in; charging follows the last set-point that still holds."""

    def __init__(
        self, port: int, device: str, user: str | None = None, password: str | None = None, slots: int = 4
    ):
        self.device, self.now = device, datetime.fromisoformat("2026-11-01T00:00:00+00:00")
        self.slots = [
            {"slot": i, "soc": 1.0, "energy": 1.6, "temperature": 30.0, "status": "full"}
            for i in range(slots)
        ]
        self.register, self.swaps, self.usual = 1000.0, 0, 5.0
        self.asked: dict[str, object] | None = None
        self.heard = threading.Event()
        self.client = client(port, f"station-{device}", user, password)
        self.client.on_message = self._on_message
        self.client.subscribe(f"mg/{device}/swap/set", qos=1)

    def _on_message(self, _client, _data, message):
        self.asked = json.loads(message.payload)
        self.heard.set()

    @property
    def power(self) -> float:
        """Power at the grid now in kW: what was asked while it holds, else what the station does by itself."""
        if self.asked and self.now < datetime.fromisoformat(self.asked["until"]):
            return self.asked["power"]
        return self.usual

    def say(self, what: str, **document) -> None:
        """Publishes one message with the station's time and returns when the broker has it."""
        payload = json.dumps({"ts": self.now.isoformat(), **document})
        self.client.publish(f"mg/{self.device}/swap/{what}", payload, qos=1).wait_for_publish(PATIENCE)

    def swap(self, *, times: int = 1) -> None:
        """One swap, reported `times` times."""
        self.swaps += 1
        slot = next(one for one in self.slots if one["status"] == "full")
        slot.update(soc=0.2, energy=0.32, status="charging")
        for _ in range(times):
            self.say(
                "event", id=f"{self.device}-{self.swaps}", pack_in=f"in-{self.swaps}", pack_out=f"out-{self.swaps}",
                soc_in=0.2, soc_out=1.0, energy=1.28,
            )  # fmt: skip

    def run(self, minutes: int) -> None:
        """Lets time pass and reports slots and meter."""
        self.now += timedelta(minutes=minutes)
        self.register += self.power * minutes / 60
        self.say("state", slots=self.slots)
        self.say("meter", **{"import": round(self.register, 3), "power": self.power})

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
