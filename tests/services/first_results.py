"""Run as ``python -m tests.services.first_results OUTPUT ARRAY``: what a stranger can read already.

Only Icechunk, Zarr and NumPy are used: prints how many chunks along the first axis of an array are
there in the newest version, finished or not.
"""

import os
import sys

import icechunk
import numpy as np
import zarr


def chunks(output: str, name: str) -> int:
    """Return how many are there."""
    bucket, _, prefix = output.removeprefix("s3://").partition("/")
    storage = icechunk.s3_storage(
        bucket=bucket,
        prefix=f"{prefix}/product.icechunk",
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
        allow_http=True,
        force_path_style=True,
        from_env=True,
    )
    repository = icechunk.Repository.open(storage)
    branch = max(each for each in repository.list_branches() if each.startswith("work-"))
    group = zarr.open_group(repository.readonly_session(branch).store, mode="r")
    array = np.asarray(group[name][...])
    return int(np.isfinite(array.reshape(len(array), -1)).any(axis=1).sum())


if __name__ == "__main__":
    print(chunks(*sys.argv[1:]))
