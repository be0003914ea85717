"""Published versions: the tags ``v1``, ``v2``, ... and ``main``, which readers follow.

A version is published by tagging its tip and then pointing ``main`` at it. Killed in between, the
tag names a complete version that readers do not see yet; publishing again finds the tag and moves
``main``. Rolling back moves ``main`` to an older tag. No step deletes anything.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import icechunk

from cluster.address import Address
from cluster.icechunk_storage import ROOT_SNAPSHOT, settled, translated, won
from cluster.patience import asked_again
from cluster.patient_repository import PatientRepository

_TAG = re.compile(r"v([1-9][0-9]*)")


class NoVersion(LookupError):  # noqa: N818 - the absence is the message
    """There is no such version, or none is published yet."""


@dataclass(frozen=True)
class Published:
    """One published version.

    Attributes
    ----------
    tag : str
        ``v1``, ``v2``, ...
    run_id : str
        Identity of the run that made it.
    time : datetime
        When its last commit was made (UTC).
    snapshot : str
        Its snapshot in the repository.
    current : bool
        Whether ``main``, and so every reader, is at this version.
    """

    tag: str
    run_id: str
    time: datetime
    snapshot: str
    current: bool


def shown(repository: PatientRepository) -> str | None:
    """Return the snapshot at ``main``, or None while that is still the empty root."""
    snapshot = repository.lookup_branch("main")
    return None if snapshot == ROOT_SNAPSHOT else snapshot


def tags(repository: PatientRepository) -> dict[str, str]:
    """Return the snapshot of each version tag, oldest first.

    Each number is asked for, up to the first one that neither exists nor is listed: Icechunk's list
    leaves out, without a word, a tag whose object it could not read.
    """
    last = max(map(_number, repository.list_tags()), default=0)
    found: dict[str, str] = {}
    for number in count(1):
        snapshot = _tagged(repository, f"v{number}")
        if snapshot is not None:
            found[f"v{number}"] = snapshot
        elif number > last:
            return found
    raise AssertionError


def _tagged(repository: PatientRepository, name: str) -> str | None:
    """Return the snapshot of a tag, None if there is none; an error where it cannot be read."""
    try:
        return repository.lookup_tag(name)
    except icechunk.IcechunkError as error:
        if "ref not found" in str(error):
            return None
        raise


def lookup(repository: PatientRepository, address: Address, version: str) -> str:
    """Return the snapshot of a published version, given its tag or the snapshot itself."""
    known = tags(repository)
    if version in known.values():
        return version
    if version not in known:
        names = ", ".join(known) or "none: nothing is published yet"
        msg = f"{address.url} has no version {version!r}; choose one of {names}"
        raise NoVersion(msg)
    return known[version]


def history(repository: PatientRepository) -> list[Published]:
    """Return the published versions, oldest first."""
    current = shown(repository)
    found = []
    for tag, snapshot in tags(repository).items():
        info = repository.lookup_snapshot(snapshot)
        run_id = info.metadata["run_id"]
        found.append(Published(tag, run_id, info.written_at, snapshot, current == snapshot))
    return found


def publish(repository: PatientRepository, address: Address, snapshot: str) -> str:
    """Tag ``snapshot`` unless it is tagged, show it to readers, and return the tag."""

    def tagged() -> str | None:
        known = tags(repository)
        for name, holder in known.items():
            if holder == snapshot:
                return name
        name = f"v{1 + max(map(_number, known), default=0)}"
        return name if won(lambda: repository.create_tag(name, snapshot)) else None

    tag = settled(address, "tagging a version of", tagged)
    show(repository, address, snapshot)
    return tag


def show(repository: PatientRepository, address: Address, snapshot: str) -> None:
    """Point ``main`` at ``snapshot`` in one step; the last of several callers prevails."""

    def moved() -> bool | None:
        seen = repository.lookup_branch("main")
        if seen == snapshot:
            return True
        return won(lambda: repository.reset_branch("main", snapshot, from_snapshot_id=seen)) or None

    settled(address, "publishing to", moved)


def roll_back(repository: PatientRepository, address: Address, tag: str) -> None:
    """Show readers the version ``tag`` again."""
    with translated(address, "reading"):
        snapshot = asked_again(lambda: lookup(repository, address, tag))
    show(repository, address, snapshot)


def _number(tag: str) -> int:
    match = _TAG.fullmatch(tag)
    return int(match[1]) if match else 0
