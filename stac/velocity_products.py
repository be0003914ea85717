"""Published maps of ice velocity: what is known of each, whatever its file says.

A product is recognised by how its publisher names the file, or else by its title. Nothing is
guessed: a file that no entry recognises is ``unknown``, and so is what a guide does not tell.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from stac import netcdf

UNKNOWN = "unknown"
FRAMES = ("ground", "map", UNKNOWN)
"""True metres on the ellipsoid, or metres of EPSG:3031, longer by the map scale factor."""
YEARS = ("glaciological", "calendar", "multi_year", UNKNOWN)
"""1 July to 30 June; (months of) 1 January to 31 December; longer than a year and a half."""
SIGMAS = ("absolute", "relative", "none", UNKNOWN)
"""A standard deviation; an index of quality in m yr⁻¹; no such field."""
SEVERAL_YEARS = timedelta(days=548)
COMPOSITES = ("0000", "2014-2022")
"""What ITS_LIVE writes in place of the year."""


@dataclass(frozen=True)
class VelocityProduct:
    """One version of a published product.

    Attributes
    ----------
    product : str
        Text id, publisher's number and version.
    doi : str
        Digital object identifier, for citation.
    file_name : str
        Pattern of its file names; groups ``first`` and ``last``, ``year``, or ``start`` and
        ``end`` tell the period.
    title : str
        Pattern of its titles; empty if they do not tell it from others.
    velocity_frame, year_definition, sigma_kind : str
        Of `FRAMES`, `YEARS`, `SIGMAS`.
    period : tuple of str
        Start and end (exclusive) of a map of several years, where the file does not tell.
    unit : str
        Unit of files that do not tell it; empty if they must.
    crs : str
        Grid of files that do not tell it.
    zero_is_missing : bool
        Whether a component of 0 stands for "not measured", declared or not.
    shared_sigma : str
        Variable that holds one uncertainty for both components.
    """

    product: str
    doi: str = ""
    file_name: str = ""
    title: str = ""
    velocity_frame: str = UNKNOWN
    year_definition: str = UNKNOWN
    sigma_kind: str = UNKNOWN
    period: tuple[str, str] = ("", "")
    unit: str = ""
    crs: str = ""
    zero_is_missing: bool = False
    shared_sigma: str = ""


@dataclass(frozen=True)
class Recognised:
    """A product, and the period and year definition of one file of it."""

    entry: VelocityProduct
    year_definition: str
    time_start: str
    time_end: str


POLAR = "EPSG:3031"
SPEED = "m yr-1"
ITS_LIVE_YEAR = r"(?P<year>2014-2022|\d{4})"
PRODUCTS = (
    VelocityProduct(
        "nsidc-0720-v1",
        "10.5067/9T4EPQXTJYW9",
        r"antarctica_ice_velocity_(?P<first>\d{4})_(?P<last>\d{4})_1km_v0?1(\.\d+)?\b",
        r"annual antarctic\w* ice velocity",
        year_definition="glaciological",
        sigma_kind="relative",
        crs=POLAR,
        zero_is_missing=True,
    ),
    VelocityProduct(
        "nsidc-0754-v1",
        "10.5067/PZ3NJ5RXRH10",
        r"antarctic_ice_vel_phase_map_v0?1\b",
        r"phase[- ]based antarctica ice velocity",
        year_definition="multi_year",
        sigma_kind="relative",
        period=("1996-01-01", "2019-01-01"),
        crs=POLAR,
        zero_is_missing=True,
    ),
    VelocityProduct(
        "nsidc-0484-v2",
        "10.5067/D7GK8F5J8M8R",
        r"antarctica_ice_velocity_450m_v0?2\b",
        r"measures antarctica ice velocity map 450 ?m",
        year_definition="multi_year",
        sigma_kind="relative",
        period=("1996-01-01", "2017-01-01"),
        crs=POLAR,
        zero_is_missing=True,
    ),
    VelocityProduct(
        "nsidc-0484-v1",
        "10.5067/MEASURES/CRYOSPHERE/nsidc-0484.001",
        r"antarctica_ice_velocity(_(900|450)m)?(_v0?1)?\.\w+$",
        r"measures antarctica ice velocity map 900 ?m",
        year_definition="multi_year",
        sigma_kind="relative",
        period=("1996-01-01", "2012-01-01"),
        crs=POLAR,
        zero_is_missing=True,
        shared_sigma="err",
    ),
    VelocityProduct(
        "nsidc-0525-v1",
        "10.5067/MEASURES/CRYOSPHERE/nsidc-0525.001",
        r"central_antarctica_ice_velocity_(?P<year>1997|2009)\b",
        year_definition="calendar",
        sigma_kind="relative",
        crs=POLAR,
        zero_is_missing=True,
        shared_sigma="err",
    ),
    VelocityProduct(
        "its-live-v1",
        "10.5067/6II6VW8LLWJ7",
        rf"(^|_)G0240(_{ITS_LIVE_YEAR})?(?=[_.]|$)",
        velocity_frame="ground",
        year_definition="calendar",
        sigma_kind="absolute",
        period=("1985-01-01", "2019-01-01"),
        unit=SPEED,
    ),
    VelocityProduct(
        "its-live-v2.1",
        "10.5067/JQ6337239C96",
        rf"(its_live_velocity_120m|nsidc-0776)_rgi19a_{ITS_LIVE_YEAR}_v02\.1",
        year_definition="calendar",
        sigma_kind="relative",
        period=("2014-01-01", "2023-01-01"),
        unit=SPEED,
    ),
    VelocityProduct(
        "its-live-v2",
        "10.5067/JQ6337239C96",
        rf"(its_live_velocity_120m|nsidc-0776)_rgi19a_{ITS_LIVE_YEAR}_v02(\.0)?(?!\.\d)",
        velocity_frame="map",
        year_definition="calendar",
        sigma_kind="relative",
        period=("2014-01-01", "2023-01-01"),
        unit=SPEED,
    ),
    VelocityProduct(
        "enveo-antarctica-s1",
        "10.5285/00fe090efc58446e8980992a617f632f",
        r"antarctica(_\w+)?_iv_200m_s1_s?(?P<start>\d{8})_e?(?P<end>\d{8})",
        velocity_frame="ground",
        year_definition="calendar",
        sigma_kind="absolute",
    ),
)
"""What the guides say.

