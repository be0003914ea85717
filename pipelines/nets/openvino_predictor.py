"""A segmenter run by OpenVINO on a processor: the fastest of what was measured there."""

import copy
import warnings
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from pipelines.nets.inference import BOOL, FLOAT, Engine, refuse_misfit
from pipelines.nets.quiet_openvino import openvino
from pipelines.nets.segmenter import Segmenter

TRACED_SIDE = 64
"""Side of the image that the network is traced with [pixels]; the graph serves any other."""


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 natively, as OpenVINO sees it."""
    capabilities = openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities


class OpenvinoPredictor:
    """Predicts tiles one by one; each size of tile is compiled when it is first seen.

    A batch gains nothing on a processor. Not for several threads of Python at once.

    Parameters
    ----------
    segmenter : Segmenter
        Copied and converted in memory; no file is written.
    engine : Engine
        Precision of products, and threads (all processors if None).
    """

    def __init__(self, segmenter: Segmenter, engine: Engine) -> None:
        self.engine = engine
        self.bands = segmenter.spec.inputs
        self._core = openvino().Core()
        self._graph = _converted(segmenter)
        self._compiled: dict[tuple[int, int], Any] = {}

    def predict(self, image: FLOAT, valid: BOOL) -> FLOAT:
        """Return the probability of damage; see :class:`pipelines.nets.inference.Predictor`."""
        refuse_misfit(image, valid, bands=self.bands)
        _, _, rows, columns = image.shape
        run = self._for(rows, columns)
        tiles, masks = (np.ascontiguousarray(each, np.float32) for each in (image, valid[:, None]))
        logits = [run([tiles[k : k + 1], masks[k : k + 1]])[0] for k in range(len(tiles))]
        found: FLOAT = expit(np.concatenate(logits).astype(np.float32, copy=False))
        return found

    def _for(self, rows: int, columns: int) -> Any:
        """Return the network compiled for tiles of a size."""
        if (rows, columns) not in self._compiled:
            graph = self._graph.clone()
            graph.reshape({0: [1, self.bands, rows, columns], 1: [1, 1, rows, columns]})
            choices: dict[str, Any] = {
                "INFERENCE_PRECISION_HINT": self.engine.precision,
                "NUM_STREAMS": 1,
                # Pinned, the actors of a machine would all sit on its first processors.
                "ENABLE_CPU_PINNING": False,
            }
            if self.engine.threads is not None:
                choices["INFERENCE_NUM_THREADS"] = self.engine.threads
            self._compiled[rows, columns] = self._core.compile_model(graph, "CPU", choices)
        return self._compiled[rows, columns]


def _converted(segmenter: Segmenter) -> Any:
    """Convert a copy of a network in memory, for tiles of any size."""
    module = copy.deepcopy(segmenter).eval().requires_grad_(requires_grad=False).cpu()
    side = TRACED_SIDE
    example = torch.zeros(1, segmenter.spec.inputs, side, side), torch.ones(1, 1, side, side)
    with warnings.catch_warnings(), torch.inference_mode():
        # Tracing warns of sizes that Python sees; tests compare sizes other than the traced one.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        return openvino().convert_model(traced, example_input=example)
