"""Run as ``python -m tests.services.audit OUTPUT``: what a finished product holds, as JSON.

Printed are the keys with the number of commits that say each is done, the failed ones, a digest of
every array as a reader of the published version and of the plain copy sees it, and of each table.
"""

import hashlib
import json
import sys
from collections import Counter
from typing import Any

import numpy as np
import zarr

from cluster import object_store
from cluster.zarr_sink import Repository


def digests(group: zarr.Group) -> dict[str, str]:
    """Return the SHA-256 of each array of a group, by its path."""
    arrays = (each for each in group.members(max_depth=None) if isinstance(each[1], zarr.Array))
    return {
        path: hashlib.sha256(np.ascontiguousarray(array[...]).tobytes()).hexdigest()
        for path, array in arrays
    }


def audited(output: str) -> dict[str, Any]:
    """Return the facts."""
    repository = Repository.open(f"{output}/product.icechunk", read_only=True)
    works = repository._works()
    done: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for commit in repository._repository.ancestry(branch=works[-1].branch):
        for line in commit.metadata.get("receipts", []):
            receipt = json.loads(line)
            (done if receipt["state"] == "done" else failed)[receipt["key"]] += 1
    return {
        "versions": len(works),
        "done": done,
        "failed": failed,
        "published": digests(zarr.open_group(repository.read(), mode="r")),
        "plain": _objects(f"{output}/product.zarr"),
        "tables": _objects(f"{output}/tables"),
    }


def _objects(folder: str) -> dict[str, str]:
    """Return the SHA-256 of every object below an address, but of metadata, which name versions."""
    names = [each for each in object_store.list_objects(folder) if not each.endswith("zarr.json")]
    return {
        name: hashlib.sha256(object_store.read_bytes(f"{folder}/{name}")).hexdigest()
        for name in names
    }


if __name__ == "__main__":
    print(json.dumps(audited(sys.argv[1])))
