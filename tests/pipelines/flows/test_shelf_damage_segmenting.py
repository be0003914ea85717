"""What scenes say of each pixel: blocks do not show, and distances, flags and shares are right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy.spatial import cKDTree

from pipelines.flows import shelf_damage_segmenting
from pipelines.flows.shelf_damage_arrays import shares
from pipelines.flows.shelf_damage_segmenting import SceneWindow, flags_of, ice_share
from pipelines.kernels.imagery import quality_bits
from pipelines.settings_shelf_damage import ExtentChoices, ShelfDamageChoices
from tests.fixtures import shelf_catalogue

from . import networks_world as world
from . import shelf_damage_world as shelf_world
from .conftest import opened
from .shelf_damage_world import Bay

PATH = "cedar/2010"
ONE_SCENE = 0
SCENE_ARRAYS = ("scene_probability", "scene_spread", "scene_flags", "scene_cloud", "scene_ice")
COUNT = 2.5e-5
REACH = 50
"""Pixels of 30 m in 1500 m."""


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return shelf_world.bay(tmp_path_factory.mktemp("bay"), striped=("cedar",))


@pytest.fixture(scope="module")
def scenes(bay: Bay) -> zarr.Group:
    """Return the stored scenes."""
    from pipelines.flows import finished_products

    found = finished_products.find(str(bay.record.output), role="scenes", product="scenes")
    return found.source.open()[PATH]


def keys_of(plan: Any, scene: int = ONE_SCENE) -> list[str]:
    return [key for key in plan.stages[0].keys if key.startswith(f"segment/{PATH}/{scene}/")]


@pytest.fixture(scope="module")
def whole(bay: Bay, tmp_path_factory: pytest.TempPathFactory) -> zarr.Group:
    """Return a summer of which each scene was one block."""
    plan = bay.plan(tmp_path_factory.mktemp("whole"))
    assert len(keys_of(plan)) == 1
    return shelf_world.segmented(plan, [*keys_of(plan, 0), *keys_of(plan, 1)])[PATH]


def cut(bay: Bay, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> zarr.Group:
    """Return the first scene in nine blocks."""
    monkeypatch.setattr(shelf_damage_segmenting, "MOST_BLOCK", 64)
    plan = bay.plan(folder, **changes)
    assert len(keys_of(plan)) == 9
    return shelf_world.segmented(plan, keys_of(plan))[PATH]


def test_blocks_agree_with_the_whole_scene_to_the_last_bit(bay, whole, tmp_path, monkeypatch):
    made = cut(bay, tmp_path, monkeypatch)

    assert (whole["scene_cloud"][ONE_SCENE] < REACH).any()
    assert np.nanstd(shares(whole["scene_probability"][ONE_SCENE])) > 0.1
    for name in SCENE_ARRAYS:
        np.testing.assert_array_equal(made[name][ONE_SCENE], whole[name][ONE_SCENE], err_msg=name)
    np.testing.assert_allclose(
        made["scene_sums"][ONE_SCENE].sum(axis=(0, 1)),
        whole["scene_sums"][ONE_SCENE].sum(axis=(0, 1)), rtol=1e-6,
    )  # fmt: skip


def test_distances_from_cloud_do_not_end_where_tiles_do(bay, whole, tmp_path, monkeypatch):
    tiles = {"tiles": {"tile": 64, "overlap": 0}}
    made = cut(bay, tmp_path, monkeypatch, shelf_damage=tiles)

    np.testing.assert_array_equal(made["scene_cloud"][ONE_SCENE], whole["scene_cloud"][ONE_SCENE])


@pytest.mark.slow
def test_a_network_that_evens_out_light_sees_as_far_in_blocks(bay, tmp_path, monkeypatch):
    data = shelf_world.segmenter(local_contrast=6)
    name = world.add_weights(Path(bay.known.address), data, "even", tmp_path / "in")
    wanted = {"inputs": {"segmenter": name}}
    plan = bay.plan(tmp_path / "whole", **wanted)
    expected = shelf_world.segmented(plan, keys_of(plan))[PATH]
    made = cut(bay, tmp_path / "cut", monkeypatch, **wanted)

    found, one = (shares(each["scene_probability"][ONE_SCENE]) for each in (made, expected))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(one))
    assert np.nanstd(one) > 0.1
    np.testing.assert_array_equal(found, one)


def test_what_was_not_measured_is_unknown_and_all_else_is_known(whole, scenes):
    measured = (scenes["reflectance"][...] > 0).all(axis=1)

    assert 0.02 < (~measured).mean() < 0.5
    np.testing.assert_array_equal(whole["scene_probability"][...] != 255, measured)
    assert (whole["scene_flags"][...][~measured] == 0).all()


def test_distances_from_cloud_are_those_to_the_nearest_cloudy_pixel(whole, scenes):
    bits = quality_bits.CLOUD | quality_bits.SHADOW | quality_bits.OPINION
    seen = 0
    for row in range(2):
        measured = (scenes["reflectance"][row] > 0).all(axis=0)
        hidden = ((scenes["mask"][row] & np.uint16(bits)) != 0) & measured
        seen += hidden.any()
        places = np.argwhere(np.ones_like(hidden))
        far, _ = cKDTree(np.argwhere(hidden)).query(places)
        expected = np.where(far > REACH, 255, np.rint(far)).reshape(hidden.shape)
        np.testing.assert_array_equal(whole["scene_cloud"][row], expected)
    assert seen == 2


def test_flags_tell_ice_and_clear_views_pixel_by_pixel(whole, scenes):
    bits = quality_bits.CLOUD | quality_bits.SHADOW | quality_bits.OPINION
    for row in range(2):
        held = scenes["reflectance"][row].astype(np.float64) * COUNT
        measured = (held > 0).all(axis=0)
        flags = whole["scene_flags"][row]
        mean = held.mean(axis=0)
        sure = measured & (np.abs(mean - 0.4) > 1e-4)
        np.testing.assert_array_equal(((flags & 1) != 0)[sure], (mean >= 0.4)[sure])
        clear = (scenes["mask"][row] & np.uint16(bits)) == 0
        np.testing.assert_array_equal((flags & 8) != 0, clear & measured)
        assert (flags & 4 == 0).all()


def test_the_share_of_ice_is_of_what_is_clear_of_each_cell_and_unknown_where_that_is_little():
    rng = np.random.default_rng(4)
    flags = rng.choice(np.array([0, 1, 8, 9], np.uint8), (44, 36), p=[0.3, 0.2, 0.2, 0.3])
    flags[:8, :8] = 1
    found = ice_share(flags)

    assert found.shape == (6, 5)
    for (row, column), value in np.ndenumerate(found):
        cell = flags[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        clear = (cell & 8) != 0
        if clear.mean() < 0.5:
            assert np.isnan(value)
        else:
            assert value == pytest.approx((cell[clear] & 1).mean(), abs=1e-6)
    assert np.isnan(found[0, 0])


def window(image: np.ndarray, **told: Any) -> SceneWindow:
    none = np.zeros(image.shape[1:], bool)
    made: dict[str, Any] = {"hidden": none, "restored": none, "spread": none * np.float32(0),
                            "gap_fraction": none * np.float32(0)}  # fmt: skip
    return SceneWindow(image.astype(np.float32), **made | told)


def test_water_is_what_is_blue_and_a_limit_of_1_finds_none():
    # red, green, blue: a pond, slush, snow, shadow in snow; (b − r) / (b + r) = 0.5, 0.13, …
    colours = np.array([[0.2, 0.4, 0.6], [0.48, 0.55, 0.62], [0.8, 0.8, 0.8], [0.3, 0.32, 0.35]])
    seen = window(colours.T[:, None, :])
    known = np.ones((1, 4), bool)

    found = flags_of(seen, known, ShelfDamageChoices())
    assert ((found & 2) != 0).tolist() == [[True, False, False, False]]
    slush = flags_of(seen, known, ShelfDamageChoices(melt_water_index=0.12))
    assert ((slush & 2) != 0).tolist() == [[True, True, False, False]]
    none = flags_of(seen, known, ShelfDamageChoices(melt_water_index=1.0))
    assert not (none & 2).any()


def test_pictures_of_one_band_have_ice_and_no_water():
    choices = ShelfDamageChoices(extent=ExtentChoices(ice_reflectance=0.5))
    found = flags_of(window(np.array([[[0.6, 0.4]]])), np.ones((1, 2), bool), choices)

    assert found.tolist() == [[1 | 8, 8]]


def test_a_scene_without_clouds_is_far_from_any():
    assert (shelf_damage_segmenting.cloud_distance(np.zeros((3, 4), bool), reach=9) == 255).all()


@pytest.fixture(scope="module")
def restored(bay: Bay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill the gaps with a tiny restorer that draws samples."""
    folder = tmp_path_factory.mktemp("restored")
    name = world.add_weights(
        Path(bay.known.address), world.restorer_bytes(), "filler", folder / "in"
    )
    outcome = shelf_catalogue.restore(
        folder / "out", bay.record, catalogue=bay.known.address, restorer=name, patch=96,
        overlap=32, samples=2, sampler_steps=1, summers=[2010],
    )  # fmt: skip
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return folder / "out"


