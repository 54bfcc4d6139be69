"""Energy, mass and money through every converter, against published values and hand calculation."""

import numpy as np
import pytest

from mangrove.errors import DeclarationError
from mangrove.network.assets import compressor, electrolyzer, fuel_cell, generator, heat_pump, pump


def test_a_boiler_burns_heat_over_efficiency(site):
    world = site()
    boiler = world.add("boiler", "capacity=100 kW; efficiency=80 %; fuel=fuel:wood; output=steam")
    fuel = world.buy("fuel:wood", 2.0)
    world.need("steam", 40.0)
    plan = world.net.solve()
    assert plan[boiler.streams["output"]] == pytest.approx(np.full(8, 40.0))
    assert plan[fuel] == pytest.approx(np.full(8, 50.0))
    assert plan.cost == pytest.approx(8 * 50 * 2.0)
    assert plan.price(world.nodes["steam"])[0, 0] == pytest.approx(np.full(8, 2.0 / 0.8))


def test_demand_above_a_boilers_size_is_a_named_shortfall(site):
    world = site()
    world.add("boiler", "capacity=30 kW; efficiency=80 %; output=steam")
    world.buy("fuel")
    need = world.need("steam", 40.0)
    plan = world.net.solve()
    assert plan.shortfall(need)[0, 0] == pytest.approx(np.full(8, 10.0))
    assert plan.relaxed[0].name == "need steam"


def test_a_chiller_rejects_the_heat_that_it_takes_and_the_electricity_that_it_uses(site):
    world = site()
    world.add("chiller", "capacity=100 kW; cop=4; heat=heat")
    grid, heat = world.buy("electricity"), world.sell("heat")
    world.need("cooling", 80.0)
    plan = world.net.solve()
    assert plan[grid] == pytest.approx(np.full(8, 20.0))
    assert plan[heat] == pytest.approx(np.full(8, 100.0))


def test_a_chiller_follows_a_series_of_its_cop(site):
    world = site()
    cop = np.linspace(3.0, 5.0, 8)
    world.add("chiller", "capacity=100 kW; cop=4", series={"cop": cop})
    grid = world.buy("electricity")
    world.need("cooling", 60.0)
    assert world.net.solve()[grid] == pytest.approx(60.0 / cop)


def test_a_heat_pump_takes_from_its_source_what_electricity_does_not_bring(site):
    world = site()
    world.add("heat_pump", "capacity=200 kW; hot=65 degC; cold=25 degC; source=heat@30degC")
    grid, source = world.buy("electricity"), world.buy("heat@30degC", 0.0)
    world.need("heat", 100.0)
    plan = world.net.solve()
    assert plan[grid] + plan[source] == pytest.approx(np.full(8, 100.0))
    assert 100.0 / plan[grid][0] == pytest.approx(0.4 * 338.15 / 40.0)


def test_the_cop_falls_with_the_lift_and_stays_between_one_and_its_limit():
    cop = heat_pump.cop(60.0, np.linspace(-30.0, 80.0, 200))
    assert (np.diff(cop) >= -1e-12).all()
    assert cop.min() >= 1.0
    assert cop.max() <= heat_pump.HIGHEST
    # Staffell et al. (Energy Environ. Sci. 5, 2012, 9291): air source at a lift of 40 K has a COP of about 3, 2.5 to 3.5
    assert 2.5 < heat_pump.cop(45.0, 5.0) < 3.5


def test_back_pressure_gives_heat_and_power_in_a_fixed_ratio(site):
    world = site()
    unit = world.add("chp", "capacity=100 kW; electric=30 %; thermal=50 %; output=steam")
    fuel, heat = world.buy("fuel", 0.1), world.sell("steam")
    world.buy("electricity", 5.0)
    world.need("electricity", 60.0)
    plan = world.net.solve()
    assert plan[unit.streams["output"]] == pytest.approx(np.full(8, 60.0))
    assert plan[fuel] == pytest.approx(np.full(8, 200.0))
    assert plan[heat] == pytest.approx(np.full(8, 100.0))


def test_an_extraction_unit_gives_up_electricity_for_heat_along_its_line(site):
    for steam, power in ((0.0, 38.0), (50.0, 30.0), (25.0, 34.0)):
        world = site(1)
        world.add("chp", "capacity=38 kW; electric=30 %; thermal=50 %; condensing=38 %; output=steam")
        world.buy("fuel", 1.0, upper=100.0)
        sold = world.sell("electricity", 1000.0)
        world.need("steam", steam)
        assert world.net.solve()[sold] == pytest.approx([power])


def test_a_unit_that_creates_energy_is_refused(values):
    for kind, text in (
        ("chp", "capacity=1 MW; electric=60 %; thermal=50 %"),
        ("fuel_cell", "capacity=1 MW; efficiency=60 %; thermal=50 %"),
    ):
        with pytest.raises(DeclarationError) as raised:
            values(kind, text)
        assert [p.code for p in raised.value.problems] == ["assets.creates_energy"]
    with pytest.raises(DeclarationError):
        values("electrolyzer", "capacity=1 MW; consumption=30 kWh/kg")  # below the heating value


