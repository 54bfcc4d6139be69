"""Emission arithmetic: sums by hand, errors by simulation, what cannot be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from mangrove.errors import RequestError, RuleError
from mangrove.rules.vehicles import curve
from mangrove.traffic.emissions import by_class, emissions, factors, of_classes, of_total, roll_up

MADE = factors(["motorbike", "car", "electric_motorbike"], ["CO2", "electricity"])
LENGTH = np.array([0.2, 0.35])
FLOW = np.array([[[120.0, 14, 3], [60, 8, 0]], [[90, 12, 5], [0, 0, 0]]])
SPEED = np.array([[[18.0, 15, 18], [33, 28, np.nan]], [[9, 8, 9], [np.nan, np.nan, np.nan]]])


def test_emissions_are_flow_times_length_times_factor_added_over_classes():
    found = emissions(FLOW, SPEED, LENGTH, MADE)
    wanted = np.zeros((2, 2, 2))
    for t in range(2):
        for link in range(2):
            for c, name in enumerate(("motorbike", "car", "electric_motorbike")):
                if FLOW[t, link, c] > 0:
                    p = 1 if name.startswith("electric") else 0
                    factor = float(curve(name, ("CO2", "electricity")[p]).at(SPEED[t, link, c]))
                    wanted[t, link, p] += FLOW[t, link, c] * LENGTH[link] * factor
    assert found == pytest.approx(wanted)
    assert by_class(FLOW, SPEED, LENGTH, MADE).sum(axis=-2) == pytest.approx(found)


def test_electric_vehicles_use_electricity_and_emit_nothing_where_they_drive():
    mass = by_class(FLOW, SPEED, LENGTH, MADE)
    assert (mass[..., 2, 0] == 0).all()
    assert (mass[..., :2, 1] == 0).all()
    assert mass[0, 0, 2, 1] == pytest.approx(
        3 * 0.2 * float(curve("electric_motorbike", "electricity").at(18))
    )


@given(scale=st.floats(0.1, 50), cut=st.floats(0.05, 0.95))
def test_emissions_are_linear_in_flow_and_add_up_along_a_link(scale, cut):
    whole = emissions(FLOW[0], SPEED[0], LENGTH, MADE)
    assert emissions(FLOW[0] * scale, SPEED[0], LENGTH, MADE) == pytest.approx(whole * scale)
    parts = [emissions(FLOW[0], SPEED[0], LENGTH * share, MADE) for share in (cut, 1 - cut)]
    assert sum(parts) == pytest.approx(whole)


def test_limits_of_the_streets_go_into_every_way_to_reckon():
    limit = np.array([50.0, np.nan])
    found = emissions(FLOW, SPEED, LENGTH, MADE, limit=limit)
    each = np.stack(
        [emissions(FLOW[:, [k]], SPEED[:, [k]], LENGTH[[k]], MADE, limit=limit[[k]])[:, 0] for k in (0, 1)],
        axis=1,
    )
    assert found == pytest.approx(each)
    plain = emissions(FLOW, SPEED, LENGTH, MADE)
    assert (found[:, 0, 0] > plain[:, 0, 0]).all(), "a limit of 50 km/h is above the usual one"
    assert found[:, 1] == pytest.approx(plain[:, 1]), "where nobody states one it is the usual one"
    assert of_classes(FLOW, SPEED, LENGTH, MADE, limit=limit).by_link == pytest.approx(found)
    common, shares = np.array([[18.0, 30], [9, 10]]), FLOW[0, 0] / FLOW[0, 0].sum()
    whole = of_total(FLOW.sum(axis=2), shares, common, LENGTH, MADE, limit=limit)
    split = emissions(FLOW.sum(axis=2)[..., None] * shares, common, LENGTH, MADE, limit=limit)
    assert whole.by_link == pytest.approx(split)
    with pytest.raises(RequestError) as caught:
        emissions(FLOW, SPEED, LENGTH, MADE, limit=[50.0])
    assert caught.value.code == "vehicles.shape"


def test_one_speed_for_all_classes_is_that_speed_for_each():
    common = np.array([[20.0, 30], [10, 10]])
    assert emissions(FLOW, common, LENGTH, MADE) == pytest.approx(
        emissions(FLOW, np.repeat(common[..., None], 3, axis=2), LENGTH, MADE)
    )


def test_the_variance_of_a_cell_is_that_of_drawn_errors():
    """Counts off by 5 %, speeds by 10 %, cells and links by their scatter: 40 000 draws of all of them, without the closed form."""
    random = np.random.default_rng(5)
    flow, speed = FLOW[:1, :1, :2], SPEED[:1, :1, :2]
    made = factors(["motorbike", "car"], ["CO2"])
    amounts = of_classes(flow, speed, LENGTH[:1], made, flow_error=0.05, speed_error=0.1)
    count, total = 40_000, 0.0
    at_link = random.standard_normal(count)
    for c, name in enumerate(("motorbike", "car")):
        one = curve(name, "CO2")
        km = flow[0, 0, c] * LENGTH[0]
        q = 1 + 0.05 * random.standard_normal(count)
        v = speed[0, 0, c] * (1 + 0.1 * random.standard_normal(count))
        own = 1 + one.scatter / np.sqrt(km) * random.standard_normal(count)
        total = total + km * q * one.at(v) * (own + one.link_scatter * at_link)
    assert float(amounts.sd[0, 0, 0]) == pytest.approx(total.std(), rel=0.06)


def test_drawing_classes_at_random_spreads_as_the_closed_form_says():
    made = factors(["motorbike", "car"], ["CO2"])
    shares, total, speed = np.array([0.9, 0.1]), np.array([[40.0]]), np.array([[20.0]])
    amounts = of_total(total, shares, speed, LENGTH[:1], made)
    same = of_classes(total[..., None] * shares, speed, LENGTH[:1], made)
    cars = np.random.default_rng(1).binomial(40, 0.1, 100_000)
    each = np.array([float(curve(name, "CO2").at(20)) for name in ("motorbike", "car")]) * LENGTH[0]
    drawn = (40 - cars) * each[0] + cars * each[1]
    assert amounts.own[0, 0, 0] - same.own[0, 0, 0] == pytest.approx(drawn.var(), rel=0.03)
    assert amounts.by_link == pytest.approx(same.by_link)
    assert of_total(total, shares, speed, LENGTH[:1], made, dispersion=3.0).own > amounts.own


def test_groups_add_up_to_the_whole_and_dense_weights_equal_sparse_ones():
    amounts = of_classes(FLOW, SPEED, LENGTH, MADE)
    weights = np.array([[1.0, 0.25], [0.0, 0.75], [1.0, 1.0]])
    found, again = roll_up(amounts, weights, MADE), roll_up(amounts, sparse.csr_array(weights), MADE)
    assert found.mass[0] + found.mass[1] == pytest.approx(found.mass[2])
    assert found.mass[2] == pytest.approx(amounts.by_link.sum(axis=(0, 1)))
    assert found.by_class.sum(axis=1) == pytest.approx(found.mass)
    assert again.low == pytest.approx(found.low)
    assert (found.low <= found.high).all()


def test_the_doubt_of_the_factor_of_motorcycles_is_larger_than_all_of_the_streets():
    made = factors(["motorbike"], ["CO2"])
    amounts = of_classes(
        np.full((12, 50, 1), 80.0),
        np.full((12, 50), 20.0),
        np.full(50, 0.2),
        made,
        flow_error=0.1,
        speed_error=0.1,
    )
    city = roll_up(amounts, np.ones((1, 50)), made)
    assert (city.high - city.low)[0, 0] > 20 * city.state_sd[0, 0]
    one = curve("motorbike", "CO2")
    assert city.high[0, 0] / city.mass[0, 0] == pytest.approx(one.high, rel=0.1)


def test_two_plans_with_one_seed_share_the_errors_of_their_factors():
    made = factors(["motorbike"], ["CO2"])
    assert (made.draws(50, 3) == made.draws(50, 3)).all()
    plans = [
        roll_up(
            of_classes(np.full((1, 40, 1), count), np.full((1, 40), 20.0), np.full(40, 0.3), made),
            np.ones((1, 40)),
            made,
            seed=3,
        )
        for count in (100.0, 90.0)
    ]
    assert plans[1].high / plans[0].high == pytest.approx(0.9, rel=0.02)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"flow": FLOW * -1}, "vehicles.bad_flow"),
        ({"flow": FLOW * np.nan}, "vehicles.bad_flow"),
        ({"speed": SPEED * 0}, "vehicles.bad_speed"),
        ({"length": LENGTH * 0}, "vehicles.bad_length"),
        ({"flow": FLOW[..., :2]}, "vehicles.shape"),
        ({"speed": SPEED[..., :2]}, "vehicles.shape"),
    ],
)
def test_what_cannot_be_is_refused_with_its_link(change, code):
    given = {"flow": FLOW, "speed": SPEED, "length": LENGTH} | change
    with pytest.raises(RequestError) as caught:
        emissions(**given, factors=MADE)
    assert caught.value.code == code
    assert caught.value.text("vi") != caught.value.text("en")


def test_shares_and_weights_are_checked_and_a_class_without_a_curve_is_named():
    with pytest.raises(RequestError, match="shares"):
        of_total([[4.0]], [0.5, 0.6], [[20.0]], [0.2], factors(["motorbike", "car"], ["CO2"]))
    with pytest.raises(RequestError, match="weights"):
        roll_up(of_classes(FLOW, SPEED, LENGTH, MADE), np.ones((1, 3)), MADE)
    with pytest.raises(RuleError, match="tricycle"):
        factors(["tricycle"], ["CO2"])


def test_a_wished_source_is_taken_where_it_is_and_named_where_it_is_not():
    made = factors(["motorbike", "bus"], ["CO2"], source="copert")
    assert [row[0].source for row in made.curves] == ["copert", "hbefa"]
    assert [one.vehicle for one in made.others("copert")] == ["bus"]
    with pytest.raises(RuleError, match="hanoi"):
        factors(["motorbike"], ["CO2"], source="hanoi")
