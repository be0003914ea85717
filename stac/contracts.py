"""What each kind of collection promises: dimensions, types, units, missing values.

A contract is checked where data enter (`ingest`, values included) and where they are opened
(`open_item`, structure only: nothing is read but metadata). Each can build a tiny valid example.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import shapely
import xarray as xr
from numpy.typing import NDArray

from stac import stores
from stac.locations import CatalogueError, normalise, read_bytes

EXAMPLE_DEGREE = 2
TIDE_SYSTEMS = ("zero_tide", "tide_free", "mean_tide", "unknown")
DEGREE_ONE = ("C10", "C11", "S11")
LOW_DEGREES = ("C20", "C30")
REGION_COLUMNS = ("region", "name", "group", "area_km2", "geometry")
POLAR = "EPSG:3031"


class ContractError(ValueError):
    """Data do not keep the contract of their kind: what was found, what was expected."""


@dataclass(frozen=True)
class Variable:
    """One array of a kind.

    Parameters
    ----------
    name : str
        Name in the dataset.
    dims : tuple of str
        Dimensions in order.
    dtype : str
        NumPy type, or ``text``.
    unit : str
        Value of the attribute ``units``; empty for times and text.
    missing : float, optional
        What stands for "not measured" (NaN); None if every value must be there.
    optional : bool
        Whether a dataset may lack it.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str = "float64"
    unit: str = ""
    missing: float | None = None
    optional: bool = False

    def faults(self, dataset: xr.Dataset) -> Iterator[str]:
        """Say what is wrong with the structure of this variable."""
        if self.name not in dataset.variables:
            if not self.optional:
                yield f"variable {self.name!r} {self.dims} is missing"
            return
        found = dataset.variables[self.name]
        if found.dims != self.dims:
            yield f"{self.name!r} has dimensions {found.dims}, expected {self.dims}"
        if not self._has_type(found.dtype):
            yield f"{self.name!r} has type {found.dtype}, expected {self.dtype}"
        if found.attrs.get("units", "") != self.unit:
            unit = found.attrs.get("units", "")
            yield f"{self.name!r} has units {unit!r}, expected {self.unit!r}"
        declared = found.encoding.get("_FillValue")
        if declared is not None and self.dtype == "float64" and not np.isnan(declared):
            yield f"{self.name!r} declares {declared} as missing, expected NaN"

    def value_faults(self, dataset: xr.Dataset) -> Iterator[str]:
        """Say what is wrong with the values of this variable; reads them."""
        if self.name not in dataset.variables or self.dtype == "text":
            return
        values = dataset.variables[self.name].to_numpy()
        missing = int(np.count_nonzero(_is_missing(values)))
        if missing and self.missing is None:
            yield f"{self.name!r} lacks {missing} of {values.size} values, expected all of them"
        if values.dtype.kind == "f" and np.isinf(values).any():
            yield f"{self.name!r} holds infinite values; write NaN for what was not measured"
        if self.dims[-2:] == ("degree", "order") and np.nansum(np.abs(np.triu(values, 1))) > 0.0:
            yield f"{self.name!r} is not zero where the order exceeds the degree"

    def _has_type(self, dtype: np.dtype[Any]) -> bool:
        return dtype.kind in "UO" if self.dtype == "text" else dtype == np.dtype(self.dtype)

    def example(self, sizes: Mapping[str, int]) -> xr.Variable:
        """Return a valid tiny array."""
        shape = tuple(sizes[dim] for dim in self.dims)
        data: Any = np.zeros(shape, dtype=None if self.dtype == "text" else self.dtype)
        if self.dtype.startswith("datetime64"):
            day = {"time_start": 1, "time": 16, "time_end": 32}.get(self.name, 1)
            starts = np.datetime64("2011-01-01", "ns") + 31 * np.arange(shape[0]) * np.timedelta64(
                1, "D"
            )
            data = starts + (day - 1) * np.timedelta64(1, "D")
        return xr.Variable(self.dims, data, {"units": self.unit} if self.unit else {})


