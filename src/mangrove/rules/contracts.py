# SPDX-License-Identifier: Apache-2.0
"""What a contract for electricity costs, step by step and month by month: the one source of prices for every verb.

Comes in: a contract, declared in `territory.yaml` or written by hand, and the steps of a series. Goes out: prices for each step
(`terms`), itemized bills for each month (`bills`), and two regimes beside each other (`compare`). Every number comes from a
dated row of the rules or from the contract; `Terms.sources` names each with its status. Money is in VND, before VAT but in bills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove import text as words
from mangrove.errors import RequestError, RuleError, Where
from mangrove.rules import clauses, rating
from mangrove.rules import hours as calendar
from mangrove.rules.clauses import LAW
from mangrove.rules.rating import Basis, Rated
from mangrove.rules.tariffs import PERIODS, Bill, Line, matched_output, parameter, residential_bill

if TYPE_CHECKING:
    from mangrove.territory.model import Territory

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
WINDOW = 0.5
"""Hours over which the metered power is averaged before its highest value of the month is billed (7646/BCT-DL, 9/10/2025)."""
_FILE = "territory.yaml"


@dataclass(frozen=True, eq=False)
class Terms:
    """The prices of a contract over T steps, before VAT.

    Attributes:
        buy: (T,) VND/kWh of what is drawn; a step that an edge of the calendar cuts is priced by time shares.
        sell: (T,) VND/kWh of what is fed in.
        period: (T,) 0 off-peak, 1 normal, 2 peak: the period with the largest share of the step (the dearer one on a tie).
        shares: (T, 3) shares of the step in these periods.
        demand: VND/kW and month for the highest mean power of a month over `window` hours; one number a month, (months,), only
            when it changes.
        month: (T,) billing month of each step (local calendar), counted from 0; `months` are their names.
        export_cap: how much of the own generation may be sold in a year, as a fraction; one a step when it changes; None: all.
        vat: the VAT rate; one a step when it changes; None where the law states none for some of the days.
        sources: where each number comes from.
    """

    buy: Floats
    sell: Floats
    period: Ints
    shares: Floats
    demand: float | Floats
    month: Ints
    months: tuple[str, ...]
    export_cap: float | Floats | None
    vat: float | Floats | None
    sources: tuple[Basis, ...]
    window: float = WINDOW


@dataclass(frozen=True, slots=True)
class Contract:
    """How the electricity of one customer is paid.

    Attributes:
        kind: `tou` (retail by time of use), `two_component` (pilot with a capacity price), `flat`, `residential` (tiers),
            `ev_charging`, `dppa` (grid contract with `strike`, private wire with `price`).
        customer, voltage: as printed in the price decisions (`production`, `22-<110 kV`); see `tariffs.customers`.
        hours: the calendar: `law` (that of each day), `legacy` or `963`.
        price: VND/kWh of a flat contract or of a private wire (free since Decree 243/2026/ND-CP).
        demand: VND/kW and month of a flat contract.
        export: VND/kWh for surplus, or `law`; None: surplus earns nothing.
        export_cap: fraction of the own generation that may be sold in a calendar year, or `law` (also when None).
        strike, fmp, cfmp: VND/kWh of a grid DPPA: the agreed price, and the market prices when they are not those of the rules.
        kpp: loss factor of the distribution grid of a grid DPPA, when it is not that of the rules for the voltage.
        share: fraction of the use that a DPPA covers.
        monthly_use: kWh a month of a household, from which the price of one more kWh follows; bills do not need it.
        holidays_as_sunday: whether public holidays are priced as Sundays (sources do not agree); `holidays` names the days,
            otherwise the table of the rules does.
        vat: fraction, when it is not that of the rules.
        prices_on: the day whose prices, calendar and parameters hold throughout; None: those of each day.
    """

    kind: str
    customer: str = ""
    voltage: str = ""
    hours: str = LAW
    price: float | None = None
    demand: float | None = None
    export: float | str | None = None
    export_cap: float | str | None = None
    strike: float | None = None
    share: float | None = None
    fmp: float | None = None
    cfmp: float | None = None
    kpp: float | None = None
    monthly_use: float | None = None
    holidays_as_sunday: bool = False
    holidays: tuple[date, ...] = ()
    vat: float | None = None
    prices_on: date | None = None
    name: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for _, code, data in clauses.problems(rating.record(self)):
            raise RuleError(code, **data)

    def with_hours(self, hours: str) -> Contract:
        """The same contract under another calendar."""
        return replace(self, hours=hours)

    def terms(self, starts: npt.ArrayLike, hours: float, tz: ZoneInfo | str) -> Terms:
        """Prices for each step.

        Args:
            starts: (T,) starts in UTC (`datetime64`); any order, gaps allowed (typical days).
            hours: length of a step, h.
            tz: time zone of the meter.

        Raises:
            RuleError: `rules.not_that_day`, `rules.declare_price`, `rules.no_holidays`: the rules say nothing for one of the days.
            RequestError: `rules.bad_starts`, `rules.bad_step`.

        Example:
            >>> terms = Contract("tou", "production", "6-<22 kV").terms(["2026-05-04T10:00"], 1.0, "Asia/Ho_Chi_Minh")
            >>> float(terms.buy[0])  # 17:00 to 18:00 on a Monday: half normal, half peak
            2703.5
        """
        rated = rating.rate(self, calendar.clock(starts, hours, tz))
        at = rated.at_start
        shares = rated.shares.sum(axis=1)
        monthly = rated.first_of_month
        dearest = len(PERIODS) - 1 - np.argmax(shares[:, ::-1], axis=1)
        return Terms(
            buy=rated.buy,
            sell=rated.column("sell")[at],
            period=np.asarray(dearest, np.int64),
            shares=shares,
            demand=_one(rated.column("demand")[monthly]) or 0.0,
            month=rated.clock.month,
            months=rated.clock.months,
            export_cap=_one(rated.column("cap")[at]),
            vat=_one(rated.column("vat")[at]),
            sources=rated.sources,
        )

    def bills(  # noqa: PLR0917 - the order in which every verb gives a series
        self,
        starts: npt.ArrayLike,
        hours: float,
        tz: ZoneInfo | str,
        imported: npt.ArrayLike,
        exported: npt.ArrayLike | None = None,
        generated: npt.ArrayLike | None = None,
        *,
        contracted: npt.ArrayLike | None = None,
    ) -> tuple[Bill, ...]:
        """One itemized bill for each month of the local calendar.

        A part of a month is billed as it is: its tiers shrink in proportion, its capacity is paid in full. Surplus is
        credited up to the cap of the year to date, so a month can catch up on what one before it had too much.

        Args:
            starts: (T,) starts in UTC (`datetime64`), without gaps.
            hours: length of a step, h.
            tz: time zone of the meter.
            imported: (T,) kWh drawn in each step; with a DPPA the whole use, what the contract covers included.
            exported: (T,) kWh fed in.
            generated: (T,) kWh of the own plant, of which the export cap is a share.
            contracted: (T,) kWh at the meter of the generator of a DPPA; covers what falls into the same step, in place of the
                share.

        Raises:
            RequestError: `rules.gap_in_steps`, `rules.wrong_length`, `rules.not_finite`, `rules.negative_energy`,
                `rules.step_not_in_window`, `rules.generation_needed`.
            RuleError: as `terms`, and for a VAT that neither the rules nor the contract state.
        """
        clock = calendar.clock(starts, hours, tz)
        calendar.no_gaps(clock)
        count = len(clock.seconds)
        use = calendar.numbers(imported, "imported", count)
        rated = rating.rate(self, clock)
        covered = _covered(self, rated, use, contracted)
        sold = _export_lines(rated, exported, generated)
        return tuple(
            Bill((*energy, *capacity, *credit), rating.vat_of(rated, month), name)
            for month, (name, energy, capacity, credit) in enumerate(
                zip(
                    clock.months,
                    _energy_lines(self, rated, use, covered),
                    _capacity_lines(rated, use),
                    sold,
                    strict=True,
                )
            )
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of bills beside each other: what it is, and quantity and amount (VND) under each regime."""

    label: str
    unit: str
    quantity: Mapping[str, float]
    amount: Mapping[str, float]


