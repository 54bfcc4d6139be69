# SPDX-License-Identifier: Apache-2.0
"""Wind turbines: wind speed at the hub to power by a published curve, and the turbine as a source in the network.

Comes in: a weather year, hub height, shear, a power curve. Goes out: mean power per step in kW. The default curve is that
of the NREL 5 MW reference turbine (J. Jonkman et al., NREL/TP-500-38060, 2009), per unit of its rating.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Floats, Input, Kind, Parameter, Setting, Values
from mangrove.network.weather import Times, WeatherYear, parts

REPORT = "NREL/TP-500-38060 (2009), NREL 5 MW reference turbine"
CURVE = (
    np.array([0.0, 2.999, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 11.4, 25.0, 25.001, 60.0]),
    np.array([0.0, 0.0, 40.5, 177.7, 403.9, 737.6, 1187.2, 1771.1, 2518.6, 3448.4, 4562.5, 5000.0, 5000.0, 0.0, 0.0]) / 5000.0,
)  # fmt: skip
"""Wind speed (m/s) at the hub and output per unit of rated power, as NREL's turbine-models archive prints it; cut-out at 25 m/s."""
HUB, SHEAR = 90.0, 1.0 / 7.0
STANDARD_DENSITY = 1.225
"""kg/m3, the air to which power curves refer (IEC 61400-12-1)."""
_PART = 0.25


def output(
    weather: WeatherYear, capacity: float = 1.0, *, starts: Times, hours: npt.ArrayLike, hub: float = HUB,
    shear: float = SHEAR, density: float = STANDARD_DENSITY, losses: float = 0.0,
    curve: tuple[npt.ArrayLike, npt.ArrayLike] = CURVE,
) -> Floats:  # fmt: skip
    """Mean power of each step, (T,) kW: K (1 - losses) P(v_hub (rho / rho_0)^(1/3)).

    v_hub = v (hub / measured height)^shear (power law; the exponent 1/7 is that of neutral air over open land, Peterson and
    Hennessey, J. Appl. Meteorology 17, 1978, 390); the density correction is that of IEC 61400-12-1 for pitch-regulated
    turbines.

    Args:
        weather: speeds at its `wind_height`.
        capacity: rated power, kW.
        starts: (T,) beginning of each step, UTC.
        hours: length of the steps.
        hub: height of the hub, m.
        shear: exponent of the power law.
        density: of the air at the hub, kg/m3.
        losses: wake, electrical, availability, as a share.
        curve: speeds (m/s, increasing) and output per unit of rated power.

    Raises:
        RequestError: `assets.bad_curve`; `assets.weather_not_covered`.
    """
    speeds, shares = (np.asarray(part, dtype=np.float64) for part in curve)
    if len(speeds) != len(shares) or (np.diff(speeds) <= 0).any() or (shares < 0).any() or (shares > 1).any():
        raise RequestError("assets.bad_curve")
    count = max(1, int(np.ceil(np.max(hours) / _PART - 1e-9)))
    speed = weather.sample(parts(starts, hours, count)).wind * (hub / weather.wind_height) ** shear
    power = np.interp(
        speed * (density / STANDARD_DENSITY) ** (1.0 / 3.0), speeds, shares, left=0.0, right=0.0
    )
    return np.asarray(capacity * (1.0 - losses) * power.reshape(-1, count).mean(axis=1))


def simulate(values: Values, weather: WeatherYear, *, starts: Times, hours: npt.ArrayLike) -> Floats:
    """Output per kW, (T,), of a declared turbine: the series `profile` that `build` reads."""
    return output(
        weather, starts=starts, hours=hours, hub=values["hub"], shear=values["shear"], losses=values["losses"]
    )


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """0 <= x_t <= profile_t K, as for photovoltaics."""
    profile = setting.read(asset_id, "profile", 0.0, 2.0)
    capacity = base.size(setting, asset_id, values)
    node = setting.at("electricity")
    if isinstance(capacity, float):
        stream = setting.network.source(asset_id, node, upper=profile * capacity)
    else:
        stream = setting.network.source(asset_id, node, capacity=capacity, profile=profile)
    return Built({"output": stream}, capacities=base.chosen(capacity), flows=values.flows(output="flow"))


PARAMETERS = (
    Parameter("capacity", "kW", "Rated power", "Công suất định mức"),
    Parameter("hub", "m", "Height of the hub", "Chiều cao trục", HUB, REPORT, minimum=5.0, maximum=300.0),
    Parameter("shear", "1", "Exponent of the power law of height", "Số mũ của quy luật lũy thừa theo chiều cao", SHEAR,
              "Peterson and Hennessey, J. Appl. Meteorology 17 (1978) 390: 1/7 over open land", maximum=1.0),
    Parameter("losses", "1", "Wake, electrical and availability losses; none unless declared",
              "Tổn thất do che gió, điện và dừng máy; bằng không nếu không khai", 0.0, maximum=1.0),
    base.flow(about="Flow that meters the output", about_vi="Dòng đo sản lượng"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind(
    "wind", "Wind turbine", "Tua-bin gió", PARAMETERS, build, check=base.check_sizing,
    inputs=(Input("profile", "1", "Output per kW, from `wind.simulate` or a forecast", "Sản lượng trên mỗi kW"),),
    example="capacity=2 MW; hub=90 m; flow=wind_power",
)  # fmt: skip
