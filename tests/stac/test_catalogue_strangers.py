"""A STAC API that is not on this machine leads its readers neither to our files nor elsewhere."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from stac import api_catalogue, catalogue, documents
from stac.api_catalogue import OneServer
from stac.catalogue import CatalogueError, EscapeError, open_catalogue
from stac.document_catalogue import items_from_documents
from tests.stac.scripted_server import ScriptedServer, collection, item, scripted


@pytest.fixture
def stranger() -> Iterator[ScriptedServer]:
    with scripted() as server:
        server.become_api(item())
        yield server


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """Return a second server, which nobody was told to ask."""
    with scripted() as server:
        server.become_api(item("of the other"))
        yield server


def hrefs(url: str) -> list[str]:
    return [found.assets["data"].href for found in open_catalogue(url).search()]


@pytest.mark.parametrize(
    "href",
    [
        "https://other.example.org/scene.TIF",
        "s3://usgs-landsat/scene.TIF",
        "HTTPS://other.example.org/scene.TIF",
        "abfs://container/data.zarr",
    ],
)
def test_data_may_lie_in_buckets_and_on_other_servers(stranger: ScriptedServer, href: str):
    stranger.become_api(item(assets={"data": {"href": href}}))

    assert hrefs(stranger.url) == [href]


LOCAL = [
    "/etc/hostname",
    "file:///etc/hostname",
    "FILE:///etc/hostname",
    "file://localhost/etc/hostname",
    "local:///etc/hostname",
    "simplecache::file:///etc/hostname",
    "zip://a::/etc/archive.zip",
    "/vsis3/bucket/a.TIF",
    "data.zarr",
    "../../../etc/hostname",
]


@pytest.mark.parametrize("href", LOCAL)
def test_a_stranger_names_no_file_of_this_machine(stranger: ScriptedServer, href: str):
    stranger.become_api(item(assets={"data": {"href": href}}))

    with pytest.raises(EscapeError, match=r"links to .*outside it.*https:// or s3://"):
        hrefs(stranger.url)


def test_nor_by_saying_that_its_item_lies_here(stranger: ScriptedServer):
    links = [{"rel": "self", "href": "/srv/catalogue/i.json"}]
    stranger.become_api(item(assets={"data": {"href": "./secret.zarr"}}, links=links))

    with pytest.raises(EscapeError, match="outside it"):
        hrefs(stranger.url)


def test_a_relative_address_is_one_of_its_own_server(stranger: ScriptedServer):
    links = [{"rel": "self", "href": f"{stranger.url}/items/i.json"}]
    stranger.become_api(item(assets={"data": {"href": "./data.zarr"}}, links=links))

    assert hrefs(stranger.url) == [f"{stranger.url}/items/data.zarr"]


def test_an_api_on_this_machine_names_its_files():
    with scripted("127.0.0.1") as near:
        near.become_api(item(assets={"data": {"href": "/data/a.zarr"}}))

        assert hrefs(near.url) == ["/data/a.zarr"]


def test_pages_of_its_own_are_followed(stranger: ScriptedServer):
    after = [{"rel": "next", "href": f"{stranger.url}/more", "method": "POST", "body": {}}]
    stranger.become_api(item("a"), links=after)
    stranger.routes["/more"] = {"type": "FeatureCollection", "features": [item("b")], "links": []}

    assert [found.id for found in open_catalogue(stranger.url).search()] == ["a", "b"]


def following(name: str, server: ScriptedServer, to: str) -> None:
    """Let an API send its readers to another address by one of the links that a client follows."""
    root = server.routes["/"]
    if name == "next":
        server.routes["/search"]["links"] = [{"rel": "next", "href": to}]
    elif name == "next by POST":
        link = {"rel": "next", "href": to, "method": "POST", "body": {}}
        server.routes["/search"]["links"] = [link]
    elif name == "next of collections":
        server.routes["/collections"]["links"] = [{"rel": "next", "href": to}]
    elif name == "child":
        root["conformsTo"] = [uri for uri in root["conformsTo"] if "collections" not in uri]
        root["links"] = [link for link in root["links"] if link["rel"] != "data"]
        root["links"].append({"rel": "child", "href": to})
    else:
        for link in root["links"]:
            if link["rel"] == name:
                link["href"] = to


LINKS = ["search", "data", "next", "next by POST", "next of collections", "child"]


@pytest.mark.filterwarnings("ignore:Server does not conform", "ignore:Falling back to pystac")
@pytest.mark.parametrize("link", LINKS)
def test_links_to_another_server_are_not_followed(
    stranger: ScriptedServer, other: ScriptedServer, link: str
):
    following(link, stranger, f"{other.url}/search")

    with pytest.raises(EscapeError, match=r"outside it.*open the catalogue"):
        ask(stranger.url)

    assert other.asked == []


@pytest.mark.filterwarnings("ignore:Server does not conform", "ignore:Falling back to pystac")
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("scheme", ["file://", "file://localhost"])
def test_links_to_files_are_not_followed(
    stranger: ScriptedServer, tmp_path: Path, link: str, scheme: str
):
    (tmp_path / "page.json").write_text("{}")
    following(link, stranger, f"{scheme}{tmp_path}/page.json")

    with pytest.raises(EscapeError, match="outside it"):
        ask(stranger.url)


@pytest.mark.parametrize("path", ["/search", "/collections"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirections_to_another_server_are_not_followed(
    stranger: ScriptedServer, other: ScriptedServer, path: str, status: int
):
    stranger.routes[path] = (status, f"{other.url}{path}")

    with pytest.raises(EscapeError, match=f"{other.url}{path}"):
        ask(stranger.url)

    assert other.asked == []


def test_a_redirection_that_two_readers_read_differently_is_not_followed(
    stranger: ScriptedServer, other: ScriptedServer
):
    theirs, ours = (server.url.removeprefix("http://") for server in (other, stranger))
    for text in (f"http://{theirs}\\@{ours}/search", f"http://{ours}\\@{theirs}/search",
                 f"//{theirs}/search", f"http://{ours}@{theirs}/search"):  # fmt: skip
        stranger.routes["/search"] = (307, text)
        with pytest.raises(CatalogueError):
            ask(stranger.url)

    assert other.asked == []


def test_redirections_within_a_server_are_followed(stranger: ScriptedServer):
    stranger.routes["/found"] = stranger.routes["/search"]
    stranger.routes["/search"] = (307, "/found")

    assert hrefs(stranger.url) == ["s3://elsewhere/data.zarr"]


def test_the_first_look_stays_with_the_server_too(stranger: ScriptedServer, other: ScriptedServer):
    stranger.routes["/"] = (302, f"{other.url}/")

    with pytest.raises(EscapeError, match="outside the catalogue"):
        open_catalogue(stranger.url)

    assert other.asked == []


def test_an_api_on_this_machine_leads_to_this_machine_only(other: ScriptedServer):
    with scripted("127.0.0.1") as near, scripted("127.0.0.1") as nearby:
        near.become_api(item("a"))
        nearby.routes["/search"] = {"features": [item("b")], "links": []}
        following("next", near, f"http://localhost:{nearby.server_port}/search")
        assert [found.id for found in open_catalogue(near.url).search()] == ["a", "b"]

        for to in (f"{other.url}/search", "file:///etc/hostname"):
            following("next", near, to)
            with pytest.raises(EscapeError):
                open_catalogue(near.url).search()

    assert other.asked == []


def ask(url: str) -> list[Any]:
    opened = open_catalogue(url)
    return [opened.collections(), list(opened.search())]


@pytest.mark.parametrize("href", ["file:///etc/hostname", "local:///etc/x", "/vsizip/etc/x"])
def test_a_document_from_elsewhere_names_no_file_of_this_machine(
    stranger: ScriptedServer, href: str
):
    stranger.routes["/x.json"] = item(assets={"data": {"href": href}})

    with pytest.raises(EscapeError, match="outside it"):
        items_from_documents([f"{stranger.url}/x.json"]).search()


def test_a_static_catalogue_elsewhere_refers_to_no_program_that_reads_files(
    stranger: ScriptedServer,
):
    stranger.routes |= {
        "/catalog.json": {"type": "Catalog", "id": "s",
                          "links": [{"rel": "child", "href": "./c/collection.json"}]},
        "/c/collection.json": collection("c") | {"links": [{"rel": "item", "href": "./i/i.json"}]},
    }  # fmt: skip
    told = {"datetime": "2011-02-01T00:00:00Z", "nunatak:referenced": True}
    del stranger.routes["/"]
    for href in ("local:///etc/hostname", "simplecache::file:///etc/hostname"):
        assets = {"data": {"href": href}}
        stranger.routes["/c/i/i.json"] = item(properties=told, assets=assets)
        with pytest.raises(EscapeError, match="outside it"):
            list(open_catalogue(stranger.url).search())


@pytest.mark.parametrize("path", ["/search", "/collections", "/"])
def test_a_page_beyond_all_bounds_is_refused(
    stranger: ScriptedServer, monkeypatch: pytest.MonkeyPatch, path: str
):
    for module in (documents, api_catalogue, catalogue):
        monkeypatch.setattr(module, "LARGEST", 10_000)
    monkeypatch.setattr(api_catalogue, "CHUNK", 4096)
    assert hrefs(stranger.url)

    stranger.routes[path] = dict(stranger.routes[path]) | {"padding": "x" * 50_000}

    with pytest.raises(CatalogueError, match=r"10,000 bytes"):
        ask(stranger.url)


@pytest.mark.parametrize("href", ["ftp://a.example/x.TIF", "hdfs://a/x.zarr"])
def test_an_address_that_nothing_reads_costs_its_asset_alone(
    stranger: ScriptedServer, caplog: pytest.LogCaptureFixture, href: str
):
    assets = {"old": {"href": href}, "data": {"href": "https://a.example/x.zarr"}}
    stranger.become_api(item(assets=assets))

    (found,) = open_catalogue(stranger.url).search()

    assert list(found.assets) == ["data"]
    assert f"is left out: {href} is read by nothing here" in caplog.text


@pytest.mark.parametrize(
    ("opened", "linked", "asked"),
    [
        (
            "https://a.example/stac",
            "http://a.example/stac/?page=2",
            "https://a.example/stac/?page=2",
        ),
        ("https://a.example/stac", "https://a.example:443/x", "https://a.example:443/x"),
        ("http://a.example/stac", "https://a.example/x", "https://a.example/x"),
    ],
)
def test_a_server_behind_a_proxy_is_asked_by_https_if_it_was_opened_so(
    monkeypatch: pytest.MonkeyPatch, opened: str, linked: str, asked: str
):
    """Such a server knows itself by http, and writes its links so."""
    sent: list[str] = []

    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        sent.append(str(request.url))
        answer = requests.Response()
        answer.status_code, answer.raw = 200, io.BytesIO(b"{}")
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", send)
    OneServer(opened).send(requests.Request("GET", linked).prepare())

    assert sent == [asked]


@pytest.mark.parametrize(
    "linked", ["http://a.example:8080/x", "https://b.example/x", "https://a.example.b.example/x"]
)
def test_another_port_or_host_is_another_server(linked: str):
    with pytest.raises(EscapeError, match="outside it"):
        OneServer("https://a.example/stac").send(requests.Request("GET", linked).prepare())
