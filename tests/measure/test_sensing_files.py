"""Footprints of NAME, STILT and FLEXPART in one made-up city: the same physics, written in each layout, finds the same known truth.

A footprint in proportion to the area of its cells carries every kilogram of the city alike: the reading is `k n E(t)` in closed form (n: moles of
air in a m3), whatever the grid.
"""

from dataclasses import replace
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace

import h5netcdf
import numpy as np
import pytest
import shapely
import xarray as xr
from scipy.sparse import csr_array
from tests.measure.sensing_world import HOURS, START, _store, city, weather

from mangrove.errors import RequestError
from mangrove.gridding import Grid, project, weights
from mangrove.inference.concentration import molar_mass, to_kg
from mangrove.inference.footprint_files import AIR, EARTH
from mangrove.inference.inversion import Beliefs
from mangrove.inference.inversion import invert as solve
from mangrove.inference.plume import Winds
from mangrove.measure import sensing, sensing_prior
from mangrove.measure.sensing_files import replace_by_files
from mangrove.measure.sensing_prior import Sources
from mangrove.measure.sensing_readings import Readings
from mangrove.times import Span

PERIOD = ("2026-03-02", "2026-03-07")
LON, LAT, STEP = 106.62 + 0.05 * np.arange(6), 10.72 + 0.05 * np.arange(6), 0.05
K = 1e-8
"""mol/mol per mol/(m2 s), of each m2 of a cell."""
MOLAR_AIR = 0.02896546
BEGIN = np.datetime64(START.replace(tzinfo=None), "s")
FORMATS = ("name", "stilt", "flexpart", "flexpart_mass")


def areas():
    """(lat, lon) m2 of the cells on the sphere."""
    band = np.sin(np.radians(LAT + STEP / 2)) - np.sin(np.radians(LAT - STEP / 2))
    return np.repeat((EARTH**2 * np.radians(STEP) * band)[:, None], len(LON), axis=1)


def write(path, name, data, units, axes):
    """A NetCDF file of one variable: axes are (values, unit) by the names of its dimensions, in their order."""
    with h5netcdf.File(path, "w") as file:
        for axis, (values, unit) in axes.items():
            file.dimensions[axis] = len(values)
            file.create_variable(axis, (axis,), data=np.asarray(values)).attrs["units"] = unit
        file.create_variable(name, tuple(axes), data=data).attrs["units"] = units


def name_file(path, values, hours):
    """The layout of openghg: (lat, lon, time), the time is that of the observation."""
    data = np.moveaxis(values, 0, 2)
    axes = {
        "lat": (LAT, "degrees_north"),
        "lon": (LON, "degrees_east"),
        "time": (hours, f"hours since {BEGIN}"),
    }
    write(path, "fp", data, "(mol/mol)/(mol/m2/s)", axes)


def stilt_files(folder, values, hours, *, lags=(0,)):
    """One file for each receptor, (time, lat, lon) with the beginnings of the hours of emission."""
    for value, hour in zip(values, hours, strict=True):
        run = BEGIN + np.timedelta64(int(hour), "h")
        stamp = str(run).replace("-", "").replace("T", "").replace(":", "")[:12]
        epoch = [(run - np.timedelta64(lag, "h")).astype(np.int64) for lag in lags]
        axes = {
            "time": (np.array(epoch, dtype=float), "seconds since 1970-01-01 00:00:00Z"),
            "lat": (LAT, "degrees_north"),
            "lon": (LON, "degrees_east"),
        }
        share = np.stack([value / len(lags)] * len(lags))
        write(folder / f"{stamp}_106.7_10.8_3_foot.nc", "foot", share, "ppm (umol-1 m2 s)", axes)


