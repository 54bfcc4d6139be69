# SPDX-License-Identifier: Apache-2.0
"""Engine: observations with errors. Screening finds what is wrong with values; repair estimates what is missing."""
