# SPDX-License-Identifier: Apache-2.0
"""Trees of `$filter` and `$orderby` to SQL: for SQLite (entities and stored observations) and for DuckDB (values of the ledger).

Comes in: a typed tree. Goes out: SQL text with named places for values (a value is never written into the text), and the joins
that its paths need. Times are microseconds, pairs of them for intervals. A comparison is true or false, never null; everything
else follows the three-valued logic that OData and SQL share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mangrove.ledger.types import Quality
from mangrove.serve.sta.errors import StaError
from mangrove.serve.sta.expressions import Call, Lit, Node, Path, paths
from mangrove.serve.sta.model import ANY, BOOL, GEO, NUMBER, PERIOD, TEXT, TIME, Model, Nav

VALUES_OF_FLOWS = "(select id, id as datastream, feature, series from datastream where series is not null)"
"""Stands for the Observations in the ledger when only their Datastream matters."""
_COMPARE = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*"}
_JSON_TYPES = {NUMBER: "'integer', 'real'", TEXT: "'text'", BOOL: "'true', 'false'"}
_RESULT_KINDS = {NUMBER: "n", TEXT: "t", BOOL: "b"}
Pair = tuple[str, str]


@dataclass
class Binds:
    """Values of a statement by the name of their place; `mark` is what stands before a name."""

    mark: str
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any) -> str:
        """The place for `value`."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"{self.mark}{name}"


class Emitter(ABC):
    """What both dialects share; a dialect says how a path and the functions outside the common subset are written."""

    greatest = "max"

    def __init__(self, binds: Binds) -> None:
        self.binds = binds

    @abstractmethod
    def path(self, path: Path) -> str:
        """A property as one value."""

    @abstractmethod
    def pair(self, path: Path) -> Pair:
        """A property of type time or period as start and end."""

    @abstractmethod
    def cast(self, node: Node, kind: str) -> str:
        """A value of type `any` as `kind`, null for rows where it is of another type."""

    @abstractmethod
    def function(self, name: str, args: list[str]) -> str:
        """A function that the dialects write differently."""

    def emit(self, node: Node) -> str:
        """One value."""
        if isinstance(node, Lit):
            return self.literal(node)
        if isinstance(node, Path):
            return self.pair(node)[0] if node.type in (PERIOD, TIME) else self.path(node)
        return self.call(node)

    def literal(self, node: Lit) -> str:
        """A bound value; constants that are part of the language are written."""
        if node.value is None:
            return "null"
        if node.type == BOOL:
            return "true" if node.value else "false"
        return self.binds.add(node.value[0] if node.type == PERIOD else node.value)

    def times(self, node: Node) -> Pair:
        """Start and end; an instant ends when it starts."""
        if isinstance(node, Lit) and node.type == PERIOD and node.value is not None:
            return self.binds.add(node.value[0]), self.binds.add(node.value[1])
        if isinstance(node, Path) and node.type in (PERIOD, TIME):
            start, end = self.pair(node)
            return start, start if start == end else f"coalesce({end}, {start})"
        text = self.emit(node)
        return text, text

    def call(self, node: Call) -> str:  # noqa: C901, PLR0911 - one line for each operator
        """A call of an operator or a function."""
        op, args = node.op, node.args
        if op.startswith("to:"):
            return self.cast(args[0], op[3:])
        if op in ("start", "edge:0", "edge:1"):
            return self.times(args[0])[op == "edge:1"]
        if op in ("isnull", "notnull"):
            return f"({self.emit(args[0])} is {'' if op == 'isnull' else 'not '}null)"
        if op == "not":
            return f"(not {self.emit(args[0])})"
        if op in ("and", "or"):
            return f"({self.emit(args[0])} {op} {self.emit(args[1])})"
        if op in ("eq", "ne", *_COMPARE):
            return self.compare(op, *args)
        texts = [self.emit(arg) for arg in args]
        if op in _ARITHMETIC:
            return f"({texts[0]} {_ARITHMETIC[op]} {texts[1]})"
        if op == "div":
            return f"(1.0 * {texts[0]} / nullif({texts[1]}, 0))"
        if op == "totaloffsetminutes":
            return f"(case when {texts[0]} is not null then 0 end)"
        if op == "substring":
            first = f"cast({self.greatest}({texts[1]}, 0) as integer) + 1"
            rest = f", cast({self.greatest}({texts[2]}, 0) as integer)" if len(texts) > 2 else ""  # noqa: PLR2004
            return self.function("substring", [texts[0], first + rest])
        return self.function(op, texts)

    def same(self, one: str, other: str) -> str:
        """Equality that is never null."""
        return f"({one} is {other})"

    def compare(self, op: str, left: Node, right: Node) -> str:
        """A comparison; intervals: `lt` when one ends before the other begins, `ge` when both edges are not earlier."""
        if left.type in (TIME, PERIOD):
            (a, a_end), (b, b_end) = self.times(left), self.times(right)
            if op == "ne":
                return f"(not {self.compare('eq', left, right)})"
            if op == "eq":
                return f"({self.same(a, b)} and {self.same(a_end, b_end)})"
            texts = {
                "lt": f"{a_end} <= {b} and {a} < {b}",
                "gt": f"{a} >= {b_end} and {b} < {a}",
                "le": f"{a} <= {b} and {a_end} <= {b_end}",
                "ge": f"{a} >= {b} and {a_end} >= {b_end}",
            }
            return f"coalesce({texts[op]}, false)"
        one, other = self.emit(left), self.emit(right)
        if op in ("eq", "ne"):
            same = self.same(one, other)
            return same if op == "eq" else f"(not {same})"
        return f"coalesce({one} {_COMPARE[op]} {other}, false)"


