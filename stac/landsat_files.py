"""The files of one Landsat product as they lie on disk or in a bucket: found, checked, measured.

A product is what its MTL file names, beside that file. The images stay where they are: they are in
the agency's published format, which readers take windows of. What is said about projection and
shape is read from the images, and the MTL must agree on where their edges lie.
"""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from stac.items import Source
from stac.landsat_metadata import BANDS, SceneMetadata, band_numbers, read
from stac.landsat_mtl import LARGEST_BYTES, SUFFIXES
from stac.locations import filesystem, join, parent, reaching

MTL = "_MTL"
DOCUMENT = "_stac.json"
NEEDED = ("red", "green", "blue", "qa_pixel")
GAP_BANDS = ("red", "green", "blue")
ANGLES = ("sza",)
COUNTS = ("uint8", "uint16")
BLOCK_BYTES = 2**20
SAME_EDGE = 0.5
"""How far edges may lie from where the MTL has them, in its pixels."""
OUTLINE_CELLS = 256
UNTILED_SIDE = 512
"""An image up to this many pixels wide is one block whatever its layout."""


class SceneError(ValueError):
    """The files of a product do not make a scene: what was found, expected, and what to do."""


@dataclass(frozen=True)
class Image:
    """A GeoTIFF as its header tells it.

    Parameters
    ----------
    code : str
        ``EPSG:n``; empty if it has no projection.
    transform : tuple of float
        Column, row to x, y [m] of pixel corners, as ``proj:transform`` has it.
    shape : tuple of int
        Rows, columns.
    dtype : str
        Type of its numbers.
    cloud_optimised : bool
        Whether a window, and a coarse view, can be read without the whole file.
    """

    code: str
    transform: tuple[float, ...]
    shape: tuple[int, int]
    dtype: str
    cloud_optimised: bool

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north edges [m]."""
        width, _, west, _, height, north = self.transform
        return west, north + height * self.shape[0], west + width * self.shape[1], north


@dataclass(frozen=True)
class AssetFile:
    """One file of a scene: its name among the assets, address, size [bytes], SHA-256 in hex."""

    name: str
    url: str
    size: int
    sha256: str
    image: Image | None = None


@dataclass(frozen=True)
class SceneFiles:
    """A Landsat product whose files are all there and agree with each other.

    Parameters
    ----------
    metadata : SceneMetadata
        What its MTL file says.
    source : Source
        Name of the MTL file, size of all files, and the SHA-256 of the lines
        ``asset size sha256``, sorted.
    assets : tuple of AssetFile
        By name; the MTL is ``mtl.json``, ``mtl.xml`` or ``mtl.txt``.
    outline : shapely.Geometry
        Polygon around the pixels that hold a measurement, in `image` coordinates [m].
    remarks : tuple of str
        What is odd but usable.
    """

    metadata: SceneMetadata
    source: Source
    assets: tuple[AssetFile, ...]
    outline: shapely.Geometry
    remarks: tuple[str, ...] = field(default=())

    @property
    def image(self) -> Image:
        """Header of the red band, which all bands share."""
        return next(a.image for a in self.assets if a.name == "red" and a.image is not None)


def chosen(urls: Iterable[str]) -> list[str]:
    """Return what to ingest of the files of folders: one MTL per product, or else its item.

    >>> chosen(["/a/X_MTL.txt", "/a/X_MTL.json", "/a/X_SR_B4.TIF", "/a/X_SR_stac.json"])
    ['/a/X_MTL.json']
    """
    best: dict[str, str] = {}
    documents: list[str] = []
    for url in sorted(urls):
        stem, suffix = _split(url)
        if stem.endswith(MTL) and suffix in SUFFIXES:
            known = best.get(stem)
            if known is None or SUFFIXES.index(suffix) < SUFFIXES.index(_split(known)[1]):
                best[stem] = url
        elif url.endswith(DOCUMENT):
            documents.append(url)
    stems = tuple(stem.removesuffix(MTL) for stem in best)
    alone = [url for url in documents if not any(url.startswith(stem) for stem in stems)]
    return sorted([*best.values(), *alone])


def _split(url: str) -> tuple[str, str]:
    suffix = PurePosixPath(url).suffix
    return url[: len(url) - len(suffix)], suffix


def is_metadata(url: str) -> bool:
    """Tell whether an address is that of an MTL file, by its name."""
    stem, suffix = _split(url)
    return stem.endswith(MTL) and suffix in SUFFIXES


def scene(url: str) -> SceneFiles:
    """Read the MTL file of a product, and check and measure the images that it names.

    Parameters
    ----------
    url : str
        Address of the MTL file; of several encodings beside each other the preferred one is read,
        so that a product is the same source under each of its names.

    Raises
    ------
    SceneError
        If a band that is needed is missing, or an image is damaged or lies elsewhere than the MTL
        says.
    MetadataError
        If the MTL cannot be used.
    """
    url = _preferred(url)
    data = bounded(url)
    metadata = read(data, name=PurePosixPath(url).name)
    found, remarks = _present(metadata, parent(url))
    images = {name: _image(where) for name, where in found.items()}
    remarks += _check_images(images, metadata)
    mtl = AssetFile(f"mtl{_split(url)[1]}", url, len(data), hashlib.sha256(data).hexdigest())
    measured = [AssetFile(name, where, *measure(where), images[name])
                for name, where in found.items()]  # fmt: skip
    gaps = [AssetFile(name, where, *measure(where)) for name, where in _gaps(metadata, url)]
    assets = tuple(sorted([mtl, *measured, *gaps], key=lambda asset: asset.name))
    source = Source(PurePosixPath(url).name, sum(a.size for a in assets), _manifest(assets))
    outline = _outline(found["red"], images["red"])
    return SceneFiles(metadata, source, assets, outline, tuple(remarks))


def _preferred(url: str) -> str:
    stem, suffix = _split(url)
    for other in SUFFIXES[: SUFFIXES.index(suffix)]:
        if exists(stem + other):
            return stem + other
    return url


def bounded(url: str) -> bytes:
    """Read a metadata file, but never much more of a file than one can have."""
    fs, path = filesystem(url)
    try:
        with reaching(url, to="read"), fs.open(path, "rb") as file:
            return bytes(file.read(LARGEST_BYTES + 1))
    except FileNotFoundError as error:
        msg = f"there is no file {url}; check the path"
        raise SceneError(msg) from error


def exists(url: str) -> bool:
    """Tell whether there is a file at an address."""
    fs, path = filesystem(url)
    with reaching(url, to="list"):
        return bool(fs.isfile(path))


def _remedy(metadata: SceneMetadata) -> str:
    """Return what to do about files that are not there."""
    if metadata.collection_number == 1:
        return (
            "it is of Collection 1, which USGS no longer gives out: fetch the scene of Collection 2"
        )
    return "fetch these files"


def _present(metadata: SceneMetadata, folder: str) -> tuple[dict[str, str], list[str]]:
    """Return the addresses of the images beside the MTL, and remarks on those that are not there.

    Assets that the MTL does not name are as absent as files that are not there.
    """
    wanted = {
        name: metadata.files.get(name, "") for name in (*BANDS, "qa_pixel", "qa_radsat", "sza")
    }
    found = {
        n: join(folder, file) for n, file in wanted.items() if file and exists(join(folder, file))
    }
    absent = [name for name in NEEDED if name not in found]
    if absent:
        told = ", ".join(f"{name} ({wanted[name] or 'not named in the MTL'})" for name in absent)
        msg = f"{metadata.product_id} lacks {told} beside its MTL in {folder}; {_remedy(metadata)}"
        raise SceneError(msg)
    lacking = [file for name, file in wanted.items() if file and name not in found]
    return found, [f"not there: {', '.join(lacking)}"] if lacking else []


def _gaps(metadata: SceneMetadata, url: str) -> Iterator[tuple[str, str]]:
    """Yield the gap masks that Collection 1 has for each band of an SLC-off scene."""
    folder = join(parent(url), "gap_mask")
    for band in GAP_BANDS:
        number = band_numbers(metadata.platform)[band]
        for suffix in (".TIF.gz", ".TIF"):
            where = join(folder, f"{metadata.product_id}_GM_B{number}{suffix}")
            if exists(where):
                yield f"gap_{band}", where
                break


def measure(url: str) -> tuple[int, str]:
    """Return size [bytes] and SHA-256 of a file, a block at a time."""
    fs, path = filesystem(url)
    digest, size = hashlib.sha256(), 0
    with reaching(url, to="read"), fs.open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _manifest(assets: Iterable[AssetFile]) -> str:
    lines = (f"{asset.name} {asset.size} {asset.sha256}\n" for asset in assets)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def _opened(url: str) -> Iterator[DatasetReader]:
    """Open a GeoTIFF through our own file, so that GDAL follows no name that the file tells."""
    fs, path = filesystem(url)
    with reaching(url, to="read"), warnings.catch_warnings(), fs.open(path, "rb") as file:
        # A file without a place is refused below, in words.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(file, driver="GTiff", sharing=False) as source:
                yield source
        except (RasterioError, ValueError) as error:
            msg = f"{url} cannot be read as GeoTIFF; it is damaged or cut off: fetch it again"
            raise SceneError(msg) from error


def _image(url: str) -> Image:
    with _opened(url) as source:
        code = source.crs.to_epsg() if source.crs else None
        tiled = source.block_shapes[0][1] != source.width and bool(source.overviews(1))
        return Image(
            code=f"EPSG:{code}" if code else "",
            transform=tuple(float(number) for number in tuple(source.transform)[:6]),
            shape=(int(source.height), int(source.width)),
            dtype=str(source.dtypes[0]),
            cloud_optimised=tiled or max(source.shape) <= UNTILED_SIDE,
        )


def _check_images(images: Mapping[str, Image], metadata: SceneMetadata) -> list[str]:
    """Refuse images that lie elsewhere than the MTL says; remark on those of other resolution."""
    red = images["red"]
    for name, image in images.items():
        where = f"{metadata.product_id}: image {metadata.files[name]!r}"
        if image.code != metadata.code:
            found = image.code or "no projection"
            msg = f"{where} has {found}, the MTL {metadata.code}; fetch it again"
            raise SceneError(msg)
        apart = np.abs(np.subtract(image.bounds, _bounds(metadata))).max()
        if apart > SAME_EDGE * metadata.spacing:
            msg = (
                f"{where} lies within {_numbers(image.bounds)} m, the MTL has "
                f"{_numbers(_bounds(metadata))} m; fetch it again, whole"
            )
            raise SceneError(msg)
        if image.shape != red.shape:
            msg = f"{where} has {image.shape} pixels, the red band {red.shape}; fetch it again"
            raise SceneError(msg)
        if name not in ANGLES and image.dtype not in COUNTS:
            msg = f"{where} holds {image.dtype}, expected counts ({' or '.join(COUNTS)})"
            raise SceneError(msg + "; give the files as the agency has them")
    remarks = []
    if red.shape != metadata.shape:
        remarks.append(f"images of {red.shape} pixels, where the MTL has {metadata.shape}: reduced")
    if not all(image.cloud_optimised for image in images.values()):
        remarks.append("images are not cloud-optimised: windows of them are read slowly")
    return remarks


def _bounds(metadata: SceneMetadata) -> tuple[float, float, float, float]:
    spacing, _, west, _, _, north = metadata.transform
    rows, columns = metadata.shape
    return west, north - rows * spacing, west + columns * spacing, north


def _numbers(bounds: Iterable[float]) -> str:
    return " ".join(f"{edge:g}" for edge in bounds)


def _outline(url: str, image: Image) -> shapely.Geometry:
    """Return the hull of the pixels that hold a count, one coarse cell wider, inside the image.

    Lines that the broken scan-line corrector left out lie inside it; so do clouds.
    """
    rows, columns = (min(side, OUTLINE_CELLS) for side in image.shape)
    with _opened(url) as source:
        held = source.read(1, out_shape=(rows, columns)) != 0
    west, south, east, north = image.bounds
    width, height = (east - west) / columns, (north - south) / rows
    i, j = np.nonzero(held)
    whole = shapely.box(west, south, east, north)
    if not i.size:
        return whole
    centres = np.column_stack([west + (j + 0.5) * width, north - (i + 0.5) * height])
    hull = shapely.convex_hull(shapely.multipoints(centres))
    around = hull.buffer(max(width, height), join_style="mitre")
    return shapely.intersection(around, whole)
