"""Pictures of any sensor: what a damage map can be made from that is no Landsat scene.

A source is one GeoTIFF, PNG or JPEG, and what :mod:`stac.imagery_notes` reads beside it. A GeoTIFF
may tell the same by its tags (``SENSOR``, ``DATETIME``, ``REGION``, ``SCALE``, ``SPACING_M``); a
note counts more. Counts that nothing scales are only relative to each other and are stretched as
those of annotated tiles are (:mod:`stac.relative_counts`).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from stac import geotiff, grids, imagery_notes, relative_counts
from stac.damage_labels import GRAY, LOCAL, MOST_REFLECTANCE
from stac.imagery_notes import NOTES, WORLD_FILES, ImageryError, Note, Place
from stac.items import item_id
from stac.netcdf import require_size

FLOAT = NDArray[np.float32]
BOOL = NDArray[np.bool_]

KIND = "imagery"
DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
SUFFIXES = (".tif", ".tiff", *DRIVERS)
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, eq=False)
class _Raw:
    """A picture as its file has it: counts (band, y, x), some declared missing, or transparent."""

    counts: NDArray[Any]
    missing: BOOL
    clear: BOOL
    bands: tuple[str, ...]
    tags: Mapping[str, str]
    place: Place | None


def companions(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the addresses of what may lie beside a picture, by their ends: notes, world files.

    >>> companions("in/pig.png")[1]
    {'.pgw': 'in/pig.pgw', '.pngw': 'in/pig.pngw', '.wld': 'in/pig.wld'}
    """
    suffix = PurePosixPath(url).suffix
    stem = url.removesuffix(suffix)
    worlds = (*WORLD_FILES.get(suffix.lower(), ()), ".wld")
    return {end: stem + end for end in NOTES}, {end: stem + end for end in worlds}


def read_imagery(parts: Mapping[str, bytes], *, name: str) -> xr.Dataset:
    """Read a picture and what lies beside it.

    Parameters
    ----------
    parts : mapping of str to bytes
        The picture by its suffix; a note and a world file by their ends.
    name : str
        File name of the picture, for messages; it names the region that nothing else names.

    Returns
    -------
    Dataset
        ``image (band, y, x)`` float32 [1], NaN where nothing was measured, centres ``x`` and ``y``
        [m], of EPSG:3031 or, with attribute ``place`` ``local``, from the picture's corner.

    Raises
    ------
    ImageryError
        No known sensor, day or spacing; a window beyond the file; nothing measured; damaged.
    FieldFormatError
        A GeoTIFF that is none, damaged, or in other coordinates.
    """
    (suffix,) = (end for end in parts if end in SUFFIXES)
    raw = _read_tiff(parts[suffix], name) if suffix not in DRIVERS else _read_plain(
        parts[suffix], DRIVERS[suffix], name)  # fmt: skip
    stem = PurePosixPath(name).stem
    note = next(
        (imagery_notes.parse_note(parts[end], name=stem + end) for end in NOTES if end in parts),
        Note(),
    )
    place = _place(raw, note, parts, name)
    raw = _within(raw, note, name)
    image, told = _reflectance(raw, note, name)
    if note.gray and len(image) > 1:
        image, told["bands"] = image.mean(axis=0, keepdims=True), GRAY
    else:
        told["bands"] = " ".join(raw.bands)
    return _dataset(image, place, {**_names(raw, note, name), **told})


def _read_tiff(data: bytes, name: str) -> _Raw:
    with geotiff.opened(data, name=name) as (bands, tags):
        source = bands[0].source
        place = None
        if source.crs is not None:
            axes = bands[0].axes()
            if any(axes.flips):
                msg = f"{name} does not have its first pixel in the north-west; rewrite it north up"
                raise ImageryError(msg)
            step = float(axes.x[1] - axes.x[0])
            place = Place(step, float(axes.x[0]) - step / 2.0, float(axes.y[0]) + step / 2.0)
        return _raw(source, tags, place, name)


