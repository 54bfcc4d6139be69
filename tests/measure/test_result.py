"""One measurement in all its views: parts add up, rows are explained, intervals are honest, nothing is read twice."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mangrove as mg
from mangrove import rules
from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.measure import amounts, uncertainty
from mangrove.measure import plan as plans
from mangrove.measure.question import ACCOUNTS
from mangrove.measure.uncertainty import Z95
from mangrove.territory import attach_boundaries
from mangrove.testing import park_of, steady, values

NEW_YEAR = datetime(2022, 12, 31, 17, tzinfo=UTC)  # 2023 in Việt Nam
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GRID = 0.6592  # t CO2/MWh, 1726/BDKH-PTCBT, 2023

PLACES = """\
id,name,kind,parent,area_km2,population,valid_from,valid_to
city,City,city,,40,100000,,
east,East,district,city,25,30000,,
west,West,district,city,15,70000,,
e1,East one,ward,east,10,10000,2025-07-01,
e2,East two,ward,east,15,20000,2025-07-01,
w1,West one,ward,west,15,70000,2025-07-01,
o1,Old one,ward,city,12,25000,,2025-07-01
o2,Old two,ward,city,28,75000,,2025-07-01
plant,Plant,facility,e2,,,,
mill,Old mill,facility,o2,,,,
"""
CROSSWALK = "old,new,share\no1,e1,0.4\no1,e2,0.6\no2,e2,0.1\no2,w1,0.9\n"
FLOWS = [
    {"id": "homes", "place": "city", "carrier": "electricity", "unit": "MWh", "step": "1y", "scope": "2",
     "spread": "population", "sector": "residential", "gpc": "I.1.2", "uncertainty": "5 %", "category": "2"},
    {"id": "lights", "place": "city", "carrier": "electricity", "unit": "kW", "step": "1h", "semantics": "mean",
     "scope": "2", "spread": "area", "sector": "public", "gpc": "I.2.2", "uncertainty": "2 %", "meter": "EVN"},
    {"id": "trucks", "place": "east", "carrier": "fuel:diesel", "unit": "L", "step": "1mo", "scope": "1",
     "spread": "population", "method": "mobile_combustion", "sector": "transport", "gpc": "II.1.1", "basis": "derived"},
    {"id": "boiler", "place": "plant", "carrier": "fuel:wood", "unit": "t", "step": "1d", "scope": "1", "sector": "steel",
     "gpc": "I.3.1", "uncertainty": "5 %"},
    {"id": "coal", "place": "mill", "carrier": "fuel:anthracite", "unit": "t", "step": "1w", "scope": "1",
     "sector": "steel", "gpc": "I.3.1"},
    {"id": "office", "place": "city", "carrier": "electricity", "unit": "MWh", "step": "1mo", "scope": "2",
     "sector": "public", "gpc": "I.2.2", "meter": "EVN", "uncertainty": "2 %"},
    {"id": "roof", "place": "plant", "carrier": "electricity", "unit": "MWh", "step": "1mo", "method": "own_generation",
     "parameters": "counterfactual=grid"},
    {"id": "dump", "place": "west", "carrier": "waste:food", "unit": "t", "step": "1mo", "scope": "1", "gpc": "III.1.1",
     "method": "solid_waste_decay", "parameters": "site=managed_anaerobic; climate=tropical_wet; delay=2 month"},
]  # fmt: skip
LEVELS = ("city", "district", "ward", "facility")
COLUMNS = (
    "flow",
    "place",
    "sector",
    "scope",
    "gpc",
    "category",
    "carrier",
    "basis",
    "meter",
    "method",
    "gas",
    *LEVELS,
)


def local(month, day=1, year=2023):
    return datetime(year, month, day, tzinfo=UTC) - timedelta(hours=7)


def fill(folder, rows, seq="1"):
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(values(rows), Origin("test", seq))
    return mg.open(folder)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = park_of(tmp_path_factory.mktemp("result") / "city", FLOWS)
    text = (folder / "territory.yaml").read_text(encoding="utf-8")
    (folder / "territory.yaml").write_text(
        text.replace("kind: park", "kind: city").replace("root: park", "root: city")
    )
    (folder / "places.csv").write_text(PLACES)
    (folder / "crosswalk.csv").write_text(CROSSWALK)
    rows = [
        ("homes", NEW_YEAR, 5000.0),
        *steady("lights", NEW_YEAR - 10 * HOUR, HOUR, 24 * 60, 300.0),
        *(("trucks", local(month), 1000.0 * month) for month in range(1, 5)),
        *steady("boiler", NEW_YEAR, DAY, 70, 3.0),
        *steady("coal", local(1, 2), 7 * DAY, 10, 20.0),
        *(("office", local(month), 40.0) for month in range(1, 5)),
        *(("roof", local(month), 10.0 + month) for month in range(1, 5)),
        *(("dump", local(month, year=year), 100.0) for year in (2020, 2021, 2023) for month in range(1, 13)),
    ]
    return fill(folder, rows)


def measure(park, *span, **arguments):
    return mg.measure(park, *(span or ("2023-01-05", "2023-03-10")), store=False, **arguments)


def rows_of(result):
    return result.to_arrow().to_pylist()


# Parts and totals


@pytest.fixture(scope="module")
def both(city):
    """The same measurement in the borders before and after the merger."""
    return [measure(city, borders=day) for day in ("2025-06-30", "2025-07-01")]


@settings(max_examples=25, deadline=None)
@given(
    by=st.lists(st.sampled_from(COLUMNS), unique=True, max_size=4),
    every=st.sampled_from([None, None, "1d", "1w", "1mo"]),
    after=st.booleans(),
)
def test_parts_add_up_to_the_total_at_every_level_and_in_both_borders(both, by, every, after):
    result = both[after]
    total = result.total()["co2e_kg"]
    parts = result.table(by=by, every=every, with_uncertainty=False).column("co2e_kg").to_numpy()
    assert parts.sum() == pytest.approx(total, rel=1e-12)


def test_levels_that_lie_in_each_other_give_the_same_wards_in_any_order(both):
    """A ward has the same number and its own district, whichever columns stand beside it."""
    result = both[1]
    alone = {row["ward"]: row["co2e_kg"] for row in result.table(by=["ward"]).to_pylist()}
    for by in permutations(("city", "district", "ward")):
        rows = result.table(by=by).to_pylist()
        wards = {}
        for row in rows:
            wards[row["ward"]] = wards.get(row["ward"], 0.0) + row["co2e_kg"]
            assert row["city"] == "city"
            if row["ward"]:
                assert row["district"] == {"e": "east", "w": "west"}[row["ward"][0]]
        assert wards == pytest.approx(alone)
    districts = {row["district"]: row["co2e_kg"] for row in result.table(by=["district"]).to_pylist()}
    assert sum(districts.values()) == pytest.approx(sum(alone.values()))
    # what stands at the district itself has no ward, but it has its district
    dump = [row for row in result.table(by=["district", "ward", "flow"]).to_pylist() if row["flow"] == "dump"]
    assert [(row["district"], row["ward"]) for row in dump] == [("west", "")]


def test_shares_follow_population_area_and_crosswalk(city):
    """Annual homes by inhabitants, lamps by area, a mill of an ended ward by the crosswalk; a month of 31 days."""
    rows = measure(city, "2023-01", by=["flow", "ward"], borders="2025-07-01")
    kg = {(row["flow"], row["ward"]): row["co2e_kg"] for row in rows_of(rows)}
    homes = 5000 * 1000 * GRID * 31 / 365
    assert [kg["homes", ward] for ward in ("e1", "e2", "w1")] == pytest.approx(
        [homes * n / 10 for n in (1, 2, 7)]
    )
    lamps = 300 * 31 * 24 * GRID
    assert [kg["lights", ward] for ward in ("e1", "e2", "w1")] == pytest.approx(
        [lamps * n / 40 for n in (10, 15, 15)]
    )
    coal = sum(value for (flow, _), value in kg.items() if flow == "coal")
    assert [kg["coal", ward] for ward in ("e2", "w1")] == pytest.approx([0.1 * coal, 0.9 * coal])
    trucks = kg["trucks", "e1"] + kg["trucks", "e2"]
    assert kg["trucks", "e1"] == pytest.approx(trucks / 3)
    assert kg["office", ""] == pytest.approx(40_000 * GRID)
    before = {row["ward"] for row in rows_of(measure(city, "2023-01", by=["ward"], borders="2025-06-30"))}
    assert before == {"o1", "o2", ""}


def test_accounts_divide_what_is_measured(city):
    """Each account alone is what it is beside the others; no row mixes two."""
    together = measure(city, by=["flow", "gas"], accounts=ACCOUNTS)
    assert "account" in together.to_arrow().column_names
    for account in ACCOUNTS:
        alone = rows_of(measure(city, by=["flow", "gas"], accounts=[account]))
        part = [row for row in rows_of(together) if row["account"] == account]
        assert [row["kg"] for row in alone] == pytest.approx([row["kg"] for row in part])
        narrowed = together.table(by=["flow", "gas"], accounts=[account]).to_pylist()
        assert [row["kg"] for row in narrowed] == pytest.approx([row["kg"] for row in part])
    assert together.total() == pytest.approx(measure(city).total())
    assert measure(city, accounts=["avoided"]).total()["co2e_kg"] == pytest.approx(
        sum(row["co2e_kg"] for row in rows_of(together) if row["account"] == "avoided")
    )


def test_leaves_add_up_to_the_total_and_name_their_lines(city):
    result = measure(city)
    assert sum(leaf.co2e for leaf in result.leaves) == pytest.approx(result.total()["co2e_kg"])
    for leaf in result.leaves:
        line = result.plan.lines[leaf.line]
        assert (leaf.flow, leaf.gas, leaf.account) == (line.flow, line.gas, line.account)
        assert leaf.kg == pytest.approx(leaf.amount * line.kg)


# Explain and replay


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_random_row_of_a_random_view_is_explained_to_the_last_digit(city, data):
    by = data.draw(st.lists(st.sampled_from(COLUMNS), unique=True, max_size=3))
    every = data.draw(st.sampled_from([None, "1h", "1d", "1w", "1mo"]))
    borders = data.draw(st.sampled_from(["2025-06-30", "2025-07-01"]))
    result = measure(city, "2023-01-05", "2023-02-03", by=by, every=every, borders=borders)
    number = data.draw(st.integers(0, len(result) - 1))
    row, explanation = rows_of(result)[number], result.explain(number)
    assert explanation.co2e_kg == pytest.approx(row["co2e_kg"], rel=1e-12)
    if "gas" in by:
        assert explanation.kg == pytest.approx(row["kg"], rel=1e-12)
    for part in explanation.parts:
        product = part.amount * part.share
        for term in () if part.releases else part.terms:
            product *= term.value**term.power
        assert product == pytest.approx(part.kg, rel=1e-9)
        assert sum(release.kg for release in part.releases) * part.share == pytest.approx(
            part.kg if part.releases else 0.0
        )
    assert explanation.batches
    assert explanation.text("vi") != explanation.text("en")


def test_an_explanation_counts_exactly_the_values_behind_the_row(city):
    """An hour of February: one hourly value, one of the month, one of the year, one of the day, one of the week."""
    result = measure(city, "2023-02-10", "2023-02-11", by=["flow"], every="1h")
    for number, row in enumerate(rows_of(result)[:6]):
        used = sum(batch.used for batch in result.explain(number).batches)
        assert used == (24 + 12 if row["flow"] == "dump" else 1), row[
            "flow"
        ]  # all deposits of 2020, 2021 and 2023 so far


@pytest.mark.parametrize(
    ("by", "every", "borders"),
    [
        ((), None, None),
        (("ward", "gas"), "1mo", "2025-07-01"),
        (("flow",), "1d", None),
        (("sector",), "3h", None),
    ],
)
def test_a_replay_gives_the_value_the_gaps_and_the_flows(city, by, every, borders):
    result = mg.measure(city, "2023-01-05", "2023-02-03", by=by, every=every, borders=borders)
    again = mg.replay(city, result.record)
    for left, right in zip(rows_of(again), rows_of(result), strict=True):
        assert {k: v for k, v in left.items() if not isinstance(v, float)} == {
            k: v for k, v in right.items() if not isinstance(v, float)
        }
        assert [v for v in left.values() if isinstance(v, float)] == pytest.approx(
            [v for v in right.values() if isinstance(v, float)], nan_ok=True
        )
    assert again.problems == result.problems
    assert [count.flow for count in again.flows] == [count.flow for count in result.flows]


def test_a_declaration_that_changed_since_it_was_opened_is_not_bound_to_a_measurement(tmp_path):
    park = fill(
        park_of(
            tmp_path / "park",
            [{"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"}],
        ),
        [("m", NEW_YEAR, 1.0)],
    )
    path = park.territory.path / "flows.csv"
    path.write_text(path.read_text().replace("kWh", "MWh"))
    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            mg.measure(park, "2023-01")
        assert caught.value.code == "measure.declaration_changed"
    assert mg.measure(mg.open(park.territory.path), "2023-01").total()["co2e_kg"] == pytest.approx(659.2)


def test_drawn_boundaries_do_not_keep_a_measurement_from_being_stored(tmp_path):
    """Boundaries that are attached to an opened territory are no part of its files, and of no number."""
    park = fill(
        park_of(
            tmp_path / "park",
            [{"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"}],
        ),
        [("m", NEW_YEAR, 1.0)],
    )
    ring = [[105.0, 21.0], [105.1, 21.0], [105.1, 21.1], [105.0, 21.0]]
    feature = {
        "type": "Feature",
        "id": "site",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path = tmp_path / "drawn.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    drawn, _ = attach_boundaries(park.territory, path)
    assert drawn.places["site"].geometry
    result = mg.measure(replace(park, territory=drawn), "2023-01")
    assert mg.replay(park, result.record).total()["co2e_kg"] == pytest.approx(GRID)


# Uncertainty


def meters(folder, flows, factor="10 %"):
    factors = [
        {"activity": "grid/vn", "gas": "CO2", "value": "0.5", "unit": "t CO2/MWh", "uncertainty": factor}
    ]
    return park_of(folder, flows, factors=factors if factor else [{**factors[0], "uncertainty": ""}])


def electricity(**columns):
    return {"carrier": "electricity", "unit": "MWh", "step": "1mo", "scope": "2", **columns}


def sampled(result, n=40_000):
    """Monte Carlo totals in kg CO2e from the lines and errors of the plan."""
    plan = result.plan
    kg = np.zeros(len(plan.lines))
    for leaf in result.leaves:
        kg[leaf.line] += leaf.co2e
    errors = plan.errors()
    names = {name: number for number, name in enumerate(dict.fromkeys(name for _, name, _ in errors))}
    return uncertainty.monte_carlo(
        kg,
        [line for line, _, _ in errors],
        [names[name] for _, name, _ in errors],
        [abs(sd) for _, _, sd in errors],
        power=[1 if sd > 0 else -1 for _, _, sd in errors],
        n=n,
        seed=5,
    )


def test_the_interval_is_that_of_monte_carlo_for_small_errors(tmp_path):
    """Three meters, two of one make, one grid factor and fuels: width and coverage within sampling error."""
    flows = [
        electricity(id="a", uncertainty="4 %", meter="M"),
        electricity(id="b", uncertainty="4 %", meter="M"),
        electricity(id="c", uncertainty="6 %"),
        {
            "id": "f",
            "carrier": "fuel:anthracite",
            "unit": "t",
            "step": "1mo",
            "scope": "1",
            "uncertainty": "3 %",
        },
    ]
    rows = [("a", NEW_YEAR, 100.0), ("b", NEW_YEAR, 50.0), ("c", NEW_YEAR, 200.0), ("f", NEW_YEAR, 80.0)]
    result = measure(fill(meters(tmp_path / "park", flows), rows), "2023-01")
    total, totals = result.total(), sampled(result)
    sd = (total["co2e_high"] - total["co2e_low"]) / (2 * Z95)
    assert totals.mean() == pytest.approx(total["co2e_kg"], abs=4 * sd / len(totals) ** 0.5)
    assert totals.std() == pytest.approx(sd, rel=4 / (2 * len(totals)) ** 0.5 + 0.005)
    inside = np.mean((totals > total["co2e_low"]) & (totals < total["co2e_high"]))
    assert inside == pytest.approx(0.95, abs=0.006)


def test_the_interval_is_that_of_monte_carlo_for_an_error_of_150_percent(tmp_path):
    """Methane of burnt wood, ± 150 % (IPCC 2006 V2 Ch2 Table 2.12): lognormal, with its mean and its two bounds."""
    flow = {"id": "f", "carrier": "fuel:wood", "unit": "t", "step": "1mo", "scope": "1", "uncertainty": "5 %"}
    park = fill(park_of(tmp_path / "park", [flow]), [("f", NEW_YEAR, 100.0)])
    row = next(row for row in rows_of(measure(park, "2023-01", by=["gas"])) if row["gas"] == "CH4")
    result = measure(park, "2023-01")
    methane = [line.index for line in result.plan.lines if line.gas == "CH4"]
    errors = [(name, sd) for line, name, sd in result.plan.errors() if line in methane]
    assert max(sd for _, sd in errors) == pytest.approx(1.5 / Z95)
    totals = uncertainty.monte_carlo(
        [row["co2e_kg"]], [0] * len(errors), range(len(errors)), [sd for _, sd in errors], n=400_000, seed=2
    )
    assert totals.mean() == pytest.approx(row["co2e_kg"], rel=0.01)
    low, high = np.quantile(totals, [0.025, 0.975])
    assert (row["co2e_low"], row["co2e_high"]) == (
        pytest.approx(low, rel=0.02),
        pytest.approx(high, rel=0.02),
    )
    assert row["co2e_low"] > 0


def test_a_total_with_one_very_uncertain_part_stays_near_monte_carlo(tmp_path):
    """Wood's methane beside grid power: the sum of a lognormal and nearly sure numbers."""
    flows = [
        {"id": "f", "carrier": "fuel:wood", "unit": "t", "step": "1mo", "scope": "1", "uncertainty": "5 %"},
        electricity(id="a", uncertainty="4 %"),
    ]
    result = measure(
        fill(meters(tmp_path / "park", flows), [("f", NEW_YEAR, 1000.0), ("a", NEW_YEAR, 20.0)]), "2023-01"
    )
    total, totals = result.total(), sampled(result, n=200_000)
    low, high = np.quantile(totals, [0.025, 0.975])
    width = high - low
    assert total["co2e_low"] == pytest.approx(low, abs=0.15 * width)
    assert total["co2e_high"] == pytest.approx(high, abs=0.15 * width)
    inside = np.mean((totals > total["co2e_low"]) & (totals < total["co2e_high"]))
    assert inside == pytest.approx(0.95, abs=0.03)


