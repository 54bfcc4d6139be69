"""Abstract tests of OGC 18-088, annex A.3 (create, update, delete) and A.6 (data array), as a client sees them."""

import copy
import json

import pytest

ROOT = "/sta/v1.1"
LOCATION = {
    "name": "yard", "description": "the yard", "encodingType": "application/geo+json",
    "location": {"type": "Point", "coordinates": [10, 10]},
}  # fmt: skip
SENSOR = {
    "name": "DS18B20",
    "description": "x",
    "encodingType": "application/pdf",
    "metadata": "http://example.org/x.pdf",
}
OBSERVED = {"name": "heat", "description": "x", "definition": "http://example.org/heat"}
DATASTREAM = {
    "name": "temperature", "description": "of the oven",
    "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
    "unitOfMeasurement": {"name": "degree Celsius", "symbol": "°C", "definition": "ucum:Cel"},
    "Sensor": SENSOR, "ObservedProperty": OBSERVED,
}  # fmt: skip
THING = {"name": "oven", "description": "an oven", "Locations": [LOCATION], "Datastreams": [DATASTREAM]}
TABLES = (
    "Things",
    "Locations",
    "HistoricalLocations",
    "Datastreams",
    "Sensors",
    "ObservedProperties",
    "Observations",
    "FeaturesOfInterest",
)


def post(world, path, body, status=201):
    answer = world.client.post(f"{ROOT}/{path}", json=body)
    assert answer.status_code == status, answer.text
    if status == 201:
        assert world.client.get(answer.headers["location"]).status_code == 200
        return answer.json()["@iot.id"]
    return answer.json()


def counts(world):
    return {name: world.get(name, count="true", top=0).json()["@iot.count"] for name in TABLES}


def oven(world):
    """Ids of a new Thing and its Datastream."""
    thing = post(world, "Things", THING)
    return thing, world.ids(f"Things({thing})/Datastreams")[0]


def test_create_with_related_entities_in_one_request(world):
    before = counts(world)
    post(
        world,
        "Things",
        {**THING, "Datastreams": [{**DATASTREAM, "Observations": [{"result": 1}, {"result": "two"}]}]},
    )
    added = {name: n - before[name] for name, n in counts(world).items()}
    assert added == dict.fromkeys(TABLES, 1) | {"Observations": 2}


def test_create_that_fails_leaves_nothing(world):
    before = counts(world)
    broken = copy.deepcopy(THING)
    del broken["Datastreams"][0]["ObservedProperty"]["definition"]
    post(world, "Things", broken, 400)
    broken = {
        **THING,
        "Datastreams": [{**DATASTREAM, "Observations": [{"phenomenonTime": "not a time", "result": 1}]}],
    }
    post(world, "Things", broken, 400)
    assert counts(world) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Things", {"name": "x"}), ("Things", {"description": "x"}), ("Things", []), ("Things", {**THING, "colour": "red"}),
        ("Locations", {"name": "x", "description": "x", "encodingType": "application/geo+json", "location": {"type": "Pointless"}}),
        ("Datastreams", DATASTREAM), ("Datastreams", {**DATASTREAM, "Thing": {"@iot.id": 99999}}),
        ("Datastreams", {**DATASTREAM, "Thing": 1}), ("Observations", {"result": 1}), ("Sensors", {**SENSOR, "name": 5}),
        ("Observations", {"result": 1, "Datastream": {"@iot.id": 99999}}), ("HistoricalLocations", {"time": "2020-01-01T00:00:00Z"}),
        ("ObservedProperties", {**OBSERVED, "properties": "x"}),
    ],
)  # fmt: skip
def test_create_without_what_must_be_given_is_400(world, path, body):
    before = counts(world)
    assert post(world, path, body, 400)["message"]
    assert counts(world) == before


def test_create_a_body_that_is_no_json_is_400(world):
    for body in (b"", b"{", b'{"name": NaN}', b'{"name": "\\ud800"}', b"[" * 99999, b"\xff"):
        assert world.client.post(f"{ROOT}/Things", content=body).status_code == 400
    assert world.client.post(f"{ROOT}/Things", content=b" " * (9 << 20)).status_code == 413


