# SPDX-License-Identifier: Apache-2.0
"""Electricity prices of Viet Nam: dated price rows, hour schedules, and bills that show each line.

Comes in: energy by period (kWh), a customer group, a voltage, a day; or a load profile and a schedule by name. Goes out:
a `Bill` whose lines add up. Sources disagree on which hours (legacy or Decision 963/QD-BCT) and which residential tiers
(six or five) are billed, so both are kept and the caller names the one to use; VAT is an argument with a dated source.
All money is in VND and is not rounded; a printed bill rounds to the dong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import TypeVar

from mangrove import messages, text
from mangrove.errors import RuleError
from mangrove.rules import tables

PERIODS = ("offpeak", "normal", "peak")
_DAY_MINUTES = 24 * 60
_SUNDAY = 6
_Row = TypeVar("_Row", "Price", "Parameter")


@dataclass(frozen=True, slots=True)
class Price:
    """One dated price: VND/kWh before VAT, for a period of the day or for a tier of monthly use.

    `tier_from` and `tier_to` are kWh a month (half-open above, `tier_to` None has no end).
    """

    id: str
    customer: str
    voltage: str
    period: str
    price: float
    valid_from: date | None
    valid_to: date | None
    status: str
    document: str
    note: str = ""
    tier_from: float = 0.0
    tier_to: float | None = None

    def valid_on(self, day: date) -> bool:
        """Whether the price holds on `day`."""
        return _holds(self.valid_from, self.valid_to, day)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dated number of the power market, in `unit`."""

    key: str
    value: float
    unit: str
    valid_from: date | None
    valid_to: date | None
    status: str
    document: str
    note: str = ""

    def valid_on(self, day: date) -> bool:
        """Whether the number holds on `day`."""
        return _holds(self.valid_from, self.valid_to, day)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: `quantity` in `unit` at `price` (VND per unit)."""

    label: str
    quantity: float
    unit: str
    price: float
    document: str = ""
    taxed: bool = True
    """Whether VAT is added; not for what is sold or settled, because no source read says so."""

    @property
    def amount(self) -> float:
        """VND, before VAT."""
        return self.quantity * self.price

    def text(self, lang: str = "en") -> str:
        """What the line is for, in words.

        Example:
            >>> Line("offpeak", 1.0, "kWh", 1190.0).text("vi")
            'Giờ thấp điểm'
        """
        group, _, tier = self.label.rpartition(":")
        return (
            messages.render("rules.line_tier", lang, number=tier)
            if group
            else messages.render(f"rules.line_{self.label}", lang)
        )


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill: its lines, the VAT rate (fraction) and the sums in VND."""

    lines: tuple[Line, ...]
    vat_rate: float = 0.0
    month: str = ""
    """The billing month, `2026-04`, when the bill is that of one month."""

    @property
    def subtotal(self) -> float:
        """The sum of the lines, before VAT."""
        return sum(line.amount for line in self.lines)

    @property
    def vat(self) -> float:
        """The VAT."""
        return sum(line.amount for line in self.lines if line.taxed) * self.vat_rate

    @property
    def total(self) -> float:
        """What is to be paid."""
        return self.subtotal + self.vat


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day that a schedule names: minutes after local midnight, `[start, end)`."""

    period: str
    start: int
    end: int
    sunday: bool
    """Whether it also holds on Sundays."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The hours of one time-of-use schedule; what no window names is `normal`."""

    name: str
    windows: tuple[Window, ...]
    valid_from: date | None
    valid_to: date | None
    document: str
    note: str = ""
    status: str = "official"

    def valid_on(self, day: date) -> bool:
        """Whether the schedule is that of the law on `day`."""
        return _holds(self.valid_from, self.valid_to, day)

    def day(self, weekday: int) -> list[tuple[int, int, str]]:
        """The pieces of one day (Monday is 0) as (start minute, end minute, period), covering all 24 hours."""
        marks = sorted((w.start, w.end, w.period) for w in self.windows if weekday != _SUNDAY or w.sunday)
        pieces, at = [], 0
        for start, end, period in marks:
            if at < start:
                pieces.append((at, start, "normal"))
            pieces.append((start, end, period))
            at = end
        if at < _DAY_MINUTES:
            pieces.append((at, _DAY_MINUTES, "normal"))
        return pieces

    def period(self, local: datetime) -> str:
        """The period in which the local wall-clock time `local` lies."""
        minute = local.hour * 60 + local.minute
        return next(period for start, end, period in self.day(local.weekday()) if start <= minute < end)

    def split(self, values: Iterable[tuple[datetime, float]], step: timedelta) -> dict[str, float]:
        """Energy by period.

        Args:
            values: (start in local wall-clock time, kWh) of intervals of length `step`; an interval that crosses an edge
                of the schedule is shared by time.
            step: the length of one interval.
        """
        energy = dict.fromkeys(PERIODS, 0.0)
        for start, kwh in values:
            for period, share in self._shares(start, step):
                energy[period] += kwh * share
        return energy

    def _shares(self, start: datetime, step: timedelta) -> Iterable[tuple[str, float]]:
        """How an interval falls into periods: fractions that add up to 1."""
        at, end = start, start + step
        while at < end:
            midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
            seconds = (at - midnight).total_seconds()
            edge, period = next((stop, p) for _, stop, p in self.day(at.weekday()) if seconds < stop * 60)
            until = min(end, midnight + timedelta(minutes=edge))
            yield period, (until - at) / step
            at = until


