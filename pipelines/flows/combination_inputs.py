"""What a combination run reads: two finished products on the same regions, and polygons."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines import stored
from pipelines.flows import catalogue_inputs, finished_products
from pipelines.flows.catalogue_inputs import POLYGONS, InputError, input_item
from pipelines.flows.finished_products import Finished
from pipelines.flows.product_arrays import labels_of
from pipelines.lifecycle import InputItem
from stac.catalogue import open_catalogue

if TYPE_CHECKING:
    import pystac

    from pipelines.settings import Run

LONGEST_SHIFT = dt.timedelta(days=31)
"""Rates whose periods begin or end farther apart than this are not of the same trend."""


@dataclass(frozen=True)
class CombinationInputs:
    """The resolved inputs of a combination run."""

    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    gravimetry: Finished
    altimetry: Finished
    gravimetry_degree: int
    altimetry_degree: int
    region_names: tuple[str, ...]
    gia: tuple[str, ...]
    regions: pystac.Item
    grounded_ice: pystac.Item
    notes: tuple[str, ...]


def resolve(run: Run) -> CombinationInputs:
    """Find both products and check that they can be combined.

    Raises
    ------
    InputError
        A product is missing or unfinished, or the two are of other regions, periods or latitudes.
    """
    _require_own_output(run)
    catalogue = open_catalogue(run.catalogue)
    gravimetry, altimetry = (
        finished_products.find(getattr(run.inputs, role), role=role, product=role)
        for role in ("gravimetry", "altimetry")
    )
    regions, grounded = (
        catalogue_inputs.single(catalogue, name, role=role, kinds=POLYGONS)
        for role, name in (("regions", run.regions), ("grounded_ice", run.inputs.grounded_ice))
    )
    names = _same_regions(run, gravimetry, altimetry)
    _require_same_ice(run, altimetry, input_item("grounded_ice", grounded))
    _require_same_latitude(gravimetry, altimetry)
    _require_spread(altimetry)
    _require_finite(gravimetry, altimetry)
    polygons = (("regions", regions), ("grounded_ice", grounded))
    return CombinationInputs(
        items=(
            gravimetry.record,
            altimetry.record,
            *(input_item(role, item) for role, item in polygons),
        ),
        sources=(gravimetry.item, altimetry.item, regions, grounded),
        gravimetry=gravimetry,
        altimetry=altimetry,
        gravimetry_degree=_usable_degree(run, gravimetry, altimetry),
        altimetry_degree=int(altimetry.run["altimetry"]["j_max"]),
        region_names=names,
        gia=labels_of(gravimetry.source.open(), "gia"),
        regions=regions,
        grounded_ice=grounded,
        notes=tuple(_period_notes(run, (gravimetry, altimetry))),
    )


def _require_own_output(run: Run) -> None:
    """Refuse an output that is one of the products that are read."""
    for role in ("gravimetry", "altimetry"):
        if run.output.rstrip("/") == getattr(run.inputs, role).rstrip("/"):
            msg = f"output: {run.output} is inputs.{role}; write the combination somewhere else"
            raise InputError(msg)


def _require_spread(altimetry: Finished) -> None:
    """Refuse an altimetry of one member: without a spread nothing can be weighed against it."""
    members = stored.array(altimetry.source.open(), "mixing").shape[0]
    if members < 2:
        msg = (
            f"inputs.altimetry: {altimetry.source.address} has one member and so no spread, which "
            "would take all the weight; run altimetry with several rates or density models"
        )
        raise InputError(msg)


def _require_finite(*products: Finished) -> None:
    """Refuse a product whose totals are missing: some of its keys failed."""
    for product in products:
        if np.isnan(stored.read(product.source.open(), "region_mass_rate")).any():
            msg = (
                f"inputs.{product.role}: {product.source.address} lacks mass rates of some "
                "regions; see its receipts.jsonl for what failed, mend it and run it again"
            )
            raise InputError(msg)


def _same_regions(run: Run, gravimetry: Finished, altimetry: Finished) -> tuple[str, ...]:
    """Return the regions of both products, which are those of the run."""
    for product in (gravimetry, altimetry):
        held = product.run["regions"]
        if held != run.regions:
            msg = (
                f"inputs.{product.role}: {product.source.address} is by regions {held!r}, the run "
                f"by {run.regions!r}; run {product.role} with regions: {run.regions}"
            )
            raise InputError(msg)
    names = [labels_of(product.source.open(), "region") for product in (gravimetry, altimetry)]
    if names[0] != names[1]:
        differing = sorted(set(names[0]) ^ set(names[1]))
        msg = (
            f"the products have different polygons in {run.regions!r}: {', '.join(differing)} in "
            "one of them only; run both with the same catalogue"
        )
        raise InputError(msg)
    return names[0]


def _require_same_ice(run: Run, altimetry: Finished, here: InputItem) -> None:
    """Refuse another outline of grounded ice than altimetry's: areas and maps would differ."""
    held = altimetry.attributes.get("nunatak:inputs", {})
    if held.get(f"grounded_ice/{here.id}") != here.checksum:
        used = altimetry.run["inputs"]["grounded_ice"]
        msg = (
            f"inputs.grounded_ice: found {run.inputs.grounded_ice!r}, but altimetry was made with "
            f"{used!r}; name the same, from the same files"
        )
        raise InputError(msg)


def _require_same_latitude(gravimetry: Finished, altimetry: Finished) -> None:
    found = [p.run[p.role]["latitude"] for p in (gravimetry, altimetry)]
    if found[0] != found[1]:
        msg = (
            f"gravimetry reads latitude as {found[0]}, altimetry as {found[1]}: their fields lie "
            "11 km apart at 75° S; run both with the same `latitude`"
        )
        raise InputError(msg)


def _usable_degree(run: Run, gravimetry: Finished, altimetry: Finished) -> int:
    """Return the degree where gravimetry's weight ends; both products must reach it."""
    wanted = run.choices.taper.degree
    held = {
        # Not the degree of the result: beyond that of the months there is only what leaks.
        "gravimetry": int(gravimetry.run["gravimetry"]["j_max"]),
        "altimetry": int(altimetry.run["altimetry"]["j_max"]),
    }
    for role, degree in held.items():
        if degree < wanted:
            msg = (
                f"inputs.{role}: ends at degree {degree}, but combination.taper.degree is "
                f"{wanted}; lower it to {degree}, or run {role} to a higher degree"
            )
            raise InputError(msg)
    return int(wanted)


def _period_notes(run: Run, products: tuple[Finished, ...]) -> list[str]:
    """Refuse rates of other periods; say where they differ by days."""
    notes = []
    for product in products:
        found = [dt.date.fromisoformat(str(day)) for day in product.run["period"]]
        shifts = [abs(a - b) for a, b in zip(found, run.period, strict=True)]
        said = f"{found[0]} to {found[1]}, the run {run.period[0]} to {run.period[1]}"
        if max(shifts) > LONGEST_SHIFT:
            msg = (
                f"inputs.{product.role}: rates of {said}; rates of different periods are "
                "different trends: run it again with the period of this run"
            )
            raise InputError(msg)
        if max(shifts) > dt.timedelta(0):
            notes.append(f"{product.role}: rates of {said}")
    return notes
