"""What a launch says of sizes, times and costs before it creates anything."""

import pytest

from cluster.launch import (
    Count,
    Launch,
    LaunchError,
    Piece,
    Size,
    Work,
    dask_size,
    duration,
    expected_seconds,
    ray_size,
)
from cluster.memory import TaskMemory, require_fits
from cluster.prices import Prices

GIB = 2**30
FIT = Work("fit", 100, 36.0, 5 * GIB)
SEGMENT = Work("segment", 10, 60.0, 3 * GIB, cpus=2.0, gpus=0.25, reserved=4 * GIB)


def test_workers_are_sized_so_that_the_plan_is_not_refused_there() -> None:
    dask, ray = dask_size([FIT, SEGMENT]), ray_size([FIT, SEGMENT])

    assert dask is not None
    assert ray is not None
    require_fits([TaskMemory("fit", 100, FIT.memory, "")], dask.memory)
    # Ray gives each core an equal share, and that must fit.
    require_fits([TaskMemory("segment", 10, SEGMENT.memory, "")], int(ray.memory / ray.cores))
    assert (ray.cores, ray.gpus) == (2.0, 1)
    assert dask.memory % (256 * 2**20) == 0


def test_what_a_plan_does_not_need_is_not_there() -> None:
    assert dask_size([SEGMENT]) is None
    assert ray_size([FIT]) is None


def test_time_goes_in_whole_rounds_of_tasks() -> None:
    assert expected_seconds([FIT], dask=64, ray=1) == 2 * 36.0
    assert expected_seconds([FIT, SEGMENT], dask=100, ray=4) == 36.0 + 3 * 60.0


def test_machines_are_priced_by_cores_memory_and_gpus() -> None:
    price = Prices(core_hour=0.05, gpu_hour=1.0)
    made = Launch(
        "here",
        (
            Piece("worker", Count(2, 10), Size(1.0, 8 * GIB)),
            Piece("node", Count(1, 1), Size(4.0, 8 * GIB, 1)),
            Piece("laptop", Count(1, 1), Size(64.0, 64 * GIB), ours=True),
        ),
        seconds=1800.0,
    )

    least, most = made.hourly(price)
    # 8 GiB are two cores' worth; four cores with 8 GiB are four.
    assert least == pytest.approx(2 * 0.10 + 0.20 + 1.0)
    assert most == pytest.approx(10 * 0.10 + 0.20 + 1.0)
    assert made.dollars(price) == pytest.approx(most / 2)
    said = "\n".join(made.lines(price))
    assert "2 to 10 × 1 core, 8.0 GiB" in said
    assert "$1.40 to $2.20 an hour, $1.10 for the run" in said
    assert "30 min expected" in said
    assert made.facts(price)["dollars_an_hour"] == [1.4, 2.2]


@pytest.mark.parametrize("wrong", ["", "0", "-1", "4..2", "2...4", "many", "0..0"])
def test_numbers_of_workers(wrong: str) -> None:
    with pytest.raises(LaunchError, match="expected a number such as 8, or a range such as"):
        Count.read(wrong)


def test_durations() -> None:
    assert [duration(s) for s in (0, 119, 3599, 86400)] == ["0 s", "119 s", "60 min", "24.0 h"]
