"""Items, releases and catalogues that are not as they should be: words, and never a traceback."""

import json
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.map_scene import outlines, writing
from pipelines.map_scene.layering import layers
from pipelines.report import material, outputs
from pipelines.report.outputs import ReportError
from tests.pipelines.report import viewer_products
from tests.pipelines.report.report_products import change_item


def place(output):
    return f"../../{output.name}"


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    return viewer_products.write(tmp_path_factory.mktemp("products"))


@pytest.fixture
def written(products, tmp_path):
    """Return copies of the products, whose catalogue is that of the first ones."""
    copy = viewer_products.Products(tmp_path / "copy")
    shutil.copytree(products.root, copy.root)
    return copy


def with_item(written, product, change):
    """Change the item of a product; return its folder."""
    change_item(Path(written.output(product)), change)
    return written.output(product)


def documents(folder):
    """Return scene, curves and outlines of a product's map."""
    made = writing.files(outputs.open_outputs([folder]), locate=place)
    return [json.loads(made[name]) for name in ("scene.json", "curves.json", "regions.geojson")]


@pytest.mark.parametrize("part", ["assets", "links"])
@pytest.mark.parametrize("held", [None, "x", ["x"], {"a": "x"}, {"a": None}, [None], 7])
def test_parts_of_an_item_that_are_none_are_refused_at_once(written, part, held):
    folder = with_item(written, "gravimetry", lambda item: item.update({part: held}))
    with pytest.raises(ReportError, match=rf"item.json is no item.*its {part} are .*, expected"):
        outputs.open_outputs([folder])


@pytest.mark.parametrize("part", ["assets", "links"])
def test_an_item_without_one_of_its_parts_is_refused_at_once(written, part):
    folder = with_item(written, "gravimetry", lambda item: item.pop(part))
    with pytest.raises(ReportError, match=rf"its {part} are None"):
        outputs.open_outputs([folder])


@pytest.mark.parametrize("lineage", ["a: [1,\n b: }", "[1, 2]", "regions: [x]", "", None, 7])
def test_a_run_file_that_is_none_leaves_a_map_without_outlines(written, lineage):
    told = {"processing:lineage": lineage}
    folder = with_item(written, "gravimetry", lambda item: item["properties"].update(told))
    scene, _, outlines = documents(folder)
    assert len(scene["layers"]) == 2
    assert outlines["features"] == []


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Catalog", "id": "x", "description": "d", "stac_version": "1.0.0", "links": []},
        [], 7, None, "text", {}, {"type": "Feature"},
        {"type": "Feature", "stac_version": "1.0.0", "id": "x", "links": [], "assets": {},
         "properties": None, "geometry": None},
        {"type": "Feature", "stac_version": "1.0.0", "id": "x", "links": 7, "assets": ["x"],
         "properties": {"datetime": "now", "nunatak:kind": "basins"}, "geometry": None},
    ],
)  # fmt: skip
def test_a_link_to_what_is_no_item_is_a_warning(written, tmp_path, document):
    (tmp_path / "other.json").write_text(json.dumps(document), encoding="utf-8")
    link = {"rel": "derived_from", "href": f"{tmp_path}/other.json",
            "nunatak:collection": viewer_products.BASINS}  # fmt: skip
    folder = with_item(written, "gravimetry", lambda item: item.update(links=[link]))
    scene, _, outlines = documents(folder)
    assert outlines["features"] == []
    assert material.polygons_of(*outputs.open_outputs([folder])) is None
    (warning,) = scene["warnings"]
    assert warning.startswith(f"the outlines of {viewer_products.BASINS} cannot be drawn")


@pytest.mark.parametrize("links", [7, ["x"], [{"rel": "derived_from"}], [{}]])
def test_links_of_a_product_that_another_was_made_from_may_be_wrong_too(written, tmp_path, links):
    above = tmp_path / "above" / "item.json"
    above.parent.mkdir()
    above.write_text(json.dumps({"links": links}), encoding="utf-8")
    link = {"rel": "derived_from", "href": str(above)}
    folder = with_item(written, "gravimetry", lambda item: item.update(links=[link]))
    assert len(documents(folder)[0]["warnings"]) == 1


