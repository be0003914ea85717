"""The work of a gravimetry run, key by key: each job reads and writes whole chunks of the product.

Every job is a frozen record that travels to a worker and is called with a key and the product's
Zarr group as committed so far. Nothing but its receipt travels back.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.gravimetry_low_degrees import tide_shift
from pipelines.kernels import basins, ensembles, geodesy, trends
from pipelines.kernels.constants import GEOID_RADIUS, GM
from pipelines.kernels.gravity import (
    filters,
    harmonics,
    localisation,
    low_degrees,
    reference,
    sphere,
    stokes,
)

if TYPE_CHECKING:
    import xarray as xr
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.flows.gravimetry_inputs import Month

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class MonthJob:
    """``month/2011-02``: one monthly field with its low degrees replaced."""

    months: Mapping[str, Month]
    j_max: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write one slot of ``stokes``; a month that a source lacks stays NaN and says so."""
        month = self.months[key]
        if month.low_degrees.dropped:
            return Receipt(key, "done", inputs=(month.source.id,), note=month.low_degrees.told())
        field, sigma = self._read(month, float(stored.read(group, "epoch")[month.index]))
        field = low_degrees.apply(field, month.low_degrees.values)
        field[0, 0, 0] = 0.0  # the mean Earth; total mass is conserved (Sasgen et al. 2019, 2.1)
        stored.write(group, "stokes", field, month.index)
        sigma = low_degrees.apply(sigma, month.low_degrees.sigmas)
        stored.write(group, "stokes_sigma", sigma, month.index)
        return Receipt(key, "done", inputs=(month.source.id,), note=month.low_degrees.told())

    def _read(self, month: Month, epoch: float) -> tuple[FLOAT, FLOAT]:
        """Return a month on the reference radius, GM and tide system, and its formal errors.

        Rates that a file gives beside its coefficients (``GRDOTA`` of RL04) are carried to the
        middle of the month [decimal year].
        """
        data = month.source.read(lambda held: held.load())  # one month, 150 kB
        found = int(data.sizes["degree"]) - 1
        if found < self.j_max:
            msg = (
                f"{month.source.id}: holds degrees up to {found}, the run needs {self.j_max}; "
                "lower gravimetry.j_max or ingest fields of a higher degree"
            )
            raise KeyFailed(msg)
        field = np.asarray(data.stokes.values, dtype=np.float64)
        if not np.isfinite(field).all():
            msg = f"{month.source.id}: holds coefficients that are not finite; ingest it again"
            raise KeyFailed(msg)
        if "stokes_trend" in data:
            field = field + data.stokes_trend.values * (epoch - _reference_year(data))
        field = harmonics.truncate(field, self.j_max).copy()
        field[0, 2, 0] += tide_shift(str(data.attrs["tide_system"]))
        sigma = harmonics.truncate(np.asarray(data.stokes_sigma.values), self.j_max)
        gm, radius = float(data.attrs["gm"]), float(data.attrs["radius"])
        on_reference = functools.partial(
            reference.on_reference, gm=gm, radius=radius, to_gm=GM, to_radius=GEOID_RADIUS
        )
        return on_reference(field), on_reference(sigma)


def _reference_year(data: xr.Dataset) -> float:
    """Return the epoch that the coefficients of a field with rates refer to [decimal year]."""
    moment = np.array([data.attrs["reference_epoch"]], dtype="datetime64[ns]")
    return float(stokes.decimal_years(moment)[0])


