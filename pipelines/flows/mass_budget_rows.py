"""Rows of a mass budget: the regions, then their groups, and groups without replaced regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.flows.catalogue_inputs import InputError
from pipelines.kernels.budget import balance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd

    from pipelines.settings_mass_budget import Replacement

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """What people quote numbers of.

    Attributes
    ----------
    regions : tuple of str
        Ids.
    groups : tuple of (str, tuple of str)
        Name and members of each group.
    replaced : tuple of str
        Regions whose balance is taken from elsewhere.
    """

    regions: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    replaced: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all rows."""
        return (*self.regions, *(name.replace(" ", "_") for name, _ in self.groups))

    @property
    def whole(self) -> int:
        """Row of all regions together; the last one if there is none."""
        names = [name for name, _ in self.groups]
        named = next((name for name in (balance.ALL, "all") if name in names), None)
        return self.names.index(named) if named else len(self.names) - 1

    @property
    def flux_names(self) -> tuple[str, ...]:
        """Names of the rows of the flux: groups come again without replaced regions."""
        kept = (f"{name.replace(' ', '_')}_kept" for name, _ in self.groups)
        return (*self.names, *kept)

    def is_replaced(self) -> NDArray[np.bool_]:
        """Return which regions are replaced, shape (region,)."""
        return np.isin(self.regions, self.replaced)

    def group_matrix(self) -> FLOAT:
        """Return the membership of regions in groups, shape (group, region)."""
        members = [[region in ids for region in self.regions] for _, ids in self.groups]
        return np.array(members, dtype=np.float64).reshape(-1, len(self.regions))

    def matrix(self) -> FLOAT:
        """Return the matrix from regions to rows, shape (row, region)."""
        return np.concatenate([np.eye(len(self.regions)), self.group_matrix()])

    def flux_matrix(self) -> FLOAT:
        """Return the matrix from regions to the rows of the flux's covariance."""
        return np.concatenate([self.matrix(), self.group_matrix() * ~self.is_replaced()])


WHOLE_M2 = 11e12
"""Regions of less than this together on the map are not the ice sheet, nor called AIS [m²]."""


def _whole_groups(polygons: gpd.GeoDataFrame, regions: list[str]) -> dict[str, list[str]]:
    """Return the groups of which all members are there; what is no ice sheet is called ``all``."""
    groups = balance.groups(regions, [str(group) for group in polygons.group])
    numbered = {str(i) for ids in balance.SHEETS.values() for i in ids}
    if numbered.issuperset(regions):
        partial = [name for name, ids in balance.SHEETS.items()
                   if name in groups and {*groups[name]} != {str(i) for i in ids}]  # fmt: skip
        groups = {name: ids for name, ids in groups.items() if name not in partial}
    if float(polygons.geometry.area.sum()) < WHOLE_M2:
        groups = {"all" if name == balance.ALL else name: ids for name, ids in groups.items()}
    clash = [name for name in groups if name in regions]
    return {name: ids for name, ids in groups.items() if name not in clash}


def rows_of(polygons: gpd.GeoDataFrame, replacements: Sequence[Replacement]) -> Rows:
    """Return the rows of a set of regions.

    Raises
    ------
    InputError
        A replacement of a region that is not there.
    """
    regions = tuple(str(region) for region in polygons.region)
    groups = _whole_groups(polygons, list(regions))
    unknown = [each.region for each in replacements if each.region not in regions]
    if unknown:
        msg = (
            f"mass_budget.replacements: no region {', '.join(unknown)}; the run has "
            f"{', '.join(regions[:30])}"
        )
        raise InputError(msg)
    return Rows(
        regions,
        tuple((name, tuple(members)) for name, members in groups.items()),
        tuple(each.region for each in replacements),
    )
