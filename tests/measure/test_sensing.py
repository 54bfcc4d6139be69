"""Sensors of a made-up city against its inventory: what is found, what is said, what the nowcast reads."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.measure.sensing_world import _store, city, fill, weather

import mangrove as mg
from mangrove.errors import DataQualityError, RequestError
from mangrove.inference.sensor_model import Beliefs
from mangrove.measure import sensing
from mangrove.measure.nowcast.inputs import _sensed
from mangrove.measure.sensing_ratios import ratio

PERIOD = ("2026-03-02", "2026-03-07")


@pytest.fixture(scope="module")
def less_traffic(tmp_path_factory):
    park = city(tmp_path_factory.mktemp("sensed") / "city")
    fill(park, {"road": 0.7})
    return park


@pytest.fixture(scope="module")
def report(less_traffic):
    return sensing.invert(less_traffic, *PERIOD)


def test_a_sector_that_emits_less_than_the_inventory_is_found(report):
    road, industry = report.sectors["road"], report.sectors["industry"]
    assert road.low < 0.7 * road.prior < road.high
    assert road.high < road.prior
    assert industry.low < industry.prior < industry.high


def test_parts_of_the_inventory_add_up_before_the_sensors_speak(report):
    assert sum(one.prior for one in report.sectors.values()) == pytest.approx(report.total.prior)
    assert sum(one.prior for one in report.zones.values()) == pytest.approx(report.total.prior)


def test_the_prior_is_what_measure_says(less_traffic, report):
    """Scope 1 CO2 of the period by the one formula, in kilograms."""
    table = mg.measure(less_traffic, *PERIOD, by=("gas",), store=False).to_arrow().to_pylist()
    measured = next(row["kg"] for row in table if row["gas"] == "CO2")
    assert report.total.prior == pytest.approx(measured, rel=1e-6)


def test_no_instrument_is_accused_without_a_cause(report):
    assert not [one.flow for one in report.instruments if one.drifts]
    assert not [one for one in report.problems() if one.severity == "error"]


def test_the_record_is_what_the_nowcast_reads(less_traffic, report):
    with less_traffic.reader() as ledger:
        kind, document, _ = ledger.record(report.record)
    assert kind == "inversion"
    fact = _sensed(report.record, json.loads(document), less_traffic.territory.tz)
    assert set(fact.targets) == {"road", "industry"}
    assert set(fact.zones) == {"w00", "w01", "w10", "w11"}
    assert fact.end - fact.first == 5
    at = fact.targets.index("road")
    assert np.exp(fact.mean[at]) < 1.0


def test_the_report_is_said_in_both_languages(report):
    english, vietnamese = report.text("en"), report.text("vi")
    assert "road: x 0." in english
    assert "Thiết bị" in vietnamese
    assert "Phường 00" in english


def test_the_document_is_json_with_diagnostics(report):
    document = json.loads(json.dumps(report.document()))
    assert 0.8 < document["diagnostics"]["chi2"] < 1.2
    assert set(document["diagnostics"]["left_out"]) == set(report.seen.stations)
    assert document["background"]["co"]["mean"] > 0


def test_sectors_alone_can_be_asked_for(less_traffic):
    report = sensing.invert(less_traffic, *PERIOD, by="sector", species=("co2",), store=False)
    assert report.zones == {}
    assert report.record == ""
    assert report.sectors["road"].mean < report.sectors["road"].prior


def test_a_drifting_sensor_is_named_and_does_not_change_the_sectors(tmp_path):
    park = city(tmp_path / "city")
    fill(park, drift=("s3", 1.3))
    report = sensing.invert(park, *PERIOD, store=False)
    assert {one.flow for one in report.instruments if one.drifts} == {"s3.co2", "s3.co"}
    for one in report.sectors.values():
        assert one.low < one.prior < one.high
    assert any(one.code == "sensing.drifts" for one in report.problems())


def test_a_wind_that_says_where_it_goes_is_detected(tmp_path):
    park = city(tmp_path / "city")
    fill(park, from_is_toward=True)
    report = sensing.invert(park, *PERIOD, store=False)
    wrong = [one for one in report.notes if one.code == "sensing.wind_convention"]
    assert wrong
    assert wrong[0].severity == "error"
    assert "goes to" in wrong[0].text("en")


def test_two_air_masses_are_a_background_by_wind_and_no_emission(tmp_path):
    """Air from land brings 12,000 ug/m3 of CO2 (some 7 ppm) and 120 of CO more than air from the sea."""
    land = {"co2": 12_000.0, "co": 120.0}
    park = city(tmp_path / "city")
    fill(park, {"road": 0.7}, land=land)
    report = sensing.invert(park, *PERIOD, store=False)
    background = report.document()["background"]
    for species, more in land.items():
        by = background[species]["by_wind"]
        assert len(by) >= 6
        sides = [
            np.mean([value for name, value in by.items() if (int(name.split("-")[0]) < 180) is east])
            for east in (True, False)
        ]
        assert sides[0] - sides[1] == pytest.approx(more, rel=0.25)
    road, industry = report.sectors["road"], report.sectors["industry"]
    assert road.low < 0.7 * road.prior < road.high
    assert industry.low < industry.prior < industry.high


def test_hours_without_wind_say_little_and_footprint_files_are_not_meant(less_traffic, report):
    """The error of a calm hour of the plume is at least what the inventory adds in it."""
    seen, prior = report.seen, report.prior
    response = np.full((len(seen.flows), len(seen.starts), len(prior.sectors), len(prior.zones)), 2_000.0)
    calm = replace(seen, winds=replace(seen.winds, speed=np.where(np.arange(120) < 12, 0.4, 3.0)))
    held = np.zeros(response.shape[:2], dtype=bool)
    held[0] = True
    scene, _ = sensing._scene(less_traffic, calm, prior, response, "zone", Beliefs(), held)
    still = (scene.hour < 12) & (scene.series > 0)
    assert scene.noise[still].min() >= 16_000.0
    assert scene.noise[~still].max() < 16_000.0


def test_what_is_missing_is_named(tmp_path, less_traffic):
    empty = city(tmp_path / "city")
    fill_weather = dict(zip(("met.wind_speed", "met.wind_from", "met.mixing_height"), weather(), strict=True))
    _store(empty, fill_weather, "weather")
    with pytest.raises(DataQualityError, match="inventory"):
        sensing.invert(empty, *PERIOD)
    with pytest.raises(RequestError, match="no sensor measures pm25"):
        sensing.invert(less_traffic, *PERIOD, species=("pm25",))
    with pytest.raises(RequestError, match="divide"):
        sensing.invert(less_traffic, *PERIOD, by="street")


def test_the_live_estimate_counts_before_the_inventory(tmp_path):
    park = city(tmp_path / "city", stations=3)
    fill(park)
    flows = [flow.id for flow in park.territory.flows.values() if flow.scope == 1]
    _store(park, {flow: np.full(120, 2.0) for flow in flows}, "live", run="estimate/nowcast")
    report = sensing.invert(park, *PERIOD, store=False)
    assert report.prior.origin == "estimate/nowcast"
    hourly = report.prior.hourly[[gas == "co2" for gas in report.prior.gas]]
    np.testing.assert_allclose(hourly, hourly[:, :1] * np.ones((1, 120)))


def test_ratios_follow_from_the_factors_that_their_sources_print():
    """Grams of pollutant and kilograms of CO2 of the same kilogram or gigajoule of fuel, as EEA's database and IPCC 2006 print them."""
    found = ratio("co", "II.1.1")
    assert found is not None
    assert found.source.startswith("EEA emission factor database")
    assert found.status == "official"
    assert found.value == pytest.approx((0.04836 / 3.168 * 0.24488 / 3.168) ** 0.5, rel=5e-3)
    assert ratio("no2", "II.1.1").value == pytest.approx(
        0.8 * (0.00723 / 3.168 * 0.02595 / 3.18) ** 0.5, rel=5e-3
    )
    assert ratio("pm25", "II.1").value == pytest.approx((0.00051 / 3.168 * 0.00055 / 3.18) ** 0.5, rel=5e-3)
    for gpc, species, grams, co2 in [
        ("I.3.1", "co", 931, 94_600), ("I.3.1", "nox", 173, 94_600), ("I.1.1", "co", 26, 63_100), ("I.1.1", "nox", 51, 63_100),
        ("I.2.1", "co", 29, 63_100), ("I.2.1", "nox", 74, 63_100),
    ]:  # fmt: skip
        assert ratio(species, gpc).value == pytest.approx(grams / co2, rel=5e-3)


