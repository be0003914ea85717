"""Mass budget from catalogue to tables, on a coarse synthetic world: every number twice."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from pipelines import stored, tables
from pipelines.kernels.constants import KG_PER_GT
from pipelines.lifecycle import Plan
from stac.catalogue import open_catalogue

from .budget_world import DENSITY, DENSITY_SIGMA, LABELS, BudgetWorld, field
from .conftest import changed, labels, plan_of, worked

FLOAT = NDArray[np.float64]
QUANTITIES = (
    "ice_flux", "smb_gate_to_grounding_line", "dynamic_volume_change", "basal_melt_gate_to_line",
    "discharge", "surface_mass_balance", "basal_melt", "mass_balance",
)  # fmt: skip
REPLACED = {"region": "2", "value": -12.5, "uncertainty": 2.0, "source": "a paper"}


@dataclasses.dataclass(frozen=True)
class Made:
    """One run's plan and arrays, with the tables that are made of them."""

    plan: Plan
    group: zarr.Group
    written: dict[str, bytes]

    def __getitem__(self, name: str) -> FLOAT:
        return stored.read(self.group, name)

    def rows(self, name: str) -> list[tables.Row]:
        return tables.read_rows(self.written[f"tables/{name}.csv"])

    def term(self, quantity: str) -> FLOAT:
        """Return a term of the first member, (year, row)."""
        return self["budget"][0, QUANTITIES.index(quantity)]

    def spread(self, quantity: str) -> FLOAT:
        """Return its covariance, (row, year, year)."""
        return self["budget_covariance"][0, QUANTITIES.index(quantity)]


def made(document: dict[str, object], folder: Path) -> Made:
    """Do a run here and write its tables into memory."""
    from pipelines.flows import mass_budget_tables as told
    from pipelines.settings import read

    plan = plan_of(document, folder)
    group = worked(plan)
    of = told.Told(group, read(folder / "mass_budget.yaml"), plan.tell.keywords["layout"])  # type: ignore[attr-defined]
    written = {
        f"tables/{name}.csv": tables.write_rows(getattr(told, name)(of))
        for name in ("regions", "years", "members", "gates", "coverage")
    }
    return Made(plan, group, written)


@pytest.fixture(scope="module")
def run(budget: BudgetWorld, tmp_path_factory: pytest.TempPathFactory) -> Made:
    document = changed(budget.document(), mass_budget={
        **budget.document()["mass_budget"], "replacements": [REPLACED],
    })  # fmt: skip
    return made(document, tmp_path_factory.mktemp("run"))


def without_gaps(path: Path, *names: str, filler: float) -> list[xr.DataArray]:
    """Return components of a velocity file; where both are the filler there is no measurement."""
    parts = field(path, *names)
    empty = np.all([part.values == filler for part in parts], axis=0)
    return [part.where(~empty) for part in parts]


def by_scipy(data: xr.DataArray, x: FLOAT, y: FLOAT, *, method: str = "linear") -> FLOAT:
    """Interpolate; of the weight of the four cells at least half must be measured."""
    axes = data.y.values, data.x.values
    known = np.isfinite(data.values).astype(float)
    top, weight = (
        RegularGridInterpolator(axes, v, method=method, bounds_error=False)(np.column_stack([y, x]))
        for v in (np.nan_to_num(data.values), known)
    )
    return np.where(weight >= 0.5 - 1e-9, top / np.where(weight > 0, weight, 1.0), np.nan)


def at_a_tie(x: FLOAT, y: FLOAT) -> NDArray[np.bool_]:
    """Return the nodes half way between two centres, of which either is the nearest."""
    return np.any([np.abs((v / 20e3 + 0.0) % 1.0) < 1e-3 for v in (x, y)], axis=0)


