"""Landsat product ids and band numbers: what a product's name tells, on every platform.

Source: Landsat Collection 2 Level-1 data format control books (USGS, LSDS-1822 and LSDS-1414);
Collection 1 names differ in the collection number only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType

PLATFORMS = ("landsat-7", "landsat-8", "landsat-9")
CATEGORIES = ("T1", "T2", "RT")
"""From the best known position to the least."""
BANDS = ("blue", "green", "red", "nir08", "swir16", "swir22")
_ETM = MappingProxyType(dict(zip(BANDS, (1, 2, 3, 4, 5, 7), strict=True)))
_OLI = MappingProxyType(dict(zip(BANDS, (2, 3, 4, 5, 6, 7), strict=True)))
BAND_NUMBERS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"landsat-7": _ETM, "landsat-8": _OLI, "landsat-9": _OLI}
)
"""Number of each band by platform and common name."""
INSTRUMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"landsat-7": ("etm+",), "landsat-8": ("oli", "tirs"), "landsat-9": ("oli", "tirs")}
)
_ID = re.compile(
    r"L(?P<sensor>[A-Z])0(?P<platform>[1-9])_(?P<correction>L(?P<level>[12])[A-Z]{2})"
    r"_(?P<path>\d{3})(?P<row>\d{3})_(?P<acquired>\d{8})(_(?P<processed>\d{8}))?"
    r"_(?P<collection>\d{2})_(?P<category>[A-Z][A-Z0-9])(_[A-Z]+)?"
)


@dataclass(frozen=True)
class ProductId:
    """What the id of a product tells.

    Parameters
    ----------
    platform : str
        Such as ``landsat-8``.
    correction : str
        Such as ``L1GT`` or ``L2SR``; its digit is the level.
    path, row : int
        Place in the Worldwide Reference System 2.
    acquired : date
        Day of the acquisition in UTC.
    processed : str
        Day of the processing as YYYYMMDD, or "" where the id does not tell it.
    collection_number : int
        1 or 2.
    category : str
        T1, T2 or RT.
    """

    platform: str
    correction: str
    path: int
    row: int
    acquired: date
    processed: str
    collection_number: int
    category: str

    @property
    def level(self) -> int:
        """The processing level."""
        return int(self.correction[1])


def product_id(text: str) -> ProductId | None:
    """Read a product id, or the id of an item made of one; None if it is none.

    >>> product_id("LC08_L1GT_099120_20191129_20201016_02_T2").path
    99
    >>> product_id("LE07_L2SP_021030_20100109_02_T1").processed
    ''
    """
    found = _ID.fullmatch(text)
    if found is None:
        return None
    try:
        acquired = datetime.strptime(found["acquired"], "%Y%m%d").date()  # noqa: DTZ007 a day
    except ValueError:
        return None
    return ProductId(
        f"landsat-{found['platform']}",
        found["correction"],
        int(found["path"]),
        int(found["row"]),
        acquired,
        found["processed"] or "",
        int(found["collection"]),
        found["category"],
    )


def common_name(platform: str, number: int) -> str:
    """Return the common name of a band, or "" for one that is not read here.

    >>> common_name("landsat-7", 3), common_name("landsat-8", 3)
    ('red', 'green')
    """
    names = {band: name for name, band in BAND_NUMBERS[platform].items()}
    return names.get(number, "")
