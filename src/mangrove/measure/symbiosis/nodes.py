# SPDX-License-Identifier: Apache-2.0
"""Which amounts must add up: the balances of exchanges, what they lose on the way, and what they are a part of.

Comes in: declared exchanges and flows. Goes out: groups of quantities with their balances, as rows of a matrix. Two kinds of rows:

    given x (1 - loss) - taken = 0             what leaves, less what is lost, arrives
    sum of parts + rest - whole = 0            parameters `whole=<flow>` and, when the rest is metered, `rest=<flow>`

Exchanges that are parts of one whole are one group; every other exchange is a group of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mangrove.errors import DeclarationError, Problem, did_you_mean
from mangrove.measure.plan import is_rate
from mangrove.measure.symbiosis.meters import Window
from mangrove.measure.uncertainty import Z95
from mangrove.territory.model import Exchange, Flow, Territory
from mangrove.territory.symbiosis import amount_unit
from mangrove.units import Quantity, Unit

GIVEN, TAKEN, LOSS, WHOLE, REST = "given", "taken", "loss", "whole", "rest"


@dataclass(frozen=True, slots=True)
class Node:
    """One quantity of a group.

    Attributes:
        role: one of the words above; exchange: id, empty for a whole and its rest; flow: what meters it, or None.
        unit: in which it is reckoned; window: when it runs.
        meter: identity of the meter: quantities of one meter share its error.
        sd: relative standard deviation of the meter; None when none is declared. A loss has that of its share of what is sent.
    """

    role: str
    exchange: str
    flow: str | None
    unit: Unit
    window: Window
    meter: str = ""
    sd: float | None = None


@dataclass(slots=True)
class Group:
    """Quantities that balances connect: `rows[k][i]` is the coefficient of quantity i in balance k."""

    nodes: list[Node] = field(default_factory=list)
    rows: list[dict[int, float]] = field(default_factory=list)

    def index(self, role: str, exchange: str) -> int:
        """The position of a quantity."""
        return next(i for i, node in enumerate(self.nodes) if node.role == role and node.exchange == exchange)

    @property
    def exchanges(self) -> tuple[str, ...]:
        """The ids of its exchanges."""
        return tuple(dict.fromkeys(node.exchange for node in self.nodes if node.exchange))

    def matrix(self) -> list[list[float]]:
        """(K, N) coefficients."""
        return [[row.get(i, 0.0) for i in range(len(self.nodes))] for row in self.rows]


def unit_of(exchange: Exchange, territory: Territory) -> Unit:
    """The unit of the amounts of an exchange: of the flow that meters what is sent, else of what is received."""
    return amount_unit(territory.flows[exchange.sent or exchange.received or ""])


def groups(territory: Territory, exchanges: Sequence[Exchange]) -> tuple[list[Group], list[Problem]]:
    """The groups of balances, and what people should know about their meters.

    Raises:
        DeclarationError: a parameter names a flow that does not exist, has a wrong unit or is no share; all of them at once.
    """
    wrong = [problem for one in exchanges for problem in _problems(one, territory)]
    if wrong:
        raise DeclarationError(wrong)
    found: dict[str, Group] = {}
    notes: list[Problem] = []
    for one in exchanges:
        whole = word(one, "whole")
        group = found.setdefault(f"whole:{whole}" if whole else f"exchange:{one.id}", Group())
        notes += _add_exchange(group, one, territory)
        if whole:
            _add_part(group, one, territory, whole)
    return list(found.values()), notes


def window_of(exchange: Exchange, territory: Territory) -> Window:
    """When an exchange runs."""
    return Window.of(exchange.valid_from, exchange.valid_to, territory.tz)


def word(exchange: Exchange, name: str) -> str:
    """A parameter that is a word; empty when it is not declared."""
    value = exchange.parameters.get(name)
    return "" if value is None else str(value).strip()


def share(exchange: Exchange, name: str) -> float | None:
    """A parameter that is a share, as a fraction."""
    value = exchange.parameters.get(name)
    return value.to("1") if isinstance(value, Quantity) else None


def qualities(exchange: Exchange) -> dict[str, str]:
    """The state flows of the properties of what is exchanged, by name (`quality_<name>=<flow>`)."""
    begins = "quality_"
    return {
        name[len(begins) :]: word(exchange, name) for name in exchange.parameters if name.startswith(begins)
    }


def _add_exchange(group: Group, exchange: Exchange, territory: Territory) -> Iterator[Problem]:
    counted, window = unit_of(exchange, territory), window_of(exchange, territory)
    ends = [_node(GIVEN, exchange.id, territory.flows.get(exchange.sent or ""), counted, window)]
    ends.append(_node(TAKEN, exchange.id, territory.flows.get(exchange.received or ""), counted, window))
    given, taken = ends
    if given.flow and taken.flow and given.meter == taken.meter:
        data = {"exchange": exchange.id, "meter": given.meter}
        yield Problem("symbiosis.same_meter", data, exchange.where, "warning")
        ends[1] = replace(taken, flow=None)
    elif not (given.flow and taken.flow):
        data = {"exchange": exchange.id, "flow": given.flow or taken.flow or ""}
        yield Problem("symbiosis.one_meter", data, exchange.where, "note")
    for node in ends:
        if node.flow and node.sd is None:
            data = {"exchange": exchange.id, "flow": node.flow}
            yield Problem("symbiosis.no_uncertainty", data, exchange.where, "warning")
    first = len(group.nodes)
    group.nodes += ends
    row = {first: 1 - (share(exchange, "loss") or 0.0), first + 1: -1.0}
    spread = (share(exchange, "loss") or 0.0) * (share(exchange, "loss_uncertainty") or 0.0) / Z95
    if spread:
        group.nodes.append(Node(LOSS, exchange.id, None, counted, window, f"loss:{exchange.id}", spread))
        row[first + 2] = -1.0
    group.rows.append(row)


def _add_part(group: Group, exchange: Exchange, territory: Territory, whole: str) -> None:
    """Makes an end of the exchange a part of the whole: the giver's, unless the whole is metered at the taker."""
    flow = territory.flows[whole]
    at_taker = territory.lies_in(flow.place, exchange.to_place) and flow.place != exchange.place
    end = group.index(TAKEN if at_taker else GIVEN, exchange.id)
    counted = amount_unit(flow)
    sums = [row for row in group.rows if any(group.nodes[i].role == WHOLE for i in row)]
    window = window_of(exchange, territory)
    if not sums:
        rest = territory.flows.get(word(exchange, "rest"))
        nodes = [_node(WHOLE, "", flow, counted, window)]
        nodes.append(_node(REST, "", rest, counted, window))
        first = len(group.nodes)
        group.nodes += nodes
        group.rows.append({first: -1.0, first + 1: 1.0, end: group.nodes[end].unit.to(counted)})
        return
    sums[0][end] = group.nodes[end].unit.to(counted)
    for i, node in enumerate(group.nodes):
        if node.role in (WHOLE, REST):
            group.nodes[i] = replace(node, window=node.window.around(window))


