# SPDX-License-Identifier: Apache-2.0
"""Eco-industrial park: indicators with provenance, what is missing to certification, the annual forms.

Comes in: an opened territory and a year. Goes out: `Indicators`, gaps, `Form`, and the compliance of effluents.
"""

from mangrove.measure.eip.answers import check as check_answers
from mangrove.measure.eip.answers import known as known_answer
from mangrove.measure.eip.effluent import Check, Outlet
from mangrove.measure.eip.forms import Form, Line, form
from mangrove.measure.eip.gaps import Gap, gaps
from mangrove.measure.eip.indicators import assessment, indicators
from mangrove.measure.eip.types import Indicators, Measure, Reading

__all__ = [
    "Check", "Form", "Gap", "Indicators", "Line", "Measure", "Outlet", "Reading", "assessment", "check_answers", "form",
    "gaps", "indicators", "known_answer",
]  # fmt: skip
