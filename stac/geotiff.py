"""Bands of a GeoTIFF from bytes, in memory; nothing beside the bytes is looked at."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile

from stac.field_units import FieldFormatError
from stac.netcdf import require_size
from stac.polar_axes import ASSIGN, WARP, PolarAxes, polar_axes, require_polar

FLOAT = NDArray[np.float64]

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Band:
    """One band; a layer of `stac.gridded`.

    Attributes
    ----------
    name : str
        Its description, or ``band N``.
    standard_name : str
        Always empty.
    unit : str
        Unit of the band, or tag ``units``.
    leading : tuple
        Always empty: a band has rows and columns only.
    """

    index: int
    name: str
    unit: str
    source: DatasetReader
    file: str
    standard_name: str = ""
    leading: tuple[tuple[str, tuple[str, ...]], ...] = ()
    keeps_zeros: bool = False

    @property
    def has_zero_fill(self) -> bool:
        """Whether 0 is declared to stand for missing values."""
        return bool(self.source.nodatavals[self.index - 1] == 0.0)

    def documented(self, *, unit: str = "", crs: str = "", zeros: bool = False) -> "Band":  # noqa: ARG002
        """Return it with the unit that its file does not tell, or with zeros as values."""
        return replace(self, unit=self.unit or unit, keeps_zeros=zeros and self.has_zero_fill)

    @property
    def is_real(self) -> bool:
        """Whether it may hold measured numbers: floating-point, or packed as integers."""
        kind = np.dtype(self.source.dtypes[self.index - 1]).kind
        return kind == "f" or (kind in "iu" and self.source.scales[self.index - 1] != 1.0)

    def axes(self) -> PolarAxes:
        """Return the grid; see `polar_axes.polar_axes`.

        Raises
        ------
        FieldFormatError
            Not in EPSG:3031, without a place, rotated, cells that are not square.
        """
        transform, crs = self.source.transform, self.source.crs
        said = {"its GeoTIFF keys": crs.to_wkt()} if crs else {}
        require_polar(said, what=self.file)
        if transform.is_identity or transform.b or transform.d:
            found = "no place on the ground" if transform.is_identity else "rotated rows"
            msg = (
                f"{self.file} has {found}, expected rows along x of EPSG:3031; give it bounds "
                f"({ASSIGN} -a_ullr WEST NORTH EAST SOUTH) or warp it: {WARP}"
            )
            raise FieldFormatError(msg)
        size = pyproj.CRS.from_wkt(crs.to_wkt()).axis_info[0].unit_conversion_factor
        x = (transform.c + (np.arange(self.source.width) + 0.5) * transform.a) * size
        y = (transform.f + (np.arange(self.source.height) + 0.5) * transform.e) * size
        return polar_axes(x, y, what=self.file)

    def read(self, out: FLOAT) -> None:
        """Read values, unpacked, NaN where there are none, into shape (1, y, x).

        Raises
        ------
        FieldFormatError
            Complex numbers, or damaged.
        """
        kind = np.dtype(self.source.dtypes[self.index - 1]).kind
        if kind not in "iuf":
            msg = f"{self.file}: {self.name!r} does not hold real numbers; name another band"
            raise FieldFormatError(msg)
        try:
            masked = np.ma.asanyarray(self.source.read(self.index, masked=not self.keeps_zeros))
        except (RasterioError, OSError, ValueError, MemoryError) as error:
            msg = f"{self.file}: {self.name!r} cannot be read ({error}); fetch the file again"
            raise FieldFormatError(msg) from error
        values = np.asarray(masked.data, dtype=np.float64)
        scale, offset = (of[self.index - 1] for of in (self.source.scales, self.source.offsets))
        out[0] = np.where(np.ma.getmaskarray(masked), np.nan, values * scale + offset)


def is_geotiff(data: bytes) -> bool:
    """Say whether bytes begin as TIFF does."""
    return data.startswith(MAGIC)


@contextmanager
def opened(data: bytes, *, name: str) -> Iterator[tuple[tuple[Band, ...], dict[str, Any]]]:
    """Open a GeoTIFF in memory: its bands and its tags, names of tags in lower case.

    Raises
    ------
    FieldFormatError
        Empty, not a TIFF, damaged, or more than may be read.
    """
    if not data:
        msg = f"{name} is empty (0 bytes), expected a GeoTIFF; fetch it again"
        raise FieldFormatError(msg)
    with MemoryFile(data) as memory:
        try:
            with warnings.catch_warnings():
                # A file without a place is refused below, in words.
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                source = memory.open(driver="GTiff", sharing=False)
        except (RasterioError, OSError, ValueError) as error:
            msg = f"{name} cannot be read as GeoTIFF; it is damaged or cut off: fetch it again"
            raise FieldFormatError(msg) from error
        with source:
            require_size((source.count, source.height, source.width), what=name)
            tags = {key.lower(): value for key, value in source.tags().items()}
            yield tuple(_band(source, i, tags, name) for i in source.indexes), tags


def _band(source: DatasetReader, index: int, tags: dict[str, Any], name: str) -> Band:
    own = {key.lower(): value for key, value in source.tags(index).items()}
    unit = source.units[index - 1] or own.get("units") or tags.get("units") or ""
    return Band(index, source.descriptions[index - 1] or f"band {index}", str(unit), source, name)
