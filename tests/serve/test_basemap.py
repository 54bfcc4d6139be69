# SPDX-License-Identifier: Apache-2.0
"""A basemap holds what its boundary files hold: shapes within half a pixel, common borders, and every island at every zoom."""

import gzip
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pmtiles.reader import MmapSource, Reader, all_tiles
from shapely.geometry import mapping, shape

from mangrove.errors import DeclarationError, RequestError
from mangrove.handle import Handle
from mangrove.serve import app as web
from mangrove.serve import basemap
from mangrove.serve.basemap import coverage, gather, outlines, route, tiles
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.territory.model import Place, Territory

ISLANDS = {"Quần đảo Hoàng Sa": (112.3, 16.5), "Quần đảo Trường Sa": (114.36, 10.37)}
"""Two archipelagos, drawn here as two islets of 300 m each; their places are those of public maps, to a tenth of a degree."""


def territory(places):
    return Territory(
        Path("/nowhere"),
        "Thành phố Thử",
        "city",
        "Asia/Ho_Chi_Minh",
        "VND",
        "vi",
        "AR5",
        {p.id: p for p in places},
        {},
    )


def wards(columns=4, rows=3, size=0.03, seed=5):
    """Wards side by side with ragged borders that neighbors share, near 106.6 E 10.8 N."""
    random = np.random.default_rng(seed)
    ragged = {}

    def edge(a, b):
        key = tuple(sorted((a, b)))
        if key not in ragged:
            start, end = np.array(key[0], float), np.array(key[1], float)
            t = np.linspace(0, 1, 60)[:, None]
            side = np.array([-(end - start)[1], (end - start)[0]])
            bend = random.normal(0, 0.012, (60, 1)) * np.sin(np.pi * t)
            ragged[key] = start + (end - start) * t + side * bend
        line = ragged[key]
        return line if key[0] == a else line[::-1]

    found = []
    for x in range(columns):
        for y in range(rows):
            corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)]
            ring = np.vstack([edge(a, b)[:-1] for a, b in itertools.pairwise(corners)])
            polygon = shapely.Polygon(ring * size + (106.6, 10.8))
            found.append(Place(f"w{x}{y}", f"Phường {x}.{y}", "ward", geometry=mapping(polygon)))
    return found


def islets(lon, lat, size=0.003):
    return shapely.MultiPolygon([shapely.box(lon + d, lat, lon + d + size, lat + size) for d in (0, 0.2)])


