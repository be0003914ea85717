"""A finished product describes itself: a valid item, checksums that hold, links to its inputs."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pystac
import pytest
import xarray as xr
from pystac.validation.local_validator import get_local_schema_cache
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from stac import grids, stores
from stac.catalogue import CatalogueError, open_catalogue
from stac.publish import Product, product_item, publish

PRODUCT = Product(
    name="gravimetry",
    title="Surface mass rates from monthly gravity",
    run_id="0123abcd",
    period=("2011-02-01", "2017-06-30"),
    lineage="Level-2 fields fitted per coefficient",
    footprint=grids.GRIDS["antarctica-32km"].footprint,
    properties={"seed": 1, "sci:doi": "10.5194/example"},
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    (folder / "tables").mkdir(parents=True)
    (folder / "figures").mkdir()
    (folder / "tables" / "regions.csv").write_text("product,value\n")
    (folder / "tables" / ".regions.csv.swp").write_text("")
    (folder / "figures" / "trend.png").write_bytes(b"\x89PNG")
    (folder / "run.yaml").write_text("product: gravimetry\n")
    (folder / "receipts.jsonl").write_text("{}\n")
    dataset = xr.Dataset({"rate": (("y", "x"), np.ones((2, 2)), {"units": "kg m-2 yr-1"})})
    stores.write_group(dataset, folder / "product.zarr")
    return folder


def test_a_product_item_is_valid_and_complete(output: Path, catalogue: Path):
    inputs = list(open_catalogue(str(catalogue)).search("fields"))

    url = publish(product_item(str(output), PRODUCT, inputs=inputs), str(output))

    document = json.loads((output / "item.json").read_text())
    assert url == str(output / "item.json")
    validator = JsonSchemaSTACValidator()
    validator.schema_cache |= get_local_schema_cache()
    validator.validate_core(document, pystac.STACObjectType.ITEM, "1.1.0")
    assert set(document["assets"]) == {
        "product", "tables/regions.csv", "figures/trend.png", "run.yaml", "receipts.jsonl",
    }  # fmt: skip
    properties = document["properties"]
    assert properties["start_datetime"] == "2011-02-01T00:00:00Z"
    assert properties["end_datetime"] == "2017-06-30T23:59:59Z"
    assert properties["proj:code"] == "EPSG:3031"
    assert properties["nunatak:seed"] == 1
    assert properties["sci:doi"] == "10.5194/example"
    assert {"python", "nunatak", "numpy"} <= set(properties["processing:software"])


def test_checksums_hold_and_hrefs_are_relative(output: Path):
    item = product_item(str(output), PRODUCT, inputs=[])

    table = item.assets["tables/regions.csv"]
    digest = hashlib.sha256((output / "tables" / "regions.csv").read_bytes()).hexdigest()
    assert table.extra_fields["file:checksum"] == "1220" + digest
    assert table.href == "./tables/regions.csv"
    store = stores.describe(output / "product.zarr", stores.ZARR_MEDIA)
    assert item.assets["product"].extra_fields == {
        "file:checksum": "1220" + store.sha256,
        "file:size": store.size,
    }


def test_every_input_is_linked_with_its_checksum(output: Path, catalogue: Path):
    inputs = list(open_catalogue(str(catalogue)).search())

    document = product_item(str(output), PRODUCT, inputs=inputs).to_dict(transform_hrefs=False)

    links = [link for link in document["links"] if link["rel"] == "derived_from"]
    assert [link["nunatak:id"] for link in links] == [item.id for item in inputs]
    assert all(Path(link["href"]).is_file() for link in links)
    assert all(link["nunatak:source_checksum"].startswith("1220") for link in links)


def test_nothing_is_published_as_nothing(tmp_path: Path):
    with pytest.raises(CatalogueError, match="nothing of a product lies at"):
        product_item(str(tmp_path), PRODUCT, inputs=[])
