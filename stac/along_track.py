"""Elevations along the tracks of an altimeter: ESA's CryoTEMPO land ice granules.

A granule is known by what it holds: latitude, longitude, time and elevation along one dimension.
What its own attributes say of missing values and of surface types is applied, and the number of
points that this drops is kept with the data.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pyproj
import xarray as xr
from numpy.typing import NDArray

from stac import netcdf
from stac.field_units import FieldFormatError, factor
from stac.grids import GEOGRAPHIC, POLAR
from stac.netcdf import Array, NetcdfFile, text

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

NORTHERNMOST = -50.0
NEEDED = ("latitude", "longitude", "time", "elevation")
LENGTHS = {"uncertainty": "uncertainty", "reference_dem": "reference_elevation"}
"""Optional variables in metres: name in the file, name in our dataset."""
ICE = ("grounded_ice", "floating_ice")
MODES = {"lrm": 1, "sar": 2, "sarin": 3}
SURFACES = {"grounded_ice": 1, "floating_ice": 2}
_RETRACKER = re.compile(r"\(([\w -]+?)\s+re-?tracker\)", re.IGNORECASE)
_FLAG = re.compile(r"[\w.+-]+(?:\([^)]*\))?")


def is_granule(file: NetcdfFile) -> bool:
    """Say whether a file holds elevations along a track."""
    found = [file.arrays.get(name) for name in NEEDED]
    dims = {array.dims for array in found if array is not None}
    return None not in found and len(dims) == 1 and len(dims.pop()) == 1


def read_granule(data: bytes, *, name: str) -> xr.Dataset:
    """Read a granule of elevations along a track.

    Parameters
    ----------
    data : bytes
        NetCDF as ESA CryoTEMPO publishes it.
    name : str
        File name, for messages.

    Returns
    -------
    xarray.Dataset
        Over ``point``: ``x``, ``y`` in EPSG:3031 [m], ``elevation`` above the ellipsoid [m],
        ``time`` in UTC; where the file has them ``uncertainty`` [m], ``reference_elevation`` of
        the product's DEM [m], ``instrument_mode`` (1 LRM, 2 SAR, 3 SARIn, 0 not known) and
        ``surface_type`` (1 grounded, 2 floating ice). Attributes ``source_product``,
        ``retracker``, ``time_start``, ``time_end`` (exclusive), ``points_in_file``, ``dropped``.

    Raises
    ------
    FieldFormatError
        No granule, not of Antarctica, no point with an elevation on ice, or damaged.
    """
    with netcdf.opened(data, name=name) as file:
        if not is_granule(file):
            lacking = ", ".join(each for each in NEEDED if each not in file.arrays)
            msg = (
                f"{name} lacks {lacking or 'a track'}, "
                f"expected {', '.join(NEEDED)} along one dimension, as CryoTEMPO land ice granules "
                "have them; ingest gridded rates as elevation-rate"
            )
            raise FieldFormatError(msg)
        return granule(file)


def granule(file: NetcdfFile) -> xr.Dataset:
    """Convert an open granule; see `read_granule`."""
    elevation = _metres(file, "elevation")
    latitude, longitude = (_degrees(file, name) for name in ("latitude", "longitude"))
    time = netcdf.decode_times(file.arrays["time"])
    kept, dropped = _usable(file, elevation, latitude, longitude, time)
    _require_antarctic(latitude[kept], file.name)
    to_polar = pyproj.Transformer.from_crs(GEOGRAPHIC, POLAR, always_xy=True)
    x, y = to_polar.transform(longitude[kept], latitude[kept])
    arrays = {"x": x, "y": y, "elevation": elevation[kept]}
    arrays |= {ours: _metres(file, theirs)[kept] for theirs, ours in LENGTHS.items()
               if _has(file, theirs)}  # fmt: skip
    made = {name: ("point", values, {"units": "m"}) for name, values in arrays.items()}
    made["time"] = ("point", time[kept], {})
    made |= {name: ("point", _codes(file, name, codes)[kept], _told(codes))
             for name, codes in (("instrument_mode", MODES), ("surface_type", SURFACES))
             if _has(file, name)}  # fmt: skip
    return xr.Dataset(made, attrs=_attributes(file, time[kept], dropped))


def _has(file: NetcdfFile, name: str) -> bool:
    array = file.arrays.get(name)
    return array is not None and array.is_number and array.dims == file.arrays["elevation"].dims


def _metres(file: NetcdfFile, name: str) -> FLOAT:
    array = file.arrays[name]
    return array.read() * factor(array.unit, "m", what=f"{file.name}: {name!r}")


def _degrees(file: NetcdfFile, name: str) -> FLOAT:
    array = file.arrays[name]
    if not array.unit.lower().startswith("degree"):
        msg = (
            f"{file.name}: {name!r} is in {array.unit!r}, expected degrees; correct its units in "
            "the file"
        )
        raise FieldFormatError(msg)
    return array.read()


def _usable(
    file: NetcdfFile,
    elevation: FLOAT,
    latitude: FLOAT,
    longitude: FLOAT,
    time: NDArray[np.datetime64],
) -> tuple[BOOL, str]:
    """Return which points are measurements of ice, and in words how many are not, and why."""
    reasons = {
        "without an elevation": ~np.isfinite(elevation),
        "without a place or time": ~np.isfinite(latitude + longitude) | np.isnat(time),
        **_off_ice(file),
    }
    kept = np.ones(elevation.shape, dtype=bool)
    told = []
    for reason, drop in reasons.items():
        count = int(np.count_nonzero(kept & drop))
        kept &= ~drop
        told += [f"{count} {reason}"] if count else []
    if not kept.any():
        msg = (
            f"{file.name}: none of {kept.size} points can be used ({', '.join(told) or 'empty'}), "
            "expected elevations of ice; leave this granule out"
        )
        raise FieldFormatError(msg)
    return kept, f"{', '.join(told)} of {kept.size} points" if told else "none"


def _off_ice(file: NetcdfFile) -> dict[str, BOOL]:
    """Return for each surface that is no ice which points lie on it, as the file's flags say."""
    if not _has(file, "surface_type"):
        return {}
    array = file.arrays["surface_type"]
    values, flags = array.read(), _flags(array)
    if flags and not set(flags.values()) & set(ICE):
        msg = (
            f"{file.name}: 'surface_type' means {', '.join(flags.values())}, expected "
            f"{' and '.join(ICE)} among them; this is no land ice granule"
        )
        raise FieldFormatError(msg)
    other = {
        f"on {meaning.split('(')[0]}": values == flag
        for flag, meaning in flags.items() if meaning not in ICE
    }  # fmt: skip
    known = np.isin(values, list(flags)) if flags else np.ones(values.shape, dtype=bool)
    return {**other, "on an unknown surface": ~known}


