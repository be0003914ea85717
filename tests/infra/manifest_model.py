"""Rendered manifests as the rules ask about them: pods wherever they are written, and services.

Operators make pods and services too. What they make is told here once (a `DaskCluster` has a
scheduler and workers, a `RayCluster` a head and groups), so that a rule knows pods and no kinds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A template of pods: who makes it, what it is labelled, what it holds."""

    owner: Document
    part: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.owner["kind"])

    @property
    def namespace(self) -> str:
        return namespace_of(self.owner)

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec.get("containers", ())]

    @property
    def ports(self) -> dict[str | int, int]:
        """Return each port of the pod under its number and, where it has one, its name."""
        listed = [port for each in self.containers for port in each.get("ports", ())]
        numbers = {port["containerPort"]: port["containerPort"] for port in listed}
        return numbers | {p["name"]: p["containerPort"] for p in listed if "name" in p}

    def __str__(self) -> str:
        return f"{name_of(self.owner)}{'/' + self.part if self.part else ''}"


@dataclass(frozen=True)
class Service:
    """A name in the cluster's DNS, and the pods behind it."""

    name: str
    namespace: str
    selector: Mapping[str, str]
    ports: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Manifests:
    """All documents of one rendering."""

    documents: list[Document]
    pods: list[Pod] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)

    @classmethod
    def of(cls, documents: list[dict[str, Any]]) -> "Manifests":
        pods = [pod for each in documents for pod in _pods(each)]
        services = [found for each in documents for found in _services(each)]
        return cls(list(documents), pods, services)

    def of_kind(self, *kinds: str) -> list[Document]:
        return [each for each in self.documents if each["kind"] in kinds]

    def named(self, kind: str, name: str, namespace: str | None = None) -> Document | None:
        for each in self.of_kind(kind):
            same = namespace is None or namespace_of(each) == namespace
            if each["metadata"]["name"] == name and same:
                return each
        return None

    def selected(self, selector: Mapping[str, Any], namespace: str) -> list[Pod]:
        """Return the pods of a namespace that a label selector of policies and budgets takes."""
        return [p for p in self.pods if p.namespace == namespace and selects(selector, p.labels)]


def name_of(document: Document) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def namespace_of(document: Document) -> str:
    return str(document["metadata"].get("namespace", "default"))


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a selector with matchLabels and matchExpressions takes these labels."""
    exact = all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())
    return exact and all(_expressed(each, labels) for each in selector.get("matchExpressions", ()))


def _expressed(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    found = labels.get(expression["key"])
    answers = {
        "In": found in expression.get("values", ()),
        "NotIn": found not in expression.get("values", ()),
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }
    return answers[expression["operator"]]


def _pods(document: Document) -> Iterator[Pod]:
    kind, spec = document["kind"], document.get("spec", {})
    if kind in {"Deployment", "StatefulSet", "DaemonSet", "Job"}:
        yield _template(document, "", spec.get("template", {}), {})
    elif kind == "Pod":
        yield Pod(document, "", document["metadata"].get("labels", {}), spec)
    elif kind == "RayCluster":
        yield from _ray(document, spec)
    elif kind == "RayJob":
        yield from _ray(document, spec.get("rayClusterSpec", {}))
    elif kind == "DaskCluster":
        for part in ("scheduler", "worker"):
            yield _dask(document, part, spec.get(part, {}))


def _template(
    document: Document, part: str, template: Mapping[str, Any], more: Mapping[str, str]
) -> Pod:
    labels = {**template.get("metadata", {}).get("labels", {}), **more}
    return Pod(document, part, labels, template.get("spec", {}))


def _ray(document: Document, cluster: Mapping[str, Any]) -> Iterator[Pod]:
    head = cluster.get("headGroupSpec", {})
    yield _template(document, "head", head.get("template", {}), {"ray.io/node-type": "head"})
    for group in cluster.get("workerGroupSpecs", ()):
        made = {"ray.io/node-type": "worker", "ray.io/group": group["groupName"]}
        yield _template(document, group["groupName"], group.get("template", {}), made)


def _dask(document: Document, part: str, given: Mapping[str, Any]) -> Pod:
    made = {"dask.org/cluster-name": document["metadata"]["name"], "dask.org/component": part}
    return _template(document, part, given, made)


def _services(document: Document) -> Iterator[Service]:
    spec, namespace = document.get("spec", {}), namespace_of(document)
    name = document["metadata"]["name"]
    if document["kind"] == "Service":
        yield Service(name, namespace, spec.get("selector", {}), tuple(spec.get("ports", ())))
    elif document["kind"] == "DaskCluster":
        given = spec.get("scheduler", {}).get("service", {})
        ports = tuple(given.get("ports", ()))
        yield Service(f"{name}-scheduler", namespace, given.get("selector", {}), ports)
    elif document["kind"] in {"RayCluster", "RayJob"}:
        yield from _ray_service(document, namespace)


def _ray_service(document: Document, namespace: str) -> Iterator[Service]:
    """Yield the service of a head: its ports are those of the head's first container."""
    spec = document["spec"]
    head = spec.get("rayClusterSpec", spec).get("headGroupSpec", {})
    named = head.get("headService", {}).get("metadata", {}).get("name")
    first = (head.get("template", {}).get("spec", {}).get("containers") or [{}])[0]
    ports = tuple({"port": each["containerPort"]} for each in first.get("ports", ()))
    name = named or f"{document['metadata']['name']}-head-svc"
    yield Service(name, namespace, {"ray.io/node-type": "head"}, ports)
