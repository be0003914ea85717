"""When the keys of a run were committed: lanes of stages above a curve of keys, as SVG text.

SVG and not PNG, because the page that holds it is one small file without a plotting library, and
is written at the end of every run. Long pauses between commits (a run that was resumed days later)
are cut out and marked, so that the work fills the picture.
"""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.figures.canvas import BLUE, FAINT, GREY, GRID, INK, RED

WIDTH = 880.0
LEFT, RIGHT, TOP, BOTTOM = 150.0, 20.0, 14.0, 34.0
LANE = 20.0
CURVE = 150.0
"""Sizes [px]."""

SHORTEST_PAUSE = 600.0
"""Between two commits less than this is no pause [s]."""
UNUSUAL = 20.0
"""A pause is this many times longer than most times between commits [1]."""
SHOWN = 0.04
"""Of the picture, for each pause that is cut out [1]."""


@dataclass(frozen=True)
class Moment:
    """One commit.

    Attributes
    ----------
    time : float
        When [s since any beginning].
    done, failed : int
        Its receipts.
    stages : tuple of str
        Stages of its keys.
    """

    time: float
    done: int
    failed: int
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """Times of commits on the page, pauses cut out.

    Attributes
    ----------
    places : tuple of float
        Working time of each commit since the first [s].
    pauses : tuple of (float, float)
        Working time where each pause was, and how long it was [s].
    """

    places: tuple[float, ...]
    pauses: tuple[tuple[float, float], ...]

    @property
    def length(self) -> float:
        """The working time of the last commit [s]; at least one second."""
        return max(self.places[-1], 1.0)


def axis(times: Sequence[float], *, longest_key: float) -> Axis:
    """Return where commits are on an axis of working time.

    Parameters
    ----------
    times : sequence of float
        Of the commits, increasing [s].
    longest_key : float
        A time between commits that a key can explain is no pause [s].
    """
    steps = [after - before for before, after in itertools.pairwise(times)]
    usual = sorted(steps)[len(steps) // 2] if steps else 0.0
    limit = max(SHORTEST_PAUSE, UNUSUAL * usual, 2.0 * longest_key)
    worked = sum(step for step in steps if step <= limit)
    shown = max(SHOWN * worked, 1.0)
    places, pauses = [0.0], []
    for step in steps:
        if step > limit:
            pauses.append((places[-1] + shown / 2.0, step))
        places.append(places[-1] + (shown if step > limit else max(step, 0.0)))
    return Axis(tuple(places), tuple(pauses))


def draw(moments: Sequence[Moment], *, longest_key: float) -> str:
    """Return the picture as an ``<svg>`` element; every text in it is escaped.

    Parameters
    ----------
    moments : sequence of Moment
        At least one, oldest first.
    longest_key : float
        See :func:`axis`.
    """
    along = axis([each.time for each in moments], longest_key=longest_key)
    stages = list(dict.fromkeys(name for each in moments for name in each.stages))
    lanes = TOP + LANE * len(stages)
    height = lanes + 16.0 + CURVE + BOTTOM
    parts = [
        *_time_axis(along, height - BOTTOM),
        *_lanes(moments, along, stages),
        *_curves(moments, along, lanes + 16.0),
        *_pauses(along, height - BOTTOM),
    ]
    size = f'viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}"'
    said = "commits of each stage, and keys done and failed, over working time"
    return f'<svg {size} role="img" aria-label="{said}">{"".join(parts)}</svg>'


def span(seconds: float) -> str:
    """Return a time in words that fit an axis.

    >>> span(0.25), span(42), span(90), span(5400), span(200000)
    ('0.25 s', '42 s', '1.5 min', '1.5 h', '2.3 d')
    """
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds)} s"


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 10.0 else f"{value:,.0f}"


