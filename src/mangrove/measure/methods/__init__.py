# SPDX-License-Identifier: Apache-2.0
"""The measuring methods: named, versioned functions from one declared flow to coefficients."""
