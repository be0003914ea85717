"""Pixels of Landsat on a grid: equal to rasterio's and odc-stac's, whatever form the item has."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pystac
import pytest
import rasterio
import rasterio.windows
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.vrt import WarpedVRT

from stac import aligned_reader, landsat_items, landsat_stack, raster_access
from stac.pixel_grids import PixelGrid, snapped
from stac.raster_access import RasterError
from tests.stac import landsat_rasters
from tests.stac.landsat_rasters import PS_WGS84, granule, pixels, write_cog

# The oracles, rasterio's boundless reads and odc-geo, use what newer affine and shapely deprecate.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning"),
]

WEST, NORTH = 1_000_005.0, 500_025.0


def scene_grid(columns: int = 700, rows: int = 600, *, west: float = WEST) -> PixelGrid:
    return snapped((west, NORTH - 30.0 * rows, west + 30.0 * columns, NORTH))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> landsat_items.Granule:
    """One granule of 600 x 700 random pixels, its files as real ones tell their projection."""
    folder, grid = tmp_path_factory.mktemp("scene"), scene_grid()
    files = {
        band: write_cog(folder / f"{band}.tif", pixels(grid.shape, seed=i), grid, crs=PS_WGS84)
        for i, band in enumerate(("red", "green", "blue", "qa_pixel"))
    }
    return granule("LC08_one", files, grid)


@pytest.fixture(autouse=True)
def _close_files() -> Any:
    yield
    raster_access.close_idle()


def by_rasterio(path: str, grid: PixelGrid, *, fill: int) -> Any:
    """Return the pixels of a grid of the file's own lattice by rasterio's boundless reading."""
    with rasterio.open(path) as file:
        window = rasterio.windows.from_bounds(*grid.bounds, file.transform)
        window = window.round_offsets().round_lengths()
        return file.read(1, window=window, boundless=True, fill_value=fill)


def by_warp(path: str, grid: PixelGrid, *, fill: int, crs: str | None = None) -> Any:
    """Return the nearest pixels by GDAL's warper without its usual approximation."""
    with (
        rasterio.open(path) as file,
        WarpedVRT(
            file,
            src_crs=crs,
            crs=grid.code,
            transform=Affine(*grid.transform),
            width=grid.nx,
            height=grid.ny,
            resampling=Resampling.nearest,
            src_nodata=None,
            nodata=None,
            add_alpha=True,
            # Of a source pixel; 0 is refused by rasterio 1.4.
            tolerance=1e-9,
        ) as warped,
    ):
        values, alpha = warped.read()
        return np.where(alpha == 0, fill, values)


