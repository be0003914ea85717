"""Ice velocity on grids in EPSG:3031: both components in m yr⁻¹, and what their product promises.

Readers of published maps meet three traps, which are settled here. MEaSUREs writes 0 for "not
measured", so a component that is truly 0 looks missing (`settle_zeros`). Units differ (m/yr, m/day,
m/s), or are wrong (`require_plausible`). Frame, year and meaning of the uncertainty stand in
guides, not in files (`stac.velocity_products`).
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import geotiff, gridded, velocity_products
from stac.field_units import FieldFormatError
from stac.gridded import FieldFile, Layer, Quantity
from stac.velocity_products import Recognised

FLOAT = NDArray[np.float64]

UNIT = "m yr-1"
V_X = Quantity(
    "v_x", UNIT,
    ("vx", "u_surf", "uvelsurf", "velocity_x", "land_ice_surface_easting_velocity"),
    ("land_ice_surface_x_velocity", "land_ice_x_velocity"),
)  # fmt: skip
V_Y = Quantity(
    "v_y", UNIT,
    ("vy", "v_surf", "vvelsurf", "velocity_y", "land_ice_surface_northing_velocity"),
    ("land_ice_surface_y_velocity", "land_ice_y_velocity"),
)  # fmt: skip
SIGMA = (
    Quantity("v_x_sigma", UNIT, ("errx", "vx_err", "vx_error", "vx_sigma", "sigma_vx",
             "land_ice_surface_easting_stddev", "land_ice_surface_easting_velocity_std")),
    Quantity("v_y_sigma", UNIT, ("erry", "vy_err", "vy_error", "vy_sigma", "sigma_vy",
             "land_ice_surface_northing_stddev", "land_ice_surface_northing_velocity_std")),
)  # fmt: skip
COUNT = Quantity("count", "1", ("cnt",))
FASTEST = 20_000.0
"""Nothing on the ice sheet is faster [m yr⁻¹]; ITS_LIVE drops what is (guide of NSIDC-0776)."""
SLOWEST_MAXIMUM = 1e-3
"""A map whose fastest ice is slower than this is in another unit [m yr⁻¹]."""
TIFFS = (".tif", ".tiff")
FIRST_COMPONENT = "_vx"
COMPONENTS = ("vx", "vy", "vx_err", "vy_err", "vx_error", "vy_error")
COMPANIONS = frozenset(
    (*COMPONENTS, "v", "v_err", "v_error", "count", "date", "dt", "chip_size_max", "ice", "rock",
     "ocean", "landice", "floatingice")
)  # fmt: skip
"""What ITS_LIVE publishes beside v_x, a file each."""


def read_velocity(data: bytes, *, name: str) -> xr.Dataset:
    """Read both components of the velocity, along the axes of EPSG:3031.

    Parameters
    ----------
    data : bytes
        NetCDF, or a GeoTIFF with two bands whose descriptions are ``v_x`` and ``v_y``.
    name : str
        File name, which tells product and period of files that keep their publisher's name.

    Returns
    -------
    xarray.Dataset
        ``v_x`` and ``v_y`` (y, x) [m yr⁻¹], NaN where missing; ``v_x_sigma`` and ``v_y_sigma``
        [m yr⁻¹] where the file has them. Attributes ``product``, ``doi``, ``velocity_frame``,
        ``year_definition``, ``sigma_kind`` (see `stac.velocity_products`), ``time_start`` and
        ``time_end``.

    Raises
    ------
    FieldFormatError
        A component that is missing or may be several, an unknown grid or unit, impossible speeds,
        or damaged.

    Notes
    -----
    The first maps of MEaSUREs hold one error of the speed, ``err``. It stands for that of either
    component, which it bounds from above.
    """
    with gridded.opened(data, name=name) as file:
        if file.is_banded and len(file.layers) == 1:
            _refuse_single(file)
        return _read(file)


def read_components(parts: Mapping[str, bytes], *, name: str) -> xr.Dataset:
    """Read a map whose components are GeoTIFFs of their own, as ITS_LIVE publishes them.

    Parameters
    ----------
    parts : mapping of str to bytes
        Each file by the end of its name: ``_vx.tif``, ``_vy.tif``, perhaps ``_vx_error.tif``.
    name : str
        Name of the file of v_x.

    Returns
    -------
    xarray.Dataset
        As from `read_velocity`.
    """
    with _together(parts, name=name) as file:
        return _read(file)


def sibling_names(name: str) -> dict[str, str]:
    """Return the files that may complete the one of v_x, by the end of their names; none for any.

    >>> sibling_names("ANT_G0240_2015_vx.tif")["_vy.tif"]
    'ANT_G0240_2015_vy.tif'
    >>> sibling_names("velocity.tif")
    {}
    """
    stem, suffix = _split(name)
    if suffix.lower() not in TIFFS or not stem.lower().endswith(FIRST_COMPONENT):
        return {}
    base, first = stem[: -len(FIRST_COMPONENT)], stem[-len(FIRST_COMPONENT) :]
    ends = [f"_{each}" for each in COMPONENTS if f"_{each}" != FIRST_COMPONENT]
    if first.isupper():
        ends = [end.upper() for end in ends]
    return {f"{end.lower()}{suffix.lower()}": f"{base}{end}{suffix}" for end in ends}


def without_companions(names: list[str]) -> list[str]:
    """Leave out files that belong to the one of v_x beside them: other components, speed, counts.

    >>> without_companions(["a_count.tif", "a_v.tif", "a_vx.tif", "a_vy.tif", "b.tif"])
    ['a_vx.tif', 'b.tif']
    """
    heads = {_split(name)[0][:-2] for name in names if sibling_names(name)}

    def is_companion(name: str) -> bool:
        stem, suffix = _split(name)
        ends = (stem.removeprefix(head) for head in heads if stem.startswith(head))
        return suffix.lower() in TIFFS and any(end.lower() in COMPANIONS for end in ends)

    return [name for name in names if sibling_names(name) or not is_companion(name)]


@contextmanager
def _together(parts: Mapping[str, bytes], *, name: str) -> Iterator[FieldFile]:
    """Open files of one band each as bands of one file."""
    with ExitStack() as stack:
        bands, attributes = [], dict[str, str]()
        for end, data in parts.items():
            held, tags = stack.enter_context(geotiff.opened(data, name=f"{name} with {end}"))
            if len(held) != 1:
                msg = (
                    f"{name}: {end} holds {len(held)} bands, expected one, the component that its "
                    "name tells; put both components into one file with described bands"
                )
                raise FieldFormatError(msg)
            bands.append(replace(held[0], name=_split(end)[0].removeprefix("_")))
            attributes |= tags
        yield FieldFile(name, tuple(bands), attributes, is_banded=True)


def _split(name: str) -> tuple[str, str]:
    suffix = PurePosixPath(name).suffix
    return name[: len(name) - len(suffix)], suffix


def _refuse_single(file: FieldFile) -> None:
    """Say what to do with one component."""
    layer, name = file.layers[0], file.name
    msg = (
        f"{name} holds {layer.name} [{layer.unit or 'no unit'}]; expected both 'v_x' and 'v_y'; "
        "where each has a file, keep the files beside each other as NAME_vx.tif and NAME_vy.tif "
        "and ingest NAME_vx.tif"
    )
    raise FieldFormatError(msg)


def _read(file: FieldFile) -> xr.Dataset:
    """Read what a file holds and settle what its product leaves open."""
    told = gridded.period(file)
    known = velocity_products.recognise(
        file.name, file.attributes, (told["time_start"], told["time_end"])
    )
    entry = known.entry
    layers = {
        key: layer.documented(unit=entry.unit, crs=entry.crs, zeros=key in {V_X.name, V_Y.name})
        for key, layer in _layers(file, known).items()
    }
    made = gridded.read_together(file, layers, units=dict.fromkeys(layers, UNIT))
    components = [each for each in map(file.choose, (V_X, V_Y)) if each.has_zero_fill]
    if entry.zero_is_missing or components:
        settle_zeros(*_components(made), _count(file, made) if _has_single_zeros(made) else None)
        for each in (sigma.name for sigma in SIGMA if sigma.name in made):
            values = made[each].to_numpy()
            values[values == 0.0] = np.nan
    require_plausible(*_components(made), what=file.name)
    return made.assign_attrs(_promises(known, has_sigma=any(s.name in made for s in SIGMA)))


def _layers(file: FieldFile, known: Recognised) -> dict[str, Layer]:
    layers = {each.name: file.choose(each) for each in (V_X, V_Y)}
    for each in SIGMA:
        shared = known.entry.shared_sigma
        wanted = replace(each, names=(*each.names, shared)) if shared else each
        if (found := file.find(wanted)) is not None:
            layers[each.name] = found
    return layers


def _components(made: xr.Dataset) -> tuple[FLOAT, FLOAT]:
    return made[V_X.name].to_numpy(), made[V_Y.name].to_numpy()


def _has_single_zeros(made: xr.Dataset) -> bool:
    v_x, v_y = _components(made)
    return bool(((v_x == 0.0) != (v_y == 0.0)).any())


def _count(file: FieldFile, made: xr.Dataset) -> FLOAT | None:
    """Return how many measurements each cell has, 0 where none is told."""
    layer = file.find(COUNT)
    if layer is None:
        return None
    axes = layer.documented(crs=velocity_products.POLAR).axes()
    values = np.empty((1, axes.y.size, axes.x.size))
    layer.read(values)
    if values.shape[1:] != made[V_X.name].shape:
        return None
    return axes.oriented(np.nan_to_num(values[0], nan=0.0))


def settle_zeros(v_x: FLOAT, v_y: FLOAT, count: FLOAT | None = None) -> None:
    """Tell zeros that were measured from those that stand for "not measured", in place.

    Parameters
    ----------
    v_x, v_y : ndarray, shape (y, x)
        Components as written, 0 where nothing was measured, or where it is 0 [m yr⁻¹].
    count : ndarray, shape (y, x), optional
        Number of measurements; where it is given, it decides.

    Notes
    -----
    Both 0: not measured, for a mean of measurements is never exactly 0 in both, and missing is the
    harmless error: another map fills it, while ice at rest would close a gate. One of them 0: the
    ice moves along the other axis, unless there was no measurement.

    Examples
    --------
    >>> v_x, v_y = np.array([[0.0, 0.0, 0.0]]), np.array([[0.0, 5.0, 5.0]])
    >>> settle_zeros(v_x, v_y, np.array([[3.0, 1.0, 0.0]]))
    >>> v_x.tolist(), v_y.tolist()
    ([[nan, 0.0, nan]], [[nan, 5.0, nan]])
    """
    unmeasured = (v_x == 0.0) & (v_y == 0.0)
    if count is not None:
        unmeasured |= ((v_x == 0.0) | (v_y == 0.0)) & ~(count > 0.0)
    v_x[unmeasured] = np.nan
    v_y[unmeasured] = np.nan


def require_plausible(v_x: FLOAT, v_y: FLOAT, *, what: str) -> None:
    """Refuse speeds that no ice has, which tell another unit or a filler.

    Parameters
    ----------
    v_x, v_y : ndarray, shape (y, x)
        Components [m yr⁻¹], NaN where missing.
    what : str
        File, for messages.

    Raises
    ------
    FieldFormatError
        No value, one beyond `FASTEST`, or none above `SLOWEST_MAXIMUM`.
    """
    speed = np.hypot(v_x, v_y)
    if not np.isfinite(speed).any():
        msg = f"{what} holds no velocity with both components, expected some; fetch the file again"
        raise FieldFormatError(msg)
    most, too_fast = float(np.nanmax(speed)), int((speed > FASTEST).sum())
    if too_fast:
        msg = (
            f"{what} has {too_fast} speeds above {FASTEST:.0f} m/yr, {most:g} m/yr at most; its "
            "unit is wrong (m/yr taken for m/day or m/s?), or a filler is not declared: correct "
            "units or _FillValue in the file"
        )
        raise FieldFormatError(msg)
    if most < SLOWEST_MAXIMUM:
        msg = (
            f"{what} is nowhere faster than {most:g} m/yr, expected hundreds; its unit is wrong "
            "(m/s taken for m/yr?): ncatted -a units,VARIABLE,o,c,m/s FILE"
        )
        raise FieldFormatError(msg)


def _promises(known: Recognised, *, has_sigma: bool) -> dict[str, str]:
    """Return the attributes that tell product, frame, year and meaning of the uncertainty."""
    entry = known.entry
    return {
        "product": entry.product,
        "doi": entry.doi,
        "velocity_frame": entry.velocity_frame,
        "year_definition": known.year_definition,
        "sigma_kind": entry.sigma_kind if has_sigma else "none",
        "time_start": known.time_start,
        "time_end": known.time_end,
    }
