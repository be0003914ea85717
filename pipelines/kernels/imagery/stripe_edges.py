"""Edges of stripes in a sample of pixels, and the least squares that lay stripes on them."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

BOOL = NDArray[np.bool_]
FLOAT = NDArray[np.float64]


class Samples(NamedTuple):
    """Pixels seen: columns x and rows y of the scene [pixels], and whether each is in a gap."""

    x: FLOAT
    y: FLOAT
    gap: BOOL

    def at(self, chosen: BOOL | NDArray[np.int64]) -> "Samples":
        """Return some of them."""
        return Samples(self.x[chosen], self.y[chosen], self.gap[chosen])


class Fit(NamedTuple):
    """Stripes about a point: azimuth [radians], then pixels; narrowing in pixels per pixel."""

    x: float
    y: float
    azimuth: float
    period: float
    phase: float
    width: float
    narrowing: float


def edge_distance(fit: Fit, x: FLOAT, y: FLOAT) -> FLOAT:
    """Return the distance outside of the nearest gap as `stripes.edge_distance`, about a point.

    Parameters
    ----------
    fit : Fit
        The stripes.
    x, y : ndarray, shape (...)
        Places, in the frame of the fit [pixels].

    Returns
    -------
    ndarray, shape (...)
        Negative inside a gap [pixels].
    """
    cos, sin = math.cos(fit.azimuth), math.sin(fit.azimuth)
    u, v = (x - fit.x) * cos + (y - fit.y) * sin, (y - fit.y) * cos - (x - fit.x) * sin
    width = fit.width + fit.narrowing * u
    shift = np.where(width < 0, fit.period / 2, 0.0)
    in_periods = (v - fit.phase - shift) / fit.period
    off = np.abs(in_periods - np.floor(in_periods + 0.5)) * fit.period
    return np.asarray(off - np.abs(width) / 2)


def closest(fit: Fit, samples: Samples, scale: FLOAT, *, s: float) -> Fit:
    """Return the least squares of `stripe_geometry.measure` for one sharpness s.

    Parameters
    ----------
    fit : Fit
        Where to begin: nearer than half a period.
    samples : Samples
        Pixels near edges.
    scale : ndarray, shape (5,)
        Change of azimuth, period, phase, width and narrowing that moves edges by about a pixel.
    s : float
        Width of an edge [pixels].
    """
    start, edges = np.array(fit[2:]), Edges(samples, s)

    def moved(step: FLOAT) -> Fit:
        return Fit(fit.x, fit.y, *(float(number) for number in start + step * scale))

    def misfit(step: FLOAT) -> FLOAT:
        return edges.misfit(moved(step))

    def slope(step: FLOAT) -> FLOAT:
        return edges.slope(moved(step), scale)

    found = least_squares(misfit, np.zeros(scale.size), jac=slope, method="lm", max_nfev=50)
    return moved(found.x)


class Edges:
    """Misfit of logistic edges and its slope, in memory that is taken once.

    Workers give memory back as soon as it is free, so that each temporary array would be mapped,
    and cleared, anew: ten times the cost of the arithmetic.
    """

    def __init__(self, samples: Samples, s: float) -> None:
        self._samples, self._s = samples, s
        self._u, self._v, self._width, self._off, self._count = np.empty((5, samples.x.size))
        self._misfit = np.empty(samples.x.size)
        self._slope = np.empty((5, samples.x.size))

    def _measure(self, fit: Fit) -> None:
        """Write u, v, signed width, number of the stripe and signed distance from its centre."""
        u, v, width, off, count = self._u, self._v, self._width, self._off, self._count
        cos, sin = math.cos(fit.azimuth), math.sin(fit.azimuth)
        x, y = self._samples.x, self._samples.y
        np.multiply(x, cos, out=u)
        u += np.multiply(y, sin, out=off)
        u -= fit.x * cos + fit.y * sin
        np.multiply(y, cos, out=v)
        v -= np.multiply(x, sin, out=off)
        v -= fit.y * cos - fit.x * sin
        np.multiply(u, fit.narrowing, out=width)
        width += fit.width
        # Beyond nadir, where widths are negative, stripes lie half a period on.
        np.multiply(width < 0, 0.5, out=count)
        np.subtract(v, fit.phase, out=off)
        off /= fit.period
        off -= count
        np.rint(off, out=self._misfit)
        count += self._misfit
        off -= self._misfit
        off *= fit.period

    def misfit(self, fit: Fit) -> FLOAT:
        """Return g − 1 / (1 + exp(e / s)) of each pixel."""
        self._measure(fit)
        out = np.abs(self._off, out=self._misfit)
        width = np.abs(self._width, out=self._v)
        width /= 2.0
        out -= width
        out /= 2.0 * self._s
        np.tanh(out, out=out)
        out -= 1.0
        out *= 0.5
        out += self._samples.gap
        return out.copy()

    def slope(self, fit: Fit, scale: FLOAT) -> FLOAT:
        """Return its derivatives by azimuth, period, phase, width and narrowing, times `scale`.

        With d the distance from the centre line of stripe n, e = abs(d) − abs(w) / 2 and
        w = W + k u::

            ∂d = −u ∂t − n ∂P − ∂φ        ∂w = k v ∂t + ∂W + u ∂k
        """
        missing = self.misfit(fit)
        self._measure(fit)
        # 1 / (1 + exp(e / s)) = g − misfit = q has the slope −q (1 − q) / s.
        q = np.subtract(self._samples.gap, missing, out=missing)
        steep = np.subtract(1.0, q, out=self._misfit)
        steep *= q
        steep /= self._s
        side = np.sign(self._off, out=self._off)
        side *= steep
        by_width = np.sign(self._width, out=self._width)
        by_width *= steep
        by_width *= -0.5
        azimuth, period, phase, width, narrowing = self._slope
        np.multiply(by_width, self._v, out=azimuth)
        azimuth *= fit.narrowing
        azimuth -= np.multiply(side, self._u, out=period)
        np.multiply(side, self._count, out=period)
        np.negative(period, out=period)
        np.negative(side, out=phase)
        width[:] = by_width
        np.multiply(by_width, self._u, out=narrowing)
        self._slope *= scale[:, None]
        return self._slope.T