def _flags(array: Array) -> dict[int, str]:
    """Return the meaning of each flag; CryoTEMPO writes the values as text, ``1b, 2b, 3b``."""
    given = array.attributes.get("flag_values")
    values: Iterable[object] = (
        re.findall(r"-?\d+", given) if isinstance(given, str) else np.atleast_1d(given).tolist()
    ) if given is not None else ()  # fmt: skip
    meanings = _FLAG.findall(text(array.attributes.get("flag_meanings")))
    flags = [int(str(value)) for value in values]
    if len(flags) != len(meanings):
        msg = (
            f"{array.file}: {array.name!r} has {len(flags)} flag_values and {len(meanings)} "
            "flag_meanings, expected a meaning for each; correct these attributes"
        )
        raise FieldFormatError(msg)
    return dict(zip(flags, meanings, strict=True))


def _codes(file: NetcdfFile, name: str, codes: Mapping[str, int]) -> NDArray[np.int8]:
    """Return flags by our codes; 0 where the meaning is none of them."""
    array = file.arrays[name]
    values = array.read()
    coded = np.zeros(values.shape, dtype=np.int8)
    for flag, meaning in _flags(array).items():
        coded[values == flag] = codes.get(meaning.lower(), 0)
    return coded


def _told(codes: Mapping[str, int]) -> dict[str, str]:
    # Not CF flags: those stand for text in our stores.
    return {"codes": ", ".join(f"{code} {name}" for name, code in codes.items())}


def _require_antarctic(latitude: FLOAT, name: str) -> None:
    if latitude.max() > NORTHERNMOST or latitude.min() < -90.0:
        msg = (
            f"{name} lies between {latitude.min():.2f}° and {latitude.max():.2f}° of latitude, "
            f"expected Antarctica, south of {NORTHERNMOST:g}°; leave this granule out"
        )
        raise FieldFormatError(msg)


def _attributes(
    file: NetcdfFile, time: NDArray[np.datetime64], dropped: str
) -> dict[str, str | int]:
    title = text(file.attributes.get("title")) or "along-track elevations"
    baseline = text(file.attributes.get("product_baseline"))
    matched = _RETRACKER.search(text(file.arrays["elevation"].attributes.get("long_name")))
    start, end = (edge.astype("datetime64[s]") for edge in (time.min(), time.max()))
    return {
        "source_product": f"{title}, baseline {baseline}" if baseline else title,
        "platform": text(file.attributes.get("platform")),
        "retracker": matched[1] if matched else text(file.attributes.get("retracker")),
        "time_start": str(start),
        "time_end": str(end + np.timedelta64(1, "s")),
        "points_in_file": int(file.arrays["elevation"].shape[0]),
        "dropped": dropped,
    }
