"""Pictures of the shelves: the same in every window, physical, and labelled as people label."""

import dataclasses
import datetime as dt
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.worlds import shelf_surface, shelves
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.shelf_surface import Surface, surface
from tests.fixtures.shelf_series import totals

SUMMER = dt.date(2011, 1, 15)
ARRAYS = ("height", "kind", "fractured", "damage", "age_years")


def all_arrays(drawn: Surface):
    return [getattr(drawn, name) for name in ARRAYS] + list(drawn.reflectance.values())


@pytest.fixture(scope="module")
def pictures():
    return {name: whole_picture(name) for name in ("alder", "birch", "cedar", "dunlin")}


@settings(max_examples=6, deadline=None)
@given(
    name=st.sampled_from(["alder", "birch", "cedar", "dunlin"]),
    top=st.integers(0, 1023),
    left=st.integers(0, 1023),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
)
def test_any_window_is_the_whole_bit_for_bit(name, top, left, height, width):
    world = Antarctica()
    shelf, whole = shelves.find(world, name), whole_picture(name)
    rows, columns = slice(top, min(top + height, 1024)), slice(left, min(left + width, 1024))

    part = surface(world, shelf, day=SUMMER, grid=shelf.grid.window(rows, columns))

    for mine, theirs in zip(all_arrays(part), all_arrays(whole), strict=True):
        assert np.array_equal(mine, theirs[rows, columns], equal_nan=mine.dtype.kind == "f")


@lru_cache(maxsize=4)
def whole_picture(name: str) -> Surface:
    world = Antarctica()
    return surface(world, shelves.find(world, name), day=SUMMER)


def test_a_picture_is_the_same_whenever_it_is_drawn(world):
    shelf = shelves.find(world, "cedar")
    window = shelf.grid.window(slice(300, 400), slice(300, 420))
    first = surface(Antarctica(), shelf, day=SUMMER, grid=window)
    again = surface(world, shelves.find(Antarctica(), "cedar"), day=SUMMER, grid=window)
    for one, other in zip(all_arrays(first), all_arrays(again), strict=True):
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def test_each_shelf_has_land_ice_and_sea(pictures):
    for drawn in pictures.values():
        afloat = np.isfinite(drawn.age_years).mean()
        sea = np.isin(drawn.kind, (shelf_surface.SEA, shelf_surface.SEA_ICE)).mean()
        assert 0.3 < afloat < 0.9
        assert sea > 0.02
        assert (drawn.kind == shelf_surface.GROUNDED).mean() > 0.05


def test_snow_is_bright_in_the_visible_and_dark_in_the_short_wave_infrared(pictures):
    for drawn in pictures.values():
        clean = (drawn.kind == shelf_surface.SHELF) & ~drawn.fractured
        band = {name: values[clean].mean() for name, values in drawn.reflectance.items()}
        assert band["green"] > 0.85
        assert band["green"] > band["red"] > band["nir08"] > 0.6
        assert band["swir16"] < 0.15
    for drawn in pictures.values():
        for values in drawn.reflectance.values():
            assert values.dtype == np.float32
            assert values.min() >= 0.0
            assert values.max() <= 1.0


def test_water_is_darker_than_ice_and_lies_at_sea_level(pictures):
    drawn = pictures["cedar"]
    water = drawn.kind == shelf_surface.SEA
    assert drawn.reflectance["nir08"][water].mean() < 0.2
    assert np.abs(drawn.height[water & ~np.isfinite(drawn.age_years)]).max() < 1.0
    assert np.median(drawn.height[np.isfinite(drawn.age_years)]) > 30.0


def test_damage_is_fractured_or_lies_between_fractures(pictures):
    for drawn in pictures.values():
        near = fractured_within(drawn.fractured, radius=12)
        assert not (drawn.damage & ~near).any()


def fractured_within(mask, *, radius):
    """By shifting, not by distances: as far as `radius` along both axes."""
    grown = mask.copy()
    for _ in range(radius):
        wide = grown.copy()
        wide[1:] |= grown[:-1]
        wide[:-1] |= grown[1:]
        wide[:, 1:] |= grown[:, :-1]
        wide[:, :-1] |= grown[:, 1:]
        grown = wide
    return grown


def test_nothing_labelled_is_one_pixel_wide(pictures):
    for drawn in pictures.values():
        d = drawn.damage[1:-1, 1:-1]
        squares = (
            drawn.damage[:-1, :-1]
            & drawn.damage[1:, :-1]
            & drawn.damage[:-1, 1:]
            & drawn.damage[1:, 1:]
        )
        in_square = squares[:-1, :-1] | squares[1:, :-1] | squares[:-1, 1:] | squares[1:, 1:]
        # Only at the coast, where the label is cut, may a pixel stand alone.
        assert (d & ~in_square).sum() < 0.002 * max(d.sum(), 1)


def test_shelves_are_damaged_by_their_nature(world, pictures):
    part = {
        name: drawn.damage[np.isfinite(drawn.age_years)].mean() for name, drawn in pictures.items()
    }
    assert all(0.01 < value < 0.25 for value in part.values())
    assert part["alder"] == max(part.values())
    assert part["dunlin"] == min(part.values())


def test_ponds_are_there_in_january_and_not_in_november(world):
    shelf = shelves.find(world, "birch")
    window = shelf.grid.window(slice(384, 1024), slice(256, 1024))
    early, late = (
        surface(world, shelf, day=day, grid=window).kind == shelf_surface.POND
        for day in (dt.date(2010, 11, 10), dt.date(2011, 1, 18))
    )
    assert early.sum() == 0
    assert late.mean() > 0.02


def test_the_front_goes_with_the_ice_and_jumps_back_when_it_calves(world):
    cedar = shelves.find(world, "cedar")
    area = [cedar.extent(dt.date(year, 1, 15)).area for year in (2009, 2011, 2012, 2020)]
    assert area[0] < area[1]
    assert area[2] < 0.75 * area[1]
    assert area[2] < area[3]
    assert all(a <= cedar.region.area * (1 + 1e-9) for a in area)


def test_the_mask_of_floating_ice_is_the_outline(world, pictures):
    shelf = shelves.find(world, "cedar")
    counted = np.isfinite(pictures["cedar"].age_years).sum() * 900.0
    assert counted == pytest.approx(shelf.extent(SUMMER).area, rel=0.01)


@pytest.mark.slow
def test_alder_is_torn_more_and_more(world):
    shelf = shelves.find(world, "alder")
    early = np.mean([totals(world, shelf, dt.date(y, 1, 15)).fraction for y in (2000, 2002, 2004)])
    late = np.mean([totals(world, shelf, dt.date(y, 1, 15)).fraction for y in (2019, 2021, 2023)])
    assert late > 1.2 * early
    assert 0.03 < early < late < 0.25


def test_wrong_windows_and_worlds_are_refused(world):
    shelf = shelves.find(world, "alder")
    shifted = dataclasses.replace(shelf.grid, west=shelf.grid.west + 7.0)
    with pytest.raises(shelves.ShelfError, match="expected a window"):
        surface(world, shelf, day=SUMMER, grid=shifted)
    with pytest.raises(shelves.ShelfError, match="another world"):
        surface(Antarctica(seed=2), shelf, day=SUMMER)
    with pytest.raises(shelves.ShelfError, match="multiple of 64"):
        shelves.demo_shelves(world, size=1000)
    with pytest.raises(shelves.ShelfError, match="Alder"):
        shelves.find(world, "larsen")
