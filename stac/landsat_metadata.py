"""What the metadata file of a Landsat product says: when, where, how bright a count is.

A level-2 file holds the coefficients of both levels. Which of them a count belongs to depends on
the image, so both are kept and named (`SceneMetadata.reflectance_mult` is of the file's own level).
Corners in the file are centres of pixels: in EPSG:3031 they are multiples of 30 m, so that the
edges lie at 30 k + 15 m.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import NoReturn

from stac.grids import POLAR
from stac.landsat_mtl import COLLECTION_2, Groups, MetadataError, groups
from stac.landsat_products import BAND_NUMBERS, BANDS, CATEGORIES

__all__ = ["BANDS", "MetadataError", "SceneMetadata", "band_numbers", "read"]

QUALITY_FILES = {
    "qa_pixel": ("FILE_NAME_QUALITY_L1_PIXEL", "FILE_NAME_BAND_QUALITY"),
    "qa_radsat": ("FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION",),
    "sza": ("FILE_NAME_ANGLE_SOLAR_ZENITH_BAND_4",),
}
SECOND = {
    "identity": "PRODUCT_CONTENTS", "product": "PRODUCT_CONTENTS", "image": "IMAGE_ATTRIBUTES",
    "sun": "IMAGE_ATTRIBUTES", "corners": "PROJECTION_ATTRIBUTES",
    "projection": "PROJECTION_ATTRIBUTES", "level1": "LEVEL1_RADIOMETRIC_RESCALING",
    "level2": "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS",
}  # fmt: skip
"""Groups of a Collection 2 file by what they say."""
FIRST = {
    "identity": "METADATA_FILE_INFO", "product": "PRODUCT_METADATA", "image": "PRODUCT_METADATA",
    "sun": "IMAGE_ATTRIBUTES", "corners": "PRODUCT_METADATA", "projection": "PROJECTION_PARAMETERS",
    "level1": "RADIOMETRIC_RESCALING", "level2": "",
}  # fmt: skip
"""The same of Collection 1, whose level 2 came without an MTL of its own."""
CORRECTIONS = {"L1TP": 1, "L1GT": 1, "L1GS": 1, "L2SP": 2, "L2SR": 2}
CORNER_TOLERANCE = 0.01
"""Of a pixel."""
MOST_PIXELS = 100_000
LAST_PATH, LAST_ROW = 233, 248
POLAR_PARAMETERS = {
    "VERTICAL_LON_FROM_POLE": 0.0, "TRUE_SCALE_LAT": -71.0, "FALSE_EASTING": 0.0,
    "FALSE_NORTHING": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class SceneMetadata:
    """One Landsat product as its MTL file describes it.

    Parameters
    ----------
    product_id : str
        ``LC08_L2SR_099120_20191129_20201016_02_T2``.
    platform : str
        ``landsat-7``, ``landsat-8`` or ``landsat-9``.
    sensor : str
        ``ETM``, ``OLI_TIRS``, ...
    level : int
        1 (top of atmosphere) or 2 (surface).
    correction : str
        Processing level as written: ``L1TP``, ``L1GT``, ``L1GS``, ``L2SP``, ``L2SR``.
    collection_number : int
        1 or 2.
    category : str
        ``T1``, ``T2`` or ``RT``.
    start : datetime
        Time of the scene's centre, UTC.
    path, row : int
        Of the Worldwide Reference System 2.
    sun_elevation, sun_azimuth : float
        At the scene's centre [°].
    earth_sun_distance : float
        [astronomical units]; NaN where the file has none.
    reflectance_mult, reflectance_add : mapping of str to float
        By common band name, of the file's own level: reflectance = mult × count + add [1]
        (level 1: before the division by the sine of the sun's elevation).
    level1_reflectance_mult, level1_reflectance_add : mapping of str to float
        The same for the level-1 product that this one was made from, or is.
    cloud_cover : float
        [%]; NaN where the file says -1 (unknown).
    code : str
        ``EPSG:3031``, or UTM of the northern row (``EPSG:326xx``), as the agency has it everywhere.
    corner : tuple of float
        Centre of the upper left pixel: x, y [m].
    spacing : float
        Pixel size [m].
    shape : tuple of int
        Rows, columns.
    files : mapping of str to str
        File name by asset name: the bands, ``qa_pixel``, ``qa_radsat``, ``sza``.
    """

    product_id: str
    platform: str
    sensor: str
    level: int
    correction: str
    collection_number: int
    category: str
    start: datetime
    path: int
    row: int
    sun_elevation: float
    sun_azimuth: float
    earth_sun_distance: float
    reflectance_mult: Mapping[str, float]
    reflectance_add: Mapping[str, float]
    level1_reflectance_mult: Mapping[str, float]
    level1_reflectance_add: Mapping[str, float]
    cloud_cover: float
    code: str
    corner: tuple[float, float]
    spacing: float
    shape: tuple[int, int]
    files: Mapping[str, str]

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine transform of ``proj:transform``: outer edges of the first column and row [m]."""
        half = self.spacing / 2.0
        west, north = self.corner[0] - half, self.corner[1] + half
        return self.spacing, 0.0, west, 0.0, -self.spacing, north


def read(data: bytes, *, name: str) -> SceneMetadata:
    """Read the MTL file of a Landsat 7, 8 or 9 product.

    Parameters
    ----------
    data : bytes
        JSON, XML or text, of Collection 1 or 2, level 1 or 2.
    name : str
        File name, for messages.

    Raises
    ------
    MetadataError
        If the file is no MTL, lacks what a scene needs, contradicts itself, or is of a scene that
        has no reflectance: the sun at or below the horizon.
    """
    root, found = groups(data, name=name)
    keys = _Keys(found, name, SECOND if root == COLLECTION_2 else FIRST)
    platform = _platform(keys)
    correction = _correction(keys)
    level = CORRECTIONS[correction]
    own, first = "level2" if level == 2 else "level1", "level1"
    return SceneMetadata(
        product_id=keys.text("identity", "LANDSAT_PRODUCT_ID"),
        platform=platform,
        sensor=keys.text("image", "SENSOR_ID"),
        level=level,
        correction=correction,
        collection_number=keys.whole("identity", "COLLECTION_NUMBER", 1, 2),
        category=keys.one_of("product", "COLLECTION_CATEGORY", CATEGORIES),
        start=_start(keys),
        path=keys.whole("image", "WRS_PATH", 1, LAST_PATH),
        row=keys.whole("image", "WRS_ROW", 1, LAST_ROW),
        sun_elevation=_sun_elevation(keys),
        sun_azimuth=keys.number("sun", "SUN_AZIMUTH"),
        earth_sun_distance=keys.number("sun", "EARTH_SUN_DISTANCE", absent=math.nan),
        reflectance_mult=_coefficients(keys, own, "MULT", platform),
        reflectance_add=_coefficients(keys, own, "ADD", platform),
        level1_reflectance_mult=_coefficients(keys, first, "MULT", platform),
        level1_reflectance_add=_coefficients(keys, first, "ADD", platform),
        cloud_cover=_cloud_cover(keys),
        code=_code(keys),
        corner=_corner(keys, "UL"),
        spacing=_spacing(keys),
        shape=_shape(keys),
        files=_files(keys, platform),
    )


def band_numbers(platform: str) -> Mapping[str, int]:
    """Return the band number of each common name, from 1, on a platform.

    >>> band_numbers("landsat-7")["red"], band_numbers("landsat-8")["red"]
    (3, 4)
    """
    return BAND_NUMBERS[platform]


@dataclass(frozen=True)
class _Keys:
    """Values of an MTL file, found in the groups where its collection keeps them."""

    found: Groups
    name: str
    places: Mapping[str, str]

    def find(self, place: str, key: str) -> str:
        """Return a value as written, empty if it is not there."""
        return self.found.get(self.places[place], {}).get(key, "")

    def text(self, place: str, key: str) -> str:
        value = self.find(place, key)
        if not value:
            msg = f"{self.name} has no {key} in {self.places[place]}; fetch the product again"
            raise MetadataError(msg)
        return value

    def number(self, place: str, key: str, *, absent: float | None = None) -> float:
        if absent is not None and not self.find(place, key):
            return absent
        text = self.text(place, key)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.refuse(key, text, "a finite number")
        return value

    def whole(self, place: str, key: str, low: int, high: int) -> int:
        value = self.number(place, key)
        if not value.is_integer() or not low <= value <= high:
            self.refuse(key, self.text(place, key), f"a whole number from {low} to {high}")
        return int(value)

    def one_of(self, place: str, key: str, choices: Iterable[str]) -> str:
        text = self.text(place, key)
        if text not in choices:
            self.refuse(key, text, f"one of {', '.join(choices)}")
        return text

    def refuse(self, key: str, found: str, expected: str) -> NoReturn:
        msg = f"{self.name}: {key} is {found[:60]!r}, expected {expected}; fetch the product again"
        raise MetadataError(msg)


def _platform(keys: _Keys) -> str:
    text = keys.text("image", "SPACECRAFT_ID")
    platform = text.lower().replace("_", "-")
    if platform not in BAND_NUMBERS:
        msg = f"{keys.name} is of {text[:60]!r}, expected {', '.join(BAND_NUMBERS)}"
        raise MetadataError(msg + "; leave it out")
    return platform


def _correction(keys: _Keys) -> str:
    if keys.places is FIRST:
        return keys.one_of("product", "DATA_TYPE", [c for c, n in CORRECTIONS.items() if n == 1])
    return keys.one_of("product", "PROCESSING_LEVEL", CORRECTIONS)


def _start(keys: _Keys) -> datetime:
    day, time = (keys.text("image", key) for key in ("DATE_ACQUIRED", "SCENE_CENTER_TIME"))
    try:
        return datetime.fromisoformat(f"{day}T{time.removesuffix('Z')}").replace(tzinfo=UTC)
    except ValueError:
        expected = "a date and a time like 2019-11-29 01:00:37.57Z"
        keys.refuse("DATE_ACQUIRED SCENE_CENTER_TIME", f"{day} {time}", expected)


def _sun_elevation(keys: _Keys) -> float:
    elevation = keys.number("sun", "SUN_ELEVATION")
    if not 0.0 < elevation <= 90.0:
        msg = (
            f"{keys.name}: SUN_ELEVATION is {elevation:g}°, expected 0 < elevation <= 90°: a scene "
            "without the sun has no reflectance; leave it out"
        )
        raise MetadataError(msg)
    return elevation


def _cloud_cover(keys: _Keys) -> float:
    cover = keys.number("sun", "CLOUD_COVER", absent=-1.0)
    return math.nan if cover < 0.0 else cover


def _coefficients(keys: _Keys, place: str, which: str, platform: str) -> dict[str, float]:
    return {
        band: keys.number(place, f"REFLECTANCE_{which}_BAND_{number}")
        for band, number in BAND_NUMBERS[platform].items()
    }


def _code(keys: _Keys) -> str:
    """Return the EPSG code of the map projection, if it is one of the two of the agency.

    UTM zones are those of the northern half also south of the equator, with negative northings.
    """
    datum, projection = (keys.text("projection", key) for key in ("DATUM", "MAP_PROJECTION"))
    if datum != "WGS84":
        keys.refuse("DATUM", datum, "WGS84")
    if projection == "UTM":
        return f"EPSG:{326_00 + keys.whole('projection', 'UTM_ZONE', 1, 60)}"
    if projection != "PS":
        keys.refuse("MAP_PROJECTION", projection, "PS (EPSG:3031) or UTM")
    for key, wanted in POLAR_PARAMETERS.items():
        if keys.number("projection", key) != wanted:
            expected = f"{wanted:g} as in {POLAR}"
            keys.refuse(key, keys.text("projection", key), expected)
    return POLAR


def _spacing(keys: _Keys) -> float:
    spacing = keys.number("projection", "GRID_CELL_SIZE_REFLECTIVE")
    if spacing <= 0.0:
        keys.refuse("GRID_CELL_SIZE_REFLECTIVE", f"{spacing:g}", "metres above 0")
    return spacing


def _corner(keys: _Keys, which: str) -> tuple[float, float]:
    x, y = (keys.number("corners", f"CORNER_{which}_PROJECTION_{axis}_PRODUCT") for axis in "XY")
    return x, y


def _shape(keys: _Keys) -> tuple[int, int]:
    """Return rows and columns, which must lead from the upper left to the lower right corner."""
    lines, samples = (
        keys.whole("corners", key, 1, MOST_PIXELS)
        for key in ("REFLECTIVE_LINES", "REFLECTIVE_SAMPLES")
    )
    keys.one_of("projection", "ORIENTATION", ("NORTH_UP",))
    (west, north), (east, south) = (_corner(keys, which) for which in ("UL", "LR"))
    spacing = _spacing(keys)
    told = (north - south) / spacing + 1.0, (east - west) / spacing + 1.0
    if max(abs(told[0] - lines), abs(told[1] - samples)) > CORNER_TOLERANCE:
        msg = (
            f"{keys.name}: corners are {told[0]:g} × {told[1]:g} pixels apart, but "
            f"REFLECTIVE_LINES × SAMPLES are {lines} × {samples}; fetch the product again"
        )
        raise MetadataError(msg)
    return lines, samples


def _files(keys: _Keys, platform: str) -> dict[str, str]:
    wanted = {
        **{band: (f"FILE_NAME_BAND_{n}",) for band, n in BAND_NUMBERS[platform].items()},
        **QUALITY_FILES,
    }
    found = {
        asset: next((name for key in names if (name := keys.find("product", key))), "")
        for asset, names in wanted.items()
    }
    for name in found.values():
        # The name is opened beside the file, so it must not lead elsewhere.
        if name and (PurePosixPath(name).name != name or "\\" in name or name.startswith(".")):
            keys.refuse("a FILE_NAME", name, "the bare name of a file")
    return {asset: name for asset, name in found.items() if name}
