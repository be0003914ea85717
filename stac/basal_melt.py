"""Melting at the base of the ice on grids in EPSG:3031; positive where ice melts."""

import numpy as np
import xarray as xr

from stac import gridded
from stac.field_units import FieldFormatError, factor
from stac.gridded import FieldFile, Layer, Quantity
from stac.polar_axes import PolarAxes

ICE_DENSITY = 917.0
"""Density of the ice that rates in metres are of [kg m⁻³] (Yang et al. 2023, section 2)."""
MASS_RATE = "kg m-2 yr-1"
HEIGHT_RATE = "m yr-1"
MELT = Quantity(
    "basal_melt_rate", MASS_RATE,
    ("basal_melt", "bmelt", "melt_rate", "meltrate", "basal_melting", "melt",
     "basal_melt_rate_grounded", "basalforcingsgroundedicemeltingrate"),
)  # fmt: skip
BALANCE = Quantity(
    "basal_mass_balance", MASS_RATE,
    ("libmassbfgr", "libmassbf"),
    ("land_ice_basal_specific_mass_balance_flux",),
)  # fmt: skip
"""CF's and ISMIP6's quantity: what ice gains below, so melting is negative."""


def read_basal_melt(data: bytes, *, name: str) -> xr.Dataset:
    """Read the rate of melting at the base.

    Parameters
    ----------
    data : bytes
        NetCDF, or a GeoTIFF with a band of melting.
    name : str
        File name, for messages.

    Returns
    -------
    xarray.Dataset
        ``basal_melt_rate`` (y, x) [kg m⁻² yr⁻¹], positive where ice melts, NaN where unknown;
        attributes ``source_variable``, ``source_unit``, ``time_start``, ``time_end``.

    Raises
    ------
    FieldFormatError
        No melting or several candidates, an unknown grid or unit, a series of times, a map that
        freezes everywhere, or damaged.

    Notes
    -----
    Metres and millimetres are of ice (917 kg m⁻³) unless the unit says water (``mm w.e.``).
    A variable by the CF name of the basal mass balance changes its sign.
    """
    with gridded.opened(data, name=name) as file:
        layer, sign = _melt_layer(file)
        axes, rate = _mass_rate(file, layer)
        rate *= sign
        if (rate[np.isfinite(rate)] <= 0.0).all() and np.nanmin(rate) < 0.0:
            msg = (
                f"{name}: {layer.name!r} is negative wherever it is not zero (down to "
                f"{np.nanmin(rate):g} {MASS_RATE}), expected melting to be positive; change its "
                f"sign, or call it {BALANCE.names[0]!r} if it is what the ice gains"
            )
            raise FieldFormatError(msg)
        told = {"source_variable": layer.name, "source_unit": layer.unit}
        fields = {MELT.name: (("y", "x"), rate, MASS_RATE)}
        return gridded.dataset(axes, fields, gridded.period(file) | told)


def _melt_layer(file: FieldFile) -> tuple[Layer, float]:
    """Return the layer and the sign that makes melting positive."""
    found = file.find(MELT)
    if found is not None:
        return found, 1.0
    balance = file.find(BALANCE)
    if balance is not None:
        return balance, -1.0
    return file.choose(MELT, only=True), 1.0


def _mass_rate(file: FieldFile, layer: Layer) -> tuple[PolarAxes, gridded.FLOAT]:
    """Read a rate of mass, or of height of ice as mass."""
    what = f"{file.name}: {layer.name!r}"
    try:
        factor(layer.unit, MASS_RATE, what=what)
    except FieldFormatError:
        axes, height = gridded.read_field(file, layer, unit=HEIGHT_RATE)
        return axes, height * ICE_DENSITY
    return gridded.read_field(file, layer, unit=MASS_RATE)
