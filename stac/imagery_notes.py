"""What a picture's file does not tell, sensor, day and place: a note or a world file beside it.

A note ``X.imagery.yaml`` (or ``.json``) beside ``X.jpeg``::

    sensor: S2                       # as released files name it
    days: [2019-12-01, 2020-03-01]   # first, and the one after the last; or day: 2020-01-15
    region: Pine Island              # the shelf
    spacing_m: 100
    corner: [-1647361, -233489]      # west and north edge in EPSG:3031; none: the place is unknown
    window: {rows: [92, 1224], columns: [15, 957]}   # of the file, from 0; the corner is of this
    scaling: percentiles             # or the reflectance of one count
    missing_up_to: 12                # wide areas of no higher count were not measured
    gray: true                       # store the mean of the bands
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from stac import grids

NOTES = (".imagery.yaml", ".imagery.yml", ".imagery.json")
"""Ends of names of notes, in the order in which they are looked for."""
WORLD_FILES: Mapping[str, tuple[str, ...]] = {
    ".jpg": (".jgw", ".jpgw"),
    ".jpeg": (".jgw", ".jpegw"),
    ".png": (".pgw", ".pngw"),
    ".tif": (".tfw", ".tifw"),
    ".tiff": (".tfw", ".tiffw"),
}
KEYS = frozenset(
    {
        "sensor", "day", "days", "region", "spacing_m", "corner", "crs", "window", "scaling",
        "missing_up_to", "gray", "licence",
    }
)  # fmt: skip
PERCENTILES = "percentiles"
SQUARE = 1e-6
"""Difference of the sides of a pixel that is none [1]."""
DAY = timedelta(days=1)


class ImageryError(ValueError):
    """A picture that cannot be used, or what is told of it: what was found, what was expected."""


@dataclass(frozen=True)
class Place:
    """Where a picture lies: side of a pixel, and its outer upper left corner in EPSG:3031 [m]."""

    spacing_m: float
    west: float
    north: float


@dataclass(frozen=True)
class Note:
    """What a note tells; None, or empty, where it is silent.

    Attributes
    ----------
    sensor, region, licence : str
        Names.
    span : tuple of datetime or None
        First instant, and the one after the last, UTC.
    spacing_m : float or None
        Side of a pixel [m].
    corner : tuple of float or None
        West and north edge of the window [m].
    window : tuple of slice or None
        Rows and columns of the file that are picture.
    per_count : float or None
        Reflectance of one count [1]; None to stretch counts between percentiles.
    missing_up_to : float or None
        Highest count of what was not measured.
    gray : bool
        Whether bands become one.
    crs : str
        Of the corner and of a world file.
    """

    sensor: str = ""
    region: str = ""
    licence: str = ""
    span: tuple[datetime, datetime] | None = None
    spacing_m: float | None = None
    corner: tuple[float, float] | None = None
    window: tuple[slice, slice] | None = None
    per_count: float | None = None
    missing_up_to: float | None = None
    gray: bool = False
    crs: str = ""


def parse_note(data: bytes, *, name: str) -> Note:
    """Read a note.

    Raises
    ------
    ImageryError
        It is no mapping, has keys that no note has, or values that mean nothing.
    """
    try:
        told = yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        msg = f"{name} is no YAML or JSON ({error}); correct it"
        raise ImageryError(msg) from error
    if not isinstance(told, dict):
        msg = f"{name} holds {type(told).__name__}, expected keys such as sensor and spacing_m"
        raise ImageryError(msg)
    unknown = sorted(set(map(str, told)) - KEYS)
    if unknown:
        msg = f"{name} has {', '.join(unknown)}, expected some of {', '.join(sorted(KEYS))}"
        raise ImageryError(msg)
    crs = str(told.get("crs") or "")
    if crs not in {"", grids.POLAR}:
        msg = f"{name}: crs is {crs!r}, expected {grids.POLAR}; warp the picture to it"
        raise ImageryError(msg)
    return Note(
        sensor=_word(told, "sensor", name), region=_word(told, "region", name),
        licence=_word(told, "licence", name), span=_span(told, name),
        spacing_m=_positive(told, "spacing_m", name), corner=_pair(told, "corner", name),
        window=_window(told.get("window"), name), per_count=_scaling(told, name),
        missing_up_to=_number(told.get("missing_up_to"), "missing_up_to", name),
        gray=_flag(told, "gray", name), crs=crs,
    )  # fmt: skip


def parse_world_file(data: bytes, *, name: str) -> Place:
    """Return the place that six lines tell: steps, rotations, and the centre of the first pixel.

    >>> parse_world_file(b"100 0 0 -100 -1649950 -249950", name="a.jgw")
    Place(spacing_m=100.0, west=-1650000.0, north=-249900.0)

    Raises
    ------
    ImageryError
        No six numbers, rotated, or pixels that are not square or not north up.
    """
    try:
        step_x, turn_y, turn_x, step_y, x, y = map(float, data.decode("ascii").split())
    except ValueError as error:
        msg = f"{name} does not hold six numbers ({error}); write it again"
        raise ImageryError(msg) from error
    if not all(map(math.isfinite, (step_x, step_y, x, y))) or turn_x or turn_y or step_x <= 0.0:
        msg = f"{name} tells steps {step_x:g}, {step_y:g} and rotations {turn_y:g}, {turn_x:g}; "
        raise ImageryError(msg + "expected rows along x: warp the picture to EPSG:3031")
    if abs(step_x + step_y) > SQUARE * step_x:
        msg = f"{name} has pixels of {step_x:g} by {-step_y:g} m, expected squares, north up"
        raise ImageryError(msg)
    return Place(step_x, x - step_x / 2.0, y + step_x / 2.0)


def instants(text: str, what: str) -> tuple[datetime, datetime]:
    """Return the day of a date, or the second of an instant, in ISO 8601: its two ends in UTC.

    Raises
    ------
    ImageryError
        It is neither.
    """
    try:
        taken = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{what} is {text!r}, expected a day such as 2020-01-15"
        raise ImageryError(msg) from error
    taken = (taken if taken.tzinfo else taken.replace(tzinfo=UTC)).astimezone(UTC)
    return taken, taken + (DAY if len(text) == len("2020-01-15") else timedelta(seconds=1))


def _span(told: Mapping[str, Any], name: str) -> tuple[datetime, datetime] | None:
    if "day" in told and "days" in told:
        msg = f"{name} has both day and days, expected one of them"
        raise ImageryError(msg)
    if "day" in told:
        return instants(str(told["day"]), f"{name}: day")
    if "days" not in told:
        return None
    days = told["days"]
    if not isinstance(days, list) or len(days) != 2:
        msg = f"{name}: days is {days!r}, expected the first day and the one after the last"
        raise ImageryError(msg)
    first, last = (instants(str(day), f"{name}: days")[0] for day in days)
    if first >= last:
        msg = f"{name}: days are {days[0]} and {days[1]}, expected the second to be later"
        raise ImageryError(msg)
    return first, last


def _word(told: Mapping[str, Any], key: str, name: str) -> str:
    value = told.get(key, "")
    if not isinstance(value, str):
        msg = f"{name}: {key} is {value!r}, expected a word; put it in quotation marks"
        raise ImageryError(msg)
    return value.strip()


def _flag(told: Mapping[str, Any], key: str, name: str) -> bool:
    value = told.get(key, False)
    if not isinstance(value, bool):
        msg = f"{name}: {key} is {value!r}, expected true or false"
        raise ImageryError(msg)
    return value


def _number(value: Any, key: str, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{name}: {key} is {value!r}, expected a number"
        raise ImageryError(msg)
    return float(value)


def _positive(told: Mapping[str, Any], key: str, name: str) -> float | None:
    value = _number(told.get(key), key, name)
    if value is not None and value <= 0.0:
        msg = f"{name}: {key} is {value:g}, expected a number above 0"
        raise ImageryError(msg)
    return value


def _pair(told: Mapping[str, Any], key: str, name: str) -> tuple[float, float] | None:
    value = told.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        msg = f"{name}: {key} is {value!r}, expected two numbers"
        raise ImageryError(msg)
    first, second = (_number(each, key, name) for each in value)
    if first is None or second is None:
        msg = f"{name}: {key} is {value!r}, expected two numbers"
        raise ImageryError(msg)
    return first, second


def _window(value: Any, name: str) -> tuple[slice, slice] | None:
    if value is None:
        return None
    expected = "expected {rows: [first, end], columns: [first, end]}, counted from 0"
    if not isinstance(value, dict) or set(value) != {"rows", "columns"}:
        msg = f"{name}: window is {value!r}, {expected}"
        raise ImageryError(msg)
    found = []
    for key in ("rows", "columns"):
        ends = value[key]
        whole = isinstance(ends, list) and [type(end) for end in ends] == [int, int]
        if not whole or not 0 <= ends[0] < ends[1]:
            msg = f"{name}: window.{key} is {ends!r}, {expected}"
            raise ImageryError(msg)
        found.append(slice(ends[0], ends[1]))
    return found[0], found[1]


def _scaling(told: Mapping[str, Any], name: str) -> float | None:
    """Return the reflectance of one count, or None where counts are stretched."""
    if told.get("scaling", PERCENTILES) == PERCENTILES:
        return None
    return _positive(told, "scaling", name)
