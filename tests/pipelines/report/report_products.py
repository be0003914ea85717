"""Finished products written by hand: every number, receipt and link is known."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from cluster.zarr_sink import Repository
from pipelines.tables import Row, write_rows
from stac import publish

PERIOD = (dt.date(2011, 2, 1), dt.date(2013, 1, 31))
REGIONS = "test-basins"
GRAVIMETRY = {"AIS": (-99.31, 4.1), "EAIS": (11.0, 9.0), "WAIS": (-110.4, 1.34), "22": (-46.5, 1.5)}
ALTIMETRY = {"AIS": (-118.74, 14.5), "WAIS": (-116.0, 12.0), "22": (-44.0, 3.0)}

Fill = Callable[[zarr.Group], None]


def row(
    product: str,
    quantity: str,
    region: str,
    value: float,
    sigma: float,
    *,
    unit: str = "Gt yr-1",
    note: str = "",
    period: tuple[dt.date, dt.date] = PERIOD,
    regions: str = REGIONS,
) -> Row:
    return Row(product, quantity, regions, region, *period, value, sigma, unit, note)


def rate_rows(product: str, rates: Mapping[str, tuple[float, float]], **more: Any) -> list[Row]:
    return [row(product, "mass_rate", name, *numbers, **more) for name, numbers in rates.items()]


def month_rows(product: str, regions: Sequence[str], *, lacking: Sequence[str] = ()) -> list[Row]:
    """Return two years of anomalies that fall by 8 Gt a month, without some months."""
    days = np.arange("2011-02", "2013-02", dtype="datetime64[M]")
    return [
        row(product, "mass_anomaly", region, -8.0 * n, 3.0, unit="Gt",
            period=(month.astype("M8[D]").item(), ((month + 1).astype("M8[D]") - 1).item()))
        for region in regions for n, month in enumerate(days) if str(month) not in lacking
    ]  # fmt: skip


def product(
    folder: Path,
    kind: str,
    tables: Mapping[str, Sequence[Row] | bytes],
    *,
    fill: Fill = lambda _group: None,
    receipts: Sequence[Mapping[str, Any]] = (),
    inputs: Mapping[str, Any] | None = None,
    links: Sequence[Mapping[str, Any]] = (),
    regions: str = REGIONS,
    attributes: Mapping[str, Any] | None = None,
    title: str = "",
) -> Path:
    """Write a product as a run does: versions, tables, receipts, and the item last."""
    version = Repository.open(str(folder / "product.icechunk")).begin("a1")

    def template(group: zarr.Group) -> None:
        group.attrs.update({"nunatak:product": kind, **(attributes or {})})
        fill(group)

    version.initialise(template)
    version.publish()
    for name, rows in tables.items():
        path = folder / "tables" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rows if isinstance(rows, bytes) else write_rows(rows))
    lines = [json.dumps({"state": "done", "reason": "", "note": "", **each}) for each in receipts]
    (folder / "receipts.jsonl").write_text("\n".join(lines))
    run = {"product": kind, "regions": regions, "inputs": dict(inputs or {})}
    (folder / "run.yaml").write_text(json.dumps(run))
    item = publish.product_item(
        str(folder),
        publish.Product(
            name=kind, title=title or f"Test of {kind}", run_id="a1",
            period=(PERIOD[0].isoformat(), PERIOD[1].isoformat()), lineage=json.dumps(run),
            footprint=footprint(), properties={"snapshot": version.tip, "seed": 7},
        ),
        inputs=[],
    )  # fmt: skip
    publish.publish(item, str(folder))
    change_item(folder, lambda held: held["links"].extend(dict(each) for each in links))
    return folder


def change_item(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the item of a product."""
    path = folder / "item.json"
    held = json.loads(path.read_text())
    change(held)
    path.write_text(json.dumps(held))


def footprint() -> dict[str, Any]:
    """Return a square around the pole, cut at 180°."""
    ring = [[-180, -75], [-90, -75], [0, -75], [90, -75], [180, -75], [180, -90], [-180, -90],
            [-180, -75]]  # fmt: skip
    return {"type": "Polygon", "coordinates": [ring]}


def put(group: zarr.Group, name: str, values: Any, dims: Sequence[str], **attributes: Any) -> None:
    held = np.asarray(values)
    made = group.create_array(name, shape=held.shape, dtype=held.dtype, chunks=held.shape,
                              dimension_names=list(dims), attributes=attributes)  # fmt: skip
    made[...] = held


def maps(group: zarr.Group) -> None:
    """Give a product maps of 12 by 10 cells."""
    x, y = 4e5 * (np.arange(12) - 5.5), 4e5 * (4.5 - np.arange(10))
    put(group, "x", x, ["x"])
    put(group, "y", y, ["y"])
    put(group, "mass_rate", np.outer(y, x) / 1e10, ["y", "x"])
    put(group, "mass_rate_sigma", np.full((10, 12), 3.0), ["y", "x"])


def gravimetry(root: Path, name: str = "gravimetry", **more: Any) -> Path:
    tables = {
        "regions": rate_rows("gravimetry", GRAVIMETRY),
        "series": month_rows("gravimetry", ["AIS", "WAIS"], lacking=["2011-06"]),
    }
    return product(root / name, "gravimetry", tables, fill=maps, **more)


def altimetry(root: Path, name: str = "altimetry", **more: Any) -> Path:
    tables = {"regions": rate_rows("altimetry", ALTIMETRY)}
    return product(root / name, "altimetry", tables, fill=maps, **more)


def damage(root: Path, name: str = "shelf_damage", **more: Any) -> Path:
    """Write a product of tables alone: two shelves, one that grew and one that may have."""
    rows = [
        row("shelf_damage", quantity, shelf, scale * value, scale * sigma, unit=unit,
            period=(dt.date(year + 1, 1, 20), dt.date(year + 1, 1, 20)),
            note=f"summer={year};covered=0.99", regions="test-shelves")
        for quantity, scale, unit in (("damage_fraction", 1.0, "1"), ("damage_area", 900.0, "km2"))
        for shelf, year, value, sigma in (
            ("Alder", 2005, 0.10, 0.01), ("Alder", 2006, 0.16, 0.02),
            ("Cedar", 2005, 0.05, 0.02), ("Cedar", 2006, 0.07, 0.02),
        )
    ]  # fmt: skip
    return product(root / name, "shelf_damage", {"shelves": rows}, regions="test-shelves", **more)
