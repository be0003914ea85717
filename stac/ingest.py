"""Published files become items of a collection: read, checked, converted, catalogued.

The same bytes always give the same item, under whatever name they come again; other bytes under a
name that is taken are refused. A source that cannot be used fails alone, with its reason.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import xarray as xr

from stac import (
    along_track,
    basal_melt,
    boundaries,
    elevation,
    gates,
    gravity,
    stores,
    surface_mass_balance,
    surface_processes,
    thickness,
    triangle_mesh,
    velocity,
)
from stac.boundaries import BoundaryError
from stac.contracts import CONTRACTS, LINE_CONTRACTS, POLYGON_CONTRACTS, ContractError
from stac.field_units import FieldFormatError
from stac.gravity import GravityFormatError
from stac.items import (
    Coverage,
    Source,
    array_coverage,
    gate_coverage,
    item_id,
    region_coverage,
    source_item,
)
from stac.locations import CatalogueError, UnreachableError, filesystem, normalise, reaching
from stac.registry import ChangedSourceError, CollectionWriter, open_writer

KINDS = (
    "grace-l2",
    "degree-one",
    "low-degrees",
    "love-numbers",
    "gia",
    "elevation-rate",
    "elevation",
    "surface-elevation",
    "surface-processes",
    "basins",
    "boundaries",
    "gates",
    "velocity",
    "thickness",
    "surface-mass-balance",
    "basal-melt",
    "landsat",
    "damage-labels",
    "weights",
)
SHAPEFILE_SIBLINGS = (".shx", ".dbf", ".prj", ".cpg")
READERS: Mapping[str, Callable[..., xr.Dataset]] = {
    "grace-l2": gravity.read_gravity_field,
    "degree-one": gravity.read_degree_one,
    "low-degrees": gravity.read_low_degrees,
    "love-numbers": gravity.read_love_numbers,
    "gia": gravity.read_gia,
    "elevation-rate": elevation.read_elevation,
    "elevation": along_track.read_granule,
    "surface-elevation": elevation.read_surface_elevation,
    "velocity": triangle_mesh.or_mesh(velocity.read_velocity, triangle_mesh.read_mesh_velocity),
    "thickness": triangle_mesh.or_mesh(thickness.read_thickness, triangle_mesh.read_mesh_thickness),
    "basal-melt": basal_melt.read_basal_melt,
    "surface-processes": surface_processes.read_surface_processes,
    "surface-mass-balance": surface_mass_balance.read_surface_mass_balance,
}
FIELD_SUFFIXES = (".nc", ".nc4", ".cdf", ".h5", ".tif", ".tiff")
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((*POLYGON_CONTRACTS, *LINE_CONTRACTS), boundaries.SUFFIXES),
    **dict.fromkeys(
        ("elevation-rate", "elevation", "surface-elevation", "surface-processes", "basal-melt"),
        FIELD_SUFFIXES,
    ),
    **dict.fromkeys(("velocity", "thickness"), (*FIELD_SUFFIXES, triangle_mesh.SUFFIX)),
    "surface-mass-balance": surface_mass_balance.SUFFIXES,
}
"""What is looked at in a folder, by kind; all visible files where nothing is said."""
READ_AT_GATES = ("velocity", "thickness")
READABLE = (*READERS, *POLYGON_CONTRACTS, *LINE_CONTRACTS)


class IngestError(ValueError):
    """The request itself is wrong: nothing was read."""


class SourceError(ValueError):
    """A source cannot be read."""


# What a bad source may raise; anything else is a defect and stops the ingest.
SOURCE_ERRORS = (
    GravityFormatError,
    BoundaryError,
    FieldFormatError,
    ContractError,
    ChangedSourceError,
    SourceError,
)


@dataclass(frozen=True)
class Ingested:
    """What became of one source.

    Parameters
    ----------
    source : str
        Address of the source.
    item_id : str
        Id of its item, also when another file gave it the same bytes; empty if it failed.
    state : str
        ``added``, ``present`` or ``failed``.
    checksum : str
        SHA-256 of the source in hex; empty if it could not be read.
    bytes : int
        Size of the source.
    reason : str
        Why it failed, or which file was there before.
    """

    source: str
    item_id: str
    state: str
    checksum: str = ""
    bytes: int = 0
    reason: str = ""


def ingest(
    kind: str, sources: Iterable[str], *, catalogue: str, collection: str
) -> Iterator[Ingested]:
    """Convert sources and add them to a collection, one at a time.

    Parameters
    ----------
    kind : str
        One of `READABLE`.
    sources : iterable of str
        Files, folders (read to the bottom), globs, or addresses that fsspec knows.
    catalogue : str
        Folder or ``s3://`` address of a static catalogue; made if it is not there.
    collection : str
        Its name; one collection holds one kind.

    Yields
    ------
    Ingested
        In the order of the sources. What was yielded as ``added`` is in the catalogue, whatever
        happens next; the index follows at the end, or with the next ingest.

    Raises
    ------
    IngestError
        If the kind is unknown or has no reader yet.
    CatalogueError
        If the catalogue cannot be reached or written.
    """
    if kind not in READABLE:
        what = "has no reader yet" if kind in KINDS else "is no kind of source"
        msg = f"{kind!r} {what}; those that can be ingested are {', '.join(READABLE)}"
        raise IngestError(msg)
    return _ingest_each(kind, list(sources), open_writer(catalogue, collection, kind))


def _ingest_each(kind: str, sources: list[str], writer: CollectionWriter) -> Iterator[Ingested]:
    try:
        for source in sources:
            for url in expand(source, kind):
                yield url if isinstance(url, Ingested) else _ingest_one(kind, url, writer)
    except BaseException:
        # Items in place are found without their index, so its failure must not hide the cause.
        with suppress(CatalogueError):
            writer.publish()
        raise
    writer.publish()


def _ingest_one(kind: str, url: str, writer: CollectionWriter) -> Ingested:
    checksum, size = "", 0
    try:
        parts = read_parts(url, kind)
        source = describe_source(PurePosixPath(url).name, parts)
        checksum, size = source.sha256, source.size
        identity = item_id(source.name)
        present = writer.find(source, identity)
        if present is None:
            present = _convert(kind, parts, source, writer)
    except SOURCE_ERRORS as error:
        return Ingested(url, "", "failed", checksum, size, str(error))
    if present is None:
        return Ingested(url, identity, "added", checksum, size)
    reason = f"the same bytes as item {present!r}, made from {writer.known[present][0]}"
    return Ingested(url, present, "present", checksum, size, reason)


def _convert(
    kind: str, parts: Mapping[str, bytes], source: Source, writer: CollectionWriter
) -> str | None:
    """Build the store aside, then put it in place; return the item that was faster, if any."""
    with tempfile.TemporaryDirectory(prefix="nunatak-ingest-") as folder:
        if kind in POLYGON_CONTRACTS:
            found, stored, coverage = _convert_polygons(kind, parts, source, Path(folder))
        elif kind in LINE_CONTRACTS:
            found, stored, coverage = _convert_lines(kind, parts, source, Path(folder))
        else:
            found, stored, coverage = _convert_arrays(kind, parts, source, Path(folder))
        item = source_item(
            kind=found, collection=writer.name, source=source, stored=stored, coverage=coverage
        )
        return writer.add(item, stored, source)


def _convert_arrays(
    kind: str, parts: Mapping[str, bytes], source: Source, folder: Path
) -> tuple[str, stores.Stored, Coverage]:
    if len(parts) > 1:
        dataset = velocity.read_components(parts, name=source.name)
    else:
        (data,) = parts.values()
        dataset = READERS[kind](data, name=source.name)
    # Altimetry is ingested under one name, whether it is gridded already or not.
    found = "elevation" if "point" in dataset.dims else kind
    # Tables by basin are of a kind of their own, and ingested under the name of the fields.
    found = f"{kind}-regions" if "region" in dataset.dims else found
    CONTRACTS[found].check_values(dataset)
    tile = stores.GATE_TILE if kind in READ_AT_GATES else stores.TILE
    stored = stores.write_group(dataset, folder / "data.zarr", tile=tile)
    return found, stored, array_coverage(dataset)


def _convert_polygons(
    kind: str, parts: Mapping[str, bytes], source: Source, folder: Path
) -> tuple[str, stores.Stored, Coverage]:
    table = POLYGON_CONTRACTS[kind].check(boundaries.read_regions(parts, name=source.name))
    coverage = region_coverage(table)
    return kind, stores.write_table(table, folder / "data.parquet"), coverage


def _convert_lines(
    kind: str, parts: Mapping[str, bytes], source: Source, folder: Path
) -> tuple[str, stores.Stored, Coverage]:
    table = LINE_CONTRACTS[kind].check(gates.read_gates(parts, name=source.name))
    return kind, stores.write_table(table, folder / "data.parquet"), gate_coverage(table)


def describe_source(name: str, parts: Mapping[str, bytes]) -> Source:
    """Return name, size and SHA-256 of a source.

    The checksum of a shapefile covers its parts: for each, by suffix, ``suffix size`` and a line
    feed, then its bytes.
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
    """Read a source: suffix and bytes of one file, or of all parts of a shapefile.

    The components of a velocity that have a GeoTIFF each are parts by the ends of their names.
    """
    suffix = PurePosixPath(url).suffix.lower()
    parts = {suffix: _read(url)}
    if kind == "velocity" and (siblings := velocity.sibling_names(url)):
        return _read_components(url, parts[suffix], siblings)
    if kind not in READERS and suffix == ".shp":
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


