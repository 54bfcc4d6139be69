"""Lengths of links with the crossing behind them."""

import pytest

from mangrove.errors import SourceError
from mangrove.traffic.crossings import crossing_lengths

NET = """<net>
<edge id=":n_0" function="internal"><lane id=":n_0_0" index="0" speed="8" length="12.0"/></edge>
<edge id=":n_1" function="internal"><lane id=":n_1_0" index="0" speed="8" length="5.0"/></edge>
<edge id=":n_2" function="internal"><lane id=":n_2_0" index="0" speed="8" length="9.0"/></edge>
<edge id="a" from="m" to="n"><lane id="a_0" index="0" speed="14" length="100"/></edge>
<connection from="a" to="b" fromLane="0" toLane="0" via=":n_0_0"/>
<connection from="a" to="c" fromLane="0" toLane="0" via=":n_1_0"/>
<connection from=":n_1" to="c" fromLane="0" toLane="0" via=":n_2_0"/>
<connection from="b" to="d" fromLane="0" toLane="0"/>
</net>"""


def test_a_crossing_is_as_long_as_the_mean_of_its_movements_with_all_their_pieces(tmp_path):
    file = tmp_path / "small.net.xml"
    file.write_text(NET)
    assert crossing_lengths(file) == {"a": pytest.approx((0.012 + 0.005 + 0.009) / 2)}


def test_a_broken_file_is_named(tmp_path):
    file = tmp_path / "small.net.xml"
    file.write_text(NET[:300])
    with pytest.raises(SourceError, match=r"small\.net\.xml"):
        crossing_lengths(file)
