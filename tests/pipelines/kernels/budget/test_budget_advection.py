"""Flux out of a mask that moves with the ice, against closed forms and line integrals."""

from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.kernels import geodesy
from pipelines.kernels.budget import advection, flux_gate
from pipelines.kernels.budget.advection import AdvectionError

NAN = np.nan
DENSITY = 917.0


@dataclass
class World:
    """A round ice sheet of 1000 km around the pole, or beside it, that flows away from a point."""

    spacing: float
    centre: tuple[float, float] = (0.0, 0.0)
    radius: float = 1.0e6
    scaled: bool = True

    def __post_init__(self):
        half = self.radius + 12.0 * self.spacing
        n = int(np.ceil(half / self.spacing))
        offset = np.arange(-n, n + 1) * self.spacing
        self.x, self.y = self.centre[0] + offset, self.centre[1] - offset
        self.thickness, self.v_x, self.v_y, self.k = self.at(*np.meshgrid(self.x, self.y))
        distance = np.hypot(*np.meshgrid(self.x - self.centre[0], self.y - self.centre[1]))
        self.region = np.where(distance < self.radius, 0, -1)

    def at(self, x, y):
        """Thickness, velocity on the ground and k anywhere on the map."""
        d_x, d_y = x - self.centre[0], y - self.centre[1]
        thickness = 2000.0 - 1.2e-3 * np.hypot(d_x, d_y) + 300.0 * np.cos(np.arctan2(d_y, d_x))
        speed = 4.0e-4 * (1.0 + 0.3 * np.sin(2.0 * np.arctan2(d_y, d_x)))
        latitude, _ = geodesy.inverse_polar_stereographic(x, y)
        k = geodesy.map_scale(latitude) if self.scaled else np.ones(np.shape(x))
        return thickness, speed * d_x, speed * d_y, k

    def exact(self):
        """The flux through the circle, by the rule of equal angles, which is exact to rounding."""
        angle = np.linspace(0.0, 2.0 * np.pi, 7200, endpoint=False)
        normal = np.cos(angle), np.sin(angle)
        x, y = (c + self.radius * n for c, n in zip(self.centre, normal, strict=True))
        thickness, v_x, v_y, k = self.at(x, y)
        width = self.radius * (angle[1] - angle[0]) / k
        return float(np.sum(DENSITY * thickness * (v_x * normal[0] + v_y * normal[1]) * width))

    def flux(self, **choices):
        choices = {"density": DENSITY, "n_regions": 1} | choices
        fields = self.thickness, self.v_x, self.v_y, self.region, self.k
        return advection.mask_flux(*fields, self.x, self.y, **choices)


@pytest.mark.parametrize("scheme", ["forward", "centred"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (9.0e5, -6.0e5)])
def test_a_round_sheet_loses_what_crosses_its_circle(centre, scaled, scheme):
    world = World(4000.0, centre, scaled=scaled)
    found = world.flux(scheme=scheme)
    # The fastest ice crosses a cell of 4 km: 0.4 % of the radius.
    assert found.flux[0] == pytest.approx(world.exact(), rel=0.01)
    assert found.missing[0] == 0.0


def test_the_forward_error_shrinks_with_the_cell_and_the_centred_one_is_small_at_once():
    errors = {"forward": [], "centred": []}
    for spacing in (20_000.0, 10_000.0, 5_000.0, 2_500.0):
        world = World(spacing, (9.0e5, -6.0e5))
        for scheme, found in errors.items():
            found.append(abs(world.flux(scheme=scheme).flux[0] / world.exact() - 1.0))
    for coarse, fine in zip(errors["forward"], errors["forward"][1:], strict=False):
        assert fine < 0.7 * coarse
    assert errors["forward"][-1] < 0.005
    # What is left is the staircase of the mask, whose area is that of the circle to 0.1 %.
    assert max(errors["centred"]) < 0.005


