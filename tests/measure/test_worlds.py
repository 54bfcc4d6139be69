"""Every kind of flow, through a real ledger, against a loop over its rows written here.

The loops know nothing of the engine: they walk quarter hours, look up the factor of each, and name buckets by the local
calendar.
"""

from datetime import UTC, date, datetime, timedelta
from math import exp, isnan
from zoneinfo import ZoneInfo

import pytest

import mangrove as mg
from mangrove.ledger import Ledger, Origin
from mangrove.testing import park_of, values

QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
ZONES = ("Asia/Ho_Chi_Minh", "Asia/Kolkata", "Europe/Berlin")
STEPS = ("15min", "1h", "3h", "1d", "1w", "1mo", "1y", None)


def local(zone, *parts):
    """The UTC instant of a local time."""
    return datetime(*parts, tzinfo=ZoneInfo(zone) if isinstance(zone, str) else zone).astimezone(UTC)


def ingest(folder, *batches):
    """Stores each batch of rows `(flow, start, value)` or `(flow, start, value, quality)` on its own."""
    with Ledger.open(folder / ".mangrove") as ledger:
        for number, batch in enumerate(batches):
            for quality in sorted({row[3] if len(row) > 3 else 0 for row in batch}):
                rows = [row[:3] for row in batch if (row[3] if len(row) > 3 else 0) == quality]
                ledger.append(values(rows, quality=quality), Origin("test", f"{number}.{quality}"))
    return mg.open(folder)


