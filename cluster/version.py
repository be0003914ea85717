"""One version of a product while it is made: a branch, its commits, and the ledger inside them.

Every commit on the branch carries, in its metadata, the receipts of the keys whose chunks it holds
(:mod:`cluster.ledger`): data and ledger are one atomic fact. A commit names its parent and is
refused if the branch has moved meanwhile; the loser reads the ledger again, drops the keys that
somebody else has finished, and tries anew. So any number of drivers may work on one version, and
each key ends with exactly one effective receipt.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import icechunk
import zarr

from cluster import releases
from cluster.address import Address
from cluster.icechunk_storage import settled, steady
from cluster.ledger import Receipt, add, adds
from cluster.patience import root_group
from cluster.patient_repository import PatientRepository
from cluster.patient_store import PatientStore

# Icechunk refuses a commit that changes nothing; one of failed receipts only counts itself here.
COUNTER = "nunatak:commits"


class Version:
    """One run's work on a product, apart from what readers see until it is published.

    Made by :meth:`cluster.zarr_sink.Repository.begin`.

    Parameters
    ----------
    repository : PatientRepository
        The open repository.
    address : Address
        Where it lies.
    branch : str
        The branch of this version.
    begun : str
        Its first snapshot, an empty group.
    run_id : str
        Identity of the run.
    number : int
        Place in the order in which the versions of the repository were begun.
    """

    def __init__(
        self,
        repository: PatientRepository,
        address: Address,
        *,
        branch: str,
        begun: str,
        run_id: str,
        number: int,
    ) -> None:
        self._repository = repository
        self._facts = {"run_id": run_id, "number": number, "begun": begun}
        self._base: icechunk.Session | None = None
        # The snapshot whose ledger this driver knows, and that ledger.
        self._read: tuple[str, dict[str, Receipt]] = (begun, {})
        self._begun = begun
        self.address = address
        self.branch = branch
        self.run_id = run_id

    @property
    @steady("reading")
    def tip(self) -> str:
        """The newest snapshot of the branch."""
        return self._repository.lookup_branch(self.branch)

    @property
    @steady("reading")
    def finished(self) -> bool:
        """Whether readers see exactly what this version holds now."""
        return releases.shown(self._repository) == self.tip

    @property
    def initialised(self) -> bool:
        """Whether the arrays exist."""
        return self.tip != self._begun

    def initialise(self, template: Callable[[zarr.Group], None]) -> None:
        """Create the arrays, once; a version that has them already is left alone.

        Parameters
        ----------
        template : callable
            Receives the empty root group, makes arrays in it and may write coordinates. It may be
            called more than once when drivers race, but only one outcome is kept.
        """

        def attempt() -> bool | None:
            if self.initialised:
                return True
            session = self._repository.writable_session(self.branch)
            template(root_group(PatientStore(session.store), "r+"))
            return self._committed(session, "make the arrays", []) or None

        settled(self.address, "making the arrays of", attempt)

    @steady("reading the ledger of")
    def receipts(self) -> dict[str, Receipt]:
        """Return the effective receipt of each key, as committed up to now by anybody."""
        return dict(self._ledger(self._repository.lookup_branch(self.branch)))

    @property
    def ledger(self) -> Mapping[str, Receipt]:
        """The receipts as this driver read or committed them last; a view that asks no store."""
        return MappingProxyType(self._read[1])

    def fork(self) -> icechunk.ForkSession:
        """Return a copy of the version to write into: it travels to a worker and comes back.

        It holds at least every key that the ledger was last seen to hold, whoever did it, so a
        stage can read what the stages before it wrote.
        """
        if self._base is None:
            self._base = self._writable()
        return self._base.fork()

    @steady("reading")
    def _writable(self) -> icechunk.Session:
        return self._repository.writable_session(self.branch)

    def commit(
        self, forks: Sequence[icechunk.ForkSession | None], receipts: Sequence[Receipt]
    ) -> list[Receipt]:
        """Commit the chunks written into ``forks`` together with their receipts, atomically.

        Parameters
        ----------
        forks : sequence of ForkSession or None
            One per receipt, the same one for keys that share it; None for a failed key, whose
            writes are not kept.
        receipts : sequence of Receipt

        Returns
        -------
        list of Receipt
            Those that are news. Keys that were done before, by whomever, are dropped with their
            chunks, which are equal to those in the store.
        """
        pairs = list(zip(forks, receipts, strict=True))

        def attempt() -> list[Receipt] | None:
            session = self._repository.writable_session(self.branch)
            ledger = self._ledger(session.snapshot_id)
            news = [(fork, receipt) for fork, receipt in pairs if adds(receipt, ledger)]
            if not news:
                return []
            session.merge(*{id(fork): fork for fork, _ in news if fork is not None}.values())
            kept = [receipt for _, receipt in news]
            return kept if self._committed(session, _summary(kept), kept) else None

        return settled(self.address, "committing to", attempt)

    @steady("reading")
    def group(self) -> zarr.Group:
        """Return a read-only view of what is committed now."""
        store = self._repository.readonly_session(self.branch).store
        return root_group(PatientStore(store), "r")

    def publish(self) -> str:
        """Show readers this version as its ledger was read last, and return its tag.

        What another driver committed since is not shown: the caller judged the ledger that it read
        to be whole, and not that of a moment later. Publishing the same state again changes nothing
        and returns the same tag; a version that grew (failed keys that succeeded later) gets a new
        one.
        """
        if self._read[0] == self._begun:
            self.receipts()
        return releases.publish(self._repository, self.address, self._read[0])

    def _committed(
        self, session: icechunk.Session, message: str, receipts: Sequence[Receipt]
    ) -> bool:
        """Commit ``session`` where it stands, and return whether the branch still stood there."""
        ledger = self._ledger(session.snapshot_id)
        if not session.has_uncommitted_changes:
            group = root_group(PatientStore(session.store), "r+")
            group.attrs[COUNTER] = int(str(group.attrs.get(COUNTER, 0))) + 1
        self._base = None
        lines = [receipt.to_json() for receipt in receipts]
        metadata: dict[str, Any] = {**self._facts, "receipts": lines}
        try:
            tip = self._repository.commit(session, message, metadata)
        except icechunk.ConflictError:
            return False
        add(receipts, ledger)
        self._read = (tip, ledger)
        return True

    def _ledger(self, tip: str) -> dict[str, Receipt]:
        """Return the ledger at ``tip``, reading only the commits since the last call."""
        known, ledger = self._read
        if tip != known:
            self._base = None
        fresh: list[list[str]] = []
        for info in self._repository.ancestry(snapshot_id=tip):
            if info.id == known:
                break
            if info.id == self._begun:
                ledger = {}
                break
            fresh.append(info.metadata.get("receipts", []))
        lines = [line for commit in reversed(fresh) for line in commit]
        add(list(map(Receipt.from_json, lines)), ledger)
        self._read = (tip, ledger)
        return ledger


def _summary(receipts: Sequence[Receipt]) -> str:
    failed = sum(receipt.state == "failed" for receipt in receipts)
    return f"{len(receipts) - failed} keys done, {failed} failed"
