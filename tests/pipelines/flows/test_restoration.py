"""Restorations: what was measured stays, gaps are filled, and blocks do not show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from pipelines import tables
from pipelines.flows import restoration, restoration_inputs, restoration_stages
from pipelines.flows.catalogue_inputs import InputError
from pipelines.kernels.imagery import quality_bits
from pipelines.nets import patched_restoration
from pipelines.nets.restoration_stage import RestorationError
from tests.fixtures.damaged_chunks import damaged_copy

from . import networks_world as world
from .conftest import Document, changed, labels, opened

HELD = world.stored_scenes()
STRIPED = [0, 2]
"""Places of the scenes with gaps."""

MakeRun = Callable[..., Document]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold stored scenes, and weights."""
    made = tmp_path_factory.mktemp("restoration")
    world.write_scenes(made / "scenes", HELD)
    world.add_weights(made / "catalogue", world.restorer_bytes(), "filler", made / "in")
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> MakeRun:
    def made(**changes: Any) -> Document:
        document = world.document(
            "restoration",
            folder / "catalogue",
            inputs={"scenes": str(folder / "scenes"), "restorer": "nets/filler"},
            restoration={"patch": 64, "overlap": 32, "samples": 2, "sampler_steps": 2},
        )
        return changed(document, **changes)

    return made


