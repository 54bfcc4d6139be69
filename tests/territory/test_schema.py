"""The format is written once: the reference page and the schema for editors say what the checker does."""

import json
import re
from pathlib import Path

import pytest
import yaml
from world import YAML, good, problems

from mangrove.territory import CARRIER_KINDS, json_schema, schema

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "territory.md").read_text(encoding="utf-8")
ROWS = [
    *[(file, column) for file, columns in schema.TABLES.items() for column in columns],
    *[("territory.yaml", key) for key in schema.SETTINGS],
    *[(outer.name, key) for outer in schema.SETTINGS for key in outer.keys],
]


def section(heading: str) -> str:
    """The text below one heading of the page, up to the next heading."""
    return re.split(r"^#+ ", PAGE.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("heading", "row"), ROWS, ids=lambda value: getattr(value, "name", value))
def test_every_column_and_key_stands_on_the_reference_page(heading, row):
    line = next(line for line in section(heading).splitlines() if line.startswith(f"| `{row.name}` |"))
    _, _, required, meaning, _ = line.split("|")
    assert (required.strip() == "yes") == row.required
    assert meaning.strip().casefold().startswith(row.about.casefold())


def test_the_reference_page_lists_nothing_else():
    listed = {
        (heading, name)
        for heading in {heading for heading, _ in ROWS}
        for name in re.findall(r"^\| `(\w+)` \|", section(heading), re.MULTILINE)
    }
    assert listed == {(heading, row.name) for heading, row in ROWS}


def test_all_carrier_kinds_are_documented():
    assert all(f"`{kind}`" in section("flows.csv") for kind in CARRIER_KINDS)


def test_the_schema_is_json_and_knows_every_key():
    exported = json.loads(json.dumps(json_schema()))
    assert set(exported["properties"]) == {key.name for key in schema.SETTINGS}
    assert exported["required"] == ["name", "kind", "timezone", "currency", "lang"]
    assert exported["additionalProperties"] is False
    assert exported["properties"]["notation"]["items"]["properties"]["key"]["enum"] == ["NO", "NE", "IE", "C"]
    assert all(part["description"] for part in exported["properties"].values())


@pytest.mark.parametrize("example", ["city", "park"])
def test_the_examples_follow_the_schema(example):
    folder = Path(__file__).parents[2] / "examples" / example
    keys = yaml.safe_load((folder / "territory.yaml").read_text(encoding="utf-8"))
    assert set(keys) <= set(json_schema()["properties"])
    assert set(json_schema()["required"]) <= set(keys)


def test_all_settings_are_read_into_values(tmp_path):
    text = (
        YAML
        + """\
boundary: {root: city, on: 2025-07-01}
sectors: {industry: Công nghiệp}
targets:
- {id: half, year: 2030, base_year: 2016, reduction: 50 %, sector: industry, source: Plan 1}
tariffs:
- {id: evn, carrier: electricity, places: [Phường Hòa Bình], valid_from: 2025-01-01, source: Decision 1}
pointers: {map: https://example.org}
"""
    )
    settings = good(tmp_path, {"territory.yaml": text}).settings
    assert str(settings["boundary"]["on"]) == "2025-07-01"
    assert (settings["targets"][0]["reduction"], settings["targets"][0]["year"]) == (0.5, 2030)
    assert settings["tariffs"][0]["carrier"].kind == "electricity"
    assert settings["pointers"] == {"map": "https://example.org"}


def test_a_target_for_an_unknown_sector_is_found(tmp_path):
    text = YAML + "sectors: {industry: x}\ntargets:\n- {id: a, year: 2030, sector: industri, source: x}\n"
    assert problems(tmp_path, {"territory.yaml": text}) == [
        ("territory.yaml:9:31", "territory.unknown_sector")
    ]
