# SPDX-License-Identifier: Apache-2.0
"""Door: values in, from files, drop folders and brokers.

Comes in: files of any table form, monitoring files, MQTT messages. Goes out: batches for the ledger, a report of what was
assumed, quarantined rows.
"""

from mangrove.sources import monitoring
from mangrove.sources.files import ingest
from mangrove.sources.mapping import Mapping
from mangrove.sources.report import DoctorReport, IngestReport

__all__ = ["DoctorReport", "IngestReport", "Mapping", "ingest", "monitoring"]
