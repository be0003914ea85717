"""What is asked of a catalogue: where, when, which; the same question to files and to an API."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any

import cql2
import numpy as np
import shapely
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

OPEN_END = frozenset({"", ".."})
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
FULL_TURN = 360.0
"""Largest number that may be meant in degrees."""
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
UNDECIDED = ("Could not reduce expression to boolean", "data did not match any variant")
"""What the library of filters says of a NULL result, and of a property that is an object."""
POLE_DEGREES = 90.001
"""Latitude beyond which a corner is a mistake and not a rounded pole [°]."""


class QueryError(ValueError):
    """A question that no catalogue can answer, with what to ask instead."""


class OutlineError(ValueError):
    """The geometry of an item that cannot be read, with what is wrong with it."""


@dataclass(frozen=True)
class Query:
    """One search: every condition given must hold.

    Parameters
    ----------
    bbox : sequence of float, optional
        West, south, east, north [°]; east of 180° is written as west > east.
    intersects : mapping, optional
        GeoJSON geometry in longitude and latitude; not together with `bbox`.
    period : (str, str), optional
        First and last day or instant, both inclusive; ``..`` leaves an end open. An item belongs
        to it if its own span overlaps it.
    cql2 : str, optional
        Filter in CQL2 text, such as ``"nunatak:kind" = 'grace-l2'``.
    ids : sequence of str, optional
        Item ids to choose from.
    """

    bbox: Sequence[float] | None = None
    intersects: Mapping[str, Any] | None = None
    period: tuple[str, str] | None = None
    cql2: str | None = None
    ids: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be asked before any file is read."""
        if self.bbox is not None and self.intersects is not None:
            msg = "both bbox and intersects are given; a search takes one of them"
            raise QueryError(msg)
        if isinstance(self.ids, str):
            msg = f"ids is the text {self.ids!r}; give a list of ids"
            raise QueryError(msg)
        _ = (self.area, self.span, self.expression)

    @cached_property
    def area(self) -> BaseGeometry | None:
        """The region asked for, split at 180°, or None for everywhere."""
        if self.bbox is not None:
            return box_area(self.bbox)
        if self.intersects is None:
            return None
        try:
            area = shape(self.intersects)
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            shapely.errors.ShapelyError,
        ) as error:
            msg = f"intersects is no GeoJSON geometry ({error}); give type and coordinates"
            raise QueryError(msg) from error
        west, south, east, north = area.bounds
        _check_range(west, south, east, north)
        return area

    @cached_property
    def span(self) -> tuple[datetime, datetime] | None:
        """First and last instant asked for."""
        if self.period is None:
            return None
        first, last = self.period
        start = EARLIEST if first in OPEN_END else instant(first)
        end = LATEST if last in OPEN_END else instant(last, end_of_day=True)
        if start > end:
            msg = f"the period runs backwards, from {first} to {last}; exchange its ends"
            raise QueryError(msg)
        return start, end

    @cached_property
    def expression(self) -> Any:  # cql2.Expr | None; the library has no types
        """The parsed filter."""
        if self.cql2 is None:
            return None
        try:
            return cql2.parse_text(self.cql2)
        except (cql2.ParseError, cql2.ValidationError) as error:
            msg = (
                f"the filter {self.cql2!r} is not CQL2 text: {' '.join(str(error).split())}; "
                'write for example "nunatak:kind" = \'grace-l2\' AND "nunatak:max_degree" >= 60'
            )
            raise QueryError(msg) from error

    @property
    def is_plain_box(self) -> bool:
        """Whether this is a box that every server understands: with an area and not across 180°."""
        if self.bbox is None:
            return False
        west, south, east, north = plane_box(self.bbox)
        return west < east and south < north

    @property
    def interval(self) -> str | None:
        """The period as an RFC 3339 interval, as STAC APIs take it."""
        if self.span is None:
            return None
        start, end = self.span
        first = ".." if start == EARLIEST else rfc3339(start)
        last = ".." if end == LATEST else rfc3339(end)
        return None if (first, last) == ("..", "..") else f"{first}/{last}"

    @property
    def sent_area(self) -> dict[str, Any] | None:
        """The region as GeoJSON for an API, which never sees a box across 180°."""
        return None if self.area is None else dict(mapping(self.area))

    def matches(self, item: Mapping[str, Any]) -> bool:
        """Tell whether an item, as a dict, answers the query.

        One whose geometry cannot be read passes every area: nobody knows where it lies, and who
        asked can say so, which is better than to hide it or to end the search.
        """
        if self.ids is not None and item["id"] not in self.ids:
            return False
        if self.span is not None and not _overlaps(self.span, item["properties"]):
            return False
        if self.area is not None and not _meets(self.area, item.get("geometry")):
            return False
        return self.passes_filter(item)

    def passes_filter(self, item: Mapping[str, Any]) -> bool:
        """Evaluate the CQL2 filter; a comparison with a property that is absent does not hold."""
        if self.expression is None:
            return True
        try:
            return bool(self.expression.matches(item))
        except Exception as error:
            # The library raises bare Exception, and nothing but its words tells of what.
            if any(words in str(error) for words in UNDECIDED):
                return False
            raise


