# SPDX-License-Identifier: Apache-2.0
"""Files for others: NetCDF read back with xarray, GeoParquet with pyarrow and shapely; every kilogram in them, and what readers expect."""

import errno
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
import xarray as xr
from pyproj import CRS, Geod

from mangrove.errors import RequestError
from mangrove.gridding import Field, Grid, geoparquet, netcdf
from mangrove.gridding.layers import Layer, Steps, Zones
from mangrove.gridding.sink import Sink

GRID = Grid(680_000, 1_190_000, 1000, 500, 5, 4, 32648)
HOURS = 72
START = np.datetime64("2023-12-31T17", "h")
EDGES = (0, 24, 31, 72)
STEPS = Steps(EDGES, START + np.array(EDGES) * np.timedelta64(1, "h"))
WARDS = Zones(
    ("w1", "w2", "w3"),
    ("Phường Một", "Phường Hai", "Chưa vẽ"),
    np.array(
        [shapely.box(106.6, 10.7, 106.7, 10.8), shapely.box(106.7, 10.7, 106.8, 10.8), None], dtype=object
    ),
)
CO2E = {"title": "Phát thải thử"}


def field(zones, seed):
    rng = np.random.default_rng(seed)
    profiles, maps = rng.random((2, HOURS)), rng.random((2, zones)) * (rng.random((2, zones)) > 0.3)
    return Field(
        profiles / profiles.sum(axis=1, keepdims=True),
        maps / maps.sum(axis=1, keepdims=True),
        rng.random(2) * 1e6,
    )


def layers(zones):
    return [
        Layer("CO2", "Giao thông", field(zones, 1)),
        Layer("CO2", "giao thông", field(zones, 2)),
        Layer("PM2.5", "", field(zones, 3)),
    ]


@pytest.fixture(scope="module")
def gridded(tmp_path_factory):
    path = netcdf.write(
        tmp_path_factory.mktemp("nc") / "city.nc", layers(GRID.cells), GRID, STEPS, attributes=CO2E
    )
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as data:
        yield data.load()


def seconds(data):
    return (data.time_bnds[:, 1] - data.time_bnds[:, 0]) / np.timedelta64(1, "s")


def test_fluxes_times_areas_and_seconds_are_the_kilograms_of_every_step(gridded):
    for name, layer in zip(
        ("CO2_giao_thong", "CO2_giao_thong_2", "PM2_5_other"), layers(GRID.cells), strict=True
    ):
        kilograms = (gridded[name].astype(float) * gridded.cell_area * seconds(gridded)).values
        for step, (first, last) in enumerate(pairwise(EDGES)):
            assert kilograms[step].ravel() == pytest.approx(layer.field.over(first, last), rel=1e-6)


def test_totals_are_exact_and_sums_hold_all_sectors(gridded):
    carbon = [layer for layer in layers(GRID.cells) if layer.gas == "CO2"]
    wanted = [sum(layer.field.total(first, last) for layer in carbon) for first, last in pairwise(EDGES)]
    assert gridded.emi_CO2_total.values == pytest.approx(wanted, rel=1e-12)
    both = gridded.CO2_giao_thong + gridded.CO2_giao_thong_2
    assert np.allclose(gridded.emi_CO2_all_sectors, both, rtol=1e-5, atol=0)


def test_coordinates_follow_cf_so_that_any_reader_finds_them(gridded):
    """CF 1.10: sections 4.4 (time), 5.6 (grid mappings), 7.1 (bounds), 7.2 (cell measures)."""
    assert gridded.attrs["Conventions"] == "CF-1.10"
    middles = STEPS.times[:-1].astype("datetime64[m]") + np.diff(STEPS.times.astype("datetime64[m]")) / 2
    assert gridded.time.values.tolist() == middles.astype("datetime64[ns]").tolist()
    assert gridded.time_bnds.values[:, 1].tolist() == STEPS.times[1:].astype("datetime64[ns]").tolist()
    one = gridded.CO2_giao_thong
    assert one.dims == ("time", "y", "x")
    assert one.attrs["units"] == "kg m-2 s-1"
    assert (
        one.attrs["standard_name"] == "tendency_of_atmosphere_mass_content_of_carbon_dioxide_due_to_emission"
    )
    assert "standard_name" not in gridded.PM2_5_other.attrs
    assert (one.attrs["substance"], one.attrs["category"]) == ("CO2", "Giao thông")
    assert {"lon", "lat", "crs", "cell_area"} <= set(one.coords)
    assert CRS.from_cf(gridded.crs.attrs).to_epsg() == 32648
    assert (gridded.x.attrs["standard_name"], gridded.lat.attrs["units"]) == (
        "projection_x_coordinate",
        "degrees_north",
    )
    assert gridded.x_bnds.values.tolist()[0] == [680_000, 681_000]


