# SPDX-License-Identifier: Apache-2.0
"""The way to the newest numbers: when a page has nothing to show, which period has, and with what its year can be compared.

Comes in: the live state and, for a page, the view of the reader. Goes out: a period as an address writes it (`2016`, `2024-06`), and the
comparison that a page begins with. An inventory that is made once a year has its newest numbers years back: nobody should have to guess where.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mangrove.ledger.types import COUNTED, RUNS

if TYPE_CHECKING:
    from mangrove.serve.state import Live
    from mangrove.serve.view import View

Ends = dict[str, tuple[datetime, datetime]]
_MONTHS = 12


def newest(live: Live, view: View) -> str:
    """The period of the newest values behind the inventory that the reader may be told of; empty when there is none.

    A value of a whole year stands for that year, all others for their month. Values of runs other than `measured` have no newest period:
    they lie ahead.
    """
    last = _last(live, view)
    if not last:
        return ""
    flow = max(last, key=lambda flow: (last[flow], flow))
    step, local = live.territory.flows[flow].step, last[flow].astimezone(view.tz)
    yearly = step is not None and step.months >= _MONTHS
    return f"{local:%Y}" if yearly else f"{local:%Y-%m}"


def inside(live: Live, view: View) -> bool:
    """Whether the newest values are those of the period that is looked at: then they are not elsewhere."""
    span = view.span
    return any(span.start <= moment < span.end for moment in _last(live, view).values())


def _last(live: Live, view: View) -> dict[str, datetime]:
    """The last value of each flow that the reader may be told of; none for runs other than `measured`."""
    if view.scenario != RUNS[0]:
        return {}
    scope = view.scope
    flows = live.territory.flows if scope.suppresses else scope.flows
    return {flow: end for flow, (_, end) in ends(live, view.now).items() if flow in flows}


def year(live: Live, now: datetime, flows: Collection[str]) -> int:
    """The newest local year with values of `flows`; the present one when there is none."""
    tz = live.territory.tz
    known = [end for flow, (_, end) in ends(live, now).items() if flow in flows]
    return max(known, default=now).astimezone(tz).year


def comparison(live: Live, now: datetime) -> str:
    """What a page compares with when the address does not say it: a city without a plan with the year before, if it has one."""
    from mangrove.serve.pages.now_model import runs

    if live.territory.kind != "city" or not live.cut() or runs(live).plan:
        return "plan"
    tz, known = live.territory.tz, ends(live, now).values()
    years = {moment.astimezone(tz).year for both in known for moment in both}
    return "year" if len(years) > 1 else "none"


def ends(live: Live, now: datetime) -> Ends:
    """Starts of the first and the last counted value of each flow of the inventory, UTC up to `now`."""
    if not live.cut():
        return {}
    return live.kept.get(("ends", live.cut(), now.date()), lambda: _ends(live, now))


def _ends(live: Live, now: datetime) -> Ends:
    wanted = [flow.id for flow in live.territory.flows.values() if flow.account == "inventory"]
    marks, codes = ", ".join("?" for _ in wanted) or "''", ", ".join(str(int(code)) for code in COUNTED)
    until = now.astimezone(UTC).replace(tzinfo=None)
    query = (
        "select f.key, min(r.start), max(r.start) from reading r join flow f on f.flow = r.flow "
        f"where f.key in ({marks}) and r.start < ? and r.quality in ({codes}) group by f.key"
    )
    with live.snapshot() as snapshot:
        rows = snapshot.connection.execute(query, [*wanted, until]).fetchall()
    return {key: (first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)) for key, first, last in rows}
