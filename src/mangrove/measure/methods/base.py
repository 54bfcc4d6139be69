# SPDX-License-Identifier: Apache-2.0
"""What every measuring method stands on: its declaration, and the context that it reads facts from.

Comes in: one flow, its territory, the rules and a day. Goes out: coefficients, responses and gaps that a method
function collected with `Context.emit`. A method lists the terms of its equation in the units in which they are
printed; `emit` closes the product to kilograms per unit of the flow and refuses one whose dimensions are not a
mass, so a wrong equation or a wrong unit of a flow can never become a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache

from mangrove.errors import RuleError
from mangrove.measure.types import Coefficient, Gap, Response, Term
from mangrove.rules import Rules
from mangrove.rules.types import Factor
from mangrove.territory.model import Flow, LocalFactor, Territory
from mangrove.units import Dimension, Quantity, Unit, unit

CO2_PER_C = 44 / 12
"""Mass of CO2 per mass of carbon; molar masses as rounded by the IPCC (2006 Guidelines, all volumes)."""
N2O_PER_N = 44 / 28
"""Mass of N2O per mass of nitrogen (IPCC 2006 Guidelines, Volume 4, Chapter 11, Eq 11.1)."""
CH4_PER_C = 16 / 12
"""Mass of CH4 per mass of carbon (IPCC 2006 Guidelines, Volume 5, Chapter 3, Eq 3.6)."""

_SHARE_TOLERANCE = 1e-6  # shares written in percent are rounded
_KILOGRAM = unit("kg")
_HOUR = unit("h")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A quantity or a word that a flow may or must state for a method.

    Attributes:
        name: as written in the `parameters` column of `flows.csv`.
        unit: a unit that the quantity must convert to; "text" for a word.
        description_en, description_vi: what it is, for people.
        required: whether the method has a gap without it.
    """

    name: str
    unit: str
    description_en: str
    description_vi: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """A named, versioned measuring method.

    Attributes:
        name, version: what a stored measurement names; a change of numbers is a new version.
        title_en, title_vi: what it measures, for people.
        equation: in the symbols that its terms carry.
        units: what the flow measures, and units that fit, in words.
        source: document, chapter, equation.
        carriers: carriers for which it is the default: `kind` or `kind:code`.
        parameters: what the flow may state.
        function: reads a `Context` and emits into it.
    """

    name: str
    version: str
    title_en: str
    title_vi: str
    equation: str
    units: str
    source: str
    carriers: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    function: Callable[[Context], None]


class MissingFactError(Exception):
    """A fact that a product needs is not there; becomes a gap row, never leaves this room."""

    def __init__(self, code: str, **data: object) -> None:
        self.code = code
        self.data = data
        super().__init__(code)


@dataclass(frozen=True)
class Given:
    """A fact of the context before it takes a place in an equation: a declared parameter or a chosen rule."""

    value: float
    unit: Unit
    factor: Factor | None = None
    origin: str = "rule"
    uncertainty: float = 0.0
    shared: str = ""
    note: str = ""

    def term(self, symbol: str, power: int = 1) -> Term:
        """The fact as a term of a product."""
        return Term(
            symbol=symbol,
            value=self.value,
            unit=self.unit.text,
            power=power,
            factor=self.factor,
            origin=self.origin,
            uncertainty=self.uncertainty,
            shared=self.shared,
            note=self.note,
        )

    def to(self, target: str) -> Given:
        """The same fact in another unit.

        Raises:
            MissingFactError: the unit does not convert.
        """
        if not self.unit.converts_to(target):
            raise MissingFactError("methods.wrong_unit", unit=self.unit.text, expected=target)
        return replace(self, value=self.value * self.unit.to(target), unit=unit(target))

    def checked(self, target: str) -> Given:
        """The same fact, once its unit is known to convert to `target`."""
        self.to(target)
        return self


