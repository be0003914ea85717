"""One way to reach Ray: a runtime on this machine, or the address of a cluster.

A runtime started here listens on the loopback only, keeps its object store small (arrays never pass
through it, only large jobs do) and is gone afterwards, with its folder. Each task has one core and
one thread of linear algebra, as on Dask, so the numbers are the same.

Ray asks for a token (:mod:`cluster.ray_token`): a runtime started here has one of its own, and that
of a cluster is read from the environment. With ``NUNATAK_TLS_FOLDER`` every connection to a cluster
shows and demands a certificate (:mod:`cluster.certificates`).
"""

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import certificates, dask_cluster, handshake, ray_token, settings
from cluster.dask_cluster import ClusterError

_NODE_SECONDS = 120.0  # for a runtime of ours to start
_CLIENT_SERVERS = 3  # how often one is asked for
# Only jobs larger than cluster.crew.LARGE_JOB and small receipts lie in it.
_STORE_BYTES = 256 * 2**20
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - asked for its size, nothing of ours is put there
# A socket's path has 107 bytes at the most; Ray adds some seventy to the folder.
_LONGEST_FOLDER = 35
_ADDRESS = re.compile(r"(?P<client>ray://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class RayCluster:
    """A cluster this process is connected to.

    Attributes
    ----------
    address : str
        Where it is, ``local`` if it was started here.
    """

    address: str

    def threads(self) -> int:
        """Return the cores of all nodes there are now."""
        return sum(int(each.get("CPU", 0)) for each in _nodes())

    def nodes(self) -> list[dict[str, float]]:
        """Return the resources of each node there is now, by Ray's names of them."""
        return _nodes()

    def has_node(self, name: str) -> bool:
        """Return whether the node of this name is there now."""
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return any(each["NodeID"] == name and each["Alive"] for each in nodes)

    def worker_memory(self) -> int:
        """Return the memory of one core of the smallest node [bytes].

        Ray sets no limit to a worker: this is what each has while all cores are busy.
        """
        shares = [each["memory"] / each["CPU"] for each in _nodes() if "memory" in each]
        if not shares:
            msg = f"Ray at {self.address} has no node with cores; start some and run again"
            raise ClusterError(msg)
        return int(min(shares))


@contextmanager
def connect(
    address: str | None = None,
    *,
    workers: int | None = None,
    task_bytes: int = 0,
    gpus: int | None = None,
) -> Iterator[RayCluster]:
    """Yield a Ray cluster, and leave nothing of ours running afterwards.

    Parameters
    ----------
    address : str, optional
        ``host:port`` of a head node whose machine this process shares, or ``ray://host:port`` of a
        client server; None or ``local`` starts a runtime on this machine and ends it.
    workers : int, optional
        How many keys at once in a local runtime; by default as many as local Dask processes.
    task_bytes : int
        The largest task that is to run [bytes]: of local workers only so many are allowed that
        each has room for it.
    gpus : int, optional
        How many GPUs a local runtime may use; by default those that this process sees.

    Yields
    ------
    RayCluster

    Raises
    ------
    ClusterError
        If there is no cluster within ``NUNATAK_CONNECT_TIMEOUT``, none can be started, or it
        demands another token than ``RAY_AUTH_TOKEN``.
    """
    choices = settings.read()
    ray = _import_quietly()
    if ray.is_initialized():
        msg = "this process is connected to Ray already; leave that block before the next connect"
        raise ClusterError(msg)
    if address in {None, "local"}:
        shape = dask_cluster.local_shape(choices, workers or choices.workers, task_bytes=task_bytes)
        reached = _started_here(*shape, gpus)
    else:
        reached = _reached(str(address), choices.connect_timeout)
    with _kept_environment():
        try:
            with reached as cluster:
                yield cluster
        finally:
            ray.shutdown()


@contextmanager
def _started_here(count: int, memory: int, gpus: int | None) -> Iterator[RayCluster]:
    import ray

    folder = _folder()
    try:
        try:
            ray_token.make_for_local()
            # Ray would run its workers at niceness 15, behind whatever else this machine does.
            os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so
            os.environ.setdefault("RAY_agent_register_timeout_ms", f"{1000 * _NODE_SECONDS:.0f}")
            with _on_loopback(), _patiently(_NODE_SECONDS), _kept_terminate_signal():
                ray.init(
                    address="local",
                    num_cpus=count,
                    num_gpus=gpus,
                    include_dashboard=False,
                    object_store_memory=_STORE_BYTES,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    _node_ip_address="127.0.0.1",
                    _memory=count * memory,
                    _temp_dir=folder,
                    _plasma_directory=_store_folder(folder),
                )
        except Exception as error:  # Ray raises bare ones where a node is not there in time
            msg = f"Ray could not be started on this machine ({error}); expected {count} cores, "
            msg += f"{_STORE_BYTES >> 20} MiB for its object store and a writable {folder}"
            raise ClusterError(msg) from error
        yield RayCluster("local")
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reached(address: str, timeout: float) -> Iterator[RayCluster]:
    import ray

    folder = certificates.folder()
    if folder is not None:
        os.environ.update(certificates.ray_environment(folder))
    ray_token.read_from_environment()
    _require_answer(address, timeout)
    try:
        with _kept_terminate_signal(), warnings.catch_warnings():
            # Said again by the error, in our words and with what to do.
            warnings.filterwarnings("ignore", message="Ray Client connection timed out")
            _joined(address)
    except (OSError, RuntimeError, ValueError, SystemExit) as error:
        msg = f"{address}: {error}; expected a Ray cluster of release {ray.__version__} there, and "
        msg += "for host:port a node of it on this machine; check the address, or use ray://, and "
        msg += f"{certificates.FOLDER} if it demands certificates"
        raise ClusterError(msg) from error
    yield RayCluster(address)


def _joined(address: str) -> None:
    """Connect, and again where the server that Ray starts for each client died as it started.

    Ray looks for a free port first and takes it seconds later, when another may have it; asked
    again it takes the next one.
    """
    import ray

    for attempt in range(_CLIENT_SERVERS):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
        except ConnectionAbortedError:
            if attempt + 1 == _CLIENT_SERVERS:
                raise
        else:
            return


def _require_answer(address: str, timeout: float) -> None:
    """Refuse an address where no Ray answers in time; Ray itself would try for two minutes."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        msg = f"{address!r} is no Ray address; expected local, host:port or ray://host:port"
        raise ClusterError(msg)
    host, port = match["host"].strip("[]"), int(match["port"])
    advice = "check the address and that Ray runs there, or wait longer: NUNATAK_CONNECT_TIMEOUT"
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except (OSError, OverflowError) as error:
        msg = f"{address}: {error}; expected a Ray cluster there; {advice}"
        raise ClusterError(msg) from error
    folder = certificates.folder()
    if folder is not None:
        # By the name in the certificate too: unlike Dask, Ray compares it with the address.
        handshake.require_accepted(
            host, port, folder, timeout=timeout, protocols=("h2",), named=True
        )
    if match["client"]:
        ray_token.require_accepted(address, f"{match['host']}:{port}", timeout)
        return
    # In a process of its own, because a head node that does not answer ends the process that asks.
    check = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        subprocess.run(  # noqa: S603
            check, check=True, capture_output=True, text=True, timeout=timeout
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        if isinstance(error, subprocess.CalledProcessError):
            ray_token.require_not_refused(address, error.stderr)
        msg = f"{address}: something answers, but as no Ray head node of our release within "
        msg += f"{timeout:g} s; {advice}, and {certificates.FOLDER} if it demands certificates"
        raise ClusterError(msg) from error


def _import_quietly() -> Any:
    """Return Ray, told to send no statistics of use anywhere."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    return ray


def _folder() -> str:
    """Return a new folder for logs and sockets, near enough to the root for a socket's path."""
    base = tempfile.gettempdir()
    short = base if len(base) + len("/nunatak-12345678") <= _LONGEST_FOLDER else "/tmp"  # noqa: S108
    return tempfile.mkdtemp(prefix="nunatak-", dir=short)


def _store_folder(folder: str) -> str | None:
    """Return where the object store lies: the folder, where shared memory is too small for it."""
    if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > 2 * _STORE_BYTES:
        return None
    return folder


def _nodes() -> list[dict[str, float]]:
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    found = [each["Resources"] for each in nodes if each["Alive"]]
    return [each for each in found if each.get("CPU", 0) >= 1]


@contextmanager
def _patiently(seconds: float) -> Iterator[None]:
    """Give a node of ours so long to say that it is there.

    Ray itself gives it half a minute, which on a busy machine is not enough, and then raises a bare
    ``Exception``.
    """
    from ray._private import services

    get_node, deadline = services.get_node, time.monotonic() + seconds

    def waited_for(*place: Any) -> Any:
        while True:
            try:
                return get_node(*place)  # type: ignore[no-untyped-call]
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    services.get_node = waited_for
    try:
        yield
    finally:
        services.get_node = get_node


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let Ray keep the address it is given: it puts the outward one in the place of 127.0.0.1."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _kept_environment() -> Iterator[None]:
    """Restore what Ray and we change in the environment, which would steer the next connection."""
    before = {name: text for name, text in os.environ.items() if name.startswith("RAY_")}
    try:
        yield
    finally:
        for name in [each for each in os.environ if each.startswith("RAY_")]:
            if name not in before:
                del os.environ[name]
        os.environ.update(before)


@contextmanager
def _kept_terminate_signal() -> Iterator[None]:
    """Restore the handler that Ray replaces, so that SIGTERM still commits what is finished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