class TestPixels:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_any_window_equals_rasterios_boundless_read(self, scene, data):
        whole = scene_grid()
        left, top = data.draw(st.integers(-80, 720)), data.draw(st.integers(-80, 620))
        width, height = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
        west, north = whole.west + 30.0 * left, whole.north - 30.0 * top
        grid = snapped((west, north - 30.0 * height, west + 30.0 * width, north))
        for band, fill in (("red", 0), ("qa_pixel", 1)):
            expected = by_rasterio(scene.assets[band].href, grid, fill=fill)
            found = landsat_stack.read(scene, band, grid)
            assert found.dtype == np.uint16
            np.testing.assert_array_equal(found, expected)

    def test_the_lazy_stack_equals_the_eager_reads_of_each_granule_and_band(self, scene, tmp_path):
        second = scene_grid(west=WEST + 30.0 * 400)
        files = {
            band: write_cog(tmp_path / f"{band}.tif", pixels(second.shape, seed=9), second)
            for band in ("red", "qa_pixel")
        }
        other = granule("LC08_two", files, second, start="2019-11-29T10:11:36Z")
        far = granule("LC08_far", files, scene_grid(west=2_000_025.0))
        region = snapped((WEST + 1500.0, NORTH - 9000.0, WEST + 30_000.0, NORTH + 3000.0))
        bands = ("red", "qa_pixel")

        lazy = landsat_stack.stack([other, far, scene], bands=bands, grid=region, chunk=256)

        assert lazy.dims == ("granule", "band", "y", "x")
        assert lazy.dtype == np.uint16
        assert lazy.chunks is not None
        assert lazy.chunks[0] == (1, 1, 1)
        loaded = lazy.compute(scheduler="synchronous")
        for i, one in enumerate((other, far, scene)):
            for j, band in enumerate(bands):
                if one is far:
                    expected = np.full(region.shape, landsat_stack.FILLS.get(band, 0))
                else:
                    expected = landsat_stack.read(one, band, region)
                np.testing.assert_array_equal(loaded.values[i, j], expected)
        np.testing.assert_array_equal(lazy.y, region.y)
        np.testing.assert_array_equal(lazy.x, region.x)
        assert list(lazy.granule.values) == ["LC08_two", "LC08_far", "LC08_one"]
        assert set(lazy.coords) == set(lazy.dims)
        assert lazy.attrs["crs"] == "EPSG:3031"

    def test_a_region_without_any_granule_is_all_fill(self, scene):
        grid = snapped((0.0, 0.0, 3000.0, 3000.0))
        loaded = landsat_stack.stack([scene], bands=["qa_pixel", "red"], grid=grid).compute()
        assert loaded.dtype == np.uint16
        assert (loaded.sel(band="qa_pixel") == 1).all()
        assert (loaded.sel(band="red") == 0).all()

    @pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
    def test_the_stack_is_the_same_pixels_from_threads(self, scene, scheduler):
        grid = scene_grid()
        lazy = landsat_stack.stack([scene], bands=["red", "qa_pixel"], grid=grid, chunk=128)
        loaded = lazy.compute(scheduler=scheduler, num_workers=8)
        for band in ("red", "qa_pixel"):
            with rasterio.open(scene.assets[band].href) as file:
                np.testing.assert_array_equal(loaded.sel(band=band).values[0], file.read(1))

    def test_no_more_files_stay_open_than_the_limit(self, scene, tmp_path):
        grid = scene_grid(64, 64)
        for i in range(raster_access.MOST_IDLE + 5):
            path = write_cog(tmp_path / f"{i}.tif", pixels(grid.shape, seed=i), grid)
            landsat_stack.read(granule(str(i), {"red": path}, grid), "red", grid)
        assert len(raster_access._IDLE._files) <= raster_access.MOST_IDLE

    def test_a_file_that_was_replaced_gives_its_new_pixels(self, tmp_path):
        grid = scene_grid(64, 64)
        for seed in (1, 2):
            values = pixels(grid.shape, seed=seed)
            path = write_cog(tmp_path / "again.tif", values, grid)
            one = granule("again", {"red": path}, grid)
            np.testing.assert_array_equal(landsat_stack.read(one, "red", grid), values)

    def test_bytes_of_landsat_7_come_as_uint16(self, tmp_path):
        grid = scene_grid(300, 200)
        values = pixels(grid.shape, seed=3, kind="uint8")
        path = write_cog(tmp_path / "B3.tif", values, grid)
        one = granule("LE07", {"red": path}, grid, platform="landsat-7")
        found = landsat_stack.read(one, "red", grid)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, values)

    @pytest.mark.parametrize("nodata", [0, 1, 65535])
    def test_nodata_that_a_file_declares_changes_no_number(self, tmp_path, nodata):
        grid = scene_grid(200, 100)
        values = pixels(grid.shape, seed=4)
        values[:50] = nodata
        path = write_cog(tmp_path / "n.tif", values, grid, nodata=nodata)
        one = granule("n", {"red": path, "qa_pixel": path}, grid)
        shifted = snapped(grid.bounds, origin=7.0)
        for band in ("red", "qa_pixel"):
            np.testing.assert_array_equal(landsat_stack.read(one, band, grid), values)
            inner = landsat_stack.read(one, band, shifted)[2:-2, 2:-2]
            assert set(np.unique(inner)) <= set(np.unique(values))
            assert nodata in inner

    def test_a_solar_zenith_band_of_int16_comes_as_uint16_and_negative_numbers_are_refused(
        self, tmp_path
    ):
        grid = scene_grid(64, 64)
        values = np.full(grid.shape, 7011, dtype=np.int16)
        one = granule("s", {"sza": write_cog(tmp_path / "SZA.tif", values, grid)}, grid)
        assert (landsat_stack.read(one, "sza", grid) == 7011).all()
        bad = granule("s", {"sza": write_cog(tmp_path / "bad.tif", -values, grid)}, grid)
        with pytest.raises(RasterError, match="holds -7011"):
            landsat_stack.read(bad, "sza", grid)

    def test_readers_travel_as_a_few_numbers(self, scene):
        source = landsat_stack._source(scene, "red")
        spec = _spec(scene_grid())
        reader = aligned_reader.AlignedReader(url=source, spec=spec, fill_value=0, rescale=False)
        assert len(pickle.dumps(reader)) < 1000
        copy = pickle.loads(pickle.dumps(reader))  # noqa: S301 our own bytes
        window = rasterio.windows.Window(10, 20, 30, 40)
        np.testing.assert_array_equal(copy.read(window), reader.read(window))
        reader.close()

    def test_equal_calls_give_equal_task_names(self, scene):
        first, second = (
            landsat_stack.stack([scene], bands=["red", "qa_pixel"], grid=scene_grid())
            for _ in range(2)
        )
        assert dask.base.tokenize(first.data) == dask.base.tokenize(second.data)


