# SPDX-License-Identifier: Apache-2.0
"""Footprint files are written here in the layouts of the three models, with xarray, and read; one real file of NAME is read too."""

from __future__ import annotations

import math

import h5netcdf
import numpy as np
import pytest
import xarray as xr

from mangrove.errors import RequestError
from mangrove.inference.footprint_files import read

LAT, LON = np.array([10.2, 10.4, 10.6]), np.array([106.0, 106.5, 107.0, 107.5])
VALUES = np.arange(24, dtype=float).reshape(2, 3, 4) / 10
TIMES = np.array(["2024-03-01T00", "2024-03-01T01"], dtype="datetime64[ns]")


def written(path, data, name, dims, *, units, coordinates):
    array = xr.DataArray(data, dims=dims, coords=coordinates, attrs={"units": units})
    xr.Dataset({name: array}).to_netcdf(path, engine="h5netcdf")
    return path


def name_file(path, *, data=VALUES, units="(mol/mol)/(mol/m2/s)", lat=LAT):
    flipped = np.moveaxis(data, 0, 2)
    coordinates = {"lat": lat, "lon": LON, "time": TIMES}
    return written(path, flipped, "fp", ("lat", "lon", "time"), units=units, coordinates=coordinates)


def stilt_file(path, *, name="foot"):
    coordinates = {"time": TIMES, "lat": LAT, "lon": LON}
    return written(
        path, VALUES, name, ("time", "lat", "lon"), units="ppm (umol-1 m2 s)", coordinates=coordinates
    )


def flexpart_file(path, *, units="s m3 kg-1"):
    dims = ("nageclass", "pointspec", "time", "height", "latitude", "longitude")
    data = np.stack([VALUES[:, ::-1], 99 + VALUES], axis=1)[
        None, None
    ]  # rows from north to south; a second layer
    coordinates = {"time": TIMES, "height": [100.0, 500.0], "latitude": LAT[::-1], "longitude": LON}
    return written(path, data, "spec001_mr", dims, units=units, coordinates=coordinates)


@pytest.mark.parametrize(("write", "model"), [(name_file, "name"), (stilt_file, "stilt")])
def test_name_and_stilt_files_are_rows_of_times_and_columns_from_the_south_west(tmp_path, write, model):
    found = read(write(tmp_path / "f.nc"))
    assert (found.model, found.shape) == (model, (3, 4))
    assert found.matrix.toarray() == pytest.approx(VALUES.reshape(2, 12))
    assert found.times.astype("datetime64[h]").tolist() == TIMES.astype("datetime64[h]").tolist()
    assert found.summed().toarray()[0] == pytest.approx(VALUES.sum(axis=0).ravel())


def test_a_file_from_north_to_south_comes_out_the_same(tmp_path):
    found = read(name_file(tmp_path / "f.nc", data=VALUES[:, ::-1], lat=LAT[::-1]))
    assert found.matrix.toarray() == pytest.approx(VALUES.reshape(2, 12))
    assert found.lat == pytest.approx(LAT)


def test_flexpart_s_residence_times_in_the_lowest_layer_become_moles(tmp_path):
    # 1 mol/(m2 s) of a gas in 100 m: x s m3/kg * M/100 kg/(m3 s) / (M / M_air) = x M_air / 100.
    found = read(flexpart_file(tmp_path / "grid_time_20240301.nc"))
    assert found.matrix.toarray() == pytest.approx(VALUES.reshape(2, 12) * 0.02896546 / 100)


