"""``nunatak run --on TARGET``: say what will be created and what it costs, then create it and run.

Where workers come to the driver (``local``, ``ssh``, ``slurm``) the run goes on in this process
and they end with it. Where the driver goes to the workers (``kubernetes``, ``ray``) this process
follows it from afar; see :mod:`pipelines.commands.launching_afar`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from pipelines.commands.answers import Answer
from pipelines.launch_settings import TARGETS

if TYPE_CHECKING:
    from cluster.launch import Launch, Size, Work
    from pipelines.launch_settings import LaunchOptions
    from pipelines.lifecycle import Plan
    from pipelines.settings import Run

F = TypeVar("F", bound=Callable[..., Any])


class Execute(Protocol):
    """Carries a run out with workers that are there, and says what came out."""

    def __call__(self, *, scheduler: str | None, ray: str | None) -> Answer:
        """Take the addresses of Dask's scheduler and of Ray; None of what is not needed."""
        ...


DEFAULT_WORKERS = 4

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("on", {"type": click.Choice(TARGETS), "help": "Start workers there for this run."}),
    ("dry-run", {"is_flag": True, "help": "Say what --on would create and cost; create nothing."}),
    ("workers", {"metavar": "N", "help": "Dask workers; MIN..MAX where they come by demand."}),
    ("ray-workers", {"metavar": "N", "help": "Ray nodes for networks."}),
    ("python", {"metavar": "PATH", "help": "Interpreter on the machines (ssh, slurm)."}),
    ("overlay", {"metavar": "NAME", "help": "Kubernetes: kustomize overlay, a name or a folder."}),
    ("namespace", {"metavar": "NAME", "help": "Kubernetes: namespace; one run in each at a time."}),
    ("image", {"metavar": "REF", "help": "Kubernetes: image of every pod of ours."}),
    ("stop", {"is_flag": True, "help": "Kubernetes: end this run there."}),
    ("hosts", {"metavar": "A,B", "help": "SSH: machines; the first has the scheduler."}),
    ("ssh-config", {"metavar": "FILE", "help": "SSH: instead of ~/.ssh/config."}),
    ("queue", {"metavar": "NAME", "help": "Slurm: partition."}),
    ("project", {"metavar": "NAME", "help": "Slurm: account."}),
    ("walltime", {"metavar": "H:MM:SS", "help": "Slurm: time limit of a job."}),
    ("interface", {"metavar": "NAME", "help": "Slurm: network of the nodes, such as ib0."}),
    ("cores", {"type": click.IntRange(1, 1024), "help": "Slurm: cores of one job."}),
    ("address", {"metavar": "URL", "help": "Ray: its jobs, http://head:8265."}),
)


@dataclass(frozen=True)
class Request:
    """One run to be launched.

    Attributes
    ----------
    run, plan : Run, Plan
        What.
    options : LaunchOptions
        Where.
    fresh : bool
        Whether it begins a new version.
    ray : str or None
        What ``--ray`` named, ``local`` or nothing.
    """

    run: Run
    plan: Plan
    options: LaunchOptions
    fresh: bool
    ray: str | None = None


def launch_options(command: F) -> F:
    """Add the options of a launch; they come as one dictionary, ``launch``."""
    for name, attributes in reversed(_OPTIONS):
        key = "target" if name == "on" else name.replace("-", "_")
        command = click.option(f"--{name}", key, **attributes)(command)
    return command


def launch(request: Request, execute: Execute) -> Answer:
    """Say what a launch creates; unless that is all, create it and carry the run out.

    Parameters
    ----------
    request : Request
        What and where.
    execute : callable
        Carries the run out here, with the addresses of a Dask scheduler and of Ray.
    """
    target = str(request.options.target)
    if target in {"kubernetes", "ray"}:
        from pipelines.commands import launching_afar

        return launching_afar.AFAR[target](request)
    return _NEAR[target](request, execute)


def say(made: Launch) -> dict[str, Any]:
    """Print what a launch creates and costs; return the same for a script."""
    from cluster import prices

    price = prices.read()
    click.echo("\n".join(made.lines(price)))
    return {"launch": made.facts(price)}


def _local(request: Request, execute: Execute) -> Answer:
    from cluster import dask_cluster, settings
    from cluster.launch import Count, Launch, Piece, Size, expected_seconds, ray_size
    from pipelines import launch_settings

    works, choices = launch_settings.works(request.plan), settings.read()
    largest = max(work.memory for work in works)
    count, memory = dask_cluster.local_shape(choices, choices.workers, task_bytes=largest)
    pieces = [Piece("Dask worker", Count(count, count), Size(1.0, memory), ours=True)]
    if ray_size(works) is not None:
        size = Size(float(count), count * memory)
        pieces.append(Piece("Ray node", Count(1, 1), size, ours=True))
    seconds = expected_seconds(works, dask=count, ray=count)
    made = Launch("this machine", tuple(pieces), seconds)
    return _carried_out(request, made, lambda: nullcontext((None, request.ray)), execute)


