"""Fractures are the same ones after the ice has carried them on."""

import dataclasses
import datetime as dt
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from cluster.ledger import KeyFailed
from pipelines import tables
from pipelines.flows import (
    consistency_results,
    consistency_rift_tables,
    consistency_rifts,
    product_arrays,
)
from pipelines.flows import shelf_damage_fractures as fractures
from pipelines.flows.consistency_arrays import cell_axes, pair_path
from pipelines.flows.consistency_inputs import DamageMap, Shelf
from pipelines.flows.consistency_rifts import KINDS, QUANTITIES, LinkJob
from pipelines.kernels import geodesy
from stac.pixel_grids import PixelGrid

from . import consistency_world as world
from .conftest import opened
from .networks_world import executed, plan_of

CHUNK, CELL_M = 64, 300.0
GRID = PixelGrid("shelf", "EPSG:3031", 1_200_015.0, 600_015.0, 30.0, nx=170, ny=130)
SUMMERS = (2003, 2004, 2006)
STEP = (4.4, 12.3)
"""Rows and columns that the ice moves from map to map [pixels]."""
RUN = SimpleNamespace(product="consistency")


@dataclasses.dataclass(frozen=True)
class Source:
    """A product in memory."""

    group: zarr.Group
    address: str = "memory"
    snapshot: str = "one"

    def open(self):
        return self.group


def boxes(*parts, map_number=0):
    """Damage of rectangles (top, bottom, left, right) at the first map, carried to a later one."""
    made = np.zeros((GRID.ny, GRID.nx), "uint8")
    down, right = (round(map_number * step) for step in STEP)
    for top, bottom, left, end in parts:
        made[top + down : bottom + down, left + right : end + right] = 1
    return made


def seconds(summer):
    return (dt.date(summer, 12, 15) - dt.date(1970, 1, 1)).days * 86_400.0


def shelf_of(maps, *, extent=None):
    """A shelf whose damage maps were drawn, and their fractures told."""
    group = zarr.open_group(MemoryStore(), mode="w")
    shape, source = (GRID.ny, GRID.nx), Source(group)
    for summer, damage in zip(SUMMERS, maps, strict=False):
        made = group.require_group(f"alder/{summer}")
        planes = [
            product_arrays.Array(name, ("y", "x"), shape, (CHUNK, CHUNK), "1", "", "uint8", 255)
            for name in ("damage", "probability", "extent")
        ]
        about = {"spatial:transform": list(GRID.transform)}
        product_arrays.create(made, [*planes, *fractures.arrays(*shape, CHUNK)], about)
        product_arrays.polar_axes(made, {"x": GRID.x, "y": GRID.y})
        made["damage"][...] = damage
        made["probability"][...] = np.where(damage == 255, 255, np.where(damage == 1, 240, 10))
        made["extent"][...] = 1 if extent is None else extent[summer]
        fractures.FractureJob(192)(f"fractures/alder/{summer}", group)
    held = tuple(
        DamageMap("alder", summer, source, GRID, CHUNK, seconds(summer), "Alder")
        for summer in SUMMERS[: len(maps)]
    )
    pairs = tuple(itertools.pairwise(SUMMERS[: len(maps)]))
    return Shelf("alder", held, pairs)


def product(shelf, *, carried=True):
    """The consistency product of a shelf whose pairs were advected."""
    group = zarr.open_group(MemoryStore(), mode="w")
    made = group.require_group("alder")
    made.create_array("time", data=np.array([each.time for each in shelf.maps]))
    node_x, node_y = np.meshgrid(*cell_axes(GRID, CELL_M, halo=1))
    down, right = (30.0 * step if carried else np.nan for step in STEP)
    for pair in shelf.pairs:
        held = group.require_group(pair_path("alder", *pair))
        held.create_array("departure_x", data=node_x - right)
        held.create_array("departure_y", data=node_y + down)
    consistency_rifts.create(group, consistency_rifts.linked_pairs((shelf,)))
    return group


def linked(shelf, group=None):
    """Links of all pairs: kind, earlier and later label."""
    group = product(shelf) if group is None else group
    job = LinkJob((shelf,), CELL_M)
    for pair in shelf.pairs:
        assert job(f"links/alder/{pair[0]}/{pair[1]}", group).state == "done"
    return group


def told(group, shelf, pair=0):
    links = consistency_rift_tables.links_of(group, "alder", shelf.pairs[pair])
    return sorted(
        (KINDS[int(kind)], int(a), int(b))
        for kind, a, b in zip(links["kind"], links["earlier"], links["later"], strict=True)
    )


