# SPDX-License-Identifier: Apache-2.0
"""Eco-industrial park: indicators with provenance, what is missing to certification, the annual forms.

Comes in: an opened territory and a year. Goes out: `Indicators`, `Form`, and the compliance of effluents.
"""
