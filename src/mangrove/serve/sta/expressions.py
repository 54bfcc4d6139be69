# SPDX-License-Identifier: Apache-2.0
"""`$filter` and `$orderby`: from text to a typed tree.

Comes in: an expression of the standard (OGC 18-088 tables 22 and 23) and the kind of entity that it is about. Goes out: a tree
of literals, paths and calls in which every type is settled: what is compared has the same type, and a property whose type
is only known row by row (`result`, `properties/x`) is read as the type of what it stands beside. Nothing here knows SQL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, NamedTuple

from mangrove.errors import did_you_mean
from mangrove.serve.sta import geometry, moments
from mangrove.serve.sta.errors import NOT_IMPLEMENTED, StaError
from mangrove.serve.sta.model import ANY, BOOL, GEO, NUMBER, OBJECT, PERIOD, TEXT, TIME, Kind, Model, Nav

DURATION, DATE, CLOCK, NULL = "duration", "date", "clock", "null"
MOST_NODES, MOST_DEPTH = 200, 30
"""A filter of a person or a program stays far below; more is refused before it reaches a database."""


@dataclass(frozen=True, slots=True)
class Lit:
    """A value written in the expression: number, text, bool, microseconds, (start, end), or WKT."""

    value: Any
    type: str


@dataclass(frozen=True, slots=True)
class Path:
    """A property, reached over links; `prop` is `id` or a name of `kind`, `sub` leads on inside a JSON value."""

    navs: tuple[Nav, ...]
    kind: Kind
    prop: str
    sub: tuple[str, ...]
    type: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function; `to:T` reads a value of type `any` as T, or as nothing when the row has another type."""

    op: str
    args: tuple[Node, ...]
    type: str


Node = Lit | Path | Call


class Order(NamedTuple):
    """One term of `$orderby`."""

    node: Node
    descending: bool


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_TOKENS = re.compile(
    r"(?P<space>\s+)|(?P<quoted>(?:(?:geography|geometry|duration)(?='))?'(?:[^']|'')*')"
    r"|(?P<instant>\d{4}-\d\d-\d\d[Tt][\d:.,]+(?:[Zz]|[+\- ]\d\d:?\d\d)?(?:/\d{4}-\d\d-\d\d[Tt][\d:.,]+(?:[Zz]|[+\- ]\d\d:?\d\d)?)?)"
    r"|(?P<date>\d{4}-\d\d-\d\d)|(?P<clock>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<name>(?:[^\W\d][\w.]*|@[\w.]+)(?:/[^/\s(),'\"]+)*)|(?P<sign>[(),])",
)
_COMPARE = ("eq", "ne", "gt", "ge", "lt", "le")
_T = (TIME,)
FUNCTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "substringof": ((TEXT, TEXT), BOOL), "contains": ((TEXT, TEXT), BOOL), "endswith": ((TEXT, TEXT), BOOL),
    "startswith": ((TEXT, TEXT), BOOL), "length": ((TEXT,), NUMBER), "indexof": ((TEXT, TEXT), NUMBER),
    "substring": ((TEXT, NUMBER, NUMBER), TEXT), "tolower": ((TEXT,), TEXT), "toupper": ((TEXT,), TEXT),
    "trim": ((TEXT,), TEXT), "concat": ((TEXT, TEXT), TEXT),
    "year": (_T, NUMBER), "month": (_T, NUMBER), "day": (_T, NUMBER), "hour": (_T, NUMBER), "minute": (_T, NUMBER),
    "second": (_T, NUMBER), "fractionalseconds": (_T, NUMBER), "date": (_T, DATE), "time": (_T, CLOCK),
    "totaloffsetminutes": (_T, NUMBER), "now": ((), TIME), "mindatetime": ((), TIME), "maxdatetime": ((), TIME),
    "round": ((NUMBER,), NUMBER), "floor": ((NUMBER,), NUMBER), "ceiling": ((NUMBER,), NUMBER),
    "geo.distance": ((GEO, GEO), NUMBER), "geo.length": ((GEO,), NUMBER), "geo.intersects": ((GEO, GEO), BOOL),
    **{f"st_{name}": ((GEO, GEO), BOOL) for name in (
        "equals", "disjoint", "touches", "within", "overlaps", "crosses", "intersects", "contains")},
    "st_relate": ((GEO, GEO, TEXT), BOOL),
}  # fmt: skip
"""Functions of the standard: types of arguments and of the result (`substring` also takes two)."""
_PRECEDENCE: tuple[tuple[str, ...], ...] = (
    ("or",), ("and",), ("eq", "ne"), ("gt", "ge", "lt", "le", "in"), ("add", "sub"), ("mul", "div", "mod"),
)  # fmt: skip
_COMPARISON = 2


