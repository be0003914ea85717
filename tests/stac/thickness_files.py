"""Files of ice thickness in the true layouts of BedMachine and Bedmap, small."""

from pathlib import Path
from typing import Any

import numpy as np
from rasterio.transform import Affine

from tests.stac.field_files import NetcdfWriter, write_geotiff

SPACING = 500.0
X = -1.6e6 + SPACING * np.arange(6)
Y = -2.0e5 - SPACING * np.arange(5)
MASK = np.array(
    [
        [0, 0, 3, 3, 2, 2],
        [0, 3, 3, 2, 2, 2],
        [0, 3, 2, 2, 4, 4],
        [1, 2, 2, 2, 4, 4],
        [1, 1, 2, 2, 2, 2],
    ]
)
"""0 ocean, 1 rock, 2 grounded, 3 floating, 4 grounded above Lake Vostok."""
ICE = np.isin(MASK, (2, 3, 4))
THICKNESS = np.where(ICE, 900.0 + 40.0 * np.arange(30).reshape(5, 6), 0.0)
FIRN = np.where(ICE, 18.0, 0.0)
ERROR = 20 + 5 * np.arange(30).reshape(5, 6)
SOURCE = np.where(MASK == 3, 4, np.where(ICE, 2, 1))
MAPPING = {
    "grid_mapping_name": "polar_stereographic",
    "latitude_of_projection_origin": -90.0,
    "standard_parallel": -71.0,
    "straight_vertical_longitude_from_pole": 0.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
    "spatial_epsg": 3031,
}
SURFACE = np.where(MASK == 3, 0.1 * THICKNESS, np.where(ICE, THICKNESS - 600.0, 0.0))
BED = np.where(MASK == 3, SURFACE - THICKNESS - 150.0, np.where(ICE, -600.0, -700.0))
VERSIONS = {1: "05-Nov-2019 (v1.38)", 2: "15-Jul-2020 (v2.0)", 3: "03-Jun-2022 (v3.4)"}
NAMES = {
    1: "BedMachineAntarctica_2019-11-05_v01.nc",
    2: "BedMachineAntarctica_2020-07-15_v02.nc",
    3: "BedMachineAntarctica-v3.nc",
}


def write_bedmachine(
    folder: Path, version: int = 2, *, fill: float | None = -9999.0, **changed: Any
) -> Path:
    """Write BedMachine: packed types, y descending, ice-equivalent thickness with its firn air."""
    fields = {
        "mask": (MASK, "i1", None), "firn": (FIRN, "f4", "meters"),
        "surface": (SURFACE, "f4", "meters"), "thickness": (THICKNESS, "f4", "meters"),
        "bed": (BED, "f4", "meters"), "errbed": (ERROR, "i2", "meters"),
        "source": (SOURCE, "i1", None), "dataid": (np.full(MASK.shape, 2), "i1", None),
        "geoid": (np.full(MASK.shape, -25), "i2", "meters"),
    }  # fmt: skip
    writer = NetcdfWriter(folder / NAMES[version])
    writer.axes(X, Y, unit="meter", dtype="i4").mapping(MAPPING, "mapping")
    for name, (usual, dtype, unit) in fields.items():
        values = changed.get(name, usual)
        if values is None:
            continue
        own = None if dtype == "i1" else fill
        writer.field(name, values, dtype=dtype, fill=own, units=changed.get(f"{name}_unit", unit),
                     grid_mapping="mapping")  # fmt: skip
    told = {"title": "BedMachine Antarctica", "version": VERSIONS[version],
            "no_data": np.float64(-9999.0)}  # fmt: skip
    return writer.done(**{k: v for k, v in (told | changed.get("told", {})).items() if v != ""})


def write_bedmap3(folder: Path, **fields: np.ndarray) -> Path:
    """Write Bedmap3: physical thickness, its own codes of the mask, nothing over the ocean."""
    codes = np.select([MASK == 0, MASK == 1, MASK == 3], [-9999, 4, 3], 1)
    codes[0, 2] = 2
    layout = {
        "ice_thickness": np.where(ICE, THICKNESS + FIRN, -9999),
        "bed_topography": BED, "surface_topography": np.where(ICE, SURFACE + FIRN, -9999),
        "thickness_uncertainty": np.where(ICE, ERROR, -9999), "bed_uncertainty": ERROR,
        "mask": codes, "thickness_survey_count": np.zeros(MASK.shape),
    }  # fmt: skip
    writer = NetcdfWriter(folder / "bedmap3.nc").axes(X, Y).mapping(MAPPING)
    for name, values in (layout | fields).items():
        unit = None if name in {"mask", "thickness_survey_count"} else "m"
        writer.field(name, values, dtype="i2", fill=-9999, units=unit, grid_mapping="crs")
    return writer.done(title="BEDMAP3 - Ice thickness, bed and surface elevation for Antarctica")


def write_bedmap2(folder: Path, nodata: float | None = 32767) -> Path:
    """Write Bedmap2's GeoTIFF: whole metres, no name, no unit, nothing where there is no ice."""
    values = np.where(ICE, THICKNESS + FIRN, 32767)[None].astype(np.int16)
    place = Affine(SPACING, 0.0, X[0] - SPACING / 2, 0.0, -SPACING, Y[0] + SPACING / 2)
    return write_geotiff(folder / "bedmap2_thickness.tif", values, transform=place, nodata=nodata)
