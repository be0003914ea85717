"""A small STAC API on the standard library that records what it is asked.

It answers item search by pages of two, honours ``ids``, ``bbox``, ``intersects``, ``datetime`` and
``filter`` by rules of its own (not those under test), and takes a box with west > east for its
complement, as real servers do. It may refuse every search that has a given part, and stumble over
the first ones that are asked for a page.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cql2
import shapely
from shapely.geometry import shape

from tests.fixtures.serving import serving

CORE = "https://api.stacspec.org/v1.0.0/core"
SEARCH = "https://api.stacspec.org/v1.0.0/item-search"
FILTER = "https://api.stacspec.org/v1.0.0-rc.3/item-search#filter"
COLLECTIONS = "https://api.stacspec.org/v1.0.0/collections"
PAGE = 2


class StacApiServer(ThreadingHTTPServer):
    """Holds the items, and the body of every search; `refusal` is (part of a search, status).

    `stumbles` says what happens to the n-th search that is sent: a status, (status, Retry-After in
    seconds), or "cut" for half an answer.
    """

    def __init__(
        self,
        items: Sequence[dict[str, Any]],
        *,
        filters: bool,
        refusal: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusal = refusal
        self.items = list(items)
        self.searches: list[dict[str, Any]] = []
        self.stumbles: dict[int, int | tuple[int, float] | str] = {}
        self.conforms = [CORE, SEARCH, COLLECTIONS, *([FILTER] if filters else [])]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def chosen(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        found = self.items
        if body.get("collections"):
            found = [item for item in found if item["collection"] in body["collections"]]
        if body.get("ids"):
            found = [item for item in found if item["id"] in body["ids"]]
        if body.get("bbox"):
            west, south, east, north = body["bbox"]
            box = shapely.box(min(west, east), south, max(west, east), north)
            found = [item for item in found if shape(item["geometry"]).intersects(box)]
        if body.get("intersects"):
            area = shape(body["intersects"])
            found = [item for item in found if shape(item["geometry"]).intersects(area)]
        if body.get("datetime"):
            first, last = body["datetime"].split("/")
            found = [
                item
                for item in found
                if (last == ".." or _bound(item, "start_datetime") <= last)
                and (first == ".." or _bound(item, "end_datetime") >= first)
            ]
        if body.get("filter") and FILTER in self.conforms:
            found = [item for item in found if _holds(body["filter"], item)]
        return found


def _bound(item: dict[str, Any], name: str) -> str:
    """Return an end of an item's span; what lasts no time has a datetime only."""
    return str(item["properties"].get(name) or item["properties"]["datetime"])


def _holds(condition: dict[str, Any], item: dict[str, Any]) -> bool:
    """Evaluate a filter as SQL does: what cannot be decided does not hold."""
    reduced = cql2.parse_json(json.dumps(condition)).reduce(item).to_json()
    return reduced is True


class _Handler(BaseHTTPRequestHandler):
    server: StacApiServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the parent's name
        """Keep quiet."""

    def do_GET(self) -> None:
        if self.path.startswith("/collections"):
            names = sorted({item["collection"] for item in self.server.items})
            self._answer({"collections": [self._collection(name) for name in names], "links": []})
        elif self.path == "/broken":
            self.send_error(500)
        else:
            self._answer(
                {
                    "type": "Catalog",
                    "stac_version": "1.0.0",
                    "id": "peer",
                    "description": "A test peer",
                    "conformsTo": self.server.conforms,
                    "links": [
                        self._link("self", ""),
                        self._link("root", ""),
                        self._link("data", "/collections"),
                        {**self._link("search", "/search"), "method": "POST"},
                    ],
                }
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.searches.append(body)
        if self.server.refusal and self.server.refusal[0] in body:
            self.send_error(self.server.refusal[1])
            return
        stumble = self.server.stumbles.get(len(self.server.searches))
        if stumble is not None and stumble != "cut":
            self._fail(stumble)
            return
        found, start = self.server.chosen(body), int(body.get("token", 0))
        links = []
        if start + PAGE < len(found):
            after = {**body, "token": str(start + PAGE)}
            links = [{**self._link("next", "/search"), "method": "POST", "body": after}]
        page = found[start : start + PAGE]
        self._answer({"type": "FeatureCollection", "features": page, "links": links},
                     cut=stumble == "cut")  # fmt: skip

    def _fail(self, stumble: Any) -> None:
        status, wait = stumble if isinstance(stumble, tuple) else (stumble, None)
        self.send_response(status)
        if wait is not None:
            self.send_header("Retry-After", str(wait))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _link(self, relation: str, path: str) -> dict[str, str]:
        return {"rel": relation, "href": self.server.url + path, "type": "application/json"}

    def _collection(self, name: str) -> dict[str, Any]:
        return {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": name,
            "description": name,
            "license": "other",
            "links": [],
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [[None, None]]},
            },
        }

    def _answer(self, document: dict[str, Any], *, cut: bool = False) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/geo+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)


@contextmanager
def running(
    items: Sequence[dict[str, Any]], *, filters: bool, refusal: tuple[str, int] | None = None
) -> Iterator[StacApiServer]:
    """Serve items on a free port of the loopback."""
    server = StacApiServer(items, filters=filters, refusal=refusal)
    with serving(server):
        yield server
