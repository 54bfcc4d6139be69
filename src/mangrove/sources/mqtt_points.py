# SPDX-License-Identifier: Apache-2.0
"""Which topic is which flow: the points of MQTT devices as routes, found once for each topic.

Comes in: a territory with `devices.csv` and `points.csv`. Goes out: for a topic a `Route` that says how its payloads are read and
where their values go, and the topics to subscribe to. A topic that no point names falls back to the older rule: it ends in the id
or the meter of a flow. A flow that points give to devices is taken from those devices only, whatever a payload says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mangrove.errors import MangroveError, SourceError, did_you_mean
from mangrove.sources import events
from mangrove.sources import mqtt_swap as swap
from mangrove.sources.messages_in import BadMessageError, Channel
from mangrove.sources.plan import conversion
from mangrove.sources.problems import names_of
from mangrove.territory.devices import MQTT_FORMS, topic_of
from mangrove.territory.model import Flow, Point, Territory
from mangrove.text import fold
from mangrove.units import Unit, unit

TOPICS = "mg/#"
"""Where devices without points of their own publish: `mg/<device>/<flow or meter>`."""
MOST_ROUTES = 100_000
"""Topics remembered; beyond, all are forgotten, so that strange topics cannot take all memory."""
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One value inside a payload.

    Attributes:
        path: keys and list positions that lead to it; take: makes a number of what stands there (None: it is one).
        channel: where it goes; time: paths to its time, the first that exists holds (none: the time of arrival).
        identity: path to what identifies an event; None when the value is no event.
    """

    path: Path
    channel: int
    time: tuple[Path, ...]
    identity: Path | None = None
    take: Callable[[Any], Any] | None = None


