"""Rules about names: what one object calls by its name is defined by another."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.infra.manifest_model import (
    Manifests,
    Pod,
    name_of,
    namespace_of,
)
from tests.infra.rules_pods import environment

_ADDRESS = re.compile(r"\b(?:tls|tcp|ray|https?)://([a-z0-9-]+)(?:\.[a-z0-9-]+)*:(\d+)")
_BUCKET = re.compile(r"s3://([^/\s]+)")
_BUILT_IN_CLASSES = {"", "system-cluster-critical", "system-node-critical"}
_QUEUE = "kueue.x-k8s.io/queue-name"
_CLUSTER_WIDE = {"Namespace", "ClusterQueue", "ResourceFlavor", "PriorityClass"}


def unique(manifests: Manifests) -> Iterator[str]:
    """No two objects have the same kind, namespace and name."""
    seen = set()
    for each in manifests.documents:
        place = (each["kind"], namespace_of(each), each["metadata"]["name"])
        if place in seen:
            yield f"{name_of(each)} is there twice in {place[1]}"
        seen.add(place)


def namespaces(manifests: Manifests) -> Iterator[str]:
    """Every object is in a namespace that is defined."""
    defined = {each["metadata"]["name"] for each in manifests.of_kind("Namespace")}
    for each in manifests.documents:
        if each["kind"] not in _CLUSTER_WIDE and namespace_of(each) not in defined:
            yield f"{name_of(each)}: the namespace {namespace_of(each)!r} is not defined"


def accounts(manifests: Manifests) -> Iterator[str]:
    """Service accounts and priority classes are defined."""
    for pod in manifests.pods:
        account = pod.spec.get("serviceAccountName", "default")
        if manifests.named("ServiceAccount", account, pod.namespace) is None:
            yield f"{pod}: the service account {account!r} is not defined"
        rank = pod.spec.get("priorityClassName", "")
        if rank not in _BUILT_IN_CLASSES and manifests.named("PriorityClass", rank) is None:
            yield f"{pod}: the priority class {rank!r} is not defined"


def sources(manifests: Manifests) -> Iterator[str]:
    """Secrets, config maps and claims are defined, and have the keys that are asked of them."""
    for pod in manifests.pods:
        for kind, name, keys in _sources(pod):
            document = manifests.named(kind, name, pod.namespace)
            if document is None:
                yield f"{pod}: {kind} {name!r} is not defined"
                continue
            held = {*document.get("data", {}), *document.get("stringData", {})}
            for key in sorted(keys - held):
                yield f"{pod}: {kind} {name!r} has no key {key!r}"


def _sources(pod: Pod) -> Iterator[tuple[str, str, set[str]]]:
    for volume in pod.spec.get("volumes", ()):
        yield from _of_volume(volume)
    for container in pod.containers:
        for each in container.get("envFrom", ()):
            if "configMapRef" in each:
                yield "ConfigMap", each["configMapRef"]["name"], set()
            if "secretRef" in each:
                yield "Secret", each["secretRef"]["name"], set()
        for each in container.get("env", ()):
            source = each.get("valueFrom", {})
            if "configMapKeyRef" in source:
                found = source["configMapKeyRef"]
                yield "ConfigMap", found["name"], {found["key"]}
            if "secretKeyRef" in source:
                yield "Secret", source["secretKeyRef"]["name"], {source["secretKeyRef"]["key"]}
    yield from _of_ray_token(pod)


def _of_volume(volume: Mapping[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    if "secret" in volume:
        keys = {item["key"] for item in volume["secret"].get("items", ())}
        yield "Secret", volume["secret"]["secretName"], keys
    if "configMap" in volume:
        keys = {item["key"] for item in volume["configMap"].get("items", ())}
        yield "ConfigMap", volume["configMap"]["name"], keys
    if "persistentVolumeClaim" in volume:
        yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], set()
    for source in volume.get("projected", {}).get("sources", ()):
        yield from _of_volume({k: _as_volume(v) for k, v in source.items()})


def _as_volume(source: Mapping[str, Any]) -> dict[str, Any]:
    return {**source, "secretName": source.get("name", "")}


def _of_ray_token(pod: Pod) -> Iterator[tuple[str, str, set[str]]]:
    """Yield the secret that KubeRay gives to every pod of a cluster with token authentication."""
    if pod.kind in {"RayCluster", "RayJob"}:
        spec = pod.owner["spec"]
        options = spec.get("rayClusterSpec", spec).get("authOptions", {})
        if options.get("secretName"):
            yield "Secret", options["secretName"], {"auth_token"}


def queues(manifests: Manifests) -> Iterator[str]:
    """Queues, their cluster queue and its flavours are defined; what is queued begins suspended."""
    for each in manifests.documents:
        queue = each["metadata"].get("labels", {}).get(_QUEUE)
        if queue is None:
            continue
        if manifests.named("LocalQueue", queue, namespace_of(each)) is None:
            yield f"{name_of(each)}: the queue {queue!r} is not defined"
        if each["kind"] in {"Job", "RayJob", "RayCluster"} and not each["spec"].get("suspend"):
            yield f"{name_of(each)}: is in a queue and does not begin suspended"
    for each in manifests.of_kind("LocalQueue"):
        wanted = each["spec"]["clusterQueue"]
        if manifests.named("ClusterQueue", wanted) is None:
            yield f"{name_of(each)}: the cluster queue {wanted!r} is not defined"
    for each in manifests.of_kind("ClusterQueue"):
        flavors = [f["name"] for g in each["spec"]["resourceGroups"] for f in g["flavors"]]
        for name in flavors:
            if manifests.named("ResourceFlavor", name) is None:
                yield f"{name_of(each)}: the flavour {name!r} is not defined"


def addresses(manifests: Manifests) -> Iterator[str]:
    """Addresses in arguments and environments are those of services, at ports they have."""
    offered = {(s.namespace, s.name): {p["port"] for p in s.ports} for s in manifests.services}
    for pod in manifests.pods:
        for container in pod.containers:
            values = environment(manifests, pod, container).values()
            texts = [*container.get("command", ()), *container.get("args", ()), *values]
            for host, port in _ADDRESS.findall("\n".join(map(str, texts))):
                found = offered.get((pod.namespace, host))
                if found is None:
                    yield f"{pod}: {container['name']} calls {host!r}, no service here"
                elif int(port) not in found:
                    yield f"{pod}: {container['name']} calls {host}:{port}; it has {sorted(found)}"


def buckets(manifests: Manifests) -> Iterator[str]:
    """The output of a run lies in the bucket that the pods may write, and a store here makes it."""
    made = _made_buckets(manifests)
    for document in manifests.of_kind("ConfigMap"):
        named = document.get("data", {}).get("NUNATAK_BUCKET")
        if named and made and named not in made:
            yield f"{name_of(document)}: the bucket {named!r} is made by no store; one makes {made}"
    for pod in manifests.pods:
        for container in pod.containers:
            own = environment(manifests, pod, container).get("NUNATAK_BUCKET", "")
            for output in _outputs(manifests, pod, container):
                bucket = _BUCKET.match(output.replace("${NUNATAK_BUCKET}", own))
                if bucket is None:
                    yield f"{pod}: the run writes to {output!r}, which ends with the pod"
                elif bucket[1] != own:
                    yield f"{pod}: the run writes to {bucket[1]!r}, and its role to {own!r}"


def _made_buckets(manifests: Manifests) -> list[str]:
    texts = [str(a) for p in manifests.pods for c in p.containers for a in c.get("args", ())]
    return [text.partition("=")[2] for text in texts if text.startswith("-bucket=")]


def _outputs(manifests: Manifests, pod: Pod, container: Mapping[str, Any]) -> Iterator[str]:
    mounted = {each["name"] for each in container.get("volumeMounts", ())}
    for volume in pod.spec.get("volumes", ()):
        if volume["name"] in mounted and "configMap" in volume:
            name = volume["configMap"]["name"]
            document = manifests.named("ConfigMap", name, pod.namespace) or {}
            text = document.get("data", {}).get("run.yaml")
            if text is not None:
                yield str(yaml.safe_load(text).get("output"))


RULES = (unique, namespaces, accounts, sources, queues, addresses, buckets)
