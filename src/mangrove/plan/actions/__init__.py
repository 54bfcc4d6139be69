# SPDX-License-Identifier: Apache-2.0
"""The types of actions: one small file says which keys a type needs and takes, and what they come to.

Comes in: the keys of one action as they were read, and what the territory declares. Goes out: the fields of an `Action`. A file has
`NEEDS` and `TAKES` (names of keys besides those of every action) and `read(asked)`, which raises a `MangroveError` for keys
that make no sense together. A new type is a new file, a word in `scenario_schema.TYPES`, and a row here.
"""

from __future__ import annotations

from mangrove.plan.actions import (
    add_asset,
    change_activity,
    retire_asset,
    switch_factor,
    switch_technology,
)

KINDS = {
    "add_asset": add_asset,
    "change_activity": change_activity,
    "retire_asset": retire_asset,
    "switch_factor": switch_factor,
    "switch_technology": switch_technology,
}
"""The file of every type."""

COMMON = ("id", "type", "name", "from", "to", "ramp", "ramp_to", "uncertainty", "source", "status", "note")
"""Keys that every action takes."""
