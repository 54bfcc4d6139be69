"""The physical intensity of the grid: energy kept, gaps left open, two numbers apart, and agreement with published powers."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.compute as pc
import pytest
from tests.sources.grid_worlds import mix_file, world

from mangrove.errors import RequestError
from mangrove.measure.grid_intensity import (
    SOURCES,
    Days,
    days_of,
    delivered,
    direct_factors,
    generate,
    hourly_intensity,
)
from mangrove.sources.dispatch_center import read_file, replay
from mangrove.times import Span

TZ = ZoneInfo("Asia/Ho_Chi_Minh")
MIX = {
    "hydro": 200.0,
    "coal": 400.0,
    "gas": 80.0,
    "oil": 1.0,
    "wind": 20.0,
    "solar": 80.0,
    "import": 15.0,
    "other": 4.0,
}


def days(count=2, first=date(2023, 6, 5), **changed):
    energy = {name: np.full(count, value) for name, value in {**MIX, **changed}.items()}
    return Days(tuple(first + timedelta(days=k) for k in range(count)), energy)


def column(table, name):
    return np.array([np.nan if value is None else value for value in table[name].to_pylist()])


def test_the_energy_of_every_source_and_the_load_of_every_hour_are_kept():
    load = 20_000.0 + 15_000.0 * np.sin(np.linspace(0, np.pi, 24)) ** 2
    known = Days(days().days, days().energy, np.stack([load, load[::-1]]))
    generation, courses = generate(known, TZ)
    assert courses == ["load", "load"]
    for name in SOURCES:
        np.testing.assert_allclose(generation[name].sum(axis=1), 1000.0 * known.energy[name], rtol=1e-12)
    total = sum(generation.values())
    np.testing.assert_allclose(
        total / total.sum(axis=1, keepdims=True),
        known.load / known.load.sum(axis=1, keepdims=True),
        rtol=1e-9,
    )
    assert all((one >= 0.0).all() for one in generation.values())


def test_the_mean_of_a_day_weighted_by_energy_is_its_energy_times_factors():
    known = days(1)
    generation, _ = generate(known, TZ)
    table = hourly_intensity(known, Span.parse("2023-06-05", TZ), TZ)
    factors = direct_factors()
    own = [name for name in SOURCES if factors[name].value is not None]
    weight = sum(generation[name][0] for name in own)
    mean = float((column(table, "physical_kg_per_kwh") * weight).sum() / weight.sum())
    assert mean == pytest.approx(
        sum(MIX[name] * factors[name].value for name in own) / sum(MIX[name] for name in own), rel=1e-12
    )
    assert float((column(table, "coverage") * (weight / column(table, "coverage"))).sum()) == pytest.approx(
        781_000.0
    )


def test_the_sun_lowers_the_middle_of_the_day_and_nothing_else_moves_an_even_night():
    table = hourly_intensity(days(1), Span.parse("2023-06-05", TZ), TZ)
    physical = column(table, "physical_kg_per_kwh")
    assert np.argmin(physical) in (11, 12)
    assert np.ptp(physical[[0, 1, 2, 3, 20, 21, 22, 23]]) < 1e-12
    assert (column(table, "low") < physical).all()
    assert (physical < column(table, "high")).all()


def test_a_grid_that_burns_coal_alone_has_the_factor_of_coal():
    table = hourly_intensity(
        days(1, **dict.fromkeys(MIX, 0.0) | {"coal": 400.0}), Span.parse("2023-06-05", TZ), TZ
    )
    assert column(table, "physical_kg_per_kwh") == pytest.approx(
        98_300 * 3.6e-6 / 0.35
    )  # Decision 2626 I.1.1; Graus et al. 2007
    assert set(table["coverage"].to_pylist()) == {1.0}


def test_days_that_were_not_published_and_days_that_lack_a_source_are_gaps():
    known = days(3)
    known.energy["coal"][1] = np.nan
    table = hourly_intensity(known, Span.parse("2023-06", TZ), TZ)
    assert table.num_rows == 30 * 24
    assert table["physical_kg_per_kwh"].null_count == 28 * 24
    gaps = table.filter(pc.is_null(table["physical_kg_per_kwh"]))
    assert set(gaps["coverage"].to_pylist()) == {0.0}
    assert set(gaps["course"].to_pylist()) == {"gap"}
    assert gaps["low"].null_count == gaps["high"].null_count == gaps.num_rows


def test_the_official_factor_stands_beside_it_and_is_never_taken_from_another_year():
    def official(year, **asked):
        table = hourly_intensity(days(1, date(year, 6, 5)), Span.parse(f"{year}-06-05", TZ), TZ, **asked)
        return set(table["official_kg_per_kwh"].to_pylist())

    assert official(2023) == {0.6592}  # 1726/BDKH-PTCBT
    assert official(2022) == {0.6766}  # 327/BDKH-PTCBT
    assert official(2024) == {None}
    assert official(2024, allow=("unofficial",)) == {0.6811}


def test_the_table_says_its_bases():
    table = hourly_intensity(days(1), Span.parse("2023-06-05", TZ), TZ)
    said = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert (said["physical_kg_per_kwh"], said["official_kg_per_kwh"], said["losses"]) == (
        "derived",
        "fact",
        "none",
    )


def test_a_part_of_a_day_is_cut_from_the_whole_day():
    whole = hourly_intensity(days(2), Span.parse("2023-06-05", TZ), TZ)
    part = hourly_intensity(days(2), Span.between("2023-06-05T06:00", "2023-06-05T09:00", TZ), TZ)
    assert part["start"].to_pylist() == whole["start"].to_pylist()[6:9]
    assert part["physical_kg_per_kwh"].to_pylist() == whole["physical_kg_per_kwh"].to_pylist()[6:9]


def test_energy_without_a_factor_widens_the_band_and_lowers_the_coverage_and_nothing_else():
    span = Span.parse("2023-06-05", TZ)
    without = hourly_intensity(days(1, **{"import": 0.0, "other": 0.0, "wind": 0.0, "solar": 0.0}), span, TZ)
    much = hourly_intensity(days(1, **{"import": 200.0, "other": 0.0, "wind": 0.0, "solar": 0.0}), span, TZ)
    assert column(much, "physical_kg_per_kwh") == pytest.approx(column(without, "physical_kg_per_kwh"))
    assert (column(much, "coverage") < column(without, "coverage")).all()
    assert (
        np.subtract(column(much, "high"), column(much, "low"))
        > np.subtract(column(without, "high"), column(without, "low"))
    ).all()


def test_losses_are_those_of_the_published_coefficients():
    factor, document = delivered(">=110 kV")
    assert factor == pytest.approx(1.02 * 1.008525)
    assert "57/2025" in document
    with pytest.raises(RequestError):
        delivered("400 V")


def test_a_ledger_gives_the_same_as_the_arrays_and_an_undeclared_country_is_named(tmp_path):
    park = world(tmp_path / "vn")
    mix_file(tmp_path / "files", days=2)
    now = Span.parse("2030", TZ).start
    span = Span.parse("2023-06-05", TZ)
    with park.writer() as ledger:
        replay(
            lambda values, origin, bad: ledger.append(values.table(), origin, rejected=bad),
            park.territory,
            tmp_path / "files",
            now,
        )
        with ledger.snapshot() as snapshot:
            found = days_of(snapshot, park.territory, span)
            table = hourly_intensity(snapshot, span, TZ, territory=park.territory)
            with pytest.raises(RequestError) as error:
                hourly_intensity(snapshot, span, TZ)
    assert error.value.code == "grid.no_flows"
    assert {name: values.tolist() for name, values in found.energy.items()} == {
        name: [value] for name, value in MIX.items()
    }
    assert table.equals(hourly_intensity(days(1), span, TZ))


def real(data_dir):
    """The published days of both files as arrays, those of both where `both`."""
    mix = read_file(data_dir / "grid" / "vn_daily_mix_clean_2022_2025.csv").days
    two = read_file(data_dir / "grid" / "vn_daily_mobilised_capacity_2021-01_2024-04_raw.csv").days

    def table(published, wanted, level):
        found = {day: {one.key: one.value for one in published[day] if not one.quality} for day in wanted}
        return {name: np.array([found[day].get((name, level), np.nan) for day in wanted]) for name in SOURCES}

    both = [day for day in mix if day in two and not mix[day][0].quality and not two[day][0].quality]
    return (
        Days(tuple(mix), table(mix, mix, "")),
        Days(tuple(both), table(mix, both, ""), None, table(two, both, "low"), table(two, both, "high")),
    )


@pytest.mark.data
def test_on_the_real_days_energy_is_kept_and_the_annual_mean_lies_below_the_official_factor(data_dir):
    known, _ = real(data_dir)
    generation, _ = generate(known, TZ)
    for name in SOURCES:
        error = np.abs(np.nansum(generation[name], axis=1) / 1000.0 - np.nan_to_num(known.energy[name]))
        assert error[~np.isnan(known.energy["coal"])].max() < 1e-9
    ratios = {}
    for year, official in (("2022", 0.6766), ("2023", 0.6592)):
        table = hourly_intensity(known, Span.parse(year, TZ), TZ)
        assert set(table["official_kg_per_kwh"].to_pylist()) == {official}
        ratios[year] = float(np.nanmean(column(table, "physical_kg_per_kwh"))) / official
    # Hydro, sun and wind (half of the energy) count with zero in the physical mean and hardly at all in the official factor,
    # which weighs the plants that a project displaces: so the mean must lie between their share and the factor itself.
    assert all(0.55 < ratio < 0.95 for ratio in ratios.values())
    assert ratios == pytest.approx({"2022": 0.652, "2023": 0.791}, abs=0.002)


@pytest.mark.data
def test_on_the_real_days_119_days_that_were_not_published_and_two_that_were_not_renewed_are_gaps(data_dir):
    known, _ = real(data_dir)
    table = hourly_intensity(known, Span.between("2022-01-01", "2025-11-12", TZ), TZ)
    assert table["physical_kg_per_kwh"].null_count == (119 + 2) * 24


@pytest.mark.data
def test_powers_at_two_hours_bring_the_course_to_the_published_one(data_dir):
    _, both = real(data_dir)
    factors = direct_factors()
    own = [name for name in SOURCES if factors[name].value is not None]

    def intensity(powers):
        return sum(powers[name] * factors[name].value for name in own) / sum(powers[name] for name in own)

    published = intensity(both.low), intensity(both.high)
    assert np.median(published[1] / published[0]) == pytest.approx(1.165, abs=0.01)
    errors = {}
    for name, known in (("even", Days(both.days, both.energy)), ("two hours", both)):
        generation, courses = generate(known, TZ)
        assert set(courses) == {name}
        hours = intensity(generation)
        errors[name] = [
            float(np.mean(np.abs(hours[:, at] - true) / true))
            for at, true in zip((11, 19), published, strict=True)
        ]
    assert errors["two hours"] == pytest.approx([0.044, 0.035], abs=0.005)
    assert errors["even"] == pytest.approx([0.143, 0.080], abs=0.005)
