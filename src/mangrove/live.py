# SPDX-License-Identifier: Apache-2.0
"""Commands that keep running or talk to machines: broker, drop folder, files for the authority.

Comes in: a territory's folder and addresses. Goes out: values in the ledger, or monitoring files written from it. SIGTERM and
Ctrl-C end a loop after the group that is being committed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from mangrove import api, messages
from mangrove.errors import LedgerError, RequestError
from mangrove.handle import Handle
from mangrove.ledger import Quality, Receipt
from mangrove.sources import broker, monitoring, mqtt
from mangrove.stopping import told_to_stop
from mangrove.times import Span, Step

Say = Callable[[str], None]
_PAUSE, _SETTLE = 10.0, 2.0
"""Seconds between two looks into a drop folder, and without change after which a file counts as complete."""
_CYCLE = Step(seconds=300)


def listen(folder: Path, *, host: str, port: int, user: str | None, say: Say, lang: str) -> None:
    """Takes values from an MQTT broker until told to stop; a message is acknowledged after it is on disk.

    What stands on which topic follows from the territory's `points.csv`. The password comes from the environment variable
    MANGROVE_MQTT_PASSWORD, never from the command line.
    """
    park = api.open(folder)
    say(messages.render("cli.listening", lang, host=host, port=port))
    stop = threading.Event()
    with told_to_stop(stop.set), park.writer() as ledger:
        report = mqtt.listen(
            ledger,
            park.territory,
            address=mqtt.Address(host, port, user, os.environ.get("MANGROVE_MQTT_PASSWORD")),
            stop=stop.is_set,
            on_commit=lambda receipt: say(_committed(receipt, lang)),
        )
    say(
        messages.render(
            "cli.listened",
            lang,
            messages=report.messages,
            stored=report.stored,
            quarantined=report.quarantined,
        )
    )


def write_broker(out: Path, folder: Path | None, *, port: int, tls_port: int | None) -> Path:
    """Writes the files of a broker, with the MQTT devices of the territory in `folder` as its users.

    A device with an API key opens the broker with that key; the others get a password of their own.

    Raises:
        RequestError: `mqtt.tls_needs_users`.
    """
    if folder is None:
        return broker.broker_files(out, None, port, tls_port=tls_port)
    from mangrove.serve.access import Accounts

    territory = api.open(folder).territory
    with Accounts(folder) as accounts:
        keys = accounts.keys.broker_hashes()
    return broker.broker_files(out, territory, port, tls_port=tls_port, keys=keys)


def drop(folder: Path, inbox: Path, *, watch: bool, say: Say, lang: str) -> None:
    """Takes the monitoring files of a drop folder, once or every 10 seconds.

    A watcher that finds the ledger taken by another writer says so and looks again; the files wait in the folder.

    Raises:
        RequestError: `cli.no_inbox`.
        LedgerError: the ledger refuses; `ledger.locked` only when not watching.
    """
    if not inbox.is_dir():
        raise RequestError("cli.no_inbox", path=inbox)
    park = api.open(folder)
    if not watch:
        say(_dropped(_pass(park, inbox, settle=0.0), lang))
        return
    stop = threading.Event()
    with told_to_stop(stop.set):
        while not stop.is_set():
            try:
                report = _pass(park, inbox, settle=_SETTLE)
                if report.done or report.failed:
                    say(_dropped(report, lang))
            except LedgerError as error:
                if error.code != "ledger.locked":
                    raise
                say(error.text(lang))
            stop.wait(_PAUSE)


def _pass(park: Handle, inbox: Path, *, settle: float) -> monitoring.DropReport:
    """One look into a drop folder; what was taken is sealed."""
    with park.writer() as ledger:
        report = monitoring.drop(ledger, park.territory, inbox, settle=settle)
        ledger.seal()
    return report


def _dropped(report: monitoring.DropReport, lang: str) -> str:
    return messages.render(
        "cli.dropped",
        lang,
        done=len(report.done),
        failed=len(report.failed),
        waiting=len(report.waiting),
        quarantined=sum(file.quarantined for file in report.done),
    )


def write_station(park: Handle, station: str, start: str, end: str | None, out: Path) -> list[Path]:
    """Writes the monitoring files of one station (Circular 10/2021) from the ledger, oldest first.

    Every flow whose `meter` is `STATION/SYMBOL` gives one line per file; times are the ends of the intervals, local.

    Raises:
        RequestError: `cli.no_station`.
    """
    tz = park.territory.tz
    span = Span.asked(start, end, tz)
    flows = {f.id: f for f in park.territory.flows.values() if f.meter.startswith(f"{station}/")}
    if not flows:
        stations = sorted(
            {f.meter.partition("/")[0] for f in park.territory.flows.values() if "/" in f.meter}
        )
        raise RequestError("cli.no_station", station=station, options=", ".join(stations) or "-")
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        rows = snapshot.values(list(flows), span.start, span.end).to_pylist()
    records = [
        monitoring.Record(
            symbol=flows[row["flow"]].meter.partition("/")[2],
            value=row["value"],
            unit=flows[row["flow"]].unit.text,
            at=row["start"] + timedelta(seconds=(flows[row["flow"]].step or _CYCLE).seconds),
            status=monitoring.status_of(row["quality"]),
            line=0,
        )
        for row in rows
        if row["quality"] != Quality.MISSING
    ]
    out.mkdir(parents=True, exist_ok=True)
    return monitoring.write_files(out, station, records)


def _committed(receipt: Receipt, lang: str) -> str:
    return messages.render(
        "cli.committed", lang, batch=receipt.batch, rows=receipt.rows, rejected=receipt.rejected
    )
