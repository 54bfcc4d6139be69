# SPDX-License-Identifier: Apache-2.0
"""The streets part of the demo: what they emit, where and why, how sure that is, what better signals save, and a plan that is judged.

Comes in: a folder for the twin, and the folder of real data when there is one. Goes out: six questions with the commands that answer them and
short answers on stdout, records of signals and plans for the page of traffic, and a map. Streets and signal programs are real (Cologne, or
District 1 and 3 of Ho Chi Minh City), vehicles are generated; where SUMO knows the truth, it stands beside the answer.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mangrove import api, messages, signals, street_plans, streets_files, streets_twin, traffic_state
from mangrove.demo_story import Part, tell
from mangrove.errors import MangroveError
from mangrove.figures.numbers import number, percent
from mangrove.handle import Handle
from mangrove.rules.vehicles import vehicle_class

if TYPE_CHECKING:
    from mangrove.measure.traffic import LinkState
    from mangrove.measure.traffic.ranking import Corridor, Rates
    from mangrove.streets_twin import Twin
    from mangrove.traffic.emissions import Amounts, Factors
    from mangrove.traffic.verdict import Comparison

Progress = Callable[..., None]
CONTROLS = ("installed", "actuated", "adaptive")
FOLDER, MAP = "streets", "streets.svg"
_TOP = 3
_PLAN_DRAWS = 5
_OTHER = "measured"
"""The source of factors that the answer is held against."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated.

    Attributes:
        net: of `streets_twin.NETS`; share: of its demand; cameras: streets that are counted.
        minutes, draws: of each way of control; one draw on the streets of District 1 and 3, which take four times as long.
    """

    net: str = "cologne8"
    share: float = 1.0
    cameras: int = streets_twin.CAMERAS
    minutes: int = 20
    draws: int = 2


def show(out: Path, data: Path | None, progress: Progress, lang: str, size: Size | None = None) -> list[Path]:
    """Makes the twin, asks the questions, prints commands and answers, draws the map; gives its path.

    Args:
        out: of the demo; the twin goes into `streets` in it.
        data: folder of the real data: the streets of District 1 and 3; None: those of Cologne.
        progress: takes codes of `demo.*` with their facts.
        lang: of what is said.
        size: how much is simulated.
    """
    size = size or Size()
    try:
        story = _Story(*_made(out / FOLDER, data, size, progress, lang), size, lang)
    except (
        MangroveError
    ) as error:  # without SUMO, or without these streets in the data, the rest of the demo stands
        progress("streets_missing", text=error.text(lang))
        return []
    tell(story.parts(), story.say, lang)
    path = out / MAP
    path.write_text(story.map(), encoding="utf-8")
    return [path]


def judge_signals(twin: Twin, park: Handle, minutes: int, draws: int) -> Comparison:
    """Simulates the ways of control on the first minutes of the twin, and keeps in the territory what they did.

    Raises:
        See `signals.run`.
    """
    period = _period(twin, minutes)
    found = signals.run(twin.net, [twin.routes], CONTROLS, draws=draws, period=period, streets=True)
    signals.keep(park, signals.document(found, twin.net, FOLDER))
    return found


def judge_plan(twin: Twin, park: Handle) -> street_plans.Judged:
    """Judges the plan that lies beside the twin, and keeps the result in the territory.

    Raises:
        See `street_plans.compare`.
    """
    found = street_plans.compare(park, [twin.folder / streets_files.PLAN], draws=_PLAN_DRAWS)
    street_plans.store(park, found)
    return found


def _period(twin: Twin, minutes: int) -> tuple[float, float]:
    """The first minutes of the twin in seconds of its day."""
    begin = float(twin.start.hour * 3600)
    return begin, begin + minutes * 60


def _made(folder: Path, data: Path | None, size: Size, progress: Progress, lang: str) -> tuple[Twin, Handle]:
    """The twin and its opened territory, with the counts taken in."""
    shutil.rmtree(folder, ignore_errors=True)

    def told(step: str) -> None:
        progress(f"streets_{step}")

    twin = streets_twin.build(
        folder, data=data, net=size.net, share=size.share, cameras=size.cameras, lang=lang, progress=told
    )  # fmt: skip
    park = api.open(folder)
    report = api.ingest(park, *twin.values, screen=False)
    rows = sum(file.stored for file in report.files)
    progress("streets", name=park.territory.name, rows=rows, links=len(twin.links), seed=twin.seed)
    return twin, park


@dataclass
class _Story:
    twin: Twin
    park: Handle
    size: Size
    lang: str

    def parts(self) -> list[Part]:
        """The questions in the order in which a department meets them: name, command, what makes the answer."""
        folder = self.twin.folder
        when = f"--from {self.twin.start:%Y-%m-%dT%H:%M} --to {self.twin.end:%Y-%m-%dT%H:%M}"
        controls = " ".join(f"--control {word}" for word in CONTROLS)
        begin, end = _period(self.twin, self.size.minutes)
        times = f"--begin {begin:g}s --end {end:g}s --draws {self._draws}"
        return [
            Part("emit", f"traffic {folder} {when} --by class", self._emit),
            Part("worst", f"traffic {folder} {when} --by link", self._worst),
            Part("why", f"serve {folder}", self._why),
            Part("doubt", f"traffic {folder} {when} --source {_OTHER}", self._doubt),
            Part("signals", f"signals run {self.twin.net} --routes {self.twin.routes} {controls} {times} --store {folder}", self._signals),
            Part("plan", f"roads compare {folder} {folder / streets_files.PLAN} --draws {_PLAN_DRAWS}", self._plan),
        ]  # fmt: skip

    def say(self, code: str, **data: object) -> str:
        """A sentence of the story."""
        return messages.render(f"demo.streets_{code}", self.lang, **data)

    def _n(self, value: float) -> str:
        return number(value, self.lang)

    def _p(self, share: float, decimals: int = 0) -> str:
        return percent(share, self.lang, decimals=decimals)

    @property
    def _draws(self) -> int:
        return 1 if self.twin.real else self.size.draws

    @cached_property
    def report(self) -> traffic_state.TrafficReport:
        """The hour of the counts by class; stored, so that the inventory and the pages have it."""
        return traffic_state.traffic(self.park, self.twin.start, self.twin.end, by=traffic_state.CLASS)

    @cached_property
    def state(self) -> LinkState:
        """Flow and speed of each street."""
        return traffic_state.state(self.park, self.twin.start, self.twin.end)

    @cached_property
    def factors(self) -> Factors:
        """The curves that the report was made with."""
        territory = self.park.territory
        return traffic_state.curves_for(territory, self.state.classes, ("CO2",), "", self.report.span)

    @cached_property
    def amounts(self) -> Amounts:
        """Grams of CO2 of each street, five minutes and class."""
        from mangrove.measure.traffic.emitted import emitted

        return emitted(self.state, self.factors)

    @cached_property
    def rates(self) -> Rates:
        """Means of the hour by street."""
        from mangrove.measure.traffic.ranking import rates

        return rates(self.state, self.amounts.mass[..., 0])

    @cached_property
    def worst(self) -> list[Corridor]:
        """Streets by CO2 per km and hour, the most first."""
        from mangrove.measure.traffic.ranking import corridors

        return sorted(corridors(self.rates, self.state.streets.ids), key=lambda one: -one.mass)

    def _emit(self) -> Iterator[str]:
        total, truth = self.report.total, self.twin.truth["CO2"]
        yield self.say(
            "total", links=len(self.twin.links), value=self._n(total.amount), low=self._n(total.low),
            high=self._n(total.high), km=self._n(total.vehicle_km), read=self._p(self.report.read, 1),
        )  # fmt: skip
        yield self.say(
            "truth",
            truth=self._n(truth),
            error=self._p(total.amount / truth - 1, 1),
            whole=self._n(self.twin.whole["CO2"]),
        )
        flows, first, last = self.twin.silent
        yield self.say(
            "silent", camera=flows[0].partition("_")[0], first=f"{first:%H:%M}", last=f"{last:%H:%M}"
        )

    def _worst(self) -> Iterator[str]:
        for one in self.worst[:_TOP]:
            yield self.say(
                "street", name=one.name, area=self._area(one), mass=self._n(one.mass), speed=self._n(one.speed),
                vehicles=self._n(one.vehicles), times=number(one.emission.times, self.lang, digits=2),
            )  # fmt: skip

    def _area(self, one: Corridor) -> str:
        place = self.state.streets.places[one.links[0]]
        return self.park.territory.places[place].name

    def _why(self) -> Iterator[str]:
        rows, total = self.report.rows, self.report.total
        for row in rows:
            name = vehicle_class(row.id)
            yield self.say(
                "class", name=name.name_vi if self.lang == "vi" else name.name_en,
                km=self._p(row.vehicle_km / total.vehicle_km), share=self._p(row.amount / total.amount),
            )  # fmt: skip
        first = self.worst[0]
        cause = {
            name: number(getattr(first.emission, name), self.lang, digits=2)
            for name in ("busy", "mix", "slow")
        }
        yield self.say(
            "cause", name=first.name, times=number(first.emission.times, self.lang, digits=2), **cause
        )

    def _doubt(self) -> Iterator[str]:
        by_class = self.amounts.mass[..., 0].sum(axis=(0, 1)) / 1000
        drawn = self.factors.draws(seed=0)[..., 0] * by_class
        factor, streets = float(drawn.sum(axis=1).var()), self.report.total.state_sd**2
        of = {name: float(drawn[:, at].var()) for at, name in enumerate(self.state.classes)}
        most = vehicle_class(max(of, key=lambda name: of[name]))
        yield self.say(
            "share", share=self._p(factor / (factor + streets)), sd=self._p(self.report.total.state_sd / self.report.total.amount, 1),
            name=most.name_vi if self.lang == "vi" else most.name_en, part=self._p(of[most.key] / sum(of.values())),
        )  # fmt: skip
        other = traffic_state.traffic(
            self.park, self.twin.start, self.twin.end, source=_OTHER, store=False
        ).total
        yield self.say(
            "other",
            source=_OTHER,
            value=self._n(other.amount),
            change=self._p(other.amount / self.report.total.amount - 1),
        )

    def _signals(self) -> Iterator[str]:
        found = judge_signals(self.twin, self.park, self.size.minutes, self._draws)
        yield self.say(
            "draws",
            minutes=self.size.minutes,
            draws=self._draws,
            vehicles=self._n(float(found.vehicles[0].sum())),
        )
        if self.twin.real:
            yield messages.render("streets.note_rebuilt", self.lang)
        for way in found.names:
            yield self._way(found, way)
        yield self._against(found)

    def _way(self, found: Comparison, way: str) -> str:
        """One way of control: everything that it did, and its change against the installed plan."""

        def shown(measure: str, unit: str = "") -> str:
            value = f"{self._n(found.mean(way, measure))}{unit}"
            change = found.change(way, measure)
            return (
                f"{value} ({self._p(change)})" if way != found.names[0] and math.isfinite(change) else value
            )

        counts = ("stops", "unfinished", "never_departed", "jam_teleports", "teleports", "collisions")
        told = {
            "delay": shown("delay", " s"),
            "co2": shown("co2", " g"),
            **{one: shown(one) for one in counts},
        }
        return self.say("way", way=self.say(f"way_{way}"), **told)

    def _against(self, found: Comparison) -> str:
        """The controller beside the program that SUMO brings."""
        ours, theirs = CONTROLS[2], CONTROLS[1]
        apart = {
            name: found.mean(ours, name) / found.mean(theirs, name) - 1 for name in ("delay", "co2", "stops")
        }
        return self.say("against", **{name: self._p(change) for name, change in apart.items()})

    def _plan(self) -> Iterator[str]:
        found = judge_plan(self.twin, self.park)
        name = found.plans[0].name
        change, power = (found.verdict.difference(key, name) for key in ("CO2", "electricity"))
        yield self.say(
            "judged", title=found.plans[0].title, mean=self._n(change.mean / 1000), low=self._n(change.low / 1000), high=self._n(change.high / 1000),
            change=self._p(change.relative), power=self._n(power.mean),
        )  # fmt: skip
        claims = tuple(finding.claim.id for finding in found.findings)
        yield from (line for line in found.text(self.lang).splitlines() if line.startswith(claims))

    def map(self) -> str:
        """Counted streets by what they emit on each kilometer, as SVG."""
        from mangrove.figures.links import LinkMap, Mark, Road, amount_classes

        net, counted = self.state.streets.net, set(self.state.streets.ids)
        assert net is not None
        lines = [Road(name, name, shape) for name, shape in zip(net.ids, net.shapes, strict=True)]
        drawn = LinkMap(
            tuple(one for one in lines if one.id in counted),
            tuple(one for one in lines if one.id not in counted),
        )
        values = {one.name: one.mass for one in self.worst}
        tips = {one.name: f"{one.name}: {self._n(one.mass)} kg/km/h" for one in self.worst}
        marks = [Mark(str(place), one.name, one.name) for place, one in enumerate(self.worst[:_TOP], start=1)]
        classes = amount_classes(np.array(list(values.values())), self.lang)
        title = self.say("map", name=self.park.territory.name, time=f"{self.twin.start:%H:%M}")
        return drawn.draw(
            values,
            classes,
            title=title,
            lang=self.lang,
            subtitle=self.say("map_unit"),
            tips=tips,
            marks=marks,
        )
