# SPDX-License-Identifier: Apache-2.0
"""Battery: losses, power limits (also near full), and wear by cycles and by years.

Equations, with u+ and u- the rates at the node, e the level, h the length of a step:
    e_t = (1 - loss)^h e_{t-1} + h (eta u+_t - u-_t / eta),  eta = sqrt(round trip)
    floor E <= e_t <= E,   0 <= u+, u- <= P        (a chosen E: 0 <= e_t <= (1 - floor) E, counted from the floor up)
    u+_t <= P (1 - (1 - r) (e_t / E - a) / (1 - a))           power falls from P at level a to r P when full
    wear = replacement / (cycles x depth), money per kWh discharged;  a yearly cost per kWh of size for age
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Kind, Parameter, Setting, Values

REOPT = "0.96 x 0.975 x 0.96 (rectifier, cells, inverter): defaults of ElectricStorage in NREL's REopt.jl"
ROUND_TRIP = 0.96 * 0.975 * 0.96


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """A store with its own power limit; energy and power are fixed or chosen."""
    net, node = setting.network, setting.at("electricity")
    energy, power, capacities = _sizes(setting, asset_id, values)
    eta = values["round_trip"] ** 0.5
    fixed = isinstance(energy, float)
    room = (
        energy if fixed or not values["floor"] else usable(setting, asset_id, energy, 1.0 - values["floor"])
    )
    store = net.store(
        asset_id, node, energy=room, charge=power, discharge=power, efficiency=(eta, eta), loss=values["self_discharge"],
        start=None if setting.start is None else setting.start * _reference(values),
        floor=values["floor"] * energy if fixed else 0.0, wear=wear(values),
    )  # fmt: skip
    if "taper_from" in values:
        taper(setting, asset_id, store, energy, values)
    flows = values.flows(charge="charge_flow", discharge="discharge_flow")
    streams = {"charge": store.charging, "discharge": store.discharging}
    return Built(streams, {"energy": store}, capacities, flows)


def wear(values: Values) -> float:
    """Money per kWh discharged: what a cycle takes of the replacement cost.

    Example:
        >>> wear(Values({"replacement": 3_000_000.0, "cycles": 6000.0, "depth": 0.8}))
        625.0
    """
    if "replacement" not in values or "cycles" not in values:
        return 0.0
    return values["replacement"] / (values["cycles"] * values["depth"])


def taper(setting: Setting, asset_id: str, store: Any, energy: float | Any, values: Values) -> None:
    """u+_t + c e_t <= P + c a E, with c = (P / E) (1 - r) / (1 - a): the limit that a battery keeps near full.

    With chosen sizes P and E the ratio P / E must be fixed (the C-rate), so that the row stays linear.
    """
    a, r = values["taper_from"], values["taper_to"]
    setting.chronological(asset_id)
    rate = _c_rate(values)
    slope = rate * (1.0 - r) / (1.0 - a)
    columns = store.charging.columns
    lp = setting.network.program
    fixed = isinstance(energy, float)
    a -= 0.0 if fixed else values["floor"]
    upper = (rate + slope * a) * energy if fixed else 0.0
    rows = lp.rows(f"{asset_id} taper", columns.shape, upper=upper)
    lp.terms(rows, columns, 1.0)
    lp.terms(rows, store.level, slope)
    if not isinstance(energy, float):
        lp.row_upper[rows] = (rate + slope * a) * float(energy.existing.sum())
        lp.terms(rows, energy.columns[:, :, None], -(rate + slope * a))


def usable(setting: Setting, asset_id: str, energy: Any, share: float) -> Any:
    """The part of a chosen size that may be used, as a size tied to it by one row; the level then counts from the floor up."""
    net = setting.network
    found = net.capacity(f"{asset_id} usable", owner=setting.owner)
    row = net.program.rows(f"{asset_id} usable", (1,), lower=0.0, upper=0.0)
    net.program.row_lower[row] = net.program.row_upper[row] = share * float(energy.existing.sum())
    net.program.terms(row, found.columns[0], 1.0)
    net.program.terms(row, energy.columns[0], -share)
    return found


def _sizes(
    setting: Setting, asset_id: str, values: Values
) -> tuple[float | Any, float | Any, dict[str, Any]]:
    """Energy and power; a chosen energy comes with a power that is chosen too, or tied to it by the C-rate."""
    net, rate = setting.network, _c_rate(values)
    if setting.price is None or "max_energy" not in values:
        energy = values.get("energy", 0.0)  # one that may only be bought is not there yet
        return energy, values.get("power", rate * energy), {}
    price, life = setting.price, values["life"]
    aging = values.get("calendar", 0.0)
    bought = net.capacity(
        f"{asset_id} energy", cost=price(values["cost"], values.get("om", 0.0) + aging, life),
        existing=values.get("energy", 0.0), upper=values["max_energy"], owner=setting.owner,
    )  # fmt: skip
    free = "cost_power" in values and "taper_from" not in values
    power = net.capacity(
        f"{asset_id} power", cost=price(values["cost_power"], 0.0, life) if "cost_power" in values else 0.0,
        existing=values.get("power", rate * values.get("energy", 0.0)),
        upper=values.get("max_power", np.inf), owner=setting.owner,
    )  # fmt: skip
    if not free:
        _tie(net, asset_id, bought, power, rate, limited="max_power" in values)
    return bought, power, {"energy": bought, "power": power}


def _tie(net: Any, asset_id: str, energy: Any, power: Any, rate: float, *, limited: bool) -> None:
    """P = C x E, because power and energy are bought as one product; P may stay below where it has a limit of its own."""
    rest = rate * float(energy.existing.sum()) - float(power.existing.sum())
    net.budget(
        f"{asset_id} C-rate", [(power, 1.0), (energy, -rate)], tier=None, upper=rest,
        lower=-np.inf if limited or rest < 0.0 else rest,
    )  # fmt: skip


def _c_rate(values: Values) -> float:
    """Power per energy (1/h): declared, or that of the fixed sizes."""
    if "c_rate" in values:
        return values["c_rate"]
    for power, energy in (("power", "energy"), ("max_power", "max_energy"), ("power", "max_energy")):
        if power in values and values.get(energy, 0.0) > 0.0:
            return values[power] / values[energy]
    return 0.0


def _reference(values: Values) -> float:
    """The energy that a start level refers to."""
    return values.get("energy", 0.0)


def check(values: Values) -> Iterator[Finding]:
    """Contradictions between declared parameters."""
    if "energy" not in values and "max_energy" not in values:
        yield "assets.missing_parameter", {"name": "energy / max_energy"}
    if "c_rate" not in values and "power" not in values and "max_power" not in values:
        yield "assets.missing_parameter", {"name": "power / c_rate"}
    if "max_energy" in values:
        for name in ("cost", "life"):
            if name not in values:
                yield "assets.sizing_needs", {"name": name}
        if values["max_energy"] < values.get("energy", 0.0):
            yield "assets.band", {"low": "energy", "high": "max_energy"}
    if "replacement" in values and "cycles" not in values:
        yield "assets.goes_with", {"name": "replacement", "other": "cycles"}


PARAMETERS = (
    Parameter("energy", "kWh", "Usable energy", "Dung lượng sử dụng"),
    Parameter("power", "kW", "Largest charging and discharging power", "Công suất sạc và xả lớn nhất"),
    Parameter("c_rate", "1/h", "Largest power per energy, in place of `power`", "Công suất lớn nhất trên mỗi đơn vị dung lượng, thay cho `power`",
              maximum=100.0),
    Parameter("round_trip", "1", "Energy that comes back of what goes in", "Tỷ lệ năng lượng lấy ra trên năng lượng nạp vào",
              ROUND_TRIP, REOPT, minimum=0.01, maximum=1.0),
    Parameter("self_discharge", "1/h", "Share of the level lost in an hour; none unless declared",
              "Tỷ lệ năng lượng tự mất mỗi giờ; bằng không nếu không khai", 0.0, maximum=0.5),
    Parameter("floor", "1", "Lowest level, share of the energy; none unless declared", "Mức thấp nhất, theo tỷ lệ dung lượng; bằng không nếu không khai",
              0.0, maximum=0.95),
    Parameter("taper_from", "1", "Level from which the charging power falls", "Mức bắt đầu giảm công suất sạc", maximum=0.99),
    Parameter("taper_to", "1", "Share of the power that is left when full", "Tỷ lệ công suất còn lại khi đầy", 0.0,
              "a full battery takes nothing", maximum=1.0),
    Parameter("replacement", "VND/kWh", "Cost of new cells per kWh, for wear", "Chi phí thay tế bào trên mỗi kWh, để tính hao mòn"),
    Parameter("cycles", "1", "Cycles until replacement", "Số chu kỳ đến khi thay", minimum=1.0),
    Parameter("depth", "1", "Depth of those cycles", "Độ sâu của các chu kỳ đó", 1.0, "full cycles", minimum=0.01, maximum=1.0),
    Parameter("calendar", "VND/kWh/yr", "Yearly cost of age per kWh", "Chi phí lão hóa mỗi năm trên mỗi kWh"),
    base.flow("charge_flow", "Flow that meters charging", "Dòng đo điện sạc"),
    base.flow("discharge_flow", "Flow that meters discharging", "Dòng đo điện xả"),
    Parameter("max_energy", "kWh", "Largest energy; makes it a choice", "Dung lượng lớn nhất; khi khai thì dung lượng được tối ưu"),
    Parameter("max_power", "kW", "Largest power that may be bought", "Công suất lớn nhất được mua"),
    Parameter("cost", "VND/kWh", "Investment per kWh", "Vốn đầu tư cho mỗi kWh"),
    Parameter("cost_power", "VND/kW", "Investment per kW, when power is bought apart", "Vốn đầu tư cho mỗi kW, khi mua riêng công suất"),
    Parameter("om", "VND/kWh/yr", "Yearly cost of upkeep per kWh", "Chi phí bảo dưỡng mỗi năm trên mỗi kWh"),
    Parameter("life", "yr", "Lifetime", "Tuổi thọ", minimum=1.0),
)  # fmt: skip
KIND = Kind(
    "battery", "Battery", "Hệ thống pin lưu trữ", PARAMETERS, build, check=check,
    example="energy=2 MWh; power=1 MW; round_trip=90 %; charge_flow=bess_in; discharge_flow=bess_out",
)  # fmt: skip
