"""What went wrong with a store, in words: what was found, what is needed, what to do.

Errors of the operating system and of S3 arrive here and leave as :class:`StoreError`. Messages are
built from codes, addresses and names of environment variables, never from their values.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.memory import mebibytes
from cluster.redaction import redact


class StoreError(ValueError):
    """A store cannot be read or written as asked."""


class MissingObjectError(StoreError, LookupError):
    """There is nothing at the address."""


class TransactionError(StoreError):
    """A store does not keep the promises that transactions stand on."""


_CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where used)"

# Code of the answer → what it means and what to do. {bucket} and {endpoint} are filled in.
_S3_CODES = {
    "NoSuchBucket": "there is no bucket {bucket!r} at {endpoint}; create it or correct the address",
    "SignatureDoesNotMatch": "{endpoint} refused the signature: the secret key does not belong to "
    f"the key id; check {_CREDENTIALS}",
    "InvalidAccessKeyId": "{endpoint} does not know the key id; check AWS_ACCESS_KEY_ID, and "
    "AWS_ENDPOINT_URL if it belongs to another store",
    "AccessDenied": "{endpoint} forbids it with these credentials; ask for permission to read, "
    "write, list and delete in bucket {bucket!r}, or use other credentials",
    "ExpiredToken": "the session has expired; renew the credentials and run again",
    "InvalidToken": "the session token is not valid; renew the credentials and run again",
    "RequestTimeTooSkewed": "the clocks of this machine and of {endpoint} differ too much; set the "
    "clock of this machine",
    "PermanentRedirect": "bucket {bucket!r} lives in another region; set AWS_REGION to it",
    "AuthorizationHeaderMalformed": "bucket {bucket!r} lives in another region; set AWS_REGION",
    "IllegalLocationConstraintException": "bucket {bucket!r} lives in another region; set "
    "AWS_REGION",
    "SlowDown": "{endpoint} asks for fewer requests; run again with fewer workers",
    "XMinioStorageFull": "the disk behind {endpoint} is full; make room there and run again",
    "InsufficientStorage": "the disk behind {endpoint} is full; make room there and run again",
}
_SAME_AS = {"403": "AccessDenied", "Forbidden": "AccessDenied", "507": "InsufficientStorage"}
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})

# Class of botocore's exception → what it means and what to do.
_S3_FAILURES = {
    "NoCredentialsError": f"no credentials were found; set {_CREDENTIALS}, or AWS_PROFILE",
    "PartialCredentialsError": f"the credentials are incomplete; set {_CREDENTIALS}",
    "EndpointConnectionError": "nothing answers at {endpoint}; check AWS_ENDPOINT_URL and the "
    "network",
    "ConnectTimeoutError": "{endpoint} cannot be reached in time; check AWS_ENDPOINT_URL and the "
    "network (NUNATAK_STORE_TIMEOUT says how long to wait)",
    "ReadTimeoutError": "{endpoint} accepted the request and then stayed silent; try again later, "
    "or wait longer with NUNATAK_STORE_TIMEOUT",
    "ConnectionClosedError": "{endpoint} closed the connection; check that an S3 store listens "
    "there",
    "ProxyConnectionError": "the proxy cannot be reached; check HTTPS_PROXY and NO_PROXY",
    "SSLError": "the certificate of {endpoint} cannot be verified; check AWS_CA_BUNDLE, or whether "
    "AWS_ENDPOINT_URL should begin with http://",
    "ProfileNotFound": "the profile named by AWS_PROFILE does not exist; correct or unset it",
    "ResponseParserError": "{endpoint} gave an answer that is not S3's; check AWS_ENDPOINT_URL",
}


def explain_s3(error: Exception, url: str, bucket: str, endpoint: str) -> StoreError:
    """Return what an error of S3 means.

    Parameters
    ----------
    error : Exception
        Raised by botocore.
    url, bucket, endpoint : str
        What was asked for, and where.
    """
    names = {"bucket": bucket, "endpoint": redact(endpoint)}
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        answer = response["Error"]
        code = str(answer.get("Code", ""))
        if code in _MISSING:
            return MissingObjectError(f"{url}: there is nothing at this address; check it")
        known = _S3_CODES.get(_SAME_AS.get(code, code))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", "no status")
        text = redact(str(answer.get("Message", "")))
        meaning = known or "{endpoint} answered " + f"{code} ({status}): {_plain(text)}"
        return StoreError(f"{url}: {meaning.format(**names)}")
    for kind in type(error).__mro__:
        if kind.__name__ in _S3_FAILURES:
            return StoreError(f"{url}: {_S3_FAILURES[kind.__name__].format(**names)}")
    return StoreError(f"{url}: {type(error).__name__}: {redact(str(error))}")


def explain_os(error: OSError, path: Path) -> StoreError:
    """Return what an error of the operating system means for ``path``."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError(
            f"{path}: the disk is full ({_free(path)} free) and what was written before is "
            "intact; make room or write elsewhere, then run the same command again"
        )
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        what = "the disk is read-only" if error.errno == errno.EROFS else "permission is denied"
        return StoreError(f"{path}: {what}; choose a folder that this user may read and write")
    if error.errno == errno.ENOENT:
        return MissingObjectError(f"{path}: there is nothing at this address; check it")
    if error.errno in {errno.ENOTDIR, errno.EISDIR, errno.EEXIST}:
        return StoreError(
            f"{path}: a file stands where a folder is needed, or the reverse "
            f"({os.strerror(error.errno)}); move it or choose another address"
        )
    reason = error.strerror or type(error).__name__
    return StoreError(f"{path}: {reason}; check the disk and the address")


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system within the block into :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        raise explain_os(error, path) from error


def _free(path: Path) -> str:
    for folder in (path, *path.parents):
        if folder.is_dir():
            return mebibytes(shutil.disk_usage(folder).free)
    return "unknown space"


def _plain(text: str) -> str:
    """Keep braces of a server's message away from ``str.format``."""
    return text.replace("{", "(").replace("}", ")") or "no message"
