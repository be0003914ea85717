"""The pictures of a combination, in the manner of figures 1, 2, 4, 5, 6 and 7 of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import product_results
from pipelines.flows.combination_arrays import SOURCES
from pipelines.flows.combination_spectra import Sources
from pipelines.flows.spectra import read_to_degree
from pipelines.kernels.constants import KG_PER_GT
from pipelines.kernels.gravity import harmonics
from stac import contracts

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.combination_arrays import Layout
    from pipelines.flows.combination_inputs import CombinationInputs
    from pipelines.settings import Run

FLOAT = NDArray[np.float64]

SHOWN = ("altimetry", "gravimetry", "combination")
"""Order of the panels, the paper's."""


def figures(
    group: zarr.Group, run: Run, found: CombinationInputs, layout: Layout
) -> dict[str, bytes]:
    """Return the pictures of a finished combination, as PNG."""
    named = f"{run.period[0]} to {run.period[1]}"
    polygons = contracts.open_regions(found.regions)
    lines = product_results.outlines(polygons)
    coast = product_results.coastlines(found.grounded_ice)
    drawn = {
        "degree_power": _degree_power(group, run, found, named),
        "coefficients": _coefficients(group, found, layout, named),
        "maps": _maps(group, layout, (lines, coast), named),
        "mass_rate_map": _map(group, layout, (lines, coast), named),
        "contribution": _contribution(group, run, named),
        "transects": _transects(group, layout, named),
        "basins": _basins(group, found, layout, polygons, named),
    }
    return {f"figures/{name}.png": data for name, data in drawn.items()}


def _by_source(group: zarr.Group, name: str) -> dict[str, FLOAT]:
    held = stored.read(group, name)
    return {source: held[SOURCES.index(source)] for source in SHOWN}


def _degree_power(group: zarr.Group, run: Run, found: CombinationInputs, named: str) -> bytes:
    from pipelines.figures import spectra

    altimetry, gravimetry = found.altimetry.source.open(), found.gravimetry.source.open()
    power, spread = (_by_source(group, f"degree_power{of}") for of in ("", "_spread"))
    components = {
        "altimetry": spread["altimetry"],
        "retracker and fit": stored.read(altimetry, "degree_power_spread_heights"),
        "density model": stored.read(altimetry, "degree_power_spread_models"),
        "gravimetry": spread["gravimetry"],
        "trend coefficients": _variance(gravimetry, "mass_rate_perturbation"),
    }
    if "mass_rate_gia" in gravimetry:
        components["GIA"] = _variance(gravimetry, "mass_rate_gia")
    taper = run.choices.taper
    ends = (taper.degree - taper.width, taper.degree)
    return spectra.sensors(power, spread, components, taper=ends, title=f"Power by degree, {named}")


def _variance(group: zarr.Group, name: str) -> FLOAT:
    """Return the population variance of a factor of gravimetry, by degree."""
    return np.asarray(stored.read(group, name).var(axis=0).sum(axis=(0, 2)))


def _coefficients(group: zarr.Group, found: CombinationInputs, layout: Layout, named: str) -> bytes:
    from pipelines.figures import coefficients

    top = layout.gravimetry_degree
    members = Sources(found.gravimetry.source, found.altimetry.source).gravimetry_members()
    means = {
        "altimetry": read_to_degree(group, "altimetry_coefficients", top),
        "gravimetry": harmonics.truncate(members.mean(), top),
        "combination": read_to_degree(group, "mass_rate_coefficients", top),
    }
    variances = {
        "altimetry": read_to_degree(group, "altimetry_variance", top),
        "gravimetry": harmonics.truncate(members.variance(), top),
        "combination": read_to_degree(group, "mass_rate_variance", top),
    }
    spreads = {name: np.sqrt(values) for name, values in variances.items()}
    return coefficients.triangles(means, spreads, j_max=top, title=f"Coefficients, {named}")


_ARRAYS = {
    "altimetry": "altimetry_mass_rate",
    "gravimetry": "gravimetry_mass_rate",
    "combination": "mass_rate",
}
Lines = list[tuple[FLOAT, FLOAT]]


def _maps(group: zarr.Group, layout: Layout, lines: tuple[Lines, Lines], named: str) -> bytes:
    from pipelines.figures import panels

    means = {name: stored.read(group, array) for name, array in _ARRAYS.items()}
    means["gravimetry"] = stored.read(group, "gravimetry_mass_rate_gaussian")
    spreads = {name: stored.read(group, f"{array}_sigma") for name, array in _ARRAYS.items()}
    return panels.rate_maps(
        layout.x, layout.y, means, spreads, outlines=lines[0], coast=lines[1],
        title=f"Rate of mass change, {named} (mean of gravimetry filtered, Gaussian 145 km)",
    )  # fmt: skip


def _map(group: zarr.Group, layout: Layout, lines: tuple[Lines, Lines], named: str) -> bytes:
    from pipelines.figures import maps

    return maps.rate_map(
        layout.x, layout.y, stored.read(group, "mass_rate"), outlines=lines[0], coast=lines[1],
        title=f"Mass change, gravimetry and altimetry combined, {named}", diverging=True,
    )  # fmt: skip


def _contribution(group: zarr.Group, run: Run, named: str) -> bytes:
    from pipelines.figures import spectra

    held = stored.read(group, "cumulative_power_fraction")
    shares = {SOURCES[i]: held[i] for i in (0, 1)}
    marks = run.choices.contribution_degrees
    return spectra.contribution(shares, marks=marks, title=f"Contributions, {named}")


def _transects(group: zarr.Group, layout: Layout, named: str) -> bytes:
    from pipelines.figures import transects

    mean, sigma = (stored.read(group, f"transect_mass_rate{of}") for of in ("", "_sigma"))
    grounded = stored.read(group, "transect_grounded")
    distance = stored.read(group, "distance") / 1e3
    profiles = []
    for i, name in enumerate(layout.transects):
        here = np.isfinite(grounded[i])
        curves = {
            source: (mean[s, i, here], sigma[s, i, here])
            for source in SHOWN
            for s in (SOURCES.index(source),)
        }
        profiles.append(transects.Profile(name, distance[here], curves, grounded[i, here]))
    return transects.profiles(profiles, title=f"Rate of mass change along transects, {named}")


def _basins(
    group: zarr.Group,
    found: CombinationInputs,
    layout: Layout,
    polygons: gpd.GeoDataFrame,
    named: str,
) -> bytes:
    from pipelines.figures import panels

    groups = {
        "altimetry": found.altimetry.source.open(),
        "gravimetry": found.gravimetry.source.open(),
        "combination": group,
    }
    count = len(polygons)
    values = {
        name: stored.read(each, "region_mass_rate")[:count] / KG_PER_GT
        for name, each in groups.items()
    }
    sigmas = {
        name: np.sqrt(np.diag(stored.read(each, "region_mass_rate_covariance")))[:count] / KG_PER_GT
        for name, each in groups.items()
    }
    shapes = [product_results.outlines(polygons.iloc[[i]]) for i in range(count)]
    return panels.basin_maps(
        shapes, layout.regions[:count], values, sigmas, title=f"Mass change of basins, {named}"
    )
