# SPDX-License-Identifier: Apache-2.0
"""Door: what people see. It reads, asks verbs to run, and shows."""
