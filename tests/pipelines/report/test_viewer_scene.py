"""The documents of the map against the tiny products, whose every cell and row is known."""

import datetime as dt
import json
import math
from pathlib import Path
from urllib.parse import urljoin

import matplotlib as mpl
import numpy as np
import pytest
import zarr

from cluster import object_store
from pipelines import stored, tables
from pipelines.figures import canvas
from pipelines.map_scene import curves, pieces, writing
from pipelines.map_scene.layering import layers
from pipelines.map_scene.pieces import PieceError
from pipelines.report import outputs
from pipelines.report.outputs import ReportError
from tests.pipelines.report import viewer_products

BASIN, SHELF = f"{viewer_products.BASINS}/1", f"{viewer_products.SHELVES}/alder"


def place(output):
    return f"../../{output.name}"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return viewer_products.write(tmp_path_factory.mktemp("products"))


@pytest.fixture(scope="module")
def opened(written):
    return outputs.open_outputs(written.addresses)


@pytest.fixture(scope="module")
def page(written, opened):
    to = written.root / "page"
    writing.write(opened, str(to), locate=place)
    return to / "map"


def document(page, name):
    def refuse(word):
        raise AssertionError(word)

    # Browsers refuse NaN, which Python's reader would take.
    return json.loads((page / name).read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def scene(page):
    return document(page, "scene.json")


def layer_of(scene, name):
    return next(each for each in scene["layers"] if each["id"] == name)


def test_every_file_of_the_page_is_there_and_nothing_warns(page, scene):
    names = {"index.html", "viewer.js", "viewer.css", "icon.svg", "LICENSES.txt", "scene.json",
             "regions.geojson", "curves.json"}  # fmt: skip
    assert {path.name for path in page.iterdir()} == names
    assert scene["warnings"] == []
    assert writing.POLICY not in (page / "index.html").read_text(encoding="utf-8")


def test_layers_are_those_of_the_products(scene):
    assert [each["id"] for each in scene["layers"]] == [
        "gravimetry/mass_rate", "gravimetry/mass_rate_sigma",
        "altimetry/mass_rate", "altimetry/mass_rate_sigma",
        "mass_budget/speed", "mass_budget/speed_change",
        "shelf_damage/damage", "consistency/change",
    ]  # fmt: skip
    labels = {each["id"]: [step["label"] for step in each["steps"]] for each in scene["layers"]}
    assert labels["mass_budget/speed"] == list(viewer_products.YEARS)
    assert labels["mass_budget/speed_change"] == [
        "2012-2013 less 2011-2012", "2013-2014 less 2011-2012",
    ]  # fmt: skip
    assert labels["shelf_damage/damage"] == ["2005/06", "2006/07"]
    assert labels["consistency/change"] == ["2005/06 to 2006/07"]


def cell(written, piece, column, row):
    """Read a cell of the plain copy as the page does: rows counted from the north."""
    folder = next(
        written.root / name / "product.zarr"
        for name in ("gravimetry", "altimetry", "mass_budget", "consistency")
        if name == piece["of"]
    )
    array = zarr.open_group(str(folder), mode="r")[piece["path"]]
    at = piece["shape"][0] - 1 - row if piece["upward"] else row
    held = array[at, column] if piece["index"] is None else array[piece["index"], at, column]
    return float(held)


@pytest.mark.parametrize("product", ["gravimetry", "altimetry"])
def test_a_piece_leads_to_the_cell_whichever_way_rows_run(written, scene, product):
    layer = layer_of(scene, f"{product}/mass_rate")
    piece = layer["steps"][0]["pieces"][0]
    edge = viewer_products.EDGE
    assert piece["extent"] == [-edge, -edge, edge, edge]
    assert piece["upward"] is (product == "altimetry")
    for row, column in ((0, 9), (9, 0), (5, 2), (0, 0)):
        found = cell(written, piece | {"of": product}, column, row)
        expected = viewer_products.rate(row, column)
        assert found == expected or (math.isnan(found) and math.isnan(expected))
    assert layer["unit"] == "kg m-2 yr-1"
    assert layer["url"] == f"../../{product}"
    assert [each["path"] for each in layer["sigma"]] == ["mass_rate_sigma"]


def test_steps_of_the_speed_are_years_and_changes_name_both(written, scene):
    speeds = [step["pieces"][0] for step in layer_of(scene, "mass_budget/speed")["steps"]]
    assert [piece["index"] for piece in speeds] == [0, 1, 2]
    found = cell(written, speeds[2] | {"of": "mass_budget"}, 3, 4)
    assert found == viewer_products.speed(2, 4, 3)
    changes = [step["pieces"][0] for step in layer_of(scene, "mass_budget/speed_change")["steps"]]
    assert [(piece["index"], piece["minus"]) for piece in changes] == [(1, 0), (2, 0)]


def test_chunks_that_are_not_stored_are_named_and_no_others(written, scene):
    """Every chunk of the grid is either a file or named as absent."""
    for layer in scene["layers"]:
        if layer["kind"] != "zarr":
            continue
        store = written.root / layer["id"].split("/")[0] / "product.zarr"
        for step in layer["steps"]:
            for piece in step["pieces"]:
                told = json.loads((store / piece["path"] / "zarr.json").read_text("utf-8"))
                chunk = told["chunk_grid"]["configuration"]["chunk_shape"]
                counts = [math.ceil(n / c) for n, c in zip(told["shape"], chunk, strict=True)]
                for at in np.ndindex(*counts):
                    if len(at) == 3 and at[0] not in {piece["index"], piece["minus"]}:
                        continue
                    key = "/".join(map(str, ("c", *at)))
                    stored = (store / piece["path"] / key).is_file()
                    assert stored is (key not in piece["absent"]), (piece["path"], key)
    absent = layer_of(scene, "gravimetry/mass_rate")["steps"][0]["pieces"][0]["absent"]
    assert absent == ["c/0/0"]


def test_damage_is_where_its_maps_are(written, scene, page):
    import rasterio

    layer = layer_of(scene, "shelf_damage/damage")
    for step, year in zip(layer["steps"], viewer_products.SUMMERS, strict=True):
        (piece,) = step["pieces"]
        url = urljoin(f"{page}/index.html", f"{layer['url']}/{piece['path']}")
        with rasterio.open(url) as file:
            assert list(file.bounds) == piece["extent"]
            assert list(file.shape) == piece["shape"]
            assert int(file.read(1)[120, 10]) == viewer_products.damaged(year, 120, 10)
    assert {code["value"] for code in layer["codes"]} == {0, 1}
    assert layer["codes"][0]["words"] == "no damage"


def test_colours_are_those_of_the_pictures(scene):
    assert scene["missing"] == canvas.MISSING
    for name, called in (("rates", canvas.RATES), ("spreads", canvas.SPREADS)):
        text = scene["ramps"][name]
        for n in (0, 100, 255):
            shown = [255.0 * part for part in mpl.colormaps[called](n)[:3]]
            told = [int(text[6 * n + k : 6 * n + k + 2], 16) for k in (0, 2, 4)]
            # A step of eight bits either way: parts are cut or rounded to them.
            assert told == pytest.approx(shown, abs=1.0)
    middle = scene["ramps"]["rates"][6 * 127 : 6 * 129]
    assert all(int(middle[n : n + 2], 16) >= 0xF5 for n in range(0, 12, 2))  # white at zero


def test_one_quantity_has_one_scale_in_all_products(scene):
    rates = [each["scale"] for each in scene["layers"] if each["ramp"] == "rates"]
    spreads = [each["scale"] for each in scene["layers"] if each["ramp"] == "spreads"]
    assert len(rates) == len(spreads) == 2
    assert rates[0] == rates[1]
    assert rates[0]["low"] == -rates[0]["high"]
    # Of 84 rates the largest are 90.25 and 83.25, and 99.5 % lie below 88; all spreads of
    # altimetry are 12. Limits are of one digit.
    assert (rates[0]["high"], spreads[0]["low"], spreads[0]["high"]) == (90.0, 0.0, 20.0)
    assert spreads[0] == spreads[1]


def test_regions_are_polygons_in_metres_that_can_be_clicked(page):
    import shapely

    found = document(page, "regions.geojson")
    assert found["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::3031"
    by = {each["id"]: each for each in found["features"]}
    assert set(by) == {BASIN, f"{viewer_products.BASINS}/2", SHELF}
    shape = shapely.geometry.shape(by[BASIN]["geometry"])
    assert shape.equals(shapely.box(-1e6, -1e6, 0.0, 1e6))
    assert by[SHELF]["properties"]["shelf"]
    assert not by[BASIN]["properties"]["shelf"]


def test_numbers_are_the_rows_of_the_tables_to_the_last_digit(page):
    regions = document(page, "curves.json")["regions"]
    held = {
        (each["of"], each["quantity"]): (each["value"], each["sigma"], each["unit"])
        for each in regions[BASIN]["numbers"]
    }
    assert held == {
        ("gravimetry", "mass_rate"): (-41.26, 1.53, "Gt yr-1"),
        ("altimetry", "mass_rate"): (-38.0, 6.1, "Gt yr-1"),
        ("mass_budget", "mass_balance"): (-44.0, 7.25, "Gt yr-1"),
        ("mass_budget", "discharge"): (144.0, 5.0, "Gt yr-1"),
    }
    assert [key.rpartition("/")[2] for key in regions] == ["AIS", "1", "2", "alder"]
    assert {each["value"] for each in regions[SHELF]["numbers"]} == {0.2, 0.4}


def test_regions_are_named_as_their_tables_name_them_whatever_the_letters():
    days = dt.date(2012, 1, 1), dt.date(2012, 12, 31)
    rows = [
        tables.Row("gravimetry", "mass_rate", "a/b", name, *days, 1.0, 0.1, "Gt yr-1")
        for name in ("Ross/Ronne", "²", "10", "9")
    ]
    told = curves.Told(numbers=[curves.Number("one", "regions", "one", row) for row in rows])

    regions = writing.numbers(told, [])["regions"].values()

    assert [(each["set"], each["region"]) for each in regions] == [
        ("a/b", name) for name in ("9", "10", "Ross/Ronne", "²")
    ]


def test_curves_have_their_gaps_their_spreads_and_a_mean_of_zero(page):
    found = document(page, "curves.json")
    curves = {each["method"]: each for each in found["regions"][BASIN]["curves"]}
    assert set(curves) == {"gravimetry", "mass_budget", "altimetry"}
    months = curves["gravimetry"]
    t = np.array(found["times"][months["times"]])
    assert len(t) == len(viewer_products.months()) == 23
    # The fifth month, June 2011, is missing; its neighbours are the fourth and fifth points.
    assert months["breaks"] == [4]
    assert np.all(np.diff(t)[[0, 1, 2, 4, 5]] < 0.1)
    assert np.diff(t)[3] > 0.15
    values = np.array(months["value"])
    assert abs(values.mean()) < 1e-3  # five significant digits of some tens
    # -41.26 Gt/yr by months of a twelfth, in the text of the table; a month is not a twelfth quite.
    slope = (values[-1] - values[0]) / (22 / 12)
    assert slope == pytest.approx(-41.26, rel=1e-4)
    assert set(months["sigma"]) == {4.0}
    assert curves["mass_budget"]["value"] == [66.0, 22.0, -22.0, -66.0]
    assert curves["mass_budget"]["sigma"] == [0.0, 7.0, 14.0, 21.0]


def test_a_method_without_a_series_is_a_fan_of_its_rate(page):
    found = document(page, "curves.json")
    (fan,) = (each for each in found["regions"][BASIN]["curves"] if each["method"] == "altimetry")
    t = found["times"][fan["times"]]
    assert fan["kind"] == "rate"
    # -38 ± 6.1 Gt/yr over two years, from 2011-02-01 to 2013-01-31.
    assert t[2] - t[0] == pytest.approx(2.0, abs=0.01)
    assert fan["value"] == pytest.approx([38.0, 0.0, -38.0], rel=0.01)
    assert fan["sigma"] == pytest.approx([6.1, 0.0, 6.1], rel=0.01)


def test_a_catalogue_out_of_reach_is_a_warning_and_the_map_opens(tmp_path):
    written = viewer_products.write(tmp_path)
    (tmp_path / "catalogue").rename(tmp_path / "elsewhere")
    made = writing.files(outputs.open_outputs(written.addresses), locate=place)
    scene = json.loads(made["scene.json"])
    assert len(scene["warnings"]) == 2
    assert all("out of reach" in text for text in scene["warnings"])
    assert len(scene["layers"]) == 8
    # Where the shelf is, the map knows from its pictures.
    assert scene["places"] == {"alder": [1e6, 0.0, 1.021e6, 21e3]}
    assert json.loads(made["regions.geojson"])["features"] == []
    assert BASIN in json.loads(made["curves.json"])["regions"]


def test_a_copy_of_another_version_and_a_missing_one_are_warnings(tmp_path):
    written = viewer_products.write(tmp_path)
    root = tmp_path / "gravimetry" / "product.zarr" / "zarr.json"
    told = json.loads(root.read_text(encoding="utf-8"))
    told["attributes"]["nunatak:snapshot"] = "another"
    root.write_text(json.dumps(told), encoding="utf-8")
    (tmp_path / "altimetry" / "product.zarr" / "zarr.json").unlink()
    found = layers(outputs.open_outputs(written.addresses), locate=place)
    assert any("another version" in text for text in found.warnings)
    assert any("Altimetry: there is no" in text for text in found.warnings)
    assert {each.id.split("/")[0] for each in found.layers} == {
        "gravimetry", "mass_budget", "shelf_damage", "consistency",
    }  # fmt: skip


def test_an_array_beyond_a_pages_memory_is_left_out_with_words(opened, monkeypatch):
    monkeypatch.setattr(pieces, "MOST_CELLS", 99)
    found = layers(opened, locate=place)
    assert [each.id for each in found.layers] == ["shelf_damage/damage"]
    assert any("10 rows of 10 cells" in text for text in found.warnings)


def test_what_is_refused_is_not_read_and_years_are_read_one_by_one(written, monkeypatch):
    shapes = []
    read = stored.read

    def watched(group, name, at=...):
        found = read(group, name, at)
        if name == "speed":
            shapes.append(found.shape)
        return found

    monkeypatch.setattr(stored, "read", watched)
    budget = outputs.open_outputs([written.output("mass_budget")])
    (speeds, changes) = layers(budget, locate=place).layers
    assert shapes == [(viewer_products.ROWS, viewer_products.COLUMNS)] * 3
    # The fastest cells are of the last year, with 599 m/yr; changes end at 100 m/yr at the least.
    assert (speeds.scale.high, changes.scale.high) == (600.0, 100.0)
    shapes.clear()
    monkeypatch.setattr(pieces, "MOST_CELLS", 99)
    assert layers(budget, locate=place).layers == []
    assert shapes == []


def test_a_shelf_that_is_too_large_leaves_the_others(tmp_path, monkeypatch):
    def fill(group):
        for shelf, side in (("alder", 20), ("ronne", 30)):
            for pair in ("2005-2006", "2006-2007"):
                made = group.require_group(f"{shelf}/{pair}")
                centres = 30.0 * np.arange(side)
                viewer_products._axes(
                    made, names=("y_pixel", "x_pixel"), centres=(centres[::-1], centres)
                )
                codes = np.ones((side, side), np.uint8)
                viewer_products._put(made, "change", codes, ("y_pixel", "x_pixel"), fill=255)

    viewer_products._finish(tmp_path / "consistency", "consistency", None, fill, {})
    monkeypatch.setattr(pieces, "MOST_CELLS", 500)
    found = layers(outputs.open_outputs([str(tmp_path / "consistency")]), locate=place)
    (layer,) = found.layers
    assert [[piece.name for piece in step.pieces] for step in layer.steps] == [["alder"]] * 2
    (warning,) = found.warnings  # one, however many pairs of summers there are
    assert warning.startswith("Consistency: ronne is left out, for ronne/2005-2006/change has 30")


def test_lines_of_thirty_methods_differ():
    t = np.array([2011.0])
    names = ["gravimetry", "mass_budget", *(f"p{n}" for n in range(28))]
    found = writing.methods(curves.Told([
        curves.Curve("s", "r", name, "Gt", "series", t, t, t) for name in names
    ]))  # fmt: skip
    assert len({(each["colour"], each["dash"]) for each in found.values()}) == len(names)
    assert all(found[name]["dash"] for name in names[2:])


def test_the_page_of_the_map_is_its_last_file(opened):
    assert list(writing.files(opened[:1], locate=place))[-1] == "index.html"


@pytest.mark.parametrize("centres", [[0.0, 1.0, 3.0], [5.0], [2.0, 2.0], [0.0, math.nan, 2.0]])
def test_centres_that_are_not_evenly_spaced_are_refused(centres):
    with pytest.raises(PieceError, match="even spacing"):
        pieces.extent_of(np.array(centres), np.array([0.0, 1.0]))


@pytest.mark.parametrize("href", ["../../secret.tif", "/etc/passwd", "./..//x.tif"])
def test_a_release_that_leads_out_of_itself_is_not_shown(tmp_path, href):
    written = viewer_products.write(tmp_path)
    path = tmp_path / "shelf_damage" / "release" / "Alder" / "2005" / "item.json"
    item = json.loads(path.read_text(encoding="utf-8"))
    item["assets"]["extent"]["href"] = href
    path.write_text(json.dumps(item), encoding="utf-8")
    found = layers(outputs.open_outputs([written.output("shelf_damage")]), locate=place)
    assert found.layers == []
    assert "outside it" in found.warnings[0]


def test_a_table_that_is_none_is_a_warning_and_the_others_are_told(tmp_path):
    written = viewer_products.write(tmp_path)
    table = tmp_path / "altimetry" / "tables" / "regions.csv"
    table.write_text("not,a,table\n", encoding="utf-8")
    made = writing.files(outputs.open_outputs(written.addresses), locate=place)
    assert any("altimetry" in text for text in json.loads(made["scene.json"])["warnings"])
    numbers = json.loads(made["curves.json"])["regions"][BASIN]["numbers"]
    assert {each["of"] for each in numbers} == {"gravimetry", "mass_budget"}


def test_products_elsewhere_are_admitted_by_the_pages_policy_and_no_other_place():
    made = writing.bundle(["../a", "https://ice.example:8443/b", "https://two.example/c?d"])
    text = made["index.html"].decode()
    assert "connect-src 'self' https://ice.example:8443 https://two.example;" in text


def test_an_item_without_a_snapshot_is_refused_with_words(tmp_path):
    written = viewer_products.write(tmp_path)
    path = Path(written.output("gravimetry")) / "item.json"
    item = json.loads(path.read_text(encoding="utf-8"))
    item["properties"]["nunatak:snapshot"] = "V0000000000000000000"
    path.write_text(json.dumps(item), encoding="utf-8")
    (output,) = outputs.open_outputs([written.output("gravimetry")])
    with pytest.raises(ReportError, match="run gravimetry again"):
        output.open()
    found = layers([output], locate=place)
    assert found.layers == []
    assert any("run gravimetry again" in text for text in found.warnings)


@pytest.mark.services
def test_page_and_products_in_a_bucket_find_each_other(s3_environment, tmp_path):
    """Every address of the page, followed as a browser does, is an object of the bucket."""
    written = viewer_products.write(tmp_path)
    client = s3_environment.client()
    for name in viewer_products.WRITERS:
        folder = Path(written.output(name))
        for path in (each for each in folder.rglob("*") if each.is_file()):
            key = f"made/{name}/{path.relative_to(folder)}"
            client.put_object(Bucket=s3_environment.bucket, Key=key, Body=path.read_bytes())
    addresses = [s3_environment.url(f"made/{name}") for name in viewer_products.WRITERS]
    to = s3_environment.url("made/report")
    writing.write(outputs.open_outputs(addresses), to, locate=place)
    kinds = {"index.html": "text/html; charset=utf-8", "scene.json": "application/json"}
    for name, kind in kinds.items():
        head = client.head_object(Bucket=s3_environment.bucket, Key=f"made/report/map/{name}")
        assert head["ContentType"] == kind
    base = "made/report/map/index.html"
    scene = json.loads(object_store.read_bytes(f"{to}/map/scene.json"))
    assert scene["warnings"] == []
    for layer in scene["layers"]:
        for piece in (each for step in layer["steps"] for each in step["pieces"]):
            below = "" if layer["kind"] == "geotiff" else "product.zarr/"
            url = f"{layer['url']}/{below}{piece['path']}"
            names = [url] if layer["kind"] == "geotiff" else [f"{url}/zarr.json"]
            for name in names:
                key = urljoin(f"http://x/{base}", name).removeprefix("http://x/")
                assert client.head_object(Bucket=s3_environment.bucket, Key=key)["ContentLength"]
