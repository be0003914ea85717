"""Signed links to a private bucket on a real server: what they open, and what they do not."""

import json
import stat
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from cluster import object_store, presigned
from cluster.presigned import ShareError
from tests.fixtures.commands import last_line, nunatak

pytestmark = pytest.mark.services

SECRET = b"not for everybody " * 10


@pytest.fixture
def output(s3_environment):
    """A finished product, with things beside it that nobody means to share."""
    url = s3_environment.url("out/gravimetry")
    for name in ("item.json", "tables/regions.csv", "figures/map.png", "run.yaml",
                 "receipts.jsonl", "product.icechunk/repo"):  # fmt: skip
        object_store.write_bytes(object_store.join(url, name), SECRET)
    _write_store(url)
    return url


def _write_store(url):
    import zarr

    stored = {}
    group = zarr.open_group(zarr.storage.MemoryStore(stored), mode="w")
    group.create_array("mass_rate", data=np.arange(12.0).reshape(3, 4), chunks=(2, 2))
    for name, data in stored.items():
        object_store.write_bytes(object_store.join(url, "product.zarr", name), data.to_bytes())


def _status(link, method="GET", data=None, headers=None):
    asked = urllib.request.Request(  # noqa: S310 - of the loopback
        link, method=method, data=data, headers=headers or {}
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class TestALink:
    def test_opens_its_object_whole_and_by_ranges(self, output):
        link = dict(presigned.share(output, ["item.json"], seconds=60).links)["item.json"]
        assert _status(link) == (200, SECRET)
        assert _status(link, headers={"Range": "bytes=4-6"}) == (206, SECRET[4:7])

    def test_opens_nothing_else(self, output):
        link = dict(presigned.share(output, ["item.json"], seconds=60).links)["item.json"]
        bare, _, signature = link.partition("?")
        other = bare.replace("item.json", "run.yaml")
        listing = bare.removesuffix("/out/gravimetry/item.json")

        assert _status(bare)[0] == 403
        assert _status(f"{other}?{signature}")[0] == 403
        assert _status(f"{listing}?{signature}")[0] == 403
        assert _status(link, "PUT", b"theirs")[0] == 403
        assert _status(link, "DELETE")[0] == 403
        longer = link.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
        assert longer != link
        assert _status(longer)[0] == 403
        assert object_store.read_bytes(f"{output}/item.json") == SECRET

    def test_ends(self, output):
        shared = presigned.share(output, ["item.json"], seconds=2)
        link = dict(shared.links)["item.json"]
        assert _status(link)[0] == 200
        time.sleep(3.1)
        assert _status(link)[0] == 403


class TestAManifest:
    def test_a_reader_of_zarr_needs_nothing_but_its_links(self, output):
        import zarr

        document = json.loads(presigned.share(output, ["product.zarr/*"], seconds=60).to_json())
        links = document["links"]

        store = {}
        for name, link in links.items():
            status, data = _status(link)
            assert status == 200
            store[name.removeprefix("product.zarr/")] = zarr.core.buffer.cpu.Buffer.from_bytes(data)
        group = zarr.open_group(zarr.storage.MemoryStore(store), mode="r")
        np.testing.assert_array_equal(group["mass_rate"][:], np.arange(12.0).reshape(3, 4))

    def test_what_cannot_be_shared_is_said(self, output, tmp_path, monkeypatch):
        with pytest.raises(ShareError, match=r"a path of this machine; links are signed for s3"):
            presigned.share(str(tmp_path), ["*"], seconds=60)
        with pytest.raises(ShareError, match="expected 1 s to 7 days"):
            presigned.share(output, ["*"], seconds=8 * 86400)
        with pytest.raises(ShareError, match="holds nothing that matches nothing-such"):
            presigned.share(output, ["nothing-such"], seconds=60)
        monkeypatch.setattr(presigned, "MOST_OBJECTS", 3)
        with pytest.raises(ShareError, match="objects to share; expected 3 at the most"):
            presigned.share(output, ["*"], seconds=60)

    def test_without_credentials_nothing_is_signed(self, output, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        with pytest.raises(object_store.StoreError, match="credentials"):
            presigned.share(output, ["*"], seconds=60)


class TestCommand:
    def test_it_shares_what_a_viewer_needs_in_a_file_of_its_owner(self, output, tmp_path):
        result = nunatak("share", output, "--for", "2min", "--to", tmp_path / "l.json", "--json")

        assert result.exit_code == 0, result.output
        names = set(json.loads((tmp_path / "l.json").read_text())["links"])
        assert {"item.json", "tables/regions.csv", "figures/map.png"} < names
        assert "product.zarr/zarr.json" in names
        assert not [n for n in names if n.startswith(("run", "receipts", "product.icechunk"))]
        assert stat.S_IMODE((tmp_path / "l.json").stat().st_mode) == 0o600
        assert last_line(result)["links"] == len(names)
        assert "X-Amz" not in result.output

    def test_a_page_lists_files_and_leaves_chunks_to_programs(self, output, tmp_path):
        assert nunatak("share", output, "--to", tmp_path / "l.html").exit_code == 0
        page = (tmp_path / "l.html").read_text()
        assert page.count("<li>") == 3
        assert "X-Amz-Signature=" in page
        assert "objects of product.zarr/ are for programs" in page

    @pytest.mark.parametrize("period", ["soon", "200h", "0"])
    def test_a_time_that_cannot_be_is_a_mistake(self, output, tmp_path, period):
        result = nunatak("share", output, "--for", period, "--to", tmp_path / "l.json")
        assert result.exit_code == 2
        assert not (tmp_path / "l.json").exists()
