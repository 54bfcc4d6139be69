# SPDX-License-Identifier: Apache-2.0
"""Gridding: which share of every shape lies in which cell, exactly; and emissions as profiles x maps, never as a cube.

Comes in: shapes, cells, series. Goes out: sparse weights (`weights`), a `Field` that answers for any zone and any time, and files for
others (`netcdf`, `geoparquet`). Nothing here knows a territory.
"""

from mangrove.gridding.field import Field
from mangrove.gridding.grid import Grid, project, unproject, utm
from mangrove.gridding.shares import weights

__all__ = ["Field", "Grid", "project", "unproject", "utm", "weights"]
