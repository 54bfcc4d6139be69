"""The engine on a real ledger: whatever the plan of reading and the order of arrival, the numbers are the same."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mangrove as mg
from mangrove import rules
from mangrove.ledger import Ledger, Origin
from mangrove.measure import plan as plans
from mangrove.measure.engine import View, on_amounts, on_ledger
from mangrove.measure.question import resolve
from mangrove.measure.result import Emissions
from mangrove.territory import load
from mangrove.testing import park_of, values

START = datetime(2024, 4, 29, 17, tzinfo=UTC)  # 30 April in Việt Nam
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
SPAN = ("2024-04-30", "2024-05-04")
BOOK = rules.load()
FLOWS = [
    {"id": "quarters", "carrier": "electricity", "unit": "kWh", "step": "15min", "scope": "2"},
    {"id": "power", "carrier": "electricity", "unit": "kW", "step": "1h", "scope": "2", "semantics": "mean"},
    {"id": "coal", "carrier": "fuel:anthracite", "unit": "t", "step": "1d", "scope": "1"},
    {"id": "fuel", "carrier": "fuel:diesel", "unit": "L", "scope": "1"},
]
FACTORS = [
    {"activity": "grid/vn", "gas": "CO2", "value": "0.5", "unit": "t CO2/MWh", "valid_to": "2024-05-02"},
    {"activity": "grid/vn", "gas": "CO2", "value": "0.7", "unit": "t CO2/MWh", "valid_from": "2024-05-02"},
]


def rows_of(flow, step, count, first=0):
    return [(flow, START + (first + i) * step, 1.0 + (first + i) % 5) for i in range(count)]


BASE = [
    *(rows_of("quarters", QUARTER, 96, first=96 * day) for day in range(4)),
    *(rows_of("power", HOUR, 24, first=24 * day) for day in range(4)),
    rows_of("coal", DAY, 4),
    [("fuel", START + timedelta(hours=7 * i), 10.0 + i) for i in range(12)],
]
LATER = [
    [("quarters", START + 5 * QUARTER, 50.0), ("power", START + 30 * HOUR, 70.0)],
    [("quarters", START + 5 * QUARTER, 60.0), ("coal", START + DAY, 9.0)],
    [("power", START + 30 * HOUR, 80.0), ("quarters", START + 5 * QUARTER, 55.0)],
]
LAST = {
    **{(flow, start): value for batch in BASE for flow, start, value in batch},
    **{(flow, start): value for batch in LATER for flow, start, value in batch},
}


def amounts_by_hand():
    """Amount per flow over the span: the last version of every value, rates times their hours."""
    found = {}
    for (flow, _), value in LAST.items():
        found[flow] = found.get(flow, 0.0) + value
    return found


def write(folder, batches, sealed=()):
    with Ledger.open(folder / ".mangrove") as ledger:
        for number, batch in enumerate(batches):
            ledger.append(values(batch), Origin("test", str(number)))
            if number in sealed:
                ledger.seal()


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    folder = park_of(tmp_path_factory.mktemp("engine") / "park", FLOWS, factors=FACTORS)
    write(folder, [*BASE, *LATER], sealed=(5, 9))
    return mg.open(folder)


def table(park, **arguments):
    return mg.measure(park, *SPAN, store=False, **arguments).to_arrow().to_pylist()


def test_amounts_are_the_last_versions_of_all_values(park):
    result = mg.measure(park, *SPAN, store=False)
    assert {count.flow: count.amount for count in result.flows} == pytest.approx(amounts_by_hand())
    assert {count.flow: count.counted for count in result.flows} == {
        "quarters": 384, "power": 96, "coal": 4, "fuel": 12
    }  # fmt: skip


@pytest.mark.parametrize("every", [None, "15min", "1h", "3h", "1d", "1mo"])
@pytest.mark.parametrize("reading_plan", ["naive", "raw", "rollup"])
def test_every_plan_of_reading_gives_the_same_rows(park, reading_plan, every):
    """The factor changes at 17:00 UTC on 1 May; a span from 10:10 to 16:40 cuts hours as well."""
    for span in (SPAN, ("2024-04-30T10:10", "2024-05-03T16:40")):
        auto = mg.measure(park, *span, by=["flow", "gas"], every=every, store=False)
        other = Emissions(auto.plan, auto.folder, auto.cut, reading_plan=reading_plan)
        expected, found = auto.to_arrow().to_pydict(), other.to_arrow().to_pydict()
        for name, column in expected.items():
            assert found[name] == (pytest.approx(column, nan_ok=True) if name == "kg" else found[name])
        assert [found[name] for name in ("flow", "gas")] == [expected[name] for name in ("flow", "gas")]
        assert found.get("start") == expected.get("start")
        assert found["coverage"] == pytest.approx(expected["coverage"], nan_ok=True)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.permutations(BASE), sealed=st.sets(st.integers(0, len(BASE) + len(LATER) - 1), max_size=4))
def test_the_order_of_arrival_does_not_matter(park, tmp_path_factory, order, sealed):
    """Late rows in any order; corrections after what they correct, in their order."""
    folder = park_of(tmp_path_factory.mktemp("order") / "park", FLOWS, factors=FACTORS)
    write(folder, [*order, *LATER], sealed)
    for arguments in ({"by": ["flow", "gas"]}, {"by": ["gas"], "every": "1h"}):
        expected, found = table(park, **arguments), table(mg.open(folder), **arguments)
        assert len(found) == len(expected)
        for left, right in zip(found, expected, strict=True):
            assert left.keys() == right.keys()
            for name, value in right.items():
                if isinstance(value, float):
                    assert left[name] == pytest.approx(value, nan_ok=True)
                else:
                    assert left[name] == value


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_corrections_arrive_among_late_rows_of_other_flows(tmp_path_factory, data):
    """Versions of one value keep their order; everything else is shuffled, row by row, and sealed at any time."""
    chains = [[row] for batch in BASE[:1] for row in batch[:12]] + [[row] for row in BASE[8]]
    for flow, start, value in [row for batch in LATER for row in batch]:
        for chain in chains:
            if chain[0][:2] == (flow, start):
                chain.append((flow, start, value))
    order = data.draw(st.permutations([number for number, chain in enumerate(chains) for _ in chain]))
    used = [0] * len(chains)
    batches = []
    for number in order:
        batches.append([chains[number][used[number]]])
        used[number] += 1
    folder = park_of(tmp_path_factory.mktemp("chain") / "park", FLOWS, factors=FACTORS)
    write(folder, batches, data.draw(st.sets(st.integers(0, len(batches) - 1), max_size=3)))
    expected = {}
    for chain in chains:
        flow, _, value = chain[-1]
        expected[flow] = expected.get(flow, 0.0) + value
    result = mg.measure(mg.open(folder), *SPAN, store=False)
    assert {c.flow: c.amount for c in result.flows if c.counted} == pytest.approx(expected)


def test_amounts_that_were_read_once_answer_every_view(park):
    """The engine over kept amounts gives what the engine over the ledger gives."""
    territory = load(park.territory.path)
    plan = plans.build(territory, BOOK, resolve(territory, *SPAN))
    view = View([(flow, 0, 0.5) for flow in plan.flows], [0 for _ in plan.lines])
    with Ledger.open(park.store, read_only=True) as ledger:
        cut = ledger.cut()
    with on_ledger(plan, park.store, cut) as (engine, snapshot):
        direct = engine.emissions(view).to_pylist()
        kept = snapshot.connection.sql("select * from amount").to_arrow_table()
    with on_amounts(plan, kept) as engine:
        again = engine.emissions(view).to_pylist()
    assert len(direct) == len(again) == 1
    assert again[0] == pytest.approx(direct[0])


def test_a_line_without_a_label_is_left_out_and_groups_may_overlap(park):
    territory = load(park.territory.path)
    plan = plans.build(territory, BOOK, resolve(territory, *SPAN))
    carbon = [line.index if line.gas == "CO2" and line.flow == "coal" else None for line in plan.lines]
    with Ledger.open(park.store, read_only=True) as ledger:
        cut = ledger.cut()
    with on_ledger(plan, park.store, cut) as (engine, _):
        rows = engine.emissions(
            View([("coal", 0, 0.25), ("coal", 1, 0.75), ("power", 1, 1.0)], carbon)
        ).to_pylist()
    tonnes = amounts_by_hand()["coal"]
    assert [row["amount"] for row in rows] == pytest.approx([0.25 * tonnes, 0.75 * tonnes])
    assert [row["kg"] for row in rows] == pytest.approx(
        [share * tonnes * 26.7e-3 * 98_300 for share in (0.25, 0.75)]
    )


def test_a_window_of_one_bucket_holds_what_the_bucket_holds(park):
    """The same rules of time hold for the part as for the whole, also for hours cut into quarters."""
    result = mg.measure(
        park, "2024-04-30T10:10", "2024-05-01T16:40", by=["flow", "gas"], every="15min", store=False
    )
    rows = result.to_arrow().to_pylist()
    for number in range(0, len(rows), 37):
        explanation = result.explain(number)
        assert explanation.kg == pytest.approx(rows[number]["kg"])
        assert explanation.batches
