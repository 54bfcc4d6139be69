# SPDX-License-Identifier: Apache-2.0
"""The indicators that the ledger and the declaration can answer, one function each, with provenance.

Comes in: a year of the ledger, the answers, the outlets. Goes out: a `Measure` by the name that the table of indicators gives in `how`. A
function that cannot say a value says what is lacking; it never fills in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from mangrove.errors import MangroveError, RuleError, Sentence
from mangrove.measure.eip.answers import Answers
from mangrove.measure.eip.effluent import Outlet, remarks
from mangrove.measure.eip.land import NATIVE, SHARED, Land
from mangrove.measure.eip.types import Measure
from mangrove.measure.eip.year import Amount, Year
from mangrove.rules import Rules, classifications, eip
from mangrove.territory.model import Exchange, Flow
from mangrove.units import Quantity, unit

OWN_GENERATION = "own_generation"
LANDFILL = ("solid_waste_decay", "methane_commitment")
"""The methods of flows that go to a landfill."""
_ENERGY = ("electricity", "fuel", "steam", "heat", "cooling", "hydrogen")
_INPUTS_OUTPUTS = {
    "energy": _ENERGY, "water": ("water",), "wastewater": ("wastewater", "water:wastewater"),
    "materials": ("material", "process"), "waste": ("waste",),
}  # fmt: skip
_WASTE = ("waste", "material")
_MOST = 5
"""How many of the biggest contributors a gap names."""


@dataclass(frozen=True)
class Evidence:
    """All that a function may look at."""

    year: Year
    answers: Answers
    land: Land
    outlets: tuple[Outlet, ...]
    rules: Rules


def symbioses(evidence: Evidence) -> Measure:
    """Exchanges that were declared for the year and moved something in it by their own meter."""
    year = evidence.year
    last = date(year.year, 12, 31)
    idle = [one.id for one in year.declared(date(year.year, 1, 1), last) if year.moved(one) is None]
    said = tuple(Sentence("eip.no_values_of_exchange", (("exchange", id_),)) for id_ in idle)
    amounts = [amount for one in year.exchanges if (amount := year.moved(one))]
    if not year.exchanges:  # what is declared and not metered is not known to run, nor known to stand still
        return Measure(None, lacking=said or (Sentence("eip.no_exchanges"),))
    return Measure(
        float(len(year.exchanges)), exchanges=tuple(one.id for one in year.exchanges),
        flows=_ids(amounts), batches=_batches(amounts), remarks=said,
    )  # fmt: skip


def energy_metered(evidence: Evidence) -> Measure:
    """Share of the energy used that comes from flows which name their meter or provider, less values marked as filled in (kWh)."""
    used = evidence.year.of(_is_energy_use)
    if not used:
        return Measure(None, lacking=(Sentence("eip.no_energy"),))
    metered, total, unknown, poor = 0.0, 0.0, [], []
    for amount in used:
        energy = _energy(amount, evidence.rules)
        if energy is None:
            unknown.append(amount.flow.id)
            continue
        good = energy * (1 - amount.estimated) if amount.flow.meter else 0.0
        metered, total = metered + good, total + energy
        poor.append((amount.flow.name or amount.flow.id, energy - good))
    silent = [f.id for f in evidence.year.territory.flows.values() if _is_silent(evidence.year, f)]
    lacking = tuple(
        Sentence(code, (("flows", ", ".join(flows)),))
        for code, flows in (("eip.no_energy_content", unknown), ("eip.no_values_of_flows", silent))
        if flows
    )
    value = None if lacking or not total else 100 * metered / total
    return Measure(
        value, metered, total, "kWh", _ids(used), batches=_batches(used),
        remarks=evidence.year.remarks(used), lacking=lacking, biggest=_biggest(poor),
    )  # fmt: skip


def renewable_share(evidence: Evidence) -> Measure:
    """Own generation without fuel plus the contracted share of purchases, over all electricity (kWh)."""
    found = _electricity(evidence.year)
    if not found:
        return Measure(None, lacking=(Sentence("eip.no_energy"),))
    own = sum(one.to("kWh") for one in found if one.flow.method == OWN_GENERATION)
    bought = [one for one in found if one.flow.method != OWN_GENERATION]
    contracted = sum(one.to("kWh") * _fraction(one.flow, "contract_share") for one in bought)
    total = own + sum(one.to("kWh") for one in bought)
    return Measure(
        100 * (own + contracted) / total if total else None, own + contracted, total, "kWh", _ids(found),
        batches=_batches(found), remarks=evidence.year.remarks(found),
    )  # fmt: skip


def wastewater_treated(evidence: Evidence) -> Measure:
    """Volume that left the outlets on days within their limits, over the wastewater (m3); needs limits and a metered discharge."""
    wastewater = _wastewater(evidence.year)
    if not wastewater:
        return Measure(None, lacking=(Sentence("eip.no_wastewater"),))
    judged = [one for one in evidence.outlets if one.volume is not None and one.within is not None]
    flows = (*_ids(wastewater), *(check.flow for one in judged for check in one.checks))
    if not judged:
        return Measure(None, flows=flows, lacking=(Sentence("eip.no_judged_outlet"),))
    total = sum(one.to("m3") for one in wastewater)
    kept = sum(float(one.within or 0) for one in judged)
    said = [sentence for one in judged for sentence in remarks(one)]
    if kept > total:
        said.append(Sentence("eip.more_out_than_in", (("out", f"{kept:.0f}"), ("into", f"{total:.0f}"))))
    part = min(kept, total)
    return Measure(
        100 * part / total if total else None, part, total, "m3", flows,
        batches=_batches(wastewater), remarks=(*said, *evidence.year.remarks(wastewater)),
    )  # fmt: skip


def wastewater_reused(evidence: Evidence) -> Measure:
    """Wastewater that exchanges carried to another use, over the wastewater (m3)."""
    year = evidence.year
    wastewater = _wastewater(year)
    if not wastewater:
        return Measure(None, lacking=(Sentence("eip.no_wastewater"),))
    works = {one.flow.place for one in wastewater}
    moved = _moved(
        year,
        lambda one: one.carrier.kind == "wastewater" or (one.carrier.kind == "water" and one.place in works),
        "m3",
    )
    total, reused = sum(one.to("m3") for one in wastewater), sum(amount for _, amount, _ in moved)
    return _share(year, (reused, total, "m3"), moved, wastewater)


def waste_reused(evidence: Evidence) -> Measure:
    """Waste that other firms took by an exchange, over all waste (t); wastes whose code is hazardous stand aside."""
    year = evidence.year
    disposed = _disposed(year)
    moved = _moved(year, lambda one: one.carrier.kind in _WASTE, "t")
    aside = [one for one, _, _ in moved if _is_hazardous(one)]
    moved = [row for row in moved if row[0] not in aside]
    reused = sum(amount for _, amount, _ in moved)
    measure = _share(year, (reused, reused + sum(one.to("t") for one in disposed), "t"), moved, disposed)
    if not aside:
        return measure
    said = Sentence("eip.hazardous_aside", (("exchanges", ", ".join(one.id for one in aside)),))
    return _with(measure, remarks=(*measure.remarks, said))


def landfill_diverted(evidence: Evidence) -> Measure:
    """Waste that did not go to a landfill, over all waste (t)."""
    year = evidence.year
    disposed = _disposed(year)
    moved = _moved(year, lambda one: one.carrier.kind in _WASTE, "t")
    buried = sum(one.to("t") for one in disposed if one.flow.method in LANDFILL)
    total = sum(one.to("t") for one in disposed) + sum(amount for _, amount, _ in moved)
    measure = _share(year, (total - buried, total, "t"), moved, disposed)
    unclear = [one.flow.id for one in disposed if not one.flow.method]
    if unclear:
        said = Sentence("eip.no_treatment_named", (("flows", ", ".join(unclear)),))
        return _with(measure, value=None, lacking=(*measure.lacking, said))
    buried_flows = [
        (one.flow.name or one.flow.id, one.to("t")) for one in disposed if one.flow.method in LANDFILL
    ]
    return _with(measure, biggest=_biggest(buried_flows))


def shared_land(evidence: Evidence) -> Measure:
    """Land for greenery, roads and shared technical and social infrastructure, over the park (ha)."""
    return _land(evidence.land, *SHARED)


def native_land(evidence: Evidence) -> Measure:
    """Open space with native planting, over the park (ha)."""
    return _land(evidence.land, NATIVE)


def ghg_program(evidence: Evidence) -> Measure:
    """Greenhouse gases are monitored when flows of scopes 1 and 2 have values; a plan to reduce them is a declared target."""
    found = evidence.year.of(lambda flow: flow.scope in (1, 2))
    scopes = {one.flow.scope for one in found}
    targets = _targets(evidence)
    lacking = []
    if scopes != {1, 2}:
        lacking.append(Sentence("eip.scopes_without_values"))
    if not targets:
        lacking.append(Sentence("eip.no_targets"))
    return Measure(
        None if lacking else True, flows=_ids(found), batches=_batches(found), lacking=tuple(lacking),
        remarks=(Sentence("eip.shown_by_data"),),
    )  # fmt: skip


def carbon_target(evidence: Evidence) -> Measure:
    """Targets for emissions that the territory declares; whether they go beyond the norms of the industry is not checked."""
    targets = _targets(evidence)
    if not targets:
        return Measure(None, lacking=(Sentence("eip.no_targets"),))
    years = ", ".join(sorted({str(target.get("year")) for target in targets}))
    return Measure(value=True, remarks=(Sentence("eip.targets_declared", (("years", years),)),))


def inputs_outputs(evidence: Evidence) -> Measure:
    """Energy, water, wastewater, materials and waste each have flows with values in the year."""
    year = evidence.year
    held = list(year.amounts.values())
    found: dict[str, list[Amount]] = {}
    for group, kinds in _INPUTS_OUTPUTS.items():
        found[group] = [one for one in held if year.inside(one.flow.place) and _of_kind(one.flow, kinds)]
    missing = [group for group, amounts in found.items() if not amounts]
    amounts = [one for group in found.values() for one in group]
    lacking = tuple(Sentence(f"eip.no_{group}_metered") for group in missing)
    return Measure(
        None if missing else True, flows=_ids(amounts), batches=_batches(amounts), lacking=lacking,
        remarks=(Sentence("eip.shown_by_data"), Sentence("eip.chemicals_among")),
    )  # fmt: skip


def firms(evidence: Evidence, code: str, *, of_all: bool) -> Measure:
    """Share of firms that answered yes; of all firms (who has not answered counts as no), or of those that answered.

    The number of all firms is the answer to `park/firms`, else the number of places of kind facility.
    """
    said = evidence.answers.of_firms(code)
    if not said:
        return Measure(None, lacking=(Sentence("eip.no_firm_answered"),))
    number = evidence.answers.value("park/firms")
    facilities = [
        p
        for p in evidence.year.territory.places.values()
        if p.kind == "facility" and evidence.year.inside(p.id)
    ]
    every = float(number) if isinstance(number, float) else float(len(facilities))
    whole = max(every, len(said)) if of_all else float(len(said))
    yes = sum(said.values())
    note = Sentence("eip.firms_answered", (("answered", len(said)), ("firms", int(every))))
    return Measure(100 * yes / whole, float(yes), whole, "", places=tuple(said), remarks=(note,))


FUNCTIONS: Mapping[str, Callable[[Evidence], Measure]] = {
    function.__name__: function
    for function in (
        symbioses, energy_metered, renewable_share, wastewater_treated, wastewater_reused, waste_reused,
        landfill_diverted, shared_land, native_land, ghg_program, carbon_target, inputs_outputs,
    )
}  # fmt: skip
"""By the name that the table of indicators gives."""


def measure(evidence: Evidence, indicator: eip.Indicator) -> Measure | None:
    """What can be computed for an indicator; None when it can only be asked."""
    if indicator.how in (eip.FIRMS, eip.LARGE_FIRMS):
        return firms(evidence, indicator.code, of_all=indicator.how == eip.FIRMS)
    function = FUNCTIONS.get(indicator.how)
    return None if function is None else function(evidence)


def electricity_used(year: Year) -> tuple[float, tuple[str, ...]] | None:
    """Electricity that the park's own flows used in the year (kWh), and their ids; None when none was metered."""
    found = _electricity(year)
    return (sum(one.to("kWh") for one in found), _ids(found)) if found else None


