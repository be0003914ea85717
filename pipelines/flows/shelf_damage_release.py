"""The release: a folder for each shelf and summer, as Tang et al. (2026, section 4) lay it out.

Beside the paper's maps lie a STAC item for each summer, their collection, and ``metadata.csv``,
which tells what the paper's ``metadata.ods`` does and more. Maps are read and written block by
block. A map whose codes are those of the file that is there is not written again.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster import object_store
from pipelines import stored
from pipelines.flows import product_arrays, shelf_damage_arrays
from pipelines.flows.pixel_blocks import blocks
from pipelines.flows.shelf_damage_geotiff import TILE, CodesFile
from pipelines.flows.shelf_damage_release_names import (
    ReleaseError,
    folder_of_part,
    is_ours,
    is_published,
    name_of,
    parts_of,
    require_folders,
)
from pipelines.kernels.damage import release_names
from pipelines.kernels.damage.release_names import Product
from pipelines.stored import group_at
from stac import damage_items
from stac.damage_items import ReleasedFile, ReleasedSummer

if TYPE_CHECKING:
    import zarr

COLUMNS = (
    "shelf", "year", "file", "sensors", "acquisition_dates", "scenes", "scene_ids",
    "supplied_fractions", "slc_off", "restored", "extent_source",
)  # fmt: skip
"""Columns of ``metadata.csv``; where a map has several scenes, ``;`` lies between them."""
DESCRIPTION = (
    "Yearly maps of crevasses and rifts on Antarctic ice shelves at 30 m, in the layout of Tang et "
    "al. (2026), section 4. The year is that of the November in which the summer begins."
)


@dataclass(frozen=True)
class Target:
    """One map that is made: of the whole shelf, or of a part of it."""

    part: str
    product: Product


@dataclass
class Supplied:
    """How many pixels of a part each scene supplies, number 0 being none."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))

    def add(self, supplier: NDArray[np.uint8]) -> None:
        """Count the pixels of a block."""
        self.counts += np.bincount(supplier.ravel(), minlength=256)

    def fraction(self, number: int) -> float:
        """Return the share of a scene in what is supplied [1]."""
        return float(self.counts[number] / max(1, self.counts[1:].sum()))


def write(group: zarr.Group, root: str) -> tuple[str, ...]:
    """Write the maps of every published summer, their items, the collection and the table.

    Parameters
    ----------
    group : zarr.Group
        The product, read only.
    root : str
        Folder or ``s3://`` prefix of the release.

    Returns
    -------
    tuple of str
        Paths below `root` of the maps that were written; those of equal codes were there.

    Raises
    ------
    ReleaseError
        Two shelves with the same folder.
    """
    require_folders(group)
    written: list[str] = []
    summers: list[ReleasedSummer] = []
    rows: list[tuple[str, ...]] = []
    for shelf in shelf_damage_arrays.shelves(group):
        for year in shelf_damage_arrays.summers(group, shelf):
            if is_published(group_at(group, f"{shelf}/{year}")):
                for summer, told, new in _summer(group, shelf, year, root):
                    summers.append(summer)
                    rows += told
                    written += new
    _remove_stale(root, summers)
    object_store.write_bytes(object_store.join(root, "metadata.csv"), _table(rows))
    address = object_store.join(root, "collection.json")
    if summers:
        told_all = damage_items.collection(summers, description=DESCRIPTION)
        object_store.write_bytes(address, told_all)
    else:
        object_store.delete(address)
    return tuple(written)


def _summer(
    group: zarr.Group, shelf: str, year: int, root: str
) -> Iterator[tuple[ReleasedSummer, list[tuple[str, ...]], list[str]]]:
    """Write a summer's maps; yield what is told of the shelf and of each of its parts."""
    made = group_at(group, f"{shelf}/{year}")
    parts = parts_of(made)
    targets = [Target(part, "extent") for part in parts]
    targets.insert(1, Target(shelf_damage_arrays.WHOLE, "region"))
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nunatak-release-")))
        files = {target: stack.enter_context(_opened(made, target, scratch)) for target in targets}
        supplied = _stream(made, group_at(group, shelf), files)
        for part in parts:
            if supplied[part].counts[1:].any():
                own = {target.product: files[target] for target in targets if target.part == part}
                yield _part(made, (part, year), own, supplied[part], root)