def _read_plain(data: bytes, driver: str, name: str) -> _Raw:
    """Read a picture that knows no place."""
    if not data:
        msg = f"{name} is empty (0 bytes), expected a picture; fetch it again"
        raise ImageryError(msg)
    try:
        with MemoryFile(data) as memory, warnings.catch_warnings():
            # Its place is told beside it.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(driver=driver, sharing=False) as source:
                require_size((source.count, source.height, source.width), what=name)
                return _raw(source, {}, None, name)
    except (RasterioError, OSError) as error:
        msg = f"{name} cannot be read as {driver} ({error}); it is damaged: fetch it again"
        raise ImageryError(msg) from error


def _raw(source: Any, tags: Mapping[str, str], place: Place | None, name: str) -> _Raw:
    """Return the pixels of an open file; a band of transparency becomes missing pixels."""
    try:
        masked = np.ma.asanyarray(source.read(masked=True))
    except (RasterioError, OSError, ValueError, MemoryError) as error:
        msg = f"{name} cannot be read ({error}); it is damaged or cut off: fetch it again"
        raise ImageryError(msg) from error
    if ColorInterp.palette in source.colorinterp:
        msg = f"{name} has a palette of colours, expected counts; save it as RGB or gray"
        raise ImageryError(msg)
    seen = [n for n, what in enumerate(source.colorinterp) if what != ColorInterp.alpha]
    counts, missing = np.asarray(masked.data), np.ma.getmaskarray(masked)
    clear = (np.delete(counts, seen, axis=0) == 0).any(axis=0)
    bands = _bands([source.descriptions[n] for n in seen], name)
    return _Raw(counts[seen], missing[seen], clear, bands, tags, place)


def _bands(descriptions: list[str | None], name: str) -> tuple[str, ...]:
    """Return names of bands: as described, else gray, or red, green and blue."""
    words = tuple("-".join(str(word or "").lower().split()) for word in descriptions)
    if not any(words):
        words = {1: (GRAY,), 3: COLOURS}.get(len(words), words)
    if len(set(words)) != len(words) or not all(words):
        msg = f"{name} has bands {words}; describe each by its common name, such as red"
        raise ImageryError(msg)
    return words


def _place(raw: _Raw, note: Note, parts: Mapping[str, bytes], name: str) -> tuple[Place, str]:
    """Return where the window of a picture lies, and the coordinates of that."""
    stem, top, left = PurePosixPath(name).stem, 0, 0
    if note.window is not None:
        top, left = (part.start for part in note.window)
    whole = raw.place
    world = next((end for end in companions(name)[1] if end in parts), "")
    if note.corner is None and whole is None and world:
        if note.crs != grids.POLAR:
            msg = f"{stem}{world} tells a place, but not in which coordinates; write "
            raise ImageryError(msg + f"crs: {grids.POLAR} into {stem}{NOTES[0]}, or warp it first")
        whole = imagery_notes.parse_world_file(parts[world], name=stem + world)
    if note.corner is None and whole is not None:
        step = whole.spacing_m
        return Place(step, whole.west + left * step, whole.north - top * step), grids.POLAR
    spacing = note.spacing_m or _tagged(raw.tags, "spacing_m", name)
    if not spacing:
        msg = f"{name}: the side of its pixels is not known; write spacing_m into "
        raise ImageryError(msg + f"{stem}{NOTES[0]} beside it")
    if note.corner is None:
        return Place(spacing, 0.0, 0.0), LOCAL
    return Place(spacing, *note.corner), grids.POLAR


def _tagged(tags: Mapping[str, str], key: str, name: str) -> float | None:
    """Return the number above 0 of a tag; None if it is not there."""
    if key not in tags:
        return None
    try:
        value = float(tags[key])
    except ValueError:
        value = float("nan")
    if not (np.isfinite(value) and value > 0.0):
        msg = f"{name}: tag {key.upper()} is {tags[key]!r}, expected a number above 0"
        raise ImageryError(msg)
    return value


def _within(raw: _Raw, note: Note, name: str) -> _Raw:
    """Return the window of the file that is picture."""
    rows, columns = raw.counts.shape[1:]
    part = note.window or (slice(0, rows), slice(0, columns))
    if part[0].stop > rows or part[1].stop > columns:
        msg = f"{name} has {rows} rows and {columns} columns, its note's window ends at "
        raise ImageryError(msg + f"{part[0].stop} and {part[1].stop}; correct the window")
    at = (slice(None), *part)
    return dataclasses.replace(
        raw, counts=raw.counts[at], missing=raw.missing[at], clear=raw.clear[part]
    )


