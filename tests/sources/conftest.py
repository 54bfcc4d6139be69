"""Small worlds for the doors: a park with a few flows, and a ledger in a temporary folder."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mangrove.ledger import Ledger
from mangrove.territory.model import Carrier, Flow, Place, Territory
from mangrove.times import Step
from mangrove.units import Quantity, unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
World = Callable[..., Territory]
Rows = Callable[..., list[tuple[str, float, int]]]


def _flow(id_: str, unit_text: str = "kWh", step: str | None = "15min", **more: object) -> Flow:
    parameters = {k: Quantity.parse(v) for k, v in more.pop("parameters", {}).items()}  # type: ignore[attr-defined]
    return Flow(
        id_,
        "park",
        Carrier("electricity"),
        unit(unit_text),
        Step.parse(step) if step else None,
        parameters=parameters,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="session")
def flow() -> Callable[..., Flow]:
    return _flow


@pytest.fixture(scope="session")
def world() -> World:
    """`world(flow(...), ..., lang=, tz=)`: a park with these flows."""

    def make(*flows: Flow, lang: str = "vi", tz: str = "Asia/Ho_Chi_Minh") -> Territory:
        place = {"park": Place("park", "Park", "park")}
        declared = {one.id: one for one in flows}
        return Territory(Path("park"), "Park", "park", tz, "VND", lang, None, place, declared)

    return make


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / ".mangrove") as opened:
        yield opened


@pytest.fixture
def rows(ledger: Ledger) -> Rows:
    """`rows(flow)`: the current values as (start in UTC as ISO text to the minute, value, quality)."""

    def read(flow: str) -> list[tuple[str, float, int]]:
        with ledger.snapshot() as snapshot:
            table = snapshot.values([flow], EPOCH, EPOCH + timedelta(days=60_000))
        return [
            (row["start"].strftime("%Y-%m-%dT%H:%M"), row["value"], row["quality"])
            for row in table.to_pylist()
        ]

    return read
