# SPDX-License-Identifier: Apache-2.0
"""Burning fuels, in plants and in vehicles: an amount of fuel in, CO2, CH4 and N2O out.

The flow may be energy, mass or volume. Mass reaches energy through the net calorific value, volume reaches mass through the
density; both are facts with a source of their own, never hidden in a factor. CO2 of biological origin goes to the
memo account.
"""

from __future__ import annotations

from mangrove.errors import RuleError
from mangrove.measure.methods.base import (
    Context,
    Given,
    Method,
    MissingFactError,
    Parameter,
    complement,
    fraction,
)
from mangrove.measure.types import Term
from mangrove.units import Dimension, Unit, unit

GASES = ("CO2", "CH4", "N2O")
_ENERGY, _MASS, _VOLUME, _NORMAL = (unit(u).dimension for u in ("J", "kg", "m3", "Nm3"))

_PARAMETERS = (
    Parameter("ncv", "TJ/Gg", "Net calorific value of this fuel, per mass", "Nhiệt trị thực của nhiên liệu này, theo khối lượng"),
    Parameter("density", "kg/L", "Density of this fuel (kg/m3 or kg/Nm3 for a gas)", "Khối lượng riêng (kg/m3 hoặc kg/Nm3 với khí)"),
    Parameter("biogenic_share", "1", "Share of the carbon that is of biological origin", "Tỷ lệ carbon có nguồn gốc sinh học"),
    Parameter("oxidation", "1", "Share of the carbon that is oxidized; 1 when absent, as in IPCC defaults", "Tỷ lệ carbon bị oxy hóa; bằng 1 nếu không khai, như mặc định IPCC"),
)  # fmt: skip
_USE = Parameter("use", "text", "Sector of use in the activity key", "Lĩnh vực sử dụng trong khóa hoạt động")


def combustion(ctx: Context) -> None:
    """Emits the gases of burning the flow's fuel in a plant; the use is manufacturing unless stated."""
    _burn(ctx, ctx.word("use", "manufacturing"))


def mobile_combustion(ctx: Context) -> None:
    """Emits the gases of burning the flow's fuel in a vehicle; the use is road unless stated."""
    _burn(ctx, ctx.word("use", "road"))


def _burn(ctx: Context, use: str) -> None:
    fuel = ctx.activity.rsplit("/", 1)[-1].partition("@")[0] if ctx.activity else ctx.flow.carrier.code
    if not fuel:
        ctx.gap("methods.needs_fuel")
        return
    activity = ctx.activity or f"combustion/{use}/{fuel}"
    gases = GASES if activity.startswith("combustion/") else ctx.gases(activity) or GASES
    for gas in gases:
        with ctx.part():
            factor = ctx.factor(activity, gas)
            terms = [*to_denominator(ctx, fuel, ctx.amount, factor), factor.term("EF")]
            if gas == "CO2":
                _emit_carbon(ctx, fuel, terms)
            else:
                ctx.emit(gas, terms)


def is_biogenic(ctx: Context, fuel: str) -> bool:
    """Whether the CO2 of the fuel is an information item outside the total (IPCC 2006 Guidelines, V2, section 2.3.3.4).

    A fuel that the rules do not know counts as fossil; a flow states another origin as `biogenic_share`.
    """
    try:
        return ctx.rules.fuel(fuel).biogenic
    except RuleError:
        return False


def _emit_carbon(ctx: Context, fuel: str, terms: list[Term]) -> None:
    """CO2, divided between the flow's account and the memo account by the origin of the carbon."""
    oxidized = ctx.declared("oxidation", "1")
    if oxidized:
        terms = [*terms, fraction(oxidized, "OF")]
    share = ctx.declared("biogenic_share", "1")
    if share is None:
        ctx.emit("CO2", terms, account="memo" if is_biogenic(ctx, fuel) else "")
        return
    ctx.emit("CO2", [*terms, complement(share, "1-b")])
    ctx.emit("CO2", [*terms, fraction(share, "b")], account="memo")


def to_denominator(ctx: Context, fuel: str, amount: Unit, factor: Given) -> list[Term]:
    """The terms that lead from an amount of fuel to what the factor is "per": energy, mass or volume.

    Volume becomes mass through the density and mass becomes energy through the net calorific value, in either
    direction; an amount that already has the dimension of the denominator needs none.

    Raises:
        MissingFactError: the flow is no amount of fuel, or the density or calorific value is nowhere stated.
    """
    ladder = {_VOLUME: 0, _NORMAL: 0, _MASS: 1, _ENERGY: 2}
    have, want = amount.dimension, _denominator(factor.unit)
    if have == want:
        return []
    if have not in ladder or want not in ladder:
        raise MissingFactError("methods.wrong_unit", unit=amount.text, expected=factor.unit.text)
    up = ladder[have] < ladder[want]
    low, high = sorted((ladder[have], ladder[want]))
    power = 1 if up else -1
    terms: list[Term] = []
    if low == 0:
        terms.append(_density(ctx, fuel, have if up else want).term("rho", power))
    if high == 2:  # noqa: PLR2004 - the top rung, energy
        terms.append(ctx.fact("ncv", "TJ/Gg", f"fuel/{fuel}/ncv").term("NCV", power))
    return terms if up else terms[::-1]


def _density(ctx: Context, fuel: str, volume: Dimension) -> Given:
    """The density of the fuel, per cubic meter or per normal cubic meter as the volume asks for.

    A density outside the plausible band of its fuel is a gap: it would hide in every number (a printed diesel
    density of 0.913 kg/L makes liters 9 % too heavy).
    """
    if volume == _NORMAL:
        return ctx.required("density", "kg/Nm3")
    given = ctx.fact("density", "kg/m3", f"fuel/{fuel}/density")
    try:
        known = ctx.rules.fuel(fuel)
    except RuleError:
        return given
    if known.density_low is None or known.density_high is None:
        return given
    value = given.to(known.density_unit).value
    if not known.density_low <= value <= known.density_high:
        band = f"{known.density_low:g}-{known.density_high:g} {known.density_unit}"
        raise MissingFactError("methods.implausible_density", fuel=fuel, value=f"{value:.4g}", band=band)
    return given


def _denominator(printed: Unit) -> Dimension:
    """The dimension that a factor `mass of gas per X` is divided by."""
    mass = unit("kg").dimension
    return tuple(a - b for a, b in zip(mass, printed.dimension, strict=True))  # type: ignore[return-value]


METHODS = (
    Method(
        name="combustion",
        version="1",
        title_en="Stationary combustion of fuels",
        title_vi="Đốt nhiên liệu tại nguồn cố định",
        equation="E[gas] = A × (ρ × NCV) × EF[gas] × OF",
        units="A: fuel burnt, as energy (TJ, GJ, kWh), mass (t, kg) or volume (L, m3, Nm3)",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 1; IPCC 2006 Guidelines, Volume 2, Chapter 2, Eq 2.1",
        carriers=("fuel",),
        parameters=(_USE, *_PARAMETERS),
        function=combustion,
    ),
    Method(
        name="mobile_combustion",
        version="1",
        title_en="Mobile combustion of fuels",
        title_vi="Đốt nhiên liệu của phương tiện giao thông",
        equation="E[gas] = A × (ρ × NCV) × EF[gas] × OF",
        units="A: fuel burnt, as volume (L), mass (kg, t) or energy (TJ, GJ)",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 1; IPCC 2006 Guidelines, Volume 2, Chapter 3, Eq 3.2.1",
        carriers=(),
        parameters=(_USE, *_PARAMETERS),
        function=mobile_combustion,
    ),
)
