"""Create a run's objects on Kubernetes, follow its driver, end what is left.

Objects go through kr8s, those of the Dask operator through dask-kubernetes' own classes. The
driver's Job comes first; whatever else belongs to the run is owned by it, so that Kubernetes itself
ends all of it when the Job goes, also if nobody is there to follow. Nothing here is needed for the
run to go on: this process may end and look again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cluster import kubernetes_driver
from cluster.following import DEFECT, Patience, contract_status
from cluster.kubernetes_manifests import (
    DRIVER,
    RUN_FILE,
    RUN_LABEL,
    Document,
    is_of_run,
    namespace_of,
)
from cluster.launch import LaunchError, missing_package

_LOOK_EVERY = 2.0  # [s]
_GONE_WITHIN = 120.0  # [s]
_AFTER_THE_DRIVER = 4
_STARTED_AT_ONCE = ("Deployment", "DaskCluster")
# Kinds that belong to a run, with what asks for them.
_RUN_KINDS = (
    ("Deployment", "apps/v1"),
    ("DaskAutoscaler", "kubernetes.dask.org/v1"),
    ("DaskCluster", "kubernetes.dask.org/v1"),
    ("RayCluster", "ray.io/v1"),
)


@dataclass(frozen=True)
class Created:
    """What became of a launch.

    Attributes
    ----------
    resumed : bool
        Whether the driver of this run was there and works.
    objects : int
        How many objects were created or changed; of a driver that works, those that it lacked.
    """

    resumed: bool
    objects: int


def create(documents: Sequence[Document], run: str) -> Created:
    """Create or change the objects of a run; if its driver works already, only what it lacks.

    A driver of the same run that has ended is replaced: it resumes what is left. A launch that
    broke off after the driver is completed.

    Parameters
    ----------
    documents : sequence of dict
        From :func:`cluster.kubernetes_manifests.patched`.
    run : str
        Its name.

    Raises
    ------
    LaunchError
        The cluster cannot be reached or refuses, or the namespace holds another run.
    """
    made: Created = _asked(lambda api: _create(api, documents, run))
    return made


def follow(namespace: str, run: str, say: Callable[[str], None]) -> int:
    """Hand over what the driver prints until it ends; return its exit status, and end its workers.

    A cluster that does not answer for a while, and pods that go, are waited for.

    Parameters
    ----------
    namespace, run : str
        Where, and which.
    say : callable
        Gets each line.

    Raises
    ------
    LostSightError
        The cluster has not answered for ten minutes.
    LaunchError
        It refuses, or the driver is gone.
    """
    status: int = _asked(lambda api: _follow(api, namespace, run, say))
    return status


def stop(namespace: str, run: str) -> int:
    """End a run: delete its driver and its workers; return how many objects there were."""
    ended: int = _asked(lambda api: _stop(api, namespace, run))
    return ended


def _asked(question: Callable[[Any], Awaitable[Any]]) -> Any:
    """Ask the cluster that ``KUBECONFIG`` names; what it refuses becomes words."""
    try:
        import dask_kubernetes.operator  # type: ignore[import-untyped]  # noqa: F401
        import httpx
        import kr8s.asyncio
    except ImportError as error:
        name = "dask-kubernetes"
        raise missing_package(name, "kubernetes") from error

    async def ask() -> Any:
        api = await kr8s.asyncio.api()
        try:
            return await question(api)
        finally:
            # kr8s leaves its connections to the garbage collector, after the loop has ended.
            if api._session is not None:  # noqa: SLF001
                await api._session.aclose()  # noqa: SLF001

    try:
        return asyncio.run(ask())
    except BrokenPipeError:
        raise  # nobody reads what we say
    except kr8s.NotFoundError as error:
        msg = f"something of the run went while it was looked at ({error}); "
        raise LaunchError(msg + "the same command looks again") from error
    except (httpx.HTTPError, OSError, kr8s.APITimeoutError, kr8s.ConnectionClosedError) as error:
        msg = f"the Kubernetes cluster does not answer ({error or type(error).__name__}); check "
        msg += "`kubectl get nodes`, and which cluster KUBECONFIG names"
        raise LaunchError(msg) from error
    except kr8s.ServerError as error:
        msg = f"Kubernetes refused: {error}; expected rights to create and delete what --dry-run "
        raise LaunchError(msg + "prints, and the operators whose kinds are in it") from error
    except ValueError as error:
        if isinstance(error, LaunchError):
            raise
        msg = f"no Kubernetes cluster is named ({error}); set KUBECONFIG, or log in to one"
        raise LaunchError(msg) from error


def notes(documents: Sequence[Document]) -> tuple[str, ...]:
    """Return what is worth knowing before these objects are created."""
    driver = next((each for each in documents if each["kind"] == "Job"), None)
    workers = [each for each in documents if each["kind"] in _STARTED_AT_ONCE and is_of_run(each)]
    if driver is None or not driver["spec"].get("suspend") or not workers:
        return ()
    said = "the driver waits for its queue, and Dask's workers do not: they are paid while it waits"
    return (said,)


async def _create(api: Any, documents: Sequence[Document], run: str) -> Created:
    namespace = namespace_of(documents)
    job = await _working(api, namespace, run)
    if job is not None:
        return Created(resumed=True, objects=await _complete(api, documents, job))
    await _delete_driver(api, namespace)
    owner: list[Document] = []
    count = 0
    for document in sorted(documents, key=_order):
        made = await _apply(api, _owned(document, owner))
        count += 1
        if (document["kind"], document["metadata"]["name"]) == ("Job", DRIVER):
            owner = [_reference(made)]
    return Created(resumed=False, objects=count)


async def _complete(api: Any, documents: Sequence[Document], job: Any) -> int:
    """Create what a driver that works lacks, because its launch broke off; return how much."""
    count = 0
    for document in documents:
        if _order(document) < _AFTER_THE_DRIVER:
            continue
        wanted = _object(api, _owned(document, [_reference(job)]))
        if not await wanted.exists():
            await wanted.create()
            count += 1
    return count


def _order(document: Document) -> int:
    """Namespace, what is shared, the run file, the driver, and then what it owns."""
    if document["kind"] == "Namespace":
        return 0
    if not is_of_run(document):
        return 1
    return {"ConfigMap": 2, "Job": 3}.get(document["kind"], _AFTER_THE_DRIVER)


def _owned(document: Document, owner: list[Document]) -> Document:
    if not owner or not is_of_run(document):
        return document
    return {**document, "metadata": {**document["metadata"], "ownerReferences": owner}}


def _reference(job: Any) -> Document:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job.name,
        "uid": job.metadata.uid,
        "controller": False,
        "blockOwnerDeletion": False,
    }


def _object(api: Any, document: Document) -> Any:
    """Return the client object of a document; the Dask operator's have classes of their own."""
    from dask_kubernetes.operator._objects import (  # type: ignore[import-untyped]
        DaskAutoscaler,
        DaskCluster,
    )
    from kr8s.asyncio.objects import new_class, object_from_spec

    ours = {"DaskCluster": DaskCluster, "DaskAutoscaler": DaskAutoscaler}
    kind = document["kind"]
    if kind in ours:
        return ours[kind](document, api=api)
    try:
        return object_from_spec(document, api=api)
    except KeyError:
        namespaced = "namespace" in document["metadata"]
        made = new_class(kind, document["apiVersion"], asyncio=True, namespaced=namespaced)
        return made(document, api=api)


