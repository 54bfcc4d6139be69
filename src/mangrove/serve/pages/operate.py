# SPDX-License-Identifier: Apache-2.0
"""Operate: what a site did, what is expected of it, what it is going to do, and what its devices are told next.

Comes in: a view with a site (`?site=`), the ledger, the records of schedules, decisions and answers of devices. Goes out: series of a
day back and two days ahead for the connection and each device, the orders that hold now and whether the devices took them, what the
plan saves, how old it is, what gave way. Orders and ages are looked up whenever they are asked for: they move with the clock and with
people, not with the values of the ledger. `?chart=NAME` makes the JSON twin the columns of one chart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove import messages
from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.figures import Stretch, band_lines
from mangrove.operate.site import Site, sites
from mangrove.operate.state import HOUR_SECONDS
from mangrove.serve.energy_model import Account
from mangrove.serve.pages.operate_curves import (
    GRID,
    PAST,
    RUNS,
    SECONDS,
    STEPS,
    Curve,
    Prices,
    curves_of,
    planned,
    prices_of,
    starts_of,
)
from mangrove.serve.pages.operate_standing import Standing
from mangrove.serve.screens import Screen, one
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Territory
from mangrove.times import utc

Floats = npt.NDArray[np.float64]
DECIDERS = frozenset({"admin", "operator"})
"""Roles that may decide in place of the plan."""
_WIDTH, _HEIGHT = 1100, 200


class Operate:
    """The page of one site.

    Attributes:
        site: what is operated; sites: those that the reader may see, the one with most devices first.
        standing: what moves with the clock and with people; starts: (T,) the steps of the page.
    """

    def __init__(self, live: Live, view: View, site: Site, known: Sequence[Site]) -> None:
        self.live, self.view, self.site, self.sites = live, view, site, known
        self.standing = Standing(live, site)
        self.starts = starts_of(view.now)

    @property
    def may_decide(self) -> bool:
        """Whether the reader may decide in place of the plan."""
        return self.view.principal.role in DECIDERS and self.live.intake is not None

    @property
    def currency(self) -> str:
        """The sign of money."""
        currency = self.live.territory.currency
        return "đ" if self.view.lang == "vi" and currency == "VND" else currency

    @property
    def curves(self) -> list[Curve]:
        """The connection first, then every device that anybody knows something about."""
        known = planned(self.standing.stored, self.starts)
        found = []
        for curve in self._measured[0]:
            power, level = known.get(curve.id, (np.full(STEPS, math.nan), np.zeros(0)))
            schedule = np.where(np.isnan(power), curve.schedule, power)
            whole = replace(curve, schedule=schedule, level=level)
            if whole.known or curve.id == GRID:
                found.append(whole)
        return found

    @property
    def prices(self) -> Prices | None:
        """The prices of the site's contract; None without one."""
        return self._priced[0]

    @property
    def problems(self) -> list[Problem]:
        """What was stale or guessed when the plan was made, and what cannot be shown."""
        return [*self.standing.problems, *self._measured[1], *self._priced[1]]

    @cached_property
    def _measured(self) -> tuple[list[Curve], list[Problem]]:
        name = messages.render("page_operate.connection", self.view.lang)
        key = ("curves", self.site.place, self.view.lang, str(self.starts[0]), self.live.cut())
        return self.live.kept.get(key, lambda: curves_of(self.live, self.site, self.starts, name))

    @cached_property
    def _priced(self) -> tuple[Prices | None, list[Problem]]:
        key = ("prices", self.site.place, str(self.starts[0]), self.live.territory.content_hash)
        return self.live.kept.get(key, lambda: prices_of(self.live, self.site, self.starts))

    # Twins

    def json(self) -> dict[str, Any]:
        """Everything as data, or the columns of one chart."""
        asked = self.view.params.get("chart")
        if asked:
            one("figure", self._charts, asked)
            return self._columns(asked)
        standing = self.standing
        stored = standing.stored
        return {
            "site": self.site.place,
            "sites": [site.place for site in self.sites],
            "now": standing.now.isoformat(),
            "record": stored.id if stored else None,
            "by": stored.by if stored else None,
            "plan_at": stored.at.isoformat() if stored else None,
            "plan_age_s": standing.age,
            "forecast_age_s": standing.forecast_age,
            "stale": standing.stale,
            "orders": self._orders().to_pylist(),
            "overrides": self._decided().to_pylist(),
            "plan": _said(stored.cost if stored else None),
            "without": _said(stored.without if stored else None),
            "against": stored.against if stored else "",
            "saved": None
            if standing.saved is None
            else dict(zip(("money", "kg_co2"), standing.saved, strict=True)),
            "currency": self.live.territory.currency,
            "problems": [
                {"code": x.code, "severity": x.severity, "text": x.text(self.view.lang)}
                for x in (*self.problems, *self.standing.gave_way)
            ],
            "series": self._series().to_pylist(),
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """The series of the window, the orders that hold, the prices, what people decided."""
        return {
            "series": self._series(),
            "orders": self._orders(),
            "prices": self._price_table(),
            "overrides": self._decided(),
        }

    def figures(self, lang: str) -> Mapping[str, str]:
        """One figure for each curve, the levels of what stores, and the prices."""
        return {name: self._figure(name, lang) for name in self._charts}

    @property
    def charts(self) -> list[tuple[str, str]]:
        """Names and titles of the charts, in the order of the page."""
        return [(name, self.title(name)) for name in self._charts]

    @property
    def _charts(self) -> dict[str, tuple[str, Curve | None]]:
        """What there is to draw, by name."""
        curves = self.curves
        found: dict[str, tuple[str, Curve | None]] = {curve.id: ("power", curve) for curve in curves}
        found |= {f"{curve.id}-level": ("level", curve) for curve in curves if len(curve.level)}
        return found | ({"prices": ("prices", None)} if self.prices is not None else {})

    def title(self, name: str) -> str:
        """The title of a chart."""
        kind, curve = self._charts[name]
        return messages.render(
            f"page_operate.chart_{kind}", self.view.lang, name=curve.name if curve is not None else ""
        )

    def _lines(self, name: str) -> tuple[str, dict[str, Floats], tuple[Floats, Floats] | None]:
        """Unit, lines by code of their name, and the band of one chart."""
        kind, curve = self._charts[name]
        if kind == "prices":
            assert self.prices is not None
            return f"{self.currency}/kWh", {"price": self.prices.buy, "price_sell": self.prices.sell}, None
        assert curve is not None
        if kind == "level":
            return "kWh", {"level": curve.level}, None
        band = (
            (curve.low, curve.high)
            if np.isfinite(curve.low).any() and np.isfinite(curve.high).any()
            else None
        )
        return "kW", curve.lines(), band

    def _columns(self, name: str) -> dict[str, Any]:
        """What the chart of the browser reads."""
        unit, lines, band = self._lines(name)
        say = messages.render
        found: list[dict[str, Any]] = []
        for key, line in lines.items():
            column: dict[str, Any] = {
                "name": say(f"page_operate.line_{key}", self.view.lang), "unit": unit, "values": _column(line),
            }  # fmt: skip
            if key == "forecast" and band is not None:
                column |= {"low": _column(band[0]), "high": _column(band[1])}
            if key == "schedule":
                column["dash"] = True
            found.append(column)
        table = self.view.link("operate.csv", site=self.site.place)
        clock = [int(s) for s in self.starts.astype(np.int64)]
        behind = [
            {"from": clock[first], "to": clock[last] + SECONDS, "level": level}
            for first, last, level in self._levels()
        ]
        return {"x": clock, "series": found, "table": table, "behind": behind}

    def _figure(self, name: str, lang: str) -> str:
        unit, lines, band = self._lines(name)
        begun = utc(self.starts[0]).astimezone(self.view.tz)
        midnight = begun.hour + begun.minute / 60
        edges = [midnight + i * SECONDS / HOUR_SECONDS for i in range(STEPS + 1)]
        told = {
            messages.render(f"page_operate.line_{key}", lang): line.tolist() for key, line in lines.items()
        }
        whole = all(np.isfinite(line[:PAST]).all() for key, line in lines.items() if key != "actual")
        ribbon = None
        if band is not None:
            ribbon = (messages.render("page_operate.band", lang), band[0].tolist(), band[1].tolist())
        return band_lines(
            edges, told, title=self.title(name), unit=unit, ribbon=ribbon, behind=self._behind(edges, lang), lang=lang,
            until=edges[PAST] if whole else -math.inf, width=_WIDTH, height=_HEIGHT, heading=False,
        )  # fmt: skip

    def _behind(self, edges: Sequence[float], lang: str) -> list[Stretch]:
        """Hours of low, normal and peak prices with their names."""
        return [
            Stretch(edges[first], edges[last + 1], messages.render(f"energy.period_{level}", lang), level)
            for first, last, level in self._levels()
        ]

    def _levels(self) -> list[tuple[int, int, int]]:
        """First and last step of each stretch of one level of prices, and the level."""
        if self.prices is None:
            return []
        period, found = self.prices.period, []
        for level, run in groupby(range(STEPS), key=lambda i: int(period[i])):
            steps = list(run)
            found.append((steps[0], steps[-1], level))
        return found

    def _series(self) -> pa.Table:
        curves, count = self.curves, STEPS
        when = pa.array(np.tile(self.starts.astype("datetime64[us]"), len(curves)), pa.timestamp("us", "UTC"))
        columns: dict[str, Any] = {
            "site": [self.site.place] * (count * len(curves)),
            "series": [curve.id for curve in curves for _ in range(count)],
            "start": when,
        }
        for name in RUNS:
            column = [getattr(curve, name) for curve in curves]
            columns[f"{name}_kw"] = _optional(np.concatenate(column) if column else np.zeros(0))
        levels = [curve.level if len(curve.level) else np.full(count, math.nan) for curve in curves]
        columns["level_kwh"] = _optional(np.concatenate(levels) if levels else np.zeros(0))
        return pa.table(columns)

    def _orders(self) -> pa.Table:
        utc = pa.timestamp("us", "UTC")
        rows = [
            {
                "device": row.id,
                "kw": row.order.power if row.order else None,
                "start": row.order.start if row.order else None,
                "until": row.order.expires if row.order else None,
                "source": row.order.source if row.order else None,
                "sent_kw": row.told.sent if row.told else None,
                "told_at": row.told.at if row.told else None,
                "took": row.took,
                "low_kw": row.low,
                "high_kw": row.high,
            }
            for row in self.standing.rows
        ]
        number, text = pa.float64(), pa.string()
        schema = pa.schema(
            [("device", text), ("kw", number), ("start", utc), ("until", utc), ("source", text), ("sent_kw", number),
             ("told_at", utc), ("took", text), ("low_kw", number), ("high_kw", number)]
        )  # fmt: skip
        return pa.Table.from_pylist(rows, schema=schema)

    def _price_table(self) -> pa.Table:
        prices = self.prices
        when = pa.array(self.starts.astype("datetime64[us]"), pa.timestamp("us", "UTC"))
        if prices is None:
            when, prices = when[:0], Prices(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), None)
        return pa.table({"start": when, "buy": prices.buy, "sell": prices.sell, "period": prices.period})

    def _decided(self) -> pa.Table:
        utc = pa.timestamp("us", "UTC")
        rows = [
            {
                "device": x.device,
                "kw": x.power,
                "start": x.start,
                "expires": x.expires,
                "by": x.by,
                "note": x.note,
            }
            for x in self.standing.overrides.values()
        ]
        schema = pa.schema(
            [("device", pa.string()), ("kw", pa.float64()), ("start", utc), ("expires", utc), ("by", pa.string()), ("note", pa.string())]
        )  # fmt: skip
        return pa.Table.from_pylist(rows, schema=schema)