def parse_filter(text: str, model: Model, kind: Kind, now: Callable[[], int]) -> Node:
    """The tree of a `$filter`; its type is bool.

    Args:
        text: the expression.
        model: the vocabulary.
        kind: of the entities that are filtered.
        now: gives microseconds, for `now()`.

    Raises:
        StaError: `sta.syntax`, `sta.no_property`, `sta.wrong_type` (400), `sta.no_function` (501), `sta.too_deep`.

    Example:
        >>> from mangrove.serve.sta.model import V11
        >>> parse_filter("result gt 20", V11, V11.kinds["Observation"], lambda: 0).op
        'gt'
    """
    parser = _Parser(text, model, kind, now)
    return _want(parser.whole(), BOOL, text)


def parse_orderby(text: str, model: Model, kind: Kind, now: Callable[[], int]) -> list[Order]:
    """The terms of an `$orderby`; raises the errors of `parse_filter`."""
    parser = _Parser(text, model, kind, now)
    terms = [parser.term()]
    while parser.takes("sign", ","):
        terms.append(parser.term())
    parser.end()
    return terms


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str, model: Model, kind: Kind, now: Callable[[], int]) -> None:
        self.text, self.model, self.kind, self.now = text, model, kind, now
        self.tokens = self._tokens()
        self.at = 0
        self.nodes = 0
        self.depth = 0

    def _tokens(self) -> list[_Token]:
        found, at = [], 0
        while at < len(self.text):
            match = _TOKENS.match(self.text, at)
            if match is None:
                raise StaError("sta.syntax", text=self.text, at=at + 1)
            if match.lastgroup != "space":
                found.append(_Token(str(match.lastgroup), match[0], at))
            at = match.end()
        return [*found, _Token("end", "", len(self.text))]

    # Walking over the tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def takes(self, kind: str, text: str) -> bool:
        """Whether the next token is this one; if so it is consumed."""
        if self.token.kind == kind and self.token.text == text:
            self.at += 1
            return True
        return False

    def need(self, text: str) -> None:
        if not self.takes("sign", text):
            self.fail()

    def fail(self) -> None:
        raise StaError("sta.syntax", text=self.text, at=self.token.at + 1)

    def end(self) -> None:
        if self.token.kind != "end":
            self.fail()

    def made(self, node: Node) -> Node:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise StaError("sta.too_deep", most=MOST_NODES)
        return node

    # The grammar

    def whole(self) -> Node:
        node = self.binary(0)
        self.end()
        return node

    def term(self) -> Order:
        node = self.binary(0)
        if node.type in (GEO, OBJECT) or (isinstance(node, Path) and node.type == OBJECT):
            raise StaError("sta.wrong_type", text=self.text, expected="primitive", found=node.type)
        word = self.token.text.lower() if self.token.kind == "name" else ""  # some clients write DESC
        if word in ("asc", "desc"):
            self.at += 1
        return Order(node, word == "desc")

    def binary(self, level: int) -> Node:
        if level == len(_PRECEDENCE):
            return self.unary()
        left = self.binary(level + 1)
        while self.token.kind == "name" and self.token.text in _PRECEDENCE[level]:
            op = self.token.text
            self.at += 1
            if op == "in":
                left = self.made(self.contained(left))
            else:
                left = self.made(self.combine(op, left, self.binary(level + 1)))
        return left

    def unary(self) -> Node:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise StaError("sta.too_deep", most=MOST_DEPTH)
        try:
            if self.takes(
                "name", "not"
            ):  # of a whole comparison: for truth values (not a) eq b is not (a eq b)
                return self.made(Call("not", (_want(self.binary(_COMPARISON), BOOL, self.text),), BOOL))
            if self.takes("sign", "("):
                node = self.binary(0)
                self.need(")")
                return node
            return self.made(self.primary())
        finally:
            self.depth -= 1

    def contained(self, left: Node) -> Node:
        self.need("(")
        options = [self.combine("eq", left, self.unary())]
        while self.takes("sign", ","):
            options.append(self.combine("eq", left, self.unary()))
        self.need(")")
        node = options[0]
        for option in options[1:]:
            node = self.made(Call("or", (node, option), BOOL))
        return node

    def primary(self) -> Node:
        token = self.token
        self.at += 1
        if token.kind == "name":
            if token.text in ("true", "false"):
                return Lit(token.text == "true", BOOL)
            if token.text == "null":
                return Lit(None, NULL)
            if self.takes("sign", "("):
                return self.function(token.text)
            return resolve(token.text.split("/"), self.model, self.kind)
        if token.kind in _LITERALS:
            return _LITERALS[token.kind](token.text)
        self.at -= 1
        self.fail()
        raise AssertionError

    def function(self, name: str) -> Node:
        args: list[Node] = []
        while not self.takes("sign", ")"):
            if args:
                self.need(",")
            args.append(self.binary(0))
        if name not in FUNCTIONS:
            hint = did_you_mean(name, FUNCTIONS)
            raise StaError("sta.no_function", NOT_IMPLEMENTED, name=name, hint=hint)
        expected, result = FUNCTIONS[name]
        fewest = len(expected) - (name == "substring")
        if not fewest <= len(args) <= len(expected):
            raise StaError("sta.arguments", name=name, expected=len(expected), found=len(args))
        wanted = tuple(_want(arg, kind, self.text) for arg, kind in zip(args, expected, strict=False))
        if name == "now":
            return Lit(self.now(), TIME)
        if name in ("mindatetime", "maxdatetime"):
            return Lit(moments.EARLIEST if name == "mindatetime" else moments.LATEST, TIME)
        if name == "contains":
            return Call("substringof", wanted[::-1], result)
        return Call(name, wanted, result)

    # Types

    def combine(self, op: str, left: Node, right: Node) -> Node:
        if op in ("and", "or"):
            return Call(op, (_want(left, BOOL, self.text), _want(right, BOOL, self.text)), BOOL)
        if op in _COMPARE:
            return _compare(op, left, right, self.text)
        return _arithmetic(op, left, right, self.text)


