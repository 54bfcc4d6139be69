# SPDX-License-Identifier: Apache-2.0
"""Finding out how a file writes time: the order of day and month, the step, and which side of the interval a stamp is.

Comes in: the time column of the first rows (and, when they do not settle it, all of it). Goes out: a `Look`: the style,
the parsed stamps of the first rows, and what has to be said or refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.sources import stamps
from mangrove.sources.mapping import FileMapping
from mangrove.sources.stamps import DAY, SECOND, StampStyle, WallClock
from mangrove.times import Step

_DATE = re.compile(r"\s*(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})(.*)")
_COMPACT = re.compile(r"\s*(?:19|20)\d{6}(?:[ T_]?\d{4}(?:\d{2})?)?Z?\s*")
_EPOCH = re.compile(
    r"\s*(?:1\d{9}(?:\.\d+)?|1\d{12})\s*"
)  # Unix seconds or milliseconds of the years 2001 to 2033
_CLOCK = re.compile(r"\s*(?:[01]?\d|2[0-4])(?:[:h][0-5]\d(?::[0-5]\d(?:\.\d+)?)?)?(?:\.0)?\s*")
_PROBE = 500
_ORDER_TEXT = {"ymd": "yyyy-mm-dd", "dmy": "dd/mm/yyyy", "mdy": "mm/dd/yyyy"}


@dataclass(frozen=True, slots=True)
class Look:
    """How time is written in a file.

    Attributes:
        style, clock: how to read stamps, and those of the first rows.
        note, severity, order_text: what to say about the order of day and month.
        refusal: code of the reason why the column cannot be read; empty when it can.
        sample, first: a telling stamp, and the first one.
    """

    style: StampStyle
    clock: WallClock
    note: str = ""
    severity: str = "note"
    order_text: str = ""
    refusal: str = ""
    sample: str = ""
    first: str = ""


@dataclass(frozen=True, slots=True)
class MidnightRows:
    """What the midnight rows of a file show about its stamps."""

    same_day: bool
    count: int
    starts_after_midnight: bool


def readable_share(column: pa.Array) -> float:
    """The share of the first non-empty cells that look like a date (with or without a clock)."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return 1.0
    if not pa.types.is_string(column.type):
        return 0.0
    cells = _cells(column)
    return (
        sum(any(form.fullmatch(c) for form in (_DATE, _COMPACT, _EPOCH)) for c in cells) / len(cells)
        if cells
        else 0.0
    )


def dates_only(column: pa.Array) -> bool:
    """Whether no cell has a time of day (other than 00:00:00, which spreadsheets add)."""
    if pa.types.is_date(column.type):
        return True
    return all(
        re.search(r"(?:\d|[T ]00:00(?::00)?)$", c)
        and ":" not in c.replace("00:00:00", "").replace("00:00", "")
        for c in _cells(column)
    )


def clock_only(column: pa.Array) -> bool:
    """Whether the cells are times of day or hours from 0 to 24."""
    cells = _cells(column)
    return bool(cells) and all(_CLOCK.fullmatch(c) for c in cells)


def _cells(column: pa.Array) -> list[str]:
    texts = pc.drop_null(pc.cast(column[:_PROBE], pa.string())).to_pylist()
    return [text.strip() for text in texts if text.strip()]


def look(
    sample: pa.Array,
    said: FileMapping,
    everything: Callable[[], Iterator[pa.Array]],
    step: Step | None,
    lang: str,
) -> Look:
    """Decides how stamps are written.

    Args:
        sample: the stamps of the first rows.
        said: the mapping; its `time_format` or `date_order` end the matter.
        everything: gives the whole column again, for files whose first days settle nothing.
        step: the step of the flows, when they share one.
        lang: language of the territory; Vietnamese writes day before month.
    """
    offset = said.year_offset
    if said.time_format or not pa.types.is_string(sample.type):
        return _found(_said_style(said, sample), sample)
    cells = _cells(sample)
    dates = [m for m in map(_DATE.fullmatch, cells) if m]
    if 2 * len(dates) < len(cells):
        return _without_marks(cells, sample, offset)
    if said.date_order:
        return _found(StampStyle.of(said.date_order, year_offset=offset), sample)
    if 2 * sum(len(m[1]) == 4 for m in dates) > len(dates):  # noqa: PLR2004 - a year written in full comes first
        return _found(StampStyle.of("ymd", year_offset=offset), sample)
    return _day_or_month(sample, everything, step, lang, offset)


def _without_marks(cells: list[str], sample: pa.Array, offset: int) -> Look:
    """Stamps that are digits only: `20240131235500` or Unix time."""
    if 2 * sum(bool(_COMPACT.fullmatch(c)) for c in cells) > len(cells):
        return _found(StampStyle.of("ymd", compact=True, year_offset=offset), sample)
    if cells and all(_EPOCH.fullmatch(c) for c in cells):
        order = "epoch_ms" if len(cells[0].partition(".")[0]) > 10 else "epoch_s"  # noqa: PLR2004 - digits
        return _found(StampStyle(order), sample, "sources.epoch")
    return _refused("sources.unknown_time_format", cells[0] if cells else "")


def _said_style(said: FileMapping, sample: pa.Array) -> StampStyle:
    """The style of a mapping's format, or of a column that holds times or numbers."""
    if said.time_format in ("epoch_s", "epoch_ms", "excel"):
        return StampStyle(said.time_format)
    written = (
        StampStyle.from_format(said.time_format, year_offset=said.year_offset) if said.time_format else None
    )
    if written is not None:
        return written
    if pa.types.is_timestamp(sample.type) or pa.types.is_date(sample.type):
        return StampStyle("ymd", year_offset=said.year_offset)
    top = pc.max(pc.cast(sample, pa.float64())).as_py() or 0.0
    return StampStyle("epoch_ms" if top > 1e11 else "epoch_s" if top > 1e8 else "excel")  # noqa: PLR2004 - years


