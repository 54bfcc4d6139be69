"""Every kind of asset keeps the contract: documented, built from its own example, solved, energy conserved."""

import re

import numpy as np
import pytest

from mangrove.errors import DeclarationError
from mangrove.network import Horizon, Network
from mangrove.network.assets import KINDS, Setting, annuity, base
from mangrove.territory.cells import parameters
from mangrove.territory.model import Asset
from mangrove.units import Quantity, unit

STEPS, HOURS = 8, 1.0
SERIES = {
    "pv": {"profile": np.array([0, 0.1, 0.5, 0.8, 0.7, 0.3, 0, 0])},
    "wind": {"profile": np.full(STEPS, 0.3)},
    "load": {"demand": np.full(STEPS, 100.0)},
    "curtailable_load": {"demand": np.full(STEPS, 100.0)},
    "shiftable_load": {"demand": np.linspace(0.0, 70.0, STEPS)},
    "swap_station": {"demand": np.array([0, 0, 2.0, 3.0, 1.0, 0, 0, 0])},
    "heat_pump": {"temperature": np.linspace(15.0, 30.0, STEPS)},
}
DEMANDS = {
    "boiler": "steam", "chiller": "cooling", "heat_pump": "heat", "chp": "steam", "electrolyzer": "hydrogen",
    "compressor": "hydrogen@compressed", "water_treatment": "water", "pump": "water@pumped",
}  # fmt: skip


class Terms:
    """Prices as a contract would say them."""

    buy = np.array([1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 1.0]) * 1000.0
    sell = np.full(STEPS, 600.0)
    demand = 235_414.0
    month = np.zeros(STEPS, dtype=np.int64)
    window = 0.5
    export_cap = 0.5


class World:
    """A site whose nodes appear when they are asked for; every carrier but the asset's product can be bought and vented."""

    def __init__(self, net=None, **more):
        self.net = net or Network(Horizon.regular(STEPS, HOURS))
        self.nodes, self.bought, self.left = {}, {}, {}
        self.setting = Setting(self.net, self.node, "site", **more)

    def node(self, place, carrier):
        if carrier not in self.nodes:
            self.nodes[carrier] = self.net.node(f"{place}/{carrier}")
        return self.nodes[carrier]

    def close(self, demand=""):
        """Supply at 2 money a unit and a free vent at every node, a demand of 20 at one."""
        for carrier, node in self.nodes.items():
            price = 1000.0 if carrier != demand else 1e6
            self.bought[carrier] = self.net.source(f"buy {carrier}", node, cost=price)
            self.left[carrier] = self.net.sink(f"vent {carrier}", node)
        if demand:
            self.net.sink("want", self.nodes[demand], amount=np.full(STEPS, 20.0))


def built(name, text=None, world=None, **more):
    kind = KINDS[name]
    world = world or World(series=SERIES.get(name, {}), terms=Terms(), **more)
    values = base.read(Asset("a", "site", name, parameters(text or kind.example)), kind)
    return world, kind.build(world.setting, "a", values), values


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_kind_documents_every_parameter_with_unit_sentence_and_source(kind):
    names = [p.name for p in kind.parameters]
    assert len(names) == len(set(names))
    for parameter in (*kind.parameters, *kind.inputs):
        assert min(len(parameter.about), len(parameter.about_vi)) > 3, parameter.name
        assert parameter.about != parameter.about_vi
    for parameter in kind.parameters:
        assert parameter.unit in base.CANONICAL, parameter.unit
        if parameter.unit not in {"text", "carrier", "degree"}:
            assert unit(parameter.unit).text == parameter.unit
        if parameter.default not in {None, 0.0}:
            assert parameter.source not in {"", "declared"}, parameter.name
    assert kind.title
    assert kind.title_vi
    assert kind.build.__doc__


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_builds_from_its_own_example_and_conserves_what_flows(name):
    world, asset, _ = built(name, now={"stays": _stays()} if name == "charger" else {})
    world.close(DEMANDS.get(name, ""))
    plan = world.net.solve()
    assert plan.status == "optimal"
    assert not plan.relaxed
    # the balances hold: rebuild inflow - outflow from the matrix
    program = world.net.program
    residual = program.matrix() @ plan._x - program.row_lower
    for node in world.nodes.values():
        assert np.abs(residual[node.rows]).max() < 1e-6
    for handle in asset.streams.values():
        if hasattr(handle, "columns"):
            assert (plan.rate(handle) >= -1e-9).all()


