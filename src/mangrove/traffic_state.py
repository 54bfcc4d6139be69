# SPDX-License-Identifier: Apache-2.0
"""`mangrove traffic`: what streets emit, from counts and speeds in the ledger to sums over places with their doubts.

Comes in: an opened territory and a period. Goes out: a `TrafficReport`: vehicle-kilometers, speed and emissions by place, street or class
with 90 % intervals, the curves that were used beside what other sources say, and hourly values of the run `estimate/traffic`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mangrove import messages
from mangrove.errors import DataQualityError, MangroveError, Problem, RequestError, SourceError, did_you_mean
from mangrove.rules import vehicles
from mangrove.times import Span, from_us, to_us

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.measure.traffic import LinkState
    from mangrove.rules.vehicles import Curve
    from mangrove.territory.model import Territory
    from mangrove.traffic.emissions import Amounts, Factors
    from mangrove.traffic.sumo_net import SumoNet

LINK, CLASS, STREET = "link", "class", "street"
BACK = 3
"""Whole hours before the present that are estimated again and again: counts of cameras come minutes late, of readers of memory cards hours."""
LATE = timedelta(hours=48)
"""How old values may be that make the worker estimate their hours again: as far back as screening looks."""
KILO = {"electricity": (1.0, "kWh")}
"""Of pollutants that are not given in kilograms: how many of what curves give make one, and its unit."""


@dataclass(frozen=True, slots=True)
class Row:
    """One place, street or class.

    Attributes:
        id: its key; vehicle_km; speed: mean over vehicles, km/h, None without traffic.
        amount, low, high: kg (kWh) and the 90 % interval with the doubt of the factors; state_sd: standard deviation without it.
    """

    id: str
    vehicle_km: float
    speed: float | None
    amount: float
    low: float
    high: float
    state_sd: float


class Edition(NamedTuple):
    """Which edition of a source a curve is of, and the day it came out, as YYYY-MM-DD; both empty when nobody published it."""

    edition: str
    published: str


@dataclass(frozen=True)
class TrafficReport:
    """What `mangrove traffic` says.

    Attributes:
        span: the period; by: what the rows are; pollutant, unit; rows; total: of all streets.
        streets, cells: observed links and cells of five minutes; read: share of cells that were read, not filled.
        sources: by class, g (kWh) per km at 20 km/h of every source; editions: by class and source, which edition of it that is; used: id of
            the curve of each class; ranges: by class, 5 and 95 % of what the sources hold possible there.
        doubt: share of the variance of the total by what it comes from: the factor of each class, and `streets` (counts, speeds, streets).
        problems: what was left out, filled or assumed; record: id of the stored detail; stored: new hourly values.
    """

    span: Span
    by: str
    pollutant: str
    unit: str
    rows: tuple[Row, ...]
    total: Row
    streets: int
    cells: int
    read: float
    sources: Mapping[str, Mapping[str, float]]
    editions: Mapping[str, Mapping[str, Edition]]
    used: Mapping[str, str]
    ranges: Mapping[str, tuple[float, float]]
    doubt: Mapping[str, float]
    problems: tuple[Problem, ...]
    record: str
    stored: int


def state(park: Handle, start: str | date | datetime, end: str | date | datetime | None = None) -> LinkState:
    """Flow and speed of every observed street by class and five minutes; see `traffic`."""
    from mangrove.measure.traffic import observe, streets

    span = Span.asked(start, end, park.territory.tz)
    observed = streets(park.territory, network(park.territory))
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return observe(park.territory, observed, span, snapshot)


def problems(territory: Territory) -> list[Problem]:
    """What is wrong with the network and the counted streets of a declaration; nothing where no vehicles are counted and no network is named."""
    from mangrove.measure.traffic import streets

    try:
        net = network(territory)
        if any(flow.carrier.kind == "vehicles" for flow in territory.flows.values()):
            streets(territory, net)
    except MangroveError as error:
        return list(error.problems)
    return []


def traffic(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    by: str = LINK,
    pollutant: str = "CO2",
    source: str = "",
    whole: bool = False,
    seed: int = 0,
    store: bool = True,
) -> TrafficReport:
    """Emissions of the observed streets in a period, stored as the run `estimate/traffic`.

    Args:
        park: an opened territory with flows of the carriers `vehicles` and `speed`.
        start: a period, or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        by: `link`, `street` (links of one name in the network), `class`, or a kind of place (`ward`, `city`).
        pollutant: what is shown: one of `rules.vehicles.POLLUTANTS`, in any case of letters.
        source: of the factor curves; the most trusted one of each when empty.
        whole: estimate the streets of the network that nobody counts, too.
        seed: of the draws of factors: the same for what is compared.
        store: write the record and the hourly values.

    Raises:
        DataQualityError, DeclarationError, RequestError, RuleError, SourceError: codes `vehicles.*`, `roads.*`.
    """
    from mangrove.measure.traffic import write
    from mangrove.measure.traffic.emitted import emitted
    from mangrove.measure.traffic.everywhere import everywhere
    from mangrove.measure.traffic.state import Basis
    from mangrove.measure.traffic.store import beside, targets, wanted

    territory = park.territory
    shown = _pollutant(pollutant)
    _check_by(territory, by)
    made = state(park, start, end)
    if whole:
        made = everywhere(territory, made, seed=seed)
    kept = tuple(dict.fromkeys([shown, *wanted(territory)]))
    asked, span = Span.asked(start, end, territory.tz), _cells_of(made)
    factors = curves_for(territory, made.classes, kept, source, span)
    targets(territory, factors)
    amounts = emitted(made, factors)
    record, stored = "", 0
    if store:
        with park.writer() as ledger:
            record, stored = write(ledger, territory, made, amounts, factors, seed=seed)
    rows, total = _rows(territory, _Sums(made, amounts, factors, seed), by)
    return TrafficReport(
        span, by, shown, KILO.get(shown, (1000.0, "kg"))[1], rows, total, len(made.streets.ids), made.basis.size,
        float((made.basis <= Basis.SHARED).mean()), at_usual_speed(factors), editions(factors), _used(factors), _ranges(factors), variance_shares(amounts, factors),
        (*made.problems, *_rounded(asked, span, territory), *beside(territory), *remarks(territory, factors, source)), record, stored,
    )  # fmt: skip


def _cells_of(made: LinkState) -> Span:
    """The time of the cells."""
    from mangrove.measure.traffic.cells import SECONDS

    first, last = (from_us(int(made.starts[at])) for at in (0, -1))
    return Span(first, last + timedelta(seconds=SECONDS))


def _rounded(asked: Span, span: Span, territory: Territory) -> list[Problem]:
    """That a period was widened to whole cells."""
    if (asked.start, asked.end) == (span.start, span.end):
        return []
    told = {
        name: f"{at.astimezone(territory.tz):%Y-%m-%d %H:%M}"
        for name, at in (("start", span.start), ("end", span.end))
    }
    return [Problem("vehicles.rounded", told, severity="note")]


def keep_up(park: Handle, now: datetime, *, hours: int = BACK) -> int:
    """Estimates the last whole hours, and earlier ones whose values came late, and stores each hour for itself.

    The streets that nobody counts are estimated, too, when the territory says so (`traffic: whole: yes`). An hour that comes out as before
    stores nothing.

    Args:
        park: an opened territory; without counted streets nothing is done.
        now: the present instant.
        hours: whole hours that are estimated in any case: late counts change them.

    Returns:
        New hourly values.

    Raises:
        DataQualityError, DeclarationError, RuleError, SourceError: codes `vehicles.*`, `roads.*`.
    """
    from mangrove.measure.traffic import write
    from mangrove.measure.traffic.emitted import emitted
    from mangrove.measure.traffic.state import Basis
    from mangrove.measure.traffic.store import wanted

    territory, hour = park.territory, timedelta(hours=1)
    if not any(flow.carrier.kind == "vehicles" for flow in territory.flows.values()):
        return 0
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = end - hours * hour
    try:
        try:
            first = min(first, _touched(park, end))
            made = _kept_up(park, first, end)
        except RequestError:  # so many streets that late values must wait for a command
            first = end - hours * hour
            made = _kept_up(park, first, end)
    except DataQualityError as error:
        if error.code == "vehicles.no_values":
            return 0
        raise
    stored = 0
    while first < end:
        part = made.during(first, first + hour)
        if (part.basis != Basis.MISSING).any():
            kept = wanted(territory) or (vehicles.POLLUTANTS[0],)
            factors = curves_for(territory, part.classes, kept, "", Span(first, first + hour))
            amounts = emitted(part, factors)
            with park.writer() as ledger, park.reader() as keeper:
                stored += write(ledger, territory, part, amounts, factors, keeper=keeper)[1]
        first += hour
    return stored


def _kept_up(park: Handle, first: datetime, end: datetime) -> LinkState:
    """The state of a period, with uncounted streets when the territory says so."""
    from mangrove.measure.traffic.everywhere import everywhere

    made = state(park, first, end)
    return everywhere(park.territory, made) if _setting(park.territory, "whole") else made


def _touched(park: Handle, end: datetime) -> datetime:
    """The first hour, of those that late values are awaited for, that values came in for since traffic was stored last."""
    from mangrove.ledger import catalog
    from mangrove.ledger.types import HAPPENED
    from mangrove.measure.traffic import RUN
    from mangrove.measure.traffic.doubts import MODEL

    with catalog.reader(park.store) as db:
        last = db.execute("select max(recorded_at) from batch where run = ?", (RUN,)).fetchone()[0]
        if last is None:
            return end
        query = "select min(start_min) from batch where recorded_at > ? and run in (?, ?) and model != ? and start_max >= ?"
        oldest = to_us(end - LATE)
        found = db.execute(query, (last, *HAPPENED, MODEL, oldest)).fetchone()[0]
    if found is None:
        return end
    return from_us(max(found, oldest)).replace(minute=0, second=0, microsecond=0)


def _setting(territory: Territory, name: str) -> Any:
    """What `territory.yaml` says under `traffic`; None where it says nothing."""
    settings = territory.settings.get("traffic")
    return settings.get(name) if isinstance(settings, Mapping) else None


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What came of positions: how many, how many lie on streets, mean speeds stored and streets that have them."""

    points: int
    matched: int
    values: int
    streets: int
    stored: bool = True

    def text(self, lang: str = "en") -> str:
        """One sentence."""
        told = {name: getattr(self, name) for name in ("points", "matched", "values", "streets")}
        return messages.render("vehicles.probes" if self.stored else "vehicles.probes_tried", lang, **told)


