"""Declared flows over the API: their values stand in the ledger, their entities in the territory's folder, and each caller sees its own."""

import threading
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from mangrove.errors import SourceError
from mangrove.ledger.types import Quality

ROOT = "/sta/v1.1"


def write(world, stream, who="boss", status=201, **body):
    answer = world.as_(who).post(f"{ROOT}/Datastreams({stream})/Observations", json=body)
    assert answer.status_code == status, answer.text
    return answer


def stored(world, sql):
    with world.ledger.snapshot() as snapshot:
        return snapshot.connection.sql(sql).fetchall()


def test_a_number_becomes_a_value_of_the_ledger_before_it_is_acknowledged(world):
    stream = world.stream("mill.power")
    answer = write(world, stream, result=42, phenomenonTime="2024-06-04T10:00:00+07:00")
    assert stored(world, "select value, quality, epoch_us(start) from reading") == [
        (42.0, 0, 1717470000000000)
    ]
    assert stored(world, "select source from batch") == [("sta:boss",)]
    assert answer.headers["location"].endswith(f"/Observations('{answer.json()['@iot.id']}')")
    assert answer.json()["phenomenonTime"] == "2024-06-04T03:00:00Z/2024-06-04T04:00:00Z"


def test_a_change_is_a_later_version_and_keeps_its_id(world):
    one = write(world, world.stream("mill.power"), result=1, phenomenonTime="2024-06-04T00:00:00Z").json()
    url = f"{ROOT}/Observations('{one['@iot.id']}')"
    changed = world.client.patch(url, json={"result": 2, "parameters": {"why": "misread"}}).json()
    assert (changed["@iot.id"], changed["result"]) == (one["@iot.id"], 2.0)
    assert changed["parameters"] == {"why": "misread", "batch": 2}
    first = world.client.get(f"{ROOT}/Observations('{one['@iot.id']}-1')").json()
    assert first["result"] == 1.0
    assert stored(world, "select count(*) from version") == [(2,)]
    assert world.client.patch(url, json={"phenomenonTime": "2024-06-04T01:00:00Z"}).status_code == 409
    assert world.client.patch(url, json={"result": "text"}).status_code == 400
    assert world.client.patch(url, json={"FeatureOfInterest": {"name": "x"}}).status_code == 400


def test_a_deletion_is_a_row_that_says_so_and_a_value_may_come_again(world):
    stream = world.stream("mill.power")
    one = write(world, stream, result=1, phenomenonTime="2024-06-04T00:00:00Z").json()
    url = f"{ROOT}/Observations('{one['@iot.id']}')"
    assert world.client.delete(url).status_code == 204
    assert world.client.get(url).status_code == 404
    assert world.ids(f"Datastreams({stream})/Observations") == []
    assert stored(world, "select quality from reading") == [(int(Quality.MISSING),)]
    write(world, stream, result=3, phenomenonTime="2024-06-04T00:00:00Z")
    assert world.client.get(url).json()["result"] == 3.0


def test_what_was_said_beside_a_number_is_kept_with_it(world):
    stream = world.stream("mill.power")
    said = {
        "resultTime": "2024-06-04T02:00:00Z",
        "validTime": "2024-06-04T00:00:00Z/2024-06-05T00:00:00Z",
        "parameters": {"a": 1},
    }
    write(world, stream, result=1, phenomenonTime="2024-06-04T00:00:00Z", resultQuality="manual", **said)
    write(world, stream, result=2, phenomenonTime="2024-06-04T01:00:00Z")
    found = world.get("Observations", filter="resultTime eq 2024-06-04T02:00:00Z").json()["value"]
    assert len(found) == 1
    assert (
        found[0] | said | {"parameters": {"a": 1, "batch": 1}, "resultQuality": {"code": 8, "name": "manual"}}
        == found[0]
    )
    assert len(world.ids("Observations", filter="validTime ge 2024-06-04T00:00:00Z")) == 1
    assert len(world.ids("Observations", filter="resultTime gt 2025-01-01T00:00:00Z")) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"phenomenonTime": "1969-01-01T00:00:00Z"}, 400), ({"phenomenonTime": "2090-01-01T00:00:00Z"}, 400),
        ({"phenomenonTime": "2024-06-04T00:00:00Z/2024-06-04T03:00:00Z"}, 400),
        ({"phenomenonTime": "2024-06-04T00:00:00Z/2024-06-04T01:00:00Z"}, 201), ({"resultQuality": "splendid"}, 400),
        ({"resultQuality": 9}, 400), ({"nope": 1}, 400), ({"parameters": "x"}, 400),
    ],
)  # fmt: skip
def test_a_value_that_cannot_stand_in_the_ledger_is_refused_by_name(world, body, status):
    answer = write(world, world.stream("mill.power"), status=status, **{"result": 1, **body})
    assert status == 201 or answer.json()["type"].startswith("sta.")


