"""The map in a real Chromium: what a person sees is what the tables and the arrays hold."""

import csv
import json
import math
import threading
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from pipelines.map_scene import writing
from pipelines.report import outputs
from tests.browser.pages import AT, CLOSE, becomes, colour, middle, served
from tests.pipelines.report import viewer_products

pytestmark = pytest.mark.services

BASIN, SHELF = f"{viewer_products.BASINS}/1", f"{viewer_products.SHELVES}/alder"
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return viewer_products.write(tmp_path_factory.mktemp("products"))


@pytest.fixture(scope="module")
def address(written):
    """Serve the tiny products; yield the map's address."""
    with served(written) as url:
        yield url


@pytest.fixture(autouse=True)
def _without_a_word_in_the_console(browser, address):
    """Check after every test that nothing went wrong and nobody else was asked."""
    yield
    assert browser.errors == []
    hosts = {urlsplit(each["url"]).netloc for each in browser.requests}
    assert hosts <= {urlsplit(address).netloc, ""}  # data: and blob: have none
    assert {each["method"] for each in browser.requests} <= {"GET"}


def table_row(written, product, quantity, region):
    """Return value and uncertainty of a row, read as anybody reads CSV."""
    path = Path(written.output(product)) / "tables" / "regions.csv"
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["quantity"], row["region"]) == (quantity, region):
                return float(row["value"]), float(row["uncertainty"])
    raise AssertionError(path)


def said(value, sigma):
    """Return a number as the page should write it: both to the deviation's second digit."""
    step = Decimal(1).scaleb(math.floor(math.log10(sigma)) - 1)
    texts = [Decimal(each).quantize(step, ROUND_HALF_UP) for each in (abs(value), sigma)]
    sign = MINUS if value < 0 else ""
    return f"{sign}{texts[0]:,}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{texts[1]:,}"


def test_the_first_map_is_drawn_from_the_arrays(browser, address):
    browser.open(address)
    paths = [urlsplit(each["url"]).path for each in browser.requests]
    chunks = [p for p in paths if p.startswith("/products/gravimetry/product.zarr/mass_rate/c/")]
    # Three rows and columns of chunks less the one that is not stored, and nothing else is asked.
    assert len(chunks) == 8
    assert "/products/gravimetry/product.zarr/mass_rate/c/0/0" not in paths
    assert browser.get("performance.getEntriesByName('nunatak: first map').length") == 1
    assert browser.text("#legends").startswith("Gravimetry, rate of mass change [kg m⁻² yr⁻¹]")
    assert "not measured" in browser.text("#legends")


def test_colours_of_cells_are_those_of_matplotlib(browser, address, written):
    browser.open(f"{address}#at={AT}")
    scene = json.loads((written.root / "page" / "map" / "scene.json").read_text("utf-8"))
    limit = scene["layers"][0]["scale"]["high"]
    x, y = middle(browser)
    place = viewer_products.rate(6, 2) / limit / 2.0 + 0.5
    becomes(browser, (x + 6, y + 6), colour("RdBu", place))


def test_missing_cells_are_grey_and_say_so(browser, address):
    browser.open(f"{address}#at=-900000,900000,5000")
    place = middle(browser)
    browser.call("mouse.move", place[0] + 20, place[1] + 3)
    browser.wait("document.getElementById('value').innerText.includes('not measured')")
    becomes(browser, (place[0] + 20, place[1] + 9), [0xC9, 0xCE, 0xD3])


@pytest.mark.parametrize("product", ["gravimetry", "altimetry"])
def test_the_value_under_the_pointer_is_that_of_the_cell(browser, address, product):
    sigma = {"gravimetry": 1.5, "altimetry": 12.0}[product]
    browser.open(f"{address}#layer={product}/mass_rate&at={AT}")
    x, y = middle(browser)
    # 5 km a pixel: 40 pixels are a cell.
    for across, down in ((0, 0), (40, 0), (-40, 40), (80, -40)):
        browser.call("mouse.move", x + across, y + down)
        row, column = 6 + down // 40, 2 + across // 40
        expected = viewer_products.rate(row, column)
        browser.wait(f"document.querySelector('#value b')?.dataset.value === '{expected:g}'")
        words = f"{said(expected, sigma)} kg m⁻² yr⁻¹"
        assert words in browser.text("#value")


