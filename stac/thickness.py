"""Ice thickness on grids in EPSG:3031: which ice a product counts, and what it says is missing.

A mass flux wants the thickness of the ice alone. BedMachine publishes that (``thickness`` and
``surface`` are ice-equivalent; its ``firn`` is the air that was taken out already). Bedmap
publishes the physical thickness, air in the firn included. Which of the two a file holds is known
of its product or said in the file; it is never guessed.

Ocean and bare rock have thickness 0, which is known: no ice. NaN is "not known" and nothing else.
So bilinear sampling within a cell of the ice edge mixes ice with no ice, as the cell does.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import geotiff, gridded, netcdf
from stac.field_units import FieldFormatError
from stac.gridded import FieldFile, Layer, Quantity

FLOAT = NDArray[np.float64]

METRE = "m"
THICKNESS = Quantity(
    "thickness", METRE,
    ("hi", "ice_thickness", "icethickness", "thk", "lithk", "land_ice_thickness"),
    ("land_ice_thickness",),
)  # fmt: skip
SIGMA = Quantity(
    "thickness_sigma", METRE,
    ("errbed", "thickness_uncertainty", "ice_thickness_uncertainty", "thickness_error"),
)  # fmt: skip
BED = Quantity(
    "bed", METRE, ("hb", "bed_topography", "bed_elevation", "topg", "bedrock"),
    ("bedrock_altitude",),
)  # fmt: skip
SURFACE = Quantity(
    "surface", METRE, ("hs", "surface_topography", "surface_elevation", "usurf"),
    ("surface_altitude",),
)  # fmt: skip
FIRN_AIR = Quantity(
    "firn_air_content", METRE, ("firn", "fac", "firn_air", "firn_air_column", "firn_correction")
)
MASK = Quantity("mask", "")
SOURCE = Quantity("source_class", "", ("source",))

KINDS = ("ice_equivalent", "physical")
OCEAN, ROCK, GROUNDED, FLOATING, VOSTOK = range(5)
"""Our codes of a mask, which are BedMachine's: the ice above Lake Vostok has its own."""
UNKNOWN = -1
"""Code of a class that a file does not give."""
GROUNDED_CODES = (GROUNDED, VOSTOK)
THICKEST_M = 6_000.0
"""No ice is thicker: the thickest measured is 4.9 km (Fretwell et al. 2013)."""
THINNEST_MAXIMUM_M = 10.0
"""A map whose thickest ice is thinner than this is not in metres."""
ROUNDING_M = 0.01
"""Depth of negative values that are rounding, not fillers [m]."""
AFLOAT_M = 1.0
"""Ice whose base lies higher than this above the bed floats, where there is no mask [m]."""


@dataclass(frozen=True)
class Product:
    """What is known of a published product whatever its file says.

    Attributes
    ----------
    name : str
        Text id; ``-vN`` follows where the file tells a version.
    words : str
        Letters that its title or file name holds.
    kind : str
        One of `KINDS`.
    unit : str
        Unit of a file that does not tell it.
    codes : mapping of int to int
        Its codes of the mask, and ours.
    unmasked : int
        Our code where its mask has no value.
    """

    name: str
    words: str
    kind: str
    unit: str = ""
    codes: Mapping[int, int] = field(default_factory=dict)
    unmasked: int = UNKNOWN


PRODUCTS = (
    Product(
        "nsidc-0756",
        "bedmachineantarctica",
        "ice_equivalent",
        codes=MappingProxyType({code: code for code in range(5)}),
    ),
    Product(
        "bedmap3",
        "bedmap3",
        "physical",
        codes=MappingProxyType({1: GROUNDED, 2: FLOATING, 3: FLOATING, 4: ROCK}),
        unmasked=OCEAN,
    ),
    Product("bedmap2", "bedmap2", "physical", unit=METRE),
)
"""BedMachine v1 to v3 (Morlighem et al. 2020), Bedmap3 (Pritchard et al. 2025), Bedmap2 (2013).

Bedmap3's mask is 1 grounded, 2 shelf that grounds at times, 3 shelf, 4 rock, nothing on the ocean:
its 4 is not BedMachine's 4.
"""


