# SPDX-License-Identifier: Apache-2.0
"""The traffic engine: road networks as arrays, equilibrium flows, trips estimated from counts.

Comes in: links with travel-time functions, zones, trips or counts. Goes out: flows and times per link. Units are the caller's: flows,
capacities and trips in one unit per hour (motorcycle units in a city of motorbikes), times in one unit.
"""
