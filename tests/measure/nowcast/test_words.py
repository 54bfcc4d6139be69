# SPDX-License-Identifier: Apache-2.0
"""What the command prints: the total, the change, ages, what is missing; JSON that other programs read; a measurement that replays."""

import json

import pytest
from tests.doors import mangrove
from tests.measure.nowcast.twins import DRIVERS, asked, city, inventory, live, present, put

from mangrove import api
from mangrove.measure.nowcast import words
from mangrove.measure.plan import NOWCAST

WINDOW = ("--at", "2026-05-01", "--from", "2026-04-01")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A city with an inventory and live series; the command stores its nowcast."""
    return present(tmp_path_factory.mktemp("words") / "c")


def test_the_command_says_the_total_the_change_the_ages_and_what_would_narrow_it(folder):
    done = mangrove("nowcast", folder, *WINDOW, "--by", "sector", "--top", "2")
    assert done.code == 0, done.err
    assert "t CO2e from 2026-04-01 00:00 to 2026-05-01 00:00 (AR5); 95 % interval" in done.out
    assert "against the same time a year earlier: +" in done.out
    assert "index feeder, traffic" in done.out or "index feeder: newest value ended 0 h ago" in done.out
    assert "what would narrow it most:" in done.out
    table = done.out.split("\n\n")[-1].splitlines()
    assert [line.split()[0] for line in table[2:]] == ["residential", "transport"]
    assert "estimate/nowcast" in done.err
    again = mangrove("measure", folder, "--from", "2026-04", "--by", "sector", "--run", NOWCAST, "--no-store")
    assert (
        table[2].split()[:2]
        == next(line for line in again.out.splitlines() if "residential" in line).split()[:2]
    )


def test_json_holds_everything_and_no_number_that_json_does_not_know(folder):
    done = mangrove(
        "nowcast", folder, *WINDOW, "--json", "--dry-run", "--every", "1d", "--by", "sector", "--top", "1"
    )
    found = json.loads(done.out, parse_constant=pytest.fail)
    assert len(found["rows"]) == 30
    assert {row["sector"] for row in found["rows"]} == {"residential"}
    assert found["low95"] < found["co2e_kg"] < found["high95"]
    assert found["change"]["low95"] < found["change"]["mean"]
    assert {"name", "kind", "target", "until", "age_h", "late_h"} == set(found["facts"][0])
    assert found["record"] == ""


def test_without_an_inventory_the_command_says_what_is_needed(tmp_path):
    park = city(tmp_path / "c")
    with park.writer():
        pass
    done = mangrove("nowcast", park.territory.path, *WINDOW)
    assert done.code == 4
    assert "needs at least one yearly or monthly total" in done.err
    assert "kiểm kê" in mangrove("nowcast", park.territory.path, *WINDOW, "--lang", "vi").err


def test_a_measurement_of_the_nowcast_replays_and_explains(folder):
    mangrove("nowcast", folder, *WINDOW)
    park = api.open(folder)
    made = api.measure(park, "2026-04", by=("sector",), run=NOWCAST)
    again = api.replay(park, made.record)
    assert again.to_arrow().num_rows == made.to_arrow().num_rows
    assert "estimate/nowcast" in str(made.explain(0)) or made.explain(0) is not None


def test_the_largest_groups_keep_all_their_buckets(folder):
    with api.open(folder).reader() as ledger:
        made = asked(ledger, api.open(folder), "2026-05-01", "2026-04-28")
    table = made.table(("ward", "sector"), "1d")
    top = words.largest(table, ("ward", "sector"), 3)
    assert top.num_rows == 3 * 3
    sums = {}
    for row in table.to_pylist():
        key = (row["ward"], row["sector"])
        sums[key] = sums.get(key, 0.0) + row["co2e_kg"]
    wanted = sorted(sums, key=lambda key: -sums[key])[:3]
    assert [(row["ward"], row["sector"]) for row in top.to_pylist()[::3]] == wanted


def test_a_driver_of_one_ward_moves_the_flow_by_the_share_of_the_ward(tmp_path):
    means = {}
    for name, place in (("all", ""), ("part", "dong")):
        rows = DRIVERS.splitlines()
        text = "\n".join([rows[0] + ",place", rows[1] + ",", rows[2] + f",{place}"]) + "\n"
        park = city(tmp_path / name, drivers=text)
        with park.writer() as ledger:
            put(ledger, inventory(), "i")
            put(ledger, live(500), "live")
            made = asked(ledger, park, "2026-05-01", "2026-03-15")
        means[name] = made.days.mean[made.targets.index("road")].sum()
        assert ("nowcast.driver_of_a_part" in [note.code for note in made.notes]) == bool(place)
    plain = 5e4 * 47 / 365
    assert means["part"] / plain - 1 == pytest.approx(0.5 * (means["all"] / plain - 1), abs=0.02)