def expand(source: str, kind: str) -> list[str | Ingested]:
    """Return the addresses of the files that a file, folder or glob stands for, sorted.

    A source that stands for nothing becomes a failed `Ingested`. Hidden files are passed over; so
    is, in a folder or glob of polygons or fields, all that has not one of the suffixes of its kind.
    """
    try:
        found = _expand(normalise(source))
    except CatalogueError as error:
        return [Ingested(source, "", "failed", reason=str(error))]
    if found == [normalise(source)]:
        return list(found)
    if kind in SUFFIXES:
        found = [url for url in found if url.lower().endswith(SUFFIXES[kind])]
    if kind == "velocity":
        found = velocity.without_companions(found)
    if not found:
        reason = f"nothing of kind {kind!r} at {source}; check the path or the pattern"
        return [Ingested(source, "", "failed", reason=reason)]
    return list(found)


def _expand(url: str) -> list[str]:
    fs, path = filesystem(url)
    if url.startswith(("http://", "https://")):
        return [url]
    with reaching(url, to="list"):
        if fs.isfile(path):
            return [url]
        if fs.isdir(path):
            paths = fs.find(path)
        elif any(sign in path for sign in "*?["):
            paths = [found for found in fs.glob(path) if fs.isfile(found)]
        else:
            return []
    visible = (p for p in paths if not any(s.startswith(".") for s in _below(p, path)))
    return sorted(normalise(str(fs.unstrip_protocol(p))) for p in visible)


def _below(path: str, folder: str) -> list[str]:
    """Return the parts of a path that its folder does not have."""
    return path.split("/")[folder.count("/") :]
