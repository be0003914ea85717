"""A web server on a loopback address that answers by a script, and records what it was asked.

An address such as 127.0.0.2 is of this machine for the system, and a stranger's for Nunatak.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fixtures.serving import serving

STRANGER = "127.0.0.2"
CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/collections",
]


class ScriptedServer(ThreadingHTTPServer):
    """Answers a path with a document, bytes, or ``(status, location)``; all else with 404."""

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.routes: dict[str, Any] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_port}"

    def become_api(self, *items: Any, **more: Any) -> None:
        """Serve the root, one collection ``c`` and one page of items; `more` goes into the page."""
        self.routes |= {
            "/": {
                "type": "Catalog", "stac_version": "1.0.0", "id": "a", "description": "a",
                "conformsTo": list(CONFORMS),
                "links": [
                    {"rel": "self", "href": self.url, "type": "application/json"},
                    {"rel": "root", "href": self.url, "type": "application/json"},
                    {"rel": "data", "href": f"{self.url}/collections", "type": "application/json"},
                    {"rel": "search", "href": f"{self.url}/search", "type": "application/geo+json",
                     "method": "POST"},
                ],
            },
            "/collections": {"collections": [collection("c")], "links": []},
            "/search": {"type": "FeatureCollection", "features": list(items), "links": []} | more,
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the parent's name
        """Keep quiet."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.routes.get(self.path, (404, ""))
        if isinstance(answer, tuple):
            self.send_response(answer[0])
            self.send_header("Location", answer[1])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            # Whoever asked had read enough.
            self.close_connection = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()


@contextmanager
def scripted(host: str = STRANGER) -> Iterator[ScriptedServer]:
    """Run a server on a free port."""
    server = ScriptedServer(host)
    with serving(server):
        yield server


def collection(name: str) -> dict[str, Any]:
    return {
        "type": "Collection", "stac_version": "1.0.0", "id": name, "description": name,
        "license": "other", "links": [],
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]},
                   "temporal": {"interval": [[None, None]]}},
    }  # fmt: skip


def item(name: str = "i", **more: Any) -> dict[str, Any]:
    """Return a sound item with an asset in a bucket."""
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "c",
        "geometry": {"type": "Point", "coordinates": [10.0, -80.0]}, "bbox": [10, -80, 10, -80],
        "properties": {"datetime": "2011-02-01T00:00:00Z"}, "links": [],
        "assets": {"data": {"href": "s3://elsewhere/data.zarr"}},
    } | more  # fmt: skip
