"""Trends that snowfall and firn give the surface over a run's period, from models.

Sasgen et al. (2019), equation A1: ∂h_S/∂t, the rate of the surface by snowfall and compaction, and
∂σ_SMB/∂t, the rate of mass by the anomaly of the surface mass balance.
"""

import xarray as xr

from stac import gridded
from stac.field_units import FieldFormatError
from stac.gridded import FieldFile, Quantity

HEIGHT_RATE = Quantity(
    "surface_elevation_rate",
    "m yr-1",
    ("dh_s_dt", "dhsdt", "dhs_dt", "firn_elevation_rate", "firn_dhdt", "dh_firn", "fdm_dhdt",
     "surface_height_rate"),
)  # fmt: skip
MASS_RATE = Quantity(
    "surface_mass_rate",
    "kg m-2 yr-1",
    ("dsigma_smb_dt", "smb_rate", "smb_trend", "smb_anomaly_rate", "dsmbdt", "cumulated_smb_trend",
     "cumulative_smb_trend"),
)  # fmt: skip


def read_surface_processes(data: bytes, *, name: str) -> xr.Dataset:
    """Read both modelled rates, which one file must hold.

    Parameters
    ----------
    data : bytes
        NetCDF, or a GeoTIFF with two bands whose descriptions are the two names.
    name : str
        File name, for messages.

    Returns
    -------
    xarray.Dataset
        ``surface_elevation_rate`` (y, x) [m yr⁻¹] and ``surface_mass_rate`` (y, x)
        [kg m⁻² yr⁻¹], NaN where missing.

    Raises
    ------
    FieldFormatError
        One of them is missing, a series of times, an unknown grid or unit, or damaged.
    """
    with gridded.opened(data, name=name) as file:
        wanted = HEIGHT_RATE, MASS_RATE
        if any(file.find(each) is None for each in wanted):
            _refuse_series(file)
        layers = {each.name: file.choose(each) for each in wanted}
        return gridded.read_together(file, layers, units={q.name: q.unit for q in wanted})


def _refuse_series(file: FieldFile) -> None:
    """Tell a file of monthly fields what is wanted instead of them."""
    for layer in file.layers:
        try:
            _ = layer.leading
        except FieldFormatError as error:
            names = (
                f"{HEIGHT_RATE.name} [{HEIGHT_RATE.unit}] and {MASS_RATE.name} [{MASS_RATE.unit}]"
            )
            msg = f"{error}; expected rates over the run's period: {names}"
            raise FieldFormatError(msg) from error
