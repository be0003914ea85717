"""Maps of a report: rates of mass change with their spreads, basins, speed and how it changed."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.report.lineage import run_of
from pipelines.report.material import Line, Material, basin_shapes
from pipelines.report.pictures import Picture
from pipelines.report.rounding import rounded

if TYPE_CHECKING:
    import geopandas as gpd

    from pipelines.report.methods import Rate
    from pipelines.report.outputs import Output

FLOAT = NDArray[np.float64]

MASS_PER_AREA = "kg m⁻² yr⁻¹, the same number in mm of water a year"
SHOWN = {"gravimetry": ("mass_rate_gaussian", "mass_rate"), "altimetry": ("mass_rate",),
         "combination": ("mass_rate",)}  # fmt: skip
"""Which array of a product its map shows: the first that it has."""

SPEED = {"speed", "x", "y", "year", "year_start", "year_end"}
"""What a mass budget with a map of speed has."""


def pictures(of: Material, rates: Sequence[Rate]) -> Iterator[Picture]:
    """Yield the maps that the products have arrays for."""
    from pipelines.figures import canvas

    outlines = [] if of.basins is None else [
        ring for shape in basin_shapes(of.basins) for ring in shape
    ]  # fmt: skip
    for n, together in enumerate(_on_one_grid(of)):
        yield _rate_maps(of, together, outlines, n)
    if of.basins is not None:
        yield from _basin_maps(of.basins, [rate for rate in rates
                                           if rate.row.region_set == of.basin_set])  # fmt: skip
    for output in of.of("mass_budget"):
        group = of.groups.of(output)
        if set(group) >= SPEED and stored.array(group, "speed").size:
            label = canvas.plain(of.label(output))
            yield from _speeds(of, output, label, outlines)


def _on_one_grid(of: Material) -> list[list[Output]]:
    """Return products with maps of mass change, those together that share a grid."""
    found: dict[bytes, list[Output]] = {}
    for product in SHOWN:
        for output in of.of(product):
            group = of.groups.of(output)
            if {"x", "y", "mass_rate", "mass_rate_sigma"} <= set(group):
                axes = stored.read(group, "x").tobytes() + stored.read(group, "y").tobytes()
                found.setdefault(axes, []).append(output)
    return list(found.values())


def _rate_maps(of: Material, together: list[Output], outlines: list[Line], n: int) -> Picture:
    from pipelines.figures import canvas, maps, panels

    means, spreads, smoothed = {}, {}, []
    for output in together:
        group = of.groups.of(output)
        name = canvas.plain(of.label(output), most=30)
        shown = next(array for array in SHOWN[output.product] if array in group)
        means[name] = stored.read(group, shown)
        spreads[name] = stored.read(group, "mass_rate_sigma")
        smoothed += [of.label(output)] if shown != "mass_rate" else []
    group = of.groups.of(together[0])
    x, y = stored.read(group, "x"), stored.read(group, "y")

    def draw() -> bytes:
        return panels.rate_maps(x, y, means, spreads, outlines=outlines, coast=of.coast,
                                title="Rate of mass change and its spread")  # fmt: skip

    told = "; ".join(
        f"{name}: rates {maps.range_text(means[name])}, spreads {maps.range_text(spreads[name])}"
        for name in means
    )
    caption = (
        f"Rate of mass change [{MASS_PER_AREA}] at the left, blue where mass is gained and red "
        "where it is lost, and its standard deviation at the right"
        + "".join(
            f"; {name} is smoothed for display, its standard deviation is that of the rate "
            "before smoothing"
            for name in smoothed
        )
        + ". After Sasgen et al. (2019), figure 4."
    )
    alt = f"Maps of Antarctica. {told} kg m⁻² yr⁻¹."
    return Picture(f"mass-rate-maps{'' if n == 0 else f'-{n + 1}'}", draw, alt, caption)


def _basin_maps(polygons: gpd.GeoDataFrame, rates: Sequence[Rate]) -> Iterator[Picture]:
    from pipelines.figures import canvas, panels

    names = [str(name) for name in polygons.region]
    place = {name: n for n, name in enumerate(names)}
    values: dict[str, FLOAT] = {}
    sigmas: dict[str, FLOAT] = {}
    for rate in rates:
        if rate.region in place:
            label = canvas.plain(rate.method, most=30)
            for held, number in ((values, rate.row.value), (sigmas, rate.row.uncertainty)):
                held.setdefault(label, np.full(len(names), np.nan))[place[rate.region]] = number
    shapes = basin_shapes(polygons)
    if not values or not any(shapes):
        return

    def draw() -> bytes:
        shown = [canvas.plain(name, most=12) for name in names]
        return panels.basin_maps(shapes, shown, values, sigmas, title="Mass balance by basin")

    told = "; ".join(f"{name}: {_extremes(names, values[name])}" for name in values)
    caption = (
        "Mass balance of each basin [Gt yr⁻¹] at the left, hatched where it is within one "
        "standard deviation of zero, and that standard deviation at the right. After Sasgen et "
        "al. (2019), figure 7."
    )
    yield Picture("basin-maps", draw, f"Maps of basins. {told} Gt yr⁻¹.", caption)


def _extremes(names: Sequence[str], values: FLOAT) -> str:
    there = np.flatnonzero(np.isfinite(values))
    if not there.size:
        return "no numbers"
    low, high = there[np.argmin(values[there])], there[np.argmax(values[there])]
    least, most = (rounded(values[at], 1) for at in (low, high))
    return f"least {least} in basin {names[low]}, most {most} in {names[high]}"


def _speeds(of: Material, output: Output, label: str, outlines: list[Line]) -> Iterator[Picture]:
    """Yield the speed of the ice, mean of the run, and its change from epoch to epoch."""
    from pipelines.figures import maps, velocity_change

    group = of.groups.of(output)
    x, y, speeds = stored.read(group, "x"), stored.read(group, "y"), by_epoch(of, output)
    *epochs, mean = speeds
    where: dict[str, Any] = {"outlines": outlines, "coast": of.coast}
    named = "" if len(of.of("mass_budget")) == 1 else f"-{of.in_folder[output.name]}"

    def draw_speed() -> bytes:
        return velocity_change.speed_map(
            x, y, speeds[mean], sigma=None, **where, title=f"Ice speed, {label}"
        )

    yield Picture(
        f"ice-speed{named}", draw_speed,
        f"Map of the speed of the ice: {maps.range_text(speeds[mean])} m yr⁻¹.",
        "Speed of the ice [m yr⁻¹], mean of the years of the mass budget.",
    )  # fmt: skip
    pairs = [*itertools.pairwise(epochs)]
    pairs += [(epochs[0], epochs[-1])] if len(pairs) > 1 else []
    changes = {f"{a} to {b}": (speeds[b] - speeds[a], None) for a, b in pairs}
    if not changes:
        return

    def draw_changes() -> bytes:
        return velocity_change.change_maps(x, y, changes, **where, title="Change of ice speed")

    told = "; ".join(f"{name}: {maps.range_text(pair[0])}" for name, pair in changes.items())
    yield Picture(
        f"speed-change{named}", draw_changes, f"Maps of the change of ice speed. {told} m yr⁻¹.",
        "Change of the speed of the ice between epochs [m yr⁻¹], red where it is faster. After "
        "Yang et al. (2023), figure 4.",
    )  # fmt: skip


def by_epoch(of: Material, output: Output) -> Mapping[str, FLOAT]:
    """Return the speed (y, x) of each epoch of a mass budget, and last that of all together."""
    group = of.groups.of(output)
    shape = stored.array(group, "speed").shape[1:]
    found: dict[str, FLOAT] = {}
    for name, weights in epoch_weights(of, output).items():
        total = np.zeros(shape)
        for t, weight in enumerate(weights):
            if weight > 0.0:
                total += weight * stored.read(group, "speed", t)
        found[name] = total
    return found


def epoch_weights(of: Material, output: Output) -> dict[str, tuple[float, ...]]:
    """Return what each year of a mass budget counts in its epochs, and last in all of them."""
    from pipelines.flows import mass_budget_epochs
    from pipelines.kernels.budget.years import Year
    from pipelines.settings_mass_budget import Epoch, MassBudgetChoices

    group = of.groups.of(output)
    labels = str(stored.array(group, "year").attrs["flag_meanings"]).split()
    ends = [_days(stored.values(group, name)) for name in ("year_start", "year_end")]
    years = [Year(*each) for each in zip(labels, *ends, strict=True)]
    told = run_of(output).get("mass_budget", {})
    epochs = tuple(
        Epoch(str(each["name"]), tuple(map(str, each["years"])), tuple(each.get("weights") or ()))
        for each in told.get("epochs", [])
    )
    mean: Literal["years", "epochs"] = "epochs" if told.get("mean") == "epochs" else "years"
    spans = mass_budget_epochs.spans(MassBudgetChoices(epochs=epochs, mean=mean), years)
    return {span.name: span.weights for span in spans}


def _days(counted: NDArray[Any]) -> list[dt.date]:
    return [dt.date(1970, 1, 1) + dt.timedelta(days=int(days)) for days in counted]
