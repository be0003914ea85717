"""An extent is the ice that hangs on the grounding line, however the map is cut."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.kernels.damage import extents
from pipelines.kernels.damage.extents import ExtentError, Limits
from pipelines.worlds import shelf_surface, shelves
from pipelines.worlds.antarctica import Antarctica

CELL, SHAPE = 300.0, (60, 90)
ROW, COLUMN = np.indices(SHAPE)
ROI = np.ones(SHAPE, bool)
GROUNDED = COLUMN < 10
SHELF = (COLUMN >= 10) & (COLUMN < 50) & (ROW >= 10) & (ROW < 50)
BERG = (COLUMN >= 60) & (COLUMN < 80) & (ROW >= 15) & (ROW < 55)
KNOWN = np.ones(SHAPE, bool)


def found(ice, *, known=KNOWN, last=None, speed=None, roi=ROI, grounded=GROUNDED, **more):
    return extents.found_extent(ice, known, roi, grounded, last, speed, spacing=CELL, **more)


def test_the_shelf_is_found_without_its_bergs():
    made = found(SHELF | BERG)

    np.testing.assert_array_equal(made.body, SHELF)
    assert made.source == "imagery"
    assert made.detached == BERG.sum()
    assert "800 cells of detached ice" in made.describe()


@pytest.mark.parametrize(("rows", "joined"), [(1, False), (3, False), (8, True)])
def test_a_narrow_bridge_of_melange_joins_no_berg(rows, joined):
    bridge = (COLUMN >= 50) & (COLUMN < 60) & (ROW >= 25) & (25 + rows > ROW)

    made = found(SHELF | BERG | bridge, limits=Limits(neck=900.0)).body

    assert made[20, 70] == joined
    assert made[SHELF].all()


def test_a_berg_larger_than_the_shelf_is_no_shelf():
    small = SHELF & (ROW < 20)

    np.testing.assert_array_equal(found(small | BERG).body, small)


def test_a_rift_full_of_water_belongs_to_the_shelf():
    rift = (abs(COLUMN - 35) < 3) & (ROW > 15) & (ROW < 40)

    np.testing.assert_array_equal(found(SHELF & ~rift).body, SHELF)


def test_narrow_bridges_beside_a_rift_do_not_cut_off_last_years_ice():
    rift = (abs(COLUMN - 35) < 2) & (ROW >= 12) & (ROW < 48)

    np.testing.assert_array_equal(found(SHELF & ~rift, last=SHELF).body, SHELF)
    assert not found(SHELF & ~rift).body[30, 45]


def test_a_rift_that_reaches_the_sea_on_both_sides_has_calved_a_berg():
    rift = abs(COLUMN - 35) < 2

    np.testing.assert_array_equal(found(SHELF & ~rift, last=SHELF).body, SHELF & (COLUMN < 34))


def test_other_parts_on_the_grounding_line_are_kept_where_asked():
    gap = (ROW >= 30) & (ROW < 34)

    one = found(SHELF & ~gap).body
    both = found(SHELF & ~gap, limits=Limits(least_share=0.5)).body

    np.testing.assert_array_equal(one, SHELF & (ROW < 30))
    np.testing.assert_array_equal(both, SHELF & ~gap)


def test_fast_ice_before_the_front_lies_beyond_its_reach():
    fast_ice = (COLUMN >= 50) & (COLUMN < 70) & (ROW >= 10) & (ROW < 50)
    speed = np.full(SHAPE, 400.0)

    free = found(SHELF | fast_ice, last=SHELF)
    held = found(SHELF | fast_ice, last=SHELF, speed=speed, limits=Limits(advance=1.5, slack=300.0))

    assert free.body[30, 69]
    # 1.5 · 400 m + 300 m are three cells
    np.testing.assert_array_equal(held.body.any(axis=0).nonzero()[0][-1], 52)
    assert held.beyond == 17 * 40
    assert held.gained == 3 * 40


def test_a_calving_is_taken_from_the_imagery():
    calved = SHELF & (COLUMN < 30)

    made = found(calved, last=SHELF, speed=np.full(SHAPE, 400.0))

    np.testing.assert_array_equal(made.body, calved)
    assert made.lost == 20 * 40


def test_cells_under_cloud_are_as_last_year():
    cloud = (ROW > 20) & (ROW < 26)

    made = found(SHELF & ~cloud, known=~cloud, last=SHELF)

    np.testing.assert_array_equal(made.body, SHELF)
    assert made.unknown == pytest.approx(5 / 40)


def test_a_year_under_cloud_keeps_the_last_extent():
    made = found(SHELF & False, known=KNOWN & (ROW < 12), last=SHELF)

    assert made.source == "last year"
    np.testing.assert_array_equal(made.body, SHELF)


ISLANDS = arrays.arrays(bool, (9, 12))


@settings(max_examples=40)
@given(ISLANDS, st.integers(0, 4))
def test_what_is_found_floats_and_hangs_together_with_the_ground(ice, neck):
    grounded = np.zeros(ice.shape, bool)
    grounded[:, :3] = True

    body = extents.attached_ice(ice, grounded, neck=neck)

    assert not (body & grounded).any()
    assert flood(body | grounded, grounded)[body].all()


@settings(max_examples=40)
@given(ISLANDS, arrays.arrays(bool, (9, 12)))
def test_without_a_neck_it_is_the_largest_flood_and_its_holes(ice, land):
    grounded = land & (np.indices(land.shape)[1] < 4)
    floating = ice & ~grounded
    bodies = []
    for at in np.argwhere(floating & grow(grounded)):
        start = np.zeros_like(ice)
        start[tuple(at)] = True
        if not any(body[tuple(at)] for body in bodies):
            bodies.append(flood(floating, start))
    most = max((body.sum() for body in bodies), default=0)
    # bodies of one size are all kept
    largest = np.any([ice & False, *(body for body in bodies if body.sum() == most)], axis=0)
    edge = np.ones(ice.shape, bool)
    edge[1:-1, 1:-1] = False
    outside = flood(~(largest | grounded), edge)
    expected = ~outside & ~grounded if largest.any() else largest

    np.testing.assert_array_equal(extents.attached_ice(ice, grounded, neck=0), expected)


def grow(mask):
    """The mask and its four neighbours, by shifts."""
    made = mask.copy()
    made[1:] |= mask[:-1]
    made[:-1] |= mask[1:]
    made[:, 1:] |= mask[:, :-1]
    made[:, :-1] |= mask[:, 1:]
    return made


def flood(mask, start):
    """What can be reached from a start within a mask, step by step."""
    reached = start & mask
    while True:
        further = grow(reached) & mask
        if (further == reached).all():
            return reached
        reached = further


@settings(max_examples=40)
@given(st.integers(0, 999), st.floats(0.2, 3.0), st.floats(0.0, 900.0))
def test_reach_is_that_of_all_pairs_of_cells(seed, years, slack):
    rng = np.random.default_rng(seed)
    last = rng.random((9, 11)) < 0.2
    last[4, 4] = True
    limits = Limits(advance=1.2, slack=slack)

    made = extents.reach(last, np.full((9, 11), 500.0), years=years, spacing=CELL, limits=limits)

    here = np.argwhere(last)
    for at in np.ndindex(9, 11):
        nearest = CELL * np.hypot(*(here - at).T).min()
        if abs(nearest - (1.2 * 500.0 * years + slack)) > 1e-6:
            assert made[at] == (nearest < 1.2 * 500.0 * years + slack)


def test_where_the_speed_is_not_known_the_highest_counts():
    last = np.zeros((3, 12), bool)
    last[:, 0] = True
    speed = np.full((3, 12), np.nan)
    speed[0, 0] = 900.0

    made = extents.reach(last, speed, years=1.0, spacing=CELL, limits=Limits(1.0, 0.0))

    assert made[2].sum() == 4


FACTOR = 10
FINE_ROW, FINE_COLUMN = np.indices((400, 600))


def fine_world(seed=0):
    """A shelf with a bent front and a wavy grounding line, bergs before it, on pixels."""
    grounding = 80 + 12 * np.sin(FINE_ROW / 35.0)
    front = 400 + 60 * np.cos(FINE_ROW / 60.0 + seed)
    grounded = grounding > FINE_COLUMN
    shelf = ~grounded & (front > FINE_COLUMN)
    bergs = (np.hypot(FINE_ROW - 150, FINE_COLUMN - 540) < 40) | (
        np.hypot(FINE_ROW - 320, FINE_COLUMN - 560) < 25
    )
    return shelf, bergs, grounded


def cells_of(mask):
    return extents.coarse_share(mask, factor=FACTOR) >= 0.5


@pytest.mark.parametrize("seed", [0, 2])
def test_a_refined_front_is_the_true_one_to_the_pixel(seed):
    shelf, bergs, grounded = fine_world(seed)
    ground = cells_of(grounded)
    roi = np.ones(ground.shape, bool)
    body = found(cells_of(shelf | bergs), roi=roi, known=roi, grounded=ground).body

    made = extents.refined(
        shelf | bergs, ~grounded, body, ground,
        factor=FACTOR, rows=slice(0, 400), columns=slice(0, 600),
    )  # fmt: skip

    np.testing.assert_array_equal(made, shelf)


@given(st.integers(0, 50))
@settings(max_examples=12)
def test_refined_blocks_are_the_whole(seed):
    shelf, bergs, grounded = fine_world(seed % 3)
    speck = np.random.default_rng(seed).random(shelf.shape) < 0.3  # rough ice on the sea
    ice = shelf | bergs | (speck & (FINE_COLUMN > 380))
    ground, body = cells_of(grounded), cells_of(shelf)
    whole = extents.refined(
        ice, ~grounded, body, ground, factor=FACTOR, rows=slice(0, 400), columns=slice(0, 600)
    )
    halo = extents.HALO_CELLS * FACTOR

    for top, left in ((100, 300), (0, 360), (230, 400)):
        low, high = max(top - halo, 0), min(top + 110 + halo, 400)
        west, east = max(left - halo, 0), min(left + 90 + halo, 600)
        here = (slice(low, high), slice(west, east))
        made = extents.refined(
            ice[here], ~grounded[here], body, ground, factor=FACTOR, rows=here[0], columns=here[1]
        )
        inner = made[top - low : top - low + 110, left - west : left - west + 90]
        np.testing.assert_array_equal(inner, whole[top : top + 110, left : left + 90])


@pytest.fixture(scope="module")
def cedar():
    """A synthetic shelf before it calved, while a rift grew, and after: 512 × 512 pixels."""
    world = Antarctica()
    shelf = shelves.find(world, "cedar", size=512)
    return {
        y: shelf_surface.surface(world, shelf, day=dt.date(y, 1, 15)) for y in (2009, 2010, 2012)
    }


def agreement(drawn, ice, share, last):
    """IoU of the extent with the truth, and the extent's cells."""
    aground = (drawn.kind == shelf_surface.GROUNDED) | (drawn.kind == shelf_surface.ROCK)
    ground = cells_of(aground)
    roi = np.ones(ground.shape, bool)
    cells = extents.coarse_share(ice, factor=FACTOR) >= share
    speed = None if last is None else np.full(ground.shape, 600.0)
    body = found(cells, known=roi, roi=roi, grounded=ground, last=last, speed=speed, years=2.0).body
    made = extents.refined(
        ice, ~aground, body, ground, factor=FACTOR, rows=slice(0, 512), columns=slice(0, 512)
    )
    true = np.isfinite(drawn.age_years)
    return (made & true).sum() / (made | true).sum(), body


