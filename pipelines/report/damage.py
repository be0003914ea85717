"""Damage of ice shelves in a report: series, maps of the most damaged, agreement of years."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipelines.report.pictures import Picture
from pipelines.report.rounding import pair, rounded
from pipelines.summary_page import Cell, Link, Table
from pipelines.tables import Row, summer_name

if TYPE_CHECKING:
    import zarr

    from pipelines.figures.damage_series import Series
    from pipelines.report.material import Material
    from pipelines.report.outputs import Output
    from pipelines.report.sheets import Cited

MOST_MAPS = 6
"""Shelves that are mapped, those with most damage: each costs reading its pixels."""
MOST_PAGES = 3
"""Pages of series, of nine shelves each."""
MEASURES = ("spearman", "concordance", "rmse")


def pictures(of: Material) -> Iterator[Picture]:
    """Yield series and maps of each product of damage."""
    for output in of.of("shelf_damage"):
        named = "" if len(of.of("shelf_damage")) == 1 else f"-{of.in_folder[output.name]}"
        yield from _series(of, output, named)
        yield from _maps(of, output, named)


def _series(of: Material, output: Output, named: str) -> Iterator[Picture]:
    from pipelines.figures import canvas, damage_series
    from pipelines.flows.shelf_damage_figures import of_region

    rows = [each.row for each in of.rows(output, "shelves")]
    marked = slc_off([each.row for each in of.rows(output, "scenes")])
    fractions: list[Series] = []
    areas: list[Series] = []
    for region in dict.fromkeys(row.region for row in rows):
        name = canvas.plain(region.replace("_", " "), most=24)
        both = [of_region(rows, quantity, region, name, marked.get(region, ()))
                for quantity in ("damage_fraction", "damage_area")]  # fmt: skip
        if len(both[0].years) and len(both[1].years):
            fractions.append(both[0])
            areas.append(both[1])
    pages = damage_series.pages(len(fractions)) if fractions else 0
    for page in range(1, min(pages, MOST_PAGES) + 1):
        yield _page(fractions, areas, page, f"{named}{'' if page == 1 else f'-{page}'}")


def _page(fractions: Sequence[Series], areas: Sequence[Series], page: int, named: str) -> Picture:
    from pipelines.figures import damage_series

    def draw() -> bytes:
        return damage_series.chart(fractions, areas, page=page)

    shown = fractions[(page - 1) * damage_series.PER_PAGE : page * damage_series.PER_PAGE]
    told = "; ".join(
        f"{one.name}: {_percent(one.values[0])} in {summer_name(int(one.years[0]))}, "
        f"{_percent(one.values[-1])} in {summer_name(int(one.years[-1]))}" for one in shown
    )  # fmt: skip
    caption = (
        "Damage of ice shelves by summer: part of the area [%] above, area [km²] below, with "
        "bounds of one standard deviation and Tang et al. (2026), equation 14; hollow where "
        "scenes of Landsat 7 have gaps. After their figure 11."
    )
    return Picture(f"damage-series{named}", draw, f"Curves of damage by summer. {told}.", caption)


def _percent(value: float) -> str:
    return f"{rounded(100.0 * value, 1)} %" if math.isfinite(value) else "not known"


def slc_off(rows: Sequence[Row]) -> dict[str, set[int]]:
    """Return the summers of each shelf to which a scene with the gaps of Landsat 7 gave a part."""
    found: dict[str, set[int]] = {}
    for row in rows:
        told = row.told
        supplied = row.quantity == "supplied_fraction" and row.value > 0.0
        if supplied and told.get("slc_off") == "1" and told.get("summer", "").isdecimal():
            found.setdefault(row.region, set()).add(int(told["summer"]))
    return found


def _maps(of: Material, output: Output, named: str) -> Iterator[Picture]:
    """Yield maps of the shelves with the largest damage, up to eight summers of each."""
    group = of.groups.of(output)
    for shelf in largest(group, [each.row for each in of.rows(output, "shelves")]):
        found = _map(of, group, shelf, named)
        if found is not None:
            yield found


def largest(group: zarr.Group, rows: Sequence[Row]) -> list[str]:
    """Return the shelves of a product that had most damage in any summer, most first."""
    from pipelines.flows import shelf_damage_arrays

    areas: dict[str, float] = {}
    for row in rows:
        if row.quantity == "damage_area" and math.isfinite(row.value):
            areas[row.region] = max(areas.get(row.region, 0.0), row.value)
    names: dict[str, str] = {}
    for shelf in shelf_damage_arrays.shelves(group):
        years = shelf_damage_arrays.summers(group, shelf)
        if years:
            made = group[f"{shelf}/{years[0]}"]
            names[shelf] = str(made.attrs["nunatak:name"]).replace(" ", "_")
    ordered = sorted(names, key=lambda shelf: (-areas.get(names[shelf], 0.0), shelf))
    return ordered[:MOST_MAPS]


def _map(of: Material, group: zarr.Group, shelf: str, named: str) -> Picture | None:
    from pipelines.figures import canvas
    from pipelines.flows import shelf_damage_arrays, shelf_damage_figures, shelf_damage_overview
    from pipelines.flows.shelf_damage_release_names import is_published
    from pipelines.stored import group_at

    years = [year for year in shelf_damage_arrays.summers(group, shelf)
             if is_published(group_at(group, f"{shelf}/{year}"))]  # fmt: skip
    shown = shelf_damage_figures.representative(years)
    if not shown:
        return None
    name = str(group_at(group, f"{shelf}/{shown[0]}").attrs["nunatak:name"])
    seen = {year: shelf_damage_overview.overview(group_at(group, f"{shelf}/{year}"))
            for year in shown}  # fmt: skip

    def draw() -> bytes:
        return shelf_damage_figures.maps(canvas.plain(name, most=40), seen, coast=of.coast)

    told = "; ".join(f"{summer_name(year)}: {_percent(seen[year].fraction)} of what is known"
                     for year in shown)  # fmt: skip
    caption = (
        f"Damage of {name.replace('_', ' ')}, share of each cell [%]; hatched where it is not "
        "known. After Tang et al. (2026), figures 12 to 15."
    )
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in shelf)[:40]
    alt = f"Maps of damage of {name.replace('_', ' ')}, {told}."
    return Picture(f"damage-map-{plain}{named}", draw, alt, caption)


def table(rows: Sequence[Cited]) -> Table | None:
    """Return damage of every shelf in its first and its last summer; None without any."""
    by_shelf: dict[str, list[Cited]] = {}
    for each in rows:
        if each.row.quantity == "damage_fraction":
            by_shelf.setdefault(each.row.region, []).append(each)
    if not by_shelf:
        return None
    lines: list[tuple[Cell, ...]] = []
    for name, found in sorted(by_shelf.items()):
        ordered = sorted(found, key=lambda each: each.row.period_start)
        lines.append((name.replace("_", " "), len(ordered), *_end(ordered[0]),
                      *(_end(ordered[-1]) if len(ordered) > 1 else ("", ""))))  # fmt: skip
    header = ("shelf", "summers", "first summer", "damage [%]", "last summer", "damage then [%]")
    return Table(header, tuple(lines), caption="Damaged part of the area of ice shelves",
                 numbers=("damage [%]", "damage then [%]"), headed=True)  # fmt: skip


def _end(of: Cited) -> tuple[str, Link]:
    told = of.row.told.get("summer", "")
    summer = summer_name(int(told)) if told.isdecimal() else of.row.period_start.isoformat()
    return summer, Link(pair(100.0 * of.row.value, 100.0 * of.row.uncertainty, fine=True), of.href)


def agreement(rows: Sequence[Cited]) -> Table | None:
    """Return how well maps of years that follow agree, medians over pairs; None without any."""
    held = {
        (each.row.region, each.row.quantity, each.row.told.get("advection", "")): each
        for each in rows if "median" in each.row.told
    }  # fmt: skip
    regions = dict.fromkeys(region for region, _, _ in held)
    if not regions:
        return None
    lines: list[tuple[Cell, ...]] = []
    for region in regions:
        cells = [held.get((region, name, way)) for name in MEASURES for way in ("no", "yes")]
        lines.append((region.replace("_", " "), *(
            "" if each is None else Link(rounded(each.row.value, 3), each.href)
            if math.isfinite(each.row.value) else "not known" for each in cells
        )))  # fmt: skip
    header = ("shelf", *(f"{name}, {way}" for name in MEASURES
                         for way in ("as it was", "carried")))  # fmt: skip
    return Table(header, tuple(lines), numbers=header[1:], headed=True,
                 caption="Agreement of maps of damage of summers that follow, medians over "
                 "pairs; carried: the earlier map moved with the ice")  # fmt: skip
