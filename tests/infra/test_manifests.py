"""Every overlay as it is rendered: its structure, the rules, and what it promises."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import kubernetes_manifests
from cluster.launch import Count, Size
from tests.infra import engines_environment
from tests.infra.manifest_model import Manifests
from tests.infra.manifest_rules import problems, schema_problems
from tests.infra.manifest_schemas import kuberay_schemas
from tests.infra.rendering import KUBERNETES, OVERLAYS, documents

CLOUDS = [name for name in OVERLAYS if not name.startswith("local")]
PARTS = {
    "local": {"driver", "scheduler", "worker", "object-store"},
    "local-ray": {"driver", "scheduler", "worker", "object-store", "ray-head", "ray-worker"},
    "aws": {"driver", "scheduler", "worker", "ray-head", "ray-worker"},
    "aws-dask-operator": {"driver", "scheduler", "worker", "ray-head", "ray-worker"},
    "aws-ray-job": {"ray-head", "ray-worker"},
    "gcp": {"driver", "scheduler", "worker", "ray-head", "ray-worker"},
}


def component(pod: Any) -> str:
    return str(pod.labels["app.kubernetes.io/component"])


def checkable(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out KubeRay's kinds where its CRDs are not."""
    kuberay = kuberay_schemas().is_dir()
    return [each for each in listed if kuberay or not each["apiVersion"].startswith("ray.io/")]


def test_every_folder_of_overlays_is_known_here():
    assert set(OVERLAYS) == set(PARTS)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_keeps_every_rule(overlay: str):
    assert problems(documents(overlay)) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_has_the_structure_of_its_kinds(overlay: str):
    assert schema_problems(checkable(documents(overlay))) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_has_the_parts_it_promises(overlay: str):
    assert {component(pod) for pod in Manifests.of(documents(overlay)).pods} == PARTS[overlay]


def test_rays_kinds_are_checked_against_their_definitions():
    if not kuberay_schemas().is_dir():
        pytest.skip(f"the CRDs of KubeRay are not at {kuberay_schemas()}; set NUNATAK_SCHEMAS")
    listed = [each for each in documents("aws") if each["kind"] == "RayCluster"]
    listed[0]["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    listed[0]["spec"]["workerGroupSpecs"][0]["maxReplica"] = 3
    said = "\n".join(schema_problems(listed))
    assert "imagee" in said
    assert "maxReplica" in said


def test_dasks_kinds_are_checked_against_their_definitions():
    listed = [each for each in documents("aws-dask-operator") if each["kind"] == "DaskCluster"]
    listed[0]["spec"]["worker"]["spec"]["containers"][0]["env"] = None
    listed[0]["spec"]["idleTimeouts"] = 3
    said = "\n".join(schema_problems(listed))
    assert "env" in said
    assert "idleTimeouts" in said


def test_kinds_of_kubernetes_are_checked_strictly():
    listed = [each for each in documents("local") if each["kind"] == "Job"]
    listed[0]["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    assert any("imagee" in said for said in schema_problems(listed))


def test_engines_are_told_exactly_what_a_cluster_of_ours_would_set():
    assert engines_environment.written() == engines_environment.expected(), (
        "run `python -m tests.infra.engines_environment`"
    )


@pytest.mark.parametrize("overlay", CLOUDS)
def test_in_a_cloud_workers_are_on_spot_nodes_and_the_rest_is_not(overlay: str):
    for pod in Manifests.of(documents(overlay)).pods:
        chosen = _node(pod.spec)
        expected = {"worker": {"spot"}, "ray-worker": {"spot", "gpu"}}
        assert chosen in expected.get(component(pod), {"on-demand"}), str(pod)
        tolerated = {each["value"] for each in pod.spec.get("tolerations", ()) if "value" in each}
        assert tolerated == {chosen} - {"on-demand"}, str(pod)


def _node(spec: dict[str, Any]) -> str:
    """Return the kind of node that a pod demands."""
    if "nodeSelector" in spec:
        return str(spec["nodeSelector"]["nunatak.node"])
    demanded = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    expression = demanded["nodeSelectorTerms"][0]["matchExpressions"][0]
    assert expression["key"] == "nunatak.node"
    return str(expression["values"][0])


@pytest.mark.parametrize("overlay", CLOUDS)
def test_in_a_cloud_pods_reach_the_bucket_by_a_role_and_no_key(overlay: str):
    manifests = Manifests.of(documents(overlay))
    for pod in manifests.pods:
        if component(pod) == "scheduler":
            continue
        account = manifests.named("ServiceAccount", pod.spec["serviceAccountName"])
        noted = (account or {})["metadata"].get("annotations", {})
        own = {each["name"] for each in pod.containers[0].get("env", ())}
        assert "eks.amazonaws.com/role-arn" in noted or "AWS_ROLE_ARN" in own, str(pod)
        assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & own
    assert manifests.named("Secret", "nunatak-store") is None


def test_the_driver_is_never_tried_again_for_what_trying_does_not_help():
    """3: some keys failed (docs/contracts.md). 2 may be a store or workers that were away."""
    (job,) = [each for each in documents("aws") if each["kind"] == "Job"]
    rules = job["spec"]["podFailurePolicy"]["rules"]
    ends = [r["onExitCodes"]["values"] for r in rules if r["action"] == "FailJob"]
    assert ends == [[3]]
    assert rules[0] == {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }


def test_no_file_names_a_secret_and_none_of_them_is_kept_by_git():
    assert (KUBERNETES / "overlays" / ".gitignore").read_text().split() == ["secrets/"]
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            kind = document.get("kind") if isinstance(document, dict) else ""
            assert kind != "Secret", f"{path} holds a Secret"


def test_components_are_all_part_of_some_overlay():
    used = {
        Path(each).name
        for path in (KUBERNETES / "overlays").glob("*/kustomization.yaml")
        for each in yaml.safe_load(path.read_text()).get("components", ())
    }
    assert {each.name for each in (KUBERNETES / "components").iterdir()} <= used


LAUNCHED = [
    ("local", None), ("local-ray", None), ("local-ray", 0.0), ("aws", None), ("aws", 0.0),
    ("aws", 1.0), ("aws-dask-operator", 0.0), ("gcp", 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "gpus"), LAUNCHED)
def test_what_the_launcher_makes_of_an_overlay_keeps_the_rules_too(
    overlay: str, gpus: float | None
):
    listed = documents(overlay)
    (bucket,) = [
        d["data"]["NUNATAK_BUCKET"] for d in listed if "NUNATAK_BUCKET" in d.get("data", {})
    ]
    wishes = kubernetes_manifests.Wishes(
        name="months-7",
        run_file=f"product: gravimetry\noutput: s3://{bucket}/products/months\n",
        dask=Size(1, 3 * 2**30),
        dask_count=Count(7, 7),
        ray=None if gpus is None else Size(2, 6 * 2**30, gpus),
    )
    made = kubernetes_manifests.patched(listed, wishes)
    # Policies and budgets of a Ray that this run does without wait for one that has it.
    idle = gpus is None and any(each["kind"] == "RayCluster" for each in listed)
    left = ("selects no pods", "of its pods has the port") if idle else ()
    assert [said for said in problems(made) if not any(words in said for words in left)] == []
    assert schema_problems(checkable(made)) == []