def test_maps_at_the_nodes_are_those_of_scipy_with_missing_cells_left_out(
    run: Made, budget: BudgetWorld
) -> None:
    x, y = run["node_x"], run["node_y"]
    files, held = budget.files, dict(zip(labels(run.group, "map"), run["map_v_x"], strict=True))
    for paths, names, filler in (
        (files.velocity_annual, ("VX", "VY"), 0.0),
        (files.velocity_central, ("vx", "vy"), 0.0),
        (files.velocity_phase, ("VX", "VY"), 0.0),
    ):
        for path in paths:
            want = by_scipy(without_gaps(path, *names, filler=filler)[0], x, y)
            np.testing.assert_allclose(held[path.stem], want, rtol=2e-6, atol=2e-5)
    path = files.velocity_filler[0]
    want = by_scipy(field(path, "vx")[0], x, y, method="nearest")
    sure = ~at_a_tie(x, y)
    assert sure.mean() > 0.99
    np.testing.assert_allclose(held[f"{path.stem}:nearest"][sure], want[sure], rtol=1e-6)
    thickness = by_scipy(field(files.thickness[0], "thickness")[0], x, y)
    np.testing.assert_allclose(run["thickness"][0], thickness, rtol=2e-6, atol=1e-4)


def middle_of(budget: BudgetWorld, collection: str, item: str) -> float:
    """Return the middle of a map's time as its record has it [decimal year]."""
    found = open_catalogue(str(budget.catalogue)).search(collection)
    held = next(each.properties for each in found if each.id == item)
    start, end = (pd.Timestamp(held[f"{end}_datetime"][:10]) for end in ("start", "end"))
    middle = start + (end + pd.Timedelta(days=1) - start) / 2
    return float(middle.year + (middle.dayofyear - 1) / 365.25)


def on_a_line(a: FLOAT, b: FLOAT, moments: list[float], year: float) -> FLOAT:
    return a + (b - a) * (year - moments[0]) / (moments[1] - moments[0])


def test_gaps_are_filled_in_the_paper_s_order_and_by_whole_vectors(
    run: Made, budget: BudgetWorld
) -> None:
    names = labels(run.group, "map")
    maps = {n: (a, b) for n, a, b in zip(names, run["map_v_x"], run["map_v_y"], strict=True)}
    central = [f"central_antarctica_ice_velocity_{year}" for year in (1997, 2009)]
    moments = [middle_of(budget, "central", name) for name in central]
    source, v_x, v_y = (run[n][0] for n in ("velocity_source", "v_x", "v_y"))
    counted = np.zeros(5, dtype=int)
    for t, label in enumerate(LABELS):
        first = int(label[:4])
        annual = maps[f"Antarctica_ice_velocity_{first}_{first + 1}_1km_v1"]
        its_live = maps.get(f"ANT_G0240_{first}:nearest") if first < 2013 else None
        phase = maps["antarctic_ice_vel_phase_map_v01"]
        # A velocity year's middle is the turn of the year.
        line = tuple(
            on_a_line(*(maps[c][k] for c in central), moments, first + 1.0) for k in (0, 1)
        )
        for node in range(v_x.shape[1]):
            want, values = 0, (np.nan, np.nan)
            for number, pair in enumerate((annual, line, its_live, phase), start=1):
                if pair is not None and np.isfinite([pair[0][node], pair[1][node]]).all():
                    want, values = number, (pair[0][node], pair[1][node])
                    break
            assert source[t, node] == want
            counted[want] += 1
            near = {"rtol": 1e-3, "atol": 0.05} if want == 2 else {"rtol": 0.0}
            np.testing.assert_allclose((v_x[t, node], v_y[t, node]), values, **near)
    assert (counted[[1, 3, 4]] > 0).all()
    assert "ANT_G0240_2013:nearest" not in names


def flux_of_nodes(run: Made) -> FLOAT:
    """Return ρ H (v·w) of every node and year; none where there is no ice."""
    thickness = run["thickness"][0]
    flux = DENSITY * thickness * (run["v_x"][0] * run["node_w_x"] + run["v_y"][0] * run["node_w_y"])
    return np.where(thickness == 0.0, 0.0, flux)


def test_what_leaves_a_region_is_the_sum_of_its_nodes(run: Made) -> None:
    flux, length, region = flux_of_nodes(run), run["node_length"], run["node_region"].astype(int)
    held = run["case_ice_flux"][0]
    for t, r in np.ndindex(held.shape):
        own = region == r
        lacking = length[own][np.isnan(flux[t, own])].sum() / length[own].sum()
        want = np.nansum(flux[t, own]) / (1.0 - lacking) if lacking <= 0.05 else np.nan
        assert held[t, r] == pytest.approx(want, rel=1e-10, nan_ok=True)
    assert (region >= 0).all()
    np.testing.assert_allclose(held.sum(axis=1), np.nansum(flux, axis=1), rtol=2e-3)