def test_a_period_without_an_inventory_is_said_in_local_time(less_traffic):
    with pytest.raises(DataQualityError) as caught:
        sensing.invert(less_traffic, "2019-03-01", "2019-03-02")
    assert caught.value.code == "sensing.no_prior"
    assert "2019-03-01 00:00 to 2019-03-02 00:00:" in caught.value.text("en")
    assert "+00:00" not in caught.value.text("vi")


def test_places_that_cannot_be_zones_are_named_with_and_without_a_kind(tmp_path):
    park = city(tmp_path / "city")
    fill(park)
    drawn = json.loads((tmp_path / "city" / "places.geojson").read_text(encoding="utf-8"))
    for feature in drawn["features"]:
        feature["geometry"] = None
        for name in ("lon", "lat"):
            feature["properties"].pop(name, None)
    (tmp_path / "city" / "places.geojson").write_text(json.dumps(drawn), encoding="utf-8")
    bare = mg.open(tmp_path / "city")
    with pytest.raises(DataQualityError) as nothing:
        sensing.invert(bare, *PERIOD)
    assert nothing.value.code == "sensing.nothing_drawn"
    with pytest.raises(DataQualityError) as wards:
        sensing.invert(bare, *PERIOD, zone="ward")
    assert "places of the kind ward need" in wards.value.text("en")
