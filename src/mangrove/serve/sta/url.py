# SPDX-License-Identifier: Apache-2.0
"""Resource paths and query options: from the text of a URL to what is meant by it.

Comes in: the path after the service root and the raw query. Goes out: a `Target` (which collection, entity, property or reference)
and `Options` (`$filter` and `$orderby` as typed trees, `$expand` as a tree of options). Everything unknown is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, unquote_plus

from mangrove.errors import did_you_mean
from mangrove.serve.sta.errors import MISSING, NOT_IMPLEMENTED, TOO_LARGE, StaError
from mangrove.serve.sta.expressions import Node, Order, parse_filter, parse_orderby
from mangrove.serve.sta.model import Kind, Model, Nav

PAGE, MOST_TOP, MOST_SKIP, MOST_EXPAND, MOST_URL = 100, 1000, 10_000_000, 3, 8192
"""Page without `$top`, largest page, largest `$skip`, depth of `$expand`, length of path and query together."""
_ENTITY = re.compile(r"(\w+)\((?:(\d{1,18})|'((?:[^']|'')*)')\)", re.ASCII)
_COLLECTION = {
    "$filter",
    "$orderby",
    "$top",
    "$skip",
    "$count",
    "$select",
    "$expand",
    "$resultFormat",
    "$format",
}
_SINGLE = {"$select", "$expand", "$format"}
_NESTED = _COLLECTION - {"$resultFormat", "$format"}


@dataclass(frozen=True)
class Step:
    """One segment that names entities: a set or a link (`nav`), and the id when one entity is meant."""

    kind: Kind
    nav: Nav | None
    id: str | None
    many: bool


@dataclass(frozen=True)
class Target:
    """What a path leads to; `steps` is empty for the service root."""

    steps: tuple[Step, ...] = ()
    prop: tuple[str, ...] = ()
    raw: bool = False
    ref: bool = False
    counted: bool = False

    @property
    def last(self) -> Step:
        """The last segment that names entities."""
        return self.steps[-1]

    @property
    def collection(self) -> bool:
        """Whether the path leads to many entities."""
        return not self.prop and self.last.many


@dataclass(frozen=True)
class Expand:
    """A link whose entities are shown inline."""

    nav: Nav
    kind: Kind
    options: Options


@dataclass(frozen=True)
class Options:
    """Query options of one collection or entity; `raw` keeps what was written, for `nextLink`."""

    filter: Node | None = None
    order: tuple[Order, ...] = ()
    top: int = PAGE
    skip: int = 0
    count: bool = False
    select: tuple[tuple[str, ...], ...] | None = None
    expand: tuple[Expand, ...] = ()
    array: bool = False
    format: str = ""
    raw: Mapping[str, str] = field(default_factory=dict)


def parse_path(path: str, model: Model) -> Target:
    """Reads a resource path such as `Datastreams(1)/Observations(2)/result/$value`.

    Raises:
        StaError: `sta.no_path` (404), `sta.too_long` (413).

    Example:
        >>> from mangrove.serve.sta.model import V11
        >>> target = parse_path("Things(1)/Datastreams", V11)
        >>> target.last.kind.name, target.collection
        ('Datastream', True)
    """
    if len(path) > MOST_URL:
        raise StaError("sta.too_long", TOO_LARGE, most=MOST_URL)
    target = Target()
    for segment in _segments(path.strip("/")):
        target = _next(target, segment, model, path)
    return target


def _segments(path: str) -> Iterator[str]:
    """Splits at slashes outside of quotes."""
    start, quoted = 0, False
    for at, letter in enumerate(path):
        if letter == "'":
            quoted = not quoted
        elif letter == "/" and not quoted:
            yield path[start:at]
            start = at + 1
    if path:
        yield path[start:]


def _next(  # noqa: C901, PLR0911, PLR0912 - one branch for each usage of a segment
    target: Target, segment: str, model: Model, path: str
) -> Target:
    missing = StaError("sta.no_path", MISSING, path=path[:200])
    if target.raw or target.ref or target.counted:
        raise missing
    match = _ENTITY.fullmatch(segment)
    name, id_ = segment, None
    if match:
        name, id_ = match[1], match[2] if match[2] is not None else match[3].replace("''", "'")
    if not target.steps:
        if name not in model.plurals:
            raise missing
        return Target((Step(model.plurals[name], None, id_, id_ is None),))
    last = target.last
    if target.prop:
        if segment == "$value":
            return replace(target, raw=True)
        if match or segment.startswith("$"):
            raise missing
        return replace(target, prop=(*target.prop, segment))
    if segment == "$ref":
        return replace(target, ref=True)
    if segment == "$count" and last.many:
        return replace(target, counted=True)
    if last.many:
        raise missing
    if name in last.kind.navs:
        nav = last.kind.navs[name]
        if id_ is not None and not nav.many:
            raise missing
        step = Step(model.kinds[nav.target], nav, id_, nav.many and id_ is None)
        return replace(target, steps=(*target.steps, step))
    if match or (
        name not in last.kind.props and name not in ("id", model.control("id"), model.control("selfLink"))
    ):
        raise missing
    return replace(target, prop=(name,))


def parse_options(
    query: str, model: Model, kind: Kind, *, collection: bool, now: Callable[[], int]
) -> Options:
    """Reads the query of a URL.

    Raises:
        StaError: `sta.no_option`, `sta.twice`, `sta.not_whole`, `sta.not_bool` and the errors of `parse_filter` (400).
    """
    if len(query) > MOST_URL:
        raise StaError("sta.too_long", TOO_LARGE, most=MOST_URL)
    raw: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        name = unquote(name)
        if not name.startswith("$"):
            continue
        if name in raw:
            raise StaError("sta.twice", name=name)
        raw[name] = unquote_plus(value)
    return _options(raw, model, kind, _COLLECTION if collection else _SINGLE, now, MOST_EXPAND)


def _options(  # noqa: C901, PLR0912, PLR0917 - one branch for each option
    raw: Mapping[str, str], model: Model, kind: Kind, allowed: set[str], now: Callable[[], int], depth: int
) -> Options:
    for name in raw:
        if name not in allowed:
            raise StaError("sta.no_option", name=name, hint=did_you_mean(name, allowed))
    options = Options(raw=dict(raw))
    if "$filter" in raw:
        options = replace(options, filter=parse_filter(raw["$filter"], model, kind, now))
    if "$orderby" in raw:
        options = replace(options, order=tuple(parse_orderby(raw["$orderby"], model, kind, now)))
    if "$top" in raw:
        options = replace(options, top=min(_whole("$top", raw["$top"]), MOST_TOP))
    if "$skip" in raw:
        skip = _whole("$skip", raw["$skip"])
        if skip > MOST_SKIP:
            raise StaError("sta.too_deep", most=MOST_SKIP)
        options = replace(options, skip=skip)
    if "$count" in raw:
        if raw["$count"] not in ("true", "false"):
            raise StaError("sta.not_bool", name="$count", text=raw["$count"])
        options = replace(options, count=raw["$count"] == "true")
    if "$select" in raw:
        options = replace(options, select=_select(raw["$select"], model, kind))
    if "$expand" in raw:
        options = replace(options, expand=_expand(raw["$expand"], model, kind, now, depth))
    if "$resultFormat" in raw:
        if raw["$resultFormat"] != "dataArray" or kind.name != "Observation":
            raise StaError("sta.no_format", NOT_IMPLEMENTED, text=raw["$resultFormat"])
        options = replace(options, array=True)
    return replace(options, format=raw.get("$format", ""))


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise StaError("sta.not_whole", name=name, text=text)
    return int(text)


def _select(text: str, model: Model, kind: Kind) -> tuple[tuple[str, ...], ...]:
    chosen = []
    for item in text.split(","):
        names = tuple(item.strip().split("/"))
        known = {*kind.props, *kind.navs, "id", model.control("id"), model.control("selfLink")}
        if names[0] not in known:
            raise StaError("sta.no_property", path=item, kind=kind.name, hint=did_you_mean(names[0], known))
        chosen.append(names)
    return tuple(chosen)


def _expand(text: str, model: Model, kind: Kind, now: Callable[[], int], depth: int) -> tuple[Expand, ...]:
    found: dict[str, Expand] = {}
    for item in _split(text, ","):
        one = _expand_item(item.strip(), model, kind, now, depth)
        name = one.nav.name
        if name in found:  # "Datastreams/Sensor,Datastreams/Thing"
            old = found[name]
            if old.options.raw and one.options.raw:
                raise StaError("sta.twice", name=name)
            base = old.options if old.options.raw else one.options
            joined = replace(base, expand=(*old.options.expand, *one.options.expand))
            found[name] = replace(old, options=joined)
        else:
            found[name] = one
    return tuple(found.values())


def _expand_item(item: str, model: Model, kind: Kind, now: Callable[[], int], depth: int) -> Expand:
    if depth == 0:
        raise StaError("sta.too_deep", most=MOST_EXPAND)
    head, rest = item, ""
    for at, letter in enumerate(item):
        if letter in "/(":
            head, rest = item[:at], item[at:]
            break
    if head not in kind.navs:
        raise StaError("sta.no_property", path=head, kind=kind.name, hint=did_you_mean(head, kind.navs))
    nav = kind.navs[head]
    target = model.kinds[nav.target]
    if rest.startswith("/"):
        inner = _expand_item(rest[1:], model, target, now, depth - 1)
        return Expand(nav, target, Options(expand=(inner,)))
    raw: dict[str, str] = {}
    if rest:
        if not rest.endswith(")"):
            raise StaError("sta.syntax", text=item, at=len(item))
        for pair in _split(rest[1:-1], ";"):
            name, _, value = pair.strip().partition("=")
            if name in raw:
                raise StaError("sta.twice", name=name)
            raw[name] = value
    return Expand(nav, target, _options(raw, model, target, _NESTED, now, depth - 1))


def _split(text: str, mark: str) -> Iterator[str]:
    """Splits at `mark` outside of parentheses and quotes."""
    start, depth, quoted = 0, 0, False
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif letter == mark and depth == 0:
            yield text[start:at]
            start = at + 1
    if text[start:].strip() or start == 0:
        yield text[start:]
