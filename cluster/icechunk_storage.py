"""Where an Icechunk repository lies: opening, creating and locking it, and what its errors mean.

Icechunk commits by swapping a small reference object, and relies on the store to refuse the slower
of two swaps. S3 does (:func:`cluster.object_store.require_transactional` proves it for the server
at hand). A local disk does not: Icechunk's local storage reads the reference and then replaces it.
So on a local disk every change of a reference happens under an exclusive ``flock`` on a file beside
the repository, ``.product.icechunk.lock``. The kernel drops the lock when its holder dies, however
it dies. A network file system must support ``flock`` across its hosts for drivers on several hosts;
workers take no lock.
"""

import errno
import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import icechunk

from cluster import patience, s3_client
from cluster.address import Address
from cluster.object_store import StoreError, delete, list_objects
from cluster.patience import asked_again
from cluster.patient_repository import PatientRepository

Result = TypeVar("Result")
Owner = TypeVar("Owner")
Given = ParamSpec("Given")

# Icechunk gives the first, empty snapshot of every repository this name.
ROOT_SNAPSHOT = "1CECHNKREP0F1RSTCMT0"
CREATION_SECONDS = 10.0
RACES = 200
# References to chunks that a process keeps of manifests, some 60 bytes each. Every commit makes a
# new manifest of each array that it touches, and by default 15 million references are kept: memory
# that grows with every commit of a driver. A manifest of more than this is read anew each time.
KEPT_REFERENCES = 250_000
# A manifest lists so many chunks of an array at the most along its first dimension, and so many
# along each other one: 256 of a list, 4096 of a map, 65,536 of a series of maps. A commit writes
# anew the manifests that it touches: with one for each array, every commit would read, hold and
# write a list as long as the array, and memory would grow with the product.
CHUNKS_PER_MANIFEST = 256
CHUNKS_ACROSS = 16
LONGEST_PAUSE = 1.0


class NoRepository(StoreError):  # noqa: N818 - the absence is the message
    """There is no product at this address."""


def configuration() -> icechunk.RepositoryConfig:
    """Return how a process works with any repository: bounded in memory and in patience."""
    config = icechunk.RepositoryConfig.default()
    config.storage = icechunk.StorageSettings(retries=patience.retries())
    config.caching = icechunk.CachingConfig(num_chunk_refs=KEPT_REFERENCES)
    splitting = icechunk.ManifestSplittingConfig.from_dict(
        {
            icechunk.ManifestSplitCondition.AnyArray(): {
                icechunk.ManifestSplitDimCondition.Axis(0): CHUNKS_PER_MANIFEST,
                icechunk.ManifestSplitDimCondition.Any(): CHUNKS_ACROSS,
            }
        }
    )
    config.manifest = icechunk.ManifestConfig(splitting=splitting)
    return config


def quiet() -> None:
    """Silence the one warning that does not apply: we do lock local commits.

    Only that module of Icechunk is turned down; ``ICECHUNK_LOG``, where set, decides instead.
    """
    if "ICECHUNK_LOG" not in os.environ:
        icechunk.set_logs_filter("warn,icechunk::storage::object_store=error")


def storage(address: Address) -> icechunk.Storage:
    """Return Icechunk's storage for ``address``.

    On S3 the endpoint and the region come from the environment, and so do credentials, or from the
    platform's identity. None of them is pickled: each worker finds its own.
    """
    if address.is_local:
        return icechunk.local_filesystem_storage(address.path)
    endpoint = s3_client.endpoint()
    return icechunk.s3_storage(
        bucket=address.bucket,
        prefix=address.path,
        region=s3_client.region(),
        endpoint_url=endpoint,
        allow_http=endpoint is not None and endpoint.startswith("http://"),
        force_path_style=endpoint is not None,
        from_env=True,
    )


