# SPDX-License-Identifier: Apache-2.0
"""Streets of a simulation: what is conserved against the trips, which SUMO computes by another way, and at every junction."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from tests.traffic.crossroads import NETS, SINGLE

from mangrove.errors import RequestError, SourceError
from mangrove.traffic import links
from mangrove.traffic.simulate import Run, simulate

pytest.importorskip("sumolib")
TYPES = (
    '<vType id="moto" vClass="motorcycle" emissionClass="HBEFA4/MC_4S_le250cc_Euro-3" length="2"/>'
    '<vType id="car" emissionClass="HBEFA4/PC_petrol_Euro-4" sigma="0.5"/>'
)
FLOWS = (("moto", "w_t t_e", 900), ("car", "w_t t_e", 200), ("car", "n_t t_s", 200), ("moto", "n_t t_s", 600))


def routes(path, *, types=TYPES, end=300):
    def of(kind):
        return f'type="{kind}"' if types else ""

    lines = [
        f'<flow id="f{n}" {of(kind)} begin="0" end="{end}" vehsPerHour="{rate}" departSpeed="max"><route edges="{edges}"/></flow>'
        for n, (kind, edges, rate) in enumerate(FLOWS)
    ]
    path.write_text("<routes>" + types + "".join(lines) + "</routes>")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Five minutes of motorbikes and cars over a crossroads, three times as long to clear."""
    file = routes(tmp_path_factory.mktemp("links") / "mixed.rou.xml")
    return Run(SINGLE, [file], 0, 900, seed=1, sublane=0.8, cells=60, kinds=True)


@pytest.fixture(scope="module")
def done(run):
    return simulate(run)


def test_meters_are_those_of_the_trips_and_the_rest_lacks_at_most_a_second_a_vehicle(done):
    found, trips = done.links, done.trips
    assert done.unfinished == 0
    assert found.kinds == ("moto", "car")
    for number, kind in enumerate(found.kinds):
        mine = np.array([one == kind for one in trips.kinds])
        assert found.distance[..., number].sum() == pytest.approx(trips.length[mine].sum(), rel=1e-5)
        seconds = trips.duration[mine].sum() - found.vehicle_seconds[..., number].sum()
        assert 0 <= seconds <= mine.sum()
        late = trips.time_loss[mine].sum() - found.time_loss[..., number].sum()
        assert abs(late) <= mine.sum()
        # a second of a vehicle emits as much as its strongest acceleration: five times the mean of the trip at most
        for gas in range(5):
            missing = trips.emissions[mine, gas].sum() - found.emissions[..., number, gas].sum()
            a_second = trips.emissions[mine, gas] / trips.duration[mine]
            assert 0 <= missing <= 5 * a_second.sum()


def test_a_teleport_takes_meters_off_the_streets_and_neither_lost_time_nor_emissions():
    folder = NETS / "RESCO" / "cologne8"
    run = Run(
        folder / "cologne8.net.xml",
        [folder / "cologne8.rou.xml"],
        25_200,
        26_100,
        seed=3,
        cells=900,
        teleport=10,
    )
    calm, jammed = simulate(replace(run, teleport=-1)), simulate(run)
    lifted = jammed.teleports.total
    assert calm.teleports.total == 0
    assert lifted > 100

    def lacking(done):
        trips, found = done.trips, done.links
        out = trips.departed
        pairs = (
            (trips.length, found.distance), (trips.duration[out], found.vehicle_seconds),
            (trips.time_loss, found.time_loss), (trips.emissions[:, 0], found.emissions[..., 0]),
        )  # fmt: skip
        return [float(all_.sum() - streets.sum()) for all_, streets in pairs]

    meters, seconds, lost, carbon = lacking(jammed)
    before = lacking(calm)
    assert before[0] == pytest.approx(0.0, abs=1.0)
    assert 0 < meters / lifted < 50
    assert -1 < (seconds - before[1]) / lifted < 15
    # no more than the second in which a vehicle enters
    assert 0 <= lost <= jammed.departed
    assert carbon / jammed.departed == pytest.approx(before[3] / calm.departed, rel=0.2)


def test_vehicles_are_conserved_on_every_street_and_over_the_junction(done):
    found = done.links
    entered, left = found.entered.sum(axis=0), found.left.sum(axis=0)
    assert np.array_equal(entered, left), "everybody has arrived"
    at = {name: number for number, name in enumerate(found.ids)}
    for way, out in (("w_t", "t_e"), ("n_t", "t_s")):
        assert np.array_equal(left[at[way]], entered[at[out]])
    assert entered[[at["w_t"], at["n_t"]]].sum() == done.departed
    present = np.cumsum(found.entered - found.left, axis=0)
    assert present.min() >= 0


