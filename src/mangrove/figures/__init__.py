# SPDX-License-Identifier: Apache-2.0
"""Figures: pure functions from plain data to SVG text, used by reports, pages and notebooks alike."""

from mangrove.figures.bars import Bar, interval_bars, stacked_bars
from mangrove.figures.carpet import carpet
from mangrove.figures.composite import UtilityStep, composite_curves, grand_composite, site_profile
from mangrove.figures.cost_curve import Block, cost_curve
from mangrove.figures.day import Stretch, balance_areas, band_lines
from mangrove.figures.frontier import Spot, frontier
from mangrove.figures.geo import Point, Shape, voronoi_cells
from mangrove.figures.maps import choropleth
from mangrove.figures.pins import Pin
from mangrove.figures.sankey import SankeyLink, sankey
from mangrove.figures.series import Coverage, coverage_strip, sparkline, stacked_series
from mangrove.figures.waterfall import Stage, waterfall
from mangrove.figures.wedges import wedges

__all__ = [
    "Bar",
    "Block",
    "Coverage",
    "Pin",
    "Point",
    "SankeyLink",
    "Shape",
    "Spot",
    "Stage",
    "Stretch",
    "UtilityStep",
    "balance_areas",
    "band_lines",
    "carpet",
    "choropleth",
    "composite_curves",
    "cost_curve",
    "coverage_strip",
    "frontier",
    "grand_composite",
    "interval_bars",
    "sankey",
    "site_profile",
    "sparkline",
    "stacked_bars",
    "stacked_series",
    "voronoi_cells",
    "waterfall",
    "wedges",
]
