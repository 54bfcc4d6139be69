# SPDX-License-Identifier: Apache-2.0
"""The reference page of all methods, written from their declarations.

Comes in: `METHODS`. Goes out: Markdown, in English with Vietnamese titles and parameter texts. `python -m
mangrove.measure.methods.document docs/reference/methods.md` writes the page anew; a test holds that it is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from mangrove.measure.methods import METHODS
from mangrove.measure.methods.base import Method, Parameter

_HEAD = """# Measuring methods

<!-- Written by `python -m mangrove.measure.methods.document docs/reference/methods.md`. Edit the declarations instead. -->

A method turns one declared flow into kilograms of each gas per unit of the flow. It is chosen in the column `method` of
`flows.csv`, or by the carrier where one method is the default. Parameters stand in the column `parameters`
(`boiler_efficiency=85 %; fuel=diesel`); shares of a mix are written `food 60 % + paper 40 %`. A parameter may state the
half-width of its 95 % interval: `boiler_efficiency_uncertainty=5 %`.

A parameter that the flow does not state is looked up in the rules (NCV, density, DOC, MCF, ...) by the day. When neither
states it, the flow has a gap: a row that says what is missing, never a number.

Every product is closed to a mass by its units: a flow in kWh, GJ or toe of the same fuel gives the same kilograms.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [_HEAD, *_overview(), *(line for method in METHODS.values() for line in _section(method))]
    )


def _overview() -> Iterator[str]:
    yield "| method | what it measures | default for |"
    yield "|---|---|---|"
    for method in METHODS.values():
        carriers = ", ".join(f"`{carrier}`" for carrier in method.carriers)
        yield f"| [`{method.name}`](#{method.name}) | {method.title_en} | {carriers} |"
    yield ""


def _section(method: Method) -> Iterator[str]:
    yield f"## {method.name}"
    yield ""
    yield f"**{method.title_en}** · {method.title_vi} · version {method.version}"
    yield ""
    yield f"- Equation: {method.equation}"
    yield f"- {method.units}"
    yield f"- Source: {method.source}"
    yield ""
    if method.parameters:
        yield "| parameter | unit | | meaning | ý nghĩa |"
        yield "|---|---|---|---|---|"
        for parameter in method.parameters:
            yield _row(parameter)
        yield ""


def _row(parameter: Parameter) -> str:
    needed = "required" if parameter.required else ""
    return (
        f"| `{parameter.name}` | {parameter.unit} | {needed} | {parameter.description_en} "
        f"| {parameter.description_vi} |"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
