# SPDX-License-Identifier: Apache-2.0
"""The city part of the demo: from the inventory of 2016 to the present hour of the city twin, question by question.

Comes in: a working copy of the example city. Goes out: the twin in its ledger, and text on stdout: each question that a city's
department asks, the command that answers it, the answer, and beside it what is true in the twin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mangrove import api, city, hazard, messages
from mangrove.compare import adopt, compare
from mangrove.demo_story import Part, tell
from mangrove.figures.numbers import number, percent
from mangrove.grid_ahead import ahead
from mangrove.handle import Handle
from mangrove.locate import locate
from mangrove.measure.sensing import invert
from mangrove.sources import city_twin, city_twin_recipe
from mangrove.sources.city_twin_recipe import Truth
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.locate import Source
    from mangrove.measure.nowcast import Nowcast

Progress = Callable[..., None]
ROAD = "transport"
WEEK = "2025-06-01", "2025-06-08"
"""Local days that the inversion reads: before the event."""
SPRING_TIDE = "2025-01-01T19:00"
_DAYS, _TOP = 3, 3
_PLANS = "scenarios/ride-hailing.yaml", "scenarios/rooftops.yaml"
_LIVE = "estimate/nowcast"
_METERS = 6_371_008.8
"""Mean radius of the Earth, m (IUGG)."""


def prepare(folder: Path, progress: Progress) -> Handle:
    """Adds the twin up to the demo's present to a working copy whose facts are ingested, and opens it.

    Raises:
        SourceError: `twin.none`, `twin.bad`.
    """
    truth = city_twin.truth(folder)
    files = city_twin.write(folder, truth.now)
    park = api.open(folder)
    report = api.ingest(park, *files)
    rows = sum(file.stored for file in report.files)
    progress("twin", rows=rows, seed=truth.seed, now=f"{truth.now:%Y-%m-%d %H:%M}")
    return park


def whole(folder: Path) -> Handle:
    """The twin with its whole time in a ledger of its own: what a feed has yet to send."""
    files = city_twin.write(folder)
    park = api.open(folder)
    api.ingest(park, *files)
    return park


def show(park: Handle, lang: str) -> None:
    """Asks every question of a prepared city and prints command, answer and truth."""
    story = _Story(park, city_twin.truth(park.territory.path), lang)
    tell(story.parts(), story.say, lang)


@dataclass
class _Story:
    park: Handle
    truth: Truth
    lang: str
    width: float = 0.0

    def parts(self) -> list[Part]:
        """The questions in the order in which a department meets them."""
        folder, now = self.park.territory.path, f"{self.truth.now:%Y-%m-%dT%H:%M}"
        first, last, near = *WEEK, self.truth.source
        a, b = (f"{folder}/{plan}" for plan in _PLANS)
        event = self.truth.event
        days = (event.to - event.from_).days
        live = f"nowcast {folder} --at {now} --from {self._month()}"
        return [
            Part("now", live, self._now),
            Part("grid", f"grid {folder} --from {now[:4]} --to {now[:10]} --forecast {_DAYS}", self._grid),
            Part("sensors", f"invert {folder} --from {first} --to {last} --by sector --zone ward", self._sensors),
            Part("after", live, self._after),
            Part("source", f"locate {folder} --species ch4 --from {near.from_} --to {near.to}", self._source),
            Part("event", f"event {folder} --at {event.from_} --flows tw-traffic --controls vn-generation --days {days}", self._event),
            Part("why", f"why {folder} --from {event.from_} --to {event.to} --against {event.from_ - timedelta(days=days)} --run {_LIVE}", self._why),
            Part("where", f"hotspots {folder} --from {self._month()} --to {now[:10]} --by ward --run {_LIVE}", self._where),
            Part("alerts", f"alerts {folder} --at {now}", lambda: self._alerts(now)),
            Part("tide", f"alerts {folder} --at {SPRING_TIDE}", lambda: self._alerts(SPRING_TIDE)),
            Part("plans", f"plan compare {folder} {a} {b}", self._plans),
        ]  # fmt: skip

    def say(self, code: str, **data: object) -> str:
        """A sentence of the story."""
        return messages.render(f"twin.{code}", self.lang, **data)

    def _month(self) -> str:
        return f"{self.truth.now:%Y-%m}-01"

    def _tonnes(self, kg: float) -> str:
        return number(kg / 1000, self.lang)

    def _now(self) -> Iterator[str]:
        made = city.nowcast(self.park, self.truth.now, self._month())
        yield from self._amounts(made)
        change = made.change()
        if change is not None:
            mean, low, high = (percent(part, self.lang) for part in change)
            yield self.say("change", mean=mean, low=low, high=high)
        for row in made.what_would_narrow(_TOP).to_pylist():
            fact = messages.render(f"nowcast.fact_{row['fact']}", self.lang)
            removes = percent(row["removes"], self.lang, decimals=0)
            yield self.say("narrow", fact=fact, target=row["target"], percent=removes)

    def _amounts(self, made: Nowcast) -> Iterator[str]:
        """The total and the sector that sensors speak of, with their intervals."""
        rows = {row["sector"]: row for row in made.table(("sector",)).to_pylist()}
        columns = {"mean": "co2e_kg", "low": "co2e_low95", "high": "co2e_high95"}
        road = {key: rows[ROAD][column] for key, column in columns.items()}
        figure = made.total()
        total = {"mean": figure.mean, "low": figure.low, "high": figure.high}
        yield self.say("now", **{key: self._tonnes(kg) for key, kg in total.items()})
        yield self.say(
            "now_road", name=self._sector(ROAD), **{key: self._tonnes(kg) for key, kg in road.items()}
        )
        width = road["high"] - road["low"]
        if self.width:
            share = percent(width / self.width - 1.0, self.lang, decimals=0)
            yield self.say("width", name=self._sector(ROAD), percent=share)
        self.width = width

    def _after(self) -> Iterator[str]:
        yield from self._amounts(city.nowcast(self.park, self.truth.now, self._month()))

    def _grid(self) -> Iterator[str]:
        tz = self.park.territory.tz
        span = Span.asked(f"{self.truth.now:%Y}-01-01", f"{self.truth.now:%Y-%m-%d}", tz)
        found = ahead(self.park, span, _DAYS)
        for row in found.rows[:_DAYS]:
            keys = ("physical_kg_per_kwh", "low80", "high80")
            middle, low, high = (number(float(str(row[key])), self.lang) for key in keys)
            yield self.say("grid", day=str(row["start"])[:10], middle=middle, low=low, high=high)
        yield found.lines(self.lang)[0]

    def _sensors(self) -> Iterator[str]:
        report = invert(self.park, *WEEK, by="sector", zone="ward")
        road = report.sectors[ROAD]
        yield self.say(
            "road",
            **{
                key: number(kg / road.prior, self.lang)
                for key, kg in (("mean", road.mean), ("low", road.low), ("high", road.high))
            },
            truth=number(self._road(report.span) / road.prior, self.lang),
        )
        drift = self.truth.drift
        for one in report.instruments:
            if one.drifts:
                yield self.say(
                    "drifts",
                    flow=one.flow,
                    found=number(one.gain_end, self.lang),
                    sd=number(one.gain_sd, self.lang, digits=2),
                    truth=number(drift.gain if one.flow == drift.flow else 1.0, self.lang),
                )

    def _road(self, span: Span) -> float:
        """True emissions of the sector over a period, kg: the road by the truth, the rest as published."""
        return city_twin.true_amount(self.park.territory, self.truth, ROAD, span)

    def _source(self) -> Iterator[str]:
        near = self.truth.source
        report = locate(self.park, "ch4", str(near.from_), str(near.to))
        found = report.sources[0]
        yield self.say(
            "source",
            lat=f"{found.lat:.5f}",
            lon=f"{found.lon:.5f}",
            axis=number(found.axes[0], self.lang, digits=2),
            away=number(_away(found, near), self.lang, digits=2),
        )
        rate, low, high = (number(kg, self.lang) for kg in (found.rate, found.low, found.high))
        truth = number(near.rate.to("kg/h"), self.lang)
        yield self.say("rate", rate=rate, low=low, high=high, truth=truth)

    def _event(self) -> Iterator[str]:
        event = self.truth.event
        days = (event.to - event.from_).days
        found = city.event(self.park, ["tw-traffic"], event.from_, controls=["vn-generation"], after=days)
        (effect,) = found.effects.values()
        words = {key: percent(getattr(effect, key), self.lang) for key in ("change", "low", "high")}
        yield self.say("event", **words, truth=percent(event.change, self.lang))

    def _why(self) -> Iterator[str]:
        event = self.truth.event
        first, last = str(event.from_), str(event.to)
        before = str(event.from_ - (event.to - event.from_))
        why = city.why(self.park, first, last, against=before, run=_LIVE)
        yield self.say("why", change=self._tonnes(why.change))
        for row in why.table("sector").to_pylist()[:2]:
            name = self._sector(row["sector"])
            yield self.say(
                "why_sector",
                name=name,
                change=self._tonnes(row["change"]),
                activity=self._tonnes(row["activity"]),
            )

    def _sector(self, key: str) -> str:
        return self.park.territory.sectors.get(key, key)

    def _where(self) -> Iterator[str]:
        last = f"{self.truth.now:%Y-%m-%d}"
        found = city.hotspots(self.park, self._month(), last, by=["ward"], run=_LIVE)
        for i, (ward,) in enumerate(found.keys[:_TOP]):
            yield self.say(
                "where",
                name=self.park.territory.places[ward].name,
                kg=self._tonnes(found.kg[i]),
                low=int(found.rank_low[i]),
                high=int(found.rank_high[i]),
            )
        yield self.say("cover", count=len(found.cover.members), all=len(found.keys))

    def _alerts(self, at: str) -> Iterator[str]:
        found = hazard.now(self.park, at)
        for one in found.alerts:
            unit = "" if one.unit == "1" else one.unit
            place = self.park.territory.places[one.place].name
            value = f"{number(one.value, self.lang)} {unit}".strip()
            yield self.say("alert", level=one.level, rule=one.rule[self.lang], place=place, value=value)
        for station in found.stations:
            if station.exceeded:
                limits = ", ".join(
                    f"{limit.document} {limit.pollutant} {limit.averaging}" for limit, _ in station.exceeded
                )
                yield self.say("limits", place=self.park.territory.places[station.place].name, limits=limits)
        if not found.alerts:
            yield messages.render("hazard.none", self.lang)

    def _plans(self) -> Iterator[str]:
        a, b = (str(self.park.territory.path / plan) for plan in _PLANS)
        found = compare(self.park, a, b)
        rows = [row for row in found.total().to_pylist() if row["account"] == "inventory"]
        last = max(rows, key=lambda row: row["start"])
        yield self.say(
            "plans",
            year=last["start"].astimezone(self.park.territory.tz).year,
            a=found.names[0],
            b=found.names[1],
            **{
                key: self._tonnes(last[name])
                for key, name in (
                    ("less", "difference"),
                    ("low", "difference_low"),
                    ("high", "difference_high"),
                )
            },
        )
        for file in (a, b):
            adopt(self.park, file)
        for part in found.parts():
            if part.start == last["start"] and part.account == last["account"]:
                yield self.say(
                    "action", name=part.action, scenario=part.scenario, kg=self._tonnes(part.value)
                )


def _away(found: Source, near: city_twin_recipe.Source) -> float:
    """Meters between what was found and the truth."""
    north = math.radians(found.lat - near.lat)
    east = math.radians(found.lon - near.lon) * math.cos(math.radians(near.lat))
    return _METERS * float(np.hypot(north, east))


def at(park: Handle) -> datetime:
    """The demo's present, in the territory's zone."""
    return city_twin.truth(park.territory.path).now.replace(tzinfo=park.territory.tz)
