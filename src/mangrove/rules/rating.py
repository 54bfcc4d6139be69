# SPDX-License-Identifier: Apache-2.0
"""From a contract and a clock to rates: which dated rows hold in which part of the time, and what a kWh costs there.

Comes in: a contract, steps on the wall clock. Goes out: `Rated`, with the time shares of each step by version (a stretch of days
in which no rate changes) and period, the rates of each version, and the rows they come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RuleError
from mangrove.rules import clauses, holidays, tariffs
from mangrove.rules import hours as calendar
from mangrove.rules.clauses import LAW
from mangrove.rules.hours import Clock
from mangrove.rules.tariffs import PERIODS, Line, Parameter, Price

if TYPE_CHECKING:
    from mangrove.rules.contracts import Contract

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DECLARED = "declared"
_EXPORT, _CAP, _VAT = "rooftop_surplus_price", "rooftop_surplus_cap", "vat"
_ORDER = (
    *PERIODS, "energy", "private_wire", "evn_dppa", "cfd", "capacity", "export", "export_over_cap",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Basis:
    """Where a number comes from: what it is, the status of its row (or `declared`), the document, what to know about it."""

    what: str
    status: str
    document: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One price of the energy: of one period (its number) or, with None, of all of them."""

    label: str
    price: float
    document: str
    period: int | None = None
    taxed: bool = True


@dataclass(slots=True)
class Version:
    """The rates of a stretch of days; NaN stands for "none"."""

    retail: tuple[Item, ...] = ()
    covered: tuple[Item, ...] = ()
    demand: float = np.nan
    demand_document: str = ""
    sell: float = 0.0
    cap: float = np.nan
    vat: float = np.nan
    buy: Floats = field(default_factory=lambda: np.zeros(len(PERIODS)))


@dataclass(frozen=True, eq=False)
class Rated:
    """The rates of a contract over steps.

    Attributes:
        shares: (T, V, 3) shares of each step by version and period; they add up to 1 for each step.
        days: a day of each version, of which prices can be asked.
        versions: the rates.
        at_start: (T,) the version in which each step starts.
        sources: where the numbers come from.
    """

    clock: Clock
    shares: Floats
    days: tuple[date, ...]
    versions: tuple[Version, ...]
    at_start: Ints
    sources: tuple[Basis, ...]

    @property
    def buy(self) -> Floats:
        """(T,) VND/kWh of what is drawn."""
        prices = np.array([version.buy for version in self.versions])
        return np.asarray((self.shares * prices).sum(axis=(1, 2)))

    @property
    def retail(self) -> tuple[tuple[Item, ...], ...]:
        """The retail prices of each version."""
        return tuple(version.retail for version in self.versions)

    @property
    def covered(self) -> tuple[tuple[Item, ...], ...]:
        """The prices of each version for what a direct contract covers."""
        return tuple(version.covered for version in self.versions)

    @property
    def first_of_month(self) -> Ints:
        """(months,) the version in which the first step of each month starts (months without steps: the first version)."""
        found = np.zeros(len(self.clock.months), np.int64)
        order = np.argsort(-self.clock.seconds, kind="stable")
        found[self.clock.month[order]] = self.at_start[order]
        return found

    def column(self, name: str) -> Floats:
        """(V,) one rate of all versions: `sell`, `cap`, `vat`, `demand`."""
        return np.array([getattr(version, name) for version in self.versions], dtype=np.float64)

    def document(self, what: str) -> str:
        """The document behind one of the sources; empty when there is none."""
        return next((basis.document for basis in self.sources if basis.what == what), "")


def rate(contract: Contract, clock: Clock) -> Rated:
    """The rates of a contract over the steps of a clock."""
    dates = clock.dates
    asked = [contract.prices_on] * len(dates) if contract.prices_on else dates
    version = _versions(contract, asked)
    schedules, of_day = _schedules(contract, asked)
    days_off, basis = _holidays(contract, clock)
    seconds = calendar.seconds_by_period(clock, schedules, of_day, calendar.sundays(dates, days_off), version)
    used = np.flatnonzero(seconds.any(axis=(0, 2)))
    days = [asked[int(np.argmax(version == number))] for number in used]
    sources = dict.fromkeys(
        Basis(f"hours {entry.name}", entry.status, entry.document, entry.note)
        for number, entry in enumerate(schedules)
        if number in of_day[np.unique(clock.day)]
    )
    sources.update(dict.fromkeys(basis))
    versions = [_version(contract, day, sources) for day in days]
    renumbered = np.searchsorted(used, version[clock.day])
    return Rated(
        clock,
        seconds[:, used] / clock.step,
        tuple(days),
        tuple(versions),
        np.asarray(renumbered, np.int64),
        tuple(sources),
    )


