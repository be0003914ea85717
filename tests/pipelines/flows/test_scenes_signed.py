"""Scenes of a service that answers signed requests only, and of one that signs nothing today."""

import dataclasses
import multiprocessing
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.flows import scenes_reading
from stac import landsat_calibration, landsat_search, raster_access, signing

from .scenes_world import Bay, Shot, Tried, bay, choose, found, recorded, stripes, tried

BEST = Shot("2014-12-10T12:00:00", seed=1)
SECOND = Shot("2014-12-12T12:00:00", path=8, cloud=lambda r, c: (r < 60) & (c < 60), seed=2)
STRIPED = Shot("2010-12-10T12:00:00", "landsat-7", gap=stripes, gap_files=True, seed=6)
TOKEN = "st=1&sig=SECRET"  # noqa: S105 of a server made up here
Change = Callable[[str], str]


class Blobs(ThreadingHTTPServer):
    """Gives files of a folder, in ranges, to who has the token; 403 to anyone else."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.log = folder.parent / "refused.txt"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def refused(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


class _Handler(BaseHTTPRequestHandler):
    server: Blobs

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the parent's name
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if query != TOKEN:
            with self.server.log.open("a") as log:
                log.write(f"{path}\n")
            self.send_error(403)
            return
        data = (self.server.folder / path.lstrip("/")).read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, len(data) - 1
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[first : last + 1])


@dataclasses.dataclass
class FakeSigner:
    """Signs every address, but for those that hold a part."""

    refuses: str = "nothing at all"

    def signed(self, href: str) -> str:
        if self.refuses in href:
            msg = "no token from http://sas.example.org: HTTP 503; check the container, or wait"
            raise signing.SigningError(msg)
        return f"{href}?{TOKEN}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return bay(tmp_path_factory.mktemp("bay"), [BEST, SECOND, STRIPED])


@pytest.fixture(scope="module")
def blobs(made: Bay) -> Iterator[Blobs]:
    """Serve from a process of its own: GDAL reads while it holds the lock of this interpreter."""
    server = Blobs(made.folder / "files")
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    process.start()
    try:
        yield server
    finally:
        raster_access.close_idle()
        process.terminate()
        process.join()
        server.server_close()


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Forget metadata files and gap masks that an earlier test read."""
    yield
    landsat_calibration.calibration.cache_clear()
    scenes_reading._gap_file.cache_clear()


def abroad(made: Bay, blobs: Blobs, summer: int, folder: Path) -> str:
    """Record the search of a summer as if the Planetary Computer had answered it."""

    def far(features: list[dict[str, Any]]) -> None:
        for item in features:
            for asset in item["assets"].values():
                inside = Path(asset["href"]).relative_to(made.folder / "files")
                asset["href"] = f"{blobs.url}/{inside}"

    path = Path(recorded(found(made.document(summer), folder / "search"), folder, far))
    text = path.read_text()
    assert '"service": "catalogue"' in text
    path.write_text(text.replace('"service": "catalogue"', '"service": "planetary-computer"'))
    replayed = landsat_search.replay(path.read_bytes())
    assert replayed.granules
    assert replayed.rejected == ()
    return str(path)


def carried(made: Bay, blobs: Blobs, summer: int, folder: Path, verify: str) -> Tried:
    inputs = {"recorded": abroad(made, blobs, summer, folder)}
    return tried(choose(made.document(summer, inputs=inputs), verify=verify), folder)


def without_secret(run: Tried) -> None:
    assert "SECRET" not in str(run.failures) + str(run.notes) + str(run.plan.notes)


@pytest.mark.parametrize("verify", ["none", "size", "full"])
def test_every_file_is_asked_for_with_a_signature(
    made: Bay, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: str
) -> None:
    monkeypatch.setattr(signing, "PLANETARY_COMPUTER", FakeSigner())

    run = carried(made, blobs, 2014, tmp_path, verify)

    assert run.failures == {}
    assert blobs.refused == []
    assert run.chosen("rowan/2014") == ["2014-12-10"]
    without_secret(run)


@pytest.mark.parametrize("verify", ["none", "size", "full"])
@pytest.mark.parametrize("part", ["MTL.json", "B4.TIF"])
def test_a_scene_without_a_token_is_told_and_the_next_ranked_is_taken(
    made: Bay, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    verify: str, part: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(signing, "PLANETARY_COMPUTER", FakeSigner(f"{BEST.id}_{part}"))

    run = carried(made, blobs, 2014, tmp_path, verify)

    ((key, reason),) = run.failures.items()
    assert key.endswith("/rowan/2014/0")
    assert BEST.id in reason
    assert "HTTP 503" in reason
    assert run.chosen("rowan/2014") == ["2014-12-12"]
    without_secret(run)


@pytest.mark.parametrize("verify", ["none", "size"])
def test_a_gap_mask_without_a_token_is_told(
    made: Bay, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: str
) -> None:
    monkeypatch.setattr(signing, "PLANETARY_COMPUTER", FakeSigner("_GM_B"))

    run = carried(made, blobs, 2010, tmp_path, verify)

    (reason,) = run.failures.values()
    assert STRIPED.id in reason
    assert "HTTP 503" in reason
    without_secret(run)


def test_a_damaged_file_is_told_without_the_token(
    made: Bay, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "PLANETARY_COMPUTER", FakeSigner())
    path = made.home(BEST) / f"{BEST.id}_MTL.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b" ")
    try:
        run = carried(made, blobs, 2014, tmp_path, "full")
    finally:
        path.write_bytes(whole)

    assert "has checksum" in run.failures["screen/rowan/2014/0"]
    without_secret(run)