def test_layers_of_a_region_s_gate_add_to_all_of_it(run: Made) -> None:
    part, length = run["coverage"][0, 0], run["node_length"]
    region, source = run["node_region"].astype(int), run["velocity_source"][0]
    np.testing.assert_allclose(part.sum(axis=-1), 1.0, rtol=1e-9)
    for t, r, layer in np.ndindex(3, part.shape[2], 5):
        own = region == r
        # Layers count from 1 in the codes; the last column is what no layer gave, code 0.
        of = length[own & (source[t] == (layer + 1) % 5)].sum() / length[own].sum()
        assert part[0, t, r, layer] == pytest.approx(of, abs=1e-9)
    told: dict[tuple[str, str, str], float] = {}
    for row in run.rows("coverage"):
        if not row.note.startswith("year="):
            continue
        note = dict(item.split("=") for item in row.note.split(";"))
        key = (row.region, note["year"], note["by"])
        told[key] = told.get(key, 0.0) + row.value
    assert len(told) == part.shape[2] * 3 * 2
    np.testing.assert_allclose(list(told.values()), 1.0, atol=1e-5)


def test_coverage_tells_what_climate_models_and_rates_of_elevation_have(run: Made) -> None:
    regions = labels(run.group, "region")
    told = [(row, dict(part.split("=") for part in row.note.split(";")))
            for row in run.rows("coverage") if row.note.startswith("of=")]  # fmt: skip
    models = [(row, note) for row, note in told if note["of"] == "surface_mass_balance"]
    for row, note in models:
        record = labels(run.group, "record").index(note["record"])
        lacking = run["record_missing"][record][:, regions.index(row.region)]
        assert int(note["months"]) == np.isfinite(lacking).sum() > 0
        assert row.value == pytest.approx(1.0 - np.nanmean(lacking), abs=1e-5)
    below = {(note["gates"], row.region): row.value for row, note in told if "gates" in note}
    gates = labels(run.group, "gate_set")
    want = {(gate, name): 1.0 - run["volume_rate_missing"][g, r]
            for g, gate in enumerate(gates) for r, name in enumerate(regions)}  # fmt: skip

    assert len(models) == len(labels(run.group, "record")) * len(regions)
    assert below == pytest.approx(want, abs=1e-5)


def test_discharge_and_balance_are_equations_2_and_3_in_every_year_and_row(run: Made) -> None:
    discharge = (
        run.term("ice_flux") + run.term("smb_gate_to_grounding_line")
        - run.term("dynamic_volume_change")
    )  # fmt: skip
    np.testing.assert_allclose(run.term("discharge"), discharge, rtol=1e-12)
    balance = run.term("surface_mass_balance") - run.term("discharge")
    np.testing.assert_allclose(run.term("mass_balance"), balance, atol=1e-3)
    volume = DENSITY * run["volume_rate"][0]
    regions = len(labels(run.group, "region"))
    np.testing.assert_allclose(
        run.term("dynamic_volume_change")[:, :regions], np.tile(volume, (3, 1)), rtol=1e-12
    )


def test_groups_are_sums_of_their_regions(run: Made, budget: BudgetWorld) -> None:
    import geopandas as gpd

    table = gpd.read_file(budget.folder / "basins.gpkg")
    names = labels(run.group, "row")
    sectors = dict(zip(table.region.astype(str), table.group, strict=True))
    for name in ("EAIS", "WAIS", "AP", "AIS"):
        own = [i for i, r in enumerate(names) if r in sectors and name in ("AIS", sectors[r])]
        assert own
        for quantity in QUANTITIES:
            values = run.term(quantity)
            np.testing.assert_allclose(
                values[:, names.index(name)], values[:, own].sum(axis=1), rtol=1e-12, atol=1e-3
            )


