# SPDX-License-Identifier: Apache-2.0
"""Verb: what will flow in the next days, with quantiles, samples and a score against the naive forecast.

The package is also the verb itself: `mangrove.forecast(park, ...)` calls `mangrove.api.forecast`. For arrays instead of a territory
there are `Forecaster` (one series), `joint_samples` (several) and `Outlook` (for an operation that plans again and again); they are
loaded when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mangrove.verbs import make_callable

if TYPE_CHECKING:
    from mangrove.forecast.forecaster import Forecast, Forecaster, joint_samples
    from mangrove.forecast.outlook import Outlook
    from mangrove.forecast.run import ForecastReport

_WHERE = {
    "Forecast": "forecaster", "Forecaster": "forecaster", "joint_samples": "forecaster", "Outlook": "outlook",
    "ForecastReport": "run",
}  # fmt: skip
__all__ = ["Forecast", "ForecastReport", "Forecaster", "Outlook", "joint_samples"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


make_callable(__name__)
