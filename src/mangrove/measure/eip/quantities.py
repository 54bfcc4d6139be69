# SPDX-License-Identifier: Apache-2.0
"""The quantities of forms A.4 and B.4, from verified exchanges, places and answers, each with its provenance.

Comes in: sums of effects in a year (`Verified.by_effect`), the exchanges, the land. Goes out: one `Filled` for each field. A quantity that no
exchange declares an effect for is not known: it stays a blank and no zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from mangrove.errors import Problem, Sentence
from mangrove.measure.eip import computed
from mangrove.measure.eip.answers import value_of
from mangrove.measure.eip.land import GREEN, NATIVE, ROAD, SOCIAL, TECHNICAL
from mangrove.measure.eip.types import Value
from mangrove.rules.eip import Field, fields_of
from mangrove.territory.model import EXCHANGE_KINDS, Exchange
from mangrove.units import unit

if TYPE_CHECKING:
    from mangrove.measure.symbiosis.types import EffectSum, Figure
    from mangrove.measure.symbiosis.verify import Verified

LEDGER, PLACES, ANSWERED, OPEN = "ledger", "places", "answered", "asked"
MILLION = 1e6
_TONNE = 1000.0
_SUMMED = (
    "electricity_cost", "water_cost", "wastewater_cost", "waste_reused_cost", "waste_recycled_cost",
    "primary_material_cost", "secondary_cost", "chemicals_cost",
)  # fmt: skip
"""What 3.25 adds up: 3.5, 3.10, 3.12, 3.14, 3.16, 3.18, 3.20, 3.24."""
_SECONDARY = "secondary_material"
_USES = {"green": (GREEN, NATIVE), "road": (ROAD,), "technical": (TECHNICAL,), "social": (SOCIAL,)}
_TOLERANCE = 0.005
"""A declared figure that differs by more than this share from the computed one is flagged."""


@dataclass(frozen=True, slots=True)
class Filled:
    """One field with its value.

    Attributes:
        value: a number in `unit`, words, or None when it is not known; sd: standard deviation, None when it is not stated.
        parts: code, amount and unit of each line, for a field that has one line for each fuel.
        origin: `ledger`, `places`, `answered` or `asked`; words: codes of messages that the value consists of.
        exchanges, factors: ids; batches: of the values; remarks: what a reader should know.
    """

    field: Field
    value: Value
    unit: str = ""
    sd: float | None = None
    parts: tuple[tuple[str, float, str], ...] = ()
    origin: str = OPEN
    exchanges: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    factors: tuple[str, ...] = ()
    remarks: tuple[Sentence, ...] = ()
    problems: tuple[Problem, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What the fields of a form are filled from.

    Attributes:
        evidence: of the year; verified: the exchanges of the year, None when none are declared or nothing was ingested.
        place: of the enterprise; None for the park.
    """

    evidence: computed.Evidence
    verified: Verified | None
    place: str | None = None
    effects: Sequence[EffectSum] = field(init=False, default=())

    def __post_init__(self) -> None:
        year = self.evidence.year
        if self.verified is not None:
            sums = self.verified.by_effect(year.year, self.place or year.root)
            object.__setattr__(self, "effects", tuple(sums))

    def here(self, place: str) -> bool:
        """Whether a place belongs to who reports."""
        year = self.evidence.year
        return year.inside(place) if self.place is None else year.territory.lies_in(place, self.place)

    def idle(self) -> list[Exchange]:
        """Exchanges declared for the year of which nothing was metered in it: whether they run is not known."""
        year = self.evidence.year
        ours = [
            one
            for one in year.declared(date(year.year, 1, 1), date(year.year, 12, 31))
            if self.here(one.place) or self.here(one.to_place)
        ]
        return [one for one in ours if year.moved(one) is None]

    def exchanges(self) -> list[Exchange]:
        """Exchanges that were carried out by the end of the year: they moved something in it, or ended before it."""
        year = self.evidence.year
        first = date(year.year, 1, 1)
        return [
            one
            for one in year.declared(date.min, date(year.year, 12, 31))
            if (self.here(one.place) or self.here(one.to_place))
            and (year.moved(one) is not None or (one.valid_to is not None and one.valid_to <= first))
        ]


def fill(form: str, source: Source) -> tuple[Filled, ...]:
    """All fields of form A.4 or B.4, in their order."""
    done: dict[str, Filled] = {}
    for one in fields_of(form):
        found = _computed(one, source, done)
        done[one.field] = _answered(one, found, source)
    return tuple(done.values())