NSIDC-0720, 0754, 0484 and 0525: ERRX and ERRY (``err``) tell relative quality, not absolute error;
whether metres are true or the map's is not told. ITS_LIVE v1 corrects the distortion of the map,
v2 says that it does not (guide of NSIDC-0776) and calls its errors qualitative; of v2.1 the frame
is not told. ENVEO: true metres per day. Central Antarctica's maps are of one season each, placed
in the middle of their year, so that they are twelve years apart as in Yang et al. (2023).
"""
NONE = VelocityProduct(UNKNOWN)


def recognise(
    name: str, attributes: Mapping[str, Any], told: tuple[str, str] = ("", "")
) -> Recognised:
    """Say of which product a file is, and of which time.

    Parameters
    ----------
    name : str
        File name.
    attributes : mapping
        Global attributes of the file.
    told : tuple of str
        Start and end (exclusive) that the file tells; empty if it does not.

    Returns
    -------
    Recognised
        A period in the publisher's name of a file wins over one inside it, which is copied from
        year to year; where no entry fits, all is as the file itself says, or unknown.
    """
    for entry in PRODUCTS:
        if entry.file_name and (found := re.search(entry.file_name, name, re.IGNORECASE)):
            named = dict(_named_period(entry, found))
            if "wrong" not in named:
                return _dated(entry, named.get("period") or told, named.get("definition"))
    lower = {str(key).lower(): netcdf.text(value) for key, value in attributes.items()}
    for entry in PRODUCTS:
        titled = entry.title and re.search(entry.title, lower.get("title", ""), re.IGNORECASE)
        if titled and (_definition(told) == entry.year_definition or told == ("", "")):
            return _dated(entry, told, None)
    return Recognised(_as_told(lower), _one_of(YEARS, lower.get("year_definition")), *told)


def _named_period(entry: VelocityProduct, found: "re.Match[str]") -> Iterator[tuple[str, Any]]:
    """Return the period in a file name, and what it makes of the year."""
    groups = {key: value for key, value in found.groupdict().items() if value}
    if "first" in groups:
        first, last = int(groups["first"]), int(groups["last"])
        # Maps of several years are named alike, but are another product.
        yield ("period", (f"{first}-07-01", f"{last}-07-01")) if last == first + 1 else ("wrong", 1)
    elif groups.get("year") in COMPOSITES:
        yield "period", entry.period
        yield "definition", "multi_year"
    elif "year" in groups:
        year = int(groups["year"])
        yield "period", (f"{year}-01-01", f"{year + 1}-01-01")
    elif "start" in groups:
        try:
            start, end = (date.fromisoformat(groups[key]) for key in ("start", "end"))
        except ValueError:
            return
        yield "period", (start.isoformat(), (end + timedelta(days=1)).isoformat())


def _dated(entry: VelocityProduct, period: tuple[str, str], definition: str | None) -> Recognised:
    """Give a product the period of its file, and the year that this is."""
    if period == ("", "") and entry.year_definition == "multi_year":
        period = entry.period
    return Recognised(entry, definition or _definition(period), *period)


def _definition(period: tuple[str, str]) -> str:
    """Return what kind of year a period is.

    >>> _definition(("2007-07-01", "2008-07-01"))
    'glaciological'
    >>> _definition(("2019-02-01", "2019-03-01"))
    'calendar'
    >>> _definition(("2019-02-10", "2020-02-10"))
    'unknown'
    """
    if period == ("", ""):
        return UNKNOWN
    start, end = (date.fromisoformat(each[:10]) for each in period)
    if end - start > SEVERAL_YEARS:
        return "multi_year"
    if (start.month, start.day, end) == (7, 1, date(start.year + 1, 7, 1)):
        return "glaciological"
    within = start.year == (end - timedelta(days=1)).year
    return "calendar" if within and start.day == 1 and end.day == 1 else UNKNOWN


def _as_told(lower: Mapping[str, str]) -> VelocityProduct:
    """Return a product that only describes itself."""
    return VelocityProduct(
        lower.get("product") or UNKNOWN,
        lower.get("doi", ""),
        velocity_frame=_one_of(FRAMES, lower.get("velocity_frame")),
        sigma_kind=_one_of(SIGMAS, lower.get("sigma_kind")),
    )


def _one_of(choices: tuple[str, ...], said: str | None) -> str:
    return said if said in choices else UNKNOWN
