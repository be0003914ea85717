"""A mass budget in the formats of others: IMBIE's two dialects, and CF NetCDF."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines import imbie, stored
from pipelines.flows import mass_budget_epochs as epochs
from pipelines.flows import mass_budget_series as series
from pipelines.flows.mass_budget_arrays import QUANTITIES
from pipelines.imbie_names import Dialect
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import xarray as xr

    from pipelines.flows.mass_budget_tables import Told

DIALECTS: dict[str, Dialect] = {"": "imbie-3", "_2024": "imbie-2024"}
"""Ends of the names of files, and the dialect of each."""

DAYS = {"units": "hours since 1970-01-01", "calendar": "proleptic_gregorian"}
"""How times are written."""

SHEETS = ("EAIS", "WAIS", "AP", "AIS")
ZWALLY = tuple(str(number) for number in range(1, 28))


def imbie_files(of: Told) -> dict[str, bytes]:
    """Return the balance as IMBIE takes it; nothing for regions that it does not know.

    Rates by year, and the mass since the first year's start where years follow each other: native,
    and with replacements in files of their own.
    """
    known = [row for row in of.layout.rows if row in SHEETS or row in ZWALLY]
    if of.layout.regions != ZWALLY or not of.run.inputs.surface_mass_balance:
        return {}
    of_set = {"contributor": of.run.choices.contributor, "region_set": "Zwally"}
    files = {}
    kinds = {"": "mass_balance", "_replaced": "replaced"}
    for kind, quantity in kinds.items():
        if kind and not of.layout.places.replaced:
            continue
        rates, masses = _rates(of, known, quantity), _masses(of, known, quantity)
        for end, dialect in DIALECTS.items():
            name = f"{kind}{end}.csv"
            files[f"tables/imbie_dmdt{name}"] = imbie.dmdt(rates, dialect=dialect, **of_set)
            if masses:
                files[f"tables/imbie_dm{name}"] = imbie.dm(masses, dialect=dialect, **of_set)
    return files


def _areas(of: Told, row: str) -> tuple[float, float]:
    """Return the area of a row, and that of its regions which have a balance [km²]."""
    at = of.layout.rows.index(row)
    area = stored.read(of.group, "region_area") / 1e6
    members = of.layout.places.matrix()[at]
    known = np.isfinite(stored.read(of.group, "replaced_mass_balance")[0]).any(axis=0)
    observed = float((members * area[: len(members)])[known[: len(members)]].sum())
    return float(area[at]), min(observed, float(area[at]))


def _rates(of: Told, rows: list[str], quantity: str) -> list[imbie.Rate]:
    ends = series.spans(of)
    found = []
    for row in rows:
        values, sigmas = series.by_year(of, quantity, of.layout.rows.index(row))
        area, observed = _areas(of, row)
        found += [
            imbie.Rate(row, area, observed, float(start), float(end), float(value), float(sigma))
            for start, end, value, sigma in zip(ends.starts, ends.ends, values, sigmas, strict=True)
            if np.isfinite(value)
        ]
    return found


def _masses(of: Told, rows: list[str], quantity: str) -> list[imbie.Mass]:
    if not series.is_unbroken(of):
        return []
    ends = series.spans(of)
    found = []
    for row in rows:
        mass, sigma = series.cumulative(of, of.layout.rows.index(row), quantity)
        if not np.isfinite(mass).all():
            continue
        area, observed = _areas(of, row)
        dates = [float(ends.starts[0]), *map(float, ends.ends)]
        points = zip(dates, [0.0, *mass], [0.0, *sigma], strict=True)
        found += [
            imbie.Mass(row, area, observed, date, float(value), float(spread))
            for date, value, spread in points
        ]
    return found


def netcdf(of: Told) -> bytes:
    """Return the budget by year and row as CF NetCDF, mean of the members [Gt yr⁻¹]."""
    data = _dataset(of)
    with tempfile.TemporaryDirectory() as folder:
        import dask

        path = Path(folder) / "budget.nc"
        with dask.config.set(scheduler="synchronous"):
            data.to_netcdf(path, format="NETCDF4", engine="netcdf4")
        return path.read_bytes()


def _dataset(of: Told) -> xr.Dataset:
    import xarray as xr

    years = epochs.single_years(of.layout.years)
    variables = {}
    for name in (*(each for each in QUANTITIES if each in of.quantities()), "replaced"):
        told = [epochs.told(of.group, name, span) for span in years]
        long_name = "mass balance, regions replaced" if name == "replaced" else name
        for suffix, part in (("", "value"), ("_standard_error", "sigma")):
            values = np.stack([getattr(each, part) for each in told]) / KG_PER_GT
            of_what = "standard error of " if suffix else ""
            attributes = {"units": "Gt yr-1", "long_name": of_what + long_name.replace("_", " ")}
            if not suffix:
                attributes["ancillary_variables"] = f"{name}_standard_error"
            variables[f"{name}{suffix}"] = (("time", "region"), values, attributes)
    middle = [year.start + (year.end - year.start) / 2 for year in of.layout.years]
    bounds = np.array([[y.start, y.end] for y in of.layout.years], dtype="datetime64[ns]")
    return xr.Dataset(
        variables | {"time_bounds": (("time", "bound"), bounds, {}, DAYS)},
        {
            "time": (
                "time",
                np.array(middle, dtype="datetime64[ns]"),
                {"bounds": "time_bounds"},
                DAYS,
            ),
            "region": ("region", [row.replace("_", " ") for row in of.layout.rows]),
        },
        {
            "Conventions": "CF-1.8 ACDD-1.3",
            "title": of.layout.attributes["title"],
            "references": of.layout.attributes["references"],
            "history": f"nunatak mass_budget, regions {of.run.regions}",
        },
    )
