"""The page and its products over HTTP, for reading: on this machine, unless told otherwise."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipelines.page_server import file_trees
from pipelines.page_server.answers import PRODUCTS, Site
from pipelines.report.folder import MARK

if TYPE_CHECKING:
    import uvicorn

    from pipelines.report.outputs import Output

logger = logging.getLogger(__name__)

CONNECTIONS = 100
"""Connections at once; a browser has six."""
IDLE_SECONDS = 5
"""How long a connection may wait for its next request."""
END_SECONDS = 3
"""How long answers that are under way may take once the server is told to end."""
REQUEST_BYTES = 16_384
"""Request line and headers; a browser's have two thousand."""

_SIMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+=@~-]*")


class PageServerError(ValueError):
    """An address that cannot be served on."""


def bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address, so that a taken port is known before a page is made.

    Raises
    ------
    PageServerError
        The port is taken or needs rights, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        msg = f"{host!r} is no address of this machine ({error}); expected such as 127.0.0.1"
        raise PageServerError(msg) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        msg = (
            f"nothing can listen at {host} port {port} ({error.strerror}); choose another port "
            "with --port, 0 for any that is free, or end what listens there"
        )
        raise PageServerError(msg) from error
    return made


def address_of(made: socket.socket) -> str:
    """Return the URL of a bound socket, as people on this machine open it."""
    host, port = made.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"  # all addresses of the machine: one of them
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/"


def is_open(made: socket.socket) -> bool:
    """Tell whether others than this machine can reach a bound socket."""
    return not ipaddress.ip_address(made.getsockname()[0].partition("%")[0]).is_loopback


def names(outputs: Sequence[Output]) -> dict[str, Output]:
    """Return the products by the step of their paths: their names, unless those need quoting."""
    taken = {each.name for each in outputs}
    free = (name for n in itertools.count(1) if (name := f"product-{n}") not in taken)
    return {
        each.name if _SIMPLE.fullmatch(each.name) else next(free): each for each in outputs
    }  # fmt: skip


def locate(served: Mapping[str, Output]) -> Callable[[Output], str]:
    """Return where a product is, seen from the map's page."""
    places = {output.address: f"../{PRODUCTS}/{quote(name)}" for name, output in served.items()}
    return lambda output: places[output.address]


def parted(addresses: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Return the folder of a finished report among addresses, None without one, and the others.

    Raises
    ------
    PageServerError
        Several reports, half of one, one without the products that its map reads, or a mark that
        is none of ours.
    """
    from cluster import object_store

    marks = {each: object_store.join(each, MARK) for each in addresses}
    reports = [each for each, mark in marks.items() if object_store.exists(mark)]
    others = tuple(each for each in addresses if each not in reports)
    if not reports:
        return None, others
    told = _marked(marks[reports[0]])
    if len(reports) > 1 or not told.get("whole"):
        msg = f"found {', '.join(reports)}, expected one report, whole; run `nunatak report` again"
        raise PageServerError(msg)
    if not others:
        held = told.get("products")
        names = ", ".join(str(name) for name in held) if isinstance(held, list) else "not told"
        msg = f"{reports[0]} is a report: name the outputs beside it that its map reads ({names})"
        raise PageServerError(msg)
    return reports[0], others


def _marked(path: str) -> dict[str, Any]:
    """Return what a report's mark says.

    Raises
    ------
    PageServerError
        It is no JSON object.
    """
    from cluster import object_store

    data = object_store.read_bytes(path)
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        msg = f"{path} is not as `nunatak report` writes it; run `nunatak report` again"
        raise PageServerError(msg)
    return found


def site(
    page: str,
    served: Mapping[str, Output],
    *,
    report: str | None = None,
    hosts: Sequence[str] = (),
) -> Site:
    """Return what is served: the folder of the map, that of the report, and the products.

    Parameters
    ----------
    page : str
        Folder with the map, and with the report around it unless ``report`` is given.
    served : mapping of str to Output
        Products by the names that the map calls them.
    report : str, optional
        Folder or prefix of a report that was made before.
    hosts : sequence of str
        Names of this server beside its addresses.
    """
    trees = {name: file_trees.tree(output.address) for name, output in served.items()}
    known = frozenset(host.lower().strip("[]") for host in hosts)
    drawn = file_trees.tree(page)
    return Site(drawn, drawn if report is None else file_trees.tree(report), trees, known)


def application(of: Site) -> Any:
    """Return the ASGI application of a site."""
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await run_in_threadpool(of.answer, Request(scope))
            await response(scope, receive, send)
        except (ValueError, OSError) as error:
            # An answer that breaks off in its middle: the connection is cut, so that it shows.
            logger.warning("%s", error)
            raise

    return answer


def _server(of: Site) -> uvicorn.Server:
    import uvicorn

    config = uvicorn.Config(
        application(of), http="h11", ws="none", lifespan="off", interface="asgi3", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, limit_concurrency=CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS, timeout_graceful_shutdown=END_SECONDS,
        h11_max_incomplete_event_size=REQUEST_BYTES,
    )  # fmt: skip
    # What breaks off is told in our words, above; uvicorn's are a traceback.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Server(config)


def serve(of: Site, made: socket.socket, *, ready: Callable[[], None]) -> None:
    """Answer until somebody interrupts; then answers under way end, and the interrupt is over.

    ``ready`` is called once callers wait in line rather than being turned away.
    """
    with contextlib.suppress(KeyboardInterrupt):
        made.listen()
        ready()
        _server(of).run(sockets=[made])


@contextmanager
def serving(of: Site, made: socket.socket) -> Iterator[str]:
    """Answer from a thread of its own while the block lasts; yields the URL."""
    server = _server(of)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [made]}, daemon=True)
    made.listen()  # whoever is early waits in line
    thread.start()
    try:
        yield address_of(made)
    finally:
        server.should_exit = True
        thread.join(timeout=2.0 * END_SECONDS + IDLE_SECONDS)