def test_a_click_chooses_the_basin_and_shows_the_rows_of_its_tables(browser, address, written):
    browser.open(f"{address}#at={AT}")
    browser.call("mouse.click", *middle(browser))
    browser.wait("document.getElementById('details-title').innerText === 'basin 1'")
    for product, quantity in (
        ("gravimetry", "mass_rate"), ("altimetry", "mass_rate"),
        ("mass_budget", "mass_balance"), ("mass_budget", "discharge"),
    ):  # fmt: skip
        cell = f"td[data-of='{product}'][data-quantity='{quantity}']"
        assert browser.text(cell) == said(*table_row(written, product, quantity, "1"))
    browser.wait("performance.getEntriesByName('nunatak: region').length === 1")
    assert browser.get("document.getElementById('region').value") == BASIN
    browser.wait("location.hash.includes('region=test-basins/1')")
    browser.wait("document.getElementById('said').innerText.includes('Gravimetry')")


def test_curves_leave_the_gap_open_and_have_bands(browser, address):
    browser.open(f"{address}#region={BASIN}")
    drawn = "document.querySelectorAll('g[data-method=\"{}\"] .{}').length"
    # One month is missing, so two runs and two bands; the others are whole.
    assert browser.get(drawn.format("gravimetry", "curve")) == 2
    assert browser.get(drawn.format("gravimetry", "band")) == 2
    for method in ("altimetry", "mass_budget"):
        assert browser.get(drawn.format(method, "curve")) == 1
        assert browser.get(drawn.format(method, "band")) == 1
    names = browser.text(".chart .names")
    assert all(word in names for word in ("gravimetry", "altimetry", "mass budget"))


def test_the_slider_of_years_shows_another_year(browser, address):
    browser.open(f"{address}#layer=mass_budget/speed&step=2011-2012&at={AT}")
    x, y = middle(browser)
    for year, label in enumerate(viewer_products.YEARS):
        browser.call("fill", "#left-step", str(year))
        browser.wait(f"document.body.dataset.left === 'mass_budget/speed {label}'")
        browser.call("mouse.move", x + 3 + year, y + 3)
        expected = viewer_products.speed(year, 6, 2)
        browser.wait(f"document.querySelector('#value b')?.dataset.value === '{expected:g}'")
        assert browser.text(".time output") == label
        spoken = browser.get("document.getElementById('left-step').getAttribute('aria-valuetext')")
        assert spoken == label


def test_summers_of_damage_are_read_by_ranges_and_zooming_asks_for_finer_tiles(browser, address):
    # 30 m a pixel: the window is 30 m · 500 wide; rows 100 to 149 are a band of damage in 2006.
    view = "1006000,17400,30"
    browser.open(f"{address}#layer=shelf_damage/damage&step=2005/06&at={view}")
    x, y = middle(browser)
    for n, summer in enumerate(viewer_products.SUMMERS):
        browser.call("fill", "#left-step", str(n))
        label = f"{summer}/{(summer + 1) % 100:02d}"
        browser.wait(f"document.body.dataset.left === 'shelf_damage/damage {label}'")
        for down in (0, 50):
            browser.call("mouse.move", x, y + down + n)
            row = round((viewer_products.SHELF_NORTH - 17400.0) / 30.0) + down + n
            code = viewer_products.damaged(summer, row, 200)
            browser.wait(f"document.querySelector('#value b')?.dataset.value === '{code}'")
            words = {0: "no damage", 1: "damage"}[code]
            assert browser.text("#value b") == words
    browser.call("mouse.move", x + 460, y)
    tiffs = [each for each in browser.requests if each["url"].endswith(".tif")]
    assert tiffs
    assert all(each["range"] for each in tiffs)


