"""What a contract is: dimensions, types, units and missing values that a kind of data keeps.

`stac.kinds` holds those that there are. Each can build a tiny valid example of its kind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray

EXAMPLE_DEGREE = 2
EXAMPLE_M = 5000.0
REGION_COLUMNS = ("region", "name", "group", "area_km2", "geometry")
YEAR_COLUMN = "year"
GATE_COLUMNS = ("gate", "name", "closed", "length_km", "geometry")
POLAR = "EPSG:3031"
EVEN_M = 1.0
"""How far cells of a grid may be from squares of one size [m]."""


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
        if self.dtype == "text":
            data = np.array([f"{self.name}-{i}" for i in range(shape[0])])
        if self.name in {"x", "y"}:
            data = (1.0 if self.name == "x" else -1.0) * (1.0e6 + EXAMPLE_M * np.arange(shape[0]))
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
    optional : mapping
        Attributes that a dataset may lack, as stores of earlier versions do, with examples.
    """

    kind: str
    variables: tuple[Variable, ...]
    attributes: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partial: bool = False
    optional: Mapping[str, Any] = field(default_factory=dict)

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
        self._refuse([*faults, *_time_faults(dataset), *_grid_faults(dataset)])
        return dataset

    def example(self) -> xr.Dataset:
        """Return a tiny dataset that keeps the contract."""
        side = EXAMPLE_DEGREE + 1
        sizes = {"part": 2, "degree": side, "order": side, "time": 3, "period_years": 1}
        sizes |= {"member": 2, "y": 3, "x": 4, "point": 3}
        sizes |= {"cell": 2, "corner": 4, "region": 2, "band": 2}
        sizes |= {name: len(labels) for name, labels in self.labels.items()}
        required = [variable for variable in self.variables if not variable.optional]
        made = {variable.name: variable.example(sizes) for variable in required}
        for name, labels in self.labels.items():
            made[name] = xr.Variable((name,), np.array(labels))
        dataset = xr.Dataset(made, attrs={**self.attributes, **self.optional})
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
        told = {name: each for name, each in self.optional.items() if name in dataset.attrs}
        for name, example in {**self.attributes, **told}.items():
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


def _require_no_fault(kind: str, faults: list[str]) -> None:
    """Refuse a table, naming all that is wrong with it."""
    if faults:
        msg = (
            f"this is no valid table of {kind!r}: {'; '.join(faults)}; ingest its source again, "
            "or correct the program that wrote it"
        )
        raise ContractError(msg)


