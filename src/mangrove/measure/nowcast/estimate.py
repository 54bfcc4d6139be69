# SPDX-License-Identifier: Apache-2.0
"""The estimate of a window: targets with their drivers, the model and its posterior, then every flow by day, sample and hour.

Comes in: a `Reading`, priors, a number of samples. Goes out: the posterior, and `Days` of the window and of the same time a year earlier.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property

import numpy as np

from mangrove.errors import Problem
from mangrove.measure.nowcast import drivers as driving
from mangrove.measure.nowcast import inputs
from mangrove.measure.nowcast.drivers import Index
from mangrove.measure.nowcast.hours import Hours, even_days, within_day
from mangrove.measure.nowcast.inputs import Floats, Ints
from mangrove.measure.nowcast.live import Live
from mangrove.measure.nowcast.meters import Metered, metered
from mangrove.measure.nowcast.model import Model, Target, build, names_of
from mangrove.measure.nowcast.posterior import Posterior
from mangrove.measure.nowcast.priors import Priors
from mangrove.measure.nowcast.reading import Reading
from mangrove.measure.nowcast.result import Days, day_weights
from mangrove.measure.timeline import EPOCH, microseconds
from mangrove.territory.borders import shares
from mangrove.territory.model import Driver, Flow, Territory

_LEAST = 0.5
"""Share of a window's days that a meter must have a year earlier for the two windows to be compared."""


