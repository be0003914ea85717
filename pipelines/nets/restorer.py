"""The restorer: first guess, mean network, diffusion and harmoniser as one model."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipelines.nets import normalisation
from pipelines.nets.harmoniser import Harmoniser
from pipelines.nets.mean_restorer import Estimate, MeanRestorer
from pipelines.nets.residual_diffusion import ResidualDiffusion
from pipelines.nets.restoration_stage import RestorationError, pasted
from pipelines.nets.smooth_fill import smooth_fill
from pipelines.nets.texture import Texture

PROFILES = ("lossless", "kl")
STAGES = ("mean", "diffusion", "latent", "harmoniser")
SAMPLERS = ("", "texture", "diffusion", "latent")
PRIOR_SAMPLES = 4
"""Samples that the spread said by the mean network is worth, beside drawn ones [1]."""


@dataclass(frozen=True)
class RestorerSpec:
    """What a restorer is built of, and which of its stages are used; JSON can hold it.

    Attributes
    ----------
    profile : {"lossless", "kl"}
        Latents without loss around a mean network, or those of an autoencoder.
    channels : tuple of str
        Bands in their order.
    mean, diffusion, harmoniser : tuple of int
        Channels of the scales of each network, the finest first; without any there is no such
        network (the harmoniser is then its membrane).
    latent : mapping
        Keywords of :class:`~pipelines.nets.latent_diffusion.LatentSpec`, profile "kl" only.
    chain : tuple of str
        Stages of :data:`STAGES` in the order they are used; without any the first guess stays.
    sampler : str
        What draws samples: "texture", "diffusion", "latent", or "" for nothing.
    """

    profile: str = "lossless"
    channels: tuple[str, ...] = ("red", "green", "blue")
    mean: tuple[int, ...] = (48, 96, 128)
    diffusion: tuple[int, ...] = (96, 128)
    harmoniser: tuple[int, ...] = ()
    latent: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    chain: tuple[str, ...] = ("mean",)
    sampler: str = "texture"

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises
        ------
        RestorationError
            An unknown profile, stage or sampler, or one whose network is not there.
        """
        for name, found, choices in (
            ("profile", (self.profile,), PROFILES),
            ("chain", self.chain, STAGES),
            ("sampler", (self.sampler,), SAMPLERS),
        ):
            unknown = [each for each in found if each not in choices]
            if unknown:
                msg = f"found {name} {unknown}, expected of {choices}; correct the specification"
                raise RestorationError(msg)
        if not self.channels:
            msg = "found no channels, expected names of bands; name the bands to restore"
            raise RestorationError(msg)
        self._require_networks()

    def _require_networks(self) -> None:
        there = {
            "mean": bool(self.mean),
            "texture": bool(self.mean) and "mean" in self.chain,
            "diffusion": bool(self.mean and self.diffusion) and "mean" in self.chain,
            "latent": self.profile == "kl",
            "harmoniser": True,
            "": True,
        }
        absent = [each for each in (*self.chain, self.sampler) if not there[each]]
        if absent:
            msg = (
                f"found {absent} in the chain {self.chain} with sampler {self.sampler!r} of "
                f"profile {self.profile!r}, expected only stages with a network, and the mean "
                "before diffusion or texture; take them out, or give their widths"
            )
            raise RestorationError(msg)

    @property
    def uses_samples(self) -> bool:
        """Whether mean or spread depend on drawn samples; texture is drawn with a given spread."""
        drawn = {"diffusion", "latent"}
        return self.sampler in drawn or not drawn.isdisjoint(self.chain)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, strings and numbers."""
        plain = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "RestorerSpec":
        """Return what :meth:`to_json` came from."""
        unknown = sorted(set(plain) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            msg = f"found unknown keys {unknown} in a restorer's specification; remove them"
            raise RestorationError(msg)
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()
        }
        return cls(**values)


class Restored(NamedTuple):
    """Restored patches [reflectance, 1].

    Attributes
    ----------
    mean : Tensor, shape (n, c, h, w)
        Best estimate; known pixels bit for bit.
    spread : Tensor, shape (n, c, h, w)
        One standard deviation; 0 where known, NaN in gaps if no stage can say it.
    samples : Tensor, shape (samples, n, c, h, w), or None
        What may lie there; known pixels bit for bit.
    """

    mean: Tensor
    spread: Tensor
    samples: Tensor | None


class _Progress(NamedTuple):
    """Where a chain stands: the fill, the estimate of the mean network, samples of the fill."""

    fill: Tensor
    estimate: Estimate | None
    draws: Tensor | None


class Restorer(nn.Module):
    """Stages in the order of the specification's chain."""

    def __init__(self, spec: RestorerSpec) -> None:
        """Build the networks that `spec` has widths for, untrained."""
        super().__init__()
        self.spec = spec
        bands = len(spec.channels)
        self.mean = MeanRestorer(bands, spec.mean) if spec.mean else None
        self.texture = Texture(bands) if spec.mean else None
        self.diffusion = (
            ResidualDiffusion(bands, spec.diffusion) if spec.mean and spec.diffusion else None
        )
        self.latent = _latent_stage(bands, spec.latent) if spec.profile == "kl" else None
        self.harmoniser = Harmoniser(bands, spec.harmoniser)

    def with_chain(self, chain: Sequence[str], sampler: str) -> "Restorer":
        """Return a restorer of the same networks (shared, not copied) that uses other stages."""
        other = Restorer(dataclasses.replace(self.spec, chain=tuple(chain), sampler=sampler))
        for name, module in self.named_children():
            setattr(other, name, module)
        return other.train(self.training)

    @property
    def uses_samples(self) -> bool:
        """Whether mean or spread depend on drawn samples."""
        return self.spec.uses_samples

    @torch.no_grad()
    def restore(
        self,
        images: Tensor,
        known: Tensor,
        *,
        samples: int = 0,
        seed: int | Sequence[int] = 0,
        steps: int = 10,
    ) -> Restored:
        """Fill the gaps of patches.

        Parameters
        ----------
        images : Tensor, shape (n, c, h, w)
            Reflectance [1]; values in gaps are not read.
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.
        samples : int
            Number of samples drawn of each patch.
        seed : int, or one int per patch
            Of the noise; a patch's noise depends on its own seed alone, and of one int
            every patch makes its own.
        steps : int
            Denoising steps of a diffusion.

        Returns
        -------
        Restored
            In the type of `images`.

        Raises
        ------
        RestorationError
            Other bands than the specification's, a mask of another shape, a patch of which
            nothing is known, or a stage that answers with NaN.
        """
        self._require(images, known)
        scale = normalisation.of_known(images.float(), known)
        normal = torch.where(known > 0.5, scale.applied(images.float()), 0.0)
        run = _Run(self, normal, known, samples, steps, _generators(seed, len(images)))
        mean, spread, drawn = run.result()
        reflectance = pasted(images, known, scale.undone(mean).to(images.dtype))
        draws: Tensor | None = None
        if drawn is not None:
            draws = pasted(images, known, scale.undone(drawn).to(images.dtype))
        said = torch.maximum(spread * scale.contrast, scale.least_spread)
        width = torch.where(known > 0.5, 0.0, said).to(images.dtype)
        return Restored(reflectance, width, draws)

    def estimate(self, normal: Tensor, known: Tensor) -> Estimate:
        """Run first guess and mean network on normalised patches; what training stages need.

        Parameters
        ----------
        normal : Tensor, shape (n, c, h, w)
            Normalised patches [1], 0 in gaps.
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.
        """
        guess = smooth_fill(normal, known)
        if self.mean is None:
            return Estimate(guess, torch.zeros_like(guess))
        estimate: Estimate = self.mean(guess, known)
        return estimate

    def _require(self, images: Tensor, known: Tensor) -> None:
        bands = self.spec.channels
        if images.ndim != 4 or images.shape[1] != len(bands):
            msg = (
                f"found patches of shape {tuple(images.shape)}, expected (n, {len(bands)}, h, w) "
                f"of the bands {bands}; take a restorer of the bands there are, or repeat a "
                "single grey band to the number of channels"
            )
            raise RestorationError(msg)
        if known.shape != (len(images), 1, *images.shape[-2:]):
            msg = (
                f"found a mask of shape {tuple(known.shape)} for patches of shape "
                f"{tuple(images.shape)}, expected (n, 1, h, w); give one mask for all bands"
            )
            raise RestorationError(msg)


