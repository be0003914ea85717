"""Gates read what they touch, once, and get the same bits from any store and any worker."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.typing import NDArray

from pipelines.flows import gate_plan, gate_reading
from pipelines.flows.gate_reading import plan, sample, sample_dask
from pipelines.kernels.budget import bilinear
from pipelines.kernels.budget.bilinear import GridError
from tests.fixtures.counted_reads import CountedReads

YEARS, ROWS, COLUMNS = 3, 120, 150
X, Y = np.arange(COLUMNS) * 1e3 - 70e3, 60e3 - np.arange(ROWS) * 1e3
NAMES = ("v_x", "v_y", "thickness")


def gate(n: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes on an ellipse that leaves most of the grid alone."""
    angle = -2.0 * np.pi * np.arange(n) / n
    return 40e3 * np.cos(angle) + 1234.5, 25e3 * np.sin(angle) - 321.0


def fields() -> xr.Dataset:
    """Three years of velocity and a thickness, with gaps that the gate crosses."""
    generator = np.random.default_rng(1)
    data = generator.normal(size=(2, YEARS, ROWS, COLUMNS)).astype(np.float32)
    thickness = generator.uniform(10.0, 3e3, (ROWS, COLUMNS)).astype(np.float32)
    for gaps in (data[0, 1], data[1, 2], thickness):
        gaps[generator.random(gaps.shape) < 0.15] = np.nan
    cube, plane = ("time", "y", "x"), ("y", "x")
    arrays = {"v_x": (cube, data[0]), "v_y": (cube, data[1]), "thickness": (plane, thickness)}
    return xr.Dataset(arrays, coords={"y": Y, "x": X})


def stored(folder: Path, dataset: xr.Dataset, chunk: int, years: int, shard: int = 0) -> Path:
    """Write a dataset in squares of `chunk` cells and so many years."""
    sizes = {"time": years, "y": chunk, "x": chunk}
    encoding: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        dims = dataset[name].dims
        encoding[name] = {"chunks": tuple(sizes[str(dim)] for dim in dims)}
        if shard:
            large = sizes | {"y": shard, "x": shard}
            encoding[name]["shards"] = tuple(large[str(dim)] for dim in dims)
    dataset.to_zarr(folder, zarr_format=3, consolidated=False, encoding=encoding)
    return folder


def opened(store: Any) -> dict[str, xr.DataArray]:
    dataset = xr.open_zarr(store, chunks=None, consolidated=False)
    return {name: dataset[name] for name in NAMES}


def eager(**choices: Any) -> dict[str, NDArray[np.float64]]:
    """Interpolate the whole grids in memory, without any plan."""
    found = bilinear.stencil(X, Y, *gate())
    return {
        name: bilinear.interpolate(
            array.to_numpy()[..., found.rows, found.columns], found.weights, **choices
        )
        for name, array in fields().items()
    }


def assert_same(
    found: dict[str, NDArray[np.float64]], expected: dict[str, NDArray[np.float64]]
) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


LAYOUTS = {
    "time-contiguous": {"chunk": 16, "years": YEARS},
    "year-major": {"chunk": 64, "years": 1},
    "sharded": {"chunk": 16, "years": YEARS, "shard": 64},
    "one chunk": {"chunk": 150, "years": YEARS},
}


@pytest.mark.parametrize("missing", ["renormalise", "propagate"])
@pytest.mark.parametrize("cut", list(LAYOUTS))
def test_every_layout_gives_the_bits_of_the_whole_grid(
    tmp_path: Path, cut: str, missing: str
) -> None:
    arrays = opened(stored(tmp_path / "a.zarr", fields(), **LAYOUTS[cut]))

    assert_same(sample(arrays, X, Y, *gate(), missing=missing), eager(missing=missing))


def test_gaps_are_crossed_by_this_gate() -> None:
    strict, kept = eager(missing="propagate"), eager()

    assert 0 < np.isnan(kept["v_x"][1]).sum() < np.isnan(strict["v_x"][1]).sum()
    assert not np.isnan(strict["v_x"][0]).any()


