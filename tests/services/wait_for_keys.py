"""Run as ``python -m tests.services.wait_for_keys OUTPUT N``: ends when N keys are committed."""

import sys
import time

from cluster.store_errors import StoreError
from cluster.zarr_sink import Repository


def committed(output: str) -> int:
    """Return how many receipts the newest version has; none before it is there."""
    try:
        repository = Repository.open(f"{output}/product.icechunk", read_only=True)
        works = repository._works()
        return len(repository._version(works[-1]).receipts()) if works else 0
    except StoreError:
        return 0


if __name__ == "__main__":
    while committed(sys.argv[1]) < int(sys.argv[2]):
        time.sleep(0.05)
