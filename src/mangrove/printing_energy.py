# SPDX-License-Identifier: Apache-2.0
"""Schedules, back-tests, sizings and shared bills as text and JSON for the command line.

Comes in: what the energy verbs returned. Goes out: text for stdout. Numbers for people follow the language; JSON keeps full
precision.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import fixed, number, percent
from mangrove.printing import grid
from mangrove.times import utc

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mangrove.operate.backtest import Backtest
    from mangrove.operate.plan import Plan
    from mangrove.operate.run import Schedule
    from mangrove.plan.result import Sizing
    from mangrove.settle.bills import SiteBill
    from mangrove.settle.share import Sharing
    from mangrove.territory.model import Territory

_SHADOWS = 3
_STORES = ("battery", "charger", "swap_station", "thermal_store", "hydrogen_store")
_ACCOUNT = ("cost", "bills", "fuel", "wear", "owed", "carbon", "emissions", "overload", "missing")
_BILLED = ("import", "export", "sale", "demand")
"""Names of what the contract bills in a plan."""
_YEAR_ROWS = 12
_NAMES = 3
_DEVICES = 8


def schedules_text(made: Sequence[Schedule], lang: str, territory: Territory) -> str:
    """Each site: who decided, set-points of the next step, what the next day draws and costs, what more would save."""
    parts = []
    for one in made:
        name = territory.places[one.place].name
        lines = [
            _say("schedule", lang, place=name, at=_local(one.at, territory), by=_say(f"by_{one.by}", lang))
        ]
        lines += _devices(one, lang, territory)
        if one.plan is not None:
            lines.append(_horizon(one, lang, territory.currency))
            for shadow in [found for found in one.shadows if found.value >= 1][:_SHADOWS]:
                data = {"name": shadow.name, "value": number(shadow.value, lang), "unit": territory.currency}
                lines.append(_say(f"shadow_{shadow.kind}", lang, **data))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _devices(one: Schedule, lang: str, territory: Territory) -> list[str]:
    """The set-points; of many devices only those that do something, and how many rest."""
    shown = [(point.device, round(point.power, 3)) for point in one.setpoints]
    if not shown:
        return []
    busy = [found for found in shown if found[1]] if len(shown) > _DEVICES else shown
    body = [
        [device, number(power, lang), _direction(territory, device, power, lang)] for device, power in busy
    ]
    lines = grid([_say("device", lang), "kW", ""], body, left={0, 2}) if body else []
    resting = len(shown) - len(busy)
    return [*lines, _say("resting", lang, count=resting)] if resting else lines


def _direction(territory: Territory, device: str, power: float, lang: str) -> str:
    """What the sign of a set-point means; a boiler or a pump just runs."""
    asset = territory.assets.get(device.partition(":")[0])
    if asset is None or asset.type not in _STORES:
        return ""
    return _say("charge" if power >= 0 else "discharge", lang)


def _horizon(one: Schedule, lang: str, currency: str) -> str:
    """What the plan draws, sells and costs over its horizon."""
    plan = one.plan
    assert plan is not None
    hours = plan.hours[plan.lead :]
    drawn, sold = (
        float((rate.mean(axis=0)[plan.lead :] * hours).sum()) for rate in (plan.imported, plan.exported)
    )
    bill, wear, stored = _money(plan.solved.costs())
    said = _say(
        "horizon", lang, hours=number(float(hours.sum()), lang), drawn=number(drawn, lang), sold=number(sold, lang),
        cost=_whole(bill, lang), unit=currency,
    )  # fmt: skip
    if abs(wear) >= 1:
        said += _say("horizon_wear", lang, wear=_whole(wear, lang), unit=currency)
    if abs(stored) >= 1:
        said += _say("horizon_stored", lang, stored=_whole(stored, lang), unit=currency)
    return said


def _money(costs: Mapping[str, float]) -> tuple[float, float, float]:
    """What a plan's cost consists of: the bill; wear, fuel and other running cost; the worth of what is stored at the end."""
    bill = sum(money for name, money in costs.items() if name in _BILLED)
    stored = -sum(money for name, money in costs.items() if name.endswith(" level"))
    return bill, sum(costs.values()) - bill + stored, stored


