# SPDX-License-Identifier: Apache-2.0
"""One site on one day: from a schedule to what is drawn, with its bill and what the meters said later.

Comes in: a schedule, a snapshot of the ledger, forecasts by flow. Goes out: a `SiteDay`. The day is billed by the site's contract as the
plan has it and as it would be without; a battery that ends emptier than it began pays for the difference at the mean price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem
from mangrove.ledger import Snapshot
from mangrove.operate import readings
from mangrove.operate.account import Rates, rates_of
from mangrove.operate.site import Site, site_at
from mangrove.operate.state import HOUR_SECONDS, SECOND
from mangrove.serve.energy_model import Account, Floats, Missing, SiteDay, Worth
from mangrove.territory.model import Territory
from mangrove.times import utc

if TYPE_CHECKING:
    from mangrove.forecast.forecaster import Forecast
    from mangrove.operate.plan import Plan
    from mangrove.operate.run import Schedule

Bools = npt.NDArray[np.bool_]
DAY = 86_400 * SECOND
_NOTHING = 1e-6
"""kW below which a stream was not used that day."""


def day_of(
    territory: Territory,
    snapshot: Snapshot,
    schedule: Schedule,
    *,
    forecasts: Mapping[str, Forecast] | None = None,
) -> SiteDay | Missing:
    """The day of a site from its schedule on, with what was measured beside it.

    Args:
        territory: as declared.
        snapshot: its values, for what was measured.
        schedule: see `mangrove.operate.run.Schedule`; the first 24 hours of it are shown.
        forecasts: by flow, for the band of the load.
    """
    plan = schedule.plan
    if plan is None:
        return Missing(f"day:{territory.places[schedule.place].name}", _why(schedule))
    site = site_at(territory, schedule.place)
    keep = (plan.starts >= schedule.at) & (plan.starts < schedule.at + DAY)
    starts, step = plan.starts[keep], float(plan.hours[keep][0])
    supply, use = _streams(territory, site, plan, keep)
    local = utc(starts[0]).astimezone(territory.tz)
    midnight = local.hour + local.minute / 60 + local.second / HOUR_SECONDS
    meter = _Meter(rates_of(territory, site, local.date()), starts, step, territory.tz)
    terms = meter.terms
    window = readings.Window(starts[0], round(step * HOUR_SECONDS), len(starts))
    of = "load" if site.load in territory.flows else "drawn"
    metered = _metered(territory, snapshot, site, window)
    found = _total(metered)
    planned = use.get("load", np.zeros(len(starts))) if of == "load" else supply["grid"]
    bare, against = _bare(meter, site, supply, use, metered=metered)
    expected, bounds = _expected(territory, site, (forecasts or {}).get(site.load), starts)
    ids = {b.id: _named(territory, b.id) for b in site.batteries}
    return SiteDay(
        name=territory.places[site.place].name,
        edges=midnight + np.arange(len(starts) + 1, dtype=np.float64) * step,
        supply=supply,
        use=use,
        period=np.asarray(terms.period),
        price=np.asarray(terms.buy, dtype=np.float64),
        levels={ids[id_]: level.mean(axis=0)[keep] for id_, level in plan.levels.items() if id_ in ids},
        expected=expected,
        bounds=bounds,
        measured=found,
        of=of,
        planned=planned,
        account=_account(meter, site, plan, keep, meter.bill(supply, use)),
        bare=bare,
        against=against,
        relaxed=schedule.relaxed,
        worth=[Worth(_named(territory, s.name), s.kind, s.value, s.steps) for s in schedule.shadows],
        notes=[one for one in schedule.problems if one.code != "operate.gave_way"] + _unbilled(plan),
        hours=float(plan.hours[plan.lead :].sum()),
        bases=bases_of(territory, (*site.flows, *(one.demand for one in site.stations))),
        metered=bases_of(territory, [name for names in _meters(territory, site).values() for name in names]),
    )


def bases_of(territory: Territory, flows: Iterable[str]) -> tuple[str, ...]:
    """How the readings of some flows came about, each basis once, sorted."""
    found = {territory.flows[name].basis for name in flows if name in territory.flows}
    return tuple(sorted(found - {""}))


def _unbilled(plan: Plan) -> list[Problem]:
    """A note where the site buys more than electricity, because the bill of the day is that of its electricity."""
    others = ", ".join(plan.bought)
    return [Problem("energy.only_electricity", {"carriers": others}, severity="note")] if others else []


def _why(schedule: Schedule) -> Problem:
    """Why there is no plan."""
    told = [one for one in schedule.problems if one.code in {schedule.reason, "operate.no_plan"}]
    return told[-1] if told else Problem("energy.no_plan", {"reason": schedule.reason})


def _named(territory: Territory, name: str) -> str:
    """The declared name of the asset that a stream or limit belongs to, else the name itself."""
    asset = territory.assets.get(name.split(" ", 1)[0])
    return asset.name if asset is not None and asset.name else name


def _streams(
    territory: Territory, site: Site, plan: Plan, keep: Bools
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """What comes in and where it goes, (T,) kW by what it is; the load is what is left."""

    def mean(rates: Floats) -> Floats:
        found: Floats = rates.mean(axis=0)[keep]
        return found

    kinds = {b.id: "battery" for b in site.batteries} | {one.id: "packs" for one in site.stations}
    supply, use = {"grid": mean(plan.imported)}, {"load": np.zeros(int(keep.sum()))}
    for generator in site.generators:
        kind = "wind" if territory.assets[generator.id].type == "wind" else "sun"
        supply[kind] = supply.get(kind, 0.0) + mean(plan.generated[generator.id])
    for id_, rates in plan.powers.items():
        kind = kinds.get(id_, "vehicles")
        use[kind] = use.get(kind, 0.0) + mean(np.maximum(rates, 0.0))
        supply[kind] = supply.get(kind, 0.0) + mean(np.maximum(-rates, 0.0))
    for rates in plan.electric.values():
        use["machines"] = use.get("machines", 0.0) + mean(np.maximum(rates, 0.0))
        supply["machines"] = supply.get("machines", 0.0) + mean(np.maximum(-rates, 0.0))
    use["export"] = mean(plan.exported)
    into, out = (sum(side.values(), np.zeros(int(keep.sum()))) for side in (supply, use))
    use["load"] = np.maximum(into - out, 0.0)
    supply, use = (
        {
            name: series
            for name, series in side.items()
            if name == "grid" or series.max(initial=0.0) > _NOTHING
        }
        for side in (supply, use)
    )
    return supply, use


def _metered(
    territory: Territory, snapshot: Snapshot, site: Site, window: readings.Window
) -> dict[str, Floats]:
    """(T,) kW that the meters said, by kind of use: the load's own meters, else those of chargers and stations."""
    found = {}
    for kind, names in _meters(territory, site).items():
        read = [readings.power(snapshot, territory.flows[name], window).power for name in names]
        found[kind] = np.sum(read, axis=0)
    return found


