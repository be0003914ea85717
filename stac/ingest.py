"""Published files become items of a collection: read, checked, converted, catalogued.

The same bytes always give the same item, under whatever name they come again; other bytes under a
name that is taken are refused. A source that cannot be used fails alone, with its reason.
"""

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
    damage_labels,
    elevation,
    gates,
    gravity,
    ice_shelves,
    imagery,
    landsat_files,
    landsat_ingest,
    stores,
    surface_mass_balance,
    surface_processes,
    thickness,
    triangle_mesh,
    velocity,
    weights,
)
from stac.boundaries import BoundaryError
from stac.contracts import CONTRACTS, LINE_CONTRACTS, POLYGON_CONTRACTS, ContractError
from stac.damage_labels import LabelError
from stac.field_units import FieldFormatError
from stac.gravity import GravityFormatError
from stac.imagery_notes import ImageryError
from stac.items import (
    Coverage,
    Source,
    array_coverage,
    gate_coverage,
    item_id,
    region_coverage,
    source_item,
)
from stac.landsat_files import SceneError
from stac.landsat_items import LandsatItemError
from stac.landsat_metadata import MetadataError
from stac.locations import CatalogueError, filesystem, normalise, reaching
from stac.registry import ChangedSourceError, CollectionWriter, open_writer
from stac.source_files import SourceError, describe_source, read_parts
from stac.weights import WeightsError

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
    "ice-shelves",
    "velocity",
    "thickness",
    "surface-mass-balance",
    "basal-melt",
    "landsat",
    "damage-labels",
    "imagery",
    "weights",
)
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
    damage_labels.KIND: damage_labels.SUFFIXES,
    imagery.KIND: imagery.SUFFIXES,
    weights.KIND: weights.SUFFIXES,
}
"""What is looked at in a folder, by kind; all visible files where nothing is said."""
READ_AT_GATES = ("velocity", "thickness")
READABLE = (
    *READERS,
    *POLYGON_CONTRACTS,
    *LINE_CONTRACTS,
    landsat_ingest.KIND,
    damage_labels.KIND,
    imagery.KIND,
    weights.KIND,
)


class IngestError(ValueError):
    """The request itself is wrong: nothing was read."""


# What a bad source may raise; anything else is a defect and stops the ingest.
SOURCE_ERRORS = (
    GravityFormatError,
    BoundaryError,
    FieldFormatError,
    ContractError,
    ChangedSourceError,
    SourceError,
    SceneError,
    MetadataError,
    LandsatItemError,
    LabelError,
    ImageryError,
    WeightsError,
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
    found = (url for source in sources for url in expand(source, kind))
    return ingest_found(kind, found, catalogue=catalogue, collection=collection)


def ingest_found(
    kind: str, found: Iterable[str | Ingested], *, catalogue: str, collection: str
) -> Iterator[Ingested]:
    """Do what :func:`ingest` does for what :func:`expand` found."""
    if kind not in READABLE:
        what = "has no reader yet" if kind in KINDS else "is no kind of source"
        msg = f"{kind!r} {what}; those that can be ingested are {', '.join(READABLE)}"
        raise IngestError(msg)
    return _ingest_each(kind, found, open_writer(catalogue, collection, kind))


def _ingest_each(
    kind: str, found: Iterable[str | Ingested], writer: CollectionWriter
) -> Iterator[Ingested]:
    try:
        for url in found:
            yield url if isinstance(url, Ingested) else _ingest_one(kind, url, writer)
    except BaseException:
        # Items in place are found without their index, so its failure must not hide the cause.
        with suppress(CatalogueError):
            writer.publish()
        raise
    writer.publish()


def _ingest_one(kind: str, url: str, writer: CollectionWriter) -> Ingested:
    if kind == landsat_ingest.KIND:
        return _refer_to_one(url, writer)
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
    return _done(url, identity, present, source, writer)


def _refer_to_one(url: str, writer: CollectionWriter) -> Ingested:
    """Add the item of a product whose files stay where they are."""
    checksum, size = "", 0
    try:
        found = landsat_ingest.referenced(url, collection=writer.name, folder=writer.folder)
        checksum, size = found.source.sha256, found.source.size
        present = writer.add(found.item, None, found.source)
    except SOURCE_ERRORS as error:
        return Ingested(url, "", "failed", checksum, size, str(error))
    return _done(url, found.item.id, present, found.source, writer)


def _done(
    url: str, identity: str, present: str | None, source: Source, writer: CollectionWriter
) -> Ingested:
    if present is None:
        return Ingested(url, identity, "added", source.sha256, source.size)
    reason = f"the same bytes as item {present!r}, made from {writer.known[present][0]}"
    return Ingested(url, present, "present", source.sha256, source.size, reason)


def _convert(
    kind: str, parts: Mapping[str, bytes], source: Source, writer: CollectionWriter
) -> str | None:
    """Build the store aside, then put it in place; return the item that was faster, if any."""
    with tempfile.TemporaryDirectory(prefix="nunatak-ingest-") as folder:
        if kind in POLYGON_CONTRACTS:
            found, stored, coverage = _convert_polygons(kind, parts, source, Path(folder))
        elif kind in LINE_CONTRACTS:
            found, stored, coverage = _convert_lines(kind, parts, source, Path(folder))
        elif kind == damage_labels.KIND:
            found, stored, coverage = _convert_labels(kind, parts, source, Path(folder))
        elif kind == imagery.KIND:
            found, stored, coverage = _convert_imagery(kind, parts, source, Path(folder))
        elif kind == weights.KIND:
            (data,) = parts.values()
            found, (stored, coverage) = kind, weights.store(data, Path(folder), name=source.name)
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


def _convert_labels(
    kind: str, parts: Mapping[str, bytes], source: Source, folder: Path
) -> tuple[str, stores.Stored, Coverage]:
    dataset = CONTRACTS[kind].check_values(damage_labels.read_labels(parts, name=source.name))
    stored = stores.write_group(dataset, folder / "data.zarr")
    return kind, stored, damage_labels.label_coverage(dataset)


def _convert_imagery(
    kind: str, parts: Mapping[str, bytes], source: Source, folder: Path
) -> tuple[str, stores.Stored, Coverage]:
    dataset = CONTRACTS[kind].check_values(imagery.read_imagery(parts, name=source.name))
    stored = stores.write_group(dataset, folder / "data.zarr")
    return kind, stored, damage_labels.label_coverage(dataset)


def _convert_polygons(
    kind: str, parts: Mapping[str, bytes], source: Source, folder: Path
) -> tuple[str, stores.Stored, Coverage]:
    read = ice_shelves.read_shelves if kind == "ice-shelves" else boundaries.read_regions
    table = POLYGON_CONTRACTS[kind].check(read(parts, name=source.name))
    coverage = region_coverage(table)
    return kind, stores.write_table(table, folder / "data.parquet"), coverage


def _convert_lines(
    kind: str, parts: Mapping[str, bytes], source: Source, folder: Path
) -> tuple[str, stores.Stored, Coverage]:
    table = LINE_CONTRACTS[kind].check(gates.read_gates(parts, name=source.name))
    return kind, stores.write_table(table, folder / "data.parquet"), gate_coverage(table)


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
    if kind == landsat_ingest.KIND:
        found = landsat_files.chosen(found)
    if kind == damage_labels.KIND:
        found = damage_labels.without_masks(found)
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
