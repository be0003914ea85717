"""What comes with the shipped weights: the evaluation that tells how far they are to be trusted."""

import pytest

from pipelines.flows.evaluation_errors import DamageErrors
from pipelines.nets import shipped


@pytest.fixture(scope="module")
def errors() -> DamageErrors:
    found = shipped.evaluation(shipped.digest("segmenter-b0"))
    assert found is not None, "run infra/runs/weights/evaluation.yaml: the weights have changed"
    return DamageErrors.from_json(found, shipped.restoration_factor())


def test_the_shipped_evaluation_is_of_the_shipped_segmenter(errors) -> None:
    assert {each.region for each in errors.judged} == {"alder", "birch", "cedar", "dunlin"}
    assert [each.region for each in errors.judged if not each.seen] == ["cedar"]
    assert errors.areas.tiles == 128
    assert errors.to_json() == shipped.evaluation(shipped.digest("segmenter-b0"))


def test_what_it_says_bounds_and_spreads_an_area(errors) -> None:
    assert 0.0 < errors.factors.low < 1.0 < errors.factors.high
    assert 1.0 < errors.temperature < 3.0
    assert errors.length_m > 0.0
    # Of 100 km2 that are mapped, with 20 km2 of doubt among 1000: κ of the doubt, little else.
    sigma = errors.areas.sigma(100.0, 20.0, 1000.0)
    assert sigma == pytest.approx(20.0 * errors.areas.unsure, rel=1e-3)


def test_the_factor_of_the_restorer_grows_with_what_is_missing(errors) -> None:
    little, much = (errors.restored_factor(share, assumed=1.0) for share in (0.1, 0.4))

    assert 1.0 < little < much


def test_weights_of_another_digest_have_no_evaluation() -> None:
    assert shipped.evaluation("0" * 64) is None
