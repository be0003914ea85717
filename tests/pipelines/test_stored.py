"""Values of arrays: what is damaged fails the key that asks; a store that is away ends the run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from cluster.ledger import KeyFailed
from cluster.store_errors import StoreError
from cluster.zarr_sink import Repository
from pipelines import stored
from tests.fixtures.damaged_chunks import chunk_file

VALUES = np.random.default_rng(2).normal(size=(2, 500))


@pytest.fixture
def product(tmp_path: Path) -> Path:
    def template(group: zarr.Group) -> None:
        group.create_array("deep/rate", data=VALUES, chunks=(1, 500))

    version = Repository.open(str(tmp_path / "product.icechunk")).begin("one")
    version.initialise(template)
    version.publish()
    return tmp_path


def opened(product: Path) -> zarr.Group:
    repository = Repository.open(str(product / "product.icechunk"), read_only=True)
    return zarr.open_group(repository.read(), mode="r")


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:20] = bytes(255 - byte for byte in data[:20])
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [halve, flip, Path.unlink])
def test_a_damaged_chunk_fails_who_asks_for_it_and_nobody_else(
    product: Path, harm: Callable[[Path], None]
) -> None:
    harm(chunk_file(product, "deep/rate/c/1/0"))
    group = opened(product)

    np.testing.assert_array_equal(stored.read(group, "deep/rate", 0), VALUES[0])
    told = f"a chunk of deep/rate in .*{product.name}/product.icechunk is damaged .*--fresh"
    for read in (stored.read, stored.values):
        with pytest.raises(KeyFailed, match=told):
            read(group, "deep/rate", 1)


@pytest.mark.parametrize("error", [StoreError("silent"), IndexError("axis"), MemoryError()])
def test_a_store_that_is_away_and_our_own_defects_are_not_taken_for_damage(
    product: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def raises(*_: object) -> None:
        raise error

    monkeypatch.setattr(zarr.Array, "__getitem__", raises)
    with pytest.raises(type(error)) as raised:
        stored.read(opened(product), "deep/rate")
    assert raised.value is error