@dataclass(frozen=True)
class PolygonContract:
    """What tables of regions hold: `REGION_COLUMNS`, polygons in EPSG:3031, ids as text.

    Regions that change are there once per year, in a whole-numbered `YEAR_COLUMN` (0 for always).
    """

    kind: str
    yearly: bool = False

    def check(self, table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return the table if it keeps the contract.

        Raises
        ------
        ContractError
            Naming every fault.
        """
        _require_no_fault(self.kind, list(self._faults(table)))
        return table

    def example(self) -> gpd.GeoDataFrame:
        """Return one square of 100 km in East Antarctica."""
        square = shapely.box(0.0, 1.0e6, 1.0e5, 1.1e6)
        columns = {"region": ["1"], "name": ["one"], "group": ["EAIS"], "area_km2": [1.0e4]}
        years = {YEAR_COLUMN: [2002]} if self.yearly else {}
        return gpd.GeoDataFrame(columns | years, geometry=[square], crs=POLAR)

    def _faults(self, table: gpd.GeoDataFrame) -> Iterator[str]:
        key = ["region", YEAR_COLUMN] if self.yearly else ["region"]
        expected = [*REGION_COLUMNS, *key[1:]]
        absent = [name for name in expected if name not in table.columns]
        if absent:
            yield f"columns {absent} are missing, expected {expected}"
            return
        if self.yearly and table[YEAR_COLUMN].dtype.kind != "i":
            yield f"{YEAR_COLUMN!r} has type {table[YEAR_COLUMN].dtype}, expected whole numbers"
        if table.crs is None or table.crs.to_string() != POLAR:
            yield f"coordinates are in {table.crs}, expected {POLAR}"
        if table.empty:
            yield "it has no region, expected one at least"
        if (twice := table.duplicated(key)).any():
            yield f"regions {sorted(table.loc[twice, 'region'])} come twice"
        if not set(table.geom_type) <= {"Polygon", "MultiPolygon"}:
            yield f"it holds {sorted(set(table.geom_type))}, expected polygons"
        if not table.geometry.is_valid.all():
            broken = table.loc[~table.geometry.is_valid, "region"].tolist()
            yield f"the polygons of {broken} cross themselves"
        if not (table["area_km2"] > 0.0).all():
            yield "some areas are not positive, expected km² on the ellipsoid"


@dataclass(frozen=True)
class LineContract:
    """What tables of gates hold: `GATE_COLUMNS`, lines in EPSG:3031, ids as text."""

    kind: str

    def check(self, table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return the table if it keeps the contract.

        Raises
        ------
        ContractError
            Naming every fault.
        """
        _require_no_fault(self.kind, list(self._faults(table)))
        return table

    def example(self) -> gpd.GeoDataFrame:
        """Return one open gate of 100 km on the map in East Antarctica."""
        line = shapely.LineString([(0.0, 1.0e6), (1.0e5, 1.0e6)])
        columns = {"gate": ["1"], "name": ["one"], "closed": [False], "length_km": [102.0]}
        return gpd.GeoDataFrame(columns, geometry=[line], crs=POLAR)

    def _faults(self, table: gpd.GeoDataFrame) -> Iterator[str]:
        absent = [name for name in GATE_COLUMNS if name not in table.columns]
        if absent:
            yield f"columns {absent} are missing, expected {list(GATE_COLUMNS)}"
            return
        if table.crs is None or table.crs.to_string() != POLAR:
            yield f"coordinates are in {table.crs}, expected {POLAR}"
        if table.empty:
            yield "it has no gate, expected one at least"
        if table["gate"].duplicated().any():
            yield f"gates {sorted(table.loc[table['gate'].duplicated(), 'gate'])} come twice"
        if not set(table.geom_type) <= {"LineString", "MultiLineString"}:
            yield f"it holds {sorted(set(table.geom_type))}, expected lines"
        elif not table.geometry.is_simple.all():
            crossed = table.loc[~table.geometry.is_simple, "gate"].tolist()
            yield f"the gates {crossed} cross themselves"
        if table["closed"].dtype != bool:
            yield f"'closed' has type {table['closed'].dtype}, expected bool"
        if not (table["length_km"] > 0.0).all():
            yield "some lengths are not positive, expected km on the ellipsoid"


def _is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind not in "fM":
        return np.zeros(values.shape, dtype=bool)
    return np.asarray(np.isnat(values) if values.dtype.kind == "M" else np.isnan(values))


def _time_faults(dataset: xr.Dataset) -> Iterator[str]:
    if not {"time_start", "time_end"} <= set(dataset.variables):
        return
    start, end = (dataset[name].to_numpy() for name in ("time_start", "time_end"))
    time = dataset["time"].to_numpy() if "time" in dataset.variables else start
    if not (np.diff(time) > np.timedelta64(0)).all():
        yield "times do not increase, expected each epoch once and in order"
    if not ((start <= time) & (time <= end)).all():
        yield "some epochs lie outside their own time_start and time_end"


def _grid_faults(dataset: xr.Dataset) -> Iterator[str]:
    """Say what is wrong with the axes of a grid, and with the labels of its members."""
    if {"x", "y"} <= set(dataset.dims):
        x, y = (np.diff(dataset[axis].to_numpy()) for axis in ("x", "y"))
        if not (x.size and y.size and (x > 0.0).all() and (y < 0.0).all()):
            yield "'x' does not increase or 'y' does not decrease, expected east- and southward"
        elif np.abs(np.concatenate([x, -y]) - x[0]).max() > EVEN_M:
            found = f"{x.min():g} to {x.max():g} by {-y.max():g} to {-y.min():g} m"
            yield f"cells are {found}, expected even squares"
    if "member" in dataset.variables and not dataset.indexes["member"].is_unique:
        yield f"members {dataset['member'].to_numpy().tolist()} are not all different"
