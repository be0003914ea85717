"""Annotated tiles of synthetic shelves: what is in them, and that they are made once."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.worlds import labelled_tiles, shelf_kin
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.labelled_tiles import TileError, tile_shelves, views_of, write_tiles
from pipelines.worlds.landsat_view import see
from pipelines.worlds.shelf_surface import surface
from pipelines.worlds.shelves import ShelfError

SMALL = 256


@pytest.fixture(scope="module")
def cedar():
    return tile_shelves(Antarctica(), size=SMALL)[2]


def test_a_tile_is_reflectance_with_its_labels_on_the_same_pixels(cedar, tmp_path: Path) -> None:
    (tile,) = write_tiles(tmp_path, shelves=[cedar], views=1, size=SMALL)

    with rasterio.open(tile.image) as image, rasterio.open(tile.mask) as mask:
        assert image.crs.to_string() == mask.crs.to_string() == "EPSG:3031"
        assert image.transform == mask.transform
        assert image.bounds == pytest.approx(cedar.grid.bounds)
        assert (image.dtypes, mask.dtypes) == (("uint16",) * 3, ("uint8",))
        assert image.descriptions == ("red", "green", "blue")
        assert image.tags()["REGION"] == mask.tags()["REGION"] == tile.region == "cedar"
        assert image.tags()["SHELF"] == mask.tags()["SHELF"] == tile.shelf == "cedar"
        assert float(image.tags()["SCALE"]) == 2.5e-5
        counts, labels = image.read(), mask.read(1)
    assert set(np.unique(labels)) <= {0, 1, 255}
    assert 0.2 < np.median(counts) * 2.5e-5 < 1.3


def test_labels_are_the_truth_wherever_the_ground_is_seen(cedar) -> None:
    (view,) = views_of(cedar, 1, seed=1)
    ice = surface(cedar.world, cedar, day=view.start.date())
    seen = see(ice, view)

    labels = labelled_tiles.labels(ice, seen)

    drawn = labels != 255
    np.testing.assert_array_equal(labels[drawn] == 1, ice.damage[drawn])
    assert not (drawn & (seen.cloud | seen.shadow)).any()


def test_reflectance_has_the_sun_of_each_pixel_divided_out(cedar) -> None:
    views = views_of(cedar, 4, seed=3)
    for view in views:
        ice = surface(cedar.world, cedar, day=view.start.date())
        rho = labelled_tiles.reflectance(see(ice, view), view, ("red",))[0] * 2.5e-5

        # OLI by its two published numbers; ETM+ has one pair of numbers for each band and gain.
        if view.platform != "landsat-7":
            dn = see(ice, view).dn["red"].astype(float)
            sine = np.sin(np.radians(90.0 - see(ice, view).sza / 100.0))
            np.testing.assert_allclose(rho, np.maximum((2e-5 * dn - 0.1) / sine, 2.5e-5), atol=2e-5)
        assert 0.3 < np.median(rho) < 1.3
    assert len({view.start.date() for view in views}) == 4
    assert min(view.sun_elevation for view in views) >= labelled_tiles.LOWEST_SUN


def test_the_same_seed_gives_the_same_bytes_and_what_is_there_is_kept(
    cedar, tmp_path: Path
) -> None:
    def made(folder: Path, seed: int) -> list[Path]:
        tiles = write_tiles(folder, shelves=[cedar], views=1, seed=seed, size=SMALL // 2)
        return [path for tile in tiles for path in (tile.image, tile.mask)]

    first, second = made(tmp_path / "a", 1), made(tmp_path / "b", 1)
    other = made(tmp_path / "c", 2)

    assert len(first) == 8
    assert [p.name for p in first] == [p.name for p in second]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert [p.read_bytes() for p in first] != [p.read_bytes() for p in other]
    stamps = [p.stat().st_mtime_ns for p in first]
    assert [p.stat().st_mtime_ns for p in made(tmp_path / "a", 1)] == stamps
    first[0].unlink()
    assert made(tmp_path / "a", 1)[0].read_bytes() == second[0].read_bytes()


def test_kin_are_of_the_region_of_their_elder(cedar, tmp_path: Path) -> None:
    gorse = shelf_kin.kin(cedar.world, 2, size=SMALL)

    (tile,) = write_tiles(tmp_path, shelves=[gorse], views=1, size=SMALL)

    with rasterio.open(tile.image) as image:
        tags = image.tags()
    assert (tags["SHELF"], tags["REGION"]) == (tile.shelf, tile.region) == ("gorse", "cedar")
    assert tile.image.parent.name == "gorse"


def test_more_views_leave_the_first_as_they_are(cedar) -> None:
    assert views_of(cedar, 6, seed=5)[:3] == views_of(cedar, 3, seed=5)


def test_a_kin_lies_elsewhere_looks_different_and_has_its_cracks_inside(cedar) -> None:
    gorse = shelf_kin.kin(cedar.world, 2, size=SMALL)

    assert (gorse.name, shelf_kin.elder_of("gorse")) == ("Gorse", "cedar")
    assert gorse.grid != cedar.grid
    assert 0.0 < abs(gorse.nature.bearing - cedar.nature.bearing) < 0.1
    assert gorse.nature.rifts != cedar.nature.rifts
    day = views_of(gorse, 1, seed=1)[0].start.date()
    assert surface(gorse.world, gorse, day=day).damage.any()
    assert shelf_kin.kin(cedar.world, 2, size=SMALL) == gorse
    assert shelf_kin.kin(cedar.world, 2, size=SMALL, seed=2) != gorse


def test_shelves_of_tiles_are_those_of_the_demo_then_kin() -> None:
    names = [shelf.id for shelf in tile_shelves(Antarctica(), size=SMALL, kin=1)]

    assert names == ["alder", "birch", "cedar", "dunlin", "elder"]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"views": 0}, "1 view or more"),
        ({"size": 100}, "divides the windows"),
        ({"bands": ("red", "thermal")}, "found bands thermal, expected some of blue, green"),
    ],
)
def test_impossible_tiles_are_refused(cedar, tmp_path: Path, choices, message) -> None:
    with pytest.raises(TileError, match=message):
        next(write_tiles(tmp_path, shelves=[cedar], **{"size": SMALL, **choices}))


def test_a_shelf_without_enough_days_of_high_sun_is_refused(cedar, monkeypatch) -> None:
    monkeypatch.setattr(labelled_tiles, "LOWEST_SUN", 89.0)

    with pytest.raises(TileError, match="found 0 days on which Cedar is seen whole, expected 1"):
        views_of(cedar, 1, seed=1)


def test_a_kin_without_a_name_is_refused() -> None:
    with pytest.raises(ShelfError, match="found kin 8, expected 0 to 7"):
        shelf_kin.kin(Antarctica(), 8)


@pytest.mark.slow
def test_the_command_says_how_many_tiles_each_shelf_has(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["demo-tiles", str(tmp_path / "tiles"), "--views", "1"])

    assert done.exit_code == 0, done.output
    assert "cedar    4 tiles" in done.output
    assert "16 tiles in" in done.output
    assert len(list((tmp_path / "tiles").glob("*/*_mask.tif"))) == 16


def test_without_elders_only_kin_are_left() -> None:
    world = Antarctica()

    kin = tile_shelves(world, kin=2, seed=2, size=SMALL, elders=False)

    assert [each.name for each in kin] == ["Elder", "Fir"]
    assert [each.grid for each in tile_shelves(world, kin=2, seed=2, size=SMALL)[4:]] == [
        each.grid for each in kin
    ]


def test_the_command_writes_kin_alone_on_an_ice_sheet_of_another_seed(
    tmp_path: Path, monkeypatch
) -> None:
    told = {}
    monkeypatch.setattr(labelled_tiles, "write_tiles", lambda _, **asked: told.update(asked) or ())
    asked = ["demo-tiles", str(tmp_path), "--kin", "1", "--without-elders", "--seed", "2"]

    done = CliRunner().invoke(main, [*asked, "--world-seed", "1", "--views", "3"])

    assert done.exit_code == 0, done.output
    (kin,) = told["shelves"]
    # The ice sheet of evaluations.json: seed 1, without the outlets of the demo.
    assert kin.world == Antarctica(seed=1)
    assert kin.grid == shelf_kin.kin(Antarctica(seed=1), 0, seed=2).grid
    assert (told["views"], told["seed"]) == (3, 2)


def test_a_command_that_leaves_no_shelf_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["demo-tiles", str(tmp_path / "tiles"), "--without-elders"])

    assert done.exit_code == 2
    assert "such as --kin 8" in done.output
    assert not (tmp_path / "tiles").exists()


def test_views_near_the_middle_of_the_season_are_those_of_the_season_that_lie_there(cedar) -> None:
    anywhere = views_of(cedar, 12, seed=3)
    near = views_of(cedar, 3, seed=3, within_days=30.0)

    days = [abs((each.start - _middle(each)).days) for each in near]
    assert max(days) <= 30
    assert {each.start for each in near} & {each.start for each in anywhere}
    # The sun is higher then than over a season on average.
    assert np.mean([v.sun_elevation for v in near]) > np.mean([v.sun_elevation for v in anywhere])


def _middle(granule) -> dt.datetime:
    year = granule.start.year + (granule.start.month > 6)
    return dt.datetime(year, 1, 16, tzinfo=dt.UTC)
