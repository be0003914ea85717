"""One bad item never hides the others; a bad catalogue or collection is told by its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stac import documents
from stac import static_catalogue as static
from stac.catalogue import CatalogueError, open_catalogue
from stac.document_catalogue import items_from_documents
from stac.ingest import ingest
from stac.locations import UnreachableError, read_bytes
from stac.queries import Query
from stac.registry import rebuild_index
from tests.fixtures.seaweed import S3Store
from tests.stac.conftest import write_month
from tests.stac.scripted_server import item, scripted

FEBRUARY = "GSM-2_2011032-2011059_GRAC_UTCSR_BB01_0600"
DEEP = 100_000
QUESTIONS: list[dict[str, Any]] = [
    {"period": ("2011-01-01", "..")},
    {"bbox": [-180, -90, 180, 90]},
    {"cql2": "\"nunatak:kind\" = 'grace-l2'"},
    {"ids": [FEBRUARY]},
    {},
]


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda item: {key: value for key, value in item.items() if key != name}


def having(**more: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda item: item | more


def told(**more: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda item: item | {"properties": item["properties"] | more}


def dated(value: Any) -> Callable[[dict[str, Any]], Any]:
    return told(datetime=value, start_datetime=value, end_datetime=value)


def href(value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda item: item | {"assets": {"data": {"href": value}}}


MALFORMED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no properties": without("properties"),
    "null properties": having(properties=None),
    "properties a list": having(properties=[1]),
    "no assets": without("assets"),
    "no geometry": without("geometry"),
    "null assets": having(assets=None),
    "assets a list": having(assets=[{"href": "a"}]),
    "asset a string": having(assets={"data": "a.zarr"}),
    "asset null": having(assets={"data": None}),
    "asset without href": having(assets={"data": {"title": "a"}}),
    "href a number": href(5),
    "href null": href(None),
    "href empty": href(""),
    "href a list": href(["a"]),
    "href with a zero": href("a\0b"),
    "href with half a host": href("https://[bad/a"),
    "id with a zero": having(id="a\0b"),
    "date a number": dated(5),
    "date a list": dated(["2011-02-01"]),
    "date true": dated(True),
    "date a word": dated("yesterday"),
    "date empty": dated(""),
    "date before all dates": dated("0001-01-01T00:00:00+05:00"),
    "date after all dates": dated("9999-12-31T23:59:59-05:00"),
    "date of a week": dated("2011-W05"),
    "no date": told(datetime=None, start_datetime=None, end_datetime=None),
    "half a period": told(datetime=None, end_datetime=None),
    "id a number": having(id=5),
    "id null": having(id=None),
    "id empty": having(id=""),
    "id a list": having(id=["a"]),
    "id half a letter": having(id="\ud800"),
    "box a number": having(bbox=5),
    "box of words": having(bbox=["a", "b", "c", "d"]),
    "box of three": having(bbox=[1, 2, 3]),
    "box beyond floats": having(bbox=[10**400, 0, 0, 0]),
    "links a number": having(links=5),
    "links of words": having(links=["a"]),
    "link without href": having(links=[{"rel": "self"}]),
    "version a list": having(stac_version=[1]),
    "extensions a number": having(stac_extensions=5),
    "another type": having(type="Collection"),
    "a list": lambda item: [item],
    "a number": lambda _: 5,
    "null": lambda _: None,
}
BYTES = {
    "empty": b"",
    "torn": b'{"type": "Feature", "id": "x", "prop',
    "not UTF-8": b'{"type": "Feature", "id": "\xff\xfe"}',
    "deep": b"[" * DEEP,
    "deep properties": b'{"type": "Feature", "id": "x", "assets": {}, "properties": {"datetime": '
    + b"[" * 900 + b"]" * 900 + b"}}",
    "a number without end": b"1" * 10_000,
}  # fmt: skip


def february(catalogue: Path) -> Path:
    return catalogue / "fields" / FEBRUARY / f"{FEBRUARY}.json"


def spoil(catalogue: Path, how: str) -> Path:
    """Make February no STAC item, and take the index away."""
    path = february(catalogue)
    if how in BYTES:
        path.write_bytes(BYTES[how])
    else:
        path.write_text(json.dumps(MALFORMED[how](json.loads(path.read_text()))))
    (catalogue / "fields" / "items.parquet").unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("how", [*MALFORMED, *BYTES])
def test_a_bad_item_is_passed_over_and_named(
    catalogue: Path, how: str, caplog: pytest.LogCaptureFixture
):
    path = spoil(catalogue, how)
    opened = open_catalogue(str(catalogue))

    for question in QUESTIONS:
        caplog.clear()
        found = [each.id for each in opened.search("fields", **question)]
        assert len(found) == (0 if "ids" in question else 4)
        assert FEBRUARY not in found
        assert any(str(path) in line for line in caplog.messages)


@pytest.mark.parametrize("how", ["no properties", "date a number", "deep", "torn", "box a number"])
def test_an_ingest_beside_a_bad_item_goes_on(catalogue: Path, tmp_path: Path, how: str):
    spoil(catalogue, how)
    more = tmp_path / "more"
    more.mkdir()
    write_month(more, 2011, 6)

    (june,) = ingest("grace-l2", [str(more)], catalogue=str(catalogue), collection="fields")

    assert june.state == "added"
    assert rebuild_index(str(catalogue), "fields") == 5
    assert len(list(open_catalogue(str(catalogue)).search("fields"))) == 5


def test_the_source_of_a_bad_item_is_told_how_to_mend_it(catalogue: Path, months: Path):
    path = spoil(catalogue, "torn")

    done = list(ingest("grace-l2", [str(months)], catalogue=str(catalogue), collection="fields"))

    (failed,) = [each for each in done if each.state == "failed"]
    assert f"{path} is there and is no STAC item; delete it and ingest" in failed.reason
    path.unlink()
    again = ingest("grace-l2", [str(months)], catalogue=str(catalogue), collection="fields")
    assert sorted(each.state for each in again) == ["added"] + ["present"] * 4


def test_items_that_fit_no_table_are_told_and_found(catalogue: Path, regions: Path):
    path = catalogue / "regions" / "amundsen" / "amundsen.json"
    path.write_text(json.dumps(without("bbox")(json.loads(path.read_text()))))
    (catalogue / "regions" / "items.parquet").unlink()

    with pytest.raises(CatalogueError, match="'regions' fit no common table"):
        list(ingest("basins", [str(regions)], catalogue=str(catalogue), collection="regions"))

    assert len(list(open_catalogue(str(catalogue)).search("regions"))) == 3


@pytest.mark.parametrize("how", [how for how in MALFORMED if "half a letter" not in how])
def test_a_bad_item_of_an_api_is_passed_over_and_named(how: str, caplog: pytest.LogCaptureFixture):
    with scripted() as server:
        bad = MALFORMED[how](item("bad"))
        server.become_api(item("a"), bad, item("b"))

        found = open_catalogue(server.url).search(period=("2011-01-01", ".."))

        assert [each.id for each in found] == ["a", "b"]
        assert any(server.url in line and "no STAC item" in line for line in caplog.messages)


def test_an_item_of_an_api_that_lies_at_half_a_host_is_passed_over():
    with scripted() as server:
        bad = item("b", links=[{"rel": "self", "href": "https://[bad"}])
        server.become_api(item("a"), bad | {"assets": {"data": {"href": "./a"}}})

        assert [each.id for each in open_catalogue(server.url).search()] == ["a"]


@pytest.mark.parametrize("value", ["many", [1], {"a": 1}, None])
def test_a_filter_does_not_hold_for_a_property_of_another_form(value: Any):
    odd = item("odd", properties={"datetime": "2011-02-01T00:00:00Z", "eo:cloud_cover": value})
    for filter_, expected in (('"eo:cloud_cover" < 60', False), ("id = 'odd'", True)):
        assert Query(cql2=filter_).matches(odd) is expected


PAGES: dict[str, Any] = {
    "a list": [1],
    "null": None,
    "features a number": {"features": 5},
    "features an object": {"features": {"a": 1}},
    "links a number": {"features": [item()], "links": 5},
    "links of words": {"features": [item()], "links": ["next"]},
    "next without href": {"features": [item()], "links": [{"rel": "next"}]},
    "next a number": {"features": [item()], "links": [{"rel": "next", "href": 5}]},
    "half a letter": {"features": [item("\ud800")], "links": []},
    "deep": b"[" * DEEP,
    "torn": b'{"features": [',
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("how", PAGES)
def test_a_bad_page_of_an_api_is_an_answer_that_is_no_stac(
    how: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("stac.api_catalogue.STUMBLES_S", (0.0, 0.0))
    with scripted() as server:
        server.become_api(item())
        server.routes["/search"] = PAGES[how]

        with pytest.raises(CatalogueError, match=server.url):
            open_catalogue(server.url).search()


@pytest.mark.parametrize(
    "collections",
    [5, {"a": 1}, [5], ["a"], [{}], [{"type": "Collection"}], [[1]],
     [item()], [{"type": "Collection", "id": 5, "extent": 5, "links": 5}],
     [{"type": "Collection", "stac_version": "1.0.0", "id": "c", "description": "", "links": [],
       "license": "x", "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]},
                                  "temporal": {"interval": [["yesterday", None]]}}}]],
)  # fmt: skip
def test_bad_collections_of_an_api_are_an_answer_that_is_no_stac(collections: Any):
    with scripted() as server:
        server.become_api(item())
        server.routes["/collections"] = {"collections": collections, "links": []}

        with pytest.raises(CatalogueError, match=server.url):
            open_catalogue(server.url).collections()


@pytest.mark.parametrize("how", [*MALFORMED, *BYTES])
def test_a_document_that_was_asked_for_by_name_is_refused(tmp_path: Path, how: str):
    data = BYTES[how] if how in BYTES else json.dumps(MALFORMED[how](item())).encode()
    (tmp_path / "x_stac.json").write_bytes(data)

    with pytest.raises(CatalogueError, match=r"x_stac\.json"):
        list(items_from_documents([str(tmp_path / "x_stac.json")]).search())


CATALOGUES: dict[str, bytes] = {
    "deep": b"[" * DEEP,
    "a number": b"5",
    "no id": b'{"type": "Catalog"}',
    "id a number": b'{"type": "Catalog", "id": 5}',
    "links a number": b'{"type": "Catalog", "id": "x", "links": 5}',
    "links null": b'{"type": "Catalog", "id": "x", "links": null}',
    "links of words": b'{"type": "Catalog", "id": "x", "links": ["child"]}',
    "rel a number": b'{"type": "Catalog", "id": "x", "links": [{"rel": 5, "href": "a"}]}',
    "href a number": b'{"type": "Catalog", "id": "x", "links": [{"rel": "child", "href": 5}]}',
    "href with a zero": b'{"type":"Catalog","id":"x","links":[{"rel":"child","href":"a\\u0000"}]}',
    "href of half a host": b'{"type":"Catalog","id":"x","links":[{"rel":"child","href":"s3://[b"}]}',
    "href null": b'{"type": "Catalog", "id": "x", "links": [{"rel": "child", "href": null}]}',
    "type a list": b'{"type": ["Catalog"], "id": "x"}',
    "half a letter": b'{"type": "Catalog", "id": "\\ud800"}',
}


@pytest.mark.parametrize("how", CATALOGUES)
def test_a_bad_catalogue_is_refused_by_its_file(tmp_path: Path, months: Path, how: str):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "catalog.json").write_bytes(CATALOGUES[how])

    with pytest.raises(CatalogueError, match=r"catalog\.json"):
        open_catalogue(str(tmp_path / "c")).collections()
    with pytest.raises(CatalogueError, match=r"catalog\.json"):
        ingest("grace-l2", [str(months)], catalogue=str(tmp_path / "c"), collection="f")


@pytest.mark.parametrize("how", CATALOGUES)
def test_a_bad_collection_is_refused_by_its_file(catalogue: Path, months: Path, how: str):
    data = (
        CATALOGUES[how]
        .replace(b"Catalog", b"Collection")
        .replace(b"child", b"item")
        .replace(b'"x"', b'"fields"')
    )
    (catalogue / "fields" / "collection.json").write_bytes(data)

    with pytest.raises(CatalogueError, match=r"fields/collection\.json"):
        open_catalogue(str(catalogue)).search("fields")
    with pytest.raises(CatalogueError, match=r"fields/collection\.json|collection 'fields' holds"):
        ingest("grace-l2", [str(months)], catalogue=str(catalogue), collection="fields")


@pytest.mark.parametrize("name", ["catalog.json", "fields/collection.json"])
def test_a_document_beyond_all_bounds_is_refused(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(documents, "LARGEST", 100_000)
    path = catalogue / name
    path.write_bytes(path.read_bytes() + b" " * 100_000)

    with pytest.raises(CatalogueError, match=rf"{name} is larger than 100,000 bytes"):
        open_catalogue(str(catalogue)).search("fields")


def test_an_index_beyond_all_bounds_is_refused(catalogue: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(static, "LARGEST_INDEX", 1000)

    with pytest.raises(CatalogueError, match=r"items\.parquet is larger than 1,000 bytes"):
        open_catalogue(str(catalogue)).search("fields")


def test_no_more_is_read_than_the_bound(tmp_path: Path):
    """A file without end stands for one that is larger than the machine's memory."""
    (tmp_path / "catalog.json").symlink_to("/dev/zero")

    with pytest.raises(CatalogueError, match="larger than"):
        open_catalogue(str(tmp_path))


