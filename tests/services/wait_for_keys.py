"""Run as ``python -m tests.services.wait_for_keys OUTPUT N``: ends when N keys are committed."""

import sys
import time

from cluster.store_errors import StoreError
from cluster.zarr_sink import Repository

output, count = sys.argv[1], int(sys.argv[2])


def committed() -> int:
    """Return how many receipts the newest version has."""
    repository = Repository.open(f"{output}/product.icechunk", read_only=True)
    works = repository._works()
    return len(repository._version(works[-1]).receipts()) if works else 0


while True:
    try:
        if committed() >= count:
            break
    except StoreError:
        pass  # not there yet
    time.sleep(0.05)
