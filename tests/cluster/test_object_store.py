"""Bytes by address: local folders, a real S3 server, and every way that both fail."""

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import object_store
from cluster.object_store import MissingObjectError, StoreError
from tests.fixtures.seaweed import S3Store, forget_filesystems
from tests.fixtures.small_disks import small_disk

names = st.text("abcxyz019._- ", min_size=1, max_size=8).filter(lambda name: set(name) - {"."})


class TestAddresses:
    @given(st.lists(names, min_size=1, max_size=4))
    def test_joined_names_stand_below_the_address_in_both_stores(self, parts):
        assert object_store.join("s3://ice/run", *parts) == "/".join(["s3://ice/run", *parts])
        assert object_store.join("/data/run", *parts) == "/".join(["/data/run", *parts])

    @given(st.lists(names, min_size=1, max_size=4))
    def test_an_address_reads_back_from_its_own_text(self, parts):
        for base in ("s3://ice", "/data"):
            address = object_store.parse(base).join(*parts)
            assert object_store.parse(address.url) == address
            assert object_store.parse(address.uri) == address

    def test_a_relative_path_is_below_the_working_folder(self, working_directory):
        assert object_store.parse("out/run").local == working_directory / "out" / "run"
        assert object_store.is_local("out")
        assert not object_store.is_local("s3://ice/out")

    @pytest.mark.parametrize(
        "address",
        ["http://host/x", "gs://bucket/x", "memory://x", "simplecache::s3://ice/x", "", "  "],
    )
    def test_other_kinds_of_address_are_refused_with_what_is_supported(self, address):
        with pytest.raises(StoreError, match=r"expected a plain path, file:///path or s3://bucket"):
            object_store.parse(address)

    @pytest.mark.parametrize("address", ["s3://", "s3:///key", "s3://Big_Bucket/x", "s3://a/x"])
    def test_an_impossible_bucket_is_refused(self, address):
        with pytest.raises(StoreError, match="no bucket name"):
            object_store.parse(address)

    def test_a_file_address_of_another_host_is_refused(self):
        with pytest.raises(StoreError, match="no path of this machine"):
            object_store.parse("file://elsewhere/data")

    def test_credentials_inside_an_address_are_refused_and_not_repeated(self):
        with pytest.raises(StoreError, match="AWS_SECRET_ACCESS_KEY instead") as refusal:
            object_store.parse("s3://AKIAEXAMPLE:hunter2hunter2@ice/out")
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize("part", ["../up", "a/../../b", "/etc/passwd"])
    @pytest.mark.parametrize("base", ["s3://ice/out", "/data/out"])
    def test_no_part_climbs_out(self, base, part):
        with pytest.raises(StoreError, match="leads out of"):
            object_store.join(base, part)