def record(contract: Contract) -> dict[str, Any]:
    """The terms of a contract by key."""
    return {entry.name: getattr(contract, entry.name) for entry in fields(contract)}


def vat_of(rated: Rated, month: int) -> float:
    """The VAT rate of a month, as a fraction; raises `RuleError` (`rules.declare_price`) when there is none."""
    number = rated.first_of_month[month]
    rate_ = rated.versions[number].vat
    if np.isnan(rate_):
        raise RuleError("rules.declare_price", text=_VAT, on=rated.days[number], key="vat")
    return float(rate_)


def position(label: str) -> tuple[int, str]:
    """Where a line stands on a bill."""
    return (_ORDER.index(label), "") if label in _ORDER else (-1, label)


class Lines:
    """Collects lines; what has the same label and price is one line."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, float, str, bool], float] = {}

    def add(
        self, label: str, quantity: float, unit: str, price: float, document: str, *, taxed: bool
    ) -> None:
        """Adds a quantity; nothing is no line."""
        if quantity:
            key = (label, unit, price, document, taxed)
            self._sums[key] = self._sums.get(key, 0.0) + quantity

    def all(self) -> tuple[Line, ...]:
        """The lines, in the order of a bill."""
        lines = [
            Line(label, quantity, unit, price, document, taxed)
            for (label, unit, price, document, taxed), quantity in self._sums.items()
        ]
        return tuple(sorted(lines, key=lambda line: position(line.label)))


def _versions(contract: Contract, days: list[date]) -> Ints:
    """(D,) number of the stretch of days in which no row of the contract changes."""
    edges = sorted(
        {edge.toordinal() for row in _rows(contract) for edge in (row.valid_from, row.valid_to) if edge}
    )
    passed = np.searchsorted(edges, [day.toordinal() for day in days], side="right")
    return np.asarray(np.unique(passed, return_inverse=True)[1], np.int64)


def _rows(contract: Contract) -> Iterator[Price | Parameter]:
    """Every dated row that could hold for the contract."""
    customer = clauses.customer_of(contract.kind, contract.customer)
    if contract.kind == "two_component":
        yield from (row for row in tariffs.two_component_rows() if row.voltage == contract.voltage)
    elif contract.kind != "flat":
        yield from (
            row
            for row in tariffs.prices()
            if row.customer == customer and row.voltage in (contract.voltage, "")
        )
    keys = {_VAT, _EXPORT, _CAP, "cdppa", "pcl", "loss_k", "fmp_mean", "cfmp_mean", f"kpp/{contract.voltage}"}
    if contract.kind != "dppa":
        keys = {_VAT, *({_EXPORT, _CAP} if contract.export is not None else ())}
    yield from (row for row in tariffs.parameters() if row.key in keys)


def _schedules(contract: Contract, days: list[date]) -> tuple[tuple[tariffs.Schedule, ...], Ints]:
    """The schedules, and the number of that of each day."""
    known = tariffs.schedules()
    if contract.hours != LAW:
        return (tariffs.schedule(contract.hours),), np.zeros(len(days), np.int64)
    held = np.array([[entry.valid_on(day) for entry in known] for day in days])
    return known, np.asarray(len(known) - 1 - np.argmax(held[:, ::-1], axis=1), np.int64)


def _holidays(contract: Contract, clock: Clock) -> tuple[frozenset[date], list[Basis]]:
    """The days that count as Sundays, and where they come from."""
    if not contract.holidays_as_sunday:
        return frozenset(), []
    if contract.holidays:
        return frozenset(contract.holidays), [Basis("holidays as Sundays", DECLARED, contract.source)]
    dates = clock.dates
    years = sorted({dates[number].year for number in np.unique(clock.day)})
    for year in years:
        if year not in holidays.years():
            known = ", ".join(map(str, holidays.years()))
            raise RuleError("rules.no_holidays", year=year, options=known)
    days = frozenset(day for year in years for day in holidays.of(year))
    return days, [
        Basis("holidays as Sundays", "alternate", "holidays.csv", "sources do not agree that they are")
    ]


def _version(contract: Contract, day: date, sources: dict[Basis, None]) -> Version:
    """The rates of one stretch of days."""
    book, rates = _Book(contract, day, sources), Version()
    _retail(book, rates)
    if contract.kind == "dppa":
        _direct(book, rates)
    share = contract.share or 0.0
    for items, part in ((rates.retail, 1 - share), (rates.covered, share)):
        for item in items:
            rates.buy[slice(None) if item.period is None else item.period] += part * item.price
    if contract.export is not None:
        rates.sell = book.given_or_law("export", contract.export, _EXPORT)
        cap = LAW if contract.export_cap is None else contract.export_cap
        rates.cap = book.given_or_law("export_cap", cap, _CAP, scale=0.01)
    try:
        rates.vat = book.given_or_law("vat", LAW if contract.vat is None else contract.vat, _VAT, scale=0.01)
    except RuleError:
        rates.vat = np.nan  # prices without VAT can still be asked for; a bill says that the rate is missing
    return rates


@dataclass(frozen=True, slots=True)
class _Book:
    """Looks up what a contract leaves to the rules, and notes where each number comes from."""

    contract: Contract
    day: date
    sources: dict[Basis, None]

    @property
    def own(self) -> str:
        """The document of the contract itself."""
        return self.contract.source or DECLARED

    def note(self, what: str, *rows: Price | Parameter) -> None:
        """Notes rows of the rules."""
        self.sources.update(dict.fromkeys(Basis(what, row.status, row.document, row.note) for row in rows))

    def declared(self, what: str, note: str = "") -> None:
        """Notes a number of the contract."""
        self.sources[Basis(what, DECLARED, self.own, note)] = None

    def given_or_law(self, what: str, given: float | str, key: str, scale: float = 1.0) -> float:
        """What the contract says, or with the word `law` the row of the rules (times `scale`).

        Raises:
            RuleError: `rules.declare_price`, when the rules have nothing for the day.
        """
        if not isinstance(given, str):
            self.declared(what)
            return float(given)
        try:
            row = tariffs.parameter_row(key, self.day)
        except RuleError:
            raise RuleError("rules.declare_price", text=key, on=self.day, key=what) from None
        self.note(what, row)
        return row.value * scale


def _retail(book: _Book, rates: Version) -> None:
    """The energy prices of the retail part, and the capacity price."""
    contract = book.contract
    customer = clauses.customer_of(contract.kind, contract.customer)
    if contract.kind == "flat":
        rates.retail = (Item("energy", contract.price or 0.0, book.own),)
        rates.demand = np.nan if contract.demand is None else contract.demand
        rates.demand_document = book.own
        book.declared("price")
        return
    if contract.kind == "residential":
        tiers = tariffs.tiers_of(customer, book.day)
        book.note("price", *tiers)
        rates.buy += _marginal(tiers, contract.monthly_use)
        return
    if contract.kind == "two_component":
        rows = tariffs.two_component_prices(contract.voltage, book.day)
        rates.demand, rates.demand_document = rows["capacity"].price, rows["capacity"].document
    else:
        rows = tariffs.price(customer, contract.voltage, book.day)
    rates.retail = tuple(
        Item(period, rows[period].price, rows[period].document, number)
        for number, period in enumerate(PERIODS)
        if period in rows
    )
    book.note("price", *rows.values())


def _marginal(tiers: list[Price], use: float | None) -> float:
    """What one more kWh costs a household; NaN without its monthly use."""
    if use is None:
        return float("nan")
    return next(row.price for row in tiers if row.tier_to is None or use < row.tier_to)


def _direct(book: _Book, rates: Version) -> None:
    """What a direct contract costs: CFMP x Kpp + service charges to the power company, strike - FMP to the generator."""
    contract = book.contract
    if contract.strike is None:
        rates.covered = (Item("private_wire", contract.price or 0.0, book.own),)
        book.declared("private_wire", "negotiated; no ceiling since Decree 243/2026/ND-CP")
        return
    market = {}
    for key, given in (("cfmp", contract.cfmp), ("fmp", contract.fmp)):
        market[key] = book.given_or_law(key, LAW if given is None else given, f"{key}_mean")
    loss = LAW if contract.kpp is None else contract.kpp
    kpp = book.given_or_law("kpp", loss, f"kpp/{contract.voltage}")
    charges = [tariffs.parameter_row(key, book.day) for key in ("cdppa", "pcl")]
    for row in charges:
        book.note(row.key, row)
    service = market["cfmp"] * kpp + sum(row.value for row in charges)
    rates.covered = (
        Item("evn_dppa", service, charges[0].document),
        Item("cfd", contract.strike - market["fmp"], book.own, taxed=False),
    )
    book.declared("strike")
