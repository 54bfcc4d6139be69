# SPDX-License-Identifier: Apache-2.0
"""A grid connection as the law prices it: from a contract to the supply of a sizing problem.

Comes in: a `rules.contracts.Contract`, the steps of the case, limits of the connection. Goes out: a `Supply` with prices of each
step before VAT (an enterprise gets it back), its demand charge by month and its cap on what may be sold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.plan.problem import Series, Size, Supply
from mangrove.rules.contracts import Contract


def supply(
    contract: Contract,
    starts: npt.NDArray[np.datetime64],
    hours: float,
    tz: ZoneInfo | str,
    *,
    name: str = "grid",
    upper: Series = np.inf,
    export: float = 0.0,
    factor: Series = 0.0,
    flows: Mapping[str, str] | None = None,
    size: Size | None = None,
) -> Supply:
    """The connection under a contract.

    Where the law changes the cap on sales within the data, the cap of the last day holds: a plan is for the years after it.

    Args:
        contract: how electricity is paid.
        starts: (T,) starts of the steps, UTC.
        hours: length of a step (h).
        tz: time zone of the meter.
        name: of the supply.
        upper: largest import (kW); export: largest export (kW), 0 for none.
        export: see `upper`.
        factor: kg CO2 per kWh, number or (T,).
        flows: role (`import`, `export`) -> declared flow.
        size: of the connection as a choice, in place of `upper`.

    Raises:
        RuleError, RequestError: see `Contract.terms`.
    """
    terms = contract.terms(starts, hours, tz)
    cap = terms.export_cap
    pays = bool(np.any(terms.sell > 0)) and export > 0
    return Supply(
        name,
        buy=terms.buy,
        upper=upper,
        sell=terms.sell if pays else None,
        export=export,
        share=None if cap is None else float(np.atleast_1d(cap)[-1]),
        demand=np.asarray(terms.demand, dtype=float) if np.ndim(terms.demand) else float(terms.demand),
        month=np.asarray(terms.month, dtype=np.int64),
        window=terms.window,
        factor=factor,
        contract=contract,
        flows=dict(flows or {}),
        size=size,
    )


def calendars(
    one: Supply,
    starts: npt.NDArray[np.datetime64],
    hours: float,
    tz: ZoneInfo | str,
    names: Sequence[str] = ("legacy", "963"),
) -> dict[str, Supply]:
    """The same connection under several calendars of the time-of-use hours, for `study.regimes`."""
    return {name: under(one, one.contract.with_hours(name), starts, hours, tz) for name in names}


def under(
    one: Supply, contract: Any, starts: npt.NDArray[np.datetime64], hours: float, tz: ZoneInfo | str
) -> Supply:
    """The same connection under another contract."""
    priced = supply(contract, starts, hours, tz, name=one.name, export=one.export)
    return replace(
        priced, upper=one.upper, factor=one.factor, flows=one.flows, export=one.export, size=one.size
    )
