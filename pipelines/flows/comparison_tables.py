"""The tables of a comparison: rates by method, combined, closures, curves, causes, damage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import austral_summers
from pipelines.flows import comparison_dynamics as dynamics
from pipelines.flows import comparison_snow as snow
from pipelines.flows.comparison_arrays import TERMS
from pipelines.flows.product_arrays import labels_of
from pipelines.flows.product_results import row
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_arrays import Layout
    from pipelines.flows.comparison_inputs import ComparisonInputs, Ground, Method
    from pipelines.settings import Run
    from pipelines.tables import Row

FLOAT = NDArray[np.float64]

SIGNALS = {
    "gravimetry": "all mass that moves: ice, firn, basal melt; rebound removed by model",
    "altimetry": "height of firn and ice times a density; no basal melt below it",
    "combination": "gravimetry where it resolves, altimetry below that",
    "mass_budget": "snowfall less discharge and, if given, basal melt; no rebound",
    "published": "as published",
}
"""What each method sees, so that a difference is read for what it may be."""

UNIT = "Gt yr-1"

NOT_COMPARED = "mass_balance_not_compared"
"""Quantity of rates of methods that cover too little of the period to be compared."""


def comparison_rows(group: zarr.Group, run: Run, found: ComparisonInputs) -> list[Row]:
    """Return rates by method, budgets' terms, combined estimates and closures."""
    return [
        *_by_method(group, run, found),
        *_terms(group, run, found),
        *_combined(group, run),
        *_closures(group, run),
    ]


def _by_method(group: zarr.Group, run: Run, found: ComparisonInputs) -> Iterator[Row]:
    rate = stored.read(group, "mass_rate") / KG_PER_GT
    sigma = np.sqrt(np.einsum("mrr->mr", stored.read(group, "mass_rate_covariance"))) / KG_PER_GT
    covered, lost = stored.read(group, "covered"), stored.read(group, "mass_rate_lost") / KG_PER_GT
    usable = covered >= run.choices.least_covered
    made = snow.notes(group)
    for m, method in enumerate(found.methods):
        signal = SIGNALS.get(method.kind, SIGNALS["published"])
        days = _own_days(run, method, found.ground)
        for r, name in enumerate(found.rows):
            if np.isfinite(rate[m, r]):
                note = (
                    f"method={method.name};class={method.kind};mask={_mask(method)};"
                    f"rate={_reading(run, method)};"
                    f"covered={covered[m, r]:.3f};unseen={lost[m, r]:+.3f};"
                    f"signal={signal.replace(';', ',')}{made[m][r]}"
                )
                quantity = "mass_balance" if usable[m, r] else NOT_COMPARED
                yield row(run, quantity, name, float(rate[m, r]), float(sigma[m, r]),
                          unit=UNIT, note=note, days=days)  # fmt: skip


def _own_days(run: Run, method: Method, ground: Ground) -> tuple[dt.date, dt.date]:
    """Return the days that a method's rates are of: the common ones, if it can be brought there."""
    steady = method.kind in ("altimetry", "combination") and method.series is None
    outside = method.last < ground.first or ground.last < method.first
    apart = outside or (steady and not method.is_aligned(ground))
    return (method.first, method.last) if apart else run.period


def _reading(run: Run, method: Method) -> str:
    """Return what the rate weighs: days as the run says, or what the method allows."""
    if method.series is None and method.kind != "mass_budget":
        return "trend" if method.kind == "gravimetry" else "steady"
    return str(run.choices.rate)


def _mask(method: Method) -> str:
    if method.series is not None:
        return "as published"
    return "common" if method.same_regions else "common, summed again"


def _terms(group: zarr.Group, run: Run, found: ComparisonInputs) -> Iterator[Row]:
    value, sigma = (stored.read(group, name) / KG_PER_GT for name in ("term", "term_sigma"))
    made = snow.notes(group)
    for m, method in enumerate(found.methods):
        for t, term in enumerate(TERMS):
            for r, name in enumerate(found.rows):
                if np.isfinite(value[m, t, r]):
                    yield row(run, term, name, float(value[m, t, r]), float(sigma[m, t, r]),
                              unit=UNIT, note=f"method={method.name}{made[m][r]}")  # fmt: skip


def _combined(group: zarr.Group, run: Run) -> Iterator[Row]:
    value, sigma = (stored.read(group, n) / KG_PER_GT for n in ("combined", "combined_sigma"))
    chi, freedom = (stored.read(group, f"combined_{n}") for n in ("chi_square", "freedom"))
    weight, methods = stored.read(group, "combined_weight"), labels_of(group, "method")
    for e, estimate in enumerate(labels_of(group, "estimate")):
        rule, _, left = estimate.partition(":")
        by = f"by=generalised_least_squares;without={left}" if left else f"by={rule}"
        for r, name in enumerate(labels_of(group, "row")):
            if np.isfinite(value[e, r]):
                birge = max(1.0, (chi[e, r] / freedom[e, r]) ** 0.5) if freedom[e, r] else 1.0
                weights = ",".join(f"{method}:{weight[e, m, r]:.3f}"
                                   for m, method in enumerate(methods)
                                   if np.isfinite(weight[e, m, r]))  # fmt: skip
                note = (f"{by};chi_square={chi[e, r]:.2f};freedom={freedom[e, r]:.0f};"
                        f"birge={birge:.2f};weights={weights}")  # fmt: skip
                yield row(run, "mass_balance_combined", name, float(value[e, r]),
                          float(sigma[e, r]), unit=UNIT, note=note)  # fmt: skip