def _computed(one: Field, source: Source, done: Mapping[str, Filled]) -> Filled:
    """A field from the ledger or the places; an open one when neither says it."""
    if one.how == "places":
        return _land(one, source)
    if one.how != LEDGER:
        return Filled(one, None, one.unit)
    by_figure: dict[str, Callable[[Field, Source], Filled]] = {
        "amount": _amount, "money": _money, "co2": _co2, "share": _share,
    }  # fmt: skip
    if one.figure == "sum":
        return _total(one, {other.field.quantity: other for other in done.values()})
    return by_figure[one.figure](one, source) if one.figure in by_figure else _counted(one, source)


def _answered(one: Field, found: Filled, source: Source) -> Filled:
    """The field with what was answered: it fills a blank, and is flagged where it differs from what was computed."""
    answer = source.evidence.answers.of(one.code, source.place if one.form.startswith("B") else None)
    if answer is None:
        return found
    said = value_of(answer)
    if found.value is None and not found.parts:
        return replace(found, value=said, origin=ANSWERED)
    if not (isinstance(said, float) and isinstance(found.value, float)):
        return found
    if abs(said - found.value) <= _TOLERANCE * max(abs(found.value), abs(said)):
        return found
    data = {"indicator": one.code, "said": answer.value, "computed": f"{found.value:.6g} {one.unit}"}
    problem = Problem("eip.answer_differs", data, answer.where, severity="warning")
    return replace(found, problems=(*found.problems, problem))


def doubts(source: Source) -> tuple[Problem, ...]:
    """What is doubtful about the exchanges of who reports: an enterprise reads no word of those of others."""
    found = () if source.verified is None else source.verified.problems
    if source.place is None:
        return found
    exchanges = source.evidence.year.territory.exchanges.values()
    ours = {one.id: one for one in exchanges if source.here(one.place) or source.here(one.to_place)}
    own = (_own(problem, ours, source) for problem in found)
    return tuple(problem for problem in own if problem is not None)


def _own(problem: Problem, ours: Mapping[str, Exchange], source: Source) -> Problem | None:
    """A problem with what it says of the exchanges of who reports; None when it says nothing of them.

    Exchanges that are parts of one whole share their problems: of these the ids and meters of others are left out.
    """
    data = problem.data
    named = str(data.get("exchange") or str(data.get("flow", "")).partition(":")[0]).split(", ")
    kept = [name for name in named if name in ours]
    if not kept:
        return None
    if data.get("first", kept[0]) not in ours:
        return replace(
            problem, code="eip.meter_twice", data={"exchange": data["exchange"], "flow": data["flow"]}
        )
    if len(kept) == len(named):
        return problem
    flows = [flow for flow in str(data["flow"]).split(", ") if _is_ours(flow, ours, source)]
    return (
        replace(problem, data={**data, "exchange": ", ".join(kept), "flow": ", ".join(flows)})
        if flows
        else None
    )


def _is_ours(flow: str, ours: Mapping[str, Exchange], source: Source) -> bool:
    """Whether a flow meters an exchange of who reports, or lies at its place."""
    declared = source.evidence.year.territory.flows.get(flow)
    metered = {end for one in ours.values() for end in (one.sent, one.received)}
    return flow in metered or (declared is not None and source.here(declared.place))


# --- sums of effects


def _rows(one: Field, source: Source) -> list[EffectSum]:
    return [row for row in source.effects if row.effect in one.effect and one.side in ("", row.side)]


def _amount(one: Field, source: Source) -> Filled:
    """The amounts of an effect; secondary material is what exchanges of material carried, where no effect says it."""
    rows = _rows(one, source)
    if not one.unit:
        return _by_code(one, rows)
    fits = [row for row in rows if unit(row.unit).converts_to(one.unit)]
    parts = [(row.amount, row.amount_sd, unit(row.unit).to(one.unit)) for row in fits]
    value = sum(amount * scale for amount, _, scale in parts) if parts else None
    sd = _sd([None if sd is None else sd * scale for _, sd, scale in parts])
    filled = _filled(one, fits, value, sd, one.unit)
    odd = [row.unit for row in rows if row not in fits]
    if odd:
        said = Sentence("eip.other_units", (("units", ", ".join(dict.fromkeys(odd))), ("unit", one.unit)))
        filled = replace(filled, remarks=(*filled.remarks, said))
    return _with_carried(one, source, filled, rows) if one.effect == (_SECONDARY,) else filled


