"""Modules of the page that need no browser, against matplotlib and the decimals of Python."""

import json
import math
import subprocess
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from matplotlib.colors import LogNorm, Normalize, SymLogNorm

from pipelines.figures import canvas, velocity_change
from pipelines.map_scene import palettes
from tests.browser.chromium import VIEWER, node

MINUS, GAP = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def run(module: str, expression: str, **given):
    """Return the value of an expression over a module's names, as JSON."""
    program = (
        f"import * as m from {json.dumps((VIEWER / 'src' / module).as_uri())};"
        f"const given = {json.dumps(given)};"
        f"console.log(JSON.stringify({expression}));"
    )
    command = [node(), "--input-type=module", "-e", program]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(made.stdout)


@pytest.mark.parametrize(
    ("scale", "norm", "values"),
    [
        (palettes.rate_scale(300.0), Normalize(-300.0, 300.0), (-300, -1, 0, 7.5, 300)),
        (palettes.spread_scale(20.0), Normalize(0.0, 20.0), (0, 0.5, 19.9)),
        (palettes.speed_scale(3000.0), LogNorm(1.0, 3000.0), (1, 2.5, 999, 3000)),
        (
            palettes.change_scale(400.0),
            SymLogNorm(velocity_change.LINEAR, linscale=0.6, vmin=-400.0, vmax=400.0),
            (-400, -33, -10, -3, 0, 9.9, 10.1, 250),
        ),
    ],
)
def test_scales_are_those_of_the_figures(scale, norm, values):
    told = {key: getattr(scale, key) for key in ("kind", "low", "high", "linear", "linscale")}
    found = run("colours.js", "given.values.map(m.placing(given.scale))", scale=told, values=values)
    # Equal to the rounding of logarithms.
    np.testing.assert_allclose(found, norm(np.array(values, float)), atol=1e-12)


def test_ticks_lie_on_the_scale():
    scale = {"kind": "symlog", "low": -400.0, "high": 400.0, "linear": 10.0, "linscale": 0.6}
    assert run("colours.js", "m.ticksOf(given.scale)", scale=scale) == [
        -400, -100, -10, 0, 10, 100, 400,
    ]  # fmt: skip
    scale |= {"kind": "log", "low": 1.0, "high": 3000.0}
    assert run("colours.js", "m.ticksOf(given.scale)", scale=scale) == [1, 10, 100, 1000, 3000]


def decimal_pair(value: float, sigma: float) -> str:
    step = Decimal(1).scaleb(math.floor(math.log10(sigma)) - 1)
    texts = []
    for each in (abs(value), sigma):
        found = Decimal(each).quantize(step, ROUND_HALF_UP)
        texts.append(f"{found:,f}" if step < 1 else f"{int(found):,}")
    sign = MINUS if value < 0 and texts[0].strip("0.,") else ""
    return f"{sign}{texts[0]}{GAP}±{GAP}{texts[1]}"


def test_numbers_are_rounded_to_the_second_digit_of_their_deviation():
    rng = np.random.default_rng(5)
    values = [*rng.normal(0.0, 2000.0, 200), *rng.normal(0.0, 0.05, 50), -0.004, 46.25, -1936.4]
    sigmas = [*np.exp(rng.normal(1.0, 3.0, 250)), 0.5, 7.25, 123.0]
    pairs = [[float(value), float(sigma)] for value, sigma in zip(values, sigmas, strict=True)]
    found = run("words.js", "given.pairs.map(([v, s]) => m.withSigma(v, s))", pairs=pairs)
    assert found == [decimal_pair(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("value", "sigma", "words"),
    [(None, 1.0, "not measured"), (848.7980, None, "848.8"), (0.0, 0.0, "0"), (12.0, None, "12.00"),
     (-0.000123456, None, f"{MINUS}0.0001235"), (1.5e12, None, "1.50e+12"), (1234.5, 0.0, "1,235")],
)  # fmt: skip
def test_numbers_without_a_deviation_have_four_digits(value, sigma, words):
    assert run("words.js", "m.withSigma(given.v, given.s)", v=value, s=sigma) == words


def test_units_and_places_are_written_as_people_do():
    units = ["kg m-2 yr-1", "Gt yr-1", "km2", "1", "m yr-1"]
    assert run("words.js", "given.units.map(m.unitWords)", units=units) == [
        "kg m⁻² yr⁻¹", "Gt yr⁻¹", "km²", "", "m yr⁻¹",
    ]  # fmt: skip
    assert run("words.js", "m.whereWords([-105.5, -74.88])") == "74.88° S, 105.50° W"


def test_a_view_comes_back_from_its_address():
    state = {"layer": "mass_budget/speed", "step": "2011-2012", "with": "a b/c&d", "wstep": "",
             "swipe": 30, "region": "zwally2012/22", "at": [-1.5e6, 3.25e5, 2500]}  # fmt: skip
    assert run("state.js", "m.readState(m.writeState(given.state))", state=state) == state


def test_runs_end_where_a_gap_or_a_missing_value_is():
    curve = {"value": [1, 2, None, 4, 5, 6], "breaks": [5]}
    assert run("chart.js", "m.runsOf(given.curve)", curve=curve) == [[0, 1], [3, 4], [5]]


def test_fans_of_rates_are_dashed_and_keep_the_dashes_of_their_method():
    pairs = [["series", ""], ["series", "2 3"], ["rate", ""], ["rate", "2 3"]]
    dashes = "given.pairs.map(([kind, dash]) => m.dashOf({ kind }, { dash }))"
    assert run("chart.js", dashes, pairs=pairs) == ["", "2 3", "5 4", "2 3"]


def test_missing_values_are_the_grey_of_the_figures_and_others_the_ramps_colours():
    layer = {"codes": [], "ramp": "rates", "scale": {"kind": "linear", "low": -1.0, "high": 1.0}}
    scene = {"ramps": palettes.ramps(), "missing": canvas.MISSING}
    paint = (
        "(() => { const p = m.painter(given.layer, given.scene); const b = new Uint8Array(16);"
        " p(NaN, b, 0); p(-1, b, 4); p(1, b, 8); p(99, b, 12); return [...b]; })()"
    )
    found = run("colours.js", paint, layer=layer, scene=scene)
    grey = [int(canvas.MISSING[n : n + 2], 16) for n in (1, 3, 5)]
    assert found[:4] == [*grey, 255]
    assert found[4:8] == [0x67, 0x00, 0x1F, 255]  # the ends of ColorBrewer's RdBu
    assert found[8:12] == found[12:] == [0x05, 0x30, 0x61, 255]
