"""A small server of one page: ``GET /metrics`` and ``GET /health``, and nothing else.

Whoever reaches the port can ask for no more than these two and can hold no more than a few
connections for a few seconds: a request line and headers of at most 8 KiB, no body, one request a
connection, five seconds for each, four at once. What asks for more gets a status and is cut off.
"""

import contextlib
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

logger = logging.getLogger(__name__)

LARGEST_REQUEST = 8192  # [bytes]; a scraper's has some three hundred
PLACES = 4
DEADLINE = 5.0  # [s] for a request to arrive, and again for the answer to leave
_BACKLOG = 16
_POLL = 0.1  # [s] between two looks at whether to stop
_DRAIN = 0.2  # [s] in which a refused caller may still send, so that it reads our answer
_PIECE = 4096  # [bytes]


@dataclass(frozen=True)
class Limits:
    """What the server takes on.

    Attributes
    ----------
    request : int
        Largest request line with its headers [bytes].
    places : int
        Connections at once.
    deadline : float
        Time for a request to arrive, and again for the answer to leave [s].
    """

    request: int = LARGEST_REQUEST
    places: int = PLACES
    deadline: float = DEADLINE


@dataclass(frozen=True)
class _Answer:
    status: HTTPStatus
    body: bytes
    media_type: str = "text/plain; charset=utf-8"

    def encoded(self) -> bytes:
        head = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.media_type}",
            f"Content-Length: {len(self.body)}",
            "X-Content-Type-Options: nosniff",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        if self.status is HTTPStatus.METHOD_NOT_ALLOWED:
            head.append("Allow: GET")
        return "\r\n".join((*head, "", "")).encode() + self.body


@contextmanager
def listening(
    page: Callable[[], bytes],
    host: str,
    port: int,
    *,
    media_type: str,
    limits: Limits = Limits(),
) -> Iterator[int]:
    """Serve ``page`` at ``/metrics`` from threads of its own while the block lasts.

    Parameters
    ----------
    page : callable
        Returns the body; called for each request.
    host : str
        Name or address to listen on.
    port : int
        0 for any that is free.
    media_type : str
        Of the page.
    limits : Limits, optional

    Yields
    ------
    int
        The port.

    Raises
    ------
    OSError
        If nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = _Server((host, port), family, _Site(page, media_type), limits)
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL,), name="nunatak-metrics", daemon=True
    )
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class _Site:
    page: Callable[[], bytes]
    media_type: str

    def answer(self, request_line: bytes) -> _Answer:
        """Return the answer to ``GET /metrics HTTP/1.1`` and to everything else."""
        words = request_line.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _Answer(HTTPStatus.BAD_REQUEST, b"not HTTP\n")
        method, target, _ = words
        if method != b"GET":
            return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n")
        path = target.partition(b"?")[0]
        if path == b"/health":
            return _Answer(HTTPStatus.OK, b"ok\n")
        if path == b"/metrics":
            try:
                return _Answer(HTTPStatus.OK, self.page(), self.media_type)
            except Exception:
                logger.exception("the metrics could not be read")
                return _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"see the log\n")
        return _Answer(HTTPStatus.NOT_FOUND, b"only /metrics and /health\n")


class _Server(socketserver.TCPServer):
    """Accepts connections and gives each of a few a thread; the others are told to come back."""

    allow_reuse_address = True
    request_queue_size = _BACKLOG

    def __init__(
        self, where: tuple[str, int], family: socket.AddressFamily, site: _Site, limits: Limits
    ) -> None:
        self.address_family = family
        self._site = site
        self._limits = limits
        self._free = threading.BoundedSemaphore(limits.places)
        super().__init__(where, socketserver.BaseRequestHandler)

    def process_request(self, request: object, client_address: object) -> None:
        """Serve a connection from a thread, if there is a place."""
        del client_address
        assert isinstance(request, socket.socket)  # noqa: S101 - tells the type checker only
        if not self._free.acquire(blocking=False):
            with contextlib.suppress(OSError), request:
                # Whoever accepts may not wait: what has come is read, the rest resets the caller.
                request.settimeout(0.0)
                with contextlib.suppress(BlockingIOError):
                    request.recv(self._limits.request)
                request.sendall(_Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"busy\n").encoded())
            return
        threading.Thread(
            target=self._serve, args=(request,), name="nunatak-metrics-request", daemon=True
        ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                answer = self._answered(connection)
                if answer is not None:
                    connection.settimeout(self._limits.deadline)
                    connection.sendall(answer.encoded())
                    _drained(connection)
        finally:
            self._free.release()

    def _answered(self, connection: socket.socket) -> _Answer | None:
        """Read a request and return its answer; None for a caller that left."""
        until = time.monotonic() + self._limits.deadline
        data = b""
        while b"\r\n\r\n" not in data:
            if len(data) >= self._limits.request:
                return _Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b"too large\n")
            remaining = until - time.monotonic()
            if remaining <= 0.0:
                return _Answer(HTTPStatus.REQUEST_TIMEOUT, b"too slow\n")
            connection.settimeout(remaining)
            try:
                piece = connection.recv(self._limits.request - len(data))
            except TimeoutError:
                return _Answer(HTTPStatus.REQUEST_TIMEOUT, b"too slow\n")
            if not piece:
                return None
            data += piece
        return self._site.answer(data.partition(b"\r\n")[0])


def _drained(connection: socket.socket) -> None:
    """Read on for a moment: closing with bytes unread would take our answer back."""
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + _DRAIN
    while (remaining := until - time.monotonic()) > 0.0:
        connection.settimeout(remaining)
        if not connection.recv(_PIECE):
            return
