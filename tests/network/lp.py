"""A program as text that a person can check by hand: one line a row, named by its block and position.

The golden files in `lp_files` are such texts. Positions are those of the block's shape without the dimensions of length one, so
`grid(1)` of one item and one scenario is step 1. Bounds of [0, inf) are not written. Equal positions are added up first.
"""

from itertools import product

import numpy as np

from mangrove.network.program import Program


def text(program: Program, title: str = "", binaries=()) -> str:
    """The program: costs, rows in order, bounds in order."""
    columns, rows = _names(program.column_blocks), _names(program.row_blocks)
    lines = [f"\\ {line}" for line in title.strip().splitlines()]
    lines += ["minimize", f"  {_sum(program.cost, columns)}", "subject to"]
    matrix = program.matrix().toarray()
    for name, terms, low, high in zip(rows, matrix, program.row_lower, program.row_upper, strict=True):
        lines.append(f"  {name}: {_between(_sum(terms, columns), low, high)}")
    bounds = [
        f"  {_between(name, low, high)}"
        for name, low, high in zip(columns, program.lower, program.upper, strict=True)
        if (low, high) != (0.0, np.inf)
    ]
    lines += ["bounds", *bounds] if bounds else []
    if len(binaries):
        lines.append("binary")
        lines += [f"  {columns[at]}" for at in binaries]
    return "\n".join(lines) + "\n"


def _names(blocks) -> list[str]:
    found = []
    for block in blocks:
        used = [i for i, size in enumerate(block.shape) if size > 1]
        for at in product(*(range(size) for size in block.shape)):
            where = ",".join(str(at[i]) for i in used)
            found.append(block.name.replace(" ", "_") + (f"({where})" if where else ""))
    assert len(set(found)) == len(found), "two columns or rows with one name"
    return found


def _sum(values, names) -> str:
    parts = []
    for value, name in zip(values, names, strict=True):
        if value:
            sign = "-" if value < 0 else "+"
            factor = "" if abs(value) == 1 else f"{abs(value):.6g} "
            parts.append(f"{sign} {factor}{name}")
    joined = " ".join(parts) or "0"
    return joined.removeprefix("+ ")


def _between(middle: str, low: float, high: float) -> str:
    if low == high:
        return f"{middle} = {low:.6g}"
    if np.isinf(low) and np.isinf(high):
        return f"{middle} free"
    if np.isinf(low):
        return f"{middle} <= {high:.6g}"
    if np.isinf(high):
        return f"{middle} >= {low:.6g}"
    return f"{low:.6g} <= {middle} <= {high:.6g}"
