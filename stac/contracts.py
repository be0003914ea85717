"""What each kind of collection promises, checked where data are opened.

A contract is checked where data enter (`ingest`, values included) and where they are opened
(`open_item`, structure only: nothing is read but metadata). `stac.promises` says what a contract
is, `stac.kinds` holds those that there are.
"""

import io

import geopandas as gpd
import pystac
import xarray as xr

from stac import stores
from stac.kinds import (
    CONTRACTS,
    DEGREE_ONE,
    LINE_CONTRACTS,
    LOW_DEGREES,
    POLYGON_CONTRACTS,
    TIDE_SYSTEMS,
)
from stac.locations import CatalogueError, normalise, read_bytes
from stac.promises import (
    EXAMPLE_DEGREE,
    GATE_COLUMNS,
    POLAR,
    REGION_COLUMNS,
    Contract,
    ContractError,
    LineContract,
    PolygonContract,
    Variable,
)

__all__ = [
    "CONTRACTS",
    "DEGREE_ONE",
    "EXAMPLE_DEGREE",
    "GATE_COLUMNS",
    "LINE_CONTRACTS",
    "LOW_DEGREES",
    "POLAR",
    "POLYGON_CONTRACTS",
    "REGION_COLUMNS",
    "TIDE_SYSTEMS",
    "Contract",
    "ContractError",
    "LineContract",
    "PolygonContract",
    "Variable",
    "data_url",
    "open_gates",
    "open_item",
    "open_regions",
]


def open_item(item: pystac.Item) -> xr.Dataset:
    """Open the data of an item lazily, checked against the contract of its kind.

    Raises
    ------
    ContractError
        If the kind holds no arrays, or the store does not keep its contract.
    CatalogueError
        If the store is not where the item says.
    """
    kind = str(item.properties.get("nunatak:kind"))
    if kind not in CONTRACTS:
        msg = f"item {item.id!r} is of kind {kind!r}, expected one of {', '.join(CONTRACTS)}"
        raise ContractError(msg + "; open polygons with open_regions")
    url = data_url(item)
    try:
        dataset = stores.open_group(url)
    except (FileNotFoundError, ValueError, KeyError) as error:
        msg = f"item {item.id!r} has no readable store at {url} ({error}); ingest its source again"
        raise CatalogueError(msg) from error
    try:
        return CONTRACTS[kind].check(dataset)
    except ContractError as error:
        msg = f"item {item.id!r}: {error}"
        raise ContractError(msg) from error


def open_regions(item: pystac.Item) -> gpd.GeoDataFrame:
    """Read the polygons of an item: `REGION_COLUMNS`, EPSG:3031, checked.

    Raises
    ------
    ContractError
        If the kind holds no polygons, or the table does not keep its contract.
    CatalogueError
        If the table is not where the item says.
    """
    kind = str(item.properties.get("nunatak:kind"))
    if kind not in POLYGON_CONTRACTS:
        msg = f"item {item.id!r} is of kind {kind!r}, expected {' or '.join(POLYGON_CONTRACTS)}"
        raise ContractError(msg + "; open arrays with open_item")
    return POLYGON_CONTRACTS[kind].check(_read_table(item))


def open_gates(item: pystac.Item) -> gpd.GeoDataFrame:
    """Read the gates of an item: `GATE_COLUMNS`, lines in EPSG:3031, checked.

    Raises
    ------
    ContractError
        If the kind holds no gates, or the table does not keep its contract.
    CatalogueError
        If the table is not where the item says.
    """
    kind = str(item.properties.get("nunatak:kind"))
    if kind not in LINE_CONTRACTS:
        msg = f"item {item.id!r} is of kind {kind!r}, expected {' or '.join(LINE_CONTRACTS)}"
        raise ContractError(msg + "; open arrays with open_item, polygons with open_regions")
    return LINE_CONTRACTS[kind].check(_read_table(item))


def _read_table(item: pystac.Item) -> gpd.GeoDataFrame:
    url = data_url(item)
    try:
        return gpd.read_parquet(io.BytesIO(read_bytes(normalise(url))))
    except (FileNotFoundError, ValueError) as error:
        msg = f"item {item.id!r} has no readable table at {url} ({error}); ingest its source again"
        raise CatalogueError(msg) from error


def data_url(item: pystac.Item) -> str:
    """Return the address of the asset ``data``."""
    if "data" not in item.assets:
        msg = f"item {item.id!r} has assets {sorted(item.assets)}, expected one named 'data'"
        raise ContractError(msg)
    return normalise(item.assets["data"].get_absolute_href() or item.assets["data"].href)
