"""Rules about what stands in one pod: ports, volumes, resources, security, environment."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.infra.manifest_model import Manifests, Pod

_SUFFIXES = {
    "m": Decimal("0.001"),
    **{s: Decimal(1000) ** n for n, s in enumerate(("", "k", "M", "G", "T", "P"))},
    **{s: Decimal(1024) ** n for n, s in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1)},
}
_QUANTITY = re.compile(r"([0-9.]+)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi|)")
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
# What an operator puts into the environment before a container starts.
_GIVEN = {"DaskCluster": {"DASK_WORKER_NAME", "DASK_SCHEDULER_ADDRESS"}}
_FIELD_OF_POD = (
    ("runAsNonRoot", True),
    ("seccompProfile", {"type": "RuntimeDefault"}),
)
_FIELD_OF_CONTAINER = (
    ("allowPrivilegeEscalation", False),
    ("readOnlyRootFilesystem", True),
    ("capabilities", {"drop": ["ALL"]}),
)
IMAGES = {"nunatak": "cpu", "nunatak-gpu": "gpu", "nunatak-store": "store"}
"""Names of images with the targets of infra/images/Dockerfile that they are built from."""
_SECRET_NAME = re.compile(
    r"(SECRET|PASSWORD|PASSWD|TOKEN|ACCESS_KEY|API_KEY|PRIVATE_KEY)", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{16}|-----BEGIN|\b[0-9a-f]{64}\b|://[^/\s:@]+:[^/\s:@]+@"
)


def quantity(text: Any) -> Decimal:
    """Return the number behind 500m, 4Gi or "2".

    >>> quantity("500m"), quantity("4Gi"), quantity(2)
    (Decimal('0.500'), Decimal('4294967296'), Decimal('2'))
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        msg = f"{text!r} is no quantity of Kubernetes"
        raise ValueError(msg)
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def images(manifests: Manifests) -> Iterator[str]:
    """Every image is one that is built here, with a tag or a digest, and none that moves."""
    for pod in manifests.pods:
        for container in pod.containers:
            image = str(container.get("image", ""))
            name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
            if name not in IMAGES:
                yield (
                    f"{pod}: the image of {container['name']} is {image!r}; expected one of "
                    f"{', '.join(IMAGES)}, which infra/images builds"
                )
            if "@sha256:" not in image and tag in {"", "latest"}:
                yield (
                    f"{pod}: the image of {container['name']} is {image!r}; expected a tag other "
                    "than latest, or a digest; set it under `images:` of the overlay"
                )


def ports(manifests: Manifests) -> Iterator[str]:
    """Probes ask at ports that the container has; names and numbers of ports are unique."""
    for pod in manifests.pods:
        for container in pod.containers:
            own = Pod(pod.owner, pod.part, pod.labels, {"containers": [container]}).ports
            listed = [p.get("name", p["containerPort"]) for p in container.get("ports", ())]
            if len(listed) != len(set(listed)):
                yield f"{pod}: {container['name']} has two ports of the same name"
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                check = container.get(probe, {})
                asked = (check.get("httpGet") or check.get("tcpSocket") or {}).get("port")
                if asked is not None and asked not in own:
                    yield f"{pod}: {probe} of {container['name']} asks at {asked!r}, no port of it"


def volumes(manifests: Manifests) -> Iterator[str]:
    """What is mounted is a volume of the pod, at a place of its own, and no volume is left over."""
    for pod in manifests.pods:
        known = [each["name"] for each in pod.spec.get("volumes", ())]
        used = set()
        for container in pod.containers:
            mounts = container.get("volumeMounts", ())
            places = [each["mountPath"] for each in mounts]
            used |= {each["name"] for each in mounts}
            if len(places) != len(set(places)):
                yield f"{pod}: {container['name']} mounts two volumes at one path"
            for each in mounts:
                if each["name"] not in known:
                    yield f"{pod}: {container['name']} mounts {each['name']!r}, no volume"
        if len(known) != len(set(known)):
            yield f"{pod}: two volumes have the same name"
        for name in sorted(set(known) - used):
            yield f"{pod}: the volume {name!r} is mounted nowhere"


