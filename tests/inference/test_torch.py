"""Array code on PyTorch gives what it gives on NumPy; array_api_strict's second device stands in for a GPU: nothing may be made elsewhere."""

import array_api_strict
import numpy as np
import pytest
from tests.inference.test_flow_tracing import network
from tests.inference.test_gaussian import problem

from mangrove.gridding import Field
from mangrove.inference.covariance import Dense, Prior, Scaled, Separable, Stacked, exponential, random_walk
from mangrove.inference.flow_tracing import consumed, origins, trace
from mangrove.inference.gaussian import Noise, posterior
from mangrove.inference.plume import Winds, footprint, footprint_array

CLOSE = {"float64": {"rtol": 1e-9, "atol": 1e-12}, "float32": {"rtol": 3e-3, "atol": 5e-4}}


class Torch:
    """Tensors of PyTorch on the processor."""

    def __init__(self, dtype):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed: it is no dependency")
        self.asarray = lambda array: torch.asarray(array, dtype=getattr(torch, dtype))
        self.numpy = lambda tensor: tensor.numpy()
        self.kind = torch.Tensor


class Elsewhere:
    """Arrays on another device than the one that is used when none is said."""

    def __init__(self, dtype):
        device = array_api_strict.Device("device1")
        kind = getattr(array_api_strict, dtype)
        self.asarray = lambda array: array_api_strict.asarray(array, dtype=kind, device=device)
        self.numpy = lambda array: np.asarray(array.to_device(array_api_strict.Device("CPU_DEVICE")))
        self.kind = type(self.asarray(0.0))


@pytest.fixture(params=[Torch, Elsewhere])
def library(request):
    return request.param


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("form", ["observation", "information"])
def test_the_estimate_is_the_same(library, form, dtype):
    move, close = library(dtype), CLOSE[dtype]
    H, y, noise, prior = problem()  # noqa: N806 - the letter of the equations
    groups, scales = np.ones((len(y), 1)), np.array([0.4])
    here = posterior(H, y, Noise(noise, groups, scales), prior, form=form)
    parts = [move.asarray(part) for part in (prior.mean, prior.factors, prior.scales, prior.own)]
    there = posterior(
        move.asarray(H),
        move.asarray(y),
        Noise(*(move.asarray(part) for part in (noise, groups, scales))),
        Prior(*parts),
        form=form,
    )
    assert isinstance(there.mean, move.kind)
    for name in ("mean", "whitened", "residual", "resolved"):
        np.testing.assert_allclose(move.numpy(getattr(there, name)), getattr(here, name), **close)
    for name in ("sd", "covariance", "averaging_kernel"):
        np.testing.assert_allclose(move.numpy(getattr(there, name)()), getattr(here, name)(), **close)
    for name in ("log_evidence", "chi2", "dofs"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=close["rtol"])
    ours, theirs = here.leave_out([0] * 4 + [1] * 5), there.leave_out([0] * 4 + [1] * 5)
    np.testing.assert_allclose(move.numpy(theirs[1].misfit), ours[1].misfit, **close)
    np.testing.assert_allclose(move.numpy(theirs[1].sd), ours[1].sd, **close)
    np.testing.assert_allclose(move.numpy(there.samples(5, 3)), here.samples(5, 3), **close)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_priors_multiply_the_same(library, dtype):
    move = library(dtype)
    random = np.random.default_rng(0)

    def parts(array):
        time, north = (exponential(array(np.arange(n)), 2.0) for n in (3, 4))
        cells = Separable(array(np.zeros(12)), array(np.linspace(0.5, 2.0, 12)), (time, north))
        alone = Prior.independent(array(np.ones(3)), array(np.full(3, 0.3)))
        walk = Dense(array(np.zeros(5)), random_walk(5, 2.0, 0.5, array(np.zeros(5))))
        dense = Dense.of(array(np.zeros(2)), array(np.array([[2.0, 0.5], [0.5, 1.0]])))
        whole = Stacked((cells, alone, walk, dense))
        return Scaled(whole, array(np.linspace(1.0, 2.0, whole.columns)))

    here, there = parts(lambda a: np.asarray(a, dtype=float)), parts(move.asarray)
    rows, columns = random.normal(size=(4, 22)), random.normal(size=(here.columns, 3))
    np.testing.assert_allclose(move.numpy(there.left(move.asarray(rows))), here.left(rows), **CLOSE[dtype])
    np.testing.assert_allclose(
        move.numpy(there.right(move.asarray(columns))), here.right(columns), **CLOSE[dtype]
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_field_answers_the_same(library, dtype):
    move, close = library(dtype), CLOSE[dtype]
    random = np.random.default_rng(1)
    arrays = random.random((3, 24)) / 24, random.random((3, 8)), np.array([10.0, 2.0, 5.0])
    here, there = Field(*arrays), Field(*(move.asarray(one) for one in arrays))
    np.testing.assert_allclose(move.numpy(there.zone(2)), here.zone(2), **close)
    np.testing.assert_allclose(move.numpy(there.zone(2, [0, 2])), here.zone(2, [0, 2]), **close)
    np.testing.assert_allclose(move.numpy(there.at(5)), here.at(5), **close)
    np.testing.assert_allclose(move.numpy(there.over(3, 20)), here.over(3, 20), **close)
    np.testing.assert_allclose(move.numpy(there.series()), here.series(), **close)
    assert there.total(2, 9) == pytest.approx(here.total(2, 9), rel=close["rtol"])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", [0.0, 500.0])
def test_footprints_are_those_of_the_compiled_kernel(library, size, dtype):
    move = library(dtype)
    random = np.random.default_rng(2)
    at = np.column_stack([random.uniform(0, 5000, (3, 2)), np.full(3, 10.0)])
    of = np.column_stack([random.uniform(0, 5000, (20, 2)), np.full(20, 5.0)])
    winds = Winds.coming_from(
        [2.0, 5.0, 1.5, 3.0], [10.0, 120.0, 200.0, 300.0], mixing=[300.0, np.inf, 800.0, 8.0]
    )
    here = footprint(at, of, winds, cell_size=size)
    there = move.numpy(
        footprint_array(*(move.asarray(one) for one in (at, of, winds.rows())), cell_size=size)
    )
    scale = {"rtol": 1e-8, "atol": 1e-15} if dtype == "float64" else {"rtol": 5e-3, "atol": 1e-9}
    np.testing.assert_allclose(there, here, **scale)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_electricity_is_traced_the_same(library, dtype):
    move, close = library(dtype), CLOSE[dtype]
    arrays = network(hours=5)
    arrays[0][3, 2] = np.nan
    moved = [move.asarray(one) for one in arrays]
    np.testing.assert_allclose(move.numpy(trace(*moved)), trace(*arrays), **close)
    np.testing.assert_allclose(
        move.numpy(origins(moved[0], moved[2])), origins(arrays[0], arrays[2]), **close
    )
    np.testing.assert_allclose(
        move.numpy(consumed(moved[0], moved[2])), consumed(arrays[0], arrays[2]), **close
    )
