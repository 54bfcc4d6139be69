# SPDX-License-Identifier: Apache-2.0
"""Verb: flows x factors, with uncertainty, in views that agree, and every number explained."""
