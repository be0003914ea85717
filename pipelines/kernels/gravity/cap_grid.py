"""Latitude-longitude cells around the south pole: what altimetry is analysed on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels import basins

FLOAT = NDArray[np.float64]

_WHOLE = 1e-9


class CapGridError(ValueError):
    """Cells that do not make a cap."""


@dataclass(frozen=True)
class CapGrid:
    """Rows of cells from the pole northward, columns from 0° eastward.

    Attributes
    ----------
    edges : ndarray, shape (n_lat + 1,)
        Latitudes of the edges of the rows on the sphere [degrees], equally spaced from −90°.
    n_lon : int
        Cells in a row; the first begins at 0°.
    """

    edges: FLOAT
    n_lon: int

    def __post_init__(self) -> None:
        """Refuse edges that do not start at the pole or are not equally spaced."""
        step = np.diff(self.edges)
        regular = step.size and step[0] > 0.0 and np.ptp(step) <= _WHOLE * step[0]
        if not (regular and self.edges[0] == -90.0 and self.edges[-1] < 90.0 and self.n_lon > 0):
            msg = (
                f"found {self.edges.size} edges from {self.edges[:1]} to {self.edges[-1:]}° and "
                f"{self.n_lon} columns; expected equally spaced edges from −90° northward"
            )
            raise CapGridError(msg)

    @property
    def step(self) -> float:
        """Height of a cell [degrees]."""
        return float(self.edges[-1] - self.edges[0]) / (self.edges.size - 1)

    @property
    def lon_step(self) -> float:
        """Width of a cell [degrees]."""
        return 360.0 / self.n_lon

    @property
    def latitude(self) -> FLOAT:
        """Latitudes of the centres on the sphere, shape (n_lat,) [degrees]."""
        return np.asarray((self.edges[1:] + self.edges[:-1]) / 2.0)

    @property
    def longitude(self) -> FLOAT:
        """Longitudes of the centres, shape (n_lon,) [degrees]."""
        return np.asarray((np.arange(self.n_lon) + 0.5) * self.lon_step)

    @property
    def solid_angles(self) -> FLOAT:
        """Solid angle of a cell in each row, shape (n_lat,) [sr]."""
        return basins.solid_angles(self.edges, lon_step=self.lon_step)

    @property
    def globe_rows(self) -> int:
        """Rows of the whole globe at this spacing."""
        return round(180.0 / self.step)

    @property
    def highest_degree(self) -> int:
        """Highest degree that these cells carry: one less than the rows of the globe."""
        return min(self.globe_rows - 1, (self.n_lon - 1) // 2)


def cap_grid(step_degrees: float = 0.2, *, north: float = -58.0) -> CapGrid:
    """Return square cells from the south pole to ``north``.

    Parameters
    ----------
    step_degrees : float
        Height and width of a cell; must divide 180°, and the cap.
    north : float
        Northern edge on the sphere [degrees].

    Returns
    -------
    CapGrid

    Raises
    ------
    CapGridError
        A step that does not divide.

    Examples
    --------
    >>> grid = cap_grid(0.2, north=-60.0)
    >>> len(grid.latitude), grid.n_lon, grid.highest_degree
    (150, 1800, 899)
    """
    rows = round((north + 90.0) / step_degrees) if step_degrees > 0.0 else 0
    globe = round(180.0 / step_degrees) if step_degrees > 0.0 else 0
    fits = (
        abs(rows * step_degrees - north - 90.0) < 1e-6 and abs(globe * step_degrees - 180.0) < 1e-6
    )
    if rows < 1 or not fits:
        msg = (
            f"cells of {step_degrees}° do not divide 180° and the cap south of {north}° evenly; "
            "choose 180° over a whole number, and a northern edge a whole number of cells from "
            "the pole"
        )
        raise CapGridError(msg)
    edges = -90.0 + np.arange(rows + 1, dtype=np.float64) * (180.0 / globe)
    return CapGrid(edges, 2 * globe)