def test_a_web_server_sends_no_more_than_the_bound():
    with scripted() as server:
        server.routes |= {"/whole": b"x" * 3_000_000, "/empty": b""}

        assert read_bytes(f"{server.url}/whole", largest=3_000_000) == b"x" * 3_000_000
        assert read_bytes(f"{server.url}/empty", largest=10) == b""
        with pytest.raises(CatalogueError, match="larger than 2,999,999 bytes"):
            read_bytes(f"{server.url}/whole", largest=2_999_999)
        with pytest.raises(FileNotFoundError):
            read_bytes(f"{server.url}/nothing", largest=10)


@pytest.mark.services
def test_a_bucket_gives_no_more_than_the_bound(s3_environment: S3Store):
    from stac.locations import write_bytes

    url = s3_environment.url("bounds")
    write_bytes(f"{url}/whole", b"x" * 1000)
    write_bytes(f"{url}/empty", b"")

    assert read_bytes(f"{url}/whole", largest=1000) == b"x" * 1000
    assert read_bytes(f"{url}/empty", largest=10) == b""
    with pytest.raises(CatalogueError, match="larger than 999 bytes"):
        read_bytes(f"{url}/whole", largest=999)
    with pytest.raises(FileNotFoundError):
        read_bytes(f"{url}/nothing", largest=10)


def test_a_catalogue_that_does_not_answer_is_no_bad_item(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
):
    """What may be there another time is not passed over, or the answer would be short."""
    (catalogue / "fields" / "items.parquet").unlink()
    whole = documents.read_bytes

    def stumbling(url: str, **options: Any) -> bytes:
        if FEBRUARY in url:
            msg = "the store does not answer"
            raise UnreachableError(msg)
        return whole(url, **options)

    monkeypatch.setattr(documents, "read_bytes", stumbling)

    with pytest.raises(UnreachableError, match="does not answer"):
        open_catalogue(str(catalogue)).search("fields")
