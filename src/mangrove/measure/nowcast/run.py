# SPDX-License-Identifier: Apache-2.0
"""The verb: from a ledger to a nowcast of a window, stored when asked.

Comes in: a ledger, a territory, rules, a moment and a window. Goes out: a `Nowcast`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from mangrove.errors import DataQualityError, RequestError, Sentence
from mangrove.ledger import Ledger
from mangrove.measure.nowcast import facts, store
from mangrove.measure.nowcast.estimate import Estimate
from mangrove.measure.nowcast.priors import Priors, default
from mangrove.measure.nowcast.reading import LEAST_DAYS, Reading, read
from mangrove.measure.nowcast.result import Nowcast
from mangrove.measure.nowcast.zones import Zones
from mangrove.measure.result import gap_problems
from mangrove.measure.timeline import EPOCH
from mangrove.rules import Rules
from mangrove.territory.model import Territory
from mangrove.times import HOUR, Span, Step, instant

SAMPLES = 256
_YEAR = Step(months=12)


def nowcast(
    ledger: Ledger,
    territory: Territory,
    rules: Rules,
    at: str | date | datetime | None = None,
    start: str | date | datetime | None = None,
    *,
    as_of: datetime | None = None,
    priors: Priors | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    stored: bool = True,
) -> Nowcast:
    """Hourly emissions from `start` to `at`, with intervals.

    Args:
        ledger: open for writing when `stored`.
        territory: declares the inventory's flows and what drives them.
        rules: factors and GWP sets.
        at: the present; now when None. Local time when naive; what ended after it is not seen.
        start: the first instant; the beginning of the local year when None.
        as_of: use only what was recorded until then; everything when None.
        priors: what is believed before any fact; the shipped tables when None.
        samples: how many, even.
        seed: of the random numbers.
        stored: write the run `estimate/nowcast` and a record.

    Raises:
        RequestError: `nowcast.bad_window`, `nowcast.bad_samples`.
        DataQualityError: `nowcast.no_inventory`, `nowcast.not_computed`, `nowcast.not_finite`, `nowcast.bad_inversion`.
    """
    if samples < 2 or samples % 2:  # noqa: PLR2004 - a pair
        raise RequestError("nowcast.bad_samples", count=samples)
    reading = read(ledger, territory, rules, _window(territory, at, start), as_of)
    if not reading.targets and not reading.meters:
        raise _nothing(reading)
    beliefs = priors or default()
    made = _result(Estimate(reading, beliefs, samples // 2, seed))
    _require_finite(made)
    if stored:
        made.record = store.write(ledger, made, beliefs)
    return made


def _nothing(reading: Reading) -> DataQualityError:
    """Why there is nothing to nowcast: a flow without a factor is named before values are asked for."""
    gap = next(gap_problems(reading.plan.gaps), None)
    if gap is None:
        return DataQualityError("nowcast.no_inventory", least=LEAST_DAYS)
    return DataQualityError("nowcast.not_computed", reason=Sentence(gap.code, tuple(gap.data.items())))


def _require_finite(made: Nowcast) -> None:
    """Amounts that leave the range of numbers are an error of the declaration or of a value, never a result."""
    fine = np.asarray(np.isfinite(made.samples).all(axis=(0, 2)) & np.isfinite(made.days.mean).all(axis=1))
    if not fine.all():
        names = ", ".join(name for name, good in zip(made.targets, fine.tolist(), strict=True) if not good)
        raise DataQualityError("nowcast.not_finite", flows=names)


def _result(made: Estimate) -> Nowcast:
    """The answer."""
    reading = made.reading
    return Nowcast(
        reading.territory,
        reading.plan,
        reading.span,
        made.seed,
        made.flows,
        len(made.targets),
        made.window,
        made.earlier,
        made.posterior,
        made.factors,
        Zones(made.priors.zone_sd, 2 * made.pairs, made.seed, made.sensed_zones()),
        made.live(),
        facts.missing(made),
        facts.known(made),
        facts.notes(made),
        cut=reading.cut,
    )


def _window(
    territory: Territory, at: str | date | datetime | None, start: str | date | datetime | None
) -> Span:
    """Whole hours from the start to the present."""
    now = instant(at, territory.tz) if at is not None else datetime.now(UTC)
    end = now - (now - EPOCH) % HOUR
    first = instant(start, territory.tz) if start is not None else _YEAR.floor(end - HOUR, territory.tz)
    first -= (first - EPOCH) % HOUR
    if first >= end:
        shown = [moment.astimezone(territory.tz).strftime("%Y-%m-%d %H:%M") for moment in (first, end)]
        raise RequestError("nowcast.bad_window", start=shown[0], at=shown[1])
    return Span(first, end)
