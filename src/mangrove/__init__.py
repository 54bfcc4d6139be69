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
    from mangrove.city import event, hotspots, nowcast, why
    from mangrove.compare import adopt, compare
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
    from mangrove.hazard import alerts
    from mangrove.locate import locate
    from mangrove.measure.sensing import invert
    from mangrove.raster import raster
    from mangrove.station_change import station_change
    from mangrove.virtual import virtual

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
    **dict.fromkeys(("event", "hotspots", "nowcast", "why"), "mangrove.city"),
    **dict.fromkeys(("adopt", "compare"), "mangrove.compare"),
    **{name: f"mangrove.{name}" for name in ("locate", "raster", "station_change", "virtual")},
    "Handle": "mangrove.handle",
    "alerts": "mangrove.hazard",
    "invert": "mangrove.measure.sensing",
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
    "adopt",
    "alerts",
    "backtest",
    "bill",
    "budget",
    "check",
    "compare",
    "diff",
    "each_site",
    "event",
    "forecast",
    "hotspots",
    "ingest",
    "invert",
    "locate",
    "measure",
    "nowcast",
    "open",
    "operate",
    "plan",
    "raster",
    "readings",
    "records",
    "repair",
    "replay",
    "settle",
    "station_change",
    "virtual",
    "why",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mangrove' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
