# SPDX-License-Identifier: Apache-2.0
"""Devices and their points: from parsed tables to frozen nouns, with every problem that needs more than one cell to be seen.

Comes in: `devices.csv`, `points.csv` and the flows. Goes out: devices by id, points in file order, and problems: a device or a flow
that is not declared, a unit that cannot become the flow's, a topic that no broker would take, the same point written twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mangrove.errors import Problem, did_you_mean
from mangrove.territory.model import Device, Flow, Point
from mangrove.territory.places import duplicates
from mangrove.territory.tables import Parsed
from mangrove.units import Unit, unit

MQTT_FORMS = ("json", "number", "sparkplug", "chirpstack", "swap")
"""How a value is written in an MQTT message; an empty form means the first."""
ASKED = ("modbus", "opcua")
"""Protocols whose devices are asked: they need an address and a time between two readings."""
READER = "mangrove"
"""The user by which Mangrove itself reads from a broker; no device may have its name."""
_MQTT_ID = re.compile(r"[^/+#:$%]+")
_SPARKPLUG = re.compile(r"spBv1\.0/[^/+#]+/\+/[^/+#]+(?:/[^/+#]+)?#.+")
_CHIRPSTACK = re.compile(r"application/[^/#]+/device/[^/#]+/event/up#.+")
_SWAP = re.compile(
    r"mg/[^/+#]+/swap/(?:event#(?:count|energy)|meter#(?:import|export|power)|state#(?:packs|full|energy))"
)
_PLAIN = re.compile(r"[^#]+")
_NONE = Device("", "", "")
_DEVICE_FIELDS = ("id", "protocol", "place", "address", "every", "parameters", "name", "note")
_POINT_FIELDS = ("device", "address", "flow", "unit", "form", "scale", "parameters")


def build(
    devices: Parsed, points: Parsed, flows: Mapping[str, Flow]
) -> tuple[dict[str, Device], list[Point], list[Problem]]:
    """The nouns of both tables and what is wrong with them."""
    problems = [*duplicates(devices, "id"), *_device_problems(devices)]
    found = {one.id: one for one in map(Device, *devices.fields(_DEVICE_FIELDS)) if one.id}
    problems += _point_problems(points, found, flows)
    return found, list(map(Point, *points.fields(_POINT_FIELDS))), problems


def topic_of(address: str) -> tuple[str, str]:
    """The topic of an MQTT address and the path into its payload (empty when there is none).

    Example:
        >>> topic_of("site/meter/1#object.energy")
        ('site/meter/1', 'object.energy')
    """
    topic, _, path = address.partition("#")
    return topic, path


def _device_problems(parsed: Parsed) -> Iterator[Problem]:
    values = parsed.values
    for row, (id_, protocol) in enumerate(zip(values["id"], values["protocol"], strict=True)):
        if protocol in ASKED:
            for column in ("address", "every"):
                if not values[column][row]:
                    data = {"device": id_, "protocol": protocol, "column": column}
                    yield Problem("territory.device_needs", data, parsed.where(row, column))
        if protocol == "mqtt" and id_ and (id_ == READER or not _MQTT_ID.fullmatch(id_)):
            yield Problem("territory.mqtt_id", {"text": id_}, parsed.where(row, "id"))


def _point_problems(
    parsed: Parsed, devices: Mapping[str, Device], flows: Mapping[str, Flow]
) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], int] = {}
    values = parsed.values
    for row in range(parsed.table.rows):
        device, address, flow = (values[name][row] for name in ("device", "address", "flow"))
        if device and device not in devices:
            data = {"text": device, "hint": did_you_mean(device, devices)}
            yield Problem("territory.unknown_device", data, parsed.where(row, "device"))
        if flow and flow not in flows:
            data = {"text": flow, "hint": did_you_mean(flow, flows)}
            yield Problem("territory.no_flow", data, parsed.where(row, "flow"))
        counted = values["unit"][row]
        if counted and flow in flows and flows[flow].unit and not _convertible(counted, flows[flow]):
            data = {"text": counted.text, "target": flows[flow].unit.text}
            yield Problem("territory.point_unit", data, parsed.where(row, "unit"))
        sums = flow in flows and flows[flow].semantics == "sum"
        if values["form"][row] == "number" and sums and devices.get(device, _NONE).protocol == "mqtt":
            yield Problem("territory.number_of_sum", {"flow": flow}, parsed.where(row, "form"))
        if address and device in devices and devices[device].protocol == "mqtt":
            yield from _mqtt_problems(parsed, row, address, values["form"][row])
        key = (device, address, flow)
        if all(key) and key in seen:
            data = {"id": f"{device} {address}", "first": str(parsed.where(seen[key], "address"))}
            yield Problem("territory.duplicate_id", data, parsed.where(row, "address"))
        seen.setdefault(key, row)


def _convertible(written: Unit, flow: Flow) -> bool:
    """Whether what a device says in `written` can become a value of the flow: the same kind, or a power over a known step."""
    if written.converts_to(flow.unit):
        return True
    if flow.step is None or not flow.step.seconds:
        return False
    if flow.semantics == "sum":
        return (written * unit("h")).converts_to(flow.unit)
    return flow.semantics == "mean" and (written / unit("h")).converts_to(flow.unit)


def _mqtt_problems(parsed: Parsed, row: int, address: str, form: str) -> Iterator[Problem]:
    """A form that MQTT does not have, or a topic that does not go with its form."""
    if form and form not in MQTT_FORMS:
        data = {"text": form, "options": ", ".join(MQTT_FORMS), "hint": did_you_mean(form, MQTT_FORMS)}
        yield Problem("territory.not_an_option", data, parsed.where(row, "form"))
        return
    levels = topic_of(address)[0].split("/")
    strange = any(level != "+" and "+" in level for level in levels) or not any(levels)
    pattern = {"sparkplug": _SPARKPLUG, "chirpstack": _CHIRPSTACK, "number": _PLAIN, "swap": _SWAP}.get(form)
    if strange or address.endswith("#") or (pattern and not pattern.fullmatch(address)):
        data = {"text": address, "form": form or MQTT_FORMS[0]}
        yield Problem("territory.bad_topic", data, parsed.where(row, "address"))
