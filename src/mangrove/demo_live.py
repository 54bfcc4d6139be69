# SPDX-License-Identifier: Apache-2.0
"""The live demonstration: the example park in the middle of its generated year, the city with its twin, or streets with theirs, and a feed that goes on where the past ends.

Comes in: the folder of examples. Goes out: a server on this machine, whose clock starts on a morning of the generated year and runs
faster than real time. The feed sends what the meters would have said through the same door that real gateways use, HTTP with a
key. Two faults are played on purpose and announced: a meter that is silent for some hours and then sends what it kept, and one that
has repeated one value since the evening before. On the streets one camera is silent for an hour, and what it missed never comes.
"""

from __future__ import annotations

import filecmp
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from mangrove import (
    api,
    demo,
    demo_city,
    demo_streets,
    messages,
    signals,
    street_plans,
    streets_twin,
    traffic_state,
)
from mangrove.client import Client
from mangrove.errors import LedgerError, MangroveError, RequestError
from mangrove.handle import STORE, Handle
from mangrove.ledger import Ledger
from mangrove.ledger.catalog import CATALOG
from mangrove.ledger.types import Origin
from mangrove.sources.registers import SUFFIX
from mangrove.streets_files import NET
from mangrove.times import Step

if TYPE_CHECKING:
    from mangrove.streets_twin import Twin

Say = Callable[[str], None]

