# SPDX-License-Identifier: Apache-2.0
"""Streets that are counted, and the network that they must be in."""

import re

import pytest
from tests.measure.traffic.counted_city import FLOWS, city, silent_speeds, write_net
from typer.testing import CliRunner

import mangrove as mg
from mangrove import traffic_state
from mangrove.cli import app
from mangrove.errors import DeclarationError, SourceError

HOUR = ("2026-06-03T07:00", "2026-06-03T08:00")
NET = "traffic:\n  network: small.net.xml\n"


def test_a_network_of_another_city_is_one_finding(tmp_path):
    folder = tmp_path / "city"
    folder.mkdir()
    write_net(folder)
    elsewhere = re.sub(r"link=(\w+)", r"link=far_\1", FLOWS)
    with pytest.raises(DeclarationError) as refused:
        traffic_state.traffic(city(folder, elsewhere, NET), *HOUR)
    (problem,) = refused.value.problems
    assert (problem.code, problem.where.file) == ("vehicles.other_network", "flows.csv")
    assert problem.data["count"] == len(set(re.findall(r"link=far_(\w+)", elsewhere)))
    assert "small.net.xml" in problem.text("vi")


def test_positions_are_matched_and_not_stored_when_nothing_is_to_be_stored(tmp_path):
    pytest.importorskip("fastmm")
    from tests.traffic.test_matching_probes import drive, written

    from mangrove.traffic.sumo_net import read_net

    folder = tmp_path / "Thành phố có dấu"
    made = silent_speeds(folder)
    rows = drive(read_net(folder / "small.net.xml"), "a")
    file = written(tmp_path / "vị trí xe.csv", rows)
    with made.reader() as ledger:
        before = ledger.batches().num_rows
    words = ["traffic", str(folder), "--from", HOUR[0], "--to", HOUR[1], "--probes", str(file)]
    done = CliRunner().invoke(app, [*words, "--dry-run"])
    assert done.exit_code == 0
    assert f"{len(rows)} positions" in done.stderr
    assert "nothing is stored" in done.stderr
    park = mg.open(folder)
    with park.reader() as ledger:
        assert ledger.batches().num_rows == before
    stored = traffic_state.take_probes(park, file)
    tried = traffic_state.take_probes(park, file, store=False)
    assert (tried.points, tried.matched, tried.streets) == (stored.points, stored.matched, stored.streets)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\xaa", b"time,vehicle,lon,lat\n\x80\x81"])
def test_positions_that_are_no_text_are_refused_in_the_language(tmp_path, content):
    folder = tmp_path / "city"
    made = silent_speeds(folder)
    file = tmp_path / "p.csv"
    file.write_bytes(content)
    with pytest.raises(SourceError) as refused:
        traffic_state.take_probes(made, file)
    assert "UTF-8" in refused.value.text("vi")
    assert "codec" not in refused.value.text("en")
