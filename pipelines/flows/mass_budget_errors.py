"""What makes a mass budget uncertain, as a table: ours by source of error, beside the paper's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows import mass_budget_epochs as epochs
from pipelines.flows.mass_budget_arrays import ERROR_TERMS, FLUX_TERMS
from pipelines.flows.mass_budget_epochs import Span
from pipelines.flows.mass_budget_tables import Told
from pipelines.kernels.budget import paper_uncertainty
from pipelines.kernels.constants import KG_PER_GT

FLOAT = NDArray[np.float64]


def uncertainties(of: Told) -> list[tables.Row]:
    """Return the parts of the uncertainty of the flux and of the balance, over the whole run.

    The flux of each case, and discharge and balance of each member, also as equations 4 to 10 of
    Yang et al. (2023) have them (``paper_mode=``), and the flux as drawn; the balance of each
    member by source of error.
    """
    span = epochs.spans(of.run.choices, of.layout.years)[-1]
    weights = np.asarray(span.weights)
    on = weights > 0.0
    square = weights[on, None] * weights[None, on]
    return [
        *(row for case in range(len(of.layout.cases)) for row in _of_flux(of, span, square, case)),
        *_of_balance(of, span, square, on),
        *_of_paper(of, span, on),
    ]


def _of_flux(of: Told, span: Span, square: FLOAT, case: int) -> Iterator[tables.Row]:
    weights = np.asarray(span.weights)
    on = weights > 0.0
    spread = stored.read(of.group, "case_flux_covariance", case)[:, :, on][:, :, :, on]
    ours = np.sqrt((spread * square).sum(axis=(-1, -2))) / KG_PER_GT
    # The paper's sigma of a mean is the weighted mean of sigmas: `nunatak audit` finds so.
    printed = stored.read(of.group, "case_paper_sigma", case)[:, :, on] @ weights[on]
    paper = printed / KG_PER_GT
    drawn = stored.read(of.group, "case_monte_carlo_sigma", case)[:, on] @ weights[on] / KG_PER_GT
    for term, i in np.argwhere(ours[:, : len(of.layout.rows)] > 0.0):
        note = f"term={FLUX_TERMS[term]};paper_mode={paper[term, i]:.4f};{of.case_note(case)}"
        yield of.row("ice_flux_uncertainty", of.layout.rows[i], span, float(ours[term, i]), 0.0,
                     note=note)  # fmt: skip
    for i in np.flatnonzero(drawn[: len(of.layout.rows)] > 0.0):
        note = f"term=all drawn (mean of the years' spreads);{of.case_note(case)}"
        yield of.row("ice_flux_uncertainty", of.layout.rows[i], span, float(drawn[i]), 0.0,
                     note=note)  # fmt: skip


def _of_balance(of: Told, span: Span, square: FLOAT, on: NDArray[np.bool_]) -> Iterator[tables.Row]:
    for member in range(len(of.layout.members)):
        spread = stored.read(of.group, "balance_term_covariance", member)[:, :, on][:, :, :, on]
        sigma = np.sqrt(np.maximum((spread * square).sum(axis=(-1, -2)), 0.0)) / KG_PER_GT
        for term, i in np.argwhere(sigma > 0.0):
            note = f"term={ERROR_TERMS[term]};member={of.layout.member_name(member)}"
            yield of.row("mass_balance_uncertainty", of.layout.rows[i], span, float(sigma[term, i]),
                         0.0, note=note)  # fmt: skip


def _of_paper(of: Told, span: Span, on: NDArray[np.bool_]) -> Iterator[tables.Row]:
    """Yield all errors together of discharge and balance, with equations 8 to 10 beside them."""
    weights = np.asarray(span.weights)[on]
    told = {name: epochs.told(of.group, name, span) for name in ("discharge", "mass_balance")}
    for member in range(len(of.layout.members)):
        # The paper's sigma of a mean is the weighted mean of sigmas, as for the flux.
        paper = {name: weights @ each[on] for name, each in _paper_sigmas(of, member).items()}
        for quantity, found in told.items():
            if quantity not in of.quantities():
                continue
            for i, name in enumerate(of.layout.rows):
                ours, theirs = found.sigmas[member, i] / KG_PER_GT, paper[quantity][i] / KG_PER_GT
                if np.isfinite(ours) and np.isfinite(theirs):
                    note = f"term=all;paper_mode={theirs:.4f};"
                    note += f"member={of.layout.member_name(member)}"
                    yield of.row(f"{quantity}_uncertainty", name, span, float(ours), 0.0, note=note)


def _paper_sigmas(of: Told, member: int) -> dict[str, FLOAT]:
    """Return the paper's sigma of discharge and balance of each row, shape (year, row) [kg yr⁻¹].

    Yang et al. (2023), equation 8 for a region; 9 and 10 for a group and, of one region, for it.
    """
    sizes = of.run.choices.uncertainty
    case, _ = of.layout.members[member]
    count = len(of.layout.regions)
    by_source = stored.read(of.group, "case_paper_sigma", case)[:, :count]
    snow = sizes.surface_mass_balance
    discharge = paper_uncertainty.discharge_sigma(
        paper_uncertainty.FluxSigma(*np.moveaxis(by_source, -1, 1)).total,
        _term(of, "smb_gate_to_grounding_line", member),
        _term(of, "dynamic_volume_change", member),
        relative_smb=snow,
        relative_dynamic_volume=sizes.dynamic_volume,
    )
    smb = _term(of, "surface_mass_balance", member)
    inside = of.layout.places.matrix() > 0.0
    return {
        "discharge": np.stack(
            [paper_uncertainty.total_discharge_sigma(discharge[:, each]) for each in inside], -1
        ),
        "mass_balance": np.stack(
            [
                paper_uncertainty.balance_sigma(discharge[:, each], smb[:, each], relative_smb=snow)
                for each in inside
            ],
            -1,
        ),
    }


def _term(of: Told, quantity: str, member: int) -> FLOAT:
    """Return a term of the budget by year and region, nothing where the run has no input for it."""
    values = epochs.stored_term(of.group, quantity)[0][member, :, : len(of.layout.regions)]
    return values if quantity in of.quantities() else np.zeros_like(values)
