"""Figures and review sheets of a finished product: what is read for them, and what is told."""

import datetime as dt
import io

import numpy as np
import pytest
import yaml
from PIL import Image

from pipelines import tables
from pipelines.flows import (
    shelf_damage_arrays,
    shelf_damage_figures,
    shelf_damage_overview,
    shelf_damage_review,
)
from pipelines.settings_shelf_damage import DamageOverride
from tests.pipelines.flows import damage_product
from tests.pipelines.flows.damage_product import drawn, scene

NY, NX = 530, 1040
NOVEMBER = 1_130_803_200.0


@pytest.fixture(scope="module")
def group():
    made = damage_product.product()
    for year in (2003, 2004, 2006):
        damage, extent = drawn(year, ny=NY, nx=NX)
        unknown = np.zeros_like(damage)
        unknown[: NY // 2, :100] = year == 2004
        supplier = np.where(np.arange(NX)[None, :] < NX // 4, 1, 2) * np.ones((NY, 1), int)
        scenes = [scene(1, f"{year}-12-01", NOVEMBER, "LE07", slc_off=year == 2004,
                        restored=year == 2004, sun_elevation=None),
                  scene(2, f"{year + 1}-01-15", NOVEMBER + 4e6, "LC08")]  # fmt: skip
        damage_product.summer(
            made, "alder", year, name="Alder", damage=damage, extent=extent, scenes=scenes,
            supplier=supplier, unknown=unknown, published=int(year != 2006),
        )  # fmt: skip
    return made


def rows_of(group, names=("Alder",)):
    made = []
    for name in names:
        for year in (2003, 2004):
            for quantity, unit in (("damage_area", "km2"), ("damage_fraction", "1")):
                day = dt.date(year, 12, 1)
                note = f"lower=0.08;upper=0.15;summer={year};x=1"
                made.append(
                    tables.Row("shelf_damage", quantity, "shelves", name, day, day, 0.1, 0.01,
                               unit, note)
                )  # fmt: skip
    return made


def test_an_overview_is_what_the_whole_arrays_say(group):
    """Against the definition on whole arrays; 530 and 1040 are not multiples of the cells."""
    made = group["alder/2004"]

    seen = shelf_damage_overview.overview(made, most=140)

    f = seen.factor
    codes, extent = made["damage"][...], made["extent"][...]
    assert f == 8
    assert seen.damage.shape == (67, 130)
    for i, j in ((0, 0), (10, 3), (30, 60), (66, 129), (64, 40)):
        block = codes[i * f : i * f + f, j * f : j * f + f]
        told = (block != 255).sum()
        expected = (block == 1).sum() / told if told else np.nan
        np.testing.assert_allclose(seen.damage[i, j], expected)
        assert seen.extent[i, j] == (extent[i * f : i * f + f, j * f : j * f + f].mean() >= 0.5)
    assert seen.covered == pytest.approx((codes != 255).sum() / extent.sum())
    assert seen.fraction == pytest.approx((codes == 1).sum() / (codes != 255).sum())
    counts = np.bincount(made["supplier"][...].ravel(), minlength=3)
    np.testing.assert_allclose(seen.supplied[1:3], counts[1:3] / counts[1:3].sum())
    assert seen.x[0] == damage_product.WEST + 4 * 30.0
    assert seen.y[0] == damage_product.NORTH - 4 * 30.0


def test_a_scene_is_shown_by_its_mean_probability(group):
    made = group["alder/2003"]

    mean = shelf_damage_overview.scene_overview(made, 1, 8)

    held = made["scene_probability"][1][40:48, 800:808].astype(float)
    np.testing.assert_allclose(mean[5, 100], held.mean() / 250)
    assert np.isnan(mean[5, 2])


def test_no_more_than_a_tile_is_read_at_once(group, monkeypatch):
    largest = []
    read = shelf_damage_overview.stored.values

    def counted(made, name, at=...):
        found = read(made, name, at)
        largest.append(found.size)
        return found

    monkeypatch.setattr(shelf_damage_overview.stored, "values", counted)
    shelf_damage_overview.overview(group["alder/2003"])
    shelf_damage_overview.scene_overview(group["alder/2003"], 0, 4)

    assert max(largest) <= 512**2


def test_every_figure_is_drawn_and_the_same_each_time(group):
    first, second = {}, {}
    for kept in (first, second):
        shelf_damage_figures.write(group, rows_of(group), kept.__setitem__)

    assert set(first) == {"figures/alder.png", "figures/alder.gif", "figures/damage_series.png"}
    assert first == second
    # 2003 to 2006: a summer that is not published, and one that is not there, have frames too
    assert Image.open(io.BytesIO(first["figures/alder.gif"])).n_frames == 4


def test_series_take_bounds_from_notes_and_years_of_summers(group):
    made = shelf_damage_figures.of_region(
        rows_of(group), "damage_fraction", "Alder", "Alder", {2004}
    )

    assert made.years.tolist() == [2003, 2004]
    assert made.lower.tolist() == [0.08, 0.08]
    assert made.upper.tolist() == [0.15, 0.15]
    assert made.slc_off.tolist() == [False, True]


def test_without_bounds_one_standard_deviation_is_drawn():
    day = dt.date(2004, 1, 5)
    row = tables.Row("shelf_damage", "damage_area", "s", "A", day, day, 5.0, 0.5, "km2", "")

    made = shelf_damage_figures.of_region([row], "damage_area", "A", "A", ())

    assert (made.years[0], made.lower[0], made.upper[0]) == (2003, 4.5, 5.5)


def test_no_rows_make_no_series(group):
    assert shelf_damage_figures.series([], {"Alder": "Alder"}, {}) == {}


def test_summers_are_marked_by_the_scenes_that_supply_them(group):
    seen = {y: shelf_damage_overview.overview(group[f"alder/{y}"]) for y in (2003, 2004)}

    assert not shelf_damage_figures.broken(group["alder/2003"], seen[2003])
    assert shelf_damage_figures.broken(group["alder/2004"], seen[2004])


def test_review_yaml_can_be_pasted_into_a_run_file(group):
    kept = {}
    shelf_damage_review.write(
        group, kept.__setitem__, reasons={("alder", 2006): '71.0 % is covered: "too little"'},
        dropped={("alder", 2004): ["2004-12-01"]},
    )  # fmt: skip

    text = kept.pop("review.yaml").decode()

    assert set(kept) == {f"figures/review/alder_{year}.png" for year in (2003, 2004, 2006)}
    entries = yaml.safe_load(text)["overrides"]
    assert [(one["shelf"], one["summer"]) for one in entries] == [
        ("alder", 2003), ("alder", 2004), ("alder", 2006),
    ]  # fmt: skip
    pasted = [DamageOverride(**one | {"drop": tuple(one["drop"])}) for one in entries]
    assert pasted[1].conflicts() == []
    assert pasted[1].drop == ("2004-12-01",)
    assert pasted[2].reason == '71.0 % is covered: "too little"'
    assert "SLC-off, restored, left out by hand" in text
    # what is said of publishing is a comment: uncommented it is legal too
    told = yaml.safe_load(text.replace("# publish", "publish"))["overrides"]
    assert [one["publish"] for one in told] == [False, False, True]


def test_scenes_have_the_colours_of_the_product_they_are_from(group):
    scenes = damage_product.product()
    made = scenes.require_group("alder/2003")
    damage_product.put(made, "candidate_of", ("scene",), np.array([0, 3], np.int16))
    colours = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)
    damage_product.put(made, "quicklook", ("candidate", "yc", "xc", "colour"), colours)

    picture = shelf_damage_review.quicklooks(scenes)

    np.testing.assert_array_equal(picture("alder/2003", {"place": 1}), colours[2])
    for path, place in (("alder/2003", 0), ("alder/2003", -1), ("alder/1999", 1)):
        assert picture(path, {"place": place}) is None


def test_a_summer_of_no_extent_and_no_scene_is_still_told():
    made = damage_product.product()
    nothing = np.zeros((64, 80), bool)
    damage_product.summer(made, "a", 2003, name="A", damage=nothing, extent=nothing,
                          unknown=~nothing, published=0,
                          scenes=[scene(1, "2003-12-01", NOVEMBER, "LE07")])  # fmt: skip
    kept = {}

    shelf_damage_review.write(made, kept.__setitem__, reasons={})
    shelf_damage_figures.write(made, [], kept.__setitem__)

    assert set(kept) == {"figures/review/a_2003.png", "review.yaml"}
    assert "it was not judged" in kept["review.yaml"].decode()
    assert (
        "covered: –"
        in shelf_damage_review.facts(
            made["a/2003"], shelf_damage_overview.overview(made["a/2003"])
        )[0]
    )
    assert shelf_damage_arrays.shelves(made) == ("a",)
