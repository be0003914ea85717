"""One thread for every side, set before any library counts processors."""

import os
import sys

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "DUCC0_NUM_THREADS"), "1"
)


def on_one_thread(module: str) -> None:
    """Start ``python -m module`` again with one thread per library, unless that is how we run."""
    if all(os.environ.get(name) == value for name, value in ONE_THREAD.items()):
        return
    sys.stdout.flush()
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    os.execve(sys.executable, command, os.environ | ONE_THREAD)  # noqa: S606
