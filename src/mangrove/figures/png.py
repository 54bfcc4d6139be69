# SPDX-License-Identifier: Apache-2.0
"""A PNG of few colors with nothing but zlib, for grids of thousands of cells inside an SVG.

Comes in: a matrix of palette indices. Goes out: a data URI. (W3C PNG specification, third edition: color type 3.)
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mangrove.figures.palette import rgb


def indexed_png(cells: NDArray[np.uint8], colors: Sequence[str]) -> bytes:
    """A PNG with one pixel a cell.

    Args:
        cells: palette indices, shape (rows, columns).
        colors: at most 256 colors `#rrggbb`.
    """
    height, width = cells.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    table = bytes(channel for color in colors for channel in rgb(color))
    rows = np.zeros((height, width + 1), np.uint8)  # the first byte of a row names its filter: 0, none
    rows[:, 1:] = cells
    data = zlib.compress(rows.tobytes(), 9)
    chunks = ((b"IHDR", header), (b"PLTE", table), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def data_uri(png: bytes) -> str:
    """The image as a `data:` address, so that a page needs no second file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