def collection(path, named):
    features = [
        {
            "type": "Feature",
            "properties": {"name": name, "nameEn": f"{name} (en)"},
            "geometry": mapping(geometry),
        }
        for name, geometry in named.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def read(path):
    """Every tile by zoom, column and row, decoded on the grid of its zoom."""
    found = {}
    with path.open("rb") as file:
        for (zoom, x, y), data in all_tiles(MmapSource(file)):
            tile = mapbox_vector_tile.decode(gzip.decompress(data), default_options={"y_coord_down": True})
            found[zoom, x, y] = {
                name: [
                    (
                        feature["properties"],
                        shapely.transform(
                            shape(feature["geometry"]),
                            lambda xy, x=x, y=y: xy + np.multiply((x, y), coverage.EXTENT),
                        ),
                    )
                    for feature in layer["features"]
                ]
                for name, layer in tile.items()
            }
    return found


def gathered(decoded, layer, zoom, key="id"):
    """The union over all tiles of a zoom of each feature of a layer."""
    parts = {}
    for (z, _, _), tile in decoded.items():
        if z == zoom:
            for said, geometry in tile.get(layer, []):
                parts.setdefault(said.get(key, ""), []).append(shapely.make_valid(geometry))
    return {name: shapely.union_all(found) for name, found in parts.items()}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A city of twelve wards with its archive and its tiles."""
    place = territory(wards())
    path = basemap.build(place, [], tmp_path_factory.mktemp("map") / "city.pmtiles")
    return place, path, read(path)


def test_tiles_decode_back_to_the_shapes_within_a_pixel(city):
    place, _, decoded = city
    last = max(zoom for zoom, _, _ in decoded)
    drawn = gathered(decoded, "area", last)
    steps = coverage.EXTENT * 2**last
    assert set(drawn) == set(place.places)
    for id_, one in place.places.items():
        true = shapely.transform(shape(one.geometry), lambda xy: gather.mercator(xy) * steps)
        wrong = shapely.symmetric_difference(true, drawn[id_]).area
        assert wrong < coverage.PIXEL * true.length / 2
        assert drawn[id_].area == pytest.approx(true.area, rel=0.01)


def test_every_place_larger_than_a_pixel_is_on_every_zoom(city):
    place, _, decoded = city
    for zoom in sorted({z for z, _, _ in decoded}):
        steps = 512 * 2**zoom
        large = {
            id_
            for id_, one in place.places.items()
            if shapely.transform(shape(one.geometry), lambda xy, s=steps: gather.mercator(xy) * s).area > 1
        }
        assert large
        assert large <= set(gathered(decoded, "area", zoom))


def test_neighbors_keep_one_border_at_every_zoom(city):
    place, _, _ = city
    found = gather.features(place)
    first, last = tiles.zoom_range(found)
    prepared = coverage.prepare(found, last)
    for zoom in range(first, last + 1):
        areas = {f.id: f.polygon for f in coverage.at_zoom(prepared, zoom).areas}
        whole = shapely.union_all(list(areas.values()))
        # snapping to the grid may pinch a sliver at a corner, never open a gap as wide as a grid step along a border
        assert sum(p.area for p in areas.values()) == pytest.approx(whole.area, abs=len(areas) * 40)
        holes = [ring for part in shapely.get_parts(whole) for ring in part.interiors]
        assert all(shapely.Polygon(ring).area <= 40 for ring in holes)
        left, right = areas["w00"], areas["w10"]
        common = shapely.intersection(left.boundary, right.boundary)
        assert common.length > 0.9 * np.hypot(*(np.ptp(np.vstack([shapely.get_coordinates(common)]), axis=0)))
        corners = {tuple(c) for c in shapely.get_coordinates(common)}
        assert corners <= {tuple(c) for c in shapely.get_coordinates(left)} & {
            tuple(c) for c in shapely.get_coordinates(right)
        } | _ends(common)


def _ends(lines):
    return {tuple(c) for c in shapely.get_coordinates(shapely.line_merge(lines).boundary)}


def test_far_islands_of_the_boundary_file_are_on_every_zoom_and_bear_their_names(tmp_path):
    file = collection(tmp_path / "islands.geojson", {name: islets(*at) for name, at in ISLANDS.items()})
    path = basemap.build(territory(wards()), [file], tmp_path / "m.pmtiles")
    decoded = read(path)
    zooms = sorted({zoom for zoom, _, _ in decoded})
    assert zooms == list(range(zooms[0], zooms[-1] + 1))
    for zoom in zooms:
        drawn = gathered(decoded, "land", zoom, "name")
        labels = gathered(decoded, "label", zoom, "name")
        for name, (lon, lat) in ISLANDS.items():
            for shift in (0.0, 0.2):
                spot = (
                    gather.mercator(np.array([[lon + shift + 0.0015, lat + 0.0015]]))
                    * coverage.EXTENT
                    * 2**zoom
                )
                assert drawn[name].distance(shapely.Point(spot[0])) <= coverage.PIXEL, (zoom, name)
            assert name in labels


def test_islands_that_are_places_are_areas_at_every_zoom(tmp_path):
    islands = [
        Place(f"i{index}", name, "ward", geometry=mapping(islets(*at)))
        for index, (name, at) in enumerate(ISLANDS.items())
    ]
    decoded = read(basemap.build(territory([*wards(), *islands]), [], tmp_path / "m.pmtiles"))
    for zoom in {zoom for zoom, _, _ in decoded}:
        assert {"i0", "i1"} <= set(gathered(decoded, "area", zoom))


def test_properties_name_a_place_in_both_languages_and_leave_out_what_is_not_known(tmp_path):
    places = [Place("a", "Phường Một", "ward"), Place("b", "Phường Hai", "ward", lon=106.71, lat=10.81)]
    file = collection(tmp_path / "b.geojson", {"Phường Một": shapely.box(106.7, 10.8, 106.8, 10.9)})
    decoded = read(basemap.build(territory(places), [file], tmp_path / "m.pmtiles"))
    said = [properties for tile in decoded.values() for properties, _ in tile.get("area", [])]
    assert said[0] == {"id": "a", "kind": "ward", "name": "Phường Một", "name_en": "Phường Một (en)"}
    labels = {p["id"]: p for tile in decoded.values() for p, _ in tile.get("label", [])}
    assert labels["b"] == {"id": "b", "kind": "ward", "name": "Phường Hai", "rank": 1}


def test_outlines_are_lines_around_all_places_of_a_kind(city):
    _, _, decoded = city
    last = max(zoom for zoom, _, _ in decoded)
    drawn = gathered(decoded, "outline", last, "kind")["ward"]
    whole = shapely.union_all(list(gathered(decoded, "area", last).values()))
    assert drawn.hausdorff_distance(whole.boundary) <= 2 * coverage.PIXEL


def test_places_that_truly_overlap_are_all_kept(tmp_path):
    boxes = [shapely.box(106.0, 10.0, 106.1, 10.1), shapely.box(106.05, 10.0, 106.15, 10.1)]
    places = [Place(f"p{i}", f"P{i}", "lot", geometry=mapping(box)) for i, box in enumerate(boxes)]
    decoded = read(basemap.build(territory(places), [], tmp_path / "m.pmtiles", zooms=(10, 12)))
    drawn = gathered(decoded, "area", 12)
    assert drawn["p0"].area == pytest.approx(drawn["p1"].area, rel=0.01)
    assert drawn["p0"].intersection(drawn["p1"]).area == pytest.approx(drawn["p0"].area / 2, rel=0.02)


def test_the_same_input_gives_the_same_bytes(city, tmp_path):
    place, path, _ = city
    assert basemap.build(place, [], tmp_path / "again.pmtiles").read_bytes() == path.read_bytes()


def test_the_archive_says_where_it_lies_and_what_is_in_it(city):
    place, path, decoded = city
    with path.open("rb") as file:
        reader = Reader(MmapSource(file))
        header, metadata = reader.header(), reader.metadata()
    assert (header["min_zoom"], header["max_zoom"]) == (min(decoded)[0], max(decoded)[0])
    assert header["min_lon_e7"] / 1e7 == pytest.approx(106.6, abs=0.001)
    assert header["max_lat_e7"] / 1e7 == pytest.approx(10.89, abs=0.001)
    assert [layer["id"] for layer in metadata["vector_layers"]] == ["area", "land", "outline", "label"]
    assert metadata["name"] == place.name


def test_without_any_outline_there_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(RequestError, match="--boundaries"):
        basemap.build(territory([Place("a", "A", "ward", lon=1.0, lat=2.0)]), [], tmp_path / "m.pmtiles")
    with pytest.raises(RequestError, match="0 to 16"):
        basemap.build(territory(wards()), [], tmp_path / "m.pmtiles", zooms=(12, 3))
    broken = tmp_path / "broken.geojson"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"broken\.geojson"):
        basemap.build(territory(wards()), [broken], tmp_path / "m.pmtiles")
    assert not list(tmp_path.glob("*.pmtiles"))


@pytest.fixture
def live(city, tmp_path):
    """The city with its basemap where a server looks for it."""
    place, path, _ = city
    place = replace(place, path=tmp_path)
    basemap.default_path(place).parent.mkdir()
    basemap.default_path(place).write_bytes(path.read_bytes())
    return Live(Handle(place, tmp_path / ".mangrove"), Clock(datetime(2023, 6, 5, tzinfo=UTC), 0))


def asking(live, principal):
    app = FastAPI()
    app.include_router(basemap.router(live, web.Fixed(principal)))
    return TestClient(app)


def test_the_route_answers_ranges_with_just_those_bytes(live):
    path = basemap.default_path(live.territory)
    with asking(live, guest("operator")) as client:
        part = client.get(route.BASEMAP, headers={"range": "bytes=0-6"})
        assert (part.status_code, part.content) == (206, b"PMTiles")
        assert part.headers["content-range"] == f"bytes 0-6/{path.stat().st_size}"
        assert client.get(route.BASEMAP).content == path.read_bytes()
        assert client.head(route.BASEMAP).headers["content-length"] == str(path.stat().st_size)
        path.unlink()
        assert client.get(route.BASEMAP).status_code == 404


def test_outlines_without_a_basemap_have_the_shapes_and_only_the_names_that_may_be_known(live):
    with asking(live, guest("operator")) as client:
        found = client.get(route.PLACES).json()["features"]
    assert {f["properties"]["id"] for f in found} == set(live.territory.places)
    for feature in found:
        true = shape(live.territory.places[feature["properties"]["id"]].geometry)
        assert shape(feature["geometry"]).symmetric_difference(true).area < 0.02 * true.area
        assert feature["properties"]["name"].startswith("Phường")
    with asking(live, Principal("1", "An", "user", "tenant", "w00")) as client:
        named = {
            f["properties"]["id"]
            for f in client.get(route.PLACES).json()["features"]
            if "name" in f["properties"]
        }
    assert named == {"w00"}


def test_places_with_a_center_only_get_schematic_cells(tmp_path):
    places = [Place(f"p{i}", f"P{i}", "facility", lon=106.7 + i / 100, lat=20.9) for i in range(4)]
    found = outlines.collection(territory(places), [p.id for p in places], lambda _: True)["features"]
    assert [f["properties"]["schematic"] for f in found] == [True] * 4
    for index, feature in enumerate(sorted(found, key=lambda f: f["properties"]["id"])):
        assert shape(feature["geometry"]).contains(shapely.Point(106.7 + index / 100, 20.9))


@pytest.mark.data
def test_the_wards_of_a_real_city_keep_their_areas_and_stay_small(data_dir, tmp_path):
    file = data_dir / "territory" / "wards_hcmc_post_merger.geojson"
    listed = json.loads(file.read_text(encoding="utf-8"))["features"]
    places = [Place(f["properties"]["code"], f["properties"]["fullName"], "ward") for f in listed]
    path = basemap.build(territory(places), [file], tmp_path / "city.pmtiles")
    assert path.stat().st_size < 3_000_000
    decoded = read(path)
    for zoom in {zoom for zoom, _, _ in decoded}:
        assert len(gathered(decoded, "area", zoom)) == 168
    last = max(zoom for zoom, _, _ in decoded)
    drawn, steps = gathered(decoded, "area", last), coverage.EXTENT * 2**last
    for feature in listed:
        true = shapely.transform(shape(feature["geometry"]), lambda xy: gather.mercator(xy) * steps)
        assert drawn[feature["properties"]["code"]].area == pytest.approx(true.area, rel=0.05)


@pytest.mark.data
def test_the_archipelagos_of_the_country_are_on_the_map_of_every_city(data_dir, tmp_path):
    file = data_dir / "territory" / "provinces34_post_merger_simplified.geojson"
    decoded = read(basemap.build(territory(wards()), [file], tmp_path / "m.pmtiles"))
    for zoom in {zoom for zoom, _, _ in decoded}:
        land = shapely.union_all(list(gathered(decoded, "land", zoom, "name").values()))
        steps = coverage.EXTENT * 2**zoom
        for lon, lat, reach in ((112.0, 16.5, 1.0), (114.0, 10.0, 2.5)):
            corners = (
                gather.mercator(np.array([[lon - reach, lat - reach], [lon + reach, lat + reach]])) * steps
            )
            assert land.intersects(shapely.box(*corners.ravel())), (zoom, lon)


@pytest.mark.data
def test_the_outlines_of_a_real_city_are_a_small_download(data_dir):
    file = data_dir / "territory" / "wards_hcmc_post_merger.geojson"
    listed = json.loads(file.read_text(encoding="utf-8"))["features"]
    places = [
        Place(f["properties"]["code"], f["properties"]["fullName"], "ward", geometry=f["geometry"])
        for f in listed
    ]
    found = outlines.collection(territory(places), [p.id for p in places], lambda _: True)
    assert len(found["features"]) == 168
    assert len(gzip.compress(json.dumps(found, ensure_ascii=False).encode(), 5)) < 330_000
