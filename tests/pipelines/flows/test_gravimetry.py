"""Gravimetry from catalogue to tables, on a synthetic Antarctica whose truth is known."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.typing import NDArray

from cluster import dask_cluster, zarr_sink
from cluster.ledger import KeyFailed
from pipelines import settings, stored, tables
from pipelines.flows import gravimetry, gravimetry_low_degrees
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.gravimetry_stages import LocaliseJob
from pipelines.kernels import basins
from pipelines.kernels.constants import KG_PER_GT, MEAN_RADIUS
from pipelines.kernels.gravity import harmonics, localisation
from pipelines.kernels.gravity.low_degrees import LowDegreeError
from pipelines.kernels.gravity.stokes import EpochError
from pipelines.kernels.trends import TrendError
from pipelines.lifecycle import Outcome
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.gravity_files import WrittenGravity
from pipelines.worlds.signals import resolved_mass_rates
from stac.ingest import ingest
from tests.fixtures.damaged_chunks import cut_short

from .conftest import DEGREE, WriteRun, fill

GROUPS = ("EAIS", "WAIS", "AP", "AIS")


def run(path: Path, *, fresh: bool = False) -> tuple[gravimetry.Plan, Outcome]:
    """Carry out a run file in this process's own Dask cluster."""
    plan = gravimetry.plan(settings.read(path))
    return plan, plan.execute(None, fresh=fresh)


def arrays(output: Path | str) -> dict[str, NDArray[np.float64]]:
    repository = zarr_sink.Repository.open(f"{output}/product.icechunk", read_only=True)
    group = zarr.open_group(repository.read(), mode="r")
    return {name: np.asarray(array[...]) for name, array in group.arrays()}


def assert_equal_bit_for_bit(one: Path, other: Path) -> None:
    a, b = arrays(one), arrays(other)
    assert a.keys() == b.keys()
    differing = [n for n in a if a[n].tobytes() != b[n].tobytes()]
    assert not differing


