"""Documents beside Landsat's images: the metadata file in its three encodings, and STAC items."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from xml.sax.saxutils import escape

import numpy as np

from pipelines.kernels import geodesy
from pipelines.worlds import landsat_sensors
from pipelines.worlds.landsat_granules import View
from pipelines.worlds.landsat_sensors import BANDS
from pipelines.worlds.landsat_sun import earth_sun_distance
from stac.pixel_grids import PixelGrid

Groups = dict[str, dict[str, str]]

DELAY = timedelta(days=12)
"""From the acquisition to the processing of a product."""
LEVEL, CATEGORY = "L1GT", "T2"
ORIGIN = "Synthetic scene of the Nunatak world; not an observation"
_BARE = re.compile(r"[+-]?\d+(\.\d+)?(E[+-]\d+)?|\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?")


@dataclass(frozen=True)
class Product:
    """A granule as a product of the archive.

    Attributes
    ----------
    view : View
        What was seen.
    grid : PixelGrid
        Of its files: here a part of the scene only.
    cloud_cover : float
        Part of its pixels that CFMask calls cloud [percent].
    """

    view: View
    grid: PixelGrid
    cloud_cover: float

    @property
    def processed(self) -> date:
        """When it was made."""
        return self.view.start.date() + DELAY

    @property
    def id(self) -> str:
        """Such as ``LC08_L1GT_099120_20191129_20191211_02_T2``."""
        view = self.view
        prefix = {"landsat-7": "LE07", "landsat-8": "LC08", "landsat-9": "LC09"}[view.platform]
        return (
            f"{prefix}_{LEVEL}_{view.path:03}{view.row:03}_{view.start:%Y%m%d}_"
            f"{self.processed:%Y%m%d}_02_{CATEGORY}"
        )

    @property
    def scene_id(self) -> str:
        """Such as ``LC80991202019333LGN00``."""
        view = self.view
        prefix = {"landsat-7": "LE7", "landsat-8": "LC8", "landsat-9": "LC9"}[view.platform]
        return f"{prefix}{view.path:03}{view.row:03}{view.start:%Y%j}NUN00"

    @property
    def files(self) -> dict[str, str]:
        """File names by the common names of images and documents."""
        numbers = landsat_sensors.BAND_NUMBERS[self.view.platform]
        images = {band: f"{self.id}_B{numbers[band]}.TIF" for band in BANDS}
        quality = {
            name: f"{self.id}_{name.upper()}.TIF" for name in ("qa_pixel", "qa_radsat", "sza")
        }
        documents = {f"mtl.{kind}": f"{self.id}_MTL.{kind}" for kind in ("json", "xml", "txt")}
        return {**images, **quality, **documents}


def metadata(product: Product) -> Groups:
    """Return the groups of the metadata file, Collection 2, level 1; all values as text.

    Corners are CENTRES of the corner pixels, as in the archive.
    """
    return {
        "PRODUCT_CONTENTS": _contents(product),
        "IMAGE_ATTRIBUTES": _image(product),
        "PROJECTION_ATTRIBUTES": _projection(product),
        "LEVEL1_PROCESSING_RECORD": _record(product),
        **_radiometry(product),
        "LEVEL1_PROJECTION_PARAMETERS": {
            **_POLAR, "GRID_CELL_SIZE_REFLECTIVE": "30.00", "ORIENTATION": "NORTH_UP",
            "RESAMPLING_OPTION": "CUBIC_CONVOLUTION",
        },
        **_gain_states(product),
    }  # fmt: skip


_POLAR = {
    "MAP_PROJECTION": "PS", "DATUM": "WGS84", "ELLIPSOID": "WGS84",
    "VERTICAL_LON_FROM_POLE": "0.00000", "TRUE_SCALE_LAT": "-71.00000", "FALSE_EASTING": "0",
    "FALSE_NORTHING": "0",
}  # fmt: skip


def _contents(product: Product) -> dict[str, str]:
    numbers = landsat_sensors.BAND_NUMBERS[product.view.platform]
    files, kind = product.files, "UINT8" if product.view.platform == "landsat-7" else "UINT16"
    return {
        "ORIGIN": ORIGIN,
        "LANDSAT_PRODUCT_ID": product.id,
        "PROCESSING_LEVEL": LEVEL,
        "COLLECTION_NUMBER": "02",
        "COLLECTION_CATEGORY": CATEGORY,
        "OUTPUT_FORMAT": "GEOTIFF",
        **{f"FILE_NAME_BAND_{numbers[band]}": files[band] for band in BANDS},
        "FILE_NAME_QUALITY_L1_PIXEL": files["qa_pixel"],
        "FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION": files["qa_radsat"],
        "FILE_NAME_ANGLE_SOLAR_ZENITH_BAND_4": files["sza"],
        "FILE_NAME_METADATA_ODL": files["mtl.txt"],
        "FILE_NAME_METADATA_XML": files["mtl.xml"],
        **{f"DATA_TYPE_BAND_{numbers[band]}": kind for band in BANDS},
        "DATA_TYPE_QUALITY_L1_PIXEL": "UINT16",
        "DATA_TYPE_QUALITY_L1_RADIOMETRIC_SATURATION": "UINT16",
        "DATA_TYPE_ANGLE_SOLAR_ZENITH_BAND_4": "INT16",
    }


def _image(product: Product) -> dict[str, str]:
    view = product.view
    state = {"SENSOR_MODE": "BUMPER", "SENSOR_MODE_SLC": "OFF" if view.slc_off else "ON"}
    return {
        "SPACECRAFT_ID": view.platform.upper().replace("-", "_"),
        "SENSOR_ID": landsat_sensors.SENSORS[view.platform],
        "WRS_TYPE": "2",
        "WRS_PATH": f"{view.path:03}",
        "WRS_ROW": f"{view.row:03}",
        "DATE_ACQUIRED": f"{view.start:%Y-%m-%d}",
        "SCENE_CENTER_TIME": f"{view.start:%H:%M:%S.%f}0Z",
        "STATION_ID": "NUN",
        "CLOUD_COVER": f"{product.cloud_cover:.2f}",
        "CLOUD_COVER_LAND": f"{product.cloud_cover:.2f}",
        "SUN_AZIMUTH": f"{view.sun_azimuth:.8f}",
        "SUN_ELEVATION": f"{view.sun_elevation:.8f}",
        "EARTH_SUN_DISTANCE": f"{earth_sun_distance(view.start):.7f}",
        **(state if view.platform == "landsat-7" else {"ROLL_ANGLE": "0.000"}),
    }


def _projection(product: Product) -> dict[str, str]:
    grid = product.grid
    half = grid.spacing / 2.0
    west, south, east, north = grid.bounds
    corners = {
        "UL": (west + half, north - half), "UR": (east - half, north - half),
        "LL": (west + half, south + half), "LR": (east - half, south + half),
    }  # fmt: skip
    places, angles = {}, {}
    for name, (x, y) in corners.items():
        latitude, longitude = geodesy.inverse_polar_stereographic(np.asarray(x), np.asarray(y))
        angles[f"CORNER_{name}_LAT_PRODUCT"] = f"{float(latitude):.5f}"
        angles[f"CORNER_{name}_LON_PRODUCT"] = f"{float(longitude):.5f}"
        places[f"CORNER_{name}_PROJECTION_X_PRODUCT"] = f"{x:.3f}"
        places[f"CORNER_{name}_PROJECTION_Y_PRODUCT"] = f"{y:.3f}"
    return {
        **_POLAR, "GRID_CELL_SIZE_REFLECTIVE": "30.00", "REFLECTIVE_LINES": str(grid.ny),
        "REFLECTIVE_SAMPLES": str(grid.nx), "ORIENTATION": "NORTH_UP", **angles, **places,
    }  # fmt: skip


def _record(product: Product) -> dict[str, str]:
    return {
        "ORIGIN": ORIGIN,
        "REQUEST_ID": "NUNATAK",
        "LANDSAT_SCENE_ID": product.scene_id,
        "LANDSAT_PRODUCT_ID": product.id,
        "PROCESSING_LEVEL": LEVEL,
        "COLLECTION_CATEGORY": CATEGORY,
        "OUTPUT_FORMAT": "GEOTIFF",
        "DATE_PRODUCT_GENERATED": f"{product.processed:%Y-%m-%d}T04:38:09Z",
        "PROCESSING_SOFTWARE_VERSION": "NUNATAK",
        "DATA_SOURCE_ELEVATION": "RAMP",
    }


def _radiometry(product: Product) -> Groups:
    """Return counts, radiance and reflectance: largest, smallest, and what a count is worth."""
    view = product.view
    numbers = landsat_sensors.BAND_NUMBERS[view.platform]
    top = landsat_sensors.full_scale(view.platform)
    gains = landsat_sensors.gains(
        view.platform, gain=view.gain, distance=earth_sun_distance(view.start)
    )
    limits: Groups = {"RADIANCE": {}, "REFLECTANCE": {}, "QUANTIZE_CAL": {}}
    factors: Groups = {name: {} for name in ("L_M", "L_A", "R_M", "R_A")}
    for band, gain in gains.items():
        number = numbers[band]
        for name, mult, add, digits in (
            ("RADIANCE", gain.radiance_mult, gain.radiance_add, 5),
            ("REFLECTANCE", gain.reflectance_mult, gain.reflectance_add, 6),
        ):
            limits[name][f"{name}_MAXIMUM_BAND_{number}"] = f"{top * mult + add:.{digits}f}"
            limits[name][f"{name}_MINIMUM_BAND_{number}"] = f"{mult + add:.{digits}f}"
        limits["QUANTIZE_CAL"][f"QUANTIZE_CAL_MAX_BAND_{number}"] = str(top)
        limits["QUANTIZE_CAL"][f"QUANTIZE_CAL_MIN_BAND_{number}"] = "1"
        factors["L_M"][f"RADIANCE_MULT_BAND_{number}"] = f"{gain.radiance_mult:.4E}"
        factors["L_A"][f"RADIANCE_ADD_BAND_{number}"] = f"{gain.radiance_add:.5f}"
        factors["R_M"][f"REFLECTANCE_MULT_BAND_{number}"] = f"{gain.reflectance_mult:.4E}"
        factors["R_A"][f"REFLECTANCE_ADD_BAND_{number}"] = f"{gain.reflectance_add:.6f}"
    return {
        "LEVEL1_MIN_MAX_RADIANCE": limits["RADIANCE"],
        "LEVEL1_MIN_MAX_REFLECTANCE": limits["REFLECTANCE"],
        "LEVEL1_MIN_MAX_PIXEL_VALUE": limits["QUANTIZE_CAL"],
        "LEVEL1_RADIOMETRIC_RESCALING": {
            key: value for part in factors.values() for key, value in part.items()
        },
    }


def _gain_states(product: Product) -> Groups:
    """Return the gains of Landsat 7's bands; others have none."""
    view = product.view
    if view.platform != "landsat-7":
        return {}
    numbers = landsat_sensors.BAND_NUMBERS[view.platform]
    return {"PRODUCT_PARAMETERS": {f"GAIN_BAND_{numbers[band]}": view.gain for band in BANDS}}