def test_create_links_to_entities_that_exist(world):
    thing, sensor, observed = (
        post(world, "Things", {"name": "a", "description": "b"}),
        post(world, "Sensors", SENSOR),
        post(world, "ObservedProperties", OBSERVED),
    )
    body = {**DATASTREAM, "Sensor": {"@iot.id": sensor}, "ObservedProperty": {"@iot.id": observed}}
    under = post(world, f"Things({thing})/Datastreams", body)
    assert world.get(f"Datastreams({under})/Thing").json()["@iot.id"] == thing
    assert world.get(f"Datastreams({under})/Sensor").json()["@iot.id"] == sensor


def test_create_an_observation_takes_the_feature_of_its_things_location(world):
    _, stream = oven(world)
    first = post(world, "Observations", {"result": 1, "Datastream": {"@iot.id": stream}})
    second = post(world, f"Datastreams({stream})/Observations", {"result": 2})
    features = [world.get(f"Observations('{one}')/FeatureOfInterest").json() for one in (first, second)]
    assert features[0]["@iot.id"] == features[1]["@iot.id"]
    assert features[0]["feature"] == LOCATION["location"]
    homeless = post(world, "Things", {"name": "a", "description": "b", "Datastreams": [DATASTREAM]})
    nowhere = world.ids(f"Things({homeless})/Datastreams")[0]
    assert (
        post(world, f"Datastreams({nowhere})/Observations", {"result": 1}, 400)["type"] == "sta.no_location"
    )


def test_create_times_that_are_left_out_are_now_and_null(world):
    _, stream = oven(world)
    one = world.client.post(f"{ROOT}/Datastreams({stream})/Observations", json={"result": 1}).json()
    assert one["phenomenonTime"] == "2024-06-05T00:00:00Z"
    assert one["resultTime"] is None


@pytest.mark.parametrize(
    "result", [1, 1.5, -(2**70), "text", "", True, False, {"a": [1, {"b": None}]}, [1, 2], None]
)
def test_create_any_json_value_as_result_comes_back_as_it_was(world, result):
    _, stream = oven(world)
    one = world.client.post(f"{ROOT}/Datastreams({stream})/Observations", json={"result": result}).json()
    assert one["result"] == result
    assert type(one["result"]) is type(result) or isinstance(result, int)


def test_a_location_of_a_thing_writes_history(world):
    thing, _ = oven(world)
    assert len(world.ids(f"Things({thing})/HistoricalLocations")) == 1
    moved = post(world, f"Things({thing})/Locations", {**LOCATION, "name": "hall"})
    assert world.ids(f"Things({thing})/Locations") == [moved]
    history = world.get(f"Things({thing})/HistoricalLocations", expand="Locations").json()["value"]
    assert [one["Locations"][0]["name"] for one in history] == ["yard", "hall"]
    later = {
        "time": "2030-01-01T00:00:00Z",
        "Thing": {"@iot.id": thing},
        "Locations": [{**LOCATION, "name": "later"}],
    }
    post(world, "HistoricalLocations", later)
    assert world.get(f"Things({thing})/Locations").json()["value"][0]["name"] == "later"
    post(
        world,
        "HistoricalLocations",
        {**later, "time": "2001-01-01T00:00:00Z", "Locations": [{**LOCATION, "name": "once"}]},
    )
    assert world.get(f"Things({thing})/Locations").json()["value"][0]["name"] == "later"


def test_update_merges_with_patch_and_replaces_with_put(world):
    thing, stream = oven(world)
    url = f"{ROOT}/Things({thing})"
    changed = world.client.patch(url, json={"description": "hot", "properties": {"a": 1}, "@iot.id": 7})
    assert changed.status_code == 200
    assert (
        changed.json() | {"name": "oven", "description": "hot", "properties": {"a": 1}, "@iot.id": thing}
        == changed.json()
    )
    replaced = world.client.put(url, json={"name": "kiln", "description": "cold"}).json()
    assert replaced["name"] == "kiln"
    assert "properties" not in replaced
    assert world.client.put(url, json={"name": "kiln"}).status_code == 400
    assert world.ids(f"Things({thing})/Datastreams") == [stream]
    operations = [
        {"op": "add", "path": "/properties", "value": {"b": 2}},
        {"op": "test", "path": "/name", "value": "kiln"},
    ]
    patched = world.client.patch(
        url, content=json.dumps(operations), headers={"content-type": "application/json-patch+json"}
    )
    assert patched.json()["properties"] == {"b": 2}
    assert world.client.patch(f"{ROOT}/Things(99999)", json={"name": "x"}).status_code == 404


