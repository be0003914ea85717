"""Density models: the basis and its mixing give what writing out every member gives."""

from itertools import combinations

import numpy as np
import pytest

from pipelines.kernels.altimetry import density
from pipelines.kernels.altimetry.density import DensityError

RNG = np.random.default_rng(0)
SHAPE = (28, 9, 11)


def literal_member(h: float, rho: float, h_s: float, smb: float, model: int) -> float:
    """Appendix A and equation A1, one pixel of one member."""
    return (910.0 * h, 650.0 * h, rho * h, 910.0 * (h - h_s) + smb)[model]


def fields() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    h, h_s, smb = RNG.normal(size=SHAPE), RNG.normal(size=SHAPE[1:]), RNG.normal(size=SHAPE[1:])
    return h, RNG.choice([300.0, 910.0], SHAPE[1:]), h_s, smb


def mixed(
    h: np.ndarray, rho: np.ndarray, h_s: np.ndarray, smb: np.ndarray, models: tuple[str, ...]
) -> np.ndarray:
    constant = density.surface_process_constant(h_s, smb)
    basis = np.stack(list(density.basis_fields(h, rho, constant, models=models)))
    return np.tensordot(density.mixing_matrix(len(h), models), basis, axes=1)


def test_112_members_are_what_the_paper_writes_pixel_by_pixel() -> None:
    h, rho, h_s, smb = fields()

    found = density.expand(h, rho, h_s, smb)

    assert found.shape == (112, 9, 11)
    names = density.member_names(28)
    for row, place in [(0, (0, 0)), (27, (8, 3)), (28, (1, 1)), (60, (2, 10)), (111, (8, 10))]:
        i, model = names[row]
        number = density.DENSITY_MODELS.index(model)
        expected = literal_member(h[i][place], rho[place], h_s[place], smb[place], number)
        assert found[row][place] == expected
    assert names[60] == (4, "fast_or_lowering")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_basis_and_mixing_are_the_members_written_out(count: int) -> None:
    for models in combinations(density.DENSITY_MODELS, count):
        h, rho, h_s, smb = fields()
        expected = density.expand(h, rho, h_s, smb, models=models)

        found = mixed(h, rho, h_s, smb, models)

        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_112_members_span_57_fields_no_more_and_no_less() -> None:
    h, rho, h_s, smb = fields()

    # 99 pixels, so that neither members nor pixels limit the rank.
    assert np.linalg.matrix_rank(density.expand(h, rho, h_s, smb).reshape(112, -1)) == 57
    assert np.linalg.matrix_rank(density.mixing_matrix(28)) == 57
    assert len(density.field_names(28, density.DENSITY_MODELS)) == 57


def test_density_may_be_judged_of_each_member_by_itself() -> None:
    h, _, h_s, smb = fields()
    speed = RNG.uniform(0.0, 60.0, SHAPE[1:])

    rho = density.fast_or_lowering_density(speed, h, fast=50.0, lowering=0.3, snow=600.0)

    for i in range(28):
        alone = density.fast_or_lowering_density(speed, h[i], fast=50.0, lowering=0.3, snow=600.0)
        np.testing.assert_array_equal(rho[i], alone)
    expected = density.expand(h, rho, h_s, smb)
    np.testing.assert_allclose(
        mixed(h, rho, h_s, smb, density.DENSITY_MODELS), expected, rtol=0, atol=1e-10
    )
    assert np.linalg.matrix_rank(expected.reshape(112, -1)) == 57


@pytest.mark.parametrize("snow", [300.0, 600.0])
def test_thresholds_count_as_fast_and_thickening_never_does(snow: float) -> None:
    speed, rate = np.array([50.0, 49.9, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, -0.3, -0.29, 3.0])

    found = density.fast_or_lowering_density(speed, rate, fast=50.0, lowering=0.3, snow=snow)

    np.testing.assert_array_equal(found, [910.0, snow, 910.0, snow, snow])


def test_what_is_missing_stays_missing_in_every_member() -> None:
    h, rho, h_s, smb = fields()
    h[3, 0, 0], rho[1, 1], smb[2, 2] = np.nan, np.nan, np.nan

    found = mixed(h, rho, h_s, smb, density.DENSITY_MODELS)
    expected = density.expand(h, rho, h_s, smb)

    # Where a basis field is missing the whole mix is: NaN · 0 is NaN, and never a number.
    assert np.isnan(found[np.isnan(expected)]).all()
    names = density.member_names(28)
    for row, (i, model) in enumerate(names):
        assert np.isnan(expected[row, 0, 0]) == (i == 3)
        assert np.isnan(expected[row, 1, 1]) == (model == "fast_or_lowering")
        assert np.isnan(expected[row, 2, 2]) == (model == "surface_processes")


def test_basis_fields_come_one_at_a_time() -> None:
    class Stored:
        """Counts what is read of it."""

        shape = SHAPE
        read = 0

        def __len__(self) -> int:
            return 28

        def __getitem__(self, i: int) -> np.ndarray:
            self.read += 1
            return np.ones(SHAPE[1:])

    stored = Stored()
    found = density.basis_fields(stored, models=("ice", "mean"))  # type: ignore[arg-type]

    next(found)
    next(found)

    assert stored.read == 2


def test_missing_density_fields_are_refused_with_what_to_change() -> None:
    h, rho, h_s, smb = fields()
    constant = density.surface_process_constant(h_s, smb)
    with pytest.raises(
        DensityError,
        match=r"'fast_or_lowering' needs the density map .*inputs.velocity.* missing; .* "
        r"altimetry.density.models \[ice, mean, surface_processes\]",
    ):
        density.basis_fields(h, constant=constant)
    with pytest.raises(
        DensityError,
        match=r"'surface_processes' needs trends of firn and SMB.*inputs.surface_processes.*"
        r"models \[ice, mean, fast_or_lowering\]",
    ):
        density.basis_fields(h, rho)
    with pytest.raises(DensityError, match="'surface_processes' needs"):
        density.expand(h, rho, h_s)
    with pytest.raises(DensityError, match=r"map has shape \(3,\); expected \(9, 11\) or \(28"):
        density.basis_fields(h, np.ones(3), constant)
    with pytest.raises(DensityError, match=r"equation A1 has shape \(2,\); expected \(9, 11\)"):
        density.basis_fields(h, rho, np.ones(2))


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
