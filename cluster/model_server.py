"""A model behind HTTP, for one scene on request: Ray Serve, with limits of size and of time.

Overall strategy: a replica is an actor that holds one model, as in :mod:`cluster.gpu_pool`, and
answers one request at a time on a thread of its own, so that the health check never waits for the
model. Every request takes one of a few places before its body is read, so that memory is bounded by
places × largest body; without a free place the caller is told to come back.

===========  ==========================================================================
GET /health  200 once the model is open, 503 if an answer is long overdue
POST /predict  body in, body out
400          the model's words about a body that it cannot use (a ValueError)
401          without the token, where ``NUNATAK_SERVER_TOKEN`` is set
408, 413     the body came too slowly, or is too large
503          all places are taken, or the model took too long: come back later
500          the model failed; why is in the server's log and not in the answer
===========  ==========================================================================
"""

import asyncio
import hmac
import io
import logging
import os
import re
import socket
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cluster.gpu_pool import Needs
from cluster.handshake import is_loopback
from cluster.ray_cluster import RayCluster

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger(__name__)

TOKEN = "NUNATAK_SERVER_TOKEN"  # noqa: S105 - the name of the variable
_OVERDUE = 3.0  # limits of time after which a model counts as stuck
# The last line of a traceback, among other words of Serve about a replica that did not start.
_RAISED = re.compile(r"[\w.]*(Error|Exception|Failed|Exit)\b.*:")
_SLACK = 15.0  # [s] that Serve itself waits beyond our limits, in case we are stuck


class ServerError(ValueError):
    """A model cannot be served as it is."""


