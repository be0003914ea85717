"""Each rule against a manifest broken in the one way that it is for: no rule that cannot fail."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.manifest_rules import RULES, problems
from tests.infra.rendering import documents
from tests.infra.rules_pods import quantity

Documents = list[dict[str, Any]]
TMP = "/tmp"  # noqa: S108 - of a pod
AWS, LOCAL, OPERATOR, RAY_JOB = "aws", "local-ray", "aws-dask-operator", "aws-ray-job"


def one(listed: Documents, kind: str, name: str) -> dict[str, Any]:
    (found,) = [d for d in listed if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def job(listed: Documents) -> Any:
    return one(listed, "Job", "nunatak-driver")["spec"]


def driver(listed: Documents) -> Any:
    return job(listed)["template"]["spec"]


def worker(listed: Documents) -> Any:
    return one(listed, "Deployment", "nunatak-worker")["spec"]


def container(listed: Documents) -> Any:
    return worker(listed)["template"]["spec"]["containers"][0]


def scheduler(listed: Documents) -> Any:
    return one(listed, "Deployment", "nunatak-scheduler")["spec"]["template"]["spec"]


def ray(listed: Documents) -> Any:
    return one(listed, "RayCluster", "nunatak-ray")["spec"]


def policy(listed: Documents, name: str) -> Any:
    return one(listed, "NetworkPolicy", name)["spec"]


def without(listed: Documents, kind: str, name: str) -> None:
    listed.remove(one(listed, kind, name))


def data(listed: Documents, name: str) -> Any:
    return one(listed, "ConfigMap", name)["data"]


def open_to_the_namespace_of(name: str) -> Any:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


BROKEN: list[tuple[str, str, Callable[[Documents], Any], str]] = [
    ("images", AWS, lambda d: container(d).update(image="nunatak"), "expected a tag"),
    ("images", AWS, lambda d: container(d).update(image="a/b:latest"), "other than latest"),
    ("images", AWS, lambda d: container(d).pop("image"), "expected a tag"),
    ("images", AWS, lambda d: container(d).update(image="a/nunatakk:1"), "infra/images builds"),
    (
        "ports",
        AWS,
        lambda d: scheduler(d)["containers"][0]["livenessProbe"]["httpGet"].update(port="web"),
        "livenessProbe of scheduler asks at 'web'",
    ),
    ("ports", AWS, lambda d: container(d)["ports"].append({"name": "http", "containerPort": 1}),
     "two ports of the same name"),
    ("volumes", AWS, lambda d: container(d)["volumeMounts"][0].update(name="disk"), "no volume"),
    ("volumes", AWS, lambda d: container(d)["volumeMounts"].pop(1), "mounted nowhere"),
    ("volumes", AWS, lambda d: container(d)["volumeMounts"][1].update(mountPath=TMP),
     "two volumes at one path"),
    ("resources", AWS, lambda d: container(d)["resources"]["requests"].update(memory="9Gi"),
     "more than its limit 4Gi"),
    ("resources", AWS, lambda d: container(d)["resources"]["requests"].pop("cpu"), "for no cpu"),
    ("resources", AWS, lambda d: container(d)["resources"]["limits"].pop("memory"), "no limit of"),
    ("resources", AWS, lambda d: container(d)["resources"]["requests"].update({"a.b/gpu": "1"}),
     "must limit a.b/gpu"),
    ("security", AWS, lambda d: container(d)["securityContext"].update(
        readOnlyRootFilesystem=False), "readOnlyRootFilesystem is False"),
    ("security", AWS, lambda d: container(d)["securityContext"]["capabilities"].update(
        add=["NET_ADMIN"]), "capabilities is"),
    ("security", AWS, lambda d: container(d)["securityContext"].update(privileged=True),
     "privileged is set"),
    ("security", AWS, lambda d: driver(d)["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
    ("security", AWS, lambda d: driver(d)["securityContext"].update(runAsUser=0), "runAsUser"),
    ("security", AWS, lambda d: driver(d).update(hostNetwork=True), "hostNetwork is set"),
    ("security", AWS, lambda d: driver(d).pop("automountServiceAccountToken"), "automount"),
    ("security", AWS, lambda d: driver(d)["volumes"][0].update(hostPath={"path": "/"}),
     "a path of its node"),
    ("security", AWS, lambda d: container(d)["volumeMounts"][0].update(mountPath="/scratch"),
     "nothing mounted at /tmp"),
    ("arguments", AWS, lambda d: container(d)["args"].append("$(NOWHERE)"), "$(NOWHERE)"),
    ("plain_secrets", AWS, lambda d: container(d)["env"].append(
        {"name": "AWS_SECRET_ACCESS_KEY", "value": "open"}), "belongs into a Secret"),
    ("plain_secrets", AWS, lambda d: container(d)["env"].append(
        {"name": "STORE", "value": "https://" + "me:word" + "@host/"}), "belongs into a Secret"),
    ("plain_secrets", AWS, lambda d: container(d)["args"].append("--key=AKIA" + 16 * "A"),
     "looks like a secret"),
    ("plain_secrets", AWS, lambda d: data(d, "nunatak-store").update({"RAY_AUTH_TOKEN": "abc"}),
     "belongs into a Secret"),
    ("unique", AWS, lambda d: d.append(d[0]), "is there twice"),
    ("namespaces", AWS, lambda d: one(d, "LocalQueue", "nunatak")["metadata"].update(
        namespace="elsewhere"), "the namespace 'elsewhere'"),
    ("accounts", AWS, lambda d: without(d, "ServiceAccount", "nunatak-driver"),
     "the service account 'nunatak-driver'"),
    ("accounts", AWS, lambda d: driver(d).update(priorityClassName="urgent"), "class 'urgent'"),
    ("sources", AWS, lambda d: without(d, "Secret", "nunatak-tls"), "Secret 'nunatak-tls'"),
    ("sources", AWS, lambda d: without(d, "ConfigMap", "nunatak-run"), "ConfigMap 'nunatak-run'"),
    ("sources", LOCAL, lambda d: without(d, "PersistentVolumeClaim", "nunatak-store"),
     "PersistentVolumeClaim 'nunatak-store'"),
    ("sources", AWS, lambda d: one(d, "Secret", "nunatak-ray-token")["data"].pop("auth_token"),
     "no key 'auth_token'"),
    ("sources", "gcp", lambda d: data(d, "nunatak-roles").pop("driver"), "no key 'driver'"),
    ("queues", AWS, lambda d: without(d, "LocalQueue", "nunatak"), "the queue 'nunatak'"),
    ("queues", AWS, lambda d: without(d, "ClusterQueue", "nunatak"), "the cluster queue"),
    ("queues", AWS, lambda d: without(d, "ResourceFlavor", "nunatak-spot"), "the flavour"),
    ("queues", AWS, lambda d: job(d).pop("suspend"), "does not begin suspended"),
    ("addresses", AWS, lambda d: without(d, "Service", "nunatak-scheduler"), "no service here"),
    ("addresses", AWS, lambda d: container(d)["args"].append("tls://nunatak-scheduler:9999"),
     "nunatak-scheduler:9999; it has"),
    ("addresses", LOCAL, lambda d: data(d, "nunatak-store").update(
        AWS_ENDPOINT_URL="http://store:8333"), "calls 'store'"),
    ("buckets", AWS, lambda d: data(d, "nunatak-run").update({"run.yaml": "output: s3://b/c"}),
     "the run writes to 'b'"),
    ("buckets", AWS, lambda d: data(d, "nunatak-run").update({"run.yaml": "output: ./out"}),
     "ends with the pod"),
    ("buckets", LOCAL, lambda d: data(d, "nunatak-store").update(NUNATAK_BUCKET="other"),
     "made by no store"),
    ("restarts", AWS, lambda d: driver(d).update(restartPolicy="OnFailure"), "expected Never"),
    ("restarts", AWS, lambda d: driver(d).pop("restartPolicy"), "is Always; expected Never"),
    ("restarts", AWS, lambda d: scheduler(d).update(restartPolicy="Never"), "expected Always"),
    ("failures", AWS, lambda d: job(d).pop("backoffLimit"), "no backoffLimit"),
    ("failures", AWS, lambda d: job(d)["podFailurePolicy"]["rules"].pop(0), "DisruptionTarget"),
    ("failures", AWS, lambda d: driver(d)["containers"][0].update(name="main"), "'driver'"),
    ("failures", AWS, lambda d: job(d).update(podReplacementPolicy="TerminatingOrFailed"),
     "must be Failed"),
    ("failures", AWS, lambda d: job(d)["podFailurePolicy"]["rules"][1]["onExitCodes"].update(
        values=[0, 2]), "0 is no exit code"),
    ("selectors", AWS, lambda d: worker(d)["selector"]["matchLabels"].update(app="x"),
     "does not take its own"),
    ("selectors", AWS, lambda d: worker(d)["selector"].update(
        matchLabels={"app.kubernetes.io/name": "nunatak"}), "too"),
    ("services", AWS, lambda d: one(d, "Service", "nunatak-scheduler")["spec"]["selector"].update(
        app="x"), "finds no pods"),
    ("services", AWS, lambda d: one(d, "Service", "nunatak-scheduler")["spec"]["ports"][0].update(
        targetPort="web"), "has no port 'web'"),
    ("services", OPERATOR, lambda d: one(d, "DaskCluster", "nunatak")["spec"]["scheduler"][
        "service"]["selector"].update({"dask.org/cluster-name": "x"}), "finds no pods"),
    ("budgets", AWS, lambda d: one(d, "PodDisruptionBudget", "nunatak-worker")["spec"][
        "selector"]["matchLabels"].update(app="x"), "selects no pods"),
    ("budgets", AWS, lambda d: one(d, "PodDisruptionBudget", "nunatak-worker")["spec"].update(
        minAvailable=1), "needs one of"),
    ("budgets", AWS, lambda d: one(d, "PodDisruptionBudget", "nunatak-ray-head")["spec"].update(
        minAvailable="50%"), "has no scale"),
    ("policies", AWS, lambda d: without(d, "NetworkPolicy", "nunatak-default-deny"),
     "no network policy denies"),
    ("policies", AWS, lambda d: policy(d, "nunatak-worker")["podSelector"]["matchLabels"].update(
        app="x"), "selects no pods"),
    ("policies", AWS, lambda d: policy(d, "nunatak-ray-client")["ingress"][0]["ports"][0].update(
        port="web"), "has the port 'web'"),
    ("policies", AWS, lambda d: policy(d, "nunatak-driver-to-dask")["egress"][0]["ports"][0].update(
        port=9999), "has the port 9999"),
    ("policies", AWS, lambda d: policy(d, "nunatak-worker")["ingress"][0]["from"][0].update(
        podSelector={"matchLabels": {"app": "x"}}), "a peer of it selects no pods"),
    ("policies", AWS, lambda d: policy(d, "nunatak-scheduler")["ingress"][0].pop("from"),
     "reach Dask's scheduler at 8786"),
    ("policies", AWS, lambda d: policy(d, "nunatak-ray-client")["ingress"][0].update(
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}), "reach Ray's client server at 10001"),
    ("policies", AWS, lambda d: policy(d, "nunatak-ray")["ingress"][1].pop("ports"),
     "reach Ray's head at 6379"),
    ("policies", AWS, lambda d: policy(d, "nunatak-scheduler")["ingress"][0]["from"].append(
        open_to_the_namespace_of("monitoring")), "reach Dask's scheduler at 8786"),
    ("ray", AWS, lambda d: ray(d).pop("authOptions"), "demands no token"),
    ("ray", AWS, lambda d: ray(d)["headGroupSpec"]["rayStartParams"].pop("num-cpus"),
     "takes tasks"),
    ("ray", AWS, lambda d: ray(d)["workerGroupSpecs"][0].update(maxReplicas=1), "has bounds"),
    ("ray", RAY_JOB, lambda d: one(d, "RayJob", "nunatak")["spec"].pop("shutdownAfterJobFinishes"),
     "its cluster would stay"),
    ("dask", OPERATOR, lambda d: one(d, "DaskAutoscaler", "nunatak")["spec"].update(cluster="x"),
     "the cluster 'x' is not defined"),
    ("dask", OPERATOR, lambda d: one(d, "DaskAutoscaler", "nunatak")["spec"].update(minimum=200),
     "bounds 200 and 100"),
    ("dask", OPERATOR, lambda d: one(d, "DaskCluster", "nunatak")["spec"]["scheduler"]["service"][
        "ports"][1].update(name="http"), "a port named 'http-dashboard'"),
    ("dask", OPERATOR, lambda d: one(d, "DaskCluster", "nunatak")["spec"]["worker"]["spec"][
        "containers"][0]["args"].pop(3), "must be named"),
    ("engines", AWS, lambda d: data(d, "nunatak-engines").update(OMP_NUM_THREADS="2"),
     "OMP_NUM_THREADS is '2'"),
    ("engines", AWS, lambda d: container(d)["envFrom"].pop(0), "REQUIRE_ENCRYPTION is None"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("overlay", "breaks", "words"),
    [case[1:] for case in BROKEN],
    ids=[f"{case[0]}: {case[3]}" for case in BROKEN],
)
def test_a_broken_manifest_is_told_in_words(
    overlay: str, breaks: Callable[[Documents], Any], words: str
):
    listed = documents(overlay)
    breaks(listed)
    found = problems(listed)
    assert any(words in said for said in found), found


def test_every_rule_is_broken_here():
    assert {case[0] for case in BROKEN} == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    ("text", "expected"), [("250m", 0.25), ("4Gi", 2**32), ("2k", 2000), (3, 3), ("0.5", 0.5)]
)
def test_quantities_are_those_of_kubernetes(text: Any, expected: float):
    assert float(quantity(text)) == expected


def test_what_is_no_quantity_is_refused():
    with pytest.raises(ValueError, match="'4 GB' is no quantity"):
        quantity("4 GB")
