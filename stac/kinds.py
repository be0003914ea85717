"""The kinds of data that collections hold, and the contract of each."""

from collections.abc import Mapping
from types import MappingProxyType

from stac.promises import (
    EXAMPLE_DEGREE,
    EXAMPLE_M,
    Contract,
    LineContract,
    PolygonContract,
    Variable,
)
from stac.velocity_products import FRAMES, SIGMAS, YEARS

TIDE_SYSTEMS = ("zero_tide", "tide_free", "mean_tide", "unknown")
DEGREE_ONE = ("C10", "C11", "S11")
LOW_DEGREES = ("C20", "C30")
STOKES = ("part", "degree", "order")
PERIODIC = ("period_years", *STOKES)
NAN = float("nan")
FIELD_VARIABLES = (
    Variable("stokes", STOKES, unit="1"),
    Variable("stokes_sigma", STOKES, unit="1", missing=NAN),
    Variable("stokes_trend", STOKES, unit="yr-1", optional=True),
    Variable("stokes_cosine", PERIODIC, unit="1", optional=True),
    Variable("stokes_sine", PERIODIC, unit="1", optional=True),
)
FIELD_ATTRIBUTES = {
    "product": "GSM", "centre": "CSR", "release": "RL06", "mission": "GRACE",
    "gm": 3.986004415e14, "radius": 6378136.3, "tide_system": "zero_tide",
    "max_degree": EXAMPLE_DEGREE, "time_start": "2011-02-01", "time_end": "2011-03-01",
    "normalisation": "4pi",
}  # fmt: skip
SERIES_ATTRIBUTES = {
    "source": "example", "tide_system": "zero_tide", "frame": "CF", "gia_removed": "",
    "gm": 3.986004415e14, "radius": 6378136.3,
}  # fmt: skip
SERIES = ("time", "coefficient")
SERIES_VARIABLES = (
    Variable("value", SERIES, unit="1", missing=NAN),
    Variable("sigma", SERIES, unit="1", missing=NAN),
    Variable("coefficient", ("coefficient",), "text"),
    Variable("time", ("time",), "datetime64[ns]"),
    Variable("time_start", ("time",), "datetime64[ns]"),
    Variable("time_end", ("time",), "datetime64[ns]"),
)
TIDES = {"tide_system": TIDE_SYSTEMS}
_GRAVITY = (
    Contract("grace-l2", FIELD_VARIABLES, FIELD_ATTRIBUTES, TIDES | {"normalisation": ("4pi",)}),
    Contract("degree-one", SERIES_VARIABLES, SERIES_ATTRIBUTES, TIDES, {"coefficient": DEGREE_ONE}),
    Contract(
        "low-degrees",
        SERIES_VARIABLES,
        SERIES_ATTRIBUTES,
        TIDES,
        {"coefficient": LOW_DEGREES},
        partial=True,
    ),
    Contract(
        "love-numbers",
        tuple(Variable(name, ("degree",), unit="1") for name in ("h", "l", "k")),
        {"name": "PREM", "frame": "CE", "max_degree": EXAMPLE_DEGREE},
    ),
    Contract(
        "gia",
        (Variable("stokes_rate", STOKES, unit="yr-1"),),
        {"name": "ICE-6G_D", "max_degree": EXAMPLE_DEGREE},
    ),
)
METRE = "m"
SPEED = "m yr-1"
X, Y = (Variable(axis, (axis,), unit=METRE) for axis in ("x", "y"))
PERIOD = {"time_start": "2011-02-01", "time_end": "2017-07-01"}
VELOCITY_ATTRIBUTES = {
    "product": "nsidc-0720-v1", "doi": "10.5067/9T4EPQXTJYW9", "velocity_frame": "unknown",
    "year_definition": "glaciological", "sigma_kind": "none",
}  # fmt: skip
"""Every velocity has them since its products are told apart; older stores lack them."""


def _field(name: str, unit: str, *, optional: bool = False) -> Variable:
    """Return a field on a grid, NaN where missing."""
    return Variable(name, ("y", "x"), unit=unit, missing=NAN, optional=optional)


