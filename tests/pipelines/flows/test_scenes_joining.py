"""Blocks of a scene: weights are made only where two granules have pixels, and change nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.flows import scenes_joining, scenes_reading
from pipelines.flows.scenes_reading import Depths, Look
from pipelines.kernels.imagery import mosaics
from pipelines.kernels.imagery.quality_bits import CLEAR, CLOUD, FILL, GAP

SIDE, FACTOR, PIXEL_M = 48, 8, 30.0


def looks_of(edges: list[tuple[int, int]], seed: int) -> list[Look]:
    """Return granules that hold some rows each, with gaps and clouds at random."""
    rng = np.random.default_rng(seed)
    made = []
    for first, last in edges:
        mask = rng.choice(np.array([CLEAR, CLOUD], np.uint16), (SIDE, SIDE))
        mask[rng.random((SIDE, SIDE)) < 0.1] = FILL | GAP
        mask[:first], mask[last:] = FILL, FILL
        counts = rng.integers(1, 60_000, (3, SIDE, SIDE)).astype(np.uint16)
        counts[:, (mask & FILL) != 0] = 0
        made.append(Look(counts, mask))
    return made


def depths_of(looks: list[Look]) -> Depths:
    """Return how deep coarse cells lie in each granule."""
    held = np.stack([each.mask != FILL for each in looks])[:, ::FACTOR, ::FACTOR]
    return Depths(mosaics.edge_distance(held, spacing=PIXEL_M * FACTOR), FACTOR)


@pytest.mark.parametrize("feather_m", [0.0, 300.0])
@settings(max_examples=25, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 40), st.integers(8, SIDE)), min_size=2, max_size=3),
    corner=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    seed=st.integers(0, 99),
)
def test_a_block_is_what_weights_everywhere_would_make_of_it(
    feather_m: float, edges: list[tuple[int, int]], corner: tuple[int, int], seed: int
) -> None:
    looks = looks_of(edges, seed)
    deep = depths_of(looks)
    rows, columns = (slice(12 * n, min(12 * n + 24, SIDE)) for n in corner)
    parts = [Look(each.counts[:, rows, columns], each.mask[rows, columns]) for each in looks]
    everywhere = scenes_reading.joined(parts, deep.on(rows, columns), feather_m=feather_m)
    found = scenes_joining.on_block(
        parts, deep, range(len(parts)), (rows, columns), feather_m=feather_m
    )
    np.testing.assert_array_equal(found.counts, everywhere.counts)
    np.testing.assert_array_equal(found.mask, everywhere.mask)


def test_weights_are_made_only_where_granules_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_of([(0, 26), (24, 48)], seed=1)
    asked = []
    joined = scenes_reading.joined

    def counted(looks: list[Look], distance: np.ndarray, *, feather_m: float) -> Look:
        asked.append(distance.shape)
        return joined(looks, distance, feather_m=feather_m)

    monkeypatch.setattr(scenes_reading, "joined", counted)
    block = (slice(0, SIDE), slice(0, SIDE))
    scenes_joining.on_block(looks, depths_of(looks), (0, 1), block, feather_m=60.0)
    assert asked == [(2, 2, SIDE)]


def test_a_granule_alone_keeps_its_pixels() -> None:
    (look,) = looks_of([(0, SIDE)], seed=1)
    block = (slice(0, SIDE), slice(0, SIDE))
    assert scenes_joining.on_block([look], None, (0,), block, feather_m=300.0) is look
