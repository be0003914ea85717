"""Comparison: several methods on the same regions, period and mask, and what they say together.

======== ===================== =============================================================
stage    keys                  writes
======== ===================== =============================================================
ground   ``mask``              what a narrower mask would take from each region
sum      ``sum/gravimetry`` …  rates, covariance between regions, curves, patterns of causes
together ``together``          covariance between methods, combined estimates, closures, causes
         ``dynamics``          damage of ice shelves beside the discharge behind them
======== ===================== =============================================================

A method whose key fails is a failed receipt; the others are compared without it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines import stored
from pipelines.flows import comparison_altimetry as altimetry
from pipelines.flows import comparison_arrays as arrays
from pipelines.flows import comparison_budget as budget
from pipelines.flows import comparison_dynamics as dynamics
from pipelines.flows import comparison_gravimetry as gravimetry
from pipelines.flows import comparison_inputs as inputs
from pipelines.flows import comparison_results as results
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.comparison_combination import combination_job
from pipelines.flows.comparison_leakage import LeakageOf, telling
from pipelines.flows.comparison_masks import MASK_DEGREE, MaskJob
from pipelines.flows.comparison_published import PublishedJob
from pipelines.flows.comparison_together import TogetherJob
from pipelines.flows.planning import planned
from pipelines.lifecycle import MIB, ByKind, Plan, Stage

if TYPE_CHECKING:
    import zarr

    from cluster.ledger import Receipt
    from pipelines.flows.comparison_inputs import ComparisonInputs, Method
    from pipelines.lifecycle import Job
    from pipelines.settings import Run

WORKER_BYTES = 350 * MIB
"""A process with what it imports [B]."""

KERNEL_SECONDS = 5.0
"""Time of the kernels of 27 basins to degree 180 [s]."""


@dataclass(frozen=True)
class SumJob:
    """``sum/NAME``: the job of that method."""

    jobs: Mapping[str, Job]

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Do the key with the job of its method."""
        return self.jobs[key](key, group)


def plan(run: Run) -> Plan:
    """Find what is compared and lay out the work; nothing is computed.

    Raises
    ------
    InputError
        What is named is not there or of another kind, or the choices name no method of it.
    """
    found = inputs.resolve(run)
    layout = layout_of(run, found)
    return planned(
        run,
        found.items,
        stages=stages_of(run, found, layout),
        template=functools.partial(arrays.create, layout=layout),
        tell=functools.partial(results.tell, run=run, found=found, layout=layout),
        bytes_to_write=layout.bytes(),
        notes=tuple(_notes(run, found, layout)),
    )


def layout_of(run: Run, found: ComparisonInputs) -> arrays.Layout:
    """Return what the arrays of a comparison follow from."""
    first, last = (np.datetime64(day, "M") for day in run.period)
    shelves = dynamics.resolve(
        found.damage, found.ground, found.shelves, run.choices.dynamics, found.methods
    )
    return arrays.Layout(
        methods=tuple(each.name for each in found.methods),
        rows=found.rows,
        regions=found.regions_count,
        months=np.arange(first, last + 1),
        patterns=tuple(_patterns(run, found)),
        combined=_combined(run, found),
        mask_degree=MASK_DEGREE if _asks_mask(run, found) else 0,
        shelves=shelves,
        longest_lag=run.choices.dynamics.longest_lag,
        attributes=results.provenance(run, found),
    )


def _combined(run: Run, found: ComparisonInputs) -> tuple[str, ...]:
    """Return the methods of the combined estimate."""
    own = tuple(m.name for m in found.methods if m.series is None and m.kind != "combination")
    chosen = tuple(run.choices.combine) or own or tuple(m.name for m in found.methods)
    known = [each.name for each in found.methods]
    for key, names in (("combine", chosen), *((f"shared.{each.name}", each.methods)
                                               for each in run.choices.shared)):  # fmt: skip
        if unknown := [name for name in names if name not in known]:
            msg = f"comparison.{key}: no method {', '.join(unknown)}; there are {', '.join(known)}"
            raise InputError(msg)
    return chosen


def _asks_mask(run: Run, found: ComparisonInputs) -> bool:
    return run.choices.mask_share > 0.0 and any(each.series is None for each in found.methods)


def _patterns(run: Run, found: ComparisonInputs) -> Iterator[tuple[str, str]]:
    """Yield every cause that is asked about, with the method that it moves."""
    mask = _asks_mask(run, found)
    for method in found.methods:
        names: tuple[str, ...] = ()
        if method.kind == "gravimetry" and method.series is None:
            names = gravimetry.gravimetry_causes(method, found.gia, mask=mask)
        elif method.kind == "altimetry" and method.series is None:
            names = altimetry.altimetry_causes(method, mask=mask)
        elif method.kind == "mass_budget" and method.series is None:
            names = budget.budget_causes(method, mask=mask)
        yield from ((name, method.name) for name in names)


