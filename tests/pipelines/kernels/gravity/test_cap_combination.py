"""The combination in rows of a cap, against members combined one by one."""

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.kernels.gravity.cap_combination import (
    CapCombination,
    CapProduct,
    sum_of_squares_series,
)
from pipelines.kernels.gravity.cap_grid import cap_grid
from pipelines.kernels.gravity.cap_transform import CapTransform
from pipelines.kernels.gravity.combination import CombinationError
from pipelines.kernels.mixed_ensembles import MixedEnsemble

FLOAT = NDArray[np.float64]

J_MAX, LOW, WIDTH = 40, 10, 4
GRID = cap_grid(3.0, north=-57.0)


class Inputs(NamedTuple):
    """Two small ensembles and some regions."""

    fields: FLOAT
    mixing: FLOAT
    gravimetry: MixedEnsemble
    area: FLOAT


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    rng = np.random.default_rng(1)
    cells = (GRID.latitude.size, GRID.n_lon)
    common = rng.normal(size=cells)
    fields = (common + 0.3 * rng.normal(size=(5, *cells))) * (GRID.latitude < -63.0)[:, None]
    n = (LOW + 1) * (LOW + 2) // 2
    basis = rng.normal(size=(4, n, 2))
    basis[:, : LOW + 1, 1] = 0.0
    gravimetry = MixedEnsemble(basis, rng.normal(size=(6, 4)))
    return Inputs(fields, rng.normal(size=(8, 5)), gravimetry, rng.uniform(size=(3, *cells)))


def brute(inputs: Inputs, transform: CapTransform, *, mode: str) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return w_G, and pixels and regions of every member (k, l), from analyses of each member."""
    low = np.flatnonzero(transform.layout.degrees() <= LOW)
    c = transform.analyse(np.tensordot(inputs.mixing, inputs.fields, axes=1)).T
    g = np.zeros((6, transform.layout.size), complex)
    g[:, low] = inputs.gravimetry.members() @ np.array([1.0, 1j])
    t = np.array([1.0 - max(0.0, (j - LOW + WIDTH) / WIDTH) ** 2 for j in range(LOW + 1)])
    weight = np.zeros((transform.layout.size, 2))
    for i, (a, b) in enumerate(zip(g.T, c.T, strict=True)):
        j = transform.layout.degrees()[i]
        for part, of in enumerate((np.real, np.imag)):
            v_g, v_c = np.var(of(a)), np.var(of(b))
            if j <= LOW and v_c > 0.0:
                reduced = v_g * t[j] ** 2 if mode == "printed" else v_g / max(t[j], 1e-300)
                weight[i, part] = v_c / (reduced + v_c)
    pairs = [weigh(a, weight) + weigh(b, 1.0 - weight) for a, b in itertools.product(g, c)]
    pixels = transform.synthesise(np.ascontiguousarray(np.stack(pairs, axis=1)))
    return weight[low], pixels, np.einsum("pij,rij->pr", pixels, inputs.area)


def weigh(member: NDArray[np.complex128], weight: FLOAT) -> NDArray[np.complex128]:
    return member.real * weight[:, 0] + 1j * member.imag * weight[:, 1]


def combined(inputs: Inputs, transform: CapTransform, **choices: Any) -> CapProduct:
    on_cap = CapCombination(transform, gravimetry_degree=LOW, width=WIDTH, **choices)
    return on_cap.combine(inputs.fields, inputs.mixing, inputs.gravimetry, inputs.area)


@pytest.mark.parametrize("mode", ["intent", "printed"])
@pytest.mark.parametrize("quadrature", ["cell", "fejer"])
def test_rows_tell_what_all_members_do(inputs, quadrature, mode):
    transform = CapTransform(GRID, J_MAX, quadrature)
    weight, pixels, regions = brute(inputs, transform, mode=mode)

    found = combined(inputs, transform, mode=mode)

    # 1e-12: the kernels of the two degrees differ by the rounding of their quadrature.
    scale = np.abs(pixels).max()
    assert np.abs(found.weights.gravimetry - weight).max() < 1e-12
    assert np.abs(found.mean - pixels.mean(axis=0)).max() < 1e-12 * scale
    assert np.abs(found.variance - pixels.var(axis=0)).max() < 1e-12 * scale**2
    members = found.regions.members().reshape(48, 3)
    assert np.abs(members - regions).max() < 1e-12 * np.abs(regions).max()
    covariance = np.cov(regions, rowvar=False, ddof=0)
    assert np.abs(found.regions.covariance() - covariance).max() < 1e-12 * covariance.max()


def test_inputs_stay_as_they_are(inputs):
    before = [np.copy(array) for array in (inputs.fields, inputs.gravimetry.basis, inputs.area)]
    combined(inputs, CapTransform(GRID, J_MAX))
    for array, copy in zip(
        (inputs.fields, inputs.gravimetry.basis, inputs.area), before, strict=True
    ):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(("orders", "points"), [(1, 40), (5, 40), (10, 41), (18, 40), (21, 40)])
def test_squares_on_few_points_are_squares_on_all(orders, points):
    rng = np.random.default_rng(2)
    waves = rng.normal(size=(7, orders)) + 1j * rng.normal(size=(7, orders))
    waves[:, 0] = waves[:, 0].real
    fields = np.fft.irfft(waves, n=points, norm="forward")

    series = sum_of_squares_series(waves, points)

    found = np.fft.irfft(series, n=points, norm="forward")
    np.testing.assert_allclose(found, np.square(fields).sum(axis=0), rtol=1e-12, atol=1e-12)


def test_a_quadrature_of_two_kernels_is_refused():
    with pytest.raises(CombinationError, match="use 'cell' or 'fejer'"):
        CapCombination(CapTransform(GRID, 20, "exact"), gravimetry_degree=LOW)


def test_gravimetry_beyond_the_transform_is_refused():
    with pytest.raises(CombinationError, match="degree 90, the transform only 40"):
        CapCombination(CapTransform(GRID, J_MAX))


def test_gravimetry_of_another_degree_is_refused(inputs):
    on_cap = CapCombination(CapTransform(GRID, J_MAX), gravimetry_degree=12)
    with pytest.raises(CombinationError, match=r"\(66, 2\), expected \(91, 2\)"):
        on_cap.combine(inputs.fields, inputs.mixing, inputs.gravimetry, inputs.area)


def test_fields_of_another_grid_are_refused(inputs):
    with pytest.raises(CombinationError, match="the cells of the transform"):
        combined(inputs._replace(fields=inputs.fields[:, 1:]), CapTransform(GRID, J_MAX))