def _day_or_month(
    sample: pa.Array, everything: Callable[[], Iterator[pa.Array]], step: Step | None, lang: str, offset: int
) -> Look:
    """Day before month or month before day: by a number over 12, then by the regular step, then by the language."""
    over = _over_twelve(sample)
    if not any(over):
        for part in everything():
            over = (over[0] + _over_twelve(part)[0], over[1] + _over_twelve(part)[1])
            if any(over):
                break
    first = next(iter(_cells(sample)), "")
    if any(over):
        if min(over) * 100 > max(over):
            return _refused("sources.mixed_date_order", first)
        order = "dmy" if over[0] > over[1] else "mdy"
        return _found(StampStyle.of(order, year_offset=offset), sample, "sources.date_order_seen")
    styles = {order: StampStyle.of(order, year_offset=offset) for order in ("dmy", "mdy")}
    regular = {order: _regularity(stamps.read_stamps(sample, style), step) for order, style in styles.items()}
    best = max(regular, key=lambda order: regular[order])
    if regular[best] > 0.9 and min(regular.values()) < 0.5:  # noqa: PLR2004 - clearly one and not the other
        return _found(styles[best], sample, "sources.date_order_regular")
    if lang == "vi":
        return _found(styles["dmy"], sample, "sources.date_order_language", "warning")
    return _refused("sources.ambiguous_date", first)


def _over_twelve(column: pa.Array) -> tuple[int, int]:
    """How many stamps have a first, and a second, number over 12."""
    parts = pc.extract_regex(column, r"^\s*(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.]")

    def count(name: str) -> int:
        number = pc.cast(pc.struct_field(pc.drop_null(parts), name), pa.int64())
        return int(pc.sum(pc.greater(number, 12)).as_py() or 0)

    return count("a"), count("b")


def _regularity(clock: WallClock, step: Step | None) -> float:
    """The share of distances between neighbouring stamps that equal the step (or, unknown, the commonest distance)."""
    at = np.unique(clock.at[clock.codes == stamps.FINE])
    if len(at) < 3:  # noqa: PLR2004 - two distances
        return 0.0
    distances = np.diff(at)
    if step is not None and step.months:
        months = at.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return float(np.mean(np.diff(months) == step.months))
    if step is not None:
        return float(np.mean(distances == step.seconds * SECOND))
    return float(np.max(np.unique(distances, return_counts=True)[1]) / len(distances))


def _found(style: StampStyle, sample: pa.Array, note: str = "", severity: str = "note") -> Look:
    clock = stamps.read_stamps(sample, style)
    first = str(next((cell for cell in pc.cast(sample[:_PROBE], pa.string()).to_pylist() if cell), ""))
    return Look(style, clock, note, severity, _ORDER_TEXT.get(style.order, style.order), "", first, first)


def _refused(code: str, first: str) -> Look:
    nothing = np.zeros(0, np.int64)
    clock = WallClock(nothing, nothing.astype(bool), nothing.astype(bool), nothing.astype(np.uint8))
    return Look(StampStyle("ymd"), clock, refusal=code, sample=first)


def usual_step(clock: WallClock, groups: npt.NDArray[np.int64] | None) -> Step | None:
    """The commonest distance between neighbouring stamps of one series, when most distances equal it.

    Distances of 28 days and more are months: None, because their length varies.
    """
    good = clock.codes == stamps.FINE
    group = np.zeros(len(clock.at), np.int64) if groups is None else groups
    order = np.lexsort((clock.at[good], group[good]))
    at, series = clock.at[good][order], group[good][order]
    distances = np.diff(at)[np.diff(series) == 0]
    distances = distances[distances > 0]
    if not len(distances):
        return None
    found, counts = np.unique(distances, return_counts=True)
    common = int(found[np.argmax(counts)])
    if 2 * counts.max() < len(distances) or common % SECOND or common >= 28 * DAY:
        return None
    return Step(seconds=common // SECOND)


def midnight_rows(clock: WallClock, groups: npt.NDArray[np.int64] | None) -> MidnightRows:
    """Looks at the rows stamped 00:00.

    A file that stamps ends may write the last interval of a day as 00:00 of that same day: then its midnight row comes
    after 23:45 of the same date and before 00:15 of the next. Nine in ten midnight rows with a row before them must show
    this, so that one misplaced row decides nothing.
    """
    good = np.flatnonzero(clock.codes == stamps.FINE)
    if groups is not None and len(good):
        good = good[np.argsort(groups[good], kind="stable")]
        same = np.diff(groups[good]) == 0
    else:
        same = np.ones(max(len(good) - 1, 0), dtype=bool)
    at = clock.at[good]
    if len(at) < 3:  # noqa: PLR2004 - nothing to compare
        return MidnightRows(same_day=False, count=0, starts_after_midnight=False)
    if np.median(np.diff(at)[same] if same.any() else [0]) < 0:  # newest first
        at, same = at[::-1], same[::-1]
    midnight = (at % DAY == 0) & ~clock.end_of_day[good]
    after = np.flatnonzero(midnight[1:] & same) + 1
    jumps = at[after] - at[after - 1]
    falls = (jumps < 0) & (jumps > -DAY)
    same_day = bool(len(after)) and bool(np.mean(falls) >= 0.9)  # noqa: PLR2004 - see above
    step = np.diff(at)[same]
    usual = int(np.median(step[step > 0])) if (step > 0).any() else 0
    first = int(at.min())
    opens = 0 < usual < DAY and first % DAY == usual
    return MidnightRows(same_day, int(midnight.sum()), starts_after_midnight=opens)
