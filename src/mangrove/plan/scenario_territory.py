# SPDX-License-Identifier: Apache-2.0
"""The derived territory: the declaration as a scenario changes it, as nouns and as plain files.

Comes in: a territory, the rules and a scenario. Goes out: a territory with the flows, assets and dated factors of the scenario, whose
flows count by months; and the files of its declaration, so that a plan is measured, explained and replayed like any territory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from mangrove.errors import Problem
from mangrove.plan.scenario import MONTH, Action, Scenario, split_id
from mangrove.rules import Rules
from mangrove.territory import cells
from mangrove.territory.model import Asset, Flow, LocalFactor, Territory

_FLOW_COLUMNS = (
    "id", "place", "to_place", "carrier", "unit", "step", "semantics", "name", "sector", "scope", "gpc", "category",
    "method", "factor", "parameters", "uncertainty", "meter", "account", "spread", "basis", "note",
)  # fmt: skip
_FACTOR_COLUMNS = (
    "activity",
    "gas",
    "value",
    "unit",
    "source",
    "valid_from",
    "valid_to",
    "uncertainty",
    "note",
)
_ASSET_COLUMNS = ("id", "place", "type", "name", "parameters", "lon", "lat", "basis", "note")
_COPIED = ("territory.yaml", "places.csv", "places.geojson", "crosswalk.csv")


def derive(
    territory: Territory, rules: Rules, scenario: Scenario, active: Iterable[int] | None = None
) -> Territory:
    """The territory as a scenario changes it.

    Args:
        territory: as declared.
        rules: says which factors end before the horizon does.
        scenario: the actions.
        active: positions of the actions whose dated factors hold; all when None. Flows are always those of all actions.
    """
    on = set(range(len(scenario.actions)) if active is None else active)
    flows = {name: _monthly(flow) for name, flow in territory.flows.items()}
    flows |= {flow.id: _monthly(flow) for flow in scenario.flows}
    for action in scenario.actions:
        for name in action.flows if action.factor else ():
            source = flows[name]
            part = split_id(name, action)
            flows[part] = replace(source, id=part, factor=action.factor, meter=source.meter or source.id)
    rows = [row for n, action in enumerate(scenario.actions) if n in on for row in action.rows]
    factors = [
        piece for old in (*territory.factors, *held(territory, rules, scenario)) for piece in _cut(old, rows)
    ]
    return replace(
        territory,
        flows=flows,
        assets=_assets(territory, scenario.actions),
        factors=(*factors, *rows),
        drivers=(),
        virtual=(),
        content_hash=f"{territory.content_hash}+{scenario.digest}",
    )


def held(territory: Territory, rules: Rules, scenario: Scenario) -> tuple[LocalFactor, ...]:
    """Rows that let the newest official factor of an activity hold on to the end of the horizon.

    Only factors that end are meant (the yearly grid factor); what is official at the end of the horizon is left alone.
    """
    end = date(scenario.last + 1, 1, 1)
    newest: dict[tuple[str, str], tuple[date, LocalFactor]] = {}
    official = [
        LocalFactor(f.activity, f.gas, f.value, cells.mass_per_activity(f.unit), str(f.source), f.valid_from, f.valid_to, f.uncertainty)
        for f in rules.factors
        if f.valid_to and f.status == "official" and f.kind == "direct" and f.printed
    ]  # fmt: skip
    for row in (*official, *territory.factors):
        until = row.valid_to or date.max
        if (row.activity, row.gas) not in newest or until >= newest[row.activity, row.gas][0]:
            newest[row.activity, row.gas] = (until, row)
    if scenario.baseline.factors != "last":
        return ()
    open_ended = {(f.activity, f.gas) for f in rules.factors if not f.valid_to and f.status == "official"}
    return tuple(
        replace(row, valid_from=until, valid_to=None, source=f"{row.source} (held by the plan after {until})")
        for key, (until, row) in newest.items()
        if until < end and key not in open_ended
    )


def notes(territory: Territory, rules: Rules, scenario: Scenario) -> list[Problem]:
    """One note for each factor that holds on after its last official year."""
    return [
        Problem(
            "scenario.held",
            {"activity": row.activity, "gas": row.gas, "day": str(row.valid_from), "value": f"{row.value:g} {row.unit.text}"},
            severity="note",
        )
        for row in held(territory, rules, scenario)
        if any(flow.carrier.kind == "electricity" or flow.factor == row.activity for flow in territory.flows.values())
    ]  # fmt: skip


def files(derived: Territory) -> dict[str, str]:
    """The declaration of a derived territory as the texts of its files, by name."""
    found = {
        name: (derived.path / name).read_text(encoding="utf-8-sig")
        for name in _COPIED
        if (derived.path / name).is_file()
    }
    found["flows.csv"] = _csv(_FLOW_COLUMNS, (_flow_row(flow) for flow in derived.flows.values()))
    if derived.factors:
        found["factors.csv"] = _csv(_FACTOR_COLUMNS, map(_factor_row, derived.factors))
    if derived.assets:
        found["assets.csv"] = _csv(_ASSET_COLUMNS, map(_asset_row, derived.assets.values()))
    return found


def _monthly(flow: Flow) -> Flow:
    """A flow whose values stand for months: a plan of years says nothing about days. A register becomes its increments."""
    return replace(flow, step=MONTH, semantics="sum" if flow.semantics == "counter" else flow.semantics)


def _cut(old: LocalFactor, rows: Iterable[LocalFactor]) -> list[LocalFactor]:
    """What is left of a row when newer rows of the same activity and gas stand in its place."""
    pieces = [(old.valid_from or date.min, old.valid_to or date.max)]
    for row in rows:
        if (row.activity, row.gas) != (old.activity, old.gas):
            continue
        start, stop = row.valid_from or date.min, row.valid_to or date.max
        pieces = [
            piece
            for low, high in pieces
            for piece in ((low, min(high, start)), (max(low, stop), high))
            if piece[0] < piece[1]
        ]
    return [
        replace(old, valid_from=None if low == date.min else low, valid_to=None if high == date.max else high)
        for low, high in pieces
    ]


def _assets(territory: Territory, actions: Iterable[Action]) -> dict[str, Asset]:
    """All assets that stand at any time of the horizon; their notes say when they come and go."""
    found = dict(territory.assets)
    for action in actions:
        if action.type == "add_asset":
            note = f"{action.source} (built {action.first}" + (
                f", retired {action.last})" if action.last else ")"
            )
            found[action.asset] = Asset(
                action.asset, action.place, action.kind, action.parameters, name=action.name, basis=action.status, note=note
            )  # fmt: skip
        elif action.type == "retire_asset" and action.asset in found:
            asset = found[action.asset]
            found[action.asset] = replace(asset, note=f"{asset.note} (retired {action.first})".strip())
    return found


def _flow_row(flow: Flow) -> dict[str, str]:
    percent = "" if flow.uncertainty is None else f"{100 * flow.uncertainty!r} %"
    own = {
        "carrier": str(flow.carrier), "unit": flow.unit.text, "step": str(flow.step or ""), "to_place": flow.to_place or "",
        "scope": "" if flow.scope is None else str(flow.scope), "parameters": _parameters(flow.parameters), "uncertainty": percent,
    }  # fmt: skip
    return {name: own[name] if name in own else str(getattr(flow, name)) for name in _FLOW_COLUMNS}


def _factor_row(row: LocalFactor) -> dict[str, str]:
    return {
        "activity": row.activity,
        "gas": row.gas,
        "value": repr(row.value),
        "unit": row.unit.text,
        "source": row.source,
        "valid_from": str(row.valid_from or ""),
        "valid_to": str(row.valid_to or ""),
        "uncertainty": "" if row.uncertainty is None else f"{100 * row.uncertainty!r} %",
        "note": row.note,
    }


def _asset_row(asset: Asset) -> dict[str, str]:
    position = {"lon": asset.lon, "lat": asset.lat}
    own = {name: "" if value is None else repr(value) for name, value in position.items()}
    own["parameters"] = _parameters(asset.parameters)
    return {name: own[name] if name in own else str(getattr(asset, name)) for name in _ASSET_COLUMNS}


def _parameters(values: Mapping[str, object]) -> str:
    """Parameters as a cell; a word that could be read as a number stands in quotes."""
    parts = []
    for key, value in values.items():
        if isinstance(value, str):
            parts.append(f"{key}='{value}'" if value[:1].isdigit() or ";" in value else f"{key}={value}")
        else:
            parts.append(f"{key}={cells.quantity_text(value)}")  # type: ignore[arg-type]
    return "; ".join(parts)


def _csv(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> str:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()
