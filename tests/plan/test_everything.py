"""A mill declared in files with every kind of asset: all that may be built is sized by `mangrove size`."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.plan.site import rows
from tests.plan.test_verb import weather
from typer.testing import CliRunner

import mangrove as mg
from mangrove.cli import app
from mangrove.ledger import Origin
from mangrove.network.assets import KINDS
from mangrove.network.weather_files import read
from mangrove.plan.declared import Wishes, case_of
from mangrove.plan.problem import Limits, Outage
from mangrove.plan.record import metered
from mangrove.plan.size import size
from mangrove.plan.verb import case_at
from mangrove.times import Span

START, END = datetime(2026, 6, 30, 17, tzinfo=UTC), datetime(2026, 7, 4, 17, tzinfo=UTC)
STEPS = 96
FILES = {
    "territory.yaml": """\
name: Nhà máy Đủ Loại
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: mill
tariffs:
  - {id: evn, carrier: electricity, source: test, kind: two_component, voltage: 22-<110 kV, hours: "963", export: law}
  - {id: gas, carrier: "fuel:natural_gas", source: test, kind: flat, price: 900 VND/kWh}
  - {id: oil, carrier: "fuel:diesel", source: test, kind: flat, price: 2200 VND/kWh}
energy:
  discount: 10 %
  carbon_price: 100000 VND/t
""",
    "places.csv": "id,name,kind,parent,lon,lat\nmill,Nhà máy,facility,,106.7,20.8\nyard,Bãi,building,mill,106.7,20.8\n",
    "flows.csv": """\
id,place,carrier,unit,step,sector,scope,semantics,factor
in,mill,electricity,kWh,1h,steel,2,sum,grid/vn@2023
warm,mill,heat,kWh,1h,steel,,sum,
cold,mill,cooling,kWh,1h,steel,,sum,
h2,yard,hydrogen,kg,1h,steel,,sum,
drink,mill,water,m3,1h,steel,,sum,
store,mill,electricity,kWh,1h,steel,,sum,
wash,mill,electricity,kWh,1h,steel,,sum,
cars,yard,electricity,kWh,1h,steel,,sum,
swap.in,yard,electricity,kWh,1h,steel,,sum,
swaps,yard,material:battery_pack,item,1h,steel,,sum,
old.heat,mill,heat,kWh,1h,steel,,sum,
""",
    "assets.csv": """\
