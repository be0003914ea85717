"""A Ray head that demands certificates and its token: who has both gets in, nobody else."""

import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request

import pytest

from cluster import certificates, ray_cluster
from cluster.certificates import CertificateError
from tests.fixtures import ray_head, tls

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.services]


@pytest.fixture(scope="module")
def holders(tmp_path_factory):
    return tls.made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def token(holders):
    return (holders.ours / certificates.RAY_TOKEN).read_text()


@pytest.fixture(scope="module")
def head(holders, token):
    variables = certificates.ray_environment(holders.ours)
    with ray_head.started(
        cpus=1, token=token, alone=True, dashboard=True, variables=variables
    ) as found:
        yield found


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    """No token and no certificates, neither of this machine's nor of its user."""
    ray_head.use(monkeypatch)
    monkeypatch.delenv(certificates.FOLDER, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_who_has_the_folder_with_certificates_and_token_gets_in(head, holders, monkeypatch):
    import ray

    monkeypatch.setenv(certificates.FOLDER, str(holders.ours))
    with ray_cluster.connect(head.address) as cluster:
        assert cluster.threads() == 1
        assert ray.get(ray.remote(lambda: 7).remote()) == 7

    assert not [name for name in os.environ if name.startswith(("RAY_TLS", "RAY_USE_TLS"))]
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


class TestAnOutsider:
    @pytest.mark.parametrize("where", ["port", "client_port"])
    @pytest.mark.parametrize("holder", [None, "stranger", "ended"])
    def test_is_told_nothing_without_a_certificate_of_the_cluster(
        self, head, holders, where, holder
    ):
        shown = getattr(holders, holder) if holder else None
        assert _first_byte(getattr(head, where), shown) == b""
        assert len(_first_byte(getattr(head, where), holders.ours)) == 1

    @pytest.mark.parametrize("where", ["port", "client_port"])
    def test_gets_no_answer_in_plain_words(self, head, token, where):
        import grpc

        with grpc.insecure_channel(f"127.0.0.1:{getattr(head, where)}") as channel:
            assert _ping(channel, token) == grpc.StatusCode.UNAVAILABLE

    def test_with_the_certificate_and_without_the_token_is_refused(self, head, holders, token):
        import grpc

        shown = grpc.ssl_channel_credentials(
            root_certificates=(holders.ours / "ca.crt").read_bytes(),
            private_key=(holders.ours / "tls.key").read_bytes(),
            certificate_chain=(holders.ours / "tls.crt").read_bytes(),
        )
        with grpc.secure_channel(f"127.0.0.1:{head.client_port}", shown) as channel:
            assert _ping(channel, "") == grpc.StatusCode.UNAUTHENTICATED
            assert _ping(channel, "0" * 64) == grpc.StatusCode.UNAUTHENTICATED
            assert _ping(channel, token) is None

    def test_cannot_submit_a_job_and_who_has_the_token_can(self, head, token, tmp_path):
        for bearer, refusal in ((None, 401), ("", 403), ("0" * 64, 403)):
            theirs = {"entrypoint": f"touch {tmp_path}/theirs"}
            assert _asked(head, "POST", bearer, theirs)[0] == refusal
            # The agent of each node takes jobs from the head, by HTTP as well.
            assert _asked(head, "POST", bearer, theirs, agent=True)[0] == refusal
            assert _asked(head, "GET", bearer)[0] == refusal
            assert _asked(head, "DELETE", bearer)[0] == refusal

        status, said = _asked(head, "POST", token, {"entrypoint": f"touch {tmp_path}/ours"})

        assert status == 200, said
        deadline = time.monotonic() + 60.0
        while not (tmp_path / "ours").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert [each.name for each in tmp_path.iterdir()] == ["ours"]
        jobs = [each for each in _asked(head, "GET", token)[1] if each["type"] == "SUBMISSION"]
        assert [each["submission_id"] for each in jobs] == [said["submission_id"]]


class TestOurClient:
    def test_says_at_once_that_its_certificate_is_of_another_authority(
        self, head, holders, monkeypatch
    ):
        monkeypatch.setenv(certificates.FOLDER, str(holders.stranger))
        started = time.monotonic()
        with (
            pytest.raises(CertificateError, match=r"was not signed by .*ca\.crt"),
            ray_cluster.connect(head.client_address),
        ):
            pass
        assert time.monotonic() - started < 25.0


def _first_byte(port, folder):
    """Return what the server says first; nothing if it refuses the certificate of a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if folder:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            return encrypted.recv(1)
    except (ssl.SSLError, ConnectionResetError):
        return b""


def _ping(channel, token):
    """Return why a client server's answer does not come, None if it does."""
    import grpc
    from ray.core.generated import ray_client_pb2, ray_client_pb2_grpc

    request = ray_client_pb2.ClusterInfoRequest(type=ray_client_pb2.ClusterInfoType.PING)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    try:
        ray_client_pb2_grpc.RayletDriverStub(channel).ClusterInfo(
            request, timeout=10, metadata=metadata
        )
    except grpc.RpcError as error:
        return error.code()
    return None


def _asked(head, method, token, body=None, *, agent=False):
    """Return the status and the answer of what takes jobs."""
    path = "/api/jobs/" + ("nothing" if method == "DELETE" else "")
    request = urllib.request.Request(  # noqa: S310 - of the loopback
        f"http://127.0.0.1:{head.agent_port}/api/job_agent/jobs/"
        if agent
        else head.jobs_address + path,
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json"}
        | ({"Authorization": f"Bearer {token}"} if token is not None else {}),
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