def schedules_json(made: Iterable[Schedule]) -> str:
    """Set-points, series and notes of every site as JSON."""
    found = [
        {
            "place": one.place,
            "at": str(one.at),
            "by": one.by,
            "reason": one.reason,
            "setpoints": [
                {"device": point.device, "kw": point.power, "start": point.start.isoformat(), "expires": point.expires.isoformat()}
                for point in one.setpoints
            ],
            "flows": {
                flow: {"start": [str(at) for at in starts], "value": values.tolist()}
                for flow, (starts, values) in one.flows.items()
            },
            "plan": None if one.plan is None else _plan(one.plan),
            "relaxed": [
                {"name": gone.name, "item": gone.item, "tier": gone.tier, "amount": gone.amount}
                for gone in one.relaxed
            ],
            "shadows": [{"name": s.name, "kind": s.kind, "value": s.value, "steps": s.steps} for s in one.shadows],
            "problems": [problem.text() for problem in one.problems],
        }
        for one in made
    ]  # fmt: skip
    return _json(found)


def _plan(plan: Plan) -> dict[str, Any]:
    """The whole plan as plain data: kW in each step (the mean of the scenarios), kWh in stores, money by cause."""
    bill, wear, stored = _money(plan.solved.costs())
    return {
        "start": [str(at) for at in plan.starts[plan.lead :]],
        "hours": plan.hours[plan.lead :].tolist(),
        "imported_kw": _mean(plan, plan.imported),
        "exported_kw": _mean(plan, plan.exported),
        "powers_kw": {name: _mean(plan, power) for name, power in plan.powers.items()},
        "generated_kw": {name: _mean(plan, power) for name, power in plan.generated.items()},
        "levels_kwh": {name: _mean(plan, level) for name, level in plan.levels.items()},
        "bill": bill,
        "wear_and_fuel": wear,
        "worth_of_stored": stored,
    }


def _mean(plan: Plan, series: npt.NDArray[np.float64]) -> list[float]:
    found: list[float] = series.mean(axis=0)[plan.lead :].tolist()
    return found


def backtest_text(done: Backtest, lang: str, territory: Territory) -> str:
    """Cost, emissions and regret of every policy."""
    from mangrove.operate.backtest import PERFECT

    header = [
        _say(word, lang) for word in ("policy", "cost", "regret", "wear", "drawn", "emissions", "missing")
    ]
    header = [
        header[0],
        *(f"{title} ({unit})" for title, unit in zip(header[1:], _units(territory), strict=True)),
    ]
    body = []
    for name, account in done.accounts.items():
        drawn = sum(month.imported for month in account.months)
        tonnes = account.emissions / 1000 if account.emissions is not None else math.nan
        regret = 0.0 if name == PERFECT else done.regret(name)
        money = (_whole(amount, lang) for amount in (account.cost, regret, account.wear))
        amounts = (_shown(amount, lang) for amount in (drawn / 1000, tonnes, round(account.missing, 3)))
        body.append([_say(f"policy_{name}", lang), *money, *amounts])
    lines = grid(header, body, left={0})
    plan = done.accounts.get("plan")
    if plan is not None:
        median, longest = (seconds * 1000 for seconds in plan.planning)
        lines.append(
            _say(
                "planning", lang, steps=plan.steps, median=number(median, lang), longest=number(longest, lang)
            )
        )
        for reason, steps in plan.takeovers.items():
            lines.append(_say("takeover", lang, reason=reason, steps=steps))
    for name, account in done.accounts.items():
        if account.overload >= 1:
            facts = {"policy": _say(f"policy_{name}", lang), "amount": number(account.overload, lang)}
            lines.append(_say("overload", lang, **facts))
    if not done.complete:
        lines.append(_say("incomplete", lang))
    return "\n".join(lines)