id,place,type,parameters
line,mill,grid,capacity=800 kW; max_capacity=3 MW; cost=400000 VND/kW; life=30 yr; flow=in
warmth,mill,load,carrier=heat; flow=warm
chill,mill,load,carrier=cooling; flow=cold
fuelling,yard,load,carrier=hydrogen@compressed; flow=h2
taps,mill,load,carrier=water@pumped; flow=drink
roof,mill,pv,max_capacity=1 MWp; cost=14000000 VND/kW; life=25 yr
mast,yard,wind,max_capacity=500 kW; cost=30000000 VND/kW; life=25 yr
bank,mill,battery,max_energy=2 MWh; c_rate=0.5 1/h; cost=3000000 VND/kWh; life=12 yr; floor=10 %; taper_from=80 %
plugs,yard,charger,power=7 kW; count=10 item; flow=cars
station,yard,swap_station,packs=40 item; bays=40 item; pack_energy=1.6 kWh; charger=400 W; flow=swap.in; demand_flow=swaps
freezer,mill,curtailable_load,value=20000 VND/kWh; share=30 %; flow=store
washing,mill,shiftable_load,window=24 h; share=50 %; flow=wash
oven,mill,batch,power=40 kW; duration=2 h
boiler,mill,boiler,efficiency=85 %; fuel=fuel:natural_gas; capacity=100 kW; max_capacity=2 MW; cost=1500000 VND/kW; life=20 yr
cooler,mill,chiller,cop=4; max_capacity=1 MW; cost=4000000 VND/kW; life=20 yr
warmer,mill,heat_pump,cop=4; capacity=20 kW; max_capacity=1 MW; cost=9000000 VND/kW; life=20 yr; flow=old.heat
air,mill,heat_pump,hot=60 degC; max_capacity=1 MW; cost=8000000 VND/kW; life=20 yr
unit,mill,chp,electric=38 %; thermal=45 %; fuel=fuel:natural_gas; max_capacity=1 MW; cost=25000000 VND/kW; life=20 yr
tank,mill,thermal_store,loss=1 %/h; max_capacity=5 MWh; cost=300000 VND/kWh; life=20 yr
cells,yard,electrolyzer,consumption=55 kWh/kg; max_capacity=2 MW; cost=20000000 VND/kW; life=15 yr
sphere,yard,hydrogen_store,max_capacity=500 kg; cost=9000000 VND/kg; life=20 yr
back,yard,fuel_cell,efficiency=50 %; max_capacity=100 kW; cost=30000000 VND/kW; life=10 yr
press,yard,compressor,inlet=30 bar; outlet=350 bar; efficiency=75 %; stages=3; max_capacity=20 kg/h; cost=9000000 VND*h/kg; life=20 yr
filter,mill,water_treatment,consumption=0.6 kWh/m3; recovery=75 %; max_capacity=50 m3/h; cost=20000000 VND*h/m3; life=20 yr
lift,mill,pump,head=50 m; efficiency=70 %; max_capacity=50 m3/h; cost=2000000 VND*h/m3; life=20 yr
engine,mill,generator,efficiency=35 %; fuel=fuel:diesel; max_capacity=1 MW; cost=7000000 VND/kW; life=20 yr
""",
}
HOUR = np.arange(STEPS) % 24
VALUES = {
    "in": 600 + 200 * np.exp(-(((HOUR - 14) / 4.0) ** 2)), "warm": 300.0 + 0 * HOUR, "cold": 100.0 + 50 * (HOUR > 8),
    "h2": 2.0 + 0 * HOUR, "drink": np.where(HOUR > 6, 10.0, 2.0), "store": 20.0 + 0 * HOUR, "wash": np.where(HOUR > 8, 30.0, 0.0),
    "cars": np.where(HOUR > 17, 25.0, 0.0), "swap.in": 2.0 + 0 * HOUR, "swaps": np.where(HOUR > 8, 2.0, 0.0),
    "old.heat": 16.0 + 0 * HOUR,
}  # fmt: skip


def build(folder):
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    park = mg.open(folder)
    with park.writer() as ledger:
        for flow, values in VALUES.items():
            ledger.append(rows(flow, values), Origin("test:meters", flow))
    return park


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("all")
    build(made)
    weather(made / "year.csv", 1.0)
    return made


@pytest.fixture(scope="module")
def found(folder):
    park = mg.open(folder)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return size(
            case_at(park.territory, snapshot, Span(START, END), weather=[folder / "year.csv"]), days=2
        )


def test_the_mill_declares_every_kind():
    assert {line.split(",")[2] for line in FILES["assets.csv"].splitlines()[1:]} == set(KINDS)


def test_the_load_is_what_none_of_the_assets_takes(found):
    """Import less freezer, washing, swaps and the old heat pump's quarter of its heat; the cars stay in it."""
    gone = VALUES["store"] + VALUES["wash"] + VALUES["swap.in"] + VALUES["old.heat"] / 4
    assert found.case.loads["electricity"] == pytest.approx(VALUES["in"] - gone)
    assert set(found.case.loads) == {"electricity", "heat", "cooling", "hydrogen@compressed", "water@pumped"}
    assert found.case.loads["hydrogen@compressed"] == pytest.approx(VALUES["h2"])


def test_everything_that_may_be_built_is_sized_and_every_load_is_met(found):
    sized = {name.partition("/")[0] for name in found.sizes} - {"grid"}
    kinds = {one.kind for one in found.case.assets if one.name in sized}
    assert kinds == set(KINDS) - {
        "grid",
        "load",
        "charger",
        "batch",
        "swap_station",
        "curtailable_load",
        "shiftable_load",
    }
    assert found.after.complete
    assert found.preview.cost >= found.cost * (1 - 1e-6)
    for name in ("cells", "press", "filter", "lift", "cooler"):
        assert found.built[name] > 0, name
    assert found.before is None  # there is no hydrogen today


