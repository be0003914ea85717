"""Names, folders and codes of the released maps (Tang et al., 2026, section 4).

::

    [Ice_Shelf_Name]/[YYYY]/[Sensor]_[Ice_Shelf_Name]_[YYYY](_slc_off_DiffGF)_damage_map.tif
    [Ice_Shelf_Name]/[YYYY]/[Sensor]_[Ice_Shelf_Name]_[YYYY](_slc_off_DiffGF)_damage.tif

The first is the map within the effective extent, 0 background, 1 damage, 255 nothing (outside, or
not known); the second covers the whole region, 0 background and 255 damage. A sub-region such as
``Amery_front`` has a name, and so a folder, of its own.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

CODES = NDArray[np.uint8]
BOOL = NDArray[np.bool_]

Product = Literal["extent", "region"]

SENSORS = ("LE07", "LC08", "LC09")
"""Landsat 7, 8 and 9, in the order in which they stand in a name."""
FOREIGN_SENSORS = ("MODIS", "ASTER", "S1", "S2", "OTHER")
"""Sensors that the paper has not, after its own in a name; what has no name here is `OTHER`."""
RESTORERS = ("DiffGF", "Nunatak")
"""Restorations of SLC-off scenes: the paper's, and ours, whose weights are in the metadata."""
FIRST_YEAR = 1999
"""The first summer of Landsat 7; other sensors may be older."""
FIRST_SLC_OFF_YEAR = 2003
"""The scan line corrector failed on 31 May 2003, before the summer of 2003/04."""
ENDINGS = {"extent": "_damage_map.tif", "region": "_damage.tif"}

BACKGROUND, DAMAGE, NODATA, REGION_DAMAGE = np.uint8(0), np.uint8(1), np.uint8(255), np.uint8(255)

_SENSOR = rf"(?:[A-Z]{{2}}\d{{2}}|{'|'.join(FOREIGN_SENSORS)})"
_SHELF = r"[A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*"
_NAME = re.compile(
    rf"(?P<sensors>{_SENSOR}(?:_{_SENSOR})*)_"
    rf"(?P<shelf>{_SHELF})_(?P<year>\d{{4}})"
    r"(?:_slc_off_(?P<restorer>[A-Za-z0-9]+))?(?P<ending>_damage(?:_map)?\.tif)"
)


class ReleaseNameError(ValueError):
    """A name or a map that the release has no place for."""


@dataclass(frozen=True, order=True)
class ReleaseName:
    """What the name of a released file says.

    Attributes
    ----------
    shelf : str
        Name with underscores, ``Pine_Island``; of a sub-region see :func:`sub_region`.
    year : int
        Of the November in which the summer begins.
    sensors : tuple of str
        Those whose scenes the map was made from, in the order of :data:`SENSORS` and
        :data:`FOREIGN_SENSORS`.
    product : {"extent", "region"}
        Within the effective extent, or the whole region.
    restorer : str or None
        What restored the SLC-off scenes among them; None where there are none.
    """

    shelf: str
    year: int
    sensors: tuple[str, ...]
    product: Product
    restorer: str | None = None

    def __post_init__(self) -> None:
        _check_shelf(self.shelf)
        known = (*SENSORS, *FOREIGN_SENSORS)
        ordered = tuple(sensor for sensor in known if sensor in self.sensors)
        if not self.sensors or self.sensors != ordered:
            msg = f"found the sensors {self.sensors}, expected some of {known}, in this order"
            raise ReleaseNameError(msg)
        if self.product not in get_args(Product):
            msg = f"found the product {self.product!r}, expected one of {get_args(Product)}"
            raise ReleaseNameError(msg)
        first = FIRST_YEAR if set(self.sensors) & set(SENSORS) else 1000
        if not first <= self.year <= 9999:
            msg = f"found the year {self.year}, expected {first} or later, in four digits"
            raise ReleaseNameError(msg)
        if self.restorer is not None:
            self._check_restorer(self.restorer)

    def _check_restorer(self, restorer: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9]+", restorer):
            msg = f"found the restorer {restorer!r}, expected letters and digits, as in DiffGF"
            raise ReleaseNameError(msg)
        if SENSORS[0] not in self.sensors or self.year < FIRST_SLC_OFF_YEAR:
            msg = (
                f"found restored SLC-off scenes of {', '.join(self.sensors)} in {self.year}, "
                f"expected {SENSORS[0]} among them and {FIRST_SLC_OFF_YEAR} or later; before that "
                "summer, and on other satellites, no scene has such gaps"
            )
            raise ReleaseNameError(msg)

    @property
    def file(self) -> str:
        """The name of the file.

        >>> ReleaseName("Amery", 2004, ("LE07",), "region", "DiffGF").file
        'LE07_Amery_2004_slc_off_DiffGF_damage.tif'
        """
        restored = f"_slc_off_{self.restorer}" if self.restorer else ""
        stem = "_".join((*self.sensors, self.shelf, f"{self.year}"))
        return f"{stem}{restored}{ENDINGS[self.product]}"

    @property
    def path(self) -> str:
        """Folders and file, with slashes, below the root of the release.

        >>> ReleaseName("Pine_Island", 2021, ("LC08", "LC09"), "extent").path
        'Pine_Island/2021/LC08_LC09_Pine_Island_2021_damage_map.tif'
        """
        return f"{self.shelf}/{self.year}/{self.file}"