def width(row):
    return (row["co2e_high"] - row["co2e_low"]) / 2


def test_two_meters_on_one_factor_and_one_meter_on_two_flows(tmp_path):
    """By hand: shared errors are added before squaring, own errors after."""
    flows = [electricity(id="a", uncertainty="4 %", meter="M"), electricity(id="b", uncertainty="4 %", meter="M"),
             electricity(id="c", uncertainty="6 %")]  # fmt: skip
    rows = [("a", NEW_YEAR, 100.0), ("b", NEW_YEAR, 50.0), ("c", NEW_YEAR, 200.0)]
    park = fill(meters(tmp_path / "park", flows), rows)
    by_flow = {row["flow"]: width(row) for row in rows_of(measure(park, "2023-01", by=["flow"]))}
    a, b, c = 50_000.0, 25_000.0, 100_000.0
    assert by_flow == pytest.approx(
        {
            "a": a * (0.1**2 + 0.04**2) ** 0.5,
            "b": b * (0.1**2 + 0.04**2) ** 0.5,
            "c": c * (0.1**2 + 0.06**2) ** 0.5,
        }
    )
    (total,) = rows_of(measure(park, "2023-01"))
    expected = ((0.1 * (a + b + c)) ** 2 + (0.04 * (a + b)) ** 2 + (0.06 * c) ** 2) ** 0.5
    assert width(total) == pytest.approx(expected)
    days = rows_of(measure(park, "2023-01", every="1d"))
    assert sum(width(day) for day in days) == pytest.approx(expected)  # errors do not average out over time


