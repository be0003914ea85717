"""A summer's map takes from each scene what it knows, and does not know their order."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.kernels.damage import merging
from pipelines.kernels.damage.merging import Merger, SceneTraits, Weighting

SHAPE = (3, 4)
UNIT = st.floats(0.0, 1.0, width=32)


@st.composite
def summers(draw, *, least=1, most=5):
    """Scenes of a block: probabilities with holes, views, distances from cloud, traits."""
    n = draw(st.integers(least, most))
    p = draw(arrays.arrays(np.float32, (n, *SHAPE), elements=UNIT))
    known = draw(arrays.arrays(bool, (n, *SHAPE)))
    view = draw(arrays.arrays(np.float64, (n, *SHAPE), elements=st.floats(0.0, 1.0)))
    near = st.sampled_from([0.0, 300.0, 2000.0, math.inf])
    distance = draw(arrays.arrays(np.float64, (n, *SHAPE), elements=near))
    days = st.sampled_from([-40.0, -5.0, 5.0, 40.0])  # few, so that scenes are alike at times
    sun = st.sampled_from([8.0, 20.0, 30.0, math.nan])
    traits = [SceneTraits(k + 1, draw(days), draw(sun)) for k in range(n)]
    return np.where(known, p, np.float32(np.nan)), view, distance, traits


def slow_merge(p, view, distance, traits, weighting):
    """Equation by equation, pixel by pixel: the weighted mean, its spread, the heaviest."""
    mean, spread, supplier = (np.full(SHAPE, np.nan) for _ in range(3))
    for at in np.ndindex(SHAPE):
        w, value, number = [], [], []
        for k, scene in enumerate(traits):
            if not math.isnan(p[k][at]):
                sun = (scene.sun_elevation - 5.0) / 20.0
                sun = 0.5 if math.isnan(sun) else max(0.0, min(1.0, sun))
                a = math.exp(-abs(scene.days) / weighting.time_scale)
                a *= weighting.sun_floor + (1 - weighting.sun_floor) * sun
                a *= weighting.view_floor + (1 - weighting.view_floor) * view[k][at]
                near = min(1.0, distance[k][at] / weighting.cloud_distance)
                a *= weighting.cloud_floor + (1 - weighting.cloud_floor) * near
                w.append(a)
                value.append(float(p[k][at]))
                number.append(scene.number)
        if w:
            mean[at] = np.average(value, weights=w)
            spread[at] = math.sqrt(np.average((np.array(value) - mean[at]) ** 2, weights=w))
            heavy = np.array(w) >= max(w) * (1 - 1e-3)
            supplier[at] = number[int(np.argmax(w))] if heavy.sum() == 1 else np.nan
    return mean, spread, supplier


@settings(max_examples=40)
@given(summers())
def test_the_mean_is_that_of_the_equation(summer):
    weighting = Weighting()

    made = merging.merge(*summer[:3], traits=summer[3])

    mean, spread, supplier = slow_merge(*summer, weighting)
    # weights are rounded to 2⁻²⁰ of at most 1; the least here is 1/4 · 1/50 · 1/2 · e^(−4/3)
    np.testing.assert_allclose(made.probability, mean, atol=2e-3)
    np.testing.assert_allclose(made.spread, spread, atol=2e-3)
    sure = ~np.isnan(supplier)
    np.testing.assert_array_equal(made.supplier[sure], supplier[sure])


@settings(max_examples=40)
@given(summers(most=1), st.sampled_from(["best", "weighted"]))
def test_one_scene_is_returned_as_it_is(summer, mode):
    made = merging.merge(*summer[:3], traits=summer[3], mode=mode)

    known = ~np.isnan(summer[0][0])
    np.testing.assert_array_equal(made.probability, summer[0][0])
    np.testing.assert_array_equal(made.supplier, known)
    np.testing.assert_array_equal(made.spread[known], 0.0)


@settings(max_examples=40)
@given(summers(), st.sampled_from(["best", "weighted"]))
def test_a_scene_that_knows_nothing_changes_no_bit(summer, mode):
    p, view, distance, traits = summer
    nothing = np.full((1, *SHAPE), np.nan, np.float32)
    more = np.concatenate([nothing, p])
    # where it knows nothing, its view and its distance may be nothing too
    seen, far = (np.concatenate([nothing, own]) for own in (view, distance))
    blind = SceneTraits(len(traits) + 1, 0.0, 40.0)

    made = merging.merge(p, view, distance, traits=traits, mode=mode)
    with_it = merging.merge(more, seen, far, traits=[blind, *traits], mode=mode)

    for name in ("probability", "supplier", "scenes", "spread"):
        np.testing.assert_array_equal(getattr(with_it, name), getattr(made, name))


@settings(max_examples=40)
@given(summers(least=2), st.randoms(use_true_random=False), st.sampled_from(["best", "weighted"]))
def test_the_order_of_scenes_changes_no_bit(summer, random, mode):
    p, view, distance, traits = summer
    order = list(range(len(traits)))
    random.shuffle(order)

    made = merging.merge(p, view, distance, traits=traits, mode=mode)
    mixed = merging.merge(
        p[order], view[order], distance[order], traits=[traits[k] for k in order], mode=mode
    )

    for name in ("probability", "scenes", "spread"):
        np.testing.assert_array_equal(getattr(mixed, name), getattr(made, name))
    traits_of = {0: None} | {scene.number: (scene.days, scene.sun_elevation) for scene in traits}
    for one, other in zip(mixed.supplier.flat, made.supplier.flat, strict=True):
        assert str(traits_of[int(one)]) == str(traits_of[int(other)])


@settings(max_examples=40)
@given(summers())
def test_the_mean_lies_between_the_scenes(summer):
    p = summer[0]
    anywhere = ~np.isnan(p).all(axis=0)

    made = merging.merge(*summer[:3], traits=summer[3]).probability

    np.testing.assert_array_equal(~np.isnan(made), anywhere)
    assert (made[anywhere] >= np.nanmin(p[:, anywhere], axis=0)).all()
    assert (made[anywhere] <= np.nanmax(p[:, anywhere], axis=0)).all()


@settings(max_examples=40)
@given(summers())
def test_the_best_scene_supplies_its_own_value(summer):
    p, _, _, traits = summer

    made = merging.merge(*summer[:3], traits=traits, mode="best")

    padded = np.concatenate([np.full((1, *SHAPE), np.nan, np.float32), p])
    supplied = np.take_along_axis(padded, made.supplier[None].astype(int), axis=0)[0]
    np.testing.assert_array_equal(made.probability, supplied)
    np.testing.assert_array_equal(made.scenes, (~np.isnan(p)).sum(axis=0))


@settings(max_examples=40)
@given(summers(), st.integers(1, 3), st.integers(1, 2))
def test_blocks_make_the_same_map_as_the_whole(summer, column, row):
    p, view, distance, traits = summer
    whole = merging.merge(p, view, distance, traits=traits)

    for rows in (slice(0, row), slice(row, None)):
        for columns in (slice(0, column), slice(column, None)):
            here = (slice(None), rows, columns)
            part = merging.merge(p[here], view[here], distance[here], traits=traits)
            np.testing.assert_array_equal(part.probability, whole.probability[rows, columns])
            np.testing.assert_array_equal(part.supplier, whole.supplier[rows, columns])


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"view": 1.0}, {"view": 0.0}),
        ({"days": 3.0}, {"days": -60.0}),
        ({"sun": 30.0}, {"sun": 6.0}),
        ({"distance": 5000.0}, {"distance": 30.0}),
    ],
)
def test_each_trait_of_a_scene_counts(better, worse):
    usual = {"view": 1.0, "days": 3.0, "sun": 20.0, "distance": 5000.0}
    scenes = [usual | worse, usual | better]
    p = np.array([0.9, 0.1], np.float32)[:, None, None]
    view, distance = (np.array([s[k] for s in scenes])[:, None, None] for k in ("view", "distance"))
    traits = [SceneTraits(k + 1, s["days"], s["sun"]) for k, s in enumerate(scenes)]

    made = merging.merge(p, view, distance, traits=traits, mode="best")
    mean = merging.merge(p, view, distance, traits=traits, mode="weighted")

    assert made.supplier.item() == 2
    assert made.probability.item() == np.float32(0.1)
    assert 0.1 < mean.probability.item() < 0.5


def test_a_pixel_that_only_a_clouded_scene_saw_is_that_scenes():
    p = np.array([[[0.7]], [[np.nan]]], np.float32)
    traits = [SceneTraits(1, 70.0, 5.0), SceneTraits(2, 0.0, 30.0)]

    made = merging.merge(p, np.array([[[0.0]], [[1.0]]]), np.zeros((2, 1, 1)), traits=traits)

    assert made.probability.item() == np.float32(0.7)
    assert made.supplier.item() == 1


def test_without_a_floor_a_clouded_pixel_is_not_known():
    p = np.full((1, 1, 1), 0.7, np.float32)

    made = merging.merge(
        p, np.zeros((1, 1, 1)), np.ones((1, 1, 1)), traits=[SceneTraits(1, 0.0)],
        weighting=Weighting(view_floor=0.0),
    )  # fmt: skip

    assert math.isnan(made.probability.item())
    assert made.supplier.item() == made.scenes.item() == 0


def test_a_merger_does_not_grow_with_its_scenes():
    merger = Merger((16, 16))
    rng = np.random.default_rng(5)

    def held():
        return sum(v.nbytes for v in vars(merger).values() if isinstance(v, np.ndarray))

    before = held()
    for number in range(1, 40):
        p = rng.random((16, 16), np.float32)
        merger.add(p, np.ones((16, 16)), np.ones((16, 16)), traits=SceneTraits(number, number))

    assert held() == before <= 60 * 16 * 16


def test_the_middle_of_a_summer_lies_between_its_ends():
    middle = merging.summer_middle(2019)  # the February of 2020 has 29 days

    assert middle - np.datetime64("2019-11-01", "h") == np.datetime64("2020-04-01", "h") - middle


GOOD = np.zeros((1, 1), np.float32)


@pytest.mark.parametrize(
    ("p", "view", "distance", "traits", "message"),
    [
        (GOOD + 2, GOOD, GOOD, SceneTraits(1, 0.0), "found 2 among probabilities"),
        (GOOD, GOOD - 1, GOOD, SceneTraits(1, 0.0), "found -1 among clear views"),
        (GOOD, GOOD * np.nan, GOOD, SceneTraits(1, 0.0), "found nan among clear views"),
        (GOOD, GOOD, GOOD - 1, SceneTraits(1, 0.0), "among distances from cloud"),
        (GOOD.astype(float), GOOD, GOOD, SceneTraits(1, 0.0), "float64, expected float32"),
        (GOOD, np.zeros((1, 2)), GOOD, SceneTraits(1, 0.0), "cut them to the block"),
        (GOOD, GOOD, GOOD, SceneTraits(0, 0.0), "number the chosen scenes"),
        (GOOD, GOOD, GOOD, SceneTraits(7, 0.0), "scene of number 7 beside"),
        (GOOD, GOOD, GOOD, SceneTraits(2, math.inf), "expected a finite number"),
    ],
)
def test_scenes_that_do_not_fit_are_refused(p, view, distance, traits, message):
    merger = Merger((1, 1))
    merger.add(GOOD, GOOD, GOOD, traits=SceneTraits(7, 0.0))

    with pytest.raises(merging.MergeError, match=message):
        merger.add(p, view, distance, traits=traits)


def test_other_mistakes_are_refused():
    with pytest.raises(merging.MergeError, match="expected one of best, weighted"):
        Merger((1, 1)).merged("median")
    with pytest.raises(merging.MergeError, match="time scale of 0 d"):
        Weighting(time_scale=0.0)
    with pytest.raises(merging.MergeError, match="each from 0 to 1"):
        Weighting(sun_floor=1.5)
    with pytest.raises(merging.MergeError, match="expected as many of each"):
        merging.merge(GOOD[None], GOOD[None], GOOD[None], traits=[])
