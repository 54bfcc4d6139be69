# SPDX-License-Identifier: Apache-2.0
"""Engine: networks of pipes. Adapters to EPANET (water supply, through wntr) and SWMM (drainage, through swmm-toolkit).

Comes in: an .inp file. Goes out: its nodes and links as arrays with their places, what a simulation says of them, a GeoPackage. The
solvers run in a process of their own, so that a crash, an endless run or an interrupt takes nothing else down.
"""

from mangrove.hydraulics.drainage import Drainage, Rain, simulate_drainage, storm
from mangrove.hydraulics.network import Network, read_network
from mangrove.hydraulics.supply import Supply, simulate_supply

__all__ = [
    "Drainage",
    "Network",
    "Rain",
    "Supply",
    "read_network",
    "simulate_drainage",
    "simulate_supply",
    "storm",
]
