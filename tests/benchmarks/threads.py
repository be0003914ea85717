"""As many threads for every side, set before any library counts processors."""

import os
import sys

COUNTS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "DUCC0_NUM_THREADS")


def on_one_thread(module: str) -> None:
    """Start ``python -m module`` again with one thread per library, unless that is how we run."""
    on_threads(module, 1)


def on_threads(module: str, count: int) -> None:
    """Start ``python -m module`` again with some threads per library, unless so we run."""
    wanted = dict.fromkeys(COUNTS, str(count))
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return
    sys.stdout.flush()
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    os.execve(sys.executable, command, os.environ | wanted)  # noqa: S606
