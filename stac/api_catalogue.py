"""A STAC API asked the same questions as a catalogue of files, with the same answers.

Servers differ: some take a box across 180° for its complement, some lose items that a box without
width touches, some answer a CQL2 filter that they do not know with nothing, and some fail on one
that they should know. So such boxes are sent as polygons, lines and points, a filter only to a
server that declares FILTER and as CQL2 JSON, which every one of those takes in a POST; where it
fails, the question is asked again without it. Every item that comes back is tested here again.

A server is a stranger: what its answers link to is asked of itself only, whatever its redirections
say, and its items name files of this machine only if it answers on this machine itself.
"""

import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pystac
from pystac_client import Client
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError

from stac.confinement import is_near, is_unread, remote
from stac.documents import (
    LARGEST,
    UNREADABLE,
    MalformedError,
    hrefs,
    parsed,
    pass_over,
    read_item,
    require_item,
    shown,
    sort_key,
    unknown_collection,
)
from stac.locations import (
    CHUNK,
    CONNECT_SECONDS,
    READ_SECONDS,
    CatalogueError,
    EscapeError,
    UnreachableError,
)
from stac.origins import is_same_server, origin
from stac.queries import Query, QueryError, plane_box
from stac.retrying import bounded_retry

logger = logging.getLogger(__name__)

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
        told = self.client.search(**parameters).items_as_dicts()
        return list(islice(self._fitting(query, told), limit))

    def _fitting(self, query: Query, told: Iterable[Any]) -> Iterator[pystac.Item]:
        """Make items of documents; one that is no STAC item is passed over with a warning."""
        for document in told:
            name = document.get("id") if isinstance(document, dict) else document
            where = f"item {shown(name)} of {self.url}"
            try:
                require_item(document, where)
                if query.matches(document):
                    yield self._absolute(read_item(document, None, called=where))
            except MalformedError as error:
                pass_over(error)

    def _absolute(self, item: pystac.Item) -> pystac.Item:
        item.set_root(self.client)
        for name, asset in list(item.assets.items()):
            if is_unread(asset.href):
                told = "asset %s of item %s of %s is left out: %s is read by nothing here"
                logger.warning(told, name, item.id, self.url, asset.href[:200])
                del item.assets[name]
                continue
            try:
                href = asset.get_absolute_href() or asset.href
            except ValueError as error:
                msg = f"item {shown(item.id)} of {self.url} is no STAC item (asset {name}: {error})"
                raise MalformedError(msg) from error
            asset.href = href if is_near(self.url) else remote(href, root=self.url)
        return item


class OneServer(HTTPAdapter):
    """Sends requests to one server, whoever asks for another; its answers are bounded.

    This is where connections are made, so what a redirection names is seen here too. A server on
    this machine may name any other on it.
    """

    # What is kept of an adapter that travels between processes.
    __attrs__ = [*HTTPAdapter.__attrs__, "_url"]  # noqa: RUF012 the parent's form

    def __init__(self, url: str) -> None:
        self._url = url
        super().__init__(max_retries=bounded_retry())

    def send(self, request: PreparedRequest, *more: Any, **options: Any) -> Response:
        """Send a request, and read its answer up to `LARGEST`."""
        require_same_server(str(request.url), self._url)
        request.url = encrypted(str(request.url), self._url)
        response = super().send(request, *more, **options)
        data = bytearray()
        for chunk in response.iter_content(CHUNK):
            data += chunk
            if len(data) > LARGEST:
                response.close()
                msg = (
                    f"{self._url} answers with more than {LARGEST:,} bytes, the most that a page "
                    "may have; is it a STAC API?"
                )
                raise CatalogueError(msg)
        response._content = bytes(data)  # noqa: SLF001 where the answer is looked for
        return response


def require_same_server(href: str, url: str) -> None:
    """Refuse a link, or a redirection, of the API at `url` that leads to another server.

    Raises
    ------
    EscapeError
        If host and port are not the same, nor both servers on this machine.
    """
    is_web = origin(href)[0] in {"http", "https"}
    if is_web and (is_same_server(href, url) or (is_near(url) and is_near(href))):
        return
    msg = (
        f"the API at {url} links to {href[:200]!r}, which is outside it; its pages, collections "
        "and redirections must stay with its host and port: if you trust the other server, "
        "open the catalogue at the address that it has there"
    )
    raise EscapeError(msg)


def encrypted(href: str, url: str) -> str:
    """Return an address of the API at `url`, by https if that is how it was opened.

    Servers behind a proxy that ends TLS know themselves by http, and write their links so.

    >>> encrypted("http://a.org/stac/?page=2", "https://a.org/stac")
    'https://a.org/stac/?page=2'
    """
    if origin(url)[0] == "https" and origin(href)[0] == "http":
        return urlunsplit(urlsplit(href)._replace(scheme="https", netloc=urlsplit(url).netloc))
    return href


class PatientRequests(StacApiIO):
    """Asks again for a page that came in part, or that failed once; throttling is the session's."""

    def __init__(self, url: str) -> None:
        # Requests takes (connect, read) seconds; the client passes on what it is given.
        seconds: Any = (CONNECT_SECONDS, READ_SECONDS)
        super().__init__(timeout=seconds)
        self._url = url
        self.session.mount("http://", OneServer(url))
        self.session.mount("https://", OneServer(url))

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        """Return what a link names: of this server only, where the parent opens files as well."""
        require_same_server(str(getattr(source, "href", source)), self._url)
        return super().read_text(source, *args, **kwargs)

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Return the answer of the server, whole, and of the shape of a document or a page."""
        for seconds in STUMBLES_S:
            try:
                return self._page(href, method, headers, parameters)
            except (APIError, ValueError) as error:
                if not _may_pass(error):
                    raise
                time.sleep(seconds)
        return self._page(href, method, headers, parameters)

    def json_loads(self, txt: str, *_: Any, **__: Any) -> dict[str, Any]:
        """Return what JSON holds, read as files are; the parent takes what is installed."""
        document: dict[str, Any] = parsed(txt)
        return document

    def _page(self, href: str, *question: Any) -> str:
        try:
            text = super().request(href, *question)
        except APIError as error:
            if isinstance(error.__context__, CatalogueError):
                raise error.__context__ from None
            raise
        _require_page(parsed(text), href)
        return text


def _may_pass(error: Exception) -> bool:
    """Tell whether an answer was cut or an internal error, which another try may not meet."""
    if isinstance(error, APIError):
        return _status(error) == 500 or isinstance(error.__context__, ChunkedEncodingError)
    return True


def _require_page(document: object, href: str) -> None:
    """Check the shape of what a server answers: a document, or a page of some."""
    if not isinstance(document, dict):
        msg = (
            f"{href} answers with {type(document).__name__}, expected an object; is it a STAC API?"
        )
        raise MalformedError(msg)
    for name in ("features", "collections", "conformsTo"):
        if not isinstance(document.get(name) or [], list):
            msg = f"{href}: its {name} are {type(document[name]).__name__}, expected a list"
            raise MalformedError(msg)
    hrefs(document, "next", href)


def connect(url: str) -> ApiCatalogue:
    """Open a STAC API; a server that does not answer is given up within seconds."""
    with asking(url):
        client = Client.open(url, stac_io=PatientRequests(url))
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
    except (CatalogueError, QueryError):
        raise
    except (ClientTypeError, *UNREADABLE) as error:
        # pystac puts its own word around what the reading of a link raised.
        if isinstance(error.__context__, CatalogueError):
            raise error.__context__ from None
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
