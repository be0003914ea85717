"""How products of networks are told alike: rows of scores, and the item of the product."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import shapely

from pipelines import settings, tables
from pipelines.flows import catalogue_inputs, product_results
from stac import grids
from stac import publish as publishing

if TYPE_CHECKING:
    import pystac

    from pipelines.lifecycle import InputItem
    from pipelines.settings import Run

CONTINENT_M = 3.2e6
"""Radius of a circle around the pole that holds every ice shelf [m]."""

OTHER_FOLDS = "threshold=of_other_folds"
"""Note of scores of a cross-validation whose thresholds the other folds chose."""

NAMES = {
    "miou": "miou", "oa": "overall_accuracy", "precision": "precision", "recall": "recall",
    "f1": "f1", "iou": "iou", "psnr": "psnr", "ssim": "ssim", "uiqi": "uiqi", "cc": "cc",
    "rmse": "rmse", "texture": "texture_energy_ratio", "spread_cc": "spread_error_correlation",
    "spread_ratio": "error_over_spread", "cover_1": "coverage_of_1_sigma",
    "cover_2": "coverage_of_2_sigma",
    "lambda": "precision_over_recall", "lpips": "lpips", "ece": "expected_calibration_error",
}  # fmt: skip
"""Quantities of tables by the short names that scores have."""

UNITS = {"psnr": "dB"}
"""Of quantities that are not plain numbers."""


def region_set(run: Run) -> str:
    """Return what tables call the set of regions: the collections of tiles if nothing is named."""
    return run.regions or "+".join(getattr(run.inputs, "labels", ())) or "scenes"


def score_row(
    run: Run, quantity: str, region: str, value: float, uncertainty: float, *, note: str
) -> tables.Row:
    """Return a row of scores; the period is the run's, an uncertainty without a number NaN."""
    first, last = run.period
    sigma = float(uncertainty) if math.isfinite(uncertainty) else math.nan
    whole = quantity.removesuffix("_by_gap_fraction").removesuffix("_gaps")
    return tables.Row(
        run.product, quantity, region_set(run), region, first, last, float(value),
        sigma, UNITS.get(whole, "1"), note,
    )  # fmt: skip


def provenance(run: Run, items: Iterable[InputItem], *, title: str) -> dict[str, Any]:
    """Return the attributes that say how a product was made."""
    return {
        **product_results.provenance(run, items, title=title),
        "nunatak:region_set": region_set(run),
    }


def publish(
    run: Run,
    title: str,
    *,
    items: Iterable[InputItem],
    sources: Iterable[pystac.Item],
    snapshot: str,
    properties: Mapping[str, Any],
    footprint: Mapping[str, Any] | None = None,
) -> None:
    """Write ``item.json``; it covers Antarctica where nothing narrower is given."""
    everywhere = grids.footprint(shapely.Point(0.0, 0.0).buffer(CONTINENT_M))
    product = publishing.Product(
        name=run.product,
        title=title,
        run_id=settings.run_id(run, catalogue_inputs.identity(tuple(items))),
        period=(run.period[0].isoformat(), run.period[1].isoformat()),
        lineage=settings.resolved(run),
        footprint=footprint or everywhere,
        code=grids.POLAR,
        properties={"snapshot": snapshot, **properties},
    )
    item = publishing.product_item(run.output, product, inputs=sources)
    publishing.publish(item, run.output)
