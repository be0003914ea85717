"""What many damage maps take: the arithmetic by hand, and what plans of real runs count too."""

import pytest

from cluster.prices import Prices
from pipelines.flows import shelf_damage, shelf_damage_costs
from pipelines.flows.shelf_damage_costs import estimate

BLOCK = 2048**2


def test_blocks_are_counted_by_stage() -> None:
    made = estimate([BLOCK, 2.5 * BLOCK], summers=3, scenes_per_summer=2, slc_off_share=0.0)

    # One block and three, in three summers, of two scenes each.
    assert made.tasks == {"segment": 24, "extent": 2, "merge": 12, "judge": 6, "fractures": 6}


def test_time_is_that_of_pixels_and_restored_scenes_are_seen_thrice() -> None:
    plain = estimate([1e6], summers=1, scenes_per_summer=4, slc_off_share=0.0)
    half = estimate([1e6], summers=1, scenes_per_summer=4, slc_off_share=0.5)

    assert plain.core_seconds == {
        "segment": 4 * shelf_damage.SECONDS_PER_MPX,
        "merge": 4 * shelf_damage.MERGE_SECONDS_PER_MPX,
        "fractures": shelf_damage.FRACTURE_SECONDS_PER_MPX,
    }
    assert half.core_seconds["segment"] == 2 * plain.core_seconds["segment"]
    assert half.core_hours == pytest.approx(sum(half.core_seconds.values()) / 3600.0)


def test_everything_grows_with_summers() -> None:
    one, ten = (estimate([1e8], summers=n, scenes_per_summer=2, slc_off_share=0.3) for n in (1, 10))

    for name in ("core_hours", "bytes_read", "bytes_kept", "reads", "writes"):
        assert getattr(ten, name) == pytest.approx(10 * getattr(one, name))


def test_dollars_are_hours_requests_and_bytes() -> None:
    made = shelf_damage_costs.DamageCosts({}, {"merge": 7200.0}, 2.0**31, 2.0**32, 5000.0, 1000.0)
    prices = Prices(
        core_hour=0.1, thousand_reads=0.01, thousand_writes=0.5, gib_in=0.02, gib_month=0.03
    )

    assert made.dollars(prices) == pytest.approx(2 * 0.1 + 5 * 0.01 + 0.5 + 2 * 0.02)


def test_the_figures_of_the_document_are_these() -> None:
    nine = [186.3e6, 96.2e6, 18.4e6, 17.6e6, 17.1e6, 40.3e6, 20.3e6, 25.9e6, 35.7e6]
    few = estimate(nine, summers=26, scenes_per_summer=3, slc_off_share=10 / 26)
    every = estimate([1.5e12 / 900.0], summers=26, scenes_per_summer=3, slc_off_share=10 / 26)

    # docs/damage_costs.md
    assert (round(few.core_hours), round(every.core_hours)) == (13, 47)
    assert (few.tasks["segment"], every.tasks["segment"]) == (8892, 31044)
    assert (round(few.dollars(Prices())), round(every.dollars(Prices()))) == (11, 41)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"shelf_pixels": []}, "found shelves of"),
        ({"summers": 0}, "0 summers"),
        ({"slc_off_share": 1.5}, "found a share of 1.5"),
    ],
)
def test_nothing_to_map_and_impossible_shares_are_refused(asked, said) -> None:
    given = {"shelf_pixels": [1e6], "summers": 1, "scenes_per_summer": 1, "slc_off_share": 0.0}

    with pytest.raises(ValueError, match=said):
        estimate(**{**given, **asked})
