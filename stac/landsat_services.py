"""The services that tell and hold Landsat scenes: addresses, collections, and what each lacks.

All that is known of one service and of no other stands here; `landsat_items` knows how items of
every service are written, `signing` how an address is signed.

Sources: the landing pages and collection documents of the services, read in 2025; for the missing
items of Landsat 4 to 7, the issue 172 of hyp3-autorift.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

USGS_MIRROR = ("https://landsatlook.usgs.gov/data/", "s3://usgs-landsat/")
"""The same objects behind a login and in the requester-pays bucket."""
OURS = "catalogue"


class ServiceError(LookupError):
    """A service that is not known, or that does not offer what is asked of it."""


@dataclass(frozen=True)
class Service:
    """A place to ask for Landsat items.

    Parameters
    ----------
    name, url : str
        Its name here, and the root of its STAC API; no address where the user gives one.
    collections : mapping of int to tuple of str
        Its collections by processing level: 1 (top of atmosphere) and 2 (surface reflectance).
    alternate : str
        The ``alternate`` whose href is read in place of the asset's own; "" for none.
    mirror : (str, str)
        A beginning of hrefs and what stands for it where data are read; () for none.
    requester_pays : bool
        Whether who reads the data pays for it, in the bucket ``usgs-landsat``.
    signing : str
        How hrefs are signed: "" or "planetary-computer".
    least_sun : mapping of int to float
        Sun elevation [°] by level below which there are no scenes.
    lacks : str
        What cannot be had here and where it can, for messages.
    """

    name: str
    url: str
    collections: Mapping[int, tuple[str, ...]] = field(hash=False)
    alternate: str = ""
    mirror: tuple[str, str] | tuple[()] = ()
    requester_pays: bool = False
    signing: str = ""
    least_sun: Mapping[int, float] = field(default_factory=dict, hash=False)
    lacks: str = ""

    def read_from(self, href: str) -> str:
        """Return where the data of an href are read.

        >>> SERVICES["usgs"].read_from("https://landsatlook.usgs.gov/data/collection02/a.TIF")
        's3://usgs-landsat/collection02/a.TIF'
        """
        if self.mirror and href.startswith(self.mirror[0]):
            return self.mirror[1] + href.removeprefix(self.mirror[0])
        return href


LEAST_SUN_LEVEL_2 = MappingProxyType({2: 14.0})
"""Surface reflectance is not made for solar zenith angles above 76° (USGS, LSDS-1618)."""
SERVICES: Mapping[str, Service] = MappingProxyType(
    {
        service.name: service
        for service in (
            Service(
                "usgs",
                "https://landsatlook.usgs.gov/stac-server",
                MappingProxyType({1: ("landsat-c2l1",), 2: ("landsat-c2l2-sr",)}),
                alternate="s3",
                mirror=USGS_MIRROR,
                requester_pays=True,
                least_sun=LEAST_SUN_LEVEL_2,
                lacks=(
                    "items of Landsat 4 to 7 can be missing; read the *_stac.json documents of "
                    "the bucket in their place"
                ),
            ),
            Service(
                "planetary-computer",
                "https://planetarycomputer.microsoft.com/api/stac/v1",
                MappingProxyType({2: ("landsat-c2-l2",)}),
                signing="planetary-computer",
                least_sun=LEAST_SUN_LEVEL_2,
                lacks="it has no level 1 of Landsat 7, 8 and 9; take it from `usgs`",
            ),
            Service(
                "earth-search",
                "https://earth-search.aws.element84.com/v1",
                MappingProxyType({2: ("landsat-c2-l2",)}),
                alternate="s3",
                mirror=USGS_MIRROR,
                requester_pays=True,
                least_sun=LEAST_SUN_LEVEL_2,
                lacks="it has no level 1; take it from `usgs`",
            ),
            Service(OURS, "", MappingProxyType({}), lacks="it holds what was ingested"),
        )
    }
)


def named(name: str) -> Service:
    """Return a service by its name.

    Raises
    ------
    ServiceError
        If there is none of this name.
    """
    if name in SERVICES:
        return SERVICES[name]
    near = difflib.get_close_matches(name, SERVICES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    msg = f"no service {name!r} is known; {hint}there are: {', '.join(SERVICES)}"
    raise ServiceError(msg)


def collections_of(service: Service, level: int | None = None) -> tuple[str, ...] | None:
    """Return the collections to ask for scenes of a level; None for all that there are.

    Without a level it is the lowest that the service has: the paper works at the top of the
    atmosphere, which is level 1.

    Raises
    ------
    ServiceError
        If the service does not offer the level.
    """
    if not service.collections:
        return None
    chosen = min(service.collections) if level is None else level
    if chosen in service.collections:
        return service.collections[chosen]
    held = " and ".join(str(each) for each in sorted(service.collections))
    msg = f"{service.name} offers level {held}, not level {chosen}: {service.lacks}"
    raise ServiceError(msg)
