# SPDX-License-Identifier: Apache-2.0
"""The reference page of all assets, written from their declarations.

Comes in: `KINDS` and the docstrings of their files. Goes out: Markdown, in English with Vietnamese titles and parameter texts.
`python -m mangrove.network.assets.document docs/reference/assets.md` writes the page anew; a test holds that it is current.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from mangrove.network.assets import KINDS
from mangrove.network.assets.base import Input, Kind, Parameter

_HEAD = """# Assets

<!-- Written by `python -m mangrove.network.assets.document docs/reference/assets.md`. Edit the declarations instead. -->

An asset is a row of `assets.csv`: its `type` is one of the kinds below, its `parameters` are quantities with units
(`capacity=240 kWp; tilt=10`) and words. Every unit is checked and converted; a parameter that a kind does not know, a wrong
unit, a value out of range or a contradiction is refused, with the line and all other problems at once. Assets of other types
(a furnace, a power plant) stay outside the network.

A capacity is fixed by `capacity`, or chosen when `max_capacity`, `cost` and `life` are declared and a plan is asked for
sizes. Where a default stands, its source stands beside it; where there is none, the parameter is either required or absent.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_overview(), *(line for kind in KINDS.values() for line in _section(kind))])


def _overview() -> Iterator[str]:
    yield "| type | what it is | |"
    yield "|---|---|---|"
    for kind in KINDS.values():
        yield f"| [`{kind.name}`](#{kind.name}) | {kind.title} | {kind.title_vi} |"
    yield ""


def _section(kind: Kind) -> Iterator[str]:
    yield f"## {kind.name}"
    yield ""
    yield f"**{kind.title}** · {kind.title_vi}"
    yield ""
    yield "```text"
    yield (getattr(inspect.getmodule(kind.build), "__doc__", None) or "").strip()
    yield "```"
    yield ""
    yield f"Example: `{kind.example}`"
    yield ""
    yield "| parameter | unit | default | meaning | ý nghĩa | source of the default |"
    yield "|---|---|---|---|---|---|"
    for parameter in kind.parameters:
        yield _row(parameter)
    yield ""
    if kind.inputs:
        yield "| series it reads | unit | meaning | ý nghĩa |"
        yield "|---|---|---|---|"
        for one in kind.inputs:
            yield _input(one)
        yield ""


def _row(parameter: Parameter) -> str:
    default = "required" if parameter.required else ""
    if parameter.default is not None:
        default = f"{parameter.default:.4g}" if isinstance(parameter.default, float) else parameter.default
    source = "" if parameter.source == "declared" else parameter.source
    words = f" ({', '.join(parameter.options)})" if parameter.options else ""
    return f"| `{parameter.name}` | {parameter.unit} | {default} | {parameter.about}{words} | {parameter.about_vi} | {source} |"


def _input(one: Input) -> str:
    optional = "" if one.required else " (may be absent)"
    return f"| `{one.name}` | {one.unit} | {one.about}{optional} | {one.about_vi} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