def _spec(grid: PixelGrid) -> Any:
    from stackstac.raster_spec import RasterSpec

    return RasterSpec(grid.epsg, grid.bounds, (grid.spacing, grid.spacing))


class TestAgainstOdc:
    """odc-stac is an independent implementation of the same loading."""

    def load(self, granules, bands, grid, **options):
        import odc.stac
        from odc.geo.geobox import GeoBox

        items = [pystac.Item.from_dict(landsat_rasters.item(one)) for one in granules]
        box = GeoBox(grid.shape, Affine(*grid.transform), grid.code)
        settings = {"dtype": "uint16", "nodata": 0}
        return odc.stac.load(items, bands=list(bands), geobox=box, **settings, **options)

    def test_a_stack_of_overlapping_scenes_is_odcs_pixel_for_pixel(self, scene, tmp_path):
        second = scene_grid(west=WEST + 30.0 * 400)
        files = {
            band: write_cog(tmp_path / f"{band}.tif", pixels(second.shape, seed=8), second)
            for band in ("red", "green")
        }
        other = granule("LC08_two", files, second, start="2019-11-30T10:11:36Z")
        region = snapped((WEST + 1500.0, NORTH - 9000.0, WEST + 30_000.0, NORTH + 3000.0))
        ours = landsat_stack.stack([scene, other], bands=["red", "green"], grid=region).compute()

        theirs = self.load([scene, other], ["red", "green"], region)

        for band in ("red", "green"):
            np.testing.assert_array_equal(ours.sel(band=band).values, theirs[band].values)
        np.testing.assert_array_equal(theirs.y.values, ours.y.values)
        np.testing.assert_array_equal(theirs.x.values, ours.x.values)

    def test_a_scene_in_utm_is_odcs_but_for_ties(self, tmp_path):
        one, path = utm_scene(tmp_path)
        region = utm_region(path)
        ours = landsat_stack.read(one, "red", region)
        theirs = self.load([one], ["red"], region)["red"].values[0]
        # GDAL's approximate transformer, an eighth of a pixel, moves a few centres over an edge.
        assert (ours != theirs).mean() < 0.02


UTM = "EPSG:32758"


def utm_scene(folder: Path) -> tuple[landsat_items.Granule, str]:
    grid = PixelGrid("", UTM, 499_995.0, 2_000_025.0, 30.0, 500, 400)
    path = write_cog(folder / "utm.tif", pixels(grid.shape, seed=5), grid)
    return granule("LC08_utm", {"red": path, "qa_pixel": path}, grid), str(path)


def utm_region(path: str) -> PixelGrid:
    import rasterio.warp

    with rasterio.open(path) as file:
        bounds = rasterio.warp.transform_bounds(file.crs, "EPSG:3031", *file.bounds)
    return snapped((bounds[0] - 500.0, bounds[1] + 1500.0, bounds[2] - 2000.0, bounds[3] + 900.0))


