"""Drawn fractures are measured as they were drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.damage import fracture_lines as lines
from pipelines.kernels.damage.fracture_lines import FractureError
from pipelines.kernels.imagery.radon_operator import RadonError

SPACING = 30.0
ANGLES = [-75.0, -60.0, -45.0, -30.0, -10.0, 0.0, 3.0, 20.0, 45.0, 70.0, 85.0, 90.0]


def drawn(angle, *, length=80.0, width=5.0, size=120, centre=(60.3, 59.6)):
    """Pixels whose centres lie in a rectangle that runs at an angle, north up."""
    row, column = np.indices((size, size))
    east, north = column - centre[1], -(row - centre[0])
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return (abs(east * c + north * s) <= length / 2) & (abs(north * c - east * s) <= width / 2)


def between(one, other):
    """Angle between axes [degrees]."""
    return abs((one - other + 90.0) % 180.0 - 90.0)


def measured(damage, weight=None):
    label, count = lines.bodies(damage)
    return lines.fractures(lines.moments(label, weight, count=count), spacing=SPACING), count


@pytest.mark.parametrize("angle", ANGLES)
def test_moments_find_a_drawn_segment(angle):
    found, count = measured(drawn(angle))

    assert count == 1
    # pixels are in or out by their centres: each side is off by half a pixel at most
    assert between(found.orientation[1], angle) < 0.5
    assert found.length[1] / SPACING == pytest.approx(80.0, abs=1.0)
    assert found.width[1] / SPACING == pytest.approx(5.0, abs=1.0)
    assert found.row[1] == pytest.approx(60.3, abs=0.5)
    assert -90.0 < found.orientation[1] <= 90.0


@settings(max_examples=50)
@given(st.floats(-90.0, 90.0), st.floats(20.0, 90.0), st.floats(2.5, 9.0))
def test_any_segment_keeps_its_length_and_direction(angle, length, width):
    damage = drawn(angle, length=length, width=width)

    found, count = measured(damage)

    assert count == 1
    # an end moved by half a pixel on either side turns the axis by asin(1 / length) at most
    assert between(found.orientation[1], angle) < np.degrees(1.0 / length) + 0.3
    assert found.length[1] / SPACING == pytest.approx(
        length, abs=2.5
    )  # a pixel an end, and corners


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(1, 40))
def test_a_rectangle_along_the_grid_is_exact(high, wide):
    found, _ = measured(np.pad(np.ones((high, wide), bool), 3))

    assert found.length[1] == pytest.approx(SPACING * max(high, wide), rel=1e-9)
    assert found.width[1] == pytest.approx(SPACING * min(high, wide), rel=1e-9)
    assert found.area[1] == SPACING**2 * high * wide
    if high == wide:
        assert np.isnan(found.orientation[1])
    else:
        assert found.orientation[1] == (0.0 if wide > high else 90.0)


def test_probabilities_weigh_pixels():
    p = np.zeros((40, 40))
    p[10:30, 20] = 0.1
    p[20, 5:35] = 0.9
    half = np.where(p > 0.5, 1.0, 0.0)

    sure, _ = measured(half > 0)
    weighted, _ = measured(p > 0, p)

    assert weighted.orientation[1] == pytest.approx(0.0, abs=1.0)
    assert weighted.length[1] == pytest.approx(sure.length[1], rel=0.1)


@settings(max_examples=50)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 999))
def test_moments_of_blocks_add_to_the_whole_exactly(row, column, seed):
    label, count = lines.bodies(np.random.default_rng(seed).random((60, 60)) < 0.3)
    whole = lines.moments(label, count=count, row=1000, column=2000)

    parts = [
        lines.moments(label[rows, columns], count=count,
                      row=1000 + (rows.start or 0), column=2000 + (columns.start or 0))
        for rows in (slice(0, row), slice(row, None))
        for columns in (slice(0, column), slice(column, None))
    ]  # fmt: skip

    np.testing.assert_array_equal((parts[0] + parts[1] + parts[2] + parts[3]).sums, whole.sums)


def test_groups_of_labels_are_measured_as_one():
    damage = drawn(20.0)
    left, right = damage.copy(), damage.copy()
    left[:, 60:], right[:, :60] = False, False
    label = left.astype(int) + 2 * right

    made = lines.fractures(
        lines.moments(label, count=2).grouped(np.array([0, 1, 1])), spacing=SPACING
    )

    assert made.length[1] == measured(damage)[0].length[1]


@pytest.mark.parametrize("angle", ANGLES)
def test_paths_find_the_length_of_a_straight_segment(angle):
    made = lines.geodesic_length(drawn(angle, width=3.0), spacing=SPACING) / SPACING

    # a thin one, so the diagonal of the rectangle is 0.06 pixels longer; up to 2.8 % for the steps,
    # a pixel at each end either way
    assert 80.0 - 2.0 <= made <= 1.028 * 80.0 + 2.0


def test_paths_follow_a_bend_that_moments_cut_short():
    row, column = np.indices((140, 140))
    radius, turn = np.hypot(row - 70, column - 70), np.arctan2(70 - row, column - 70)
    arc = (abs(radius - 60.0) <= 1.5) & (abs(turn) <= np.radians(135.0))
    true = 60.0 * np.radians(270.0)

    path = lines.geodesic_length(arc, spacing=1.0)
    straight = measured(arc)[0].length[1] / SPACING

    # along the inner side at radius 58.5, on steps up to 2.8 % too long, and two ends
    assert true * 58.5 / 60.0 - 2.0 <= path <= 1.028 * true + 2.0
    assert straight < 0.75 * true


@given(st.integers(0, 99))
@settings(max_examples=20)
def test_a_path_is_no_shorter_than_the_line_between_its_ends(seed):
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.integers(-1, 2, (60, 2)), axis=0)
    walk -= walk.min(axis=0)
    body = np.zeros(walk.max(axis=0) + 1, bool)
    body[tuple(walk.T)] = True

    made = lines.geodesic_length(body, spacing=1.0)

    at = np.argwhere(body)
    farthest = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)).max()
    # the double sweep finds at least half of the diameter, in a loop
    assert (farthest + 1.0) / 2.0 <= made <= 60.0 * np.sqrt(2.0) + 1.0
    flipped = lines.geodesic_length(body[::-1].T, spacing=1.0)
    assert made == pytest.approx(flipped, rel=0.2)


def test_a_large_body_is_measured_on_wider_cells():
    body = drawn(30.0, length=100.0, width=12.0)

    fine = lines.geodesic_length(body, spacing=1.0)
    wide = lines.geodesic_length(body, spacing=1.0, most_pixels=100)

    assert wide == pytest.approx(fine, abs=2 * 8.0)  # cells of eight pixels, one at each end


def test_lengths_of_many_bodies_are_those_of_each():
    damage = np.zeros((30, 60), bool)
    damage[5, 3:43] = True
    damage[10:25, 50] = True
    label, count = lines.bodies(damage)

    made = lines.geodesic_lengths(label, count=count + 1, spacing=SPACING)

    np.testing.assert_array_equal(made, [np.nan, 1200.0, 450.0, np.nan])


@pytest.mark.parametrize("angle", ANGLES)
def test_radon_orientations_of_windows_follow_the_fracture(angle):
    damage = drawn(angle, length=100.0, width=3.0)
    label, count = lines.bodies(damage)

    orientation, signal = lines.window_orientations(
        damage.astype(np.float64), window=10, least_signal=0.1
    )
    mean, agreement = lines.body_orientations(label, orientation, signal, window=10, count=count)

    # a window of ten pixels tells directions ten degrees apart, and many of them better
    assert between(mean[1], angle) < 6.0
    # windows that a fracture only grazes disagree
    assert agreement[1] > 0.7


def test_windows_without_fractures_have_no_orientation():
    orientation, _ = lines.window_orientations(np.zeros((20, 20)), window=10, least_signal=0.05)

    assert np.isnan(orientation).all()


@settings(max_examples=50)
@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=9), st.floats(-400.0, 400.0))
def test_the_mean_axis_turns_with_its_axes(spread, turn):
    axes = np.array(spread)
    group, weight = np.zeros(axes.size, int), np.ones(axes.size)

    mean, agreement = lines.axial_mean(axes, weight, group, count=1)
    turned, same = lines.axial_mean(axes + turn, weight, group, count=1)

    assert between(turned[0], mean[0] + turn) < 1e-6
    assert between(mean[0], axes.mean()) < 0.1  # of axes within 10° the plain mean is as good
    assert same[0] == pytest.approx(agreement[0])
    assert np.isnan(mean[1])


def test_axes_at_right_angles_agree_on_nothing():
    _, agreement = lines.axial_mean(np.array([10.0, 100.0]), np.ones(2), np.zeros(2, int), count=0)

    assert agreement[0] == pytest.approx(0.0, abs=1e-12)


def test_what_cannot_be_measured_is_refused():
    label = np.array([[1, 0, 3]])
    with pytest.raises(FractureError, match="labels from 1 to 3, expected 0 to 2"):
        lines.moments(label, count=2)
    with pytest.raises(FractureError, match="label where weights are known"):
        lines.moments(label, np.array([[np.nan, 1.0, 1.0]]), count=3)
    with pytest.raises(FractureError, match="label where weights are known"):
        lines.moments(label, np.ones((1, 2)), count=3)
    with pytest.raises(FractureError, match="without pixels"):
        lines.geodesic_length(label > 5, spacing=1.0)
    with pytest.raises(RadonError, match="holds no window"):
        lines.window_orientations(np.zeros((3, 3)), window=10, least_signal=0.0)
