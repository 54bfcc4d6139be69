# SPDX-License-Identifier: Apache-2.0
"""What the service says about itself: the service document of both versions and the metadata of 2.0.

Comes in: a vocabulary and the URL of the service root. Goes out: JSON; the conformance classes listed are those that the tests of
this project hold, and no others.
"""

from __future__ import annotations

from typing import Any

from mangrove.serve.sta.expressions import FUNCTIONS
from mangrove.serve.sta.model import ANY, BOOL, GEO, NUMBER, OBJECT, PERIOD, TEXT, TIME, Model

_OLD = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
_NEW = "http://www.opengis.net/spec/sensorthings/2.0/"
CONFORMANCE_11 = tuple(_OLD + name for name in (
    "datamodel", "resource-path/resource-path-to-entities", "request-data", "create-update-delete/create-entity",
    "create-update-delete/link-to-existing-entities", "create-update-delete/deep-insert",
    "create-update-delete/deep-insert-status-code", "create-update-delete/update-entity",
    "create-update-delete/update-entity-put", "create-update-delete/update-entity-jsonpatch",
    "create-update-delete/delete-entity", "create-update-delete/historical-location-auto-creation",
    "create-update-delete/historical-location-manual-creation", "data-array/data-array",
))  # fmt: skip
CONFORMANCE_20 = tuple(_NEW + name for name in (
    "req-class/datamodel/core", "req/api/read/paths", "req/api/read/options/precedence", "req/api/read/options/select",
    "req/api/read/options/expand", "req/api/read/options/top", "req/api/read/options/skip", "req/api/read/options/count",
    "req/api/read/options/orderby", "req/api/read/options/filter", "req/api/read/options/format",
    "req/api/read/options/pagination", "req/api/cud/json_patch", "req/api/cud/replace", "req/binding/http/request_response",
    "req/binding/http/advertisement",
))  # fmt: skip
_EDM = {
    TEXT: "Edm.String", NUMBER: "Edm.Double", BOOL: "Edm.Boolean", ANY: "Edm.Untyped", OBJECT: "org.OGC.STA.Object",
    GEO: "org.OGC.STA.Geometry", TIME: "Edm.DateTimeOffset", PERIOD: "org.OGC.STA.TM_Object",
}  # fmt: skip


def service(model: Model, root: str) -> dict[str, Any]:
    """The service document: entity sets and what the server can do (OGC 18-088 clause 9.2.1)."""
    sets = [{"name": kind.plural, "url": f"{root}/{kind.plural}"} for kind in model.kinds.values()]
    if model.prefix:
        return {"value": sets, "serverSettings": {"conformance": list(CONFORMANCE_11)}}
    settings = {
        "conformance": list(CONFORMANCE_20),
        "functions": sorted(FUNCTIONS),
        f"{_NEW}req/binding/http": {"endpoints": [root]},
    }
    return {"@context": f"{root}/$metadata", "value": sets, "serverSettings": settings}


def metadata(model: Model) -> dict[str, Any]:
    """The metadata document of 2.0 in CSDL JSON (OData 4.01)."""
    types: dict[str, Any] = {}
    container: dict[str, Any] = {"$Kind": "EntityContainer"}
    for kind in model.kinds.values():
        id_type = "Edm.String" if kind.name == "Observation" else "Edm.Int64"
        entity: dict[str, Any] = {"$Kind": "EntityType", "$Key": ["id"], "id": {"$Type": id_type}}
        for prop in kind.props.values():
            entity[prop.name] = {"$Type": _EDM[prop.type], **({} if prop.mandatory else {"$Nullable": True})}
        for nav in kind.navs.values():
            entity[nav.name] = {
                "$Kind": "NavigationProperty", "$Type": f"org.OGC.STA.{nav.target}", "$Partner": nav.inverse,
                **({"$Collection": True} if nav.many else {}),
                **({} if nav.mandatory else {"$Nullable": True}),
            }  # fmt: skip
        types[kind.name] = entity
        container[kind.plural] = {
            "$Collection": True,
            "$Type": f"org.OGC.STA.{kind.name}",
            "$NavigationPropertyBinding": {
                nav.name: model.kinds[nav.target].plural for nav in kind.navs.values()
            },
        }
    moment = {"$Type": "Edm.DateTimeOffset"}
    types |= {
        "Geometry": {"$Kind": "TypeDefinition", "$UnderlyingType": "Edm.Geometry", "$SRID": 4326},
        "Object": {"$Kind": "ComplexType", "$OpenType": True},
        "TM_Object": {"$Kind": "ComplexType", "start": moment, "end": {**moment, "$Nullable": True}},
        "SensorThingsV2": container,
    }
    return {"$Version": "4.01", "$EntityContainer": "org.OGC.STA.SensorThingsV2", "org.OGC.STA": types}


def stripped(body: Any) -> Any:
    """A 2.0 answer without control information, except counts and links to the next page."""
    if isinstance(body, list):
        return [stripped(one) for one in body]
    if not isinstance(body, dict):
        return body
    return {
        name: stripped(value)
        for name, value in body.items()
        if "@" not in name or name.endswith(("@count", "@nextLink"))
    }