def test_a_time_ahead_of_the_clock_is_marked(world):
    one = write(world, world.stream("mill.power"), result=1, phenomenonTime="2024-06-05T01:00:00Z").json()
    assert one["resultQuality"]["name"] == "clock"


def test_text_and_own_features_stand_in_the_store_and_in_the_same_list(world):
    stream = world.stream("mill.power")
    world.fill("mill.power", [1.0, 2.0, 3.0, 4.0])
    write(world, stream, result="stopped", phenomenonTime="2024-06-01T01:30:00Z")
    place = {
        "name": "gate",
        "description": "x",
        "encodingType": "application/geo+json",
        "feature": {"type": "Point", "coordinates": [1, 2]},
    }
    write(world, stream, result=2.5, phenomenonTime="2024-06-01T01:45:00Z", FeatureOfInterest=place)
    assert stored(world, "select count(*) from version") == [(4,)]
    path, seen = f"Datastreams({stream})/Observations", []
    for skip in range(6):
        page = world.get(path, top="1", skip=str(skip), orderby="phenomenonTime", count="true").json()
        assert page["@iot.count"] == 6
        seen.append(page["value"][0]["result"])
    assert seen == [1.0, 2.0, "stopped", 2.5, 3.0, 4.0]
    falling = [row["result"] for row in world.get(path, orderby="result desc").json()["value"]]
    assert falling == ["stopped", 4.0, 3.0, 2.5, 2.0, 1.0]
    assert len(world.ids(path, filter="result gt 2")) == 3


def test_a_counter_shows_its_register_and_its_amounts_apart(world):
    register, amounts = world.ids("Datastreams", filter="properties/flow eq 'shop.water'", orderby="id")
    for hour, reading in enumerate((100, 103, 107)):
        write(world, register, result=reading, phenomenonTime=f"2024-06-01T0{hour}:00:00Z")
    assert [row["result"] for row in world.get(f"Datastreams({register})/Observations").json()["value"]] == [
        100,
        103,
        107,
    ]
    write(world, amounts, status=409, result=1, phenomenonTime="2024-06-01T00:00:00Z")
    world.intake.stop()  # derives what is due
    assert [row["result"] for row in world.get(f"Datastreams({amounts})/Observations").json()["value"]] == [
        3,
        4,
    ]


def test_declared_entities_are_changed_in_the_folder_only(world):
    stream = world.stream("mill.power")
    for path in (
        f"Datastreams({stream})",
        "Things(1)",
        "Sensors(1)",
        "FeaturesOfInterest(1)",
        "Locations(1)",
        "ObservedProperties(1)",
    ):
        for answer in (
            world.client.patch(f"{ROOT}/{path}", json={"name": "x"}),
            world.client.delete(f"{ROOT}/{path}"),
        ):
            assert answer.status_code == 403
            assert answer.json()["type"] == "sta.declared"
    place = {"name": "x", "description": "x", "encodingType": "text/plain", "location": "here"}
    assert world.client.post(f"{ROOT}/Things(1)/Locations", json=place).status_code == 403
    answer = world.client.post(f"{ROOT}/Things(1)/Locations", json=place, headers={"accept-language": "vi"})
    assert "khai báo" in answer.json()["message"]


