# SPDX-License-Identifier: Apache-2.0
"""The stored forecast of the grid stands beside the hours of its origin, with its bands, and nowhere else."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from tests.sources.grid_worlds import world

from mangrove.ledger.types import Origin
from mangrove.serve import app as web
from mangrove.serve.clock import Clock
from mangrove.serve.scope import guest
from mangrove.serve.state import Live
from mangrove.testing import values

LAST = date(2023, 6, 14)
QUANTILES = [[0.50, 0.49], [0.52, 0.51], [0.55, 0.54], [0.58, 0.57], [0.61, 0.62]]
GWH = {"hydro": 200, "coal": 400, "gas": 80, "oil": 1, "wind": 20, "solar": 80, "import": 15, "other": 4}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    park = world(tmp_path_factory.mktemp("grid") / "vn", levels=(), load=False)
    first = datetime(2023, 6, 4, 17, tzinfo=UTC)
    rows = [
        (f"vn-{name}", first + timedelta(days=k), float(one)) for name, one in GWH.items() for k in range(10)
    ]
    said = {
        "hindsight": False, "origin": LAST.isoformat(), "model": "grid_mix", "version": "1", "unit": "kg CO2/kWh", "cut": 1,
        "levels": [0.025, 0.1, 0.5, 0.9, 0.975], "quantiles": QUANTILES,
    }  # fmt: skip
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("file:mix", "1"))
        ledger.put_record("grid_forecast", json.dumps(said).encode())
    return Live(park, Clock(datetime(2023, 6, 15, 5, tzinfo=UTC), 0))


def ask(live, path, **params):
    http = TestClient(web.create(live, access=web.Fixed(guest("operator"))))
    return http.get(
        path,
        params={"lang": "en", "period": "2023-06", **params},
        headers={"accept": "text/html"} if "." not in path else {},
    )


def test_the_days_ahead_follow_the_origin_with_their_quantiles(live):
    rows = ask(live, "/inventory.json").json()["grid_ahead"]
    assert [row["day"] for row in rows] == ["2023-06-15", "2023-06-16"]
    for level, column in enumerate(("q2.5", "q10", "q50", "q90", "q97.5")):
        assert [row[column] for row in rows] == QUANTILES[level]


def test_the_page_shows_them_beside_the_official_factor(live):
    text = ask(live, "/inventory").text
    assert "0.550" in text
    assert "0.520 – 0.580" in text
    assert "0.500 – 0.610" in text
    assert "0.6592" in text, "the official factor of 2023"
    assert (
        ask(live, "/inventory.csv", table="grid_ahead").text.splitlines()[0] == "day,q2.5,q10,q50,q90,q97.5"
    )


def test_a_forecast_says_nothing_beside_other_days(live):
    older = Live(live.park, Clock(datetime(2023, 6, 5, 5, tzinfo=UTC), 0))
    assert ask(older, "/inventory.json", period="2023-06-05").json()["grid_ahead"] is None
