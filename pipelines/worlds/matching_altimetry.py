"""Synthetic altimetry of the trend that a finished gravimetry product has.

Real elevation rates of the re-trackers are not public. To combine real months of gravity, their own
trend is taken for the truth, and the synthetic world measures it from above with its errors::

    python -m pipelines.worlds.matching_altimetry product.zarr folder --grounded polygons.gpkg

Snow, firn and velocity are those of the synthetic world, whose streams are not where real ones are.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
import geopandas as gpd
import numpy as np
import shapely
import yaml
import zarr
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from pipelines.kernels import geodesy
from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity import filters, harmonics, sphere
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation import Field
from pipelines.worlds.elevation_files import HALF_WIDTH_KM, AltimetryFiles, Inside, write_altimetry

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

LATTICE_KM = 20.0
"""Spacing on which the trend is evaluated: a tenth of the shortest wave of degree 180 [km]."""
CRS = "EPSG:3031"


def match_product(
    product: Path,
    folder: Path,
    *,
    grounded: Path,
    spacing_km: float = 5.0,
    smoothing_km: float = 0.0,
    seed: int = 1,
) -> AltimetryFiles:
    """Write altimetry whose truth is the mean trend of a gravimetry product.

    Parameters
    ----------
    product : Path
        ``product.zarr`` of a finished gravimetry run.
    folder : Path
        Where to write; made if absent.
    grounded : Path
        Polygons of grounded ice, in any projection that the file names.
    spacing_km : float
        Of the written grid [km].
    smoothing_km : float
        Radius of a Gaussian average before; 0 keeps the stripes of gravity in the truth [km].
    seed : int
        Draws the errors.

    Returns
    -------
    AltimetryFiles
        Paths of what was written.

    Raises
    ------
    ValueError
        A product without the arrays of a gravimetry run, or polygons without a projection.
    """
    return write_altimetry(
        Antarctica(),
        folder,
        seed=seed,
        spacing_km=spacing_km,
        mass_rate=trend_of(product, smoothing_km=smoothing_km),
        grounded=inside_of(grounded),
    )


def trend_of(product: Path, *, smoothing_km: float = 0.0) -> Field:
    """Return the mean trend of a gravimetry product as a field of EPSG:3031.

    The product's density lies on the sphere of harmonics. Mass is kept: with Ω the solid angle of a
    patch of true area A, σ_true = σ a² Ω / A (:mod:`pipelines.kernels.gravity.sphere`).

    Parameters
    ----------
    product : Path
        ``product.zarr``.
    smoothing_km : float
        Radius of a Gaussian average [km].

    Returns
    -------
    callable
        (x, y) [m] to rates of mass per true area [kg m⁻² yr⁻¹].
    """
    coefficients, reading = mean_trend(product)
    weights = filters.gaussian_weights(coefficients.shape[-1] - 1, radius_km=smoothing_km)
    reach = 1000.0 * (HALF_WIDTH_KM + LATTICE_KM)
    axis = np.arange(-reach, reach + 1.0, 1000.0 * LATTICE_KM)
    latitude, longitude = (
        each.ravel() for each in geodesy.inverse_polar_stereographic(*np.meshgrid(axis, axis))
    )
    on_sphere = harmonics.synthesise_at(
        coefficients * weights[:, None],
        sphere.latitude_on_sphere(latitude, reading=reading),
        longitude,
    )
    angle = sphere.solid_angle(np.ones(latitude.shape), latitude, reading=reading)
    on_ground = (on_sphere * MEAN_RADIUS**2 * angle).reshape(axis.size, axis.size)
    between = RegularGridInterpolator((axis, axis), on_ground, method="cubic")
    return lambda x, y: np.asarray(between(np.stack([y, x], axis=-1)))


def mean_trend(product: Path) -> tuple[FLOAT, sphere.Reading]:
    """Return the mean member of a gravimetry product, and how it reads latitude.

    Parameters
    ----------
    product : Path
        ``product.zarr``.

    Returns
    -------
    coefficients : ndarray, shape (2, J + 1, J + 1)
        Localised trend less the mean of the models of rebound [kg m⁻² yr⁻¹].
    reading : {"geocentric", "geographic"}
        See :mod:`pipelines.kernels.gravity.sphere`.
    """
    try:
        group = zarr.open_group(product, mode="r")
        mean = np.asarray(group["mass_rate_coefficients"])
    except (FileNotFoundError, KeyError) as error:
        msg = (
            f"{product} has no array mass_rate_coefficients; expected product.zarr of a finished "
            "gravimetry run"
        )
        raise ValueError(msg) from error
    if "mass_rate_gia" in group:
        mean = mean - np.asarray(group["mass_rate_gia"]).mean(axis=0)
    run = yaml.safe_load(str(group.attrs.get("nunatak:run", ""))) or {}
    reading = run.get("gravimetry", {}).get("latitude", "geocentric")
    return mean, cast("sphere.Reading", reading)


def inside_of(polygons: Path) -> Inside:
    """Return whether points lie within the polygons of a file.

    Parameters
    ----------
    polygons : Path
        Any format that GDAL reads.

    Returns
    -------
    callable
        (x, y) of EPSG:3031 [m] to bool.
    """
    table = gpd.read_file(polygons)
    if table.crs is None:
        msg = f"{polygons} names no projection; expected polygons that can be put on {CRS}"
        raise ValueError(msg)
    shape = table.to_crs(CRS).union_all()
    shapely.prepare(shape)

    def inside(x: FLOAT, y: FLOAT) -> BOOL:
        return np.asarray(shapely.contains_xy(shape, x, y))

    return inside


@click.command()
@click.argument("product", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--grounded", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--spacing-km", default=5.0, show_default=True)
@click.option("--smoothing-km", default=0.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(
    product: Path, folder: Path, grounded: Path, spacing_km: float, smoothing_km: float, seed: int
) -> None:
    """Write altimetry into FOLDER that matches the trend of the gravimetry product PRODUCT."""
    try:
        files = match_product(
            product,
            folder,
            grounded=grounded,
            spacing_km=spacing_km,
            smoothing_km=smoothing_km,
            seed=seed,
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    for path in (*files.elevation_rate, *files.surface_processes, *files.velocity):
        click.echo(str(path))


if __name__ == "__main__":
    main()
