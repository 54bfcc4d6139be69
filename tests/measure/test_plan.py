"""What a measurement needs besides values: lines, edges, errors, gaps."""

from datetime import UTC, date, datetime

import pytest

from mangrove import rules
from mangrove.measure import plan as plans
from mangrove.measure.question import resolve
from mangrove.measure.timeline import Timeline, bucket_of
from mangrove.measure.uncertainty import Z95
from mangrove.territory import load
from mangrove.testing import park_of, two_factory_park

BOOK = rules.load()
NEW_YEAR_2023 = datetime(2022, 12, 31, 17, tzinfo=UTC)


def plan_of(folder, *span, **arguments):
    territory = load(folder)
    return plans.build(territory, BOOK, resolve(territory, *span, **arguments))


def flow(**columns):
    return {"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2", **columns}


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return two_factory_park(tmp_path_factory.mktemp("plan") / "park")


def test_a_line_is_the_product_of_its_terms_and_lies_inside_the_span(park):
    plan = plan_of(park, "2022-12-15", "2023-01-15")
    assert [line.index for line in plan.lines] == list(range(len(plan.lines)))
    for line in plan.lines:
        product = 1.0
        for term in line.terms:
            product *= term.value**term.power
        assert line.kg == pytest.approx(product)
        assert plan.question.span.start <= line.valid_from < line.valid_to <= plan.question.span.end


def test_lines_of_one_gas_follow_each_other_without_gap_or_overlap(park):
    plan = plan_of(park, "2022", "2024")
    for name in ("mill.power", "shop.power"):
        pieces = sorted((line.valid_from, line.valid_to) for line in plan.lines if line.flow == name)
        assert pieces == [
            (plan.question.span.start, NEW_YEAR_2023),
            (NEW_YEAR_2023, plan.question.span.end),
        ]
    assert plan.edges() == [NEW_YEAR_2023]


def test_the_weights_are_those_of_the_named_set(park):
    for name in ("AR4", "AR5", "AR6"):
        plan = plan_of(park, "2023", gwp=name)
        assert {line.gas: line.weight for line in plan.lines} == {
            gas: BOOK.gwp(name).value(gas).value for gas in ("CO2", "CH4", "N2O")
        }


def test_without_a_set_gases_weigh_nothing_and_nothing_is_missing(tmp_path):
    folder = park_of(tmp_path / "park", [flow()])
    path = folder / "territory.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("gwp: AR5\n", ""))
    plan = plan_of(folder, "2023", by=["gas"])
    assert [line.weight for line in plan.lines] == [0.0]
    assert plan.gaps == ()


def test_the_market_view_replaces_the_location_view(tmp_path):
    folder = park_of(tmp_path / "park", [flow(parameters="contract_share=100 %; contract_factor=0.1 t/MWh")])
    location, market = plan_of(folder, "2023"), plan_of(folder, "2023", view="market")
    assert [line.view for line in location.lines] == ["location"]
    assert [(line.view, line.kg) for line in market.lines] == [("market", pytest.approx(0.1))]


def test_only_flows_of_the_asked_accounts_take_part(tmp_path):
    folder = park_of(
        tmp_path / "park",
        [
            flow(id="a"),
            flow(id="b", account="memo"),
            {"id": "c", "carrier": "water", "unit": "m3", "step": "1d"},
        ],
    )
    assert list(plan_of(folder, "2023").flows) == ["a"]
    assert list(plan_of(folder, "2023", accounts=["memo"]).flows) == ["b"]
    assert list(plan_of(folder, "2023", accounts=["inventory", "memo"]).flows) == ["a", "b"]


def test_a_flow_that_cannot_be_computed_takes_part_as_a_gap(tmp_path):
    folder = park_of(
        tmp_path / "park",
        [flow(), {"id": "w", "carrier": "waste:food", "unit": "t", "step": "1mo", "scope": "3"}],
    )
    plan = plan_of(folder, "2023")
    assert list(plan.flows) == ["m", "w"]
    assert {gap.flow for gap in plan.gaps} == {"w"}
    assert all(line.flow == "m" for line in plan.lines)


