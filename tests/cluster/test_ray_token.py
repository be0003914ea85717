"""A cluster that demands a token, as every Ray cluster now does."""

import os
import secrets
import time
from pathlib import Path

import numpy as np
import pytest

from cluster import ray_cluster
from cluster.dask_cluster import ClusterError
from cluster.gpu_pool import Needs, Pool
from cluster.work import process
from cluster.zarr_sink import Repository
from tests.fixtures import ray_head
from tests.fixtures.models import ToyModel
from tests.fixtures.products import Template, expected, keys, rows_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TOKEN = secrets.token_hex(32)
# Every Python process of the head runs this first: where the folder has a file ``doomed``, one
# server that Ray starts for a client takes it away and dies before it is a server.
_SITE = """
import os, pathlib, signal, sys
if "--mode=specific-server" in " ".join(sys.orig_argv):
    try:
        (pathlib.Path(__file__).parent / "doomed").unlink()
    except FileNotFoundError:
        pass
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(_SITE)
    return folder


@pytest.fixture(scope="module")
def head(site):
    variables = {"PYTHONPATH": str(site)}
    with ray_head.started(cpus=2, token=TOKEN, alone=True, variables=variables) as found:
        yield found


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    """No token, neither of this machine's nor of its user."""
    ray_head.use(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("way", ["address", "client_address"])
@pytest.mark.long
def test_actors_of_a_cluster_with_our_token_write_the_same_rows(head, monkeypatch, tmp_path, way):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    version = Repository.open(str(tmp_path / "product.icechunk")).begin("a")
    version.initialise(Template(6))

    with ray_cluster.connect(getattr(head, way)) as cluster:
        pool = Pool(cluster, Needs(actors=2))
        process(keys(6), ToyModel(), version=version, client=pool)

    np.testing.assert_array_equal(rows_of(version.group()), expected(6, run="a"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and _holds_token(path)]


@pytest.mark.long  # Ray waits a minute for the server that died
def test_a_client_server_that_dies_as_it_starts_is_asked_for_again(head, site, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    doomed = site / "doomed"
    doomed.touch()

    with ray_cluster.connect(head.client_address) as cluster:
        assert cluster.worker_memory() > 0

    assert not doomed.exists()


def _holds_token(path: Path) -> bool:
    return TOKEN.encode() in path.read_bytes()


@pytest.mark.parametrize("way", ["address", "client_address"])
@pytest.mark.parametrize(
    ("token", "held"), [("", "none in its environment"), ("0" * 64, "another one")]
)
def test_without_its_token_a_cluster_is_refused_at_once_and_says_why(
    head, monkeypatch, way, token, held
):
    if token:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    started = time.monotonic()

    with (
        pytest.raises(ClusterError, match=f"demands its token, and this process has {held}") as why,
        ray_cluster.connect(getattr(head, way)),
    ):
        pass

    assert time.monotonic() - started < 25.0
    assert "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in str(why.value)
    assert TOKEN not in str(why.value)
    assert "0" * 64 not in str(why.value)


def test_a_runtime_of_our_own_has_its_own_token_and_leaves_none_behind(tmp_path):
    import ray

    seen = set()
    for _ in range(2):
        with ray_cluster.connect(workers=1):
            seen.add(os.environ["RAY_AUTH_TOKEN"])
            assert ray.get(ray.remote(lambda: 7).remote()) == 7

    assert len(seen) == 2
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert not (tmp_path / ".ray").exists()
