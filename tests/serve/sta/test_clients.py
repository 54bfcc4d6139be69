"""An unmodified client of the standard over real HTTP: it creates, queries, filters, expands, changes and deletes."""

import socket
import threading
import time

import pytest
import uvicorn

pytest.importorskip("frost_sta_client")
pytestmark = pytest.mark.filterwarnings("ignore:furl.pathstr:DeprecationWarning")  # the client's own


@pytest.fixture
def url(world):
    """The service on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(world.app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/sta/v1.1"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def service(url):
    import frost_sta_client as fsc

    return fsc.SensorThingsService(url, auth_handler=fsc.AuthHandler(username="boss", password="secret"))


def box():
    import frost_sta_client as fsc
    from geojson import Point

    location = fsc.Location(
        name="roof",
        description="the roof",
        location=Point((106.7, 20.8)),
        encoding_type="application/geo+json",
    )
    thing = fsc.Thing(name="box", description="a box", properties={"floor": 3})
    thing.locations = [location]
    unit = fsc.UnitOfMeasurement(name="degree Celsius", symbol="°C", definition="ucum:Cel")
    stream = fsc.Datastream(
        name="warmth", description="of the roof", observation_type="http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        unit_of_measurement=unit,
        sensor=fsc.Sensor(name="DS18B20", description="x", encoding_type="application/pdf", metadata="http://example.org/x.pdf"),
        observed_property=fsc.ObservedProperty(name="warmth", definition="http://example.org/w", description="x"),
    )  # fmt: skip
    thing.datastreams = [stream]
    return thing


def test_frost_client_creates_reads_changes_and_deletes(world, service):
    import frost_sta_client as fsc

    thing = box()
    service.create(thing)
    found = (
        service.things()
        .query()
        .filter(f"id eq {thing.id}")
        .expand("Datastreams($expand=Sensor),Locations")
        .list()
    )
    stream = found.entities[0].datastreams.entities[0]
    assert stream.sensor.name == "DS18B20"
    assert found.entities[0].locations.entities[0].location["coordinates"] == [106.7, 20.8]
    for hour in range(5):
        service.create(
            fsc.Observation(
                result=hour * 1.5,
                phenomenon_time=f"2024-06-01T0{hour}:00:00Z",
                datastream=fsc.Datastream(id=stream.id),
            )
        )
    warm = (
        service.datastreams()
        .find(stream.id)
        .get_observations()
        .query()
        .filter("result gt 2")
        .orderby("phenomenonTime", "desc")
        .list()
    )
    assert [one.result for one in warm] == [6.0, 4.5, 3.0]
    thing = service.things().find(thing.id)
    thing.description = "another box"
    service.update(thing)
    assert service.things().find(thing.id).description == "another box"
    service.patch(thing, [{"op": "replace", "path": "/properties/floor", "value": 4}])
    assert service.things().find(thing.id).properties == {"floor": 4}
    service.delete(thing)
    assert service.things().query().filter("name eq 'box'").list().entities == []


def test_frost_client_writes_a_declared_flow_and_reads_all_its_pages(world, service):
    import frost_sta_client as fsc

    stream = world.stream("mill.power")
    world.fill("mill.power", [float(hour) for hour in range(250)])
    service.create(
        fsc.Observation(
            result=7.5,
            phenomenon_time="2024-07-01T00:00:00Z",
            result_time="2024-07-01T01:00:00Z",
            datastream=fsc.Datastream(id=stream),
        )
    )
    observations = (
        service.datastreams().find(stream).get_observations().query().orderby("phenomenonTime", "ASC").list()
    )
    results = [one.result for one in observations]
    assert results == [*(float(hour) for hour in range(250)), 7.5]
    with world.ledger.snapshot() as snapshot:
        assert snapshot.connection.sql("select max(value), count(*) from reading").fetchall() == [
            (249.0, 251)
        ]
    last = service.observations().query().orderby("phenomenonTime", "desc").top(1).list().entities[0]
    assert last.id.count("-") == 1
    assert service.observations().find(last.id).result == 7.5
    service.delete(last)
    assert len(service.observations().query().list().entities) == 100
