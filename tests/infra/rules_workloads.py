"""Rules about what keeps pods running and who reaches them."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.infra.manifest_model import Document, Manifests, Pod, name_of, namespace_of, selects

# Ports behind which somebody's code would be run; nobody outside the namespace has business there,
# but for the two operators, which ask over HTTP.
_GUARDED = {8786: "Dask's scheduler", 6379: "Ray's head", 10001: "Ray's client server"}
# The Dask operator asks a scheduler over HTTP, by a route that others have switched off.
_OF_THE_OPERATOR = ("DaskCluster", "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES")
_COMPONENT = "app.kubernetes.io/component"
_NAMESPACE = "kubernetes.io/metadata.name"


def restarts(manifests: Manifests) -> Iterator[str]:
    """A Job's pods end, a Deployment's are always started again."""
    for pod in manifests.pods:
        policy = pod.spec.get("restartPolicy", "Always")
        allowed = {"Job": {"Never", "OnFailure"}, "Deployment": {"Always"}}.get(pod.kind)
        if pod.kind == "Job" and "podFailurePolicy" in pod.owner["spec"]:
            allowed = {"Never"}
        if allowed is not None and policy not in allowed:
            yield f"{pod}: restartPolicy is {policy}; expected {' or '.join(sorted(allowed))}"


def failures(manifests: Manifests) -> Iterator[str]:
    """A Job counts failures, forgives what the cluster did to it, and names its own containers."""
    for job in manifests.of_kind("Job"):
        spec = job["spec"]
        if "backoffLimit" not in spec:
            yield f"{name_of(job)}: has no backoffLimit"
        rules = spec.get("podFailurePolicy", {}).get("rules", ())
        ignored = [r for r in rules if r["action"] == "Ignore"]
        conditions = [c for r in ignored for c in r.get("onPodConditions", ())]
        if not any(c["type"] == "DisruptionTarget" for c in conditions):
            yield f"{name_of(job)}: a preempted pod counts as a failure; ignore DisruptionTarget"
        if rules and spec.get("podReplacementPolicy", "Failed") != "Failed":
            yield f"{name_of(job)}: podReplacementPolicy must be Failed with a podFailurePolicy"
        names = {each["name"] for each in spec["template"]["spec"]["containers"]}
        for codes in (r["onExitCodes"] for r in rules if "onExitCodes" in r):
            named = codes.get("containerName")
            if named not in names:
                yield f"{name_of(job)}: its failure policy names {named!r}, no container of it"
            if codes["operator"] == "In" and 0 in codes["values"]:
                yield f"{name_of(job)}: 0 is no exit code of a failure"


def selectors(manifests: Manifests) -> Iterator[str]:
    """What a Deployment selects is its own template."""
    for pod in manifests.pods:
        if pod.kind in {"Deployment", "StatefulSet", "DaemonSet"}:
            selector = pod.owner["spec"].get("selector", {})
            if not selector or not selects(selector, pod.labels):
                yield f"{pod}: its selector {selector} does not take its own template's labels"
            others = [p for p in manifests.selected(selector, pod.namespace) if p is not pod]
            for other in others:
                yield f"{pod}: its selector takes the pods of {other} too"


def services(manifests: Manifests) -> Iterator[str]:
    """Behind each service is a pod, and behind each of its ports one of the pod's."""
    for service in manifests.services:
        found = [
            pod
            for pod in manifests.selected({"matchLabels": service.selector}, service.namespace)
            if service.selector
        ]
        if not found:
            yield f"Service/{service.name}: its selector {dict(service.selector)} finds no pods"
        for pod in found:
            for port in service.ports:
                target = port.get("targetPort", port["port"])
                if target not in pod.ports:
                    yield f"Service/{service.name}: {pod} has no port {target!r}"


def budgets(manifests: Manifests) -> Iterator[str]:
    """A disruption budget takes some pods; shares of them need an owner that says how many."""
    for budget in manifests.of_kind("PodDisruptionBudget"):
        spec = budget["spec"]
        found = manifests.selected(spec.get("selector", {}), namespace_of(budget))
        if not found:
            yield f"{name_of(budget)}: selects no pods"
        if ("minAvailable" in spec) == ("maxUnavailable" in spec):
            yield f"{name_of(budget)}: needs one of minAvailable and maxUnavailable"
        counted = not isinstance(spec.get("minAvailable"), int)
        for pod in found:
            if counted and pod.kind not in {"Deployment", "StatefulSet", "DaskCluster"}:
                yield f"{name_of(budget)}: {pod} has no scale; only a number of minAvailable works"


def policies(manifests: Manifests) -> Iterator[str]:
    """Network policies take pods, name ports that exist, and begin with denying everything."""
    listed = manifests.of_kind("NetworkPolicy")
    for namespace in {pod.namespace for pod in manifests.pods}:
        closed = [p for p in listed if namespace_of(p) == namespace and _denies_all(p["spec"])]
        if not closed:
            yield f"namespace {namespace}: no network policy denies what is not allowed"
    for policy in listed:
        namespace, spec = namespace_of(policy), policy["spec"]
        found = manifests.selected(spec["podSelector"], namespace)
        if not found:
            yield f"{name_of(policy)}: selects no pods"
        for rule in spec.get("ingress", ()):
            yield from _ports_of(policy, rule, found)
            yield from _peers_of(policy, rule.get("from", ()), manifests)
            yield from _guarded(policy, rule, found)
        for rule in spec.get("egress", ()):
            yield from _peers_of(policy, rule.get("to", ()), manifests)
            within = [p["podSelector"] for p in rule.get("to", ()) if "podSelector" in p]
            reached = [p for s in within for p in manifests.selected(s, namespace)]
            if within:
                yield from _ports_of(policy, rule, reached)


