"""Every message of the territory is provoked once, at its line and column."""

import pytest
from test_devices import CASES as DEVICE_CASES
from test_estimated import CASES as ESTIMATED_CASES
from test_symbiosis import CASES as SYMBIOSIS_CASES
from world import CROSSWALK, FLOWS, PLACES, YAML, only, problems, write

from mangrove import messages
from mangrove.errors import RequestError, Where
from mangrove.territory import attach_boundaries, check, load
from mangrove.territory.borders import Borders

GEO = '{"type": "FeatureCollection", "features": [\n%s\n]}'
RING = "[[[106,10],[106.1,10],[106.1,10.1],[106,10]]]"


def feature(properties: str, geometry: str) -> str:
    return f'{{"type": "Feature", "properties": {{{properties}}}, "geometry": {geometry}}}'


def polygon(properties: str, rings: str = RING) -> str:
    return feature(properties, f'{{"type": "Polygon", "coordinates": {rings}}}')


FACTORS = "activity,gas,value,unit,source,valid_from,valid_to\n"
ASSETS = "id,place,type,parameters\n"
# file -> content, then where the one problem must stand and which one it is.
CASES = {
    "unknown key": ({"territory.yaml": YAML + "curency: VND\n"}, "territory.yaml:7:1", "unknown_key"),
    "key twice": ({"territory.yaml": YAML + "name: x\n"}, "territory.yaml:7:1", "duplicate_key"),
    "missing key": (
        {"territory.yaml": YAML.replace("currency: VND\n", "")},
        "territory.yaml:1:1",
        "missing_key",
    ),
    "empty required key": (
        {"territory.yaml": YAML.replace("currency: VND", "currency:")},
        "territory.yaml:4:10",
        "missing_key",
    ),
    "not YAML": ({"territory.yaml": YAML + "a: [1, 2\n"}, "territory.yaml:8:1", "yaml_syntax"),
    "control character": (
        {"territory.yaml": YAML + "note: \x07\n"},
        "territory.yaml:7:7",
        "control_character",
    ),
    "deep": ({"territory.yaml": YAML + "note: " + "[" * 30}, "territory.yaml:7:26", "too_deep"),
    "wrong form": ({"territory.yaml": YAML + "sectors: [a, b]\n"}, "territory.yaml:7:10", "yaml_shape"),
    "alias": (
        {"territory.yaml": YAML + "values: &v []\nplace_columns: *v\n"},
        "territory.yaml:7:9",
        "yaml_alias",
    ),
    "wrong option": (
        {"territory.yaml": YAML.replace("kind: city", "kind: town")},
        "territory.yaml:2:7",
        "not_an_option",
    ),
    "time zone": (
        {"territory.yaml": YAML.replace("Chi_Minh", "Chi_Min")},
        "territory.yaml:3:11",
        "unknown_zone",
    ),
    "year": (
        {"territory.yaml": YAML + "targets:\n- {id: a, year: '30', source: x}\n"},
        "territory.yaml:8:17",
        "not_a_year",
    ),
    "GPC reference": (
        {"territory.yaml": YAML + "notation:\n- {gpc: I.1.x, key: NO}\n"},
        "territory.yaml:8:9",
        "not_a_gpc",
    ),
    "notation twice": (
        {"territory.yaml": YAML + "notation:\n- {gpc: I.1.1, key: NO}\n- {gpc: I.1.1, key: NE}\n"},
        "territory.yaml:9:9",
        "duplicate_id",
    ),
    "unknown root": (
        {"territory.yaml": YAML + "boundary: {root: nowhere}\n"},
        "territory.yaml:7:18",
        "unknown_place",
    ),
    "values file": ({"territory.yaml": YAML + "values: [x.csv]\n"}, "territory.yaml:7:10", "file_missing"),
    "empty file": ({"flows.csv": "\n"}, "flows.csv:1:1", "empty_file"),
    "UTF-16": ({"flows.csv": FLOWS.encode("utf-16")}, "flows.csv:1:1", "encoding"),
    "Windows-1258": (
        {"places.csv": PLACES.encode().replace("Hoà".encode(), "Hoà".encode("cp1258"))},
        "places.csv:3:16",
        "encoding",
    ),
    "control character in a table": (
        {"flows.csv": FLOWS + "x\x1b[31m,north,electricity,kWh\n"},
        "flows.csv:4:2",
        "control_character",
    ),
    "open quote": ({"flows.csv": FLOWS + 'x,north,"electricity\n'}, "flows.csv:4:1", "csv_broken"),
    "column": (
        {"flows.csv": FLOWS.replace("parameters,uncertainty", "parameters,uncertianty")},
        "flows.csv:1:45",
        "unknown_column",
    ),
    "column twice": (
        {"crosswalk.csv": "old,new,new\nold1,north,north\n"},
        "crosswalk.csv:1:9",
        "duplicate_column",
    ),
    "missing column": ({"crosswalk.csv": "old\n"}, "crosswalk.csv:1:1", "missing_column"),
    "short row": ({"flows.csv": FLOWS + "x,north,electricity,kWh\n"}, "flows.csv:4:1", "row_length"),
    "blank": ({"flows.csv": FLOWS.replace("t,1mo", ",1mo")}, "flows.csv:3:30", "blank"),
    "id": ({"assets.csv": ASSETS + "a b,city,pv,\n"}, "assets.csv:2:1", "bad_id"),
    "id twice": ({"assets.csv": ASSETS + "a,city,pv,\na,city,pv,\n"}, "assets.csv:3:1", "duplicate_id"),
    "number": ({"places.csv": PLACES.replace(",10,3000", ',"10,5",3000')}, "places.csv:3:45", "not_a_number"),
    "negative area": ({"places.csv": PLACES.replace(",10,3000", ",-10,3000")}, "places.csv:3:45", "negative"),
    "negative capacity": (
        {"assets.csv": ASSETS + "a,city,pv,capacity=-5 kW\n"},
        "assets.csv:2:11",
        "negative",
    ),
    "longitude": (
        {"places.csv": PLACES.replace("106.60,10.80", "1066,10.80")},
        "places.csv:3:53",
        "out_of_range",
    ),
    "uncertainty": ({"flows.csv": FLOWS.replace(",1 %", ",1")}, "flows.csv:2:38", "percent_missing"),
    "parameter": ({"assets.csv": ASSETS + "a,city,pv,capacity 5 kW\n"}, "assets.csv:2:11", "not_a_parameter"),
    "parameter twice": (
        {"assets.csv": ASSETS + "a,city,pv,p=5 kW; p=6 kW\n"},
        "assets.csv:2:11",
        "duplicate_parameter",
    ),
    "word or quantity": (
        {"flows.csv": FLOWS.replace("'4a'", "4a")},
        "flows.csv:3:38",
        "ambiguous_parameter",
    ),
    "factor unit": (
        {"factors.csv": FACTORS + "a/b,CO2,1,TJ/kg,x,,\n"},
        "factors.csv:2:11",
        "factor_unit",
    ),
    "dates reversed": (
        {"factors.csv": FACTORS + "a/b,CO2,1,kg CO2/TJ,x,2025-01-01,2024-01-01\n"},
        "factors.csv:2:34",
        "dates_reversed",
    ),
    "carrier": (
        {"flows.csv": FLOWS.replace("electricity", "electrcity")},
        "flows.csv:2:13",
        "unknown_carrier",
    ),
    "unit of carrier": ({"flows.csv": FLOWS.replace("kWh", "m3")}, "flows.csv:2:25", "carrier_unit"),
    "summed power": ({"flows.csv": FLOWS.replace("kWh", "kW")}, "flows.csv:2:25", "rate_needs_mean"),
    "mean of an amount": (
        {"flows.csv": "id,place,carrier,unit,semantics\na,north,electricity,kWh,mean\n"},
        "flows.csv:2:21",
        "mean_needs_rate",
    ),
    "to itself": (
        {"flows.csv": "id,place,to_place,carrier,unit\na,north,Phường Hòa Bình,water,m3\n"},
        "flows.csv:2:9",
        "same_place",
    ),
    "dangling place": (
        {"flows.csv": FLOWS.replace("boiler,south", "boiler,soutt")},
        "flows.csv:3:8",
        "unknown_place",
    ),
    "parent": (
        {"places.csv": PLACES.replace("ward,city,2025", "ward,cty,2025", 1)},
        "places.csv:3:28",
        "unknown_place",
    ),
    "two of one name": (
        {
            "places.csv": PLACES.replace("Phường Thuỷ Nguyên", "Phường Hòa Bình"),
            "flows.csv": FLOWS.replace("power,north", "power,phường hòa bình"),
        },
        "flows.csv:2:7",
        "ambiguous_place",
    ),
    "circle": (
        {
            "places.csv": "id,name,kind,parent\na,A,ward,b\nb,B,ward,a\nnorth,N,ward,\nsouth,S,ward,\n",
            "crosswalk.csv": "old,new\n",
        },
        "places.csv:2:10",
        "parent_circle",
    ),
    "outside its parent": (
        {"places.csv": PLACES + "lot,Lô 1,lot,north,2020-01-01,,,,,\n"},
        "places.csv:8:20",
        "outside_parent_dates",
    ),
    "shares": ({"crosswalk.csv": CROSSWALK.replace("0.25", "0.2")}, "crosswalk.csv:4:12", "share_sum"),
    "crosswalk backwards": (
        {"crosswalk.csv": "old,new\nold1,old2\n"},
        "crosswalk.csv:2:6",
        "crosswalk_overlap",
    ),
    "sector": (
        {
            "territory.yaml": YAML + "sectors: {industry: Công nghiệp}\n",
            "flows.csv": FLOWS.replace(",scope", ",sector")
            .replace(",2,,", ",industy,,")
            .replace(",1,b", ",,b"),
        },
        "flows.csv:2:35",
        "unknown_sector",
    ),
    "broken GeoJSON": (
        {"places.geojson": '{"features": [\n{"a" 1}]}'},
        "places.geojson:2:6",
        "geojson_broken",
    ),
    "no collection": ({"places.geojson": "[]"}, "places.geojson:1:1", "geojson_not_a_collection"),
    "open ring": (
        {"places.geojson": GEO % polygon('"id": "north"', "[[[106,10],[106.1,10],[106.1,10.1],[106,11]]]")},
        "places.geojson:2:1",
        "geojson_geometry",
    ),
    "VN-2000": (
        {
            "places.geojson": GEO
            % feature('"id": "north"', '{"type": "Point", "coordinates": [605000, 1190000]}')
        },
        "places.geojson:2:1",
        "geojson_not_wgs84",
    ),
    "feature of nobody": (
        {"places.geojson": GEO % polygon('"name": "Phường Bốn"')},
        "places.geojson:2:1",
        "unmatched_feature",
    ),
    "feature drawn twice": (
        {"places.geojson": GEO % (polygon('"id": "north"') + ",\n" + polygon('"name": "Phường Hòa Bình"'))},
        "places.geojson:3:1",
        "ambiguous_feature",
    ),
    "nearly a file name": ({"flow.csv": "id\n"}, "flow.csv", "strange_file"),
}


