"""Blocks of pixels: squares of whole chunks, and what a network sees around one.

A key writes a block, or a loop reads one at a time, so that no task holds a whole scene or map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Place = tuple[slice, slice]
"""Rows and columns."""


def block_side(chunk: int, *, most: int) -> int:
    """Return the side of a block: whole chunks, one at least, and otherwise `most` pixels at most.

    >>> block_side(512, most=1024), block_side(96, most=1024), block_side(4096, most=1024)
    (1024, 960, 4096)
    """
    return max(1, most // chunk) * chunk


def blocks(shape: tuple[int, int], side: int) -> Iterator[Place]:
    """Yield the blocks of a plane, row by row; the last ones are cut.

    >>> [(rows.stop, columns.stop) for rows, columns in blocks((3, 5), 4)]
    [(3, 4), (3, 5)]
    """
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            rows = slice(top, min(top + side, shape[0]))
            yield rows, slice(left, min(left + side, shape[1]))


def reach(side: int, *, patch: int, overlap: int) -> tuple[int, int]:
    """Return how far before and behind a block it is read, so that its patches are the scene's.

    Patches begin at multiples of the stride. Those that reach into a block begin a stride before
    it at the earliest, and the last one ends an overlap behind it.

    >>> reach(2048, patch=320, overlap=64)
    (256, 64)
    """
    stride = patch - overlap
    if side % stride:
        msg = f"blocks of {side} pixels are no multiple of the stride {stride} of patches"
        raise ValueError(msg)
    return stride, overlap


@dataclass(frozen=True)
class Window:
    """A block and what is read around it, beyond the scene's edges too."""

    rows: slice
    columns: slice
    before: int
    behind: int

    @classmethod
    def of(
        cls, block: tuple[int, int], shape: tuple[int, int], *, side: int, patch: int,
        overlap: int, margin: int = 0,
    ) -> Window:  # fmt: skip
        """Return the window of a block of a scene.

        A block that the scene ends in ends with the patch that does, so that what lies beyond is
        neither filled nor looked at.

        Parameters
        ----------
        block, shape : tuple of int
            Row and column of the block; rows and columns of the scene.
        side, patch, overlap, margin : int
            Of blocks, of patches, what these share, and what is read around besides [pixels].
        """
        before, behind = reach(side, patch=patch, overlap=overlap)
        stride = patch - overlap
        rows, columns = (
            slice(n * side, min((n + 1) * side, -(-size // stride) * stride))
            for n, size in zip(block, shape, strict=True)
        )
        return cls(rows, columns, before + margin, behind + margin)

    def outer(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Return the rows and columns to read that exist."""
        bounds = zip((self.rows, self.columns), shape, strict=True)
        rows, columns = (
            slice(max(0, part.start - self.before), min(size, part.stop + self.behind))
            for part, size in bounds
        )
        return rows, columns

    def margins(self, shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return how many rows and columns lack before and behind what exists."""
        outer = self.outer(shape)
        parts = zip((self.rows, self.columns), outer, strict=True)
        first, second = (
            (there.start - (part.start - self.before), part.stop + self.behind - there.stop)
            for part, there in parts
        )
        return first, second