# --- what the functions share


def _is_energy_use(flow: Flow) -> bool:
    """Energy that is bought, burnt or generated: it has a scope, or is own generation."""
    return flow.carrier.kind in _ENERGY and (flow.scope in (1, 2) or flow.method == OWN_GENERATION)


def _electricity(year: Year) -> list[Amount]:
    """Electricity that the park bought or generated."""
    found = year.of(lambda flow: flow.carrier.kind == "electricity" and _is_energy_use(flow))
    return [one for one in found if one.unit.converts_to("kWh")]


def _is_silent(year: Year, flow: Flow) -> bool:
    """An energy flow of the park without values in the year: the share of metered energy cannot be said."""
    return _is_energy_use(flow) and year.inside(flow.place) and flow.id not in year.amounts


def _energy(amount: Amount, rules: Rules) -> float | None:
    """An amount as kWh: energy as it is, mass by its net calorific value or enthalpy, volume by density; None when one is unknown."""
    if amount.unit.converts_to("kWh"):
        return amount.to("kWh")
    flow = amount.flow
    fuel = flow.factor.rsplit("/", 1)[-1] if flow.factor else flow.carrier.code
    try:
        if amount.unit.converts_to("m3"):
            density = _fact(flow, "density", f"fuel/{fuel}/density", rules)
            tonnes = amount.to("L") * density.to("kg/L") / 1000
        elif amount.unit.converts_to("t"):
            tonnes = amount.to("t")
        else:
            return None
        name = "enthalpy" if flow.carrier.kind in ("steam", "heat") else "ncv"
        return tonnes * _fact(flow, name, f"fuel/{fuel}/ncv", rules).to("kWh/t")
    except MangroveError:
        return None


