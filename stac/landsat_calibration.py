"""What turns the numbers of a granule into reflectance: its own coefficients and its own sun.

The metadata file (MTL) has the last word; an item's ``raster:bands`` are taken where there is none.
"""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from stac import landsat_metadata
from stac.landsat_items import Asset, Granule
from stac.locations import CatalogueError, read_bytes
from stac.raster_addresses import require_plain, shown
from stac.signing import SigningError, signed

_MTL = re.compile(r"(^|[/_])MTL\.(json|xml|txt)$", re.IGNORECASE)


class CalibrationError(ValueError):
    """A granule whose numbers cannot be turned into reflectance."""


@dataclass(frozen=True)
class Calibration:
    """Coefficients of a granule.

    Attributes
    ----------
    mult, add : mapping of str to float
        M and A of ρ = (M Q + A) / sin θ, by common name of the band.
    sun_elevation : float or None
        θ of level 1 at the scene's centre [°]; None for level 2, which needs none.
    source : str
        ``mtl`` or ``item``.
    moment : datetime or None
        When the centre was seen, by the metadata file; items of USGS once told the day only.
    """

    mult: Mapping[str, float] = field(hash=False)
    add: Mapping[str, float] = field(hash=False)
    sun_elevation: float | None
    source: str
    moment: datetime | None = None

    def of(self, bands: tuple[str, ...]) -> tuple[list[float], list[float]]:
        """Return M and A of some bands, in their order."""
        lacking = [band for band in bands if band not in self.mult]
        if lacking:
            msg = (
                f"no coefficients of {', '.join(lacking)}, expected REFLECTANCE_MULT_BAND_n and "
                "REFLECTANCE_ADD_BAND_n in the MTL file; fetch the scene's metadata again"
            )
            raise CalibrationError(msg)
        return [self.mult[band] for band in bands], [self.add[band] for band in bands]


@functools.lru_cache(maxsize=256)
def calibration(granule: Granule) -> Calibration:
    """Return the coefficients of a granule; reads its MTL file once.

    Raises
    ------
    CalibrationError
        No MTL file and no coefficients in the item, a file of another scene, or no sun above the
        horizon.
    """
    found = _from_mtl(granule) if "mtl" in granule.assets else _from_item(granule)
    sun = found.sun_elevation
    if sun is not None and not 0.0 < sun <= 90.0:
        msg = (
            f"{granule.id}: the sun's elevation is {sun:g} degrees, expected above the horizon; "
            "scenes of the night have no reflectance: leave it out"
        )
        raise CalibrationError(msg)
    return found


def _from_mtl(granule: Granule) -> Calibration:
    asset = granule.assets["mtl"]
    metadata = _metadata(granule, asset)
    _require_same(granule, metadata)
    if granule.level == metadata.level:
        mult, add = metadata.reflectance_mult, metadata.reflectance_add
    else:
        mult, add = metadata.level1_reflectance_mult, metadata.level1_reflectance_add
    sun = metadata.sun_elevation if granule.level == 1 else None
    return Calibration(mult, add, sun, "mtl", metadata.start)


def _metadata(granule: Granule, asset: Asset) -> landsat_metadata.SceneMetadata:
    require_mtl(granule)
    try:
        data = read_bytes(signed(asset.href, granule.service))
        return landsat_metadata.read(data, name=asset.href.rsplit("/", 1)[-1])
    except FileNotFoundError:
        msg = (
            f"{granule.id}: there is no file {shown(asset.href)}, which its item names as metadata"
        )
        raise CalibrationError(msg) from None
    except (CatalogueError, SigningError, landsat_metadata.MetadataError) as error:
        msg = f"{granule.id}: {shown(str(error))}"
        raise CalibrationError(msg) from None


def require_mtl(granule: Granule) -> None:
    """Refuse what is not called an MTL file: what is found there may be told in a message.

    Nothing is asked of the file, not even its size.

    Raises
    ------
    CalibrationError
        If the item of a granule names another file as metadata.
    RasterError
        If its address is no plain one.
    """
    href = granule.assets["mtl"].href
    require_plain(href)
    if not _MTL.search(urlsplit(href).path):
        msg = (
            f"{granule.id}: its item names {shown(href)[:200]!r} as metadata, expected a file "
            "called ..._MTL.json, .xml or .txt; correct the item"
        )
        raise CalibrationError(msg)


def _require_same(granule: Granule, metadata: landsat_metadata.SceneMetadata) -> None:
    day = metadata.start.date().isoformat()
    theirs = (metadata.platform, metadata.path, metadata.row, day, metadata.collection_number)
    ours = (granule.platform, granule.path, granule.row, granule.start[:10],
            granule.collection_number)  # fmt: skip
    if theirs != ours or metadata.level < granule.level:
        msg = (
            f"{granule.id}: its metadata file is of {metadata.product_id} (level {metadata.level}),"
            " another product, so its coefficients would be wrong; correct the item"
        )
        raise CalibrationError(msg)


def _from_item(granule: Granule) -> Calibration:
    scaled = {
        name: (asset.scale, asset.offset)
        for name, asset in granule.assets.items()
        if asset.scale is not None and asset.offset is not None
    }
    if not scaled:
        msg = (
            f"{granule.id} has neither a metadata file (MTL) nor scale and offset of its bands; "
            "without them its numbers are no reflectance: ingest it with its MTL"
        )
        raise CalibrationError(msg)
    sun = granule.sun_elevation if granule.level == 1 else None
    if sun is not None and math.isnan(sun):
        msg = (
            f"{granule.id} has no metadata file (MTL) and its item does not tell view:sun_elevation"
        )
        raise CalibrationError(msg)
    mult = {name: float(scale) for name, (scale, _) in scaled.items() if scale is not None}
    add = {name: float(offset) for name, (_, offset) in scaled.items() if offset is not None}
    return Calibration(mult, add, sun, "item")
