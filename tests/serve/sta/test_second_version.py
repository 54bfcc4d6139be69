"""OGC 23-019 (SensorThings 2.0) on the same tables, from its abstract tests, and the NGSI-LD view."""

import pytest

ROOT = "/sta/v2.0"
SETS = (
    "Things",
    "Locations",
    "HistoricalLocations",
    "Datastreams",
    "Sensors",
    "ObservedProperties",
    "Observations",
    "Features",
    "FeatureTypes",
)


@pytest.fixture(scope="module")
def filled(shared):
    shared.fill("mill.power", [1.0, 2.0, 3.0])
    return shared


def get(world, path, **params):
    answer = world.client.get(f"{ROOT}/{path}", params={f"${k}": v for k, v in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_paths_every_set_and_entity_tells_its_context(filled):
    root = get(filled, "")
    assert {one["name"] for one in root["value"]} == set(SETS)
    for name in SETS:
        page = get(filled, name)
        assert page["@context"].endswith(f"/sta/v2.0/$metadata#{name}")
        for row in page["value"]:
            one = filled.client.get(row["@id"]).json()
            assert one["@context"].endswith(f"#{name}/$entity")
            assert {**one, "@context": 0} == {"@context": 0, **row}
            assert not any("iot" in key for key in one)


def test_datamodel_a_datastream_has_a_result_type_with_a_ucum_code(filled):
    one = get(
        filled, "Datastreams", filter="resultType/uom/code eq 'kW.h' and properties/flow eq 'mill.power'"
    )["value"][0]
    assert one["resultType"]["type"] == "Quantity"
    definition = one["resultType"]["definition"]
    assert (
        get(filled, definition)["id"]
        == get(filled, f"Datastreams({one['id']})/ObservedProperties")["value"][0]["id"]
    )
    assert one["phenomenonTime"] == {"start": "2024-06-01T00:00:00Z", "end": "2024-06-01T03:00:00Z"}
    assert "unitOfMeasurement" not in one
    feature = get(filled, f"Datastreams({one['id']})/ProximateFeatureOfInterest")
    assert feature["feature"]["coordinates"] == [106.71, 20.81]
    assert get(filled, f"Features({feature['id']})/DatastreamsProximate")["value"][0]["id"] == one["id"]


def test_observations_have_times_as_objects_and_no_quality_of_their_own(filled):
    one = get(filled, "Observations", orderby="phenomenonTime/start desc", top=1)["value"][0]
    assert one["phenomenonTime"] == {"start": "2024-06-01T02:00:00Z", "end": "2024-06-01T03:00:00Z"}
    assert one["properties"]["resultQuality"]["name"] == "good"
    assert get(filled, f"Observations('{one['id']}')/result") | {"value": 3.0} == get(
        filled, f"Observations('{one['id']}')/result"
    )
    assert get(filled, f"Observations('{one['id']}')/Datastream/$ref")["@id"].startswith(
        "http://testserver/sta/v2.0/Datastreams("
    )


def test_options_top_skip_count_in_and_nested_expand(filled):
    page = get(
        filled,
        "Observations",
        filter="result in (1,3) and contains(Datastream/name,'Điện')",
        count="true",
        top="1",
        skip="0",
    )
    assert page["@count"] == 2
    assert filled.client.get(page["@nextLink"]).json()["value"][0]["result"] == 3.0
    things = get(
        filled,
        "Things",
        expand="Datastreams($expand=Observations($select=result;$orderby=result desc;$top=1),ObservedProperties)",
    )
    mill = next(one for one in things["value"] if one["properties"]["place"] == "mill")
    stream = next(one for one in mill["Datastreams"] if one["properties"]["flow"] == "mill.power")
    assert stream["Observations"][0]["result"] == 3.0
    assert len(stream["ObservedProperties"]) == 1
    ten, two = get(filled, "Things", top=10, skip=0)["value"], get(filled, "Things", top=2, skip=1)["value"]
    assert two == ten[1:3]


def test_format_says_how_much_control_information_there_is(filled):
    full = get(filled, "Things", format="application/json;metadata=full")
    assert "@context" in full
    assert "@id" in full["value"][0]
    minimal = get(filled, "Things", format="application/json;metadata=minimal", count="true", top=1)
    assert set(minimal) == {"@context", "@count", "@nextLink", "value"}
    assert not any("@" in key for key in minimal["value"][0])
    assert set(get(filled, "Things", format="application/json;metadata=none")) == {"value"}


def test_metadata_names_every_type_and_where_its_links_lead(filled):
    types = get(filled, "$metadata")["org.OGC.STA"]
    assert types["Datastream"]["Observations"] == {
        "$Kind": "NavigationProperty",
        "$Type": "org.OGC.STA.Observation",
        "$Partner": "Datastream",
        "$Collection": True,
        "$Nullable": True,
    }
    assert set(types["SensorThingsV2"]) - {"$Kind"} == set(SETS)
    for name in types:
        for entry in (
            value
            for value in types[name].values()
            if isinstance(value, dict) and value.get("$Kind") == "NavigationProperty"
        ):
            target = entry["$Type"].rpartition(".")[2]
            assert types[target][entry["$Partner"]]["$Type"] == f"org.OGC.STA.{name}"


def test_create_in_2_0_and_read_in_1_1_and_the_other_way_round(world):
    stream = {
        "name": "warmth",
        "resultType": {"type": "Quantity", "label": "warmth", "definition": "x", "uom": {"code": "Cel", "label": "degree Celsius", "symbol": "°C"}},
        "Sensor": {"name": "s"}, "ObservedProperties": [{"name": "warmth", "definition": "http://example.org/w"}],
        "Observations": [{"result": 21.5, "phenomenonTime": {"start": "2024-06-01T00:00:00Z", "end": "2024-06-01T01:00:00Z"}}],
    }  # fmt: skip
    answer = world.client.post(f"{ROOT}/Things", json={"name": "box", "Datastreams": [stream]})
    assert answer.status_code == 201, answer.text
    old = world.get("Datastreams", filter="name eq 'warmth'", expand="Observations,ObservedProperty").json()[
        "value"
    ][0]
    assert old["unitOfMeasurement"] == {
        "name": "degree Celsius",
        "symbol": "°C",
        "definition": "http://www.opengis.net/def/uom/UCUM/Cel",
    }
    assert old["Observations"][0]["phenomenonTime"] == "2024-06-01T00:00:00Z/2024-06-01T01:00:00Z"
    mill = world.stream("mill.power")
    body = {
        "result": 5,
        "phenomenonTime": {"start": "2024-06-01T00:00:00Z"},
        "Datastream": {"@id": f"Datastreams({mill})"},
    }
    made = world.client.post(f"{ROOT}/Observations", json=body)
    assert made.status_code == 201, made.text
    with world.ledger.snapshot() as snapshot:
        assert snapshot.connection.sql("select value from reading").fetchall() == [(5.0,)]
    assert world.client.delete(made.headers["location"]).status_code == 204


def test_ngsi_ld_shows_the_last_value_of_each_flow(filled):
    page = filled.client.get("/ngsi-ld/v1/entities", params={"type": "Flow"})
    assert page.headers["content-type"] == "application/ld+json"
    power = next(one for one in page.json() if one["id"] == "urn:ngsi-ld:Flow:mill.power")
    assert power["value"] == {
        "type": "Property", "value": 3.0, "observedAt": "2024-06-01T02:00:00Z", "unitCode": "KWH",
        "quality": {"type": "Property", "value": "good"},
    }  # fmt: skip
    assert power["placedAt"] == {"type": "Relationship", "object": "urn:ngsi-ld:Place:mill"}
    assert "value" not in next(one for one in page.json() if one["id"].endswith(":mill.coal"))
    local, core = power["@context"]
    assert "carrier" in filled.client.get(local).json()["@context"]
    assert core.startswith("https://uri.etsi.org/ngsi-ld/")
    one = filled.client.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Device:gateway").json()
    assert (one["type"], one["name"]["value"]) == ("Device", "Cổng xưởng")
    assert filled.client.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Device:none").status_code == 404
    assert filled.client.get("/ngsi-ld/v1/entities").status_code == 400
    assert filled.client.get("/ngsi-ld/v1/types").json()["typeList"] == ["Place", "Device", "Flow"]
    assert {one["id"] for one in filled.as_("shop").get("/ngsi-ld/v1/entities?type=Place").json()} == {
        "urn:ngsi-ld:Place:shop"
    }
