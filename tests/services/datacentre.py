"""A small data centre: every server a real process on a host of its own, joined by a bridge.

Hosts are network namespaces (:mod:`tests.fixtures.namespaces`): this process reaches none of them,
so what is asked of them is asked by processes there. Connections of Dask and Ray are encrypted, Ray
demands a token, the store wants signed requests, as in a cluster.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from cluster import certificate_authority, certificates, dask_cluster
from cluster.settings import ClusterSettings
from tests.fixtures import ray_head
from tests.fixtures.namespaces import Network, built

HOSTS = ("store", "scheduler", "worker1", "worker2", "head", "node1", "node2", "desk", "desk2")
NUNATAK = str(Path(sys.executable).with_name("nunatak"))
WEED = str(Path(sys.executable).with_name("weed"))
DASK = [sys.executable, "-m", "dask"]
BUCKET = "ice"
READY = 180.0  # [s]; a busy machine starts servers slowly
PATIENCE = ClusterSettings(worker_ttl=15.0, tcp_timeout=12.0, connect_timeout=25.0)
_PROXY, _SCHEDULER, _GCS, _CLIENTS = 9000, 8786, 6379, 10001
_STORE_PORTS = {"s3": 8333, "master": 9333, "filer": 8888, "volume": 9340, "admin": 9370}
_FOLDER_OF_MODULES = Path(__file__).resolve().parents[2]


@dataclass
class Driver:
    """A command that runs on a host: its process and where it writes."""

    process: "subprocess.Popen[str]"
    log: Path

    def ended(self, within: float = 200.0) -> int:
        """Return the exit status."""
        return self.process.wait(within)

    def text(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        """End the driver without a word, as a machine that goes does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


