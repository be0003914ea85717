"""Which Landsat scenes there are of a region in a summer, from any service, or from a record.

The question of Tang et al. (2026), sections 2.1.2 and 2.4.1: November to March, at most 80 % cloud,
Landsat 7 until March 2013, 8 from April 2013, 9 from October 2021. What does not fit together in
one answer (levels, Collections 1 and 2, one acquisition processed twice) is parted here, and each
item that was left out is told with its reason.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from types import MappingProxyType
from typing import Any

import pystac
import shapely
from shapely.geometry import shape

from stac import landsat_footprints, landsat_services
from stac.catalogue import Catalogue
from stac.confinement import is_near
from stac.landsat_items import (
    Granule,
    LandsatItemError,
    granule,
    item_document,
    item_geometry,
    item_name,
    may_be,
)
from stac.landsat_products import CATEGORIES, PLATFORMS, product_id
from stac.landsat_services import OURS
from stac.queries import OutlineError, Query, instant

VERSION = 1
RECORD = "nunatak:landsat_search"
FIRST_SUMMER, LAST_SUMMER = 1972, 2100
SPANS: Mapping[str, tuple[date, date]] = MappingProxyType(
    {
        "landsat-7": (date(1999, 12, 1), date(2013, 3, 31)),
        "landsat-8": (date(2013, 4, 1), date.max),
        "landsat-9": (date(2021, 10, 1), date.max),
    }
)
"""First and last day of each platform in the paper, section 2.1.2."""
CLOUDED = "cloud cover"
"""How the reason begins with which a scene is left out for its clouds."""

Parted = tuple[list[Granule], list[tuple[str, str]]]
"""What is kept, and (item id, reason) of what is not."""


class LandsatSearchError(ValueError):
    """A search that cannot be asked, or a record that cannot be read, with what to do."""


@dataclass(frozen=True)
class Question:
    """What is asked for.

    Parameters
    ----------
    roi : mapping
        GeoJSON in longitude and latitude, split at 180°.
    summer : int
        Year of its first month: 2020 is November 2020 to March 2021.
    platforms : tuple of str
        Of `landsat_products.PLATFORMS`.
    most_cloud : float
        Cloud cover of a scene at most [%]; scenes that tell none are kept.
    spans : mapping of str to (date, date)
        First and last day to take a platform from; without an entry it is taken always.
    """

    roi: Mapping[str, Any] = field(hash=False)
    summer: int
    platforms: tuple[str, ...] = PLATFORMS
    most_cloud: float = 80.0
    spans: Mapping[str, tuple[date, date]] = field(default_factory=lambda: SPANS, hash=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be asked before any service is."""
        if not FIRST_SUMMER <= self.summer <= LAST_SUMMER:
            msg = f"summer {self.summer}; give the year of its November, such as 2020"
            raise LandsatSearchError(msg)
        if not 0.0 <= self.most_cloud <= 100.0:
            msg = f"cloud cover at most {self.most_cloud} %; give 0 to 100"
            raise LandsatSearchError(msg)
        unknown = [name for name in self.platforms if name not in PLATFORMS]
        if unknown or not self.platforms:
            found = ", ".join(unknown) or "none"
            msg = f"platforms: found {found}, expected some of {', '.join(PLATFORMS)}"
            raise LandsatSearchError(msg)
        _ = Query(intersects=self.roi).area

    @property
    def period(self) -> tuple[str, str]:
        """First and last instant of the summer.

        >>> Question({"type": "Point", "coordinates": [0, -70]}, 2019).period
        ('2019-11-01T00:00:00Z', '2020-03-31T23:59:59.999999Z')
        """
        return f"{self.summer}-11-01T00:00:00Z", f"{self.summer + 1}-03-31T23:59:59.999999Z"

    def is_answered_by(self, scene: Granule) -> bool:
        """Tell whether a scene is of the summer, wherever it comes from."""
        first, last = (instant(end) for end in self.period)
        return first <= scene.moment <= last

    def clouded(self, scene: Granule) -> str:
        """Return why a scene is too cloudy; nothing if it is not, or tells no cloud cover."""
        if not scene.cloud_cover > self.most_cloud:
            return ""
        told = f"{CLOUDED} {scene.cloud_cover:g} % by its metadata"
        return f"{told}, expected at most {self.most_cloud:g} %"

    @property
    def cql2(self) -> str:
        """The condition on cloud cover, which lets through what tells none."""
        return f'"eo:cloud_cover" <= {self.most_cloud:g} OR "eo:cloud_cover" IS NULL'

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON takes."""
        spans = {name: [day.isoformat() for day in days] for name, days in self.spans.items()}
        plain: dict[str, Any] = json.loads(json.dumps(dict(self.roi)))
        return {"roi": plain, "summer": self.summer, "platforms": list(self.platforms),
                "most_cloud": self.most_cloud, "spans": spans}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The answer to a search.

    Parameters
    ----------
    granules : tuple of Granule
        By start and id.
    rejected : tuple of (str, str)
        Item id and reason of what answers the question but is not taken, sorted.
    service : str
        Who answered, see `landsat_services`.
    asked : mapping
        The question as plain values: that of `Question.to_dict`, or ``summers`` (``SHELF/YEAR``)
        of a whole run.
    """

    granules: tuple[Granule, ...]
    rejected: tuple[tuple[str, str], ...] = ()
    service: str = OURS
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def clouded(self) -> int:
        """How many items are left out for their clouds."""
        return sum(reason.startswith(CLOUDED) for _, reason in self.rejected)


