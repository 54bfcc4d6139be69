"""Abstract tests of OGC 18-088, annex A.1 and A.2 (reading and filtering), as a client sees them."""

import json

import pytest

THING = {
    "name": "oven",
    "description": "an oven",
    "properties": {"color": "black", "year": 2019, "hot": True, "nested": {"deep": 7}},
    "Locations": [
        {
            "name": "yard",
            "description": "the yard",
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": [10, 10]},
        }
    ],
    "Datastreams": [
        {
            "name": "temperature",
            "description": "of the oven",
            "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
            "unitOfMeasurement": {"name": "degree Celsius", "symbol": "°C", "definition": "ucum:Cel"},
            "Sensor": {"name": "DS18B20", "description": "x", "encodingType": "application/pdf", "metadata": "u"},
            "ObservedProperty": {"name": "heat", "description": "x", "definition": "http://example.org/heat"},
            "Observations": [
                {"phenomenonTime": f"2015-03-{day:02}T0{day}:00:00Z", "result": day * 1.5, "resultTime": f"2015-03-{day:02}T08:30:15.250Z"}
                for day in range(1, 9)
            ],
        }
    ],
}  # fmt: skip
SETS = {
    "Things": (["name", "description"], ["Locations", "HistoricalLocations", "Datastreams"]),
    "Locations": (["name", "description", "encodingType", "location"], ["Things", "HistoricalLocations"]),
    "HistoricalLocations": (["time"], ["Thing", "Locations"]),
    "Datastreams": (
        ["name", "description", "unitOfMeasurement", "observationType"],
        ["Thing", "Sensor", "ObservedProperty", "Observations"],
    ),
    "Sensors": (["name", "description", "encodingType", "metadata"], ["Datastreams"]),
    "ObservedProperties": (["name", "definition", "description"], ["Datastreams"]),
    "Observations": (["phenomenonTime", "result", "resultTime"], ["Datastream", "FeatureOfInterest"]),
    "FeaturesOfInterest": (["name", "description", "encodingType", "feature"], ["Observations"]),
}


@pytest.fixture(scope="module")
def oven(shared):
    """The example of the standard beside the declared park; the id of its Datastream."""
    answer = shared.client.post("/sta/v1.1/Things", json=THING)
    assert answer.status_code == 201, answer.text
    shared.fill("mill.power", [1.0, 2.0, 3.0])
    return shared.ids("Datastreams", filter="name eq 'temperature'")[0]


@pytest.mark.parametrize("name", SETS)
def test_datamodel_every_entity_has_control_information_properties_and_relations(shared, oven, name):
    properties, relations = SETS[name]
    rows = shared.get(name, top=1000).json()["value"]
    assert rows
    for row in rows:
        assert row["@iot.selfLink"].startswith(f"http://testserver/sta/v1.1/{name}(")
        assert shared.client.get(row["@iot.selfLink"]).json()["@iot.id"] == row["@iot.id"]
        for prop in properties:
            assert prop in row
        for nav in relations:
            assert shared.client.get(row[f"{nav}@iot.navigationLink"]).status_code == 200


def test_resource_path_the_root_lists_all_sets_and_the_requirements(shared):
    root = shared.get("").json()
    assert {one["name"] for one in root["value"]} == set(SETS)
    assert (
        "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel" in root["serverSettings"]["conformance"]
    )


def test_resource_path_every_usage_leads_where_it_says(shared, oven):
    observations = shared.get(f"Datastreams({oven})/Observations").json()["value"]
    first = observations[0]["@iot.id"]
    base = f"Datastreams({oven})/Observations('{first}')"
    assert shared.get(base).json()["@iot.id"] == first
    assert shared.get(f"{base}/result").json() == {"result": 1.5}
    assert shared.get(f"{base}/result/$value").text == "1.5"
    assert shared.get(f"{base}/resultTime/$value").text == "2015-03-01T08:30:15.250Z"
    assert shared.get(f"{base}/validTime").status_code == 204
    assert shared.get(f"{base}/FeatureOfInterest").json()["feature"] == THING["Locations"][0]["location"]
    assert shared.get(f"{base}/Datastream/Thing/properties/nested/deep").json() == {"deep": 7}
    links = shared.get(f"Datastreams({oven})/Observations/$ref").json()["value"]
    assert [one["@iot.selfLink"] for one in links] == [one["@iot.selfLink"] for one in observations]
    assert list(links[0]) == ["@iot.selfLink"]
    assert shared.get(f"Datastreams({oven})/Observations/$count").text == "8"


