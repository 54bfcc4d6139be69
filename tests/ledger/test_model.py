# SPDX-License-Identifier: Apache-2.0
"""The ledger against a dictionary: whatever is appended, sealed, compacted and asked, both say the same."""

from __future__ import annotations

import shutil
import tempfile
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from tests.ledger.worlds import at, table

from mangrove.ledger import COUNTED, Ledger, Origin, Quality
from mangrove.times import Step

FLOWS = ("mill", "office")
# Few starts, so that corrections are common: within four hours, some 60 days earlier. Values are eighths, so that
# sums are exact in any order.
MINUTES = st.one_of(
    *[st.integers(0, 11).map(lambda i: i * 20)] * 3, st.integers(0, 2).map(lambda i: i * 20 - 86_400)
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(FLOWS),
        MINUTES.map(at),
        st.integers(-40, 40).map(lambda i: i / 8),
        st.sampled_from((0, 0, 0, 2, 7, 9)),
    ),
    min_size=1,
    max_size=12,
)
BUCKETS = st.sampled_from(("15min", "30min", "1h", "3h", "1d")).map(Step.parse)
NEAR = st.integers(-2, 14).map(lambda i: at(i * 20)) | st.integers(-60, 300).map(at)
WINDOWS = st.just((at(-90_000), 91_000)) | st.tuples(NEAR, st.integers(1, 300))


class Against(RuleBasedStateMachine):
    """Rules append, resend, correct, seal, compact and reopen; the model keeps every version."""

    batches = Bundle("batches")

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mangrove-model-"))
        self.ledger = Ledger.open(self.folder / ".mangrove")
        self.versions = defaultdict(list)  # (flow, start) -> [(batch, value, quality)]
        self.stored = 0
        self.count = 0

    def _remember(self, rows, receipt):
        last = {(flow, start): (value, quality) for flow, start, value, quality in rows}
        changed = {
            key: new
            for key, new in last.items()
            if not self.versions[key] or self.versions[key][-1][1:] != new
        }
        for key, new in changed.items():
            self.versions[key].append((receipt.batch, *new))
        assert receipt.rows == len(changed)
        assert receipt.unchanged == len(last) - len(changed)
        assert receipt.rejected == len(rows) - len(last)
        self.stored += receipt.rows

    @rule(target=batches, rows=ROWS)
    def append(self, rows):
        self.count += 1
        origin = Origin("meter", str(self.count))
        receipt = self.ledger.append(table(rows), origin)
        assert receipt.batch == self.count
        assert not receipt.duplicate
        self._remember(rows, receipt)
        return origin, rows, receipt

    @rule(target=batches, group=st.lists(ROWS, max_size=4))
    def append_many_with_one_commit(self, group):
        origins = [Origin("gateway", str(self.count + i)) for i in range(1, len(group) + 1)]
        self.count += len(group)
        triples = [(table(rows), origin, ()) for rows, origin in zip(group, origins, strict=True)]
        receipts = self.ledger.append_group(triples)
        for rows, receipt in zip(group, receipts, strict=True):
            self._remember(rows, receipt)
        return multiple(*zip(origins, group, receipts, strict=True))

    @rule(batch=batches, other=ROWS)
    def send_again(self, batch, other):
        origin, rows, receipt = batch
        again = self.ledger.append(table(rows + other), origin)
        assert again.duplicate
        assert (again.batch, again.hash, again.rows) == (receipt.batch, receipt.hash, receipt.rows)

    @rule()
    def seal(self):
        self.ledger.seal()

    @rule(rows=ROWS)
    def append_and_seal(self, rows):
        self.append(rows)
        self.ledger.seal()

    @rule()
    def compact(self):
        self.ledger.compact()

    @rule()
    def reopen(self):
        self.ledger.close()
        self.ledger = Ledger.open(self.folder / ".mangrove")

    @rule(back=st.integers(0, 4))
    def read_everything(self, back):
        cut = max(0, self.count - back)
        with self.ledger.snapshot(cut=cut) as snapshot:
            rows = snapshot.values(FLOWS, at(-200_000), at(200_000)).to_pylist()
            versions = snapshot.connection.execute("select count(*) from version").fetchone()[0]
        found = {(r["flow"], r["start"]): (r["batch"], r["value"], r["quality"]) for r in rows}
        assert len(rows) == len(found)
        assert found == self._current(cut)
        assert versions == sum(v[0] <= cut for old in self.versions.values() for v in old)

    def _current(self, cut):
        known = {key: [v for v in old if v[0] <= cut] for key, old in self.versions.items()}
        return {key: old[-1] for key, old in known.items() if old}

    @precondition(lambda self: self.stored)
    @rule(
        window=WINDOWS,
        edges=st.lists(NEAR, max_size=3),
        bucket=BUCKETS,
        back=st.integers(0, 3),
        flows=st.one_of(st.none(), st.none(), st.lists(st.sampled_from((*FLOWS, "unknown")), max_size=2)),
    )
    def sum_by_bucket(self, *, window, edges, bucket, back, flows):
        cut, (first, length) = max(0, self.count - back), window
        last = first + timedelta(minutes=length)
        expected = self._sums(cut, (first, last), sorted(edges), bucket, FLOWS if flows is None else flows)
        with self.ledger.snapshot(cut=cut) as snapshot:
            keys = {id_: key for key, id_ in snapshot.flow_ids().items()}
            for plan in ("naive", "raw", "rollup"):
                view = snapshot.activity(
                    first, last, flows=flows, edges=edges, bucket=bucket, plan=plan, view=f"by_{plan}"
                )
                rows = snapshot.connection.execute(f"select * from {view}").fetchall()
                found = {(keys[flow], start.replace(tzinfo=UTC)): tuple(rest) for flow, start, *rest in rows}
                assert len(found) == len(rows)
                assert found == expected, plan

    def _sums(self, cut, window, edges, bucket, flows):
        first, last = window
        parts = defaultdict(list)
        for (flow, start), version in self._current(cut).items():
            if flow in flows and first <= start < last:
                parts[flow, self._label(start, first, edges, bucket)].append(version)
        return {key: self._sum(part) for key, part in parts.items()}

    def _label(self, start, first, edges, bucket):
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        length = timedelta(seconds=bucket.seconds)
        before = bisect_right(edges, start)
        return max(start - (start - epoch) % length, first, *edges[before - 1 : before])

    def _sum(self, part):
        counted = [value for _, value, quality in part if quality in COUNTED]
        ends = (min(counted), max(counted)) if counted else (None, None)
        total = sum(counted) if counted else None
        estimated = sum(quality == 7 for _, _, quality in part)
        newest = max(batch for batch, _, _ in part)
        missing = sum(quality == Quality.MISSING for _, _, quality in part)
        return (total, len(counted), len(part) - len(counted) - missing, estimated, *ends, newest)

    @rule()
    def verify(self):
        assert self.ledger.verify() == []

    @invariant()
    def every_row_is_in_a_file_or_hot(self):
        if hasattr(self, "ledger"):
            assert sum(self.ledger.batches().column("rows").to_pylist()) == self.stored

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)


TestAgainst = Against.TestCase
TestAgainst.settings = settings(
    max_examples=50,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
