"""Datasets as Zarr v3 groups: consolidated, every type in the Zarr core.

Fields on a grid are cut into tiles, each of one member; any other variable is one chunk.

Zarr v3 has no settled type for text, so a text coordinate is written as CF flags (small integers
with ``flag_meanings``); times are whole microseconds since 1970. Reading turns both back.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr
import zarr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from stac.locations import filesystem, is_local, join, reaching

ROOT = "zarr.json"
ZARR_MEDIA = "application/vnd.zarr; version=3"
PARQUET_MEDIA = "application/vnd.apache.parquet"
TILE = 512
"""Rows and columns of one chunk of a field: 2 MiB of float64."""
GATE_TILE = 256
"""The same for fields that are read along lines: 0.5 MiB of float64.

Gates around a continent of 5600² cells touch 39 % of it in tiles of 512, 23 % in 256 and 13 % in
128. A tile of 128 is a few ten kB when packed, so its request costs more than its bytes, and a
year of both components is 490 of them instead of 220.
"""
SERIES = 120, 16_384
"""Months and cells of one chunk of a model's series: 15 MiB of float64."""
EPOCH = "microseconds since 1970-01-01"


@dataclass(frozen=True)
class Stored:
    """A data store that was built: where, how large [bytes], and its SHA-256.

    The checksum of a folder is that of its manifest: a line ``path size sha256`` for each file,
    sorted by path.
    """

    path: Path
    media_type: str
    size: int
    sha256: str


def write_group(dataset: xr.Dataset, folder: Path, *, tile: int = TILE) -> Stored:
    """Write a dataset as a Zarr v3 group, the same bytes for the same dataset.

    Fields are cut into tiles of `tile` rows and columns.
    """
    encoded = encode(dataset)
    encoding = {name: _encoding(variable, tile) for name, variable in encoded.variables.items()}
    encoded.to_zarr(folder, mode="w", zarr_format=3, consolidated=False, encoding=encoding)
    with _consolidation():
        zarr.consolidate_metadata(str(folder), zarr_format=3)
    return describe(folder, ZARR_MEDIA)


def write_table(table: gpd.GeoDataFrame, path: Path) -> Stored:
    """Write regions as GeoParquet."""
    bare = table.copy()
    # Remarks go into the item; pandas would write them into the file's metadata as well.
    bare.attrs = {}
    bare.to_parquet(path, index=False)
    return describe(path, PARQUET_MEDIA)


def open_group(url: str) -> xr.Dataset:
    """Open a group lazily: nothing but its metadata is read.

    Raises
    ------
    FileNotFoundError
        If there is no group.
    """
    with reaching(url, to="open"):
        return decode(xr.open_zarr(_zarr_store(url), chunks=None, consolidated=True))


def _zarr_store(url: str) -> Any:
    """Return a path, or a Zarr store over the same connections that the catalogue is read by.

    Zarr would open an asynchronous connection of its own for each group, which nobody closes.
    """
    if is_local(url):
        return url
    fs, path = filesystem(url)
    wrapped = AsyncFileSystemWrapper(fs, asynchronous=True)
    return zarr.storage.FsspecStore(wrapped, read_only=True, path=path)


@contextmanager
def _consolidation() -> Iterator[None]:
    with warnings.catch_warnings():
        # Consolidated metadata is one read on object storage, and the group is never changed after.
        warnings.filterwarnings(
            "ignore", "Consolidated metadata is currently not part", UserWarning
        )
        yield


def encode(dataset: xr.Dataset) -> xr.Dataset:
    """Replace text by CF flags, and NumPy scalars in attributes by Python's."""
    variables = {
        name: _flags(str(name), variable) if variable.dtype.kind in "UO" else variable
        for name, variable in dataset.drop_encoding().variables.items()
    }
    plain = {
        name: xr.Variable(variable.dims, variable.data, _plain(variable.attrs))
        for name, variable in variables.items()
    }
    return xr.Dataset(plain, attrs=_plain(dataset.attrs)).set_coords(list(dataset.coords))