def test_ids_stay_when_the_declaration_changes(world):
    import mangrove as mg
    from mangrove.serve.sta import SensorThings

    before = {
        row["properties"]["flow"]: row["@iot.id"]
        for row in world.get("Datastreams", filter="properties/semantics ne 'sum' or true").json()["value"]
    }
    path = world.park.territory.path
    text = (path / "flows.csv").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("mill.coal")]
    (path / "flows.csv").write_text(
        "\n".join([*kept, "mill.gas,mill,fuel:natural_gas,m3,1d,steel,,sum,,2 %,G-1,Khí"]) + "\n",
        encoding="utf-8",
    )
    with SensorThings(mg.open(path).territory, world.reader, world.park.store, clock=world.clock) as changed:
        world.sta.store, world.sta.territory = changed.store, changed.territory
        rows = world.get("Datastreams", top="100").json()["value"]
        after = {row["properties"]["flow"]: row["@iot.id"] for row in rows}
        assert {flow: after[flow] for flow in before} == before
        assert after["mill.gas"] not in before.values()
        assert world.client.delete(f"{ROOT}/Datastreams({before['mill.coal']})").status_code == 204


def test_a_full_queue_is_429_and_nothing_is_written(world, monkeypatch):
    def busy(*_):
        raise SourceError("sources.busy", rows=1)

    monkeypatch.setattr(world.intake, "offer", busy)
    stream = world.stream("mill.power")
    answer = write(world, stream, status=429, result=1, phenomenonTime="2024-06-04T00:00:00Z")
    assert answer.headers["retry-after"] == "1"
    assert world.ids(f"Datastreams({stream})/Observations") == []


def test_201_comes_only_after_the_commit(world, monkeypatch):
    held, asked = Future(), threading.Event()
    real = world.intake.offer

    def slow(*args):
        done = real(*args)
        asked.set()
        held.result(10)
        return done

    monkeypatch.setattr(world.intake, "offer", slow)
    stream, answers = world.stream("mill.power"), []
    body = {"result": 1, "phenomenonTime": "2024-06-04T00:00:00Z"}
    sender = threading.Thread(target=lambda: answers.append(write(world, stream, **body)))
    sender.start()
    assert asked.wait(10)
    assert not answers
    held.set_result(None)
    sender.join(10)
    assert answers[0].status_code == 201


def test_the_same_key_sent_again_changes_nothing(world):
    stream = world.stream("mill.power")
    for _ in range(2):
        world.client.post(
            f"{ROOT}/Datastreams({stream})/Observations",
            headers={"idempotency-key": "k1"},
            json={"result": 1, "phenomenonTime": "2024-06-04T00:00:00Z"},
        )
    assert stored(world, "select count(*) from version") == [(1,)]


