# SPDX-License-Identifier: Apache-2.0
"""Figures: pure functions from plain data to SVG text, used by reports, pages and notebooks alike."""
