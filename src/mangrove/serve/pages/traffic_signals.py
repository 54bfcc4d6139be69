# SPDX-License-Identifier: Apache-2.0
"""Before and after a signal plan on the page Traffic: all measures with intervals, two maps, the junctions that gain and lose most.

Comes in: stored records of the kind `signals`, the network of the territory. Goes out: a `Study`. Intervals and probabilities are computed
again from the values of the runs, as `mangrove signals run` does it; nothing is simulated here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mangrove import messages
from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.figures import numbers
from mangrove.figures.links import Classes, LinkMap, amount_classes, change_classes
from mangrove.serve import records
from mangrove.serve.pages.traffic_map import plan_of
from mangrove.serve.state import Live
from mangrove.serve.view import View, choice
from mangrove.signals import CONTROLS, KIND

if TYPE_CHECKING:
    from mangrove.traffic.verdict import Comparison

LOOKS = ("delay_h_h", "co2_kg_h")
_LOOK_UNITS = {"delay_h_h": "vehicle_h/h", "co2_kg_h": "kg/h"}
_UNITS = {
    "delay": "s/vehicle",
    "co2": "g/vehicle",
    "stops": "1/vehicle",
    "unfinished": "vehicle",
    "never_departed": "vehicle",
}
"""Of what tables say; all other measures are counts of events."""
LOST = ("unfinished", "never_departed", "jam_teleports", "teleports", "collisions")
"""Measures by which a plan can seem better than it is: vehicles that are not there any more."""
_WORDS = frozenset(word for word in CONTROLS if ":" not in word)
"""Names of ways that have a text of their own."""
_MOST = 20
_DRAWN = 800
"""Streets of a map with words of their own; a page of a city with thousands of them stays small."""
_FEW = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of one way: means, relative change with its 90 % interval, probability of less; None where nothing is known."""

    way: str
    measure: str
    before: float
    after: float
    change: float | None
    low: float | None
    high: float | None
    less: float | None

    @property
    def unit(self) -> str:
        """Of `before` and `after`; `change` and its interval are relative."""
        return _UNITS.get(self.measure, "1")

    @property
    def sure(self) -> str:
        """`good` or `alarm` when the interval leaves no doubt about the side, else empty."""
        if self.low is None or self.high is None:
            return ""
        return "good" if self.high < 0 else "alarm" if self.low > 0 else ""