@pytest.mark.parametrize(("files", "where", "code"), CASES.values(), ids=CASES)
def test_a_mistake_is_reported_once_at_its_cell(tmp_path, files, where, code):
    problem = only(tmp_path, files)
    assert (str(problem.where), problem.code) == (where, f"territory.{code}")


@pytest.mark.parametrize(("files", "where", "code"), CASES.values(), ids=CASES)
def test_every_sentence_has_all_its_placeholders_in_both_languages(tmp_path, files, where, code):
    problem = only(tmp_path, files)
    for lang in messages.LANGUAGES:
        assert "{" not in problem.text(lang), problem.text(lang)
        assert problem.text(lang) != problem.code


GAUGES = "id,place,carrier,unit,step,semantics\n"


@pytest.mark.parametrize(
    ("carrier", "unit"),
    [
        ("air:co", "kWh"),
        ("air:pm25", "kg"),
        ("air:no2", "deg"),
        ("weather:temperature", "m/s"),
        ("weather:humidity", "deg"),
        ("weather:wind_speed", "m"),
        ("weather:wind_from", "%"),
        ("weather:mixing_height", "m2"),
        ("weather:rain", "kg"),
        ("weather:irradiance", "kWh"),
        ("weather:pressure", "m"),
        ("water_level:tide", "m3"),
    ],
)
def test_a_gauge_in_a_unit_of_another_quantity_is_doubted_at_its_cell(tmp_path, carrier, unit):
    problem = only(tmp_path, {"flows.csv": GAUGES + f"a,north,{carrier},{unit},1h,state\n"})
    assert (problem.code, problem.severity) == ("territory.carrier_unit", "warning")
    assert str(problem.where) == f"flows.csv:2:{len('a,north,') + len(carrier) + 2}"
    assert carrier in problem.text("vi")