START = (2024, 6, 5, 9)
"""Local time at which the demonstration begins: a working morning of the generated year."""
_PAST = "replay:past"
_FEED = "replay:feed"
_SILENT, _STUCK = "office_2_electricity", "plastics_electricity"
"""Flows whose meters fail on purpose."""
_SILENT_HOURS, _STUCK_HOURS = (1.0, 5.0), (-10.0, 4.0)
"""Hours after the start in which they fail. Twelve hours of one value are a stuck meter (`inference.screening.STUCK_HOURS`), so it is
found two hours after the start."""
_STREETS_UNTIL, _STREETS_SILENT = 24, (90, 150)
"""Local hour at which the counts of the streets end, and minutes after seven in the morning between which one camera is silent."""
_STREETS_MINUTES, _STREETS_DRAWS = 10, 3
"""Of each way of control: three draws, because the interval of two is too wide to say anything, of half the time that `mangrove demo` takes."""
_PATIENCE = 10
"""Tries after which a word is said; a server that is ending needs none."""
_LATEST = timedelta(days=20)
"""How far the feed goes: values are read from the source this far ahead at a time."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played: the territory that is served, where the coming values are read, the moment at which it begins, what is said of it and with which facts."""

    park: Handle
    year: Handle
    start: datetime
    said: tuple[str, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


def run(
    out: Path,
    *,
    examples: Path,
    host: str,
    port: int,
    speed: float,
    say: Say,
    lang: str,
    city: bool = False,
    streets: bool = False,
) -> None:
    """Prepares the park, the city with its generated twin, or the streets with theirs, and serves it until stopped.

    Args:
        out: folder of the demonstration; what `mangrove demo` made in it is used, else it is made.
        examples: folder with `park` and `city`.
        host: address to listen on.
        port: port to listen on.
        speed: seconds of the park's time in one real second.
        say: takes lines for people.
        lang: language of what is said.
        city: serve the city.
        streets: serve the streets instead; they need no examples.

    Raises:
        RequestError: `cli.no_examples`, `server.port_taken`. MissingExtraError: the streets need SUMO.
        LedgerError: `ledger.locked` when another demonstration runs in `out`.
    """
    from mangrove import server
    from mangrove.serve.clock import Clock

    source = examples / ("city" if city else "park")
    if not streets and not (source / "territory.yaml").is_file():
        raise RequestError("cli.no_examples", path=source)
    server.reserve(server.Options(host=host, port=port, guest="operator"))
    scene = _streets(out, say, lang) if streets else (_city if city else _park)(out, examples, say, lang)
    park, start = scene.park, scene.start
    options = server.Options(host=host, port=port, guest="operator", clock=Clock(start, speed), lang=lang)
    feed = Feed(scene.year, start)

    def started(running: server.Running) -> None:
        data = {"url": running.url, "speed": f"{speed:g}", "start": f"{start:%H:%M %d/%m/%Y}"}
        for code in (*scene.said, "live_stop"):
            say(messages.render(f"demo.{code}", lang, silent=_SILENT, stuck=_STUCK, **data, **scene.facts))
        key = running.key("operator", "replayed feed")
        feed.start(Client(running.url, key), running.clock.now, say, lang)

    try:
        server.serve(park.territory.path, options, say=lambda _: None, started=started)
    finally:
        feed.stop()


def _park(out: Path, examples: Path, say: Say, lang: str) -> Scene:
    """The park in the middle of its generated year."""
    _unused(out / "live")
    year = _year(out, examples, say, lang)
    start = datetime(*START, tzinfo=year.territory.tz)
    return Scene(_begun(year, out / "live", examples, start), year, start, ("live_at", "live_faults"))


def _city(out: Path, examples: Path, say: Say, lang: str) -> Scene:
    """The city with all that `mangrove demo` finds out about it, and its twin as it goes on."""
    target, year = out / "live_city", out / "city_year"
    _unused(target)
    if not (out / "city" / STORE / CATALOG).is_file():
        demo.city(out / "city", examples, _said(say, lang), lang)
    for folder in (target, year):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(out / "city", target)
    shutil.copytree(out / "city", year, ignore=shutil.ignore_patterns(STORE))
    whole, park = demo_city.whole(year), api.open(target)
    return Scene(park, whole, demo_city.at(park), ("live_city_at",))


def _streets(out: Path, say: Say, lang: str, size: demo_streets.Size | None = None) -> Scene:
    """The streets an hour after their counts began, with a comparison of their signals and one of a plan."""
    target, day = out / "live_streets", out / "streets_day"
    size = size or demo_streets.Size(minutes=_STREETS_MINUTES, draws=_STREETS_DRAWS)
    _unused(target)
    progress = _said(say, lang)
    for folder in (target, day):
        shutil.rmtree(folder, ignore_errors=True)
    twin = streets_twin.build(
        day, net=size.net, share=size.share, cameras=size.cameras, until=_STREETS_UNTIL, all_day=True, silent=_STREETS_SILENT, lang=lang,
        progress=lambda step: progress(f"streets_{step}"),
    )  # fmt: skip
    whole = api.open(day)
    api.ingest(whole, *twin.values, screen=False)
    shutil.copytree(day, target, ignore=shutil.ignore_patterns(STORE, "values"))
    start, park = twin.start + timedelta(hours=1), api.open(target)
    with whole.reader() as source, source.snapshot() as snapshot, park.writer() as ledger:
        past = snapshot.values(list(snapshot.flow_ids()), start - timedelta(days=28), start)
        known = _known(past, park, start).select(["flow", "start", "value", "quality"])
        ledger.append(known, Origin(_PAST, "1"))
        ledger.seal()
    progress("live_streets_past")
    for past in (*streets_twin.EARLIER, streets_twin.DAY):
        midnight = datetime(past.year, past.month, past.day, tzinfo=park.territory.tz) + timedelta(days=1)
        traffic_state.keep_up(park, min(midnight, start), hours=24)
    _found(out / demo_streets.FOLDER, park)
    _judged(twin, park, size, progress, lang)
    flows, first, last = twin.silent
    told = {
        "camera": flows[0].partition("_")[0],
        "silent_from": f"{first:%H:%M}",
        "silent_to": f"{last:%H:%M}",
    }
    return Scene(park, whole, start, ("live_streets_at",), told)


def _found(made: Path, park: Handle) -> None:
    """Gives the streets what was stored of signals and plans, when the demo has run on the same streets."""
    there = (made / STORE / CATALOG).is_file() and (made / NET).is_file()
    if not there or not filecmp.cmp(made / NET, park.territory.path / NET, shallow=False):
        return
    with api.open(made).reader() as source, park.writer() as ledger:
        for kind in (signals.KIND, street_plans.KIND):
            for id_, _ in source.records(kind):
                ledger.put_record(kind, source.record(id_)[1])


def _judged(
    twin: Twin, park: Handle, size: demo_streets.Size, progress: Callable[..., None], lang: str
) -> None:  # fmt: skip
    """Makes a comparison of signals and one of a plan unless they are stored; the page does without one that cannot be made."""
    with park.reader() as ledger:
        kinds = {kind for kind in (signals.KIND, street_plans.KIND) if ledger.records(kind)}
    if signals.KIND not in kinds:
        progress("live_streets_signals", minutes=size.minutes, draws=size.draws)
        with _left_out(progress, lang):
            demo_streets.judge_signals(twin, park, size.minutes, size.draws)
    if street_plans.KIND not in kinds:
        progress("live_streets_plan")
        with _left_out(progress, lang):
            demo_streets.judge_plan(twin, park)


@contextmanager
def _left_out(progress: Callable[..., None], lang: str) -> Iterator[None]:
    """Says in one line why something is left out."""
    try:
        yield
    except MangroveError as error:
        progress("live_streets_without", text=error.text(lang))


def _said(say: Say, lang: str) -> Callable[..., None]:
    """Says how far the preparation is."""
    clock = time.monotonic()

    def progress(code: str, **facts: object) -> None:
        say(f"[{time.monotonic() - clock:5.1f} s] {messages.render(f'demo.{code}', lang, **facts)}")

    return progress


def _unused(folder: Path) -> None:
    """Refuses to make anew what another process serves."""
    if (folder / STORE / CATALOG).is_file():
        try:
            with Ledger.open(folder / STORE):
                pass
        except LedgerError as error:
            if error.code == "ledger.locked":  # one that is damaged is made anew
                raise


def _year(out: Path, examples: Path, say: Say, lang: str) -> Handle:
    """The park with its whole generated year, made when `mangrove demo` has not made it."""
    folder = out / "park"
    if (folder / STORE / CATALOG).is_file():
        park = api.open(folder)
        with park.reader() as ledger, ledger.snapshot() as snapshot:
            first = datetime(*START, tzinfo=park.territory.tz)
            if snapshot.values(["steel_electricity"], first, first + timedelta(days=1)).num_rows:
                return park
    return demo.prepare(folder, None, examples, _said(say, lang), lang)[0]


def _begun(year: Handle, folder: Path, examples: Path, start: datetime) -> Handle:
    """A fresh copy of the park that knows what was known at `start`, and its plan of the year."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(examples / "park", folder, ignore=shutil.ignore_patterns(STORE, "values"))
    park = api.open(folder)
    with year.reader() as source, source.snapshot() as snapshot, park.writer() as ledger:
        keys = [key for key in snapshot.flow_ids() if ":" not in key]
        past = snapshot.values(keys, datetime(START[0], 1, 1, tzinfo=start.tzinfo) - timedelta(days=1), start)
        known = _known(held(past, start), park, start)
        ledger.append(known.select(["flow", "start", "value", "quality"]), Origin(_PAST, "1"))
        ledger.seal()
    budget = folder / "plans" / f"{START[0]}.csv"
    if budget.is_file():
        api.budget(park, budget)
    return park


def _known(values: pa.Table, park: Handle, now: datetime) -> pa.Table:
    """The values whose interval is over at `now`."""
    ends = _ends(values, park, park.territory.tz)
    return values.filter(pc.less_equal(ends, pa.scalar(now, pa.timestamp("us", "UTC"))))


def _ends(values: pa.Table, park: Handle, tz: ZoneInfo) -> pa.Array:
    """When the interval of each value is over; a register has no interval."""
    names = pc.unique(values.column("flow")).to_pylist()
    ends = values.column("start").to_pylist()
    steps: dict[str, Step | None] = {}
    for name in names:
        flow = park.territory.flows.get(name)
        steps[name] = None if flow is None or name.endswith(SUFFIX) else flow.step
    after = [
        start if (step := steps[name]) is None else _after(step, start, tz)
        for name, start in zip(values.column("flow").to_pylist(), ends, strict=True)
    ]
    return pa.array(after, pa.timestamp("us", "UTC"))


def _after(step: Step, start: datetime, tz: ZoneInfo) -> datetime:
    return start + timedelta(seconds=step.seconds) if step.seconds else step.after(start, tz)


@dataclass
class Feed:
    """Sends what the meters would have said, as time goes on, in a thread of its own.

    Attributes:
        year: the park with its whole year; start: where the feed begins.
    """

    year: Handle
    start_at: datetime
    sent: datetime | None = None
    failed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, client: Client, now: Callable[[], datetime], say: Say, lang: str) -> None:
        """Begins."""
        rows = self._rows()
        self._thread = threading.Thread(
            target=self._run, args=(rows, client, now, say, lang), name="feed", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _rows(self) -> pa.Table:
        """All rows of the coming days as gateways would send them, with the instant at which each is sent."""
        territory = self.year.territory
        with self.year.reader() as ledger, ledger.snapshot() as snapshot:
            known = snapshot.flow_ids()
            counters = {f.id for f in territory.flows.values() if f.semantics == "counter"}
            keys = [k for k in known if ":" not in k and k not in counters]
            table = snapshot.values(keys, self.start_at - timedelta(days=366), self.start_at + _LATEST)
        table = held(table.select(["flow", "start", "value", "quality"]), self.start_at)
        table = table.filter(
            pc.is_finite(table.column("value"))
        )  # a meter that is silent does not send that it is
        ends = _ends(table, self.year, territory.tz)
        names = pc.replace_substring(table.column("flow").cast(pa.string()), SUFFIX, "")
        table = table.set_column(0, "flow", names).append_column("sent", ends)
        table = table.filter(
            pc.greater(table.column("sent"), pa.scalar(self.start_at, pa.timestamp("us", "UTC")))
        )
        return late(table, self.start_at).sort_by("sent")

    def _run(self, rows: pa.Table, client: Client, now: Callable[[], datetime], say: Say, lang: str) -> None:
        done = 0
        sent = rows.column("sent").cast(pa.int64()).to_numpy()
        while not self._stop.wait(0.5) and done < rows.num_rows:
            moment = now()
            end = int(sent.searchsorted(int(moment.timestamp() * 1e6), side="right"))
            if end <= done:
                continue
            part = rows.slice(done, end - done).select(["flow", "start", "value", "quality"])
            try:
                client.values(part, Origin(_FEED, str(end)))
            except MangroveError as error:  # the server is busy or stopping: the same rows go again
                self.failed += 1
                if not self._stop.is_set() and self.failed % (2 * _PATIENCE) == _PATIENCE:
                    say(messages.render("demo.live_retry", lang, reason=error.text(lang)))
                continue
            done, self.sent = end, moment


def held(rows: pa.Table, start: datetime) -> pa.Table:
    """The rows with the stuck meter: in its hours it repeats the value before them.

    Args:
        rows: flow, start, value and other columns.
        start: when the feed begins.
    """
    first, last = (_instant(start + timedelta(hours=hours)) for hours in _STUCK_HOURS)
    its = pc.equal(rows.column("flow").cast(pa.string()), _STUCK)
    before = rows.filter(pc.and_(its, pc.less(rows.column("start"), first))).sort_by("start")
    if not before.num_rows:
        return rows
    within = pc.and_(pc.greater_equal(rows.column("start"), first), pc.less(rows.column("start"), last))
    value = pc.if_else(pc.and_(its, within), before.column("value")[-1], rows.column("value"))
    return rows.set_column(rows.schema.get_field_index("value"), "value", value)


def late(rows: pa.Table, start: datetime) -> pa.Table:
    """The rows with the silent meter: what it kept in its hours is sent when they are over.

    Args:
        rows: flow, sent and other columns.
        start: when the feed begins.
    """
    first, last = (_instant(start + timedelta(hours=hours)) for hours in _SILENT_HOURS)
    sent = rows.column("sent")
    within = pc.and_(pc.greater_equal(sent, first), pc.less(sent, last))
    its = pc.equal(rows.column("flow").cast(pa.string()), _SILENT)
    kept = pc.if_else(pc.and_(its, within), last, sent)
    return rows.set_column(rows.schema.get_field_index("sent"), "sent", kept)


def _instant(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("us", "UTC"))
