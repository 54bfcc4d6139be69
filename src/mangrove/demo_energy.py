# SPDX-License-Identifier: Apache-2.0
"""The energy part of the demo: forecast a day, dispatch it, size the mill, share the bill of a month, and show it on a page.

Comes in: the example park with a measured year. Goes out: one HTML page, the statements of the members, and lines for people on
stdout. What cannot be made is said on the page with its reason; the other parts go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mangrove import api, messages, rules
from mangrove.errors import MangroveError
from mangrove.figures.numbers import number
from mangrove.handle import Handle
from mangrove.operate.account import GRID
from mangrove.operate.site import sites
from mangrove.rules import contracts, costs
from mangrove.serve import energy
from mangrove.serve.energy_day import bases_of, day_of
from mangrove.serve.energy_model import EnergyModel, Missing, Past, SiteDay, Sizings
from mangrove.serve.energy_words import Words
from mangrove.times import Span, instant
from mangrove.units import unit

if TYPE_CHECKING:
    from mangrove.forecast.forecaster import Forecast
    from mangrove.plan.problem import Case
    from mangrove.plan.result import Sizing
    from mangrove.settle.share import Sharing

Progress = Callable[..., None]
T = TypeVar("T")
_SITES, _SIZED, _TESTED = ("cold_store", "ev_park"), "steel_mill", "cold_store"
_EXPECTED = ("cold_store_electricity", "cold_store_pv", "swap_demand")
"""Flows whose forecast is kept in the ledger, for the page and for `mangrove explain`."""
_CALENDARS = ("legacy", "963")
_POINTS = 6
_YEARS = 25
"""Years of the study: the life of the roof."""
_SEED = 20240210
"""Of the generated weather year under which the mill's roof is sized."""


@dataclass(frozen=True, slots=True)
class When:
    """What the page is about: a day, its month, a week back from it, and the year of the readings."""

    year: int
    day: date

    @property
    def month(self) -> str:
        """The month of the day."""
        return f"{self.day:%Y-%m}"

    @property
    def week(self) -> tuple[date, date]:
        """Seven days that end before the day."""
        return self.day - timedelta(days=7), self.day


def show(park: Handle, out: Path, when: When, progress: Progress, lang: str) -> Path:
    """Runs the energy verbs on the park, prints what they found and writes `park_energy.html` and `statements/` into `out`."""
    words = Words(lang, park.territory.currency)
    days = _dispatch(park, when, progress)
    sizings = _tried("sizing", lambda: _sizings(park, when, progress, words), progress, lang)
    sharing = _tried("sharing", lambda: _sharing(park, out, when, progress, lang), progress, lang)
    past = _tried("past", lambda: _past(park, when, progress), progress, lang)
    priced = contracts.of(park.territory, _SIZED, on=when.day).prices_on
    model = EnergyModel(
        territory=park.territory.name,
        timezone=park.territory.timezone,
        currency=park.territory.currency,
        day=when.day,
        days=days,
        sizings=sizings,
        sharing=sharing,
        past=past,
        statements="statements",
        bases=bases_of(park.territory, _metered(park)),
        factor=_factor(park, when),
        carbon=_carbon(park),
        traded=_traded(priced),
        prices_on=priced,
        sources=() if isinstance(sharing, Missing) else sharing.sources,
        records={} if isinstance(sharing, Missing) else {"sharing": sharing.record},
        version=version("mangrove"),
    )
    _print(words, model)
    return energy.write(model, out / "park_energy.html", lang)


def _tried(part: str, make: Callable[[], T], progress: Progress, lang: str) -> T | Missing:
    """What `make` makes, or why it could not."""
    try:
        return make()
    except MangroveError as error:
        progress("not_made", part=messages.render(f"demo.part_{part}", lang), text=error.problem.text(lang))
        return Missing(part, error.problem)


def _dispatch(park: Handle, when: When, progress: Progress) -> list[SiteDay | Missing]:
    """Forecasts and schedules of the sites on the day."""
    forecasts = _forecasts(park, when, progress)
    found: list[SiteDay | Missing] = []
    for place in _SITES:
        name = park.territory.places[place].name
        try:
            (schedule,) = api.operate(park, when.day, places=[place])
            with park.reader() as ledger, ledger.snapshot() as snapshot:
                found.append(day_of(park.territory, snapshot, schedule, forecasts=forecasts))
            progress("operated", name=name, day=when.day)
        except MangroveError as error:
            found.append(Missing(f"day:{name}", error.problem))
    return found


def _forecasts(park: Handle, when: When, progress: Progress) -> Mapping[str, Forecast]:
    """What was to be expected of the day, from readings that end before it."""
    try:
        made = api.forecast(park, _EXPECTED, when.day, models=("naive", "ridge"), as_of=datetime.now(UTC))
    except MangroveError:
        return {}
    progress("forecast", flows=len(made.forecasts), day=when.day)
    return made.forecasts


