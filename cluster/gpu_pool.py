"""Actors of Ray that hold one model each, as workers for :func:`cluster.work.process`.

Overall strategy: opening a model takes seconds and gigabytes, so it is done once for each actor and
not once for each key. Actors take tile keys and forks and give back receipts and references; they
read from and write to Zarr themselves, so no pixel passes through Ray or through the driver. What
an actor needs (cores, a share of a GPU) is said by :class:`Needs`; several pools with models of
different size share one cluster, and each takes as many actors as there is room for.

Ray's own restarts are off: without bound they try a key that kills its actor for ever. Deaths are
counted and actors replaced by :mod:`cluster.pool_crew`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import icechunk

from cluster.crew import Outcome, perform
from cluster.dask_cluster import ONE_THREAD
from cluster.jobs import Job, ModelJob, opened
from cluster.ray_cluster import RayCluster

_ROUNDING = 1e-9


class PoolError(ValueError):
    """A pool asks for something that no actor can have."""


@dataclass(frozen=True)
class Needs:
    """What one actor needs of its node.

    Attributes
    ----------
    cpus : float
        Cores that are kept for it.
    gpus : float
        GPUs: a share of one (0.25: four actors on each), or a whole number.
    memory : int
        Memory that is kept for it [bytes]; 0 for any. Ray plans with it and sets no limit.
    threads : int
        Threads of linear algebra, which its environment tells every library; one thread gives the
        same bits on every machine of a kind.
    actors : int or None
        How many; None for as many as the cluster has room for, also when it grows or shrinks.
    label : str
        What the pool is called in messages.
    resources : tuple of (str, float)
        Custom resources of Ray, such as ``(("large_gpu", 1.0),)``.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    threads: int = 1
    actors: int | None = None
    label: str = ""
    resources: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        amounts = {"cpus": self.cpus, "gpus": self.gpus, "memory": self.memory}
        for name, amount in (amounts | dict(self.resources)).items():
            if not 0.0 <= amount < float("inf"):
                msg = f"an actor of pool {self.label!r} needs {amount} {name}; expected 0 or more"
                raise PoolError(msg)
        if self.gpus > 1 and self.gpus != int(self.gpus):
            msg = f"an actor of pool {self.label!r} needs {self.gpus} GPUs; expected a share of "
            msg += "one, such as 0.25, or a whole number: Ray divides single GPUs only"
            raise PoolError(msg)
        if self.threads < 1 or (self.actors is not None and self.actors < 1):
            msg = f"pool {self.label!r} has {self.threads} threads an actor and {self.actors} "
            msg += "actors; expected 1 or more of each (actors=None: as many as have room)"
            raise PoolError(msg)

    @property
    def device(self) -> str:
        """Where the model is opened: ``"cuda"`` if Ray gives the actor of a GPU, else ``"cpu"``."""
        return "cuda" if self.gpus > 0 else "cpu"

    def demand(self) -> dict[str, float]:
        """Return what an actor takes of a node, by Ray's names of resources."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": float(self.memory)}
        return {name: amount for name, amount in (named | dict(self.resources)).items() if amount}

    def options(self) -> dict[str, Any]:
        """Return the options of an actor for Ray: one key at a time, no restarts of Ray's own."""
        return {
            "num_cpus": self.cpus,
            "num_gpus": self.gpus,
            "memory": self.memory or None,
            "resources": dict(self.resources),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 1,
            "runtime_env": {"env_vars": dict.fromkeys(ONE_THREAD, str(self.threads))},
        }


