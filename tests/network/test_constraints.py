"""Each constraint on a case of two nodes and two steps, compared with a file that was checked by hand against its equation.

A case that differs is a changed equation: check the new text by hand before it replaces the file.
"""
# ruff: noqa: D205, D209, D403, D415 - the docstrings of the cases are equations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.network.lp import text

from mangrove.network import Horizon, Network, conditions, design, relax, strategy

FOLDER = Path(__file__).parent / "lp_files"
TWO_HALF_HOURS = Horizon.regular(2, 0.5)
TWO_HOURS = Horizon.regular(2, 1.0)


def balance():
    """in = out + demand; of 1 sent 0.9 arrives; a unit bought brings 0.6 of CO2, which the air takes; cost x 0.5 h"""
    net = Network(TWO_HALF_HOURS)
    a, b, co2 = net.node("a"), net.node("b"), net.node("co2")
    net.source("grid", a, cost=[2.0, 6.0], upper=50.0, also=[(co2, 0.6)])
    net.link("line", a, b, capacity=8.0, loss=0.1, cost=1.0)
    net.sink("air", co2)
    net.sink("load", b, amount=[3.0, 4.0])
    return net.program


def converter():
    """1 of gas makes 0.8 of heat and takes 0.1 of power, 0.2 in the second step"""
    net = Network(TWO_HOURS)
    gas, heat, power = net.node("gas"), net.node("heat"), net.node("power")
    net.converter(
        "boiler", [(gas, -1.0), (heat, 0.8), (power, [-0.1, -0.2])], upper=10.0, lower=1.0, cost=0.5
    )
    return net.program


def within_capacity():
    """x_t - p_t K <= p_t existing, with p = (0.5, 1), existing 3"""
    net = Network(TWO_HOURS)
    bus = net.node("bus")
    roof = net.capacity("roof", cost=70.0, existing=3.0, upper=10.0)
    net.source("pv", bus, capacity=roof, profile=[0.5, 1.0])
    net.sink("use", bus)
    return net.program


def at_least_capacity():
    """0.2 K <= x_t <= K with existing 4: x_t - 0.2 K >= 0.8, x_t - K <= 4"""
    net = Network(TWO_HOURS)
    bus = net.node("bus")
    unit = net.capacity("unit", cost=70.0, existing=4.0, lower=6.0)
    net.source("engine", bus, capacity=unit, lower=0.2)
    net.sink("use", bus)
    return net.program


def lifetimes():
    """three investment years, life 2: in year 2 what was built in years 1 and 2 is alive; existing 5 retires after year 0"""
    net = Network(Horizon.chronological([1.0, 1.0, 1.0], year=[0, 1, 2]))
    bus = net.node("bus")
    unit = net.capacity("unit", cost=[9.0, 8.0, 7.0], existing=[5.0, 0.0, 0.0], lower=2.0, upper=20.0, life=2)
    net.source("engine", bus, capacity=unit)
    net.sink("use", bus)
    return net.program


def store_cyclic():
    """e_t - 0.9 e_(t-1) - 0.5 x 0.8 u_t + 0.5 / 0.5 v_t = 0 with (1 - 0.19)^0.5 = 0.9; before the first is the last"""
    net = Network(TWO_HALF_HOURS)
    bus = net.node("bus")
    net.store(
        "battery", bus, energy=6.0, charge=2.0, discharge=3.0, efficiency=(0.8, 0.5), loss=0.19, wear=4.0
    )
    return net.program


def store_with_start_and_end():
    """the start 4 keeps 0.9 of itself in the first half hour; at the end at least 2; the floor is 1"""
    net = Network(TWO_HALF_HOURS)
    bus = net.node("bus")
    net.store("battery", bus, energy=6.0, charge=2.0, discharge=3.0, loss=0.19, start=4.0, end=2.0, floor=1.0)
    return net.program


def store_of_chosen_size():
    """the level and both rates stay within sizes that are chosen"""
    net = Network(TWO_HOURS)
    bus = net.node("bus")
    energy, power = net.capacity("energy", cost=5.0), net.capacity("power", cost=3.0)
    net.store("battery", bus, energy=energy, charge=power, discharge=power)
    return net.program


def lean_store():
    """no streams: in - (e_t - e_(t-1)) / 0.5 = demand; the start 3 is on the right-hand side of the first balance"""
    net = Network(TWO_HALF_HOURS)
    bus = net.node("bus")
    net.source("grid", bus)
    net.store("tank", bus, energy=6.0, charge=None, discharge=None, start=3.0, end="free")
    net.sink("load", bus, amount=[1.0, 2.0])
    return net.program