def _sizings(park: Handle, when: When, progress: Progress, words: Words) -> Sizings:
    """The mill under the old and the new hours of the tariff, and cost against carbon under the new ones."""
    from mangrove.network.weather_made import SOURCE, generate
    from mangrove.plan.size import size
    from mangrove.plan.study import frontier
    from mangrove.plan.verb import compared

    place = park.territory.places[_SIZED]
    lat, lon = place.lat or 0.0, place.lon or 0.0
    weather = generate(when.year, lat, lon, _SEED, zone=_zone(park, when))
    case = _case(park, when, weather)
    results: dict[str, Sizing] = {}
    cases = compared(case, _CALENDARS, park.territory.timezone)
    for name, one in cases.items():
        results[name] = size(one, timezone=park.territory.timezone)
        progress(
            "sized",
            name=place.name,
            calendar=words.calendar(name),
            seconds=number(results[name].effort.seconds, words.lang),
        )
    last = _CALENDARS[-1]
    assets = [park.territory.assets[name.split("/")[0]] for name in case.sizes()]
    costs = tuple(dict.fromkeys((asset.name, asset.note) for asset in assets if asset.note))
    names = {asset.id: asset.name for asset in assets}
    return Sizings(place.name, results, names, frontier(cases[last], _POINTS), last, SOURCE, costs)


def _case(park: Handle, when: When, weather: Any) -> Case:
    from mangrove.plan.declared import Wishes, case_of
    from mangrove.plan.finance import Money

    declared: Any = park.territory.settings.get("energy") or {}
    # No tax and no rising prices: what neither the park declares nor a law states is left out, and the page says so.
    rate = declared.get("discount")
    wishes = Wishes(money=None if rate is None else Money(years=_YEARS, discount=float(rate)))
    span = Span.parse(str(when.year), park.territory.tz)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return case_of(park.territory, snapshot, _SIZED, span.start, span.end, weather=weather, wishes=wishes)


def _zone(park: Handle, when: When) -> float:
    """Hours ahead of UTC on the clock of the park."""
    offset = instant(date(when.year, 1, 1), park.territory.tz).astimezone(park.territory.tz).utcoffset()
    return offset.total_seconds() / 3600 if offset else 0.0


def _sharing(park: Handle, out: Path, when: When, progress: Progress, lang: str) -> Sharing:
    from mangrove.serve.statement import write_statements

    sharing = api.settle(park, when.month)
    pages = write_statements(sharing, out / "statements", lang)
    progress("shared", members=len(sharing.members), month=when.month, pages=len(pages))
    return sharing


def _past(park: Handle, when: When, progress: Progress) -> Past:
    first, last = when.week
    result = api.backtest(park, first, last, place=_TESTED)
    progress("tested", first=first, last=last)
    return Past(park.territory.places[_TESTED].name, first, last - timedelta(days=1), result)


def _metered(park: Handle) -> set[str]:
    """The flows that meter the sites."""
    return {flow for site in sites(park.territory) for flow in site.flows}


def _factor(park: Handle, when: When) -> tuple[float, str, str] | None:
    """The factor of the grid, kg CO2/kWh, with its document and status."""
    try:
        found = rules.load().select(GRID, "CO2", when.day, local=park.territory.factors).chosen
    except MangroveError:
        return None
    return found.value * unit(found.unit).to("kg/kWh"), found.source.document, found.status


def _traded(on: date | None) -> tuple[float, float, str, str] | None:
    """What a tonne of CO2 was traded at on the day of the prices; None where no trade is known."""
    if on is None:
        return None
    try:
        found = costs.carbon_price(on)
    except MangroveError:
        return None
    return found.low, found.high, found.document, found.status


def _carbon(park: Handle) -> float:
    """The declared price of a tonne of CO2; 0 when the park declares none."""
    declared: Any = park.territory.settings.get("energy") or {}
    return float(declared.get("carbon_price") or 0.0)


def _print(words: Words, model: EnergyModel) -> None:
    """One line for each part that was made."""
    lines = []
    for one in model.days:
        if isinstance(one, SiteDay) and one.bare is not None:
            saved = one.bare.cost - one.account.cost
            code = "line_day" if saved >= 0 else "line_day_more"
            cost, apart = words.money(one.account.cost), words.money(abs(saved))
            lines.append(_said(words, code, name=one.name, cost=cost, saved=apart))
    if not isinstance(model.sizings, Missing):
        for calendar, sizing in model.sizings.results.items():
            sizes = ", ".join(
                f"{model.sizings.names.get(name.split('/')[0], name)} {number(size, words.lang)} {'kWh' if '/' in name else 'kW'}"
                for name, size in sizing.sizes.items() if size >= 1
            )  # fmt: skip
            value = number(sizing.npv / words.unit.worth, words.lang)
            lines.append(
                _said(
                    words,
                    "line_size",
                    calendar=words.calendar(calendar),
                    sizes=sizes or "-",
                    npv=value,
                    unit=words.unit.name,
                )
            )
    if not isinstance(model.sharing, Missing):
        smallest = model.sharing.statements[0].unit
        alone, total = (
            sum(getattr(one, name) for one in model.sharing.statements) * smallest
            for name in ("alone", "total")
        )
        lines.append(_said(words, "line_bill", total=words.money(total), saved=words.money(alone - total)))
    if not isinstance(model.past, Missing):
        reached = number(model.past.result.share_reached() * 100, words.lang)
        lines.append(_said(words, "line_past", name=model.past.name, reached=reached))
    print("\n".join(f"  {line}" for line in lines) + "\n")  # noqa: T201 - what the demo is for


def _said(words: Words, code: str, **data: object) -> str:
    return messages.render(f"demo.{code}", words.lang, **data)
