# SPDX-License-Identifier: Apache-2.0
"""GeoPackages are read again with what was put in."""

from datetime import datetime

import numpy as np
import pytest
import shapely
from pyogrio import list_layers
from pyogrio.raw import read
from tests.hydraulics.nets import supply, town

from mangrove.errors import RequestError
from mangrove.hydraulics import geopackage, read_network, simulate_drainage, simulate_supply, storm

START = datetime(2026, 9, 1)  # noqa: DTZ001 - the clock on the wall


def table(path, layer):  # type: ignore[no-untyped-def]
    meta, _, shapes, columns = read(path, layer=layer)
    return meta, shapely.from_wkb(shapes), dict(zip(meta["fields"], columns, strict=True))


def test_a_supply_network_keeps_its_parts_places_and_energy(tmp_path):
    run = simulate_supply(read_network(supply("Net1")))
    path = tmp_path / "net1.gpkg"
    assert geopackage.write(path, run.network, run) == ("nodes", "links")
    geopackage.write(path, run.network, run)
    meta, points, nodes = table(path, "nodes")
    assert meta["crs"] is None or "4326" not in str(meta["crs"]), "no system was given"
    assert shapely.get_coordinates(points) == pytest.approx(run.network.xy)
    assert nodes["pressure_min_m"] == pytest.approx(run.pressure.min(axis=0))
    _, lines, links = table(path, "links")
    assert len(lines) == 13
    assert np.nansum(links["energy_kwh"]) == pytest.approx(run.energy.sum())


def test_a_drainage_network_lies_in_degrees_with_what_floods(tmp_path):
    run = simulate_drainage(
        read_network(town(tmp_path), "EPSG:4326"),
        storm(100.0, 3.0, START),
    )
    path = tmp_path / "town.gpkg"
    assert geopackage.write(path, run.network, run) == ("nodes", "links", "areas")
    assert [name for name, _ in list_layers(path)] == ["nodes", "links", "areas"]
    meta, points, nodes = table(path, "nodes")
    assert "4326" in meta["crs"]
    assert shapely.get_coordinates(points)[0] == pytest.approx([106.70, 10.80])
    assert nodes["flooded_m3"].sum() == pytest.approx(run.flooded.sum())
    _, rings, areas = table(path, "areas")
    assert areas["id"].tolist() == ["S1"]
    assert shapely.area(rings)[0] == pytest.approx(0.02 * 0.01)


def test_a_network_without_coordinates_cannot_be_drawn(tmp_path):
    path = tmp_path / "bare.inp"
    path.write_text("[JUNCTIONS]\nA 1\n", encoding="utf-8")
    with pytest.raises(RequestError):
        geopackage.write(tmp_path / "x.gpkg", read_network(path))
