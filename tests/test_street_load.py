# SPDX-License-Identifier: Apache-2.0
"""What vehicles of a street plan charge reaches the energy network: as values of a run, in a sizing with sun and battery; judgements are kept."""

import json
from datetime import date

import numpy as np
import pytest
from tests.street_city import ROADS, write_city

from mangrove import api, street_load, street_plans
from mangrove.errors import DeclarationError, MangroveError, RequestError
from mangrove.ledger import Ledger

HOURS = "hours: [0.1, 0.1, 0.1, 0.1, 0.2, 0.5, 0.8, 1, 1, 0.8, 0.7, 0.7, 0.7, 0.7, 0.7, 0.8, 0.9, 1, 1, 0.8, 0.5, 0.4, 0.3, 0.2]\n"
CHARGING = """\
charging:
  - {mode: home, share: 60 %, power: 1.2 kW, efficiency: 85 %, delay: 1 h, source: stated}
  - {mode: swap, share: 40 %, power: 1 kW, efficiency: 90 %, zones: [ZONE], energy: 1.5 kWh, source: stated}
"""
CONTRACT = """\
tariffs:
  - id: retail
    carrier: electricity
    source: test
    kind: tou
    customer: production
    voltage: 22-<110 kV
    export: 671 VND/kWh
    vat: 8 %
    prices_on: 2026-11-01
energy: {discount: 10 %}
"""
FLOWS = """\
id,place,carrier,unit,step,semantics,parameters,scope,sector
homes,ZONE,electricity,kWh,1h,sum,charging=home,2,residential
station,ZONE,electricity,kWh,30min,sum,charging=swap,,
city_cars,grid,electricity,kW,1h,mean,charging=all,,
ward_import,ZONE,electricity,kWh,1h,sum,,2,residential
"""


@pytest.fixture
def city(tmp_path):
    """The small city with a whole day, modes of charging and flows that ask for the load."""
    folder = write_city(tmp_path / "city")
    zone = next(iter(api.open(folder).territory.children("grid"))).id
    (folder / "roads" / "roads.yaml").write_text(ROADS + HOURS + CHARGING.replace("ZONE", zone))
    (folder / "flows.csv").write_text(FLOWS.replace("ZONE", zone))
    return folder


def judged(city, *plans, draws=1):
    return street_plans.compare(api.open(city), [city.parent / f"{name}.yaml" for name in plans], draws=draws)


def test_what_is_charged_is_what_is_driven_over_the_efficiencies(city):
    found = judged(city, "swap")
    driven = found.verdict.kwh[1].sum()
    assert found.charged("swap").sum() == pytest.approx(driven * (0.6 / 0.85 + 0.4 / 0.9))
    assert found.charged("swap", "home").sum() == pytest.approx(driven * 0.6 / 0.85)
    assert found.charged("today").sum() == 0.0
    assert "vehicles charge" in found.text()
    said = json.loads(found.json())
    zones = np.array([zone["kwh_charged_by_hour"]["swap"] for zone in said["zones"]])
    assert zones.sum() == pytest.approx(found.charged("swap").sum())
    assert zones[-1].sum() == 0.0  # nobody charges outside all zones


def test_values_of_the_plan_are_the_load_of_each_hour_at_the_step_of_each_flow(city):
    found = judged(city, "swap")
    park = api.open(city)
    (handed,) = street_load.hand_over(park, found, "2030-03-04")
    assert handed.run == "plan/swap"
    assert handed.flows == ("homes", "station", "city_cars")
    assert handed.rows == 24 + 48 + 24
    assert street_load.hand_over(park, found, "2030-03-04")[0].rows == 0  # the same again is nothing new
    with Ledger.open(park.store, read_only=True) as ledger, ledger.snapshot() as snapshot:
        from mangrove.ledger.types import series
        from mangrove.times import Span

        span = Span.parse("2030-03-04", park.territory.tz)
        rows = {
            name: snapshot.values([series(name, "plan/swap")], span.start, span.end)
            .column("value")
            .to_numpy()
            for name in handed.flows
        }
    zone = found.verdict.zones.index(park.territory.flows["homes"].place)
    np.testing.assert_allclose(rows["homes"], found.charged("swap", "home")[:, zone])
    halves = rows["station"].reshape(24, 2)
    np.testing.assert_allclose(halves.sum(axis=1), found.charged("swap", "swap")[:, zone])
    np.testing.assert_allclose(
        rows["city_cars"], found.charged("swap")[:, :-1].sum(axis=1)
    )  # kWh in an hour are kW


