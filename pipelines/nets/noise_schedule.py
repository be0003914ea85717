"""The noise schedule of both diffusions, and its solver.

Noise is added to what is clean, x, by the cosine schedule of Nichol and Dhariwal (2021)::

    z_t = α_t x + σ_t n         v_t = α_t n − σ_t x         α_t² + σ_t² = 1

and taken away by DPM-Solver++ (Lu et al. 2022), told the velocity v.
"""

import functools
import warnings
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler
from torch import Tensor

NOISE_STEPS = 1000
"""Steps of the schedule, of which sampling takes a few [1]."""


def noise_solver(steps: int) -> Any:
    """Return DPM-Solver++ of second order on the schedule, ready for `steps` steps."""
    scheduler: Any = DPMSolverMultistepScheduler
    solver = scheduler(
        num_train_timesteps=NOISE_STEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        solver_order=2,
        timestep_spacing="trailing",
    )
    with warnings.catch_warnings():
        # diffusers hands tensors to NumPy in a way that the two of them will settle.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        solver.set_timesteps(steps)
    return solver


def draw_steps(rng: np.random.Generator, size: int) -> Tensor:
    """Draw steps of the schedule for a batch, one from each of `size` equal parts of it."""
    parts = (np.arange(size) + rng.uniform(size=size)) / size * NOISE_STEPS
    return torch.from_numpy(rng.permutation(parts).astype(np.int64))


def levels(step: Tensor, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return α_t and σ_t of steps (n,), each of shape (n, 1, 1, 1)."""
    squared = _squared_levels()[step.cpu()].to(like)[:, None, None, None]
    return squared.sqrt(), (1.0 - squared).sqrt()


@functools.cache
def _squared_levels() -> Tensor:
    """Return α² of all steps, as the solver has them."""
    table: Tensor = noise_solver(1).alphas_cumprod
    return table


def repeated(tensor: Tensor, samples: int) -> Tensor:
    """Repeat a batch (n, ...) as (samples × n, ...)."""
    return tensor.expand(samples, *tensor.shape).flatten(0, 1)
