"""The STAC item of a finished product: what it is, what it was made from, checksums of it all."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pystac

from stac import grids
from stac.items import EXTENSIONS, JSON_MEDIA, multihash
from stac.locations import (
    CatalogueError,
    filesystem,
    join,
    list_folders,
    normalise,
    reaching,
    write_bytes,
)
from stac.queries import instant, rfc3339
from stac.registry import to_json
from stac.stores import ZARR_MEDIA

ITEM_NAME = "item.json"
STORE_NAME = "product.zarr"
# A product is not read again, only to add up its checksum, beyond this size [bytes].
CHECKSUM_LIMIT = 2**32
# Folder or file of a product: media type and role of what lies there.
FILES: Mapping[str, tuple[str, str]] = {
    "tables": ("text/csv", "data"),
    "figures": ("image/png", "overview"),
    "run.yaml": ("application/yaml", "metadata"),
    "receipts.jsonl": ("application/x-ndjson", "metadata"),
}
SUFFIXES = {"tables": ".csv", "figures": ".png"}
SOFTWARE = (
    "nunatak", "numpy", "scipy", "xarray", "zarr", "icechunk", "dask", "distributed", "pyshtools",
    "pyproj", "shapely", "geopandas", "rasterio",
)  # fmt: skip


@dataclass(frozen=True)
class Product:
    """What a flow knows about the product that it finished.

    Parameters
    ----------
    name : str
        Product, as run files name it.
    title : str
        One line for people.
    run_id : str
        Identity of the run, which becomes part of the item id.
    period : (str, str)
        First and last day, both inclusive.
    lineage : str
        How it was made, for ``processing:lineage``.
    footprint : mapping
        GeoJSON in longitude and latitude that keeps to one side of 180°.
    code : str
        Coordinate system of its maps.
    properties : mapping
        More properties, such as seeds; names without a prefix get ``nunatak:``.
    """

    name: str
    title: str
    run_id: str
    period: tuple[str, str]
    lineage: str
    footprint: Mapping[str, Any]
    code: str = grids.POLAR
    properties: Mapping[str, Any] = field(default_factory=dict)


def product_item(
    output: str,
    product: Product,
    *,
    inputs: Iterable[pystac.Item],
    software: Iterable[str] = SOFTWARE,
) -> pystac.Item:
    """Build the item of what lies under `output`, in the layout of every product.

    Parameters
    ----------
    output : str
        Folder or ``s3://`` prefix of the finished product.
    product : Product
        What the files do not tell.
    inputs : iterable of pystac.Item
        Items that it was made from; each becomes a link ``derived_from`` with its checksum.
    software : iterable of str
        Distributions whose versions are recorded, where they are installed.

    Returns
    -------
    pystac.Item
        With relative asset hrefs, so the product can be moved.

    Raises
    ------
    CatalogueError
        If there is nothing to publish.
    """
    root = normalise(output)
    assets = dict(_assets(root))
    if not assets:
        msg = f"nothing of a product lies at {root}, expected {STORE_NAME} or {', '.join(FILES)}"
        raise CatalogueError(msg)
    start, end = product.period
    made = pystac.Item(
        id=f"{product.name}-{product.run_id}",
        geometry=dict(product.footprint),
        bbox=grids.bounding_box(product.footprint),
        datetime=None,
        stac_extensions=list(EXTENSIONS),
        properties={
            "title": product.title,
            "created": rfc3339(datetime.now(UTC).replace(microsecond=0)),
            "start_datetime": rfc3339(instant(start)),
            "end_datetime": rfc3339(instant(end, end_of_day=True)),
            "proj:code": product.code,
            "processing:lineage": product.lineage,
            "processing:software": dict(_versions(software)),
            "nunatak:product": product.name,
            "nunatak:run_id": product.run_id,
            **{n if ":" in n else f"nunatak:{n}": v for n, v in product.properties.items()},
        },
        assets=assets,
    )
    made.add_links([_input_link(item) for item in inputs])
    return made


def publish(item: pystac.Item, output: str) -> str:
    """Write a product's item to ``item.json`` at once; return its address."""
    url = join(normalise(output), ITEM_NAME)
    write_bytes(url, to_json(item.to_dict(include_self_link=False, transform_hrefs=False)))
    return url


def _input_link(item: pystac.Item) -> pystac.Link:
    told = {
        "nunatak:id": item.id,
        "nunatak:collection": item.collection_id,
        "nunatak:source_checksum": item.properties.get("nunatak:source_checksum"),
    }
    return pystac.Link(
        pystac.RelType.DERIVED_FROM,
        item.get_self_href() or item.id,
        JSON_MEDIA,
        extra_fields={name: value for name, value in told.items() if value is not None},
    )


def _versions(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for name in packages:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _assets(root: str) -> Iterator[tuple[str, pystac.Asset]]:
    if STORE_NAME in list_folders(root):
        yield "product", _store_asset(root)
    fs, base = filesystem(root)
    for place, (media, role) in FILES.items():
        with reaching(root, to="list"):
            paths = fs.find(f"{base}/{place}")
        for path in sorted(str(found) for found in paths):
            if not path.endswith(SUFFIXES.get(place, "")):
                continue
            relative = path[len(base) + 1 :]
            with reaching(root, to="read"):
                data = bytes(fs.cat_file(path))
            fields = {
                "file:checksum": multihash(hashlib.sha256(data).hexdigest()),
                "file:size": len(data),
            }
            yield relative, pystac.Asset(f"./{relative}", None, None, media, [role], fields)


def _store_asset(root: str) -> pystac.Asset:
    """Describe ``product.zarr``: size, and the checksum of its manifest as in `stores.Stored`."""
    fs, base = filesystem(join(root, STORE_NAME))
    with reaching(root, to="list"):
        sizes = {str(path): int(info["size"]) for path, info in fs.find(base, detail=True).items()}
    fields: dict[str, Any] = {"file:size": sum(sizes.values())}
    if fields["file:size"] <= CHECKSUM_LIMIT:
        manifest = hashlib.sha256()
        for path, size in sorted(sizes.items()):
            with reaching(root, to="read"):
                digest = hashlib.sha256(bytes(fs.cat_file(path))).hexdigest()
            manifest.update(f"{path[len(base) + 1 :]} {size} {digest}\n".encode())
        fields["file:checksum"] = multihash(manifest.hexdigest())
    return pystac.Asset(f"./{STORE_NAME}", None, None, ZARR_MEDIA, ["data"], fields)
