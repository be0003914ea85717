"""Where a run is launched: the options of ``nunatak run --on TARGET``, checked together.

Each option belongs to some targets. One given to another target is a mistake that is said, not
ignored: whoever writes ``--queue`` expects a queue.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cluster.launch import Work
    from pipelines.lifecycle import Plan, Stage

TARGETS = ("local", "kubernetes", "ssh", "slurm", "ray")

BELONGS: Mapping[str, tuple[str, ...]] = {
    "workers": ("kubernetes", "ssh", "slurm"),
    "ray_workers": ("kubernetes",),
    "python": ("ssh", "slurm"),
    "overlay": ("kubernetes",),
    "namespace": ("kubernetes",),
    "image": ("kubernetes",),
    "stop": ("kubernetes",),
    "hosts": ("ssh",),
    "ssh_config": ("ssh",),
    "queue": ("slurm",),
    "project": ("slurm",),
    "walltime": ("slurm",),
    "interface": ("slurm",),
    "cores": ("slurm",),
    "address": ("ray",),
}
"""Targets that each option is for."""

NEEDED: Mapping[str, str] = {"ssh": "hosts", "ray": "address"}
"""The option that a target cannot do without."""


WITH_RAY = ("ssh", "slurm")
"""Targets that start Dask only, so that a Ray that is there may be named beside them."""


class LaunchSettingsError(ValueError):
    """Options of a launch that do not fit together."""


@dataclass(frozen=True)
class LaunchOptions:
    """What was asked for; None where nothing was.

    Attributes
    ----------
    target : str or None
        One of ``TARGETS``; None for no launch.
    dry_run : bool
        Say what would be created, and create nothing.
    workers, ray_workers : str or None
        ``N`` or ``MIN..MAX``.
    python : str or None
        Interpreter on the machines.
    overlay, namespace, image : str or None
        Of Kubernetes: name or folder of a kustomize overlay, namespace, image of every pod.
    stop : bool
        End the run there instead.
    hosts, ssh_config : str or None
        Names, separated by commas; a file instead of ``~/.ssh/config``.
    queue, project, walltime, interface : str or None
        Of Slurm: partition, account, time limit, network.
    cores : int or None
        Cores, and so workers, of one job of Slurm.
    address : str or None
        Of Ray's jobs, ``http://head:8265``.
    """

    target: str | None = None
    dry_run: bool = False
    workers: str | None = None
    ray_workers: str | None = None
    python: str | None = None
    overlay: str | None = None
    namespace: str | None = None
    image: str | None = None
    stop: bool = False
    hosts: str | None = None
    ssh_config: str | None = None
    queue: str | None = None
    project: str | None = None
    walltime: str | None = None
    interface: str | None = None
    cores: int | None = None
    address: str | None = None


def read(given: Mapping[str, Any], *, scheduler: str | None, ray: str | None) -> LaunchOptions:
    """Return the options of a command, refused where they do not fit together.

    Parameters
    ----------
    given : mapping
        The options by their names; None or False where they were not given.
    scheduler, ray : str or None
        Clusters that exist, named on the same command.

    Raises
    ------
    LaunchSettingsError
        An option of another target, of none, or a target without what it needs.
    """
    options = LaunchOptions(**given)
    target = options.target
    for name, targets in BELONGS.items():
        if getattr(options, name) in {None, False} or target in targets:
            continue
        wanted = " or ".join(f"--on {each}" for each in targets)
        found = "without --on" if target is None else f"with --on {target}"
        msg = f"--{name.replace('_', '-')} belongs to {wanted}, and was given {found}"
        raise LaunchSettingsError(msg)
    if target is None and options.dry_run:
        msg = "--dry-run says what --on TARGET would create; without --on use `nunatak plan`"
        raise LaunchSettingsError(msg)
    _require_one_place(target, scheduler, ray)
    needed = NEEDED.get(target or "")
    if needed and getattr(options, needed) is None:
        msg = f"--on {target} needs --{needed}; see docs/launch.md"
        raise LaunchSettingsError(msg)
    return options


def _require_one_place(target: str | None, scheduler: str | None, ray: str | None) -> None:
    existing = {"--scheduler": scheduler, "--ray": None if target in WITH_RAY else ray}
    named = [f"{k} {v}" for k, v in existing.items() if v not in {None, "local"}]
    if target is not None and named:
        msg = f"--on {target} starts workers of its own, and {' and '.join(named)} names some that "
        msg += "are there; give one of the two"
        raise LaunchSettingsError(msg)


def works(plan: Plan) -> tuple[Work, ...]:
    """Return the stages of a plan as machines see them."""
    return tuple(_work(stage) for stage in plan.stages)


def _work(stage: Stage) -> Work:
    from cluster.launch import Work

    work = Work(stage.name, len(stage.keys), stage.seconds_per_task, stage.bytes_per_task)
    if stage.actors is None:
        return work
    needs = stage.actors
    return dataclasses.replace(work, cpus=needs.cpus, gpus=needs.gpus, reserved=needs.memory)


def local_addresses(plan: Plan, catalogue: str) -> dict[str, str]:
    """Return the paths on this machine that a run names, by their keys.

    Parameters
    ----------
    plan : Plan
        Its output and resolved run file: catalogue, finished products, weights.
    catalogue : str
        As the run file names it.
    """
    named = _named(plan, catalogue)
    return {key: text for key, text in named.items() if "://" not in text or _is_file(text)}


def hidden_addresses(plan: Plan, catalogue: str) -> dict[str, str]:
    """Return the addresses that other machines do not see: paths, and this machine's loopback."""
    named = _named(plan, catalogue)
    local = local_addresses(plan, catalogue)
    return local | {k: t for k, t in named.items() if _is_of_this_machine(t)}


def _is_of_this_machine(address: str) -> bool:
    from cluster.handshake import is_loopback

    host = urlsplit(address).hostname or ""
    return is_loopback(host) or host == "0.0.0.0"  # noqa: S104 - compared


def _named(plan: Plan, catalogue: str) -> dict[str, str]:
    """Return every address of a run file, by its key."""
    import yaml

    document = yaml.safe_load(plan.run_text) if plan.run_text else {}
    named = {"catalogue": catalogue, "output": plan.output}
    return {key: text for key, text in (*_addresses(document, ""), *named.items()) if text}


def _is_file(text: str) -> bool:
    return text.startswith("file:")


def _addresses(value: Any, key: str) -> list[tuple[str, str]]:
    """Return every text of a document that is an absolute path or a URL, with its key."""
    if isinstance(value, Mapping):
        return [f for k, v in value.items() for f in _addresses(v, f"{key}.{k}".strip("."))]
    if isinstance(value, list):
        return [f for n, v in enumerate(value) for f in _addresses(v, f"{key}[{n}]")]
    is_address = isinstance(value, str) and (value.startswith(("/", "file:")) or "://" in value)
    return [(key, value)] if is_address else []
