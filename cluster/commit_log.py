"""When a version was worked on: its commits with their times, as its history keeps them.

A receipt says how long a key took and not when; the commit that carries it was made after the key
ended, by the clock of the driver, so that is as near as the ledger comes.
"""

from dataclasses import dataclass
from datetime import datetime

from cluster import icechunk_storage
from cluster.icechunk_storage import steady
from cluster.ledger import Receipt
from cluster.version import Version


@dataclass(frozen=True)
class Commit:
    """One commit that carries receipts.

    Attributes
    ----------
    time : datetime
        When it was made (UTC).
    receipts : tuple of Receipt
        What was news with it.
    """

    time: datetime
    receipts: tuple[Receipt, ...]


@steady("reading the history of")
def commits(version: Version) -> list[Commit]:
    """Return the commits of a version that carry receipts, oldest first.

    Reads the whole history, failures that were mended since included.
    """
    repository = icechunk_storage.open_existing(version.address)
    found = []
    for info in repository.ancestry(branch=version.branch):
        if "number" not in info.metadata:  # below the first commit of the version
            break
        receipts = tuple(map(Receipt.from_json, info.metadata.get("receipts", [])))
        if receipts:
            found.append(Commit(info.written_at, receipts))
    return found[::-1]
