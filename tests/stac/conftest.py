"""Small true-format sources, and catalogues made from them."""

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from stac.ingest import Ingested, ingest

GSM_HEADER = """header:
  dimensions:
    degree                :  {degree}
    order                 :  {degree}
  non-standard_attributes:
    product_id            : GSM-2
    normalization         : fully normalized
    permanent_tide_flag   : inclusive
    earth_gravity_param   :
      long_name           : gravitational constant times mass of Earth
      units               : m3/s2
      value               : 3.9860044150E+14
    mean_equator_radius   :
      long_name           : mean equator radius
      units               : meters
      value               : 6.3781363000E+06
  global_attributes:
    title                 : GRACE Geopotential Coefficients CSR RL06
    institution           : UT-AUSTIN/CSR
    platform              : GRACE-A, GRACE-B
    product_version       : RL06
    time_coverage_start   : {start}T00:00:00.00
    time_coverage_end     : {end}T00:00:00.00
    unused_days           : []
# End of YAML header
"""


def gsm_text(start: date, end: date, *, degree: int = 3, scale: float = 1.0) -> str:
    """Write a Level-2 month in the RL06 format; `end` is exclusive."""
    rows = []
    for order in range(degree + 1):
        for j in range(order, degree + 1):
            c = scale * 1e-6 / (j + 1) if j else 1.0
            s = scale * 2e-7 / (j + 1) if order else 0.0
            rows.append(
                f"GRCOF2 {j:4d} {order:4d} {c:.12E} {s:.12E} 0.1000E-12 0.1000E-12 "
                f"{start:%Y%m%d}.0000 {end:%Y%m%d}.0000 yynn"
            )
    header = GSM_HEADER.format(degree=degree, start=start, end=end)
    return header + "\n".join(rows) + "\n"


def write_month(folder: Path, year: int, month: int, *, scale: float = 1.0) -> Path:
    """Write one calendar month as the centres name and pack it."""
    start = date(year, month, 1)
    end = date(year + month // 12, month % 12 + 1, 1)
    last = end - timedelta(days=1)
    path = folder / f"GSM-2_{start:%Y%j}-{last:%Y%j}_GRAC_UTCSR_BB01_0600.gz"
    path.write_bytes(gzip.compress(gsm_text(start, end, scale=scale).encode(), mtime=0))
    return path


def square(longitude: float, latitude: float, *, half: float = 2.0) -> dict[str, Any]:
    """Return a GeoJSON polygon around a point."""
    west, east = longitude - half, longitude + half
    south, north = latitude - half, latitude + half
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def write_geojson(path: Path, regions: Mapping[str, Mapping[str, Any]], **more: Any) -> Path:
    """Write polygons with a column ``id``."""
    features = [
        {"type": "Feature", "properties": {"id": region, **more}, "geometry": geometry}
        for region, geometry in regions.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture
def months(tmp_path: Path) -> Path:
    """Return a folder with January to May 2011 as Level-2 files."""
    folder = tmp_path / "months"
    folder.mkdir()
    for month in range(1, 6):
        write_month(folder, 2011, month, scale=float(month))
    return folder


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    """Return a folder with three files of regions: at 45° E, at 100° W, and across 180°."""
    folder = tmp_path / "regions"
    folder.mkdir()
    write_geojson(folder / "enderby.geojson", {"E": square(45.0, -72.0)})
    write_geojson(folder / "amundsen.geojson", {"A": square(-100.0, -76.0)})
    both = {"R1": square(177.0, -80.0), "R2": square(-177.0, -80.0)}
    write_geojson(folder / "ross.geojson", both)
    return folder


Fill = Callable[[str], list[Ingested]]


@pytest.fixture
def fill(months: Path, regions: Path) -> Fill:
    """Return a function that ingests the months and the regions into a catalogue."""

    def run(url: str) -> list[Ingested]:
        fields = ingest("grace-l2", [str(months)], catalogue=url, collection="fields")
        shapes = ingest("basins", [str(regions)], catalogue=url, collection="regions")
        return [*fields, *shapes]

    return run


@pytest.fixture
def catalogue(tmp_path: Path, fill: Fill) -> Path:
    """Return a catalogue of five months and three files of regions."""
    folder = tmp_path / "catalogue"
    assert [done.state for done in fill(str(folder))] == ["added"] * 8
    return folder
