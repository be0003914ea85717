"""What the demo measures of its synthetic Antarctica: files, collections, run files."""

from __future__ import annotations

import datetime as dt

SEED = 1
FIRST_MONTH = dt.date(2011, 2, 1)
MONTHS = 60
LAST_DAY = dt.date(2016, 1, 31)

J_MAX = 60
"""Degree of the gravity fields."""
HIGHEST_DEGREE = 512
"""Degree of altimetry and of the combination, 40 km, the paper's."""
CELL_DEGREES = 0.25
SPACING_KM = 10.0
"""Grid of the elevation rates [km]; `infra/runs/altimetry.yaml` has the paper's 5 km."""

COLLECTIONS = {
    "gravity": ("grace-l2", "demo-gravity"),
    "degree_one": ("degree-one", "demo-degree-one"),
    "low_degrees": ("low-degrees", "demo-low-degrees"),
    "love_numbers": ("love-numbers", "demo-love-numbers"),
    "gia": ("gia", "demo-gia"),
    "basins": ("basins", "demo-basins"),
    "grounded": ("boundaries", "demo-grounded"),
    "elevation_rate": ("elevation-rate", "demo-elevation-rate"),
    "surface_processes": ("surface-processes", "demo-surface-processes"),
    "velocity": ("velocity", "demo-velocity"),
}
"""Files of the synthetic record: their kind and the collection they go to."""

_COMMON = """\
catalogue: {catalogue}
output: {root}/{product}
period: [{first}, {last}]
regions: demo-basins
inputs:
"""

_OWN = {
    "gravimetry": """\
  gravity: demo-gravity
  degree_one: demo-degree-one
  low_degrees: demo-low-degrees
  love_numbers: demo-love-numbers
  gia: demo-gia
  grounded_ice: demo-grounded
gravimetry:
  j_max: {j_max}
""",
    "altimetry": """\
  elevation_rate: demo-elevation-rate
  grounded_ice: demo-grounded
  velocity: demo-velocity
  surface_processes: demo-surface-processes
altimetry:
  j_max: {highest_degree}
  cells: {{step_degrees: {cell}, north: -58}}
""",
    "combination": """\
  gravimetry: {root}/gravimetry
  altimetry: {root}/altimetry
  grounded_ice: demo-grounded
combination:
  taper: {{degree: {j_max}, width: 5}}
  members: {{highest_degree: {j_max}}}
""",
}

PRODUCTS = tuple(_OWN)
"""Products of the demo, in the order in which they build on each other."""


def run_file(product: str, *, catalogue: str, root: str) -> str:
    """Return the run file of one product, its outputs below ``root``."""
    head = (
        f"# The demo: {product} of a synthetic Antarctica. `nunatak plan --example {product}`\n"
        "# prints every key that this file may have.\n"
        f"product: {product}\n"
    )
    text = _COMMON + _OWN[product]
    return head + text.format(
        product=product,
        catalogue=catalogue,
        root=root,
        first=FIRST_MONTH,
        last=LAST_DAY,
        j_max=J_MAX,
        highest_degree=HIGHEST_DEGREE,
        cell=CELL_DEGREES,
    )
