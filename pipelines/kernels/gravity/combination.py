"""The spectral combination: each coefficient from whichever mission knows it better.

Sasgen et al. (2019), sections 2.3 to 2.6 and 4.2. All members share the weights of a coefficient
(equations 3 to 5), so the 90 × 112 combined members are an outer sum of two small ensembles,

    m_kl = w_G G_k + w_C C_l,

and so are their sums over regions and their values in a pixel: means add, population variances
add, covariances of regions add. Everything here is elementwise over coefficients: arrays may have
the layout (..., 2, J + 1, J + 1), or any other, with the degrees given in a broadcastable array.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.mixed_ensembles import MixedEnsemble, blocks

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]
Operator = Callable[[FLOAT], FLOAT]

TaperMode = Literal["intent", "printed"]

GRAVIMETRY_DEGREE = 90
"""Highest degree that gravimetry contributes to (Sasgen et al., 2019, section 2.3)."""
TAPER_WIDTH = 5
"""Degrees over which its weight goes to zero (same place)."""
EXPANSION_LIMIT = 512 * 1024 * 1024
"""Most that :meth:`Combination.members` writes out [B]."""
QUANTILE_BYTES = 32 * 1024 * 1024
"""Outer sums held at once by :meth:`Combination.quantiles` [B]."""


class CombinationError(ValueError):
    """Ensembles, variances or totals that cannot be combined."""


class Weights(NamedTuple):
    """Weights of one coefficient each; they sum to 1.

    Attributes
    ----------
    gravimetry, altimetry : ndarray, shape (...)
        w_G and w_C [1].
    """

    gravimetry: FLOAT
    altimetry: FLOAT


def house_degrees(j_max: int) -> INT:
    """Return the degrees of the layout (..., 2, J + 1, J + 1), shape (J + 1, 1)."""
    return np.arange(j_max + 1)[:, None]


def taper(
    degree: INT, *, gravimetry_degree: int = GRAVIMETRY_DEGREE, width: int = TAPER_WIDTH
) -> FLOAT:
    """Return the taper that takes gravimetry out.

    Sasgen et al. (2019), section 2.3, with J_G = 90 and d = 5::

        t_j = 1                           j < J_G − d
        t_j = 1 − ((j − J_G + d) / d)²    J_G − d ≤ j ≤ J_G
        t_j = 0                           j > J_G

    Parameters
    ----------
    degree : ndarray of int, shape (...)
        Degrees j.
    gravimetry_degree : int
        J_G, where the taper reaches zero.
    width : int
        d; 0 cuts after J_G.

    Returns
    -------
    ndarray, shape (...)
        t_j [1].

    Examples
    --------
    >>> taper(np.array([84, 85, 87, 90, 91])).tolist()
    [1.0, 1.0, 0.84, 0.0, 0.0]
    """
    if width < 0 or width > gravimetry_degree:
        msg = f"found a taper of {width} degrees before {gravimetry_degree}; expected 0 to that"
        raise CombinationError(msg)
    into = np.asarray(degree, dtype=np.float64) - (gravimetry_degree - width)
    falling = 1.0 - np.square(np.clip(into / max(width, 1), 0.0, 1.0)) if width else 1.0
    return np.where(np.asarray(degree) <= gravimetry_degree, falling, 0.0)


def weights(
    v_gravimetry: FLOAT,
    v_altimetry: FLOAT,
    degree: INT,
    *,
    gravimetry_degree: int = GRAVIMETRY_DEGREE,
    width: int = TAPER_WIDTH,
    mode: TaperMode = "intent",
) -> Weights:
    """Weigh every coefficient, C and S apart, by its inverse variances.

    Sasgen et al. (2019), equations 3 and 4, without forming 1 / v::

        w_G = v_C t / (v_G + v_C t),       w_C = 1 − w_G        ("intent")
        w_G = v_C / (v_G t² + v_C)  up to J_G, then 0           ("printed")

    Parameters
    ----------
    v_gravimetry, v_altimetry : ndarray, shape (...)
        Population variances of the ensembles [u²].
    degree : ndarray of int, broadcastable to (...)
        Degree of each coefficient, see :func:`house_degrees`.
    gravimetry_degree, width : int
        See :func:`taper`.
    mode : {"intent", "printed"}
        The paper multiplies the *deviation* of gravimetry by t for 85 ≤ j ≤ 90, which lifts its
        weight to 1 at degree 90 where the text wants it gone. ``intent`` multiplies its inverse
        variance; ``printed`` does what is printed.

    Returns
    -------
    Weights
        Where neither varies (S_j0, for one) altimetry has the weight 1: 0 / 0 is never formed. NaN
        where a variance is NaN.

    Raises
    ------
    CombinationError
        A negative variance, or an unknown mode.
    """
    for name, variance in (("gravimetry", v_gravimetry), ("altimetry", v_altimetry)):
        if (np.asarray(variance) < 0.0).any():
            msg = f"the variance of {name} is {np.nanmin(variance):.3g} somewhere; expected ≥ 0"
            raise CombinationError(msg)
    t = taper(degree, gravimetry_degree=gravimetry_degree, width=width)
    if mode not in get_args(TaperMode):
        msg = f"found the taper mode {mode!r}, expected one of {', '.join(get_args(TaperMode))}"
        raise CombinationError(msg)
    if mode == "intent":
        towards, away = v_altimetry * t, v_gravimetry
    else:
        within = np.asarray(degree) <= gravimetry_degree
        towards, away = np.where(within, v_altimetry, 0.0), v_gravimetry * np.square(t)
    total = np.asarray(away + towards, dtype=np.float64)
    w_gravimetry = np.divide(towards, total, out=np.zeros(total.shape), where=total != 0.0)
    return Weights(w_gravimetry, 1.0 - w_gravimetry)


@dataclass(frozen=True)
class Combination:
    """All combined members m_kl = g_k + c_l, as the two ensembles that they are sums of.

    In the space of coefficients the two may reach different degrees; sums, moments and members
    need both :meth:`through` to one space.

    Attributes
    ----------
    gravimetry : MixedEnsemble
        g_k: members of gravimetry times w_G, and whatever is linear of them.
    altimetry : MixedEnsemble
        c_l: members of altimetry times w_C, likewise.
    """

    gravimetry: MixedEnsemble
    altimetry: MixedEnsemble

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of members k and l."""
        return self.gravimetry.size, self.altimetry.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one member."""
        if self.gravimetry.shape != self.altimetry.shape:
            msg = (
                f"members of gravimetry have the shape {self.gravimetry.shape}, of altimetry "
                f"{self.altimetry.shape}; bring both to one degree, map or set of regions first"
            )
            raise CombinationError(msg)
        return self.gravimetry.shape

    def through(self, operator: Operator, altimetry: Operator | None = None) -> "Combination":
        """Return what linear operators make of both ensembles.

        Parameters
        ----------
        operator : callable
            Takes stacks (b, ...) of gravimetry, and of altimetry if that has none of its own.
        altimetry : callable, optional
            The same operator in the layout of altimetry.
        """
        return Combination(
            self.gravimetry.through(operator), self.altimetry.through(altimetry or operator)
        )

    def member(self, k: int, l: int) -> FLOAT:  # noqa: E741 -- the paper's index
        """Return the combined member (k, l), shape (...): equation 5."""
        self.shape  # noqa: B018 -- refuses different spaces
        return self.gravimetry.member(k) + self.altimetry.member(l)

    def members(self) -> FLOAT:
        """Write out all members, shape (k, l, ...): for regions; refused where it is large."""
        count = math.prod(self.sizes) * math.prod(self.shape)
        if 8 * count > EXPANSION_LIMIT:
            msg = (
                f"all members {self.sizes} of shape {self.shape} are {8 * count / 1e9:.1f} GB, the "
                f"limit is {EXPANSION_LIMIT / 1e9:.1f}; use member(k, l), or the moments"
            )
            raise CombinationError(msg)
        return self.gravimetry.members()[:, None] + self.altimetry.members()[None]

    def mean(self) -> FLOAT:
        """Return the mean of all members, shape (...)."""
        self.shape  # noqa: B018
        return self.gravimetry.mean() + self.altimetry.mean()

    def variance(self) -> FLOAT:
        """Return the population variance of all members, shape (...)."""
        self.shape  # noqa: B018
        return self.gravimetry.variance() + self.altimetry.variance()

    def moments(self) -> tuple[FLOAT, FLOAT]:
        """Return mean and population variance in one pass over each basis."""
        self.shape  # noqa: B018
        (mean, variance), (further, more) = self.gravimetry.moments(), self.altimetry.moments()
        mean += further
        variance += more
        return mean, variance

    def covariance(self) -> FLOAT:
        """Return the covariance of region sums, shape (r, r): it adds across the missions."""
        self.shape  # noqa: B018
        return self.gravimetry.covariance() + self.altimetry.covariance()

    def quantiles(self, q: Sequence[float]) -> FLOAT:
        """Return exact quantiles over all members, shape (len(q), ...).

        They have no closed form: the outer sum is formed, for as many elements at once as
        :data:`QUANTILE_BYTES` allows (a 0.2° cap takes minutes; a basin, nothing).
        """
        shape = (math.prod(self.shape),)
        flat = self.through(lambda basis: basis.reshape(len(basis), *shape))
        per_element = 8 * math.prod(self.sizes)
        width = max(1, QUANTILE_BYTES // per_element)
        out = np.empty((len(q), *shape))
        size = 8 * len(flat.gravimetry.basis) * width
        for part, basis in blocks(flat.gravimetry.basis, size):
            g = flat.gravimetry.mixing @ basis
            c = flat.altimetry.mixing @ flat.altimetry.basis[:, part]
            outer = (g.T[:, :, None] + c.T[:, None, :]).reshape(g.shape[1], -1)
            out[:, part] = np.quantile(outer, q, axis=1, overwrite_input=True)
        return out.reshape(len(q), *self.shape)


def combine(
    gravimetry: MixedEnsemble,
    altimetry: MixedEnsemble,
    *,
    w_gravimetry: FLOAT,
    w_altimetry: FLOAT,
) -> Combination:
    """Weigh both ensembles of coefficients (Sasgen et al., 2019, equation 5).

    Parameters
    ----------
    gravimetry, altimetry : MixedEnsemble
        Coefficients; their degrees may differ (gravimetry ends where its weight does).
    w_gravimetry, w_altimetry : ndarray, broadcastable to the coefficients of each
        See :func:`weights`.

    Returns
    -------
    Combination
    """
    return Combination(gravimetry.scaled(w_gravimetry), altimetry.scaled(w_altimetry))


class AdHocCorrection(NamedTuple):
    """A correction of the combined field so that its total is that of the two missions' mean.

    Attributes
    ----------
    density : float
        To add everywhere on the ice [kg m⁻² yr⁻¹].
    total : float
        The same times the area [kg yr⁻¹].
    target, target_sigma : float
        Inverse-variance mean of both totals, and its standard deviation [kg yr⁻¹].
    w_gravimetry : float
        Weight of gravimetry in it [1].
    """

    density: float
    total: float
    target: float
    target_sigma: float
    w_gravimetry: float


def ad_hoc_correction(
    combined: float,
    gravimetry: float,
    altimetry: float,
    *,
    gravimetry_sigma: float,
    altimetry_sigma: float,
    area: float,
) -> AdHocCorrection:
    """Return the correction that closes the combined total (Sasgen et al., 2019, section 4.2).

    ::

        w = s_C² / (s_G² + s_C²),    M = w M_G + (1 − w) M_C,    δ = (M − M_comb) / A

    Parameters
    ----------
    combined : float
        Combined total over the ice, M_comb [kg yr⁻¹].
    gravimetry, altimetry : float
        Totals of the missions alone; gravimetry's includes the buffer around the ice [kg yr⁻¹].
    gravimetry_sigma, altimetry_sigma : float
        Their standard deviations [kg yr⁻¹].
    area : float
        Area A of the ice that the correction is spread over [m²].

    Returns
    -------
    AdHocCorrection

    Raises
    ------
    CombinationError
        Deviations that are not positive, or no area.

    Examples
    --------
    Table 1 of the paper, in Gt yr⁻¹ and 10¹² m²; the paper applies −3.4 kg m⁻² yr⁻¹:

    >>> found = ad_hoc_correction(
    ...     -137.4, -182.4, -129.9, gravimetry_sigma=24.9, altimetry_sigma=58.2, area=11.821
    ... )
    >>> [round(value, 4) for value in found]
    [-3.1196, -36.8771, -174.2771, 22.8928, 0.8453]
    """
    if not (gravimetry_sigma > 0.0 and altimetry_sigma > 0.0 and area > 0.0):
        msg = (
            f"found deviations {gravimetry_sigma:.3g} and {altimetry_sigma:.3g} kg yr⁻¹ and an "
            f"area of {area:.3g} m²; expected all of them positive, or leave the correction out"
        )
        raise CombinationError(msg)
    v_g, v_c = gravimetry_sigma**2, altimetry_sigma**2
    w = v_c / (v_g + v_c)
    target = w * gravimetry + (1.0 - w) * altimetry
    sigma = math.sqrt(v_g * v_c / (v_g + v_c))
    missing = target - combined
    return AdHocCorrection(missing / area, missing, target, sigma, w)