def test_swipe_shows_one_layer_on_each_side(browser, address):
    browser.open(
        f"{address}#layer=gravimetry/mass_rate&with=gravimetry/mass_rate_sigma&swipe=50&at={CLOSE}"
    )
    x, y = middle(browser)
    browser.wait("document.body.dataset.right.startsWith('gravimetry/mass_rate_sigma')")
    # The limits of the scales are 90 and 20, see the tests of the scene; the spread is 1.5.
    left = colour("RdBu", viewer_products.rate(6, 2) / 180.0 + 0.5)
    right = colour("BuPu", 1.5 / 20.0)
    becomes(browser, (x - 15, y + 60), left)
    becomes(browser, (x + 15, y + 60), right)
    browser.call("focus", "#swipe")
    browser.press(*["ArrowRight"] * 6)
    browser.wait("location.hash.includes('swipe=56')")
    becomes(browser, (x + 15, y + 60), left)
    grip = browser.get(
        "(() => { const b = document.querySelector('#divide i').getBoundingClientRect();"
        " return [b.left + 17, b.top + 17]; })()"
    )
    browser.call("mouse.move", *grip)
    browser.call("mouse.down")
    browser.call("mouse.move", x - 60, y)
    browser.call("mouse.up")
    becomes(browser, (x - 15, y + 60), right)
    browser.call("mouse.move", x - 3, y + 3)
    browser.wait("document.querySelectorAll('#value b').length === 2")


def test_the_whole_page_can_be_walked_with_keys_alone(browser, address):
    browser.open(f"{address}#at={AT}")
    reached = []
    for _ in range(30):
        browser.press("Tab")
        name = browser.get("document.activeElement.id || document.activeElement.className")
        outline = browser.get("getComputedStyle(document.activeElement).outlineStyle")
        reached.append(name)
        assert outline not in {"none", ""}, name
        if name == "region":
            break
    assert [each for each in reached if each in {"left-layer", "right-layer", "map", "region"}] == [
        "left-layer", "right-layer", "map", "region",
    ]  # fmt: skip
    browser.call("focus", "#map")
    browser.press("Enter")
    browser.wait("document.getElementById('details-title').innerText === 'basin 1'")
    expected = viewer_products.rate(6, 2)
    browser.wait(f"document.querySelector('#value b')?.dataset.value === '{expected:g}'")
    browser.wait("location.hash.includes('region=')")
    before = browser.get("location.hash")
    browser.press("ArrowRight")
    browser.wait(f"location.hash !== {json.dumps(before)}")
    browser.press("+")
    browser.call("focus", "#region")
    browser.press("Home", "ArrowDown")
    browser.wait("document.getElementById('details-title').innerText === 'AIS'")
    browser.call("selectOption", "#region", SHELF)
    browser.call("focus", "#zoom")
    browser.press("Enter")
    browser.wait(
        "Number(new URLSearchParams(location.hash.slice(1)).get('at').split(',')[2]) < 100"
    )


def test_a_link_brings_others_to_the_same_view(browser, address):
    link = (f"{address}#layer=mass_budget/speed&with=altimetry/mass_rate&step=2012-2013"
            f"&region={BASIN}&swipe=30&at={AT}")  # fmt: skip
    browser.open(link)
    assert browser.get("document.getElementById('left-layer').value") == "mass_budget/speed"
    assert browser.get("document.getElementById('right-layer').value") == "altimetry/mass_rate"
    assert browser.text("#details-title") == "basin 1"
    assert browser.get("document.body.dataset.left") == "mass_budget/speed 2012-2013"
    browser.get("(() => { location.hash = '#layer=altimetry/mass_rate_sigma'; })()")
    browser.wait("document.body.dataset.left.startsWith('altimetry/mass_rate_sigma')")
    browser.wait("document.body.dataset.right === ''")


@pytest.mark.parametrize(
    "hash_",
    ["#layer=none&with=nothing&step=9&region=constructor&at=a,b,c",
     "#region=__proto__&swipe=999", "#at=1e308,1e308,1e-300"],
)  # fmt: skip
def test_a_link_that_makes_no_sense_opens_the_map_all_the_same(browser, address, hash_):
    browser.open(f"{address}{hash_}")
    assert browser.text("#legends").startswith("Gravimetry")
    assert browser.text("#details-title") == "Region"