def _opened(made: zarr.Group, target: Target, scratch: Path) -> CodesFile:
    """Return an empty file for a map."""
    folder = scratch / f"{target.part}-{target.product}"
    folder.mkdir()
    return CodesFile(
        folder, _shape(made), _transform(made), code=_code(made),
        nodata=shelf_damage_arrays.UNKNOWN if target.product == "extent" else None,
    )  # fmt: skip


def _shape(made: zarr.Group) -> tuple[int, int]:
    ny, nx = stored.array(made, "damage").shape
    return int(ny), int(nx)


def _transform(made: zarr.Group) -> tuple[float, ...]:
    told: Any = made.attrs["spatial:transform"]
    return tuple(float(number) for number in told[:6])


def _code(made: zarr.Group) -> str | None:
    """Return the reference system of a summer; None of a picture whose place is not known."""
    told = str(made.attrs.get("proj:code") or "")
    return told if told.startswith("EPSG:") else None


def _stream(
    made: zarr.Group, ground: zarr.Group, files: dict[Target, CodesFile]
) -> dict[str, Supplied]:
    """Copy every map block by block, and count what each scene supplies."""
    supplied = {target.part: Supplied() for target in files}
    for rows, columns in blocks(_shape(made), TILE):
        at = (rows, columns)
        supplier = stored.values(made, "supplier", at)
        maps = {"extent": stored.values(made, "damage", at),
                "region": stored.values(made, "region_damage", at)}  # fmt: skip
        for target, file in files.items():
            codes, seen = maps[target.product], supplier
            if target.part != shelf_damage_arrays.WHOLE:
                inside = part_pixels(made, ground, target.part, rows, columns)
                codes = np.where(inside, codes, release_names.NODATA)
                seen = np.where(codes != release_names.NODATA, supplier, np.uint8(0))
            file.write(codes, rows, columns)
            if target.product == "extent":
                supplied[target.part].add(seen)
    return supplied


