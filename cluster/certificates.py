"""Where the certificates of a cluster are, whether they can be used, and who must be told.

A folder holds ``ca.crt``, ``tls.crt`` and ``tls.key``, the names of a Kubernetes secret. Every node
and every driver has the same three: each shows ``tls.crt`` to the other side and takes only sides
whose certificate the same authority signed. :mod:`cluster.certificate_authority` makes them.
``NUNATAK_TLS_FOLDER`` tells a process of ours where they are; processes that are not ours (``dask
scheduler``, ``ray start``) get :func:`environment`.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

logger = logging.getLogger(__name__)

FOLDER = "NUNATAK_TLS_FOLDER"
AUTHORITY, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"
RAY_TOKEN = "ray-token"  # noqa: S105 - the name of the file
# Before a certificate ends, so long is left to make and spread another one.
SOON = timedelta(days=21)
_REMEDY = "`nunatak certificates FOLDER --renew` signs a new one with the same authority"


class CertificateError(ValueError):
    """Certificates that are missing, have ended or do not belong together."""


@dataclass(frozen=True)
class Validity:
    """How long the certificate of a folder holds, and for whom.

    Attributes
    ----------
    begins, ends : datetime
        In UTC.
    hosts : tuple of str
        Names and addresses under which its holder may be reached.
    """

    begins: datetime
    ends: datetime
    hosts: tuple[str, ...]

    def ends_soon(self) -> bool:
        """Whether it is time for the next one."""
        return self.ends - datetime.now(UTC) < SOON


def folder(source: Mapping[str, str] | None = None) -> Path | None:
    """Return the folder that ``NUNATAK_TLS_FOLDER`` names, None if connections are plain."""
    named = (os.environ if source is None else source).get(FOLDER, "").strip()
    return Path(named) if named else None


def environment(folder: str | Path) -> dict[str, str]:
    """Return the variables that make Dask and Ray use the certificates of a folder.

    It need not exist here: the processes may run where it is mounted.

    Examples
    --------
    >>> environment("/etc/nunatak/tls")["RAY_TLS_SERVER_KEY"]
    '/etc/nunatak/tls/tls.key'
    """
    return {FOLDER: str(folder), **dask_environment(folder), **ray_environment(folder)}


def dask_environment(folder: str | Path) -> dict[str, str]:
    """Return the part of :func:`environment` that Dask reads."""
    return {
        "DASK_" + name.upper().replace(".", "__").replace("-", "_"): str(value)
        for name, value in dask_configuration(folder).items()
    }


def dask_configuration(folder: str | Path) -> dict[str, object]:
    """Return the settings of Dask under which every connection shows and demands a certificate."""
    base = Path(folder)
    sides = {
        f"distributed.comm.tls.{side}.{part}": str(base / name)
        for side in ("scheduler", "worker", "client")
        for part, name in (("cert", CERTIFICATE), ("key", KEY))
    }
    return {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": str(base / AUTHORITY),
        "distributed.comm.tls.min-version": 1.3,
        **sides,
    }


def ray_environment(folder: str | Path) -> dict[str, str]:
    """Return the part of :func:`environment` that Ray reads."""
    base = Path(folder)
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(base / CERTIFICATE),
        "RAY_TLS_SERVER_KEY": str(base / KEY),
        "RAY_TLS_CA_CERT": str(base / AUTHORITY),
    }


def require_usable(folder: str | Path) -> Validity:
    """Return how long the certificate of a folder holds; a warning is logged where that is short.

    Raises
    ------
    CertificateError
        If a file is missing or is none of its kind, if the certificate has ended or not begun, or
        if the three files do not belong together.
    """
    base = Path(folder)
    authority = _certificate(base / AUTHORITY)
    certificate = _certificate(base / CERTIFICATE)
    _require_signed(base, certificate, authority)
    _require_key(base, certificate)
    _require_time(base / AUTHORITY, authority)
    _require_time(base / CERTIFICATE, certificate)
    found = validity(certificate)
    if found.ends_soon():
        left = (found.ends - datetime.now(UTC)).days
        logger.warning("%s ends in %d days; %s", base / CERTIFICATE, left, _REMEDY)
    return found


def validity(certificate: "Certificate") -> Validity:
    """Return when a certificate holds, and its names and addresses."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(str(each.value) for each in names)
    except x509.ExtensionNotFound:
        hosts = ()
    return Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc, hosts)


def _certificate(path: Path) -> "Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(_content(path))
    except ValueError as error:
        if isinstance(error, CertificateError):
            raise
        msg = f"{path} holds no certificate in PEM ({error}); expected what `nunatak certificates` "
        raise CertificateError(msg + "wrote under this name") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path}: {error.strerror}; {FOLDER} must name a folder with {AUTHORITY}, "
        msg += f"{CERTIFICATE} and {KEY}, which `nunatak certificates FOLDER` makes"
        raise CertificateError(msg) from error


def _require_signed(base: Path, certificate: "Certificate", authority: "Certificate") -> None:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        msg = f"{base / CERTIFICATE} was not signed by {base / AUTHORITY}, so no other node would "
        msg += "take it; copy both from the same folder"
        raise CertificateError(msg) from error


def _require_key(base: Path, certificate: "Certificate") -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _content(base / KEY)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not chained: an error about a key need not tell more of it.
        msg = f"{base / KEY} holds no private key in PEM; copy it again from where it was made"
        raise CertificateError(msg) from None
    if key.public_key() != certificate.public_key():
        msg = f"{base / KEY} is not the key of {base / CERTIFICATE}; copy both from the same folder"
        raise CertificateError(msg)


def _require_time(path: Path, certificate: "Certificate") -> None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        msg = f"{path} ended on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; {_REMEDY}"
        raise CertificateError(msg)
    if now < certificate.not_valid_before_utc:
        begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        msg = f"{path} holds from {begins} on, and the clock here says {now:%Y-%m-%d %H:%M} UTC; "
        raise CertificateError(msg + "set the clock of this machine, or wait")