@pytest.mark.slow
def test_restored_scenes_have_no_gaps_and_a_spread_where_they_were_filled_alone(
    bay, restored, whole, tmp_path
):
    inputs = {"inputs": {"restoration": str(restored)}}
    plan = bay.plan(tmp_path, **inputs)
    made = shelf_world.segmented(plan, keys_of(plan))[PATH]
    filled = opened(restored)[PATH]["restored"][ONE_SCENE] > 0
    flags, spread = made["scene_flags"][ONE_SCENE], made["scene_spread"][ONE_SCENE]

    assert any("2 are used with their gaps" in note for note in plan.notes)
    assert filled.mean() > 0.02
    np.testing.assert_array_equal((flags & 4) != 0, filled)
    assert (spread[~filled] == 0).all()
    assert spread[filled].max() > 5
    told = made["scene_sums"][ONE_SCENE, 0, 0]
    assert told[0] == filled.sum()
    fraction = opened(restored)[PATH]["gap_fraction"][ONE_SCENE][filled] * 0.004
    assert told[1] == pytest.approx(fraction.sum(), rel=1e-4)
    known = made["scene_probability"][ONE_SCENE] != 255
    assert known[filled].all()
    assert (whole["scene_probability"][ONE_SCENE][filled] == 255).all()


def test_the_spread_of_what_was_filled_is_half_of_what_a_deviation_changes(bay, tmp_path):
    plan = bay.plan(tmp_path)
    job = plan.stages[0].job.opened("cpu")
    rng = np.random.default_rng(3)
    image = rng.uniform(0.5, 0.9, (3, 96, 96)).astype(np.float32)
    filled = np.zeros((96, 96), bool)
    filled[40:60] = True
    sigma = np.where(filled, np.float32(0.2), np.float32(0.0))
    seen = window(image, restored=filled, spread=sigma)
    found, spread = job._probability(seen, {"label": "x"}, 0)
    ends = [job._calibrated(image + sign * sigma, {"label": "x"}, 0) for sign in (1, -1)]

    assert spread[filled].max() > 0.01
    np.testing.assert_array_equal(spread[~filled], 0.0)
    np.testing.assert_allclose(spread[filled], np.abs(ends[0] - ends[1])[filled] / 2.0)
    still = bay.plan(tmp_path / "b", shelf_damage={"restoration_spread": False})
    assert not still.stages[0].job.opened("cpu")._probability(seen, {"label": "x"}, 0)[1].any()
    assert np.isfinite(found).all()


