"""Any one member of a combination, lazily: the same as written out."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pyproj
import pytest
import zarr
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.combination_members import MemberError, Members, open_members
from pipelines.flows.combination_spectra import Sources

from .conftest import (
    RESULT_DEGREE,
    Products,
    labels,
    opened,
)
from .written_out import COLUMNS, PAIRS, ROWS, Ensembles, close, harmonics_on_map

FLOAT = NDArray[np.float64]


@pytest.fixture(scope="module")
def ensembles(products: Products) -> Ensembles:
    return Ensembles.of(products)


@pytest.fixture(scope="module")
def product(products: Products) -> zarr.Group:
    return opened(products.combination)


@pytest.fixture(scope="module")
def members(products: Products) -> Members:
    return open_members(str(products.combination))


def test_there_are_as_many_members_as_pairs_and_each_has_its_labels(members: Members) -> None:
    assert members.shape == PAIRS
    assert members.gravimetry[:2] == ("0:GIA.NUNAT", "0:GIA.WEAKER")
    one = members.coefficients(3, -1)
    assert str(one.gravimetry_member.values) == "1:GIA.WEAKER"
    assert (
        str(one.altimetry_member.values)
        == labels(opened(Path(members.sources.altimetry.address)), "member")[-1]
    )


@pytest.mark.parametrize(("k", "l"), [(0, 0), (7, 40), (-1, -1), (23, 55)])
def test_coefficients_of_any_member_are_those_of_equation_5(
    members: Members,
    ensembles: Ensembles,
    k: int,
    l: int,  # noqa: E741
) -> None:
    weight = ensembles.weight()

    found = members.coefficients(k, l)

    assert found.dims == ("part", "degree", "order")
    expected = weight * ensembles.gravimetry[k] + (1.0 - weight) * ensembles.altimetry[l]
    close(found.compute().values, expected)


def test_the_map_of_any_member_is_its_coefficients_at_its_cells(
    members: Members, ensembles: Ensembles, products: Products, product: zarr.Group
) -> None:
    weight = ensembles.weight()
    member = weight * ensembles.gravimetry[5] + (1.0 - weight) * ensembles.altimetry[77]
    expected = np.tensordot(harmonics_on_map(products), member, axes=3)

    found = members.map(5, 77)

    close(found.compute().values[ROWS, COLUMNS], expected)
    np.testing.assert_array_equal(found.x, stored.read(product, "x"))
    np.testing.assert_array_equal(found.y, stored.read(product, "y"))
    assert found.attrs["units"] == "kg m-2 yr-1"
    assert pyproj.CRS.from_cf(found.crs.attrs) == pyproj.CRS.from_epsg(3031)


def test_nothing_of_a_member_is_read_before_it_is_computed(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[slice] = []
    orders = Sources.altimetry_orders

    def noted(sources: Sources, part: slice) -> Any:
        read.append(part)
        return orders(sources, part)

    monkeypatch.setattr(Sources, "altimetry_orders", noted)

    lazy = members.coefficients(1, 2), members.map(1, 2)

    assert all(isinstance(each.data, da.Array) for each in lazy)
    assert not read
    lazy[0].sel(degree=2).sum().compute(scheduler="synchronous")
    assert read == [slice(0, RESULT_DEGREE + 1)]


def test_a_member_that_is_not_there_is_refused_with_how_many_there_are(members: Members) -> None:
    with pytest.raises(MemberError, match=r"k = 24 .*expected -24 to 23: it combines 24 members"):
        members.coefficients(24, 0)
    with pytest.raises(MemberError, match="l = -113"):
        members.map(0, -113)


def test_members_are_of_a_combination(products: Products, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 'altimetry', expected 'combination'"):
        open_members(str(products.altimetry))
    with pytest.raises(InputError, match="holds no finished product"):
        open_members(str(tmp_path))