@cache
def prices() -> tuple[Price, ...]:
    """All dated prices."""
    return tuple(
        Price(
            id=row["id"],
            customer=row["customer"],
            voltage=row["voltage"],
            period=row["period"],
            price=float(row["price"]),
            valid_from=tables.day(row["valid_from"]),
            valid_to=tables.day(row["valid_to"]),
            status=row["status"],
            document=row["document"],
            note=row["note"],
            tier_from=tables.number(row["tier_from"]) or 0.0,
            tier_to=tables.number(row["tier_to"]),
        )
        for row in tables.rows("tariffs")
    )


@cache
def schedules() -> tuple[Schedule, ...]:
    """The hour schedules: `legacy` and `963`."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in tables.rows("tou"):
        groups.setdefault(row["schedule"], []).append(row)
    return tuple(
        Schedule(
            name,
            tuple(_window(row) for row in rows),
            tables.day(rows[0]["valid_from"]),
            tables.day(rows[0]["valid_to"]),
            rows[0]["document"],
            rows[0]["note"],
            rows[0]["status"],
        )
        for name, rows in groups.items()
    )


def schedule(name: str) -> Schedule:
    """The schedule `name`; raises `RuleError` (`rules.unknown_schedule`)."""
    known = {entry.name: entry for entry in schedules()}
    if name not in known:
        raise RuleError("rules.unknown_schedule", text=name, options=", ".join(known))
    return known[name]


def price(customer: str, voltage: str, on: date) -> dict[str, Price]:
    """The prices by period of a customer group (`production`, `business`) at a voltage (`6-<22 kV`).

    Raises:
        RuleError: `rules.no_tariff`, with the groups that exist; `rules.not_that_day`, with the days of the prices.
    """
    rows = [(f"{row.customer} {row.voltage}", row) for row in prices() if row.period in PERIODS]
    held = _held(f"{customer} {voltage}", on, rows)
    return {row.period: row for row in held}


def parameter(key: str, on: date) -> float:
    """A dated number of the power market (`kpp/22-<110 kV`, `cdppa`, `pcl`, `loss_k`, `vat`, ...), in its table's unit.

    Raises:
        RuleError: `rules.no_tariff`.
    """
    return parameter_row(key, on).value


def parameter_row(key: str, on: date) -> Parameter:
    """The row behind `parameter`, with its unit, dates, status and source; raises `RuleError` as `price` does."""
    return _held(key, on, [(row.key, row) for row in parameters()])[0]


@cache
def parameters() -> tuple[Parameter, ...]:
    """All dated numbers of the power market."""
    return tuple(
        Parameter(
            row["key"],
            float(row["value"]),
            row["unit"],
            tables.day(row["valid_from"]),
            tables.day(row["valid_to"]),
            row["status"],
            row["document"],
            row["note"],
        )
        for row in tables.rows("power_parameters")
    )


def customers(kind: str = "tou") -> dict[str, tuple[str, ...]]:
    """The customer groups of a kind of tariff, each with its voltages (none for households), in the order of the tables.

    Args:
        kind: `tou`, `ev_charging`, `two_component` or `residential`; other kinds have no groups of their own.

    Example:
        >>> customers("ev_charging")
        {'ev_charging': ('>1 kV', '<=1 kV')}
    """
    if kind == "two_component":
        rows = [("production", row["voltage"]) for row in tables.rows("two_component")]
    else:
        tiered = kind == "residential"
        rows = [(row.customer, row.voltage) for row in prices() if (row.period == "tier") == tiered]
        if kind in ("tou", "ev_charging"):
            rows = [row for row in rows if (row[0] == "ev_charging") == (kind == "ev_charging")]
    found: dict[str, dict[str, None]] = {}
    for customer, voltage in rows:
        found.setdefault(customer, {}).update({voltage: None} if voltage else {})
    return {customer: tuple(voltages) for customer, voltages in found.items()}


def vat_rate(on: date) -> float:
    """The VAT rate of electricity on the day `on`, as a fraction (8 % to 31/12/2026: Resolution 204/2025/QH15)."""
    return parameter("vat", on) / 100


def bill(
    energy: Mapping[str, float], customer: str, voltage: str, on: date, *, vat: float | None = None
) -> Bill:
    """The bill of a customer with time-of-use prices: amount = sum over periods of kWh x price.

    Args:
        energy: kWh by period (`offpeak`, `normal`, `peak`).
        customer: `production` or `business`.
        voltage: as printed in Decision 1279/QD-BCT (`>=110 kV`, `22-<110 kV`, `6-<22 kV`, `<6 kV`, `>=22 kV`).
        on: the day whose prices and VAT hold.
        vat: VAT as a fraction; None takes the rate of the day.
    """
    rows = price(customer, voltage, on)
    lines = tuple(
        Line(period, energy[period], "kWh", rows[period].price, rows[period].document)
        for period in PERIODS
        if energy.get(period)
    )
    return Bill(lines, vat_rate(on) if vat is None else vat)


def residential_bill(
    kwh: float,
    on: date,
    *,
    tiers: str = "residential",
    days: tuple[float, float] = (1, 1),
    vat: float | None = None,
) -> Bill:
    """The bill of a household: each tier of the month at its own price.

    Args:
        kwh: use in the billing period.
        on: the day whose prices and VAT hold.
        tiers: `residential` (six tiers, Decision 1279/QD-BCT) or `residential_5tier` (Decision 14/2025/QD-TTg).
        days: (billed days, days of the month): the tiers of a partial month shrink in proportion.
        vat: VAT as a fraction; None takes the rate of the day.
    """
    rows = tiers_of(tiers, on)
    share = days[0] / days[1]
    lines = []
    for row in rows:
        top = kwh if row.tier_to is None else min(kwh, row.tier_to * share)
        part = top - row.tier_from * share
        if part > 0:
            lines.append(Line(row.id, part, "kWh", row.price, row.document))
    return Bill(tuple(lines), vat_rate(on) if vat is None else vat)


def tiers_of(customer: str, on: date) -> list[Price]:
    """The tiers of a household on a day, from the first kWh up; raises `RuleError` as `price` does."""
    return _held(customer, on, [(row.customer, row) for row in prices() if row.period == "tier"])


def two_component_bill(
    p_max_kw: float, energy: Mapping[str, float], voltage: str, on: date, *, vat: float | None = None
) -> Bill:
    """The bill of the two-component pilot: TC = Cp x Pmax + sum over periods of Ca x kWh.

    `p_max_kw` is the highest 30-minute mean of the billing month.
    """
    rows = two_component_prices(voltage, on)
    lines = []
    for period, row in rows.items():
        capacity = period == "capacity"
        quantity = p_max_kw if capacity else energy.get(period, 0.0)
        if quantity:
            lines.append(Line(period, quantity, "kW" if capacity else "kWh", row.price, row.document))
    return Bill(tuple(lines), vat_rate(on) if vat is None else vat)


def two_component_prices(voltage: str, on: date) -> dict[str, Price]:
    """The prices of the two-component pilot: `capacity` in VND/kW/month, and each period in VND/kWh.

    Raises:
        RuleError: `rules.no_tariff`, with the voltages that exist; `rules.not_that_day`, with the days of the pilot.
    """
    held = _held(voltage, on, [(row.voltage, row) for row in two_component_rows()])
    return {row.period: row for row in held}


@cache
def two_component_rows() -> tuple[Price, ...]:
    """All rows of the two-component pilot; the period of the capacity price is `capacity`."""
    return tuple(
        Price(
            id=f"two_component:{row['voltage']}:{row['period'] or row['component']}",
            customer="production",
            voltage=row["voltage"],
            period=row["period"] or row["component"],
            price=float(row["price"]),
            valid_from=tables.day(row["valid_from"]),
            valid_to=tables.day(row["valid_to"]),
            status=row["status"],
            document=row["document"],
            note=row["note"],
        )
        for row in tables.rows("two_component")
    )


@dataclass(frozen=True, slots=True)
class DppaTerms:
    """The terms of a grid DPPA, VND/kWh but for `kpp` (the loss factor of the distribution grid).

    `strike` is the price of the contract for differences; `fmp` the full market price it is settled against; `cfmp` the
    price the power company charges for matched energy; `adder` its service charges (CDPPAdv + PCL).
    """

    strike: float
    fmp: float
    cfmp: float
    kpp: float
    adder: float


def matched_output(metered: float, kpp: float, loss_k: float = 1.02) -> float:
    """Energy of the generator that counts at the customer's meter: Q_m = Q_mq / (k x Kpp) (Decree 57/2025/ND-CP)."""
    return metered / (loss_k * kpp)


