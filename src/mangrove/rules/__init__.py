# SPDX-License-Identifier: Apache-2.0
"""Dated external facts: factors, GWP sets, fuels, tariffs, codes; each with status and source."""
