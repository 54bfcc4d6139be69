# SPDX-License-Identifier: Apache-2.0
"""What threatens a territory now: water above alarm levels, bad air, downpours, heat; and the air-quality index of each station.

Comes in: an opened territory whose flows of kind `water_level`, `air` and `weather` have values, and a moment. Goes out: alerts, each
with its level, since when it holds, the rule that says so and the status of that rule; where a forecast was stored, when the next
alarm level is expected. Values that are too old say nothing of now: they are named as problems and give no alert.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem, RuleError, Sentence
from mangrove.ledger.types import COUNTED, series
from mangrove.rules import air_quality, flood
from mangrove.territory.model import Flow, Territory
from mangrove.times import from_us, instant, to_us
from mangrove.units import Quantity

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Snapshot

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR = 3_600_000_000
"""An hour in the microseconds of the ledger."""
LOOK_BACK = timedelta(days=7)
"""How far back is read: an alert that is older is said to hold since then."""
LOOK_AHEAD = timedelta(hours=48)
STALE = timedelta(hours=3)
"""A newest value older than this (or than three of its steps) says nothing of now."""
TREND_HOURS = 3
"""Hours over which the slope of a water level is fitted: tides rise for about six."""
_KINDS = ("air", "weather", "water_level")
_ROUNDING = 1e-6
"""Millimeters: a sum of tenths is not above a class because of how it was added up."""
_AQI_ALERT = 100
"""An index above it is an alert: from the band `Kém` on, the decision advises against some outdoor activity."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        kind: `flood`, `flood_expected`, `air`, `rain`, `heat` or `heat_index`.
        place, flow: ids; level: 1 is the lowest; value: with its `unit`.
        since: when the level was entered; None for one that is expected.
        rule: what was exceeded, in words of the reader's languages; source, status: of the rule.
        trend: change of the value per hour, where it was fitted; crossing: when a higher level is expected, by the stored forecast.
    """

    kind: str
    place: str
    flow: str
    level: int
    value: float
    unit: str
    since: datetime | None
    rule: Mapping[str, str]
    source: str
    status: str
    trend: float | None = None
    crossing: datetime | None = None


@dataclass(frozen=True, slots=True)
class Station:
    """The air at one place.

    Attributes:
        hour: start of the hour that the index is of; index: VN_AQI of the hour; day: that of the last whole day.
        exceeded: the limits that the latest mean of their averaging time lies above, with that mean in ug/m3.
    """

    place: str
    hour: datetime
    index: air_quality.Index
    day: air_quality.Index
    exceeded: tuple[tuple[air_quality.Limit, float], ...] = ()


@dataclass
class Hazards:
    """Alerts, worst first; stations; and what could not be said."""

    at: datetime
    alerts: list[Alert] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def alerts(park: Handle, at: str | date | datetime | None = None) -> list[Alert]:
    """The alerts of a territory at a moment (now, when left out), worst first. See `now`."""
    return now(park, at).alerts


def now(park: Handle, at: str | date | datetime | None = None) -> Hazards:
    """Everything that threatens a territory at a moment.

    Args:
        park: an opened territory with values in its ledger.
        at: the moment, local time; now when left out. Values that start later are not looked at.

    Raises:
        LedgerError: there is no store yet, or it is damaged.
    """
    moment = instant(at, park.territory.tz) if at is not None else datetime.now(UTC)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return read(snapshot, park.territory, moment)


def read(snapshot: Snapshot, territory: Territory, at: datetime) -> Hazards:
    """The hazards at `at`, from a snapshot: for those who hold one already, such as a page."""
    asked = _Asked(snapshot, territory, at)
    found = Hazards(at, problems=asked.problems)
    if not any(flow.carrier.kind in _KINDS for flow in territory.flows.values()):
        asked.problems.append(Problem("hazard.nothing_watched", severity="warning"))
    for flow in territory.flows.values():
        try:
            found.alerts += _told(asked, flow)
        except RuleError as error:  # one sensor that is declared wrongly does not silence the others
            reason = Sentence(error.code, tuple(error.problem.data.items()))
            data = {"flow": flow.id, "reason": reason}
            asked.problems.append(Problem("hazard.left_out", data, severity="warning"))
    for place, flows in _by_place(territory, "air").items():
        _air(asked, place, flows, found)
    found.alerts.sort(key=lambda one: (-one.level, one.kind, one.place))
    return found


@dataclass
class _Asked:
    """One question: where values come from, and what was noted on the way."""

    snapshot: Snapshot
    territory: Territory
    at: datetime
    problems: list[Problem] = field(default_factory=list)
    rows: dict[str, tuple[Ints, Floats]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reads the last days of every sensor, and the forecasts of water, in one go."""
        flows = [one for one in self.territory.flows.values() if one.carrier.kind in _KINDS]
        keys = [one.id for one in flows]
        keys += [series(one.id, "forecast") for one in flows if one.carrier.kind == "water_level"]
        table = self.snapshot.values(keys, self.at - LOOK_BACK, self.at + LOOK_AHEAD)
        good = np.isin(table["quality"].to_numpy(), [int(code) for code in COUNTED])
        coded = table["flow"].combine_chunks().dictionary_encode()
        flow = np.asarray(coded.indices)[good]
        starts = table["start"].to_numpy().astype("datetime64[us]").astype(np.int64)[good]
        values = table["value"].to_numpy().astype(float)[good]
        for number, name in enumerate(coded.dictionary.to_pylist()):
            mine = flow == number
            self.rows[name] = starts[mine], values[mine]

    def values(self, key: str, *, ahead: bool = False) -> tuple[Ints, Floats]:
        """Starts (microseconds, UTC) and values that count, of one series: up to the moment, or from it on."""
        starts, values = self.rows.get(key, (np.empty(0, np.int64), np.empty(0)))
        now = to_us(self.at)
        wanted = starts >= now if ahead else starts <= now
        return starts[wanted], values[wanted]

    def fresh(self, flow: Flow) -> tuple[Ints, Floats] | None:
        """The values of the last days; None (and a problem) when there are none or the newest is too old."""
        starts, values = self.values(flow.id)
        if not len(starts):
            self.problems.append(Problem("hazard.no_values", {"flow": flow.id}, severity="note"))
            return None
        oldest = max(STALE, timedelta(hours=3 * flow.step.hours) if flow.step else STALE)
        newest = from_us(int(starts[-1]))
        if self.at - newest > oldest:
            shown = newest.astimezone(self.territory.tz).strftime("%Y-%m-%d %H:%M")
            self.problems.append(
                Problem("hazard.stale", {"flow": flow.id, "newest": shown}, severity="warning")
            )
            return None
        return starts, values

    def hourly(self, flow: Flow, *, total: bool = False) -> tuple[int, Floats] | None:
        """The hour of the newest value (in hours since 1970) and the means (or sums) of the hours up to it, NaN where empty."""
        got = self.fresh(flow)
        if got is None:
            return None
        starts, values = got
        hour = starts // HOUR
        first, last = int(hour[0]), int(hour[-1])
        count = np.bincount(hour - first, minlength=last - first + 1)
        sums = np.bincount(hour - first, weights=values, minlength=last - first + 1)
        filled = np.where(count > 0, sums if total else sums / np.maximum(count, 1), np.nan)
        return last, filled


