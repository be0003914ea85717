"""Terms of the budget that are known by region, and how they make the error of the balance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.budget.loadings import (
    CORRELATED,
    RANDOM,
    SYSTEMATIC,
    Loadings,
    Structure,
    UncertaintyError,
    total,
)
from pipelines.kernels.budget.uncertainty import (
    SMB_READINGS,
    TERMS,
    balance_terms,
    density_loadings,
    regional_loadings,
    relative_loadings,
    sigma_loadings,
    with_replacement,
)

ALL = np.ones((1, 3))
SMB = np.array([[100.0, 50.0, -10.0], [120.0, 40.0, -5.0]])


@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_parts_of_a_regional_error_are_shared_as_they_say(systematic, seed):
    effect = np.random.default_rng(seed).normal(size=(3, 4))
    parts = Structure.of_variances(
        systematic=systematic, correlated=(1 - systematic) / 2, random=(1 - systematic) / 2
    )
    found = regional_loadings(effect, parts).covariance()

    region = np.eye(4)[None, :, None, :]
    same = region * np.eye(3)[:, None, :, None]
    shared = parts.systematic**2 + parts.correlated**2 * region + parts.random**2 * same
    expected = effect[:, :, None, None] * effect * shared
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_both_readings_of_twenty_percent_of_the_papers_snow():
    """Regions of table 2: 1042, 596, 226. A model's bias: 373 Gt/yr; three regions apart: 244."""
    smb = np.array([[1042.0, 596.0, 226.0]])
    sigma = {
        name: relative_loadings(smb, structure, relative=0.2).grouped(ALL).sigma().item()
        for name, structure in SMB_READINGS.items()
    }

    assert sigma["model_bias"] == pytest.approx(0.2 * 1864.0)
    assert sigma["independent_regions"] == pytest.approx(0.2 * np.linalg.norm(smb))


def test_a_models_bias_takes_the_sign_of_the_snow():
    found = relative_loadings(SMB, SYSTEMATIC, relative=0.2).grouped(ALL).sigma()[:, 0]

    np.testing.assert_allclose(found, 0.2 * SMB.sum(axis=1))


def test_epochs_share_what_years_of_one_altimeter_share():
    found = relative_loadings(SMB, CORRELATED, relative=0.4, epoch=[0, 1]).covariance()

    np.testing.assert_array_equal(found[0, :, 1, :], 0.0)
    np.testing.assert_allclose(np.diagonal(found[0, :, 0, :]), (0.4 * SMB[0]) ** 2)


def test_a_hindcast_errs_in_extended_years_only():
    sigma = np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]])
    found = sigma_loadings(sigma, RANDOM)

    np.testing.assert_array_equal(found.sigma(), sigma)
    assert found.grouped(ALL).sigma()[1, 0] == 5.0


def test_density_is_half_a_percent_of_all_discharge_at_once():
    """10 Gt/yr of the paper's 1864, where its equation 7 has next to none."""
    flux = np.array([[1000.0, 700.0, 164.0]])
    found = density_loadings(flux, density=917.0, sigma_density=5.0).grouped(ALL)

    assert found.sigma().item() == pytest.approx(1864.0 * 5.0 / 917.0)
    assert found.sigma().item() == pytest.approx(10.16, abs=0.01)
    thinning = density_loadings(
        flux, np.array([[-10.0, 0.0, 0.0]]), density=917.0, sigma_density=5.0
    )
    assert thinning.sigma()[0, 0] == pytest.approx(1010.0 * 5.0 / 917.0)


def test_errors_of_the_balance_are_those_of_snow_and_discharge():
    smb = relative_loadings(SMB, CORRELATED, relative=0.2)
    discharge = {
        "density": density_loadings(SMB, density=917.0, sigma_density=5.0),
        "sliver_smb": relative_loadings(0.1 * SMB, CORRELATED, relative=0.2),
    }
    melt = relative_loadings(np.ones((2, 3)), SYSTEMATIC, relative=0.3)

    terms = balance_terms(discharge, smb, melt)

    assert tuple(terms) == tuple(name for name in TERMS if name in terms)
    np.testing.assert_array_equal(terms["density"].sigma(), discharge["density"].sigma())
    expected = (
        smb.variance() + melt.variance() + sum(term.variance() for term in discharge.values())
    )
    np.testing.assert_allclose(total(terms).variance(), expected)


def test_snow_of_one_model_on_the_sliver_cancels_in_the_balance():
    """All the snow of a region whose gate is at its divide: none of its error is left."""
    smb = relative_loadings(SMB, SYSTEMATIC, relative=0.2)
    terms = balance_terms({"sliver_smb": smb}, smb, one_model=True)

    np.testing.assert_array_equal(total(terms).sigma(), 0.0)
    apart = balance_terms({"sliver_smb": smb}, smb)
    np.testing.assert_allclose(total(apart).sigma(), np.sqrt(2.0) * smb.sigma())


def test_melt_of_the_sliver_and_of_the_bed_are_one_term():
    melt = relative_loadings(SMB, RANDOM, relative=0.1)
    terms = balance_terms({"basal_melt": melt}, Loadings.none(2, 3), melt)

    np.testing.assert_allclose(terms["basal_melt"].variance(), 2.0 * melt.variance())


def test_a_region_from_elsewhere_has_only_the_error_it_comes_with():
    terms = {"surface_mass_balance": relative_loadings(SMB, SYSTEMATIC, relative=0.2)}
    found = with_replacement(terms, np.array([False, True, False]), np.array([0.0, 13.0, 9.0]))

    np.testing.assert_allclose(total(found).sigma()[:, 1], 13.0)
    np.testing.assert_allclose(total(found).sigma()[:, [0, 2]], 0.2 * np.abs(SMB[:, [0, 2]]))
    mean = total(found).weighted([[0.5, 0.5]])
    assert mean.sigma()[0, 1] == pytest.approx(13.0)  # one error for all years


def test_what_is_not_known_stays_unknown():
    smb = SMB.copy()
    smb[0, 1] = np.nan
    found = relative_loadings(smb, SYSTEMATIC, relative=0.2).sigma()

    assert np.argwhere(np.isnan(found)).tolist() == [[0, 1]]


def test_errors_that_are_none_are_refused():
    for relative in (-0.2, np.nan, np.inf):
        with pytest.raises(UncertaintyError, match="relative error"):
            relative_loadings(SMB, RANDOM, relative=relative)
    with pytest.raises(UncertaintyError, match="sigma of -10 kg"):
        sigma_loadings(SMB, RANDOM)
    with pytest.raises(UncertaintyError, match="density is 0"):
        density_loadings(SMB, density=0.0, sigma_density=5.0)