def flexpart_file(folder, values, hours, *, masses=False, lags=(0,), layer=100.0):
    """One backward run: a release for each hour, output times counted back from the end of the run."""
    last = int(max(hours)) + 1
    clock = -3600 * np.arange(1, last + max(lags) + 1)  # each stands for the hour that begins then
    data = np.zeros((1, len(hours), len(clock), 2, len(LAT), len(LON)))
    for release, hour in enumerate(hours):
        for lag in lags:
            data[0, release, last - 1 - int(hour) + lag, 0] = values[release] / len(lags)
    data[:, :, :, 1] = 7.0  # a higher layer, which emissions of the ground are not in
    data[:, :, :, 0] *= layer * AIR if masses else layer / MOLAR_AIR
    end = str(BEGIN + np.timedelta64(last, "h")).replace("T", " ")[:16]
    axes = {
        "nageclass": (np.array([864_000]), "s"),
        "pointspec": (np.arange(len(hours)), "1"),
        "time": (clock, f"seconds since {end}"),
        "height": (np.array([layer, 500.0]), "meters"),
        "latitude": (LAT, "degrees_north"),
        "longitude": (LON, "degrees_east"),
    }
    path = folder / "grid_time_20260306170000.nc"
    write(path, "spec001_mr", data, "s" if masses else "s m3 kg-1", axes)
    begin = 3600 * (np.asarray(hours) - last)
    with h5netcdf.File(path, "a") as file:
        file.dimensions["numpoint"] = len(hours)
        file.create_variable("RELSTART", ("numpoint",), data=begin)
        file.create_variable("RELEND", ("numpoint",), data=begin + 3600)
        file.attrs["ind_source"], file.attrs["ind_receptor"] = np.int32(1), np.int32(1 if masses else 2)


