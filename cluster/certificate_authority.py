"""Make an authority and the one certificate that all nodes of a cluster show, and renew it.

One certificate for all, because any node may be server and client of any other, and because whoever
holds it may do everything anyway: a scheduler runs what it is sent. What it keeps out is everybody
else. The key of the authority stays with the person who made it; only it can sign another one.

Ray compares the address that it calls with the names in the certificate, which therefore has to
name the address of every node: ``hosts`` may hold whole networks (``10.77.4.0/24``). Dask does not
compare.
"""

import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.certificates import (
    AUTHORITY,
    CERTIFICATE,
    KEY,
    RAY_TOKEN,
    CertificateError,
    Validity,
    validity,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import (
        Certificate,
        CertificateBuilder,
        GeneralName,
        KeyUsage,
        Name,
        SubjectAlternativeName,
    )

AUTHORITY_KEY = "ca.key"
SERVICES = ("nunatak-scheduler", "nunatak-ray-head")
NAMESPACE = "nunatak"
ALWAYS = (
    *(
        f"{service}{suffix}"
        for service in SERVICES
        for suffix in ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local")
    ),
    "localhost",
    "127.0.0.1",
    "::1",
)
"""Hosts that every certificate names: the services of our manifests, and this machine."""

# A host whose clock is behind must not find the certificate of today to be one of tomorrow.
CLOCK_SKEW = timedelta(days=1)
AUTHORITY_YEARS = 10
# OpenSSL refuses chains beyond 100 kB; so many addresses take 22 kB.
MOST_HOSTS = 4096
_NAME = re.compile(
    r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


def make(folder: str | Path, *, hosts: Iterable[str] = (), days: int = 365) -> Validity:
    """Make an authority, the certificate and key of all nodes, and a token for Ray.

    Parameters
    ----------
    folder : str or Path
        Gets ``ca.crt``, ``ca.key``, ``tls.crt``, ``tls.key`` and ``ray-token``, mode 0600.
    hosts : iterable of str
        Names, addresses and networks of the nodes, beside :data:`ALWAYS`.
    days : int
        How long the certificate holds.

    Raises
    ------
    CertificateError
        If the folder holds any of them already, or a host is neither name nor address.
    """
    base = Path(folder)
    names = _names([*ALWAYS, *hosts])
    held = [name for name in (AUTHORITY, AUTHORITY_KEY, CERTIFICATE, KEY) if (base / name).exists()]
    if held:
        msg = f"{base} holds {', '.join(held)} already; --renew signs another certificate with the "
        raise CertificateError(msg + "same authority, or choose another folder")
    _make_private(base)
    authority, key = _new_authority(days)
    _write(base / AUTHORITY_KEY, _private(key))
    _write(base / AUTHORITY, _public(authority))
    return _sign(base, names, days, authority, key)


def renew(folder: str | Path, *, hosts: Iterable[str] = (), days: int = 365) -> Validity:
    """Sign a new certificate and key with the authority of a folder; the token stays as it is.

    Nodes with the former certificate and nodes with the new one take each other, so that they can
    be given it one after the other. The hosts of the former one are kept.

    Raises
    ------
    CertificateError
        If there is no authority, or it has ended.
    """
    base = Path(folder)
    authority, key = _authority(base)
    former = _former_hosts(base / CERTIFICATE)
    return _sign(base, _names([*ALWAYS, *former, *hosts]), days, authority, key)


def _sign(
    base: Path,
    names: "SubjectAlternativeName",
    days: int,
    authority: "Certificate",
    authority_key: "EllipticCurvePrivateKey",
) -> Validity:
    """Write the certificate of all nodes and its key, and a token where there is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(datetime.now(UTC) + timedelta(days=days), authority.not_valid_after_utc)
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_name("Nunatak node"), authority.subject, ends)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
    )
    certificate = builder.sign(authority_key, hashes.SHA256())
    _write(base / KEY, _private(key))
    _write(base / CERTIFICATE, _public(certificate))
    if not (base / RAY_TOKEN).exists():
        # Without a line's end: it goes into an HTTP header as it is.
        _write(base / RAY_TOKEN, secrets.token_hex(32).encode())
    return validity(certificate)


def _new_authority(days: int) -> tuple["Certificate", "EllipticCurvePrivateKey"]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    # A number of its own, so that two authorities are told apart by their names too.
    name = _name(f"Nunatak authority {secrets.token_hex(4)}")
    ends = datetime.now(UTC) + timedelta(days=max(days, AUTHORITY_YEARS * 365))
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(name, name, ends)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _authority(base: Path) -> tuple["Certificate", "EllipticCurvePrivateKey"]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        authority = x509.load_pem_x509_certificate((base / AUTHORITY).read_bytes())
        key = load_pem_private_key((base / AUTHORITY_KEY).read_bytes(), password=None)
    except OSError as error:
        msg = f"{error.filename}: {error.strerror}; renewing needs {AUTHORITY} and {AUTHORITY_KEY} "
        raise CertificateError(msg + "of the authority that signed the former one") from error
    except (ValueError, TypeError):
        msg = f"{base / AUTHORITY} or {base / AUTHORITY_KEY} is not as `nunatak certificates` wrote"
        raise CertificateError(msg + " it; copy both from where they were made") from None
    if (
        not isinstance(key, ec.EllipticCurvePrivateKey)
        or key.public_key() != authority.public_key()
    ):
        msg = f"{base / AUTHORITY_KEY} is not the key of {base / AUTHORITY}; copy both from the "
        raise CertificateError(msg + "same folder")
    if authority.not_valid_after_utc <= datetime.now(UTC):
        msg = f"{base / AUTHORITY} ended on {authority.not_valid_after_utc:%Y-%m-%d}; make another "
        raise CertificateError(msg + "authority in another folder, and give it to every node")
    return authority, key


def _former_hosts(path: Path) -> tuple[str, ...]:
    from cryptography import x509

    if not path.exists():
        return ()
    try:
        return validity(x509.load_pem_x509_certificate(path.read_bytes())).hosts
    except ValueError as error:
        msg = f"{path} holds no certificate whose hosts could be kept ({error}); remove it first"
        raise CertificateError(msg) from error


def _names(hosts: Iterable[str]) -> "SubjectAlternativeName":
    from cryptography import x509

    found = list(dict.fromkeys(name for host in hosts for name in _expanded(host.strip())))
    if len(found) > MOST_HOSTS:
        msg = f"{len(found)} hosts are more than a certificate can name ({MOST_HOSTS}); give Ray's "
        raise CertificateError(msg + "nodes a smaller network of their own")
    return x509.SubjectAlternativeName(found)


def _expanded(host: str) -> list["GeneralName"]:
    """Return the names of a host: itself, or all addresses of a network."""
    from cryptography import x509

    try:
        network = ipaddress.ip_network(host)
    except ValueError as error:
        if not _NAME.fullmatch(host):
            msg = f"{host!r} is no host; expected a name, an address or a network such as "
            raise CertificateError(msg + f"10.77.4.0/24 ({error})") from error
        return [x509.DNSName(host)]
    if network.num_addresses > MOST_HOSTS:
        msg = f"{host} has {network.num_addresses} addresses; a certificate can name {MOST_HOSTS}"
        raise CertificateError(msg + "; give Ray's nodes a smaller network of their own")
    return [x509.IPAddress(address) for address in network]


def _builder(subject: "Name", issuer: "Name", ends: datetime) -> "CertificateBuilder":
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - CLOCK_SKEW)
        .not_valid_after(ends)
    )


def _name(text: str) -> "Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, signs: bool) -> "KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _make_private(base: Path) -> None:
    """Make the folder for its owner alone; one that exists keeps the mode that somebody chose."""
    if not base.is_dir():
        base.mkdir(parents=True, mode=0o700)


def _write(path: Path, data: bytes) -> None:
    """Write a file for its owner alone, whole or not at all."""
    # mkstemp gives the mode 0600 from the first moment on.
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
