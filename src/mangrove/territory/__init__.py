# SPDX-License-Identifier: Apache-2.0
"""What is declared: a folder of plain files becomes a frozen `Territory`, or a list of problems."""
