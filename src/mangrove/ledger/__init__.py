# SPDX-License-Identifier: Apache-2.0
"""Values and runs: append-only, durable before acknowledged, as known at any moment."""