@dataclass(frozen=True)
class TrendJob:
    """``trend``: the time model of every coefficient, fitted to the months that are there."""

    model: trends.TimeModel
    weights: str

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the fitted parameters, their formal standard deviations and the residuals."""
        series = stored.read(group, "stokes")
        there = np.isfinite(series[:, 0, 0, 0])
        design = trends.design_matrix(stored.read(group, "epoch")[there], model=self.model)
        names = trends.parameter_names(self.model)
        sigma = None
        if self.weights == "formal":
            sigma = stored.read(group, "stokes_sigma")[there]
        try:
            fit = trends.fit(series[there], design, sigma=sigma, names=names)
        except trends.TrendError as error:
            raise KeyFailed(str(error)) from error
        stored.write(group, "stokes_parameters", fit.parameters)
        stored.write(group, "stokes_parameters_sigma", fit.standard_deviation)
        stored.write(group, "stokes_residual_sigma", np.sqrt(fit.residual_variance))
        note = f"{there.sum()} months, {fit.degrees_of_freedom} degrees of freedom"
        return Receipt(key, "done", note=note)


@dataclass(frozen=True)
class LocaliseJob:
    """``localise/...``: a field of the ensemble as surface mass, multiplied by the mask.

    The members m_ik = rate + perturbation_i − GIA_k are never expanded: the mask and the load
    factors are linear, so the three factors go through them once each.
    """

    factors: FLOAT
    trend_index: int
    members: int
    seed: int
    centred: bool
    gia: tuple[Source, ...]
    j_max: int
    result_degree: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the localised coefficients of the mean, of one perturbation or of one GIA model."""
        _, kind, *rest = key.split("/")
        rate, target, place = self._factor(group, kind, *rest)
        localised = localisation.localise(
            rate * self.factors[:, None], stored.read(group, "mask"), j_max=self.result_degree
        )
        stored.write(group, target, localised, place)
        return Receipt(key, "done")

    def _factor(
        self, group: zarr.Group, kind: str, name: str = ""
    ) -> tuple[FLOAT, str, stored.Place]:
        """Return a factor in Stokes coefficients, and where its localised load goes."""
        if kind in {"mean", "destriped"}:
            rate = stored.read(group, "stokes_parameters", self.trend_index)
            if kind == "destriped":
                return filters.destripe(rate), "mass_rate_destriped_coefficients", ...
            return rate, "mass_rate_coefficients", ...
        if kind == "perturbation":
            sigma = stored.read(group, "stokes_parameters_sigma", self.trend_index)
            drawn = ensembles.perturbations(
                sigma, members=self.members, seed=self.seed, centred=self.centred
            )
            return drawn[int(name)], "mass_rate_perturbation", int(name)
        index = [source.id for source in self.gia].index(name)
        return self._gia_rate(self.gia[index]), "mass_rate_gia", index

    def _gia_rate(self, source: Source) -> FLOAT:
        """Return a GIA model from degree 2 on: degree 1 is the geocentre series' (record 0006)."""
        held = source.read(lambda found: np.asarray(found.stokes_rate.values))
        rate = harmonics.truncate(held, self.j_max).copy()
        rate[:, :2] = 0.0
        return rate


