"""Find out in a second why two sides do not take each other, where libraries would try for long.

Dask and Ray repeat a connection whose certificate was refused until their time is over, and then
say that it is over. Here the same certificates are shown once, with Python's own TLS, and what goes
wrong is told with what to change. Nothing is sent after the handshake.
"""

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from cluster import certificates
from cluster.certificates import AUTHORITY, CERTIFICATE, KEY, CertificateError

_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_HOST = frozenset({62, 64})  # a name, an address
_TELL = "start it with what `nunatak certificates FOLDER --environment` prints"


def require_accepted(
    host: str,
    port: int,
    folder: Path,
    *,
    timeout: float,
    protocols: Sequence[str] = (),
    named: bool = False,
) -> None:
    """Refuse a server that does not take our certificate, or whose certificate is not ours.

    Parameters
    ----------
    host, port
        Of a server that speaks first, as those of Dask and gRPC do.
    folder : Path
        With our certificates.
    timeout : float
        For each step [s].
    protocols : sequence of str
        What is asked for by ALPN, ``h2`` of gRPC.
    named : bool
        Whether the certificate must name ``host``.

    Raises
    ------
    CertificateError
        Also if our own certificates cannot be used.
    OSError
        If nothing listens there.
    """
    certificates.require_usable(folder)
    context = _context(folder, protocols, named=named)
    where = f"{host}:{port}"
    with socket.create_connection((host, port), timeout=timeout) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as encrypted:
                # With TLS 1.3 a server judges our certificate after our side is done.
                if not encrypted.recv(1):
                    raise _refused(where, folder, "it closed the connection")
        except ssl.SSLCertVerificationError as error:
            raise _not_trusted(where, host, folder, error) from error
        except ssl.SSLError as error:
            raise _failed(where, folder, error) from error
        except TimeoutError as error:
            msg = f"{where} does not speak TLS: no answer within {timeout:g} s; {_TELL}"
            raise CertificateError(msg) from error
        except ConnectionError as error:
            raise _refused(where, folder, str(error)) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can be meant.

    >>> is_loopback("127.0.0.9"), is_loopback("::1"), is_loopback("10.0.0.1"), is_loopback("other")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(folder: Path, protocols: Sequence[str], *, named: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = named
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=folder / AUTHORITY)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def _not_trusted(
    where: str, host: str, folder: Path, error: ssl.SSLCertVerificationError
) -> CertificateError:
    if error.verify_code == _EXPIRED:
        msg = f"the certificate of {where} has ended; renew it and start that server again"
    elif error.verify_code == _NOT_YET_VALID:
        msg = f"the certificate of {where} is not valid yet; compare the clocks of both machines"
    elif error.verify_code in _OTHER_HOST:
        msg = f"the certificate of {where} does not name {host}; add it: nunatak certificates "
        msg += f"FOLDER --renew --host {host}"
    else:
        msg = f"the certificate of {where} was not signed by {folder / AUTHORITY} "
        msg += f"({error.verify_message}); give both sides certificates of one folder"
    return CertificateError(msg)


def _failed(where: str, folder: Path, error: ssl.SSLError) -> CertificateError:
    reason = error.reason or str(error)
    if "ALERT" in reason:
        return _refused(where, folder, reason.lower().replace("_", " "))
    msg = f"{where} does not speak TLS ({reason.lower().replace('_', ' ')}); {_TELL}"
    return CertificateError(msg)


def _refused(where: str, folder: Path, said: str) -> CertificateError:
    msg = f"{where} refuses {folder / CERTIFICATE} ({said}); give both sides certificates of one "
    return CertificateError(msg + "folder, compare their clocks, and see that server's log")
