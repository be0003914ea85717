"""A pool of two actors, against one actor and against Ray's own ActorPool: seconds a tile.

``python -m tests.benchmarks.pool [--quick] [--network small|b0]`` segments tiles of a Zarr store
with a small convolutional network of torch, or with the shipped segmenter, on one thread an actor.
``one-actor`` is our pool with one actor: its ratio is what the second core brings.
``ray-actor-pool`` moves arrays: the driver reads tiles, puts them into Ray's object store, and
writes what two actors of ``ray.util.ActorPool`` send back. All actors have their network open
before the clock starts; it ends when the last tile is stored.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from cluster import ray_cluster
from cluster.gpu_pool import Needs, Pool
from cluster.ledger import Receipt
from cluster.work import process
from cluster.zarr_sink import Repository
from tests.benchmarks.statement import Statement, Timing
from tests.benchmarks.threads import on_one_thread

SIDE = 256  # [px]
CHANNELS = 4
BATCH = 4  # keys for each commit
WARM = 8  # tiles before the clock starts
PATIENCE = 120.0  # [s] for all actors to be there


def main() -> None:
    """Compare the three ways on the same tiles."""
    on_one_thread("tests.benchmarks.pool")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tiles, one run of each")
    parser.add_argument("--network", choices=tuple(NETWORKS), default="small")
    options = parser.parse_args()
    quick = options.quick
    with tempfile.TemporaryDirectory() as folder, ray_cluster.connect(workers=2) as cluster:
        tiles, runs = 32 if quick else 128, 1 if quick else 5
        state(cluster, Path(folder), tiles=tiles, runs=runs, network=options.network).tell()


def state(
    cluster: ray_cluster.RayCluster, folder: Path, *, tiles: int, runs: int, network: str = "small"
) -> Statement:
    """Time and compare the sides, in turn."""
    images = folder / "images.zarr"
    write_images(images, tiles)
    sides: dict[str, Callable[[Path], tuple[float, NDArray[np.float32]]]] = {
        "ours": lambda to: pooled(cluster, images, to, tiles=tiles, actors=2, network=network),
        "one-actor": lambda to: pooled(cluster, images, to, tiles=tiles, actors=1, network=network),
        "ray-actor-pool": lambda to: moved(images, to, tiles=tiles, network=network),
    }
    spent: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, NDArray[np.float32]] = {}
    for run in range(runs):
        for name, work in sides.items():
            to = folder / f"{name}-{run}"
            to.mkdir()
            seconds, found[name] = work(to)
            spent[name].append(seconds / (tiles - WARM))
    timings = [Timing(name, statistics.median(all_), 0.0, runs) for name, all_ in spent.items()]
    error = max(float(np.abs(found["ours"] - found[name]).max()) for name in found)
    size: dict[str, Any] = {
        "tiles": tiles,
        "side": SIDE,
        "channels": CHANNELS,
        "threads an actor": 1,
    }
    size |= {"network": network}
    return Statement("pool", timings, error, size, unit="tile")


def write_images(path: Path, count: int) -> None:
    """Write noise, a chunk a tile."""
    rng = np.random.default_rng(5)
    shape = (count, CHANNELS, SIDE, SIDE)
    images = zarr.create_array(path, shape=shape, chunks=(1, *shape[1:]), dtype="f4")
    for n in range(count):
        images[n] = rng.random(shape[1:], dtype=np.float32)


class Network:
    """Six convolutions of 32 channels, with weights that follow from a seed."""

    def __init__(self) -> None:
        import torch

        torch.manual_seed(3)
        torch.set_num_threads(1)
        widths = [CHANNELS, *[32] * 6]
        layers: list[Any] = []
        for before, after in itertools.pairwise(widths):
            layers += [torch.nn.Conv2d(before, after, 3, padding=1), torch.nn.ReLU()]
        self._net = torch.nn.Sequential(*layers, torch.nn.Conv2d(32, 1, 1), torch.nn.Sigmoid())

    def probability(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each pixel, shape (h, w) [1]."""
        import torch

        with torch.inference_mode():
            found: NDArray[np.float32] = self._net(torch.from_numpy(image)[None])[0, 0].numpy()
        return found


