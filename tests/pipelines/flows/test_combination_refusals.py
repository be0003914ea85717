"""Products that cannot be combined are refused at planning, with what to change."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.flows import (
    combination_inputs,
    finished_products,
)
from pipelines.flows.catalogue_inputs import InputError

from .conftest import (
    RESULT_DEGREE,
    Document,
    Products,
    changed,
    plan_of,
)
from .written_out import (
    choose,
)

FLOAT = NDArray[np.float64]


@pytest.fixture
def document(products: Products) -> Document:
    """A run file of the combination whose output is not the finished one, without quantiles."""
    return choose(products.document("again"), quantiles=[])


def refused(document: Document, folder: Path, match: str) -> None:
    with pytest.raises(InputError, match=match):
        plan_of(document, folder)


def test_a_product_that_is_not_finished_is_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    nothing = changed(document, inputs={"altimetry": str(tmp_path / "nothing")})
    refused(nothing, tmp_path, r"inputs\.altimetry: .*holds no finished product; run altimetry")

    shutil.copytree(products.altimetry, tmp_path / "untold")
    (tmp_path / "untold" / "item.json").unlink()
    untold = changed(document, inputs={"altimetry": str(tmp_path / "untold")})
    refused(untold, tmp_path, r"inputs\.altimetry: .*holds no finished product")


def test_a_product_between_two_versions_is_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    shutil.copytree(products.gravimetry, tmp_path / "between")
    path = tmp_path / "between" / "item.json"
    item = json.loads(path.read_text())
    item["properties"]["nunatak:snapshot"] = "AAAAAAAAAAAAAAAAAAAA"
    path.write_text(json.dumps(item))

    between = changed(document, inputs={"gravimetry": str(tmp_path / "between")})

    refused(between, tmp_path, "are of different versions.*run gravimetry again")


def test_exchanged_products_are_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    exchanged = changed(
        document,
        inputs={"gravimetry": str(products.altimetry), "altimetry": str(products.gravimetry)},
    )

    refused(exchanged, tmp_path, "holds 'altimetry', expected 'gravimetry'; exchange the inputs")


def test_products_by_other_regions_are_refused(document: Document, tmp_path: Path) -> None:
    document["regions"] = "grounded"

    refused(document, tmp_path, "by regions 'basins', the run by 'grounded'; run gravimetry with")


def test_products_of_another_period_are_refused(document: Document, tmp_path: Path) -> None:
    document["period"] = ["2011-08-01", "2013-01-31"]

    refused(document, tmp_path, "rates of 2011-02-01 to 2013-01-31, the run 2011-08-01")


def test_products_some_days_off_are_noted(document: Document, tmp_path: Path) -> None:
    document["period"] = ["2011-02-01", "2013-01-15"]

    assert len(plan_of(document, tmp_path).notes) == 2


def test_a_degree_beyond_what_a_product_carries_is_refused(
    document: Document, tmp_path: Path
) -> None:
    beyond = choose(document, taper={"degree": RESULT_DEGREE + 1})

    refused(beyond, tmp_path, r"ends at degree 30, but combination\.taper\.degree is 61; lower it")


def test_other_ice_than_that_of_altimetry_is_refused(document: Document, tmp_path: Path) -> None:
    document["inputs"]["grounded_ice"] = "basins"

    refused(document, tmp_path, "found 'basins', but altimetry was made with 'grounded'")


def test_an_output_that_is_an_input_is_refused(
    document: Document, products: Products, tmp_path: Path
) -> None:
    document["output"] = str(products.altimetry)

    refused(document, tmp_path, r"is inputs\.altimetry; write the combination somewhere else")


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a product tell of another run than its own; making one would take a run more."""

    def alter(role: str, **choices: object) -> None:
        find = finished_products.find

        def found(address: str, *, role: str, product: str) -> finished_products.Finished:
            held = find(address, role=role, product=product)
            if role != altered_role:
                return held
            run = {**held.run, role: {**held.run[role], **choices}}
            return dataclasses.replace(held, run=run)

        altered_role = role
        monkeypatch.setattr(finished_products, "find", found)

    return alter


def test_latitudes_that_are_read_otherwise_are_refused(
    document: Document, tmp_path: Path, altered: Callable[..., None]
) -> None:
    altered("altimetry", latitude="geographic")

    refused(document, tmp_path, "gravimetry reads latitude as geocentric, altimetry as geographic")


def test_products_with_other_polygons_of_one_name_are_refused(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = iter([("1", "2", "AIS"), ("1", "AIS")])
    monkeypatch.setattr(combination_inputs, "labels_of", lambda group, name: next(sets))

    refused(document, tmp_path, "different polygons in 'basins': 2 in one of them only")
