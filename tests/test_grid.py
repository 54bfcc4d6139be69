"""`mangrove grid`: the table on stdout, what it rests on in words, and the two numbers never under one name."""

import csv
import io
import json
from datetime import date

import pytest
from tests.sources.grid_worlds import declare, mix_file

from mangrove.errors import RequestError
from mangrove.grid import grid_carbon


@pytest.fixture
def country(tmp_path):
    """A country with three days of 2023 and two of 2024 taken in."""
    folder = declare(tmp_path / "vn")
    mix_file(tmp_path / "files")
    mix_file(tmp_path / "files", date(2024, 6, 5), 2, "later.csv")
    grid_carbon(folder, "2023-06-05", files=tmp_path / "files", say=lambda _: None, out=lambda _: None)
    return folder


def asked(folder, *period, **options):
    said, out = [], []
    grid_carbon(folder, *period, say=said.append, out=out.append, **options)
    return "\n".join(out), said


def test_the_hours_of_a_day_are_a_table_in_local_time(country):
    text, said = asked(country, "2023-06-05")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["start"][:16] for row in rows] == [f"2023-06-05T{hour:02d}:00" for hour in range(24)]
    assert {row["official_kg_per_kwh"] for row in rows} == {"0.6592"}
    assert {row["course"] for row in rows} == {"even"}
    assert any("official reporting factor: 0.6592" in line for line in said)
    assert any("not interchangeable" in line for line in said)


def test_gaps_are_counted_and_stay_empty(country):
    text, said = asked(country, "2023-06-07", "2023-06-09")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["physical_kg_per_kwh"] == "" for row in rows] == [False] * 24 + [True] * 24
    assert any(line.startswith("24 of 48 hours are gaps") for line in said)


def test_a_year_without_an_official_factor_says_so_and_an_accepted_one_is_not_called_official(country):
    _, said = asked(country, "2024-06-05")
    assert any(line.startswith("no official reporting factor") for line in said)
    _, said = asked(country, "2024-06-05", allow=("unofficial",))
    (line,) = [line for line in said if "0.6811" in line]
    assert line.startswith("reporting factor accepted by --allow unofficial")


def test_losses_are_added_to_the_physical_number_alone(country):
    plain, _ = asked(country, "2023-06-05", as_json=True)
    lossy, said = asked(country, "2023-06-05", as_json=True, voltage=">=110 kV")
    pairs = list(zip(json.loads(plain), json.loads(lossy), strict=True))
    for name in ("physical_kg_per_kwh", "low", "high"):
        assert all(b[name] == pytest.approx(a[name] * 1.02 * 1.008525) for a, b in pairs)
    assert all(a["official_kg_per_kwh"] == b["official_kg_per_kwh"] for a, b in pairs)
    assert any("57/2025" in line for line in said)


def test_a_voltage_without_a_published_coefficient_is_refused(country):
    with pytest.raises(RequestError) as error:
        asked(country, "2023-06-05", voltage="400 V")
    assert "22-<110 kV" in str(error.value)
