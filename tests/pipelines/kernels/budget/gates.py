"""Small gates with errors, and the covariance of their flux by the plain rule of propagation."""

from typing import Any

import numpy as np

from pipelines.kernels.budget.loadings import Structure
from pipelines.kernels.budget.patches import NodeErrors, node_errors

DENSITY = 917.0


def node_fields(n: int, years: int, *, regions: int, patches: int, seed: int) -> dict[str, Any]:
    """What :func:`node_errors` takes, at random: nodes of a patch and region are not neighbours."""
    rng = np.random.default_rng(seed)
    return {
        "thickness": rng.uniform(300.0, 2000.0, n),
        "v_x": rng.normal(0.0, 200.0, (years, n)),
        "v_y": rng.normal(0.0, 200.0, (years, n)),
        "w_x": rng.normal(0.0, 500.0, n),
        "w_y": rng.normal(0.0, 500.0, n),
        "sigma_thickness": rng.uniform(10.0, 100.0, n),
        "sigma_v_x": rng.uniform(1.0, 20.0, (years, n)),
        "sigma_v_y": rng.uniform(1.0, 20.0, (years, n)),
        "region": rng.integers(0, regions, n),
        "patch": rng.integers(0, patches, n),
        "regions": regions,
        "density": DENSITY,
        "length": rng.uniform(400.0, 900.0, n),
    }


def random_nodes(
    n: int = 40, years: int = 3, *, regions: int = 4, patches: int = 7, seed: int = 1, **other: Any
) -> NodeErrors:
    """Nodes at random."""
    fields = node_fields(n, years, regions=regions, patches=patches, seed=seed)
    return node_errors(**(fields | other))


def shared(structure: Structure, patch: np.ndarray, length: np.ndarray, ell: float) -> np.ndarray:
    """Correlation of the errors of every pair of nodes of one map."""
    one_patch = patch[:, None] == patch[None, :]
    noise = np.diag(ell / length)
    return (
        structure.systematic**2 + structure.correlated**2 * one_patch + structure.random**2 * noise
    )


def thickness_covariance(
    nodes: NodeErrors, structure: Structure, *, ell: float = 1000.0
) -> np.ndarray:
    """Covariance of the flux, shape (year, region, year, region), by G C Gᵀ over nodes."""
    gradient = gradients(nodes, nodes.v_x * nodes.w_x + nodes.v_y * nodes.w_y)
    correlation = shared(structure, nodes.patch, nodes.length, ell)
    sigma = nodes.sigma_thickness
    return np.einsum(
        "tri,ti,ij,uj,usj->trus", gradient, sigma, correlation, sigma, gradient, optimize=True
    )


def velocity_covariance(
    nodes: NodeErrors, structure: Structure, *, ell: float = 1000.0
) -> np.ndarray:
    """The same for velocity: errors of two years covary where both are from one map."""
    correlation = shared(structure, nodes.patch, nodes.length, ell)
    same = nodes.velocity_map[:, None, :, None] == nodes.velocity_map[None, :, None, :]
    whole = 0.0
    for width, sigma in ((nodes.w_x, nodes.sigma_v_x), (nodes.w_y, nodes.sigma_v_y)):
        loads = gradients(nodes, nodes.thickness * width) * sigma[:, None]
        whole = whole + np.einsum(
            "tri,tuij,ij,usj->trus", loads, same.astype(float), correlation, loads, optimize=True
        )
    return np.asarray(whole)


def gradients(nodes: NodeErrors, effect: np.ndarray) -> np.ndarray:
    """Derivative of the flux of each year and region by the error of each node."""
    member = np.arange(nodes.regions)[:, None] == nodes.region
    return nodes.density * effect[:, None, :] * member
