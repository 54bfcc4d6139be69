# SPDX-License-Identifier: Apache-2.0
"""Compressor: hydrogen to a higher pressure, with the electricity that takes.

z_t kg/h in and out,  w z_t of electricity,  z_t <= K
w = N g / (g - 1) R T / M ((p_out / p_in)^((g - 1) / (g N)) - 1) / eta      N stages with cooling between them, ideal gas
"""

from __future__ import annotations

from collections.abc import Iterator

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Kind, Parameter, Setting, Values

GAS = 8.314462618
"""J/(mol K), CODATA 2018."""
MOLAR = 2.01588e-3
"""kg/mol of hydrogen (IUPAC atomic weights)."""
HEAT_RATIO = 1.41
"""cp / cv of hydrogen near 25 degrees Celsius (NIST Chemistry WebBook, SRD 69)."""
INTAKE = 298.15
_JOULE_TO_KWH = 1.0 / 3.6e6


def work(low: float, high: float, efficiency: float, stages: float = 1.0) -> float:
    """Electricity per kg of hydrogen (kWh/kg) from pressure `low` to `high` (bar), taken in at 25 degrees Celsius.

    Example:
        >>> round(work(30.0, 350.0, 0.75, 3), 2)
        1.26
    """
    power = (HEAT_RATIO - 1.0) / HEAT_RATIO / stages
    ideal = stages * GAS * INTAKE / MOLAR * HEAT_RATIO / (HEAT_RATIO - 1.0) * ((high / low) ** power - 1.0)
    return float(ideal / efficiency * _JOULE_TO_KWH)


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the mass that passes."""
    need = values.get("consumption")
    if need is None:
        need = work(values["inlet"], values["outlet"], values["efficiency"], values["stages"])
    ports = [
        (setting.at(values.word("input")), -1.0),
        (setting.at(values.word("output")), 1.0),
        (setting.at("electricity"), -need),
    ]
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


def check(values: Values) -> Iterator[Finding]:
    """Either the work is declared, or what it follows from."""
    yield from base.check_sizing(values)
    if "consumption" not in values:
        for name in ("inlet", "outlet", "efficiency"):
            if name not in values:
                yield "assets.missing_parameter", {"name": f"{name} / consumption"}
        if values.get("outlet", 1e9) <= values.get("inlet", 0.0):
            yield "assets.band", {"low": "inlet", "high": "outlet"}


PARAMETERS = (
    base.capacity("Largest mass per hour", "Lưu lượng khối lượng lớn nhất", "kg/h"),
    Parameter("consumption", "kWh/kg", "Electricity per kg, in place of pressures", "Điện cho mỗi kg, thay cho áp suất", maximum=20.0),
    Parameter("inlet", "bar", "Pressure before", "Áp suất vào", minimum=0.1, maximum=1000.0),
    Parameter("outlet", "bar", "Pressure after", "Áp suất ra", minimum=0.1, maximum=1200.0),
    Parameter("efficiency", "1", "Isentropic efficiency with the motor", "Hiệu suất đẳng entropy, kể cả động cơ", minimum=0.05, maximum=1.0),
    Parameter("stages", "1", "Stages with cooling between them", "Số cấp nén có làm mát giữa cấp", 1.0, "one stage: the most work", minimum=1.0, maximum=10.0),
    base.carrier("input", "Carrier before", "Chất mang trước khi nén", "hydrogen"),
    base.carrier("output", "Carrier after", "Chất mang sau khi nén", "hydrogen@compressed"),
    base.variable_cost("kg"),
    base.flow(about="Flow that meters the hydrogen", about_vi="Dòng đo hydro"),
    *base.sizing("kg/h"),
)  # fmt: skip
KIND = Kind("compressor", "Compressor", "Máy nén", PARAMETERS, build, check=check,
            example="capacity=100 kg/h; inlet=30 bar; outlet=350 bar; efficiency=75 %; stages=3")  # fmt: skip
