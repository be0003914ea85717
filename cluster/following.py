"""Following what works elsewhere: a connection that breaks ends nothing, for a while."""

import logging
import time

from cluster.launch import LaunchError, duration

logger = logging.getLogger(__name__)

AWAY_WITHIN = 600.0  # [s]
DEFECT, INTERRUPTED = 1, 130
_OF_THE_CONTRACT = (0, DEFECT, 2, 3, INTERRUPTED)
_ENDED_BY_OTHERS = (128 + 9, 128 + 15)  # memory that was full, a machine that was taken away


class LostSightError(LaunchError):
    """What is followed does not answer any more; it goes on, or ended: nobody here knows."""

    resumable = True


def contract_status(status: int) -> int:
    """Return an exit status of docs/contracts.md for that of a process elsewhere.

    >>> contract_status(3), contract_status(137), contract_status(127)
    (3, 130, 1)
    """
    if status in _ENDED_BY_OTHERS:
        return INTERRUPTED
    return status if status in _OF_THE_CONTRACT else DEFECT


class Patience:
    """Forgives failed looks until they have failed for too long, one after another.

    Parameters
    ----------
    who : str
        What is asked, such as ``the Kubernetes cluster``.
    left : str
        What becomes of the run meanwhile, and how to look again.
    """

    def __init__(self, who: str, left: str) -> None:
        self._who = who
        self._left = left
        self._since: float | None = None

    def answered(self) -> None:
        """Begin anew: a look has worked."""
        self._since = None

    def lost(self, error: BaseException) -> None:
        """Forgive a look that failed, or raise.

        Raises
        ------
        LostSightError
            None has worked for ten minutes.
        """
        now, said = time.monotonic(), str(error).partition("\n")[0] or type(error).__name__
        if self._since is None:
            self._since = now
            logger.warning("%s does not answer (%s); looking again", self._who, said)
        if now - self._since >= AWAY_WITHIN:
            msg = f"{self._who} has not answered for {duration(now - self._since)} ({said}); "
            raise LostSightError(msg + self._left) from error