def test_each_model_says_in_its_own_way_when_air_was_sampled_and_flux_emitted(tmp_path):
    whole = "datetime64[h]"
    name = read(name_file(tmp_path / "f.nc"))
    assert (name.observed.astype(whole) == TIMES.astype(whole)).all()
    assert (name.times == name.observed).all()
    stilt = read(stilt_file(tmp_path / "202403010230_106.7_10.8_3_foot.nc"))
    assert (stilt.observed == np.datetime64("2024-03-01T02:30")).all()
    assert (
        read(stilt_file(tmp_path / "2024030102_10.8_106.7_3_foot.nc")).observed
        == np.datetime64("2024-03-01T02")
    ).all()
    assert np.isnat(read(stilt_file(tmp_path / "foot.nc")).observed).all()
    path = flexpart_file(tmp_path / "grid_time.nc")
    assert np.isnat(read(path).observed).all()
    with h5netcdf.File(path, "a") as file:
        file.dimensions["numpoint"] = 1
        file.create_variable("RELSTART", ("numpoint",), data=np.array([10_800]))
        file.create_variable(
            "RELEND", ("numpoint",), data=np.array([3600])
        )  # FLEXPART runs back: either may be first
    flexpart = read(path)
    assert (flexpart.observed == np.datetime64("2024-03-01T01")).all()
    assert (flexpart.lasting, flexpart.emitted) == (2, 1)


def test_a_uniform_flux_gives_the_sum_and_areas_cover_the_sphere(tmp_path):
    found = read(stilt_file(tmp_path / "f.nc"))
    assert (found.matrix @ np.ones(12)).tolist() == pytest.approx(VALUES.sum(axis=(1, 2)).tolist())
    band = 6_371_008.8**2 * math.radians(2.0) * (math.sin(math.radians(10.7)) - math.sin(math.radians(10.1)))
    assert found.areas().sum() == pytest.approx(band)
    assert found.nearest(106.6, 10.39) == 1 * 4 + 1


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda p: stilt_file(p, name="footprint"), "locate.no_footprint"),
        (lambda p: name_file(p, units="K"), "locate.footprint_unit"),
        (lambda p: name_file(p, units=""), "locate.footprint_unit"),
        (lambda p: flexpart_file(p, units="ng m-3"), "locate.footprint_unit"),
        (
            lambda p: flexpart_file(p, units="s"),
            "locate.footprint_unit",
        ),  # of masses or of mixing ratios: the file does not say
        (lambda p: name_file(p, data=-VALUES), "locate.footprint_values"),
        (lambda p: name_file(p, data=np.where(VALUES > 1, np.nan, VALUES)), "locate.footprint_values"),
        (lambda p: name_file(p, lat=np.array([10.0, 10.1, 10.7])), "locate.footprint_uneven"),
    ],
)
def test_a_file_that_is_no_footprint_is_named_with_its_place(tmp_path, make, code):
    with pytest.raises(RequestError) as caught:
        read(make(tmp_path / "wrong.nc"))
    assert caught.value.code == code
    assert str(caught.value).startswith("wrong.nc: ")


def test_a_file_that_is_no_netcdf_and_a_place_outside_are_named(tmp_path):
    (tmp_path / "a.nc").write_text("hello")
    with pytest.raises(RequestError) as caught:
        read(tmp_path / "a.nc")
    assert caught.value.code == "locate.not_netcdf"
    with pytest.raises(RequestError) as outside:
        read(stilt_file(tmp_path / "f.nc")).nearest(100.0, 10.4)
    assert outside.value.code == "locate.outside_footprint"


@pytest.mark.data
def test_a_real_file_of_name_is_read_as_xarray_reads_it(data_dir):
    path = data_dir / "sensing" / "inversion_sample" / "TAC-100magl_UKV_co2_TEST_201407.nc"
    found = read(path)
    with xr.open_dataset(path, engine="h5netcdf") as file:
        expected = (
            file.fp.transpose("time", "lat", "lon")
            .sortby("lat")
            .sortby("lon")
            .values.reshape(len(file.time), -1)
        )
        assert found.matrix.toarray() == pytest.approx(expected)
        assert (found.times == file.time.values).all()


@pytest.mark.data
def test_a_real_file_whose_axes_are_indices_is_refused_by_name(data_dir):
    with pytest.raises(RequestError) as caught:
        read(data_dir / "sensing" / "inversion_sample" / "footprint_test.nc")
    assert caught.value.code == "locate.footprint_axes"
