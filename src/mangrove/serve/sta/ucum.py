# SPDX-License-Identifier: Apache-2.0
"""Units in the codes that other systems read: UCUM (SensorThings) and UN/CEFACT Recommendation 20 (NGSI-LD).

Comes in: a unit as the territory writes it. Goes out: its UCUM expression (The Unified Code for Units of Measure, version 2.2),
substances as annotations in braces; and the common code of UN/CEFACT where there is one for exactly this unit.
"""

from __future__ import annotations

from mangrove.units import _ALIASES, _tokens

# UCUM 2.2: tables 1 to 5 (metric units), 9 (customary), 17 (energy); "toe" is 41.868 GJ (IEA), written as a number of joules.
_UCUM = {
    "kg": "kg", "g": "g", "mg": "mg", "ug": "ug", "t": "t", "kt": "kt", "Mt": "Mt", "Mg": "Mg", "Gg": "Gg", "Tg": "Tg",
    "lb": "[lb_av]", "m": "m", "km": "km", "cm": "cm", "mm": "mm", "mile": "[mi_i]", "m2": "m2", "ha": "har", "km2": "km2",
    "m3": "m3", "L": "L", "mL": "mL", "kL": "kL", "bbl": "[bbl_us]", "Nm3": "m3{normal}", "kNm3": "10*3.m3{normal}",
    "s": "s", "min": "min", "h": "h", "day": "d", "week": "wk", "month": "mo_j", "yr": "a_j",
    "J": "J", "kJ": "kJ", "MJ": "MJ", "GJ": "GJ", "TJ": "TJ", "PJ": "PJ", "Wh": "W.h", "kWh": "kW.h", "MWh": "MW.h",
    "GWh": "GW.h", "TWh": "TW.h", "mkWh": "GW.h", "toe": "41868.MJ", "ktoe": "41868.GJ", "Btu": "[Btu_IT]",
    "MMBtu": "10*6.[Btu_IT]", "kcal": "kcal_IT", "Gcal": "Gcal_IT", "therm": "10*5.[Btu_IT]",
    "W": "W", "kW": "kW", "MW": "MW", "GW": "GW", "kWp": "kW{peak}", "MWp": "MW{peak}", "RT": "12000.[Btu_IT]/h",
    "Pa": "Pa", "kPa": "kPa", "MPa": "MPa", "bar": "bar", "K": "K", "degC": "Cel", "1": "1", "%": "%", "ppm": "[ppm]",
    "ppb": "[ppb]", "VND": "{VND}", "kVND": "10*3.{VND}", "MVND": "10*6.{VND}", "vehicle_km": "km{vehicle}", "pkm": "km{person}",
    "head": "{head}", "person": "{person}", "vehicle": "{vehicle}", "item": "{item}", "session": "{session}",
}  # fmt: skip
# UN/CEFACT Recommendation 20, revision 17, annexes I and II.
_CEFACT = {
    "kg": "KGM", "g": "GRM", "mg": "MGM", "t": "TNE", "kt": "KTN", "m": "MTR", "km": "KMT", "cm": "CMT", "mm": "MMT", "m2": "MTK",
    "km2": "KMK", "m3": "MTQ", "L": "LTR", "mL": "MLT", "s": "SEC", "min": "MIN", "h": "HUR", "day": "DAY",
    "J": "JOU", "kJ": "KJO", "MJ": "3B", "GJ": "GV", "TJ": "D30", "Wh": "WHR", "kWh": "KWH", "MWh": "MWH", "GWh": "GWH",
    "TWh": "D32", "W": "WTT", "kW": "KWT", "MW": "MAW", "GW": "A90", "Pa": "PAL", "kPa": "KPA", "MPa": "MPA", "bar": "BAR",
    "K": "KEL", "degC": "CEL", "%": "P1", "1": "C62", "ppm": "59",
}  # fmt: skip


def ucum(written: str) -> str:
    """The UCUM expression of a unit that `mangrove.units` can read.

    Example:
        >>> ucum("kWh"), ucum("kg CO2/TJ"), ucum("mg/Nm3")
        ('kW.h', 'kg{CO2}/TJ', 'mg/m3{normal}')
    """
    parts = []
    for part in written.replace("(", " ").replace(")", " ").split("/"):
        units: list[str] = []
        words: list[str] = []
        for token in _tokens(part):
            name = _ALIASES.get(token, token)
            if name in _UCUM and not words:
                units.append(_UCUM[name])
            elif token.startswith("10^") and not words:
                units.append(f"10*{token[3:]}")
            elif token.replace(".", "", 1).isdigit() and not words:
                units.append(token)
            else:
                words.append(token)
        text = ".".join(units) or "1"
        parts.append(f"{text}{{{'_'.join(words)}}}" if words else text)
    return "/".join(
        part if index == 0 or "/" not in part else f"({part})" for index, part in enumerate(parts)
    )


def cefact(written: str) -> str | None:
    """The common code of UN/CEFACT for exactly this unit; None when it has none.

    Example:
        >>> cefact("kWh"), cefact("kg CO2/TJ")
        ('KWH', None)
    """
    return _CEFACT.get(_ALIASES.get(written.strip(), written.strip()))
