"""`nunatak run --on TARGET`: what is said before, what is refused, and how it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cluster import kubernetes_manifests
from cluster.gpu_pool import Needs
from cluster.ledger import Receipt
from pipelines import launch_settings, settings
from pipelines.commands import products
from pipelines.launch_settings import LaunchSettingsError
from pipelines.lifecycle import InputItem, Plan, Stage
from tests.fixtures import kube_api, slurm_here
from tests.fixtures.commands import last_line, nunatak
from tests.fixtures.kube_api import KubeApi

GIB = 2**30
FLOW = "tests_launched_flow"


def no_job(key: str, group: Any) -> Receipt:
    return Receipt(key, "done")


def plan_of(run: settings.Run, *, networks: bool = False) -> Plan:
    """Return a plan of 100 tasks of 10 minutes and 2 GiB, and of 10 tasks of actors."""
    keys = tuple(map(str, range(100)))
    stages = [Stage("fit", keys, no_job, 2 * GIB, 600.0, "months")]
    if networks:
        needs = Needs(cpus=2.0, gpus=0.5, label="segment")
        stages.append(Stage("segment", keys[:10], no_job, GIB, 60.0, "tiles", actors=needs))
    return Plan(
        product=run.product,
        output=run.output,
        run_id="ab" * 32,
        run_text=settings.resolved(run),
        description={},
        inputs=(InputItem("gravity", "one", "1220", 2**20, "/one"),),
        stages=tuple(stages),
        batch=1,
        template=print,
        tell=print,
        bytes_to_write=2**20,
    )


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A flow whose plans can be launched and never need an input."""
    module = SimpleNamespace(plan=plan_of)
    monkeypatch.setitem(sys.modules, FLOW, module)
    monkeypatch.setattr(products, "FLOWS", {"gravimetry": FLOW})
    return module


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    document = yaml.safe_load(settings.example("gravimetry"))
    document |= {"catalogue": "s3://nunatak/catalogue/catalog.json", "output": "s3://nunatak/out"}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """An overlay of our base, with something in the place of certificates."""
    base = kubernetes_manifests._OVERLAYS.parent
    folder = tmp_path / "overlay"
    (folder / "secrets").mkdir(parents=True)
    for name in ("ca.crt", "tls.crt", "tls.key", "ray-token"):
        (folder / "secrets" / name).write_text(f"content of {name}")
    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "namespace": "nunatak",
                "resources": [os.path.relpath(base / "base", folder)],
                "components": [
                    os.path.relpath(base / "components" / name, folder)
                    for name in ("dask-deployments", "ray-cluster", "ray-gpu")
                ],
                "generatorOptions": {"disableNameSuffixHash": True},
                "secretGenerator": [
                    {"name": "nunatak-tls", "files": ["secrets/tls.crt", "secrets/tls.key"]},
                    {"name": "nunatak-ray-token", "files": ["token=secrets/ray-token"]},
                ],
            }
        )
    )
    return folder


@pytest.fixture
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    with kube_api.started() as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path)))
        yield api


def on_kubernetes(run_file: Path, overlay: Path, *more: str) -> Any:
    return nunatak("run", run_file, "--on", "kubernetes", "--overlay", str(overlay), *more)


def test_a_dry_run_says_pods_time_and_cost_and_creates_nothing(
    flow: SimpleNamespace, run_file: Path, overlay: Path, kube: KubeApi
) -> None:
    result = on_kubernetes(run_file, overlay, "--workers", "20", "--dry-run", "--json")

    launch = last_line(result)["launch"]
    dask = next(each for each in launch["pieces"] if each["name"] == "Dask worker")
    assert result.exit_code == 0, result.output
    assert dask["most"] == 20
    # 2 GiB may be at most 0.7 of a worker.
    assert 2 * GIB / 0.7 <= dask["memory_bytes"] < 3.2 * GIB
    assert launch["expected_seconds"] == 5 * 600.0
    # 20 workers of one core, a scheduler and a driver of one core with 4 GiB.
    assert launch["dollars_an_hour"] == [1.056, 1.056]
    assert launch["dollars"] == pytest.approx(1.056 * 3000 / 3600, abs=1e-3)
    documents = list(yaml.safe_load_all(last_line(result)["manifest"]))
    (file,) = [each for each in documents if each["metadata"]["name"] == "nunatak-run"]
    assert yaml.safe_load(file["data"]["run.yaml"])["output"] == "s3://nunatak/out"
    assert "content of" not in result.output
    assert kube.asked == []


