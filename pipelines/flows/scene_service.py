"""One scene on request: a GeoTIFF of reflectance in, a GeoTIFF of probabilities of damage out.

The same networks that actors hold for a continent, for whoever has a single image. What comes over
the network is read as GeoTIFF alone, from memory, and never names another file.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.flows.network_inputs import Weights
from stac import geotiff
from stac.damage_labels import MOST_REFLECTANCE
from stac.field_units import FieldFormatError

if TYPE_CHECKING:
    from pipelines.flows.segmenting import Segmenting
    from pipelines.nets.segmenter import SegmenterSpec

FLOAT32 = NDArray[np.float32]
MEDIA_TYPE = "image/tiff; application=geotiff"
MOST_PX = 10_240
"""Rows and columns of a scene at most; a whole scene of Landsat has 9,000."""
MOST_BYTES = 3 * 2**30
"""Memory that a scene may take while it is answered, see :func:`_held` [B]; what it takes on the
way says nothing of it, as a file of one value packs a thousandfold."""
WINDOW_BYTES = 64 * 2**20
"""Memory of what is read at once in the type of the file [B], or of one row if that is more."""
EVENING_PLANES = 7
"""Of float32 while a band is evened: weights, the band less its mean, what they are made of."""
LEAST_REFLECTANCE = -0.2
"""No reflectance is lower, even where haze was taken off too much [1]."""
NAME = "the image of the request"


class RequestError(ValueError):
    """An image that cannot be segmented: what was found, what was expected."""


@dataclass(frozen=True)
class SegmentService:
    """What is served; weights are read and checked where the network is opened.

    Attributes
    ----------
    weights : Weights
        Of a segmenter.
    threads : int
        Of its linear algebra.
    """

    weights: Weights
    threads: int = 1

    def opened(self, device: str) -> SegmentAnswering:
        """Return the service with its network in the memory of a device."""
        from pipelines.flows import segmenting

        segmenter = segmenting.of_bytes(
            self.weights.read(), name=self.weights.name, sha256=self.weights.sha256,
            device=device, threads=self.threads,
        )  # fmt: skip
        return SegmentAnswering(segmenter, self.weights.sha256)


class SegmentAnswering:
    """A :class:`SegmentService` with its network."""

    def __init__(self, segmenter: Segmenting, sha256: str) -> None:
        self._segmenter = segmenter
        self._sha256 = sha256

    def answer(self, data: bytes) -> bytes:
        """Segment an image.

        Parameters
        ----------
        data : bytes
            GeoTIFF of as many bands as the network takes, or of one: float reflectance [1], or
            counts with a tag ``SCALE``, 0 (or less) where nothing was measured. NaN, and what the
            file declares by nodata or masks, was not measured either.

        Returns
        -------
        bytes
            GeoTIFF in the same place: probability of damage [1], float32, NaN where unknown.

        Raises
        ------
        RequestError
            Another format, another number of bands, no scale, values that are no reflectance, an
            image that takes too much memory, or an empty one.
        """
        from pipelines.nets import inference

        image, place = _read(data, self._segmenter.spec)
        try:
            probability = self._segmenter.probability(image)
        except inference.InferenceError as error:
            raise RequestError(str(error)) from error
        return _written(probability, place, self._sha256)


def _read(data: bytes, spec: SegmenterSpec) -> tuple[FLOAT32, dict[str, Any]]:
    """Return reflectance with NaN, shape (band, ny, nx), and where the image lies."""
    from rasterio.errors import RasterioError

    if not geotiff.is_geotiff(data):
        msg = f"{NAME} begins with {data[:8]!r}, expected a GeoTIFF; other formats are not read"
        raise RequestError(msg)
    try:
        with geotiff.opened(data, name=NAME) as (bands, tags):
            source = bands[0].source
            _require_kind(source, spec.channels)
            _require_memory(source, spec)
            image = _reflectance(source, tags.get("scale"))
            place = {"crs": source.crs, "transform": source.transform}
    except (RasterioError, OSError, FieldFormatError) as error:
        msg = f"{NAME} cannot be read ({error}); send a whole GeoTIFF"
        raise RequestError(msg) from error
    _require_measured(image)
    # One band stands for all, and is held once.
    return np.broadcast_to(image, (len(spec.channels), *image.shape[1:])), place


def _reflectance(source: Any, scale: str | None) -> FLOAT32:
    """Return reflectance, NaN where the file declares no data or has counts that are not above 0.

    It is read by windows, each band to its end: one of another type is never held whole.
    """
    is_float = np.dtype(source.dtypes[0]).kind == "f"
    if not is_float and scale is None:
        msg = f"{NAME} holds {source.dtypes[0]} without a tag SCALE; add the reflectance of one "
        raise RequestError(msg + "count, or send float32 reflectance")
    factor = np.float32(1.0 if is_float else _factor(scale))
    image = np.empty((source.count, source.height, source.width), np.float32)
    for band, window in itertools.product(range(source.count), _windows(source)):
        values = source.read(band + 1, window=window, masked=True)
        missing = np.ma.getmaskarray(values)
        if not is_float:
            missing |= values.data <= 0
        part = image[band, window.row_off : window.row_off + window.height]
        np.multiply(values.data, factor, out=part, casting="unsafe")
        part[missing] = np.nan
        _require_reflectance(part)
    return image


def _windows(source: Any) -> list[Any]:
    """Return windows of whole rows, and of whole blocks where blocks are small."""
    from rasterio.windows import Window

    row_bytes = source.width * np.dtype(source.dtypes[0]).itemsize
    rows, block = max(1, WINDOW_BYTES // row_bytes), source.block_shapes[0][0]
    rows = rows // block * block or rows
    starts = range(0, source.height, rows)
    return [Window(0, first, source.width, min(rows, source.height - first)) for first in starts]


def _held(source: Any, spec: SegmenterSpec) -> int:
    """Return the memory that an image takes while it is answered [B].

    Its bands in float32, again if they are evened or have extra channels, the probability and its
    file twice, a window, and a block of the file, which may be all of it.
    """
    made = bool(spec.extras) or spec.local_contrast > 0
    planes = source.count + made * (spec.inputs + len(spec.extras)) + 3
    planes += EVENING_PLANES if spec.local_contrast else 0
    itemsize = np.dtype(source.dtypes[0]).itemsize
    block = max(rows * columns for rows, columns in source.block_shapes) * source.count * itemsize
    window = max(WINDOW_BYTES, source.width * itemsize)
    return int(4 * planes * source.height * source.width + 2 * window + block)


def _factor(scale: str | None) -> float:
    try:
        factor = float(str(scale))
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0.0):
        msg = f"{NAME} has a tag SCALE {scale!r}, expected a number, the reflectance of one count"
        raise RequestError(msg)
    return factor


def _require_reflectance(part: FLOAT32) -> None:
    """Refuse values that are none; infinite ones are not measured, and are made NaN in place."""
    part[np.isinf(part)] = np.nan
    least, most = (float(of.reduce(part, axis=None)) for of in (np.fmin, np.fmax))
    if most > MOST_REFLECTANCE or least < LEAST_REFLECTANCE:
        far = most if most > MOST_REFLECTANCE else least
        msg = f"{NAME} reaches {far:g}, expected reflectances of about 0 to 1.2; divide by what "
        msg += "a reflectance of 1 is, or send counts with a tag SCALE; declare what stands for "
        raise RequestError(msg + "no data as the file's nodata")


def _require_measured(image: FLOAT32) -> None:
    known = np.ones(image.shape[1:], np.bool_)
    for band in image:
        known &= np.isfinite(band)
    if not known.any():
        msg = f"{NAME} has no pixel that was measured in all bands; there is nothing to say of it"
        raise RequestError(msg)


def _require_kind(source: Any, channels: tuple[str, ...]) -> None:
    kinds = {np.dtype(name).kind for name in source.dtypes}
    if len(kinds) != 1 or not kinds <= set("iuf"):
        found = ", ".join(dict.fromkeys(source.dtypes))
        msg = f"{NAME} holds {found}, expected float32 reflectance, or counts"
        raise RequestError(msg)
    if source.count not in {1, len(channels)}:
        msg = f"{NAME} has {source.count} bands, expected {', '.join(channels)}, or one"
        raise RequestError(msg)


def _require_memory(source: Any, spec: SegmenterSpec) -> None:
    if max(source.height, source.width) > MOST_PX:
        msg = f"{NAME} has {source.height} × {source.width} pixels, expected {MOST_PX} at most"
        raise RequestError(msg + " a side; cut it")
    held = _held(source, spec)
    if held > MOST_BYTES:
        msg = f"{NAME} would take {held / 2**20:,.0f} MiB, expected {MOST_BYTES / 2**20:,.0f} at "
        raise RequestError(msg + "most; cut it, and write it in tiles of 512")


def _written(probability: FLOAT32, place: dict[str, Any], sha256: str) -> bytes:
    from rasterio.io import MemoryFile

    ny, nx = probability.shape
    about = {
        "driver": "GTiff", "height": ny, "width": nx, "count": 1, "dtype": "float32",
        "nodata": float("nan"), "compress": "deflate", "predictor": 3, **place,
    }  # fmt: skip
    if min(ny, nx) >= 256:
        about |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
    with MemoryFile() as memory:
        with memory.open(**about) as target:
            target.write(probability, 1)
            target.update_tags(MODEL_SHA256=sha256)
            target.set_band_description(1, "probability of damage")
        return bytes(memory.read())
