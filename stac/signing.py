"""Signed addresses for data that a service gives out by tokens only.

The Planetary Computer keeps its data in Azure blobs: who asks for a token of a container, without
an account, may read it for about an hour. A token is kept until shortly before it ends, is never
part of a message, and an address in a record never carries one.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

import urllib3

from stac import landsat_services
from stac.locations import CONNECT_SECONDS, READ_SECONDS
from stac.queries import QueryError, instant
from stac.retrying import bounded_retry

SAS = "https://planetarycomputer.microsoft.com/api/sas/v1"
BLOB_HOST = ".blob.core.windows.net"
MARGIN = timedelta(minutes=5)
"""A token is renewed this long before it ends, so that a read that begins with it can finish."""
SECRETS = frozenset(
    {"sig", "signature", "x-amz-signature", "x-amz-security-token", "awsaccesskeyid", "token"}
)
_CONTAINER = re.compile(r"[a-z0-9$][a-z0-9-]{1,62}")


class SigningError(ConnectionError):
    """No token can be had; the message never holds one."""


def unsigned(href: str) -> str:
    """Return an address without the signature that it may carry.

    >>> unsigned("https://a.blob.core.windows.net/c/b.TIF?st=1&sig=x")
    'https://a.blob.core.windows.net/c/b.TIF'
    """
    if "?" not in href or "://" not in href:
        return href
    parts = urlsplit(href)
    names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    return urlunsplit(parts._replace(query="")) if names & SECRETS else href


def signed(href: str, service: str) -> str:
    """Return an address that can be read now; the same one where the service needs no signature.

    Raises
    ------
    SigningError
        If no token comes.
    """
    if landsat_services.named(service).signing != "planetary-computer":
        return href
    return PLANETARY_COMPUTER.signed(href)


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    ends: datetime


@dataclass
class Signer:
    """Signs addresses with tokens from `sas`, one for each container; safe between threads."""

    sas: str = SAS
    margin: timedelta = MARGIN
    _tokens: dict[tuple[str, str], _Token] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def signed(self, href: str) -> str:
        """Return an address in Azure with a token; any other address as it is."""
        parts = urlsplit(href)
        host = (parts.hostname or "").lower()
        if parts.scheme != "https" or not host.endswith(BLOB_HOST):
            return href
        account = host.removesuffix(BLOB_HOST)
        container = parts.path.removeprefix("/").partition("/")[0]
        if not _CONTAINER.fullmatch(container) or not _CONTAINER.fullmatch(account):
            return href
        token = self._token(account, container)
        return urlunsplit(urlsplit(unsigned(href))._replace(query=token))

    def _token(self, account: str, container: str) -> str:
        """Return a token that holds for a while; threads that need one wait for the first."""
        with self._lock:
            kept = self._tokens.get((account, container))
            if kept is None or kept.ends - self.margin <= datetime.now(UTC):
                kept = self._asked(account, container)
                self._tokens[account, container] = kept
            return kept.text

    def _asked(self, account: str, container: str) -> _Token:
        url = f"{self.sas}/token/{quote(account)}/{quote(container)}"
        try:
            answer = _POOL.request("GET", url)
        except urllib3.exceptions.HTTPError as error:
            msg = f"no token from {url} ({type(error).__name__}); check the network and repeat"
            raise SigningError(msg) from None
        if answer.status != 200:
            msg = f"no token from {url}: HTTP {answer.status}; check the container, or wait"
            raise SigningError(msg)
        try:
            told = json.loads(answer.data)
            return _Token(str(told["token"]), instant(str(told["msft:expiry"])))
        except (ValueError, KeyError, TypeError, QueryError):
            msg = f"{url} answers without token and msft:expiry; is it a SAS service?"
            raise SigningError(msg) from None


# A reader that cannot sign fails within seconds, and its task is tried again.
_POOL = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=bounded_retry()
)
PLANETARY_COMPUTER = Signer()