def plane_box(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a box of four or six numbers."""
    if len(bbox) not in {4, 6}:
        msg = f"the box has {len(bbox)} numbers; give west, south, east, north in degrees"
        raise QueryError(msg)
    west, south, *_ = bbox
    east, north = bbox[len(bbox) // 2], bbox[len(bbox) // 2 + 1]
    return float(west), float(south), float(east), float(north)


def box_area(bbox: Sequence[float]) -> BaseGeometry:
    """Return the polygon of a box, or two polygons that meet at 180° where west > east.

    A box without width or height is a line or a point: a polygon without area is not valid, and
    whether it meets a footprint is anyone's guess.

    >>> box_area([175.0, -78.0, -175.0, -77.0]).geom_type
    'MultiPolygon'
    >>> box_area([10.0, -90.0, 11.0, -90.0]).geom_type
    'LineString'
    """
    west, south, east, north = plane_box(bbox)
    _check_range(west, south, east, north)
    if west <= east:
        return _rectangle(west, south, east, north)
    parts = [_rectangle(west, south, 180.0, north), _rectangle(-180.0, south, east, north)]
    if all(part.geom_type == "Polygon" for part in parts):
        return shapely.MultiPolygon(parts)
    return shapely.union_all(parts)


def _rectangle(west: float, south: float, east: float, north: float) -> BaseGeometry:
    corners = dict.fromkeys([(west, south), (east, north)])
    if len(corners) == 1:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString(list(corners))
    return shapely.box(west, south, east, north)


def _check_range(west: float, south: float, east: float, north: float) -> None:
    if not (-90.0 <= south <= north <= 90.0):
        told = f"latitudes run from {south} to {north}"
        msg = f"{told}; give south, north within -90 to 90 degrees{_not_metres(south, north)}"
        raise QueryError(msg)
    if not (-180.0 <= west <= 180.0 and -180.0 <= east <= 180.0):
        told = f"longitudes are {west} and {east}"
        msg = f"{told}; write them within -180 to 180 degrees{_not_metres(west, east)}"
        raise QueryError(msg)


def _not_metres(*ends: float) -> str:
    """Return a remark on numbers that no degrees are, whichever way they are written."""
    return ", not metres of EPSG:3031" if max(map(abs, ends)) > FULL_TURN else ""


def instant(text: str, *, end_of_day: bool = False) -> datetime:
    """Read an ISO 8601 day or instant as UTC; a day as an end means its last second."""
    try:
        if DATE.fullmatch(text):
            clock = time(23, 59, 59) if end_of_day else time()
            return datetime.combine(date.fromisoformat(text), clock, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        msg = f"{text!r} is no date; write it as 2011-02-01 or 2011-02-01T00:00:00Z, or .. for open"
        raise QueryError(msg) from error


def rfc3339(moment: datetime) -> str:
    """Write an instant as STAC does."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _overlaps(span: tuple[datetime, datetime], properties: Mapping[str, Any]) -> bool:
    moment = properties.get("datetime")
    first = properties.get("start_datetime") or moment
    last = properties.get("end_datetime") or moment
    if not (first and last):
        return False
    return instant(first) <= span[1] and instant(last) >= span[0]


def _meets(area: BaseGeometry, geometry: Mapping[str, Any] | None) -> bool:
    if geometry is None:
        return False
    try:
        return bool(outline(geometry).intersects(area))
    except (OutlineError, shapely.errors.ShapelyError):
        return True


def outline(geometry: object) -> BaseGeometry:
    """Return the geometry of an item, which may be anybody's text.

    Edges may cross each other; corners are there, are numbers, and lie on Earth.

    Raises
    ------
    OutlineError
        If it is anything else.

    Examples
    --------
    >>> outline({"type": "Point", "coordinates": [10.0, -70.0]}).wkt
    'POINT (10 -70)'
    """
    try:
        with np.errstate(invalid="ignore"):
            made = shape(geometry)
        corners = shapely.get_coordinates(made)
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
        shapely.errors.ShapelyError,
    ) as error:
        msg = f"its footprint is no GeoJSON geometry ({' '.join(str(error).split())[:120]})"
        raise OutlineError(msg) from error
    wrong = ""
    if corners.size == 0:
        wrong = "has no corners"
    elif not np.isfinite(corners).all():
        wrong = "has corners that are no numbers"
    elif np.abs(corners[:, 1]).max() > POLE_DEGREES:
        wrong = f"reaches latitude {corners[np.abs(corners[:, 1]).argmax(), 1]:g}"
    if wrong:
        msg = f"its footprint {wrong}; expected longitude and latitude in degrees"
        raise OutlineError(msg)
    return made
