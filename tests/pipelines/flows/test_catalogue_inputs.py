"""What reading an input raises: its own damage fails a key, a store that is away ends the run."""

import pytest
import xarray as xr

from cluster.ledger import KeyFailed
from cluster.store_errors import MissingObjectError, StoreError
from pipelines.flows.catalogue_inputs import Source


class Opened(Source):
    """A source that is open."""

    def open(self) -> xr.Dataset:
        return xr.Dataset()


def reading(error: Exception) -> object:
    def choose(_: xr.Dataset) -> object:
        raise error

    return Opened("month-1", "gravity-field", "nowhere").read(choose)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Zstd decompression error"), OSError("truncated"), KeyError("stokes"),
        ValueError("buffer size"), MissingObjectError("s3://ice/x: nothing there"),
    ],
)  # fmt: skip
def test_what_is_damaged_fails_its_key_and_names_the_item(error: Exception) -> None:
    with pytest.raises(KeyFailed, match=r"month-1: its values cannot be read .* ingest it again"):
        reading(error)


def test_a_store_that_is_away_is_no_fault_of_the_input() -> None:
    with pytest.raises(StoreError, match="has not answered"):
        reading(StoreError("the store has not answered for 20 s"))