def test_the_mean_of_epochs_counts_epochs_alike_and_years_by_their_weights(run: Made) -> None:
    weights = {"early": (1.0, 0.0, 0.0), "late": (0.0, 0.25, 0.75), "mean": (0.5, 0.125, 0.375)}
    held = {(r.quantity, r.region, r.note.split(";")[0]): r for r in run.rows("regions")}
    names = labels(run.group, "row")
    for name, of in weights.items():
        for quantity in ("ice_flux", "discharge", "surface_mass_balance", "mass_balance"):
            for i in (0, 9, names.index("AIS")):
                row = held[quantity, names[i].replace("_", " "), f"epoch={name}"]
                value = np.dot(of, run.term(quantity)[:, i])
                sigma = np.sqrt(np.array(of) @ run.spread(quantity)[i] @ np.array(of))
                assert row.value == pytest.approx(value / KG_PER_GT, abs=2e-4, rel=1e-6)
                assert row.uncertainty == pytest.approx(sigma / KG_PER_GT, abs=2e-4, rel=1e-6)


def dense_loadings(run: Made) -> dict[str, FLOAT]:
    """Return errors of the flux, (year, region, factor) by term, one loop over nodes: record 0018.

    Beds err alike in all years within a patch; velocities within a patch, a map and a component.
    """
    shape = run["case_ice_flux"][0].shape
    v, w = (np.stack([run[f"{n}_x"], run[f"{n}_y"]]) for n in ("v", "node_w"))
    spread = np.stack([run["v_x_sigma"][0], run["v_y_sigma"][0]])
    thickness, bed_sigma = run["thickness"][0], run["thickness_sigma"][0]
    patch, region = run["node_patch"].astype(int), run["node_region"].astype(int)
    maps = run["velocity_map"][0].astype(int)
    patches, count = patch.max() + 1, maps.max() + 1
    bed = np.zeros((*shape, patches))
    speed, both = (np.zeros((*shape, 2, count * patches)) for _ in range(2))
    flux = np.zeros((*shape, 1))
    for node in range(len(thickness)):
        r, p, h = region[node], patch[node], thickness[node]
        if h == 0.0:
            continue
        for t in range(shape[0]):
            through = v[:, 0, t, node] @ w[:, node]
            if not np.isfinite(through):
                continue
            flux[t, r, 0] += DENSITY * h * through
            bed[t, r, p] += DENSITY * through * bed_sigma[node]
            of = maps[t, node] * patches + p
            effect = DENSITY * w[:, node] * spread[:, t, node]
            speed[t, r, :, of] += h * effect
            both[t, r, :, of] += bed_sigma[node] * effect
    wide = (*shape, -1)
    return {
        "thickness": bed,
        "velocity": np.concatenate([speed.reshape(wide), both.reshape(wide)], axis=-1),
        "density": flux * DENSITY_SIGMA / DENSITY,
    }


def test_covariances_are_those_of_a_dense_list_of_errors(run: Made) -> None:
    held = dict(zip(("thickness", "velocity", "density"), run["case_flux_covariance"][0],
                    strict=True))  # fmt: skip
    whole = np.isclose(
        run["case_ice_flux"][0], np.nan_to_num(dense_loadings(run)["density"][..., 0])
        * DENSITY / DENSITY_SIGMA, rtol=1e-9,
    ).all(axis=0)  # fmt: skip
    assert whole.sum() > 15  # regions without a filled gap, whose error is its own
    for term, errors in dense_loadings(run).items():
        for r in np.flatnonzero(whole):
            np.testing.assert_allclose(held[term][r], errors[:, r] @ errors[:, r].T, rtol=1e-9)
    names = labels(run.group, "flux_row")
    everywhere = dense_loadings(run)["density"].sum(axis=1)
    np.testing.assert_allclose(
        held["density"][names.index("AIS")], everywhere @ everywhere.T, rtol=5e-3
    )


def test_density_errs_alike_in_all_regions_and_years(run: Made) -> None:
    names, regions = labels(run.group, "flux_row"), len(labels(run.group, "region"))
    density = run["case_flux_covariance"][0, 2]
    spread = np.sqrt(density[:, 0, 0])
    flux = run["case_ice_flux"][0, 0]
    np.testing.assert_allclose(spread[:regions], np.abs(flux) * DENSITY_SIGMA / DENSITY, rtol=1e-9)
    ais = abs(flux.sum()) * DENSITY_SIGMA / DENSITY
    assert spread[names.index("AIS")] == pytest.approx(ais, rel=1e-9)
    one = density[names.index("AIS")]
    np.testing.assert_allclose(one, np.sqrt(np.outer(np.diag(one), np.diag(one))), rtol=1e-9)


