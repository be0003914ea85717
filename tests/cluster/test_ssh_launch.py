"""Workers on hosts that SSH reaches: a real server, real processes, the same numbers."""

import errno
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from cluster import ssh_launch
from cluster.launch import LaunchError, Size
from cluster.ssh_launch import Host, Reach
from tests.fixtures import interrupted_job, ssh_here
from tests.fixtures.ssh_here import SshHere

GIB = 2**30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshHere]:
    with ssh_here.started(tmp_path / "ssh") as here:
        yield here


def reach(server: SshHere) -> Reach:
    return Reach(ssh_here.HOSTS, str(server.configuration))


def test_a_run_over_ssh_equals_the_one_here(server: SshHere, tmp_path: Path) -> None:
    reached = reach(server)
    hosts = ssh_launch.look(reached, [str(tmp_path)])
    with ssh_launch.workers(reached, hosts, size=Size(1.0, GIB), each=1) as address:
        interrupted_job.run(address, str(tmp_path / "there"))
    interrupted_job.run(None, str(tmp_path / "here"))

    assert address.startswith("tcp://127.0.0.1:")
    assert sum("dask_spec" in command for command in server.commands()) == 3
    np.testing.assert_array_equal(
        interrupted_job.field(str(tmp_path / "there")),
        interrupted_job.field(str(tmp_path / "here")),
    )
    assert ended(address), "workers were left on their hosts"


def ended(address: str) -> bool:
    """Return whether no process names a scheduler any more, or will within half a minute."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not [
            p for p in psutil.process_iter(["cmdline"]) if address in (p.info["cmdline"] or ())
        ]:
            return True
        time.sleep(0.2)
    return False


def test_hosts_say_what_they_have(server: SshHere) -> None:
    first, second = ssh_launch.look(reach(server))

    assert (first.name, second.name) == ssh_here.HOSTS
    assert first.address == "127.0.0.1"
    assert first.cores >= 1
    assert first.memory > GIB / 2


def test_what_hosts_cannot_see_is_said(server: SshHere, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"node\d cannot see .*nowhere; put what the run reads"):
        ssh_launch.look(reach(server), [str(tmp_path / "nowhere")])
    with ssh_launch.marked(str(tmp_path / "not" / "yet")) as mark:
        assert Path(mark).parent == tmp_path
        ssh_launch.look(reach(server), [mark])
    assert not Path(mark).exists()


def test_an_address_of_a_file_is_marked_where_it_points(tmp_path: Path) -> None:
    with ssh_launch.marked((tmp_path / "a b" / "out").as_uri()) as mark:
        assert Path(mark).parent == tmp_path
        assert Path(mark).is_file()


def test_what_may_only_be_read_stands_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refused)  # root may write everywhere
    with ssh_launch.marked(str(tmp_path)) as mark:
        assert mark == str(tmp_path)
    with pytest.raises(PermissionError), ssh_launch.marked(str(tmp_path / "out")):
        pass


def test_refusals_say_which_host_and_why(server: SshHere, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="node1: /no/python cannot run nunatak there"):
        ssh_launch.look(Reach(("node1",), str(server.configuration), python="/no/python"))
    (tmp_path / "ssh" / "known").write_text("")
    with pytest.raises(LaunchError, match=r"cannot be reached by SSH .*its host key known"):
        ssh_launch.look(reach(server))


def test_names_of_hosts() -> None:
    assert ssh_launch.read_hosts("a, b,b") == ("a", "b", "b")
    for wrong in ("", " , ", "-oProxyCommand=x", "me@a"):
        with pytest.raises(LaunchError, match="expected names as SSH knows them"):
            ssh_launch.read_hosts(wrong)


def test_room_on_a_host() -> None:
    host = Host("a", "10.0.0.1", cores=8, memory=16 * GIB)

    assert host.room(Size(1.0, GIB)) == 8
    assert host.room(Size(1.0, 4 * GIB)) == 3
    assert host.room(Size(1.0, 64 * GIB)) == 1
