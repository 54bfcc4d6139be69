# SPDX-License-Identifier: Apache-2.0
"""The map of streets on the page Traffic: what colors them, their classes, the drawing of one step, all steps as data.

Comes in: a `Day`, what is shown, a step. Goes out: values by street and cell, classes that are the same at all steps, an SVG. Streets that
nobody counts are thin and gray unless the newest record made with `--whole` knows them at that time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.errors import MangroveError, RequestError
from mangrove.figures import Shape, numbers
from mangrove.figures.links import PACE, Classes, LinkMap, Mark, Road, amount_classes, fixed_classes
from mangrove.serve import records
from mangrove.serve.pages.traffic_day import Day
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.times import instant

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mangrove.traffic.sumo_net import SumoNet

    Floats = npt.NDArray[np.float64]

SPEED, PACED = "speed", "pace"
POLLUTANTS = ("CO2", "NOx", "PM", "CO", "HC", "electricity")
_PER_HOUR = 12
_READ = 5
"""Newest records of streets of which the first with estimates is shown."""
_SPEEDS = (10.0, 15.0, 20.0, 30.0, 40.0)
_LEVELS = (0.30, 0.40, 0.50, 0.67, 0.85)
"""Levels of service F to A of urban streets by travel speed over free-flow speed: Highway Capacity Manual 2010, exhibit 16-4 (recalled)."""
_LETTERS = "FEDCBA"
_UNITS = {"CO2": "kg/km/h", "electricity": "kWh/km/h", SPEED: "km/h", PACED: "%"}
_SCALES = {"CO2": 1000.0, "electricity": 1.0}


def shown_of(word: str) -> str:
    """The pollutant behind a choice of the map."""
    return word if word in POLLUTANTS else "CO2"


def options(day: Day) -> tuple[str, ...]:
    """What can be shown of a day."""
    import numpy as np

    from mangrove.rules.vehicles import vehicle_class

    powered = {vehicle_class(name).energy for name in day.state.classes}
    burned = POLLUTANTS[:-1] if powered - {"", "electricity"} else ()
    pace = (PACED,) if np.isfinite(day.streets.limit).any() else ()
    power = ("electricity",) if "electricity" in powered else ()
    return (*burned[:1], SPEED, *pace, *burned[1:], *power)


def unit_of(shown: str) -> str:
    """The unit of what is shown."""
    return _UNITS.get(shown, "g/km/h")


def values_of(day: Day, shown: str) -> Floats:
    """(T, L) what is shown, NaN where a street is not known."""
    import numpy as np

    from mangrove.measure.traffic.state import Basis

    if shown == SPEED:
        found = day.speed
    elif shown == PACED:
        found = day.speed / day.streets.limit
    else:
        mass = day.mass(shown).sum(axis=2)
        found = mass * _PER_HOUR / _SCALES.get(shown, 1.0) / day.streets.length
    made: Floats = np.where(day.state.basis == Basis.MISSING, np.nan, found)
    return made


def classes_of(values: Floats, shown: str, lang: str) -> Classes:
    """Classes that hold for all steps."""
    if shown == SPEED:
        return fixed_classes(_SPEEDS, PACE, lang)
    if shown == PACED:
        found = fixed_classes(_LEVELS, PACE, lang, 100.0, " %")
        words = tuple(f"{letter}: {text}" for letter, text in zip(_LETTERS, found.words, strict=True))
        return Classes(found.breaks, found.colors, words)
    return amount_classes(values, lang)


@dataclass(frozen=True)
class StreetMap:
    """The map of one step.

    Attributes:
        day, shown: of what; index: the step; values: (T, L); classes: of color; plan: the lines, None without a network.
        marked: numbered streets, each the number of a link and a label; estimates: of streets that nobody counts, by id; whole: when the newest record
            with estimates begins and ends, None without any; left_out: newer records of streets that cannot be read.
    """

    day: Day
    shown: str
    index: int
    values: Floats
    classes: Classes
    plan: LinkMap | None
    marked: tuple[tuple[int, str], ...]
    estimates: Mapping[str, float]
    whole: tuple[datetime, datetime] | None
    left_out: tuple[records.LeftOut, ...]
    lang: str

    @property
    def unit(self) -> str:
        """The unit of the colors."""
        return unit_of(self.shown)

    @property
    def at(self) -> datetime:
        """The start of the step."""
        return self.day.starts[self.index]

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """Color and words of the classes, the most first."""
        return tuple(zip(self.classes.colors, self.classes.words, strict=True))[::-1]

    def instants(self, view: View) -> list[tuple[str, datetime]]:
        """The steps as the address writes them, with their starts."""
        return [(f"{one.astimezone(view.tz):%Y-%m-%dT%H:%M}", one) for one in self.day.starts]

    @cached_property
    def known(self) -> int:
        """How many streets have a color at this step."""
        import numpy as np

        return int(np.isfinite(self.values[self.index]).sum())

    def draw(self, title: str, *, key: bool = True) -> str:
        """The SVG; nothing without a network."""
        if self.plan is None:
            return ""
        ids = self.day.streets.ids
        now = dict(zip(ids, self.values[self.index].tolist(), strict=True))
        marks = [Mark(str(n), label, ids[link]) for n, (link, label) in enumerate(self.marked, start=1)]
        summary = messages.render("page_traffic.map_summary", self.lang, known=self.known, count=len(ids))
        return self.plan.draw(
            now, self.classes, title=title, lang=self.lang, subtitle=numbers.unit_label(self.unit, self.lang),
            tips=self._tips(), estimated=self.estimates, marks=marks, key=key, summary=summary,
        )  # fmt: skip

    def _tips(self) -> dict[str, str]:
        """What is said of each street at this step."""
        import numpy as np

        from mangrove.measure.traffic.state import Basis

        day, at = self.day, self.index
        vehicles = day.state.flow[at].sum(axis=1) * _PER_HOUR
        found = {}
        for link, name in enumerate(day.names):
            if not np.isfinite(self.values[at, link]):
                said = numbers.no_data(self.lang)
            else:
                data = {
                    "vehicles": numbers.number(float(vehicles[link]), self.lang, digits=2),
                    "speed": numbers.number(float(day.speed[at, link]), self.lang, digits=2),
                }
                said = messages.render("page_traffic.tip", self.lang, **data)
                if self.shown not in (SPEED, PACED):
                    amount = numbers.number(float(self.values[at, link]), self.lang)
                    said += f", {amount} {numbers.unit_label(self.unit, self.lang)} {self.shown}"
                if day.state.basis[at, link] == Basis.FILLED:
                    said += ", " + messages.render("page_traffic.filled_word", self.lang)
            own = day.streets.ids[link]
            found[own] = f"{name}: {said}" if name == own else f"{name} ({own}): {said}"
        return found

    def frames(self) -> dict[str, Any]:
        """All steps for a script: the class of each street as one letter, `-` without a number."""
        import numpy as np

        inner = np.searchsorted(np.array(self.classes.breaks), np.nan_to_num(self.values), side="right")
        letters = np.where(np.isfinite(self.values), np.char.mod("%d", inner), "-")
        return {
            "links": list(self.day.streets.ids),
            "colors": list(self.classes.colors),
            "steps": ["".join(row) for row in letters.tolist()],
            "starts": [one.isoformat() for one in self.day.starts],
        }


def street_map(  # noqa: PLR0917 - one call
    live: Live, view: View, day: Day, shown: str, marked: Sequence[tuple[int, str]], focus: Collection[str]
) -> StreetMap:
    """The map of a view."""
    values = live.kept.get(
        ("traffic map", day.span, live.cut(), day.streets.ids, shown), lambda: values_of(day, shown)
    )
    index = _index(day, view)
    plan = None
    if day.streets.net is not None:
        question = (
            "link map",
            view.principal.key,
            str(day.streets.net.path),
            live.territory.content_hash,
            day.streets.ids,
            frozenset(focus),
        )
        plan = live.kept.get(question, lambda: plan_of(view, day.streets.net, day.streets.ids, focus))
    estimates, whole, left = _estimates(live, view, day, shown, index)
    return StreetMap(
        day, shown, index, values, classes_of(values, shown, view.lang), plan, tuple(marked), estimates, whole, left, view.lang
    )  # fmt: skip


def plan_of(
    view: View, net: Any, ids: Sequence[str], focus: Collection[str] = (), *, small: bool = False
) -> LinkMap:
    """The lines of a network: those of `ids` can have a color."""
    shapes, degrees = lines_of(net)
    counted = set(ids)

    def road(edge: int) -> Road:
        return Road(net.ids[edge], net.names[edge] or net.ids[edge], shapes[edge])

    idle = tuple(
        road(edge) for edge in range(len(net)) if net.ids[edge] not in counted and net.lanes[edge] > 0
    )
    own = tuple(road(net.number[name]) for name in ids if name in net.number)
    areas = areas_of(view, [one.points for one in own]) if degrees and own else ()
    width, tallest, stroke = (540.0, 420.0, 3.4) if small else (760.0, 560.0, 4.4)
    return LinkMap(own, idle, areas, degrees, frozenset(focus), width, tallest, stroke)


def lines_of(net: SumoNet) -> tuple[Sequence[Floats], bool]:
    """(E,) lines, and whether they are degrees; kilometers of its own plane for a network without a projection."""
    import numpy as np

    try:
        return net.shapes, True
    except MangroveError:
        return np.split(net.points / 1000, net.pointers[1:-1]), False


def areas_of(view: View, lines: Sequence[Floats]) -> tuple[Shape, ...]:
    """Outlines of the smallest places around the streets; names only of those that the reader may know."""
    import numpy as np
    from shapely.geometry import shape

    points = np.concatenate(lines)
    (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
    places = view.territory.places.values()
    drawn = [one for one in places if one.geometry and "Polygon" in str(one.geometry.get("type"))]
    above = {one.parent for one in drawn}
    found = []
    for one in drawn:
        if one.id in above:
            continue
        left, low, right, high = shape(one.geometry).bounds
        if left <= east and right >= west and low <= north and high >= south:
            named = view.scope.knows(one.id)
            found.append(Shape(one.id, one.name if named else "", one.geometry))
    return tuple(found)


def _index(day: Day, view: View) -> int:
    """The step that holds the instant of the address; the newest one when it says none."""
    said = view.params.get("t", "")
    if not said:
        return day.newest
    try:
        moment = instant(said, view.tz)
    except (ValueError, OverflowError, RequestError):
        raise RequestError("page_map.bad_instant", text=said[:40]) from None
    return max(sum(start <= moment for start in day.starts) - 1, 0)


def _estimates(
    live: Live, view: View, day: Day, shown: str, index: int
) -> tuple[Mapping[str, float], tuple[datetime, datetime] | None, tuple[records.LeftOut, ...]]:
    """Estimates of streets that nobody counts at a step, the time for which the newest record has any, and newer ones that cannot be read."""
    from mangrove.measure.traffic.store import KIND

    if not (view.scope.whole or view.scope.suppresses):
        return {}, None, ()
    found, left = records.first(live, KIND, _READ, lambda one: _estimates_of(live, one, day, shown, index))
    return *(found or ({}, None)), left


def _estimates_of(
    live: Live, one: records.Record, day: Day, shown: str, index: int
) -> tuple[Mapping[str, float], tuple[datetime, datetime]] | None:
    """What a record holds of the step, and the time that it is of; None when it has no estimates."""
    from mangrove.times import from_us

    if "vehicles.estimated" not in one.document.get("problems", ()):
        return None
    first, seconds = int(one.document["start"]), int(one.document["seconds"]) * 1_000_000
    last = first + int(one.document["cells"]) * seconds
    times = (from_us(first), from_us(last))
    at = int(day.state.starts[index])
    if not first <= at < last or day.streets.net is None:
        return {}, times
    question = ("estimates", one.id, at, shown)
    return live.kept.get(question, lambda: _estimated(one.payload, day, shown, at)), times


def _estimated(payload: bytes, day: Day, shown: str, at: int) -> dict[str, float]:
    """What a record says of streets that nobody counts, in the unit of the map."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from mangrove.measure.traffic.state import Basis
    from mangrove.measure.traffic.store import detail
    from mangrove.traffic.crossings import link_lengths

    table, net = detail(payload), day.streets.net
    assert net is not None
    moment = pa.scalar(at, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    table = table.filter(
        pc.and_(pc.equal(table["basis"], int(Basis.ESTIMATED)), pc.equal(table["start"], moment))
    )
    pollutant = shown_of(shown)
    if not table.num_rows or (shown == pollutant and pollutant not in table.column_names):
        return {}
    lengths = link_lengths(net)
    found: dict[str, float] = {}
    column = pollutant if shown == pollutant else "speed"
    for name, value in zip(table["link"].to_pylist(), table[column].to_pylist(), strict=True):
        edge = net.number.get(name)
        if edge is None or value is None:
            continue
        if shown == SPEED:
            found[name] = value
        elif shown == PACED:
            found[name] = value / float(net.speed[edge])
        else:
            rate = value * _PER_HOUR / _SCALES.get(shown, 1.0) / float(lengths[edge])
            found[name] = found.get(name, 0.0) + rate
    return found