class Sqlite(Emitter):
    """SQL for the store of entities. `ledger` puts the values of the ledger in the place of stored observations.

    Args:
        model: the vocabulary; alias: of the table that the expression is about.
        seen: gives the condition under which a row of a table may be seen, or an empty text.
    """

    def __init__(
        self,
        model: Model,
        binds: Binds,
        alias: str,
        seen: Callable[[str, str], str],
        *,
        ledger: bool = False,
        unique: str = "x",
    ) -> None:
        super().__init__(binds)
        self.model, self.alias, self.seen, self.ledger, self.unique = model, alias, seen, ledger, unique
        self.joins: list[str] = []
        self.aliases: dict[tuple[str, ...], str] = {(): alias}

    def reach(self, navs: Sequence[Nav]) -> str:
        """The alias of what a chain of links leads to; the joins are made at the first use."""
        for depth in range(1, len(navs) + 1):
            key = tuple(nav.name for nav in navs[:depth])
            if key not in self.aliases:
                self.aliases[key] = f"{self.unique}{len(self.aliases)}"
                self.joins.append(self.join(navs[depth - 1], self.aliases[key[:-1]], self.aliases[key]))
        return self.aliases[tuple(nav.name for nav in navs)]

    def join(self, nav: Nav, here: str, there: str) -> str:
        """One `left join` along a link."""
        table = self.model.kinds[nav.target].table
        seen = self.seen(table, there)
        also = f" and {seen}" if seen else ""
        source = VALUES_OF_FLOWS if self.ledger and table == "observation" else table
        if nav.pairs:
            pairs, mine, other = nav.pairs
            bridge = f"{there}_p"
            return (
                f"left join {pairs} {bridge} on {bridge}.{mine} = {here}.id "
                f"left join {source} {there} on {there}.id = {bridge}.{other}{also}"
            )
        on = f"{there}.{nav.back} = {here}.id" if nav.back else f"{there}.id = {here}.{nav.fk}"
        return f"left join {source} {there} on {on}{also}"

    def path(self, path: Path) -> str:
        """See `Emitter.path`."""
        alias = self.reach(path.navs)
        if path.prop == "id":
            return f"'s' || {alias}.id" if path.kind.table == "observation" else f"{alias}.id"
        prop = path.kind.props[path.prop]
        column = prop.sql[0].format(t=alias)
        if path.sub and prop.name == "result":
            return (
                f"(case when {alias}.result_kind = 'j' then json_extract({column}, {self.place(path)}) end)"
            )
        if path.type == ANY and prop.name != "result":
            return f"json_extract({column}, {self.place(path)})"
        return column

    def place(self, path: Path) -> str:
        """The bound JSON path of the part of a property."""
        return self.binds.add("$" + "".join(f'."{name}"' for name in path.sub))

    def pair(self, path: Path) -> Pair:
        """See `Emitter.pair`."""
        alias = self.reach(path.navs)
        texts = [text.format(t=alias) for text in path.kind.props[path.prop].sql]
        if path.sub:
            text = texts[0] if path.sub == ("start",) else texts[1]
            return text, text
        return texts[0], texts[-1]

    def cast(self, node: Node, kind: str) -> str:
        """See `Emitter.cast`."""
        if not isinstance(node, Path):
            return self.emit(node)
        text = self.path(node)
        if kind == TIME:
            return f"sta_time({text})"
        alias = self.reach(node.navs)
        column = node.kind.props[node.prop].sql[0].format(t=alias)
        if node.prop == "result" and not node.sub:
            if kind == GEO:
                return f"(case when {alias}.result_kind = 'j' then {column} end)"
            return f"(case when {alias}.result_kind = '{_RESULT_KINDS[kind]}' then {column} end)"
        if kind == GEO:
            return text
        guard = f" and {alias}.result_kind = 'j'" if node.prop == "result" else ""
        source = f"(case when {alias}.result_kind = 'j' then {column} end)" if guard else column
        return f"(case when json_type({source}, {self.place(node)}) in ({_JSON_TYPES[kind]}) then {text} end)"

    def function(self, name: str, args: list[str]) -> str:  # noqa: PLR0911 - one line for each function
        """See `Emitter.function`."""
        if name == "substringof":
            return f"(instr({args[1]}, {args[0]}) > 0)"
        if name == "startswith":
            return f"(substr({args[0]}, 1, length({args[1]})) = {args[1]})"
        if name == "endswith":
            size = f"length({args[0]}) - length({args[1]})"
            return f"(case when {size} >= 0 then substr({args[0]}, {size} + 1) = {args[1]} else {size} is null and null end)"
        if name == "indexof":
            return f"(instr({args[0]}, {args[1]}) - 1)"
        if name == "concat":
            return f"({args[0]} || {args[1]})"
        if name == "substring":
            return f"substr({args[0]}, {args[1]})"
        if name in ("length", "round"):
            return f"{name}({args[0]})"
        if name in ("tolower", "toupper", "trim", "floor", "ceiling", "mod"):
            return f"sta_{name}({', '.join(args)})"
        if name.startswith(("geo.", "st_")):
            return f"sta_geo('{name}', {', '.join(args)})"
        return f"sta_part('{name}', {args[0]})"