@dataclass
class Datacentre:
    """Hosts, and the servers on them.

    Attributes
    ----------
    network : Network
    folder : Path
        Logs, certificates and what the store keeps.
    shift : int
        Added to the ports of the store. Its parts meet over sockets in /tmp that are named by
        port: namespaces or not, two stores of the same ports would be one.
    """

    network: Network
    folder: Path
    shift: int = 0
    servers: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    preloaded: dict[str, str] = field(default_factory=dict)
    _token: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    _keys: tuple[str, str] = field(
        default_factory=lambda: ("AK" + secrets.token_hex(9).upper(), secrets.token_hex(20)),
        repr=False,
    )

    def __post_init__(self) -> None:
        hosts = tuple(self.network.address.values())
        certificate_authority.make(self.folder / "tls", hosts=hosts)

    @property
    def scheduler(self) -> str:
        return f"tls://{self.network.address['scheduler']}:{_SCHEDULER}"

    @property
    def ray(self) -> str:
        return f"ray://{self.network.address['head']}:{_CLIENTS}"

    def output(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    def environment(self, host: str) -> dict[str, str]:
        """Return what a process of ours finds in the environment of a host."""
        return {
            **self._store_environment(),
            **dask_cluster.spot_environment(PATIENCE),
            **certificates.environment(self.folder / "tls"),
            "NUNATAK_TCP_TIMEOUT": f"{PATIENCE.tcp_timeout:g}",
            "NUNATAK_CONNECT_TIMEOUT": f"{PATIENCE.connect_timeout:g}",
            "NUNATAK_WORKER_TTL": f"{PATIENCE.worker_ttl:g}",
            "NUNATAK_STORE_TIMEOUT": "8",
            "NUNATAK_LEASE": "5",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._token,
            "PYTHONPATH": str(_FOLDER_OF_MODULES),
            "NUNATAK_TEST_HOST": host,
            **({"LD_PRELOAD": self.preloaded[host]} if host in self.preloaded else {}),
        }

    # Servers

    def start_store(self) -> None:
        """Start the S3 server and, before it, a proxy whose faults can be set."""
        home, host = self.folder / "weed", self.network.address["store"]
        home.mkdir(exist_ok=True)
        ports = {name: port + self.shift for name, port in _STORE_PORTS.items()}
        self._serve(
            "store",
            "weed",
            [
                *(WEED, f"-logdir={home}", "mini", f"-dir={home}", f"-ip={host}"),
                *(f"-ip.bind={host}", *(f"-{name}.port={port}" for name, port in ports.items())),
                *("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"),
                f"-bucket={BUCKET}",
            ],
        )
        if "proxy" not in self.servers:
            self.faults()
            proxy = ["-m", "tests.services.s3_proxy", host, str(_PROXY), str(ports["s3"])]
            self._serve("store", "proxy", [sys.executable, *proxy, str(self.folder / "faults")])
        self.ask("store", "tests.services.wait_for_store", BUCKET)

    def faults(self, **faults: Any) -> None:
        """Say what goes wrong with requests to the store from now on; without any, nothing."""
        path = self.folder / "faults"
        path.with_suffix(".count").write_text("0")
        path.with_suffix(".new").write_text(json.dumps(faults))
        path.with_suffix(".new").replace(path)

    def wrong(self) -> int:
        """Return how many requests something went wrong with since the faults were said."""
        return int((self.folder / "faults.count").read_text())

    def start_scheduler(self) -> None:
        host = self.network.address["scheduler"]
        self._serve(
            "scheduler",
            "scheduler",
            [*DASK, "scheduler", "--protocol", "tls", "--host", host,
             "--port", str(_SCHEDULER), "--no-dashboard"],
        )  # fmt: skip

    def start_worker(self, host: str) -> None:
        self._serve(
            host,
            host,
            [*DASK, "worker", self.scheduler, "--host", f"tls://{self.network.address[host]}",
             "--nthreads", "1", "--memory-limit", "2GiB", "--no-dashboard",
             "--local-directory", str(self.folder / host)],
        )  # fmt: skip

    def start_dask(self) -> None:
        """Start a scheduler and two workers, as far as they do not run."""
        if not self.runs("scheduler"):
            self.start_scheduler()
        for host in ("worker1", "worker2"):
            if not self.runs(host):
                self.start_worker(host)

    def runs(self, name: str) -> bool:
        return name in self.servers and self.servers[name].poll() is None

    def start_head(self) -> None:
        self._ray(
            "head",
            *("--head", "--port", str(_GCS), "--ray-client-server-port", str(_CLIENTS)),
            *("--include-dashboard", "false", "--temp-dir", str(self.ray_folder)),
            cpus=0,
        )
        self.ask(
            "head", "tests.services.wait_for_port", self.network.address["head"], str(_CLIENTS)
        )

    def start_node(self, host: str) -> None:
        address = f"{self.network.address['head']}:{_GCS}"
        self._ray(host, "--address", address, cpus=1)

    @property
    def ray_folder(self) -> Path:
        # A socket's path is short.
        return Path("/tmp") / f"nt-{self.network.prefix.removeprefix('nunatak-')}"  # noqa: S108

    def _ray(self, host: str, *options: str, cpus: int) -> None:
        address = self.network.address[host]
        self._serve(
            host,
            f"ray-{host}",
            [*ray_head.RAY, "start", "--block", *options,
             "--node-ip-address", address, "--num-cpus", str(cpus), "--num-gpus", "0",
             "--object-store-memory", str(80 * 2**20)],
            {**ray_head.QUICK, "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(self.folder)},
        )  # fmt: skip

    def _serve(
        self,
        host: str,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        own = self.environment(host) if name != "weed" else self._store_environment()
        self.servers[name] = self.network.start(
            host, command, environment={**own, **(environment or {})}, log=self.log(name)
        )

    def kill(self, name: str) -> None:
        """End a server and all that it started, without a word."""
        if not self.runs(name):
            return
        server = psutil.Process(self.servers.pop(name).pid)
        for process in (*server.children(recursive=True), server):
            if process.is_running():
                process.kill()
        server.wait(20)

    # Drivers, and what is asked

    def drive(self, path: Path, *options: str, host: str = "desk") -> Driver:
        """Start ``nunatak run`` on a host."""
        log = self.folder / f"drive-{time.monotonic_ns()}.log"
        process = self.network.start(
            host,
            [NUNATAK, "run", str(path), *options],
            environment=self.environment(host),
            log=log,
            folder=path.parent,
        )
        return Driver(process, log)

    def wait_for_keys(self, output: str, count: int, driver: Driver) -> None:
        """Return as soon as so many keys are committed; the driver must still be at work."""
        log = self.folder / "watch.log"
        watch = [sys.executable, "-m", "tests.services.wait_for_keys", output, str(count)]
        watcher = self.network.start("desk2", watch, environment=self.environment("desk2"), log=log)
        deadline = time.monotonic() + READY
        while watcher.poll() is None and time.monotonic() < deadline:
            assert driver.process.poll() is None, driver.text()
            time.sleep(0.02)
        assert watcher.returncode == 0, (log.read_text(), driver.text())

    def audit(self, output: str) -> dict[str, Any]:
        """Return the ledger and the digests of the arrays of an output, read on another host."""
        found: dict[str, Any] = json.loads(self.ask("desk2", "tests.services.audit", output))
        return found

    def ask(self, host: str, module: str, *arguments: str) -> str:
        """Run a module on a host and return what it prints."""
        log = self.folder / f"{module}.log"
        process = self.network.start(
            host,
            [sys.executable, "-m", module, *arguments],
            environment=self.environment(host),
            log=log,
            listen=True,
        )
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait(READY) == 0, log.read_text()
        return said

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _store_environment(self) -> dict[str, str]:
        key, secret = self._keys
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://{self.network.address['store']}:{_PROXY}",
        }


@contextmanager
def opened(folder: Path, *, shift: int = 0) -> Iterator[Datacentre]:
    """Yield a data centre whose hosts are there; its servers are started by who needs them."""
    with built(HOSTS) as network:
        centre = Datacentre(network, folder, shift)
        try:
            yield centre
        finally:
            for name in list(centre.servers):
                centre.kill(name)
            shutil.rmtree(centre.ray_folder, ignore_errors=True)


def written(document: Mapping[str, Any], path: Path) -> Path:
    """Write a run file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(document)))
    return path