class TestLocalFolders:
    def test_what_is_written_is_read_listed_and_removed(self, tmp_path):
        target = object_store.join(tmp_path, "a", "b.bin")
        assert not object_store.exists(target)

        object_store.write_bytes(target, b"first")
        object_store.write_bytes(target, b"second")

        assert object_store.read_bytes(target) == b"second"
        assert object_store.exists(object_store.join(tmp_path, "a"))
        assert object_store.list_objects(tmp_path) == ["a/b.bin"]
        assert object_store.list_folders(tmp_path) == ["a"]
        assert object_store.list_folders(tmp_path / "a") == []
        object_store.delete(target)
        object_store.delete(target)
        assert object_store.list_objects(tmp_path) == []
        assert object_store.list_objects(tmp_path / "absent") == []
        assert object_store.list_folders(tmp_path / "absent") == []

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(MissingObjectError, match=r"absent\.txt: there is nothing"):
            object_store.read_bytes(tmp_path / "absent.txt")

    @pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_disk_leaves_the_old_bytes_and_names_path_and_space(
        self, tmp_path, monkeypatch, fault
    ):
        target = tmp_path / "product.json"
        object_store.write_bytes(target, b"old")

        def full(descriptor: int) -> None:
            raise OSError(fault, os.strerror(fault))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"disk is full \([\d.]+ [GM]iB free\)") as refusal:
            object_store.write_bytes(target, b"new")

        assert str(target) in str(refusal.value)
        assert target.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_disk_that_is_really_full_leaves_the_old_bytes(self, tmp_path):
        with small_disk(tmp_path / "disk", size=64 * 1024) as disk:
            object_store.write_bytes(disk / "a", b"old")
            with pytest.raises(StoreError, match=r"the disk is full"):
                object_store.write_bytes(disk / "a", os.urandom(256 * 1024))
            assert (disk / "a").read_bytes() == b"old"
            assert [each.name for each in disk.iterdir()] == ["a"]

    def test_a_crash_while_writing_leaves_no_object(self, tmp_path):
        (tmp_path / ".a.0123.part").write_bytes(b"half")
        assert object_store.list_objects(tmp_path) == []

    def test_a_folder_that_may_not_be_written_is_named(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("closed")
        folder.chmod(0o555)
        with (
            _without_privileges(folder),
            pytest.raises(StoreError, match="permission is denied; choose a folder") as refusal,
        ):
            object_store.write_bytes(folder / "a", b"new")
        assert str(folder) in str(refusal.value)

    def test_a_read_only_disk_is_called_so(self, tmp_path, monkeypatch):
        def closed(*args: Any, **kwargs: Any) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(Path, "mkdir", closed)
        with pytest.raises(StoreError, match="the disk is read-only"):
            object_store.write_bytes(tmp_path / "new" / "a", b"new")

    def test_a_file_in_the_place_of_a_folder_is_named(self, tmp_path):
        (tmp_path / "out").write_text("in the way")
        with pytest.raises(StoreError, match="a file stands where a folder is needed"):
            object_store.write_bytes(tmp_path / "out" / "a", b"new")


@pytest.mark.services
class TestS3:
    def test_what_is_written_is_read_listed_and_removed(self, s3_environment: S3Store):
        base = s3_environment.url("round-trip")
        target = object_store.join(base, "a", "b.bin")
        assert not object_store.exists(target)

        object_store.write_bytes(target, b"first")
        object_store.write_bytes(target, b"second")

        assert object_store.read_bytes(target) == b"second"
        assert object_store.exists(target)
        assert object_store.exists(object_store.join(base, "a"))
        assert not object_store.exists(s3_environment.url("round"))
        assert object_store.list_objects(base) == ["a/b.bin"]
        assert object_store.list_folders(base) == ["a"]
        assert object_store.list_folders(target) == object_store.list_folders(base + "/b") == []
        object_store.delete(target)
        object_store.delete(target)
        assert object_store.list_objects(base) == []

    def test_fsspec_reads_what_we_write(self, s3_environment: S3Store):
        object_store.write_bytes(s3_environment.url("fsspec/x"), b"seen")
        filesystem, path = object_store.filesystem(s3_environment.url("fsspec"))
        assert filesystem.cat(f"{path}/x") == b"seen"

    def test_a_missing_object_is_named(self, s3_environment: S3Store):
        with pytest.raises(MissingObjectError, match="s3://ice/absent: there is nothing"):
            object_store.read_bytes(s3_environment.url("absent"))

    @pytest.mark.parametrize("call", [object_store.read_bytes, object_store.list_objects])
    def test_a_missing_bucket_is_named_with_the_endpoint(self, s3_environment: S3Store, call):
        with pytest.raises(StoreError, match="there is no bucket 'nowhere' at http://127") as found:
            call("s3://nowhere/x")
        assert not isinstance(found.value, MissingObjectError)

    def test_a_missing_bucket_is_named_also_through_fsspec(self, s3_environment: S3Store):
        url = "s3://nowhere/x"
        filesystem, path = object_store.filesystem(url)
        with (
            pytest.raises(StoreError, match="there is no bucket 'nowhere'"),
            object_store.store_errors(url),
        ):
            filesystem.cat(path)

    def test_a_wrong_secret_is_told_apart_from_an_unknown_key(
        self, s3_environment: S3Store, monkeypatch
    ):
        target = s3_environment.url("x")
        object_store.write_bytes(target, b"works")

        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-wrong-wrong")
        with pytest.raises(StoreError, match="refused the signature") as wrong:
            object_store.write_bytes(target, b"new")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKUNKNOWNUNKNOWN")
        with pytest.raises(StoreError, match="does not know the key id") as unknown:
            object_store.write_bytes(target, b"new")

        for error in (wrong.value, unknown.value):
            assert "wrong-wrong" not in str(error)
            assert "AKUNKNOWN" not in str(error)

    def test_forbidden_is_explained_where_the_answer_has_no_body(
        self, s3_environment: S3Store, monkeypatch
    ):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-wrong-wrong")
        with pytest.raises(StoreError, match="forbids it with these credentials"):
            object_store.exists(s3_environment.url("x"))


@pytest.mark.services
@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_holds_what_it_acknowledged(
    s3_environment: S3Store,
):
    names = [f"crash/{number}" for number in range(20)]
    for name in names:
        object_store.write_bytes(s3_environment.url(name), name.encode())
    s3_environment.kill()
    try:
        with pytest.raises(StoreError, match="nothing answers at"):
            object_store.read_bytes(s3_environment.url(names[0]))
    finally:
        s3_environment.restart()
    assert [object_store.read_bytes(s3_environment.url(name)).decode() for name in names] == names


class TestS3OutOfReach:
    @pytest.fixture(autouse=True)
    def _credentials(self, monkeypatch, tmp_path):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKEXAMPLEEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-to-be-kept")
        forget_filesystems()

    @pytest.mark.parametrize(
        "call",
        [
            object_store.read_bytes,
            object_store.exists,
            object_store.list_objects,
            object_store.delete,
            object_store.probe,
            lambda url: object_store.write_bytes(url, b""),
        ],
    )
    def test_a_closed_port_is_reported_within_seconds(
        self, monkeypatch, call: Callable[[str], object]
    ):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
            started = time.monotonic()
            with pytest.raises(StoreError, match="nothing answers at http://127"):
                call("s3://ice/x")
        assert time.monotonic() - started < 15.0

    def test_a_silent_server_is_given_up_within_seconds(self, monkeypatch):
        monkeypatch.setenv("NUNATAK_STORE_TIMEOUT", "0.5")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
            started = time.monotonic()
            with pytest.raises(StoreError, match="stayed silent; try again later"):
                object_store.read_bytes("s3://ice/x")
        assert time.monotonic() - started < 15.0

    def test_missing_credentials_say_which_variables_to_set(self, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StoreError, match="no credentials were found; set AWS_ACCESS_KEY_ID"):
            object_store.read_bytes("s3://ice/x")

    def test_half_of_the_credentials_is_not_enough(self, monkeypatch):
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StoreError, match="the credentials are incomplete; set AWS_ACCESS"):
            object_store.read_bytes("s3://ice/x")

    def test_a_password_inside_the_endpoint_is_not_repeated(self, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://ann:hunter2@127.0.0.1:9")
        with pytest.raises(StoreError, match="nothing answers") as found:
            object_store.read_bytes("s3://ice/x")
        assert "hunter2" not in str(found.value)

    def test_an_endpoint_that_is_no_address_is_called_so(self, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "store of mine")
        with pytest.raises(StoreError, match="AWS_ENDPOINT_URL is no address of a server"):
            object_store.read_bytes("s3://ice/x")


@contextmanager
def _without_privileges(folder: Path) -> Iterator[None]:
    """Act as nobody where the tests run as root, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    opened = [each for each in folder.parents if each.stat().st_mode & 0o005 != 0o005]
    modes = [each.stat().st_mode for each in opened]
    for each in opened:
        each.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for each, mode in zip(opened, modes, strict=True):
            each.chmod(mode)
