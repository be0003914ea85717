"""Truth of a synthetic world beside what was measured in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.tables import Row
    from pipelines.worlds.antarctica import Antarctica

BUFFERED = "mass_rate_buffered"
"""Quantity of the row that counts the sea beside the ice too."""


@dataclass(frozen=True)
class Compared:
    """One region: what is true, what could be seen of it, what was found.

    Attributes
    ----------
    region : str
        Basin or group.
    truth : float
        Mass change of the region itself [Gt yr⁻¹].
    seen : float
        What perfect fields of the same degree would give for it [Gt yr⁻¹].
    value, uncertainty : float
        Result and one standard deviation [Gt yr⁻¹].
    """

    region: str
    truth: float
    seen: float
    value: float
    uncertainty: float

    @property
    def z(self) -> float:
        """Error of measurement in standard deviations, (value − seen) / uncertainty."""
        return (self.value - self.seen) / self.uncertainty


def seen_mass_rates(world: Antarctica, output: str, *, j_max: int) -> dict[str, float]:
    """Return what the product's own mask and regions make of the true field of degree ``j_max``.

    Parameters
    ----------
    world : Antarctica
        The truth.
    output : str
        Address of a finished gravimetry product.
    j_max : int
        Degree of the monthly fields.

    Returns
    -------
    dict of str to float
        Mass change by basin and group, as a measurement without error would show it [Gt yr⁻¹].
    """
    import numpy as np
    import zarr

    from cluster import object_store, zarr_sink
    from pipelines.kernels import basins
    from pipelines.kernels.constants import KG_PER_GT
    from pipelines.kernels.gravity import localisation
    from pipelines.worlds.signals import signals

    address = object_store.join(output, "product.icechunk")
    repository = zarr_sink.Repository.open(address, read_only=True)
    group = zarr.open_group(repository.read(), mode="r")
    kernels, mask = (np.asarray(group[name]) for name in ("region_kernel", "mask"))
    field = signals(world, j_max=j_max).trend
    localised = localisation.localise(field, mask, j_max=kernels.shape[-1] - 1)
    names = str(group["region"].attrs["flag_meanings"]).split()
    sums = basins.region_sums(localised, kernels) / KG_PER_GT
    return dict(zip(names, sums.tolist(), strict=True))


def compare(
    truth: Mapping[str, float], seen: Mapping[str, float], rows: Sequence[Row]
) -> list[Compared]:
    """Set results beside the truth, in the order of the truth.

    Parameters
    ----------
    truth, seen : mapping of str to float
        Mass change by basin and group [Gt yr⁻¹].
    rows : sequence of Row
        Of ``tables/regions.csv``.

    Returns
    -------
    list of Compared
        Regions that both know.
    """
    found = {row.region: row for row in rows if row.quantity != BUFFERED}
    return [
        Compared(name, true, seen[name], found[name].value, found[name].uncertainty)
        for name, true in truth.items()
        if name in found and name in seen
    ]


def side_by_side(
    truth: Mapping[str, float], rows: Mapping[str, Sequence[Row]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return a table of the truth and of what each product found.

    Parameters
    ----------
    truth : mapping of str to float
        Mass change by basin and group [Gt yr⁻¹].
    rows : mapping of str to sequence of Row
        Product to its ``tables/regions.csv``.

    Returns
    -------
    header, lines
        A column per product with its standard deviation beside it, a line per region.
    """
    found = {
        name: {row.region: row for row in table if _is_result(row)} for name, table in rows.items()
    }
    header = ["region", "truth"]
    for name in rows:
        header += [name, "sigma" if name == "gravimetry" else f"sigma_{name[:3]}"]
    lines = []
    for region, true in truth.items():
        cells = [region, f"{true:.1f}"]
        for table in found.values():
            row = table.get(region)
            cells += [f"{row.value:.1f}", f"± {row.uncertainty:.1f}"] if row else ["", ""]
        lines.append(tuple(cells))
    return tuple(header), lines


def _is_result(row: Row) -> bool:
    """Return whether a row is what a product says of a region's mass over its whole period."""
    of_budget = row.quantity == "mass_balance" and row.note.split(";")[0] == "epoch=mean"
    return row.quantity == "mass_rate" or of_budget


HEADER = ("region", "truth", "seen", "result", "sigma", "z")
"""Columns of the comparison, all but the first and the last in Gt/yr."""


def cells(compared: Sequence[Compared]) -> list[tuple[str, ...]]:
    """Return a row of text per region, in the order of ``HEADER``."""
    return [
        (
            each.region,
            f"{each.truth:.1f}",
            f"{each.seen:.1f}",
            f"{each.value:.1f}",
            f"± {each.uncertainty:.1f}",
            f"{each.z:.1f}",
        )
        for each in compared
    ]


def explanation(*, j_max: int) -> Iterator[str]:
    """Yield what the columns mean for fields of degree ``j_max``."""
    yield from (
        "Sigma of altimetry is mostly that of density; members are choices, not measurements.",
        "Gravimetry alone is told as it is, without its ocean buffer:",
        f"A field of degree {j_max} cannot tell apart what is closer than {20_000 / j_max:.0f} km:",
        "mass of a basin shows partly in its neighbours and in the sea, which sigma does not hold.",
        "The noise is striped and the members take coefficients as independent, as the paper does:",
        "errors scatter by about 1.5 sigma for basins, 1.2 for AIS (docs/gravimetry.md, Limits).",
    )