@dataclass
class Context:
    """Everything that one method may read for one flow on one day, and what it emitted.

    Attributes:
        flow, territory, rules: the facts.
        start, end: the local dates (half-open) for which an answer is asked; facts are read on `start`.
        allow: statuses of rules that may be used besides official ones.
        until: the first day on which a fact that was read changes, at most `end`.
        coefficients, responses, gaps: what was emitted.
        product_with: id of a second flow that multiplies this one.
    """

    flow: Flow
    territory: Territory
    rules: Rules
    start: date
    end: date
    allow: tuple[str, ...] = ()
    until: date = field(init=False)
    coefficients: list[Coefficient] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    product_with: str = ""

    def __post_init__(self) -> None:
        self.until = self.end

    # What the flow measures

    @property
    def amount(self) -> Unit:
        """The unit of the amount: the flow's unit, times an hour for a rate or a standing stock."""
        if self.flow.semantics in ("mean", "state"):
            return self.flow.unit * _HOUR
        return self.flow.unit

    @property
    def activity(self) -> str:
        """The activity key that the flow names, or an empty string."""
        return self.flow.factor

    # Facts

    def word(self, name: str, default: str = "") -> str:
        """A declared parameter as a word, or `default`."""
        value = self.flow.parameters.get(name)
        return default if value is None else str(value).strip()

    def required_word(self, name: str) -> str:
        """A declared parameter as a word; a gap without it."""
        if name not in self.flow.parameters:
            raise MissingFactError("methods.needs_parameter", parameter=name, expected="text")
        return self.word(name)

    def declared(self, name: str, target: str) -> Given | None:
        """A declared parameter as a quantity, with its stated uncertainty; None when the flow does not state it.

        Args:
            name: of the parameter.
            target: the unit that it must convert to ("1" for fractions: "85 %" counts 0.85).

        Raises:
            MissingFactError: it is a word, or its unit does not convert.
        """
        quantity = self._quantity(name, target)
        if quantity is None:
            return None
        width = self._quantity(f"{name}_uncertainty", "1")
        given = Given(
            value=quantity.value,
            unit=quantity.unit,
            origin="parameter",
            uncertainty=width.to("1") if width else 0.0,
            shared=f"{self.flow.id}:{name}" if width else "",
            note=name,
        )
        return given.to(target) if target == "1" else given

    def required(self, name: str, target: str) -> Given:
        """A declared parameter as a quantity; a gap without it."""
        given = self.declared(name, target)
        if given is None:
            raise MissingFactError("methods.needs_parameter", parameter=name, expected=target)
        return given

    def _quantity(self, name: str, target: str) -> Quantity | None:
        value = self.flow.parameters.get(name)
        if value is None:
            return None
        try:
            quantity = value if isinstance(value, Quantity) else Quantity.parse(value, target)
            quantity.unit.to(target)
        except RuleError:
            raise MissingFactError(
                "methods.bad_parameter", parameter=name, text=str(value), expected=target
            ) from None
        return quantity

    def factor(self, activity: str, gas: str) -> Given:
        """The direct factor that holds on the day; only such a row may be multiplied with an activity.

        Raises:
            MissingFactError: with the reason of the rules (none exists, none is valid, sources contradict).
        """
        try:
            pieces = self.rules.periods(
                activity, gas, self.start, self.end, local=self.territory.factors, allow=self.allow
            )
        except RuleError as error:
            raise MissingFactError(error.code, **error.problem.data) from None
        _, until, outcome = pieces[0]
        self.until = min(self.until, until)
        if isinstance(outcome, RuleError):
            raise MissingFactError(outcome.code, **outcome.problem.data)
        cautions = [outcome.caution, "methods.sources_differ" if outcome.conflict else ""]
        return self._given(outcome.chosen, cautions)

    def tabled(self, activity: str, gas: str = "") -> Given:
        """The correction or parameter of a formula that holds on the day.

        Raises:
            MissingFactError: with the reason of the rules.
        """
        try:
            row = self.rules.parameter(
                activity, self.start, gas, local=self.territory.factors, allow=self.allow
            )
        except RuleError as error:
            raise MissingFactError(error.code, **error.problem.data) from None
        self.until = min(
            self.until, _next_edge(self.rules, self.territory.factors, row.activity, self.start, self.until)
        )
        return self._given(row, [f"rules.caution_{row.status}" if row.status != "official" else ""])

    def fact(self, name: str, target: str, activity: str, gas: str = "") -> Given:
        """What the flow states as parameter `name`, or else the tabled correction or parameter; a gap without both."""
        given = self.declared(name, target) or self.tabled(activity, gas)
        return given if given.origin == "parameter" else given.checked(target)

    def gases(self, activity: str) -> tuple[str, ...]:
        """The gases for which the activity has factors, the territory's own included."""
        return self.rules.gases(activity, local=self.territory.factors)

    def _given(self, row: Factor, cautions: Iterable[str]) -> Given:
        width, _ = self.rules.uncertainty(row)
        return Given(
            value=row.value,
            unit=unit(row.unit),
            factor=row,
            uncertainty=0.0 if math.isnan(width) else width,
            shared=row.shared or row.id,
            note=" ".join(code for code in cautions if code),
        )

    # Emission

    @contextmanager
    def part(self) -> Iterator[None]:
        """Runs one product; a missing fact inside becomes a gap and the other products stand."""
        try:
            yield
        except MissingFactError as missing:
            self.gap(missing.code, **missing.data)

    def gap(self, code: str, **data: object) -> None:
        """Says that something cannot be computed."""
        gap = Gap(code, self.flow.id, data)
        if gap not in self.gaps:
            self.gaps.append(gap)

    def closed(self, terms: Iterable[Term], amount: Unit | None = None) -> tuple[Term, ...]:
        """The terms with a last one that turns their units into kilograms per unit of the flow.

        Raises:
            MissingFactError: the product of the flow's amount and the terms is not a mass.
        """
        product = tuple(terms)
        measured = self.amount if amount is None else amount
        scale, dimension = measured.scale, measured.dimension
        for term in product:
            part = unit(term.unit)
            scale *= part.scale**term.power
            dimension = _added(dimension, part.dimension, term.power)
        if dimension != _KILOGRAM.dimension:
            raise MissingFactError("methods.not_a_mass", unit=self.flow.unit.text, terms=_chain(product))
        factor = scale / _KILOGRAM.scale
        if math.isclose(factor, 1.0, rel_tol=1e-15):
            return product
        return (
            *product,
            Term("units", factor, "1", origin="unit", note=f"{measured.text}{_chain(product)} -> kg"),
        )

    def emit(
        self,
        gas: str,
        terms: Iterable[Term],
        *,
        account: str = "",
        view: str = "",
        note: str = "",
        amount: Unit | None = None,
    ) -> None:
        """Adds the coefficient of `gas`: the product of `terms`, closed to kilograms per unit of the flow.

        Args:
            gas: the gas.
            terms: the product, in the order of the equation.
            account: `memo`, `avoided` or `removal`; empty for the flow's own.
            view: `location` or `market`; empty for both.
            note: message code of something that a reader must know; the cautions of the rules are added.
            amount: unit of what the product is multiplied with; the flow's own when None.
        """
        closed = self.closed(terms, amount)
        said = dict.fromkeys([note, *(code for term in closed if term.factor for code in term.note.split())])
        notes = " ".join(code for code in said if code)
        self.coefficients.append(Coefficient(gas, closed, account=account, view=view, note=notes))


