"""Image files opened and checked: GeoTIFF only, every wait bounded, every failure in words.

One open file costs several requests, so a few that nobody uses are kept for the next reader; each
is used by one thread at a time, as GDAL requires. What is kept is never older than its file.
"""

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from stac import raster_addresses
from stac.landsat_items import Asset
from stac.raster_addresses import RETRY_CODES, RasterError, shown

How = Literal["none", "size", "full"]
MOST_IDLE = 16
IDLE_SECONDS = 60.0
PIECE_BYTES = 1 << 22
LARGEST_BLOCK_BYTES = 1 << 28
# Codes of multihash: https://github.com/multiformats/multicodec, sha2-256 and sha2-512.
MULTIHASHES = {"1220": "sha256", "1340": "sha512"}
TYPES = frozenset({"uint8", "uint16", "int16"})


class InterruptedReadError(RasterError):
    """A far file is there, yet a read of it failed: connections break, so try again."""


@dataclass(frozen=True)
class _Key:
    path: str
    overview: int | None
    stamp: tuple[object, ...]


class _IdleFiles:
    """Open files that nobody reads at the moment, the oldest closed first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: list[tuple[float, _Key, Any]] = []

    def take(self, key: _Key) -> Any | None:
        """Return an open file and forget it; None if there is none."""
        with self._lock:
            for i in reversed(range(len(self._files))):
                since, found, dataset = self._files[i]
                if found == key and time.monotonic() - since < IDLE_SECONDS:
                    del self._files[i]
                    return dataset
        return None

    def put(self, key: _Key, dataset: Any) -> None:
        """Keep an open file, and close those that are too many or too old."""
        now = time.monotonic()
        with self._lock:
            kept = [*self._files, (now, key, dataset)][-MOST_IDLE:]
            kept = [entry for entry in kept if now - entry[0] < IDLE_SECONDS]
            closing = [entry for entry in self._files if entry not in kept]
            self._files = kept
        for _, _, old in closing:
            old.close()

    def close(self) -> None:
        """Close all."""
        with self._lock:
            closing, self._files = self._files, []
        for _, _, dataset in closing:
            dataset.close()

    def forget(self) -> None:
        """Leave all to the process that this one was forked from."""
        self._lock = threading.Lock()
        self._inherited, self._files = self._files, []


_IDLE = _IdleFiles()
os.register_at_fork(after_in_child=_IDLE.forget)


def close_idle() -> None:
    """Close the files that are kept open for the next reader."""
    _IDLE.close()


@contextlib.contextmanager
def opened(asset: Asset, *, overview: int | None = None) -> Iterator[Any]:
    """Open an image for the reads of this block; errors of those reads are explained, too.

    Parameters
    ----------
    asset : Asset
        Its href may be signed.
    overview : int, optional
        Which of its overviews to open in place of the image, 0 the finest.

    Yields
    ------
    rasterio.DatasetReader
        One band of type uint8, uint16 or int16. It is for this thread and this block only.

    Raises
    ------
    RasterError
        If the file is gone, refused, throttled for too long, damaged, or no such GeoTIFF.
    """
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.session import DummySession

    path = raster_addresses.gdal_path(asset.href)
    key = _Key(path, overview, raster_addresses.stamp(asset.href))
    started = time.monotonic()
    # The options hold for this thread only; DummySession leaves keys to GDAL.
    with rasterio.Env(session=DummySession(), **raster_addresses.options(asset.href)):
        try:
            dataset = _IDLE.take(key) or _open(path, overview)
        except (RasterioError, OSError, UserWarning) as error:
            raise _explained(error, asset, time.monotonic() - started) from None
        try:
            _check_kind(dataset, asset)
            yield dataset
        except BaseException as error:
            dataset.close()
            if isinstance(error, RasterioError | OSError):
                raise _explained(error, asset, time.monotonic() - started) from None
            raise
    _IDLE.put(key, dataset)


def _open(path: str, overview: int | None) -> Any:
    import rasterio

    level = {} if overview is None else {"overview_level": overview}
    return rasterio.open(path, driver="GTiff", sharing=False, **level)


def verify(asset: Asset, how: How = "size") -> How:
    """Compare a file with the size and the checksum that its catalogue promises.

    Parameters
    ----------
    asset : Asset
        What the catalogue says.
    how : {"none", "size", "full"}
        "full" reads the whole file once, in pieces.

    Returns
    -------
    {"none", "size", "full"}
        How far it could be compared: no further than the catalogue promises anything.

    Raises
    ------
    RasterError
        If it is gone or differs, or the checksum is of an unknown kind.
    """
    if how == "none" or not (asset.size or asset.checksum):
        return "none"
    if asset.size:
        _check_size(asset)
    if how == "size" or not asset.checksum:
        return "size" if asset.size else "none"
    expected = asset.checksum.lower()
    digest = _digest(asset, expected)
    if expected[4:] != digest:
        msg = (
            f"{shown(asset.href)} has checksum {digest[:16]}..., its catalogue promises "
            f"{expected[4:20]}...; it was changed or damaged on its way: fetch it again"
        )
        raise RasterError(msg)
    return "full"


def _check_size(asset: Asset) -> None:
    answer = raster_addresses.ask(asset.href)
    if answer.code not in {200, 206}:
        raise _unreachable(asset, answer, seconds=None)
    if answer.size not in {-1, asset.size}:
        raise RasterError(_wrong_size(asset, answer.size))


def _digest(asset: Asset, expected: str) -> str:
    """Return the digest of the file by the algorithm of the expected multihash, in hex."""
    name = MULTIHASHES.get(expected[:4])
    if name is None or len(expected) != 4 + 2 * hashlib.new(name).digest_size:
        msg = (
            f"{shown(asset.href)}: checksum {expected[:24]!r} is no multihash of sha2-256 (1220..) "
            "or sha2-512 (1340...); correct the item, or verify the size only"
        )
        raise RasterError(msg)
    digest = hashlib.new(name)
    try:
        fs, path = raster_addresses.filesystem(asset.href)
        with fs.open(path, "rb", block_size=PIECE_BYTES) as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    except (OSError, LookupError, ValueError) as error:
        raise _explained(error, asset, seconds=None) from None
    return digest.hexdigest()


def _check_kind(dataset: Any, asset: Asset) -> None:
    """Refuse what is no single band of small integers in blocks of a reasonable size."""
    name, kind = shown(asset.href), dataset.dtypes[0]
    if dataset.count != 1 or kind not in TYPES:
        msg = (
            f"{name} has {dataset.count} bands of {kind}; a Landsat file has one, of uint8, uint16 "
            "or int16: the item points to another file"
        )
        raise RasterError(msg)
    rows, columns = dataset.block_shapes[0]
    if rows * columns * 2 > LARGEST_BLOCK_BYTES:
        msg = (
            f"{name} is stored in blocks of {rows} x {columns} pixels, more than "
            f"{LARGEST_BLOCK_BYTES >> 20} MiB each; rewrite it: gdal_translate -of COG"
        )
        raise RasterError(msg)


def _explained(error: BaseException, asset: Asset, seconds: float | None) -> RasterError:
    """Say why a file could not be opened or read, asking its place once more."""
    if isinstance(error, RasterError):
        return error
    told = _told(error)
    number = re.search(r"HTTP response code: (\d{3})", told)
    answer = raster_addresses.ask(asset.href)
    if number and answer.code in {0, 200, 206}:
        answer = raster_addresses.Answer(int(number[1]))
    if answer.code not in {200, 206}:
        return _unreachable(asset, answer, seconds=seconds, told=told)
    if asset.size and answer.size not in {-1, asset.size}:
        return RasterError(f"{_wrong_size(asset, answer.size)} ({told})")
    kind = RasterError if raster_addresses.is_local(asset.href) else InterruptedReadError
    return kind(
        f"{shown(asset.href)} is no GeoTIFF that can be read ({told}); it is another file, or "
        "damaged or cut off: compare it with its source, and fetch it again"
    )


def _unreachable(
    asset: Asset, answer: raster_addresses.Answer, *, seconds: float | None, told: str = ""
) -> RasterError:
    name = shown(asset.href)
    reasons = [text for text in dict.fromkeys((answer.reason, told)) if text]
    found = f"{answer.code or 'no answer'} {'; '.join(reasons)}".strip()
    after = "" if seconds is None else f" after {seconds:.1f} s of trying"
    if answer.code in {404, 410}:
        return RasterError(
            f"{name} is not there ({found}); its catalogue promised it: search again, the "
            "product may have been reprocessed or moved"
        )
    if answer.code in {400, 401, 403}:
        return RasterError(
            f"{name} is refused ({found}); check the credentials (AWS_ACCESS_KEY_ID, or "
            "FSSPEC_S3_ANON=true for public buckets) or let the address be signed again"
        )
    if answer.code in RETRY_CODES:
        return RasterError(
            f"{name} is not given ({found}){after}; the store asks to slow down: run fewer "
            "workers, or raise GDAL_HTTP_MAX_RETRY or GDAL_HTTP_RETRY_DELAY"
        )
    return RasterError(
        f"{name} cannot be reached ({found}){after}; check the address, the network and "
        "AWS_ENDPOINT_URL"
    )


def _wrong_size(asset: Asset, found: int) -> str:
    return (
        f"{shown(asset.href)} has {found} bytes, its catalogue promises {asset.size}; it was cut "
        "off or replaced: fetch it again, or ingest the new one"
    )


def _told(error: BaseException) -> str:
    """Return what an error and those behind it tell, once each, without signatures."""
    texts: list[str] = []
    at: BaseException | None = error
    while at is not None and len(texts) < 4:
        text = shown(" ".join(str(at).split()))[:300]
        text = text.partition(" - Failure writing output to destination")[0]
        if text and text not in texts and "See previous exception" not in text:
            texts.append(text)
        at = at.__cause__ or at.__context__
    return "; ".join(texts)
