"""Which ice is where: labels that a piece of an ice shelf keeps while it flows.

A floating piece of the synthetic ice keeps its bearing ν (:mod:`pipelines.worlds.divide`), because
the streams gather no more beyond the grounding line (F_ν = 0 there), and its age grows by one year
a year. Age is the time since the grounding line M(ν),

    τ(μ, ν) = ∫_M^μ J H ρ / F_μ dμ'        [yr],

negative upstream, where ν is that of the flow line at the grounding line, to first order in
F_ν/F_μ. A feature drawn as a function of bearing and date of birth, t − τ, is therefore carried by
:meth:`pipelines.worlds.antarctica.Antarctica.velocity`, whatever the feature is.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.worlds import equal_area, ice_flow, outline, thickness
from pipelines.worlds.antarctica import ICE_DENSITY, MELT_LENGTH, Antarctica
from pipelines.worlds.lattice_noise import cubic_slopes, cubic_weights
from stac.pixel_grids import PixelGrid

FLOAT = NDArray[np.float64]

NODE_PIXELS = 16
"""Labels are integrated at every so many pixels and read between by cubic splines."""
MARGIN_NODES = 10
"""Nodes beyond the window, so that neighbours of its pixels have labels."""
EPOCH = 2000.0
"""Dates of birth count from here [yr]."""
_AFLOAT_NODES, _AGROUND_NODES = 24, 16
_LINE_STEPS = 320
_BLOCK = 4096


@dataclass(frozen=True)
class Labels:
    """What the ice of a block of pixels keeps while it flows.

    Attributes
    ----------
    across : ndarray, shape (ny, nx)
        Distance of the flow line from the middle one, at the grounding line a [m].
    age : ndarray, shape (ny, nx)
        Years since the grounding line τ, negative upstream [yr].
    across_x, across_y, age_x, age_y : ndarray, shape (ny, nx)
        Slopes along x and y of EPSG:3031 [1, yr m⁻¹].
    depth, margin : ndarray, shape (ny, nx)
        Ice thickness here, and where the flow line crosses the grounding line [m].
    """

    across: FLOAT
    age: FLOAT
    across_x: FLOAT
    across_y: FLOAT
    age_x: FLOAT
    age_y: FLOAT
    depth: FLOAT
    margin: FLOAT


@dataclass(frozen=True)
class FlowLines:
    """Flow lines past the grounding line, on equal steps of μ.

    Attributes
    ----------
    across : ndarray, shape (line,)
        a, evenly spaced [m].
    distance, age : ndarray, shape (line, step)
        From the grounding line [m, yr]; the last step is the front of the world's shelf.
    x, y : ndarray, shape (line, step)
        Places in EPSG:3031 [m].
    """

    across: FLOAT
    distance: FLOAT
    age: FLOAT
    x: FLOAT
    y: FLOAT

    def age_at(self, distance: FLOAT) -> FLOAT:
        """Age of the ice at a distance from the grounding line of each line, (line,) [yr]."""
        pairs = zip(distance, self.distance, self.age, strict=True)
        return np.array([np.interp(d, known, age) for d, known, age in pairs])

    def place_at(self, age: FLOAT) -> tuple[FLOAT, FLOAT]:
        """Place of the ice of an age on each line, x and y, (line,) [m]."""
        x = [np.interp(t, a, p) for t, a, p in zip(age, self.age, self.x, strict=True)]
        y = [np.interp(t, a, p) for t, a, p in zip(age, self.age, self.y, strict=True)]
        return np.array(x), np.array(y)


@dataclass(frozen=True)
class FlowFrame:
    """The labels of all ice in a window of the world.

    Attributes
    ----------
    world : Antarctica
        Whose ice.
    grid : PixelGrid
        The window; labels exist on it and :data:`MARGIN_NODES` nodes around.
    bearing : float
        ν of the middle flow line, where a = 0 [rad].
    """

    world: Antarctica
    grid: PixelGrid
    bearing: float

    @cached_property
    def radius(self) -> float:
        """Metres of the plane per radian of ν at the grounding line of the middle line [m]."""
        nu = np.asarray(self.bearing)
        return float(np.abs(self.world.divide.tangent(self.world.coast(nu), nu)))

    @cached_property
    def _coefficients(self) -> tuple[FLOAT, FLOAT, FLOAT, FLOAT]:
        """Splines of across, age, depth and margin at the nodes, each (row, column)."""
        step = self.grid.spacing * NODE_PIXELS
        columns, rows = (
            -(-n // NODE_PIXELS) + 2 * MARGIN_NODES + 1 for n in (self.grid.nx, self.grid.ny)
        )
        x = self.grid.west + (np.arange(columns) - MARGIN_NODES) * step
        y = self.grid.north - (np.arange(rows) - MARGIN_NODES) * step
        z = equal_area.plane_from_map(*np.meshgrid(x, y))
        mu, nu = self.world.divide.coordinates(z)
        across, age = self.labels_at(mu, nu)
        margin = thickness.margin(nu)
        depth = np.where(
            mu < self.world.coast(nu),
            thickness.grounded(thickness.divide(z), margin, self.world.fraction(mu, nu)),
            self._floating_depth(mu - self.world.coast(nu), nu),
        )
        a, t, h, g = (
            np.asarray(ndimage.spline_filter(field, order=3, mode="mirror"))
            for field in (across, age, depth, margin)
        )
        return a, t, h, g

    def labels_at(self, mu: FLOAT, nu: FLOAT) -> tuple[FLOAT, FLOAT]:
        """Integrate across and age [m, yr] at points of the divide's coordinates, shape (...)."""
        flat_mu, flat_nu = mu.ravel(), nu.ravel()
        across, age = np.empty(flat_mu.size), np.empty(flat_mu.size)
        for first in range(0, flat_mu.size, _BLOCK):
            part = slice(first, first + _BLOCK)
            m, n = flat_mu[part], flat_nu[part]
            aground = m < self.world.coast(n)
            age[part] = self._afloat_age(m, n)
            drift = np.zeros(m.size)
            if aground.any():
                upstream, drifted = self._aground(m[aground], n[aground])
                age[part][aground], drift[aground] = upstream, drifted
            across[part] = self.radius * (outline.offset(n, self.bearing) + drift)
        return across.reshape(mu.shape), age.reshape(mu.shape)

    def _afloat_age(self, mu: FLOAT, nu: FLOAT) -> FLOAT:
        u, w = ice_flow.unit_gauss(_AFLOAT_NODES)
        beyond = np.maximum(mu - self.world.coast(nu), 0.0)
        return self._slowness(beyond[:, None] * u, nu[:, None]) @ w * beyond

    def _slowness(self, beyond: FLOAT, nu: FLOAT) -> FLOAT:
        """Years per unit of μ at a distance past the grounding line, shape (...) [yr].

        Beyond the world's front the thickness of its front goes on, so that sea, too, has labels.
        """
        coast = self.world.coast(nu)
        flux = self.world.flux(coast, nu)[0] * np.exp(-beyond / MELT_LENGTH)
        depth = self._floating_depth(beyond, nu)
        jacobian = self.world.divide.jacobian(coast + beyond, nu)
        return np.asarray(jacobian * depth * ICE_DENSITY / flux)

    @staticmethod
    def _floating_depth(beyond: FLOAT, nu: FLOAT) -> FLOAT:
        """Thickness past the grounding line; beyond the front that of the front, (...) [m]."""
        reach = outline.floating_reach(nu)
        inside = np.minimum(beyond, reach * _INSIDE)
        depth = thickness.floating(thickness.margin(nu), inside, reach)
        return np.where(reach > 0.0, depth, thickness.FRONT_THICKNESS)

    def _aground(self, mu: FLOAT, nu: FLOAT) -> tuple[FLOAT, FLOAT]:
        """Age and change of bearing until the grounding line, of points upstream of it."""
        # H rises as the 3/8th power of the way upstream; cubed nodes make that nearly linear.
        u, w = ice_flow.unit_gauss(_AGROUND_NODES)
        upstream = (self.world.coast(nu) - mu)[:, None]
        nodes = self.world.coast(nu)[:, None] - upstream * u**3
        bearing = np.broadcast_to(nu[:, None], nodes.shape)
        along, across = self.world.flux(nodes, bearing)
        z = self.world.divide.position(nodes, bearing)
        t = self.world.fraction(nodes, bearing)
        depth = thickness.grounded(thickness.divide(z), thickness.margin(bearing), t)
        slowness = self.world.divide.jacobian(nodes, bearing) * depth * ICE_DENSITY / along
        weight = 3.0 * u**2 * w * upstream
        return -(slowness * weight).sum(axis=-1), (across / along * weight).sum(axis=-1)

    def labels(self, x: FLOAT, y: FLOAT) -> Labels:
        """Read the labels of a block of pixels.

        Parameters
        ----------
        x, y : ndarray, shape (nx,), (ny,)
            Centres of columns and rows in EPSG:3031 [m].

        Returns
        -------
        Labels
            Of shape (ny, nx); the same for a pixel in whatever block.
        """
        step = self.grid.spacing * NODE_PIXELS
        columns = (x - self.grid.west) / step + MARGIN_NODES
        rows = (self.grid.north - y) / step + MARGIN_NODES
        across, age, depth, margin = self._coefficients
        found = [spline_block(f, rows, columns) for f in (across, age)]
        along_x = [spline_block(f, rows, columns, slope="columns") / step for f in (across, age)]
        along_y = [spline_block(f, rows, columns, slope="rows") / -step for f in (across, age)]
        return Labels(
            across=found[0],
            age=found[1],
            across_x=along_x[0],
            across_y=along_y[0],
            age_x=along_x[1],
            age_y=along_y[1],
            depth=spline_block(depth, rows, columns),
            margin=spline_block(margin, rows, columns),
        )

    def span(self) -> tuple[float, float]:
        """Least and greatest a of the window [m]."""
        across = self._coefficients[0]
        return float(across.min()), float(across.max())

    @cached_property
    def lines(self) -> FlowLines:
        """Flow lines across the window every :data:`LINE_STEP` metres."""
        low, high = self.span()
        first, last = np.floor(low / LINE_STEP), np.ceil(high / LINE_STEP)
        across = np.arange(first, last + 1.0) * LINE_STEP
        nu = self.bearing + across / self.radius
        reach = outline.floating_reach(nu)
        part = np.linspace(0.0, 1.0, _LINE_STEPS + 1)
        beyond = reach[:, None] * part
        u, w = ice_flow.unit_gauss(3)
        between = beyond[:, :-1, None] + (reach / _LINE_STEPS)[:, None, None] * u
        slow = self._slowness(between, nu[:, None, None])
        age = np.zeros(beyond.shape)
        age[:, 1:] = np.cumsum((slow @ w) * (reach / _LINE_STEPS)[:, None], axis=1)
        z = self.world.divide.position(self.world.coast(nu)[:, None] + beyond, nu[:, None])
        distance = np.zeros(beyond.shape)
        distance[:, 1:] = np.cumsum(np.abs(np.diff(z, axis=1)), axis=1)
        x, y = equal_area.map_from_plane(z)
        return FlowLines(across, distance, age, x, y)


