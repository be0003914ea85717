"""Networks while they are trained: built, taught for a round, kept as bytes. Imports torch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from pipelines.flows import gap_trials
from pipelines.flows.training_rounds import SEGMENTER, TEXTURE, Round
from pipelines.nets import (
    augmentation,
    checkpoints,
    models,
    restoration_training,
    simulated_gaps,
    training,
)
from pipelines.nets.restorer import Restorer, RestorerSpec
from pipelines.nets.segmentation_training import (
    SegmentationTask,
    SegmentationTaskError,
    Tile,
    with_extras,
)
from pipelines.nets.segmenter import Segmenter, SegmenterSpec

if TYPE_CHECKING:
    from pipelines.settings_training import TrainingChoices

REFUSALS = (
    training.TrainingError,
    torch.OutOfMemoryError,
    SegmentationTaskError,
    augmentation.AugmentationError,
    *gap_trials.REFUSALS,
)
"""What networks say of tiles, and of losses, that they cannot use: the key fails, not the run."""

HANDLING = ("actors", "batch", "drawers")
"""Choices that no weight depends on."""

HARMONISER_WIDTHS = (24, 48)
"""Channels of the scales of the harmoniser's network: what is left after a membrane is smooth."""

EDGE_SPACING_M = 30.0
"""Spacing at which gaps are drawn: tiles of coarser pixels have gaps of as many pixels."""


def built(choices: TrainingChoices, start: bytes | None = None) -> Segmenter | Restorer:
    """Return the network of a run, its weights drawn by the seed or taken from others."""
    torch.manual_seed(choices.seed)
    network: Segmenter | Restorer
    if choices.task == "segmentation":
        network = Segmenter(_segmenter_spec(choices))
    else:
        network = Restorer(_restorer_spec(choices))
    if start is not None:
        given = models.opened(start, name="inputs.start", task=choices.task)
        checkpoints.fill(network, given.state_dict(), name="inputs.start")
    return network


def _segmenter_spec(choices: TrainingChoices) -> SegmenterSpec:
    return SegmenterSpec(
        backbone=choices.network,
        channels=choices.channels,
        extras=choices.extras,
        detail=choices.detail,
        mean=choices.mean,
        std=choices.std,
        magnify=choices.magnify,
        local_contrast=choices.local_contrast,
    )


def _restorer_spec(choices: TrainingChoices) -> RestorerSpec:
    """Return the networks that have steps; without any, a harmoniser is a membrane alone."""
    steps = choices.restorer_steps
    widths: dict[str, Any] = {"harmoniser": HARMONISER_WIDTHS} if steps.harmoniser else {}
    if choices.network == "kl":
        latent = latent_keywords() if choices.size == "large" else {}
        return RestorerSpec(
            profile="kl", channels=choices.channels, mean=(), diffusion=(), latent=latent,
            chain=("latent", "harmoniser"), sampler="latent", **widths,
        )  # fmt: skip
    if not steps.diffusion:
        widths["diffusion"] = ()
    return RestorerSpec(profile="lossless", channels=choices.channels, **widths)


def latent_keywords() -> dict[str, Any]:
    """Return the large latent diffusion as a restorer's specification names it."""
    from pipelines.nets.latent_diffusion import LARGE

    named = dataclasses.asdict(LARGE)
    del named["channels"]
    return {k: list(v) if isinstance(v, tuple) else v for k, v in named.items()}


def size_bounds(network: nn.Module) -> tuple[int, int]:
    """Return the most bytes that a network and that its training are kept in.

    A training holds weights, their mean and two moments, a network weights alone, in 4 bytes each;
    the names of the tensors take less than the rest.
    """
    numbers = sum(each.numel() for each in network.state_dict().values())
    names = 400 * len(network.state_dict()) + 2**16
    return 4 * numbers + names, 16 * numbers + 4 * names


def network_bytes(network: nn.Module) -> bytes:
    """Keep a network in full precision."""
    return checkpoints.packed({k: v.contiguous() for k, v in network.state_dict().items()}, {})


def with_weights(network: nn.Module, data: bytes) -> nn.Module:
    """Return a network with the weights that :func:`network_bytes` kept."""
    state, _ = checkpoints.unpacked(data, "the network of the round before")
    checkpoints.fill(network, state, name="the network of the round before")
    return network


def recipe_of(choices: TrainingChoices, turn: Round, *, fold: int) -> training.Recipe:
    """Return the recipe of a phase; folds draw other batches, the first by the seed."""
    return training.Recipe(
        steps=turn.total,
        batch=choices.crops,
        seed=choices.seed if not fold else _seed(choices.seed, fold),
        schedule=choices.schedule,
        peak_rate=choices.peak_rate,
        weight_decay=choices.weight_decay,
        clip=choices.clip,
        average=choices.average,
        bfloat16=choices.precision == "bf16",
    )