def take_probes(park: Handle, path: str | Path, *, store: bool = True) -> ProbeReport:
    """Matches positions of probe vehicles to the network and stores mean speeds of five minutes in the flows of the carrier `speed`.

    Args:
        park: an opened territory with a network and flows of the carrier `speed` (without a class) that name its edges.
        path: CSV with the columns time, vehicle, lon, lat.
        store: write the speeds; without it they are only counted.

    Raises:
        SourceError: `vehicles.probe_*`, `vehicles.probe_network`. MissingExtraError: fastmm is not installed.
    """
    import hashlib

    import numpy as np
    import pyarrow as pa

    from mangrove.ledger import Origin, Quality
    from mangrove.measure.traffic import streets
    from mangrove.measure.traffic.cells import SECONDS
    from mangrove.traffic.matching_probes import match, read_probes

    territory, net = park.territory, network(park.territory)
    if net is None:
        raise SourceError("vehicles.probe_network")
    observed = streets(territory, net)
    probes = read_probes(Path(path), territory.tz)
    drives = match(net, probes)
    meters = [one for one in observed.meters if one.kind == "speed" and not one.vehicle]
    if not len(drives.time) or not meters:
        return ProbeReport(drives.points, drives.matched, 0, 0, store)
    means = drives.means(0.0, SECONDS)
    of_edge = np.full(len(net), -1)
    of_edge[observed.edges[[one.link for one in meters]]] = np.arange(len(meters))
    which = of_edge[means.edge]
    kept = (which >= 0) & (means.speed > 0)
    which, cell, speed = which[kept], means.interval[kept], means.speed[kept]
    starts = pa.array(cell * SECONDS * 1_000_000).cast(pa.timestamp("us", tz="UTC"))
    scale = np.array([one.flow.unit.to("km/h") for one in meters])
    table = pa.table(
        {
            "flow": pa.array([meters[at].flow.id for at in which], pa.string()),
            "start": starts,
            "value": pa.array(speed / scale[which]),
            "quality": pa.array(np.full(len(cell), int(Quality.GOOD), np.uint8)),
        }
    )
    named = len(set(which.tolist()))
    if not store:
        return ProbeReport(drives.points, drives.matched, table.num_rows, named, stored=False)
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with park.writer() as ledger:
        receipt = ledger.append(
            table, Origin(f"file:{Path(path).name}", digest, model="map matching", version="1")
        )
    return ProbeReport(drives.points, drives.matched, receipt.rows, named)