@dataclass(frozen=True)
class Contract:
    """What datasets of one kind hold.

    Parameters
    ----------
    kind : str
        The kind, as `nunatak ingest` names it.
    variables : tuple of Variable
        Arrays and coordinates.
    attributes : mapping
        Name of each required attribute, and an example of it, whose type is required.
    choices : mapping
        Allowed values of an attribute.
    labels : mapping
        Values of text coordinates, in order.
    partial : bool
        Whether a dataset may hold some of the labels only.
    """

    kind: str
    variables: tuple[Variable, ...]
    attributes: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partial: bool = False

    def check(self, dataset: xr.Dataset) -> xr.Dataset:
        """Return the dataset if its structure keeps the contract; reads no array.

        Raises
        ------
        ContractError
            Naming every fault.
        """
        faults = [fault for variable in self.variables for fault in variable.faults(dataset)]
        self._refuse([*faults, *self._size_faults(dataset), *self._attribute_faults(dataset)])
        return dataset

    def check_values(self, dataset: xr.Dataset) -> xr.Dataset:
        """Check the structure, then every value: missing ones, triangles, order of times."""
        self.check(dataset)
        faults = [fault for variable in self.variables for fault in variable.value_faults(dataset)]
        self._refuse([*faults, *_time_faults(dataset)])
        return dataset

    def example(self) -> xr.Dataset:
        """Return a tiny dataset that keeps the contract."""
        side = EXAMPLE_DEGREE + 1
        sizes = {"part": 2, "degree": side, "order": side, "time": 3, "period_years": 1}
        sizes |= {name: len(labels) for name, labels in self.labels.items()}
        required = [variable for variable in self.variables if not variable.optional]
        made = {variable.name: variable.example(sizes) for variable in required}
        for name, labels in self.labels.items():
            made[name] = xr.Variable((name,), np.array(labels))
        dataset = xr.Dataset(made, attrs=dict(self.attributes))
        return dataset.set_coords([n for n in ("time_start", "time_end") if n in dataset])

    def _size_faults(self, dataset: xr.Dataset) -> Iterator[str]:
        sizes = dataset.sizes
        if "part" in sizes and sizes["part"] != 2:
            yield f"dimension 'part' has {sizes['part']} entries, expected 2 (C and S)"
        degree = dataset.attrs.get("max_degree")
        if isinstance(degree, int) and sizes.get("degree", degree + 1) != degree + 1:
            yield f"'degree' has {sizes['degree']} entries, expected max_degree + 1 = {degree + 1}"
        if "order" in sizes and sizes["order"] != sizes.get("degree"):
            yield f"'order' has {sizes['order']} entries, expected {sizes.get('degree')}"
        for name, labels in self.labels.items():
            found = dataset[name].to_numpy().tolist() if name in dataset.variables else []
            wanted = [label for label in labels if label in found] if self.partial else list(labels)
            if not found or found != wanted:
                yield f"coordinate {name!r} is {found}, expected {list(labels)}"

    def _attribute_faults(self, dataset: xr.Dataset) -> Iterator[str]:
        for name, example in self.attributes.items():
            found = dataset.attrs.get(name)
            wanted = (int, float) if isinstance(example, float) else (type(example),)
            if not isinstance(found, wanted) or isinstance(found, bool):
                yield f"attribute {name!r} is {found!r}, expected {wanted[-1].__name__}"
            elif name in self.choices and found not in self.choices[name]:
                yield f"attribute {name!r} is {found!r}, expected one of {self.choices[name]}"

    def _refuse(self, faults: list[str]) -> None:
        if faults:
            msg = (
                f"this is no valid {self.kind!r} dataset: {'; '.join(faults)}; ingest its source "
                "again, or correct the program that wrote it"
            )
            raise ContractError(msg)


