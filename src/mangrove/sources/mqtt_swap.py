# SPDX-License-Identifier: Apache-2.0
"""Battery-swap stations over MQTT: a small profile of JSON, both ways.

Comes in: what a station publishes below `mg/<device>/swap/`, and the set-points that we want it to follow. Goes out: the numbers in its
messages by name, and the payload of a set-point. The station says

    state   {"ts", "slots": [{"slot": 1, "soc": 0.8, "energy": 1.3, "temperature": 31.5, "status": "charging"}, ...]}
    event   {"ts", "id": "unique", "pack_in", "pack_out", "soc_in": 0.21, "soc_out": 0.97, "energy": 1.2}
    meter   {"ts", "import": 5120.4, "export": 310.0, "power": 12.5}

and receives, retained, `set` {"id", "ts", "until", "power": 8.0}: the power at its grid connection in kW, drawing positive, that holds
until `until` at the latest; after that, and without any, the station charges as it did before. Energies are kWh, states of charge 0 to 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from mangrove.sources.messages_in import BadMessageError

_ADDRESS = re.compile(r"mg/[^/+#]+/swap/(state|event|meter)#(\w+)")
STATUSES = ("empty", "charging", "full", "discharging", "fault")
"""What a slot can be doing; `empty` has no pack."""
_SET_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Value:
    """One number of the profile: the path to it, what makes a number of it, and whether it is an event."""

    path: tuple[str, ...]
    take: Callable[[Any], Any] | None = None
    event: bool = False


def _slots(document: Any) -> list[dict[str, Any]]:
    """The slots of a state that hold a pack.

    Raises:
        BadMessageError: `mqtt.bad_slots`.
    """
    if not isinstance(document, list) or not all(
        isinstance(one, dict) and one.get("status") in STATUSES for one in document
    ):
        raise BadMessageError("mqtt.bad_slots", text=str(document)[:80], options=", ".join(STATUSES))
    return [one for one in document if one["status"] != "empty"]


def _total(key: str) -> Callable[[Any], Any]:
    def take(slots: Any) -> Any:
        cells: list[Any] = [one.get(key) for one in _slots(slots)]
        if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in cells):
            raise BadMessageError("sources.bad_number", text=str(cells)[:80], column=key)
        return float(sum(cells))

    return take


VALUES = {
    ("event", "count"): Value((), lambda _: 1.0, event=True),
    ("event", "energy"): Value(("energy",), event=True),
    ("meter", "import"): Value(("import",)),
    ("meter", "export"): Value(("export",)),
    ("meter", "power"): Value(("power",)),
    ("state", "packs"): Value(("slots",), lambda slots: float(len(_slots(slots)))),
    ("state", "full"): Value(
        ("slots",), lambda slots: float(sum(one["status"] == "full" for one in _slots(slots)))
    ),
    ("state", "energy"): Value(("slots",), _total("energy")),
}


def is_point(address: str) -> bool:
    """Whether a point's address is one of this profile."""
    found = _ADDRESS.fullmatch(address)
    return found is not None and (found[1], found[2]) in VALUES


def value(address: str) -> Value:
    """The number that an address of this profile names.

    Example:
        >>> value("mg/hub/swap/event#count").event
        True
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise KeyError(address)
    return VALUES[found[1], found[2]]


def is_set(levels: list[str]) -> bool:
    """Whether a topic carries our own set-points."""
    return len(levels) == _SET_LEVELS and levels[0] == "mg" and levels[2:] == ["swap", "set"]


def set_topic(device: str) -> str:
    """Where the set-points of a station stand."""
    return f"mg/{device}/swap/set"


def set_payload(power: float, now: datetime, until: datetime, identity: str = "") -> bytes:
    """A set-point: `power` in kW at the grid connection (drawing positive, feeding in negative) until `until`."""
    document = {
        "id": identity or uuid4().hex,
        "ts": now.isoformat(),
        "until": until.isoformat(),
        "power": power,
    }
    return json.dumps(document).encode()
