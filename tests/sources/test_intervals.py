# SPDX-License-Identifier: Apache-2.0
"""The energy of an hour comes out the same whether a file writes it as one value or as four, and is never counted twice."""

from datetime import datetime, timedelta

import pytest

from mangrove.sources import ingest
from mangrove.sources.problems import RejectedError

START = datetime(2024, 3, 1)  # noqa: DTZ001 - a wall-clock time


def moments(count: int, minutes: int) -> list[datetime]:
    return [START + timedelta(minutes=minutes * k) for k in range(count)]


def long_file(path, flow, values, minutes, *, unit="kWh", header="time"):
    rows = [
        f"{at:%Y-%m-%d %H:%M},{flow},{v},{unit}"
        for at, v in zip(moments(len(values), minutes), values, strict=True)
    ]
    path.write_text("\n".join([f"{header},flow,value,unit", *rows]), encoding="utf-8")
    return path


def wide_file(path, flow, values, minutes):
    rows = [f"{at:%Y-%m-%d %H:%M},{v}" for at, v in zip(moments(len(values), minutes), values, strict=True)]
    path.write_text("\n".join([f"time,{flow}", *rows]), encoding="utf-8")
    return path


def total(rows, flow="mill"):
    return sum(value for _, value, _ in rows(flow))


def test_power_in_a_long_file_lasts_as_long_as_the_file_shows(tmp_path, ledger, rows, world, flow):
    path = long_file(tmp_path / "m.csv", "mill", [4.0, 8.0, 4.0, 8.0] * 6, 15, unit="kW")
    report = ingest(ledger, world(flow("mill", step="1h")), [path], screen=False)
    assert total(rows) == pytest.approx(6 * 6.0)  # 6 kW on average, six hours
    assert "sources.step_differs" in {p.code for p in report.files[0].assumptions}


def test_ends_in_a_long_file_are_one_step_of_the_file_after_their_starts(tmp_path, ledger, rows, world, flow):
    path = long_file(tmp_path / "m.csv", "mill", [1.0] * 4, 15, header="end time")
    ingest(ledger, world(flow("mill", step="1h")), [path], screen=False)
    assert rows("mill")[0][0] == "2024-02-29T16:45"


def test_each_flow_of_a_long_file_has_its_own_distance(tmp_path, ledger, rows, world, flow):
    daily = long_file(tmp_path / "d.csv", "fuel", [10.0] * 3, 1440).read_text("utf-8")
    path = long_file(tmp_path / "m.csv", "mill", [4.0] * 8, 15, unit="kW")
    path.write_text(path.read_text("utf-8") + "\n" + "\n".join(daily.split("\n")[1:]), encoding="utf-8")
    park = world(flow("mill", step="15min"), flow("fuel", step="1d"))
    ingest(ledger, park, [path], screen=False)
    assert total(rows) == pytest.approx(8.0)
    assert len(rows("fuel")) == 3


def test_means_that_come_more_often_than_declared_are_refused(tmp_path, ledger, world, flow):
    path = wide_file(tmp_path / "m.csv", "mill", [4.0] * 8, 15)
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill", "kW", "1h", semantics="mean")), [path])
    assert [p.code for p in caught.value.problems] == ["sources.mean_too_fine"]


def test_corrections_of_the_same_hour_on_two_days_stay_at_that_hour(tmp_path, ledger, rows, world, flow):
    path = tmp_path / "m.csv"
    path.write_text("time,mill\n2024-03-01 09:00,70\n2024-03-02 09:00,75\n", encoding="utf-8")
    ingest(ledger, world(flow("mill", step="1h")), [path], screen=False)
    assert rows("mill") == [("2024-03-01T02:00", 70.0, 0), ("2024-03-02T02:00", 75.0, 0)]


@pytest.mark.parametrize("write", [long_file, wide_file])
def test_a_longer_value_over_finer_ones_is_kept_out_of_the_sum(write, tmp_path, ledger, rows, world, flow):  # noqa: PLR0917 - fixtures
    park = world(flow("mill", step="15min"))
    ingest(ledger, park, [wide_file(tmp_path / "a.csv", "mill", [1.0] * 48, 15)], screen=False)
    hours = write(tmp_path / "b.csv", "mill", [4.4] * 13, 60)
    ingest(ledger, park, [hours], screen=False)
    assert ledger.quarantine().column("code").to_pylist() == ["sources.counted_twice"] * 12
    assert total(rows) == pytest.approx(48 + 4.4)


def test_a_longer_value_counts_after_the_finer_ones_were_taken_out(tmp_path, ledger, rows, world, flow):
    park = world(flow("mill", step="15min"))
    ingest(ledger, park, [wide_file(tmp_path / "a.csv", "mill", [1.0] * 32, 15)], screen=False)
    hours = wide_file(tmp_path / "b.csv", "mill", [4.4] * 8, 60)
    ingest(ledger, park, [hours], screen=False)
    out = [f"{at:%Y-%m-%d %H:%M},mill,1,fault" for at in moments(32, 15)]
    (tmp_path / "c.csv").write_text("\n".join(["time,flow,value,quality", *out]), encoding="utf-8")
    ingest(ledger, park, [tmp_path / "c.csv"], screen=False)
    ingest(ledger, park, [hours], screen=False)
    assert sum(value for _, value, quality in rows("mill") if not quality) == pytest.approx(8 * 4.4)


def test_columns_with_different_steps_stand_in_one_file(tmp_path, ledger, rows, world, flow):
    text = "\n".join(
        [
            "time,fuel,mill",
            *(f"{at:%Y-%m-%d %H:%M},{'' if k else 50},{k}" for k, at in enumerate(moments(48, 60))),
        ]
    )
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    ingest(
        ledger, world(flow("fuel", step="1mo"), flow("mill", step="1h")), [tmp_path / "m.csv"], screen=False
    )
    assert total(rows) == sum(range(48))
    assert rows("fuel") == [("2024-02-29T17:00", 50.0, 0)]


def test_marks_that_begin_below_the_first_rows_still_decide(tmp_path, ledger, rows, world, flow, monkeypatch):  # noqa: PLR0917 - fixtures
    monkeypatch.setattr("mangrove.sources.doctor_time.SAMPLE_ROWS", 10)
    text = "".join(f"{at:%d/%m/%Y %H:%M};{k}\n" for k, at in enumerate(moments(40, 1440)[:30]))
    path = tmp_path / "m.csv"
    path.write_text("time;mill\n" + text + "01/05/2024 00:00;1,234\n02/05/2024 00:00;2,5\n", encoding="utf-8")
    ingest(ledger, world(flow("mill", step="1d")), [path], screen=False)
    assert [value for _, value, _ in rows("mill")][-2:] == [1.234, 2.5]


def test_small_whole_numbers_do_not_make_a_group_of_thousands(tmp_path, ledger, world, flow):
    cells = ["1", "2", "7", "1,234", "5,678", "2,345", "8,912", "3,456"]
    lines = [f"{at:%d/%m/%Y};{cell}" for at, cell in zip(moments(30, 1440)[12:], cells, strict=False)]
    (tmp_path / "m.csv").write_text("\n".join(["time;mill", *lines]), encoding="utf-8")
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill", step="1d")), [tmp_path / "m.csv"])
    assert caught.value.problems[0].code == "sources.ambiguous_number"
