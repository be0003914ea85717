"""The velocity between two maps: frames, years, gaps, and cells no finer than are needed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipelines.flows import consistency_velocity
from pipelines.flows.catalogue_inputs import source_of
from pipelines.flows.consistency_inputs import Flow, flow_of
from pipelines.kernels import geodesy
from pipelines.kernels.damage.flow_field import velocity_at
from stac.catalogue import open_catalogue

from . import consistency_world as world

BOX = (world.GRID.west, world.GRID.west + 9900.0, world.GRID.north - 8700.0, world.GRID.north)
CHOICES = consistency_velocity.Choices(cell_m=900.0, within_years=2.0, reach_m=0.0)


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Flow]:
    """Ingest maps of 2003, 2005 and 2010 and one of no year; that of 2005 lacks the east."""
    folder: Path = tmp_path_factory.mktemp("velocities")
    x, _ = world.velocity_axes()
    gap = np.where(x > world.MIDDLE[0], np.nan, 500.0)[None, :]
    paths = [
        world.write_velocity(folder, world.annual(2003), 300.0, 10.0),
        world.write_velocity(folder, world.annual(2005), gap, 10.0),
        world.write_velocity(folder, world.annual(2010), 900.0, 10.0),
        world.write_velocity(folder, world.STATIC, 100.0, 10.0),
    ]
    world.add_velocity(folder / "catalogue", "v", paths)
    items = open_catalogue(str(folder / "catalogue")).search("v")
    made = {str(item.properties["start_datetime"])[:4]: flow_of(item, "refuse") for item in items}
    assert sorted(made) == ["2003", "2005", "2010", "2014"]
    return made


def speed(used: consistency_velocity.Used, time: float, east: float) -> float:
    """Return the eastward velocity at a distance from the middle."""
    x, y = np.array([world.MIDDLE[0] + east]), np.array([world.MIDDLE[1]])
    return float(velocity_at(used.field, x, y, time=time)[0][0])


def between(flows: list[Flow], first: float, last: float, **choices: float):
    made = dataclasses.replace(CHOICES, **choices)
    return consistency_velocity.between(flows, BOX, earlier=first, later=last, choices=made)


def test_maps_of_years_are_linear_between_their_middles(flows):
    used = between([flows["2003"], flows["2005"]], 2003.9, 2004.9)

    assert speed(used, 2004.5, -3000.0) == pytest.approx(400.0, abs=0.3)
    assert speed(used, 2003.0, -3000.0) == pytest.approx(300.0)
    assert len(used.ids) == 2


def test_gaps_of_a_year_are_filled_from_the_nearest_year_then_from_maps_of_none(flows):
    both = between([flows["2003"], flows["2005"], flows["2014"]], 2003.9, 2004.9)
    alone = between([flows["2005"], flows["2014"]], 2003.9, 2004.9)

    assert speed(both, 2005.5, 3000.0) == pytest.approx(300.0)
    assert speed(alone, 2005.5, 3000.0) == pytest.approx(100.0)
    assert speed(alone, 2005.5, -3000.0) == pytest.approx(500.0)


def test_years_that_are_far_yield_to_maps_of_no_year_and_stand_in_only_alone(flows):
    yielding = between([flows["2010"], flows["2014"]], 2003.9, 2004.9)
    alone = between([flows["2003"], flows["2010"]], 2006.0, 2007.0)

    assert speed(yielding, 2004.0, 0.0) == pytest.approx(100.0)
    assert yielding.note == ""
    assert speed(alone, 2006.5, 0.0) == pytest.approx(300.0)
    assert alone.note == "velocity of 2003.5 stands for 2006.0 to 2007.0"


def test_only_years_next_to_the_pair_are_read(flows):
    used = between([flows["2003"], flows["2005"], flows["2010"]], 2003.9, 2004.9, within_years=50)

    assert len(used.field.times) == 2


def test_true_metres_become_those_of_the_map(flows):
    on_ground = dataclasses.replace(flows["2014"], frame="ground")
    latitude, _ = geodesy.inverse_polar_stereographic(*map(np.array, world.MIDDLE))

    here = speed(between([on_ground], 2004.0, 2005.0), 2004.0, 0.0)
    assert here == pytest.approx(100.0 * float(geodesy.map_scale(latitude)), rel=1e-4)
    assert here < 99.0


def test_maps_finer_than_half_a_cell_are_averaged(tmp_path):
    x, y = world.velocity_axes(150.0)
    rough = 200.0 + 50.0 * (-1.0) ** (np.arange(x.size)[None, :] + np.arange(y.size)[:, None])
    path = world.write_velocity(tmp_path, world.STATIC, rough, 0.0, spacing=150.0)
    world.add_velocity(tmp_path / "catalogue", "v", [path])
    (item,) = open_catalogue(str(tmp_path / "catalogue")).search("v")
    flow = dataclasses.replace(flow_of(item, "map"), source=source_of(item))
    field = between([flow], 2004.0, 2005.0).field

    assert field.spacing == pytest.approx(450.0)
    # Nine cells that alternate leave a ninth of the difference.
    np.testing.assert_allclose(field.v_x[0, 3:-3, 3:-3], 200.0, atol=50.0 / 9.0 + 1e-6)
