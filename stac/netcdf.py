"""NetCDF of any generation from bytes: what it holds, and arrays decoded by the CF conventions.

Nothing in a file is trusted: sizes are looked at before anything is read, only numbers and labels
are read at all, and a damaged file is refused.
"""

import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from stac import netcdf_classic
from stac.field_units import FieldFormatError

FLOAT = NDArray[np.float64]

LARGEST_FIELDS = 4 * 2**30
"""Most that the fields of one file may take as float64 [B]: 28 members of 4300 × 4300 cells."""
MAGIC = (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05")
_MOST_LABELS = 10_000
_SINCE = re.compile(
    r"^(?:(?P<scale>utc|gmt)\s+)?(?P<step>second|sec|s|minute|min|hour|hr|h|day|d)s?\s+since\s+"
    r"(?P<origin>.+)$",
    re.IGNORECASE,
)
_STEPS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0,
          "hr": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0}  # fmt: skip
_FARTHEST_S = 200.0 * 365.25 * 86400.0
_CALENDARS = ("", "standard", "gregorian", "proleptic_gregorian")
_ORIGINS = ("%H:%M:%S %d-%b-%Y", "%d-%b-%Y %H:%M:%S", "%d-%b-%Y", "%Y-%m-%d %H:%M:%S %z")


