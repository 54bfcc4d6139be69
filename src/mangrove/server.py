# SPDX-License-Identifier: Apache-2.0
"""The server: one process that takes meters in, keeps the ledger and shows the territory.

Comes in: a territory's folder and options. Goes out: a running server until it is told to stop. It holds the one writer of the
ledger; connectors and requests hand their values to the intake, readers look at snapshots, and models run in worker processes
that read the store and send what they computed through the same door as everybody else.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import api, messages
from mangrove.errors import MangroveError, RequestError
from mangrove.handle import Handle
from mangrove.serve.clock import Clock
from mangrove.stopping import told_to_stop

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from mangrove.serve.access import Access, Accounts
    from mangrove.serve.sta import SensorThings
    from mangrove.serve.state import Live
    from mangrove.sources.ocpp.central import CentralSystem
    from mangrove.sources.poll import Connector

Say = Callable[[str], None]
TICK = 10.0
"""Seconds between two messages that tell pages what time it is."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_GUESTS = ("operator", "tenant", "city")
_STOP = 5.0
_OWNER_ONLY = 0o077
"""What a server writes is for its own account: readings and names of companies are nobody else's on that machine."""
_WAITING = 2048
"""Connections that may wait to be accepted; uvicorn's own number."""
_BROKER_USER = "mangrove"
PASSWORD = "MANGROVE_MQTT_PASSWORD"  # noqa: S105 - the name of a variable
"""The environment variable with the password for the broker."""


@dataclass(frozen=True)
class Options:
    """How a server runs.

    Attributes:
        host, port: where it listens; port 0 takes a free one.
        guest: role of visitors who do not sign in, on this machine only; empty for none.
        mqtt: `host:port` of a broker; empty for none.
        proxies: addresses of reverse proxies whose headers are believed.
        settings: a YAML file with the table `access` (see docs/reference/security.md); None for none.
        workers: whether a worker process runs beside it.
        clock: what time it is; lang: language of what is said on the terminal.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    guest: str = ""
    mqtt: str = ""
    proxies: str = ""
    settings: Path | None = None
    workers: bool = True
    clock: Clock = field(default_factory=Clock)
    lang: str = "en"


@dataclass(frozen=True)
class Running:
    """A server that is up.

    Attributes:
        url: its address; live: what it serves; accounts: who has access.
    """

    url: str
    live: Live
    accounts: Accounts

    @property
    def clock(self) -> Clock:
        """What time it is."""
        return self.live.clock

    def key(self, role: str, name: str) -> str:
        """A new key for a process of this machine; it ends with the server."""
        from mangrove.serve.access import SYSTEM

        key, secret = self.accounts.keys.add(name, role, by=SYSTEM)
        self._temporary.append(key.id)
        return secret

    _temporary: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Revokes what was made for the time of the run."""
        from mangrove.serve.access import SYSTEM

        for id_ in self._temporary:
            with suppress(MangroveError):
                self.accounts.keys.revoke(id_, by=SYSTEM)


def serve(
    folder: Path, options: Options, *, say: Say, started: Callable[[Running], None] | None = None
) -> None:
    """Serves a territory until SIGTERM or Ctrl-C.

    Args:
        folder: of the territory.
        options: see `Options`.
        say: takes lines for people.
        started: called once requests are answered.

    Raises:
        DeclarationError: the declaration has problems.
        LedgerError: another process writes to the ledger, or it is damaged.
        RequestError: `server.guest_far`, `server.bad_guest`, `server.port_taken`, `server.bad_broker`.
    """
    import uvicorn

    from mangrove import setpoints
    from mangrove.serve.wire import Bounded, Seldom

    _check(options)
    park = api.open(folder)
    listening = _bind(options)
    with ExitStack() as stack:
        stack.callback(listening.close)
        stack.callback(os.umask, os.umask(_OWNER_ONLY))
        live, accounts, access = _opened(stack, park, options)
        host, port = listening.getsockname()[:2]
        running = Running(f"http://{_shown(host)}:{port}", live, accounts)
        stack.callback(running.close)
        connectors = connect(live, options)
        sta = stack.enter_context(_things(live, accounts))
        chargers = _chargers(live, accounts)
        orders = setpoints.setpoints(live, connectors, chargers)
        live.health.extend(one.state for one in (*connectors, *([chargers] if chargers else ()), orders))
        for connector in (*connectors, orders):
            stack.callback(connector.stop)

        def up() -> None:
            listening.listen(_WAITING)  # who hears the address may connect at once
            for connector in (*connectors, orders):
                connector.start()
            threading.Thread(target=_greet, args=(running, options, say, started), daemon=True).start()

        config = uvicorn.Config(
            build(live, access, sta, chargers, started=up),
            lifespan="on",
            log_level="warning",
            access_log=False,
            http=Bounded,
            ws="websockets-sansio",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=int(_STOP),
        )
        logging.getLogger("uvicorn.error").addFilter(Seldom())
        stack.enter_context(_ticking(live))
        if options.workers:
            stack.enter_context(_working(running, park.territory.path, options, say))
        # The signal that ended the server ends nothing else: uvicorn raises it again, and what was opened must still be closed.
        with told_to_stop(lambda: None):
            uvicorn.Server(config).run(sockets=[listening])
        accounts.audit.stopped()


