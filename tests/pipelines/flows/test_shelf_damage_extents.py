"""Where shelves end: fronts before imagery before outlines, and what people decide instead."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import zarr
from scipy import ndimage

from pipelines.flows import shelf_damage_extents, shelf_damage_segmenting
from pipelines.flows.shelf_damage_arrays import CELL, EXTENT_QUANTITIES, counts
from pipelines.flows.shelf_damage_extents import ExtentJob, Shape, source_of
from pipelines.flows.shelf_damage_judging import JudgeJob
from pipelines.flows.shelf_damage_segmenting import SceneWindow, flags_of, ice_share
from pipelines.settings_shelf_damage import (
    DamageOverride,
    ExtentChoices,
    PartChoice,
    ShelfDamageChoices,
)
from tests.fixtures import shelf_catalogue, shelf_scenes

from . import networks_world as networks
from . import shelf_damage_world as world
from .conftest import opened

NY, NX = 240, 320
"""Pixels of the bay: 30 × 40 cells, grounded in the west, sea in the east."""
GROUNDED = world.box(-9, NY + 9, 32, -9)
ROWS, COLUMNS = slice(4, 26), slice(4, 24)
"""Cells of the shelf."""
CHOICES = ExtentChoices(neck_m=240.0)


def cells(columns: slice = COLUMNS, rows: slice = ROWS) -> np.ndarray:
    made = np.zeros((NY // CELL, NX // CELL), bool)
    made[rows, columns] = True
    return made


def share(shelf: np.ndarray, *, clouds: np.ndarray | None = None) -> np.ndarray:
    """Return the share of ice in cells as clear scenes see it; NaN under clouds."""
    made = np.where(shelf, 1.0, 0.1)
    made[:, :4] = 1.0
    return made if clouds is None else np.where(clouds, np.nan, made)


def bay(*seen: np.ndarray, parts: tuple[str, ...] = ()) -> zarr.Group:
    """Return summers from 2010 on of which one scene saw ice in cells."""
    summers = [world.summer(2010 + n, ny=NY, nx=NX, scenes=2) for n in range(len(seen))]
    group = world.product(*summers, parts=parts)
    for n, ice in enumerate(seen):
        made = group[f"bay/{2010 + n}"]
        made["scene_ice"][...] = counts(np.stack([ice, np.full_like(ice, np.nan)]))
    return group


def found(
    group: zarr.Group,
    *,
    shapes: dict[str, Shape] | None = None,
    grounded: shapely.Geometry | None = GROUNDED,
    **choices: Any,
) -> Any:
    """Find the extents of the bay and return the receipt."""
    wanted = {"extent": CHOICES, **choices}
    job = ExtentJob(
        shapes or {}, b"" if grounded is None else shapely.to_wkb(grounded), None,
        ShelfDamageChoices(**wanted),
    )  # fmt: skip
    return job("extent/bay+0a1b2c3d", group)


def outline(east: int = 150) -> bytes:
    return shapely.to_wkb(world.box(32, 208, east, 32))


def drawn(east: int) -> np.ndarray:
    """Return the cells whose centres lie in :func:`outline`."""
    return cells(slice(4, round(east / CELL)))


def test_a_front_of_the_summer_wins_over_imagery_and_outline():
    group = bay(share(cells()), share(cells()))
    shapes = {"bay/2010": Shape(outline(120), outline(160)), "bay/2011": Shape(b"", outline(160))}
    found(group, shapes=shapes)

    assert source_of(group["bay/2010"]) == "front product"
    np.testing.assert_array_equal(group["bay/2010/cells"][...], drawn(120))
    assert source_of(group["bay/2011"]) == "imagery"


def test_imagery_tells_the_extent_where_ground_is_known():
    group = bay(share(cells()))
    found(group)

    assert source_of(group["bay/2010"]) == "imagery"
    np.testing.assert_array_equal(group["bay/2010/cells"][...], cells())


def test_a_shelf_that_calved_has_lost_its_cells_and_bergs_and_pack_ice_are_not_its():
    after = cells(slice(4, 17))
    seen = share(after)
    seen[8:14, 20:26] = 1.0
    seen[:, 17:19] = 0.7
    group = bay(share(cells()), seen, share(after))
    found(group)
    record = dict(zip(EXTENT_QUANTITIES, group["bay/2011/extent_record"][...], strict=True))

    np.testing.assert_array_equal(group["bay/2010/cells"][...], cells())
    np.testing.assert_array_equal(group["bay/2011/cells"][...], after)
    np.testing.assert_array_equal(group["bay/2012/cells"][...], after)
    assert record["lost"] == (cells() & ~after).sum()
    assert record["detached"] == 6 * 6


def test_clouds_leave_last_years_extent_and_say_so():
    clouds = cells(slice(10, 24))
    group = bay(share(cells(slice(4, 20))), share(cells(), clouds=clouds))
    receipt = found(group)

    assert source_of(group["bay/2011"]) == "last year"
    np.testing.assert_array_equal(group["bay/2011/cells"][...], group["bay/2010/cells"][...])
    assert receipt.note == ""


def test_few_clouds_leave_their_cells_as_they_were():
    clouds = cells(slice(14, 17), slice(10, 14))
    group = bay(share(cells()), share(cells(), clouds=clouds))
    found(group)

    assert source_of(group["bay/2011"]) == "imagery"
    np.testing.assert_array_equal(group["bay/2011/cells"][...], cells())


def test_an_outline_stands_in_where_no_ground_is_known():
    group = bay(share(cells()))
    found(group, grounded=None, shapes={"bay/2010": Shape(b"", outline(160))})

    assert source_of(group["bay/2010"]) == "outline"
    np.testing.assert_array_equal(group["bay/2010/cells"][...], drawn(160))


def test_all_that_is_seen_is_the_extent_where_nothing_is_known():
    clouds = cells(slice(0, 9), slice(0, 9))
    group = bay(share(cells(), clouds=clouds))
    found(group, grounded=None)

    assert source_of(group["bay/2010"]) == "all that is seen"
    np.testing.assert_array_equal(group["bay/2010/cells"][...], ~clouds)


def test_a_summer_without_an_extent_says_why_and_the_others_go_on():
    clouds = np.ones((NY // CELL, NX // CELL), bool)
    group = bay(share(cells(), clouds=clouds), share(cells()))
    receipt = found(group)

    assert "2010: found 100.0 % of the floating region without imagery" in receipt.note
    assert source_of(group["bay/2010"]) == "none"
    assert not group["bay/2010/cells"][...].any()
    np.testing.assert_array_equal(group["bay/2011/cells"][...], cells())
    group["bay/2010/block_sums"][...] = 0.0
    told = JudgeJob(ShelfDamageChoices(least_covered=0.0))("judge/bay/2010", group)
    assert told.note.startswith("not published: no extent was found")
    assert group["bay/2010/published"][0] == 0


def test_a_source_that_is_asked_for_and_not_there_is_none():
    group = bay(share(cells()))
    receipt = found(group, extent=ExtentChoices(source="fronts"))

    assert source_of(group["bay/2010"]) == "none"
    assert "found no fronts for bay/2010" in receipt.note


def test_the_share_of_ice_is_the_median_of_scenes_and_dropped_ones_do_not_count():
    group = bay(share(cells()))
    made = group["bay/2010"]
    made["scene_ice"][...] = counts(np.stack([np.full((30, 40), 0.2), np.full((30, 40), 0.6)]))

    both, _ = shelf_damage_extents.cells_seen(made, frozenset())
    one, known = shelf_damage_extents.cells_seen(made, frozenset({world.scene(1, 2010).label}))
    nothing = frozenset(world.scene(n, 2010).label for n in (1, 2))
    assert both.flat[0] == pytest.approx(0.4)
    assert one.flat[0] == pytest.approx(0.6)
    assert known.all()
    assert not shelf_damage_extents.cells_seen(made, nothing)[1].any()


FRONT = PartChoice("Bay", "front", within_km=1.0)


def test_a_part_near_the_front_is_what_lies_within_its_distance_of_water():
    group = bay(share(cells()), parts=("front",))
    found(group, parts=(FRONT, PartChoice("Other", "front", within_km=9.0)))
    body = cells()
    water = ~body & ~cells(slice(0, 4), slice(0, 30))
    front = body & ndimage.binary_dilation(water)
    places = np.argwhere(front)
    expected = np.array(
        [
            [body[r, c] and np.hypot(*(places - (r, c)).T).min() * 240.0 <= 1000.0
             for c in range(40)]
            for r in range(30)
        ]
    )  # fmt: skip

    np.testing.assert_array_equal(group["bay/part_front"][...], expected)
    assert 0 < expected.sum() < body.sum()


def test_a_shelf_without_water_beside_it_has_an_empty_part_and_says_so():
    group = bay(np.ones((NY // CELL, NX // CELL)), parts=("front",))
    receipt = found(group, parts=(FRONT,))

    assert not group["bay/part_front"][...].any()
    assert "front: found no front of" in receipt.note


@pytest.mark.slow
def test_the_calving_of_cedar_is_seen_in_imagery(tmp_path, monkeypatch):
    """From a front of the year before: an open rift cuts what imagery alone shows of it."""
    size = 512
    monkeypatch.setitem(shelf_scenes.CORNERS, size, {"cedar": (7, 0)})
    record = shelf_scenes.write_scenes(
        tmp_path / "scenes", ("cedar",), summers=(2010, 2011, 2012), size=size, striped=()
    )
    ground = shelf_catalogue.grounded(record.shelves[0])
    assert ground is not None
    summers = [
        dataclasses.replace(world.summer(year), grid=record.shelves[0].grid)
        for year in record.summers
    ]
    group = world.product(*summers)
    stored = opened_scenes(record.output)
    for year in record.summers:
        made = stored[f"cedar/{year}"]
        for n in range(2):
            ice = seen_ice(made, n)
            group[f"bay/{year}/scene_ice"][n] = counts(ice)
    front = record.shelves[0].extent(record.truth["cedar", 2010].day)
    shapes = {"bay/2010": Shape(shapely.to_wkb(front), b"")}
    found(group, shapes=shapes, grounded=ground, extent=ExtentChoices())

    extent = [group[f"bay/{year}/cells"][...] > 0 for year in record.summers]
    truth = [
        record.truth["cedar", year].afloat.reshape(64, 8, 64, 8).mean(axis=(1, 3)) > 0.5
        for year in record.summers
    ]
    assert truth[0].sum() - truth[1].sum() > 300
    for mine, true in zip(extent, truth, strict=True):
        assert (mine & true).sum() / (mine | true).sum() > 0.9
    sources = [source_of(group[f"bay/{year}"]) for year in record.summers]
    assert sources == ["front product", "imagery", "imagery"]


def opened_scenes(output: Path) -> zarr.Group:
    from pipelines.flows import finished_products

    return finished_products.find(str(output), role="scenes", product="scenes").source.open()


def seen_ice(made: zarr.Group, scene: int) -> np.ndarray:
    image = made["reflectance"][scene].astype(np.float32) * np.float32(2.5e-5)
    known = (image > 0).all(axis=0)
    hidden = (made["mask"][scene] & np.uint16(shelf_damage_segmenting.HIDDEN)) != 0
    none = np.zeros_like(hidden)
    seen = SceneWindow(image, hidden, none, none * np.float32(0), none * np.float32(0))
    return ice_share(flags_of(seen, known, ShelfDamageChoices()))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> world.Bay:
    folder = tmp_path_factory.mktemp("two")
    return world.bay(folder, ("birch", "cedar"), summers=(2010,), striped=())


def labels_of(two: world.Bay) -> list[str]:
    made = opened_scenes(two.record.output)["cedar/2010"]
    return str(made["candidate"].attrs["flag_meanings"]).split()


def override(two: world.Bay, **told: Any) -> dict[str, Any]:
    made = {"shelf": "Cedar", "summer": 2010, "reason": "haze", **told}
    return {"shelf_damage": {"overrides": [made]}}


def test_a_decision_stands_in_the_name_of_its_shelfs_key_alone(two, tmp_path):
    def keys(**changes: Any) -> tuple[str, ...]:
        stages = {stage.name: stage for stage in two.plan(tmp_path, **changes).stages}
        return stages["extent"].keys

    plain = keys()
    drop, publish = (keys(**override(two, **told)) for told in (
        {"drop": [labels_of(two)[0]]}, {"publish": False},
    ))  # fmt: skip

    assert plain == ("extent/birch", "extent/cedar")
    assert {each[0] for each in (drop, publish)} == {"extent/birch"}
    assert all(each[1].startswith("extent/cedar+") for each in (drop, publish))
    assert len({plain[1], drop[1], publish[1]}) == 3
    again = keys(**override(two, drop=[labels_of(two)[0]], reason="other words"))
    assert again == drop
    plan, other = two.plan(tmp_path), two.plan(tmp_path, **override(two, publish=False))
    assert plan.run_id == other.run_id
    assert shelf_damage_extents.shelf_of(drop[1]) == "cedar"


def run_of(two: world.Bay, folder: Path, **changes: Any) -> tuple[list[str], zarr.Group]:
    """Carry a run out and return which keys were worked on, and the arrays."""
    worked: list[str] = []
    with networks.here():
        outcome = two.plan(folder, **changes).execute(on_receipt=lambda r: worked.append(r.key))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return [key.partition("@")[0] for key in worked], opened(folder / "out")


@pytest.mark.slow
def test_what_a_person_decides_is_done_again_for_that_shelf_and_undone_to_the_last_bit(
    two, tmp_path
):
    first, group = run_of(two, tmp_path)
    assert sum(key.startswith("segment/") for key in first) == 4
    before = {name: group[f"cedar/2010/{name}"][...] for name in ("supplier", "probability")}
    untouched = group["birch/2010/supplier"][...]
    told = override(two, drop=[labels_of(two)[0]])

    second, group = run_of(two, tmp_path, **told)
    assert sorted({key.split("/")[0] for key in second}) == ["extent", "judge", "merge"]
    assert {shelf_damage_extents.shelf_of(key) for key in second} == {"cedar"}
    assert set(np.unique(before["supplier"])) >= {1, 2}
    assert set(np.unique(group["cedar/2010/supplier"][...])) == {0, 2}
    np.testing.assert_array_equal(group["birch/2010/supplier"][...], untouched)

    third, group = run_of(two, tmp_path)
    assert {shelf_damage_extents.shelf_of(key) for key in third} == {"cedar"}
    assert any(key.startswith("merge/") for key in third)
    for name, values in before.items():
        np.testing.assert_array_equal(group[f"cedar/2010/{name}"][...], values, err_msg=name)
    assert run_of(two, tmp_path)[0] == []


@pytest.mark.slow
def test_a_decision_not_to_publish_leaves_the_map_and_is_told(two, tmp_path):
    _, group = run_of(two, tmp_path, **override(two, publish=False))

    assert [group[f"{shelf}/2010/published"][0] for shelf in ("birch", "cedar")] == [1, 0]
    table = (tmp_path / "out" / "tables" / "unpublished.csv").read_text()
    assert "a person decided so: haze" in table
    shelves = (tmp_path / "out" / "tables" / "shelves.csv").read_text()
    assert "Cedar" not in shelves
    assert "Birch" in shelves


def test_decisions_of_what_is_not_in_the_run_are_refused(two, tmp_path):
    from pipelines.flows.catalogue_inputs import InputError

    with pytest.raises(InputError, match=r"overrides\[0\]: Cedar 2011 is not in this run"):
        two.plan(tmp_path, **override(two, summer=2011, publish=True))
    with pytest.raises(InputError, match=r"cedar/2010 has no scene 1999-01-01; it has 20"):
        two.plan(tmp_path, **override(two, drop=["1999-01-01"]))


def test_the_same_decision_of_two_summers_is_told_apart():
    decisions = [DamageOverride("Bay", year, "x", publish=True) for year in (2010, 2011)]

    assert shelf_damage_extents.of_summer(tuple(decisions), "bay/2011") == (decisions[1],)