def test_networks_are_sized_and_priced_with_their_gpus(
    flow: SimpleNamespace, run_file: Path, overlay: Path
) -> None:
    flow.plan = lambda run: plan_of(run, networks=True)

    result = on_kubernetes(run_file, overlay, "--ray-workers", "0..4", "--dry-run", "--json")

    launch = last_line(result)["launch"]
    node = next(each for each in launch["pieces"] if each["name"] == "Ray node")
    least, most = launch["dollars_an_hour"]
    assert (node["least"], node["most"], node["cores"], node["gpus"]) == (0, 4, 2.0, 1.0)
    assert most - least == pytest.approx(4 * (2 * 0.048 + 0.61))
    assert launch["expected_seconds"] == 25 * 600.0 + 3 * 60.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("output=/data/out", "output: /data/out"),
        ("catalogue=http://127.0.0.1:8080", "catalogue: http://127.0.0.1:8080"),
    ],
)
def test_what_pods_cannot_see_is_refused_before_anything_is_created(
    flow: SimpleNamespace, run_file: Path, overlay: Path, kube: KubeApi, change: str, named: str
) -> None:
    result = on_kubernetes(run_file, overlay, "--set", change)

    assert result.exit_code == 2
    assert f"pods cannot see what is on this machine: {named}" in result.stderr
    assert kube.asked == []


def test_the_driver_is_followed_and_its_status_is_ours(
    flow: SimpleNamespace, run_file: Path, overlay: Path, kube: KubeApi
) -> None:
    def work() -> None:
        wait_for(lambda: "nunatak-driver" in kube.of("jobs"))
        kube.run_driver("fit: 1 of 100", "using AWS_SECRET_ACCESS_KEY=abcdefgh")
        kube.end_driver(3, "99 done, 1 failed")

    working = threading.Thread(target=work)
    working.start()
    result = on_kubernetes(run_file, overlay, "--json")
    working.join(20)

    assert result.exit_code == 3, result.output
    assert "fit: 1 of 100\n" in result.stderr
    assert "99 done, 1 failed\n" in result.stderr
    assert "abcdefgh" not in result.output
    name = last_line(result)["run"]
    job = kube.of("jobs")["nunatak-driver"]
    assert job["metadata"]["labels"]["nunatak.run"] == name
    assert job["spec"]["template"]["metadata"]["labels"]["nunatak.run"] == name


def test_stop_ends_the_run(
    flow: SimpleNamespace, run_file: Path, overlay: Path, kube: KubeApi
) -> None:
    def work() -> None:
        wait_for(lambda: "nunatak-driver" in kube.of("jobs"))
        kube.run_driver()
        kube.end_driver(0)

    working = threading.Thread(target=work)
    working.start()
    on_kubernetes(run_file, overlay)
    working.join(20)

    stopped = on_kubernetes(run_file, overlay, "--stop", "--json")
    again = on_kubernetes(run_file, overlay, "--stop")

    assert last_line(stopped)["ended"] == 2  # the driver and its run file: workers ended before
    assert "nunatak-driver" not in kube.of("jobs")
    assert "there was nothing to end" in again.stdout


def wait_for(fact: Any) -> None:
    deadline = time.monotonic() + 30
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.05)


