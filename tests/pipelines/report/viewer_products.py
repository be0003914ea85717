"""Tiny finished products whose every cell is known, for the map and its server.

Two basins of 1000 km a side meet at x = 0; the shelf Alder is a square of 21 km beside the east
one. A cell of the rates holds ``rate(row, column)``, rows counted from the north.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pystac
import zarr

from cluster.geozarr import export_geozarr
from cluster.zarr_sink import Repository
from pipelines.flows.shelf_damage_geotiff import CodesFile
from stac import ingest, publish

EDGE = 1_000_000.0
CELL = 200_000.0
ROWS, COLUMNS, CHUNK = 10, 10, 4
YEARS = ("2011-2012", "2012-2013", "2013-2014")
SHELF_WEST, SHELF_NORTH, PIXEL, PIXELS = 1_000_000.0, 21_000.0, 30.0, 700
SUMMERS = (2005, 2006)
BASINS, SHELVES = "test-basins", "test-shelves"
PERIOD = ("2011-02-01", "2013-01-31")

COLUMNS_OF_TABLES = (
    "product,quantity,region_set,region,period_start,period_end,value,uncertainty,unit,note"
)

IMBIE_COLUMNS = (
    "Participant Surname,Experiment Group (altimetry/gravimetry/mass budget),"
    "Drainage Region Set (Rignot/Zwally),Drainage Region ID,Drainage Region Area (km2),"
    "Drainage Region Area Observed (km2),Date (decimal years),Relative Mass Change (Gt),"
    "Relative Mass Change Uncertainty (Gt)"
)


def rate(row: int, column: int) -> float:
    """Return the rate of a cell, NaN in the block of the first chunk."""
    return float("nan") if row < CHUNK and column < CHUNK else 10.0 * row - 7.0 * column + 0.25


def speed(year: int, row: int, column: int) -> float:
    return 100.0 + 50.0 * row + column + 20.0 * year


def damaged(summer: int, row: int, column: int) -> int:
    """Return the code of a pixel: bands that grow by a fifth a summer; nothing at the right."""
    if column >= 600:
        return 255
    return int((row // 50) % 5 < summer - SUMMERS[0] + 1)


@dataclass(frozen=True)
class Products:
    """Where the products and their catalogue are."""

    root: Path

    def output(self, name: str) -> str:
        return str(self.root / name)

    @property
    def addresses(self) -> list[str]:
        return [self.output(name) for name in WRITERS]


def write(root: Path) -> Products:
    """Write all products below a folder."""
    polygons = _catalogue(root)
    for name, writer in WRITERS.items():
        writer(root / name, polygons)
    return Products(root)


def _square(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def _catalogue(root: Path) -> dict[str, pystac.Item]:
    """Catalogue the polygons; return their items by collection."""
    sea = SHELF_WEST + PIXEL * PIXELS
    basins = {"1": (-EDGE, -EDGE, 0.0, EDGE), "2": (0.0, -EDGE, EDGE, EDGE)}
    shelves = {"Alder": (SHELF_WEST, 0.0, sea, SHELF_NORTH)}
    found = {}
    for collection, kind, shapes in (
        (BASINS, "basins", basins), (SHELVES, "ice-shelves", shelves),
    ):  # fmt: skip
        features = [
            {"type": "Feature", "properties": {"NAME": name, "Regions": "East", "TYPE": "FL"}
             if kind == "ice-shelves" else {"id": name, "name": f"basin {name}", "group": "EAIS"},
             "geometry": {"type": "Polygon", "coordinates": _square(*ends)}}
            for name, ends in shapes.items()
        ]  # fmt: skip
        source = root / f"{collection}.geojson"
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3031"}}
        document = {"type": "FeatureCollection", "crs": crs, "features": features}
        source.write_text(json.dumps(document), encoding="utf-8")
        made = list(
            ingest.ingest(kind, [str(source)], catalogue=f"{root}/catalogue", collection=collection)
        )
        assert [each.state for each in made] == ["added"], [each.reason for each in made]
        path = next((root / "catalogue" / collection).glob("*/*.json"))
        found[collection] = pystac.Item.from_file(str(path))
    return found


def _finish(
    folder: Path, name: str, polygons: pystac.Item | None, fill, tables: dict[str, list[str]]
) -> None:
    """Write a product as a run does: versions, plain copy, tables, and the item last."""
    version = Repository.open(str(folder / "product.icechunk")).begin("a1")
    regions = "" if polygons is None else str(polygons.collection_id)

    def template(group: zarr.Group) -> None:
        group.attrs.update({"proj:code": "EPSG:3031", "nunatak:product": name})
        fill(group)

    version.initialise(template)
    version.publish()
    export_geozarr(version.group(), str(folder / "product.zarr"), snapshot=version.tip)
    for table, rows in tables.items():
        (folder / "tables").mkdir(exist_ok=True)
        path = folder / "tables" / f"{table}.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    for private in ("run.yaml", "receipts.jsonl"):
        (folder / private).write_text("not for others\n", encoding="utf-8")
    product = publish.Product(
        name=name, title=f"Test of {name}", run_id="a1", period=PERIOD,
        lineage=f"product: {name}\nregions: '{regions}'\n", footprint=_footprint(),
        properties={"snapshot": version.tip},
    )  # fmt: skip
    inputs = [] if polygons is None else [polygons]
    publish.publish(publish.product_item(str(folder), product, inputs=inputs), str(folder))


def _footprint() -> dict[str, object]:
    return {"type": "Polygon", "coordinates": _square(-180.0, -90.0, 180.0, -60.0)}


def _put(
    group: zarr.Group, name: str, values, dims, *, chunks=None, shards=None, fill=None, **attributes
) -> None:
    values = np.asarray(values)
    fill = np.nan if fill is None and values.dtype.kind == "f" else fill or 0
    made = group.create_array(
        name, shape=values.shape, chunks=chunks or values.shape, shards=shards, dtype=values.dtype,
        fill_value=fill, dimension_names=dims, attributes=attributes,
    )  # fmt: skip
    made[...] = values


def _axes(group: zarr.Group, *, upward: bool = False, names=("y", "x"), centres=None) -> None:
    if centres is None:
        across = -EDGE + CELL * (np.arange(COLUMNS) + 0.5)
        down = EDGE - CELL * (np.arange(ROWS) + 0.5)
        centres = (down[::-1] if upward else down, across)
    for name, values in zip(names, centres, strict=True):
        _put(group, name, values, (name,), units="m")


def _rates(sigma: float, *, upward: bool = False):
    def fill(group: zarr.Group) -> None:
        _axes(group, upward=upward)
        cells = np.array([[rate(row, column) for column in range(COLUMNS)] for row in range(ROWS)])
        shown = cells[::-1] if upward else cells
        unit = {"units": "kg m-2 yr-1"}
        _put(group, "mass_rate", shown, ("y", "x"), chunks=(CHUNK, CHUNK), **unit)
        _put(group, "mass_rate_sigma", np.full_like(cells, sigma), ("y", "x"), **unit)

    return fill


def _rate_rows(product: str, values: dict[str, tuple[float, float]]) -> list[str]:
    rows = [
        f"{product},mass_rate,{BASINS},{region},{PERIOD[0]},{PERIOD[1]},{value},{sigma},Gt yr-1,"
        for region, (value, sigma) in values.items()
    ]
    return [COLUMNS_OF_TABLES, *rows]


def months() -> list[tuple[str, str]]:
    """Return the months of the gravimetry: two years without the fifth month."""
    days = np.arange("2011-02", "2013-02", dtype="datetime64[M]")
    ends = [(str(m.astype("M8[D]")), str((m + 1).astype("M8[D]") - 1)) for m in days]
    return [end for n, end in enumerate(ends) if n != 4]


def gravimetry(folder: Path, polygons: dict[str, pystac.Item]) -> None:
    rates = {"1": (-41.26, 1.53), "2": (12.5, 0.86), "AIS": (-28.76, 2.2)}
    series = [
        f"gravimetry,mass_anomaly,{BASINS},{region},{start},{end},{value * n / 12},4.0,Gt,"
        for region, (value, _) in rates.items()
        for n, (start, end) in enumerate(months())
    ]
    tables = {"regions": _rate_rows("gravimetry", rates), "series": [COLUMNS_OF_TABLES, *series]}
    _finish(folder, "gravimetry", polygons[BASINS], _rates(1.5), tables)


def altimetry(folder: Path, polygons: dict[str, pystac.Item]) -> None:
    rates = {"1": (-38.0, 6.1), "2": (15.75, 3.3)}
    fill = _rates(12.0, upward=True)
    _finish(
        folder, "altimetry", polygons[BASINS], fill, {"regions": _rate_rows("altimetry", rates)}
    )


def mass_budget(folder: Path, polygons: dict[str, pystac.Item]) -> None:
    def fill(group: zarr.Group) -> None:
        _axes(group)
        cells = [
            [[speed(year, row, column) for column in range(COLUMNS)] for row in range(ROWS)]
            for year in range(len(YEARS))
        ]
        _put(group, "speed", np.array(cells, "f4"), ("year", "y", "x"), chunks=(1, 5, 5),
             shards=(1, ROWS, COLUMNS), units="m yr-1")  # fmt: skip
        _put(group, "year", np.arange(len(YEARS), dtype="i4"), ("year",),
             flag_values=[0, 1, 2], flag_meanings=" ".join(YEARS))  # fmt: skip

    rows = [
        f"mass_budget,{quantity},{BASINS},1,2011-07-01,2014-06-30,{value},{sigma},Gt yr-1,{note}"
        for quantity, value, sigma, note in (
            ("mass_balance", -44.0, 7.25, "epoch=mean"), ("discharge", 144.0, 5.0, "epoch=mean"),
            ("mass_balance", -40.0, 9.0, "epoch=2011-2012"),
        )
    ]  # fmt: skip
    imbie = [
        IMBIE_COLUMNS,
        *(f"x,Mass Budget,Zwally,1,1,1,{2011.5 + n},{-44.0 * n},{7.0 * n}" for n in range(4)),
    ]
    tables = {"regions": [COLUMNS_OF_TABLES, *rows], "imbie_dm": imbie}
    _finish(folder, "mass_budget", polygons[BASINS], fill, tables)


def shelf_damage(folder: Path, polygons: dict[str, pystac.Item]) -> None:
    rows = [
        f"shelf_damage,damage_fraction,{SHELVES},Alder,{year + 1}-01-20,{year + 1}-01-20,"
        f"{0.2 * (year - SUMMERS[0] + 1)},0.031,1,summer={year}"
        for year in SUMMERS
    ]
    _release(folder)
    tables = {"shelves": [COLUMNS_OF_TABLES, *rows]}
    _finish(folder, "shelf_damage", polygons[SHELVES], lambda _group: None, tables)


def _release(folder: Path) -> None:
    """Write maps and items as the release has them."""
    links = []
    transform = (PIXEL, 0.0, SHELF_WEST, 0.0, -PIXEL, SHELF_NORTH)
    for year in SUMMERS:
        place = folder / "release" / "Alder" / str(year)
        place.mkdir(parents=True)
        codes = np.array(
            [[damaged(year, row, column) for column in range(PIXELS)] for row in range(PIXELS)],
            np.uint8,
        )
        name = f"LC08_Alder_{year}_damage_map.tif"
        with CodesFile(place, codes.shape, transform, code="EPSG:3031", nodata=255) as file:
            file.write(codes, slice(0, PIXELS), slice(0, PIXELS))
            made = file.laid_out()
        (place / name).write_bytes(made)
        (place / "plain.tif").unlink()
        properties = {
            "nunatak:shelf": "Alder", "nunatak:summer": year, "nunatak:part": "shelf",
            "proj:shape": list(codes.shape), "proj:transform": list(transform),
        }  # fmt: skip
        item = {"properties": properties, "assets": {"extent": {"href": f"./{name}"}}}
        (place / "item.json").write_text(json.dumps(item), encoding="utf-8")
        links.append({"rel": "item", "href": f"./Alder/{year}/item.json"})
    listed = folder / "release" / "collection.json"
    listed.write_text(json.dumps({"links": links}), encoding="utf-8")


def consistency(folder: Path, _polygons: dict[str, pystac.Item]) -> None:
    def fill(group: zarr.Group) -> None:
        made = group.require_group("alder/2005-2006")
        x = SHELF_WEST + PIXEL * (np.arange(PIXELS) + 0.5)
        y = SHELF_NORTH - PIXEL * (np.arange(PIXELS) + 0.5)
        _axes(made, names=("y_pixel", "x_pixel"), centres=(y, x))
        codes = np.full((PIXELS, PIXELS), 255, np.uint8)
        codes[:300, :300] = 1
        codes[100:200, :300] = 4
        _put(made, "change", codes, ("y_pixel", "x_pixel"), chunks=(256, 256), fill=255)

    _finish(folder, "consistency", None, fill, {})


WRITERS = {
    "gravimetry": gravimetry, "altimetry": altimetry, "mass_budget": mass_budget,
    "shelf_damage": shelf_damage, "consistency": consistency,
}  # fmt: skip
