# SPDX-License-Identifier: Apache-2.0
"""Air, weather and water levels through every door: the same values, in the unit of their flow, screened by what nature allows."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from mangrove import api
from mangrove.handle import Handle
from mangrove.ledger import Ledger
from mangrove.ledger.types import Quality
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal
from mangrove.serve.sta import SensorThings, router
from mangrove.sources.bodies import decode_csv, decode_json
from mangrove.sources.intake import Intake
from mangrove.sources.line_protocol import decode_lines
from mangrove.sources.mqtt_decode import Decoder
from mangrove.sources.sheet import Names

NOW = datetime(2026, 11, 6, 6, tzinfo=UTC)
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
TERRITORY = "name: Thành phố Thử Khí\nkind: city\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: vi\ngwp: AR5\nboundary:\n  root: city\n"
PLACES = (
    "id,name,kind,parent,lat,lon\ncity,Thành phố,city,,10.8,106.7\nroof,Trạm mái,facility,city,10.78,106.7\n"
)
FLOWS = """\
id,place,carrier,unit,step,semantics,name
pm,roof,air:pm25,ug/m3,1h,state,Bụi mịn
co2,roof,air:co2,ppm,1h,state,CO2
wind,roof,weather:wind_from,deg,1h,state,Hướng gió
damp,roof,weather:humidity,%,1h,state,Độ ẩm
press,roof,weather:pressure,hPa,1h,state,Khí áp
rain,roof,weather:rain,mm,1h,sum,Mưa
tide,roof,water_level:tide,m,1h,state,Triều
"""
DEVICES = "id,protocol,place\nstation,mqtt,roof\n"
POINTS = "device,address,flow,unit,form\nstation,roof/env#pm,pm,mg/m3,json\nstation,roof/env#p,press,Pa,json\nstation,roof/env#h,tide,cm,json\n"


@pytest.fixture
def city(tmp_path: Path) -> Handle:
    tables = {"territory.yaml": TERRITORY, "places.csv": PLACES, "flows.csv": FLOWS, "devices.csv": DEVICES, "points.csv": POINTS}  # fmt: skip
    for name, text in tables.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [one.line() for one in api.check(tmp_path) if one.severity == "error"] == []
    return api.open(tmp_path)


def codes(city: Handle, flow: str) -> dict[int, int]:
    """Hours after the first and quality of all values of a flow that are not good."""
    with city.reader() as ledger, ledger.snapshot() as snapshot:
        table = snapshot.values([flow], FIRST, NOW)
    return {
        int((row["start"] - FIRST).total_seconds()) // 3600: row["quality"]
        for row in table.to_pylist()
        if row["quality"]
    }


def test_files_are_screened_by_what_nature_allows(city, tmp_path):
    rng = np.random.default_rng(7)
    hours = np.arange(20 * 24)
    columns = {
        "pm": np.round(25 + 6 * np.sin(hours / 24) + rng.normal(0, 3, len(hours)), 1),
        "wind": np.mod(rng.normal(0, 25, len(hours)), 360).round(),
        "damp": np.clip(80 + 25 * np.sin(hours / 24 * 2 * np.pi), 0, 100).round(),
        "rain": np.where(hours == 300, 88.2, 0.0),
        "tide": (0.5 + np.sin(hours / 12.42 * 2 * np.pi)).round(2),
    }
    columns["pm"][100:120] = columns["pm"][100]
    columns["pm"][200] = -4.0
    columns["damp"][50] = 140.0
    columns["wind"][60] = 400.0
    path = tmp_path / "sensors.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *columns])
        for hour in hours.tolist():
            writer.writerow(
                [(FIRST + timedelta(hours=hour)).isoformat(), *(float(one[hour]) for one in columns.values())]
            )
    report = api.ingest(city, path)
    assert not report.failed
    assert codes(city, "pm") == {**dict.fromkeys(range(101, 120), Quality.STUCK), 200: Quality.RANGE}
    assert codes(city, "damp") == {50: Quality.RANGE}
    assert codes(city, "wind") == {60: Quality.RANGE}
    assert codes(city, "rain") == {}
    assert codes(city, "tide") == {}


@pytest.mark.parametrize("door", ["json", "csv", "lines"])
def test_requests_bring_every_kind(city, door):
    names = Names(city.territory)
    sent = {
        "pm": 35.5,
        "co2": 418.0,
        "wind": 359.0,
        "damp": 71.0,
        "rain": 0.0,
        "tide": -1.25,
        "press": 1009.5,
    }
    at = "2026-11-06T05:00:00Z"
    bodies = {
        "json": (decode_json, json.dumps([{"flow": f, "ts": at, "value": v} for f, v in sent.items()])),
        "csv": (decode_csv, "flow,ts,value\n" + "".join(f"{f},{at},{v}\n" for f, v in sent.items())),
        "lines": (decode_lines, "\n".join(f"{f} value={v} 1793941200000000000" for f, v in sent.items())),
    }
    decode, body = bodies[door]
    decoded = decode(body.encode(), names, NOW)
    found = {
        decoded.values.names[f]: float(v)
        for f, v in zip(decoded.values.flow, decoded.values.value, strict=True)
    }
    assert found == sent
    assert not decoded.rejected


def test_mqtt_converts_to_the_unit_of_the_flow(city):
    decoder = Decoder(city.territory)
    found = decoder.group(
        ["roof/env"],
        [json.dumps({"ts": int(NOW.timestamp()), "pm": 0.0355, "p": 100_950, "h": 142}).encode()],
        NOW,
    )
    values = found.values
    got = {values.names[f]: float(v) for f, v in zip(values.flow, values.value, strict=True)}
    assert got == {"pm": pytest.approx(35.5), "press": pytest.approx(1009.5), "tide": pytest.approx(1.42)}
    assert not found.rejected


def test_a_concentration_of_another_kind_is_refused_when_it_is_declared(city):
    points = city.territory.path / "points.csv"
    points.write_text("device,address,flow,unit,form\nstation,roof/env#pm,pm,ppm,json\n", encoding="utf-8")
    errors = [one for one in api.check(city.territory.path) if one.severity == "error"]
    assert len(errors) == 1
    assert errors[0].where is not None
    assert (errors[0].where.file.rpartition("/")[2], errors[0].where.line) == ("points.csv", 2)


def test_sensorthings_takes_an_observation_of_air(city):
    class Open:
        def need(self, *roles):  # type: ignore[no-untyped-def]
            def caller(request: Request) -> Principal:
                return Principal("boss", "Boss", "user", "admin")

            return caller

    ledger = Ledger.open(city.store)
    intake = Intake(ledger, city.territory)
    intake.start()
    reader = Ledger.open(city.store, read_only=True)
    sta = SensorThings(city.territory, reader, city.store, intake=intake, clock=Clock(NOW, speed=0))
    app = FastAPI()
    app.include_router(router(sta, Open()))
    client = TestClient(app)
    try:
        streams = client.get("/sta/v1.1/Datastreams", params={"$filter": "properties/flow eq 'pm'"}).json()[
            "value"
        ]
        body = {"phenomenonTime": "2026-11-06T04:00:00Z", "result": 41.5}
        answer = client.post(f"/sta/v1.1/Datastreams({streams[0]['@iot.id']})/Observations", json=body)
        assert answer.status_code == 201, answer.text
        with ledger.snapshot() as snapshot:
            kept = snapshot.values(["pm"], FIRST, NOW).to_pylist()
        assert [(row["start"].hour, row["value"]) for row in kept] == [(4, 41.5)]
        assert streams[0]["unitOfMeasurement"]["symbol"] == "ug/m3"
    finally:
        sta.close()
        intake.stop()
        ledger.close()