def rooms(demand: Mapping[str, float], node: Mapping[str, float]) -> int:
    """Return how many actors of ``demand`` a node has room for while it does nothing else.

    Examples
    --------
    >>> node = {"CPU": 8.0, "GPU": 2.0}
    >>> rooms({"CPU": 1.0, "GPU": 0.4}, node), rooms({"CPU": 3.0}, node), rooms({"TPU": 1.0}, node)
    (4, 2, 0)
    """
    room = [node.get(name, 0.0) / amount for name, amount in demand.items() if name != "GPU"]
    share = demand.get("GPU", 0.0)
    if share:
        # An actor's share lies on one GPU: two of 0.4 fit on each, and a fifth on none of two.
        each = int(1 / share + _ROUNDING) if share < 1 else 1 / share
        room.append(node.get("GPU", 0.0) * each)
    return int(min(room, default=0) + _ROUNDING)


@dataclass(frozen=True)
class Pool:
    """Actors with one model each; give it to :func:`cluster.work.process` as its client.

    Nothing runs until there are keys, and nothing of it is left when the call returns: the actors
    live for one call, so that their GPUs are free for the stage after it.

    Parameters
    ----------
    cluster : RayCluster
        Where, see :func:`cluster.ray_cluster.connect`.
    needs : Needs
        What each actor needs.

    Examples
    --------
    >>> pool = Pool(RayCluster("ray://head:10001"), Needs(gpus=0.25, label="segmentation"))
    >>> pool.name, pool.needs.device
    ("pool 'segmentation'", 'cuda')
    """

    cluster: RayCluster
    needs: Needs = Needs()

    @property
    def name(self) -> str:
        """The pool in messages."""
        return f"pool {self.needs.label!r}" if self.needs.label else "the pool"

    def room(self) -> int:
        """Return for how many actors the cluster has room now, busy or not."""
        demand = self.needs.demand()
        return sum(rooms(demand, node) for node in self.cluster.nodes())

    def size(self) -> int:
        """Return how many actors there shall be now, at least one.

        Actors for which there is no room yet are asked for nevertheless: that is how a cluster that
        grows by demand knows.
        """
        return self.needs.actors or max(1, self.room())

    def without_room(self) -> str:
        """Return the message about a cluster none of whose nodes has room for an actor."""
        nodes = [
            {name: node.get(name, 0.0) for name in self.needs.demand()}
            for node in self.cluster.nodes()
        ]
        msg = f"{self.name} needs {self.needs.demand()} for each actor, and no node of Ray at "
        msg += f"{self.cluster.address} has that ({nodes or 'no nodes'}); start one that has, ask "
        return msg + "for less, or wait longer for it: NUNATAK_CONNECT_TIMEOUT"


@dataclass(frozen=True)
class Place:
    """Where an actor is.

    Attributes
    ----------
    node : str
        Ray's name of its node.
    pid : int
        Its process there.
    """

    node: str
    pid: int


class GpuWorker:
    """Keeps one model and serves keys one at a time.

    Parameters
    ----------
    job : Job or ModelJob
        Unopened.
    device : str
        Where to open it.
    """

    def __init__(self, job: Job | ModelJob, device: str) -> None:
        self._source = job
        self._device = device
        self._job: Job | None = None

    def place(self) -> Place:
        """Return where this is."""
        return Place(_node(), os.getpid())

    def open(self) -> None:
        """Open the model; again, it stays open."""
        if self._job is None:
            self._job = opened(self._source, self._device)

    def process(self, key: str, fork: icechunk.ForkSession) -> Outcome:
        """Read, infer and write one key; receipt and references are all that travels back."""
        self.open()
        assert self._job is not None  # noqa: S101 - opened above
        return perform(key, self._job, fork, hashed=isinstance(self._source, ModelJob))


def _node() -> str:
    """Return Ray's name of the node this runs on; empty outside Ray."""
    import ray

    if not ray.is_initialized():
        return ""
    return str(ray.get_runtime_context().get_node_id())


def hire(needs: Needs, shipped: Any) -> Any:
    """Return the handle of a new actor; it is the one place where Ray decorates the class.

    Parameters
    ----------
    needs : Needs
        Of the actor.
    shipped : Job or ModelJob, or a reference of Ray to it
    """
    import ray

    return ray.remote(GpuWorker).options(**needs.options()).remote(shipped, needs.device)
