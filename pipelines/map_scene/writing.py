"""The map that people open: a page, and documents that say where its arrays are.

The page reads ``product.zarr`` and the GeoTIFFs of the release itself, chunk by chunk and range by
range; what is written here is small: layers and legends, outlines, curves and numbers of regions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipelines.map_scene import curves, layering, outlines, palettes
from pipelines.report import material
from pipelines.report.folder import MAP
from pipelines.report.outputs import Output, ReportError

if TYPE_CHECKING:
    from pipelines.map_scene.curves import Curve, Number, Told
    from pipelines.map_scene.outlines import RegionSet
    from pipelines.map_scene.pieces import Extent, Layer

BUNDLE = ("index.html", "viewer.js", "viewer.css", "icon.svg", "LICENSES.txt")
"""Files of the page that come with the project, made by ``make viewer``."""

VERSION = 1
"""Of the documents: a page that was built for others says so."""

POLICY = "@connect@"
"""Where the page's Content-Security-Policy gets the places that products are read from."""

FIRST = ("AIS", "EAIS", "WAIS", "AP")
"""Groups that lists begin with."""


class BundleError(ReportError):
    """The files of the page, which come with the project, are not there."""


def write(outputs: Sequence[Output], to: str, *, locate: Callable[[Output], str]) -> None:
    """Write the map of finished products below ``to``.

    Parameters
    ----------
    outputs : sequence of Output
        What it shows.
    to : str
        Folder or bucket prefix of the page; the map goes to ``map/`` below it.
    locate : callable
        The URL of a product's folder: absolute, or relative to ``map/index.html``.
    """
    from cluster import object_store

    for name, data in files(outputs, locate=locate).items():
        object_store.write_bytes(object_store.join(to, MAP, name), data)


def files(outputs: Sequence[Output], *, locate: Callable[[Output], str]) -> dict[str, bytes]:
    """Return the files of the map by name, its page last, as :func:`write` writes them."""
    maps = layering.layers(outputs, locate=locate)
    sets, unreachable = outlines.region_sets(outputs)
    told = curves.told(outputs)
    warnings = [*_synthetic(outputs), *maps.warnings, *unreachable, *told.warnings]
    made = bundle([locate(output) for output in outputs])
    bounds = framed(layering.bounds(maps.layers), outlines.bounds(sets))
    made["scene.json"] = _json(scene(outputs, maps.layers, warnings, bounds=bounds, locate=locate))
    made["regions.geojson"] = _json(outlines.geojson(sets))
    made["curves.json"] = _json(numbers(told, sets))
    made["index.html"] = made.pop("index.html")
    return made


def _synthetic(outputs: Sequence[Output]) -> list[str]:
    """Return a warning where anything was made from what the demo draws."""
    if material.is_synthetic(outputs):
        return [
            "Synthetic observations of the demo: these maps tell nothing of the real Antarctica."
        ]
    return []


def bundle(places: Iterable[str]) -> dict[str, bytes]:
    """Return the files of the page; its policy admits the origins of ``places`` beside its own.

    Raises
    ------
    BundleError
        They were not built.
    """
    folder = resources.files("pipelines") / "viewer" / "dist"
    try:
        made = {name: (folder / name).read_bytes() for name in BUNDLE}
    except FileNotFoundError as error:
        msg = f"the page of the map is not built ({error}); run `make viewer`"
        raise BundleError(msg) from error
    page = made["index.html"].decode()
    made["index.html"] = page.replace(POLICY, " ".join(["'self'", *origins(places)])).encode()
    return made


def origins(places: Iterable[str]) -> list[str]:
    """Return the origins of absolute URLs, sorted.

    Examples
    --------
    >>> origins(["../a", "https://ice.example:8443/b?c", "https://ice.example:8443/d"])
    ['https://ice.example:8443']
    """
    parts = (urlsplit(place) for place in places)
    found = {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme and part.netloc}
    return sorted(found)


def scene(
    outputs: Sequence[Output],
    layers: Sequence[Layer],
    warnings: Sequence[str],
    *,
    bounds: Extent | None,
    locate: Callable[[Output], str],
) -> dict[str, Any]:
    """Return what the page reads first."""
    return {
        "version": VERSION,
        "crs": "EPSG:3031",
        "bounds": bounds,
        "places": layering.places(layers),
        "missing": _missing(),
        "ramps": palettes.ramps(),
        "nothing": palettes.NOTHING,
        "products": [_product(output, locate(output)) for output in outputs],
        "layers": [layer.document() for layer in layers],
        "warnings": list(warnings),
    }


def framed(drawn: Extent | None, regions: Extent | None) -> Extent | None:
    """Return what the map shows first: the regions and some sea, as far as there are maps.

    Examples
    --------
    >>> framed((-3e6, -3e6, 3e6, 3e6), (-2e6, -2.9e6, 1e6, 1e6))
    (-2250000.0, -3000000.0, 1250000.0, 1250000.0)
    """
    from pipelines.figures import maps

    if drawn is None or regions is None:
        return drawn or regions
    sea = 1e3 * maps.MARGIN_KM
    low = [max(a, b - sea) for a, b in zip(drawn[:2], regions[:2], strict=True)]
    high = [min(a, b + sea) for a, b in zip(drawn[2:], regions[2:], strict=True)]
    return low[0], low[1], high[0], high[1]


