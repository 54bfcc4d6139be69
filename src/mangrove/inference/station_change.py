# SPDX-License-Identifier: Apache-2.0
"""Did emissions change at a station, or only the weather, or the instrument?

Comes in: hourly readings of one or more species before and after a moment, the weather, and the mean of other stations. Goes out: the change
of each species with the weather taken out, with its interval, and the probability of each cause.

The readings before say what weather and hour make of a concentration (a model of its log, judged on blocks of time that it has not
seen). What is left after is a change at night, by day and in the rush hours. The causes have different shapes: activity moves the hours
in which it happens more than the night, and several species together, perhaps at neighbors too; a drifting instrument moves all
hours of one species at one station alike; air that the model does not know moves everything everywhere alike. Their evidence is that of
Gaussians with these shapes, and an error that knows that days hang together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from threadpoolctl import threadpool_limits

from mangrove.errors import DataQualityError, RequestError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CAUSES = ("weather", "activity", "instrument")
FEWEST_DAYS = 21
"""Days with readings that each side needs: three weeks, so that every weekday is seen three times."""
MODELS = ("ridge", "boosted")
_FOLDS, _NIGHT_HOURS, _RUSH_HOURS = 6, 7, 6
_MEMORY_DAYS = 10
"""Days after which two days no longer hang together: about two passages of weather systems."""
_KNOTS = (0.25, 0.5, 0.75)
_SHIFT, _AIR, _ACTIVITY, _DRIFT, _ODD = 0.04, 0.15, 0.30, 0.30, 0.15
"""Standard deviations of log concentrations that are believed before: unmodelled shift under every cause, strange air, a change of
activity in the rush hours, a drift; and of the shape of the day. They say what counts as likely, in round numbers; see the how-to page."""
_LEVELS = (0.025, 0.1, 0.9, 0.975)
_LEAST_FREEDOM = 4.0
_ALIKE, _NEAR = 0.6, 0.5
"""Correlation of an activity's effect between species, and between a station and its neighbors."""