def store_across_days():
    """days A, B, A of two steps, half of the level lost an hour: 0.25 is left after a day. The level in a day starts at 0;
    lowest <= level <= highest; start of the next day = 0.25 start + last level; 0.25 start + lowest >= 0; start + highest <= 6"""
    net = Network(Horizon.typical(1.0, 2, [0, 1, 0]))
    bus = net.node("bus")
    net.store("battery", bus, energy=6.0, charge=2.0, discharge=3.0, loss=0.5, wear=1.0)
    return net.program


def peak_of_two_steps():
    """three blocks of two steps, the second shorter in its first step: P >= (1 x_2 + 3 x_3) / 4; the last in another month"""
    net = Network(Horizon.chronological([1.0, 1.0, 1.0, 3.0, 1.0, 1.0]))
    bus = net.node("bus")
    grid = net.source("grid", bus)
    net.sink("use", bus)
    peak = net.peak(
        "peak", [grid], price=[10.0, 20.0], group=[0, 0, 0, 0, 1, 1], window=2, metered=[7.0, 0.0]
    )
    net.update(peak, carry=[0.5, 0.0, 0.0])
    return net.program


def peak_of_two_streams_in_two_groups():
    """the day belongs to both groups, the night to the first only; both streams are metered together; half a chance each"""
    net = Network(TWO_HOURS, probabilities=[0.5, 0.5])
    bus = net.node("bus")
    streams = [net.source("grid", bus), net.source("second", bus)]
    net.peak("peak", streams, price=[10.0, 20.0], group=np.array([[1, 1], [0, 1]]))
    return net.program


def budget():
    """0.5 h x 364 or 1 times the coefficient; 40 for each unit built; between 5 and 100"""
    net = Network(Horizon.typical(0.5, 1, [0] * 364 + [1]))
    bus = net.node("bus")
    grid = net.source("grid", bus)
    roof = net.capacity("roof")
    net.budget("co2", [(grid, [0.6, 0.4]), (roof, 40.0)], lower=5.0, upper=100.0)
    return net.program


def sessions_one_way():
    """0.5 h x 0.8 a unit charged; the second vehicle is there in steps 1 and 2 only and has room for 5"""
    net = Network(Horizon.regular(3, 0.5))
    bus = net.node("bus")
    net.sessions(
        "ev", bus, arrive=[0, 1], depart=[2, 3], energy=[2.0, 3.0], power=[7.0, 11.0], efficiency=0.8,
        usable=[np.inf, 6.0], level=[0.0, 1.0], cost=0.2,
    )  # fmt: skip
    return net.program


def sessions_two_way():
    """arrives in step 1 with 2, must leave after it with 2 + 3; e_t - e_(t-1) - 0.5 x 0.8 u + 0.5 / 0.8 v = arrival"""
    net = Network(Horizon.regular(3, 0.5))
    bus = net.node("bus")
    net.sessions(
        "ev", bus, arrive=[1], depart=[2], energy=[3.0], power=[7.0], efficiency=0.8, discharge=[4.0],
        usable=[9.0], level=[2.0], wear=0.3,
    )  # fmt: skip
    return net.program


def scenarios():
    """step 0 of the boiler is one column for both scenarios and carries 0.25 x 4 + 0.75 x 8 = 7; the grid may differ"""
    net = Network(TWO_HOURS, probabilities=[0.25, 0.75], here_and_now=1)
    bus = net.node("bus")
    net.converter(
        "boiler", [(bus, 1.0)], cost=np.array([[4.0, 4.0], [8.0, 8.0]]), upper=[[5.0, 5.0], [6.0, 6.0]]
    )
    net.source("grid", bus, cost=2.0)
    net.sink("load", bus, amount=np.array([[1.0, 2.0], [3.0, 4.0]]))
    return net.program


def elastic():
    """no prices; a demand of (3, 4) may fall by (3, 4); a floor of 1 becomes a row, the level stays >= 0; the budget may be
    exceeded, and fallen short of"""
    net = Network(TWO_HOURS)
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=2.0, upper=9.0)
    net.sink("load", bus, amount=[3.0, 4.0])
    net.store("tank", bus, energy=6.0, charge=None, discharge=None, floor=1.0)
    net.budget("co2", [(grid, 0.5)], upper=1.0)
    twin, _ = relax._elastic(net.program, net.wishes)
    return named(twin, net)


def either():
    """u <= 2 b and v <= 3 (1 - b), in the second step only"""
    net = Network(TWO_HOURS)
    bus = net.node("bus")
    net.store("battery", bus, energy=6.0, charge=2.0, discharge=3.0)
    return bound(net, [np.array([False, True])], [])


