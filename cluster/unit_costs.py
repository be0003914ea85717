"""What carrying out keys costs beside the keys themselves: measured, kept as JSON, simulated with.

The defaults are processor times of a busy 2-core EPYC (Zen 4) with Dask, medians of three; an idle
machine does better. ``python -m tests.benchmarks.scaling --costs FILE`` writes such a file for the
machine at hand. What cannot be measured on one machine (stores, nodes that come and go) are figures
of large clouds, and named as such.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


class CostsError(ValueError):
    """Unit costs that cannot be used."""


@dataclass(frozen=True)
class Engine:
    """Time that each task, key and commit takes beside the job; measured.

    Attributes
    ----------
    scheduler_task : float
        Of the scheduler, for a task [s].
    driver_task, driver_key : float
        Of the driver, for a task and for each of its keys [s].
    worker_task, worker_key : float
        Of the worker, for a task and for each of its keys, outside the job [s].
    commit, commit_key : float
        Of the driver, for a commit, and for each chunk that the product holds by then [s].
    trip : float
        Idle time of a worker between two tasks if nothing was queued for it [s]; not measured, and
        neither is ``commit_key``.
    """

    scheduler_task: float = 4.4e-3
    driver_task: float = 4.4e-3
    driver_key: float = 5.0e-4
    worker_task: float = 8.4e-3
    worker_key: float = 6.0e-5
    commit: float = 2.7e-3
    commit_key: float = 2.0e-6
    trip: float = 3.0e-3


@dataclass(frozen=True)
class Store:
    """What an object store gives; figures of a large cloud, not measured here.

    Attributes
    ----------
    latency : float
        Of a request [s].
    at_once : float
        Requests of one worker under way at once; Zarr has ten.
    worker_bandwidth, total_bandwidth : float
        To one worker and to all together [B s-1].
    reads, writes : float
        Requests that one prefix takes [s-1].
    prefixes : int
        Into how many prefixes the store has parted the product and the inputs.
    """

    latency: float = 0.030
    at_once: float = 10.0
    worker_bandwidth: float = 80e6
    total_bandwidth: float = 12.5e9
    reads: float = 5500.0
    writes: float = 3500.0
    prefixes: int = 4


@dataclass(frozen=True)
class Nodes:
    """How workers come and go; figures of large clouds, not measured here.

    Attributes
    ----------
    start : float
        From asking for a node until its workers take tasks [s].
    preempted : float
        Share of nodes that a spot market takes back in an hour.
    noticed : float
        From the end of a node until its tasks start again elsewhere [s].
    spot_price : float
        Price of a spot core over that of a kept one.
    """

    start: float = 120.0
    preempted: float = 0.05
    noticed: float = 5.0
    spot_price: float = 0.4


@dataclass(frozen=True)
class UnitCosts:
    """All of them.

    Attributes
    ----------
    engine : Engine
    store : Store
    nodes : Nodes
    """

    engine: Engine = Engine()
    store: Store = Store()
    nodes: Nodes = Nodes()

    def to_json(self) -> str:
        """Return the costs as a JSON document."""
        return json.dumps(asdict(self), indent=2) + "\n"


_PARTS: dict[str, type[Any]] = {"engine": Engine, "store": Store, "nodes": Nodes}


def read(path: Path) -> UnitCosts:
    """Read unit costs from a file; what it does not name keeps its default.

    Raises
    ------
    CostsError
        If the file is no JSON object of known names and numbers above zero.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"{path} cannot be read as unit costs: {error}; make it with "
        msg += "`python -m tests.benchmarks.scaling --costs FILE`"
        raise CostsError(msg) from error
    if not isinstance(document, dict):
        msg = f"{path} holds a {type(document).__name__}; expected an object of {_words(_PARTS)}"
        raise CostsError(msg)
    _require_known(document, _PARTS, str(path))
    return UnitCosts(
        **{name: _part(_PARTS[name], given, f"{path}: {name}") for name, given in document.items()}
    )


def _part(kind: type[Any], given: object, where: str) -> Any:
    if not isinstance(given, dict):
        msg = f"{where} is {given!r}; expected an object of {_words(_names(kind))}"
        raise CostsError(msg)
    _require_known(given, _names(kind), where)
    for name, value in given.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0.0 <= value < float("inf") or not (value or _may_be_zero(name)):
            msg = f"{where}.{name} is {value!r}; expected a number above zero"
            raise CostsError(msg)
    return kind(**given)


def _may_be_zero(name: str) -> bool:
    return name not in {
        "at_once", "worker_bandwidth", "total_bandwidth", "reads", "writes", "prefixes",
        "spot_price",
    }  # fmt: skip


def _names(kind: type[Any]) -> dict[str, None]:
    return dict.fromkeys(field.name for field in fields(kind))


def _require_known(given: Mapping[str, object], known: Mapping[str, object], where: str) -> None:
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        msg = f"{where} has {', '.join(unknown)}; expected some of {_words(known)}"
        raise CostsError(msg)


def _words(names: Mapping[str, object]) -> str:
    return ", ".join(names)