def _told(asked: _Asked, flow: Flow) -> list[Alert]:
    """What one gauge of water or weather says."""
    if flow.carrier.kind == "water_level":
        return _flood(asked, flow)
    if flow.carrier.kind == "weather" and flow.carrier.code == "rain":
        return _rain(asked, flow)
    if flow.carrier.kind == "weather" and flow.carrier.code == "temperature":
        return _heat(asked, flow)
    return []


def _flood(asked: _Asked, flow: Flow) -> list[Alert]:
    """Alarm levels of a gauge: those that the flow declares (`alarm1` to `alarm3`), else those of its `station` in the tables."""
    got = asked.fresh(flow)
    rule = _levels(asked, flow) if got is not None else None
    if got is None or rule is None:
        return []
    known = [one for one in rule.levels if one is not None]
    if known != sorted(known):
        asked.problems.append(Problem("hazard.levels_fall", {"flow": flow.id}, severity="warning"))
        return []
    starts, values = got
    meters = values * flow.unit.to("m")
    band = flow.parameters.get("hysteresis")
    hysteresis = band.to("m") if isinstance(band, Quantity) else flood.HYSTERESIS
    states = flood.reached(meters, rule.levels, hysteresis)
    level, trend = int(states[-1]), _slope(starts, meters)
    higher = next(((n, t) for n, t in enumerate(rule.levels, 1) if t is not None and n > level), None)
    crossing = _crossing(asked, flow, higher[1]) if higher else None
    said = {"place": flow.place, "flow": flow.id, "unit": "m", "source": rule.source, "status": rule.status}
    now_at = float(meters[-1])
    if level:
        words = _flood_words(rule, level)
        since = _since(starts, states == level)
        return [Alert("flood", level=level, value=now_at, since=since, rule=words, trend=trend, crossing=crossing, **said)]  # fmt: skip
    if crossing is not None and higher is not None:
        words = _flood_words(rule, higher[0])
        return [Alert("flood_expected", level=higher[0], value=now_at, since=None, rule=words, trend=trend, crossing=crossing, **said)]  # fmt: skip
    return []