def search(
    catalogue: Catalogue,
    *,
    roi: Mapping[str, Any],
    summer: int,
    platforms: Sequence[str] = PLATFORMS,
    most_cloud: float = 80.0,
    collections: Sequence[str] | None = None,
    level: int | None = None,
    service: str = OURS,
    spans: Mapping[str, tuple[date, date]] = SPANS,
) -> Found:
    """Ask a catalogue for the scenes of a region in a summer.

    A remote service is asked for scenes that are not too cloudy, to spare traffic; our own tells
    all, so that those left out for their clouds are told.

    Parameters
    ----------
    catalogue : Catalogue
        Files, documents or a STAC API.
    roi : mapping
        GeoJSON in longitude and latitude, split at 180°.
    summer : int
        Year of its November.
    platforms, most_cloud, spans
        As in `Question`.
    collections : sequence of str, optional
        Collections to ask; those of the service for the level if not given.
    level : int, optional
        1 or 2; the lowest that there is if not given.
    service : str
        Whose items these are.

    Raises
    ------
    LandsatSearchError
        If the question makes no sense.
    landsat_services.ServiceError
        If the service is not known or lacks the level.
    CatalogueError
        If the catalogue does not answer.
    """
    question = Question(roi, summer, tuple(platforms), float(most_cloud), spans)
    names = landsat_services.collections_of(landsat_services.named(service), level)
    items = catalogue.search(
        list(collections) if collections else (None if names is None else list(names)),
        intersects=landsat_footprints.asked_area(roi),
        period=question.period,
        cql2=None if service == OURS else question.cql2,
    )
    near = is_near(catalogue.url)
    return choose(items, question, level=level, service=service, local_files=near)


def choose(
    items: Iterable[pystac.Item | Mapping[str, Any]],
    question: Question,
    *,
    level: int | None = None,
    service: str = OURS,
    local_files: bool | None = None,
) -> Found:
    """Understand items, keep those that answer the question, and part what does not go together.

    Items beside the ROI, of another summer or platform, are no answer and not told: a record of a
    wide search answers narrower questions. Those cloudier than asked are left out and told. Items
    may name files of this machine if `local_files` says so; by default those of our catalogue may.
    """
    near = service == OURS if local_files is None else local_files
    read = functools.partial(granule, service=service, local_files=near)
    known, rejected = _understood(items, question, read)
    taken, untimely = _within_spans(known, question)
    level_kept, other_level = _one_level(taken, level)
    collection_kept, older = _one_collection(level_kept)
    kept, repeated = _once(collection_kept)
    rejected += [*untimely, *other_level, *older, *repeated]
    ordered = tuple(sorted(kept, key=lambda each: (each.moment, each.id)))
    return Found(ordered, tuple(sorted(set(rejected))), service, question.to_dict())


def _understood(
    items: Iterable[pystac.Item | Mapping[str, Any]],
    question: Question,
    read: Callable[[pystac.Item | Mapping[str, Any]], Granule],
) -> Parted:
    """Return the granules that share ground with the ROI, and items that cannot be read."""
    kept: list[Granule] = []
    rejected: list[tuple[str, str]] = []
    meets_roi = _test_of_place(question.roi)
    for item in items:
        name, outline = item_name(item), item_geometry(item)
        if not may_be(item, question.platforms):
            continue
        try:
            if outline and not meets_roi(outline):
                continue
            scene = read(item)
        except (LandsatItemError, OutlineError) as error:
            rejected.append((name, str(error)))
            continue
        if not outline:
            rejected.append((name, "it tells no footprint, so nobody knows where it lies"))
        elif not question.is_answered_by(scene):
            continue
        elif clouded := question.clouded(scene):
            rejected.append((name, clouded))
        else:
            kept.append(scene)
    return kept, rejected