def dppa_price(terms: DppaTerms) -> float:
    """What one matched kWh costs: CFMP x Kpp + adder + (strike - FMP), VND/kWh."""
    return terms.cfmp * terms.kpp + terms.adder + (terms.strike - terms.fmp)


def dppa_bill(load: float, matched: float, retail: float, terms: DppaTerms) -> Bill:
    """The bill of a customer with a grid DPPA, before VAT.

    Args:
        load: kWh used.
        matched: kWh of it that the contract covers (more than `load` is cut to it).
        retail: VND/kWh for what the contract does not cover.
        terms: the terms of the contract.
    """
    covered = min(load, matched)
    return Bill(
        (
            Line("shortfall", load - covered, "kWh", retail),
            Line("evn_dppa", covered, "kWh", terms.cfmp * terms.kpp + terms.adder),
            Line("cfd", covered, "kWh", terms.strike - terms.fmp),
        )
    )


def average_price(bills: Sequence[Bill], energy: float) -> float:
    """VND per kWh of all `bills` together, VAT included."""
    return sum(one.total for one in bills) / energy


def _held(name: str, on: date, rows: Sequence[tuple[str, _Row]]) -> list[_Row]:
    """The rows of one name that hold on a day; says which names there are, or on which days the name has rows."""
    named = [row for known, row in rows if known == name]
    held = [row for row in named if row.valid_on(on)]
    if held:
        return held
    if named:
        first, last = named[0].valid_from, named[-1].valid_to
        raise RuleError("rules.not_that_day", text=name, on=on, days=f"{first or ''}..{last or ''}")
    known = list(dict.fromkeys(known for known, _ in rows))
    near = text.suggest(name, known) or "-"
    raise RuleError("rules.no_tariff", text=name, on=on, near=near, available="; ".join(known))


def _window(row: Mapping[str, str]) -> Window:
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (row["start"], row["end"]))
    return Window(row["period"], start, end, row["days"] == "all")


def _holds(valid_from: date | None, valid_to: date | None, day: date) -> bool:
    return (valid_from is None or valid_from <= day) and (valid_to is None or day < valid_to)