def read_thickness(data: bytes, *, name: str) -> xr.Dataset:
    """Read thickness, and what else of the ice's shape a file holds.

    Parameters
    ----------
    data : bytes
        NetCDF, or a GeoTIFF with a band of thickness.
    name : str
        File name, for messages; Bedmap2's GeoTIFFs are known by it alone.

    Returns
    -------
    xarray.Dataset
        ``thickness`` (y, x) [m]: 0 where there is no ice, NaN where it is unknown. Where the file
        has them: ``thickness_sigma``, ``bed``, ``surface`` [m], ``mask`` (`OCEAN` to `VOSTOK`,
        `UNKNOWN`) and ``source_class`` (as the publisher numbers them). Attributes ``product``,
        ``thickness_kind`` (``ice_equivalent`` or ``physical``), ``firn_air`` (``removed`` by the
        publisher, ``subtracted`` here, or ``included``), ``time_start``, ``time_end``.

    Raises
    ------
    FieldFormatError
        No thickness, a kind that is not known, negative or impossible values, an unknown grid or
        unit, or damaged.

    Notes
    -----
    BedMachine's ``errbed`` stands for the error of the thickness, which it is on grounded ice,
    where the surface is known to a metre; under shelves it is the error of the sea floor.
    """
    with gridded.opened(data, name=name) as file:
        product = _product(file)
        kind = _kind(file, product)
        layers = _layers(file, product, kind=kind)
        # Classes first: what reading them takes is gone before the fields are there.
        classes = _classes(file, product, layers[THICKNESS.name])
        made = gridded.read_together(file, layers, units=dict.fromkeys(layers, METRE))
    _drop_no_data(made, file)
    for each in (THICKNESS.name, SIGMA.name):
        if each in made:
            require_plausible(made[each].to_numpy(), f"{name}: {each}")
    made = made.assign({key: (("y", "x"), codes) for key, codes in classes.items()})
    _settle_ice(made)
    return _without_air(made, kind).assign_attrs(product=_versioned(file, product))


def ice_equivalent(thickness: FLOAT, firn_air_content: FLOAT) -> FLOAT:
    """Thickness of the ice alone: the physical one less the air in its firn.

    Parameters
    ----------
    thickness : ndarray, shape (..., y, x)
        Physical thickness H [m].
    firn_air_content : ndarray, shape (..., y, x)
        Height of the air in the firn column, a [m].

    Returns
    -------
    ndarray, shape (..., y, x)
        max(H - a, 0) [m]; 0 where H is 0 whatever the air; NaN where H, or the air in some ice, is
        unknown.

    Examples
    --------
    >>> ice_equivalent(np.array([1000.0, 0.0, 10.0]), np.array([18.0, np.nan, 12.0])).tolist()
    [982.0, 0.0, 0.0]
    """
    return np.where(thickness == 0.0, 0.0, np.maximum(thickness - firn_air_content, 0.0))


def grounded(shape: xr.Dataset) -> NDArray[np.bool_]:
    """Say where ice stands on the ground.

    By the mask if there is one, its code 4 (Vostok) included. Otherwise where there is ice whose
    base is no more than `AFLOAT_M` above the bed: surface - thickness <= bed + `AFLOAT_M`.

    Parameters
    ----------
    shape : Dataset
        As `read_thickness` returns it, or a part of it.

    Returns
    -------
    ndarray of bool, shape (y, x)
        False where it is unknown.

    Raises
    ------
    FieldFormatError
        Neither a mask nor both bed and surface.
    """
    if "mask" in shape:
        return np.isin(shape["mask"].to_numpy(), GROUNDED_CODES)
    if not {"bed", "surface"} <= set(shape.variables):
        msg = (
            f"{shape.attrs.get('product') or 'this thickness'} has neither mask nor bed and "
            "surface, so grounded ice is unknown; name a product that has them"
        )
        raise FieldFormatError(msg)
    thickness, bed, surface = (shape[key].to_numpy() for key in ("thickness", "bed", "surface"))
    return np.asarray((thickness > 0.0) & (surface - thickness <= bed + AFLOAT_M))


