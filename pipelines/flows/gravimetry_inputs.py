"""What a gravimetry run reads: months, low degrees, Love numbers, GIA models, polygons.

Everything here is small (tables, labels, two hundred item records); the monthly coefficients
themselves are opened on the workers, one month a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import catalogue_inputs, gravimetry_low_degrees
from pipelines.flows.catalogue_inputs import POLYGONS, InputError, Source, input_item, source_of
from pipelines.flows.gravimetry_low_degrees import LowDegrees
from pipelines.kernels.gravity import stokes
from pipelines.lifecycle import InputItem
from stac import contracts
from stac.catalogue import Catalogue, open_catalogue

if TYPE_CHECKING:
    import pystac

    from pipelines.settings import Run

DATES = NDArray[np.datetime64]
KINDS = {
    "gravity": ("grace-l2",),
    "degree_one": ("degree-one",),
    "low_degrees": ("low-degrees",),
    "love_numbers": ("love-numbers",),
    "gia": ("gia",),
    "regions": POLYGONS,
    "grounded_ice": POLYGONS,
}
"""Kinds of collection that can play each role."""

LONGEST_MONTH = np.timedelta64(100, "D")
"""Windows beyond this are no months; the longest of CSR RL06 has 41 days."""


@dataclass(frozen=True)
class Month:
    """One monthly field: where it is, when it is, and what replaces its low degrees."""

    key: str
    index: int
    source: Source
    low_degrees: LowDegrees


@dataclass(frozen=True)
class GravimetryInputs:
    """The resolved inputs of a gravimetry run."""

    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    months: tuple[Month, ...]
    start: DATES
    end: DATES
    epochs: NDArray[np.float64]
    love_numbers: pystac.Item
    gia: tuple[pystac.Item, ...]
    regions: pystac.Item
    grounded_ice: pystac.Item
    left_out: tuple[str, ...]


def resolve(run: Run) -> GravimetryInputs:
    """Find every input of ``run`` in its catalogue and match the low degrees to the months."""
    catalogue = open_catalogue(run.catalogue)
    fields, left_out = _months_in_period(catalogue, run)
    start, end = _windows(fields)
    stokes.refuse_overlaps(
        start, end, [item.id for item in fields], limit=run.choices.overlap_limit
    )
    epochs = stokes.mid_epochs(start, end)
    sources = {
        "degree_one": _single(catalogue, run.inputs.degree_one, "degree_one"),
        "low_degrees": _single(catalogue, run.inputs.low_degrees, "low_degrees"),
    }
    love = _single(catalogue, run.inputs.love_numbers, "love_numbers")
    months = _months(run, fields, (start, end), sources, love)
    gia = tuple(i for name in run.inputs.gia for i in _all(catalogue, name, "gia"))
    _require_degree(gia, "gia", run.choices.j_max)
    _require_degree(fields, "gravity", run.choices.j_max)
    regions = _single(catalogue, run.regions, "regions")
    grounded = _single(catalogue, run.inputs.grounded_ice, "grounded_ice")
    roles = [("gravity", i) for i in fields] + list(sources.items())
    roles += [("love_numbers", love), *(("gia", i) for i in gia)]
    roles += [("regions", regions), ("grounded_ice", grounded)]
    return GravimetryInputs(
        items=tuple(input_item(role, item) for role, item in roles),
        sources=tuple(item for _, item in roles),
        months=months,
        start=start,
        end=end,
        epochs=epochs,
        love_numbers=love,
        gia=gia,
        regions=regions,
        grounded_ice=grounded,
        left_out=left_out,
    )


def _all(catalogue: Catalogue, name: str, role: str) -> list[pystac.Item]:
    return catalogue_inputs.all_of(catalogue, name, role=role, kinds=KINDS[role])


def _single(catalogue: Catalogue, name: str, role: str) -> pystac.Item:
    return catalogue_inputs.single(catalogue, name, role=role, kinds=KINDS[role])


def _require_degree(items: Sequence[pystac.Item], role: str, j_max: int) -> None:
    """Refuse fields that end before the degree that the run uses."""
    for item in items:
        held = int(item.properties.get("nunatak:max_degree", j_max))
        if held < j_max:
            msg = (
                f"inputs.{role}: {item.id} ends at degree {held}, the run uses {j_max}; lower "
                f"gravimetry.j_max to {held}, or use fields of a higher degree"
            )
            raise InputError(msg)


def _months_in_period(catalogue: Catalogue, run: Run) -> tuple[list[pystac.Item], tuple[str, ...]]:
    """Return the fields whose middle lies in the period, in time order, and the ids left out."""
    first, last = (np.datetime64(day) for day in run.period)
    found = [i for name in run.inputs.gravity for i in _all(catalogue, name, "gravity")]
    found.sort(key=lambda item: (str(item.properties.get("start_datetime")), item.id))
    start, end = _windows(found)
    middle = start + (end - start) / 2
    inside = (middle >= first) & (middle < last + np.timedelta64(1, "D"))
    chosen = [item for item, keep in zip(found, inside, strict=True) if keep]
    if not chosen:
        msg = (
            f"period {run.period[0]} to {run.period[1]}: no monthly field has its middle in it; "
            f"the catalogue holds {len(found)} from {start.min()} to {end.max()}; "
            "change the period or ingest the months"
        )
        raise InputError(msg)
    touches = ~inside & (end > first) & (start < last + np.timedelta64(1, "D"))
    left_out = tuple(item.id for item, out in zip(found, touches, strict=True) if out)
    return chosen, left_out


def _windows(items: Sequence[pystac.Item]) -> tuple[DATES, DATES]:
    """Return the windows of monthly fields, end exclusive."""
    second = np.timedelta64(1, "s")
    start = [np.datetime64(i.properties["start_datetime"].rstrip("Z"), "s") for i in items]
    end = [np.datetime64(i.properties["end_datetime"].rstrip("Z"), "s") for i in items]
    ends = np.array(end, dtype="datetime64[s]")
    # Items close one second before the next window opens; the files give the open end.
    midnight = ends.astype("datetime64[D]") == ends
    starts = np.array(start, dtype="datetime64[s]")
    ends = np.where(midnight, ends, ends + second)
    for i in np.flatnonzero(ends - starts > LONGEST_MONTH).tolist():
        msg = (
            f"{items[i].id}: found a field of {starts[i]} to {ends[i]}, expected a monthly one of "
            f"at most {LONGEST_MONTH}; a static field does not belong in inputs.gravity"
        )
        raise InputError(msg)
    return starts, ends


def _months(
    run: Run,
    fields: Sequence[pystac.Item],
    windows: tuple[DATES, DATES],
    sources: Mapping[str, pystac.Item],
    love: pystac.Item,
) -> tuple[Month, ...]:
    """Return each month with what the policy table of the run file says of its low degrees."""
    series = {role: (item.id, contracts.open_item(item).load()) for role, item in sources.items()}
    load = contracts.open_item(love).load()
    said = gravimetry_low_degrees.replacements(run.choices, windows, series, load)
    labels = stokes.nominal_month(*windows)
    return tuple(
        Month(key=f"month/{label}", index=i, source=source_of(item), low_degrees=said[i])
        for i, (label, item) in enumerate(zip(labels, fields, strict=True))
    )
