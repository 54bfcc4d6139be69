"""The page Why: the change is that of the measurements, causes add up, and nobody reads another's figures in it."""

from datetime import UTC, datetime, timedelta

import pytest

import mangrove as mg
from mangrove.errors import RequestError
from mangrove.ledger.types import Origin
from mangrove.serve import newest
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import change
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import two_factory_park, values

NOW = datetime(2023, 6, 10, 5, tzinfo=UTC)
TENANT = Principal("1", "An", "user", "tenant", "shop")
CITY = Principal("2", "Sở", "user", "city")


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    park = mg.open(two_factory_park(tmp_path_factory.mktemp("park")))
    with park.writer() as ledger:
        rows = []
        for month, level in ((4, 100.0), (5, 130.0)):
            first = datetime(2023, month, 1, tzinfo=UTC) - timedelta(hours=7)
            hours = 24 * (30 if month == 4 else 31)
            rows += [("mill.power", first + timedelta(hours=i), level) for i in range(hours)]
            rows += [("shop.power", first + timedelta(hours=i), 10.0) for i in range(hours)]
            rows += [("mill.coal", first, 2.0)]
        ledger.append(values(rows), Origin("file:a.csv", "1"))
    return park


def page(park, principal=None, **params):
    live = Live(park, Clock(NOW, 0))
    asked = {"period": "2023-05", "compare": "previous", **params}
    view = views.read(park.territory, asked, now=NOW, principal=principal or guest("operator"))
    return change.build(live, view)


@pytest.mark.parametrize("by", change.ROWS)
def test_rows_and_causes_add_up_to_the_difference_of_the_measurements(park, by):
    found = page(park, by=by)
    before, after = (
        mg.measure(park, month, store=False).total()["co2e_kg"] / 1000 for month in ("2023-04", "2023-05")
    )
    assert found.totals == pytest.approx((before, after), rel=1e-12)
    assert sum(found.causes.values()) == pytest.approx(after - before, rel=1e-9)
    assert sum(row.change for row in found.rows) == pytest.approx(after - before, rel=1e-9)
    for row in found.rows:
        assert sum(row.causes) == pytest.approx(row.change, abs=1e-6)


def test_twins_say_what_the_page_says(park):
    found = page(park)
    assert found.json()["causes_t_co2e"] == dict(found.causes)
    assert found.tables()["causes"].num_rows == len(found.rows)
    assert found.figures("vi")["causes"].startswith("<svg")


def test_a_tenant_sees_the_change_of_its_own_place_only(park):
    found = page(park, TENANT, by="flow")
    assert {row.key for row in found.rows} == {"shop.power"}
    assert found.spots is None or all(key == ("shop",) for key in found.spots.keys)
    with pytest.raises(RequestError):
        page(park, TENANT, place="mill")


def test_the_city_reads_causes_over_all_companies_and_no_single_one(park):
    found = page(park, CITY)
    assert not any(row.shown for row in found.rows if row.key)
    assert found.spots is None
    with pytest.raises(RequestError):
        page(park, CITY, by="flow")


def test_periods_without_values_give_a_page_that_says_so(park):
    found = page(park, period="2023-02")
    assert found.why is None
    assert [problem.code for problem in found.problems] == ["why.nothing_common"]
    assert found.json()["rows"] == []


def test_rows_that_do_not_exist_are_refused_with_what_does(park):
    with pytest.raises(RequestError) as caught:
        page(park, by="colour")
    assert caught.value.code == "page_change.unknown_rows"


@pytest.mark.parametrize(
    ("period", "inside"), [("2023-05", True), ("2023", True), ("2023-04", False), ("2023-06", False)]
)
def test_the_newest_values_are_elsewhere_unless_the_period_has_them(park, period, inside):
    live = Live(park, Clock(NOW, 0))
    view = views.read(park.territory, {"period": period}, now=NOW, principal=guest("operator"))
    assert newest.newest(live, view) == "2023-05"
    assert newest.inside(live, view) is inside
