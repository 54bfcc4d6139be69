# SPDX-License-Identifier: Apache-2.0
"""A small timetable for tests, as tables of text: two bus lines and a metro in a town on the equator, where 0.01 degrees are 1.112 km."""

import zipfile
from pathlib import Path

KM = 6371.0088 * 3.141592653589793 / 180 * 0.01
"""0.01 degrees of longitude on the equator."""
FEED = {
    "agency": "agency_id,agency_name,agency_url,agency_timezone\nA,Xe buýt Thử Nghiệm,http://example.org,Asia/Ho_Chi_Minh\n",
    "routes": "route_id,agency_id,route_short_name,route_type\nR1,A,01,3\nR2,A,02,700\nM1,A,M1,1\n",
    "stops": "stop_id,stop_name,stop_lat,stop_lon\nS0,Bến 0,0,106.00\nS1,Bến 1,0,106.01\nS2,Bến 2,0,106.02\nS3,Bến 3,0,106.03\n",
    "trips": "route_id,service_id,trip_id,shape_id\nR1,WEEK,T1,\nR1,WEEK,T2,\nR2,DAILY,T3,BEND\nM1,DAILY,F1,\n",
    "stop_times": """\
trip_id,arrival_time,departure_time,stop_id,stop_sequence
T1,07:00:00,07:00:00,S0,1
T1,07:10:00,07:12:00,S1,2
T1,,,S2,5
T1,07:32:00,07:32:00,S3,9
T2,23:50:00,23:50:00,S0,1
T2,24:10:00,24:10:00,S1,2
T3,7:30:00,7:30:00,S0,1
T3,8:30:00,8:30:00,S2,2
F1,05:00:00,05:00:00,S0,1
F1,05:06:00,05:06:00,S3,2
""",
    "calendar": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nWEEK,1,1,1,1,1,0,0,20261101,20261130\nDAILY,1,1,1,1,1,1,1,20261101,20261130\n",
    "calendar_dates": "service_id,date,exception_type\nWEEK,20261120,2\nWEEK,20261121,1\n",
    "shapes": "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\nBEND,0,106.00,1\nBEND,0.01,106.00,2\nBEND,0.01,106.02,3\nBEND,0,106.02,4\n",
    "frequencies": "trip_id,start_time,end_time,headway_secs\nF1,06:00:00,07:00:00,600\n",
}


def feed(folder: Path, name: str = "feed.zip", **changed: str | None) -> Path:
    """Writes the feed with some tables changed (None: left out) as a zip."""
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for table, text in {**FEED, **changed}.items():
            if text is not None:
                packed.writestr(f"{table}.txt", text)
    return path
