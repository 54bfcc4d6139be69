# SPDX-License-Identifier: Apache-2.0
"""`mangrove match` on the example park: proposals, reasons, refusals, both languages, JSON."""

import json

import pytest
from typer.testing import CliRunner

import mangrove as mg
from mangrove import matches
from mangrove.cli import app
from mangrove.errors import MangroveError

PARK = "examples/park"


@pytest.fixture(scope="module")
def park():
    return mg.open(PARK)


@pytest.fixture(scope="module")
def found(park):
    return matches.match(park)


def pairs(document, key="proposals"):
    return {(row["offer"], row["need"]): row for row in document[key]}


def test_the_park_finds_its_running_exchanges_and_says_that_they_run(found):
    proposed = pairs(found.document())
    running = {row["running"]: pair for pair, row in proposed.items() if row["running"]}
    assert running["slag_bricks"] == ("slag", "brick_aggregate")
    assert running["water_reuse"] == ("treated_water", "cooling_water")
    assert ("cooking_oil", "biodiesel_oil") in proposed
    assert all(row["place"] != row["to_place"] for row in proposed.values())


def test_what_breaks_a_limit_is_refused_with_the_limit(found):
    proposed, refused = found.document(refused=True), pairs(found.document(refused=True), "refused")
    assert ("treated_water", "flushing_water") not in pairs(proposed)
    assert "TSS is 24 mg/L, needed <= 20 mg/L" in refused["treated_water", "flushing_water"]["reasons"]
    assert ("condenser_heat", "canteen_heat") in refused
    assert not set(refused) & set(pairs(proposed))


def test_one_offer_or_one_need_is_matched_alone(park):
    assert {pair[0] for pair in pairs(matches.match(park, offer="slag").document())} == {"slag"}
    assert {pair[1] for pair in pairs(matches.match(park, need="recovered_paper").document())} == {
        "recovered_paper"
    }


def test_services_are_matched_apart(park, found):
    services = pairs(matches.match(park, service=True).document())
    assert ("emulsion_uf", "emulsion_problem") in services
    assert not set(services) & set(pairs(found.document()))
    assert set(pairs(matches.match(park, need="air_leaks").document())) == {
        ("compressed_air_audit", "air_leaks")
    }


def test_a_small_radius_keeps_neighbors_only(park):
    near = matches.match(park, radius="1 km").document()["proposals"]
    assert near
    assert all(row["distance_km"] <= 1 for row in near)


def test_past_exchanges_lift_what_went_there_before(park, tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text("text,ewc,nace_to\nXỉ thép làm gạch,100202,2361\n", encoding="utf-8")
    assert len(matches.match(park, cases=path)) >= len(matches.match(park)) > 0


@pytest.mark.parametrize(
    "options", [{"offer": "slagg"}, {"need": "x"}, {"radius": "5 t"}, {"radius": "0 km"}, {"keep": 0}]
)
def test_a_question_that_makes_no_sense_is_refused_in_both_languages(park, options):
    with pytest.raises(MangroveError) as error:
        matches.match(park, **options)
    assert error.value.text("en") != error.value.text("vi")


def test_a_territory_without_listings_says_so(tmp_path):
    from mangrove import testing

    found = matches.match(mg.open(testing.two_factory_park(tmp_path / "park")))
    assert [one.code for one in found.problems] == ["match.no_listings"]
    assert "no pair" in found.text()


def test_the_command_prints_text_or_json_and_ends_by_saying_who_decides():
    said = CliRunner().invoke(app, ["match", PARK, "--refused", "--lang", "vi"])
    assert said.exit_code == 0
    assert "cả hai ghi EWC 100202" in said.stdout
    assert said.stdout.rstrip().endswith("doanh nghiệp và cơ quan có thẩm quyền.")
    assert "match." not in said.stdout
    document = json.loads(
        CliRunner().invoke(app, ["match", PARK, "--json", "--offer", "slag", "--radius", "50km"]).stdout
    )
    assert document["proposals"][0]["need"] == "brick_aggregate"
    assert 0 < document["proposals"][0]["score"] <= 1


LARGE = {
    "territory.yaml": "name: Park\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: en\ngwp: AR5\n",
    "places.csv": "id,name,kind,parent,lon,lat\npark,Park,park,,106.7,20.9\na,A,facility,park,106.7,20.9\nb,B,facility,park,106.7,22.9\n",
    "flows.csv": "id,place,carrier,unit\n",
    "offers.csv": "id,place,carrier,quantity,quality\nwarm,a,water@reuse,520000 m3/month,chloride=1250.5 mg/L\n",
    "needs.csv": "id,place,carrier,quantity,quality\nwash,b,water@reuse,61234 m3/month,chloride<=2500 mg/L\n",
}  # fmt: skip


def test_large_numbers_are_grouped_as_the_language_does(tmp_path):
    from mangrove import testing

    testing._write(tmp_path, LARGE)
    found = matches.match(mg.open(tmp_path), radius="20000 km")
    english, vietnamese = found.text("en"), found.text("vi")
    assert "offered 520,000, needed 61,200 m3/month" in english
    assert "chào 520.000, cần 61.200 m3/month" in vietnamese
    assert "chloride 1,250.5 mg/L (<= 2,500 mg/L)" in english
    assert "chloride 1.250,5 mg/L (<= 2.500 mg/L)" in vietnamese
    far = matches.match(mg.open(tmp_path), radius="200 km").text("en", refused=True)
    assert "222 km apart, beyond 200 km" in far  # two degrees of latitude, 111.2 km each


def test_between_nothing_found_and_what_is_refused_stands_one_blank_line(tmp_path):
    from mangrove import testing

    testing._write(tmp_path, LARGE)
    for refused in (False, True):
        said = matches.match(mg.open(tmp_path), radius="50 km").text("en", refused=refused)
        assert said.startswith("no pair passes every gate\n\n")
        assert "\n\n\n" not in said
