"""Hosts whose clocks are wrong: a small library that is loaded before libc moves the time of day.

Run as ``python -m tests.services.clocks``: prints by how much the clock differs from that of the
file system [s], which is not moved.
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

SOURCE = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int moves(clockid_t id) { return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && moves(id)) now->tv_sec += SKEW;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    int failed = clock_gettime(CLOCK_REALTIME, &found);
    (void)zone;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *kept) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (kept) *kept = found.tv_sec;
    return found.tv_sec;
}
"""


def skewing_library(seconds: int, folder: Path) -> str:
    """Return the path of a library that moves the time of day; skip where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to move the clocks of hosts with")
    source, library = folder / f"skew{seconds}.c", folder / f"skew{seconds}.so"
    source.write_text(f"#define SKEW ({seconds})\n{SOURCE}")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True
    )
    return str(library)


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile() as file:
        print(time.time() - Path(file.name).stat().st_mtime)