def test_a_ward_with_sun_and_battery_is_sized_with_what_its_vehicles_charge(city):
    zone = api.open(city).territory.flows["homes"].place
    (city / "assets.csv").write_text(
        "id,place,type,parameters\n"
        f"connection,{zone},grid,capacity=100000 kW; flow=ward_import\n"
        f"roof,{zone},pv,max_capacity=2000 kW; cost=15000000 VND/kW; life=20 yr; tilt=10; azimuth=180\n"
        f"store,{zone},battery,max_energy=500 kWh; cost=4000000 VND/kWh; life=12 yr; max_power=250 kW\n"
        f"vehicles,{zone},load,flow=homes; carrier=electricity\n"
    )
    (city / "territory.yaml").write_text((city / "territory.yaml").read_text() + CONTRACT)
    shapes = json.loads((city / "places.geojson").read_text())
    for feature in shapes["features"]:
        if feature["properties"]["id"] == zone:
            feature["properties"] |= {"lon": 106.68, "lat": 10.77}
    (city / "places.geojson").write_text(json.dumps(shapes))
    park = api.open(city)
    found = judged(city, "swap")
    street_load.hand_over(park, found, "2023-06")
    from mangrove.plan.declared import Wishes

    with pytest.raises(MangroveError) as caught:  # nobody measured the flow
        api.plan(park, "2023-06", place=zone, wishes=Wishes(name="measured"), weather=["generated"])
    assert caught.value.code == "plan.gaps"
    made = api.plan(
        park, "2023-06", place=zone, weather=["generated"], wishes=Wishes(name="ward", run="plan/swap")
    )
    at = found.verdict.zones.index(zone)
    whole = found.charged("swap", "home")[:, at].sum() * 30
    assert sum(load.sum() for load in made.case.loads.values()) == pytest.approx(whole)
    energy = made.after.energy  # of a year
    served = energy["grid"] + energy["roof"] + energy["store discharge"] - energy["store charge"]
    assert served == pytest.approx(whole * 365 / 30, rel=0.02)
    assert made.sizes["store"] > 0  # homes charge after the sun
    emitted = api.measure(park, "2023-06", run="plan/swap", by=("flow",), store=False).to_arrow().to_pylist()
    assert [row["flow"] for row in emitted] == ["homes"]
    assert 0.5 < emitted[0]["co2e_kg"] / whole < 0.9  # kg per kWh of the grid of 2023


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace(HOURS, ""), "roads.load_hours"),
        (lambda text: text[: text.index("charging:")], "roads.load_modes"),
    ],
)
def test_a_load_needs_hours_and_modes(city, change, code):
    path = city / "roads" / "roads.yaml"
    path.write_text(change(path.read_text()))
    with pytest.raises(RequestError) as caught:
        street_load.hand_over(api.open(city), judged(city, "swap"), "2030-03-04")
    assert caught.value.code == code


def test_a_load_needs_a_flow_that_asks_and_a_flow_must_ask_for_what_there_is(city):
    found = judged(city, "swap")
    flows = (city / "flows.csv").read_text()
    (city / "flows.csv").write_text(flows.replace("charging=home", "charging=hoem").replace("30min", "1d"))
    (handed,) = street_load.hand_over(api.open(city), found, "2030-03-04")
    assert [problem.code for problem in handed.problems] == ["roads.load_what", "roads.load_step"]
    (city / "flows.csv").write_text("id,place,carrier,unit\n")
    with pytest.raises(RequestError) as caught:
        street_load.hand_over(api.open(city), found, "2030-03-04")
    assert caught.value.code == "roads.load_flows"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("share: 60 %", "share: 50 %"),
        ("mode: home", "mode: street"),
        ("delay: 1 h", "delay: 1 km"),
        ("mode: home", "mode: depot"),
    ],
)
def test_modes_in_a_file_that_cannot_be_are_refused(city, old, new):
    path = city / "roads" / "roads.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises((DeclarationError, RequestError)):
        judged(city, "swap")


def test_a_plan_has_its_own_way_to_charge(city):
    path = city.parent / "swap.yaml"
    path.write_text(
        path.read_text()
        + "charging:\n  - {mode: work, share: 100 %, power: 3 kW, efficiency: 100 %, source: stated}\n"
    )
    found = judged(city, "swap")
    assert found.charged("swap").sum() == pytest.approx(found.verdict.kwh[1].sum())
    # workplaces charge in the first half of the day
    assert found.charged("swap").sum(axis=1)[5:14].sum() > 0.9 * found.verdict.kwh[1].sum()


