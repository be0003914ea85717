"""Certificates: who gets which, what is refused before it is used, and why two sides differ."""

import ipaddress
import os
import shutil
import socket
import ssl
import stat
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from cluster import certificate_authority, certificates, handshake
from cluster.certificates import CertificateError
from tests.fixtures import tls
from tests.fixtures.commands import last_line, nunatak

FILES = {"ca.crt", "ca.key", "tls.crt", "tls.key", "ray-token"}


@pytest.fixture(scope="module")
def holders(tmp_path_factory):
    return tls.made(tmp_path_factory.mktemp("certificates"))


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


class TestMaking:
    def test_the_folder_and_its_files_are_their_owners_alone(self, tmp_path):
        before = os.umask(0)
        try:
            certificate_authority.make(tmp_path / "secrets")
        finally:
            os.umask(before)

        assert {each.name for each in (tmp_path / "secrets").iterdir()} == FILES
        modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "secrets").iterdir()}
        assert modes == {0o600}
        assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700

    def test_one_certificate_serves_both_sides_and_names_services_and_this_machine(self, holders):
        found = _certificate(holders.ours / "tls.crt")

        uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
        assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        hosts = certificates.validity(found).hosts
        for host in (
            "nunatak-scheduler",
            "nunatak-ray-head",
            "nunatak-ray-head.nunatak.svc.cluster.local",
            "localhost",
            "127.0.0.1",
        ):
            assert host in hosts

    def test_a_clock_that_is_hours_behind_does_not_find_it_to_be_of_the_future(self, holders):
        for name in ("ca.crt", "tls.crt"):
            begins = _certificate(holders.ours / name).not_valid_before_utc
            assert begins < datetime.now(UTC) - timedelta(hours=20)

    def test_the_authority_can_sign_nodes_and_no_further_authorities(self, holders):
        found = _certificate(holders.ours / "ca.crt")
        constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (constraints.ca, constraints.path_length) == (True, 0)

    def test_hosts_may_be_names_addresses_and_networks(self, tmp_path):
        found = certificate_authority.make(
            tmp_path, hosts=["gpu7.ice.example", "*.pods.ice.example", "10.1.2.3", "10.77.4.0/30"]
        )
        assert {"gpu7.ice.example", "*.pods.ice.example", "10.1.2.3"} <= set(found.hosts)
        assert {f"10.77.4.{n}" for n in range(4)} <= set(found.hosts)
        assert len(set(found.hosts)) == len(found.hosts)

    @pytest.mark.parametrize("host", ["", "a b", "https://a", "-a", "10.77.4.1/24", "a/b"])
    def test_what_is_no_host_is_refused_before_anything_is_written(self, tmp_path, host):
        with pytest.raises(CertificateError, match="is no host; expected a name, an address"):
            certificate_authority.make(tmp_path / "new", hosts=[host])
        assert not (tmp_path / "new").exists()

    def test_a_network_with_too_many_addresses_is_refused(self, tmp_path):
        with pytest.raises(CertificateError, match="65536 addresses; a certificate can name 4096"):
            certificate_authority.make(tmp_path, hosts=["10.77.0.0/16"])
        halves = ["10.77.0.0/20", "10.77.16.0/20"]
        with pytest.raises(CertificateError, match="hosts are more than a certificate can name"):
            certificate_authority.make(tmp_path, hosts=halves)

    def test_nothing_is_overwritten(self, holders):
        before = {each.name: each.read_bytes() for each in holders.ours.iterdir()}
        with pytest.raises(
            CertificateError, match=r"holds ca\.crt, ca\.key, tls\.crt, tls\.key already"
        ):
            certificate_authority.make(holders.ours)
        assert {each.name: each.read_bytes() for each in holders.ours.iterdir()} == before


class TestRenewing:
    def test_the_authority_the_token_and_the_hosts_stay(self, tmp_path):
        certificate_authority.make(tmp_path, hosts=["10.1.2.3"], days=5)
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

        found = certificate_authority.renew(tmp_path, hosts=["10.1.2.4"], days=50)

        after = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        kept = {name for name in FILES if after[name] == before[name]}
        assert kept == {"ca.crt", "ca.key", "ray-token"}
        assert {"10.1.2.3", "10.1.2.4"} <= set(found.hosts)
        assert timedelta(days=49) < found.ends - datetime.now(UTC) <= timedelta(days=50)
        assert certificates.require_usable(tmp_path) == found

    def test_it_never_outlives_its_authority(self, tmp_path):
        certificate_authority.make(tmp_path)
        found = certificate_authority.renew(tmp_path, days=9 * 3650)
        assert found.ends == _certificate(tmp_path / "ca.crt").not_valid_after_utc

    def test_without_the_authoritys_key_it_says_what_is_missing(self, holders, tmp_path):
        shutil.copy(holders.ours / "ca.crt", tmp_path)
        with pytest.raises(
            CertificateError, match=r"ca\.key: No such file.*that signed the former"
        ):
            certificate_authority.renew(tmp_path)

    def test_the_key_of_another_authority_is_refused(self, holders, tmp_path):
        shutil.copy(holders.ours / "ca.crt", tmp_path)
        shutil.copy(holders.stranger / "ca.key", tmp_path)
        with pytest.raises(CertificateError, match=r"ca\.key is not the key of .*ca\.crt"):
            certificate_authority.renew(tmp_path)