@pytest.mark.parametrize(
    "path",
    [
        "Thing", "Things(99999)", "Things('x')", "Things(1)/Nothing", "Things(1)/name/x", "Things()", "Observations(1)",
        "Things(1)/Datastreams(99999)", "Observations('0-0')", "Observations('s999')", "Things(1)/Locations/name", "a/b/c",
        "Things(1)/$value", "%00", "Things(1", "$metadata",
    ],
)  # fmt: skip
def test_status_codes_what_does_not_exist_is_404(shared, oven, path):
    assert shared.get(path).status_code == 404


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"nope": "1"}, 400), ({"top": "-1"}, 400), ({"top": "x"}, 400), ({"skip": "1.5"}, 400), ({"count": "yes"}, 400),
        ({"filter": "nope eq 1"}, 400), ({"filter": "name eq"}, 400), ({"filter": "name gt 5"}, 400), ({"select": "nope"}, 400),
        ({"expand": "Nope"}, 400), ({"orderby": "nope"}, 400), ({"filter": "foo(name) eq 1"}, 501), ({"filter": "name"}, 400),
        ({"resultFormat": "CSV"}, 501), ({"filter": "(" * 99 + "true" + ")" * 99}, 400),
        ({"filter": " or ".join(["name eq 'a'"] * 300)}, 400), ({"filter": "x" * 9000}, 413),
        ({"expand": "Datastreams/Thing/Datastreams/Thing"}, 400), ({"orderby": "Datastreams/name"}, 400),
        ({"filter": "st_within(Locations/location, geography'NO WKT')"}, 400), ({"filter": "name eq 1e999"}, 400),
    ],
)  # fmt: skip
def test_status_codes_a_question_that_cannot_be_asked_is_named(shared, options, status):
    answer = shared.get("Things", **options)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_order_filter_count_orderby_skip_top_are_evaluated_in_this_order(shared, oven):
    page = shared.get(
        f"Datastreams({oven})/Observations",
        filter="result gt 3", orderby="result desc", skip="1", top="2", count="true", select="result",
    ).json()  # fmt: skip
    assert page["@iot.count"] == 6
    assert [row["result"] for row in page["value"]] == [10.5, 9.0]
    assert page["value"][0].keys() == {"result"}


def test_expand_and_select_in_every_usage(shared, oven):
    one = shared.get(
        f"Datastreams({oven})", expand="Observations($filter=result eq 3;$select=result),ObservedProperty"
    ).json()
    assert one["Observations"] == [{"result": 3.0}]
    assert one["ObservedProperty"]["name"] == "heat"
    one = shared.get(f"Datastreams({oven})", select="id", expand="Observations/FeatureOfInterest").json()
    assert one.keys() == {"@iot.id", "Observations"}
    assert one["Observations"][0]["FeatureOfInterest"]["name"] == "yard"
    things = shared.get(
        "Things", expand="Datastreams($expand=Observations($top=2;$count=true;$orderby=result desc))"
    ).json()
    stream = next(one for one in things["value"] if one["name"] == "oven")["Datastreams"][0]
    assert stream["Observations@iot.count"] == 8
    assert [one["result"] for one in stream["Observations"]] == [12.0, 10.5]
    following = shared.client.get(stream["Observations@iot.nextLink"]).json()["value"]
    assert [one["result"] for one in following] == [9.0, 7.5]
    assert shared.get("Things", select="properties/color", filter="name eq 'oven'").json()["value"] == [
        {"properties": {"color": "black"}}
    ]
    both = shared.get(f"Datastreams({oven})", expand="Thing/Locations,Thing/HistoricalLocations").json()[
        "Thing"
    ]
    assert {"Locations", "HistoricalLocations"} <= both.keys()


def test_sorting_puts_nothing_first_and_last_when_descending(shared, oven):
    names = [row["name"] for row in shared.get("Datastreams", orderby="name").json()["value"]]
    assert names == sorted(names)
    names = [row["name"] for row in shared.get("Datastreams", orderby="Thing/name desc,name").json()["value"]]
    assert names[0] == "temperature"
    order = shared.get("Observations", orderby="resultTime", top="1000").json()["value"]
    assert order[0]["resultTime"] == "2015-03-01T08:30:15.250Z"
    things = [row["name"] for row in shared.get("Things", orderby="properties/color").json()["value"]]
    assert things[-1] == "oven"


