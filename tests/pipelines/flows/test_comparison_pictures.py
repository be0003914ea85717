"""Pictures of a comparison show what is compared, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from pipelines import stored
from pipelines.figures import comparison_curves, comparison_rates
from pipelines.flows import comparison_arrays
from pipelines.flows.comparison_figures import pictures
from pipelines.kernels.constants import KG_PER_GT

METHODS, ROWS, LEAST = ("altimetry", "mass_budget"), ("a", "b", "AIS"), 0.75
MONTHS = np.arange("2011-01", "2012-01", dtype="datetime64[M]")
LAYOUT = comparison_arrays.Layout(
    methods=METHODS, rows=ROWS, regions=2, months=MONTHS, patterns=(), combined=METHODS,
    mask_degree=0, shelves=(), longest_lag=0, attributes={},
)  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is drawn: rates by the first of their rows, and curves."""
    held: dict[str, Any] = {}

    def rates(rows: list[str], values: dict[str, Any], **_: object) -> bytes:
        held[rows[0]] = values
        return b"rates"

    def curves(values: dict[str, Any], **_: object) -> bytes:
        held["curves"] = values
        return b"curves"

    monkeypatch.setattr(comparison_rates, "method_rates", rates)
    monkeypatch.setattr(comparison_rates, "standardised_differences", lambda *_, **__: b"")
    monkeypatch.setattr(comparison_curves, "cumulative_by_method", curves)
    return held


def finished(covered: list[list[float]]) -> zarr.Group:
    """Return a comparison of which methods cover so much of the period by row."""
    group = zarr.open_group(MemoryStore(), mode="w")
    comparison_arrays.create(group, layout=LAYOUT)
    rate = np.array([[1.0, 2.0, 3.0], [-4.0, -5.0, -9.0]])
    for name, values in (
        ("mass_rate", rate * KG_PER_GT),
        ("mass_rate_covariance", np.tile(np.eye(3), (2, 1, 1)) * KG_PER_GT**2),
        ("covered", np.array(covered)),
        ("mass", np.ones((2, 3, 12)) * KG_PER_GT),
        ("mass_sigma", np.ones((2, 3, 12)) * KG_PER_GT),
    ):
        stored.write(group, name, values)
    return group


def test_a_method_of_too_little_of_the_period_is_not_drawn(drawn: dict[str, Any]) -> None:
    group = finished([[1.0, 1.0, 1.0], [0.0, 0.74, 0.0]])

    made = pictures(group, LAYOUT, least_covered=LEAST)

    assert set(drawn["a"]) == set(drawn["AIS"]) == {"altimetry"}
    assert set(drawn["curves"]["AIS"]) == {"altimetry"}
    assert {"figures/groups.png", "figures/regions.png", "figures/cumulative.png"} <= set(made)


def test_a_row_that_a_method_covers_is_drawn_and_the_others_are_open(drawn: dict[str, Any]) -> None:
    group = finished([[1.0, 1.0, 1.0], [0.76, 0.1, 0.75]])

    pictures(group, LAYOUT, least_covered=LEAST)

    for found, expected in zip(drawn["a"]["mass_budget"], ([-4.0, np.nan], [1.0, np.nan]),
                               strict=True):  # fmt: skip
        np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(drawn["a"]["altimetry"][0], [1.0, 2.0])
    assert set(drawn["curves"]["AIS"]) == set(METHODS)


def test_where_nothing_is_compared_there_is_no_picture(drawn: dict[str, Any]) -> None:
    made = pictures(finished([[0.1] * 3] * 2), LAYOUT, least_covered=LEAST)

    assert not drawn
    assert set(made) == {"figures/closures.png"}