def _test_of_place(roi: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
    """Return whether an outline meets the ROI: in the plane of the pixels wherever that is true."""
    in_plane = landsat_footprints.is_polar(roi)
    region = landsat_footprints.region_in_plane(roi) if in_plane else shape(roi)
    placed = landsat_footprints.scene_in_plane if in_plane else landsat_footprints.scene_in_degrees
    shapely.prepare(region)
    return lambda outline: landsat_footprints.meets(region, placed(outline))


def _within_spans(scenes: Iterable[Granule], question: Question) -> Parted:
    kept: list[Granule] = []
    rejected: list[tuple[str, str]] = []
    for scene in scenes:
        first, last = question.spans.get(scene.platform, (date.min, date.max))
        day = scene.moment.date()
        if first <= day <= last:
            kept.append(scene)
        else:
            reason = f"{day}: {scene.platform} is taken from {first} to {last} only"
            rejected.append((scene.id, reason))
    return kept, rejected


def _one_level(scenes: Sequence[Granule], level: int | None) -> Parted:
    """Keep one level: top of atmosphere and surface reflectance make no mosaic together."""
    chosen = min((scene.level for scene in scenes), default=1) if level is None else level
    kept = [scene for scene in scenes if scene.level == chosen]
    reason = f"level %d; the search takes level {chosen}, and levels do not mix"
    return kept, [(each.id, reason % each.level) for each in scenes if each.level != chosen]


def _one_collection(scenes: Sequence[Granule]) -> Parted:
    """Keep the newest collection: their positions and quality bits differ."""
    chosen = max((scene.collection_number for scene in scenes), default=2)
    kept = [scene for scene in scenes if scene.collection_number == chosen]
    reason = f"Collection %d beside Collection {chosen}; they do not mix, take the newer one"
    out = [(each.id, reason % each.collection_number) for each in scenes
           if each.collection_number != chosen]  # fmt: skip
    return kept, out


def _once(scenes: Sequence[Granule]) -> Parted:
    """Keep the best processing of each acquisition: its category, then the newest."""
    kept: list[Granule] = []
    rejected: list[tuple[str, str]] = []
    for _, same in groupby(sorted(scenes, key=_acquisition), key=_acquisition):
        best, *others = sorted(same, key=_preference, reverse=True)
        kept.append(best)
        reason = f"the same acquisition as {best.id}, which is better or newer processed"
        rejected += [(each.id, reason) for each in others if each.id != best.id]
    return kept, rejected


def _acquisition(scene: Granule) -> tuple[str, int, int, str]:
    return scene.platform, scene.path, scene.row, scene.moment.date().isoformat()


def _preference(scene: Granule) -> tuple[int, str, str, str]:
    """Order processings from the worst to the best; the last entries make it a strict order."""
    told = product_id(scene.id)
    processed = "" if told is None else told.processed
    whole = json.dumps(scene.to_dict(), sort_keys=True)
    return -CATEGORIES.index(scene.category), processed, scene.id, whole


def record(found: Found) -> bytes:
    """Write an answer as a STAC ItemCollection: the assets that are read here, no signatures."""
    told = {"version": VERSION, "service": found.service, "asked": found.asked,
            "rejected": [list(pair) for pair in found.rejected]}  # fmt: skip
    features = [item_document(scene) for scene in found.granules]
    document = {"type": "FeatureCollection", "features": features, RECORD: told}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()


def replay(data: bytes) -> Found:
    """Return the answer that `record` wrote, without asking anyone.

    An item in it that cannot be read is among those that are rejected.

    Raises
    ------
    LandsatSearchError
        If the bytes are no record, are damaged, or are of another version.
    """
    document = _parsed(data)
    told = document.get(RECORD)
    if not isinstance(told, Mapping) or told.get("version") != VERSION:
        version = told.get("version") if isinstance(told, Mapping) else None
        msg = f"found a record of version {version}, expected {VERSION}; search and record again"
        raise LandsatSearchError(msg)
    try:
        service = landsat_services.named(told["service"]).name
        granules, unreadable = _readable(list(document["features"]), service)
        rejected = [(str(name), str(reason)) for name, reason in told["rejected"]]
        every = tuple(sorted({*rejected, *unreadable}))
        return Found(tuple(granules), every, service, dict(told["asked"]))
    except (KeyError, TypeError, ValueError, landsat_services.ServiceError) as error:
        msg = f"the recorded search is damaged ({error}); restore it from a copy or search again"
        raise LandsatSearchError(msg) from error


def _readable(items: Iterable[Any], service: str) -> Parted:
    kept: list[Granule] = []
    rejected: list[tuple[str, str]] = []
    for item in items:
        try:
            kept.append(granule(item, service=service, local_files=service == OURS))
        except LandsatItemError as error:
            rejected.append((item_name(item), str(error)))
    return kept, rejected


def _parsed(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"a recorded search is JSON; found something else ({error}); give the file of --save"
        raise LandsatSearchError(msg) from error
    if not isinstance(document, Mapping) or document.get("type") != "FeatureCollection":
        msg = "found no FeatureCollection; give the file that `nunatak search --save` wrote"
        raise LandsatSearchError(msg)
    return document