def levels_of(flow: Flow, day: date) -> flood.AlarmLevels | None:
    """The alarm levels of a gauge: those that the flow declares (`alarm1` to `alarm3`), else those of its `station` in the tables."""
    own = [flow.parameters.get(f"alarm{n}") for n in (1, 2, 3)]
    station = str(flow.parameters.get("station", ""))
    if any(isinstance(one, Quantity) for one in own):
        levels = tuple(one.to("m") if isinstance(one, Quantity) else None for one in own)
        return flood.AlarmLevels(station or flow.name or flow.id, "", levels, "declared", flow.note)
    return flood.alarm_levels(station, day) if station else None


def _levels(asked: _Asked, flow: Flow) -> flood.AlarmLevels | None:
    found = levels_of(flow, _day(asked))
    if found is None:
        station = str(flow.parameters.get("station", ""))
        data = {"flow": flow.id, "station": station, "options": ", ".join(flood.stations())}
        code = "hazard.unknown_station" if station else "hazard.no_station"
        asked.problems.append(Problem(code, data, severity="note" if not station else "warning"))
    return found


def _flood_words(rule: flood.AlarmLevels, level: int) -> dict[str, str]:
    threshold = f"{rule.levels[level - 1]:g}"
    return {
        "en": f"alarm level {level} at {rule.station} ({threshold} m)",
        "vi": f"báo động {level} tại {rule.station} ({threshold.replace('.', ',')} m)",
    }


def _slope(starts: Ints, values: Floats) -> float | None:
    """The slope over the last hours in units per hour, by least squares; None with fewer than three values."""
    near = starts > starts[-1] - TREND_HOURS * HOUR
    if near.sum() < 3:  # noqa: PLR2004 - two points always lie on a line
        return None
    hours = (starts[near] - starts[-1]) / HOUR
    return float(np.polyfit(hours, values[near], 1)[0])


def _crossing(asked: _Asked, flow: Flow, threshold: float | None) -> datetime | None:
    """When the stored forecast first reaches a threshold."""
    starts, values = asked.values(series(flow.id, "forecast"), ahead=True)
    over = np.flatnonzero(values * flow.unit.to("m") >= (threshold or np.inf))
    return from_us(int(starts[over[0]])) if len(over) else None


def _rain(asked: _Asked, flow: Flow) -> list[Alert]:
    """Classes of rain by the sums of the last 12 and 24 hours; the highest class counts."""
    got = asked.hourly(flow, total=True)
    if got is None:
        return []
    last, amounts = got
    total = np.concatenate([[0.0], np.nancumsum(amounts * flow.unit.to("mm"))])
    found: list[Alert] = []
    for one in flood.classes("rain", _day(asked)):
        sums = total[1:] - total[np.maximum(np.arange(len(total) - 1) - one.hours + 1, 0)]
        above = sums > one.above + _ROUNDING
        if above[-1]:
            since = from_us((last - len(sums) + 1 + _run_start(above)) * HOUR)
            words = {lang: f"{name} (> {one.above:g} mm / {one.hours} h)" for lang, name in one.name.items()}
            found.append(Alert("rain", flow.place, flow.id, one.level, float(sums[-1]), "mm", since, words, one.source, one.status))  # fmt: skip
    return found[-1:]