def bucket_key(moment, every, zone):
    """The name of the bucket of an instant, by the local calendar."""
    wall = moment.astimezone(zone)
    week = wall.isocalendar()
    return {
        None: "all",
        "15min": moment,
        "1h": (wall.date(), wall.hour, wall.fold),
        "3h": (wall.date(), wall.hour // 3),
        "1d": wall.date(),
        "1w": (week.year, week.week),
        "1mo": (wall.year, wall.month),
        "1y": wall.year,
    }[every]


class Loop:
    """Adds up amounts x factors quarter hour by quarter hour."""

    def __init__(self, start, end, every, zone, factor):
        self.start, self.end, self.every, self.zone, self.factor = start, end, every, zone, factor
        self.first, moment = {}, start
        while moment < end:
            self.first.setdefault(bucket_key(moment, every, zone), moment)
            moment += QUARTER
        self.kg = {}

    def add(self, moment, amount, factor_at=None):
        if self.start <= moment < self.end:
            bucket = self.first[bucket_key(moment, self.every, self.zone)]
            self.kg[bucket] = self.kg.get(bucket, 0.0) + amount * self.factor(factor_at or moment)

    def short(self, start, step, amount):
        """A value of at most an hour counts where it starts; in shorter buckets it is even over its time."""
        if self.every == "15min" and step > QUARTER:
            if self.start <= start < self.end:
                pieces = [start + i * QUARTER for i in range(step // QUARTER)]
                inside = [piece for piece in pieces if piece < self.end]
                for piece in inside:
                    self.add(piece, amount / len(inside), factor_at=start)
        else:
            self.add(start, amount)

    def long(self, start, stop, amount):
        """A longer value is spread evenly over its time."""
        count = (stop - start) // QUARTER
        for i in range(count):
            self.add(start + i * QUARTER, amount / count)


def kg_by_start(result):
    """Kilograms of CO2 by the start of their bucket."""
    first = result.plan.question.span.start
    return {
        row.get("start", first): row["kg"] for row in result.to_arrow().to_pylist() if row["gas"] == "CO2"
    }


def check(result, loop, rel=1e-9):
    assert kg_by_start(result) == pytest.approx({start: kg for start, kg in loop.kg.items() if kg}, rel=rel)


def dated_factors(zone, *rows):
    """Rows of factors.csv for `grid/vn` and the function that looks them up by local date: (from, to, t/MWh)."""
    written = [
        {"activity": "grid/vn", "gas": "CO2", "value": str(value), "unit": "t CO2/MWh",
         "valid_from": str(first), "valid_to": str(after)}
        for first, after, value in rows
    ]  # fmt: skip

    def factor(moment):
        day = moment.astimezone(zone).date()
        return next(value for first, after, value in rows if first <= day < after)

    return written, factor


def electricity(**columns):
    return {"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2", **columns}


# Fine flows in time zones, with factors that change in the middle of a month and of a UTC day


@pytest.mark.parametrize("every", STEPS)
@pytest.mark.parametrize("name", ZONES)
def test_hourly_sums_take_the_factor_of_their_local_day_in_every_bucket(tmp_path, name, every):
    """Around the change of clocks of Berlin (a day of 23 hours), with a factor that changes on 31 March."""
    zone = ZoneInfo(name)
    rows, factor = dated_factors(
        zone, (date(2024, 1, 1), date(2024, 3, 31), 0.5), (date(2024, 3, 31), date(2025, 1, 1), 0.8)
    )
    start, end = local(zone, 2024, 3, 29, 6), local(zone, 2024, 4, 2, 18)
    park = park_of(tmp_path / "park", [electricity()], factors=rows, timezone=name)
    readings = [
        ("m", local(zone, 2024, 3, 29) + i * HOUR, 10.0 + i % 7) for i in range(24 * 6)
    ]  # starts on the local hour, before and after the span
    result = mg.measure(ingest(park, readings), start, end, by=["gas"], every=every, store=False)
    loop = Loop(start, end, every, zone, factor)
    for _, moment, value in readings:
        loop.short(moment, HOUR, value)
    check(result, loop)


@pytest.mark.parametrize("every", ["1h", "3h", "1d", None])
@pytest.mark.parametrize("day", [(2024, 3, 31, 23), (2024, 10, 27, 25)])
def test_a_day_of_23_or_25_hours_holds_as_many_hours(tmp_path, day, every):
    zone = ZoneInfo("Europe/Berlin")
    year, month, number, hours = day
    rows, factor = dated_factors(zone, (date(2024, 1, 1), date(2025, 1, 1), 1.0))
    park = park_of(tmp_path / "park", [electricity()], factors=rows, timezone="Europe/Berlin")
    first = local(zone, year, month, number)
    readings = [("m", first + i * HOUR, 1.0 + i) for i in range(-3, hours + 3)]
    park = ingest(park, readings)
    span = f"{year}-{month:02}-{number:02}"
    result = mg.measure(park, span, by=["gas"], every=every, store=False)
    loop = Loop(first, first + hours * HOUR, every, zone, factor)
    for _, moment, value in readings:
        loop.short(moment, HOUR, value)
    check(result, loop)
    assert sum(kg_by_start(result).values()) == pytest.approx(sum(range(1, hours + 1)))
    assert len(result) == {"1h": hours, "3h": 8, "1d": 1, None: 1}[every]
    for number in range(len(result)):
        assert result.explain(number).kg == pytest.approx(result.to_arrow().column("kg").to_pylist()[number])


@pytest.mark.parametrize("every", ["1h", "1d", "1mo", None])
@pytest.mark.parametrize(
    ("unit", "step", "semantics", "hours"),
    [
        ("kWh", 5, "sum", None),
        ("kWh", 30, "counter", None),
        ("kW", 5, "mean", 1 / 12),
        ("kW", 30, "mean", 0.5),
        ("MW", 60, "mean", 1000.0),
    ],
)
def test_sums_increments_and_means_of_minutes_become_energy(tmp_path, every, unit, step, semantics, hours):  # noqa: PLR0917
    length = timedelta(minutes=step)
    rows, factor = dated_factors(
        HANOI, (date(2024, 1, 1), date(2024, 2, 1), 0.4), (date(2024, 2, 1), date(2025, 1, 1), 0.6)
    )
    start, end = local(HANOI, 2024, 1, 30), local(HANOI, 2024, 2, 3)
    readings = [("m", start + i * length, 1.0 + i % 11) for i in range(4 * DAY // length)]
    flow = electricity(unit=unit, step=f"{step}min", semantics=semantics)
    park = ingest(park_of(tmp_path / "park", [flow], factors=rows), readings)
    result = mg.measure(park, start, end, by=["gas"], every=every, store=False)
    loop = Loop(start, end, every, HANOI, factor)
    for _, moment, value in readings:
        loop.add(moment - (moment - start) % QUARTER, value * (hours or 1.0))
    check(result, loop)
    assert result.to_arrow().column("coverage").to_pylist() == pytest.approx([1.0] * len(result))


@pytest.mark.parametrize("every", ["15min", "1h", "1d", None])
def test_a_span_that_cuts_buckets_and_hours_gives_the_same_total_in_every_bucket(tmp_path, every):
    """From 10:20 to 17:50 local time: the reading of 10:00 does not count, that of 17:00 counts whole."""
    rows, _ = dated_factors(HANOI, (date(2024, 1, 1), date(2025, 1, 1), 1.0))
    park = park_of(tmp_path / "park", [electricity()], factors=rows)
    readings = [("m", local(HANOI, 2024, 5, 1) + i * HOUR, 2.0**i) for i in range(24)]
    park = ingest(park, readings)
    start, end = local(HANOI, 2024, 5, 1, 10, 20), local(HANOI, 2024, 5, 1, 17, 50)
    result = mg.measure(park, start, end, by=["gas"], every=every, store=False)
    assert sum(kg_by_start(result).values()) == pytest.approx(sum(2.0**i for i in range(11, 18)))


def test_hours_on_the_utc_grid_where_midnight_is_not(tmp_path):
    """In Kolkata a local day begins at 18:30 UTC; an hour from 18:00 UTC belongs to the day on which it starts."""
    zone = ZoneInfo("Asia/Kolkata")
    rows, factor = dated_factors(
        zone, (date(2024, 1, 1), date(2024, 5, 2), 0.7), (date(2024, 5, 2), date(2025, 1, 1), 0.9)
    )
    park = park_of(tmp_path / "park", [electricity()], factors=rows, timezone="Asia/Kolkata")
    readings = [("m", datetime(2024, 4, 30, 12, tzinfo=UTC) + i * HOUR, 1.0 + i) for i in range(72)]
    park = ingest(park, readings)
    for every in ("1h", "1d", None):
        result = mg.measure(park, "2024-05-01", "2024-05-03", by=["gas"], every=every, store=False)
        loop = Loop(local(zone, 2024, 5, 1), local(zone, 2024, 5, 3), every, zone, factor)
        for _, moment, value in readings:
            loop.short(moment, HOUR, value)
        check(result, loop)
    quarters = mg.measure(park, "2024-05-01", "2024-05-03", by=["gas"], every="15min", store=False)
    assert sum(kg_by_start(quarters).values()) == pytest.approx(sum(loop.kg.values()))


# Coarse flows, spread over the time that they stand for


@pytest.mark.parametrize("every", ["1h", "3h", "1d", "1w", "1mo", "1y", None])
@pytest.mark.parametrize("step", ["1d", "1w", "1mo", "1y"])
def test_long_values_are_spread_over_their_time_and_cut_by_span_and_factors(tmp_path, step, every):
    """A span from 10 January to 20 March cuts weeks, months and years; a factor changes on 15 February."""
    rows, factor = dated_factors(
        HANOI, (date(2023, 1, 1), date(2024, 2, 15), 0.5), (date(2024, 2, 15), date(2025, 1, 1), 0.9)
    )
    starts = {
        "1d": [local(HANOI, 2024, 1, 1) + i * DAY for i in range(90)],
        "1w": [local(HANOI, 2024, 1, 1) + i * 7 * DAY for i in range(13)],  # 1 January 2024 is a Monday
        "1mo": [local(HANOI, 2024, month, 1) for month in range(1, 6)],
        "1y": [local(HANOI, 2024, 1, 1), local(HANOI, 2025, 1, 1)],
    }[step]
    readings = [("m", start, 1000.0 + i) for i, start in enumerate(starts[:-1])]
    park = ingest(park_of(tmp_path / "park", [electricity(step=step)], factors=rows), readings)
    start, end = local(HANOI, 2024, 1, 10), local(HANOI, 2024, 3, 20)
    loop = Loop(start, end, every, HANOI, factor)
    for (_, moment, value), stop in zip(readings, starts[1:], strict=True):
        loop.long(moment, stop, value)
    result = mg.measure(park, start, end, by=["gas"], every=every, store=False)
    check(result, loop)
    (count,) = result.flows
    assert count.coverage == pytest.approx(1.0)
    inside = [i for i, stop in enumerate(starts[1:]) if stop > start and starts[i] < end]
    assert count.counted == len(inside)


def test_a_month_in_berlin_is_as_long_as_its_calendar_says(tmp_path):
    zone = ZoneInfo("Europe/Berlin")
    rows, _ = dated_factors(zone, (date(2024, 1, 1), date(2025, 1, 1), 1.0))
    flow = electricity(step="1mo")
    park = ingest(
        park_of(tmp_path / "park", [flow], factors=rows, timezone="Europe/Berlin"),
        [("m", local(zone, 2024, month, 1), 743.0) for month in (3, 4)],
    )  # March has 743 hours
    day = mg.measure(park, "2024-03-31", by=["gas"], store=False)
    assert kg_by_start(day) == pytest.approx({local(zone, 2024, 3, 31): 23.0})
    whole = mg.measure(park, "2024-03", by=["gas"], every="1d", store=False)
    assert sorted(kg_by_start(whole).values()) == pytest.approx([23.0] + [24.0] * 30)


def test_a_daily_mean_power_is_multiplied_by_the_hours_of_its_day(tmp_path):
    zone = ZoneInfo("Europe/Berlin")
    rows, _ = dated_factors(zone, (date(2024, 1, 1), date(2025, 1, 1), 1.0))
    flow = electricity(unit="kW", step="1d", semantics="mean")
    park = park_of(tmp_path / "park", [flow], factors=rows, timezone="Europe/Berlin")
    park = ingest(park, [("m", local(zone, 2024, 10, day), 2.0) for day in (26, 27, 28)])
    result = mg.measure(park, "2024-10-26", "2024-10-29", by=["gas"], every="1d", store=False)
    assert list(kg_by_start(result).values()) == pytest.approx([48.0, 50.0, 48.0])


def test_a_monthly_value_stamped_on_the_last_day_lasts_to_the_last_day_of_the_next_month(tmp_path):
    rows, _ = dated_factors(HANOI, (date(2024, 1, 1), date(2025, 1, 1), 1.0))
    park = ingest(
        park_of(tmp_path / "park", [electricity(step="1mo")], factors=rows),
        [("m", local(HANOI, 2024, 1, 31), 290.0)],
    )
    result = mg.measure(park, "2024-02", by=["gas"], store=False)
    assert list(kg_by_start(result).values()) == pytest.approx(
        [280.0]
    )  # 28 of the 29 days before 29 February


def test_values_without_a_step_count_where_they_start_and_have_no_coverage(tmp_path):
    rows, factor = dated_factors(
        HANOI, (date(2024, 1, 1), date(2024, 6, 11), 0.5), (date(2024, 6, 11), date(2025, 1, 1), 1.0)
    )
    start, end = local(HANOI, 2024, 6, 1), local(HANOI, 2024, 7, 1)
    readings = [
        ("m", start + timedelta(hours=h), 3.0 * h + 1) for h in (0, 5, 31, 170, 239, 240, 500, 719, 720)
    ]
    park = ingest(park_of(tmp_path / "park", [electricity(step="")], factors=rows), readings)
    for every in ("1d", None):
        result = mg.measure(park, "2024-06", by=["gas"], every=every, store=False)
        loop = Loop(start, end, every, HANOI, factor)
        for _, moment, value in readings:
            loop.add(moment, value)
        check(result, loop)
        assert all(
            row["coverage"] is None or row["coverage"] != row["coverage"]
            for row in result.to_arrow().to_pylist()
        )


@pytest.mark.parametrize(("semantics", "unit"), [("mean", "kW")])
def test_a_rate_without_a_step_is_a_gap(tmp_path, semantics, unit):
    park = ingest(
        park_of(tmp_path / "park", [electricity(step="", semantics=semantics, unit=unit)]),
        [("m", local(HANOI, 2023, 5, 1), 5.0)],
    )
    result = mg.measure(park, "2023-05", by=["gas"], store=False)
    assert len(result) == 0
    assert "measure.needs_step" in {problem.code for problem in result.problems}


# Standing stocks


def test_a_herd_and_a_forest_count_for_the_time_that_they_stand(tmp_path):
    """Heads and hectares with semantics `state`: value x years of 8,766 h; removals are an account of their own."""
    flows = [
        {"id": "cows", "carrier": "livestock:dairy_cattle", "unit": "head", "step": "1mo", "scope": "1",
         "semantics": "state", "method": "enteric_fermentation"},
        {"id": "trees", "carrier": "land:forest", "unit": "ha", "step": "1y", "scope": "1", "semantics": "state",
         "parameters": "growth=5 t/ha/yr; carbon_fraction=47 %", "account": "removal"},
    ]  # fmt: skip
    heads = [100.0, 110.0, 90.0]
    park = ingest(
        park_of(tmp_path / "park", flows),
        [
            *(("cows", local(HANOI, 2024, month, 1), heads[month - 1]) for month in (1, 2, 3)),
            ("trees", local(HANOI, 2024, 1, 1), 40.0),
        ],
    )
    result = mg.measure(park, "2024-01", "2024-04", by=["flow", "gas"], every="1mo", store=False)
    days = (31, 29, 31)
    methane = [row["kg"] for row in result.to_arrow().to_pylist()]
    assert methane == pytest.approx(
        [head * 78.0 * day * 24 / 8766 for head, day in zip(heads, days, strict=True)]
    )  # Decision 2626, III.1.1: 78 kg CH4 per head and year
    removed = mg.measure(park, "2024-01", accounts=["removal"], by=["account"], store=False)
    assert [row["account"] for row in removed.to_arrow().to_pylist()] == ["removal"]
    assert removed.total()["co2e_kg"] == pytest.approx(40 * 5e3 * 0.47 * 44 / 12 * 31 * 24 / 8766)
    both = mg.measure(park, "2024-01", accounts=["inventory", "removal"], store=False)
    assert both.to_arrow().column("account").to_pylist() == ["inventory", "removal"]
    assert both.total()["co2e_kg"] == pytest.approx(methane[0] * 28)


# Products


def stack_park(folder, gas_flow, concentration="5min"):
    flows = [
        {"id": "c", "carrier": "stack:CO2", "unit": "mg/Nm3", "step": concentration, "semantics": "mean", "scope": "1",
         "parameters": "gas_flow=v", "uncertainty": "3 %", "meter": "A"},
        {"id": "v", "carrier": "gas:flue", "step": "5min", "uncertainty": "4 %", "meter": "B", **gas_flow},
    ]  # fmt: skip
    return park_of(folder, flows)


@pytest.mark.parametrize("every", ["15min", "1h", "1d", None])
@pytest.mark.parametrize(
    ("gas_flow", "hours"),
    [({"unit": "Nm3/h", "semantics": "mean"}, 1 / 12), ({"unit": "Nm3", "semantics": "sum"}, 1.0)],
)
def test_a_stack_multiplies_concentration_and_gas_flow_where_both_are_good(tmp_path, gas_flow, hours, every):
    """Status 01 and 02 on either side, or no partner at all, exclude the instant; nothing is interpolated."""
    start = local(HANOI, 2024, 5, 1)
    batch, expected, good = [], {}, 0
    for i in range(2 * 24 * 12):
        moment = start + i * timedelta(minutes=5)
        c, v = 1000.0 + i % 50, 20.0 + i % 9
        status = (1 if i % 17 == 0 else 0, 2 if i % 23 == 0 else 0)
        batch.append(("c", moment, c, status[0]))
        if i % 31:
            batch.append(("v", moment, v, status[1]))
        if i % 31 and status == (0, 0):
            good += 1
            key = bucket_key(moment - (moment - start) % QUARTER, every, HANOI)
            expected[key] = expected.get(key, 0.0) + c * v * hours * 1e-6
    park = ingest(stack_park(tmp_path / "park", gas_flow), batch)
    result = mg.measure(park, "2024-05-01", "2024-05-03", by=["gas"], every=every, store=False)
    found = {bucket_key(moment, every, HANOI): kg for moment, kg in kg_by_start(result).items()}
    assert found == pytest.approx(expected)
    count = next(count for count in result.flows if count.flow == "c")
    assert (count.counted, count.excluded) == (good, 2 * 24 * 12 - good)
    assert count.coverage == pytest.approx(good / (2 * 24 * 12))
    row = result.to_arrow().to_pylist()[0]
    width = 1.959963984540054 * (0.03**2 + 0.04**2) ** 0.5 / 1.959963984540054
    assert row["kg_high"] / row["kg"] - 1 == pytest.approx(width)
    part = result.explain(0).parts[0]
    product = part.amount
    for term in part.terms:
        product *= term.value**term.power
    assert product == pytest.approx(row["kg"])
    assert "Nm3" in part.unit


# Responses


def decay(deposits, k, potential, years):
    """Methane by year, from the recursion of the IPCC: what is left decays, what was put down starts next year."""
    left, found = 0.0, {}
    for year in years:
        found[year] = left * (1 - exp(-k)) * potential
        left = left * exp(-k) + deposits.get(year, 0.0)
    return found


def test_a_landfill_releases_what_was_put_down_for_years_before_the_span(tmp_path):
    """Against DDOC(t) = DDOC(t-1) e^-k + what is put down; FOD-01's parameters, deposits of 2005 to 2023."""
    flow = {
        "id": "dump", "carrier": "waste:food", "unit": "t", "step": "1mo", "scope": "1", "method": "solid_waste_decay",
        "uncertainty": "10 %",
        "parameters": "site=managed_anaerobic; climate=tropical_wet; docf=50 %; doc=15 %; methane_fraction=50 %; k=0.4 1/yr",
    }  # fmt: skip
    monthly = {
        (year, month): 10.0 * (year - 2000) + month for year in range(2005, 2024) for month in range(1, 13)
    }
    park = ingest(
        park_of(tmp_path / "park", [flow]),
        [("dump", local(HANOI, year, month, 1), amount) for (year, month), amount in monthly.items()],
    )
    yearly = {}
    for (year, _), amount in monthly.items():
        yearly[year] = yearly.get(year, 0.0) + amount
    potential = 1000 * 0.15 * 0.5 * 1.0 * 0.5 * 16 / 12
    expected = decay(yearly, 0.4, potential, range(2005, 2026))
    for span in ("2006", "2014", "2023", "2025"):
        result = mg.measure(park, span, by=["gas"], store=False)
        assert result.to_arrow().column("kg").to_pylist() == pytest.approx([expected[int(span)]], rel=1e-5)
    months = mg.measure(park, "2022", "2024", by=["gas"], every="1mo", store=False)
    kg = months.to_arrow().column("kg").to_pylist()
    lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert kg[:12] == pytest.approx([expected[2022] * days / 365 for days in lengths], rel=1e-5)
    assert sum(kg[12:]) == pytest.approx(expected[2023], rel=1e-5)
    (count,) = months.flows
    assert count.amount == pytest.approx(yearly[2022] + yearly[2023])
    assert (count.coverage, count.counted) == (pytest.approx(1.0), 24)
    explanation = months.explain(0)
    assert sum(release.kg for release in explanation.parts[0].releases) == pytest.approx(kg[0])
    assert {release.deposited for release in explanation.parts[0].releases} == set(range(2005, 2023))
    assert (
        sum(batch.used for batch in explanation.batches) == 12 * 17 + 1
    )  # the month of the row and all before
    assert "2005" in mg.measure(park, "2006", store=False).explain(0).text()


def test_fod_01_a_thousand_tonnes_of_food_waste(tmp_path):
    """16.484 t CH4 in the first and 11.050 t in the second year after disposal, 50 t in all."""
    flow = {
        "id": "dump", "carrier": "waste:food", "unit": "t", "step": "1y", "scope": "1", "method": "solid_waste_decay",
        "parameters": "site=managed_anaerobic; climate=tropical_wet; docf=50 %",
    }  # fmt: skip
    park = ingest(park_of(tmp_path / "park", [flow]), [("dump", local(HANOI, 2015, 1, 1), 1000.0)])
    years = (
        mg.measure(park, "2015", "2075", by=["gas"], every="1y", store=False)
        .to_arrow()
        .column("kg")
        .to_pylist()
    )
    assert years[:3] == pytest.approx([0.0, 16483.998, 11049.554], rel=1e-6)
    assert sum(years) == pytest.approx(50_000, rel=1e-5)


def test_halves_of_a_year_add_up_when_decay_starts_before_the_year_is_over(tmp_path):
    """Without a delay a part decays in the year of disposal, which is known only at its end."""
    flow = {
        "id": "dump", "carrier": "waste:food", "unit": "t", "step": "1mo", "scope": "1", "method": "solid_waste_decay",
        "parameters": "site=managed_anaerobic; climate=tropical_wet; delay=0 month",
    }  # fmt: skip
    park = ingest(
        park_of(tmp_path / "park", [flow]),
        [("dump", local(HANOI, 2023, month, 1), 100.0 * month) for month in range(1, 13)],
    )
    whole = mg.measure(park, "2023", store=False).total()["co2e_kg"]
    halves = [
        mg.measure(park, *span, store=False).total()["co2e_kg"]
        for span in (("2023-01", "2023-07"), ("2023-07", "2024-01"))
    ]
    assert whole > 0
    assert sum(halves) == pytest.approx(whole)


# Other methods, accounts and views


def total_of(park, span="2023", **arguments):
    return mg.measure(park, span, store=False, **arguments).total()["co2e_kg"]


def test_refrigerants_process_steam_and_wastewater(tmp_path):
    flows = [
        {"id": "cool", "carrier": "refrigerant:HFC-134a", "unit": "kg", "scope": "1", "step": "1mo"},
        {"id": "cement", "carrier": "process:product", "unit": "t", "scope": "1", "step": "1d", "factor": "process/own"},
        {"id": "steam", "carrier": "steam", "unit": "t/h", "semantics": "mean", "scope": "2", "step": "1h",
         "parameters": "enthalpy=2776 kJ/kg; boiler_efficiency=85 %; fuel=diesel"},
        {"id": "water", "carrier": "wastewater:industrial", "unit": "m3", "scope": "1", "step": "1d",
         "parameters": "cod=2000 mg/L; system=anaerobic_deep"},
    ]  # fmt: skip
    factors = [{"activity": "process/own", "gas": "CO2", "value": "0.52", "unit": "t CO2/t clinker"}]
    start = local(HANOI, 2023, 5, 1)
    park = ingest(
        park_of(tmp_path / "park", flows, factors=factors),
        [
            ("cool", start, 10.0),
            *(("cement", start + i * DAY, 100.0) for i in range(31)),
            *(("steam", start + i * HOUR, 2.0) for i in range(31 * 24)),
            *(("water", start + i * DAY, 500.0) for i in range(31)),
        ],
    )
    rows = mg.measure(park, "2023-05", by=["flow", "gas"], store=False).to_arrow().to_pylist()
    kg = {(row["flow"], row["gas"]): row["kg"] for row in rows}
    assert kg["cool", "HFC-134a"] == pytest.approx(10.0)
    assert kg["cement", "CO2"] == pytest.approx(3100 * 520.0)
    assert kg["steam", "CO2"] == pytest.approx(2.0 * 744 * 0.24200188235294118 * 1000)  # worked example VN-03
    assert kg["water", "CH4"] == pytest.approx(
        31 * 500 * 2000e-3 * 0.25 * 0.8
    )  # IPCC 2006 V5 Ch6: B0 0.25, MCF 0.8
    co2e = {row["flow"]: row["co2e_kg"] for row in rows if row["gas"] == "HFC-134a"}
    assert co2e["cool"] == pytest.approx(13_000)  # worked example VN-06, AR5
    assert total_of(park, "2023-05", gwp="AR6") - total_of(park, "2023-05", gwp="AR5") == pytest.approx(
        2300
        + kg["water", "CH4"] * (mg_gwp("AR6", "CH4") - 28)
        + kg["steam", "CH4"] * (mg_gwp("AR6", "CH4") - 28)
        + kg["steam", "N2O"] * (mg_gwp("AR6", "N2O") - 265)
    )


def mg_gwp(name, gas):
    from mangrove import rules

    return rules.load().gwp(name).value(gas).value


def test_s2_01_dual_reporting_through_the_ledger(tmp_path):
    """10,000 MWh at 0.71; 4,000 under a contract and 2,000 with certificates at zero, residual 0.8: 7,100 and 3,200 t."""
    flow = {
        "id": "m", "carrier": "electricity", "unit": "MWh", "step": "1mo", "scope": "2", "factor": "grid/example",
        "parameters": "contract_share=40 %; contract_factor=0 t/MWh; certificate_share=20 %; certificate_factor=0 t/MWh; "
        "residual_factor=0.8 t/MWh",
    }  # fmt: skip
    factors = [{"activity": "grid/example", "gas": "CO2", "value": "0.71", "unit": "t CO2/MWh"}]
    park = ingest(
        park_of(tmp_path / "park", [flow], factors=factors),
        [("m", local(HANOI, 2023, month, 1), 10_000 / 12) for month in range(1, 13)],
    )
    assert total_of(park) == pytest.approx(7_100_000)
    assert total_of(park, view="market") == pytest.approx(3_200_000)
    market = mg.measure(park, "2023", by=["flow"], view="market", store=False)
    parts = market.explain(0).parts
    assert [part.amount for part in parts] == pytest.approx([10_000.0] * 3)
    assert sum(part.co2e_kg for part in parts) == pytest.approx(3_200_000)


def test_biogenic_carbon_is_a_memo_item_and_avoided_emissions_stand_apart(tmp_path):
    flows = [
        {"id": "wood", "carrier": "fuel:wood", "unit": "t", "step": "1mo", "scope": "1"},
        {"id": "roof", "carrier": "electricity", "unit": "MWh", "step": "1mo", "method": "own_generation",
         "parameters": "counterfactual=0.5 t/MWh"},
        {"id": "m", "carrier": "electricity", "unit": "MWh", "step": "1mo", "scope": "2"},
    ]  # fmt: skip
    start = local(HANOI, 2023, 5, 1)
    park = ingest(
        park_of(tmp_path / "park", flows), [("wood", start, 100.0), ("roof", start, 30.0), ("m", start, 50.0)]
    )
    rows = mg.measure(
        park,
        "2023-05",
        by=["account", "flow", "gas"],
        accounts=["inventory", "memo", "avoided", "removal"],
        store=False,
    )
    kg = {(row["account"], row["flow"], row["gas"]): row["kg"] for row in rows.to_arrow().to_pylist()}
    heat = 100 * 15.6e-3  # TJ, IPCC 2006 V2 Table 1.2
    assert kg == pytest.approx(
        {
            ("memo", "wood", "CO2"): heat * 112_000,
            ("inventory", "wood", "CH4"): heat * 30,
            ("inventory", "wood", "N2O"): heat * 4,
            ("avoided", "roof", "CO2"): 15_000.0,
            ("inventory", "m", "CO2"): 50 * 659.2,
        }
    )
    assert total_of(park, "2023-05") == pytest.approx(heat * (30 * 28 + 4 * 265) + 50 * 659.2)
    separate = {
        account: total_of(park, "2023-05", accounts=[account])
        for account in ("inventory", "memo", "avoided", "removal")
    }
    together = mg.measure(
        park, "2023-05", accounts=["inventory", "memo", "avoided", "removal"], by=["account"], store=False
    )
    assert {row["account"]: row["co2e_kg"] for row in together.to_arrow().to_pylist()} == pytest.approx(
        {account: kg for account, kg in separate.items() if not isnan(kg)}
    )


def test_reported_co2e_counts_only_in_the_gwp_set_of_its_report(tmp_path):
    flow = {
        "id": "r",
        "carrier": "reported:CO2e",
        "unit": "t",
        "step": "1y",
        "scope": "3",
        "parameters": "gwp=AR5",
    }
    park = ingest(park_of(tmp_path / "park", [flow]), [("r", local(HANOI, 2023, 1, 1), 12.5)])
    assert total_of(park) == pytest.approx(12_500)
    other = mg.measure(park, "2023", gwp="AR4", store=False)
    assert isnan(other.total()["co2e_kg"])  # unknown, not zero
    assert [problem.code for problem in other.problems if problem.data.get("flow") == "r"] == [
        "measure.reported_in_another_set"
    ]


def test_a_gas_outside_the_gwp_set_is_a_gap_and_keeps_its_mass(tmp_path):
    flow = {"id": "x", "carrier": "refrigerant:unobtainium", "unit": "kg", "step": "1mo", "scope": "1"}
    park = ingest(park_of(tmp_path / "park", [flow]), [("x", local(HANOI, 2023, 5, 1), 3.0)])
    result = mg.measure(park, "2023-05", by=["gas"], store=False)
    (row,) = result.to_arrow().to_pylist()
    assert row["kg"] == pytest.approx(3.0)
    assert isnan(row["co2e_kg"])
    assert "AR5" in result.explain(0).text()
    assert "measure.no_gwp" in {problem.code for problem in result.problems}


# What does not count


def test_values_of_other_quality_are_shown_and_never_summed_as_zero(tmp_path):
    """A day whose only value failed has no row at all; filled and manual values count; a marker of a missing one is none."""
    flows = [electricity(id="fine"), electricity(id="coarse", step="1d")]
    start = local(HANOI, 2023, 5, 1)
    codes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    batch = [("coarse", start + i * DAY, 24.0, code) for i, code in enumerate(codes)]
    batch += [
        ("fine", start + i * DAY + h * HOUR, 1.0, code) for i, code in enumerate(codes) for h in range(24)
    ]
    park = ingest(park_of(tmp_path / "park", flows), batch)
    result = mg.measure(park, "2023-05-01", "2023-05-11", by=["flow", "gas"], every="1d", store=False)
    days = {}
    for row in result.to_arrow().to_pylist():
        days.setdefault(row["flow"], []).append((row["start"] - start) // DAY)
        assert row["kg"] == pytest.approx(24 * 0.6592)
    assert days == {"fine": [0, 7, 8], "coarse": [0, 7, 8]}
    counts = {count.flow: count for count in result.flows}
    for name, each in (("fine", 24), ("coarse", 1)):
        count = counts[name]
        assert (count.counted, count.excluded, count.estimated) == (3 * each, 6 * each, each)
        assert count.coverage == pytest.approx(0.3)
