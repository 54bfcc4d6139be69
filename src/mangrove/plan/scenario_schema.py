# SPDX-License-Identifier: Apache-2.0
"""The format of a scenario file, written as data: every key, how it is read, whether it must be there and what it means.

The reader, its errors and the reference page follow from these rows. The rows of `flows` are those of `flows.csv`.
"""

from __future__ import annotations

import math

from mangrove.errors import MangroveError, RequestError, RuleError
from mangrove.territory import cells
from mangrove.territory.schema import BASES, FLOWS, Key
from mangrove.times import parse_date
from mangrove.units import Quantity

TYPES = ("add_asset", "change_activity", "retire_asset", "switch_factor", "switch_technology")
RAMPS = ("step", "linear", "s_curve")
FACTORS = ("last", "dated")


def year(text: str) -> int:
    """A calendar year of four digits."""
    if not (text.isascii() and text.isdigit() and len(text) == 4):  # noqa: PLR2004 - a year has four digits
        raise MangroveError("territory.not_a_year", text=text)
    return int(text)


def signed_percentage(text: str) -> float:
    """`-20 %` as -0.2; a bare number is refused."""
    if not text.endswith("%"):
        raise MangroveError("territory.percent_missing", text=text)
    return cells.number(text[:-1].strip()) / 100


def share(text: str) -> float:
    """`40 %` as 0.4, from 0 to 100 %."""
    value = signed_percentage(text)
    if not 0 <= value <= 1:
        raise MangroveError("territory.out_of_range", text=text, low="0 %", high="100 %")
    return value


def signed(text: str) -> Quantity:
    """A number with its unit, of either sign: `-1100 kWh/kW/yr`."""
    value = Quantity.parse(text)
    if not math.isfinite(value.value):
        raise RuleError("base.not_a_quantity", text=text)
    return value


def factor_value(text: str) -> Quantity:
    """The value of a factor with its unit: `0.5 t CO2/MWh`."""
    value = cells.quantity(text)
    cells.mass_per_activity(value.unit.text)
    return value


def run_name(text: str) -> str:
    """The name of a plan, as it stands in `plan/<name>`."""
    if "/" in text or ":" in text or cells.identifier(text) in ("baseline", "measured"):
        raise RequestError("scenario.bad_name", text=text)
    return text


_UNCERTAINTY = "half-width of the 95 % interval, relative to the number: `20 %`"
_STATUS = Key("status", "where the numbers come from", cells.choice(BASES), required=True, options=BASES)
_SOURCE = Key(
    "source",
    "document, page or measurement behind the numbers; for assumed ones the reasoning",
    required=True,
)

GROWTH = (
    Key("sector", "a sector word; empty: every flow that no other row names", cells.identifier, default=""),
    Key("rate", "growth a year without any action: `3 %`", signed_percentage, required=True),
    Key("uncertainty", "half-width of the 95 % interval of the rate, in percent a year: `1 %`", cells.percentage, default=0.0),
    _SOURCE,
    _STATUS,
)  # fmt: skip
BASELINE = (
    Key("year", "the year whose months are repeated; empty: the one before the horizon", year),
    Key("run", "the series that is repeated: measured, forecast, estimate/nowcast, ...", cells.name, default="measured"),
    Key(
        "factors", "last: a factor whose last official year is over holds on; dated: then there is a gap",
        cells.choice(FACTORS), default="last", options=FACTORS,
    ),
    Key("growth", "growth by sector", shape="records", default=[], keys=GROWTH),
)  # fmt: skip
EFFECTS = (
    Key("flow", "id of a flow", cells.identifier, required=True),
    Key("amount", "change of the flow: `312 MWh/yr`, or per size of the asset: `-1100 kWh/kW/yr`", signed, required=True),
    Key("uncertainty", _UNCERTAINTY, cells.percentage, default=0.0),
)  # fmt: skip
ACTION = (
    Key("id", "unique key of the action", cells.identifier, required=True),
    Key("type", "what it does", cells.choice(TYPES), required=True, options=TYPES),
    Key("name", "name for people", default=""),
    Key("from", "first day", parse_date, required=True),
    Key("to", "first day on which it no longer holds; empty: it stays", parse_date),
    Key("ramp", "how it grows from nothing to all: at once, evenly, or slowly-fast-slowly", cells.choice(RAMPS), default="step", options=RAMPS),
    Key("ramp_to", "the day on which the ramp is over", parse_date),
    Key("flow", "ids of the flows that it works on", cells.identifier, shape="list", default=[]),
    Key("place", "flows at this place and inside it (id or unique name)", cells.name),
    Key("sector", "flows of this sector", cells.identifier),
    Key("share", "share of the whole stock of a flow that is moved: `30 %`", share),
    Key("into", "id of the flow that takes over", cells.identifier),
    Key("ratio", "amount of `into` per amount that is moved: `0.03 kWh/vehicle_km`, `0.9`", signed),
    Key("ratio_uncertainty", _UNCERTAINTY, cells.percentage, default=0.0),
    Key("change", "relative change of an activity: `-15 %`", signed_percentage),
    Key("amount", "absolute change of one flow: `120 MWh/yr`", signed),
    Key("factor", "activity key of the factor that holds instead", cells.identifier),
    Key("activity", "activity key of a factor of the territory that changes: `grid/vn`", cells.identifier),
    Key("gas", "its gas", cells.identifier),
    Key("value", "its value at the end of the ramp: `0.5 t CO2/MWh`", factor_value),
    Key("value_from", "its value at the beginning of the ramp", factor_value),
    Key("asset", "id of the asset that comes or goes", cells.identifier),
    Key("kind", "type of an asset that comes: pv, battery, boiler, ...", cells.identifier),
    Key("parameters", "named quantities and words of the asset, as in assets.csv", cells.parameters, default={}),
    Key("size", "what amounts per size are multiplied with: `240 kW`", cells.quantity),
    Key("effects", "what the asset changes in flows once it runs", shape="records", default=[], keys=EFFECTS),
    Key("uncertainty", _UNCERTAINTY, cells.percentage, default=0.0),
    _SOURCE,
    _STATUS,
    Key("note", "what a reader should know", default=""),
)  # fmt: skip
SCENARIO = (
    Key("name", "name of the plan: its values are the run `plan/<name>`", run_name, required=True),
    Key("title", "what it is, for people", required=True),
    Key("note", "what a reader should know", default=""),
    Key("from", "first calendar year", year, required=True),
    Key("to", "last calendar year", year, required=True),
    Key("baseline", "what happens without any action", shape="record", default={}, keys=BASELINE),
    Key(
        "flows", "flows that the actions need and that are not declared yet: the columns of flows.csv", shape="records", default=[],
        keys=tuple(Key(c.name, c.about, c.parse, required=c.required, default=c.default) for c in FLOWS),
    ),
    Key("actions", "what is done", shape="records", default=[], keys=ACTION),
)  # fmt: skip
