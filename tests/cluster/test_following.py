"""How long what is followed may be silent."""

import pytest

from cluster import following
from cluster.following import LostSightError, Patience


def test_patience_counts_from_the_first_failure_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(following.time, "monotonic", lambda: clock[0])
    patience = Patience("the cluster", "the run goes on")
    for minute in range(10):
        clock[0] = 60.0 * minute
        patience.lost(OSError("refused"))
    patience.answered()
    clock[0] += 601.0
    patience.lost(OSError("refused"))  # the first of another row
    clock[0] += 601.0

    with pytest.raises(LostSightError, match=r"not answered for 10 min \(refused\); the run goes"):
        patience.lost(OSError("refused"))
