"""A park with devices for tests, a clock that a test moves, and an intake that keeps what it is given."""

from dataclasses import replace
from datetime import UTC, datetime

import mangrove as mg
from mangrove.ledger.types import Receipt
from mangrove.testing import park_of

NOON = datetime(2026, 6, 1, 5, 0, tzinfo=UTC)
"""Noon in Viet Nam."""


class At:
    """A clock that stands still until a test moves it."""

    def __init__(self, at=NOON):
        self.at = at

    def now(self):
        return self.at


class Box:
    """An intake that keeps batches: `rows` lists (flow, start, value, quality) of all of them in order."""

    def __init__(self):
        self.rows, self.origins, self.refuse = [], [], None

    def put(self, values, origin, rejected=(), timeout=30.0):
        if self.refuse is not None:
            raise self.refuse
        assert origin not in self.origins, f"{origin} was given twice"
        self.origins.append(origin)
        table = values.table()
        starts = table.column("start").to_pylist()
        self.rows += list(
            zip(table.column("flow").to_pylist(), starts, table.column("value").to_pylist(),
                table.column("quality").to_pylist(), strict=True)
        )  # fmt: skip
        return Receipt(len(self.origins), len(values), NOON, "")


def declared(folder, flows, devices=(), points=()):
    """A handle on a park of one facility with the given flows (rows of flows.csv), devices and points."""
    folder.mkdir(exist_ok=True)
    park = mg.open(park_of(folder, flows))
    territory = replace(
        park.territory, devices={device.id: device for device in devices}, points=tuple(points)
    )
    return replace(park, territory=territory)


def power(step="15min", id="power", **more):  # noqa: A002
    """A flow of power: means."""
    return {"id": id, "carrier": "electricity", "unit": "kW", "step": step, "semantics": "mean"} | more


def register(step="15min", id="energy", **more):  # noqa: A002
    """A flow with a register that only grows."""
    return {"id": id, "carrier": "electricity", "unit": "kWh", "step": step, "semantics": "counter"} | more


def amount(step="15min", id="amount", **more):  # noqa: A002
    """A flow of amounts."""
    return {"id": id, "carrier": "electricity", "unit": "kWh", "step": step, "semantics": "sum"} | more