@pytest.mark.parametrize(
    "name", [k for k, kind in KINDS.items() if any(p.name == "max_capacity" for p in kind.parameters)]
)
def test_a_capacity_that_is_a_choice_is_chosen_within_its_limits(name):
    text = re.sub(r"capacity=([^;]+)", r"max_capacity=\1", KINDS[name].example)
    per = next(p.unit for p in KINDS[name].parameters if p.name == "cost")
    world, asset, _ = built(name, f"{text}; cost=1000 {per}; life=10 yr", price=annuity(0.1))
    world.close(DEMANDS.get(name, ""))
    plan = world.net.solve()
    assert plan.status == "optimal"
    (capacity,) = asset.capacities.values()
    size = plan.size(capacity)[0]
    limit = float(
        base.read(Asset("a", "site", name, parameters(f"{text}; cost=1000 {per}; life=10 yr")), KINDS[name])[
            "max_capacity"
        ]
    )
    assert -1e-9 <= size <= limit * (1 + 1e-9)
    for handle in asset.streams.values():
        if name not in {"grid", "thermal_store"} and hasattr(handle, "columns"):
            assert plan.rate(handle).max() <= size * 1.0 / (0.38 if name == "chp" else 1.0) + 1e-6


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_kind_lists_all_that_is_wrong_with_a_declaration_at_once(kind):
    wrong = {
        p.name: p
        for p in kind.parameters
        if p.unit not in {"text", "carrier", "degree", "1"} and p.minimum >= 0
    }
    declared = {name: Quantity(-5.0, unit(p.unit)) for name, p in wrong.items()}
    with pytest.raises(DeclarationError) as raised:
        base.read(Asset("a", "site", kind.name, {**declared, "capacityy": Quantity(3.0, unit("kW"))}), kind)
    problems = raised.value.problems
    codes = [p.code for p in problems]
    assert codes.count("assets.out_of_range") == len(wrong)
    assert "assets.unknown_parameter" in codes
    for problem in problems:
        for lang in ("en", "vi"):
            assert "assets." not in problem.text(lang)
            assert "{" not in problem.text(lang)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_builds_for_two_scenarios_that_share_their_first_steps(name):
    net = Network(Horizon.regular(STEPS, HOURS), probabilities=(0.5, 0.5), here_and_now=2)
    series = {key: np.stack([value, value * 0.8]) for key, value in SERIES.get(name, {}).items()}
    world = World(net, series=series, terms=Terms(), now={"stays": _stays()} if name == "charger" else {})
    world, asset, _ = built(name, world=world)
    world.close(DEMANDS.get(name, ""))
    plan = net.solve()
    assert plan.status == "optimal"
    assert not plan.relaxed
    for handle in asset.streams.values():
        if getattr(handle, "decided", False):
            rate = plan.rate(handle)
            assert (rate[:, 0, :2] == rate[:, 1, :2]).all()


@pytest.mark.parametrize("name", [name for name in KINDS if name not in {"charger", "batch"}])
def test_a_kind_builds_over_representative_days(name):
    net = Network(Horizon.typical(HOURS, STEPS // 2, [0, 1, 1, 0, 1]))
    world = World(net, series=SERIES.get(name, {}), terms=Terms())
    world, _, _ = built(name, world=world)
    world.close(DEMANDS.get(name, ""))
    assert net.solve().status == "optimal"


def _stays():
    from mangrove.network.assets.charger import Stays

    return Stays(np.array([1, 2]), np.array([5, 8]), np.array([10.0, 12.0]))
