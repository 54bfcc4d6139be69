# SPDX-License-Identifier: Apache-2.0
"""A small city on disk with streets, wards, trips and two plans, and a map of four streets."""

import json

from tests.traffic.small_net import grid_text, squares

from mangrove.traffic.sumo_net import read_net

TERRITORY = """\
name: Grid
kind: city
timezone: Asia/Ho_Chi_Minh
gwp: AR5
currency: VND
lang: en
boundary: {root: grid}
place_columns: [jobs]
"""
ROADS = """\
net: grid.net.xml
mix: {motorbike: 87 %, car: 10 %, light_truck: 3 %}
trips: trips.csv
spread: 5 %
source: made up
"""
METRO = """\
name: metro
title: A line
edits:
  - id: line_1
    type: transit_line
    from: 2028-01-01
    stations: [106.6845 10.7722, 106.6935 10.7812]
    share: 30 %
    radius: 2 km
    uncertainty: 40 %
    source: forecast of the feasibility study
"""
SWAP = """\
name: swap
edits:
  - {id: fleet, type: electrify, class: motorbike, into: electric_motorbike, share: 30 %, source: plan of the city}
claims:
  - {id: pilot, class: motorbike, vehicles: 30000, avoided: 60000 t, source: en.sggp.org.vn post104897}
"""
MAP = """\
<osm version="0.6">
  <node id="1" version="1" lon="106.700" lat="10.770"/>
  <node id="2" version="1" lon="106.704" lat="10.770"/>
  <node id="3" version="1" lon="106.704" lat="10.774"/>
  <node id="4" version="1" lon="106.700" lat="10.774"/>
  <way id="5" version="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="4"/><nd ref="1"/><tag k="highway" v="primary"/></way>
  <way id="6" version="1"><nd ref="1"/><nd ref="3"/><tag k="highway" v="footway"/></way>
</osm>
"""


def write_city(folder):
    """The city in `folder`, its plans beside it; returns the folder."""
    roads = folder / "roads"
    roads.mkdir(parents=True)
    (folder / "territory.yaml").write_text(TERRITORY)
    (roads / "grid.net.xml").write_text(grid_text())
    net = read_net(roads / "grid.net.xml")
    shapes = squares(net)
    features = [
        {
            "type": "Feature",
            "properties": {
                "id": name,
                "name": name,
                "kind": "ward",
                "population": 20_000,
                "jobs": 9_000,
                "parent": "grid",
            },
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[float(x), float(y)] for x, y in shape.exterior.coords]],
            },
        }
        for name, shape in shapes.items()
    ]
    whole = {"id": "grid", "name": "Grid", "kind": "city"}
    features.append({"type": "Feature", "properties": whole, "geometry": None})
    (folder / "flows.csv").write_text("id,place,carrier,unit\n")
    (folder / "places.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    rows = [f"{a},{b},900" for a in shapes for b in shapes if a != b]
    (roads / "trips.csv").write_text("\n".join(["origin,destination,vehicles", *rows, ""]))
    (roads / "roads.yaml").write_text(ROADS)
    (folder.parent / "metro.yaml").write_text(METRO)
    (folder.parent / "swap.yaml").write_text(SWAP)
    return folder
