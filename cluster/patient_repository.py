"""An Icechunk repository each call of which is answered in time, or is told not to be.

Reading calls are made again where no answer comes; changing ones, and steps through a history, are
made once (:mod:`cluster.patience` says why). On a local disk calls are made as they are.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import icechunk

from cluster import patience

Result = TypeVar("Result")


class PatientRepository:
    """The calls of a repository that are used here.

    Parameters
    ----------
    repository : icechunk.Repository
        What is called.
    limited : bool
        Whether calls have a limit.
    """

    def __init__(self, repository: icechunk.Repository, *, limited: bool) -> None:
        self._asked = repository
        self._limited = limited

    def lookup_branch(self, branch: str) -> str:
        """Return the snapshot of a branch."""
        return self._read(lambda: self._asked.lookup_branch(branch))

    def lookup_tag(self, tag: str) -> str:
        """Return the snapshot of a tag."""
        return self._read(lambda: self._asked.lookup_tag(tag))

    def lookup_snapshot(self, snapshot: str) -> Any:
        """Return the facts of a snapshot."""
        return self._read(lambda: self._asked.lookup_snapshot(snapshot))

    def list_branches(self) -> set[str]:
        """Return the names of all branches."""
        return self._read(self._asked.list_branches)

    def list_tags(self) -> set[str]:
        """Return the names of the tags that could be read."""
        return self._read(self._asked.list_tags)

    def writable_session(self, branch: str) -> icechunk.Session:
        """Return a session at the tip of a branch."""
        return self._read(lambda: self._asked.writable_session(branch))

    def readonly_session(
        self, branch: str | None = None, *, snapshot_id: str | None = None
    ) -> icechunk.Session:
        """Return a session that reads a branch or a snapshot."""
        return self._read(lambda: self._asked.readonly_session(branch, snapshot_id=snapshot_id))

    def ancestry(
        self, *, branch: str | None = None, snapshot_id: str | None = None
    ) -> Iterator[Any]:
        """Yield the facts of a snapshot, of its parent, and so on; each step has its limit."""
        steps: Iterator[Any] = self._once(
            lambda: iter(self._asked.ancestry(branch=branch, snapshot_id=snapshot_id))
        )
        while (info := self._once(lambda: next(steps, None))) is not None:
            yield info

    def create_branch(self, branch: str, snapshot_id: str) -> None:
        """Name a snapshot."""
        self._once(lambda: self._asked.create_branch(branch, snapshot_id))

    def create_tag(self, tag: str, snapshot_id: str) -> None:
        """Name a snapshot for good."""
        self._once(lambda: self._asked.create_tag(tag, snapshot_id))

    def reset_branch(self, branch: str, snapshot_id: str, *, from_snapshot_id: str) -> None:
        """Move a branch that is still where it was seen."""
        self._once(
            lambda: self._asked.reset_branch(branch, snapshot_id, from_snapshot_id=from_snapshot_id)
        )

    def commit(self, session: icechunk.Session, message: str, metadata: dict[str, Any]) -> str:
        """Commit a session of this repository to its branch."""
        return self._once(lambda: session.commit(message, metadata))

    def flush(self, session: icechunk.Session, message: str, metadata: dict[str, Any]) -> str:
        """Write a session of this repository to a snapshot on no branch."""
        return self._once(lambda: session.flush(message, metadata))

    def _read(self, call: Callable[[], Result]) -> Result:
        return patience.read(call, limited=self._limited)

    def _once(self, call: Callable[[], Result]) -> Result:
        return patience.change(call, limited=self._limited)
