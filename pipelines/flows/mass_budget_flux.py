"""Flux through the gates of one case: sums by region and year, their covariance, their nodes.

Errors are gathered by patch, so neither the numbers nor their cost depend on the spacing of the
nodes. What is stored is the covariance between years of each region and group: what epoch means,
differences and cumulative sums need, and small.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.mass_budget_arrays import FLUX_TERMS
from pipelines.kernels.budget import (
    flux_gate,
    loadings,
    monte_carlo,
    paper_uncertainty,
    random_errors,
    uncertainty,
    velocity,
)
from pipelines.kernels.budget.loadings import Loadings, Structure, UncertaintyError
from pipelines.kernels.budget.patches import NodeErrors, PatchSums, node_errors, patch_sums

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.mass_budget_rows import Rows
    from pipelines.settings_mass_budget import MassBudgetChoices, Uncertainty

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]


@dataclass(frozen=True)
class Gate:
    """The nodes of one gate set that lie in a region; arrays of shape (node,)."""

    at: slice
    inside: NDArray[np.bool_]
    w_x: FLOAT
    w_y: FLOAT
    length: FLOAT
    region: INT
    patch: INT
    gate: INT
    is_open: NDArray[np.bool_]


def gate_of(group: zarr.Group, gate_set: int) -> Gate:
    """Return the nodes of a gate set; those in no region carry no flux to any sum."""
    sets = stored.values(group, "node_gate_set")
    first, last = np.searchsorted(sets, [gate_set, gate_set + 1])
    at = slice(int(first), int(last))

    def read(name: str) -> NDArray[np.generic]:
        return stored.values(group, f"node_{name}", at)

    region = read("region").astype(np.int64)
    inside = region >= 0
    return Gate(
        at=at,
        inside=inside,
        w_x=read("w_x").astype(np.float64)[inside],
        w_y=read("w_y").astype(np.float64)[inside],
        length=read("length").astype(np.float64)[inside],
        region=region[inside],
        patch=read("patch").astype(np.int64)[inside],
        gate=read("gate").astype(np.int64)[inside],
        is_open=read("is_open").astype(bool)[inside],
    )


@dataclass(frozen=True)
class FluxJob:
    """``flux/0``: one case, a gate set with a bed and a mosaic."""

    choices: MassBudgetChoices
    cases: tuple[tuple[int, int, int], ...]
    rows: Rows

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the sums of the case; fail it where its nodes cannot be used."""
        number = int(key.partition("/")[2])
        gate = gate_of(group, self.cases[number][0])
        try:
            nodes = self._nodes(group, gate, number)
            sums = patch_sums(nodes)
        except UncertaintyError as error:
            raise KeyFailed(str(error), (key,)) from error
        flux, gap = filled_flux(nodes, gate, sums, largest=self.choices.largest_gap)
        terms = self._terms(nodes, sums, flux, gap)
        stored.write(group, "case_ice_flux", flux, number)
        rows = self.rows.flux_matrix()
        covariance = np.stack([row_covariance(terms[t].grouped(rows)) for t in FLUX_TERMS])
        stored.write(group, "case_flux_covariance", covariance, number)
        stored.write(group, "case_paper_sigma", self._paper(nodes, rows), number)
        stored.write(group, "case_monte_carlo_sigma", self._monte_carlo(nodes, sums, rows), number)
        self._write_nodes(group, number, nodes, gate)
        self._write_gates(group, number, nodes, gate)
        self._write_coverage(group, number, nodes, gate)
        return Receipt(key, "done")

    def _nodes(self, group: zarr.Group, gate: Gate, number: int) -> NodeErrors:
        """Return what is known of the nodes of the case, and how well."""
        sizes, (_, bed, mosaic) = self.choices.uncertainty, self.cases[number]

        def at_nodes(name: str, index: int) -> FLOAT:
            return stored.read(group, name, (index, ..., gate.at))[..., gate.inside]

        thickness = at_nodes("thickness", bed)
        _require_positive(thickness)
        spread = at_nodes("thickness_sigma", bed)
        spread = np.where(np.isnan(spread), sizes.thickness_sigma_m, spread)
        v_x, v_y, s_x, s_y = (
            at_nodes(name, mosaic) for name in ("v_x", "v_y", "v_x_sigma", "v_y_sigma")
        )
        bare = np.broadcast_to(
            thickness == 0.0, v_x.shape
        )  # rock and sea carry no ice, whatever moves
        v_x, v_y = (np.where(bare & np.isnan(v), 0.0, v) for v in (v_x, v_y))
        s_x, s_y = (np.where(np.isnan(s), sizes.velocity_sigma_m_per_yr, s) for s in (s_x, s_y))
        sign = self._signs(gate, thickness, v_x, v_y)
        turned = sign[gate.gate]
        self._write_signs(group, number, sign)
        return node_errors(
            thickness, v_x, v_y, turned * gate.w_x, turned * gate.w_y,
            sigma_thickness=np.where(thickness == 0.0, 0.0, spread),
            sigma_v_x=s_x, sigma_v_y=s_y, region=gate.region, patch=gate.patch,
            regions=len(self.rows.regions), density=self.choices.density,
            velocity_map=at_nodes("velocity_map", mosaic).astype(np.int64),
            length=gate.length, leave_out=True,
        )  # fmt: skip

    def _signs(self, gate: Gate, thickness: FLOAT, v_x: FLOAT, v_y: FLOAT) -> FLOAT:
        """Return −1 for open gates that were drawn against their own mean flow, shape (gate,)."""
        count = int(gate.gate.max(initial=-1)) + 1
        if self.choices.gates.open_ == "as_drawn":
            return np.ones(count)
        flux = flux_gate.segment_flux(
            thickness, v_x, v_y, gate.w_x, gate.w_y, density=self.choices.density
        )
        net = np.bincount(gate.gate, np.nan_to_num(flux).sum(axis=0))
        is_open = np.bincount(gate.gate, gate.is_open) > 0
        return np.where(is_open & (net < 0.0), -1.0, 1.0)

    def _write_signs(self, group: zarr.Group, number: int, signs: FLOAT) -> None:
        row = np.ones(stored.array(group, "gate_sign").shape[1])
        row[: len(signs)] = signs
        stored.write(group, "gate_sign", row, number)

    def _terms(
        self, nodes: NodeErrors, sums: PatchSums, flux: FLOAT, gap: FLOAT
    ) -> dict[str, Loadings]:
        """Return the errors of the flux by source; a filled gap is as uncertain as it is large."""
        sizes = self.choices.uncertainty
        bed, speed = structure(sizes, "thickness"), structure(sizes, "velocity")
        length = 1000.0 * sizes.random_length_km
        velocity = [
            uncertainty.velocity_loadings(nodes, sums, speed, random_length_m=length),
            uncertainty.product_loadings(sums, bed, speed),
            uncertainty.sigma_loadings(gap, loadings.CORRELATED),
        ]
        return {
            "thickness": uncertainty.thickness_loadings(nodes, sums, bed, random_length_m=length),
            "velocity": loadings.stacked(velocity),
            "density": uncertainty.density_loadings(
                flux, density=self.choices.density, sigma_density=sizes.density_sigma
            ),
        }

    def _paper(self, nodes: NodeErrors, rows: FLOAT) -> FLOAT:
        """Return equations 5 to 7 for regions, in quadrature for groups: (term, row, year)."""
        speed_sigma = np.hypot(nodes.sigma_v_x, nodes.sigma_v_y)
        known = nodes.measured
        thickness, v_x, v_y, bed_sigma, speed = (
            np.where(known, field, 0.0)
            for field in (nodes.thickness, nodes.v_x, nodes.v_y, nodes.sigma_thickness, speed_sigma)
        )
        spread = paper_uncertainty.flux_sigma(
            thickness, v_x, v_y, nodes.w_x, nodes.w_y, sigma_thickness=bed_sigma,
            sigma_speed=speed, density=self.choices.density,
            sigma_density=self.choices.uncertainty.density_sigma, region=nodes.region,
            regions=nodes.regions,
        )  # fmt: skip
        terms = np.stack([spread.thickness, spread.velocity, spread.density])
        return np.sqrt(np.moveaxis(terms**2 @ rows.T, -1, 1))

    def _monte_carlo(self, nodes: NodeErrors, sums: PatchSums, rows: FLOAT) -> FLOAT:
        """Return the spread of drawn fluxes, (row, year); NaN if none are asked for."""
        sizes = self.choices.uncertainty
        if sizes.members < 2:
            return np.full((len(rows), nodes.years), np.nan)
        bed, speed = structure(sizes, "thickness"), structure(sizes, "velocity")
        members = monte_carlo.flux_members(
            sums, thickness=bed, velocity=speed, members=sizes.members,
            generator=np.random.default_rng(sizes.seed),
            relative_density=sizes.density_sigma / self.choices.density,
            random=_random(nodes, bed, speed, 1000.0 * sizes.random_length_km),
        )  # fmt: skip
        return np.asarray((members @ rows.T).std(axis=0, ddof=1).T)

    def _write_nodes(self, group: zarr.Group, number: int, nodes: NodeErrors, gate: Gate) -> None:
        """Write the flux of each node, mean of the years that have one."""
        total, count = np.zeros(len(gate.region)), np.zeros(len(gate.region))
        for t in range(nodes.years):
            total += nodes.flux(t)
            count += nodes.measured[t]
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        at = np.full(len(gate.inside), np.nan)
        at[gate.inside] = mean
        row = np.full(stored.array(group, "node_flux").shape[1], np.nan, "float32")
        row[gate.at] = at
        stored.write(group, "node_flux", row, number)

    def _write_gates(self, group: zarr.Group, number: int, nodes: NodeErrors, gate: Gate) -> None:
        """Write the flux of each gate of the set by itself: gates may lie one behind another."""
        whole = stored.array(group, "gate_ice_flux").shape[2]
        alone = dataclasses.replace(nodes, region=gate.gate, regions=whole)
        sums = patch_sums(alone)
        by_gate = dataclasses.replace(gate, region=gate.gate)
        flux, gap = filled_flux(alone, by_gate, sums, largest=self.choices.largest_gap)
        terms = self._terms(alone, sums, flux, gap)
        stored.write(group, "gate_ice_flux", flux, number)
        covariance = row_covariance(loadings.total(terms))
        stored.write(group, "gate_flux_covariance", covariance, number)

    def _write_coverage(
        self, group: zarr.Group, number: int, nodes: NodeErrors, gate: Gate
    ) -> None:
        """Write which layer gave each region's velocity; the first bed's case does so for all."""
        gate_set, bed, mosaic = self.cases[number]
        if bed:
            return
        part = stored.values(group, "velocity_source", (mosaic, slice(None), gate.at))
        source = part.astype(np.int64)[:, gate.inside] - 1
        through = np.stack([nodes.flux(t) for t in range(nodes.years)])
        usual = velocity.usual_flux(np.where(nodes.measured, through, np.nan), gate.length)
        layers = stored.array(group, "coverage").shape[-1] - 1
        found = [
            velocity.coverage(
                source, weight, gate.region, n_regions=nodes.regions, n_sources=layers
            )
            for weight in (gate.length, usual)
        ]
        stored.write(group, "coverage", np.stack(found), (mosaic, gate_set))