@dataclass(frozen=True, slots=True)
class Turned:
    """A junction before and after."""

    id: str
    name: str
    before: float
    after: float
    lon: float | None
    lat: float | None

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class Study:
    """A comparison of ways to control signals.

    Attributes:
        name, made, net: of the record; names: ways, the first is before; way: the one that maps and junctions show; look: what they show.
        draws: how many; vehicles: that wanted to drive, mean of a draw; rows: all measures of all ways; others: names of further studies.
        plan: lines of the network, None when the territory has none of it.
    """

    name: str
    made: datetime
    net: str
    names: tuple[str, ...]
    way: str
    look: str
    draws: int
    vehicles: float
    rows: tuple[Measured, ...]
    others: tuple[str, ...]
    plan: LinkMap | None
    document: Mapping[str, Any]
    titles: Mapping[str, str]
    lang: str

    @property
    def doubtful(self) -> tuple[Measured, ...]:
        """Losses of vehicles that rise, by one a draw or more, where delay or CO2 falls: a gain that may be none."""
        gains = {one.way for one in self.rows if one.measure in {"delay", "co2"} and (one.change or 0) < 0}
        return tuple(
            one
            for one in self.rows
            if one.measure in LOST and one.way in gains and one.after >= one.before + 1
        )

    def called(self, way: str) -> str:
        """The name of a way for people: a word of `mangrove signals run` in their language, another name as it is."""
        return messages.render(f"page_traffic.way_{way}", self.lang) if way in _WORDS else way

    @property
    def against(self) -> list[str]:
        """The names of all ways but the first, for people."""
        return [self.called(way) for way in self.names[1:]]

    def doubts(self, lang: str) -> str:
        """These losses in words."""
        said = [
            f"{self.called(one.way)}: {messages.render(f'page_traffic.measure_{one.measure}', lang)} "
            f"{numbers.number(one.before, lang)} → {numbers.number(one.after, lang)}"
            for one in self.doubtful
        ]
        return "; ".join(said)

    @property
    def flown(self) -> str:
        """Teleports of a draw by way, for people: parts of trips that no street of the maps has; empty without any."""
        known = [one for one in self.rows if one.measure == "teleports"]
        if not any(one.before or one.after for one in known):
            return ""
        pairs = [(self.names[0], known[0].before), *((one.way, one.after) for one in known)]
        return ", ".join(f"{self.called(way)} {numbers.number(count, self.lang)}" for way, count in pairs)

    @property
    def by_measure(self) -> list[Measured]:
        """The rows with all ways of one measure beside each other."""
        order = list(dict.fromkeys(one.measure for one in self.rows))
        return sorted(self.rows, key=lambda one: order.index(one.measure))

    @cached_property
    def values(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """What is looked at by link, before and after."""
        links = self.document["links"]
        ids = links["ids"]
        pair = [links[name][self.look] for name in (self.names[0], self.way)]
        before, after = ({id_: _number(v) for id_, v in zip(ids, values, strict=True)} for values in pair)
        return before, after

    @cached_property
    def junctions(self) -> tuple[Turned, ...]:
        """All signals, who gains most first."""
        found = []
        for one in self.document.get("signals", ()):
            before, after = (_number(one[name][self.look]) for name in (self.names[0], self.way))
            name = self.titles.get(one["id"], one["id"])
            found.append(Turned(one["id"], name, before, after, one.get("lon"), one.get("lat")))
        return tuple(sorted(found, key=lambda one: (one.change, one.id)))

    @property
    def gain(self) -> tuple[Turned, ...]:
        """The junctions where it falls most."""
        return tuple(one for one in self.junctions[:_FEW] if one.change < 0)

    @property
    def lose(self) -> tuple[Turned, ...]:
        """The junctions where it rises most."""
        return tuple(one for one in self.junctions[::-1][:_FEW] if one.change > 0)

    @property
    def unit(self) -> str:
        """Of maps and junctions."""
        return messages.render(f"page_traffic.unit_{self.look}", self.lang)

    @cached_property
    def _legends(self) -> tuple[Classes, Classes]:
        import numpy as np

        before, after = (np.array(list(values.values()), float) for values in self.values)
        return amount_classes(np.concatenate([before, after]), self.lang), change_classes(
            after - before, self.lang
        )

    @cached_property
    def figures(self) -> Mapping[str, str]:
        """The map before, and the map of what changes."""
        if self.plan is None:
            return {}
        before, after, lang = *self.values, self.lang
        amounts, changes = self._legends
        change = {name: after[name] - value for name, value in before.items()}
        unit = self.unit
        drawn = {}
        for name, values, classes in (
            ("signals_before", before, amounts),
            ("signals_change", change, changes),
        ):
            tips = {
                id_: f"{id_}: {numbers.number(value, lang, digits=2)} {unit}" for id_, value in values.items()
            }
            way, first = self.called(self.way), self.called(self.names[0])
            title = messages.render(f"page_traffic.figure_{name}", lang, way=way, first=first)
            drawn[name] = self.plan.draw(
                values, classes, title=title, lang=lang, subtitle=unit, tips=tips, most=_DRAWN
            )
        return drawn

    def tables(self) -> dict[str, pa.Table]:
        """Measures, links, junctions."""
        rows, (before, after) = self.rows, self.values
        fields = ("way", "measure", "unit", "before", "after", "change", "low", "high", "less")
        turned, unit = self.junctions, _LOOK_UNITS[self.look]
        return {
            "signals": pa.table({name: [getattr(one, name) for one in rows] for name in fields}),
            "signal_links": pa.table(
                {
                    "link": list(before),
                    "before": list(before.values()),
                    "after": list(after.values()),
                    "unit": [unit] * len(before),
                }
            ),
            "signal_junctions": pa.table(
                {
                    name: [getattr(one, name) for one in turned]
                    for name in ("id", "name", "before", "after", "change")
                }
                | {"unit": [unit] * len(turned)}
            ),
        }


def study_of(live: Live, view: View) -> tuple[Study | None, tuple[records.LeftOut, ...]]:
    """The study that the address names, the newest when it names none, and those that cannot be shown; nothing for who sees no totals of the streets.

    Raises:
        RequestError: `live.unknown_choice`.
    """
    if not (view.scope.whole or view.scope.suppresses):
        return None, ()
    found, left = _readable(live)
    if not found:
        return None, left
    name = choice("study", view.params.get("study", ""), tuple(found))
    record = found[name]
    names = tuple(record.document["names"])
    word = view.params.get("way", "") or names[1]
    if word not in names[1:]:
        hint = did_you_mean(word, names[1:])
        raise RequestError(
            "live.unknown_choice", name="way", word=word[:40], options=", ".join(names[1:]), hint=hint
        )
    look = choice("look", view.params.get("look", ""), LOOKS)
    others = tuple(one for one in found if one != name)
    key = (
        "study",
        record.id,
        names,
        word,
        look,
        others,
        view.lang,
        view.principal.key,
        live.territory.content_hash,
    )
    return live.kept.get(key, lambda: _study(live, view, record, (word, look), others)), left


def _readable(live: Live) -> tuple[dict[str, records.Record], tuple[records.LeftOut, ...]]:
    """The newest study of each name, and those that would stand there but cannot be shown."""
    found: dict[str, records.Record] = {}
    left: list[records.LeftOut] = []
    for one in records.found(live, KIND, _MOST):
        wrong = (
            one
            if isinstance(one, records.LeftOut)
            else live.kept.get(("sound study", one.id), lambda one=one: _unsound(one))  # type: ignore[misc]
        )
        if isinstance(one, records.Record) and wrong is None:
            found.setdefault(one.document["name"], one)
        elif wrong is not None and (
            not wrong.name or wrong.name not in (*found, *(other.name for other in left))
        ):
            left.append(wrong)
    return found, tuple(left)


def _unsound(record: records.Record) -> records.LeftOut | None:
    """Why a record cannot be shown, None when it can."""
    try:
        _check(record.document)
    except (KeyError, TypeError, ValueError) as error:
        return records.left_out(record, error)
    if len(record.document["names"]) < 2:  # noqa: PLR2004 - nothing to compare
        return replace(records.left_out(record, ValueError()), why=Problem("page_traffic.one_way"))
    return None


def _check(document: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError unless a record has what the page needs, in the shapes that it needs."""
    import numpy as np

    names, links, signals = document["names"], document["links"], document["signals"]
    shape = (len(names), len(document["seeds"]), len(document["measures"]))
    runs = np.array(document["values"], float).shape, np.array(document["vehicles"], float).shape
    told = [len(links[name][look]) for name in names for look in LOOKS]
    placed = [float(one[name][look] or 0) for one in signals for name in names for look in LOOKS]
    datetime.fromisoformat(document["made"])
    fine = (
        isinstance(document["name"], str)
        and bool(document["name"])
        and isinstance(document["net"], str)
        and runs == (shape, shape[:2])
        and set(told) == {len(links["ids"])}
        and all(math.isfinite(value) for value in placed)
    )
    if not fine:
        raise ValueError


def _study(
    live: Live, view: View, record: records.Record, chosen: tuple[str, str], others: tuple[str, ...]
) -> Study:
    """A study as it is shown, for one way and one look."""
    document = record.document
    names = tuple(document["names"])
    compared = _compared(document)
    rows = tuple(_measured(compared, way, measure) for way in names[1:] for measure in _told(document))
    plan, titles = _ground(live, view, document)
    return Study(
        str(document["name"]), datetime.fromisoformat(document["made"]), document["net"], names, *chosen, len(document["seeds"]),
        float(compared.vehicles.mean()), rows, others, plan, document, titles, view.lang,
    )  # fmt: skip


def _compared(document: Mapping[str, Any]) -> Comparison:
    """The runs as they were, in the order of measures of today's package."""
    import numpy as np

    from mangrove.traffic.verdict import MEASURES, Comparison

    values = np.array(document["values"], dtype=float)
    stored = list(document["measures"])
    ordered = np.full((*values.shape[:2], len(MEASURES)), math.nan)
    for at, measure in enumerate(MEASURES):
        if measure in stored:
            ordered[..., at] = values[..., stored.index(measure)]
    vehicles = np.array(document["vehicles"], dtype=float)
    return Comparison(tuple(document["names"]), ordered, vehicles, tuple(document["seeds"]), 0.0)


def _told(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The measures that record and package have in common."""
    from mangrove.traffic.verdict import MEASURES

    return tuple(measure for measure in MEASURES if measure in document["measures"])


def _measured(compared: Comparison, way: str, measure: str) -> Measured:
    low, high = compared.interval(way, measure)
    return Measured(
        way, measure, compared.mean(compared.names[0], measure), compared.mean(way, measure),
        *(value if math.isfinite(value) else None for value in (compared.change(way, measure), low, high, compared.better(way, measure))),
    )  # fmt: skip


def _ground(live: Live, view: View, document: Mapping[str, Any]) -> tuple[LinkMap | None, Mapping[str, str]]:
    """Lines of the simulated network, when it is that of the territory or lies beside it, and what its signals are called."""
    from mangrove.serve.pages.traffic_day import network_file

    ids = tuple(document["links"]["ids"])
    net = network_file(live, str(document["net"]))
    if net is None or not any(name in net.number for name in ids):
        return None, {}
    key = ("signal map", view.principal.key, str(net.path), live.territory.content_hash, ids)
    return live.kept.get(key, lambda: plan_of(view, net, ids, small=True)), signal_titles(net)


def signal_titles(net: Any) -> dict[str, str]:
    """The streets that meet at each signal."""
    from mangrove.measure.traffic.ranking import signal_of

    signal = signal_of(net)
    found: dict[str, dict[str, None]] = {}
    for edge, number in enumerate(signal.tolist()):
        if number >= 0 and net.names[edge]:
            found.setdefault(net.signals[number].id, {})[net.names[edge]] = None
    return {id_: " × ".join(list(names)[:3]) for id_, names in found.items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def studies(live: Live) -> Sequence[str]:
    """Ids of the newest records: what moves the page besides values."""
    return tuple(one.id for one in records.newest(live, KIND))
