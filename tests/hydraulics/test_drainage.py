# SPDX-License-Identifier: Apache-2.0
"""SWMM through the adapter, held against SWMM's own report, conservation and a design storm's closed form."""

import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from tests.hydraulics.nets import supply, town

from mangrove.errors import RequestError, SourceError
from mangrove.hydraulics import Drainage, Rain, read_network, simulate_drainage, storm

START = datetime(2026, 9, 1, 15)  # noqa: DTZ001 - the clock on the wall


@pytest.fixture(scope="module")
def flood(tmp_path_factory) -> Drainage:
    path = town(tmp_path_factory.mktemp("town"))
    return simulate_drainage(read_network(path), storm(100.0, 3.0, START))


def summary(report: str, title: str) -> list[list[str]]:
    """The rows of a table of SWMM's report."""
    lines = report[report.index(title) :].splitlines()
    rules = [n for n, line in enumerate(lines) if set(line.strip()) == {"-"} and len(line.strip()) > 20]
    body = lines[rules[1] + 1 :]
    end = next(n for n, line in enumerate(body) if not line.strip())
    return [line.split() for line in body[:end]]


def test_flooded_nodes_are_those_of_swmms_report(flood):
    told = {
        row[0]: (float(row[1]), float(row[5]) * 1000)
        for row in summary(flood.report, "Node Flooding Summary")
    }
    assert flood.flooded_nodes == ("J3", "J1", "J2")
    for node, (hours, volume) in told.items():
        at = flood.network.nodes.index(node)
        assert flood.flooded_hours[at] == pytest.approx(hours, abs=0.03)
        assert flood.flooded[at] == pytest.approx(volume, abs=0.6)


def test_conduits_over_full_are_those_of_swmms_report(flood):
    told = {
        row[0]: (float(row[1]), float(row[5])) for row in summary(flood.report, "Conduit Surcharge Summary")
    }
    for link, (both, limited) in told.items():
        at = flood.network.links.index(link)
        assert flood.full_hours[at] == pytest.approx(both, abs=0.011)
        assert flood.limited_hours[at] == pytest.approx(limited, abs=0.011)


def test_what_fell_is_what_was_asked_and_water_is_conserved(flood):
    runoff, routing = flood.runoff, flood.routing
    assert runoff["rainfall"] == pytest.approx(100.0)
    assert runoff["rainfall"] == pytest.approx(
        runoff["infil"] + runoff["runoff"] + runoff["evap"] + runoff["finalStorage"], rel=1e-3
    )
    assert routing["wwInflow"] == pytest.approx(runoff["runoff"] / 1000 * flood.network.area.sum(), rel=1e-3)
    assert routing["flooding"] == pytest.approx(flood.flooded.sum(), rel=1e-3)
    kept = routing["wwInflow"] - routing["flooding"] - routing["outflow"]
    assert abs(kept) < 0.01 * routing["wwInflow"]
    assert abs(flood.routing_error) < 1
    assert not flood.doubtful


def test_wider_conduits_flood_less_and_the_widest_do_not(tmp_path):
    volumes = [
        simulate_drainage(read_network(town(tmp_path, pipe=pipe)), storm(100.0, 3.0, START)).flooded.sum()
        for pipe in (0.3, 0.6, 1.4)
    ]
    assert volumes[0] > volumes[1] > volumes[2] == 0


def test_us_units_give_the_same_water_in_cubic_meters(tmp_path):
    us = read_network(town(tmp_path, units="CFS"))
    assert us.us
    found = simulate_drainage(us, storm(50.0, 2.0, START))
    assert found.runoff["rainfall"] == pytest.approx(50.0, rel=1e-3)
    told = re.search(r"Flooding Loss \.+\s+[\d.]+\s+([\d.]+)", found.report)
    assert told is not None
    assert found.flooded.sum() == pytest.approx(float(told[1]) * 3785.411784, rel=0.01, abs=4), "10^6 gallons"