def constant(symbol: str, value: float, note: str, unit_text: str = "1") -> Term:
    """A number of chemistry or of the method itself, with its source in `note`."""
    return Term(symbol, value, unit_text, origin="constant", note=note)


def complement(given: Given, symbol: str) -> Term:
    """`1 - x` as a term, for a fraction `x`; its relative error is the absolute error of `x` over `1 - x`, negative.

    The sign of the error is lost in a half-width, so the term is an error of its own.

    Raises:
        MissingFactError: `x` is not between 0 and 1.
    """
    share = given.to("1")
    if not 0.0 <= share.value <= 1.0:
        raise MissingFactError("methods.not_a_fraction", parameter=symbol, value=share.value)
    rest = 1.0 - share.value
    width = share.uncertainty * share.value / rest if rest else 0.0
    shared = f"1-{share.shared}" if width else ""
    return replace(share, value=rest, uncertainty=width, shared=shared).term(symbol)


def fraction(given: Given, symbol: str, power: int = 1) -> Term:
    """A share between 0 and 1 as a term; an efficiency divides with power -1.

    Raises:
        MissingFactError: it is not between 0 and 1 (a percentage entered as a bare number, for example).
    """
    share = given.to("1")
    if not 0.0 <= share.value <= 1.0:
        raise MissingFactError("methods.not_a_fraction", parameter=symbol, value=share.value)
    return share.term(symbol, power)


