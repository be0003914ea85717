"""What the page tells of a place, while layers and times change, chunks are late or broken."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipelines.map_scene import writing
from pipelines.report import outputs
from tests.browser.pages import AT, middle, served
from tests.pipelines.report import viewer_products

pytestmark = pytest.mark.services

BOX = "document.getElementById('value').innerText"
SAID = "document.getElementById('said').textContent"
VALUE = "document.querySelector('#value b')?.dataset.value"
CELL = viewer_products.rate(6, 2)

GATE = """(() => {
  const ask = window.fetch;
  const gate = new Promise((open) => { window.openTheGate = open; });
  window.fetch = async (url, ...more) => {
    if (String(url).includes(%s)) { window.waits = true; await gate; }
    return ask(url, ...more);
  };
})()"""
"""Makes requests of some path wait."""

COUNT = """(() => {
  window.changes = 0;
  const change = history.replaceState.bind(history);
  history.replaceState = (...given) => { window.changes += 1; return change(...given); };
})()"""


@pytest.fixture
def address(tmp_path):
    with served(viewer_products.write(tmp_path)) as url:
        yield url


@pytest.fixture(autouse=True)
def _without_a_word_in_the_console(browser, address):
    yield
    assert browser.errors == []
    browser.call("open")


def enter(browser):
    """Read the middle of the map by its key."""
    browser.call("focus", "#map")
    browser.press("Enter")


def test_the_box_tells_of_the_time_and_the_layer_that_the_map_shows(browser, address):
    browser.open(f"{address}#layer=mass_budget/speed&at={AT}")
    enter(browser)
    for key, year in (("", 2), ("Home", 0), ("ArrowRight", 1)):
        if key:
            browser.call("focus", "#left-step")
            browser.press(key)
        label = viewer_products.YEARS[year]
        browser.wait(f"document.body.dataset.left === 'mass_budget/speed {label}'")
        browser.wait(f"{VALUE} === '{viewer_products.speed(year, 6, 2):g}'")
        line = f"Mass budget, ice speed, {label}: {viewer_products.speed(year, 6, 2):.1f} m yr⁻¹"
        assert line in browser.get(BOX)
        browser.wait(f"{SAID}.includes({json.dumps(line)})")
    browser.call("selectOption", "#left-layer", "altimetry/mass_rate")
    browser.wait(f"{VALUE} === '{CELL:g}'")
    for told in (browser.get(BOX), browser.get(SAID)):
        assert "Altimetry, rate of mass change, 2011-02-01 to 2013-01-31: 46" in told
        assert "speed" not in told


def test_the_box_has_a_line_for_each_side_and_loses_it_with_the_side(browser, address):
    browser.open(f"{address}#layer=gravimetry/mass_rate&with=mass_budget/speed&at={AT}")
    enter(browser)
    lines = "document.querySelectorAll('#value b').length"
    browser.wait(f"{lines} === 2")
    browser.call("fill", "#right-step", "0")
    browser.wait(f"{BOX}.includes('ice speed, 2011-2012: 402.0')")
    assert "Gravimetry" in browser.get(BOX)
    browser.call("selectOption", "#right-layer", "")
    browser.wait(f"{lines} === 1")
    assert "speed" not in browser.get(BOX)


def test_an_answer_that_comes_late_is_not_told_of_another_layer(browser, address):
    browser.open(f"{address}#layer=gravimetry/mass_rate&at={AT}")
    browser.get(GATE % json.dumps("gravimetry/product.zarr/mass_rate_sigma"))
    enter(browser)  # asks for the deviation, which waits
    browser.wait("window.waits === true")
    browser.call("selectOption", "#left-layer", "mass_budget/speed")
    speed = f"{viewer_products.speed(2, 6, 2):.1f} m yr⁻¹"
    browser.wait(f"{BOX}.includes('ice speed, 2013-2014: {speed}')")
    browser.get("(() => { window.openTheGate(); })()")
    browser.call("waitForTimeout", 300)
    for told in (browser.get(BOX), browser.get(SAID)):
        assert f"ice speed, 2013-2014: {speed}" in told
        assert "rate" not in told


def test_while_a_layer_is_on_its_way_the_box_tells_of_the_one_that_is_shown(browser, address):
    browser.open(f"{address}#layer=mass_budget/speed&at={AT}")
    browser.get(GATE % json.dumps("altimetry/product.zarr/mass_rate/"))
    browser.call("selectOption", "#left-layer", "altimetry/mass_rate")
    browser.wait("window.waits === true")
    enter(browser)
    browser.wait(f"{BOX}.includes('ice speed, 2013-2014: 442.0 m yr⁻¹')")
    browser.get("(() => { window.openTheGate(); })()")
    browser.wait(f"{BOX}.includes('Altimetry, rate of mass change') && {VALUE} === '{CELL:g}'")


def test_what_cannot_be_read_is_said_and_no_older_value_stands(browser, address, tmp_path):
    browser.open(f"{address}#layer=mass_budget/speed&with=gravimetry/mass_rate&at={AT}")
    for chunk in (tmp_path / "gravimetry").glob("product.zarr/mass_rate_sigma/c/*/*"):
        chunk.write_bytes(b"not what it was")
    enter(browser)
    browser.wait(f"{BOX}.includes('to 2013-01-31: cannot be read')")
    assert "ice speed, 2013-2014: 442.0" in browser.get(BOX)  # the other side can
    browser.wait(f"{SAID}.includes('cannot be read')")


def test_a_drag_changes_the_address_a_few_times_and_ends_where_it_ended(browser, address):
    browser.open(f"{address}#layer=gravimetry/mass_rate&with=altimetry/mass_rate&at={AT}")
    browser.wait("document.body.dataset.right.startsWith('altimetry')")
    browser.get(COUNT)
    x, y = middle(browser)
    browser.call("mouse.move", x, y)
    browser.call("mouse.down")
    for across in range(60):
        browser.call("mouse.move", x + across, y)
    browser.call("mouse.up")
    end = browser.get("document.getElementById('swipe').value")
    assert int(end) > 55
    browser.wait(f"location.hash.includes('swipe={end}')")
    assert browser.get("window.changes") <= 4


def test_an_address_that_is_typed_is_not_written_over(browser, address):
    browser.open(f"{address}#layer=gravimetry/mass_rate&at={AT}")
    browser.wait("location.hash.includes('at=')")
    browser.get("(() => { document.getElementById('left-layer').value = 'mass_budget/speed';"
                " document.getElementById('left-layer').dispatchEvent(new Event('change'));"
                " location.hash = '#layer=altimetry/mass_rate'; })()")  # fmt: skip
    browser.wait("document.body.dataset.left.startsWith('altimetry/mass_rate')")
    browser.call("waitForTimeout", 700)
    assert browser.get("location.hash").startswith("#layer=altimetry/mass_rate")


class _WithoutRanges(SimpleHTTPRequestHandler):
    """A web server that sends whole files whatever range is asked for."""

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_sends_whole_files_for_ranges_is_understood(browser, tmp_path):
    written = viewer_products.Products(tmp_path)  # as the address has written them
    writing.write(
        outputs.open_outputs([written.output("mass_budget")]), str(tmp_path / "plain"),
        locate=lambda output: f"../../{output.name}",
    )  # fmt: skip
    handler = partial(_WithoutRanges, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/plain/map/index.html"
        browser.open(f"{url}#layer=mass_budget/speed&at={AT}")
        assert any(each["range"] for each in browser.requests)  # chunks of a shard
        enter(browser)
        browser.wait(f"{VALUE} === '{viewer_products.speed(2, 6, 2):g}'")
        assert browser.errors == []
        browser.call("open")
        server.shutdown()