class _Refused(Exception):  # noqa: N818 - says what happened
    """A request that ends with a status and a reason."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


class Answering(Protocol):
    """A model in memory that answers bytes with bytes."""

    def answer(self, data: bytes) -> bytes:
        """Return the answer; a ``ValueError`` says what is wrong with ``data``."""


class AnsweringJob(Protocol):
    """What is served: it can be pickled, and is opened once in each replica."""

    def opened(self, device: str) -> Answering:
        """Return the job with its model in the memory of ``device``, ``"cpu"`` or ``"cuda"``."""


@dataclass(frozen=True)
class Limits:
    """What a server takes on.

    Attributes
    ----------
    body : int
        The largest body [bytes].
    upload : float
        How long a body may take to arrive [s].
    seconds : float
        How long an answer may take, with waiting for the answers before it [s].
    places : int
        How many requests at once, in each replica; the rest are told to come back.
    """

    body: int = 512 * 2**20
    upload: float = 60.0
    seconds: float = 120.0
    places: int = 4

    def __post_init__(self) -> None:
        if self.body < 1 or self.places < 1 or not (self.upload > 0.0 and self.seconds > 0.0):
            msg = f"{self} cannot be kept; expected more than 0 of each, in bytes and seconds"
            raise ServerError(msg)


class ModelReplica:
    """Holds one model and answers requests; tested without Ray.

    Parameters
    ----------
    job : AnsweringJob
    limits : Limits
    device : str
        Where the model is opened.
    media_type : str
        Of the answers.
    guarded : bool
        Whether callers need the token of the environment; then a replica without it does not start.
    """

    def __init__(
        self, job: AnsweringJob, limits: Limits, *, device: str, media_type: str, guarded: bool
    ) -> None:
        self._limits = limits
        self._media_type = media_type
        self._token = os.environ.get(TOKEN, "").encode()
        if guarded and not self._token:
            msg = f"{TOKEN} is set where the server is started and not on the node of this "
            msg += "replica, which would answer anybody; set it on every node"
            raise ServerError(msg)
        self._free = limits.places
        self._busy_since: float | None = None
        # Opened and used by one thread: what a library keeps for each thread stays where it is.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._model = self._thread.submit(job.opened, device).result()

    async def __call__(self, request: "Request") -> "Response":
        """Answer one request."""
        from starlette.responses import PlainTextResponse

        try:
            return await self._routed(request)
        except _Refused as refusal:
            return PlainTextResponse(f"{refusal}\n", refusal.status, refusal.headers)
        except Exception:
            logger.exception("a request failed")
            return PlainTextResponse("the model failed on this; see the server's log\n", 500)

    def check_health(self) -> None:
        """Raise if an answer is long overdue; Serve then replaces the replica."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > _OVERDUE * self._limits.seconds:
            msg = f"the model has worked on one answer for {time.monotonic() - since:.0f} s"
            raise RuntimeError(msg)

    async def _routed(self, request: "Request") -> "Response":
        from starlette.responses import PlainTextResponse, Response

        known = {"/health": "GET", "/predict": "POST"}
        method = known.get(request.url.path)
        if method is None:
            raise _Refused(404, f"nothing at {request.url.path}; expected /predict or /health")
        if request.method != method:
            reason = f"{request.url.path} takes {method}, not {request.method}"
            raise _Refused(405, reason, {"allow": method})
        if method == "GET":
            return PlainTextResponse(self._health())
        self._require_token(request)
        return Response(await self._predicted(request), media_type=self._media_type)

    def _health(self) -> str:
        try:
            self.check_health()
        except RuntimeError as error:
            raise _Refused(503, str(error)) from error
        return "open\n"

    def _require_token(self, request: "Request") -> None:
        if not self._token:
            return
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            reason = "expected the header 'Authorization: Bearer ' with the token of this server"
            raise _Refused(401, reason, {"www-authenticate": "Bearer"})

    async def _predicted(self, request: "Request") -> bytes:
        """Take a place, read the body, wait for the answer, and free the place when both ended."""
        if not self._free:
            reason = f"all {self._limits.places} places are taken"
            raise self._busy(reason)
        self._free -= 1
        future: Future[bytes] | None = None
        try:
            body = await self._body(request)
            future = self._thread.submit(self._answer, body)
            return await asyncio.wait_for(asyncio.wrap_future(future), self._limits.seconds)
        except TimeoutError as error:
            reason = f"no answer within {self._limits.seconds:g} s"
            raise self._busy(reason) from error
        except ValueError as error:
            raise _Refused(400, str(error)) from error
        finally:
            self._release_after(future)

    def _release_after(self, future: "Future[bytes] | None") -> None:
        """Free a place; one whose model still works on it stays taken until that ends."""
        loop = asyncio.get_running_loop()

        def release() -> None:
            self._free += 1

        if future is None or future.cancel() or future.done():
            release()
        else:
            future.add_done_callback(lambda _: loop.call_soon_threadsafe(release))

    def _answer(self, body: bytes) -> bytes:
        self._busy_since = time.monotonic()
        try:
            return self._model.answer(body)
        finally:
            self._busy_since = None

    def _busy(self, reason: str) -> _Refused:
        after = f"{max(1, round(self._limits.seconds / 4))}"
        return _Refused(503, f"{reason}; come back later", {"retry-after": after})

    async def _body(self, request: "Request") -> bytes:
        """Return the body, refused as soon as it is known to be too large."""
        said = request.headers.get("content-length", "0")
        if not said.isascii() or not said.isdigit():
            raise _Refused(400, f"content-length is {said!r}; expected a number of bytes")
        self._require_size(int(said))
        body = io.BytesIO()  # gives its bytes without a second copy of them

        async def read() -> None:
            async for part in request.stream():
                self._require_size(body.tell() + len(part))
                body.write(part)

        try:
            await asyncio.wait_for(read(), self._limits.upload)
        except TimeoutError as error:
            reason = f"{body.tell()} bytes came within {self._limits.upload:g} s and no end of them"
            raise _Refused(408, reason) from error
        return body.getvalue()

    def _require_size(self, size: int) -> None:
        if size > self._limits.body:
            reason = f"the body has {size} bytes or more; expected {self._limits.body} at the most"
            raise _Refused(413, reason)


