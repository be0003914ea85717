"""The record of one Landsat product that travels: what every service's item comes down to."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stac.landsat_services import OURS
from stac.queries import instant


class LandsatItemError(ValueError):
    """An item that is no Landsat product that can be read here, with what it lacks."""


@dataclass(frozen=True)
class Asset:
    """One file of a product.

    Parameters
    ----------
    href : str
        Where it is read, without a signature.
    size : int
        Its size [bytes]; 0 if not told.
    checksum : str
        Multihash in hex; "" if not told.
    scale, offset : float or None
        What turns stored numbers into reflectance, where the item tells it.
    """

    href: str
    size: int = 0
    checksum: str = ""
    scale: float | None = None
    offset: float | None = None


@dataclass(frozen=True)
class Granule:
    """One Landsat product: one path, row and time.

    Parameters
    ----------
    id : str
        Id of its item.
    platform : str
        ``landsat-7``, ``landsat-8`` or ``landsat-9``.
    start : str
        Instant of the acquisition in UTC, as RFC 3339; midnight where the item tells a day only.
    path, row : int
        Place in the Worldwide Reference System 2.
    category : str
        T1, T2 or RT.
    collection_number, level : int
        1 or 2 each.
    sun_elevation, sun_azimuth : float
        At the centre of the scene [°]; NaN if not told.
    cloud_cover : float
        Per cent of the scene; NaN if not told.
    code : str
        ``EPSG:n``, or "" where the item does not tell the projection.
    shape : (int, int) or ()
        Rows and columns of the 30 m bands.
    transform : tuple of 6 floats or ()
        Column, row to x, y [m] of pixel corners, as ``proj:transform`` has it.
    assets : mapping of str to Asset
        By the names in `landsat_assets.ASSETS`; red, green, blue and qa_pixel are always there.
    service : str
        Where it was found, see `landsat_services`.
    footprint : mapping
        GeoJSON in longitude and latitude as the service told it; {} if not told.
    """

    id: str
    platform: str
    start: str
    path: int
    row: int
    category: str
    collection_number: int
    level: int
    sun_elevation: float
    sun_azimuth: float
    cloud_cover: float
    code: str
    shape: tuple[int, ...]
    transform: tuple[float, ...]
    assets: Mapping[str, Asset] = field(hash=False)
    service: str = OURS
    footprint: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Keep one NaN only, so that equal granules compare equal."""
        for name in ("sun_elevation", "sun_azimuth", "cloud_cover"):
            if math.isnan(getattr(self, name)):
                object.__setattr__(self, name, math.nan)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as plain values; a NaN of another process would not compare equal."""
        return Granule.from_dict, (self.to_dict(),)

    @property
    def moment(self) -> datetime:
        """The instant of the acquisition."""
        return instant(self.start)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON takes; NaN is None."""
        plain = dataclasses.asdict(self)
        numbers = {k: None for k, v in plain.items() if isinstance(v, float) and math.isnan(v)}
        return plain | numbers | {"shape": list(self.shape), "transform": list(self.transform)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Granule":
        """Return the granule that `to_dict` told."""
        numbers = {k: math.nan for k in ("sun_elevation", "sun_azimuth", "cloud_cover")
                   if plain[k] is None}  # fmt: skip
        assets = {name: Asset(**asset) for name, asset in plain["assets"].items()}
        shape, transform = tuple(plain["shape"]), tuple(plain["transform"])
        return cls(**{**plain, **numbers, "assets": assets, "shape": shape, "transform": transform})