def _require_positive(thickness: FLOAT) -> None:
    if (thickness < 0.0).any():
        msg = (
            f"thickness of {float(np.nanmin(thickness)):g} m at a gate, expected 0 or more; a "
            "filler is not declared: correct the file and ingest it again"
        )
        raise UncertaintyError(msg)


def structure(sizes: Uncertainty, term: str) -> Structure:
    """Return the structure of a term from the shares of its variance in the run file."""
    shares = getattr(sizes, term)
    return Structure.of_variances(
        systematic=shares.systematic, correlated=shares.correlated, random=shares.random
    )


def _random(
    nodes: NodeErrors, bed: Structure, speed: Structure, length_m: float
) -> Loadings | None:
    if bed.random == 0.0 and speed.random == 0.0:
        return None
    return loadings.stacked(
        [
            random_errors.random_thickness(nodes, random_length_m=length_m).scaled(bed.random),
            random_errors.random_velocity(nodes, random_length_m=length_m).scaled(speed.random),
        ]
    )


def gap_shares(nodes: NodeErrors, gate: Gate) -> FLOAT:
    """Return which part of each region's gate is not measured, shape (year, region) [1].

    NaN for a region without a gate: nobody knows what leaves it.
    """
    whole = np.bincount(gate.region, gate.length, minlength=nodes.regions)
    missing = np.stack(
        [
            np.bincount(gate.region, gate.length * ~known, minlength=nodes.regions)
            for known in nodes.measured
        ]
    )
    share = np.full(missing.shape, np.nan)
    return np.asarray(np.divide(missing, whole, out=share, where=whole > 0.0))


