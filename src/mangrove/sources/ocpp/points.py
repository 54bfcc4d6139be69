# SPDX-License-Identifier: Apache-2.0
"""What chargers measure, as values of flows: addresses of points, units, means of a step, and clocks that are wrong.

Comes in: the points that the territory declares for its chargers, and the samples of one message. Goes out: rows for the intake and
the samples that cannot be values. A register (`Energy.Active.Import.Register`) is a counter, an interval an amount, a power a mean:
the declared flow must say the same, or the declaration is refused. Several powers in one step of a flow become their mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from mangrove.errors import DeclarationError, MangroveError, Problem, did_you_mean
from mangrove.ledger.types import Quality, Rejected
from mangrove.sources.messages_in import AHEAD
from mangrove.territory.model import Flow, Point, Territory
from mangrove.units import unit

REGISTER = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"
TRANSACTION = "Transaction"
"""The address `connector/1/Transaction` names the flow whose sessions are kept, when that is not the flow of the register."""
UNITS: Mapping[str, str] = {
    "Energy.Active.Export.Register": "Wh", "Energy.Active.Import.Register": "Wh", "Energy.Active.Export.Interval": "Wh",
    "Energy.Active.Import.Interval": "Wh", "Power.Active.Export": "W", "Power.Active.Import": "W", "Power.Offered": "W",
    "SoC": "%", "Temperature": "degC",
}  # fmt: skip
"""Measurands that can be values of flows, and their unit when a sample states none: OCPP 1.6 edition 2, section 7 (Measurand,
UnitOfMeasure); OCPP 2.0.1 part 2 (MeasurandEnumType, SampledValueType). Voltages and currents are no amounts of a carrier."""
_WORDS = {"Percent": "%", "Celsius": "degC", "Celcius": "degC"}
"""Words for units that differ from ours; the schemas of 1.6 know both spellings of the last."""
_MEANING = {"Register": ("counter", "state"), "Interval": ("sum",)}
_FIRST = datetime(2015, 1, 1, tzinfo=UTC)
"""OCPP 1.6 was published in 2015: a reading that claims to be older comes from a clock that was never set."""
_STEPS_KEPT = 4
"""Steps of a flow whose powers are remembered, so that a late sample still joins the mean of its step."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Key = tuple[int, str, str, str]
"""Connector, measurand, phase, location."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled value: what it is of, when (UTC), and the number as it was sent."""

    connector: int
    measurand: str
    at: datetime
    value: float
    unit: str = ""
    phase: str = ""
    location: str = "Outlet"


