"""One way to reach Dask: processes on this machine by default, or the address of a scheduler.

A flow never asks where it runs. It is given a client whose workers have one thread each and whose
linear algebra libraries have one thread each (two layers of threads on the same cores are slower
than one, and the sums of a threaded library depend on the number of its threads). The scheduler is
told to expect machines that vanish: a worker that falls silent is given up, and a good task is not
blamed for the workers that were taken away under it.
"""

import logging
import multiprocessing
import re
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from cluster import certificates, handshake, log_context, memory, settings, telemetry
from cluster.settings import ClusterSettings

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

logger = logging.getLogger(__name__)

# Each names the number of threads of one linear algebra or parallel library.
ONE_THREAD: dict[str, str] = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ),
    "1",
)

_ADDRESS = re.compile(
    r"(?P<protocol>tcp|tls)://(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+):(?P<port>\d{1,5})"
)
# All that HTTP is for here. Dask's own choice adds pages with logs and call stacks, and a proxy.
_PAGES = {
    "scheduler": ["distributed.http.health", "distributed.http.scheduler.prometheus"],
    "worker": ["distributed.http.health", "distributed.http.worker.prometheus"],
}
_LEAST_MEMORY = 2**30  # [bytes]; an interpreter with the array libraries takes a third of it
_MOST_WORKERS = 16  # beyond, starting the processes takes longer than a local run
_LOST_WORKER = "30 days"
_MEMORY_SHARE = 0.8  # of this machine; the driver and the system live in the rest
# What changes numbers or their storage when it differs between driver and workers.
_COMPARED = (
    "nunatak", "python", "dask", "distributed", "cloudpickle", "msgpack", "numpy", "scipy",
    "xarray", "zarr", "numcodecs", "icechunk", "pyshtools",
)  # fmt: skip
_MUST_AGREE = frozenset({"nunatak", "python"})


class ClusterError(ValueError):
    """A cluster cannot be started, reached or used as it is."""


@contextmanager
def connect(
    address: str | None = None, *, workers: int | None = None, task_bytes: int = 0
) -> Iterator["Client"]:
    """Yield a client of a Dask cluster, and leave nothing running afterwards.

    Parameters
    ----------
    address : str, optional
        ``tcp://host:port`` or ``tls://host:port`` of a scheduler; None or ``local`` starts
        processes on this machine, bound to the loopback, and ends them.
    workers : int, optional
        How many local processes to start, or remote workers to wait for; by default
        ``NUNATAK_WORKERS``, then one per core here and at least one there.
    task_bytes : int
        The largest task that is to run [bytes]: of local processes only so many are started that
        each has room for it.

    Yields
    ------
    distributed.Client
        The default client while the block lasts, so that ``compute`` uses it.

    Raises
    ------
    ClusterError
        If there is no cluster within ``NUNATAK_CONNECT_TIMEOUT``, or it runs other software.
    """
    import dask

    # Its defaults must be there before ours are laid over them, or leaving the block removes both.
    import distributed  # noqa: F401

    _refuse_inside_starting_worker()
    choices = settings.read()
    with ExitStack() as stack:
        stack.callback(_forget_ended_client)
        stack.enter_context(dask.config.set(spot_configuration(choices)))
        if address in {None, "local"}:
            shape = local_shape(choices, workers or choices.workers, task_bytes=task_bytes)
            client = _start_here(stack, choices, shape)
        else:
            client = _reach(stack, choices, str(address), workers or 1)
        _compare_software(client)
        _prepare_workers(client, ours=address in {None, "local"})
        yield client


def _forget_ended_client() -> None:
    """Unset the scheduler of this process if its client has ended.

    Clients that end out of turn leave each other's scheduler behind, and whatever computes next in
    this process would ask for one that is gone.
    """
    import dask
    from distributed import default_client

    try:
        default_client()  # type: ignore[no-untyped-call]
    except ValueError:
        if dask.config.get("scheduler", None) == "dask.distributed":
            dask.config.set(scheduler=None)


def worker_memory(client: "Client") -> int:
    """Return the memory limit of the smallest worker [bytes].

    A worker without a limit counts with all the memory of its machine.
    """
    limits = [int(each["memory_limit"] or 0) for each in _workers(client).values()]
    if not all(limits):
        limits = [limit for limit in limits if limit] + list(client.run(_machine_memory).values())
    if not limits:
        msg = "the cluster has no workers, so nothing can be planned; start some and run again"
        raise ClusterError(msg)
    return min(limits)


