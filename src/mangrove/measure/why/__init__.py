# SPDX-License-Identifier: Apache-2.0
"""Why emissions changed between two periods, what an event changed, and where most of them come from."""
