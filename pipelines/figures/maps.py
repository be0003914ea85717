"""Maps in EPSG:3031: the pole in the middle, Greenwich up."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
Outline = tuple[FLOAT, FLOAT]
Frame = tuple[float, float, float, float]
"""West, east, south and north end of a map [km]."""
Extend = Literal["neither", "both", "min", "max"]

GRATICULE = (-80.0, -70.0, -60.0)
LABELLED_MERIDIAN = 315.0
"""Where parallels are labelled [degrees east]: over the Weddell Sea."""

MARGIN_KM = 250.0
"""Sea that is shown around the outlines; leaked signal lies there."""

SCALE_BAR_KM = 1000.0

WITHIN = 0.995
"""Share of the cells that the colours reach."""


def rate_map(
    x: FLOAT,
    y: FLOAT,
    field: FLOAT,
    *,
    outlines: Sequence[Outline],
    coast: Sequence[Outline],
    title: str,
    diverging: bool,
) -> bytes:
    """Draw a rate of surface mass density in EPSG:3031.

    Parameters
    ----------
    x, y : ndarray, shape (nx,), (ny,)
        Cell centres [m].
    field : ndarray, shape (ny, nx)
        Rate [kg m⁻² yr⁻¹, the same number in mm of water a year]; NaN is grey.
    outlines, coast : sequence of (x, y)
        Lines of the basins and of the grounded ice [m].
    title : str
        What, when and how filtered.
    diverging : bool
        Red for loss and blue for gain around zero, or one hue from zero up.

    Returns
    -------
    bytes
        A PNG picture.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        A field that is not on the axes.
    """
    canvas.check_shapes({"map": field}, (len(y), len(x)), what="rates")
    frame = frame_of([*outlines, *coast], x, y)
    made = canvas.figure(canvas.PAGE, 0.6 + 0.86 * canvas.PAGE * height_to_width(frame))
    axes = made.add_subplot()
    limit, colours = round_limit(field), canvas.RATES if diverging else canvas.SPREADS
    scale = (-limit if diverging else 0.0, limit)
    shown = draw_field(axes, x, y, field, colours=colours, scale=scale)
    draw_lines(axes, outlines, width=0.3)
    draw_lines(axes, coast, width=0.7)
    draw_frame(axes, frame, labelled=True)
    canvas.heading(axes, title, right=range_text(field))
    bar = made.colorbar(shown, ax=axes, extend=extend(field, *scale), shrink=0.85, aspect=28)
    finish_bar(bar, "kg m⁻² yr⁻¹ (mm water a year)", (field,), scale)
    return canvas.png(made)


def round_limit(field: FLOAT, *, within: float = WITHIN) -> float:
    """Return a colour limit of one digit that a share ``within`` of the cells stays inside.

    Examples
    --------
    >>> round_limit(np.linspace(-123.0, 123.0, 999)), round_limit(np.full(3, np.nan))
    (200.0, 1.0)
    """
    magnitude = np.abs(field[np.isfinite(field)])
    high = float(np.quantile(magnitude, within)) if magnitude.size else 1.0
    if high <= 0.0:
        return 1.0
    step = 10.0 ** np.floor(np.log10(high))
    return float(np.ceil(high / step * (1.0 - 1e-12)) * step)


def extend(field: FLOAT, low: float, high: float) -> Extend:
    """Return which ends of the colours hide values beyond them.

    Examples
    --------
    >>> extend(np.array([-3.0, 1.0, np.nan]), -2.0, 2.0)
    'min'
    """
    below, above = bool(np.any(field < low)), bool(np.any(field > high))
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"


def range_text(field: FLOAT) -> str:
    """Return the least and the largest value, which colours may hide.

    Examples
    --------
    >>> range_text(np.array([-612.3, 0.2, np.nan])), range_text(np.array([0.31, 4.0]))
    ('−612 to 0', '0.3 to 4.0')
    """
    there = field[np.isfinite(field)]
    if not there.size:
        return "no data"
    low, high = float(there.min()), float(there.max())
    size = max(-low, high)
    digits = 0 if size >= 10.0 or size == 0.0 else 1 if size >= 1.0 else 2
    return " to ".join(_signed(end, digits) for end in (low, high))


def _signed(value: float, digits: int) -> str:
    """Return a number with a true minus sign, and zero without one."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def draw_field(
    axes: Axes, x: FLOAT, y: FLOAT, field: FLOAT, *, colours: str, scale: tuple[float, float]
) -> Any:
    """Fill the cells of a map with colours; cells without data are grey."""
    axes.set_facecolor(canvas.MISSING)
    return axes.pcolormesh(
        x / 1e3, y / 1e3, np.ma.masked_invalid(field), cmap=colours,
        vmin=scale[0], vmax=scale[1], rasterized=True,
    )  # fmt: skip