def resolve(names: Sequence[str], model: Model, kind: Kind) -> Path:
    """The path that `names` lead to, from an entity of `kind`; raises `StaError` `sta.no_property`."""
    navs: list[Nav] = []
    here = kind
    for index, name in enumerate(names):
        if name in here.navs:
            navs.append(here.navs[name])
            here = model.kinds[here.navs[name].target]
            continue
        sub = tuple(names[index + 1 :])
        if name in ("id", model.control("id")) and not sub:
            return Path(tuple(navs), here, "id", (), TEXT if here.name == "Observation" else NUMBER)
        prop = here.props.get(name)
        if prop is None or (sub and prop.type not in (ANY, OBJECT, GEO, PERIOD)):
            break
        if prop.type == PERIOD and sub:
            if sub not in (("start",), ("end",)):
                break
            return Path(tuple(navs), here, name, sub, TIME)
        json_value = prop.type == OBJECT or (sub and prop.type == GEO)
        return Path(tuple(navs), here, name, sub, ANY if json_value else prop.type)
    hint = did_you_mean(names[-1], [*here.props, *here.navs])
    raise StaError("sta.no_property", path="/".join(names), kind=here.name, hint=hint)


def _want(node: Node, kind: str, text: str) -> Node:
    """`node` as a value of `kind`; raises `StaError` when it never is one."""
    if node.type in (kind, NULL):
        return Lit(None, kind) if node.type == NULL else node
    if node.type == ANY and kind in (NUMBER, TEXT, BOOL, TIME, GEO):
        return Call(f"to:{kind}", (node,), kind)
    if kind == TIME and node.type == PERIOD:
        return Lit(node.value[0], TIME) if isinstance(node, Lit) else Call("start", (node,), TIME)
    raise StaError("sta.wrong_type", text=text, expected=kind, found=node.type)


