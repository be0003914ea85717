"""A driver whose output was taken over commits nothing more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from cluster import lease
from cluster.lease import LeaseLost
from pipelines.execution import _Workforces
from tests.fixtures.small_plan import small_plan


class TakenOver:
    """A lease that another driver has."""

    def require(self) -> None:
        raise LeaseLost("taken over")


@contextmanager
def taken_over(output: str, *, run_id: str) -> Iterator[TakenOver]:
    yield TakenOver()


def test_a_driver_that_lost_its_output_commits_no_key(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    with (
        mock.patch.object(_Workforces, "of", return_value=None),
        mock.patch.object(lease, "held", taken_over),
        pytest.raises(LeaseLost, match="taken over"),
    ):
        plan.execute(None)

    assert plan.status().done == 0
