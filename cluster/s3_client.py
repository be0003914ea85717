"""The one way to an S3 store: set up by the environment, every wait bounded."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from cluster import settings
from cluster.address import Address
from cluster.redaction import redact
from cluster.store_errors import StoreError, explain_s3

# A first try and two more: enough for a dropped connection, little enough to stay below a minute.
_ATTEMPTS = 3
_CONNECT_SECONDS = 5.0
_DEFAULT_REGION = "us-east-1"


def endpoint() -> str | None:
    """Return the address of the S3 store, or None for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def region() -> str:
    """Return the region that requests are signed for."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name):
            return os.environ[name]
    return _DEFAULT_REGION


def client(*, attempts: int = _ATTEMPTS) -> Any:
    """Return a client of the S3 store that the environment names.

    Parameters
    ----------
    attempts : int
        How often a request is sent before it counts as failed; 1 where a repeated request could
        not be told from the first, as in a race.
    """
    timeout = settings.read().store_timeout
    return _client(endpoint(), region(), timeout, attempts, _fingerprint())


def filesystem_options() -> dict[str, Any]:
    """Return the arguments that give ``s3fs`` the same endpoint, region and patience."""
    timeout = settings.read().store_timeout
    return {
        "endpoint_url": endpoint(),
        "client_kwargs": {"region_name": region()},
        "config_kwargs": _configuration(timeout, _ATTEMPTS),
        "use_listings_cache": False,
    }


@contextmanager
def s3_errors(address: Address) -> Iterator[None]:
    """Turn errors of S3 within the block, also those of ``s3fs``, into :class:`StoreError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    where = redact(endpoint() or "") or f"Amazon S3 in {region()}"
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        # botocore's own text may hold key ids and signed headers, so it is not chained.
        raise explain_s3(error, address.url, address.bucket, where) from None
    except OSError as error:
        cause = error.__cause__
        if isinstance(cause, BotoCoreError | ClientError):
            raise explain_s3(cause, address.url, address.bucket, where) from None
        msg = f"{address.url}: {redact(str(error))}; check the address and {where}"
        raise StoreError(msg) from error
    except ValueError as error:
        if "endpoint" not in str(error):
            raise
        msg = f"AWS_ENDPOINT_URL is no address of a server; expected http(s)://host:port ({where})"
        raise StoreError(msg) from None


def _configuration(timeout: float, attempts: int) -> dict[str, Any]:
    return {
        "connect_timeout": min(timeout, _CONNECT_SECONDS),
        "read_timeout": timeout,
        "retries": {"mode": "standard", "total_max_attempts": attempts},
        "max_pool_connections": 32,
        # Names of buckets are part of the path: only Amazon resolves bucket.host for every bucket.
        "s3": {"addressing_style": "path" if endpoint() else "auto"},
    }


def _fingerprint() -> str:
    """Return a digest of every AWS variable, so that changed credentials mean a new client."""
    pairs = sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


@lru_cache(maxsize=16)
def _client(
    url: str | None, region_name: str, timeout: float, attempts: int, fingerprint: str
) -> Any:
    import boto3
    from botocore.config import Config

    del fingerprint  # part of the key of the cache only
    return boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        region_name=region_name,
        config=Config(**_configuration(timeout, attempts)),
    )
