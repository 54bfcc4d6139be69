# SPDX-License-Identifier: Apache-2.0
"""`python -m mangrove` is the command line."""

from mangrove.cli import main

main()