def test_longitudes_and_latitudes_are_those_of_the_cells(gridded):
    corners = np.stack([gridded.lon_bnds, gridded.lat_bnds], axis=-1)
    assert shapely.contains_xy(shapely.polygons(corners), gridded.lon, gridded.lat).all()
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(32648, 4326, always_xy=True).transform(682_500, 1_190_750)
    assert (float(gridded.lon[1, 2]), float(gridded.lat[1, 2])) == pytest.approx((lon, lat), abs=1e-9)


def test_maps_are_kept_one_by_one_so_that_an_hour_is_read_alone(tmp_path):
    import h5py

    path = netcdf.write(tmp_path / "city.nc", layers(GRID.cells), GRID, STEPS)
    with h5py.File(path) as file:
        assert file["CO2_giao_thong"].chunks == (1, GRID.ny, GRID.nx)


def test_a_file_written_in_blocks_is_the_same(tmp_path, gridded, monkeypatch):
    monkeypatch.setattr(netcdf, "_BLOCK", 1)
    path = netcdf.write(tmp_path / "city.nc", layers(GRID.cells), GRID, STEPS, attributes=CO2E)
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as data:
        xr.testing.assert_identical(data.load(), gridded)


def test_a_grid_in_degrees_has_them_as_dimensions_and_the_areas_of_the_ellipsoid(tmp_path):
    """What emiproc's NetcdfRaster asks for: `lat` and `lon` as dimensions, and `substance` and `category` on what it adds up, only."""
    grid = Grid(106.6, 10.7, 0.01, 0.02, 5, 4, 4326)
    path = netcdf.write(tmp_path / "city.nc", layers(grid.cells), grid, STEPS)
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as data:
        one = data.CO2_giao_thong
        assert one.dims == ("time", "lat", "lon")
        assert data.lon.values == pytest.approx(106.605 + 0.01 * np.arange(5))
        kilograms = (one.astype(float) * data.cell_area * seconds(data)).sum()
        assert float(kilograms) == pytest.approx(layers(grid.cells)[0].field.total(), rel=1e-6)
        area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(grid.boxes([0])[0], 1e-4))
        assert float(data.cell_area[0, 0]) == pytest.approx(area, rel=1e-6)
        added = {name for name in data.data_vars if "category" in data[name].attrs}
        assert added == {"CO2_giao_thong", "CO2_giao_thong_2", "PM2_5_other"}


def test_wards_have_ids_names_and_a_point_inside(tmp_path):
    path = netcdf.write(tmp_path / "wards.nc", layers(3), WARDS, STEPS)
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as data:
        assert data.zone_id.values.tolist() == list(WARDS.ids)
        assert data.zone_name.values.tolist() == list(WARDS.names)
        assert np.isnan(data.lon[2])
        assert WARDS.shapes[0].contains(shapely.Point(float(data.lon[0]), float(data.lat[0])))
        one = data.CO2_giao_thong
        assert one.attrs["units"] == "kg s-1"
        assert (one.astype(float) * seconds(data)).values.sum() == pytest.approx(
            layers(3)[0].field.total(), rel=1e-6
        )


def test_geoparquet_has_the_metadata_of_the_specification_and_every_kilogram(tmp_path):
    path = geoparquet.write(tmp_path / "city.parquet", layers(GRID.cells), GRID, STEPS, attributes=CO2E)
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert (geo["version"], column["encoding"], column["geometry_types"]) == ("1.1.0", "WKB", ["Polygon"])
    assert CRS.from_json_dict(column["crs"]).to_epsg() == 32648
    assert column["bbox"] == [680_000, 1_190_000, 685_000, 1_192_000]
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert shapely.area(shapes) == pytest.approx(np.full(len(shapes), 500_000.0))
    rows = table.to_pylist()
    number = [
        int(row["zone"][1 : row["zone"].index("c")]) * GRID.nx + int(row["zone"].partition("c")[2])
        for row in rows
    ]
    assert (shapely.equals(shapes, GRID.boxes(number))).all()
    total = sum(row["CO2_kg"] or 0 for row in rows), sum(row["PM2.5_kg"] or 0 for row in rows)
    made = layers(GRID.cells)
    assert total == pytest.approx(
        (made[0].field.total() + made[1].field.total(), made[2].field.total()), rel=1e-12
    )
    night = [row for row in rows if row["start"].day == 31 and row["sector"] == "Giao thông"]
    assert sum(row["CO2_kg"] for row in night) == pytest.approx(made[0].field.total(0, 24), rel=1e-12)
    assert {(row["start"].isoformat(), row["end"].isoformat()) for row in night} == {
        ("2023-12-31T17:00:00+00:00", "2024-01-01T17:00:00+00:00")
    }


