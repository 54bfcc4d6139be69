"""What people write becomes one checked question."""

from datetime import UTC, date, datetime

import pytest

import mangrove as mg
from mangrove import rules
from mangrove.errors import MangroveError, RequestError
from mangrove.ledger.types import Origin
from mangrove.measure import plan as plans
from mangrove.measure.question import column_names, resolve
from mangrove.territory import load
from mangrove.testing import park_of, three_ward_city, two_factory_park, values
from mangrove.times import Step


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return load(two_factory_park(tmp_path_factory.mktemp("question") / "park"))


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return load(three_ward_city(tmp_path_factory.mktemp("question") / "city"))


def test_a_period_is_read_in_local_time(park):
    span = resolve(park, "2024").span
    assert (span.start, span.end) == (
        datetime(2023, 12, 31, 17, tzinfo=UTC),
        datetime(2024, 12, 31, 17, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-03-01", "2024-04-01"),
        ("2024-03", "2024-04"),
        (date(2024, 3, 1), date(2024, 4, 1)),
        (datetime(2024, 3, 1), datetime(2024, 4, 1)),  # noqa: DTZ001 - naive times are local
        (datetime(2024, 2, 29, 17, tzinfo=UTC), "2024-03-31T17:00:00Z"),
    ],
)
def test_the_same_month_can_be_written_in_many_ways(park, start, end):
    assert resolve(park, start, end).span == resolve(park, "2024-03").span


def test_the_gwp_set_of_the_territory_holds_unless_another_is_named(park):
    assert resolve(park, "2024").gwp == "AR5"
    assert resolve(park, "2024", gwp="AR6").gwp == "AR6"


def test_columns_keep_their_order_and_are_named_once(park):
    assert resolve(park, "2024", by=["gas", "place", "gas"]).by == ("gas", "place")
    assert {"facility", "park"} <= set(column_names(park))


def test_several_accounts_are_never_added_up(park):
    assert resolve(park, "2024", by=["gas"], accounts=["inventory", "memo"]).by == ("gas", "account")
    assert resolve(park, "2024", by=["account"], accounts=["inventory", "memo"]).by == ("account",)
    assert resolve(park, "2024", accounts=["memo", "memo"]).by == ()


def test_the_borders_are_those_of_the_last_day_unless_one_is_named(city):
    assert resolve(city, "2025-06").borders == date(2025, 6, 30)
    assert resolve(city, "2025-06", "2025-07-02").borders == date(2025, 7, 1)
    assert resolve(city, "2025-06", borders="2025-07-01").borders == date(2025, 7, 1)
    assert resolve(city, "2025-06", borders=date(2026, 1, 1)).borders == date(2026, 1, 1)


def test_the_borders_that_the_territory_declares_come_before_the_last_day(tmp_path):
    folder = three_ward_city(tmp_path / "city")
    path = folder / "territory.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("  root: city", "  root: city\n  on: 2025-01-01")
    )
    assert resolve(load(folder), "2026").borders == date(2025, 1, 1)


@pytest.mark.parametrize("as_of", ["2025-03", date(2025, 3, 31), "2025-03-31"])
def test_what_was_known_in_a_period_is_what_was_known_at_its_end(park, as_of):
    assert resolve(park, "2024", as_of=as_of).as_of == datetime(2025, 3, 31, 17, tzinfo=UTC)


def test_a_moment_of_knowledge_may_be_exact(park):
    moment = datetime(2025, 3, 31, 4, 5, 6, tzinfo=UTC)
    assert resolve(park, "2024", as_of=moment).as_of == moment


@pytest.mark.parametrize("every", ["5min", "15min", "1h", "3h", "1d", "1w", "1mo", "1y", Step(seconds=60)])
def test_steps_that_fit_whole_hours_are_taken(park, every):
    assert str(resolve(park, "2024", every=every).every) in {str(every), "7d"}


@pytest.mark.parametrize("every", ["7min", "90min", "soon", ""])
def test_other_steps_are_refused(park, every):
    with pytest.raises(RequestError):
        resolve(park, "2024", every=every)


@pytest.mark.parametrize(
    ("start", "end"),
    [("2024", "2023"), ("2024", "2024"), ("31/12/2024", None), ("2024-13", None), ("", None)],
)
def test_times_that_make_no_sense_are_refused(park, start, end):
    with pytest.raises(MangroveError):
        resolve(park, start, end)


def test_single_gases_need_no_gwp_set(tmp_path):
    folder = park_of(tmp_path / "park", [{"id": "m", "carrier": "electricity", "unit": "kWh", "scope": "2"}])
    path = folder / "territory.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("gwp: AR5\n", ""))
    bare = load(folder)
    assert resolve(bare, "2024", by=["gas"]).gwp is None
    with pytest.raises(RequestError) as caught:
        resolve(bare, "2024", by=["account"])
    assert caught.value.code == "measure.gwp_not_named"


def test_a_typing_mistake_gets_a_hint_in_both_languages(park):
    with pytest.raises(RequestError) as caught:
        resolve(park, "2024", by=["sectr"])
    assert "sector" in caught.value.text("en")
    assert "sector" in caught.value.text("vi")


def test_one_place_is_its_part_of_the_whole(tmp_path):

    park = mg.open(two_factory_park(tmp_path / "park"))
    start = datetime(2023, 6, 1, tzinfo=UTC)
    with park.writer() as ledger:
        rows = [(flow, start, 10.0) for flow in ("mill.power", "shop.power", "mill.coal", "shop.diesel")]
        ledger.append(values(rows), Origin("file:a", "1"))
    whole = {
        row["place"]: row
        for row in mg.measure(park, "2023", by=["place"], store=False).to_arrow().to_pylist()
    }
    for place in ("mill", "shop"):
        part = mg.measure(park, "2023", place=place)
        total = part.total()
        assert total["co2e_kg"] == pytest.approx(whole[place]["co2e_kg"], rel=1e-12)
        assert total["co2e_low"] == pytest.approx(whole[place]["co2e_low"], rel=1e-12)
        assert mg.replay(park, part.record).total() == total
    everything = mg.measure(park, "2023", place="park", store=False).total()["co2e_kg"]
    assert everything == pytest.approx(sum(row["co2e_kg"] for row in whole.values()), rel=1e-12)


def test_a_flow_that_stands_for_many_places_is_named_when_one_is_asked_for(tmp_path):

    city = mg.open(three_ward_city(tmp_path / "city"))
    spread = {flow.id for flow in city.territory.flows.values() if flow.spread}
    plan = plans.build(city.territory, rules.load(), resolve(city.territory, "2025", place="hoa"))
    assert {gap.flow for gap in plan.gaps if gap.code == "measure.spread_around"} == spread


def test_a_place_that_does_not_exist_is_named_with_the_nearest(tmp_path):

    park = mg.open(two_factory_park(tmp_path / "park"))
    with pytest.raises(RequestError) as refused:
        resolve(park.territory, "2023", place="mil")
    assert refused.value.code == "measure.unknown_place"
    assert "mill" in refused.value.text()