LONG, SHORT, THIRD = (20, 23, 10, 90), (40, 43, 20, 70), (60, 64, 30, 55)


def test_fractures_that_move_with_the_ice_are_the_same():
    shelf = shelf_of([boxes(LONG, SHORT, THIRD), boxes(LONG, SHORT, THIRD, map_number=1)])
    group = linked(shelf)

    assert told(group, shelf) == [("same", 1, 1), ("same", 2, 2), ("same", 3, 3)]
    links = consistency_rift_tables.links_of(group, "alder", (2003, 2004))
    # drawn on whole pixels and cells of three: each end is good to a cell of 26 and more
    areas = np.array([70 * 3, 50 * 3, 25 * 4]) * 900.0
    assert (links["shared_m2"] > 0.3 * areas).all()
    np.testing.assert_allclose(links["later_x_m"] - links["earlier_x_m"], 12 * 30.0, atol=1.0)
    np.testing.assert_allclose(links["later_y_m"] - links["earlier_y_m"], -4 * 30.0, atol=1.0)


def test_without_the_flow_they_would_be_others():
    # twelve columns apart, as far as the ice moves: the first one comes to lie where the next was
    first, second = (20, 60, 20, 23), (20, 58, 32, 35)
    shelf = shelf_of([boxes(first, second), boxes(first, second, map_number=1)])
    still = product(shelf)
    node_x, node_y = np.meshgrid(*cell_axes(GRID, CELL_M, halo=1))
    pair = still[pair_path("alder", 2003, 2004)]
    pair["departure_x"][...], pair["departure_y"][...] = node_x, node_y

    assert told(linked(shelf), shelf) == [("same", 1, 1), ("same", 2, 2)]
    assert told(linked(shelf, still), shelf) != [("same", 1, 1), ("same", 2, 2)]


def test_a_rift_that_outgrows_another_stays_itself():
    grown = (40, 43, 20, 110)
    shelf = shelf_of([boxes(LONG, SHORT), boxes(LONG, grown, map_number=1)])

    # the numbers of fractures go by size, and change
    assert told(linked(shelf), shelf) == [("same", 1, 2), ("same", 2, 1)]


def test_pieces_and_joined_fractures_are_told():
    whole, left, right = (20, 23, 10, 90), (20, 23, 10, 40), (20, 23, 48, 90)
    split = shelf_of([boxes(whole), boxes(left, right, map_number=1)])
    merged = shelf_of([boxes(left, right), boxes(whole, map_number=1)])

    assert told(linked(split), split) == [("same", 1, 1), ("split", 1, 2)]
    assert told(linked(merged), merged) == [("merged", 2, 1), ("same", 1, 1)]


def test_fractures_come_and_go():
    shelf = shelf_of([boxes(LONG, SHORT), boxes(LONG, THIRD, map_number=1)])

    assert told(linked(shelf), shelf) == [("gone", 2, 0), ("new", 0, 2), ("same", 1, 1)]


def test_what_was_not_seen_is_neither_new_nor_gone():
    before, after = boxes(LONG, SHORT), boxes(LONG, THIRD, map_number=1)
    before[56:75, :] = 255  # where the new one would have been
    after[42:50, :] = 255  # and where the old one would be
    shelf = shelf_of([before, after])
    assert told(linked(shelf), shelf) == [("same", 1, 1), ("unseen", 0, 2), ("unseen", 2, 0)]

    everywhere, front = np.ones(before.shape, "uint8"), np.ones(before.shape, "uint8")
    front[42:50] = 0  # it calved
    calved = shelf_of([before, after], extent={2003: everywhere, 2004: front})
    assert ("gone", 2, 0) in told(linked(calved), calved)


def test_ice_from_beyond_the_map_was_not_seen():
    after = boxes(LONG, map_number=1)
    after[50:80, 2:6] = 1  # twelve columns to the west there is no map
    shelf = shelf_of([boxes(LONG), after])

    assert told(linked(shelf), shelf) == [("same", 1, 1), ("unseen", 0, 2)]


def test_summers_without_fractures_have_no_links():
    nothing = np.zeros((GRID.ny, GRID.nx), "uint8")
    shelf = shelf_of([nothing, nothing])
    group = linked(shelf)

    assert told(group, shelf) == []
    rows = list(consistency_rift_tables.rows(group, RUN, found(shelf)))
    assert [row.value for row in rows] == [0.0, 0.0, 0.0, 0.0]