def _fact(flow: Flow, name: str, activity: str, rules: Rules) -> Quantity:
    """A parameter of the flow, else of the rules; raises `RuleError` when neither states it."""
    declared = flow.parameters.get(name)
    if isinstance(declared, Quantity):
        return declared
    if name == "enthalpy":
        raise RuleError("base.not_a_quantity", text=name)
    found = rules.parameter(activity)
    return Quantity(found.value, unit(found.unit))


def _fraction(flow: Flow, name: str) -> float:
    declared = flow.parameters.get(name)
    return declared.to("1") if isinstance(declared, Quantity) else 0.0


def _wastewater(year: Year) -> list[Amount]:
    """Wastewater of the park in m3; what flows on to a place that meters wastewater too is counted there."""
    found = [
        one
        for one in year.of(lambda flow: _of_kind(flow, ("wastewater", "water:wastewater")))
        if one.unit.converts_to("m3") and one.flow.semantics != "state"
    ]
    metered = {one.flow.place for one in found}
    return [one for one in found if one.flow.to_place not in metered]


def _disposed(year: Year) -> list[Amount]:
    """Waste that was disposed of in t."""
    return [one for one in year.of(lambda flow: flow.carrier.kind == "waste") if one.unit.converts_to("t")]


def _of_kind(flow: Flow, kinds: Iterable[str]) -> bool:
    """Whether the carrier is of a kind, or is exactly `kind:code`."""
    return flow.carrier.kind in kinds or f"{flow.carrier.kind}:{flow.carrier.code}" in kinds