LINE_STEP = 120.0
"""Spacing of :attr:`FlowFrame.lines` at the grounding line [m]."""
_INSIDE = 1.0 - 1e-12


def year_of(day: dt.date) -> float:
    """Return a date as a year and its part, counted from :data:`EPOCH` [yr].

    Examples
    --------
    >>> year_of(dt.date(2004, 1, 1))
    4.0
    """
    return (day - dt.date(int(EPOCH), 1, 1)).days / 365.25


def spline_block(coefficients: FLOAT, rows: FLOAT, columns: FLOAT, *, slope: str = "") -> FLOAT:
    """Read a cubic spline at all crossings of rows and columns, each sum in a fixed order.

    Parameters
    ----------
    coefficients : ndarray, shape (row, column)
        Of cubic B-splines at the nodes.
    rows, columns : ndarray, shape (ny,), (nx,)
        Places in units of nodes, two or more nodes from the edges [1].
    slope : str
        ``"rows"`` or ``"columns"``: the derivative along that axis instead.

    Returns
    -------
    ndarray, shape (ny, nx)
        Values; each depends on its own row and column only, to the last bit.
    """
    row, column = np.floor(rows), np.floor(columns)
    i, j = row.astype(np.int64) - 1, column.astype(np.int64) - 1
    w_i = (cubic_slopes if slope == "rows" else cubic_weights)(rows - row)
    w_j = (cubic_slopes if slope == "columns" else cubic_weights)(columns - column)
    first, last = int(j.min()), int(j.max()) + 4
    part = coefficients[:, first:last]
    down = sum(w_i[k][:, None] * part[i + k] for k in range(4))
    return np.asarray(sum(w_j[k] * np.take(down, j - first + k, axis=1) for k in range(4)))
