"""From a folder to a territory: what loads, what counts as the same, and that nothing crashes."""

import csv
import io
import unicodedata
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import FLOWS, GOOD, PLACES, YAML, good, write

from mangrove.errors import DeclarationError, Problem
from mangrove.territory import Territory, check, load
from mangrove.territory.model import CARRIER_KINDS


def test_the_declared_values_stand_in_the_nouns(tmp_path):
    city = good(
        tmp_path,
        {
            "assets.csv": "id,place,type,parameters,lon,lat\nb,north,battery,power=200 kW; chemistry=LFP,106.6,10.8\n",
            "links.csv": "id,place,to_place,carrier,capacity,distance\nl,north,south,heat@120degC,5 MW,1.2 km\n",
            "factors.csv": "activity,gas,value,unit,source,uncertainty\na/b,CO2,90,kg CO2/TJ,Letter 1,5 %\n",
            "territory.yaml": YAML
            + "notation:\n- {gpc: I.7.1, key: NO, reason: no coal}\nplace_columns: []\n",
        },
    )
    boiler = city.flows["boiler"]
    assert (boiler.place, str(boiler.carrier), boiler.unit.text, str(boiler.step)) == (
        "south",
        "fuel:anthracite",
        "t",
        "1mo",
    )
    assert (boiler.scope, boiler.uncertainty, boiler.parameters["grade"]) == (1, 0.05, "4a")
    assert str(boiler.where) == "flows.csv:3"
    assert city.assets["b"].parameters["power"].to("MW") == pytest.approx(0.2)
    assert city.assets["b"].lon == 106.6
    assert city.links["l"].parameters["distance"].to("m") == pytest.approx(1200)
    assert city.links["l"].carrier.level == "120degC"
    assert (city.factors[0].value, city.factors[0].uncertainty) == (90.0, 0.05)
    assert (city.notation[0].key, city.notation[0].gpc) == ("NO", "I.7.1")
    assert city.places["north"].population == 3000
    assert sum(line.share for line in city.crosswalk if line.old == "old2") == 1


def test_a_child_takes_over_the_dates_that_it_does_not_state(tmp_path):
    city = good(tmp_path, {"places.csv": PLACES + "lot,Lô 1,lot,north,,,,,,\n"})
    assert city.places["lot"].valid_from == date(2025, 7, 1)
    assert not city.places["lot"].valid_on(date(2024, 1, 1))


def test_a_place_is_found_by_its_name_in_any_unicode_form_and_tone_placement(tmp_path):
    for name in ("Phường Hòa Bình", "phường hoà bình", unicodedata.normalize("NFD", "Phường Hoà Bình")):
        city = good(tmp_path, {"flows.csv": FLOWS.replace("power,north", f"power,{name}")})
        assert city.flows["power"].place == "north"


def test_further_columns_of_places_are_kept_when_they_are_declared(tmp_path):
    lines = [f"{line},{'code' if n == 0 else n}" for n, line in enumerate(PLACES.splitlines())]
    files = {"places.csv": "\n".join(lines), "territory.yaml": YAML + "place_columns: [code]\n"}
    assert good(tmp_path, files).places["north"].props == {"code": "2"}


def test_a_file_of_vietnamese_excel_declares_the_same_city(tmp_path):
    first = good(tmp_path).content_hash
    excel = "\ufeff" + PLACES.replace(",", ";").replace("106.60", "106,60").replace("\n", "\r\n")
    city, found = check(write(tmp_path, {"places.csv": excel}))
    assert [problem.severity for problem in found] == ["note"]
    assert city is not None
    assert city.content_hash == first


def shuffled(text, order):
    """The same table with its columns and rows in another order, everything quoted."""
    header, *rows = csv.reader(io.StringIO(text))
    columns = sorted(range(len(header)), key=lambda index: hash((index, order)))
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow([header[index] for index in columns])
    writer.writerows([[f" {row[index]} " for index in columns] for row in reversed(rows)])
    return buffer.getvalue()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(order=st.integers())
def test_the_content_hash_does_not_depend_on_formatting(tmp_path, order):
    first = good(tmp_path).content_hash
    files = {name: shuffled(text, order) for name, text in GOOD.items() if name.endswith(".csv")}
    reordered = "".join(f"{line}   # remark\n" for line in reversed(YAML.splitlines()))
    assert good(tmp_path, {**files, "territory.yaml": reordered}).content_hash == first


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("flows.csv", "85 %", "86 %"), ("flows.csv", "1mo", "1y"), ("places.csv", "3000", "3001"),
        ("territory.yaml", "AR5", "AR6"), ("crosswalk.csv", "0.75", "0.7500001"), ("places.csv", "106.61", "106.62"),
    ],
)  # fmt: skip
def test_the_content_hash_changes_with_every_declared_value(tmp_path, file, old, new):
    assert good(tmp_path).content_hash != good(tmp_path, {file: GOOD[file].replace(old, new)}).content_hash