@contextmanager
def served(
    cluster: RayCluster,
    job: AnsweringJob,
    *,
    needs: Needs | None = None,
    limits: Limits | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    media_type: str = "application/octet-stream",
) -> Iterator[str]:
    """Serve a model while the block lasts, and yield the address ``http://host:port``.

    Parameters
    ----------
    cluster : RayCluster
        Where, see :func:`cluster.ray_cluster.connect`.
    job : AnsweringJob
        What answers.
    needs : Needs, optional
        Of each replica; ``needs.actors`` of them, by default one.
    limits : Limits, optional
        By default half a gigabyte, two minutes and four requests at once.
    host : str
        The address to listen on; by default callers on this machine alone.
    port : int
        The port to listen on.
    media_type : str
        Of the answers.

    Raises
    ------
    ServerError
        If the model cannot be opened, the port cannot be had, or others than this machine could
        reach it without a token.
    """
    import ray

    serve = _import_quietly()
    needs, limits = needs or Needs(), limits or Limits()
    if cluster.address == "local":
        _require_port(host, port)
    guarded = require_guarded(host, port)
    app = _deployment(needs, limits).bind(
        job, limits, device=needs.device, media_type=media_type, guarded=guarded
    )
    try:
        try:
            _start(serve, app, host, port, seconds=limits.upload + limits.seconds + _SLACK)
        except (RuntimeError, ray.exceptions.RayError, OSError, ValueError) as error:
            why = _reason(serve) or str(error)
            msg = f"no model at http://{host}:{port} of Ray at {cluster.address}: {why}; "
            msg += f"expected a model that opens, {needs.demand()} on a node, and a free port"
            raise ServerError(msg) from error
        yield f"http://{host}:{port}"
    finally:
        serve.shutdown()


def require_guarded(host: str, port: int) -> bool:
    """Return whether callers need a token.

    Raises
    ------
    ServerError
        They need none, and others than this machine could reach the address.
    """
    guarded = bool(os.environ.get(TOKEN))
    if not guarded and not is_loopback(host):
        msg = f"{host}:{port} would answer anybody who reaches it, and {TOKEN} is not set; set "
        raise ServerError(msg + "it to a secret that callers send, or listen on 127.0.0.1")
    return guarded


def _start(serve: Any, app: Any, host: str, port: int, *, seconds: float) -> None:
    """Start Serve's proxy, which waits so long for an answer [s], and the application behind it."""
    quiet = {"log_level": "CRITICAL", "enable_access_log": False}
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": host, "port": port, "request_timeout_s": seconds},
        logging_config=quiet,
    )
    serve.run(app, name="model", route_prefix="/", logging_config=quiet)


def _deployment(needs: Needs, limits: Limits) -> Any:
    """Return the replica's class as Ray Serve knows it; the one place where it is decorated."""
    serve = _import_quietly()
    options = needs.options()
    return serve.deployment(
        name="model",
        num_replicas=needs.actors or 1,
        # More than its places: whoever finds none is told by the replica, and health answers.
        max_ongoing_requests=4 * limits.places + 8,
        health_check_period_s=5.0,
        ray_actor_options={
            name: options[name]
            for name in ("num_cpus", "num_gpus", "memory", "resources", "runtime_env")
            if options[name] is not None
        },
    )(ModelReplica)


def _reason(serve: Any) -> str:
    """Return what the replica raised while it opened the model, empty if nothing is known."""
    application = serve.status().applications.get("model")
    if application is None or "model" not in application.deployments:
        return ""
    said: str = application.deployments["model"].message
    raised = [line.strip() for line in said.splitlines() if _RAISED.match(line.strip())]
    return raised[-1] if raised else ""


def _import_quietly() -> Any:
    """Return Ray Serve; what it asks of pydantic is deprecated, which is not for our users."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from ray import serve
    return serve


def _require_port(host: str, port: int) -> None:
    """Refuse a port that is not to be had; Serve would start its proxy again and again."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        msg = f"cannot listen on {host}:{port} ({error}); end what listens there, or choose another"
        raise ServerError(msg) from error
