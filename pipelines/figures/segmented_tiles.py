"""Annotated tiles as the network saw them, with what people drew and what it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

FLOAT = NDArray[np.float32]
MOST_PX = 512
"""Rows and columns of a drawn tile at most; larger ones are thinned."""

MOST_NAME = 26
"""Letters of a name that fit above a picture."""

Example = tuple[str, FLOAT, NDArray[np.uint8], FLOAT]
HIT, MISSED, FALSE = canvas.BLUE, "#e08214", canvas.RED


def drawn(examples: Sequence[Example], *, threshold: float = 0.5) -> bytes:
    """Draw a row for each tile: image, probability, and where label and map agree.

    Parameters
    ----------
    examples : sequence of (name, image, label, probability)
        Image of shape (ny, nx) [1], label 0, 1 or 255, probability [1] with NaN.
    threshold : float
        Probability above which a pixel counts as damage [1].

    Returns
    -------
    bytes
        PNG.
    """
    from matplotlib.patches import Patch

    count = max(1, len(examples))
    made = canvas.figure(canvas.PAGE, 2.5 * count + 0.4)
    grid = made.subplots(count, 3, squeeze=False)
    for row, (name, image, label, probability) in zip(grid, examples, strict=False):
        step = max(1, -(-max(image.shape) // MOST_PX))
        thin = (slice(None, None, step), slice(None, None, step))
        shown = _stretched(image[thin])
        row[0].imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        canvas.heading(row[0], name if len(name) <= MOST_NAME else f"…{name[1 - MOST_NAME :]}")
        row[1].imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        row[1].imshow(probability[thin], cmap="magma", vmin=0, vmax=1, interpolation="nearest",
                      alpha=np.nan_to_num(np.sqrt(probability[thin])))  # fmt: skip
        canvas.heading(row[1], "probability")
        compared = _compared(shown, label[thin], probability[thin], threshold)
        row[2].imshow(compared, interpolation="nearest")
        canvas.heading(row[2], "against the label")
        for axes in row:
            axes.set_axis_off()
    for row in grid[len(examples) :]:
        for axes in row:
            axes.set_axis_off()
    names = ((HIT, "both"), (MISSED, "label alone"), (FALSE, "map alone"))
    made.legend(handles=[Patch(color=colour, label=text) for colour, text in names],
                loc="outside lower center", ncols=3, frameon=False)  # fmt: skip
    return canvas.png(made)


def _stretched(image: FLOAT) -> FLOAT:
    """Return an image between its 2nd and 98th percentile; NaN where nothing was measured."""
    known = image[np.isfinite(image)]
    if not known.size:
        return image
    low, high = np.percentile(known, [2, 98])
    share: FLOAT = np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0).astype(np.float32)
    return share


def _compared(
    image: FLOAT, label: NDArray[np.uint8], probability: FLOAT, threshold: float
) -> FLOAT:
    """Return a picture (ny, nx, 3): the image pale, agreement and errors in colour."""
    from matplotlib.colors import to_rgb

    picture = np.repeat(np.nan_to_num(image, nan=0.5)[..., None], 3, axis=2) * 0.5 + 0.5
    said, labelled = np.nan_to_num(probability) > threshold, label == 1
    for colour, where in (
        (HIT, said & labelled), (MISSED, labelled & ~said), (FALSE, said & (label == 0)),
    ):  # fmt: skip
        picture[where] = to_rgb(colour)
    return picture.astype(np.float32)
