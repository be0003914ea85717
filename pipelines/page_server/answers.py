"""What the server says to one request: pages, pieces of products, refusals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response, StreamingResponse

from cluster import media_types
from cluster.handshake import is_loopback
from pipelines.page_server import byte_ranges
from pipelines.page_server.byte_ranges import RangeError
from pipelines.page_server.file_trees import File, Tree
from pipelines.page_server.shown import PathError, decoded, is_page, is_shown
from pipelines.report.folder import MAP

if TYPE_CHECKING:
    from starlette.requests import Request

logger = logging.getLogger(__name__)

ICON = ("favicon.ico",)
"""What browsers ask for where a page names no picture of its own."""

PRODUCTS = "products"
"""First step of the paths of products' files."""

ACTIVE = frozenset({".html", ".js", ".css", ".svg"})
"""What a browser may act on: of products it is sent as bytes, for nobody vouches for it."""

MAP_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Of the report, which has its style within and no script at all."""
FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Runs replace products, so every copy is asked about; an ETag makes that cheap.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Site:
    """What is served, and to whom.

    Attributes
    ----------
    map_page : Tree
        Where the map's own files are.
    report : Tree
        Where the other pages are.
    products : mapping of str to Tree
        Files of products, by the name that the page calls them.
    hosts : frozenset of str
        Names, beside those of the loopback and the address that a connection came to, that a
        request may call this server by.
    """

    map_page: Tree
    report: Tree
    products: Mapping[str, Tree]
    hosts: frozenset[str] = field(default_factory=frozenset)

    def answer(self, request: Request) -> Response:
        """Return what a request gets; blocking, so called on a thread."""
        try:
            answer = self._refused(request) or self._found(request)
        except (ValueError, OSError) as error:  # a store in its own words, without its secrets
            logger.warning("%s", error)
            answer = refusal(
                HTTPStatus.BAD_GATEWAY, "the product cannot be read; the server's log says why"
            )
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        answer.headers.setdefault("Content-Security-Policy", FILE_POLICY)
        return answer

    def _refused(self, request: Request) -> Response | None:
        if request.method not in {"GET", "HEAD"}:
            found = refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this server is for reading")
            found.headers["Allow"] = "GET, HEAD"
            return found
        if not self._is_ours(request):
            return refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this server is not called that; open the address that `nunatak serve` printed, or "
                "start it with --allow-host NAME",
            )
        return None

    def _is_ours(self, request: Request) -> bool:
        """Whether the Host header names this server.

        A page of another origin can make its own name mean this machine (DNS rebinding), and its
        requests would then pass for ours; but they still carry that name.
        """
        name = host_name(request.headers.get("host", ""))
        if name is None:
            return False
        reached, _ = request.scope.get("server") or ("", 0)
        if name in self.hosts or is_loopback(name):
            return True
        # A socket of all addresses has IPv4 ones in the clothes of IPv6.
        return name == str(reached).removeprefix("::ffff:")

    def _found(self, request: Request) -> Response:
        try:
            steps = decoded(request.scope["raw_path"])
            if steps[0] == PRODUCTS:
                return self._product(request, steps[1:])
            return self._page(request, steps)
        except PathError as error:
            return refusal(HTTPStatus.BAD_REQUEST, str(error))

    def _page(self, request: Request, steps: tuple[str, ...]) -> Response:
        if steps == ICON:
            return RedirectResponse(f"/{MAP}/icon.svg", HTTPStatus.PERMANENT_REDIRECT)
        if not steps[-1]:
            steps = (*steps[:-1], "index.html")
        in_map = steps[0] == MAP  # which alone has scripts
        held = self.map_page if in_map else self.report
        file = held.find(steps) if in_map or is_page("/".join(steps)) else None
        if file is None:
            within = in_map or is_page("/".join((*steps, "index.html")))
            if within and held.find((*steps, "index.html")) is not None:
                return RedirectResponse(
                    f"{request.scope['raw_path'].decode('latin-1')}/", HTTPStatus.PERMANENT_REDIRECT
                )
            return refusal(HTTPStatus.NOT_FOUND, "there is no such page")
        answer = sent(request, file, media_type=media_types.media_type(steps[-1]))
        answer.headers["Content-Security-Policy"] = MAP_POLICY if in_map else REPORT_POLICY
        return answer

    def _product(self, request: Request, steps: tuple[str, ...]) -> Response:
        path = "/".join(steps[1:])
        held = self.products.get(steps[0]) if steps else None
        if held is None or not is_shown(path):
            return refusal(HTTPStatus.NOT_FOUND, "no product shows such a file")
        file = held.find(steps[1:])
        if file is None:
            return refusal(HTTPStatus.NOT_FOUND, "the product has no such file")
        active = media_types.suffix(path) in ACTIVE
        kind = media_types.ANY if active else media_types.media_type(path)
        return sent(request, file, media_type=kind)


def host_name(header: str) -> str | None:
    """Return the name of a Host header without its port, in small letters; None of nonsense.

    Examples
    --------
    >>> host_name("Ice.example:8050"), host_name("[::1]:8050"), host_name("a b")
    ('ice.example', '::1', None)
    """
    name, port = header.strip().lower(), ""
    if name.startswith("["):
        name, closed, port = name[1:].partition("]")
        port = port.removeprefix(":") if closed else "open"
    elif name.count(":") == 1:
        name, _, port = name.partition(":")
    if not name or (port and not port.isdecimal()) or any(c in name for c in " /@?#[]\t"):
        return None
    return name


def sent(request: Request, file: File, *, media_type: str) -> Response:
    """Return a file or the part of it that is asked for, or that the caller's copy is good."""
    headers = {
        "ETag": file.etag, "Last-Modified": file.modified, "Accept-Ranges": "bytes",
        "Content-Type": media_type,
    }  # fmt: skip
    if _is_known(request.headers.get("if-none-match", ""), file.etag):
        del headers["Content-Type"]
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    asked = request.headers.get("range")
    condition = request.headers.get("if-range")
    if condition is not None and condition not in {file.etag, file.modified}:
        asked = None
    try:
        part = byte_ranges.wanted(asked, file.size)
    except RangeError as error:
        answer = refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, str(error))
        answer.headers["Content-Range"] = f"bytes */{file.size}"
        return answer
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    if part is None:
        part = range(file.size)
    else:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
    headers["Content-Length"] = str(len(part))
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(file.pieces(part), status_code=status, headers=headers)


def _is_known(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names the file as it is; weak marks count as strong."""
    given = {each.strip().removeprefix("W/") for each in header.split(",")}
    return "*" in given or etag.removeprefix("W/") in given


def refusal(status: HTTPStatus, why: str) -> Response:
    """Return a short text that says why not."""
    text = f"{status.value} {status.phrase}: {why}\n"
    return Response(text, status_code=status, media_type="text/plain; charset=utf-8")