def network(territory: Territory) -> SumoNet | None:
    """The network that the territory names, or None.

    Raises:
        SourceError: `vehicles.no_network`, and those of `traffic.sumo_net.read_net`.
    """
    named = str(_setting(territory, "network") or "")
    if not named:
        return None
    from mangrove.traffic.sumo_net import read_net

    path = Path(territory.path) / named
    if not path.is_file():
        raise SourceError("vehicles.no_network", path=named)
    return read_net(path)


def _pollutant(word: str) -> str:
    """The pollutant that was meant, whatever its case."""
    known = {one.casefold(): one for one in vehicles.POLLUTANTS}
    return known.get(word.casefold(), word)


def _check_by(territory: Territory, by: str) -> None:
    options = [LINK, STREET, CLASS, *dict.fromkeys(place.kind for place in territory.places.values())]
    if by not in options:
        raise RequestError(
            "vehicles.unknown_by", text=by, options=", ".join(options), hint=did_you_mean(by, options)
        )


def curves_for(
    territory: Territory, classes: tuple[str, ...], pollutants: tuple[str, ...], source: str, span: Span
) -> Factors:
    """The factor curves of a territory: with the emission standards that it states, as they hold on the first day of the span."""
    from mangrove.traffic.emissions import factors

    stated = _setting(territory, "technologies")
    day = span.start.astimezone(territory.tz).date()
    return factors(classes, pollutants, source=source, technologies=stated or {}, on=day)


