# SPDX-License-Identifier: Apache-2.0
"""The activity tables of Circular 38/2023/TT-BCT, Appendix II, Section 1, for every year of a facility report.

Comes in: a `FacilityReport`. Goes out: one grid per table and year (1.1 and 1.2 fuels, 2.1 and 2.2 refrigerants, 3 minerals, 4.1
electricity, 4.2 steam), with the columns of the Circular in their order. Columns that its own formulas need and its tables
lack (tonnes of steam in the year) follow after them. What is not declared is a blank, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mangrove.errors import RuleError
from mangrove.measure.circular38 import FacilityReport, YearResult
from mangrove.measure.report_model import Grid, Value, say
from mangrove.territory.model import Asset, Flow
from mangrove.units import Quantity, unit

_Row = tuple[Value, ...]
_Rows = Callable[[FacilityReport, YearResult], Iterator[_Row]]


def activity_tables(report: FacilityReport) -> Iterator[Grid]:
    """All tables of all years; a table without a row says that nothing was declared for it."""
    for result in report.years:
        for code, (columns, rows) in _TABLES.items():
            yield _grid(report, result, code, columns, tuple(rows(report, result)))


def _grid(
    report: FacilityReport, result: YearResult, code: str, columns: tuple[str, ...], rows: tuple[_Row, ...]
) -> Grid:
    lang = report.lang
    heads = tuple(say(f"column_{name}", lang) for name in ("number", *columns))
    body = tuple((index, *row) for index, row in enumerate(rows, start=1))
    notes = () if body else (say("form_none_declared", lang),)
    title = say(f"table_{code}", lang, year=result.year)
    return Grid(title, heads, body, notes, f"{code.replace('_', '.')} ({result.year})")


def _amounts(report: FacilityReport, result: YearResult, source: str) -> Iterator[tuple[Flow, float, str]]:
    """The flows of a source type with their activity of the year and its unit, in declared order."""
    amounts = {cell.flow: (cell.activity, cell.activity_unit) for cell in result.cells.get(source, ())}
    for flow in report.territory.flows.values():
        if flow.id in amounts:
            yield flow, *amounts[flow.id]


def _in(amount: float, written: str, target: str) -> float | None:
    """An amount in another unit, or None when it does not convert."""
    try:
        return amount * unit(written).to(target)
    except RuleError:
        return None


def _said(holder: Flow | Asset, *names: str, target: str = "") -> Value:
    """The first declared parameter among `names`: a number in `target`, or its text; None when none is declared."""
    for name in names:
        value = holder.parameters.get(name)
        if isinstance(value, Quantity):
            return value.to(target) if target and value.unit.converts_to(target) else str(value)
        if value:
            return value
    return None


def _stationary(report: FacilityReport, result: YearResult) -> Iterator[_Row]:
    """1.1: fuel, consumption, unit, net calorific value, TJ."""
    for flow, amount, written in _amounts(report, result, "stationary"):
        energy = _in(amount, written, "TJ")
        ncv = report.ncv.get(flow.id) if energy is None else unit(written).to("TJ")
        total = energy if energy is not None or ncv is None else amount * ncv
        yield flow.name or flow.carrier.code, amount, written, ncv, total


def _mobile(report: FacilityReport, result: YearResult) -> Iterator[_Row]:
    """1.2: kind of vehicle, which, fuel, liters, kilometers."""
    for flow, amount, written in _amounts(report, result, "mobile"):
        liters, distance = _in(amount, written, "L"), _in(amount, written, "vehicle_km")
        kilometers = distance if distance is not None else _said(flow, "distance", target="km")
        consumed: Value = liters if liters is not None or distance is not None else f"{amount:g} {written}"
        vehicle = _said(flow, "vehicle_type", "vehicle") or flow.name or None
        yield (
            vehicle,
            _said(flow, "vehicle_info"),
            _said(flow, "fuel") or flow.carrier.code or None,
            consumed,
            kilometers,
        )


def _top_up(report: FacilityReport, result: YearResult) -> Iterator[_Row]:
    """2.1: refrigerant, kilograms charged; a flow with a stage is a bank of equipment (point 2.2), not a charge."""
    for flow, amount, written in _amounts(report, result, "refrigerant"):
        if "stage" not in flow.parameters:
            yield flow.carrier.code or flow.name, _in(amount, written, "kg")


def _equipment(report: FacilityReport, _: YearResult) -> Iterator[_Row]:
    """2.2: every declared asset that holds a refrigerant."""
    for asset in report.territory.assets.values():
        if asset.place in report.inside and "refrigerant" in asset.parameters:
            yield (
                _said(asset, "model") or asset.name or asset.id,
                report.territory.places[asset.place].name,
                _said(asset, "installed", "start_date"),
                _said(asset, "refrigerant"),
                _said(asset, "cooling_capacity", "capacity", target="Btu/h"),
                _said(asset, "charge", "full_charge", target="kg"),
                _said(asset, "last_charge", target="kg"),
                _said(asset, "last_charge_date"),
            )


def _minerals(report: FacilityReport, result: YearResult) -> Iterator[_Row]:
    """3: mineral, output, where and how it is mined."""
    for flow, amount, written in _amounts(report, result, "fugitive"):
        where = ", ".join(
            str(part) for part in (report.territory.places[flow.place].name, _said(flow, "mine")) if part
        )
        yield flow.name or flow.carrier.code or flow.id, f"{amount:g} {written}", where


def _electricity(report: FacilityReport, result: YearResult) -> Iterator[_Row]:
    """4.1: MWh, where it comes from, note."""
    lang = report.lang
    for flow, amount, written in _amounts(report, result, "electricity"):
        share = _said(flow, "contract_share", target="1")
        bought = (
            say("source_direct_purchase", lang, share=f"{100 * share:g}") if isinstance(share, float) else ""
        )
        yield (
            _in(amount, written, "MWh"),
            "; ".join(filter(None, (say("source_grid", lang), bought))),
            flow.name or flow.id,
        )


def _steam(report: FacilityReport, result: YearResult) -> Iterator[_Row]:
    """4.2: pressure, temperature, t/h, enthalpy, fuels of the boiler; then the tonnes of the year."""
    for flow, amount, written in _amounts(report, result, "steam"):
        tonnes, hours = _in(amount, written, "t"), _said(flow, "operating_hours", target="h")
        rate = tonnes / hours if tonnes is not None and isinstance(hours, float) and hours else None
        temperature = (
            _said(flow, "temperature", target="degC") or flow.carrier.level.removesuffix("degC") or None
        )
        enthalpy = _said(flow, "enthalpy", target="kJ/kg")
        total: Value = tonnes if tonnes is not None else f"{amount:g} {written}"
        yield _said(flow, "pressure"), temperature, rate, enthalpy, _said(flow, "fuel"), total


_TABLES: dict[str, tuple[tuple[str, ...], _Rows]] = {
    "1_1": (("fuel", "consumption", "consumption_unit", "ncv", "energy"), _stationary),
    "1_2": (("vehicle", "vehicle_info", "vehicle_fuel", "liters", "distance"), _mobile),
    "2_1": (("refrigerant", "charged"), _top_up),
    "2_2": (
        (
            "model",
            "location",
            "installed",
            "equipment_refrigerant",
            "capacity",
            "charge",
            "last_charge",
            "last_charge_date",
        ),
        _equipment,
    ),
    "3": (("mineral", "output", "mine"), _minerals),
    "4_1": (("mwh", "power_source", "note"), _electricity),
    "4_2": (("pressure", "temperature", "steam_rate", "enthalpy", "boiler_fuel", "steam_tonnes"), _steam),
}
