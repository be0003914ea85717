"""Any one combined member (k, l), lazily: its coefficients, its map.

A combination stores moments and sums, not its 90 × 112 members, but each of them is two reads away:
member k of gravimetry and member l of altimetry, weighed as the product says (Sasgen et al., 2019,
equation 5). Nothing is read or computed before ``.compute()``.

    >>> from pipelines.flows.combination_members import open_members  # doctest: +SKIP
    >>> members = open_members("out/combination")                     # doctest: +SKIP
    >>> members.shape                                                 # doctest: +SKIP
    (90, 112)
    >>> members.map(12, 40).compute()                                 # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import finished_products, polar_maps
from pipelines.flows.combination_spectra import Sources, placed, weights_at
from pipelines.flows.finished_products import ProductSource
from pipelines.flows.product_arrays import DENSITY_RATE, PARTS, SPECTRUM, labels_of
from pipelines.kernels.gravity import harmonics, sphere

if TYPE_CHECKING:
    import xarray as xr

FLOAT = NDArray[np.float64]


class MemberError(LookupError):
    """A member that the combination does not have."""


@dataclass(frozen=True)
class Members:
    """The members of a finished combination.

    Attributes
    ----------
    combination : ProductSource
        The product, at the snapshot that readers saw when it was opened.
    sources : Sources
        The products that it combines, at the snapshots that it combined.
    gravimetry, altimetry : tuple of str
        Labels of the members k (``perturbation:GIA``) and l (``RE-TRACKER/FIT:MODEL``).
    x, y : ndarray, shapes (n,) and (m,)
        Cell centres of the map in EPSG:3031 [m].
    j_max : int
        Highest degree.
    orders : int
        Orders of one chunk.
    reading : {"geocentric", "geographic"}
        How both products read latitude.
    """

    combination: ProductSource
    sources: Sources
    gravimetry: tuple[str, ...]
    altimetry: tuple[str, ...]
    x: FLOAT
    y: FLOAT
    j_max: int
    orders: int
    reading: sphere.Reading

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of members k and l."""
        return len(self.gravimetry), len(self.altimetry)

    def coefficients(self, k: int, l: int) -> xr.DataArray:  # noqa: E741 -- the paper's index
        """Return the coefficients of member (k, l), a block of orders a task.

        Sasgen et al. (2019), equation 5::

            w_G G_k + (1 − w_G) C_l

        Parameters
        ----------
        k, l : int
            Member of gravimetry and member of altimetry; negative ones count from the end.

        Returns
        -------
        xarray.DataArray, dims (part, degree, order)
            Rate of surface mass density, 4π-normalised, part 0 is C [kg m⁻² yr⁻¹]; backed by Dask.
            Without the correction of the total, which is no member's (see :meth:`map`).

        Raises
        ------
        MemberError
            There is no such member.
        """
        import xarray as xr

        k, l = self._member(k, l)  # noqa: E741
        degrees = np.arange(self.j_max + 1)
        return xr.DataArray(
            self._lazy_coefficients(k, l),
            dims=SPECTRUM,
            coords={"degree": degrees, "order": degrees, **self._labels(k, l)},
            name="mass_rate_coefficients",
            attrs={"units": DENSITY_RATE, "long_name": "combined rate of surface mass density"},
        )

    def map(self, k: int, l: int) -> xr.DataArray:  # noqa: E741
        """Return the map of member (k, l), a band of it a task.

        Parameters
        ----------
        k, l : int
            See :meth:`coefficients`.

        Returns
        -------
        xarray.DataArray, dims (y, x)
            Rate of surface mass density at the cells of the product's map [kg m⁻² yr⁻¹], to the
            degree that the map can show; backed by Dask. The mean of all members is the product's
            ``mass_rate`` without the correction of the total: where that is applied, it adds
            ``total_correction[0]`` on grounded ice to each.

        Raises
        ------
        MemberError
            There is no such member.
        """
        import xarray as xr
        from pyproj import CRS

        k, l = self._member(k, l)  # noqa: E741
        about = {"units": "m"}
        return xr.DataArray(
            self._lazy_map(k, l),
            dims=("y", "x"),
            coords={
                "y": ("y", self.y, {**about, "standard_name": "projection_y_coordinate"}),
                "x": ("x", self.x, {**about, "standard_name": "projection_x_coordinate"}),
                "crs": ((), 0, CRS.from_epsg(3031).to_cf()),
                **self._labels(k, l),
            },
            name="mass_rate",
            attrs={
                "units": DENSITY_RATE,
                "long_name": "combined rate of surface mass density",
                "grid_mapping": "crs",
            },
        )

    def _member(self, k: int, l: int) -> tuple[int, int]:  # noqa: E741
        """Return indices counted from the start, or say which there are."""
        for name, index, size in zip(("k", "l"), (k, l), self.shape, strict=True):
            if not -size <= index < size:
                msg = (
                    f"found the member {name} = {index} of {self.combination.address}, expected "
                    f"{-size} to {size - 1}: it combines {self.shape[0]} members of gravimetry "
                    f"with {self.shape[1]} of altimetry"
                )
                raise MemberError(msg)
        return k % self.shape[0], l % self.shape[1]

    def _labels(self, k: int, l: int) -> dict[str, Any]:  # noqa: E741
        return {"gravimetry_member": self.gravimetry[k], "altimetry_member": self.altimetry[l]}

    def _lazy_coefficients(self, k: int, l: int) -> Any:  # noqa: E741
        from dask.delayed import delayed

        read, size = delayed(self._orders, pure=True), self.j_max + 1
        starts = range(0, size, self.orders)
        blocks = [slice(first, min(first + self.orders, size)) for first in starts]
        parts = [(read(k, l, each), (PARTS, size, each.stop - each.start)) for each in blocks]
        return _joined(parts, axis=2)

    def _lazy_map(self, k: int, l: int) -> Any:  # noqa: E741
        from dask.delayed import delayed

        spacing_km = float(self.x[1] - self.x[0]) / 1_000.0
        shown = polar_maps.degree_of(spacing_km, j_max=self.j_max) + 1
        coefficients = self._lazy_coefficients(k, l)[:, :shown, :shown].rechunk(-1)
        (whole,) = coefficients.to_delayed().ravel()
        draw, step = delayed(self._band, pure=True), polar_maps.band_rows(len(self.y))
        bands = [self.y[first : first + step] for first in range(0, len(self.y), step)]
        parts = [(draw(whole, each), (len(each), len(self.x))) for each in bands]
        return _joined(parts, axis=0)

    def _orders(self, k: int, l: int, orders: slice) -> FLOAT:  # noqa: E741
        """Return some orders of a member, shape (2, J + 1, orders)."""
        altimetry = self.sources.altimetry_orders(orders).member(l)
        weight = weights_at(self.combination.open(), altimetry.shape, orders)
        held = self.sources.gravimetry_members().member(k)
        gravimetry = placed(held, altimetry.shape, orders)
        return np.asarray(weight * gravimetry + (1.0 - weight) * altimetry)

    def _band(self, coefficients: FLOAT, y: FLOAT) -> FLOAT:
        """Return rows of the map, shape (y, x)."""
        at = polar_maps.nodes(self.x, y, reading=self.reading)
        return harmonics.synthesise_at(coefficients, *at).reshape(len(y), len(self.x))


