"""A program that streams a product of so many keys into a bucket: ``python -m … KEYS ADDRESS``."""

import sys

import numpy as np
import zarr

from cluster import dask_cluster, work
from cluster.ledger import Receipt
from cluster.zarr_sink import Repository

SIDE = 512  # 2 MiB a key


def field_of(number: int) -> np.ndarray:
    """Return two mebibytes that cannot be compressed."""
    return np.random.default_rng(number).random((SIDE, SIDE))


def write(key: str, group: zarr.Group) -> Receipt:
    """Write the field of a key."""
    group["field"][int(key)] = field_of(int(key))
    return Receipt(key, "done")


def stream(keys: int, url: str) -> None:
    """Write the product with two workers, each a process."""

    def template(group: zarr.Group) -> None:
        group.create_array(
            "field", shape=(keys, SIDE, SIDE), chunks=(1, SIDE, SIDE), dtype="f8",
            compressors=None, fill_value=np.nan,
        )  # fmt: skip

    with dask_cluster.connect(None, workers=2) as client:
        version = Repository.open(url).begin("streamed")
        version.initialise(template)
        work.process([str(n) for n in range(keys)], write, version=version, client=client)


if __name__ == "__main__":
    stream(int(sys.argv[1]), sys.argv[2])