def test_it_fits_a_phone(browser, address):
    browser.open(f"{address}#region={BASIN}&with=altimetry/mass_rate&layer=mass_budget/speed",
                 viewport={"width": 375, "height": 740}, hasTouch=True, isMobile=True)  # fmt: skip
    assert browser.get("document.documentElement.scrollWidth") <= 375
    wide = browser.get("[...document.querySelectorAll('select, input, button, table, svg')]"
                       ".filter(e => e.getBoundingClientRect().right > 376).length")  # fmt: skip
    assert wide == 0
    box = browser.get("(() => { const b = document.getElementById('map').getBoundingClientRect();"
                      " return [b.width, b.height]; })()")  # fmt: skip
    assert box[0] >= 370
    assert box[1] >= 300


def test_motion_is_left_out_where_people_ask_for_that(browser, address):
    browser.open(f"{address}#at={AT}", reducedMotion="reduce")
    browser.wait("location.hash.includes('layer=')")
    before = browser.get("location.hash")
    browser.call("click", ".ol-zoom-in")
    browser.wait(f"location.hash !== {json.dumps(before)}")
    at = browser.get("new URLSearchParams(location.hash.slice(1)).get('at')").split(",")
    assert float(at[2]) == pytest.approx(2500.0, rel=0.01)  # at once, not on its way there