def off_or_at_least():
    """2 b <= x <= 5 b, in the first step only"""
    net = Network(TWO_HOURS)
    bus = net.node("bus")
    boiler = net.converter("boiler", [(bus, 1.0)], upper=5.0)
    net.minimum(boiler, 2.0)
    return bound(net, [], [np.array([True, False])])


def blend():
    """sum x_a (c_aq - C_jq) <= 0: two links of 0.9 arriving, contents (3, 1) and (1, 2), limits (2, none); a third one elsewhere"""
    net = Network(TWO_HOURS)
    works, clean, dirty = net.node(["w1", "w2"]), net.node("use"), net.node("other")
    ways = net.link("way", works, clean, loss=0.1)
    net.link("off", works[0], dirty)
    net.blend("quality", clean, [(ways, [[3.0, 1.0], [1.0, 2.0]])], [[2.0, np.inf]])
    return net.program


def most_share():
    """g = x_1 + x_2 + y; of what arrives no origin sends more than half: x_1 + y <= 0.5 g (both from w1), x_2 <= 0.5 g"""
    net = Network(TWO_HOURS)
    works, use = net.node(["w1", "w2"]), net.node("use")
    ways, pipe = net.link("way", works, use), net.link("pipe", works[0], use)
    net.share("half", use, [ways, pipe], 0.5)
    return net.program


def open_links():
    """x_1t <= u_1t y_1 with u = min(supply, demand) = (3, 4); the second with u = (2, 2); y costs 50 and 60"""
    net = Network(TWO_HOURS)
    a, b = net.node(["a1", "a2"]), net.node("b")
    net.source("supply", a, upper=[[3.0, 5.0], [2.0, 2.0]])
    ways = net.link("way", a, b)
    net.sink("use", b, upper=4.0)
    net.fixed("pipe", ways, [50.0, 60.0])
    openings = conditions.openings(net)
    twin = net.program.copy()
    y = twin.columns("y", (2,), upper=1.0, cost=openings.cost)
    design.open_(twin, openings.columns, y[openings.item], openings.most)
    return named(twin, net), y


def lots():
    """5 b <= x <= 9 b and b <= y: nothing, or at least a lot of 5, and only when it is open (u = 9)"""
    net = Network(TWO_HOURS)
    bus = net.node("bus")
    truck = net.source("truck", bus, upper=9.0)
    net.sink("use", bus, amount=6.0)
    twin = net.program.copy()
    y = twin.columns("y", (1,), upper=1.0)
    at = truck.columns.ravel()
    b = design.lot(twin, at, y[[0, 0]], np.full(2, 5.0), np.full(2, 9.0))
    return named(twin, net), np.concatenate([y, b])


def bound(net, pairs, minima):
    """The program with binaries at the marked positions."""
    flagged = strategy._Flagged(net)
    flagged.pairs, flagged.minima = pairs, minima
    twin = net.program.copy()
    found = flagged.bind(twin)
    return named(twin, net), found


def named(twin, net):
    """A copy of a network's program with the network's names in place of the one block that stands for them."""
    for side, known in ((twin._columns, net.program.column_blocks), (twin._rows, net.program.row_blocks)):
        added = [replace(block, name=f"new {block.name}") for block in side.blocks[1:]]
        names = [block.name for block in added]
        second = [replace(b, name=f"{b.name} 2") if b.name in names[:i] else b for i, b in enumerate(added)]
        side.blocks[:] = [*known, *second]
    return twin


CASES = {
    case.__name__: case
    for case in (
        balance, converter, within_capacity, at_least_capacity, lifetimes, store_cyclic, store_with_start_and_end,
        store_of_chosen_size, lean_store, store_across_days, peak_of_two_steps, peak_of_two_streams_in_two_groups,
        budget, sessions_one_way, sessions_two_way, scenarios, elastic, either, off_or_at_least,
        blend, most_share, open_links, lots,
    )
}  # fmt: skip


def written(name: str) -> str:
    """The text of a case."""
    built = CASES[name]()
    program, binaries = built if isinstance(built, tuple) else (built, ())
    return text(program, CASES[name].__doc__, binaries)


@pytest.mark.parametrize("name", CASES)
def test_a_constraint_is_written_as_its_equation_says(name):
    assert written(name) == (FOLDER / f"{name}.lp").read_text(encoding="utf-8")


def test_every_golden_file_has_a_case():
    assert {path.stem for path in FOLDER.glob("*.lp")} == set(CASES)
