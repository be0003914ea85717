"""One map of a summer's scenes: blocks do not show, and areas are those of the ellipsoid."""

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
import zarr

from cluster.ledger import KeyFailed
from pipelines.flows import shelf_damage_tables
from pipelines.flows.evaluation_errors import DamageErrors, Judged
from pipelines.flows.shelf_damage_arrays import EXTENT_QUANTITIES, SOURCES, SUMS, shares
from pipelines.flows.shelf_damage_extents import Shape, decision_of
from pipelines.flows.shelf_damage_judging import JudgeJob, unpublished
from pipelines.flows.shelf_damage_merging import MergeJob
from pipelines.kernels.damage.area_errors import AreaErrors
from pipelines.settings_shelf_damage import DamageOverride, MergeChoices, ShelfDamageChoices

from . import shelf_damage_world as world
from .shelf_damage_world import Said

NY, NX, SIDE, WHOLE = 96, 136, 64, 192
PATH = "bay/2011"
FRONT = world.box(10, 90, 120, 4)
MAPS = (
    "probability", "spread", "supplier", "scenes", "extent", "water", "restored", "damage",
    "region_damage", "clear", "filling_spread",
)  # fmt: skip
LENGTH_M = 200.0


def merged(
    held: Said,
    *,
    side: int = WHOLE,
    source: str = "front product",
    shape: shapely.Geometry = FRONT,
    grounded: shapely.Geometry | None = None,
    cells: Any = None,
    parts: tuple[str, ...] = (),
    length_m: float = LENGTH_M,
    **choices: Any,
) -> zarr.Group:
    """Return the product after every block of its one summer was merged."""
    summer = world.summer(scenes=len(held.probability))
    group = world.product(summer, side=side, parts=parts)
    made = group[PATH]
    world.fill(made, held, cells=cells)
    record = np.zeros(len(EXTENT_QUANTITIES))
    record[0] = SOURCES.index(source)
    record[-1] = decision_of(choices.get("overrides", ()), "bay")
    made["extent_record"][...] = record
    for part in parts:
        half = np.zeros(group["bay"][f"part_{part}"].shape, np.uint8)
        half[:, :9] = 1
        group["bay"][f"part_{part}"][...] = half
    wkb = shapely.to_wkb(shape)
    job = MergeJob(
        {PATH: Shape(wkb, wkb)}, b"" if grounded is None else shapely.to_wkb(grounded), length_m,
        ShelfDamageChoices(**{"merge": MergeChoices(mode="weighted"), **choices}), side,
    )  # fmt: skip
    for block in world.blocks(made, side):
        job(f"merge/{PATH}/{block}", group)
    return group


def total(made: zarr.Group, name: str, part: int = 0) -> float:
    return float(made["block_sums"][...][:, :, part, SUMS.index(name)].sum())


def inside_front() -> np.ndarray:
    mask = np.zeros((NY, NX), bool)
    mask[4:90, 10:120] = True
    return mask


@pytest.fixture(scope="module")
def held() -> Said:
    return world.said(NY, NX, scenes=3)


@pytest.fixture(scope="module")
def made(held: Said) -> zarr.Group:
    return merged(held)[PATH]


def expected(held: Said, numbers: tuple[int, ...] = (1, 2, 3)) -> dict[str, Any]:
    """Merge with whole arrays in float64, as the module of the kernel writes the equations."""
    middle = dt.datetime(2012, 1, 16, tzinfo=dt.UTC).timestamp()
    weights, values = [], []
    for number in numbers:
        n = number - 1
        days = (world.scene(number, 2011).time - middle) / 86_400.0
        clear = (held.flags[n] & 8) != 0
        far = np.where(held.cloud[n] == 255, np.inf, held.cloud[n] * 30.0)
        weight = np.exp(-abs(days) / 30.0) * (0.5 + 0.5 * (20.0 - 5.0) / 20.0)
        weight = weight * np.where(clear, 1.0, 0.02) * (0.25 + 0.75 * np.minimum(far / 1500.0, 1.0))
        p = np.rint(held.probability[n].astype(np.float64) * 250.0) / 250.0
        known = np.isfinite(p) & ((held.flags[n] & 2) == 0)
        weights.append(np.where(known, weight, 0.0))
        values.append(np.where(known, p, 0.0))
    w, p = np.stack(weights), np.stack(values)
    clear, wet = ((held.flags[[n - 1 for n in numbers]] & bit) != 0 for bit in (8, 2))
    water = (clear & wet).any(axis=0) & ~(clear & ~wet).any(axis=0)
    w[:, water] = 0.0
    known = w.sum(axis=0) > 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (w * p).sum(axis=0) / w.sum(axis=0)
        spread = np.sqrt(np.maximum((w * p**2).sum(axis=0) / w.sum(axis=0) - mean**2, 0.0))
    seen = known & (clear & ~wet).any(axis=0)
    return {"clear": seen, "known": known, "p": mean, "spread": spread, "weights": w,
            "water": water,
            "count": (w > 0.0).sum(axis=0)}  # fmt: skip


