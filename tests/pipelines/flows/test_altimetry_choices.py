"""What an altimetry run may be asked for, what it refuses, and what ends it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import settings, stored
from pipelines.flows.catalogue_inputs import InputError
from pipelines.settings_altimetry import Cells
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation_files import AltimetryFiles, write_altimetry
from stac.ingest import ingest

from .conftest import (
    PERIOD,
    SPACING_KM,
    Document,
    added,
    altimetry_document,
    labels,
    plan_of,
    worked,
)
from .pixels import members_of, true_areas

FLOAT = NDArray[np.float64]
ICE, MEAN_DENSITY, SNOW = 910.0, 650.0, 300.0
GROUPS = ("EAIS", "WAIS", "AP", "AIS")


@pytest.fixture
def small(altimetry_catalogue: Path) -> Document:
    """A run of one re-tracker's four rates, regions read off a coarse raster."""
    document = altimetry_document(str(altimetry_catalogue), "out")
    document["inputs"]["elevation_rate"] = "rates/elevation_rate_TFMRA"
    document["altimetry"] |= {"region_spacing_km": 50, "j_max": 20, "cells": {"step_degrees": 2.0}}
    return document


def test_one_density_model_needs_no_field_and_mixes_the_rates_alone(
    small: Document, tmp_path: Path
) -> None:
    del small["inputs"]["velocity"], small["inputs"]["surface_processes"]
    small["altimetry"]["density"] = {"models": ["mean"]}
    plan = plan_of(small, tmp_path)

    group = worked(plan)

    assert "density" not in [stage.name for stage in plan.stages]
    assert labels(group, "member") == [f"TFMRA/M{i}:mean" for i in range(1, 5)]
    # The basis holds rates of ice: the mixing has no unit.
    np.testing.assert_allclose(stored.read(group, "mixing"), 650.0 / 910.0 * np.eye(4), rtol=1e-15)
    pixels = stored.read(group, "elevation_rate") * 650.0
    area = true_areas(stored.read(group, "x_grid"), stored.read(group, "y_grid"))
    expected = np.tensordot(pixels, area, axes=2)
    total = members_of(group, "region_mass_rate_basis")[:, -1]
    np.testing.assert_allclose(total, expected, rtol=1e-10)


def test_fast_or_lowering_alone_mixes_no_plain_rates(small: Document, tmp_path: Path) -> None:
    del small["inputs"]["surface_processes"]
    small["altimetry"]["density"] = {"models": ["fast_or_lowering"], "fast_m_per_yr": 80.0}

    group = worked(plan_of(small, tmp_path), before="analyse")

    np.testing.assert_array_equal(stored.read(group, "mixing"), np.eye(4))
    inside = stored.read(group, "is_grounded") > 0
    assert set(np.unique(stored.read(group, "density")[inside])) == {SNOW, ICE}
    lowering = stored.read(group, "elevation_rate").mean(axis=0) <= -0.3
    assert (stored.read(group, "density")[lowering & inside] == ICE).all()


def test_bilinear_regridding_is_close_and_conservative_alone_is_exact(
    small: Document, tmp_path: Path
) -> None:
    small["altimetry"] |= {"density": {"models": ["ice"]}, "cells": {"step_degrees": 0.5}}
    exact = worked(plan_of(small, tmp_path))

    small["altimetry"]["regridding"] = "bilinear"
    close = worked(plan_of(small, tmp_path))

    totals = [members_of(g, "region_mass_rate_basis")[:, -1] for g in (exact, close)]
    relative = np.abs(totals[1] / totals[0] - 1.0)
    assert 1e-6 < relative.max() < 0.05
    low = [stored.read(g, "mass_rate_basis")[:, :, :11] for g in (exact, close)]
    assert np.abs(low[1] - low[0]).max() < 0.05 * np.abs(low[0]).max()