@dataclass(frozen=True)
class PolygonContract:
    """What tables of regions hold: `REGION_COLUMNS`, polygons in EPSG:3031, ids as text."""

    kind: str

    def check(self, table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return the table if it keeps the contract.

        Raises
        ------
        ContractError
            Naming every fault.
        """
        faults = list(self._faults(table))
        if faults:
            msg = (
                f"this is no valid table of {self.kind!r}: {'; '.join(faults)}; ingest its source "
                "again, or correct the program that wrote it"
            )
            raise ContractError(msg)
        return table

    def example(self) -> gpd.GeoDataFrame:
        """Return one square of 100 km in East Antarctica."""
        square = shapely.box(0.0, 1.0e6, 1.0e5, 1.1e6)
        columns = {"region": ["1"], "name": ["one"], "group": ["EAIS"], "area_km2": [1.0e4]}
        return gpd.GeoDataFrame(columns, geometry=[square], crs=POLAR)

    def _faults(self, table: gpd.GeoDataFrame) -> Iterator[str]:
        absent = [name for name in REGION_COLUMNS if name not in table.columns]
        if absent:
            yield f"columns {absent} are missing, expected {list(REGION_COLUMNS)}"
            return
        if table.crs is None or table.crs.to_string() != POLAR:
            yield f"coordinates are in {table.crs}, expected {POLAR}"
        if table.empty:
            yield "it has no region, expected one at least"
        if table["region"].duplicated().any():
            yield f"regions {sorted(table.loc[table['region'].duplicated(), 'region'])} come twice"
        if not set(table.geom_type) <= {"Polygon", "MultiPolygon"}:
            yield f"it holds {sorted(set(table.geom_type))}, expected polygons"
        if not table.geometry.is_valid.all():
            broken = table.loc[~table.geometry.is_valid, "region"].tolist()
            yield f"the polygons of {broken} cross themselves"
        if not (table["area_km2"] > 0.0).all():
            yield "some areas are not positive, expected km² on the ellipsoid"


STOKES = ("part", "degree", "order")
PERIODIC = ("period_years", *STOKES)
NAN = float("nan")
FIELD_VARIABLES = (
    Variable("stokes", STOKES, unit="1"),
    Variable("stokes_sigma", STOKES, unit="1", missing=NAN),
    Variable("stokes_trend", STOKES, unit="yr-1", optional=True),
    Variable("stokes_cosine", PERIODIC, unit="1", optional=True),
    Variable("stokes_sine", PERIODIC, unit="1", optional=True),
)
FIELD_ATTRIBUTES = {
    "product": "GSM", "centre": "CSR", "release": "RL06", "mission": "GRACE",
    "gm": 3.986004415e14, "radius": 6378136.3, "tide_system": "zero_tide",
    "max_degree": EXAMPLE_DEGREE, "time_start": "2011-02-01", "time_end": "2011-03-01",
    "normalisation": "4pi",
}  # fmt: skip
SERIES_ATTRIBUTES = {
    "source": "example", "tide_system": "zero_tide", "frame": "CF", "gia_removed": "",
    "gm": 3.986004415e14, "radius": 6378136.3,
}  # fmt: skip
SERIES = ("time", "coefficient")
SERIES_VARIABLES = (
    Variable("value", SERIES, unit="1", missing=NAN),
    Variable("sigma", SERIES, unit="1", missing=NAN),
    Variable("coefficient", ("coefficient",), "text"),
    Variable("time", ("time",), "datetime64[ns]"),
    Variable("time_start", ("time",), "datetime64[ns]"),
    Variable("time_end", ("time",), "datetime64[ns]"),
)
TIDES = {"tide_system": TIDE_SYSTEMS}
_ALL = (
    Contract("grace-l2", FIELD_VARIABLES, FIELD_ATTRIBUTES, TIDES | {"normalisation": ("4pi",)}),
    Contract("degree-one", SERIES_VARIABLES, SERIES_ATTRIBUTES, TIDES, {"coefficient": DEGREE_ONE}),
    Contract(
        "low-degrees",
        SERIES_VARIABLES,
        SERIES_ATTRIBUTES,
        TIDES,
        {"coefficient": LOW_DEGREES},
        partial=True,
    ),
    Contract(
        "love-numbers",
        tuple(Variable(name, ("degree",), unit="1") for name in ("h", "l", "k")),
        {"name": "PREM", "frame": "CE", "max_degree": EXAMPLE_DEGREE},
    ),
    Contract(
        "gia",
        (Variable("stokes_rate", STOKES, unit="yr-1"),),
        {"name": "ICE-6G_D", "max_degree": EXAMPLE_DEGREE},
    ),
)
CONTRACTS: Mapping[str, Contract] = MappingProxyType({c.kind: c for c in _ALL})
POLYGON_CONTRACTS: Mapping[str, PolygonContract] = MappingProxyType(
    {kind: PolygonContract(kind) for kind in ("basins", "boundaries")}
)


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
    url = data_url(item)
    try:
        table = gpd.read_parquet(io.BytesIO(read_bytes(normalise(url))))
    except (FileNotFoundError, ValueError) as error:
        msg = f"item {item.id!r} has no readable table at {url} ({error}); ingest its source again"
        raise CatalogueError(msg) from error
    return POLYGON_CONTRACTS[kind].check(table)


def data_url(item: pystac.Item) -> str:
    """Return the address of the asset ``data``."""
    if "data" not in item.assets:
        msg = f"item {item.id!r} has assets {sorted(item.assets)}, expected one named 'data'"
        raise ContractError(msg)
    return normalise(item.assets["data"].get_absolute_href() or item.assets["data"].href)


def _is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind not in "fM":
        return np.zeros(values.shape, dtype=bool)
    return np.asarray(np.isnat(values) if values.dtype.kind == "M" else np.isnan(values))


def _time_faults(dataset: xr.Dataset) -> Iterator[str]:
    if "time" not in dataset.variables:
        return
    time, start, end = (dataset[name].to_numpy() for name in ("time", "time_start", "time_end"))
    if not (np.diff(time) > np.timedelta64(0)).all():
        yield "times do not increase, expected each epoch once and in order"
    if not ((start <= time) & (time <= end)).all():
        yield "some epochs lie outside their own time_start and time_end"
