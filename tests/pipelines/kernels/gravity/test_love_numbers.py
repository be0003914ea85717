"""Love numbers: frames of degree 1, Wahr's factors, and the fingerprint of a set."""

import hashlib
import struct
import warnings
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.kernels.constants import MEAN_DENSITY, MEAN_RADIUS
from pipelines.kernels.gravity.love_numbers import (
    LoveNumberError,
    digest,
    in_frame,
    stokes_factors,
    surface_mass_factors,
)

# Han and Wahr (1995), degrees 0 to 3, as gravity-toolkit ships them.
H = np.array([-0.13273, -0.28796165358324, -0.99015777857079, -1.0499804506108])
L = np.array([0.0, 0.10283235526008, 0.038882296795977, 0.069842389427609])
K = np.array([0.0, 0.0, -0.30252982142510, -0.19413374466744])


@pytest.fixture(scope="module")
def gravity_toolkit() -> ModuleType:
    """Import the oracle, which warns of optional packages that it goes without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        import gravity_toolkit
    return gravity_toolkit


def test_the_frame_of_figure_of_han_and_wahr_has_k1_of_0_02743():
    assert in_frame(H, L, K, frame="CF")[1] == pytest.approx(0.02743, abs=5e-6)


@pytest.mark.parametrize(("frame", "expected"), [("CE", 0.0), ("CM", -1.0)])
def test_the_frames_of_mass_have_exact_k1(frame, expected):
    assert in_frame(H, L, K, frame=frame)[1] == expected


@pytest.mark.parametrize("frame", ["CF", "CE", "CM"])
def test_frames_agree_with_gravity_toolkit(gravity_toolkit, frame):
    h, k, shida = gravity_toolkit.load_love_numbers(
        60, LOVE_NUMBERS=0, REFERENCE="CE", FORMAT="tuple"
    )
    _, expected, _ = gravity_toolkit.load_love_numbers(
        60, LOVE_NUMBERS=0, REFERENCE=frame, FORMAT="tuple"
    )
    np.testing.assert_allclose(in_frame(h, shida, k, frame=frame), expected, rtol=1e-14)


def test_an_explicit_k1_wins_over_the_frame():
    assert in_frame(H, L, K, frame="CF", k_1=0.021)[1] == 0.021


def test_a_change_of_frame_leaves_the_input_and_other_degrees_alone():
    before = K.copy()
    replaced = in_frame(H, L, K, frame="CF")
    np.testing.assert_array_equal(K, before)
    np.testing.assert_array_equal(replaced[[0, 2, 3]], K[[0, 2, 3]])


def test_factors_agree_with_gravity_toolkit_to_degree_696(gravity_toolkit):
    h, k, shida = gravity_toolkit.load_love_numbers(
        696, LOVE_NUMBERS=0, REFERENCE="CF", FORMAT="tuple"
    )
    expected = gravity_toolkit.units(lmax=696).harmonic(h, k, shida).mmwe

    # One rounding in each of six operations on both sides.
    np.testing.assert_allclose(surface_mass_factors(k, j_max=696), expected, rtol=1e-12)


def test_a_rigid_earth_turns_a_unit_geoid_of_degree_zero_into_a_third_of_radius_times_density():
    assert surface_mass_factors(np.zeros(1), j_max=0)[0] == MEAN_RADIUS * MEAN_DENSITY / 3.0


@given(
    hnp.arrays(np.float64, st.integers(2, 60), elements=st.floats(-0.9, 0.5)),
)
def test_there_and_back_is_nothing(k):
    j_max = k.size - 1
    product = stokes_factors(k, j_max=j_max) * surface_mass_factors(k, j_max=j_max)
    np.testing.assert_allclose(product, 1.0, rtol=4e-16)


@given(st.integers(1, 3))
def test_a_shorter_expansion_uses_the_same_numbers(j_max):
    np.testing.assert_array_equal(
        surface_mass_factors(K, j_max=j_max), surface_mass_factors(K, j_max=3)[: j_max + 1]
    )


def test_a_set_that_ends_early_is_refused_with_both_degrees():
    with pytest.raises(LoveNumberError, match="end at degree 3, but degree 60"):
        surface_mass_factors(K, j_max=60)


def test_degree_one_in_the_frame_of_all_mass_determines_no_load():
    with pytest.raises(LoveNumberError, match="degree 1 of the gravity field does not"):
        surface_mass_factors(in_frame(H, L, K, frame="CM"), j_max=3)


def test_a_missing_love_number_is_refused():
    with pytest.raises(LoveNumberError, match="k_2 is nan"):
        surface_mass_factors(np.array([0.0, 0.0, np.nan]), j_max=2)


def test_a_set_whose_columns_are_swapped_is_refused():
    with pytest.raises(LoveNumberError, match="order of the columns"):
        in_frame(H, K, L, frame="CF")


def test_an_unknown_frame_is_refused():
    with pytest.raises(LoveNumberError, match="CE, CF, CM"):
        in_frame(H, L, K, frame="CG")


def test_vectors_of_different_lengths_are_refused():
    with pytest.raises(LoveNumberError, match=r"\(4,\), \(4,\), \(3,\)"):
        digest(H, L, K[:3])


def test_the_fingerprint_is_that_of_the_packed_numbers():
    packed = struct.pack("<12d", *H, *L, *K)
    assert digest(H, L, K) == hashlib.sha256(packed).hexdigest()


def test_the_fingerprint_ignores_byte_order_and_the_sign_of_zero():
    swapped = [array.astype(">f8") for array in (H, L, np.where(K == 0, -0.0, K))]
    assert digest(*swapped) == digest(H, L, K)


@given(st.sampled_from("hlk"), st.integers(2, 3))
def test_the_fingerprint_tells_any_change(which, degree):
    changed = {"h": H.copy(), "l": L.copy(), "k": K.copy()}
    changed[which][degree] = np.nextafter(changed[which][degree], 1.0)
    assert digest(changed["h"], changed["l"], changed["k"]) != digest(H, L, K)


@pytest.mark.realdata
def test_published_sets_differ_by_at_most_half_a_percent(data_root, gravity_toolkit):
    # science/spectral.md 2.1: up to 0.41 % in 1 + k.
    folder = data_root / "gravity" / "love_numbers"
    rows = np.loadtxt(folder / "PREM-LLNs-truncated.dat", skiprows=1)
    wang = np.concatenate([[0.0], rows[:96, 3]])
    _, han, _ = gravity_toolkit.load_love_numbers(
        96, LOVE_NUMBERS=0, REFERENCE="CE", FORMAT="tuple"
    )
    ratio = surface_mass_factors(wang, j_max=96) / surface_mass_factors(han, j_max=96)
    assert np.abs(ratio - 1.0).max() < 5e-3
