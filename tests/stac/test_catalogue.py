"""What a static catalogue finds, and what it refuses."""

import json
import shutil
import time
from pathlib import Path

import pystac
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pystac.validation.local_validator import get_local_schema_cache
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from shapely.geometry import shape

from stac import item_index
from stac.catalogue import (
    CatalogueError,
    EscapeError,
    QueryError,
    UnreachableError,
    open_catalogue,
)
from stac.queries import Query
from stac.registry import all_items, rebuild_index

JANUARY = "GSM-2_2011001-2011031_GRAC_UTCSR_BB01_0600"


def ids(items):
    return [item.id for item in items]


@pytest.mark.parametrize("address", ["{}", "{}/catalog.json", "file://{}", "{}/"])
def test_every_spelling_of_the_address_opens_the_catalogue(catalogue: Path, address: str):
    opened = open_catalogue(address.format(catalogue))

    assert opened.collections() == ["fields", "regions"]
    assert opened.url == str(catalogue)


def test_items_come_by_start_then_id_with_absolute_hrefs(catalogue: Path):
    items = list(open_catalogue(str(catalogue)).search("fields"))

    assert len(items) == 5
    assert items[0].id == JANUARY
    assert ids(items) == sorted(ids(items))
    assert all(Path(item.assets["data"].href).is_dir() for item in items)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"period": ("2011-02-01", "2011-03-31")}, 2),
        ({"period": ("2011-02-28", "2011-02-28")}, 1),
        ({"period": ("2011-04-10", "..")}, 2),
        ({"period": ("..", "2011-01-31T23:59:59Z")}, 1),
        ({"period": ("2012-01-01", "2012-12-31")}, 0),
        ({"ids": [JANUARY, "unheard-of"]}, 1),
        ({"limit": 3}, 3),
        ({"cql2": '"nunatak:kind" = \'grace-l2\' AND "nunatak:max_degree" < 60'}, 5),
        ({"cql2": "start_datetime >= '2011-03-01'"}, 3),
        ({"cql2": "id LIKE '%2011001%'"}, 1),
        ({"cql2": '"nunatak:no_such_property" > 3'}, 0),
    ],
)
def test_months_are_found_by_time_id_and_filter(catalogue: Path, question, expected: int):
    assert len(list(open_catalogue(str(catalogue)).search("fields", **question))) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"bbox": [40, -75, 50, -70]}, ["enderby"]),
        ({"bbox": [40, -75, 0, 50, -70, 10]}, ["enderby"]),
        ({"bbox": [170, -82, -170, -78]}, ["ross"]),
        ({"bbox": [-170, -82, 170, -78.5]}, []),
        ({"bbox": [-180, -90, 180, -60]}, ["amundsen", "enderby", "ross"]),
        ({"intersects": {"type": "Point", "coordinates": [-100, -76]}}, ["amundsen"]),
    ],
)
def test_regions_are_found_by_place_and_never_across_the_wrong_side(
    catalogue: Path, question, expected
):
    assert ids(open_catalogue(str(catalogue)).search("regions", **question)) == expected


def test_a_search_without_collection_looks_into_all(catalogue: Path):
    opened = open_catalogue(str(catalogue))

    assert len(list(opened.search())) == 8
    assert len(list(opened.search(["fields", "regions"]))) == 8


def test_the_documents_are_valid_stac_and_walk_from_the_root(catalogue: Path):
    root = pystac.Catalog.from_file(str(catalogue / "catalog.json"))

    validator = JsonSchemaSTACValidator()
    validator.schema_cache |= get_local_schema_cache()
    for made in (root, *root.get_children(), *root.get_items(recursive=True)):
        document = made.to_dict(include_self_link=False, transform_hrefs=False)
        validator.validate_core(document, made.STAC_OBJECT_TYPE, "1.1.0")
    assert len(list(root.get_items(recursive=True))) == 8


def test_a_catalogue_may_be_moved(catalogue: Path, tmp_path: Path):
    elsewhere = tmp_path / "deep" / "er"
    shutil.copytree(catalogue, elsewhere)
    shutil.rmtree(catalogue)

    (item,) = open_catalogue(str(elsewhere)).search("fields", ids=[JANUARY])

    assert item.assets["data"].href.startswith(str(elsewhere))
    assert not [path for path in elsewhere.rglob("*.json") if str(catalogue) in path.read_text()]


