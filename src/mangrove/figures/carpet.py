# SPDX-License-Identifier: Apache-2.0
"""The hourly carpet: a year at a glance, days to the right, hours downward, color as amount.

Comes in: a matrix of 24 hours by days in local time. Goes out: one SVG that holds the cells as a small image and the
axes as text. Missing hours are a red and gray check, never a color of the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.figures import numbers, svg
from mangrove.figures.axis import month_ticks
from mangrove.figures.palette import ALARM, FAINT, MUTED, NO_DATA, REMOVAL, Fills, mix, ramp
from mangrove.figures.png import data_uri, indexed_png

_LEVELS = 96
_LEFT, _RIGHT = 44.0, 8.0
_CELL = 9.0
_NEGATIVE, _GAP_RED, _GAP_GRAY = _LEVELS, _LEVELS + 1, _LEVELS + 2


def carpet(
    matrix: ArrayLike,
    *,
    start: date,
    title: str,
    unit: str = "t CO2e/h",
    lang: str = "vi",
    width: float = 800,
    basis: str = "",
    heading: bool = True,
) -> str:
    """An hourly carpet.

    Args:
        matrix: shape (24, days), local hours by days; NaN for an hour without data.
        start: the first day.
        title: what is shown.
        unit: unit of the amounts.
        lang: `vi` or `en`.
        width: pixels.
        basis: where the numbers come from; named below the title.
        heading: whether the title is drawn (it is always read out).

    Raises:
        RequestError: `figures.carpet_shape` when the matrix is not 24 hours by one or more days.
    """
    amounts = np.asarray(matrix, float)
    if amounts.ndim != 2 or amounts.shape[0] != 24 or not amounts.shape[1]:  # noqa: PLR2004
        raise RequestError("figures.carpet_shape", shape=str(amounts.shape))
    finite = amounts[np.isfinite(amounts)]
    top = max(float(np.quantile(finite, 0.998)), 0.0) if finite.size else 0.0
    scaling = numbers.scale(top, unit, lang)
    words = messages.render(f"figures.basis_{basis}", lang) if basis else ""
    subtitle = " · ".join(part for part in (scaling.label, words) if part)
    frame = svg.Frame(width, lang, title, subtitle, _summary(amounts, start, scaling), heading)
    y, room = frame.top + 8, width - _LEFT - _RIGHT
    image = data_uri(indexed_png(_cells(amounts, top), _colors()))
    grid = svg.tag(
        "image",
        x=_LEFT,
        y=y,
        width=room,
        height=24 * _CELL,
        href=image,
        preserveAspectRatio="none",
        style="image-rendering:pixelated",
    )
    outline = svg.rect(_LEFT, y, room, 24 * _CELL, "none", stroke=FAINT, stroke_width="0.6")
    fills = Fills()
    key = _key(amounts, top, scaling, fills, y + 24 * _CELL + 36)
    body = grid + outline + _axes(start, amounts.shape[1], y, room, lang) + key
    return frame.document(body, y + 24 * _CELL + 68, fills)


def _cells(amounts: NDArray[np.float64], top: float) -> NDArray[np.uint8]:
    """Palette indices; a missing hour is drawn twice as fine so that it reads as a check."""
    known = np.clip(np.nan_to_num(amounts, nan=0.0, posinf=0.0, neginf=0.0), 0.0, top)
    share = known / top if top > 0 else np.zeros_like(known)
    index = np.rint(share * (_LEVELS - 1)).astype(np.uint8)
    index[amounts < 0] = _NEGATIVE
    fine = np.kron(index, np.ones((2, 2), np.uint8))
    missing = np.kron(~np.isfinite(amounts), np.ones((2, 2), bool))
    rows, columns = np.indices(fine.shape)
    fine[missing] = np.where((rows + columns) % 2, _GAP_RED, _GAP_GRAY).astype(np.uint8)[missing]
    return fine


def _colors() -> list[str]:
    return [*(ramp(i / (_LEVELS - 1)) for i in range(_LEVELS)), REMOVAL, ALARM, mix(NO_DATA, "#ffffff", 0.4)]


def _axes(start: date, days: int, y: float, room: float, lang: str) -> str:
    """Months below, hours at the left."""
    bottom = y + 24 * _CELL
    parts = []
    for offset, name in month_ticks(start, days, lang):
        x = _LEFT + room * offset / days
        parts.append(svg.line(x, bottom, x, bottom + 5, FAINT))
        if x + svg.text_width(name, 11) < _LEFT + room + _RIGHT:
            parts.append(svg.label(x + 2, bottom + 15, name, size=11, fill=MUTED))
    for hour in (0, 6, 12, 18, 24):
        level = y + hour * _CELL
        parts.append(svg.line(_LEFT - 4, level, _LEFT, level, FAINT))
        parts.append(svg.label(_LEFT - 7, level + 4, f"{hour:02d}:00", size=11, anchor="end", fill=MUTED))
    return "".join(parts)


def _key(amounts: NDArray[np.float64], top: float, scaling: numbers.Scale, fills: Fills, y: float) -> str:
    """The color bar from zero to the top of the scale, then removals and missing hours where there are any."""
    bar, steps = 220.0, 44
    parts = [
        svg.rect(_LEFT + i * bar / steps, y, bar / steps + 0.5, 10, ramp(i / (steps - 1)))
        for i in range(steps)
    ]
    clipped = bool(np.any(amounts > top * (1 + 1e-9)))
    marks: Sequence[tuple[float, str]] = (
        (0.0, "0"),
        (0.5, scaling.text(top / 2)),
        (1.0, ("≥ " if clipped else "") + scaling.text(top)),
    )
    if top > 0:
        for share, text in marks:
            anchor = "middle" if share else "start"
            parts.append(svg.label(_LEFT + bar * share, y + 22, text, size=11, anchor=anchor, fill=MUTED))
    items = []
    if np.any(amounts < 0):
        items.append((REMOVAL, messages.render("figures.negative", scaling.lang)))
    missing = int(np.sum(~np.isfinite(amounts)))
    if missing:
        part = numbers.percent(missing / amounts.size, scaling.lang)
        hours = numbers.number(missing, scaling.lang, digits=6)
        words = messages.render("figures.missing_hours", scaling.lang, hours=hours, share=part)
        items.append((fills.no_data(), words))
    drawn, _ = svg.legend(items, _LEFT + bar + 60, y - 1, 440)
    return "".join(parts) + drawn


def _summary(amounts: NDArray[np.float64], start: date, scaling: numbers.Scale) -> str:
    finite = np.isfinite(amounts)
    if not finite.any():
        return numbers.no_data(scaling.lang)
    hour, offset = np.unravel_index(int(np.nanargmax(np.where(finite, amounts, -np.inf))), amounts.shape)
    peak = start + timedelta(days=int(offset))
    return messages.render(
        "figures.carpet_summary",
        scaling.lang,
        days=amounts.shape[1],
        start=numbers.day(start, scaling.lang),
        peak=scaling.full(float(amounts[hour, offset])),
        when=f"{int(hour):02d}:00 {numbers.day(peak, scaling.lang)}",
        missing=numbers.percent(float((~finite).mean()), scaling.lang),
    )