def backtests_json(done: Mapping[str, Backtest]) -> str:
    """One object a site: whether it ran to the end, and by policy the money of all causes, the regret and the months."""
    found = []
    for place, one in done.items():
        months: dict[str, list[dict[str, Any]]] = {name: [] for name in one.accounts}
        for row in one.to_arrow().to_pylist():
            months[row.pop("policy")].append(row)
        policies = {
            name: {
                **{part: getattr(account, part) for part in _ACCOUNT},
                "regret": one.regret(name),
                "months": months[name],
            }
            for name, account in one.accounts.items()
        }
        found.append({"place": place, "complete": one.complete, "policies": policies})
    return _json(found)


def _units(territory: Territory) -> tuple[str, ...]:
    money = territory.currency
    return money, money, money, "MWh", "t CO2", "kWh"


def sizing_text(made: Sizing, lang: str, territory: Territory, calendar: str = "") -> str:
    """Every table of a sizing; of the cash flow the first twelve years."""
    from mangrove.plan import report_model

    parts = []
    if calendar:
        parts.append(_say("calendar", lang, name=calendar))
    unit = report_model.Unit(f"M{territory.currency}", 1e6, territory.currency)
    for table in report_model.tables(made, lang, unit):
        yearly = table.columns[0] == report_model.say("flow_year", lang)
        shown = (
            table.rows[:_YEAR_ROWS] if yearly else table.rows
        )  # sizes of a site with many assets are all said
        body = [[_cell(value, lang) for value in row] for row in shown]
        rows = grid(list(table.columns), body, left={0}) if body else []
        more = len(table.rows) - len(body)
        parts.append("\n".join([table.title, *rows, *([f"... +{more}"] if more else []), *table.notes]))
    return "\n\n".join(parts)


def sizings_json(made: Iterable[Sizing]) -> str:
    """The question and the answer of each sizing (one a calendar) as a JSON list."""
    from mangrove.plan import record

    return _json([record.document(one) for one in made])


def survival_text(made: Sizing, lang: str, critical: float, hours: float) -> str:
    """From how many hours of the year a failure of the grid would be survived, by simulation."""
    found = made.survival(critical, max(hours, 1.0))
    return _say(
        "survival", lang, hours=number(hours, lang), critical=percent(critical, lang),
        share=percent(found.probability(hours), lang),
    )  # fmt: skip


def sizing_figures(made: Sizing, folder: Path, lang: str, territory: Territory) -> list[Path]:
    """Writes the figures of a sizing as SVG: cost against CO2, what it depends on, cash flows, a year of energy."""
    from mangrove.plan import report_model, study

    unit = report_model.Unit(f"M{territory.currency}", 1e6, territory.currency)
    drawn = {
        "frontier": report_model.frontier_figure(study.frontier(made.case), made, lang=lang, unit=unit),
        "sensitivity": report_model.sensitivity_figure(study.sensitivity(made.case), lang=lang, unit=unit),
        "energy": report_model.balance_figure(made, lang=lang),
    }
    if made.flow is not None:
        drawn["cash"] = report_model.cash_figure(made, lang=lang, unit=unit)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, svg in drawn.items():
        paths.append(folder / f"{name}.svg")
        paths[-1].write_text(svg, encoding="utf-8")
    return paths


def bill_text(made: SiteBill, lang: str, territory: Territory) -> str:
    """Every line of every month, then the same use under the calendars asked for."""
    money = territory.currency
    parts = [territory.places[made.place].name]
    header = [
        _say("line", lang),
        _say("quantity", lang),
        "",
        _say("price", lang),
        f"{_say('amount', lang)} ({money})",
    ]
    for month in made.bills:
        body = [
            [line.text(lang), _whole(line.quantity, lang), line.unit, number(line.price, lang, digits=6), _whole(line.amount, lang)]
            for line in month.lines
        ]  # fmt: skip
        body += [
            [_say(word, lang), "", "", "", _whole(amount, lang)]
            for word, amount in (("subtotal", month.subtotal), ("vat", month.vat), ("total", month.total))
        ]
        parts.append("\n".join([month.month, *grid(header, body, left={0, 2})]))
    if made.comparison:
        names = list(made.comparison[0].amount)
        body = [
            [_line(row.label, lang), *(_whole(row.amount[name], lang) for name in names)]
            for row in made.comparison
        ]
        parts.append("\n".join(grid([f"{_say('amount', lang)} ({money})", *names], body, left={0})))
    return "\n\n".join(parts)