class TestOtherLattices:
    def test_a_scene_in_utm_is_gdals_exact_warp(self, tmp_path):
        one, path = utm_scene(tmp_path)
        region = utm_region(path)
        assert landsat_stack.alignment(one, region) == "warped"
        for band, fill in (("red", 0), ("qa_pixel", 1)):
            found = landsat_stack.read(one, band, region)
            np.testing.assert_array_equal(found, by_warp(path, region, fill=fill))
            assert (found != fill).any()

    def test_windows_of_a_warped_scene_are_cut_from_the_whole(self, tmp_path):
        one, path = utm_scene(tmp_path)
        region = utm_region(path)
        whole = landsat_stack.read(one, "red", region)
        lazy = landsat_stack.stack([one], bands=["red"], grid=region, chunk=100).compute()
        np.testing.assert_array_equal(lazy.values[0, 0], whole)

    @pytest.mark.parametrize("origin", [0.0, 8.0, 29.0])
    def test_a_shifted_lattice_gives_the_nearest_pixels_at_most_half_a_pixel_away(
        self, tmp_path, origin
    ):
        grid = scene_grid(120, 90)
        values = np.arange(grid.nx * grid.ny, dtype=np.uint16).reshape(grid.shape)
        one = granule("shift", {"red": write_cog(tmp_path / "s.tif", values, grid)}, grid)
        target = snapped(grid.bounds, origin=origin)
        assert landsat_stack.alignment(one, target, band="red") == "shifted"
        found = landsat_stack.read(one, "red", target)
        inside = found[1:-1, 1:-1]
        row, column = np.divmod(inside.astype(int), grid.nx)
        assert np.abs(grid.x[column] - target.x[1:-1][None, :]).max() <= 15.0 + 1e-6
        assert np.abs(grid.y[row] - target.y[1:-1][:, None]).max() <= 15.0 + 1e-6

    @pytest.mark.parametrize(("factor", "size"), [(2, 640), (3, 600), (8, 640), (10, 600)])
    def test_a_coarser_grid_is_gdals_nearest_decimation_through_overviews(
        self, tmp_path, factor, size
    ):
        # Sizes that all overviews divide, where GDAL's own arithmetic has no rounding.
        grid = snapped((WEST, NORTH - 30.0 * size, WEST + 30.0 * size, NORTH), multiple=1)
        path = write_cog(tmp_path / "d.tif", pixels(grid.shape, seed=6), grid, blocksize=128)
        one = granule("d", {"red": path}, grid)
        coarse = grid.coarser(factor)
        assert landsat_stack.alignment(one, coarse, band="red") == "decimated"
        with rasterio.open(path) as file:
            assert file.overviews(1)
            expected = file.read(1, out_shape=coarse.shape, resampling=Resampling.nearest)
        np.testing.assert_array_equal(landsat_stack.read(one, "red", coarse), expected)

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_windows_of_a_coarser_grid_are_cut_from_the_whole(self, scene, data):
        whole = snapped((WEST - 999.0, NORTH - 30_000.0, WEST + 25_000.0, NORTH), multiple=10)
        coarse = whole.coarser(data.draw(st.sampled_from([2, 5, 10])))
        top = data.draw(st.integers(0, coarse.ny - 1))
        left = data.draw(st.integers(0, coarse.nx - 1))
        rows = slice(top, data.draw(st.integers(top + 1, coarse.ny)))
        columns = slice(left, data.draw(st.integers(left + 1, coarse.nx)))
        expected = landsat_stack.read(scene, "red", coarse)[rows, columns]
        found = landsat_stack.read(scene, "red", coarse.window(rows, columns))
        np.testing.assert_array_equal(found, expected)

    def test_limited_blocks_give_the_same_pixels(self, scene, tmp_path, monkeypatch):
        grid = scene_grid()
        utm, path = utm_scene(tmp_path)
        asked = [(scene, grid), (scene, grid.coarser(50)), (utm, utm_region(path))]
        expected = [landsat_stack.read(one, "red", where) for one, where in asked]
        monkeypatch.setattr(aligned_reader, "MOST_PIXELS", 5000)
        for (one, where), values in zip(asked, expected, strict=True):
            np.testing.assert_array_equal(landsat_stack.read(one, "red", where), values)

    def test_rotated_and_south_up_files_are_read_as_gdal_warps_them(self, tmp_path):
        grid = scene_grid(200, 150)
        values = pixels(grid.shape, seed=7)
        upside_down = Affine(30.0, 0.0, grid.west, 0.0, 30.0, grid.bounds[1])
        rotated = (
            Affine.translation(grid.west, grid.north)
            @ Affine.rotation(10.0)
            @ Affine.scale(30.0, -30.0)
        )
        for name, transform in (("up", upside_down), ("turned", rotated)):
            path = tmp_path / f"{name}.tif"
            profile = {"width": grid.nx, "height": grid.ny, "count": 1, "dtype": "uint16"}
            with rasterio.open(
                path, "w", driver="GTiff", crs="EPSG:3031", transform=transform, **profile
            ) as file:
                file.write(values, 1)
            one = granule(name, {"red": path}, None)
            assert landsat_stack.alignment(one, grid, band="red") == "warped"
            found = landsat_stack.read(one, "red", grid)
            np.testing.assert_array_equal(found, by_warp(str(path), grid, fill=0))