def filled_flux(
    nodes: NodeErrors, gate: Gate, sums: PatchSums, *, largest: float
) -> tuple[FLOAT, FLOAT]:
    """Return the flux of whole gates from that of their measured parts, and how unsure gaps are.

    A node that lacks a year carries what it usually does; one that no year has, the mean flux per
    length of its region. Either is as uncertain as it is large; a node that no year has may also be
    as fast as the fastest twentieth of its region's gate.

    Parameters
    ----------
    nodes, gate, sums
        Nodes with their errors, where they are, and their sums by patch.
    largest : float
        A region that lacks more than this part of its gate's length is NaN: it is not measured,
        not zero.

    Returns
    -------
    flux, gap_sigma : ndarray, shape (year, region)
        [kg yr⁻¹].
    """
    shares, measured = gap_shares(nodes, gate), sums.region_flux()
    through = np.stack([nodes.flux(t) for t in range(nodes.years)])
    count = nodes.measured.sum(axis=0)
    usual = np.divide(through.sum(axis=0), count, out=np.zeros(len(count)), where=count > 0)
    mean, fast = _densities(usual, gate, count > 0, nodes.regions)
    never = count == 0
    estimate = np.where(never, gate.length * mean[gate.region], usual)
    doubt = np.where(never, gate.length * fast[gate.region], np.abs(usual))
    gap, sigma = np.zeros(measured.shape), np.zeros(measured.shape)
    for t in range(nodes.years):
        absent = ~nodes.measured[t]
        where = gate.region[absent]
        gap[t] = np.bincount(where, estimate[absent], minlength=nodes.regions)
        sigma[t] = np.bincount(where, doubt[absent], minlength=nodes.regions)
    usable = shares <= largest
    return np.where(usable, measured + gap, np.nan), np.where(usable, sigma, np.nan)


def _densities(
    usual: FLOAT, gate: Gate, known: NDArray[np.bool_], regions: int
) -> tuple[FLOAT, FLOAT]:
    """Return mean and fast flux per length of each region's gate, (region,) [kg m⁻¹ yr⁻¹]."""
    flux = np.bincount(gate.region[known], usual[known], minlength=regions)
    length = np.bincount(gate.region[known], gate.length[known], minlength=regions)
    mean = np.divide(flux, length, out=np.zeros(regions), where=length > 0.0)
    fast = np.zeros(regions)
    density = np.abs(usual) / gate.length
    for region in np.unique(gate.region[~known]):
        held = density[known & (gate.region == region)]
        fast[region] = np.quantile(held, 0.95) if held.size else 0.0
    return mean, fast


def row_covariance(terms: Loadings) -> FLOAT:
    """Return the covariance between years of each region or group, (row, year, year) [kg² yr⁻²]."""
    rows, years = terms.regions, terms.years
    found = np.empty((rows, years, years))
    columns = terms.matrix.tocsc()
    for row in range(rows):
        own = columns[:, row::rows]
        found[row] = (own.T @ own).toarray()
    return found
