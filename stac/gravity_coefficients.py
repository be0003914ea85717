"""Columns of degree, order and values to squares of coefficients, complete and finite."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stac.gravity_text import FLOAT, INT, GravityFormatError, Rows

LARGEST_DEGREE = 5_540
"""No published field of the Earth is finer."""


@dataclass(frozen=True)
class Coefficients:
    """Coefficients in the order of a file.

    Attributes
    ----------
    name : str
        File, for messages.
    degree, order : ndarray of int64, shape (rows,)
        Degree j and order m.
    values : tuple of ndarray of float64, each shape (rows,)
        C and S, or C, S and their standard deviations [1 or yr⁻¹].
    lines : ndarray of int64, shape (rows,)
        Where each stands in the file.
    """

    name: str
    degree: INT
    order: INT
    values: tuple[FLOAT, ...]
    lines: INT

    def __len__(self) -> int:
        return len(self.degree)

    def where(self, chosen: NDArray[np.bool_]) -> "Coefficients":
        """Return the chosen ones, shape (rows,)."""
        return Coefficients(
            self.name,
            self.degree[chosen],
            self.order[chosen],
            tuple(column[chosen] for column in self.values),
            self.lines[chosen],
        )


def coefficients(rows: Rows, *, first: int, count: int) -> Coefficients:
    """Take degree and order from two columns, and ``count`` values from those that follow them."""
    names = ("C", "S", "the sigma of C", "the sigma of S")
    return Coefficients(
        rows.name,
        rows.whole(first, "the degree"),
        rows.whole(first + 1, "the order"),
        tuple(rows.real(first + 2 + i, names[i]) for i in range(count)),
        rows.lines,
    )


def joined(parts: list[Coefficients]) -> Coefficients:
    """Put coefficients of one file together; those without sigmas get NaN."""
    width = max(len(part.values) for part in parts)
    columns = [
        np.concatenate([
            part.values[i] if i < len(part.values) else np.full(len(part), np.nan) for part in parts
        ])
        for i in range(width)
    ]  # fmt: skip
    return Coefficients(
        parts[0].name,
        np.concatenate([part.degree for part in parts]),
        np.concatenate([part.order for part in parts]),
        tuple(columns),
        np.concatenate([part.lines for part in parts]),
    )


def squares(found: Coefficients, *, j_max: int, complete_from: int | None = 2) -> FLOAT:
    """Put coefficients into squares.

    Parameters
    ----------
    found : Coefficients
        What a file holds.
    j_max : int
        Degree that the file claims.
    complete_from : int, optional
        Every order of this degree and all above it must be there; None if any may be absent.

    Returns
    -------
    ndarray, shape (values, j_max + 1, j_max + 1)
        0 where the file gives nothing, and above the diagonal.

    Raises
    ------
    GravityFormatError
        Orders above their degree, degrees beyond j_max, doubles, gaps, values not finite.
    """
    _require_degree(j_max, name=found.name)
    _require_triangle(found, j_max)
    _require_finite(found)
    place = found.degree * (found.degree + 1) // 2 + found.order
    ranked = np.sort(place)
    if (ranked[1:] == ranked[:-1]).any():
        raise GravityFormatError(_doubled(found, place))
    if complete_from is not None:
        _require_complete(found, ranked, j_max, complete_from)
    filled = np.zeros((len(found.values), j_max + 1, j_max + 1))
    for square, column in zip(filled, found.values, strict=True):
        square[found.degree, found.order] = column
    return filled


def _require_degree(j_max: int, *, name: str) -> None:
    if not 0 <= j_max <= LARGEST_DEGREE:
        msg = (
            f"{name}: claims degree {j_max}, expected 0 to {LARGEST_DEGREE}; correct the header or "
            "fetch the file again"
        )
        raise GravityFormatError(msg)


def _require_triangle(found: Coefficients, j_max: int) -> None:
    wrong = (found.order < 0) | (found.order > found.degree) | (found.degree > j_max)
    if wrong.any():
        i = int(wrong.argmax())
        msg = (
            f"{found.name}: line {found.lines[i]}: found degree {found.degree[i]}, order "
            f"{found.order[i]}; expected 0 ≤ order ≤ degree ≤ {j_max}; the columns may be swapped, "
            "or the header names another degree"
        )
        raise GravityFormatError(msg)


def _require_finite(found: Coefficients) -> None:
    """Refuse NaN and infinity in C and S, and infinity in their sigmas."""
    for i, column in enumerate(found.values):
        wrong = ~np.isfinite(column) if i < 2 else np.isinf(column)
        if wrong.any():
            row = int(wrong.argmax())
            what = ("C", "S", "the sigma of C", "the sigma of S")[i]
            msg = (
                f"{found.name}: line {found.lines[row]}: {what} of degree {found.degree[row]}, "
                f"order {found.order[row]} is {column[row]}, expected a finite number; leave this "
                "file out or fetch it again"
            )
            raise GravityFormatError(msg)


def _doubled(found: Coefficients, place: INT) -> str:
    order = np.argsort(place, kind="stable")
    twice = int((np.diff(place[order]) == 0).argmax())
    one, other = order[twice], order[twice + 1]
    return (
        f"{found.name}: lines {found.lines[one]} and {found.lines[other]} both give degree "
        f"{found.degree[one]}, order {found.order[one]}; expected each coefficient once; remove "
        "one of them or fetch the file again"
    )


def _require_complete(found: Coefficients, ranked: INT, j_max: int, first: int) -> None:
    """Compare places with 0, 1, 2, …: they are unique, so the first that differs is missing."""
    start, stop = first * (first + 1) // 2, (j_max + 1) * (j_max + 2) // 2
    present = ranked[np.searchsorted(ranked, start) :]
    if present.size >= stop - start:
        return
    gaps = np.flatnonzero(present != start + np.arange(present.size))
    missing = start + (int(gaps[0]) if gaps.size else present.size)
    j = int((np.sqrt(8 * missing + 1) - 1) // 2)
    msg = (
        f"{found.name}: found {present.size} coefficients of degrees {first} to {j_max}, expected "
        f"{stop - start}; the first missing is degree {j}, order {missing - j * (j + 1) // 2}; the "
        "file is cut off, fetch it again, or its header names another degree"
    )
    raise GravityFormatError(msg)
