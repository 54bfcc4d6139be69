# SPDX-License-Identifier: Apache-2.0
"""Water of a territory: pump energy becomes emissions by the one formula, rain of the ledger falls on drains, wards get their share."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.hydraulics.nets import supply, town

from mangrove import api, water
from mangrove.errors import RequestError
from mangrove.handle import Handle
from mangrove.hydraulics import read_network, storm
from mangrove.ledger.types import Origin

START = datetime(2026, 9, 1)  # noqa: DTZ001 - the clock on the wall
NET3 = supply("Net3")
TERRITORY = """\
name: Thành phố Thử Nước
kind: city
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: city
"""
PLACES = "id,name,kind,parent\ncity,Thành phố,city,\nwest,Phường Tây,ward,city\neast,Phường Đông,ward,city\nstation,Trạm bơm,facility,city\n"
FLOWS = """\
id,place,carrier,unit,step,semantics,scope,meter,name
lake.power,station,electricity,MWh,1h,sum,2,10,Bơm hồ
other.power,station,electricity,kWh,1h,sum,2,,Bơm khác
rain,city,weather:rain,mm,15min,sum,,,Mưa
"""


@pytest.fixture
def city(tmp_path: Path) -> Handle:
    for name, text in (("territory.yaml", TERRITORY), ("places.csv", PLACES), ("flows.csv", FLOWS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with api.open(tmp_path).writer():
        pass
    return api.open(tmp_path)


def test_pump_energy_is_stored_by_the_hour_and_measured_by_the_one_formula(city):
    made = water.simulate(city, NET3, "2023-06-01", hours=24)
    assert made.supply.pump_ids == ("10", "335")
    assert [one.code for one in made.problems] == ["hydraulics.unmatched"], "pump 335 has no flow"
    with city.reader() as ledger, ledger.snapshot() as snapshot:
        stored = snapshot.values(["estimate/water:lake.power"], made.start, made.start + timedelta(days=1))
    assert stored["value"].to_numpy() * 1000 == pytest.approx(made.supply.energy[:, 0]), (
        "MWh, as the flow is declared"
    )
    measured = (
        api.measure(city, "2023-06-01", run=water.RUN, store=False, by=("flow",)).to_arrow().to_pylist()
    )
    total = sum(row["co2e_kg"] for row in measured if row["flow"] == "lake.power")
    assert made.emissions == pytest.approx(total)
    factor = total / made.supply.energy[:, 0].sum()
    assert 0.4 < factor < 0.8, "kg CO2e/kWh of the grid of Việt Nam"
    assert made.emissions == pytest.approx(factor * made.supply.energy[:, 0].sum())


def test_one_flow_may_take_all_pumps_that_have_none_and_a_second_run_changes_nothing(city):
    made = water.simulate(city, NET3, "2023-06-01", hours=24, flow="other.power")
    assert not made.problems
    assert set(made.matched.values()) == {"lake.power", "other.power"}
    again = water.simulate(city, NET3, "2023-06-01", hours=24, flow="other.power")
    assert again.rows == made.rows, "the receipt is that of the first"
    with city.reader() as ledger:
        assert ledger.batches().num_rows == 1
    kept = json.loads(water.supply_json(made))
    assert sum(one["kwh"] for one in kept["pumps"]) == pytest.approx(made.indicators["energy"], abs=0.01)
    assert "t CO2e" in water.supply_text(made, "vi")


def test_a_flow_that_is_no_electricity_is_refused(city):
    with pytest.raises(RequestError) as caught:
        water.simulate(city, NET3, "2023-06-01", flow="rain")
    assert caught.value.code == "hydraulics.flow_not_electricity"
    with pytest.raises(RequestError, match=r"other\.power"):
        water.simulate(city, NET3, "2023-06-01", flow="other.powr")


def test_measured_rain_is_the_rain_of_the_ledger_in_local_time(city):
    first = datetime(2026, 9, 1, 8, tzinfo=UTC)
    amounts = [0.0, 5.0, 10.0, 2.5]
    starts = [first + timedelta(minutes=15 * i) for i in range(4)]
    with city.writer() as ledger:
        ledger.append(pa.table({"flow": ["rain"] * 4, "start": starts, "value": amounts}), Origin("t", "1"))
    rain = water.measured_rain(city, "2026-09-01T15:00", "2026-09-01T16:30")
    assert rain.start.isoformat() == "2026-09-01T15:00:00"
    assert rain.amounts.tolist() == [*amounts, 0.0, 0.0]
    with pytest.raises(RequestError):
        water.measured_rain(city, "2020")


def test_floods_are_added_up_by_ward_and_what_lies_outside_is_left_out(city):
    def box(west: float, east: float) -> dict[str, object]:
        ring = [[west, 10.7], [east, 10.7], [east, 10.9], [west, 10.9], [west, 10.7]]
        return {
            "type": "Feature",
            "properties": {"id": "x"},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }

    west, east = box(106.695, 106.705), box(106.715, 106.75)
    west["properties"], east["properties"] = {"id": "west"}, {"id": "east"}
    shapes = city.territory.path / "wards.geojson"
    shapes.write_text(json.dumps({"type": "FeatureCollection", "features": [west, east]}), encoding="utf-8")
    from mangrove.territory import write_boundaries

    assert write_boundaries(city.territory, shapes) == []
    opened = api.open(city.territory.path)
    made = water.drain(opened, town(city.territory.path), storm(100.0, 3.0, START), crs="EPSG:4326")
    flooded = dict(zip(made.drainage.network.nodes, made.drainage.flooded, strict=True))
    assert made.wards["west"] == (pytest.approx(flooded["J1"]), 1)
    assert made.wards["east"] == (pytest.approx(flooded["J3"]), 1)
    assert not made.problems
    assert "Phường Tây" in water.drain_text(made, opened.territory, "vi")
    assert json.loads(water.drain_json(made))["flooded_m3"] == pytest.approx(np.sum(made.drainage.flooded))


def test_what_a_file_suggests_is_a_declaration_that_passes(city, tmp_path):
    network = read_network(NET3)
    assert water.write_declaration(network, "city", tmp_path / "rows") == (2 + 3 + 2, 2)
    folder = tmp_path / "fresh"
    folder.mkdir()
    (folder / "territory.yaml").write_text(TERRITORY, encoding="utf-8")
    rows = (tmp_path / "rows" / "places.csv").read_text(encoding="utf-8").splitlines()
    (folder / "places.csv").write_text(
        "\n".join([rows[0], "city,Thành phố,city,,,", *rows[1:]]) + "\n", encoding="utf-8"
    )
    (folder / "flows.csv").write_text(
        (tmp_path / "rows" / "flows.csv").read_text(encoding="utf-8"), encoding="utf-8"
    )
    assert [one.line() for one in api.check(folder) if one.severity == "error"] == []
    assert {flow.meter for flow in api.open(folder).territory.flows.values()} == {"10", "335"}
