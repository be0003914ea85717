"""The mean network, its loss, and texture around its mean."""

import numpy as np
import pytest
import torch

from pipelines.nets.mean_restorer import (
    FIRST_SCALE,
    Estimate,
    MeanRestorer,
    gradient_loss,
    masked_mean,
    mean_loss,
)
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.small_unet import SmallUNet
from pipelines.nets.texture import Correlations, Texture, roughness


def test_an_untrained_network_leaves_the_first_guess():
    guess, known = torch.randn(2, 3, 22, 30), torch.ones(2, 1, 22, 30)
    known[..., 5:11, :] = 0.0

    estimate = MeanRestorer(3, (8, 8))(guess, known)

    assert torch.equal(estimate.mean, guess)
    assert torch.allclose(estimate.scale, FIRST_SCALE * (1.0 - known).expand(2, 3, 22, 30))


@pytest.mark.parametrize("size", [(7, 9), (32, 16), (1, 1)])
def test_the_small_net_takes_any_size(size: tuple[int, int]):
    net = SmallUNet(2, 5, (8, 16, 16))
    assert net(torch.randn(1, 2, *size)).shape == (1, 5, *size)


def test_the_opinion_of_errors_is_best_where_the_scale_is_their_mean():
    # The Laplace likelihood has its maximum at b = mean |e|: independent of the mean's own loss.
    truth = torch.from_numpy(np.random.default_rng(0).laplace(0, 0.3, (1, 1, 64, 64)))
    missing, mean = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    scales = np.linspace(0.1, 0.6, 51)

    losses = [
        float(mean_loss(Estimate(mean, torch.full_like(mean, scale)), truth, missing))
        for scale in scales
    ]

    assert scales[int(np.argmin(losses))] == pytest.approx(float(truth.abs().mean()), abs=0.011)


def test_the_opinion_never_pulls_the_mean():
    mean = torch.zeros(1, 1, 8, 8, requires_grad=True)
    missing, truth = torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    estimate = Estimate(mean, torch.full((1, 1, 8, 8), 1e-3))
    mean_loss(estimate, truth, missing, square=0.0, gradient=0.0).backward()

    assert mean.grad is not None
    assert torch.allclose(mean.grad, torch.full_like(mean, -1.0 / 64.0))


def test_squares_pull_towards_the_mean_of_what_may_lie_there():
    # Three pixels of water for each of ice: the median is water, the mean a quarter of ice.
    truth = torch.tensor([0.0, 0.0, 0.0, 1.0]).repeat(16).reshape(1, 1, 8, 8)
    missing, scale = torch.ones(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.1)
    levels = np.linspace(0.0, 1.0, 101)

    def best(square: float) -> float:
        losses = [
            float(mean_loss(Estimate(torch.full_like(truth, level), scale), truth, missing,
                            square=square, gradient=0.0)
                  - 0.25 * ((level - truth).abs() / 0.1).mean())
            for level in levels
        ]  # fmt: skip
        return float(levels[int(np.argmin(losses))])

    assert best(0.0) == 0.0
    assert best(100.0) == pytest.approx(0.25, abs=0.011)


def test_slopes_of_a_step_are_counted_once_per_row():
    error = torch.zeros(1, 1, 4, 6)
    error[..., 3:] = 2.0
    # One step of height 2 in each of 4 rows, over 24 pixels; columns begin beside zeros.
    down = 2.0 * 3
    assert float(gradient_loss(error, torch.ones(1, 1, 4, 6))) == pytest.approx((8.0 + down) / 24.0)


def test_a_mean_over_nothing_is_zero():
    assert float(masked_mean(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))) == 0.0


def correlated(rng: np.random.Generator, side: int) -> torch.Tensor:
    """Noise of unit variance whose neighbours correlate by 2/3, two equal bands."""
    white = rng.normal(size=(4, 1, side + 2, side + 2))
    across = white[..., 1:-1, :-2] + white[..., 1:-1, 1:-1] + white[..., 1:-1, 2:]
    return torch.from_numpy(np.repeat(across / np.sqrt(3.0), 2, axis=1).astype(np.float32))


