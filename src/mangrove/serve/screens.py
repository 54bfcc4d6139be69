# SPDX-License-Identifier: Apache-2.0
"""What a screen is: a function from the live state and a view to a model that knows its numbers, its tables and its figures.

Comes in: modules of `mangrove.serve.pages`, each with one `SCREEN`. Goes out: for every screen a page and its twins: `/now`,
`/now.json`, `/now.csv` (`?table=`), `/now.svg` (`?figure=`). The page is a template around the same model, so a number on the
page is the number in its twins.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import pyarrow as pa

from mangrove.errors import RequestError, did_you_mean
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Territory


class Model(Protocol):
    """What a screen shows, as data."""

    def json(self) -> dict[str, Any]:
        """Everything that the page shows, with units and UTC times."""

    def tables(self) -> Mapping[str, pa.Table]:
        """Its tables by name; the first one is what `.csv` gives unless another is asked for."""

    def figures(self, lang: str) -> Mapping[str, str]:
        """Its figures by name, as SVG."""


@dataclass(frozen=True, slots=True)
class Screen:
    """One screen.

    Attributes:
        name: its path, and the code `live.screen_<name>` of its title; order: its place in the menu.
        model: builds what it shows; template: the file in `templates/`.
        period: the period when the address says none; roles: who may open it, everyone who may see totals when empty.
        menu: whether it stands in the menu; keeps: choices of its own (names in the address) that its links keep.
        fits: whether it has anything to show for a territory; it does not stand in the menu otherwise.
        moves: what changes it besides values (records that people store), as something that compares.
    """

    name: str
    order: int
    model: Callable[[Live, View], Model]
    template: str
    period: str = "month"
    roles: tuple[str, ...] = ("admin", "operator", "tenant", "city", "worker")
    menu: bool = True
    keeps: tuple[str, ...] = ()
    fits: Callable[[Territory], bool] = lambda _territory: True
    moves: Callable[[Live], object] = lambda _live: None


@cache
def screens() -> tuple[Screen, ...]:
    """All screens in the order of the menu."""
    from mangrove.serve import pages

    found = []
    for module in pkgutil.iter_modules(pages.__path__):
        screen = getattr(importlib.import_module(f"{pages.__name__}.{module.name}"), "SCREEN", None)
        if isinstance(screen, Screen):
            found.append(screen)
    return tuple(sorted(found, key=lambda screen: screen.order))


def build(screen: Screen, live: Live, view: View) -> Model:
    """The model of a screen, built once for all who look at the same cut through the same view."""
    key = ("screen", screen.name, view.key, live.cut(), screen.moves(live))
    return live.kept.get(key, lambda: screen.model(live, view))


def one(kind: str, named: Mapping[str, Any], asked: str) -> Any:
    """The table or the figure that was asked for, the first one when none was named.

    Raises:
        RequestError: `live.no_table` or `live.no_figure`.
    """
    if not asked and named:
        return next(iter(named.values()))
    if asked not in named:
        hint = did_you_mean(asked, named)
        raise RequestError(f"live.no_{kind}", name=asked[:40], options=", ".join(named) or "–", hint=hint)
    return named[asked]
