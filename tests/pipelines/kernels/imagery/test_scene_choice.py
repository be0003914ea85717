"""The choice of scenes: all subsets and HiGHS as oracles, the paper's rules by name."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage, optimize

from pipelines.kernels.imagery.scene_choice import SceneChoiceError, choose, explain


def cost(clear, weight, day, quality, chosen, *, least_gain=0.02, days_per_scene=30.0) -> float:
    """Return J as the equation says it, one cell and one scene at a time."""
    unseen = sum(
        weight[cell]
        for cell in range(clear.shape[1])
        if not any(clear[scene, cell] for scene in chosen)
    )
    days = [day[scene] for scene in chosen]
    spread = max(days) - min(days) if days else 0.0
    poor = sum(1.0 - quality[scene] for scene in chosen)
    return unseen / sum(weight) + least_gain * (len(chosen) + spread / days_per_scene + 0.1 * poor)


def cheapest(clear, weight, day, quality, *, most=6, required=(), forbidden=(), **rules) -> float:
    """Return the least J of all subsets."""
    free = [s for s in range(clear.shape[0]) if s not in required and s not in forbidden]
    most = max(most, len(required))
    return min(
        cost(clear, weight, day, quality, (*required, *more), **rules)
        for size in range(most - len(required) + 1)
        for more in itertools.combinations(free, size)
    )


@st.composite
def summers(draw, most_scenes=8):
    scenes, cells = draw(st.integers(1, most_scenes)), draw(st.integers(1, 14))
    return {
        "clear": draw(arrays.arrays(bool, (scenes, cells))),
        "weight": draw(arrays.arrays(float, cells, elements=st.integers(1, 3).map(float))),
        "day": draw(arrays.arrays(float, scenes, elements=st.integers(0, 150).map(float))),
        "quality": draw(
            arrays.arrays(float, scenes, elements=st.integers(0, 10).map(lambda tenth: tenth / 10))
        ),
    }


RULES = st.fixed_dictionaries(
    {
        "least_gain": st.sampled_from([0.0, 0.02, 0.1]),
        "days_per_scene": st.sampled_from([5.0, 30.0, 1e6]),
        "most": st.integers(1, 6),
    }
)


@given(summers(), RULES)
def test_no_subset_is_cheaper(summer, rules):
    choice = choose(**summer, **rules)
    assert choice.exact
    assert choice.objective == pytest.approx(cheapest(*summer.values(), **rules), abs=1e-9)


@given(summers(), RULES, st.data())
def test_no_subset_that_obeys_a_person_is_cheaper(summer, rules, data):
    scenes = st.sampled_from(range(summer["day"].size))
    required = data.draw(st.sets(scenes, max_size=3))
    forbidden = data.draw(st.sets(scenes, max_size=3)) - required
    wishes = {"required": tuple(required), "forbidden": tuple(forbidden)}
    choice = choose(**summer, **rules, **wishes)
    assert required <= set(choice.chosen)
    assert not forbidden & set(choice.chosen)
    least = cheapest(*summer.values(), **rules, **wishes)
    assert choice.objective == pytest.approx(least, abs=1e-9)


@given(summers(), RULES)
def test_what_is_said_of_the_chosen_is_so(summer, rules):
    clear, weight, _, quality = summer.values()
    choice = choose(**summer, **rules)
    chosen = list(choice.chosen)
    price = {key: rules[key] for key in ("least_gain", "days_per_scene")}
    assert choice.objective == pytest.approx(cost(*summer.values(), chosen, **price), abs=1e-9)
    covered = weight[clear[chosen].any(axis=0)].sum() / weight.sum()
    assert choice.covered == pytest.approx(covered, abs=1e-12)
    assert sum(choice.gains) == pytest.approx(covered, abs=1e-12)
    assert len(choice.gains) == len(set(chosen)) <= rules["most"]
    worth = clear[chosen] @ weight / weight.sum() + quality[chosen]
    assert np.all(np.diff(worth) <= 1e-9)


@given(summers(), RULES)
def test_greedy_steps_are_never_better(summer, rules):
    """Without a search below any set, the best that greedy steps and exchanges found is left."""
    greedy = choose(**summer, **rules, node_limit=0)
    assert not greedy.exact
    assert choose(**summer, **rules).objective <= greedy.objective + 1e-12


@given(summers(), RULES)
def test_one_more_candidate_never_makes_it_worse(summer, rules):
    fewer = {"clear": summer["clear"][:-1], "weight": summer["weight"]}
    fewer |= {name: summer[name][:-1] for name in ("day", "quality")}
    assert choose(**summer, **rules).objective <= choose(**fewer, **rules).objective + 1e-12


@given(summers(), RULES, st.randoms(use_true_random=False))
def test_the_order_of_the_scenes_is_of_no_matter(summer, rules, random):
    order = random.sample(range(summer["day"].size), summer["day"].size)
    shuffled = {"clear": summer["clear"][order], "weight": summer["weight"]}
    shuffled |= {name: summer[name][order] for name in ("day", "quality")}
    one, other = choose(**summer, **rules), choose(**shuffled, **rules)
    assert (one.objective, one.covered, one.gains) == (other.objective, other.covered, other.gains)
    for mine, its in zip(one.chosen, other.chosen, strict=True):
        for name in ("clear", "day", "quality"):
            assert np.array_equal(summer[name][mine], shuffled[name][its])


def highs(clear, weight, day, quality, *, least_gain=0.02, days_per_scene=30.0, most=6) -> float:
    """Return the least J by HiGHS; covered cells and the ends of the span are real unknowns."""
    scenes, cells = clear.shape
    far = day.max() - day.min()
    since = day - day.min()
    price = least_gain * (1.0 + 0.1 * (1.0 - quality))
    ends = np.array([1.0, -1.0]) * least_gain / days_per_scene
    unknown = np.concatenate([price, -weight / weight.sum(), ends])
    rows = [  # seen ≤ Σ x;  last ≥ t x;  first ≤ t x + far (1 − x);  last ≥ first;  Σ x ≤ most
        np.hstack([-clear.T.astype(float), np.eye(cells), np.zeros((cells, 2))]),
        np.hstack([np.diag(since), np.zeros((scenes, cells)), np.tile([-1.0, 0.0], (scenes, 1))]),
        np.hstack(
            [np.diag(far - since), np.zeros((scenes, cells)), np.tile([0.0, 1.0], (scenes, 1))]
        ),
        np.array([np.r_[np.zeros(scenes + cells), -1.0, 1.0]]),
        np.array([np.r_[np.ones(scenes), np.zeros(cells + 2)]]),
    ]
    most_of = np.r_[np.zeros(cells), np.zeros(scenes), np.full(scenes, far), 0.0, float(most)]
    found = optimize.milp(
        unknown,
        integrality=np.r_[np.ones(scenes), np.zeros(cells + 2)],
        bounds=optimize.Bounds(0.0, np.r_[np.ones(scenes + cells), far, far]),
        constraints=optimize.LinearConstraint(np.vstack(rows), -np.inf, most_of),
        options={"mip_rel_gap": 0.0},
    )
    return 1.0 + found.fun


def cloudy_summer(scenes: int, shape: tuple[int, int], seed: int) -> dict[str, np.ndarray]:
    """Return swaths across a region under clouds of many sizes, from nearly clear to overcast."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape) - 0.5
    clear = np.empty((scenes, *shape), dtype=bool)
    for scene in range(scenes):
        field = ndimage.gaussian_filter(rng.normal(size=shape), max(shape) / 15)
        sky = field > np.quantile(field, rng.beta(0.6, 0.6) * 0.999)
        heading, middle = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.5, 0.5)
        swath = np.abs(x * np.cos(heading) + y * np.sin(heading) - middle) < 0.5
        clear[scene] = sky & swath
    return {
        "clear": clear.reshape(scenes, -1),
        "weight": np.where(np.hypot(x, y) < 0.2, 2.0, 1.0).ravel(),
        "day": np.sort(rng.uniform(0.0, 150.0, scenes)),
        "quality": rng.uniform(0.0, 1.0, scenes),
    }


