# SPDX-License-Identifier: Apache-2.0
"""Where flows lie: assets, outlines, what is larger, what is nowhere; and drawings that are none."""

import json
import shutil

import pytest
from tests.measure.drawn_city import drawn_city

import mangrove as mg
from mangrove.errors import DeclarationError
from mangrove.measure.places_on_map import drawn_kind, in_zones, layout, outline, zones
from mangrove.territory.model import Place


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return drawn_city(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def folder(city, tmp_path):
    """A copy of the city that a test may declare anew."""
    return shutil.copytree(city.territory.path, tmp_path / "city")


def where(folder):
    """For every flow the names of the shapes that it lies in, with their shares; and the codes of what was said."""
    plan = mg.measure(mg.open(folder), "2023", by=("gas",), store=False).plan
    made = layout(plan, list(plan.flows))
    found = {
        flow: {made.names[p]: round(share, 9) for p, share in shares} for flow, shares in made.shares.items()
    }
    return found, [problem.code for problem in made.problems]


def test_each_flow_lies_where_it_is_known_to_be(folder):
    found, said = where(folder)
    assert found == {
        "mill.power": {"mill": 1},
        "shop.coal": {"middle": 1},
        "road.fuel": {"road": 1},
        "homes.power": {"west": 0.1, "middle": 0.3, "east": 0.6},
    }
    assert said == ["gridding.placed_around"]


def test_an_asset_with_a_position_places_its_flow_and_two_share_it(folder):
    rows = ["id,place,type,lon,lat,parameters"]
    rows += [
        f"{name},shop,boiler,{lon},10.76,flow=shop.coal" for name, lon in (("b1", 106.66), ("b2", 106.67))
    ]
    (folder / "assets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found, said = where(folder)
    assert found["shop.coal"] == {"asset b1": 0.5, "asset b2": 0.5}
    assert said == []


def test_a_ward_that_is_not_drawn_leaves_what_is_spread_over_it_off_the_map_and_says_so(folder):
    drawn = json.loads((folder / "places.geojson").read_text(encoding="utf-8"))
    drawn["features"] = [one for one in drawn["features"] if one["properties"]["id"] != "east"]
    (folder / "places.geojson").write_text(json.dumps(drawn), encoding="utf-8")
    found, said = where(folder)
    assert found["homes.power"] == {}
    assert said == ["gridding.placed_around", "gridding.nowhere"]


def test_shares_in_wards_are_those_of_measure_and_the_kind_of_most_outlines_is_found(city):
    plan = mg.measure(city, "2023", by=("gas",), store=False).plan
    assert in_zones(plan, "ward", ["mill.power", "road.fuel"]) == {
        "mill.power": {"west": 1.0},
        "road.fuel": {},
    }
    assert drawn_kind(plan.territory, plan.question.borders) == "ward"
    assert [place.id for place in zones(plan, "ward")] == ["west", "middle", "east"]


def test_a_place_has_its_drawing_its_point_or_nothing_and_a_drawing_that_is_none_is_refused():
    assert outline(Place("a", "A", "lot")) is None
    assert outline(Place("a", "A", "lot", lon=106.0, lat=10.0)).coords[0] == (106.0, 10.0)
    for broken in (
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Blob", "coordinates": []},
        {},
    ):
        with pytest.raises(DeclarationError, match="lot 1"):
            outline(Place("lot 1", "A", "lot", geometry=broken))
