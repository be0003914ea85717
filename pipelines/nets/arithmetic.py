"""How a device computes while a network learns: so many threads, and sums in one order."""

import contextlib
import os
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def fixed(threads: int | None, device: str) -> Iterator[None]:
    """Fix the number of threads and, on a GPU, the order of sums; restore both after.

    Parameters
    ----------
    threads : int or None
        Of each operation; what torch has if None.
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``. What it draws by chance within is not drawn after.
    """
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    gpu = torch.device(device).type == "cuda"
    if threads is not None:
        torch.set_num_threads(threads)
    if gpu:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
    devices = [torch.device(device)] if gpu else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        torch.set_num_threads(before)
        if gpu:
            torch.use_deterministic_algorithms(mode=strict)