class TestProjections:
    """Where a scene lies may be told by item and file, in several words, or by one of them."""

    @pytest.mark.parametrize("form", ["proj:code", "proj:epsg", "proj:wkt2", "none"])
    def test_any_form_of_projection_gives_the_same_pixels(self, scene, form):
        import pyproj

        document = landsat_rasters.item(scene)
        properties = document["properties"]
        properties |= {"platform": "landsat-8", "landsat:wrs_path": "099"}
        properties |= {"landsat:wrs_row": "120", "landsat:collection_category": "T2"}
        document["id"] = "LC08_L1GT_099120_20191129_20201016_02_T2"
        code = properties.pop("proj:code")
        if form == "proj:epsg":
            properties["proj:epsg"] = int(code[5:])
        elif form == "proj:wkt2":
            properties["proj:wkt2"] = pyproj.CRS(code).to_wkt()
        elif form == "proj:code":
            properties["proj:code"] = code
        one = landsat_items.granule(document)
        assert one.code == ("" if form == "none" else code)
        region = snapped((WEST + 300.0, NORTH - 9000.0, WEST + 9000.0, NORTH + 600.0))
        expected = by_rasterio(scene.assets["red"].href, region, fill=0)
        assert landsat_stack.alignment(one, region) == "aligned"
        np.testing.assert_array_equal(landsat_stack.read(one, "red", region), expected)
        lazy = landsat_stack.stack([one], bands=["red"], grid=region).compute()
        np.testing.assert_array_equal(lazy.values[0, 0], expected)

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_a_file_without_projection_takes_that_of_its_item(self, tmp_path):
        grid = scene_grid(64, 48)
        path, values = bare_tiff(tmp_path, grid)
        one = granule("bare", {"red": path}, grid)
        np.testing.assert_array_equal(landsat_stack.read(one, "red", grid), values)

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_no_projection_anywhere_is_refused_by_the_names_of_what_lacks(self, tmp_path):
        grid = scene_grid(64, 48)
        path, _ = bare_tiff(tmp_path, grid)
        one = granule("bare", {"red": path}, None)
        with pytest.raises(RasterError, match=r"bare, red: .*proj:code and proj:transform"):
            landsat_stack.read(one, "red", grid)
        with pytest.raises(RasterError, match="proj:code"):
            landsat_stack.stack([one], bands=["red"], grid=grid).compute()

    @pytest.mark.parametrize(
        ("claimed", "expected"),
        [
            (scene_grid(west=WEST + 300.0), "edges"),
            (PixelGrid("", "EPSG:3976", WEST, NORTH, 30.0, 700, 600), "another projection"),
        ],
    )
    def test_an_item_that_contradicts_its_file_is_refused(self, scene, claimed, expected):
        one = granule("lies", {"red": scene.assets["red"].href}, claimed)
        with pytest.raises(RasterError, match=expected):
            landsat_stack.read(one, "red", scene_grid())


