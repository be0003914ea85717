"""A segmenter run by torch itself, on a processor or a GPU."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from pipelines.nets.inference import BOOL, FLOAT, Engine, InferenceError, refuse_misfit
from pipelines.nets.segmenter import Segmenter


class TorchPredictor:
    """Predicts with torch; when a GPU runs out of memory it goes on with smaller batches.

    The size that fitted is kept for later calls. On a GPU the last bits of a result may depend
    on it, as libraries choose their algorithms by size.

    Parameters
    ----------
    segmenter : Segmenter
        Copied: later changes of its weights are not seen.
    engine : Engine
        Device and precision. With ``bf16`` products are in bfloat16, sums and norms in float32
        (autocast).
    """

    def __init__(self, segmenter: Segmenter, engine: Engine) -> None:
        self.engine = engine
        self.bands = segmenter.spec.inputs
        self.module = (
            copy.deepcopy(segmenter).eval().requires_grad_(requires_grad=False).to(engine.device)
        )
        self.most: int | None = None
        """Tiles that fit, once that is known."""

    def predict(self, image: FLOAT, valid: BOOL) -> FLOAT:
        """Return the probability of damage; see :class:`pipelines.nets.inference.Predictor`."""
        refuse_misfit(image, valid, bands=self.bands)
        found: list[FLOAT] = []
        at = 0
        with _threads(self.engine.threads):
            while at < len(image):
                size = min(self.most or len(image), len(image) - at)
                part = self._part(image[at : at + size], valid[at : at + size])
                if part is None:
                    self._make_room(size, image.shape)
                    continue
                found.append(part)
                at += size
        return np.concatenate(found)

    def _part(self, image: FLOAT, valid: BOOL) -> FLOAT | None:
        """Predict some tiles; None if they do not fit into memory."""
        device, engine = self.engine.device, self.engine
        try:
            # torch wants arrays that it may write to, in the order of their indices.
            tiles, masks = (
                torch.from_numpy(np.require(each, requirements=["C", "W"])).to(device).float()
                for each in (image, valid[:, None])
            )
            reduced = torch.autocast(device, torch.bfloat16, enabled=engine.precision == "bf16")
            with torch.inference_mode(), reduced:
                logits = self.module(tiles, masks)
            found: FLOAT = torch.sigmoid(logits.float()).cpu().numpy()
        except torch.OutOfMemoryError:
            return None
        return found

    def _make_room(self, size: int, shape: tuple[int, ...]) -> None:
        """Halve the batch, or say that not even one tile fits."""
        if self.engine.device == "cuda":
            torch.cuda.empty_cache()
        if size == 1:
            _, bands, rows, columns = shape
            msg = (
                f"{self.engine.device} ran out of memory on a single tile of {bands} bands and "
                f"{rows} x {columns} pixels; take smaller tiles, a device with more free memory, "
                "or device 'cpu'"
            )
            raise InferenceError(msg)
        self.most = size // 2


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    """Give torch some threads for a while; the number is one for the whole process."""
    before = torch.get_num_threads()
    if threads is None or threads == before:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