def test_the_index_repeats_the_item_files(catalogue: Path):
    table = item_index.read((catalogue / "fields" / "items.parquet").read_bytes())
    assert table is not None
    for indexed in item_index.items(table):
        path = catalogue / "fields" / indexed["id"] / f"{indexed['id']}.json"
        told = pystac.Item.from_dict(json.loads(path.read_text())).to_dict()
        assert pystac.Item.from_dict(indexed).to_dict() == told


@pytest.mark.parametrize("damage", ["missing", "torn", "stale"])
def test_a_search_does_without_an_index_and_rebuilding_restores_it(catalogue: Path, damage: str):
    index = catalogue / "fields" / "items.parquet"
    if damage == "missing":
        index.unlink()
    elif damage == "torn":
        index.write_bytes(index.read_bytes()[:100])
    else:
        table = item_index.read(index.read_bytes())
        assert table is not None
        index.write_bytes(item_index.encode(item_index.items(table)[:2]))

    assert (
        len(list(open_catalogue(str(catalogue)).search("fields", period=("2011-04-01", "..")))) == 2
    )
    assert rebuild_index(str(catalogue), "fields") == 5
    table = item_index.read(index.read_bytes())
    assert table is not None
    assert table.num_rows == 5


BOXES = st.tuples(
    st.floats(-180, 180), st.floats(-90, -60), st.floats(-180, 180), st.floats(-60, 90)
)
DAYS = st.sampled_from(["..", "2011-01-01", "2011-02-15", "2011-04-30", "2011-06-01"])


@settings(deadline=None, max_examples=60)
@given(bbox=st.none() | BOXES, days=st.none() | st.tuples(DAYS, DAYS).map(sorted))
def test_columns_and_single_items_answer_alike(bbox, days):
    """The index tests whole columns; `Query.matches`, item by item, is its oracle."""
    items = _worldwide()
    query = Query(bbox, None, None if days is None else (days[0], days[1]))
    table = item_index.read(item_index.encode(items))
    assert table is not None

    chosen = {item["id"] for item in item_index.select(table, query)}

    assert chosen == {item["id"] for item in items if query.matches(item)}


def _worldwide():
    return [
        {
            "type": "Feature", "stac_version": "1.1.0", "id": f"i{k}", "collection": "c",
            "geometry": shapely.geometry.mapping(shapely.box(west, -80, west + 30, -65)),
            "bbox": [west, -80, west + 30, -65], "links": [], "assets": {},
            "properties": {
                "datetime": None if k % 2 else "2011-02-15T00:00:00Z",
                **({"start_datetime": f"2011-0{k % 5 + 1}-01T00:00:00Z",
                    "end_datetime": f"2011-0{k % 5 + 1}-28T00:00:00Z"} if k % 2 else {}),
            },
        }
        for k, west in enumerate(range(-180, 180, 30))
    ]  # fmt: skip


def test_a_box_across_180_is_two_polygons_that_meet_there():
    area = Query(bbox=[175, -78, -175, -77]).area

    assert area is not None
    assert [part.bounds for part in area.geoms] == [
        (175.0, -78.0, 180.0, -77.0),
        (-180.0, -78.0, -175.0, -77.0),
    ]
    assert shape(Query(bbox=[175, -78, -175, -77]).sent_area).geom_type == "MultiPolygon"


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"bbox": [0, 0, 1]}, "give west, south, east, north"),
        ({"bbox": [0, -70, 10, -80]}, "give south, north"),
        ({"bbox": [0, -80, 270, -70]}, "within -180 to 180"),
        ({"bbox": [0, -80, 1, -70], "intersects": {}}, "one of them"),
        ({"intersects": {"type": "Blob"}}, "no GeoJSON geometry"),
        ({"period": ("2012", "2011")}, "write it as 2011-02-01"),
        ({"period": ("2012-01-01", "2011-01-01")}, "exchange its ends"),
        ({"cql2": "kind = = 3"}, "is not CQL2 text"),
        ({"ids": "one"}, "give a list of ids"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(catalogue: Path, question, message: str):
    with pytest.raises(QueryError, match=message):
        open_catalogue(str(catalogue)).search("fields", **question)


def test_an_unknown_collection_is_refused_with_the_nearest(catalogue: Path):
    with pytest.raises(CatalogueError, match="did you mean 'regions'"):
        open_catalogue(str(catalogue)).search("region")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no Catalog at .*nunatak ingest"),
        ("{", "is no JSON"),
        ("[1]", "holds 'list', expected a STAC Catalog"),
        ('{"type": "Feature", "id": "x"}', "holds 'Feature'"),
        ('{"type": "Catalog", "id": "x", "links": [{"rel": "child"}]}', "a link lacks rel or href"),
    ],
)
def test_a_malformed_catalogue_is_refused(tmp_path: Path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "catalog.json").write_text(content)
    with pytest.raises(CatalogueError, match=message):
        open_catalogue(str(tmp_path)).collections()


