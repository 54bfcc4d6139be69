# SPDX-License-Identifier: Apache-2.0
"""`mangrove virtual`: estimates where nothing was measured, campaigns that recalibrate, a record of what was promised."""

import json
from datetime import timedelta

import numpy as np
import pytest
from tests.virtual_world import ALL, FLOWS, LEARNT, START, column, plant

import mangrove as mg
from mangrove.errors import RequestError
from mangrove.ledger import Origin, Quality
from mangrove.testing import park_of
from mangrove.virtual import KIND, virtual


def later(park, **options):
    begin = (START + timedelta(hours=LEARNT)).isoformat()
    return virtual(park, "nox", begin, (START + timedelta(hours=ALL)).isoformat(), **options)


def stored(park):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        rows = snapshot.values(["nox"], START + timedelta(hours=LEARNT), START + timedelta(hours=ALL))
    return rows["value"].to_numpy(), rows["quality"].to_numpy()


def test_what_no_analyser_measured_is_estimated_and_kept_as_filled(tmp_path):
    park, truth = plant(tmp_path)
    report = later(park)
    values, quality = stored(park)
    assert len(values) == report.receipts[0].rows > 0.97 * (ALL - LEARNT)
    assert set(quality) == {int(Quality.FILLED)}
    table = report.to_arrow().to_pydict()
    missed = np.array(table["estimate"]) - truth[LEARNT:]
    assert np.abs(missed).mean() < 1.2
    inside = (np.array(table["low95"]) <= truth[LEARNT:]) & (truth[LEARNT:] <= np.array(table["high95"]))
    assert 0.9 < inside.mean() <= 1


def test_the_record_says_how_good_it_was_and_the_same_again_changes_nothing(tmp_path):
    park, _ = plant(tmp_path)
    first = later(park)
    with park.reader() as ledger:
        ((record, _),) = ledger.records(KIND)
        document = json.loads(ledger.record(record)[1])
    assert record == first.records["nox"]
    assert document["card"]["skill"] > 0.5
    assert len(document["validation"]) == 7
    assert all(fold["miss"] < fold["latest"] for fold in document["validation"])
    again = later(park)
    assert again.receipts[0].unchanged == first.receipts[0].rows
    np.testing.assert_array_equal(
        again.to_arrow()["estimate"].to_numpy(), first.to_arrow()["estimate"].to_numpy()
    )


def test_measured_hours_stay_as_measured_and_recalibrate_what_follows(tmp_path):
    park, truth = plant(tmp_path, shift=15.0)
    hours = np.arange(LEARNT + 100, LEARNT + 148)
    with park.writer() as ledger:
        ledger.append(column("nox", hours, truth[hours]), Origin("test", "2"))
    report = later(park)
    one = report.meters["nox"]
    assert not one.stored[100:148].any()
    bias = one.tracked.value - truth[LEARNT:]
    assert bias[:100].mean() < -13
    assert abs(bias[148:].mean()) < 3
    codes = [problem.code for problem in report.problems()]
    assert "virtual.recalibrated" in codes
    assert "virtual.drift" in codes


def test_estimates_of_an_earlier_run_are_no_readings(tmp_path):
    park, _ = plant(tmp_path)
    later(park)
    report = later(park)
    assert report.meters["nox"].tracked.campaigns == ()


def test_a_reference_of_its_own_is_learnt_from(tmp_path):
    park, truth = plant(tmp_path, reference="test")
    report = later(park)
    missed = report.to_arrow()["estimate"].to_numpy() - truth[LEARNT:]
    assert np.abs(missed).mean() < 1.2


def test_it_asks_for_campaigns_as_declared(tmp_path):
    park, _ = plant(tmp_path, parameters="every=240 h; limit=60 1; width=500 1")
    report = later(park, store=False)
    (request,) = report.meters["nox"].tracked.requests
    assert set(request.reasons) <= {"age", "limit"}
    lines = [problem.line("vi") for problem in report.problems()]
    assert any("cần đo từ" in line for line in lines)
    assert not any("{" in line for line in lines)


def test_a_dry_run_and_a_validation_store_nothing(tmp_path):
    park, _ = plant(tmp_path)
    report = later(park, store=False)
    assert report.validation().num_rows == 7
    assert len(stored(park)[0]) == 0
    with park.reader() as ledger:
        assert ledger.records(KIND) == []


def test_too_short_a_past_is_a_reason_and_not_a_guess(tmp_path):
    park, _ = plant(tmp_path)
    report = virtual(park, None, "2024-01-02", store=False)
    assert report.reasons["nox"].code == "virtual.too_few"
    assert report.to_arrow().num_rows == 0


def test_what_is_not_declared_is_named(tmp_path):
    park, _ = plant(tmp_path)
    with pytest.raises(RequestError, match="nox"):
        virtual(park, "nax", "2024-05")
    bare = mg.open(park_of(tmp_path / "bare", FLOWS))
    with pytest.raises(RequestError, match=r"virtual\.csv"):
        virtual(bare, None, "2024-05")


def test_a_pure_number_is_said_without_the_unit_1(tmp_path):
    park, _ = plant(tmp_path)
    (card,) = (one for one in later(park, store=False).problems() if one.code == "virtual.card")
    miss = f"{card.data['miss']:g}"
    assert f"missed by {miss} (the mean" in card.text("en")
    assert f"sai trung bình {miss.replace('.', ',')} (lấy trung bình" in card.text("vi")
    declared = (tmp_path / "flows.csv").read_text()
    (tmp_path / "flows.csv").write_text(declared.replace("index:nox,1,", "air:no2,ug/m3,", 1))
    metered = later(mg.open(tmp_path), store=False)
    (card,) = (one for one in metered.problems() if one.code == "virtual.card")
    assert f"missed by {miss} ug/m3 (the mean" in card.text("en")
