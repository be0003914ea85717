"""Metrics of a run over HTTP: what is served, where, and what a caller cannot do."""

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from cluster import metrics, metrics_server
from cluster.ledger import Receipt
from cluster.metrics import MetricsError, Place
from cluster.metrics_server import Limits
from cluster.prices import Prices
from cluster.run_tally import RunFacts, RunTally, StageFacts

HOSTILE = 'a"b\\c\nd'
"""A name that would end its label early, if it were not escaped."""


def tally(stage: str = "read") -> RunTally:
    facts = RunFacts(
        "3fa8", "gravimetry", "1.2", (StageFacts(stage, 8),), lambda _: stage, Prices()
    )
    made = RunTally(facts, (Receipt("k0", "done", 2.0, 10, 20),), {stage: 7})
    made.take(Receipt("k1", "done", 40.0, 1, 2), 500.0)
    made.take(Receipt("k2", "failed", 1.0, reason="bad"), 501.0)
    return made


def samples(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def read(url: str) -> tuple[str, str]:
    with urllib.request.urlopen(url, timeout=10.0) as answer:  # noqa: S310 - of this machine
        return answer.read().decode(), answer.headers["Content-Type"]


def asked(port: int, request: bytes, *, host: str = "127.0.0.1") -> bytes:
    with socket.create_connection((host, port), timeout=10.0) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


@contextmanager
def small_server(limits: Limits | None = None) -> Iterator[int]:
    with metrics_server.listening(
        lambda: b"page\n", "127.0.0.1", 0, media_type="text/plain", limits=limits or Limits()
    ) as port:
        yield port


class TestPlace:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("9108", Place("127.0.0.1", 9108)),
            ("0.0.0.0:9108", Place("0.0.0.0", 9108)),  # noqa: S104 - read, not bound
            ("[::1]:0", Place("::1", 0)),
            ("driver.example:80", Place("driver.example", 80)),
            ("  ", None),
        ],
    )
    def test_a_port_is_on_the_loopback_and_nothing_is_nowhere(
        self, text: str, expected: Place | None
    ) -> None:
        assert metrics.place({"NUNATAK_METRICS": text}) == expected

    @pytest.mark.parametrize(
        "text", ["yes", ":9108", "9108/x", "host:", "host:99999", "::1:9", "-1"]
    )
    def test_what_is_no_place_is_refused_with_what_would_be_one(self, text: str) -> None:
        with pytest.raises(MetricsError, match=r"expected a port such as 9108"):
            metrics.place({"NUNATAK_METRICS": text})


class TestPage:
    def test_the_page_holds_the_ledger_of_all_runs(self) -> None:
        with metrics.serving(tally(), Place("127.0.0.1", 0), started=400.0) as url:
            page, media = read(url)
        found = samples(page)

        def value(name: str, **labels: str) -> float:
            whose = {"product": "gravimetry", "run_id": "3fa8", **labels}
            return found[name, tuple(sorted(whose.items()))]

        assert media == "text/plain; version=0.0.4; charset=utf-8"
        assert value("nunatak_run_info", version="1.2") == 1.0
        assert value("nunatak_run_start_time_seconds") == 400.0
        assert value("nunatak_last_receipt_time_seconds") == 501.0
        assert value("nunatak_keys_total", stage="read", state="done") == 2.0
        assert value("nunatak_keys_total", stage="read", state="failed") == 1.0
        assert value("nunatak_keys_planned", stage="read") == 8.0
        assert value("nunatak_keys_left", stage="read") == 5.0
        assert value("nunatak_keys_failing", stage="read") == 1.0
        assert value("nunatak_bytes_read_total", stage="read") == 11.0
        assert value("nunatak_bytes_written_total", stage="read") == 22.0
        assert value("nunatak_key_seconds_sum", stage="read") == 43.0
        assert value("nunatak_key_seconds_count", stage="read") == 3.0
        assert value("nunatak_key_seconds_bucket", stage="read", le="3.0") == 2.0
        assert value("nunatak_dollars") == pytest.approx(43.0 / 3600 * 0.048)
        assert ("process_resident_memory_bytes", ()) in found

    def test_a_hostile_name_stays_within_its_label(self) -> None:
        with metrics.serving(tally(HOSTILE), Place("127.0.0.1", 0), started=1.0) as url:
            found = samples(read(url)[0])

        stages = {dict(labels).get("stage") for _, labels in found}
        assert stages == {None, HOSTILE}

    def test_nothing_is_added_to_the_registry_that_libraries_share(self) -> None:
        before = {family.name for family in REGISTRY.collect()}
        with metrics.serving(tally(), Place("127.0.0.1", 0), started=1.0):
            assert {family.name for family in REGISTRY.collect()} == before

    def test_the_page_counts_while_receipts_come(self) -> None:
        counted = tally()
        with metrics.serving(counted, Place("127.0.0.1", 0), started=1.0) as url:
            port = int(url.split(":")[2].partition("/")[0])
            counted.take(Receipt("k3", "done"), 502.0)
            page = asked(port, b"GET /metrics HTTP/1.1\r\n\r\n").decode()

        assert 'stage="read",state="done"} 3.0' in page


