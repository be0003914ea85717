"""Dask on machines that SSH reaches, for as long as one command lasts.

The first host has the scheduler, and every host has workers: distributed's ``SSHCluster`` starts
both. Users, ports and keys are those of SSH's own configuration. Scheduler and workers end when the
block does; after ``kill -9`` of this process they stay on their hosts.
"""

import json
import logging
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import address, certificates, dask_cluster, settings
from cluster.launch import LaunchError, Size, missing_package

logger = logging.getLogger(__name__)

_MEMORY_SHARE = 0.8  # of a host; its system and the driver live in the rest
# What a host says of itself, and which of the paths named it cannot see. It imports little, because
# every host is asked before each launch.
_LOOK = (
    "import importlib.metadata as m, json, os, psutil, sys\n"
    "limit = '/sys/fs/cgroup/memory.max'\n"
    "text = open(limit).read().strip() if os.path.exists(limit) else 'max'\n"
    "memory = psutil.virtual_memory().total\n"
    "memory = memory if text == 'max' else min(memory, int(text))\n"
    "print(json.dumps({'cores': len(os.sched_getaffinity(0)), 'memory': memory,"
    " 'nunatak': m.version('nunatak'),"
    " 'unseen': [p for p in sys.argv[1:] if not os.path.exists(p)]}))\n"
)


@dataclass(frozen=True)
class Reach:
    """How hosts are reached.

    Attributes
    ----------
    hosts : tuple of str
        Names, as SSH knows them; the first one has the scheduler.
    configuration : str
        A file instead of ``~/.ssh/config``; empty for that one.
    python : str
        Interpreter on the hosts.
    """

    hosts: tuple[str, ...]
    configuration: str = ""
    python: str = sys.executable

    def options(self) -> dict[str, Any]:
        """Return the options of a connection."""
        return {"config": [self.configuration]} if self.configuration else {}


@dataclass(frozen=True)
class Host:
    """What a host said of itself.

    Attributes
    ----------
    name, address : str
        As SSH knows it, and where the connection went.
    cores : int
        Cores.
    memory : int
        Memory [bytes].
    """

    name: str
    address: str
    cores: int
    memory: int

    def room(self, size: Size) -> int:
        """Return for how many workers there is room, at least one."""
        cores = int(self.cores / size.cores)
        return max(1, min(cores, int(_MEMORY_SHARE * self.memory / size.memory)))