def test_a_stranger_is_401_and_the_entities_of_others_do_not_exist(world):
    world.fill("mill.power", [1.0])
    world.fill("shop.power", [2.0])
    mill, shop = world.stream("mill.power"), world.stream("shop.power")
    assert world.as_(None).get(f"{ROOT}/Things").status_code == 401
    assert world.as_(None).get("/ngsi-ld/v1/entities?type=Flow").status_code == 401
    client = world.as_("mill")
    assert {row["name"] for row in client.get(f"{ROOT}/Things").json()["value"]} == {"Nhà máy thép"}
    assert [row["result"] for row in client.get(f"{ROOT}/Observations").json()["value"]] == [1.0]
    hidden = world.get(f"Datastreams({shop})/Observations").json()["value"][0]["@iot.id"]
    for path in (
        f"Datastreams({shop})",
        f"Datastreams({shop})/Observations",
        f"Observations('{hidden}')",
        "Things(3)",
        "FeaturesOfInterest(3)",
    ):
        assert client.get(f"{ROOT}/{path}").status_code == 404
    assert client.post(f"{ROOT}/Datastreams({shop})/Observations", json={"result": 1}).status_code == 404
    assert (
        client.post(f"{ROOT}/Observations", json={"result": 1, "Datastream": {"@iot.id": shop}}).status_code
        == 400
    )
    assert (
        client.get(f"{ROOT}/Things", params={"$filter": "Datastreams/Observations/result gt 0"}).json()[
            "value"
        ][0]["@iot.id"]
        == 2
    )
    assert (
        client.get(f"{ROOT}/Sensors", params={"$filter": "Datastreams/Observations/result eq 2"}).json()[
            "value"
        ]
        == []
    )
    assert client.post(f"{ROOT}/Things", json={"name": "x", "description": "x"}).status_code == 403
    write(world, mill, who="mill", result=5, phenomenonTime="2024-06-04T00:00:00Z")
    for name in (
        "Things",
        "Datastreams",
        "Observations",
        "Locations",
        "FeaturesOfInterest",
        "Sensors",
        "HistoricalLocations",
    ):
        assert world.as_("city").get(f"{ROOT}/{name}").json()["value"] == []


def test_a_device_writes_its_own_flows_and_reads_nothing(world):
    shop, mill = world.stream("shop.power"), world.stream("mill.power")
    answer = write(world, shop, who="meter", result=1, phenomenonTime="2024-06-04T00:00:00Z")
    assert answer.headers["location"]
    write(world, mill, who="meter", status=404, result=1)
    assert world.as_("meter").get(f"{ROOT}/Datastreams").status_code == 403
    assert (
        world.as_("meter").post(f"{ROOT}/Things", json={"name": "x", "description": "x"}).status_code == 403
    )


def test_entities_of_clients_belong_to_the_place_that_they_name(world):
    body = {"name": "sensor box", "description": "x", "properties": {"place": "mill"}}
    assert world.client.post(f"{ROOT}/Things", json=body).status_code == 201
    assert world.client.post(f"{ROOT}/Things", json={**body, "properties": {}}).status_code == 201
    assert len(world.as_("mill").get(f"{ROOT}/Things").json()["value"]) == 2
    assert len(world.as_("shop").get(f"{ROOT}/Things").json()["value"]) == 1


def test_a_month_ends_where_the_calendar_says(world):
    world.fill("shop.diesel", [10.0], start=datetime(2024, 1, 31, 17, tzinfo=UTC))
    stream = world.stream("shop.diesel")
    one = world.get(f"Datastreams({stream})/Observations").json()["value"][0]
    assert one["phenomenonTime"] == "2024-01-31T17:00:00Z/2024-02-29T17:00:00Z"
    inside = f"Datastreams({stream})/Observations"
    assert len(world.ids(inside, filter="phenomenonTime le 2024-02-29T17:00:00Z")) == 1
    assert len(world.ids(inside, filter="phenomenonTime le 2024-02-29T16:59:59Z")) == 0


def test_the_newest_page_is_right_however_the_values_lie(world):
    """Pages near the end of time are looked for in a window first; sparse and dense stretches must not change them."""
    dense = [float(i) for i in range(400)]
    world.fill("mill.power", dense, start=datetime(2023, 1, 1, tzinfo=UTC))
    world.fill("mill.power", [1000.0, 1001.0], start=datetime(2024, 5, 1, tzinfo=UTC))
    world.fill("shop.power", dense, start=datetime(2024, 5, 1, tzinfo=UTC))
    stream = world.stream("mill.power")
    for order, expected in (
        ("phenomenonTime desc", [1001.0, 1000.0, 399.0]),
        ("phenomenonTime asc", [0.0, 1.0, 2.0]),
    ):
        page = world.get(f"Datastreams({stream})/Observations", orderby=order, top="3").json()["value"]
        assert [row["result"] for row in page] == expected
    rows = world.get(
        "Datastreams", expand="Observations($top=2;$orderby=phenomenonTime desc;$select=result)", orderby="id"
    ).json()["value"]
    last = {row["properties"]["flow"]: [one["result"] for one in row["Observations"]] for row in rows}
    assert last["mill.power"] == [1001.0, 1000.0]
    assert last["shop.power"] == [399.0, 398.0]