@pytest.fixture(scope="module")
def finished(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of an undisturbed run."""
    import yaml

    from .conftest import run_document

    folder = tmp_path_factory.mktemp("finished")
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(run_document(str(catalogue), "out")))
    _, outcome = run(path)
    assert (outcome.failed, outcome.left) == (0, 0)
    return folder / "out"


def rows(output: Path, name: str) -> list[tables.Row]:
    return tables.read_rows((output / "tables" / name).read_bytes())


def test_group_rates_agree_with_the_truth_that_degree_30_can_show(
    finished: Path, world: Antarctica
) -> None:
    truth = resolved_mass_rates(world, j_max=DEGREE)

    found = {r.region: r for r in rows(finished, "regions.csv") if r.quantity == "mass_rate"}

    for name in GROUPS:
        z = (found[name].value - truth[name]) / found[name].uncertainty
        # Four draws of fixed noise; |z| > 3.5 has a probability of 2e-3 in all.
        assert abs(z) < 3.5, (name, found[name].value, truth[name], found[name].uncertainty)


def test_the_total_is_summed_from_joined_kernels_and_its_error_is_correlated(
    finished: Path,
) -> None:
    group = zarr.open_group(str(finished / "product.zarr"), mode="r")
    kernels = stored.read(group, "region_kernel")
    names = str(group["region"].attrs["flag_meanings"]).split()
    single = [i for i, name in enumerate(names) if name.isdigit()]
    total = names.index("AIS")

    covariance = stored.read(group, "region_mass_rate_covariance")

    assert np.allclose(kernels[total], kernels[single].sum(axis=0), rtol=1e-12, atol=1e-3)
    block = covariance[np.ix_(single, single)]
    # The covariance of a sum is the sum of the covariances: an identity, to rounding.
    assert np.isclose(covariance[total, total], block.sum(), rtol=1e-9)
    assert covariance[total, total] != pytest.approx(np.trace(block), rel=0.05)


def test_the_buffered_total_is_the_mean_of_the_localised_field(finished: Path) -> None:
    group = zarr.open_group(str(finished / "product.zarr"), mode="r")
    rate, gia = (
        stored.read(group, n)[..., 0, 0, 0] for n in ("mass_rate_coefficients", "mass_rate_gia")
    )
    buffered = next(r for r in rows(finished, "regions.csv") if r.quantity == "mass_rate_buffered")

    expected = 4.0 * np.pi * MEAN_RADIUS**2 * (rate - gia.mean()) / KG_PER_GT

    assert buffered.value == pytest.approx(float(expected), rel=1e-12)


def test_monthly_series_by_adjoint_kernels_equal_localised_fields_summed_one_by_one(
    finished: Path,
) -> None:
    group = zarr.open_group(str(finished / "product.zarr"), mode="r")
    plan_factors = stored.read(group, "surface_mass_factor")
    stokes, mask = stored.read(group, "stokes"), stored.read(group, "mask")
    kernels, anomaly = stored.read(group, "region_kernel"), stored.read(group, "mass_anomaly")
    there = np.flatnonzero(np.isfinite(stokes[:, 0, 0, 0]))[[0, 5, -1]]
    gia_rate = basins.region_sums(stored.read(group, "mass_rate_gia"), kernels).mean(axis=0)
    epoch = stored.read(group, "epoch")

    fields = stokes[there] * plan_factors[:, None]
    masses = basins.region_sums(localisation.localise(fields, mask, j_max=60), kernels)
    masses -= np.outer(epoch[there], gia_rate)

    # Differences between months do not depend on the mean that anomalies refer to.
    found = np.diff(anomaly[:, there].T, axis=0)
    assert np.allclose(found, np.diff(masses, axis=0), rtol=1e-9, atol=1e-9 * np.abs(masses).max())


def test_the_map_is_the_spectrum_evaluated_at_its_cells(finished: Path) -> None:
    import pyproj

    group = zarr.open_group(str(finished / "product.zarr"), mode="r")
    mean = stored.read(group, "mass_rate_coefficients")
    mean = mean - stored.read(group, "mass_rate_gia").mean(axis=0)
    x, y = stored.read(group, "x"), stored.read(group, "y")
    to_geographic = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    longitude, latitude = to_geographic.transform(x[20], y[11])
    geocentric = np.degrees(np.arctan((1.0 - 0.00669437999014) * np.tan(np.radians(latitude))))

    at = harmonics.synthesise(mean, np.array([geocentric]), np.array([longitude]))[0, 0]

    assert stored.read(group, "mass_rate")[11, 20] == pytest.approx(at, rel=1e-9)


def test_a_month_that_the_geocentre_lacks_is_dropped_and_named(finished: Path) -> None:
    receipts = [json.loads(line) for line in (finished / "receipts.jsonl").read_text().splitlines()]

    dropped = [r for r in receipts if "dropped" in r["note"]]

    assert [r["key"] for r in dropped] == ["month/2011-10"]
    assert dropped[0]["state"] == "done"
    assert "C10 C11 S11" in dropped[0]["note"]
    months = {str(r.period_start)[:7] for r in rows(finished, "series.csv")}
    assert "2011-10" not in months
    assert "2011-09" in months


def test_every_region_and_group_has_its_rows_in_the_contract_s_columns(finished: Path) -> None:
    header = (finished / "tables" / "regions.csv").read_text().splitlines()[0]
    found = {r.region for r in rows(finished, "regions.csv")}

    assert header == (
        "product,quantity,region_set,region,period_start,period_end,value,uncertainty,unit,note"
    )
    assert found == {str(i) for i in range(1, 28)} | set(GROUPS)


def test_the_product_opens_with_xarray_and_carries_units_grid_and_provenance(
    finished: Path,
) -> None:
    with warnings.catch_warnings():
        # zarr-python warns that consolidated metadata is not yet in the v3 specification.
        warnings.simplefilter("ignore")
        data = xr.open_zarr(finished / "product.zarr")

    assert data.mass_rate.attrs["units"] == "kg m-2 yr-1"
    assert data.mass_rate.attrs["grid_mapping"] in data.variables
    assert data.time.dtype.kind == "M"
    assert str(data.time.values[0])[:10] == "2011-02-15"
    assert data.attrs["nunatak:seed"] == 1
    assert len(data.attrs["nunatak:inputs"]) == 51
    assert "members: 12" in data.attrs["nunatak:run"]
    assert isinstance(data.attrs["nunatak:notes"], list)


def test_figures_are_pictures_and_the_item_names_inputs_and_snapshot(finished: Path) -> None:
    names = {path.name for path in (finished / "figures").iterdir()}
    item = json.loads((finished / "item.json").read_text())

    assert names == {"trend_map.png", "spread_map.png", "series.png", "degree_power.png"}
    for path in (finished / "figures").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    links = [link for link in item["links"] if link["rel"] == "derived_from"]
    assert len(links) == 51
    assert item["properties"]["nunatak:snapshot"]
    assert item["properties"]["start_datetime"].startswith("2011-02-01")


def test_running_again_changes_nothing(write_run: WriteRun, tmp_path: Path) -> None:
    path = write_run()
    run(path)
    repository = zarr_sink.Repository.open(str(tmp_path / "out" / "product.icechunk"))
    before, item = repository.published(), (tmp_path / "out" / "item.json").read_bytes()

    _, outcome = run(path)

    assert (outcome.failed, outcome.left) == (0, 0)
    assert repository.published() == before
    assert (tmp_path / "out" / "item.json").read_bytes() == item


def test_another_choice_is_refused_by_name_until_a_fresh_version_is_asked_for(
    write_run: WriteRun, tmp_path: Path
) -> None:
    run(write_run())
    changed = write_run("changed.yaml", gravimetry={"members": 13})

    with pytest.raises(zarr_sink.VersionConflict, match=r"gravimetry\.members: 12 -> 13"):
        run(changed)

    run(changed, fresh=True)
    tags = zarr_sink.Repository.open(str(tmp_path / "out" / "product.icechunk")).history()
    assert [version.tag for version in tags] == ["v1", "v2"]


def test_workers_at_an_address_give_the_same_arrays(
    write_run: WriteRun, tmp_path: Path, finished: Path
) -> None:
    plan = gravimetry.plan(settings.read(write_run()))

    with dask_cluster.connect(None, workers=2) as client:
        plan.execute(client.scheduler.address)

    assert_equal_bit_for_bit(tmp_path / "out", finished)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_workers_of_ray_give_the_same_arrays(
    write_run: WriteRun, tmp_path: Path, finished: Path
) -> None:
    outcome = gravimetry.plan(settings.read(write_run())).execute(ray="local")

    assert (outcome.failed, outcome.left) == (0, 0)
    assert_equal_bit_for_bit(tmp_path / "out", finished)


def test_a_bad_month_is_a_failed_receipt_and_mends_to_the_undisturbed_result(
    write_run: WriteRun, written: WrittenGravity, tmp_path: Path, finished: Path
) -> None:
    own = tmp_path / "catalogue"
    fill(own, written)
    store = next(own.glob("months/GSM-2_2012122*/*.zarr"))
    shutil.move(store, tmp_path / "aside")
    chunk, whole = cut_short(next(own.glob("months/GSM-2_2012153*/*.zarr")), "stokes")
    path = write_run(catalogue=str(own))

    _, broken = run(path)

    assert (broken.failed, broken.left) == (2, 0)
    assert [key for key, _ in broken.failures] == ["month/2012-05", "month/2012-06"]
    assert "GSM-2_2012122" in broken.failures[0][1]
    assert "GSM-2_2012153" in broken.failures[1][1]
    assert "values cannot be read" in broken.failures[1][1]
    assert (tmp_path / "out" / "tables" / "regions.csv").exists()

    shutil.move(tmp_path / "aside", store)
    chunk.write_bytes(whole)
    _, mended = run(path)

    assert (mended.failed, mended.left) == (0, 0)
    assert_equal_bit_for_bit(tmp_path / "out", finished)


def test_a_damaged_model_of_rebound_fails_its_key_alone(
    write_run: WriteRun, written: WrittenGravity, tmp_path: Path
) -> None:
    own = tmp_path / "catalogue"
    fill(own, written)
    plan = gravimetry.plan(settings.read(write_run(catalogue=str(own))))
    job = next(stage.job for stage in plan.stages if isinstance(stage.job, LocaliseJob))
    assert np.isfinite(job._gia_rate(job.gia[0])).all()
    cut_short(Path(job.gia[0].href), "stokes_rate")

    with pytest.raises(KeyFailed, match=f"{job.gia[0].id}: its values cannot be read"):
        job._gia_rate(job.gia[0])


def test_a_run_without_its_polygons_stops_and_publishes_nothing(
    write_run: WriteRun, written: WrittenGravity, tmp_path: Path
) -> None:
    own = tmp_path / "catalogue"
    fill(own, written)
    plan = gravimetry.plan(settings.read(write_run(catalogue=str(own))))
    next(own.glob("grounded/*/*.parquet")).unlink()

    outcome = plan.execute(None)

    assert [key for key, _ in outcome.failures] == ["mask"]
    assert outcome.left > 0
    assert not (tmp_path / "out" / "product.zarr").exists()
    assert (tmp_path / "out" / "receipts.jsonl").exists()


def test_status_counts_without_changing_anything(write_run: WriteRun, tmp_path: Path) -> None:
    plan = gravimetry.plan(settings.read(write_run()))

    before = plan.status()

    assert (before.done, before.failed) == (0, 0)
    assert before.left == sum(len(stage.keys) for stage in plan.stages)
    assert not (tmp_path / "out").exists()


def test_a_period_without_months_says_what_the_catalogue_holds(write_run: WriteRun) -> None:
    path = write_run(period=["1995-01-01", "1996-01-01"])

    with pytest.raises(InputError, match=r"no monthly field has its middle in it.*2011-02-01"):
        gravimetry.plan(settings.read(path))


def test_a_misspelt_collection_gets_the_nearest_name(write_run: WriteRun) -> None:
    path = write_run(inputs={"gravity": "month"})

    with pytest.raises(InputError, match="did you mean 'months'"):
        gravimetry.plan(settings.read(path))


def test_the_same_months_from_two_collections_are_refused_with_their_names(
    write_run: WriteRun, written: WrittenGravity, tmp_path: Path
) -> None:
    own = tmp_path / "catalogue"
    fill(own, written)
    twice = str(written.gravity[3])
    assert (
        next(ingest("grace-l2", [twice], catalogue=str(own), collection="again")).state == "added"
    )
    path = write_run(catalogue=str(own), inputs={"gravity": ["months", "again"]})

    with pytest.raises(EpochError, match=f"(?s){written.gravity[3].stem}.* and .*keep one"):
        gravimetry.plan(settings.read(path))


def test_terms_that_a_short_period_cannot_tell_apart_are_refused_at_planning(
    write_run: WriteRun,
) -> None:
    path = write_run(period=["2011-02-01", "2011-07-31"])

    with pytest.raises(TrendError):
        gravimetry.plan(settings.read(path))


def test_a_month_that_a_source_lacks_ends_the_plan_under_refuse(write_run: WriteRun) -> None:
    policy = [{"coefficients": ["C10", "C11", "S11"], "source": "degree_one", "missing": "refuse"}]
    path = write_run(gravimetry={"low_degrees": policy})

    with pytest.raises(LowDegreeError, match="2011-10-01"):
        gravimetry.plan(settings.read(path))


def test_interpolated_geocentre_keeps_the_month_and_says_so(write_run: WriteRun) -> None:
    policy = [
        {"coefficients": ["C10", "C11", "S11"], "source": "degree_one", "missing": "interpolate"}
    ]
    plan = gravimetry.plan(settings.read(write_run(gravimetry={"low_degrees": policy})))

    months = plan.stages[0].job.jobs["month"].months  # type: ignore[attr-defined]

    taken = months["month/2011-10"].low_degrees
    assert set(taken.values) == {"C10", "C11", "S11"}
    assert "interpolated" in taken.told()


def test_a_policy_for_a_coefficient_that_the_source_lacks_is_refused(write_run: WriteRun) -> None:
    path = write_run(
        gravimetry={"low_degrees": [{"coefficients": ["C40"], "source": "low_degrees"}]}
    )

    with pytest.raises(gravimetry_low_degrees.PolicyError, match=r"holds C20, C30.*asks for C40"):
        gravimetry.plan(settings.read(path))


@pytest.mark.realdata
def test_a_static_field_among_the_months_is_refused_by_name(
    write_run: WriteRun, written: WrittenGravity, tmp_path: Path, data_root: Path
) -> None:
    own = tmp_path / "catalogue"
    fill(own, written)
    static = [str(data_root / "gravity" / "GOCO06s_l20.gfc")]
    added = list(ingest("grace-l2", static, catalogue=str(own), collection="static"))
    assert [one.state for one in added] == ["added"]
    path = write_run(catalogue=str(own), inputs={"gravity": ["months", "static"]})

    with pytest.raises(InputError, match=r"GOCO06s_l20: .*a static field does not belong"):
        gravimetry.plan(settings.read(path))


def test_exchanged_inputs_are_refused_with_the_kind_that_was_found(write_run: WriteRun) -> None:
    path = write_run(inputs={"love_numbers": "gia"})

    with pytest.raises(InputError, match=r"of kind 'gia', expected love-numbers"):
        gravimetry.plan(settings.read(path))


def test_a_degree_beyond_the_fields_is_refused_before_anything_is_computed(
    write_run: WriteRun,
) -> None:
    path = write_run(gravimetry={"j_max": DEGREE + 1})

    with pytest.raises(InputError, match=rf"ends at degree {DEGREE}, the run uses {DEGREE + 1}"):
        gravimetry.plan(settings.read(path))
