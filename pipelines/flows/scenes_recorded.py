"""What a recorded search covers, so that a run does not take "never searched" for "nothing there".

A record tells what was asked: the summers of a whole run (`summers`, as ``SHELF/YEAR``), or the one
summer and region of ``nunatak search --save`` (`summer`, `roi`). A record that tells neither is
believed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import shapely

from pipelines.flows import austral_summers
from pipelines.flows.catalogue_inputs import InputError
from stac import landsat_footprints

if TYPE_CHECKING:
    from pipelines.settings import Run
    from pipelines.settings_scenes import ScenesChoices
    from stac.ice_shelves import ShelfRegion

COVERED = 0.9
"""Part of a shelf's outline that the region of a record holds, to count as searched."""
SHOWN = 6
"""As many summers are named in a message."""
ASK = (
    "search again and record that (nunatak search --save, or search.json of a run of all of it), "
    "or take what was not searched out of the run file"
)


def asked_of(run: Run, summers: Iterable[str]) -> dict[str, Any]:
    """Return what a run asked for, as its record tells it.

    Parameters
    ----------
    run : Run
        A scenes run.
    summers : iterable of str
        ``SHELF/YEAR`` of every summer that was searched.
    """
    choices: ScenesChoices = run.choices
    return {
        "summers": sorted(summers),
        "platforms": list(choices.platforms),
        "most_cloud": choices.most_cloud,
        "period": [day.isoformat() for day in run.period],
    }


def require_searched(
    asked: Mapping[str, Any], run: Run, regions: Mapping[str, ShelfRegion], years: Sequence[int]
) -> None:
    """Refuse a record that was never asked for what a run needs.

    Parameters
    ----------
    asked : mapping
        Of the record.
    run : Run
        Its choices of clouds and platforms must not be wider than those of the record.
    regions : mapping of str to ShelfRegion
        Shelves of the run by id.
    years : sequence of int
        Its summers, in order.

    Raises
    ------
    InputError
        Names what was not searched, and what was.
    """
    wanted = [(shelf, year) for shelf in regions for year in years]
    missing = [f"{shelf}/{year}" for shelf, year in wanted if not _has(asked, regions[shelf], year)]
    if missing:
        found = f"the record covers {_covered(asked)} only, not {_some(missing)}"
        msg = f"inputs.recorded: {found}; {ASK}"
        raise InputError(msg)
    narrower = _shorter(asked, run, years) or _narrower(asked, run.choices)
    if narrower:
        msg = f"inputs.recorded: {narrower}, or search again"
        raise InputError(msg)


def _shorter(asked: Mapping[str, Any], run: Run, years: Sequence[int]) -> str:
    """Return which days of the summers of a run a record lacks; nothing if it has them all."""
    if "period" not in asked:
        return ""
    first = max(run.period[0], austral_summers.days_of(years[0])[0])
    last = min(run.period[1], austral_summers.days_of(years[-1])[1])
    start, end = (dt.date.fromisoformat(day) for day in asked["period"])
    if start <= first and last <= end:
        return ""
    return f"the record covers {start} to {end} only, not {first} to {last}; shorten the period"


def _narrower(asked: Mapping[str, Any], choices: ScenesChoices) -> str:
    """Return in what a record is narrower than the choices of a run; nothing if it is not."""
    cloud = asked.get("most_cloud", choices.most_cloud)
    if choices.most_cloud > cloud:
        found = f"found a record of scenes with at most {cloud:g} % cloud"
        return f"{found}, expected {choices.most_cloud:g} %; lower scenes.most_cloud"
    lacking = sorted(set(choices.platforms) - set(asked.get("platforms", choices.platforms)))
    if lacking:
        found = f"the record was not asked for {', '.join(lacking)}"
        return f"{found}; leave that out of scenes.platforms"
    return ""


def _has(asked: Mapping[str, Any], region: ShelfRegion, year: int) -> bool:
    if "summers" in asked:
        return f"{region.id}/{year}" in asked["summers"]
    if "summer" in asked and int(asked["summer"]) != year:
        return False
    return "roi" not in asked or _covers(asked["roi"], region)


def _covers(roi: Mapping[str, Any], region: ShelfRegion) -> bool:
    """Tell whether a searched region holds a shelf, but for what simplified edges cut off."""
    if not landsat_footprints.is_polar(roi):
        return True
    searched = landsat_footprints.region_in_plane(roi)
    shared = shapely.intersection(searched, region.outline).area
    return bool(shared >= COVERED * region.outline.area)


def _covered(asked: Mapping[str, Any]) -> str:
    if "summers" in asked:
        return _some([str(name) for name in asked["summers"]])
    return f"the summer {asked['summer']} of the region that was searched"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
