# SPDX-License-Identifier: Apache-2.0
"""The shapes of matching: a past exchange, and names of array types.

Comes in: nothing. Goes out: types that the other modules of the room share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.floating[Any]]
    Ints: TypeAlias = NDArray[np.integer[Any]]
    Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """A past or running exchange, as memory.

    Attributes:
        nace_from, nace_to: industries of giver and taker by NACE code without dots; several are possible.
        text: what was exchanged, in words.
        ewc: its waste codes, six digits; several when the record leaves it open.
        use: what the taker made of it, in words.
        id: where it is written: a number of the file, the id of a running exchange.
        study: cases of one study share it; they never vouch for each other when ranking is tested.
        giver, taker: places of a running exchange; empty for one from a file.
    """

    nace_from: tuple[str, ...]
    nace_to: tuple[str, ...]
    text: str
    ewc: tuple[str, ...] = ()
    use: str = ""
    id: str = ""
    study: str = ""
    giver: str = ""
    taker: str = ""


def industry_likeness(one: str, other: str) -> float:
    """How alike two NACE codes are: 1 for the same class of four digits, 0.8 for the same group, 0.5 for the same division, else 0.

    Example:
        >>> [industry_likeness("2410", code) for code in ("2410", "241", "2442", "1011", "")]
        [1.0, 0.8, 0.5, 0.0, 0.0]
    """
    if not one or not other:
        return 0.0
    longest = min(len(one), len(other), 4)
    for digits, likeness in ((4, 1.0), (3, 0.8), (2, 0.5)):
        if longest >= digits and one[:digits] == other[:digits]:
            return likeness
    return 0.0