def _closures(group: zarr.Group, run: Run) -> Iterator[Row]:
    if "closure" not in group:
        return
    value, sigma = (stored.read(group, name) / KG_PER_GT for name in ("closure", "closure_sigma"))
    methods, covariance = labels_of(group, "method"), stored.read(group, "rate_covariance")
    pairs = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]]
    for p, (one, other) in enumerate(pairs):
        i, j = methods.index(one), methods.index(other)
        for r, name in enumerate(labels_of(group, "row")):
            if np.isfinite(value[p, r]):
                size = (covariance[r, i, i] * covariance[r, j, j]) ** 0.5
                note = (f"between={one}-{other};first={one};second={other};"
                        f"z={value[p, r] / sigma[p, r]:.2f};"
                        f"correlation={covariance[r, i, j] / size:.3f}")  # fmt: skip
                yield row(run, "closure", name, float(value[p, r]), float(sigma[p, r]),
                          unit=UNIT, note=note)  # fmt: skip


def series_rows(group: zarr.Group, run: Run, layout: Layout) -> list[Row]:
    """Return the curves of every method, month by month; months without a value have no row."""
    return list(_curves(group, run, layout))


def _curves(group: zarr.Group, run: Run, layout: Layout) -> Iterator[Row]:
    mass, sigma = (stored.read(group, name) / KG_PER_GT for name in ("mass", "mass_sigma"))
    told = np.isfinite(mass)
    told &= (stored.read(group, "covered") >= run.choices.least_covered)[:, :, None]
    for m, method in enumerate(layout.methods):
        for r, name in enumerate(layout.rows):
            for t in np.flatnonzero(told[m, r]):
                yield row(run, "cumulative_mass", name, float(mass[m, r, t]),
                          float(sigma[m, r, t]), unit="Gt", note=f"method={method}",
                          days=_days(layout.months[t]))  # fmt: skip


def _days(month: np.datetime64) -> tuple[dt.date, dt.date]:
    first = month.astype("datetime64[D]")
    last = (month + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    return first.astype(dt.date), last.astype(dt.date)


def cause_rows(group: zarr.Group, run: Run) -> list[Row]:
    """Return what would explain the disagreements best, and what moves each of them most."""
    return [*_evidence(group, run), *_movers(group, run)]


def _evidence(group: zarr.Group, run: Run) -> Iterator[Row]:
    labels = labels_of(group, "cause")
    if not labels:
        return
    evidence, prior = stored.read(group, "cause_evidence"), stored.read(group, "cause_prior")
    names = "cause_amplitude", "cause_amplitude_sigma", "cause_explained"
    amplitude, sigma, explained = (stored.read(group, name) for name in names)
    for n in np.argsort(-(evidence + prior)):
        if np.isfinite(evidence[n]):
            cause, _, method = labels[n].rpartition("@")
            note = (f"cause={cause};method={method};amplitude={amplitude[n]:.3f};"
                    f"sigma={sigma[n]:.3f};explained={explained[n]:.2f};"
                    f"prior={prior[n]:.2f}")  # fmt: skip
            yield row(run, "cause_evidence", "all", float(evidence[n]), float("nan"), unit="1",
                      note=note)  # fmt: skip


def _movers(group: zarr.Group, run: Run) -> Iterator[Row]:
    """Yield, for each disagreement, the plausible error that moves it most."""
    if "closure" not in group or "cause_effect" not in group:
        return
    methods, labels = labels_of(group, "method"), labels_of(group, "cause")
    held, value = stored.read(group, "cause_effect") / KG_PER_GT, stored.read(group, "closure")
    pairs = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]]
    for p, pair in enumerate(pairs):
        first, second = (methods.index(each) for each in pair)
        for r, name in enumerate(labels_of(group, "row")):
            # Also of an error of a third method, if one of the two leans on that.
            moved = {
                (cause, method): float(held[first, n, r] - held[second, n, r])
                for n, (cause, _, method) in enumerate(each.rpartition("@") for each in labels)
            }
            known = {key: size for key, size in moved.items() if np.isfinite(size) and size}
            if known and np.isfinite(value[p, r]):
                cause, method = max(known, key=lambda key: abs(known[key]))
                note = (f"between={pair[0]}-{pair[1]};first={pair[0]};second={pair[1]};"
                        f"cause={cause};method={method}")  # fmt: skip
                yield row(run, "largest_mover", name, known[cause, method], float("nan"),
                          unit=UNIT, note=note)  # fmt: skip


def damage_rows(group: zarr.Group, run: Run, layout: Layout) -> list[Row]:
    """Return damage and discharge by shelf and summer, and their lagged correlation."""
    rows = []
    behind = {s.shelf.replace(" ", "_"): ",".join(s.behind) for s in layout.shelves}
    for quantity, shelf, summer, value, sigma in dynamics.rows_of(group):
        days = austral_summers.days_of(summer)
        unit = "1" if quantity == "damage_fraction" else UNIT
        note = f"shelf={shelf};summer={summer};behind={behind[shelf]}"
        rows.append(row(run, quantity, shelf, value, sigma, unit=unit, note=note, days=days))
    for s, shelf in enumerate(behind):
        lag, found, years, local, family = stored.read(group, "lagged_correlation_found", s)
        if np.isfinite(found):
            note = f"lag={lag:.0f};years={years:.0f};p_local={local:.4f};p_family={family:.4f}"
            rows.append(row(run, "lagged_correlation", shelf, float(found), float("nan"),
                            unit="1", note=note))  # fmt: skip
    return rows