def _meters(territory: Territory, site: Site) -> dict[str, list[str]]:
    """The flows that meter what is used, by kind."""
    if site.load in territory.flows:
        return {"load": [site.load]}
    parts = {
        "vehicles": [one.flow for one in site.chargers],
        "packs": [one.charge_flow for one in site.stations],
    }
    return {kind: names for kind, names in parts.items() if names and all(names)}


def _total(metered: Mapping[str, Floats]) -> Floats | None:
    """All that the meters said; None when they said nothing."""
    if not metered:
        return None
    total: Floats = np.sum(list(metered.values()), axis=0)
    return None if np.isnan(total).all() else total


@dataclass(frozen=True, slots=True)
class _Meter:
    """How the steps of the day are billed."""

    rates: Rates
    starts: npt.NDArray[np.datetime64]
    step: float
    tz: ZoneInfo

    @property
    def terms(self) -> Any:
        """The prices of the steps."""
        return self.rates.contract.terms(self.starts, self.step, self.tz)

    @property
    def factor(self) -> float | None:
        """Kg of CO2 per kWh drawn."""
        return None if self.rates.factor is None else float(np.mean(self.rates.factor))

    def bill(self, supply: Mapping[str, Floats], use: Mapping[str, Floats]) -> Account:
        """The bill of the day, before VAT, with the carbon price; CO2 and kWh of what was drawn."""
        none = np.zeros(len(self.starts))
        drawn = supply["grid"] * self.step
        own = (supply.get("sun", none) + supply.get("wind", none)) * self.step
        sold = use.get("export", none) * self.step
        bills = self.rates.contract.bills(self.starts, self.step, self.tz, drawn, sold, own)
        kwh = float(drawn.sum())
        emitted = None if self.factor is None else kwh * self.factor
        carbon = 0.0 if emitted is None else self.rates.carbon * emitted
        return Account(float(sum(bill.subtotal for bill in bills)) + carbon, emitted, kwh)