@dataclass(frozen=True, slots=True)
class Change:
    """What changed; S species, all changes are fractions (-0.2 is 20 % less).

    Attributes:
        species: their names; raw: (S,) of the geometric mean as read; change: (S,) with the weather taken out; weather: (S,) the part that the
            weather explains.
        low80, high80, low95, high95: (S,) intervals of `change`.
        contrasts: (S, 3) change at night, by day, in the rush hours.
        causes: probability of each of `CAUSES`; suspect: (S,) probability that it is the species' instrument, given that it is one.
        skill: (S,) share of the variance before that the model explains on blocks it has not seen; model: (S,) names.
        days: number of days before and after; normalized: (S, D) daily geometric means in the weather of the whole period, D days.
    """

    species: tuple[str, ...]
    raw: Floats
    change: Floats
    weather: Floats
    low80: Floats
    high80: Floats
    low95: Floats
    high95: Floats
    contrasts: Floats
    causes: dict[str, float]
    suspect: Floats
    skill: Floats
    model: tuple[str, ...]
    days: tuple[int, int]
    normalized: Floats

    @property
    def likely(self) -> str:
        """The cause that is most probable."""
        return max(self.causes, key=lambda name: self.causes[name])


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours and what they are: every array has shape (T,).

    Attributes:
        hour: local, 0 to 23; weekend: whether it counts as one; day: number of the local day.
        before, after: which side it belongs to; neither: left out.
    """

    hour: Ints
    weekend: Bools
    day: Ints
    before: Bools
    after: Bools


def change(
    species: Sequence[str],
    values: Floats,
    weather: Floats,
    hours: Hours,
    activity: Floats,
    *,
    neighbors: Floats | None = None,
    models: Sequence[str] = ("ridge",),
) -> Change:
    """Separates a change of emissions from weather and from a drifting instrument.

    Args:
        species: S names.
        values: (S, T) concentrations above zero; NaN, zero and below are left out.
        weather: (T, W) columns that concentrations may depend on: wind as vector and log of speed, temperature, humidity, ...; hours
            with a missing column are left out.
        hours: what the hours are.
        activity: (24,) how active what emits is in each hour of the day, mean 1.
        neighbors: (S, T) geometric means of other stations; NaN where there is none.
        models: of `MODELS`; the one that is best on unseen blocks is taken for each series.

    Raises:
        RequestError: shapes differ, or a model does not exist.
        DataQualityError: too few days on a side.
    """
    _check(values, weather, hours, activity, models)
    series = values if neighbors is None else np.vstack([values, neighbors])
    known = np.isfinite(weather).all(axis=1)
    log = np.where((series > 0) & known, np.log(np.where(series > 0, series, 1.0)), np.nan)
    classes, strength = _classes(activity)
    with threadpool_limits(1):  # small systems: threads only get in each other's way
        fits = [_explained(row, weather, hours, models) for row in log]
    gap, cover, days = _gaps(fits, hours, classes)
    count = len(species)
    whole = _whole_day(count, len(log), activity, classes)
    mean, variance = whole @ gap, np.einsum("ij,jk,ik->i", whole, cover, whole)
    raw = np.array([_mean(row, hours.after) - _mean(row, hours.before) for row in log[:count]])
    causes, suspect = _causes(gap, cover, count, strength)
    quantiles = stats.t.ppf(_LEVELS, _freedom(fits, hours))
    low95, low80, high80, high95 = (np.expm1(mean + z * np.sqrt(variance)) for z in quantiles)
    return Change(
        species=tuple(species), raw=np.expm1(raw), change=np.expm1(mean), weather=np.expm1(raw - mean), low80=low80,
        high80=high80, low95=low95, high95=high95, contrasts=np.expm1(gap[: 3 * count].reshape(count, 3)), causes=causes,
        suspect=suspect, skill=np.array([fit.skill for fit in fits[:count]]), model=tuple(fit.model for fit in fits[:count]),
        days=days, normalized=np.array([_daily(fit, hours) for fit in fits[:count]]),
    )  # fmt: skip


def _check(values: Floats, weather: Floats, hours: Hours, activity: Floats, models: Sequence[str]) -> None:
    times = len(hours.hour)
    if values.ndim != 2 or values.shape[1] != times or len(weather) != times or len(activity) != 24:  # noqa: PLR2004
        raise RequestError("locate.station_shapes")
    for name in models:
        if name not in MODELS:
            raise RequestError("locate.no_such_model", name=name, options=", ".join(MODELS))
    usable = (np.isfinite(values) & (values > 0)).any(axis=0) & np.isfinite(weather).all(axis=1)
    for side, mask in (("before", hours.before), ("after", hours.after)):
        found = len(np.unique(hours.day[mask & usable]))
        if found < FEWEST_DAYS:
            raise DataQualityError(f"locate.few_days_{side}", days=found, least=FEWEST_DAYS)


def _classes(activity: Floats) -> tuple[Ints, Floats]:
    """(24,) class of each hour (night, day, rush), and (3,) activity in each, in shares of the rush hours'."""
    order = np.argsort(activity, kind="stable")
    classes = np.ones(24, dtype=np.int64)
    classes[order[:_NIGHT_HOURS]], classes[order[-_RUSH_HOURS:]] = 0, 2
    strength = np.array([activity[classes == k].mean() for k in range(3)])
    return classes, strength / strength[2]


@dataclass(frozen=True, slots=True)
class _Explained:
    """One series explained: what is left (T,), the usual level (T,), skill, model, and how each block moves the forecast (K, T)."""

    left: Floats
    usual: Floats
    skill: float
    model: str
    moved: Floats


