"""Receipts: what is known about each key of work.

A key names one piece of work that owns whole stored chunks. Its receipt says whether it is done,
how long it took, what it read and wrote, and, if it failed, why. Receipts travel inside the commits
of :mod:`cluster.zarr_sink`, so that a receipt exists exactly when the chunks it speaks of do.

Two rules make a ledger out of receipts written in any order by any number of drivers:

* *done is final*: the first ``done`` receipt of a key stands, whatever is said after it;
* *failed is an invitation*: a later receipt replaces a ``failed`` one, and the next run tries the
  key again, because an input may have been mended meanwhile.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

State = Literal["done", "failed"]

# Receipts of other jobs stay as short as they were.
_OF_MODELS = frozenset({"output_sha256", "model", "snapshot"})


class ReceiptError(ValueError):
    """A receipt contradicts itself or cannot be read."""


class KeyFailed(ValueError):  # noqa: N818 - an outcome to report, not a defect
    """A job's way to say that the inputs of its key cannot be used.

    The key gets a failed receipt holding the reason, nothing that the job wrote is kept, and the
    other keys go on. Anything else that a job raises is a defect and stops the run.

    Parameters
    ----------
    reason : str
        What was found, what was expected and what to do.
    inputs : tuple of str, optional
        Ids of the inputs concerned.
    """

    def __init__(self, reason: str, inputs: tuple[str, ...] = ()) -> None:
        super().__init__(reason, inputs)
        self.reason = reason
        self.inputs = tuple(inputs)

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Receipt:
    """What became of one key.

    Attributes
    ----------
    key : str
        Name of the piece of work, unique within a version.
    state : {"done", "failed"}
        Whether the chunks of the key are in the store.
    seconds : float
        Wall time of the job [s].
    bytes_read, bytes_written : int
        Bytes moved by the job; written bytes are counted after compression.
    inputs : tuple of str
        Ids of the items that were read.
    reason : str
        Why the key failed; empty if it is done.
    note : str
        What a reader of the results should know of a key that is done.
    output_sha256 : str
        Of the names and bytes of the chunks that a model wrote, as stored; see
        :meth:`cluster.metered_store.MeteredStore.digest`. Empty where no model was at work.
    model : str
        SHA-256 of the weights at work; empty without any.
    snapshot : str
        Which snapshot of its input the job read; empty where inputs have none.

    Examples
    --------
    >>> receipt = Receipt("2011-02", "done", 0.5, 100, 80, ("GSM-2_2011032",))
    >>> receipt.to_json()
    '{"key":"2011-02","state":"done","seconds":0.5,"bytes_read":100,"bytes_written":80,"inputs":["GSM-2_2011032"],"reason":"","note":""}'
    >>> Receipt.from_json(receipt.to_json()) == receipt
    True
    """

    key: str
    state: State
    seconds: float = 0.0
    bytes_read: int = 0
    bytes_written: int = 0
    inputs: tuple[str, ...] = ()
    reason: str = ""
    note: str = ""
    output_sha256: str = ""
    model: str = ""
    snapshot: str = ""

    def __post_init__(self) -> None:
        if self.state not in {"done", "failed"}:
            msg = f"receipt of key {self.key!r} has state {self.state!r}; expected done or failed"
            raise ReceiptError(msg)
        if (self.state == "failed") != bool(self.reason):
            msg = (
                f"receipt of key {self.key!r} is {self.state} with reason {self.reason!r}; "
                "a failed receipt has a reason and a done one has none"
            )
            raise ReceiptError(msg)

    def to_json(self) -> str:
        """Return the receipt as one line of JSON; what only models have is left out if empty."""
        facts = {
            name: value for name, value in asdict(self).items() if value or name not in _OF_MODELS
        }
        return json.dumps(facts, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Receipt":
        """Read a receipt from one line of JSON; fields of other versions of it may come or lack."""
        try:
            document: dict[str, Any] = json.loads(text)
            names = {field.name for field in fields(cls)} & document.keys()
            known = {name: document[name] for name in names}
            return cls(**known | {"inputs": tuple(document.get("inputs", ()))})
        except (json.JSONDecodeError, AttributeError, TypeError) as error:
            msg = f"not a receipt: {text[:200]!r} ({error}); expected a line written by to_json"
            raise ReceiptError(msg) from error


def adds(receipt: Receipt, ledger: Mapping[str, Receipt]) -> bool:
    """Return whether ``receipt`` tells the ledger something it does not hold.

    A done key is settled; failing again for the same reason is no news.

    Examples
    --------
    >>> failed = Receipt("a", "failed", reason="truncated")
    >>> adds(failed, {}), adds(failed, {"a": failed}), adds(Receipt("a", "done"), {"a": failed})
    (True, False, True)
    """
    held = ledger.get(receipt.key)
    if held is None:
        return True
    return held.state == "failed" and (held.state, held.reason) != (receipt.state, receipt.reason)


def add(receipts: Iterable[Receipt], ledger: dict[str, Receipt]) -> None:
    """Put ``receipts``, oldest first, into ``ledger`` by the rules of this module."""
    for receipt in receipts:
        if adds(receipt, ledger):
            ledger[receipt.key] = receipt