def build(live: Live, view: View) -> Operate:
    """The page of the site that the view asks for.

    Raises:
        RequestError: `live.no_place`, the same for a site that does not exist and for one that the reader may not see;
            `page_operate.nothing` when there is none at all, `page_operate.no_site` when the reader sees none.
    """
    if not operable(live.territory):
        raise RequestError("page_operate.nothing")
    found = live.kept.get(("sites", live.territory.content_hash), lambda: sites(live.territory))
    known = sorted((site for site in found if view.scope.sees(site.place)), key=lambda site: -_size(site))
    asked = view.params.get("site", "")
    names = [site.place for site in known]
    if asked and asked not in names:
        raise RequestError("live.no_place", place=asked[:40], hint=did_you_mean(asked, names))
    if not known:
        raise RequestError("page_operate.no_site")
    focus = asked or (view.place if view.place in names else names[0])
    return Operate(live, view, known[names.index(focus)], known)


def operable(territory: Territory) -> bool:
    """Whether anything is declared that could be operated: a grid connection."""
    return any(asset.type == GRID for asset in territory.assets.values())


def _size(site: Site) -> int:
    return sum(map(len, (site.batteries, site.generators, site.chargers, site.stations, site.units)))


def _column(values: Floats) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def _optional(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)


def _said(account: Account | None) -> dict[str, Any] | None:
    if account is None:
        return None
    return {"money": account.cost, "kg_co2": account.emissions, "kwh": account.drawn}


SCREEN = Screen(
    "operate",
    order=20,
    model=build,
    template="operate.html",
    period="today",
    roles=("admin", "operator", "tenant"),
    keeps=("site",),
    fits=operable,
)
