"""Published gravity files, recognised by what they hold; their names are not believed."""

import xarray as xr

from stac import gravity_fields, gravity_geocentre, gravity_low_degrees, gravity_tables
from stac.gravity_text import GravityFormatError, text_of

__all__ = [
    "GravityFormatError",
    "read_degree_one",
    "read_gia",
    "read_gravity_field",
    "read_love_numbers",
    "read_low_degrees",
]


def read_gravity_field(data: bytes, *, name: str) -> xr.Dataset:
    """Read a gravity field of any published format, compressed or not.

    Parameters
    ----------
    data : bytes
        A GRACE Level-2 ``GSM`` of RL06 (YAML header) or earlier, or an ICGEM ``.gfc``.
    name : str
        Name of the file, for messages.

    Returns
    -------
    xarray.Dataset
        ``stokes`` and ``stokes_sigma`` (part, degree, order) [1], for ``.gfc`` with time-variable
        records also ``stokes_trend`` [yr⁻¹], ``stokes_cosine`` and ``stokes_sine`` [1].

    Raises
    ------
    GravityFormatError
        None of these, or damaged.
    """
    text = text_of(data, name=name)
    if gravity_fields.YAML_END in text:
        return gravity_fields.read_yaml_gsm(text, name=name)
    if gravity_fields.GFC_END.search(text):
        return gravity_fields.read_gfc(text, name=name)
    if gravity_fields.OLD_HEADER.search(text):
        return gravity_fields.read_old_gsm(text, name=name)
    start = text[:40].decode("latin-1")
    msg = (
        f"{name}: begins {start!r} and has no header that is known; expected '# End of YAML "
        "header' (RL06), FIRST/EARTH/SHM and GRCOF2 rows (RL05), or 'end_of_head' (ICGEM)"
    )
    raise GravityFormatError(msg)


def read_degree_one(data: bytes, *, name: str) -> xr.Dataset:
    """Read a geocentre series: TN-13, or the RL05 layout of Swenson et al. (2008).

    Returns
    -------
    xarray.Dataset
        ``value`` and ``sigma`` (time, coefficient) [1] of C10, C11 and S11.

    Raises
    ------
    GravityFormatError
        None of these, or damaged.
    """
    return gravity_geocentre.degree_one(text_of(data, name=name), name=name)


def read_low_degrees(data: bytes, *, name: str) -> xr.Dataset:
    """Read a series of C20, and C30 where given: TN-14, or TN-07.

    Returns
    -------
    xarray.Dataset
        ``value`` and ``sigma`` (time, coefficient) [1]; NaN where not given.

    Raises
    ------
    GravityFormatError
        None of these, or damaged.
    """
    return gravity_low_degrees.low_degrees(text_of(data, name=name), name=name)


def read_love_numbers(data: bytes, *, name: str) -> xr.Dataset:
    """Read load Love numbers: Han & Wahr (1995), Gegout (2005) or Wang et al. (2012).

    Returns
    -------
    xarray.Dataset
        ``h``, ``l`` and ``k`` (degree) [1], in the CE frame.

    Raises
    ------
    GravityFormatError
        None of these, or damaged.
    """
    return gravity_tables.love_numbers(text_of(data, name=name), name=name)


def read_gia(data: bytes, *, name: str) -> xr.Dataset:
    """Read Stokes rates of a model of glacial isostatic adjustment: rows of j, m, C and S.

    Returns
    -------
    xarray.Dataset
        ``stokes_rate`` (part, degree, order) [yr⁻¹].

    Raises
    ------
    GravityFormatError
        Not such a table, or damaged.
    """
    return gravity_tables.gia(text_of(data, name=name), name=name)