class _Run:
    """One pass of normalised patches through a chain."""

    def __init__(
        self,
        restorer: Restorer,
        normal: Tensor,
        known: Tensor,
        samples: int,
        steps: int,
        generators: Sequence[torch.Generator],
    ) -> None:
        self._restorer, self._normal, self._known = restorer, normal, known
        self._samples, self._steps, self._generators = samples, steps, generators

    def result(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return mean, spread and samples, normalised."""
        now = _Progress(smooth_fill(self._normal, self._known), None, None)
        for stage in self._restorer.spec.chain:
            now = self._after(stage, now)
            _require_finite(now.fill, stage)
        draws = now.draws if now.draws is not None else self._drawn(now)
        return now.fill, self._spread(now.estimate, draws), draws

    def _after(self, stage: str, now: _Progress) -> _Progress:
        """Use one stage."""
        restorer = self._restorer
        if stage == "mean" and restorer.mean is not None:
            estimate: Estimate = restorer.mean(now.fill, self._known)
            return _Progress(estimate.mean, estimate, None)
        if stage == "diffusion" and restorer.diffusion is not None and now.estimate is not None:
            drawn = self._sampled("diffusion", now.estimate._replace(mean=now.fill))
            return _Progress(drawn.mean(dim=0), now.estimate, drawn)
        if stage == "latent":
            drawn = self._latent(now.fill)
            return _Progress(drawn.mean(dim=0), now.estimate, drawn)
        fill = restorer.harmoniser(now.fill, self._normal, self._known)
        draws: Tensor | None = now.draws
        if draws is not None:
            joined = [restorer.harmoniser(one, self._normal, self._known) for one in draws]
            draws = torch.stack(joined)
        return _Progress(fill, now.estimate, draws)

    def _drawn(self, now: _Progress) -> Tensor | None:
        """Draw samples around the final fill, if samples are asked for and something draws."""
        name = self._restorer.spec.sampler
        if not self._samples or not name:
            return None
        if name == "latent":
            draws = self._latent(now.fill)
        else:
            if now.estimate is None:
                return None
            draws = self._sampled(name, now.estimate._replace(mean=now.fill))
        _require_finite(draws, name)
        return draws

    def _sampled(self, name: str, estimate: Estimate) -> Tensor:
        sampler = getattr(self._restorer, name)
        noise = {"texture": self._restorer.texture} if name == "diffusion" else {}
        fills: Tensor = sampler.draw(
            estimate,
            self._known,
            samples=max(self._samples, 1),
            steps=self._steps,
            generators=self._generators,
            **noise,
        )
        return fills

    def _latent(self, guess: Tensor) -> Tensor:
        stage: Any = self._restorer.latent
        fills: Tensor = stage.fill(
            self._normal,
            self._known,
            guess,
            samples=max(self._samples, 1),
            steps=self._steps,
            generators=self._generators,
        )
        return fills

    def _spread(self, estimate: Estimate | None, draws: Tensor | None) -> Tensor:
        """Pool the variance that the mean network says with that of samples.

        ::

            spread² = (ν s² + Σ (x_k − x̄)²) / (ν + K − 1)

        with K samples, and ν = 4 for the network's own s². Texture is drawn with spread s, so
        its samples add only chance to it.
        """
        textured = (
            self._restorer.spec.sampler == "texture" and "latent" not in self._restorer.spec.chain
        )
        enough = draws is not None and len(draws) > 1
        if estimate is None:
            if draws is not None and enough:
                return draws.std(dim=0)
            return torch.full_like(self._normal, torch.nan)
        if draws is None or not enough or textured:
            return estimate.spread
        total = PRIOR_SAMPLES * estimate.spread**2 + (draws - draws.mean(dim=0)).square().sum(dim=0)
        return (total / (PRIOR_SAMPLES + len(draws) - 1)).sqrt()


def built(spec: Mapping[str, Any]) -> Restorer:
    """Build the untrained restorer of a model card's specification."""
    return Restorer(RestorerSpec.from_json(spec))


def _latent_stage(channels: int, spec: Mapping[str, Any]) -> Any:
    """Build the latent diffusion; a restorer without it loads no autoencoder."""
    from pipelines.nets.latent_diffusion import LatentDiffusion, LatentSpec

    return LatentDiffusion(LatentSpec(channels=channels, **spec))


def _generators(seed: int | Sequence[int], n: int) -> list[torch.Generator]:
    """Return a generator per patch, each from its own seed."""
    seeds = [seed + k for k in range(n)] if isinstance(seed, int) else list(seed)
    if len(seeds) != n:
        msg = f"found {len(seeds)} seeds for {n} patches, expected one per patch"
        raise RestorationError(msg)
    return [torch.Generator().manual_seed(each) for each in seeds]


def _require_finite(fill: Tensor, stage: str) -> None:
    """Refuse the answer of a stage with NaN or infinity in it."""
    # Leading samples are folded away: the patch is what the caller can name.
    bad = ~torch.isfinite(fill).flatten(-3).all(dim=-1)
    patches = torch.nonzero(bad.reshape(-1, fill.shape[-4]).any(dim=0)).flatten().tolist()
    if patches:
        msg = (
            f"found NaN or infinity in what the stage {stage!r} says of patches {patches} of "
            f"{fill.shape[-4]}, expected numbers; check its weights, or leave the stage out of "
            "the chain"
        )
        raise RestorationError(msg)
