# SPDX-License-Identifier: Apache-2.0
"""OCPP: chargers speak to us (1.6-J and 2.0.1), and are told how much they may draw.

Comes in: websockets of declared chargers. Goes out: values of flows, sessions, and charging profiles. The optional package `ocpp`
is imported when the first charger connects.
"""

from mangrove.sources.ocpp.central import CentralSystem, router
from mangrove.sources.ocpp.profiles import Charger, OcppCharger, Period, Sent, planned

__all__ = ["CentralSystem", "Charger", "OcppCharger", "Period", "Sent", "planned", "router"]
