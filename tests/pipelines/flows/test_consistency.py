"""Consistency: carried maps agree, ice at rest is left alone, and what changed is accounted for."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from cluster.ledger import KeyFailed
from pipelines import execution, tables
from pipelines.flows import consistency_results, consistency_stages
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.consistency_arrays import MEASURES
from pipelines.kernels.damage import moving_changes
from pipelines.settings import SettingsError
from tests.fixtures.damaged_chunks import damaged_copy

from . import consistency_world as world
from .conftest import Document, changed, opened
from .consistency_world import Held
from .killed_runs import committed, kill_after, run_quietly
from .networks_world import executed, plan_of, receipts
from .test_gravimetry import assert_equal_bit_for_bit

TURN = 0.1
"""Angle by which the shelf turns in a year [rad]: 400 m at its rim, 0 in its middle."""
DAYS = {2003: "2003-12-10", 2004: "2005-02-08", 2005: "2005-12-20"}
"""The summers' scenes: 14 months lie between the first two."""

MakeRun = Callable[..., Document]


def turned_map(summer: int, **more: Any) -> Held:
    """Return the map of a summer of the turning shelf."""
    angle = TURN * world.years_between(DAYS[2003], DAYS[summer])
    return Held(world.damage_map(world.rotation(*world.pixels(), -angle), **more), (DAYS[summer],))