def written(city: Territory) -> dict[str, str]:
    """The flows of a territory as a table again."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["id", "place", "carrier", "unit", "step", "scope", "parameters", "uncertainty"])
    for flow in city.flows.values():
        parameters = "; ".join(f"{key}={value}" for key, value in flow.parameters.items())
        share = "" if flow.uncertainty is None else f"{flow.uncertainty * 100:g} %"
        writer.writerow(
            [
                flow.id,
                flow.place,
                flow.carrier,
                flow.unit,
                flow.step or "",
                flow.scope or "",
                parameters,
                share,
            ]
        )
    return {"flows.csv": buffer.getvalue()}


UNITS = st.sampled_from(
    [
        ("electricity", "kWh"),
        ("fuel:diesel", "L"),
        ("heat@90degC", "GJ"),
        ("water", "m3"),
        ("stack", "mg/Nm3"),
    ]
)
ROWS = st.tuples(
    st.from_regex(r"[a-zđ][a-z0-9_.-]{0,8}", fullmatch=True), st.sampled_from(["north", "south", "city"]), UNITS,
    st.sampled_from(["", "15min", "1h", "1d", "1mo", "1y"]), st.sampled_from(["", "1", "2", "3"]), st.integers(0, 400),
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(ROWS, max_size=6, unique_by=lambda row: unicodedata.normalize("NFC", row[0])))
def test_what_was_loaded_and_written_again_is_the_same_territory(tmp_path, rows):
    lines = ["id,place,carrier,unit,step,scope,parameters,uncertainty"]
    lines += [f"{i},{p},{c},{u},{s},{k},size={n} MW; mode=auto,{n / 8} %" for i, p, (c, u), s, k, n in rows]
    city = good(tmp_path, {"flows.csv": "\n".join(lines)})
    assert len(city.flows) == len(rows)
    assert good(tmp_path, written(city)).content_hash == city.content_hash


def never_crashes(folder, files):
    """Whatever the bytes are, the answer is a territory or at least one error, and every problem has its sentence."""
    territory, found = check(write(folder, files))
    assert all(isinstance(problem, Problem) for problem in found)
    assert (territory is None) == any(problem.severity == "error" for problem in found)
    for problem in found:
        assert problem.where is not None
        assert "{" not in problem.text("vi").replace("{}", "") or "{" in str(problem.data)
        assert problem.text("en") != problem.code
    if territory is None:
        with pytest.raises(DeclarationError):
            load(folder)


FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
FILES = [
    "territory.yaml",
    "places.csv",
    "flows.csv",
    "crosswalk.csv",
    "assets.csv",
    "factors.csv",
    "links.csv",
    "places.geojson",
]


@FUZZ
@given(name=st.sampled_from(FILES), content=st.binary(max_size=200))
def test_random_bytes_are_problems(tmp_path, name, content):
    for file in FILES:
        (tmp_path / file).unlink(missing_ok=True)
    never_crashes(tmp_path, {name: content})


@FUZZ
@given(name=st.sampled_from(sorted(GOOD)), data=st.data())
def test_files_with_one_damage_are_problems_or_fine(tmp_path, name, data):
    text = GOOD[name]
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 12))
    put = data.draw(
        st.text(max_size=4)
        | st.sampled_from(
            ['"', "\n", ";", ",,", "{", "[", "&a *a", "- ", "\x00", "\ufeff", "9" * 400, "1e999", "0", "-"]
        )
    )
    never_crashes(tmp_path, {name: (text[:at] + put + text[at + cut :]).encode("utf-8", "surrogatepass")})


@FUZZ
@given(
    geometry=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "coordinates", "features", "properties", "id", "geometry"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_drawing_or_a_problem(tmp_path, geometry):
    import json

    never_crashes(
        tmp_path, {"places.geojson": json.dumps({"type": "FeatureCollection", "features": [geometry]})}
    )


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_a_problem(tmp_path, opening):
    never_crashes(tmp_path, {"territory.yaml": opening * 3000, "places.geojson": opening * 100_000})


def test_carriers_are_written_as_they_are_read(tmp_path):
    from mangrove.territory import Carrier

    for text in (*CARRIER_KINDS, "fuel:diesel", "heat@120degC", "material:slag@dry"):
        assert str(Carrier.parse(text)) == text