def mixture(ctx: Context, parameter: str, single: str) -> list[tuple[str, list[Term]]]:
    """The components of a mix with their shares: `anthracite 60 % + wood 40 %`, or one word alone.

    Args:
        ctx: the context.
        parameter: name of the parameter that may state the mix.
        single: the component when the flow states no mix.

    Returns:
        Pairs of component and the terms of its share (none for a single component).

    Raises:
        MissingFactError: nothing is stated, a share cannot be read, or the shares do not add up to 1.
    """
    written = ctx.word(parameter) or single
    if not written:
        raise MissingFactError("methods.needs_parameter", parameter=parameter, expected="text")
    if " " not in written:
        return [(written, [])]
    shares: list[tuple[str, float]] = []
    for part in written.split("+"):
        name, _, share = part.strip().partition(" ")
        try:
            shares.append((name, Quantity.parse(share, "1").to("1")))
        except RuleError:
            raise MissingFactError(
                "methods.bad_parameter", parameter=parameter, text=written, expected="food 60 % + paper 40 %"
            ) from None
    total = sum(share for _, share in shares)
    if abs(total - 1.0) > _SHARE_TOLERANCE:
        raise MissingFactError("methods.shares_not_one", parameter=parameter, total=f"{total:.6g}")
    one = unit("1")
    return [
        (name, [Given(share, one, origin="parameter", note=parameter).term("share")])
        for name, share in shares
    ]


def counted_time(ctx: Context) -> list[Term]:
    """The length of one value, for a stock that is declared as a sum (heads a year, hectares a year).

    A standing stock (semantics `state` or `mean`) already has its time from the engine.

    Raises:
        MissingFactError: the flow states no step.
    """
    if ctx.amount.dimension[2]:
        return []
    step = ctx.flow.step
    if step is None:
        raise MissingFactError("methods.needs_step")
    length, text = (step.months, "month") if step.months else (step.seconds, "s")
    return [Term("step", float(length), text, origin="unit")]


def _next_edge(rules: Rules, local: Iterable[LocalFactor], activity: str, start: date, end: date) -> date:
    """The first day after `start` on which a row of the activity starts or stops to hold, at most `end`."""
    own = [
        edge for row in local if row.activity == activity for edge in (row.valid_from, row.valid_to) if edge
    ]
    later = [edge for edge in (*own, *_edges(rules).get(activity, ())) if start < edge < end]
    return min(later, default=end)


@lru_cache(maxsize=4)
def _edges(rules: Rules) -> dict[str, tuple[date, ...]]:
    """The days on which dated rows start or stop to hold, by activity."""
    found: dict[str, set[date]] = {}
    for row in rules.factors:
        days = {edge for edge in (row.valid_from, row.valid_to) if edge}
        if days:
            found.setdefault(row.activity, set()).update(days)
    return {activity: tuple(sorted(days)) for activity, days in found.items()}


def _added(left: Dimension, right: Dimension, power: int) -> Dimension:
    return tuple(a + power * b for a, b in zip(left, right, strict=True))  # type: ignore[return-value]


def _chain(terms: Iterable[Term]) -> str:
    """The units of a product, as text: ` x TJ/Gg / kg/L`."""
    return "".join(f" {'x' if term.power > 0 else '/'} {term.unit}" for term in terms if term.unit != "1")