@contextmanager
def watched():
    """Serve nothing; yield the address and the list of what was asked for."""
    asked = []

    class Watch(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Watch) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/latest/meta-data", asked
        server.shutdown()


@pytest.mark.parametrize(
    "before", ["http://", "HTTP://", "simplecache::http://", "filecache::http://"]
)
@pytest.mark.parametrize("collection", [True, False])
def test_no_address_of_the_web_in_an_item_is_asked(written, before, collection):
    with watched() as (address, asked):
        link = {"rel": "derived_from", "href": f"{before}{address}/item.json"}
        if collection:
            link["nunatak:collection"] = viewer_products.BASINS
        folder = with_item(written, "gravimetry", lambda item: item.update(links=[link]))
        scene, _, _ = documents(folder)
        assert material.polygons_of(*outputs.open_outputs([folder])) is None
    assert asked == []
    assert "none that a report asks" in scene["warnings"][0]


@pytest.mark.parametrize("before", ["http://", "simplecache::http://"])
def test_nor_is_one_in_an_item_of_the_catalogue(tmp_path, before):
    written = viewer_products.write(tmp_path)
    with watched() as (address, asked):
        (path,) = (tmp_path / "catalogue" / viewer_products.BASINS).glob("*/*.json")
        item = json.loads(path.read_text(encoding="utf-8"))
        item["assets"]["data"]["href"] = f"{before}{address}/polygons.parquet"
        path.write_text(json.dumps(item), encoding="utf-8")
        opened = outputs.open_outputs([written.output("gravimetry")])
        found, warnings = outlines.region_sets(opened)
        assert material.polygons_of(*opened) is None
    assert (found, asked) == ([], [])
    assert "none that a report asks" in warnings[0]


def without(name):
    return lambda item: item["properties"].pop(name)


@pytest.mark.parametrize(
    "change",
    [
        without("nunatak:shelf"), without("nunatak:summer"), without("proj:shape"),
        lambda item: item.pop("properties"), lambda item: item.update(properties=[]),
        lambda item: item.update(assets=[]), lambda item: item["assets"].pop("extent"),
        lambda item: item["properties"].update({"proj:transform": [30.0, 0.0]}),
        lambda item: item["properties"].update({"proj:transform": [float("nan")] * 6}),
        lambda item: item["properties"].update({"proj:shape": 7}),
        lambda item: item["properties"].update({"nunatak:summer": float("inf")}),
    ],
)  # fmt: skip
def test_a_release_that_is_not_as_its_items_say_is_a_warning(written, change):
    path = Path(written.output("shelf_damage")) / "release" / "Alder" / "2005" / "item.json"
    item = json.loads(path.read_text(encoding="utf-8"))
    change(item)
    path.write_text(json.dumps(item), encoding="utf-8")
    found = layers(outputs.open_outputs([written.output("shelf_damage")]), locate=place)
    assert found.layers == []
    assert "release is not as its items say" in found.warnings[0]


@pytest.mark.parametrize("held", ["[]", "7", '{"links": 7}', '{"links": ["x"]}', "{", "{}"])
def test_so_is_a_list_of_them_that_is_none(written, held):
    listed = Path(written.output("shelf_damage")) / "release" / "collection.json"
    listed.write_text(held, encoding="utf-8")
    found = layers(outputs.open_outputs([written.output("shelf_damage")]), locate=place)
    assert "release is not as its items say" in found.warnings[0]


@pytest.mark.parametrize("held", ["[]", "{", '{"attributes": 7}', "null"])
def test_a_plain_copy_that_is_none_is_a_warning(written, held):
    path = Path(written.output("gravimetry")) / "product.zarr" / "zarr.json"
    path.write_text(held, encoding="utf-8")
    found = layers(outputs.open_outputs([written.output("gravimetry")]), locate=place)
    assert found.layers == []
    assert "is no group's document" in found.warnings[0]


@pytest.mark.parametrize("name", ["nunatak:snapshot", "start_datetime", "end_datetime", "title"])
def test_an_item_that_lacks_a_property_still_has_its_map_or_words(written, name):
    folder = with_item(written, "gravimetry", lambda item: item["properties"].pop(name))
    scene, _, _ = documents(folder)
    assert len(scene["layers"]) == 2 or "run gravimetry again" in " ".join(scene["warnings"])
