"""The transactional product: versions that are worked on apart and published whole.

Layout of the Icechunk repository, by custom at ``OUTPUT/product.icechunk``::

    main            what readers see: the empty root, or the tip of a complete version
    origin          the empty root, from which every version starts
    work-<run id>   one branch per version, where all work is committed
    v1, v2, ...     tags of the versions that were published, in order

Nothing but :meth:`Version.publish` and :meth:`Repository.roll_back` moves ``main``, and each moves
it in one step from one complete version to another: a reader never sees half a version.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import zarr

from cluster import icechunk_storage, releases
from cluster.address import Address, parse
from cluster.icechunk_storage import ROOT_SNAPSHOT, NoRepository, guard, steady, won
from cluster.ledger import Receipt
from cluster.object_store import require_transactional
from cluster.patience import root_group
from cluster.patient_repository import PatientRepository
from cluster.patient_store import PatientStore
from cluster.releases import NoVersion, Published
from cluster.version import Version

__all__ = [
    "NoRepository",
    "NoVersion",
    "Published",
    "Repository",
    "Version",
    "VersionConflict",
    "receipts_of",
]

_IDENTITY_LENGTH = 12
_MOST_DIFFERENCES = 8


class VersionConflict(ValueError):  # noqa: N818 - the house's name for it
    """The output holds the work of another run."""


@dataclass(frozen=True)
class _Work:
    """A work branch as its tip describes it."""

    branch: str
    tip: str
    begun: str
    run_id: str
    number: int


class Repository:
    """All versions of one product; :meth:`open` makes one.

    Parameters
    ----------
    repository : PatientRepository
        The open repository.
    address : Address
        Where it lies.
    """

    def __init__(self, repository: PatientRepository, address: Address) -> None:
        self._repository = repository
        self.address = address

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> "Repository":
        """Open the repository at ``url``, creating it where there is none.

        Parameters
        ----------
        url : str
            Address of the repository itself: a path, ``file://`` or ``s3://bucket/prefix``.
        read_only : bool
            Neither create anything nor test the store; for readers and ``nunatak status``.

        Raises
        ------
        TransactionError
            If the store does not honour conditional writes.
        NoRepository
            If ``read_only`` and there is nothing.
        """
        icechunk_storage.quiet()
        address = parse(url)
        if read_only:
            return cls(icechunk_storage.open_existing(address), address)
        with guard(address):
            # Beside the repository, whose own place must be empty when it is created.
            require_transactional(_beside(address))
        opened = cls(icechunk_storage.open_or_create(address), address)
        opened._make_origin()
        return opened

    @steady("beginning a version in")
    def begin(
        self, run_id: str, *, fresh: bool = False, describe: Mapping[str, str] | None = None
    ) -> Version:
        """Return the version that ``run_id`` is to work on.

        It continues the newest version, or the one that readers see, if it belongs to the same run,
        finished or not. A repository without versions gets its first.

        Parameters
        ----------
        run_id : str
            Identity of the run, letters and digits: equal ids promise equal results.
        fresh : bool
            Start a new version from nothing, whatever exists.
        describe : mapping of str to str, optional
            The choices behind ``run_id``, kept with the version to explain later conflicts.

        Raises
        ------
        VersionConflict
            If the versions there belong to other runs and ``fresh`` is not given.
        """
        if re.fullmatch(r"[A-Za-z0-9]+", run_id) is None:
            msg = f"run id {run_id!r} cannot name a branch; use letters and digits only"
            raise ValueError(msg)
        choices = dict(describe or {})
        with guard(self.address):
            works = self._works()
            if works and not fresh:
                return self._version(self._continued(works, run_id, choices))
            return self._version(self._started(works, run_id, choices))

    @steady("reading")
    def find(self, run_id: str) -> Version | None:
        """Return the version that :meth:`begin` would continue, or None; never makes one."""
        work = self._candidate(self._works(), run_id)
        return self._version(work) if work else None

    @steady("reading")
    def conflict(self, run_id: str, describe: Mapping[str, str] | None = None) -> str:
        """Return why :meth:`begin` would refuse ``run_id``; empty if it would not."""
        works = self._works()
        if not works:
            return ""
        try:
            self._continued(works, run_id, dict(describe or {}))
        except VersionConflict as error:
            return str(error)
        return ""

    @steady("reading")
    def published(self) -> str | None:
        """Return the snapshot that readers see, or None before the first publication."""
        return releases.shown(self._repository)

    @steady("reading")
    def read(self, version: str | None = None) -> PatientStore:
        """Return a read-only Zarr store of a complete version.

        Parameters
        ----------
        version : str, optional
            A tag or its snapshot; what ``main`` shows now if not given. The store stays at this
            version whatever is published later.
        """
        if version is not None:
            found = releases.lookup(self._repository, self.address, version)
        elif (shown := releases.shown(self._repository)) is not None:
            found = shown
        else:
            msg = f"{self.address.url} holds no complete version yet; finish its run first"
            raise NoVersion(msg)
        session = self._repository.readonly_session(snapshot_id=found)
        store = PatientStore(session.store, told_as=self.address.url)
        root_group(store, "r")  # read whole once, it is kept: what opens the store finds its groups
        return store

    @steady("reading")
    def history(self) -> list[Published]:
        """Return the published versions, oldest first."""
        return releases.history(self._repository)

    def roll_back(self, tag: str) -> None:
        """Show readers the version ``tag`` again; nothing is deleted."""
        releases.roll_back(self._repository, self.address, tag)

    @steady("opening")
    def _make_origin(self) -> None:
        """Name the empty root, if nobody has."""
        with guard(self.address):
            if "origin" not in self._repository.list_branches():
                won(lambda: self._repository.create_branch("origin", ROOT_SNAPSHOT))

    def _works(self) -> list[_Work]:
        """Return the work branches, oldest first."""
        found = []
        for branch in self._repository.list_branches():
            if branch.startswith("work-"):
                tip = self._repository.lookup_branch(branch)
                facts = self._repository.lookup_snapshot(tip).metadata
                begun = facts.get("begun", tip)
                found.append(_Work(branch, tip, begun, facts["run_id"], int(facts["number"])))
        return sorted(found, key=lambda work: (work.number, work.branch))

    def _candidate(self, works: Sequence[_Work], run_id: str) -> _Work | None:
        """Return the newest version, or the one that readers see, if it is of the same run."""
        visible = releases.shown(self._repository)
        candidates = (*works[-1:], *(work for work in works if work.tip == visible))
        return next((work for work in candidates if work.run_id == run_id), None)

    def _continued(self, works: Sequence[_Work], run_id: str, describe: Mapping[str, str]) -> _Work:
        work = self._candidate(works, run_id)
        if work is not None:
            return work
        held = self._repository.lookup_snapshot(works[-1].begun).metadata.get("describe", {})
        msg = (
            f"{self.address.url} holds the work of run {works[-1].run_id}, and this is run "
            f"{run_id}{_differences(held, describe)}; give --fresh to start a new version "
            "(published ones stay reachable by their tags), or choose another output"
        )
        raise VersionConflict(msg)

    def _started(self, works: Sequence[_Work], run_id: str, describe: dict[str, str]) -> _Work:
        """Create a branch together with its first commit.

        The commit is written first, on no branch, and creating the branch at it is one step. Of
        several drivers that begin the same version at once, one creates it and the others join.
        """
        number = works[-1].number + 1 if works else 1
        session = self._repository.writable_session("origin")
        zarr.open_group(PatientStore(session.store), mode="w", zarr_format=3)
        facts = {"run_id": run_id, "number": number, "describe": describe}
        tip = self._repository.flush(session, "begin", facts)
        branch = _free_name(run_id, {work.branch for work in works})
        if not won(lambda: self._repository.create_branch(branch, tip)):
            return self._continued(self._works(), run_id, describe)
        return _Work(branch, tip, tip, run_id, number)

    def _version(self, work: _Work) -> Version:
        return Version(
            self._repository,
            self.address,
            branch=work.branch,
            begun=work.begun,
            run_id=work.run_id,
            number=work.number,
        )


def receipts_of(url: str, run_id: str) -> dict[str, Receipt]:
    """Return what the newest version of ``run_id`` at ``url`` holds; nothing if there is none.

    Reads only, so that a status can be asked for at any time and of any store.
    """
    try:
        version = Repository.open(url, read_only=True).find(run_id)
    except NoRepository:
        return {}
    return version.receipts() if version else {}


def _beside(address: Address) -> str:
    folder = address.path.rpartition("/")[0]
    return (folder or "/") if address.is_local else f"s3://{address.bucket}/{folder}"


def _free_name(run_id: str, taken: set[str]) -> str:
    stem = f"work-{run_id[:_IDENTITY_LENGTH]}"
    names = (stem if trial == 1 else f"{stem}-{trial}" for trial in count(1))
    return next(name for name in names if name not in taken)


def _differences(held: Mapping[str, str], asked: Mapping[str, str]) -> str:
    """Return the choices that changed, in brackets, or nothing where they are not known.

    >>> _differences({"members": "30", "seed": "1"}, {"members": "60", "seed": "1"})
    ' (members: 30 -> 60)'
    """
    changed = [key for key in sorted({*held, *asked}) if held.get(key) != asked.get(key)]
    if not (held and asked and changed):
        return ""
    shown = changed[:_MOST_DIFFERENCES]
    items = [f"{key}: {held.get(key, 'none')} -> {asked.get(key, 'none')}" for key in shown]
    if len(changed) > len(shown):
        items.append(f"and {len(changed) - len(shown)} more")
    return f" ({'; '.join(items)})"
