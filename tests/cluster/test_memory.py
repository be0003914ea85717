"""Memory: promised at planning, refused with both values, measured afterwards."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.memory import MemoryRefused, TaskMemory, current_use, measured_peak, require_fits

GIB = 2**30


@given(st.integers(1, 2**40), st.integers(1, 2**40), st.floats(0.1, 1.0))
def test_a_plan_passes_exactly_when_every_task_fits_its_share(needed, worker, margin):
    projection = TaskMemory("fit", 3, needed, "monthly fields")
    if needed <= margin * worker:
        require_fits([projection], worker, margin=margin)
    else:
        with pytest.raises(MemoryRefused):
            require_fits([projection], worker, margin=margin)


def test_a_refusal_names_each_stage_both_values_and_what_to_do():
    plan = [
        TaskMemory("read months", 60, GIB // 10, "one field"),
        TaskMemory("fit trends", 12, 3 * GIB, "231 months of 96 degrees; lower members"),
        TaskMemory("write maps", 2, 8 * GIB, "whole globe; coarser grid"),
    ]
    with pytest.raises(MemoryRefused) as refusal:
        require_fits(plan, 4 * GIB, margin=0.5)

    message = str(refusal.value)
    assert "fit trends needs 3.0 GiB in each of 12 tasks (231 months of 96 degrees; low" in message
    assert "write maps needs 8.0 GiB in each of 2 tasks" in message
    assert "read months" not in message
    assert "the smallest worker has 4.0 GiB, of which a task may take 50% = 2.0 GiB" in message
    assert "give each worker at least 16.0 GiB" in message
    assert "NUNATAK_WORKERS" in message


def test_the_remedy_that_a_refusal_names_is_enough():
    projection = TaskMemory("fit", 1, 3 * GIB, "months")
    with pytest.raises(MemoryRefused, match=r"at least 6\.0 GiB"):
        require_fits([projection], 4 * GIB, margin=0.5)
    require_fits([projection], 6 * GIB, margin=0.5)


def test_an_empty_plan_fits():
    require_fits([], 1)


def test_the_measured_peak_sees_an_array_that_came_and_went():
    program = (
        "from cluster.memory import measured_peak, current_use\n"
        "before = measured_peak()\n"
        "block = bytearray(200 * 2**20)\n"
        "del block\n"
        "print(measured_peak() - before, measured_peak() - current_use())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    rise, gone = map(int, run.stdout.split())
    assert rise == pytest.approx(200 * 2**20, rel=0.1)
    assert gone > 150 * 2**20


def test_what_is_in_use_never_exceeds_the_peak():
    # The two counters of the kernel are updated apart, within a few pages per thread.
    assert current_use() <= measured_peak() + 2**20
