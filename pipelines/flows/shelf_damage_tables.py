"""Areas of yearly damage maps with their uncertainties, as rows of tables.

A mapped area A has bounds by precision over recall of the evaluation that belongs to the weights
(Tang et al., 2026, equation 14), and one standard deviation

::

    σ_A² = (s A)² + (κ U)² + (m N)² + ((λ_g − 1) A_g)² + V_g + (f (E − N))²

with the errors of areas that the evaluation found (:mod:`pipelines.kernels.damage.area_errors`). U
is the sum of a p (1 − p) over pixels of area a and calibrated probability p, N what is covered. λ_g
is the factor of the area A_g that is mapped on filled gaps, V_g the variance of the sum over pixels
from what the restoration does not know, and f (E − N) what the part of the extent E that nobody saw
would add if it were like the rest.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import stored, tables
from pipelines.flows import austral_summers, shelf_damage_extents
from pipelines.flows.evaluation_errors import DamageErrors
from pipelines.flows.shelf_damage_arrays import KINDS, SCENE_SUMS, SUMS, region_of, scenes_of
from pipelines.flows.shelf_damage_extents import dropped
from pipelines.flows.shelf_damage_judging import covered, unpublished
from pipelines.flows.shelf_damage_merging import STRIPE_M, unpacked
from pipelines.kernels.damage import area_factors, areas, correlated_sums
from pipelines.kernels.damage.areas import DamageSums
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.shelf_damage_inputs import DamageFound
    from pipelines.flows.shelf_damage_records import DamageSummer
    from pipelines.settings import Run

KM2 = 1e-6
PAPER_GAPS = 0.22
"""Share of a Landsat 7 scene in gaps, of which the paper's 1.044 is (section 3.2.3) [1]."""


@dataclass(frozen=True)
class Assessed:
    """The damage of a part of a shelf in a summer.

    Attributes
    ----------
    sums : DamageSums
        Areas [m²].
    water : float
        Extent under melt water [m²].
    area_sigma : float
        One standard deviation of the mapped area [m²].
    pixel_sigma : float
        That of a sum of pixels whose probabilities are right and whose errors are alike over the
        measured length, restoration included: what chance alone does [m²].
    unsure : float
        U [m²].
    low, high : float
        Bounds of the area by equation 14 [m²].
    """

    sums: DamageSums
    water: float
    area_sigma: float
    pixel_sigma: float
    unsure: float
    low: float
    high: float

    @property
    def fraction(self) -> float:
        """Damage area over ice shelf area (equation 15) [1]."""
        return areas.damage_fraction(self.sums)

    @property
    def fraction_sigma(self) -> float:
        """One standard deviation of the fraction [1]; that of the shelf's area is left out."""
        if not self.sums.known:
            return math.nan
        return areas.fraction_spread(
            self.fraction, area_spread=self.area_sigma, shelf_area=self.sums.known
        )


def assessed(made: zarr.Group, part: int, errors: DamageErrors, *, run: Run) -> Assessed:
    """Return the damage of a part of a shelf's summer.

    Parameters
    ----------
    made : Group
        The summer.
    part : int
        Number of the part.
    errors : DamageErrors
        How far the segmenter is to be trusted.
    run : Run
        The run.
    """
    total = np.nansum(stored.read(made, "block_sums")[:, :, part], axis=(0, 1))
    told = dict(zip(SUMS, total.tolist(), strict=True))
    sums = DamageSums(
        told["damage"], told["expected"], told["known"], told["extent"], told["restored_damage"]
    )
    factor = errors.restored_factor(
        mean_gap_fraction(made), assumed=in_gaps(run.choices.assumed.restoration_factor)
    )
    own = errors.factors
    low, high = area_factors.area_bounds(
        (sums.damage - sums.restored, sums.restored),
        (own, area_factors.with_restoration(own, factor)),
    )
    variance = variances(made, part, errors)
    sigma = math.hypot(
        errors.areas.sigma(sums.damage, told["unsure"], sums.known),
        (factor - 1.0) * sums.restored,
        areas.damage_fraction(sums) * (sums.extent - sums.known) if sums.known else 0.0,
        math.sqrt(variance["restoration"]),
    )
    pixels = math.sqrt(sum(variance.values()))
    return Assessed(sums, told["water"], sigma, pixels, told["unsure"], low, high)


def in_gaps(whole: float) -> float:
    """Return the factor of pixels in gaps from one of whole pictures, of which these are a part.

    >>> round(in_gaps(1.044), 3)  # the paper's
    1.2
    """
    return area_factors.gap_factor(whole, gap_fraction=1.0, evaluated_gap_fraction=PAPER_GAPS)


def mean_gap_fraction(made: zarr.Group) -> float:
    """Return how much was missing around filled pixels, on average over a summer's scenes [1]."""
    sums = np.nansum(stored.read(made, "scene_sums"), axis=(0, 1, 2))
    told = dict(zip(SCENE_SUMS, sums.tolist(), strict=True))
    return told["gap_fraction_sum"] / told["gap_pixels"] if told["gap_pixels"] else 0.0


