"""The 10 080-member product on two transforms, and the literal pair of pyshtools.

:func:`product` is one piece of algebra for both sides; a side brings the transform, the layout of
its coefficients and the matrix product that suits that layout.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import ducc0
import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity.cap_combination import CapCombination
from pipelines.kernels.gravity.cap_grid import CapGrid, cap_grid
from pipelines.kernels.gravity.cap_kernel import Quadrature
from pipelines.kernels.gravity.cap_transform import CapTransform
from pipelines.kernels.gravity.combination import Combination, combine, weights
from pipelines.kernels.mixed_ensembles import MixedEnsemble, factor_mixing, mixed_variance

FLOAT = NDArray[np.float64]
COMPLEX = NDArray[np.complex128]

GRAVIMETRY_DEGREE = 90
REGIONS = 25


@dataclass(frozen=True)
class Problem:
    """What every side starts from.

    Attributes
    ----------
    grid : CapGrid
        Cells south of 58° S.
    j_max : int
        Highest degree of the product.
    fields : ndarray, shape (57, n_lat, n_lon)
        What the 112 members of altimetry mix; zero north of 60° S [kg m⁻² yr⁻¹].
    mixing : ndarray, shape (112, 57)
        How they mix it.
    gravimetry : MixedEnsemble
        90 members of 32 fields, packed: (32, n, 2), order by order, C and S.
    area : ndarray, shape (25, n_lat, n_lon)
        Area of each cell in each region [m²].
    """

    grid: CapGrid
    j_max: int
    fields: FLOAT
    mixing: FLOAT
    gravimetry: MixedEnsemble
    area: FLOAT


class Side(Protocol):
    """A transform with a layout of its own: stacks of coefficients are (fields, n, 2)."""

    def analyse(self, fields: FLOAT) -> FLOAT:
        """Expand fields (b, n_lat, n_lon)."""

    def gravimetry(self, stack: FLOAT) -> FLOAT:
        """Take packed gravimetry into this layout."""

    def kernels(self, area: FLOAT) -> FLOAT:
        """Return what coefficients contribute to regions."""

    def sums(self, stack: FLOAT, kernels: FLOAT) -> FLOAT:
        """Return region sums, (b, r)."""

    def synthesise(self, stack: FLOAT) -> FLOAT:
        """Return fields (b, n_lat, n_lon)."""

    def synthesise_low(self, stack: FLOAT) -> FLOAT:
        """Do so from coefficients up to the degree of gravimetry."""


@dataclass(frozen=True)
class Product:
    """The results that sides are compared by.

    Attributes
    ----------
    regions : Combination
        All members' regional rates, as outer sums [kg yr⁻¹].
    covariance : ndarray, shape (25, 25)
        Of the regions.
    mean, deviation : ndarray, shape (n_lat, n_lon)
        Of all members in each pixel [kg m⁻² yr⁻¹].
    """

    regions: Combination
    covariance: FLOAT
    mean: FLOAT
    deviation: FLOAT


def product(side: Side, problem: Problem) -> Product:
    """Compute everything that is told of 90 × 112 members."""
    _, j = order_and_degree(problem.j_max)
    low = np.flatnonzero(j <= GRAVIMETRY_DEGREE)
    basis = side.analyse(problem.fields)
    g = MixedEnsemble(side.gravimetry(problem.gravimetry.basis), problem.gravimetry.mixing)
    v_altimetry = mixed_variance(basis[:, low], problem.mixing)
    w = weights(g.variance(), v_altimetry, j[low, None])
    w_altimetry = np.ones((j.size, 2))
    w_altimetry[low] = w.altimetry
    altimetry = MixedEnsemble(basis, problem.mixing)
    combined = combine(g, altimetry, w_gravimetry=w.gravimetry, w_altimetry=w_altimetry)
    del basis, altimetry
    regions = regional(side, problem, combined, low)
    mean, variance = combined.through(side.synthesise_low, side.synthesise).moments()
    return Product(regions, regions.covariance(), mean, np.sqrt(variance))


def regional(
    side: Side, problem: Problem, combined: Combination, low: NDArray[np.int64]
) -> Combination:
    """Sum both ensembles over regions, gravimetry over its own degrees."""
    kernels = side.kernels(problem.area)
    return combined.through(
        lambda stack: side.sums(stack, kernels[:, low]), lambda stack: side.sums(stack, kernels)
    )


def order_and_degree(j_max: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return order and degree of packed coefficients: order by order, j ≥ m."""
    m, j = np.nonzero(np.tri(j_max + 1).T)
    return m, j


