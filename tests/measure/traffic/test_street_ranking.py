"""Worst streets and junctions: sums by hand, causes that multiply, hours lost in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.measure.traffic.counted_city import START, USUAL, city, fill, write_net

from mangrove import traffic_state
from mangrove.measure.traffic import ranking
from mangrove.measure.traffic.emitted import emitted
from mangrove.traffic.emissions import factors


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranked") / "city"
    folder.mkdir()
    write_net(folder)
    text = (folder / "small.net.xml").read_text().replace('<edge id="main"', '<edge id="main" name="Lê Lợi"')
    (folder / "small.net.xml").write_text(text.replace('<edge id="side"', '<edge id="side" name="Lê Lợi"'))
    park = city(folder, more="traffic: {network: small.net.xml}\n")
    fill(park, USUAL)
    return traffic_state.state(park, START, START.replace(hour=START.hour + 1))


@pytest.fixture(scope="module")
def rate(state):
    amounts = emitted(state, factors(state.classes, ["CO2"]))
    return ranking.rates(state, amounts.mass[..., 0])


def test_rates_are_the_counts_of_an_hour(state, rate):
    main = state.streets.ids.index("main")
    length = state.streets.length[main]
    assert rate.km[main].sum() == pytest.approx((120 + 10) * 12 * length)
    assert rate.hours[main].sum() == pytest.approx(130 * 12 * length / 18)
    assert state.streets.limit[main] == pytest.approx(13.89 * 3.6)
    lost = 130 * 12 * length * (1 / 18 - 1 / (13.89 * 3.6))
    assert rate.lost[main].sum() == pytest.approx(lost)
    assert rate.known.tolist() == [1.0, 1.0, 1.0]


def test_links_of_one_name_are_one_corridor_and_sums_stay_what_they_were(state, rate):
    found = {one.name: one for one in ranking.corridors(rate, ("Lê Lợi", "Lê Lợi", "third"))}
    assert set(found) == {"Lê Lợi", "third"}
    assert found["Lê Lợi"].links == (0, 1)
    whole = sum(one.mass * one.length for one in found.values())
    assert whole == pytest.approx(rate.mass.sum())
    assert sum(one.lost * one.length for one in found.values()) == pytest.approx(rate.lost.sum())
    one = found["Lê Lợi"]
    assert one.speed == pytest.approx(rate.km[:2].sum() / rate.hours[:2].sum())
    assert one.first == "motorbike"
    assert one.share == pytest.approx(
        rate.mass[:2, state.classes.index("motorbike")].sum() / rate.mass[:2].sum()
    )


def test_causes_multiply_to_how_many_times_the_mean_street_emits(rate):
    mean = rate.mass.sum() / rate.length.sum()
    lost = rate.lost.sum() / rate.length.sum()
    for one in ranking.corridors(rate, ("main", "side", "third")):
        assert one.emission.times == pytest.approx(one.mass / mean)
        assert one.delay.times == pytest.approx(one.lost / lost)
        assert one.delay.mix == 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_mix_and_speed_are_told_apart(seed):
    """The same factor for all speeds leaves nothing to the way of driving; the same classes everywhere nothing to the mix."""
    rng = np.random.default_rng(seed)
    links, classes = 5, 3
    km = rng.uniform(1, 100, (links, classes))
    flat = rng.uniform(10, 400, classes)

    def rates(km, mass):
        return ranking.Rates(
            rng.uniform(0.1, 1, links), np.full(links, 50.0), ("a", "b", "c"), km, km / 20, km / 100, mass, np.ones(links)
        )  # fmt: skip

    names = tuple("vwxyz")
    for one in ranking.corridors(rates(km, km * flat), names):
        assert one.emission.slow == pytest.approx(1)
    even = rng.uniform(1, 100, (links, 1)) * np.array([0.8, 0.15, 0.05])
    for one in ranking.corridors(rates(even, even * flat * rng.uniform(0.5, 2, (links, 1))), names):
        assert one.emission.mix == pytest.approx(1)


def test_a_junction_holds_what_leads_to_it(state, rate):
    found = {one.id: one for one in ranking.junctions(rate, state.streets)}
    assert set(found) == {"b", "c", "d"}
    assert found["b"].links == (0,)
    assert found["b"].mass == pytest.approx(rate.mass[0].sum())
    assert found["b"].vehicles == pytest.approx(130 * 12)
    assert found["b"].streets == ("Lê Lợi",)
    assert not found["b"].signal
    assert sum(one.mass for one in found.values()) == pytest.approx(rate.mass.sum())


def test_the_mean_speed_is_kilometers_over_hours_and_stays_known_where_nobody_drives(state):
    speed = ranking.mean_speed(state)
    assert speed[:, 0] == pytest.approx(18)
    from dataclasses import replace

    empty = replace(state, flow=np.zeros_like(state.flow))
    assert ranking.mean_speed(empty)[:, 1] == pytest.approx(30)


def test_a_street_that_is_never_known_has_no_row(state, rate):
    from dataclasses import replace

    known = rate.known.copy()
    known[2] = 0
    partly = replace(rate, known=known)
    assert [one.name for one in ranking.corridors(partly, ("a", "b", "c"))] == ["a", "b"]
    assert {link for one in ranking.junctions(partly, state.streets) for link in one.links} == {0, 1}
