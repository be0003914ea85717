"""Fields on grids of EPSG:3031 as NetCDF files in publishers' own layouts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

FLOAT = NDArray[np.float64]


def write(
    path: Path,
    x: FLOAT,
    y: FLOAT,
    fields: Mapping[str, FLOAT],
    *,
    units: Mapping[str, str],
    title: str,
    fill: float | None = None,
    kinds: Mapping[str, str] | None = None,
    **attributes: str,
) -> Path:
    """Write fields (y, x) as float32 or as named; a file that exists is replaced.

    Parameters
    ----------
    path : Path
        File to write.
    x, y : ndarray, shapes (nx,), (ny,)
        Centres of cells in EPSG:3031 [m].
    fields : mapping of str to ndarray, shape (ny, nx)
        By the publisher's name.
    units : mapping of str to str
        As the publisher writes them; empty for none.
    title : str
        Title of the file.
    fill : float, optional
        ``_FillValue`` of every field but those of one byte, which are classes.
    kinds : mapping of str to str, optional
        Types of fields that are not ``f4``: ``i1`` or ``i2``.
    **attributes
        Global attributes.

    Returns
    -------
    Path
        The same path.
    """
    path.unlink(missing_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"Conventions": "CF-1.6", "title": title} | attributes)
        for name, values in (("y", y), ("x", x)):
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "f8", (name,))
            axis.setncatts({"units": "m", "standard_name": f"projection_{name}_coordinate"})
            axis[:] = values
        mapping = file.createVariable("coord_system", "i4")
        mapping.setncatts({k: v for k, v in CRS.from_epsg(3031).to_cf().items() if _is_plain(v)})
        for name, values in fields.items():
            kind = (kinds or {}).get(name, "f4")
            _field(file, name, values, units.get(name, ""), None if kind == "i1" else fill,
                   kind=kind)  # fmt: skip
    return path


def _field(
    file: Any, name: str, values: FLOAT, unit: str, fill: float | None, *, kind: str
) -> None:
    made = file.createVariable(
        name, kind, ("y", "x"), zlib=True, complevel=4, shuffle=True, fill_value=fill,
        chunksizes=tuple(min(256, n) for n in values.shape),
    )  # fmt: skip
    made.set_auto_maskandscale(False)
    made.grid_mapping = "coord_system"
    if unit:
        made.units = unit
    made[:] = np.round(values, 3 if kind == "f4" else 0).astype(kind)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)
