"""A soak: thousands of small keys while workers are killed at random, on both engines.

``python -m tests.benchmarks.soak [--keys 10000] [--engine both] [--store local|s3] [--figure PNG]``

Every few seconds one worker process, drawn at random among those at work, gets SIGKILL (none while
only one is at work: a slow machine would be killed faster than it starts processes). Afterwards
the store is read with Icechunk and Zarr alone, without a line of ours: each key must have exactly
one receipt in the history of commits, and each chunk must be there and hold the numbers that follow
from its key. The memory of the driver is sampled all the while, and may grow by so much a key.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import psutil
import zarr

from cluster import address, icechunk_storage
from cluster.work import process
from cluster.zarr_sink import Repository
from tests.fixtures.products import Rows, Template, keys, row

WORKERS = 3
SAMPLE_SECONDS = 0.5
MIB = 2**20
# So much may the driver's memory grow for a key: half as much again as was measured (1.5 KiB on
# Dask, 0.7 KiB on Ray). It holds the key's receipt and the names of its chunks.
MOST_GROWTH_PER_KEY = 2.25 / 1024
# And so much whatever the number of keys: libraries loaded late, threads, memory not given back
# (1.4 MiB were seen with 240 keys).
GROWTH_OF_ITS_OWN = 12.0


@dataclass
class Course:
    """What was seen while it ran.

    Attributes
    ----------
    times, memory, done : list of float
        When [s], the driver's resident memory [MiB], and keys committed by then.
    kills : list of float
        When workers were killed [s].
    """

    times: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)

    def growth(self) -> float:
        """Return by how much memory grew from the second quarter of the keys to the last [MiB].

        These are half of the keys apart. The first quarter loads libraries and fills caches that
        have a limit. Where a commit leaps over the second quarter, what comes next stands for it.
        """
        memory, done = np.asarray(self.memory), np.asarray(self.done)
        early = memory[(done >= done[-1] / 4) & (done < done[-1] / 2)]
        if not early.size:
            early = memory[done >= done[-1] / 4][:1]
        late = memory[done >= 3 * done[-1] / 4]
        return float(np.median(late) - np.median(early))

    def allowed(self) -> float:
        """Return by how much it may have grown [MiB]."""
        return GROWTH_OF_ITS_OWN + MOST_GROWTH_PER_KEY * self.done[-1] / 2


@dataclass(frozen=True)
class Found:
    """What the store holds, by an independent reading.

    Attributes
    ----------
    lost, double : int
        Keys without a receipt, and receipts beyond the first of a key.
    chunks_lost, chunks_wrong : int
        Chunks that are not there, and that hold other numbers.
    commits : int
    """

    lost: int
    double: int
    chunks_lost: int
    chunks_wrong: int
    commits: int


def faults(course: Course, found: Found) -> list[str]:
    """Return in words what is not as it must be."""
    said = [
        f"{count} {name.replace('_', ' ')}"
        for name, count in vars(found).items()
        if name != "commits" and count
    ]
    if not course.kills:
        said.append("no worker was killed")
    if course.growth() > course.allowed():
        said.append(
            f"the driver's memory grew by {course.growth():.1f} MiB over half of "
            f"{course.done[-1]} keys, at most {course.allowed():.1f} MiB were expected"
        )
    return said


def read_back(url: str, count: int) -> Found:
    """Read the ledger and the chunks without our own readers."""
    repository = icechunk.Repository.open(icechunk_storage.storage(address.parse(url)))
    (branch,) = (name for name in repository.list_branches() if name.startswith("work-"))
    history = list(repository.ancestry(branch=branch))
    told = Counter(
        json.loads(line)["key"] for info in history for line in info.metadata.get("receipts", [])
    )
    session = repository.readonly_session(branch)
    stored = _chunks_of(session)
    rows = zarr.open_group(session.store, mode="r")["rows"]
    found = np.asarray(rows[...])  # type: ignore[index]
    wrong = sum(not np.array_equal(found[n], row(n, run="a")) for n in range(count))
    return Found(
        lost=sum(f"key/{n}" not in told for n in range(count)),
        double=sum(told.values()) - len(told),
        chunks_lost=sum(stored[n] != 1 for n in range(count)),
        chunks_wrong=wrong,
        commits=len(history),
    )


def _chunks_of(session: icechunk.Session) -> Counter[int]:
    """Return how often the list of chunks names each row."""
    import asyncio

    async def listed() -> list[Any]:
        return [each async for each in session.chunk_coordinates("/rows")]

    return Counter(int(each[0]) for each in asyncio.run(listed()))


def soak(
    workforce: Any,
    victims: Callable[[], list[int]],
    url: str,
    *,
    count: int,
    every: float,
    seconds: float,
    seed: int,
    most: int = sys.maxsize,
) -> Course:
    """Carry out ``count`` keys while workers are killed, ``most`` times; return its course."""
    version = Repository.open(url).begin("a")
    version.initialise(Template(count))
    course, done = Course(), [0]
    with _watched(course, done), _killing(course, victims, every, seed, most):
        job = Rows(seconds=seconds)

        def tell(_receipt: object) -> None:
            done[0] += 1
            if done[0] % 1000 == 0:
                print(f"{done[0]} keys, {len(course.kills)} kills", file=sys.stderr, flush=True)

        process(keys(count), job, version=version, client=workforce, batch=64, on_receipt=tell)
    version.publish()
    return course


@contextmanager
def _watched(course: Course, done: list[int]) -> Iterator[None]:
    """Sample the memory of this process."""
    this, begun, stop = psutil.Process(), time.monotonic(), threading.Event()

    def sample() -> None:
        is_last = False
        while True:
            course.times.append(time.monotonic() - begun)
            course.memory.append(this.memory_info().rss / MIB)
            course.done.append(done[0])
            if is_last:
                break
            is_last = stop.wait(SAMPLE_SECONDS)

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


@contextmanager
def _killing(
    course: Course, victims: Callable[[], list[int]], every: float, seed: int, most: int
) -> Iterator[None]:
    """Kill a worker every so often, at random."""
    luck, begun, stop = random.Random(seed), time.monotonic(), threading.Event()

    def kill() -> None:
        while not stop.wait(luck.uniform(0.5, 1.5) * every):
            found = victims()
            if len(found) > 1 and len(course.kills) < most:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(luck.choice(found), signal.SIGKILL)
                    course.kills.append(time.monotonic() - begun)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        stop.set()
        killer.join()


@contextmanager
def on_dask() -> Iterator[tuple[Any, Callable[[], list[int]]]]:
    """Yield Dask workers, and who of them can be killed."""
    from distributed.core import Status

    from cluster import dask_cluster

    with dask_cluster.connect(workers=WORKERS) as client:
        nannies = client.cluster.workers

        def victims() -> list[int]:
            found = [each for each in list(nannies.values()) if each.status == Status.running]
            return [each.pid for each in found if each.pid]

        yield client, victims


@contextmanager
def on_ray() -> Iterator[tuple[Any, Callable[[], list[int]]]]:
    """Yield a Ray runtime, and who of its workers can be killed: those at a task."""
    from cluster import ray_cluster

    with ray_cluster.connect(workers=WORKERS) as cluster:

        def victims() -> list[int]:
            found = []
            for each in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "ray::perform_all" in " ".join(each.cmdline()):
                        found.append(each.pid)
            return found

        yield cluster, victims


ENGINES = {"dask": on_dask, "ray": on_ray}


@contextmanager
def _store(kind: str) -> Iterator[Callable[[str], str]]:
    """Yield what makes the address of a product: on this disk, or on a real S3 server."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "local":
            yield lambda name: str(Path(folder) / name)
            return
        from tests.fixtures import seaweed

        server = seaweed._started(Path(sys.executable).parent / "weed", Path(folder))
        os.environ.update(server.environment)
        try:
            yield server.url
        finally:
            server.kill()


