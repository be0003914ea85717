"""How a finished gravimetry product is told: tables, figures, provenance, catalogue item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows import gravimetry_inputs as inputs
from pipelines.flows import product_results, regions
from pipelines.flows.gravimetry_arrays import Layout
from pipelines.kernels.constants import KG_PER_GT
from pipelines.lifecycle import Finished
from stac import contracts

if TYPE_CHECKING:
    import zarr

    from pipelines.settings import Run

FLOAT = NDArray[np.float64]

TITLE = "Rate of mass change of the Antarctic ice sheet from satellite gravimetry"


def provenance(run: Run, found: inputs.GravimetryInputs) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **product_results.provenance(run, found.items, title=TITLE),
        "references": "Sasgen et al. (2019), sections 2.1, 2.6, 3.3",
        "nunatak:seed": run.choices.seed,
        "nunatak:love_numbers": found.love_numbers.properties.get("nunatak:digest", ""),
    }


def tell(finished: Finished, *, run: Run, found: inputs.GravimetryInputs, layout: Layout) -> None:
    """Write tables, figures and, last, ``item.json``."""
    written = {
        "tables/regions.csv": tables.write_rows(region_rows(finished.group, run, layout)),
        "tables/series.csv": tables.write_rows(series_rows(finished.group, run, layout)),
        **figures(finished.group, run, found, layout),
    }
    for path, data in written.items():
        finished.write(path, data)
    product_results.publish(
        run,
        TITLE,
        inputs=found,
        snapshot=finished.snapshot,
        properties={"seed": run.choices.seed},
    )


def region_rows(group: zarr.Group, run: Run, layout: Layout) -> list[tables.Row]:
    """Return one row per region and group, and one for the buffered total.

    Totals come from the members' sums over the joined kernels, never from adding rows.
    """
    rate = stored.read(group, "region_mass_rate") / KG_PER_GT
    covariance = stored.read(group, "region_mass_rate_covariance") / KG_PER_GT**2
    formal = stored.read(group, "region_mass_rate_formal") / KG_PER_GT
    months = int(np.isfinite(stored.read(group, "mass_anomaly", 0)).sum())
    spread = np.sqrt(np.diag(covariance))
    return [
        product_results.row(
            run,
            "mass_rate_buffered" if name == regions.BUFFERED else "mass_rate",
            regions.ALL if name == regions.BUFFERED else name,
            float(rate[i]),
            float(spread[i]),
            unit="Gt yr-1",
            note=f"formal={formal[i]:.3f};months={months}",
        )
        for i, name in enumerate(layout.regions)
    ]


def series_rows(group: zarr.Group, run: Run, layout: Layout) -> list[tables.Row]:
    """Return one row per region and month that was measured."""
    anomaly = stored.read(group, "mass_anomaly") / KG_PER_GT
    sigma = stored.read(group, "mass_anomaly_sigma") / KG_PER_GT
    last = layout.end - np.timedelta64(1, "s")
    rows = []
    for i, name in enumerate(layout.regions):
        for t in np.flatnonzero(np.isfinite(anomaly[i])):
            days = (_day(layout.start[t]), _day(last[t]))
            note = "buffered" if name == regions.BUFFERED else ""
            region = regions.ALL if name == regions.BUFFERED else name
            value, error = float(anomaly[i, t]), float(sigma[i, t])
            rows.append(
                product_results.row(
                    run, "mass_anomaly", region, value, error, unit="Gt", note=note, days=days
                )
            )
    return rows


def _day(moment: np.datetime64) -> Any:
    return moment.astype("datetime64[D]").item()


def figures(
    group: zarr.Group, run: Run, found: inputs.GravimetryInputs, layout: Layout
) -> dict[str, bytes]:
    """Return the pictures people expect of gravimetry, as PNG."""
    from pipelines.figures import spectra

    named = f"{run.period[0]} to {run.period[1]}"
    power = stored.read(group, "degree_power"), stored.read(group, "degree_power_spread")
    return {
        **_maps(group, run, found, layout, named),
        "figures/series.png": _series_figure(group, layout, named),
        "figures/degree_power.png": spectra.degree_power(*power, title=f"Power by degree, {named}"),
    }


def _maps(
    group: zarr.Group, run: Run, found: inputs.GravimetryInputs, layout: Layout, named: str
) -> dict[str, bytes]:
    from pipelines.figures import maps

    smooth = f"Gaussian {run.choices.figures.gaussian_km:.0f} km"
    wanted = {
        "trend_map": ("mass_rate_gaussian", f"Mass change, {named}, {smooth}", True),
        "spread_map": ("mass_rate_sigma", f"Spread of the members, {named}, unfiltered", False),
        "destriped_map": ("mass_rate_destriped", f"Destriped, {named}, {smooth}", True),
    }
    lines = product_results.outlines(contracts.open_regions(found.regions))
    coast = product_results.coastlines(found.grounded_ice)
    return {
        f"figures/{path}.png": maps.rate_map(
            layout.x,
            layout.y,
            stored.read(group, array),
            outlines=lines,
            coast=coast,
            title=title,
            diverging=diverging,
        )
        for path, (array, title, diverging) in wanted.items()
        if array in group
    }


def _series_figure(group: zarr.Group, layout: Layout, named: str) -> bytes:
    from pipelines.figures import series

    anomaly = stored.read(group, "mass_anomaly") / KG_PER_GT
    sigma = stored.read(group, "mass_anomaly_sigma") / KG_PER_GT
    rate = stored.read(group, "region_mass_rate") / KG_PER_GT
    spread = np.sqrt(np.diag(stored.read(group, "region_mass_rate_covariance"))) / KG_PER_GT
    shown = {*regions.GROUPS, regions.ALL}
    groups = {
        name: (anomaly[i], sigma[i], float(rate[i]), float(spread[i]))
        for i, name in enumerate(layout.regions)
        if name in shown
    }
    return series.group_series(layout.epochs, groups, title=f"Mass anomaly, {named}")