def read_hosts(text: str) -> tuple[str, ...]:
    """Return the names of a list such as ``node1,node2``.

    Raises
    ------
    LaunchError
        None, or one that no host can have.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    wrong = [name for name in names if name.startswith("-") or any(c in name for c in " @/\t")]
    if not names or wrong:
        msg = f"found the hosts {text!r}; expected names as SSH knows them, such as node1,node2; "
        msg += "users, ports and keys belong into ~/.ssh/config, or a file given by --ssh-config"
        raise LaunchError(msg)
    return names


def look(reach: Reach, paths: Sequence[str] = ()) -> list[Host]:
    """Return what each host has; starts nothing there.

    Parameters
    ----------
    reach : Reach
        Which hosts.
    paths : sequence of str
        Paths of this machine that the work needs: every host must see them.

    Raises
    ------
    LaunchError
        A host cannot be reached, runs another release of ours or cannot see a path.
    """
    import asyncio

    _asyncssh()
    return asyncio.run(_look_everywhere(reach, paths))


@contextmanager
def workers(reach: Reach, hosts: Sequence[Host], *, size: Size, each: int) -> Iterator[str]:
    """Yield the address of a Dask scheduler on the first host, with ``each`` workers on every host.

    Parameters
    ----------
    reach : Reach
        How to get there.
    hosts : sequence of Host
        From :func:`look`.
    size : Size
        Of a worker.
    each : int
        Workers a host.
    """
    import dask
    from distributed import Security, SSHCluster

    folder = certificates.folder()
    secured: dict[str, Any] = {}
    if folder:
        certificates.require_usable(folder)
        secured = certificates.dask_configuration(folder)
    with dask.config.set({**dask_cluster.spot_configuration(settings.read()), **secured}):
        try:
            cluster = SSHCluster(
                [reach.hosts[0], *reach.hosts],
                connect_options=reach.options(),
                worker_options={"n_workers": each, "nthreads": 1, "memory_limit": size.memory},
                scheduler_options={
                    "host": hosts[0].address,
                    "dashboard_address": "127.0.0.1:0",
                    **({"protocol": "tls://"} if folder else {}),
                },
                remote_python=reach.python,
                security=Security() if folder else None,  # type: ignore[no-untyped-call]
            )
        except Exception as error:  # distributed raises a bare one
            msg = f"Dask could not be started over SSH on {', '.join(reach.hosts)} ({error}); "
            msg += f"try `ssh {reach.hosts[0]} {reach.python} -m distributed.cli.dask_spec --help`"
            raise LaunchError(msg) from error
        with cluster:
            yield str(cluster.scheduler_address)


def _asyncssh() -> Any:
    try:
        import asyncssh
    except ImportError as error:
        name = "asyncssh"
        raise missing_package(name, "ssh") from error
    return asyncssh


async def _look_everywhere(reach: Reach, paths: Sequence[str]) -> list[Host]:
    import asyncio

    return list(await asyncio.gather(*(_look_at(reach, name, paths) for name in reach.hosts)))


async def _look_at(reach: Reach, name: str, paths: Sequence[str]) -> Host:
    asyncssh = _asyncssh()
    timeout = settings.read().connect_timeout
    command = shlex.join([reach.python, "-c", _LOOK, *paths])
    try:
        async with asyncssh.connect(name, connect_timeout=timeout, **reach.options()) as connection:
            answer = await connection.run(command, check=False, timeout=timeout)
            address = str(connection.get_extra_info("peername")[0])
    except (OSError, asyncssh.Error, TimeoutError) as error:
        msg = f"{name} cannot be reached by SSH ({error}); expected that `ssh {name}` works without"
        msg += " a question: its host key known, our key taken; see ~/.ssh/config or --ssh-config"
        raise LaunchError(msg) from error
    if answer.exit_status != 0:
        last = str(answer.stderr or answer.stdout).strip().splitlines()[-1:]
        msg = f"{name}: {reach.python} cannot run nunatak there ({' '.join(last)}); install the "
        msg += "same release there, and name its interpreter with --python"
        raise LaunchError(msg)
    return _described(name, address, json.loads(str(answer.stdout).splitlines()[-1]))


def _described(name: str, address: str, said: Mapping[str, Any]) -> Host:
    import importlib.metadata

    ours = importlib.metadata.version("nunatak")
    if said["nunatak"] != ours:
        msg = f"{name} has nunatak {said['nunatak']}, and this machine {ours}; results would not "
        msg += "be ours; install the same release on both"
        raise LaunchError(msg)
    if said["unseen"]:
        msg = f"{name} cannot see {', '.join(said['unseen'])}; put what the run reads and writes "
        msg += "where every host sees it under the same path, or into a bucket (s3://)"
        raise LaunchError(msg)
    return Host(name, address, int(said["cores"]), int(said["memory"]))


@contextmanager
def marked(path: str) -> Iterator[str]:
    """Yield the path of an empty file near ``path``; a host that sees it has the same disk.

    The file lies in the nearest folder that there is, and is removed again. What there is and may
    only be read stands for itself.

    Parameters
    ----------
    path : str
        A path or a ``file:`` address.

    Raises
    ------
    OSError
        Nothing is there yet, and the folder that would hold it may not be written.
    """
    wanted = Path(address.parse(path).path)
    here = wanted
    while not here.is_dir() and here != here.parent:
        here = here.parent
    with ExitStack() as stack:
        try:
            seen = stack.enter_context(
                tempfile.NamedTemporaryFile(prefix=".nunatak-seen-", dir=here)
            ).name
        except OSError:
            if not wanted.exists():
                raise
            seen = str(wanted)
        yield seen
