# SPDX-License-Identifier: Apache-2.0
"""What an action asks for, beside what the territory declares: the questions that the types of actions have in common.

Comes in: the keys of one action. Goes out: flows that its selector means, numbers in the units of those flows, or a `KeyProblem`
that names the key which is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mangrove.errors import MangroveError, did_you_mean
from mangrove.plan.scenario import Effect
from mangrove.territory.model import Flow, Territory
from mangrove.units import Quantity, Unit, unit

_HOUR = unit("h")


class KeyProblemError(MangroveError):
    """A key of an action that makes no sense; `at` says which."""

    def __init__(self, code: str, at: str, **data: Any) -> None:
        super().__init__(code, **data)
        self.at = at


@dataclass(frozen=True, slots=True)
class Asked:
    """One action and the world that it stands in.

    Attributes:
        keys: as read; territory: what is declared; flows: the declared flows and those of the scenario.
    """

    keys: Mapping[str, Any]
    territory: Territory
    flows: Mapping[str, Flow]

    def flow(self, name: str, key: str) -> Flow:
        """The flow called `name`."""
        if name not in self.flows:
            raise KeyProblemError("territory.no_flow", key, text=name, hint=did_you_mean(name, self.flows))
        return self.flows[name]

    def selected(self) -> tuple[str, ...]:
        """The flows that place, sector and flow mean together.

        Without ids only flows of the inventory are meant: who saves a tenth of a sector does not cut its roofs. States (temperatures,
        levels) are never meant.
        """
        named = [self.flow(name, "flow").id for name in self.keys["flow"]]
        place, sector = self.keys["place"], self.keys["sector"]
        if not (named or place or sector):
            raise KeyProblemError("scenario.no_selector", "id")
        found = [
            flow.id
            for flow in self.flows.values()
            if (not named or flow.id in named)
            and (not place or self.territory.lies_in(flow.place, place))
            and (not sector or flow.sector == sector)
            and flow.semantics != "state"
            and (named or flow.account == "inventory")
        ]
        if not found:
            raise KeyProblemError(
                "scenario.selects_nothing", "flow" if named else "place" if place else "sector"
            )
        return tuple(sorted(found))

    def ratio(self, source: Flow, target: Flow) -> float:
        """`ratio` as amount of `target` per amount of `source`, in their units."""
        written: Quantity | None = self.keys["ratio"]
        if written is None:
            if not amount_unit(source).converts_to(amount_unit(target)):
                raise KeyProblemError(
                    "scenario.needs_ratio", "into", source=source.unit.text, target=target.unit.text
                )
            return amount_unit(source).to(amount_unit(target))
        per = amount_unit(target) / amount_unit(source)
        if written.unit.dimension != per.dimension and not (
            written.unit.dimension == unit("1").dimension
            and amount_unit(source).converts_to(amount_unit(target))
        ):
            data = {"text": str(written), "expected": f"{target.unit.text}/{source.unit.text}"}
            raise KeyProblemError("scenario.ratio_unit", "ratio", **data)
        if written.value < 0:
            raise KeyProblemError("territory.negative", "ratio", text=str(written))
        if written.unit.dimension == per.dimension and per.dimension != unit("1").dimension:
            return written.value * written.unit.to(per)
        return written.to("1") * amount_unit(source).to(amount_unit(target))

    def effects(self) -> tuple[Effect, ...]:
        """What the asset changes, an hour."""
        found = []
        for number, row in enumerate(self.keys["effects"]):
            if row["flow"] and row["amount"]:
                flow = self.flow(row["flow"], f"effects/{number}/flow")
                amount = self.hourly(row["amount"], flow, f"effects/{number}/amount")
                found.append(Effect(flow.id, amount, row["uncertainty"]))
        return tuple(found)

    def hourly(self, amount: Quantity, flow: Flow, key: str) -> float:
        """An amount by time, or by time and size, as an amount of the flow an hour."""
        per = amount_unit(flow) / _HOUR
        if amount.unit.dimension == per.dimension:
            return amount.value * amount.unit.to(per)
        size: Quantity | None = self.keys["size"]
        if size is not None and (amount.unit * size.unit).dimension == per.dimension:
            return amount.value * size.value * (amount.unit * size.unit).to(per)
        expected = f"{flow.unit.text}/yr" + (f", {flow.unit.text}/({size.unit.text})/yr" if size else "")
        raise KeyProblemError("scenario.amount_unit", key, text=str(amount), flow=flow.id, expected=expected)


def amount_unit(flow: Flow) -> Unit:
    """The unit of the amounts of a flow: that of its values, times an hour for a rate."""
    return flow.unit * _HOUR if flow.semantics in ("mean", "state") else flow.unit