class TestUsing:
    def test_a_good_folder_says_until_when(self, holders, caplog):
        found = certificates.require_usable(holders.ours)
        assert timedelta(days=364) < found.ends - datetime.now(UTC) <= timedelta(days=365)
        assert caplog.text == ""

    def test_a_mount_without_the_authoritys_key_is_enough(self, holders, tmp_path):
        for name in ("ca.crt", "tls.crt", "tls.key"):
            shutil.copy(holders.ours / name, tmp_path)
        certificates.require_usable(tmp_path)

    def test_one_that_ends_soon_is_warned_of(self, holders, tmp_path, caplog):
        soon = shutil.copytree(holders.ours, tmp_path / "soon")
        certificate_authority.renew(soon, days=10)
        certificates.require_usable(soon)
        assert "tls.crt ends in 9 days; `nunatak certificates FOLDER --renew`" in caplog.text

    def test_one_that_has_ended_says_when(self, holders):
        with pytest.raises(CertificateError, match=r"tls\.crt ended on \d{4}-.* UTC; `nunatak"):
            certificates.require_usable(holders.ended)

    @pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
    def test_a_missing_file_is_named(self, holders, tmp_path, name):
        broken = shutil.copytree(holders.ours, tmp_path / "broken")
        (broken / name).unlink()
        with pytest.raises(
            CertificateError, match=f"{name}: No such file.*NUNATAK_TLS_FOLDER must"
        ):
            certificates.require_usable(broken)

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("ca.crt", "tls.crt was not signed by"),
            ("tls.crt", "tls.crt was not signed by"),
            ("tls.key", "tls.key is not the key of"),
        ],
    )
    def test_a_file_of_another_folder_is_found_out(self, holders, tmp_path, name, said):
        mixed = shutil.copytree(holders.ours, tmp_path / "mixed")
        shutil.copy(holders.stranger / name, mixed)
        with pytest.raises(CertificateError, match=said):
            certificates.require_usable(mixed)

    @pytest.mark.parametrize(
        ("name", "said"), [("tls.crt", "holds no certificate"), ("tls.key", "holds no private key")]
    )
    def test_nonsense_is_refused_without_repeating_it(self, holders, tmp_path, name, said):
        broken = shutil.copytree(holders.ours, tmp_path / "broken")
        (broken / name).write_text("qwertz")
        with pytest.raises(CertificateError, match=said) as why:
            certificates.require_usable(broken)
        assert "qwertz" not in str(why.value)


class TestEnvironment:
    def test_dask_reads_it_as_the_same_settings(self):
        found = certificates.dask_environment("/etc/nunatak/tls")
        read = dask.config.collect_env(found)
        for name, value in certificates.dask_configuration("/etc/nunatak/tls").items():
            assert dask.config.get(name, config=read) == value

    def test_no_file_needs_to_be_here_and_no_secret_is_in_it(self, holders):
        found = certificates.environment("/etc/nunatak/tls")
        assert found["NUNATAK_TLS_FOLDER"] == "/etc/nunatak/tls"
        assert found["RAY_TLS_CA_CERT"] == "/etc/nunatak/tls/ca.crt"
        assert found["RAY_USE_TLS"] == "1"


