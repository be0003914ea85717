"""Screening: what each candidate shows of its ROI, on a coarse grid and through overviews.

A hundredth of a scene's pixels, one in the middle of each 300 m cell, decides whether the scene is
worth reading. Fractions of the ROI so found are within 0.3 % of those of all pixels for a region of
100,000 cells (binomial error); gaps of the scan line corrector are narrower than two cells and are
told from the outside of a scene by what lies on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import scenes_arrays, scenes_candidates, scenes_reading
from pipelines.flows.catalogue_inputs import Source
from pipelines.flows.scenes_candidates import Scene
from pipelines.flows.scenes_reading import Look, Reading
from pipelines.flows.scenes_sun import sun_of
from pipelines.kernels.imagery import quality_bits, radiometry, scene_scores
from stac import ice_shelves
from stac.ice_shelves import ShelfRegion
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    import zarr

BOOL = NDArray[np.bool_]


@dataclass(frozen=True)
class GroundJob:
    """Key ``ground/SHELF``: which cells of the screening grid are ROI, and which flow fast.

    Attributes
    ----------
    regions : mapping of str to ShelfRegion
        By id.
    factor : int
        Pixels along a cell.
    velocity : Source or None
        A map of velocity; without one no ice is known to be fast.
    fast_m_per_yr : float
        Speed from which ice counts as fast [m yr⁻¹].
    years : tuple of int
        Summers, each of which gets the outline that the shelf had then.
    """

    regions: dict[str, ShelfRegion]
    factor: int
    velocity: Source | None
    fast_m_per_yr: float
    years: tuple[int, ...]

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Rasterise the ROI and the speed."""
        shelf = key.partition("/")[2]
        region = self.regions[shelf]
        screen = region.grid.coarser(self.factor)
        made = stored.group_at(group, shelf)
        roi = ice_shelves.mask(region, screen)
        if not roi.any():
            msg = f"{region.name}: its ROI holds no cell of {screen.spacing:g} m; lower screening_m"
            raise KeyFailed(msg)
        stored.write(made, "roi", roi.astype(np.uint8))
        fast = np.zeros(screen.shape, dtype=bool)
        if self.velocity is not None:
            fast = roi & (speed_on(self.velocity, screen) >= self.fast_m_per_yr)
        stored.write(made, "fast", fast.astype(np.uint8))
        for year in self.years:
            outline = region.extent(year)
            cells = None if outline is None else ice_shelves.mask(region, screen, year)
            if cells is not None:
                summer = stored.group_at(group, f"{shelf}/{year}")
                stored.write(summer, "shelf", cells.astype(np.uint8))
        return Receipt(key, "done", inputs=(self.velocity.id,) if self.velocity else ())


def speed_on(source: Source, grid: PixelGrid) -> NDArray[np.float64]:
    """Return the speed nearest to each cell [m yr⁻¹]; NaN beyond the map."""

    def near(dataset: object) -> NDArray[np.float64]:
        import xarray as xr

        if not isinstance(dataset, xr.Dataset):
            raise TypeError(dataset)
        axes = {"x": xr.DataArray(grid.x, dims="x"), "y": xr.DataArray(grid.y, dims="y")}
        step = abs(float(dataset["x"][1] - dataset["x"][0]))
        taken = dataset[["v_x", "v_y"]].reindex(
            {name: axis.to_numpy() for name, axis in axes.items()}, method="nearest", tolerance=step
        )
        return np.asarray(np.hypot(taken["v_x"].to_numpy(), taken["v_y"].to_numpy()))

    return source.read(near)


@dataclass(frozen=True)
class ScreenJob:
    """Key ``screen/SHELF/SUMMER/CANDIDATE``: its coarse mask, its quicklook, its scores."""

    reading: Reading
    factor: int
    reject: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Look at one candidate."""
        _, shelf, year, index = key.split("/")
        made = stored.group_at(group, f"{shelf}/{year}")
        scene = scenes_candidates.read(made)[int(index)]
        screen = scenes_candidates.grid_of(made).coarser(self.factor)
        with scenes_reading.failing(scene):
            scenes_reading.verify(scene, ("qa_pixel", "mtl"), self.reading.verify)
            seen = screened(scene, screen, self.reading)
        ground = stored.group_at(group, shelf)
        roi, fast = (stored.values(ground, name) > 0 for name in ("roi", "fast"))
        found = scene_scores.scores(seen.mask, roi, fast, reject=self.reject)
        stored.write(made, "screen_mask", seen.mask, int(index))
        stored.write(made, "quicklook", _quicklook(seen), int(index))
        stored.write(made, "score", _row(found, scene), int(index))
        return Receipt(key, "done", inputs=tuple(granule.id for granule in scene.granules))


def screened(scene: Scene, screen: PixelGrid, reading: Reading) -> Look:
    """Return all granules of a scene joined on the screening grid, seams hard."""
    looks = [
        scenes_reading.look(granule, screen, reading, sun=sun_of(granule, screen, reading.sun))
        for granule in scene.granules
    ]
    deep = scenes_reading.depths(scene, screen, factor=1)
    return scenes_reading.joined(looks, None if deep is None else deep.distance, feather_m=0.0)


def _quicklook(seen: Look) -> NDArray[np.uint8]:
    shown = radiometry.stretched_bytes(radiometry.reflectance_of(seen.counts))
    shown[:, (seen.mask & np.uint16(quality_bits.FILL)) != 0] = 0
    return np.moveaxis(shown, 0, -1)


def _row(found: scene_scores.Scores, scene: Scene) -> NDArray[np.float64]:
    told = scene_scores.as_columns(found) | {"sun_elevation": scene.sun_elevation}
    return np.array([told[name] for name in scenes_arrays.SCORES])