def turning_velocity(scale: float = 1.0) -> tuple[Any, Any]:
    x, y = np.meshgrid(*world.velocity_axes())
    return -scale * TURN * (y - world.MIDDLE[1]), scale * TURN * (x - world.MIDDLE[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold the velocities, and damage maps of two shelves: one turns, the other rests."""
    made = tmp_path_factory.mktemp("consistency")
    catalogue = made / "catalogue"
    paths = {
        "turning": world.write_velocity(made / "turning", world.STATIC, *turning_velocity()),
        "resting": world.write_velocity(made / "resting", world.STATIC, 0.0, 0.0),
    }
    for name, path in paths.items():
        world.add_velocity(catalogue, name, [path])
    turning = {summer: turned_map(summer) for summer in DAYS}
    world.write_damage(made / "damage", {"wheel": turning})
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> MakeRun:
    def made(damage: str = "damage", velocity: str = "turning", **changes: Any) -> Document:
        document = world.document(folder / "catalogue", folder / damage, [velocity])
        return changed(document, **changes)

    return made


@pytest.fixture(scope="module")
def finished(run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("finished")
    outcome = executed(plan_of(run(), made))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return made / "out"


@pytest.fixture(autouse=True)
def unpictured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no pictures but those of the finished run, which is there before."""
    monkeypatch.setattr(consistency_results, "pictures", lambda *_: {})


def told(output: Path, name: str = "consistency") -> list[tables.Row]:
    return tables.read_rows((output / "tables" / f"{name}.csv").read_bytes())


def value(rows: list[tables.Row], quantity: str, *notes: str, region: str = "wheel") -> float:
    (found,) = [
        row for row in rows
        if row.quantity == quantity and row.region == region
        and set(notes) <= set(row.note.split(";"))
    ]  # fmt: skip
    return found.value


@pytest.mark.parametrize("pair", ["2003-2004", "2004-2005"])
def test_maps_of_a_shelf_that_turns_agree_once_it_is_turned_back(finished, pair):
    rows = told(finished)
    with_flow = value(rows, "concordance", "advection=yes", f"pair={pair}")
    without = value(rows, "concordance", "advection=no", f"pair={pair}")

    assert with_flow >= 0.9
    assert with_flow >= without + 0.1
    assert value(rows, "spearman", "advection=yes", f"pair={pair}") > 0.85
    better, worse = (
        value(rows, "rmse", f"advection={way}", f"pair={pair}") for way in ("yes", "no")
    )
    assert better < 0.5 * worse


def test_medians_are_told_for_each_shelf_and_for_all(finished):
    rows = told(finished)
    pairs = [
        value(rows, "concordance", "advection=yes", f"pair={p}") for p in ("2003-2004", "2004-2005")
    ]
    for region in ("wheel", "all"):
        middle = value(rows, "concordance", "advection=yes", "median=pairs", region=region)
        assert middle == pytest.approx(np.median(pairs), rel=1e-12)


def test_rows_tell_days_and_an_uncertainty_from_leaving_out_blocks(finished):
    row = next(
        row for row in told(finished)
        if row.quantity == "concordance" and "advection=yes;pair=2003-2004" in row.note
    )  # fmt: skip
    notes = dict(each.split("=") for each in row.note.split(";"))

    assert (str(row.period_start), str(row.period_end)) == (DAYS[2003], DAYS[2004])
    assert row.region_set == "drawn"
    assert 0.0 < row.uncertainty < 0.1
    half = (float(notes["upper"]) - float(notes["lower"])) / 2
    assert row.uncertainty == pytest.approx(half, rel=1e-4)
    assert int(notes["cells"]) > 300
    header = next(csv.reader(io.StringIO((finished / "tables/consistency.csv").read_text())))
    assert tuple(header) == tables.COLUMNS


def test_ice_was_where_the_closed_form_says(finished):
    pair = opened(finished)["wheel/2003-2004"]
    x, y = np.meshgrid(pair["x_node"][...], pair["y_node"][...])
    angle = TURN * world.years_between(DAYS[2003], DAYS[2004])
    expected = world.rotation(x, y, -angle)

    for axis, there in zip(("x", "y"), expected, strict=True):
        # Bilinear interpolation of a velocity that is linear in space is exact; rk4 errs by mm.
        np.testing.assert_allclose(pair[f"departure_{axis}"][...], there, atol=0.05)


def test_densities_are_shares_of_known_pixels(finished):
    held = world.damage_map(world.rotation(*world.pixels(), 0.0))[140:150, 160:170]
    density = opened(finished)["wheel/density"][0]

    assert (held != 255).all()
    assert density.shape == (29, 33)
    assert density[14, 16] == np.float32((held == 1).mean())
    assert np.isnan(density[0, 0])


def test_changes_close_with_both_maps_and_nearly_all_damage_is_carried(finished):
    rows = told(finished, "changes")
    km2 = {q: value(rows, f"damage_{q}", "pair=2003-2004")
           for q in ("gained", "lost", "carried", "left", "entered")}  # fmt: skip
    later = turned_map(2004).damage
    area = 900e-6 * (later == 1).sum()

    assert km2["carried"] > 0.95 * area
    assert km2["gained"] + km2["lost"] < 0.01 * area
    # The true area of a pixel at 77° S is 3 % more than on the map.
    assert km2["gained"] + km2["carried"] + km2["entered"] == pytest.approx(1.03 * area, rel=0.02)


def test_the_map_of_changes_is_that_of_whole_arrays(finished):
    """Blocks, halos and source windows do not show: the oracle traces every pixel at once."""
    angle = TURN * world.years_between(DAYS[2003], DAYS[2004])
    x, y = world.rotation(*world.pixels(), -angle)
    columns = np.floor((x - world.GRID.west) / 30.0).astype(int)
    rows = np.floor((world.GRID.north - y) / 30.0).astype(int)
    inside = (rows >= 0) & (rows < 290) & (columns >= 0) & (columns < 330)
    earlier = np.full(rows.shape, 255, np.uint8)
    earlier[inside] = turned_map(2003).damage[rows[inside], columns[inside]]
    expected = moving_changes.changes(earlier, turned_map(2004).damage, tolerance=1.5)

    found = opened(finished)["wheel/2003-2004/change"][...]
    # Places within a millimetre of a pixel's edge may round to either side.
    assert (found != expected).mean() < 1e-4


def test_a_shelf_at_rest_has_equal_numbers_both_ways_and_loses_nothing(run, folder, tmp_path):
    still = {s: Held(world.damage_map(), (day,)) for s, day in DAYS.items()}
    world.write_damage(tmp_path / "damage", {"still": still})
    outcome = executed(plan_of(run(str(tmp_path / "damage"), "resting"), tmp_path))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures

    measure = opened(tmp_path / "out")["still/2003-2004/measure"][...]
    np.testing.assert_array_equal(measure[0], measure[1])
    rows = told(tmp_path / "out", "changes")
    for name in ("gained", "lost", "left", "entered"):
        assert value(rows, f"damage_{name}", "pair=2003-2004", region="still") == 0.0


def test_ice_that_crosses_the_border_of_the_extent_does_not_count_against_the_correction(
    run, tmp_path
):
    """Dotson's effect: cells into which ice flows from outside drop out of the carried map alone.

    They agree best here, so on each way's own cells the correction seems to make it worse. On the
    cells that both ways know it changes next to nothing, as it should where the rest stands still.
    """
    pair = {summer: dotson_map(summer) for summer in (2003, 2004)}
    world.write_damage(tmp_path / "damage", {"dotson": pair})
    fast = world.velocity_axes()[1] > world.GRID.north - 80 * 30.0
    v_y = np.where(fast, -3000.0, 0.0)[:, None]
    velocity = world.write_velocity(tmp_path / "v", world.STATIC, 0.0, v_y)
    world.add_velocity(tmp_path / "catalogue", "border", [velocity])
    document = run(str(tmp_path / "damage"), "border", catalogue=str(tmp_path / "catalogue"))
    outcome = executed(plan_of(changed(document, consistency={"changes": False}), tmp_path))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures

    measure = opened(tmp_path / "out")["dotson/2003-2004/measure"][...]
    with_flow, without = (dict(zip(MEASURES, row, strict=True)) for row in measure)
    for name in ("concordance", "spearman"):
        assert with_flow[f"{name}_own"] < without[f"{name}_own"] - 0.1
        assert with_flow[name] > without[name] - 0.01
    assert with_flow["cells"] == without["cells"] < without["cells_own"] - 100


def dotson_map(summer: int) -> Held:
    """Return a shelf with lasting damage along its northern border, elsewhere new every year."""
    x, y = world.pixels()
    made = np.full(x.shape, 255, np.uint8)
    made[20:270, 50:280] = world.damaged(x, y, seed=summer)[20:270, 50:280]
    made[20:110, 50:280] = 1
    return Held(made, (f"{summer}-12-20",))


def test_pixels_that_are_carried_and_counted_afterwards_agree_better_than_smoothed_densities(
    run, finished, tmp_path
):
    document = run(consistency={"carry": "pixels", "changes": False, "summers": [2003, 2004]})
    outcome = executed(plan_of(document, tmp_path))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures

    both = [told(output) for output in (finished, tmp_path / "out")]
    for quantity in ("spearman", "concordance"):
        smooth, sharp = (value(rows, quantity, "advection=yes", "pair=2003-2004") for rows in both)
        assert sharp > max(smooth, 0.97)
    as_was = [value(rows, "concordance", "advection=no", "pair=2003-2004") for rows in both]
    assert as_was[0] == pytest.approx(as_was[1], abs=0.02)


def test_the_mean_time_of_a_map_is_that_of_its_pixels(run, tmp_path):
    supplier = np.ones((290, 330), np.uint8)
    supplier[:, 165:] = 2
    both = Held(world.damage_map(), ("2003-12-01", "2004-01-30"), supplier)
    world.write_damage(tmp_path / "damage", {"still": {2003: both, 2004: turned_map(2004)}})
    executed(plan_of(run(str(tmp_path / "damage"), "resting"), tmp_path))

    known = both.damage != 255
    share = (known & (supplier == 2)).sum() / known.sum()
    first, second = (world.seconds(day) for day in both.days)
    time = opened(tmp_path / "out")["still/time"][0]
    assert time == pytest.approx(first + share * (second - first), abs=1.0)


def test_velocities_of_years_serve_their_own_time(run, tmp_path):
    """A shelf that doubles its turn from year to year: its own years carry it, their mean fails."""
    x, y = world.pixels()
    per_year = {2003: 1.0, 2004: 3.0, 2005: 5.0}
    catalogue = tmp_path / "catalogue"
    paths = [world.write_velocity(tmp_path / "v", world.annual(year), *turning_velocity(scale))
             for year, scale in per_year.items()]  # fmt: skip
    world.add_velocity(catalogue, "years", paths)
    lasting = world.write_velocity(tmp_path / "w", world.STATIC, *turning_velocity(1.0))
    world.add_velocity(catalogue, "lasting", [lasting])
    days = {2003: "2003-12-01", 2004: "2004-12-01"}
    # Linear in time: the angle is the turn of the middle of the interval.
    middle = 2003.9167 + 0.5
    angle = TURN * (1.0 + 2.0 * (middle - 2003.5)) * world.years_between(*days.values())
    maps = {
        2003: Held(world.damage_map(), (days[2003],)),
        2004: Held(world.damage_map(world.rotation(x, y, -angle)), (days[2004],)),
    }
    world.write_damage(tmp_path / "damage", {"wheel": maps})
    found = {}
    for name in ("years", "lasting"):
        velocity = [name, "lasting"] if name == "years" else [name]
        document = world.document(catalogue, tmp_path / "damage", velocity, changes=False)
        outcome = executed(plan_of(document, tmp_path / name))
        assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
        rows = told(tmp_path / name / "out")
        found[name] = value(rows, "concordance", "advection=yes", "pair=2003-2004")

    assert found["years"] > 0.9
    assert found["years"] > found["lasting"] + 0.1
    assert not (tmp_path / "years" / "out" / "tables" / "changes.csv").exists()


def test_summers_that_are_not_published_are_passed_over(run, tmp_path):
    hidden = Held(world.damage_map(), (DAYS[2004],), published=False)
    maps = {2003: turned_map(2003), 2004: hidden, 2005: turned_map(2005)}
    world.write_damage(tmp_path / "damage", {"wheel": maps})
    plan = plan_of(run(str(tmp_path / "damage")), tmp_path)

    assert plan.stages[0].keys == ("density/wheel/2003", "density/wheel/2005")
    assert plan.stages[1].keys == ("pair/wheel/2003/2005",)


def test_pairs_are_neighbours_or_all_and_no_longer_than_asked_for(run, tmp_path):
    def pairs(**choices: Any) -> tuple[str, ...]:
        return plan_of(run(consistency=choices), tmp_path).stages[1].keys

    assert pairs() == ("pair/wheel/2003/2004", "pair/wheel/2004/2005")
    assert pairs(pairs="all")[1] == "pair/wheel/2003/2005"
    assert pairs(pairs="all", longest_gap=1) == pairs()
    assert pairs(summers=[2003, 2005]) == ("pair/wheel/2003/2005",)


def test_a_pair_with_few_cells_in_common_is_done_with_a_note_and_rows_without_a_number(
    run, tmp_path
):
    apart = {
        2003: Held(world.damage_map(extent=world.disc(1500.0, east=-3000.0)), (DAYS[2003],)),
        2004: Held(world.damage_map(extent=world.disc(1500.0, east=3000.0)), (DAYS[2004],)),
    }
    world.write_damage(tmp_path / "damage", {"apart": apart})
    outcome = executed(plan_of(run(str(tmp_path / "damage"), "resting"), tmp_path))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures

    receipt = receipts(tmp_path / "out")["pair/apart/2003/2004"]
    assert receipt.state == "done"
    assert receipt.note == "0 cells in common, fewer than 50"
    rows = told(tmp_path / "out")
    pair = [row for row in rows if "pair=2003-2004" in row.note]
    assert len(pair) == 6
    assert all(np.isnan(row.value) and "reason=few_cells" in row.note for row in pair)
    assert any("median=pairs;pairs=1;undefined=1" in row.note for row in rows)


def test_pictures_are_drawn(finished):
    names = {path.name for path in (finished / "figures").glob("*.png")}

    assert "wheel_consistency.png" in names
    assert any(name.endswith("_densities.png") for name in names)
    assert any(name.endswith("_changes.png") for name in names)


def test_all_pairs_are_compared_and_the_closest_are_drawn(run, tmp_path):
    plan = plan_of(run(consistency={"pairs": "all", "changes": False}), tmp_path)
    executed(plan)
    group, (shelf,) = opened(tmp_path / "out"), plan.stages[1].job.shelves

    assert consistency_results.series(group, shelf).startswith(b"\x89PNG")
    rows = told(tmp_path / "out")
    assert value(rows, "concordance", "advection=yes", "pair=2003-2005") > 0.9
    assert value(rows, "concordance", "advection=no", "pair=2003-2005") < 0.5


def test_a_map_that_fails_costs_its_pairs_and_the_others_are_told(run, tmp_path, monkeypatch):
    def spoilt(made: zarr.Group, supplied: Any, otherwise: float) -> float:
        if made.path.endswith("2005"):
            return float("nan")
        return otherwise

    monkeypatch.setattr(consistency_stages, "mean_time", spoilt)
    outcome = executed(plan_of(run(), tmp_path))

    assert outcome.failed >= 2
    reasons = {key.partition("@")[0]: why for key, why in outcome.failures}
    assert "densities of wheel/2005 were not made" in reasons["pair/wheel/2004/2005"]
    rows = told(tmp_path / "out")
    assert value(rows, "concordance", "advection=yes", "pair=2003-2004") > 0.9
    lost = [row for row in rows if "pair=2004-2005" in row.note]
    assert all(np.isnan(row.value) and "reason=not_done" in row.note for row in lost)


@pytest.fixture
def harmed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Write the maps in chunks that are files of their own, and cut one of a summer short."""

    def made(summer: int) -> Path:
        monkeypatch.setattr(world, "CHUNK", 160)
        world.write_damage(tmp_path / "whole", {"wheel": {s: turned_map(s) for s in DAYS}})
        chunk = f"wheel/{summer}/damage/c/0/1"
        return damaged_copy(tmp_path / "whole", tmp_path / "damage", chunk)

    return made


def test_a_map_with_a_damaged_chunk_costs_its_pairs_and_the_others_are_done(run, harmed, tmp_path):
    outcome = executed(plan_of(run(inputs={"damage": [str(harmed(2005))]}), tmp_path))

    reasons = {key.partition("@")[0]: why for key, why in outcome.failures}
    assert "a chunk of wheel/2005/damage in" in reasons["density/wheel/2005"]
    assert "densities of wheel/2005 were not made" in reasons["pair/wheel/2004/2005"]
    assert all("2005" in key for key in reasons)
    assert value(told(tmp_path / "out"), "concordance", "advection=yes", "pair=2003-2004") > 0.9


@pytest.mark.parametrize("summer", [2003, 2004])
def test_a_block_of_changes_that_needs_a_damaged_chunk_fails(
    run, finished, harmed, tmp_path, summer
):
    plan = plan_of(run(inputs={"damage": [str(harmed(summer))]}), tmp_path)
    (job,) = [stage.job for stage in plan.stages if stage.name == "change"]
    group = zarr.open_group(MemoryStore(), mode="w")
    for name, array in opened(finished)["wheel/2003-2004"].arrays():
        group.create_array(f"wheel/2003-2004/{name}", data=array[...], chunks=array.chunks)

    with pytest.raises(KeyFailed, match=f"a chunk of wheel/{summer}/damage in .* is damaged"):
        job("change/wheel/2003/2004/0/0", group)


def test_a_run_that_is_interrupted_goes_on_to_the_same_arrays(run, finished, tmp_path, monkeypatch):
    plan = plan_of(run(consistency={"batch": 1}), tmp_path)
    work = consistency_stages.ChangeJob.__call__
    done = []

    def interrupted(self: Any, key: str, group: zarr.Group) -> Any:
        done.append(key)
        if len(done) == 2:
            raise KeyboardInterrupt
        return work(self, key, group)

    monkeypatch.setattr(consistency_stages.ChangeJob, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        executed(plan)
    assert not (tmp_path / "out" / "item.json").exists()
    monkeypatch.setattr(consistency_stages.ChangeJob, "__call__", work)
    outcome = executed(plan)
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures

    once, twice = opened(finished), opened(tmp_path / "out")
    for name, array in once.members(max_depth=None):
        if isinstance(array, zarr.Array):
            np.testing.assert_array_equal(twice[name][...], array[...], err_msg=name)
    for table in ("consistency.csv", "changes.csv"):
        both = [(out / "tables" / table).read_bytes() for out in (finished, tmp_path / "out")]
        assert both[0] == both[1]


@pytest.mark.slow
@pytest.mark.long
def test_a_run_killed_in_every_stage_ends_with_the_arrays_of_a_quiet_one(run, finished, tmp_path):
    path = tmp_path / "run.yaml"
    plan = plan_of(run(consistency={"batch": 1}), tmp_path)
    keys = sum(len(stage.keys) for stage in plan.stages)
    killed = [kill_after(part, path, plan) for part in (1, 4)]
    done = run_quietly(path)

    assert killed[-1] < keys
    assert done.returncode == 0, done.stderr
    assert committed(plan) == keys
    assert_equal_bit_for_bit(tmp_path / "out", finished)


@pytest.mark.slow
def test_blocks_of_changes_do_not_show(run, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(consistency_stages, "MOST_BLOCK", 128)
    plan = plan_of(run(), tmp_path)
    assert len(plan.stages[2].keys) == 2 * 3 * 3
    executed(plan)

    for pair in ("2003-2004", "2004-2005"):
        one, cut = (opened(out)[f"wheel/{pair}"] for out in (finished, tmp_path / "out"))
        np.testing.assert_array_equal(cut["change"][...], one["change"][...])
        np.testing.assert_allclose(
            np.nansum(cut["areas"][...], axis=(0, 1)), np.nansum(one["areas"][...], axis=(0, 1))
        )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inputs": {"velocity": ["absent"]}}, "has no collection 'absent'"),
        ({"inputs": {"damage": ["/nowhere"]}}, "holds no finished product"),
        ({"consistency": {"shelves": ["ross"]}}, "hold no ross; they hold wheel"),
        ({"consistency": {"summers": [2004]}}, "no shelf has two published summers"),
        ({"period": ["2010-01-01", "2011-01-01"]}, "no shelf has two published summers"),
        ({"consistency": {"cell_m": 310}}, "expected a multiple"),
        ({"consistency": {"cell_m": 30}}, "twice as wide"),
        ({"consistency": {"cell_m": 90_000}}, "no wider than a cell"),
    ],
)
def test_runs_with_nothing_to_compare_are_refused(run, tmp_path, changes, told):
    with pytest.raises(InputError, match=told):
        plan_of(run(**changes), tmp_path)


@pytest.mark.parametrize("role", ["velocity", "damage"])
def test_a_run_without_velocity_or_damage_is_refused(run, tmp_path, role):
    with pytest.raises(SettingsError, match=rf"inputs.{role}: found \[\], expected"):
        plan_of(run(inputs={role: []}), tmp_path)


def test_another_product_a_velocity_named_twice_and_other_grids_are_refused(run, folder, tmp_path):
    world.write_damage(tmp_path / "scenes", {"wheel": {}}, product="scenes")
    with pytest.raises(InputError, match="holds 'scenes', expected 'shelf_damage'"):
        plan_of(run(str(tmp_path / "scenes")), tmp_path)
    with pytest.raises(InputError, match="named twice"):
        plan_of(run(inputs={"velocity": ["turning", "turning"]}), tmp_path)
    with pytest.raises(InputError, match="two products hold wheel/2003"):
        plan_of(run(inputs={"damage": [str(folder / "damage")] * 2}), tmp_path)
    moved = world.PixelGrid("shelf", "EPSG:3031", 1_200_045.0, 600_015.0, 30.0, nx=330, ny=290)
    maps = {2003: turned_map(2003), 2004: Held(turned_map(2004).damage, (DAYS[2004],), grid=moved)}
    world.write_damage(tmp_path / "moved", {"wheel": maps})
    with pytest.raises(InputError, match="make all summers of a shelf in one run"):
        plan_of(run(str(tmp_path / "moved")), tmp_path)


def test_a_velocity_that_does_not_say_its_metres_is_refused_until_the_run_says(run, tmp_path):
    path = world.write_velocity(tmp_path / "v", "antarctica_ice_velocity_450m_v2", 400.0, 0.0)
    catalogue = tmp_path / "catalogue"
    world.add_velocity(catalogue, "unsaid", [path])
    where = {"catalogue": str(catalogue)}

    with pytest.raises(InputError, match=r"set consistency\.unknown_frame to ground or map"):
        plan_of(run(velocity="unsaid", **where), tmp_path)
    plan = plan_of(run(velocity="unsaid", consistency={"unknown_frame": "map"}, **where), tmp_path)
    assert [flow.frame for flow in plan.stages[1].job.flows] == ["map"]


def test_a_velocity_elsewhere_fails_the_pair_and_says_so(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(world, "MIDDLE", (-1_000_000.0, 0.0))
    path = world.write_velocity(tmp_path / "v", world.STATIC, 400.0, 0.0)
    monkeypatch.undo()
    world.add_velocity(tmp_path / "catalogue", "elsewhere", [path])
    where = {"catalogue": str(tmp_path / "catalogue")}
    outcome = executed(plan_of(run(velocity="elsewhere", **where), tmp_path))

    assert "no map of inputs.velocity reaches" in outcome.failures[0][1]


def test_the_plan_tells_pairs_velocities_and_memory(run, tmp_path):
    plan = plan_of(run(), tmp_path)

    assert [stage.name for stage in plan.stages] == ["density", "pair", "change"]
    assert "2 pairs of 3 maps of 1 shelves" in plan.notes[0]
    assert len(plan_of(run(consistency={"changes": False}), tmp_path).stages) == 2
    assert execution.projections(plan.stages)
