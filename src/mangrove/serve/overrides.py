# SPDX-License-Identifier: Apache-2.0
"""Deciding in place of the plan: a person sets a device to a power for a time, after seeing what it costs.

Comes in: a form of an operator or an administrator. Goes out: first a page with the consequence in money and kg of CO2, and then, when
it is confirmed, a record of kind `override` in the ledger and a line in the audit log. What is beyond the declared limits of the device
is refused with the limit. The consequence is the difference of energy at the connection times its price and its factor; the rest of
the plan is not made anew, and the page says so.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from mangrove.errors import RequestError
from mangrove.operate.state import HOUR_SECONDS
from mangrove.serve.pages import operate
from mangrove.serve.pages.operate import Operate
from mangrove.serve.pages.operate_curves import GRID, SECONDS
from mangrove.serve.schedules import MOST_HOURS, OVERRIDE, Override
from mangrove.serve.scope import Principal
from mangrove.serve.state import Live

Floats = npt.NDArray[np.float64]
_MOST_NOTE = 200
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a decision changes, as far as it holds.

    Attributes:
        energy: kWh that the device takes more than planned (negative: less).
        cost: money that the connection costs more; kilograms: of CO2 more, None without a factor.
        hours: how long it holds; later: money that the energy put into a store (or missing in it) is worth at the mean price of
            the day that follows, None for what stores nothing; lasts: hours after which a battery would be full or empty, None when it
            lasts.
    """

    energy: float
    cost: float
    kilograms: float | None
    hours: float
    later: float | None = None
    lasts: float | None = None


