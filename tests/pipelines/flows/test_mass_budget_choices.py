"""Choices of a mass budget: ensembles, open gates, frames, months, gaps; and what is refused."""

import datetime as dt
import re
import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import netCDF4
import numpy as np
import pytest
import shapely
import zarr

from pipelines import stored
from pipelines.flows import mass_budget_epochs
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.mass_budget_years import year
from pipelines.kernels import geodesy
from pipelines.worlds import budget as budget_truth
from pipelines.worlds import field_files
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.boundary_files import write_polygons
from stac.ingest import ingest
from tests.stac import mass_balance_files

from .budget_world import LABELS, PAPER, PLAIN, BudgetWorld, Document, add, field
from .conftest import changed, labels, plan_of, worked
from .test_mass_budget import QUANTITIES, Made, made

BASIN = "5"
LIGHT = {"surface_mass_balance": [], "reanalysis": None, "elevation_rate": None}


def write_lines(path: Path, **lines: shapely.Geometry) -> Path:
    gpd.GeoDataFrame({"gate": list(lines)}, geometry=list(lines.values()), crs=3031).to_file(path)
    return path


def write_velocity(path: Path, budget: BudgetWorld, **attributes: str) -> Path:
    """Write the first annual map again as a file of no known product."""
    v_x, v_y = field(budget.files.velocity_annual[0], "VX", "VY")
    seen = (v_x != 0.0) | (v_y != 0.0)
    return field_files.write(
        path, v_x.x.values, v_x.y.values,
        {"vx": v_x.where(seen).values, "vy": v_y.where(seen).values},
        units={"vx": attributes.pop("units", "m/yr"), "vy": "m/yr"}, fill=np.nan,
        title="A velocity", time_coverage_start="2011-07-01", time_coverage_end="2012-06-30",
        **attributes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(world: Antarctica, budget: BudgetWorld) -> BudgetWorld:
    """Add gates of few vertices, and other inputs of these tests, to the catalogue."""
    folder, catalogue = budget.folder, budget.catalogue
    ring = budget_truth.gate_line(world, budget_truth.GatePlace(), along=1).geometry[0]
    ring = ring.simplify(1500.0)
    basins = world.basins()
    basin = basins.geometry[list(basins.region.astype(str)).index(BASIN)]
    across = shapely.line_merge(ring.intersection(basin.buffer(3000.0)))
    if across.geom_type != "LineString":
        across = max(across.geoms, key=lambda part: part.length)
    half = shapely.ops.substring(across, 0.2, 0.6, normalized=True)
    for name, lines in (
        ("coarse", {"ring": ring}),
        ("across", {"across": across, "half": half}),
        ("turned", {"across": across.reverse(), "half": half.reverse()}),
        ("far", {"far": shapely.box(2.9e6, 2.9e6, 2.95e6, 2.95e6).exterior}),
    ):
        add(catalogue, name, "gates", write_lines(folder / f"{name}.geojson", **lines))
    twice = gpd.GeoDataFrame(basins.iloc[[0, 0]].assign(region=["1", "2"]), crs=basins.crs)
    add(catalogue, "twice", "basins", write_polygons(twice, folder / "twice.gpkg"))
    for frame in ("ground", "map"):
        path = write_velocity(folder / f"in_{frame}.nc", budget, velocity_frame=frame)
        add(catalogue, f"in-{frame}", "velocity", path)
    return budget


def document_of(plain: BudgetWorld, **mass_budget: Any) -> Document:
    """Return a run file without snow and thinning, on the gate of few vertices."""
    document = changed(plain.document(), inputs={**LIGHT, "gates": ["coarse"]})
    return changed(document, mass_budget={"mosaics": [PLAIN], **mass_budget})


@pytest.fixture(scope="module")
def single(plain: BudgetWorld, tmp_path_factory: pytest.TempPathFactory) -> zarr.Group:
    return worked(plan_of(document_of(plain), tmp_path_factory.mktemp("single")))


@pytest.fixture(scope="module")
def ensemble(plain: BudgetWorld, tmp_path_factory: pytest.TempPathFactory) -> Made:
    document = document_of(plain, mosaics=[PAPER, PLAIN], gates={
        "spacing_km": 5.0, "generate_km": [30.0],
    })  # fmt: skip
    document = changed(document, inputs={"thickness": ["bed-3", "bed-2"]})
    return made(document, tmp_path_factory.mktemp("ensemble"))


def test_every_member_of_an_ensemble_is_told_and_the_value_is_their_mean(ensemble: Made) -> None:
    told: dict[str, float] = {}
    for row in ensemble.rows("members"):
        if (row.quantity, row.region) == ("ice_flux", "AIS"):
            told[row.note] = row.value
    want = {
        f"member={gate}:{bed}:{mosaic}"
        for gate in ("coarse", "inland_30km")
        for bed in ("bed-3", "bed-2")
        for mosaic in ("paper", "plain")
    }
    assert {note.split(";")[0] for note in told} == want
    rows = [
        row for row in ensemble.rows("regions")
        if (row.quantity, row.region) == ("ice_flux", "AIS") and row.note.startswith("epoch=mean")
    ]  # fmt: skip
    note = dict(item.split("=") for item in rows[0].note.split(";"))
    values = list(told.values())
    assert rows[0].value == pytest.approx(np.mean(values), abs=1e-3)
    assert float(note["between"]) == pytest.approx(np.std(values, ddof=1), abs=2e-3)
    both = np.hypot(float(note["within"]), float(note["between"]))
    assert rows[0].uncertainty == pytest.approx(both, abs=2e-3)


def test_a_member_is_the_run_with_its_choices_bit_for_bit(
    ensemble: Made, single: zarr.Group
) -> None:
    choice = stored.array(ensemble.group, "case_choice")[...].tolist().index([0, 0, 1])
    for name in ("case_ice_flux", "case_flux_covariance", "case_paper_sigma", "gate_ice_flux"):
        one, other = stored.read(ensemble.group, name)[choice], stored.read(single, name)[0]
        assert one.tobytes() == other.tobytes(), name
    member = stored.array(ensemble.group, "member_choice")[:, 0].tolist().index(choice)
    one, other = (stored.read(g, "budget")[m] for g, m in ((ensemble.group, member), (single, 0)))
    assert one.tobytes() == other.tobytes()


def ais_sigma(group: zarr.Group) -> Any:
    row = labels(group, "flux_row").index("AIS")
    return np.sqrt(stored.read(group, "case_flux_covariance")[0, :, row, 0, 0])


def test_uncertainty_does_not_depend_on_the_spacing_of_nodes(
    plain: BudgetWorld, single: zarr.Group, tmp_path: Path
) -> None:
    finer = worked(
        plan_of(document_of(plain, gates={"spacing_km": 1.0}), tmp_path), before="sources"
    )
    assert stored.array(finer, "node_x").size > 2.5 * stored.array(single, "node_x").size
    np.testing.assert_allclose(ais_sigma(finer), ais_sigma(single), rtol=0.03)


def open_run(plain: BudgetWorld, folder: Path, gates: str, only: str, open_: str) -> zarr.Group:
    choices = {"spacing_km": 5.0, "only": [only], "open": open_}
    document = changed(document_of(plain, gates=choices), inputs={"gates": [gates]})
    return worked(plan_of(document, folder))


def test_an_open_gate_gives_the_flux_of_the_closed_one_however_it_is_drawn(
    plain: BudgetWorld, single: zarr.Group, tmp_path: Path
) -> None:
    basin = labels(single, "region").index(BASIN)
    closed = stored.read(single, "case_ice_flux")[0, :, basin]
    made_of = {
        (gates, open_): open_run(plain, tmp_path, gates, "across", open_)
        for gates in ("across", "turned") for open_ in ("flow", "as_drawn")
    }  # fmt: skip
    flux = {k: stored.read(g, "case_ice_flux")[0, :, basin] for k, g in made_of.items()}
    np.testing.assert_allclose(flux["across", "flow"], closed, rtol=5e-3)
    np.testing.assert_allclose(flux["turned", "flow"], flux["across", "flow"], rtol=1e-6)
    np.testing.assert_allclose(flux["turned", "as_drawn"], -flux["across", "as_drawn"], rtol=1e-6)
    discharge = stored.read(made_of["turned", "flow"], "budget")[0, 4, :, basin]
    np.testing.assert_allclose(discharge, closed, rtol=5e-3)


def test_a_gate_with_a_way_around_it_has_no_discharge(plain: BudgetWorld, tmp_path: Path) -> None:
    choices = {"spacing_km": 5.0, "only": ["half"]}
    document = changed(document_of(plain, gates=choices), inputs={"gates": ["across"]})
    run = made(document, tmp_path)
    basin = labels(run.group, "region").index(BASIN)
    assert np.isfinite(run["case_ice_flux"][0, :, basin]).all()
    assert np.isnan(run.term("discharge")).all()
    told = [row.value for row in run.rows("regions") if row.quantity == "discharge"]
    assert np.isnan(told).all()
    through = [row for row in run.rows("gates") if row.region == "gate:half"]
    assert len(through) == 1
    assert through[0].value > 0.0


def test_metres_on_the_map_are_divided_by_the_scale_once_more(
    plain: BudgetWorld, tmp_path: Path
) -> None:
    found = {}
    for frame in ("ground", "map"):
        mosaic = {"name": frame, "layers": [{"collection": f"in-{frame}"}]}
        document = changed(
            document_of(plain, mosaics=[mosaic]), inputs={"velocity": [f"in-{frame}"]}
        )
        found[frame] = worked(plan_of(document, tmp_path), before="sources")
    x, y = (stored.read(found["map"], f"node_{axis}") for axis in "xy")
    latitude, _ = geodesy.inverse_polar_stereographic(x, y)
    # The scale of a polar stereographic map with its true latitude at 71°S, on a sphere.
    scale = (1.0 + np.sin(np.radians(71.0))) / (1.0 + np.sin(np.radians(-latitude)))
    ratio = stored.read(found["ground"], "v_x") / stored.read(found["map"], "v_x")
    known = np.isfinite(ratio[0, 0])
    assert known.mean() > 0.5
    np.testing.assert_allclose(ratio[0, 0, known], scale[known], rtol=5e-4)
    flux = stored.read(found["ground"], "node_flux") / stored.read(found["map"], "node_flux")
    np.testing.assert_allclose(flux[0, known], scale[known], rtol=5e-4)


def test_a_year_without_velocity_is_missing_and_leaves_others_alone(
    plain: BudgetWorld, single: zarr.Group, tmp_path: Path
) -> None:
    source = plain.files.velocity_annual[2]
    v_x, v_y = field(source, "VX", "VY")
    fast = np.hypot(v_x, v_y) == np.hypot(v_x, v_y).max()
    blind = field_files.write(
        tmp_path / source.name.replace("2013_2014", "2012_2013"), v_x.x.values, v_x.y.values,
        {"VX": np.where(fast, v_x, 0.0), "VY": np.where(fast, v_y, 0.0)},
        units=dict.fromkeys(("VX", "VY"), "meter/year"), fill=0.0,
        title="MEaSUREs Annual Antarctic Ice Velocity Maps, synthetic",
    )  # fmt: skip
    add(plain.catalogue, "blind", "velocity", plain.files.velocity_annual[0], blind, source)
    document = document_of(plain, mosaics=[{"name": "bare", "layers": [{"collection": "blind"}]}],
                           largest_gap=0.9)  # fmt: skip
    document = changed(document, inputs={"velocity": ["blind"]})
    strict = made(document, tmp_path)

    flux = strict["case_ice_flux"][0]
    assert labels(strict.group, "year") == list(LABELS)
    assert np.isnan(flux[1]).sum() >= flux.shape[1] - 1
    seen = stored.read(single, "velocity_source")[0] == 1
    whole = np.array([
        seen[0, stored.read(single, "node_region") == r].all() for r in range(flux.shape[1])
    ])  # fmt: skip
    assert whole.any()
    np.testing.assert_allclose(
        flux[0, whole], stored.read(single, "case_ice_flux")[0, 0, whole], rtol=1e-12
    )
    told = {r.note: r.value for r in strict.rows("years")
            if (r.quantity, r.region) == ("ice_flux", "AIS")}  # fmt: skip
    said = {note: value for note, value in told.items() if note.startswith("year=2012-2013")}
    assert len(said) == 1
    assert all(np.isnan(value) and "missing=" in note for note, value in said.items())


CALENDARS = {"calendar": 0, "calendar_end": 1}


def test_snow_of_calendar_years_is_that_of_the_first_or_the_last_year(
    plain: BudgetWorld, tmp_path: Path
) -> None:
    inputs = {"gates": ["coarse"], "reanalysis": None, "elevation_rate": None}
    document = changed(plain.document(), inputs=inputs)
    group = worked(plan_of(document, tmp_path))
    days = np.datetime64("1970-01-01", "D") + stored.array(group, "month")[...].astype(int)
    year = days.astype("datetime64[Y]").astype(int) + 1970
    snow = stored.read(group, "record_smb")[0]
    for reading, later in CALENDARS.items():
        choice = {"surface_mass_balance": {"months": reading}}
        plan = plan_of(changed(document, mass_budget=choice), tmp_path)
        plan.stages[-1].job("budget", group)
        held = stored.read(group, "budget")[0, QUANTITIES.index("surface_mass_balance")]
        for t, label in enumerate(LABELS):
            months = snow[year == int(label[:4]) + later]
            # Eleven months are no year.
            want = months.sum(axis=0) if len(months) == 12 else np.full(snow.shape[1], np.nan)
            np.testing.assert_allclose(held[t, : snow.shape[1]], want, rtol=1e-12)


REFUSED: dict[str, tuple[Document, Document, str]] = {
    "no gates": ({"gates": []}, {}, "inputs.gates: no gate at all"),
    "a layer that is no input": (
        {"velocity": ["annual"]}, {}, "has a layer of 'phase', but inputs.velocity names annual",
    ),
    "a trend of one map": (
        {"velocity": ["annual", "phase"]},
        {"mosaics": [{"name": "m", "layers": [
            {"collection": "annual"}, {"collection": "phase", "use": "trend"}]}]},
        "needs two maps of different times; the collection holds 1",
    ),
    "a static layer of two maps": (
        {},
        {"mosaics": [{"name": "m", "layers": [
            {"collection": "annual"}, {"collection": "central", "use": "static"}]}]},
        "needs one map; the collection holds 2",
    ),
    "an unknown region to replace": (
        {},
        {"replacements": [{"region": "99", "value": 1, "uncertainty": 1, "source": "none"}]},
        "no region 99; the run has",
    ),
    "an unknown gate": ({}, {"gates": {"only": ["nowhere"]}}, "has no gate nowhere; it holds ring"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_computed(
    case: str, plain: BudgetWorld, tmp_path: Path
) -> None:
    inputs, choices, said = REFUSED[case]
    document = changed(document_of(plain, **choices), inputs=inputs)
    with pytest.raises(InputError, match=re.escape(said)):
        plan_of(document, tmp_path)


def test_regions_that_overlap_are_refused(plain: BudgetWorld, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which would be counted twice"):
        plan_of({**document_of(plain), "regions": "twice"}, tmp_path)


def test_a_gate_that_leaves_the_maps_gives_no_flux(plain: BudgetWorld, tmp_path: Path) -> None:
    document = changed(document_of(plain), inputs={"gates": ["far"]})
    with pytest.raises(InputError, match="far"):
        plan_of(document, tmp_path)


def reasons(kind: str, path: Path, folder: Path) -> list[str]:
    found = list(ingest(kind, [str(path)], catalogue=str(folder / "c"), collection="c"))
    assert [each.state for each in found] == ["failed"]
    return [str(each.reason) for each in found]


def test_files_in_wrong_units_or_with_fillers_never_come_into_the_catalogue(
    plain: BudgetWorld, tmp_path: Path
) -> None:
    v_x, v_y = field(plain.files.velocity_annual[0], "VX", "VY")
    slow = field_files.write(
        tmp_path / "slow.nc", v_x.x.values, v_x.y.values,
        {"vx": v_x.values / 3.15576e7, "vy": v_y.values / 3.15576e7},
        units=dict.fromkeys(("vx", "vy"), "m/yr"), fill=np.nan, title="A velocity",
        time_coverage_start="2011-07-01", time_coverage_end="2012-06-30",
    )  # fmt: skip
    assert "its unit is wrong" in reasons("velocity", slow, tmp_path)[0]


def with_a_hole(source: Path, path: Path) -> Path:
    """Copy a climate model's file without values on one side of its rotated pole."""
    shutil.copy(source, path)
    with netCDF4.Dataset(path, "a") as file:
        field_of = file["smb"]
        lost = np.asarray(file["rlon"][:]) > 5.0
        values = np.ma.filled(field_of[:], np.nan)
        values[..., lost] = np.nan
        field_of[:] = np.ma.masked_invalid(values)
    return path


def test_a_coast_without_snow_is_as_the_rest_or_missing(plain: BudgetWorld, tmp_path: Path) -> None:
    path = with_a_hole(plain.files.surface_mass_balance[0], tmp_path / "RACMO23p2_ANT27_smb.nc")
    add(plain.catalogue, "holed", "surface-mass-balance", path)
    inputs = {"gates": ["coarse"], "reanalysis": None, "elevation_rate": None,
              "surface_mass_balance": ["racmo", "holed"]}  # fmt: skip
    document = changed(plain.document(), inputs=inputs)
    group = worked(plan_of(document, tmp_path))
    whole, filled = stored.read(group, "record_smb")
    lacking = stored.read(group, "record_missing")[1]
    missing = changed(document, mass_budget={"surface_mass_balance": {"coast": "as_missing"}})
    sources = next(s for s in plan_of(missing, tmp_path).stages if s.name == "sources")
    sources.job("record/1", group)
    kept = stored.read(group, "record_smb")[1]

    assert (lacking > 0.99).any()
    assert ((lacking > 0.05) & (lacking < 0.95)).any()
    np.testing.assert_array_equal(np.isnan(filled), lacking > 1.0 - 1e-9)
    # Areas of polygons and of the cells in them differ by less than 1e-4 (geodesic and map).
    np.testing.assert_array_equal(np.isnan(kept), np.isnan(lacking) | (lacking > 1e-4))
    on = lacking < 1e-4
    np.testing.assert_allclose(filled[on], whole[on], rtol=1e-6)
    # What is left of a region stands for all of it: snow varies by less than a factor of two.
    part = (lacking > 0.05) & (lacking < 0.5)
    np.testing.assert_allclose(filled[part], whole[part], rtol=0.6)


def test_a_table_of_other_regions_is_refused_by_name(plain: BudgetWorld, tmp_path: Path) -> None:
    table = mass_balance_files.write_rignot_table(tmp_path / "rignot.nc")
    add(plain.catalogue, "rignot", "surface-mass-balance", table)
    document = changed(document_of(plain), inputs={"surface_mass_balance": ["rignot"]})
    with pytest.raises(InputError, match="take the table of the run's regions"):
        plan_of(document, tmp_path)


def test_thickness_below_zero_is_a_filler_and_refused(plain: BudgetWorld, tmp_path: Path) -> None:
    (thickness,) = field(plain.files.thickness[0], "thickness")
    path = field_files.write(
        tmp_path / "filled.nc", thickness.x.values, thickness.y.values,
        {"thickness": np.where(thickness.values == 0.0, -9999.0, thickness.values)},
        units={"thickness": "meters"}, title="A thickness", thickness_kind="ice_equivalent",
    )  # fmt: skip
    assert "-9999" in reasons("thickness", path, tmp_path)[0]


def test_years_are_made_of_months_but_not_of_longer_intervals() -> None:
    starts = [dt.date(2015, month, 1) for month in range(1, 13)]
    months = [year(a, b) for a, b in zip(starts, [*starts[1:], dt.date(2016, 1, 1)], strict=True)]
    several = [year(dt.date(2005, 1, 1), dt.date(2017, 1, 1))]

    weights = mass_budget_epochs.resolved("2015", months)

    np.testing.assert_allclose(weights, [(m.end - m.start).days / 365.0 for m in months])
    assert np.isnan(mass_budget_epochs.resolved("2015", several)).all()
    assert np.isnan(mass_budget_epochs.resolved("2016", months)).all()
    assert [span.name for span in mass_budget_epochs.years_of_months(months)] == ["2015"]
    assert mass_budget_epochs.years_of_months(several) == []