def _reflectance(raw: _Raw, note: Note, name: str) -> tuple[FLOAT, dict[str, Any]]:
    """Return the picture (band, y, x), NaN where not measured, and how counts became that."""
    counts, low, high, how = raw.counts, 0.0, 0.0, "reflectance"
    scale = note.per_count or _tagged(raw.tags, "scale", name)
    known = bool(scale) or counts.dtype.kind == "f"
    missing = np.broadcast_to(_missing(raw, note, known=known), counts.shape)
    if known:
        image = np.where(missing, np.nan, counts * (scale or 1.0))
    elif missing.all():
        image = np.full(counts.shape, np.nan)
    else:
        image, low, high = relative_counts.stretched(counts, missing)
        how = imagery_notes.PERCENTILES
    measured = np.isfinite(image)
    if not measured.any():
        msg = f"{name} holds no measured pixel (all {counts.size} are missing); leave it out"
        raise ImageryError(msg)
    most = float(np.abs(image[measured]).max())
    if most > MOST_REFLECTANCE:
        msg = f"{name} reaches {most:g}, expected reflectances of about 0 to 1.2; tell the scaling"
        raise ImageryError(msg)
    return image.astype(np.float32), {"scaling": how, "count_low": low, "count_high": high}


def _missing(raw: _Raw, note: Note, *, known: bool) -> BOOL:
    """Return where a picture was not measured in some band, shape (y, x).

    What its file declares, and whatever is not above 0 in counts of a known scale. A relative count
    of 0 is the darkest shadow too, so it is missing in wide areas only, whatever is declared; so
    is, in a picture whose compression blurs, what is no brighter than the note says.
    """
    counts, declared = raw.counts, raw.missing & ((raw.counts != 0) | known)
    missing = raw.clear | declared.any(axis=0)
    if counts.dtype.kind == "f":
        missing = missing | ~np.isfinite(counts).all(axis=0)
    elif known:
        missing = missing | (counts <= 0).any(axis=0)
    limit = note.missing_up_to
    if limit is None:
        if known:
            return np.asarray(missing)
        limit = 0.0
    dark: BOOL = np.all(counts <= limit, axis=0)
    return np.asarray(missing | relative_counts.wide_zeros(dark))


def _names(raw: _Raw, note: Note, name: str) -> dict[str, str]:
    """Return sensor, region and time, from the note before the tags."""
    sensor = note.sensor or str(raw.tags.get("sensor", "")).strip()
    beside = f"write it into {PurePosixPath(name).stem}{NOTES[0]} beside it"
    if not (sensor.isascii() and sensor.isalnum()):
        msg = f"{name}: its sensor is {sensor!r}, expected letters and digits such as S2; {beside}"
        raise ImageryError(msg)
    span: tuple[datetime, datetime] | None = note.span
    if span is None and raw.tags.get("datetime"):
        span = imagery_notes.instants(raw.tags["datetime"], f"{name}: tag DATETIME")
    if span is None:
        msg = f"{name}: its day is not known; {beside}"
        raise ImageryError(msg)
    return {
        "sensor": sensor,
        "region": note.region or raw.tags.get("region") or item_id(name),
        "licence": note.licence or raw.tags.get("licence") or "unknown",
        **{f"time_{end}": f"{at:%Y-%m-%dT%H:%M:%S}"
           for end, at in zip(("start", "end"), span, strict=True)},
    }  # fmt: skip


def _dataset(image: FLOAT, placed: tuple[Place, str], told: Mapping[str, Any]) -> xr.Dataset:
    place, code = placed
    rows, columns = image.shape[1:]
    x = place.west + (np.arange(columns) + 0.5) * place.spacing_m
    y = place.north - (np.arange(rows) + 0.5) * place.spacing_m
    metre = {"units": "m"}
    return xr.Dataset(
        {"image": (("band", "y", "x"), image, {"units": "1"})},
        coords={
            "band": ("band", np.array(str(told["bands"]).split(" "))),
            "x": ("x", x, metre),
            "y": ("y", y, metre),
        },
        attrs={
            **told,
            "place": code,
            "spacing_m": place.spacing_m,
            "rows": rows,
            "columns": columns,
        },
    )
