"""Training of any network: every step a function of the seed and its number alone.

Batch k is drawn from ``default_rng([seed, k])`` and dropout from a seed made of both, so a
training that was killed and resumed gives the same bits as one that ran through, on the same
machine with the same number of threads. What is kept between is safetensors, never a pickle.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.nets import arithmetic, checkpoints, schedules

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW remembers of each parameter; steps without a gradient do not count."""


class TrainingError(ValueError):
    """A training that cannot begin, resume or go on."""


class Task(Protocol):
    """What is learnt; pure, so that batches may be drawn ahead in threads."""

    def batch(self, rng: np.random.Generator, size: int) -> Mapping[str, Tensor]:
        """Draw ``size`` samples; all randomness comes from ``rng``."""
        ...

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Scalar to be made small."""
        ...


@dataclass(frozen=True)
class Recipe:
    """Every choice that decides the weights of a training.

    Attributes
    ----------
    steps, batch, seed : int
        Steps of the whole training, samples in each, and where all randomness comes from.
    schedule : str
        Of :data:`pipelines.nets.schedules.SCHEDULES`.
    peak_rate : float
        Highest learning rate.
    weight_decay : float
        Of AdamW, for matrices and kernels; biases and norms do not decay.
    clip : float
        Largest norm of the gradient; 0: any.
    average : float
        Decay d of the exponential mean of the weights, which then are the result; 0: none.
    bfloat16 : bool
        Whether forward passes run in bfloat16 (weights and moments stay in float32).
    """

    steps: int
    batch: int = 8
    seed: int = 0
    schedule: str = "paper"
    peak_rate: float = schedules.PAPER_PEAK
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.seed < 0:
            msg = f"steps {self.steps} and batch {self.batch} must be positive, seed not negative"
            raise TrainingError(msg)
        if self.schedule not in schedules.SCHEDULES:
            names = ", ".join(schedules.SCHEDULES)
            msg = f"no schedule {self.schedule!r}; choose from {names}"
            raise TrainingError(msg)
        if not (self.peak_rate > 0 and self.clip >= 0 and 0 <= self.average < 1):
            msg = (
                f"peak_rate {self.peak_rate} must be positive, clip {self.clip} not negative and "
                f"average {self.average} in [0, 1)"
            )
            raise TrainingError(msg)


@dataclass
class State:
    """A training between two steps; :func:`advance` changes it in place.

    Attributes
    ----------
    module : Module
        With the weights of the last step.
    recipe : Recipe
        Of the whole training.
    optimiser : AdamW
        With the moments of the last step.
    averaged : dict of Tensor
        Exponential mean of the weights; empty without.
    step : int
        Steps done.
    parts : int
        Into how many parts batches are cut, since the memory of a GPU was too small for less.
    """

    module: nn.Module
    recipe: Recipe
    optimiser: torch.optim.AdamW
    averaged: dict[str, Tensor]
    step: int = 0
    parts: int = 1


def _optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    learnt = [each for each in module.parameters() if each.requires_grad]
    if not learnt:
        msg = f"{type(module).__name__} has no parameter to learn; set requires_grad on some"
        raise TrainingError(msg)
    matrices = [each for each in learnt if each.ndim >= 2]
    vectors = [each for each in learnt if each.ndim < 2]
    groups = [(matrices, recipe.weight_decay), (vectors, 0.0)]
    return torch.optim.AdamW(
        [{"params": each, "weight_decay": decay} for each, decay in groups if each],
        lr=recipe.peak_rate,
        fused=True,
    )


def fresh(module: nn.Module, recipe: Recipe) -> State:
    """Begin a training from the weights that the module has.

    Draw them reproducibly by ``torch.manual_seed`` before the module is made.
    """
    averaged = {}
    if recipe.average:
        averaged = {name: value.detach().clone() for name, value in module.state_dict().items()}
    return State(module, recipe, _optimiser(module, recipe), averaged)


def _average(state: State) -> None:
    """One step of the mean w̄ ← d w̄ + (1 - d) w, with d rising from 0.1 to the recipe's."""
    if not state.averaged:
        return
    decay = min(state.recipe.average, (1.0 + state.step) / (10.0 + state.step))
    for name, value in state.module.state_dict().items():
        mean = state.averaged[name]
        if mean.is_floating_point():
            mean.lerp_(value.detach(), 1.0 - decay)
        else:
            mean.copy_(value)


