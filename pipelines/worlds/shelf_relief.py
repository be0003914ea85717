"""The shape of snow and ice without fractures: freeboard, undulations, flow stripes, rock, snow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.lattice_noise import fractal_noise, smoothstep, value_noise
from pipelines.worlds.shelf_block import Block, pace_of

FLOAT = NDArray[np.float32]

BUOYANCY = 1.0 - 917.0 / 1027.0
"""Part of floating ice above the sea [1]."""
FIRN_AIR = 14.0
"""Height that the air in the firn adds [m]."""
LAND_SLOPE = 0.2
"""Rise of the grounded surface over that of the ice thickness [1]."""
SMOOTH_GAIN = 0.435
"""Makes the spectrum of the snow surface fall as wave number to the power of −4.4 [1]."""
_NEAR_COAST = 1200.0


@dataclass(frozen=True)
class Relief:
    """Shape of the ice, every array of shape (ny, nx).

    Attributes
    ----------
    height : ndarray
        Of the surface before it is carved [m].
    rock : ndarray
        Part of a pixel that is rock [1].
    bare : ndarray
        Part of a pixel that is blue ice [1].
    crossing : ndarray
        Distance to the grounding line along the flow, negative upstream [m].
    """

    height: FLOAT
    rock: FLOAT
    bare: FLOAT
    crossing: FLOAT


def relief(block: Block) -> Relief:
    """Shape the snow and ice of a block of pixels."""
    nature = block.shelf.nature
    crossing = np.asarray(block.age / np.sqrt(block.metric[2]), dtype=np.float32)
    height = _level(block, crossing)
    height += block.spread(_swell, every=8) * np.float32(9.0 * nature.relief)
    height += block.spread(_stripes, every=4) * np.float32(6.0 * nature.stripes)
    land = smoothstep(-200.0, 1500.0, -crossing)
    height += block.spread(_hills, every=8) * land * np.float32(34.0 * nature.relief)
    height += block.spread(_drifts, every=2) * np.float32(0.35)
    rock = np.zeros(block.shape, dtype=np.float32)
    if nature.rock > 0.0:
        peaks = block.spread(_peaks, every=4) * smoothstep(_NEAR_COAST, 3500.0, -crossing)
        height += np.float32(520.0) * np.maximum(peaks, 0.0)
        rough = block.spread(_crags, every=2)
        height += np.float32(26.0) * rough * smoothstep(0.0, 0.25, peaks)
        rock = smoothstep(0.10, 0.20, peaks + np.float32(0.10) * rough)
    bare = _bare_ice(block, crossing) * (np.float32(1.0) - rock)
    return Relief(height.astype(np.float32), rock, bare, crossing)


def _level(block: Block, crossing: FLOAT) -> FLOAT:
    """Mean height: floating by its thickness, grounded rising with it, (ny, nx) [m]."""
    depth, margin = block.labels.depth, block.labels.margin
    afloat = BUOYANCY * np.minimum(depth, margin) + FIRN_AIR
    rise = LAND_SLOPE * np.maximum(depth - margin, 0.0) * smoothstep(0.0, 3000.0, -crossing)
    return np.asarray((afloat + rise).astype(np.float32))


def _swell(nodes: Block) -> FLOAT:
    """Undulations of the shelf that move with the ice."""
    pace = pace_of(nodes)
    return fractal_noise(
        nodes.labels.across / 4200.0,
        nodes.birth * (pace / 6500.0),
        nodes.seed("swell"),
        octaves=4,
        gain=SMOOTH_GAIN,
    )


def _stripes(nodes: Block) -> FLOAT:
    """Flow stripes: narrow across the flow, long along it."""
    across, birth = nodes.labels.across, nodes.birth * (pace_of(nodes) / 14000.0)
    wide = fractal_noise(across / 1100.0, birth, nodes.seed("stripes"), octaves=3, gain=0.55)
    groups = value_noise(across / 5200.0, birth * 0.6, nodes.seed("stripe groups"))
    return np.asarray(wide * (np.float32(0.55) + np.float32(0.6) * smoothstep(-0.8, 1.2, groups)))


def _hills(nodes: Block) -> FLOAT:
    """Undulations over the bed, which stay where they are."""
    x, y = np.meshgrid(nodes.x, nodes.y)
    return fractal_noise(y / 4500.0, x / 4500.0, nodes.seed("hills"), octaves=4, gain=SMOOTH_GAIN)


def _drifts(nodes: Block) -> FLOAT:
    """Snow drifts of a summer, along its wind."""
    x, y = np.meshgrid(nodes.x, nodes.y)
    along, across = 0.8 * x + 0.6 * y, -0.6 * x + 0.8 * y
    return fractal_noise(
        across / 190.0, along / 520.0, nodes.seed("drifts", nodes.summer), octaves=2, gain=0.6
    )


def _peaks(nodes: Block) -> FLOAT:
    """How far mountains rise above the ice, by position [1]."""
    x, y = np.meshgrid(nodes.x, nodes.y)
    shape = fractal_noise(y / 3300.0, x / 3300.0, nodes.seed("peaks"), octaves=5, gain=0.5)
    return np.asarray(0.6 * (shape - np.float32(2.1 - 0.95 * nodes.shelf.nature.rock)))


def _crags(nodes: Block) -> FLOAT:
    """Ribs of bare rock."""
    x, y = np.meshgrid(nodes.x, nodes.y)
    ribs = fractal_noise(y / 420.0, x / 420.0, nodes.seed("crags"), octaves=3, gain=0.6)
    return np.asarray(np.float32(1.0) - np.float32(1.6) * np.abs(ribs))


def _bare_ice(block: Block, crossing: FLOAT) -> FLOAT:
    """Blue ice that wind keeps free of snow near the grounding line, drawn out along the flow."""
    amount = block.shelf.nature.blue_ice
    if amount <= 0.0:
        return np.zeros(block.shape, dtype=np.float32)
    swept = block.spread(_swept, every=4)
    nearness = np.exp(-(((crossing - np.float32(1500.0)) / np.float32(7500.0)) ** 2))
    gathered = swept + np.float32(1.5 * amount) * nearness - np.float32(1.55)
    return smoothstep(-0.06, 0.16, gathered.astype(np.float32))


def _swept(nodes: Block) -> FLOAT:
    across = nodes.labels.across
    along = nodes.labels.age * (pace_of(nodes) / 9000.0)
    broad = fractal_noise(across / 2400.0, along, nodes.seed("swept"), octaves=6, gain=0.55)
    yearly = value_noise(across / 3000.0, along * 2.0 + 13.7 * nodes.summer, nodes.seed("sweep"))
    return np.asarray(broad + np.float32(0.25) * yearly)


def snow_cover(block: Block) -> FLOAT:
    """Depth of the snow that bridges cracks in a summer, (ny, nx) [m].

    Thin in most places and summers, metres in patches of snowy ones; half of it melts by February.
    """
    snowy = float(
        value_noise(np.array([0.37]), np.array([block.summer * 1.7]), block.seed("snowy"))[0]
    )
    amount = max(0.0, 1.2 + 1.6 * snowy) * (1.0 - 0.5 * min(max(block.season, 0.0) / 110.0, 1.0))
    patches = block.spread(_snow_patches, every=8)
    return np.asarray(np.float32(amount) * smoothstep(-0.3, 1.3, patches) * np.float32(2.2))


def _snow_patches(nodes: Block) -> FLOAT:
    x, y = np.meshgrid(nodes.x, nodes.y)
    seed = nodes.seed("snow", nodes.summer)
    return fractal_noise(y / 5500.0, x / 5500.0, seed, octaves=3, gain=0.5)
