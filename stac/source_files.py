"""A source as bytes: one file, or the files beside it that belong to it."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath

from stac import damage_labels, imagery, velocity
from stac.contracts import LINE_CONTRACTS, POLYGON_CONTRACTS
from stac.items import Source
from stac.locations import UnreachableError, filesystem, reaching

SHAPEFILE_SIBLINGS = (".shx", ".dbf", ".prj", ".cpg")


class SourceError(ValueError):
    """A source cannot be read."""


def describe_source(name: str, parts: Mapping[str, bytes]) -> Source:
    """Return name, size and SHA-256 of a source.

    The checksum of a source of several files covers them all: for each, by suffix,
    ``suffix size`` and a line feed, then its bytes.
    """
    size = sum(len(data) for data in parts.values())
    if len(parts) == 1:
        (data,) = parts.values()
        return Source(name, size, hashlib.sha256(data).hexdigest())
    digest = hashlib.sha256()
    for suffix, data in sorted(parts.items()):
        digest.update(f"{suffix} {len(data)}\n".encode())
        digest.update(data)
    return Source(name, size, digest.hexdigest())


def read_parts(url: str, kind: str) -> dict[str, bytes]:
    """Read a source: suffix and bytes of one file, or of all files that belong to it.

    Those are the parts of a shapefile, the components of a velocity that have a GeoTIFF each, by
    the ends of their names, the mask of an annotated image, and what is told beside a picture.
    """
    suffix = PurePosixPath(url).suffix.lower()
    parts = {suffix: _read(url)}
    if kind == "velocity" and (siblings := velocity.sibling_names(url)):
        return _read_components(url, parts[suffix], siblings)
    if kind == damage_labels.KIND:
        parts[damage_labels.MASK_END] = _read(damage_labels.mask_name(url))
    if kind == imagery.KIND:
        parts |= _read_companions(url)
    if kind in {*POLYGON_CONTRACTS, *LINE_CONTRACTS} and suffix == ".shp":
        stem = url[: -len(suffix)]
        for sibling in SHAPEFILE_SIBLINGS:
            with suppress(FileNotFoundError):
                parts[sibling] = _read_found(stem + sibling)
    if not parts[suffix]:
        msg = f"{url} is empty, expected a file of kind {kind!r}; fetch it again"
        raise SourceError(msg)
    return parts


def _read_components(url: str, first: bytes, siblings: Mapping[str, str]) -> dict[str, bytes]:
    suffix = PurePosixPath(url).suffix.lower()
    found = {}
    for end, sibling in siblings.items():
        with suppress(FileNotFoundError):
            found[end] = _read_found(sibling)
    return {f"{velocity.FIRST_COMPONENT}{suffix}": first, **found} if found else {suffix: first}


def _read_companions(url: str) -> dict[str, bytes]:
    """Return the first note and the first world file beside a picture, by their ends."""
    found = {}
    for ends in imagery.companions(url):
        for end, sibling in ends.items():
            with suppress(FileNotFoundError):
                found[end] = _read_found(sibling)
                break
    return found


def _read(url: str) -> bytes:
    try:
        return _read_found(url)
    except FileNotFoundError as error:
        msg = f"there is no file {url}; check the path"
        raise SourceError(msg) from error


def _read_found(url: str) -> bytes:
    fs, path = filesystem(url)
    try:
        with reaching(url, to="read"):
            return bytes(fs.cat_file(path))
    except UnreachableError as error:
        raise SourceError(str(error)) from error
