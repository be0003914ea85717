"""What an item tells of its source."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from shapely.geometry import shape

import stac
from stac import items
from stac.contracts import CONTRACTS, POLYGON_CONTRACTS
from stac.items import Source
from stac.stores import ZARR_MEDIA, Stored

SOURCE = Source("a month.gz", 17, "ab" * 32)
STORED = Stored(Path("data.zarr"), ZARR_MEDIA, 1234, "cd" * 32)


def made(coverage):
    return items.source_item(
        kind="gia", collection="models", source=SOURCE, stored=STORED, coverage=coverage
    )


def test_the_package_is_ours():
    assert Path(stac.__file__).parent == Path(__file__).parents[2] / "stac"


def test_an_item_names_its_source_its_checksums_and_its_software():
    item = made(items.field_coverage(CONTRACTS["gia"].example()))

    asset = item.assets["data"]
    assert asset.href == "./abababababababab.zarr"
    assert asset.extra_fields["file:checksum"] == "1220" + "cd" * 32
    assert asset.extra_fields["file:size"] == 1234
    assert item.properties["nunatak:source_name"] == "a month.gz"
    assert item.properties["nunatak:source_checksum"] == "1220" + "ab" * 32
    assert item.properties["processing:software"]["nunatak"] == "0.1.0"
    assert "ab" * 32 in item.properties["processing:lineage"]
    assert item.properties["proj:code"] == "EPSG:4978"
    assert [link.href for link in item.links if link.rel == "root"] == ["../../catalog.json"]


def test_a_month_ends_the_second_before_its_exclusive_end():
    coverage = items.field_coverage(CONTRACTS["grace-l2"].example())

    assert coverage.start == datetime(2011, 2, 1, tzinfo=UTC)
    assert coverage.end == datetime(2011, 2, 28, 23, 59, 59, tzinfo=UTC)
    assert coverage.properties["nunatak:max_degree"] == 2
    assert shape(coverage.geometry).bounds == (-180.0, -90.0, 180.0, 90.0)


def test_a_series_spans_its_first_to_its_last_epoch():
    coverage = items.field_coverage(CONTRACTS["degree-one"].example())

    assert coverage.start == datetime(2011, 1, 1, tzinfo=UTC)
    assert coverage.end.date().isoformat() == "2011-04-03"


@pytest.mark.parametrize("kind", ["love-numbers", "gia"])
def test_what_has_no_date_holds_always(kind: str):
    coverage = items.field_coverage(CONTRACTS[kind].example())

    assert (coverage.start, coverage.end) == items.ALWAYS


def test_regions_tell_their_number_area_and_repairs():
    table = POLYGON_CONTRACTS["basins"].example()
    table.attrs["remarks"] = ["one ring repaired"]

    item = made(items.region_coverage(table))

    assert item.properties["proj:code"] == "EPSG:3031"
    assert item.properties["nunatak:regions"] == 1
    assert item.properties["nunatak:area_km2"] == 1.0e4
    assert "one ring repaired" in item.properties["processing:lineage"]
    assert item.bbox is not None
    assert item.bbox[0] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TN-13_GEOC_CSR_RL0602.txt", "TN-13_GEOC_CSR_RL0602"),
        ("GIA.ICE-6G_D.txt", "GIA.ICE-6G_D"),
        ("love_numbers", "love_numbers"),
        ("../../etc/pass wd.tar.gz", "pass-wd"),
        ("…", "unnamed"),
    ],
)
def test_ids_are_file_names_that_make_good_folders(name: str, expected: str):
    assert items.item_id(name) == expected
