# SPDX-License-Identifier: Apache-2.0
"""A made-up timetable on the grid of sixteen junctions: route 01 with a shape there and back, route 02 by stops only, and a metro."""

import zipfile
from itertools import pairwise

DAYS = "monday,tuesday,wednesday,thursday,friday,saturday,sunday"
SHAPES = {"OUT": ["j0_0", "j0_1", "j0_2", "j1_2", "j2_2"], "BACK": ["j2_2", "j1_2", "j0_2", "j0_1", "j0_0"]}
STOPS = ["j1_0", "j1_1", "j1_2", "j1_3"]


def write_feed(path, net, *, days="1,1,1,1,1,0,0", first="20261101", last="20261130", shapes=True, away=0.0):
    """Writes the feed: route 01 with eight buses an hour from 7 to 9 and two at 16 each way, route 02 with one at 7 and one at 24:30."""
    place = dict(zip(net.junctions, net.lonlat.tolist(), strict=True))
    rows = {
        "agency": [
            "agency_id,agency_name,agency_url,agency_timezone",
            "A,Bus,http://example.org,Asia/Ho_Chi_Minh",
        ],
        "routes": ["route_id,agency_id,route_short_name,route_type", "R1,A,01,3", "R2,A,02,3", "M1,A,M1,1"],
        "stops": ["stop_id,stop_name,stop_lat,stop_lon"],
        "trips": ["route_id,service_id,trip_id,shape_id"],
        "stop_times": ["trip_id,arrival_time,departure_time,stop_id,stop_sequence"],
        "calendar": [f"service_id,{DAYS},start_date,end_date", f"WEEK,{days},{first},{last}"],
        "shapes": ["shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence"],
        "frequencies": ["trip_id,start_time,end_time,headway_secs"],
    }
    rows["stops"] += [f"{name},{name},{y + away},{x}" for name, (x, y) in place.items()]
    for name, way in SHAPES.items():
        for number, junction in enumerate(way):
            x, y = place[junction]
            rows["shapes"].append(f"{name},{y + away},{x},{number}")
        rows["trips"].append(f"R1,WEEK,{name},{name if shapes else ''}")
        rows["stop_times"] += _calls(name, way, "05:00:00", "05:20:00")
        rows["frequencies"] += [f"{name},07:00:00,09:00:00,450", f"{name},16:00:00,17:00:00,1800"]
    for trip, begin, end in (("T1", "07:10:00", "07:20:00"), ("T2", "24:30:00", "24:40:00")):
        rows["trips"].append(f"R2,WEEK,{trip},")
        rows["stop_times"] += _calls(trip, STOPS, begin, end)
    rows["trips"].append("M1,WEEK,F1,")
    rows["stop_times"] += _calls("F1", STOPS, "06:00:00", "06:10:00")
    with zipfile.ZipFile(path, "w") as packed:
        for table, lines in rows.items():
            packed.writestr(f"{table}.txt", "\n".join([*lines, ""]))
    return path


def edges(junctions):
    """Ids of the edges along junctions."""
    return [f"{a}-{b}" for a, b in pairwise(junctions)]


def _calls(trip, stops, begin, end):
    times = [f"{begin},{begin}", *[","] * (len(stops) - 2), f"{end},{end}"]
    return [f"{trip},{time},{stop},{at}" for at, (stop, time) in enumerate(zip(stops, times, strict=True))]
