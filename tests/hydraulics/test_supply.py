# SPDX-License-Identifier: Apache-2.0
"""EPANET through the adapter, held against EPANET's own report, wntr's simulator, closed forms and conservation."""

import os
import subprocess

import numpy as np
import pytest
import wntr
from tests.hydraulics.nets import supply

from mangrove.errors import RequestError, SourceError
from mangrove.hydraulics import Supply, isolate, read_network, simulate_supply
from mangrove.hydraulics.supply import by_hour


@pytest.fixture(scope="module")
def net1() -> Supply:
    return simulate_supply(read_network(supply("Net1")))


@pytest.fixture(scope="module")
def net3() -> Supply:
    return simulate_supply(read_network(supply("Net3")), hours=24)


def test_the_energy_of_net1_is_the_one_of_epanets_energy_report(net1):
    # EPANET's report for its example network 1: pump 9 is used 57.71 % of the time at 75 %, 880.42 kWh/Mgal, 96.25 kW, peak 96.71.
    assert net1.reported[0, :5] == pytest.approx([57.71, 75.0, 880.42, 96.25, 96.71], abs=0.005)
    assert net1.energy.sum() == pytest.approx(0.57713 * 96.254 * 24, rel=1e-4)


def test_hourly_energies_of_net3_add_up_to_what_epanet_reports_for_each_pump(net3):
    assert net3.energy.shape == (24, 2)
    used, mean = net3.reported[:, 0] / 100, net3.reported[:, 3]
    assert net3.energy.sum(axis=0) == pytest.approx(used * mean * 24, rel=1e-5)


def test_power_in_closed_form_is_the_power_of_the_hour_in_which_nothing_switches(net1):
    closed = net1.power()[:, 0]
    assert net1.energy[:12, 0] == pytest.approx(closed[:12], rel=2e-3), "the pump runs from 0:00 to 12:32"
    assert net1.energy[13:22, 0] == pytest.approx(0.0)
    assert net1.energy[12, 0] == pytest.approx(closed[12] * (32 * 60 + 34) / 3600, rel=2e-3)


def test_results_are_those_of_wntrs_simulator(net3, tmp_path):
    model = wntr.network.WaterNetworkModel(str(supply("Net3")))
    model.options.time.duration = 24 * 3600
    peer = wntr.sim.EpanetSimulator(model).run_sim(file_prefix=str(tmp_path / "peer"))
    assert net3.pressure == pytest.approx(
        peer.node["pressure"][list(net3.network.nodes)].to_numpy(), abs=0.02
    )
    assert net3.flow == pytest.approx(peer.link["flowrate"][list(net3.network.links)].to_numpy(), abs=1e-4)


def test_water_is_conserved_at_every_hour(net1, net3):
    for run in (net1, net3):
        assert np.abs(run.demand.sum(axis=1)).max() < 1e-6 * np.abs(run.demand).sum(axis=1).max() * 10
        flows = np.zeros(run.demand.shape)
        for sign, end in ((1.0, 1), (-1.0, 0)):
            np.add.at(flows.T, run.network.ends[:, end], sign * run.flow.T)
        junctions = [kind == "junction" for kind in run.network.node_kinds]
        scale = np.abs(run.flow).max()
        assert np.abs((flows - run.demand)[:, junctions]).max() < 1e-4 * scale, (
            "what enters a junction leaves it"
        )


def test_pressures_are_heads_above_ground_in_meters(net1):
    node = net1.network.nodes.index("10")
    assert net1.network.elevation[node] == pytest.approx(710 * 0.3048)
    assert net1.pressure[0, node] == pytest.approx(127.54 / 0.4333 * 0.3048, rel=1e-3), "127.54 psi"