def bare_tiff(folder: Path, grid: PixelGrid) -> tuple[Path, Any]:
    values = pixels(grid.shape, seed=11)
    profile = {"width": grid.nx, "height": grid.ny, "count": 1, "dtype": "uint16"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(folder / "bare.tif", "w", driver="GTiff", **profile) as file:
            file.write(values, 1)
    return folder / "bare.tif", values


class TestTraps:
    """What plain stackstac 0.5.1 does, shown, so that we notice when it no longer does."""

    def plain(self, one: landsat_items.Granule, **options: Any) -> Any:
        import stackstac

        item = pystac.Item.from_dict(landsat_rasters.item(one))
        return stackstac.stack([item], assets=["red"], **options)

    def test_plain_stackstac_finds_no_projection_in_a_current_pystac_item(self, scene):
        with pytest.raises(ValueError, match="Cannot pick a common CRS"):
            self.plain(scene)

    def test_with_a_code_only_it_takes_bounds_from_degrees(self, scene):
        laid = self.plain(scene, epsg=3031, resolution=30)
        assert laid.shape[2:] != scene_grid().shape
        ours = landsat_stack.stack([scene], bands=["red"], grid=scene_grid())
        assert ours.shape[2:] == scene_grid().shape

    def test_it_moves_bounds_off_landsats_lattice(self, scene):
        laid = self.plain(scene, epsg=3031, resolution=30, bounds=scene_grid().bounds)
        assert laid.attrs["transform"].c == scene_grid().west - 15.0

    def test_it_labels_corners_and_makes_floats(self, scene):
        bounds = scene_grid().bounds
        laid = self.plain(scene, epsg=3031, resolution=30, bounds=bounds, snap_bounds=False)
        assert laid.dtype == np.float64
        assert float(laid.x[0]) == scene_grid().x[0] - 15.0
        assert float(laid.y[0]) == scene_grid().y[0] + 15.0

    def test_it_refuses_a_plain_zero_as_fill_of_uint16(self, scene):
        options = {"epsg": 3031, "resolution": 30, "bounds": scene_grid().bounds, "rescale": False}
        with pytest.raises(ValueError, match="incompatible"):
            self.plain(scene, dtype="uint16", fill_value=0, **options)

    def test_it_drops_granules_outside_the_bounds(self, scene):
        import stackstac

        bounds = scene_grid().bounds
        far = granule("far", {"red": scene.assets["red"].href}, scene_grid(west=2_000_025.0))
        items = []
        for one in (scene, far):
            document = landsat_rasters.item(one)
            document["properties"]["proj:epsg"] = 3031
            items.append(document)
        options = {"epsg": 3031, "resolution": 30, "bounds": bounds, "snap_bounds": False}
        assert stackstac.stack(items, assets=["red"], **options).sizes["time"] == 1
        assert landsat_stack.stack([scene, far], bands=["red"], grid=scene_grid()).shape[0] == 2


class TestRefusals:
    def test_a_band_that_the_granule_lacks_is_named_with_those_it_has(self, scene):
        with pytest.raises(RasterError, match="no band 'pan'; it has blue, green, qa_pixel, red"):
            landsat_stack.stack([scene], bands=["pan"], grid=scene_grid())
        with pytest.raises(RasterError, match="no band"):
            landsat_stack.read(scene, "mtl", scene_grid())

    def test_nothing_and_doubles_are_refused(self, scene):
        with pytest.raises(RasterError, match="granules with none"):
            landsat_stack.stack([], bands=["red"], grid=scene_grid())
        with pytest.raises(RasterError, match="bands with none"):
            landsat_stack.stack([scene], bands=[], grid=scene_grid())
        with pytest.raises(RasterError, match="LC08_one more than once"):
            landsat_stack.stack([scene, scene], bands=["red"], grid=scene_grid())

    def test_a_file_that_vanished_fails_and_never_passes_as_fill(self, scene, tmp_path):
        one = granule("gone", {"red": tmp_path / "gone.tif"}, scene_grid())
        lazy = landsat_stack.stack([one], bands=["red"], grid=scene_grid())
        with pytest.raises(RasterError, match=r"gone, red: .*is not there"):
            lazy.compute()


@pytest.mark.realdata
class TestRealScenes:
    """Two Landsat 8 scenes as USGS gives them, overviews of 512 x 512 with oblong pixels."""

    def path(self, data_root: Path, name: str) -> str:
        (found,) = (data_root / "optical" / "imagery").glob(f"{name}_*/*_QA_PIXEL.TIF")
        return str(found)

    def test_greenlands_quality_band_is_gdals_warp(self, data_root):
        path = self.path(data_root, "landsat8_greenland")
        one = granule("LC08_greenland", {"qa_pixel": path}, None)
        with rasterio.open(path) as file:
            grid = snapped(tuple(file.bounds), spacing=300.0, code=f"EPSG:{file.crs.to_epsg()}")
        assert landsat_stack.alignment(one, grid) == "warped"
        found = landsat_stack.read(one, "qa_pixel", grid)
        expected = by_warp(path, grid, fill=1)
        # Among 800 thousand, those whose centre falls on an edge between two pixels.
        assert (found != expected).mean() < 1e-3
        assert np.unique(found).size > 5

    def test_the_antarctic_scene_is_cloud_all_over_and_on_the_named_lattice(self, data_root):
        path = self.path(data_root, "landsat8_antarctica")
        scene = snapped((733_785.0, 224_085.0, 1_004_715.0, 494_415.0))
        assert scene.shape == (9011, 9031)
        one = granule("LC08_antarctica", {"qa_pixel": path}, scene)
        assert landsat_stack.alignment(one, scene) == "aligned"
        with rasterio.open(path) as file:
            everything = file.read(1)
        found = landsat_stack.read(
            one, "qa_pixel", scene.window(slice(4000, 5000), slice(4000, 5000))
        )
        assert set(np.unique(found)) == {55052}
        assert set(np.unique(everything)) == {1, 55052}
