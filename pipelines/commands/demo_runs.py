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
VELOCITY_KM = 5.0
"""Grid of velocity and thickness [km]: gates feel 10 km by 0.7 Gt/yr in one basin, 5 km by 0.1."""
SPACING_KM = 10.0
"""Grid of the elevation rates [km]; `infra/runs/altimetry.yaml` has the paper's 5 km."""

SHELVES = ("Alder", "Cedar")
SUMMERS = (2005, 2013, 2014)
"""Ice shelves and summers whose scenes are taken: Landsat 7 with its gaps, and Landsat 8 twice."""
SCENE_DAYS = 5
"""Days of each summer with scenes."""
SHELF_PIXELS = 1024
"""Rows and columns of the windows of ice shelves, of scenes and of annotated tiles [1]."""
SHELF_COLLECTION, SCENE_COLLECTION = "demo-shelves", "demo-landsat"
FRONT_COLLECTION = "demo-fronts"

TILE_SHELVES = ("Birch", "Cedar")
"""Ice shelves of the annotated tiles; the weights that come with the project never saw Cedar."""
TILE_COLLECTION = "demo-tiles"
STEPS = 60
"""Of training [1]."""

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
    "velocity_annual": ("velocity", "demo-annual-velocity"),
    "velocity_central": ("velocity", "demo-central-velocity"),
    "velocity_filler": ("velocity", "demo-its-live"),
    "velocity_phase": ("velocity", "demo-phase-velocity"),
    "thickness": ("thickness", "demo-thickness"),
    "thickness_other": ("thickness", "demo-thickness-other"),
    "gates": ("gates", "demo-gates"),
    "surface_mass_balance": ("surface-mass-balance", "demo-racmo"),
    "reanalysis": ("surface-mass-balance", "demo-era5-land"),
    "thinning": ("elevation-rate", "demo-thinning"),
}
"""Files of the synthetic record: their kind and the collection they go to."""

_COMMON = """\
catalogue: {catalogue}
output: {root}/{product}
period: [{first}, {last}]
regions: demo-basins
inputs:
"""

_SCENES = """\
catalogue: {catalogue}
output: {root}/{product}
period: [2005-11-01, 2015-03-31]
regions: demo-shelves
inputs:
  landsat: demo-landsat
  velocity: demo-velocity
scenes:
  summers: {summers}
  buffer_km: 0
"""

_TILES = """\
catalogue: {catalogue}
output: {root}/{product}
period: [1999-11-01, 2020-03-31]
inputs:
  labels: demo-tiles
"""

_NETWORKS = {
    "restoration": """\
output: {root}/{product}
period: [2005-11-01, 2006-03-31]
inputs:
  scenes: {root}/scenes
""",
    "training": _TILES
    + """\
training:                                # too small to be of use: it shows how one is made
  network: tiny
  holdout: [cedar]
  steps: {steps}
  rounds: 2
  crops: 4
  crop: 128
  schedule: short
  augmentation: light
  peak_rate: 0.002
  licence: Apache-2.0
""",
    "evaluation": _TILES
    + """\
  restorer: shipped:restorer-lossless
evaluation:
  regions_of: [cedar]
  baselines: [linear, telea, second-scene]   # biharmonic takes as long as all others together
""",
    "shelf_damage": """\
catalogue: {catalogue}
output: {root}/{product}
period: [2005-11-01, 2015-03-31]
regions: demo-shelves
inputs:
  scenes: {root}/scenes
  restoration: {root}/restoration
  fronts: demo-fronts
  grounded_ice: demo-grounded
  velocity: demo-velocity
shelf_damage:
  least_covered: 0.5                     # few scenes are taken here, and some are cloudy
""",
    "consistency": """\
catalogue: {catalogue}
output: {root}/{product}
period: [2005-11-01, 2015-03-31]
inputs:
  damage: {root}/shelf_damage
  velocity: demo-velocity
consistency:
  longest_gap: 1                         # of nine years hardly any of the ice is left
  unknown_frame: ground
""",
}

_COMPARISON = """\
catalogue: {catalogue}
output: {root}/{product}
period: [{first}, {last}]
regions: demo-basins
inputs:
  gravimetry: ["{root}/gravimetry"]
  altimetry: ["{root}/altimetry"]
  combination: ["{root}/combination"]
  mass_budget: ["{root}/mass_budget"]
  shelf_damage: ["{root}/shelf_damage"]
  shelves: demo-shelves
comparison:
  rate: mean                             # synthetic gravity has no weather, synthetic snow has
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
    "mass_budget": """\
  velocity: [demo-annual-velocity, demo-central-velocity, demo-its-live, demo-phase-velocity]
  thickness: [demo-thickness, demo-thickness-other]
  gates: demo-gates
  grounded_ice: demo-grounded
  surface_mass_balance: demo-racmo
  reanalysis: demo-era5-land
  elevation_rate: demo-thinning
mass_budget:
  mosaics:
    - name: paper
      layers:
        - {{collection: demo-annual-velocity, use: year}}
        - {{collection: demo-central-velocity, use: trend}}
        - {{collection: demo-its-live, use: year, sampling: nearest, before: 2013}}
        - {{collection: demo-phase-velocity, use: static}}
  gates: {{generate_km: [15]}}
  uncertainty:                           # as the synthetic maps err
    velocity_sigma_m_per_yr: 8
    elevation_rate_sigma_m_per_yr: 0.1
    dynamic_volume: 0
    surface_mass_balance: 0.05
  epochs:
    - {{name: 2011-2013, years: [2011-2012, 2012-2013]}}
    - {{name: 2013-2016, years: [2013-2014, 2014-2015, 2015-2016]}}
""",
}

PRODUCTS = (*_OWN, "scenes", *_NETWORKS, "comparison")
"""Products of the demo, in the order in which they build on each other."""


def run_file(product: str, *, catalogue: str, root: str) -> str:
    """Return the run file of one product, its outputs below ``root``."""
    head = (
        f"# The demo: {product} of a synthetic Antarctica. `nunatak plan --example {product}`\n"
        "# prints every key that this file may have.\n"
        f"product: {product}\n"
    )
    texts = {"scenes": _SCENES, "comparison": _COMPARISON, **_NETWORKS}
    text = texts[product] if product in texts else _COMMON + _OWN[product]
    return head + text.format(
        product=product,
        catalogue=catalogue,
        root=root,
        first=FIRST_MONTH,
        last=LAST_DAY,
        j_max=J_MAX,
        highest_degree=HIGHEST_DEGREE,
        cell=CELL_DEGREES,
        summers=list(SUMMERS),
        steps=STEPS,
    )