class Shipped:
    """The shipped segmenter by torch; it looks at the first three channels."""

    def __init__(self) -> None:
        from pipelines.nets import backends, models

        module: Any = models.opened(models.shipped("segmenter-b0"), name="segmenter-b0")
        self._bands = len(module.spec.channels)
        self._predictor = backends.predictor(module, device="cpu", backend="torch", threads=1)

    def probability(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each pixel, shape (h, w) [1]."""
        shown = image[None, : self._bands]
        return self._predictor.predict(shown, np.ones((1, *image.shape[1:]), np.bool_))[0]


NETWORKS: dict[str, Callable[[], Any]] = {"small": Network, "b0": Shipped}


@dataclass(frozen=True)
class Segmentation:
    """The model job; opening waits until all actors are there."""

    images: Path
    meeting: Path
    actors: int
    network: str

    def opened(self, device: str) -> "OpenedSegmentation":
        """Return the job with its network in memory."""
        del device
        opened = OpenedSegmentation(self.images, self.network)
        meet(self.meeting, self.actors)
        return opened


class OpenedSegmentation:
    """Reads a tile, and writes its probability."""

    def __init__(self, images: Path, network: str) -> None:
        self._images = zarr.open_array(images, mode="r")
        self._network = NETWORKS[network]()

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        number = int(key)
        group["probability"][number] = self._network.probability(np.asarray(self._images[number]))
        return Receipt(key, "done")


def meet(folder: Path, count: int) -> None:
    """Wait until ``count`` processes have come here."""
    (folder / f"here-{os.getpid()}").touch()
    deadline = time.monotonic() + PATIENCE
    while len(list(folder.glob("here-*"))) < count:
        if time.monotonic() > deadline:
            msg = f"fewer than {count} actors within {PATIENCE} s"
            raise TimeoutError(msg)
        time.sleep(0.01)


def template(tiles: int) -> Callable[[zarr.Group], None]:
    """Return what makes the array of probabilities, a chunk a tile."""

    def make(group: zarr.Group) -> None:
        shape, chunks = (tiles, SIDE, SIDE), (1, SIDE, SIDE)
        group.create_array("probability", shape=shape, chunks=chunks, dtype="f4", fill_value=0.0)

    return make


def pooled(
    cluster: ray_cluster.RayCluster,
    images: Path,
    to: Path,
    *,
    tiles: int,
    actors: int,
    network: str,
) -> tuple[float, NDArray[np.float32]]:
    """Segment with our pool; return the seconds after the first tiles, and all tiles."""
    version = Repository.open(str(to / "product.icechunk")).begin("benchmark")
    version.initialise(template(tiles))
    stored: list[float] = []
    process(
        [str(n) for n in range(tiles)],
        Segmentation(images, to, actors, network),
        version=version,
        client=Pool(cluster, Needs(actors=actors)),
        batch=BATCH,
        on_receipt=lambda receipt: stored.append(time.perf_counter()),
    )
    return stored[-1] - stored[WARM - 1], np.asarray(version.group()["probability"][...])


class MovedActor:
    """Takes an array and gives one back."""

    def __init__(self, meeting: Path, count: int, network: str) -> None:
        self._network = NETWORKS[network]()
        meet(meeting, count)

    def probability(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each pixel."""
        return self._network.probability(np.array(image))


def moved(images: Path, to: Path, *, tiles: int, network: str) -> tuple[float, NDArray[np.float32]]:
    """Segment with Ray's ActorPool and arrays by reference; return as :func:`pooled` does."""
    import ray
    from ray.util import ActorPool

    source = zarr.open_array(images, mode="r")
    group = zarr.open_group(to / "product.zarr", mode="w")
    template(tiles)(group)
    actor = ray.remote(MovedActor).options(num_cpus=1)
    actors = [actor.remote(to, 2, network) for _ in range(2)]
    pool = ActorPool(actors)
    references = ((n, ray.put(np.asarray(source[n]))) for n in range(tiles))
    stored: list[float] = []
    found = pool.map(lambda who, pair: who.probability.remote(pair[1]), references)
    for n, probability in enumerate(found):
        group["probability"][n] = probability
        stored.append(time.perf_counter())
    for each in actors:
        ray.kill(each)
    return stored[-1] - stored[WARM - 1], np.asarray(group["probability"][...])


if __name__ == "__main__":
    main()
