"""Where a shelf ends: a line of ice that flows on, and jumps back when a piece calves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.lattice_noise import line_noise, seed_of
from pipelines.worlds.shelf_flow import LINE_STEP, FlowLines
from pipelines.worlds.shelf_natures import Calving, Nature, Rift

FLOAT = NDArray[np.float64]

FARTHEST = 0.995
"""A front lies no farther down a flow line than this part of the way to the world's front [1]."""
BENDS = 5200.0
"""Longest bends of a calved front [m]."""


@dataclass(frozen=True)
class Front:
    """The front of a shelf and the rifts that become it.

    Attributes
    ----------
    nature : Nature
        Of the shelf.
    lines : FlowLines
        Its flow lines; functions of a below are tables over them.
    seed : int
        Of the world.
    """

    nature: Nature
    lines: FlowLines
    seed: int

    @cached_property
    def births(self) -> tuple[FLOAT, ...]:
        """Date of birth of the ice along each calving line, (line,) [yr]."""
        return tuple(c.year - self._age_of(c, k) for k, c in enumerate(self.nature.calvings))

    def _age_of(self, calving: Calving, number: int) -> FLOAT:
        way = self.lines.distance[:, -1]
        seed = seed_of(self.seed, self.nature.name, "front", number)
        bends = line_noise(self.lines.across / BENDS, seed, octaves=6, gain=0.55)
        # Lines of the window's corners may have no floating ice: let their front be smooth.
        middle = float(way[np.argmin(np.abs(self.lines.across))])
        return self.lines.age_at(
            np.minimum(calving.part * middle + calving.rough * bends, way * FARTHEST)
        )

    def rift_births(self, rift: Rift, number: int) -> FLOAT:
        """Date of birth of the ice along a rift, (line,) [yr]."""
        across, way = self.lines.across, self.lines.distance[:, -1]
        seed = seed_of(self.seed, self.nature.name, "rift", number)
        wander = 260.0 * line_noise(across / 3500.0, seed, octaves=5, gain=0.5)
        middle = float(np.interp(rift.across, across, way))
        distance = rift.part * middle + rift.tilt * (across - rift.across) + wander
        return rift.year - self.lines.age_at(np.clip(distance, 0.0, way * FARTHEST))

    def age_limit(self, year: float) -> FLOAT:
        """Return the age of the oldest ice still there on each flow line.

        Parameters
        ----------
        year : float
            Since 2000 [yr].

        Returns
        -------
        ndarray, shape (line,)
            τ at the front [yr].
        """
        limit = self.lines.age_at(self.lines.distance[:, -1] * FARTHEST)
        for calving, birth in zip(self.nature.calvings, self.births, strict=True):
            if calving.year <= year:
                limit = np.minimum(limit, year - birth)
        return limit

    def on(self, across: FLOAT, table: FLOAT) -> FLOAT:
        """Read a table over the lines at any a [m], shape (...), linearly."""
        place = (across - self.lines.across[0]) / LINE_STEP
        node = np.clip(np.floor(place).astype(np.int64), 0, table.size - 2)
        part = place - node
        return np.asarray(table[node] * (1.0 - part) + table[node + 1] * part)

    def jaggedness(self, number: int) -> FLOAT:
        """Return how the width of a rift varies along it, shape (line,) [1]."""
        seed = seed_of(self.seed, self.nature.name, "jagged", number)
        return np.clip(1.0 + 0.3 * line_noise(self.lines.across / 900.0, seed, octaves=3), 0.3, 1.7)

    def distance(self, across: FLOAT, age: FLOAT, year: float) -> tuple[FLOAT, FLOAT]:
        """Return years until the ice reaches the front, and its slope along a.

        Parameters
        ----------
        across, age : ndarray, shape (...)
            Labels [m, yr].
        year : float
            Since 2000 [yr].

        Returns
        -------
        ahead, slope : ndarray, shape (...)
            Positive on the shelf [yr], and the slope of the front's age [yr m⁻¹].
        """
        limit = self.age_limit(year)
        slope = np.gradient(limit, self.lines.across)
        return self.on(across, limit) - age, self.on(across, slope)
