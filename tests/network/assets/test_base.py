"""Declared parameters become values in canonical units, or a list of located problems."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import DeclarationError, RequestError, Where
from mangrove.network.assets import KINDS, annuity, base, build
from mangrove.territory.cells import parameters
from mangrove.territory.model import Asset
from mangrove.units import Quantity, unit

SAME = {
    "kW": ("W", "MW", "GW"),
    "kWh": ("Wh", "MWh", "GWh"),
    "kg": ("g", "t"),
    "VND/kW": ("kVND/kW", "MVND/MW"),
    "h": ("min", "day"),
}


def read(kind, text, where=None):
    return base.read(Asset("a", "p", kind, parameters(text), where), KINDS[kind])


@given(st.sampled_from(sorted(SAME)), st.floats(1e-3, 1e6), st.data())
def test_a_value_means_the_same_in_every_unit_that_fits(canonical, value, data):
    other = data.draw(st.sampled_from(SAME[canonical]))
    kind = base.Kind(
        "made",
        "Made",
        "Tạo",
        (base.Parameter("x", canonical, "a number", "một số"),),
        lambda *_: base.Built(),
    )
    there = Quantity(value / unit(other).to(canonical), unit(other))
    found = base.read(Asset("a", "p", "made", {"x": there}), kind)
    assert found["x"] == pytest.approx(value, rel=1e-12)


def test_all_problems_stand_at_the_line_of_the_declaration():
    where = Where("assets.csv", 7)
    with pytest.raises(DeclarationError) as raised:
        read("boiler", "capacity=5 kWh; efficency=80 %; fuel=feul:wood", where)
    problems = raised.value.problems
    assert {p.code for p in problems} == {
        "assets.unknown_parameter", "assets.missing_parameter", "assets.wrong_unit", "assets.unknown_carrier",
    }  # fmt: skip
    assert all(p.where == where for p in problems)
    assert any("efficiency" in p.text("en") for p in problems if p.code == "assets.unknown_parameter")
    assert any("fuel" in p.text("vi") for p in problems if p.code == "assets.unknown_carrier")


@pytest.mark.parametrize(("kind", "text", "code"), [
    ("boiler", "efficiency=80 %", "assets.no_capacity"),
    ("boiler", "efficiency=180 %; capacity=1 MW", "assets.out_of_range"),
    ("boiler", "efficiency=80 %; max_capacity=1 MW; life=20 yr", "assets.sizing_needs"),
    ("boiler", "efficiency=80 %; capacity=2 MW; max_capacity=1 MW; cost=1 VND/kW; life=20 yr", "assets.band"),
    ("load", "tier=soon", "assets.unknown_word"),
    ("heat_pump", "capacity=1 MW", "assets.missing_parameter"),
    ("heat_pump", "capacity=1 MW; hot=30 degC; cold=40 degC", "assets.band"),
    ("compressor", "capacity=1 kg/h", "assets.missing_parameter"),
    ("compressor", "capacity=1 kg/h; inlet=40 bar; outlet=30 bar; efficiency=70 %", "assets.band"),
    ("swap_station", "packs=10 item; bays=20 item; pack_energy=1 kWh; charger=400 W", "assets.band"),
    ("swap_station", "packs=10 kg; bays=5 item; pack_energy=1 kWh; charger=400 W", "assets.wrong_unit"),
    ("generator", "capacity=1 kW; idle=20 %; max_capacity=5 kW; cost=1 VND/kW; life=9 yr", "assets.not_together"),
    ("pv", "capacity=1 kWp; tilt=100", "assets.out_of_range"),
    ("pv", "capacity=1 kWp; mount=wall", "assets.unknown_word"),
    ("pv", "capacity=big", "assets.not_a_number"),
])  # fmt: skip
def test_a_contradiction_or_a_value_that_cannot_be_is_refused(kind, text, code):
    with pytest.raises(DeclarationError) as raised:
        read(kind, text)
    assert code in [p.code for p in raised.value.problems]
    for problem in raised.value.problems:
        assert "a" in problem.text("vi")
        assert problem.text("vi") != problem.text("en")


def test_an_annuity_is_the_one_of_the_textbook():
    """1,000 at 10 % over 20 years: 117.46 a year (capital recovery factor 0.117460)."""
    assert annuity(0.10)(1000.0, 0.0, 20.0) == pytest.approx(117.46, abs=0.005)
    assert annuity(0.0)(1000.0, 5.0, 20.0) == pytest.approx(55.0)
    assert annuity(0.10, years=0.5)(1000.0, 0.0, 20.0) == pytest.approx(58.73, abs=0.005)


def test_an_asset_that_may_only_be_bought_is_not_there_in_operation(site):
    world = site(4)
    world.add("battery", "max_energy=100 kWh; max_power=50 kW; cost=1 VND/kWh; life=10 yr", "b")
    pv = world.add(
        "pv", "max_capacity=100 kWp; cost=1 VND/kW; life=20 yr", "s", series={"profile": [1.0, 1.0, 1.0, 1.0]}
    )
    grid = world.buy("electricity", [1.0, 9.0, 1.0, 9.0])
    world.need("electricity", 5.0)
    plan = world.net.solve()
    assert plan[grid] == pytest.approx([5.0] * 4)
    assert plan[pv.streams["output"]] == pytest.approx([0.0] * 4)


def test_a_declared_asset_is_built_by_its_type(site):
    world = site(4)
    setting = base.Setting(world.net, world.node, "p")
    built = build(
        setting,
        Asset(
            "b", "p", "boiler", parameters("capacity=9 kW; efficiency=90 %; output=steam; flow=steam_meter")
        ),
    )
    assert built.flows == {"output": "steam_meter"}
    with pytest.raises(RequestError) as raised:
        build(setting, Asset("l", "p", "load", {}))
    assert raised.value.code == "assets.series_missing"


def test_a_value_out_of_range_is_said_without_the_unit_one():
    for declared, said in (
        ("energy=1 MWh; power=1 MW; round_trip=120 %", "round_trip = 120 % must lie between 0.01 and 1"),
        ("energy=1000; power=1 MW", "energy = 1000 has the wrong unit; it is counted in kWh"),
    ):
        with pytest.raises(DeclarationError) as error:
            base.read(Asset("b", "p", "battery", parameters(declared)), KINDS["battery"])
        assert error.value.problems[0].text("en").endswith(said)


@pytest.mark.parametrize(
    ("kind", "declared", "code", "said", "told"),
    [
        ("battery", "energy=nan MWh; power=1 MW", "assets.not_a_number", "nan MWh is not a number; write it like 5 kWh", "5 kWh"),
        ("battery", "energy=much; power=1 MW", "assets.not_a_number", "much is not a number", "không phải là số"),
        ("pv", "capacity=9 kWp; tilt=flat", "assets.not_a_number", "write it like 10", "hãy viết như 10"),
        ("load", "flow=5 kW", "assets.not_a_word", "5 kW is a number where a word is needed", "cần một từ"),
        ("charger", "power=7 kW; count=1.5 item", "assets.not_whole", "1.5 item is a count", "số nguyên"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_value_is_said_as_it_is(kind, declared, code, said, told):
    with pytest.raises(DeclarationError) as error:
        base.read(Asset("b", "p", kind, parameters(declared)), KINDS[kind])
    (problem,) = error.value.problems
    assert problem.code == code
    assert said in problem.text("en")
    assert told in problem.text("vi")