def variances(made: zarr.Group, part: int, errors: DamageErrors) -> dict[str, float]:
    """Return the variance of the area from each kind of pixels' errors [m⁴]."""
    inner, edges = (stored.read(made, name)[:, :, part] for name in ("error_inner", "error_edges"))
    side = edges.shape[-1]
    spacing = float(made.attrs["nunatak:spacing"])  # type: ignore[arg-type]
    lengths = {"segmentation": errors.length_m, "restoration": STRIPE_M}
    made_of: dict[str, float] = {}
    for number, kind in enumerate(KINDS):
        blocks = {
            (int(row) * side, int(column) * side):
            unpacked(inner[row, column, number], edges[row, column, number])
            for row, column in np.argwhere(np.isfinite(inner[:, :, number, 0]))
        }  # fmt: skip
        total = correlated_sums.total_variance(blocks, length=lengths[kind], spacing=spacing)
        made_of[kind] = max(total, 0.0)
    return made_of


def days_of(made: zarr.Group, summer: DamageSummer, run: Run) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of the scenes that count; of the season without any."""
    without = dropped(run.choices.overrides, summer.path)
    days = [
        dt.datetime.fromtimestamp(scene["time"], dt.UTC).date()
        for scene in scenes_of(made)
        if scene["label"] not in without
    ]
    if not days:
        return austral_summers.days_of(summer.summer)
    return min(days), max(days)


def shelf_rows(group: zarr.Group, *, run: Run, found: DamageFound) -> Iterator[tables.Row]:
    """Yield area, fraction and shelf area of every published summer and part."""
    for summer in found.summers:
        made = group_at(group, summer.path)
        if not stored.values(made, "published")[0]:
            continue
        for number, part in enumerate(summer.parts):
            held = assessed(made, number, found.evaluated.errors, run=run)
            yield from _rows_of(made, summer, part, held, run=run, found=found)


def _rows_of(
    made: zarr.Group,
    summer: DamageSummer,
    part: str,
    held: Assessed,
    *,
    run: Run,
    found: DamageFound,
) -> Iterator[tables.Row]:
    known, extent = held.sums.known, held.sums.extent
    about = f"summer={summer.summer};covered={held.sums.covered:.4f};"
    about += f"restored={held.sums.restored / held.sums.damage if held.sums.damage else 0.0:.4f};"
    about += f"water_km2={held.water * KM2:.3f};extent={shelf_damage_extents.source_of(made)}"
    low, high = held.low * KM2, held.high * KM2
    bounds = f"lower={low:.4f};upper={high:.4f};"
    pixels = f"expected={held.sums.expected * KM2:.4f};unsure={held.unsure * KM2:.4f};"
    pixels += f"pixels={held.pixel_sigma * KM2:.4f};"
    per = KM2 / known if known else math.nan
    for name, value, sigma, unit, note in (
        ("damage_area", held.sums.damage * KM2, held.area_sigma * KM2, "km2",
         bounds + pixels),
        ("damage_fraction", held.fraction, held.fraction_sigma, "1",
         f"lower={held.low * per / KM2:.6f};upper={held.high * per / KM2:.6f};"),
        ("shelf_area", extent * KM2, math.nan, "km2", ""),
    ):  # fmt: skip
        yield _row(run, found, name, region_of(summer.name, part), days_of(made, summer, run),
                   value, sigma, unit, note + about)  # fmt: skip


def _row(
    run: Run,
    found: DamageFound,
    quantity: str,
    region: str,
    days: tuple[dt.date, dt.date],
    value: float,
    sigma: float,
    unit: str,
    note: str,
) -> tables.Row:
    return tables.Row(
        run.product, quantity, found.region_set, region, *days, value, sigma, unit, note
    )


def unpublished_rows(group: zarr.Group, *, run: Run, found: DamageFound) -> Iterator[tables.Row]:
    """Yield for each summer without a map which part of its extent is covered, and why."""
    for summer in found.summers:
        made = group_at(group, summer.path)
        if stored.values(made, "published")[0]:
            continue
        sums = np.nansum(stored.read(made, "block_sums")[:, :, 0], axis=(0, 1))
        told = dict(zip(SUMS, sums.tolist(), strict=True))
        share = covered(told, source=shelf_damage_extents.source_of(made))
        reason = unpublished(made, run.choices).replace(";", ",") or "not judged"
        yield _row(run, found, "covered_fraction", summer.name, days_of(made, summer, run),
                   share, math.nan, "1", f"summer={summer.summer};{reason}")  # fmt: skip


def scene_rows(group: zarr.Group, *, run: Run, found: DamageFound) -> Iterator[tables.Row]:
    """Yield how much of a summer's map each scene supplied [1]."""
    for summer in found.summers:
        made = group_at(group, summer.path)
        shares = supplied(made)
        for scene in scenes_of(made):
            day = dt.datetime.fromtimestamp(scene["time"], dt.UTC).date()
            note = f"summer={summer.summer};scene={scene['label']};"
            note += f"sensors={'+'.join(scene['sensors'])};slc_off={int(scene['slc_off'])};"
            note += f"restored={int(scene['restored'])}"
            yield _row(run, found, "supplied_fraction", summer.name, (day, day),
                       shares[scene["number"]], math.nan, "1", note)  # fmt: skip


def supplied(made: zarr.Group) -> NDArray[np.float64]:
    """Return the share of the extent that each scene supplied, by its number [1].

    The map is read in bands of chunks, so that no more than these are in memory.
    """
    array = stored.array(made, "supplier")
    count: Any = np.zeros(256, np.int64)
    for top in range(0, array.shape[0], array.chunks[0]):
        rows = slice(top, top + array.chunks[0])
        inside = stored.values(made, "extent", rows) > 0
        count += np.bincount(stored.values(made, "supplier", rows)[inside], minlength=256)
    return np.asarray(count / max(int(count.sum()), 1))