def written(folder, layout, strength, *, lags=(0,)):
    """The files of each station in a layout; strength: (T,) of each hour."""
    hours = np.arange(len(strength))
    values = (K * strength)[:, None, None] * areas()
    found = []
    for station in ("s0",):
        home = folder / layout / station
        home.mkdir(parents=True)
        if layout == "name":
            name_file(home / "TAC_202603.nc", values, hours)
        elif layout == "stilt":
            stilt_files(home, values, hours, lags=lags)
        else:
            flexpart_file(home, values, hours, masses=layout == "flexpart_mass", lags=lags)
        found.append(home)
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A city whose traffic emits 0.7 times its inventory; readings through the footprints, (park, folder, prior, strength)."""
    folder = tmp_path_factory.mktemp("files")
    park = city(folder / "city", stations=1, species=("co2",))
    local = np.arange(HOURS) % 24
    road = 6.0 * (1.0 + 0.8 * np.exp(-((local - 7.5) ** 2) / 4) - 0.7 * (local < 5))
    flows = park.territory.flows.values()
    fuel = {"road": road, "industry": np.full(HOURS, 12.0)}
    speed, direction, mixing = weather()
    series = {f.id: fuel[f.sector] for f in flows if f.sector in fuel}
    series |= {"met.wind_speed": speed, "met.wind_from": direction, "met.mixing_height": mixing}
    _store(park, series, "activity")
    prior = sensing_prior.sources(park, Span.asked(*PERIOD, park.territory.tz), "")
    random = np.random.default_rng(4)
    strength = random.uniform(0.5, 2.0, HOURS)
    emitted = expected(prior, {"road": 0.7})
    readings = {
        f"{station}.co2": (750_000.0 + strength * emitted) * (1 + 0.0002 * random.standard_normal(HOURS))
        for station in ("s0",)
    }
    _store(park, readings, "truth")
    return park, folder, prior, strength


def expected(prior, factors, lag=0):
    """(T,) ug/m3 of CO2 at a strength of 1: k n E."""
    factor = np.array(
        [
            factors.get(prior.sectors[s], 1.0) * (gas == "co2")
            for s, gas in zip(prior.sector, prior.gas, strict=True)
        ]
    )
    hours = np.arange(HOURS) - lag
    hours = np.where(hours < 0, hours + 24, hours)
    return K * AIR * (factor @ prior.hourly[:, hours]) / 3600 * 1e9


def responses(world, files):
    park, _, prior, _ = world
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        span = Span.asked(*PERIOD, park.territory.tz)
        seen = sensing.read(snapshot, park.territory, span, (), prior.epsg, "urban")
    seen, ratios, _, _ = sensing._with_ratios(seen, prior)
    found = np.full((len(seen.flows), HOURS, len(prior.sectors), len(prior.zones)), np.nan)
    held = replace_by_files(found, files, seen, prior, ratios)
    return found, held


@pytest.mark.parametrize("layout", FORMATS)
def test_the_known_multiplier_is_found_through_each_layout(world, layout):
    park, folder, _, strength = world
    files = written(folder, layout, strength)
    report = sensing.invert(park, *PERIOD, by="sector", footprints=files, store=False)
    road, industry = report.sectors["road"], report.sectors["industry"]
    assert road.low < 0.7 * road.prior < road.high
    assert road.mean / road.prior == pytest.approx(0.7, abs=0.08)
    assert industry.low < industry.prior < industry.high
    assert [one.data for one in report.notes if one.code == "sensing.footprints_used"] == [
        {"count": HOURS, "series": 1}
    ]
    found, held = responses(world, files)
    assert held.all()
    signal = found.sum(axis=(2, 3))
    np.testing.assert_allclose(signal, np.tile(strength * expected(world[2], {}), (1, 1)), rtol=1e-6)


def test_the_same_physics_in_any_layout_is_the_same_answer(world, tmp_path):
    every = [responses(world, written(tmp_path, layout, world[3][:12]))[0][:, :12] for layout in FORMATS]
    for other in every[1:]:
        np.testing.assert_allclose(other, every[0], rtol=1e-9)


@pytest.mark.parametrize("layout", ["stilt", "flexpart"])
def test_earlier_hours_meet_the_emissions_of_those_hours(world, tmp_path, layout):
    """Half of the footprint lies an hour back: the mean of the emissions of this hour and of the one before."""
    files = written(tmp_path, layout, np.ones(30), lags=(0, 1))
    signal = responses(world, files)[0].sum(axis=(2, 3))
    both = (expected(world[2], {}) + expected(world[2], {}, lag=1)) / 2
    np.testing.assert_allclose(signal[0, :30], both[:30], rtol=1e-6)


def test_hours_without_a_file_keep_what_the_plume_said(world, tmp_path):
    home = tmp_path / "s0"
    home.mkdir()
    stilt_files(home, np.broadcast_to(K * areas(), (2, *areas().shape)), [3, 3 + HOURS])
    found, held = responses(world, [home])
    assert np.argwhere(held).tolist() == [[0, 3]]
    assert np.isfinite(found[0, 3]).all()
    assert np.isnan(found).sum() == found.size - found[0, 3].size


def test_two_observations_in_an_hour_count_by_their_mean(world, tmp_path):
    home = tmp_path / "s0"
    home.mkdir()
    stilt_files(home, [K * areas()], [5])
    stilt_files(home, [3 * K * areas()], [5])
    (home / "202603012230_106.7_10.8_3_foot.nc").write_bytes(
        (home / "202603012200_106.7_10.8_3_foot.nc").read_bytes()
    )
    stilt_files(home, [K * areas()], [5])
    found, _ = responses(world, [home])
    assert found[0, 5].sum() == pytest.approx(2 * expected(world[2], {})[5], rel=1e-6)


def test_what_a_file_does_not_say_is_named(world, tmp_path):
    home = tmp_path / "s0"
    home.mkdir()
    stilt_files(home, [K * areas()], [5])
    (made,) = home.glob("*.nc")
    made.rename(home / "foot.nc")
    with pytest.raises(RequestError, match="sampled"):
        responses(world, [home])
    (tmp_path / "empty" / "s0").mkdir(parents=True)
    with pytest.raises(RequestError, match="NetCDF"):
        responses(world, [tmp_path / "empty" / "s0"])
    with pytest.raises(RequestError, match="id of its station"):
        responses(world, [Path("nobody.nc")])
    name_file(tmp_path / "s0.nc", np.ones((1, len(LAT), len(LON))), [0])
    with h5netcdf.File(tmp_path / "s0.nc", "a") as file:
        file.variables["lon"][...] = LON + 0.5
    with pytest.raises(RequestError, match="outside the cells"):
        responses(world, [tmp_path / "s0.nc"])


@pytest.mark.data
def test_real_footprints_and_a_real_flux_find_the_factor_behind_made_readings(data_dir):
    """NAME at Tacolneston (July 2014) with EDGAR's CH4: the readings are 1.3 times flux times footprint, as xarray multiplies them."""
    folder = data_dir / "sensing" / "inversion_sample"
    file = folder / "TAC-100magl_UKV_co2_TEST_201407.nc"
    with (
        xr.open_dataset(file, engine="h5netcdf") as tac,
        xr.open_dataset(
            folder / "flux_total_ch4_europe_edgar7_2019-01-01_2019-12-31_data.nc", engine="h5netcdf"
        ) as edgar,
    ):
        inner = tac.fp.transpose("time", "lat", "lon").values[:, 1:-1, 1:-1].astype(float)
        flux = (
            edgar.flux.isel(time=0)
            .sel(lat=tac.lat[1:-1], lon=tac.lon[1:-1], method="nearest")
            .values.astype(float)
        )
        lat, lon, starts = tac.lat.values[1:-1], tac.lon.values[1:-1], tac.time.values
    direct = (inner * flux).sum(axis=(1, 2))  # mol/mol
    assert 2e-9 < direct.mean() < 50e-9
    prior = _inventory(flux, lat, lon, len(starts))
    seen = _tacolneston(direct * 1.3, starts)
    response = np.zeros((1, len(starts), 1, 2))
    held = replace_by_files(response, [file], replace(seen, stations=(file.stem,)), prior, np.ones((1, 1)))
    assert held.all()
    molar = molar_mass("ch4") / 1000
    np.testing.assert_allclose(response.sum(axis=(2, 3))[0], direct * AIR * molar * 1e9, rtol=0.04)
    park = SimpleNamespace(territory=SimpleNamespace(tz=UTC))
    scene, beliefs = sensing._scene(park, seen, prior, response, "sector", Beliefs(), held)
    found = solve(scene, beliefs).amount()
    assert found.low < 1.3 * found.prior < found.high
    assert found.identifiable