Moved = list[tuple[Exchange, float, Amount]]


def _moved(year: Year, accept: Callable[[Exchange], bool], target: str) -> Moved:
    """The exchanges given from inside the park, with what they moved in `target`."""
    rows = [(one, year.moved(one)) for one in year.exchanges if accept(one) and year.inside(one.place)]
    return [
        (one, amount.to(target), amount) for one, amount in rows if amount and amount.unit.converts_to(target)
    ]


def _share(year: Year, parts: tuple[float, float, str], moved: Moved, others: list[Amount]) -> Measure:
    """A share: part and whole in a unit, what exchanges moved and what went elsewhere."""
    part, whole, of = parts
    amounts = [*(amount for _, _, amount in moved), *others]
    if not whole:
        return Measure(None, lacking=(Sentence("eip.nothing_metered"),))
    rest = [(one.flow.name or one.flow.id, one.to(of)) for one in others]
    return Measure(
        100 * part / whole, part, whole, of, _ids(amounts), tuple(one.id for one, _, _ in moved), (),
        _batches(amounts), year.remarks(amounts), (), _biggest(rest),
    )  # fmt: skip


def _with(measure: Measure, **changes: object) -> Measure:
    return replace(measure, **changes)  # type: ignore[arg-type]


def _is_hazardous(exchange: Exchange) -> bool:
    """Whether a waste code of the exchange is hazardous by the list of wastes; a code that it does not know is not."""
    codes = [*exchange.codes.get("ewc", ())]
    if exchange.carrier.kind == "waste" and exchange.carrier.code.isdigit():
        codes.append(exchange.carrier.code)
    try:
        return any(classifications.hazardous(code) for code in codes)
    except MangroveError:
        return False


def _land(land: Land, *uses: str) -> Measure:
    area, share = land.area(*uses), land.share(*uses)
    said = tuple(Sentence("eip.place_without_area", (("place", place),)) for place in land.without_area)
    if land.total is None:
        return Measure(None, lacking=(Sentence("eip.no_total_area"),))
    if area is None:
        return Measure(None, lacking=(Sentence("eip.no_land_use", (("uses", ", ".join(uses)),)),))
    return Measure(share, area, land.total, "ha", places=land.of(*uses), remarks=said)


def _targets(evidence: Evidence) -> list[Mapping[str, object]]:
    declared = evidence.year.territory.settings.get("targets")
    listed = declared if isinstance(declared, list | tuple) else ()
    return [one for one in listed if isinstance(one, Mapping)]


def _ids(amounts: Iterable[Amount]) -> tuple[str, ...]:
    return tuple(one.flow.id for one in amounts)


def _batches(amounts: Iterable[Amount]) -> tuple[int, ...]:
    return tuple(sorted({batch for one in amounts for batch in one.batches}))


def _biggest(rows: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    found = sorted((row for row in rows if row[1] > 0), key=lambda row: -row[1])
    return tuple(found[:_MOST])