def _account(meter: _Meter, site: Site, plan: Plan, keep: Bools, billed: Account) -> Account:
    """The day under the plan: its bill, wear, and what it costs to have the batteries as full as in the morning."""
    wear = lacking = 0.0
    for b in site.batteries:
        power, levels = plan.powers[b.id].mean(axis=0)[keep], plan.levels[b.id].mean(axis=0)[keep]
        wear += b.wear * float(np.maximum(-power, 0.0).sum()) * meter.step
        moved = float(power[0]) * meter.step
        morning = float(levels[0]) - (moved * b.efficiency[0] if moved > 0 else moved / b.efficiency[1])
        lacking += max(morning - float(levels[-1]), 0.0) / b.efficiency[0]
    mean = float(np.mean(meter.terms.buy))
    emitted = None if billed.emissions is None else billed.emissions + lacking * (meter.factor or 0.0)
    return Account(billed.cost + wear + lacking * mean, emitted, billed.drawn + lacking)


def _bare(
    meter: _Meter,
    site: Site,
    supply: Mapping[str, Floats],
    use: Mapping[str, Floats],
    *,
    metered: Mapping[str, Floats],
) -> tuple[Account | None, str]:
    """The same day without the plan: without the battery, or the same kWh at the hours at which the meters saw charging."""
    none = np.zeros(len(meter.starts))
    own = supply.get("sun", none) + supply.get("wind", none)
    drawn = use.get("load", none) + use.get("machines", none) - supply.get("machines", none) - own
    against = "no_battery" if site.batteries else ""
    for kind in ("vehicles", "packs"):
        wanted = use.get(kind, none) - supply.get(kind, none)
        if not wanted.any():
            continue
        seen = metered.get(kind, none)
        if np.isnan(seen).any() or not seen.any():
            return None, ""
        drawn, against = drawn + seen * (wanted.sum() / seen.sum()), "as_metered"
    if not against:
        return None, ""
    alone = {"grid": np.maximum(drawn, 0.0), "sun": own}
    return meter.bill(alone, {"export": np.minimum(np.maximum(-drawn, 0.0), site.exporting)}), against


def _expected(
    territory: Territory, site: Site, forecast: Forecast | None, starts: npt.NDArray[np.datetime64]
) -> tuple[tuple[Floats, Floats, Floats] | None, tuple[float, float]]:
    """Lowest, middle and highest quantile of the load in kW on the steps of the day; None when they do not cover it."""
    if forecast is None or not len(forecast.starts):
        return None, (0.0, 1.0)
    flow = territory.flows[site.load]
    assert flow.step is not None
    begins = np.asarray(forecast.starts).astype("datetime64[s]")
    index = np.searchsorted(begins, starts, side="right") - 1
    length = round(flow.step.hours * HOUR_SECONDS) * SECOND
    late: Any = starts - begins[np.maximum(index, 0)]
    if (index < 0).any() or (late >= length).any():
        return None, (0.0, 1.0)
    middle = int(np.argmin(np.abs(np.asarray(forecast.levels) - 0.5)))
    to_kw = readings.kilowatt_hours(flow) / flow.step.hours
    low, mid, high = (np.asarray(forecast.quantiles[i])[index] * to_kw for i in (0, middle, -1))
    return (low, mid, high), (float(forecast.levels[0]), float(forecast.levels[-1]))