def test_without_any_stated_error_there_is_no_interval(tmp_path):
    """NaN, not a width of zero; the row of the one flow that states its error has an interval."""
    flows = [electricity(id="a"), electricity(id="b", uncertainty="5 %")]
    park = fill(meters(tmp_path / "park", flows, factor=""), [("a", NEW_YEAR, 100.0), ("b", NEW_YEAR, 50.0)])
    rows = {row["flow"]: row for row in rows_of(measure(park, "2023-01", by=["flow", "gas"]))}
    for name in ("co2e_low", "co2e_high", "kg_low", "kg_high"):
        assert np.isnan(rows["a"][name])
        assert np.isfinite(rows["b"][name])


def test_one_note_says_how_many_flows_state_no_uncertainty(tmp_path):
    flows = [
        electricity(id="a"),
        electricity(id="b", uncertainty="5 %"),
        electricity(id="c"),
        electricity(id="d"),
    ]
    rows = [("a", NEW_YEAR, 100.0), ("b", NEW_YEAR, 50.0), ("c", NEW_YEAR, 1.0)]
    result = measure(fill(meters(tmp_path / "park", flows), rows), "2023-01")
    notes = [problem for problem in result.problems if problem.code == "measure.no_uncertainty"]
    assert [(note.severity, note.data) for note in notes] == [("note", {"count": 2, "total": 3})]
    assert "2 of 3" in notes[0].text("en")
    assert "2 trên 3" in notes[0].text("vi")


