# SPDX-License-Identifier: Apache-2.0
"""The low-rank field: every answer beside the cube that it never makes, on NumPy, a strict array library and sparse maps."""

import array_api_strict
import numpy as np
import pytest
import scipy.sparse

from mangrove.errors import RequestError
from mangrove.gridding import Field

K, T, Z = 4, 50, 7


@pytest.fixture(params=["numpy", "strict", "sparse"])
def made(request):
    """A field and the cube (K, Z, T) that it stands for."""
    rng = np.random.default_rng(5)
    profiles, maps, levels = rng.random((K, T)), rng.random((K, Z)), rng.random(K) * 1e6
    profiles /= profiles.sum(axis=1, keepdims=True)
    maps /= 1.25 * maps.sum(axis=1, keepdims=True)
    maps[1, 2:] = 0
    cube = levels[:, None, None] * maps[:, :, None] * profiles[:, None, :]
    if request.param == "strict":
        return Field(*map(array_api_strict.asarray, (profiles, maps, levels))), cube
    return Field(profiles, scipy.sparse.csr_array(maps) if request.param == "sparse" else maps, levels), cube


def close(found, wanted):
    return np.allclose(np.asarray(found), wanted, rtol=1e-12, atol=1e-9)


def test_every_view_is_a_sum_of_the_cube(made):
    field, cube = made
    some = [0, 2]
    assert close(field.zone(3), cube[:, 3].sum(axis=0))
    assert close(field.zone(3, some), cube[some, 3].sum(axis=0))
    assert close(field.series(), cube.sum(axis=(0, 1)))
    assert close(field.series([1]), cube[1].sum(axis=0))
    assert close(field.at(11), cube[:, :, 11].sum(axis=0))
    assert close(field.at(11, some), cube[some][:, :, 11].sum(axis=0))
    assert close(field.over(5, 31), cube[:, :, 5:31].sum(axis=(0, 2)))
    assert close(field.over(5, 31, some), cube[some][:, :, 5:31].sum(axis=(0, 2)))
    assert close(
        [field.total(), field.total(5, 31), field.total(0, 3, [2])],
        [cube.sum(), cube[:, :, 5:31].sum(), cube[2, :, :3].sum()],
    )


def test_zones_classes_and_spans_add_up_to_the_total(made):
    field, cube = made
    total = field.total()
    assert sum(float(np.asarray(field.zone(z)).sum()) for z in range(Z)) == pytest.approx(total, rel=1e-12)
    assert sum(field.total(classes=[k]) for k in range(K)) == pytest.approx(total, rel=1e-12)
    edges = [0, 1, 24, 25, T]
    assert sum(float(np.asarray(piece).sum()) for piece in field.maps_of(edges)) == pytest.approx(
        total, rel=1e-12
    )
    assert total == pytest.approx(0.8 * cube.sum() / 0.8, rel=1e-12)


def test_parts_and_new_levels_are_fields_of_their_own(made):
    field, cube = made
    assert close(field.only([1, 3]).series(), cube[[1, 3]].sum(axis=(0, 1)))
    assert close(field.scaled(2 * field.levels).at(4), 2 * cube[:, :, 4].sum(axis=0))
    assert (field.steps, field.zones) == (T, Z)


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(RequestError, match=r"\(3, 5\)"):
        Field(np.ones((3, 5)), np.ones((2, 4)), np.ones(3))