def test_update_with_inline_entities_is_400_and_with_ids_changes_links(world):
    thing, stream = oven(world)
    assert world.client.patch(f"{ROOT}/Datastreams({stream})", json={"Sensor": SENSOR}).status_code == 400
    assert world.client.patch(f"{ROOT}/Things({thing})", json={"Locations": [LOCATION]}).status_code == 400
    sensor, place = (
        post(world, "Sensors", {**SENSOR, "name": "new"}),
        post(world, "Locations", {**LOCATION, "name": "new"}),
    )
    assert (
        world.client.patch(f"{ROOT}/Datastreams({stream})", json={"Sensor": {"@iot.id": sensor}}).status_code
        == 200
    )
    assert world.get(f"Datastreams({stream})/Sensor").json()["name"] == "new"
    assert (
        world.client.patch(f"{ROOT}/Things({thing})", json={"Locations": [{"@iot.id": place}]}).status_code
        == 200
    )
    assert world.ids(f"Things({thing})/Locations") == [place]
    observation = post(world, f"Datastreams({stream})/Observations", {"result": 1})
    changed = world.client.patch(
        f"{ROOT}/Observations('{observation}')", json={"result": "ok", "parameters": {"p": 1}}
    ).json()
    assert (changed["result"], changed["parameters"]) == ("ok", {"p": 1})


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("Things", {"Things", "Datastreams", "Observations", "HistoricalLocations"}),
        ("Locations", {"Locations", "HistoricalLocations"}), ("HistoricalLocations", {"HistoricalLocations"}),
        ("Datastreams", {"Datastreams", "Observations"}), ("Sensors", {"Sensors", "Datastreams", "Observations"}),
        ("ObservedProperties", {"ObservedProperties", "Datastreams", "Observations"}), ("Observations", {"Observations"}),
        ("FeaturesOfInterest", {"FeaturesOfInterest", "Observations"}),
    ],
)  # fmt: skip
def test_delete_takes_along_what_cannot_be_without_it(world, name, gone):
    thing, stream = oven(world)
    post(world, f"Datastreams({stream})/Observations", {"result": 1})
    before = counts(world)
    path = {
        "Things": f"Things({thing})", "Locations": f"Things({thing})/Locations", "Datastreams": f"Datastreams({stream})",
        "HistoricalLocations": f"Things({thing})/HistoricalLocations", "Sensors": f"Datastreams({stream})/Sensor",
        "ObservedProperties": f"Datastreams({stream})/ObservedProperty", "Observations": f"Datastreams({stream})/Observations",
        "FeaturesOfInterest": f"Datastreams({stream})/Observations",
    }[name]  # fmt: skip
    found = world.get(path).json()
    found = found["value"][0] if "value" in found else found
    link = found["@iot.selfLink"]
    if name == "FeaturesOfInterest":
        link = world.client.get(found["FeatureOfInterest@iot.navigationLink"]).json()["@iot.selfLink"]
    assert world.client.delete(link).status_code == 204
    assert world.client.get(link).status_code == 404
    assert world.client.delete(link).status_code == 404
    after = counts(world)
    assert {one for one in TABLES if after[one] < before[one]} == gone


def test_data_array_creates_many_and_names_the_ones_that_failed(world):
    _, stream = oven(world)
    mill = world.stream("mill.power")
    body = [
        {
            "Datastream": {"@iot.id": stream}, "components": ["phenomenonTime", "result"],
            "dataArray": [["2024-01-01T00:00:00Z", 1], ["no time", 2], ["2024-01-01T02:00:00Z", "three"]],
        },
        {
            "Datastream": {"@iot.id": mill}, "components": ["phenomenonTime", "result", "resultQuality"],
            "dataArray": [["2024-01-01T00:00:00Z", 10, "manual"], ["2024-01-01T01:00:00Z", 20, 0]],
        },
        {"Datastream": {"@iot.id": 99999}, "components": ["phenomenonTime", "result"], "dataArray": [["2024-01-01T00:00:00Z", 1]]},
    ]  # fmt: skip
    links = post_raw(world, body)
    assert [link == "error" for link in links] == [False, True, False, False, False, True]
    assert [world.client.get(link).json()["result"] for link in links if link != "error"] == [
        1,
        "three",
        10.0,
        20.0,
    ]
    with world.ledger.snapshot() as snapshot:
        assert snapshot.connection.sql(
            "select sum(value), count(distinct batch) from reading"
        ).fetchall() == [(30.0, 1)]


def post_raw(world, body):
    answer = world.client.post(f"{ROOT}/CreateObservations", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()
