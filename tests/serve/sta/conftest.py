"""A park with places on the map, a ledger that is written to, and the SensorThings service over both."""

import base64
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal
from mangrove.serve.sta import SensorThings, router
from mangrove.sources.intake import Intake
from mangrove.testing import two_factory_park

NOW = datetime(2024, 6, 5, tzinfo=UTC)
FIRST = datetime(2024, 6, 1, tzinfo=UTC)
PEOPLE = {
    "boss": Principal("boss", "Boss", "user", "admin"),
    "mill": Principal("mill", "Mill", "user", "tenant", "mill"),
    "shop": Principal("shop", "Shop", "user", "tenant", "shop"),
    "city": Principal("city", "City", "user", "city"),
    "guest": Principal("guest", "guest", "guest", "operator"),
    "meter": Principal("meter", "Meter", "key", "device", "", "gateway"),
}


class Keys:
    """Access as the server gives it, with names instead of keys."""

    def need(self, *roles):
        def caller(request: Request) -> Principal:
            said = request.headers.get("authorization", "")
            if said.startswith("Basic "):  # name and password, as the clients of the standard send them
                said = base64.b64decode(said[6:]).decode().partition(":")[0]
            principal = PEOPLE.get(said)
            if principal is None:
                raise HTTPException(401)
            if principal.role not in roles:
                raise HTTPException(403)
            return principal

        return caller


class World:
    """The park, its writer, the service and a client who is the administrator."""

    def __init__(self, folder):
        path = two_factory_park(folder)
        (path / "places.csv").write_text(
            "id,name,kind,parent,lat,lon\npark,Khu công nghiệp,park,,20.8,106.7\n"
            "mill,Nhà máy thép,facility,park,20.81,106.71\nshop,Xưởng cơ khí,facility,park,,\n",
            encoding="utf-8",
        )
        flows = (path / "flows.csv").read_text(encoding="utf-8")
        extra = "shop.water,shop,water,m3,1h,machinery,,counter,,2 %,W-1,Nước xưởng\n"
        (path / "flows.csv").write_text(flows + extra, encoding="utf-8")
        (path / "devices.csv").write_text(
            "id,protocol,place,address,every,name,note\ngateway,mqtt,shop,,,Cổng xưởng,\n", encoding="utf-8"
        )
        (path / "points.csv").write_text(
            "device,address,flow,unit,form,scale\ngateway,shop/power#v,shop.power,kWh,json,1\n",
            encoding="utf-8",
        )
        self.park = mg.open(path)
        self.ledger = Ledger.open(self.park.store)
        self.clock = Clock(NOW, speed=0)
        self.intake = Intake(self.ledger, self.park.territory)
        self.intake.start()
        self.reader = Ledger.open(self.park.store, read_only=True)
        self.sta = SensorThings(
            self.park.territory, self.reader, self.park.store, intake=self.intake, clock=self.clock
        )
        self.app = FastAPI()
        self.app.include_router(router(self.sta, Keys()))
        self.client = self.as_("boss")

    def as_(self, who):
        return TestClient(
            self.app, headers={"authorization": who} if who else {}, raise_server_exceptions=True
        )

    def fill(self, flow, values, start=FIRST, step_us=3_600_000_000, quality=None):
        first = int(start.timestamp() * 1e6)
        starts = pa.array([first + i * step_us for i in range(len(values))], pa.int64()).cast(
            pa.timestamp("us", "UTC")
        )
        columns = {"flow": [flow] * len(values), "start": starts, "value": pa.array(values, pa.float64())}
        if quality is not None:
            columns["quality"] = pa.array(quality, pa.uint8())
        self.batch = getattr(self, "batch", 0) + 1
        return self.intake.offer(pa.table(columns), Origin("file:test", str(self.batch))).result(10)

    def get(self, path, who=None, **params):
        client = self.client if who is None else self.as_(who)
        return client.get(f"/sta/v1.1/{path}", params={f"${k}": v for k, v in params.items()})

    def ids(self, path, **params):
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return [row["@iot.id"] for row in answer.json()["value"]]

    def stream(self, flow):
        return self.ids("Datastreams", filter=f"properties/flow eq '{flow}'")[0]

    def close(self):
        self.sta.close()
        self.intake.stop()
        self.ledger.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One world for a module whose tests only read, or leave alone what the others look at."""
    world = World(tmp_path_factory.mktemp("park"))
    yield world
    world.close()


@pytest.fixture
def world(tmp_path):
    """A world of its own."""
    world = World(tmp_path)
    yield world
    world.close()