def consequence(
    power: float,
    planned: Floats,
    net: Floats,
    hours: Floats,
    *,
    buy: Floats,
    sell: Floats,
    factor: float | None,
) -> Consequence:
    """What it changes when a device runs at `power` instead of `planned`.

    Args:
        power: kW of the device, positive takes.
        planned: (T,) kW of the device by the plan.
        net: (T,) kW drawn at the connection by the plan, negative where it sells.
        hours: (T,) length of each step.
        buy: (T,) money per kWh drawn.
        sell: (T,) money per kWh sold.
        factor: kg of CO2 per kWh drawn; None: unknown.

    Example:
        >>> one = np.ones(1)
        >>> consequence(10.0, 0 * one, 50 * one, one, buy=2000 * one, sell=0 * one, factor=0.5)
        Consequence(energy=10.0, cost=20000.0, kilograms=5.0, hours=1.0, later=None, lasts=None)
    """
    changed = net + power - planned
    drawn = (np.maximum(changed, 0.0) - np.maximum(net, 0.0)) * hours
    sold = (np.maximum(-changed, 0.0) - np.maximum(-net, 0.0)) * hours
    cost = float((drawn * buy - sold * sell).sum())
    kilograms = None if factor is None else float(drawn.sum()) * factor
    return Consequence(float(((power - planned) * hours).sum()), cost, kilograms, float(hours.sum()))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form asks for: a device, kW, from when until when, and why."""

    device: str
    name: str
    power: float
    start: datetime
    expires: datetime
    note: str

    @property
    def minutes(self) -> int:
        """How long it is to hold."""
        return round((self.expires - self.start).total_seconds() / 60)


def asked_of(page: Operate, form: Mapping[str, str], now: datetime) -> Asked:
    """What a form asks for, checked.

    Raises:
        RequestError: `page_operate.no_device`, `page_operate.bad_power`, `page_operate.beyond` (the limit is named),
            `page_operate.bad_minutes`.
    """
    name, low, high = page.standing.limits(form.get("device", ""))
    text = form.get("power", "").strip().replace("−", "-").replace(",", ".")
    try:
        power = float(text)
    except ValueError:
        power = math.nan
    if not math.isfinite(power):
        raise RequestError("page_operate.bad_power", text=form.get("power", "")[:40])
    if not low <= power <= high:
        raise RequestError(
            "page_operate.beyond", name=name, power=f"{power:g}", low=f"{low:g}", high=f"{high:g}"
        )
    most = int(MOST_HOURS * 60)
    minutes = form.get("minutes", "").strip()
    if not minutes.isascii() or not minutes.isdigit() or not 1 <= int(minutes) <= most:
        raise RequestError("page_operate.bad_minutes", text=minutes[:40], most=most)
    until = now + timedelta(minutes=int(minutes))
    return Asked(form["device"], name, power, now, until, form.get("note", "").strip()[:_MOST_NOTE])


def consequence_of(page: Operate, asked: Asked) -> Consequence | None:
    """What a decision changes against the newest plan; None when no plan or no price covers it."""
    curves = {curve.id: curve for curve in page.curves}
    prices = page.prices
    if prices is None or GRID not in curves or asked.device not in curves:
        return None
    begins = page.starts.astype(np.int64).astype(np.float64)
    first, last = asked.start.timestamp(), asked.expires.timestamp()
    hours = np.clip(np.minimum(begins + SECONDS, last) - np.maximum(begins, first), 0.0, None) / HOUR_SECONDS
    keep = hours > 0
    device = curves[asked.device]
    planned, net = device.schedule[keep], curves[GRID].schedule[keep]
    if not keep.any() or not np.isfinite([planned, net]).all():
        return None
    found = consequence(
        asked.power,
        planned,
        net,
        hours[keep],
        buy=prices.buy[keep],
        sell=prices.sell[keep],
        factor=prices.factor,
    )
    if not len(device.level):
        return found
    after = (begins >= last) & (begins < last + MOST_HOURS * HOUR_SECONDS)
    later = found.energy * float(prices.buy[after].mean()) if after.any() else None
    lasts = _lasts(page, asked, float(device.level[np.flatnonzero(keep)[0]]))
    return replace(found, later=later, lasts=lasts if lasts is not None and lasts < found.hours else None)


def _lasts(page: Operate, asked: Asked, level: float) -> float | None:
    """Hours that a battery can hold a power from a level (kWh) on; None for what is no battery, or for ever."""
    battery = next((one for one in page.site.batteries if one.id == asked.device), None)
    if battery is None or asked.power == 0.0 or not math.isfinite(level):
        return None
    if asked.power > 0:
        return max(battery.energy - level, 0.0) / (asked.power * battery.efficiency[0])
    return max(level - battery.floor, 0.0) * battery.efficiency[1] / -asked.power


def router(live: Live, access: Any, audit: Callable[..., object]) -> APIRouter:
    """The routes of decisions.

    Args:
        live: what is served.
        access: who may pass.
        audit: keeps who did what.
    """
    api = APIRouter(tags=["operate"], include_in_schema=False)
    who: Any = Depends(access.need(*sorted(operate.DECIDERS)))
    signed_in: Any = Depends(access.need(*sorted(operate.DECIDERS), guests=False))

    def page_of(request: Request, principal: Principal, site: str) -> Operate:
        view = request.app.state.site.view(request, principal, operate.SCREEN)
        params = dict(view.params) | ({"site": site} if site else {})
        return operate.build(live, replace(view, params=params))

    def shown(request: Request, page: Operate, form: Mapping[str, str]) -> Response:
        asked = asked_of(page, form, live.clock.now())
        answer: Response = request.app.state.site.page(
            request, "override.html", page.view, page=page, asked=asked, changed=consequence_of(page, asked)
        )
        return answer

    @api.get("/operate/override")
    def show(request: Request, principal: Principal = who) -> Response:
        """What a decision would change; nothing is stored."""
        form = dict(request.query_params)
        page = page_of(request, principal, "")
        return shown(request, page, form) if "device" in form else RedirectResponse(_back(page), 303)

    @api.post("/operate/override")
    async def decide(request: Request, principal: Principal = signed_in) -> Response:
        """Stores a decision, or takes one back."""
        form = {name: word for name, word in (await request.form()).items() if isinstance(word, str)}
        page = await run_in_threadpool(page_of, request, principal, form.get("site", ""))
        one = _decision(page, form, principal, live.clock.now())
        id_ = await _stored(live, one)
        detail = {
            "site": one.site, "device": one.device, "power_kw": one.power, "expires": one.expires.isoformat(),
            "note": one.note, "record": id_,
        }  # fmt: skip
        action = "device.released" if one.power is None else "device.overridden"
        await run_in_threadpool(audit, action, principal, detail)
        live.hub.publish("moved", {"cut": live.cut(), "now": live.clock.now().isoformat()})
        return RedirectResponse(_back(page), 303)

    return api


def _decision(page: Operate, form: Mapping[str, str], principal: Principal, now: datetime) -> Override:
    """The record that a form asks for."""
    site, by = page.site.place, principal.name
    if form.get("end"):
        page.standing.limits(form.get("device", ""))
        return Override("", site, form["device"], None, now.astimezone(UTC), now.astimezone(UTC), by)
    asked = asked_of(page, form, now)
    return Override("", site, asked.device, asked.power, asked.start, asked.expires, by, asked.note)


async def _stored(live: Live, one: Override) -> str:
    """Puts the record on disk and gives its id."""
    if live.intake is None:
        raise RequestError("page_operate.read_only")
    done = live.intake.call(lambda ledger: ledger.put_record(OVERRIDE, one.document()))
    return await asyncio.wait_for(asyncio.wrap_future(done), _PATIENCE)


def _back(page: Operate) -> str:
    """The address of the page of the site."""
    said = {"site": page.site.place} | (
        {"lang": page.view.params["lang"]} if "lang" in page.view.params else {}
    )
    return f"/operate?{urlencode(said)}"
