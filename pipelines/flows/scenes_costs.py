"""What scenes cost in time, bytes and requests, from unit costs measured on real runs.

Measured on a 2-core EPYC machine against SeaweedFS on loopback with `tests.benchmarks.scenes`: a
service across a network answers later, not slower, and asks for as many requests.
"""

from __future__ import annotations

from pipelines.flows.scenes_arrays import BANDS, Layout, Summer
from pipelines.lifecycle import Traffic

SCREEN_SECONDS, SCREEN_SECONDS_PER_MPX = 0.3, 1.5
"""Time of screening a candidate: its files, and each million of screening cells [s]."""
STORE_SECONDS_PER_MPX = 0.5
"""Time of storing a million pixels of 30 m: three bands, quality, saturation [s].

76 s for 12 scenes of 3584² on two cores that other work shared: an upper bound.
"""
FILES = 6
"""Files of a granule that are opened: three bands, quality, saturation, metadata."""
OPEN_BYTES, OPEN_READS = 48_000, 2
"""Read of each file before its first pixel."""
SCREEN_BYTES_PER_MPX, STORE_BYTES_PER_MPX = 7_000_000, 6_500_000
"""Compressed bytes of a million cells or pixels, of all files together."""
READS_PER_MPX = 20
"""Requests for a million pixels: blocks of 512, neighbours joined, of five files."""


def megapixels(layout: Layout, summer: Summer) -> float:
    """Return the pixels of a summer's ROI at 30 m [10⁶]."""
    grid = layout.grids[summer.shelf]
    return grid.nx * grid.ny / 1e6


def stored(layout: Layout, summer: Summer) -> int:
    """Return how many scenes of a summer are stored at most in the first round."""
    return min(len(summer.scenes), layout.places.most)


def screen_seconds(layout: Layout) -> float:
    """Return the mean time of a candidate's screening [s]."""
    candidates = sum(len(summer.scenes) for summer in layout.summers)
    if not candidates:
        return 0.0
    cells = sum(len(s.scenes) * megapixels(layout, s) for s in layout.summers) / layout.factor**2
    return SCREEN_SECONDS + SCREEN_SECONDS_PER_MPX * cells / candidates


def store_seconds(layout: Layout) -> float:
    """Return the mean time of a place of the first round, if every place is taken [s]."""
    total = sum(stored(layout, s) * megapixels(layout, s) for s in layout.summers)
    return STORE_SECONDS_PER_MPX * total / max(1, len(layout.summers) * layout.places.most)


def traffic(layout: Layout) -> Traffic:
    """Return what a run reads and asks of stores, if every place is taken."""
    read_bytes, reads, writes = 0.0, 0.0, 0.0
    for summer in layout.summers:
        pixels, kept = megapixels(layout, summer), stored(layout, summer)
        granules = [len(scene.granules) for scene in summer.scenes]
        opened = sum(granules) * (1.0 + kept / max(1, len(granules)))
        read_bytes += opened * FILES * OPEN_BYTES
        reads += opened * FILES * OPEN_READS
        screened = len(summer.scenes) * pixels / layout.factor**2
        read_bytes += screened * SCREEN_BYTES_PER_MPX + kept * pixels * STORE_BYTES_PER_MPX
        reads += (screened + kept * pixels) * READS_PER_MPX
        chunks = pixels * 1e6 / layout.chunk**2
        # Arrays of pixels and flags, in the versioned store and in its plain copy.
        writes += 2 * 2 * kept * chunks + 2 * (len(BANDS) + 4) * len(summer.scenes)
    return Traffic(round(read_bytes), round(reads), round(writes))