def part_pixels(
    made: zarr.Group, ground: zarr.Group, part: str, rows: slice, columns: slice
) -> NDArray[np.bool_]:
    """Return which pixels of a block lie in a part of the shelf, by the cells they lie in.

    The mask ``part_NAME`` is that of the summer where it has one, else that of the shelf.
    """
    name = f"part_{part}"
    holder = made if name in made else ground
    if name not in holder:
        msg = f"found no mask {name} of the part {part!r}, expected one on the shelf's cells"
        raise ReleaseError(msg)
    width = shelf_damage_arrays.CELL
    i, j = (np.arange(s.start, s.stop) // width for s in (rows, columns))
    window = (slice(int(i[0]), int(i[-1]) + 1), slice(int(j[0]), int(j[-1]) + 1))
    held = stored.values(holder, name, window) == 1
    return np.asarray(held[np.ix_(i - i[0], j - j[0])])


def _part(
    made: zarr.Group,
    which: tuple[str, int],
    files: dict[Product, CodesFile],
    supplied: Supplied,
    root: str,
) -> tuple[ReleasedSummer, list[tuple[str, ...]], list[str]]:
    """Write the maps of a shelf or of a part that are not there yet, and last their item."""
    part, year = which
    shelf = folder_of_part(made, part)
    scenes = [s for s in shelf_damage_arrays.scenes_of(made) if supplied.counts[int(s["number"])]]
    before = _told_before(root, shelf, year)
    kept: list[ReleasedFile] = []
    new: list[str] = []
    for product, file in files.items():
        name = name_of(shelf, year, product, scenes)
        same = before.get((product, name.file, file.sha256))
        if same is None or not object_store.exists(object_store.join(root, name.path)):
            data = file.laid_out()
            object_store.write_bytes(object_store.join(root, name.path), data)
            same = damage_items.described(product, name.file, data, file.sha256)
            new.append(name.path)
        kept.append(same)
    source = extent_source(made)
    told = {
        "sensors": sorted({str(s) for scene in scenes for s in scene["sensors"]}),
        "scenes": {str(s["label"]): round(supplied.fraction(int(s["number"])), 6) for s in scenes},
        "scene_ids": [str(each) for scene in scenes for each in scene["scene_ids"]],
        "restored": [str(s["label"]) for s in scenes if s["restored"]],
        "extent_source": source,
        "part": part,
    }
    summer = ReleasedSummer(
        shelf, year, [float(s["time"]) for s in scenes], _shape(made), _transform(made),
        _code(made), kept, told,
    )  # fmt: skip
    item = damage_items.summer_item(summer)
    address = object_store.join(root, summer.path)
    if _read(address) != item:
        object_store.write_bytes(address, item)
    return summer, [_row(summer, file, scenes, supplied, source) for file in kept], new


def extent_source(made: zarr.Group) -> str:
    """Return where the extent of a summer is from, in words; nothing where it is not recorded."""
    if "extent_record" not in made:
        return ""
    names = product_arrays.labels_of(made, "extent_quantity")
    record = stored.read(made, "extent_record")
    if "source" not in names or not np.isfinite(record[names.index("source")]):
        return ""
    return shelf_damage_arrays.SOURCES[int(record[names.index("source")])]


def _told_before(root: str, shelf: str, year: int) -> dict[tuple[str, str, str], ReleasedFile]:
    """Return the files of an item that is there, by product, name and digest of the codes."""
    data = _read(object_store.join(root, f"{shelf}/{year}/item.json"))
    if data is None:
        return {}
    found = {}
    try:
        item = json.loads(data)
        for product, asset in item["assets"].items():
            digest = str(item["properties"]["nunatak:codes_sha256"][product])
            name = str(asset["href"]).removeprefix("./")
            sha256 = str(asset["file:checksum"])[4:]
            found[product, name, digest] = ReleasedFile(
                product, name, sha256, int(asset["file:size"]), digest
            )
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # an item that cannot be read promises nothing
    return found


def _read(address: str) -> bytes | None:
    try:
        return object_store.read_bytes(address)
    except object_store.MissingObjectError:
        return None


def _row(
    summer: ReleasedSummer,
    file: ReleasedFile,
    scenes: Sequence[dict[str, Any]],
    supplied: Supplied,
    source: str,
) -> tuple[str, ...]:
    """Return the line of the table on a map."""
    days = [dt.datetime.fromtimestamp(float(s["time"]), dt.UTC).date() for s in scenes]
    by_scene = (
        [f"{day}" for day in days],
        [str(scene["label"]) for scene in scenes],
        ["+".join(map(str, scene["scene_ids"])) for scene in scenes],
        [f"{supplied.fraction(int(scene['number'])):.4f}" for scene in scenes],
        [f"{int(bool(scene['slc_off']))}" for scene in scenes],
        [f"{int(bool(scene['restored']))}" for scene in scenes],
    )
    sensors = "+".join(sorted({str(s) for scene in scenes for s in scene["sensors"]}))
    path = f"{summer.shelf}/{summer.year}/{file.name}"
    told = (";".join(each) for each in by_scene)
    return summer.shelf, f"{summer.year}", path, sensors, *told, source


def _table(rows: Sequence[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def _remove_stale(root: str, summers: Sequence[ReleasedSummer]) -> None:
    """Remove maps and items of earlier runs that are told no more: other sensors, other years.

    Only what the layout names is removed; what a person put beside it stays.
    """
    kept = {f"{s.shelf}/{s.year}/{file.name}" for s in summers for file in s.files}
    kept |= {summer.path for summer in summers}
    for path in object_store.list_objects(root):
        if path not in kept and is_ours(path):
            object_store.delete(object_store.join(root, path))
