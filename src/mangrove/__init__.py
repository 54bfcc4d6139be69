# SPDX-License-Identifier: Apache-2.0
"""Measure, forecast, operate, plan and settle the emissions of cities and eco-industrial parks."""