async def _apply(api: Any, document: Document) -> Any:
    """Create an object, or change the one that is there; a namespace that is there stays."""
    import kr8s

    wanted = _object(api, document)
    if not await wanted.exists():
        await wanted.create()
    elif document["kind"] != "Namespace":
        try:
            await wanted.patch(document)
        except kr8s.NotFoundError:  # what the driver before this one owned is being collected
            await wanted.create()
    return wanted


async def _working(api: Any, namespace: str, run: str) -> Any | None:
    """Return the driver if it works; another run's is refused."""
    job = await kubernetes_driver.find(api, namespace)
    if job is None or kubernetes_driver.ending(job):
        return None
    other = job.labels.get(RUN_LABEL, "of unknown name")
    if other != run:
        msg = f"the namespace {namespace} works on the run {other}; wait for it, end it with "
        msg += "--stop and its run file, or give this run a namespace of its own (--namespace)"
        raise LaunchError(msg)
    return job


async def _delete_driver(api: Any, namespace: str) -> bool:
    """Delete the driver that has ended, and wait until its name is free."""
    import kr8s

    job = await kubernetes_driver.find(api, namespace)
    if job is None:
        return False
    with suppress(kr8s.NotFoundError):
        await job.delete(propagation_policy="Background")
    async with asyncio.timeout(_GONE_WITHIN):
        while await kubernetes_driver.find(api, namespace) is not None:
            await asyncio.sleep(_LOOK_EVERY / 4)
    return True