def test_steps_share_row_groups_until_these_are_full(tmp_path, monkeypatch):
    one = geoparquet.write(tmp_path / "one.parquet", layers(3), WARDS, STEPS)
    monkeypatch.setattr(geoparquet, "_GROUP", 1)
    many = geoparquet.write(tmp_path / "many.parquet", layers(3), WARDS, STEPS)
    assert pq.ParquetFile(one).num_row_groups == 1
    assert pq.ParquetFile(many).num_row_groups == len(STEPS) * 3
    assert pq.read_table(one).equals(pq.read_table(many))


def test_geoparquet_of_wards_is_in_degrees_and_an_undrawn_one_has_no_outline(tmp_path):
    table = pq.read_table(geoparquet.write(tmp_path / "wards.parquet", layers(3), WARDS, STEPS))
    column = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]
    assert "crs" not in column  # the default of the specification: longitude and latitude, OGC:CRS84
    assert column["bbox"] == pytest.approx([106.6, 10.7, 106.8, 10.8])
    by_name = {row["name"]: row["geometry"] for row in table.to_pylist()}
    assert by_name.pop("Chưa vẽ", None) is None
    assert all(by_name.values())


@pytest.mark.parametrize("write", [netcdf.write, geoparquet.write])
def test_what_does_not_fit_is_refused_and_leaves_no_file(tmp_path, write):
    for code, made in (("gridding.nothing_measured", []), ("gridding.wrong_zones", layers(7))):
        with pytest.raises(RequestError) as caught:
            write(tmp_path / "x", made, GRID, STEPS)
        assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "city.nc"
    path.write_text("the old one")
    monkeypatch.setattr(netcdf, "maps", lambda *_: iter(["no", "maps", "here"]))
    with pytest.raises(ValueError):
        netcdf.write(path, layers(GRID.cells), GRID, STEPS)
    assert [file.name for file in tmp_path.iterdir()] == ["city.nc"]
    assert path.read_text() == "the old one"


ON_A_FULL_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_files import GRID, HOURS, START, Layer, Steps, field, geoparquet, netcdf, np
from mangrove.errors import RequestError
from mangrove.gridding import Grid

grid = Grid(680_000, 1_190_000, 1000, 1000, 20, 20, 32648)
steps = Steps(tuple(range(HOURS + 1)), START + np.arange(HOURS + 1) * np.timedelta64(1, "h"))
folder = Path(sys.argv[2])
netcdf._BLOCK = 20 * 20 * 4 * 10
for limit in (0, 3000, 9000, 40_000, 60_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for module, name in ((netcdf, "a.nc"), (geoparquet, "a.parquet")):
        try:
            module.write(folder / name, [Layer("CO2", "x", field(grid.cells, 1))], grid, steps)
        except RequestError as error:
            assert error.code == "gridding.not_written", error.code
            assert name in error.problem.text(), error.problem.text()
            assert "File too large" in error.problem.text(), error.problem.text()
        else:
            raise SystemExit(f"{name} was written in {limit} bytes")
"""


def test_a_full_disk_is_named_leaves_no_half_file_and_the_process_ends_in_peace(tmp_path):
    """HDF5 that could not flush tries again when the process ends, and crashes it: exit code -11."""
    words = [sys.executable, "-c", ON_A_FULL_DISK, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_an_error_with_its_name(tmp_path):
    (tmp_path / "x").write_text("a file")
    with pytest.raises(RequestError) as caught:
        netcdf.write(tmp_path / "x" / "a.nc", layers(GRID.cells), GRID, STEPS)
    assert caught.value.code == "gridding.not_written"
    assert str(tmp_path / "x" / "a.nc") in caught.value.problem.text("vi")


def test_what_a_disk_refuses_is_kept_and_read_back(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"")
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda f, d, at: real(f, d[: max(0, 5 - at)], at) if at < 5 else full())
    with path.open("r+b", buffering=0) as raw:
        sink = Sink(raw)
        assert sink.write(b"0123456789") == 10
        sink.seek(8)
        assert sink.write(b"AB") == 2
        sink.seek(20)
        sink.write(b"end")
        sink.seek(3)
        assert sink.read() == b"34567AB".ljust(9, b"\0").ljust(17, b"\0") + b"end"
        with pytest.raises(OSError, match="No space"):
            sink.check()


def full() -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("edges", [(0,), (0, 0), (5, 3)])
def test_steps_that_do_not_ascend_are_refused(edges):
    with pytest.raises(RequestError) as caught:
        Steps(edges, START + np.array(edges) * np.timedelta64(1, "h"))
    assert caught.value.code == "gridding.bad_steps"