def test_every_carrier_balances(found):
    """What assets bring and take, read from their own ports, is what the loads need; only heat and reject water may leave."""
    total = {carrier: -load for carrier, load in found.case.loads.items()}
    for supply in found.case.supplies:
        total[supply.carrier] = total.get(supply.carrier, 0.0) + found.after.series[supply.name]
    for one in found.case.assets:
        for role, ports in one.ports.items():
            for carrier, rate in ports.items():
                name = f"{one.name} {role}" if one.kind in {"battery", "thermal_store"} else one.stream(role)
                total[carrier] = total.get(carrier, 0.0) + rate * found.after.series[name]
        if one.kind in {"curtailable_load", "shiftable_load"}:
            fixed = one.series["demand"] * (1 - (one.values["share"] if one.kind == "shiftable_load" else 0))
            total["electricity"] = total["electricity"] - fixed
    assert total.pop("hydrogen").min() >= -found.sizes["sphere"] - 1e-6  # a lean tank has no streams
    assert total.pop("heat").min() >= -1e-5
    for carrier, rest in total.items():
        assert np.abs(rest).max() < 1e-5, carrier


def test_prices_and_factors_of_fuels_come_from_the_files(found):
    gas, oil = (
        next(s for s in found.case.supplies if s.name == name) for name in ("fuel:natural_gas", "fuel:diesel")
    )
    assert (gas.buy, oil.buy) == (900.0, 2200.0)
    assert gas.factor == pytest.approx(56100 * 3.6e-6)  # Decision 2626/QD-BTNMT, per TJ
    assert oil.factor == pytest.approx(74100 * 3.6e-6)
    codes = [note.code for note in found.case.notes]
    assert codes.count("plan.coarse_preview") == 2
    assert "plan.unpriced" in codes  # wastewater comes for nothing


def test_limits_outages_and_two_weather_years_hold_with_every_kind(folder):
    park = mg.open(folder)
    dull = weather(folder / "dull.csv", 0.5)
    wishes = Wishes(
        limits=Limits(renewable=0.1), outages=(Outage(30, 3.0, {"electricity": 0.3, "heat": 0.5}),)
    )
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        case = case_at(
            park.territory, snapshot, Span(START, END), weather=[folder / "year.csv", dull], wishes=wishes
        )
    made = size(case, days=2)
    assert made.case.steps == 2 * STEPS
    assert not made.relaxed
    after = made.after.energy
    burnt = after["grid"] + after["unit"] + after["engine"]
    assert burnt < 0.9 * (after["roof"] + after["mast"] + burnt)


def test_without_a_price_or_a_taker_assets_stay_outside_and_are_named(folder, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    lines = [line for line in FILES["assets.csv"].splitlines() if not line.startswith("chill,")]
    (tmp_path / "assets.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    yaml = "\n".join(line for line in FILES["territory.yaml"].splitlines() if "id: oil" not in line)
    (tmp_path / "territory.yaml").write_text(yaml, encoding="utf-8")
    other = mg.open(tmp_path)
    with mg.open(folder).reader() as ledger, ledger.snapshot() as snapshot:
        case = case_of(other.territory, snapshot, "mill", START, END, weather=read(folder / "year.csv"))
    told = {(note.code, note.data.get("id")) for note in case.notes}
    assert ("plan.no_supply", "engine") in told
    assert ("plan.no_taker", "cooler") in told
    names = {one.name for one in case.assets}
    assert not {"engine", "cooler"} & names
    assert size(case, days=None).after.complete


def test_the_planned_year_names_the_flows_of_every_meter(found):
    flows = dict(metered(found.case))
    assert flows["old.heat"] == [("warmer", 1.0)]
    assert flows["store"] == [("freezer used", 1.0)]
    assert flows["swap.in"] == [("station charge", 1.0)]


def test_the_command_sizes_the_mill(folder, monkeypatch):
    monkeypatch.setattr("mangrove.plan.verb._SHORTEST", 4)
    result = CliRunner().invoke(
        app,
        [
            "size",
            str(folder),
            "--from",
            "2026-07-01",
            "--to",
            "2026-07-05",
            "--weather",
            str(folder / "year.csv"),
            "--json",
            "--dry-run",
        ],
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)[0]
    assert told["sizes"]["cells"] > 0
    assert told["question"]["assets"]["tank"]["type"] == "thermal_store"
    shown = CliRunner().invoke(
        app,
        [
            "size",
            str(folder),
            "--from",
            "2026-07-01",
            "--to",
            "2026-07-05",
            "--weather",
            str(folder / "year.csv"),
            "--preview",
            "--lang",
            "vi",
        ],
    )
    assert shown.exit_code == 0, shown.output
    assert all(name in shown.stdout for name in ("cells", "press", "lift", "engine"))