def _check_shelf(shelf: str) -> None:
    sensors = re.compile(_SENSOR)
    misread = any(sensors.fullmatch(word) for word in shelf.split("_")) or "_slc_off" in shelf
    if misread or not re.fullmatch(_SHELF, shelf):
        msg = (
            f"found the shelf {shelf!r}, expected words of letters and digits joined by "
            "underscores, the first one with a capital, none like a sensor or a mark of the "
            "release; see shelf_name"
        )
        raise ReleaseNameError(msg)


def sensor_token(sensor: str) -> str:
    """Return what stands for a sensor in a name.

    Examples
    --------
    >>> [sensor_token(each) for each in ("LE07", "S2", "Sentinel-2A", "modis-terra", "WV03")]
    ['LE07', 'S2', 'S2', 'MODIS', 'OTHER']
    """
    said = sensor.strip().upper().replace("SENTINEL", "S").replace("-", "").replace("_", "")
    known = (*SENSORS, *FOREIGN_SENSORS)
    return next((token for token in known if said.startswith(token)), FOREIGN_SENSORS[-1])


def sensor_tokens(sensors: Collection[str]) -> tuple[str, ...]:
    """Return what stands for some sensors in a name, each once, in the order of names.

    Examples
    --------
    >>> sensor_tokens(["S2A", "LC08", "S2B"])
    ('LC08', 'S2')
    """
    found = {sensor_token(sensor) for sensor in sensors}
    return tuple(token for token in (*SENSORS, *FOREIGN_SENSORS) if token in found)


def shelf_name(name: str) -> str:
    """Return a shelf's name as the release writes it.

    Examples
    --------
    >>> shelf_name("Pine Island"), shelf_name("Brunt-Stancomb"), shelf_name("Larsen_B")
    ('Pine_Island', 'Brunt_Stancomb', 'Larsen_B')
    """
    made = re.sub(r"[\s_-]+", "_", name.strip())
    _check_shelf(made)
    return made


def sub_region(shelf: str, part: str) -> str:
    """Return the name of a part of a shelf.

    Examples
    --------
    >>> sub_region("Amery", "front")
    'Amery_front'
    """
    made = f"{shelf}_{part}"
    _check_shelf(made)
    return made


