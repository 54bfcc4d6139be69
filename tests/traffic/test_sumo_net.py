# SPDX-License-Identifier: Apache-2.0
"""Networks of SUMO: what a file says, what a broken one is called, capacities and waits of the links that are made of it."""

import gzip

import numpy as np
import pytest
from tests.traffic.small_net import EAST, NORTH, PROGRAM, grid_text, squares

from mangrove.errors import MangroveError, RequestError, SourceError
from mangrove.traffic.road_map import capacity_of, distance, roads_of
from mangrove.traffic.sumo_net import edge_numbers, edges_in, read_net, read_programs


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "grid.net.xml"
    path.write_text(grid_text())
    return read_net(path)


def test_edges_junctions_and_signals_are_those_of_the_file(net):
    assert (len(net), len(net.junctions), len(net.signals)) == (48, 16, 1)
    assert set(net.lanes.tolist()) == {2}  # the footpath beside the street is no lane
    assert net.length.sum() == pytest.approx(48 * 0.5)
    assert set(net.speed.tolist()) == {72.0}
    assert net.signals[0].cycle == 90
    assert net.junctions[net.start[net.number["j0_0-j0_1"]]] == "j0_0"


def test_gzip_is_read_as_well(tmp_path, net):
    path = tmp_path / "grid.net.xml.gz"
    path.write_bytes(gzip.compress(grid_text().encode()))
    assert read_net(path).ids == net.ids


def test_places_are_where_the_projection_says(net):
    from pyproj import Transformer

    lon, lat = Transformer.from_crs("EPSG:32648", "EPSG:4326", always_xy=True).transform(EAST + 500, NORTH)
    assert net.lonlat[net.junctions.index("j0_1")] == pytest.approx([lon, lat], abs=1e-9)
    np.testing.assert_allclose(net.to_xy(net.lonlat), net.xy, atol=1e-4)
    shape = net.shapes[net.number["j0_0-j0_1"]]
    np.testing.assert_allclose(shape, net.lonlat[[net.junctions.index("j0_0"), net.junctions.index("j0_1")]])


def test_other_vehicles_see_other_lanes(tmp_path, net):
    assert set(read_net(net.path, "pedestrian").lanes.tolist()) == {3}


def test_a_net_without_projection_has_no_places(tmp_path):
    path = tmp_path / "flat.net.xml"
    path.write_text(grid_text(projection=False))
    with pytest.raises(SourceError) as caught:
        _ = read_net(path).lonlat
    assert caught.value.code == "roads.no_projection"


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        (lambda text: text[: len(text) // 2], "roads.not_a_net", None),
        (lambda _: "<routes><vehicle/></routes>", "roads.not_a_net", 1),
        (lambda _: "counts;1;2", "roads.not_a_net", 1),
        (lambda _: "<net></net>", "roads.not_a_net", None),
        (lambda text: text.replace('to="j0_1"', 'to="j9_9"', 1), "roads.unknown_end", 4),
        (lambda text: text.replace('speed="20"', 'speed="fast"', 1), "roads.not_a_net", 4),
    ],
)
def test_what_is_no_network_is_named_with_its_line(tmp_path, change, code, line):
    path = tmp_path / "broken.net.xml"
    path.write_text(change(grid_text()))
    with pytest.raises(SourceError) as caught:
        read_net(path)
    assert caught.value.code == code
    assert caught.value.problem.where.file == "broken.net.xml"
    if line:
        assert caught.value.problem.where.line == line
    assert caught.value.problem.text("vi") != caught.value.problem.text("en")


def test_a_missing_or_half_written_file_is_named(tmp_path):
    with pytest.raises(SourceError) as caught:
        read_net(tmp_path / "none.net.xml")
    assert caught.value.code == "roads.no_file"
    half = tmp_path / "half.net.xml.gz"
    half.write_bytes(gzip.compress(grid_text().encode())[:300])
    with pytest.raises(SourceError) as caught:
        read_net(half)
    assert caught.value.code == "roads.not_a_net"


