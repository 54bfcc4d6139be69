"""Circularity by hand: shares of declared flows and verified exchanges; what is not declared is not known."""

import pytest
from tests.measure.symbiosis.exchange_world import EFFECTS, EXCHANGES, daily, month, monthly, store, world

from mangrove.errors import RequestError
from mangrove.measure.symbiosis import circularity

FLOWS = """\
stone,bricks,,material:stone,t,1mo,sum,2 %,scale-c,,circularity=inflow,,
alloy,mill,,material:steel,kg,1mo,sum,2 %,scale-d,,circularity=inflow; circular_share=40 %,,
dump,mill,,waste:200301,t,1mo,sum,2 %,scale-e,,,,
tap,mill,,water:tap,m3,1mo,sum,2 %,dh-9,,,,
power,mill,,electricity,kWh,1mo,sum,1 %,evn,,,2,
sun,mill,,electricity,kWh,1mo,sum,1 %,pv,,,,
wood,mill,,fuel:wood,t,1mo,sum,5 %,scale-f,,ncv=18 TJ/Gg,1,
"""
REUSE = "reuse,works,mill,water,,water_in,,,,\n"


def values():
    amounts = {
        "sent": 100.0,
        "received": 100_000.0,
        "stone": 250.0,
        "alloy": 50_000.0,
        "dump": 300.0,
        "tap": 900.0,
    }
    return [row for flow, amount in amounts.items() for row in monthly(flow, [amount])]


def made(path, rows, **tables):
    territory, ledger = world(path, **{"flows": FLOWS, "exchanges": EXCHANGES, "effects": EFFECTS, **tables})
    with ledger:
        store(ledger, rows)
        return circularity(ledger, territory, "2024-01")


def test_recovered_over_all_material_that_comes_in_and_goes_out(tmp_path):
    flows = FLOWS + "bare2,mill,,waste:100202,t,1mo,sum,,,,circularity=none,,\n"
    rows = [*values(), *monthly("bare", [0.0]), *monthly("bare2", [7.0])]
    found = made(tmp_path, rows, flows=flows)
    inflow, outflow, both = (
        found[name] for name in ("circular_inflow", "circular_outflow", "material_circularity")
    )
    # 100 t of slag and 40 % of 50 t of steel, of 400 t; 100 t of slag of 400 t that leave.
    assert (inflow.numerator, inflow.denominator) == (pytest.approx(120), pytest.approx(400))
    assert inflow.value == pytest.approx(0.3)
    assert outflow.value == pytest.approx(100 / 400)
    assert both.value == pytest.approx(220 / 800)
    assert inflow.exchanges == ("slag",)
    assert inflow.batches == (1,)
    assert inflow.coverage == pytest.approx(1)


def test_water_from_reuse_over_all_water_taken(tmp_path):
    rows = values() + daily("water_in", month(1), 31, 10.0)
    found = made(tmp_path, rows, exchanges=EXCHANGES + REUSE)["water_circularity"]
    assert found.value == pytest.approx(310 / (310 + 900))
    assert found.unit == "m3"


def test_own_sun_and_wood_over_all_energy(tmp_path):
    path_flows = FLOWS.replace(
        "sun,mill,,electricity,kWh,1mo,sum,1 %,pv,,,,",
        "sun,mill,,electricity,kWh,1mo,sum,1 %,pv,,circularity=energy; renewable_share=100 %,,",
    )
    rows = monthly("power", [1000.0]) + monthly("sun", [200.0]) + monthly("wood", [0.5])
    found = made(tmp_path, rows, flows=path_flows)["renewable_energy"]
    wood = 0.5 * 18 / 3.6 * 1000  # t x GJ/t -> kWh
    assert found.numerator == pytest.approx(200 + wood)
    assert found.value == pytest.approx((200 + wood) / (1200 + wood))


def test_what_nobody_declares_or_reads_is_not_known(tmp_path):
    found = made(tmp_path, monthly("sent", [100.0]), flows="")
    assert found["circular_inflow"].value is None
    assert found["circular_inflow"].reason.code == "symbiosis.reason_no_virgin"
    assert (
        found["circular_outflow"].reason.code == "symbiosis.reason_no_values"
    )  # waste `bare` has no reading
    assert found["material_circularity"].reason.code == "symbiosis.reason_part"
    assert found["water_circularity"].reason.code == "symbiosis.reason_none"
    assert found["renewable_energy"].value is None


def test_a_place_counts_what_it_gives_and_takes(tmp_path):
    territory, ledger = world(tmp_path, flows=FLOWS)
    with ledger:
        store(ledger, values())
        bricks = circularity(ledger, territory, "2024-01", place="bricks")
        with pytest.raises(RequestError, match="brick"):
            circularity(ledger, territory, "2024-01", place="brick")
    assert bricks["circular_inflow"].value == pytest.approx(100 / 350)
    assert bricks["circular_outflow"].value is None
