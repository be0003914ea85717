"""What runs a segmenter: torch or OpenVINO, in float32 or bfloat16.

The overall strategy: whoever predicts asks :func:`predictor` and gets the fastest that the machine
has; every backend is held to torch in float32 by :func:`agreement`, on trained networks.

ONNX Runtime is left out: it took 1.3 times as long as OpenVINO in float32, has no bfloat16 on
processors, and needs two more packages.
"""

from collections.abc import Iterable
from typing import Literal, Protocol

import numpy as np
import torch

from pipelines.nets import openvino_predictor, quiet_openvino, torch_predictor
from pipelines.nets.inference import BOOL, FLOAT, Engine, Predictor, classes
from pipelines.nets.segmenter import Segmenter

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "f32", "bf16"]

LEAST_AGREEMENT = 0.999
"""Fraction of pixels to which a backend must give the class that torch gives in float32 [1]."""


class BackendError(ValueError):
    """A network cannot be run as asked on this machine."""


class EnginePredictor(Predictor, Protocol):
    """A predictor that says what it runs on."""

    @property
    def engine(self) -> Engine:
        """Backend, device, precision and threads."""


def predictor(
    segmenter: Segmenter,
    *,
    device: Device = "auto",
    backend: Backend = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
) -> EnginePredictor:
    """Return what predicts with a segmenter.

    Parameters
    ----------
    segmenter : Segmenter
        The network; it is copied and stays as it is.
    device : {"auto", "cpu", "cuda"}
        ``auto`` is a GPU if there is one.
    backend : {"auto", "torch", "openvino"}
        ``auto`` is torch on a GPU; on a processor OpenVINO if installed, else torch.
    precision : {"auto", "f32", "bf16"}
        ``auto`` is bf16 on a GPU and where OpenVINO finds it in the processor, else f32. It never
        depends on the image, so that the workers of a run do the same. Measured on eight held-out
        tiles of 512² with b0 after 220 steps of training, bf16 gives 99.99 % of pixels the class
        that torch gives in f32, at worst 99.97 % of a tile; twice as fast.
    threads : int, optional
        Processors to use; the backend's choice if not given.

    Raises
    ------
    BackendError
        The machine, or the choices among themselves, do not allow it.
    """
    return _built(segmenter, engine(device, backend, precision, threads))


def engine(
    device: Device = "auto",
    backend: Backend = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
) -> Engine:
    """Choose what :func:`predictor` runs on, without loading a network.

    Parameters
    ----------
    device, backend, precision, threads
        See :func:`predictor`.
    """
    if threads is not None and threads < 1:
        msg = f"found {threads} threads; expected at least 1, or None for the backend's choice"
        raise BackendError(msg)
    place = _device(device, backend)
    name = _backend(backend, place)
    return Engine(name, place, _precision(precision, name, place), threads)


def agreement(
    predictor: Predictor, reference: Predictor, images: Iterable[FLOAT], *, threshold: float = 0.5
) -> float:
    """Fraction of measured pixels to which two predictors give the same class.

    Parameters
    ----------
    predictor, reference : Predictor
        What is judged, and what it is held to.
    images : iterable of ndarray, shape (c, h, w)
        Reflectance [1], NaN where not measured.
    threshold : float
        Probability from which on a pixel counts as damaged [1].

    Returns
    -------
    float
        Agreement [1], to be compared with :data:`LEAST_AGREEMENT`.
    """
    same = seen = 0
    for image in images:
        valid: BOOL = np.asarray(np.isfinite(image).all(axis=0, keepdims=True))
        tile = np.where(valid, image, 0.0).astype(np.float32)[None]
        found, expected = (
            classes(each.predict(tile, valid), threshold=threshold)[valid]
            for each in (predictor, reference)
        )
        same += int((found == expected).sum())
        seen += found.size
    if not seen:
        msg = "found no measured pixel to compare backends on; give images with data"
        raise BackendError(msg)
    return same / seen


def _device(asked: Device, backend: Backend) -> Literal["cpu", "cuda"]:
    if asked not in {"auto", "cpu", "cuda"}:
        msg = f"no device {asked!r}; choose 'auto', 'cpu' or 'cuda'"
        raise BackendError(msg)
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        msg = "device 'cuda' was asked for, but torch finds no GPU here; take 'auto' or 'cpu'"
        raise BackendError(msg)
    if asked == "cuda" and backend not in {"auto", "torch"}:
        msg = f"{backend} serves processors only; with device 'cuda' take backend 'torch'"
        raise BackendError(msg)
    return "cuda" if there and asked != "cpu" and backend in {"auto", "torch"} else "cpu"


def _backend(asked: Backend, device: str) -> Literal["torch", "openvino"]:
    if asked == "auto":
        return "openvino" if device == "cpu" and quiet_openvino.is_installed() else "torch"
    if asked not in {"torch", "openvino"}:
        msg = f"no backend {asked!r}; choose 'auto', 'torch' or 'openvino'"
        raise BackendError(msg)
    if asked == "openvino" and not quiet_openvino.is_installed():
        msg = "backend 'openvino' needs openvino, which is not installed here; take 'auto'"
        raise BackendError(msg)
    return asked


def _precision(asked: Precision, backend: str, device: str) -> Literal["f32", "bf16"]:
    if asked == "auto":
        fast = device == "cuda" or (backend == "openvino" and openvino_predictor.has_bf16())
        return "bf16" if fast else "f32"
    if asked not in {"f32", "bf16"}:
        msg = f"no precision {asked!r}; choose 'auto', 'f32' or 'bf16'"
        raise BackendError(msg)
    if asked == "bf16" and backend == "openvino" and not openvino_predictor.has_bf16():
        msg = (
            "OpenVINO finds no bf16 arithmetic in this processor (its "
            "OPTIMIZATION_CAPABILITIES); take precision 'f32' or 'auto'"
        )
        raise BackendError(msg)
    return asked


def _built(segmenter: Segmenter, engine: Engine) -> EnginePredictor:
    if engine.backend == "openvino":
        return openvino_predictor.OpenvinoPredictor(segmenter, engine)
    return torch_predictor.TorchPredictor(segmenter, engine)
