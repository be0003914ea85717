"""What reading a stored array may raise: a chunk that is damaged, or a store that is away.

The first speaks of one chunk, and whoever does not need it may go on. The second speaks of all of
them: the run ends, and resumes once the store answers.
"""

import re

import icechunk

from cluster.store_errors import MissingObjectError, StoreError

# How the first line of Icechunk's error ends where an object on disk is shorter than it was, or
# gone. S3's "service error" says no more than that the store refused: no sign of damage.
# What a process says that ends, or that may start no more threads.
_OF_THE_PROCESS = re.compile(r"thread|event loop|shutdown|interpreter|schedule new", re.IGNORECASE)
_SIGNS = ("Requested range was invalid", "not found")


def is_damage(error: Exception) -> bool:
    """Whether an error says that what is stored cannot be decoded, or is no longer there.

    Parameters
    ----------
    error : Exception
        Raised by reading an existing array within its bounds.

    Examples
    --------
    >>> is_damage(RuntimeError("Zstd decompression error: invalid input data"))
    True
    >>> is_damage(StoreError("the store has not answered")), is_damage(IndexError("axis 3"))
    (False, False)
    """
    if isinstance(error, RuntimeError) and _OF_THE_PROCESS.search(str(error)):
        return False
    if isinstance(error, icechunk.IcechunkError):
        return any(sign in first_line(error) for sign in _SIGNS)
    return isinstance(error, (RuntimeError, ValueError)) and not isinstance(error, StoreError)


def is_away(error: Exception) -> bool:
    """Whether an error says that a store does not answer or refuses, which is no fault of an input.

    Examples
    --------
    >>> is_away(StoreError("the store has not answered")), is_away(MissingObjectError("no item"))
    (True, False)
    """
    return isinstance(error, StoreError) and not isinstance(error, MissingObjectError)


def first_line(error: Exception) -> str:
    r"""Return the first line of an error that says something; Icechunk's go on with their context.

    >>> first_line(RuntimeError("  x range was invalid\n  | \n  | context:"))
    'range was invalid'
    """
    lines = (line.strip(" |x`->\t") for line in str(error).splitlines())
    return next((line for line in lines if line), repr(error))
