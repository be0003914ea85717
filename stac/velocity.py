"""Ice velocity on grids in EPSG:3031."""

import xarray as xr

from stac import gridded
from stac.gridded import Quantity

UNIT = "m yr-1"
V_X = Quantity(
    "v_x", UNIT, ("vx", "u_surf", "uvelsurf", "velocity_x"),
    ("land_ice_surface_x_velocity", "land_ice_x_velocity"),
)  # fmt: skip
V_Y = Quantity(
    "v_y", UNIT, ("vy", "v_surf", "vvelsurf", "velocity_y"),
    ("land_ice_surface_y_velocity", "land_ice_y_velocity"),
)  # fmt: skip
SIGMA = (
    Quantity("v_x_sigma", UNIT, ("errx", "vx_err", "vx_error", "vx_sigma", "sigma_vx")),
    Quantity("v_y_sigma", UNIT, ("erry", "vy_err", "vy_error", "vy_sigma", "sigma_vy")),
)


def read_velocity(data: bytes, *, name: str) -> xr.Dataset:
    """Read both components of the velocity, along the axes of EPSG:3031.

    Parameters
    ----------
    data : bytes
        NetCDF, or a GeoTIFF with two bands whose descriptions are ``v_x`` and ``v_y``.
    name : str
        File name, for messages.

    Returns
    -------
    xarray.Dataset
        ``v_x`` and ``v_y`` (y, x) [m yr⁻¹], NaN where missing; ``v_x_sigma`` and ``v_y_sigma``
        [m yr⁻¹] where the file has them.

    Raises
    ------
    FieldFormatError
        A component that is missing or may be several, an unknown grid or unit, or damaged.
    """
    with gridded.opened(data, name=name) as file:
        layers = {each.name: file.choose(each) for each in (V_X, V_Y)}
        for each in SIGMA:
            if (found := file.find(each)) is not None:
                layers[each.name] = found
        return gridded.read_together(file, layers, units=dict.fromkeys(layers, UNIT))
