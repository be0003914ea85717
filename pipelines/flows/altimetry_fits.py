"""Heights along tracks to gridded rates: the stages of an altimetry run that starts from granules.

Sasgen et al. (2019), appendix A. Tiles of 2 km pixels are fitted where granules cross them, each by
all models; then each model becomes a member on the grid of the run.

======== ================================= ========================================
stage    keys                              writes
======== ================================= ========================================
fit      ``fit/3-7`` …                     rates in the pixels of a tile, all models
grid     ``grid/0`` …                      rates of one model on the grid
======== ================================= ========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.catalogue_inputs import InputError, source_of
from pipelines.kernels import geodesy
from pipelines.kernels.altimetry import gridding, surface_fits
from pipelines.kernels.altimetry.surface_fits import Pixels, Points
from pipelines.kernels.constants import DAYS_PER_YEAR, SECONDS_PER_DAY
from pipelines.lifecycle import MIB, Stage

if TYPE_CHECKING:
    import pystac
    import xarray as xr
    import zarr

    from pipelines.flows.altimetry_arrays import Layout
    from pipelines.flows.altimetry_inputs import AltimetryInputs
    from pipelines.flows.catalogue_inputs import Source
    from pipelines.settings import Run
    from pipelines.settings_altimetry import Fits

FLOAT = NDArray[np.float64]

TILE_PIXELS = 50
"""Pixels along the side of a tile, one stored chunk: 100 km at 2 km."""

MARGIN_M = 20_000.0
"""How far a granule may stray from the line between the vertices of its footprint [m]."""

TILE_POINTS = 1_000_000
"""Points of a tile that memory is planned for: 60 a square kilometre in seven years, and more."""


@dataclass(frozen=True)
class Raster:
    """The pixels that heights are fitted in."""

    left: float
    top: float
    spacing: float
    rows: int
    columns: int

    @classmethod
    def covering(cls, x: FLOAT, y: FLOAT, spacing: float) -> Raster:
        """Return whole tiles of pixels over a grid of cells."""
        half = abs(float(x[1] - x[0])) / 2.0
        left, top = float(x.min()) - half, float(y.max()) + half
        side = spacing * TILE_PIXELS
        across = np.ceil((float(x.max()) + half - left) / side)
        down = np.ceil((top - float(y.min()) + half) / side)
        return cls(left, top, spacing, int(down) * TILE_PIXELS, int(across) * TILE_PIXELS)

    def tile(self, key: str) -> tuple[Pixels, slice, slice]:
        """Return the pixels of ``fit/ROW-COLUMN``, and its rows and columns in the raster."""
        row, column = (int(part) for part in key.partition("/")[2].split("-"))
        first, left = row * TILE_PIXELS, column * TILE_PIXELS
        pixels = Pixels(
            self.left + left * self.spacing,
            self.top - first * self.spacing,
            self.spacing,
            TILE_PIXELS,
            TILE_PIXELS,
        )
        return pixels, slice(first, first + TILE_PIXELS), slice(left, left + TILE_PIXELS)

    def axes(self) -> tuple[FLOAT, FLOAT]:
        """Return x and y of the centres of the pixels [m]."""
        column = np.arange(self.columns, dtype=np.float64)
        row = np.arange(self.rows, dtype=np.float64)
        x: FLOAT = self.left + (column + 0.5) * self.spacing
        y: FLOAT = self.top - (row + 0.5) * self.spacing
        return x, y

    def tiles_of(self, item: pystac.Item) -> list[str]:
        """Return the keys of the tiles that a granule may cross, by the box of its footprint."""
        longitude, latitude = np.array(_vertices(item.geometry)).T
        x, y = geodesy.polar_stereographic(latitude, longitude)
        side = self.spacing * TILE_PIXELS
        columns = _range((x - self.left) / side, MARGIN_M / side, self.columns // TILE_PIXELS)
        rows = _range((self.top - y) / side, MARGIN_M / side, self.rows // TILE_PIXELS)
        return [f"fit/{row}-{column}" for row in rows for column in columns]


def _range(place: FLOAT, margin: float, count: int) -> range:
    first, last = int(np.floor(place.min() - margin)), int(np.floor(place.max() + margin))
    return range(max(first, 0), min(last, count - 1) + 1)


def _vertices(geometry: Mapping[str, Any] | None) -> list[tuple[float, float]]:
    """Return longitude and latitude of all vertices of a GeoJSON geometry."""
    import shapely
    import shapely.geometry

    if geometry is None:
        msg = "a granule without a footprint cannot be placed; ingest it again"
        raise InputError(msg)
    points = shapely.get_coordinates(shapely.segmentize(shapely.geometry.shape(geometry), 0.5))
    return [(float(lon), float(lat)) for lon, lat in points]


@dataclass(frozen=True)
class FitJob:
    """``fit/3-7``: the pixels of one tile, by every model."""

    granules: Mapping[str, tuple[Source, ...]]
    terrain: Source | None
    choices: Fits
    raster: Raster
    period: tuple[float, float]

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write rates and standard errors; a granule that cannot be read fails the tile."""
        pixels, rows, columns = self.raster.tile(key)
        sources = self.granules[key]
        points = self._points(sources, pixels)
        ground = self._terrain(points) if "M1" in self.choices.models else None
        fitted = [
            surface_fits.fit(
                points,
                pixels,
                model=model,
                terrain=ground,
                least_points=self.choices.least_points,
                least_years=self.choices.least_years,
                rejection=self.choices.rejection,
            )
            for model in self.choices.models
        ]
        rates, sigmas = (np.stack([each[i] for each in fitted]) for i in (0, 1))
        stored.array(group, "fitted_rate")[:, rows, columns] = rates
        stored.array(group, "fitted_rate_sigma")[:, rows, columns] = sigmas
        known = int(np.isfinite(rates[-1]).sum())
        note = f"{len(points.x)} points of {len(sources)} granules, {known} pixels"
        return Receipt(key, "done", inputs=tuple(s.id for s in sources), note=note)

    def _points(self, sources: tuple[Source, ...], pixels: Pixels) -> Points:
        wanted = ["x", "y", "time", "elevation"]
        read = (source.read(lambda data: data[wanted].load()) for source in sources)
        parts = [self._granule(data, pixels) for data in read]  # a few MB at a time
        return Points(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _granule(self, data: xr.Dataset, pixels: Pixels) -> Points:
        """Return the points of one granule in the tile and in the period."""
        x, y = data.x.values, data.y.values
        time = data.time.values.astype("datetime64[ns]").astype(np.int64) / 1e9
        years = 1970.0 + time / (DAYS_PER_YEAR * SECONDS_PER_DAY)
        here = (pixels.index(x, y) >= 0) & (years >= self.period[0]) & (years < self.period[1])
        height = data.elevation.values
        return Points(x[here], y[here], years[here], height[here])

    def _terrain(self, points: Points) -> FLOAT:
        """Return the DEM at points, bilinearly; missing beyond it."""
        if self.terrain is None:
            msg = "M1 needs inputs.surface_elevation"
            raise KeyFailed(msg)
        if not points.x.size:
            return np.empty(0)
        near = self.terrain.read(lambda data: self._around(points, data).load())  # a tile of it
        if min(near.sizes["x"], near.sizes["y"]) < 2:
            return np.full(points.x.size, np.nan)
        dem = near.surface_elevation.values
        return surface_fits.terrain_at(points, near.x.values, near.y.values, dem)

    def _around(self, points: Points, data: xr.Dataset) -> xr.Dataset:
        """Return the part of a DEM that holds the points, with two of its cells around them."""
        margin = 2.0 * abs(float(data.x[1] - data.x[0]))
        return data.sel(
            x=slice(points.x.min() - margin, points.x.max() + margin),
            y=slice(points.y.max() + margin, points.y.min() - margin),
        )


@dataclass(frozen=True)
class GridJob:
    """``grid/0``: one model from its pixels onto the grid of the run, within 25 km."""

    choices: Fits
    raster: Raster

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the measured rates of one member."""
        index = int(key.partition("/")[2])
        x, y = self.raster.axes()
        found = gridding.inverse_distance(
            x,
            y,
            stored.read(group, "fitted_rate", index),
            stored.read(group, "x_grid"),
            stored.read(group, "y_grid"),
            radius=1_000.0 * self.choices.radius_km,
        )
        stored.write(group, "elevation_rate_measured", found, index)
        return Receipt(key, "done", note=f"{np.isfinite(found).mean():.1%} of cells have a rate")


def raster_of(run: Run, found: AltimetryInputs) -> Raster | None:
    """Return the pixels of a run on granules; None for gridded rates."""
    if not found.granules:
        return None
    return Raster.covering(found.x, found.y, 1_000.0 * run.choices.fits.pixel_km)


def stages(run: Run, found: AltimetryInputs, layout: Layout, first: Stage) -> tuple[Stage, ...]:
    """Return the stages from granules to measured rates on the grid, after the common first one."""
    raster = raster_of(run, found)
    if raster is None:
        return (first,)
    by_tile: dict[str, list[Source]] = {}
    for item in found.granules:
        for key in raster.tiles_of(item):
            by_tile.setdefault(key, []).append(source_of(item))
    if not by_tile:
        msg = "inputs.elevation_rate: no granule crosses the grounded ice; ingest others"
        raise InputError(msg)
    choices = run.choices.fits
    terrain = source_of(found.surface_elevation) if found.surface_elevation else None
    granules = {key: tuple(sources) for key, sources in by_tile.items()}
    tiles = tuple(sorted(granules))
    members = tuple(f"grid/{i}" for i in range(len(choices.models)))
    field = 8 * len(layout.x_grid) * len(layout.y_grid)
    return (
        first,
        Stage("fit", tiles,
              FitJob(granules, terrain, choices, raster, _period(run)),
              TILE_POINTS * 8 * 80 + 64 * MIB, 3.0, "points of a tile and their normal equations"),
        Stage("grid", members, GridJob(choices, raster),
              8 * raster.rows * raster.columns * 2 + 16 * field, 10.0,
              "pixels of one model, and a few grids", members),
    )  # fmt: skip


def _period(run: Run) -> tuple[float, float]:
    """Return the period in the mean years that heights are dated in."""
    day = np.timedelta64(1, "D")
    first, last = (np.datetime64(each, "D") for each in run.period)
    epoch = np.datetime64("1970-01-01", "D")
    begins, ends = (float((each - epoch) / day) for each in (first, last + day))
    return 1970.0 + begins / DAYS_PER_YEAR, 1970.0 + ends / DAYS_PER_YEAR