def test_the_junction_belongs_to_the_street_that_leads_into_it(run, done):
    plain = {}
    for name, row in edges_by_hand(run):
        plain[name] = plain.get(name, 0.0) + row
    found = dict(zip(done.links.ids, done.links.emissions[..., 0].sum(axis=(0, 2)), strict=True))
    inside = sum(grams for name, grams in plain.items() if name.startswith(":"))
    assert inside > 0
    # in this net nobody turns: each way inside belongs to one of the two streets that lead in
    assert found["t_e"] == pytest.approx(plain["t_e"])
    assert found["w_t"] + found["n_t"] == pytest.approx(plain["w_t"] + plain["n_t"] + inside)
    assert found["w_t"] > plain["w_t"]


def edges_by_hand(run):
    """SUMO's own table of CO2 by edge, read without the code under test."""
    import tempfile
    from pathlib import Path
    from xml.etree import ElementTree as ET

    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "a.add.xml"
        asked.write_text(
            '<additional><edgeData id="e" type="emissions" file="e.xml" withInternal="true"/></additional>'
        )
        simulate(replace(run, cells=None, kinds=False, additional=[asked]))
        for edge in ET.parse(Path(folder) / "e.xml").getroot().iter("edge"):
            yield edge.get("id"), float(edge.get("CO2_abs", 0)) / 1000


def test_intervals_and_kinds_add_up_to_the_whole_run(run, done):
    whole = simulate(replace(run, cells=900, kinds=False)).links
    assert whole.kinds == ("",)
    assert whole.starts.tolist() == [0.0]
    assert done.links.starts.tolist() == [60.0 * n for n in range(15)]
    for name in ("entered", "left", "distance", "vehicle_seconds", "emissions"):
        parts, total = getattr(done.links, name), getattr(whole, name)
        assert parts.sum(axis=(0, 2)) == pytest.approx(total.sum(axis=(0, 2)), rel=2e-4, abs=0.02), name
    speed = whole.speed[0, :, 0]
    assert np.isfinite(speed[whole.entered[0, :, 0] > 0]).all()
    assert np.isnan(speed[whole.entered[0, :, 0] == 0]).all()
    assert np.nanmax(speed) < 16


def test_asking_for_streets_changes_no_trip(run, done):
    plain = simulate(replace(run, cells=None, kinds=False))
    assert plain.links is None
    assert np.array_equal(plain.trips.delay, done.trips.delay)
    assert np.array_equal(plain.trips.emissions, done.trips.emissions)


def test_the_last_interval_may_be_short_and_queues_have_streets_too(run):
    found = simulate(replace(run, end=100, meso=True, sublane=None)).links
    assert found.starts.tolist() == [0.0, 60.0]
    assert found.entered.sum() > 0
    assert found.emissions[..., 0].sum() > 0


def test_vehicles_without_a_type_are_of_the_type_that_sumo_gives_them(tmp_path):
    file = routes(tmp_path / "plain.rou.xml", types="", end=60)
    assert links.vehicle_types([file]) == ("DEFAULT_VEHTYPE",)
    packed = tmp_path / "mixed.rou.xml.gz"
    packed.write_bytes(gzip.compress(routes(tmp_path / "mixed.rou.xml").read_bytes()))
    assert links.vehicle_types([packed]) == ("moto", "car")
    found = simulate(Run(SINGLE, [file], 0, 120, cells=120, kinds=True))
    assert found.links.entered[..., 0].sum() >= found.departed


def test_a_way_that_is_cut_inside_a_junction_still_belongs_to_its_street():
    net = NETS / "RESCO" / "cologne3" / "cologne3.net.xml"
    edges = links.Edges(net)
    streets = len(edges.ids)
    assert not any(name.startswith(":") for name in edges.ids)
    from xml.etree import ElementTree as ET

    root = ET.parse(net).getroot()
    for one in root.findall("connection"):
        if one.get("via") and not one.get("from").startswith(":"):
            inside = one.get("via").rsplit("_", 1)[0]
            assert edges.ids[edges.owner[edges.at[inside]]] == one.get("from")
    assert (edges.owner < streets).all()


@pytest.mark.parametrize("cells", [0, -5, 0.5, float("nan"), float("inf")])
def test_intervals_shorter_than_a_step_are_refused(run, cells):
    with pytest.raises(RequestError) as refused:
        simulate(replace(run, cells=cells))
    assert refused.value.code == "traffic.run_cells"
    assert refused.value.text("vi") != refused.value.text("en")


def test_kinds_need_intervals_and_a_cut_table_is_named(run, tmp_path):
    with pytest.raises(RequestError):
        simulate(replace(run, cells=None))
    (tmp_path / links.FILE).write_bytes(gzip.compress(b"<meandata><interval")[:-6])
    with pytest.raises(SourceError) as cut:
        links.read(tmp_path, SINGLE, links.WHOLE, (0.0, 60.0), 60.0)
    assert cut.value.code == "traffic.output_cut"
    broken = tmp_path / "broken.rou.xml"
    broken.write_text("<routes>\n<vType/></routes>")
    with pytest.raises(SourceError) as where:
        links.vehicle_types([broken])
    assert where.value.problem.where.line == 2