def test_the_scale_factor_is_worth_percents_away_from_71_degrees_south():
    world = World(5000.0, radius=1.5e6)
    without = World(5000.0, radius=1.5e6, scaled=False)
    ratio = without.flux(scheme="centred").flux[0] / world.flux(scheme="centred").flux[0]
    k = float(geodesy.map_scale(geodesy.inverse_polar_stereographic(
        np.array(1.5e6), np.array(0.0))[0]))  # fmt: skip
    assert ratio == pytest.approx(k, abs=5e-4)
    assert abs(k - 1.0) > 0.01


def test_it_agrees_with_a_gate_drawn_along_the_edge():
    world = World(4000.0, (9.0e5, -6.0e5))
    angle = np.linspace(2.0 * np.pi, 0.0, 2001)
    x, y = (
        c + world.radius * f(angle) for c, f in zip(world.centre, (np.cos, np.sin), strict=True)
    )
    mid_x, mid_y = (x[1:] + x[:-1]) / 2.0, (y[1:] + y[:-1]) / 2.0
    thickness, v_x, v_y, k = world.at(mid_x, mid_y)
    w_x, w_y = flux_gate.outward_widths(x, y, map_over_true=k)
    gate = flux_gate.segment_flux(thickness, v_x, v_y, w_x, w_y, density=DENSITY).sum()
    assert world.flux().flux[0] == pytest.approx(gate, rel=0.01)


def test_quarters_lose_what_crosses_their_arcs_and_sum_to_the_whole():
    world = World(4000.0, (9.0e5, -6.0e5))
    whole = world.flux(scheme="centred").flux[0]
    east, north = np.meshgrid(world.x > world.centre[0], world.y > world.centre[1])
    quarter = 2 * east + north
    world.region = np.where(world.region == 0, quarter, -1)

    found = world.flux(scheme="centred", n_regions=4).flux

    angle = (np.arange(40_000) + 0.5) * 2.0 * np.pi / 40_000
    n_x, n_y = np.cos(angle), np.sin(angle)
    thickness, v_x, v_y, k = world.at(
        world.centre[0] + world.radius * n_x, world.centre[1] + world.radius * n_y
    )
    flux = DENSITY * thickness * (v_x * n_x + v_y * n_y) * world.radius * angle[0] * 2.0 / k
    expected = np.bincount(2 * (n_x > 0) + (n_y > 0), flux)
    np.testing.assert_allclose(found, expected, rtol=0.01)
    assert found.sum() == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("scheme", ["forward", "centred"])
def test_uniform_flow_leaves_nothing_behind(scheme):
    world = World(10_000.0, scaled=False)
    world.thickness[:] = 1000.0
    world.v_x[:], world.v_y[:] = 300.0, -40.0
    found = world.flux(scheme=scheme).flux[0]
    through = DENSITY * 1000.0 * 2.0 * world.radius * np.hypot(300.0, 40.0)
    assert abs(found) < 1e-9 * through


def test_two_halves_of_uniform_flow_are_a_gain_and_a_loss_of_the_width_of_the_sheet():
    world = World(10_000.0, scaled=False)
    world.thickness[:] = 1000.0
    world.v_x[:], world.v_y[:] = 300.0, 0.0
    east = np.broadcast_to(world.x > 0.0, world.region.shape)
    world.region = np.where(world.region == 0, east.astype(int), -1)
    found = world.flux(n_regions=2).flux
    through = DENSITY * 1000.0 * 300.0 * 2.0 * world.radius
    np.testing.assert_allclose(found, [-through, through], rtol=0.01)


@pytest.mark.parametrize("scheme", ["forward", "centred"])
def test_the_sign_turns_with_the_flow(scheme):
    world = World(5000.0)
    out = world.flux(scheme=scheme).flux[0]
    world.v_x, world.v_y = -world.v_x, -world.v_y
    back = world.flux(scheme=scheme).flux[0]
    assert back == pytest.approx(-out, rel=1e-9 if scheme == "centred" else 0.02)


