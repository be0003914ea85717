"""What an outsider cannot: read a private bucket, or lead a reader out of a catalogue's root.

The scheduler without its certificate is in test_dask_tls, Ray without certificate or token in
test_ray_tls, and links to single objects in test_presigned.
"""

import http.server
import json
import secrets
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from cluster import object_store
from cluster.object_store import StoreError
from stac.catalogue import EscapeError, open_catalogue
from tests.fixtures.seaweed import forget_filesystems


class TestAPrivateBucket:
    pytestmark = pytest.mark.services

    @pytest.fixture
    def url(self, s3_environment):
        url = s3_environment.url("private/item.json")
        object_store.write_bytes(url, b"ours")
        return url

    def test_its_owner_reads_it(self, url):
        assert object_store.read_bytes(url) == b"ours"

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
    def test_nobody_without_a_name_gets_in(self, s3_environment, url, method):
        for path in ("ice/private/item.json", "ice/private/new.json", "ice?list-type=2", "ice", ""):
            asked = urllib.request.Request(  # noqa: S310 - of the loopback
                f"{s3_environment.endpoint}/{path}", method=method, data=b"theirs"
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked, timeout=10)  # noqa: S310
            with refused.value as answer:
                assert answer.code in {400, 403, 405}, path
                assert b"ours" not in answer.read()
        assert object_store.read_bytes(url) == b"ours"
        assert not object_store.exists(s3_environment.url("private/new.json"))

    @pytest.mark.parametrize("changed", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_nobody_with_another_key_gets_in(self, s3_environment, url, monkeypatch, changed):
        monkeypatch.setenv(changed, secrets.token_hex(20))
        for attempt in (
            lambda: object_store.read_bytes(url),
            lambda: object_store.list_objects(s3_environment.url()),
            lambda: object_store.write_bytes(url, b"theirs"),
        ):
            with pytest.raises(StoreError, match=r"credentials|AWS_|refuse|denied"):
                attempt()
        monkeypatch.undo()


def _catalogue(href: str) -> bytes:
    links = [{"rel": "child", "href": href}]
    return json.dumps(
        {"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "c", "links": links}
    ).encode()


_SECRET = json.dumps(
    {"type": "Collection", "stac_version": "1.1.0", "id": "secret", "description": "s",
     "license": "other", "links": [], "extent": {"spatial": {"bbox": [[-180, -90, 180, -60]]},
     "temporal": {"interval": [[None, None]]}}}
).encode()  # fmt: skip


class TestACatalogueInAFolder:
    @pytest.fixture
    def root(self, tmp_path):
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "collection.json").write_bytes(_SECRET)
        root = tmp_path / "catalogue"
        (root / "inside").mkdir(parents=True)
        (root / "inside" / "collection.json").write_bytes(_SECRET)
        (root / "folder").symlink_to(tmp_path / "secret")
        (root / "file.json").symlink_to(tmp_path / "secret" / "collection.json")
        return root

    def test_what_lies_inside_is_found(self, root):
        (root / "catalog.json").write_bytes(_catalogue("inside/collection.json"))
        assert open_catalogue(str(root)).collections() == ["secret"]

    @pytest.mark.parametrize(
        "href",
        [
            "../secret/collection.json",
            "inside/../../secret/collection.json",
            "folder/collection.json",
            "file.json",
            "{outside}/secret/collection.json",
            "file://{outside}/secret/collection.json",
            "file://{outside}/catalogue/../secret/collection.json",
            "file://{outside}/catalogue/%2e%2e/secret/collection.json",
            "s3://ice/secret/collection.json",
            "http://127.0.0.1:9/secret/collection.json",
        ],
    )
    def test_what_lies_outside_is_not(self, root, tmp_path, href):
        (root / "catalog.json").write_bytes(_catalogue(href.format(outside=tmp_path)))
        with pytest.raises(EscapeError, match="outside"):
            open_catalogue(str(root)).collections()


class TestACatalogueInABucket:
    pytestmark = pytest.mark.services

    @pytest.mark.parametrize(
        "href",
        [
            "../secret/collection.json",
            "s3://ice/secret/collection.json",
            "s3://ice/catalogue-of-others/collection.json",
            "s3://ice/catalogue/../secret/collection.json",
            "s3://others/catalogue/collection.json",
            "/etc/passwd",
            "file:///etc/passwd",
        ],
    )
    def test_other_prefixes_buckets_and_files_are_not_followed(self, s3_environment, href):
        for place in ("secret", "catalogue-of-others"):
            object_store.write_bytes(s3_environment.url(f"{place}/collection.json"), _SECRET)
        root = s3_environment.url("catalogue")
        object_store.write_bytes(f"{root}/catalog.json", _catalogue(href))
        forget_filesystems()
        with pytest.raises(EscapeError, match="outside"):
            open_catalogue(root).collections()


class TestACatalogueOnTheWeb:
    @pytest.mark.parametrize(
        "href",
        [
            "../secret/collection.json",
            "%2e%2e/secret/collection.json",
            "..%2fsecret/collection.json",
            "..\\secret\\collection.json",
            "/secret/collection.json",
            "//127.0.0.1:{other}/collection.json",
            "http://127.0.0.1:{other}/collection.json",
            "file:///etc/passwd",
            "sent-elsewhere/collection.json",
        ],
    )
    def test_neither_links_nor_redirections_lead_out_of_it(self, href):
        with _web({}) as other:
            pages = {
                "/data/sent-elsewhere/collection.json": f"http://127.0.0.1:{other.port}/secret"
            }
            with _web(pages) as site:
                site.pages["/data/catalog.json"] = _catalogue(href.format(other=other.port))
                site.pages["/secret/collection.json"] = _SECRET
                with pytest.raises(EscapeError, match="outside"):
                    open_catalogue(f"{site.url}/data").collections()
        assert other.asked == []
        assert not [path for path in site.asked if not path.startswith("/data")]

    def test_a_redirection_within_the_same_site_is_followed(self):
        with _web({}) as site:
            site.pages["/data/catalog.json"] = _catalogue("moved/collection.json")
            site.pages["/data/moved/collection.json"] = f"{site.url}/data/here/collection.json"
            site.pages["/data/here/collection.json"] = _SECRET
            assert open_catalogue(f"{site.url}/data").collections() == ["secret"]


class _Site(http.server.ThreadingHTTPServer):
    """Answers with bytes, or sends to an address that is text; remembers what was asked."""

    def __init__(self, pages):
        self.pages, self.asked = dict(pages), []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def port(self):
        return self.server_port

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        self.send_response(200 if isinstance(page, bytes) else 302)
        body = page if isinstance(page, bytes) else b""
        if not body:
            self.send_header("Location", page)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - as the base class spells it

    def log_message(self, *_):
        pass


@contextmanager
def _web(pages):
    with _Site(pages) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join(10)
