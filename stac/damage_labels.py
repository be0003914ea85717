"""Annotated tiles: images of ice shelves, and where a person or a synthetic world saw damage.

A source is two GeoTIFFs, ``X.tif`` and ``X_mask.tif``. Those of the synthetic shelves hold stored
reflectances (tag ``SCALE``; 0 is none) and labels 0 intact, 1 damage, 255 not labelled. The
published MODIS tiles of Lai et al. (2020) hold stretched counts without a place, and their masks
255 for damage: read without knowing that, one file would be the opposite of the other.

Traps of the MODIS tiles: 0 is both "no data" and the darkest shadow (`relative_counts`). Eight of
the 26 masks are empty because no damage was drawn; the two Ross masks are placeholders.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pystac
import shapely
import xarray as xr
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from stac import geotiff, grids, relative_counts
from stac.contracts import open_item
from stac.items import ALWAYS, CONTINENT_M, Coverage, array_coverage, item_id
from stac.locations import reaching

FLOAT = NDArray[np.float32]
BOOL = NDArray[np.bool_]
LABEL = NDArray[np.uint8]

KIND = "damage-labels"
MASK_END = "_mask.tif"
SUFFIXES = (".tif", ".tiff")
INTACT, DAMAGE, NOT_LABELLED = 0, 1, 255
GRAY = "gray"
LOCAL = "local"
"""Place of a tile that its file does not tell: metres from its own corner."""
FEWEST_COUNTS = 3
"""Different counts of an image at the least; a mask has two."""
MOST_REFLECTANCE = 10.0
"""No reflectance is higher, even where the sun is 5° above the horizon [1]."""
_MASK = re.compile(r"_mask(\.tiff?)$", re.IGNORECASE)


class LabelError(ValueError):
    """An annotated tile that cannot be used: what was found, what was expected."""


@dataclass(frozen=True)
class Product:
    """What is known of published tiles whatever their files say.

    Attributes
    ----------
    name : str
        Text id.
    names : str
        Pattern of the names of its tiles.
    spacing_m : float
        Side of a pixel [m].
    licence : str
        Of the labels.
    placeholder : bool
        Whether its empty masks are no truth.
    """

    name: str
    names: str
    spacing_m: float
    licence: str
    placeholder: bool = False


PRODUCTS = (
    Product("moa2009-lai2020", r"fracture_\d+x\d+", 125.0, "GPL-3.0"),
    Product("moa2009-lai2020-ross", r"(non)?frac_ross", 125.0, "GPL-3.0", placeholder=True),
)
"""MODIS Mosaic of Antarctica 2009 (NSIDC-0593) with fractures drawn by Lai et al. (2020)."""
UNKNOWN = Product("unknown", r".*", float("nan"), "unknown")


@dataclass(frozen=True)
class LabelledTile:
    """An image and its labels as plain arrays.

    Attributes
    ----------
    image : ndarray of float32, shape (band, y, x)
        Reflectance [1], about 0 to 1.2; NaN where nothing was measured.
    label : ndarray of uint8, shape (y, x)
        0 intact, 1 damage, 255 not labelled or nothing measured.
    name : str
        Id of its item.
    region : str
        By which splits are made: the shelf, or the tile itself where its file names none.
    bands : tuple of str
        Names of the bands.
    spacing_m : float
        Side of a pixel [m].
    """

    image: FLOAT
    label: LABEL
    name: str
    region: str
    bands: tuple[str, ...]
    spacing_m: float

    def seen_as(self, names: Sequence[str]) -> FLOAT:
        """Return bands by name, shape (n, y, x); an image of one band stands for each of them.

        Raises
        ------
        LabelError
            If the tile has several bands, and not these.
        """
        if len(self.bands) == 1:
            return np.repeat(self.image, len(names), axis=0)
        absent = [name for name in names if name not in self.bands]
        if absent:
            msg = f"tile {self.name!r} has bands {self.bands}, not {absent}; choose among them"
            raise LabelError(msg)
        return self.image[[self.bands.index(name) for name in names]]


def mask_name(url: str) -> str:
    """Return the address of the mask that belongs to an image.

    >>> mask_name("tiles/amery_r0c1.tif")
    'tiles/amery_r0c1_mask.tif'

    Raises
    ------
    LabelError
        If this is a mask itself.
    """
    suffix = PurePosixPath(url).suffix
    if _MASK.search(url):
        msg = f"{url} is a mask; give the image beside it, or the folder of both"
        raise LabelError(msg)
    return f"{url.removesuffix(suffix)}_mask{suffix}"


def without_masks(urls: Sequence[str]) -> list[str]:
    """Return the addresses of images among those of images and masks."""
    return [url for url in urls if not _MASK.search(url)]


def read_labels(parts: Mapping[str, bytes], *, name: str) -> xr.Dataset:
    """Read an image and its mask.

    Parameters
    ----------
    parts : mapping of str to bytes
        The image by its suffix, the mask by `MASK_END`.
    name : str
        File name of the image, for messages; it names the region of a file without tag ``REGION``.

    Returns
    -------
    Dataset
        ``image (band, y, x)`` float32, ``label (y, x)`` uint8, centres ``x`` and ``y`` [m]
        (of EPSG:3031, or from the tile's corner where attribute ``place`` is ``local``).

    Raises
    ------
    LabelError
        Sizes that differ, labels that are none, no pixel measured, a placeholder, no known spacing.
    FieldFormatError
        No GeoTIFF, damaged, in other coordinates.
    """
    (image_data,) = (data for end, data in parts.items() if end != MASK_END)
    stem = item_id(name)
    product = next((p for p in PRODUCTS if re.fullmatch(p.names, stem, re.IGNORECASE)), UNKNOWN)
    raw = _read_image(image_data, name=name, product=product)
    own_codes = "scale" not in raw.tags and np.dtype(raw.counts.dtype).kind != "f"
    drawn = _read_mask(parts[MASK_END], name=mask_name(name), damage_is_255=own_codes)
    if drawn.shape != raw.counts.shape[1:]:
        msg = f"{name} has {raw.counts.shape[1:]} pixels, its mask {drawn.shape}; give its own mask"
        raise LabelError(msg)
    if product.placeholder and not (drawn == DAMAGE).any():
        msg = (
            f"the mask of {name} is an empty placeholder of {product.name}, not truth; leave this "
            "tile out"
        )
        raise LabelError(msg)
    image, told = _reflectance(raw, name)
    label = np.where(np.isfinite(image).all(axis=0), drawn, np.uint8(NOT_LABELLED))
    return _dataset(image, label, raw, told, product, stem)


def label_coverage(dataset: xr.Dataset) -> Coverage:
    """Cover the tile, or the ice sheet if its place is not known."""
    covered = array_coverage(dataset)
    if dataset.attrs["place"] != LOCAL:
        return covered
    hull = grids.footprint(shapely.Point(0.0, 0.0).buffer(CONTINENT_M))
    properties = {k: v for k, v in covered.properties.items() if not k.startswith("proj:")}
    remark = "its place is not known: x and y are metres from its own corner"
    return Coverage(hull, *ALWAYS, grids.POLAR, properties, (remark,))


def open_tile(item: pystac.Item) -> LabelledTile:
    """Read an annotated tile of a catalogue whole, 16 MB for three bands of 1000².

    Raises
    ------
    ContractError
        If the item is of another kind or does not keep its contract.
    CatalogueError
        If its store is not where the item says.
    """
    dataset = open_item(item)
    with reaching(item.id, to="read"):
        image, label = (dataset[name].to_numpy() for name in ("image", "label"))
    bands = tuple(str(band) for band in dataset["band"].to_numpy())
    told = dataset.attrs
    return LabelledTile(image, label, item.id, told["region"], bands, float(told["spacing_m"]))


@dataclass(frozen=True)
class _Raw:
    """An image as its file has it: counts (band, y, x), tags by lower-case name, centres [m].

    Missing is what the file declares to be no data.
    """

    counts: NDArray[Any]
    missing: BOOL
    bands: tuple[str, ...]
    tags: Mapping[str, str]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    place: str


def _read_image(data: bytes, *, name: str, product: Product) -> _Raw:
    with geotiff.opened(data, name=name) as (bands, tags):
        source = bands[0].source
        masked = _pixels(source, name)
        words = tuple("-".join(str(w or "").lower().split()) for w in source.descriptions)
        placed = source.crs is not None or not source.transform.is_identity
        axes = bands[0].axes() if placed else None
    counts, missing = np.asarray(masked.data), np.ma.getmaskarray(masked)
    if len(words) == 1:
        words = (words[0] or GRAY,)
    if len(set(words)) != len(words) or not all(words):
        msg = f"{name} has bands {words}; describe each by its common name, such as red"
        raise LabelError(msg)
    if axes is not None:
        if any(axes.flips):
            msg = f"{name} does not have its first pixel in the north-west; rewrite it north up"
            raise LabelError(msg)
        return _Raw(counts, missing, words, tags, axes.x, axes.y, grids.POLAR)
    spacing = _spacing(tags, product, name)
    rows, columns = counts.shape[1:]
    x, y = (spacing * (np.arange(size, dtype=np.float64) + 0.5) for size in (columns, rows))
    return _Raw(counts, missing, words, tags, np.asarray(x), np.asarray(-y), LOCAL)


def _pixels(source: Any, name: str) -> Any:
    """Return the bands as a masked array: without what is declared to be no data."""
    try:
        return np.ma.asanyarray(source.read(masked=True))
    except (RasterioError, OSError, ValueError, MemoryError) as error:
        msg = f"{name} cannot be read ({error}); it is damaged or cut off: fetch it again"
        raise LabelError(msg) from error


def _spacing(tags: Mapping[str, str], product: Product, name: str) -> float:
    spacing = _number(tags, "spacing_m", name) if "spacing_m" in tags else product.spacing_m
    if not (np.isfinite(spacing) and spacing > 0.0):
        msg = f"{name} tells no place and no tag SPACING_M; add the side of a pixel in metres"
        raise LabelError(msg)
    return spacing


def _number(tags: Mapping[str, str], key: str, name: str) -> float:
    try:
        return float(tags[key])
    except ValueError as error:
        msg = f"{name}: tag {key.upper()} is {tags[key]!r}, expected a number"
        raise LabelError(msg) from error


def _read_mask(data: bytes, *, name: str, damage_is_255: bool) -> LABEL:
    """Return labels 0, 1 and 255.

    In a mask of 0 and 255 alone, of counts without ``SCALE``, 255 is damage, unless it is declared
    to stand for no data.
    """
    with geotiff.opened(data, name=name) as (bands, _):
        source = bands[0].source
        values, nodata = np.asarray(_pixels(source, name).data), source.nodatavals[0]
    if values.shape[0] != 1:
        msg = f"{name} has {values.shape[0]} bands, expected one of labels"
        raise LabelError(msg)
    found = set(np.unique(values).tolist())
    if not found <= {INTACT, DAMAGE, NOT_LABELLED}:
        few = sorted(found)[:8]
        msg = f"{name} holds {few}; expected 0 intact, 1 damage, 255 not labelled (or 0 and 255)"
        raise LabelError(msg)
    drawn: LABEL = values[0].astype(np.uint8)
    if damage_is_255 and DAMAGE not in found and nodata != NOT_LABELLED:
        return np.asarray(drawn == NOT_LABELLED, dtype=np.uint8)
    return drawn


def _reflectance(raw: _Raw, name: str) -> tuple[FLOAT, dict[str, Any]]:
    """Return the image (band, y, x) and how counts became reflectances.

    What the file declares to be no data is missing, in counts of a known scale whatever is not
    above 0 too; a relative count of 0 is missing in wide areas only, whatever is declared.
    """
    counts, low, high, how = raw.counts, 0.0, 0.0, "reflectance"
    if counts.dtype.kind == "f":
        image = np.where(np.isfinite(counts) & ~raw.missing, counts, np.nan)
    elif "scale" in raw.tags:
        scale = _number(raw.tags, "scale", name)
        image = np.where((counts <= 0) | raw.missing, np.nan, counts * scale)
    else:
        wide = np.stack([relative_counts.wide_zeros(band == 0) for band in counts])
        missing = wide | (raw.missing & (counts != 0))
        image, low, high = relative_counts.stretched(counts, missing)
        held = np.unique(counts[~missing])
        if 0 < held.size < FEWEST_COUNTS:
            found = " and ".join(str(count) for count in held)
            msg = f"{name} holds no counts but {found}, as a mask does; give the image beside it"
            raise LabelError(msg)
        how = "percentiles"
    measured = np.isfinite(image)
    if not measured.any():
        msg = f"{name} holds no measured pixel (all {counts.size} are missing); leave it out"
        raise LabelError(msg)
    if np.abs(image[measured]).max() > MOST_REFLECTANCE:
        most = np.abs(image[measured]).max()
        msg = f"{name} reaches {most:g}, expected reflectances of about 0 to 1.2; tag its SCALE"
        raise LabelError(msg)
    return image.astype(np.float32), {"scaling": how, "count_low": low, "count_high": high}


def _dataset(
    image: FLOAT, label: LABEL, raw: _Raw, told: Mapping[str, Any], product: Product, stem: str
) -> xr.Dataset:
    known, metre = label != NOT_LABELLED, {"units": "m"}
    share = float((label[known] == DAMAGE).mean()) if known.any() else 0.0
    made = xr.Dataset(
        {
            "image": (("band", "y", "x"), image, {"units": "1"}),
            "label": (("y", "x"), label.astype(np.uint8)),
        },
        coords={
            "band": ("band", np.array(raw.bands)),
            "x": ("x", raw.x, metre),
            "y": ("y", raw.y, metre),
        },
        attrs={
            "region": raw.tags.get("region") or stem,
            "product": raw.tags.get("synthetic") or raw.tags.get("product") or product.name,
            "licence": raw.tags.get("licence") or product.licence,
            "place": raw.place,
            "spacing_m": float(raw.x[1] - raw.x[0]),
            "bands": " ".join(raw.bands),
            "rows": int(raw.y.size),
            "columns": int(raw.x.size),
            "labelled_fraction": round(float(known.mean()), 6),
            "damage_fraction": round(share, 6),
            **told,
        },
    )  # fmt: skip
    return made.assign_attrs(_instant(raw.tags))


def _instant(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the second in which the image was taken, if its tags tell it in ISO 8601."""
    try:
        taken = datetime.fromisoformat(tags.get("datetime", ""))
    except ValueError:
        return {}
    taken = (taken if taken.tzinfo else taken.replace(tzinfo=UTC)).astimezone(UTC)
    ends = (taken, taken + timedelta(seconds=1))
    return {f"time_{which}": f"{at:%Y-%m-%dT%H:%M:%S}" for which, at in
            zip(("start", "end"), ends, strict=True)}  # fmt: skip
