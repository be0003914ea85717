"""The start-up question to a store: who honours conditional writes, who only says so."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cluster import conditional_writes, object_store
from cluster.object_store import StoreError, TransactionError
from tests.fixtures.seaweed import S3Store, forget_filesystems
from tests.fixtures.serving import serving


class FakeS3(ThreadingHTTPServer):
    """A few lines of S3 that honour only the conditions named in `honours`."""

    daemon_threads = True

    def __init__(self, honours: frozenset[str], *, says_so: bool, atomic: bool) -> None:
        super().__init__(("127.0.0.1", 0), _FakeS3Handler)
        self.honours = honours
        self.says_so = says_so
        self.atomic = atomic
        self.etags: dict[str, str] = {}
        self.lock = threading.Lock()
        self.meeting = threading.Barrier(2)

    def refusal(self, path: str, headers: Any) -> tuple[int, str] | None:
        """Return the status and the code of a refused PUT."""
        held = self.etags.get(path)
        for name, broken in (
            ("If-None-Match", held is not None),
            ("If-Match", held != headers.get("If-Match")),
        ):
            if headers.get(name) is None:
                continue
            if name in self.honours and broken:
                return 412, "PreconditionFailed"
            if name not in self.honours and self.says_so:
                return 501, "NotImplemented"
        return None


class _FakeS3Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeS3

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.atomic:
            with self.server.lock:
                refused = self._put()
        else:
            refused = self._look_then_put()
        if refused:
            status, code = refused
            self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>")
        else:
            self._answer(200, "", ETag=self.server.etags[self.path])

    def _put(self) -> tuple[int, str] | None:
        refused = self.server.refusal(self.path, self.headers)
        if not refused:
            self.server.etags[self.path] = f'"{uuid.uuid4().hex}"'
        return refused

    def _look_then_put(self) -> tuple[int, str] | None:
        """Check and write in two steps, with room for another writer between them."""
        refused = self.server.refusal(self.path, self.headers)
        if refused:
            return refused
        try:
            self.server.meeting.wait(timeout=0.3)
        except threading.BrokenBarrierError:
            with self.server.lock:
                if self.server.meeting.broken:
                    self.server.meeting.reset()
        self.server.etags[self.path] = f'"{uuid.uuid4().hex}"'
        return None

    def do_GET(self) -> None:
        self._answer(200, "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")

    def do_DELETE(self) -> None:
        self.server.etags.pop(self.path, None)
        self._answer(204, "")

    def _answer(self, status: int, body: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


BOTH = frozenset({"If-None-Match", "If-Match"})


@pytest.fixture
def own_credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKEXAMPLEEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-to-be-kept")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget_filesystems()
    yield
    forget_filesystems()


@pytest.fixture
def serve(own_credentials: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a context manager that runs a fake S3 server as the store of this process."""

    @contextmanager
    def running(
        honours: frozenset[str] = BOTH, *, says_so: bool = False, atomic: bool = True
    ) -> Iterator[FakeS3]:
        server = FakeS3(honours, says_so=says_so, atomic=atomic)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        with serving(server):
            yield server

    return running


@pytest.mark.services
def test_seaweedfs_honours_conditional_writes(s3_environment: S3Store):
    answer = object_store.probe(s3_environment.url("probed"))

    assert answer.transactional
    assert answer.reason == ""
    assert object_store.list_objects(s3_environment.url("probed")) == []


@pytest.mark.services
def test_a_misspelt_bucket_is_refused_before_anything_is_written(s3_environment: S3Store):
    with pytest.raises(StoreError, match="there is no bucket 'icee'"):
        object_store.require_transactional("s3://icee/out")
    buckets = s3_environment.client().list_buckets()["Buckets"]
    assert "icee" not in [bucket["Name"] for bucket in buckets]


def test_moto_honours_conditional_writes(own_credentials: None, monkeypatch: pytest.MonkeyPatch):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        boto3.session.Session().client("s3", region_name="us-east-1").create_bucket(Bucket="ice")

        assert object_store.require_transactional("s3://ice/probed").transactional
        assert object_store.list_objects("s3://ice") == []
    finally:
        server.stop()


def test_a_local_folder_honours_them_and_stays_as_it_was(tmp_path):
    answer = object_store.require_transactional(tmp_path / "out" / "product.icechunk")

    assert answer.transactional
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_keeps_its_promises_is_trusted_and_not_asked_again(serve):
    with serve() as server:
        assert object_store.require_transactional("s3://ice/out").transactional
        assert server.etags == {}
    assert object_store.require_transactional("s3://ice/elsewhere").transactional  # it is gone


def test_a_store_that_ignores_every_condition_is_refused_saying_why(serve):
    with serve(frozenset()) as server:
        with pytest.raises(TransactionError) as refusal:
            object_store.require_transactional("s3://ice/out")
        assert server.etags == {}

    message = str(refusal.value)
    assert "s3://ice/out: the store ignored If-None-Match: * and created" in message
    assert "the store ignored If-Match and replaced" in message
    assert "needs a store that honours conditional writes" in message
    assert "write to a local folder, or to a store that honours them" in message


def test_a_store_that_honours_only_creation_is_refused(serve):
    with serve(frozenset({"If-None-Match"})):
        answer = object_store.probe("s3://ice/out")
    assert answer.conditional_create
    assert not answer.conditional_update
    assert not answer.transactional
    assert "If-None-Match" not in answer.reason


def test_a_store_that_admits_not_knowing_conditions_is_refused_with_its_answer(serve):
    with serve(frozenset(), says_so=True):
        answer = object_store.probe("s3://ice/out")
    assert not answer.transactional
    assert "does not know If-None-Match (it answered NotImplemented)" in answer.reason


def test_a_store_that_checks_first_and_writes_later_loses_the_race(serve):
    with serve(atomic=False):
        answer = object_store.probe("s3://ice/out")
    assert answer.conditional_create
    assert answer.conditional_update
    assert not answer.race
    assert "of 8 writers at once won a race with If-" in answer.reason


def test_a_disk_without_exclusive_creation_is_refused(tmp_path, monkeypatch):
    def careless(path: Any, text: str) -> str:
        path.write_text(text)
        return text

    monkeypatch.setattr(conditional_writes, "_exclusive", careless)
    with pytest.raises(TransactionError, match="created the same file twice"):
        object_store.require_transactional(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks_is_refused(tmp_path, monkeypatch):
    def absent(file: Any, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(conditional_writes.fcntl, "flock", absent)
    with pytest.raises(TransactionError, match=r"offers no file locks \(No locks available\)"):
        object_store.require_transactional(tmp_path)