class Packed:
    """The cap transform; packed coefficients have members last, which a view turns round."""

    def __init__(self, problem: Problem, quadrature: Quadrature = "fejer") -> None:
        self.high = CapTransform(problem.grid, problem.j_max, quadrature)
        self.low = CapTransform(problem.grid, GRAVIMETRY_DEGREE, quadrature)
        for transform in (self.high, self.low):
            transform.kernel  # noqa: B018 -- made once per grid, and kept

    def analyse(self, fields: FLOAT) -> FLOAT:
        """Expand fields."""
        return members_first(self.high.analyse(fields))

    def gravimetry(self, stack: FLOAT) -> FLOAT:
        """Packed already."""
        return stack

    def kernels(self, area: FLOAT) -> FLOAT:
        """Project areas."""
        return members_first(self.high.adjoint(area))

    def sums(self, stack: FLOAT, kernels: FLOAT) -> FLOAT:
        """Multiply C with C and S with S in one product, without turning the layout."""
        left, right = (members_last(a).view(np.float64) for a in (stack, kernels))
        both = left.T @ right
        return np.asarray(both[0::2, 0::2] + both[1::2, 1::2])

    def synthesise(self, stack: FLOAT) -> FLOAT:
        """Evaluate fields."""
        return np.asarray(self.high.synthesise(members_last(stack)))

    def synthesise_low(self, stack: FLOAT) -> FLOAT:
        """Evaluate fields of gravimetry's degrees."""
        return np.asarray(self.low.synthesise(members_last(stack)))


def members_first(packed: COMPLEX) -> FLOAT:
    """View packed coefficients (n, b) as real stacks (b, n, 2)."""
    return np.moveaxis(packed.view(np.float64).reshape(*packed.shape, 2), 1, 0)


def members_last(stack: FLOAT) -> COMPLEX:
    """View real stacks (b, n, 2) as packed coefficients (n, b); a copy if they are not."""
    turned = np.ascontiguousarray(np.moveaxis(stack, 0, 1))
    return turned.view(np.complex128)[..., 0]


class InRows:
    """The same results without coefficients of high degree: what the package runs on a cap."""

    def __init__(self, problem: Problem, quadrature: Quadrature = "fejer") -> None:
        self.on_cap = CapCombination(CapTransform(problem.grid, problem.j_max, quadrature))
        self.on_cap.round_trips, self.on_cap.low.kernel  # noqa: B018 -- made once per grid, and kept

    def product(self, problem: Problem) -> Product:
        """Compute everything that is told of 90 × 112 members."""
        found = self.on_cap.combine(
            problem.fields, problem.mixing, problem.gravimetry, problem.area
        )
        deviation = np.sqrt(found.variance)
        return Product(found.regions, found.regions.covariance(), found.mean, deviation)


