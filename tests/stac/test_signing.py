"""Tokens of the Planetary Computer: asked once, renewed in time, never told."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stac import signing
from stac.landsat_services import SERVICES, ServiceError
from stac.signing import Signer, SigningError, signed, unsigned
from tests.fixtures.serving import serving

HREF = "https://landsateuwest.blob.core.windows.net/landsat-c2/level-2/a_SR_B4.TIF"
OTHERS = [
    "https://landsatlook.usgs.gov/data/a.TIF",
    "s3://usgs-landsat/a.TIF",
    "/data/landsat-c2/a.TIF",
    "http://landsateuwest.blob.core.windows.net/landsat-c2/a.TIF",
    "https://blob.core.windows.net.example.org/landsat-c2/a.TIF",
    "https://evil/landsateuwest.blob.core.windows.net/a.TIF",
    "https://landsateuwest.blob.core.windows.net/..%2F/a.TIF",
    "https://landsateuwest.blob.core.windows.net",
    "https://landsateuwest.blob.core.windows.net?sv=1",
    "https://landsateuwest.blob.core.windows.net/",
]


class SasServer(ThreadingHTTPServer):
    """Gives out numbered tokens that end after `lifetime`; stumbles over the first requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.lifetime = timedelta(hours=1)
        self.stumbles: list[int] = []
        self.answer: Any = None
        self.lock = threading.Lock()

    @property
    def signer(self) -> Signer:
        return Signer(f"http://127.0.0.1:{self.server_port}/sas/v1")


class _Handler(BaseHTTPRequestHandler):
    server: SasServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the parent's name
        """Keep quiet."""

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append(self.path)
            number = len(self.server.asked)
            status = self.server.stumbles.pop(0) if self.server.stumbles else 200
        ends = datetime.now(UTC) + self.server.lifetime
        told = {"msft:expiry": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "token": f"st=1&sig=SECRET{number}"}
        data = json.dumps(told if self.server.answer is None else self.server.answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def sas() -> Iterator[SasServer]:
    server = SasServer()
    with serving(server):
        yield server


def test_an_address_in_azure_gets_the_token_of_its_container(sas: SasServer):
    assert sas.signer.signed(HREF) == f"{HREF}?st=1&sig=SECRET1"
    assert sas.asked == ["/sas/v1/token/landsateuwest/landsat-c2"]


def test_a_token_is_asked_for_once_by_many_threads(sas: SasServer):
    signer = sas.signer
    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(signer.signed, [HREF] * 64))

    assert made == {f"{HREF}?st=1&sig=SECRET1"}
    assert len(sas.asked) == 1
    signer.signed(HREF.replace("landsat-c2", "other"))
    assert len(sas.asked) == 2


def test_a_token_is_renewed_before_it_ends(sas: SasServer):
    sas.lifetime = signing.MARGIN - timedelta(seconds=5)
    signer = sas.signer

    assert signer.signed(HREF).endswith("SECRET1")
    assert signer.signed(HREF).endswith("SECRET2"), "the first one ends within the margin"


def test_an_old_signature_is_replaced(sas: SasServer):
    assert sas.signer.signed(f"{HREF}?sv=2020&sig=OLD") == f"{HREF}?st=1&sig=SECRET1"


@pytest.mark.parametrize("href", OTHERS)
def test_other_addresses_are_not_touched(sas: SasServer, href: str):
    assert sas.signer.signed(href) == href
    assert sas.asked == []


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "planetary-computer"])
def test_other_services_sign_nothing(service: str):
    assert signed(HREF, service) == HREF


def test_the_planetary_computer_signs(sas: SasServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(signing, "PLANETARY_COMPUTER", sas.signer)

    assert signed(HREF, "planetary-computer").endswith("sig=SECRET1")
    with pytest.raises(ServiceError, match="no service 'planetary'"):
        signed(HREF, "planetary")


def test_throttling_passes(sas: SasServer):
    sas.stumbles = [429, 503]

    assert sas.signer.signed(HREF).endswith("SECRET3")


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_told_without_secrets(sas: SasServer, status: int):
    sas.stumbles = [status] * 9

    with pytest.raises(SigningError, match=f"HTTP {status}") as refused:
        sas.signer.signed(f"{HREF}?sig=SECRET")

    assert "SECRET" not in repr(refused.value)


@pytest.mark.parametrize(
    "answer",
    [{"token": "sig=SECRET"}, {"msft:expiry": "soon", "token": "sig=SECRET"}, ["sig=SECRET"], {}],
)
def test_an_answer_that_is_no_token_is_refused_without_secrets(sas: SasServer, answer: Any):
    sas.answer = answer

    with pytest.raises(SigningError, match="is it a SAS service") as refused:
        sas.signer.signed(HREF)

    error: BaseException | None = refused.value
    while error is not None:
        assert error.__suppress_context__ or "SECRET" not in repr(error.__context__)
        assert "SECRET" not in repr(error)
        error = error.__cause__


def test_a_signer_does_not_show_its_tokens(
    sas: SasServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    signer = sas.signer
    with caplog.at_level("DEBUG"):
        signer.signed(HREF)

    assert (
        "SECRET" not in repr(signer) + str(signer._tokens) + caplog.text + capsys.readouterr().err
    )


def test_nobody_at_home_is_told_within_seconds():
    with pytest.raises(SigningError, match=r"no token from http://127\.0\.0\.1:9"):
        Signer("http://127.0.0.1:9").signed(HREF)


@pytest.mark.parametrize(
    ("href", "bare"),
    [
        (f"{HREF}?sv=1&sig=a", HREF),
        ("https://a/b?X-Amz-Signature=1&X-Amz-Date=2", "https://a/b"),
        ("https://a/b?version=3", "https://a/b?version=3"),
        ("/data/what?sig=1", "/data/what?sig=1"),
    ],
)
def test_signatures_and_nothing_else_are_taken_off(href: str, bare: str):
    assert unsigned(href) == bare