def _step_seed(recipe: Recipe, step: int) -> int:
    return int(np.random.SeedSequence([recipe.seed, step, 1]).generate_state(1, np.uint64)[0] >> 1)


def _refuse_infinite(what: str, value: Tensor, step: int) -> float:
    number = float(value.detach())
    if not np.isfinite(number):
        msg = (
            f"the {what} of step {step} is {number}; the state is that before this step. Lower "
            "peak_rate or clip, train without bfloat16, or look for broken values in the data"
        )
        raise TrainingError(msg)
    return number


def _one_step(state: State, task: Task, batch: Mapping[str, Tensor], device: str) -> float:
    recipe, step = state.recipe, state.step
    # Buffers such as running means change in the forward pass; a refused step must not count.
    buffers = {name: each.detach().clone() for name, each in state.module.named_buffers()}
    try:
        number = _gradients(state, task, batch, device, buffers)
        norm = nn.utils.clip_grad_norm_(state.module.parameters(), recipe.clip or float("inf"))
        _refuse_infinite("norm of the gradient", norm, step)
    except (TrainingError, torch.OutOfMemoryError):
        _reset(state.module, buffers)
        raise
    for group in state.optimiser.param_groups:
        group["lr"] = schedules.rate(
            step, steps=recipe.steps, schedule=recipe.schedule, peak=recipe.peak_rate
        )
    state.optimiser.step()
    state.step += 1
    _average(state)
    return number


def _gradients(
    state: State,
    task: Task,
    batch: Mapping[str, Tensor],
    device: str,
    buffers: Mapping[str, Tensor],
) -> float:
    """Return the loss of a batch, its gradients in the module.

    Where a GPU lacks memory, parts go through alone: L = Σ_i n_i / n L_i, the loss of the whole
    where that is a mean over samples, and near it for means over pixels and over a batch.
    """
    while True:
        torch.manual_seed(_step_seed(state.recipe, state.step))
        state.optimiser.zero_grad(set_to_none=True)
        try:
            return _accumulated(state, task, batch, device)
        except torch.OutOfMemoryError:
            if state.parts >= min(len(each) for each in batch.values()):
                raise
        # Outside of the handler, where no traceback holds on to the tensors that were too many.
        state.parts *= 2
        _reset(state.module, buffers)
        if torch.device(device).type == "cuda":
            torch.cuda.empty_cache()


