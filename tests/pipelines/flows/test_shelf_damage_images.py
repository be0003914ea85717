"""Pictures of any sensor take the place of scenes, on their own pixels; their place is known."""

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
import zarr
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from scipy import ndimage

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.flows import shelf_damage_images
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.shelf_damage_arrays import scenes_of
from pipelines.flows.shelf_damage_images import DamageImage
from stac.catalogue import open_catalogue
from stac.ingest import ingest

from . import networks_world as world
from . import shelf_damage_world as damage_world

SPACING, WEST, NORTH = 100.0, -1_650_000.0, -230_000.0
NOTE = f"""
sensor: S2
day: 2020-01-15
region: Pine Island
spacing_m: {SPACING:g}
corner: [{WEST:g}, {NORTH:g}]
gray: true
"""
ROOT = Path(__file__).parents[3]


def drawn(seed: int = 2, rows: int = 90, columns: int = 130) -> NDArray[np.uint8]:
    """Return a smooth picture of three bands with a black sea in its south-west."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal((rows, columns)), 3)
    counts = np.clip(130 + 400 * smooth, 1, 250).astype(np.uint8)
    counts[-40:, :60] = 0
    return np.stack([counts, counts // 2 + 20 * (counts > 0), counts])


def picture(folder: Path, name: str, note: str = NOTE, *, counts: Any = None) -> Path:
    """Write a picture and its note."""
    counts = drawn() if counts is None else counts
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    shape = {"count": len(counts), "height": counts.shape[1], "width": counts.shape[2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="PNG", dtype="uint8", **shape) as file:
            file.write(counts)
    path.with_suffix(".imagery.yaml").write_text(note)
    path.with_suffix(".png.aux.xml").unlink(missing_ok=True)
    return path


def catalogued(folder: Path, collection: str = "pictures") -> str:
    where = str(folder.parent / "catalogue")
    found = list(ingest("imagery", [str(folder)], catalogue=where, collection=collection))
    assert [each.reason for each in found if each.state == "failed"] == []
    return where


def records(folder: Path) -> tuple[DamageImage, ...]:
    return shelf_damage_images.resolve(open_catalogue(catalogued(folder)), ("pictures",))


def document(catalogue: str, **choices: Any) -> dict[str, Any]:
    tiles = {"tiles": {"tile": 96, "overlap": 32}, "backend": "torch", "fractures": False}
    return {
        "product": "shelf_damage", "catalogue": catalogue, "output": "out",
        "period": ["2019-11-01", "2020-03-31"],
        "inputs": {"images": ["pictures"], "segmenter": "nets/tiny"},
        "shelf_damage": {**tiles, "release": False, **choices},
    }  # fmt: skip


def finished(run: dict[str, Any], folder: Path) -> zarr.Group:
    """Carry out a run here and return its only summer."""
    outcome = world.executed(world.plan_of(run, folder))
    assert outcome.failures == ()
    return zarr.open_group(str(folder / "out" / "product.zarr"), mode="r")["pine-island/2019"]


@pytest.fixture
def pine_island(tmp_path: Path) -> Path:
    """Return the folder of one picture; its catalogue holds tiny weights too."""
    picture(tmp_path / "in", "pig")
    where = catalogued(tmp_path / "in")
    world.add_weights(Path(where), damage_world.segmenter(), "tiny", tmp_path / "weights")
    return tmp_path


def test_a_picture_is_a_scene_of_its_summer_on_its_own_grid(tmp_path: Path):
    picture(tmp_path / "in", "pig")

    (found,) = records(tmp_path / "in")

    assert (found.shelf, found.summer, found.sensor, found.day) == (
        "pine-island", 2019, "S2", "2020-01-15",
    )  # fmt: skip
    assert found.grid.bounds == (WEST, NORTH - 9_000.0, WEST + 13_000.0, NORTH)
    assert found.time == np.datetime64("2020-01-15T12").astype("datetime64[s]").astype(float)


def test_a_window_holds_what_the_picture_holds_there_and_hides_nothing(tmp_path: Path):
    picture(tmp_path / "in", "pig")
    (found,) = records(tmp_path / "in")

    whole = shelf_damage_images.window(found, slice(0, 90), slice(0, 130))
    part = shelf_damage_images.window(found, slice(40, 70), slice(50, 90))

    assert part.image.shape == (1, 30, 40)
    np.testing.assert_array_equal(part.image, whole.image[:, 40:70, 50:90])
    np.testing.assert_array_equal(np.isnan(whole.image[0]), drawn()[0] == 0)
    for told in (part.hidden, part.restored, part.spread, part.gap_fraction):
        assert told.shape == (30, 40)
        assert not told.any()


def test_colours_come_as_red_green_and_blue_whatever_their_order(tmp_path: Path):
    picture(tmp_path / "in", "pig", NOTE.replace("gray: true", "scaling: 0.004"))
    (found,) = records(tmp_path / "in")

    image = shelf_damage_images.read(found, slice(0, 20), slice(0, 130))

    np.testing.assert_allclose(image, drawn()[:, :20] * 0.004, rtol=1e-6)


def test_pictures_of_a_summer_are_told_apart_and_those_of_another_are_left_out(pine_island: Path):
    picture(pine_island / "in", "late", NOTE.replace("01-15", "02-20"), counts=drawn(3))
    picture(pine_island / "in", "old", NOTE.replace("2020-01", "2018-01"), counts=drawn(4))
    where = catalogued(pine_island / "in")
    run = world.plan_of(document(where), pine_island)
    group = zarr.open_group(store={}, mode="w")
    run.template(group)

    told = scenes_of(group["pine-island/2019"])

    assert list(group["pine-island"].group_keys()) == ["2019"]
    assert [(each["number"], each["label"], each["image"]) for each in told] == [
        (1, "2020-01-15", "pig"), (2, "2020-02-20", "late"),
    ]  # fmt: skip
    assert [each["sensors"] for each in told] == [["S2"], ["S2"]]


def test_the_network_sees_a_single_band_as_each_of_its_bands(pine_island: Path):
    plan = world.plan_of(document(str(pine_island / "catalogue")), pine_island)
    found = damage_world.segmented(plan)["pine-island/2019"]
    (record,) = shelf_damage_images.resolve(
        open_catalogue(str(pine_island / "catalogue")), ("pictures",)
    )
    image = shelf_damage_images.read(record, slice(0, 90), slice(0, 130))
    known = np.isfinite(image[0])

    held = stored.values(found, "scene_probability")[0]

    assert ((held != 255) == known).all()
    assert held[known].std() > 0
    assert found.attrs["spatial:transform"][0] == SPACING


def test_a_whole_run_maps_a_picture(pine_island: Path):
    made = finished(document(str(pine_island / "catalogue"), least_covered=0.7), pine_island)
    known = stored.values(made, "probability") != 255

    assert stored.values(made, "published").tolist() == [1]
    assert known.sum() == 90 * 130 - 40 * 60
    np.testing.assert_array_equal(stored.values(made, "extent") > 0, known)
    np.testing.assert_array_equal(stored.values(made, "supplier"), known.astype(np.uint8))


def test_a_picture_that_cannot_be_read_fails_its_key(tmp_path: Path):
    picture(tmp_path / "in", "pig")
    (found,) = records(tmp_path / "in")
    shutil.rmtree(found.source.href)

    with pytest.raises(KeyFailed, match="pig"):
        shelf_damage_images.window(found, slice(0, 9), slice(0, 9))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({f"corner: [{WEST:g}, {NORTH:g}]\n": ""}, "nobody knows where pig lies"),
        ({"day: 2020-01-15": "day: 2020-07-15"}, "days of one summer"),
        ({"day: 2020-01-15": "days: [2019-01-01, 2020-01-01]"}, "days of one summer"),
    ],
)
def test_a_picture_without_a_place_or_a_summer_is_refused(
    tmp_path: Path, changes: dict[str, str], said: str
):
    note = NOTE
    for old, new in changes.items():
        assert old in note
        note = note.replace(old, new)
    picture(tmp_path / "in", "pig", note)

    with pytest.raises(InputError, match=said):
        records(tmp_path / "in")


def test_pictures_of_a_shelf_on_different_pixels_are_refused(tmp_path: Path):
    picture(tmp_path / "in", "pig")
    picture(tmp_path / "in", "wide", NOTE.replace("spacing_m: 100", "spacing_m: 120"))

    with pytest.raises(InputError, match="put them on one grid"):
        records(tmp_path / "in")


def test_two_pictures_of_one_name_are_refused(tmp_path: Path):
    picture(tmp_path / "in", "pig")
    where = catalogued(tmp_path / "in")
    catalogued(tmp_path / "in", "others")

    with pytest.raises(InputError, match="two pictures are called pig"):
        shelf_damage_images.resolve(open_catalogue(where), ("pictures", "others"))


def test_a_shelf_that_no_picture_shows_is_refused(pine_island: Path):
    with pytest.raises(InputError, match="no picture shows thwaites"):
        world.plan_of(
            document(str(pine_island / "catalogue"), shelves=["Thwaites"]), pine_island
        )  # fmt: skip


@pytest.mark.realdata
@pytest.mark.slow
def test_the_real_picture_of_pine_island_goes_through(data_root: Path, tmp_path: Path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    (jpeg,) = (data_root / "optical/damage/nerd_pig").glob("*.jpeg")
    shutil.copy(jpeg, inputs / "pine_island_2019.jpeg")
    shutil.copy(ROOT / "infra/pictures/pine_island_2019.imagery.yaml", inputs)
    where = catalogued(inputs)
    basins = data_root / "basins/measures_imbie_basins_v02/Basins_IMBIE_Antarctica_v02.shp"
    crop = data_root / "optical/velocity_thickness/pig_itslive"
    for kind, source, name in (("basins", basins, "imbie-v02"), ("velocity", crop, "pig-itslive")):
        list(ingest(kind, [str(source)], catalogue=where, collection=name))
    told = yaml.safe_load((ROOT / "infra/runs/real_pine_island_damage.yaml").read_text())

    made = finished({**told, "catalogue": where, "output": "out"}, tmp_path)

    held = stored.values(made, "probability")
    extent = stored.values(made, "extent") > 0
    assert held.shape == (1132, 942)
    assert (held == 255).mean() == pytest.approx(0.168, abs=0.002)
    # The floating part within the picture, by the ice that is seen and the grounding line.
    assert 2_500.0 < extent.sum() * 0.01 < 4_000.0
    assert stored.values(made, "published").tolist() == [1]
    # Smooth grounded ice inland of the shelf's western margin is not damage.
    assert (held[250:330, 20:180] >= 125).mean() < 0.05
