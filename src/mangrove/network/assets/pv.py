# SPDX-License-Identifier: Apache-2.0
"""Photovoltaics: from weather or measured irradiance to power, and the array as a source in the network.

Comes in: a weather year (or irradiance measured on the spot), coordinates, tilt, azimuth, size. Goes out: mean power per
step in kW AC. The chain is PVWatts version 5 (A. Dobos, NREL/TP-6A20-62641, 2014), computed by pvlib: transposition to
the plane of the array, losses by reflection, cell temperature, DC power, system losses, inverter with its limit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Floats, Input, Kind, Parameter, Setting, Values
from mangrove.network.weather import Moments, Times, WeatherYear, parts

MANUAL = "PVWatts Version 5 Manual, NREL/TP-6A20-62641 (2014)"
LOSSES = 0.1408
"""Soiling 2 %, shading 3 %, mismatch 2 %, wiring 2 %, connections 0.5 %, light-induced 1.5 %, nameplate 1 %, availability 3 %, as a product."""
GAMMA = {"standard": -0.0047, "premium": -0.0035, "thin_film": -0.0020}
"""Change of DC power per degree Celsius of cell temperature above 25 (same manual, table of module types)."""
INVERTER = 0.96
DC_TO_AC = 1.1
ALBEDO = 0.2
_MOUNTS = {"ground": "open_rack_glass_polymer", "roof": "close_mount_glass_glass"}
"""King, Boyson and Kratochvil, SAND2004-3535, table of module and mount; pvlib holds the coefficients."""
_PART = 0.25  # hours: the sun moves 3.75 degrees
_HORIZON = 90.0


def output(  # noqa: PLR0917 - where the array stands and what it is
    weather: WeatherYear, lat: float, lon: float, tilt: float, azimuth: float, capacity: float = 1.0, *,
    starts: Times, hours: npt.ArrayLike, losses: float = LOSSES, gamma: float = GAMMA["standard"],
    mount: str = "roof", dc_to_ac: float = DC_TO_AC, inverter: float = INVERTER, albedo: float = ALBEDO,
) -> Floats:  # fmt: skip
    """Mean AC power of each step, (T,) kW.

    Args:
        weather: the weather; its own coordinates place the sun, so they must lie near the array.
        lat: of the array, WGS84 degrees.
        lon: of the array, WGS84 degrees.
        tilt: of the modules from the horizontal, degrees.
        azimuth: where they face, degrees from north, clockwise (180: south).
        capacity: DC power under standard test conditions, kWp.
        starts: (T,) beginning of each step, UTC.
        hours: length of each step, a number or (T,).
        losses: system losses as a share of DC power.
        gamma: relative change of power per degree Celsius.
        mount: `roof` or `ground`, for the cell temperature.
        dc_to_ac: DC capacity over the AC rating of the inverter, above which it clips.
        inverter: nominal efficiency.
        albedo: reflectance of the ground.

    Raises:
        RequestError: `assets.weather_far`, `assets.weather_not_covered`, `assets.unknown_mount`.
    """
    if abs(weather.lat - lat) > 1.0 or abs((weather.lon - lon + 180.0) % 360.0 - 180.0) > 1.0:
        have, want = f"{weather.lat:g} {weather.lon:g}", f"{lat:g} {lon:g}"
        raise RequestError("assets.weather_far", have=have, want=want)
    length = np.asarray(hours, dtype=np.float64)
    count = max(1, int(np.ceil(length.max() / _PART - 1e-9)))
    moments = weather.sample(parts(starts, hours, count))
    plane, effective = plane_of_array(moments, tilt, azimuth, albedo)
    power = power_of_plane(
        plane, moments.temperature, moments.wind, effective=effective, losses=losses, gamma=gamma, mount=mount,
        dc_to_ac=dc_to_ac, inverter=inverter,
    )  # fmt: skip
    return np.asarray(capacity * power.reshape(-1, count).mean(axis=1))


def plane_of_array(
    moments: Moments, tilt: float, azimuth: float, albedo: float = ALBEDO
) -> tuple[Floats, Floats]:
    """Irradiance on the modules and what of it passes their glass, each (M,) W/m2.

    Sky diffuse by Hay and Davies (1980); reflection of the beam by Fresnel and Bouguer with a glass of n = 1.526 (De Soto et
    al., Solar Energy 80, 2006, 78), as in PVWatts, which leaves diffuse light without reflection losses.
    """
    from pvlib import iam, irradiance

    seen = np.minimum(moments.zenith, _HORIZON)
    total = irradiance.get_total_irradiance(
        tilt, azimuth, seen, moments.azimuth, moments.dni, moments.ghi, moments.dhi,
        dni_extra=moments.top, albedo=albedo, model="haydavies",
    )  # fmt: skip
    angle = irradiance.aoi(tilt, azimuth, seen, moments.azimuth)
    beam, diffuse = np.nan_to_num(total["poa_direct"]), np.nan_to_num(total["poa_diffuse"])
    return beam + diffuse, beam * np.nan_to_num(iam.physical(angle)) + diffuse


def power_of_plane(
    plane: Floats, temperature: Floats, wind: Floats, *, effective: Floats | None = None, losses: float = LOSSES,
    gamma: float = GAMMA["standard"], mount: str = "roof", dc_to_ac: float = DC_TO_AC, inverter: float = INVERTER,
) -> Floats:  # fmt: skip
    """AC power per kWp from irradiance in the plane of the array, (M,).

    P_dc = E/1000 (1 + gamma (T_cell - 25)) (1 - losses); the inverter's efficiency depends on its load and its output stops at
    1/dc_to_ac. Use it directly when the irradiance in the plane was measured.

    Args:
        plane: W/m2 on the modules.
        temperature: of the air, degrees Celsius.
        wind: m/s at 10 m.
        effective: W/m2 behind the glass; absent: as `plane` (a reference cell behind glass measures this).
        losses: as in `output`, like the rest.
        gamma: relative change of power per degree Celsius.
        mount: `roof` or `ground`.
        dc_to_ac: DC capacity over the AC rating.
        inverter: nominal efficiency.
    """
    from pvlib import inverter as inverters
    from pvlib import pvsystem
    from pvlib import temperature as heat

    if mount not in _MOUNTS:
        raise RequestError("assets.unknown_mount", mount=mount, options=", ".join(_MOUNTS))
    cell = heat.sapm_cell(
        plane, temperature, wind, **heat.TEMPERATURE_MODEL_PARAMETERS["sapm"][_MOUNTS[mount]]
    )
    light = plane if effective is None else effective
    direct = np.maximum(pvsystem.pvwatts_dc(light, cell, 1.0, gamma), 0.0) * (1.0 - losses)
    rating = 1.0 / (dc_to_ac * inverter)
    alternating = inverters.pvwatts(direct, rating, eta_inv_nom=inverter)
    return np.asarray(np.maximum(np.nan_to_num(alternating), 0.0), dtype=np.float64)


def from_measured(
    ghi: Floats, temperature: Floats, wind: Floats, *, starts: Times, hours: float, lat: float, lon: float,
    tilt: float, azimuth: float, capacity: float = 1.0, **options: Any,
) -> Floats:  # fmt: skip
    """Mean AC power of each step, (T,) kW, when only the global horizontal irradiance is measured.

    The split into beam and diffuse is that of Erbs, Klein and Duffie (1982); the rest as in `output`.
    """
    from mangrove.network.weather_files import erbs

    dni, dhi = erbs(ghi, starts, hours, lat, lon)
    weather = WeatherYear(starts, hours, ghi, dni, dhi, temperature, wind, lat, lon, "measured", "derived")
    return output(
        weather,
        lat,
        lon,
        tilt=tilt,
        azimuth=azimuth,
        capacity=capacity,
        starts=starts,
        hours=hours,
        **options,
    )


def calibrate(simulated: Floats, measured: Floats) -> tuple[float, float]:
    """The factor that brings a simulation nearest to a measured output, and the error that is left.

    The factor is least squares through the origin, over steps where both are numbers: k = sum(s m) / sum(s s). It gathers
    soiling, shading, wear and the true size.

    Args:
        simulated: (T,) kW.
        measured: (T,) kW; NaN where nothing was measured.

    Returns:
        The factor, and the root of the mean squared error after it as a share of the mean measured output.

    Raises:
        RequestError: `assets.nothing_to_calibrate` when no step has both.

    Example:
        >>> calibrate(np.array([0.0, 2.0, 4.0]), np.array([0.0, 1.8, 3.6]))
        (0.9, 0.0)
    """
    both = np.isfinite(simulated) & np.isfinite(measured)
    s, m = simulated[both], measured[both]
    if not (s @ s > 0.0) or not m.sum() > 0.0:
        raise RequestError("assets.nothing_to_calibrate")
    factor = float(s @ m / (s @ s))
    return factor, float(np.sqrt(np.mean((factor * s - m) ** 2)) / m.mean())


def best_tilt(lat: float) -> tuple[float, float]:
    """Tilt equal to the latitude, facing the equator: the array of PVWatts where nothing else is known.

    Example:
        >>> best_tilt(12.5)
        (12.5, 180.0)
    """
    return abs(lat), 180.0 if lat >= 0 else 0.0


def simulate(
    values: Values, weather: WeatherYear, lat: float, lon: float, *, starts: Times, hours: npt.ArrayLike
) -> Floats:
    """Output per kWp, (T,), of a declared array: the series `profile` that `build` reads."""
    tilt, azimuth = best_tilt(lat)
    return output(
        weather, lat, lon, values.get("tilt", tilt), values.get("azimuth", azimuth), starts=starts, hours=hours,
        losses=values["losses"], gamma=-values.get("gamma", -GAMMA[values.word("module")]), mount=values.word("mount"),
        dc_to_ac=values["dc_to_ac"], inverter=values["inverter"], albedo=values["albedo"],
    )  # fmt: skip


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """0 <= x_t <= profile_t K: what is not used is curtailed; K is fixed or chosen."""
    profile = setting.read(asset_id, "profile", 0.0, 2.0)
    capacity = base.size(setting, asset_id, values)
    node = setting.at("electricity")
    if isinstance(capacity, float):
        stream = setting.network.source(asset_id, node, upper=profile * capacity)
    else:
        stream = setting.network.source(asset_id, node, capacity=capacity, profile=profile)
    return Built({"output": stream}, capacities=base.chosen(capacity), flows=values.flows(output="flow"))


PARAMETERS = (
    Parameter("capacity", "kW", "DC power under standard test conditions", "Công suất DC ở điều kiện chuẩn"),
    Parameter("tilt", "degree", "Tilt of the modules from the horizontal; the latitude unless declared",
              "Góc nghiêng của tấm pin; bằng vĩ độ nếu không khai", maximum=90.0),
    Parameter("azimuth", "degree", "Direction that the modules face, clockwise from north; the equator unless declared",
              "Hướng của tấm pin, tính từ hướng bắc theo chiều kim đồng hồ; về phía xích đạo nếu không khai", maximum=360.0),
    Parameter("losses", "1", "System losses as a share of DC power", "Tổn thất hệ thống theo tỷ lệ công suất DC",
              LOSSES, MANUAL + ", table of system losses", maximum=1.0),
    Parameter("module", "text", "Kind of module: standard, premium, thin_film",
              "Loại tấm pin: standard (thường), premium (cao cấp), thin_film (màng mỏng)", "standard", MANUAL,
              options=tuple(GAMMA)),
    Parameter("gamma", "1/degC", "Power lost per degree of cell temperature, in place of the kind's",
              "Công suất giảm trên mỗi độ của nhiệt độ tế bào, thay cho giá trị theo loại", maximum=0.02),
    Parameter("mount", "text", "roof (little air behind) or ground (open rack), for the cell temperature",
              "roof (sát mái) hoặc ground (giá đỡ thoáng), để tính nhiệt độ tế bào", "roof", "SAND2004-3535 (2004)",
              options=tuple(_MOUNTS)),
    Parameter("dc_to_ac", "1", "DC capacity over the AC rating of the inverter", "Tỷ lệ công suất DC trên công suất AC của biến tần",
              DC_TO_AC, MANUAL, minimum=0.1, maximum=5.0),
    Parameter("inverter", "1", "Nominal efficiency of the inverter", "Hiệu suất danh định của biến tần", INVERTER, MANUAL,
              minimum=0.5, maximum=1.0),
    Parameter("albedo", "1", "Reflectance of the ground", "Hệ số phản xạ của mặt đất", ALBEDO, MANUAL, maximum=1.0),
    base.flow(about="Flow that meters the output", about_vi="Dòng đo sản lượng"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind(
    "pv", "Photovoltaic array", "Dàn điện mặt trời", PARAMETERS, build, check=base.check_sizing,
    inputs=(Input("profile", "1", "Output per kWp, from `pv.simulate` or a forecast", "Sản lượng trên mỗi kWp"),),
    example="capacity=240 kWp; tilt=10; azimuth=180; flow=roof_pv",
)  # fmt: skip
