# SPDX-License-Identifier: Apache-2.0
"""The algebra of actions: closed forms, order does not count, nothing moves twice."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan import scenario_world as world

import mangrove as mg
from mangrove import rules, testing
from mangrove.errors import DeclarationError, RequestError
from mangrove.plan.scenario import Base, Pathway, split_id
from mangrove.plan.scenario_file import read, without_actions
from mangrove.plan.scenario_territory import derive, files, held

HOURS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * 24.0
NAMES = ("grid", "pv", "diesel", "coal", "boiler")
BASE = Base(NAMES, np.array([[70e3], [3e3], [900.0], [120.0], [9e3]]) * np.ones(12), HOURS)


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    return mg.open(testing.park_of(tmp_path_factory.mktemp("park"), world.FLOWS)).territory


@pytest.fixture
def pathway(declared, tmp_path):
    def make(*actions, head=world.HEAD, name="test"):
        scenario = read(declared, world.write(tmp_path, *actions, head=head, name=name))
        return Pathway(scenario, derive(declared, rules.load(), scenario), BASE)

    return make


def of(path, amounts, flow):
    return amounts[path.index[flow]]


def test_no_action_repeats_the_base_year(pathway):
    path = pathway()
    assert path.amounts() == pytest.approx(np.tile(BASE.amounts, 3), rel=1e-15)
    assert len(path.starts) == 36


def test_growth_compounds_from_the_base_year(pathway):
    head = (
        world.HEAD
        + "  growth: [{{sector: heat, rate: 3 %, source: s, status: assumed}}, {{rate: -1 %, source: s, status: assumed}}]\n"
    )
    path = pathway(head=head)
    amounts = path.amounts()
    assert of(path, amounts, "coal")[::12] == pytest.approx(120 * 1.03 ** np.array([2, 3, 4]))
    assert of(path, amounts, "diesel")[::12] == pytest.approx(900 * 0.99 ** np.array([2, 3, 4]))


def test_an_asset_changes_flows_by_its_size_and_time(pathway):
    path = pathway(world.ROOF)
    gained = of(path, path.amounts() - path.amounts([]), "pv")
    hours_a_year = 8766  # of the unit yr: 365.25 days
    year = gained[24:].sum()
    assert year == pytest.approx(100 * 1200 * (366 * 24 / hours_a_year))
    lost = of(path, path.amounts() - path.amounts([]), "grid")
    assert lost == pytest.approx(-gained * 1100 / 1200)


def test_a_linear_ramp_is_half_way_in_its_middle_and_conserves_its_area(pathway):
    path = pathway(world.ROOF)
    gained = of(path, path.amounts() - path.amounts([]), "pv") / (100 * 1200 / 8766 * path.hours)
    assert gained[:6].tolist() == [0.0] * 6
    assert gained[18:] == pytest.approx(np.ones(18))
    ramp = slice(6, 18)
    assert (gained[ramp] * path.hours[ramp]).sum() == pytest.approx(365 * 24 / 2)


def test_an_s_curve_is_slow_fast_slow_and_has_the_same_area(pathway):
    path = pathway(world.SAVING)
    level = 1 - of(path, path.amounts(), "diesel") / 900
    steps = np.diff(level[:24])
    assert steps[0] < steps[11] > steps[-1] > 0
    assert (level[:24] * path.hours[:24]).sum() == pytest.approx(0.1 * 730 * 24 / 2)
    assert level[24:] == pytest.approx(np.full(12, 0.1))


def test_a_switch_moves_a_share_and_the_ratio_says_what_it_needs(pathway):
    path = pathway(world.TRUCKS)
    amounts = path.amounts()
    assert of(path, amounts, "diesel")[12:] == pytest.approx(np.full(24, 540.0))
    assert of(path, amounts, "grid")[12:] == pytest.approx(np.full(24, 70e3 + 360 * 3))
    assert of(path, amounts, "grid")[:12] == pytest.approx(np.full(12, 70e3))


def test_another_factor_counts_a_share_of_what_stays(pathway):
    path = pathway(world.FUEL)
    part = split_id("coal", path.scenario.actions[0])
    amounts = path.amounts()
    assert path.territory.flows[part].factor == "combustion/manufacturing/wood"
    assert path.territory.flows[part].meter == "coal"
    assert of(path, amounts, "coal") + of(path, amounts, part) == pytest.approx(np.full(36, 120.0))
    assert of(path, amounts, part)[12:] == pytest.approx(np.full(24, 60.0))


def test_a_retired_asset_hands_its_flow_on(tmp_path):
    folder = testing.park_of(tmp_path / "park", world.FLOWS)
    (folder / "assets.csv").write_text("id,place,type,parameters\nroof,site,pv,capacity=10 kWp; flow=pv\n")
    declared = mg.open(folder).territory
    text = "  - {id: gone, type: retire_asset, from: 2027-01-01, asset: roof, into: grid, source: s, status: assumed}\n"
    scenario = read(declared, world.write(tmp_path, text))
    path = Pathway(scenario, derive(declared, rules.load(), scenario), BASE)
    amounts = path.amounts(strict=True)
    assert of(path, amounts, "pv")[12:].tolist() == [0.0] * 24
    assert of(path, amounts, "grid")[12:] == pytest.approx(np.full(24, 73e3))
    assert path.territory.assets["roof"].note == "(retired 2027-01-01)"


@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_the_order_of_lines_in_the_file_does_not_count(pathway, order):
    three = (world.TRUCKS, world.SAVING, world.ROOF)
    written, turned = pathway(*three), pathway(*(three[i] for i in order))
    assert (written.amounts() == turned.amounts()).all()
    assert written.scenario.digest == turned.scenario.digest


SWITCH = "  - {{id: s{n}, type: switch_technology, from: {year}-0{month}-01, flow: [{flow}], share: {share} %, into: {into}, ratio: {ratio}, source: s, status: assumed}}\n"
CHANGE = "  - {{id: c{n}, type: change_activity, from: {year}-0{month}-01, flow: [{flow}], change: {change} %, source: s, status: assumed}}\n"
RATIOS = {
    ("diesel", "grid"): "3 kWh/L",
    ("coal", "grid"): "5 MWh/t",
    ("grid", "boiler"): "0.9",
    ("diesel", "boiler"): "2 kWh/L",
}


@st.composite
def some_actions(draw):
    made = []
    for n in range(draw(st.integers(1, 5))):
        year, month = draw(st.integers(2026, 2028)), draw(st.integers(1, 9))
        if draw(st.booleans()):
            pair = draw(st.sampled_from(sorted(RATIOS)))
            share = draw(st.integers(1, 20))
            made.append(
                SWITCH.format(
                    n=n, year=year, month=month, flow=pair[0], into=pair[1], share=share, ratio=RATIOS[pair]
                )
            )
        else:
            flow, change = draw(st.sampled_from(NAMES)), draw(st.integers(-50, 50))
            made.append(CHANGE.format(n=n, year=year, month=month, flow=flow, change=change))
    return made, draw(st.permutations(made))


@given(some_actions())
@settings(max_examples=40, deadline=None)
def test_any_set_of_actions_gives_the_same_in_any_order_and_nothing_is_lost(declared, tmp_path_factory, both):
    folder = tmp_path_factory.mktemp("scenarios")
    paths = []
    for name, actions in zip("ab", both, strict=True):
        scenario = read(
            declared, world.write(folder, *actions, name=name, head=world.HEAD.replace("{name}", "x"))
        )
        paths.append(Pathway(scenario, derive(declared, rules.load(), scenario), BASE))
    first, second = (path.amounts(strict=True) for path in paths)
    assert (first == second).all()
    switches = [n for n, action in enumerate(paths[0].scenario.actions) if action.to]
    days = [moment.astimezone(declared.tz).date() for moment in paths[0].starts]
    left = np.ones(36)
    for action in paths[0].scenario.actions:
        if action.to and action.flows == ("diesel",):
            left -= action.share * np.array([day >= action.first for day in days])
    moved = paths[0].amounts(switches)
    assert (moved >= 0).all()
    assert of(paths[0], moved, "diesel") == pytest.approx(900 * left)


def test_switches_in_a_chain_pass_the_stock_on(pathway):
    second = (
        world.TRUCKS.replace("id: trucks", "id: heat")
        .replace("[diesel]", "[grid]")
        .replace("into: grid", "into: boiler")
        .replace("ratio: 3 kWh/L", "ratio: 0.9")
        .replace("share: 40 %", "share: 10 %")
    )
    path = pathway(second, world.TRUCKS)
    amounts = path.amounts(strict=True)
    stock = 70e3 + 360 * 3
    assert of(path, amounts, "grid")[12:] == pytest.approx(np.full(24, 0.9 * stock))
    assert of(path, amounts, "boiler")[12:] == pytest.approx(np.full(24, 9e3 + 0.1 * 0.9 * stock))


def test_more_than_all_cannot_be_moved(pathway):
    twice = world.TRUCKS.replace("id: trucks", "id: more").replace("40 %", "61 %")
    with pytest.raises(RequestError) as caught:
        pathway(world.TRUCKS, twice).amounts(strict=True)
    assert caught.value.code == "scenario.too_much"
    assert caught.value.problem.data == {
        "flow": "diesel",
        "month": "2027-01",
        "percent": "101.0",
        "actions": "more, trucks",
    }


def test_more_than_there_is_cannot_be_taken_away(pathway):
    roof = world.ROOF.replace("100 kWp\n    effects", "10000 kWp\n    effects")
    with pytest.raises(RequestError) as caught:
        pathway(roof).amounts(strict=True)
    assert caught.value.code == "scenario.negative"
    assert caught.value.problem.data["flow"] == "grid"


def test_switches_in_a_circle_are_refused(pathway):
    back = (
        world.TRUCKS.replace("id: trucks", "id: back")
        .replace("[diesel]", "[grid]")
        .replace("into: grid", "into: diesel")
        .replace("3 kWh/L", "0.3 L/kWh")
    )
    with pytest.raises(RequestError) as caught:
        pathway(world.TRUCKS, back)
    assert caught.value.code == "scenario.circle"


def test_a_moved_error_is_one_standard_deviation_of_its_number(pathway):
    path = pathway(world.TRUCKS)
    action = path.scenario.actions[0]
    plain = path.amounts()
    up = path.amounts(moved=f"{action.key}:ratio") - plain
    assert of(path, up, "grid")[12:] == pytest.approx(np.full(24, 360 * 3 * 0.15 / 1.959964), rel=1e-6)
    assert not of(path, up, "diesel").any()
    meter = path.amounts(moved="meter:diesel") - plain
    assert of(path, meter, "diesel")[12:] == pytest.approx(np.full(24, 540 * 0.03 / 1.959964), rel=1e-6)
    assert of(path, meter, "grid")[12:] == pytest.approx(np.full(24, 360 * 3 * 0.03 / 1.959964), rel=1e-6)


def test_the_last_official_grid_factor_is_held_and_a_switch_takes_its_place(declared, pathway):
    path = pathway(world.GRID)
    rows = [row for row in path.territory.factors if row.activity == "grid/vn"]
    assert [(row.value, str(row.valid_from), str(row.valid_to)) for row in rows] == [
        (0.6592, "2024-01-01", "2027-01-01"),
        (0.5, "2027-01-01", "None"),
    ]
    dated = replace(path.scenario, baseline=replace(path.scenario.baseline, factors="dated"))
    assert held(declared, rules.load(), dated) == ()


def test_a_ramp_of_a_factor_is_a_row_a_year_with_the_value_in_its_middle(pathway):
    ramp = world.GRID.replace(
        "    gas: CO2\n",
        "    gas: CO2\n    ramp: linear\n    ramp_to: 2029-01-01\n    value_from: 0.7 t CO2/MWh\n",
    )
    rows = [r for r in pathway(ramp).territory.factors if r.note == "cleaner"]
    assert [row.value for row in rows] == pytest.approx(
        [0.7 - 0.2 * 182.5 / 731, 0.7 - 0.2 * (365 + 183) / 731, 0.5]
    )


def test_the_derived_declaration_reads_back_as_the_derived_territory(pathway, tmp_path):
    path = pathway(*world.ALL)
    folder = tmp_path / "derived"
    folder.mkdir()
    for name, text in files(path.territory).items():
        (folder / name).write_text(text, encoding="utf-8")
    again = mg.open(folder).territory
    assert {n: replace(f, where=None) for n, f in again.flows.items()} == {
        n: replace(f, where=None) for n, f in path.territory.flows.items()
    }
    assert [replace(row, where=None) for row in again.factors] == [
        replace(row, where=None) for row in path.territory.factors
    ]
    assert {n: (a.type, a.place) for n, a in again.assets.items()} == {"roof_2": ("pv", "site")}


def test_the_baseline_has_no_action_and_no_flow_of_its_own(pathway):
    assert without_actions(pathway(*world.ALL).scenario).actions == ()


PROBLEMS = [
    (world.ROOF.replace("kind: pv", "kind: pvv"), "assets.unknown_type", 14),
    (world.ROOF.replace("capacity=100 kWp", "capacity=100 kg"), "assets.wrong_unit", 16),
    (world.TRUCKS.replace("into:", "inot:"), "territory.unknown_key", 13),
    (world.TRUCKS.replace("into: grid", "into: gird"), "territory.no_flow", 13),
    (world.TRUCKS.replace("3 kWh/L", "3 kWh/kg"), "scenario.ratio_unit", 14),
    (world.TRUCKS.replace("share: 40 %", "share: 140 %"), "territory.out_of_range", 12),
    (world.TRUCKS.replace("share: 40 %", "share: 0.4"), "territory.percent_missing", 12),
    (world.TRUCKS.replace("    share: 40 %\n", ""), "territory.missing_key", 8),
    (world.TRUCKS.replace("    source: assumed here\n", ""), "territory.missing_key", 8),
    (world.TRUCKS.replace("status: assumed", "status: guessed"), "territory.not_an_option", 18),
    (world.TRUCKS.replace("ratio_uncertainty", "change"), "scenario.key_not_for", 16),
    (world.ROOF.replace("place: site", "place: nowhere"), "territory.unknown_place", 15),
    (world.ROOF.replace("1200 kWh/kWp/yr", "1200 t/yr"), "scenario.amount_unit", 19),
    (world.ROOF.replace("    ramp_to: 2027-07-01\n", ""), "scenario.ramp_to", 11),
    (world.ROOF.replace("ramp_to: 2027-07-01", "ramp_to: 2026-01-01"), "territory.dates_reversed", 12),
    (world.SAVING.replace("sector: transport", "sector: transprot"), "territory.unknown_sector", 13),
    (world.SAVING.replace("    sector: transport\n", ""), "scenario.no_selector", 8),
    (world.GRID.replace("    gas: CO2\n", ""), "territory.missing_key", 11),
    (world.GRID.replace("0.5 t CO2/MWh", "0.5 MWh"), "territory.factor_unit", 13),
    (world.TRUCKS + world.TRUCKS, "territory.duplicate_id", 19),
    (world.GRID + world.GRID.replace("id: cleaner", "id: other"), "scenario.two_values", 17),
    (world.TRUCKS.replace("type: switch_technology", "type: change_activity"), "scenario.key_not_for", 12),
    (world.TRUCKS.replace("from: 2027-01-01", "from: soon"), "base.not_a_date", 10),
]


@pytest.mark.parametrize(
    ("text", "code", "line"), PROBLEMS, ids=[f"{c}-{n}" for n, (_, c, _) in enumerate(PROBLEMS)]
)
def test_a_problem_has_a_code_and_a_place(declared, tmp_path, text, code, line):
    with pytest.raises(DeclarationError) as caught:
        read(declared, world.write(tmp_path, text))
    found = {problem.code: problem for problem in reversed(caught.value.problems)}
    assert code in found, [problem.text() for problem in caught.value.problems]
    assert (found[code].where.file, found[code].where.line) == ("test.yaml", line), found[code].line()
    assert found[code].text("vi") != found[code].text("en")


def test_all_problems_are_listed_at_once(declared, tmp_path):
    text = world.TRUCKS.replace("into: grid", "into: gird") + world.ROOF.replace(
        "place: site", "place: nowhere"
    )
    with pytest.raises(DeclarationError) as caught:
        read(declared, world.write(tmp_path, text, head=world.HEAD.replace("to: 2028", "to: 2020")))
    assert {p.code for p in caught.value.problems} == {
        "territory.no_flow",
        "territory.unknown_place",
        "scenario.horizon",
    }
    assert "did you mean" in caught.value.text()


def test_a_flow_of_the_scenario_begins_at_zero_and_must_not_be_declared(declared, tmp_path):
    head = world.HEAD + "flows:\n  - {{id: {flow}, place: site, carrier: electricity, unit: kWh, scope: 2}}\n"
    new = head.replace("{flow}", "charging")
    scenario = read(
        declared, world.write(tmp_path, world.TRUCKS.replace("into: grid", "into: charging"), head=new)
    )
    path = Pathway(scenario, derive(declared, rules.load(), scenario), BASE)
    assert of(path, path.amounts(), "charging") == pytest.approx([0.0] * 12 + [1080.0] * 24)
    with pytest.raises(DeclarationError) as caught:
        read(declared, world.write(tmp_path, head=head.replace("{flow}", "grid")))
    assert [p.code for p in caught.value.problems] == ["scenario.flow_declared"]


def test_a_sector_means_its_flows_of_the_inventory(pathway):
    text = world.SAVING.replace("sector: transport", "sector: power")
    assert pathway(text).scenario.actions[0].flows == ("grid",)


def test_an_uncertain_growth_is_uncertain_more_and_more(pathway):
    growth = "  growth: [{{rate: 2 %, uncertainty: 1 %, source: s, status: assumed}}]\n"
    path = pathway(head=world.HEAD + growth)
    (name,) = [name for name in path.errors() if name.startswith("growth")]
    moved = of(path, path.amounts(moved=name) / path.amounts(), "coal")[::12] - 1
    assert moved == pytest.approx((1 + 0.01 / 1.959964 / 1.02) ** np.array([2, 3, 4]) - 1, rel=1e-6)
