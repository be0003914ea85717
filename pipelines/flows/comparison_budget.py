"""A mass budget on the common ground.

Discharge changes slowly and is known by years: each day of the common period takes the nearest
year. Snowfall does not, and is known by months: the months of the period are summed themselves. A
region whose balance is from elsewhere keeps it: its snow is told as a term, and moves nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import mass_budget_epochs
from pipelines.flows.comparison_calendar import calendar_of
from pipelines.flows.comparison_places import places_of
from pipelines.flows.comparison_snow import shares, snow_shift
from pipelines.flows.comparison_sums import MethodSum, centred, months_in
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.comparison.attribution import ALTERNATIVE, Expected

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_calendar import Calendar
    from pipelines.flows.comparison_inputs import Ground, Method
    from pipelines.flows.comparison_places import Places
    from pipelines.flows.comparison_snow import Snow
    from pipelines.kernels.comparison.alignment import Reading

FLOAT = NDArray[np.float64]

GATE_SHARE = 0.3
"""Plausible error of a gate correction that was made, over the correction [1]: models of snow
differ by as much near the coast."""

MISSING_ODDS = float(np.log(10.0))
"""A correction that a budget has not made, though ice lies below its gates, is ten times likelier
to be what is wrong than any other cause: nobody has to look at a rate to know that."""

MISSING = Expected(1.0, 0.5)
"""Amplitude of a correction that was not made: all of it, by snow that is known to half."""


@dataclass(frozen=True)
class BudgetJob:
    """``sum/mass_budget``: balance, its terms, its curve, and what its choices do to it."""

    method: Method
    ground: Ground
    reading: Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the slot of the method."""
        product = self.method.product.open()
        places = places_of(product, self.method, self.ground, labels_of(group, "row"))
        calendar = calendar_of(product, self.ground, self.reading)
        fallen = snow_shift(product, self.method, calendar)
        weights = calendar.year_weights()[None]
        rate, covariance = _rate(product, weights, places)
        mass, mass_sigma = self._curve(product, group, calendar, places, fallen)
        MethodSum(
            rate + places.native().regions @ fallen.shift, covariance, calendar.covered(),
            mass, mass_sigma,
            terms=_terms(product, weights, places, fallen),
            patterns=_patterns(product, group, weights, places, self.method),
            odds={"gate_correction": MISSING_ODDS} if _uncorrected(product) else {},
            expected=_expected(product),
        ).write(group, self.method.name)  # fmt: skip
        slot = labels_of(group, "method").index(self.method.name)
        for name, values in shares(product, places, fallen).items():
            # A version that was begun before these arrays were made has none.
            if name in group:
                stored.write(group, name, values, slot)
        said = "; ".join(_said(product, group, rate, places, fallen))
        return Receipt(key, "done", note=f"{said}; {calendar.covered():.2f} of it has velocity")

    def _curve(
        self,
        product: zarr.Group,
        group: zarr.Group,
        calendar: Calendar,
        places: Places,
        fallen: Snow,
    ) -> tuple[FLOAT, FLOAT]:
        """Return masses at the middles of months and their spread, (row, month) [kg]."""
        months = months_in(group)
        firsts = months.astype("datetime64[D]").astype(np.int64)
        middles = (firsts + 15).astype("datetime64[D]")
        elapsed = calendar.elapsed(middles)
        elapsed = elapsed - elapsed.mean(axis=0)
        mass, sigma, _ = _told(product, "replaced", elapsed, places)
        snow = places.native().regions @ fallen.monthly(months)
        return centred(mass.T + snow), sigma.T


def _said(
    product: zarr.Group, group: zarr.Group, rate: FLOAT, places: Places, fallen: Snow
) -> Iterator[str]:
    """Yield how snow was summed, and which rows are not the budget's own."""
    yield fallen.told(labels_of(product, "region"))
    rows = labels_of(group, "row")
    if unknown := [name for name, value in zip(rows, rate, strict=True) if np.isnan(value)]:
        yield f"nothing of {', '.join(unknown)}, which its own regions do not make up"
    if places.replaced:
        yield (
            f"the balance of {', '.join(places.replaced)} is from elsewhere, there and in groups "
            "of them it is not snow less discharge"
        )


def _rate(product: zarr.Group, weights: FLOAT, places: Places) -> tuple[FLOAT, FLOAT]:
    """Return the balance by years, (row,), and its covariance, (row, row) [kg yr⁻¹].

    ``weights`` are of one weighting, (1, year); regions err apart but for what the members share.
    """
    rate, sigma, told = _told(product, "replaced", weights, places)
    members = told[:, 0] - told[:, 0].mean(axis=0)
    spread = members.T @ members / max(len(members) - 1, 1)
    within = np.maximum(sigma[0] ** 2 - np.diag(spread), 0.0)
    return rate[0], spread + np.diag(within)


