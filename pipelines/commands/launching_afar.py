"""``nunatak run --on kubernetes`` and ``--on ray``: the driver works there, and this follows it.

What runs there goes on without this process. Ctrl-C ends the following only, and says how to look
again; the same command follows what it finds, or resumes what has ended early.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from pipelines.commands.answers import INTERRUPTED, Answer

if TYPE_CHECKING:
    from cluster.kubernetes_manifests import Wishes
    from pipelines.commands.launching import Request

DEFAULT_OVERLAY = "local"
_SHORT_PRODUCT = 24


def run_name(request: Request) -> str:
    """Return the name of a run where it is launched: the same for the same run and output."""
    plan = request.plan
    digest = hashlib.sha256(f"{plan.run_id} {plan.output}".encode()).hexdigest()[:8]
    product = re.sub(r"[^a-z0-9]+", "-", plan.product.lower())[:_SHORT_PRODUCT]
    return f"{product}-{digest}"


def on_kubernetes(request: Request) -> Answer:
    """Create what a run needs on Kubernetes and follow its driver; or end it there."""
    from cluster import kubernetes_launch, kubernetes_manifests
    from cluster.launch import Launch, expected_seconds
    from pipelines import launch_settings
    from pipelines.commands import launching

    options, name = request.options, run_name(request)
    folder = kubernetes_manifests.overlay_folder(options.overlay or DEFAULT_OVERLAY)
    documents = kubernetes_manifests.rendered(folder)
    namespace = options.namespace or kubernetes_manifests.namespace_of(documents)
    if options.stop:
        return _stopped(namespace, name)
    require_seen_afar(request, "pods")
    wishes = _wishes(request, name)
    made = kubernetes_manifests.patched(documents, wishes)
    works = launch_settings.works(request.plan)
    counts = {"dask": wishes.dask_count.most, "ray": wishes.ray_count.most}
    told = Launch(
        f"kubernetes: namespace {namespace}, overlay {folder.name}, run {name}",
        kubernetes_manifests.pieces(made),
        expected_seconds(works, **counts),
        kubernetes_launch.notes(made),
    )
    facts = {**launching.say(told), "run": name, "namespace": namespace}
    if options.dry_run:
        text = kubernetes_manifests.shown(made)
        click.echo(text, nl=False)
        return Answer(facts={**facts, "manifest": text})
    return _followed(
        lambda: _kubernetes_status(made, namespace, name, kubernetes_launch),
        facts,
        f"the run goes on; the same command looks again, and with --stop ends it (in the namespace "
        f"{namespace}: kubectl -n {namespace} get all -l nunatak.run={name})",
    )


def _kubernetes_status(made: Any, namespace: str, name: str, kubernetes_launch: Any) -> int:
    created = kubernetes_launch.create(made, name)
    if created.resumed:
        lacked = f", created the {created.objects} objects it lacked" if created.objects else ""
        click.echo(f"the driver of {name} works already{lacked}; following it")
    else:
        click.echo(f"created {created.objects} objects; following the driver of {name}")
    return int(kubernetes_launch.follow(namespace, name, _say))


def on_ray(request: Request) -> Answer:
    """Submit the run as a job of a Ray cluster and follow it."""
    from cluster import handshake, ray_jobs
    from cluster.launch import Count, Launch, Piece, Size, expected_seconds
    from pipelines import launch_settings
    from pipelines.commands import launching

    options, works = request.options, launch_settings.works(request.plan)
    address = ray_jobs.checked_address(str(options.address))
    if not handshake.is_loopback(urlsplit(address).hostname or ""):
        require_seen_afar(request, "the nodes of Ray")
    driver = Piece("driver", Count(1, 1), Size(1.0, 2**30), ours=True)
    note = "stages run on the nodes that Ray has; the time is that on one core of them"
    seconds = expected_seconds(works, dask=1, ray=1)
    name = run_name(request)
    made = Launch(f"ray: {address}, run {name}", (driver,), seconds, (note,))
    job = ray_jobs.Submission(name, request.plan.run_text, ("--fresh",) * request.fresh)
    facts = {**launching.say(made), "run": name}
    if options.dry_run:
        click.echo(f"would submit: {job.entrypoint()}")
        return Answer(facts={**facts, "entrypoint": job.entrypoint()})
    return _followed(
        lambda: ray_jobs.carry_out(address, job, _say),
        facts,
        f"the job goes on; the same command follows it, and `ray job stop {name} --address "
        f"{address}` (with the number that was said) ends it",
    )


AFAR: dict[str, Callable[[Request], Answer]] = {"kubernetes": on_kubernetes, "ray": on_ray}


def require_seen_afar(request: Request, who: str) -> None:
    """Refuse a run that reads or writes what only this machine sees, or cannot begin anyway."""
    from cluster.launch import LaunchError
    from pipelines import launch_settings
    from pipelines.lifecycle import EstimateError

    if request.plan.estimated:
        msg = f"this run cannot begin: {request.plan.estimated}"
        raise EstimateError(msg)
    hidden = launch_settings.hidden_addresses(request.plan, request.run.catalogue)
    if hidden:
        named = "; ".join(f"{key}: {text}" for key, text in sorted(hidden.items()))
        msg = f"{who} cannot see what is on this machine: {named}; put it into a bucket (s3://) or "
        msg += "behind a public address, for instance with --set output=s3://bucket/prefix"
        raise LaunchError(msg)


def _wishes(request: Request, name: str) -> Wishes:
    from cluster.kubernetes_manifests import Wishes
    from cluster.launch import Count, Size, dask_size, ray_size
    from pipelines import launch_settings
    from pipelines.commands.launching import DEFAULT_WORKERS

    options, works = request.options, launch_settings.works(request.plan)
    return Wishes(
        name=name,
        run_file=request.plan.run_text,
        dask=dask_size(works) or Size(1.0, 2**30),
        dask_count=Count.read(options.workers or str(DEFAULT_WORKERS)),
        ray=ray_size(works),
        ray_count=Count.read(options.ray_workers or "1"),
        arguments=("--fresh",) * request.fresh,
        namespace=options.namespace or "",
        image=options.image or "",
    )


def _stopped(namespace: str, name: str) -> Answer:
    from cluster import kubernetes_launch

    ended = kubernetes_launch.stop(namespace, name)
    said = f"ended {ended} objects" if ended else "there was nothing to end"
    click.echo(f"{said} of {name} in the namespace {namespace}; what is committed stays")
    return Answer(facts={"run": name, "namespace": namespace, "ended": ended})


def _followed(wait: Callable[[], int], facts: dict[str, Any], left: str) -> Answer:
    """Wait for a driver elsewhere; its exit status is ours."""
    try:
        return Answer(wait(), facts)
    except KeyboardInterrupt:
        click.echo(left, err=True)
        return Answer(INTERRUPTED, {**facts, "error": "interrupted", "left": left})


def _say(line: str) -> None:
    from cluster.redaction import redact

    click.echo(redact(line), err=True)