def compare(
    contract: Contract,
    starts: npt.ArrayLike,
    hours: float,
    tz: ZoneInfo | str,
    imported: npt.ArrayLike,
    *,
    regimes: Sequence[str | Contract] = ("legacy", "963"),
    **energy: npt.ArrayLike,
) -> tuple[Comparison, ...]:
    """The same use under several regimes: every line of the bills over all months, then subtotal, VAT and total.

    Args:
        contract: the contract whose calendar is changed.
        starts: as for `Contract.bills`.
        hours: as for `Contract.bills`.
        tz: as for `Contract.bills`.
        imported: as for `Contract.bills`.
        regimes: names of calendars, or whole contracts (by their `name`, or else their kind).
        **energy: `exported`, `generated`, `contracted` of `Contract.bills`.
    """
    columns: dict[str, tuple[Bill, ...]] = {}
    for regime in regimes:
        other = contract.with_hours(regime) if isinstance(regime, str) else regime
        name = regime if isinstance(regime, str) else regime.name or regime.kind
        columns[name] = other.bills(starts, hours, tz, imported, **energy)
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for name, bills in columns.items():
        for line in (line for bill in bills for line in bill.lines):
            sums = found.setdefault((line.label, line.unit), {n: [0.0, 0.0] for n in columns})[name]
            sums[0] += line.quantity
            sums[1] += line.amount
    rows = [
        Comparison(label, unit, {n: s[0] for n, s in sums.items()}, {n: s[1] for n, s in sums.items()})
        for (label, unit), sums in sorted(found.items(), key=lambda item: rating.position(item[0][0]))
    ]
    for label in ("subtotal", "vat", "total"):
        amounts = {name: sum(getattr(bill, label) for bill in bills) for name, bills in columns.items()}
        rows.append(Comparison(label, "VND", amounts, amounts))
    return tuple(rows)


