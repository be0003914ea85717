"""Pictures of networks: they say what the arrays do, and bear arrays that hold next to nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.figures import reliability_diagram, restored_scene, segmented_tiles, training_curves


def pixels(data: bytes) -> np.ndarray:
    assert data.startswith(b"\x89PNG")
    assert 2_000 < len(data) < 3_000_000
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def holds(picture: np.ndarray, colour: tuple[int, int, int], *, near: int = 6) -> bool:
    apart = np.abs(picture.astype(int) - np.array(colour)).max(axis=-1)
    return bool((apart <= near).any())


BLUE, ORANGE, RED = (33, 102, 172), (224, 130, 20), (178, 24, 43)


class TestLosses:
    def test_folds_and_phases_have_lines_of_their_own(self):
        curve = np.full((3, 60, 2), np.nan)
        curve[:, :50, 0] = np.linspace(1.0, 0.1, 150).reshape(3, 50)
        one = pixels(training_curves.losses([curve], ["mean", "mean", "diffusion"]))
        two = pixels(training_curves.losses([curve, curve * 0.5], ["mean", "mean", "diffusion"]))

        assert holds(one, BLUE)
        assert one.shape == two.shape
        assert (one != two).any()

    @pytest.mark.parametrize("steps", [0, 1])
    def test_a_training_of_a_step_or_none_can_be_drawn(self, steps):
        curve = np.full((1, 4, 2), np.nan)
        curve[:, :steps, 0] = 0.5

        assert pixels(training_curves.losses([curve], ["texture"])).size

    def test_the_smooth_line_is_a_mean_of_the_last_steps(self):
        loss = np.arange(200.0)

        np.testing.assert_allclose(training_curves._smooth(loss)[:2], [24.5, 25.5])
        assert training_curves._smooth(loss[:3]).tolist() == [1.0]


class TestReliability:
    def test_bins_without_pixels_are_left_out(self):
        told = np.array([0.05, np.nan, 0.55, 0.9])
        found = np.array([0.1, np.nan, 0.5, 1.0])
        counts = np.array([100_000, 0, 10, 1])

        assert holds(pixels(reliability_diagram.drawn(told, found, counts, error=0.04)), BLUE)

    def test_a_network_that_says_nothing_can_be_drawn(self):
        nothing = np.full(20, np.nan)

        assert pixels(
            reliability_diagram.drawn(nothing, nothing, np.zeros(20, int), error=float("nan"))
        ).size


class TestTiles:
    image = np.random.default_rng(1).uniform(0.3, 0.9, (48, 48)).astype(np.float32)

    def drawn(self, label: np.ndarray, probability: np.ndarray, **how: float) -> np.ndarray:
        return pixels(segmented_tiles.drawn([("amery", self.image, label, probability)], **how))

    def test_hits_misses_and_false_alarms_have_colours_of_their_own(self):
        label = np.zeros((48, 48), np.uint8)
        label[:24] = 1
        probability = np.zeros((48, 48), np.float32)
        probability[:, :24] = 0.9
        picture = segmented_tiles._compared(self.image, label, probability, 0.5)

        np.testing.assert_allclose(picture[0, 0] * 255, BLUE, atol=1)
        np.testing.assert_allclose(picture[0, 40] * 255, ORANGE, atol=1)
        np.testing.assert_allclose(picture[40, 0] * 255, RED, atol=1)
        assert np.ptp(picture[40, 40]) == 0

    def test_the_threshold_of_the_run_decides(self):
        label, probability = np.ones((48, 48), np.uint8), np.full((48, 48), 0.4, np.float32)

        low = self.drawn(label, probability, threshold=0.3)
        assert (low != self.drawn(label, probability, threshold=0.5)).any()

    def test_tiles_without_damage_without_data_and_no_tile_at_all_can_be_drawn(self):
        nothing = np.full((48, 48), np.nan, np.float32)
        label = np.full((48, 48), 255, np.uint8)

        assert pixels(segmented_tiles.drawn([("empty", nothing, label, nothing)])).size
        assert self.drawn(np.zeros((48, 48), np.uint8), np.zeros((48, 48), np.float32)).size
        assert pixels(segmented_tiles.drawn([])).size

    def test_a_large_tile_is_thinned(self):
        side = segmented_tiles.MOST_PX * 2 + 1
        large = np.ones((side, 40), np.float32)

        assert pixels(segmented_tiles.drawn([("long", large, large.astype(np.uint8), large)])).size


class TestRestoredScene:
    def test_gaps_are_grey_before_and_filled_after(self):
        rng = np.random.default_rng(2)
        now = rng.uniform(0.4, 0.8, (3, 64, 64))
        was, spread = now.copy(), np.zeros((64, 64))
        was[:, 20:30], spread[20:30] = np.nan, 0.02
        picture = pixels(restored_scene.drawn(was, now, spread, title="amery, 2011-12-05"))

        grey = np.abs(picture.astype(int) - np.array([0xC9, 0xCE, 0xD3])).max(axis=-1) < 2
        left, middle = np.array_split(grey[:, : 2 * picture.shape[1] // 3], 2, axis=1)
        assert left.sum() > 4 * middle.sum()

    def test_scenes_of_which_nothing_is_known_can_be_drawn(self):
        nothing = np.full((3, 32, 32), np.nan)

        assert pixels(restored_scene.drawn(nothing, nothing, np.zeros((32, 32)), title="")).size

    def test_a_flat_scene_can_be_drawn(self):
        flat = np.full((3, 32, 32), 0.5)

        assert pixels(restored_scene.drawn(flat, flat, np.zeros((32, 32)), title="flat")).size