def finish_bar(bar: Any, label: str, fields: Iterable[FLOAT], scale: tuple[float, float]) -> None:
    """Write beside a colour bar what it shows, what lies beyond it, and that grey is no data."""
    notes = [label]
    values = np.concatenate([np.ravel(field) for field in fields])
    there = values[np.isfinite(values)]
    beyond = (there < scale[0]) | (there > scale[1])
    if beyond.any():
        share = f"{beyond.mean():.1%}".replace("%", " %")
        notes.append(f"{'under 0.1 %' if share == '0.0 %' else share} beyond the colours")
    if there.size < values.size:
        notes.append("grey: no data")
    bar.set_label("; ".join(notes), fontsize=7.5)
    bar.ax.tick_params(labelsize=7, width=0.5, length=2.5)
    bar.outline.set_linewidth(0.5)


def draw_lines(axes: Axes, lines: Sequence[Outline], *, width: float) -> None:
    """Draw lines of EPSG:3031 [m]."""
    for x, y in lines:
        axes.plot(x / 1e3, y / 1e3, color=canvas.INK, linewidth=width)


def frame_of(lines: Iterable[Outline], x: FLOAT, y: FLOAT) -> Frame:
    """Return the ends of a map [km] around ``lines``, no wider than the axes ``x`` and ``y`` [m].

    Examples
    --------
    >>> edge = np.linspace(-3e6, 3e6, 7)
    >>> frame_of([(np.array([-2e6, 1e6]), np.array([-5e5, 2.9e6]))], edge, edge)
    (-2250.0, 1250.0, -750.0, 3000.0)
    """
    lines = list(lines)
    ends = []
    for axis, part in ((x, 0), (y, 1)):
        low, high = (float(np.min(axis)) / 1e3, float(np.max(axis)) / 1e3) if len(axis) else (
            -np.inf, np.inf)  # fmt: skip
        if lines:
            around = np.concatenate([line[part] for line in lines]) / 1e3
            low = max(low, float(around.min()) - MARGIN_KM)
            high = min(high, float(around.max()) + MARGIN_KM)
        ends += [low, high]
    west, east, south, north = ends
    return west, east, south, north


def height_to_width(frame: Frame) -> float:
    """Return the height of a map in widths."""
    west, east, south, north = frame
    return (north - south) / (east - west)


def draw_frame(axes: Axes, frame: Frame, *, labelled: bool) -> None:
    """Draw parallels and meridians within a frame [km]; ``labelled`` names them, with a scale."""
    west, east, south, north = frame
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set(aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=canvas.FAINT)
    for x, y in _graticule():
        axes.plot(x, y, color=canvas.FAINT, linewidth=0.35, linestyle=(0, (1, 2)), zorder=1.5)
    if labelled:
        _name_graticule(axes, frame)
        _draw_scale(axes, frame)


def _graticule() -> list[Outline]:
    """Return parallels and meridians [km]."""
    from pipelines.kernels import geodesy

    lon = np.linspace(0.0, 360.0, 361)
    lines = [geodesy.polar_stereographic(np.full_like(lon, lat), lon) for lat in GRATICULE]
    lines += [
        geodesy.polar_stereographic(np.array([-89.0, -50.0]), np.full(2, float(meridian)))
        for meridian in range(0, 360, 30)
    ]
    return [(x / 1e3, y / 1e3) for x, y in lines]


def _name_graticule(axes: Axes, frame: Frame) -> None:
    """Write latitudes along one meridian, and longitudes where they leave the frame."""
    from pipelines.kernels import geodesy

    west, east, south, north = frame
    wide, high = 0.015 * (east - west), 0.02 * (north - south)
    style: dict[str, Any] = {"fontsize": 5.5, "color": canvas.GREY, "ha": "center", "va": "center"}
    for lat in GRATICULE:
        place = geodesy.polar_stereographic(np.array(lat), np.array(LABELLED_MERIDIAN))
        x, y = (float(along) / 1e3 for along in place)
        across, up = min(x - west, east - x), min(y - south, north - y)
        if across > 3.0 * wide and up > 2.0 * high:
            axes.text(x, y, f"{-lat:.0f}° S", **style,
                      path_effects=canvas.halo())  # fmt: skip
    for text, x, y, side in (
        ("0°", 0.0, north - high, "center"), ("180°", 0.0, south + high, "center"),
        ("90° E", east - wide, 0.0, "right"), ("90° W", west + wide, 0.0, "left"),
    ):  # fmt: skip
        if west < x < east and south < y < north:
            axes.text(x, y, text, **{**style, "ha": side}, path_effects=canvas.halo())


def _draw_scale(axes: Axes, frame: Frame) -> None:
    """Draw a scale bar into the lower left corner; it is true at 71° S."""
    west, east, south, north = frame
    left, bottom = west + 0.03 * (east - west), south + 0.035 * (north - south)
    for a, b in itertools.pairwise(np.array([0.0, 0.5, 1.0]) * SCALE_BAR_KM + left):
        inner = "white" if a > left else canvas.INK
        axes.plot([a, b], [bottom, bottom], color=canvas.INK, linewidth=2.4,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot([a, b], [bottom, bottom], color=inner, linewidth=1.2, solid_capstyle="butt")
    axes.text(left + SCALE_BAR_KM / 2.0, bottom + 0.02 * (north - south),
              f"{SCALE_BAR_KM:.0f} km", fontsize=6, ha="center", color=canvas.INK,
              path_effects=canvas.halo())  # fmt: skip