def _encoding(variable: xr.Variable, tile: int) -> dict[str, Any]:
    """Return tiles for fields, one chunk for all else, and whole microseconds for times."""
    chunks: dict[str, Any] = {"chunks": _chunks(variable, tile)} if variable.shape else {}
    if variable.dtype.kind != "M":
        return chunks
    return chunks | {"units": EPOCH, "dtype": "int64", "calendar": "proleptic_gregorian"}


def _chunks(variable: xr.Variable, tile: int) -> tuple[int, ...]:
    """Return the shape of one chunk: of a field at most a tile of one member."""
    if variable.dims == ("time", "cell"):
        return tuple(min(size, most) for size, most in zip(variable.shape, SERIES, strict=True))
    if variable.dims[-2:] != ("y", "x"):
        return variable.shape
    return (*(1 for _ in variable.shape[:-2]), *(min(tile, size) for size in variable.shape[-2:]))


def decode(dataset: xr.Dataset) -> xr.Dataset:
    """Turn CF flags back into text; everything else is decoded by xarray."""
    for name, variable in list(dataset.variables.items()):
        if "flag_meanings" not in variable.attrs:
            continue
        meanings = np.array(str(variable.attrs["flag_meanings"]).split())
        attributes = {k: v for k, v in variable.attrs.items() if not k.startswith("flag_")}
        dataset = dataset.assign_coords(
            {name: (variable.dims, meanings[variable.to_numpy()], attributes)}
        )
    return dataset


def _flags(name: str, variable: xr.Variable) -> xr.Variable:
    text = variable.to_numpy().astype(str)
    meanings, codes = np.unique(text, return_inverse=True)
    if any(not word or len(word.split()) != 1 for word in meanings):
        msg = f"{name} holds {meanings.tolist()}; text coordinates need words without spaces"
        raise ValueError(msg)
    attributes = dict(variable.attrs) | {
        "flag_values": list(range(meanings.size)),
        "flag_meanings": " ".join(meanings.tolist()),
    }
    return xr.Variable(variable.dims, codes.reshape(text.shape).astype(np.int16), attributes)


def _plain(attributes: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(key): value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        for key, value in attributes.items()
    }


def describe(path: Path, media_type: str) -> Stored:
    """Measure a finished store, a file or a folder of files."""
    if path.is_file():
        data = path.read_bytes()
        return Stored(path, media_type, len(data), hashlib.sha256(data).hexdigest())
    manifest, total = hashlib.sha256(), 0
    files = {p.relative_to(path).as_posix(): p for p in path.rglob("*") if p.is_file()}
    for name, file in sorted(files.items()):
        data = file.read_bytes()
        manifest.update(f"{name} {len(data)} {hashlib.sha256(data).hexdigest()}\n".encode())
        total += len(data)
    return Stored(path, media_type, total, manifest.hexdigest())


def place(stored: Stored, url: str) -> None:
    """Put a finished store where its readers look for it.

    Locally it is copied beside its place and renamed, in place of what a killed ingest may have
    left. On object storage the same bytes may be put twice, and the root document comes last: a
    group without it is not there.
    """
    with reaching(url, to="write"):
        if is_local(url):
            _place_locally(stored.path, Path(url))
        else:
            _upload(stored.path, url)


def _place_locally(source: Path, target: Path) -> None:
    import shutil

    aside = target.with_name(f".{target.name}.partial")
    for leftover in (aside, target):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        leftover.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, aside)
    else:
        shutil.copyfile(source, aside)
    aside.replace(target)


def _upload(source: Path, url: str) -> None:
    fs, path = filesystem(url)
    if source.is_file():
        fs.pipe_file(path, source.read_bytes())
        return
    files = {
        join(path, file.relative_to(source).as_posix()): file.read_bytes()
        for file in source.rglob("*")
        if file.is_file()
    }
    root = files.pop(join(path, ROOT))
    fs.pipe(files)
    fs.pipe_file(join(path, ROOT), root)