def _heat(asked: _Asked, flow: Flow) -> list[Alert]:
    """Heat of the day by its highest temperature so far, and the heat index of the hour where the humidity is known."""
    if flow.unit.text not in (
        "degC",
        "°C",
    ):  # kelvins differ by an offset, which no factor turns into degrees
        raise RuleError("base.unit_mismatch", text=flow.unit.text, target="degC")
    got = asked.fresh(flow)
    if got is None:
        return []
    starts, values = got
    tz = asked.territory.tz
    midnight = asked.at.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
    today = starts >= int(midnight.timestamp()) * 1_000_000
    found: list[Alert] = []
    if today.any():
        found += _classed(asked, flow, "heat", starts[today], np.maximum.accumulate(values[today]))
    humid = next(
        (one for one in _by_place(asked.territory, "weather").get(flow.place, ()) if one.carrier.code == "humidity"),
        None,
    )  # fmt: skip
    wet = asked.fresh(humid) if humid is not None else None
    if humid is not None and wet is not None:
        both, mine, its = np.intersect1d(starts, wet[0], return_indices=True)
        felt = flood.heat_index(values[mine], wet[1][its] * humid.unit.to("%"))
        if len(both):
            found += _classed(asked, flow, "heat_index", both, felt)
    return found


def _classed(asked: _Asked, flow: Flow, kind: str, starts: Ints, values: Floats) -> list[Alert]:
    """The highest class of `kind` that the newest value is in, as an alert."""
    held = [one for one in flood.classes(kind, _day(asked)) if values[-1] >= one.above]
    if not held:
        return []
    one = held[-1]
    value, above = ((x - 32) / 1.8 if one.unit == "degF" else x for x in (float(values[-1]), one.above))
    words = {lang: f"{name} (>= {above:.0f} degC)" for lang, name in one.name.items()}
    since = _since(starts, values >= one.above)
    return [Alert(kind, flow.place, flow.id, one.level, value, "degC", since, words, one.source, one.status)]


def _air(asked: _Asked, place: str, flows: Sequence[Flow], found: Hazards) -> None:
    """The index of one place, and an alert where it is above 100."""
    hours: dict[str, list[tuple[int, Floats]]] = defaultdict(list)
    for flow in flows:
        got = asked.hourly(flow)
        if got is None:
            continue
        try:
            amounts = air_quality.micrograms(got[1], flow.unit, flow.carrier.code)
            hours[flow.carrier.code].append((got[0], amounts))
        except RuleError as error:
            asked.problems.append(Problem(error.code, error.problem.data, severity="note"))
    if not hours:
        return
    last = max(at for several in hours.values() for at, _ in several)
    length = 7 * 24
    aligned = {
        name: _mean([_aligned(values, at, last, length) for at, values in several])
        for name, several in hours.items()
    }
    index = air_quality.hourly(aligned)
    start = from_us(last * HOUR)
    found.stations.append(
        Station(place, start, index, _whole_day(asked, aligned, last), _exceeded(asked, aligned))
    )
    if index.value is None or index.value <= _AQI_ALERT:
        return
    since = last
    while length - (last - since) > air_quality.NOWCAST_HOURS:
        before = air_quality.hourly(
            {name: values[: length - (last - since) - 1] for name, values in aligned.items()}
        )
        if before.value is None or before.value <= _AQI_ALERT:
            break
        since -= 1
    level = air_quality.level_of(index.value)
    bands = [one.key for one in air_quality.levels()]
    words = {
        "en": f"VN_AQI {index.value}: {level.name['en'].lower()} ({index.pollutant})",
        "vi": f"VN_AQI {index.value}: {level.name['vi'].lower()} ({index.pollutant})",
    }
    flow_id = next(flow.id for flow in flows if flow.carrier.code == index.pollutant)
    found.alerts.append(
        Alert(
            "air", place, flow_id, bands.index(level.key) - 1, float(index.value), "1", from_us(since * HOUR), words,
            "Decision 1459/QD-TCMT (12/11/2019)", "official",
        )
    )  # fmt: skip


def _aligned(values: Floats, at: int, last: int, length: int) -> Floats:
    """Hourly values up to the hour `at` on the `length` hours that end with `last`; NaN where there is none."""
    found = np.full(length, np.nan)
    end = length - (last - at)
    count = min(len(values), max(end, 0))
    if count:
        found[end - count : end] = values[-count:]
    return found


def _mean(series: Sequence[Floats]) -> Floats:
    """The mean of instruments that stand at one place, by hour; NaN where none has a value."""
    stacked = np.stack(series)
    count = np.isfinite(stacked).sum(axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)


def _whole_day(asked: _Asked, aligned: Mapping[str, Floats], last: int) -> air_quality.Index:
    """The index of the last local day that ended before the last hour did."""
    tz = asked.territory.tz
    end = from_us((last + 1) * HOUR).astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
    past = last + 1 - int(end.timestamp()) // 3600
    days = {}
    for name, values in aligned.items():
        cut = values[: len(values) - past]
        days[name] = cut[-(air_quality.DAY_HOURS + (air_quality.OZONE_HOURS - 1 if name == "o3" else 0)) :]
    return air_quality.daily(days)