def of(
    territory: Territory,
    place: str,
    carrier: str = "electricity",
    on: date | None = None,
    *,
    prices_on: date | None = None,
) -> Contract:
    """The declared contract that covers a place.

    A record covers the places that it names and what lies inside them; without places it covers the whole territory. The
    record that names the nearest place around `place` holds.

    Args:
        territory: the declared territory.
        place: id of the place.
        carrier: kind of what is bought.
        on: the day of validity; None: any.
        prices_on: see `Contract`; stands above the declared day.

    Raises:
        RuleError: `rules.no_contract`, `rules.two_contracts`, `rules.contract_without_kind`.
        RequestError: `territory.unknown_place`.
    """
    if place not in territory.places:
        hint = words.suggest(place, territory.places)
        raise RequestError("territory.unknown_place", text=place, hint=f" ({hint}?)" if hint else "")
    where = Where(str(territory.path / _FILE))
    records: Any = territory.settings.get("tariffs") or ()
    near: dict[int, list[Mapping[str, Any]]] = {}
    for record in records:
        if str(record["carrier"]).split(":")[0].split("@")[0] == carrier and _valid(record, on):
            distance = _distance(territory, place, record["places"])
            if distance is not None:
                near.setdefault(distance, []).append(record)
    if not near:
        known = ", ".join(str(record["id"]) for record in records) or "-"
        raise RuleError(
            "rules.no_contract", where=where, place=place, carrier=carrier, on=on or "-", options=known
        )
    found = near[min(near)]
    if len(found) > 1:
        ids = ", ".join(str(record["id"]) for record in found)
        raise RuleError("rules.two_contracts", where=where, place=place, ids=ids)
    return from_record(found[0], prices_on=prices_on, where=where)


def from_record(
    record: Mapping[str, Any], *, prices_on: date | None = None, where: Where | None = None
) -> Contract:
    """The contract of one record of `tariffs`; raises `RuleError` (`rules.contract_without_kind`)."""
    if not record.get("kind"):
        raise RuleError("rules.contract_without_kind", where=where, id=record["id"])
    own = {field.name for field in fields(Contract)} & record.keys()
    values = {key: record[key] for key in own if record[key] is not None}
    values["holidays"] = tuple(values.get("holidays") or ())
    values["name"] = record.get("name") or record["id"]
    if prices_on is not None:
        values["prices_on"] = prices_on
    return Contract(**values)


def _valid(record: Mapping[str, Any], on: date | None) -> bool:
    start, end = record["valid_from"], record["valid_to"]
    return on is None or ((start is None or start <= on) and (end is None or on < end))


def _distance(territory: Territory, place: str, covered: Sequence[str]) -> int | None:
    """How far above `place` the nearest covered place stands; a record without places covers the whole territory."""
    chain = list(territory.ancestors(place))
    if not covered:
        return len(chain)
    names = {words.canonical(one).casefold() for one in covered}
    for steps, node in enumerate(chain):
        if node.id in covered or words.canonical(node.name).casefold() in names:
            return steps
    return None