@pytest.mark.parametrize(
    ("carrier", "unit", "semantics"),
    [
        ("air:co", "mg/m3", "state"),
        ("air:co", "ppb", "state"),
        ("air:co2", "1", "state"),
        ("air:so2", "mg/Nm3", "state"),
        ("weather:temperature", "K", "state"),
        ("weather:humidity", "1", "state"),
        ("weather:wind_speed", "km/h", "state"),
        ("weather:wind_from", "deg", "state"),
        ("weather:mixing_height", "km", "state"),
        ("weather:rain", "cm", "sum"),
        ("weather:rain", "mm/h", "mean"),
        ("weather:irradiance", "kW/m2", "state"),
        ("weather:irradiance", "kWh/m2", "sum"),
        ("weather:pressure", "kPa", "state"),
        ("weather:clouds", "%", "state"),
        ("water_level:road", "cm", "state"),
    ],
)
def test_a_gauge_in_any_unit_of_its_quantity_is_taken(tmp_path, carrier, unit, semantics):
    good = {"flows.csv": GAUGES + f"a,north,{carrier},{unit},1h,{semantics}\n"}
    assert problems(tmp_path, good) == []


def test_all_problems_are_listed_at_once_in_file_order(tmp_path):
    found = problems(
        tmp_path,
        {
            "territory.yaml": YAML.replace("lang: vi", "lang: fr"),
            "flows.csv": FLOWS.replace("kWh", "kWhh").replace("1mo", "1moon"),
        },
    )
    assert found == [
        ("flows.csv:2:25", "base.unknown_unit"),
        ("flows.csv:3:32", "base.not_a_step"),
        ("territory.yaml:5:7", "territory.not_an_option"),
    ]