def _terms(
    product: zarr.Group, weights: FLOAT, places: Places, fallen: Snow
) -> dict[str, tuple[FLOAT, FLOAT]]:
    """Return snow of the months and discharge with standard deviations, (row,) [kg yr⁻¹].

    Those of replaced regions too, whose balance they do not make.
    """
    snow, flow = (
        _told(product, name, weights, places) for name in ("surface_mass_balance", "discharge")
    )
    return {
        "surface_mass_balance": (snow[0][0] + places.regions @ fallen.shift, snow[1][0]),
        "discharge": (flow[0][0], flow[1][0]),
    }


def _told(
    product: zarr.Group, quantity: str, weights: FLOAT, places: Places
) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return a term at several weightings of the years.

    Value and standard deviation, (weighting, row), and each member's value,
    (member, weighting, row).
    """
    values, spread = mass_budget_epochs.stored_term(product, quantity)
    known = np.nan_to_num(values)
    members = np.einsum("wt,mtr,pr->mwp", weights, known, places.rows)
    unknown = (
        np.einsum("wt,mtr,pr->mwp", weights != 0.0, np.isnan(values), places.rows != 0.0) > 0.0
    )
    members = np.where(unknown, np.nan, members)
    within = np.einsum(
        "wt,wu,mrtu,pr->mwp", weights, weights, np.nan_to_num(spread), places.rows**2, optimize=True
    )
    between = members.std(axis=0, ddof=1) if len(members) > 1 else np.zeros_like(members[0])
    sigma = np.sqrt(np.maximum(within.mean(axis=0), 0.0) + between**2)
    return members.mean(axis=0), sigma, members


def _patterns(
    product: zarr.Group, group: zarr.Group, weights: FLOAT, places: Places, method: Method
) -> dict[str, FLOAT]:
    """Return what a plausible error of each choice of the budget adds to its balance, (row,).

    Nothing where the balance is from elsewhere [kg yr⁻¹].
    """
    own = places.native()
    below = _told(product, "smb_gate_to_grounding_line", weights, own)[0][0]
    fallen = _told(product, "surface_mass_balance", weights, own)[0][0]
    size = float(method.run["mass_budget"]["uncertainty"]["surface_mass_balance"])
    area = own.regions @ stored.read(product, "sliver_area_gross").mean(axis=0)
    inland = _ratio(fallen, own.area(product))
    # What was corrected may err by a part; what was not, though ice lies below, by all of it.
    gate = np.where(below != 0.0, GATE_SHARE * below, area * inland)
    patterns = {"gate_correction": gate, "surface_mass_balance": size * fallen}
    balance = _told(product, "replaced", weights, places)[2][:, 0]
    for name, chosen in _choices(product).items():
        patterns[name] = balance.mean(axis=0) - balance[chosen].mean(axis=0)
    if "mask_area" in group:
        known = (area > 0.0) & (below != 0.0)
        rate = np.where(known, below / np.where(known, area, 1.0), inland)
        patterns["mask"] = -rate * _mask_area(product, group, places)
    return patterns


def _ratio(one: FLOAT, other: FLOAT) -> FLOAT:
    """Return one over the other, 0 where that is 0: a row of replaced regions alone."""
    return np.asarray(np.divide(one, other, out=np.zeros_like(one), where=other != 0.0))


def _mask_area(product: zarr.Group, group: zarr.Group, places: Places) -> FLOAT:
    """Return the area that a narrower mask takes from where the balance is the budget's, (row,)."""
    lost = stored.read(group, "mask_area")
    if not places.replaced:
        return lost
    count = places.common.shape[1]
    kept = _ratio(places.native().area(product), places.area(product))[:count]
    # A region that the budget cannot say has no rate, so that its area counts for nothing.
    return np.asarray(places.common @ (lost[:count] * np.nan_to_num(kept)))


def _uncorrected(product: zarr.Group) -> bool:
    """Return whether no snow is taken from below the gates, though ice lies there."""
    below = mass_budget_epochs.stored_term(product, "smb_gate_to_grounding_line")[0]
    return bool(np.all(below == 0.0) and np.any(stored.read(product, "sliver_area_gross") > 0.0))


def _expected(product: zarr.Group) -> dict[str, Expected]:
    """Return which causes are other choices, and that a correction not made is missing."""
    missing = {"gate_correction": MISSING} if _uncorrected(product) else {}
    return {**dict.fromkeys(_choices(product), ALTERNATIVE), **missing}


def _choices(product: zarr.Group) -> dict[str, list[int]]:
    """Return the members of each gate set, bed, mosaic and model that there are several of."""
    cases = stored.values(product, "case_choice")
    of_members = stored.values(product, "member_choice")
    chosen = np.column_stack([cases[of_members[:, 0]], of_members[:, 1]])
    found: dict[str, list[int]] = {}
    for part, name in enumerate(("gate_set", "bed", "mosaic", "model")):
        names = labels_of(product, name)
        for number, label in enumerate(names if len(names) > 1 else ()):
            found[f"{name}:{label}"] = [int(m) for m in np.flatnonzero(chosen[:, part] == number)]
    return found


def budget_causes(method: Method, *, mask: bool) -> tuple[str, ...]:
    """Return the causes that :class:`BudgetJob` has patterns of."""
    choices = _choices(method.product.open())
    return ("gate_correction", "surface_mass_balance", *choices, *(("mask",) if mask else ()))