def require_plausible(values: FLOAT, what: str) -> None:
    """Refuse fillers and other units; make 0 of negative rounding, in place.

    Parameters
    ----------
    values : ndarray
        Thickness or its standard deviation [m], NaN where unknown.
    what : str
        File and variable, for messages; a thickness ends in ``thickness``.

    Raises
    ------
    FieldFormatError
        No value, negative ones, beyond `THICKEST_M`, or a thickness that looks like km.
    """
    if not np.isfinite(values).any():
        msg = f"{what} holds no value at all, expected some; fetch the file again"
        raise FieldFormatError(msg)
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    if least < -ROUNDING_M or most > THICKEST_M:
        odd = (values < -ROUNDING_M) | (values > THICKEST_M)
        found = least if least < -ROUNDING_M else most
        msg = (
            f"{what} holds {int(odd.sum())} values outside 0 to {THICKEST_M:.0f} m, such as "
            f"{found:g}; if that stands for missing values, declare it: ncatted -a "
            f"_FillValue,VARIABLE,o,d,{found:g} FILE, or gdal_translate -a_nodata {found:g}"
        )
        raise FieldFormatError(msg)
    if what.endswith("thickness") and most < THINNEST_MAXIMUM_M:
        msg = (
            f"{what} is {most:g} m at most, expected hundreds or thousands: it looks like km; "
            "correct the unit in the file: ncatted -a units,VARIABLE,o,c,km FILE"
        )
        raise FieldFormatError(msg)
    values[values < 0.0] = 0.0


def _product(file: FieldFile) -> Product | None:
    """Return the product that the title or the name of a file tells."""
    told = f"{_attribute(file, 'title')} {file.name}".lower()
    letters = re.sub("[^a-z0-9]", "", told)
    return next((each for each in PRODUCTS if each.words in letters), None)


def _versioned(file: FieldFile, product: Product | None) -> str:
    """Return the id of a product and its version: ``nsidc-0756-v3`` of "03-Jun-2022 (v3.4)"."""
    if product is None:
        return _attribute(file, "product") or "unknown"
    told = re.search(r"v0*(\d+)", _attribute(file, "version")) or re.search(
        r"[-_]v0*(\d+)", file.name
    )
    return f"{product.name}-v{told[1]}" if told else product.name


def _kind(file: FieldFile, product: Product | None) -> str:
    """Return whether air in the firn counts: by what the file says, else by its product."""
    said = _attribute(file, "thickness_kind")
    if said in KINDS or (not said and product is not None):
        return said or str(product and product.kind)
    msg = (
        f"{file.name} is of no known product ({', '.join(p.words for p in PRODUCTS)}) and has "
        f"thickness_kind {said!r}, expected {' or '.join(KINDS)}; say which it is: ncatted -a "
        "thickness_kind,global,c,c,physical FILE, or rio edit-info --tag thickness_kind=physical"
    )
    raise FieldFormatError(msg)


def _attribute(file: FieldFile, name: str) -> str:
    lower = {str(key).lower(): value for key, value in file.attributes.items()}
    return netcdf.text(lower.get(name))


def _layers(file: FieldFile, product: Product | None, *, kind: str) -> dict[str, Layer]:
    """Return the layers in metres by our names; firn air only if it is still in the thickness."""
    layers: dict[str, Layer] = {THICKNESS.name: _thickness_layer(file, product)}
    others = (SIGMA, BED, SURFACE, *((FIRN_AIR,) if kind == "physical" else ()))
    for wanted in others:
        if (found := file.find(wanted)) is not None:
            layers[wanted.name] = found
    return layers


