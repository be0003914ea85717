"""The work of a gravimetry run, key by key: each job reads and writes whole chunks of the product.

Every job is a frozen record that travels to a worker and is called with a key and the product's
Zarr group as committed so far. Nothing but its receipt travels back.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines.kernels import ensembles, geodesy, trends
from pipelines.kernels.constants import GEOID_RADIUS, GM
from pipelines.kernels.gravity import harmonics, localisation, low_degrees, reference, sphere
from pipelines.lifecycle import Stopwatch

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.gravimetry_inputs import Month, Source

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class MonthJob:
    """``month/2011-02``: one monthly field with its low degrees replaced."""

    months: Mapping[str, Month]
    j_max: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write one slot of ``stokes``; a month that a source lacks stays NaN and says so."""
        watch, month = Stopwatch(), self.months[key]
        item_id = month.source.id
        if month.dropped:
            return Receipt(key, "done", watch.seconds(), inputs=(item_id,), note=month.dropped)
        field, sigma = self._read(month)
        field = low_degrees.apply(field, month.replacements)
        field[0, 0, 0] = 0.0  # the mean Earth; total mass is conserved (Sasgen et al. 2019, 2.1)
        group["stokes"][month.index] = field
        group["stokes_sigma"][month.index] = low_degrees.apply(sigma, month.sigmas)
        size = 2 * field.nbytes
        return Receipt(
            key, "done", watch.seconds(), size, size, inputs=(item_id,), note=month.notes
        )

    def _read(self, month: Month) -> tuple[FLOAT, FLOAT]:
        """Return a month on the reference radius, GM and tide system, and its formal errors."""
        data = month.source.open().load()  # one month, 150 kB
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
        field = harmonics.truncate(field, self.j_max).copy()
        field[0, 2, 0] += _tide_shift(str(data.attrs["tide_system"]))
        sigma = harmonics.truncate(np.asarray(data.stokes_sigma.values), self.j_max)
        gm, radius = float(data.attrs["gm"]), float(data.attrs["radius"])
        on_reference = functools.partial(
            reference.on_reference, gm=gm, radius=radius, to_gm=GM, to_radius=GEOID_RADIUS
        )
        return on_reference(field), on_reference(sigma)


def _tide_shift(system: str) -> float:
    """Return what brings C20 of a tide system to the zero-tide system of TN-14."""
    if system in {"zero_tide", "unknown"}:
        return 0.0
    return low_degrees.permanent_tide_c20(from_system=system, to_system="zero_tide")


@dataclass(frozen=True)
class TrendJob:
    """``trend``: the time model of every coefficient, fitted to the months that are there."""

    model: trends.TimeModel
    weights: str

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the fitted parameters, their formal standard deviations and the residuals."""
        watch = Stopwatch()
        series = np.asarray(group["stokes"][...])
        there = np.isfinite(series[:, 0, 0, 0])
        design = trends.design_matrix(np.asarray(group["epoch"][...])[there], model=self.model)
        names = trends.parameter_names(self.model)
        sigma = None
        if self.weights == "formal":
            sigma = np.asarray(group["stokes_sigma"][...])[there]
        try:
            fit = trends.fit(series[there], design, sigma=sigma, names=names)
        except trends.TrendError as error:
            raise KeyFailed(str(error)) from error
        group["stokes_parameters"][...] = fit.parameters
        group["stokes_parameters_sigma"][...] = fit.standard_deviation
        group["stokes_residual_sigma"][...] = np.sqrt(fit.residual_variance)
        written = 2 * fit.parameters.nbytes + fit.residual_variance.nbytes
        note = f"{there.sum()} months, {fit.degrees_of_freedom} degrees of freedom"
        return Receipt(key, "done", watch.seconds(), series.nbytes, written, note=note)


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
        watch = Stopwatch()
        _, kind, *rest = key.split("/")
        if kind == "mean":
            rate = np.asarray(group["stokes_parameters"][self.trend_index])
            target, index = group["mass_rate_coefficients"], Ellipsis
        elif kind == "perturbation":
            rate, target, index = self._perturbation(group, int(rest[0]))
        else:
            rate, target, index = self._gia(group, rest[0])
        mask = np.asarray(group["mask"][...])
        localised = localisation.localise(
            rate * self.factors[:, None], mask, j_max=self.result_degree
        )
        target[index] = localised
        return Receipt(key, "done", watch.seconds(), rate.nbytes + mask.nbytes, localised.nbytes)

    def _perturbation(self, group: zarr.Group, member: int) -> tuple[FLOAT, Any, int]:
        sigma = np.asarray(group["stokes_parameters_sigma"][self.trend_index])
        drawn = ensembles.perturbations(
            sigma, members=self.members, seed=self.seed, centred=self.centred
        )
        return drawn[member], group["mass_rate_perturbation"], member

    def _gia(self, group: zarr.Group, name: str) -> tuple[FLOAT, Any, int]:
        """Return a GIA model from degree 2 on: degree 1 is the geocentre series' (record 0006)."""
        index = [source.id for source in self.gia].index(name)
        held = np.asarray(self.gia[index].open().stokes_rate.values)
        rate = harmonics.truncate(held, self.j_max).copy()
        rate[:, :2] = 0.0
        return rate, group["mass_rate_gia"], index


