# SPDX-License-Identifier: Apache-2.0
"""OGC SensorThings API 1.1 and 2.0 over the territory and its ledger, and an NGSI-LD view of the last values.

Comes in: requests of sensors, gateways, maps and scripts that speak the standard. Goes out: the declared places, flows and
meters as entities, the values of the ledger as Observations, and whatever clients created beside them.
"""

from mangrove.serve.sta.errors import StaError
from mangrove.serve.sta.routes import router
from mangrove.serve.sta.service import SensorThings

__all__ = ["SensorThings", "StaError", "router"]