def test_indicators_count_water_energy_and_bad_pressure(net1):
    found = net1.indicators(lowest=80.0)
    assert found["delivered"] == pytest.approx(1100 * 3.785411784e-3 * 60 * 24, rel=0.5)
    assert found["leak_share"] == 0
    assert found["specific_energy"] == pytest.approx(found["energy"] / found["delivered"])
    users = net1.pressure[
        :, [net1.network.nodes.index(n) for n in ("11", "12", "13", "21", "22", "23", "31", "32")]
    ]
    assert found["least_pressure"] == pytest.approx(users.min())
    assert found["below_lowest"] == pytest.approx((users < 80).mean())


def test_an_emitter_leaks_by_its_law_and_counts_as_lost(tmp_path):
    text = supply("Net1").read_text(encoding="utf-8")
    text = (
        text.replace("[EMITTERS]", "[EMITTERS]\n 22 5.0")
        if "[EMITTERS]" in text
        else text + "\n[EMITTERS]\n 22 5.0\n"
    )
    path = tmp_path / "leaky.inp"
    path.write_text(text, encoding="utf-8")
    run = simulate_supply(read_network(path))
    node = run.network.nodes.index("22")
    psi = run.pressure[:, node] / 0.3048 * 0.4333
    by_law = 5.0 * np.sqrt(psi) * 3.785411784e-3 / 60
    assert run.leak[:, node] == pytest.approx(by_law)
    pattern = run.demand[:, run.network.nodes.index("13")] * 2
    assert run.demand[:, node] - run.leak[:, node] == pytest.approx(pattern, rel=1e-3), (
        "22 draws twice what 13 draws"
    )
    assert 0 < run.indicators()["leak_share"] < 1


def test_powers_between_events_become_hours_without_loss():
    rng = np.random.default_rng(5)
    span = rng.integers(60, 3000, 50).astype(float)
    event = np.concatenate([[0.0], np.cumsum(span)[:-1]])
    power = rng.uniform(0, 100, (50, 3))
    hours = by_hour(event, span, power)
    assert hours.sum(axis=0) == pytest.approx((power * span[:, None]).sum(axis=0) / 3600)
    assert (hours >= -1e-9).all()
    assert (hours <= power.max(axis=0) + 1e-9).all()


def test_what_epanet_refuses_is_named_with_its_line(tmp_path):
    text = supply("Net1").read_text(encoding="utf-8").replace("HEAD 1", "HEAD 77")
    path = tmp_path / "curve.inp"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        simulate_supply(read_network(path))
    assert caught.value.code == "hydraulics.refused"
    assert caught.value.problem.where is not None
    line = caught.value.problem.where.line
    assert "77" in text.splitlines()[line - 1]


def test_a_drainage_file_is_no_supply_network(tmp_path):
    from tests.hydraulics.nets import town

    with pytest.raises(RequestError):
        simulate_supply(read_network(town(tmp_path)))


def test_a_run_that_takes_too_long_is_stopped():
    with pytest.raises(RequestError) as caught:
        isolate.run("supply", supply("Net1").read_text(encoding="utf-8"), supply("Net1"), limit=0.01)
    assert caught.value.code == "hydraulics.too_slow"


def test_an_interrupt_ends_the_solver_too(monkeypatch):
    children = []

    def interrupted(child, timeout=None):
        children.append(child)
        if len(children) == 1:
            raise KeyboardInterrupt
        return os.waitpid(child.pid, 0)[1]

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        isolate.run("supply", supply("Net6").read_text(encoding="utf-8"), supply("Net6"))
    with pytest.raises(ProcessLookupError):
        os.kill(children[0].pid, 0)


@pytest.mark.parametrize(
    ("section", "row"), [("REPORT", "FILE /tmp/stolen.rpt"), ("OPTIONS", "HYDRAULICS SAVE out.hyd")]
)
def test_a_file_that_would_write_elsewhere_is_refused(tmp_path, section, row):
    path = tmp_path / "sly.inp"
    path.write_text(f"[{section}]\n {row}\n" + supply("Net1").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        simulate_supply(read_network(path))
    assert caught.value.code == "hydraulics.outside_file"
    assert caught.value.problem.where is not None
    assert caught.value.problem.where.line == 2
