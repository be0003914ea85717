"""Discharge of sea sectors by epoch, and how it changed from the first to the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

UNIT = "Gt yr⁻¹"

EPOCHS = "cividis_r"
"""Colours of epochs, pale to dark with time; the order can be told without colours."""

LARGEST_CIRCLE = 0.42
"""Diameter of the circle of the largest change [inches]."""


def sector_bars(
    names: Sequence[str],
    epochs: Sequence[str],
    discharge: FLOAT,
    sigma: FLOAT,
    *,
    change_sigma: FLOAT | None = None,
    title: str,
) -> bytes:
    """Draw the anomaly of discharge of each sector by epoch, beside its change.

    Yang et al. (2023), figure 3. The anomaly is from the mean of the epochs measured.

    Parameters
    ----------
    names : sequence of str
        Sectors, groups or basins.
    epochs : sequence of str
        Epochs in order of time.
    discharge, sigma : ndarray, shape (epochs, sectors)
        Discharge and its standard deviation [Gt yr⁻¹]; NaN has no bar.
    change_sigma : ndarray, shape (sectors,), optional
        Standard deviation of the change between the last and the first epoch [Gt yr⁻¹]. Without
        it epochs are taken as independent, which says too much: they share their thickness.
    title : str
        What is shown.

    Returns
    -------
    bytes
        A PNG picture. Areas of circles go with the change; error bars are one sigma.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Fewer than two epochs, no sector, or numbers that are not one for each of both.
    """
    _check(names, epochs, discharge, sigma, change_sigma)
    high = max(0.46, 0.12 * len(epochs)) if len(names) <= 12 else 0.36
    made = canvas.figure(canvas.PAGE, max(3.0, 1.2 + high * len(names)))
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    left, right = made.subplots(1, 2, sharey=True, width_ratios=[2.1, 1.0])
    draw_anomalies(left, names, epochs, discharge, sigma)
    draw_changes(right, *changes(discharge, sigma, change_sigma), high=high)
    canvas.heading(left, f"(a) discharge less the mean of {len(epochs)} epochs")
    canvas.heading(right, f"(b) {canvas.plain(f'{epochs[-1]} less {epochs[0]}')}")
    kind = "σ of independent epochs" if change_sigma is None else "σ as given"
    right.set_xlabel(f"[{UNIT}], {kind}", fontsize=6.5)
    made.legend(*left.get_legend_handles_labels(), loc="outside lower center", frameon=False,
                fontsize=7, ncols=min(len(epochs), 6))  # fmt: skip
    return canvas.png(made)


def _check(
    names: Sequence[str],
    epochs: Sequence[str],
    discharge: FLOAT,
    sigma: FLOAT,
    change_sigma: FLOAT | None,
) -> None:
    if len(epochs) < 2 or not names:
        msg = (
            f"found {len(epochs)} epochs of {len(names)} sectors, expected at least two epochs "
            "of one sector; nothing can be compared"
        )
        raise canvas.FigureError(msg)
    shape = (len(epochs), len(names))
    canvas.check_shapes({"discharge": discharge, "sigma": sigma}, shape, what="numbers")
    if change_sigma is not None:
        canvas.check_shapes({"change": change_sigma}, shape[1:], what="standard deviations")


def anomalies(discharge: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return the mean over epochs, shape (sectors,), and what differs from it.

    Examples
    --------
    >>> mean, anomaly = anomalies(np.array([[1.0, np.nan], [np.nan, np.nan], [4.0, np.nan]]))
    >>> mean.tolist(), anomaly[:, 0].tolist()
    ([2.5, nan], [-1.5, nan, 1.5])
    """
    there = np.isfinite(discharge)
    count = there.sum(axis=0).astype(np.float64)
    sums = np.where(there, discharge, 0.0).sum(axis=0)
    mean = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0.0)
    return mean, discharge - mean


def changes(discharge: FLOAT, sigma: FLOAT, change_sigma: FLOAT | None) -> tuple[FLOAT, FLOAT]:
    """Return what the last epoch has more than the first, shape (sectors,), and its sigma."""
    independent = np.hypot(sigma[0], sigma[-1])
    return discharge[-1] - discharge[0], independent if change_sigma is None else change_sigma


def draw_anomalies(
    axes: Axes, names: Sequence[str], epochs: Sequence[str], discharge: FLOAT, sigma: FLOAT
) -> None:
    """Draw a bar for each sector and epoch [Gt yr⁻¹]; sectors downward, epochs downward in them."""
    from matplotlib import colormaps

    mean, anomaly = anomalies(discharge)
    thick = 0.82 / len(epochs)
    rows = np.arange(len(names), dtype=np.float64)
    for n, epoch in enumerate(epochs):
        there = np.isfinite(anomaly[n])
        colour = colormaps[EPOCHS](0.08 + 0.84 * n / (len(epochs) - 1))
        axes.barh(
            (rows + (n - (len(epochs) - 1) / 2.0) * thick)[there], anomaly[n][there],
            height=thick, xerr=sigma[n][there], color=colour, edgecolor=canvas.GREY,
            linewidth=0.3, label=canvas.plain(epoch),
            error_kw={"ecolor": canvas.INK, "elinewidth": 0.6, "capsize": 1.2, "capthick": 0.6},
        )  # fmt: skip
    axes.axvline(0.0, color=canvas.INK, linewidth=0.7)
    told = ["no data" if np.isnan(value) else f"mean {value:.0f} {UNIT}" for value in mean]
    shown = [canvas.plain(name) for name in names]
    axes.set_yticks(rows, [f"{name}\n{text}" for name, text in zip(shown, told, strict=True)])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"anomaly [{UNIT}]; error bars: one σ of the epoch's discharge")
    canvas.tidy(axes)
    axes.grid(visible=False, axis="y")
    for row in rows[1:].tolist():
        axes.axhline(row - 0.5, color=canvas.GRID, linewidth=0.8, zorder=0)


def draw_changes(axes: Axes, change: FLOAT, sigma: FLOAT, *, high: float) -> None:
    """Draw a circle for each sector, red for more discharge; ``high`` is a row [inches]."""
    rows = np.arange(len(change), dtype=np.float64)
    there = np.isfinite(change)
    largest = float(np.abs(change[there]).max()) if there.any() else 1.0
    widest = 72.0 * min(LARGEST_CIRCLE, 0.95 * high)
    areas = widest**2 * np.abs(change[there]) / (largest or 1.0)
    colours = [canvas.RED if value > 0.0 else canvas.BLUE for value in change[there]]
    axes.scatter(np.full(int(there.sum()), 0.2), rows[there], s=areas, c=colours, linewidths=0)
    for row, value, error in zip(rows, change, sigma, strict=True):
        axes.text(0.42, row, _told(value, error), fontsize=7.5, va="center", color=canvas.INK)
    axes.set(xlim=(0.0, 1.0), xticks=[])
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.hlines(rows[1:] - 0.5, 0.0, 1.0, color=canvas.GRID, linewidth=0.8, zorder=0)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=canvas.FAINT)


def _told(value: Any, error: Any) -> str:
    if np.isnan(value):
        return "no data"
    return f"{value:+.1f} ± {error:.1f}".replace("-", "\N{MINUS SIGN}")