def found(shelf):
    return SimpleNamespace(shelves=(shelf,), region_set="shelves")


def test_growth_is_the_new_length_of_rifts_that_lasted():
    grown = (20, 23, 10, 110)
    shelf = shelf_of([boxes(LONG, THIRD), boxes(grown, THIRD, map_number=1)])
    rows = list(consistency_rift_tables.rows(linked(shelf), RUN, found(shelf)))

    written = tables.write_rows(rows)
    assert tables.write_rows(tables.read_rows(written)) == written
    by_name = {row.quantity: row for row in rows}
    latitude, _ = geodesy.inverse_polar_stereographic(np.array([GRID.x[60]]), GRID.y[20:21])
    years = (seconds(2004) - seconds(2003)) / (365.25 * 86_400.0)
    # 20 pixels along a row, where paths are exact; the third one is shorter than a rift
    expected = 20 * 0.03 / geodesy.map_scale(latitude)[0] / years
    assert by_name["rift_growth"].value == pytest.approx(expected, rel=1e-4)
    assert by_name["rift_growth"].unit == "km yr-1"
    assert by_name["rifts_continued"].value == 1.0
    assert by_name["rifts_new"].value == by_name["rifts_gone"].value == 0.0
    assert by_name["rift_growth"].period_start == dt.date(2003, 12, 15)


def test_identities_last_through_the_series():
    maps = [boxes(LONG, SHORT), boxes(SHORT, THIRD, map_number=1),
            boxes(THIRD, (40, 43, 20, 110), LONG, map_number=2)]  # fmt: skip
    shelf = shelf_of(maps)
    group = linked(shelf)
    made = consistency_rift_tables.identities(group, shelf)

    # by size, 2003: long, short; 2004: short, third; 2006: the grown short one, long anew, third
    assert made[2003].tolist() == [0, 1, 2]
    assert made[2004].tolist() == [0, 2, 3]
    assert made[2006].tolist() == [0, 2, 4, 3]
    rows = list(consistency_rift_tables.track_rows(group, RUN, found(shelf)))
    history = [row for row in rows if "identity=2;" in row.note]
    assert [row.period_start.year for row in history] == [2003, 2004, 2006]
    lengths = [row.value for row in history]
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-3)
    assert lengths[2] - lengths[1] == pytest.approx(40 * 0.03, rel=0.02)
    assert not any("identity=3;" in row.note for row in rows)  # never as long as a rift


def test_summers_that_were_not_linked_begin_anew():
    shelf = shelf_of([boxes(LONG), boxes(LONG, map_number=1), boxes(LONG, map_number=2)])
    group = product(shelf)
    LinkJob((shelf,), CELL_M)("links/alder/2004/2006", group)

    made = consistency_rift_tables.identities(group, shelf)
    rows = list(consistency_rift_tables.rows(group, RUN, found(shelf)))

    assert {summer: each.tolist() for summer, each in made.items()} == {2004: [0, 1], 2006: [0, 1]}
    assert all(np.isnan(row.value) and "not_linked" in row.note for row in rows[:4])
    assert rows[4].value == 1.0


def test_neither_blocks_nor_repetition_show(monkeypatch):
    shelf = shelf_of([boxes(LONG, SHORT), boxes(LONG, THIRD, map_number=1)])
    group = linked(shelf)
    once = group[f"{pair_path('alder', 2003, 2004)}/link"][...]
    linked(shelf, group)
    np.testing.assert_array_equal(group[f"{pair_path('alder', 2003, 2004)}/link"][...], once)

    monkeypatch.setattr(consistency_rifts, "_BLOCK", 16)
    small = linked(shelf)
    np.testing.assert_array_equal(small[f"{pair_path('alder', 2003, 2004)}/link"][...], once)


def test_large_shelves_are_linked_on_wider_cells(monkeypatch):
    monkeypatch.setattr(consistency_rifts, "MOST_CELLS", 30 * 30)
    shelf = shelf_of([boxes(LONG, SHORT), boxes(LONG, SHORT, map_number=1)])
    group = linked(shelf)

    record = group[f"{pair_path('alder', 2003, 2004)}/link_record"][...]
    assert record[0] == 150.0
    assert told(group, shelf) == [("same", 1, 1), ("same", 2, 2)]


