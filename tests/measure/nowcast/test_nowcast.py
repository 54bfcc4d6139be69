# SPDX-License-Identifier: Apache-2.0
"""A nowcast of a city in a folder: what adds up, what narrows, what is stored, what is said of bad input."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.measure.nowcast.twins import AT, DRIVERS, FLOWS, START, TET, asked, city, day, inventory, live, put

from mangrove import api
from mangrove.errors import DataQualityError, RequestError
from mangrove.ledger import Ledger
from mangrove.measure.nowcast import Fact
from mangrove.measure.plan import NOWCAST


def rows(table, *keys):
    """The expected emissions by the columns `keys`."""
    return {tuple(row[key] for key in keys): row["co2e_kg"] for row in table.to_pylist()}


# --- what adds up ------------------------------------------------------------------------------------------------------


def test_measure_on_the_stored_run_gives_the_same_means_by_ward_sector_and_hour(park, made):
    for by, every in ((("ward", "sector"), None), (("sector",), "1mo"), (("ward",), "1h")):
        start = "2026-08-13" if every == "1h" else "2026-01-01"
        found = api.measure(park, start, AT, by=by, every=every, run=NOWCAST, store=False).to_arrow()
        keys = (*by, *(["start"] if every else []))
        mine, theirs = rows(made.table(by, every), *keys), rows(found, *keys)
        assert theirs
        for key, value in theirs.items():
            assert mine[key] == pytest.approx(value, rel=1e-8), key


def test_measure_on_the_run_says_that_its_interval_is_not_that_of_the_nowcast(park):
    codes = [one.code for one in api.measure(park, "2026-08-13", run=NOWCAST, store=False).problems]
    assert "measure.interval_of_estimate" in codes
    assert "measure.interval_of_estimate" not in [
        one.code for one in api.measure(park, "2026-08-13", store=False).problems
    ]


def test_wards_add_up_to_the_city_and_hours_to_days(made):
    total = rows(made.table())[()]
    assert sum(rows(made.table(("ward", "sector")), "ward", "sector").values()) == pytest.approx(
        total, rel=1e-12
    )
    assert sum(rows(made.table(("flow",), "1h"), "flow", "start").values()) == pytest.approx(total, rel=1e-12)
    days = rows(made.table((), "1d"), "start")
    hours = rows(made.table((), "1h"), "start")
    for start, value in list(days.items())[:40]:
        inside = [hours[start + timedelta(hours=h),] for (start,) in [(start[0],)] for h in range(24)]
        assert sum(inside) == pytest.approx(value, rel=1e-12)
    assert made.total().mean == pytest.approx(total, rel=1e-12)
    assert made.live.figure().mean == pytest.approx(total, rel=1e-12)


def test_an_hour_of_a_ward_and_sector_is_the_same_from_the_low_rank_form(made):
    table = made.table(("ward", "sector"), "1h").to_pylist()
    found = [row["co2e_kg"] for row in table if (row["ward"], row["sector"]) == ("thuy", "transport")]
    np.testing.assert_allclose(made.series("thuy", "transport"), found, rtol=1e-12)


def test_bands_lie_in_order_around_the_mean_and_a_ward_is_less_sure_than_the_city(made):
    def relative(row):
        return (row["co2e_high95"] - row["co2e_low95"]) / row["co2e_kg"]

    for row in made.table(("ward", "sector")).to_pylist():
        if row["co2e_kg"] > 0:
            assert (
                row["co2e_low95"]
                < row["co2e_low80"]
                < row["co2e_kg"]
                < row["co2e_high80"]
                < row["co2e_high95"]
            )
    (road,) = [row for row in made.table(("sector",)).to_pylist() if row["sector"] == "transport"]
    wards = [row for row in made.table(("ward", "sector")).to_pylist() if row["sector"] == "transport"]
    assert min(map(relative, wards)) > 1.5 * relative(road)


def test_a_removal_stays_a_removal(made):
    (row,) = [row for row in made.table(("flow",)).to_pylist() if row["flow"] == "forest"]
    assert row["co2e_low95"] < row["co2e_kg"] < row["co2e_high95"] < 0


def test_what_a_meter_read_stands_and_follows_the_factor(park, made):
    (row,) = [row for row in made.table(("flow",)).to_pylist() if row["flow"] == "market"]
    measured = api.measure(park, "2026-01-01", AT, by=("flow",), store=False).to_arrow().to_pylist()
    (meter,) = [one for one in measured if one["flow"] == "market"]
    assert row["co2e_kg"] == pytest.approx(meter["co2e_kg"], rel=1e-9)


def test_the_index_moves_the_level_by_its_elasticity(made):
    expected = 1e5 * 0.66e3 * 1.1  # MWh x kg/MWh, and 10 % more
    year = sum(made.series(sector="residential")) / (226.4 / 365)
    assert year == pytest.approx(expected, rel=0.02)
    mean, low, high = made.change()
    assert low < mean < high
    assert 0.02 < mean < 0.1


# --- Tết and gaps ------------------------------------------------------------------------------------------------------


def test_the_dip_of_tet_is_there_through_the_index_and_not_twice(made):
    road = made.series(sector="transport")[: 226 * 24].reshape(-1, 24).sum(axis=1)
    first = (TET - START).days - 365
    dip = road[first : first + 4].mean() / road[first - 28 : first - 7].mean()
    plain = np.array([0.4, 0.4, 0.4, 0.4]).mean() ** 0.8 / ((6 + 0.8**0.8) / 7)
    assert dip == pytest.approx(plain, rel=0.03)


def test_a_silent_index_is_bridged_wider_and_named(tmp_path):
    park = city(tmp_path / "c")
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        put(ledger, live(580), "live")
        put(ledger, live(600, names=("feeder", "market"), first=580), "late")
        made = asked(ledger, park, "2026-08-20T00:00", "2026-06-01")
    assert [n.data["index"] for n in made.notes if n.code == "nowcast.index_silent"] == ["traffic"]
    number = made.targets.index("road")
    sd = np.log(made.samples[:, number]).std(axis=0)
    assert sd[-1] > sd[20] * 1.02
    assert made.days.mean[number, -1] == pytest.approx(made.days.mean[number, 20], rel=0.25)


def test_an_index_that_was_silent_in_the_year_of_the_inventory_leaves_the_level_open(tmp_path):
    parks = []
    for name, shift in (("with", 0), ("without", 365)):
        park = city(tmp_path / name)
        with park.writer() as ledger:
            put(ledger, inventory(), "i")
            put(ledger, live(500, first=shift), "live")
            parks.append(asked(ledger, park, "2026-05-01", "2026-03-01"))
    there, absent = parks
    assert "nowcast.link_open" not in [note.code for note in there.notes]
    assert [n.data["index"] for n in absent.notes if n.code == "nowcast.link_open"] == ["feeder", "traffic"]
    number = there.targets.index("road")
    sd = [np.log(one.samples[:, number].sum(axis=1)).std() for one in (there, absent)]
    assert sd[1] > sd[0] * 1.1


# --- late data and further facts ---------------------------------------------------------------------------------------


def test_a_rerun_as_of_a_moment_gives_what_was_known_then_and_unchanged_values_are_left_out(tmp_path):
    park = city(tmp_path / "c")
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        put(ledger, live(520), "live")
        first = asked(ledger, park, "2026-06-01", stored=True)
        known = datetime.now(UTC)
        again = asked(ledger, park, "2026-06-01", stored=True, seed=0)
        put(ledger, [("road", START, 6e4)], "corrected")
        later = asked(ledger, park, "2026-06-01", stored=True)
        then = asked(ledger, park, "2026-06-01", as_of=known)
        batches = ledger.batches().to_pylist()
    mine = [one for one in batches if one["run"] == NOWCAST]
    np.testing.assert_allclose(then.hourly(), first.hourly(), rtol=1e-12)
    assert again.total().mean == first.total().mean
    assert later.total().mean > 1.05 * first.total().mean
    hours = len(first.days.start)
    assert mine[-1]["rows"] == hours
    assert mine[-1]["unchanged"] == hours * (len(first.flows) - 1)


def test_what_is_not_over_yet_is_not_seen(park):
    with park.reader() as ledger:
        before = asked(ledger, park, "2025-12-01", "2025-06-01")
    assert before.targets == ("market",)
    with park.reader() as ledger, pytest.raises(DataQualityError) as error:
        asked(ledger, park, "2024-06-01", "2024-01-01")
    assert error.value.code == "nowcast.no_inventory"


@given(
    facts=st.lists(
        st.tuples(
            st.sampled_from(["homes", "road", "waste"]),
            st.integers(0, 225),
            st.floats(0.5, 2.0),
            st.floats(0.01, 0.5),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_further_fact_widens_the_total_in_logs(made, facts):
    from copy import deepcopy

    line = deepcopy(made.live)
    before = line.variance
    for target, at, factor, sd in facts:
        number = made.targets.index(target)
        value = factor * made.days.mean[number, at]
        line.take(Fact(target, day(2026) + at, value, sd))
        assert line.variance <= before + 1e-15
        before = line.variance


def test_a_further_fact_moves_the_total_as_a_new_solution_would(made):
    from copy import deepcopy

    from mangrove.measure.nowcast.model import Fact as ModelFact
    from mangrove.measure.nowcast.posterior import Functional, Posterior

    line, facts = deepcopy(made.live), [("road", 200, 1.3), ("road", 201, 1.2), ("homes", 199, 0.9)]
    posterior = made.posterior
    model = deepcopy(posterior.model)
    weights = (
        np.exp(line._mean + posterior.variance[:, line.position] / 2) * line.weights_kg * line.signs[:, None]
    )
    full = np.zeros((len(line.names), len(model.days)))
    full[:, line.position] = weights / weights.sum()
    for target, at, factor in facts:
        number = made.targets.index(target)
        y = float(np.log(factor) + posterior.mean[number, line.position[at]])
        line.take(Fact(target, day(2026) + at, float(np.exp(y + 0.05**2 / 2)), 0.05))
        prior = float(posterior._prior_mean[number, line.position[at]])
        terms = ((number, line.position[at : at + 1], 1.0),)
        model.facts.append(ModelFact(f"m{at}", "meter", target, terms, y - prior, 0.05, direct=True))
    again = Posterior(model)
    block = again.block([Functional(tuple(enumerate(full)))])
    assert line.variance == pytest.approx(float(again.covariance(block, block)[0, 0]), rel=5e-3)
    moved = float((full * (again.mean - posterior.mean)).sum())
    assert line.shift == pytest.approx(moved, rel=0.02)


def test_a_new_reading_of_a_metered_flow_moves_the_total_by_its_emissions(made):
    from copy import deepcopy

    line = deepcopy(made.live)
    before, number = line.figure().mean, made.targets.index("market")
    old = made.days.mean[number, 100]
    for value in (old + 500.0, old + 1000.0):
        after = line.take(Fact("market", day(2026) + 100, value))
    assert after.mean - before == pytest.approx(1000 * 0.66, rel=1e-6)


def test_a_meter_beside_the_inventory_pins_its_flow_without_entering_the_inventory(tmp_path):
    flows = FLOWS + "homes.meter,city,electricity,kWh,1h,,,sum,,I.1.2,1 %,memo,,\n"
    park = city(tmp_path / "c", flows=flows)
    truth = 1.3 * 1e5 / 365  # MWh a day, 30 % above the inventory
    hours = [START + timedelta(hours=24 * 365 + h) for h in range(24 * 100)]
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        put(ledger, live(500), "live")
        before = asked(ledger, park, "2026-04-10")
        put(ledger, [("homes.meter", one, 1000 * truth / 24) for one in hours], "meter")
        after = asked(ledger, park, "2026-04-10")
    assert after.targets == before.targets
    number = after.targets.index("homes")
    np.testing.assert_allclose(after.days.mean[number, 10:90].reshape(-1, 10).mean(axis=1), truth, rtol=0.03)
    sd = [np.log(one.samples[:, number, 10:90].sum(axis=1)).std() for one in (before, after)]
    assert sd[1] < 0.012 < sd[0]
    assert ("meter", "homes") in [(one.kind, one.target) for one in after.facts]


def test_the_missing_facts_are_ranked_by_what_they_remove(made):
    ranked = made.what_would_narrow().to_pylist()
    shares = [row["removes"] for row in ranked]
    assert shares == sorted(shares, reverse=True)
    assert min(shares) >= 0
    assert max(shares) <= 1
    assert {row["fact"] for row in ranked} == {"meter"}  # the inventory of the last whole year is there
    contributions = made.contributions().to_pylist()
    assert sum(row["weight"] for row in contributions) == pytest.approx(1.0, abs=0.02)


def test_facts_say_how_old_and_how_late_they_are(made):
    (road,) = [one for one in made.facts if (one.kind, one.target) == ("total", "road")]
    assert road.age == pytest.approx(
        (datetime(2026, 8, 15, 3, tzinfo=UTC) - datetime(2025, 12, 31, 17, tzinfo=UTC)).total_seconds() / 3600
    )
    assert road.late is not None
    (feeder,) = [one for one in made.facts if one.name == "feeder"]
    assert feeder.age == 0


# --- sensors -----------------------------------------------------------------------------------------------------------


def inversion(ledger, log_mean, zone="", sd=0.05):
    """Stores the multiplier of road traffic in July 2026."""
    document = {
        "targets": [{"target": "II.1.1", "zone": zone, "log_mean": log_mean}],
        "covariance": [[sd**2]],
        "from": "2026-07-01T00:00:00+07:00",
        "to": "2026-07-31T00:00:00+07:00",
    }
    return ledger.put_record("inversion", json.dumps(document).encode())


def test_an_inversion_moves_and_narrows_its_target(tmp_path):
    park = city(tmp_path / "c")
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        put(ledger, live(590), "live")
        before = asked(ledger, park, "2026-08-05")
        inversion(ledger, 0.2)
        after = asked(ledger, park, "2026-08-05")
    number = before.targets.index("road")
    july = slice(181, 211)
    ratio = after.days.mean[number, july].sum() / before.days.mean[number, july].sum()
    assert 1.1 < ratio < np.exp(0.2)
    sd = [np.log(one.samples[:, number, july].sum(axis=1)).std() for one in (before, after)]
    assert sd[1] < sd[0]
    assert [one.kind for one in after.facts].count("inversion") == 1


def test_an_inversion_of_one_ward_moves_its_share(tmp_path):
    park = city(tmp_path / "c")
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        put(ledger, live(590), "live")
        before = asked(ledger, park, "2026-08-05")
        inversion(ledger, 0.4, zone="hoa")
        after = asked(ledger, park, "2026-08-05")

    def share(made):
        found = rows(made.table(("ward", "sector")), "ward", "sector")
        return found["hoa", "transport"] / sum(v for (_, sector), v in found.items() if sector == "transport")

    assert share(before) == pytest.approx(1 / 6, rel=1e-9)
    assert share(after) > 1.2 / 6
    assert "nowcast.zones_differ" in [note.code for note in after.notes]


def test_a_broken_inversion_is_named(tmp_path):
    park = city(tmp_path / "c")
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        ledger.put_record("inversion", b'{"targets": []}')
        with pytest.raises(DataQualityError) as error:
            asked(ledger, park, "2026-08-05")
    assert error.value.code == "nowcast.bad_inversion"


# --- bad input ---------------------------------------------------------------------------------------------------------


def test_without_drivers_the_level_persists_and_a_note_says_so(tmp_path):
    park = city(tmp_path / "c", drivers="")
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        made = asked(ledger, park, "2026-12-31")
    assert made.notes[0].code == "nowcast.no_drivers"
    year = rows(made.table(("flow",)), "flow")
    assert year["road",] / 5e7 == pytest.approx(364 / 365, rel=0.02)
    bands = {row["flow"]: row for row in made.table(("flow",)).to_pylist()}["road"]
    assert (bands["co2e_high95"] - bands["co2e_low95"]) / bands["co2e_kg"] > 2 * 1.96 * 0.08


@pytest.mark.parametrize(("factor", "first"), [(1000.0, 560), (1000.0, 585), (0.001, 400), (1e6, 500)])
def test_an_index_whose_unit_changes_is_named_with_the_factor_and_the_day(tmp_path, factor, first):
    park = city(tmp_path / "c")
    series = [
        (
            name,
            start,
            value * factor if name == "traffic" and start >= START + timedelta(days=first) else value,
        )
        for name, start, value in live(600)
    ]
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        put(ledger, series, "live")
        made = asked(ledger, park, "2026-08-20T00:00", "2026-08-01")
    (note,) = [note for note in made.notes if note.code == "nowcast.index_leaps"]
    assert (note.severity, note.data["index"]) == ("warning", "traffic")
    local = START + timedelta(days=first, hours=7)
    assert note.data["start"] == local.date().isoformat()
    assert note.data["factor"] == pytest.approx(factor * 1.1, rel=0.15)
    assert "traffic" in note.text("vi")


def test_a_city_that_stands_still_at_tet_is_no_leap(made):
    assert not [note for note in made.notes if note.code == "nowcast.index_leaps"]


def test_zeros_in_an_index_are_counted_and_left_out(tmp_path):
    park = city(tmp_path / "c")
    zeros = [("traffic", START + timedelta(hours=h), 0.0) for h in range(100 * 24, 103 * 24)]
    with park.writer() as ledger:
        put(ledger, inventory(), "i")
        put(ledger, live(500), "live")
        put(ledger, zeros, "zeros")
        made = asked(ledger, park, "2026-05-01", "2026-04-01")
    (note,) = [note for note in made.notes if note.code == "nowcast.index_not_positive"]
    assert note.data == {"index": "traffic", "count": 3}


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"at": "2026-01-01", "start": "2026-02-01"}, "nowcast.bad_window"),
        ({"at": AT, "samples": 7}, "nowcast.bad_samples"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(park, question, code):
    with park.reader() as ledger, pytest.raises(RequestError) as error:
        asked(ledger, park, **question)
    assert error.value.code == code


def test_wrong_columns_steps_and_facts_are_refused(made):
    for call, code in (
        (lambda: made.table(("wards",)), "nowcast.unknown_column"),
        (lambda: made.table(("gas",)), "nowcast.unknown_column"),
        (lambda: made.table((), "15min"), "nowcast.step_too_short"),
        (lambda: made.update(Fact("raod", day(2026), 1.0)), "nowcast.not_a_target"),
        (lambda: made.update(Fact("road", day(2020), 1.0)), "nowcast.not_in_window"),
        (lambda: made.update(Fact("road", day(2026), -1.0)), "nowcast.wrong_sign"),
    ):
        with pytest.raises(RequestError) as error:
            call()
        assert error.value.code == code
        assert error.value.text("vi") != error.value.text("en")


def test_the_record_binds_inputs_priors_and_seed_and_holds_the_summary(park):
    import io

    with park.reader() as ledger:
        ((id_, _),) = ledger.records("nowcast")
        kind, document, payload = ledger.record(id_)
    found = json.loads(document)
    assert kind == "nowcast"
    assert found["territory"] == park.territory.content_hash
    assert found["seed"] == 0
    assert found["priors"]["annual"]["II.1"]["own"] > 0
    summary = np.load(io.BytesIO(payload))
    assert summary["mean"].shape == (len(found["flows"]), 227)
    assert summary["covariance"].shape == (len(found["flows"]),) * 2


def test_a_monthly_index_and_a_monthly_inventory_do_as_well(tmp_path):
    flows = (
        FLOWS.replace("road,city,reported:CO2e,t,1y", "road,city,reported:CO2e,t,1mo")
        + "fuel,city,index:fuel,1,1mo,,,sum,,,5 %,memo,,\n"
    )
    park = city(tmp_path / "c", flows=flows, drivers=DRIVERS.replace("II.1.1,traffic", "II.1.1,fuel"))
    starts = [datetime(2025 + m // 12, m % 12 + 1, 1, tzinfo=UTC) - timedelta(hours=7) for m in range(17)]
    rows_ = [("road", one, 4000.0) for one in starts[:12]]
    rows_ += [("fuel", one, 100.0 if number < 12 else 120.0) for number, one in enumerate(starts)]
    with park.writer() as ledger:
        put(ledger, rows_, "months")
        made = asked(ledger, park, "2026-06-01")
    number = made.targets.index("road")
    daily = made.days.mean[number].mean() * 365 / 48_000
    assert daily == pytest.approx(1.2**0.8, rel=0.05)


def test_a_ledger_is_only_read_when_nothing_is_stored(park):
    with Ledger.open(park.store, read_only=True) as ledger:
        before = ledger.cut()
        asked(ledger, park, AT)
        assert ledger.cut() == before