def as_json(groups: Groups) -> bytes:
    """Return the metadata file as JSON."""
    return json.dumps({"LANDSAT_METADATA_FILE": groups}).encode()


def as_text(groups: Groups) -> bytes:
    """Return the metadata file in its own language of groups; numbers and dates unquoted."""
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for name, group in groups.items():
        lines.append(f"  GROUP = {name}")
        lines += [
            f"    {key} = {value}" if _BARE.fullmatch(value) else f'    {key} = "{value}"'
            for key, value in group.items()
        ]
        lines.append(f"  END_GROUP = {name}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""]).encode()


def as_xml(groups: Groups) -> bytes:
    """Return the metadata file as XML."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<LANDSAT_METADATA_FILE>"]
    for name, group in groups.items():
        lines.append(f"  <{name}>")
        lines += [f"    <{key}>{escape(value)}</{key}>" for key, value in group.items()]
        lines.append(f"  </{name}>")
    return "\n".join([*lines, "</LANDSAT_METADATA_FILE>", ""]).encode()


def encodings(product: Product) -> Mapping[str, bytes]:
    """Return the metadata file's three encodings by the names of :attr:`Product.files`."""
    groups = metadata(product)
    return {"mtl.json": as_json(groups), "mtl.xml": as_xml(groups), "mtl.txt": as_text(groups)}
