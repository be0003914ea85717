"""A run on Kubernetes: what is created for it, how it is followed, resumed and ended."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import following, kubernetes_launch, kubernetes_manifests
from cluster.kubernetes_manifests import Document, Wishes
from cluster.launch import Count, LaunchError, Size
from tests.fixtures import kube_api
from tests.fixtures.kube_api import KubeApi
from tests.infra import manifest_rules

GIB = 2**30
RUN = "gravimetry-0123abcd"
TEXT = "product: gravimetry\n"
SECRETS = ("ca.crt", "tls.crt", "tls.key", "ray-token")
OVERLAYS = kubernetes_manifests._OVERLAYS


@pytest.fixture
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    with kube_api.started() as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path)))
        yield api


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the overlays with something in the place of certificates."""
    home = tmp_path_factory.mktemp("infra") / "kubernetes"
    shutil.copytree(OVERLAYS.parent, home, ignore=shutil.ignore_patterns("secrets"))
    for overlay in (home / "overlays").iterdir():
        folder = overlay / "secrets"
        if overlay.is_dir():
            folder.mkdir()
            for name in SECRETS:
                (folder / name).write_text(f"content of {name}")
            (folder / "store.env").write_text("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n")
    return home / "overlays"


@pytest.fixture(scope="module")
def local(overlays: Path) -> list[Document]:
    return kubernetes_manifests.rendered(overlays / "local")


def wishes(**changes: Any) -> Wishes:
    given: dict[str, Any] = {
        "name": RUN,
        "run_file": TEXT,
        "dask": Size(1.0, 3 * GIB),
        "dask_count": Count(6, 6),
    }
    return Wishes(**{**given, **changes})


def bucket_of(documents: list[Document]) -> str:
    return str(one(documents, "ConfigMap", "nunatak-store")["data"]["NUNATAK_BUCKET"])


