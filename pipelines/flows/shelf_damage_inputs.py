"""What yearly damage maps are made from: stored scenes, weights, and where shelves end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import shapely

from pipelines.flows import (
    catalogue_inputs,
    network_inputs,
    shelf_damage_evaluated,
    shelf_damage_stored,
)
from pipelines.flows.catalogue_inputs import InputError, Source
from pipelines.flows.finished_products import ProductSource
from pipelines.flows.network_inputs import Weights
from pipelines.flows.shelf_damage_arrays import WHOLE
from pipelines.flows.shelf_damage_evaluated import Evaluated
from pipelines.flows.shelf_damage_records import DamageSummer
from pipelines.lifecycle import InputItem
from stac import contracts, ice_shelves
from stac.catalogue import Catalogue, open_catalogue
from stac.ice_shelves import ShelfRegion

if TYPE_CHECKING:
    import pystac

    from pipelines.settings import Run


@dataclass(frozen=True)
class DamageFound:
    """Resolved inputs of a run.

    Attributes
    ----------
    scenes, restoration : ProductSource or None
        Finished products, at one snapshot each.
    chunk : int
        Rows and columns of stored chunks.
    summers : tuple of DamageSummer
        By shelf, in order of time.
    weights : Weights
        Of the segmenter.
    evaluated : Evaluated
        How far these weights are to be trusted.
    velocity : Source or None
        A map of velocity.
    grounded : Geometry or None
        Grounded ice around the shelves, EPSG:3031.
    items, sources
        For the identity of the run, and links of the product.
    footprint : dict
        GeoJSON of the scenes.
    region_set : str
        What tables call the set of shelves.
    images : mapping
        Pictures that are no stored scenes, by id (:mod:`pipelines.flows.shelf_damage_images`).
    """

    scenes: ProductSource | None
    restoration: ProductSource | None
    chunk: int
    summers: tuple[DamageSummer, ...]
    weights: Weights
    evaluated: Evaluated
    velocity: Source | None
    grounded: shapely.Geometry | None
    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    footprint: dict[str, Any]
    region_set: str
    images: Mapping[str, Any]

    @property
    def shelves(self) -> tuple[str, ...]:
        """Ids of the shelves, in order."""
        return tuple(dict.fromkeys(summer.shelf for summer in self.summers))


@dataclass(frozen=True)
class _Ground:
    """What catalogues say of velocity, grounded ice and fronts."""

    velocity: pystac.Item | None
    grounded: tuple[pystac.Item, ...]
    fronts: tuple[pystac.Item, ...]

    @classmethod
    def of(cls, run: Run, catalogue: Catalogue | None) -> _Ground:
        def items(role: str, kinds: tuple[str, ...]) -> tuple[pystac.Item, ...]:
            name = getattr(run.inputs, role)
            if not name or catalogue is None:
                return ()
            return tuple(catalogue_inputs.all_of(catalogue, name, role=role, kinds=kinds))

        velocity = items("velocity", ("velocity",))
        if len(velocity) > 1:
            names = ", ".join(f"{run.inputs.velocity}/{item.id}" for item in velocity)
            msg = f"inputs.velocity: {len(velocity)} items, one is needed; name one of {names}"
            raise InputError(msg)
        return cls(
            velocity[0] if velocity else None,
            items("grounded_ice", catalogue_inputs.POLYGONS),
            items("fronts", (ice_shelves.KIND,)),
        )

    @property
    def records(self) -> list[tuple[str, pystac.Item]]:
        """Roles and items."""
        velocity = [self.velocity] if self.velocity is not None else []
        return [
            *(("velocity", item) for item in velocity),
            *(("grounded_ice", item) for item in self.grounded),
            *(("fronts", item) for item in self.fronts),
        ]

    def outlines(self) -> dict[str, ShelfRegion]:
        """Return the shelves of the fronts, by id."""
        known: dict[str, ShelfRegion] = {}
        for item in self.fronts:
            known |= ice_shelves.shelf_regions(contracts.open_regions(item), buffer_m=0.0)
        return known

    def ground(self, around: shapely.Geometry) -> shapely.Geometry | None:
        """Return grounded ice within bounds; None if no collection was named."""
        if not self.grounded:
            return None
        shapes = [
            shapely.make_valid(shape).intersection(around)
            for item in self.grounded
            for shape in contracts.open_regions(item).geometry
        ]
        return shapely.union_all(shapes)


def resolve(run: Run) -> DamageFound:
    """Find scenes, weights, evaluations and outlines; no pixel is read.

    Raises
    ------
    InputError
        What is named is not there or does not belong together, or there is nothing to map.
    """
    named = (run.inputs.velocity, run.inputs.grounded_ice, run.inputs.fronts, *run.inputs.images)
    catalogue = open_catalogue(run.catalogue) if any(named) else None
    ground = _Ground.of(run, catalogue)
    if run.inputs.images:
        from pipelines.flows import shelf_damage_images

        stack = shelf_damage_images.stack(run, catalogue, outlines=ground.outlines())
    else:
        stack = shelf_damage_stored.stack(run, ground.outlines())
    if not stack.summers:
        msg = "inputs.scenes: no chosen scene lies in the period, on the shelves and in the "
        raise InputError(
            msg + "summers that are asked for; `nunatak plan` of the scenes tells them"
        )
    weights = network_inputs.resolve(run.catalogue, (), {"segmenter": run.inputs.segmenter})
    restored = stack.restoration.open().attrs if stack.restoration is not None else {}
    evaluated, record = shelf_damage_evaluated.evaluated(
        run, weights.weights["segmenter"],
        restorer=str(restored.get("nunatak:weights_sha256", "")),
    )  # fmt: skip
    around = shapely.union_all([shapely.box(*each.grid.bounds) for each in stack.summers])
    return DamageFound(
        scenes=stack.scenes, restoration=stack.restoration, chunk=stack.chunk,
        summers=_with_parts(run, stack.summers), weights=weights.weights["segmenter"],
        evaluated=evaluated,
        velocity=catalogue_inputs.source_of(ground.velocity) if ground.velocity else None,
        grounded=ground.ground(around.buffer(10_000.0)),
        items=(*stack.items, *weights.items, *record,
               *(catalogue_inputs.input_item(role, item) for role, item in ground.records)),
        sources=(*stack.sources, *weights.sources, *(item for _, item in ground.records)),
        footprint=stack.footprint,
        region_set=run.regions or run.inputs.fronts or stack.region_set,
        images=stack.images,
    )  # fmt: skip


def _with_parts(run: Run, summers: tuple[DamageSummer, ...]) -> tuple[DamageSummer, ...]:
    """Return summers with the sub-regions that the run file names for their shelf."""
    known = {summer.shelf for summer in summers}
    named: dict[str, list[str]] = {}
    for n, part in enumerate(run.choices.parts):
        shelf = ice_shelves.slug(part.shelf)
        if shelf not in known:
            msg = f"shelf_damage.parts[{n}]: no shelf {part.shelf!r} in this run, which has "
            raise InputError(msg + ", ".join(sorted(known)))
        if part.name in (WHOLE, *named.get(shelf, ())):
            msg = f"shelf_damage.parts[{n}]: {part.shelf} has a part {part.name!r} already; "
            raise InputError(msg + "give another name")
        named.setdefault(shelf, []).append(part.name)
    return tuple(
        dataclasses.replace(each, parts=(WHOLE, *named.get(each.shelf, []))) for each in summers
    )
