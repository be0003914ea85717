"""Errors of gravimetry, altimetry and their combination against a known truth, by scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

FLOAT = NDArray[np.float64]

TRUTH_SPACING_KM = 10.0
"""Pixels that the true field is averaged over; the cells of the demo are five times as wide."""

HALF_WAVES_KM = (4000, 2000, 1000, 500, 333, 200, 133, 80, 40)
"""Scales that are told: errors of everything longer than that, 20 000 km / degree."""

NEEDED = ("gravimetry", "altimetry", "combination")
"""Products whose errors are compared."""

CAPTION = (
    "Everything longer than a scale, root mean square over the sphere [kg m-2 yr-1]:\n"
    "the true signal, and the error of each. Where altimetry hardly counts, beyond 1000 km,\n"
    "one world may leave the combination a little worse than gravimetry; below, it is the best."
)
"""What the table of errors shows."""

HEADER = ("scale_km", "signal", "gravimetry", "altimetry", "combination")
"""Columns of the table; root mean squares over the sphere, kg m-2 yr-1."""


def errors(world: Antarctica, output: str) -> dict[str, FLOAT]:
    """Return the power by degree of the true field and of three errors.

    Parameters
    ----------
    world : Antarctica
        The truth.
    output : str
        Address of a finished combination.

    Returns
    -------
    dict of str to ndarray, shape (J + 1,)
        ``signal``, and errors of ``gravimetry``, ``altimetry``, ``combination`` [kg² m⁻⁴ yr⁻²].
        The combination is judged before the correction of its total.
    """
    import zarr

    from cluster import object_store, zarr_sink
    from pipelines.kernels.gravity import harmonics

    address = object_store.join(output, "product.icechunk")
    repository = zarr_sink.Repository.open(address, read_only=True)
    group = zarr.open_group(repository.read(), mode="r")
    combined = np.asarray(group["mass_rate_coefficients"])
    j_max = combined.shape[-1] - 1
    true = true_coefficients(world, j_max=j_max)
    fields = {
        "gravimetry": harmonics.truncate(_gravimetry(group), j_max),
        "altimetry": np.asarray(group["altimetry_coefficients"]),
        "combination": combined,
    }
    found = {name: harmonics.degree_variance(field - true) for name, field in fields.items()}
    return {"signal": harmonics.degree_variance(true), **found}


def _gravimetry(group: Any) -> FLOAT:
    """Return the mean member of the gravimetry that a combination was made of."""
    import yaml
    import zarr

    from cluster import object_store, zarr_sink
    from pipelines.flows.gravimetry_stages import read_ensemble

    run = yaml.safe_load(group.attrs["nunatak:run"])
    address = object_store.join(run["inputs"]["gravimetry"], "product.icechunk")
    snapshot = group.attrs["nunatak:products"]["gravimetry"]["snapshot"]
    repository = zarr_sink.Repository.open(address, read_only=True)
    mean, _ = read_ensemble(zarr.open_group(repository.read(snapshot), mode="r"))
    return mean


def true_coefficients(world: Antarctica, *, j_max: int) -> FLOAT:
    """Return the true rate of mass on grounded ice, shape (2, j_max + 1, j_max + 1)."""
    from pipelines.kernels import geodesy
    from pipelines.kernels.altimetry import regridding
    from pipelines.kernels.gravity.cap_grid import cap_grid
    from pipelines.kernels.gravity.cap_transform import CapTransform
    from pipelines.kernels.gravity.layouts import unpack
    from pipelines.worlds.elevation_files import grid_axis

    axis = grid_axis(TRUTH_SPACING_KM)
    x, y = np.meshgrid(axis, axis[::-1])
    places = geodesy.inverse_polar_stereographic(x, y)
    inside = np.asarray(world.is_grounded(*places))
    field = np.where(inside, world.mass_rate(*places), 0.0)
    # The finest cells that divide a degree evenly and carry the degree.
    step = next(s for s in (0.5, 0.25, 0.2, 0.1, 0.05) if round(180.0 / s) - 1 >= j_max)
    grid = cap_grid(step, north=-58.0)
    cells = regridding.conservative(axis, axis[::-1], grid, wanted=inside).apply(field)
    (true,) = unpack(CapTransform(grid, j_max).analyse(cells[None]), j_max=j_max)
    return np.asarray(true)


def by_scale(errors: Mapping[str, FLOAT]) -> list[dict[str, Any]]:
    """Return root mean squares of everything longer than each scale.

    Parameters
    ----------
    errors : mapping of str to ndarray, shape (J + 1,)
        Power by degree.

    Returns
    -------
    list of dict
        ``scale_km``, and a number for each name [kg m⁻² yr⁻¹].
    """
    j_max = len(errors["signal"]) - 1
    rows = []
    for scale in HALF_WAVES_KM:
        degree = 20_000 // scale
        if degree <= j_max:
            sums = {
                name: float(np.sqrt(power[: degree + 1].sum())) for name, power in errors.items()
            }
            rows.append({"scale_km": scale, **sums})
    return rows


def cells(table: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row of text per scale, in the order of ``HEADER``."""
    return [(f"{row['scale_km']}", *(f"{row[name]:.3f}" for name in HEADER[1:])) for row in table]


def figure(errors: Mapping[str, FLOAT]) -> bytes:
    """Return the errors by degree as a picture, PNG."""
    from pipelines.figures import spectra

    return spectra.error_by_degree(errors, title="Errors against the truth, by degree")