def one(documents: list[Document], kind: str, name: str) -> Document:
    found = [e for e in documents if (e["kind"], e["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1
    return found[0]


def test_the_run_is_patched_into_the_overlay(local: list[Document]) -> None:
    made = kubernetes_manifests.patched(
        local, wishes(arguments=("--fresh",), image="registry/nunatak@sha256:abc", namespace="mine")
    )

    driver = one(made, "Job", "nunatak-driver")["spec"]["template"]["spec"]["containers"][0]
    worker = one(made, "Deployment", "nunatak-worker")
    held = worker["spec"]["template"]["spec"]["containers"][0]
    assert driver["args"][:3] == ["run", "/etc/nunatak/run/run.yaml", "--scheduler"]
    assert driver["args"][-1] == "--fresh"
    assert worker["spec"]["replicas"] == 6
    assert held["resources"]["requests"]["memory"] == held["resources"]["limits"]["memory"]
    assert held["resources"]["limits"]["memory"] == "3072Mi"
    assert driver["image"] == held["image"] == "registry/nunatak@sha256:abc"
    assert one(made, "ConfigMap", "nunatak-run")["data"] == {"run.yaml": TEXT}
    assert one(made, "Namespace", "mine")
    assert {each["metadata"].get("namespace", "mine") for each in made} == {"mine"}
    # The store and its disk outlive the run; what computes does not.
    assert {each["metadata"]["name"] for each in made if kubernetes_manifests.is_of_run(each)} == {
        "nunatak-run", "nunatak-driver", "nunatak-scheduler", "nunatak-worker",
    }  # fmt: skip


def test_what_was_rendered_stays_as_it_was(local: list[Document]) -> None:
    before = kubernetes_manifests.shown(local)
    kubernetes_manifests.patched(local, wishes())

    assert kubernetes_manifests.shown(local) == before


def test_a_dry_run_prints_no_secret(local: list[Document]) -> None:
    text = kubernetes_manifests.shown(local)

    assert "kind: Secret" in text
    assert "tls.key: '***'" in text
    assert "Y29udGVudCBvZi" not in text  # what they hold, in base 64


def test_the_pods_are_counted_as_the_manifests_ask(local: list[Document]) -> None:
    pieces = {p.name: p for p in kubernetes_manifests.pieces(_patched(local))}

    assert pieces["Dask worker"].count == Count(6, 6)
    assert pieces["Dask worker"].size == Size(1.0, 3 * GIB)
    assert pieces["Dask scheduler"].count == pieces["driver"].count == Count(1, 1)
    assert "Ray head" not in pieces


def test_workers_that_do_not_wait_for_the_queue_are_said(
    overlays: Path, local: list[Document]
) -> None:
    (said,) = kubernetes_launch.notes(_patched(kubernetes_manifests.rendered(overlays / "aws")))

    assert "are paid while it waits" in said
    assert kubernetes_launch.notes(_patched(local)) == ()


def _patched(documents: list[Document], **changes: Any) -> list[Document]:
    return kubernetes_manifests.patched(documents, wishes(**changes))


def test_networks_get_ray_nodes_with_gpus(overlays: Path) -> None:
    documents = kubernetes_manifests.rendered(overlays / "aws")
    made = _patched(documents, ray=Size(4.0, 16 * GIB, 1), ray_count=Count(0, 8))

    (group,) = one(made, "RayCluster", "nunatak-ray")["spec"]["workerGroupSpecs"]
    resources = group["template"]["spec"]["containers"][0]["resources"]
    driver = one(made, "Job", "nunatak-driver")["spec"]["template"]["spec"]["containers"][0]
    pieces = {p.name: p for p in kubernetes_manifests.pieces(made)}
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (0, 0, 8)
    assert resources["limits"] | {"nvidia.com/gpu": "1", "memory": "16384Mi"} == resources["limits"]
    assert driver["args"][-2:] == ["--ray", "ray://nunatak-ray-head:10001"]
    assert pieces["Ray node"].count == Count(0, 8)
    assert pieces["Ray node"].size.gpus == 1


def test_the_operator_scales_between_two_bounds(overlays: Path) -> None:
    documents = kubernetes_manifests.rendered(overlays / "aws-dask-operator")
    made = _patched(documents, dask_count=Count(2, 40))

    scaler = one(made, "DaskAutoscaler", "nunatak")
    worker = one(made, "DaskCluster", "nunatak")["spec"]["worker"]
    pieces = {p.name: p for p in kubernetes_manifests.pieces(made)}
    assert (scaler["spec"]["minimum"], scaler["spec"]["maximum"]) == (2, 40)
    assert worker["replicas"] == 2
    assert worker["metadata"]["labels"]["nunatak.run"] == RUN
    assert worker["spec"]["containers"][0]["resources"]["limits"]["memory"] == "3072Mi"
    assert pieces["Dask worker"].count == Count(2, 40)


@pytest.mark.parametrize(
    ("overlay", "changes"),
    [
        ("local", {}),
        ("local-ray", {"ray": Size(1.0, 2 * GIB), "namespace": "mine"}),
        ("aws", {"ray": Size(4.0, 16 * GIB, 1), "image": "registry/nunatak:1"}),
        ("aws-dask-operator", {"dask_count": Count(2, 40)}),
        ("gcp", {"arguments": ("--fresh",)}),
    ],
)
def test_what_is_patched_keeps_the_rules_of_a_server(
    overlays: Path, overlay: str, changes: dict[str, Any]
) -> None:
    documents = kubernetes_manifests.rendered(overlays / overlay)
    made = _patched(documents, run_file=f"output: s3://{bucket_of(documents)}/out\n", **changes)

    assert manifest_rules.problems(made) == []
    assert manifest_rules.schema_problems(made) == []


def test_what_an_overlay_lacks_is_said(local: list[Document], tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="no RayCluster; choose one that has"):
        _patched(local, ray=Size(1.0, GIB))
    with pytest.raises(LaunchError, match=r"2\.\.40 needs the Dask operator"):
        _patched(local, dask_count=Count(2, 40))
    with pytest.raises(LaunchError, match=r"expected one of .*local"):
        kubernetes_manifests.overlay_folder("lokal")
    with pytest.raises(LaunchError, match=r"writes to the bucket ice, .*NUNATAK_BUCKET"):
        _patched(local, run_file="output: s3://ice/out\n")
    (tmp_path / "kustomization.yaml").write_text("resources: [secrets/none.yaml]\n")
    with pytest.raises(LaunchError, match="nunatak certificates"):
        kubernetes_manifests.rendered(tmp_path)


def test_a_run_is_created_followed_and_ended(kube: KubeApi, local: list[Document]) -> None:
    made = _patched(local)
    created = kubernetes_launch.create(made, RUN)

    assert created == kubernetes_launch.Created(resumed=False, objects=len(made))
    uid = kube.of("jobs")["nunatak-driver"]["metadata"]["uid"]
    owners = kube.of("deployments")["nunatak-worker"]["metadata"]["ownerReferences"]
    assert [each["uid"] for each in owners] == [uid]
    assert "ownerReferences" not in kube.of("secrets")["nunatak-tls"]["metadata"]

    kube.run_driver("prepare: 1 of 47")
    said: list[str] = []
    ending = threading.Thread(target=_end_when_read, args=(kube, said))
    ending.start()
    status = kubernetes_launch.follow("nunatak", RUN, said.append)
    ending.join(10)

    assert status == 3
    assert said == ["prepare: 1 of 47", "65 done, 1 failed"]
    assert not {"nunatak-worker", "nunatak-scheduler"} & kube.of("deployments").keys()
    assert "nunatak-driver" in kube.of("jobs")  # its log may be read until it goes
    assert "nunatak-tls" in kube.of("secrets")


def _end_when_read(kube: KubeApi, said: list[str]) -> None:
    deadline = time.monotonic() + 20
    while not said and time.monotonic() < deadline:
        time.sleep(0.05)
    kube.end_driver(3, "65 done, 1 failed")


def test_the_same_command_looks_again_and_resumes(kube: KubeApi, local: list[Document]) -> None:
    made = _patched(local)
    kubernetes_launch.create(made, RUN)
    first = kube.of("jobs")["nunatak-driver"]["metadata"]["uid"]

    again = kubernetes_launch.create(made, RUN)
    assert again.resumed
    assert kube.of("jobs")["nunatak-driver"]["metadata"]["uid"] == first

    kube.run_driver()
    kube.end_driver(1)
    after = kubernetes_launch.create(made, RUN)
    assert not after.resumed
    assert kube.of("jobs")["nunatak-driver"]["metadata"]["uid"] != first
    assert kube.of("deployments").keys() >= {"nunatak-worker", "nunatak-scheduler"}


def test_a_launch_that_broke_off_is_completed(kube: KubeApi, local: list[Document]) -> None:
    made = _patched(local)
    kube.refused.add("deployments/nunatak-worker")
    with pytest.raises(LaunchError, match="deployments is forbidden"):
        kubernetes_launch.create(made, RUN)
    kube.refused.clear()
    uid = kube.of("jobs")["nunatak-driver"]["metadata"]["uid"]
    before = kube.of("deployments").keys()

    again = kubernetes_launch.create(made, RUN)

    found = kube.of("deployments")
    assert again.resumed
    assert again.objects == len(found.keys() - before) > 0
    assert found.keys() >= {"nunatak-worker", "nunatak-scheduler"}
    assert found["nunatak-worker"]["metadata"]["ownerReferences"][0]["uid"] == uid
    assert kube.of("jobs")["nunatak-driver"]["metadata"]["uid"] == uid
    assert kubernetes_launch.create(made, RUN).objects == 0


def test_pods_that_go_are_followed_by_the_next(
    kube: KubeApi, local: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_launch, "_LOOK_EVERY", 0.05)
    kubernetes_launch.create(_patched(local), RUN)
    kube.run_driver("prepare: 1 of 47")
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 1:
            kube.lose_pod()
            kube.run_driver("prepare: 2 of 47", name="nunatak-driver-2")
        else:
            kube.end_driver(3, name="nunatak-driver-2")

    assert kubernetes_launch.follow("nunatak", RUN, say) == 3
    assert said == ["prepare: 1 of 47", "prepare: 2 of 47"]


def test_a_connection_that_breaks_ends_nothing(
    kube: KubeApi, local: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_launch, "_LOOK_EVERY", 0.05)
    kubernetes_launch.create(_patched(local), RUN)
    kube.run_driver("one")
    kube.cut_logs, said = 2, []

    def say(line: str) -> None:
        said.append(line)
        if line == "one":
            kube.away = 3
            kube.end_driver(0, "two")

    assert kubernetes_launch.follow("nunatak", RUN, say) == 0
    assert said == ["one", "two"]
    assert kube.away == 0


def test_a_cluster_that_stays_away_is_given_up_as_resumable(
    kube: KubeApi, local: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_launch, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(following, "AWAY_WITHIN", 0.1)
    kubernetes_launch.create(_patched(local), RUN)
    kube.away = 10**9

    with pytest.raises(following.LostSightError, match=r"has not answered .*the run goes on") as it:
        kubernetes_launch.follow("nunatak", RUN, print)
    assert it.value.resumable


def test_a_driver_that_was_killed_may_be_resumed(kube: KubeApi, local: list[Document]) -> None:
    kubernetes_launch.create(_patched(local), RUN)
    kube.run_driver()
    kube.end_driver(137)

    assert kubernetes_launch.follow("nunatak", RUN, print) == 130


def test_a_namespace_holds_one_run_at_a_time(kube: KubeApi, local: list[Document]) -> None:
    kubernetes_launch.create(_patched(local), RUN)
    before = dict(kube.objects)

    with pytest.raises(LaunchError, match=rf"works on the run {RUN}; .*--namespace"):
        kubernetes_launch.create(_patched(local, name="other-1"), "other-1")
    with pytest.raises(LaunchError, match=f"has the run {RUN}, not other-1"):
        kubernetes_launch.stop("nunatak", "other-1")
    assert kube.objects == before


def test_stop_ends_the_run_and_nothing_else(kube: KubeApi, overlays: Path) -> None:
    documents = kubernetes_manifests.rendered(overlays / "aws-dask-operator")
    kubernetes_launch.create(_patched(documents, ray=Size(1.0, GIB)), RUN)
    assert kube.of("daskclusters")
    assert kube.of("daskautoscalers")
    assert kube.of("rayclusters")

    assert kubernetes_launch.stop("nunatak", RUN) > 0
    for kinds in ("jobs", "daskclusters", "daskautoscalers", "rayclusters"):
        assert not kube.of(kinds)
    assert "nunatak-run" not in kube.of("configmaps")
    assert kube.of("secrets").keys() >= {"nunatak-tls", "nunatak-ray-token"}
    assert kubernetes_launch.stop("nunatak", RUN) == 0


def test_refusals_of_the_cluster_are_words(kube: KubeApi, local: list[Document]) -> None:
    kube.refused.add("jobs")
    with pytest.raises(LaunchError, match="Kubernetes refused: jobs is forbidden"):
        kubernetes_launch.create(_patched(local), RUN)


def test_a_cluster_that_is_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = KubeApi(url="http://127.0.0.1:9")
    monkeypatch.setenv("KUBECONFIG", str(away.kubeconfig(tmp_path)))
    with pytest.raises(LaunchError, match=r"does not answer .* KUBECONFIG"):
        kubernetes_launch.stop("nunatak", RUN)