@dataclass(frozen=True)
class Estimate:
    """One estimate; its parts are computed when they are asked for.

    Attributes:
        reading: what was read; priors: what is believed before; pairs: half the number of samples; seed: of the random numbers.
    """

    reading: Reading
    priors: Priors
    pairs: int
    seed: int

    @cached_property
    def hours(self) -> Hours:
        """The hours of the window."""
        span, tz = self.reading.span, self.reading.territory.tz
        return Hours.of(microseconds(span.start), microseconds(span.end), tz)

    @cached_property
    def before(self) -> Hours:
        """The hours of the same window a year earlier."""
        span, tz = self.reading.span, self.reading.territory.tz
        start, end = (
            microseconds(_year_before(one, self.reading.territory)) for one in (span.start, span.end)
        )
        return Hours.of(start, end, tz)

    @cached_property
    def days(self) -> Ints:
        """The days of all facts, of both windows and of the last whole year, ascending."""
        parts = [self.hours.days, self.before.days, last_year(self.hours.days[-1])]
        parts += [total.days for those in self.reading.totals.values() for total in those]
        parts += [total.days for those in self.reading.read.values() for total in those]
        parts += [np.arange(one.first, one.end) for one in self.reading.inversions]
        return np.unique(np.concatenate(parts))

    @cached_property
    def _driven(self) -> tuple[dict[str, Index], list[Problem]]:
        spans = [(one.first, one.end) for those in self.reading.totals.values() for one in those]
        return driving.indices(self.reading, self.days, max(spans, default=(0, 0)))

    @property
    def indices(self) -> dict[str, Index]:
        """The live indices, by flow."""
        return self._driven[0]

    @property
    def notes(self) -> list[Problem]:
        """What to know about the indices."""
        return self._driven[1]

    @cached_property
    def targets(self) -> list[Target]:
        """The flows with totals."""
        return [self._target(flow) for flow in self.reading.targets]

    @cached_property
    def model(self) -> Model:
        """The linear model and all facts."""
        zone = self.reading.territory.timezone
        made = build(self.days, self.targets, self.indices, self.priors, zone)
        made.sense(self.reading.inversions, self.priors)
        return made

    @cached_property
    def posterior(self) -> Posterior:
        """What is known after all facts."""
        return Posterior(self.model)

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """All flows: those of the model, then those that are metered."""
        return (*self.reading.targets, *self.reading.meters)

    @cached_property
    def meters(self) -> list[Metered]:
        """The metered flows in the window."""
        return [self._metered(flow, self.hours) for flow in self.reading.meters]

    @cached_property
    def _draws(self) -> tuple[list[Floats], Floats]:
        return self.posterior.samples(self.pairs, self.seed, [self._at(self.hours), self._at(self.before)])

    def _at(self, hours: Hours) -> Ints:
        return np.searchsorted(self.days, hours.days)

    @cached_property
    def window(self) -> Days:
        """Every flow in the window."""
        return self._lay(self.hours, self._draws[0][0], self.meters)

    @cached_property
    def earlier(self) -> Days | None:
        """Every flow in the same window a year earlier; None where an inventory or a meter does not reach back so far."""
        days = self.before.days
        firsts = [those[0].first for those in self.reading.totals.values()]
        if any(first > days[0] + driving.YEAR for first in firsts):
            return None
        for flow in self.reading.meters:
            seen = np.isfinite(self.reading.series[flow.id].on(days))
            if seen.mean() < _LEAST or not seen[0]:
                return None
        meters = [self._metered(flow, self.before) for flow in self.reading.meters]
        return self._lay(self.before, self._draws[0][1], meters)

    def sensed_zones(self) -> dict[tuple[str, str], tuple[Floats, Floats]]:
        """Prior and posterior samples of the log multipliers of places that sensors spoke of."""
        found = {}
        mean, after = self.posterior.theta, self._draws[1]
        for key, column in self.model.zones.items():
            free = normals(self.seed, f"zone {key}", self.pairs) * self.model.sd[column]
            found[key] = (both(free), mean[column] + both(after[:, column]))
        return found

    @cached_property
    def factors(self) -> Floats:
        """Samples of the errors of factors, mean one, shape (S, K): what shares a factor moves together; a meter's error is not here."""
        plan, number = self.reading.plan, {flow.id: row for row, flow in enumerate(self.flows)}
        size: dict[str, float] = {}
        for line in plan.lines:
            size[line.flow] = size.get(line.flow, 0.0) + abs(line.kg * (line.weight or 0.0))
        moved: dict[tuple[str, str], float] = {}
        for index, name, sd in plan.errors():
            line = plan.lines[index]
            if not name.startswith("meter:") and size[line.flow] and line.flow in number:
                part = abs(line.kg * (line.weight or 0.0)) / size[line.flow]
                moved[line.flow, name] = moved.get((line.flow, name), 0.0) + part * sd
        found = np.zeros((2 * self.pairs, len(self.flows)))
        for (flow, name), sd in moved.items():
            width = np.sqrt(np.log1p(sd**2))
            found[:, number[flow]] += (
                width * both(normals(self.seed, f"factor {name}", self.pairs)) - width**2 / 2
            )
        return np.asarray(np.exp(found))

    def live(self) -> Live:
        """The total of the window, ready for one more fact."""
        days, count = self.window, len(self.targets)
        weights = day_weights(days)
        expected = (days.mean * weights).sum(axis=1)
        read = np.einsum("skd,kd->s", days.samples[:, count:], weights[count:])
        other = float(read.var() + (self.factors * expected).sum(axis=1).var())
        return Live(
            self.posterior,
            tuple(one.flow.id for one in self.targets),
            np.array([one.sign for one in self.targets]),
            self.hours.days,
            self._at(self.hours),
            weights[:count],
            {flow.id: (days.mean[row], weights[row]) for row, flow in enumerate(self.flows) if row >= count},
            other,
        )

    def _target(self, flow: Flow) -> Target:
        """A flow with what drives it; where nothing does, with the calendar of its kind."""
        territory, totals = self.reading.territory, self.reading.totals[flow.id]
        found = (_of_place(territory, flow, raw) for raw in territory.drivers)
        drivers = tuple(one for one in found if one is not None and one.index in self.indices)
        alone = np.zeros(len(self.days)) if drivers else self._calendar(flow)
        return Target(
            flow,
            float(np.sign(totals[-1].value)),
            tuple(totals),
            drivers,
            alone,
            tuple(self.reading.read[flow.id]),
        )

    def _calendar(self, flow: Flow) -> Floats:
        """Logs of what the shape of the reference says of each day."""
        found, days, tz = np.empty(len(self.days)), self.days, self.reading.territory.tz
        starts = np.flatnonzero(np.diff(days, prepend=days[:1] - 2) != 1)
        for first, after in zip(starts, [*starts[1:], len(days)], strict=True):
            begin, end = (inputs.midnight(int(day), tz) for day in (days[first], days[after - 1] + 1))
            whole = Hours.of(microseconds(begin), microseconds(end), tz)
            found[first:after] = even_days(whole, flow.gpc, tz)
        return found

    def _metered(self, flow: Flow, hours: Hours) -> Metered:
        daily = self.reading.series[flow.id]
        span = np.arange(daily.first, max(int(hours.days[-1]) + 1, daily.first + len(daily.value)))
        known = int(np.isfinite(daily.value).sum())
        columns = driving.columns(span, self.reading.territory.timezone, known)
        return metered(flow, daily, hours, columns, pairs=self.pairs, seed=self.seed)

    def _lay(self, hours: Hours, drawn: Floats, meters: Sequence[Metered]) -> Days:
        """Means, samples and shares of every flow on the days of a window."""
        at, tz = self._at(hours), self.reading.territory.tz
        signs = np.array([one.sign for one in self.targets])[:, None]
        middle, variance = self.posterior.mean[:, at], self.posterior.variance[:, at]
        mean = signs * np.exp(middle + variance / 2)
        samples = signs * np.exp(middle + np.concatenate([drawn, -drawn]))
        parts = [within_day(hours, one.flow.gpc, one.drivers, self.indices, tz) for one in self.targets]
        if meters:
            mean = np.concatenate([mean, np.array([one.mean for one in meters])])
            samples = np.concatenate([samples, np.stack([one.samples for one in meters], axis=1)], axis=1)
            parts += [one.shares for one in meters]
        cut = hours.inside
        kg = self._kg(hours)[:, cut]
        return Days(mean, samples, np.array(parts)[:, cut], hours.day[cut], hours.start[cut], kg)

    def _kg(self, hours: Hours) -> Floats:
        """Kilograms of CO2e per unit of each flow at each hour, shape (K, T); a coefficient of the window's edge holds beyond it."""
        plan, number = self.reading.plan, {flow.id: row for row, flow in enumerate(self.flows)}
        found = np.zeros((len(self.flows), len(hours.start)))
        first, last = microseconds(plan.question.span.start), microseconds(plan.question.span.end)
        for line in plan.lines:
            if line.flow in number and line.weight and line.response is None:
                begin, end = microseconds(line.valid_from), microseconds(line.valid_to)
                holds = (hours.start >= begin) | (begin <= first)
                holds &= (hours.start < end) | (end >= last)
                found[number[line.flow]] += holds * line.kg * line.weight
        return found