@pytest.mark.parametrize("cut", list(LAYOUTS))
def test_each_touched_chunk_is_read_once_and_no_other(tmp_path: Path, cut: str) -> None:
    choices = LAYOUTS[cut]
    path = stored(tmp_path / "a.zarr", fields(), **choices)
    store = CountedReads(zarr.storage.LocalStore(path, read_only=True))
    arrays = {name: opened(store)[name] for name in ("v_x", "v_y")}
    store.reads.clear()

    sample(arrays, X, Y, *gate())

    todo = plan(arrays, X, Y, *gate()).arrays["v_x"].chunks
    of_chunks = {read: n for read, n in store.reads.items() if "Suffix" not in read[1]}
    assert set(of_chunks.values()) == {1}
    assert len(of_chunks) == 2 * len(todo) * (YEARS // choices["years"])
    assert 1 <= len(todo) <= touched_by_hand(choices["chunk"])


def touched_by_hand(chunk: int) -> int:
    """Count squares that hold a cell around any node."""
    squares = set()
    for x, y in zip(*gate(), strict=True):
        column, row = (x - X[0]) / 1e3, (Y[0] - y) / 1e3
        for r, c in itertools.product(
            (np.floor(row), np.ceil(row)), (np.floor(column), np.ceil(column))
        ):
            squares.add((int(r) // chunk, int(c) // chunk))
    return len(squares)


def test_chunks_without_a_node_are_not_in_the_plan(tmp_path: Path) -> None:
    arrays = opened(stored(tmp_path / "a.zarr", fields(), chunk=16, years=YEARS))

    todo = plan(arrays, X, Y, *gate())

    for part in todo.arrays.values():
        assert len(part.chunks) == touched_by_hand(16)
        assert sum(chunk.positions.size for chunk in part.chunks) == todo.cells
        assert all(chunk.nodes > 0 for chunk in part.chunks)
    assert sum(chunk.nodes for chunk in todo.arrays["v_x"].chunks) >= gate()[0].size
    assert todo.share < 0.5
    assert "400 nodes (0 outside the grid)" in todo.describe()


def test_the_plan_tells_the_bytes_that_are_read(tmp_path: Path) -> None:
    whole = fields().fillna(1.0)
    path = tmp_path / "plain.zarr"
    encoding = {name: {"compressors": None} for name in NAMES}
    chunks = {"v_x": (3, 15, 15), "v_y": (1, 30, 30), "thickness": (15, 15)}
    for name, chunk in chunks.items():
        encoding[name]["chunks"] = chunk
    whole.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding)
    store = CountedReads(zarr.storage.LocalStore(path, read_only=True))
    arrays = opened(store)
    store.bytes_read = 0

    sample(arrays, X, Y, *gate())

    todo = plan(arrays, X, Y, *gate())
    assert store.bytes_read == sum(part.bytes_read for part in todo.arrays.values())
    assert todo.arrays["v_x"].bytes_whole == 4 * YEARS * ROWS * COLUMNS


def test_planning_reads_no_chunk(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.zarr", fields(), chunk=16, years=YEARS)
    store = CountedReads(zarr.storage.LocalStore(path, read_only=True))
    arrays = opened(store)
    store.reads.clear()

    plan(arrays, X, Y, *gate())

    assert not store.reads


def test_neighbours_in_a_row_are_asked_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = opened(stored(tmp_path / "a.zarr", fields(), chunk=16, years=YEARS))
    chunk_bytes = YEARS * 16 * 16 * 4
    todo = plan(arrays, X, Y, *gate()).arrays["v_x"]

    assert len(todo.runs) < len(todo.chunks)
    assert sum(run.positions.size for run in todo.runs) == sum(
        chunk.positions.size for chunk in todo.chunks
    )
    monkeypatch.setattr(gate_plan, "RUN_BYTES", 2 * chunk_bytes)
    assert todo.bytes_at_once == 2 * chunk_bytes
    assert_same(sample(arrays, X, Y, *gate()), eager())
    monkeypatch.setattr(gate_plan, "RUN_BYTES", 0)
    assert todo.bytes_at_once == chunk_bytes
    assert len(todo.runs) == len(todo.chunks)
    assert_same(sample(arrays, X, Y, *gate()), eager())


def test_a_large_chunk_is_read_in_parts_along_its_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path / "a.zarr", fields(), chunk=64, years=1)
    store = CountedReads(zarr.storage.LocalStore(path, read_only=True))
    arrays = opened(store)
    monkeypatch.setattr(gate_plan, "BLOCK_BYTES", 1)
    monkeypatch.setattr(gate_plan, "RUN_BYTES", 1)
    store.reads.clear()

    found = sample(arrays, X, Y, *gate())

    todo = plan(arrays, X, Y, *gate()).arrays["v_x"]
    assert todo.bytes_at_once == 64 * 64 * 4
    assert set(store.reads.values()) == {1}
    assert_same(found, eager())


def test_flipped_and_transposed_stores_give_the_same_bits(tmp_path: Path) -> None:
    flipped = fields().isel(y=slice(None, None, -1), x=slice(None, None, -1))
    arrays = opened(stored(tmp_path / "flipped.zarr", flipped, chunk=32, years=2))
    assert_same(sample(arrays, X[::-1], Y[::-1], *gate()), eager())

    turned = fields().transpose("x", "time", "y")
    arrays = opened(stored(tmp_path / "turned.zarr", turned, chunk=32, years=2))
    assert_same(sample(arrays, X, Y, *gate()), eager())


def test_zarr_arrays_and_arrays_in_memory_do_as_well(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.zarr", fields().transpose("x", "time", "y"), 16, YEARS)
    group = zarr.open_group(path, mode="r")
    arrays = {name: group[name] for name in NAMES}
    assert_same(sample(arrays, X, Y, *gate()), eager())

    memory = {name: array.to_numpy() for name, array in fields().items()}
    assert_same(sample(memory, X, Y, *gate()), eager())
    assert_same(sample(dict(fields()), X, Y, *gate()), eager())


def test_reversing_and_mixing_nodes_mixes_their_values_alone(tmp_path: Path) -> None:
    arrays = opened(stored(tmp_path / "a.zarr", fields(), chunk=16, years=YEARS))
    order = np.random.default_rng(4).permutation(gate()[0].size)
    x, y = (at[order] for at in gate())

    found = sample(arrays, X, Y, x, y)

    assert_same(found, {name: values[..., order] for name, values in eager().items()})


def test_dask_threads_give_the_same_bits_and_read_each_chunk_once(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.zarr", fields(), chunk=16, years=YEARS)
    store = CountedReads(zarr.storage.LocalStore(path, read_only=True))
    arrays = opened(store)
    store.reads.clear()

    found = sample_dask(arrays, X, Y, *gate(), scheduler="threads")

    assert_same(found, eager())
    assert set(store.reads.values()) == {1}


def test_a_task_is_a_touched_chunk(tmp_path: Path) -> None:
    arrays = opened(stored(tmp_path / "a.zarr", fields(), chunk=16, years=YEARS))
    part = plan(arrays, X, Y, *gate()).arrays["v_x"]

    tasks = gate_reading._tasks("v_x", arrays["v_x"], part)

    assert len(tasks) == len(part.chunks)
    for task, chunk in zip(tasks[:3], part.chunks[:3], strict=True):
        assert task.compute(scheduler="synchronous").shape == (chunk.positions.size, YEARS)


def test_two_processes_give_the_same_bits(tmp_path: Path) -> None:
    from cluster import dask_cluster

    path = stored(tmp_path / "a.zarr", fields(), chunk=32, years=YEARS)
    group = zarr.open_group(path, mode="r")
    with dask_cluster.connect(workers=2):
        assert_same(sample_dask(opened(path), X, Y, *gate()), eager())
        arrays = {name: group[name] for name in NAMES}
        assert_same(sample_dask(arrays, X, Y, *gate()), eager())


@pytest.mark.services
def test_object_storage_is_read_chunk_by_chunk(tmp_path: Path, s3_environment: Any) -> None:
    from cluster import dask_cluster
    from stac import stores

    folder = tmp_path / "a.zarr"
    stored(folder, fields(), chunk=16, years=YEARS)
    with stores._consolidation():
        zarr.consolidate_metadata(str(folder), zarr_format=3)
    url = s3_environment.url("gates/a.zarr")
    stores.place(stores.describe(folder, stores.ZARR_MEDIA), url)
    dataset = stores.open_group(url)
    arrays = {name: dataset[name] for name in NAMES}

    assert_same(sample(arrays, X, Y, *gate()), eager())
    assert_same(sample_dask(arrays, X, Y, *gate(), scheduler="threads"), eager())
    with dask_cluster.connect(workers=2):
        assert_same(sample_dask(arrays, X, Y, *gate()), eager())


def test_nodes_outside_are_missing_and_read_nothing(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.zarr", fields(), chunk=16, years=YEARS)
    store = CountedReads(zarr.storage.LocalStore(path, read_only=True))
    arrays = opened(store)
    store.reads.clear()

    found = sample(arrays, X, Y, np.array([1e9, np.nan]), np.zeros(2))

    assert not store.reads
    assert found["v_x"].shape == (YEARS, 2)
    assert np.isnan(found["v_x"]).all()
    x, y = (np.append(at, 1e7) for at in gate())
    mixed = sample(arrays, X, Y, x, y)
    assert_same({name: values[..., :-1] for name, values in mixed.items()}, eager())
    assert np.isnan(mixed["thickness"][-1])


def test_nodes_outside_are_refused_where_that_is_asked() -> None:
    with pytest.raises(GridError, match="1 of 1 nodes lie outside the grid"):
        plan(dict(fields()), X, Y, np.array([1e9]), np.zeros(1), outside="refuse")


def test_arrays_of_another_grid_are_refused() -> None:
    arrays = {"thickness": fields()["thickness"].to_numpy()[::2]}
    with pytest.raises(GridError, match=r"thickness has 60 rows and 150 columns, .* 120 and 150"):
        sample(arrays, X, Y, *gate())


def test_arrays_without_a_plane_are_refused() -> None:
    table = fields()["thickness"].rename(x="node")
    with pytest.raises(GridError, match="expected y and x among them"):
        sample({"thickness": table}, X, Y, *gate())