async def _follow(api: Any, namespace: str, run: str, say: Callable[[str], None]) -> int:
    reader = kubernetes_driver.Reader(api, namespace, say)
    left = f"the run goes on without us, if it goes on: kubectl -n {namespace} get job,pod; the "
    patience = Patience("the Kubernetes cluster", left + "same command looks again")
    while True:
        try:
            status = await _look(api, namespace, run, reader)
        except Exception as error:
            if not kubernetes_driver.unanswered(error):
                raise
            patience.lost(error)
        else:
            patience.answered()
            if status is not None:
                return status
        await asyncio.sleep(_LOOK_EVERY)


async def _look(api: Any, namespace: str, run: str, reader: kubernetes_driver.Reader) -> int | None:
    """Read what there is to read; return the exit status of a driver that has ended."""
    job = await kubernetes_driver.find(api, namespace)
    if job is None:
        msg = f"the driver of {run} is gone from the namespace {namespace}: somebody ended it; "
        raise LaunchError(msg + "the same command resumes what is left")
    await reader.read(suspended=bool(job.spec.get("suspend", False)))
    ended = kubernetes_driver.ending(job)
    if not ended:
        return None
    await _end_workers(api, namespace, run)
    if ended == "Complete":
        return 0
    # The last pod may have gone, and taken its status along.
    return contract_status(reader.status or DEFECT)


async def _of_run(api: Any, namespace: str, run: str) -> list[Any]:
    """Return the objects of a run besides driver and run file; absent kinds have none."""
    found = []
    for kind, version in _RUN_KINDS:
        spec = {"kind": kind, "apiVersion": version}
        empty = _object(api, {**spec, "metadata": {"name": "any", "namespace": namespace}})
        async with _unless_unknown():
            listed = type(empty).list(namespace=namespace, label_selector={RUN_LABEL: run}, api=api)
            found += [each async for each in listed]
    return found


@asynccontextmanager
async def _unless_unknown() -> AsyncIterator[None]:
    """Take a kind that the cluster does not know for one without objects."""
    import kr8s

    try:
        yield
    except kr8s.ServerError as error:
        if error.response is None or error.response.status_code != 404:
            raise


async def _end_workers(api: Any, namespace: str, run: str) -> int:
    import kr8s

    there = await _of_run(api, namespace, run)
    for each in there:
        try:
            await each.delete(propagation_policy="Background")
        except kr8s.NotFoundError:
            continue  # the operator was quicker
    return len(there)


async def _stop(api: Any, namespace: str, run: str) -> int:
    from kr8s.asyncio.objects import ConfigMap

    job = await kubernetes_driver.find(api, namespace)
    if job is not None and job.labels.get(RUN_LABEL) not in {run, None}:
        msg = f"the namespace {namespace} has the run {job.labels.get(RUN_LABEL)}, not {run}; give "
        raise LaunchError(msg + "the run file and the --set of that one")
    ended = int(await _delete_driver(api, namespace)) + await _end_workers(api, namespace, run)
    file = ConfigMap({"metadata": {"name": RUN_FILE, "namespace": namespace}}, api=api)
    if ended and await file.exists():
        await file.delete()
        ended += 1
    return ended