def test_the_green_share_is_that_of_the_program(net):
    share, cycle = net.green()
    into = [net.number[f"{a}-j2_2"] for a in ("j1_2", "j2_1", "j2_3", "j3_2")]
    assert share[into].tolist() == pytest.approx([40 / 90] * 4)
    assert (cycle[into] == 90).all()
    rest = np.setdiff1d(np.arange(len(net)), into)
    assert (share[rest] == 1).all()
    assert (cycle[rest] == 0).all()


def test_other_programs_come_from_a_file(tmp_path, net):
    path = tmp_path / "plan.add.xml"
    longer = "".join(f'<phase duration="{d * 2}" state="{s}"/>' for s, d in PROGRAM)
    path.write_text(
        f'<additional><tlLogic id="j2_2" type="static" programID="1" offset="0">{longer}</tlLogic></additional>'
    )
    assert read_programs(path, net)[0].cycle == 180
    path.write_text(
        '<additional><tlLogic id="j2_3" offset="0"><phase duration="9" state="G"/></tlLogic></additional>'
    )
    with pytest.raises(SourceError) as caught:
        read_programs(path, net)
    assert caught.value.code == "roads.unknown_signal"
    path.write_text(
        '<additional><tlLogic id="j2_2" offset="0"><phase duration="9" state="G"/></tlLogic></additional>'
    )
    with pytest.raises(SourceError) as caught:
        read_programs(path, net)
    assert caught.value.code == "roads.other_signal"


def test_links_have_measured_capacity_and_wait_half_of_the_red(net):
    road = roads_of(net, squares(net))
    street = road.links_of(edge_numbers(net, ("j0_0-j0_1",)))[0]
    held = road.links_of(edge_numbers(net, ("j2_1-j2_2",)))[0]
    assert road.roads.capacity[street] == pytest.approx(13_358)
    assert road.roads.capacity[held] == pytest.approx(13_358 * 40 / 90)
    # 0.5 km at 60 km/h (the legal limit, the file says 72), and 90 s (1 - 4/9)^2 / 2
    assert road.roads.time[street] == pytest.approx(0.5)
    assert road.roads.time[held] - road.roads.time[street] == pytest.approx(90 * (5 / 9) ** 2 / 2 / 60)


def test_capacity_grows_with_lanes_as_measured():
    assert capacity_of(np.array([0, 1, 2, 3, 4, 8])).tolist() == [0, 6_679, 13_358, 21_725, 24_335, 48_670]


def test_zones_are_the_first_nodes_and_reach_each_other(net):
    from mangrove.traffic import paths
    from mangrove.traffic.equilibrium import graph_of

    for zones in (squares(net), net.lonlat[[0, 5, 15]]):
        road = roads_of(net, zones)
        count = len(zones)
        assert (road.roads.zones, road.roads.first_thru) == (count, count)
        assert np.isfinite(paths.skim(count, road.roads.time, graph_of(road.roads))).all()
        streets = road.edge >= 0
        assert (road.roads.tail[streets] >= count).all()
        assert set(road.zone[streets].tolist()) <= set(range(count))


def test_points_at_the_ends_of_one_way_streets_can_be_left_and_reached(tmp_path):
    from mangrove.traffic import paths
    from mangrove.traffic.equilibrium import graph_of

    wrong = ' to="j0_0" type', ' from="j3_3" to'
    lines = grid_text(program=()).splitlines()
    (tmp_path / "one_way.net.xml").write_text(
        "\n".join(line for line in lines if not any(w in line for w in wrong))
    )
    net = read_net(tmp_path / "one_way.net.xml")
    at = {name: number for number, name in enumerate(net.junctions)}
    road = roads_of(net, net.lonlat[[at["j0_0"], at["j3_3"], at["j1_1"]]])
    assert np.isfinite(paths.skim(3, road.roads.time, graph_of(road.roads))).all()
    gates = roads_of(net, net.lonlat[[at["j0_0"], at["j3_3"]]], gates=True).roads
    assert np.bincount(gates.tail[gates.tail < 2]).tolist() == [1, 1]
    assert np.bincount(road.roads.tail[road.roads.tail < 3]).tolist() == [2, 2, 1], (
        "a second way only where it is needed"
    )