def _node(role: str, exchange: str, flow: Flow | None, counted: Unit, window: Window) -> Node:
    if flow is None:
        return Node(role, exchange, None, counted, window)
    sd = None if flow.uncertainty is None else flow.uncertainty / Z95
    return Node(role, exchange, flow.id, counted, window, f"meter:{flow.meter or flow.id}", sd)


def _problems(exchange: Exchange, territory: Territory) -> Iterator[Problem]:
    """What is wrong with the parameters and the meters of an exchange."""
    flows, where = territory.flows, exchange.where
    for name in ("loss", "loss_uncertainty"):
        value = exchange.parameters.get(name)
        one = value.unit.converts_to("1") if isinstance(value, Quantity) else False
        if value is not None and not (one and 0 <= value.to("1") < (1 if name == "loss" else 10)):  # type: ignore[union-attr]
            yield Problem(
                "symbiosis.bad_share", {"exchange": exchange.id, "name": name, "text": str(value)}, where
            )
    named = {name: word(exchange, name) for name in ("whole", "rest") if name in exchange.parameters}
    named |= {f"quality_{name}": flow for name, flow in qualities(exchange).items()}
    for name, flow in named.items():
        if flow not in flows:
            data = {"exchange": exchange.id, "name": name, "text": flow, "hint": did_you_mean(flow, flows)}
            yield Problem("symbiosis.no_flow", data, where)
    if "rest" in named and "whole" not in named:
        yield Problem("symbiosis.rest_alone", {"exchange": exchange.id}, where)
    amounts = [flow for flow in (exchange.sent, exchange.received) if flow]
    sums = [named[name] for name in ("whole", "rest") if named.get(name, "") in flows]
    yield from _unit_problems(exchange, territory, [*amounts, *sums])
    yield from _quality_problems(exchange, flows)


def _unit_problems(exchange: Exchange, territory: Territory, flows: Iterable[str]) -> Iterator[Problem]:
    counted = unit_of(exchange, territory)
    for name in flows:
        flow = territory.flows[name]
        if flow.semantics == "state" or (is_rate(flow) and flow.step is None):
            data = {"exchange": exchange.id, "flow": flow.id, "semantics": flow.semantics}
            yield Problem("symbiosis.no_amount", data, exchange.where)
        elif not amount_unit(flow).converts_to(counted):
            data = {
                "exchange": exchange.id,
                "flow": flow.id,
                "unit": amount_unit(flow).text,
                "expected": counted.text,
            }
            yield Problem("symbiosis.other_unit", data, exchange.where)


def _quality_problems(exchange: Exchange, flows: Mapping[str, Flow]) -> Iterator[Problem]:
    """A limit without its property, or in a unit that is not that of the property."""
    known = qualities(exchange)
    for name, value in exchange.parameters.items():
        kind, _, of = name.partition("_")
        if kind not in ("max", "min") or not of:
            continue
        flow = flows.get(known.get(of) or "")
        if of not in known:
            yield Problem("symbiosis.limit_alone", {"exchange": exchange.id, "name": name}, exchange.where)
        elif flow and not (isinstance(value, Quantity) and value.unit.converts_to(flow.unit)):
            data = {"exchange": exchange.id, "flow": flow.id, "unit": flow.unit.text, "expected": str(value)}
            yield Problem("symbiosis.other_unit", data, exchange.where)