def normals(seed: int, name: str, count: int) -> Floats:
    """Standard normal numbers that depend on the seed and the name."""
    return np.random.default_rng((seed, zlib.crc32(name.encode()))).standard_normal(count)


def both(half: Floats) -> Floats:
    """Numbers, then the same with the other sign."""
    return np.concatenate([half, -half])


def last_year(day: int) -> Ints:
    """The days of the whole calendar year before that of a day number."""
    year = (EPOCH + np.timedelta64(int(day), "D").astype("timedelta64[s]").item()).year
    first, end = ((date(one, 1, 1) - EPOCH.date()).days for one in (year - 1, year))
    return np.arange(first, end)


def _year_before(moment: datetime, territory: Territory) -> datetime:
    """The same local time a year earlier; the 28th for 29 February."""
    local = moment.astimezone(territory.tz)
    day = 28 if (local.month, local.day) == (2, 29) else local.day
    return local.replace(year=local.year - 1, day=day).astimezone(UTC)


def _of_place(territory: Territory, flow: Flow, driver: Driver) -> Driver | None:
    """The driver as it acts on a flow: only on the share of the flow that lies in the driver's place."""
    if driver.target not in names_of(flow):
        return None
    if driver.place is None or territory.lies_in(flow.place, driver.place):
        return driver
    if not flow.spread or not territory.lies_in(driver.place, flow.place):
        return None
    place = territory.places[driver.place]
    on = place.valid_from or date.today()  # noqa: DTZ011 - a place without dates always was
    share = dict(shares(territory, flow.place, place.kind, on, flow.spread)).get(place.id, 0.0)
    return replace(driver, elasticity=driver.elasticity * share, spread=driver.spread * share)
