"""Layouts: round trips through the libraries whose layouts they are."""

import ducc0
import numpy as np
import pyshtools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.gravity import harmonics
from pipelines.kernels.gravity.layouts import (
    LayoutError,
    PackedLayout,
    from_ducc0,
    pack,
    to_ducc0,
    unpack,
)


def house(j_max: int, *leading: int, seed: int = 1) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((*leading, 2, j_max + 1, j_max + 1))
    values *= np.tri(j_max + 1)
    values[..., 1, :, 0] = 0.0
    return values


@given(j_max=st.integers(0, 12), leading=st.sampled_from([(), (1,), (3,), (2, 3)]))
def test_packing_loses_nothing(j_max, leading):
    coefficients = house(j_max, *leading)
    packed = pack(coefficients)
    assert packed.shape == ((j_max + 1) * (j_max + 2) // 2, *leading)
    np.testing.assert_array_equal(unpack(packed, j_max=j_max), coefficients)
    np.testing.assert_array_equal(from_ducc0(to_ducc0(packed)).shape, packed.shape)
    np.testing.assert_allclose(from_ducc0(to_ducc0(packed)), packed, rtol=1e-15)


def test_orders_follow_each_other_with_degrees_within():
    layout = PackedLayout.whole(2)
    assert layout.order_of_each().tolist() == [0, 0, 0, 1, 1, 2]
    assert layout.degrees().tolist() == [0, 1, 2, 1, 2, 2]
    assert [layout.order_slice(m) for m in range(3)] == [slice(0, 3), slice(3, 5), slice(5, 6)]


@given(j_max=st.integers(0, 30), data=st.data())
def test_some_orders_are_a_part_of_the_whole(j_max, data):
    start = data.draw(st.integers(0, j_max))
    stop = data.draw(st.integers(start + 1, j_max + 1))
    whole, part = PackedLayout.whole(j_max), PackedLayout(j_max, range(start, stop))
    coefficients = house(j_max, 2)
    packed = pack(coefficients)
    some = packed[whole.order_slice(start).start : whole.order_slice(stop - 1).stop]
    assert part.size == len(some)
    for m in part.orders:
        np.testing.assert_array_equal(packed[whole.order_slice(m)], some[part.order_slice(m)])
    found = unpack(some, j_max=j_max, orders=part.orders)
    np.testing.assert_array_equal(found, coefficients[..., start:stop])


def test_pyshtools_has_the_house_layout():
    """Each of its harmonics alone, evaluated by it, is ours: same norm, phase, parts and axes."""
    lat, lon = np.array([-71.0, 12.0, 50.0]), np.array([3.0, 100.0, 255.0])
    for part, j, m in [(0, 0, 0), (0, 3, 0), (0, 4, 3), (1, 4, 3), (0, 5, 5), (1, 5, 2)]:
        one = np.zeros((2, 6, 6))
        one[part, j, m] = 1.0
        theirs = pyshtools.SHCoeffs.from_array(one, normalization="4pi", csphase=1)
        values = theirs.expand(lat=lat, lon=lon)
        np.testing.assert_allclose(harmonics.synthesise_at(one, lat, lon), values, atol=1e-14)


def test_ducc0_evaluates_what_we_give_it():
    j_max, n_lon = 20, 50
    coefficients, latitude = house(j_max, 3), np.array([-80.0, -3.0, 44.0])
    peer = ducc0.sht.synthesis(
        alm=to_ducc0(pack(coefficients))[:, None],
        theta=np.radians(90.0 - latitude),
        nphi=np.full(3, n_lon, dtype=np.uint64),
        phi0=np.zeros(3),
        ringstart=np.arange(3, dtype=np.uint64) * n_lon,
        spin=0,
        lmax=j_max,
    )
    ours = harmonics.synthesise(coefficients, latitude, np.arange(n_lon) * 360.0 / n_lon)
    np.testing.assert_allclose(ours, peer.reshape(3, 3, n_lon), atol=1e-12)


def test_coefficients_of_ducc0_come_back_from_its_own_analysis():
    grid = harmonics.gauss_legendre(24, n_lon=48)
    coefficients = house(23)
    field = harmonics.synthesise_on(coefficients, grid)
    alm = ducc0.sht.analysis_2d(map=field[None], spin=0, lmax=23, geometry="GL")
    np.testing.assert_allclose(unpack(from_ducc0(alm), j_max=23)[0], coefficients, atol=1e-12)


def test_healpys_index_is_ours():
    """healpy's getidx: m (2 J + 1 − m) / 2 + j."""
    layout = PackedLayout.whole(9)
    j, m = layout.degrees(), layout.order_of_each()
    np.testing.assert_array_equal(m * (2 * 9 + 1 - m) // 2 + j, np.arange(layout.size))


def test_other_shapes_are_refused():
    with pytest.raises(LayoutError, match=r"expected \(\.\.\., 2, J \+ 1, J \+ 1\)"):
        pack(np.zeros((3, 4, 4)))
    with pytest.raises(LayoutError, match="found 5 packed coefficients, expected 6"):
        unpack(np.zeros(5, complex), j_max=2)
    with pytest.raises(LayoutError, match="found 5 coefficients"):
        to_ducc0(np.zeros(5, complex))
