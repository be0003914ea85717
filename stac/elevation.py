"""Elevation: gridded rates of change, member by member, and digital elevation models.

Publishers grid ∂h/∂t from radar or laser altimetry, once or for an ensemble of re-trackers and
fits. A file may hold one member or many, along any dimensions; labels are joined by ``/``.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import xarray as xr

from stac import along_track, gridded, netcdf
from stac.field_units import FieldFormatError
from stac.gridded import FieldFile, Layer, Quantity
from stac.netcdf import text

RATE = Quantity(
    "elevation_rate",
    "m yr-1",
    ("dhdt", "dh_dt", "dh/dt", "dzdt", "dz_dt", "sec", "sec_rate", "height_change_rate",
     "elevation_change_rate", "surface_elevation_change_rate", "elevation_trend"),
    ("tendency_of_land_ice_surface_altitude", "tendency_of_surface_altitude"),
)  # fmt: skip
HEIGHT = Quantity(
    "surface_elevation",
    "m",
    ("elevation", "surface", "dem", "h", "z", "hs", "height", "surface_altitude", "usurf"),
    ("surface_altitude", "height_above_reference_ellipsoid", "height_above_geoid",
     "height_above_mean_sea_level"),
)  # fmt: skip
MEMBER_ATTRIBUTES = ("retracker", "fit")
"""Attributes of a file that holds one member, in the order of its label."""
REFERENCES = {
    "height_above_reference_ellipsoid": "ellipsoid",
    "surface_altitude": "geoid",
    "height_above_geoid": "geoid",
    "height_above_mean_sea_level": "geoid",
}


def read_elevation(data: bytes, *, name: str) -> xr.Dataset:
    """Read gridded elevation rates, or a granule of elevations along a track.

    Which of the two a file is shows in what it holds, not in its name. See `read_rates` and
    `along_track.read_granule` for what comes back.

    Raises
    ------
    FieldFormatError
        Neither, on an unknown grid, in an unknown unit, or damaged.
    """
    if netcdf.is_netcdf(data):
        with netcdf.opened(data, name=name) as file:
            if along_track.is_granule(file):
                return along_track.granule(file)
    return read_rates(data, name=name)


def read_rates(data: bytes, *, name: str) -> xr.Dataset:
    """Read rates of elevation change on a grid in EPSG:3031.

    Parameters
    ----------
    data : bytes
        NetCDF or GeoTIFF; the bands of a GeoTIFF are members, labelled by their descriptions.
    name : str
        File name, for messages; its stem labels a member that nothing else labels.

    Returns
    -------
    xarray.Dataset
        ``elevation_rate`` (member, y, x) [m yr⁻¹], NaN where missing; ``member`` as text such as
        ``TFMRA/M1``; attributes ``member_dimensions`` (``retracker/fit``), ``time_start`` and
        ``time_end`` (exclusive, empty if the file does not tell).

    Raises
    ------
    FieldFormatError
        No rates or several candidates, an unknown grid or unit, series of times, or damaged.
    """
    with gridded.opened(data, name=name) as file:
        layers = _rate_layers(file)
        dimensions, labels = _members(file, layers)
        axes, rates = gridded.read_members(file, layers, unit=RATE.unit)
        attributes = {
            "member_dimensions": dimensions,
            **gridded.period(file),
            "source_variable": ", ".join(layer.name for layer in layers),
        }
        fields = {RATE.name: (("member", "y", "x"), rates, RATE.unit)}
        made = gridded.dataset(axes, fields, attributes)
        return made.assign_coords(member=("member", np.array(labels)))


def read_surface_elevation(data: bytes, *, name: str) -> xr.Dataset:
    """Read a digital elevation model on a grid in EPSG:3031.

    Returns
    -------
    xarray.Dataset
        ``surface_elevation`` (y, x) [m]; attribute ``height_reference`` is ``ellipsoid``,
        ``geoid`` or, where the file does not tell, ``unknown``.

    Raises
    ------
    FieldFormatError
        No elevation or several candidates, an unknown grid or unit, or damaged.
    """
    with gridded.opened(data, name=name) as file:
        layer = file.choose(HEIGHT, only=True)
        axes, height = gridded.read_field(file, layer, unit=HEIGHT.unit)
        attributes = {
            "height_reference": REFERENCES.get(layer.standard_name, "unknown"),
            **gridded.period(file),
            "source_variable": layer.name,
        }
        return gridded.dataset(axes, {HEIGHT.name: (("y", "x"), height, HEIGHT.unit)}, attributes)


def _rate_layers(file: FieldFile) -> Sequence[Layer]:
    """Return the one variable of rates, or all bands."""
    if not file.is_banded:
        return (file.choose(RATE, only=True),)
    return file.layers


def _members(file: FieldFile, layers: Sequence[Layer]) -> tuple[str, list[str]]:
    """Return what tells members apart, and a label for each, in the order of the file."""
    leading = layers[0].leading
    if leading:
        grid = np.stack(np.meshgrid(*(labels for _, labels in leading), indexing="ij"), axis=-1)
        labels = ["/".join(map(_word, row)) for row in grid.reshape(-1, len(leading))]
        dimensions = "/".join(_word(dim) for dim, _ in leading)
    elif len(layers) > 1:
        dimensions, labels = "band", [_word(layer.name) for layer in layers]
    else:
        dimensions, labels = _only_member(file)
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated or not all(labels):
        found = f"label {', '.join(repeated)} more than once" if repeated else "an empty label"
        msg = (
            f"{file.name} gives members the {found}, expected one of its own for each; correct "
            f"the coordinates {dimensions}"
        )
        raise FieldFormatError(msg)
    return dimensions, labels


def _only_member(file: FieldFile) -> tuple[str, list[str]]:
    """Label the member of a file by attributes such as ``retracker``, else by the file's stem."""
    given = {str(key).lower(): _word(text(value)) for key, value in file.attributes.items()}
    named = [name for name in MEMBER_ATTRIBUTES if given.get(name)]
    if named:
        return "/".join(named), ["/".join(given[name] for name in named)]
    return "file", [_word(PurePosixPath(file.name).stem)]


def _word(label: str) -> str:
    """Return a label without blanks and slashes, which separate labels.

    >>> _word("threshold 20 / peak")
    'threshold_20_-_peak'
    """
    return "_".join(label.replace("/", "-").split())