def test_no_note_when_every_flow_states_its_uncertainty_or_no_error_is_known_at_all(tmp_path):
    for number, (flow, factor) in enumerate(
        [
            (electricity(id="a", uncertainty="5 %"), "10 %"),
            (electricity(id="a", uncertainty="0 %"), "10 %"),
            (electricity(id="a"), ""),
        ]
    ):
        park = fill(meters(tmp_path / f"park{number}", [flow], factor=factor), [("a", NEW_YEAR, 100.0)])
        codes = {problem.code for problem in measure(park, "2023-01").problems}
        assert "measure.no_uncertainty" not in codes


# Reading


def test_one_measurement_reads_the_values_once_for_its_table_and_once_for_the_whole(city, monkeypatch):
    reads = []
    original = amounts.read

    def counted(plan, timeline, *arguments):
        reads.append(plan.question.every)
        return original(plan, timeline, *arguments)

    monkeypatch.setattr(amounts, "read", counted)
    result = mg.measure(city, "2023-01-05", "2023-02-03", by=["ward"], every="1d")
    result.to_arrow()
    for by in (["gas"], ["sector"], ["scope", "ward"]):
        result.table(by=by)
    assert result.total()
    assert result.flows
    assert result.leaves
    assert result.problems
    assert [str(every) for every in reads] == ["None", "1d"]