def _accumulated(state: State, task: Task, batch: Mapping[str, Tensor], device: str) -> float:
    """Add the gradients of all parts of a batch, and return its loss."""
    size, total = len(next(iter(batch.values()))), 0.0
    length = -(-size // state.parts)
    for start in range(0, size, length):
        share = min(length, size - start) / size
        here = {
            name: each[start : start + length].to(device, non_blocking=True)
            for name, each in batch.items()
        }
        kind = torch.device(device).type
        with torch.autocast(kind, torch.bfloat16, enabled=state.recipe.bfloat16):
            loss = share * task.loss(state.module, here)
        total += _refuse_infinite("loss", loss, state.step)
        loss.backward()  # type: ignore[no-untyped-call]
    return total


def _reset(module: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    for name, each in module.named_buffers():
        each.copy_(buffers[name])


def _batches(state: State, task: Task, stop: int, drawers: int) -> Iterator[Mapping[str, Tensor]]:
    """Batches of the coming steps in order, up to ``drawers`` of them drawn ahead in threads."""

    def drawn(step: int) -> Mapping[str, Tensor]:
        recipe = state.recipe
        return task.batch(np.random.default_rng([recipe.seed, step]), recipe.batch)

    if drawers < 1:
        yield from map(drawn, range(state.step, stop))
        return
    with ThreadPoolExecutor(drawers) as pool:
        ahead: list[Future[Mapping[str, Tensor]]] = []
        coming = iter(range(state.step, stop))
        try:
            for step in coming:
                ahead.append(pool.submit(drawn, step))
                if len(ahead) > drawers:
                    yield ahead.pop(0).result()
            while ahead:
                yield ahead.pop(0).result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _move(state: State, device: str) -> None:
    state.module.to(device)
    state.averaged = {name: value.to(device) for name, value in state.averaged.items()}
    for moments in state.optimiser.state.values():
        for name in MOMENTS:
            moments[name] = moments[name].to(device)


def advance(
    state: State,
    task: Task,
    steps: int,
    *,
    threads: int | None = None,
    device: str = "cpu",
    drawers: int = 0,
    on_step: Callable[[int, float, float], None] | None = None,
) -> State:
    """Train for some steps, at most to the end of the recipe.

    Parameters
    ----------
    state : State
        Changed in place; after an error it is the state before the step that failed.
    task : Task
        What is learnt.
    steps : int
        Steps to take now.
    threads : int, optional
        Threads of each operation; what torch has if None.
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.
    drawers : int
        Threads that draw batches ahead; the batches are the same for any number.
    on_step : callable, optional
        Gets steps done, loss and learning rate after each step.

    Returns
    -------
    State
        ``state``.
    """
    stop = min(state.step + steps, state.recipe.steps)
    _move(state, device)
    state.module.train()
    with arithmetic.fixed(threads, device):
        batches = _batches(state, task, stop, drawers)
        with contextlib.closing(batches):  # type: ignore[type-var]
            for batch in batches:
                loss = _one_step(state, task, batch, device)
                if on_step is not None:
                    on_step(state.step, loss, float(state.optimiser.param_groups[0]["lr"]))
    state.module.eval()
    return state


def result(state: State) -> dict[str, Tensor]:
    """Weights to keep, on the CPU: the mean where the recipe asks for one, else the last."""
    weights = state.averaged or state.module.state_dict()
    return {name: value.detach().to("cpu").clone() for name, value in weights.items()}


def trained(state: State) -> nn.Module:
    """Copy the module, with the weights of :func:`result`, in evaluation mode."""
    module = copy.deepcopy(state.module).to("cpu")
    module.load_state_dict(result(state))
    return module.eval()


def _names(state: State) -> list[tuple[str, nn.Parameter]]:
    return [each for each in state.module.named_parameters() if each[1].requires_grad]


def to_bytes(state: State) -> bytes:
    """Keep a training as safetensors: weights, their mean, moments, step and recipe."""
    tensors = {f"weights.{name}": value for name, value in state.module.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in state.averaged.items()}
    for name, parameter in _names(state):
        for moment in MOMENTS if parameter in state.optimiser.state else ():
            tensors[f"{moment}.{name}"] = state.optimiser.state[parameter][moment]
    whole = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    return checkpoints.packed(whole, {"step": state.step, "recipe": asdict(state.recipe)})


def from_bytes(
    data: bytes, module: nn.Module, *, recipe: Recipe | None = None, name: str = "the training"
) -> State:
    """Resume a training in ``module``, whose own weights are replaced.

    Parameters
    ----------
    data : bytes
        From :func:`to_bytes`.
    module : Module
        Of the same architecture and specification.
    recipe : Recipe, optional
        What the training must have been begun with; any if None.
    name : str
        How errors call the bytes.
    """
    tensors, header = checkpoints.unpacked(data, name)
    try:
        kept, step = Recipe(**header["recipe"]), int(header["step"])
    except (KeyError, TypeError) as error:
        msg = f"{name} was not kept by this software ({error}); begin the training again"
        raise TrainingError(msg) from error
    if recipe is not None and recipe != kept:
        msg = f"{name} was begun with {kept}, not {recipe}; resume with that or begin again"
        raise TrainingError(msg)

    def part(prefix: str) -> dict[str, Tensor]:
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}

    checkpoints.fill(module, part("weights"), name=name)
    state = fresh(module, kept)
    mean, state.step = part("averaged"), step
    if set(mean) != set(state.averaged):
        msg = f"{name} has a mean of {len(mean)} tensors, not {len(state.averaged)}; begin again"
        raise TrainingError(msg)
    state.averaged = mean
    _restore_moments(state, {moment: part(moment) for moment in MOMENTS}, name)
    return state


def _restore_moments(state: State, moments: Mapping[str, Mapping[str, Tensor]], name: str) -> None:
    for key, parameter in _names(state):
        found = {moment: moments[moment][key] for moment in MOMENTS if key in moments[moment]}
        if not found:
            continue
        shapes = {moment: value.shape for moment, value in found.items()}
        if shapes != {"exp_avg": parameter.shape, "exp_avg_sq": parameter.shape, "step": ()}:
            msg = f"{name} lacks moments of {key} in its shape; begin the training again"
            raise TrainingError(msg)
        state.optimiser.state[parameter] = found
