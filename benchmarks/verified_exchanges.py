# SPDX-License-Identifier: Apache-2.0
"""Reconciliation of meters and verification of exchanges: CPU, false alarms, suspects found, intervals that hold.

    python benchmarks/verified_exchanges.py balance [PERIODS]
    python benchmarks/verified_exchanges.py verify [EXCHANGES]

`balance`: a park of 60 metered streams in 25 balances, made up, with true amounts known; beside a dense Lagrange system solved period by
period in the same run. `verify`: exchanges with two monthly scales, a loss and three effects; beside reading the meters' sums alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from mangrove import api, testing
from mangrove.inference.balance import reconcile
from mangrove.ledger import Ledger, Origin
from mangrove.measure.symbiosis import verify
from mangrove.measure.symbiosis.meters import read
from mangrove.times import Span, Step

STREAMS, NODES = 60, 25


def network(random):
    """A random graph: each stream leaves one node and enters another (or the world outside, node -1)."""
    a = np.zeros((NODES, STREAMS))
    for stream in range(STREAMS):
        out, into = random.choice(np.arange(-1, NODES), 2, replace=False)
        if stream < NODES:  # every node gives to the outside at least once
            out, into = stream, -1
        if out >= 0:
            a[out, stream] = -1.0
        if into >= 0:
            a[into, stream] = 1.0
    return a


def balance(periods):
    random = np.random.default_rng(1)
    a = network(random)
    exact = reconcile(a, random.lognormal(4, 0.7, (periods, STREAMS)), np.ones(STREAMS)).estimate
    sd = 0.02 * np.abs(exact) + 0.1
    y = exact + sd * random.standard_normal(exact.shape)
    start = time.process_time()
    found = reconcile(a, y, sd)
    ours = time.process_time() - start
    start = time.process_time()
    for t in range(periods):
        weight = np.diag(1 / sd[t] ** 2)
        system = np.block([[weight, a.T], [a, np.zeros((NODES, NODES))]])
        inverse = np.linalg.inv(system)
        both = inverse[:, :STREAMS] @ (weight @ y[t])
    dense = time.process_time() - start
    np.testing.assert_allclose(inverse[:STREAMS, :STREAMS], found.covariance[-1], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(both[:STREAMS], found.estimate[-1], rtol=1e-6, atol=1e-6)
    print(
        f"{periods} periods: {ours:.2f} s with covariances and tests; dense Lagrange systems, inverted one by one {dense:.2f} s; ratio {dense / ours:.2f}"
    )
    gaps = np.where(random.random(y.shape) < 0.02, np.nan, y)
    start = time.process_time()
    some = reconcile(a, gaps, sd)
    print(
        f"2 % of the readings missing: {time.process_time() - start:.2f} s, {np.mean(some.observable[np.isnan(gaps)]):.3f} of them follow from the balances"
    )
    inside = np.abs(found.estimate - exact) <= 1.96 * found.sd + 1e-9
    print(
        f"95 % intervals hold {inside.mean():.4f}; error {np.sqrt(np.mean((found.estimate - exact) ** 2) / np.mean((y - exact) ** 2)):.3f} of the meters'"
    )
    print(
        f"clean periods: global test {np.mean(found.p < 0.05):.4f}, some meter suspected {found.suspects().any(axis=1).mean():.4f} (level 0.05)"
    )
    for size in (4, 6, 10):
        wrong = y.copy()
        which = random.integers(0, STREAMS, periods)
        rows = np.arange(periods)
        wrong[rows, which] += size * sd[rows, which]
        suspects = reconcile(a, wrong, sd).suspects()
        right = suspects[rows, which]
        alone = right & (suspects.sum(axis=1) == 1)
        print(
            f"one meter off by {size} sd: named {right.mean():.3f} (alone {alone.mean():.3f}), nothing said {(~suspects.any(axis=1)).mean():.3f}"
        )


def declare(folder, count):
    testing._write(  # noqa: SLF001 - the helper of all test worlds
        folder,
        {
            "territory.yaml": "name: Park\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: en\ngwp: AR5\n",
            "places.csv": "id,name,kind,parent\npark,Park,park,\na,A,facility,park\nb,B,facility,park\n",
            "flows.csv": "id,place,carrier,unit,step,semantics,uncertainty,meter\n"
            + "".join(f"s{i},a,waste:100202,t,1mo,sum,2 %,x{i}\nr{i},b,waste:100202,t,1mo,sum,3 %,y{i}\n" for i in range(count)),
            "exchanges.csv": "id,place,to_place,carrier,sent,received,parameters\n"
            + "".join(f"e{i},a,b,waste:100202,s{i},r{i},loss=2 %\n" for i in range(count)),
            "effects.csv": "exchange,effect,amount,side,factor,price,uncertainty\n"
            + "".join(
                f"e{i},primary_material,0.9 t/t,taker,,180000 VND/t,5 %\n"
                f"e{i},fuel,-0.2 L/t,taker,combustion/road/diesel,21000 VND/L,10 %\n"
                f"e{i},electricity,10 kWh/t,giver,grid/vn@2023,1900 VND/kWh,0 %\n"
                for i in range(count)
            ),
        },
    )  # fmt: skip
    return api.open(folder)


def check(count):
    with tempfile.TemporaryDirectory() as name:
        park = declare(Path(name), count)
        random = np.random.default_rng(2)
        months = [datetime(2024, m, 1, tzinfo=UTC) - timedelta(hours=7) for m in range(1, 13)]
        rows = []
        for i in range(count):
            for start, sent in zip(months, random.uniform(50, 150, 12), strict=True):
                rows += [
                    (f"s{i}", start, sent),
                    (f"r{i}", start, 0.98 * sent * (1 + 0.015 * random.standard_normal())),
                ]
        with Ledger.open(park.store) as ledger:
            ledger.append(testing.values(rows), Origin("benchmark", "1"))
            verify(ledger, park.territory, "2024", exchanges=["e0"])
            start = time.process_time()
            with ledger.snapshot() as snapshot:
                read(
                    park.territory,
                    snapshot,
                    park.territory.flows,
                    span=Span.parse("2024", park.territory.tz),
                    every=Step(months=1),
                )
            reading = time.process_time() - start
            start = time.process_time()
            made = verify(ledger, park.territory, "2024")
            made.avoided()
            made.by_effect(2024)
            whole = time.process_time() - start
    print(
        f"{count} exchanges, {len(made.rows)} periods, {len(made.savings)} savings: {whole:.2f} s; reading the meters alone {reading:.2f} s; ratio {whole / reading:.1f}"
    )


if __name__ == "__main__":
    what, *size = sys.argv[1:] or ["balance"]
    {"balance": balance, "verify": check}[what](
        int(size[0]) if size else {"balance": 2000, "verify": 1000}[what]
    )
