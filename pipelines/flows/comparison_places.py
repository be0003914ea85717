"""Where the common regions are in a mass budget, and which of its balances are its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.flows import catalogue_inputs
from pipelines.flows.catalogue_inputs import POLYGONS, InputError
from pipelines.flows.comparison_masks import row_matrix
from pipelines.flows.product_arrays import labels_of
from pipelines.settings_mass_budget import MassBudgetChoices
from pipelines.settings_reading import read_record

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.comparison_inputs import Ground, Method

FLOAT = NDArray[np.float64]

LEAST_WITHIN = 0.98
"""Share of a region's area that must lie in one common region, or in none, for it to be summed."""


@dataclass(frozen=True)
class Places:
    """Where the common rows are in a budget.

    Attributes
    ----------
    rows : ndarray, shape (row, row of the budget)
        What each row of the budget, regions and then groups, counts in a common one.
    regions : ndarray, shape (row, region of the budget)
        The same by its regions alone.
    common : ndarray, shape (row, common region)
        What each common region counts in a row.
    replaced : tuple of str
        Regions of the budget whose balance is from elsewhere, the same at all times: neither snow
        nor discharge of the budget moves it.
    is_replaced : ndarray of bool, shape (region of the budget,)
    """

    rows: FLOAT
    regions: FLOAT
    common: FLOAT
    replaced: tuple[str, ...]
    is_replaced: NDArray[np.bool_]

    def native(self) -> Places:
        """Return where the rows are in the regions whose balance is the budget's own."""
        if not self.replaced:
            return self
        kept = self.regions * ~self.is_replaced
        wide = np.zeros_like(self.rows)
        wide[:, : kept.shape[1]] = kept
        return Places(wide, kept, self.common, (), np.zeros_like(self.is_replaced))

    def area(self, product: zarr.Group) -> FLOAT:
        """Return the area of the rows in a budget [m²]."""
        own = stored.read(product, "region_area")[: self.regions.shape[1]]
        return np.asarray(self.regions @ own)


def choices_of(method: Method) -> MassBudgetChoices:
    """Return the choices that a budget was made with."""
    told = method.run["mass_budget"]
    choices: MassBudgetChoices = read_record(MassBudgetChoices, told, "mass_budget", [])
    return choices


def places_of(product: zarr.Group, method: Method, ground: Ground, rows: tuple[str, ...]) -> Places:
    """Return where the common rows are; NaN where the budget cannot say.

    Rows of the same polygons are taken by name, groups with the errors that they were given.
    Elsewhere a common region is the sum of the budget's own regions, if whole ones make it up.
    """
    names, ids = labels_of(product, "row"), labels_of(product, "region")
    replaced = tuple(each.region for each in choices_of(method).replacements)
    polygons = ground.polygons()
    common = row_matrix(polygons)
    if method.same_regions:
        order = [list(polygons.region).index(each) for each in ids]
        regions = common[:, order]
    else:
        made, unclear = _made_up(ids, method, polygons)
        regions = common @ made
        regions[common @ unclear > 0.0] = np.nan
    by_row = np.zeros((len(rows), len(names)))
    by_row[:, : len(ids)] = regions
    # A part of the ice sheet is `all` in a budget and AIS in others: the sum of its regions.
    for number, row in enumerate(rows):
        if method.same_regions and row in names:
            by_row[number] = [float(name == row) for name in names]
    return Places(by_row, regions, common, replaced, np.isin(ids, replaced))


def _made_up(ids: tuple[str, ...], method: Method, common: gpd.GeoDataFrame) -> tuple[FLOAT, FLOAT]:
    """Return which regions of a budget make up each common one, and which it cannot say."""
    import geopandas as gpd

    try:
        own = own_regions(method)
    except InputError as error:
        raise KeyFailed(str(error)) from error
    pieces = gpd.overlay(own[["region", "geometry"]], common[["region", "geometry"]],
                         how="intersection", keep_geom_type=True)  # fmt: skip
    area = dict(zip(own.region, own.geometry.area, strict=True))
    shares = np.zeros((len(common), len(ids)))
    commons = list(common.region)
    for mine, theirs, shape in zip(pieces.region_1, pieces.region_2, pieces.geometry, strict=True):
        shares[commons.index(theirs), ids.index(mine)] += shape.area / area[mine]
    matrix = (shares >= LEAST_WITHIN).astype(np.float64)
    unclear = ((shares > 1.0 - LEAST_WITHIN) & (shares < LEAST_WITHIN)).any(axis=1)
    made = (matrix * shares) @ np.array([area[each] for each in ids])
    lacking = made < LEAST_WITHIN * np.asarray(common.geometry.area)
    return matrix, (unclear | lacking).astype(np.float64)


def own_regions(method: Method) -> gpd.GeoDataFrame:
    """Return the polygons that a budget was made by, from the catalogue that it was made from.

    Raises
    ------
    InputError
        A catalogue or a collection that is no longer there.
    """
    from stac import contracts
    from stac.catalogue import CatalogueError, open_catalogue

    name, address = str(method.run["regions"]), str(method.run["catalogue"])
    try:
        catalogue = open_catalogue(address)
        item = catalogue_inputs.single(catalogue, name, role="regions", kinds=POLYGONS)
        return contracts.open_regions(item)
    except (CatalogueError, InputError, contracts.ContractError, OSError, LookupError) as error:
        msg = (
            f"{method.name}: its regions {name!r} are not to be had from {address} ({error}); "
            "compare over the very regions that it was made by, or run mass_budget again"
        )
        raise InputError(msg) from error