def test_server_driven_pages_hold_everything_once(shared, oven):
    link, seen = "http://testserver/sta/v1.1/Observations?$top=3&$filter=result gt 1", []
    while link:
        page = shared.client.get(link).json()
        seen += [row["@iot.id"] for row in page["value"]]
        link = page.get("@iot.nextLink")
    assert len(seen) == len(set(seen)) == 10  # 8 stored and 2 of the 3 in the ledger
    assert shared.get("Things", top=0).json() == {"value": []}


FILTERS = {
    "result eq 3": 1, "result ne 3": 7, "result gt 3": 6, "result ge 3": 7, "result lt 3": 1, "result le 3": 2,
    "result gt 3 and result lt 6": 1, "result lt 3 or result gt 10": 3, "not result lt 3": 7,
    "result add 5 gt 10": 5, "result sub 5 gt 5": 2, "result mul 2 gt 20": 2, "result div 2 gt 4": 3, "result mod 3 eq 0": 4,
    "(result sub 5) mul 2 gt 10": 2, "result sub 5 mul 2 gt 0": 2, "result lt 3 or result gt 3 and result lt 6": 2,
    "not result eq 3 and result lt 6": 2, "-1.5 lt result": 8,
    "year(resultTime) eq 2015": 8, "month(resultTime) eq 3": 8, "day(resultTime) eq 2": 1, "hour(phenomenonTime) eq 4": 1,
    "minute(resultTime) eq 30": 8, "second(resultTime) eq 15": 8, "fractionalseconds(resultTime) eq 0.25": 8,
    "date(resultTime) eq 2015-03-02": 1, "time(resultTime) lt 08:30:16": 8, "totaloffsetminutes(resultTime) eq 0": 8,
    "resultTime le now()": 8, "resultTime gt mindatetime()": 8, "resultTime lt maxdatetime()": 8,
    "round(result) eq 5": 1, "floor(result) eq 4": 1, "ceiling(result) eq 5": 1, "round(result) eq 2": 1,
    "phenomenonTime lt 2015-03-03T00:00:00Z": 2, "phenomenonTime ge 2015-03-03T10:00:00+07:00": 6,
    "phenomenonTime lt 2015-03-03T00:00:00Z/2015-03-04T00:00:00Z": 2,
    "resultTime sub phenomenonTime gt duration'PT5H'": 3, "phenomenonTime add duration'P1D' gt resultTime": 8,
    "Datastream/name eq 'temperature'": 8, "Datastream/Thing/properties/year eq 2019": 8, "Datastream/Thing/properties/hot": 8,
    "Datastream/Thing/Locations/name eq 'yard'": 8, "result eq null": 0, "validTime eq null": 8, "result eq 'text'": 0,
    "substringof('temp',Datastream/name)": 8, "startswith(Datastream/name,'temp')": 8, "endswith(Datastream/name,'ure')": 8,
    "length(Datastream/name) eq 11": 8, "indexof(Datastream/name,'per') eq 3": 8, "substring(Datastream/name,8) eq 'ure'": 8,
    "substring(Datastream/name,0,4) eq 'temp'": 8, "toupper(Datastream/name) eq 'TEMPERATURE'": 8,
    "tolower('TEMPERATURE') eq Datastream/name": 8, "trim(concat(' ',Datastream/name)) eq 'temperature'": 8,
    "geo.distance(FeatureOfInterest/feature, geography'POINT (13 14)') eq 5": 8,
    "geo.length(geography'LINESTRING (0 0, 3 4)') eq 5": 8,
    "geo.intersects(FeatureOfInterest/feature, geography'POLYGON ((0 0, 0 20, 20 20, 20 0, 0 0))')": 8,
    "st_equals(FeatureOfInterest/feature, geography'POINT (10 10)')": 8,
    "st_disjoint(FeatureOfInterest/feature, geography'POINT (1 1)')": 8,
    "st_touches(FeatureOfInterest/feature, geography'LINESTRING (10 10, 20 20)')": 8,
    "st_within(FeatureOfInterest/feature, geography'POLYGON ((0 0, 0 20, 20 20, 20 0, 0 0))')": 8,
    "st_overlaps(FeatureOfInterest/feature, geography'POINT (10 10)')": 0,
    "st_crosses(FeatureOfInterest/feature, geography'LINESTRING (0 0, 1 1)')": 0,
    "st_intersects(FeatureOfInterest/feature, geography'LINESTRING (0 0, 20 20)')": 8,
    "st_contains(geography'POLYGON ((0 0, 0 20, 20 20, 20 0, 0 0))', FeatureOfInterest/feature)": 8,
    "st_relate(FeatureOfInterest/feature, geography'POINT (10 10)', 'T********')": 8,
}  # fmt: skip


