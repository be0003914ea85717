"""Fixtures that every folder of tests may use; the network beyond loopback is off."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import hypothesis
import pytest

hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.register_profile("repeat", derandomize=True, deadline=None)
# What a run finds must not depend on its luck; HYPOTHESIS_PROFILE=explore draws new examples.
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

pytest_plugins = [
    "tests.fixtures.oracles",
    "tests.fixtures.seaweed",
    "tests.fixtures.faulty_proxy",
    "tests.fixtures.namespaces",
    "tests.fixtures.pgstac",
]


LONGEST = "test_demo.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test: with two testers, the other would wait for it at the end."""
    items.sort(key=lambda item: item.path.name != LONGEST)


class NetworkBlockedError(RuntimeError):
    """A test reached for an address beyond loopback without the `network` marker."""


def _beyond_loopback(family: int, address: Any) -> bool:
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    host = address[0]
    if host in {"localhost", ""}:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections beyond loopback unless the test is marked `network`."""
    if request.node.get_closest_marker("network"):
        return

    def guarded(name: str) -> Any:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if _beyond_loopback(self.family, address):
                msg = f"a test tried to reach {address!r}; mark it `network` or use loopback"
                raise NetworkBlockedError(msg)
            return original(self, address)

        return connect

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(name))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of real observations, or skip and say so."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("NUNATAK_DATA", beside))
    if not root.is_dir():
        pytest.skip(f"real data not found at {root}; set NUNATAK_DATA to where they are")
    return root


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a test in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