def _check(options: Options) -> None:
    if options.guest and options.host not in _LOOPBACK:
        raise RequestError("server.guest_far", host=options.host)
    if options.guest and options.guest not in _GUESTS:
        raise RequestError("server.bad_guest", role=options.guest, options=", ".join(_GUESTS))
    _broker(options.mqtt)


def _broker(address: str) -> tuple[str, int] | None:
    """Host and port of the broker."""
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise RequestError("server.bad_broker", text=address)
    return host, int(port)


def reserve(options: Options) -> None:
    """Says early whether `serve` could listen, for those who prepare something first.

    Raises:
        RequestError: as `serve`.
    """
    _check(options)
    _bind(options).close()


def _bind(options: Options) -> socket.socket:
    """The listening socket, taken before anything is opened."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host, options.port))
    except OSError as error:
        listening.close()
        raise RequestError(
            "server.port_taken", host=options.host, port=options.port, reason=error.strerror or str(error)
        ) from error
    return listening


def _shown(host: str) -> str:
    return "127.0.0.1" if host in {"0.0.0.0", ""} else f"[{host}]" if ":" in host else host  # noqa: S104 - what to show


def _opened(stack: ExitStack, park: Handle, options: Options) -> tuple[Live, Accounts, Access]:
    """The live state with its writer, and who may see it."""
    from mangrove.serve import access as doors
    from mangrove.serve.state import Live
    from mangrove.sources.intake import Intake

    ledger = stack.enter_context(park.writer())
    intake = stack.enter_context(Intake(ledger, park.territory))
    accounts = stack.enter_context(doors.Accounts(park.territory.path))
    settings = doors.Settings.of(_told(options))
    live = Live(park, options.clock, intake)
    rules_hash = live.book.content_hash
    accounts.audit.started(declaration=park.territory.content_hash, rules=rules_hash, version=_version())
    return live, accounts, doors.Access(accounts, park.territory, settings)


def _told(options: Options) -> dict[str, Any]:
    """The table `access` of the settings file, with what the command line says.

    Raises:
        RequestError: `server.bad_settings`.
    """
    told: dict[str, Any] = {}
    if options.settings is not None:
        import yaml

        try:
            found = yaml.safe_load(options.settings.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RequestError("server.bad_settings", path=options.settings, reason=str(error)) from error
        if (
            not isinstance(found, dict)
            or set(found) - {"access"}
            or not isinstance(found.get("access", {}), dict)
        ):
            raise RequestError("server.bad_settings", path=options.settings, reason="access: {...}")
        told = dict(found.get("access", {}))
    if options.guest:
        told["guest"] = options.guest
    proxies = [one.strip() for one in options.proxies.split(",") if one.strip()]
    return {**told, "trusted_proxies": proxies} if proxies else told


def _version() -> str:
    from importlib.metadata import version

    return version("mangrove")


def build(
    live: Live,
    access: Access,
    sta: SensorThings,
    chargers: CentralSystem | None = None,
    *,
    started: Callable[[], None] | None = None,
) -> FastAPI:
    """The application of a live territory: pages, values in and out, SensorThings, accounts, chargers.

    Args:
        live: what is served.
        access: who may see what.
        sta: the service of the standard.
        chargers: the central system, when there are chargers.
        started: called once the application is up.
    """
    from mangrove.serve import app as web
    from mangrove.serve.access import guard
    from mangrove.serve.access.table import PUBLIC

    routers = _routers(live, access, sta)
    background = []
    if chargers is not None:
        from mangrove.sources.ocpp.central import router

        routers.append(router(chargers))
        background.append(lambda: _follow(chargers, live))
    application = web.create(
        live,
        access=access,
        routers=routers,
        middleware=[lambda app: guard(app, access)],
        started=started,
        background=background,
    )
    application.state.roles["/ocpp/{identity}"] = (
        PUBLIC  # the central system asks for the charger's password itself
    )
    return application


async def _follow(chargers: CentralSystem, live: Live) -> None:
    """Tells chargers what the schedule lets them draw, and closes their connections at the end."""
    try:
        await chargers.follow(live.snapshot)
    finally:
        await chargers.close()


def _routers(live: Live, access: Access, sta: SensorThings) -> list[APIRouter]:
    """All routes beside those of the pages."""
    from mangrove import replicate
    from mangrove.serve import basemap, exports, ingest, metrics, overrides, symbiosis_in, values_out
    from mangrove.serve import sta as things
    from mangrove.serve.access import audited
    from mangrove.serve.access import routes as accounts

    return [
        accounts.router(access),
        ingest.router(live, access, audit=access.accounts.audit.record),
        values_out.router(live, access),
        metrics.router(live, access),
        basemap.router(live, access),
        exports.router(live, audited("export.made", "admin", "operator")),
        overrides.router(live, access, access.accounts.audit.record),
        symbiosis_in.router(live, access, access.accounts.audit.record),
        things.router(sta, access),
        replicate.router(live, access),
    ]


@contextmanager
def _things(live: Live, accounts: Accounts) -> Iterator[SensorThings]:
    """The SensorThings service over the ledger as readers see it."""
    from mangrove.serve.sta import SensorThings

    with (
        live.park.reader() as ledger,
        SensorThings(
            live.territory,
            ledger,
            live.store,
            intake=live.intake,
            clock=live.clock,
            audit=accounts.audit.record,
        ) as sta,
    ):
        yield sta


def _chargers(live: Live, accounts: Accounts) -> CentralSystem | None:
    """The central system for declared chargers; None when there are none."""
    if not any(device.protocol == "ocpp" for device in live.territory.devices.values()):
        return None
    from mangrove.sources.ocpp.central import CentralSystem

    assert live.intake is not None
    return CentralSystem(live.intake, live.territory, live.clock, accounts.device_password)


def connect(live: Live, options: Options) -> list[Connector]:
    """The connectors of the declared devices.

    Args:
        live: what is served.
        options: names the broker.

    Raises:
        RejectedError: a device or a point makes no sense.
        MissingExtraError: a device speaks a protocol whose library is not installed.
    """
    from mangrove.sources import mqtt, poll

    assert live.intake is not None
    found: list[Connector] = list(poll.connectors(live.territory, live.intake, live.clock, live.store))
    broker = _broker(options.mqtt)
    if broker is not None:
        found.append(
            mqtt.MqttConnector(
                live.intake,
                live.territory,
                live.clock,
                *broker,
                username=_BROKER_USER if PASSWORD in os.environ else None,
                password=os.environ.get(PASSWORD),
            )
        )
    return found


def _greet(running: Running, options: Options, say: Say, started: Callable[[Running], None] | None) -> None:
    """Tells where the server is, and the link of the first administrator."""
    say(messages.render("server.at", options.lang, url=running.url, name=running.live.territory.name))
    link = running.accounts.first_link()
    if link:
        say(messages.render("server.first", options.lang, link=running.url + link))
    if options.guest:
        say(messages.render("server.guests", options.lang, role=options.guest))
    if started is not None:
        started(running)


class _ticking:  # noqa: N801 - a context manager is named like the function that it stands for
    """Tells pages the time now and then."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tick", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        from mangrove.serve.words import Words

        speed = max(self._live.clock.speed, 1.0) if self._live.clock.replays else 1.0
        while not self._stop.wait(max(TICK / speed, 1.0)):
            now = self._live.clock.now()
            shown = {lang: Words(lang, self._live.territory.tz).when(now) for lang in messages.LANGUAGES}
            self._live.hub.publish("tick", {"now": now.isoformat(), "shown": shown})


class _working:  # noqa: N801 - likewise
    """Runs a worker process beside the server."""

    def __init__(self, running: Running, folder: Path, options: Options, say: Say) -> None:
        self._running, self._folder, self._options, self._say = running, folder, options, say
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> None:
        from mangrove.worker import KEY

        command = [sys.executable, "-m", "mangrove", "work", str(self._folder), "--url", self._running.url]
        command += ["--lang", self._options.lang]
        env = {**os.environ, KEY: self._running.key("worker", "worker of this server")}
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        threading.Thread(target=self._relay, name="worker", daemon=True).start()

    def _relay(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._say(line.rstrip())

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP)
                return
            self._process.kill()