@pytest.mark.parametrize("seed", range(4))
def test_highs_finds_the_same_cost_for_twenty_scenes(seed):
    summer = cloudy_summer(20, (14, 14), seed)
    assert choose(**summer).objective == pytest.approx(highs(*summer.values()), abs=1e-6)


def test_sixty_scenes_of_fourteen_thousand_cells_are_chosen_exactly():
    """0.1 to 0.2 s; HiGHS takes 4 to 18 s for the same."""
    choice = choose(**cloudy_summer(60, (120, 117), 0))
    assert choice.exact
    assert choice.covered > 0.9


def test_noise_that_cannot_be_searched_gives_a_good_set_and_says_so():
    rng = np.random.default_rng(5)
    summer = {"weight": np.ones(500), "day": np.zeros(30), "quality": np.ones(30)}
    choice = choose(rng.random((30, 500)) < 0.4, **summer, node_limit=200)
    assert not choice.exact
    assert choice.covered > 0.9
    assert choice == choose(
        np.random.default_rng(5).random((30, 500)) < 0.4, **summer, node_limit=200
    )


HALVES = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=bool)
SAME = {"weight": np.ones(4), "quality": np.ones(3)}


def test_a_single_clear_scene_of_the_whole_region_beats_any_pair():
    """The paper's first rule, even if the single one is poorer and the pair of one day."""
    clear = np.vstack([HALVES[:2], np.ones(4, dtype=bool)])
    quality = np.array([1.0, 1.0, 0.0])
    choice = choose(clear, weight=np.ones(4), day=np.array([3.0, 3.0, 140.0]), quality=quality)
    assert choice.chosen == (2,)
    assert choice.covered == 1.0