def _ssh(request: Request, execute: Execute) -> Answer:
    from cluster import ssh_launch
    from cluster.launch import Count, Launch, Piece, Size, expected_seconds

    options, works = request.options, _works(request)
    reach = ssh_launch.Reach(
        ssh_launch.read_hosts(str(options.hosts)),
        options.ssh_config or "",
        **({"python": options.python} if options.python else {}),
    )
    with ExitStack() as stack:
        paths = [stack.enter_context(ssh_launch.marked(p)) for p in _local_paths(request)]
        hosts = ssh_launch.look(reach, paths)
    size = _dask_size(works)
    rooms = min(host.room(size) for host in hosts)
    wanted = _count(options.workers) if options.workers else rooms * len(hosts)
    each = min(rooms, -(-wanted // len(hosts)))
    pieces = [
        Piece("scheduler", Count(1, 1), Size(1.0, size.memory), ours=True),
        Piece("Dask worker", Count(each * len(hosts), each * len(hosts)), size, ours=True),
    ]
    seconds = expected_seconds(works, dask=each * len(hosts), ray=len(hosts))
    notes = (
        f"hosts: {', '.join(f'{h.name} ({h.address})' for h in hosts)}",
        *_evenly(wanted, each, len(hosts)),
        *_notes(request, works),
    )
    made = Launch("ssh", tuple(pieces), seconds, notes)

    @contextmanager
    def started() -> Iterator[tuple[str | None, str | None]]:
        with ssh_launch.workers(reach, hosts, size=size, each=each) as address:
            yield address, request.ray

    return _carried_out(request, made, started, execute)


def _evenly(wanted: int, each: int, hosts: int) -> tuple[str, ...]:
    """Say where not as many workers start as were asked for: each host has as many as the others.

    >>> _evenly(2, 1, 3), _evenly(6, 2, 3)
    (('2 workers asked for, 3 started: 1 on each of 3 hosts',), ())
    """
    made = each * hosts
    if made == wanted:
        return ()
    return (f"{wanted} workers asked for, {made} started: {each} on each of {hosts} hosts",)


def _slurm(request: Request, execute: Execute) -> Answer:
    from cluster import slurm_launch
    from cluster.launch import Count, Launch, Piece, expected_seconds

    options, works = request.options, _works(request)
    count = _count(options.workers) if options.workers else DEFAULT_WORKERS
    size = _dask_size(works)
    given = {
        name: getattr(options, name)
        for name in ("queue", "project", "walltime", "interface", "cores", "python")
        if getattr(options, name) is not None
    }
    jobs = slurm_launch.Jobs(workers=count, size=size, **given)
    pieces = (Piece("Dask worker", Count(count, count), size),)
    seconds = expected_seconds(works, dask=count, ray=1)
    notes = (f"jobs of Slurm: {jobs.count}, workers in each: {jobs.cores}", *_notes(request, works))
    made = Launch("slurm", pieces, seconds, notes)

    @contextmanager
    def started() -> Iterator[tuple[str | None, str | None]]:
        with slurm_launch.workers(jobs) as address:
            yield address, request.ray

    def script() -> str:
        return slurm_launch.job_script(jobs)

    return _carried_out(request, made, started, execute, shown=script)


_NEAR: dict[str, Callable[[Request, Execute], Answer]] = {
    "local": _local,
    "ssh": _ssh,
    "slurm": _slurm,
}


def _carried_out(
    request: Request,
    made: Launch,
    started: Callable[[], Any],
    execute: Execute,
    *,
    shown: Callable[[], str] | None = None,
) -> Answer:
    """Say what is made; unless that is all, make it, carry the run out, and end what was made."""
    facts = say(made)
    if request.options.dry_run:
        if shown is not None:
            facts["manifest"] = shown()
            click.echo(facts["manifest"], nl=False)
        return Answer(facts=facts)
    with started() as (scheduler, ray):
        answer = execute(scheduler=scheduler, ray=ray)
    return Answer(answer.status, {**answer.facts, **facts})


def _works(request: Request) -> tuple[Work, ...]:
    from pipelines import launch_settings

    return launch_settings.works(request.plan)


def _dask_size(works: tuple[Work, ...]) -> Size:
    from cluster.launch import Size, dask_size

    return dask_size(works) or Size(1.0, 2**30)


def _count(text: str) -> int:
    """Return a fixed number of workers."""
    from cluster.launch import Count, LaunchError

    count = Count.read(text)
    if count.least != count.most:
        msg = f"--workers {text}: workers come and go by demand on Kubernetes only; give one number"
        raise LaunchError(msg)
    return count.most


def _local_paths(request: Request) -> list[str]:
    from pipelines import launch_settings

    named = launch_settings.local_addresses(request.plan, request.run.catalogue)
    return sorted(set(named.values()))


def _notes(request: Request, works: tuple[Work, ...]) -> tuple[str, ...]:
    """Return where networks work, and the note about connections that anybody may make."""
    from cluster import certificates

    networks: tuple[str, ...] = ()
    if any(work.of_ray for work in works):
        where = f"at {request.ray}" if request.ray not in {None, "local"} else "on this machine"
        networks = (f"networks work on Ray {where}; --ray ADDRESS names a cluster for them",)
    said = "without NUNATAK_TLS_FOLDER the scheduler talks in the clear and whoever reaches its "
    said += "port can run code; `nunatak certificates FOLDER` makes what it needs"
    return networks if certificates.folder() else (*networks, said)