def _missing() -> str:
    from pipelines.figures import canvas

    return canvas.MISSING


def _product(output: Output, url: str) -> dict[str, Any]:
    of = output.item["properties"]
    return {
        "name": output.name,
        "product": output.product,
        "heading": layering.heading(output),
        "title": str(of.get("title", "")),
        "url": url,
        "period": [str(of.get(f"{end}_datetime", ""))[:10] for end in ("start", "end")],
        "created": str(of.get("created", "")),
    }


def numbers(told: Told, sets: Sequence[RegionSet]) -> dict[str, Any]:
    """Return curves and numbers by region, dates that curves share once."""
    names = _Names(sets)
    regions = {key: _region(**told) for key, told in names.known.items()}
    dates: dict[bytes, int] = {}
    times: list[list[float]] = []
    for curve in told.curves:
        packed = curve.t.tobytes()
        if packed not in dates:
            dates[packed] = len(times)
            times.append([round(float(t), 4) for t in curve.t])
        entry = _entry(regions, names, curve.region_set, curve.region)
        entry["curves"].append(_curve(curve, dates[packed]))
    for number in told.numbers:
        entry = _entry(regions, names, number.row.region_set, number.row.region)
        entry["numbers"].append(_number(number))
    ordered = dict(sorted(regions.items(), key=lambda item: _order(item[1])))
    return {
        "version": VERSION, "level": curves.LEVEL, "methods": methods(told),
        "times": times, "regions": ordered,
    }  # fmt: skip


class _Names:
    """The one id of a region, whatever letters a table writes it in."""

    def __init__(self, sets: Sequence[RegionSet]) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self._keys: dict[tuple[str, str], str] = {}
        for each in sets:
            for row in each.polygons.drop(columns="geometry").itertuples(index=False):
                key = f"{each.name}/{row.region}"
                self.known[key] = {
                    "of": each.name, "region": str(row.region),
                    "title": str(row.name), "group": str(row.group),
                }  # fmt: skip
                for word in (str(row.name), str(row.region)):
                    self._keys[each.name, word.casefold()] = key

    def key(self, region_set: str, region: str) -> str:
        """Return the id of a region of a table: that of its polygon where there is one."""
        return self._keys.get((region_set, region.casefold()), f"{region_set}/{region}")


def _entry(
    regions: dict[str, dict[str, Any]], names: _Names, region_set: str, region: str
) -> dict[str, Any]:
    """Return what is told of a region of a table, begun if nothing is yet."""
    key = names.key(region_set, region)
    return regions.setdefault(key, _region(of=region_set, region=region, title=region, group=""))


def _region(*, of: str, region: str, title: str, group: str) -> dict[str, Any]:
    return {
        "set": of, "region": region, "title": title, "group": group, "curves": [], "numbers": [],
    }  # fmt: skip


def _order(told: Mapping[str, Any]) -> tuple[str, int, float, str]:
    """Order regions: totals first, then ids as the numbers that they are, then names.

    >>> [_order({"set": "basins", "region": name})[1:] for name in ("7", "²", "Ross/Ronne")]
    [(1, 7.0, ''), (2, 0.0, '²'), (2, 0.0, 'Ross/Ronne')]
    """
    region_set, region = told["set"], told["region"]
    if region in FIRST:
        return region_set, 0, FIRST.index(region), ""
    if region.isdecimal():
        return region_set, 1, float(region), ""
    return region_set, 2, 0.0, region


def _curve(curve: Curve, times: int) -> dict[str, Any]:
    return {
        "method": curve.method,
        "unit": curve.unit,
        "kind": curve.kind,
        "times": times,
        "value": curves.rounded(curve.value),
        "sigma": curves.rounded(curve.sigma),
        "breaks": list(curve.breaks),
    }


def _number(number: Number) -> dict[str, Any]:
    row = number.row
    return {
        "of": number.of,
        "table": number.table,
        "method": number.method,
        "quantity": row.quantity,
        "value": _finite(row.value),
        "sigma": _finite(row.uncertainty),
        "unit": row.unit,
        "from": row.period_start.isoformat(),
        "to": row.period_end.isoformat(),
        "note": row.note,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def methods(told: Told) -> dict[str, dict[str, str]]:
    """Return the colour and the dashes of each method's curves, the same on every page."""
    from pipelines.figures import canvas

    own = {**canvas.SENSORS, "mass_budget": canvas.PURPLE, "shelf_damage": canvas.INK}
    others = (canvas.INK, "#d55e00", "#009e73", "#56b4e9", "#cc79a7", canvas.GREY)
    # Five dashes and six colours have no common divisor, so thirty methods differ.
    dashes = ("2 3", "8 3 2 3", "1 2 5 2", "10 4", "6 2 1 2 1 2")
    made: dict[str, dict[str, str]] = {}
    for n, name in enumerate(dict.fromkeys(curve.method for curve in told.curves)):
        free = others[n % len(others)]
        colour = own.get(name, free)
        made[name] = {"colour": colour, "dash": "" if name in own else dashes[n % len(dashes)]}
    return made


def _json(document: Any) -> bytes:
    """Return JSON that a browser reads: no NaN, nothing to spare."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return (text + "\n").encode()