def test_changes_and_deletions_are_told_to_the_audit_log_before_they_happen(world):
    told = []
    world.sta.audit = lambda action, principal, detail: told.append((action, principal.id, detail["entity"]))
    one = write(world, world.stream("mill.power"), result=1, phenomenonTime="2024-06-04T00:00:00Z").json()[
        "@iot.id"
    ]
    world.client.patch(f"{ROOT}/Observations('{one}')", json={"result": 2})
    thing = world.client.post(f"{ROOT}/Things", json={"name": "x", "description": "x"}).json()["@iot.id"]
    world.client.delete(f"{ROOT}/Things({thing})")
    assert told == [
        ("reading.corrected", "boss", f"Observations({one})"),
        ("sta.deleted", "boss", f"Things({thing})"),
    ]

    def refuse(*_):
        raise RuntimeError

    world.sta.audit = refuse
    with pytest.raises(RuntimeError):
        world.client.delete(f"{ROOT}/Observations('{one}')")
    assert world.client.get(f"{ROOT}/Observations('{one}')").json()["result"] == 2.0


def test_a_batch_is_no_way_around_the_roles(world):
    import json

    one = write(
        world, world.stream("mill.power"), who="mill", result=1, phenomenonTime="2024-06-04T00:00:00Z"
    ).json()["@iot.id"]
    url = f"Observations('{one}')"
    assert world.as_("mill").patch(f"{ROOT}/{url}", json={"result": 2}).status_code == 403
    inner = [
        {"id": "1", "method": "patch", "url": url, "body": {"result": 2}}, {"id": "2", "method": "delete", "url": url},
        {"id": "3", "method": "post", "url": "Things", "body": {"name": "x", "description": "x"}},
    ]  # fmt: skip
    answer = world.as_("mill").post(f"{ROOT}/$batch", content=json.dumps({"requests": inner}))
    assert [part["status"] for part in answer.json()["responses"]] == [403, 403, 403]
    asked = {"requests": [{"id": "1", "method": "get", "url": "ObservedProperties"}]}
    answer = world.as_("meter").post(f"{ROOT}/$batch", content=json.dumps(asked))
    assert [part["status"] for part in answer.json()["responses"]] == [403]
    assert world.get(url).json()["result"] == 1.0


def test_readers_and_writers_at_once_get_answers(world):
    world.fill("mill.power", [float(i) for i in range(50)])
    mill, wrong = world.stream("mill.power"), []

    def work(number):
        client = world.as_("boss")
        for turn in range(6):
            day = f"2024-05-{number + 1:02}T{turn:02}:00:00Z"
            answers = [
                client.post(
                    f"{ROOT}/Datastreams({mill})/Observations", json={"result": turn, "phenomenonTime": day}
                ),
                client.post(f"{ROOT}/Things", json={"name": "t", "description": "d"}),
                client.get(f"{ROOT}/Datastreams", params={"$expand": "Observations($top=1),Thing"}),
                client.get(f"{ROOT}/Things", params={"$filter": "Datastreams/Observations/result gt 10"}),
            ]
            wrong.extend(answer.text for answer in answers if answer.status_code >= 400)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
    assert world.get(f"Datastreams({mill})/Observations", count="true", top="0").json()["@iot.count"] == 86


def test_who_looks_without_signing_in_changes_nothing(world):
    stream = world.stream("mill.power")
    assert world.as_("guest").get(f"{ROOT}/Datastreams({stream})").status_code == 200
    write(world, stream, who="guest", status=403, result=1)
    assert (
        world.as_("guest").post(f"{ROOT}/Things", json={"name": "x", "description": "x"}).status_code == 403
    )