def _exceeded(asked: _Asked, aligned: Mapping[str, Floats]) -> tuple[tuple[air_quality.Limit, float], ...]:
    """The limits below the latest mean over their time; means need three quarters of their hours. Years are not looked at."""
    found = []
    for limit in air_quality.limits(_day(asked)):
        if limit.pollutant not in aligned or not limit.averaging.endswith("h"):
            continue
        window = aligned[limit.pollutant][-int(limit.averaging[:-1]) :]
        if np.isfinite(window).mean() >= air_quality.COMPLETE and float(np.nanmean(window)) > limit.value:
            found.append((limit, float(np.nanmean(window))))
    return tuple(found)


def _by_place(territory: Territory, kind: str) -> dict[str, list[Flow]]:
    found: dict[str, list[Flow]] = defaultdict(list)
    for flow in territory.flows.values():
        if flow.carrier.kind == kind:
            found[flow.place].append(flow)
    return found


def _since(starts: Ints, inside: npt.NDArray[np.bool_]) -> datetime:
    return from_us(int(starts[_run_start(inside)]))


def _run_start(inside: npt.NDArray[np.bool_]) -> int:
    """Where the run of true entries begins that the last entry belongs to."""
    outside = np.flatnonzero(~inside)
    return int(outside[-1]) + 1 if len(outside) else 0


def _day(asked: _Asked) -> date:
    return asked.at.astimezone(asked.territory.tz).date()


def as_json(found: Hazards, lang: str = "en") -> str:
    """Alerts and stations as JSON; instants in UTC."""
    import json

    def plain(value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else value

    rows = [
        {name: plain(getattr(one, name)) for name in Alert.__slots__ if name != "rule"}
        | {"rule": one.rule[lang]}
        for one in found.alerts
    ]
    air = [
        {
            "place": one.place, "hour": one.hour.isoformat(), "vn_aqi": one.index.value, "pollutant": one.index.pollutant,
            "by_pollutant": dict(one.index.by_pollutant), "vn_aqi_day": one.day.value,
            "exceeded": [
                {"document": limit.document, "pollutant": limit.pollutant, "averaging": limit.averaging,
                 "limit": limit.value, "mean": round(mean, 3)}
                for limit, mean in one.exceeded
            ],
        }
        for one in found.stations
    ]  # fmt: skip
    return json.dumps({"at": found.at.isoformat(), "alerts": rows, "air": air}, ensure_ascii=False, indent=1)


def as_text(found: Hazards, territory: Territory, lang: str = "en") -> str:
    """Alerts and stations for people, times in the territory's zone."""
    from mangrove import messages
    from mangrove.figures.numbers import number
    from mangrove.printing import grid

    def clock(moment: datetime | None) -> str:
        return moment.astimezone(territory.tz).strftime("%Y-%m-%d %H:%M") if moment else "-"

    def word(code: str) -> str:
        return messages.render(f"hazard.{code}", lang)

    lines: list[str] = []
    if found.alerts:
        body = [
            [str(one.level), word(f"kind_{one.kind}"), territory.places[one.place].name, one.rule[lang],
             f"{number(one.value, lang)} {'' if one.unit == '1' else one.unit}".strip(), clock(one.since),
             clock(one.crossing), messages.render(f"hazard.status_{one.status}", lang)]
            for one in found.alerts
        ]  # fmt: skip
        head = [
            word(name) for name in ("level", "kind", "place", "rule", "value", "since", "expected", "status")
        ]
        lines += grid(head, body, left={1, 2, 3, 5, 6, 7})
    else:
        lines.append(word("none"))
    if found.stations:
        body = [
            [territory.places[one.place].name, clock(one.hour), _index(one.index), one.index.pollutant or "-", _index(one.day),
             ", ".join(f"{limit.document} {limit.pollutant} {limit.averaging}" for limit, _ in one.exceeded) or "-"]
            for one in found.stations
        ]  # fmt: skip
        head = [word(name) for name in ("place", "hour", "aqi", "pollutant", "aqi_day", "exceeded")]
        lines += ["", *grid(head, body, left={0, 1, 3, 5})]
    return "\n".join(lines)


def _index(index: air_quality.Index) -> str:
    return "-" if index.value is None else str(index.value)