@pytest.mark.parametrize("scheme", ["forward", "centred"])
def test_turning_and_transposing_the_grid_changes_nothing(scheme):
    world = World(10_000.0, (9.0e5, -6.0e5))
    expected = world.flux(scheme=scheme).flux
    fields = (world.thickness, world.v_x, world.v_y, world.region, world.k)
    choices = {"density": DENSITY, "n_regions": 1, "scheme": scheme}
    upward = advection.mask_flux(
        *(field[::-1] for field in fields), world.x, world.y[::-1], **choices
    )
    h, v_x, v_y, region, k = (field.T for field in fields)
    transposed = advection.mask_flux(h, v_y, v_x, region, k, world.y, world.x, **choices)
    np.testing.assert_allclose(upward.flux, expected, rtol=1e-12)
    np.testing.assert_allclose(transposed.flux, expected, rtol=1e-12)


def test_ice_at_a_cliff_needs_no_values_in_the_sea():
    world = World(4000.0)
    expected = world.flux().flux
    for field in (world.thickness, world.v_x, world.v_y):
        field[world.region < 0] = NAN
    np.testing.assert_allclose(world.flux().flux, expected, rtol=1e-12)
    with pytest.raises(AdvectionError, match="use the forward scheme"):
        world.flux(scheme="centred")


def test_gaps_deep_inside_do_not_matter_and_gaps_at_the_edge_are_told():
    world = World(10_000.0)
    expected = world.flux().flux[0]
    middle = len(world.y) // 2
    world.v_x[middle, middle] = NAN
    assert world.flux().flux[0] == expected
    edge = np.flatnonzero(world.region[middle] == 0)[-1]
    world.thickness[middle - 3 : middle + 4, edge - 2 : edge + 1] = NAN

    found = world.flux()
    allowed = world.flux(largest_gap=0.05)

    assert np.isnan(found.flux[0])
    assert 0.0 < found.missing[0] < 0.05
    assert 0.9 * expected < allowed.flux[0] < expected


def test_ice_at_rest_loses_nothing_and_a_region_without_cells_is_unknown():
    world = World(20_000.0)
    world.v_x[:], world.v_y[:] = 0.0, 0.0
    found = world.flux(n_regions=2)
    np.testing.assert_array_equal(found.flux, [0.0, NAN])
    assert found.step == np.inf


def test_the_moment_is_that_in_which_the_fastest_edge_crosses_a_cell():
    world = World(10_000.0, scaled=False)
    inside = world.region == 0
    fastest = np.hypot(world.v_x, world.v_y)[inside].max()
    assert world.flux().step == pytest.approx(10_000.0 / fastest)
    assert world.flux(pixels=0.5).step == pytest.approx(5_000.0 / fastest)


def test_refusals():
    world = World(50_000.0)
    with pytest.raises(AdvectionError, match="found regions -1 to 0, expected −1 to -1"):
        world.flux(n_regions=0)
    with pytest.raises(AdvectionError, match="the scheme 'upwind'"):
        world.flux(scheme="upwind")
    with pytest.raises(AdvectionError, match="a move of 9 cells"):
        world.flux(pixels=9.0)
    with pytest.raises(AdvectionError, match="a density of 0"):
        world.flux(density=0.0)
    world.x = world.x.copy()
    world.x[0] -= 1000.0
    with pytest.raises(AdvectionError, match="expected square cells"):
        world.flux()
    world.x = world.x[1:]
    with pytest.raises(AdvectionError, match=r"expected \(y, x\) for all"):
        world.flux()


def test_a_region_at_the_edge_of_the_grid_is_refused():
    world = World(50_000.0)
    world.region[0, 5] = 0
    with pytest.raises(AdvectionError, match="regions 0 reach the edge of the grid"):
        world.flux()