def _inventory(flux, lat, lon, hours):
    """EDGAR's cells as one class on squares of 2 km, with a western and an eastern zone."""
    dx, dy = float(lon[1] - lon[0]), float(lat[1] - lat[0])
    boxes = project(
        [shapely.box(x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2) for y in lat for x in lon], 32631
    )
    grid = Grid.around(np.array(boxes), 2000.0, 32631)
    band = np.sin(np.radians(lat + dy / 2)) - np.sin(np.radians(lat - dy / 2))
    area = np.repeat(EARTH**2 * np.radians(dx) * band, len(lon))
    kg = flux.ravel() * area * molar_mass("ch4") / 1000 * 3600
    share = np.asarray(kg / kg.sum() @ weights(list(boxes), grid))
    x, y = grid.centers()
    cells = np.column_stack([np.tile(x, grid.ny), np.repeat(y, grid.nx), np.full(grid.cells, 10.0)])
    used = share > 0
    zone = (cells[used, 0] > np.median(cells[used, 0])).astype(int)
    return Sources(
        sectors=("all",), zones=(None, None), gpc=("I.1.1",), gas=("ch4",), sector=np.array([0]), hourly=np.full((1, hours), kg.sum()),
        maps=csr_array(share[None, used]), cells=cells[used], zone=zone, size=grid.dx, epsg=32631, origin="edgar", problems=(),
    )  # fmt: skip


def _tacolneston(enhancement, starts):
    """Hourly CH4 at one station: a background of 1,900 ppb, the enhancement and 1 ppb of noise."""
    hours = len(starts)
    ppm = 1.9 + enhancement * 1e6 + 0.001 * np.random.default_rng(2).standard_normal(hours)
    at = np.array([[500_000.0, 5_820_000.0, 100.0]])
    return Readings(
        flows=(None,), species=("ch4",), of=np.array([0]), stations=("tac",), station=np.array([0]), start=at, end=at,
        values=np.asarray(to_kg(ppm, "ppm", "ch4"))[None] * 1e9, error=np.array([0.0005]),
        winds=Winds.coming_from(np.full(hours, 5.0), np.full(hours, 250.0)), direction=np.full(hours, 250.0), known=np.ones(hours, dtype=bool),
        starts=starts.astype("datetime64[us]"), problems=(),
    )  # fmt: skip