def spot_configuration(choices: ClusterSettings) -> dict[str, object]:
    """Return the Dask configuration for machines that may vanish.

    It must hold where the scheduler and the workers start, see :func:`spot_environment` for those
    that are started elsewhere.
    """
    return {
        "distributed.scheduler.allowed-failures": choices.allowed_failures,
        "distributed.scheduler.worker-ttl": f"{choices.worker_ttl:g}s",
        # A local worker that is away so long after it died is never replaced.
        "distributed.deploy.lost-worker-timeout": _LOST_WORKER,
        "distributed.comm.timeouts.connect": f"{choices.connect_timeout:g}s",
        "distributed.comm.timeouts.tcp": f"{choices.tcp_timeout:g}s",
        # Lists of their own: a scheduler without bokeh adds to what it finds.
        "distributed.scheduler.http.routes": list(_PAGES["scheduler"]),
        "distributed.worker.http.routes": list(_PAGES["worker"]),
        "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": "65536", **ONE_THREAD},
    }


def spot_environment(choices: ClusterSettings) -> dict[str, str]:
    """Return the same configuration as environment variables of a scheduler or a worker.

    >>> spot_environment(ClusterSettings())["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"]
    '60s'
    """
    nested = {
        "DASK_" + name.upper().replace(".", "__").replace("-", "_"): str(value)
        for name, value in spot_configuration(choices).items()
        if not isinstance(value, Mapping)
    }
    return {**nested, **ONE_THREAD}


def local_shape(
    choices: ClusterSettings, workers: int | None, *, task_bytes: int = 0
) -> tuple[int, int]:
    """Return how many processes a local cluster has and the memory of each [bytes].

    Unless their number is asked for, there are no more than have room for ``task_bytes`` each.
    """
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    usable = int(_MEMORY_SHARE * MEMORY_LIMIT)
    needed = max(_LEAST_MEMORY, int(task_bytes / memory.DEFAULT_MARGIN))
    fitting = max(1, usable // (choices.worker_memory or needed))
    count = workers or max(1, min(CPU_COUNT, fitting, _MOST_WORKERS))
    return count, choices.worker_memory or usable // count


def _start_here(stack: ExitStack, choices: ClusterSettings, shape: tuple[int, int]) -> "Client":
    cluster = stack.enter_context(_local_cluster(*shape))
    client: Client = stack.enter_context(_client(cluster, choices))
    return client


def _client(scheduler: "str | LocalCluster", choices: ClusterSettings) -> "Client":
    from distributed import Client

    client: Client = Client(  # type: ignore[no-untyped-call]
        scheduler, timeout=choices.connect_timeout
    )
    return client


@contextmanager
def _local_cluster(count: int, memory: int) -> Iterator["LocalCluster"]:
    from distributed import LocalCluster

    try:
        cluster = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory,
            host="127.0.0.1",
            dashboard_address=None,
            # Without a dashboard the scheduler still serves its health, on any free port.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.ERROR,
        )
    except (RuntimeError, OSError) as error:
        msg = (
            f"{count} worker processes could not be started on this machine ({error}); if a script "
            "of yours starts them, put what it does under `if __name__ == '__main__':`, because "
            "every worker process imports the script; otherwise try fewer with NUNATAK_WORKERS"
        )
        raise ClusterError(msg) from error
    with cluster:
        yield cluster


def _reach(stack: ExitStack, choices: ClusterSettings, address: str, workers: int) -> "Client":
    from distributed.versions import VersionMismatchWarning

    match = _ADDRESS.fullmatch(address)
    if match is None:
        msg = f"{address!r} is no scheduler address; expected tcp://host:port or tls://host:port"
        raise ClusterError(msg)
    _encrypt(stack, choices, match)
    try:
        with warnings.catch_warnings():
            # Reported by _compare_software, in our words and with what to do.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client: Client = stack.enter_context(_client(address, choices))
            client.wait_for_workers(workers, timeout=choices.connect_timeout)
    except TimeoutError as error:
        raise ClusterError(_silence(choices, address, workers)) from error
    except (OSError, TypeError) as error:
        msg = f"{address}: {error}; expected a Dask scheduler there; check the address, and the "
        msg += f"certificates for tls:// ({certificates.FOLDER}, or Dask's own settings "
        msg += "distributed.comm.tls)"
        raise ClusterError(msg) from error
    return client