def test_of_two_equal_complements_the_nearer_in_time_is_taken():
    assert set(choose(HALVES, day=np.array([50.0, 80.0, 55.0]), **SAME).chosen) == {0, 2}
    assert set(choose(HALVES, day=np.array([50.0, 42.0, 60.0]), **SAME).chosen) == {0, 1}


def test_of_two_equal_complements_as_near_the_better_then_the_earlier_is_taken():
    day = np.array([50.0, 60.0, 40.0])
    better = {"weight": np.ones(4), "quality": np.array([1.0, 0.9, 0.8])}
    assert set(choose(HALVES, day=day, **better).chosen) == {0, 1}
    assert set(choose(HALVES, day=day, **SAME).chosen) == {0, 2}


def test_a_complement_too_far_in_time_for_what_it_adds_is_left():
    clear = np.array([[1] * 9 + [0], [0] * 9 + [1]], dtype=bool)
    given_ = {"weight": np.ones(10), "day": np.array([0.0, 130.0]), "quality": np.ones(2)}
    assert choose(clear, **given_).chosen == (0,)  # 0.02 (1 + 130/30) = 0.107 > 0.1
    assert choose(clear, **given_, days_per_scene=40.0).chosen == (0, 1)


def test_the_fast_part_decides_between_two_halves():
    weight = np.array([1.0, 1.0, 2.0, 2.0])
    choice = choose(HALVES[:2], weight=weight, day=np.zeros(2), quality=np.ones(2), most=1)
    assert choice.chosen == (1,)
    assert choice.covered == pytest.approx(4.0 / 6.0)


def test_required_scenes_are_taken_even_beyond_the_most():
    choice = choose(HALVES, day=np.zeros(3), **SAME, most=1, required=(1, 2))
    assert set(choice.chosen) == {1, 2}


@pytest.mark.parametrize("scenes", [0, 3])
def test_an_empty_summer_covers_nothing(scenes):
    choice = choose(
        np.zeros((scenes, 5), dtype=bool),
        weight=np.ones(5),
        day=np.zeros(scenes),
        quality=np.zeros(scenes),
    )
    assert (choice.chosen, choice.covered, choice.gains) == ((), 0.0, ())
    assert (choice.spread_days, choice.objective, choice.exact) == (0.0, 1.0, True)


def test_every_scene_is_explained():
    clear = np.zeros((6, 100), dtype=bool)
    clear[0, :80], clear[1, 75:99], clear[2, 90:], clear[3, 98:], clear[4, 99], clear[5] = (1,) * 6
    given_ = {"weight": np.ones(100), "day": np.array([0.0, 1.0, 2.0, 90.0, 3.0, 4.0])}
    wishes = {"required": (2,), "forbidden": (5,), "least_gain": 0.01}
    choice = choose(clear, quality=np.ones(6), **given_, **wishes)
    assert explain(choice, clear, **given_, **wishes) == (
        "chosen 1st: shows 80.0 % of the ROI, adds 80.0 %",
        "chosen 2nd: shows 24.0 % of the ROI, adds 19.0 %",
        "chosen by hand, laid 3rd: shows 10.0 % of the ROI, adds 1.0 %",
        "not needed: would add 0.0 %",
        "not needed: would add 0.0 %",
        "dropped by hand: would add 0.0 %",
    )


def test_worthy_scenes_that_were_left_are_explained():
    clear = np.zeros((2, 10), dtype=bool)
    clear[0, :9], clear[1, 9] = True, True
    given_ = {"weight": np.ones(10), "day": np.array([0.0, 130.0])}
    late = choose(clear, quality=np.ones(2), **given_)
    assert explain(late, clear, **given_)[1] == (
        "not taken: would add 10.0 %, but lengthens the set by 130.0 days"
    )
    full = choose(clear, quality=np.ones(2), most=1, **given_)
    assert explain(full, clear, most=1, **given_)[1] == (
        "not taken: would add 10.0 %, but the set of 1 scenes is full"
    )


SOUND = {"clear": HALVES, "weight": np.ones(4), "day": np.zeros(3), "quality": np.ones(3)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": np.ones(5)}, r"expected \(scene, cell\)"),
        ({"clear": HALVES.astype(float)}, "clear is float64, expected bool"),
        ({"weight": np.zeros(4)}, "add up to 0; expected finite ones"),
        ({"weight": np.array([1.0, -1.0, 2.0, 2.0])}, "none negative"),
        ({"day": np.array([0.0, np.nan, 0.0])}, r"scenes \[1\] have day \[nan\]"),
        ({"quality": np.array([0.0, 1.0, 1.5])}, r"scenes \[2\].*quality from 0 to 1"),
        ({"least_gain": -0.1}, "least_gain is -0.1"),
        ({"most": 0}, "at least 1 scene"),
        ({"days_per_scene": 0.0}, "days above 0"),
        ({"required": (3,)}, r"scenes \[3\] are required or forbidden, but there are 3"),
        ({"required": (1,), "forbidden": (1, 2)}, r"scenes \[1\] are both"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(change, said):
    with pytest.raises(SceneChoiceError, match=said):
        choose(**(SOUND | change))