def test_zones_that_hold_no_street_are_refused(net):
    from shapely.geometry import box

    for zones in ({"far": box(0, 0, 1, 1)}, np.array([[0.0, 0.0]])):
        with pytest.raises(RequestError) as caught:
            roads_of(net, zones)
        assert caught.value.code == "roads.zone_outside"
    with pytest.raises(RequestError) as caught:
        roads_of(net, {})
    assert caught.value.code == "roads.no_zones"


def test_distances_are_those_of_an_ellipsoid_within_a_percent(net):
    from pyproj import Geod

    one, other = net.lonlat[:8], net.lonlat[8:]
    exact = Geod(ellps="WGS84").inv(*one.T, *other.T)[2] / 1000
    np.testing.assert_allclose(distance(one, other), exact, rtol=0.01)


def test_edges_are_found_by_place_and_by_name(net):
    zones = squares(net)
    assert sum(edges_in(net, zone).sum() for zone in zones.values()) == len(net)
    with pytest.raises(MangroveError) as caught:
        edge_numbers(net, ("j0_0-j0_9",))
    assert caught.value.code == "roads.unknown_edge"


@pytest.mark.data
def test_the_inner_city_has_the_edges_junctions_and_signals_that_its_makers_counted(data_dir):
    net = read_net(data_dir / "traffic" / "hcmc" / "hcm_inner_2017.net.xml.gz")
    assert (len(net), len(net.junctions), len(net.signals)) == (11_901, 4_729, 141)
    assert net.lonlat[:, 0].min() > 106.62
    assert net.lonlat[:, 1].max() < 10.84


@pytest.mark.data
def test_a_box_of_a_map_becomes_a_network(data_dir, tmp_path):
    pytest.importorskip("osmium")
    from mangrove.traffic.osm import extract

    source = data_dir / "traffic" / "hcmc" / "hcm_2018.osm.pbf"
    box = (106.69, 10.77, 106.70, 10.78)
    net = read_net(extract(source, box, tmp_path / "box.net.xml.gz"))
    assert len(net) > 100
    assert len(net.signals) > 3
    inside = ((net.lonlat > (106.68, 10.76)) & (net.lonlat < (106.71, 10.79))).all(axis=1)
    assert inside.mean() > 0.95
    with pytest.raises(SourceError) as caught:
        extract(source, (10.0, 10.0, 10.1, 10.1), tmp_path / "sea.net.xml")
    assert caught.value.code == "roads.empty_box"


@pytest.mark.parametrize("box", [(1.0, 2.0, 1.0, 3.0), (5.0, 2.0, 1.0, 3.0), (1.0, 2.0, 400.0, 3.0)])
def test_a_box_that_is_none_is_refused(tmp_path, box):
    from mangrove.traffic.osm import extract

    with pytest.raises(RequestError) as caught:
        extract(tmp_path / "map.osm.pbf", box, tmp_path / "net.net.xml")
    assert caught.value.code == "roads.bad_box"


def test_a_map_that_is_missing_or_no_map_is_named(tmp_path):
    pytest.importorskip("osmium")
    pytest.importorskip("sumo")
    from mangrove.traffic.osm import extract

    source = tmp_path / "map.osm.pbf"
    with pytest.raises(SourceError) as caught:
        extract(source, (1, 1, 2, 2), tmp_path / "net.net.xml")
    assert caught.value.code == "roads.no_file"
    source.write_text("no map")
    with pytest.raises(SourceError) as caught:
        extract(source, (1, 1, 2, 2), tmp_path / "net.net.xml")
    assert caught.value.code == "roads.not_osm"
