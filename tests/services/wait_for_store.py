"""Run as ``python -m tests.services.wait_for_store BUCKET``: ends when the store takes a write."""

import sys
import time

from cluster import object_store
from cluster.store_errors import StoreError


def main() -> None:
    deadline = time.monotonic() + 60.0
    while True:
        try:
            object_store.write_bytes(f"s3://{sys.argv[1]}/.ready", b"ready")
        except StoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


if __name__ == "__main__":
    main()
