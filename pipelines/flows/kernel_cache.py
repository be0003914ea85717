"""Arrays that take long to make and are the same for every run, kept in a folder of this machine.

A key names a file for good: it is a digest of everything that the arrays depend on, so a file is
never out of date, only there or not. Files are renamed into place when they are whole; each array
carries a checksum (that of the zip format), and a file that fails it is made again.
"""

import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DAMAGED = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)

Arrays = Mapping[str, NDArray[Any]]


class KernelCacheError(ValueError):
    """A key that cannot name a file."""


def cached_arrays(folder: Path | str, key: str, make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of a key: those in the folder, or new ones, which are then kept.

    Safe for several processes at once: at worst each makes the same arrays.

    Parameters
    ----------
    folder : path
        Where files are kept; made if absent.
    key : str
        Letters, digits, ``-`` and ``_``.
    make : callable
        Makes the arrays if the folder does not hold them whole.

    Returns
    -------
    mapping of str to ndarray

    Raises
    ------
    KernelCacheError
        A key that is not a plain name.
    """
    if not key.replace("-", "").replace("_", "").isalnum():
        msg = f"found the key {key!r}, expected letters, digits, '-' and '_'; use a digest"
        raise KernelCacheError(msg)
    path = Path(folder) / f"{key}.npz"
    found = _read(path)
    if found is None:
        found = dict(make())
        _write(path, found)
    return found


def _read(path: Path) -> Arrays | None:
    """Return the arrays of a file, or nothing if it is absent or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except _DAMAGED:
        return None


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=path.stem, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **dict(arrays))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