def _by_code(one: Field, rows: Sequence[EffectSum]) -> Filled:
    """One line for each fuel and unit."""
    sums: dict[tuple[str, str], float] = {}
    for row in rows:
        sums[row.code, row.unit] = sums.get((row.code, row.unit), 0.0) + row.amount
    parts = tuple((code, amount, of) for (code, of), amount in sums.items())
    return replace(_filled(one, rows, None, None, ""), parts=parts)


def _money(one: Field, source: Source) -> Filled:
    """Money of an effect, in millions; the income from secondary material is what takers paid, where no effect says it."""
    rows = _rows(one, source)
    paid = [row for row in rows if row.money is not None]
    value = sum(row.money or 0.0 for row in paid) / MILLION if paid else None
    sd = _sd([None if row.money_sd is None else row.money_sd / MILLION for row in paid])
    filled = _filled(one, paid, value, sd, one.unit)
    if value is not None and len(paid) < len(rows):
        filled = replace(filled, remarks=(*filled.remarks, Sentence("eip.effects_without_price")))
    is_income = one.effect == (_SECONDARY,) and one.side == "giver"
    return _with_carried(one, source, filled, rows) if is_income else filled


def _co2(one: Field, source: Source) -> Filled:
    """Avoided t CO2e of effects; the total is the sum of electricity and fuel."""
    rows = [row for row in _rows(one, source) if row.co2e_kg is not None]
    value = sum(row.co2e_kg or 0.0 for row in rows) / _TONNE if rows else None
    filled = _filled(one, rows, value, _sd([_scaled(row.co2e_sd, 1 / _TONNE) for row in rows]), one.unit)
    if one.quantity != "co2":
        return filled
    others = [
        row.co2e_kg for row in source.effects if row.effect not in one.effect and row.co2e_kg is not None
    ]
    if not others:
        return filled
    said = Sentence("eip.other_co2", (("tonnes", f"{sum(others) / _TONNE:.1f}"),))
    return replace(filled, remarks=(*filled.remarks, said))


def _share(one: Field, source: Source) -> Filled:
    """Electricity saved over electricity used plus saved, in percent."""
    saved = _amount(_in_kwh(one), source)
    used = computed.electricity_used(source.evidence.year)
    if used is None or not isinstance(saved.value, float) or used[0] + saved.value <= 0:
        return Filled(one, None, one.unit)
    share = 100 * saved.value / (used[0] + saved.value)
    said = (*saved.remarks, Sentence("eip.share_of_electricity"))
    return Filled(
        one, share, "%", origin=LEDGER, exchanges=saved.exchanges, batches=saved.batches, factors=saved.factors, remarks=said,
    )  # fmt: skip


def _in_kwh(one: Field) -> Field:
    return replace(one, unit="kWh")


def _total(one: Field, done: Mapping[str, Filled]) -> Filled:
    """3.25: the sum of the costs that are known; the others are named."""
    known = [done[name] for name in _SUMMED if name in done and isinstance(done[name].value, float)]
    unknown = [done[name].field.field for name in _SUMMED if name in done and done[name].value is None]
    value = sum(float(part.value or 0.0) for part in known) if known else None
    said = (Sentence("eip.sum_lacks", (("fields", ", ".join(unknown)),)),) if unknown and known else ()
    return Filled(
        one, value, one.unit, _sd([part.sd for part in known]), (), LEDGER if known else OPEN,
        _unique(part.exchanges for part in known), tuple(sorted({b for part in known for b in part.batches})), (), said,
    )  # fmt: skip


def _with_carried(one: Field, source: Source, filled: Filled, rows: Sequence[EffectSum]) -> Filled:
    """Adds what exchanges of material carried (or were paid for) that declare no effect on secondary material."""
    if source.verified is None:
        return filled
    said = {name for row in rows for name in row.exchanges}
    extra: list[tuple[str, Figure, float]] = []
    for exchange in source.evidence.year.territory.exchanges.values():
        end = exchange.place if one.side == "giver" else exchange.to_place
        skipped = exchange.id in said or exchange.id in source.verified.uncounted or not source.here(end)
        figure = (
            None
            if skipped or exchange.carrier.kind not in ("waste", "material")
            else _carried(one, source.verified, exchange)
        )
        if figure is not None:
            extra.append((exchange.id, *figure))
    if not extra:
        return filled
    value = float(filled.value or 0.0) + sum(figure.value * scale for _, figure, scale in extra)
    parts = [
        *([filled.sd] if filled.value is not None else []),
        *(_scaled(f.sd, scale) for _, f, scale in extra),
    ]
    ids = tuple(name for name, _, _ in extra)
    batches = {info.batch for name in ids for info in source.verified.batches.get(name, ())}
    return replace(
        filled, value=value, sd=_sd(parts), origin=LEDGER, exchanges=(*filled.exchanges, *ids),
        batches=tuple(sorted({*filled.batches, *batches})), remarks=(*filled.remarks, Sentence("eip.carried")),
    )  # fmt: skip


