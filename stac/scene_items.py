"""STAC items of stored scenes: which place of which array holds them, and what they are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pystac

from stac import grids
from stac.items import EXTENSIONS, JSON_MEDIA
from stac.landsat_items import Granule
from stac.pixel_grids import PixelGrid
from stac.queries import rfc3339
from stac.registry import to_json
from stac.stores import ZARR_MEDIA


@dataclass(frozen=True)
class StoredScene:
    """A scene as it is stored.

    Attributes
    ----------
    shelf, label : str
        Id of the shelf, and the scene's date with a letter if it needs one.
    summer : int
        Year in which its summer begins.
    place : int
        Index along ``scene`` in the arrays of its group.
    granules : sequence of Granule
        What it is made from.
    grid : PixelGrid
        Where its pixels lie.
    footprint : mapping
        ROI as GeoJSON in longitude and latitude.
    properties : mapping
        What was measured of it; names get the prefix ``nunatak:``.
    """

    shelf: str
    label: str
    summer: int
    place: int
    granules: Sequence[Granule]
    grid: PixelGrid
    footprint: Mapping[str, Any]
    properties: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Where its item lies below the product's output."""
        return f"items/{self.shelf}/{self.summer}/{self.label}.json"


def item(scene: StoredScene) -> pystac.Item:
    """Return the item of a stored scene, all hrefs relative."""
    first, last = scene.granules[0], scene.granules[-1]
    made = pystac.Item(
        id=f"{scene.shelf}-{scene.summer}-{scene.label}",
        geometry=dict(scene.footprint),
        bbox=grids.bounding_box(scene.footprint),
        datetime=first.moment,
        stac_extensions=list(EXTENSIONS),
        properties={
            "start_datetime": rfc3339(first.moment),
            "end_datetime": rfc3339(last.moment),
            "platform": "+".join(sorted({granule.platform for granule in scene.granules})),
            "gsd": scene.grid.spacing,
            "proj:code": scene.grid.code,
            "proj:shape": [scene.grid.ny, scene.grid.nx],
            "proj:transform": list(scene.grid.transform),
            "nunatak:shelf": scene.shelf,
            "nunatak:summer": scene.summer,
            "nunatak:scene": scene.label,
            **{f"nunatak:{name}": value for name, value in scene.properties.items()},
        },
    )
    group = f"../../../product.zarr/{scene.shelf}/{scene.summer}"
    for name, title in (("reflectance", "Red, green, blue"), ("mask", "Quality of each pixel")):
        made.add_asset(
            name,
            pystac.Asset(
                f"{group}/{name}",
                title=title,
                media_type=ZARR_MEDIA,
                roles=["data"],
                extra_fields={"nunatak:index": {"scene": scene.place}},
            ),
        )
    for granule in scene.granules:
        told = {"nunatak:id": granule.id, "nunatak:service": granule.service}
        href = granule.assets["red"].href.rsplit("/", 1)[0]
        made.add_link(pystac.Link(pystac.RelType.DERIVED_FROM, href, JSON_MEDIA, extra_fields=told))
    return made


def document(scene: StoredScene) -> bytes:
    """Return the item of a stored scene as JSON."""
    return to_json(item(scene).to_dict(include_self_link=False, transform_hrefs=False))