@dataclass(frozen=True)
class MapJob:
    """``map/ROW``: a band of rows of the map in EPSG:3031, mean and spread of the members."""

    rows: int
    gaussian: FLOAT
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write one band of rows of the three maps."""
        first = int(key.split("/")[1])
        x, y = stored.read(group, "x"), stored.read(group, "y")
        band = slice(first, min(first + self.rows, len(y)))
        mean, factors = read_ensemble(group)
        fields = np.concatenate([mean[None], mean[None] * self.gaussian[:, None], *factors])
        latitude, longitude = geodesy.inverse_polar_stereographic(*np.meshgrid(x, y[band]))
        latitude = sphere.latitude_on_sphere(latitude, reading=self.reading)

        def at_nodes(fields: FLOAT) -> FLOAT:
            at = harmonics.synthesise_at(fields, latitude.ravel(), longitude.ravel())
            return at.reshape(*fields.shape[:-3], *latitude.shape)

        at = at_nodes(fields)
        sizes = np.cumsum([2, *(len(factor) for factor in factors)])
        stored.write(group, "mass_rate", at[0], band)
        stored.write(group, "mass_rate_gaussian", at[1], band)
        if "mass_rate_destriped" in group:
            smooth = at_nodes(read_destriped(group) * self.gaussian[:, None])
            stored.write(group, "mass_rate_destriped", smooth, band)
        spread = ensembles.factor_variance(np.split(at, sizes[:-1])[1:])
        stored.write(group, "mass_rate_sigma", np.sqrt(spread), band)
        return Receipt(key, "done")


def read_ensemble(group: zarr.Group) -> tuple[FLOAT, list[FLOAT]]:
    """Return the mean member and the factors that spread about it, localised surface mass rates.

    The members are m_ik = rate + perturbation_i − GIA_k; the factors are the perturbations and,
    where there are models, minus the models.
    """
    rate = stored.read(group, "mass_rate_coefficients")
    factors = [stored.read(group, "mass_rate_perturbation")]
    if "mass_rate_gia" in group:
        factors.append(-stored.read(group, "mass_rate_gia"))
    return ensembles.factor_mean(rate, factors), factors


def read_destriped(group: zarr.Group) -> FLOAT:
    """Return the destriped rate with the mean GIA removed, localised."""
    rate = stored.read(group, "mass_rate_destriped_coefficients")
    if "mass_rate_gia" in group:
        rate = rate - stored.read(group, "mass_rate_gia").mean(axis=0)
    return rate


@dataclass(frozen=True)
class RegionJob:
    """``regions``: mass rates of all regions and groups, their covariance, the monthly series."""

    factors: FLOAT
    j_max: int
    trend_index: int
    reference_epoch: float

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the sums of the members, the covariance across regions and the anomalies."""
        kernels = stored.read(group, "region_kernel")
        mean, factors = read_ensemble(group)
        sums = [basins.region_sums(factor, kernels) for factor in factors]
        stored.write(group, "region_mass_rate", basins.region_sums(mean, kernels))
        stored.write(group, "region_mass_rate_covariance", ensembles.factor_covariance(sums))
        stored.write(group, "degree_power", harmonics.degree_variance(mean))
        stored.write(
            group, "degree_power_spread", ensembles.factor_variance(factors).sum(axis=(0, 2))
        )
        observed = self._observed_kernels(group, kernels)
        sigma = stored.read(group, "stokes_parameters_sigma", self.trend_index)
        stored.write(group, "region_mass_rate_formal", _spread_of_sums(sigma, observed))
        gia_rate = -sums[1].mean(axis=0) if len(sums) > 1 else np.zeros(len(kernels))
        self._write_series(group, observed, gia_rate)
        return Receipt(key, "done")

    def _observed_kernels(self, group: zarr.Group, kernels: FLOAT) -> FLOAT:
        """Return kernels that act on Stokes coefficients: adjoint of the mask, load factors."""
        mask = stored.read(group, "mask")
        adjoint = localisation.localise_adjoint(kernels, mask, j_max=self.j_max)
        return np.asarray(adjoint * self.factors[:, None])

    def _write_series(self, group: zarr.Group, observed: FLOAT, gia_rate: FLOAT) -> None:
        """Write anomalies about their mean; GIA is a rate about the reference epoch."""
        anomaly = basins.region_sums(stored.read(group, "stokes"), observed)
        since = stored.read(group, "epoch") - self.reference_epoch
        anomaly -= since[:, None] * gia_rate
        anomaly -= np.nanmean(anomaly, axis=0)
        residual = stored.read(group, "stokes_residual_sigma")
        sigma = np.where(np.isfinite(anomaly), _spread_of_sums(residual, observed), np.nan)
        stored.write(group, "mass_anomaly", anomaly.T)
        stored.write(group, "mass_anomaly_sigma", sigma.T)


def _spread_of_sums(sigma: FLOAT, kernels: FLOAT) -> FLOAT:
    """Return the standard deviation of sums of coefficients with independent errors."""
    return np.sqrt(np.diag(basins.independent_covariance(sigma, kernels)))