@dataclass(slots=True)
class Route:
    """How the payloads of one topic are read; exactly one of its kinds is set.

    Attributes:
        device: whose topic it is; empty when no device of the territory claims it.
        plain: channels of the usual JSON forms, with the flow of each; numbers: of plain numbers; targets: values inside a JSON document.
        sparkplug: whether it is a topic of Sparkplug B; ignored: it is our own word that comes back to us.
        refused: why it names no flow; only a payload that names one can be read.
    """

    topic: str
    device: str = ""
    plain: list[tuple[int, Flow, Point | None]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    sparkplug: bool = False
    ignored: bool = False
    refused: BadMessageError | None = None


class Routes:
    """Finds the route of a topic; all that follows from the territory is worked out at the start."""

    def __init__(self, territory: Territory) -> None:
        self.territory = territory
        self.channels: list[Channel] = []
        self.metrics: dict[tuple[str, ...], dict[str, list[int]]] = {}
        self._numbers: dict[Channel, int] = {}
        self._names = names_of(territory.flows.values())
        self._known: dict[str, Route] = {}
        self._owners = owners(territory)
        self._sources: dict[tuple[str, ...], str] = {}
        self._points = [(topic_of(point.address)[0].split("/"), point) for point in points(territory)]
        for levels, point in self._points:
            if form_of(point) == "sparkplug":
                key = (levels[1], *levels[3:])
                self._sources[key] = self._sources[key[:2]] = point.device
                metric = topic_of(point.address)[1]
                channel = self._channel_of(point)
                self.metrics.setdefault(key, {}).setdefault(metric, []).append(channel)

    def find(self, topic: str) -> Route:
        """The route of a topic."""
        route = self._known.get(topic)
        if route is None:
            if len(self._known) >= MOST_ROUTES:
                self._known.clear()
            route = self._known[topic] = self._make(topic)
        return route

    def device(self, topic: str) -> str:
        """Whose topic it is; empty when no device of the territory claims it."""
        route = self.find(topic)
        levels = topic.split("/")
        return self.device_of_source((levels[1], *levels[3:])) if route.sparkplug else route.device

    def device_of_source(self, source: tuple[str, ...]) -> str:
        """The device that a Sparkplug source (group, node, device) is; empty when it is none of ours."""
        return self._sources.get(source, "")

    def channel(self, channel: Channel) -> int:
        """The number of a channel."""
        number = self._numbers.get(channel)
        if number is None:
            number = self._numbers[channel] = len(self.channels)
            self.channels.append(channel)
        return number

    def named(self, route: Route, name: str) -> Flow:
        """The flow that a payload names.

        Raises:
            BadMessageError: `sources.unknown_flow`, or `mqtt.not_its_flow` when it belongs to other devices.
        """
        found = self._names.get(fold(name))
        if found is None:
            hint = did_you_mean(name, self.territory.flows)
            raise BadMessageError("sources.unknown_flow", flow=name[:80], hint=hint, rows=1)
        self._allow(route.device, found)
        return self.territory.flows[found]

    def usual(
        self, flow: Flow, point: Point | None, written: str | None, *, ending: bool
    ) -> int:  # the unit that a message names stands above that of the point
        """The channel of a value of the usual JSON forms.

        Raises:
            BadMessageError: `sources.bad_unit`, `sources.counter_needs_step` (`end` without a known step).
        """
        shift = 0
        if ending:
            if flow.step is None or not flow.step.seconds:
                raise BadMessageError("sources.counter_needs_step", flow=flow.id)
            shift = flow.step.seconds * 1_000_000
        scale = point.scale if point is not None else 1.0
        counted = point.unit if point is not None else None
        try:
            factor = scale * factor_of(unit(written) if written else counted, flow)
        except MangroveError:
            raise BadMessageError("sources.bad_unit", text=str(written)[:80]) from None
        return self.channel(Channel(flow.id, factor, shift))

    def subscriptions(self) -> list[str]:
        """The topics to ask the broker for; those below `mg/` are covered by one."""
        asked = [TOPICS]
        for levels, _ in self._points:
            topic = "/".join(levels)
            if levels[0] != "mg" and topic not in asked:
                asked.append(topic)
        for key in self.metrics:
            node = f"spBv1.0/{key[0]}/+/{key[1]}"
            if node not in asked:  # births and deaths of the node decide about its devices
                asked.append(node)
        return asked

    def _make(self, topic: str) -> Route:
        route = Route(topic)
        levels = topic.split("/")
        if swap.is_set(levels):
            route.ignored = True
            return route
        if levels[0] == "spBv1.0":
            route.sparkplug = True
            return route
        for pattern, point in self._points:
            if len(pattern) == len(levels) and all(
                want in ("+", have) for want, have in zip(pattern, levels, strict=True)
            ):
                route.device = point.device
                self._attach(route, point)
        if not (route.plain or route.numbers or route.targets):
            route.device = levels[1] if len(levels) > 1 and levels[0] == "mg" else ""
            try:
                flow = self._by_end(route, levels)
                route.plain.append((self.channel(Channel(flow.id)), flow, None))
            except BadMessageError as error:
                route.refused = error
        return route

    def _attach(self, route: Route, point: Point) -> None:
        form, path = form_of(point), topic_of(point.address)[1]
        flow = self.territory.flows[point.flow]
        if form == "number":
            route.numbers.append(self._channel_of(point))
        elif form == "json" and not path:
            route.plain.append((self.usual(flow, point, None, ending=False), flow, point))
        elif form == "swap":
            value = swap.value(point.address)
            channel = self._channel_of(point, event=value.event)
            its = ("id",) if value.event else None
            route.targets.append(Target(value.path, channel, (("ts",),), its, value.take))
        else:
            identity = said_path(point, "id")
            channel = self._channel_of(point, event=identity is not None)
            time = said_path(point, "time")
            prefix, usual = (
                (("object",), (("time",),)) if form == "chirpstack" else ((), (("ts",), ("time",)))
            )
            where = (*prefix, *path.split("."))
            route.targets.append(Target(where, channel, (time,) if time else usual, identity))

    def _channel_of(self, point: Point, *, event: bool = False) -> int:
        """The channel of a point that speaks of instants.

        A register and an amount keep their instant, a state stands for the step that holds it, and of a mean these are samples.
        """
        flow = self.territory.flows[point.flow]
        factor = point.scale * factor_of(point.unit, flow)
        held = flow.step if not event and flow.semantics == "state" else None
        key = events.event_key(flow) if event else events.sample_key(flow)
        return self.channel(Channel(key, factor, 0, held))

    def _by_end(self, route: Route, levels: list[str]) -> Flow:
        """The flow whose id or meter the topic ends in (`mg/gateway/STATION/SO2`)."""
        for first in range(len(levels)):
            found = self._names.get(fold("/".join(levels[first:])))
            if found is not None:
                self._allow(route.device, found)
                return self.territory.flows[found]
        hint = did_you_mean(levels[-1], self.territory.flows)
        raise BadMessageError("sources.unknown_topic", topic=route.topic[:200], hint=hint)

    def _allow(self, device: str, flow: str) -> None:
        devices = self._owners.get(flow)
        if devices and device not in devices:
            raise BadMessageError("mqtt.not_its_flow", flow=flow, device=device or "-")


def points(territory: Territory) -> list[Point]:
    """The points of the territory's MQTT devices."""
    devices = territory.devices
    return [
        one for one in territory.points if one.device in devices and devices[one.device].protocol == "mqtt"
    ]


def owners(territory: Territory) -> Mapping[str, set[str]]:
    """The devices that may speak for a flow; a flow that no point names is anybody's."""
    found: dict[str, set[str]] = {}
    for point in territory.points:
        found.setdefault(point.flow, set()).add(point.device)
    return found


def form_of(point: Point) -> str:
    """How the values of an MQTT point are written."""
    return point.form or ("swap" if swap.is_point(point.address) else MQTT_FORMS[0])


def said_path(point: Point, name: str) -> Path | None:
    """A path that a parameter names, or None."""
    written = point.parameters.get(name)
    return tuple(str(written).split(".")) if written else None


def factor_of(written: Unit | None, flow: Flow) -> float:
    """What a number in `written` is multiplied with to be a value of the flow.

    Raises:
        RuleError: `base.unit_mismatch`.
    """
    return 1.0 if written is None else conversion(written, flow, flow.step)[0]


def check(territory: Territory) -> None:
    """Refuses points that cannot be read: what `mangrove check` finds, for a territory that was built otherwise.

    Raises:
        SourceError: `mqtt.bad_point`, with its place.
    """
    for point in points(territory):
        try:
            flow = territory.flows[point.flow]
            factor_of(point.unit, flow)
        except (MangroveError, KeyError) as error:
            reason = error.problem.text() if isinstance(error, MangroveError) else str(error)
            raise SourceError(
                "mqtt.bad_point", where=point.where, address=point.address, reason=reason
            ) from None