@dataclass(frozen=True)
class _Sums:
    """Sums over groups of links."""

    made: LinkState
    amounts: Any
    factors: Factors
    seed: int

    def rows(self, names: tuple[str, ...], weights: Any, only: int | None = None) -> tuple[Row, ...]:
        """One row for each group, of all classes or of one."""
        from mangrove.traffic.emissions import roll_up

        scale = KILO.get(self.factors.pollutants[0], (1000.0, ""))[0]
        summed = roll_up(
            self.amounts if only is None else _only(self.amounts, only), weights, self.factors, seed=self.seed
        )
        km, hours = self.made.vehicle_km.sum(axis=0), _hours(self.made)
        far, long = (weights @ (each.sum(axis=1) if only is None else each[:, only]) for each in (km, hours))
        return tuple(
            Row(
                name,
                float(far[z]),
                float(far[z] / long[z]) if long[z] > 0 else None,
                *(
                    float(values[z, 0]) / scale
                    for values in (summed.mass, summed.low, summed.high, summed.state_sd)
                ),
            )
            for z, name in enumerate(names)
        )


def _rows(territory: Territory, sums: _Sums, by: str) -> tuple[tuple[Row, ...], Row]:
    """The rows, and their total."""
    import numpy as np

    everything = np.ones((1, len(sums.made.streets.ids)))
    total = sums.rows(("total",), everything)[0]
    if by == CLASS:
        classes = enumerate(sums.made.classes)
        return tuple(sums.rows((name,), everything, number)[0] for number, name in classes), total
    return sums.rows(*_groups(territory, sums.made, by)), total


def _groups(territory: Territory, made: LinkState, by: str) -> tuple[tuple[str, ...], Any]:
    """Names of groups and (Z, L) weights; places without any observed street are left out."""
    import numpy as np

    if by == LINK:
        return made.streets.ids, np.eye(len(made.streets.ids))
    if by == STREET:
        named = _street_names(made)
        streets = tuple(dict.fromkeys(named))
        return streets, np.array([[float(own == name) for own in named] for name in streets])
    names = tuple(place.id for place in territory.places.values() if place.kind == by)
    weights = made.streets.weights(territory, names)
    some = weights.sum(axis=1) > 0
    return tuple(name for name, here in zip(names, some, strict=True) if here), weights[some]