_FIELDS = (
    Contract(
        "elevation-rate",
        (
            Variable("elevation_rate", ("member", "y", "x"), unit=SPEED, missing=NAN),
            Variable("member", ("member",), "text"),
            X,
            Y,
        ),
        {"member_dimensions": "retracker/fit", **PERIOD},
    ),
    Contract(
        "surface-elevation",
        (_field("surface_elevation", METRE), X, Y),
        {"height_reference": "ellipsoid", **PERIOD},
        {"height_reference": ("ellipsoid", "geoid", "unknown")},
    ),
    Contract(
        "velocity",
        (
            *(_field(name, SPEED) for name in ("v_x", "v_y")),
            *(_field(name, SPEED, optional=True) for name in ("v_x_sigma", "v_y_sigma")),
            X,
            Y,
        ),
        PERIOD,
        {"velocity_frame": FRAMES, "year_definition": YEARS, "sigma_kind": SIGMAS},
        optional=VELOCITY_ATTRIBUTES,
    ),
    Contract(
        "thickness",
        (
            _field("thickness", METRE),
            *(_field(name, METRE, optional=True) for name in ("thickness_sigma", "bed", "surface")),
            *(
                Variable(name, ("y", "x"), "int8", optional=True)
                for name in ("mask", "source_class")
            ),
            X,
            Y,
        ),
        {"product": "nsidc-0756-v3", "thickness_kind": "ice_equivalent", **PERIOD},
        {"thickness_kind": ("ice_equivalent", "physical")},
    ),
    Contract("basal-melt", (_field("basal_melt_rate", "kg m-2 yr-1"), X, Y), PERIOD),
    Contract(
        "surface-processes",
        (
            _field("surface_elevation_rate", SPEED),
            _field("surface_mass_rate", "kg m-2 yr-1"),
            X,
            Y,
        ),
        PERIOD,
    ),
)
_POINTS = (
    Contract(
        "elevation",
        (
            *(Variable(name, ("point",), unit=METRE) for name in ("x", "y", "elevation")),
            Variable("time", ("point",), "datetime64[ns]"),
            *(
                Variable(name, ("point",), unit=METRE, missing=NAN, optional=True)
                for name in ("uncertainty", "reference_elevation")
            ),
            *(
                Variable(name, ("point",), "int8", optional=True)
                for name in ("instrument_mode", "surface_type")
            ),
        ),
        {
            "source_product": "Cryo-TEMPO Land Ice Thematic Product, baseline C",
            "retracker": "LMC",
            "time_start": "2010-12-18T07:48:54",
            "time_end": "2010-12-18T07:51:36",
            "points_in_file": 3,
            "dropped": "none",
        },
    ),
)
_SPANS = tuple(Variable(name, ("time",), "datetime64[ns]") for name in ("time_start", "time_end"))
_SURFACE_MASS_BALANCE = (
    Contract(
        "surface-mass-balance",
        (
            Variable("surface_mass_balance", ("time", "cell"), unit="kg m-2", missing=NAN),
            *_SPANS,
            *(Variable(name, ("cell", "corner"), unit=METRE) for name in ("corner_x", "corner_y")),
            Variable("area", ("cell",), unit="m2"),
        ),
        {"product": "RACMO2.3p2", "quantity": "surface_mass_balance"},
        {"quantity": ("surface_mass_balance", "precipitation_minus_evaporation")},
    ),
    Contract(
        "surface-mass-balance-regions",
        (
            Variable("surface_mass_balance", ("time", "region"), unit="Gt", missing=NAN),
            *_SPANS,
            Variable("region", ("region",), "text"),
            Variable("region_area", ("region",), unit="km2"),
        ),
        {"product": "MAR", "region_set": "zwally"},
        {"region_set": ("zwally", "rignot")},
    ),
)
_LABELS = (
    Contract(
        "damage-labels",
        (
            Variable("image", ("band", "y", "x"), "float32", unit="1", missing=NAN),
            Variable("label", ("y", "x"), "uint8"),
            Variable("band", ("band",), "text"),
            X,
            Y,
        ),
        {"region": "amery", "product": "moa2009-lai2020", "licence": "unknown",
         "place": "EPSG:3031", "spacing_m": EXAMPLE_M, "rows": 3, "columns": 4,
         "scaling": "reflectance", "labelled_fraction": 1.0, "damage_fraction": 0.0},
        {"place": ("EPSG:3031", "local"), "scaling": ("reflectance", "percentiles")},
    ),
)  # fmt: skip
_IMAGERY = (
    Contract(
        "imagery",
        (
            Variable("image", ("band", "y", "x"), "float32", unit="1", missing=NAN),
            Variable("band", ("band",), "text"),
            X,
            Y,
        ),
        {"sensor": "S2", "region": "Pine Island", "licence": "unknown", "place": "EPSG:3031",
         "spacing_m": EXAMPLE_M, "rows": 3, "columns": 4, "bands": "gray", "scaling": "percentiles",
         "time_start": "2019-12-01T00:00:00", "time_end": "2020-03-01T00:00:00"},
        {"place": ("EPSG:3031", "local"), "scaling": ("reflectance", "percentiles")},
    ),
)  # fmt: skip
CONTRACTS: Mapping[str, Contract] = MappingProxyType(
    {
        c.kind: c
        for c in (*_GRAVITY, *_FIELDS, *_POINTS, *_SURFACE_MASS_BALANCE, *_LABELS, *_IMAGERY)
    }
)
LINE_CONTRACTS: Mapping[str, LineContract] = MappingProxyType({"gates": LineContract("gates")})
POLYGON_CONTRACTS: Mapping[str, PolygonContract] = MappingProxyType(
    {
        **{kind: PolygonContract(kind) for kind in ("basins", "boundaries")},
        "ice-shelves": PolygonContract("ice-shelves", yearly=True),
    }
)