def parse(
    path: str, *, shelves: Collection[str] | None = None, restorers: Collection[str] = RESTORERS
) -> ReleaseName:
    """Return what a file's name says; its folders, where given, must say the same.

    Parameters
    ----------
    path : str
        A file's name, or its path with slashes, whatever it begins with.
    shelves : collection of str, optional
        Names that may occur; any by default.
    restorers : collection of str
        Restorations that may occur.

    Returns
    -------
    ReleaseName

    Raises
    ------
    ReleaseNameError
        If the release has no such name.

    Examples
    --------
    >>> parse("Amery_front/2019/LC08_Amery_front_2019_damage_map.tif").shelf
    'Amery_front'
    """
    *folders, file = PurePosixPath(path).parts or ("",)
    match = _NAME.fullmatch(file)
    if match is None:
        msg = (
            f"found the file {file!r}, expected [Sensor]_[Ice_Shelf_Name]_[YYYY]"
            "(_slc_off_DiffGF)_damage_map.tif, or _damage.tif of the whole region"
        )
        raise ReleaseNameError(msg)
    product: Product = "extent" if match["ending"] == ENDINGS["extent"] else "region"
    sensors = tuple(match["sensors"].split("_"))
    found = ReleaseName(match["shelf"], int(match["year"]), sensors, product, match["restorer"])
    if found.restorer is not None and found.restorer not in restorers:
        msg = f"found the restorer {found.restorer!r} in {file!r}, expected one of "
        raise ReleaseNameError(msg + ", ".join(sorted(restorers)))
    if shelves is not None and found.shelf not in shelves:
        msg = f"found the shelf {found.shelf!r} in {file!r}, expected one of "
        raise ReleaseNameError(msg + ", ".join(sorted(shelves)))
    wanted = [found.shelf, f"{found.year}"]
    if folders and folders[-2:] != wanted[-len(folders) :]:
        msg = f"found {file!r} in the folder {'/'.join(folders[-2:])!r}, expected {wanted[0]}/"
        raise ReleaseNameError(msg + f"{wanted[1]}; move it or name it as its folders are")
    return found


def extent_codes(damage: BOOL, known: BOOL, extent: BOOL) -> CODES:
    """Return the map within the extent: 0 background, 1 damage, 255 outside or not known.

    Parameters
    ----------
    damage, known, extent : ndarray of bool, shape (y, x)
        Where damage is, where anything is known, and where the shelf is.

    Examples
    --------
    >>> yes, no = np.array([[True, False, True]]), np.array([[True, True, False]])
    >>> extent_codes(yes, no, np.ones((1, 3), bool)).tolist()
    [[1, 0, 255]]
    """
    _check_shapes(damage, known, extent)
    return np.where(extent & known, damage.astype(np.uint8), NODATA)


def region_codes(damage: BOOL, known: BOOL) -> CODES:
    """Return the map of the whole region: 0 background, 255 damage.

    It has no code for what is not known, and none is needed where a year that does not cover its
    region is not published: such pixels must be settled before.

    Parameters
    ----------
    damage, known : ndarray of bool, shape (y, x)
        Where damage is, and where anything is known.

    Raises
    ------
    ReleaseNameError
        If something is not known.
    """
    _check_shapes(damage, known)
    if not known.all():
        msg = (
            f"found {int((~known).sum())} of {known.size} pixels of the region not known, expected "
            "none: 0 would call them intact; add scenes, or set them known and list them"
        )
        raise ReleaseNameError(msg)
    return np.where(damage, REGION_DAMAGE, BACKGROUND)


def decoded(codes: CODES, product: Product) -> tuple[BOOL, BOOL]:
    """Return where a released map has damage, and where it says anything.

    Parameters
    ----------
    codes : ndarray of uint8, shape (y, x)
        As released.
    product : {"extent", "region"}
        255 is nothing in the first and damage in the second.

    Returns
    -------
    damage, known : ndarray of bool, shape (y, x)

    Raises
    ------
    ReleaseNameError
        If there are other codes: maybe the map is of the other product.
    """
    if product not in get_args(Product):
        msg = f"found the product {product!r}, expected one of {get_args(Product)}"
        raise ReleaseNameError(msg)
    allowed = (0, 1, 255) if product == "extent" else (0, 255)
    found = np.unique(codes)
    if codes.dtype != np.uint8 or not np.isin(found, allowed).all():
        msg = (
            f"found codes {found[:6].tolist()} of {codes.dtype}, expected uint8 of {allowed} in a "
            f"map of the product {product!r}"
        )
        raise ReleaseNameError(msg)
    if product == "extent":
        return codes == DAMAGE, codes != NODATA
    return codes == REGION_DAMAGE, np.ones(codes.shape, bool)


def _check_shapes(*masks: BOOL) -> None:
    if len({mask.shape for mask in masks}) != 1:
        msg = f"found masks of shapes {[mask.shape for mask in masks]}, expected one shape"
        raise ReleaseNameError(msg)
