# SPDX-License-Identifier: Apache-2.0
"""A result drawn for a notebook: bars with 95 % intervals, or stacked columns when it has time buckets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mangrove.figures import Bar, interval_bars, stacked_series

if TYPE_CHECKING:
    from mangrove.measure.result import Emissions

_MOST_BARS = 25


class Drawing(str):
    """SVG text that a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def plot(result: Emissions, *, lang: str = "en") -> Drawing:
    """Draws the table of `result`: its largest rows, or its time buckets stacked by the first column.

    Amounts are t CO2e when the question names a GWP set, and tonnes of gas otherwise.
    """
    question = result.plan.question
    quantity, unit = ("co2e", "t CO2e") if question.gwp else ("kg", "t")
    if question.every is None:
        return Drawing(_bars(result, quantity, unit, lang))
    return Drawing(_columns(result, quantity, unit, lang))


def _bars(result: Emissions, quantity: str, unit: str, lang: str) -> str:
    name = "co2e_kg" if quantity == "co2e" else "kg"
    known = [row for row in result.to_arrow().to_pylist() if math.isfinite(row[name])]
    rows = sorted(known, key=lambda row: -row[name])[:_MOST_BARS]
    bars = [
        Bar(
            label=_label(result, row),
            value=row[name] / 1000,
            low=_tonnes(row[f"{quantity}_low"]),
            high=_tonnes(row[f"{quantity}_high"]),
        )
        for row in rows
    ]
    return interval_bars(bars, title=result.plan.territory.name, unit=unit, lang=lang)


def _columns(result: Emissions, quantity: str, unit: str, lang: str) -> str:
    name = "co2e_kg" if quantity == "co2e" else "kg"
    tz = result.plan.territory.tz
    rows = result.to_arrow().to_pylist()
    starts = sorted({row["start"] for row in rows})
    position = {start: number for number, start in enumerate(starts)}
    series: dict[str, list[float]] = {}
    for row in rows:
        amounts = series.setdefault(_label(result, row), [math.nan] * len(starts))
        amounts[position[row["start"]]] = row[name] / 1000
    periods = [start.astimezone(tz).strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00") for start in starts]
    return stacked_series(periods, series, title=result.plan.territory.name, unit=unit, lang=lang)


def _label(result: Emissions, row: dict[str, object]) -> str:
    words = [str(row[column]) for column in result.plan.question.by]
    return " · ".join(words) or result.plan.territory.name


def _tonnes(kilograms: float) -> float | None:
    return kilograms / 1000 if math.isfinite(kilograms) else None