def _seed(seed: int, fold: int) -> int:
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


def taught(
    network: Any,
    before: bytes | None,
    turn: Round,
    tiles: Sequence[Tile],
    choices: TrainingChoices,
    *,
    fold: int,
    device: str,
    on_step: Callable[[int, float, float], None],
) -> bytes:
    """Teach a network for a round, in place, and return the training as it stands.

    Parameters
    ----------
    network : Segmenter or Restorer
        With the weights of the phases before.
    before : bytes or None
        The training as the round before left it; None in the first round of a phase.
    turn : Round
        What is taught.
    tiles : sequence of Tile
        To learn from.
    choices, fold, device, on_step
        Of the run; see :func:`pipelines.nets.training.advance`.
    """
    task: Any = _task(network, turn.phase, tiles, choices)
    if turn.phase == TEXTURE:
        restoration_training.fit_texture(network, task, batches=turn.total, seed=choices.seed)
        return b""
    recipe = recipe_of(choices, turn, fold=fold)
    learner = _learner(network, turn.phase)
    if before is None:
        state = training.fresh(learner, recipe)
    else:
        state = training.from_bytes(before, learner, recipe=recipe)
    # Whole: what the phases before say is computed beside what learns.
    network.to(device)
    training.advance(
        state, task, turn.steps, threads=choices.threads, device=device,
        drawers=choices.drawers, on_step=on_step,
    )  # fmt: skip
    kept = training.to_bytes(state)
    if turn.closes:
        learner.load_state_dict(training.result(state))
    network.to("cpu")
    return kept


def _learner(network: Any, phase: str) -> nn.Module:
    """Return the part of a network that a phase teaches."""
    if phase == SEGMENTER:
        return network  # type: ignore[no-any-return]
    if phase in {"autoencoder", "latent"}:
        from pipelines.nets.latent_diffusion_training import only_learning

        return only_learning(
            network.latent, "autoencoder" if phase == "autoencoder" else "denoiser"
        )
    part: nn.Module = getattr(network, phase)
    return part


def _task(network: Any, phase: str, tiles: Sequence[Tile], choices: TrainingChoices) -> Any:
    if phase == SEGMENTER:
        spec = network.spec
        return SegmentationTask(
            with_extras(tiles, spec),
            crop=choices.crop,
            bands=len(spec.channels),
            positive_share=choices.positive_share,
            augmentation=augmentation.named(choices.augmentation),
        )
    if phase in {"autoencoder", "latent"}:
        from pipelines.nets.latent_diffusion_training import LatentTask

        learner: Any = "autoencoder" if phase == "autoencoder" else "denoiser"
        images = [tile.image for tile in tiles]
        return LatentTask(images, simulated_gaps.draw, learner, crop=choices.crop)
    shape = (choices.crop, choices.crop)
    gaps = functools.partial(_gaps, shape=shape)
    stage = "mean" if phase == TEXTURE else phase
    return restoration_training.RestorationTask(
        tiles, gaps, crop=choices.crop, stage=stage, restorer=network
    )


def _gaps(rng: np.random.Generator, *, shape: tuple[int, int]) -> Any:
    return simulated_gaps.draw(rng, shape, spacing=EDGE_SPACING_M)


def unproved(network: Restorer) -> tuple[tuple[str, ...], str, str]:
    """Return chain, sampler and a sentence for a restorer of which nothing could be tried.

    A mean network seldom harms; a diffusion that nobody tried may.
    """
    if network.mean is None:
        return (), "", "no stage was tried, so none is used: gaps get their first guess"
    said = "no stage was tried, so the mean network is used alone, and no other"
    return ("mean",), "texture", said


def with_chain(network: Restorer, chain: Sequence[str], sampler: str) -> Restorer:
    """Return the restorer with the stages that an evaluation chose."""
    return network.with_chain(tuple(chain), sampler)


def card(choices: TrainingChoices, network: Any, **told: Any) -> checkpoints.ModelCard:
    """Return the card of trained weights."""
    spec = network.spec.as_json() if choices.task == "segmentation" else network.spec.to_json()
    architecture = "segformer" if choices.task == "segmentation" else "restorer"
    return checkpoints.ModelCard(
        task=choices.task, architecture=architecture, spec=spec, licence=choices.licence,
        recipe={k: v for k, v in dataclasses.asdict(choices).items() if k not in HANDLING}, **told,
    )  # fmt: skip
