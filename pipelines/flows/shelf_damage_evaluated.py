"""How far a segmenter is to be trusted: what an evaluation, or what ships with weights, says.

An evaluation that is named must be of the weights in use. Without one, weights that come with the
project have what an evaluation found of them beside them, and of others their card is all there is:
one precision and one recall, from which

::

    s = t |ln λ|,     λ = precision / recall

with Student's quantile t for 68 % of one degree of freedom (1.84).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scipy import stats

from pipelines.flows import evaluation_errors, finished_products, network_inputs
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.evaluation_errors import DamageErrors, Judged
from pipelines.kernels.damage.area_errors import AreaErrors
from pipelines.nets import shipped

if TYPE_CHECKING:
    from pipelines.flows.network_inputs import Weights
    from pipelines.lifecycle import InputItem
    from pipelines.settings import Run

ONE_SIGMA = 0.5 + 0.5 * 0.682689492137
"""Probability below one standard deviation of a normal error [1]."""


@dataclass(frozen=True)
class Evaluated:
    """What is known of the errors of a segmenter, and from where.

    Attributes
    ----------
    source : str
        In words.
    errors : DamageErrors
        What it says.
    """

    source: str
    errors: DamageErrors

    def describe(self) -> str:
        """Return one line for plans."""
        told = ", ".join(
            f"{each.region} {each.factor:.3f}" + (" (learnt from)" if each.seen else "")
            for each in self.errors.judged
        )
        areas = self.errors.areas
        return (
            f"errors of areas are from {self.source}; precision / recall: {told}; one sigma: "
            f"{100 * areas.mapped:.1f} % of mapped, {areas.unsure:.2f} of unsure and "
            f"{100 * areas.seen:.2f} % of all pixels seen"
        )


def student(count: int) -> float:
    """Return by how much a spread from ``count`` squares is widened.

    >>> [round(student(n), 2) for n in (1, 3, 30)]
    [1.84, 1.2, 1.02]
    """
    return float(stats.t.ppf(ONE_SIGMA, count))


def evaluated(
    run: Run, weights: Weights, *, restorer: str = ""
) -> tuple[Evaluated, tuple[InputItem, ...]]:
    """Return what is known of the weights of a run, and the records of what told it.

    Parameters
    ----------
    run : Run
        The run.
    weights : Weights
        Of the segmenter.
    restorer : str
        SHA-256 of what filled gaps; the factor of another restorer is not taken.

    Raises
    ------
    InputError
        The evaluation is of other weights or does not tell errors of areas, or nothing is known.
    """
    if run.inputs.evaluation:
        return _of_product(run, weights, restorer)
    found = shipped.evaluation(weights.sha256)
    if found is not None:
        ours = restorer in shipped_restorers()
        factor = shipped.restoration_factor() if ours else None
        errors = DamageErrors.from_json(found, factor)
        return Evaluated(f"the evaluation that comes with {weights.name}", errors), ()
    return _of_card(run, weights), ()


def shipped_restorers() -> set[str]:
    """Return the SHA-256 of the restorers that come with the project."""
    return {shipped.digest(name) for name in shipped.names() if name.startswith("restorer")}


def _of_product(
    run: Run, weights: Weights, restorer: str
) -> tuple[Evaluated, tuple[InputItem, ...]]:
    address = run.inputs.evaluation
    made = finished_products.find(address, role="evaluation", product="evaluation")
    told: Any = dict(made.attributes.get("nunatak:inputs", {}))
    used = [str(value) for key, value in told.items() if key.startswith("segmenter/")]
    if not used or not all(value.endswith(weights.sha256) for value in used):
        msg = f"inputs.evaluation: {address} is of other weights than {weights.name}; evaluate "
        raise InputError(msg + "these, or leave it out")
    held = made.item.properties.get(f"nunatak:{evaluation_errors.NAME}")
    if not held:
        msg = f"inputs.evaluation: {address} does not tell errors of areas, for which it takes 8 "
        msg += "labelled tiles with damage at least; evaluate more, or leave it out"
        raise InputError(msg)
    tried = [str(value) for key, value in told.items() if key.startswith("restorer/")]
    same = bool(restorer and tried) and all(value.endswith(restorer) for value in tried)
    factor = made.item.properties.get("nunatak:uncertainty_factor") if same else None
    found = Evaluated(f"the evaluation {address}", DamageErrors.from_json(held, factor))
    return found, (made.record,)


def _of_card(run: Run, weights: Weights) -> Evaluated:
    network = network_inputs.opened(weights, role="segmenter", task="segmentation")
    scores = dict(network.card.scores)
    if not {"precision", "recall"} <= set(scores):
        msg = f"inputs.evaluation: nothing was given, and the card of {weights.name} has no "
        raise InputError(msg + "precision and recall; evaluate the weights and name the output")
    region = str(network.card.split).rpartition(": ")[2] or "held out"
    judged = Judged(region, float(scores["precision"]), float(scores["recall"]))
    areas = AreaErrors(student(1) * abs(math.log(judged.factor)), 0.0, 0.0, 0)
    length = run.choices.assumed.correlation_length_m
    return Evaluated(f"the card of {weights.name}", DamageErrors((judged,), areas, 1.0, length))