def _street_names(made: LinkState) -> list[str]:
    """The name of each link's street; its id where the network has none."""
    net = made.streets.net
    if net is None:
        return list(made.streets.ids)
    named = (net.names[edge] for edge in made.streets.edges)
    return [name or own for name, own in zip(named, made.streets.ids, strict=True)]


def _only(amounts: Any, number: int) -> Any:
    """Amounts of one class; its share of the variance of a cell goes with the square of its share of the mass."""
    from dataclasses import replace

    import numpy as np

    mass = np.zeros_like(amounts.mass)
    mass[:, :, number] = amounts.mass[:, :, number]
    whole = amounts.by_link
    share = np.divide(mass.sum(axis=2), whole, out=np.zeros_like(whole), where=whole > 0)
    shared = None if amounts.shared is None else amounts.shared * share
    return replace(amounts, mass=mass, own=amounts.own * share, link=amounts.link * share, shared=shared)


def _hours(made: LinkState) -> Any:
    """(L, C) vehicle-hours."""
    import numpy as np

    known = (made.flow > 0) & (made.speed > 0)
    return np.divide(made.vehicle_km, made.speed, out=np.zeros_like(made.flow), where=known).sum(axis=0)


def at_usual_speed(factors: Factors) -> dict[str, dict[str, float]]:
    """What a kilometer at 20 km/h of each class emits by source, with the technology that was used or of the whole fleet."""
    return {
        name: {one.source: round(float(one.at(vehicles.USUAL_SPEED)), 4) for one in each}
        for name, each in _beside(factors)
    }


def editions(factors: Factors) -> dict[str, dict[str, Edition]]:
    """Which edition the curves of `at_usual_speed` are of."""
    return {
        name: {
            one.source: Edition(one.edition, one.published.isoformat() if one.published else "")
            for one in each
        }
        for name, each in _beside(factors)
    }


def _beside(factors: Factors) -> Iterator[tuple[str, list[Curve]]]:
    """The curves of each class that stand beside the one that is used, this one with them."""
    for name, row in zip(factors.classes, factors.curves, strict=True):
        used = row[0]
        if used is not None:
            known = vehicles.curves(name, used.pollutant, on=factors.on)
            yield name, [one for one in known if one.technology in (used.technology, vehicles.FLEET)]


def _ranges(factors: Factors) -> dict[str, tuple[float, float]]:
    found = {}
    for name, row in zip(factors.classes, factors.curves, strict=True):
        if row[0]:
            usual = float(row[0].at(vehicles.USUAL_SPEED))
            found[name] = (usual * row[0].low, usual * row[0].high)
    return found


def variance_shares(amounts: Amounts, factors: Factors) -> dict[str, float]:
    """Where the variance of the first pollutant comes from; the factors of classes err apart."""
    mass = amounts.mass[..., 0].sum(axis=(0, 1))
    parts = {
        name: (float(mass[c]) * factors.curves[c][0].spread) ** 2  # type: ignore[union-attr]
        for c, name in enumerate(factors.classes)
        if factors.curves[c][0] and mass[c] > 0
    }
    shared = 0.0 if amounts.shared is None else float(amounts.shared[..., 0].sum()) ** 2
    parts["streets"] = (
        float((amounts.own[..., 0].sum(axis=0) + amounts.link[..., 0].sum(axis=0) ** 2).sum()) + shared
    )
    whole = sum(parts.values())
    return {name: value / whole for name, value in parts.items()} if whole > 0 else {}


def _used(factors: Factors) -> dict[str, str]:
    return {name: row[0].id for name, row in zip(factors.classes, factors.curves, strict=True) if row[0]}


def remarks(territory: Territory, factors: Factors, source: str) -> list[Problem]:
    """Which curves are of another source than asked for, and which emission standards are assumed."""
    found = []
    others = factors.others(source) if source else ()
    if others:
        found.append(
            Problem(
                "vehicles.other_source",
                {"source": source, "curves": ", ".join(one.id for one in others)},
                severity="warning",
            )
        )
    known = {vehicles.vehicle_class(name).key for name in _setting(territory, "technologies") or {}}
    for name in factors.classes:
        technology = vehicles.vehicle_class(name).technology
        if name not in known and technology and technology != "battery":
            found.append(
                Problem("vehicles.assumed", {"vehicle": name, "technology": technology}, severity="note")
            )
    return found
