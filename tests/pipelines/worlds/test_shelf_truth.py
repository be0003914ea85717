"""What counts as damage, on drawings small enough to judge by eye."""

import numpy as np

from pipelines.worlds import shelves
from pipelines.worlds.lattice_noise import fractal_noise, uniform, value_noise
from pipelines.worlds.shelf_fractures import rift_lines
from pipelines.worlds.shelf_truth import labelled, seen

EVERYWHERE = np.ones((80, 80), dtype=np.bool_)


def drawing(*columns: int, width: int) -> np.ndarray:
    cracks = np.zeros((80, 80), dtype=np.bool_)
    for column in columns:
        cracks[10:70, column : column + width] = True
    return cracks


def test_a_dense_field_is_one_area_and_a_single_crack_stays_a_line():
    field = labelled(drawing(20, 27, 34, 41, width=3), EVERYWHERE, EVERYWHERE)
    assert field[15:65, 20:44].all()
    single = drawing(30, width=3)
    assert np.array_equal(labelled(single, EVERYWHERE, EVERYWHERE), single)


def test_cracks_one_pixel_wide_or_unseen_are_not_labelled():
    assert not labelled(drawing(20, 40, width=1), EVERYWHERE, EVERYWHERE).any()
    assert not labelled(drawing(20, 40, width=3), ~EVERYWHERE, EVERYWHERE).any()


def test_a_deep_crack_is_seen_and_a_bridged_one_is_not():
    carved = np.where(drawing(30, width=3), 6.0, 0.0).astype(np.float32)
    assert seen(carved, spacing=30.0)[40, 30:33].any()
    assert not seen(carved / 6.0, spacing=30.0).any()


def test_rifts_widen_and_lengthen_with_the_years(world):
    cedar = shelves.find(world, "cedar")
    widths = [rift_lines(cedar, year)[0][1] for year in (-3.0, 0.0, 3.0)]
    assert widths[0].sum() < widths[1].sum() < widths[2].sum()
    assert (widths[0] > 0).sum() < (widths[1] > 0).sum() < (widths[2] > 0).sum()


def test_noise_has_mean_zero_and_variance_one_and_does_not_repeat():
    u, v = np.meshgrid(np.arange(0.0, 300.0, 0.61), np.arange(0.0, 300.0, 0.61))
    for noise in (value_noise(u, v, 5), fractal_noise(u, v, 5, octaves=3, gain=0.435)):
        assert abs(noise.mean()) < 0.03
        assert 0.85 < noise.std() < 1.15
    draws = uniform(np.arange(-500, 500)[:, None], np.arange(-500, 500), 3)
    assert np.unique(draws).size > 0.96 * draws.size
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.005
