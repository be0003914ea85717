"""STAC items of released damage maps: one for each shelf and summer, and their collection."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pystac
import shapely

from stac import grids
from stac.items import FILE_EXTENSION, JSON_MEDIA, PROJECTION_EXTENSION, multihash
from stac.queries import rfc3339
from stac.registry import to_json

COLLECTION = "shelf-damage"
RASTER_EXTENSION = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
COG_MEDIA = "image/tiff; application=geotiff; profile=cloud-optimized"
TITLES = {
    "extent": "Damage within the effective extent: 0 background, 1 damage, 255 nothing",
    "region": "Damage of the whole region: 0 background, 255 damage",
}
"""What each kind of map says, by the name of its asset."""


@dataclass(frozen=True)
class ReleasedFile:
    """One map.

    Attributes
    ----------
    product : str
        "extent" or "region".
    name : str
        File beside the item.
    sha256 : str
        Digest of the file.
    size : int
        [bytes].
    codes_sha256 : str
        Digest of the codes in it, whatever the compression.
    """

    product: str
    name: str
    sha256: str
    size: int
    codes_sha256: str


@dataclass(frozen=True)
class ReleasedSummer:
    """The maps of a shelf, or of a part of one, in a summer.

    Attributes
    ----------
    shelf : str
        Name with underscores.
    year : int
        Of the November in which the summer begins.
    times : sequence of float
        When the scenes were taken that the maps show [s since 1970].
    shape : (int, int)
        Rows and columns.
    transform : sequence of float
        Column and row to x and y [m].
    code : str or None
        Reference system; None where the maps have no place.
    files : sequence of ReleasedFile
        The maps.
    properties : mapping
        What else is known; names get the prefix ``nunatak:``.
    """

    shelf: str
    year: int
    times: Sequence[float]
    shape: tuple[int, int]
    transform: Sequence[float]
    code: str | None
    files: Sequence[ReleasedFile]
    properties: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Where the item lies below the release."""
        return f"{self.shelf}/{self.year}/item.json"

    @property
    def footprint(self) -> dict[str, Any] | None:
        """The frame of the maps as GeoJSON; None where they have no place."""
        if self.code != grids.POLAR:
            return None
        step, _, west, _, fall, north = self.transform
        ny, nx = self.shape
        return grids.footprint(shapely.box(west, north + ny * fall, west + nx * step, north))

    @property
    def span(self) -> tuple[datetime, datetime]:
        """First and last moment of the scenes."""
        first, last = min(self.times), max(self.times)
        return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)


def summer_item(summer: ReleasedSummer) -> bytes:
    """Return the item of a summer as JSON; equal maps give equal bytes."""
    footprint, (first, last) = summer.footprint, summer.span
    made = pystac.Item(
        id=f"{summer.shelf}-{summer.year}",
        geometry=footprint,
        bbox=grids.bounding_box(footprint) if footprint else None,
        datetime=None,
        collection=COLLECTION,
        stac_extensions=[FILE_EXTENSION, PROJECTION_EXTENSION, RASTER_EXTENSION],
        properties={
            "title": f"Surface damage of {summer.shelf.replace('_', ' ')}, {summer.year}",
            "start_datetime": rfc3339(first),
            "end_datetime": rfc3339(last),
            "gsd": float(summer.transform[0]),
            "proj:code": summer.code,
            "proj:shape": list(summer.shape),
            "proj:transform": list(summer.transform),
            "nunatak:shelf": summer.shelf,
            "nunatak:summer": summer.year,
            "nunatak:codes_sha256": {file.product: file.codes_sha256 for file in summer.files},
            **{f"nunatak:{name}": value for name, value in summer.properties.items()},
        },
        assets={file.product: _asset(file, float(summer.transform[0])) for file in summer.files},
    )
    for relation in ("root", "parent", "collection"):
        made.add_link(pystac.Link(relation, "../../collection.json", JSON_MEDIA))
    return to_json(made.to_dict(include_self_link=False, transform_hrefs=False))


def _asset(file: ReleasedFile, spacing: float) -> pystac.Asset:
    band: dict[str, Any] = {
        "name": "damage",
        "data_type": "uint8",
        "raster:spatial_resolution": spacing,
        "raster:sampling": "area",
    }
    if file.product == "extent":
        band["nodata"] = 255
    fields = {"file:checksum": multihash(file.sha256), "file:size": file.size, "bands": [band]}
    return pystac.Asset(
        f"./{file.name}", TITLES[file.product], None, COG_MEDIA, ["data"], extra_fields=fields
    )


def described(product: str, name: str, data: bytes, codes_sha256: str) -> ReleasedFile:
    """Return what an item says of a file."""
    return ReleasedFile(product, name, hashlib.sha256(data).hexdigest(), len(data), codes_sha256)


def collection(summers: Sequence[ReleasedSummer], *, description: str) -> bytes:
    """Return the collection of all released maps as JSON.

    Parameters
    ----------
    summers : sequence of ReleasedSummer
        One at least.
    description : str
        One paragraph for people.
    """
    boxes = [grids.bounding_box(place) for each in summers if (place := each.footprint)]
    whole = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes),
             max(b[3] for b in boxes)] if boxes else [-180.0, -90.0, 180.0, -60.0]  # fmt: skip
    spans = [each.span for each in summers]
    made = pystac.Collection(
        COLLECTION,
        description,
        pystac.Extent(
            pystac.SpatialExtent([whole]),
            pystac.TemporalExtent([[min(a for a, _ in spans), max(b for _, b in spans)]]),
        ),
        title="Yearly surface damage of Antarctic ice shelves",
        license="other",
        summaries=pystac.Summaries(
            {
                "nunatak:shelf": sorted({each.shelf for each in summers}),
                "nunatak:summer": {
                    "minimum": min(each.year for each in summers),
                    "maximum": max(each.year for each in summers),
                },
            }
        ),
    )
    made.remove_links("root")
    made.add_link(pystac.Link("root", "./collection.json", JSON_MEDIA))
    for each in summers:
        made.add_link(pystac.Link("item", f"./{each.path}", "application/geo+json"))
    return to_json(made.to_dict(include_self_link=False, transform_hrefs=False))
