# SPDX-License-Identifier: Apache-2.0
"""The worker: screening, nowcasts, forecasts, traffic, schedules and plans of exchanges for a running server, in a process of its own.

Comes in: the folder of a territory and the address of the server that writes its ledger. Goes out: batches that the server stores.
The worker opens the store for reading, so a model that takes long or dies never holds up a meter. Jobs follow the server's clock:
each is due when a whole multiple of its period has begun since it ran last.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mangrove import api, messages
from mangrove.client import Client, RemoteHandle
from mangrove.errors import DataQualityError, MangroveError, RequestError, SourceError
from mangrove.stopping import told_to_stop
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.territory.model import Flow

Say = Callable[[str], None]
KEY = "MANGROVE_KEY"
"""The environment variable that holds the key; a command line would show it to everybody on the machine."""
_LOOK = 1.0
_HOUR = 3600
_SCREENED = timedelta(days=2)
"""How far back screening looks: faults that reach further were found by the runs before."""
_PATIENCE = 3
"""Steps before the present that are not screened for gaps: the one that runs, the one on its way, and one late."""
_AHEAD = "48h"
_MODELS = ("naive", "profile", "ridge")
"""Models that are fitted in seconds; boosted trees take a minute for a park and gain little over hours."""
_STATES = ("air", "index", "water_level")
_VEHICLES = "vehicles"
"""The carrier of counts on streets, and the parameter of flows that take what those do: estimates, not readings that could be stuck."""
_FINEST = 3600
"""Flows with longer steps are not forecast for the next hours."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is done again and again.

    Attributes:
        name: also the code `worker.<name>`; period: seconds of the server's clock from one run to the next.
        run: does it, given the territory and the present instant.
    """

    name: str
    period: int
    run: Callable[[RemoteHandle, datetime], str]


def jobs() -> tuple[Job, ...]:
    """All jobs, in the order in which they run when several are due."""
    return (
        Job("screen", _HOUR, _screen),
        Job("nowcast", _HOUR, _nowcast),
        Job("forecast", 3 * _HOUR, _forecast),
        Job("traffic", _HOUR, _traffic),
        Job("operate", _HOUR, _operate),
        Job("exchange", 24 * _HOUR, _exchange),
    )


def work(folder: Path, url: str, *, once: bool, say: Say, lang: str) -> None:
    """Runs the jobs until told to stop.

    Args:
        folder: of the territory.
        url: of the server.
        once: run every job once and end.
        say: takes lines for people.
        lang: language of what is said.

    Raises:
        RequestError: `worker.no_key`.
        SourceError: with `once`, the server refuses or is away.
    """
    key = os.environ.get(KEY, "")
    if not key:
        raise RequestError("worker.no_key", name=KEY)
    opened = api.open(folder)
    park = RemoteHandle(opened.territory, opened.store, Client(url, key))
    stop = threading.Event()
    with told_to_stop(stop.set):
        _until(stop, park, once=once, say=say, lang=lang)


def _until(stop: threading.Event, park: RemoteHandle, *, once: bool, say: Say, lang: str) -> None:
    """Runs what is due again and again, until told to stop or left by its parent."""
    parent, last = os.getppid(), dict.fromkeys((job.name for job in jobs()), -1)
    while not stop.is_set() and os.getppid() == parent:
        try:
            now = park.client.now() if park.client else datetime.now(UTC)
        except SourceError as error:
            if once:
                raise
            say(error.text(lang))
            stop.wait(5 * _LOOK)
            continue
        for job in jobs():
            due = int(now.timestamp()) // job.period
            if due > last[job.name] and not stop.is_set():
                last[job.name] = due
                _run(job, park, now, say, lang)
        if once:
            return
        stop.wait(_LOOK)


def _run(job: Job, park: RemoteHandle, now: datetime, say: Say, lang: str) -> None:
    begun, code = time.monotonic(), f"worker.{job.name}"
    try:
        what = job.run(park, now)
    except MangroveError as error:
        what, code = error.text(lang), f"{code}_failed"
    say(
        messages.render(
            code,
            lang,
            what=what,
            seconds=f"{time.monotonic() - begun:.1f}",
            now=f"{now:%Y-%m-%d %H:%M}",
        )
    )


def _screen(park: RemoteHandle, now: datetime) -> str:
    """Marks what cannot be right in the values of the last days; an interval that is not over, or only just, is not missing."""
    from mangrove.inference.runs import screen_flows

    with park.reader() as ledger, ledger.snapshot() as snapshot:
        known = snapshot.flow_ids()
    steps: dict[int, list[str]] = {}
    for flow in park.territory.flows.values():
        if flow.id in known and flow.step and flow.step.seconds and _VEHICLES not in flow.parameters:
            steps.setdefault(flow.step.seconds, []).append(flow.id)
    marked = 0
    with park.writer() as ledger:
        for seconds, flows in steps.items():
            end = now - _PATIENCE * timedelta(seconds=seconds)
            marked += screen_flows(ledger, park.territory, flows, Span(end - _SCREENED, end)).marked
    return f"{marked}"


def _nowcast(park: RemoteHandle, now: datetime) -> str:
    """Brings a city whose live series are declared up to the last whole hour; other territories have nothing to nowcast."""
    from mangrove import city

    if not park.territory.drivers:
        return "0"
    made = city.nowcast(park, now.replace(minute=0, second=0, microsecond=0))
    return f"{len(made.flows)}"


def _forecast(park: RemoteHandle, now: datetime) -> str:
    """Forecasts every flow that is metered at least hourly and what it emits, and scores the forecasts whose hours are over."""
    from mangrove import outlook
    from mangrove.forecast import record

    with park.reader() as ledger, ledger.snapshot() as snapshot:
        known = snapshot.flow_ids()
    flows = [
        flow.id
        for flow in park.territory.flows.values()
        if flow.id in known and flow.step and 0 < flow.step.seconds <= _FINEST and _wanted(flow)
    ]
    at = now.replace(minute=0, second=0, microsecond=0)
    made = api.forecast(park, flows, at, horizon=_AHEAD, models=_MODELS, as_of=datetime.now(UTC))
    with park.reader() as ledger, park.writer() as writer:
        record.score_stored(ledger, writer, park.territory, now)
        with suppress(
            DataQualityError, RequestError
        ):  # nothing that was forecast emits, or no GWP set is declared
            outlook.keep(writer, outlook.emissions(park, made))
    return f"{len(made.forecasts)}"


def _traffic(park: RemoteHandle, now: datetime) -> str:
    """What the counted streets of the last whole hours emit; territories without any have nothing to do."""
    from mangrove import traffic_state

    return f"{traffic_state.keep_up(park, now)}"


def _wanted(flow: Flow) -> bool:
    """Whether a flow is worth a forecast of its own: amounts and rates, and states of the air, of rivers and of traffic.

    The weather is somebody else's forecast: one from its own past would stand in the way of a better one that comes in. Counts of single
    streets become what places emit, and that is forecast.
    """
    return flow.carrier.kind not in ("weather", _VEHICLES) and (
        flow.semantics != "state" or flow.carrier.kind in _STATES
    )


def _exchange(park: RemoteHandle, now: datetime) -> str:
    """Plans the best new exchanges of a territory that declares offers and needs, for the page of symbiosis."""
    from mangrove import exchange

    if not park.territory.offers or not park.territory.needs:
        return "0"
    made = exchange.plan(park, on=now.astimezone(park.territory.tz).date())
    return f"{len(made.plan.exchanges)}"


def _operate(park: RemoteHandle, now: datetime) -> str:
    """Plans the sites from now on, and keeps of each plan what a page and the devices need."""
    from mangrove.serve import schedules

    made = api.operate(park, now, models=_MODELS)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        documents = [schedules.document(park.territory, snapshot, one) for one in made]
    with park.writer() as ledger:
        for document in documents:
            ledger.put_record(schedules.SCHEDULE, document)
    return f"{len(made)}"
