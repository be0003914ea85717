"""What a worker is given: a job, or a job whose model must be opened before the first key.

A plain job is called with a key and the root group of the version. A *model job* travels small (a
name, a hash, an address) and is opened where it works, once: its model then serves every key that
comes. Actors of :mod:`cluster.gpu_pool` keep what they opened for as long as they live; a process
without actors (this one, a Dask worker, a Ray task) keeps the last one.
"""

import hashlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import cloudpickle  # type: ignore[import-untyped]
import zarr

from cluster.ledger import Receipt

Job = Callable[[str, zarr.Group], Receipt | None]


@runtime_checkable
class ModelJob(Protocol):
    """A job that holds a model once it is opened; it can be pickled before that."""

    def opened(self, device: str) -> Job:
        """Return the job with its model in the memory of ``device``, ``"cpu"`` or ``"cuda"``.

        Threads are the job's business: the environment says how many (``OMP_NUM_THREADS``). A
        device without memory left for a key is too: halve the batch and go on, or raise
        :class:`~cluster.ledger.KeyFailed`.
        """


def opened(job: Job | ModelJob, device: str) -> Job:
    """Return what carries out keys: a model job opened on ``device``, any other job itself."""
    return job.opened(device) if isinstance(job, ModelJob) else job


class Opened:
    """The last model job that this process opened, on its CPU.

    Workers unpickle a job with every key, so that equal jobs are told by their bytes.
    """

    def __init__(self) -> None:
        self._source: object = None
        self._digest = b""
        self._job: Job | None = None

    def of(self, job: ModelJob) -> Job:
        """Return ``job`` opened; an equal one that is open already is not opened again."""
        if self._job is not None and self._source is job:
            return self._job
        digest = hashlib.sha256(cloudpickle.dumps(job)).digest()
        if self._job is None or digest != self._digest:
            self.forget()  # two models may not fit into memory together
            self._job = job.opened("cpu")
            self._digest = digest
        self._source = job
        return self._job

    def forget(self) -> None:
        """Let the model go."""
        self._source, self._digest, self._job = None, b"", None


OPENED = Opened()
