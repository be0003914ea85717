"""A surface with the fields of a synthetic shelf, simple enough to know what must be seen of it."""

from dataclasses import dataclass, field

import numpy as np

from pipelines.worlds import landsat_passes
from pipelines.worlds.landsat_granules import View, view
from stac.pixel_grids import PixelGrid, snapped

BANDS = ("blue", "green", "red", "nir08", "swir16", "swir22")
SNOW = dict(zip(BANDS, (0.96, 0.95, 0.93, 0.85, 0.08, 0.06), strict=True))
CENTRE = (-1_600_000.0, -300_000.0)


def window(size: int = 256, *, centre: tuple[float, float] = CENTRE) -> PixelGrid:
    half = size * 15.0
    x, y = (15.0 + 30.0 * round((each - 15.0) / 30.0) for each in centre)
    return snapped((x - half, y - half, x + half, y + half))


@dataclass(frozen=True)
class PlainIce:
    """Level snow, with whatever a test lays upon it."""

    grid: PixelGrid
    height: np.ndarray = field(default=None)  # type: ignore[assignment]
    reflectance: dict[str, np.ndarray] = field(default_factory=dict)
    kind: np.ndarray = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        shape = self.grid.shape
        if self.height is None:
            object.__setattr__(self, "height", np.zeros(shape, dtype=np.float32))
        if self.kind is None:
            object.__setattr__(self, "kind", np.full(shape, 3, dtype=np.uint8))
        for band in BANDS:
            self.reflectance.setdefault(band, np.full(shape, SNOW[band], dtype=np.float32))

    @property
    def damage(self) -> np.ndarray:
        return np.zeros(self.grid.shape, dtype=np.bool_)

    fractured = damage


def seen_from(
    platform: str,
    year: int,
    *,
    grid: PixelGrid,
    nth: int = 0,
    row: int | None = None,
    reach: float = 80e3,
    **weather: object,
) -> View:
    """The first pass of December over the window, on the nth path that comes near its centre."""
    west, south, east, north = grid.bounds
    paths = landsat_passes.swaths_over((west + east) / 2, (south + north) / 2, reach=reach)
    path, place, _ = sorted(paths, key=lambda each: each[2])[nth]
    moment = next(landsat_passes.moments(platform, path, place, december(year), december(year + 1)))
    swath = landsat_passes.swath(platform, path, place, moment)
    settings = {"cloudiness": 0.0, "seed": 5, "haze": 0.0, **weather}
    return view(swath, round(place) if row is None else row, **settings)  # type: ignore[arg-type]


def december(year: int):
    from datetime import UTC, datetime

    return datetime(year, 12, 1, tzinfo=UTC)
