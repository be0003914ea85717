"""The picture of a run: pauses cut out, lanes of stages, curves that end at the counts."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.figures import run_timeline
from pipelines.figures.run_timeline import Moment, axis, draw, ticks

SVG = "{http://www.w3.org/2000/svg}"


def parsed(markup: str) -> ET.Element:
    return ET.fromstring(markup.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314


@given(st.lists(st.floats(0.0, 1e7), min_size=1, max_size=40).map(sorted))
def test_commits_keep_their_order_and_pauses_are_what_is_cut_out(times: list[float]) -> None:
    found = axis(times, longest_key=1.0)

    assert list(found.places) == sorted(found.places)
    assert found.places[0] == 0.0
    cut = sum(seconds for _, seconds in found.pauses)
    kept = times[-1] - times[0] - cut
    assert found.length >= kept * (1.0 - 1e-9)
    assert all(seconds > run_timeline.SHORTEST_PAUSE for _, seconds in found.pauses)


def test_a_run_that_slept_for_three_days_shows_its_work_and_says_so() -> None:
    times = [float(n) * 60.0 for n in range(10)]
    resumed = times + [times[-1] + 3 * 86400.0 + each for each in times]

    found = axis(resumed, longest_key=30.0)

    assert len(found.pauses) == 1
    assert found.length < 2.2 * times[-1]
    picture = draw([Moment(time, 1, 0, ("read",)) for time in resumed], longest_key=30.0)
    assert "pause 3 d" in picture


def test_a_long_key_is_no_pause() -> None:
    assert not axis([0.0, 10.0, 20.0, 7000.0], longest_key=6900.0).pauses
    assert axis([0.0, 10.0, 20.0, 7000.0], longest_key=60.0).pauses


def test_each_stage_has_a_lane_with_a_tick_for_each_of_its_commits() -> None:
    moments = [
        Moment(0.0, 2, 0, ("read",)),
        Moment(10.0, 1, 1, ("read", "fit")),
        Moment(20.0, 3, 0, ("fit",)),
    ]
    root = parsed(draw(moments, longest_key=5.0))

    words = [each.text for each in root.iter(f"{SVG}text")]
    assert words.index("read") < words.index("fit")
    marks = [e.get("d") for e in root.iter(f"{SVG}path") if (e.get("d") or "").endswith("v10")]
    assert [str(each).count("M") for each in marks] == [2, 2]
    assert {"keys done", "failed"} <= set(words)


def test_curves_end_at_the_counts() -> None:
    moments = [Moment(float(n), 2, n % 2, ("read",)) for n in range(50)]
    root = parsed(draw(moments, longest_key=1.0))

    curves = [str(e.get("d")) for e in root.iter(f"{SVG}path") if "H" in str(e.get("d"))]
    ends = [float(re.findall(r"V([\d.]+)$", each)[0]) for each in curves]
    starts = [float(re.findall(r"^M[\d.]+ ([\d.]+)", each)[0]) for each in curves]
    heights = [start - end for start, end in zip(starts, ends, strict=True)]
    assert heights[0] == pytest.approx(run_timeline.CURVE - 8.0, abs=0.1)
    assert heights[1] / heights[0] == pytest.approx(25 / 100, abs=0.01)


def test_one_commit_makes_a_picture_too() -> None:
    parsed(draw([Moment(1e9, 0, 3, ("read",))], longest_key=0.0))


def test_a_hostile_stage_is_text() -> None:
    root = parsed(draw([Moment(0.0, 1, 0, ("</text><script>",))], longest_key=1.0))

    assert "</text><script>" in [each.text for each in root.iter(f"{SVG}text")]
    assert not list(root.iter(f"{SVG}script"))


@given(st.floats(1e-3, 1e9))
def test_ticks_are_few_and_within(most: float) -> None:
    found = ticks(most)

    assert found[0] == 0.0
    assert found[-1] <= most * (1 + 1e-6)
    assert 3 <= len(found) <= 7
