# SPDX-License-Identifier: Apache-2.0
"""Measure, forecast, operate, plan and settle the emissions of cities and eco-industrial parks.

The verbs are the public surface:

    import mangrove as mg
    park = mg.open("examples/park")
    mg.ingest(park, "meters.csv")
    result = mg.measure(park, "2024", by=["place", "gas"], every="1h", gwp="AR5")

Names load on first use, so that `mangrove --help` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mangrove.api import (
        backtest,
        bill,
        budget,
        check,
        diff,
        each_site,
        forecast,
        ingest,
        measure,
        open,  # noqa: A004 - mg.open
        operate,
        plan,
        readings,
        records,
        repair,
        replay,
        settle,
    )
    from mangrove.errors import (
        DataQualityError,
        DeclarationError,
        InfeasibleError,
        LedgerError,
        MangroveError,
        RequestError,
        RuleError,
        SourceError,
    )
    from mangrove.handle import Handle

_HOMES = {
    **dict.fromkeys(
        (
            "backtest",
            "bill",
            "budget",
            "check",
            "diff",
            "each_site",
            "forecast",
            "ingest",
            "measure",
            "open",
            "operate",
            "plan",
            "readings",
            "records",
            "repair",
            "replay",
            "settle",
        ),
        "mangrove.api",
    ),
    **dict.fromkeys(
        (
            "DataQualityError",
            "DeclarationError",
            "InfeasibleError",
            "LedgerError",
            "MangroveError",
            "RequestError",
            "RuleError",
            "SourceError",
        ),
        "mangrove.errors",
    ),
    "Handle": "mangrove.handle",
}

__all__ = [
    "DataQualityError",
    "DeclarationError",
    "Handle",
    "InfeasibleError",
    "LedgerError",
    "MangroveError",
    "RequestError",
    "RuleError",
    "SourceError",
    "backtest",
    "bill",
    "budget",
    "check",
    "diff",
    "each_site",
    "forecast",
    "ingest",
    "measure",
    "open",
    "operate",
    "plan",
    "readings",
    "records",
    "repair",
    "replay",
    "settle",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mangrove' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