def _denies_all(spec: Mapping[str, Any]) -> bool:
    types = set(spec.get("policyTypes", ()))
    rules = spec.get("ingress") or spec.get("egress")
    return spec["podSelector"] == {} and types == {"Ingress", "Egress"} and not rules


def _ports_of(policy: Document, rule: Mapping[str, Any], found: list[Pod]) -> Iterator[str]:
    for port in rule.get("ports", ()):
        wanted = port["port"]
        span = range(wanted, port.get("endPort", wanted) + 1) if isinstance(wanted, int) else ()
        known = {name for pod in found for name in pod.ports}
        if wanted not in known and not known & set(span):
            yield f"{name_of(policy)}: none of its pods has the port {wanted!r}"


def _peers_of(policy: Document, peers: Any, manifests: Manifests) -> Iterator[str]:
    for peer in peers:
        within = "podSelector" in peer and "namespaceSelector" not in peer
        if within and not manifests.selected(peer["podSelector"], namespace_of(policy)):
            yield f"{name_of(policy)}: a peer of it selects no pods"


def _guarded(policy: Document, rule: Mapping[str, Any], found: list[Pod]) -> Iterator[str]:
    """Yield ways from outside the namespace to a port behind which code is run."""
    outside = [p for p in rule.get("from", [{}]) if "podSelector" not in p or len(p) > 1]
    if not outside:
        return
    for pod in found:
        opened = _opened(rule, pod)
        for port in sorted(opened & _GUARDED.keys() & set(pod.ports.values())):
            yield f"{name_of(policy)}: lets others than our pods reach {_GUARDED[port]} at {port}"


def _opened(rule: Mapping[str, Any], pod: Pod) -> set[int]:
    if "ports" not in rule:
        return set(pod.ports.values())
    opened: set[int] = set()
    for port in rule["ports"]:
        first = pod.ports.get(port["port"], port["port"])
        if isinstance(first, int):
            opened |= set(range(first, port.get("endPort", first) + 1))
    return opened


def ray(manifests: Manifests) -> Iterator[str]:
    """Ray demands its token, its head computes nothing, and each group's bounds are in order."""
    for document in manifests.of_kind("RayCluster", "RayJob"):
        spec = document["spec"]
        cluster = spec.get("rayClusterSpec", spec)
        if cluster.get("authOptions", {}).get("mode") != "token":
            yield f"{name_of(document)}: demands no token (authOptions)"
        if cluster.get("headGroupSpec", {}).get("rayStartParams", {}).get("num-cpus") != "0":
            yield f'{name_of(document)}: its head takes tasks; set num-cpus to "0"'
        for group in cluster.get("workerGroupSpecs", ()):
            bounds = [group.get(n, 0) for n in ("minReplicas", "replicas", "maxReplicas")]
            if bounds != sorted(bounds):
                yield f"{name_of(document)}: the group {group['groupName']} has bounds {bounds}"
        if document["kind"] == "RayJob" and not spec.get("shutdownAfterJobFinishes"):
            yield f"{name_of(document)}: its cluster would stay; set shutdownAfterJobFinishes"


def dask(manifests: Manifests) -> Iterator[str]:
    """An autoscaler has a cluster and bounds in order; the operator finds the ports it asks for."""
    for scaler in manifests.of_kind("DaskAutoscaler"):
        spec = scaler["spec"]
        if manifests.named("DaskCluster", spec["cluster"], namespace_of(scaler)) is None:
            yield f"{name_of(scaler)}: the cluster {spec['cluster']!r} is not defined"
        if not 0 <= spec["minimum"] <= spec["maximum"]:
            yield f"{name_of(scaler)}: bounds {spec['minimum']} and {spec['maximum']}"
    for cluster in manifests.of_kind("DaskCluster"):
        given = {p["name"] for p in cluster["spec"]["scheduler"]["service"]["ports"]}
        for name in sorted({"tcp-comm", "http-dashboard"} - given):
            yield f"{name_of(cluster)}: the operator looks for a port named {name!r}"
        containers = cluster["spec"]["worker"]["spec"].get("containers", [{}])
        if not any("$(DASK_WORKER_NAME)" in str(a) for a in containers[0].get("args", ())):
            yield f"{name_of(cluster)}: workers must be named $(DASK_WORKER_NAME) to be scaled down"


def engines(manifests: Manifests) -> Iterator[str]:
    """Schedulers and workers are told to expect machines that vanish, and to encrypt."""
    from cluster.certificates import environment as certificates
    from cluster.dask_cluster import spot_environment
    from cluster.settings import ClusterSettings
    from tests.infra.rules_pods import environment

    expected = {**spot_environment(ClusterSettings()), **certificates("/etc/nunatak/tls")}
    for pod in manifests.pods:
        if pod.labels.get(_COMPONENT) not in {"scheduler", "worker", "ray-head", "ray-worker"}:
            continue
        found = environment(manifests, pod, pod.containers[-1])
        for name, value in expected.items():
            if found.get(name) != value and (pod.kind, name) != _OF_THE_OPERATOR:
                yield f"{pod}: {name} is {found.get(name)!r}; expected {value!r}"


RULES = (
    restarts, failures, selectors, services, budgets, policies, ray, dask, engines,
)  # fmt: skip
