# SPDX-License-Identifier: Apache-2.0
"""The contract between a declared asset and the network: parameters, the setting it is built in, what was built.

Comes in: a row of `assets.csv` (quantities and words). Goes out: `Values` in canonical units (kW, kWh, h, kg, m3, share,
VND), checked all at once, and after `build` the handles of the network by role. Every kind of asset is one small file
with a `KIND`; `mangrove.network.assets.KINDS` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mangrove.errors import DeclarationError, Problem, RequestError, RuleError, did_you_mean
from mangrove.territory.model import Asset, Carrier
from mangrove.units import Quantity

Floats = npt.NDArray[np.float64]
TEXT, CARRIER = "text", "carrier"
CANONICAL = (
    "kW", "kWh", "h", "yr", "1", "item", "degC", "degree", "kg", "kg/h", "kWh/kg", "m3", "m3/h", "kWh/m3", "m3/kg", "m", "bar",
    "1/h", "1/degC", TEXT, CARRIER, "VND", "VND/kW", "VND/kWh", "VND/kW/yr", "VND/kWh/yr", "VND/kg", "VND/kg/yr", "VND/m3",
    "VND*h/kg", "VND*h/kg/yr", "VND*h/m3", "VND*h/m3/yr", "VND/item",
)  # fmt: skip
"""The units that values have inside. `degree` is an angle, written as a bare number; `carrier` is a word that names a carrier."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A quantity or a word that an asset may or must declare.

    Attributes:
        name: as written in the `parameters` column of `assets.csv`.
        unit: the canonical unit; "text" for a word, "carrier" for the name of a carrier ("fuel:diesel").
        about, about_vi: what it is, for people.
        default: the value where none is declared; None: absent.
        source: where the default comes from (document, table); "declared" when there is no number to cite.
        minimum, maximum: the allowed closed range in the canonical unit.
        required: whether the asset is refused without it.
        options: the allowed words; empty: any.
    """

    name: str
    unit: str
    about: str
    about_vi: str
    default: float | str | None = None
    source: str = "declared"
    minimum: float = 0.0
    maximum: float = math.inf
    required: bool = False
    options: tuple[str, ...] = ()


class Values(Mapping[str, float]):
    """The parameters of one asset: numbers in canonical units by name, and words.

    Example:
        >>> values = Values({"capacity": 240.0}, {"flow": "roof_pv"})
        >>> values["capacity"], values.get("tilt"), values.word("flow")
        (240.0, None, 'roof_pv')
    """

    def __init__(self, numbers: Mapping[str, float], words: Mapping[str, str] | None = None) -> None:
        self._numbers = dict(numbers)
        self._words = dict(words or {})

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def word(self, name: str, default: str = "") -> str:
        """The declared word, or `default`."""
        return self._words.get(name, default)

    def document(self) -> dict[str, float | str]:
        """Numbers and words together, as plain data."""
        return {**self._numbers, **self._words}

    def changed(self, numbers: Mapping[str, float]) -> Values:
        """The same words with `numbers` in the place of all numbers."""
        return Values(numbers, self._words)

    def flows(self, **roles: str) -> dict[str, str]:
        """Role -> flow id, for those of `roles` (role=parameter) that name a flow."""
        return {role: self._words[name] for role, name in roles.items() if self._words.get(name)}


Finding = tuple[str, dict[str, Any]]
"""A message code with its data: what a kind's own check finds."""


