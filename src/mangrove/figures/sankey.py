# SPDX-License-Identifier: Apache-2.0
"""The Sankey figure: what becomes what (carriers, sectors, scopes, gases), the width of a ribbon as its amount.

Comes in: links from a node to a node with an amount. Goes out: one SVG. The ribbons at a node add up to its links
exactly; a link that cannot be drawn (negative, missing) is named below and never dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.figures import numbers, svg
from mangrove.figures.palette import ALARM, INK, category_colors, mix

_NODE, _PITCH, _GAP = 14.0, 19.0, 8.0


@dataclass(frozen=True, slots=True)
class SankeyLink:
    """An amount that goes from the node `source` to the node `target`; nodes are told apart by their names."""

    source: str
    target: str
    value: float


@dataclass(slots=True)
class Node:
    """A node as laid out: its layer, its place, its amount as text and the ribbons on both sides."""

    name: str
    layer: int
    into: list[int] = field(default_factory=list)
    out: list[int] = field(default_factory=list)
    amount: float = 0.0
    text: str = ""
    y: float = 0.0
    height: float = 0.0


def sankey(
    links: Sequence[SankeyLink],
    *,
    title: str,
    unit: str = "t CO2e",
    lang: str = "vi",
    width: float = 800,
    height: float = 420,
    layers: Sequence[str] = (),
    heading: bool = True,
) -> str:
    """A Sankey figure from left to right.

    Args:
        links: amounts between nodes; layers follow from them (the longest way from a source).
        title: what is shown.
        unit: unit of the amounts.
        lang: `vi` or `en`.
        width: pixels.
        height: pixels of the drawing; grows when a layer has many nodes.
        layers: words above the layers, from left to right.
        heading: whether the title is drawn (it is always read out).

    Raises:
        RequestError: `figures.sankey_cycle` when the links run in a circle.
    """
    drawn = [link for link in links if numbers.is_number(link.value) and link.value > 0]
    others = [link for link in links if not (numbers.is_number(link.value) and link.value >= 0)]
    nodes = _nodes(drawn)
    columns = _columns(nodes)
    scaling = numbers.scale(max((node.amount for node in nodes.values()), default=None), unit, lang)
    decimals = scaling.decimals(max((node.amount for node in nodes.values()), default=0.0))
    for node in nodes.values():
        node.text = scaling.even(node.amount, decimals=decimals)
    frame = svg.Frame(width, lang, title, scaling.label, _summary(columns, lang), heading)
    top = frame.top + (26 if layers else 8)
    height = max([height, *(len(column) * _PITCH for column in columns)]) if columns else 20.0
    _order(columns, drawn, nodes)
    factor = _place(columns, top, height)
    spans = _stack(drawn, nodes, factor)
    left, right = _margins(columns, width)
    xs = [left + i * (width - left - right - _NODE) / max(len(columns) - 1, 1) for i in range(len(columns))]
    body = _ribbons(drawn, nodes, spans, xs, scaling) + _bars(columns, xs, width)
    body += _heads(layers, xs, frame.top + 12, width)
    notes, extra = _notes(others, scaling, top + height + 22, width)
    return frame.document(body + notes, top + height + 10 + extra)


def _nodes(links: Sequence[SankeyLink]) -> dict[str, Node]:
    """All nodes with the indices of their links and their layer."""
    nodes: dict[str, Node] = {}
    for index, link in enumerate(links):
        nodes.setdefault(link.source, Node(link.source, 0)).out.append(index)
        nodes.setdefault(link.target, Node(link.target, 0)).into.append(index)
    waiting = {name: len(node.into) for name, node in nodes.items()}
    ready = [name for name, count in waiting.items() if not count]
    done = 0
    while ready:
        name = ready.pop()
        done += 1
        for index in nodes[name].out:
            target = nodes[links[index].target]
            target.layer = max(target.layer, nodes[name].layer + 1)
            waiting[target.name] -= 1
            if not waiting[target.name]:
                ready.append(target.name)
    if done < len(nodes):
        raise RequestError("figures.sankey_cycle", nodes=", ".join(n for n, c in waiting.items() if c))
    for node in nodes.values():
        inflow = sum(links[i].value for i in node.into)
        node.amount = max(inflow, sum(links[i].value for i in node.out))
    return nodes


def _columns(nodes: Mapping[str, Node]) -> list[list[Node]]:
    """Nodes by layer, the largest first."""
    columns: list[list[Node]] = [[] for _ in range(1 + max((n.layer for n in nodes.values()), default=-1))]
    for node in sorted(nodes.values(), key=lambda n: (-n.amount, n.name)):
        columns[node.layer].append(node)
    return columns


def _order(columns: list[list[Node]], links: Sequence[SankeyLink], nodes: Mapping[str, Node]) -> None:
    """Sorts each layer by the mean place of its neighbors, forth and back, to reduce crossings."""
    rank = {node.name: i / max(len(column), 1) for column in columns for i, node in enumerate(column)}

    def pull(node: Node, side: str) -> float:
        ends = [links[i].source for i in node.into] if side == "into" else [links[i].target for i in node.out]
        weights = [links[i].value for i in (node.into if side == "into" else node.out)]
        if not ends:
            return rank[node.name]
        return sum(rank[end] * w for end, w in zip(ends, weights, strict=True)) / sum(weights)

    for sweep in range(6):
        side = "into" if sweep % 2 == 0 else "out"
        for column in columns if side == "into" else reversed(columns):
            column.sort(key=lambda node: (pull(node, side), -nodes[node.name].amount, node.name))
            rank.update({node.name: (i + 0.5) / len(column) for i, node in enumerate(column)})


def _place(columns: Sequence[Sequence[Node]], top: float, height: float) -> float:
    """Gives every node its height and place; the pixels per unit come back.

    Neighbors' centers are at least one line of text apart, so labels never touch.
    """
    if not columns:
        return 0.0
    heaviest = max(sum(node.amount for node in column) for column in columns)
    factor = height / heaviest
    while any(_needed(column, factor) > height for column in columns) and factor * heaviest > 1:
        factor *= 0.97
    for column in columns:
        spare = max(height - _needed(column, factor), 0.0)
        y = top + min(spare / 2, 16.0)
        extra = (spare - min(spare, 32.0)) / max(len(column) - 1, 1) if len(column) > 1 else 0.0
        for node in column:
            slot = _slot(node, factor)
            node.height = node.amount * factor
            node.y = y + (slot - node.height) / 2
            y += slot + min(extra, 30.0)
    return factor


def _slot(node: Node, factor: float) -> float:
    return max(node.amount * factor + _GAP, _PITCH)


def _needed(column: Sequence[Node], factor: float) -> float:
    return sum(_slot(node, factor) for node in column)


def _stack(
    links: Sequence[SankeyLink], nodes: Mapping[str, Node], factor: float
) -> list[tuple[float, float, float]]:
    """For every link: its top at the source, its top at the target, its thickness."""
    starts, ends = [0.0] * len(links), [0.0] * len(links)
    for node in nodes.values():
        y = node.y
        for index in sorted(node.out, key=lambda i: nodes[links[i].target].y):
            starts[index] = y
            y += links[index].value * factor
        y = node.y
        for index in sorted(node.into, key=lambda i: nodes[links[i].source].y):
            ends[index] = y
            y += links[index].value * factor
    return [(a, b, link.value * factor) for a, b, link in zip(starts, ends, links, strict=True)]


def _margins(columns: Sequence[Sequence[Node]], width: float) -> tuple[float, float]:
    """Room for the words left of the first layer and right of the last."""
    widest = [max((svg.text_width(_words(n), bold=True) for n in column), default=0.0) for column in columns]
    limit = width * 0.28
    if not widest:
        return 0.0, 0.0
    return min(widest[0] + 10, limit), min(widest[-1] + 10, limit)


def _words(node: Node) -> str:
    return f"{node.name}  {node.text}"


def _ribbons(
    links: Sequence[SankeyLink],
    nodes: Mapping[str, Node],
    spans: Sequence[tuple[float, float, float]],
    xs: Sequence[float],
    scaling: numbers.Scale,
) -> str:
    """The ribbons, in the color of the node they come from."""
    colors = _colors(nodes)
    drawn = []
    for link, (y1, y2, thick) in zip(links, spans, strict=True):
        x1, x2 = xs[nodes[link.source].layer] + _NODE, xs[nodes[link.target].layer]
        middle = (x1 + x2) / 2
        a, b, m = (svg.num(v) for v in (x1, x2, middle))
        top1, top2, low1, low2 = (f"{v:.2f}" for v in (y1, y2, y1 + thick, y2 + thick))
        d = f"M{a},{top1}C{m},{top1} {m},{top2} {b},{top2}V{low2}C{m},{low2} {m},{low1} {a},{low1}z"
        tip = svg.title(f"{link.source} → {link.target}: {scaling.full(link.value)}")
        drawn.append(svg.tag("path", tip, d=d, fill=colors[link.source]))
    return svg.tag("g", *drawn, fill_opacity="0.5") if drawn else ""


def _colors(nodes: Mapping[str, Node]) -> dict[str, str]:
    return category_colors(
        node.name for node in sorted(nodes.values(), key=lambda n: (n.layer, -n.amount, n.name))
    )


def _bars(columns: Sequence[Sequence[Node]], xs: Sequence[float], width: float) -> str:
    """The nodes and their words: outside the first and last layer, right of all others."""
    colors = _colors({node.name: node for column in columns for node in column})
    parts = []
    for index, (column, x) in enumerate(zip(columns, xs, strict=True)):
        first, last = index == 0, index == len(columns) - 1
        limit = x - 6 if first else width - x - _NODE - 6 if last else xs[index + 1] - x - _NODE - 14
        for node in column:
            fill = mix(colors[node.name], INK, 0.15)
            parts.append(svg.rect(x, node.y, _NODE, max(node.height, 0.5), fill, tip=_words(node)))
            place, anchor = (x - 6, "end") if first else (x + _NODE + 6, "start")
            parts.append(_name(node, place, anchor, limit))
    return "".join(parts)


def _name(node: Node, x: float, anchor: str, limit: float) -> str:
    """The name, shortened before the number is."""
    room = max(limit - svg.text_width("  " + node.text, bold=True), 30.0)
    level = node.y + node.height / 2 + 4
    shown = svg.clip(node.name, room)
    return svg.label(
        x,
        level,
        shown,
        anchor=anchor,
        halo=True,
        strong=node.text,
        tip=node.name if shown != node.name else "",
    )


def _heads(layers: Sequence[str], xs: Sequence[float], y: float, width: float) -> str:
    parts = []
    for index, (words, x) in enumerate(zip(layers, xs, strict=False)):
        last = index == len(xs) - 1
        place, anchor = (
            (x + _NODE, "end") if index == 0 else (x, "start") if last else (x + _NODE / 2, "middle")
        )
        parts.append(svg.label(place, y, words, anchor=anchor, bold=True, limit=width / max(len(xs), 1)))
    return "".join(parts)


def _notes(others: Sequence[SankeyLink], scaling: numbers.Scale, y: float, width: float) -> tuple[str, float]:
    """Links that a width cannot show, in words."""
    if not others:
        return "", 0.0
    shown = "; ".join(f"{link.source} → {link.target} {scaling.text(link.value)}" for link in others)
    words = messages.render("figures.not_drawn", scaling.lang, links=shown)
    rows = svg.wrap(words, width, 11.5, lines=4)
    parts = [svg.label(0, y + 16 * i, row, size=11.5, fill=ALARM) for i, row in enumerate(rows)]
    return "".join(parts), 16.0 * len(rows) + 8


def _summary(columns: Sequence[Sequence[Node]], lang: str) -> str:
    if not columns:
        return numbers.no_data(lang)
    layers = [", ".join(f"{n.name} {n.text}" for n in column[:4]) for column in columns]
    return " → ".join(layers)