class TestCommand:
    def test_it_says_what_goes_where_and_prints_no_secret(self, tmp_path):
        result = nunatak("certificates", tmp_path / "c", "--host", "10.1.2.3", "--json")

        assert result.exit_code == 0
        assert "ca.key                    stays here" in result.stdout
        assert "10.1.2.3" in last_line(result)["hosts"]
        key = (tmp_path / "c" / "tls.key").read_text().splitlines()[1]
        for secret in (key, (tmp_path / "c" / "ray-token").read_text(), "PRIVATE KEY"):
            assert secret not in result.output

    def test_a_second_time_it_refuses_and_with_renew_it_renews(self, tmp_path):
        nunatak("certificates", tmp_path / "c")
        refused = nunatak("certificates", tmp_path / "c")
        assert refused.exit_code == 2
        assert "--renew signs another certificate" in refused.stderr
        before = (tmp_path / "c" / "tls.crt").read_bytes()
        assert nunatak("certificates", tmp_path / "c", "--renew").exit_code == 0
        assert (tmp_path / "c" / "tls.crt").read_bytes() != before

    def test_the_environment_is_for_a_shell_and_holds_paths_only(self, tmp_path):
        nunatak("certificates", tmp_path / "c")
        result = nunatak("certificates", tmp_path / "c", "--environment")
        lines = dict(
            line.removeprefix("export ").split("=", 1) for line in result.stdout.split("\n") if line
        )
        assert lines["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "c" / "ray-token")
        assert lines["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
        assert (tmp_path / "c" / "ray-token").read_text() not in result.output

    def test_the_environment_of_no_certificates_is_a_mistake(self, tmp_path):
        assert nunatak("certificates", tmp_path, "--environment").exit_code == 2


class TestHandshake:
    """Both sides in this process: a server on a thread, ours and others' certificates."""

    def test_two_sides_of_one_folder_take_each_other(self, holders):
        with _server(holders.ours, holders.ours) as port:
            handshake.require_accepted("127.0.0.1", port, holders.ours, timeout=5, named=True)

    def test_a_renewed_side_and_a_former_one_take_each_other(self, holders, tmp_path):
        renewed = shutil.copytree(holders.ours, tmp_path / "renewed")
        certificate_authority.renew(renewed)
        for server, client in ((renewed, holders.ours), (holders.ours, renewed)):
            with _server(server, server) as port:
                handshake.require_accepted("127.0.0.1", port, client, timeout=5)

    @pytest.mark.parametrize(
        ("shows", "trusts", "said"),
        [
            ("stranger", "ours", "was not signed by .*ca.crt .*certificates of one folder"),
            ("ended", "ours", "has ended; renew it"),
            ("ours", "stranger", "refuses .*tls.crt .*unknown ca.*compare their clocks"),
        ],
    )
    def test_why_it_fails_is_said(self, holders, shows, trusts, said):
        with (
            _server(getattr(holders, shows), getattr(holders, trusts)) as port,
            pytest.raises(CertificateError, match=said),
        ):
            handshake.require_accepted("127.0.0.1", port, holders.ours, timeout=5)

    def test_a_host_that_the_certificate_does_not_name_is_told_where_it_counts(self, holders):
        with _server(holders.ours, holders.ours, host="127.0.0.2") as port:
            handshake.require_accepted("127.0.0.2", port, holders.ours, timeout=5)
            with pytest.raises(CertificateError, match=r"--renew --host 127\.0\.0\.2"):
                handshake.require_accepted("127.0.0.2", port, holders.ours, timeout=5, named=True)

    @pytest.mark.parametrize(
        ("words", "said"), [(b"\0" * 16, "does not speak TLS"), (b"", "no answer within 0.3 s")]
    )
    def test_a_plain_server_is_told_apart(self, holders, words, said):
        with _plain_server(words) as port, pytest.raises(CertificateError, match=said):
            handshake.require_accepted("127.0.0.1", port, holders.ours, timeout=0.3)

    def test_nobody_there_is_not_a_matter_of_certificates(self, holders):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionRefusedError):
                handshake.require_accepted(
                    "127.0.0.1", taken.getsockname()[1], holders.ours, timeout=1
                )


@contextmanager
def _listening(answer, host="127.0.0.1"):
    """Answer connections on a thread until the block ends."""
    listener = socket.create_server((host, 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    answer(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _server(shows: Path, trusts: Path, host: str = "127.0.0.1"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(shows / "tls.crt", shows / "tls.key")
    context.load_verify_locations(trusts / "ca.crt")

    def answer(connection):
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.sendall(b"here")

    return _listening(answer, host)


def _plain_server(words: bytes):
    def answer(connection):
        connection.sendall(words)
        connection.settimeout(1.0)
        while connection.recv(4096):
            pass

    return _listening(answer)


def test_every_address_of_a_whole_node_pool_fits_one_certificate(tmp_path):
    """What TLS libraries bound is the size of the chain; the largest we make is well below it."""
    certificate_authority.make(tmp_path, hosts=[*["10.244.0.0/20"][:0], "10.244.0.0/21"])
    certificate_authority.renew(tmp_path, hosts=["10.244.8.0/22", "10.244.12.0/23"])
    with _server(tmp_path, tmp_path) as port:
        handshake.require_accepted("127.0.0.1", port, tmp_path, timeout=5)
    key = load_pem_private_key((tmp_path / "tls.key").read_bytes(), password=None)
    assert key.public_key() == _certificate(tmp_path / "tls.crt").public_key()
    assert str(ipaddress.ip_address("10.244.13.255")) in certificates.require_usable(tmp_path).hosts
