"""Exact Monte Carlo of the flux through a gate, from sums by patch.

With errors that are alike within a patch the flux of a region is, without approximation,

    F_tr = Σ_p [ F⁰ + A h_p + Σ_k (B_k + C_k h_p) u_k,p ]

with the thickness error h_p and velocity errors u_k,p of the patch, in σ, and the sums F⁰, A, B
and C over its nodes (:class:`~pipelines.kernels.budget.patches.PatchSums`). A member costs as much
as there are patches, not nodes; drawing its errors is most of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipelines.kernels.budget.loadings import Loadings, Structure, UncertaintyError
from pipelines.kernels.budget.patches import COMPONENTS, PatchSums

MEMBERS_AT_ONCE = 32
"""Members drawn together: 2200 patches of them stay in a processor's cache. Fixed, as the order of
the draws follows from it: a block draws its density, its thickness, then velocity map by map."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Errors of some members, in units of σ.

    Attributes
    ----------
    first : int
        Index of the first member.
    thickness : ndarray, shape (patch, member)
        Of thickness.
    velocity : iterator of ndarray, shape (2, patch, member)
        Of velocity along x and y, one map after another: to be used once, in order.
    density : ndarray, shape (member,)
        Of density.
    """

    first: int
    thickness: NDArray[np.float64]
    velocity: Iterator[NDArray[np.float64]]
    density: NDArray[np.float64]


def draws(
    sums: PatchSums,
    *,
    thickness: Structure,
    velocity: Structure,
    members: int,
    generator: np.random.Generator,
) -> Iterator[Draws]:
    """Draw the systematic and correlated errors of members, a block at a time.

    Parameters
    ----------
    sums : PatchSums
        Only its numbers of patches and maps are used.
    thickness, velocity : Structure
        Parts of each error; random parts are not drawn here.
    members : int
        How many.
    generator : numpy.random.Generator
        Source of the draws. Each block must be used up before the next is asked for.

    Yields
    ------
    Draws
        Of at most :data:`MEMBERS_AT_ONCE` members.
    """
    for first in range(0, members, MEMBERS_AT_ONCE):
        count = min(MEMBERS_AT_ONCE, members - first)
        density = generator.standard_normal(count)
        yield Draws(
            first,
            _alike(generator, (sums.patches, count), thickness),
            (
                _alike(generator, (COMPONENTS, sums.patches, count), velocity)
                for _ in range(sums.maps)
            ),
            density,
        )


def _alike(
    generator: np.random.Generator, shape: tuple[int, ...], structure: Structure
) -> NDArray[np.float64]:
    """Draw ``s ξ + c η_p`` for patches, the last but one axis."""
    own = generator.standard_normal(shape) if structure.correlated else np.zeros(shape)
    if structure.correlated < 1.0:
        own *= structure.correlated
        own += structure.systematic * generator.standard_normal((*shape[:-2], 1, shape[-1]))
    return own


def flux_members(
    sums: PatchSums,
    *,
    thickness: Structure,
    velocity: Structure,
    members: int,
    generator: np.random.Generator,
    relative_density: float = 0.0,
    random: Loadings | None = None,
) -> NDArray[np.float64]:
    """Return the flux of every member, year and region.

    The same as adding the drawn errors to every node of the gate, to rounding.

    Parameters
    ----------
    sums : PatchSums
        Sums by patch.
    thickness, velocity : Structure
        Parts of the errors.
    members : int
        How many members.
    generator : numpy.random.Generator
        Source of the draws, see :func:`draws`; most of the time is its own
        (``numpy.random.SFC64`` is a fifth faster than the default).
    relative_density : float
        σ of the density over the density, one error for everything [1].
    random : Loadings, optional
        Random errors of the nodes, scaled by their parts: to first order their sum over a region
        is drawn, which is normal whatever the number of nodes
        (:func:`pipelines.kernels.budget.random_errors.random_thickness`).

    Returns
    -------
    ndarray, shape (member, year, region)
        Flux [kg yr⁻¹]; NaN where a node of the region is not known.

    Raises
    ------
    UncertaintyError
        A random part that nothing is given for; fewer than one member.
    """
    if members < 1:
        msg = f"found {members} members, expected at least 1"
        raise UncertaintyError(msg)
    if random is None and (thickness.random > 0.0 or velocity.random > 0.0):
        msg = (
            f"found random parts {thickness.random} of thickness and {velocity.random} of velocity "
            "but no loadings of them; give random= from random_thickness and random_velocity"
        )
        raise UncertaintyError(msg)
    operators = [_operators(sums, one) for one in range(sums.maps)]
    alone = _matrix(sums, sums.thickness, np.ones(len(sums.patch), np.bool_))
    flux = sums.region_flux().ravel()
    out = np.empty((members, len(flux)))
    made = draws(sums, thickness=thickness, velocity=velocity, members=members, generator=generator)
    for block in made:
        total = alone @ block.thickness + flux[:, None]
        for (rows, matrix), u in zip(operators, block.velocity, strict=True):
            total[rows] += matrix @ _linear_and_product(u, block.thickness)
        total *= 1.0 + relative_density * block.density
        out[block.first : block.first + total.shape[1]] = total.T
    result = out.reshape(members, sums.years, sums.regions)
    return result if random is None else result + random.draw(members, generator=generator)


def _linear_and_product(
    u: NDArray[np.float64], thickness: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return u_x, u_y, h u_x and h u_y below each other, shape (4 × patch, member)."""
    return np.concatenate([u, u * thickness]).reshape(-1, u.shape[-1])


def _operators(sums: PatchSums, one: int) -> tuple[NDArray[np.int64], sparse.csr_array]:
    """Return the years × regions that a map reaches, and B_x, B_y, C_x, C_y beside each other."""
    on = sums.velocity_map == one
    rows = np.unique(sums.column[on])
    effects = (*sums.velocity, *sums.product)
    blocks = [_matrix(sums, effect, on) for effect in effects]
    return rows, sparse.hstack(blocks, format="csr")[rows]


def _matrix(
    sums: PatchSums, values: NDArray[np.float64], on: NDArray[np.bool_]
) -> sparse.csr_array:
    shape = (sums.years * sums.regions, sums.patches)
    where = (sums.column[on], sums.patch[on])
    return sparse.coo_array((values[on], where), shape=shape).tocsr()
