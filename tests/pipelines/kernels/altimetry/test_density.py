"""Density models: the basis and its mixing give what writing out every member gives."""

import numpy as np
import pytest

from pipelines.kernels.altimetry import density
from pipelines.kernels.altimetry.density import DensityError

RNG = np.random.default_rng(0)
SHAPE = (28, 6, 7)


def literal_members(h: np.ndarray, rho: np.ndarray, h_s: np.ndarray, smb: np.ndarray) -> np.ndarray:
    """Appendix A and equation A1, member by member."""
    models = [910.0 * h, 650.0 * h, rho * h, 910.0 * (h - h_s) + smb]
    return np.concatenate(models)


def test_112_members_span_57_fields_and_are_what_the_paper_writes() -> None:
    h, h_s, smb = RNG.normal(size=SHAPE), RNG.normal(size=SHAPE[1:]), RNG.normal(size=SHAPE[1:])
    rho = RNG.choice([300.0, 910.0], SHAPE[1:])
    constant = density.surface_process_constant(h_s, smb)
    names = density.field_names(28, density.DENSITY_MODELS)

    basis = np.stack(
        [
            density.basis_field(name, h[int(name.partition(":")[2] or 0)], rho, constant)
            for name in names
        ]
    )
    mixed = np.tensordot(density.mixing_matrix(28), basis, axes=1)

    expected = literal_members(h, rho, h_s, smb)
    np.testing.assert_allclose(mixed, expected, rtol=1e-13, atol=1e-10)
    assert np.linalg.matrix_rank(expected.reshape(112, -1)) == min(57, 42)
    assert np.linalg.matrix_rank(density.mixing_matrix(28)) == 57


@pytest.mark.parametrize(
    ("models", "fields"),
    [(("ice",), 5), (("fast_or_lowering",), 5), (("ice", "surface_processes"), 6)],
)
def test_models_that_are_left_out_leave_out_their_fields(
    models: tuple[str, ...], fields: int
) -> None:
    assert density.mixing_matrix(5, models).shape == (5 * len(models), fields)
    assert len(density.field_names(5, models)) == fields


def test_what_is_not_known_is_not_snow() -> None:
    found = density.fast_or_lowering_density(
        np.array([np.nan, 10.0, 60.0]), np.array([0.0, np.nan, 0.0]), fast=50.0, lowering=0.3
    )

    assert np.isnan(found[:2]).all()
    assert found[2] == 910.0


def test_wrong_models_and_densities_are_refused() -> None:
    with pytest.raises(DensityError, match="each model once, of ice, mean"):
        density.mixing_matrix(3, ("ice", "ice"))
    with pytest.raises(DensityError, match="found 0 rates"):
        density.mixing_matrix(0)
    with pytest.raises(DensityError, match="expected thresholds of zero or more"):
        density.fast_or_lowering_density(np.ones(1), np.ones(1), fast=-1.0, lowering=0.3)
