"""What a scenes run is made from: shelves, their ROIs, summers, and the scenes found for each."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.flows import austral_summers, catalogue_inputs, scenes_recorded
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.scenes_arrays import Summer
from pipelines.flows.scenes_candidates import scenes_of
from pipelines.lifecycle import InputItem
from pipelines.settings_scenes import BUILTIN, Override, ScenesChoices
from stac import contracts, ice_shelves, landsat_search, landsat_services
from stac.catalogue import Catalogue, open_catalogue
from stac.ice_shelves import ShelfRegion
from stac.landsat_items import Granule, item_document
from stac.locations import read_bytes

if TYPE_CHECKING:
    import pystac

    from pipelines.settings import Run

OUTLINES = ("ice-shelves", "boundaries", "basins")
"""Kinds of collection whose polygons may stand for shelves."""
MOST_TOLD = 12
"""Shelves that a plan names."""
BOXES_NOTE = (
    "regions: nine takes boxes drawn by us around the paper's shelves, not their outlines; ingest "
    "outlines of kind ice-shelves for masks of a shelf"
)


@dataclass(frozen=True)
class ScenesFound:
    """Everything that a scenes run reads, resolved.

    Attributes
    ----------
    regions : dict of str to ShelfRegion
        Shelves by id.
    summers : tuple of Summer
        Of every shelf, in order of time, with their candidates.
    velocity : pystac.Item or None
        Map of velocity.
    outlines : tuple of pystac.Item
        Where the outlines are from; none for those that come with the project.
    rejected : tuple of (str, str)
        Items that are no candidates, and why.
    overrides : tuple of Override
        Those of the run file, by ids of shelves.
    notes : tuple of str
        What a person should know.
    asked : mapping
        What was searched for, to be recorded with the search.
    """

    regions: dict[str, ShelfRegion]
    summers: tuple[Summer, ...]
    velocity: pystac.Item | None
    outlines: tuple[pystac.Item, ...]
    rejected: tuple[tuple[str, str], ...]
    overrides: tuple[Override, ...]
    notes: tuple[str, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def granules(self) -> tuple[Granule, ...]:
        """Every granule once, in order of id."""
        found = {
            granule.id: granule
            for summer in self.summers
            for scene in summer.scenes
            for granule in scene.granules
        }
        return tuple(found[name] for name in sorted(found))

    @property
    def search(self) -> landsat_search.Found:
        """The search as it can be replayed: ``inputs.recorded`` of a later run."""
        granules = self.granules
        service = granules[0].service if granules else landsat_services.OURS
        return landsat_search.Found(granules, self.rejected, service, self.asked)

    @property
    def items(self) -> tuple[InputItem, ...]:
        """Records of what is read, for the plan and the identity of the run."""
        fixed = [("regions", item) for item in self.outlines]
        if self.velocity is not None:
            fixed.append(("velocity", self.velocity))
        return (
            *(catalogue_inputs.input_item(role, item) for role, item in fixed),
            *(_granule_item(granule) for granule in self.granules),
        )

    @property
    def sources(self) -> tuple[pystac.Item, ...]:
        """Catalogue items that the product links to; granules are told by summer."""
        return (*self.outlines, *([self.velocity] if self.velocity is not None else []))


def _is_within(granule: Granule, period: tuple[dt.date, dt.date]) -> bool:
    return period[0] <= granule.moment.date() <= period[1]


def _granule_item(granule: Granule) -> InputItem:
    """Return the record of a granule; its checksum is of what its item says, but for addresses."""
    told = granule.to_dict()
    told["assets"] = {name: {**asset, "href": ""} for name, asset in told["assets"].items()}
    text = json.dumps(told, sort_keys=True)
    size = sum(asset.size for asset in granule.assets.values())
    href = granule.assets["red"].href if "red" in granule.assets else ""
    return InputItem("landsat", granule.id, hashlib.sha256(text.encode()).hexdigest(), size, href)


def years_of(run: Run) -> tuple[int, ...]:
    """Return the summers of a run.

    Raises
    ------
    InputError
        No summer in the period, or a chosen one outside it.
    """
    years = austral_summers.meeting(run.period)
    if not years:
        msg = f"period: {run.period[0]} to {run.period[1]} meets no summer (November to March)"
        raise InputError(msg)
    outside = sorted(set(run.choices.summers) - set(years))
    if outside:
        msg = (
            f"scenes.summers: {outside[0]} is not in the period, whose summers begin in "
            f"{years[0]} to {years[-1]}; widen the period or leave it out"
        )
        raise InputError(msg)
    return tuple(year for year in years if not run.choices.summers or year in run.choices.summers)


def resolve(run: Run) -> ScenesFound:
    """Find the shelves and search every summer of each.

    Raises
    ------
    InputError
        Unknown shelves, no summer in the period, an override of a scene that is not there, a
        recorded search that was never asked for a summer of the run.
    """
    shelves = Shelves.of(run)
    years = years_of(run)
    search = _Search.of(run, shelves.catalogue)
    if search.recorded is not None:
        scenes_recorded.require_searched(search.recorded.asked, run, shelves.regions, years)
    rejected = dict(search.recorded.rejected) if search.recorded is not None else {}
    summers = []
    for shelf, region in shelves.regions.items():
        for year in years:
            found = search.of_summer(region, year)
            rejected |= dict(found.rejected)
            within = tuple(g for g in found.granules if _is_within(g, run.period))
            summers.append(Summer(shelf, year, scenes_of(within, rule=run.choices.days)))
    made = ScenesFound(
        regions=shelves.regions,
        summers=tuple(summers),
        velocity=_velocity(run, shelves.catalogue),
        outlines=shelves.outlines,
        rejected=tuple(sorted(rejected.items())),
        overrides=shelves.by_ids(run.choices.overrides),
        notes=(),
        asked=scenes_recorded.asked_of(run, (summer.path for summer in summers)),
    )
    _require_overrides(made)
    return dataclasses.replace(made, notes=_notes(run, made))


@dataclass(frozen=True)
class Shelves:
    """The ROIs of a run, and the catalogue that they are from."""

    catalogue: Catalogue | None
    regions: dict[str, ShelfRegion]
    outlines: tuple[pystac.Item, ...]

    @classmethod
    def of(cls, run: Run) -> Shelves:
        """Return the shelves that a run file names; the catalogue is opened only where needed."""
        choices = run.choices
        buffer_m = 1_000.0 * choices.buffer_km
        multiple = choices.screening_m // 30
        catalogue: Catalogue | None = None
        outlines: tuple[pystac.Item, ...] = ()
        if run.regions == BUILTIN:
            known = ice_shelves.builtin(multiple=multiple)
        else:
            catalogue = open_catalogue(run.catalogue)
            outlines = tuple(
                catalogue_inputs.all_of(catalogue, run.regions, role="regions", kinds=OUTLINES)
            )
            known = {}
            for item in outlines:
                table = contracts.open_regions(item)
                known |= ice_shelves.shelf_regions(table, buffer_m=buffer_m, multiple=multiple)
        if choices.service == "catalogue" and catalogue is None and not run.inputs.recorded:
            catalogue = open_catalogue(run.catalogue)
        wanted = [ice_shelves.find(known, name) for name in choices.shelves]
        chosen = {region.id: region for region in wanted} or known
        return cls(catalogue, chosen, outlines)

    def by_ids(self, overrides: Sequence[Override]) -> tuple[Override, ...]:
        """Return overrides with shelves by their ids."""
        return tuple(
            dataclasses.replace(each, shelf=ice_shelves.find(self.regions, each.shelf).id)
            for each in overrides
        )


@dataclass(frozen=True)
class _Search:
    """Where scenes are searched: a catalogue, a service, or the record of an earlier search."""

    run: Run
    catalogue: Catalogue | None
    recorded: landsat_search.Found | None

    @classmethod
    def of(cls, run: Run, catalogue: Catalogue | None) -> _Search:
        if run.inputs.recorded:
            return cls(run, None, landsat_search.replay(_recorded(run.inputs.recorded)))
        if run.choices.service != "catalogue":
            service = landsat_services.named(run.choices.service)
            return cls(run, open_catalogue(service.url), None)
        for name in run.inputs.landsat:
            _require_landsat(catalogue, name)
        return cls(run, catalogue, None)

    def of_summer(self, region: ShelfRegion, year: int) -> landsat_search.Found:
        """Return the granules of one summer over one ROI."""
        choices = self.run.choices
        if self.recorded is not None:
            question = landsat_search.Question(
                region.footprint,
                year,
                tuple(choices.platforms),
                choices.most_cloud,
                _spans(choices),
            )
            items = map(item_document, self.recorded.granules)
            return landsat_search.choose(items, question, service=self.recorded.service)
        if self.catalogue is None:
            msg = "no catalogue was opened"
            raise InputError(msg)
        return landsat_search.search(
            self.catalogue,
            roi=region.footprint,
            summer=year,
            platforms=choices.platforms,
            most_cloud=choices.most_cloud,
            collections=self.run.inputs.landsat or None,
            level=choices.level,
            service=choices.service,
            spans=_spans(choices),
        )


def _spans(choices: ScenesChoices) -> Mapping[str, tuple[dt.date, dt.date]]:
    """Return when each platform is taken: as in the paper, or whenever it flew."""
    if choices.platform_years == "paper":
        return landsat_search.SPANS
    return dict.fromkeys(landsat_search.SPANS, (dt.date.min, dt.date.max))


def _require_landsat(catalogue: Catalogue | None, name: str) -> None:
    """Refuse a collection of ours that holds something else; those of services tell no kind."""
    for item in catalogue.search(name, limit=1) if catalogue is not None else ():
        kind = item.properties.get("nunatak:kind", "landsat")
        if kind != "landsat":
            msg = (
                f"inputs.landsat: {name!r} holds {item.id} of kind {kind!r}, expected landsat; "
                "are two inputs exchanged?"
            )
            raise InputError(msg)


def _recorded(address: str) -> bytes:
    try:
        return read_bytes(address)
    except FileNotFoundError as error:
        msg = f"inputs.recorded: there is no file {address}; record one: nunatak search --save FILE"
        raise InputError(msg) from error


def _velocity(run: Run, catalogue: Catalogue | None) -> pystac.Item | None:
    name = run.inputs.velocity
    if name is None:
        return None
    opened = catalogue if catalogue is not None else open_catalogue(run.catalogue)
    return catalogue_inputs.single(opened, name, role="velocity", kinds=("velocity",))


def _require_overrides(found: ScenesFound) -> None:
    """Refuse an override of a summer or a scene that is not there."""
    summers = {(each.shelf, each.year): each for each in found.summers}
    for n, override in enumerate(found.overrides):
        summer = summers.get((override.shelf, override.summer))
        if summer is None:
            msg = (
                f"scenes.overrides[{n}]: {override.shelf} {override.summer} is not in this run; "
                "its shelf or its summer is left out"
            )
            raise InputError(msg)
        labels = [scene.label for scene in summer.scenes]
        unknown = [name for name in (*override.use, *override.drop) if name not in labels]
        if unknown:
            msg = (
                f"scenes.overrides[{n}]: {summer.path} has no scene {', '.join(unknown)}; "
                f"it has {', '.join(labels) or 'none'}"
            )
            raise InputError(msg)


def _shelf_notes(found: ScenesFound) -> list[str]:
    """Return what there is of each shelf, for as many as fit on a screen."""
    told = []
    for shelf, region in list(found.regions.items())[:MOST_TOLD]:
        scenes = [len(summer.scenes) for summer in found.summers if summer.shelf == shelf]
        size = f"{region.grid.nx} x {region.grid.ny} pixels"
        told.append(f"{region.name}: {sum(scenes)} scenes in {len(scenes)} summers, {size}")
    return told


def _notes(run: Run, found: ScenesFound) -> tuple[str, ...]:
    notes = []
    if run.regions == BUILTIN:
        notes.append(BOXES_NOTE)
    if found.velocity is None:
        notes.append("no velocity is given, so no part of a shelf counts as fast-flowing")
    levels = {g.level for g in found.granules}
    if len(levels) > 1:
        notes.append("levels 1 and 2 are mixed between summers: their reflectances do not compare; "
                     "set scenes.level")  # fmt: skip
    notes += _shelf_notes(found)
    empty = [summer.path for summer in found.summers if not summer.scenes]
    if empty:
        shown = ", ".join(empty[:6]) + (" …" if len(empty) > 6 else "")
        notes.append(f"no scene was found for {len(empty)} of {len(found.summers)}: {shown}")
    clouded = found.search.clouded
    if clouded:
        limit = f"scenes.most_cloud ({run.choices.most_cloud:g} %)"
        notes.append(f"items left out as cloudier than {limit}: {clouded}, see search.json")
    others = [pair for pair in found.rejected if not pair[1].startswith(landsat_search.CLOUDED)]
    if others:
        name, reason = others[0]
        notes.append(f"{len(others)} items are left out, such as {name}: {reason}")
    return tuple(notes)