def stages_of(run: Run, found: ComparisonInputs, layout: arrays.Layout) -> tuple[Stage, ...]:
    """Return the work: the mask, the sum of each method, all of them together."""
    choices, rows = run.choices, len(layout.rows)
    jobs = {f"sum/{each.name}": _job(run, found, each) for each in found.methods}
    kernels = 8 * 2 * rows * (MASK_DEGREE + 1) ** 2
    stages = []
    if layout.mask_degree:
        job = MaskJob(found.ground, choices.mask_share)
        stages.append(Stage(
            "ground", ("mask",), job, WORKER_BYTES + 6 * kernels, 2.0 * KERNEL_SECONDS,
            "kernels of the regions and of narrower ones",
        ))  # fmt: skip
    kinds = tuple(each.kind for each in found.methods)
    told = telling(found, choices.least_covered)
    leaning = {each.name: told.name for each in _gravimetries(found)} if told else {}
    last: dict[str, Job] = {
        "together": TogetherJob(kinds, layout.combined, layout.regions, choices, leaning)
    }
    source = dynamics.budget_of(found.methods)
    if layout.shelves and source is not None:
        last["dynamics"] = dynamics.DynamicsJob(layout.shelves, source, choices.dynamics)
    most = max(_bytes(each, rows) for each in found.methods)
    stages += [
        Stage("sum", tuple(jobs), SumJob(jobs), WORKER_BYTES + kernels + most,
              max(_seconds(each) for each in found.methods),
              "coefficients of one method and kernels of all regions"),
        Stage("together", tuple(last), ByKind(last), WORKER_BYTES, 2.0,
              "rates of all methods", partial=True),
    ]  # fmt: skip
    return tuple(stages)


def _job(run: Run, found: ComparisonInputs, method: Method) -> Job:
    choices = run.choices
    if method.series is not None:
        return PublishedJob(method, found.ground, choices.rate)
    told = telling(found, choices.least_covered)
    if method.kind == "gravimetry":
        alike = _gravimetries(found)
        later = alike[alike.index(method) + 1 :]
        leakage = LeakageOf(found.ground, told, choices.leakage_share, tuple(later))
        return gravimetry.GravimetryJob(method, found.ground, found.gia, choices.gia_share, leakage)
    if method.kind == "altimetry":
        return altimetry.AltimetryJob(method, found.ground)
    if method.kind == "mass_budget":
        return budget.BudgetJob(method, found.ground, choices.rate)
    return combination_job(method, found, told)


def _gravimetries(found: ComparisonInputs) -> list[Method]:
    return [each for each in found.methods if each.kind == "gravimetry" and each.series is None]


def _bytes(method: Method, rows: int) -> int:
    """Return the largest arrays that the sums of a method need [B]."""
    if method.source is None:
        return 0
    product = method.source.open()
    if method.kind == "gravimetry":
        members = stored.array(product, "mass_rate_perturbation").nbytes
        return 3 * members + 2 * stored.array(product, "stokes").nbytes
    if method.kind == "mass_budget":
        large = [name for name in ("budget_covariance", "record_smb") if name in product]
        return 4 * sum(int(stored.array(product, name).nbytes) for name in large)
    altimetry = product if method.kind == "altimetry" else method.made_of[1][1].open()
    held = stored.array(altimetry, "mass_rate_basis")
    low = 8 * 2 * held.shape[0] * (MASK_DEGREE + 1) ** 2
    if method.same_regions:
        return 3 * low
    block = 8 * 2 * held.shape[2] * held.chunks[-1]
    return 3 * low + 2 * block * (held.shape[0] + rows)


def _seconds(method: Method) -> float:
    return 5.0 if method.same_regions or method.series is not None else 8.0 * KERNEL_SECONDS


def _notes(run: Run, found: ComparisonInputs, layout: arrays.Layout) -> Iterator[str]:
    yield f"methods: {', '.join(layout.methods)}; combined: {', '.join(layout.combined)}"
    for method in found.methods:
        how = "its own sums" if method.same_regions else "summed again over the common regions"
        if method.series is not None:
            how = "as printed, on the mask that it was printed for; `nunatak audit` checks it"
        covers = f"; it covers {method.first} to {method.last}"
        yield f"{method.name}: {how}{'' if method.is_aligned(found.ground) else covers}"
    told = telling(found, run.choices.least_covered)
    if told is not None and _gravimetries(found):
        degree = told.run["altimetry"]["j_max"]
        yield f"what gravimetry does not see is told by {told.name}, to its degree {degree}"
    if found.ground.mask is not None:
        named = found.ground.regions.open_regions().region
        if gone := [name for name in named if name not in found.rows[: found.regions_count]]:
            yield f"the mask {run.inputs.grounded_ice} leaves nothing of {', '.join(gone)}"
    for kind in ("gravimetry", "altimetry", "mass_budget"):
        alike = [m.name for m in found.methods if m.kind == kind and m.name in layout.combined]
        named = {name for cause in run.choices.shared for name in cause.methods}
        if len(alike) > 1 and not named.issuperset(alike):
            but = " but for what they do not see" if kind == "gravimetry" else ""
            yield (
                f"{' and '.join(alike)} are all {kind} and count as independent{but}; say what "
                "they share in comparison.shared, or combine one of them (comparison.combine)"
            )
    if layout.shelves and dynamics.budget_of(found.methods) is None:
        yield "no mass budget is named, so damage has no discharge beside it"
