# SPDX-License-Identifier: Apache-2.0
"""`mangrove grid --forecast`: days and hours ahead, kept, and scored when their days are published."""

import csv
import io
import json
from datetime import date, timedelta

import numpy as np
import pytest
from tests.sources.grid_worlds import declare

import mangrove as mg
from mangrove.errors import DataQualityError
from mangrove.grid import grid_carbon
from mangrove.grid_ahead import KIND

DAYS = 180
FIRST = date(2023, 1, 2)


def lines(first, last):
    """Lines of the form `mix`, days `first` to `last`; coal follows the week and wanders a little."""
    rng = np.random.default_rng(2)
    coal = 400 * (1 + 0.01 * np.cumsum(rng.normal(0, 1, 400))) - 40 * (np.arange(400) % 7 == 6)
    head = "date,tot,hydro,coal,gas,oil,wind,solar,imp,oth,ci"
    rows = []
    for k in range(first, last):
        whole = 200 + coal[k] + 80 + 1 + 20 + 80 + 15 + 4
        rows.append(f"{FIRST + timedelta(days=k)},{whole:.2f},200,{coal[k]:.2f},80,1,20,80,15,4,0")
    return "\n".join([head, *rows]) + "\n"


@pytest.fixture
def country(tmp_path):
    folder = declare(tmp_path / "vn", levels=(), load=False)
    put(folder, tmp_path / "one", 0, DAYS)
    return folder


def put(folder, files, first, last):
    files.mkdir()
    (files / "mix.csv").write_text(lines(first, last), encoding="utf-8")
    grid_carbon(folder, "2023-01-05", files=files, say=lambda _: None, out=lambda _: None)


def asked(folder, **options):
    said, out = [], []
    grid_carbon(folder, "2023", forecast=3, say=said.append, out=out.append, **options)
    return "\n".join(out), said


def test_days_then_hours_follow_the_last_published_day(country):
    text, said = asked(country)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["start"][:10] for row in rows if row["step"] == "1d"] == [
        "2023-07-01",
        "2023-07-02",
        "2023-07-03",
    ]
    assert len([row for row in rows if row["step"] == "1h"]) == 72
    for row in rows:
        order = [float(row[name]) for name in ("low95", "low80", "physical_kg_per_kwh", "high80", "high95")]
        assert order == sorted(order)
    assert any("up to 2023-06-30" in line for line in said)


def test_the_sun_makes_noon_cleaner_than_midnight(country):
    rows = json.loads(asked(country, as_json=True, store=False)[0])
    first = [row for row in rows if row["step"] == "1h"][:24]
    assert first[12]["physical_kg_per_kwh"] < 0.9 * first[0]["physical_kg_per_kwh"]


def test_a_forecast_is_kept_and_scored_when_its_days_come(country, tmp_path):
    _, said = asked(country)
    assert not any("kept forecasts" in line for line in said)
    put(country, tmp_path / "two", DAYS, DAYS + 2)
    _, said = asked(country, lang="vi")
    told = [line for line in said if "các dự báo đã lưu" in line]
    assert len(told) == 2
    assert "nay đã biết 1 ngày" in told[0]
    with mg.open(country).reader() as ledger:
        assert len(ledger.records(KIND)) == 2


def test_what_is_forecast_with_its_days_already_stored_is_not_scored(country):
    for _ in range(2):
        said = []
        grid_carbon(country, "2023-01", "2023-06", forecast=2, say=said.append, out=lambda _: None)
        assert any("up to 2023-05-31" in line for line in said)
        assert not any("kept forecasts" in line for line in said)


def test_a_dry_run_keeps_nothing(country):
    asked(country, store=False)
    with mg.open(country).reader() as ledger:
        assert ledger.records(KIND) == []


def test_losses_are_added_to_every_number(country):
    plain = json.loads(asked(country, as_json=True, store=False)[0])
    lossy = json.loads(asked(country, as_json=True, store=False, voltage=">=110 kV")[0])
    for name in ("physical_kg_per_kwh", "low80", "high95"):
        ratios = [b[name] / a[name] for a, b in zip(plain, lossy, strict=True)]
        np.testing.assert_allclose(ratios, 1.02 * 1.008525, rtol=1e-5)


def test_three_days_are_too_few(tmp_path):
    folder = declare(tmp_path / "new", levels=(), load=False)
    put(folder, tmp_path / "few", 0, 3)
    with pytest.raises(DataQualityError, match="too few"):
        asked(folder)


def test_zones_are_a_table_and_a_line_each(tmp_path):
    from datetime import UTC, datetime

    from mangrove.ledger import Origin
    from mangrove.testing import values

    (tmp_path / "territory.yaml").write_text(
        "name: Lưới\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: vi\ngwp: AR5\nboundary:\n  root: vn\n",
        encoding="utf-8",
    )
    (tmp_path / "places.csv").write_text(
        "id,name,kind,parent\nvn,Việt Nam,country,\nnorth,Bắc,grid_zone,vn\nsouth,Nam,grid_zone,vn\nfar,Xa,grid_zone,vn\n",
        encoding="utf-8",
    )
    (tmp_path / "flows.csv").write_text(
        "id,place,to_place,carrier,unit,step,semantics,account\n"
        "n-coal,north,,electricity:coal,MW,1h,mean,memo\nline,north,south,electricity,MW,1h,mean,memo\n",
        encoding="utf-8",
    )
    at = datetime(2024, 3, 1, tzinfo=UTC)
    with mg.open(tmp_path).writer() as ledger:
        ledger.append(values([("n-coal", at, 500.0), ("line", at, 200.0)]), Origin("test", "1"))
    said, out = [], []
    grid_carbon(tmp_path, "2024-03-01T07", "2024-03-01T08", zones=True, say=said.append, out=out.append)
    rows = {row["zone"]: row for row in csv.DictReader(io.StringIO(out[0]))}
    assert rows["south"]["consumed_kg_per_kwh"] == rows["north"]["produced_kg_per_kwh"]
    assert rows["south"]["produced_kg_per_kwh"] == rows["far"]["consumed_kg_per_kwh"] == ""
    assert float(rows["south"]["net_import_mwh"]) == 200
    assert said[0].startswith("north: consumed 1.0")
    assert "all of it from other zones" in said[1]
    assert said[2].startswith("far: not known")
