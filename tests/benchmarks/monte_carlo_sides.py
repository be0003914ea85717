"""A gate around a continent, and the Monte Carlo of its flux node by node: slow and obvious."""

from collections.abc import Iterable

import numpy as np

from pipelines.kernels.budget.monte_carlo import Draws
from pipelines.kernels.budget.patches import NodeErrors, node_errors, square_patches

REGIONS = 27
PATCH_M = 20_000.0
DENSITY = 917.0


def winding_gate(n: int) -> tuple[np.ndarray, ...]:
    """Mid-points and outward widths of a closed gate with bays, about 44 000 km long [m]."""
    angle = 2.0 * np.pi * np.arange(n + 1) / n
    radius = 2.1e6 * (1.0 + 0.1 * np.sin(3 * angle)) + 1.3e5 * np.sin(62 * angle)
    x, y = radius * np.cos(-angle), radius * np.sin(-angle)  # clockwise
    w_x, w_y = -np.diff(y), np.diff(x)
    return (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2, w_x, w_y


def make_nodes(
    n: int, years: int, *, patch_m: float = PATCH_M, slow_down: float = 1.0
) -> NodeErrors:
    """A gate whose ice streams speed up by the year, with errors that vary along it."""
    x, y, w_x, w_y = winding_gate(n)
    angle = np.arctan2(y, x)
    outward = np.hypot(x, y)
    stream = slow_down * (60.0 + 55.0 * np.cos(23.0 * angle) ** 9)
    speed = stream * (1.0 + 0.01 * np.arange(years)[:, None] * np.cos(angle))
    return node_errors(
        900.0 + 500.0 * np.sin(5.0 * angle) ** 2,
        speed * x / outward,
        speed * y / outward,
        w_x,
        w_y,
        sigma_thickness=60.0 + 40.0 * np.cos(11.0 * angle),
        sigma_v_x=8.0 + 3.0 * np.cos(7.0 * angle),
        sigma_v_y=9.0 + 3.0 * np.sin(7.0 * angle),
        region=np.floor((angle + np.pi) / (2.0 * np.pi) * REGIONS).astype(int) % REGIONS,
        patch=square_patches(x, y, size_m=patch_m),
        regions=REGIONS,
        density=DENSITY,
    )


def node_level(nodes: NodeErrors, drawn: Iterable[Draws], *, relative_density: float = 0.0):
    """Add the drawn errors to every node and sum its flux, shape (member, year, region).

    Velocity maps are numbered by year, from 0 without gaps, or shared; patches from 0 without gaps.
    """
    return np.concatenate(
        [_block(nodes, block, relative_density=relative_density) for block in drawn]
    )


def _block(nodes: NodeErrors, block: Draws, *, relative_density: float) -> np.ndarray:
    members = block.thickness.shape[1]
    maps = list(block.velocity)
    out = np.empty((members, nodes.years, nodes.regions))
    for m in range(members):
        thickness_error = block.thickness[:, m][nodes.patch]
        for year in range(nodes.years):
            u_x, u_y = velocity_error(nodes, maps, year, m)
            thickness = nodes.thickness[year] + nodes.sigma_thickness[year] * thickness_error
            v_x = nodes.v_x[year] + nodes.sigma_v_x[year] * u_x
            v_y = nodes.v_y[year] + nodes.sigma_v_y[year] * u_y
            flux = thickness * (v_x * nodes.w_x + v_y * nodes.w_y)
            sums = np.bincount(nodes.region, flux, minlength=nodes.regions)
            out[m, year] = nodes.density * (1.0 + relative_density * block.density[m]) * sums
    return out


def velocity_error(nodes: NodeErrors, maps: list[np.ndarray], year: int, member: int):
    """Errors of both components at every node of a year, in units of σ."""
    of_node = nodes.velocity_map[year]
    if of_node.strides[0] == 0:  # one map for the whole year: no need to look it up by node
        return maps[of_node[0]][:, :, member][:, nodes.patch]
    return np.stack(maps)[of_node, :, nodes.patch, member].T
