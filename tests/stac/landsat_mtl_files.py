"""Small Landsat products: metadata in each encoding, and images where the metadata say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

GROUPS = dict[str, dict[str, str]]
CORNER = (733800.0, 494400.0)
SHAPE = (40, 50)


def level1_groups(
    *,
    platform: str = "LANDSAT_8",
    product: str = "LC08_L1GT_099120_20191129_20201016_02_T2",
    corner: tuple[float, float] = CORNER,
    shape: tuple[int, int] = SHAPE,
    sun_elevation: float = 20.5,
    mult: str = "2.0000E-05",
    add: str = "-0.100000",
) -> GROUPS:
    """Return a Collection 2 level-1 MTL: what the reader needs, and a few keys that it does not."""
    rows, columns = shape
    (x, y) = corner
    bands = range(1, 8)
    names = {f"FILE_NAME_BAND_{n}": f"{product}_B{n}.TIF" for n in bands}
    return {
        "PRODUCT_CONTENTS": {
            "ORIGIN": "Image courtesy of the U.S. Geological Survey",
            "LANDSAT_PRODUCT_ID": product,
            "PROCESSING_LEVEL": product.split("_")[1],
            "COLLECTION_NUMBER": "02",
            "COLLECTION_CATEGORY": product[-2:],
            **names,
            "FILE_NAME_QUALITY_L1_PIXEL": f"{product}_QA_PIXEL.TIF",
            "FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION": f"{product}_QA_RADSAT.TIF",
            "FILE_NAME_ANGLE_SOLAR_ZENITH_BAND_4": f"{product}_SZA.TIF",
        },
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": platform,
            "SENSOR_ID": "ETM" if platform == "LANDSAT_7" else "OLI_TIRS",
            "WRS_PATH": "099",
            "WRS_ROW": "120",
            "DATE_ACQUIRED": "2019-11-29",
            "SCENE_CENTER_TIME": "01:00:37.5764700Z",
            "CLOUD_COVER": "12.34",
            "SUN_AZIMUTH": "97.57722796",
            "SUN_ELEVATION": repr(sun_elevation),
            "EARTH_SUN_DISTANCE": "0.9865207",
        },
        "PROJECTION_ATTRIBUTES": {
            "MAP_PROJECTION": "PS",
            "DATUM": "WGS84",
            "VERTICAL_LON_FROM_POLE": "0.00000",
            "TRUE_SCALE_LAT": "-71.00000",
            "FALSE_EASTING": "0",
            "FALSE_NORTHING": "0",
            "GRID_CELL_SIZE_REFLECTIVE": "30.00",
            "REFLECTIVE_LINES": str(rows),
            "REFLECTIVE_SAMPLES": str(columns),
            "ORIENTATION": "NORTH_UP",
            "CORNER_UL_PROJECTION_X_PRODUCT": f"{x:.3f}",
            "CORNER_UL_PROJECTION_Y_PRODUCT": f"{y:.3f}",
            "CORNER_LR_PROJECTION_X_PRODUCT": f"{x + 30 * (columns - 1):.3f}",
            "CORNER_LR_PROJECTION_Y_PRODUCT": f"{y - 30 * (rows - 1):.3f}",
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {
            **{f"REFLECTANCE_MULT_BAND_{n}": mult for n in bands},
            **{f"REFLECTANCE_ADD_BAND_{n}": add for n in bands},
        },
    }


def as_json(groups: Mapping[str, Mapping[str, str]], root: str = "LANDSAT_METADATA_FILE") -> bytes:
    return json.dumps({root: groups}).encode()


def as_xml(groups: Mapping[str, Mapping[str, str]], root: str = "LANDSAT_METADATA_FILE") -> bytes:
    inner = "".join(
        f"<{group}>" + "".join(f"<{k}>{v}</{k}>\n" for k, v in keys.items()) + f"</{group}>\n"
        for group, keys in groups.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}</{root}>\n'.encode()


def as_text(groups: Mapping[str, Mapping[str, str]], root: str = "LANDSAT_METADATA_FILE") -> bytes:
    lines = [f"GROUP = {root}"]
    for group, keys in groups.items():
        lines.append(f"  GROUP = {group}")
        lines += [f"    {key} = {_quoted(value)}" for key, value in keys.items()]
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, f"END_GROUP = {root}", "END", ""]).encode()


def _quoted(value: str) -> str:
    return value if value.lstrip("-").replace(".", "").isdecimal() else f'"{value}"'


def collection_1_groups() -> GROUPS:
    """Return a Collection 1 level-1 MTL of Landsat 7: other groups, the same keys in most."""
    product = "LE07_L1TP_092084_20110809_20161206_01_T1"
    second = level1_groups(platform="LANDSAT_7", corner=(354900.0, -3723000.0))
    image, place = second["IMAGE_ATTRIBUTES"], second["PROJECTION_ATTRIBUTES"]
    of_image = ("SPACECRAFT_ID", "SENSOR_ID", "WRS_PATH", "WRS_ROW", "DATE_ACQUIRED",
                "SCENE_CENTER_TIME")  # fmt: skip
    of_place = ("REFLECTIVE_LINES", "REFLECTIVE_SAMPLES", *(k for k in place if "CORNER" in k))
    return {
        "METADATA_FILE_INFO": {"LANDSAT_PRODUCT_ID": product, "COLLECTION_NUMBER": "01"},
        "PRODUCT_METADATA": {
            "DATA_TYPE": "L1TP",
            "COLLECTION_CATEGORY": "T1",
            **{key: image[key] for key in of_image},
            **{key: place[key] for key in of_place},
            **{f"FILE_NAME_BAND_{n}": f"{product}_B{n}.TIF" for n in range(1, 8)},
            "FILE_NAME_BAND_QUALITY": f"{product}_BQA.TIF",
        },
        "IMAGE_ATTRIBUTES": {key: image[key] for key in ("SUN_AZIMUTH", "SUN_ELEVATION")},
        "RADIOMETRIC_RESCALING": second["LEVEL1_RADIOMETRIC_RESCALING"],
        "PROJECTION_PARAMETERS": {
            "MAP_PROJECTION": "UTM", "DATUM": "WGS84", "UTM_ZONE": "55",
            "GRID_CELL_SIZE_REFLECTIVE": "30.00", "ORIENTATION": "NORTH_UP",
        },
    }  # fmt: skip


ENCODERS = {".json": as_json, ".xml": as_xml, ".txt": as_text}


def write_scene(
    folder: Path, *, suffixes: tuple[str, ...] = (".json",), seed: int = 0, **changes: Any
) -> Path:
    """Write an MTL and seven bands, QA_PIXEL and QA_RADSAT; return the path of the first MTL."""
    groups = level1_groups(**changes)
    product = groups["PRODUCT_CONTENTS"]["LANDSAT_PRODUCT_ID"]
    places = groups["PROJECTION_ATTRIBUTES"]
    shape = int(places["REFLECTIVE_LINES"]), int(places["REFLECTIVE_SAMPLES"])
    west = float(places["CORNER_UL_PROJECTION_X_PRODUCT"]) - 15.0
    north = float(places["CORNER_UL_PROJECTION_Y_PRODUCT"]) + 15.0
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for end in (*(f"B{n}" for n in range(1, 8)), "QA_PIXEL", "QA_RADSAT"):
        counts = rng.integers(1, 60_000, shape, dtype=np.uint16)
        write_image(folder / f"{product}_{end}.TIF", counts, west=west, north=north)
    paths = [folder / f"{product}_MTL{suffix}" for suffix in suffixes]
    for path in paths:
        path.write_bytes(ENCODERS[path.suffix](groups))
    return paths[0]


def write_image(
    path: Path, counts: np.ndarray, *, west: float, north: float, code: int = 3031,
    spacing: float = 30.0, **layout: Any,
) -> None:  # fmt: skip
    with rasterio.open(
        path, "w", driver="GTiff", height=counts.shape[0], width=counts.shape[1], count=1,
        dtype=counts.dtype, crs=code, transform=Affine(spacing, 0, west, 0, -spacing, north),
        **layout,
    ) as file:  # fmt: skip
        file.write(counts, 1)