def _joined(parts: Iterable[tuple[Any, tuple[int, ...]]], *, axis: int) -> Any:
    """Return delayed arrays and their shapes as one Dask array."""
    import dask.array as da

    arrays = [
        da.from_delayed(part, shape, dtype=np.float64)  # type: ignore[no-untyped-call]
        for part, shape in parts
    ]
    return da.concatenate(arrays, axis=axis)  # type: ignore[no-untyped-call]


def open_members(output: str) -> Members:
    """Open the members of a finished combination.

    Parameters
    ----------
    output : str
        Its address: a folder, or ``s3://bucket/prefix``. The products that it combines must still
        be where its run file says.

    Returns
    -------
    Members

    Raises
    ------
    pipelines.flows.catalogue_inputs.InputError
        No finished combination is there.
    """
    import yaml

    found = finished_products.find(output, role="combination", product="combination")
    group = found.source.open()
    sources = Sources(*(_source(found, role) for role in ("gravimetry", "altimetry")))
    gravimetry, altimetry = sources.gravimetry.open(), sources.altimetry.open()
    perturbations = stored.array(gravimetry, "mass_rate_perturbation").shape[0]
    models = labels_of(gravimetry, "gia") or ("none",)
    coefficients = stored.array(group, "mass_rate_coefficients")
    run = yaml.safe_load(str(altimetry.attrs["nunatak:run"]))
    return Members(
        combination=found.source,
        sources=sources,
        gravimetry=tuple(f"{i}:{model}" for i in range(perturbations) for model in models),
        altimetry=labels_of(altimetry, "member"),
        x=stored.read(group, "x"),
        y=stored.read(group, "y"),
        j_max=coefficients.shape[-1] - 1,
        orders=coefficients.chunks[-1],
        reading=run["altimetry"]["latitude"],
    )


def _source(found: finished_products.Finished, role: str) -> ProductSource:
    """Return a product that was combined, at the snapshot that was combined."""
    held = found.attributes["nunatak:products"][role]
    return ProductSource(found.run["inputs"][role], held["snapshot"])
