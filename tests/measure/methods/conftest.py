# SPDX-License-Identifier: Apache-2.0
"""A flow in a small park, and the arithmetic of one coefficient, for the tests of all methods."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mangrove import rules
from mangrove.measure import methods
from mangrove.measure.types import Coefficient, MethodResult
from mangrove.territory.model import Carrier, Flow, LocalFactor, Territory
from mangrove.times import Step
from mangrove.units import Quantity, unit

YEAR = (date(2023, 1, 1), date(2024, 1, 1))


@dataclass
class Measured:
    """What the methods said of one flow."""

    flow: Flow
    result: MethodResult
    codes: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.codes = [gap.code for gap in self.result.gaps]

    def pick(
        self, gas: str, *, account: str = "", view: str = "", on: date | None = None
    ) -> list[Coefficient]:
        """The coefficients of one gas, account and view (that hold at noon of the day `on`)."""
        noon = on and datetime(on.year, on.month, on.day, 5, tzinfo=UTC)
        return [
            c
            for c in self.result.coefficients
            if (c.gas, c.account, c.view) == (gas, account, view)
            and (noon is None or (c.valid_from <= noon < c.valid_to))
        ]

    def kg(self, gas: str, **where) -> float:
        """Kilograms of the gas per unit of the flow, added over all its coefficients."""
        found = self.pick(gas, **where)
        assert found, f"no coefficient of {gas} {where}: gaps {self.result.gaps}"
        return sum(c.value for c in found)


Ask = Callable[..., Measured]


@pytest.fixture(scope="session")
def book() -> rules.Rules:
    return rules.load()


@pytest.fixture
def ask(book: rules.Rules) -> Ask:
    """Asks the method of a flow declared by keywords; texts become carriers, units, steps and quantities."""

    def run(
        carrier: str,
        written_unit: str,
        *,
        parameters: dict[str, str] | None = None,
        others: tuple[Flow, ...] = (),
        factors: tuple[LocalFactor, ...] = (),
        span: tuple[date, date] = YEAR,
        allow: tuple[str, ...] = (),
        step: str = "",
        **columns,
    ) -> Measured:
        flow = Flow(
            id="f",
            place="lot",
            carrier=Carrier.parse(carrier),
            unit=unit(written_unit),
            step=Step.parse(step) if step else None,
            parameters={name: _value(text) for name, text in (parameters or {}).items()},
            **{"scope": 1, **columns},
        )
        territory = Territory(
            path=Path("park"),
            name="park",
            kind="park",
            timezone="Asia/Ho_Chi_Minh",
            currency="VND",
            lang="en",
            gwp=None,
            places={},
            flows={f.id: f for f in (flow, *others)},
            factors=factors,
        )
        return Measured(flow, methods.apply(flow, territory, book, *span, allow=allow))

    return run


def _value(text: str) -> Quantity | str:
    """A quantity when the text is one, as the loader of a territory reads it."""
    if text[:1].isdigit() and ";" not in text:
        return Quantity.parse(text, "1") if text.replace(".", "").isdigit() else Quantity.parse(text)
    return text