def _thickness_layer(file: FieldFile, product: Product | None) -> Layer:
    """Return the layer of thickness; a lone band is one if the name of its file says so."""
    found = file.find(THICKNESS)
    if found is None and len(file.layers) == 1 and file.is_banded and "thick" in file.name.lower():
        found = file.layers[0]
    if found is None:
        return file.choose(THICKNESS)
    if product is not None and not found.unit and isinstance(found, geotiff.Band):
        return dataclasses.replace(found, unit=product.unit)
    return found


def _drop_no_data(made: xr.Dataset, file: FieldFile) -> None:
    """Make NaN of the value that a global attribute ``no_data`` declares."""
    declared = _attribute(file, "no_data")
    if not re.fullmatch(r"-?\d+(\.\d*)?", declared):
        return
    for array in made.data_vars.values():
        values = array.to_numpy()
        values[values == float(declared)] = np.nan


def _classes(
    file: FieldFile, product: Product | None, beside: Layer
) -> dict[str, NDArray[np.int8]]:
    """Read the mask, in our codes, and the source of each cell, in the publisher's.

    They lie on the grid of the layer `beside`.
    """
    codes = {}
    if product and product.codes and (mask := file.find(MASK)) is not None:
        codes[MASK.name] = _our_mask(_codes(file, mask, beside), product, file)
    if (source := file.find(SOURCE)) is not None:
        codes[SOURCE.name] = _codes(file, source, beside)
    return codes


def _codes(file: FieldFile, layer: Layer, beside: Layer) -> NDArray[np.int8]:
    """Read classes, `UNKNOWN` where there are none."""
    axes = gridded.require_same_grid(file, [beside, layer])
    values = np.empty((1, axes.y.size, axes.x.size))
    layer.read(values)
    if np.nanmax(values, initial=0.0) > np.iinfo(np.int8).max:
        msg = (
            f"{file.name}: {layer.name!r} holds {np.nanmax(values):g}, expected classes of 0 to "
            "127; declare what stands for missing values as _FillValue"
        )
        raise FieldFormatError(msg)
    values[np.isnan(values)] = UNKNOWN
    return axes.oriented(values[0]).astype(np.int8)


def _our_mask(codes: NDArray[np.int8], product: Product, file: FieldFile) -> NDArray[np.int8]:
    """Translate the codes of a product's mask."""
    strange = sorted(set(np.unique(codes).tolist()) - {UNKNOWN, *product.codes})
    if strange:
        msg = (
            f"{file.name}: 'mask' holds {strange}, expected {sorted(product.codes)} as in "
            f"{product.name}; name the file for what it is, or drop its mask"
        )
        raise FieldFormatError(msg)
    table = np.full(128, product.unmasked, dtype=np.int8)
    table[list(product.codes)] = list(product.codes.values())
    return np.where(codes == UNKNOWN, np.int8(product.unmasked), table[codes])


def _settle_ice(made: xr.Dataset) -> None:
    """Let the mask decide between no ice and unknown ice.

    Where it says ocean or rock, an absent thickness is 0. Where it says ice, a thickness of 0 is
    unknown: Bedmap3 has shelves without thickness.
    """
    if "mask" not in made:
        return
    thickness, mask = made["thickness"].to_numpy(), made["mask"].to_numpy()
    thickness[np.isnan(thickness) & np.isin(mask, (OCEAN, ROCK))] = 0.0
    unknown = (thickness == 0.0) & np.isin(mask, (GROUNDED, FLOATING, VOSTOK))
    thickness[unknown] = np.nan
    made.attrs["ice_without_thickness"] = int(unknown.sum())


def _without_air(made: xr.Dataset, kind: str) -> xr.Dataset:
    """Subtract firn air if it is known and still there, and say what the thickness counts."""
    if FIRN_AIR.name not in made:
        air = "removed" if kind == "ice_equivalent" else "included"
        return made.assign_attrs(thickness_kind=kind, firn_air=air)
    ice = ice_equivalent(made["thickness"].to_numpy(), made[FIRN_AIR.name].to_numpy())
    made["thickness"] = (("y", "x"), ice, {"units": METRE})
    return made.drop_vars(FIRN_AIR.name).assign_attrs(
        thickness_kind="ice_equivalent", firn_air="subtracted"
    )
