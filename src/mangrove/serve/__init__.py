# SPDX-License-Identifier: Apache-2.0
"""Door: what people see. It reads, asks verbs to run, and shows."""

from mangrove.serve.report import render_report, write_report
from mangrove.serve.report_model import (
    Amount,
    Card,
    CarpetFigure,
    Command,
    Condition,
    CoverageFigure,
    ExcludedRow,
    FactorUse,
    FlowFigure,
    GapRow,
    GasRow,
    GpcRow,
    Identity,
    MapFigure,
    MonthFigure,
    ReportModel,
    Row,
)

__all__ = [
    "Amount",
    "Card",
    "CarpetFigure",
    "Command",
    "Condition",
    "CoverageFigure",
    "ExcludedRow",
    "FactorUse",
    "FlowFigure",
    "GapRow",
    "GasRow",
    "GpcRow",
    "Identity",
    "MapFigure",
    "MonthFigure",
    "ReportModel",
    "Row",
    "render_report",
    "write_report",
]
