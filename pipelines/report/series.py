"""Mass by time: months of gravimetry, and sums of all methods on one axis."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.kernels.budget.years import decimal
from pipelines.kernels.constants import KG_PER_GT
from pipelines.report.methods import GROUPS, words
from pipelines.report.pictures import Picture
from pipelines.report.rounding import rounded

if TYPE_CHECKING:
    from pipelines.figures.comparison_curves import Curve
    from pipelines.report.material import Material
    from pipelines.report.methods import Rate
    from pipelines.report.outputs import Output
    from pipelines.report.sheets import Cited

FLOAT = NDArray[np.float64]


def pictures(of: Material, rates: Sequence[Rate]) -> Iterator[Picture]:
    """Yield the series that the products have."""
    curves, reference = _curves(of)
    if curves:
        yield _together(curves, reference)
    for output in of.of("gravimetry"):
        found = _months(of, output, rates)
        if found is not None:
            yield found


def _together(curves: dict[str, dict[str, Curve]], reference: str) -> Picture:
    from pipelines.figures.comparison_curves import cumulative_by_method

    def draw() -> bytes:
        return cumulative_by_method(curves, title="Mass by method")

    told = "; ".join(
        f"{region} by {name} from {rounded(curve.mass[0], 0)} to {rounded(curve.mass[-1], 0)} Gt"
        for region, held in curves.items() for name, curve in held.items()
    )  # fmt: skip
    caption = (
        f"Mass by method [Gt], {reference}; bands are one standard deviation, lines break where "
        "nothing was measured."
    )
    return Picture("mass-by-method", draw, f"Curves of mass by time. {told}.", caption)


def _curves(of: Material) -> tuple[dict[str, dict[str, Curve]], str]:
    """Return curves by region and method, and what they are relative to.

    Those of a comparison if there is one; else months of gravimetry and years of mass budgets, both
    relative to their mean over the time that they have in common.
    """
    told: dict[str, dict[str, Curve]] = {}
    for output in of.of("comparison"):
        rows = [
            each for each in of.rows(output, "series") if each.row.quantity == "cumulative_mass"
        ]
        for region in GROUPS:
            methods = dict.fromkeys(
                each.row.told.get("method", "") for each in rows if each.row.region == region
            )
            for method in methods:
                mine = [each for each in rows if each.row.region == region
                        and each.row.told.get("method", "") == method]  # fmt: skip
                told.setdefault(region, {})[words(method)] = _curve(mine)
    if told:
        return told, "as the comparison aligns it"
    for region in GROUPS:
        held = {of.label(output): curve for output in of.of("gravimetry")
                if (curve := _anomalies(of, output, region)) is not None}  # fmt: skip
        held |= {of.label(output): curve for output in of.of("mass_budget")
                 if (curve := _sums(of, output, region)) is not None}  # fmt: skip
        if held:
            told[region] = _aligned(held)
    return told, "relative to the mean over the time that the methods have in common"


def _curve(rows: Sequence[Cited]) -> Curve:
    """Return rows as a curve in order of time; of rows of one day the last."""
    from pipelines.figures.comparison_curves import Curve

    points = {middle(each.row.period_start, each.row.period_end): each.row for each in rows}
    times = sorted(points)
    return Curve(
        np.array(times, dtype=np.float64),
        np.array([points[t].value for t in times], dtype=np.float64),
        np.array([points[t].uncertainty for t in times], dtype=np.float64),
    )


def middle(first: dt.date, last: dt.date) -> float:
    """Return the middle of a period, both days inclusive, as a decimal year.

    >>> middle(dt.date(2011, 1, 1), dt.date(2011, 12, 31))
    2011.5
    """
    return (decimal(first) + decimal(last + dt.timedelta(days=1))) / 2.0


def _anomalies(of: Material, output: Output, region: str) -> Curve | None:
    rows = [each for each in of.rows(output, "series")
            if each.row.quantity == "mass_anomaly" and each.row.region == region
            and each.row.note != "buffered" and math.isfinite(each.row.value)]  # fmt: skip
    return _curve(rows) if rows else None


def _sums(of: Material, output: Output, region: str) -> Curve | None:
    """Return the mass that a mass budget gained by each year's end, from zero at its beginning."""
    from pipelines.figures.comparison_curves import Curve
    from pipelines.flows import mass_budget_series

    group = of.groups.of(output)
    if not {"replaced_mass_balance", "replaced_covariance", "year_start"} <= set(group):
        return None
    rows = str(stored.array(group, "row").attrs["flag_meanings"]).split()
    if region not in rows:
        return None
    starts, ends = (_decimals(stored.values(group, f"year_{end}")) for end in ("start", "end"))
    if not np.allclose(starts[1:], ends[:-1]):
        return None
    at = rows.index(region)
    values = stored.read(group, "replaced_mass_balance")[:, :, at]
    spread = stored.read(group, "replaced_covariance")[:, at]
    change, sigma = mass_budget_series.gained(values, spread, ends - starts)
    if not np.isfinite(change).all():
        return None
    return Curve(
        np.concatenate([starts[:1], ends]),
        np.concatenate([[0.0], change / KG_PER_GT]),
        np.concatenate([[0.0], sigma / KG_PER_GT]),
    )