@dataclass(frozen=True, slots=True)
class Input:
    """A series over the steps that a kind reads from its setting.

    Attributes:
        name: the key in `Setting.series`.
        unit: of the values.
        about, about_vi: what it is, for people.
        required: whether `build` refuses to go on without it.
    """

    name: str
    unit: str
    about: str
    about_vi: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Built:
    """What an asset became in the network.

    Attributes:
        streams: role -> handle of a source, sink, link or converter: `input`, `output`, `charge`, `discharge`, ...
        stores: role -> handle of a store or of sessions, whose level or shortfall can be asked for.
        capacities: role -> handle of a capacity that the solver chooses.
        flows: role -> declared flow id: the series that a schedule writes for that stream.
        extra: role -> column indices (or other handles) of parts that the plan has no handle for.
    """

    streams: Mapping[str, Any] = field(default_factory=dict)
    stores: Mapping[str, Any] = field(default_factory=dict)
    capacities: Mapping[str, Any] = field(default_factory=dict)
    flows: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of asset.

    Attributes:
        name: the `type` in `assets.csv`.
        title, title_vi: for people.
        parameters, inputs: what it may declare and which series it reads.
        build: puts one asset into the network of a setting.
        check: findings about values that are each allowed but contradict each other.
        example: a declaration that is complete, as it stands in the `parameters` column.
    """

    name: str
    title: str
    title_vi: str
    parameters: tuple[Parameter, ...]
    build: Callable[[Setting, str, Values], Built]
    inputs: tuple[Input, ...] = ()
    check: Callable[[Values], Iterable[Finding]] = lambda _: ()
    example: str = ""


class Price(Protocol):
    """Turns the cost of one unit of capacity into money over the horizon."""

    def __call__(self, cost: float, om: float, life: float) -> float:
        """Money over the horizon for `cost` per unit, `om` per unit and year, `life` in years."""


class Terms(Protocol):
    """What a contract says about every step; `mangrove.rules.contracts` makes them.

    Attributes:
        buy, sell: (T,) money per kWh; sell is None when nothing may be sold.
        demand: money per kW of the highest mean power of a billing month; 0 or None: not charged.
        month: (T,) billing month of each step, from 0.
        window: hours over which power is averaged for the peak.
        export_cap: share of the own generation that may be sold; None: no cap.
    """

    @property
    def buy(self) -> Floats: ...  # noqa: D102 - said above, as for the others
    @property
    def sell(self) -> Floats | None: ...  # noqa: D102
    @property
    def demand(self) -> float | None: ...  # noqa: D102
    @property
    def month(self) -> npt.NDArray[np.int64]: ...  # noqa: D102
    @property
    def window(self) -> float: ...  # noqa: D102
    @property
    def export_cap(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True)
class Setting:
    """Where an asset is built.

    Attributes:
        network: the network under construction.
        node: (place, carrier) -> handle of the node; carriers as written in a declaration ("electricity", "fuel:diesel").
        place: id of the place of the asset.
        series: name of an input -> (T,) values, or (S, T) for scenarios.
        owner: who pays for it.
        price: how a capacity is paid over the horizon; None: capacities are fixed as declared.
        start: level of the asset's store at the start, as a share of what fits in; None: the solver chooses, and the end
            equals the start.
        now: further facts of the moment, by name: `metered` (billed peaks, kW), `packs` (per class of charge).
        terms: prices of a contract, for the grid connection; None elsewhere.
    """

    network: Any
    node: Callable[[str, str], Any]
    place: str
    series: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    owner: str = ""
    price: Price | None = None
    start: float | None = None
    now: Mapping[str, Any] = field(default_factory=dict)
    terms: Terms | None = None

    def at(self, carrier: str) -> Any:
        """The node of `carrier` at the asset's place."""
        return self.node(self.place, carrier)

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return int(self.network.horizon.steps)

    @property
    def hours(self) -> Floats:
        """(T,) length of each step."""
        return np.asarray(self.network.horizon.hours, dtype=np.float64)

    def read(self, asset_id: str, name: str, minimum: float = 0.0, maximum: float = math.inf) -> Floats:
        """The input series `name`, checked: T values, none missing, inside the range.

        Raises:
            RequestError: `assets.series_missing`, `assets.series_length`, `assets.series_value`.
        """
        if name not in self.series:
            raise RequestError("assets.series_missing", asset=asset_id, name=name)
        return checked(asset_id, name, self.series[name], self.steps, minimum=minimum, maximum=maximum)

    def chronological(self, asset_id: str) -> None:
        """Raises `assets.needs_chronology` over representative days, where a level is only known within its day."""
        if self.network.horizon.order is not None:
            raise RequestError("assets.needs_chronology", asset=asset_id)

    def has(self, name: str) -> bool:
        """Whether the input series `name` was given."""
        return name in self.series


