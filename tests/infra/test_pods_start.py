"""What the manifests start, started: the commands, arguments and environments of their containers.

As processes on this machine, with certificates made for the test, and other ports and host names in
the place of the cluster's. The probes of the manifests are asked too.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import certificate_authority, certificates
from tests.infra.manifest_model import Manifests, Pod
from tests.infra.rendering import documents
from tests.infra.rules_pods import environment

PORTS = (8786, 8787, 8788, 8789, 8790)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Here:
    """This machine in the place of a cluster."""

    def __init__(self, folder: Path) -> None:
        self.manifests = Manifests.of(documents("local"))
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.folder = folder
        certificate_authority.make(folder / "tls")

    def adapted(self, text: str) -> str:
        # Folders last: their own names must not be taken for ports or for the pod's /tmp.
        text = re.sub(r"\b87\d\d\b", lambda m: str(self.ports[int(m[0])]), text)
        text = text.replace("nunatak-scheduler", "127.0.0.1")
        text = text.replace("/tmp", str(self.folder))  # noqa: S108 - the pod's
        return text.replace("/etc/nunatak/tls", str(self.folder / "tls"))

    def container(self, component: str) -> tuple[Pod, Any]:
        (pod,) = [
            p for p in self.manifests.pods if p.labels["app.kubernetes.io/component"] == component
        ]
        return pod, pod.containers[0]

    @contextmanager
    def started(self, component: str, **fields: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a pod's container; ``fields`` are what the kubelet would fill in."""
        pod, container = self.container(component)
        given = {**environment(self.manifests, pod, container), **fields}
        given = {name: self.adapted(value) for name, value in given.items()}
        words = [*container["command"], *container["args"]]
        words = [re.sub(r"\$\((\w+)\)", lambda m: given[m[1]], self.adapted(w)) for w in words]
        program = shutil.which(words[0], path=str(Path(sys.executable).parent))
        assert program is not None
        with (self.folder / f"{component}.log").open("wb") as log:
            process = subprocess.Popen(
                [program, *words[1:]],
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **given},
                stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
            try:
                yield process
            finally:
                process.terminate()
                process.wait(timeout=60)

    def probed(self, component: str, probe: str, process: subprocess.Popen[bytes]) -> int:
        """Ask as the kubelet does until there is an answer."""
        pod, container = self.container(component)
        check = container[probe]["httpGet"]
        url = f"http://127.0.0.1:{self.ports[pod.ports[check['port']]]}{check['path']}"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert process.poll() is None, (self.folder / f"{component}.log").read_text()
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return int(answer.status)
            except OSError:
                time.sleep(0.3)
        raise AssertionError((self.folder / f"{component}.log").read_text())


@pytest.mark.services
def test_scheduler_and_worker_of_the_manifests_meet_and_answer_their_probes(tmp_path: Path):
    from distributed import Client, Security

    here = Here(tmp_path)
    base = tmp_path / "tls"
    security = Security(
        tls_ca_file=str(base / certificates.AUTHORITY),
        tls_client_cert=str(base / certificates.CERTIFICATE),
        tls_client_key=str(base / certificates.KEY),
        require_encryption=True,
    )
    fields = {"MEMORY_LIMIT": str(2**29), "POD_NAME": "nunatak-worker-7x"}
    address = f"tls://127.0.0.1:{here.ports[8786]}"
    with here.started("scheduler") as scheduler, here.started("worker", **fields) as worker:
        assert here.probed("scheduler", "readinessProbe", scheduler) == 200
        assert here.probed("worker", "livenessProbe", worker) == 200
        with Client(address, security=security, timeout=60) as client:
            client.wait_for_workers(1, timeout=120)
            (known,) = client.scheduler_info()["workers"].values()
            threads = client.submit(os.environ.get, "OMP_NUM_THREADS").result(timeout=60)
        assert (known["name"], known["nthreads"]) == ("nunatak-worker-7x", 1)
        assert known["memory_limit"] == 2**29
        assert threads == "1"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(
                f"http://127.0.0.1:{here.ports[8787]}/api/v1/adaptive_target", timeout=10
            )
