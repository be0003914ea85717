"""Maps of altimetry, gravimetry and their combination below each other, with their spreads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import basins, canvas, maps
from pipelines.figures.maps import Frame, Outline

FLOAT = NDArray[np.float64]

RATES_WITHIN, SPREADS_WITHIN, BASINS_WITHIN = 0.985, 0.995, 0.95
"""Shares of cells and basins that the colours reach: the largest losses would fade all others."""


def rate_maps(
    x: FLOAT,
    y: FLOAT,
    means: Mapping[str, FLOAT],
    spreads: Mapping[str, FLOAT],
    *,
    outlines: Sequence[Outline],
    coast: Sequence[Outline],
    title: str,
    limits: tuple[float, float] | None = None,
) -> bytes:
    """Draw the rate of each sensor and its spread, in EPSG:3031.

    Sasgen et al. (2019), figure 4.

    Parameters
    ----------
    x, y : ndarray, shapes (x,) and (y,)
        Cell centres [m].
    means, spreads : mapping of str to ndarray, shape (y, x)
        Rates and standard deviations of the members [kg m⁻² yr⁻¹]; NaN is grey.
    outlines, coast : sequence of (x, y)
        Lines of the basins and of the grounded ice [m].
    title : str
        What and when.
    limits : (float, float), optional
        Where the colours of rates and of spreads end [kg m⁻² yr⁻¹]; else 98.5 % and 99.5 %
        of the cells of each sensor lie within.

    Returns
    -------
    bytes
        A PNG picture. All rates share one scale, all spreads another; what lies beyond is told.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Fields that are not on the axes, or spreads of other sensors than the means.
    """
    canvas.check_names(spreads, means, what="spreads")
    for fields, what in ((means, "rates"), (spreads, "spreads")):
        canvas.check_shapes(fields, (len(y), len(x)), what=what)
    ends = limits or (_limit(means, RATES_WITHIN), _limit(spreads, SPREADS_WITHIN))
    scales = ((-ends[0], ends[0]), (0.0, ends[1]))
    frame = maps.frame_of([*outlines, *coast], x, y)
    made, panels = _grid(len(means), frame, title)
    for column, by_sensor in enumerate((means, spreads)):
        for row, (name, field) in enumerate((name, by_sensor[name]) for name in means):
            axes = panels[row][column]
            shown = maps.draw_field(axes, x, y, field, colours=_COLOURS[column],
                                    scale=scales[column])  # fmt: skip
            maps.draw_lines(axes, outlines, width=0.25)
            maps.draw_lines(axes, coast, width=0.5)
            _finish(axes, frame, (row, column), name, maps.range_text(field))
        told = (by_sensor.values(), scales[column])
        _bar(made, shown, panels[:, column], f"{_WHAT[column]} [kg m⁻² yr⁻¹]", *told)
    return canvas.png(made)


def basin_maps(
    shapes: Sequence[Sequence[Outline]],
    names: Sequence[str],
    values: Mapping[str, FLOAT],
    sigmas: Mapping[str, FLOAT],
    *,
    title: str,
) -> bytes:
    """Draw the mass rate of every basin by each sensor, and its standard deviation.

    Sasgen et al. (2019), figure 7.

    Parameters
    ----------
    shapes : sequence of sequence of (x, y)
        Outer rings of each basin in EPSG:3031 [m].
    names : sequence of str
        What is written into each basin.
    values, sigmas : mapping of str to ndarray, shape (basins,)
        Mass rates and standard deviations [Gt yr⁻¹]; basins of NaN are grey.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. Rates within one standard deviation of zero are hatched; colours of
        standard deviations go with their square root.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Not one name and number per basin, or deviations of other sensors than the rates.
    """
    canvas.check_names(sigmas, values, what="standard deviations")
    for numbers, what in ((values, "mass rates"), (sigmas, "standard deviations")):
        canvas.check_shapes(numbers, (len(shapes),), what=what)
    basins.check(shapes, names)
    limit = maps.round_limit(np.concatenate(list(values.values())), within=BASINS_WITHIN)
    widest = maps.round_limit(np.concatenate(list(sigmas.values())), within=1.0)
    scales = ((-limit, limit), (0.0, widest))
    frame = maps.frame_of((ring for shape in shapes for ring in shape), *_ANYWHERE)
    made, panels = _grid(len(values), frame, title)
    labels = basins.labels(shapes, names)
    for column, by_sensor in enumerate((values, sigmas)):
        for row, name in enumerate(values):
            axes, rates = panels[row][column], by_sensor[name]
            shown = basins.fill(axes, shapes, rates, scale=scales[column],
                                colours=_COLOURS[column], root=column == 1)  # fmt: skip
            if column == 0:
                basins.hatch(axes, shapes, np.abs(rates) < sigmas[name])
            basins.write(axes, labels)
            _finish(axes, frame, (row, column), name, maps.range_text(rates))
        told = (by_sensor.values(), scales[column])
        _bar(made, shown, panels[:, column], _BASIN_LABELS[column], *told)
    return canvas.png(made)


def _limit(fields: Mapping[str, FLOAT], within: float) -> float:
    """Return the widest limit of the sensors."""
    return max(maps.round_limit(field, within=within) for field in fields.values())


_COLOURS = (canvas.RATES, canvas.SPREADS)
_WHAT = ("mean", "spread")
_BASIN_LABELS = (
    "mean [Gt yr⁻¹]; hatched: |mean| < spread",
    "spread [Gt yr⁻¹]; square-root colours",
)
_ANYWHERE: tuple[FLOAT, FLOAT] = (np.empty(0), np.empty(0))


def _grid(rows: int, frame: Frame, title: str) -> tuple[Any, Any]:
    """Return a figure of a page's width, and its rows of two panels of the frame's shape."""
    high = 0.97 * canvas.PAGE / 2.0 * maps.height_to_width(frame) + 0.25
    made = canvas.figure(canvas.PAGE, rows * high + 0.95)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    made.set_layout_engine("constrained", w_pad=0.05, h_pad=0.02, hspace=0.01, wspace=0.01)
    return made, made.subplots(rows, 2, squeeze=False)


def _finish(axes: Any, frame: Frame, place: tuple[int, int], name: str, told: str) -> None:
    row, column = place
    maps.draw_frame(axes, frame, labelled=row == column == 0)
    letter = canvas.letter(2 * row + column)
    canvas.heading(axes, f"{letter} {name}, {_WHAT[column]}", right=told)


def _bar(
    made: Any,
    shown: Any,
    panels: Any,
    label: str,
    fields: Iterable[FLOAT],
    scale: tuple[float, float],
) -> None:
    """Draw the colour bar of a column below it."""
    from matplotlib.colors import PowerNorm

    fields = list(fields)
    beyond = maps.extend(np.concatenate([np.ravel(field) for field in fields]), *scale)
    bar = made.colorbar(shown, ax=panels, location="bottom", extend=beyond, shrink=0.9,
                        aspect=36, pad=0.01)  # fmt: skip
    if isinstance(shown.norm, PowerNorm):
        bar.set_ticks([scale[1] * share for share in (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)])
    maps.finish_bar(bar, label, fields, scale)