def ticks(most: float, count: int = 5) -> list[float]:
    """Return round numbers from 0 up to ``most``, about ``count`` of them.

    >>> ticks(1000.0), ticks(7.0)
    ([0.0, 200.0, 400.0, 600.0, 800.0, 1000.0], [0.0, 2.0, 4.0, 6.0])
    """
    rough = most / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * 0.999)
    return [n * step for n in range(int(most / step + 1e-9) + 1)]


def _x(along: Axis, seconds: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * seconds / along.length


def _text(x: float, y: float, words: str, *, anchor: str = "middle", colour: str = GREY) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="11"'
    return f"<text {where}>{html.escape(words)}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, extra: str = "") -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" {extra}/>'


def _time_axis(along: Axis, bottom: float) -> list[str]:
    size, unit = next(
        ((s, u) for s, u in ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
         if along.length >= 2.0 * s),
        (1.0, "s"),
    )  # fmt: skip
    parts = []
    for tick in ticks(along.length / size):
        x = _x(along, tick * size)
        parts += [
            _line(x, TOP, x, bottom, GRID),
            _text(x, bottom + 14.0, f"{tick:g}"),
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2.0
    return [*parts, _text(middle, bottom + 29.0, f"working time since the first commit [{unit}]")]


def _lanes(moments: Sequence[Moment], along: Axis, stages: Sequence[str]) -> list[str]:
    parts = []
    for row, stage in enumerate(stages):
        y = TOP + LANE * (row + 0.5)
        at = [_x(along, p) for p, m in zip(along.places, moments, strict=True) if stage in m.stages]
        shown = stage if len(stage) <= 22 else f"{stage[:21]}…"
        parts.append(_text(LEFT - 8.0, y + 4.0, shown, anchor="end", colour=INK))
        parts.append(_line(at[0], y, at[-1], y, BLUE, 'stroke-width="2" stroke-opacity="0.35"'))
        ends = "".join(f"M{x:.1f} {y - 5.0:.1f}v10" for x in at)
        parts.append(f'<path d="{ends}" stroke="{BLUE}" stroke-width="1.5" fill="none"/>')
    return parts


def _curves(moments: Sequence[Moment], along: Axis, top: float) -> list[str]:
    done, failed = _sums([m.done for m in moments]), _sums([m.failed for m in moments])
    most = max(1.0, float(done[-1]), float(failed[-1]))
    base = top + CURVE

    def y(count: float) -> float:
        return base - (CURVE - 8.0) * count / most

    parts = [_line(LEFT, base, WIDTH - RIGHT, base, FAINT)]
    for tick in (t for t in ticks(most, 4) if t == int(t)):
        parts.append(_line(LEFT, y(tick), WIDTH - RIGHT, y(tick), GRID))
        parts.append(_text(LEFT - 8.0, y(tick) + 4.0, f"{tick:,.0f}", anchor="end"))
    parts.append(_text(LEFT + 6.0, top + 12.0, "keys done", anchor="start", colour=BLUE))
    for sums, colour in ((done, BLUE), (failed, RED)):
        if sums[-1]:
            steps = "".join(
                f"H{_x(along, place):.1f}V{y(total):.1f}"
                for place, total in zip(along.places, sums, strict=True)
            )
            path = f"M{LEFT:.1f} {base:.1f}{steps}"
            parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
    if failed[-1]:
        parts.append(_text(LEFT + 76.0, top + 12.0, "failed", anchor="start", colour=RED))
    return parts


def _pauses(along: Axis, bottom: float) -> list[str]:
    parts = []
    for place, seconds in along.pauses:
        x = _x(along, place)
        parts.append(_line(x, TOP, x, bottom, FAINT, 'stroke-dasharray="3 3"'))
        parts.append(_text(x, TOP - 3.0, f"pause {span(seconds)}", colour=FAINT))
    return parts


def _sums(values: Sequence[int]) -> list[int]:
    total, found = 0, []
    for value in values:
        total += value
        found.append(total)
    return found