def test_a_judgement_is_kept_and_found_again(city):
    park = api.open(city)
    record, problem = street_plans.store(park, judged(city, "swap"))
    assert problem is None
    with park.reader() as ledger:
        kept = street_plans.newest(ledger)
        assert ledger.records(street_plans.KIND)[-1][0] == record
    assert [plan["name"] for plan in kept["plans"]] == ["swap"]
    assert kept["made"].endswith("+00:00")
    street_plans.store(park, judged(city, "metro"))
    with park.reader() as ledger:
        assert street_plans.newest(ledger)["plans"][0]["name"] == "metro"


def test_a_store_that_cannot_be_written_to_is_told_and_no_reason_to_stop(city, monkeypatch):
    found = judged(city, "swap")
    park = api.open(city)
    street_plans.store(park, found)

    def refuse(*_):
        raise OSError("read-only file system")

    monkeypatch.setattr(Ledger, "put_record", refuse)
    record, problem = street_plans.store(park, found)
    assert record == ""
    assert problem.code == "roads.not_kept"
    assert "read-only" in problem.text()


def test_the_command_keeps_what_it_judged_unless_told_otherwise(city):
    from typer.testing import CliRunner

    from mangrove.cli import app

    run = CliRunner().invoke
    words = ["roads", "compare", str(city), str(city.parent / "swap.yaml"), "--draws", "1"]
    assert run(app, [*words, "--dry-run"]).exit_code == 0
    assert not (city / ".mangrove" / "store").exists() or not api.open(city).newest(street_plans.KIND)
    done = run(app, [*words, "--load", "2030-03-04"])
    assert done.exit_code == 0
    assert "plan/swap" in done.output
    assert api.open(city).newest(street_plans.KIND)["per"] == "day"


def test_a_load_that_cannot_be_stored_is_refused_before_anything_is_judged(city, monkeypatch):
    from typer.testing import CliRunner

    from mangrove.cli import app

    def never(*_, **__):
        raise AssertionError("judged all the same")

    monkeypatch.setattr(street_plans, "compare", never)
    words = ["roads", "compare", str(city), str(city.parent / "swap.yaml"), "--load"]
    for period, code in (("20x0", None), ("1900..2100", None)):
        error = CliRunner().invoke(app, [*words, period]).exception
        assert isinstance(error, MangroveError)
        assert code in (None, error.code)
    with pytest.raises(RequestError) as caught:
        street_load.wanted(api.open(city).territory, "1900", "2100")
    assert caught.value.code == "roads.load_long"


@pytest.mark.parametrize("asked", [{"draws": 0}, {"draws": 10**9}, {"seed": -1}])
def test_draws_and_seeds_that_cannot_be_are_refused(city, asked):
    with pytest.raises(RequestError) as caught:
        street_plans.compare(api.open(city), [city.parent / "swap.yaml"], **asked)
    assert (caught.value.code, caught.value.problem.data["key"]) == ("roads.bad_value", next(iter(asked)))


def test_plan_compare_takes_plans_for_streets_as_well(city):
    from typer.testing import CliRunner

    from mangrove.cli import app

    run = CliRunner().invoke
    metro, swap = (str(city.parent / f"{name}.yaml") for name in ("metro", "swap"))
    both = run(app, ["plan", "compare", str(city), metro, swap, "--json"])
    assert both.exit_code == 0
    assert [plan["name"] for plan in json.loads(both.stdout)["plans"]] == ["metro", "swap"]
    alone = run(app, ["plan", "compare", str(city), swap, "baseline", "--from", "2030-01-01", "--json"])
    assert json.loads(alone.stdout)["on"] == "2030-01-01"
    for wrong, code in (
        ([swap, "measured"], "roads.two_kinds"),
        ([metro, swap, "--by", "ward"], "roads.plan_option"),
    ):
        assert run(app, ["plan", "compare", str(city), *wrong]).exception.code == code


def test_plans_swapped_mirror_each_other(city):
    one = judged(city, "metro", "swap", draws=2).verdict
    other = judged(city, "swap", "metro", draws=2).verdict
    for key in ("CO2", "minutes", "hours", "access"):
        a, b = one.difference(key, "metro", "swap"), other.difference(key, "swap", "metro")
        assert (a.mean, a.low, a.high) == pytest.approx((-b.mean, -b.high, -b.low))
        assert (a.confidence is None) == (b.confidence is None)
        assert a.confidence is None or a.confidence == pytest.approx(1 - b.confidence)
    assert one.difference("electricity", "metro", "swap").confidence is None


def test_the_day_of_a_record_is_that_of_the_question(city):
    found = street_plans.compare(api.open(city), [city.parent / "swap.yaml"], on=date(2030, 1, 1), draws=1)
    assert found.document()["on"] == "2030-01-01"
