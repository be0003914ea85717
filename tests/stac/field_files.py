"""Files of fields in EPSG:3031 as publishers write them, small; netCDF4 and GDAL write them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from pyproj import CRS
from rasterio.io import MemoryFile
from rasterio.transform import Affine

SPACING = 5000.0
X = 1.0e6 + SPACING * np.arange(6)
Y = 5.0e5 - SPACING * np.arange(4)
NORTH_UP = Affine(SPACING, 0.0, X[0] - SPACING / 2, 0.0, -SPACING, Y[0] + SPACING / 2)
POLAR_CF = CRS.from_epsg(3031).to_cf()


def ramp(*leading: int) -> np.ndarray:
    """Return a field of the plane x/10⁶ − 2y/10⁶, shape (*leading, y, x); members add 1 each."""
    plane = X[None, :] / 1e6 - 2.0 * Y[:, None] / 1e6
    count = int(np.prod(leading, dtype=int))
    return (plane + np.arange(count)[:, None, None]).reshape(*leading, Y.size, X.size)


class NetcdfWriter:
    """Build a NetCDF file variable by variable; every choice of a publisher can be changed."""

    def __init__(self, path: Path, form: str = "NETCDF4") -> None:
        self.path = path
        self.file = netCDF4.Dataset(path, "w", format=form)

    def axes(
        self,
        x: np.ndarray = X,
        y: np.ndarray = Y,
        *,
        unit: str | None = "m",
        dtype: str = "f8",
        names: tuple[str, str] = ("x", "y"),
    ) -> "NetcdfWriter":
        """Add two coordinates."""
        for name, values, axis in zip(names, (x, y), "xy", strict=True):
            self.file.createDimension(name, values.size)
            made = self.file.createVariable(name, dtype, (name,))
            made[:] = values
            if unit is not None:
                made.units = unit
            if not unit or not unit.startswith("degree"):
                made.standard_name = f"projection_{axis}_coordinate"
        return self

    def mapping(self, attributes: Mapping[str, Any], name: str = "crs") -> "NetcdfWriter":
        """Add a grid mapping variable."""
        made = self.file.createVariable(name, "i4", ())
        made.setncatts(dict(attributes))
        return self

    def labels(self, name: str, values: Sequence[str] | np.ndarray) -> "NetcdfWriter":
        """Add a dimension with labels of text or numbers."""
        self.file.createDimension(name, len(values))
        is_text = isinstance(values[0], str)
        made = self.file.createVariable(name, str if is_text else "f8", (name,))
        for i, value in enumerate(values):
            made[i] = value
        return self

    def field(
        self,
        name: str,
        values: np.ndarray,
        dims: tuple[str, ...] = ("y", "x"),
        *,
        dtype: str = "f8",
        fill: float | None = None,
        **attributes: Any,
    ) -> "NetcdfWriter":
        """Add a variable; values are written as they are, packed or not."""
        for dim, size in zip(dims, values.shape, strict=True):
            if dim not in self.file.dimensions:
                self.file.createDimension(dim, size)
        made = self.file.createVariable(name, dtype, dims, fill_value=fill)
        made.set_auto_maskandscale(False)
        made.setncatts({k: v for k, v in attributes.items() if v is not None})
        made[:] = values
        return self

    def done(self, **attributes: Any) -> Path:
        """Add global attributes and close."""
        self.file.setncatts(attributes)
        self.file.close()
        return self.path


def write_rates(path: Path, **attributes: Any) -> Path:
    """Write an ensemble of 2 re-trackers and 3 fits."""
    return (
        NetcdfWriter(path).axes().mapping(POLAR_CF)
        .labels("retracker", ["TFMRA", "OCOG"]).labels("fit", ["M1", "M2", "M3"])
        .field("elevation_rate", ramp(2, 3), ("retracker", "fit", "y", "x"),
               units="m yr-1", grid_mapping="crs")
        .done(**attributes)
    )  # fmt: skip


def write_geotiff(
    path: Path,
    bands: np.ndarray,
    *,
    units: Sequence[str] = (),
    descriptions: Sequence[str] = (),
    crs: str | None = "EPSG:3031",
    transform: Affine = NORTH_UP,
    tags: Mapping[str, str] | None = None,
    **profile: Any,
) -> Path:
    """Write bands (band, y, x), the first row in the north."""
    count, height, width = bands.shape
    profile = {"dtype": bands.dtype, "nodata": np.nan, **profile}
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=count, height=height, width=width, crs=crs,
            transform=transform, **profile,
        ) as file:  # fmt: skip
            file.write(bands)
            for i, unit in enumerate(units, 1):
                file.set_band_unit(i, unit)
            for i, description in enumerate(descriptions, 1):
                file.set_band_description(i, description)
            file.update_tags(**(tags or {}))
        path.write_bytes(memory.read())
    return path


def write_granule(
    path: Path,
    latitude: np.ndarray,
    longitude: np.ndarray,
    elevation: np.ndarray,
    *,
    seconds: np.ndarray | None = None,
    time_units: str = "UTC seconds since 00:00:00 1-Jan-2000",
    surface: np.ndarray | None = None,
    flags: str = "0b, 1b, 2b, 3b, 4b",
    meanings: str = (
        "ocean grounded_ice floating_ice ice_free_land "
        "non_greenland_land(used for tracks over Greenland only)"
    ),
    retracker: str = "LMC",
) -> Path:
    """Write a granule as CryoTEMPO does, flags as text and all."""
    n = latitude.size
    seconds = 345973734.25 + np.arange(n) if seconds is None else seconds
    surface = np.ones(n) if surface is None else surface
    along = ("time",)
    writer = NetcdfWriter(path)
    writer.field("time", seconds, along, units=time_units, standard_name="time")
    writer.field("latitude", latitude, along, units="degrees north", standard_name="latitude")
    writer.field("longitude", longitude, along, units="degrees east", standard_name="longitude")
    writer.field("elevation", elevation, along, units="m",
                 long_name=f"ice sheet elevation ({retracker} Retracker)")  # fmt: skip
    writer.field("uncertainty", np.full(n, 0.5), along, units="m")
    writer.field("instrument_mode", np.full(n, 3), along, dtype="i1", fill=-128,
                 flag_values="1b, 2b, 3b", flag_meanings="lrm sar sarin")  # fmt: skip
    writer.field("surface_type", surface, along, dtype="i1", fill=-128,
                 flag_values=flags, flag_meanings=meanings)  # fmt: skip
    return writer.done(title="Cryo-TEMPO Land Ice Thematic Product", product_baseline="C")
