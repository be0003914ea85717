"""How often truth lies within the errors of each method, and whether a made error is named first.

``python -m tests.studies.comparison_truth RESULTS.jsonl --seeds 50 --causes 10`` measures worlds of
as many seeds (half a minute each on one core), appends a line for each to the file, goes on where
it was interrupted, and prints what ``docs/comparison.md`` quotes. No number is drawn from what is
tested: truth is the world's own quadrature, made errors are put into inputs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.pipelines.flows import conftest
from tests.studies import comparison_world as worlds

REBOUNDS = ("gia", "gia-weaker", "gia-turned")
WEAKER, TURN = 0.6, 60.0
"""Factor of the weaker model of rebound, and how far the other is turned about the pole [deg]."""


def main() -> None:
    """Measure, append, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--causes", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    done = {line["seed"] for line in read(options.results)}
    for number in range(options.first, options.first + options.seeds):
        if number not in done:
            with tempfile.TemporaryDirectory() as folder:
                asked = number < options.first + options.causes
                line = measured(number, Path(folder), causes=asked)
            with options.results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"seed {number}", flush=True)
    print("\n".join(told(read(options.results))))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a results file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def measured(number: int, folder: Path, *, causes: bool) -> dict[str, Any]:
    """Return what every method says of one world, and which causes are named for made errors."""
    seed = worlds.make(number, folder)
    documents = worlds.documents(seed)
    methods = {name: worlds.product(seed, documents[name]) for name in worlds.METHODS}
    group = worlds.compare(seed, list(methods.values()))
    value, sigma = worlds.rates(group)
    rows = str(group["row"].attrs["flag_meanings"]).split()
    truth = seed.truth()
    line: dict[str, Any] = {
        "seed": number, "rows": rows, "truth": [truth[row] for row in rows],
        "rate": {name: each.tolist() for name, each in value.items()},
        "sigma": {name: each.tolist() for name, each in sigma.items()},
    }  # fmt: skip
    if causes:
        line["causes"] = named(seed, methods)
    return line


def named(seed: worlds.Seed, methods: dict[str, Any]) -> dict[str, list[tuple[str, float]]]:
    """Return the causes of each made error, the most evident first."""
    wrong = rebounds(seed)
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "none": dict,
        "gia-turned": lambda: _gravimetry(seed, "gia-turned"),
        "gia-weaker": lambda: _gravimetry(seed, "gia-weaker"),
        "gate_correction": lambda: _budget(seed, worlds.without_gate_correction),
        "mask": lambda: _budget(seed, worlds.on_wider_mask),
    }
    found = {}
    for name, changed in made.items():
        together = list({**methods, **changed()}.values())
        evidence = worlds.evidence(worlds.compare(seed, together, causes=True, gia=wrong))
        found[name] = list(evidence.items())[:4]
    return found


def _gravimetry(seed: worlds.Seed, gia: str) -> dict[str, Any]:
    return {"gravimetry": worlds.product(seed, worlds.documents(seed, gia=gia)["gravimetry"])}


def _budget(seed: worlds.Seed, break_it: Any) -> dict[str, Any]:
    document = worlds.documents(seed)["mass_budget"]
    return {"mass_budget": worlds.product(seed, document, break_it=break_it)}


def rebounds(seed: worlds.Seed) -> tuple[str, ...]:
    """Catalogue two wrong models of rebound beside the right one; return all three."""
    path = seed.folder / "gravity" / "GIA.NUNAT.txt"
    for name, change in (("WEAKER", _weaker), ("TURNED", _turned)):
        lines = []
        for line in path.read_text().splitlines():
            cells = line.split("\t")
            if len(cells) == 4 and cells[0].isdigit():
                held = change(int(cells[1]), float(cells[2]), float(cells[3]))
                cells[2:] = [f"{each: .8e}" for each in held]
            lines.append("\t".join(cells))
        written = seed.folder / f"GIA.{name}.txt"
        written.write_text("\n".join(lines) + "\n")
        conftest.added("gia", [written], seed.catalogue, f"gia-{name.lower()}")
    return REBOUNDS


def _weaker(_order: int, cosine: float, sine: float) -> tuple[float, float]:
    return WEAKER * cosine, WEAKER * sine


def _turned(order: int, cosine: float, sine: float) -> tuple[float, float]:
    """Return coefficients of a field turned eastward about the pole."""
    angle = np.radians(order * TURN)
    return (
        float(cosine * np.cos(angle) - sine * np.sin(angle)),
        float(cosine * np.sin(angle) + sine * np.cos(angle)),
    )


def told(lines: list[dict[str, Any]]) -> Iterable[str]:
    """Yield coverage, errors, and how often a made error is named first."""
    rows = lines[0]["rows"]
    truth = np.array([line["truth"] for line in lines])
    basins = np.array([row.isdigit() for row in rows])
    yield (
        f"{len(lines)} seeds; truth within 1 and 2 sigma [%], root mean square error [Gt/yr], "
        "root mean square and mean of z"
    )
    for name in lines[0]["rate"]:
        rate = np.array([line["rate"][name] for line in lines])
        z = (rate - truth) / np.array([line["sigma"][name] for line in lines])
        for what, on in (("basins", basins), ("groups", ~basins)):
            error = np.sqrt(np.mean((rate - truth)[:, on] ** 2))
            yield (
                f"{name:12} {what:7} {100 * np.mean(np.abs(z[:, on]) < 1):5.0f} "
                f"{100 * np.mean(np.abs(z[:, on]) < 2):5.0f} {error:8.2f} "
                f"{np.sqrt(np.mean(z[:, on] ** 2)):6.2f} {np.mean(z[:, on]):+6.2f}"
            )
    asked = [line["causes"] for line in lines if "causes" in line]
    for made in asked[0] if asked else ():
        firsts = [each[made][0][0] for each in asked]
        wanted = made.partition("-")[0]
        hits = sum(first.partition("@")[0].partition(":")[0] == wanted for first in firsts)
        yield f"{made:16} named first {hits} of {len(firsts)}: {', '.join(firsts)}"


if __name__ == "__main__":
    main()
