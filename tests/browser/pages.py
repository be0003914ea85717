"""The page of tiny products, served, and what a person sees of it."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager

from pipelines.map_scene import writing
from pipelines.page_server import running
from pipelines.report import outputs

AT = "-500000,-300000,5000"
"""The middle of a view whose cell is row 6, column 2, in basin 1."""

CLOSE = "-500000,-300000,1000"
"""The same place so near that the cell fills 200 pixels."""


@contextmanager
def served(written, *names):
    """Serve products with their page; yield the map's address."""
    page = written.root / "page"
    addresses = [written.output(name) for name in names] or written.addresses
    found = running.names(outputs.open_outputs(addresses))
    writing.write(tuple(found.values()), str(page), locate=running.locate(found))
    with (
        running.bound("127.0.0.1", 0) as made,
        running.serving(running.site(str(page), found), made) as url,
    ):
        yield f"{url}map/"


def colour(ramp, place):
    """Return what matplotlib paints at a place of a ramp."""
    import matplotlib as mpl

    return [int(part) for part in mpl.colormaps[ramp](place, bytes=True)[:3]]


def middle(browser):
    """Return the middle of the map in pixels of the window."""
    box = browser.get("(() => { const b = document.getElementById('map').getBoundingClientRect();"
                      " return [b.left, b.top, b.width, b.height]; })()")  # fmt: skip
    return box[0] + box[2] / 2.0, box[1] + box[3] / 2.0


def pixel(browser, x, y):
    """Return the colour that a person sees at a place of the window."""
    from matplotlib.image import imread

    place = {"x": x, "y": y, "width": 1, "height": 1}
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        browser.call("screenshot", {"path": file.name, "clip": place})
        return [round(255.0 * float(part)) for part in imread(file.name)[0, 0, :3]]


def becomes(browser, place, colour):
    """Wait until a place of the window has a colour, within a step of eight bits or two."""
    for _ in range(100):
        found = pixel(browser, *place)
        if max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 2:
            return
    raise AssertionError((found, colour))