def _covered(
    contract: Contract, rated: Rated, use: Floats, contracted: npt.ArrayLike | None
) -> Floats | None:
    """(T,) kWh that a DPPA covers: what its generator delivered in the same step, or a share of the use."""
    if contract.kind != "dppa":
        return None
    if contracted is None:
        return use * (contract.share or 0.0)
    output = calendar.numbers(contracted, "contracted", len(use))
    if contract.strike is not None:  # over the public grid
        losses = [
            matched_output(
                1.0, contract.kpp or parameter(f"kpp/{contract.voltage}", day), parameter("loss_k", day)
            )
            for day in rated.days
        ]
        output = output * np.array(losses)[rated.at_start]
    return np.minimum(use, output)


def _energy_lines(
    contract: Contract, rated: Rated, use: Floats, covered: Floats | None
) -> list[tuple[Line, ...]]:
    """The energy of each month: by period at retail prices, by tier for a household, and what a DPPA covers."""
    clock = rated.clock
    if contract.kind == "residential":
        used = clock.by_month(use)
        return [
            residential_bill(
                float(used[month]),
                rated.days[rated.first_of_month[month]],
                tiers=clauses.customer_of(contract.kind, contract.customer),
                days=clock.part_of_month(month),
                vat=0.0,
            ).lines
            for month in range(len(used))
        ]
    found = [rating.Lines() for _ in clock.months]
    for items, energy in (
        (rated.retail, use if covered is None else use - covered),
        (rated.covered, covered),
    ):
        if energy is None:
            continue
        for version, version_items in enumerate(items):
            shares = rated.shares[:, version]
            kwh = np.stack([clock.by_month(energy * shares[:, p]) for p in range(len(PERIODS))], axis=1)
            for month, item in ((m, item) for m in range(len(kwh)) for item in version_items):
                quantity = float(kwh[month].sum() if item.period is None else kwh[month, item.period])
                found[month].add(item.label, quantity, "kWh", item.price, item.document, taxed=item.taxed)
    return [lines.all() for lines in found]


def _capacity_lines(rated: Rated, use: Floats) -> list[tuple[Line, ...]]:
    """The capacity of each month: its highest mean over half an hour, at the price of the month."""
    prices = rated.column("demand")[rated.first_of_month]
    if np.isnan(prices).all():
        return [() for _ in prices]
    kw = rated.clock.highest(use, WINDOW)
    documents = [rated.versions[version].demand_document for version in rated.first_of_month]
    return [
        (Line("capacity", float(most), "kW", float(price), document),) if price > 0 else ()
        for most, price, document in zip(kw, prices, documents, strict=True)
    ]


def _export_lines(
    rated: Rated, exported: npt.ArrayLike | None, generated: npt.ArrayLike | None
) -> list[tuple[Line, ...]]:
    """The credit of each month for surplus, up to the cap of the calendar year to date."""
    clock = rated.clock
    if exported is None:
        return [() for _ in clock.months]
    out = calendar.numbers(exported, "exported", len(clock.seconds))
    sent, price = clock.by_month(out), rated.column("sell")[rated.at_start]
    caps = rated.column("cap")[rated.at_start]
    paid = sent
    if np.isfinite(caps).all() and sent.any():
        if generated is None:
            raise RequestError("rules.generation_needed")
        own = calendar.numbers(generated, "generated", len(clock.seconds))
        allowed = clock.by_month(caps * own)
        paid = np.concatenate([_within(sent[year], allowed[year]) for year in clock.years()])
    mean = rated.column("sell")[rated.first_of_month]
    if (price != price[0]).any():
        mean = np.where(sent > 0, clock.by_month(out * price) / np.where(sent > 0, sent, 1.0), mean)
    lines = [rating.Lines() for _ in clock.months]
    for month, (credit, at, over) in enumerate(zip(paid, mean, sent - paid, strict=True)):
        lines[month].add(
            "export", float(credit), "kWh", 0.0 - float(at), rated.document("export"), taxed=False
        )
        lines[month].add(
            "export_over_cap", float(over), "kWh", 0.0, rated.document("export_cap"), taxed=False
        )
    return [one.all() for one in lines]


def _within(sent: Floats, allowed: Floats) -> Floats:
    """Monthly amounts whose running sum is the smaller of two running sums."""
    running = np.minimum(sent.cumsum(), allowed.cumsum())
    return np.diff(running, prepend=0.0)


def _one(values: Floats) -> float | Floats | None:
    """One number when all are the same, None when any is missing, otherwise the array."""
    if np.isnan(values).any():
        return None
    return float(values[0]) if (values == values[0]).all() else values