class DuccRings:
    """ducc0 on the rings of the cap, all members in one call: the strongest peer.

    Its coefficients are orthonormal, with the Condon-Shortley phase, a = (C − iS) (−1)ᵐ √(4π/2).
    It is spared the rings on which all fields are zero.
    """

    def __init__(self, problem: Problem) -> None:
        grid, self.j_max = problem.grid, problem.j_max
        n_lat, n_lon = grid.latitude.size, grid.n_lon
        self.shape = (n_lat, n_lon)
        self.weights = fejer_weights(grid)[:n_lat] * 2.0 * np.pi / n_lon
        self.rings: dict[str, Any] = {
            "theta": np.radians(90.0 - grid.latitude),
            "nphi": np.full(n_lat, n_lon, dtype=np.uint64),
            "phi0": np.full(n_lat, np.pi / n_lon),
            "ringstart": np.arange(n_lat, dtype=np.uint64) * n_lon,
            "spin": 0,
            "nthreads": 1,
        }
        m, _ = order_and_degree(self.j_max)
        self.twice = np.where(m == 0, 1.0, 2.0)[:, None]
        m, _ = order_and_degree(GRAVIMETRY_DEGREE)
        self.orthonormal = (-1.0) ** m * np.sqrt(4.0 * np.pi / np.where(m == 0, 1.0, 2.0))

    def analyse(self, fields: FLOAT) -> FLOAT:
        """Expand fields by Fejér's rule."""
        return self._project(fields, self.weights)

    def gravimetry(self, stack: FLOAT) -> FLOAT:
        """Change phase and norm."""
        return stack * (self.orthonormal[:, None] * np.array([1.0, -1.0]))

    def kernels(self, area: FLOAT) -> FLOAT:
        """Project areas; orders above 0 stand for two."""
        return self._project(area, np.ones(len(self.weights))) * self.twice

    def _project(self, fields: FLOAT, weight: FLOAT) -> FLOAT:
        maps = fields.reshape(len(fields), 1, -1)
        used = 1 + int(np.flatnonzero(fields[:, :, :: self.shape[1] // 60].any(axis=(0, 2)))[-1])
        rings = {key: v[:used] if isinstance(v, np.ndarray) else v for key, v in self.rings.items()}
        alm = ducc0.sht.adjoint_synthesis(
            map=maps, lmax=self.j_max, ringfactor=weight[:used], **rings
        )
        return np.asarray(alm[:, 0].view(np.float64).reshape(len(fields), -1, 2))

    def sums(self, stack: FLOAT, kernels: FLOAT) -> FLOAT:
        """One matrix product."""
        return np.asarray(stack.reshape(len(stack), -1) @ kernels.reshape(len(kernels), -1).T)

    def synthesise(self, stack: FLOAT) -> FLOAT:
        """Evaluate fields."""
        return self._evaluate(stack, self.j_max)

    def synthesise_low(self, stack: FLOAT) -> FLOAT:
        """Evaluate fields of gravimetry's degrees."""
        return self._evaluate(stack, GRAVIMETRY_DEGREE)

    def _evaluate(self, stack: FLOAT, lmax: int) -> FLOAT:
        alm = np.ascontiguousarray(stack).view(np.complex128)[..., 0][:, None]
        maps = ducc0.sht.synthesis(alm=alm, lmax=lmax, **self.rings)
        return np.asarray(maps.reshape(len(stack), *self.shape))


def fejer_weights(grid: CapGrid) -> FLOAT:
    """Return Fejér's weights at the centres of all rows of the globe, with the sum 2."""
    n = grid.globe_rows
    theta = (np.arange(n) + 0.5) * np.pi / n
    k = np.arange(1, n // 2 + 1)
    waves = np.cos(2.0 * theta[:, None] * k) / (4.0 * k**2 - 1.0)
    return np.asarray(2.0 / n * (1.0 - 2.0 * waves.sum(axis=1)))


def make_problem(*, j_max: int, step: float, seed: int = 1) -> Problem:
    """Make fields without pattern: the time that transforms take does not depend on them."""
    rng = np.random.default_rng(seed)
    grid = cap_grid(step, north=-58.0)
    ice = grid.latitude < -60.0
    fields = np.zeros((57, grid.latitude.size, grid.n_lon))
    shape = (int(ice.sum()), grid.n_lon)
    common, density = rng.normal(size=shape), rng.choice([0.3, 0.91], size=shape)
    for i in range(28):
        fields[i, ice] = common + 0.2 * rng.normal(size=shape)
        fields[28 + i, ice] = density * fields[i, ice]
    fields[56, ice] = rng.normal(size=shape)
    sector = (grid.longitude * REGIONS / 360.0).astype(int)
    member = (np.arange(REGIONS)[:, None] == sector)[:, None, :] & (grid.latitude < -65.0)[:, None]
    area = member * (MEAN_RADIUS**2 * grid.solid_angles)[:, None]
    fields *= 100.0
    return Problem(grid, j_max, fields, density_mixing(), gravimetry(rng), area)


def density_mixing() -> FLOAT:
    """Return how 28 elevation rates make 112 members under four density models."""
    one, nothing, none = np.eye(28), np.zeros((28, 28)), np.zeros((28, 1))
    rows = [(0.91 * one, nothing, none), (0.65 * one, nothing, none)]
    rows += [(nothing, one, none), (0.91 * one, nothing, none + 1.0)]
    return np.concatenate([np.hstack(row) for row in rows])


def gravimetry(rng: np.random.Generator) -> MixedEnsemble:
    """Return 90 members whose spread grows with degree: 30 perturbations × 3 models of GIA."""
    m, j = order_and_degree(GRAVIMETRY_DEGREE)
    real = np.stack([np.ones(m.size), m > 0], axis=1)
    scale = real / (1.0 + j[:, None])
    estimate = rng.normal(size=real.shape) * scale
    drawn = rng.normal(size=(30, *real.shape)) * real * 1e-3 * (1.0 + j[:, None] / 30.0) ** 3
    models = rng.normal(size=(3, *real.shape)) * 0.3 * scale
    return factor_mixing(estimate, [drawn - drawn.mean(axis=0), -models]).reduced()
