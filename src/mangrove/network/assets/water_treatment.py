# SPDX-License-Identifier: Apache-2.0
"""Water treatment: water in, usable water out, electricity per cubic meter, and what is rejected.

z_t m3/h leave,  z_t / r go in (r the recovery),  z_t (1 / r - 1) are rejected,  w z_t of electricity,  z_t <= K

In a network the carriers say the quality (`input=water@grey; output=water@clean`). What the plant does to each contaminant (`outlets`:
a fixed concentration behind it; `removals`: a removal ratio of the load) is for water reuse, where streams mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mangrove.errors import MangroveError, RuleError
from mangrove.network.assets import base
from mangrove.network.assets.base import TEXT, Built, Finding, Kind, Parameter, Setting, Values
from mangrove.network.water_problem import Treatment, ppm_of
from mangrove.units import Quantity


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the treated water."""
    recovery = values["recovery"]
    ports = [
        (setting.at(values.word("input")), -1.0 / recovery),
        (setting.at(values.word("output")), 1.0),
        (setting.at("electricity"), -values["consumption"]),
    ]
    if values.word("reject"):
        ports.append((setting.at(values.word("reject")), 1.0 / recovery - 1.0))
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


def treatment(name: str, values: Values, contaminants: Sequence[str], plant: str = "") -> Treatment:
    """The plant as a treatment of `water_reuse`: prices and electricity per cubic meter taken instead of given.

    A plant that names an outlet for every contaminant has a fixed outlet; else its removal ratios count (0 for those not named).

    Raises:
        MangroveError: `reuse.bad_quality`; `reuse.outlet_missing` when it names outlets of some contaminants only.
    """
    outlets, removals = outlets_of(values.word("outlets")), removals_of(values.word("removals"))
    missing = [c for c in contaminants if c not in outlets]
    if outlets and missing:
        raise MangroveError("reuse.outlet_missing", name=name, options=", ".join(missing))
    recovery = values["recovery"]
    size = values.get("max_capacity", values.get("capacity", float("inf")))
    return Treatment(
        name,
        outlet=tuple(outlets[c] for c in contaminants) if outlets else None,
        removal=tuple(removals.get(c, 0.0) for c in contaminants),
        recovery=recovery,
        most=size / recovery,
        price=values.get("variable_cost", 0.0) * recovery,
        electricity=values["consumption"] * recovery,
        plant=plant,
    )


def outlets_of(text: str) -> dict[str, float]:
    """`COD=30 mg/L, TSS=10 ppm` as ppm by contaminant.

    Example:
        >>> outlets_of("COD=30 mg/L, TSS=10 ppm")
        {'COD': 30.0, 'TSS': 10.0}
    """
    return {name: ppm_of(value) for name, value in _pairs(text)}


def removals_of(text: str) -> dict[str, float]:
    """`COD=90 %, TSS=95 %` as shares by contaminant.

    Example:
        >>> removals_of("COD=90 %")
        {'COD': 0.9}
    """
    found = {name: Quantity.parse(value, "1").to("1") for name, value in _pairs(text)}
    for name, share in found.items():
        if not 0 <= share <= 1:
            raise MangroveError("reuse.bad_quality", text=f"{name}={share:g}")
    return found


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Name and value of each part between commas.

    Raises:
        MangroveError: `reuse.bad_quality`.
    """
    for part in text.split(",") if text.strip() else ():
        name, sign, value = part.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise MangroveError("reuse.bad_quality", text=part.strip())
        yield name.strip(), value.strip()


def check(values: Values) -> Iterator[Finding]:
    """Sizes, and that outlets and removals can be read."""
    yield from base.check_sizing(values)
    for read, name in ((outlets_of, "outlets"), (removals_of, "removals")):
        try:
            read(values.word(name))
        except (MangroveError, RuleError) as error:
            yield error.code, dict(error.problem.data)


PARAMETERS = (
    base.capacity("Largest treated volume per hour", "Lưu lượng nước sau xử lý lớn nhất", "m3/h"),
    Parameter("consumption", "kWh/m3", "Electricity per cubic meter treated", "Điện cho mỗi mét khối nước sau xử lý", maximum=50.0, required=True),
    Parameter("recovery", "1", "Treated water per water taken", "Tỷ lệ nước thu được trên nước đầu vào", 1.0, "no reject unless declared", minimum=0.05, maximum=1.0),
    base.carrier("input", "Carrier that it takes", "Chất mang đầu vào", "wastewater"),
    base.carrier("output", "Carrier that it gives", "Chất mang đầu ra", "water"),
    Parameter("reject", "carrier", "Carrier of the reject; absent: it leaves the network", "Chất mang của phần thải; không khai: ra khỏi mạng lưới"),
    Parameter("outlets", TEXT, "Concentration behind it by contaminant, whatever comes in: 'COD=30 mg/L, TSS=10 mg/L'",
              "Nồng độ sau xử lý theo từng chất ô nhiễm, không phụ thuộc đầu vào: 'COD=30 mg/L, TSS=10 mg/L'"),
    Parameter("removals", TEXT, "Removal ratio by contaminant: 'COD=90 %, TSS=95 %'", "Hiệu suất khử theo từng chất ô nhiễm: 'COD=90 %, TSS=95 %'"),
    base.variable_cost("m3"),
    base.flow(about="Flow that meters the treated water", about_vi="Dòng đo nước sau xử lý"),
    *base.sizing("m3/h"),
    base.once(),
)  # fmt: skip
KIND = Kind("water_treatment", "Water treatment", "Xử lý nước", PARAMETERS, build, check=check,
            example="capacity=100 m3/h; consumption=0.6 kWh/m3; recovery=75 %; outlets='COD=30 mg/L, TSS=10 mg/L'")  # fmt: skip
