# SPDX-License-Identifier: Apache-2.0
"""The screens, one file each: `SCREEN` and the model behind it. See `mangrove.serve.screens`."""