def _explained(log: Floats, weather: Floats, hours: Hours, models: Sequence[str]) -> _Explained:
    """What weather and hour leave of a series.

    Before, an hour is explained by a model that has not seen its block of time; after, by the model of the whole time before.
    """
    rows, later = hours.before & np.isfinite(log), hours.after & np.isfinite(log)
    left = np.full(len(log), np.nan)
    if rows.sum() < 24 * 7:  # a week of hours; a neighbor may have none
        return _Explained(left, left, 0.0, "-", np.zeros((_FOLDS, len(log))))
    blocks = np.array_split(np.unique(hours.day[rows]), _FOLDS)
    best: tuple[float, str, Floats] | None = None
    for name in models:
        made = np.full((_FOLDS, len(log)), np.nan)
        for row, block in zip(made, blocks, strict=True):
            there = (hours.day >= block[0]) & (hours.day <= block[-1])
            train, told = rows & ~there, later | (rows & there)
            fitted = _FITS[name](log[train], weather[train], hours, train)
            row[told] = fitted(weather[told], hours.hour[told], hours.weekend[told])
        error = float(np.mean((log[rows] - np.nansum(made[:, rows], axis=0)) ** 2))
        if best is None or error < best[0]:
            best = error, name, made
    assert best is not None
    error, name, made = best
    fitted = _FITS[name](log[rows], weather[rows], hours, rows)
    left[rows] = log[rows] - np.nansum(made[:, rows], axis=0)
    left[later] = log[later] - fitted(weather[later], hours.hour[later], hours.weekend[later])
    moved = np.where(later, made - made.mean(axis=0), 0.0)
    return _Explained(
        left, _usual(fitted, weather, hours), 1.0 - error / float(np.var(log[rows])), name, moved
    )


def _usual(fitted: Callable[..., Floats], weather: Floats, hours: Hours) -> Floats:
    """(T,) what the model gives on average over the weather of all days at the same hour."""
    there = np.isfinite(weather).all(axis=1) & (hours.before | hours.after)
    made = np.full(len(hours.hour), np.nan)
    for hour in range(24):
        rows = np.flatnonzero(there & (hours.hour == hour))
        if len(rows):
            for weekend in (False, True):
                given = fitted(weather[rows], np.full(len(rows), hour), np.full(len(rows), weekend)).mean()
                made[(hours.hour == hour) & (hours.weekend == weekend)] = given
    return made


def _ridge(log: Floats, weather: Floats, hours: Hours, rows: Bools) -> Callable[..., Floats]:
    """Least squares with a small penalty: hour of the day and of the weekend, weather with bends and with the time of day."""
    middle, scale = weather.mean(axis=0), np.maximum(weather.std(axis=0), 1e-9)
    bends = np.quantile((weather - middle) / scale, _KNOTS, axis=0)

    def design(air: Floats, hour: Ints, weekend: Bools) -> Floats:
        plain = np.clip((air - middle) / scale, -4, 4)
        angle = 2 * np.pi * hour / 24
        day = np.column_stack([np.sin(angle), np.cos(angle)])
        parts = [np.eye(24)[hour], (np.eye(24)[hour] * weekend[:, None])[:, ::2], plain]
        parts += [np.maximum(plain - bend, 0) for bend in bends]
        parts += [plain * day[:, [0]], plain * day[:, [1]]]
        return np.column_stack(parts)

    x = design(weather, hours.hour[rows], hours.weekend[rows])
    mean = float(log.mean())
    gram = x.T @ x + 3.0 * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (log - mean))
    return lambda air, hour, weekend: mean + design(air, hour, weekend) @ weights