@pytest.mark.parametrize("quadrature", ["fejer", "exact"])
def test_other_quadratures_agree_at_low_degrees(
    small: Document, tmp_path: Path, quadrature: str
) -> None:
    small["altimetry"] |= {"density": {"models": ["ice"]}, "cells": {"step_degrees": 0.5}}
    cell = worked(plan_of(small, tmp_path), before="sums")

    small["altimetry"]["quadrature"] = quadrature
    other = worked(plan_of(small, tmp_path), before="sums")

    low = [stored.read(g, "mass_rate_basis")[:, :, :11] for g in (cell, other)]
    assert np.abs(low[1] - low[0]).max() < 0.01 * np.abs(low[0]).max()


@pytest.fixture(scope="module")
def gappy(
    world: Antarctica, altimetry_catalogue: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A collection of four rates that lack different cells."""
    files = write_altimetry(
        world,
        tmp_path_factory.mktemp("gappy"),
        spacing_km=SPACING_KM,
        period=PERIOD,
        different_gaps=True,
    )
    added("elevation-rate", [files.elevation_rate[-1]], altimetry_catalogue, "gappy")
    return "gappy"


def test_members_with_different_gaps_are_refused_with_the_choices_there_are(
    small: Document, gappy: str, tmp_path: Path, workers: str
) -> None:
    small["inputs"]["elevation_rate"] = gappy

    outcome = plan_of(small, tmp_path).execute(workers)

    assert [key.partition("@")[0] for key, _ in outcome.failures] == ["gaps"]
    assert outcome.left > 0
    reason = outcome.failures[0][1]
    assert reason.startswith("altimetry.gaps: members have different gaps: ")
    assert "/M4 " in reason
    assert "choose union" in reason
    assert not (tmp_path / "out" / "product.zarr").exists()
    receipts = (tmp_path / "out" / "receipts.jsonl").read_text()
    assert "members have different gaps" in receipts


@pytest.mark.parametrize("policy", ["union", "each"])
def test_different_gaps_are_filled_together_or_apart(
    small: Document, gappy: str, tmp_path: Path, policy: str
) -> None:
    small["inputs"]["elevation_rate"] = gappy
    small["altimetry"] |= {"gaps": policy, "density": {"models": ["ice"]}}

    group = worked(plan_of(small, tmp_path))

    inside = stored.read(group, "is_grounded") > 0
    lacking = np.isnan(stored.read(group, "elevation_rate_measured")) & inside
    if policy == "union":
        lacking[:] = lacking.any(axis=0)
    is_filled = stored.read(group, "is_filled") > 0
    np.testing.assert_array_equal(is_filled, lacking)
    fraction = stored.read(group, "region_filled_fraction")[:, -1]
    assert (np.ptp(fraction) == 0.0) == (policy == "union")
    assert np.isfinite(stored.read(group, "region_mass_rate")).all()


def test_a_member_that_cannot_be_read_stops_the_run_and_is_named(
    small: Document,
    elevation_files: AltimetryFiles,
    altimetry_catalogue: Path,
    tmp_path: Path,
    workers: str,
) -> None:
    added("elevation-rate", [elevation_files.elevation_rate[0]], altimetry_catalogue, "damaged")
    small["inputs"]["elevation_rate"] = "damaged"
    chunks = list((altimetry_catalogue / "damaged").glob("*/*.zarr/elevation_rate/c/**/*"))
    for path in (each for each in chunks if each.is_file()):
        path.write_bytes(b"no chunk")

    outcome = plan_of(small, tmp_path).execute(workers)

    assert outcome.left > 0
    assert {key.partition("/")[0] for key, _ in outcome.failures} == {"read"}
    item = elevation_files.elevation_rate[0].stem
    assert outcome.failures[0][1].startswith(f"{item}: its values cannot be read (")
    assert not (tmp_path / "out" / "product.zarr").exists()


@pytest.mark.parametrize(
    ("kind", "part", "role"),
    [
        ("velocity", "velocity", "velocity"),
        ("surface-processes", "surface_processes", "surface_processes"),
    ],
)
def test_a_damaged_field_of_a_density_model_fails_and_is_named(
    small: Document,
    elevation_files: AltimetryFiles,
    altimetry_catalogue: Path,
    tmp_path: Path,
    kind: str,
    part: str,
    role: str,
) -> None:
    (path,) = getattr(elevation_files, part)
    added(kind, [path], altimetry_catalogue, f"damaged-{kind}")
    small["inputs"][role] = f"damaged-{kind}"
    for chunk in (altimetry_catalogue / f"damaged-{kind}").glob("*/*.zarr/[vs]*_*/c/*/*"):
        chunk.write_bytes(b"no chunk")

    with pytest.raises(KeyFailed, match=f"{path.stem}: its values cannot be read"):
        worked(plan_of(small, tmp_path), before="rows")


def test_a_member_without_any_rate_stops_the_run_before_holes_are_spread(
    small: Document,
    elevation_files: AltimetryFiles,
    altimetry_catalogue: Path,
    tmp_path: Path,
    workers: str,
) -> None:
    data = xr.load_dataset(elevation_files.elevation_rate[-1])
    data.elevation_rate[0, 2] = np.nan
    data.elevation_rate[0, 2, 0, 0] = 1.0  # at sea
    data.to_netcdf(tmp_path / "empty.nc")
    added("elevation-rate", [tmp_path / "empty.nc"], altimetry_catalogue, "empty")
    small["inputs"]["elevation_rate"] = "empty"
    small["altimetry"]["gaps"] = "each"

    outcome = plan_of(small, tmp_path).execute(workers)

    assert [key.partition("@")[0] for key, _ in outcome.failures] == ["height/2"]
    assert "leave this member out" in outcome.failures[0][1]
    assert outcome.left > 0
    assert not (tmp_path / "out" / "product.zarr").exists()


def test_cells_that_end_south_of_the_ice_are_refused_with_what_to_change(
    small: Document, tmp_path: Path
) -> None:
    small["altimetry"]["cells"] = {"step_degrees": 2.0, "north": -74.0}

    with pytest.raises(InputError, match=r"cells\.north: found -74, but .* move it north of that"):
        plan_of(small, tmp_path)


def test_a_pixel_that_reaches_beyond_the_cells_fails_and_ends_the_run(
    small: Document, tmp_path: Path
) -> None:
    plan = plan_of(small, tmp_path)
    group = worked(plan, before="rows")
    stage = next(each for each in plan.stages if each.name == "rows")
    too_few = dataclasses.replace(stage.job.choices, cells=Cells(2.0, north=-74.0))  # type: ignore[attr-defined]

    with pytest.raises(KeyFailed, match=r"^altimetry\.cells\.north: .*move the northern edge"):
        dataclasses.replace(stage.job, choices=too_few)("rows/0", group)  # type: ignore[type-var]

    assert stage.required == stage.keys


def test_a_degree_that_the_rates_do_not_carry_is_refused(small: Document, tmp_path: Path) -> None:
    small["altimetry"] |= {"j_max": 501, "cells": {"step_degrees": 0.2}}

    with pytest.raises(InputError, match=r"rates every 40 km carry degrees up to .* = 500"):
        plan_of(small, tmp_path)


def test_members_on_another_grid_are_refused_at_planning(
    small: Document, elevation_files: AltimetryFiles, altimetry_catalogue: Path, tmp_path: Path
) -> None:
    part = xr.load_dataset(elevation_files.elevation_rate[0]).isel(x=slice(10, -10))
    part.to_netcdf(tmp_path / "part.nc")
    added("elevation-rate", [tmp_path / "part.nc"], altimetry_catalogue, "part")
    small["inputs"]["elevation_rate"] = ["rates/elevation_rate_TFMRA", "part"]

    with pytest.raises(InputError, match=r"part has another grid than .*regrid one of them"):
        plan_of(small, tmp_path)


def test_rates_on_an_unknown_grid_are_refused_at_ingest(
    elevation_files: AltimetryFiles, tmp_path: Path
) -> None:
    lost = tmp_path / "lost.nc"
    data = xr.load_dataset(elevation_files.elevation_rate[0]).drop_vars("spatial_ref")
    del data.elevation_rate.attrs["grid_mapping"]
    for axis in "xy":
        data[axis].attrs.pop("long_name")
    data.to_netcdf(lost)

    done = next(
        ingest("elevation-rate", [str(lost)], catalogue=str(tmp_path / "c"), collection="r")
    )

    assert done.state == "failed"
    assert "EPSG:3031" in done.reason


def test_the_same_member_twice_is_refused(small: Document, tmp_path: Path) -> None:
    small["inputs"]["elevation_rate"] = ["rates", "rates/elevation_rate_TFMRA"]

    with pytest.raises(InputError, match=r"TFMRA/M1.* come more than once"):
        plan_of(small, tmp_path)


@pytest.mark.parametrize(
    ("role", "model", "kind"),
    [
        ("velocity", "fast_or_lowering", "velocity"),
        ("surface_processes", "surface_processes", "surface-processes"),
    ],
)
def test_a_model_without_its_field_is_refused_with_what_to_name_or_leave_out(
    small: Document, tmp_path: Path, role: str, model: str, kind: str
) -> None:
    del small["inputs"][role]
    expected = rf"'{model}' needs inputs\.{role}, .* of kind '{kind}', or keep models \[ice, mean"

    with pytest.raises(InputError, match=expected):
        plan_of(small, tmp_path)


def test_trends_that_miss_the_ice_fail_the_constant(
    small: Document, elevation_files: AltimetryFiles, altimetry_catalogue: Path, tmp_path: Path
) -> None:
    data = xr.load_dataset(elevation_files.surface_processes[0])
    data.where(data.x > 0.0).to_netcdf(tmp_path / "half.nc")
    added("surface-processes", [tmp_path / "half.nc"], altimetry_catalogue, "half")
    small["inputs"]["surface_processes"] = "half"

    with pytest.raises(KeyFailed, match=r"half: lacks \d+ of \d+ cells.*leave out the model"):
        worked(plan_of(small, tmp_path))


def test_a_degree_that_the_cells_do_not_carry_is_refused_by_the_settings(
    small: Document, tmp_path: Path
) -> None:
    small["altimetry"] |= {"j_max": 90, "cells": {"step_degrees": 2.0}}

    with pytest.raises(
        settings.SettingsError, match=r"up to 89; lower j_max or cells\.step_degrees"
    ):
        plan_of(small, tmp_path)


def test_rates_of_a_period_some_days_off_are_noted(small: Document, tmp_path: Path) -> None:
    small["period"] = ["2011-02-01", "2013-01-15"]

    (note,) = plan_of(small, tmp_path).notes

    assert note.startswith("elevation_rate_TFMRA: rates of 2011-02-01 to 2013-01-31, ")
    assert note.endswith("2011-02-01 to 2013-01-15")


def test_rates_of_other_years_are_another_trend(small: Document, tmp_path: Path) -> None:
    small["period"] = ["2011-02-01", "2012-01-31"]

    with pytest.raises(InputError, match="elevation_rate_TFMRA holds rates of 2011-02-01 to 2013"):
        plan_of(small, tmp_path)


def test_polygons_of_another_ice_sheet_hold_no_rate(small: Document, tmp_path: Path) -> None:
    plan = plan_of(small, tmp_path)
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    plan.template(group)
    group["x_grid"][:] = stored.read(group, "x_grid") + 2e7

    with pytest.raises(KeyFailed, match=r"no cell of the elevation rates .*same ice sheet"):
        plan.stages[0].job("grounded", group)
