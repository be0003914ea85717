"""The server against requests that nobody should send: a real server, raw sockets."""

import contextlib
import http.client
import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.requests import Request

from pipelines.page_server import byte_ranges, file_trees, running
from pipelines.page_server.running import PageServerError
from pipelines.report import outputs
from tests.pipelines.report import viewer_products

HELD = b"column,other\n" + b"0123456789" * 50
PAGE = "<!doctype html><title>page</title>"
BESIDE = ("report.json", "notes.txt", "gravimetry/run.yaml", "gravimetry/tables/regions.csv",
          "gravimetry/receipts.jsonl", "gravimetry/product.icechunk/repo")  # fmt: skip
"""What lies in a folder of a report and is none of it."""


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Return a folder that looks like a product, with what must not be served beside it."""
    root = tmp_path_factory.mktemp("served")
    folder = root / "gravimetry"
    for name in (
        "tables/regions.csv", "tables/sub/deep.csv", "product.zarr/zarr.json", "run.yaml",
        "product.zarr/mass_rate/c/0/0", "receipts.jsonl", "product.icechunk/repo", "summary.html",
        "figures/map.png", "release/Pine Island/2005/map.tif", "release/evil.html", ".env",
        "product.zarr/.hidden", "item.json",
    ):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(HELD)
    (root / "secret.csv").write_text("secret", encoding="utf-8")
    (folder / "tables" / "out.csv").symlink_to(root / "secret.csv")
    (folder / "tables" / "in.csv").symlink_to(folder / "tables" / "regions.csv")
    (folder / "release" / "up").symlink_to(root, target_is_directory=True)
    (folder / "tables" / "ring.csv").symlink_to(folder / "tables" / "ring.csv")
    return folder


@pytest.fixture(scope="module")
def served(product, tmp_path_factory):
    page = tmp_path_factory.mktemp("page")
    (page / "map").mkdir()
    (page / "index.html").write_text(PAGE, encoding="utf-8")
    (page / "map" / "index.html").write_text(PAGE, encoding="utf-8")
    (page / "map" / "viewer.js").write_text("1", encoding="utf-8")
    (page / ".hidden").write_text("no", encoding="utf-8")
    for name in ("tables/a/regions.html", "figures/map.svg", "provenance/a.html", *BESIDE):
        (page / name).parent.mkdir(parents=True, exist_ok=True)
        (page / name).write_bytes(HELD)
    found = {"gravimetry": outputs.Output(str(product), "gravimetry", "gravimetry", {})}
    with running.bound("127.0.0.1", 0) as made:
        of = running.site(str(page), found, hosts=["Ice.Example"])
        with running.serving(of, made):
            yield made.getsockname()[1]


def ask(port: int, path: str, *, method: str = "GET", **headers: str):
    """Return status, headers and body; the path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def raw(port: int, request: bytes) -> bytes:
    """Send bytes, return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "path",
    ["tables/regions.csv", "product.zarr/mass_rate/c/0/0", "item.json", "figures/map.png",
     "release/Pine Island/2005/map.tif", "tables/in.csv"],
)  # fmt: skip
def test_what_a_page_needs_is_served_as_it_is(served, path):
    status, headers, body = ask(served, f"/products/gravimetry/{quote(path)}")
    assert (status, body) == (200, HELD)
    assert headers["content-length"] == str(len(HELD))
    assert headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    "path",
    ["run.yaml", "receipts.jsonl", "product.icechunk/repo", "summary.html", "",
     "tables", "tables/", "tables/none.csv", "product.zarr", "nothing"],
)  # fmt: skip
def test_versions_receipts_and_run_files_stay_at_home(served, path):
    status, _, body = ask(served, f"/products/gravimetry/{path}")
    assert status in {400, 404}
    assert HELD not in body


def test_of_a_reports_folder_the_report_alone_is_served(served):
    for path in ("tables/a/regions.html", "figures/map.svg", "provenance/a.html"):
        assert ask(served, f"/{path}")[::2] == (200, HELD)
    for path in (*BESIDE, "gravimetry", "gravimetry/", "tables"):
        status, _, body = ask(served, f"/{path}")
        assert (status, HELD in body) == (404, False), path


@pytest.mark.parametrize(
    "path",
    [
        "/products/gravimetry/tables/../run.yaml",
        "/products/gravimetry/product.zarr/%2e%2e/run.yaml",
        "/products/gravimetry/product.zarr/..%2f..%2fsecret.csv",
        "/products/gravimetry/product.zarr/%252e%252e/%252e%252e/secret.csv",
        "/products/gravimetry/tables/..\\..\\secret.csv",
        "/products/gravimetry/tables/%5c..%5csecret.csv",
        "/products/gravimetry/release//etc/passwd",
        "/products/gravimetry/release/%2fetc%2fpasswd",
        "/products/gravimetry/release/up/secret.csv",
        "/products/gravimetry/tables/out.csv",
        "/products/gravimetry/product.zarr/.hidden",
        "/products/gravimetry/.env",
        "/products/gravimetry/release/%00",
        "/products/gravimetry/release/\xff\xfe",
        "/products/gravimetry/release/%c0%ae%c0%ae/secret.csv",
        "/products/../products/gravimetry/run.yaml",
        "/products/gravimetry/release/" + "a" * 2000,
        "/products/gravimetry/release/" + "a" * 300,
        "/products/gravimetry/tables/ring.csv",
        "/products/%2e%2e/page/index.html",
        "/../secret.csv",
        "/.hidden",
        "/map/../.hidden",
        "//etc/passwd",
        "/products/none/tables/regions.csv",
        "/products/",
        "/products",
    ],
)
def test_no_path_leads_anywhere_else(served, path):
    answer = raw(
        served,
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"),
    )
    status = int(answer.split(b" ", 2)[1])
    assert status in {400, 404}, answer
    assert b"secret\r\n" not in answer
    assert b"root:" not in answer
    assert HELD not in answer


def test_an_absolute_address_in_the_request_line_is_refused(served):
    answer = raw(
        served,
        b"GET http://evil.example/map/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.7", "", "a b",
     "localhost:99a", "[::1", "10.0.0.1:8050", "localhost@evil.example"],
)  # fmt: skip
def test_other_names_are_refused_so_that_no_other_origin_can_ask(served, host):
    status, _, body = ask(served, "/products/gravimetry/tables/regions.csv", Host=host)
    assert status in {400, 421}
    assert HELD not in body


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8050", "127.0.0.2", "ice.example:80"]
)
def test_names_of_the_loopback_and_allowed_ones_are_answered(served, host):
    assert ask(served, "/map/", Host=host)[0] == 200


def test_a_request_without_a_name_or_with_two_is_refused(served):
    assert raw(served, b"GET /map/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")
    twice = (
        b"GET /map/ HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    assert raw(served, twice).startswith(b"HTTP/1.1 400")
    assert b" 421 " in raw(served, b"GET /map/ HTTP/1.0\r\n\r\n").split(b"\r\n")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "LIST"])
def test_it_is_for_reading(served, method):
    status, headers, _ = ask(served, "/products/gravimetry/tables/regions.csv", method=method)
    assert status == 405
    assert headers["allow"] == "GET, HEAD"
    assert "access-control-allow-origin" not in headers


def test_head_tells_what_get_would_without_a_body(served):
    path = "/products/gravimetry/tables/regions.csv"
    status, headers, body = ask(served, path, method="HEAD")
    assert (status, body) == (200, b"")
    _, got, _ = ask(served, path)
    same = ("content-length", "etag", "content-type", "last-modified")
    assert {k: headers[k] for k in same} == {k: got[k] for k in same}
    part = ask(served, path, method="HEAD", Range="bytes=0-9")
    assert (part[0], part[1]["content-length"], part[2]) == (206, "10", b"")


@pytest.mark.parametrize(
    ("header", "first", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=500-", 500, None), ("bytes=-13", -13, None),
     ("bytes=10-99999", 10, None), ("bytes=-99999", 0, None), ("bytes=12-12", 12, 13)],
)  # fmt: skip
def test_a_range_is_that_part(served, header, first, stop):
    status, headers, body = ask(
        served, "/products/gravimetry/product.zarr/mass_rate/c/0/0", Range=header
    )
    assert (status, body) == (206, HELD[first:stop])
    start = first % len(HELD)
    assert headers["content-range"] == f"bytes {start}-{start + len(body) - 1}/{len(HELD)}"
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "header",
    ["bytes=99999-", "bytes=9-3", "bytes=0-1,5-9", "bytes=-0", "bytes=-", "bytes=a-b",
     "bytes=0x1-0x2", "bytes=" + "9" * 40 + "-", "bytes=--5", "bytes=1-2-3"],
)  # fmt: skip
def test_ranges_that_are_none_are_refused_and_the_size_is_told(served, header):
    status, headers, body = ask(served, "/products/gravimetry/item.json", Range=header)
    assert status == 416
    assert headers["content-range"] == f"bytes */{len(HELD)}"
    assert HELD not in body


def test_another_unit_than_bytes_is_passed_over(served):
    status, _, body = ask(served, "/products/gravimetry/item.json", Range="rows=0-1")
    assert (status, body) == (200, HELD)


def test_an_oversize_range_is_refused_and_the_whole_file_is_streamed(served, product):
    size = byte_ranges.LARGEST + 10
    big = product / "release" / "big.tif"
    with big.open("wb") as file:
        file.truncate(size)
    try:
        for header in (f"bytes=0-{size - 1}", "bytes=0-", f"bytes=-{size}", "bytes=5-"):
            status, _, body = ask(served, "/products/gravimetry/release/big.tif", Range=header)
            assert status == 416
            assert b"in parts" in body
        last = f"bytes=10-{size - 1}"
        assert ask(served, "/products/gravimetry/release/big.tif", Range=last)[0] == 206
        status, _, body = ask(served, "/products/gravimetry/release/big.tif")
        assert (status, len(body)) == (200, size)
    finally:
        big.unlink()


def test_a_copy_that_is_still_good_is_not_sent_again(served, product):
    path = "/products/gravimetry/tables/regions.csv"
    etag = ask(served, path)[1]["etag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        status, headers, body = ask(served, path, If_None_Match=given)
        assert (status, body, headers["etag"]) == (304, b"", etag)
    assert ask(served, path, If_None_Match='"other"')[0] == 200
    assert ask(served, path, Range="bytes=0-3", If_Range=etag)[0] == 206
    assert ask(served, path, Range="bytes=0-3", If_Range='"other"')[0] == 200
    file = product / "tables" / "regions.csv"
    file.write_bytes(HELD + b"more\n")
    try:
        status, headers, body = ask(served, path, If_None_Match=etag)
        assert (status, body) == (200, HELD + b"more\n")
        assert headers["etag"] != etag
    finally:
        file.write_bytes(HELD)


def test_every_answer_carries_the_headers_that_keep_browsers_strict(served):
    for path in ("/", "/map/", "/map/viewer.js", "/none", "/products/gravimetry/item.json",
                 "/products/gravimetry/run.yaml", "/.hidden"):  # fmt: skip
        _, headers, _ = ask(served, path)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert ("script-src" in policy) is path.startswith("/map/")
        assert ("unsafe" in policy) is (path == "/")
        assert "server" not in headers


def test_pages_are_pages_and_products_never_act(served):
    status, headers, body = ask(served, "/")
    assert (status, body.decode()) == (200, PAGE)
    assert headers["content-type"] == "text/html; charset=utf-8"
    status, headers, _ = ask(served, "/map")
    assert (status, headers["location"]) == (308, "/map/")
    assert ask(served, "/map/viewer.js")[1]["content-type"].startswith("text/javascript")
    _, headers, _ = ask(served, "/products/gravimetry/release/evil.html")
    assert headers["content-type"] == "application/octet-stream"
    assert "sandbox" in headers["content-security-policy"]


def test_headers_without_end_are_cut_off(served):
    # More than asyncio reads at once, so that h11 sees a request that is long and not yet whole.
    request = b"GET /map/ HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2_000_000
    try:
        answer = raw(served, request)
    except ConnectionError:  # cut off before all of it was sent
        return
    assert answer[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 431"}


def test_a_taken_port_says_what_to_do():
    with running.bound("127.0.0.1", 0) as made:
        made.listen()
        with pytest.raises(PageServerError, match="--port"):
            running.bound("127.0.0.1", made.getsockname()[1])


def test_a_host_of_another_machine_is_refused():
    with pytest.raises(PageServerError, match=r"192\.0\.2\.1"):
        running.bound("192.0.2.1", 0)
    with pytest.raises(PageServerError, match="no address"):
        running.bound("a..b", 0)


def test_what_is_open_to_others_is_known():
    with running.bound("0.0.0.0", 0) as made:  # noqa: S104 the case that must be told
        assert running.is_open(made)
    with running.bound("127.0.0.1", 0) as made:
        assert not running.is_open(made)
        assert running.address_of(made) == f"http://127.0.0.1:{made.getsockname()[1]}/"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 what is tested
def test_the_address_that_is_printed_answers_where_all_are_listened_to(tmp_path, host):
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "index.html").write_text(PAGE, encoding="utf-8")
    try:
        made = running.bound(host, 0)
    except PageServerError:
        pytest.skip(f"this machine cannot listen at {host}")
    with made, running.serving(running.site(str(tmp_path), {}), made) as url:
        connection = http.client.HTTPConnection(url.split("/")[2], timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/map/")
            answer = connection.getresponse()
            assert (answer.status, answer.read().decode()) == (200, PAGE)
        assert url == f"http://{'[::1]' if host == '::' else '127.0.0.1'}:{made.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("host", "status"), [("192.0.2.5:80", 404), ("192.0.2.6", 421), ("ffff:192.0.2.5", 421)]
)
def test_an_ipv4_address_is_known_in_the_clothes_of_ipv6(tmp_path, host, status):
    scope = {"type": "http", "method": "GET", "raw_path": b"/none", "path": "/none",
             "query_string": b"", "headers": [(b"host", host.encode())],
             "server": ("::ffff:192.0.2.5", 80)}  # fmt: skip
    assert running.site(str(tmp_path), {}).answer(Request(scope)).status_code == status


def test_a_file_that_is_replaced_after_its_size_was_told_is_not_sent(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"old!")
    found = file_trees.tree(str(tmp_path)).find(("a.csv",))
    (tmp_path / "new").write_bytes(b"new, and longer")
    (tmp_path / "new").replace(tmp_path / "a.csv")
    with pytest.raises(file_trees.ChangedError, match="ask again"):
        found.pieces(range(found.size))
    again = file_trees.tree(str(tmp_path)).find(("a.csv",))
    assert b"".join(again.pieces(range(again.size))) == b"new, and longer"


@pytest.mark.parametrize("mark", ['{"whole": tr', "[]", "7", '{"whole": true, "products": 7}'])
def test_a_mark_that_is_none_is_told_without_a_traceback(tmp_path, mark):
    (tmp_path / "report.json").write_text(mark, encoding="utf-8")
    with pytest.raises(PageServerError, match=r"run `nunatak report` again|name the outputs"):
        running.parted([str(tmp_path)])


def test_a_name_that_is_taken_is_not_given_again():
    found = [outputs.Output(f"/a/{name}", "altimetry", name, {}) for name in ("50%", "product-1")]
    named = running.names(found)
    assert list(named) == ["product-2", "product-1"]
    where = running.locate(named)
    assert [where(each) for each in found] == ["../products/product-2", "../products/product-1"]


def test_names_that_need_quoting_get_others(tmp_path):
    found = [
        outputs.Output(f"/a/{name}", "gravimetry", name, {}) for name in ("run 1", "50%", ".dot")
    ]
    assert list(running.names(found)) == ["run 1", "product-1", "product-2"]
    where = running.locate(running.names(found))
    assert where(found[0]) == "../products/run%201"
    assert where(found[1]) == "../products/product-1"


@pytest.mark.services
def test_a_bucket_is_passed_on_in_the_parts_that_are_asked_for(s3_environment, tmp_path):
    written = viewer_products.write(tmp_path)
    client = s3_environment.client()
    folder = Path(written.output("gravimetry"))
    for path in (each for each in folder.rglob("*") if each.is_file()):
        key = f"made/gravimetry/{path.relative_to(folder)}"
        client.put_object(Bucket=s3_environment.bucket, Key=key, Body=path.read_bytes())
    found = outputs.open_outputs([s3_environment.url("made/gravimetry")])
    page = tmp_path / "page"
    page.mkdir()
    with running.bound("127.0.0.1", 0) as made:
        of = running.site(str(page), running.names(found))
        with running.serving(of, made):
            port = made.getsockname()[1]
            table = (folder / "tables" / "regions.csv").read_bytes()
            base = "/products/gravimetry"
            status, headers, body = ask(port, f"{base}/tables/regions.csv")
            assert (status, body) == (200, table)
            etag = headers["etag"]
            assert ask(port, f"{base}/tables/regions.csv", If_None_Match=etag)[0] == 304
            status, headers, body = ask(port, f"{base}/tables/regions.csv", Range="bytes=5-20")
            assert (status, body) == (206, table[5:21])
            assert headers["content-range"] == f"bytes 5-20/{len(table)}"
            assert ask(port, f"{base}/tables/regions.csv", Range=f"bytes={len(table)}-")[0] == 416
            assert ask(port, f"{base}/tables/none.csv")[0] == 404
            assert ask(port, f"{base}/run.yaml")[0] == 404
            assert ask(port, f"{base}/tables/..%2frun.yaml")[0] == 400


@pytest.mark.services
def test_a_store_that_has_gone_is_a_bad_gateway_without_its_secrets(
    s3_environment, tmp_path, monkeypatch
):
    found = {"a": outputs.Output(s3_environment.url("a"), "gravimetry", "a", {})}
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-but-long-enough-to-be-one")
    with running.bound("127.0.0.1", 0) as made:
        of = running.site(str(tmp_path), found)
        with running.serving(of, made):
            status, _, body = ask(made.getsockname()[1], "/products/a/item.json")
    assert status == 502
    assert b"wrong-but" not in body
    assert s3_environment.environment["AWS_ACCESS_KEY_ID"].encode() not in body