@pytest.mark.parametrize(
    "columns",
    [
        {"semantics": "mean", "unit": "kW", "step": ""},
        {
            "carrier": "stack:CO2",
            "unit": "mg/Nm3",
            "semantics": "mean",
            "parameters": "gas_flow=v",
            "step": "",
        },
    ],
)
def test_a_rate_without_a_step_has_no_amount_and_says_so(tmp_path, columns):
    folder = park_of(
        tmp_path / "park",
        [
            flow(**columns),
            {"id": "v", "carrier": "gas:flue", "unit": "Nm3/h", "semantics": "mean", "step": "5min"},
        ],
    )
    plan = plan_of(folder, "2023")
    assert [line for line in plan.lines if line.flow == "m"] == []
    assert "measure.needs_step" in {gap.code for gap in plan.gaps}


def test_errors_name_what_is_shared(tmp_path):
    """Two flows of one meter on one local factor: one meter error, one factor error; an own error where none is named."""
    folder = park_of(
        tmp_path / "park",
        [
            flow(id="a", uncertainty="4 %", meter="M"),
            flow(id="b", uncertainty="4 %", meter="M"),
            flow(id="c", uncertainty="6 %"),
            flow(id="d"),
        ],
        factors=[
            {"activity": "grid/vn", "gas": "CO2", "value": "0.6", "unit": "t CO2/MWh", "uncertainty": "10 %"}
        ],
    )
    plan = plan_of(folder, "2023")
    found = {}
    for index, name, sd in plan.errors():
        found.setdefault(plan.lines[index].flow, {})[name] = sd
    (factor,) = set(found["d"])
    assert found["d"] == {factor: pytest.approx(0.10 / Z95)}
    assert (
        found["a"] == found["b"] == {factor: pytest.approx(0.10 / Z95), "meter:M": pytest.approx(0.04 / Z95)}
    )
    assert found["c"] == {factor: pytest.approx(0.10 / Z95), "meter:c": pytest.approx(0.06 / Z95)}


def test_a_product_carries_the_errors_of_both_meters(tmp_path):
    folder = park_of(
        tmp_path / "park",
        [
            {"id": "c", "carrier": "stack:CO2", "unit": "mg/Nm3", "semantics": "mean", "parameters": "gas_flow=v",
             "step": "5min", "scope": "1", "uncertainty": "3 %", "meter": "A"},
            {"id": "v", "carrier": "gas:flue", "unit": "Nm3/h", "semantics": "mean", "step": "5min",
             "uncertainty": "4 %", "meter": "B"},
        ],
    )  # fmt: skip
    plan = plan_of(folder, "2023")
    assert plan.products == {"c": "v"}
    assert [(name, sd) for _, name, sd in plan.errors()] == [
        ("meter:A", pytest.approx(0.03 / Z95)),
        ("meter:B", pytest.approx(0.04 / Z95)),
    ]
    assert plan.amount_unit("c") == "mg/Nm3·Nm3/h·h"


def test_a_time_line_is_cut_at_buckets_and_where_factors_change(park):
    plan = plan_of(park, "2022-12-30", "2023-01-03", every="1w")
    timeline = Timeline.of(plan)
    monday = datetime(2023, 1, 1, 17, tzinfo=UTC)  # Monday, 2 January 2023, in Việt Nam
    assert timeline.starts == [plan.question.span.start, monday]
    assert timeline.segments == [plan.question.span.start, NEW_YEAR_2023, monday]
    assert timeline.buckets().tolist() == [0, 0, 1]
    assert timeline.hours().tolist() == [72.0, 24.0]
    assert bucket_of(plan, monday).hours == 24.0
    starts, segments = timeline.slots()
    assert len(starts) == 96
    assert [segments.tolist().count(number) for number in range(3)] == [48, 24, 24]


def test_a_local_factor_with_dates_ends_at_local_midnight(tmp_path):
    folder = park_of(
        tmp_path / "park",
        [flow()],
        factors=[
            {"activity": "grid/vn", "gas": "CO2", "value": "0.5", "unit": "t CO2/MWh",
             "valid_from": "2023-03-10", "valid_to": "2023-03-20"}
        ],
        timezone="Asia/Kolkata",
    )  # fmt: skip
    plan = plan_of(folder, "2023-03")
    assert plan.edges() == [
        datetime(2023, 3, 9, 18, 30, tzinfo=UTC),
        datetime(2023, 3, 19, 18, 30, tzinfo=UTC),
    ]
    day = date(2023, 3, 15)
    inside = [line for line in plan.lines if line.valid_from.date() < day < line.valid_to.date()]
    assert [line.kg for line in inside] == [pytest.approx(0.5)]
