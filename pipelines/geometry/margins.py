"""How far a coast moves where a mask is a little too wide or too narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import shapely


class MarginError(ValueError):
    """A shape whose coast cannot be moved so."""


STEPS = 4
"""Of the secant that finds the distance; each gains two digits."""

SIMPLIFIED_M = 1_000.0
"""Detail of a coast below this is left out [m], or less, see :data:`SIMPLIFIED_SHARE`."""

SIMPLIFIED_SHARE = 0.25
"""Detail that is left out is at most this part of the distance by which the coast moves [1]:
otherwise a small shape would lose more by being made simple than was asked for."""


def narrowed(shape: shapely.Geometry, *, share: float) -> shapely.Geometry:
    """Return a shape whose coast is moved inwards until it has lost a share of its area.

    Parameters
    ----------
    shape : shapely.Geometry
        Polygons in a plane [m].
    share : float
        Part of the area to lose [1].

    Returns
    -------
    shapely.Geometry

    Raises
    ------
    MarginError
        A shape without area, or a share outside 0 to 0.5.

    Examples
    --------
    >>> import shapely
    >>> disc = shapely.Point(0.0, 0.0).buffer(1e6, quad_segs=64)
    >>> round(1.0 - narrowed(disc, share=0.02).area / disc.area, 4)
    0.02
    """
    if not (shape.area > 0.0 and 0.0 < share <= 0.5):
        msg = f"found an area of {shape.area:g} m² and a share of {share:g}, expected 0 to 0.5"
        raise MarginError(msg)
    wanted = share * shape.area
    plain = shape.simplify(min(SIMPLIFIED_M, SIMPLIFIED_SHARE * wanted / shape.length))
    distance = wanted / plain.length
    for _ in range(STEPS):
        distance *= share * plain.area / (plain.area - plain.buffer(-distance).area)
    # What the simple coast has beside the shape itself is known once the two are cut.
    left = shape.intersection(plain.buffer(-distance))
    distance *= wanted / (shape.area - left.area)
    return shape.intersection(plain.buffer(-distance))
