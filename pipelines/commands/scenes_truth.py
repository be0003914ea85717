"""Chosen scenes of the demo beside what is true of them: what was clear, and what was in gaps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from pipelines import tables
from pipelines.commands import columns
from pipelines.commands.demo_scenes import DemoScenes

if TYPE_CHECKING:
    import zarr

HEADER = (
    "scene",
    "shelf",
    "clear by QA [%]",
    "true [%]",
    "gaps [%]",
    "true gaps [%]",
    "stripes [m]",
)
CAPTION = """\
Chosen scenes: the part of the shelf that QA_PIXEL calls clear, and the part that is; gaps of
Landsat 7, and how far apart its stripes lie (true: 991 m). QA_PIXEL errs over ice."""


def compare(scenes: DemoScenes, output: str) -> list[dict[str, Any]]:
    """Print, and return for scripts, what was measured of each chosen scene beside the truth."""
    rows = [
        row
        for shelf in scenes.shelves
        for summer in {summer for known, summer in scenes.record.truth if known == shelf.id}
        for row in _summer(scenes, shelf.id, summer, _group(output))
    ]
    rows.sort(key=lambda row: (row["shelf"], row["scene"]))
    cells = [
        (
            row["scene"],
            row["shelf"],
            *(f"{100.0 * row[name]:.1f}" for name in ("clear", "true_clear", "gap", "true_gap")),
            f"{row['period_m']:.0f}" if np.isfinite(row["period_m"]) else "-",
        )
        for row in rows
    ]
    click.echo(CAPTION)
    columns.show(HEADER, cells, numbers=HEADER[2:])
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """Return a value as JSON takes it: no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _group(output: str) -> zarr.Group:
    import zarr

    from cluster import object_store, zarr_sink

    url = object_store.join(output, "product.icechunk")
    return zarr.open_group(zarr_sink.Repository.open(url, read_only=True).read(), mode="r")


def _summer(scenes: DemoScenes, shelf: str, summer: int, group: zarr.Group) -> list[dict[str, Any]]:
    from pipelines import stored
    from pipelines.flows import scenes_arrays, scenes_candidates

    made = stored.group_at(group, f"{shelf}/{summer}")
    ground = stored.group_at(group, shelf)
    roi = stored.values(ground, "roi") > 0
    x, y = (stored.read(made, name)[:] for name in ("x_screen", "y_screen"))
    candidates = scenes_candidates.read(made)
    scores = stored.read(made, "score")
    found = []
    for place, candidate in enumerate(stored.values(made, "candidate_of")):
        if not candidate:
            continue
        scene, row = candidates[candidate - 1], scores[candidate - 1]
        known = dict(zip(scenes_arrays.SCORES, row.tolist(), strict=True))
        record = stored.read(made, "gap_record", place)
        true_clear, true_gap = _truth(scenes, shelf, [g.id for g in scene.granules], x, y, roi)
        found.append(
            {
                "scene": scene.label,
                "shelf": shelf,
                "summer": tables.summer_name(summer),
                "clear": known["valid"],
                "true_clear": true_clear,
                "gap": known["gap"],
                "true_gap": true_gap,
                "period_m": float(record[scenes_arrays.GAP_QUANTITIES.index("period_m")]),
            }
        )
    return found


def _truth(
    scenes: DemoScenes,
    shelf: str,
    products: list[str],
    x: np.ndarray,
    y: np.ndarray,
    roi: np.ndarray,
) -> tuple[float, float]:
    """Return which part of the ROI was clear and which in gaps, as the world knows it [1]."""
    grid = next(each.grid for each in scenes.shelves if each.id == shelf)
    columns_at = np.rint((x - grid.x[0]) / grid.spacing).astype(int)
    rows_at = np.rint((grid.y[0] - y) / grid.spacing).astype(int)
    inside = ((rows_at >= 0) & (rows_at < grid.ny))[:, None] & (
        (columns_at >= 0) & (columns_at < grid.nx)
    )
    at = np.ix_(np.clip(rows_at, 0, grid.ny - 1), np.clip(columns_at, 0, grid.nx - 1))
    clear, gap = np.zeros(roi.shape, bool), np.zeros(roi.shape, bool)
    seen = np.zeros(roi.shape, bool)
    for product in products:
        with np.load(scenes.record.skies[product], allow_pickle=False) as sky:
            hidden = sky["cloud"][at] | sky["shadow"][at]
            clear |= ~hidden & (~sky["fill"][at] | sky["gap"][at]) & inside
            gap |= sky["gap"][at] & inside
            seen |= ~sky["fill"][at] & ~sky["gap"][at] & inside
    gap &= ~seen
    total = np.count_nonzero(roi)
    return float(np.count_nonzero(clear & roi) / total), float(np.count_nonzero(gap & roi) / total)