def draw(courses: dict[str, Course], path: Path) -> None:
    """Draw memory and keys over time, kills marked."""
    from pipelines.figures import canvas

    made = canvas.figure(canvas.PAGE, 2.6 * len(courses))
    panels = made.subplots(len(courses), squeeze=False)[:, 0]
    for n, (axes, (name, course)) in enumerate(zip(panels, courses.items(), strict=True)):
        keys_axes = axes.twinx()
        axes.plot(course.times, course.memory, color=canvas.BLUE, linewidth=1.2)
        keys_axes.plot(course.times, course.done, color=canvas.GREY, linewidth=0.9)
        axes.vlines(course.kills, 0, 25, color=canvas.RED, linewidth=0.7)
        axes.set_ylim(0, 1.3 * max(course.memory))
        axes.set_ylabel("driver's memory [MiB]", color=canvas.BLUE)
        keys_axes.set_ylabel("keys committed", color=canvas.GREY, fontsize=8.5)
        keys_axes.set_ylim(0, None)
        axes.set_xlabel("time [s]")
        for each in (axes, keys_axes):
            canvas.tidy(each)
        keys_axes.grid(visible=False)
        growth = f"{course.growth():+.1f} MiB over half of the keys"
        said = f"{len(course.kills)} kills (red), memory {growth}"
        canvas.heading(axes, f"{canvas.letter(n)} {name}", right=said)
    path.write_bytes(canvas.png(made))


def main() -> None:
    """Soak the engines asked for, tell what was found, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--store", choices=("local", "s3"), default="s3")
    parser.add_argument("--every", type=float, default=4.0, help="mean time between kills [s]")
    parser.add_argument("--seconds", type=float, default=0.02, help="time of a key [s]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    names = list(ENGINES) if asked.engine == "both" else [asked.engine]
    courses, facts, wrong = {}, {}, []
    for name in names:
        with ExitStack() as stack:
            url = stack.enter_context(_store(asked.store))(f"soak-{name}/product.icechunk")
            workforce, victims = stack.enter_context(ENGINES[name]())
            course = soak(
                workforce,
                victims,
                url,
                count=asked.keys,
                every=asked.every,
                seconds=asked.seconds,
                seed=asked.seed,
            )
            found = read_back(url, asked.keys)
        wrong += [f"{name}: {said}" for said in faults(course, found)]
        courses[f"{asked.keys:,} keys on {name.title()}, {asked.store}"] = course
        facts[name] = {
            "seconds": round(course.times[-1], 1),
            "kills": len(course.kills),
            **vars(found),
            "growth_mib": round(course.growth(), 1),
            "allowed_growth_mib": round(course.allowed(), 1),
            "peak_mib": round(max(course.memory), 1),
        }
        print(f"{name}: {facts[name]}", flush=True)
    if asked.figure:
        draw(courses, asked.figure)
    print(json.dumps({"benchmark": "soak", "size": {"keys": asked.keys}, **facts}), flush=True)
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