class TestServer:
    @pytest.mark.parametrize(
        ("request_line", "status"),
        [
            (b"GET /metrics HTTP/1.1", b"200"),
            (b"GET /metrics?name[]=x HTTP/1.0", b"200"),
            (b"GET /health HTTP/1.1", b"200"),
            (b"GET / HTTP/1.1", b"404"),
            (b"GET /metrics/../etc/passwd HTTP/1.1", b"404"),
            (b"POST /metrics HTTP/1.1", b"405"),
            (b"DELETE /health HTTP/1.1", b"405"),
            (b"GET /metrics", b"400"),
            (b"\x16\x03\x01\x02", b"400"),
        ],
    )
    def test_it_answers_two_pages_and_nothing_else(
        self, request_line: bytes, status: bytes
    ) -> None:
        with small_server() as port:
            answer = asked(port, request_line + b"\r\nHost: x\r\n\r\n")

        assert answer.split(b" ", 2)[1] == status
        assert (b"page\n" in answer) == (status == b"200" and b"health" not in request_line)

    @pytest.mark.parametrize(
        "request_", [b"GET /" + b"a" * 100_000, b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20_000]
    )
    def test_a_long_request_is_cut_off(self, request_: bytes) -> None:
        with small_server() as port:
            answer = asked(port, request_[: metrics_server.LARGEST_REQUEST + 100])

        assert answer.startswith(b"HTTP/1.1 431 ")

    def test_a_slow_request_is_cut_off_and_holds_nobody_up(self) -> None:
        limits = Limits(places=2, deadline=2.0)
        with small_server(limits) as port:
            slow = socket.create_connection(("127.0.0.1", port), timeout=10.0)
            with slow:
                slow.sendall(b"GET /met")
                quick = asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")
                started = time.monotonic()
                answer = slow.recv(4096)

        assert quick.startswith(b"HTTP/1.1 200 ")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started < 9.0

    def test_more_callers_than_places_are_told_to_come_back(self) -> None:
        with small_server(Limits(places=2, deadline=20.0)) as port, ExitStack() as open_:
            for _ in range(2):
                held = socket.create_connection(("127.0.0.1", port), timeout=10.0)
                open_.enter_context(held).sendall(b"G")
            assert _is_busy(port)

    def test_places_are_given_back(self) -> None:
        with small_server(Limits(places=1)) as port:
            for _ in range(20):
                assert b" 200 " in _patiently(port)

    def test_a_page_that_breaks_costs_one_answer_and_a_log_line(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        pages = iter([ZeroDivisionError("half a tally"), b"whole\n"])

        def page() -> bytes:
            following = next(pages)
            if isinstance(following, Exception):
                raise following
            return following

        with metrics_server.listening(page, "127.0.0.1", 0, media_type="text/plain") as port:
            first = asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")
            assert b"whole" in asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 500 ")
        assert b"half" not in first
        assert "half a tally" in caplog.text

    def test_it_listens_on_the_loopback_only_and_is_gone_afterwards(self) -> None:
        before = threading.active_count()
        with small_server() as port:
            with (
                pytest.raises(OSError, match="in use"),
                metrics_server.listening(bytes, "127.0.0.1", port, media_type="text/plain"),
            ):
                pytest.fail("two servers at one port")
            # Another address of the loopback network: a socket on all addresses would answer.
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port), timeout=5.0)

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5.0)
        assert threading.active_count() <= before


def _is_busy(port: int) -> bool:
    """Ask until the answer is that all places are taken: those before may still be on their way."""
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        if _tried(port).startswith(b"HTTP/1.1 503 "):
            return True
        time.sleep(0.02)
    return False


def _patiently(port: int) -> bytes:
    """Ask again while the only place is not given back yet: that happens after the answer left."""
    for _ in range(200):
        answer = _tried(port)
        if b" 200 " in answer:
            return answer
        time.sleep(0.01)
    return answer


def _tried(port: int) -> bytes:
    try:
        return asked(port, b"GET /health HTTP/1.1\r\n\r\n")
    except ConnectionResetError:  # refused before the request had come
        return b""