def test_a_missing_folder_and_missing_files_are_said(tmp_path):
    assert check(tmp_path / "nowhere")[1][0].code == "territory.no_folder"
    codes = {(str(p.where), p.code) for p in check(tmp_path)[1]}
    assert codes >= {(f, "territory.file_missing") for f in ("territory.yaml", "places.csv", "flows.csv")}


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    write(tmp_path, {})
    (tmp_path / "flows.csv").unlink()
    (tmp_path / "flows.csv").mkdir()
    assert ("flows.csv", "territory.unreadable") in [(str(p.where), p.code) for p in check(tmp_path)[1]]


def test_a_number_that_reads_in_two_ways_is_refused_where_commas_may_be_decimal(tmp_path):
    places = PLACES.replace(",", ";").replace(";10;3000", ";1.234;3.000")
    found = problems(tmp_path, {"places.csv": places})
    assert found == [
        ("places.csv:1", "territory.delimiter_assumed"),
        ("places.csv:3:45", "territory.ambiguous_number"),
        ("places.csv:3:51", "territory.ambiguous_number"),
    ]


def test_a_key_of_factors_or_methods_is_looked_up_when_somebody_can_say(tmp_path):
    flows = "id,place,carrier,unit,factor,method\na,north,fuel:diesel,L,own/diesel,x\nb,north,fuel:diesel,L,nope,m\n"
    factors = FACTORS + "own/diesel,CO2,1,kg CO2/L,x,,\n"
    found = problems(
        tmp_path,
        {"flows.csv": flows, "factors.csv": factors},
        factor_exists=lambda _: False,
        method_exists=lambda name: name == "m",
    )
    assert found == [
        ("flows.csv:2:34", "territory.unknown_method"),
        ("flows.csv:3:23", "territory.unknown_factor"),
        ("flows.csv:3:23", "territory.unlikely_factor"),
    ]