@contextmanager
def guard(address: Address) -> Iterator[None]:
    """Hold the lock of a local repository; on S3 the store itself refuses the slower writer."""
    if not address.is_local:
        yield
        return
    with translated(address, "locking"):
        path = address.local.with_name(f".{address.local.name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def translated(address: Address, doing: str) -> Iterator[None]:
    """Turn what the store raises while ``doing`` something into a :class:`StoreError`.

    A lost race (:class:`icechunk.ConflictError`) is no error of the store and passes through.
    """
    try:
        yield
    except (icechunk.IcechunkError, OSError) as error:
        msg = f"{doing} {address.url} failed: {explained(error)}"
        raise StoreError(msg) from error


def steady(
    doing: str,
) -> Callable[
    [Callable[Concatenate[Owner, Given], Result]], Callable[Concatenate[Owner, Given], Result]
]:
    """Make a reader ask again where answers break off, and tell errors as :func:`translated` does.

    For methods of what has an ``address``, and for functions whose first argument is one. They
    must look at the store anew each time that they are called.
    """

    def made(
        read: Callable[Concatenate[Owner, Given], Result],
    ) -> Callable[Concatenate[Owner, Given], Result]:
        @wraps(read)
        def reader(owner: Owner, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
            where: Any = getattr(owner, "address", owner)
            with translated(where, doing):
                return asked_again(lambda: read(owner, *args, **kwargs))

        return reader

    return made


def explained(error: BaseException) -> str:
    """Return what was found in the store and what to do about it, in one sentence."""
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOSPC, errno.EDQUOT} or "No space left" in text or "quota" in text.lower():
        return (
            "no space is left on the device; what was committed before is intact; free or add "
            "space, or choose another output, and run the same command again"
        )
    if number == errno.EACCES or "Permission denied" in text or "AccessDenied" in text:
        return "permission was denied; allow this user to read and write there"
    first = next((line.strip(" |x`->") for line in text.splitlines() if line.strip()), repr(error))
    return (
        f"{first}; what was committed before is intact; once the store answers again, run the same "
        "command again"
    )


@steady("opening")
def open_or_create(address: Address) -> PatientRepository:
    """Open the repository at ``address``, creating it first where there is none.

    Creation takes two writes, a snapshot and then the branch ``main``. Whoever is killed between
    them leaves a place that holds no repository and yet is not empty, which Icechunk refuses; such
    a leftover is recognised by its only name and removed, once another maker had time to finish.
    """
    deadline = time.monotonic() + (0.0 if address.is_local else CREATION_SECONDS)
    with guard(address):
        while not _exists(address):
            try:
                # Without a configuration, which would be one more object to be killed before.
                patience.change(
                    lambda: icechunk.Repository.create(storage(address)),
                    limited=not address.is_local,
                )
            except icechunk.IcechunkError as error:
                if "clean prefixes" not in str(error) and "conflict" not in str(error):
                    raise
                if time.monotonic() >= deadline:
                    _remove_leftover(address)
                else:
                    time.sleep(0.5)
        return _opened(address)


@steady("opening")
def open_existing(address: Address) -> PatientRepository:
    """Open the repository at ``address``; :class:`NoRepository` if there is none."""
    # Icechunk makes the folder of any local storage that it is asked about.
    there = not address.is_local or address.local.is_dir()
    if not (there and _exists(address)):
        msg = f"{address.url} holds no product; run its run file first, or correct the address"
        raise NoRepository(msg)
    return _opened(address)


def _exists(address: Address) -> bool:
    return patience.read(
        lambda: icechunk.Repository.exists(storage(address)), limited=not address.is_local
    )


def _opened(address: Address) -> PatientRepository:
    limited = not address.is_local
    found = patience.read(
        lambda: icechunk.Repository.open(storage(address), configuration()), limited=limited
    )
    return PatientRepository(found, limited=limited)


def _remove_leftover(address: Address) -> None:
    found = list_objects(address.url)
    if not all(name.startswith(f"snapshots/{ROOT_SNAPSHOT}") for name in found):
        msg = (
            f"{address.url} holds no product but other files ({found[0]}, ...); choose an empty "
            "place for the output"
        )
        raise StoreError(msg)
    for name in found:
        delete(address.join(name).url)


def settled(address: Address, doing: str, attempt: Callable[[], Result | None]) -> Result:
    """Return the first result of ``attempt`` that is not None, racing against other writers.

    Every attempt runs under :func:`guard` and returns None where somebody else was faster; it has
    to look at the repository anew each time, and so may also be made again after an answer that
    broke off, even if the change itself was made. Pauses between attempts are random and grow, so
    that many committers come through one by one.
    """
    for lost in range(RACES):
        with guard(address), translated(address, doing):
            result = asked_again(attempt)
        if result is not None:
            return result
        time.sleep(random.uniform(0.0, min(LONGEST_PAUSE, 0.01 * 2.0 ** min(lost, 10))))  # noqa: S311
    msg = (
        f"{doing} {address.url} lost {RACES} races against other writers; run fewer drivers on one "
        "output, then the same command again"
    )
    raise StoreError(msg)


def won(change: Callable[[], object]) -> bool:
    """Make a change of references and return whether it took; False where the race was lost."""
    try:
        change()
    except icechunk.ConflictError:
        return False
    except icechunk.IcechunkError as error:
        if "conflict" in str(error) or "already exists" in str(error):
            return False
        raise
    return True