def _boosted(log: Floats, weather: Floats, hours: Hours, rows: Bools) -> Callable[..., Floats]:
    """Boosted trees on the weather and the hour."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=200,
        learning_rate=0.06,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=1.0,
        random_state=0,
    )
    with threadpool_limits(1):  # a library loaded just now does not know the limit set before
        model.fit(np.column_stack([weather, hours.hour[rows], hours.weekend[rows]]), log)

    def predict(air: Floats, hour: Ints, weekend: Bools) -> Floats:
        with threadpool_limits(1):
            return np.asarray(model.predict(np.column_stack([air, hour, weekend])), dtype=np.float64)

    return predict


_FITS: dict[str, Callable[..., Callable[..., Floats]]] = {"ridge": _ridge, "boosted": _boosted}


def _gaps(fits: Sequence[_Explained], hours: Hours, classes: Ints) -> tuple[Floats, Floats, tuple[int, int]]:
    """Mean after minus mean before of each series and class, (3 n,), its covariance, and the days of both sides.

    The covariance holds the days of both sides, and the jackknife of the forecast over blocks: a coefficient that the time before does
    not know well matters when the weather after is another.
    """
    left = np.array([fit.left for fit in fits])
    sides = [_by_day(left, hours, classes, side) for side in (hours.before, hours.after)]
    (m0, c0), (m1, c1) = (_mean_of_days(rows) for rows in sides)
    moved = np.zeros((_FOLDS, len(m0)))
    for i, fit in enumerate(fits):
        for k in range(3):
            rows = hours.after & np.isfinite(fit.left) & (classes[hours.hour] == k)
            if rows.any():
                moved[:, 3 * i + k] = fit.moved[:, rows].mean(axis=1)
    model = (_FOLDS - 1) / _FOLDS * moved.T @ moved
    return m1 - m0, c0 + c1 + model, (len(sides[0]), len(sides[1]))


def _by_day(left: Floats, hours: Hours, classes: Ints, side: Bools) -> Floats:
    """(D, 3 n) daily means of each series in each class of hours; NaN on days without; every calendar day has a row."""
    first, last = int(hours.day[side].min()), int(hours.day[side].max())
    made = np.full((last - first + 1, 3 * len(left)), np.nan)
    for i, row in enumerate(left):
        for k in range(3):
            rows = side & np.isfinite(row) & (classes[hours.hour] == k)
            count = np.bincount(hours.day[rows] - first, minlength=len(made))
            total = np.bincount(hours.day[rows] - first, row[rows], minlength=len(made))
            made[:, 3 * i + k] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return made


def _mean_of_days(rows: Floats) -> tuple[Floats, Floats]:
    """Mean over days (p,) and its covariance with the memory of days (Newey and West 1987, Econometrica 55:703), gaps left out.

    A series without any day has mean 0 and says nothing: its variance is huge.
    """
    there = np.isfinite(rows)
    count = there.sum(axis=0)
    mean = np.where(there, rows, 0).sum(axis=0) / np.maximum(count, 1)
    centered = np.where(there, rows - mean, 0.0)
    memory = min(_MEMORY_DAYS, max(len(rows) // 4, 1))
    total = centered.T @ centered
    for lag in range(1, memory + 1):
        cross = centered[lag:].T @ centered[:-lag]
        total += (1 - lag / (memory + 1)) * (cross + cross.T)
    known = np.maximum(count, 1)
    cover = total / np.outer(known, known)
    widen = np.sqrt(np.maximum(_memory(centered, there) / np.maximum(np.diag(cover) * known, 1e-12), 1.0))
    cover = cover * np.outer(widen, widen) * (1 + 2 / np.maximum(count.mean(), 1) * memory)
    ridge = 0.1 * np.diag(cover) + np.where(count < FEWEST_DAYS // 2, 1e3, 1e-6)
    return mean, cover + np.diag(ridge)


def _freedom(fits: Sequence[_Explained], hours: Hours) -> float:
    """Independent days after, less one: days that hang together count for fewer; the mean over the series."""
    left = np.array([fit.left for fit in fits])
    rows = _by_day(left, hours, np.zeros(24, dtype=np.int64), hours.after)[:, ::3]
    there = np.isfinite(rows)
    centered = np.where(
        there, rows - np.where(there, rows, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1), 0.0
    )
    var = (centered**2).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    alone = there.sum(axis=0) * var / np.maximum(_memory(centered, there), 1e-12)
    return float(max(alone[var > 0].mean() - 1, _LEAST_FREEDOM))


def _memory(centered: Floats, there: Bools) -> Floats:
    """(p,) variance of a mean over one day's worth, were each column a first-order process: var (1 + r) / (1 - r).

    The kernel's sum over few days is too small when days hang together; this is not. r is corrected for its bias (Kendall 1954,
    Biometrika 41:403).
    """
    both = (there[1:] & there[:-1]).sum(axis=0)
    var = (centered**2).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    lagged = (centered[1:] * centered[:-1]).sum(axis=0) / np.maximum(both, 1)
    r = lagged / np.maximum(var, 1e-12)
    r = np.clip(r + (1 + 3 * r) / np.maximum(both, 1), 0.0, 0.9)
    return np.asarray(var * (1 + r) / (1 - r))


def _whole_day(count: int, series: int, activity: Floats, classes: Ints) -> Floats:
    """(count, 3 series): weights that make the change of the whole day from those of the classes."""
    share = np.bincount(classes, minlength=3) / len(activity)
    made = np.zeros((count, 3 * series))
    for i in range(count):
        made[i, 3 * i : 3 * i + 3] = share
    return made


def _causes(gap: Floats, cover: Floats, count: int, strength: Floats) -> tuple[dict[str, float], Floats]:
    """Probabilities of the causes, all equally likely before, and of each species' instrument."""
    series = len(gap) // 3
    kind = np.arange(series) % count
    own = np.arange(series) < count
    same = kind[:, None] == kind
    flat = np.ones((3, 3))
    base = np.kron(_SHIFT**2 * (0.5 + 0.5 * np.eye(series)), flat)
    air = np.kron(np.full((series, series), _AIR**2), flat)
    alike = (
        np.where(same, 1.0, _ALIKE)
        * np.where(own[:, None] == own, 1.0, _NEAR)
        * np.sqrt(np.where(own, 1.0, _NEAR)[:, None] * np.where(own, 1.0, _NEAR))
    )
    shape = np.outer(strength, strength) + _ODD**2 * np.diag([1.0, 1.0, 0.0])
    active = np.kron(_ACTIVITY**2 * alike, shape)
    drifts = [np.kron(np.diag(_DRIFT**2 * (own & (kind == s))), flat) for s in range(count)]
    one = np.array([_evidence(gap, cover + base + drift) for drift in drifts])
    drifting = float(np.logaddexp.reduce(one) - math.log(count))
    evidence = np.array([_evidence(gap, cover + base + air), _evidence(gap, cover + base + active), drifting])
    share = np.exp(evidence - evidence.max())
    share /= share.sum()
    suspect = np.exp(one - one.max())
    return dict(zip(CAUSES, map(float, share), strict=True)), suspect / suspect.sum()


def _evidence(gap: Floats, cover: Floats) -> float:
    """Log density of a Gaussian at `gap`."""
    root = np.linalg.cholesky(cover)
    scaled = np.linalg.solve(root, gap)
    return float(-0.5 * scaled @ scaled - np.log(np.diag(root)).sum())


def _mean(row: Floats, side: Bools) -> float:
    there = side & np.isfinite(row)
    return float(row[there].mean()) if there.any() else math.nan


def _daily(fit: _Explained, hours: Hours) -> Floats:
    """(D,) daily geometric means in usual weather, from the first day to the last of both sides."""
    first, last = int(hours.day.min()), int(hours.day.max())
    rows = np.isfinite(fit.left) & np.isfinite(fit.usual)
    count = np.bincount(hours.day[rows] - first, minlength=last - first + 1)
    total = np.bincount(hours.day[rows] - first, (fit.left + fit.usual)[rows], minlength=last - first + 1)
    return np.where(count > 0, np.exp(total / np.maximum(count, 1)), np.nan)
