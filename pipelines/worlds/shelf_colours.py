"""Diffuse reflectance of snow, ice, water and rock in Landsat's bands, and where water lies.

Snow is bright where light is visible and dark at 1.6 μm (Warren, 1982), the darker in the near
infrared the coarser its grains; ice without bubbles absorbs red first; melt water is blue, the
sea is black.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.lattice_noise import fractal_noise, smoothstep, uniform
from pipelines.worlds.shelf_block import Block, pace_of

FLOAT = NDArray[np.float32]

BANDS = ("blue", "green", "red", "nir08", "swir16", "swir22")
FRESH_SNOW = (0.95, 0.94, 0.93, 0.87, 0.13, 0.11)
OLD_SNOW = (0.90, 0.885, 0.86, 0.72, 0.045, 0.035)
BLUE_ICE = (0.74, 0.68, 0.57, 0.36, 0.020, 0.015)
CRACKED_SNOW = (0.74, 0.72, 0.67, 0.52, 0.040, 0.030)
ROCK = (0.09, 0.10, 0.12, 0.16, 0.20, 0.18)
OPEN_SEA = (0.075, 0.055, 0.040, 0.020, 0.008, 0.005)
GREY_ICE = (0.34, 0.32, 0.29, 0.20, 0.040, 0.030)
PACK_ICE = (0.86, 0.85, 0.83, 0.74, 0.09, 0.07)
MELT_WATER = (0.44, 0.36, 0.20, 0.06, 0.010, 0.008)
"""Reflectance by band of :data:`BANDS` under normal light [1]."""

_MIDSUMMER = 75.0
"""15 January, days since 1 November [d]."""


def snow(block: Block) -> Mapping[str, FLOAT]:
    """Reflectance of snow whose grains grow through the summer, by band, (ny, nx) [1]."""
    ageing = smoothstep(0.0, 90.0, np.array([block.season], dtype=np.float32))[0]
    patches = block.spread(_grains, every=8)
    old = np.clip(
        np.float32(0.15) + np.float32(0.6) * ageing + np.float32(0.16) * patches, 0.0, 1.0
    )
    bright = np.float32(1.0) + np.float32(0.006) * block.spread(_glaze, every=4)
    return {
        band: np.asarray((np.float32(new) + np.float32(aged - new) * old) * bright)
        for band, new, aged in zip(BANDS, FRESH_SNOW, OLD_SNOW, strict=True)
    }


def _grains(nodes: Block) -> FLOAT:
    x, y = np.meshgrid(nodes.x, nodes.y)
    seed = nodes.seed("grains", nodes.summer)
    return fractal_noise(y / 8000.0, x / 8000.0, seed, octaves=3, gain=0.435)


def _glaze(nodes: Block) -> FLOAT:
    across, along = nodes.labels.across, nodes.birth * (pace_of(nodes) / 9000.0)
    return fractal_noise(across / 900.0, along, nodes.seed("glaze"), octaves=3, gain=0.5)


def mixed(
    base: Mapping[str, FLOAT], layers: list[tuple[FLOAT, tuple[float, ...]]]
) -> dict[str, FLOAT]:
    """Lay surfaces over each other.

    Parameters
    ----------
    base : mapping of ndarray, shape (ny, nx)
        Reflectance below, by band [1].
    layers : list of (ndarray of shape (ny, nx), tuple of float)
        Part of each pixel that the next layer covers [1], and its reflectance by band [1].

    Returns
    -------
    dict of ndarray, shape (ny, nx)
        Reflectance by band [1].
    """
    result = dict(base)
    for part, colours in layers:
        for band, colour in zip(BANDS, colours, strict=True):
            result[band] = result[band] + (np.float32(colour) - result[band]) * part
    return result


def pond_cover(block: Block, crossing: FLOAT, bare: FLOAT) -> FLOAT:
    """Part of each pixel under melt water: from late December to February, (ny, nx) [1].

    Ponds fill hollows that move with the ice, and streams join them down the flow; some summers
    are warm and some see none.
    """
    warm = melt_strength(block)
    if warm <= 0.02:
        return np.zeros(block.shape, dtype=np.float32)
    place = smoothstep(-2500.0, 600.0, crossing) * smoothstep(15000.0, 6000.0, crossing)
    level = np.float32(2.5 - 1.9 * warm) - np.float32(0.5) * bare
    hollow = block.spread(_hollows, every=2)
    ponds = smoothstep(0.0, 0.12, (hollow - level) * place - (1.0 - place))
    stream = block.spread(_streams, every=2)
    narrow = np.float32(0.02 + 0.055 * warm)
    streams = smoothstep(0.0, 0.04, narrow - stream - np.float32(0.5) * (np.float32(1.0) - place))
    wet = smoothstep(-0.9, 0.3, hollow) * np.float32(min(1.0, 1.4 * warm))
    return np.maximum(ponds, streams * wet).astype(np.float32)


def melt_strength(block: Block) -> float:
    """How much melt water the shelf has on the day, 0 to 1 [1]."""
    warmth = float(uniform(np.array([block.summer]), 7, block.seed("warmth"))[0])
    shape = math.exp(-(((block.season - _MIDSUMMER) / 32.0) ** 2))
    # Water outlives the warmest days: it refreezes slower than it forms.
    late = (
        math.exp(-(((block.season - _MIDSUMMER) / 48.0) ** 2))
        if block.season > _MIDSUMMER
        else shape
    )
    onset = 1.0 if block.season > 50.0 else max(0.0, 1.0 - (50.0 - block.season) / 12.0)
    return block.shelf.nature.ponds * (0.35 + 0.65 * warmth) * late * onset


def _hollows(nodes: Block) -> FLOAT:
    across, along = nodes.labels.across, nodes.birth * (pace_of(nodes) / 1500.0)
    return fractal_noise(across / 800.0, along, nodes.seed("hollows"), octaves=5, gain=0.55)


def _streams(nodes: Block) -> FLOAT:
    across, along = nodes.labels.across, nodes.birth * (pace_of(nodes) / 4500.0)
    bends = fractal_noise(across / 1500.0, along * 2.5, nodes.seed("bends"), octaves=3, gain=0.5)
    course = fractal_noise(
        across / 1300.0 + 0.25 * bends, along, nodes.seed("streams"), octaves=2, gain=0.4
    )
    return np.abs(course)