@dataclass
class Wiring:
    """The points of one charger.

    Attributes:
        territory: says flows and the local time.
        device: id of the charger.
        since: when this process began to listen; the mean of a step that was under way then is marked as estimated.
    """

    territory: Territory
    device: str
    since: datetime
    points: dict[Key, Point] = field(init=False)
    _powers: dict[str, dict[datetime, dict[datetime, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.points = points_of(self.territory, self.device)

    def values(self, samples: Iterable[Sample], now: datetime) -> tuple[pa.Table, list[Rejected]]:
        """The rows of a message (flow, start, value, quality) and the samples to set aside; what no point names is passed over."""
        rows: dict[tuple[str, datetime], tuple[float, int]] = {}
        rejected: list[Rejected] = []
        for sample in samples:
            point = self.points.get((sample.connector, sample.measurand, sample.phase, sample.location))
            if point is None or sample.measurand == TRANSACTION:
                continue
            flow = self.territory.flows[point.flow]
            try:
                value = amount(sample, point, flow)
            except MangroveError as error:
                rejected.append(
                    Rejected(repr(sample), Problem(error.code, error.problem.data, severity="warning"))
                )
                continue
            start, value, quality = self._placed(sample, flow, value, now)
            rows[flow.id, start] = (value, quality)
        return table_of(rows), rejected

    def session_flow(self, connector: int) -> str | None:
        """The flow whose sessions the transactions of a connector are; None when no point says."""
        for measurand in (TRANSACTION, REGISTER):
            point = self.points.get((connector, measurand, "", "Outlet"))
            if point is not None:
                return point.flow
        return None

    def _placed(self, sample: Sample, flow: Flow, value: float, now: datetime) -> tuple[datetime, float, int]:
        """Start of the interval, the value for it, and its quality."""
        quality = Quality.CLOCK if wrong_clock(sample.at, now) else Quality.GOOD
        if flow.semantics == "sum" and flow.step is not None:
            return sample.at - timedelta(seconds=flow.step.seconds), value, quality
        if flow.semantics != "mean" or flow.step is None or quality:
            return sample.at, value, quality
        start = flow.step.floor(sample.at, self.territory.tz)
        steps = self._powers.setdefault(flow.id, {})
        powers = steps[start] = steps.pop(start, {})
        powers[sample.at] = value
        while len(steps) > _STEPS_KEPT:
            del steps[
                next(iter(steps))
            ]  # the one that was touched longest ago: a backlog of old steps comes in turn
        if start < self.since < flow.step.after(start, self.territory.tz):
            quality = Quality.FILLED
        return start, math.fsum(powers.values()) / len(powers), quality


def amount(sample: Sample, point: Point, flow: Flow) -> float:
    """The number of a sample in the unit of the flow.

    Raises:
        MangroveError: `ocpp.bad_value` (not finite), `ocpp.bad_unit`.
    """
    if not math.isfinite(sample.value):
        raise MangroveError("ocpp.bad_value", text=str(sample.value), measurand=sample.measurand)
    stated = _WORDS.get(sample.unit, sample.unit)
    factor: float | None
    try:
        source = unit(stated) if stated else point.unit or unit(UNITS[sample.measurand])
        factor = point.scale * source.to(flow.unit)
    except MangroveError:
        factor = None
    if factor is None or (sample.measurand == "Temperature" and source.text != "degC"):
        # no factor alone turns another scale of temperature into degrees Celsius
        raise MangroveError("ocpp.bad_unit", text=sample.unit[:40], measurand=sample.measurand)
    return sample.value * factor


def wrong_clock(at: datetime, now: datetime) -> bool:
    """Whether a time of a charger cannot be true.

    Example:
        >>> noon = datetime(2024, 6, 5, 12, tzinfo=UTC)
        >>> wrong_clock(noon + timedelta(hours=1), noon), wrong_clock(noon - timedelta(days=30), noon)
        (True, False)
    """
    return at > now + AHEAD or at < _FIRST


def points_of(territory: Territory, device: str) -> dict[Key, Point]:
    """The points of one charger by what they name.

    Raises:
        DeclarationError: an address that names nothing, or a flow that means something else.
    """
    found: dict[Key, Point] = {}
    problems: list[Problem] = []
    for point in territory.points:
        if point.device != device:
            continue
        try:
            key = parse_address(point.address)
            _same_meaning(key[1], territory.flows[point.flow])
        except MangroveError as error:
            problems.append(Problem(error.code, error.problem.data, point.where))
            continue
        found[key] = point
    if problems:
        raise DeclarationError(problems)
    return found


def parse_address(address: str) -> Key:
    """Reads `connector/1/Power.Active.Import`, with `/L1` for a phase and `@Inlet` for another place of the meter.

    `evse/1/...` says the same in the words of 2.0.1; connector 0 is the meter of the whole charger.

    Raises:
        MangroveError: `ocpp.bad_address`.

    Example:
        >>> parse_address("connector/2/Energy.Active.Import.Register")
        (2, 'Energy.Active.Import.Register', '', 'Outlet')
    """
    path, _, location = address.partition("@")
    parts = path.split("/")
    known = (*UNITS, TRANSACTION)
    sizes = (3, 4)
    if len(parts) not in sizes or parts[0] not in ("connector", "evse") or not parts[1].isdecimal():
        raise MangroveError("ocpp.bad_address", address=address, hint="")
    if parts[2] not in known:
        raise MangroveError("ocpp.bad_address", address=address, hint=did_you_mean(parts[2], known))
    return int(parts[1]), parts[2], parts[3] if len(parts) == sizes[1] else "", location or "Outlet"


def table_of(rows: Mapping[tuple[str, datetime], tuple[float, int]]) -> pa.Table:
    """Rows as the intake takes them."""
    starts = [(at - _EPOCH) // timedelta(microseconds=1) for _, at in rows]
    return pa.table(
        {
            "flow": pa.array([flow for flow, _ in rows], pa.string()),
            "start": pa.array(starts, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            "value": pa.array([value for value, _ in rows.values()], pa.float64()),
            "quality": pa.array([quality for _, quality in rows.values()], pa.uint8()),
        }
    )


def _same_meaning(measurand: str, flow: Flow) -> None:
    """A register must feed a counter, an interval a sum, everything else a mean or a state."""
    if measurand == TRANSACTION:
        return
    meant = _MEANING.get(measurand.rsplit(".", 1)[-1], ("mean", "state"))
    fits = flow.semantics in meant and (flow.semantics != "sum" or flow.step is not None)
    if not fits:
        raise MangroveError(
            "ocpp.wrong_meaning",
            measurand=measurand,
            flow=flow.id,
            have=flow.semantics,
            want=", ".join(meant),
        )
