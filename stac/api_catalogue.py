"""A STAC API asked the same questions as a catalogue of files, with the same answers.

Servers differ: some take a box across 180° for its complement, some lose items that a box without
width touches, some answer a CQL2 filter that they do not know with nothing, and some fail on one
that they should know. So such boxes are sent as polygons, lines and points, a filter only to a
server that declares FILTER and as CQL2 JSON, which every one of those takes in a POST; where it
fails, the question is asked again without it. Every item that comes back is tested here again.
"""

import json
import re
import time
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
from requests.exceptions import ChunkedEncodingError

from stac.locations import CONNECT_SECONDS, READ_SECONDS, CatalogueError, UnreachableError
from stac.queries import Query, plane_box
from stac.retrying import bounded_retry
from stac.static_catalogue import sort_key, unknown_collection

PAGE = 200
# What servers answer to a filter that they cannot read or evaluate.
NOT_FILTERED = frozenset({400, 422, 500, 501})
STUMBLES_S = (0.3, 0.9)
"""Waits before a page that failed or came cut is asked for again [s]."""
EXTENSIONS = ("FILTER", "SORT")
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
            found = self._found(query, self._parameters(query, names, limit), limit)
        return iter(sorted(map(_absolute, found), key=sort_key))

    def _checked(self, collection: str | Sequence[str] | None) -> list[str] | None:
        if collection is None:
            return None
        names = [collection] if isinstance(collection, str) else list(collection)
        known = self.collections()
        for name in names:
            if name not in known:
                raise unknown_collection(name, known, self.url)
        return names

    def _parameters(
        self, query: Query, names: list[str] | None, limit: int | None
    ) -> dict[str, Any]:
        """Return the question as this server understands it."""
        parameters: dict[str, Any] = {"limit": PAGE, "collections": names}
        if query.is_plain_box:
            parameters["bbox"] = plane_box(query.bbox or ())
        elif query.area is not None:
            parameters["intersects"] = query.sent_area
        if query.interval is not None:
            parameters["datetime"] = query.interval
        if query.ids is not None:
            parameters["ids"] = list(query.ids)
        if query.cql2 is not None and self.client.conforms_to("FILTER"):
            parameters |= {"filter": query.expression.to_json(), "filter_lang": "cql2-json"}
        if limit is not None and self.client.conforms_to("SORT"):
            parameters["sortby"] = BY_START
        return parameters

    def _found(
        self, query: Query, parameters: dict[str, Any], limit: int | None
    ) -> list[pystac.Item]:
        """Ask, and ask again without the filter if the server fails on it."""
        try:
            return self._answers(query, parameters, limit)
        except APIError as error:
            if "filter" not in parameters or _status(error) not in NOT_FILTERED:
                raise
        without = {k: v for k, v in parameters.items() if k not in {"filter", "filter_lang"}}
        return self._answers(query, without, limit)

    def _answers(
        self, query: Query, parameters: dict[str, Any], limit: int | None
    ) -> list[pystac.Item]:
        items = self.client.search(**parameters).items()
        fitting = (item for item in items if query.matches(item.to_dict(transform_hrefs=False)))
        return list(islice(fitting, limit))


class PatientRequests(StacApiIO):
    """Asks again for a page that came in part, or that failed once; throttling is the session's."""

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Return the answer of the server, whole."""
        for seconds in STUMBLES_S:
            try:
                text = super().request(href, method, headers, parameters)
                json.loads(text)
            except (APIError, json.JSONDecodeError) as error:
                if not _may_pass(error):
                    raise
                time.sleep(seconds)
            else:
                return text
        return super().request(href, method, headers, parameters)


def _may_pass(error: Exception) -> bool:
    """Tell whether an answer was cut or an internal error, which another try may not meet."""
    if isinstance(error, APIError):
        return _status(error) == 500 or isinstance(error.__context__, ChunkedEncodingError)
    return True


def connect(url: str) -> ApiCatalogue:
    """Open a STAC API; a server that does not answer is given up within seconds."""
    # Requests takes (connect, read) seconds; the client passes on what it is given.
    seconds: Any = (CONNECT_SECONDS, READ_SECONDS)
    io = PatientRequests(max_retries=bounded_retry(), timeout=seconds)
    with asking(url):
        client = Client.open(url, stac_io=io)
        _declare(client)
    return ApiCatalogue(url, client)


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Turn what the client raises into one message."""
    try:
        yield
    except APIError as error:
        reason = " ".join(str(error).split())[:300]
        status = _status(error)
        if status is not None and status < 500:
            msg = f"{url} refuses the question (HTTP {status}): {reason}; ask another way"
            raise CatalogueError(msg) from error
        msg = f"no STAC API answers at {url}: {reason}; check the address and the network"
        raise UnreachableError(msg) from error
    except (ClientTypeError, pystac.STACError, KeyError, TypeError, json.JSONDecodeError) as error:
        msg = (
            f"{url} answers with something that is no STAC ({error!r}); give the root of a STAC API"
        )
        raise CatalogueError(msg) from error


def _declare(client: Client) -> None:
    """Let the client see extensions of every version; it knows those of STAC API 1.0 only."""
    for name in EXTENSIONS:
        declared = re.compile(rf"https://api\.stacspec\.org/v[^/]+/item-search#{name.lower()}")
        if any(declared.fullmatch(uri) for uri in client.get_conforms_to()):
            client.add_conforms_to(name)


def _status(error: APIError) -> int | None:
    """Return the HTTP status of an answer; None where there was no answer."""
    return getattr(error, "status_code", None)


def _absolute(item: pystac.Item) -> pystac.Item:
    for asset in item.assets.values():
        asset.href = asset.get_absolute_href() or asset.href
    return item