def test_a_picture_of_the_page_can_be_taken(browser, address, tmp_path):
    from matplotlib.image import imread

    path = tmp_path / "map.png"
    browser.open(f"{address}#region={BASIN}")
    browser.call("screenshot", {"path": str(path)})
    picture = imread(path)
    assert picture.shape[:2] == (720, 1280)
    # A page that failed is one colour; the map has more than its legend's.
    assert len(np.unique((picture[:, :, :3] * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 500


def test_without_a_catalogue_shelves_are_found_by_their_pictures(browser, tmp_path):
    written = viewer_products.write(tmp_path)
    (tmp_path / "catalogue").rename(tmp_path / "elsewhere")
    with served(written) as url:
        browser.open(url)
        assert "out of reach" in browser.text("#warnings")
        browser.call("selectOption", "#region", f"{viewer_products.SHELVES}/Alder")
        browser.call("click", "#zoom")
        at = "new URLSearchParams(location.hash.slice(1)).get('at')?.split(',')"
        browser.wait(f"Number({at}?.[2]) < 100")
        # The middle of a square of 21 km beside x = 1000 km.
        assert float(browser.get(at)[0]) == pytest.approx(1_010_500.0, abs=2000.0)
        assert browser.get("document.getElementById('zoom').disabled") is False
        browser.call("selectOption", "#region", f"{viewer_products.BASINS}/AIS")
        assert browser.get("document.getElementById('zoom').disabled") is True
        assert browser.errors == []
        browser.call("open")


def test_a_product_that_cannot_be_read_leaves_the_rest_of_the_page(browser, tmp_path):
    written = viewer_products.write(tmp_path)
    with served(written) as url:
        for chunk in Path(written.output("gravimetry")).glob("product.zarr/mass_rate/c/*/*"):
            chunk.write_bytes(b"not what it was")
        browser.open(f"{url}#region={BASIN}")
        assert "cannot be shown" in browser.text("#alert")
        assert browser.text("#details-title") == "basin 1"
        browser.call("selectOption", "#left-layer", "altimetry/mass_rate")
        browser.wait("document.getElementById('alert').hidden")
        assert browser.errors == []
        browser.call("open")


def test_words_out_of_files_are_words_and_never_markup(browser, tmp_path):
    written = viewer_products.write(tmp_path)
    path = Path(written.output("gravimetry")) / "item.json"
    item = json.loads(path.read_text(encoding="utf-8"))
    item["links"] = []  # so that a warning names the region set
    hostile = "<img src=x onerror=alert(1)>"
    run = f"product: gravimetry\nregions: '{hostile}'\n"
    item["properties"]["processing:lineage"] = run
    path.write_text(json.dumps(item), encoding="utf-8")
    table = Path(written.output("gravimetry")) / "tables" / "regions.csv"
    table.write_text(
        viewer_products.COLUMNS_OF_TABLES
        + f"\ngravimetry,mass_rate,{viewer_products.BASINS},{hostile},2011-02-01,2013-01-31,1,1,"
        f"{hostile},{hostile}\n",
        encoding="utf-8",
    )
    with served(written, "gravimetry") as url:
        browser.open(url)
        assert hostile in browser.text("#warnings")
        browser.call("selectOption", "#region", f"{viewer_products.BASINS}/{hostile}")
        assert browser.text("#details-title") == hostile
        assert hostile in browser.text("#told")
        assert browser.get("document.querySelectorAll('img').length") == 0
        assert browser.errors == []
        browser.call("open")


@contextmanager
def public_bucket(store, written, *, origin=None):
    """Put products where anybody may read them, pages of another origin too if one is named."""
    client, bucket = store.client(), store.bucket
    for name in viewer_products.WRITERS:
        folder = Path(written.output(name))
        for path in (each for each in folder.rglob("*") if each.is_file()):
            key = f"made/{name}/{path.relative_to(folder)}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    allowed = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"],
               "Resource": [f"arn:aws:s3:::{bucket}/*"]}  # fmt: skip
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    if origin:
        rule = {"AllowedMethods": ["GET"], "AllowedOrigins": [origin], "AllowedHeaders": ["Range"]}
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    try:
        yield [store.url(f"made/{name}") for name in viewer_products.WRITERS]
    finally:
        client.delete_bucket_policy(Bucket=bucket)
        if origin:
            client.delete_bucket_cors(Bucket=bucket)


def reads_arrays_and_pictures(browser, url):
    """Read a cell, then the damage: chunks and ranges."""
    browser.open(f"{url}#at={AT}")
    browser.call("mouse.move", *middle(browser))
    expected = viewer_products.rate(6, 2)
    browser.wait(f"document.querySelector('#value b')?.dataset.value === '{expected:g}'")
    browser.call("selectOption", "#left-layer", "shelf_damage/damage")
    browser.wait("document.body.dataset.left.startsWith('shelf_damage/damage')")
    assert any(each["range"] for each in browser.requests)


def test_a_page_in_a_bucket_shows_the_products_beside_it(browser, s3_environment, tmp_path):
    """No server of ours: page and arrays come from the same store."""
    with public_bucket(s3_environment, viewer_products.write(tmp_path)) as addresses:
        writing.write(
            outputs.open_outputs(addresses), s3_environment.url("made/report"),
            locate=lambda output: f"../../{output.name}",
        )  # fmt: skip
        base = f"{s3_environment.endpoint}/{s3_environment.bucket}"
        reads_arrays_and_pictures(browser, f"{base}/made/report/map/index.html")
        assert browser.errors == []
        browser.call("open")


def test_a_page_elsewhere_reads_a_bucket_that_admits_it(browser, s3_environment, tmp_path):
    """The page's own policy admits the store's origin, the store's rules that of the page."""
    page = tmp_path / "page"
    handler = partial(_Quiet, directory=str(page))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        origin = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        written = viewer_products.write(tmp_path)
        with public_bucket(s3_environment, written, origin=origin) as addresses:
            base = f"{s3_environment.endpoint}/{s3_environment.bucket}/made"
            writing.write(
                outputs.open_outputs(addresses), str(page),
                locate=lambda output: f"{base}/{output.name}",
            )  # fmt: skip
            reads_arrays_and_pictures(browser, f"{origin}/map/index.html")
            assert browser.errors == []
            browser.call("open")
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_page_opened_from_a_disk_says_what_to_do(browser, written, address):
    browser.call("open")
    browser.call("goto", f"file://{written.root}/page/map/index.html")
    browser.wait("!document.getElementById('alert').hidden")
    assert "nunatak serve" in browser.text("#alert")
    browser.call("open")
