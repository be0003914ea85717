"""One way to make a picture: no display, no global state, PNG bytes out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1b2733"
FAINT = "#8a949e"
BLUE, RED, GREEN, PURPLE = "#2166ac", "#b2182b", "#1b7837", "#762a83"
"""Colours that people with the common colour-vision deficiencies can tell apart."""

SENSORS = {"altimetry": BLUE, "gravimetry": RED, "combination": GREEN}
"""Colours of the sensors, the same in every picture."""


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` × ``height`` inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def png(made: Figure, *, dpi: int = 150) -> bytes:
    """Return the picture as PNG bytes, without a date, so equal data give equal files."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
