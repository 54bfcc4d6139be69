# SPDX-License-Identifier: Apache-2.0
"""`mangrove signals`: a plan searched, ways of control compared, a plan written for the field; refusals in both languages."""

import json

import numpy as np
import pytest
from scipy import stats
from tests.traffic.crossroads import SINGLE, flows, with_plan
from typer.testing import CliRunner

from mangrove import cli_signals, signals
from mangrove.cli_signals import signals_app
from mangrove.errors import MangroveError, RequestError
from mangrove.printing_signals import comparison_text
from mangrove.traffic.fixed_plan import read_plan, write_plan
from mangrove.traffic.verdict import MEASURES, Comparison

WE_NS = (("w_t t_e", 1500), ("n_t t_s", 300))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A crossroads with a bad plan, and two minutes of traffic."""
    folder = tmp_path_factory.mktemp("signals")
    return with_plan(SINGLE, folder / "bad.net.xml", (72, 12)), flows(folder / "a.rou.xml", *WE_NS, end=120)


def asked(*words):
    done = CliRunner().invoke(signals_app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_search_writes_the_plan_its_table_and_what_the_check_found(world, tmp_path):
    net, routes = world
    out, table = tmp_path / "plan.add.xml", tmp_path / "plan.csv"
    done = asked(
        "search",
        net,
        "--routes",
        routes,
        "--evaluations",
        16,
        "--draws",
        1,
        "--verify-seeds",
        2,
        "--out",
        out,
        "--table",
        table,
        "--json",
    )
    found = json.loads(done.stdout)
    (signal,) = read_plan(out).signals
    assert found["plan"][0]["cycle_s"] == signal.cycle
    assert found["search"]["cost_s"]["plan"] < found["search"]["cost_s"]["installed"]
    assert found["verified"]["against"] == "installed"
    plan = found["verified"]["ways"]["plan"]
    assert set(plan) == {*MEASURES, "vehicles"}
    assert plan["delay"]["mean"] < found["verified"]["ways"]["installed"]["delay"]["mean"]
    assert len(plan["delay"]["values"]) == 2
    assert table.read_text(encoding="utf-8").splitlines()[0].startswith("signal,stage,")
    # two lanes of 3.2 m to be crossed: 7 + 6.4 / 1.07 - 2 = 10.98 s
    assert found["limits"]["least_green_s"] == {"t": [11, 11]}


def test_a_search_goes_on_from_an_earlier_plan_and_refuses_one_with_other_yellows(world, tmp_path):
    net, routes = world
    earlier = tmp_path / "earlier.add.xml"
    write_plan(read_plan(SINGLE), earlier)
    words = (
        "search",
        net,
        "--routes",
        routes,
        "--evaluations",
        4,
        "--draws",
        1,
        "--verify-seeds",
        0,
        "--json",
    )
    first = json.loads(asked(*words).stdout)["search"]
    on = json.loads(asked(*words, "--start", earlier).stdout)["search"]
    assert on["cost_s"]["installed"] == first["cost_s"]["installed"]
    assert on["cost_s"]["plan"] < first["cost_s"]["plan"]
    earlier.write_text(earlier.read_text(encoding="utf-8").replace('"2"', '"4"'), encoding="utf-8")
    with pytest.raises(RequestError) as refused:
        asked(*words, "--start", earlier)
    assert refused.value.code == "signals.other_stages"


def test_an_interrupted_search_writes_its_best_and_says_that_it_was_not_checked(world, tmp_path, monkeypatch):
    net, routes = world

    def interrupted(lang):
        def told(spent, allowed, share):
            raise KeyboardInterrupt

        return told

    monkeypatch.setattr(cli_signals, "_told", interrupted)
    out = tmp_path / "plan.add.xml"
    done = asked(
        "search", net, "--routes", routes, "--evaluations", 60, "--draws", 1, "--out", out, "--lang", "vi"
    )
    assert done.exit_code == 130
    assert "chưa được kiểm tra" in done.stderr
    assert read_plan(out).signals[0].cycle >= 50


def test_what_of_the_installed_plan_is_too_short_for_people_is_said_on_stderr(world, tmp_path):
    net, routes = world
    words = ("--evaluations", 4, "--draws", 1, "--verify-seeds", 0, "--pedestrian", "20s", "--lang", "vi")
    done = asked("search", net, "--routes", routes, *words)
    assert "12 giây đèn xanh ngắn hơn mức tối thiểu 20 giây" in done.stderr


def test_ways_are_compared_on_the_same_vehicles_with_the_same_seeds(world, tmp_path):
    net, routes = world
    same = tmp_path / "same.add.xml"
    write_plan(read_plan(net), same)
    done = asked(
        "run",
        net,
        "--routes",
        routes,
        "--control",
        f"installed,fixed:{same}",
        "--control",
        "actuated",
        "--draws",
        2,
        "--json",
    )
    found = json.loads(done.stdout)
    ways = list(found["ways"].values())
    # the installed plan as a file is the installed plan
    assert ways[0]["delay"]["values"] == ways[1]["delay"]["values"]
    assert ways[1]["delay"]["probability_less"] == 0.5
    assert ways[0]["vehicles"] == ways[2]["vehicles"]
    assert ways[2]["delay"]["mean"] < ways[0]["delay"]["mean"]


def test_an_export_is_a_table_in_the_language_and_a_file_that_reads_back(tmp_path):
    out, table = tmp_path / "plan.add.xml", tmp_path / "plan.md"
    asked("export", SINGLE, "--out", out, "--table", table, "--lang", "vi")
    assert read_plan(out).signals == read_plan(SINGLE).signals
    lines = table.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("| nút đèn | pha |")
    assert len(lines) == 4
    assert asked("export", out, "--net", SINGLE).stdout.splitlines()[1].startswith("t,1,n_t ↑,42,2,0,")


def test_the_table_in_text_says_how_sure_each_difference_is(world):
    net, routes = world
    done = asked(
        "run",
        net,
        "--routes",
        routes,
        "--control",
        "installed,actuated",
        "--draws",
        2,
        "--lang",
        "vi",
        "--sublane",
        "none",
    )
    assert "chậm trễ (giây/xe)" in done.stdout
    assert "va chạm" in done.stdout
    assert "chắc" in done.stdout


def test_routes_that_are_named_twice_are_refused(world):
    net, routes = world
    with pytest.raises(MangroveError) as refused:
        asked("run", net, "--routes", routes, "--routes", routes, "--control", "installed")
    assert refused.value.code == "signals.routes_twice"


def test_the_plan_of_another_copy_of_the_network_is_the_installed_one(world):
    net, routes = world
    done = signals.run(net, [routes], ["installed", f"fixed:{net}"], draws=1, sublane=None)
    assert done.mean("installed", "delay") == done.mean(done.names[1], "delay")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--control", "actuatd"), "signals.unknown_control"),
        (("--control", "fixed:none.add.xml"), "signals.unreadable"),
        (("--control", "fixed:"), "signals.unknown_control"),
        (("--control", "installed", "--draws", "0"), "signals.bad_range"),
        (("--control", "installed", "--draws", "100000000"), "signals.bad_range"),
        (("--control", "installed", "--sublane", "0m"), "signals.bad_strip"),
        (("--control", "installed", "--sublane", "1mm"), "signals.bad_strip"),
        (("--control", "installed", "--seed", "-1"), "signals.bad_setting"),
        (("--control", "installed", "--sublane", "wide"), "signals.bad_strip"),
        (("--control", "installed", "--sublane", "1e300m"), "signals.bad_strip"),
        (("--control", "installed", "--teleport=-3s"), "signals.time_range"),
        (("--control", "installed", "--teleport", "0s"), "signals.time_range"),
        (("--control", "installed", "--teleport", "1e300h"), "signals.time_range"),
        (("--control", "installed", "--end", "1e300h"), "signals.time_range"),
        (("--control", "installed", "--end", "1e308h"), "signals.time_range"),
        (("--control", "installed", "--end", "-5s"), "signals.time_range"),
        (("--control", "installed", "--end", "nan"), "signals.bad_time"),
        (("--control", "installed", "--end", "600"), "signals.bad_time"),
        (("--control", "installed", "--end", "5 km"), "signals.bad_time"),
        (("--control", "installed", "--end", "0s"), "signals.bad_period"),
        (("--control", "installed", "--end", "32 d"), "signals.too_long"),
        (("--control", "installed", "--begin", "9h"), "signals.nobody"),
        (("--control", "installed", "--begin", "10min", "--end", "5min"), "signals.bad_period"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(world, words, code):
    net, routes = world
    with pytest.raises(MangroveError) as refused:
        asked("run", net, "--routes", routes, *words)
    assert refused.value.code == code
    assert refused.value.text("vi") != refused.value.text("en")


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        (("--minimum-green", "70s"), "signals.no_room", 3),
        (("--pedestrian", "rods"), "signals.unknown_pedestrians", 1),
        (("--cycle", "60s"), "signals.cycle_words", 1),
        (("--cycle", "90s,50s"), "signals.bad_cycle", 1),
        (("--cycle", "50s,1e300h"), "signals.time_range", 1),
        (("--cycle", "0s,60s"), "signals.time_range", 1),
        (("--minimum-green", "7"), "signals.bad_time", 1),
        (("--minimum-green=-7s",), "signals.time_range", 1),
        (("--minimum-green", "1e300h"), "signals.time_range", 1),
        (("--pedestrian", "1e300h"), "signals.time_range", 1),
        (("--begin", "nan"), "signals.bad_time", 1),
        (("--end", "1e300h"), "signals.time_range", 1),
        (("--evaluations", "1"), "signals.bad_range", 1),
        (("--draws", "1000000"), "signals.bad_range", 1),
        (("--verify-seeds", "-1"), "signals.bad_range", 1),
        (("--verify-seeds", "1000000000"), "signals.bad_range", 1),
        (("--seed", "0"), "signals.bad_range", 1),
        (("--seed", "99999999999999999999"), "signals.bad_range", 1),
        (("--workers", "0"), "signals.bad_setting", 1),
        (("--carbon-weight", "nan"), "signals.bad_range", 1),
        (("--carbon-weight", "1e308"), "signals.bad_range", 1),
    ],
)
def test_a_search_that_cannot_be_is_refused(world, words, code, status):
    net, routes = world
    with pytest.raises(MangroveError) as refused:
        asked("search", net, "--routes", routes, *words)
    assert (refused.value.code, refused.value.exit_code) == (code, status)
    assert refused.value.text("vi") != refused.value.text("en")


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ('<vehicle id="a" depart="0"><route edges="w_t t_e"/></vehicle>' * 2, "signals.id_twice"),
        (
            '<flow id="w" begin="0" end="9" vehsPerHour="1e12"><route edges="w_t t_e"/></flow>',
            "signals.bad_number",
        ),
        (
            '<flow id="w" begin="0" end="9" probability="7"><route edges="w_t t_e"/></flow>',
            "signals.bad_number",
        ),
        ('<flow id="w" begin="0" end="9" number="-1"><route edges="w_t t_e"/></flow>', "signals.bad_number"),
    ],
)
def test_routes_that_sumo_would_stop_at_are_refused_in_the_language(world, tmp_path, rows, code):
    net, _ = world
    path = tmp_path / "sáng.rou.xml"
    path.write_text(f"<routes>{rows}</routes>")
    with pytest.raises(MangroveError) as refused:
        asked("run", net, "--routes", path, "--control", "installed")
    assert (refused.value.code, str(refused.value.problem.where)) == (code, "sáng.rou.xml")


def test_files_with_commas_and_spaces_in_their_names_are_simulated(world, tmp_path):
    net, routes = world
    folder = tmp_path / "nút, đường"
    folder.mkdir()
    other = folder / "mạng, đường.net.xml"
    other.write_bytes(net.read_bytes())
    plan = folder / "kế hoạch, mới.add.xml"
    asked("export", other, "--out", plan)
    ways = ["installed", f"fixed:{plan}"]
    found = signals.run(other, [routes], ways, draws=1, sublane=None, streets=True)
    plain = signals.run(net, [routes], ["installed"], draws=1, sublane=None)
    assert found.mean("installed", "delay") == plain.mean("installed", "delay")


def test_a_table_is_csv_or_markdown_and_a_network_has_movements(world, tmp_path):
    net, routes = world
    for words, code in (
        (("export", net, "--table", tmp_path / "plan.xlsx"), "signals.table_ending"),
        (("search", net, "--routes", routes, "--table", tmp_path / "plan"), "signals.table_ending"),
        (("export", net, "--net", routes), "signals.no_movements"),
    ):
        with pytest.raises(MangroveError) as refused:
            asked(*words)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--wait", "1e308h"), "signals.time_range"),
        (("--wait=-5s",), "signals.time_range"),
        (("--seconds", "nan"), "signals.bad_time"),
        (("--seconds", "0s"), "signals.time_range"),
        (("--seconds", "1e308h"), "signals.time_range"),
        (("--order", "-3"), "traffic.live_order"),
        (("--order", "9999999999"), "traffic.live_order"),
        (("--net", "none.net.xml"), "signals.unreadable"),
    ],
)
def test_a_control_that_cannot_be_is_refused_before_anybody_is_called(words, code):
    with pytest.raises(MangroveError) as refused:
        asked("live", "--port", "1", "--lang", "vi", *words)
    assert refused.value.code == code
    assert refused.value.text("vi") != refused.value.text("en")


def test_the_option_that_is_wrong_is_named(world):
    net, routes = world
    with pytest.raises(MangroveError) as refused:
        asked("run", net, "--routes", routes, "--control", "installed", "--end", "1e300h")
    assert refused.value.text("en") == "--end: 1e300h is not between 0 and 10000000000 s"


def test_a_file_that_cannot_be_written_is_found_out_before_the_search(world, tmp_path):
    net, routes = world
    with pytest.raises(FileNotFoundError):
        asked("search", net, "--routes", routes, "--out", tmp_path / "nowhere" / "plan.add.xml")
    out = tmp_path / "plan.add.xml"
    with pytest.raises(MangroveError):
        asked("search", net, "--routes", routes, "--out", out, "--evaluations", 1)
    assert not out.exists()


def test_a_plan_of_another_network_is_refused(world, tmp_path):
    net, routes = world
    other = tmp_path / "other.add.xml"
    text = '<additional><tlLogic id="{}" type="static" programID="x" offset="0"><phase duration="30" state="{}"/></tlLogic></additional>'
    for name, state, code in (
        ("u", "GGrr", "signals.unknown_signal"),
        ("t", "GGr", "signals.other_movements"),
    ):
        other.write_text(text.format(name, state), encoding="utf-8")
        with pytest.raises(RequestError) as refused:
            signals.run(net, [routes], [f"fixed:{other}"])
        assert refused.value.code == code


def test_the_adaptive_controller_is_one_of_the_ways(world):
    net, routes = world
    done = asked("run", net, "--routes", routes, "--control", "installed,adaptive", "--draws", 1, "--json")
    ways = json.loads(done.stdout)["ways"]
    assert ways["adaptive"]["delay"]["mean"] < ways["installed"]["delay"]["mean"]
    assert ways["adaptive"]["delay"]["sd"] is None, "one draw knows no spread"


# --- the arithmetic of a comparison -------------------------------------------------------------------------------------


def compared(first, second):
    values = np.zeros((2, len(first), len(MEASURES)))
    values[0, :, 0], values[1, :, 0] = first, second
    return Comparison(("installed", "plan"), values, np.ones((2, len(first))), tuple(range(len(first))), 0.0)


def test_the_probability_that_a_plan_is_better_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(3)
    first = rng.normal(90, 5, 6)
    second = first - rng.normal(2, 3, 6)
    expected = stats.ttest_rel(second, first, alternative="less").pvalue
    found = compared(first, second)
    assert found.better("plan", "delay") == pytest.approx(1 - expected)
    low, high = stats.ttest_rel(second, first).confidence_interval(0.9)
    assert found.interval("plan", "delay") == pytest.approx((low / first.mean(), high / first.mean()))


def test_nothing_is_said_to_be_certain():
    text = comparison_text(compared([90.0, 91.0, 92.0], [50.0, 51.0001, 52.0]))
    assert "> 99.9 %" in text
    assert "100.0 % sure" not in text


def test_one_draw_knows_no_spread_and_equal_runs_are_no_better():
    one = compared([90.0], [50.0])
    assert np.isnan(
        [one.spread("plan", "delay"), one.better("plan", "delay"), *one.interval("plan", "delay")]
    ).all()
    assert compared([90.0, 91.0], [90.0, 91.0]).better("plan", "delay") == 0.5
    assert compared([90.0, 91.0], [80.0, 81.0]).better("plan", "delay") == 1.0