@pytest.mark.parametrize(
    "href",
    [
        "../secret/collection.json",
        "/etc/passwd",
        "file:///etc/passwd",
        "s3://other/x.json",
        "./up/c.json",
    ],
)
def test_links_that_leave_the_catalogue_are_not_followed(tmp_path: Path, href: str):
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (tmp_path / "secret").mkdir()
    (folder / "up").symlink_to(tmp_path / "secret")
    document = {"type": "Catalog", "id": "x", "links": [{"rel": "child", "href": href}]}
    (folder / "catalog.json").write_text(json.dumps(document))

    with pytest.raises(EscapeError, match="outside it"):
        open_catalogue(str(folder)).collections()


def test_an_asset_that_leaves_the_catalogue_is_not_followed(catalogue: Path):
    path = catalogue / "fields" / JANUARY / f"{JANUARY}.json"
    item = json.loads(path.read_text())
    item["assets"]["data"]["href"] = "../../../secret.zarr"
    path.write_text(json.dumps(item))
    (catalogue / "fields" / "items.parquet").unlink()

    with pytest.raises(EscapeError, match="secret"):
        list(open_catalogue(str(catalogue)).search("fields"))


def test_catalogues_nested_in_a_circle_end(tmp_path: Path):
    document = {"type": "Catalog", "id": "x", "links": [{"rel": "child", "href": "./catalog.json"}]}
    (tmp_path / "catalog.json").write_text(json.dumps(document))

    with pytest.raises(CatalogueError, match="circle"):
        open_catalogue(str(tmp_path)).collections()


def test_a_catalogue_that_others_wrote_is_followed_by_its_links(catalogue: Path, tmp_path: Path):
    """No index, other file names, a level in between: what pystac writes by itself."""
    document = all_items(str(catalogue), "regions")[0]
    item = pystac.Item.from_dict(document)
    item.clear_links()
    item.assets.clear()
    collection = pystac.Collection(
        "shapes",
        "Shapes",
        pystac.Extent(
            pystac.SpatialExtent([[-180, -90, 180, 90]]),
            pystac.TemporalExtent([[item.common_metadata.start_datetime, None]]),
        ),
        license="other",
    )
    collection.add_item(item)
    root, middle = pystac.Catalog("root", "Root"), pystac.Catalog("middle", "Middle")
    root.add_child(middle)
    middle.add_child(collection)
    root.normalize_and_save(str(tmp_path / "foreign"), pystac.CatalogType.SELF_CONTAINED)

    opened = open_catalogue(str(tmp_path / "foreign"))

    assert opened.collections() == ["shapes"]
    assert ids(opened.search("shapes", bbox=[-180, -90, 180, -60])) == [item.id]


def test_an_unreadable_bucket_is_reported_within_seconds(monkeypatch: pytest.MonkeyPatch):
    for name, value in (
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ):
        monkeypatch.setenv(name, value)
    started = time.perf_counter()

    with pytest.raises(UnreachableError, match=r"cannot read s3://ice/c/catalog\.json.*endpoint"):
        open_catalogue("s3://ice/c")

    assert time.perf_counter() - started < 15.0


def test_a_scheme_that_nobody_knows_is_refused():
    with pytest.raises(CatalogueError, match="use a path, file://, s3://"):
        open_catalogue("carrierpigeon://loft/1")
