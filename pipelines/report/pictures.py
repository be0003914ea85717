"""Pictures of a report: drawn when it is their turn, kept as PNG and SVG, told in words."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.summary_page import Figure, Link, Sentence

if TYPE_CHECKING:
    from pipelines.figures.canvas import Drawing

FOLDER = "figures"


@dataclass(frozen=True)
class Picture:
    """A picture that can be drawn.

    Attributes
    ----------
    name : str
        Its file, without its end.
    draw : callable
        Calls one function of ``pipelines.figures``.
    alt : str
        What it shows, with numbers, for those who do not see it.
    caption : str
        What it shows, units, whose figure it follows.
    """

    name: str
    draw: Callable[[], bytes]
    alt: str
    caption: str

    def drawn(self) -> Drawing:
        """Return it as PNG and SVG.

        Raises
        ------
        pipelines.figures.canvas.FigureError
            Arrays that do not make the picture.
        """
        from pipelines.figures import canvas

        with warnings.catch_warnings():
            # A name in a script that the font lacks is drawn as boxes; the tables have it.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            return canvas.drawing(self.draw)

    def figure(self, number: int, drawing: Drawing) -> Figure:
        """Return it as a part of the page."""
        png, svg = (f"{FOLDER}/{self.name}.{end}" for end in ("png", "svg"))
        caption = Sentence(
            (
                f"Figure {number}. {self.caption} Download as ",
                Link("PNG", png),
                " or ",
                Link("SVG", svg),
                ".",
            )
        )
        return Figure(png, self.alt, png_size(drawing.png), caption)


def png_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a PNG [px]: they stand at one place in its first chunk."""
    wide, high = struct.unpack(">II", data[16:24])
    return int(wide), int(high)
