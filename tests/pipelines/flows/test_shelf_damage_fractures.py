"""Fractures of a summer are those of the whole map, however it is cut."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from scipy import ndimage
from zarr.storage import MemoryStore

from pipelines import stored, tables
from pipelines.figures import canvas
from pipelines.flows import product_arrays, shelf_damage_roses
from pipelines.flows import shelf_damage_fractures as fractures
from pipelines.flows.shelf_damage_fractures import FractureJob
from pipelines.kernels import geodesy
from tests.fixtures import pictures

SPACING, CHUNK = 30.0, 32
WEST, NORTH = -2_300_000.0, 1_250_000.0
KEY, PATH = "fractures/alder/2005", "alder/2005"
SHAPE = (220, 250)
RUN = SimpleNamespace(
    product="shelf_damage", regions="shelves", period=(dt.date(2005, 1, 1), dt.date(2006, 12, 31))
)


def summer(damage, probability=None, extent=None, *, most=200):
    """A product with one summer; damage 0, 1, 255."""
    group = zarr.open_group(MemoryStore(), mode="w")
    made = group.require_group(PATH)
    ny, nx = damage.shape
    more = [each for each in fractures.arrays(ny, nx, CHUNK) if each.name != "fracture_table"]
    columns = len(fractures.QUANTITIES)
    table = product_arrays.whole("fracture_table", ("row", "column"), (most, columns), "1", "")
    planes = [
        product_arrays.Array(name, ("y", "x"), damage.shape, (CHUNK, CHUNK), "1", "", "uint8", 255)
        for name in ("damage", "probability", "extent")
    ]
    transform = [SPACING, 0.0, WEST, 0.0, -SPACING, NORTH]
    product_arrays.create(made, [*planes, *more, table], {"spatial:transform": transform})
    x, y = (np.arange(n) * SPACING + SPACING / 2 for n in (nx, ny))
    product_arrays.polar_axes(made, {"x": WEST + x, "y": NORTH - y})
    fractures.name_quantities(made)
    likely = np.where(damage == 1, 225, 25) if probability is None else probability
    made["damage"][...] = damage
    made["probability"][...] = np.where(damage == 255, 255, likely).astype("uint8")
    made["extent"][...] = np.ones(damage.shape, "uint8") if extent is None else extent
    return group


def done(group, *, side=64, **more):
    more.setdefault("most", 200)
    receipt = FractureJob(side, **more)(KEY, group)
    assert receipt.state == "done"
    return group[PATH], fractures.table_of(group[PATH]), receipt.note


def drawn(angle, *, length, width=3.0, centre=(110.3, 124.6)):
    """Pixels whose centres lie in a rectangle that runs at an angle, north up."""
    row, column = np.indices(SHAPE)
    east, north = column - centre[1], -(row - centre[0])
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    inside = (abs(east * c + north * s) <= length / 2) & (abs(north * c - east * s) <= width / 2)
    return inside.astype("uint8")


def between(one, other):
    return abs((one - other + 90.0) % 180.0 - 90.0)


def shelf(seed=3):
    """Smooth blobs and lines of many sizes, unknown ground, speckle."""
    rng = np.random.default_rng(seed)
    wavy = ndimage.gaussian_filter(rng.standard_normal(SHAPE), (2.0, 6.0))
    damage = (wavy > np.quantile(wavy, 0.8)).astype("uint8")
    damage |= drawn(35.0, length=200.0)
    damage[:20], damage[60:70, 200:] = 255, 255
    probability = np.clip(np.rint(130 + 800 * wavy), 0, 250)
    extent = np.ones(SHAPE, "uint8")
    extent[:20] = 0
    return damage, probability, extent


def scale_at(row, column):
    x, y = WEST + (column + 0.5) * SPACING, NORTH - (row + 0.5) * SPACING
    return geodesy.map_scale(geodesy.inverse_polar_stereographic(np.array([x]), np.array([y]))[0])


def test_fractures_are_the_bodies_of_the_whole_map():
    damage, probability, extent = shelf()
    made, table, _ = done(summer(damage, probability, extent), side=64)

    # an independent count: bodies of the whole map, ranked by their pixels
    label, count = ndimage.label(damage == 1, np.ones((3, 3)))
    pixels = np.bincount(label.ravel())[1:]
    order = np.argsort(-pixels, kind="stable")[: int((pixels >= 10).sum())]
    expected = np.zeros(count + 1, int)
    expected[order + 1] = np.arange(order.size) + 1
    assert order.size > 20
    np.testing.assert_array_equal(made["fracture"][...], expected[label])
    np.testing.assert_array_equal(table["pixels"], pixels[order])
    mean = ndimage.mean(probability / 250.0, label, order + 1)
    np.testing.assert_allclose(table["probability"], mean, rtol=1e-6)  # stored in single precision
    assert made["fracture_left_out"][...].tolist() == [count - order.size, 0]


def test_the_table_does_not_show_how_the_map_was_cut():
    damage, probability, extent = shelf()
    _, whole, _ = done(summer(damage, probability, extent), side=256)

    for side in (32, 64, 96):
        made, table, _ = done(summer(damage, probability, extent), side=side)
        assert list(table) == list(whole)
        for name in table:
            # sums of blocks differ by their rounding; axes of windows, of single precision, by a
            # degree where two peaks are equal
            loose = 0.5 if name.startswith("orientation") else 1e-9
            np.testing.assert_allclose(table[name], whole[name], rtol=1e-9, atol=loose)
        assert made["fracture"][...].max() == whole["label"].size


@pytest.mark.parametrize("angle", [-70.0, -45.0, 0.0, 20.0, 60.0, 90.0])
def test_a_drawn_line_is_measured_as_it_was_drawn(angle):
    _, table, _ = done(summer(drawn(angle, length=160.0)), side=64)
    true = 160.0 * SPACING / scale_at(110.3, 124.6)[0]

    assert table["label"].tolist() == [1.0]
    # steps of knight's moves are up to 2.8 % too long, and each end is good to a pixel
    assert -2.0 * SPACING <= table["length_m"][0] - true <= 0.028 * true + 2.0 * SPACING
    assert table["straight_length_m"][0] == pytest.approx(true, abs=2.0 * SPACING)
    # three pixels wide; the path makes length up to 2.8 % and two ends of 160 too large
    assert table["width_m"][0] == pytest.approx(3.0 * SPACING, abs=0.5 * SPACING)
    # an end moved by half a pixel turns the axis by a fifth of a degree
    assert between(table["axis_deg"][0], angle) < 0.5
    # a window of 16 pixels tells directions four degrees apart, and twenty of them better;
    # windows that show a corner of the line disagree
    assert between(table["orientation_deg"][0], angle) < 4.0
    assert table["orientation_spread_deg"][0] < 15.0
    assert table["x_m"][0] == pytest.approx(WEST + 125.1 * SPACING, abs=SPACING)
    assert table["y_m"][0] == pytest.approx(NORTH - 110.8 * SPACING, abs=SPACING)


def test_areas_are_true_ones():
    damage = drawn(10.0, length=100.0, width=20.0)
    _, table, _ = done(summer(damage))

    scale = scale_at(110.3, 124.6)[0]
    assert scale > 1.001  # at 64° S, where the map is 2 % too large
    # the scale changes by 1e-5 over these 3 km
    expected = damage.sum() * SPACING**2 / scale**2
    assert table["area_m2"][0] == pytest.approx(expected, rel=1e-4)


def test_a_bent_fracture_is_as_long_as_its_path():
    row, column = np.indices(SHAPE)
    radius, turn = np.hypot(row - 110, column - 125), np.arctan2(110 - row, column - 125)
    arc = ((abs(radius - 80.0) <= 1.5) & (abs(turn) <= np.radians(135.0))).astype("uint8")
    _, table, _ = done(summer(arc), side=32)

    true = 80.0 * np.radians(270.0) * SPACING / scale_at(110, 125)[0]
    # along the inner side at radius 78.5; steps; ends
    assert 0.98 * true - 60.0 <= table["length_m"][0] <= 1.028 * true + 60.0
    assert table["straight_length_m"][0] < 0.75 * true
    assert table["orientation_spread_deg"][0] > 20.0


def test_a_body_too_wide_for_memory_is_measured_on_wider_cells(monkeypatch):
    damage = drawn(25.0, length=200.0)
    _, exact, _ = done(summer(damage))
    monkeypatch.setattr(fractures, "MOST_BOX", 60 * 60)
    _, coarse, _ = done(summer(damage))

    assert exact["length_by"].tolist() == [1.0]
    assert coarse["length_by"].tolist() == [2.0]
    # good to two cells of four pixels, and steps of wide bodies that cut corners
    assert coarse["length_m"][0] == pytest.approx(exact["length_m"][0], abs=8 * SPACING)


def test_fractures_at_the_end_of_the_shelf_are_told():
    damage = drawn(0.0, length=40.0, centre=(30.0, 60.0))
    damage |= drawn(0.0, length=30.0, centre=(100.0, 60.0))
    damage |= drawn(0.0, length=20.0, centre=(150.0, 239.0))
    extent = np.ones(SHAPE, "uint8")
    extent[:29] = 0
    _, table, _ = done(summer(np.where(extent == 0, 255, damage), extent=extent))

    # the second one lies inside; the third one ends with the map
    assert table["touches_edge"].tolist() == [1.0, 0.0, 1.0]


def test_a_map_without_damage_has_no_fractures():
    for nothing in (np.zeros(SHAPE, "uint8"), np.full(SHAPE, 255, "uint8")):
        group = summer(nothing)
        made, table, note = done(group)
        told = fractures.rows(group, RUN, "alder", 2005)

        assert table["label"].size == 0
        assert not made["fracture"][...].any()
        assert note.startswith("0 fractures")
        assert [row.value for row in told[:3]] == [0.0, 0.0, 0.0]
        assert np.isnan(told[3].value)


def test_unknown_pixels_are_no_fracture():
    damage = drawn(0.0, length=100.0)
    damage[:, 120:130] = 255
    made, table, _ = done(summer(damage))

    assert table["label"].size == 2
    assert not made["fracture"][:, 120:130].any()


def test_the_largest_are_kept_and_the_rest_counted():
    damage = np.zeros(SHAPE, "uint8")
    for k in range(6):
        damage[10 + 30 * k, 20 : 30 + 10 * k] = 1
    damage[5, 100:103] = 1
    made, table, note = done(summer(damage, most=3), most=3)

    assert table["pixels"].tolist() == [60.0, 50.0, 40.0]
    assert made["fracture_left_out"][...].tolist() == [1.0, 3.0]
    assert "3 beyond the largest 3" in note
    assert np.unique(made["fracture"][...]).tolist() == [0, 1, 2, 3]


def test_killed_half_way_and_done_again_is_the_same(monkeypatch):
    damage, probability, extent = shelf()
    expected, told, _ = done(summer(damage, probability, extent))
    group = summer(damage, probability, extent)
    group[PATH]["fracture"][...] = 7  # what an earlier map left
    write, left = stored.write, [6]

    def killed(*more):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(*more)

    monkeypatch.setattr(stored, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        done(group)
    monkeypatch.setattr(stored, "write", write)
    made, table, _ = done(group)

    np.testing.assert_array_equal(made["fracture"][...], expected["fracture"][...])
    for name in table:
        np.testing.assert_array_equal(table[name], told[name])


def test_rows_sum_the_table():
    damage = drawn(30.0, length=120.0) | drawn(30.0, length=60.0, centre=(180.0, 60.0))
    group = summer(damage)
    _, table, _ = done(group)
    told = {row.quantity: row for row in fractures.rows(group, RUN, "alder", 2005)}

    assert tables.read_rows(tables.write_rows(told.values())) == list(told.values())
    assert told["fracture_count"].value == 2.0
    # two fractures that are there with 0.9: variance 2 · 0.9 · 0.1
    assert told["fracture_count"].uncertainty == pytest.approx(np.sqrt(0.18), rel=1e-3)
    assert told["fracture_length"].value == pytest.approx(table["length_m"].sum() / 1000.0)
    assert told["longest_fracture"].value == pytest.approx(3.6, abs=0.2)
    assert between(told["mean_orientation"].value, 30.0) < 4.0
    assert told["mean_orientation"].uncertainty < 4.0
    assert told["fracture_count"].period_start == dt.date(2005, 11, 1)


def test_a_summer_that_was_not_measured_has_no_numbers():
    rows = fractures.rows(summer(drawn(30.0, length=120.0)), RUN, "alder", 2005)

    assert [row.quantity for row in rows] == list(fractures.UNITS)
    assert all(np.isnan(row.value) and row.note == "reason=not_done" for row in rows)


def test_roses_show_summers_that_were_measured():
    group = summer(drawn(30.0, length=120.0))
    assert shelf_damage_roses.drawn(group, "alder", [2005]) is None

    done(group)
    assert pictures.count(shelf_damage_roses.drawn(group, "alder", [2005]), canvas.BLUE) > 500


def test_blocks_that_cut_windows_are_refused():
    with pytest.raises(ValueError, match="blocks of 36 pixels, expected a multiple of the 8"):
        FractureJob(36)(KEY, summer(np.zeros(SHAPE, "uint8")))
