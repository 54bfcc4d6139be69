# SPDX-License-Identifier: Apache-2.0
"""What air, weather and water levels can be: bounds of nature, and which rules of screening make sense for them.

Comes in: a declared flow. Goes out: a lowest and a highest value in the flow's unit, and the names of rules. A state is not asked
for spikes, levels and shifted clocks (a shower, a firework and a storm tide are true; a wind that turns through north is no jump),
but a sensor of dust that says the same number all day is stuck. Rain is an amount, yet weeks without it and one hour of downpour are
what rain is like: it is asked for bounds and repeated amounts only.
"""

from __future__ import annotations

from mangrove.territory.model import Flow
from mangrove.units import Quantity, unit

_BOUNDS: dict[tuple[str, str], tuple[float | None, float | None, str]] = {
    ("air", ""): (0.0, None, ""),
    ("weather", "temperature"): (-60.0, 60.0, "degC"),
    ("weather", "humidity"): (0.0, 100.0, "%"),
    ("weather", "wind_speed"): (0.0, 115.0, "m/s"),
    ("weather", "wind_from"): (0.0, 360.0, "deg"),
    ("weather", "mixing_height"): (0.0, 10_000.0, "m"),
    ("weather", "rain"): (0.0, 401.0, "mm"),
    ("weather", "irradiance"): (-20.0, 2_000.0, "W/m2"),
    ("weather", "pressure"): (300.0, 1_100.0, "hPa"),
}
"""Lowest and highest value of a kind and code, and their unit (empty: any). They lie just outside the records of the WMO archive of
weather and climate extremes (56.7 degC at Furnace Creek, gust of 113.2 m/s at Barrow Island, 401 mm of rain in an hour at Shangdi,
1083.8 hPa at Agata); pyranometers show a few W/m2 below zero at night, clouds' edges raise the sun's 1,361 W/m2. Recalled figures:
they only keep out what no sensor outdoors can see."""
_STUCK = (("air", ""), ("weather", "temperature"), ("weather", "rain"), ("water_level", "tide"))
"""What changes all the time (or, for rain, does not repeat an amount for half a day)."""
_HOURLY = ("weather", "rain")
_KINDS = ("air", "weather", "water_level", "index")


def bounds(flow: Flow) -> tuple[float | None, float | None]:
    """The lowest and highest value that nature allows, in the flow's unit; None: no bound is known.

    Example:
        >>> from mangrove.territory.model import Carrier
        >>> bounds(Flow("rh", "p", Carrier("weather", "humidity"), unit("%"), semantics="state"))
        (0.0, 100.0)
    """
    kind, code = flow.carrier.kind, flow.carrier.code
    low, high, written = _BOUNDS.get((kind, code)) or _BOUNDS.get((kind, ""), (None, None, ""))
    if not written:
        return low, high
    if not unit(written).converts_to(flow.unit):
        return None, None
    if (kind, code) == _HOURLY and high is not None and flow.step is not None:
        high *= max(1.0, flow.step.hours)
    ends = (None if end is None else Quantity(end, unit(written)).to(flow.unit) for end in (low, high))
    lowest, highest = ends
    return lowest, highest


def rules(flow: Flow) -> tuple[str, ...] | None:
    """The rules of screening that make sense for the flow; None: those of its semantics.

    Example:
        >>> from mangrove.territory.model import Carrier
        >>> rules(Flow("pm", "p", Carrier("air", "pm25"), unit("ug/m3"), semantics="state"))
        ('stuck',)
    """
    kind, code = flow.carrier.kind, flow.carrier.code
    if kind not in _KINDS:
        return None
    return ("stuck",) if (kind, code) in _STUCK or (kind, "") in _STUCK else ()