_QUALITIES = " ".join(f"when {int(code)} then '{code.name.lower()}'" for code in Quality)


class Duck(Emitter):
    """SQL for the values of the ledger, joined with one row for each of their flows.

    Everything that depends on the Datastream only (its name, its Thing, its place) is worked out by SQLite beforehand and
    stands in the columns of that row: `columns` says which.
    """

    greatest = "greatest"

    def __init__(self, binds: Binds, *, extras: bool) -> None:
        super().__init__(binds)
        self.extras = extras
        self.columns: list[Node] = []
        self.uses_batch = False

    def emit(self, node: Node) -> str:
        """See `Emitter.emit`."""
        if not isinstance(node, Lit) and not any(path.kind.table == "observation" for path in paths(node)):
            if node.type == ANY:
                node = Call(f"to:{NUMBER}", (node,), NUMBER)
            return self.dimension(node)
        return super().emit(node)

    def dimension(self, node: Node) -> str:
        """The column that SQLite fills for this part of the expression."""
        if node not in self.columns:
            self.columns.append(node)
        return f"dim.c{self.columns.index(node)}"

    def times(self, node: Node) -> Pair:
        """See `Emitter.times`."""
        if isinstance(node, Path) and node.kind.table != "observation" and node.type == PERIOD:
            return self.dimension(Call("edge:0", (node,), TIME)), self.dimension(
                Call("edge:1", (node,), TIME)
            )
        return super().times(node)

    def path(self, path: Path) -> str:
        """See `Emitter.path`."""
        if path.prop == "id":
            return "(r.flow || '-' || epoch_us(r.start))"
        if path.prop == "result":
            return "null" if path.sub else "(case when isnan(r.value) then null else r.value end)"
        if path.prop == "resultQuality" and path.sub in (("code",), ("name",)):
            return "r.quality" if path.sub == ("code",) else f"(case r.quality {_QUALITIES} end)"
        if path.prop == "resultQuality" and not path.sub:
            return "r.quality"
        if path.sub == ("batch",):
            return "r.batch"
        return "null"

    def pair(self, path: Path) -> Pair:
        """See `Emitter.pair`."""
        if path.prop == "phenomenonTime":
            end = (
                "(case when dim.months > 0 then epoch_us(r.start + to_microseconds(dim.shift) + to_months(dim.months)) "
                "- dim.shift else epoch_us(r.start) + dim.step end)"
            )
            pair = ("epoch_us(r.start)", end)
        elif path.prop == "resultTime":
            self.uses_batch = True
            pair = (
                "coalesce(x.result_time, epoch_us(b.recorded_at))"
                if self.extras
                else "epoch_us(b.recorded_at)",
            ) * 2
        else:
            pair = ("x.valid_start", "x.valid_end") if self.extras else ("null::bigint", "null::bigint")
        if path.sub:
            return (pair[0],) * 2 if path.sub == ("start",) else (pair[1],) * 2
        return pair

    def cast(self, node: Node, kind: str) -> str:
        """See `Emitter.cast`."""
        if not isinstance(node, Path):
            return self.emit(node)
        fits = {"result": NUMBER, "resultQuality": TEXT if node.sub == ("name",) else NUMBER}.get(
            node.prop, NUMBER
        )
        return self.path(node) if kind == fits else f"null::{_DUCK_TYPES.get(kind, 'varchar')}"

    def literal(self, node: Lit) -> str:
        """See `Emitter.literal`."""
        text = super().literal(node)
        return f"{text}::double" if node.type == NUMBER and node.value is not None else text

    def same(self, one: str, other: str) -> str:
        """See `Emitter.same`."""
        return f"({one} is not distinct from {other})"

    def function(self, name: str, args: list[str]) -> str:
        """See `Emitter.function`."""
        if name in _DUCK:
            return _DUCK[name].format(*args)
        return f"{name}(make_timestamp(cast({args[0]} as bigint)))"


