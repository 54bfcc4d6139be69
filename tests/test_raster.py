# SPDX-License-Identifier: Apache-2.0
"""The command and the function that write gridded emissions: files that hold the measurement, and what they say of themselves."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
import shapely
import xarray as xr
from tests.doors import EXAMPLES, mangrove
from tests.measure.drawn_city import WARDS, drawn_city

import mangrove as mg
from mangrove.errors import DeclarationError, RequestError
from mangrove.gridding import project, weights
from mangrove.measure import places_on_map
from mangrove.raster import raster


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return drawn_city(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def carbon(city):
    """Kilograms of CO2 in 2023."""
    rows = mg.measure(city, "2023", by=("gas",), store=False).to_arrow().to_pylist()
    return next(row["kg"] for row in rows if row["gas"] == "CO2")


def test_the_command_writes_netcdf_that_holds_the_measurement(city, carbon, tmp_path):
    out = tmp_path / "city.nc"
    done = mangrove(
        "raster",
        city.territory.path,
        "--from",
        "2023",
        "--every",
        "1mo",
        "--cell",
        "500m",
        "--out",
        out,
        "--json",
    )
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["kg"]["CO2"] == pytest.approx(carbon, rel=1e-9)
    assert (said["steps"], said["cell_m"], said["epsg"], said["outside_kg"]["CO2"]) == (12, 500, 32648, 0)
    with xr.open_dataset(out, engine="h5netcdf") as data:
        assert float(data.emi_CO2_total.sum()) == pytest.approx(carbon, rel=1e-9)
        assert set(data.data_vars) >= {"CO2_industry", "CO2_residential", "CO2_transport", "cell_area"}
        assert "prior" in data.attrs["comment"]


def test_cells_may_be_degrees(city, carbon, tmp_path):
    made = raster(city, "2023", out=tmp_path / "degrees.nc", cell="0.01deg", every="1y")
    assert made.gases["CO2"] == pytest.approx(carbon, rel=1e-9)
    with xr.open_dataset(made.path, engine="h5netcdf") as data:
        assert data.time.dt.year.values.tolist() == [2023]
        assert float(
            (data.emi_CO2_all_sectors.astype(float) * data.cell_area).sum()
        ) * 8760 * 3600 == pytest.approx(carbon, rel=1e-6)


def test_by_wards_the_file_has_their_outlines(city, carbon, tmp_path):
    out = tmp_path / "wards.parquet"
    done = mangrove(
        "raster", city.territory.path, "--from", "2023", "--by", "wards", "--every", "1y", "--out", out
    )
    assert done.code == 0, done.err
    table = pq.read_table(out)
    assert sum(value or 0 for value in table["CO2_kg"].to_pylist()) == pytest.approx(carbon, rel=1e-9)
    for row in table.to_pylist():
        assert shapely.from_wkb(row["geometry"]).equals(WARDS[row["zone"]])
    assert "3 places" in done.out


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_the_answer_is_said_in_both_languages(city, tmp_path, lang):
    done = mangrove(
        "raster", city.territory.path, "--from", "2023-05-09", "--out", tmp_path / "a.nc", "--lang", lang
    )
    assert done.code == 0
    assert ("tấn" if lang == "vi" else " t in the file") in done.out
    assert "{" not in done.out + done.err
    assert "shop.coal" in done.err


def test_hours_of_a_day_are_steps_of_the_file(city, tmp_path):
    made = raster(city, "2023-05-09", out=tmp_path / "day.nc")
    assert made.steps == 24
    with xr.open_dataset(made.path, engine="h5netcdf") as data:
        assert data.sizes["time"] == 24
        assert str(data.time_bnds.values[0, 0]).startswith("2023-05-08T17:00")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("gridding.unknown_format", {"out": "a.csv"}),
        ("gridding.not_a_length", {"cell": "1kg"}),
        ("gridding.not_a_length", {"cell": "big"}),
        ("gridding.bad_cell", {"cell": "0m"}),
        ("gridding.too_many_cells", {"cell": "1m"}),
        ("gridding.unknown_target", {"by": "wrads"}),
        ("measure.step_does_not_fit", {"every": "1s"}),
        ("measure.step_does_not_fit", {"every": "90min"}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_no_file_is_left(city, tmp_path, code, words):
    question = {"out": "a.nc", **words}
    with pytest.raises(RequestError) as caught:
        raster(city, "2023-05-09", **{**question, "out": tmp_path / question["out"]})
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
def test_the_wards_of_ho_chi_minh_city_hold_its_inventory(data_dir, tmp_path):
    """168 wards with their true outlines: the C40 inventory of 2016 in wards and cells, shared out as measured, cut as GEOS cuts."""
    folder = shutil.copytree(EXAMPLES / "city", tmp_path / "city")
    assert mangrove("ingest", folder, folder / "values", "--no-screen").code == 0
    outlines = data_dir / "territory" / "wards_hcmc_post_merger.geojson"
    assert mangrove("boundaries", folder, outlines).code == 0
    handle = mg.open(folder)
    total = mg.measure(handle, "2016", store=False).total()["co2e_kg"]
    by_ward = raster(handle, "2016", out=tmp_path / "wards.parquet", by="wards", every="1y")
    by_cell = raster(handle, "2016", out=tmp_path / "cells.nc", cell="2km", every="1y")
    for made in (by_ward, by_cell):
        assert made.co2e == pytest.approx(total, rel=1e-9)
        assert made.outside["CO2e"] == pytest.approx(0, abs=1e-6 * total)
    wards = [place for place in handle.territory.places.values() if place.kind == "ward" and place.geometry]
    shapes = project([places_on_map.outline(ward) for ward in wards], 32648)
    grid = by_cell.frame
    shares = weights(shapes, grid).toarray()
    boxes = grid.boxes()
    for number in range(0, len(wards), 20):
        exact = shapely.area(shapely.intersection(shapes[number], boxes)) / shapes[number].area
        assert abs(shares[number] - exact).max() < 1e-9


def test_a_city_without_any_position_is_told_so(city, tmp_path):
    folder = shutil.copytree(city.territory.path, tmp_path / "city")
    (folder / "places.geojson").unlink()
    places = (folder / "places.csv").read_text(encoding="utf-8").replace(",106.62,10.75", ",,")
    (folder / "places.csv").write_text(places, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        raster(mg.open(folder), "2023", out=tmp_path / "a.nc")
    assert caught.value.code == "gridding.nothing_drawn"
    by_ward = raster(mg.open(folder), "2023", out=tmp_path / "b.parquet", by="ward", every="1y")
    assert by_ward.outside["CO2"] > 0
    assert any(problem.code == "gridding.outside" for problem in by_ward.problems)


def test_a_drawing_that_crosses_itself_is_mended_and_said(city, carbon, tmp_path):
    folder = shutil.copytree(city.territory.path, tmp_path / "city")
    drawn = json.loads((folder / "places.geojson").read_text(encoding="utf-8"))
    west = next(one for one in drawn["features"] if one["properties"]["id"] == "west")
    west["geometry"]["coordinates"] = [
        [[106.6, 10.7], [106.65, 10.8], [106.65, 10.7], [106.6, 10.8], [106.6, 10.7]]
    ]
    (folder / "places.geojson").write_text(json.dumps(drawn), encoding="utf-8")
    try:
        made = raster(mg.open(folder), "2023", out=tmp_path / "a.nc", every="1y")
    except DeclarationError:
        pytest.fail("the declaration takes such drawings")
    assert made.gases["CO2"] == pytest.approx(carbon, rel=1e-9)
    assert any(problem.code == "gridding.mended" for problem in made.problems)