def resources(manifests: Manifests) -> Iterator[str]:
    """Cores and memory are asked for, memory is limited, and no request exceeds its limit."""
    for pod in manifests.pods:
        for container in pod.containers:
            given = container.get("resources", {})
            asked, limit = given.get("requests", {}), given.get("limits", {})
            for name in {"cpu", "memory"} - asked.keys():
                yield f"{pod}: {container['name']} asks for no {name}"
            if "memory" not in limit:
                yield f"{pod}: {container['name']} has no limit of memory"
            for name in asked.keys() & limit.keys():
                if quantity(asked[name]) > quantity(limit[name]):
                    yield (
                        f"{pod}: {container['name']} asks for {asked[name]} of {name}, more than "
                        f"its limit {limit[name]}"
                    )
            for name in (n for n in asked if "/" in n and asked[n] != limit.get(n)):
                yield f"{pod}: {container['name']} must limit {name} to what it asks for"


def security(manifests: Manifests) -> Iterator[str]:
    """Pods meet the restricted standard, and have a root they cannot write and a /tmp they can."""
    for pod in manifests.pods:
        of_pod = pod.spec.get("securityContext", {})
        for name, expected in _FIELD_OF_POD:
            if of_pod.get(name) != expected:
                yield f"{pod}: securityContext.{name} is {of_pod.get(name)!r}, not {expected!r}"
        if not int(of_pod.get("runAsUser", 0)):
            yield f"{pod}: securityContext.runAsUser is no number above 0"
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod}: automountServiceAccountToken is not false, and no pod of ours needs it"
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(name):
                yield f"{pod}: {name} is set"
        if any("hostPath" in each for each in pod.spec.get("volumes", ())):
            yield f"{pod}: mounts a path of its node"
        for container in pod.containers:
            yield from _container_security(pod, container)


def _container_security(pod: Pod, container: Mapping[str, Any]) -> Iterator[str]:
    given = container.get("securityContext", {})
    for name, expected in _FIELD_OF_CONTAINER:
        if given.get(name) != expected:
            found = given.get(name)
            yield f"{pod}: {container['name']}: {name} is {found!r}, not {expected!r}"
    for name in ("privileged", "procMount"):
        if given.get(name):
            yield f"{pod}: {container['name']}: {name} is set"
    if "/tmp" not in {each["mountPath"] for each in container.get("volumeMounts", ())}:  # noqa: S108
        yield f"{pod}: {container['name']} has nothing mounted at /tmp, and its root is read-only"


def arguments(manifests: Manifests) -> Iterator[str]:
    """What an argument takes from the environment is there."""
    for pod in manifests.pods:
        for container in pod.containers:
            known = environment(manifests, pod, container).keys() | _GIVEN.get(pod.kind, set())
            for text in [*container.get("command", ()), *container.get("args", ())]:
                for name in _VARIABLE.findall(str(text)):
                    if name not in known:
                        yield f"{pod}: {container['name']}: nothing gives $({name}) a value"


def environment(manifests: Manifests, pod: Pod, container: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a container; what is only known when it runs is an empty text."""
    found: dict[str, str] = {}
    for each in container.get("envFrom", ()):
        kind = "ConfigMap" if "configMapRef" in each else "Secret"
        reference = each.get("configMapRef") or each.get("secretRef") or {}
        document = manifests.named(kind, reference.get("name", ""), pod.namespace)
        found |= dict((document or {}).get("data", {}))
    return found | {each["name"]: str(each.get("value", "")) for each in container.get("env", ())}


def plain_secrets(manifests: Manifests) -> Iterator[str]:
    """No secret stands in a manifest: neither in an environment nor in a ConfigMap."""
    for pod in manifests.pods:
        for container in pod.containers:
            for each in container.get("env", ()):
                if _is_secret(each["name"], str(each.get("value", ""))):
                    yield f"{pod}: {container['name']}: {each['name']} belongs into a Secret"
            written = [*container.get("command", ()), *container.get("args", ())]
            if _SECRET_VALUE.search("\n".join(map(str, written))):
                yield f"{pod}: {container['name']}: an argument holds what looks like a secret"
    for document in manifests.of_kind("ConfigMap"):
        for name, value in document.get("data", {}).items():
            if _is_secret(name, str(value)):
                yield f"ConfigMap/{document['metadata']['name']}: {name} belongs into a Secret"


def _is_secret(name: str, value: str) -> bool:
    if _SECRET_VALUE.search(value):
        return True
    return bool(value) and not value.startswith("/") and bool(_SECRET_NAME.search(name))


RULES = (images, ports, volumes, resources, security, arguments, plain_secrets)