def _decimals(days: NDArray[np.int64]) -> FLOAT:
    first = dt.date(1970, 1, 1)
    return np.array([decimal(first + dt.timedelta(days=int(each))) for each in days])


def _aligned(held: dict[str, Curve]) -> dict[str, Curve]:
    """Return curves less their mean over the time that all have; each as it is if there is none."""
    from pipelines.figures.comparison_curves import Curve

    first = max(float(curve.times[0]) for curve in held.values())
    last = min(float(curve.times[-1]) for curve in held.values())
    if first >= last:
        return held
    even = np.linspace(first, last, 200)
    return {
        name: Curve(
            curve.times,
            curve.mass - float(np.interp(even, curve.times, curve.mass).mean()),
            curve.sigma,
        )
        for name, curve in held.items()
    }


def _months(of: Material, output: Output, rates: Sequence[Rate]) -> Picture | None:
    """Return months of gravimetry with their trends, a panel for each group."""
    from pipelines.figures import canvas
    from pipelines.figures.series import group_series

    label = of.label(output)
    held = {region: curve for region in GROUPS
            if (curve := _anomalies(of, output, region)) is not None}  # fmt: skip
    trend = {rate.region: rate.row for rate in rates if rate.method == label}
    shown = {region: curve for region, curve in held.items() if region in trend}
    if not shown:
        return None
    epochs = np.unique(np.concatenate([curve.times for curve in shown.values()]))
    groups = {
        region: (
            _placed(curve.times, curve.mass, epochs),
            _placed(curve.times, curve.sigma, epochs),
            trend[region].value,
            trend[region].uncertainty,
        )
        for region, curve in shown.items()
    }

    def draw() -> bytes:
        named = canvas.plain(f"Mass anomaly by {label}")
        return group_series(epochs, groups, title=named)

    told = "; ".join(
        f"{region}: {len(curve.times)} months, trend {rounded(trend[region].value, 1)} Gt yr⁻¹"
        for region, curve in shown.items()
    )
    caption = (
        f"Monthly mass anomaly by {label} [Gt] with one standard deviation, and its trend (dashed)."
    )
    named = "" if len(of.of("gravimetry")) == 1 else f"-{of.in_folder[output.name]}"
    return Picture(f"monthly-mass{named}", draw, f"Curves of monthly mass. {told}.", caption)


def _placed(times: FLOAT, values: FLOAT, epochs: FLOAT) -> FLOAT:
    """Return values at epochs, NaN where there is none."""
    found = np.full(len(epochs), np.nan)
    found[np.searchsorted(epochs, times)] = values
    return found
