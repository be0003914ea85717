"""Every kind can show a valid example of itself, and every breach is named."""

from pathlib import Path

import numpy as np
import pystac
import pytest
import xarray as xr

from stac import stores
from stac.contracts import (
    CONTRACTS,
    POLYGON_CONTRACTS,
    ContractError,
    open_item,
    open_regions,
)
from stac.items import ALWAYS
from stac.locations import CatalogueError

ARRAY_KINDS = sorted(CONTRACTS)


def item_of(kind: str, href: Path) -> pystac.Item:
    item = pystac.Item(
        "it",
        None,
        None,
        None,
        {"nunatak:kind": kind},
        start_datetime=ALWAYS[0],
        end_datetime=ALWAYS[1],
    )
    item.add_asset("data", pystac.Asset(str(href)))
    return item


@pytest.mark.parametrize("kind", ARRAY_KINDS)
def test_an_example_keeps_its_contract_through_its_store(kind: str, tmp_path: Path):
    contract = CONTRACTS[kind]
    example = contract.check_values(contract.example())

    stores.write_group(example, tmp_path / "store.zarr")
    opened = open_item(item_of(kind, tmp_path / "store.zarr"))

    xr.testing.assert_identical(opened.load(), example)
    assert contract.check_values(opened) is opened


@pytest.mark.parametrize("kind", sorted(POLYGON_CONTRACTS))
def test_example_regions_keep_their_contract_through_their_store(kind: str, tmp_path: Path):
    example = POLYGON_CONTRACTS[kind].check(POLYGON_CONTRACTS[kind].example())

    stores.write_table(example, tmp_path / "regions.parquet")
    opened = open_regions(item_of(kind, tmp_path / "regions.parquet"))

    assert opened.equals(example)
    assert opened.crs == "EPSG:3031"


def test_opening_reads_metadata_only(tmp_path: Path):
    stores.write_group(CONTRACTS["gia"].example(), tmp_path / "store.zarr")
    for chunk in (tmp_path / "store.zarr").rglob("c/*/*/*"):
        chunk.write_bytes(b"not a chunk")

    opened = open_item(item_of("gia", tmp_path / "store.zarr"))

    assert opened["stokes_rate"].shape == (2, 3, 3)


def test_a_store_is_the_same_bytes_each_time(tmp_path: Path):
    example = CONTRACTS["low-degrees"].example()

    first = stores.write_group(example, tmp_path / "a.zarr")
    second = stores.write_group(example, tmp_path / "b.zarr")

    assert (first.sha256, first.size) == (second.sha256, second.size)


def turned(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.assign(stokes=dataset["stokes"].transpose("order", "degree", "part"))


def with_attribute(**attributes):
    return lambda dataset: dataset.assign_attrs(attributes)


def with_unit(dataset: xr.Dataset) -> xr.Dataset:
    dataset["stokes_rate"].attrs["units"] = "m"
    return dataset


def with_value(name: str, value: float):
    def change(dataset: xr.Dataset) -> xr.Dataset:
        dataset[name][..., 1] = value
        return dataset

    return change


def without_span(dataset: xr.Dataset) -> xr.Dataset:
    dataset["time_end"] = dataset["time_start"]
    return dataset


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("grace-l2", lambda d: d.drop_vars("stokes"), "variable 'stokes' .* is missing"),
        (
            "grace-l2",
            turned,
            "'stokes' has dimensions .*expected \\('part', 'degree', 'order'\\)",
        ),
        ("gia", lambda d: d.astype("float32"), "'stokes_rate' has type float32, expected float64"),
        ("gia", with_unit, "'stokes_rate' has units 'm', expected 'yr-1'"),
        ("gia", with_attribute(max_degree=None), "attribute 'max_degree' is None, expected int"),
        ("gia", with_attribute(max_degree="two"), "attribute 'max_degree' is 'two', expected int"),
        (
            "grace-l2",
            with_attribute(max_degree=60),
            "'degree' has 3 entries, expected max_degree \\+ 1 = 61",
        ),
        ("grace-l2", with_attribute(tide_system="high_tide"), "'high_tide', expected one of"),
        ("gia", lambda d: d.isel(part=[0]), "'part' has 1 entries, expected 2"),
        (
            "low-degrees",
            lambda d: d.isel(coefficient=[1, 0]),
            "\\['C30', 'C20'\\], expected \\['C20', 'C30'\\]",
        ),
        ("gia", with_value("stokes_rate", np.nan), "lacks .* values, expected all of them"),
        ("love-numbers", with_value("h", np.inf), "holds infinite values"),
        ("gia", with_value("stokes_rate", 1e-9), "not zero where the order exceeds the degree"),
        ("degree-one", lambda d: d.isel(time=[1, 0, 2]), "times do not increase"),
        ("degree-one", without_span, "outside their own"),
    ],
)
def test_a_breach_says_what_was_found_and_expected(kind: str, change, message: str):
    with pytest.raises(ContractError, match=message) as caught:
        CONTRACTS[kind].check_values(change(CONTRACTS[kind].example()))
    assert "ingest its source again" in str(caught.value)


def test_uncertainties_may_be_missing():
    example = CONTRACTS["grace-l2"].example()
    example["stokes_sigma"][:] = np.nan

    CONTRACTS["grace-l2"].check_values(example)


def test_low_degrees_may_lack_a_coefficient():
    CONTRACTS["low-degrees"].check_values(CONTRACTS["low-degrees"].example().isel(coefficient=[0]))


def test_a_store_that_breaks_its_contract_is_refused_with_its_item(tmp_path: Path):
    stores.write_group(CONTRACTS["gia"].example(), tmp_path / "store.zarr")

    with pytest.raises(ContractError, match=r"item 'it'.*'h'.*is missing"):
        open_item(item_of("love-numbers", tmp_path / "store.zarr"))


def test_a_store_that_is_not_there_is_told_with_its_address(tmp_path: Path):
    with pytest.raises(CatalogueError, match=r"no readable store at .*gone\.zarr"):
        open_item(item_of("gia", tmp_path / "gone.zarr"))
    with pytest.raises(CatalogueError, match=r"no readable table at .*gone\.parquet"):
        open_regions(item_of("basins", tmp_path / "gone.parquet"))


def test_arrays_and_polygons_are_not_confused(tmp_path: Path):
    with pytest.raises(ContractError, match="open polygons with open_regions"):
        open_item(item_of("basins", tmp_path))
    with pytest.raises(ContractError, match="open arrays with open_item"):
        open_regions(item_of("gia", tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="group"), "columns .*group.* are missing"),
        (lambda t: t.to_crs("EPSG:4326"), "expected EPSG:3031"),
        (lambda t: t.iloc[:0], "no region"),
        (lambda t: t.iloc[[0, 0]], "come twice"),
        (lambda t: t.set_geometry(t.boundary), "expected polygons"),
        (lambda t: t.assign(area_km2=-1.0), "areas are not positive"),
    ],
)
def test_a_breach_of_a_table_is_named(change, message: str):
    with pytest.raises(ContractError, match=message):
        POLYGON_CONTRACTS["basins"].check(change(POLYGON_CONTRACTS["basins"].example()))