def test_hydrogen_from_water_and_back_loses_energy_and_keeps_mass(site):
    world = site()
    world.add(
        "electrolyzer", "capacity=5 MW; consumption=55 kWh/kg; water=water; heat=heat; heat_share=50 %", "e"
    )
    tank = world.add("hydrogen_store", "capacity=200 kg", "t")
    world.add("fuel_cell", "capacity=1 MW; efficiency=50 %", "f")
    price = np.array([1.0, 1, 1, 1, 100, 100, 100, 100])
    grid, water, heat = world.buy("electricity", price), world.buy("water", 0.0), world.sell("heat")
    world.need("electricity", np.array([0, 0, 0, 0, 500.0, 500, 500, 500]))
    plan = world.net.solve()
    kg = 2000.0 / (0.5 * fuel_cell.LHV)
    assert plan.level(tank.stores["energy"]).max() == pytest.approx(kg)
    assert plan[grid].sum() == pytest.approx(kg * 55.0)
    assert plan[water].sum() == pytest.approx(kg * electrolyzer.WATER)
    assert plan[heat].sum() == pytest.approx(kg * (55.0 - electrolyzer.HHV) * 0.5)


def test_constants_of_hydrogen_agree_with_published_ones():
    # DOE Hydrogen Analysis Resource Center, "Hydrogen Conversions": 33.3 and 39.4 kWh/kg
    assert pytest.approx(33.3, abs=0.05) == fuel_cell.LHV
    assert pytest.approx(39.4, abs=0.05) == electrolyzer.HHV
    assert pytest.approx(8.94, abs=0.01) == electrolyzer.WATER * 997.05  # kg of water per kg of hydrogen


def test_compression_in_more_stages_takes_less_work_but_never_less_than_isothermal():
    isothermal = compressor.GAS * compressor.INTAKE / compressor.MOLAR * np.log(350 / 30) / 3.6e6
    work = [compressor.work(30.0, 350.0, 1.0, n) for n in (1, 2, 3, 10)]
    assert (np.diff(work) < 0).all()
    assert work[-1] > isothermal
    assert compressor.work(30.0, 350.0, 1.0, 1000) == pytest.approx(isothermal, rel=1e-3)


def test_a_compressor_uses_electricity_by_mass(site):
    world = site()
    world.add("compressor", "capacity=100 kg/h; inlet=30 bar; outlet=350 bar; efficiency=75 %; stages=3")
    grid = world.buy("electricity")
    world.buy("hydrogen", 0.0)
    world.need("hydrogen@compressed", 10.0)
    assert world.net.solve()[grid] == pytest.approx(np.full(8, 10.0 * compressor.work(30.0, 350.0, 0.75, 3)))


def test_treatment_takes_water_over_recovery_and_rejects_the_rest(site):
    world = site()
    world.add(
        "water_treatment", "capacity=100 m3/h; consumption=0.6 kWh/m3; recovery=75 %; reject=wastewater@brine"
    )
    grid, taken, reject = (
        world.buy("electricity"),
        world.buy("wastewater", 0.0),
        world.sell("wastewater@brine"),
    )
    world.need("water", 30.0)
    plan = world.net.solve()
    assert plan[taken] == pytest.approx(np.full(8, 40.0))
    assert plan[taken] - plan[reject] == pytest.approx(np.full(8, 30.0))
    assert plan[grid] == pytest.approx(np.full(8, 18.0))


def test_a_pump_lifts_by_rho_g_h(site):
    assert pump.lift(367.0, 1.0) == pytest.approx(1.0, rel=0.005)  # 1 kWh lifts a cubic meter by 367 m
    world = site()
    world.add("pump", "capacity=200 m3/h; head=50 m; efficiency=70 %")
    grid = world.buy("electricity")
    world.buy("water", 0.0)
    world.need("water@pumped", 100.0)
    assert world.net.solve()[grid] == pytest.approx(np.full(8, 100.0 * pump.lift(50.0, 0.7)))


def test_a_generator_burns_by_its_efficiency(site):
    world = site()
    world.add("generator", "capacity=800 kW")
    fuel = world.buy("fuel:diesel")
    world.need("electricity", 400.0)
    assert world.net.solve()[fuel] == pytest.approx(np.full(8, 400.0 / generator.EFFICIENCY))


def test_a_committed_generator_pays_for_idling_and_keeps_its_least_load(site):
    world = site(4)
    unit = world.add("generator", "capacity=100 kW; efficiency=40 %; idle=20 %; least=30 %")
    fuel = world.buy("fuel:diesel", 1.0)
    world.buy("electricity", np.array([10.0, 10.0, 2.0, 2.0]))
    left = world.sell("electricity")
    world.need("electricity", np.array([100.0, 20.0, 20.0, 0.0]))
    plan = world.net.solve()
    made = plan[unit.streams["output"]]
    # full load: 100 / 0.4; 30 kW at least load: (0.8 x 30 + 0.2 x 100) / 0.4 = 110 for 20 kW wanted, below 10 x 20
    assert made == pytest.approx([100.0, 30.0, 0.0, 0.0], abs=1e-6)
    assert plan[fuel] == pytest.approx([250.0, 110.0, 0.0, 0.0], abs=1e-6)
    assert plan[left][1] == pytest.approx(10.0)


def test_a_thermal_store_loses_its_share_every_hour(site):
    world = site(4)
    store = world.add("thermal_store", "capacity=1000 kWh; loss=2 %/h; output=cooling")
    bought = world.buy("cooling", np.array([1.0, 50.0, 50.0, 50.0]))
    world.need("cooling", np.array([0.0, 0.0, 0.0, 98.0]))
    plan = world.net.solve()
    assert plan[bought][0] == pytest.approx(98.0 / 0.98**3)
    assert plan.level(store.stores["energy"])[0, 0, 1] == pytest.approx(98.0 / 0.98**2)