def checked(
    asset_id: str,
    name: str,
    values: npt.ArrayLike,
    steps: int,
    *,
    minimum: float = 0.0,
    maximum: float = math.inf,
) -> Floats:
    """A series of `steps` finite values inside [minimum, maximum]; the last axis is time.

    Raises:
        RequestError: `assets.series_length`; `assets.series_value` with the first bad step.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.ndim or array.shape[-1] != steps:
        raise RequestError(
            "assets.series_length",
            asset=asset_id,
            name=name,
            have=array.shape[-1] if array.ndim else 1,
            want=steps,
        )
    bad = ~(np.isfinite(array) & (array >= minimum) & (array <= maximum))
    if bad.any():
        at = np.argwhere(bad)[0]
        value = float(array[tuple(at)])
        raise RequestError(
            "assets.series_value", asset=asset_id, name=name, step=int(at[-1]), value=str(value)
        )
    return array


def read(asset: Asset, kind: Kind) -> Values:
    """The declared parameters of `asset` in canonical units, with the defaults of `kind`.

    Raises:
        DeclarationError: every problem at once, each with the line of the declaration: unknown parameter, wrong unit, no
            number, value out of range, count that is not whole, unknown word, missing parameter, contradiction.

    Example:
        >>> from mangrove.network.assets import KINDS
        >>> from mangrove.territory.cells import parameters
        >>> roof = Asset("roof", "office", "pv", parameters("capacity=0.24 MWp; tilt=10; azimuth=180"))
        >>> read(roof, KINDS["pv"])["capacity"]
        240.0
    """
    known = {parameter.name: parameter for parameter in kind.parameters}
    problems: list[Problem] = []
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}

    def report(code: str, **data: Any) -> None:
        problems.append(Problem(code, {"asset": asset.id, "type": kind.name, **data}, asset.where))

    for name in sorted(asset.parameters.keys() - known.keys()):
        hint = did_you_mean(name, known)
        report("assets.unknown_parameter", name=name, hint=hint, options=", ".join(known))
    for parameter in kind.parameters:
        declared = asset.parameters.get(parameter.name)
        if declared is None and parameter.required:
            report("assets.missing_parameter", name=parameter.name)
        given = parameter.default if declared is None else declared
        if given is not None:
            _value(parameter, given, numbers, words, report)
    values = Values(numbers, words)
    if not problems:
        for code, data in kind.check(values):
            report(code, **data)
    if problems:
        raise DeclarationError(problems)
    return values


def _value(
    parameter: Parameter,
    given: Quantity | str | float,
    numbers: dict[str, float],
    words: dict[str, str],
    report: Callable[..., None],
) -> None:
    """Files one parameter under its name as a word or a number, unless it is reported."""
    if isinstance(given, str) and parameter.unit in {TEXT, CARRIER}:
        _word(parameter, given, report)
        words[parameter.name] = given
        return
    number = _number(parameter, given, report)
    if number is not None:
        numbers[parameter.name] = number


def _word(parameter: Parameter, given: str, report: Callable[..., None]) -> None:
    """Reports a word that is not one of the options, or names no carrier."""
    if parameter.options and given not in parameter.options:
        report("assets.unknown_word", name=parameter.name, value=given, options=", ".join(parameter.options))
    if parameter.unit == CARRIER:
        try:
            Carrier.parse(given)
        except RuleError as error:
            data = {key: value for key, value in error.problem.data.items() if key in {"options", "hint"}}
            report("assets.unknown_carrier", name=parameter.name, value=given, **data)


def _number(parameter: Parameter, given: Quantity | str | float, report: Callable[..., None]) -> float | None:
    """The value in the canonical unit; None after a report."""
    if isinstance(given, str):
        report("assets.not_a_number", name=parameter.name, value=given, example=_example(parameter))
        return None
    if parameter.unit in {TEXT, CARRIER}:
        report("assets.not_a_word", name=parameter.name, value=_said(given))
        return None
    unit = "1" if parameter.unit == "degree" else parameter.unit
    if isinstance(given, Quantity):
        if not given.unit.converts_to(unit):
            report("assets.wrong_unit", name=parameter.name, value=_said(given), unit=parameter.unit)
            return None
        number = given.to(unit)
    else:
        number = float(given)
    if not parameter.minimum <= number <= parameter.maximum:
        report(
            "assets.out_of_range", name=parameter.name, value=_said(given),
            minimum=f"{parameter.minimum:g}", maximum=f"{parameter.maximum:g}",
            unit="" if parameter.unit == "1" else f" {parameter.unit}",
        )  # fmt: skip
        return None
    if parameter.unit == "item" and number != round(number):
        report("assets.not_whole", name=parameter.name, value=_said(given))
        return None
    return number


def _example(parameter: Parameter) -> str:
    """How a value of the parameter may look."""
    bare = {"1": "0.5", "degree": "10"}
    return bare.get(parameter.unit, f"5 {parameter.unit}")


def _said(given: Quantity | str | float) -> str:
    """What was declared; a bare number without the unit 1."""
    return f"{given.value:g}" if isinstance(given, Quantity) and given.unit.text == "1" else str(given)


def sizing(per: str = "kW") -> tuple[Parameter, ...]:
    """The parameters that let the solver choose a capacity, which is counted in `per`."""
    money = f"VND*h/{per.removesuffix('/h')}" if per.endswith("/h") else f"VND/{per}"
    return (
        Parameter("max_capacity", per, "Largest capacity, existing part included; makes it a choice",
                  "Công suất lớn nhất, kể cả phần đã có; khi khai thì công suất được tối ưu"),
        Parameter("cost", money, "Investment per unit of new capacity", "Vốn đầu tư cho mỗi đơn vị công suất mới"),
        Parameter("om", f"{money}/yr", "Yearly cost of operation and upkeep per unit of capacity",
                  "Chi phí vận hành và bảo dưỡng mỗi năm cho mỗi đơn vị công suất"),
        Parameter("life", "yr", "Lifetime", "Tuổi thọ", minimum=1.0),
    )  # fmt: skip


def once() -> Parameter:
    """The part of an investment that does not grow with the size; plans of exchanges pay it when the asset is built at all."""
    return Parameter(
        "cost_fixed", "VND", "Investment when it is built at all, whatever its size; plans of exchanges reckon with it",
        "Vốn đầu tư khi xây dựng, không phụ thuộc công suất; phương án trao đổi có tính đến", default=0.0,
    )  # fmt: skip


def variable_cost(per: str = "kWh") -> Parameter:
    """Money per unit of output beside what comes in."""
    return Parameter(
        "variable_cost", f"VND/{per}", "Cost per unit of output beside energy and fuel; none unless declared",
        "Chi phí cho mỗi đơn vị đầu ra ngoài năng lượng và nhiên liệu; bằng không nếu không khai", default=0.0,
    )  # fmt: skip


def flow(
    name: str = "flow", about: str = "Flow that meters it", about_vi: str = "Dòng đo của nó"
) -> Parameter:
    """A word that names a declared flow."""
    return Parameter(name, TEXT, about, about_vi)


def check_sizing(values: Values) -> Iterator[Finding]:
    """A capacity must be fixed or chosen, and a chosen one needs its cost and lifetime."""
    if "max_capacity" not in values:
        if "capacity" not in values:
            yield "assets.no_capacity", {}
        return
    for name in ("cost", "life"):
        if name not in values:
            yield "assets.sizing_needs", {"name": name}
    if values["max_capacity"] < values.get("capacity", 0.0):
        yield "assets.band", {"low": "capacity", "high": "max_capacity"}


def size(setting: Setting, asset_id: str, values: Values) -> float | Any:
    """The capacity as a number, or as a handle when it is declared as a choice and the setting has a price."""
    existing = values.get("capacity", 0.0)
    if setting.price is None or "max_capacity" not in values:
        return existing
    cost = setting.price(values["cost"], values.get("om", 0.0), values["life"])
    return setting.network.capacity(
        f"{asset_id} size", cost=cost, existing=existing, upper=values["max_capacity"], owner=setting.owner
    )


def limit(capacity: float | Any) -> dict[str, Any]:
    """The keyword of a stream that holds it below `capacity`: `upper` for a number, `capacity` for a handle."""
    return {"upper": capacity} if isinstance(capacity, (int, float)) else {"capacity": capacity}


def chosen(capacity: float | Any, role: str = "capacity") -> dict[str, Any]:
    """`Built.capacities` for a capacity that may be a number."""
    return {} if isinstance(capacity, (int, float)) else {role: capacity}


def annuity(discount: float, years: float = 1.0) -> Price:
    """The price of capacities by annuities: years x (cost x r / (1 - (1 + r)^-life) + om).

    Args:
        discount: real rate per year; 0 spreads the cost evenly over the lifetime.
        years: years of money that the horizon stands for.

    Example:
        >>> round(annuity(0.10)(1000.0, 20.0, 20.0), 2)
        137.46
    """

    def price(cost: float, om: float, life: float) -> float:
        factor = discount / (1.0 - (1.0 + discount) ** -life) if discount else 1.0 / life
        return years * (cost * factor + om)

    return price


def capacity(about: str, about_vi: str, per: str = "kW") -> Parameter:
    """The fixed capacity, or the part that exists already."""
    return Parameter("capacity", per, about, about_vi)


def share(
    name: str, about: str, about_vi: str, *, default: float | None = None, source: str = "declared"
) -> Parameter:
    """An efficiency or another share between 0 and 1; required unless it has a default."""
    return Parameter(name, "1", about, about_vi, default, source, maximum=1.0, required=default is None)


def carrier(name: str, about: str, about_vi: str, default: str) -> Parameter:
    """Which carrier a port takes or gives, by its name in the declaration."""
    return Parameter(name, CARRIER, about, about_vi, default, "the plain carrier of this kind")


def converter(
    setting: Setting,
    asset_id: str,
    values: Values,
    ports: list[tuple[Any, Any]],
    size_: float | Any | None = None,
) -> tuple[Any, dict[str, Any]]:
    """A converter whose activity is its main output, within its capacity; and `Built.capacities`."""
    have = size(setting, asset_id, values) if size_ is None else size_
    cost = values.get("variable_cost", 0.0)
    return setting.network.converter(asset_id, ports, cost=cost, **limit(have)), chosen(have)