def test_a_fuel_or_an_activity_that_is_nearly_known_is_named(tmp_path):
    flows = "id,place,carrier,unit,factor\na,north,fuel:deisel,t,\nb,north,fuel:rice_husk,t,own/husk\n"
    factors = "activity,gas,value,unit,source\nown/husk,CO2,1,kg CO2/kg,x\ncombustion/road/diesl,CO2,1,kg CO2/TJ,x\n"
    found = problems(
        tmp_path,
        {"flows.csv": flows, "factors.csv": factors},
        fuels=("diesel", "gasoline"),
        activities=("combustion/road/diesel",),
    )
    assert found == [
        ("factors.csv:3:1", "territory.unfamiliar_activity"),
        ("flows.csv:2:9", "territory.unknown_fuel"),
    ]


def test_a_factor_of_another_carrier_is_doubted(tmp_path):
    flows = (
        "id,place,carrier,unit,factor\na,north,fuel:diesel,L,combustion/road/gasoline\n"
        "b,north,electricity,kWh,combustion/manufacturing/anthracite\nc,north,fuel:diesel,L,combustion/road/diesel\n"
        "d,north,electricity,kWh,grid/vn@2023\n"
    )
    found = problems(tmp_path, {"flows.csv": flows})
    assert found == [
        ("flows.csv:2:23", "territory.unlikely_factor"),
        ("flows.csv:3:25", "territory.unlikely_factor"),
    ]


def test_the_exception_carries_every_problem(tmp_path):
    write(tmp_path, {"flows.csv": FLOWS.replace("kWh", "kWhh").replace("1mo", "1moon")})
    with pytest.raises(Exception, match="kWhh") as caught:
        load(tmp_path)
    assert caught.value.code == "territory.rejected"
    assert caught.value.problem.text("vi") == "bản khai có 2 lỗi; chưa nạp gì cả"
    assert [problem.where.line for problem in caught.value.problems] == [2, 3]


def test_a_hint_is_said_in_the_language_of_the_reader(tmp_path):
    problem = only(tmp_path, {"flows.csv": FLOWS.replace("power,north", "power,Phường Hoà Bin")})
    assert "did you mean 'Phường Hoà Bình'?" in problem.text("en")
    assert "có phải ý bạn là «Phường Hoà Bình»?" in problem.text("vi")


def test_every_code_of_the_table_is_provoked_by_a_test():
    provoked = {code for _, _, code in CASES.values()} | {
        "rejected", "no_folder", "unreadable", "delimiter_assumed", "ambiguous_number", "unknown_factor",
        "unknown_method", "unlikely_factor", "unknown_fuel", "unfamiliar_activity", "no_weight", "mixed_origin", "no_successor", "no_level",
    }  # fmt: skip
    provoked |= {code for _, _, _, code, _ in DEVICE_CASES} | {
        code for _, _, _, code in (*ESTIMATED_CASES, *SYMBIOSIS_CASES)
    }
    assert {code.split(".", 1)[1] for code in messages.codes("territory")} == provoked


def test_questions_about_borders_are_refused_with_a_sentence(tmp_path):
    from datetime import date

    from world import good

    borders = Borders(
        good(tmp_path, {"crosswalk.csv": "old,new,share\nold1,north,1\nold2,north,0.75\nold2,south,0.25\n"})
    )
    day, before = date(2025, 7, 1), date(2024, 1, 1)
    cases = [
        ("territory.no_weight", lambda: borders.shares("city", "ward", before)),
        ("territory.no_successor", lambda: borders.shares("old3", "ward", day)),
        ("territory.no_level", lambda: borders.shares("city", "lot", day)),
        ("territory.not_an_option", lambda: borders.shares("city", "ward", day, by="gdp")),
    ]
    for code, question in cases:
        with pytest.raises(RequestError) as caught:
            question()
        assert caught.value.code == code
        assert "{" not in caught.value.text("vi")


def test_a_drawing_that_is_no_geojson_is_refused(tmp_path):
    from world import good

    city = good(tmp_path)
    (tmp_path / "x.geojson").write_text("{")
    with pytest.raises(Exception, match=r"x\.geojson") as caught:
        attach_boundaries(city, tmp_path / "x.geojson")
    assert caught.value.problems[0].where == Where("x.geojson", 1, 2)
