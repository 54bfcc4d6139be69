"""What an address says: periods by the clock and by the calendar, spans to compare with, links that keep what was chosen."""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mangrove as mg
from mangrove.errors import MangroveError, RequestError
from mangrove.serve import view as views
from mangrove.serve.scope import guest
from mangrove.testing import two_factory_park
from mangrove.times import Span

NOW = datetime(2024, 6, 5, 3, 22, tzinfo=UTC)  # 10:22 in Việt Nam


@pytest.fixture(scope="module")
def territory(tmp_path_factory):
    return mg.open(two_factory_park(tmp_path_factory.mktemp("park"))).territory


def read(territory, now=NOW, **params):
    return views.read(territory, params, now=now, principal=guest("operator"))


@pytest.mark.parametrize(
    ("word", "first", "last"),
    [
        ("today", "2024-06-05", "2024-06-06"),
        ("week", "2024-05-30", "2024-06-06"),
        ("month", "2024-06-01", "2024-07-01"),
        ("year", "2024-01-01", "2025-01-01"),
        ("2023", "2023-01-01", "2024-01-01"),
        ("2024-02", "2024-02-01", "2024-03-01"),
        ("2024-03-10", "2024-03-10", "2024-03-11"),
        ("2024-03-10..2024-03-12", "2024-03-10", "2024-03-12"),
    ],
)
def test_a_period_begins_and_ends_at_local_midnights(territory, word, first, last):
    span = views.period_of(word, NOW, territory.tz)
    assert span == Span.between(date.fromisoformat(first), date.fromisoformat(last), territory.tz)


def test_the_span_ends_at_the_last_quarter_of_an_hour(territory):
    view = read(territory, period="today")
    assert view.span.end == datetime(2024, 6, 5, 3, 15, tzinfo=UTC)
    assert read(territory, period="2024-05").span == read(territory, period="2024-05").period


@pytest.mark.parametrize(
    ("period", "compare", "first", "last"),
    [
        ("2024-05", "previous", "2024-04-01", "2024-05-01"),
        ("2024-03", "previous", "2024-02-01", "2024-03-01"),
        ("2024-01", "previous", "2023-12-01", "2024-01-01"),
        ("2023", "previous", "2022-01-01", "2023-01-01"),
        ("2024-05-10", "previous", "2024-05-09", "2024-05-10"),
        ("2024-02-29", "year", "2023-02-28", "2023-03-01"),
        ("2024-05", "year", "2023-05-01", "2023-06-01"),
        ("2024-03-10..2024-03-12", "previous", "2024-03-08", "2024-03-10"),
    ],
)
def test_the_span_before_is_the_one_of_the_same_kind(territory, period, compare, first, last):
    before = read(territory, period=period, compare=compare).span_before
    assert before == Span.between(date.fromisoformat(first), date.fromisoformat(last), territory.tz)


def test_a_month_that_is_not_over_is_compared_with_as_much_of_the_one_before(territory):
    view = read(territory, period="month", compare="previous")
    assert view.span_before.start == datetime(2024, 4, 30, 17, tzinfo=UTC)
    assert view.span_before.end - view.span_before.start == view.span.end - view.span.start


def test_links_keep_what_was_chosen_and_change_one_thing(territory):
    view = views.read(
        territory,
        {"period": "2024-05", "compare": "year", "by": "scope", "t": "1"},
        now=NOW,
        principal=guest("operator"),
        screen="inventory",
        keeps=("by",),
    )
    assert parse_qs(urlsplit(view.link("inventory", period="2023")).query) == {
        "period": ["2023"], "compare": ["year"], "by": ["scope"],
    }  # fmt: skip
    assert parse_qs(urlsplit(view.link("map")).query) == {"period": ["2024-05"], "compare": ["year"]}
    assert "by=scope" in view.link("inventory.csv")


def test_the_address_of_a_proof_names_the_very_span(territory):
    view = read(territory, period="today")
    asked = parse_qs(urlsplit(view.why(by="place", key="mill")).query)
    assert views.period_of(asked["period"][0], NOW + timedelta(days=400), territory.tz) == view.span


def test_two_readers_share_a_page_only_when_they_may_see_the_same(territory):
    same = read(territory, period="month")
    assert same.key == read(territory, period="month", t="5").key
    assert same.key != read(territory, period="month", place="mill").key
    other = views.read(territory, {"period": "month"}, now=NOW, principal=guest("city"))
    assert other.key != same.key


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"period": "2024-13"}, "live.bad_period"),
        ({"period": "2024-06-05..2024-06-05"}, "live.bad_period"),
        ({"period": "2024-07"}, "live.future_period"),
        ({"compare": "x"}, "live.unknown_choice"),
        ({"place": "nowhere"}, "live.no_place"),
    ],
)
def test_what_makes_no_sense_is_named(territory, params, code):
    with pytest.raises(RequestError) as refused:
        read(territory, **params)
    assert refused.value.code == code


def test_a_plan_may_be_looked_at_before_its_time_has_come(territory):
    assert (
        read(territory, period="2024-12", scenario="plan/board").span
        == read(territory, period="2024-12", scenario="plan/board").period
    )


@given(word=st.text(max_size=30))
def test_any_text_is_a_period_or_a_named_error(territory, word):
    try:
        view = read(territory, period=word)
    except MangroveError:
        return
    assert view.span.start < view.span.end <= view.period.end or view.span.hours < 1
    assert view.span_before.start < view.span_before.end
