"""A STAC API and a folder of files answer the same questions alike."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stac.catalogue import CatalogueError, UnreachableError, open_catalogue
from stac.contracts import open_item, open_regions
from tests.stac.stac_api_server import StacApiServer, running

START_SECONDS = 30.0
QUESTIONS = [
    {},
    {"collection": "fields"},
    {"collection": ["fields", "regions"]},
    {"collection": "fields", "period": ("2011-02-01", "2011-03-31")},
    {"collection": "fields", "period": ("2011-04-10", "..")},
    {"collection": "fields", "period": ("..", "2011-01-31")},
    {"collection": "fields", "ids": ["GSM-2_2011001-2011031_GRAC_UTCSR_BB01_0600"]},
    {"collection": "regions", "bbox": [40, -75, 50, -70]},
    {"collection": "regions", "bbox": [40, -75, 0, 50, -70, 10]},
    {"collection": "regions", "bbox": [175, -82, -175, -79]},
    {"collection": "regions", "bbox": [-180, -90, 180, -60]},
    {"collection": "regions", "bbox": [-175, -82, 175, -79]},
    {"collection": "regions", "intersects": {"type": "Point", "coordinates": [-100, -76]}},
    {"collection": "fields", "cql2": "\"nunatak:kind\" = 'grace-l2' AND id LIKE '%2011001%'"},
    {"cql2": "\"nunatak:regions\" = 2"},
]  # fmt: skip


def items_of(catalogue: Path) -> list[dict]:
    return [item.to_dict(transform_hrefs=False) for item in open_catalogue(str(catalogue)).search()]


@pytest.fixture
def rustac(catalogue: Path, tmp_path: Path) -> Iterator[str]:
    """Serve the catalogue's items by rustac's in-memory API, a program of its own, or skip."""
    binary = Path(sys.executable).parent / "rustac"
    if not binary.is_file():
        pytest.skip(f"no rustac at {binary}; install the `test` extra")
    features = tmp_path / "features.json"
    content = {"type": "FeatureCollection", "features": items_of(catalogue)}
    features.write_text(json.dumps(content))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [str(binary), "serve", "-a", address, "--create-collections", str(features)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(f"http://{address}", server)
            yield f"http://{address}"
        finally:
            server.kill()


def _wait(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"rustac ended with {server.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail(f"rustac did not answer within {START_SECONDS} s")


@pytest.fixture(params=[True, False], ids=["filters", "no-filters"])
def peer(request: pytest.FixtureRequest, catalogue: Path) -> Iterator[StacApiServer]:
    with running(items_of(catalogue), filters=request.param) as server:
        yield server


def answers(url: str, question: dict) -> list[tuple[str, str]]:
    return [(item.id, item.assets["data"].href) for item in open_catalogue(url).search(**question)]


@pytest.mark.services
def test_rustac_and_the_files_answer_alike(rustac: str, catalogue: Path):
    assert open_catalogue(rustac).collections() == ["fields", "regions"]
    for question in QUESTIONS:
        assert answers(rustac, question) == answers(str(catalogue), question), question


@pytest.mark.services
def test_items_of_rustac_open_as_those_of_the_files(rustac: str):
    opened = open_catalogue(rustac)

    (field, *_) = opened.search("fields", limit=1)
    (table, *_) = opened.search("regions", limit=1)

    assert open_item(field).sizes["part"] == 2
    assert len(open_regions(table)) >= 1


def test_a_peer_and_the_files_answer_alike(peer: StacApiServer, catalogue: Path):
    for question in QUESTIONS:
        assert answers(peer.url, question) == answers(str(catalogue), question), question


def test_no_box_across_180_and_no_filter_that_is_not_understood_is_sent(peer: StacApiServer):
    for question in QUESTIONS:
        answers(peer.url, question)

    boxes = [body["bbox"] for body in peer.searches if body.get("bbox")]
    areas = [body["intersects"] for body in peer.searches if body.get("intersects")]
    filters = [body for body in peer.searches if body.get("filter")]
    assert boxes
    assert all(west <= east for west, _, east, _ in boxes)
    assert "MultiPolygon" in {area["type"] for area in areas}
    assert bool(filters) == any("filter" in uri for uri in peer.conforms)
    assert all(body["filter-lang"] == "cql2-json" for body in filters)


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_fails_on_a_filter_is_asked_without_it(catalogue: Path, status: int):
    question = {"cql2": "\"nunatak:kind\" = 'grace-l2'"}

    with running(items_of(catalogue), filters=True, refusal=("filter", status)) as server:
        assert answers(server.url, question) == answers(str(catalogue), question)
        assert "filter" not in server.searches[-1]


def test_a_question_that_is_refused_is_told_from_a_server_that_is_down(catalogue: Path):
    with running(items_of(catalogue), filters=True, refusal=("collections", 403)) as server:
        with pytest.raises(CatalogueError, match=r"refuses the question \(HTTP 403\)") as refused:
            open_catalogue(server.url).search("fields", cql2="id = 'a'")

        assert not isinstance(refused.value, UnreachableError)
        assert len(server.searches) == 1


@pytest.mark.parametrize("version", ["v1.0.0-rc.3", "v1.0.0", "v1.1.0"])
def test_extensions_of_every_version_are_seen(catalogue: Path, version: str):
    with running(items_of(catalogue), filters=False) as server:
        declared = [
            f"https://api.stacspec.org/{version}/item-search#{n}" for n in ("sort", "filter")
        ]
        server.conforms.extend(declared)
        list(open_catalogue(server.url).search("fields", cql2="id = 'a'", limit=1))

    assert {"sortby", "filter"} <= set(server.searches[0])


@pytest.mark.parametrize(
    ("box", "sent"),
    [([10, -90, 11, -90], "LineString"), ([10, -80, 10, -80], "Point"),
     ([180, -80, -180, -70], "MultiLineString")],
)  # fmt: skip
def test_a_box_without_area_is_sent_as_what_it_is(peer: StacApiServer, box, sent: str):
    list(open_catalogue(peer.url).search("fields", bbox=box))

    assert peer.searches[0]["intersects"]["type"] == sent
    assert "bbox" not in peer.searches[0]


def test_a_limit_stops_the_paging(peer: StacApiServer):
    assert len(list(open_catalogue(peer.url).search("fields", limit=3))) == 3
    assert len(peer.searches) == 2


def test_an_unknown_collection_of_an_api_is_refused_with_the_nearest(peer: StacApiServer):
    with pytest.raises(CatalogueError, match="did you mean 'fields'"):
        open_catalogue(peer.url).search("field")


def test_an_api_that_is_down_is_reported_within_seconds():
    started = time.perf_counter()

    with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:9"):
        open_catalogue("http://127.0.0.1:9")

    assert time.perf_counter() - started < 15.0


def test_an_api_that_goes_away_is_reported(catalogue: Path):
    with running(items_of(catalogue), filters=False) as server:
        opened = open_catalogue(server.url)

    with pytest.raises(UnreachableError, match="no STAC API answers at"):
        opened.search("fields")


def test_a_web_page_is_no_catalogue(peer: StacApiServer):
    with pytest.raises(CatalogueError, match=r"broken"):
        open_catalogue(peer.url + "/broken")


def test_files_on_a_web_server_are_a_catalogue(catalogue: Path):
    """No API: the index and the links do, since a web server does not list folders."""
    handler = partial(QuietFiles, directory=str(catalogue))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            opened = open_catalogue(f"http://127.0.0.1:{server.server_port}")
            found = list(opened.search("fields", period=("2011-02-01", "2011-02-28")))
            assert opened.collections() == ["fields", "regions"]
            assert open_item(found[0]).load().sizes["part"] == 2
            assert len(open_regions(next(opened.search("regions")))) == 1
        finally:
            server.shutdown()
            thread.join()


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the parent's name
        """Keep quiet."""