def months_of(run: Made, name: str, record: int) -> pd.DataFrame:
    """Return the amounts of a climate model by month and region [kg]."""
    days = np.datetime64("1970-01-01", "D") + run["month"].astype(int)
    return pd.DataFrame(run[name][record], index=pd.DatetimeIndex(days))


def test_snow_of_a_velocity_year_is_that_of_its_twelve_months(run: Made) -> None:
    model, reanalysis = (months_of(run, "record_smb", i) for i in (0, 1))
    common = model.dropna().index
    by_year = pd.Series(1, index=common).groupby(common.year).sum()
    whole = common[common.year.isin(by_year[by_year == 12].index)]
    ratio = model.loc[whole].sum() / reanalysis.loc[whole].sum()
    continued = model.fillna(reanalysis * ratio)
    for t, label in enumerate(LABELS):
        first = int(label[:4])
        months = pd.date_range(f"{first}-07-01", periods=12, freq="MS")
        want = continued.loc[months].sum().to_numpy()
        held = run.term("surface_mass_balance")[t, : model.shape[1]]
        np.testing.assert_allclose(held, want, rtol=1e-9)
        share = model.loc[months].isna().mean().to_numpy()
        np.testing.assert_allclose(run["is_extended"][0, t], share, atol=1e-9)
    assert run["is_extended"].max() > 0.0  # the model ends early, a reanalysis continues it


def test_years_that_a_reanalysis_continues_are_less_certain_by_the_hindcast(run: Made) -> None:
    regions = len(labels(run.group, "region"))
    share, hindcast = run["is_extended"][0], run["hindcast_sigma"][0, :regions]
    snow = run.term("surface_mass_balance")[:, :regions]
    variance = np.einsum("rtt->tr", run.spread("surface_mass_balance")[:regions])
    lacking = np.nanmean(run["record_missing"][0], axis=0)  # cells at the coast without a value
    added = variance - (0.05 * snow) ** 2 - (lacking * snow) ** 2
    np.testing.assert_array_equal(share == 0.0, np.abs(added) < 1e-6 * variance)
    whole = share == 1.0
    assert whole.any()
    # Four calendar years are in common: the fit itself errs by half of what a year does.
    want = np.broadcast_to(1.25 * hindcast**2, share.shape)
    assert (added[whole] >= want[whole] * (1.0 - 1e-6)).all()
    np.testing.assert_allclose(added[whole], want[whole], rtol=0.2)


def test_a_replaced_region_stands_beside_its_own_balance(run: Made) -> None:
    held = {(r.quantity, r.region, r.note.split(";")[0]): r for r in run.rows("regions")}
    own = held["mass_balance", "2", "epoch=mean"]
    taken = held["mass_balance_replaced", "2", "epoch=mean"]
    assert (taken.value, taken.uncertainty) == (pytest.approx(-12.5), pytest.approx(2.0))
    assert "replaced=2" in taken.note
    note = dict(item.split("=") for item in taken.note.split(";"))
    assert float(note["difference"]) == pytest.approx(taken.value - own.value, abs=2e-3)
    for group in ("EAIS", "AIS"):
        moved = (
            held["mass_balance_replaced", group, "epoch=mean"].value
            - held["mass_balance", group, "epoch=mean"].value
        )
        assert moved == pytest.approx(taken.value - own.value, abs=1e-3)


def test_errors_of_a_group_leave_out_the_flux_of_a_replaced_region(run: Made) -> None:
    names, flux_names = labels(run.group, "row"), labels(run.group, "flux_row")
    region = names.index("2")
    held = run["replaced_covariance"][0]
    assert held[region, 0, 0] == pytest.approx((2.0 * KG_PER_GT) ** 2)
    flux = run["case_flux_covariance"][0]
    with_it = flux[:2, flux_names.index("EAIS")].sum(axis=0)
    without = flux[:2, flux_names.index("EAIS_kept")].sum(axis=0)
    alone = flux[:2, region].sum(axis=0)
    # Its neighbours share a patch with it at most at its ends.
    np.testing.assert_allclose(np.diag(with_it - without), np.diag(alone), rtol=0.2)