@pytest.fixture(scope="module")
def finished(run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of a run in blocks of the whole scene."""
    made = tmp_path_factory.mktemp("finished")
    outcome = world.executed(world.plan_of(run(), made))
    assert (outcome.done, outcome.failed, outcome.left) == (2, 0, 0), outcome.failures
    return made / "out"


@pytest.fixture(scope="module")
def summer(finished: Path) -> zarr.Group:
    group = opened(finished)["amery/2011"]
    assert isinstance(group, zarr.Group)
    return group


def test_measured_pixels_keep_the_counts_of_the_scenes_bit_for_bit(summer):
    gap = HELD.gap[STRIPED][:, None]
    was = HELD.counts[STRIPED]

    np.testing.assert_array_equal(
        np.where(gap, 0, summer["reflectance"][...]), np.where(gap, 0, was)
    )
    assert (was[0, 1, 100, 60:70] == 0).all()


def test_gaps_are_filled_with_numbers_like_those_around(summer):
    gap, now = HELD.gap[STRIPED], summer["reflectance"][...]
    filled = now[np.broadcast_to(gap[:, None], now.shape)]

    assert gap.mean() > 0.1
    assert (filled > 0).all()
    assert 0.5 < filled.mean() * world.COUNT < 0.7
    np.testing.assert_array_equal(summer["restored"][...], gap)


def test_a_spread_is_told_where_pixels_were_filled_and_there_alone(summer):
    gap, spread = HELD.gap[STRIPED], summer["spread"][...]
    nothing = (HELD.counts[STRIPED] == 0).all(axis=1) & ~gap

    assert (spread[~gap & ~nothing] == 0).all()
    assert ((spread[gap] > 0) & (spread[gap] < 65535)).all()
    assert (spread[nothing] == 65535).all()
    assert summer["spread"].attrs["_FillValue"] == summer["spread"].fill_value == 65535


def test_a_band_that_was_measured_in_the_gap_of_others_keeps_its_counts(summer):
    blue, row = 2, world.JITTERED
    gap = HELD.gap[0][row]
    was = HELD.counts[0, blue, row][gap]

    assert (was > 0).sum() > 20
    np.testing.assert_array_equal(summer["reflectance"][0, blue, row][gap], was)
    assert (summer["reflectance"][0, :blue, row][:, gap] > 0).all()
    assert (summer["restored"][0, row] == gap).all()


def test_the_share_of_missing_neighbours_is_counted_in_33_pixels(summer):
    middle = HELD.gap[0][84 - 16 : 84 + 17, 100 - 16 : 100 + 17].mean()

    assert summer["gap_fraction"][0, 84, 100] * 0.004 == pytest.approx(middle, abs=0.0021)


def test_rows_belong_to_the_scenes_with_gaps(summer):
    expected = [world.LABELS[world.PLACES[place] - 1] for place in STRIPED]
    assert labels(summer, "scene") == expected
    np.testing.assert_array_equal(summer["time"][...], [1.32e9, 1.34e9])


@pytest.mark.parametrize("side", [64, pytest.param(96, marks=pytest.mark.slow)])
def test_blocks_agree_along_their_edges_bit_for_bit(summer, run, tmp_path, monkeypatch, side):
    monkeypatch.setattr(restoration_stages, "MOST_BLOCK", side)
    plan = world.plan_of(run(restoration={"summers": [2011]}), tmp_path)
    blocks = -(-160 // side) * -(-200 // side)
    assert len(plan.stages[0].keys) == 2 * blocks
    outcome = world.executed(plan)
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures

    cut = opened(tmp_path / "out")["amery/2011"]
    for name in ("reflectance", "spread", "restored", "gap_fraction"):
        np.testing.assert_array_equal(cut[name][...], summer[name][...], err_msg=name)
    np.testing.assert_allclose(
        cut["sums"][...].sum(axis=(1, 2)), summer["sums"][...].sum(axis=(1, 2)), rtol=1e-5
    )


def test_receipts_carry_the_model_and_the_snapshot_of_the_scenes(finished, run, tmp_path):
    plan = world.plan_of(run(), tmp_path)
    job = plan.stages[0].job
    found = world.receipts(finished)

    assert set(found) == {"restore/amery/2011/0/0/0", "restore/amery/2011/1/0/0"}
    assert {receipt.model for receipt in found.values()} == {job.weights.sha256}
    assert {receipt.snapshot for receipt in found.values()} == {job.source.snapshot}
    assert all(receipt.output_sha256 for receipt in found.values())


def test_the_table_tells_how_much_was_missing_and_how_sure_what_was_filled_is(finished, summer):
    rows = tables.read_rows((finished / "tables" / "restoration.csv").read_bytes())
    first = {row.quantity: row for row in rows if "2012-01-06b" not in row.note}
    of = rows[0].note.partition("scene=")[2]
    place = world.PLACES.index(world.LABELS.index(of) + 1)
    gap = HELD.gap[place]

    assert first["gap_fraction"].value == pytest.approx(gap.mean())
    assert first["filled_fraction_of_gaps"].value == 1.0
    stated = summer["spread"][STRIPED.index(place)][gap].mean() * world.COUNT
    assert first["spread_of_filled"].value == pytest.approx(stated, rel=0.01)
    assert rows[0].period_start.isoformat() == of[:10]
    assert len(list((finished / "figures").glob("amery_2011_*.png"))) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"restoration": {"shelves": ["ross"]}}, "hold no ross; they hold amery"),
        ({"restoration": {"summers": [2003]}}, "nothing to restore"),
        ({"period": ["2015-01-01", "2016-01-01"]}, "nothing to restore"),
        ({"inputs": {"restorer": "nets/absent"}}, "absent"),
        ({"inputs": {"scenes": "/nowhere"}}, "holds no finished product"),
    ],
)
def test_runs_that_find_nothing_to_restore_are_refused(run, tmp_path, changes, told):
    with pytest.raises(InputError, match=told):
        world.plan_of(run(**changes), tmp_path)


def test_scenes_without_gaps_and_scenes_as_bytes_are_refused(run, tmp_path):
    world.write_scenes(tmp_path / "whole", world.stored_scenes(gaps=False))
    world.write_scenes(tmp_path / "bytes", HELD, encoding="paper")

    with pytest.raises(InputError, match=r"no chosen scene .* has gaps"):
        world.plan_of(run(inputs={"scenes": str(tmp_path / "whole")}), tmp_path)
    with pytest.raises(InputError, match="run scenes with encoding: reflectance"):
        world.plan_of(run(inputs={"scenes": str(tmp_path / "bytes")}), tmp_path)


def test_scenes_of_an_older_version_are_refused_by_name_of_what_they_lack(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(restoration_inputs, "READ", (*restoration_inputs.READ, "azimuth"))

    with pytest.raises(InputError, match=r"has no azimuth in amery/2011: .* run scenes again"):
        world.plan_of(run(), tmp_path)


def test_a_plan_says_what_the_weights_say_of_themselves(run, tmp_path):
    plan = world.plan_of(run(inputs={"restorer": "shipped:restorer-lossless"}), tmp_path)

    assert any("shipped:restorer-lossless: mean is used" in note for note in plan.notes)
    assert all(stage.actors.memory == stage.bytes_per_task for stage in plan.stages)


def test_patches_that_do_not_divide_blocks_are_refused_with_an_overlap_that_does(run, tmp_path):
    with pytest.raises(InputError, match=r"choose overlap: 32$"):
        world.plan_of(run(restoration={"patch": 96, "overlap": 16}), tmp_path)

    assert world.plan_of(run(restoration={"patch": 96, "overlap": 32}), tmp_path).stages


def test_an_overlap_is_named_for_chunks_that_are_no_power_of_two(run, folder, tmp_path):
    world.write_scenes(tmp_path / "scenes", HELD, chunk=50)
    where = {"inputs": {"scenes": str(tmp_path / "scenes")}}
    with pytest.raises(InputError, match=r"choose overlap: \d+$") as refused:
        world.plan_of(run(**where, restoration={"patch": 320, "overlap": 64}), tmp_path)
    overlap = int(str(refused.value).rpartition(" ")[2])

    assert world.plan_of(
        run(**where, restoration={"patch": 320, "overlap": overlap}), tmp_path
    ).stages


def test_weights_of_another_task_or_of_other_bands_are_refused(run, folder, tmp_path):
    other = world.add_weights(folder / "catalogue", world.segmenter_bytes(), "other", tmp_path)
    one = world.restorer_bytes(channels=("nir08",))
    narrow = world.add_weights(folder / "catalogue", one, "narrow", tmp_path)

    with pytest.raises(InputError, match="task is segmentation, expected restoration"):
        world.plan_of(run(inputs={"restorer": other}), tmp_path)
    with pytest.raises(InputError, match="restores nir08, expected red, green, blue"):
        world.plan_of(run(inputs={"restorer": narrow}), tmp_path)


def test_weights_that_changed_after_planning_fail_every_key(run, folder, tmp_path):
    name = world.add_weights(
        folder / "catalogue", world.restorer_bytes(seed=6), "moving", tmp_path / "in"
    )
    plan = world.plan_of(run(inputs={"restorer": name}), tmp_path)
    stored = Path(plan.stages[0].job.weights.href.removeprefix("file://"))
    stored.write_bytes(world.restorer_bytes(seed=7))
    outcome = world.executed(plan)

    assert (outcome.done, outcome.failed) == (0, 2)
    assert "run again" in outcome.failures[0][1]
    assert not (tmp_path / "out" / "item.json").exists()


def test_a_block_that_the_network_cannot_fill_fails_alone_and_the_others_are_shown(
    run, tmp_path, monkeypatch
):
    restored = patched_restoration.restored

    def spoilt(network: Any, image: Any, gap: Any, **how: Any) -> Any:
        if np.isnan(image[1, 132, 92:102]).all():
            msg = "a stage answers with NaN"
            raise RestorationError(msg)
        return restored(network, image, gap, **how)

    monkeypatch.setattr(patched_restoration, "restored", spoilt)
    outcome = world.executed(world.plan_of(run(), tmp_path))

    assert (outcome.done, outcome.failed) == (1, 1), outcome.failures
    assert "scene 0, block 0/0: a stage answers with NaN" in outcome.failures[0][1]
    rows = tables.read_rows((tmp_path / "out" / "tables" / "restoration.csv").read_bytes())
    shares = [row.value for row in rows if row.quantity == "filled_fraction_of_gaps"]
    assert shares[1] == 1.0
    assert np.isnan(shares[0])


def test_a_damaged_chunk_of_the_scenes_fails_the_blocks_that_need_it(run, folder, tmp_path):
    damaged_copy(folder / "scenes", tmp_path / "scenes", "amery/2011/reflectance/c/0/0/1/1")
    outcome = world.executed(
        world.plan_of(run(inputs={"scenes": str(tmp_path / "scenes")}), tmp_path)
    )

    assert (outcome.done, outcome.failed) == (1, 1), outcome.failures
    assert outcome.failures[0][0].startswith("restore/amery/2011/0/")
    assert "a chunk of amery/2011/reflectance in" in outcome.failures[0][1]


def test_pixels_beyond_the_swath_stay_empty(summer):
    outside = HELD.mask[0] == quality_bits.FILL

    assert outside.any()
    assert (summer["reflectance"][...][:, :, outside] == 0).all()


def test_the_memory_of_a_block_grows_with_its_margin(run, tmp_path):
    stage = world.plan_of(run(), tmp_path).stages[0]

    assert stage.bytes_per_task > restoration.NETWORK_BYTES + restoration.PIXEL_BYTES * 2048**2


@pytest.fixture(scope="module")
def guessed(folder: Path, run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of the first guess alone; of its first scene only blue in gaps was measured."""
    made = tmp_path_factory.mktemp("guessed")
    held = world.stored_scenes()
    outside = ~held.gap[0]
    held.counts[0][:, outside] = 0
    held.mask[0][outside] = quality_bits.FILL
    world.write_scenes(made / "scenes", held)
    data = world.restorer_bytes(chain=(), sampler="")
    name = world.add_weights(folder / "catalogue", data, "guess", made / "in")
    wanted = {"scenes": str(made / "scenes"), "restorer": name}
    outcome = world.executed(world.plan_of(run(inputs=wanted), made))
    assert (outcome.done, outcome.failed) == (2, 0), outcome.failures
    return made / "out"


def test_a_spread_that_no_stage_can_say_is_stored_as_not_known(guessed):
    made = opened(guessed)["amery/2011"]
    gap = HELD.gap[2]

    assert (made["restored"][1][gap] == 1).all()
    assert (made["spread"][1][gap] == 65535).all()
    rows = tables.read_rows((guessed / "tables" / "restoration.csv").read_bytes())
    told = {row.quantity: row.value for row in rows if "2012-01-06b" in row.note}
    assert told["filled_fraction_of_gaps"] == 1.0
    assert np.isnan(told["spread_of_filled"])


def test_where_nothing_is_known_nothing_is_called_restored_and_measured_bands_stay(guessed):
    made = opened(guessed)["amery/2011"]
    gap = HELD.gap[0]

    assert not made["restored"][0].any()
    np.testing.assert_array_equal(made["reflectance"][0][:, gap], HELD.counts[0][:, gap])
