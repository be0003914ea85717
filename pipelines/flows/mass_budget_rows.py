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


def rows_of(polygons: gpd.GeoDataFrame, replacements: Sequence[Replacement]) -> Rows:
    """Return the rows of a set of regions.

    Raises
    ------
    InputError
        A replacement of a region that is not there.
    """
    regions = tuple(str(region) for region in polygons.region)
    groups = balance.groups(list(regions), [str(group) for group in polygons.group])
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
