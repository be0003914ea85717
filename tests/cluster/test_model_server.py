"""One scene on request: what a server answers to good, bad, large, slow and uninvited callers."""

import asyncio
import http.client
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response

from cluster import ray_cluster
from cluster.model_server import TOKEN, Limits, ModelReplica, ServerError, served

LIMITS = Limits(body=1000, upload=30.0, seconds=30.0, places=2)
HASTY = Limits(body=1000, upload=0.3, seconds=0.3, places=2)
BEGUN, RELEASED = threading.Event(), threading.Event()


@dataclass(frozen=True)
class Reversing:
    """Turns bytes round, with mishaps on demand."""

    opens: bool = True

    def opened(self, device: str) -> "Reversing":
        if not self.opens:
            msg = "the weights have another hash"
            raise ValueError(msg)
        return self

    def answer(self, data: bytes) -> bytes:
        if data == b"bad":
            msg = "expected a GeoTIFF of 3 bands, found 1"
            raise ValueError(msg)
        if data == b"broken":
            msg = "a secret of the inside"
            raise ZeroDivisionError(msg)
        if data == b"held":
            BEGUN.set()
            RELEASED.wait(60.0)
        if data.startswith(b"sleep"):
            time.sleep(float(data[5:]))
        return data[::-1]


@pytest.fixture(autouse=True)
def _no_token(monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    BEGUN.clear()
    RELEASED.clear()


async def until(fact: Callable[[], object]) -> None:
    """Wait for a fact, and let the server work meanwhile."""
    async with asyncio.timeout(60.0):
        while not fact():
            await asyncio.sleep(0.01)


def replica(limits: Limits = LIMITS) -> ModelReplica:
    guarded = bool(os.environ.get(TOKEN))
    return ModelReplica(Reversing(), limits, device="cpu", media_type="image/tiff", guarded=guarded)


async def asked(
    server: ModelReplica,
    body: bytes = b"",
    *,
    path: str = "/predict",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    parts: int = 1,
    pause: float = 0.0,
) -> Response:
    """Ask as an ASGI server does, with the body in equal parts and a pause before each."""
    size = max(1, -(-len(body) // parts))
    left = [body[start : start + size] for start in range(0, len(body), size)] or [b""]

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    names = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": names, "query_string": b""}
    return await server(Request(scope, receive))


def answer(*args, **kwargs) -> Response:
    return asyncio.run(asked(*args, **kwargs))


class TestReplica:
    def test_bytes_come_back_as_the_model_makes_them(self):
        response = answer(replica(), b"abc", parts=3)

        assert (response.status_code, response.body) == (200, b"cba")
        assert response.headers["content-type"] == "image/tiff"

    def test_health_is_told_while_the_model_works(self):
        server = replica()

        async def both() -> tuple[Response, Response]:
            working = asyncio.create_task(asked(server, b"held"))
            await until(BEGUN.is_set)
            health = await asked(server, path="/health", method="GET")
            assert not working.done()
            RELEASED.set()
            return health, await working

        health, worked = asyncio.run(both())
        assert (health.status_code, health.body) == (200, b"open\n")
        assert (worked.status_code, worked.body) == (200, b"dleh")

    def test_a_body_that_the_model_cannot_use_is_told_in_its_words(self):
        response = answer(replica(), b"bad")

        assert (response.status_code, response.body) == (
            400,
            b"expected a GeoTIFF of 3 bands, found 1\n",
        )

    def test_a_defect_is_logged_and_not_told(self, caplog):
        response = answer(replica(), b"broken")

        assert response.status_code == 500
        assert b"secret" not in response.body
        assert b"Traceback" not in response.body
        assert "a secret of the inside" in caplog.text

    def test_a_body_whose_length_is_too_large_is_not_read(self):
        response = answer(replica(), b"x", headers={"content-length": "1001"}, pause=60.0)

        assert response.status_code == 413
        assert b"1001 bytes or more; expected 1000 at the most" in response.body

    def test_a_body_that_grows_too_large_is_cut_off(self):
        response = answer(replica(), bytes(5000), parts=50)

        assert response.status_code == 413
        assert b"1100 bytes or more" in response.body or b"1050 bytes or more" in response.body

    def test_a_body_is_in_memory_once(self):
        size, part = 32 * 2**20, bytes(2**20)
        server = replica(replace(LIMITS, body=size))

        async def receive() -> dict[str, object]:
            left.pop()
            return {"type": "http.request", "body": part, "more_body": bool(left)}

        async def read() -> tuple[int, int]:
            tracemalloc.start()
            try:
                body = await server._body(Request(scope, receive))
                return len(body), tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        left = list(range(size // len(part)))
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
        length, peak = asyncio.run(read())

        assert length == size
        assert peak < 1.5 * size  # a buffer that grows is an eighth larger than what it holds

    @pytest.mark.parametrize("length", ["-1", "many", "1e3"])
    def test_a_length_that_is_no_number_is_refused(self, length):
        assert answer(replica(), headers={"content-length": length}).status_code == 400

    def test_a_body_that_comes_too_slowly_is_given_up(self):
        response = answer(replica(HASTY), bytes(100), parts=10, pause=0.1)

        assert response.status_code == 408
        assert b"within 0.3 s" in response.body

    def test_an_answer_that_takes_too_long_keeps_its_place_until_it_ends(self):
        server = replica(HASTY)

        async def session() -> tuple[Response, int]:
            late = await asked(server, b"held")
            taken = server._free
            RELEASED.set()
            await until(lambda: server._free == HASTY.places)
            return late, taken

        late, taken = asyncio.run(session())
        assert late.status_code == 503
        assert b"no answer within 0.3 s" in late.body
        assert int(late.headers["retry-after"]) >= 1
        assert taken == HASTY.places - 1

    def test_more_requests_than_places_are_told_to_come_back(self):
        server = replica()

        async def session() -> list[int]:
            asking = [asyncio.create_task(asked(server, b"held")) for _ in range(4)]
            await until(lambda: sum(task.done() for task in asking) == 2)
            RELEASED.set()
            responses = await asyncio.gather(*asking)
            return sorted(response.status_code for response in responses)

        assert asyncio.run(session()) == [200, 200, 503, 503]
        assert server._free == LIMITS.places

    def test_a_model_that_is_stuck_is_not_healthy(self):
        server = replica(Limits(seconds=0.1))

        async def health(status: int) -> Response:
            async with asyncio.timeout(60.0):
                while True:
                    found = await asked(server, path="/health", method="GET")
                    if found.status_code == status:
                        return found
                    await asyncio.sleep(0.01)

        async def session() -> tuple[Response, Response]:
            await asked(server, b"held")
            stuck = await health(503)
            RELEASED.set()
            return stuck, await health(200)

        stuck, well = asyncio.run(session())
        assert (stuck.status_code, well.status_code) == (503, 200)
        assert b"has worked on one answer for" in stuck.body

    @pytest.mark.parametrize(
        ("header", "status"),
        [("Bearer open sesame", 200), ("Bearer other", 401), ("open sesame", 401), ("", 401)],
    )
    def test_with_a_token_callers_need_it(self, monkeypatch, header, status):
        monkeypatch.setenv(TOKEN, "open sesame")

        response = answer(replica(), b"abc", headers={"authorization": header})

        assert response.status_code == status
        assert b"sesame" not in response.body

    def test_health_needs_no_token(self, monkeypatch):
        monkeypatch.setenv(TOKEN, "open sesame")

        assert answer(replica(), path="/health", method="GET").status_code == 200

    def test_a_replica_without_the_token_that_callers_need_does_not_start(self):
        with pytest.raises(ServerError, match=f"{TOKEN} is set where the server is started and"):
            ModelReplica(Reversing(), LIMITS, device="cpu", media_type="", guarded=True)

    @pytest.mark.parametrize(
        ("path", "method", "status"),
        [("/", "GET", 404), ("/predict", "GET", 405), ("/health", "POST", 405)],
    )
    def test_other_paths_and_methods_are_refused(self, path, method, status):
        assert answer(replica(), path=path, method=method).status_code == status

    @pytest.mark.parametrize("wrong", [{"body": 0}, {"places": 0}, {"seconds": float("nan")}])
    def test_limits_that_cannot_be_kept_are_refused(self, wrong):
        with pytest.raises(ServerError, match="expected more than 0 of each"):
            Limits(**wrong)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def cluster():
    """One core, and the token of the server in the environment of its replicas."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN, "open sesame")
        with ray_cluster.connect(workers=1) as found:
            yield found


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])  # noqa: S104 - refused
def test_others_than_this_machine_are_answered_with_a_token_alone(monkeypatch, host):
    monkeypatch.delenv(TOKEN, raising=False)

    with (
        pytest.raises(ServerError, match=f"{host}:1 would answer anybody who reaches it, and"),
        served(SimpleNamespace(address="ray://elsewhere"), Reversing(), host=host, port=1),
    ):
        pass


@pytest.mark.ray
@pytest.mark.long
def test_a_model_that_cannot_be_opened_and_a_port_that_is_taken_are_told(cluster):
    with (
        pytest.raises(ServerError, match="the weights have another hash"),
        served(cluster, Reversing(opens=False), port=free_port()),
    ):
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ServerError, match=f"cannot listen on 127.0.0.1:{port}"),
            served(cluster, Reversing(), port=port),
        ):
            pass


@pytest.fixture(scope="module")
def address(cluster) -> Iterator[str]:
    """A real server on the loopback that wants a token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN, "open sesame")
        limits = Limits(body=2**20, upload=2.0, seconds=3.0, places=2)
        with served(cluster, Reversing(), limits=limits, port=free_port()) as found:
            yield found


def call(
    address: str, body: object = None, *, path: str = "/predict", bearer: str = "open sesame"
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30.0)
    method = "GET" if path == "/health" else "POST"
    connection.request(method, path, body, {"Authorization": f"Bearer {bearer}"})
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


@pytest.mark.ray
@pytest.mark.slow
class TestServe:
    def test_a_scene_goes_in_and_an_answer_comes_out(self, address):
        body = os.urandom(2**20)

        assert call(address, path="/health") == (200, b"open\n")
        assert call(address, body) == (200, body[::-1])

    def test_refusals_come_through(self, address):
        assert call(address, b"bad")[0] == 400
        assert call(address, b"abc", bearer="guess")[0] == 401
        assert call(address, path="/other")[0] == 404
        status, said = call(address, b"broken")
        assert status == 500
        assert b"inside" not in said

    def test_a_body_too_large_is_refused_with_and_without_its_length(self, address):
        assert call(address, bytes(2**20 + 1))[0] == 413
        assert call(address, iter([bytes(2**18)] * 5))[0] == 413

    def test_an_answer_that_takes_too_long_is_given_up_and_health_goes_on(self, address):
        found: list[int] = []
        slow = threading.Thread(target=lambda: found.append(call(address, b"sleep5")[0]))
        slow.start()
        time.sleep(0.5)
        assert call(address, path="/health")[0] == 200
        slow.join()
        assert found == [503]

    def test_it_listens_on_the_loopback_alone(self, address):
        import psutil

        port = urlsplit(address).port
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = {
            connection.laddr.ip
            for process in family
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        }
        assert listening == {"127.0.0.1"}