def _line(label: str, lang: str) -> str:
    from mangrove.rules.tariffs import Line

    if label in ("subtotal", "vat", "total"):
        return _say(label, lang)
    return Line(label, 0.0, "", 0.0).text(lang)


def bill_json(made: SiteBill) -> str:
    """The bills as JSON: lines with quantity, price, amount and document."""
    found = {
        "place": made.place,
        "contract": made.contract.name,
        "imported_kwh": made.imported,
        "exported_kwh": made.exported,
        "generated_kwh": made.generated,
        "bills": [
            {
                "month": month.month,
                "lines": [
                    {"label": x.label, "quantity": x.quantity, "unit": x.unit, "price": x.price, "amount": x.amount, "document": x.document}
                    for x in month.lines
                ],
                "subtotal": month.subtotal,
                "vat": month.vat,
                "total": month.total,
            }
            for month in made.bills
        ],
        "comparison": [{"label": row.label, "amount": dict(row.amount)} for row in made.comparison],
    }  # fmt: skip
    return _json(found)


def sharing_text(made: Sharing, lang: str) -> str:
    """What each member pays and saves, and how every rule divides the same cost."""
    header = [_say(word, lang) for word in ("member", "alone", "pays", "saves")]
    body = [
        [found.name, *(found.money(amount, lang) for amount in (found.alone, found.total, found.saving))]
        for found in made.statements
    ]
    lines = [_say("sharing", lang, rule=_rule(made.rule, lang)), *grid(header, body, left={0})]
    lines.append("")
    rules = [[_rule(name, lang), _objects(made, name, lang)] for name in made.settlement.allocations]
    lines += grid([_say("rule", lang), _say("objection", lang)], rules, left={0, 1})
    if made.slowest:
        lines += ["", messages.render("settle.page_step", lang, step=made.step, flow=made.slowest)]
    return "\n".join(lines)


def _objects(made: Sharing, rule: str, lang: str) -> str:
    """Who would do better alone under a rule, and by how much."""
    found = made.settlement.objections.get(rule)
    if found is None:
        return "-"
    if not found.objects:
        return _say("nobody", lang)
    names = ", ".join(made.names.get(member, member) for member in found.coalition[:_NAMES])
    more = len(found.coalition) - _NAMES
    names = f"{names} +{more}" if more > 0 else names
    return _say("objects", lang, names=names, amount=number(found.excess, lang), unit=made.currency)


def _rule(name: str, lang: str) -> str:
    code = f"settle.rule_{name}"
    return messages.render(code, lang) if code in messages.codes("settle") else name


def sharing_json(made: Sharing) -> str:
    """The sharing as JSON."""
    return _json(made.to_dict())


def progress(say: Callable[[str], None], lang: str) -> Callable[[str, int, int], None]:
    """Says how far each policy of a back-test is, every tenth of the way."""
    told: dict[str, int] = {}

    def tell(policy: str, done: int, steps: int) -> None:
        tenth = done * 10 // max(steps, 1)
        if tenth > told.get(policy, -1):
            told[policy] = tenth
            say(_say("progress", lang, policy=_say(f"policy_{policy}", lang), share=tenth * 10))

    return tell


def _json(data: Any) -> str:
    """JSON as the standard has it: what is no finite number is null."""
    return json.dumps(_finite(data), ensure_ascii=False, indent=1, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, (list, tuple)) else data


def _cell(value: Any, lang: str) -> str:
    if value is None:
        return "-"
    return _shown(float(value), lang) if isinstance(value, (int, float)) else str(value)


def _shown(value: float, lang: str) -> str:
    return number(value, lang) if math.isfinite(value) else "-"


def _whole(value: float, lang: str) -> str:
    """Without decimals: differences are small beside the whole."""
    return fixed(value, lang) if math.isfinite(value) else "-"


def _local(at: np.datetime64, territory: Territory) -> str:
    moment = utc(at)
    return moment.astimezone(territory.tz).strftime("%Y-%m-%d %H:%M")


def _say(word: str, lang: str, **data: object) -> str:
    return messages.render(f"energy_cli.{word}", lang, **data)
