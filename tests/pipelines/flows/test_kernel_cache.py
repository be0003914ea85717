"""Cached arrays: made once, found again, made anew when damaged."""

import functools

import numpy as np
import pytest

from pipelines.flows.kernel_cache import KernelCacheError, cached_arrays
from pipelines.kernels.gravity.cap_grid import cap_grid
from pipelines.kernels.gravity.cap_transform import CapTransform

ARRAYS = {"values": np.arange(1000.0), "rows": np.arange(3)}


class Maker:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return ARRAYS


def assert_same(found) -> None:
    assert set(found) == set(ARRAYS)
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(found[name], values)


def test_arrays_are_made_once(tmp_path):
    make = Maker()
    for _ in range(3):
        assert_same(cached_arrays(tmp_path / "new" / "folder", "a-key_1", make))
    assert make.calls == 1
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a-key_1.npz"]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    make = Maker()
    cached_arrays(tmp_path, "key", make)
    path = tmp_path / "key.npz"
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:middle],
            "empty": b"",
            "text": b"not arrays",
        }[damage]
    )
    assert_same(cached_arrays(tmp_path, "key", make))
    assert_same(cached_arrays(tmp_path, "key", make))
    assert make.calls == 2


def test_a_maker_that_fails_leaves_nothing(tmp_path):
    def fail():
        return {"values": np.array([object()])}

    with pytest.raises(ValueError, match="allow_pickle"):
        cached_arrays(tmp_path, "key", fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["", "../key", "a b", "a/b"])
def test_keys_that_are_no_plain_names_are_refused(tmp_path, key):
    with pytest.raises(KernelCacheError, match="use a digest"):
        cached_arrays(tmp_path, key, Maker())


def test_a_transform_finds_its_kernel_again(tmp_path):
    keep = functools.partial(cached_arrays, tmp_path)
    grid = cap_grid(2.0, north=-60.0)
    field = np.random.default_rng(1).standard_normal((2, 15, 180))
    plain = CapTransform(grid, 60).analyse(field)
    for _ in range(2):
        transform = CapTransform(grid, 60, keep=keep)
        np.testing.assert_array_equal(transform.analyse(field), plain)
    assert len(list(tmp_path.iterdir())) == 1