def test_probabilities_are_the_weighted_mean_of_what_scenes_say(held, made):
    oracle = expected(held)
    found = shares(made["probability"][...])

    np.testing.assert_array_equal(np.isfinite(found), oracle["known"])
    # half a count of what is stored, and weights in whole units of 2⁻²⁰
    np.testing.assert_allclose(found, np.where(oracle["known"], oracle["p"], np.nan), atol=2.1e-3)
    spread = shares(made["spread"][...])
    np.testing.assert_allclose(
        spread, np.where(oracle["known"], oracle["spread"], np.nan), atol=2.1e-3
    )
    np.testing.assert_array_equal(made["scenes"][...], oracle["count"])


def test_the_supplier_is_the_number_of_the_scene_that_weighs_most(held, made):
    weights = expected(held)["weights"]
    first, second = np.sort(weights, axis=0)[::-1][:2]
    clearly = first - second > 1e-5
    found = made["supplier"][...]

    assert set(np.unique(found)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(found[clearly], weights.argmax(axis=0)[clearly] + 1)
    assert (found[first == 0.0] == 0).all()


def test_scenes_that_a_person_dropped_supply_nothing_and_the_others_keep_their_numbers(held):
    label = world.scene(2, 2011).label
    override = DamageOverride("Bay", 2011, "haze", drop=(label,))
    made = merged(held, overrides=(override,))[PATH]
    oracle = expected(held, (1, 3))

    assert set(np.unique(made["supplier"][...])) == {0, 1, 3}
    found = shares(made["probability"][...])
    np.testing.assert_allclose(found, np.where(oracle["known"], oracle["p"], np.nan), atol=2.1e-3)


def test_the_best_scene_alone_supplies_where_it_is_asked_for(held):
    made = merged(held, merge=MergeChoices(mode="best"))[PATH]
    supplier = made["supplier"][...]
    stored = made["scene_probability"][...]
    mine = np.take_along_axis(stored, np.maximum(supplier.astype(int) - 1, 0)[None], 0)[0]

    np.testing.assert_array_equal(made["probability"][...], np.where(supplier > 0, mine, 255))


@pytest.mark.parametrize("source", ["front product", "outline", "imagery", "all that is seen"])
def test_blocks_give_the_map_and_the_sums_of_the_whole(held, source):
    told: dict[str, Any] = {"source": source, "parts": ("front",)}
    if source == "imagery":
        cells = np.zeros((NY // 8, NX // 8), bool)
        cells[1:11, 4:15] = True
        told |= {"cells": cells, "grounded": world.box(-9, 99, 24, -9)}
    one, cut = (merged(held, side=side, **told)[PATH] for side in (WHOLE, SIDE))

    assert cut["block_sums"].shape[:2] == (2, 3)
    assert 0.1 < one["extent"][...].mean() < 1.0
    for name in MAPS:
        np.testing.assert_array_equal(one[name][...], cut[name][...], err_msg=name)
    np.testing.assert_allclose(
        cut["block_sums"][...].sum(axis=(0, 1)), one["block_sums"][...].sum(axis=(0, 1)), rtol=1e-9
    )
    errors = DamageErrors((Judged("pine", 0.8, 0.9),), AreaErrors(0.1, 1.0, 0.0, 9), 1.0, LENGTH_M)
    for part in (0, 1):
        whole, parts = (shelf_damage_tables.variances(made, part, errors) for made in (one, cut))
        assert min(whole.values()) > 0.0
        assert parts == pytest.approx(whole, rel=1e-9)


def test_the_variance_of_independent_pixels_is_the_sum_of_theirs(held):
    made = merged(held, length_m=0.0)[PATH]
    errors = DamageErrors((Judged("pine", 0.8, 0.9),), AreaErrors(0.1, 1.0, 0.0, 9), 1.0, 0.0)
    oracle = expected(held)
    inside = inside_front() & oracle["known"]
    p, area = oracle["p"][inside], true_areas()[inside]
    filled = (made["restored"][...] > 0)[inside]
    by_filling = np.where(filled, np.minimum(0.12**2, p * (1.0 - p)), 0.0)

    found = shelf_damage_tables.variances(made, 0, errors)["segmentation"]
    assert found == pytest.approx(np.sum(area**2 * (p * (1.0 - p) - by_filling)), rel=1e-4)


def true_areas() -> np.ndarray:
    """Return areas of pixels by PROJ's areal scale at their centres [m²]."""
    x = world.WEST + 30.0 * (np.arange(NX) + 0.5)
    y = world.NORTH - 30.0 * (np.arange(NY) + 0.5)
    projection = pyproj.Proj("EPSG:3031")
    longitude, latitude = projection(*np.meshgrid(x, y), inverse=True)
    return np.asarray(900.0 / projection.get_factors(longitude, latitude).areal_scale)


def test_sums_are_areas_on_the_ellipsoid(held, made):
    area, oracle = true_areas(), expected(held)
    inside = inside_front()
    known = inside & oracle["known"]
    damage = made["damage"][...] == 1
    filled = made["restored"][...] > 0
    p = np.nan_to_num(oracle["p"])
    wanted = {
        "damage": damage, "known": known, "extent": inside, "restored": known & filled,
        "clear": inside & oracle["clear"],
        "restored_damage": damage & filled, "water": inside & oracle["water"],
    }  # fmt: skip

    assert abs(area.mean() / 900.0 - 1.0) > 0.01
    for name, mask in wanted.items():
        assert mask.any(), name
        assert total(made, name) == pytest.approx(area[mask].sum(), rel=1e-6), name
    assert total(made, "expected") == pytest.approx((area * p)[known].sum(), rel=1e-4)
    assert total(made, "unsure") == pytest.approx((area * p * (1.0 - p))[known].sum(), rel=1e-4)


def test_a_part_of_a_shelf_has_the_sums_of_its_cells(held):
    made = merged(held, side=SIDE, parts=("front",))[PATH]
    mask = inside_front()
    mask[:, 72:] = False

    assert total(made, "extent", 1) == pytest.approx(true_areas()[mask].sum(), rel=1e-6)
    assert total(made, "extent", 0) > total(made, "extent", 1)


def test_damage_is_told_by_the_codes_of_the_release(held, made):
    oracle = expected(held)
    p = np.nan_to_num(oracle["p"])
    sure = np.abs(p - 0.5) > 1e-4
    codes = np.where(inside_front() & oracle["known"], np.where(p >= 0.5, 1, 0), 255)
    region = np.where(oracle["known"] & (p >= 0.5), 255, 0)

    np.testing.assert_array_equal(made["damage"][...][sure], codes[sure])
    np.testing.assert_array_equal(made["region_damage"][...][sure], region[sure])
    np.testing.assert_array_equal(made["extent"][...], inside_front())


def test_water_in_every_clear_view_is_unknown_and_counted_once(held):
    """A view of the pond through cloud, where no blue is seen, makes nothing known there."""
    flags = held.flags.copy()
    pond = np.zeros((NY, NX), bool)
    pond[72:80, 24:56] = True
    flags[2, pond] = 1
    probability = np.where(pond & np.isnan(held.probability), np.float32(0.3), held.probability)
    flags[:2, pond] = 1 | 2 | 8
    made = merged(dataclasses.replace(held, flags=flags, probability=probability))[PATH]

    assert (made["water"][...][pond] == 1).all()
    assert (made["probability"][...][pond] == 255).all()
    assert (made["damage"][...][pond] == 255).all()
    assert (made["supplier"][...][pond] == 0).all()
    known, water, extent = (total(made, name) for name in ("known", "water", "extent"))
    assert known + water <= extent


def test_a_pixel_that_is_dry_in_a_clear_view_is_known_by_that_view(held):
    flags = held.flags.copy()
    flags[0] &= np.uint8(0xFF - 2)
    flags[0] |= np.where(np.isfinite(held.probability[0]), np.uint8(8), np.uint8(0))
    made = merged(dataclasses.replace(held, flags=flags))[PATH]
    pond = np.zeros((NY, NX), bool)
    pond[72:82, 24:56] = True
    pond &= np.isfinite(held.probability[0])

    assert (made["water"][...][pond] == 0).all()
    assert (made["supplier"][...][pond] == 1).all()


def test_a_spread_of_one_scene_is_zero(held):
    alone = Said(*(getattr(held, each.name)[:1] for each in dataclasses.fields(held)))
    made = merged(alone)[PATH]
    known = made["probability"][...] != 255

    assert (made["spread"][...][known] == 0).all()
    assert (made["spread"][...][~known] == 255).all()


def judged(group: zarr.Group, **choices: Any) -> tuple[int, str]:
    receipt = JudgeJob(ShelfDamageChoices(**choices))(f"judge/{PATH}", group)
    return int(group[PATH]["published"][0]), receipt.note


def test_a_map_is_published_where_enough_is_seen_clearly_or_under_water(held):
    group = merged(held)
    oracle = expected(held)
    area, inside = true_areas(), inside_front()
    covered = area[inside & (oracle["clear"] | oracle["water"])].sum() / area[inside].sum()

    assert judged(group, least_covered=covered - 1e-4) == (1, "")
    published, note = judged(group, least_covered=covered + 1e-4)
    assert published == 0
    assert note.startswith(f"not published: {100 * covered:.1f} % of the shelf is covered")


def test_what_is_only_seen_through_cloud_covers_nothing(held):
    hidden = dataclasses.replace(held, flags=held.flags & ~np.uint8(8))
    group = merged(hidden)

    assert (shares(group[PATH]["probability"][...]) >= 0.0).any()
    assert not group[PATH]["clear"][...].any()
    assert judged(group, least_covered=0.01)[1].startswith("not published: 0.0 % of the shelf")


def test_an_extent_of_all_that_is_seen_is_held_against_the_region(held):
    group = merged(held, source="all that is seen")
    clear = true_areas()[expected(held)["clear"]].sum() / true_areas().sum()
    water = total(group[PATH], "water") / true_areas().sum()

    assert judged(group, least_covered=clear + water + 1e-3)[0] == 0
    assert judged(group, least_covered=clear + water - 1e-3)[0] == 1


def test_an_extent_of_another_decision_is_not_merged(held):
    override = DamageOverride("Bay", 2011, "haze", drop=(world.scene(2, 2011).label,))
    group = merged(held)
    job = MergeJob({}, b"", LENGTH_M, ShelfDamageChoices(overrides=(override,)), WHOLE)

    with pytest.raises(KeyFailed, match="no extent was found with what a person decided of bay"):
        job(f"merge/{PATH}/0/0", group)


def test_a_person_may_publish_or_hold_back(held):
    group = merged(held)
    for publish, told in ((True, (1, "")), (False, (0, "not published: a person decided so: fog"))):
        override = DamageOverride("Bay", 2011, "fog", publish=publish)
        assert judged(group, least_covered=1.0 - publish, overrides=(override,)) == told
    other = DamageOverride("Bay", 2010, "fog", publish=True)
    assert judged(group, least_covered=1.0, overrides=(other,))[0] == 0


def test_a_map_whose_blocks_were_not_merged_is_not_published(held):
    group = merged(held, side=SIDE)
    sums = group[PATH]["block_sums"]
    sums[0, 1] = np.nan

    assert "1 blocks could not be merged" in unpublished(group[PATH], ShelfDamageChoices())


def test_a_summer_without_an_extent_is_not_published(held):
    group = merged(held, source="none")

    assert not group[PATH]["extent"][...].any()
    assert judged(group, least_covered=0.0) == (
        0, "not published: no extent was found, see the receipt of its shelf",
    )  # fmt: skip
