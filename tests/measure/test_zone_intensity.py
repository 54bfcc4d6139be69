# SPDX-License-Identifier: Apache-2.0
"""Zones that exchange electricity: what is declared and measured becomes a traced intensity, by hand and with carbon kept."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import mangrove as mg
from mangrove.errors import RequestError
from mangrove.ledger import Origin
from mangrove.measure.grid_intensity import direct_factors
from mangrove.measure.zone_intensity import zone_intensity, zones_of
from mangrove.testing import values
from mangrove.times import Span

START = datetime(2024, 3, 1, tzinfo=UTC)
SETTINGS = "name: Lưới\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: vi\ngwp: AR5\nboundary:\n  root: vn\n"
PLACES = "id,name,kind,parent\nvn,Việt Nam,country,\nnorth,Bắc,grid_zone,vn\ncenter,Trung,grid_zone,vn\nsouth,Nam,grid_zone,vn\n"
FLOWS = """\
id,place,to_place,carrier,unit,step,semantics,account
north-hydro,north,,electricity:hydro,MWh,1h,sum,memo
north-coal,north,,electricity:coal,MWh,1h,sum,memo
center-gas,center,,electricity:gas,MW,30min,mean,memo
line-nc,north,center,electricity,MW,1h,mean,memo
line-cs,center,south,electricity,MW,1h,mean,memo
"""


@pytest.fixture
def grid(tmp_path):
    for name, text in (("territory.yaml", SETTINGS), ("places.csv", PLACES), ("flows.csv", FLOWS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    park = mg.open(tmp_path)
    rows = []
    for hour in range(3):
        at = START + timedelta(hours=hour)
        rows += [("north-hydro", at, 600.0), ("north-coal", at, 400.0), ("line-cs", at, 150.0)]
        rows += [("center-gas", at + timedelta(minutes=m), 100.0) for m in (0, 30)]
        if hour < 2:
            rows.append(("line-nc", at, 100.0 if hour == 0 else -40.0))
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("test", "1"))
    return park


def traced(park):
    span = Span(START, START + timedelta(hours=3))
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        table = zone_intensity(snapshot, park.territory, span)
    return {name: table[name].to_numpy(zero_copy_only=False).reshape(3, 3) for name in table.column_names}


def test_a_zone_without_plants_consumes_what_comes_to_it(grid):
    found = traced(grid)
    coal, gas = direct_factors()["coal"].value, direct_factors()["gas"].value
    north = 0.4 * coal
    center = (100 * gas + 100 * north) / 200
    np.testing.assert_allclose(found["consumed_kg_per_kwh"][:, 0].astype(float), [north, center, center])
    np.testing.assert_allclose(found["net_import_mwh"][:, 0].astype(float), [-100, -50, 150])
    np.testing.assert_allclose(found["own_share"][:, 0].astype(float), [1.0, 0.5, 0.0])
    assert np.isnan(found["produced_kg_per_kwh"][2, 0])


def test_a_negative_exchange_flows_the_other_way(grid):
    found = traced(grid)
    coal, gas = direct_factors()["coal"].value, direct_factors()["gas"].value
    expected = (1000 * 0.4 * coal + 40 * gas) / 1040
    assert found["consumed_kg_per_kwh"][0, 1] == pytest.approx(expected)


def test_emissions_consumed_are_emissions_generated(grid):
    found = traced(grid)
    made = np.array([1000.0, 100.0, 0.0])
    used = made + found["net_import_mwh"][:, 0].astype(float)
    x = found["consumed_kg_per_kwh"][:, 0].astype(float)
    c = np.nan_to_num(found["produced_kg_per_kwh"][:, 0].astype(float))
    assert (used * x).sum() == pytest.approx((made * c).sum(), rel=1e-12)


def test_an_exchange_that_was_not_measured_leaves_a_gap_at_both_ends_and_downstream(grid):
    assert np.isnan(traced(grid)["consumed_kg_per_kwh"][:, 2].astype(float)).all()


def test_a_territory_without_zones_says_what_to_declare(tmp_path):
    from mangrove.testing import two_factory_park

    park = mg.open(two_factory_park(tmp_path))
    assert zones_of(park.territory).ids == ()
    with (
        park.writer() as ledger,
        ledger.snapshot() as snapshot,
        pytest.raises(RequestError, match="grid_zone"),
    ):
        zone_intensity(snapshot, park.territory, Span.parse("2024", ZoneInfo("UTC")))
