# SPDX-License-Identifier: Apache-2.0
"""The territory: what a city or a park declares in a folder of plain files.

Comes in: `territory.yaml`, places, flows, assets, links, local factors, the crosswalk of boundaries. Goes out: one
frozen `Territory`, or every problem with file, line and column; and the answers to questions about borders on a day.
"""

from mangrove.territory.borders import Borders, level_of, shares, tree_on
from mangrove.territory.load import attach_boundaries, check, load, write_boundaries
from mangrove.territory.model import (
    CARRIER_KINDS,
    Asset,
    Carrier,
    Crosswalk,
    Flow,
    Link,
    LocalFactor,
    NotationKey,
    Place,
    Territory,
)
from mangrove.territory.schema import json_schema

__all__ = [
    "CARRIER_KINDS",
    "Asset",
    "Borders",
    "Carrier",
    "Crosswalk",
    "Flow",
    "Link",
    "LocalFactor",
    "NotationKey",
    "Place",
    "Territory",
    "attach_boundaries",
    "check",
    "json_schema",
    "level_of",
    "load",
    "shares",
    "tree_on",
    "write_boundaries",
]