def _carried(one: Field, verified: Verified, exchange: Exchange) -> tuple[Figure, float] | None:
    """What an exchange carried at the end of who reports, or the money it brought, with the factor to the field's unit."""
    if one.figure == "money":
        paid = verified.paid(exchange.id)
        return None if paid is None or paid.value <= 0 else (paid, 1 / MILLION)
    figure = verified.amount(exchange.id, "given" if one.side == "giver" else "taken")
    of = verified.of(exchange.id)[0].unit if verified.of(exchange.id) else ""
    if figure is None or not of or not unit(of).converts_to(one.unit):
        return None
    return figure, unit(of).to(one.unit)


# --- counts, partners, land


def _counted(one: Field, source: Source) -> Filled:
    """Numbers and lists of exchanges and partners."""
    found, idle = source.exchanges(), source.idle()
    kind = one.effect[0] if one.effect else one.side
    if one.quantity.startswith("symbioses_") and kind in EXCHANGE_KINDS:
        found, idle = ([exchange for exchange in group if exchange.kind == kind] for group in (found, idle))
    inside = source.evidence.year.inside
    both = [exchange for exchange in found if inside(exchange.place) and inside(exchange.to_place)]
    if one.quantity == "partners_same_park":
        return _list(one, both, float(len({end for e in both for end in (e.place, e.to_place)})))
    if one.quantity == "symbioses_types":
        kinds = [word for word in EXCHANGE_KINDS if any(e.kind == word for e in found)]
        words = tuple(f"eip.kind_{word}" for word in kinds)
        return replace(_list(one, found, "; ".join(kinds) or None), words=words)
    if one.quantity in ("partners_inside", "partners_outside"):
        mine = both if one.quantity == "partners_inside" else [e for e in found if e not in both]
        return _list(one, mine, "; ".join(_partners(mine, source)) or None)
    return _list(one, found, float(len(found)) if found or not idle else None)


def _partners(exchanges: Iterable[Exchange], source: Source) -> list[str]:
    """The names of the other ends."""
    places = source.evidence.year.territory.places
    ends = [
        end
        for one in exchanges
        for end in (one.place, one.to_place)
        if not source.here(end) or source.place is None
    ]
    return list(dict.fromkeys(places[end].name for end in ends))


def _list(one: Field, exchanges: Sequence[Exchange], value: Value) -> Filled:
    origin = OPEN if value is None else LEDGER
    return Filled(one, value, one.unit, origin=origin, exchanges=tuple(e.id for e in exchanges))


def _land(one: Field, source: Source) -> Filled:
    """An area of the park, or its share."""
    land = source.evidence.land
    uses = _USES.get(one.quantity.removeprefix("land_").removesuffix("_share"))
    if uses is None:
        return Filled(one, land.total, one.unit, origin=OPEN if land.total is None else PLACES)
    value = land.share(*uses) if one.unit == "%" else land.area(*uses)
    return Filled(one, value, one.unit, origin=OPEN if value is None else PLACES)


# --- small parts


def _filled(one: Field, rows: Sequence[EffectSum], value: float | None, sd: float | None, of: str) -> Filled:
    missing = tuple(dict.fromkeys(name for row in rows for name in row.missing))
    said = (Sentence("eip.periods_missing", (("periods", ", ".join(missing[:12])),)),) if missing else ()
    return Filled(
        one, value, of, sd, (), LEDGER if rows else OPEN, _unique(row.exchanges for row in rows),
        tuple(sorted({batch for row in rows for batch in row.batches})), _unique(row.factors for row in rows), said,
    )  # fmt: skip


def _sd(parts: Sequence[float | None]) -> float | None:
    """The standard deviation of a sum of parts that are taken as fully correlated (they share prices, factors and meters): an upper bound."""
    known = [part for part in parts if part is not None]
    return sum(known) if parts and len(known) == len(parts) else None


def _scaled(sd: float | None, scale: float) -> float | None:
    return None if sd is None else sd * scale


def _unique(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))