def _encrypt(stack: ExitStack, choices: ClusterSettings, address: "re.Match[str]") -> None:
    """Let the client show the certificates of ``NUNATAK_TLS_FOLDER``, where there is one.

    Whoever has certificates means connections between machines to be encrypted: a plain one is
    refused, except to this machine, as through a tunnel that encrypts.
    """
    import dask

    folder, host = certificates.folder(), address["host"].strip("[]")
    if folder is None:
        return
    if address["protocol"] == "tls":
        try:
            handshake.require_accepted(
                host, int(address["port"]), folder, timeout=choices.connect_timeout
            )
        except (OSError, OverflowError) as error:
            # Dask goes on asking, and a scheduler that is being started will answer.
            logger.debug("%s: %s", address.string, error)
        stack.enter_context(dask.config.set(certificates.dask_configuration(folder)))
    elif not handshake.is_loopback(host):
        msg = f"{address.string} is not encrypted, and {certificates.FOLDER} is set; expected "
        msg += f"tls://{address['host']}:{address['port']} (or unset it in a network you trust)"
        raise ClusterError(msg)


def _silence(choices: ClusterSettings, address: str, workers: int) -> str:
    return (
        f"{address} gave no {workers} worker(s) within {choices.connect_timeout:g} s; check that "
        "the scheduler runs and has workers, and whether it speaks tcp:// or tls://, or wait "
        "longer with NUNATAK_CONNECT_TIMEOUT"
    )


def _refuse_inside_starting_worker() -> None:
    """End the import of a script that starts a cluster without a main guard.

    Worker processes import the main script. One that connects while it is imported would start
    workers of workers; it ends here, and the process that really is the driver says why.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)


def _prepare_workers(client: "Client", *, ours: bool) -> None:
    """Let every worker, also one that joins later, log as the driver does: redacted, signed.

    Workers that we started also leave Ctrl-C to the driver, which receives it too, commits what is
    finished and then ends them; otherwise they would be gone before it can. They are silent about
    heartbeats that nobody heard: their scheduler is in the driver, which ends before they do.
    """
    from distributed import Worker, WorkerPlugin

    run = log_context.current()

    class Prepared(WorkerPlugin):
        name = "nunatak"

        def setup(self, worker: Worker) -> None:  # noqa: ARG002
            telemetry.join(run)
            if ours:
                logging.getLogger("distributed.worker").addFilter(_is_no_unheard_heartbeat)
            if ours and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    client.register_plugin(Prepared())


def _is_no_unheard_heartbeat(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    unheard = kind is not None and issubclass(kind, OSError)
    return not (unheard and "heartbeat" in record.getMessage())


def _compare_software(client: "Client") -> None:
    """Refuse workers with another nunatak or Python, and report other differences."""
    # Typed as a coroutine too, which it is only for an asynchronous client.
    answer = cast("dict[str, Any]", client.get_versions(packages=list(_COMPARED)))
    here = answer["client"]["packages"]
    differences: dict[str, set[str]] = {}
    for worker in answer["workers"].values():
        there = worker["packages"] if worker else {}
        for name in _COMPARED:
            if _release(name, there) != _release(name, here):
                differences.setdefault(name, set()).add(_release(name, there))
    if not differences:
        return
    listed = ", ".join(
        f"{name} {_release(name, here)} here and {' or '.join(sorted(found))} there"
        for name, found in differences.items()
    )
    advice = "give the driver and the workers the same image or constraints.txt"
    if _MUST_AGREE & differences.keys():
        msg = f"the workers run other software: {listed}; results would not be ours; {advice}"
        raise ClusterError(msg)
    logger.warning("the workers run other software: %s; %s", listed, advice)


def _release(name: str, versions: Mapping[str, Any]) -> str:
    found = str(versions.get(name) or "none")
    return ".".join(found.split(".")[:2]) if name == "python" else found


def _workers(client: "Client") -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", client.scheduler_info()["workers"])


def _machine_memory() -> int:
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)