@dataclass(frozen=True)
class Array:
    """One variable of a NetCDF file; its values are read when asked for.

    Attributes
    ----------
    name : str
        Name in the file.
    dims : tuple of str
        Its dimensions.
    shape : tuple of int
        Its lengths.
    attributes : mapping
        As in the file.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: Mapping[str, Any]
    source: "netCDF4.Variable[Any]"
    file: str

    @property
    def unit(self) -> str:
        """Attribute ``units``, empty if there is none."""
        return text(self.attributes.get("units"))

    @property
    def is_number(self) -> bool:
        """Whether it holds integers or floating-point numbers."""
        kind = getattr(self.source.dtype, "kind", "")
        return isinstance(self.source.dtype, np.dtype) and kind in "iuf"

    @property
    def is_real(self) -> bool:
        """Whether its values are real numbers: floating-point, or packed as integers."""
        return self.is_number and (
            self.source.dtype.kind == "f" or "scale_factor" in self.attributes
        )

    def read(self, index: Any = Ellipsis) -> FLOAT:
        """Read values as float64: unpacked, NaN where missing or outside the valid range.

        Raises
        ------
        FieldFormatError
            Not numbers, more than `LARGEST_FIELDS`, or damaged.
        """
        if not self.is_number:
            msg = f"{self.file}: {self.name!r} does not hold numbers; name another variable"
            raise FieldFormatError(msg)
        require_size(self.shape, what=f"{self.file}: {self.name!r}")
        raw = self._raw(index)
        if text(self.attributes.get("_Unsigned")).lower() == "true":
            raw = raw.view(f"u{raw.dtype.itemsize}")
        missing = self._missing(raw)
        scale, offset = (self._number(name, value) for name, value in
                         (("scale_factor", 1.0), ("add_offset", 0.0)))  # fmt: skip
        values = np.array(raw, dtype=np.float64)
        # In place: fields of a continent take 1.4 GiB each.
        if (scale, offset) != (1.0, 0.0):
            values *= scale
            values += offset
        values[missing] = np.nan
        return values

    def labels(self) -> tuple[str, ...]:
        """Read a coordinate of text or numbers as words, one an entry."""
        if math.prod(self.shape) > _MOST_LABELS:
            msg = (
                f"{self.file}: {self.name!r} holds {math.prod(self.shape)} values, expected at "
                f"most {_MOST_LABELS} labels; check what the dimension is"
            )
            raise FieldFormatError(msg)
        raw = self._raw(Ellipsis)
        if raw.dtype == np.dtype("S1"):
            raw = netCDF4.chartostring(raw)
        if raw.dtype.kind in "iuf":
            return tuple(f"{value:g}" for value in np.atleast_1d(raw).tolist())
        return tuple(_label(value) for value in np.atleast_1d(raw).tolist())

    def _raw(self, index: Any) -> NDArray[Any]:
        try:
            return np.asarray(self.source[index])
        except (OSError, RuntimeError, IndexError, ValueError) as error:
            msg = f"{self.file}: {self.name!r} cannot be read ({error}); fetch the file again"
            raise FieldFormatError(msg) from error

    def _missing(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        """Say where packed values stand for "not measured", as CF 1.8, section 2.5.1, has it."""
        fills = [fill for name in ("_FillValue", "missing_value")
                 for fill in self._packed(name, raw.dtype)]  # fmt: skip
        if "_FillValue" not in self.attributes and raw.dtype.itemsize > 1:
            default = netCDF4.default_fillvals.get(raw.dtype.str[1:])
            fills += [] if default is None else [raw.dtype.type(default)]
        missing = np.isnan(raw) if raw.dtype.kind == "f" else np.zeros(raw.shape, dtype=bool)
        for fill in fills:
            missing |= raw == fill
        low, high = (self._packed(name, raw.dtype) for name in ("valid_min", "valid_max"))
        span = self._packed("valid_range", raw.dtype)
        if len(span) == 2:
            low, high = span[:1], span[1:]
        for bound in low:
            missing |= raw < bound
        for bound in high:
            missing |= raw > bound
        return np.asarray(missing)

    def _packed(self, name: str, dtype: np.dtype[Any]) -> list[Any]:
        """Return the values of an attribute in the type of the packed values."""
        found = np.atleast_1d(np.asarray(self.attributes.get(name, ())))
        if found.dtype.kind not in "iuf":
            return []
        if dtype.kind == "u" and found.dtype.kind == "i" and found.dtype.itemsize == dtype.itemsize:
            found = found.view(dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            return list(found.astype(dtype)) if dtype.kind == "f" else list(found)

    def _number(self, name: str, default: float) -> float:
        found = np.asarray(self.attributes.get(name, default))
        if found.size != 1 or found.dtype.kind not in "iuf":
            msg = (
                f"{self.file}: {self.name!r} has {name} {found.tolist()!r}, expected one number; "
                "correct the file"
            )
            raise FieldFormatError(msg)
        return float(found.reshape(-1)[0])


@dataclass(frozen=True)
class NetcdfFile:
    """An open file: its variables and its global attributes."""

    name: str
    arrays: Mapping[str, Array]
    attributes: Mapping[str, Any]

    def along(self, dim: str) -> Array | None:
        """Return the coordinate variable of a dimension, if there is one."""
        found = self.arrays.get(dim)
        return found if found is not None and found.dims[:1] == (dim,) else None


def is_netcdf(data: bytes) -> bool:
    """Say whether bytes begin as NetCDF does."""
    return data.startswith(MAGIC)


@contextmanager
def opened(data: bytes, *, name: str) -> Iterator[NetcdfFile]:
    """Open NetCDF.

    Parameters
    ----------
    data : bytes
        NetCDF 3 or 4.
    name : str
        File name, for messages.

    Raises
    ------
    FieldFormatError
        Not NetCDF, cut off or damaged.
    """
    _require_whole(data, name=name)
    # The library reads NetCDF 3 from files only.
    with tempfile.TemporaryDirectory(prefix="nunatak-netcdf-") as folder:
        path = Path(folder, "source.nc")
        path.write_bytes(data)
        try:
            dataset = netCDF4.Dataset(path)
            dataset.set_auto_maskandscale(False)
            arrays = {v.name: Array(v.name, v.dimensions, v.shape, _attributes(v), v, name)
                      for v in dataset.variables.values()}  # fmt: skip
            attributes = _attributes(dataset)
        except (OSError, RuntimeError, UnicodeDecodeError, AttributeError, KeyError) as error:
            reason = str(error).replace(f": '{path}'", "")
            msg = (
                f"{name} cannot be read as NetCDF ({reason}); it is damaged or cut off: fetch it "
                "again"
            )
            raise FieldFormatError(msg) from error
        try:
            yield NetcdfFile(name, arrays, attributes)
        finally:
            dataset.close()


def _require_whole(data: bytes, *, name: str) -> None:
    """Refuse NetCDF 3 that is shorter than its header says; HDF5 looks after itself."""
    if not data.startswith(b"CDF"):
        return
    try:
        needed = netcdf_classic.required_size(data)
    except ValueError as error:
        msg = f"{name} cannot be read as NetCDF ({error}); it is damaged or cut off: fetch it again"
        raise FieldFormatError(msg) from error
    if needed > len(data):
        msg = (
            f"{name} has {len(data)} bytes, expected {needed} by its header; it is cut off: fetch "
            "it again"
        )
        raise FieldFormatError(msg)


def require_size(shape: tuple[int, ...], *, what: str) -> None:
    """Refuse more cells than fit in memory as float64, before anything is read.

    Raises
    ------
    FieldFormatError
        More than `LARGEST_FIELDS`.
    """
    size = 8 * math.prod(shape)
    if size > LARGEST_FIELDS:
        msg = (
            f"{what} holds {' × '.join(map(str, shape))} values, {size / 2**30:.1f} GiB, expected "
            f"at most {LARGEST_FIELDS / 2**30:g} GiB; split it by member, or average it to larger "
            "cells"
        )
        raise FieldFormatError(msg)


def text(value: Any) -> str:
    """Return an attribute as text; nothing gives an empty one."""
    return "" if value is None else str(value).strip()


def decode_times(array: Array) -> NDArray[np.datetime64]:
    """Read times in UTC, to the microsecond.

    CF's ``seconds since 2000-01-01`` and CryoTEMPO's ``UTC seconds since 00:00:00 1-Jan-2000``,
    which xarray refuses, are understood.

    Returns
    -------
    ndarray of datetime64[ns], shape of the variable
        Not-a-time where missing.

    Raises
    ------
    FieldFormatError
        Other units, another calendar, a time scale that is not UTC, times centuries away.
    """
    step, origin = _time_unit(array)
    seconds = array.read() * step
    missing = np.isnan(seconds)
    if not (np.abs(seconds[~missing]) < _FARTHEST_S).all() or abs(origin.year - 1950) > 100:
        msg = (
            f"{array.file}: {array.name!r} holds times 200 years or more from "
            f"{origin:%Y-%m-%d}, its origin in {array.unit!r}; check values and unit"
        )
        raise FieldFormatError(msg)
    known = np.where(missing, 0.0, seconds)
    whole = np.floor(known)
    micro = whole.astype(np.int64) * 1_000_000 + np.round((known - whole) * 1e6).astype(np.int64)
    base = np.datetime64(origin.replace(tzinfo=None), "us")
    times = (base + micro.astype("timedelta64[us]")).astype("datetime64[ns]")
    return np.where(missing, np.datetime64("NaT", "ns"), times)


def _time_unit(array: Array) -> tuple[float, datetime]:
    """Return the step [s] and the origin of times."""
    matched = _SINCE.match(array.unit)
    calendar = text(array.attributes.get("calendar")).lower()
    origin = instant(matched["origin"]) if matched else None
    if matched is None or origin is None or calendar not in _CALENDARS:
        msg = (
            f"{array.file}: {array.name!r} has units {array.unit!r} and calendar {calendar!r}, "
            "expected UTC such as 'seconds since 2000-01-01 00:00:00' in the standard calendar; "
            "correct the units in the file"
        )
        raise FieldFormatError(msg)
    return _STEPS[matched["step"].lower()], origin


def instant(written: str) -> datetime | None:
    """Return an instant in UTC from ISO 8601 or from the forms that agencies write."""
    stamp = re.sub(r"\s*(UTC|GMT)$", "", written.strip(), flags=re.IGNORECASE)
    found: datetime | None = None
    try:
        found = datetime.fromisoformat(stamp)
    except ValueError:
        for form in _ORIGINS:
            try:
                found = datetime.strptime(stamp, form)  # noqa: DTZ007
                break
            except ValueError:
                continue
    if found is None:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _attributes(owner: "netCDF4.Dataset | netCDF4.Variable[Any]") -> dict[str, Any]:
    return {name: owner.getncattr(name) for name in owner.ncattrs()}


def _label(value: object) -> str:
    found = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return found.strip("\0 ")