@pytest.mark.parametrize("text", FILTERS)
def test_filter_every_operator_and_function_of_the_standard(shared, oven, text):
    answer = shared.get(f"Datastreams({oven})/Observations", filter=text, count="true")
    assert answer.status_code == 200, answer.text
    assert answer.json()["@iot.count"] == len(answer.json()["value"]) == FILTERS[text]


@pytest.mark.parametrize("text", [
    "result gt 1 and Datastream/properties/flow eq 'mill.power'", "round(result) ge 2 and startswith(Datastream/Thing/name,'Nhà')",
    "phenomenonTime gt 2024-06-01T00:00:00Z and result le 3 and year(phenomenonTime) eq 2024",
    "substringof('1717', id) and result mod 5 ge 2", "resultQuality/name eq 'good' and result add 1 ge 3",
    "Datastream/Thing/Locations/name eq 'Nhà máy thép' and result ge 2",
    "resultTime gt phenomenonTime and result ge 2 and not (resultTime lt 2016-01-01T00:00:00Z)",
    "st_within(FeatureOfInterest/feature, geography'POLYGON ((106 20, 107 20, 107 21, 106 21, 106 20))') and result ge 2",
])  # fmt: skip
def test_filter_means_the_same_for_values_of_the_ledger(shared, oven, text):
    answer = shared.get("Observations", filter=text, count="true")
    assert answer.status_code == 200, answer.text
    assert answer.json()["@iot.count"] == len(answer.json()["value"]) == 2


def test_filter_entities_by_their_observations_stored_or_in_the_ledger(shared, oven):
    names = {
        row["name"] for row in shared.get("Datastreams", filter="Observations/result gt 2.5").json()["value"]
    }
    assert names == {"temperature", "Điện lò hồ quang"}
    text = "Datastreams/Observations/FeatureOfInterest/name eq 'yard' and Datastreams/Observations/resultTime ge 2015-03-08T00:00:00Z"
    assert [row["name"] for row in shared.get("Things", filter=text).json()["value"]] == ["oven"]
    text = "geo.distance(Locations/location, geography'POINT(10 10)') lt 1"
    assert [row["name"] for row in shared.get("Things", filter=text).json()["value"]] == ["oven"]
    text = "Datastreams/Observations/result gt 2.9 and Datastreams/Observations/phenomenonTime ge 2024-01-01T00:00:00Z"
    assert [row["name"] for row in shared.get("Things", filter=text).json()["value"]] == ["Nhà máy thép"]
    assert (
        shared.get("Datastreams", filter="unitOfMeasurement/symbol eq '°C'").json()["value"][0]["@iot.id"]
        == oven
    )
    assert (
        shared.get("Datastreams", filter="phenomenonTime ge 2024-01-01T00:00:00Z", count="true").json()[
            "@iot.count"
        ]
        == 1
    )


def test_derived_a_datastream_tells_the_span_of_its_observations(shared, oven):
    one = shared.get(f"Datastreams({oven})").json()
    assert one["phenomenonTime"] == "2015-03-01T01:00:00Z/2015-03-08T08:00:00Z"
    assert one["resultTime"] == "2015-03-01T08:30:15.250Z/2015-03-08T08:30:15.250Z"
    flow = shared.get(f"Datastreams({shared.stream('mill.power')})").json()
    assert flow["phenomenonTime"] == "2024-06-01T00:00:00Z/2024-06-01T03:00:00Z"
    assert flow["unitOfMeasurement"]["definition"] == "http://www.opengis.net/def/uom/UCUM/kW.h"


def test_data_array_groups_observations_by_datastream(shared, oven):
    page = shared.get("Observations", resultFormat="dataArray", select="id,result", top="1000").json()
    sizes = {group["Datastream@iot.navigationLink"]: len(group["dataArray"]) for group in page["value"]}
    assert sizes[f"http://testserver/sta/v1.1/Datastreams({oven})"] == 8
    assert page["value"][0]["components"] == ["id", "result"]
    assert all(len(row) == 2 for group in page["value"] for row in group["dataArray"])


def test_a_batch_answers_each_request_for_itself(shared, oven):
    requests = [
        {"id": "1", "method": "get", "url": "Things(1)"},
        {"id": "2", "method": "get", "url": "Things(99999)"},
    ]
    answer = shared.client.post("/sta/v1.1/$batch", content=json.dumps({"requests": requests}))
    assert [one["status"] for one in answer.json()["responses"]] == [200, 404]
