# SPDX-License-Identifier: Apache-2.0
"""Door: values in, from files, drop folders and brokers."""