def spoilt(bay: Bay, folder: Path) -> Bay:
    """Return a copy of the scenes of which a chunk of the first scene of 2010 is no zstd frame."""
    import dataclasses
    import json

    from cluster.zarr_sink import Repository

    output = folder / "scenes"
    output.mkdir()
    repository = Repository.open(str(output / "product.icechunk"))
    version = repository.begin("spoilt")

    def template(group: zarr.Group) -> None:
        import asyncio

        source = bay_group(bay)
        copy(source, group)
        from zarr.core.buffer import default_buffer_prototype

        bad = default_buffer_prototype().buffer.from_bytes(b"not a frame")
        asyncio.run(group.store.set(f"{PATH}/reflectance/c/0/0/0/0", bad))

    version.initialise(template)
    snapshot = repository.read(version.publish()).session.snapshot_id
    item = json.loads((bay.record.output / "item.json").read_text())
    item["properties"]["nunatak:snapshot"] = snapshot
    (output / "item.json").write_text(json.dumps(item))
    return dataclasses.replace(bay, record=dataclasses.replace(bay.record, output=output))


def bay_group(bay: Bay) -> zarr.Group:
    from pipelines.flows import finished_products

    return finished_products.find(
        str(bay.record.output), role="scenes", product="scenes"
    ).source.open()


def copy(source: zarr.Group, target: zarr.Group) -> None:
    """Copy groups and arrays with their attributes."""
    target.attrs.update(dict(source.attrs))
    for name, array in source.arrays():
        made = target.create_array(
            name, shape=array.shape, chunks=array.chunks, dtype=array.dtype,
            fill_value=array.fill_value, dimension_names=array.metadata.dimension_names,
            attributes=dict(array.attrs),
        )  # fmt: skip
        made[...] = array[...]
    for name, group in source.groups():
        copy(group, target.require_group(name))


def test_a_scene_that_cannot_be_read_fails_alone_and_the_map_is_of_the_others(bay, tmp_path):
    broken = spoilt(bay, tmp_path)
    chosen = {"shelf_damage": {"summers": [2010]}}
    outcome = world.executed(broken.plan(tmp_path / "run", **chosen))

    assert (outcome.failed, outcome.left) == (1, 0), outcome.failures
    key, reason = outcome.failures[0]
    assert key.startswith(f"segment/{PATH}/0/0/0")
    assert "it cannot be read" in reason
    made = opened(tmp_path / "run" / "out")[PATH]
    assert made["published"][0] == 1
    assert set(np.unique(made["supplier"][...])) == {0, 2}
    assert (made["scene_probability"][0] == 255).all()