@dataclass(frozen=True)
class MapJob:
    """``map/ROW``: a band of rows of the map in EPSG:3031, mean and spread of the members."""

    rows: int
    gaussian: FLOAT
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write one band of rows of the three maps."""
        watch, first = Stopwatch(), int(key.split("/")[1])
        x, y = np.asarray(group["x"][...]), np.asarray(group["y"][...])
        band = slice(first, min(first + self.rows, len(y)))
        mean, perturbation, gia = read_factors(group)
        fields = np.concatenate(
            [mean[None], mean[None] * self.gaussian[:, None], perturbation, gia]
        )
        latitude, longitude = geodesy.inverse_polar_stereographic(*np.meshgrid(x, y[band]))
        latitude = sphere.latitude_on_sphere(latitude, reading=self.reading)
        at = harmonics.synthesise_at(fields, latitude.ravel(), longitude.ravel())
        at = at.reshape(len(fields), *latitude.shape)
        parts = np.split(at, [2, 2 + len(perturbation)])
        group["mass_rate"][band] = at[0]
        group["mass_rate_gaussian"][band] = at[1]
        variance = sum(part.var(axis=0) for part in parts[1:] if len(part))
        group["mass_rate_sigma"][band] = np.sqrt(variance)
        return Receipt(key, "done", watch.seconds(), fields.nbytes, 3 * at[0].nbytes)


def read_factors(group: zarr.Group) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return the factors of the ensemble: mean with mean GIA removed, perturbations, GIA models."""
    mean = np.asarray(group["mass_rate_coefficients"][...])
    perturbation = np.asarray(group["mass_rate_perturbation"][...])
    gia = np.empty((0, *mean.shape))
    if "mass_rate_gia" in group:
        gia = np.asarray(group["mass_rate_gia"][...])
        mean = mean - gia.mean(axis=0)
    return mean + perturbation.mean(axis=0), perturbation, gia


@dataclass(frozen=True)
class RegionJob:
    """``regions``: mass rates of all regions and groups, their covariance, the monthly series."""

    factors: FLOAT
    j_max: int
    trend_index: int
    reference_epoch: float

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the sums of the members, the covariance across regions and the anomalies."""
        watch = Stopwatch()
        kernels = np.asarray(group["region_kernel"][...])
        mean, perturbation, gia = read_factors(group)
        group["region_mass_rate"][...] = _sums(mean, kernels)
        spread = _covariance(_sums(perturbation, kernels)) + _covariance(_sums(gia, kernels))
        group["region_mass_rate_covariance"][...] = spread
        observed = self._observed_kernels(group, kernels)
        sigma = np.asarray(group["stokes_parameters_sigma"][self.trend_index])
        group["region_mass_rate_formal"][...] = _propagated(observed, sigma)
        gia_rate = _sums(gia, kernels).mean(axis=0) if len(gia) else np.zeros(len(kernels))
        read = self._series(group, observed, gia_rate)
        self._spectra(group, mean, perturbation, gia)
        written = kernels.shape[0] * (2 * group["epoch"].size + 3) * 8
        return Receipt(key, "done", watch.seconds(), read + kernels.nbytes, written)

    def _observed_kernels(self, group: zarr.Group, kernels: FLOAT) -> FLOAT:
        """Return kernels that act on Stokes coefficients: adjoint of the mask, load factors."""
        mask = np.asarray(group["mask"][...])
        adjoint = localisation.localise_adjoint(kernels, mask, j_max=self.j_max)
        return np.asarray(adjoint * self.factors[:, None])

    def _series(self, group: zarr.Group, observed: FLOAT, gia_rate: FLOAT) -> int:
        series = np.asarray(group["stokes"][...])
        anomaly = _sums(series, observed)
        since = np.asarray(group["epoch"][...]) - self.reference_epoch
        anomaly -= since[:, None] * gia_rate
        anomaly -= np.nanmean(anomaly, axis=0)
        residual = np.asarray(group["stokes_residual_sigma"][...])
        sigma = np.where(np.isfinite(anomaly), _propagated(observed, residual), np.nan)
        group["mass_anomaly"][...] = anomaly.T
        group["mass_anomaly_sigma"][...] = sigma.T
        return int(series.nbytes)

    def _spectra(self, group: zarr.Group, mean: FLOAT, perturbation: FLOAT, gia: FLOAT) -> None:
        group["degree_power"][...] = harmonics.degree_variance(mean)
        spread = sum(f.var(axis=0) for f in (perturbation, gia) if len(f))
        group["degree_power_spread"][...] = np.asarray(spread).sum(axis=(0, 2))


def _sums(coefficients: FLOAT, kernels: FLOAT) -> FLOAT:
    """Return sum over part, degree, order of coefficients × kernels, shape (..., regions)."""
    flat = coefficients.reshape(*coefficients.shape[:-3], -1)
    return np.asarray(flat @ kernels.reshape(len(kernels), -1).T)


def _covariance(sums: FLOAT) -> FLOAT:
    """Return the population covariance (regions, regions) of member sums (members, regions)."""
    if not len(sums):
        return np.zeros((sums.shape[1], sums.shape[1]))
    centred = sums - sums.mean(axis=0)
    return np.asarray(centred.T @ centred / len(sums))


def _propagated(kernels: FLOAT, sigma: FLOAT) -> FLOAT:
    """Return the standard deviation of region sums of coefficients with independent errors."""
    return np.asarray(np.sqrt(((kernels * sigma) ** 2).sum(axis=(1, 2, 3))))
