"""True boundaries: which place a feature draws, and places that come from GeoJSON alone."""

import json
import unicodedata

import pytest
from world import FLOWS, GOOD, PLACES, YAML, good, problems, write

from mangrove.territory import attach_boundaries, check

RING = [[106, 10], [106.1, 10], [106.1, 10.1], [106, 10]]


def collection(*properties, **outer):
    features = [
        {"type": "Feature", "properties": p, "geometry": {"type": "Polygon", "coordinates": [RING]}, **outer}
        for p in properties
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1)


@pytest.mark.parametrize(
    "properties",
    [
        {"id": "north"},
        {"name": "Phường Hoà Bình"},
        {"fullName": "Phường Hòa Bình", "name": "Hòa Bình"},
        {"ten": unicodedata.normalize("NFD", "phường hoà bình")},
        {"code": "n1", "name": "another name"},
    ],
)
def test_a_feature_draws_the_place_with_its_id_code_or_name(tmp_path, properties):
    lines = [
        f"{line},{code}"
        for line, code in zip(PLACES.splitlines(), ("code", "", "n1", "s1", "n1", "", ""), strict=True)
    ]
    files = {
        "places.csv": "\n".join(lines),
        "territory.yaml": YAML + "place_columns: [code]\n",
        "places.geojson": collection(properties),
    }
    city = good(tmp_path, files)
    assert [place.id for place in city.places.values() if place.geometry] == ["north"]


def test_a_feature_with_an_id_of_its_own_needs_no_properties(tmp_path):
    city = good(tmp_path, {"places.geojson": collection(None, id="south")})
    assert city.places["south"].geometry["type"] == "Polygon"


def test_boundaries_are_attached_later_and_what_does_not_match_is_said(tmp_path):
    city = good(tmp_path)
    (tmp_path / "true.geojson").write_text(collection({"name": "Phường Hòa Bình"}, {"name": "Phường Năm"}))
    drawn, found = attach_boundaries(city, tmp_path / "true.geojson")
    assert [(p.code, p.data["name"], p.severity) for p in found] == [
        ("territory.unmatched_feature", "Phường Năm", "warning")
    ]
    assert drawn.places["north"].geometry["coordinates"] == [RING]
    assert drawn.places["north"].population == city.places["north"].population
    assert city.places["north"].geometry is None
    assert drawn.content_hash != city.content_hash


def test_places_may_come_from_geojson_alone(tmp_path):
    places = [
        {"id": "city", "name": "Thành phố", "kind": "city", "parent": None, "area_km2": None},
        {"id": "north", "name": "Bắc", "kind": "ward", "parent": "city", "area_km2": 10.5},
        {"id": "south", "name": "Nam", "kind": "ward", "parent": "city", "area_km2": 3},
    ]
    write(tmp_path, {"places.geojson": collection(*places), "crosswalk.csv": "old,new\n"})
    (tmp_path / "places.csv").unlink()
    city, found = check(tmp_path)
    assert not found
    assert (city.places["north"].area, city.places["south"].area) == (10.5, 3.0)
    assert city.places["south"].geometry["coordinates"] == [RING]


def test_a_mistake_in_a_feature_is_found_at_the_feature(tmp_path):
    text = collection(
        {"id": "north", "name": "Bắc", "kind": "ward", "aera_km2": 10},
        {"id": "south", "name": "Nam", "kind": "ward", "population": -3},
    )
    write(tmp_path, {"places.geojson": text, "crosswalk.csv": "old,new\n"})
    (tmp_path / "places.csv").unlink()
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line == "  {"]
    found = [(str(p.where), p.code) for p in check(tmp_path)[1]]
    assert found == [
        (f"places.geojson:{starts[0]}:3", "territory.unknown_column"),
        (f"places.geojson:{starts[1]}:3", "territory.negative"),
    ]


def test_a_feature_without_geometry_draws_nothing(tmp_path):
    text = json.dumps(
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {"id": "north"}, "geometry": None}],
        }
    )
    assert good(tmp_path, {"places.geojson": text}).places["north"].geometry is None


def test_the_good_world_has_no_problems(tmp_path):
    assert problems(tmp_path, {}) == []
    assert set(GOOD) == {"territory.yaml", "places.csv", "flows.csv", "crosswalk.csv"}
    assert FLOWS
