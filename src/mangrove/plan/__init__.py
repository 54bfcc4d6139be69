# SPDX-License-Identifier: Apache-2.0
"""Verb: which capacities to build, over a year or several, with what they cost, save and emit."""
