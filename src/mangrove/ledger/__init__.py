# SPDX-License-Identifier: Apache-2.0
"""Values and runs: append-only, durable before acknowledged, as known at any moment.

Comes in: batches of values with their origin. Goes out: receipts; snapshots in DuckDB; records of runs.
"""

from mangrove.ledger.snapshot import Snapshot
from mangrove.ledger.store import Ledger
from mangrove.ledger.types import COUNTED, BatchInfo, Origin, Quality, Receipt, Rejected, series

__all__ = ["COUNTED", "BatchInfo", "Ledger", "Origin", "Quality", "Receipt", "Rejected", "Snapshot", "series"]