def _compare(op: str, left: Node, right: Node, text: str) -> Node:
    for one, other in ((left, right), (right, left)):
        if one.type == NULL:
            if op not in ("eq", "ne"):
                return Lit(value=False, type=BOOL)
            return Call("isnull" if op == "eq" else "notnull", (other,), BOOL)
    if {left.type, right.type} <= {TIME, PERIOD}:
        return Call(op, (left, right), BOOL)
    left, right = _same_id(left, right), _same_id(right, left)
    if left.type == right.type:
        if left.type == GEO:
            raise StaError("sta.wrong_type", text=text, expected="st_equals(...)", found=GEO)
        return Call(op, (left, right), BOOL)
    if left.type == ANY:
        left = _want(left, TIME if right.type == PERIOD else right.type, text)
    elif right.type == ANY:
        right = _want(right, TIME if left.type == PERIOD else left.type, text)
    else:
        raise StaError("sta.wrong_type", text=text, expected=left.type, found=right.type)
    return Call(op, (left, right), BOOL)


def _same_id(one: Node, other: Node) -> Node:
    """An id may be written as a number or as text: a literal takes the type of the id that it is compared with."""
    if isinstance(one, Lit) and isinstance(other, Path) and other.prop == "id":
        if other.type == NUMBER and one.type == TEXT:
            return Lit(float(one.value) if one.value.isdecimal() else math.nan, NUMBER)
        if other.type == TEXT and one.type == NUMBER:
            return Lit(f"{one.value:g}", TEXT)
    return one


def _arithmetic(op: str, left: Node, right: Node, text: str) -> Node:
    kinds = (left.type, right.type)
    if kinds[1] == DURATION and kinds[0] in (TIME, PERIOD) and op in ("add", "sub"):
        return Call(op, (_want(left, TIME, text), right), TIME)
    if kinds == (DURATION, DURATION) and op in ("add", "sub"):
        return Call(op, (left, right), DURATION)
    if kinds[0] in (TIME, PERIOD) and kinds[1] in (TIME, PERIOD) and op == "sub":
        return Call(op, (_want(left, TIME, text), _want(right, TIME, text)), DURATION)
    return Call(op, (_want(left, NUMBER, text), _want(right, NUMBER, text)), NUMBER)


def _quoted(text: str) -> Lit:
    prefix, _, body = text.partition("'")
    value = body[:-1].replace("''", "'")
    if prefix == "duration":
        return Lit(moments.read_duration(value), DURATION)
    if prefix:
        return Lit(geometry.check_wkt(value), GEO)
    return Lit(value, TEXT)


def _instant(text: str) -> Lit:
    start, end = moments.read_period(text)
    return Lit(start, TIME) if end is None else Lit((start, end), PERIOD)


def _number(text: str) -> Lit:
    value = float(text)
    if not math.isfinite(value):
        raise StaError("sta.not_a_number", text=text)
    return Lit(value, NUMBER)


def _date(text: str) -> Lit:
    try:
        return Lit(date.fromisoformat(text).isoformat(), DATE)
    except ValueError:
        raise StaError("sta.not_a_time", text=text) from None


def _clock(text: str) -> Lit:
    try:
        return Lit(time.fromisoformat(text).isoformat("microseconds"), CLOCK)
    except ValueError:
        raise StaError("sta.not_a_time", text=text) from None


_LITERALS: dict[str, Callable[[str], Lit]] = {
    "quoted": _quoted, "instant": _instant, "date": _date, "clock": _clock, "number": _number,
}  # fmt: skip


def paths(node: Node) -> list[Path]:
    """All paths in a tree."""
    if isinstance(node, Path):
        return [node]
    return [path for arg in node.args for path in paths(arg)] if isinstance(node, Call) else []
