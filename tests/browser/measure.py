"""How long the map takes: ``python -m tests.browser.measure http://127.0.0.1:8050/map/``.

Times are the page's own: from the start of loading until the first map is drawn, and from a click
until the frame with the basin's curves and numbers is shown. Each load has an empty cache.
"""

import argparse
import json
import statistics

from tests.browser.chromium import Browser

LOADS, CLICKS = 7, 12


def main() -> None:
    """Measure, and print a line for people and one of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    url = parser.parse_args().url
    browser = Browser()
    try:
        first = [load(browser, url) for _ in range(LOADS)]
        clicks = [click(browser, n) for n in range(CLICKS)]
    finally:
        browser.close()
    found = {"first_map_ms": told(first), "region_ms": told([ms for ms in clicks if ms])}
    for name, (middle, worst) in found.items():
        print(f"{name}: median {middle}, worst {worst}")
    print(json.dumps(found))


def told(times: list[float]) -> tuple[float, float]:
    return round(statistics.median(times)), round(max(times))


def load(browser: Browser, url: str) -> float:
    browser.open(url)
    return float(browser.get("performance.getEntriesByName('nunatak: first map')[0].duration"))


def click(browser: Browser, n: int) -> float | None:
    """Click one of many places around the middle; None where there is no basin."""
    box = browser.get(
        "(() => { const b = document.getElementById('map').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    before = browser.get("performance.getEntriesByName('nunatak: region').length")
    across, down = 0.3 + 0.1 * (n % 4), 0.35 + 0.1 * (n // 4)
    browser.call("mouse.click", box[0] + across * box[2], box[1] + down * box[3])
    browser.call("waitForTimeout", 500)
    times = browser.get("performance.getEntriesByName('nunatak: region').map(e => e.duration)")
    return float(times[-1]) if len(times) > before else None


if __name__ == "__main__":
    main()