def test_tables_without_uncertainty_have_the_same_numbers_and_no_bounds(city):
    result = measure(city)
    plain = result.table(by=["gas"], with_uncertainty=False).to_pydict()
    full = result.table(by=["gas"]).to_pydict()
    assert set(full) - set(plain) == {"kg_low", "kg_high", "co2e_low", "co2e_high"}
    assert plain["kg"] == pytest.approx(full["kg"])


def test_frames_hold_the_same_table(city):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    result = measure(city, by=["ward", "gas"], every="1mo")
    assert isinstance(result.to_pandas(), pandas.DataFrame)
    assert isinstance(result.to_polars(), polars.DataFrame)
    assert len(result.to_pandas()) == len(result.to_polars()) == len(result)
    assert result.to_pandas()["co2e_kg"].tolist() == result.to_arrow().column("co2e_kg").to_pylist()


@pytest.mark.parametrize(("by", "every"), [(("sector",), None), (("scope",), "1mo"), ((), "1d")])
def test_a_result_draws_itself(city, by, every):
    drawing = measure(city, by=by, every=every).plot(lang="vi")
    assert drawing.startswith("<svg")
    assert drawing._repr_svg_() == str(drawing)


def test_a_territory_without_values_has_an_empty_table_and_says_so(tmp_path):
    park = park_of(tmp_path / "park", [electricity(id="a"), electricity(id="b")])
    park = fill(park, [("a", local(5), 1.0)])
    result = measure(park, "2023-01", by=["flow", "gas"], every="1d")
    assert len(result) == 0
    assert result.to_arrow().column_names == [
        "flow", "gas", "start", "kg", "kg_low", "kg_high", "co2e_kg", "co2e_low", "co2e_high", "coverage"
    ]  # fmt: skip
    assert [problem.data["flow"] for problem in result.problems if problem.code == "measure.no_values"] == [
        "a",
        "b",
    ]
    assert np.isnan(result.total()["co2e_kg"])  # unknown, not zero


