"""The format is written once: the reference page and the schema for editors say what the checker does."""

import json
import re
from pathlib import Path

import pytest
import yaml
from world import YAML, good, problems, write

from mangrove.errors import Where
from mangrove.territory import CARRIER_KINDS, check, json_schema, schema

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


CONTRACTS = """\
tariffs:
- {id: mill, carrier: electricity, source: Contract 7, kind: tou, customer: production, voltage: 22-<110 kV, export: law, export_cap: 30 %}
- {id: shop, carrier: electricity, source: Contract 8, kind: flat, price: 1.9 kVND/kWh, demand: 60 kVND/kW/month, places: [south]}
- {id: big, carrier: electricity, source: Contract 9, kind: dppa, customer: production, voltage: ">=110 kV", share: 40 %, strike: 2100 VND/kWh, hours: 963, holidays_as_sunday: true, holidays: [2026-02-17]}
energy: {carbon_price: 0.135 MVND/t, discount: 10 %}
"""


def test_contracts_are_read_in_one_unit_each(tmp_path):
    settings = good(tmp_path, {"territory.yaml": YAML + CONTRACTS}).settings
    mill, shop, big = settings["tariffs"]
    assert (mill["voltage"], mill["hours"], mill["export"], mill["export_cap"]) == (
        "22-<110 kV", "law", "law", 0.3,
    )  # fmt: skip
    assert (shop["price"], shop["demand"]) == (pytest.approx(1900), pytest.approx(60_000))
    assert (big["hours"], big["share"], big["strike"], big["holidays_as_sunday"]) == ("963", 0.4, 2100, True)
    assert [str(day) for day in big["holidays"]] == ["2026-02-17"]
    assert settings["energy"] == {"carbon_price": pytest.approx(135_000), "discount": 0.1}


@pytest.mark.parametrize(
    ("terms", "at", "code", "said"),
    [
        ("kind: tow", "tow", "territory.not_an_option", "did you mean 'tou'"),
        ("kind: tou, customer: prodution, voltage: <6 kV", "prodution", "rules.unknown_customer", "did you mean 'production'"),
        ("kind: tou, customer: production, voltage: 22-110 kV", "22-110", "rules.unknown_voltage", "did you mean '22-<110 kV'"),
        ("kind: two_component, voltage: 22 kV", "22 kV", "rules.unknown_voltage", "22-<110 kV"),
        ("kind: tou, customer: production", "tou", "rules.contract_needs", "'voltage'"),
        ("kind: flat, price: 1900", "1900", "base.not_a_quantity", "number and a unit"),
        ("kind: flat, price: 1900 VND/kW", "1900", "base.unit_mismatch", "VND/kWh"),
        ("kind: flat, price: -5 VND/kWh", "-5", "territory.negative", "negative"),
        ("kind: flat, price: 5 VND/kWh, share: 4 %", "4 %", "rules.contract_ignores", "'share'"),
        ("kind: tou, customer: production, voltage: <6 kV, export_cap: 130 %", "130", "territory.out_of_range", "100 %"),
        ("kind: dppa, customer: production, voltage: <6 kV, share: 4 %", "dppa", "rules.dppa_price", "strike"),
    ],
)  # fmt: skip
def test_a_wrong_contract_is_found_where_it_stands(tmp_path, terms, at, code, said):
    text = YAML + f"tariffs:\n- {{id: a, carrier: electricity, source: x, {terms}}}\n"
    _, found = check(write(tmp_path, {"territory.yaml": text}))
    assert [problem.code for problem in found] == [code]
    assert found[0].where == Where("territory.yaml", 8, text.splitlines()[7].index(at) + 1)
    assert said in found[0].text("en")
    assert found[0].text("vi") != found[0].text("en")


def test_a_record_without_kind_is_for_the_reader(tmp_path):
    text = YAML + "tariffs:\n- {id: a, carrier: water, source: x, customer: anyone}\n"
    assert good(tmp_path, {"territory.yaml": text}).settings["tariffs"][0]["kind"] is None


def test_editors_may_write_the_name_of_a_calendar_as_a_number():
    hours = json_schema()["properties"]["tariffs"]["items"]["properties"]["hours"]
    assert hours["enum"] == ["law", "legacy", "963", 963, None]