_DUCK_TYPES = {NUMBER: "double", TEXT: "varchar", BOOL: "boolean", TIME: "bigint"}
_DUCK: Mapping[str, str] = {
    "substringof": "contains({1}, {0})", "startswith": "starts_with({0}, {1})", "endswith": "ends_with({0}, {1})",
    "indexof": "(strpos({0}, {1}) - 1)", "length": "length({0})", "tolower": "lower({0})", "toupper": "upper({0})",
    "trim": "trim({0})", "concat": "({0} || {1})", "substring": "substr({0}, {1})",
    "round": "round({0})", "floor": "floor({0})", "ceiling": "ceil({0})", "mod": "({0} % nullif({1}, 0))",
    "date": "strftime(make_timestamp(cast({0} as bigint)), '%Y-%m-%d')",
    "time": "strftime(make_timestamp(cast({0} as bigint)), '%H:%M:%S.%f')",
    "fractionalseconds": "(({0} % 1000000) / 1000000.0)",
}  # fmt: skip


def window(node: Node | None) -> tuple[int, int] | None:
    """The window of starts outside of which no value meets the filter; None when it has no bound on both sides or one.

    Only terms joined by `and` are looked at, so the filter itself still decides.
    """
    low, high = -(2**62), 2**62
    for term in _terms(node):
        if not (isinstance(term, Call) and term.op in ("eq", *_COMPARE)):
            continue
        left, right = term.args
        op = term.op
        if isinstance(left, Lit):
            left, right, op = right, left, {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}.get(op, op)
        if not (is_start(left) and isinstance(right, Lit) and right.value is not None):
            continue
        first, last = right.value if right.type == PERIOD else (right.value, right.value)
        if op in ("ge", "gt", "eq"):
            low = max(low, first)
        if op in ("le", "lt", "eq"):
            high = min(high, last + 1)
    return None if (low, high) == (-(2**62), 2**62) else (low, max(high, low))


def is_start(node: Node) -> bool:
    """Whether a node is the start of an Observation's phenomenonTime."""
    if isinstance(node, Call) and node.op == "start":
        node = node.args[0]
    return (
        isinstance(node, Path)
        and node.kind.table == "observation"
        and node.prop == "phenomenonTime"
        and node.sub in ((), ("start",))
    )


def _terms(node: Node | None) -> list[Node]:
    if isinstance(node, Call) and node.op == "and":
        return [term for arg in node.args for term in _terms(arg)]
    return [] if node is None else [node]


def require_one_way(node: Node, most: int) -> None:
    """Raises `StaError` when a filter reaches Observations more than `most` times in a path, or over different chains of links."""
    chains = set()
    for path in paths(node):
        names = [nav.name for nav in path.navs]
        if names.count("Observations") > most:
            raise StaError("sta.no_way", path="/".join(names))
        if "Observations" in names:
            chains.add(tuple(names[: names.index("Observations") + 1]))
    if len(chains) > 1:
        raise StaError("sta.no_way", path=" | ".join("/".join(chain) for chain in sorted(chains)))