def test_a_flow_with_a_scope_that_no_method_measures_is_named(tmp_path):
    flows = [electricity(id="a"), {"id": "w", "carrier": "water", "unit": "m3", "step": "1d", "scope": "3"}]
    result = measure(
        fill(park_of(tmp_path / "park", flows), [("a", local(1), 1.0), ("w", local(1), 5.0)]), "2023-01"
    )
    assert [p.data["flow"] for p in result.problems if p.code == "measure.no_method"] == ["w"]


def test_the_plan_of_a_result_can_be_built_again(city):
    result = measure(city)
    again = plans.build(city.territory, rules.load(), result.plan.question)
    assert again.lines == result.plan.lines


def test_values_closer_than_declared_do_not_cover_for_missing_hours(tmp_path):
    """An hourly flow with four values in each even hour and none in the odd ones covers half of the day."""
    quarters = [
        local(1) + timedelta(hours=hour, minutes=minute)
        for hour in range(0, 24, 2)
        for minute in (0, 15, 30, 45)
    ]
    flow = electricity(id="a", step="1h", unit="kWh")
    park = fill(park_of(tmp_path / "park", [flow]), [("a", start, 1.0) for start in quarters])
    rows = measure(park, "2023-01-01", by=["flow"]).to_arrow().to_pylist()
    assert [row["coverage"] for row in rows] == [pytest.approx(0.5)]