def test_pairs_without_advection_or_fractures_fail():
    shelf = shelf_of([boxes(LONG), boxes(LONG, map_number=1)])
    key = "links/alder/2003/2004"
    with pytest.raises(KeyFailed, match="was not advected"):
        LinkJob((shelf,), CELL_M)(key, product(shelf, carried=False))

    group = product(shelf)
    shelf.maps[0].source.open()["alder/2003/fracture_left_out"][...] = np.nan
    with pytest.raises(KeyFailed, match="fractures of alder/2003 were not told"):
        LinkJob((shelf,), CELL_M)(key, group)


def test_products_without_fractures_have_no_pairs_to_link():
    shelf = shelf_of([boxes(LONG), boxes(LONG, map_number=1)])
    del shelf.maps[1].source.open()["alder/2004/fracture_table"]

    assert consistency_rifts.linked_pairs((shelf,)) == ()
    group = zarr.open_group(MemoryStore(), mode="w")
    group.require_group(pair_path("alder", 2003, 2004))
    assert consistency_rift_tables.links_of(group, "alder", (2003, 2004)) is None
    assert len(QUANTITIES) == 11


@pytest.mark.slow
def test_a_run_links_the_fractures_of_a_turning_shelf(tmp_path, monkeypatch):
    days = {2003: "2003-12-10", 2004: "2005-02-08", 2005: "2005-12-20"}
    turn = 0.1  # rad in a year: 400 m at the rim, 13 pixels

    def with_fractures(made, shelf, held):
        plain(made, shelf, held)
        shape = held.damage.shape
        more = [
            product_arrays.Array(name, ("y", "x"), shape, (64, 64), "1", "", "uint8")
            for name in ("probability", "extent")
        ]
        product_arrays.create(made, [*more, *fractures.arrays(*shape, 64)], {})
        product_arrays.polar_axes(made, {"x": world.GRID.x, "y": world.GRID.y})
        made["probability"][...] = np.where(held.damage == 1, 240, 10)
        made["extent"][...] = held.damage != 255
        path = f"{shelf}/{made.path.split('/')[-1]}"
        fractures.FractureJob(128)(f"fractures/{path}", zarr.open_group(made.store, mode="r+"))

    plain = world.write_summer
    monkeypatch.setattr(world, "write_summer", with_fractures)
    monkeypatch.setattr(consistency_results, "pictures", lambda *_: {})
    x, y = np.meshgrid(*world.velocity_axes())
    velocity = (-turn * (y - world.MIDDLE[1]), turn * (x - world.MIDDLE[0]))
    path = world.write_velocity(tmp_path / "turning", world.STATIC, *velocity)
    world.add_velocity(tmp_path / "catalogue", "turning", [path])
    maps = {}
    for summer, day in days.items():
        angle = turn * world.years_between(days[2003], day)
        maps[summer] = world.Held(world.damage_map(world.rotation(*world.pixels(), -angle)), (day,))
    world.write_damage(tmp_path / "damage", {"wheel": maps})
    document = world.document(
        tmp_path / "catalogue", tmp_path / "damage", ["turning"], changes=False
    )

    plan = plan_of(document, tmp_path)
    outcome = executed(plan)

    assert [stage.name for stage in plan.stages] == ["density", "pair", "links"]
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    group = opened(tmp_path / "out")
    for pair in ("2003-2004", "2004-2005"):
        link = group[f"wheel/{pair}/link"][...]
        link = link[np.isfinite(link[:, 0])]
        same = link[link[:, 2] == consistency_rifts.SAME]
        # the ice turns as a whole: every fracture but those cut anew by the round rim is the same,
        # where it was: turned places agree to two cells
        assert len(same) >= 0.9 * link[:, 0].max()
        first, last = (days[int(summer)] for summer in pair.split("-"))
        angle = turn * world.years_between(first, last)
        to_x, to_y = world.rotation(same[:, 7], same[:, 8], angle)
        far = np.hypot(to_x - same[:, 9], to_y - same[:, 10])
        assert np.median(far) < 90.0
    rows = tables.read_rows((tmp_path / "out/tables/rifts.csv").read_bytes())
    assert {row.quantity for row in rows} == {
        "rifts_continued", "rifts_new", "rifts_gone", "rift_growth",
    }  # fmt: skip
    tracks = tables.read_rows((tmp_path / "out/tables/rift_tracks.csv").read_bytes())
    lasting = [row.note.split(";")[0] for row in tracks]
    assert max(lasting.count(each) for each in lasting) == 3
