"""Clouds over ice: cores with thin edges, as bright as snow but at 1.6 μm, where they shine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import special

from pipelines.worlds.place_noise import fractal_noise

FLOAT = NDArray[np.float64]
FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]

EDGE_DEPTH = 0.3
"""Optical depth at which a cloud begins; less is a veil that truth doesn't call a cloud [1]."""

BACKSCATTER = 0.13
"""Part of the light that goes back per optical depth: (1 − g) at low sun [1]."""

WATER = {"blue": 1.0, "green": 1.0, "red": 1.0, "nir08": 0.97, "swir16": 0.62, "swir22": 0.45}
ICE = {"blue": 1.0, "green": 1.0, "red": 1.0, "nir08": 0.95, "swir16": 0.30, "swir22": 0.20}
"""Light that a cloud of droplets and one of crystals does not absorb, by band [1]."""


@dataclass(frozen=True)
class Layer:
    """One deck of clouds.

    Attributes
    ----------
    cloudiness : float
        Expected part of the sky that it covers [1].
    height : float
        Above the surface [m].
    length : float
        Size of the largest cells [m].
    densest : float
        Optical depth one standard deviation of the field above its edge [1].
    ice : bool
        Of crystals.
    stretch : float
        How much longer cells are along x than along y [1].
    seed : int
        Of its field.
    """

    cloudiness: float
    height: float
    length: float
    densest: float
    ice: bool
    stretch: float
    seed: int

    @property
    def threshold(self) -> float:
        """Value of the field above which there is cloud [1]."""
        return NormalDist().inv_cdf(1.0 - min(max(self.cloudiness, 1e-6), 1.0 - 1e-6))

    def field(self, x: FLOAT, y: FLOAT) -> FLOAT32:
        """Return the Gaussian field that the deck is cut from, shape (ny, nx) [1]."""
        return fractal_noise(
            x, y, length=self.length, seed=self.seed, octaves=4, stretch=self.stretch
        )

    def depth(self, field: FLOAT32) -> FLOAT32:
        """Return the optical depth: 0.3 at the edge, a veil below, a core above [1]."""
        above = np.clip(field - np.float32(self.threshold), -6.0, None)
        core = np.float32(self.densest) * np.maximum(above, 0.0) ** np.float32(1.5)
        veil = EDGE_DEPTH * np.exp(np.minimum(above, 0.0) / np.float32(0.12))
        return np.asarray(core + veil, dtype=np.float32)

    def shade(self, x: FLOAT, y: FLOAT, *, sun: tuple[float, float], elevation: float) -> FLOAT32:
        """Return the optical depth between the ground and the sun, shape (ny, nx) [1].

        The cloud that shades a place is h / tan e away from it, towards the sun.
        """
        away = self.height / math.tan(math.radians(elevation))
        return self.depth(self.field(x + away * sun[0], y + away * sun[1]))


def sky(cloudiness: float, *, seed: int) -> tuple[Layer, ...]:
    """Return the decks of a day: droplets below, and now and then cirrus.

    Parameters
    ----------
    cloudiness : float
        Part of the sky under the lower deck, 0 to 1.
    seed : int
        Of the day.
    """
    if cloudiness <= 0.0:
        return ()
    draw = np.random.default_rng([seed, 41])
    low = Layer(
        cloudiness=min(cloudiness, 1.0),
        height=float(draw.uniform(600.0, 1800.0)),
        length=float(draw.uniform(7e3, 12e3)),
        densest=float(draw.uniform(8.0, 16.0)),
        ice=bool(draw.random() < 0.25),
        stretch=float(np.exp(draw.uniform(-0.7, 0.7))),
        seed=seed * 101 + 1,
    )
    if draw.random() < 0.6:
        return (low,)
    cirrus = Layer(cloudiness / 4.0, 6000.0, 14e3, 0.8, True, 2.5, seed * 101 + 2)  # noqa: FBT003
    return low, cirrus


def reflected(depth: FLOAT32) -> FLOAT32:
    """Return the part of visible light that goes back, τ (1 − g) / (1 + τ (1 − g)) [1]."""
    scaled = np.float32(BACKSCATTER) * depth
    return np.asarray(scaled / (1.0 + scaled), dtype=np.float32)


def thickness_rank(field: FLOAT32, layer: Layer) -> FLOAT32:
    """Return where in the distribution of its cloud a place lies, as a normal deviate.

    Within the cloud it has mean 0 and variance 1, whatever the cloudiness: low at edges.
    Outside it is meaningless, but finite.
    """
    beyond = special.ndtr(-field.astype(np.float64)) / special.ndtr(-layer.threshold)
    return np.asarray(-special.ndtri(np.clip(beyond, 1e-6, 1.0 - 1e-6)), dtype=np.float32)