def test_without_a_rain_the_files_own_falls(tmp_path):
    found = simulate_drainage(read_network(town(tmp_path)))
    assert found.runoff["rainfall"] == pytest.approx(10.0)


def test_a_triangular_storm_has_its_depth_its_peak_and_its_place():
    rain = storm(90.0, 3.0, START, step=60, peak=0.4)
    assert rain.depth == pytest.approx(90.0)
    assert len(rain.amounts) == 180
    assert int(np.argmax(rain.amounts)) in (71, 72)
    assert rain.amounts.max() * 60 == pytest.approx(2 * 90 / 3, rel=0.01), (
        "the peak intensity is twice the mean"
    )
    assert storm(10.0, 0.7, START).depth == pytest.approx(10.0), (
        "also when the step does not divide the duration"
    )


@pytest.mark.parametrize("amounts", [[-1.0], [np.nan], []])
def test_rain_that_cannot_fall_is_refused(amounts):
    with pytest.raises(RequestError):
        Rain(START, 300, np.array(amounts, float))


def test_what_swmm_refuses_is_named_with_its_line(tmp_path):
    path = town(tmp_path)
    text = path.read_text(encoding="utf-8").replace("C3 CIRCULAR", "C3 CIRCLE")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        simulate_drainage(read_network(path), storm(10.0, 1.0, START))
    assert caught.value.code == "hydraulics.refused"
    where = caught.value.problem.where
    assert where is not None
    assert "CIRCLE" in text.splitlines()[where.line - 1]


def test_a_file_without_a_gage_and_a_supply_network_are_refused(tmp_path):
    path = tmp_path / "dry.inp"
    path.write_text(
        "[JUNCTIONS]\nA 1\n[OUTFALLS]\nO 0 FREE\n[CONDUITS]\nC A O 10 0.01 0 0\n", encoding="utf-8"
    )
    with pytest.raises(SourceError) as caught:
        simulate_drainage(read_network(path), storm(10.0, 1.0, START))
    assert caught.value.code == "hydraulics.no_rain_gage"
    with pytest.raises(RequestError):
        simulate_drainage(read_network(Path(supply("Net1"))))


def test_a_file_that_would_write_or_read_elsewhere_is_refused_but_a_gage_that_is_replaced_is_not(tmp_path):
    path = town(tmp_path)
    text = path.read_text(encoding="utf-8")
    own = text.replace(
        "G1 INTENSITY 1:00 1.0 TIMESERIES T1", 'G1 INTENSITY 1:00 1.0 FILE "/etc/rain.dat" S MM'
    )
    path.write_text(own, encoding="utf-8")
    network = read_network(path)
    with pytest.raises(SourceError) as caught:
        simulate_drainage(network)
    assert caught.value.code == "hydraulics.outside_file"
    assert simulate_drainage(network, storm(10.0, 1.0, START), after=0.1).runoff["rainfall"] == pytest.approx(
        10.0
    )
    path.write_text(text + "[FILES]\nSAVE HOTSTART /tmp/x.hsf\n", encoding="utf-8")
    with pytest.raises(SourceError):
        simulate_drainage(read_network(path), storm(10.0, 1.0, START))


def test_ids_of_swmm_are_the_same_in_any_case_and_may_be_vietnamese(tmp_path, flood):
    path = town(tmp_path)
    text = (
        path.read_text(encoding="utf-8")
        .replace("C2 J2 J3", "c2 j2 J3")
        .replace("S1 G1 J1", "S1 g1 j1")
        .replace("J4", "Hố_4")
    )
    path.write_text(text, encoding="utf-8")
    found = simulate_drainage(read_network(path), storm(100.0, 3.0, START))
    assert found.flooded.sum() == pytest.approx(flood.flooded.sum())
    assert "Hố_4" in found.network.nodes
    assert (found.network.drains_to >= 0).all()
