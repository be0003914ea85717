"""A STAC API asked the same questions as a catalogue of files, with the same answers.

Servers differ: some take a box across 180° for its complement, some answer a CQL2 filter that they
do not know with nothing. So a box across 180° is sent as two polygons, a filter only to a server
that declares FILTER, and every item that comes back is tested here again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pystac
from pystac_client import Client
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from urllib3.util.retry import Retry

from stac.locations import CONNECT_SECONDS, READ_SECONDS, CatalogueError, UnreachableError
from stac.queries import Query, plane_box
from stac.static_catalogue import sort_key, unknown_collection

PAGE = 200
BY_START = [
    {"field": "properties.datetime", "direction": "asc"},
    {"field": "id", "direction": "asc"},
]


@dataclass(frozen=True)
class ApiCatalogue:
    """A STAC API behind `url`."""

    url: str
    client: Client

    def collections(self) -> list[str]:
        """Return the ids of the collections, sorted."""
        with asking(self.url):
            return sorted(collection.id for collection in self.client.get_collections())

    def search(
        self,
        collection: str | Sequence[str] | None = None,
        *,
        bbox: Sequence[float] | None = None,
        intersects: Mapping[str, Any] | None = None,
        period: tuple[str, str] | None = None,
        cql2: str | None = None,
        ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[pystac.Item]:
        """Return items that answer a `queries.Query`, by start and id; asset hrefs are absolute.

        With `limit`, a server that cannot sort chooses which items come; all else is equal to
        `StaticCatalogue.search`.
        """
        query = Query(bbox, intersects, period, cql2, ids)
        names = self._checked(collection)
        with asking(self.url):
            answers = self._answers(query, names, limit)
            found = [_absolute(item) for item in islice(answers, limit)]
        return iter(sorted(found, key=sort_key))

    def _checked(self, collection: str | Sequence[str] | None) -> list[str] | None:
        if collection is None:
            return None
        names = [collection] if isinstance(collection, str) else list(collection)
        known = self.collections()
        for name in names:
            if name not in known:
                raise unknown_collection(name, known, self.url)
        return names

    def _answers(
        self, query: Query, names: list[str] | None, limit: int | None
    ) -> Iterator[pystac.Item]:
        parameters: dict[str, Any] = {"limit": PAGE, "collections": names}
        if query.bbox is not None and not query.crosses_180:
            parameters["bbox"] = plane_box(query.bbox)
        elif query.area is not None:
            parameters["intersects"] = query.sent_area
        if query.interval is not None:
            parameters["datetime"] = query.interval
        if query.ids is not None:
            parameters["ids"] = list(query.ids)
        if query.cql2 is not None and self.client.conforms_to("FILTER"):
            parameters |= {"filter": query.cql2, "filter_lang": "cql2-text"}
        if limit is not None and self.client.conforms_to("SORT"):
            parameters["sortby"] = BY_START
        for item in self.client.search(**parameters).items():
            if query.matches(item.to_dict(transform_hrefs=False)):
                yield item


def connect(url: str) -> ApiCatalogue:
    """Open a STAC API; a server that does not answer is given up within seconds."""
    retry = Retry(
        total=3,
        connect=1,
        backoff_factor=0.3,
        status_forcelist=[429, 502, 503, 504],
        allowed_methods=None,
    )
    # Requests takes (connect, read) seconds; the client passes on what it is given.
    seconds: Any = (CONNECT_SECONDS, READ_SECONDS)
    io = StacApiIO(max_retries=retry, timeout=seconds)
    with asking(url):
        return ApiCatalogue(url, Client.open(url, stac_io=io))


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Turn what the client raises into one message."""
    try:
        yield
    except APIError as error:
        reason = " ".join(str(error).split())[:300]
        msg = f"no STAC API answers at {url}: {reason}; check the address, and that it runs"
        raise UnreachableError(msg) from error
    except (ClientTypeError, pystac.STACError, KeyError, TypeError) as error:
        msg = (
            f"{url} answers with something that is no STAC ({error!r}); give the root of a STAC API"
        )
        raise CatalogueError(msg) from error


def _absolute(item: pystac.Item) -> pystac.Item:
    for asset in item.assets.values():
        asset.href = asset.get_absolute_href() or asset.href
    return item