def test_texture_has_the_correlations_it_was_fitted_to():
    residual = correlated(np.random.default_rng(1), 96)
    seen = Correlations(2)
    half, nowhere = torch.full_like(residual, 0.5), torch.zeros(4, 1, 96, 96)
    truth = half + 0.5 * residual
    seen.add(Estimate(half, half / np.sqrt(2.0)), truth, nowhere, 1.0 - nowhere)
    texture = seen.fitted(Texture(2))
    estimate = Estimate(torch.zeros(1, 2, 96, 96), torch.full((1, 2, 96, 96), 1.0 / np.sqrt(2.0)))
    generators = [torch.Generator().manual_seed(5)]

    drawn = texture.draw(
        estimate, torch.zeros(1, 1, 96, 96), samples=6, steps=1, generators=generators
    )

    values = drawn.numpy()
    assert values.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(values[:, 0, 0].ravel(), values[:, 0, 1].ravel())[0, 1] > 0.99
    # Fitted without direction: neighbours correlate by (2/3 + 0)/2 along either axis.
    neighbours = (values[..., 1:] * values[..., :-1]).mean()
    assert neighbours == pytest.approx(1.0 / 3.0, abs=0.06)


def test_roughness_tells_slopes_from_noise():
    known = torch.ones(1, 1, 60, 60)
    known[..., 20:30, :] = 0.0
    slope = torch.arange(60.0).expand(1, 1, 60, 60)
    noise = torch.randn(1, 1, 60, 60, generator=torch.Generator().manual_seed(0))

    # Along rows the slope gives 1 and 9; along columns nothing differs.
    assert float(roughness(slope, known)) == pytest.approx(1.0 / 9.0, rel=0.05)
    assert float(roughness(noise, known)) == pytest.approx(1.0, abs=0.05)
    hidden = torch.where(known > 0.5, slope, 1e3 * noise)
    assert float(roughness(hidden, known)) == float(roughness(slope, known))
    assert float(roughness(torch.ones(1, 1, 9, 9), torch.ones(1, 1, 9, 9))) == 1.0


def test_patches_get_the_texture_of_their_class():
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(64, 1, 66, 66, generator=generator)
    wide = torch.nn.functional.avg_pool2d(white, 3, stride=1) * 3.0
    known = torch.zeros(64, 1, 64, 64)
    known[..., :32, :] = 1.0
    seen = Correlations(1)
    for field in (wide, white[..., 1:-1, 1:-1]):
        ones = torch.full_like(field, 1.0 / np.sqrt(2.0))
        seen.add(Estimate(torch.zeros_like(field), ones), field, known, 1.0 - known)
    texture = seen.fitted(Texture(1))
    smooth, rough = wide[:1] * known[:1], white[:1, :, 1:-1, 1:-1] * known[:1]
    both = Estimate(torch.cat([smooth, rough]), torch.full((2, 1, 64, 64), 1.0))
    drawn = texture.draw(both, known[:2], samples=4, steps=1,
                         generators=[torch.Generator().manual_seed(k) for k in (1, 2)])  # fmt: skip
    steps = drawn[..., 32:, :].diff(dim=-1).square().mean(dim=(0, 2, 3, 4))

    assert float(steps[0]) < 0.7 * float(steps[1])


def test_texture_of_nothing_is_refused():
    with pytest.raises(RestorationError, match="found no residuals"):
        Correlations(1).fitted(Texture(1))


def test_texture_leaves_known_pixels_and_has_the_spread_of_the_estimate():
    known = torch.ones(1, 1, 64, 64)
    known[..., 20:40, :] = 0.0
    estimate = Estimate(torch.ones(1, 1, 64, 64), 0.2 * (1.0 - known))
    drawn = Texture(1).draw(
        estimate, known, samples=16, steps=1, generators=[torch.Generator().manual_seed(0)]
    )

    assert bool((drawn[..., :20, :] == 1.0).all())
    assert float(drawn[..., 20:40, :].std()) == pytest.approx(0.2 * np.sqrt(2.0), rel=0.05)