SCRIPT = """
import sys
from types import SimpleNamespace
from pipelines.cli import main
from pipelines.commands import products
from tests.pipelines import test_launching
sys.modules["tests_launched_flow"] = SimpleNamespace(plan=test_launching.plan_of)
products.FLOWS = {"gravimetry": "tests_launched_flow"}
main(sys.argv[1:], prog_name="nunatak")
"""


def test_ctrl_c_leaves_the_run_going(run_file: Path, overlay: Path, kube: KubeApi) -> None:
    command = [sys.executable, "-c", SCRIPT, "run", str(run_file), "--on", "kubernetes"]
    with subprocess.Popen(
        [*command, "--overlay", str(overlay)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_for(lambda: "nunatak-driver" in kube.of("jobs"))
        wait_for(lambda: sum("/pods" in path for _, path in kube.asked) > 0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "the run goes on; the same command looks again, and with --stop ends it" in said
    assert kube.of("deployments").keys() >= {"nunatak-worker", "nunatak-scheduler"}


def test_here_is_said_too(flow: SimpleNamespace, run_file: Path) -> None:
    result = nunatak("run", run_file, "--on", "local", "--dry-run", "--json")

    assert result.exit_code == 0, result.output
    assert "launch on this machine" in result.stdout
    assert last_line(result)["launch"]["dollars_an_hour"] == [0, 0]


def test_slurm_shows_its_script_and_queues_nothing(
    flow: SimpleNamespace, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm_here.install(tmp_path / "slurm").items():
        monkeypatch.setenv(name, value)

    result = nunatak(
        *("run", run_file, "--on", "slurm", "--workers", "8", "--cores", "4", "--dry-run"),
        *("--queue", "long", "--json"),
    )

    assert result.exit_code == 0, result.output
    assert "#SBATCH -p long" in last_line(result)["manifest"]
    assert last_line(result)["launch"]["expected_seconds"] == 13 * 600.0
    assert not slurm_here.scripts(tmp_path / "slurm")


def test_networks_of_a_run_in_jobs_work_on_a_ray_that_is_there(
    flow: SimpleNamespace, run_file: Path
) -> None:
    flow.plan = lambda run: plan_of(run, networks=True)
    command = ("run", run_file, "--on", "slurm", "--dry-run")

    here = nunatak(*command)
    there = nunatak(*command, "--ray", "ray://head:10001")

    assert "networks work on Ray on this machine" in here.stdout
    assert "networks work on Ray at ray://head:10001" in there.stdout


def test_a_job_of_ray_is_shown(flow: SimpleNamespace, run_file: Path) -> None:
    result = nunatak(
        "run", run_file, "--on", "ray", "--address", "http://head:8265", "--dry-run", "--fresh"
    )

    assert result.exit_code == 0, result.output
    assert 'would submit: nunatak run run.yaml --ray "$RAY_ADDRESS" --fresh' in result.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"queue": "long"}, "--queue belongs to --on slurm, and was given without --on"),
        ({"target": "ssh", "hosts": "a", "stop": True}, "--stop belongs to --on kubernetes"),
        ({"target": "ssh"}, "--on ssh needs --hosts"),
        ({"target": "ray"}, "--on ray needs --address"),
        ({"dry_run": True}, "without --on use `nunatak plan`"),
    ],
)
def test_options_that_do_not_fit(given: dict[str, Any], said: str) -> None:
    with pytest.raises(LaunchSettingsError, match=said):
        launch_settings.read(given, scheduler=None, ray=None)


def test_workers_are_either_there_or_started() -> None:
    with pytest.raises(LaunchSettingsError, match=r"--scheduler tcp://a:1 names some that are"):
        launch_settings.read({"target": "slurm"}, scheduler="tcp://a:1", ray=None)
    assert launch_settings.read({"target": "local"}, scheduler=None, ray="local").target == "local"


def test_every_option_is_for_a_target_that_exists() -> None:
    assert {each for targets in launch_settings.BELONGS.values() for each in targets} <= {
        *launch_settings.TARGETS
    }
