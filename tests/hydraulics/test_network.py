# SPDX-License-Identifier: Apache-2.0
"""Reading .inp files: what is there, where it lies, and what is wrong on which line."""

from pathlib import Path

import numpy as np
import pytest
from tests.hydraulics.nets import supply, town

from mangrove.errors import RequestError, SourceError
from mangrove.hydraulics import read_network
from mangrove.hydraulics.inp import read


def test_net3_has_the_parts_that_its_manual_lists():
    found = read_network(supply("Net3"))
    assert [found.count(kind) for kind in ("junction", "reservoir", "tank", "pipe", "pump")] == [
        92,
        2,
        3,
        117,
        2,
    ]
    assert np.isfinite(found.xy).all()
    assert found.us


def test_coordinates_become_degrees_when_their_system_is_known(tmp_path):
    # The Saigon opera house, 10.77664 N 106.70321 E, in UTM zone 48 N (computed with pyproj's definition of the projection).
    from pyproj import Proj

    x, y = Proj(proj="utm", zone=48, ellps="WGS84")(106.70321, 10.77664)
    path = tmp_path / "one.inp"
    path.write_text(
        f"[JUNCTIONS]\n J 5\n K 6\n[RESERVOIRS]\n R 30\n[PIPES]\n P R J 10 100 100\n[COORDINATES]\n J {x} {y}\n R {x + 1000} {y}\n[OPTIONS]\n Units LPS\n",
        encoding="utf-8",
    )
    found = read_network(path, "EPSG:32648")
    assert found.lonlat is not None
    assert found.lonlat[0] == pytest.approx([106.70321, 10.77664], abs=1e-6)
    assert np.isnan(found.lonlat[1]).all(), "K has no coordinates"
    assert found.length[0] == 10, "meters, as LPS says"
    with pytest.raises(RequestError, match="EPSG:0"):
        read_network(path, "EPSG:0")


def test_a_drainage_file_has_areas_with_outlines(tmp_path):
    found = read_network(town(tmp_path))
    assert (found.kind, found.areas) == ("drainage", ("S1", "S2"))
    assert found.area == pytest.approx([50_000, 50_000])
    assert [len(ring) for ring in found.rings] == [4, 0]
    assert [found.nodes[n] for n in found.drains_to] == ["J1", "J3"]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("[JUNCTIONS]\n A 10\n[PIPES]\n P A B 10 100 100\n", "hydraulics.unknown_node", 4),
        ("[JUNCTIONS]\n A ten\n", "hydraulics.bad_number", 2),
        ("[JUNCTIONS]\n A 10\n A 12\n", "hydraulics.twice", 3),
        ("[JUNCTIONS]\n A 10\n[JUNK\n", "hydraulics.bad_section", 3),
        ("Title\n[JUNCTIONS]\n", "hydraulics.outside", 1),
        ("", "hydraulics.no_sections", 0),
        ("[TITLE]\n nothing\n", "hydraulics.no_nodes", 0),
        ("[JUNCTIONS]\n A 1\n B 1\n[PIPES]\n P A B x 100 100\n", "hydraulics.bad_number", 5),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, code, line):
    path = tmp_path / "bad.inp"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        read_network(path)
    assert caught.value.code == code
    assert caught.value.problem.where is not None
    assert caught.value.problem.where.line == line


def test_a_misspelled_node_is_suggested(tmp_path):
    path = tmp_path / "near.inp"
    path.write_text("[JUNCTIONS]\n Well1 1\n Tower 2\n[PIPES]\n P Well1 Towr 1 1 1\n", encoding="utf-8")
    with pytest.raises(SourceError, match="Tower"):
        read_network(path)


def test_files_of_other_code_pages_and_byte_order_marks_are_read(tmp_path):
    path = tmp_path / "viet.inp"
    path.write_bytes("\ufeff[TITLE]\nMạng cấp nước\n[JUNCTIONS]\nNút 1\n".encode())
    assert read(path).sections["JUNCTIONS"][0].words == ("Nút", "1")
    path.write_bytes(b"[JUNCTIONS]\nN\xfat 1\n")
    assert read(path).sections["JUNCTIONS"][0].line == 2
    with pytest.raises(SourceError):
        read(Path("nowhere.inp"))