@pytest.mark.parametrize(
    ("told_apart", "share", "least"),
    # extents of good masks miss bergs at the front alone; those of brightness, mélange too
    [(True, 0.5, 0.98), (False, extents.SOLID_SHARE, 0.94)],
)
def test_a_synthetic_shelf_is_found_before_and_after_it_calves(cedar, told_apart, share, least):
    last = None
    for drawn in cedar.values():
        bright = drawn.reflectance["red"] > 0.5
        ice = drawn.kind > shelf_surface.SEA_ICE if told_apart else bright

        iou, last = agreement(drawn, ice, share, last)

        assert iou > least


@settings(max_examples=40)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 13), st.integers(1, 13))), st.integers(1, 5))
def test_coarse_shares_are_means_of_what_is_there(mask, factor):
    made = extents.coarse_share(mask, factor=factor)

    for at in np.ndindex(made.shape):
        part = mask[tuple(slice(k * factor, (k + 1) * factor) for k in at)]
        assert made[at] == np.float32(part.mean())


def test_a_front_product_is_cut_at_the_grounding_line_and_the_region():
    roi = ROI & (ROW < 40)

    made = extents.within_front(SHELF | GROUNDED, roi, GROUNDED)

    np.testing.assert_array_equal(made, SHELF & (ROW < 40))


NONE = np.zeros(SHAPE, bool)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: found(BERG), "none in a body wider than 900 m on the grounding line"),
        (lambda: found(SHELF, known=NONE), "100.0 % of the floating region without imagery"),
        (lambda: found(SHELF, roi=ROI[:5]), "use one grid"),
        (lambda: found(SHELF, last=NONE, speed=ROI * 1.0, limits=Limits(least_known=0.0)),
         "found 0 cells of a last extent"),
        (lambda: found(SHELF, last=SHELF, speed=ROI * np.nan), "0 of them with a speed"),
        (lambda: found(SHELF, last=SHELF, speed=ROI * 1.0, years=0.0), "0 years ago"),
        (lambda: Limits(least_known=2.0), "shares up to 1"),
        (lambda: Limits(neck=-1.0), "of at least 0"),
        (lambda: extents.refined(ROI, ROI, ROI, ROI, factor=1, rows=slice(0, 1),
                                 columns=slice(0, 1)), "give the masks with the halo"),
    ],
)  # fmt: skip
def test_masks_without_an_extent_are_refused(make, message):
    with pytest.raises(ExtentError, match=message):
        make()
