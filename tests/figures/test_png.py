# SPDX-License-Identifier: Apache-2.0
"""The small PNG writer makes images that decode to the cells that went in."""

import base64
import struct
import zlib

import numpy as np

from mangrove.figures.png import data_uri, indexed_png


def decode(png: bytes) -> tuple[np.ndarray, bytes]:
    """Cells and color table of an unfiltered indexed PNG, with every checksum verified."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        kind, body = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack(">I", png[position + 8 + length : position + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        chunks[kind], position = body, position + 12 + length
    width, height, depth, color, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, color) == (8, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:], chunks[b"PLTE"]


def test_an_image_decodes_to_the_cells_and_colors_that_went_in():
    cells = np.arange(15, dtype=np.uint8).reshape(3, 5) % 4
    back, table = decode(indexed_png(cells, ["#000000", "#ff0000", "#00ff00", "#0000ff"]))
    assert np.array_equal(back, cells)
    assert table == bytes([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])


def test_a_data_address_holds_the_image():
    head, body = data_uri(b"abc").split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == b"abc"
