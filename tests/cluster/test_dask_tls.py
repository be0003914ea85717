"""An encrypted scheduler in a process of its own: who holds its certificates gets in, nobody else.

What outsiders try here goes around our own checks: bare sockets and Dask's own client and worker.
"""

import contextlib
import logging
import socket
import ssl
import time
import urllib.error
import urllib.request

import pytest

from cluster import certificates, dask_cluster
from cluster.certificates import CertificateError
from cluster.dask_cluster import ClusterError
from tests.fixtures import tls

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def holders(tmp_path_factory):
    return tls.made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory, holders):
    with tls.scheduler(tmp_path_factory.mktemp("scheduler"), holders.ours) as found:
        yield found


@pytest.fixture
def ours(monkeypatch, holders):
    monkeypatch.setenv(certificates.FOLDER, str(holders.ours))


@pytest.fixture
def _unchanged(scheduler):
    """Whatever a test tries, nobody new comes to be known to the scheduler."""

    def known() -> tuple[int, int]:
        log = scheduler.log()
        return log.count("Receive client connection"), log.count("Register worker")

    before = known()
    yield
    assert known() == before


def test_who_holds_the_certificates_gets_in_and_computes(scheduler, ours):
    with dask_cluster.connect(scheduler.address) as client:
        assert client.submit(pow, 7, 2).result() == 49
        (worker,) = client.scheduler_info()["workers"]
        assert worker.startswith("tls://")
    assert "Receive client connection" in scheduler.log()


@pytest.mark.usefixtures("_unchanged")
class TestAnOutsider:
    @pytest.mark.parametrize(
        ("holder", "alert"),
        [
            (None, "CERTIFICATE_REQUIRED"),
            ("stranger", "UNKNOWN_CA"),
            ("ended", "CERTIFICATE_EXPIRED"),
        ],
    )
    def test_is_told_nothing_without_a_certificate_of_the_cluster(
        self, scheduler, holders, holder, alert
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if holder:
            folder = getattr(holders, holder)
            context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        with pytest.raises(ssl.SSLError, match=alert):
            _first_byte(scheduler.port, context)

    def test_with_the_certificate_is_told_at_once_which_shows_that_the_above_can_fail(
        self, scheduler, holders
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(holders.ours / "tls.crt", holders.ours / "tls.key")
        assert len(_first_byte(scheduler.port, context)) == 1

    def test_is_told_nothing_in_plain_words(self, scheduler):
        with socket.create_connection(("127.0.0.1", scheduler.port), timeout=5) as plain:
            plain.sendall((8).to_bytes(8, "little") + b"\0" * 8)  # a frame of Dask's own protocol
            with contextlib.suppress(ConnectionResetError):
                assert plain.recv(100)[:1] in {b"", b"\x15"}  # closed, or the alert of TLS

    @pytest.mark.parametrize(("protocol", "holder"), [("tcp", None), ("tls", "stranger")])
    def test_cannot_connect_dasks_own_client(self, scheduler, holders, protocol, holder, caplog):
        from distributed import Client
        from distributed.security import Security

        caplog.set_level(logging.CRITICAL, "distributed")
        settings = {
            f"tls_{name}": str(getattr(holders, holder) / file)
            for name, file in (
                ("ca_file", "ca.crt"), ("client_cert", "tls.crt"), ("client_key", "tls.key"),
            )
            if holder
        }  # fmt: skip
        with pytest.raises(OSError, match=r"Timed out|reset|TLS|certificate|CERTIFICATE"):
            Client(
                f"{protocol}://127.0.0.1:{scheduler.port}",
                security=Security(**settings) if settings else None,
                timeout=2,
            )

    def test_cannot_join_a_worker(self, scheduler, holders, tmp_path):
        plain = f"tcp://127.0.0.1:{scheduler.port}"
        tried = {
            "none": tls.start(tls.worker(plain, patience=3), None, tmp_path / "none"),
            "stranger": tls.start(
                tls.worker(scheduler.address, patience=3), holders.stranger, tmp_path / "stranger"
            ),
        }
        for name, process in tried.items():
            assert process.wait(60) != 0, name
            said = (tmp_path / name).read_text()
            assert "Waiting to connect" in said
            assert "Registered to" not in said


class TestOurClient:
    @pytest.mark.parametrize(
        ("holder", "said"),
        [
            ("stranger", r"was not signed by .*ca\.crt"),
            ("ended", r"tls\.crt ended on"),
        ],
    )
    def test_says_at_once_why_it_does_not_get_in(
        self, scheduler, holders, holder, said, monkeypatch
    ):
        monkeypatch.setenv(certificates.FOLDER, str(getattr(holders, holder)))
        started = time.monotonic()
        with (
            pytest.raises(CertificateError, match=said),
            dask_cluster.connect(scheduler.address),
        ):
            pass
        assert time.monotonic() - started < 20.0

    @pytest.mark.usefixtures("ours")
    def test_sends_nothing_in_plain_words_to_another_machine(self):
        with (
            pytest.raises(
                ClusterError, match=r"tcp://10\.1\.2\.3:8786 is not encrypted.*expected tls://10"
            ),
            dask_cluster.connect("tcp://10.1.2.3:8786"),
        ):
            pass

    @pytest.mark.usefixtures("ours")
    def test_may_use_a_plain_scheduler_of_this_machine(self):
        with (
            dask_cluster.connect(workers=1) as local,
            dask_cluster.connect(local.scheduler.address) as found,
        ):
            assert found.submit(pow, 3, 2).result() == 9

    def test_leaves_no_certificate_in_the_settings(self, scheduler, ours):
        import dask

        with dask_cluster.connect(scheduler.address):
            assert dask.config.get("distributed.comm.require-encryption") is True
        assert not dask.config.get("distributed.comm.require-encryption")
        assert dask.config.get("distributed.comm.tls.ca-file") is None


class TestPages:
    def test_health_and_metrics_are_for_probes_and_the_rest_is_not_there(self, scheduler):
        assert _page(f"{scheduler.pages}/health") == 200
        assert _page(f"{scheduler.pages}/metrics") == 200
        for path in ("info/main/workers.html", "json/counts.json", "proxy/80/127.0.0.1/"):
            assert _page(f"{scheduler.pages}/{path}") == 404


def _first_byte(port: int, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as encrypted,
    ):
        return encrypted.recv(1)


def _page(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of the loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
