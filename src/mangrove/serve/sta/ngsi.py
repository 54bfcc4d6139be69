# SPDX-License-Identifier: Apache-2.0
"""An NGSI-LD view of the territory (ETSI GS CIM 009), read only: places, devices and flows with their last values.

Comes in: a path, its parameters and what the caller may see. Goes out: JSON-LD entities in normalized form, with `observedAt`, `unitCode`
(UN/CEFACT Recommendation 20) and a local context, so that a city's context broker can fetch them without a connector.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from mangrove.ledger.types import Quality
from mangrove.serve.sta.declared import geometry_of
from mangrove.serve.sta.expressions import Order, Path
from mangrove.serve.sta.model import PERIOD, V11
from mangrove.serve.sta.moments import write_instant
from mangrove.serve.sta.readings import Question, Reading
from mangrove.serve.sta.rows import Sight
from mangrove.serve.sta.ucum import cefact, ucum
from mangrove.territory.model import Device, Flow, Place

if TYPE_CHECKING:
    from mangrove.serve.sta.service import SensorThings

TYPES = ("Place", "Device", "Flow")
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
MOST = 1000
_URN = re.compile(r"urn:ngsi-ld:(Place|Device|Flow):(.+)")
Json = dict[str, Any]


def answer(  # noqa: PLR0911 - one line for each refusal
    sta: SensorThings, sight: Sight, path: str, params: dict[str, str], base: str
) -> tuple[int, Any]:
    """Status and body of one request.

    Args:
        sta: the service, for the territory and its values.
        sight: what the caller may see.
        path: after `/ngsi-ld/v1` (`/entities`, `/entities/URN`, `/types`), or the path of the context.
        params: of the query: `type`, `limit`, `offset`.
        base: scheme and host of the URL.
    """
    if path.endswith("/context.jsonld"):
        return 200, context()
    if path == "/types":
        return 200, {"id": "urn:ngsi-ld:EntityTypeList:1", "type": "EntityTypeList", "typeList": list(TYPES)}
    link = [f"{base}/ngsi-ld/context.jsonld", CORE]
    if path.startswith("/entities/"):
        match = _URN.fullmatch(unquote(path.removeprefix("/entities/")))
        found = _entities(sta, sight, match[1], unquote(match[2])) if match else []
        if not found:
            return 404, _problem("ResourceNotFound", "no such entity")
        return 200, {**found[0], "@context": link}
    kind = params.get("type", "")
    if kind not in TYPES:
        return 400, _problem("BadRequestData", f"type must be one of {', '.join(TYPES)}")
    limit, offset = params.get("limit", "100"), params.get("offset", "0")
    if not (limit.isdecimal() and offset.isdecimal() and len(limit + offset) < 12 and int(limit) <= MOST):  # noqa: PLR2004
        return 400, _problem("BadRequestData", f"limit must be 0 to {MOST}, offset 0 or more")
    found = _entities(sta, sight, kind, "")[int(offset) : int(offset) + int(limit)]
    return 200, [{**one, "@context": link} for one in found]


def context() -> Json:
    """The terms that are not in the core context."""
    terms = (
        *TYPES,
        "carrier",
        "kind",
        "semantics",
        "step",
        "value",
        "quality",
        "protocol",
        "ucum",
        "placedAt",
        "containedIn",
    )
    return {"@context": {name: f"urn:x-mangrove:ngsi:{name}" for name in terms}}


def _problem(kind: str, title: str) -> Json:
    return {"type": f"https://uri.etsi.org/ngsi-ld/errors/{kind}", "title": title}


def _entities(sta: SensorThings, sight: Sight, kind: str, one: str) -> list[Json]:
    territory = sta.territory
    places = territory.places if sight.whole else {id_: territory.places[id_] for id_ in sight.places}
    if kind == "Place":
        return [_place(place) for place in places.values() if one in ("", place.id)]
    if kind == "Device":
        devices = [device for device in territory.devices.values() if device.place in places]
        return [_device(device) for device in devices if one in ("", device.id)]
    flows = [flow for flow in territory.flows.values() if sight.whole or flow.id in sight.flows]
    chosen = [flow for flow in flows if one in ("", flow.id)]
    last = _last_values(sta, sight)
    return [_flow(flow, last.get(flow.id)) for flow in chosen]


def _last_values(sta: SensorThings, sight: Sight) -> dict[str, Reading]:
    """The latest value of each flow."""
    observation = V11.kinds["Observation"]
    order = Order(Path((), observation, "phenomenonTime", (), PERIOD), descending=True)
    question = Question(
        V11,
        sight.condition,
        "not t.series like '%#register'",
        sight.binds,
        None,
        (order,),
        1,
        0,
        "datastream",
    )
    rows = sta.store.rows("select id, flow from datastream where flow is not null")
    flows = dict(rows)
    return {flows[reading.datastream]: reading for reading in sta.readings.rows(question)}


def _property(value: Any) -> Json:
    return {"type": "Property", "value": value}


def _urn(kind: str, id_: str) -> str:
    return f"urn:ngsi-ld:{kind}:{quote(id_, safe='.-_')}"


def _place(place: Place) -> Json:
    entity: Json = {
        "id": _urn("Place", place.id),
        "type": "Place",
        "name": _property(place.name),
        "kind": _property(place.kind),
    }
    geometry = geometry_of(place)
    if geometry is not None:
        entity["location"] = {"type": "GeoProperty", "value": dict(geometry)}
    if place.parent is not None:
        entity["containedIn"] = {"type": "Relationship", "object": _urn("Place", place.parent)}
    return entity


def _device(device: Device) -> Json:
    return {
        "id": _urn("Device", device.id),
        "type": "Device",
        "name": _property(device.name or device.id),
        "protocol": _property(device.protocol),
        "placedAt": {"type": "Relationship", "object": _urn("Place", device.place)},
    }


def _flow(flow: Flow, last: Reading | None) -> Json:
    entity: Json = {
        "id": _urn("Flow", flow.id),
        "type": "Flow",
        "name": _property(flow.name or flow.id),
        "carrier": _property(str(flow.carrier)),
        "semantics": _property(flow.semantics),
        "ucum": _property(ucum(flow.unit.text)),
        "placedAt": {"type": "Relationship", "object": _urn("Place", flow.place)},
    }
    if flow.step is not None:
        entity["step"] = _property(str(flow.step))
    if last is not None and last.value is not None:
        value: Json = {"type": "Property", "value": last.value, "observedAt": write_instant(last.start)}
        code = cefact(flow.unit.text)
        if code is not None:
            value["unitCode"] = code
        quality = Quality(last.quality)
        value["quality"] = _property(quality.name.lower())
        entity["value"] = value
    return entity
