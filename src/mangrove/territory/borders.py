# SPDX-License-Identifier: Apache-2.0
"""Borders that change: which places exist on a day, and how a value of one place stands for places of another kind.

Comes in: a territory whose places carry validity dates, and its crosswalk of old and new places. Goes out: the tree
of a day, the place of some kind above another, and shares that add up to one. A weight that is not declared is an
error with the names of the places that lack it, never a guess.

The algebra: something at place *p* is mapped to places *q* of kind *L* valid on day *d* with shares *s[p, q]*. If *p*
is valid and lies in one *q*, *s = 1*. If *p* is larger, *s[p, q] = w[q] / sum w*, with *w* the population or area. If
*p* is not valid on *d*, its successors (or predecessors) in the crosswalk take its place: an old place that is listed
itself follows its listed shares; a larger old place follows the weights of its parts, *sum over parts of w[old] *
share*, or, where the parts' weights are unknown, the weight of each new place whose every part came from *p*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from mangrove.errors import RequestError
from mangrove.territory.model import Crosswalk, Place, Territory

Weighted = list[tuple[str, float]]
_NAMED = 5
WEIGHTS: Mapping[str, Callable[[Place], float | None]] = {
    "population": lambda place: place.population,
    "area": lambda place: place.area,
}


@dataclass(frozen=True)
class Tree:
    """The places of one day and what each contains; places in file order."""

    day: date
    places: Mapping[str, Place]
    children: Mapping[str | None, tuple[str, ...]]

    def below(self, place: str, level: str) -> list[str]:
        """The nearest places of kind `level` inside `place` (itself when it is one); nothing is counted twice."""
        found: list[str] = []
        stack = [place]
        while stack:
            current = stack.pop()
            if self.places[current].kind == level:
                found.append(current)
            else:
                stack.extend(reversed(self.children.get(current, ())))
        return found


class Borders:
    """Answers about the borders of one territory; keeps the trees of the days that were asked for."""

    def __init__(self, territory: Territory) -> None:
        self.territory = territory
        self._trees: dict[date, Tree] = {}
        self._forward: dict[str, list[Crosswalk]] = {}
        self._backward: dict[str, list[Crosswalk]] = {}
        self._children: dict[str | None, list[str]] = {}
        for line in territory.crosswalk:
            self._forward.setdefault(line.old, []).append(line)
            self._backward.setdefault(line.new, []).append(line)
        for place in territory.places.values():
            self._children.setdefault(place.parent, []).append(place.id)

    def tree_on(self, day: date) -> Tree:
        """The places that exist on `day`."""
        if day not in self._trees:
            places = {p.id: p for p in self.territory.places.values() if p.valid_on(day)}
            children: dict[str | None, list[str]] = {}
            for place in places.values():
                children.setdefault(place.parent, []).append(place.id)
            self._trees[day] = Tree(day, places, {key: tuple(ids) for key, ids in children.items()})
        return self._trees[day]

    def level_of(self, place: str, level: str, on: date) -> str | None:
        """The place of kind `level` on day `on` that holds all of `place`; None when there is none or not one."""
        if self.territory.places[place].valid_on(on):
            return self._above(place, level, on)
        tops = {self._above(part, level, on) for part in self._parts(place, on)}
        return tops.pop() if len(tops) == 1 else None

    def shares(self, place: str, level: str, on: date, by: str = "population") -> Weighted:
        """How something at `place` stands for the places of kind `level` that exist on `on`; adds up to one.

        Args:
            place: id of a place, valid on `on` or not.
            level: a kind of place: `ward`, `city`, `lot`, ...
            on: the day whose borders are meant.
            by: `population` or `area`.

        Raises:
            RequestError: `territory.no_weight`, `territory.mixed_origin`, `territory.no_successor`,
                `territory.no_level`, or `territory.not_an_option` for another `by`.
        """
        if by not in WEIGHTS:
            raise RequestError("territory.not_an_option", text=by, options=", ".join(WEIGHTS), hint="")
        if self.territory.places[place].valid_on(on):
            return self._spread(place, level, on, by)
        parts = self._parts(place, on)
        if not parts:
            raise RequestError("territory.no_successor", place=place, day=on)
        tops = {self._above(part, level, on) for part in parts}
        if len(tops) == 1 and None not in tops:
            return [(top, 1.0) for top in tops if top]
        total: dict[str, float] = {}
        for part, share in self._part_shares(place, parts, on, by):
            for target, inner in self._spread(part, level, on, by):
                total[target] = total.get(target, 0.0) + share * inner
        return _normal(total.items())

    def _above(self, place: str, level: str, on: date) -> str | None:
        """The place itself or its nearest ancestor of kind `level`."""
        return next(
            (p.id for p in self.territory.ancestors(place) if p.kind == level and p.valid_on(on)), None
        )

    def _spread(self, place: str, level: str, on: date, by: str) -> Weighted:
        """Shares of a place that exists on the day."""
        above = self._above(place, level, on)
        if above is not None:
            return [(above, 1.0)]
        tree = self.tree_on(on)
        targets = tree.below(place, level)
        if not targets:
            raise RequestError("territory.no_level", place=place, level=level, day=on)
        if len(targets) == 1:
            return [(targets[0], 1.0)]
        return self._weighted(place, targets, by)

    def _weighted(self, place: str, targets: list[str], by: str) -> Weighted:
        """Shares in proportion to a declared weight."""
        places = self.territory.places
        weights = {target: WEIGHTS[by](places[target]) for target in targets}
        missing = [places[target].name for target, weight in weights.items() if weight is None]
        if missing or not sum(weight or 0.0 for weight in weights.values()):
            listed = missing or [places[target].name for target in targets]
            raise RequestError("territory.no_weight", place=place, by=by, missing=_some(listed))
        return _normal((target, weight) for target, weight in weights.items() if weight is not None)

    def _listed(self, place: str, lines: Mapping[str, list[Crosswalk]]) -> list[str]:
        """The place itself when the crosswalk lists it, or else everything below it that is listed."""
        if place in lines:
            return [place]
        return [leaf for child in self._children.get(place, ()) for leaf in self._listed(child, lines)]

    def _parts(self, place: str, on: date) -> list[str]:
        """The places valid on `on` that `place` became, or that became `place`; in the order of the crosswalk."""
        found: dict[str, None] = {}
        for lines, side in ((self._forward, "new"), (self._backward, "old")):
            for leaf in self._listed(place, lines):
                for line in lines[leaf]:
                    other = str(getattr(line, side))
                    if self.territory.places[other].valid_on(on):
                        found[other] = None
        return list(found)

    def _part_shares(self, place: str, parts: list[str], on: date, by: str) -> Weighted:
        """How much of `place` lies in each of its parts."""
        ended = self.territory.places[place].valid_to
        if ended is not None and ended <= on:
            return self._forward_shares(place, parts, on, by)
        return self._backward_shares(place, parts, by)

    def _forward_shares(self, place: str, parts: list[str], on: date, by: str) -> Weighted:
        """From an old place to the new ones."""
        leaves = self._listed(place, self._forward)
        if leaves == [place]:
            return _normal((line.new, line.share) for line in self._forward[place] if line.new in parts)
        places = self.territory.places
        known = {leaf: WEIGHTS[by](places[leaf]) for leaf in leaves}
        if all(weight is not None for weight in known.values()):
            total: dict[str, float] = {}
            for leaf in leaves:
                for line in self._forward[leaf]:
                    total[line.new] = total.get(line.new, 0.0) + (known[leaf] or 0.0) * line.share
            return _normal(total.items())
        inside = set(leaves)
        mixed = [part for part in parts if any(line.old not in inside for line in self._backward[part])]
        if mixed:
            listed = _some([places[part].name for part in mixed])
            raise RequestError("territory.mixed_origin", place=place, day=on, missing=listed, by=by)
        return self._weighted(place, parts, by)

    def _backward_shares(self, place: str, parts: list[str], by: str) -> Weighted:
        """From a new place back to the old ones: by what each old place gave."""
        places = self.territory.places
        inside = set(self._listed(place, self._backward))
        missing = [places[part].name for part in parts if WEIGHTS[by](places[part]) is None]
        if missing:
            raise RequestError("territory.no_weight", place=place, by=by, missing=_some(missing))
        given = {
            part: (WEIGHTS[by](places[part]) or 0.0)
            * sum(line.share for line in self._forward[part] if line.new in inside)
            for part in parts
        }
        return _normal(given.items())


def _some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f", … (+{more})" if more > 0 else "")


def _normal(weights: Iterable[tuple[str, float]]) -> Weighted:
    """Weights as shares whose exact sum rounds to one; the largest takes what rounding leaves."""
    listed = list(weights)
    total = math.fsum(weight for _, weight in listed)
    parts = [weight / total for _, weight in listed]
    largest = parts.index(max(parts))
    while rest := math.fsum([*parts, -1.0]):
        nearer = parts[largest] - rest
        if nearer == parts[largest]:
            break
        parts[largest] = nearer
    return [(key, part) for (key, _), part in zip(listed, parts, strict=True)]


_latest: list[Borders] = []


def _borders(territory: Territory) -> Borders:
    """The borders of the territory that was asked about last are kept, because questions come in thousands."""
    if not _latest or _latest[0].territory is not territory:
        _latest[:] = [Borders(territory)]
    return _latest[0]


def tree_on(territory: Territory, day: date) -> Tree:
    """The places that exist on `day`, with the index of children."""
    return _borders(territory).tree_on(day)


def level_of(territory: Territory, place: str, level: str, on: date) -> str | None:
    """The place of kind `level` on day `on` that holds all of `place`, or None."""
    return _borders(territory).level_of(place, level, on)


def shares(territory: Territory, place: str, level: str, on: date, by: str = "population") -> Weighted:
    """How something at `place` stands for the places of kind `level` on `on`; see `Borders.shares`."""
    return _borders(territory).shares(place, level, on, by)
